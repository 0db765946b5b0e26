//! The command that a schedule runs: the program by its absolute path, with the options and the environment variables of this
//! session that a scheduler would not pass.

use crate::complaint::Complaint;
use crate::environment::Environment;
use crate::host::directory::effective_user;
use crate::host::trust;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The description of the job, where a schedule has one.
pub const DESCRIPTION: &str = "Remove what Python cannot use any more from its bytecode store";

/// The name of units and files.
pub const NAME: &str = "pycstore";

/// The name in the markers of our blocks.
pub const MARK: &str = "pycstore schedule";

/// The command of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// The environment variables that it needs.
    pub variables: Vec<(&'static str, PathBuf)>,
    /// The directories in which a job for every user writes; empty for a job of one user.
    pub writable: Vec<PathBuf>,
}

/// The global options that decide what the job does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobOptions {
    /// The store, if an option or a variable names it.
    pub store: Option<PathBuf>,
    /// The configuration file, if an option or a variable names it; `/dev/null` for none.
    pub configuration: Option<PathBuf>,
    /// The number of threads.
    pub threads: Option<u16>,
    /// The paths whose missing sources count as deleted, absolute.
    pub assume_gone: Vec<PathBuf>,
    /// The options of a job for every user; `None` for a job of one user.
    pub system: Option<SystemJobOptions>,
}

/// The options of a job for every user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SystemJobOptions {
    /// Its options, as text.
    pub arguments: Vec<OsString>,
    /// The directories of the files that it writes as root, such as that of the metrics.
    pub written: Vec<PathBuf>,
    /// The directories of the homes.
    pub homes: Vec<PathBuf>,
}

impl Job {
    /// Returns the job that runs `pycstore schedule run` as it would run now in this environment with these options.
    ///
    /// # Errors
    /// If this program cannot be found by its path, or a path has a control character, which no schedule can express.
    pub fn new(environment: &Environment, options: JobOptions) -> Result<Job, Complaint> {
        let program = environment.executable.as_deref().map(|path| environment.absolute(path));
        let program = program.filter(|path| path.is_file()).ok_or_else(|| {
            Complaint::new("this program is not where it was started from", "start it again, by its path")
        })?;
        let system = options.system.clone();
        // Each user has directories of their own.
        let variables = if system.is_some() { Vec::new() } else { variables(environment) };
        let writable =
            system.into_iter().flat_map(|system| [system.homes, system.written].concat()).collect();
        let job = Job { program, arguments: options.arguments(), variables, writable };
        job.check_characters()?;
        Ok(job)
    }

    fn check_characters(&self) -> Result<(), Complaint> {
        let paths =
            self.variables.iter().map(|(_, path)| path).chain(&self.writable).map(|path| path.as_os_str());
        let words = self.arguments.iter().map(OsString::as_os_str).chain([self.program.as_os_str()]);
        let has_control = |text: &&std::ffi::OsStr| text.as_encoded_bytes().iter().any(u8::is_ascii_control);
        let Some(text) = words.chain(paths).find(has_control) else { return Ok(()) };
        let message = format!("{}: a schedule cannot have a control character", text.display());
        Err(Complaint::new(message, "choose another name"))
    }

    /// As root, checks that no other user can change the program that would run each night, and the files that it would read and
    /// write.
    ///
    /// # Errors
    /// If another user can.
    pub fn check_trust(&self) -> Result<(), Complaint> {
        let user = effective_user();
        if user != 0 {
            return Ok(());
        }
        let hint = "put it where only root may write, such as /usr/local/bin, and run it from there";
        let program = ("run", self.program.as_path(), hint);
        let hint = "point XDG_CONFIG_HOME, XDG_STATE_HOME and --config at paths that only root can change";
        let directories = self.variables.iter().map(|(_, path)| path.as_path());
        let used = directories.chain(self.configuration()).map(|path| ("use", path, hint));
        for (verb, path, hint) in std::iter::once(program).chain(used) {
            if let Some(stranger) = trust::stranger(&trust::ways(path), user) {
                let message =
                    format!("refused: root would {verb} {} each night, and {stranger}", path.display());
                return Err(Complaint::new(message, hint));
            }
        }
        Ok(())
    }

    /// Returns the configuration file among the arguments. A device such as `/dev/null` is harmless, although everyone may write to
    /// it.
    fn configuration(&self) -> Option<&Path> {
        let mut arguments = self.arguments.iter().skip_while(|argument| *argument != "--config");
        arguments.nth(1).map(Path::new).filter(|path| path.is_file())
    }
}

impl JobOptions {
    fn arguments(self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["--quiet".into()];
        let mut add = |option: &str, value: OsString| arguments.extend([option.into(), value]);
        if let Some(store) = self.store {
            add("--store", store.into_os_string());
        }
        if let Some(path) = self.configuration {
            add("--config", path.into_os_string());
        }
        if let Some(threads) = self.threads {
            add("--threads", threads.to_string().into());
        }
        for path in self.assume_gone {
            add("--assume-gone", path.into_os_string());
        }
        arguments.extend(["schedule".into(), "run".into()]);
        arguments.extend(self.system.into_iter().flat_map(|system| system.arguments));
        arguments
    }
}

/// Returns the variables for the directories of our configuration and state that are not at their usual places.
fn variables(environment: &Environment) -> Vec<(&'static str, PathBuf)> {
    let directories = [
        ("XDG_CONFIG_HOME", &environment.configuration_directory, ".config"),
        ("XDG_STATE_HOME", &environment.state_directory, ".local/state"),
    ];
    let variable = |(name, directory, usual): (_, &Option<PathBuf>, &str)| {
        let base = directory.as_deref()?.parent()?;
        let usual = environment.home.as_ref().map(|home| home.join(usual));
        (usual.as_deref() != Some(base)).then(|| (name, base.to_path_buf()))
    };
    directories.into_iter().filter_map(variable).collect()
}
