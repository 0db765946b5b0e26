//! The interpreters, really asked: each is run to say what its `sys.pycache_prefix` is.
//!
//! # Invariants
//!
//! * One that is not run, because others may change it, is judged by its version.
//! * None writes anything (`-B`), nor imports anything but what it starts with (`-S`).

use super::question::{Question, ask_all, is_trusted};
use pycstore::exposure::Guard;
use pycstore::interpreter::{Interpreters, StoreUse};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A prefix that no store has.
const PREFIX: &str = "/pycstore/asks";

/// Runs on 2.7 and on everything since.
const CODE: &str = "import sys; print('pycstore:%s:' % getattr(sys, 'pycache_prefix', ''))";

/// An interpreter and what came of asking it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedInterpreter {
    /// Its executable.
    pub executable: PathBuf,
    /// Its version, as far as its installation tells.
    pub version: String,
    /// Whether it should use a store, by its version; what cannot be told should.
    pub expected: StoreUse,
    /// What it said.
    pub said: Said,
}

/// What an interpreter said of the prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It has it.
    Honours,
    /// It has it not.
    Ignores,
    /// Nothing; why.
    Nothing(String),
    /// It was not asked: others may change it.
    NotAsked,
}

/// Asks all that were found.
pub fn ask(found: &Interpreters, guard: Guard<'_>, patience: Duration) -> Vec<AskedInterpreter> {
    let identified = found.found.iter().filter_map(|interpreter| {
        Some((interpreter.executable.clone()?, interpreter.version.to_string(), interpreter.store_use))
    });
    let unidentified =
        found.unidentified.iter().map(|executable| (executable.clone(), "?".to_string(), StoreUse::Uses));
    let mut asked: Vec<AskedInterpreter> = identified
        .chain(unidentified)
        .map(|(executable, version, expected)| {
            let said = if is_trusted(&executable, guard) { Said::Honours } else { Said::NotAsked };
            AskedInterpreter { executable, version, expected, said }
        })
        .collect();
    let to_ask: Vec<&mut AskedInterpreter> =
        asked.iter_mut().filter(|interpreter| interpreter.said != Said::NotAsked).collect();
    let questions = to_ask.iter().map(|interpreter| question(&interpreter.executable)).collect();
    for (interpreter, answer) in to_ask.into_iter().zip(ask_all(questions, patience)) {
        let output = answer.map(|answer| String::from_utf8_lossy(&answer.output).into_owned());
        interpreter.said = match output.as_deref().map(|output| output.trim().strip_prefix("pycstore:")) {
            Ok(Some(told)) if told == format!("{PREFIX}:") => Said::Honours,
            Ok(Some(_)) => Said::Ignores,
            Ok(None) => Said::Nothing("ended without an answer".into()),
            Err(silence) => Said::Nothing(silence.to_string()),
        };
    }
    asked
}

fn question(executable: &Path) -> Question {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(executable);
    command.args(["-S", "-B", "-c", CODE]).env_clear().env("PYTHONPYCACHEPREFIX", PREFIX);
    // In a group of its own it is ended with what it started.
    command.current_dir("/").process_group(0);
    Question { command, mark: None }
}
