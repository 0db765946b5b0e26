//! A run with a time limit, in a process of its own.
//!
//! A thread that waits for a file system may be impossible to end: Linux does not even kill a process while the server of a FUSE
//! file system has its request. Such a process exists until the server answers, and whoever waits for it waits as long: cron,
//! systemd, a script. So the work is done by a child process, and the parent, which uses no file system, ends when the work is
//! given up ([`leave`]).
//!
//! There is no parent if standard input, output or error is a terminal: there the user can start something else. The child is a
//! process in the background, which a terminal may stop when it writes (`stty tostop`), and which Ctrl-Z does not reach.

use super::env;
use anyhow::Context;
use pycstore::exit::Exit;
use pycstore::host::contained::{Parent, end_with_parent};
use rustix::process::{Pid, Signal, getppid, kill_process};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout, stderr, stdin, stdout};
use rustix::termios::isatty;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;
use signal_hook::{flag, low_level};
use std::fs::File;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a process that gave up may take to end before it is left behind.
const GRACE: Duration = Duration::from_millis(500);

/// How long it may take to end after a signal: longer than it waits for its file system.
pub const SIGNAL_GRACE: Duration = Duration::from_secs(10);

/// Continues in a child process, and ends like it. Returns in that process, and where there is none.
///
/// # Errors
/// When the process cannot be started.
pub fn begin() -> anyhow::Result<()> {
    if let Some(parent) = env::supervisor() {
        // It was started as `/proc/self/exe`: ps(1) would show that name.
        #[cfg(target_os = "linux")]
        let _ = rustix::thread::set_name(c"pycstore");
        return match end_with_parent(parent).context("cannot continue in a process of its own")? {
            Parent::Runs => Ok(()),
            Parent::Ended => Err(anyhow::anyhow!("the parent process {parent} has ended")),
        };
    }
    let is_on_terminal = [stdin(), stdout(), stderr()].into_iter().any(isatty);
    // The process that continues for root has a parent already.
    if !cfg!(target_os = "linux") || is_on_terminal || env::continued_for().is_some() {
        return Ok(());
    }
    const WHY: &str = "cannot start the process that works";
    let mut command = Command::new(env::this_program().context(WHY)?);
    let mut arguments = std::env::args_os();
    command.arg0(arguments.next().unwrap_or_else(|| "pycstore".into()));
    command.args(arguments).env(env::SUPERVISOR, std::process::id().to_string());
    // Only signals that are passed on reach it: it must not get one twice.
    command.process_group(0);
    // It ignores what this process was started to ignore.
    let wanted = not_ignored([SIGINT, SIGTERM, SIGHUP]).chain([SIGUSR1, SIGUSR2]);
    let signals = Signals::new(wanted).context(WHY)?;
    let child = command.spawn().context(WHY)?;
    end_like(wait(child, signals).context(WHY)?)
}

/// How the work ended.
enum WorkEnd {
    Ended(ExitStatus),
    /// The process gave up with this exit, and may not be able to end.
    GivenUp(Exit),
    /// It does not end after this signal.
    Signalled(i32),
}

fn wait(mut child: Child, mut signals: Signals) -> io::Result<WorkEnd> {
    let process = Pid::from_child(&child);
    let mut left: Option<(WorkEnd, Instant)> = None;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(WorkEnd::Ended(status));
        }
        if let Some((end, _)) = left.take_if(|(_, when)| Instant::now() >= *when) {
            return Ok(end);
        }
        for signal in signals.pending() {
            let exit = if signal == SIGUSR2 { Exit::Nothing } else { Exit::Incomplete };
            left = Some(match (signal, left) {
                // Repeated signals do not postpone the end.
                (SIGUSR1 | SIGUSR2, Some((end, when))) => (end, when.min(Instant::now() + GRACE)),
                (SIGUSR1 | SIGUSR2, None) => (WorkEnd::GivenUp(exit), Instant::now() + GRACE),
                (signal, left) => {
                    let _ = Signal::from_named_raw(signal).map(|signal| kill_process(process, signal));
                    left.unwrap_or_else(|| (WorkEnd::Signalled(signal), Instant::now() + SIGNAL_GRACE))
                }
            });
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

fn end_like(end: WorkEnd) -> ! {
    let code = match end {
        WorkEnd::GivenUp(exit) => i32::from(exit.code()),
        WorkEnd::Signalled(signal) => {
            let _ = low_level::emulate_default_handler(signal);
            128 + signal
        }
        WorkEnd::Ended(status) => {
            if let Some(signal) = status.signal() {
                let _ = low_level::emulate_default_handler(signal);
            }
            status.code().unwrap_or(1)
        }
    };
    std::process::exit(code)
}

/// Tells the parent that this process ends with this exit, as soon as it can. From now on nothing is written: whoever reads the
/// output to its end must not wait for this process.
pub fn leave(exit: Exit) {
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        let _ = dup2_stdin(&null).and_then(|()| dup2_stdout(&null)).and_then(|()| dup2_stderr(&null));
    }
    let signal = if exit == Exit::Nothing { Signal::USR2 } else { Signal::USR1 };
    if let (Some(supervisor), Some(parent)) = (env::supervisor(), getppid())
        && parent.as_raw_nonzero().get().unsigned_abs() == supervisor
    {
        let _ = kill_process(parent, signal);
    }
}

/// Lets this process wait for its children even if it was started with SIGCHLD ignored: of such a process the kernel discards the
/// children's exit statuses (wait(2), "NOTES").
pub fn keep_exit_statuses() {
    if not_ignored([SIGCHLD]).next().is_none() {
        // Any handler does. A child does not inherit it: execve(2) restores the default.
        let _ = flag::register(SIGCHLD, Arc::default());
    }
}

/// Those of the signals that this process does not ignore.
pub fn not_ignored<const N: usize>(signals: [i32; N]) -> impl Iterator<Item = i32> {
    let ignored = ignored_signals();
    signals.into_iter().filter(move |signal| ignored >> (signal - 1) & 1 == 0)
}

/// The signals that this process ignores, as a mask (`SigIgn` in proc_pid_status(5)); none if the system does not provide
/// them.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
