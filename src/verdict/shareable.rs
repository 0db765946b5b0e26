//! Which entries of a scan may become hard links of one file.
//!
//! Virtualenvs with the same packages have the same bytecode: the entries of equal sources with equal mtimes differ
//! only in `co_filename`, which the interpreter corrects when it loads them ([`crate::pyc::marshal::Filenames`]).
//!
//! # What is left alone
//!
//! * Entries that are not fresh: `prune` removes them, or their status is unknown.
//! * Entries of import hooks: how one loads its entries is its own affair. pytest's reads them itself and corrects the
//!   file name only from version 9.2 on (`_fix_code_filename`). typeguard 4.6, beartype 0.23 and jaxtyping 0.3 mark their
//!   entries (`opt-typeguard461`, `opt-beartype0v23v1`, `opt-jaxtyping10` and a hash) and load them with
//!   `SourceLoader.get_code`, which corrects it. coverage, pdb and runpy have no entries of their own.
//! * Entries that the group or others may write to: they could change the modules of every path that shares the
//!   file.
//! * Entries with unchecked hashes: if Python replaced one at the moment of the rename, the older bytecode would be
//!   loaded forever, because Python does not compare it with the source.
//! * Entries with a warning of `verify`, or one that a link hides: the file written last is kept, which would hide that the
//!   source was changed.
//! * Entries that a `keep` glob matches.
//!
//! # Why the time of the file that was written last stays
//!
//! An orphan must have been written before its source was deleted ([`crate::source::witness`]). A link takes over
//! the time at which its file was written. If that time were earlier, an entry whose source is only unmounted could
//! count as an orphan. A later time is harmless: the entry is fresh when it is linked, so that any deletion happens
//! afterwards.
//!
//! So either the file that was written last is kept, or another takes over its mtime: one with more names, of which
//! each has its source when that is done. If the file has a name that is not among the candidates, such as an orphan's,
//! its time stays.
//!
//! The time also proves that an entry was compiled from what its source holds. So a name takes over a later time only if that
//! proves nothing new of its source, or if its source is equal to one that is proved ([`crate::source::opened`]).

use super::inspector;
use super::scope::Scope;
use super::status::{self, Status, UncheckedHashes};
use crate::pyc::Header;
use crate::pyc::header::InvalidationMode;
use crate::pyc::marshal::Dialect;
use crate::pyc::name::{Name, Slot, source_directory};
use crate::source::{Source, SourceFile};
use crate::store::Store;
use crate::store::entry::{Content, Entry, Metadata};
use crate::store::scan::{Trouble, Visit, Visitor};
use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::ffi::OsStr;
use std::hash::BuildHasher;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// From how many seconds on an mtime counts as later than the last change; clocks of servers differ a little.
const LATER: i64 = 60;

/// How many candidates are held in memory at once.
pub const MOST_CANDIDATES: usize = 1 << 16;

/// An entry that may share its file with others of the same key.
#[derive(Debug, Clone)]
pub struct ShareCandidate {
    /// The hash of its cache tag, optimization, header, mode, user, group and the name of its source.
    pub key: u64,
    /// Its directory, from the store's root.
    pub relative: Arc<[u8]>,
    /// Its name.
    pub name: Box<[u8]>,
    /// The name of its source, without the directory.
    pub source_name: Box<[u8]>,
    /// The format of its body.
    pub dialect: Dialect,
    /// How Python compares it with its source.
    pub mode: InvalidationMode,
    /// The file, as the scan saw it.
    pub metadata: Metadata,
}

/// What an entry of a scan has in common with those that it may share its file with.
pub(super) struct Shareable {
    pub key: u64,
    pub dialect: Dialect,
    pub mode: InvalidationMode,
}

