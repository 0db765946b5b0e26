//! Finds the user who controls a path, before root works there.
//!
//! The owner of a directory or a symbolic link on a path can replace what is at its end at any time. So root works at a path
//! only if everything on it belongs to root; otherwise it continues as the first other owner.
//!
//! The path is walked one component at a time, links are resolved here, and the walk ends at the first component that does
//! not belong to root: nothing that another user could change during the walk affects the result for the components before it.

use crate::host::accounts::Accounts;
use crate::host::directory::{is_link_loop, is_missing};
use crate::host::resolution::{Advance, PathComponent, Resolution};
use crate::host::trust::{Acl, Intruder, writers};
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The user who controls a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathOwner {
    /// Root alone, as far as the path exists.
    Root,
    /// This user: the owner of the first component that does not belong to root.
    User(u32),
    /// Root owns every component, but others may write to this directory and rename its entries.
    Anyone(PathBuf),
}

/// Why root changes nothing at a path.
#[derive(Debug, thiserror::Error)]
pub enum PathDoubt {
    /// Something on the way, or the end, belongs to another user.
    #[error("user {0} controls this path")]
    User(u32),
    /// Others may write to a directory on the way.
    #[error("others may write to {}", .0.display())]
    Anyone(PathBuf),
    /// The directory that was opened is no longer at the path.
    #[error("it was replaced while it was opened")]
    Replaced,
    /// The system reports an error.
    #[error("it is unknown who controls this path")]
    Io(#[source] io::Error),
}

/// Returns the user who controls the absolute path `path`, which need not exist.
///
/// A user whom this user namespace does not know ([`Accounts::unmapped`]) counts as root on the way: the real root and
/// all others look alike.
///
/// # Errors
/// Those of `lstat` and `readlink`, except that a component is missing.
pub fn path_owner(path: &Path, accounts: &Accounts) -> io::Result<PathOwner> {
    walk(path, accounts).map(|found| found.owner)
}

/// Checks that root alone controls `path`, and that the directory with this device and inode, which was opened by that path,
/// is still there: nobody redirected root before or during the opening.
///
/// # Errors
/// A [`PathDoubt`].
pub fn check_root_alone(path: &Path, identity: (u64, u64)) -> Result<(), PathDoubt> {
    check(path, identity, &Accounts::read())
}

fn check(path: &Path, identity: (u64, u64), accounts: &Accounts) -> Result<(), PathDoubt> {
    let found = walk(path, accounts).map_err(PathDoubt::Io)?;
    match (found.owner, found.end) {
        (PathOwner::User(user), _) => Err(PathDoubt::User(user)),
        (PathOwner::Anyone(directory), _) => Err(PathDoubt::Anyone(directory)),
        (PathOwner::Root, Some(end)) if (end.dev(), end.ino()) != identity => Err(PathDoubt::Replaced),
        (PathOwner::Root, Some(end)) if end.uid() != 0 => Err(PathDoubt::User(end.uid())),
        (PathOwner::Root, Some(_)) => Ok(()),
        (PathOwner::Root, None) => Err(PathDoubt::Replaced),
    }
}

/// Where a walk ended.
struct WalkEnd {
    owner: PathOwner,
    /// What is at the path; `None` if nothing is, or another user controls it.
    end: Option<Metadata>,
}

fn walk(path: &Path, accounts: &Accounts) -> io::Result<WalkEnd> {
    let is_roots = |metadata: &Metadata| metadata.uid() == 0 || Some(metadata.uid()) == accounts.unmapped;
    let of_user = |user: u32| WalkEnd { owner: PathOwner::User(user), end: None };
    let mut anyone: Option<PathBuf> = None;
    let mut resolution = Resolution::of(path)?;
    let end = loop {
        let PathComponent { path: current, metadata } = resolution.current().clone();
        if !is_roots(&metadata) {
            return Ok(of_user(metadata.uid()));
        }
        if resolution.next_name().is_none() {
            break Some(metadata);
        }
        let is_open = may_be_written_by_others(&current, &metadata, accounts);
        if is_open && !is_sticky(&metadata) {
            anyone.get_or_insert_with(|| current.clone());
        }
        match resolution.advance() {
            Some(Ok(Advance::Link(link))) if !is_roots(&link.metadata) => {
                return Ok(of_user(link.metadata.uid()));
            }
            // Unless `fs.protected_hardlinks` is set, anyone can make a hard link to root's symbolic link here.
            Some(Ok(Advance::Link(link))) if is_open && link.metadata.nlink() > 1 => {
                anyone.get_or_insert(current);
            }
            Some(Err(error)) if is_missing(&error) || is_link_loop(&error) => break None,
            Some(Err(error)) => return Err(error),
            Some(Ok(_)) | None => {}
        }
    };
    Ok(WalkEnd { owner: anyone.map_or(PathOwner::Root, PathOwner::Anyone), end })
}

/// Whether users can rename only their own entries in this directory (`/tmp`).
fn is_sticky(directory: &Metadata) -> bool {
    directory.mode() & 0o1000 != 0
}

/// Whether others than root may write to a directory, by its mode or its access control list.
fn may_be_written_by_others(path: &Path, directory: &Metadata, accounts: &Accounts) -> bool {
    let is_other = |writer: &Intruder| match *writer {
        Intruder::Everyone | Intruder::Unknown => true,
        Intruder::Group(group) => group != 0 && !accounts.is_private(group, 0),
        Intruder::User(user) => user != 0,
    };
    writers(directory.mode(), directory.gid(), &Acl::of(path)).iter().any(is_other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, lchown, symlink};

    const EVE: u32 = 61001;
    const BOB: u32 = 61002;

    /// A place of root's with `eve/` of eve's and `ours/store`.
    fn place() -> (tempfile::TempDir, PathBuf) {
        let (temporary, base) = crate::temporary::directory();
        std::fs::create_dir_all(base.join("eve/.cache/cpython")).unwrap();
        std::fs::create_dir_all(base.join("ours/store")).unwrap();
        lchown(base.join("eve"), Some(EVE), Some(EVE)).unwrap();
        (temporary, base)
    }

    fn owner(path: &Path) -> PathOwner {
        path_owner(path, &Accounts::default()).unwrap()
    }

    fn mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }

