//! Replaces a file as a whole: readers see the old contents or the new, never a part.
//!
//! A temporary file in the same directory is written, brought to disk (`fsync`) and renamed over the old one; so a
//! crash or a full disk leaves the old one as it was.
//!
//! A file that belongs to the user is replaced by one that is like it: owner, group, mode, and all extended attributes,
//! of which the POSIX ACL is one (acl(5), xattr(7)). The mode alone says little: with an ACL its group bits are the mask, and
//! in a directory with a default ACL a new file inherits entries that the old one did not have.

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

/// The most bytes that the kernel takes for a value or a list of names (`XATTR_SIZE_MAX`, `XATTR_LIST_MAX`).
const MOST_BYTES: usize = 1 << 16;

/// A file that is to be replaced, and what it was when it was opened.
#[derive(Debug)]
pub struct Original {
    /// The open file.
    pub file: File,
    metadata: Metadata,
}

impl Original {
    /// Notes what an open file is now, before it is read.
    ///
    /// # Errors
    /// What `fstat` answers.
    pub fn new(file: File) -> io::Result<Original> {
        Ok(Original { metadata: file.metadata()?, file })
    }
}

/// What becomes of the owner and the group of a file that is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// The new file has them too, or nothing is replaced.
    Kept,
    /// The new file has them too where the system lets us. In another group, the group may do nothing with it.
    KeptIfPossible,
}

/// Why a file was not replaced by one that is like it.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    /// The system refuses.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The new file would lack something that the old one has.
    #[error("a new file would not keep its {what}")]
    Lost {
        /// What it would lack.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The old file is another one now, or was changed.
    #[error("it changed meanwhile")]
    Changed,
}

/// Writes `contents` to `path` with this mode, whatever the umask says. A symbolic link at `path` is not followed:
/// somebody else may own the directory and have put it there.
///
/// # Errors
/// What the system says; `InvalidInput` where something other than a file is there: it is not replaced.
pub fn replace(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    let temporary = written(path, contents, None)?;
    temporary.as_file().set_permissions(Permissions::from_mode(mode))?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Writes `contents` to a new file at `path`, with this mode as far as the umask and a default ACL of the directory
/// leave it.
///
/// # Errors
/// What the system says; `AlreadyExists` or `InvalidInput` where something is there.
pub fn create(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    let temporary = written(path, contents, Some(Permissions::from_mode(mode)))?;
    temporary.as_file().sync_all()?;
    temporary.persist_noclobber(path).map_err(|error| error.error)?;
    Ok(())
}

/// Writes `contents` to `path`, where the original is: with its mode, extended attributes, owner and
/// group. A symbolic link at `path` is not followed.
///
/// # Errors
/// A [`ReplaceError`]: then nothing was replaced.
pub fn replace_like(
    path: &Path,
    contents: &[u8],
    original: &Original,
    ownership: Ownership,
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
            Ownership::Kept => return Err(ReplaceError::Lost { what: "owner and group".into(), source }),
            Ownership::KeptIfPossible if ours.gid() != before.gid() => mode &= 0o707,
            Ownership::KeptIfPossible => mode &= 0o777,
        }
    }
    copy_attributes(old, new)?;
    // Behind both: giving a file away clears bits of its mode, and an ACL changes it.
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

/// Gives a new file all extended attributes of the old one, and takes an ACL from it that the old one does not have.
/// Of those that the new file got elsewhere (from its directory, from a security module) the others stay.
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
            // It went since it was listed.
            None => Ok(()),
        };
        match done {
            // A label of a security module that does not run here: else the new file would have one. Such files are left
            // where SELinux was switched off.
            Err(Errno::PERM | Errno::OPNOTSUPP)
                if name.as_bytes().starts_with(b"security.") && value_of(new, name) == Ok(None) => {}
            done => done.map_err(failed)?,
        }
    }
    Ok(())
}

/// The names of a file's extended attributes; none where the file system has no such.
fn names_of(file: &File) -> io::Result<BTreeSet<CString>> {
    let mut names = vec![0_u8; MOST_BYTES];
    let length = match flistxattr(file, &mut names[..]) {
        Err(Errno::OPNOTSUPP) => 0,
        answer => answer?,
    };
    let names = names[..length].split_inclusive(|&byte| byte == 0);
    Ok(names.filter_map(|name| CStr::from_bytes_with_nul(name).ok()).map(CString::from).collect())
}

/// The value of an extended attribute, if the file has it.
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

/// A temporary file beside `path` with these contents; for its owner alone, where no other permissions are asked for.
fn written(path: &Path, contents: &[u8], permissions: Option<Permissions>) -> io::Result<NamedTempFile> {
    match path.symlink_metadata() {
        Ok(metadata) if !metadata.is_file() => {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let directory = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Err(io::ErrorKind::InvalidInput.into()),
    };
    // Nothing that looks for `*.prom` or `*.jsonl` takes the temporary file for one.
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
        replace_like(path, contents, &original(path), Ownership::Kept)
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
            let told = replace_like(&path, b"two", &old, Ownership::Kept);
            assert!(matches!(told, Err(ReplaceError::Changed)), "{told:?}");
            assert_eq!((std::fs::read(&path).unwrap(), mode(&path)), (contents, mode_then));
            assert_eq!(names(temporary.path()), ["bashrc"]);
        }
        assert_eq!(create(&path, b"two", 0o644).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(names(temporary.path()), ["bashrc"]);
    }
}
