//! When to stop early: a signal, or the end of the time that a run may take. Home of signal-hook.

use anyhow::Context;
use pycstore::units::Age;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The wish to stop, heard by whoever works.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    wanted: Arc<AtomicBool>,
    by_signal: Arc<AtomicBool>,
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
                .context("cannot listen to signals")?;
        }
        Ok(())
    }

    /// Asks to stop after `age`.
    pub fn after(&self, age: Age) {
        let wanted = self.wanted.clone();
        // The thread ends with the process, if not before.
        std::thread::spawn(move || {
            std::thread::sleep(age.duration());
            wanted.store(true, Ordering::Relaxed);
        });
    }

    /// The flag that workers look at.
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