    fn identity(path: &Path) -> (u64, u64) {
        let metadata = path.metadata().unwrap();
        (metadata.dev(), metadata.ino())
    }

    #[test]
    #[ignore = "needs root: it gives files away"]
    fn as_root_the_first_on_the_way_who_is_not_root_decides() {
        let (_temporary, base) = place();
        assert_eq!(owner(&base.join("ours/store")), PathOwner::Root);
        assert_eq!(owner(&base.join("ours/store/missing/deep")), PathOwner::Root);
        // What is root's below a directory of hers is hers to replace, there or not.
        for below in ["eve/.cache/cpython", "eve/missing", "eve/../ours/store"] {
            assert_eq!(owner(&base.join(below)), PathOwner::User(EVE), "{below}");
        }
        // A link of hers in a directory of root's, a link of root's to what is hers, and one link after another.
        for (link, target, of) in [
            ("hers", "ours/store", EVE),
            ("through", "hers", 0),
            ("into", "eve/.cache", 0),
            ("bobs", "eve", BOB),
            ("honest", "ours", 0),
        ] {
            symlink(base.join(target), base.join(link)).unwrap();
            lchown(base.join(link), Some(of), None).unwrap();
        }
        for (path, expected) in [
            ("hers", PathOwner::User(EVE)),
            ("through", PathOwner::User(EVE)),
            ("into/cpython", PathOwner::User(EVE)),
            ("bobs/.cache", PathOwner::User(BOB)),
            ("honest/store", PathOwner::Root),
            ("ours/../honest/./store", PathOwner::Root),
        ] {
            assert_eq!(owner(&base.join(path)), expected, "{path}");
        }
        // Links that lead round and round lead nowhere.
        symlink("loop", base.join("loop")).unwrap();
        assert_eq!(owner(&base.join("loop/x")), PathOwner::Root);
        symlink("eve", base.join("link1")).unwrap();
        for number in 2..=41 {
            symlink(format!("link{}", number - 1), base.join(format!("link{number}"))).unwrap();
        }
        assert_eq!(owner(&base.join("link40")), PathOwner::User(EVE), "the kernel follows forty");
        assert_eq!(owner(&base.join("link41")), PathOwner::Root);
        assert!(path_owner(&base.join("n".repeat(300)), &Accounts::default()).is_err(), "no name is so long");
        symlink("../ours", base.join("ours/relative")).unwrap();
        assert_eq!(owner(&base.join("ours/relative/relative/store")), PathOwner::Root);
    }

    #[test]
    #[ignore = "needs root: it gives files away"]
    fn as_root_where_others_may_write_anyone_decides() {
        let (_temporary, base) = place();
        let store = base.join("ours/store");
        let ours = base.join("ours");
        for (bits, expected) in [
            (0o777, PathOwner::Anyone(ours.clone())),
            (0o775, PathOwner::Root),
            (0o1777, PathOwner::Root),
            (0o755, PathOwner::Root),
        ] {
            mode(&ours, bits);
            assert_eq!(owner(&store), expected, "{bits:o}");
        }
        // A group that nobody knows may have anybody in it.
        lchown(&ours, None, Some(BOB)).unwrap();
        mode(&ours, 0o775);
        assert_eq!(owner(&store), PathOwner::Anyone(ours.clone()));
        // What is at the end is the store itself: that others write to it says nothing of where it is.
        mode(&ours, 0o755);
        mode(&store, 0o777);
        assert_eq!(owner(&store), PathOwner::Root);
        // Whoever it turns out to be decides.
        mode(&ours, 0o777);
        lchown(&store, Some(EVE), None).unwrap();
        assert_eq!(owner(&store), PathOwner::User(EVE));
    }

