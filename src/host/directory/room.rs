//! How much room a file system has left.

use std::io;
use std::path::Path;

/// What a file system has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Its size in bytes.
    pub bytes: u64,
    /// The bytes that a user other than root may still fill.
    pub available: u64,
    /// How many files it can hold; zero where it sets no limit.
    pub files: u64,
    /// How many more it can hold.
    pub files_left: u64,
    /// Whether nothing can be written to it.
    pub is_read_only: bool,
}

/// What the file system under a path has left (`statvfs`). On a network file system whose server is gone it blocks.
///
/// # Errors
/// What `statvfs` answers.
pub fn room(path: &Path) -> io::Result<Room> {
    let answer = rustix::fs::statvfs(path)?;
    Ok(Room {
        bytes: answer.f_blocks.saturating_mul(answer.f_frsize),
        available: answer.f_bavail.saturating_mul(answer.f_frsize),
        files: answer.f_files,
        files_left: answer.f_favail,
        is_read_only: answer.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
    })
}