/// Why an entry shares its file with no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NotShared {
    /// Python would not load it, or its status is unknown.
    NotFresh,
    /// An import hook wrote it, such as pytest's.
    ImportHook,
    /// It belongs to another user.
    OtherUser,
    /// Group or others may write to the file.
    Writable,
    /// Python loads it without comparing it with its source.
    Unchecked,
    /// It may differ from what its source compiles to: `verify` warns of it, or a link hides when its source changed.
    Doubtful,
    /// Its mtime was set to a time after its last change.
    LaterMtime,
    /// This version does not know the format of its body.
    UnknownFormat,
    /// Its body does not load, or the interpreter would not correct every name in it.
    NotCorrected,
    /// No other entry is equal.
    Single,
    /// It changed since the scan, or was removed.
    Changed,
    /// The file system does not support links, or the file has the maximum number of them.
    NoLinks,
}

impl ShareCandidate {
    /// The path of its source.
    pub fn source(&self) -> PathBuf {
        source_directory(&self.relative).join(OsStr::from_bytes(&self.source_name))
    }
}

impl NotShared {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            NotShared::NotFresh => "not-fresh",
            NotShared::ImportHook => "import-hook",
            NotShared::OtherUser => "other-user",
            NotShared::Writable => "writable",
            NotShared::Unchecked => "unchecked-hash",
            NotShared::Doubtful => "doubtful",
            NotShared::LaterMtime => "later-mtime",
            NotShared::UnknownFormat => "unknown-format",
            NotShared::NotCorrected => "not-corrected",
            NotShared::Single => "single",
            NotShared::Changed => "changed",
            NotShared::NoLinks => "no-links",
        }
    }

    /// The reason in words, after a number of entries.
    pub fn explanation(self) -> &'static str {
        match self {
            NotShared::NotFresh => "that Python would not load, or whose status is unknown",
            NotShared::ImportHook => "that an import hook wrote, such as pytest's",
            NotShared::OtherUser => "of another user",
            NotShared::Writable => "that the group or others may write to",
            NotShared::Unchecked => "with unchecked hashes",
            NotShared::Doubtful => "whose sources may have changed since they were compiled",
            NotShared::LaterMtime => "whose mtime was set to a later time",
            NotShared::UnknownFormat => "whose format this version does not know",
            NotShared::NotCorrected => "whose path Python would not correct",
            NotShared::Single => "equal to no other",
            NotShared::Changed => "that changed meanwhile",
            NotShared::NoLinks => "for which the file system allows no link",
        }
    }
}

/// How many entries are left alone, by reason.
pub type NotSharedCounts = BTreeMap<NotShared, u64>;

/// The keys that several files have, sorted.
#[derive(Debug, Default)]
pub struct SharedKeys(Vec<u64>);

/// What entries may share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareKind {
    /// The file, as hard links: everything but the names in them is equal.
    Files,
    /// The content: as for files, but with any permissions.
    Contents,
    /// Blocks of the disk: their headers differ as well, because the mtimes of their sources do.
    Blocks,
}

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub struct ShareSearch<'a> {
    /// The store.
    pub store: &'a Store,
    /// Which entries may be shared.
    pub scope: &'a Scope,
    /// What they may share.
    pub kind: ShareKind,
    /// Makes the keys. The same for all visitors of one run.
    pub keys: &'a RandomState,
}

/// Finds the keys that several files have, in a first scan. It needs 16 bytes of memory for each entry.
#[derive(Debug)]
pub struct KeySurvey<'a> {
    search: ShareSearch<'a>,
    found: Vec<(u64, u64)>,
    /// Entries that cannot be shared.
    pub left: NotSharedCounts,
    /// What could not be read.
    pub troubles: Vec<Trouble>,
}

/// Collects the candidates of one part of the keys: a second scan.
#[derive(Debug)]
pub struct Gatherer<'a> {
    search: ShareSearch<'a>,
    keys: &'a [u64],
    /// The most candidates for each key, and how many there are.
    limit: Option<(usize, &'a [AtomicUsize])>,
    /// The candidates, in no order.
    pub candidates: Vec<ShareCandidate>,
}

