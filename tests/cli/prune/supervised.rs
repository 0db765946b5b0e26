//! Runs with a time limit whose work is done by a child process: nothing keeps the parent from ending, and it ends like the child.

use crate::support::storm::{count, ended, grow, with_default_signals};
use crate::support::{World, answer, newest};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::PipeReader;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a run may take that should end within some seconds. A run that hangs takes longer than any such time.
const PATIENCE: Duration = Duration::from_secs(90);

/// The status of a process that ends in time; otherwise it is killed, with its child, and the test fails.
#[track_caller]
fn ends_in_time(child: &mut Child, mut meanwhile: impl FnMut()) -> ExitStatus {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if began.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it still ran after {PATIENCE:?}");
        }
        meanwhile();
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The process that does the work of this one.
fn worker(child: &Child) -> Pid {
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).unwrap();
    Pid::from_raw(children.trim().parse().unwrap()).unwrap()
}

/// A run on 3000 orphans whose standard output and standard error are one pipe, which is read by nobody.
fn unread(world: &World, arguments: &[&str]) -> (Child, PipeReader) {
    grow(world, 20, 150);
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = with_default_signals(world, env!("CARGO_BIN_EXE_pycstore"));
    command.env("PYTHONPYCACHEPREFIX", &world.store).args(arguments);
    command.stdout(writer.try_clone().unwrap()).stderr(writer);
    (command.spawn().unwrap(), reader)
}

#[test]
fn output_and_messages_that_nobody_reads_do_not_hold_up_the_end_of_a_run() {
    let world = World::new();
    let (mut child, reader) = unread(&world, &["prune", "--orphans", "--list", "--max-runtime", "10s"]);
    let status = ends_in_time(&mut child, || ());
    assert_eq!(status.code(), Some(1));
    drop(reader);
    let left = count(&world.mirror(&world.home.join("gone")));
    assert!(left > 0, "the pipe holds less than the list");
    let runs = world.pycstore(["history", "--json"]).exits(0).json_lines();
    assert_eq!((runs.len(), &runs[0]["exit"]), (1, &1.into()), "{runs:?}");
    // How many are left is not known.
    let shown = world.pycstore(["history"]).exits(0).stdout;
    assert!(shown.contains("stopped, incomplete") && !shown.contains("0 files left"), "{shown}");
    // The lock is free.
    world.pycstore(["prune", "--orphans"]).exits(0);
    assert_eq!(count(&world.mirror(&world.home.join("gone"))), 0);
}

#[test]
fn signals_that_are_repeated_do_not_postpone_the_end() {
    let world = World::new();
    let (mut child, _reader) = unread(&world, &["prune", "--orphans", "--list", "--max-runtime", "1h"]);
    let began = Instant::now();
    while count(&world.mirror(&world.home.join("gone"))) == 3000 {
        assert!(began.elapsed() < PATIENCE, "it removes nothing");
        std::thread::sleep(Duration::from_millis(20));
    }
    // A process that is stopped reacts to a signal as little as one that waits for a file system.
    kill_process(worker(&child), Signal::STOP).unwrap();
    let parent = Pid::from_child(&child);
    let status = ends_in_time(&mut child, || {
        let _ = kill_process(parent, Signal::TERM);
    });
    assert_eq!(status.signal(), Some(Signal::TERM.as_raw()));
}

#[test]
fn a_run_that_inherits_an_ignored_sigchld_ends_like_its_child() {
    let world = World::new();
    let gone = grow(&world, 2, 2);
    for limit in [&[][..], &["--max-runtime", "1h"]] {
        grow(&world, 2, 2);
        let mut command = world.with_sigchld_ignored();
        command.env("PYTHONPYCACHEPREFIX", &world.store).args(["prune", "--orphans"]).args(limit);
        let told = answer(&mut command).exits(0);
        assert_eq!((told.stderr.as_str(), count(&gone)), ("", 0), "{told:?}");
        assert!(told.stdout.contains("removed 4 files"), "{told:?}");
    }
}

/// Runs a program on a terminal that stops background processes which write to it (`stty tostop`), with another standard input.
const ON_TERMINAL: &str = r#"
import fcntl, os, pty, select, signal, sys, termios, time
terminal, side = pty.openpty()
child = os.fork()
if child == 0:
    os.setsid()
    fcntl.ioctl(side, termios.TIOCSCTTY, 0)
    modes = termios.tcgetattr(side)
    modes[3] |= termios.TOSTOP
    termios.tcsetattr(side, termios.TCSANOW, modes)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(side, 1)
    os.dup2(side, 2)
    os.closerange(3, max(terminal, side) + 1)
    os.execv(sys.argv[2], sys.argv[2:])
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    if select.select([terminal], [], [], 0.1)[0]:
        os.write(1, os.read(terminal, 4096))
    elif (ended := os.waitpid(child, os.WNOHANG))[0]:
        sys.exit(os.waitstatus_to_exitcode(ended[1]))
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
sys.exit("it hangs")
"#;

#[test]
fn a_terminal_that_stops_processes_in_the_background_stops_no_run() {
    let world = World::new();
    let gone = grow(&world, 2, 2);
    let mut command = world.python(newest());
    command.args(["-I", "-B", "-c", ON_TERMINAL, &PATIENCE.as_secs().to_string()]);
    command.args([env!("CARGO_BIN_EXE_pycstore"), "prune", "--orphans", "--max-runtime", "1h"]);
    let (told, _) = ended(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    assert!(told.stdout.contains("removed 4 files"), "{told:?}");
    assert_eq!((told.code, count(&gone)), (0, 0), "{told:?}");
}
