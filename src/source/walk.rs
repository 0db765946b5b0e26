//! Plain walks over trees that are not the store: the home of walkdir.
//!
//! The store is scanned by descriptor and in parallel (`scan/`). What is small and needs neither is walked
//! here, by path, in a fixed order.

use crate::units::Tally;
use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// Names that only a directory of sources has: version control and packaging markers.
pub const PROJECT_MARKERS: [&str; 8] =
    [".git", ".hg", ".svn", ".bzr", ".jj", "pyproject.toml", "setup.py", "setup.cfg"];

/// Directories that hold no Python sources of the tree's own: those of version control and of other languages' packages.
pub const NOT_SOURCES: [&str; 6] = [".git", ".hg", ".svn", ".bzr", ".jj", "node_modules"];

/// The first name in `root` itself that shows it to hold sources and no bytecode store: a marker, a
/// `__pycache__`, a `.py` file. Names that cannot be read show nothing.
pub fn sign_of_sources(root: &Path) -> Option<String> {
    WalkDir::new(root).min_depth(1).max_depth(1).sort_by_file_name().into_iter().flatten().find_map(|entry| {
        let name = entry.file_name().to_string_lossy();
        let is_sign = PROJECT_MARKERS.contains(&name.as_ref())
            || name == "pyvenv.cfg"
            || name == "__pycache__"
            || (name.ends_with(".py") && !entry.file_type().is_dir());
        is_sign.then(|| name.into_owned())
    })
}

/// Something of a tree that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}", .path.display())]
pub struct Unreadable {
    /// Its path.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl Unreadable {
    /// None for what vanished meanwhile.
    fn of(error: walkdir::Error, root: &Path) -> Option<Unreadable> {
        let path = error.path().unwrap_or(root).to_path_buf();
        let source = io::Error::from(error);
        (source.kind() != io::ErrorKind::NotFound).then_some(Unreadable { path, source })
    }
}

/// The directories in `root` itself, by name; none when it cannot be read. Links are not followed.
pub fn directories_in(root: &Path) -> Vec<PathBuf> {
    let below = WalkDir::new(root).min_depth(1).max_depth(1).sort_by_file_name().into_iter().flatten();
    below.filter(|entry| entry.file_type().is_dir()).map(walkdir::DirEntry::into_path).collect()
}

/// The directories of this name at most `depth` levels below `root`, none of them inside another, in order of their
/// paths. Links are not followed, no other file system is entered.
pub fn directories_named(
    root: &Path,
    name: &OsStr,
    depth: usize,
    unreadable: &mut Vec<Unreadable>,
) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let walk = WalkDir::new(root).min_depth(1).max_depth(depth).same_file_system(true);
    let mut walk = walk.sort_by_file_name().into_iter();
    while let Some(entry) = walk.next() {
        match entry {
            Ok(entry) if entry.file_type().is_dir() && entry.file_name() == name => {
                walk.skip_current_dir();
                found.push(entry.into_path());
            }
            Ok(_) => {}
            Err(error) => unreadable.extend(Unreadable::of(error, root)),
        }
    }
    found
}

/// What Python may run or import of a tree.
#[derive(Debug, Default)]
pub struct PythonTree {
    /// The sources (`.py`), in order of their paths.
    pub sources: Vec<PathBuf>,
    /// The directories with an executable file. Programs import through them: `bin/../lib` is on `sys.path` then.
    pub program_directories: BTreeSet<PathBuf>,
}

/// The Python sources and the directories of programs at or below `root`. `is_entered` says of each directory whether it is
/// entered, `root` included; directories that are links are not, files that are links are what they lead to.
pub fn python_tree(
    root: &Path,
    is_entered: impl Fn(&Path, &Metadata) -> bool,
    unreadable: &mut Vec<Unreadable>,
) -> PythonTree {
    let mut found = PythonTree::default();
    let mut walk = WalkDir::new(root).sort_by_file_name().into_iter();
    while let Some(entry) = walk.next() {
        match entry.and_then(|entry| Ok((entry.metadata()?, entry))) {
            // `root` itself may be a link.
            Ok((metadata, entry)) if metadata.is_dir() || (entry.depth() == 0 && entry.path().is_dir()) => {
                let metadata = entry.path().metadata().unwrap_or(metadata);
                if !is_entered(entry.path(), &metadata) {
                    walk.skip_current_dir();
                }
            }
            Ok((_, entry)) => {
                let Ok(metadata) = entry.path().metadata() else { continue }; // a dangling link
                if !metadata.is_file() {
                    continue;
                }
                if metadata.mode() & 0o111 != 0
                    && let Some(directory) = entry.path().parent()
                    && !found.program_directories.contains(directory)
                {
                    found.program_directories.insert(directory.to_path_buf());
                }
                if entry.path().extension().is_some_and(|extension| extension == "py") {
                    found.sources.push(entry.into_path());
                }
            }
            Err(error) => unreadable.extend(Unreadable::of(error, root)),
        }
    }
    found
}

/// What a tree takes: its files, and on disk its directories as well, as GNU `du` counts: a file with several hard links
/// once. `each` hears the names of the files.
pub fn tally(root: &Path, unreadable: &mut Vec<Unreadable>, each: impl FnMut(&OsStr)) -> Tally {
    further_tally(root, &mut HashSet::new(), unreadable, each)
}

