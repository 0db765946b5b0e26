//! Makes temporary directories, for the unit tests.

use std::path::PathBuf;

/// A temporary directory, and its path with links resolved.
pub fn directory() -> (tempfile::TempDir, PathBuf) {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().canonicalize().unwrap();
    (temporary, path)
}
