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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_is_stronger_than_a_variable_and_that_than_the_default() {
        let mut environment = Environment::of_test("/home/me");
        let find = |flag: Option<&str>, environment: &Environment| {
            let location = Location::find(flag.map(Path::new), environment);
            (location.path.map(|path| path.display().to_string()), location.origin)
        };
        let at = |path: &str| Some(path.to_string());
        assert_eq!(find(None, &environment), (at("/home/me/.config/pycstore/config.toml"), Origin::Default));
        environment.configuration = Some("".into());
        assert_eq!(find(None, &environment), (None, Origin::Variable("PYCSTORE_CONFIG")));
        environment.configuration = Some("other.toml".into());
        assert_eq!(
            find(None, &environment),
            (at("/home/me/other.toml"), Origin::Variable("PYCSTORE_CONFIG"))
        );
        assert_eq!(find(Some("/x/y.toml"), &environment), (at("/x/y.toml"), Origin::Flag("--config")));
        let homeless = Environment { configuration_directory: None, configuration: None, ..environment };
        assert_eq!(find(None, &homeless), (None, Origin::Default));
    }
}
