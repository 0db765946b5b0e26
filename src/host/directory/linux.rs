//! The system calls that Linux alone has: `openat2`, `statx`, `getdents64`, `O_NOATIME`, `O_PATH` and `/proc`.

use super::{BELOW, FileKind, ListBuffer, Metadata, READ, no_regular_file};
use crate::units::Moment;
use rustix::fs::{
    Advice, AtFlags, FileType, Mode, OFlags, RawDir, RenameFlags, ResolveFlags, StatxAttributes, StatxFlags,
};
use rustix::io::Errno;
use rustix::path::Arg;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// Opens a directory without read permission, only to look names up in it.
pub(super) const SEARCH: OFlags = OFlags::PATH;

const BENEATH: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_XDEV);

/// How much the kernel lists at once, in bytes.
const LISTED_AT_ONCE: usize = 32 << 10;

/// Opens the directory at `relative` by one system call (Linux 5.6).
pub(super) fn open_beneath(root: BorrowedFd<'_>, relative: &[u8]) -> io::Result<OwnedFd> {
    let path = if relative.is_empty() { b"." } else { relative };
    Ok(rustix::fs::openat2(root, path, BELOW, Mode::empty(), BENEATH)?)
}

/// Opens the directory `name` in `parent` if it is on this mount, else EXDEV.
pub(super) fn open_on(mount: u64, parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    // `O_PATH` first: another mount's file system is not asked to open anything, for it may not answer.
    let next = rustix::fs::openat(parent, name, BELOW | OFlags::PATH, Mode::empty())?;
    if mount_of(next.as_fd())? != mount {
        return Err(Errno::XDEV.into());
    }
    // By its name again: `.` of a directory that may be listed but not searched cannot be opened.
    let opened = rustix::fs::openat(parent, name, BELOW, Mode::empty())?;
    if mount_of(opened.as_fd())? != mount {
        return Err(Errno::XDEV.into());
    }
    Ok(opened)
}

/// The mount a descriptor is on: its id from `statx` (Linux 5.8), else from `/proc`, else its device, which does not
/// tell two mounts of one file system apart.
pub(super) fn mount_of(descriptor: BorrowedFd<'_>) -> io::Result<u64> {
    // STATX_MNT_ID; not every libc names it.
    const MOUNT_ID: StatxFlags = StatxFlags::from_bits_retain(0x1000);
    // A file system on another machine need not be asked.
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    match rustix::fs::statx(descriptor, "", flags, MOUNT_ID) {
        Ok(answer) if answer.stx_mask & MOUNT_ID.bits() != 0 => return Ok(answer.stx_mnt_id),
        _ => {}
    }
    let information = format!("/proc/self/fdinfo/{}", descriptor.as_raw_fd());
    let told = std::fs::read_to_string(information)
        .ok()
        .and_then(|text| text.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok()));
    match told {
        Some(mount) => Ok(mount),
        None => Ok(rustix::fs::fstat(descriptor)?.st_dev),
    }
}

/// Calls `each` with every name, `.` and `..` included.
pub(super) fn list(
    directory: BorrowedFd<'_>,
    buffer: &mut ListBuffer,
    mut each: impl FnMut(&[u8], FileType),
) -> io::Result<()> {
    buffer.0.resize(LISTED_AT_ONCE, MaybeUninit::uninit());
    let mut entries = RawDir::new(directory, &mut buffer.0);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        each(entry.file_name().to_bytes(), entry.file_type());
    }
    Ok(())
}

/// Whether a directory's names are encrypted.
pub(super) fn is_encrypted(directory: BorrowedFd<'_>) -> bool {
    let answer = rustix::fs::statx(directory, "", AtFlags::EMPTY_PATH, StatxFlags::empty());
    answer.is_ok_and(|answer| answer.stx_attributes.contains(StatxAttributes::ENCRYPTED))
}

/// When a directory was made.
pub(super) fn made(directory: BorrowedFd<'_>) -> io::Result<Option<Moment>> {
    let answer = rustix::fs::statx(directory, "", AtFlags::EMPTY_PATH, StatxFlags::BTIME)?;
    let birth = answer.stx_btime;
    let is_known = answer.stx_mask & StatxFlags::BTIME.bits() != 0;
    Ok(is_known.then_some(Moment { seconds: birth.tv_sec, nanoseconds: birth.tv_nsec }))
}

/// Lets the kernel read no more of a file than it is asked for, where it can be told so.
pub(super) fn disable_readahead(file: &File) {
    let _ = rustix::fs::fadvise(file, 0, None, Advice::Random);
}

/// Opens a file whose time of last access stays as it is, where that may be asked for.
pub(super) fn open_unnoticed(directory: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> io::Result<File> {
    let open = |flags| rustix::fs::openat(directory, name, flags, Mode::empty());
    match open(flags | OFlags::NOATIME) {
        Err(Errno::PERM) => Ok(open(flags)?.into()),
        answer => Ok(answer?.into()),
    }
}

/// Opens a regular file, following links. `O_PATH` opens nothing; only what was looked at is opened.
pub(super) fn open_regular(directory: BorrowedFd<'_>, path: impl Arg) -> io::Result<(File, Metadata)> {
    let found = rustix::fs::openat(directory, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let metadata = Metadata::from(rustix::fs::fstat(&found)?);
    if metadata.kind != FileKind::Regular {
        return Err(no_regular_file());
    }
    let link = format!("/proc/self/fd/{}", found.as_raw_fd());
    Ok((rustix::fs::open(link, READ | OFlags::NONBLOCK, Mode::empty())?.into(), metadata))
}

/// The path of an open directory.
pub(super) fn real_path(directory: BorrowedFd<'_>) -> io::Result<PathBuf> {
    let link = format!("/proc/self/fd/{}", directory.as_raw_fd());
    let path = rustix::fs::readlink(link, Vec::new())?;
    Ok(PathBuf::from(OsString::from_vec(path.into_bytes())))
}

/// Renames a file in a directory to a name that must be free.
pub(super) fn rename_to_free(directory: BorrowedFd<'_>, from: &[u8], to: &[u8]) -> rustix::io::Result<()> {
    rustix::fs::renameat_with(directory, from, directory, to, RenameFlags::NOREPLACE)
}
