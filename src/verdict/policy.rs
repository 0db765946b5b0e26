//! Which entries a prune may remove: data and pure functions. `now` is an argument.

use super::emptied::{DirectoryRule, Leftovers};
use super::premise::Premise;
use super::scope::Scope;
use crate::pyc::Magic;
use crate::source::Source;
use crate::source::owner::Presence;
use crate::store::entry::Metadata;
use crate::store::entry::{Bytecode, Content, Entry, SeenEntry};
use crate::store::scan::Question;
use crate::units::Moment;
use crate::verdict::status::{Corrupt, Status, UncheckedHashes};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// A temporary younger than this, in seconds, may still be written.
const TEMPORARY_AGE: i64 = 3600;

/// A clock that differs from ours by more than this, in seconds, was wrong. The clocks of machines that share a file
/// system differ by less.
const PLAUSIBLE_AHEAD: i64 = 86_400;

/// Whether a temporary is so old that no process writes it any more.
///
/// The modification time decides. If it is in the future, a wrong clock or a program has set it; then the last change of
/// the inode decides, which no program can set. If that is more than a day in the future too, the clock was wrong when the
/// file was written, and the file is not being written now.
pub fn is_old_temporary(file: &Metadata, now: Moment) -> bool {
    let written = if file.modified > now { file.changed } else { file.modified };
    !(-PLAUSIBLE_AHEAD..TEMPORARY_AGE).contains(&now.seconds_since(written))
}

/// A kind of entry that a prune may remove. A policy removes what any of its selectors matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Selector {
    /// The source was definitely deleted.
    Orphans,
    /// Python would recompile.
    Stale,
    /// Not loadable at all.
    Corrupt,
    /// The header is valid, but every import fails at the body: requires reading all bodies.
    Bodies,
    /// Left by an interrupted write or copied by a file synchroniser, an hour old or more.
    Temporary,
    /// It is in [`Policy::listed`], whatever its status.
    Listed,
    /// No interpreter on this machine loads its tag and magic.
    DeadInterpreters,
    /// Every entry of the scope, whatever its status: what `forget` removes.
    Forgotten,
    /// Every entry of the scope, and every file with the name of an entry.
    All,
}

impl Selector {
    /// The selector's name, as its option has it.
    pub fn name(self) -> &'static str {
        match self {
            Selector::Orphans => "orphans",
            Selector::Stale => "stale",
            Selector::Corrupt => "corrupt",
            Selector::Bodies => "bodies",
            Selector::Temporary => "temporary",
            Selector::Listed => "verify",
            Selector::DeadInterpreters => "dead-interpreters",
            Selector::Forgotten => "forget",
            Selector::All => "all",
        }
    }
}

/// What a prune may remove.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// What is removed regardless of its age.
    pub selectors: BTreeSet<Selector>,
    /// The entries that [`Selector::Listed`] matches, sorted by directory and name: those that `verify` found, or a person
    /// marked. There may be hundreds of thousands: as a slice, they would be copied.
    pub listed: Arc<Vec<ChosenEntry>>,
    /// Entries unused for this many seconds are removed too.
    pub unused_for: Option<i64>,
    /// How much may stay.
    pub budget: Budget,
    /// The part of the store that may be touched.
    pub scope: Scope,
    /// Whether empty directories that the run did not empty are removed.
    pub leftovers: Leftovers,
}

/// An entry that was chosen by name, and the status that it had then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenEntry {
    /// The entry as it was seen.
    pub entry: SeenEntry,
    /// Its status then.
    pub status: Status,
}

/// How much of the entries in scope may stay; the least valuable go first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    /// Disk usage in bytes.
    pub disk: Option<u64>,
    /// Number of entries.
    pub files: Option<u64>,
}

impl Budget {
    /// Whether everything may stay.
    pub fn is_unlimited(&self) -> bool {
        self.disk.is_none() && self.files.is_none()
    }
}

