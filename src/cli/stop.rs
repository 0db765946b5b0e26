//! When to stop early: a signal, or the time limit of a run. Home of signal-hook.
//!
//! A file system that does not respond blocks the thread that uses it, which may be the main thread, from the first look at the
//! store on. So the time limit begins with the process ([`Stop::limit`]), and a thread of its own records the run and ends the
//! process if nothing reacts.

use super::output::complain;
use super::supervision;
use anyhow::Context;
use pycstore::exit::Exit;
use pycstore::units::Age;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;
use signal_hook::{flag, low_level};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long workers may take to react to a stop. A file system that does not respond blocks a worker, and so the
/// store's lock: then the process ends without waiting. `schedule run --system` waits longer before it ends a process.
const GRACE: Duration = Duration::from_secs(5);

/// How long the record of a run that did not end may take, and then the message: the history may be on the same file system,
/// and standard error may be a pipe that is not read.
const RECORD_TIME: Duration = Duration::from_secs(2);

/// How often a stop is looked for.
const TICK: Duration = Duration::from_millis(100);

/// Whether the user is being asked: the time does not count.
static IS_ASKING: AtomicBool = AtomicBool::new(false);

/// The signal that asked this process to stop; zero for none.
static RECEIVED: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

/// The request to stop, which all workers read.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    wanted: Arc<AtomicBool>,
    by_signal: Arc<AtomicBool>,
    stop_scan: Arc<AtomicBool>,
    work_is_over: Arc<AtomicBool>,
    is_listening: Arc<AtomicBool>,
    is_watched: Arc<AtomicBool>,
    deadline: Arc<Mutex<Option<Instant>>>,
    overrun: Arc<Mutex<Overrun>>,
}

/// What is done if the work does not react to a stop.
#[derive(Default)]
enum Overrun {
    /// The run is recorded, and the process ends with this exit.
    Record(Exit, Box<dyn FnOnce() + Send>),
    /// Nothing: the run is recorded already, or is not recorded.
    #[default]
    None,
    /// It was done: the process is about to end.
    Done,
}

impl std::fmt::Debug for Overrun {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Overrun::Record(..) => "Record",
            Overrun::None => "None",
            Overrun::Done => "Done",
        })
    }
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
        // A second registration would make the first signal end the process.
        if self.is_listening.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        for signal in supervision::not_ignored([SIGINT, SIGTERM, SIGHUP]) {
            // In this order: at the first signal the flag is not set yet.
            flag::register_conditional_default(signal, self.by_signal.clone())
                .and_then(|_| flag::register(signal, self.by_signal.clone()))
                .and_then(|_| flag::register_usize(signal, RECEIVED.clone(), signal as usize))
                .and_then(|_| flag::register(signal, self.wanted.clone()))
                .and_then(|_| flag::register(signal, self.stop_scan.clone()))
                .context("cannot install signal handlers")?;
        }
        self.watch();
        Ok(())
    }

    /// Ends the process when a worker does not react to a stop, or when output blocks after a signal. The allowed time
    /// limits the work only: a slow reader of the output is no fault.
    fn watch(&self) {
        if self.is_watched.swap(true, Ordering::Relaxed) {
            return;
        }
        let stop = self.clone();
        // Without a thread, there is no time limit.
        let _ = in_background(move || {
            let mut ignored = Duration::ZERO;
            while ignored < GRACE {
                std::thread::sleep(TICK);
                ignored = if stop.is_due() { ignored + TICK } else { Duration::ZERO };
            }
            stop.give_up();
        });
    }

    /// Whether the process is to end.
    fn is_due(&self) -> bool {
        let deadline = *self.lock_deadline();
        let is_over_time = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        let is_working = !self.is_work_over() && !IS_ASKING.load(Ordering::Relaxed);
        self.by_signal.load(Ordering::Relaxed) || (is_over_time && is_working)
    }

    /// Records the run and ends the process, whatever its other threads wait for.
    fn give_up(&self) {
        let mut exit = Exit::Incomplete;
        // Where output blocks, a note would as well.
        if !self.is_work_over() {
            let overrun = std::mem::replace(&mut *self.lock_overrun(), Overrun::Done);
            if let Overrun::Record(its_exit, record) = overrun {
                exit = its_exit;
                within(RECORD_TIME, record);
            }
            // Last, and in a thread: standard error may be the pipe that blocks the work, because its reader does not read.
            within(RECORD_TIME, || {
                complain::note("the file system does not respond: exiting without waiting for it");
            });
        }
        supervision::leave(exit);
        end_by_default();
        std::process::exit(i32::from(exit.code()));
    }

    fn lock_overrun(&self) -> MutexGuard<'_, Overrun> {
        self.overrun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_deadline(&self) -> MutexGuard<'_, Option<Instant>> {
        self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does this, and ends the process with this exit, if the work does not react to a stop.
    pub fn on_overrun(&self, exit: Exit, record: impl FnOnce() + Send + 'static) {
        self.work_is_over.store(false, Ordering::Relaxed);
        *self.lock_overrun() = Overrun::Record(exit, Box::new(record));
    }

    /// Must be called before the run is recorded in the usual way. Does not return if the process is about to end.
    pub fn begin_record(&self) {
        let mut overrun = self.lock_overrun();
        if matches!(*overrun, Overrun::Done) {
            drop(overrun);
            loop {
                std::thread::park();
            }
        }
        *overrun = Overrun::None;
    }

    /// Ends the process some seconds after this time, if the work is not over by then. A later call sets another limit.
    pub fn limit(&self, age: Age) {
        *self.lock_deadline() = Instant::now().checked_add(age.duration());
        self.watch();
    }

    /// Lets the process run without a limit: another process does the work.
    pub fn lift_limit(&self) {
        *self.lock_deadline() = None;
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
        self.limit(age);
        if age.duration().is_zero() {
            return self.request();
        }
        let stop = self.clone();
        // Without a thread, there is no time limit.
        let _ = in_background(move || {
            std::thread::sleep(age.duration() / 2);
            stop.stop_scan.store(true, Ordering::Relaxed);
            std::thread::sleep(age.duration() / 2);
            stop.request();
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
/// so does the first if nothing follows within five seconds. Before that, `restore` gives the terminal back. SIGTSTP asks to
/// suspend. Signals that the process was started to ignore are ignored.
///
/// # Errors
/// When the handlers cannot be installed, or no thread can be started.
pub fn watch_signals(restore: fn()) -> io::Result<ScreenSignals> {
    let mut signals =
        Signals::new(supervision::not_ignored([SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT]))?;
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

/// Calls a function that asks the user: the time that this takes does not count.
pub fn asking<R>(ask: impl FnOnce() -> R) -> R {
    IS_ASKING.store(true, Ordering::Relaxed);
    let answer = ask();
    IS_ASKING.store(false, Ordering::Relaxed);
    answer
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

/// Runs a function in a thread, and waits for it at most this long.
fn within(time: Duration, work: impl FnOnce() + Send + 'static) {
    let (sender, done) = channel();
    let _ = in_background(move || {
        work();
        let _ = sender.send(());
    });
    let _ = done.recv_timeout(time);
}

/// Runs a function in a thread, for which the end of the process does not wait.
///
/// # Errors
/// When no thread can be started.
pub fn in_background(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let failed = |error: io::Error| io::Error::new(error.kind(), format!("cannot start a thread: {error}"));
    std::thread::Builder::new().spawn(work).map(drop).map_err(failed)
}
