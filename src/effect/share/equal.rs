//! Which of equal entries may get a later time: an entry's time proves that it was compiled from what its source holds
//! ([`crate::source::opened`]), and a later one must prove nothing that is not so.

use super::LinkNames;
use crate::pyc::InvalidationMode;
use crate::source::is_missing;
use crate::source::opened::OpenSource;
use crate::units::Moment;
use crate::verdict::shareable::ShareCandidate;
use std::cell::OnceCell;
use std::io;

/// The sources of equal entries.
pub(super) struct EqualEntries<'a> {
    files: &'a [LinkNames<'a>],
    /// A source of which the time proves that an entry was compiled from it.
    proved: OnceCell<Option<OpenSource>>,
}

impl<'a> EqualEntries<'a> {
    /// Those of these files, the newest last.
    pub fn new(files: &'a [LinkNames<'a>]) -> EqualEntries<'a> {
        EqualEntries { files, proved: OnceCell::new() }
    }

    /// Whether an entry may get this time of writing: it would prove nothing that is not so ([`crate::source::opened`]).
    pub fn may_have_time(&self, entry: &ShareCandidate, written: Moment) -> io::Result<bool> {
        let before = entry.metadata.written();
        if entry.mode != InvalidationMode::Timestamp || written <= before {
            return Ok(true);
        }
        let source = match OpenSource::open(&entry.source()) {
            Err(error) if !is_missing(&error) => return Ok(false),
            source => source?,
        };
        if source.may_get_later_time(before, written) {
            return Ok(true);
        }
        self.proved().map_or(Ok(false), |proved| proved.is_equal(&source))
    }

    fn proved(&self) -> Option<&OpenSource> {
        let find = |entry: &ShareCandidate| {
            let source = OpenSource::open(&entry.source()).ok()?;
            source.is_unchanged_since(entry.metadata.written()).then_some(source)
        };
        let names = || self.files.iter().rev().copied().flatten();
        self.proved.get_or_init(|| names().find_map(find)).as_ref()
    }
}
