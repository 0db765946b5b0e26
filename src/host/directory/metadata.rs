//! What the system says of a file: its kind and its metadata, the same on every platform.

use crate::units::Moment;
use rustix::fs::{FileType, Stat};

/// What kind of file a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link, not followed.
    Link,
    /// A device, socket or pipe.
    Other,
    /// The file system does not say in listings; ask [`super::Directory::metadata`].
    Unknown,
}

/// What `stat` says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    /// The kind of file.
    pub kind: FileKind,
    /// Device and inode: the file's identity.
    pub identity: (u64, u64),
    /// Number of hard links.
    pub links: u64,
    /// Permission bits and the like, `st_mode`.
    pub mode: u32,
    /// The owner's user id.
    pub user: u32,
    /// The group's id.
    pub group: u32,
    /// Length in bytes.
    pub bytes: u64,
    /// Occupied room in bytes (`st_blocks` × 512).
    pub disk: u64,
    /// Last modification.
    pub modified: Moment,
    /// Last access.
    pub accessed: Moment,
    /// Last change of the inode (`st_ctime`): for a directory, when a name in it was last made, removed or renamed.
    /// Nobody can set it, unlike the modification time.
    pub changed: Moment,
}

impl Metadata {
    /// The last moment at which the contents can have been written: the last modification. One that is later than the last
    /// change of the inode was set by a program, or by a clock that is wrong, and then the change counts.
    pub fn written(&self) -> Moment {
        self.modified.min(self.changed)
    }

    /// How much of the file is read, in bytes: all of it, or of one with holes what it can be said to hold.
    ///
    /// No file system compresses better than to a 32nd (btrfs, 4 KiB for 128 KiB). One that says of a file that it takes
    /// nothing does not count blocks.
    pub(crate) fn readable_bytes(&self) -> u64 {
        const ALWAYS: u64 = 1 << 20;
        const MOST_COMPRESSED: u64 = 32;
        match self.disk {
            0 => self.bytes,
            disk => self.bytes.min(disk.saturating_mul(MOST_COMPRESSED).max(ALWAYS)),
        }
    }
}

impl From<FileType> for FileKind {
    fn from(kind: FileType) -> FileKind {
        match kind {
            FileType::RegularFile => FileKind::Regular,
            FileType::Directory => FileKind::Directory,
            FileType::Symlink => FileKind::Link,
            FileType::Unknown => FileKind::Unknown,
            _ => FileKind::Other,
        }
    }
}

impl From<Stat> for Metadata {
    #[allow(clippy::unnecessary_cast, reason = "the widths differ between platforms")]
    fn from(stat: Stat) -> Metadata {
        let moment = |seconds, nanoseconds| Moment { seconds, nanoseconds: nanoseconds as u32 };
        Metadata {
            kind: FileType::from_raw_mode(stat.st_mode).into(),
            identity: (stat.st_dev as u64, stat.st_ino),
            links: stat.st_nlink as u64,
            mode: stat.st_mode as u32,
            user: stat.st_uid,
            group: stat.st_gid,
            bytes: u64::try_from(stat.st_size).unwrap_or(0),
            disk: u64::try_from(stat.st_blocks).unwrap_or(0) * 512,
            modified: moment(stat.st_mtime, stat.st_mtime_nsec),
            accessed: moment(stat.st_atime, stat.st_atime_nsec),
            changed: moment(stat.st_ctime, stat.st_ctime_nsec),
        }
    }
}