/// The same where files with several links, by device and inode, may have been counted already.
fn further_tally(
    root: &Path,
    counted: &mut HashSet<(u64, u64)>,
    unreadable: &mut Vec<Unreadable>,
    mut each: impl FnMut(&OsStr),
) -> Tally {
    let mut tally = Tally::default();
    for entry in WalkDir::new(root).same_file_system(true) {
        match entry.and_then(|entry| Ok((entry.metadata()?, entry))) {
            Ok((metadata, _)) if metadata.is_dir() => {
                tally.disk += metadata.blocks() * 512;
            }
            Ok((metadata, entry)) => {
                each(entry.file_name());
                let is_first = metadata.nlink() < 2 || counted.insert((metadata.dev(), metadata.ino()));
                let size = if is_first { (metadata.len(), metadata.blocks() * 512) } else { (0, 0) };
                tally += Tally::file(size.0, size.1);
            }
            Err(error) => unreadable.extend(Unreadable::of(error, root)),
        }
    }
    tally
}

/// The topmost directory of the project that a directory belongs to: the nearest at or above it that has a marker, but
/// no home and nothing that holds one.
pub fn project_of(directory: &Path, homes: &[PathBuf]) -> Option<PathBuf> {
    let has_marker = |directory: &&Path| {
        PROJECT_MARKERS.iter().any(|marker| directory.join(marker).symlink_metadata().is_ok())
    };
    let holds_home = |directory: &&Path| homes.iter().any(|home| home.starts_with(directory));
    directory.ancestors().take_while(|it| !holds_home(it)).find(has_marker).map(Path::to_path_buf)
}

/// Bytecode beside its sources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InTree {
    /// How many `__pycache__` directories.
    pub directories: u64,
    /// What is in them.
    pub tally: Tally,
    /// The first of them.
    pub example: Option<PathBuf>,
}

/// The `__pycache__` directories below `root` that are the project's own: none in version control's own directory, in
/// `node_modules` or in an environment. Links are not followed, no other file system is entered.
pub fn in_tree(root: &Path, unreadable: &mut Vec<Unreadable>) -> InTree {
    let mut found = InTree::default();
    let mut counted = HashSet::new();
    let mut walk = WalkDir::new(root).min_depth(1).same_file_system(true).sort_by_file_name().into_iter();
    while let Some(entry) = walk.next() {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => {
                let (name, path) = (entry.file_name(), entry.path());
                if name == "__pycache__" {
                    let tally = further_tally(path, &mut counted, unreadable, |_| {});
                    if !tally.is_empty() {
                        found.directories += 1;
                        found.tally += tally;
                        found.example.get_or_insert_with(|| path.to_path_buf());
                    }
                    walk.skip_current_dir();
                } else if is_not_the_projects(name, path) {
                    walk.skip_current_dir();
                }
            }
            Ok(_) => {}
            Err(error) => unreadable.extend(Unreadable::of(error, root)),
        }
    }
    found
}

fn is_not_the_projects(name: &OsStr, path: &Path) -> bool {
    NOT_SOURCES.iter().any(|foreign| name == *foreign)
        || path.join("pyvenv.cfg").exists()
        || path.join("conda-meta").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_show_in_the_root_itself() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path();
        std::fs::create_dir_all(root.join("home/me/project/.git")).unwrap();
        std::fs::create_dir(root.join("odd.py")).unwrap();
        std::fs::write(root.join("m.cpython-312.pyc"), "").unwrap();
        assert_eq!(sign_of_sources(root), None);
        std::fs::write(root.join("m.py"), "").unwrap();
        assert_eq!(sign_of_sources(root).as_deref(), Some("m.py"));
        std::fs::create_dir(root.join(".git")).unwrap();
        assert_eq!(sign_of_sources(root).as_deref(), Some(".git"));
    }

    #[test]
    fn a_project_is_no_home_and_its_caches_are_its_own() {
        let (_temporary, home) = crate::temporary::directory();
        let write = |path: &str| {
            let path = home.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "12345").unwrap();
        };
        for path in [
            ".git/config",
            "work/pyproject.toml",
            "work/package/__pycache__/a.cpython-312.pyc",
            "work/__pycache__/b.cpython-312.pyc",
            "work/__pycache__/c.cpython-312.pyc",
            "work/.venv/pyvenv.cfg",
            "work/.venv/lib/__pycache__/d.cpython-312.pyc",
            "work/node_modules/gyp/__pycache__/e.cpython-312.pyc",
        ] {
            write(path);
        }
        std::fs::create_dir_all(home.join("work/empty/__pycache__")).unwrap();
        let linked = home.join("work/__pycache__/b.cpython-312.opt-1.pyc");
        std::fs::hard_link(home.join("work/__pycache__/b.cpython-312.pyc"), &linked).unwrap();
        std::fs::hard_link(linked, home.join("work/package/__pycache__/b.cpython-312.pyc")).unwrap();
        let homes = [home.clone()];
        let work = home.join("work");
        assert_eq!(project_of(&work.join("package/deep"), &homes), Some(work.clone()));
        assert_eq!(project_of(&home.join("elsewhere"), &homes), None);
        assert_eq!(project_of(&home, &[]), Some(home.clone()));
        let mut unreadable = Vec::new();
        let found = in_tree(&work, &mut unreadable);
        assert_eq!((found.directories, found.tally.files, found.tally.bytes), (2, 5, 15));
        assert_eq!(tally(&work, &mut unreadable, |_| {}).bytes, 7 * 5, "each inode once");
        assert_eq!(found.example, Some(work.join("__pycache__")));
        assert!(unreadable.is_empty(), "{unreadable:?}");
    }
}
