//! The directory that is promised: for its owner alone, and marked as a cache.
//!
//! Python makes it at the first import that compiles, with whatever mode the umask leaves; whoever may write there may
//! let our programs run theirs. `CACHEDIR.TAG` (the Cache Directory Tagging Specification) lets backup programs pass it
//! by. In the store it is `foreign`: counted, and never touched by anything.

use pycstore::edits::replace::create;
use pycstore::host::directory::effective_user;
use pycstore::host::trust::{self, Stranger};
use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The mode of a store.
const MODE: u32 = 0o700;

/// The name of the tag.
const TAG: &str = "CACHEDIR.TAG";

/// What the tag says. The first line is the signature that programs look for.
const CONTENTS: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # This directory is a cache of bytecode that Python makes again (PYTHONPYCACHEPREFIX).\n\
    # The tag was put here by `pycstore setup`. What it means: https://bford.info/cachedir/\n";

/// What is to be done to a store.
#[derive(Debug, PartialEq, Eq)]
pub struct Preparation {
    path: PathBuf,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Make,
    Close { mode: u32 },
    Tag,
}

/// Why a store cannot be prepared.
#[derive(Debug, thiserror::Error)]
#[error("cannot prepare the store {}", .path.display())]
pub struct PreparationError {
    path: PathBuf,
    source: io::Error,
}

impl Preparation {
    /// What the store at `path` lacks. A store of another user is not changed; one that is not below the home may be
    /// shared, and keeps its mode.
    ///
    /// # Errors
    /// When it cannot be looked at; as root, when another user owns it or could replace it: root's Pythons would run that
    /// user's bytecode.
    pub fn of(path: &Path, home: &Path) -> Result<Preparation, PreparationError> {
        let failed = |source| PreparationError { path: path.to_path_buf(), source };
        let steps: Vec<Step> = match path.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => vec![Step::Make, Step::Tag],
            answer => {
                let metadata = answer.map_err(failed)?;
                let is_ours = metadata.uid() == effective_user();
                let mode = metadata.mode() & 0o7777;
                let mut steps = Vec::new();
                if is_ours && mode & 0o077 != 0 && path.starts_with(home) {
                    steps.push(Step::Close { mode });
                }
                if is_ours && path.join(TAG).symlink_metadata().is_err() {
                    steps.push(Step::Tag);
                }
                steps
            }
        };
        if effective_user() == 0 {
            let owner = path.metadata().ok().map(|metadata| metadata.uid()).filter(|&user| user != 0);
            let owner = owner.map(|user| Stranger::Owner { path: path.to_path_buf(), user });
            if let Some(stranger) = owner.or_else(|| trust::stranger(&trust::ways_to(path), 0)) {
                return Err(failed(io::Error::other(format!("refused as root: {stranger}"))));
            }
        }
        Ok(Preparation { path: path.to_path_buf(), steps })
    }

    /// Whether it lacks nothing.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// What is to be done, a line each, where `store` is how people know it.
    pub fn lines(&self, store: &str) -> Vec<String> {
        let line = |step: &Step| match step {
            Step::Make => format!("make {store}, for you alone (0700)"),
            Step::Close { mode } => format!("close {store} to others (0700; it is {mode:04o})"),
            Step::Tag => format!("tag {store} as a cache ({TAG}): backups pass it by"),
        };
        self.steps.iter().map(line).collect()
    }

    /// Does it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn carry_out(&self) -> Result<(), PreparationError> {
        let failed = |source| PreparationError { path: self.path.clone(), source };
        for step in &self.steps {
            match step {
                Step::Make => DirBuilder::new().recursive(true).mode(MODE).create(&self.path),
                Step::Close { .. } => std::fs::set_permissions(&self.path, Permissions::from_mode(MODE)),
                Step::Tag => create(&self.path.join(TAG), CONTENTS.as_bytes(), 0o644),
            }
            .map_err(failed)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_made_closed_and_tagged() {
        let temporary = tempfile::tempdir().unwrap();
        let home = temporary.path();
        let store = home.join(".cache/cpython");
        let mode = |path: &Path| path.metadata().unwrap().mode() & 0o7777;
        let preparation = Preparation::of(&store, home).unwrap();
        assert_eq!(preparation.steps, [Step::Make, Step::Tag]);
        preparation.carry_out().unwrap();
        assert_eq!(mode(&store), 0o700);
        let tag = std::fs::read_to_string(store.join(TAG)).unwrap();
        assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55\n"));
        assert!(Preparation::of(&store, home).unwrap().is_empty());
        std::fs::set_permissions(&store, Permissions::from_mode(0o755)).unwrap();
        let preparation = Preparation::of(&store, home).unwrap();
        assert_eq!(preparation.lines("~/s"), ["close ~/s to others (0700; it is 0755)"]);
        assert!(Preparation::of(&store, Path::new("/elsewhere")).unwrap().is_empty(), "it may be shared");
        preparation.carry_out().unwrap();
        assert_eq!(mode(&store), 0o700);
    }
}
