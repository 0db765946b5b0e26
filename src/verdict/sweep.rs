//! What a sweep does: which files are removed, which are moved into the store, which stay and why. Pure.

use crate::pyc::name::Name;
use crate::source::owner::Owner;
use crate::store::body;
use crate::store::entry::FileKind;
use crate::store::entry::{Bytecode, Content};
use crate::store::in_tree::found::{Companion, InStore, InTreeFile, InTreeForm, Seen};
use crate::store::in_tree::look::mirror_of;
use crate::store::in_tree::repository::Tracking;
use crate::store::in_tree::walk::{Reason, WalkVisitor};
use crate::store::scan::Trouble;
use crate::units::Moment;
use crate::units::Tally;
use crate::verdict::emptied::{DirectoryRule, EmptyDirectories};
use crate::verdict::links::LinkedVictims;
use crate::verdict::plan as removal;
use crate::verdict::plan::PlannedDirectory;
use crate::verdict::policy::is_old_temporary;
use crate::verdict::status::{self, Status, UncheckedHashes};
use crate::verdict::victim::Victim;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

/// Whether bytecode without a source beside it, which Python imports directly, is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sourceless {
    /// It stays.
    #[default]
    Keep,
    /// It is removed.
    Remove,
}

/// Whether directories that the sweep leaves empty are removed. An empty `__pycache__` always is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emptied {
    /// They stay.
    Keep,
    /// They are removed.
    Remove,
}

/// What a sweep does with what it finds.
#[derive(Debug, Clone, Copy)]
pub struct SweepPolicy {
    /// Whether sourceless modules are removed.
    pub sourceless: Sourceless,
    /// Whether emptied directories are removed.
    pub emptied: Emptied,
    /// The user who runs us: only files of that user or root are moved into the store.
    pub user: u32,
    /// The moment of the judgement.
    pub now: Moment,
}

/// The first Python that supports a prefix.
const FIRST_WITH_PREFIX: (u8, u8) = (3, 8);

/// Why a file is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeepReason {
    /// Its first bytes are not those of bytecode.
    NotBytecode,
    /// Its first bytes cannot be read.
    Unreadable,
    /// It is no longer the file that was planned.
    Changed,
    /// Its source was beside it when it was planned, but no longer is.
    SourceRemoved,
    /// It has no source beside it.
    Sourceless,
    /// Git tracks it.
    Tracked,
    /// Git may track it: the index of its repository cannot be read.
    MaybeTracked,
    /// It is numba's, which writes beside the source regardless of the prefix.
    Numba,
    /// A temporary that may still be written.
    Young,
    /// Not written by Python.
    Foreign,
}

impl KeepReason {
    /// Whether it is reported even with `--quiet`.
    pub fn is_unexpected(self) -> bool {
        match self {
            KeepReason::NotBytecode
            | KeepReason::Unreadable
            | KeepReason::Changed
            | KeepReason::SourceRemoved
            | KeepReason::MaybeTracked => true,
            KeepReason::Sourceless
            | KeepReason::Tracked
            | KeepReason::Numba
            | KeepReason::Young
            | KeepReason::Foreign => false,
        }
    }

    /// Returns the reason in words.
    pub fn explanation(self) -> &'static str {
        match self {
            KeepReason::NotBytecode => "it is not bytecode",
            KeepReason::Unreadable => "its first bytes cannot be read",
            KeepReason::Changed => "it changed after it was planned",
            KeepReason::SourceRemoved => {
                "its source was removed after it was planned, and Python may import it"
            }
            KeepReason::Sourceless => {
                "there is no source beside it, and Python may import it; --sourceless removes it"
            }
            KeepReason::Tracked => "git tracks it",
            KeepReason::MaybeTracked => "git may track it: the index of its repository cannot be read",
            KeepReason::Numba => "it is numba's, which keeps its cache there whatever the prefix",
            KeepReason::Young => "it is less than an hour old and may still be written",
            KeepReason::Foreign => "Python did not write it",
        }
    }
}

/// A file, or a directory in a `__pycache__`, that stays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kept {
    /// Its path as shown.
    pub path: PathBuf,
    /// Why it is kept.
    pub why: KeepReason,
}

/// A directory that was not entered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftAlone {
    /// Its path as shown.
    pub path: PathBuf,
    /// Why.
    pub reason: Reason,
}

/// A file that is moved into the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adoption {
    /// The path of its directory from the store's root.
    pub mirror: Arc<[u8]>,
    /// The name of its source, in the directory around the `__pycache__`.
    pub source: Box<[u8]>,
    /// The device and inode of what it replaces in the store, which Python would not load.
    pub replaces: Option<(u64, u64)>,
}