/// Which of a file's times tells when it was last used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Clock {
    /// The access time; under `relatime` accurate to one day.
    #[default]
    Access,
    /// The modification time: the mount has no access times.
    Modification,
}

/// What a verdict depends on besides policy and entry.
#[derive(Clone, Copy)]
pub struct Circumstances<'a> {
    /// The moment of the judgement.
    pub now: Moment,
    /// What last use is read from.
    pub clock: Clock,
    /// Whether definitely no interpreter on this machine loads a tag and magic.
    pub is_dead: &'a (dyn Fn(&str, Magic) -> bool + Sync),
}

impl std::fmt::Debug for Circumstances<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Circumstances").field("now", &self.now).field("clock", &self.clock).finish()
    }
}

/// The verdict of a policy on an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It stays.
    Keep,
    /// It stays unless the budget evicts it.
    Evictable(Value),
    /// It is to be removed.
    Condemn,
    /// A selector matches it, but a safety rule keeps it.
    Spare(Spared),
}

/// The value of an entry, by class and then by last use: the smallest is evicted first.
///
/// The class is in the upper three bits. Below it is the day, since relatime is no more accurate, with 1970 in the
/// middle. Four bytes in all, because a store may have a million entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value(u32);

impl Value {
    const DAY_BITS: u32 = 29;

    fn new(class: Class, last_used: Moment) -> Value {
        let middle = 1_i64 << (Value::DAY_BITS - 1);
        let day = last_used.seconds.div_euclid(86_400).clamp(-middle, middle - 1) + middle;
        Value((class as u32) << Value::DAY_BITS | day as u32)
    }

    /// A value for tests of what is made of values: of one of the seven classes, last used on this day.
    #[cfg(test)]
    pub(crate) fn of_test(class: usize, last_used: i32) -> Value {
        use Class::{Corrupt, Dead, NeverRead, Orphan, Stale, Temporary, Used};
        let class = [Temporary, Corrupt, Orphan, Stale, Dead, NeverRead, Used][class];
        Value::new(class, Moment { seconds: i64::from(last_used) * 86_400, nanoseconds: 0 })
    }
}

/// The classes in which entries are evicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Temporary,
    Corrupt,
    Orphan,
    Stale,
    Dead,
    /// Written and never read back.
    NeverRead,
    Used,
}

/// Why a file that a selector matches is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spared {
    /// Its first bytes are not those of bytecode.
    NotBytecode,
    /// Its first bytes cannot be read.
    Unreadable,
    /// It is no longer the file that was planned.
    Changed,
    /// Its source exists again.
    SourceReturned,
    /// Its source changed after it was planned, or can no longer be read.
    SourceChanged,
    /// The source that the entry records exists.
    SourceRecorded,
}

