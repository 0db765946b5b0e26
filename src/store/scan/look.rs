//! The look at one directory's entries: what each begins with, and what became of its source.

use super::compiled::{compiled_name, hash_source};
use super::place::{Mirrored, Place};
use super::recorded::{self, Unread};
use super::sources::{Sources, is_fault};
use super::{Question, Scan, Trouble, Visitor};
use crate::host::directory::{Directory, FileKind, Links, ListBuffer, Metadata};
use crate::pyc::name::{Form, Name, Slot};
use crate::pyc::{Loads, Magic, header};
use crate::source::listing::Listing;
use crate::source::witness::real_path;
use crate::source::{Answer, Fate, Gone, Source, Why, is_missing};
use crate::store::entry::{Content, Entry};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

/// The look at a directory's entries, one after another in the order of their names.
pub(super) struct EntryLook<'a, V> {
    pub(super) scan: &'a Scan<'a>,
    pub(super) place: &'a Arc<Place>,
    pub(super) directory: &'a Directory,
    pub(super) sources: Sources<'a>,
    pub(super) buffer: &'a mut ListBuffer,
    pub(super) usual: &'a mut Vec<u8>,
    /// The last source looked up: its entries of several tags and optimizations follow each other.
    pub(super) last: Option<(Vec<u8>, Looked)>,
    /// Whether entries here may record a path that leads here by `..`; known when the first source is missing.
    pub(super) may_be_reached_by_dots: Option<bool>,
    /// What was found out before, of the directory and for other entries.
    pub(super) known: Known,
    pub(super) visitor: &'a mut V,
}

/// What became of a source, for entries written at any moment.
#[derive(Debug, Clone, Copy)]
pub(super) enum Looked {
    /// The same for all of them.
    Source(Source),
    /// It is missing: deleted, for the entries that were written before.
    Missing(Fate, Gone),
}

/// What is found out once for all entries of a directory: there may be any number of them, in an order that alternates between
/// two sources.
#[derive(Default)]
pub(super) struct Known {
    /// The sources hashed, by name or recorded path and magic.
    hashes: HashMap<(Vec<u8>, Magic), Result<[u8; 8], Why>>,
    /// All names beside the sources, read when the first source is missing.
    source_names: Option<Result<Listing, Why>>,
    /// The usual sources that were missing where there were other names, and whether another file maps to their slots.
    has_others: HashMap<Vec<u8>, bool>,
}

impl<'a, V: Visitor> EntryLook<'a, V> {
    pub(super) fn new(
        scan: &'a Scan<'a>,
        place: &'a Arc<Place>,
        directory: &'a Directory,
        sources: Sources<'a>,
        buffer: &'a mut ListBuffer,
        usual: &'a mut Vec<u8>,
        visitor: &'a mut V,
    ) -> EntryLook<'a, V> {
        let known = Known::default();
        let (last, may_be_reached_by_dots) = (None, None);
        EntryLook {
            scan,
            place,
            directory,
            sources,
            buffer,
            usual,
            last,
            may_be_reached_by_dots,
            known,
            visitor,
        }
    }
}

