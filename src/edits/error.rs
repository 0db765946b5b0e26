//! Why a text cannot be read or changed.

use super::block::BlockError;
use super::place::TextPlace;
use crate::crontab::CrontabError;
use crate::host::trust::Stranger;
use std::io;
use std::path::PathBuf;

/// Maximum length of a file to edit, in bytes. Startup files and settings are shorter.
pub const MOST_BYTES: u64 = 16 << 20;

/// Why a text cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// It cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write {}", .path.display())]
    Write {
        /// Its path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// It is a directory, a device, a pipe.
    #[error("not changed: {} is not a regular file", .0.display())]
    NoFile(PathBuf),
    /// We are root, and another user could replace the file.
    #[error("not changed as root: {}: {stranger}", .path.display())]
    Stranger {
        /// Its path.
        path: PathBuf,
        /// The user.
        stranger: Stranger,
    },
    /// Its owner may not write it.
    #[error("not changed: {} is read-only", .0.display())]
    ReadOnly(PathBuf),
    /// It has several hard links, which a replacement would separate.
    #[error("not changed: {} has {names} names (hard links), and only one would be changed", .path.display())]
    SeveralNames {
        /// Its path.
        path: PathBuf,
        /// The number of links.
        names: u64,
    },
    /// A replacement would lose something that the file has.
    #[error("not changed: a replacement of {} would lose its {what}", .path.display())]
    Lost {
        /// Its path.
        path: PathBuf,
        /// What it would lose.
        what: String,
        /// The system's error.
        source: io::Error,
    },
    /// It is too large.
    #[error("not changed: {} is larger than {MOST_BYTES} bytes", .0.display())]
    TooLarge(PathBuf),
    /// It is not the text that was planned and shown.
    #[error("not changed: {0} changed meanwhile")]
    Changed(TextPlace),
    /// Our block in it is damaged.
    #[error("not changed: {place}")]
    Block {
        /// Where.
        place: TextPlace,
        /// What is wrong with the block.
        source: BlockError,
    },
    /// Its contents cannot be changed safely.
    #[error("not changed: {place}: {why}")]
    Contents {
        /// Where.
        place: TextPlace,
        /// What is wrong with them.
        why: String,
    },
    /// The crontab cannot be read or written.
    #[error(transparent)]
    Crontab(#[from] CrontabError),
}

impl EditError {
    /// Whether there is no program `crontab` on this machine, and so no crontab with our changes.
    pub fn is_missing_crontab(&self) -> bool {
        matches!(self, EditError::Crontab(error) if error.is_missing_program())
    }
}
