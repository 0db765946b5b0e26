//! A store and its sources in a temporary directory, with entries of every kind.

use crate::support::date_back;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const TAG: &str = "cpython-312";
const MTIME: u32 = 1_700_000_000;
const SOURCE: &[u8] = b"X = 1\n";

/// A store with its sources.
pub struct Tree {
    _temporary: tempfile::TempDir,
    /// The directory that everything is in; links resolved.
    pub base: PathBuf,
    /// The store.
    pub store: PathBuf,
    /// A project, with a marker.
    pub project: PathBuf,
}

/// A file name with any bytes.
pub fn name(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}

/// An entry that is tied to a source of [`Tree::source`]; its body is none.
pub fn bytecode() -> Vec<u8> {
    let mut bytes = 3531_u16.to_le_bytes().to_vec();
    bytes.extend_from_slice(b"\r\n\0\0\0\0");
    bytes.extend_from_slice(&MTIME.to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(SOURCE.len()).unwrap().to_le_bytes());
    bytes.extend_from_slice(b"no marshal data");
    bytes
}

impl Tree {
    /// An empty store, and a project without modules.
    pub fn new() -> Tree {
        let temporary = tempfile::tempdir().unwrap();
        let base = temporary.path().canonicalize().unwrap();
        let (store, project) = (base.join("store"), base.join("src/project"));
        fs::create_dir_all(&project).unwrap();
        fs::write(project.join("pyproject.toml"), "").unwrap();
        let tree = Tree { _temporary: temporary, base, store, project };
        fs::create_dir_all(tree.mirror("")).unwrap();
        tree
    }

    /// The store's directory that mirrors one of the project.
    pub fn mirror(&self, directory: impl AsRef<Path>) -> PathBuf {
        self.mirror_of(&self.project.join(directory))
    }

    /// The store's directory that mirrors any directory.
    pub fn mirror_of(&self, directory: &Path) -> PathBuf {
        self.store.join(directory.strip_prefix("/").unwrap())
    }

    /// Writes a source below the project.
    pub fn source(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = self.project.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, SOURCE).unwrap();
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(MTIME));
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(modified).unwrap();
        path
    }

    /// Writes the entry of a source, which need not be there. A path from the project, or an absolute one.
    pub fn entry(&self, source: impl AsRef<Path>, contents: &[u8]) -> PathBuf {
        let source = self.project.join(source);
        let stem = source.file_stem().unwrap().as_bytes();
        let entry = self.mirror_of(source.parent().unwrap());
        fs::create_dir_all(&entry).unwrap();
        let entry = entry.join(OsStr::from_bytes(&[stem, b".", TAG.as_bytes(), b".pyc"].concat()));
        fs::write(&entry, contents).unwrap();
        date_back(&entry);
        entry
    }

    /// A source and its entry, which Python would load.
    pub fn fresh(&self, path: impl AsRef<Path>) -> PathBuf {
        self.source(&path);
        self.entry(path, &bytecode())
    }

    /// An entry without source.
    pub fn orphan(&self, path: impl AsRef<Path>) -> PathBuf {
        self.entry(path, &bytecode())
    }
}
