//! Replaces a file atomically: readers see the old contents or the new, never a part.
//!
//! A temporary file in the same directory is written, flushed to disk (`fsync`) and renamed over the old one, so a crash or a
//! full disk leaves the old file unchanged.
//!
//! The replacement of a user's file keeps owner, group, mode, and all extended attributes, including the POSIX ACL (acl(5),
//! xattr(7)). The mode alone is not enough: with an ACL its group bits are the mask, and in a directory with a default ACL a
//! new file inherits entries that the old one did not have.

use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::{CStr, CString, OsStr};
use std::fs::{File, Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;
use tempfile::NamedTempFile;

/// The attribute that holds the POSIX access ACL.
const ACL: &CStr = c"system.posix_acl_access";

/// Maximum length of a value or a list of names, in bytes (`XATTR_SIZE_MAX`, `XATTR_LIST_MAX`).
const MOST_BYTES: usize = 1 << 16;

/// A file to replace, with its metadata when it was opened.
#[derive(Debug)]
pub struct Original {
    /// The open file.
    pub file: File,
    metadata: Metadata,
}

impl Original {
    /// Reads the metadata of an open file, before its contents are read.
    ///
    /// # Errors
    /// Those of fstat(2).
    pub fn new(file: File) -> io::Result<Original> {
        Ok(Original { metadata: file.metadata()?, file })
    }
}

/// Whether a replaced file must keep its owner and group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepOwner {
    /// Keeps them, or replaces nothing.
    Kept,
    /// Keeps them if the system allows it. If the group differs, the new group gets no permissions.
    KeptIfPossible,
}

/// Why a file was not replaced.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    /// A system error.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The replacement would lose something that the old file has.
    #[error("a replacement would lose its {what}")]
    Lost {
        /// What it would lose.
        what: String,
        /// The system's error.
        source: io::Error,
    },
    /// The old file was replaced or changed meanwhile.
    #[error("it changed meanwhile")]
    Changed,
}

