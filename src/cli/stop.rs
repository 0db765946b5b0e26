//! When to stop early: a signal, or the end of the time that a run may take. Home of signal-hook.

use super::output::complain;
use anyhow::Context;
use pycstore::units::Age;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long workers may take to hear the wish to stop. A file system that does not answer holds a worker for ever, and
/// with it the store's lock: then the process ends without it.
const GRACE: Duration = Duration::from_secs(10);

/// The wish to stop, heard by whoever works.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    wanted: Arc<AtomicBool>,
    by_signal: Arc<AtomicBool>,
    looked_enough: Arc<AtomicBool>,
    work_is_over: Arc<AtomicBool>,
}

/// Why a run stopped early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// SIGINT or SIGTERM.
    Signal,
    /// Its time was over.
    Time,
}

impl Stop {
    /// Listens to SIGINT and SIGTERM from now on: the first asks to stop, the second ends the process at once.
    pub fn on_signals(&self) -> anyhow::Result<()> {
        for signal in [SIGINT, SIGTERM] {
            // In this order: at the first signal the flag is not set yet.
            flag::register_conditional_shutdown(signal, 128 + signal, self.by_signal.clone())
                .and_then(|_| flag::register(signal, self.by_signal.clone()))
                .and_then(|_| flag::register(signal, self.wanted.clone()))
                .and_then(|_| flag::register(signal, self.looked_enough.clone()))
                .context("cannot listen to signals")?;
        }
        let stop = self.clone();
        in_background(move || stop.watch());
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
                complain::note(if self.is_work_over() {
                    "stopped while output was written"
                } else {
                    "the file system does not answer: ended without waiting for it"
                });
                std::process::exit(1);
            }
        }
    }

    /// All work is done and recorded: what follows is output.
    pub fn end_work(&self) {
        self.work_is_over.store(true, Ordering::Relaxed);
    }

    fn is_work_over(&self) -> bool {
        self.work_is_over.load(Ordering::Relaxed)
    }

    /// Asks to stop after `age`; half of it is for looking, so that there is time for what was found.
    pub fn after(&self, age: Age) {
        let Stop { wanted, looked_enough, .. } = self.clone();
        in_background(move || {
            std::thread::sleep(age.duration() / 2);
            looked_enough.store(true, Ordering::Relaxed);
            std::thread::sleep(age.duration() / 2);
            wanted.store(true, Ordering::Relaxed);
        });
    }

    /// The flag that a scan looks at: it is raised before [`Stop::flag`], at the latest with it.
    pub fn scan_flag(&self) -> &AtomicBool {
        &self.looked_enough
    }

    /// Whether a scan was told to stop.
    pub fn has_looked_enough(&self) -> bool {
        self.looked_enough.load(Ordering::Relaxed)
    }

    /// The flag that whoever removes looks at.
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

/// Runs something until the process ends. Where no thread can be had, nobody is reminded of the time.
fn in_background(work: impl FnOnce() + Send + 'static) {
    let _ = std::thread::Builder::new().spawn(work);
}