/// The files of a root that are moved into the store, by directory and name.
pub type Adoptions = HashMap<Box<[u8]>, HashMap<Box<[u8]>, Adoption>>;

/// The plan for one root.
#[derive(Debug, Default)]
pub struct SweepPlan {
    /// The files to remove, including those to move.
    pub removal: removal::Plan,
    /// Those of them that are moved into the store.
    pub adoptions: Adoptions,
    /// Whether modules whose source is removed after the plan was made are removed.
    pub sourceless: Sourceless,
    /// What stays and is reported.
    pub kept: Vec<Kept>,
    /// What was not entered.
    pub left_alone: Vec<LeftAlone>,
    /// What could not be read.
    pub troubles: Vec<Trouble>,
}

impl SweepPlan {
    /// The files that are moved, by their owner.
    pub fn adopted(&self) -> BTreeMap<Owner, Tally> {
        let mut adopted: BTreeMap<Owner, Tally> = BTreeMap::new();
        for directory in &self.removal.directories {
            let Some(adoptions) = self.adoptions.get(&directory.relative) else { continue };
            let moved = directory.victims.iter().filter(|victim| adoptions.contains_key(&victim.name));
            *adopted.entry((*directory.owner).clone()).or_default() += moved.map(Victim::size).sum();
        }
        adopted
    }
}

/// One worker's part of a [`SweepPlan`].
#[derive(Debug)]
pub struct SweepPlanner {
    policy: SweepPolicy,
    directories: Vec<PlannedDirectory>,
    empty: EmptyDirectories,
    linked: LinkedVictims,
    adoptions: Adoptions,
    kept: Vec<Kept>,
    left_alone: Vec<LeftAlone>,
    troubles: Vec<Trouble>,
}

/// The decision about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SweepVerdict {
    Remove,
    /// It is moved, and replaces the entry with this device and inode.
    Adopt(Option<(u64, u64)>),
    Keep(KeepReason),
    /// It stays without a report.
    Ignore,
}

impl SweepPlanner {
    /// An empty part.
    pub fn new(policy: SweepPolicy) -> SweepPlanner {
        SweepPlanner {
            policy,
            directories: Vec::new(),
            empty: EmptyDirectories::default(),
            linked: LinkedVictims::default(),
            adoptions: Adoptions::new(),
            kept: Vec::new(),
            left_alone: Vec::new(),
            troubles: Vec::new(),
        }
    }

    /// Joins what the workers of a walk found.
    pub fn collect(parts: Vec<SweepPlanner>) -> SweepPlan {
        let mut plan = SweepPlan::default();
        let mut empty = EmptyDirectories::default();
        plan.removal.directory_rule = DirectoryRule::Emptied;
        for part in parts {
            plan.sourceless = part.policy.sourceless;
            plan.removal.directories.extend(part.directories);
            empty.append(part.empty);
            plan.removal.linked.append(part.linked);
            plan.adoptions.extend(part.adoptions);
            plan.kept.extend(part.kept);
            plan.left_alone.extend(part.left_alone);
            plan.troubles.extend(part.troubles);
        }
        plan.removal.directories.sort_by(|one, other| one.relative.cmp(&other.relative));
        plan.removal.emptied = empty.emptied();
        plan.kept.sort();
        plan.left_alone.sort();
        plan.troubles.sort_by(|one, other| one.path().cmp(other.path()));
        plan
    }
}

impl WalkVisitor for SweepPlanner {
    fn directory(&mut self, seen: &Seen<'_>) {
        let shown = |name: &[u8]| seen.root.shown(seen.relative, name);
        let mut victims = Vec::new();
        let mut adoptions = HashMap::new();
        let mut kept = seen.others;
        for file in seen.files {
            let verdict = judge(file, &self.policy);
            match (verdict, Victim::of(&file.entry)) {
                (SweepVerdict::Remove | SweepVerdict::Adopt(_), Some(victim)) => {
                    if let SweepVerdict::Adopt(replaces) = verdict
                        && let Some(source) = file.entry.source_name()
                    {
                        let mirror = mirror_of(seen.root, seen.place).into();
                        let adoption = Adoption { mirror, source: source.into(), replaces };
                        adoptions.insert(victim.name.clone(), adoption);
                    }
                    victims.push(victim);
                }
                (SweepVerdict::Keep(why), _) => {
                    kept += 1;
                    self.kept.push(Kept { path: shown(file.entry.name), why });
                }
                (SweepVerdict::Ignore | SweepVerdict::Remove | SweepVerdict::Adopt(_), _) => kept += 1,
            }
        }
        if seen.is_cache && seen.directories > 0 {
            self.kept.push(Kept { path: shown(b""), why: KeepReason::Foreign });
        }
        if !adoptions.is_empty() {
            self.adoptions.insert(seen.relative.into(), adoptions);
        }
        let may_go = seen.is_cache || self.policy.emptied == Emptied::Remove;
        // Another sweep may have left an empty `__pycache__`; any other empty directory belongs to the user.
        let is_emptied = seen.is_cache || !victims.is_empty() || seen.directories > 0;
        if kept == 0 && may_go && is_emptied {
            self.empty.add(seen.relative, seen.directories);
        }
        if !victims.is_empty() {
            let owner = seen.place.owner(seen.root);
            victims.iter().for_each(|victim| self.linked.add(victim, &owner));
            self.directories.push(PlannedDirectory { relative: seen.relative.into(), owner, victims });
        }
    }

