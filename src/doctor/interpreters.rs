//! Runs each interpreter to print its `sys.pycache_prefix`.
//!
//! # Invariants
//!
//! * An interpreter that other users may change is not run, but judged by its version. The user that runs the others:
//!   [`crate::host::trust::runner`].
//! * None writes bytecode (`-B`), or imports `site` (`-S`).

use super::ask::{Inquiry, ask_all};
use crate::host::contained::{Containment, UserAndGroup};
use crate::host::trust::runner::Runners;
use crate::source::interpreter::{Interpreters, StoreUse};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A prefix that is not the path of a store.
const PREFIX: &str = "/pycstore/asks";

/// Runs on 2.7 and on everything since.
const CODE: &str = "import sys; print('pycstore:%s:' % getattr(sys, 'pycache_prefix', ''))";

/// An interpreter and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedInterpreter {
    /// Its executable.
    pub executable: PathBuf,
    /// Its version, if its installation states it.
    pub version: String,
    /// Whether it should use a store, by its version; true if the version is unknown.
    pub expected: StoreUse,
    /// Its answer.
    pub said: Said,
}

/// What an interpreter does with the prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It uses the prefix.
    Honours,
    /// It ignores the prefix.
    Ignores,
    /// It did not answer, for this reason.
    Nothing(String),
    /// It was not run: other users can change it.
    NotAsked,
}

/// Runs all interpreters that were found, with the program that launches them.
pub fn ask(found: &Interpreters, launcher: &Path, timeout: Duration) -> Vec<AskedInterpreter> {
    let runners = Runners::new(Some(launcher.to_path_buf()));
    let identified = found.found.iter().filter_map(|interpreter| {
        Some((interpreter.executable.clone()?, interpreter.version.to_string(), interpreter.store_use))
    });
    let unidentified =
        found.unidentified.iter().map(|executable| (executable.clone(), "?".to_string(), StoreUse::Uses));
    let mut asked: Vec<AskedInterpreter> = identified
        .chain(unidentified)
        .map(|(executable, version, expected)| {
            let said = runners.identity(&executable).map_or(Said::NotAsked, |_| Said::Honours);
            AskedInterpreter { executable, version, expected, said }
        })
        .collect();
    let to_ask: Vec<&mut AskedInterpreter> =
        asked.iter_mut().filter(|interpreter| interpreter.said != Said::NotAsked).collect();
    let questions = to_ask.iter().filter_map(|interpreter| {
        let identity = runners.identity(&interpreter.executable).ok()?;
        Some(question(launcher, identity, &interpreter.executable))
    });
    let questions = questions.collect();
    for (interpreter, answer) in to_ask.into_iter().zip(ask_all(questions, timeout)) {
        let output = answer.map(|answer| String::from_utf8_lossy(&answer.output).into_owned());
        interpreter.said = match output.as_deref().map(|output| output.trim().strip_prefix("pycstore:")) {
            Ok(Some(told)) if told == format!("{PREFIX}:") => Said::Honours,
            Ok(Some(_)) => Said::Ignores,
            Ok(None) => Said::Nothing("ended without an answer".into()),
            Err(error) => Said::Nothing(error.to_string()),
        };
    }
    asked
}

fn question(launcher: &Path, identity: Option<UserAndGroup>, executable: &Path) -> Inquiry {
    const MEMORY: u64 = 2 << 30;
    let containment = Containment { identity, memory: Some(MEMORY), processor_seconds: Some(60) };
    let mut command = containment.command(launcher, executable);
    command.args(["-S", "-B", "-c", CODE]).env_clear().env("PYTHONPYCACHEPREFIX", PREFIX).current_dir("/");
    Inquiry { command, mark: None }
}