impl<V: Visitor> EntryLook<'_, V> {
    /// The facts of one file; `None` when it vanished meanwhile.
    pub(super) fn entry<'n>(&mut self, name: &'n [u8], parsed: Name<'n>) -> Option<Entry<'n>> {
        let mut entry = Entry::named(name, parsed);
        let slot = match (parsed, self.scan.question) {
            (Name::Bytecode(slot), _) => slot,
            (_, Question::Orphans) => return Some(entry),
            (Name::Temporary(_), Question::Everything(_)) => {
                (entry.metadata, entry.content) = self.read_start(name)?;
                return Some(entry);
            }
            (Name::Foreign, Question::Everything(_)) => {
                entry.metadata = Some(self.metadata(name)?);
                return Some(entry);
            }
        };
        let looked = self.source(&slot);
        match (looked, self.scan.question) {
            (Looked::Missing(fate, gone), _) => self.missing(&mut entry, &slot, fate, gone)?,
            (Looked::Source(source), question) => {
                entry.source = source;
                if let Question::Everything(_) = question {
                    (entry.metadata, entry.content) = self.read_start(name)?;
                }
            }
        }
        if let Question::Everything(_) = self.scan.question {
            self.hash_source(&slot, &mut entry);
        }
        Some(entry)
    }

    /// Adds the facts of an entry whose usual source is missing; `None` when the entry vanished meanwhile.
    fn missing(&mut self, entry: &mut Entry<'_>, slot: &Slot<'_>, fate: Fate, gone: Gone) -> Option<()> {
        if let Some((other, found)) = self.other_source(entry.name, slot) {
            entry.source = found;
            if !other.is_empty() {
                entry.other_name = Some(other.as_slice().into());
            }
            if let Question::Everything(_) = self.scan.question {
                (entry.metadata, entry.content) = self.read_start(entry.name)?;
            }
            return Some(());
        }
        match self.scan.question {
            // Something else may have taken its name.
            Question::Orphans => {
                let is_file = |metadata: &Metadata| metadata.kind == FileKind::Regular;
                entry.metadata = Some(self.metadata(entry.name).filter(is_file)?);
            }
            Question::Everything(_) => (entry.metadata, entry.content) = self.read_start(entry.name)?,
        }
        let Some(metadata) = entry.metadata else {
            // When it was written cannot be told, so it cannot be told what was deleted since.
            entry.source = Source::Unreachable(Why::Permission);
            return Some(());
        };
        entry.source = fate.source(gone, metadata.written()).unwrap_or(Source::Unreachable(Why::Io));
        let has_no_name = match entry.source {
            Source::Absent(_) => true,
            Source::Unreachable(why) => why.is_missing_name(),
            _ => false,
        };
        if has_no_name {
            match self.recorded_source(entry.name, slot, &metadata) {
                Ok(None) => {}
                Ok(Some((path, found))) => {
                    entry.source = found;
                    entry.recorded = Some(path.into());
                }
                // Of what may not be read, nothing is removed whatever it records.
                Err(Unread::Refused) if !matches!(entry.content, Content::Read(..)) => {}
                Err(Unread::Refused) => entry.source = Source::Unreachable(Why::Permission),
                Err(Unread::UnknownFormat) => entry.source = Source::Unreachable(Why::Magic),
                // It vanished, or a directory or a pipe took its name: the removal looks again.
                Err(Unread::Failed(error))
                    if is_missing(&error)
                        || matches!(
                            error.kind(),
                            io::ErrorKind::IsADirectory | io::ErrorKind::NotSeekable
                        ) => {}
                Err(Unread::Failed(error)) => entry.source = Source::Unreachable(self.unread(entry, error)),
            }
        }
        Some(())
    }

    /// The source that an entry records and that its own path does not lead to, links resolved, and what became of it.
    ///
    /// Entries are read only where a link in the mirrored directories makes such paths possible, else one of each directory,
    /// or of a whole tree that was deleted: a path by which one of them came is that of its neighbours. Before one is removed
    /// it is asked itself ([`recorded::may_record_a_source`]).
    ///
    /// # Errors
    /// The entry or a directory of the store cannot be read, or the format is not known.
    fn recorded_source(
        &mut self,
        name: &[u8],
        slot: &Slot<'_>,
        metadata: &Metadata,
    ) -> Result<Option<(PathBuf, Source)>, Unread> {
        if self.may_be_reached_by_dots.is_none() && self.place.may_be_reached_by_dots(self.scan.store) {
            self.may_be_reached_by_dots = Some(true);
        } else if self.may_be_reached_by_dots.is_none() {
            self.may_be_reached_by_dots = self.place.topmost_missing().is_reached_by_dots.get().copied();
        }
        if self.may_be_reached_by_dots == Some(false) {
            return Ok(None);
        }
        let Some(path) = self.recorded_path(name, slot, metadata.bytes)? else { return Ok(None) };
        let fate = recorded::fate_of(self.scan.evidence, &path, metadata.written());
        // By the text of the path nothing can be compared with it.
        let (Some(directory), Some(source)) = (path.parent(), path.file_name()) else { return Ok(None) };
        let path = real_path(directory).join(source);
        let source = match fate {
            Ok(source) => source,
            Err(error) => Source::Unreachable(self.report_source(path.clone(), error)),
        };
        Ok(Some((path, source)))
    }

    /// The path with `..` in it that an entry was compiled from, if CPython opens this very entry for it.
    fn recorded_path(
        &mut self,
        name: &[u8],
        slot: &Slot<'_>,
        length: u64,
    ) -> Result<Option<PathBuf>, Unread> {
        let path = match recorded::path_with_dots(self.directory, name, slot, length) {
            Err(Unread::Failed(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(Unread::Refused);
            }
            answer => answer?,
        };
        let is_reached = *self.may_be_reached_by_dots.get_or_insert(path.is_some());
        let _ = self.place.topmost_missing().is_reached_by_dots.set(is_reached);
        match path {
            Some(path) if recorded::leads_to(self.scan.store, &path, &self.place.relative)? => Ok(Some(path)),
            _ => Ok(None),
        }
    }

    /// A file's metadata and what it begins with; `None` when it vanished meanwhile.
    fn read_start(&mut self, name: &[u8]) -> Option<(Option<Metadata>, Content)> {
        let mut start = [0; header::LENGTH];
        match self.directory.read_start(name, &mut start) {
            Ok((metadata, _)) if metadata.kind != FileKind::Regular => None,
            Ok((metadata, start)) => Some((Some(metadata), Content::of(start))),
            Err(error) if is_missing(&error) => None,
            Err(error) => {
                let why = Why::of(&error);
                let path = self.scan.store.shown(&self.place.relative, name);
                self.report(path, error);
                Some((self.directory.metadata(name, Links::Keep).ok(), Content::Unreadable(why)))
            }
        }
    }

    /// A file's metadata; `None` when it vanished meanwhile.
    fn metadata(&mut self, name: &[u8]) -> Option<Metadata> {
        let answer = self.directory.metadata(name, Links::Keep);
        self.or_report(name, answer)
    }

    fn or_report<T>(&mut self, name: &[u8], answer: io::Result<T>) -> Option<T> {
        match answer {
            Ok(answer) => Some(answer),
            Err(error) => {
                if !is_missing(&error) {
                    let path = self.scan.store.shown(&self.place.relative, name);
                    self.report(path, error);
                }
                None
            }
        }
    }

    /// Reports that a file cannot be read, unless the whole store cannot.
    fn report(&mut self, path: PathBuf, source: io::Error) {
        if !self.scan.store.note_error(&source) {
            self.visitor.trouble(Trouble::File { path, source });
        }
    }

    /// What became of the slot's usual source.
    fn source(&mut self, slot: &Slot<'_>) -> Looked {
        slot.write_usual_source(self.usual);
        if let Some((name, looked)) = &self.last
            && name == self.usual
        {
            return *looked;
        }
        let looked = self.look_up_usual();
        self.last = Some((self.usual.clone(), looked));
        looked
    }

    fn look_up_usual(&mut self) -> Looked {
        let evidence = self.scan.evidence;
        let answer = match &self.sources {
            Sources::Settled(Mirrored::Absent(last_change)) => {
                return Looked::Missing(Fate::Deleted(*last_change), self.gone());
            }
            Sources::Settled(Mirrored::Unreachable(why)) => {
                let path = || self.place.sources().join(OsStr::from_bytes(self.usual));
                // What is assumed may begin below the place that cannot be told.
                return if why.is_missing_name() && evidence.is_assumed_gone(&path()) {
                    Looked::Missing(Fate::ASSUMED, Gone::Source)
                } else if why.is_missing_name() {
                    Looked::Missing(Fate::Doubtful(*why), Gone::Source)
                } else {
                    Looked::Source(Source::Unreachable(*why))
                };
            }
            Sources::Settled(Mirrored::Present | Mirrored::Nothing) => {
                return Looked::Source(Source::NotAsked);
            }
            Sources::LookUp(present) => present.look_up(self.usual, evidence),
            Sources::Listed(present, names) => match names.kind(self.usual) {
                Some(FileKind::Regular) => return Looked::Source(Source::Exists),
                Some(FileKind::Other) | None => present.missing(evidence, self.usual),
                Some(_) => present.look_up(self.usual, evidence),
            },
        };
        match answer {
            Ok(Answer::Found(file)) => Looked::Source(Source::Present(file)),
            Ok(Answer::Missing(fate)) => Looked::Missing(fate, Gone::Source),
            Err(error) => {
                let path = self.place.sources().join(OsStr::from_bytes(self.usual));
                Looked::Source(Source::Unreachable(self.report_source(path, error)))
            }
        }
    }

    /// Reports an error of a source, where it is a fault of the system, and says what it is.
    fn report_source(&mut self, path: PathBuf, error: io::Error) -> Why {
        let why = Why::of(&error);
        if is_fault(&error) {
            self.visitor.trouble(Trouble::Source { path, source: error });
        }
        why
    }

    /// Reports that an entry cannot be read for its source, where that is a fault of the system and was not said of its
    /// header, and says what it is.
    fn unread(&mut self, entry: &Entry<'_>, error: io::Error) -> Why {
        let why = Why::of(&error);
        if is_fault(&error) && !matches!(entry.content, Content::Unreadable(_)) {
            let path = self.scan.store.shown(&self.place.relative, entry.name);
            self.report(path, error);
        }
        why
    }

    fn gone(&self) -> Gone {
        match self.place.owner(self.scan.store).life {
            crate::source::owner::Life::Alive => Gone::Source,
            crate::source::owner::Life::Gone => Gone::Root,
        }
    }

    /// Another file that maps to the same slot, where the usual one is missing: `x.pyw`, `x.hy`, `x.` …
    ///
    /// Its name and what became of it; `None` when there is none, and the usual source's fate is the entry's.
    fn other_source(&mut self, name: &[u8], slot: &Slot<'_>) -> Option<(Vec<u8>, Source)> {
        if slot.form == Form::Undotted || slot.pytest.is_some() {
            return None;
        }
        let present = match &self.sources {
            Sources::LookUp(present) => present,
            Sources::Listed(present, names) if names.sources_of(slot).next().is_some() => present,
            Sources::Listed(..) | Sources::Settled(_) => return None,
        };
        let directory = present.path();
        if self.known.source_names.is_none() {
            let listing = present.listing(self.buffer);
            self.known.source_names = Some(listing.map_err(|error| self.report_source(directory, error)));
        }
        let names = match &self.known.source_names {
            Some(Ok(names)) => names,
            Some(Err(why)) => return Some((Vec::new(), Source::Unreachable(*why))),
            None => return None,
        };
        let (Sources::LookUp(present) | Sources::Listed(present, _)) = &self.sources else { return None };
        let is_other = |name: &[u8]| name != self.usual.as_slice() && present.is_file(name);
        let has_others = match self.known.has_others.get(self.usual) {
            Some(has_others) => *has_others,
            None => {
                let has_others = names.sources_of(slot).any(is_other);
                self.known.has_others.insert(self.usual.clone(), has_others);
                has_others
            }
        };
        if !has_others {
            return None;
        }
        let is_listed = |name: &[u8]| slot.holds(name) && names.kind(name).is_some();
        // Any file of that stem maps to the slot, a `x.txt` as well: the entry itself says which was compiled.
        match compiled_name(self.directory, name, slot) {
            Some(compiled) if is_listed(&compiled) && is_other(&compiled) => {
                let source = match present.look_up(&compiled, self.scan.evidence) {
                    Ok(Answer::Found(file)) => Source::Present(file),
                    // It was there a moment ago.
                    Ok(Answer::Missing(_)) => Source::Unreachable(Why::Io),
                    Err(error) => {
                        let path = present.path().join(OsStr::from_bytes(&compiled));
                        Source::Unreachable(self.report_source(path, error))
                    }
                };
                Some((compiled, source))
            }
            Some(compiled) if slot.holds(&compiled) => None,
            _ => Some((Vec::new(), Source::Unreachable(Why::Ambiguous))),
        }
    }

    /// Adds whether the tag's interpreter loads the magic, and hashes the source where an import would; once for entries of
    /// the same source and magic.
    fn hash_source(&mut self, slot: &Slot<'_>, entry: &mut Entry<'_>) {
        let Question::Everything(unchecked) = self.scan.question else { return };
        let (Content::Read(Ok(header), _), Source::Present(file)) = (entry.content, &mut entry.source) else {
            return;
        };
        entry.loads = self.scan.magics.loads(slot.tag, header.magic);
        if !header.checks_hash(unchecked) || entry.loads != Loads::Yes {
            return;
        }
        let magic = header.magic;
        let name = match &entry.recorded {
            Some(path) => path.as_os_str().as_bytes(),
            None => entry.other_name.as_deref().unwrap_or(self.usual),
        };
        let key = (name.to_vec(), magic);
        if let Some(hash) = self.known.hashes.get(&key) {
            file.hash = Some(*hash);
            return;
        }
        let (hash, path) = match (&entry.recorded, &self.sources) {
            (Some(path), _) => (recorded::hash(path, slot.tag, magic), path.to_path_buf()),
            (None, Sources::LookUp(present) | Sources::Listed(present, _)) => {
                let hash = hash_source(&present.directory, name, slot.tag, magic);
                (hash, present.path().join(OsStr::from_bytes(name)))
            }
            (None, Sources::Settled(_)) => return,
        };
        let hash = hash.map_err(|error| self.report_source(path, error));
        self.known.hashes.insert(key, hash);
        file.hash = Some(hash);
    }
}
