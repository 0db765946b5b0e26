//! An interrupt and the shell that started the program.

use crate::support::World;
use crate::support::storm::{count, ended, grow, with_default_signals};
use rustix::process::{Pid, Signal};
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A shell ends a loop when a command was ended by the signal, not when it has an exit status.
#[test]
#[ignore = "needs bash"]
fn a_signal_ends_the_loop_of_a_shell_as_well() {
    const DIRECTORIES: usize = 150;
    let world = World::new();
    let gone = grow(&world, DIRECTORIES, 150);
    let mut command = with_default_signals(&world, "bash");
    let script = "trap 'echo the shell goes on >&2' EXIT; for round in 1 2 3; do echo \"$round\" >&2; \"$0\" --threads 1 prune --orphans; done; echo done >&2";
    command.args(["-c", script, env!("CARGO_BIN_EXE_pycstore")]);
    // A process group of its own, so that the signal of a terminal reaches all of them and not us.
    command.process_group(0);
    command.env("PYTHONPYCACHEPREFIX", &world.store);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let first = |number| gone.join(format!("d{number:03}/m000.cpython-312.pyc"));
    let began = Instant::now();
    while (0..DIRECTORIES).all(|number| first(number).exists()) {
        assert!(began.elapsed() < Duration::from_secs(60), "it removes nothing");
    }
    rustix::process::kill_process_group(Pid::from_child(&child), Signal::INT).unwrap();
    let (told, by_signal) = ended(child);
    assert_eq!(by_signal, Some(Signal::INT.as_raw()), "{told:?}");
    let lines: Vec<&str> = told.stderr.lines().collect();
    assert!(
        matches!(lines[..], ["1", stopped, "the shell goes on"] if stopped.contains("stopped")),
        "{told:?}"
    );
    let history = world.pycstore(["history", "--json"]).exits(0).json_lines();
    assert_eq!((history.len(), &history[0]["left"]["files"]), (1, &count(&gone).into()));
}
