//! Finds the configuration file: `--config`, else `PYCSTORE_CONFIG`, else the XDG directories.

use super::origin::Origin;
use pycstore::environment::Environment;
use std::path::{Path, PathBuf};

/// The configuration file's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Its path; `None` for no file at all.
    pub path: Option<PathBuf>,
    /// Where its path comes from.
    pub origin: Origin,
}

impl Location {
    /// Finds the place. A variable that is set and empty means no file.
    pub fn find(flag: Option<&Path>, environment: &Environment) -> Location {
        if let Some(path) = flag {
            return Location { path: Some(environment.absolute(path)), origin: Origin::Flag("--config") };
        }
        if let Some(variable) = &environment.configuration {
            let path = (!variable.is_empty()).then(|| environment.absolute(Path::new(variable)));
            return Location { path, origin: Origin::Variable("PYCSTORE_CONFIG") };
        }
        let path =
            environment.configuration_directory.as_ref().map(|directory| directory.join("config.toml"));
        Location { path, origin: Origin::Default }
    }
}