    fn left_alone(&mut self, path: PathBuf, reason: Reason) {
        self.left_alone.push(LeftAlone { path, reason });
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.troubles.push(trouble);
    }
}

/// What is to become of a file.
fn judge(file: &InTreeFile<'_>, policy: &SweepPolicy) -> SweepVerdict {
    let is_young = || !file.entry.metadata.is_some_and(|metadata| is_old_temporary(&metadata, policy.now));
    match (file.form, file.entry.parsed) {
        (InTreeForm::Ignored, _) => return SweepVerdict::Ignore,
        (InTreeForm::Cached, Name::Foreign) => {
            let is_numbas = [&b".nbi"[..], b".nbc"].iter().any(|suffix| file.entry.name.ends_with(suffix));
            let is_numbas = is_numbas && file.kind == FileKind::Regular;
            return SweepVerdict::Keep(if is_numbas { KeepReason::Numba } else { KeepReason::Foreign });
        }
        (InTreeForm::Cached, Name::Temporary(_)) if is_young() => {
            return SweepVerdict::Keep(KeepReason::Young);
        }
        (InTreeForm::Cached, _) => {}
        (InTreeForm::Beside(Companion::Missing) | InTreeForm::BesideTemporary(Companion::Missing), _)
            if policy.sourceless == Sourceless::Keep =>
        {
            return match file.form {
                InTreeForm::Beside(_) => SweepVerdict::Keep(KeepReason::Sourceless),
                _ => SweepVerdict::Ignore,
            };
        }
        (InTreeForm::BesideTemporary(_), _) if is_young() => return SweepVerdict::Keep(KeepReason::Young),
        (InTreeForm::Beside(_) | InTreeForm::BesideTemporary(_), _) => {}
    }
    match file.tracking {
        Tracking::Tracked => return SweepVerdict::Keep(KeepReason::Tracked),
        Tracking::Unknown => return SweepVerdict::Keep(KeepReason::MaybeTracked),
        Tracking::Untracked => {}
    }
    match file.entry.content {
        Content::Unreadable(_) | Content::NotRead => SweepVerdict::Keep(KeepReason::Unreadable),
        Content::Read(_, Bytecode::Never) => SweepVerdict::Keep(KeepReason::NotBytecode),
        // Fewer bytes than four have no `\r\n` in the third and fourth.
        Content::Read(..) if file.entry.metadata.is_none_or(|metadata| metadata.bytes < 4) => {
            SweepVerdict::Keep(KeepReason::NotBytecode)
        }
        Content::Read(_, Bytecode::Possible) => adopt_or_remove(file, policy),
    }
}

