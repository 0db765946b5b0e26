//! Reads access control lists: which users and groups they give write access to.

#[cfg(target_os = "macos")]
#[path = "macos.rs"]
mod platform;

#[cfg(not(target_os = "macos"))]
#[path = "posix.rs"]
mod platform;

use super::Intruder;
use std::path::Path;

/// A file's access control list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Acl {
    /// It has none.
    #[default]
    None,
    /// It gives write access to these; for a directory, its default ACL counts too.
    Posix(Vec<Grant>),
    /// It has one that cannot be read.
    Unknown,
}

/// A user or group that an ACL gives write access to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// The members of the file's group.
    OwningGroup,
    /// A user or group that the ACL names.
    To(Intruder),
}

impl Acl {
    /// Reads the ACL of a file; follows links.
    pub fn of(path: &Path) -> Acl {
        platform::read(path)
    }
}
