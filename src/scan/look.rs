//! The look at one directory's entries: what each begins with, and what became of its source.

use super::place::{Mirrored, Place};
use super::{Listing, Question, Scan, Trouble, Visitor};
use crate::directory::{Access, Directory, FileKind, Links, ListBuffer, Metadata};
use crate::entry::{Content, Entry};
use crate::layout::{self, Form, Name, Slot};
use crate::pyc::{Header, Loads, Magic, SourceHasher, header, marshal};
use crate::source::{Gone, PresentDirectory, Source, SourceDirectory, Why, is_missing};
use std::ffi::OsStr;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

/// Below this many entries it is cheaper to look their sources up one by one than to list the sources' directory.
const LIST_FROM: usize = 3;

/// The largest entry whose body is read, to learn the source's name or to be moved.
pub(crate) const LARGEST_BODY: u64 = 64 << 20;

/// The largest source that is read to be hashed. A sparse file costs who makes it nothing, and us hours.
const LARGEST_SOURCE: u64 = 256 << 20;

/// The regular files and links of a directory of sources, sorted.
#[derive(Default)]
pub(super) struct SourceNames {
    listing: Listing,
    sorted: Vec<(Range<usize>, FileKind)>,
}

impl SourceNames {
    fn read(&mut self, directory: &Directory) -> io::Result<()> {
        let Listing { buffer, names } = &mut self.listing;
        names.clear();
        self.sorted.clear();
        directory.list(buffer, |name, kind| {
            if kind != FileKind::Directory && kind != FileKind::Other {
                self.sorted.push((append(names, name), kind));
            }
        })?;
        self.sorted.sort_unstable_by(|(one, _), (other, _)| names[one.clone()].cmp(&names[other.clone()]));
        Ok(())
    }

    fn any(&self, test: impl Fn(&[u8]) -> bool) -> bool {
        self.sorted.iter().any(|(range, _)| test(&self.listing.names[range.clone()]))
    }

    fn kind(&self, name: &[u8]) -> Option<FileKind> {
        let found =
            self.sorted.binary_search_by(|(range, _)| self.listing.names[range.clone()].cmp(name)).ok()?;
        Some(self.sorted[found].1)
    }
}

pub(super) fn append(names: &mut Vec<u8>, name: &[u8]) -> Range<usize> {
    let start = names.len();
    names.extend_from_slice(name);
    start..names.len()
}

/// The directory of sources that a place mirrors, as far as the question needs it.
pub(super) enum Sources<'a> {
    /// Names are looked up one by one.
    LookUp(PresentDirectory),
    /// Its names are known.
    Listed(PresentDirectory, &'a SourceNames),
    /// An answer for everything in it and below it.
    Settled(Mirrored),
}

impl<'a> Sources<'a> {
    pub(super) fn open(
        scan: &Scan<'_>,
        place: &Place,
        parent: Option<&Directory>,
        bytecode: usize,
        names: &'a mut SourceNames,
    ) -> Sources<'a> {
        if let Some(handed_down) = place.handed_down() {
            return Sources::Settled(handed_down);
        }
        if !layout::mirrors_sources(&place.relative) {
            return Sources::Settled(Mirrored::Nothing);
        }
        let lists = scan.question == Question::Orphans && bytecode >= LIST_FROM;
        let access = if lists { Access::List } else { Access::LookUp };
        match scan.ground.open(place.sources(), parent.map(|parent| (parent, place.name())), access) {
            SourceDirectory::Absent => Sources::Settled(Mirrored::Absent),
            SourceDirectory::Unreachable(why) => Sources::Settled(Mirrored::Unreachable(why)),
            // A directory that may be entered but not read cannot be listed: then names are looked up.
            SourceDirectory::Present(present) if lists && names.read(&present.directory).is_ok() => {
                Sources::Listed(present, names)
            }
            SourceDirectory::Present(present) => Sources::LookUp(present),
        }
    }

    pub(super) fn mirrored(&self) -> Mirrored {
        match self {
            Sources::LookUp(_) | Sources::Listed(..) => Mirrored::Present,
            Sources::Settled(mirrored) => *mirrored,
        }
    }
}

/// The look at a directory's entries, one after another in the order of their names.
pub(super) struct Look<'a, V> {
    pub(super) scan: &'a Scan<'a>,
    pub(super) place: &'a Arc<Place>,
    pub(super) directory: &'a Directory,
    pub(super) sources: Sources<'a>,
    pub(super) buffer: &'a mut ListBuffer,
    pub(super) usual: &'a mut Vec<u8>,
    /// The last source looked up: its entries of several tags and optimizations follow each other.
    pub(super) last: Option<(Vec<u8>, Source)>,
    /// The last source hashed, under which magic, and its hash.
    pub(super) last_hash: Option<LastHash>,
    /// All names beside the sources, read when the first source is missing.
    pub(super) source_names: Option<Result<Vec<Vec<u8>>, Why>>,
    pub(super) visitor: &'a mut V,
}

pub(super) struct LastHash {
    source: Vec<u8>,
    magic: Magic,
    hash: Result<[u8; 8], Why>,
}

