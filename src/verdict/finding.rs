//! A finding about an entry.

use crate::pyc::marshal::Fault;
use crate::store::entry::SeenEntry;
use std::path::PathBuf;

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryFinding {
    /// The entry as shown; the root of the owner for all its entries, or the store for those of a tag.
    pub path: PathBuf,
    /// What was found.
    pub what: What,
    /// The entry as it was seen, where there is one.
    pub entry: Option<SeenEntry>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntrySeverity {
    /// Imports fail, or the code is not that of the source.
    Fault,
    /// Old code may run.
    Warning,
    /// Worth knowing.
    Notice,
}

impl EntrySeverity {
    /// The name in tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            EntrySeverity::Fault => "fault",
            EntrySeverity::Warning => "warning",
            EntrySeverity::Notice => "notice",
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum What {
    /// `marshal.loads` raises.
    #[error("every import fails: {0}")]
    Body(Fault),
    /// The hash in the header is not that of the source, and Python does not check it.
    #[error("old code runs: the source was changed, and the entry's hash is one that Python does not check")]
    Unchecked,
    /// The header matches, and the source's mtime is later than that of the entry.
    #[error("old code may run: the source was changed in the second in which it was compiled")]
    Racy,
    /// The header matches, and the source's inode was changed after the entry was written.
    #[error(
        "old code may run: the source was changed after it was compiled, and its size and mtime are the same (chmod and \
         copying change the inode as well)"
    )]
    Changed,
    /// The same for many entries of one owner.
    #[error(
        "old code may run: the sources of {0} entries were changed after they were compiled, and their sizes and mtimes \
         are the same (chmod, copying and hard links change the inode as well)"
    )]
    ManyChanged(u64),
    /// Sources of one owner have an mtime that archives and images set.
    #[error(
        "{} the mtime {mtime}, which archives and images set: an edit of the same size does not show",
        counted(*.sources, "source has", "sources have")
    )]
    Frozen {
        /// Their mtime in seconds since 1970.
        mtime: i64,
        /// How many there are.
        sources: u64,
    },
    /// `co_filename` is another path.
    #[error("compiled from {}", .0.display())]
    Moved(PathBuf),
    /// It is not what the source compiles to.
    #[error("old code runs: it is not what the source compiles to")]
    Mismatch,
    /// The magic or the format of the body is not known.
    #[error(
        "{} of {tag} not checked: this version does not know the format",
        counted(*.entries, "entry", "entries")
    )]
    NotChecked {
        /// Their cache tag.
        tag: Box<str>,
        /// How many there are.
        entries: u64,
    },
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

impl What {
    /// The name in tables and JSON.
    pub fn name(&self) -> &'static str {
        match self {
            What::Body(_) => "body",
            What::Unchecked => "unchecked",
            What::Racy => "racy",
            What::Changed | What::ManyChanged(_) => "changed",
            What::Frozen { .. } => "frozen",
            What::Moved(_) => "moved",
            What::Mismatch => "mismatch",
            What::NotChecked { .. } => "not-checked",
        }
    }

    /// How bad it is.
    pub fn severity(&self) -> EntrySeverity {
        match self {
            What::Body(_) | What::Unchecked | What::Mismatch => EntrySeverity::Fault,
            What::Racy | What::Changed | What::ManyChanged(_) => EntrySeverity::Warning,
            What::Frozen { .. } | What::Moved(_) | What::NotChecked { .. } => EntrySeverity::Notice,
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            What::Body(_) | What::Unchecked => {
                "pycstore verify --fix removes it, and Python compiles it again"
            }
            What::Mismatch => "pycstore verify --recompile --fix removes it, and Python compiles it again",
            What::Racy | What::Changed | What::ManyChanged(_) => {
                "pycstore verify --recompile shows whether it does; with --fix it removes outdated entries"
            }
            What::Frozen { .. } => {
                "pycstore verify --recompile finds old code; hash-based entries show every edit"
            }
            What::Moved(_) => {
                "harmless: only tracebacks name the other path, until the source is compiled again"
            }
            What::NotChecked { .. } => "nothing to do; a newer pycstore may know it",
        }
    }

    /// Whether a recompilation decides it: the entry is either what its source compiles to, or a [`What::Mismatch`].
    pub fn is_doubt(&self) -> bool {
        matches!(self, What::Unchecked | What::Racy | What::Changed)
    }
}