/// Writes `contents` to `path` with this mode, regardless of the umask. Does not follow a symbolic link at `path`: the owner of
/// the directory could have made it.
///
/// # Errors
/// Those of the system; `InvalidInput` if `path` is not a regular file: it is not replaced.
pub fn replace(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    let temporary = written(path, contents, None)?;
    temporary.as_file().set_permissions(Permissions::from_mode(mode))?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Writes `contents` to a new file at `path`, with this mode reduced by the umask or a default ACL of the directory.
///
/// # Errors
/// Those of the system; `AlreadyExists` or `InvalidInput` if `path` exists.
pub fn create(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    let temporary = written(path, contents, Some(Permissions::from_mode(mode)))?;
    temporary.as_file().sync_all()?;
    temporary.persist_noclobber(path).map_err(|error| error.error)?;
    Ok(())
}

/// Replaces the original at `path` by a file with these contents, and keeps its mode, extended attributes, owner and group.
/// Does not follow a symbolic link at `path`.
///
/// # Errors
/// A [`ReplaceError`]: nothing was replaced.
pub fn replace_like(
    path: &Path,
    contents: &[u8],
    original: &Original,
    ownership: KeepOwner,
) -> Result<(), ReplaceError> {
    let Original { file: old, metadata: before } = original;
    let temporary = written(path, contents, None)?;
    let new = temporary.as_file();
    let mut mode = before.mode() & 0o7777;
    let ours = new.metadata()?;
    if (ours.uid(), ours.gid()) != (before.uid(), before.gid())
        && let Err(source) = fchown(new, Some(before.uid()), Some(before.gid()))
    {
        match ownership {
            KeepOwner::Kept => return Err(ReplaceError::Lost { what: "owner and group".into(), source }),
            KeepOwner::KeptIfPossible if ours.gid() != before.gid() => mode &= 0o707,
            KeepOwner::KeptIfPossible => mode &= 0o777,
        }
    }
    copy_attributes(old, new)?;
    // After both: chown(2) clears bits of the mode, and an ACL changes it.
    new.set_permissions(Permissions::from_mode(mode))?;
    new.sync_all()?;
    let now = path.symlink_metadata()?;
    let identity = |it: &Metadata| (it.dev(), it.ino(), it.ctime(), it.ctime_nsec(), it.len());
    if identity(&now) != identity(before) {
        return Err(ReplaceError::Changed);
    }
    temporary.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Copies all extended attributes of the old file to the new one, and removes an ACL that the old file does not have. Other
/// attributes that the new file got from its directory or a security module stay.
fn copy_attributes(old: &File, new: &File) -> Result<(), ReplaceError> {
    let lost = |name: &CStr, errno: Errno| {
        let what = match name == ACL {
            true => "access control list".into(),
            false => format!("extended attribute {}", name.to_string_lossy()),
        };
        ReplaceError::Lost { what, source: errno.into() }
    };
    let mut names = names_of(old)?;
    // Not every file system lists it.
    names.insert(ACL.into());
    for name in &names {
        let failed = |errno| lost(name, errno);
        let value = value_of(old, name).map_err(failed)?;
        if value_of(new, name).ok() == Some(value.clone()) {
            continue;
        }
        let done = match value {
            Some(value) => fsetxattr(new, name.as_c_str(), &value, XattrFlags::empty()),
            None if name.as_c_str() == ACL => fremovexattr(new, ACL),
            // It was removed after it was listed.
            None => Ok(()),
        };
        match done {
            // A label of a security module that does not run here: otherwise the new file would have one. Files keep such
            // labels after SELinux is switched off.
            Err(Errno::PERM | Errno::OPNOTSUPP)
                if name.as_bytes().starts_with(b"security.") && value_of(new, name) == Ok(None) => {}
            done => done.map_err(failed)?,
        }
    }
    Ok(())
}

/// Returns the names of a file's extended attributes; none if the file system has no attributes.
fn names_of(file: &File) -> io::Result<BTreeSet<CString>> {
    let mut names = vec![0_u8; MOST_BYTES];
    let length = match flistxattr(file, &mut names[..]) {
        Err(Errno::OPNOTSUPP) => 0,
        answer => answer?,
    };
    let names = names[..length].split_inclusive(|&byte| byte == 0);
    Ok(names.filter_map(|name| CStr::from_bytes_with_nul(name).ok()).map(CString::from).collect())
}

/// Returns the value of an extended attribute, if the file has it.
fn value_of(file: &File, name: &CStr) -> rustix::io::Result<Option<Vec<u8>>> {
    let mut value = vec![0_u8; MOST_BYTES];
    match fgetxattr(file, name, &mut value[..]) {
        Ok(length) => {
            value.truncate(length);
            Ok(Some(value))
        }
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a temporary file with these contents beside `path`, with mode 0600 unless other permissions are given.
fn written(path: &Path, contents: &[u8], permissions: Option<Permissions>) -> io::Result<NamedTempFile> {
    match path.symlink_metadata() {
        Ok(metadata) if !metadata.is_file() => {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let directory = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Err(io::ErrorKind::InvalidInput.into()),
    };
    // The name does not match `*.prom` or `*.jsonl`.
    let mut prefix = OsStr::new(".").to_os_string();
    prefix.push(path.file_name().unwrap_or_default());
    prefix.push(".");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".tmp");
    if let Some(permissions) = permissions {
        builder.permissions(permissions);
    }
    let mut temporary = builder.tempfile_in(directory)?;
    temporary.write_all(contents)?;
    Ok(temporary)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o777
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("a.prom");
        replace(&path, b"one", 0o644).unwrap();
        assert_eq!((std::fs::read(&path).unwrap(), mode(&path)), (b"one".to_vec(), 0o644));
        let inode = path.metadata().unwrap().ino();
        let mut reader = File::open(&path).unwrap();
        replace(&path, b"two", 0o600).unwrap();
        assert_eq!((std::fs::read(&path).unwrap(), mode(&path)), (b"two".to_vec(), 0o600));
        assert_ne!(path.metadata().unwrap().ino(), inode);
        let mut seen = String::new();
        io::Read::read_to_string(&mut reader, &mut seen).unwrap();
        assert_eq!(seen, "one", "who has the old one open still reads it");
        assert_eq!(names(temporary.path()), ["a.prom"]);
    }

    #[test]
    fn a_link_is_not_followed() {
        let temporary = tempfile::tempdir().unwrap();
        let [file, link, dangling] = ["file", "link", "dangling"].map(|name| temporary.path().join(name));
        std::fs::write(&file, "one").unwrap();
        symlink("file", &link).unwrap();
        symlink("missing", &dangling).unwrap();
        for path in [&link, &dangling] {
            assert_eq!(replace(path, b"two", 0o644).unwrap_err().kind(), io::ErrorKind::InvalidInput);
            assert!(path.symlink_metadata().unwrap().is_symlink());
        }
        assert_eq!(std::fs::read(&file).unwrap(), b"one");
    }

    #[test]
    fn what_is_no_file_is_not_replaced_and_nothing_is_left_behind() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = temporary.path().join("directory");
        let socket = temporary.path().join("socket");
        std::fs::create_dir(&directory).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for path in [socket.as_path(), directory.as_path(), Path::new("/")] {
            assert_eq!(
                replace(path, b"", 0o644).unwrap_err().kind(),
                io::ErrorKind::InvalidInput,
                "{path:?}"
            );
        }
        assert!(replace(&temporary.path().join("no/such/directory"), b"", 0o644).is_err());
        assert_eq!(names(temporary.path()), ["directory", "socket"]);
    }

    /// An access ACL as the kernel keeps it (`linux/posix_acl_xattr.h`): version 2, then tag, permissions and id of each
    /// entry. The group may read, the user 65534 as `named` says, and so the mask.
    fn acl(named: u16) -> Vec<u8> {
        const NO_ID: u32 = u32::MAX;
        let entries: [(u16, u16, u32); 5] = [
            (0x01, 6, NO_ID),
            (0x02, named, 65534),
            (0x04, 4, NO_ID),
            (0x10, named, NO_ID),
            (0x20, 4, NO_ID),
        ];
        let mut value = 2_u32.to_le_bytes().to_vec();
        for (tag, permissions, id) in entries {
            value.extend([&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &id.to_le_bytes()].concat());
        }
        value
    }

    /// Sets an attribute; `false` where the file system has no such.
    fn set(path: &Path, name: &CStr, value: &[u8]) -> bool {
        match rustix::fs::setxattr(path, name, value, XattrFlags::empty()) {
            Err(Errno::OPNOTSUPP) => {
                eprintln!("not tested: no {name:?} at {}", path.display());
                false
            }
            answer => {
                answer.unwrap();
                true
            }
        }
    }

    fn like(path: &Path, contents: &[u8]) -> Result<(), ReplaceError> {
        replace_like(path, contents, &original(path), KeepOwner::Kept)
    }

    fn original(path: &Path) -> Original {
        Original::new(File::open(path).unwrap()).unwrap()
    }

    #[test]
    fn acl_and_attributes_go_over_to_the_new_file() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("bashrc");
        std::fs::write(&path, "one").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        if !set(&path, ACL, &acl(6)) || !set(&path, c"user.note", b"mine") || !set(&path, c"user.empty", b"")
        {
            return;
        }
        assert_eq!(mode(&path), 0o664, "the mask takes the place of the group's bits");
        let old = File::open(&path).unwrap();
        like(&path, b"two").unwrap();
        let new = File::open(&path).unwrap();
        assert_ne!(old.metadata().unwrap().ino(), new.metadata().unwrap().ino());
        assert_eq!((std::fs::read(&path).unwrap(), mode(&path)), (b"two".to_vec(), 0o664));
        assert_eq!(value_of(&new, ACL).unwrap(), Some(acl(6)));
        assert_eq!(value_of(&new, c"user.note").unwrap().as_deref(), Some(&b"mine"[..]));
        assert_eq!(names_of(&new).unwrap(), names_of(&old).unwrap());
    }

    #[test]
    fn a_directory_with_a_default_acl_widens_nothing() {
        let temporary = tempfile::tempdir().unwrap();
        let [old, new] = ["old", "new"].map(|name| temporary.path().join(name));
        std::fs::write(&old, "one").unwrap();
        std::fs::set_permissions(&old, Permissions::from_mode(0o664)).unwrap();
        if !set(temporary.path(), c"system.posix_acl_default", &acl(7)) {
            return;
        }
        like(&old, b"two").unwrap();
        assert_eq!((value_of(&File::open(&old).unwrap(), ACL).unwrap(), mode(&old)), (None, 0o664));
        // A new one gets what the directory has for new files, and no more than was asked for.
        create(&new, b"one", 0o644).unwrap();
        assert_eq!(mode(&new), 0o644);
        assert_eq!(value_of(&File::open(&new).unwrap(), ACL).unwrap().unwrap()[12..14], [2, 0]);
    }

    #[test]
    fn what_changed_since_it_was_opened_is_not_replaced() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("bashrc");
        type Change = fn(&Path);
        let changes: [Change; 3] = [
            |path| std::fs::write(path, "other").unwrap(),
            |path| std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap(),
            |path| replace(path, b"one", 0o644).unwrap(),
        ];
        for change in changes {
            replace(&path, b"one", 0o644).unwrap();
            let old = original(&path);
            // The clock of a file system may tick a hundred times a second.
            std::thread::sleep(std::time::Duration::from_millis(20));
            change(&path);
            let (contents, mode_then) = (std::fs::read(&path).unwrap(), mode(&path));
            let told = replace_like(&path, b"two", &old, KeepOwner::Kept);
            assert!(matches!(told, Err(ReplaceError::Changed)), "{told:?}");
            assert_eq!((std::fs::read(&path).unwrap(), mode(&path)), (contents, mode_then));
            assert_eq!(names(temporary.path()), ["bashrc"]);
        }
        assert_eq!(create(&path, b"two", 0o644).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(names(temporary.path()), ["bashrc"]);
    }
}
