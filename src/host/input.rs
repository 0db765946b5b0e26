//! Reads the user's files: configuration, history, startup files.
//!
//! Reading never blocks and always ends: only regular files of limited size are read. Also opens files to append to, the only
//! place that uses the flags for it.

use crate::host::{directory, trust};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Maximum size of a configuration or startup file, in bytes; those that people write are smaller.
pub const MOST_BYTES: u64 = 1 << 20;

/// Returns the contents of a regular file of at most `most` bytes. Follows symbolic links: dotfile managers make them.
/// `/dev/null` counts as an empty file.
///
/// # Errors
/// Those of the system; `InvalidInput` for anything but a regular file, which is not opened; `FileTooLarge`.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let (file, metadata) = match directory::open_file(path) {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput && is_null_device(path) => {
            return Ok(Vec::new());
        }
        answer => answer?,
    };
    let mut contents = Vec::new();
    // The file may grow while it is read.
    if metadata.bytes <= most && file.take(most + 1).read_to_end(&mut contents)? as u64 <= most {
        return Ok(contents);
    }
    Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {most} bytes")))
}

fn is_null_device(path: &Path) -> bool {
    path.canonicalize().is_ok_and(|path| path == Path::new("/dev/null"))
}

/// Opens a regular file for reading and appending, and creates it with mode 0600 if it does not exist. Does not follow a
/// symbolic link: it could lead to any file of the user.
///
/// # Errors
/// Those of the system; `InvalidInput` for anything but a regular file.
pub fn open_to_append(path: &Path) -> io::Result<File> {
    let refused = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what);
    // O_RDWR and O_NONBLOCK: opening a pipe does not wait. O_NONBLOCK has no effect on a regular file.
    let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC;
    let careful = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match rustix::fs::open(path, flags | careful, Mode::RUSR | Mode::WUSR) {
        Err(Errno::LOOP) => return Err(refused("it is a symbolic link, which is not followed")),
        answer => File::from(answer?),
    };
    if !file.metadata()?.is_file() {
        return Err(refused("it is not a regular file"));
    }
    Ok(file)
}

/// As root, refuses a path that another user could have changed: that user would control what root reads or where it writes.
/// `/dev/null` says nothing, whoever may write to it.
///
/// # Errors
/// `PermissionDenied`, with the directory or file and its owner.
pub fn refuse_strangers(path: &Path) -> io::Result<()> {
    if directory::effective_user() != 0 {
        return Ok(());
    }
    let ways = if is_null_device(path) { trust::ways_to(path) } else { trust::ways(path) };
    if let Some(stranger) = trust::stranger(&ways, 0) {
        let message = format!("refused as root: {stranger}");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::special_files::make_pipe;
    use std::io::Write;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    /// Paths that only hang, never end or are none of ours to write to: a pipe, devices, a directory, a socket, a huge
    /// file, and links to some of them.
    pub fn hostile_files(directory: &Path) -> Vec<PathBuf> {
        let at = |name: &str| directory.join(name);
        make_pipe(&at("pipe")).unwrap();
        std::fs::create_dir(at("directory")).unwrap();
        File::create(at("sparse")).unwrap().set_len(1 << 40).unwrap();
        // Its name goes with the test's directory.
        std::mem::forget(std::os::unix::net::UnixListener::bind(at("socket")).unwrap());
        symlink("/dev/zero", at("to-zero")).unwrap();
        symlink("/dev/tty", at("to-terminal")).unwrap();
        symlink("pipe", at("to-pipe")).unwrap();
        symlink("loop", at("loop")).unwrap();
        let names = ["pipe", "directory", "sparse", "socket", "to-zero", "to-terminal", "to-pipe", "loop"];
        names.into_iter().map(at).chain([PathBuf::from("/dev/zero")]).collect()
    }

    #[test]
    fn only_regular_files_of_bounded_size_are_read() {
        let temporary = tempfile::tempdir().unwrap();
        for path in hostile_files(temporary.path()) {
            assert!(read(&path, 1 << 20).is_err(), "{path:?}");
        }
        let path = temporary.path().join("file");
        std::fs::write(&path, [b'x'; 10]).unwrap();
        symlink("file", temporary.path().join("link")).unwrap();
        for path in [&path, &temporary.path().join("link")] {
            assert_eq!(read(path, 10).unwrap(), [b'x'; 10]);
            assert_eq!(read(path, 9).unwrap_err().to_string(), "it has more than 9 bytes");
        }
        assert_eq!(read(Path::new("/dev/null"), 0).unwrap(), b"");
        let missing = temporary.path().join("missing");
        assert_eq!(read(&missing, 1).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn nothing_is_appended_to_what_is_no_regular_file_of_this_name() {
        let temporary = tempfile::tempdir().unwrap();
        let at = |name: &str| temporary.path().join(name);
        let hostile = hostile_files(temporary.path());
        for path in hostile.iter().filter(|path| !path.ends_with("sparse")) {
            assert!(open_to_append(path).is_err(), "{path:?}");
        }
        std::fs::write(at("elsewhere"), "precious").unwrap();
        for target in ["elsewhere", "missing"] {
            let link = at(&format!("link-to-{target}"));
            symlink(target, &link).unwrap();
            let error = open_to_append(&link).unwrap_err();
            assert_eq!(error.to_string(), "it is a symbolic link, which is not followed");
        }
        assert_eq!(std::fs::read(at("elsewhere")).unwrap(), b"precious");
        assert!(!at("missing").exists());
        for text in ["one", "two"] {
            open_to_append(&at("file")).unwrap().write_all(text.as_bytes()).unwrap();
        }
        assert_eq!(std::fs::read(at("file")).unwrap(), b"onetwo");
    }
}
