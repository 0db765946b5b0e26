//! POSIX ACLs (acl(5)), in the format of the kernel's `linux/posix_acl_xattr.h`.
//!
//! If a file has one, the group bits of its mode are the ACL's mask and say nothing about the owning group. Other ACLs
//! (NFSv4, richacl) are detected but not read. On systems other than Linux no ACL is detected here.

use super::{Acl, Grant};
use crate::host::trust::Intruder;
use rustix::io::Errno;
use std::path::Path;

const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";

/// The extended attributes of other ACLs.
const OTHERS: [&str; 2] = ["system.nfs4_acl", "system.richacl"];

/// Maximum length of a list of names and of a value, in bytes (`XATTR_LIST_MAX`, `XATTR_SIZE_MAX` of `linux/limits.h`).
const LONGEST: usize = 64 << 10;

/// Reads the ACL of a file; follows links.
pub(super) fn read(path: &Path) -> Acl {
    let Ok(names) = names(path) else { return Acl::Unknown };
    let has = |wanted: &&str| names.split(|&byte| byte == 0).any(|name| name == wanted.as_bytes());
    if OTHERS.iter().any(&has) {
        return Acl::Unknown;
    }
    let mut all = Vec::new();
    let mut found = Acl::None;
    for name in [ACCESS, DEFAULT].into_iter().filter(|name| has(name)) {
        let mut bytes = vec![0; LONGEST];
        let Ok(length) = rustix::fs::getxattr(path, name, &mut bytes[..]) else { return Acl::Unknown };
        let Some(grants) = parse(&bytes[..length]) else { return Acl::Unknown };
        all.extend(grants);
        found = Acl::Posix(Vec::new());
    }
    if found == Acl::None { found } else { Acl::Posix(all) }
}

/// Returns the names of a file's extended attributes, each followed by a zero byte; none if the file system has no
/// attributes.
fn names(path: &Path) -> rustix::io::Result<Vec<u8>> {
    let mut short = [0; 512];
    let listed = match rustix::fs::listxattr(path, &mut short[..]) {
        Err(Errno::RANGE) => {
            let mut names = vec![0; LONGEST];
            rustix::fs::listxattr(path, &mut names[..]).map(|length| {
                names.truncate(length);
                names
            })
        }
        listed => listed.map(|length| short[..length].to_vec()),
    };
    match listed {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(Vec::new()),
        listed => listed,
    }
}

/// Parses an ACL: returns who gets write access, or `None` if the format is unknown.
fn parse(bytes: &[u8]) -> Option<Vec<Grant>> {
    const VERSION: u32 = 2;
    const WRITE: u16 = 2;
    let (version, entries) = bytes.split_first_chunk()?;
    let (entries, rest) = entries.as_chunks::<8>();
    if u32::from_le_bytes(*version) != VERSION || !rest.is_empty() {
        return None;
    }
    let field = |entry: &[u8; 8], at: usize| u16::from_le_bytes([entry[at], entry[at + 1]]);
    let id = |entry: &[u8; 8]| u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]);
    let mask = entries.iter().find(|entry| field(entry, 0) == 0x10).map_or(WRITE, |entry| field(entry, 2));
    let mut grants = Vec::new();
    for entry in entries {
        let (grant, mask) = match field(entry, 0) {
            // The owner, and the mask.
            0x01 | 0x10 => continue,
            0x02 => (Grant::To(Intruder::User(id(entry))), mask),
            0x04 => (Grant::OwningGroup, mask),
            0x08 => (Grant::To(Intruder::Group(id(entry))), mask),
            0x20 => (Grant::To(Intruder::Everyone), WRITE),
            _ => return None,
        };
        if field(entry, 2) & mask & WRITE != 0 {
            grants.push(grant);
        }
    }
    Some(grants)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list with these entries: tag, permissions, id.
    fn list(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let mut bytes = 2_u32.to_le_bytes().to_vec();
        for (tag, permissions, id) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(permissions.to_le_bytes());
            bytes.extend(id.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn the_mask_decides_what_a_list_gives() {
        const NONE: u32 = u32::MAX;
        let entries = |mask| {
            list(&[
                (0x01, 7, NONE),
                (0x02, 7, 61001),
                (0x02, 5, 61002),
                (0x04, 7, NONE),
                (0x08, 6, 61003),
                (0x10, mask, NONE),
                (0x20, 5, NONE),
            ])
        };
        let all = [Grant::To(Intruder::User(61001)), Grant::OwningGroup, Grant::To(Intruder::Group(61003))];
        assert_eq!(parse(&entries(7)).unwrap(), all);
        assert_eq!(parse(&entries(5)).unwrap(), []);
        let everyone = list(&[(0x01, 7, NONE), (0x04, 7, NONE), (0x20, 2, NONE)]);
        assert_eq!(parse(&everyone).unwrap(), [Grant::OwningGroup, Grant::To(Intruder::Everyone)]);
    }

    #[test]
    fn what_is_no_list_is_not_taken_for_an_empty_one() {
        let good = list(&[(0x01, 7, 0)]);
        assert_eq!(parse(&good), Some(Vec::new()));
        for bytes in [&b""[..], &[2, 0, 0], &good[..11], &[3, 0, 0, 0], &list(&[(0x40, 7, 0)])] {
            assert_eq!(parse(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn most_files_have_none() {
        let temporary = tempfile::tempdir().unwrap();
        assert_eq!(Acl::of(temporary.path()), Acl::None);
        assert_eq!(Acl::of(Path::new("/proc/self/status")), Acl::None);
        assert_eq!(Acl::of(&temporary.path().join("missing")), Acl::Unknown);
    }
}
