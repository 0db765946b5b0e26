//! Which interpreter a source is for: that of the environment it lies in, of its installation, of its project's `.venv`.

use crate::source::walk::PROJECT_MARKERS;
use crate::store::in_tree::root::is_standard_library;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What decides for the sources in a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decider {
    /// The environment with this root.
    Environment(PathBuf),
    /// The installation with this library.
    Installation(PathBuf),
    /// Nothing: any interpreter may import them.
    Nothing,
}

/// The deciders of directories, each looked up once.
#[derive(Debug, Default)]
pub struct Deciders {
    around: HashMap<PathBuf, Decider>,
    beside: HashMap<PathBuf, Option<PathBuf>>,
}

/// Markers of version control: a project's `.venv` is looked for no further up.
const VERSION_CONTROL: usize = 5;

impl Deciders {
    /// What decides for the sources directly in a directory, given by its absolute path.
    pub fn of(&mut self, directory: &Path) -> Decider {
        match self.around(directory) {
            Decider::Nothing => match self.beside(directory) {
                Some(environment) => Decider::Environment(environment),
                None => Decider::Nothing,
            },
            decider => decider,
        }
    }

    /// The environment or the installation that a directory lies in. No project's marker counts on the way: in
    /// `site-packages` lie many.
    fn around(&mut self, directory: &Path) -> Decider {
        if let Some(known) = self.around.get(directory) {
            return known.clone();
        }
        let found = if is_environment(directory) {
            Decider::Environment(directory.to_path_buf())
        } else if is_standard_library(directory) {
            Decider::Installation(directory.to_path_buf())
        } else {
            directory.parent().map_or(Decider::Nothing, |parent| self.around(parent))
        };
        self.around.insert(directory.to_path_buf(), found.clone());
        found
    }

    /// The nearest `.venv` in a directory or above it, up to the root of version control.
    fn beside(&mut self, directory: &Path) -> Option<PathBuf> {
        if let Some(known) = self.beside.get(directory) {
            return known.clone();
        }
        let own = directory.join(".venv");
        let is_top = PROJECT_MARKERS[..VERSION_CONTROL].iter().any(|marker| directory.join(marker).exists());
        let found = if is_environment(&own) {
            Some(own)
        } else {
            directory.parent().filter(|_| !is_top).and_then(|parent| self.beside(parent))
        };
        self.beside.insert(directory.to_path_buf(), found.clone());
        found
    }
}

/// Whether a directory is an environment: of virtualenv or venv (PEP 405), or of conda.
fn is_environment(directory: &Path) -> bool {
    directory.join("pyvenv.cfg").is_file() || directory.join("conda-meta").is_dir()
}

/// The executable of an environment.
pub fn executable_of(environment: &Path) -> Option<PathBuf> {
    let names = ["python", "python3", "pypy3"];
    names.into_iter().map(|name| environment.join("bin").join(name)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_that_has_a_say_decides() {
        let (_temporary, base) = crate::temporary::directory();
        let write = |path: &str| {
            let path = base.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        };
        for path in [
            ".venv/pyvenv.cfg",
            "p/.git/HEAD",
            "p/.venv/pyvenv.cfg",
            "p/.venv/lib/python3.12/site-packages/numpy/setup.py",
            "p/member/pyproject.toml",
            "p/member/src/m.py",
            "q/.git/HEAD",
            "q/m.py",
            "loose/m.py",
            "c/conda-meta/history",
            "c/lib/m.py",
            "i/lib/python3.12/os.py",
            "i/lib/python3.12/encodings/x.py",
            "i/lib/python3.12/importlib/x.py",
        ] {
            write(path);
        }
        let mut deciders = Deciders::default();
        let mut of = |path: &str| deciders.of(&base.join(path));
        let environment = |path: &str| Decider::Environment(base.join(path));
        assert_eq!(of("p/.venv/lib/python3.12/site-packages/numpy"), environment("p/.venv"));
        assert_eq!(of("p/member/src"), environment("p/.venv"));
        assert_eq!(of("p"), environment("p/.venv"));
        assert_eq!(of("q"), Decider::Nothing);
        assert_eq!(of("loose"), environment(".venv"));
        assert_eq!(of("c/lib"), environment("c"));
        assert_eq!(of("i/lib/python3.12/encodings"), Decider::Installation(base.join("i/lib/python3.12")));
        assert_eq!(
            VERSION_CONTROL,
            PROJECT_MARKERS.iter().take_while(|marker| marker.starts_with('.')).count()
        );
    }
}
