//! The scan of the store for the browser: one [`ScanBatch`] for each directory, or several for a large one, sent as soon as they
//! are known.

use super::file::{Bar, BatchFile, FileFacts, ScanBatch};
use super::interned::Interned;
use crate::cli::session::Opened;
use pycstore::host::directory::effective_user;
use pycstore::host::volumes::AccessTimes;
use pycstore::pyc::name::Name;
use pycstore::source::package::{Packages, SiteDirectory};
use pycstore::store::entry::Entry;
use pycstore::store::scan::{Question, Scan, Trouble, Visit, Visitor};
use pycstore::units::Tally;
use pycstore::verdict::policy::{Circumstances, Policy, Spared, Verdict};
use pycstore::verdict::status::{self, Status, UncheckedHashes};
use pycstore::verdict::usage::last_use;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;

/// Scans the store and sends what it finds; returns what could not be read. It ends early when `stop` becomes true, or when
/// nobody receives any more.
pub fn scan(
    opened: &Opened,
    policy: &Policy,
    circumstances: Circumstances<'_>,
    stop: &AtomicBool,
    batches: &SyncSender<ScanBatch>,
) -> Vec<Trouble> {
    let packages = Packages::default();
    let new_collector = || Collector {
        policy,
        circumstances,
        is_ours: opened.store.metadata().user == effective_user(),
        access_times: opened.access_times(),
        packages: &packages,
        stop,
        batches: batches.clone(),
        troubles: Vec::new(),
    };
    let question = Question::Everything(UncheckedHashes::Trust);
    let scan = Scan { within: &policy.scope.mirrored, stop, ..opened.scan(question) };
    let parts = scan.run(new_collector, |_| {});
    let mut troubles: Vec<Trouble> = parts.into_iter().flat_map(|part| part.troubles).collect();
    troubles.extend(opened.troubles_of_aliases());
    troubles.sort_by(|one, other| one.path().cmp(other.path()));
    troubles
}

/// One worker of the scan.
struct Collector<'a> {
    policy: &'a Policy,
    circumstances: Circumstances<'a>,
    /// Whether the store is ours: its files may be removed.
    is_ours: bool,
    access_times: AccessTimes,
    packages: &'a Packages,
    stop: &'a AtomicBool,
    batches: SyncSender<ScanBatch>,
    troubles: Vec<Trouble>,
}

impl Collector<'_> {
    /// Whether the files of a directory may be shown, as far as that depends on the directory.
    fn shows_directory(&self, visit: &Visit<'_>, sources: &Path) -> bool {
        let scope = &self.policy.scope;
        let is_under = scope.under.is_empty() || scope.under.iter().any(|under| sources.starts_with(under));
        let is_owned = || scope.owners.iter().any(|wanted| visit.owner().is_at(wanted));
        is_under && scope.tags.is_empty() && (scope.owners.is_empty() || is_owned())
    }

    /// Whether a file is in the scope, kept or not.
    fn shows(&self, visit: &Visit<'_>, entry: &Entry<'_>, sources: &Path) -> bool {
        let scope = &self.policy.scope;
        if scope.under.is_empty() && scope.owners.is_empty() && scope.tags.is_empty() {
            return true;
        }
        let source =
            entry.source_path(sources).unwrap_or_else(|| sources.join(OsStr::from_bytes(entry.name)));
        scope.selects(&source, entry.parsed.slot().map_or("", |slot| slot.tag), || visit.owner())
    }

    /// Why a file cannot be marked, if it cannot. A glob that keeps it is added to `globs`.
    fn bar(
        &self,
        visit: &Visit<'_>,
        entry: &Entry<'_>,
        status: Status,
        globs: &mut Interned<str>,
    ) -> Option<Bar> {
        if !self.is_ours {
            return Some(Bar::NotOurs);
        }
        let kept_by =
            if self.policy.scope.keep.is_empty() { None } else { self.policy.scope.kept_by(visit, entry) };
        if let Some(glob) = kept_by {
            return Some(Bar::Kept(globs.add(glob) as u16));
        }
        match (status, self.policy.judge_listed(entry, status, &self.circumstances)) {
            (_, Verdict::Condemn) => None,
            (_, Verdict::Spare(Spared::Unreadable)) => Some(Bar::Unreadable),
            (Status::Foreign, _) => Some(Bar::Foreign),
            (Status::Temporary, _) => Some(Bar::Young),
            _ => Some(Bar::Unknown),
        }
    }

    fn send(&self, visit: &Visit<'_>, mut batch: ScanBatch) {
        if !batch.files.is_empty() {
            batch.owner = Some(visit.owner());
        }
        if self.batches.send(batch).is_err() {
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    fn file(
        &self,
        visit: &Visit<'_>,
        entry: &Entry<'_>,
        site: Option<&SiteDirectory>,
        batch: &mut ScanBatch,
    ) -> Option<BatchFile> {
        let (metadata, status) = (entry.metadata?, status::judge(entry, UncheckedHashes::Trust)?);
        let tag = match entry.parsed {
            Name::Bytecode(slot) | Name::Temporary(slot) => Some(slot.tag),
            Name::Foreign => None,
        };
        let used = tag.and_then(|_| last_use(&metadata, self.access_times));
        let facts = FileFacts {
            identity: metadata.identity,
            links: u32::try_from(metadata.links).unwrap_or(u32::MAX),
            bytes: metadata.bytes,
            disk: metadata.disk,
            modified: metadata.modified,
            used: used.map(|moment| moment.seconds),
            status,
            bar: self.bar(visit, entry, status, &mut batch.globs),
            is_reclaimable: self.policy.scope.admits_entry(visit, entry)
                && self.policy.judge(entry, status, &self.circumstances).is_condemned(),
        };
        Some(BatchFile {
            name_length: u8::try_from(entry.name.len()).unwrap_or(u8::MAX),
            package: site.and_then(|site| Some(site.package(&entry.source_name()?))),
            tag: tag.map(|tag| {
                if batch.tags.last().is_none_or(|last| **last != *tag) {
                    batch.tags.push(tag.into());
                }
                batch.tags.len() as u32 - 1
            }),
            facts,
        })
    }
}

/// Maximum number of files in a batch: keys are looked at between batches.
pub(super) const LARGEST_BATCH: usize = 4096;

impl Visitor for Collector<'_> {
    fn directory(&mut self, visit: &Visit<'_>) {
        let sources = visit.source_directory();
        let own = visit.metadata.filter(|_| self.shows_directory(visit, &sources));
        let own = own.map_or_else(Tally::default, |it| Tally::file(it.bytes, it.disk));
        let mut batch = ScanBatch::of_directory(visit.relative, own);
        batch.files.reserve_exact(visit.entries.len().min(LARGEST_BATCH));
        let site = if visit.entries.is_empty() { None } else { self.packages.site_of(&sources) };
        for entry in visit.entries.iter().filter(|entry| self.shows(visit, entry, &sources)) {
            if let Some(file) = self.file(visit, entry, site.as_ref(), &mut batch) {
                batch.names.extend(&entry.name[..usize::from(file.name_length)]);
                batch.files.push(file);
            }
            if batch.files.len() == LARGEST_BATCH {
                let rest = ScanBatch::of_directory(visit.relative, Tally::default());
                self.send(visit, std::mem::replace(&mut batch, rest));
            }
        }
        self.send(visit, batch);
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.troubles.push(trouble);
    }
}
