//! What is run: the program by its absolute path, the options and the environment that this session has and that the
//! night would not, and the policy.

use crate::cli::config::{Location, Origin};
use crate::cli::output::complain::Complaint;
use crate::cli::prune::PruneOptions;
use crate::cli::selection::{Selection, SelectorOptions};
use crate::cli::session::Session;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What is said of the job where there is room for it.
pub const DESCRIPTION: &str = "Remove what Python cannot use any more from its bytecode store";

/// The name of units and files.
pub const NAME: &str = "pycstore";

/// What the markers of our blocks say.
pub const MARK: &str = "pycstore schedule";

/// The command of the schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Variables it needs, with their values.
    pub variables: Vec<(&'static str, PathBuf)>,
}

impl Job {
    /// The job that does at night what this session would: the same store, configuration and history, and every global
    /// option that decides what is done.
    ///
    /// # Errors
    /// When the program cannot be found again, or a path cannot be written into any schedule.
    pub fn of(session: &Session) -> Result<Job, Complaint> {
        let environment = &session.environment;
        let program = environment.executable.as_deref().map(|path| environment.absolute(path));
        let program = program.filter(|path| path.is_file()).ok_or_else(|| {
            Complaint::new("this program is not where it was started from", "start it again, by its path")
        })?;
        let mut arguments: Vec<OsString> = vec!["--quiet".into()];
        let store = session.store();
        if let (Origin::Flag(_) | Origin::Variable(_), Some(path)) = (store.origin, store.value) {
            arguments.extend(["--store".into(), path.into_os_string()]);
        }
        let location = Location::find(session.global.config.as_deref(), environment);
        if location.origin != Origin::Default {
            match location.path {
                Some(path) => arguments.extend(["--config".into(), path.into_os_string()]),
                // PYCSTORE_CONFIG is set and empty: no configuration.
                None => arguments.extend(["--config".into(), "/dev/null".into()]),
            }
        }
        if let Some(threads) = session.global.threads {
            arguments.extend(["--threads".into(), threads.to_string().into()]);
        }
        for path in &session.global.assume_gone {
            arguments.extend(["--assume-gone".into(), environment.absolute(path).into_os_string()]);
        }
        arguments.extend(["schedule".into(), "run".into()]);
        let mut variables = Vec::new();
        let mut keep = |name, directory: Option<&Path>, usual: &str| {
            let base = directory.and_then(Path::parent);
            let usual = environment.home.as_ref().map(|home| home.join(usual));
            if let Some(base) = base.filter(|base| usual.as_deref() != Some(base)) {
                variables.push((name, base.to_path_buf()));
            }
        };
        keep("XDG_CONFIG_HOME", environment.configuration_directory.as_deref(), ".config");
        keep("XDG_STATE_HOME", environment.state_directory.as_deref(), ".local/state");
        let job = Job { program, arguments, variables };
        let is_control = |text: &OsString| text.as_encoded_bytes().iter().any(u8::is_ascii_control);
        let paths = job.variables.iter().map(|(_, path)| path.clone().into_os_string());
        let mut all =
            job.arguments.iter().cloned().chain([job.program.clone().into_os_string()]).chain(paths);
        if let Some(text) = all.find(is_control) {
            let message = format!("{}: a control character goes into no schedule", text.display());
            return Err(Complaint::new(message, "choose another name"));
        }
        Ok(job)
    }
}

/// The options of `prune` that are the policy: the configuration's, else orphans, stale, corrupt and temporary.
pub fn policy(session: &Session, is_dry: bool) -> PruneOptions {
    let mut options = PruneOptions::default();
    options.run.dry_run = is_dry;
    if !Selection::is_configured(session) {
        options.selectors = SelectorOptions {
            orphans: true,
            stale: true,
            corrupt: true,
            temporary: true,
            ..SelectorOptions::default()
        };
        // Intervals belong to the policy; here it is the default one.
        let table = &session.configuration.prune;
        options.min_interval = table.min_interval.as_ref().map(|age| age.value);
        options.run.max_runtime = table.max_runtime.as_ref().map(|age| age.value);
    }
    options
}

/// Refuses a policy that removes every entry each night: that run needs consent, and has no terminal.
///
/// # Errors
/// When the policy does so, or there is none.
pub fn leaves_something(session: &Session) -> anyhow::Result<()> {
    if !policy(session, false).selection(session)?.policy.empties_every_store() {
        return Ok(());
    }
    let (names, origin) = described(session)?;
    let message = format!("refused: {} removes every entry each night ({origin})", names.join(", "));
    Err(Complaint::new(message, "raise the limit, or let a job of your own run `pycstore prune --yes`")
        .into())
}

/// The policy, as the history names it, and where it comes from.
///
/// # Errors
/// When the configuration's is none.
pub fn described(session: &Session) -> anyhow::Result<(Vec<String>, String)> {
    let names = policy(session, false).selection(session)?.names;
    let origin = match (Selection::is_configured(session), &session.configuration.path) {
        (true, Some(path)) => path.display().to_string(),
        _ => "the default: the configuration has none".into(),
    };
    Ok((names, origin))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Arguments, definition};
    use clap::Parser;
    use pycstore::environment::Environment;

    /// The job of a program that is started with these options.
    fn arguments(options: &[&str]) -> Vec<String> {
        let temporary = tempfile::tempdir().unwrap();
        let home = temporary.path().to_str().unwrap();
        let given = ["pycstore", "schedule", "install"].iter().chain(options);
        let global = Arguments::try_parse_from(given).unwrap().global;
        let environment =
            Environment { executable: std::env::current_exe().ok(), ..Environment::of_test(home) };
        let job = Job::of(&Session::new(global, environment)).unwrap();
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
