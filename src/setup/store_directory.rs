//! Prepares the directory of the store: accessible to its owner alone, and tagged as a cache.
//!
//! Otherwise Python creates it at the first import that compiles, with the mode that the umask leaves, and anyone who may write
//! there can make the user's Pythons run their code. `CACHEDIR.TAG` (the Cache Directory Tagging Specification) makes backup
//! programs skip the directory. In the store it is `foreign`: counted, and never removed.

use crate::edits::replace::create;
use crate::host::directory::effective_user;
use crate::host::trust::{self, Stranger};
use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The mode of a store.
const MODE: u32 = 0o700;

/// The name of the tag.
const TAG: &str = "CACHEDIR.TAG";

/// The contents of the tag. The first line is the signature that programs look for.
const CONTENTS: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # This directory is a cache of bytecode that Python makes again (PYTHONPYCACHEPREFIX).\n\
    # The tag was put here by `pycstore setup`. What it means: https://bford.info/cachedir/\n";

/// The steps that a store needs.
#[derive(Debug, PartialEq, Eq)]
pub struct Preparation {
    path: PathBuf,
    steps: Vec<PreparationStep>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PreparationStep {
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
    /// Returns the steps that the store at `path` needs. A store of another user is not changed. A store that is not below the
    /// home keeps its mode, because it may be shared.
    ///
    /// # Errors
    /// If its metadata cannot be read; as root, if another user owns it or could replace it: root's Pythons would run that user's
    /// bytecode.
    pub fn new(path: &Path, home: &Path) -> Result<Preparation, PreparationError> {
        let failed = |source| PreparationError { path: path.to_path_buf(), source };
        let steps: Vec<PreparationStep> = match path.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                vec![PreparationStep::Make, PreparationStep::Tag]
            }
            answer => {
                let metadata = answer.map_err(failed)?;
                let is_ours = metadata.uid() == effective_user();
                let mode = metadata.mode() & 0o7777;
                let mut steps = Vec::new();
                if is_ours && mode & 0o077 != 0 && path.starts_with(home) {
                    steps.push(PreparationStep::Close { mode });
                }
                if is_ours && path.join(TAG).symlink_metadata().is_err() {
                    steps.push(PreparationStep::Tag);
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

    /// Returns a line for each step; `store` is the path for people.
    pub fn lines(&self, store: &str) -> Vec<String> {
        let line = |step: &PreparationStep| match step {
            PreparationStep::Make => format!("create {store}, for you alone (0700)"),
            PreparationStep::Close { mode } => format!("restrict {store} to you (0700; it is {mode:04o})"),
            PreparationStep::Tag => format!("tag {store} as a cache ({TAG}): backup programs skip it"),
        };
        self.steps.iter().map(line).collect()
    }

    /// Carries out the steps.
    ///
    /// # Errors
    /// Those of the system.
    pub fn carry_out(&self) -> Result<(), PreparationError> {
        let failed = |source| PreparationError { path: self.path.clone(), source };
        for step in &self.steps {
            match step {
                PreparationStep::Make => DirBuilder::new().recursive(true).mode(MODE).create(&self.path),
                PreparationStep::Close { .. } => {
                    std::fs::set_permissions(&self.path, Permissions::from_mode(MODE))
                }
                PreparationStep::Tag => create(&self.path.join(TAG), CONTENTS.as_bytes(), 0o644),
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
        let preparation = Preparation::new(&store, home).unwrap();
        assert_eq!(preparation.steps, [PreparationStep::Make, PreparationStep::Tag]);
        preparation.carry_out().unwrap();
        assert_eq!(mode(&store), 0o700);
        let tag = std::fs::read_to_string(store.join(TAG)).unwrap();
        assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55\n"));
        assert!(Preparation::new(&store, home).unwrap().steps.is_empty());
        std::fs::set_permissions(&store, Permissions::from_mode(0o755)).unwrap();
        let preparation = Preparation::new(&store, home).unwrap();
        assert_eq!(preparation.lines("~/s"), ["restrict ~/s to you (0700; it is 0755)"]);
        assert!(
            Preparation::new(&store, Path::new("/elsewhere")).unwrap().steps.is_empty(),
            "it may be shared"
        );
        preparation.carry_out().unwrap();
        assert_eq!(mode(&store), 0o700);
    }
}
