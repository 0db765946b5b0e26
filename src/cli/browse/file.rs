//! A file of the store as the scan found it, and as the catalogue keeps it.

use super::interned::Interned;
use pycstore::source::owner::Owner;
use pycstore::units::{Moment, Tally};
use pycstore::verdict::status::Status;
use std::sync::Arc;

/// A status or tag of what has none, or several.
pub const MIXED: u16 = u16::MAX;

/// One directory of the store with its files, as the scan found it. A large one comes in parts, one after another, of which only
/// the first has its own disk usage.
#[derive(Debug)]
pub struct ScanBatch {
    /// Its path from the store's root.
    pub relative: Box<[u8]>,
    /// Its own disk usage.
    pub own: Tally,
    /// The owner of its files; none if it has no files.
    pub owner: Option<Arc<Owner>>,
    /// Its files, sorted by name.
    pub files: Vec<BatchFile>,
    /// The names of the files, one after another.
    pub names: Vec<u8>,
    /// The globs that keep files of this directory.
    pub globs: Interned<str>,
    /// The cache tags of the files, each where it differs from that of the file before.
    pub tags: Vec<Box<str>>,
}

impl ScanBatch {
    /// A directory, to which files are added.
    pub fn of_directory(relative: &[u8], own: Tally) -> ScanBatch {
        let (files, names, globs, tags) = (Vec::new(), Vec::new(), Interned::default(), Vec::new());
        ScanBatch { relative: relative.into(), own, owner: None, files, names, globs, tags }
    }
}

/// A file as the scan found it.
#[derive(Debug, Clone)]
pub struct BatchFile {
    /// The length of its name.
    pub name_length: u8,
    /// Its package; none outside site-packages.
    pub package: Option<Arc<str>>,
    /// The index of its cache tag in the batch; none for a foreign file.
    pub tag: Option<u32>,
    /// What is known of the file.
    pub facts: FileFacts,
}

/// What is known of one file.
#[derive(Debug, Clone, Copy)]
pub struct FileFacts {
    /// Device and inode.
    pub identity: (u64, u64),
    /// How many hard links it has.
    pub links: u32,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its disk usage in bytes.
    pub disk: u64,
    /// Its last modification.
    pub modified: Moment,
    /// Its last use, if that is known.
    pub used: Option<i64>,
    pub status: Status,
    /// Why it cannot be marked, if it cannot.
    pub bar: Option<Bar>,
    /// Whether a default prune removes it.
    pub is_reclaimable: bool,
}

/// Why a file cannot be marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bar {
    /// Its status is unknown.
    Unknown,
    /// Python did not write it.
    Foreign,
    /// It is a temporary that may still be written.
    Young,
    /// Its first bytes cannot be read.
    Unreadable,
    /// The store belongs to another user.
    NotOurs,
    /// A `keep` glob matches its source: the index of the glob in the batch, then in [`super::catalogue::Catalogue::globs`].
    Kept(u16),
}

/// One file.
#[derive(Debug, Clone)]
pub struct CatalogueEntry {
    /// What is known of it.
    pub facts: FileFacts,
    /// Where its name begins among all names.
    pub name_at: u32,
    /// How long its name is.
    pub name_length: u8,
    /// The index of its directory of the store.
    pub directory: u32,
    /// The index of its package in [`super::catalogue::Catalogue::packages`], or [`MIXED`].
    pub package: u32,
    /// The index of its tag in [`super::catalogue::Catalogue::tags`], or [`MIXED`].
    pub tag: u16,
    pub node: u32,
    /// Whether it is marked.
    pub mark: Mark,
    /// Whether its bytes are counted by file and not by name.
    pub bytes: BytesCount,
}

/// How the bytes of an entry are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BytesCount {
    /// With the entry: its file had no other link when it was scanned.
    ByName,
    /// Once for all names of the file ([`super::catalogue::Catalogue::inodes`]).
    ByFile,
}

/// Whether an entry is to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mark {
    /// It stays.
    #[default]
    None,
    /// It is to be removed.
    Marked,
    /// It was removed.
    Removed,
}

/// A part of the files: those of one status, of one tag, or all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facet {
    /// The index of the status in [`pycstore::verdict::status::NAMES`].
    pub status: Option<u16>,
    /// The index of the tag in [`super::catalogue::Catalogue::tags`], [`MIXED`] for files without one.
    pub tag: Option<u16>,
}

impl Facet {
    /// Whether files of this status and tag are in it.
    pub fn admits(self, status: u16, tag: u16) -> bool {
        self.status.is_none_or(|it| it == status) && self.tag.is_none_or(|it| it == tag)
    }

    /// Whether it has this entry.
    pub fn has(self, entry: &CatalogueEntry) -> bool {
        self.admits(entry.facts.status.index() as u16, entry.tag)
    }
}
