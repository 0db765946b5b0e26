//! What `schedule run` would do. On another user's store root does not know: that command continues as the owner of the store,
//! with the owner's configuration and history, and so the owner's process is asked.

use super::job::{self, Job};
use crate::cli::config;
use crate::cli::continuation;
use crate::cli::launch::this_program;
use crate::cli::output::complain::{self, Complaint};
use crate::cli::selection::Selection;
use crate::cli::session::Session;
use anyhow::Context;
use pycstore::exit::Exit;
use pycstore::history::{self, Run};
use pycstore::json;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::process::{Command, Stdio};

/// Maximum length of an answer, in bytes.
const LONGEST_ANSWER: u64 = 1 << 20;

/// What is removed each night, as `schedule run` decides it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Policy {
    /// The selectors and scopes, as the history names them.
    pub names: Vec<String>,
    /// Where they come from, for people.
    pub origin: String,
    /// Whether it removes every entry: that run needs consent, and has no terminal.
    pub empties_every_store: bool,
    /// The newest run with these selectors and scopes, or why it is not known.
    pub last_run: Result<Option<Run>, String>,
    /// The user who owns the store, where root continues as that user.
    pub user: Option<String>,
}

impl Policy {
    /// Returns the policy of the nightly run on the effective store.
    ///
    /// # Errors
    /// When the configuration has none, or the owner's process does not tell.
    pub fn of_night(session: &Session) -> anyhow::Result<Policy> {
        match continuation::other_owner(&session.global, &session.environment)? {
            Some(user) => Ok(Policy { user: Some(user), ..ask(session)? }),
            None => Policy::of_this_user(session),
        }
    }

    /// Returns the policy of a run by the user of this process.
    ///
    /// # Errors
    /// When the configuration has none.
    pub fn of_this_user(session: &Session) -> anyhow::Result<Policy> {
        let Selection { names, policy, .. } = Selection::of_prune(session, &job::policy(session, false))?;
        let origin = match (Selection::is_configured(session), &session.configuration.path) {
            (true, Some(path)) => path.display().to_string(),
            _ => "the default: the configuration has none".into(),
        };
        let last_run = last_run(session, &names).map_err(|error| complain::told(&error).0);
        let empties_every_store = policy.empties_every_store();
        Ok(Policy { names, origin, empties_every_store, last_run, user: None })
    }

    /// Refuses a policy that removes every entry each night.
    ///
    /// # Errors
    /// When it does.
    pub fn check(&self) -> Result<(), Complaint> {
        if !self.empties_every_store {
            return Ok(());
        }
        let (names, origin) = (self.names.join(", "), &self.origin);
        let message = format!("refused: {names} removes every entry each night ({origin})");
        Err(Complaint::new(message, "raise the limit, or let a job of your own run `pycstore prune --yes`"))
    }
}

/// The newest run on the effective store with this policy, by whomever it was started.
fn last_run(session: &Session, names: &[String]) -> anyhow::Result<Option<Run>> {
    let Some(store) = config::store(session).value else { return Ok(None) };
    let Some(state) = session.environment.state_directory.as_deref() else { return Ok(None) };
    Ok(history::newest(state, &store.canonicalize().unwrap_or(store), names)?)
}

/// Runs `schedule policy` as the job would run `schedule run`: it continues as the owner of the store.
fn ask(session: &Session) -> anyhow::Result<Policy> {
    const WHY: &str = "cannot find out what the owner of the store would remove each night";
    let mut arguments: Vec<OsString> = Job::of(session)?.arguments;
    arguments.pop();
    arguments.push("policy".into());
    let mut command = Command::new(this_program()?);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().context(WHY)?;
    let mut answer = Vec::new();
    if let Some(pipe) = child.stdout.take() {
        pipe.take(LONGEST_ANSWER).read_to_end(&mut answer).context(WHY)?;
    }
    // What was wrong it said itself.
    if !child.wait().context(WHY)?.success() {
        return Err(anyhow::anyhow!(WHY));
    }
    json::parse(&answer).context(WHY)
}

/// Runs `pycstore schedule policy`.
pub fn print(session: &Session) -> anyhow::Result<Exit> {
    let policy = Policy::of_this_user(session)?;
    let mut out = io::stdout().lock();
    json::print(&mut out, &policy)?;
    out.flush()?;
    Ok(Exit::Done)
}
