//! One thing that was found out about an entry.

use crate::pyc::marshal::Fault;
use std::path::PathBuf;

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The entry as shown; the owner's root where a whole tree is meant.
    pub path: PathBuf,
    /// What was found.
    pub what: What,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Imports fail, or the code is not that of the source.
    Fault,
    /// Old code may run.
    Warning,
    /// Worth knowing.
    Notice,
}

impl Severity {
    /// The name in tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Fault => "fault",
            Severity::Warning => "warning",
            Severity::Notice => "notice",
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum What {
    /// `marshal.loads` raises.
    #[error("every import fails: {0}")]
    Body(Fault),
    /// The header matches, and the source is newer than the entry.
    #[error(
        "the source was changed after it was compiled, and the header does not show it: old code may run"
    )]
    Racy,
    /// Source and entry have the same second: an edit in the rest of it would not show.
    #[error("compiled in the second of the source's last change: an edit in the rest of it would not show")]
    SameSecond,
    /// The source's mtime is one that archives and images set; in seconds.
    #[error("the source's mtime is {0}, which is set and not kept: an edit of the same size does not show")]
    Frozen(i64),
    /// All sources of an owner have one mtime.
    #[error("all {sources} sources have the mtime {mtime}: an edit of the same size does not show")]
    FrozenTree {
        /// Their mtime in seconds since 1970.
        mtime: i64,
        /// How many there are.
        sources: u64,
    },
    /// `co_filename` is another path.
    #[error("compiled from {}", .0.display())]
    Moved(PathBuf),
    /// It is not what the source compiles to, and no time shows an edit.
    #[error("not what the source compiles to, and no time shows an edit")]
    Forged,
    /// It is not what the source compiles to, and the header could not show an edit.
    #[error("not what the source compiles to: the source was changed, and the header does not show it")]
    Outdated,
}

impl What {
    /// The name in tables and JSON.
    pub fn name(&self) -> &'static str {
        match self {
            What::Body(_) => "body",
            What::Racy | What::SameSecond => "racy",
            What::Frozen(_) | What::FrozenTree { .. } => "frozen",
            What::Moved(_) => "moved",
            What::Forged => "forged",
            What::Outdated => "outdated",
        }
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        match self {
            What::Body(_) | What::Forged | What::Outdated => Severity::Fault,
            What::Racy => Severity::Warning,
            What::SameSecond | What::Frozen(_) | What::FrozenTree { .. } | What::Moved(_) => Severity::Notice,
        }
    }
}
