//! What the process's environment says; the only place that asks it.

use anyhow::Context;
use pycstore::units::Moment;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The environment as the program uses it. An empty variable counts as unset, as it does for Python.
#[derive(Debug, Clone)]
pub struct Environment {
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `PYTHONPYCACHEPREFIX`.
    pub prefix: Option<OsString>,
    /// The working directory.
    pub working_directory: PathBuf,
    /// The moment at which the program began.
    pub now: Moment,
}

impl Environment {
    /// That of this process.
    pub fn of_process() -> anyhow::Result<Environment> {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Ok(Environment {
            home: variable("HOME").map(PathBuf::from).filter(|home| home.is_absolute()),
            prefix: variable("PYTHONPYCACHEPREFIX"),
            working_directory: std::env::current_dir().context("cannot find the working directory")?,
            now: SystemTime::now().into(),
        })
    }

    /// A path as the shell and Python take it: below the working directory unless absolute, dots resolved
    /// lexically, symbolic links kept as they are spelled.
    pub fn absolute(&self, path: &Path) -> PathBuf {
        use std::path::Component;
        let mut absolute = PathBuf::from("/");
        for component in self.working_directory.join(path).components() {
            match component {
                Component::Normal(name) => absolute.push(name),
                Component::ParentDir => {
                    absolute.pop();
                }
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        absolute
    }
}
