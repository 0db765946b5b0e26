//! The store's root, opened once and vetted.
//!
//! A [`Store`] holds a descriptor of its root; the path is not resolved again. Everything
//! below is reached through [`Tree::directory`], which cannot leave the tree.
//!
//! # Invariants
//!
//! * Never `/`, a home directory, a directory that holds one, nor a tree of sources.
//! * Opened for removal, it belongs to the user who runs us. As root, nobody else decides what is at its path either: on
//!   another user's store the program continues as that user before it gets here.

pub mod aliases;
pub mod body;
pub mod entry;
pub mod exposure;
pub mod in_tree;
pub mod lock;
pub mod mirrored;
pub mod named;
pub mod others;
pub mod scan;
pub mod sharing;
pub mod tree;

pub use crate::host::volumes::AccessTimes;

use crate::host::directory::{self, Metadata};
use crate::host::path_owner::{PathDoubt, check_root_alone};
use crate::source::walk;
use crate::store::tree::{OpenedRoot, Tree};
use std::io;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

/// What a store is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Looking: anybody's store may be looked at.
    Look,
    /// Removing and adding: only one's own.
    Remove,
}

/// A vetted store.
#[derive(Debug)]
pub struct Store {
    tree: Tree,
    real_path: PathBuf,
    metadata: Metadata,
}

/// Who holds a store's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// We do, until this process ends.
    Ours,
    /// Another process does.
    Others,
}

/// Why a directory is not taken for a store.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is nothing at the path.
    #[error("no store at {}", .0.display())]
    NotFound(PathBuf),
    /// The path is a file.
    #[error("not a directory: {}", .0.display())]
    NotADirectory(PathBuf),
    /// `/`.
    #[error("refused: {} is the root directory", .0.display())]
    RootDirectory(PathBuf),
    /// A home directory, or a directory that has one somewhere below.
    #[error("refused: {} is or holds the home directory {}", .path.display(), .home.display())]
    Home {
        /// The path given.
        path: PathBuf,
        /// The home directory.
        home: PathBuf,
    },
    /// A tree of sources.
    #[error("refused: {} is a source tree: it has {sign}", .path.display())]
    SourceTree {
        /// The path given.
        path: PathBuf,
        /// The name that shows it.
        sign: String,
    },
    /// Another user's directory.
    #[error("refused: {} belongs to user {user}, not to you", .path.display())]
    NotOurs {
        /// The path given.
        path: PathBuf,
        /// Its owner's user id.
        user: u32,
    },
    /// We are root, and others decide what is at the path.
    #[error("refused as root: {}: {doubt}", .path.display())]
    Doubtful {
        /// The path given.
        path: PathBuf,
        /// Who decides.
        doubt: PathDoubt,
    },
    /// It could not be opened.
    #[error("cannot open {}", .path.display())]
    Io {
        /// The path given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Deref for Store {
    type Target = Tree;

    fn deref(&self) -> &Tree {
        &self.tree
    }
}

impl DerefMut for Store {
    fn deref_mut(&mut self) -> &mut Tree {
        &mut self.tree
    }
}

impl Store {
    /// Opens and vets the store at the absolute path `path`. A symbolic link there is resolved once, here.
    ///
    /// `homes` are the home directories known to the caller; those of the usual places are known already.
    ///
    /// # Errors
    /// A [`Refusal`].
    pub fn open(path: &Path, homes: &[PathBuf], purpose: Purpose) -> Result<Store, Refusal> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => Refusal::NotFound(path.to_path_buf()),
            io::ErrorKind::NotADirectory => Refusal::NotADirectory(path.to_path_buf()),
            _ => Refusal::Io { path: path.to_path_buf(), source },
        };
        let opened = OpenedRoot::open(path).map_err(failed)?;
        if opened.may_be_root_directory() {
            return Err(Refusal::RootDirectory(path.to_path_buf()));
        }
        if let Some(home) = homes.iter().find(|home| {
            // Links in the home's own path count as well: `/home/me` may be `/data/home/me`.
            home.canonicalize().is_ok_and(|home| home.starts_with(&opened.real_path))
                || opened.is_at(home).unwrap_or(false)
        }) {
            return Err(Refusal::Home { path: path.to_path_buf(), home: home.clone() });
        }
        if is_home_by_place(&opened.real_path) {
            return Err(Refusal::Home { path: path.to_path_buf(), home: opened.real_path });
        }
        if let Some(sign) = walk::sign_of_sources(&opened.real_path) {
            return Err(Refusal::SourceTree { path: path.to_path_buf(), sign });
        }
        if purpose == Purpose::Remove {
            check_ours(path, &opened.metadata)?;
        }
        let OpenedRoot { real_path, metadata, .. } = &opened;
        let (real_path, metadata) = (real_path.clone(), *metadata);
        Ok(Store { tree: opened.into_tree(path), real_path, metadata })
    }

    /// The path with links resolved, at the time of opening.
    pub fn real_path(&self) -> &Path {
        &self.real_path
    }

    /// The metadata of the root, at the time of opening.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Takes the lock that lets one prune at a time work on a store. It does not wait, and ends with this process.
    ///
    /// # Errors
    /// Where the file system cannot lock a directory (some network file systems). Removal is safe without: each file
    /// is looked at again before it goes.
    pub fn lock(&self) -> io::Result<Lock> {
        self.tree.root().try_lock().map(|is_ours| if is_ours { Lock::Ours } else { Lock::Others })
    }

    /// Gives the lock back before this process ends.
    pub fn unlock(&self) {
        self.tree.root().unlock();
    }
}

