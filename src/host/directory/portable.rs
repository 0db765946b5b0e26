//! The same as `linux` by POSIX alone: `openat`, `fstatat`, `fstat`, `readdir`, one component of a path at a time.
//!
//! * A mount is known by its device number, which on macOS tells all mounts apart, and also the two volumes that a firmlink
//!   joins. Where one file system can be mounted at two places, rename(2) tells them apart.
//! * A file that is read has been accessed: there is no `O_NOATIME`.

use super::{BELOW, FileKind, ListBuffer, Metadata, READ, no_regular_file};
use crate::units::Moment;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::path::Arg;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// POSIX's `O_SEARCH`, which Linux calls `O_PATH` and rustix does not name for macOS (`sys/fcntl.h`). Without it, a
/// directory that may be searched but not listed cannot be opened.
pub(super) const SEARCH: OFlags = {
    #[cfg(target_os = "linux")]
    let flag = OFlags::PATH;
    #[cfg(target_vendor = "apple")]
    let flag = OFlags::from_bits_retain(0x4000_0000);
    #[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
    let flag = OFlags::RDONLY;
    flag
};

/// Without `openat2` the kernel resolves no path for us.
pub(super) fn open_beneath(_: BorrowedFd<'_>, _: &[u8]) -> io::Result<OwnedFd> {
    Err(Errno::NOSYS.into())
}

/// Opens the directory `name` in `parent` if it is on this mount, else EXDEV.
pub(super) fn open_on(mount: u64, parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    // The kernel refuses what is no directory before it opens it; `O_NONBLOCK` is for one that would not.
    let opened = rustix::fs::openat(parent, name, BELOW | OFlags::NONBLOCK, Mode::empty())?;
    if mount_of(opened.as_fd())? != mount || is_mounted_again(parent, opened.as_fd()) {
        return Err(Errno::XDEV.into());
    }
    Ok(opened)
}

/// Whether a directory is on another mount of its parent's file system (`mount --bind`, nullfs). rename(2) refuses to rename
/// from mount to mount before it looks at the names, and never renames `.`.
#[cfg(not(target_vendor = "apple"))]
fn is_mounted_again(parent: BorrowedFd<'_>, directory: BorrowedFd<'_>) -> bool {
    rustix::fs::renameat(parent, ".", directory, ".") == Err(Errno::XDEV)
}

/// macOS mounts no file system twice.
#[cfg(target_vendor = "apple")]
fn is_mounted_again(_: BorrowedFd<'_>, _: BorrowedFd<'_>) -> bool {
    false
}

/// The device that a descriptor is on.
pub(super) fn mount_of(descriptor: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(Metadata::from(rustix::fs::fstat(descriptor)?).identity.0)
}

/// Calls `each` with every name, `.` and `..` included. readdir(3) has a buffer of its own.
pub(super) fn list(
    directory: BorrowedFd<'_>,
    _: &mut ListBuffer,
    mut each: impl FnMut(&[u8], FileType),
) -> io::Result<()> {
    // A copy of the descriptor, not `.` opened anew: that cannot be opened where the directory may not be searched.
    let mut entries = Dir::new(directory.try_clone_to_owned()?)?;
    entries.rewind();
    let mut is_empty = true;
    for entry in entries {
        let entry = entry?;
        is_empty = false;
        each(entry.file_name().to_bytes(), entry.file_type());
    }
    // readdir(3) ends as if a removed directory were an empty one.
    if is_empty && Metadata::from(rustix::fs::fstat(directory)?).links == 0 {
        return Err(Errno::NOENT.into());
    }
    Ok(())
}

/// POSIX knows no encrypted names.
pub(super) fn is_encrypted(_: BorrowedFd<'_>) -> bool {
    false
}

/// When a directory was made, as the standard library finds it on this system.
pub(super) fn made(directory: BorrowedFd<'_>) -> io::Result<Option<Moment>> {
    let metadata = File::from(directory.try_clone_to_owned()?).metadata()?;
    Ok(metadata.created().ok().map(Moment::from))
}

/// POSIX lets readahead be disabled (`posix_fadvise`), macOS does not.
pub(super) fn disable_readahead(_: &File) {}

/// Opens a file. Reading it counts as an access.
pub(super) fn open_unnoticed(directory: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> io::Result<File> {
    Ok(rustix::fs::openat(directory, name, flags, Mode::empty())?.into())
}

/// Opens a regular file, following links. It is looked at before and after.
pub(super) fn open_regular(directory: BorrowedFd<'_>, path: impl Arg + Copy) -> io::Result<(File, Metadata)> {
    let looked_at = Metadata::from(rustix::fs::statat(directory, path, AtFlags::empty())?);
    if looked_at.kind != FileKind::Regular {
        return Err(no_regular_file());
    }
    let flags = READ | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(rustix::fs::openat(directory, path, flags, Mode::empty())?);
    let metadata = Metadata::from(rustix::fs::fstat(&file)?);
    if metadata.kind != FileKind::Regular {
        return Err(no_regular_file());
    }
    Ok((file, metadata))
}

/// The path of an open directory, which macOS tells (`F_GETPATH`) and POSIX does not.
pub(super) fn real_path(directory: BorrowedFd<'_>) -> io::Result<PathBuf> {
    #[cfg(target_vendor = "apple")]
    {
        use std::os::unix::ffi::OsStringExt;
        let path = rustix::fs::getpath(directory)?.into_bytes();
        Ok(std::ffi::OsString::from_vec(path).into())
    }
    #[cfg(not(target_vendor = "apple"))]
    {
        let _ = directory;
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// POSIX cannot rename to a free name only.
pub(super) fn rename_to_free(_: BorrowedFd<'_>, _: &[u8], _: &[u8]) -> rustix::io::Result<()> {
    Err(Errno::NOSYS)
}
