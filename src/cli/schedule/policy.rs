//! The nightly job, and what it removes.

use crate::cli::config::{Location, Origin};
use crate::cli::continuation;
use crate::cli::env::this_program;
use crate::cli::output::complain::{self, Complaint};
use crate::cli::prune::PruneOptions;
use crate::cli::selection::Selection;
use crate::cli::session::Session;
use anyhow::Context;
use pycstore::exit::Exit;
use pycstore::history::{self, Run};
use pycstore::json;
use pycstore::schedule::{Job, JobOptions, SystemJobOptions};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::process::{Command, Stdio};

/// Returns the job that does at night what `pycstore schedule run` would do now: with the same store, configuration and history, and
/// with every global option that decides what is removed.
///
/// # Errors
/// Those of [`Job::new`].
pub fn job(session: &Session, system: Option<SystemJobOptions>) -> Result<Job, Complaint> {
    let environment = &session.environment;
    let store = session.store();
    let is_named = matches!(store.origin, Origin::Flag(_) | Origin::Variable(_));
    let location = Location::find(session.global.config.as_deref(), environment);
    // An empty PYCSTORE_CONFIG means no configuration.
    let configuration = || location.path.unwrap_or_else(|| "/dev/null".into());
    let options = JobOptions {
        system,
        store: store.value.filter(|_| is_named),
        configuration: (location.origin != Origin::Default).then(configuration),
        threads: session.global.threads,
        assume_gone: session.global.assume_gone.iter().map(|path| environment.absolute(path)).collect(),
    };
    Job::new(environment, options)
}

/// Maximum length of an answer of the owner's process, in bytes.
const LONGEST_ANSWER: u64 = 1 << 20;

/// The policy of `schedule run`.
#[derive(Debug, Serialize, Deserialize)]
pub struct NightlyPolicy {
    /// The selectors and scopes, as the history names them.
    pub names: Vec<String>,
    /// Where they come from, as text.
    pub origin: String,
    /// Whether the job then shares equal entries.
    pub share: bool,
    /// Whether it removes every entry.
    empties_every_store: bool,
    /// The newest run with these selectors and scopes, or why it is unknown.
    pub last_run: Result<Option<Run>, String>,
    /// The user who owns the store, if root continues as that user.
    pub user: Option<String>,
}

impl NightlyPolicy {
    /// Returns the policy of the nightly run on the effective store. On another user's store, root asks a process that continues
    /// as that user: the policy and the history are that user's.
    ///
    /// # Errors
    /// If the configuration has an invalid policy, or the owner's process fails.
    pub fn new(session: &Session) -> anyhow::Result<NightlyPolicy> {
        match continuation::other_owner(&session.global, &session.environment)? {
            Some(user) => Ok(NightlyPolicy { user: Some(user), ..ask_owner(session)? }),
            None => NightlyPolicy::of_this_user(session),
        }
    }

    /// Returns the policy of a run by the user of this process.
    ///
    /// # Errors
    /// If the configuration has an invalid policy.
    fn of_this_user(session: &Session) -> anyhow::Result<NightlyPolicy> {
        let Selection { names, policy, .. } = PruneOptions::default().selection(session)?;
        let origin = match (Selection::is_configured(session), &session.configuration.path) {
            (true, Some(path)) => path.display().to_string(),
            _ => "default".into(),
        };
        let last_run = newest_run(session, &names).map_err(|error| complain::message_and_hint(&error).0);
        let empties_every_store = policy.empties_every_store();
        let share = session.configuration.share.is_nightly();
        Ok(NightlyPolicy { names, origin, share, empties_every_store, last_run, user: None })
    }

    /// Refuses a policy that would remove every entry every night: that run needs consent, and has no terminal.
    ///
    /// # Errors
    /// If it does.
    pub fn check(&self) -> Result<(), Complaint> {
        if !self.empties_every_store {
            return Ok(());
        }
        let (names, origin) = (self.names.join(", "), &self.origin);
        let message = format!("refused: {names} would remove every entry every night ({origin})");
        Err(Complaint::new(message, "raise the limit, or run `pycstore prune --yes` from your own job"))
    }
}