    /// Gives a directory an ACL (`linux/posix_acl_xattr.h`) by which a user or a group may write; `mask` limits that.
    fn name_in_list(path: &Path, tag: u16, id: u32, mask: u16) {
        const NO_ID: u32 = u32::MAX;
        let entries: [(u16, u16, u32); 5] =
            [(0x01, 7, NO_ID), (0x04, 5, NO_ID), (tag, 7, id), (0x10, mask, NO_ID), (0x20, 5, NO_ID)];
        let mut entries = entries;
        entries.sort_by_key(|(tag, ..)| *tag);
        let mut value = 2_u32.to_le_bytes().to_vec();
        for (tag, permissions, id) in entries {
            value.extend([&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &id.to_le_bytes()].concat());
        }
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(path, "system.posix_acl_access", &value, flags).unwrap();
    }

    #[test]
    #[ignore = "needs root, and a file system with access control lists"]
    fn as_root_whom_a_list_names_may_write() {
        for (tag, id, mask, is_open) in [
            (0x02, EVE, 7, true),
            (0x02, 0, 7, false),
            (0x08, EVE, 7, true),
            (0x08, 0, 7, false),
            // The mask takes it away again.
            (0x02, EVE, 5, false),
        ] {
            let (_temporary, base) = place();
            let (ours, store) = (base.join("ours"), base.join("ours/store"));
            name_in_list(&ours, tag, id, mask);
            let expected = if is_open { PathOwner::Anyone(ours.clone()) } else { PathOwner::Root };
            assert_eq!(owner(&store), expected, "{tag:x} {id} {mask}");
            assert_eq!(check_root_alone(&store, identity(&store)).is_err(), is_open, "{tag:x} {id} {mask}");
            // In a sticky directory she renames nothing that is not hers.
            mode(&ours, 0o1775);
            assert_eq!(owner(&store), PathOwner::Root, "{tag:x} {id} {mask}");
        }
    }

    #[test]
    #[ignore = "needs root: it gives files away"]
    fn as_root_a_link_that_somebody_else_linked_says_nothing() {
        let (_temporary, base) = place();
        let shared = base.join("shared");
        std::fs::create_dir(&shared).unwrap();
        mode(&shared, 0o1777);
        symlink(base.join("ours/store"), base.join("ours/link")).unwrap();
        std::fs::hard_link(base.join("ours/link"), shared.join("link")).unwrap();
        symlink(base.join("ours/store"), shared.join("own")).unwrap();
        assert_eq!(owner(&shared.join("own")), PathOwner::Root);
        assert_eq!(owner(&shared.join("link")), PathOwner::Anyone(shared));
        assert_eq!(owner(&base.join("ours/link")), PathOwner::Root);
    }

    #[test]
    #[ignore = "needs root: it gives files away"]
    fn as_root_what_was_opened_must_be_what_is_there() {
        let (_temporary, base) = place();
        let store = base.join("ours/store");
        let doubt =
            |path: &Path, identity| check_root_alone(path, identity).map_err(|doubt| doubt.to_string());
        assert_eq!(doubt(&store, identity(&store)), Ok(()));
        let replaced = Err("it was replaced while it was opened".to_string());
        assert_eq!(doubt(&store, identity(&base)), replaced);
        assert_eq!(doubt(&base.join("ours/missing"), identity(&store)), replaced);
        let hers = Err(format!("user {EVE} controls this path"));
        assert_eq!(doubt(&base.join("eve/.cache"), identity(&store)), hers);
        mode(&base.join("ours"), 0o777);
        let anyone = Err(format!("others may write to {}", base.join("ours").display()));
        assert_eq!(doubt(&store, identity(&store)), anyone);
    }

    #[test]
    #[ignore = "needs root: it gives files away"]
    fn as_root_an_unknown_user_of_a_namespace_counts_as_root_only_on_the_way() {
        let (_temporary, base) = place();
        let mut accounts = Accounts::default();
        accounts.unmapped = Some(EVE);
        assert_eq!(path_owner(&base.join("eve/.cache"), &accounts).unwrap(), PathOwner::Root);
        let checked = |path: &Path| check(path, identity(path), &accounts).map_err(|doubt| doubt.to_string());
        assert_eq!(checked(&base.join("eve/.cache")), Ok(()));
        assert_eq!(checked(&base.join("eve")), Err(format!("user {EVE} controls this path")));
        lchown(base.join("ours"), Some(BOB), None).unwrap();
        assert_eq!(path_owner(&base.join("ours/store"), &accounts).unwrap(), PathOwner::User(BOB));
    }
}
