//! The git repositories that a directory of sources lies in, and whether they track a file.
//!
//! Nothing is run: see `git_index.rs`. A repository whose index cannot be read may track anything.

use super::git_index::{GitIndex, ObjectName};
use crate::host::directory::open_file;
use crate::source::is_missing;
use std::ffi::OsStr;
use std::io::{self, BufReader, Read, Seek};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A directory with a `.git`, and the repository around it. Its index is read when it is first asked.
#[derive(Debug)]
pub(crate) struct Repository {
    /// The root of the work tree, without symbolic links.
    work_tree: PathBuf,
    around: Option<Arc<Repository>>,
    index: OnceLock<Option<GitIndex>>,
    /// Why the index cannot be read, until that is reported.
    trouble: Mutex<Option<(PathBuf, io::Error)>>,
}

/// Whether git tracks a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracking {
    /// It does not.
    Untracked,
    /// It does.
    Tracked,
    /// It may: an index cannot be read.
    Unknown,
}

impl Repository {
    pub(crate) fn new(work_tree: PathBuf, around: Option<Arc<Repository>>) -> Repository {
        Repository { work_tree, around, index: OnceLock::new(), trouble: Mutex::new(None) }
    }

    /// The repositories that a directory lies in, itself excepted.
    pub(crate) fn around(directory: &Path) -> Option<Arc<Repository>> {
        let above: Vec<&Path> = directory.ancestors().skip(1).collect();
        let work_trees = above.into_iter().rev().filter(|path| path.join(".git").symlink_metadata().is_ok());
        work_trees.fold(None, |around, path| Some(Arc::new(Repository::new(path.to_path_buf(), around))))
    }

    /// Whether this repository or one around it tracks the file at a path without symbolic links. A repository within
    /// another hides its files from that only if they were not tracked before.
    pub(crate) fn tracking(&self, path: &Path) -> Tracking {
        let mut answer = Tracking::Untracked;
        // In a loop, not by recursion: directories may be nested more deeply than a thread's stack.
        let mut next = Some(self);
        while let Some(repository) = next {
            match (repository.index(), path.strip_prefix(&repository.work_tree)) {
                (Some(index), Ok(below)) if index.tracks(below.as_os_str().as_bytes()) => {
                    return Tracking::Tracked;
                }
                (Some(_), _) => {}
                (None, _) => answer = Tracking::Unknown,
            }
            next = repository.around.as_deref();
        }
        answer
    }

    /// Why an index cannot be read, and which: each is returned once.
    pub(crate) fn troubles(&self) -> Vec<(PathBuf, io::Error)> {
        let repositories = std::iter::successors(Some(self), |repository| repository.around.as_deref());
        let take = |it: &Repository| it.trouble.lock().unwrap_or_else(PoisonError::into_inner).take();
        repositories.filter_map(take).collect()
    }

    fn index(&self) -> Option<&GitIndex> {
        let read = || match read_whole(&self.work_tree) {
            Ok(index) => Some(index),
            Err(trouble) => {
                *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble);
                None
            }
        };
        self.index.get_or_init(read).as_ref()
    }
}

/// Reads the index of a work tree, both parts of a split one. Where there is none yet, nothing is tracked.
fn read_whole(work_tree: &Path) -> Result<GitIndex, (PathBuf, io::Error)> {
    let directory = git_directory(work_tree)?;
    let path = directory.join("index");
    let mut index = match read(&path) {
        Err(error) if is_missing(&error) => return Ok(GitIndex::default()),
        answer => answer.map_err(|error| (path, error))?,
    };
    if !index.shared.is_empty() {
        let name: String = index.shared.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = directory.join(format!("sharedindex.{name}"));
        let rest = read(&path).map_err(|error| (path, error))?;
        index.append(rest);
    }
    Ok(index)
}

/// Where the index of a work tree lies: in `.git`, or where a file of this name leads, in linked work trees and submodules.
fn git_directory(work_tree: &Path) -> Result<PathBuf, (PathBuf, io::Error)> {
    /// No path is longer.
    const MOST_BYTES: u64 = 1 << 16;
    let path = work_tree.join(".git");
    if path.is_dir() {
        return Ok(path);
    }
    let text = open_file(&path).and_then(|(file, _)| {
        let mut text = Vec::new();
        file.take(MOST_BYTES).read_to_end(&mut text)?;
        Ok(text)
    });
    let text = text.map_err(|error| (path.clone(), error))?;
    if text.trim_ascii().is_empty() {
        // Caches keep git out of them so (uv): git goes no further, and no repository is here.
        return Ok(path);
    }
    let Some(target) = text.strip_prefix(b"gitdir: ") else {
        return Err((path, io::Error::new(io::ErrorKind::InvalidData, "it names no repository")));
    };
    let directory = work_tree.join(OsStr::from_bytes(target.trim_ascii_end()));
    match directory.metadata() {
        Ok(_) => Ok(directory),
        Err(error) => Err((directory, error)),
    }
}

/// Reads one part of an index. Which object names it has only the configuration says; only one way of reading fits.
fn read(path: &Path) -> io::Result<GitIndex> {
    let (mut file, metadata) = open_file(path)?;
    let mut parse = |name| {
        file.rewind()?;
        GitIndex::read(BufReader::new(&file), metadata.bytes, name)
    };
    parse(ObjectName::Sha1).or_else(|first| parse(ObjectName::Sha256).map_err(|_| first))
}