impl Spared {
    /// The reason's name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Spared::NotBytecode => "not-bytecode",
            Spared::Unreadable => "unreadable",
            Spared::Changed => "changed",
            Spared::SourceReturned => "source-returned",
            Spared::SourceChanged => "source-changed",
            Spared::SourceRecorded => "source-recorded",
        }
    }

    /// The reason in words.
    pub fn explanation(self) -> &'static str {
        match self {
            Spared::NotBytecode => "it is not bytecode; prune --corrupt removes it",
            Spared::Unreadable => "its first bytes cannot be read",
            Spared::Changed => "it changed after it was planned",
            Spared::SourceReturned => "its source is there again",
            Spared::SourceChanged => "its source changed after it was planned",
            Spared::SourceRecorded => "it records a source that exists",
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
    /// Returns the policy with these selectors.
    pub fn of(selectors: impl IntoIterator<Item = Selector>) -> Policy {
        Policy { selectors: selectors.into_iter().collect(), ..Policy::default() }
    }

    /// What `du` calls reclaimable: every entry that can never be loaded.
    pub fn reclaimable() -> Policy {
        Policy::of([Selector::Orphans, Selector::Stale, Selector::Corrupt, Selector::Temporary])
    }

    /// Whether its judgement depends on the interpreters of this machine.
    pub fn asks_interpreters(&self) -> bool {
        self.selectors.contains(&Selector::DeadInterpreters) || !self.budget.is_unlimited()
    }

    /// What must hold when a directory is removed.
    pub fn directory_rule(&self) -> DirectoryRule {
        let takes_all = [Selector::All, Selector::Forgotten].iter().any(|it| self.selectors.contains(it));
        if takes_all { DirectoryRule::Emptied } else { DirectoryRule::SourcesDeleted }
    }

    /// Whether an entry of this directory is listed, still the file that was seen, and of the same status.
    pub fn lists(&self, relative: &[u8], entry: &Entry<'_>, status: Status) -> bool {
        self.place_in_list(relative, entry.name).is_some_and(|index| {
            let chosen = &self.listed[index];
            chosen.entry.is_still(entry) && chosen.status.name() == status.name()
        })
    }

    /// The index in the list of the entry with this name in a directory.
    pub fn place_in_list(&self, relative: &[u8], name: &[u8]) -> Option<usize> {
        let path =
            |chosen: &ChosenEntry| (&*chosen.entry.relative, &*chosen.entry.name).cmp(&(relative, name));
        self.listed.binary_search_by(path).ok()
    }

    /// The cheapest scan that this policy can be judged with.
    pub fn question(&self) -> Question {
        let asks_orphans_only = self.selectors.iter().all(|selector| *selector == Selector::Orphans)
            && self.unused_for.is_none()
            && self.budget.is_unlimited();
        if asks_orphans_only { Question::Orphans } else { Question::Everything(UncheckedHashes::Trust) }
    }

    /// Judges an entry of known status. The caller checks the scope.
    pub fn judge(&self, entry: &Entry<'_>, status: Status, circumstances: &Circumstances<'_>) -> Verdict {
        let has = |selector| self.selectors.contains(&selector);
        let takes_all = has(Selector::All) || has(Selector::Forgotten);
        let is_old_enough = || entry.metadata.is_some_and(|file| is_old_temporary(&file, circumstances.now));
        let is_selected = match status {
            Status::Foreign => false,
            Status::Temporary => (has(Selector::Temporary) || takes_all) && is_old_enough(),
            _ if takes_all => true,
            _ if has(Selector::Corrupt) && matches!(entry.content, Content::Read(_, Bytecode::Never)) => true,
            Status::Orphan(_) if has(Selector::Orphans) => true,
            Status::Stale(_) if has(Selector::Stale) => true,
            Status::Corrupt(Corrupt::Body) if has(Selector::Bodies) => true,
            Status::Corrupt(_) if has(Selector::Corrupt) => true,
            // What depends on the source leaves alone what cannot be told; age and the interpreter do not.
            Status::Orphan(_)
            | Status::Stale(_)
            | Status::Corrupt(_)
            | Status::Unknown(_)
            | Status::Fresh => {
                (has(Selector::DeadInterpreters) && is_dead(entry, circumstances))
                    || self.is_unused(entry, circumstances)
            }
        };
        if !is_selected {
            return self.value(entry, status, circumstances).map_or(Verdict::Keep, Verdict::Evictable);
        }
        match entry.content {
            // Not read yet: the executor looks before it removes.
            Content::Read(_, Bytecode::Possible) | Content::NotRead => Verdict::Condemn,
            Content::Read(_, Bytecode::Never) if self.takes_anything() => Verdict::Condemn,
            Content::Read(_, Bytecode::Never) => Verdict::Spare(Spared::NotBytecode),
            Content::Unreadable(_) => Verdict::Spare(Spared::Unreadable),
        }
    }

    /// Judges an entry that a person or another check chose, whatever the selectors. It stays if it may be of use to a Python
    /// elsewhere, was not written by Python, or may still be written.
    pub fn judge_listed(
        &self,
        entry: &Entry<'_>,
        status: Status,
        circumstances: &Circumstances<'_>,
    ) -> Verdict {
        let is_old = || entry.metadata.is_some_and(|file| is_old_temporary(&file, circumstances.now));
        match (status, entry.content) {
            (Status::Foreign | Status::Unknown(_), _) => Verdict::Keep,
            (Status::Temporary, _) if !is_old() => Verdict::Keep,
            (_, Content::Unreadable(_)) => Verdict::Spare(Spared::Unreadable),
            _ => Verdict::Condemn,
        }
    }

    /// What must still hold for an entry's source when the entry is removed. `sources` is the state of the directory
    /// that it mirrors.
    pub fn premise(&self, sources: Presence, entry: &Entry<'_>, status: Status) -> Premise {
        let takes_all = [Selector::All, Selector::Forgotten].iter().any(|it| self.selectors.contains(it));
        let path = || {
            let other = entry.other_name.as_deref().map(|name| Box::from(Path::new(OsStr::from_bytes(name))));
            entry.recorded.clone().or(other)
        };
        match (status, entry.source) {
            _ if takes_all => Premise::None,
            (Status::Orphan(_), _) if sources == Presence::Absent && entry.recorded.is_none() => {
                Premise::DirectoryMissing
            }
            (Status::Orphan(_), _) => Premise::SourceMissing(path()),
            (Status::Stale(_), Source::Present(file)) => {
                Premise::SourceUnchanged(Box::new((path(), file.modified, file.bytes)))
            }
            _ => Premise::None,
        }
    }

    /// Whether files that are not bytecode are removed if they have the name of an entry.
    fn takes_anything(&self) -> bool {
        self.selectors.contains(&Selector::Corrupt) || self.selectors.contains(&Selector::All)
    }

    fn is_unused(&self, entry: &Entry<'_>, circumstances: &Circumstances<'_>) -> bool {
        let (Some(unused_for), Some(metadata)) = (self.unused_for, &entry.metadata) else { return false };
        let (_, last_used) = last_use(metadata, circumstances.clock);
        circumstances.now.seconds_since(last_used) >= unused_for
    }

    /// The value of an entry for a budget; `None` if there is no budget or the entry may not be evicted.
    fn value(&self, entry: &Entry<'_>, status: Status, circumstances: &Circumstances<'_>) -> Option<Value> {
        let metadata = entry.metadata.as_ref().filter(|_| !self.budget.is_unlimited())?;
        if !matches!(entry.content, Content::Read(_, Bytecode::Possible)) {
            return None;
        }
        let (used, last_used) = last_use(metadata, circumstances.clock);
        let class = match status {
            Status::Foreign => return None,
            Status::Temporary if !is_old_temporary(metadata, circumstances.now) => return None,
            Status::Temporary => Class::Temporary,
            Status::Corrupt(_) => Class::Corrupt,
            Status::Orphan(_) => Class::Orphan,
            Status::Stale(_) => Class::Stale,
            Status::Fresh | Status::Unknown(_) if is_dead(entry, circumstances) => Class::Dead,
            Status::Fresh | Status::Unknown(_) => used,
        };
        Some(Value::new(class, last_used))
    }
}

/// Whether no interpreter here loads the entry.
fn is_dead(entry: &Entry<'_>, circumstances: &Circumstances<'_>) -> bool {
    match (entry.parsed.slot(), entry.content) {
        (Some(slot), Content::Read(Ok(header), _)) => (circumstances.is_dead)(slot.tag, header.magic),
        _ => false,
    }
}

/// When a file was last used, and whether it was read since it was written.
///
/// An access time at or before the modification time means that the file was never read after it was written (relatime
/// updates it at the first read).
fn last_use(metadata: &Metadata, clock: Clock) -> (Class, Moment) {
    match clock {
        Clock::Access if metadata.accessed > metadata.modified => (Class::Used, metadata.accessed),
        Clock::Access => (Class::NeverRead, metadata.modified),
        Clock::Modification => (Class::Used, metadata.modified),
    }
}
