//! A source that is to be compiled, and whether another source is equal to it.

use crate::effect::compile::{LARGEST_SOURCE, SourceGroup, Task, place};
use crate::host::directory::{self, Metadata};
use crate::pyc::header::python_mtime;
use crate::pyc::name::Name;
use crate::pyc::{Header, InvalidationMode, Magic, SourceHasher};
use crate::source::interpreter::Interpreters;
use crate::units::Moment;
use crate::verdict::inspector::is_frozen;
use crate::verdict::shareable::ShareSearch;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

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

    /// The mode of this source, if another is equal and was not changed since its entry was compiled.
    ///
    /// To make or remove a link changes a file too. Of that, only a link between the two sources is taken for the reason; a frozen
    /// mtime does not even say that.
    pub fn mode_if_equal(&self, other: &Path, compiled: Moment) -> io::Result<Option<u32>> {
        let (one, metadata) = directory::open_file(&self.task.source)?;
        let (other, of_other) = directory::open_file(other)?;
        let is_pinned = |metadata: &Metadata| {
            self.header.invalidation_mode() != InvalidationMode::Timestamp
                || timestamp(metadata) == self.header.pin
        };
        let is_link = metadata.identity == of_other.identity && !is_frozen(of_other.modified.seconds);
        let is_unchanged = self.header.invalidation_mode() != InvalidationMode::Timestamp
            || of_other.changed <= compiled
            || is_link;
        let is_equal = is_unchanged
            && is_pinned(&metadata)
            && is_pinned(&of_other)
            && metadata.bytes == of_other.bytes
            && (metadata.identity == of_other.identity || have_equal_bytes(one, other, metadata.bytes)?);
        Ok(is_equal.then_some(metadata.mode))
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

/// Whether two files of this length are equal.
fn have_equal_bytes(mut one: File, mut other: File, length: u64) -> io::Result<bool> {
    const PORTION: u64 = 64 << 10;
    let (mut left, mut bytes, mut other_bytes) = (length, Vec::new(), Vec::new());
    while left > 0 {
        let portion = left.min(PORTION);
        for (file, bytes) in [(&mut one, &mut bytes), (&mut other, &mut other_bytes)] {
            bytes.clear();
            file.take(portion).read_to_end(bytes)?;
        }
        if bytes != other_bytes || bytes.len() as u64 != portion {
            return Ok(false);
        }
        left -= portion;
    }
    Ok(true)
}