impl<'a> ShareSearch<'a> {
    /// The part of a first scan.
    pub fn survey(self) -> KeySurvey<'a> {
        KeySurvey { search: self, found: Vec::new(), left: NotSharedCounts::new(), troubles: Vec::new() }
    }

    /// The part of a second scan for these keys.
    pub fn gather(self, keys: &'a [u64]) -> Gatherer<'a> {
        Gatherer { search: self, keys, limit: None, candidates: Vec::new() }
    }

    /// The part of a scan that takes up to `most` candidates for each of these keys; `held` has a zero for each.
    pub fn gather_up_to(self, most: usize, keys: &'a [u64], held: &'a [AtomicUsize]) -> Gatherer<'a> {
        Gatherer { limit: Some((most, held)), ..self.gather(keys) }
    }

    /// The key of an entry's name, the name of its source and its header.
    pub fn content_key(&self, slot: &Slot<'_>, source_name: &[u8], header: &Header) -> u64 {
        let words = (slot.tag, slot.optimization, slot.form, source_name);
        self.keys.hash_one((words, header.magic.0, header.flags, header.pin))
    }

    /// Returns the entry's key, or why it is left alone; `None` for entries out of scope and files that are not
    /// entries.
    pub(super) fn candidate(
        &self,
        visit: &Visit<'_>,
        entry: &Entry<'_>,
    ) -> Option<Result<Shareable, NotShared>> {
        let Name::Bytecode(slot) = entry.parsed else { return None };
        if !self.scope.admits_entry(visit, entry) {
            return None;
        }
        let (Some(Status::Fresh), Source::Present(source)) =
            (status::judge(entry, UncheckedHashes::Check), entry.source)
        else {
            return Some(Err(NotShared::NotFresh));
        };
        let (Content::Read(Ok(header), _), Some(metadata)) = (entry.content, entry.metadata) else {
            return Some(Err(NotShared::NotFresh));
        };
        // Sharing would lose a recorded path with `..`.
        if slot.pytest.is_some() || !matches!(slot.optimization, "" | "1" | "2") {
            return Some(Err(NotShared::ImportHook));
        }
        Some(match self.check(entry, &metadata, &source) {
            Some(why) => Err(why),
            None => Dialect::of(slot.tag, header.magic).ok_or(NotShared::UnknownFormat).map(|dialect| {
                let Metadata { mode: permissions, user, group, bytes, .. } = metadata;
                let source_name = entry.source_name().unwrap_or_default();
                let content = || self.content_key(&slot, &source_name, &header);
                let key = match self.kind {
                    ShareKind::Files => self.keys.hash_one((content(), permissions, user, group)),
                    ShareKind::Contents => content(),
                    ShareKind::Blocks => {
                        let words = (slot.tag, slot.optimization, slot.form, &source_name);
                        self.keys.hash_one((words, header.magic.0, bytes))
                    }
                };
                Shareable { key, dialect, mode: header.invalidation_mode() }
            }),
        })
    }

    /// Why an entry with a header is left alone.
    fn check(&self, entry: &Entry<'_>, metadata: &Metadata, source: &SourceFile) -> Option<NotShared> {
        let Content::Read(Ok(header), _) = entry.content else { return Some(NotShared::NotFresh) };
        if let Some(why) = not_private(self.store, metadata) {
            return Some(why);
        }
        if header.invalidation_mode() == InvalidationMode::UncheckedHash {
            return Some(NotShared::Unchecked);
        }
        // Then its ctime says when it was written, and that changes with every other name of the file.
        if metadata.modified.seconds > metadata.changed.seconds + LATER {
            return Some(NotShared::LaterMtime);
        }
        if entry.recorded.is_some() {
            return Some(NotShared::NotCorrected);
        }
        inspector::doubt(entry, &header, source).map(|_| NotShared::Doubtful)
    }
}

/// Why a file is left alone because of its owner or mode.
pub(crate) fn not_private(store: &Store, metadata: &Metadata) -> Option<NotShared> {
    const WRITABLE: u32 = 0o022;
    if metadata.user != store.metadata().user {
        return Some(NotShared::OtherUser);
    }
    (metadata.mode & WRITABLE != 0).then_some(NotShared::Writable)
}

