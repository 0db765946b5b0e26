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

/// A temporary younger than this, in seconds, may still be written.
pub const TEMPORARY_AGE: i64 = 3600;

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
    /// It is in [`Policy::listed`].
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
    /// The entries that [`Selector::Listed`] matches, sorted by directory and name: those that `verify` found.
    pub listed: Vec<SeenEntry>,
    /// Entries unused for this many seconds are removed too.
    pub unused_for: Option<i64>,
    /// How much may stay.
    pub budget: Budget,
    /// The part of the store that may be touched.
    pub scope: Scope,
    /// Whether empty directories that the run did not empty are removed.
    pub leftovers: Leftovers,
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
            Spared::NotBytecode => "it is no bytecode; prune --corrupt takes it",
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

    /// Whether an entry of this directory is listed and still the file that was seen.
    pub fn lists(&self, relative: &[u8], entry: &Entry<'_>) -> bool {
        let path = |seen: &SeenEntry| (&*seen.relative, &*seen.name).cmp(&(relative, entry.name));
        self.listed.binary_search_by(path).is_ok_and(|index| self.listed[index].is_still(entry))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pyc::name::Name;
    use crate::source::{SourceFile, Why};
    use crate::store::entry::FileKind;
    use crate::verdict::status::{Corrupt, Orphan, Stale};

    const DAY: i64 = 86_400;
    const NOW: Moment = Moment { seconds: 1000 * DAY, nanoseconds: 0 };

    /// An entry written and last read so many days ago.
    fn entry(name: &'static str, modified: i64, accessed: i64, content: Content) -> Entry<'static> {
        let days_ago = |days: i64| Moment { seconds: NOW.seconds - days * DAY, nanoseconds: 0 };
        let metadata = Metadata {
            kind: FileKind::Regular,
            identity: (1, 1),
            links: 1,
            mode: 0o100_644,
            user: 0,
            group: 0,
            bytes: 100,
            disk: 4096,
            modified: days_ago(modified),
            accessed: days_ago(accessed),
            changed: days_ago(modified),
        };
        let name = name.as_bytes();
        Entry { metadata: Some(metadata), content, ..Entry::named(name, Name::parse(name)) }
    }

    fn good() -> Content {
        Content::of(b"\xcb\x0d\r\n\0\0\0\0\0\0\0\0\0\0\0\0")
    }

    fn judge(policy: &Policy, entry: &Entry<'_>, status: Status) -> Verdict {
        let is_dead = |tag: &str, _: Magic| tag == "cpython-39";
        policy.judge(entry, status, &Circumstances { now: NOW, clock: Clock::Access, is_dead: &is_dead })
    }

    #[test]
    fn each_selector_takes_its_own() {
        let file = entry("m.cpython-312.pyc", 5, 4, good());
        let statuses = [
            (Status::Fresh, None),
            (Status::Orphan(Orphan::Root), Some(Selector::Orphans)),
            (Status::Stale(Stale::Mtime), Some(Selector::Stale)),
            (Status::Corrupt(Corrupt::Truncated), Some(Selector::Corrupt)),
            (Status::Unknown(Why::Unmounted), None),
            (Status::Foreign, None),
        ];
        for (status, own) in statuses {
            for selector in [Selector::Orphans, Selector::Stale, Selector::Corrupt, Selector::Temporary] {
                let verdict = judge(&Policy::of([selector]), &file, status);
                assert_eq!(verdict.is_condemned(), own == Some(selector), "{selector:?} {status:?}");
            }
            let takes = judge(&Policy::of([Selector::Forgotten]), &file, status).is_condemned();
            assert_eq!(takes, status != Status::Foreign, "{status:?}");
        }
    }

    #[test]
    fn what_is_no_bytecode_goes_with_corrupt_and_all_only() {
        let zeros = entry("m.cpython-312.pyc", 5, 4, Content::of(&[0; 16]));
        let status = Status::Orphan(Orphan::Source);
        for (selectors, expected) in [
            (vec![Selector::Orphans], Verdict::Spare(Spared::NotBytecode)),
            (vec![Selector::Forgotten], Verdict::Spare(Spared::NotBytecode)),
            (vec![Selector::Orphans, Selector::Corrupt], Verdict::Condemn),
            (vec![Selector::Corrupt], Verdict::Condemn),
            (vec![Selector::Stale, Selector::Temporary], Verdict::Keep),
            (vec![Selector::All], Verdict::Condemn),
        ] {
            assert_eq!(judge(&Policy::of(selectors), &zeros, status), expected);
        }
    }

    #[test]
    fn a_young_temporary_stays_whatever_is_asked() {
        let young = entry("m.cpython-312.pyc.77", 0, 0, good());
        let old = entry("m.cpython-312.pyc.77", 1, 1, good());
        for selector in [Selector::Temporary, Selector::Forgotten, Selector::All] {
            assert_eq!(judge(&Policy::of([selector]), &young, Status::Temporary), Verdict::Keep);
            assert_eq!(judge(&Policy::of([selector]), &old, Status::Temporary), Verdict::Condemn);
        }
    }

    /// Ages in seconds; those in the future are negative.
    #[test]
    fn a_temporary_dated_in_the_future_becomes_old_as_well() {
        const YEARS: i64 = 14 * 365 * DAY;
        let ago = |seconds: i64| Moment { seconds: NOW.seconds - seconds, nanoseconds: 0 };
        for (modified, changed, is_old) in [
            (0, 0, false),
            // The inode changed before: the clock was set back, or the moment is an earlier one.
            (0, 7200, false),
            (3599, 3599, false),
            (3600, 3600, true),
            // The times of a copy are those of its original.
            (7200, 0, true),
            (-YEARS, 0, false),
            (-YEARS, 3599, false),
            (-YEARS, 3600, true),
            (-YEARS, -YEARS, true),
            (-1, 3600, true),
            // Another machine's clock is ahead of ours.
            (-300, -300, false),
            (-DAY, -DAY, false),
        ] {
            let mut file = entry("m.cpython-312.pyc.77", 0, 0, good());
            let metadata = file.metadata.as_mut().unwrap();
            (metadata.modified, metadata.changed) = (ago(modified), ago(changed));
            let expected = if is_old { Verdict::Condemn } else { Verdict::Keep };
            let verdict = judge(&Policy::of([Selector::Temporary]), &file, Status::Temporary);
            assert_eq!(verdict, expected, "modified {modified} s ago, changed {changed} s ago");
        }
    }

    #[test]
    fn dead_and_unused_entries_go_when_asked() {
        let dead = entry("m.cpython-39.pyc", 5, 4, good());
        let alive = entry("m.cpython-312.pyc", 5, 4, good());
        let policy = Policy::of([Selector::DeadInterpreters]);
        assert!(judge(&policy, &dead, Status::Fresh).is_condemned());
        assert!(!judge(&policy, &alive, Status::Fresh).is_condemned());
        assert!(judge(&policy, &dead, Status::Unknown(Why::NoTrace)).is_condemned());
        assert!(!judge(&policy, &alive, Status::Unknown(Why::NoTrace)).is_condemned());
        let unused = |days: i64| Policy { unused_for: Some(days * DAY), ..Policy::default() };
        assert!(judge(&unused(4), &alive, Status::Fresh).is_condemned());
        assert!(!judge(&unused(5), &alive, Status::Fresh).is_condemned(), "read four days ago");
        assert!(judge(&unused(4), &alive, Status::Unknown(Why::NoTrace)).is_condemned());
        assert!(!judge(&unused(5), &alive, Status::Unknown(Why::NoTrace)).is_condemned());
    }

    #[test]
    fn a_budget_values_entries_in_the_order_of_their_use() {
        let policy = Policy { budget: Budget { disk: Some(0), files: None }, ..Policy::default() };
        let value = |entry: &Entry<'_>, status| match judge(&policy, entry, status) {
            Verdict::Evictable(value) => value,
            other => panic!("{other:?}"),
        };
        let used_long_ago = entry("m.cpython-312.pyc", 90, 80, good());
        let used_today = entry("m.cpython-312.pyc", 90, 0, good());
        let never_read = entry("m.cpython-312.pyc", 1, 1, good());
        let dead = entry("m.cpython-39.pyc", 1, 0, good());
        let rising = [
            value(&entry("m.cpython-312.pyc.7", 1, 0, good()), Status::Temporary),
            value(&entry("m.cpython-312.pyc", 1, 0, Content::of(b"ab")), Status::Corrupt(Corrupt::Truncated)),
            value(&used_today, Status::Orphan(Orphan::Source)),
            value(&used_today, Status::Stale(Stale::Size)),
            value(&dead, Status::Fresh),
            value(&never_read, Status::Fresh),
            value(&used_long_ago, Status::Fresh),
            value(&used_today, Status::Fresh),
        ];
        assert!(rising.is_sorted() && rising.windows(2).all(|pair| pair[0] < pair[1]), "{rising:?}");
        let unknown = value(&used_today, Status::Unknown(Why::NoTrace));
        assert_eq!(unknown, value(&used_today, Status::Fresh), "as if its source were there");
        assert_eq!(judge(&policy, &used_today, Status::Foreign), Verdict::Keep);
    }

    #[test]
    fn a_fault_in_the_body_is_taken_by_two_selectors() {
        let file = entry("m.cpython-312.pyc", 5, 4, good());
        let takes =
            |selector, fault| judge(&Policy::of([selector]), &file, Status::Corrupt(fault)).is_condemned();
        for (selector, body, other) in [
            (Selector::Bodies, true, false),
            (Selector::Corrupt, true, true),
            (Selector::Stale, false, false),
            (Selector::Listed, false, false),
        ] {
            assert_eq!(takes(selector, Corrupt::Body), body, "{selector:?}");
            assert_eq!(takes(selector, Corrupt::Truncated), other, "{selector:?}");
        }
    }

    #[test]
    fn each_selector_and_each_limit_asks_its_own() {
        let with = |disk, files| Policy { budget: Budget { disk, files }, ..Policy::default() };
        let all = Question::Everything(UncheckedHashes::Trust);
        let unused = Policy { unused_for: Some(1), ..Policy::default() };
        let (one, both) = (Policy::of([Selector::Orphans]), [Selector::Orphans, Selector::Stale]);
        for (policy, question, interpreters, rule) in [
            (one.clone(), Question::Orphans, false, DirectoryRule::SourcesDeleted),
            (Policy::of(both), all, false, DirectoryRule::SourcesDeleted),
            (Policy { unused_for: Some(1), ..one.clone() }, all, false, DirectoryRule::SourcesDeleted),
            (Policy { budget: with(Some(1), None).budget, ..one }, all, true, DirectoryRule::SourcesDeleted),
            (unused, all, false, DirectoryRule::SourcesDeleted),
            (with(Some(0), None), all, true, DirectoryRule::SourcesDeleted),
            (with(None, Some(0)), all, true, DirectoryRule::SourcesDeleted),
            (Policy::of([Selector::DeadInterpreters]), all, true, DirectoryRule::SourcesDeleted),
            (Policy::of([Selector::Corrupt]), all, false, DirectoryRule::SourcesDeleted),
            (Policy::of([Selector::All]), all, false, DirectoryRule::Emptied),
            (Policy::of([Selector::Forgotten]), all, false, DirectoryRule::Emptied),
        ] {
            assert_eq!(policy.question(), question, "{policy:?}");
            assert_eq!(policy.asks_interpreters(), interpreters, "{policy:?}");
            assert_eq!(policy.directory_rule(), rule, "{policy:?}");
        }
    }

    #[test]
    fn what_is_removed_for_its_source_goes_only_while_that_is_as_it_was() {
        use Presence::{Absent, Present};
        let file = SourceFile {
            python_mtime: 7,
            pinned_mtime: 7,
            modified: Moment { seconds: 7, nanoseconds: 8 },
            changed: NOW,
            links: 1,
            bytes: 9,
            hash: None,
        };
        let path = |path: &str| Some(Box::from(Path::new(path)));
        let unchanged =
            |path| Premise::SourceUnchanged(Box::new((path, Moment { seconds: 7, nanoseconds: 8 }, 9)));
        let (orphan, stale) = (Status::Orphan(Orphan::Source), Status::Stale(Stale::Mtime));
        let (by_source, all) = (Policy::reclaimable(), Policy::of([Selector::Orphans, Selector::All]));
        let forgotten = Policy::of([Selector::Forgotten]);
        for (policy, status, sources, recorded, other, expected) in [
            (&by_source, orphan, Absent, None, None, Premise::DirectoryMissing),
            (&by_source, orphan, Absent, path("/r.py"), None, Premise::SourceMissing(path("/r.py"))),
            (&by_source, orphan, Present, None, None, Premise::SourceMissing(None)),
            (&by_source, orphan, Present, None, Some("m.pyw"), Premise::SourceMissing(path("m.pyw"))),
            (&by_source, orphan, Present, path("/r.py"), Some("x"), Premise::SourceMissing(path("/r.py"))),
            (&by_source, orphan, Presence::Unreachable, None, None, Premise::SourceMissing(None)),
            (&by_source, stale, Present, None, None, unchanged(None)),
            (&by_source, stale, Present, None, Some("m.pyw"), unchanged(path("m.pyw"))),
            (&by_source, stale, Present, path("/r.py"), None, unchanged(path("/r.py"))),
            (&by_source, Status::Corrupt(Corrupt::Truncated), Present, None, None, Premise::None),
            (&by_source, Status::Fresh, Present, None, None, Premise::None),
            (&all, orphan, Absent, None, None, Premise::None),
            (&all, stale, Present, None, None, Premise::None),
            (&forgotten, orphan, Present, None, None, Premise::None),
        ] {
            let mut entry = entry("m.cpython-312.pyc", 5, 4, good());
            (entry.recorded, entry.other_name) = (recorded, other.map(|name| name.as_bytes().into()));
            entry.source = if sources == Present { Source::Present(file) } else { Source::NotAsked };
            assert_eq!(policy.premise(sources, &entry, status), expected, "{status:?} {sources:?}");
        }
    }

    #[test]
    fn a_listed_entry_is_taken_as_long_as_it_is_the_same_file() {
        let mut file = entry("m.cpython-312.pyc", 5, 4, good());
        let other = entry("n.cpython-312.pyc", 5, 4, good());
        let listed = [("a", &file), ("a", &other), ("b", &file)];
        let listed = listed.map(|(directory, entry)| SeenEntry::new(directory.as_bytes(), entry).unwrap());
        let policy = Policy { listed: listed.into(), ..Policy::of([Selector::Listed]) };
        let lists =
            |file: &Entry<'_>| ["a", "b", "c"].map(|directory| policy.lists(directory.as_bytes(), file));
        assert_eq!(lists(&file), [true, true, false]);
        assert_eq!(lists(&other), [true, false, false]);
        file.metadata.as_mut().unwrap().bytes += 1;
        assert_eq!(lists(&file), [false; 3]);
        assert!(!Policy::of([Selector::Listed]).lists(b"a", &other));
    }

    #[test]
    fn each_selector_and_each_reason_to_keep_a_file_has_a_name() {
        let selectors = [
            (Selector::Orphans, "orphans"),
            (Selector::Stale, "stale"),
            (Selector::Corrupt, "corrupt"),
            (Selector::Bodies, "bodies"),
            (Selector::Temporary, "temporary"),
            (Selector::Listed, "verify"),
            (Selector::DeadInterpreters, "dead-interpreters"),
            (Selector::Forgotten, "forget"),
            (Selector::All, "all"),
        ];
        selectors.iter().for_each(|(selector, name)| assert_eq!(selector.name(), *name));
        for (why, name, word) in [
            (Spared::NotBytecode, "not-bytecode", "--corrupt"),
            (Spared::Unreadable, "unreadable", "read"),
            (Spared::Changed, "changed", "changed"),
            (Spared::SourceReturned, "source-returned", "there again"),
            (Spared::SourceChanged, "source-changed", "source changed"),
            (Spared::SourceRecorded, "source-recorded", "records"),
        ] {
            assert_eq!(why.name(), name);
            assert!(why.explanation().contains(word), "{name}");
        }
    }
}