/// Returns the newest run by this user with the nightly policy on the effective store.
///
/// # Errors
/// If the policy or the history cannot be read.
pub fn last_run(session: &Session) -> anyhow::Result<Option<Run>> {
    NightlyPolicy::of_this_user(session)?.last_run.map_err(anyhow::Error::msg)
}

/// Returns the newest run with these selectors and scopes on the effective store, whoever started it.
fn newest_run(session: &Session, names: &[String]) -> anyhow::Result<Option<Run>> {
    let Some(store) = session.store().value else { return Ok(None) };
    let Some(state) = session.environment.state_directory.as_deref() else { return Ok(None) };
    Ok(history::newest(state, &store.canonicalize().unwrap_or(store), names)?)
}

/// Runs `schedule policy` as the job would run `schedule run`: it continues as the owner of the store.
fn ask_owner(session: &Session) -> anyhow::Result<NightlyPolicy> {
    const WHY: &str = "cannot determine the nightly policy of the owner of the store";
    let mut arguments = job(session, None)?.arguments;
    arguments.pop();
    arguments.push("policy".into());
    let mut command = Command::new(this_program()?);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().context(WHY)?;
    let mut answer = Vec::new();
    if let Some(pipe) = child.stdout.take() {
        pipe.take(LONGEST_ANSWER).read_to_end(&mut answer).context(WHY)?;
    }
    // It reports its own errors.
    if !child.wait().context(WHY)?.success() {
        return Err(anyhow::anyhow!(WHY));
    }
    json::parse(&answer).context(WHY)
}

/// Runs `pycstore schedule policy`.
pub fn print(session: &Session) -> anyhow::Result<Exit> {
    let policy = NightlyPolicy::of_this_user(session)?;
    let mut out = io::stdout().lock();
    json::print(&mut out, &policy)?;
    out.flush()?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Arguments, definition};
    use clap::Parser;
    use pycstore::environment::Environment;

    /// The arguments of the job of a program that is started with these options.
    fn arguments(options: &[&str]) -> Vec<String> {
        let temporary = tempfile::tempdir().unwrap();
        let home = temporary.path().to_str().unwrap();
        let given = ["pycstore", "schedule", "install"].iter().chain(options);
        let global = Arguments::try_parse_from(given).unwrap().global;
        let environment =
            Environment { executable: std::env::current_exe().ok(), ..Environment::of_test(home) };
        let job = job(&Session::new(global, environment), None).unwrap();
        job.arguments.iter().map(|argument| argument.to_str().unwrap().replace(home, "~")).collect()
    }

    #[test]
    fn every_global_option_reaches_the_job_or_is_about_this_run_alone() {
        let definition = definition();
        let install = definition.find_subcommand("schedule").unwrap();
        let options = install.get_arguments().filter(|option| option.is_global_set());
        let mut names: Vec<&str> = options.filter_map(|option| option.get_long()).collect();
        names.sort_unstable();
        assert_eq!(names, ["assume-gone", "color", "config", "quiet", "store", "threads"]);
        let reach: [(&[&str], &[&str]); 5] = [
            (&["--threads", "3"], &["--threads", "3"]),
            (
                &["--assume-gone", "old", "--assume-gone", "/mnt/a b"],
                &["--assume-gone", "~/old", "--assume-gone", "/mnt/a b"],
            ),
            (&["--store", "s"], &["--store", "~/s"]),
            (&["--config", "c"], &["--config", "~/c"]),
            (&["--quiet", "--color", "never"], &[]),
        ];
        for (given, expected) in reach {
            let arguments = arguments(given);
            assert_eq!(arguments, [&["--quiet"], expected, &["schedule", "run"]].concat());
        }
    }
}