impl<V: Visitor> Look<'_, V> {
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
        entry.source = self.source(&slot);
        if let Source::Absent(_) = entry.source
            && let Some((other, found)) = self.other_source(name, &slot)
        {
            entry.source = found;
            if !other.is_empty() {
                entry.other_name = Some(other.as_slice().into());
                *self.usual = other;
            }
        }
        match (self.scan.question, &mut entry.source) {
            (Question::Orphans, Source::Absent(_)) => {
                // Something else may have taken its name.
                let is_file = |metadata: &Metadata| metadata.kind == FileKind::Regular;
                entry.metadata = Some(self.metadata(name).filter(is_file)?);
            }
            (Question::Orphans, _) => {}
            (Question::Everything(_), source) => {
                (entry.metadata, entry.content) = self.read_start(name)?;
                if let (Source::Present(file), Content::Read(Ok(header), _)) = (source, entry.content) {
                    entry.loads = self.scan.magics.loads(slot.tag, header.magic);
                    if entry.loads == Loads::Yes {
                        file.hash = self.hash_source(&slot, &header);
                    }
                }
            }
        }
        Some(entry)
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
                self.visitor.trouble(Trouble::File { path, source: error });
                Some((self.directory.metadata(name, Links::Keep).ok(), Content::Unreadable(why)))
            }
        }
    }

    /// A file's metadata; `None` when it vanished meanwhile.
    fn metadata(&mut self, name: &[u8]) -> Option<Metadata> {
        match self.directory.metadata(name, Links::Keep) {
            Ok(metadata) => Some(metadata),
            Err(error) => {
                if !is_missing(&error) {
                    let path = self.scan.store.shown(&self.place.relative, name);
                    self.visitor.trouble(Trouble::File { path, source: error });
                }
                None
            }
        }
    }

    /// What became of the slot's usual source.
    fn source(&mut self, slot: &Slot<'_>) -> Source {
        slot.write_usual_source(self.usual);
        if let Some((name, source)) = &self.last
            && name == self.usual
        {
            return *source;
        }
        let ground = self.scan.ground;
        let source = match &self.sources {
            Sources::Settled(Mirrored::Absent) => Source::Absent(self.gone()),
            Sources::Settled(Mirrored::Unreachable(why)) => {
                let source = || self.place.sources().join(OsStr::from_bytes(self.usual));
                // What is assumed may begin below the place that cannot be told.
                if !ground.assumed_gone.is_empty() && ground.is_assumed_gone(&source()) {
                    Source::Absent(Gone::Source)
                } else {
                    Source::Unreachable(*why)
                }
            }
            Sources::Settled(Mirrored::Present | Mirrored::Nothing) => return Source::NotAsked,
            Sources::LookUp(present) => present.look_up(self.usual, ground),
            Sources::Listed(present, names) => match names.kind(self.usual) {
                Some(FileKind::Regular) => Source::Exists,
                Some(_) => present.look_up(self.usual, ground),
                None => present.missing(ground, self.usual),
            },
        };
        self.last = Some((self.usual.clone(), source));
        source
    }

    fn gone(&self) -> Gone {
        match self.place.owner(self.scan.store).life {
            crate::owner::Life::Alive => Gone::Source,
            crate::owner::Life::Gone => Gone::Root,
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
            Sources::Listed(present, names) if names.any(|name| slot.holds(name)) => present,
            Sources::Listed(..) | Sources::Settled(_) => return None,
        };
        let unreachable = |why| Some((Vec::new(), Source::Unreachable(why)));
        let names = self
            .source_names
            .get_or_insert_with(|| present.names(self.buffer).map_err(|error| Why::of(&error)));
        let names = match names {
            Ok(names) => names,
            Err(why) => return unreachable(*why),
        };
        let is_other = |name: &&Vec<u8>| slot.holds(name) && *name != self.usual && present.is_file(name);
        let others: Vec<Vec<u8>> = names.iter().filter(is_other).cloned().collect();
        if others.is_empty() {
            return None;
        }
        // Any file of that stem maps to the slot, a `x.txt` as well: the entry itself says which was compiled.
        match compiled_name(self.directory, name, slot) {
            Some(compiled) if others.contains(&compiled) => {
                let source = present.look_up(&compiled, self.scan.ground);
                Some((compiled, source))
            }
            Some(compiled) if slot.holds(&compiled) => None,
            _ => unreachable(Why::Ambiguous),
        }
    }

    /// Reads and hashes the source where an import would; once for entries of the same source and magic.
    fn hash_source(&mut self, slot: &Slot<'_>, header: &Header) -> Option<Result<[u8; 8], Why>> {
        let Question::Everything(unchecked) = self.scan.question else { return None };
        if !header.checks_hash(unchecked) {
            return None;
        }
        let (Sources::LookUp(present) | Sources::Listed(present, _)) = &self.sources else { return None };
        if let Some(last) = &self.last_hash
            && last.source == *self.usual
            && last.magic == header.magic
        {
            return Some(last.hash);
        }
        let hash = hash_source(&present.directory, self.usual, slot.tag, header.magic);
        self.last_hash = Some(LastHash { source: self.usual.clone(), magic: header.magic, hash });
        Some(hash)
    }
}

/// The last component of the code object's `co_filename` in an entry: the name of the source that was compiled.
pub(crate) fn compiled_name(directory: &Directory, name: &[u8], slot: &Slot<'_>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    directory.open_entry(name).ok()?.take(LARGEST_BODY).read_to_end(&mut bytes).ok()?;
    let (3, minor) = slot.python()? else { return None };
    let filename = marshal::code_filename(bytes.get(header::LENGTH..)?, minor)?;
    filename.rsplit(|&byte| byte == b'/').next().map(<[u8]>::to_vec)
}

/// Reads and hashes a source as the interpreter of a tag and magic does.
pub(crate) fn hash_source(
    directory: &Directory,
    source: &[u8],
    tag: &str,
    magic: Magic,
) -> Result<[u8; 8], Why> {
    match directory.open_source(source) {
        Ok((_, metadata)) if metadata.bytes > LARGEST_SOURCE => Err(Why::TooLarge),
        // No more than it says it has: files in `/proc` have no end, and reading them may do something.
        Ok((source, metadata)) => {
            SourceHasher::new(tag, magic).hash(source.take(metadata.bytes)).map_err(|error| Why::of(&error))
        }
        Err(error) => Err(Why::of(&error)),
    }
}
