//! When to stop early: a signal, or the time limit of a run. Home of signal-hook.

use super::output::complain;
use anyhow::Context;
use pycstore::units::Age;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;
use signal_hook::{flag, low_level};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// How long workers may take to react to a stop. A file system that does not respond blocks a worker, and so the
/// store's lock: then the process ends without waiting.
const GRACE: Duration = Duration::from_secs(10);

/// The signal that asked this process to stop; zero for none.
static RECEIVED: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

/// The request to stop, which all workers read.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    wanted: Arc<AtomicBool>,
    by_signal: Arc<AtomicBool>,
    stop_scan: Arc<AtomicBool>,
    work_is_over: Arc<AtomicBool>,
}

/// Why a run stopped early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// SIGINT, SIGTERM or SIGHUP.
    Signal,
    /// Its time limit was reached.
    Time,
}

impl Stop {
    /// Listens to SIGINT, SIGTERM and SIGHUP from now on: the first asks to stop, the second ends the process at once. A
    /// signal that the process was started to ignore (`nohup`) is ignored.
    pub fn on_signals(&self) -> anyhow::Result<()> {
        let ignored = ignored_signals();
        for signal in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0)
        {
            // In this order: at the first signal the flag is not set yet.
            flag::register_conditional_default(signal, self.by_signal.clone())
                .and_then(|_| flag::register(signal, self.by_signal.clone()))
                .and_then(|_| flag::register_usize(signal, RECEIVED.clone(), signal as usize))
                .and_then(|_| flag::register(signal, self.wanted.clone()))
                .and_then(|_| flag::register(signal, self.stop_scan.clone()))
                .context("cannot install signal handlers")?;
        }
        let stop = self.clone();
        // Without a thread, there is no limit to the time that a worker may take to react.
        let _ = in_background(move || stop.watch());
        Ok(())
    }

    /// Ends the process when a worker does not react to a stop, or when output blocks after a signal. The allowed time
    /// limits the work only: a slow reader of the output is no fault.
    fn watch(&self) {
        let is_due = || match self.cause() {
            None => false,
            Some(Cause::Signal) => true,
            Some(Cause::Time) => !self.is_work_over(),
        };
        loop {
            while !is_due() {
                std::thread::sleep(Duration::from_millis(100));
            }
            std::thread::sleep(GRACE);
            if is_due() {
                // Where output blocks, a note would as well.
                if !self.is_work_over() {
                    complain::note("the file system does not respond: exiting without waiting for it");
                }
                end_by_default();
                std::process::exit(1);
            }
        }
    }

    /// Marks that all work is done and recorded: only output follows.
    pub fn end_work(&self) {
        self.work_is_over.store(true, Ordering::Relaxed);
    }

    fn is_work_over(&self) -> bool {
        self.work_is_over.load(Ordering::Relaxed)
    }

    /// Requests a stop after `age`; the scan gets half of it, so that there is time to remove what was found.
    pub fn after(&self, age: Age) {
        let Stop { wanted, stop_scan, .. } = self.clone();
        if age.duration().is_zero() {
            stop_scan.store(true, Ordering::Relaxed);
            wanted.store(true, Ordering::Relaxed);
            return;
        }
        // Without a thread, there is no time limit.
        let _ = in_background(move || {
            std::thread::sleep(age.duration() / 2);
            stop_scan.store(true, Ordering::Relaxed);
            std::thread::sleep(age.duration() / 2);
            wanted.store(true, Ordering::Relaxed);
        });
    }

    /// Requests a stop now, as after a time limit.
    pub fn request(&self) {
        self.stop_scan.store(true, Ordering::Relaxed);
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// The flag for scans: set before [`Stop::flag`] or together with it.
    pub fn scan_flag(&self) -> &AtomicBool {
        &self.stop_scan
    }

    /// Whether the scan was asked to stop.
    pub fn is_scan_stopped(&self) -> bool {
        self.stop_scan.load(Ordering::Relaxed)
    }

    /// The flag for removals.
    pub fn flag(&self) -> &AtomicBool {
        &self.wanted
    }

    /// Why the run is to stop, if it is.
    pub fn cause(&self) -> Option<Cause> {
        match (self.by_signal.load(Ordering::Relaxed), self.wanted.load(Ordering::Relaxed)) {
            (true, _) => Some(Cause::Signal),
            (false, true) => Some(Cause::Time),
            (false, false) => None,
        }
    }
}

