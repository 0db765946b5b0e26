//! Processes that hold the lock of a store.

use super::{World, newest};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

/// A process that holds the lock of a directory or file until it is killed.
pub fn lock_holder(world: &World, path: &Path) -> Child {
    const CODE: &str = "
import fcntl, os, sys
directory = os.open(sys.argv[1], os.O_RDONLY)
fcntl.flock(directory, fcntl.LOCK_EX)
print('held', flush=True)
sys.stdin.read()
";
    let mut command = world.command(&newest().path);
    command.args(["-c", CODE]).arg(path).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "held\n");
    holder
}

/// What is said of a store that a process holds.
pub fn locked(world: &World, holder: &Child, runs: u64) -> String {
    let comm = std::fs::read_to_string(format!("/proc/{}/comm", holder.id())).unwrap();
    let (process, command, store) = (holder.id(), comm.trim_end(), world.store.display());
    let row = if runs > 1 { format!(", {runs} times in a row") } else { String::new() };
    format!("pycstore: nothing was done: process {process} ({command}) holds the lock of {store}{row}\n")
}
