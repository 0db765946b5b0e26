//! A source that is to be compiled, and whether another source is equal to it.

use crate::effect::compile::{LARGEST_SOURCE, SourceGroup, Task, place};
use crate::host::directory::{self, Metadata};
use crate::pyc::header::python_mtime;
use crate::pyc::name::Name;
use crate::pyc::{Header, InvalidationMode, Magic, SourceHasher};
use crate::source::interpreter::Interpreters;
use crate::source::opened::OpenSource;
use crate::verdict::shareable::{ShareCandidate, ShareSearch};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;

/// The place of an entry in the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct EntryPlace {
    pub relative: Vec<u8>,
    pub name: Vec<u8>,
}

/// A source that is to be compiled.
#[derive(Debug)]
pub(super) struct WantedEntry {
    /// The index of its group.
    pub group: usize,
    pub task: Task,
    pub header: Header,
    pub key: u64,
    pub place: EntryPlace,
}

impl WantedEntry {
    /// # Errors
    /// The task, if the source cannot be read or is too large.
    pub fn new(
        group: usize,
        task: Task,
        (tag, magic): (&str, Magic),
        search: &ShareSearch<'_>,
    ) -> Result<WantedEntry, Task> {
        let (relative, name) = place(&task, tag);
        let place = EntryPlace { relative, name };
        let key = |header: &Header| {
            let source_name = task.source.file_name()?.as_bytes();
            Some(search.content_key(&Name::parse(&place.name).slot()?, source_name, header))
        };
        match header(&task, tag, magic).and_then(|header| Some((header, key(&header)?))) {
            Some((header, key)) => Ok(WantedEntry { group, task, header, key, place }),
            None => Err(task),
        }
    }

    /// The source of an entry, if the entry was compiled from what the source holds now. With a hash, the header says that.
    ///
    /// To make or remove a link changes a file too. Of that, only a link between the two sources is taken for the reason.
    pub fn proof(&self, own: &OpenSource, candidate: &ShareCandidate) -> Option<OpenSource> {
        let source = OpenSource::open(&candidate.source()).ok()?;
        let written = candidate.metadata.written();
        let is_link = || source.metadata.identity == own.metadata.identity;
        let is_proved = self.header.invalidation_mode() != InvalidationMode::Timestamp
            || source.is_unchanged_since(written)
            || is_link() && source.is_written_before(written);
        is_proved.then_some(source)
    }

    /// Whether this source, open, and another are equal and have the header's mtime and size.
    pub fn is_equal(&self, own: &OpenSource, other: &OpenSource) -> io::Result<bool> {
        let is_pinned = |source: &OpenSource| {
            self.header.invalidation_mode() != InvalidationMode::Timestamp
                || timestamp(&source.metadata) == self.header.pin
        };
        Ok(is_pinned(own) && is_pinned(other) && own.is_equal(other)?)
    }

    /// Whether an entry may get a later time of writing, which would prove that its source holds what the entry was
    /// compiled from: it does already, or the source is equal to this one.
    pub fn may_get_later_time(&self, own: &OpenSource, candidate: &ShareCandidate) -> bool {
        let is_own = || {
            directory::file_metadata(&candidate.source())
                .is_ok_and(|metadata| metadata.identity == own.metadata.identity)
        };
        let is_equal_or_proved = || -> io::Result<bool> {
            let source = OpenSource::open(&candidate.source())?;
            Ok(source.is_unchanged_since(candidate.metadata.written()) || own.is_equal(&source)?)
        };
        self.header.invalidation_mode() != InvalidationMode::Timestamp
            || is_own()
            || is_equal_or_proved().unwrap_or(false)
    }
}

/// The header that the compiler would write.
fn header(task: &Task, tag: &str, magic: Magic) -> Option<Header> {
    let flags = match task.invalidation {
        InvalidationMode::Timestamp => {
            let metadata = directory::file_metadata(&task.source).ok()?;
            return (metadata.bytes <= LARGEST_SOURCE).then(|| Header {
                magic,
                flags: 0,
                pin: timestamp(&metadata),
            });
        }
        InvalidationMode::CheckedHash => 0b11,
        InvalidationMode::UncheckedHash => 0b01,
    };
    let (file, metadata) = directory::open_file(&task.source).ok()?;
    if metadata.bytes > LARGEST_SOURCE {
        return None;
    }
    let pin = SourceHasher::new(tag, magic).hash(file.take(LARGEST_SOURCE)).ok()?;
    Some(Header { magic, flags, pin })
}

/// Tag and magic of the interpreter of a group, if its installation states them.
pub(super) fn interpreter_of(group: &SourceGroup) -> Option<(String, Magic)> {
    let found = Interpreters::of_executable(&group.executable);
    let mut all = found.with_store();
    let (Some((tag, interpreter)), None) = (all.next(), all.next()) else { return None };
    let is_wanted = group.tag.as_deref().is_none_or(|wanted| wanted == tag);
    Some((tag.to_string(), interpreter.magic.filter(|_| is_wanted)?))
}

/// Mtime and size as in a header.
fn timestamp(metadata: &Metadata) -> [u8; 8] {
    let mtime = python_mtime(metadata.modified.seconds, metadata.modified.nanoseconds) as u32;
    let mut pin = [0; 8];
    pin[..4].copy_from_slice(&mtime.to_le_bytes());
    pin[4..].copy_from_slice(&(metadata.bytes as u32).to_le_bytes());
    pin
}