/// Makes sure that the directory, which was opened by this path, is ours to change.
fn check_ours(path: &Path, metadata: &Metadata) -> Result<(), Refusal> {
    let (us, path) = (directory::effective_user(), path.to_path_buf());
    if metadata.user != us {
        return Err(Refusal::NotOurs { path, user: metadata.user });
    }
    if us == 0 {
        check_root_alone(&path, metadata.identity).map_err(|doubt| Refusal::Doubtful { path, doubt })?;
    }
    Ok(())
}

/// `/root`, `/home`, `/home/<user>`, and of macOS `/Users`, `/Users/<user>`, `/var/root`: homes that no variable needs to
/// name. The path is as the system tells it, in the case that a name has on the disk.
fn is_home_by_place(path: &Path) -> bool {
    let parent = path.parent();
    ["/root", "/var/root", "/private/var/root"].iter().any(|home| path == Path::new(home))
        || ["/home", "/Users"]
            .iter()
            .any(|homes| path == Path::new(homes) || parent == Some(Path::new(homes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn refusal(path: &Path, homes: &[PathBuf]) -> String {
        Store::open(path, homes, Purpose::Look).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_store_is_refused() {
        let (_temporary, base) = crate::temporary::directory();
        let home = base.join("home/me");
        std::fs::create_dir_all(home.join("project/.git")).unwrap();
        std::fs::create_dir_all(home.join(".cache/cpython")).unwrap();
        symlink(&home, base.join("link")).unwrap();
        symlink(home.join(".cache/cpython"), base.join("store")).unwrap();
        std::fs::write(base.join("file"), "").unwrap();
        let homes = [home.clone()];
        assert!(refusal(Path::new("/"), &[]).contains("root directory"));
        assert!(refusal(&home, &homes).contains("home directory"));
        assert!(refusal(&base.join("home"), &homes).contains("home directory"));
        assert!(refusal(&base.join("link"), &homes).contains("home directory"));
        assert!(refusal(&home.join("project"), &homes).contains("source tree: it has .git"));
        assert!(refusal(&base.join("file"), &homes).contains("not a directory"));
        assert!(refusal(&base.join("missing"), &homes).contains("no store at"));
        let store = Store::open(&base.join("store"), &homes, Purpose::Remove).unwrap();
        assert_eq!(store.real_path(), home.join(".cache/cpython"));
        assert_eq!(store.path(), base.join("store"));
    }

    #[test]
    #[ignore = "needs root: it gives files away"]
    fn as_root_the_store_of_another_is_looked_at_and_not_changed() {
        const EVE: u32 = 61001;
        let (_temporary, base) = crate::temporary::directory();
        let make = |path: &str, user| {
            std::fs::create_dir_all(base.join(path)).unwrap();
            std::os::unix::fs::lchown(base.join(path), Some(user), None).unwrap();
            base.join(path)
        };
        let (ours, hers) = (make("ours", 0), make("hers", EVE));
        let below_hers = make("hers/ours", 0);
        let opened = |path: &Path, purpose| {
            Store::open(path, &[], purpose).map(drop).map_err(|refusal| refusal.to_string())
        };
        for path in [&ours, &hers, &below_hers] {
            assert_eq!(opened(path, Purpose::Look), Ok(()));
        }
        assert_eq!(opened(&ours, Purpose::Remove), Ok(()));
        let refused = |path: &Path| opened(path, Purpose::Remove).unwrap_err();
        assert!(refused(&hers).ends_with("belongs to user 61001, not to you"));
        let refusal = refused(&below_hers);
        assert!(
            refusal.starts_with("refused as root: ") && refusal.ends_with("user 61001 controls this path")
        );
    }

    #[test]
    fn homes_are_known_by_their_place() {
        for (path, is_home) in [
            ("/root", true),
            ("/root/.cache", false),
            ("/rooted", false),
            ("/home", true),
            ("/home/me", true),
            ("/home/me/.cache", false),
            ("/Users", true),
            ("/Users/me", true),
            ("/Users/me/Library", false),
            ("/private/var/root", true),
            ("/private/var/root/Library", false),
            ("/srv/home", false),
            ("/srv/home/me", false),
            ("/", false),
        ] {
            assert_eq!(is_home_by_place(Path::new(path)), is_home, "{path}");
        }
    }
}
