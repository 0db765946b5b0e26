//! Replaces a file as a whole: readers see the old contents or the new, never a part.
//!
//! A temporary file in the same directory is written, brought to disk (`fsync`) and renamed over the old one; so a
//! crash or a full disk leaves the old one as it was.

use std::ffi::OsStr;
use std::fs::{Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;
use tempfile::NamedTempFile;

/// Writes `contents` to `path` with this mode, whatever the umask says. A symbolic link at `path` is not followed:
/// somebody else may own the directory and have put it there.
///
/// # Errors
/// What the system says; `InvalidInput` where something other than a file is there: it is not replaced.
pub fn replace(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    put(path, contents, |temporary| temporary.as_file().set_permissions(Permissions::from_mode(mode)))
}

/// Writes `contents` to `path` with the mode and the owner of the file that `old` tells of. A symbolic link at `path`
/// is not followed.
///
/// # Errors
/// As of [`replace`]; and when the new file cannot be given to the old one's owner: then nothing was replaced.
pub fn replace_like(path: &Path, contents: &[u8], old: &Metadata) -> io::Result<()> {
    put(path, contents, |temporary| {
        let file = temporary.as_file();
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            fchown(file, Some(old.uid()), Some(old.gid()))?;
        }
        // Behind that: giving a file away clears bits of its mode.
        file.set_permissions(Permissions::from_mode(old.mode() & 0o7777))
    })
}

fn put(path: &Path, contents: &[u8], dress: impl FnOnce(&NamedTempFile) -> io::Result<()>) -> io::Result<()> {
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
    let mut temporary = tempfile::Builder::new().prefix(&prefix).suffix(".tmp").tempfile_in(directory)?;
    temporary.write_all(contents)?;
    dress(&temporary)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

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
        let mut reader = std::fs::File::open(&path).unwrap();
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
}