/// The signals to a process that has the whole terminal.
#[derive(Debug, Clone, Default)]
pub struct ScreenSignals {
    is_ended: Arc<AtomicBool>,
    is_suspended: Arc<AtomicBool>,
    is_resumed: Arc<AtomicBool>,
}

impl ScreenSignals {
    /// Whether a signal asked to end.
    pub fn is_ended(&self) -> bool {
        self.is_ended.load(Ordering::Relaxed)
    }

    /// Whether a signal asked to suspend the process since the last call.
    pub fn take_suspend(&self) -> bool {
        self.is_suspended.swap(false, Ordering::Relaxed)
    }

    /// Whether the process was continued since the last call.
    pub fn take_resumed(&self) -> bool {
        self.is_resumed.swap(false, Ordering::Relaxed)
    }
}

/// Listens to SIGINT, SIGTERM, SIGHUP and SIGQUIT from now on: the first asks to end, the second ends the process at once, and
/// so does the first if nothing follows within ten seconds. Before that, `restore` gives the terminal back. SIGTSTP asks to
/// suspend. Signals that the process was started to ignore are ignored.
///
/// # Errors
/// When the handlers cannot be installed, or no thread can be started.
pub fn watch_signals(restore: fn()) -> io::Result<ScreenSignals> {
    let ignored = ignored_signals();
    let wanted = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT];
    let mut signals = Signals::new(wanted.into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0))?;
    let flags = ScreenSignals::default();
    let told = flags.clone();
    in_background(move || {
        for signal in signals.forever() {
            match signal {
                SIGTSTP => told.is_suspended.store(true, Ordering::Relaxed),
                SIGCONT => told.is_resumed.store(true, Ordering::Relaxed),
                signal => {
                    RECEIVED.store(signal as usize, Ordering::Relaxed);
                    if told.is_ended.swap(true, Ordering::Relaxed) {
                        end_with_terminal(restore);
                    }
                    let _ = in_background(move || {
                        std::thread::sleep(GRACE);
                        end_with_terminal(restore);
                    });
                }
            }
        }
    })?;
    Ok(flags)
}

fn end_with_terminal(restore: fn()) {
    restore();
    end_by_default();
    std::process::exit(1);
}

/// Stops this process until it is continued.
pub fn suspend() {
    let _ = low_level::emulate_default_handler(SIGTSTP);
}

/// Whether a signal asked this process to stop.
pub fn is_signalled() -> bool {
    RECEIVED.load(Ordering::Relaxed) != 0
}

/// Ends the process by the signal that asked it to stop, if one did: a shell then ends the loop or the script that started
/// us (an exit status, even 130, does not do that in bash). Call it after all cleanup and output.
pub fn end_by_signal() {
    if is_signalled() {
        // A process that a signal ends flushes nothing.
        let _ = io::stdout().flush();
    }
    end_by_default();
}

fn end_by_default() {
    let signal = RECEIVED.load(Ordering::Relaxed);
    if signal != 0 {
        // It returns only if there is no such signal.
        let _ = low_level::emulate_default_handler(signal as i32);
    }
}

/// The signals that this process ignores, as a mask (`SigIgn` in proc_pid_status(5)); none if the system does not provide
/// them.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Runs a function in a thread, for which the end of the process does not wait.
///
/// # Errors
/// When no thread can be started.
pub fn in_background(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let failed = |error: io::Error| io::Error::new(error.kind(), format!("cannot start a thread: {error}"));
    std::thread::Builder::new().spawn(work).map(drop).map_err(failed)
}
