//! The most memory that a run of the program has resident.
//!
//! Linux counts what a process had before `exec` as the new program's (`setmax_mm_hiwater_rss` in `exec_mmap`), and the
//! tests of one file share a process that may be large. So a small interpreter starts the program and waits for it.

use super::{Answer, World, answer, newest};
use std::ffi::OsStr;

/// Starts the program without standard output and prints `ru_maxrss`; exits as the program did.
const CODE: &str = "
import os, sys
null = os.open(os.devnull, os.O_WRONLY)
program = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, null, 1)])
_, status, used = os.wait4(program, 0)
print(used.ru_maxrss)
sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
";

/// Runs the program on the store of `world`; returns the most memory that it had resident, in bytes, and its answer,
/// without standard output. A small program's figure is the interpreter's, about 10⁷ bytes.
pub fn peak_memory<I: AsRef<OsStr>>(world: &World, arguments: impl IntoIterator<Item = I>) -> (u64, Answer) {
    let mut command = world.command(&newest().path);
    command.env("PYTHONPYCACHEPREFIX", &world.store).args(["-I", "-S", "-B", "-c", CODE]);
    let mut ended = answer(command.arg(world.program().get_program()).args(arguments));
    let kilobytes: u64 =
        std::mem::take(&mut ended.stdout).trim().parse().unwrap_or_else(|_| panic!("{ended:?}"));
    (kilobytes << 10, ended)
}
