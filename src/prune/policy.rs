//! Which entries a prune may remove: data and a pure function. `now` is an argument.

use crate::entry::{Bytecode, Content, Entry};
use crate::scan::Question;
use crate::status::{Status, UncheckedHashes};
use crate::units::Moment;
use std::collections::BTreeSet;

/// A temporary younger than this, in seconds, may still be written.
pub const TEMPORARY_AGE: i64 = 3600;

/// A kind of entry that a prune may take. Selectors add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Selector {
    /// The source is gone for certain.
    Orphans,
    /// Python would recompile.
    Stale,
    /// Not loadable at all.
    Corrupt,
    /// An interrupted write, an hour old or more.
    Temporary,
}

/// What a prune may remove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// What is taken; nothing when empty.
    pub selectors: BTreeSet<Selector>,
}

/// What a policy says of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It stays.
    Keep,
    /// It is to be removed.
    Condemn,
    /// A selector names it, and safety keeps it.
    Spare(Spared),
}

/// Why safety keeps what a selector names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spared {
    /// Its first bytes are not those of bytecode.
    NotBytecode,
    /// Its first bytes cannot be read.
    Unreadable,
    /// It is not the file that was planned any more.
    Changed,
}

impl Spared {
    /// The reason's name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Spared::NotBytecode => "not-bytecode",
            Spared::Unreadable => "unreadable",
            Spared::Changed => "changed",
        }
    }

    /// The reason in words.
    pub fn explanation(self) -> &'static str {
        match self {
            Spared::NotBytecode => "it is no bytecode; only --corrupt takes it",
            Spared::Unreadable => "its first bytes cannot be read",
            Spared::Changed => "it changed after it was planned",
        }
    }
}

impl Verdict {
    /// Whether the entry is to be removed.
    pub fn is_condemned(self) -> bool {
        self == Verdict::Condemn
    }
}

impl Policy {
    /// The policy of these selectors.
    pub fn of(selectors: impl IntoIterator<Item = Selector>) -> Policy {
        Policy { selectors: selectors.into_iter().collect() }
    }

    /// What `du` calls reclaimable: all that can never be loaded as it is.
    pub fn reclaimable() -> Policy {
        Policy::of([Selector::Orphans, Selector::Stale, Selector::Corrupt, Selector::Temporary])
    }

    /// The cheapest question to a scan that answers this policy.
    pub fn question(&self) -> Question {
        if self.selectors.iter().all(|selector| *selector == Selector::Orphans) {
            Question::Orphans
        } else {
            Question::Everything(UncheckedHashes::Trust)
        }
    }

    /// Judges an entry of known status at the moment `now`.
    pub fn judge(&self, entry: &Entry<'_>, status: Status, now: Moment) -> Verdict {
        let has = |selector| self.selectors.contains(&selector);
        let is_selected = match status {
            Status::Orphan(_) => has(Selector::Orphans),
            Status::Stale(_) => has(Selector::Stale),
            Status::Corrupt(_) => has(Selector::Corrupt),
            Status::Temporary => {
                has(Selector::Temporary)
                    && entry.metadata.is_some_and(|file| now.seconds_since(file.modified) >= TEMPORARY_AGE)
            }
            Status::Fresh | Status::Unknown(_) | Status::Foreign => false,
        };
        if !is_selected {
            return Verdict::Keep;
        }
        match entry.content {
            // Not read yet: the executor looks before it removes.
            Content::Read(_, Bytecode::Possible) | Content::NotRead => Verdict::Condemn,
            Content::Read(_, Bytecode::Never) if self.takes_anything() => Verdict::Condemn,
            Content::Read(_, Bytecode::Never) => Verdict::Spare(Spared::NotBytecode),
            Content::Unreadable(_) => Verdict::Spare(Spared::Unreadable),
        }
    }

    /// Whether files go that Python never wrote as bytecode, whatever their names say.
    pub fn takes_anything(&self) -> bool {
        self.selectors.contains(&Selector::Corrupt)
    }
}
