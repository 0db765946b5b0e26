//! A file to be removed, as it was when it was planned. It is checked again before it is removed ([`crate::effect::last_look`]).

use super::premise::Premise;
use crate::source::owner::Owner;
use crate::store::entry::{Content, Entry};
use crate::units::Moment;
use crate::units::Tally;
use crate::verdict::status::Status;
use std::sync::Arc;

/// A file to be removed, as it was when planned.
#[derive(Debug, Clone)]
pub struct Victim {
    /// Its name in the directory.
    pub name: Box<[u8]>,
    /// Whether its first bytes were read and may be those of bytecode; else the executor reads them.
    pub contents: Contents,
    /// Device and inode.
    pub identity: (u64, u64),
    /// How many hard links it had.
    pub links: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// Disk usage in bytes.
    pub disk: u64,
    /// Last modification.
    pub modified: Moment,
    /// What must still hold for its source when it is removed.
    pub premise: Premise,
    /// Its status; none in a source tree, where entries are not judged.
    pub status: Option<Status>,
    /// The package of its source; none outside site-packages, or if packages were not requested.
    pub package: Option<Arc<str>>,
}

/// What removed files are grouped by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct VictimGroup {
    /// Their owner.
    pub(crate) owner: Arc<Owner>,
    /// Their status.
    pub(crate) status: Option<Status>,
    /// Their package.
    pub(crate) package: Option<Arc<str>>,
}

/// Whether a victim's first bytes are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    /// They were read, and the policy may remove such a file.
    Known,
    /// They are to be read before it is removed.
    ToBeRead,
}

impl Victim {
    /// What it takes.
    pub fn size(&self) -> Tally {
        Tally::file(self.bytes, self.disk)
    }

    /// What its removal certainly frees: no bytes for a file with several links, since a link may stay
    /// ([`LinkedVictims`](super::links::LinkedVictims)).
    pub fn tally(&self) -> Tally {
        if self.links > 1 { Tally::file(0, 0) } else { self.size() }
    }

    /// Returns its group; `owner` is that of the directory.
    pub(crate) fn group(&self, owner: &Arc<Owner>) -> VictimGroup {
        VictimGroup { owner: owner.clone(), status: self.status, package: self.package.clone() }
    }

    /// The file of an entry as it is to be removed; `None` if its metadata is unknown.
    pub(crate) fn of(entry: &Entry<'_>) -> Option<Victim> {
        let metadata = entry.metadata?;
        Some(Victim {
            name: entry.name.into(),
            contents: match entry.content {
                Content::Read(..) => Contents::Known,
                Content::NotRead | Content::Unreadable(_) => Contents::ToBeRead,
            },
            identity: metadata.identity,
            links: metadata.links,
            bytes: metadata.bytes,
            disk: metadata.disk,
            modified: metadata.modified,
            premise: Premise::None,
            status: None,
            package: None,
        })
    }
}