/// Moves bytecode that Python would load, unless the store already has an equivalent entry.
fn adopt_or_remove(file: &InTreeFile<'_>, policy: &SweepPolicy) -> SweepVerdict {
    let Some(in_store) = &file.in_store else { return SweepVerdict::Remove };
    let is_fresh = |entry| status::judge(entry, UncheckedHashes::Trust) == Some(Status::Fresh);
    let knows_prefix = file.entry.parsed.slot().and_then(|slot| slot.python()) >= Some(FIRST_WITH_PREFIX);
    let is_trusted = file.entry.metadata.is_some_and(|metadata| [0, policy.user].contains(&metadata.user));
    // A larger one is hardly compiled from anything: an archive may bring a file with holes of any size.
    let is_small = file
        .entry
        .metadata
        .is_some_and(|metadata| metadata.bytes <= metadata.readable_bytes().min(body::LARGEST));
    if !is_fresh(&file.entry) || !knows_prefix || !is_trusted || !is_small {
        return SweepVerdict::Remove;
    }
    match in_store {
        InStore::Entry(stored) if is_fresh(stored) => SweepVerdict::Remove,
        InStore::Entry(stored) => SweepVerdict::Adopt(stored.metadata.map(|metadata| metadata.identity)),
        InStore::Nothing => SweepVerdict::Adopt(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pyc::header::Header;
    use crate::pyc::{Loads, Magic};
    use crate::source::{Source, SourceFile};
    use crate::store::entry::Entry;
    use crate::store::entry::Metadata;

    const NOW: Moment = Moment { seconds: 100_000, nanoseconds: 0 };
    const OLD: Moment = Moment { seconds: 1000, nanoseconds: 0 };
    const USER: u32 = 1000;

    /// Old bytecode of 3.12 that is fresh, in this form.
    fn file(name: &'static str, form: InTreeForm) -> InTreeFile<'static> {
        let source = SourceFile {
            python_mtime: 7,
            pinned_mtime: 7,
            modified: OLD,
            changed: OLD,
            links: 1,
            bytes: 9,
            hash: None,
        };
        let metadata = Metadata {
            kind: FileKind::Regular,
            identity: (1, 2),
            links: 1,
            mode: 0o100_644,
            user: USER,
            group: USER,
            bytes: 100,
            disk: 4096,
            modified: OLD,
            accessed: OLD,
            changed: OLD,
        };
        let parsed = match form {
            InTreeForm::Cached | InTreeForm::Ignored => Name::parse(name.as_bytes()),
            InTreeForm::Beside(_) | InTreeForm::BesideTemporary(_) => Name::Foreign,
        };
        let header = Header { magic: Magic::of(3531), flags: 0, pin: [7, 0, 0, 0, 9, 0, 0, 0] };
        let entry = Entry {
            metadata: Some(metadata),
            content: Content::Read(Ok(header), Bytecode::Possible),
            source: Source::Present(source),
            loads: Loads::Yes,
            ..Entry::named(name.as_bytes(), parsed)
        };
        InTreeFile::new(entry, FileKind::Regular, form)
    }

    fn verdict(file: &InTreeFile<'_>, sourceless: Sourceless) -> SweepVerdict {
        judge(file, &SweepPolicy { sourceless, emptied: Emptied::Keep, user: USER, now: NOW })
    }

    fn young(mut file: InTreeFile<'static>) -> InTreeFile<'static> {
        let metadata = file.entry.metadata.as_mut().unwrap();
        (metadata.modified, metadata.changed) = (NOW, NOW);
        file
    }

    #[test]
    fn each_form_stays_for_its_own_reason() {
        use Companion::{Missing, Present};
        use InTreeForm::{Beside, BesideTemporary, Cached, Ignored};
        let keep = SweepVerdict::Keep;
        let odd = |name, kind| InTreeFile { kind, ..file(name, Cached) };
        for (file, kept, removed) in [
            (file("m.cpython-312.pyc", Ignored), SweepVerdict::Ignore, SweepVerdict::Ignore),
            (file("m.cpython-312.pyc", Cached), SweepVerdict::Remove, SweepVerdict::Remove),
            (young(file("m.cpython-312.pyc", Cached)), SweepVerdict::Remove, SweepVerdict::Remove),
            (file("m.cpython-312.pyc.77", Cached), SweepVerdict::Remove, SweepVerdict::Remove),
            (young(file("m.cpython-312.pyc.77", Cached)), keep(KeepReason::Young), keep(KeepReason::Young)),
            (file("README", Cached), keep(KeepReason::Foreign), keep(KeepReason::Foreign)),
            (file("m.f-1.py312.nbi", Cached), keep(KeepReason::Numba), keep(KeepReason::Numba)),
            (file("m.f-1.py312.1.nbc", Cached), keep(KeepReason::Numba), keep(KeepReason::Numba)),
            (odd("m.f-1.py312.nbi", FileKind::Link), keep(KeepReason::Foreign), keep(KeepReason::Foreign)),
            (odd("README", FileKind::Link), keep(KeepReason::Foreign), keep(KeepReason::Foreign)),
            (file("m.pyc", Beside(Present)), SweepVerdict::Remove, SweepVerdict::Remove),
            (young(file("m.pyc", Beside(Present))), SweepVerdict::Remove, SweepVerdict::Remove),
            (file("m.pyc", Beside(Missing)), keep(KeepReason::Sourceless), SweepVerdict::Remove),
            (file("m.pyc.77", BesideTemporary(Present)), SweepVerdict::Remove, SweepVerdict::Remove),
            (file("m.pyc.77", BesideTemporary(Missing)), SweepVerdict::Ignore, SweepVerdict::Remove),
            (
                young(file("m.pyc.77", BesideTemporary(Present))),
                keep(KeepReason::Young),
                keep(KeepReason::Young),
            ),
            (
                young(file("m.pyc.77", BesideTemporary(Missing))),
                SweepVerdict::Ignore,
                keep(KeepReason::Young),
            ),
        ] {
            assert_eq!(verdict(&file, Sourceless::Keep), kept, "{file:?}");
            assert_eq!(verdict(&file, Sourceless::Remove), removed, "{file:?}");
        }
    }

    #[test]
    fn what_git_tracks_and_what_is_no_bytecode_stays() {
        let with = |tracking, content, bytes| {
            let mut file = file("m.cpython-312.pyc", InTreeForm::Cached);
            (file.tracking, file.entry.content) = (tracking, content);
            file.entry.metadata.as_mut().unwrap().bytes = bytes;
            verdict(&file, Sourceless::Keep)
        };
        let good = file("m.cpython-312.pyc", InTreeForm::Cached).entry.content;
        for (tracking, content, bytes, expected) in [
            (Tracking::Untracked, good, 100, SweepVerdict::Remove),
            (Tracking::Tracked, good, 100, SweepVerdict::Keep(KeepReason::Tracked)),
            (Tracking::Unknown, good, 100, SweepVerdict::Keep(KeepReason::MaybeTracked)),
            (Tracking::Untracked, Content::NotRead, 100, SweepVerdict::Keep(KeepReason::Unreadable)),
            (Tracking::Untracked, Content::of(&[0; 16]), 16, SweepVerdict::Keep(KeepReason::NotBytecode)),
            (Tracking::Untracked, Content::of(b""), 0, SweepVerdict::Keep(KeepReason::NotBytecode)),
            (Tracking::Untracked, Content::of(b"\xcb\x0d\r"), 3, SweepVerdict::Keep(KeepReason::NotBytecode)),
            (Tracking::Untracked, Content::of(b"\xcb\x0d\r\n"), 4, SweepVerdict::Remove),
        ] {
            assert_eq!(with(tracking, content, bytes), expected, "{tracking:?} {content:?}");
        }
    }

    #[test]
    fn what_python_would_load_is_moved_unless_the_store_has_as_good_a_one() {
        let name = "m.cpython-312.pyc";
        type Change = fn(&mut Entry<'_>);
        let stale: Change = |entry| entry.content = Content::of(&[&b"\xcb\x0d\r\n"[..], &[1; 12]].concat());
        let of_user: [Change; 3] = [
            |entry| entry.metadata.as_mut().unwrap().user = 0,
            |entry| entry.metadata.as_mut().unwrap().user = USER,
            |entry| entry.metadata.as_mut().unwrap().user = USER + 1,
        ];
        fn set_size(entry: &mut Entry<'_>, bytes: u64, disk: u64) {
            let metadata = entry.metadata.as_mut().unwrap();
            (metadata.bytes, metadata.disk) = (bytes, disk);
        }
        let of_size: [Change; 3] = [
            |entry| set_size(entry, body::LARGEST, body::LARGEST),
            |entry| set_size(entry, body::LARGEST + 1, body::LARGEST),
            |entry| set_size(entry, body::LARGEST, 4096),
        ];
        let adopt = SweepVerdict::Adopt(None);
        for (name, change, expected) in [
            (name, of_user[0], adopt),
            (name, of_user[1], adopt),
            (name, of_user[2], SweepVerdict::Remove),
            (name, of_size[0], adopt),
            (name, of_size[1], SweepVerdict::Remove),
            (name, of_size[2], SweepVerdict::Remove),
            (name, stale, SweepVerdict::Remove),
            ("m.cpython-38.pyc", of_user[1], adopt),
            ("m.cpython-37.pyc", of_user[1], SweepVerdict::Remove),
        ] {
            let mut file = file(name, InTreeForm::Cached);
            change(&mut file.entry);
            file.in_store = Some(InStore::Nothing);
            assert_eq!(verdict(&file, Sourceless::Keep), expected, "{file:?}");
            file.in_store = None;
            assert_eq!(verdict(&file, Sourceless::Keep), SweepVerdict::Remove, "{file:?}");
        }
        let mut stored = file(name, InTreeForm::Cached).entry;
        for (is_stale, expected) in [(false, SweepVerdict::Remove), (true, SweepVerdict::Adopt(Some((1, 2))))]
        {
            if is_stale {
                stale(&mut stored);
            }
            let mut file = file(name, InTreeForm::Cached);
            file.in_store = Some(InStore::Entry(Box::new(stored.clone())));
            assert_eq!(verdict(&file, Sourceless::Keep), expected, "{is_stale}");
        }
    }
}
