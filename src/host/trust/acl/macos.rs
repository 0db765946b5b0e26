//! ACLs of macOS (chmod(1)): entries that allow or deny, by user and group.
//!
//! Most directories of a home have one that denies everyone to delete them. Which users an entry means is not looked up: a
//! list with an entry that allows writing counts as unknown.

use super::Acl;
use exacl::{AclEntry, Perm, getfacl};
use std::io;
use std::path::Path;

/// Reads the ACL of a file; follows links.
pub(super) fn read(path: &Path) -> Acl {
    match getfacl(path, None) {
        Ok(entries) if entries.iter().any(allows_writing) => Acl::Unknown,
        Ok(_) => Acl::None,
        // The file system has none.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Acl::None,
        Err(_) => Acl::Unknown,
    }
}

/// Whether an entry gives somebody a way to change the file, or names in the directory.
fn allows_writing(entry: &AclEntry) -> bool {
    let writing =
        Perm::WRITE | Perm::APPEND | Perm::DELETE | Perm::DELETE_CHILD | Perm::WRITESECURITY | Perm::CHOWN;
    entry.allow && entry.perms.intersects(writing)
}