impl Visitor for KeySurvey<'_> {
    fn directory(&mut self, visit: &Visit<'_>) {
        for entry in visit.entries {
            match (self.search.candidate(visit, entry), entry.metadata) {
                (Some(Ok(it)), Some(metadata)) => self.found.push((it.key, metadata.identity.1)),
                (Some(Err(why)), _) => *self.left.entry(why).or_default() += 1,
                _ => {}
            }
        }
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.troubles.push(trouble);
    }
}

impl Visitor for Gatherer<'_> {
    fn directory(&mut self, visit: &Visit<'_>) {
        let mut relative: Option<Arc<[u8]>> = None;
        for entry in visit.entries {
            let (Some(Ok(Shareable { key, dialect, mode })), Some(metadata), Some(source_name)) =
                (self.search.candidate(visit, entry), entry.metadata, entry.source_name())
            else {
                continue;
            };
            let Ok(at) = self.keys.binary_search(&key) else { continue };
            let is_taken =
                |(most, held): (usize, &[AtomicUsize])| held[at].fetch_add(1, Ordering::Relaxed) < most;
            if !self.limit.is_none_or(is_taken) {
                continue;
            }
            let relative = relative.get_or_insert_with(|| visit.relative.into()).clone();
            let (name, source_name) = (entry.name.into(), source_name.into());
            self.candidates.push(ShareCandidate {
                key,
                relative,
                name,
                source_name,
                dialect,
                mode,
                metadata,
            });
        }
    }

    /// The first scan has reported it.
    fn trouble(&mut self, _: Trouble) {}
}

impl SharedKeys {
    /// Joins what the workers of the first scan found; returns the keys, what is left alone, and what could not be read.
    pub fn collect(parts: Vec<KeySurvey<'_>>) -> (SharedKeys, NotSharedCounts, Vec<Trouble>) {
        let (mut found, mut left, mut troubles) = (Vec::new(), NotSharedCounts::new(), Vec::new());
        for part in parts {
            found.extend(part.found);
            troubles.extend(part.troubles);
            for (why, entries) in part.left {
                *left.entry(why).or_default() += entries;
            }
        }
        found.sort_unstable();
        let mut keys = Vec::new();
        for same in found.chunk_by(|one, other| one.0 == other.0) {
            match same {
                [(_, inode), rest @ ..] if rest.iter().any(|(_, other)| other != inode) => {
                    // The keys repeat, once for each candidate, so that the parts have about the same size.
                    keys.extend(same.iter().map(|(key, _)| *key));
                }
                [_] => *left.entry(NotShared::Single).or_default() += 1,
                _ => {}
            }
        }
        troubles.sort_by(|one, other| one.path().cmp(other.path()));
        (SharedKeys(keys), left, troubles)
    }

    /// Returns the keys in parts of about [`MOST_CANDIDATES`] candidates each; all candidates of a key are in one
    /// part.
    pub fn parts(&self) -> Vec<Vec<u64>> {
        let mut parts = Vec::new();
        let (mut part, mut held) = (Vec::new(), 0);
        for same in self.0.chunk_by(|one, other| one == other) {
            part.push(same[0]);
            held += same.len();
            if held >= MOST_CANDIDATES {
                parts.push(std::mem::take(&mut part));
                held = 0;
            }
        }
        parts.extend((!part.is_empty()).then_some(part));
        parts
    }
}

/// The candidates by key: groups of at least two files.
pub fn grouped(parts: Vec<Gatherer<'_>>) -> Vec<Vec<ShareCandidate>> {
    let mut all: Vec<ShareCandidate> = parts.into_iter().flat_map(|part| part.candidates).collect();
    all.sort_unstable_by(|one, other| {
        (one.key, one.metadata.identity, &one.relative, &one.name).cmp(&(
            other.key,
            other.metadata.identity,
            &other.relative,
            &other.name,
        ))
    });
    let mut groups: Vec<Vec<ShareCandidate>> = Vec::new();
    // From the end, so that no candidate is held twice.
    while let Some(last) = all.last() {
        let key = last.key;
        let group = all.split_off(all.partition_point(|it| it.key < key));
        if group.iter().any(|it| it.metadata.identity != group[0].metadata.identity) {
            groups.push(group);
        }
    }
    groups
}
