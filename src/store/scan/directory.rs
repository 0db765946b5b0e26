//! One directory of the store: list it, look at what the question needs, hand it to the visitor.

use super::look::EntryLook;
use super::place::{Mirrored, Place, PlaceFacts};
use super::sources::Sources;
use super::{Question, Scan, Trouble, Visit, Visitor, trouble_with_directory};
use crate::host::directory::{Directory, FileKind, Links, ListBuffer, Metadata, is_link_loop};
use crate::pyc::name::{self, Name};
use crate::source::is_missing;
use crate::source::listing::{Listing, UnknownKinds};
use crate::source::owner::Presence;
use crate::store::entry::Entry;
use crate::units::Moment;
use std::cell::OnceCell;
use std::io;
use std::sync::Arc;

/// What a worker keeps from directory to directory, so that a scan allocates little.
#[derive(Default)]
pub(super) struct Buffers {
    buffer: ListBuffer,
    store: Listing,
    sources: Listing,
    usual: Vec<u8>,
    held: Option<Held>,
}

/// The last directory that had directories in it. A worker does those next, and opens them from here by their names
/// alone: whole paths cost a tenth of a warm scan.
struct Held {
    place: Arc<Place>,
    store: Directory,
    sources: Option<Directory>,
}

impl Buffers {
    /// The names of the directories found by the last [`scan`].
    pub(super) fn directories(&self) -> impl Iterator<Item = &[u8]> {
        self.store.directories()
    }
}

/// Scans one directory; returns how many files it has. Its directories are then in `buffers`.
pub(super) fn scan<V: Visitor>(
    scan: &Scan<'_>,
    place: &Arc<Place>,
    buffers: &mut Buffers,
    visitor: &mut V,
) -> u64 {
    // Where this directory cannot be opened, those of the last one are not its.
    buffers.store.clear();
    let parent = buffers.held.as_ref().filter(|held| place.is_in(&held.place));
    let directory = match open(scan, place, parent) {
        Ok(directory) => directory,
        Err(error) => {
            report(scan, place, error, visitor);
            return 0;
        }
    };
    let Buffers { buffer, store: listing, sources, usual, .. } = buffers;
    if let Err(error) = listing.read(&directory, buffer, UnknownKinds::LookUp) {
        report(scan, place, error, visitor);
    }
    let parsed = listing.files().map(|(name, kind)| (name, parse(&place.relative, name, kind)));
    let bytecode = parsed.clone().filter(|(_, parsed)| matches!(parsed, Name::Bytecode(_))).count();
    let above = parent.and_then(|parent| parent.sources.as_ref());
    let sources = Sources::open(scan, place, above, bytecode, (sources, buffer), &mut |trouble| {
        visitor.trouble(trouble)
    });
    place.settle(PlaceFacts { mirrored: sources.mirrored(), holds_entries: bytecode > 0 });

    let mut look = EntryLook::new(scan, place, &directory, sources, buffer, usual, visitor);
    let (files, directories) = (listing.files().len(), listing.directories().len());
    let mut entries = Vec::with_capacity(files);
    for (name, parsed) in parsed {
        if scan.is_stopped() {
            return 0;
        }
        entries.extend(look.entry(name, parsed));
    }
    let presence = match look.sources.mirrored() {
        Mirrored::Absent(last_change) if files + directories == 0 => presence_by_age(&directory, last_change),
        mirrored => mirrored.presence(),
    };
    let EntryLook { sources, visitor, .. } = look;
    let visit = Visit {
        relative: &place.relative,
        metadata: metadata(scan, place, &directory, presence, visitor),
        entries: &entries,
        directories,
        sources: presence,
        place,
        store: scan.store,
        directory: &directory,
        owner: OnceCell::new(),
    };
    visitor.directory(&visit);
    let sources = sources.into_directory();
    if directories > 0 {
        buffers.held = Some(Held { place: place.clone(), store: directory, sources });
    }
    files as u64
}

/// Opens the directory, from its parent if that is held.
fn open(scan: &Scan<'_>, place: &Place, parent: Option<&Held>) -> io::Result<Directory> {
    match parent {
        Some(parent) => scan.store.directory_in(&parent.store, place.name()),
        None => scan.store.directory(&place.relative),
    }
}

/// Reports why the directory cannot be read, unless it is no directory any more: it was one when its parent was listed, and
/// something else took its name, or that of one above it.
fn report<V: Visitor>(scan: &Scan<'_>, place: &Place, error: io::Error, visitor: &mut V) {
    if scan.store.note_error(&error) {
        return;
    }
    if place.relative.is_empty() || !is_no_directory(&error) {
        trouble_with_directory(scan.store, &place.relative, error)
            .into_iter()
            .for_each(|it| visitor.trouble(it));
    }
}

/// What the name of a file in the directory `relative` says.
fn parse<'a>(relative: &[u8], file: &'a [u8], kind: FileKind) -> Name<'a> {
    match kind {
        FileKind::Regular if name::mirrors_sources(relative) => Name::parse(file),
        _ => Name::Foreign,
    }
}

/// The directory's own metadata, where the question needs it: of any, or of one that may go.
fn metadata<V: Visitor>(
    scan: &Scan<'_>,
    place: &Place,
    directory: &Directory,
    sources: Presence,
    visitor: &mut V,
) -> Option<Metadata> {
    if scan.question == Question::Orphans && sources != Presence::Absent {
        return None;
    }
    match directory.own_metadata() {
        Ok(metadata) => Some(metadata),
        Err(error) => {
            report(scan, place, error, visitor);
            None
        }
    }
}

/// Whether an empty directory mirrors a deleted directory of sources, by the last change on the path to that.
///
/// Entries tell by their age whether their source was deleted. An empty directory has none, so its own age tells: CPython
/// makes one and only then writes into it, and needs some only as the way to others (`STORE/p/tests/../src`).
fn presence_by_age(directory: &Directory, last_change: Moment) -> Presence {
    match directory.made() {
        Ok(Some(made)) if made <= last_change => Presence::Absent,
        _ => Presence::Unreachable,
    }
}

/// Looks at one file; see [`Scan::one`].
pub(super) fn one<R>(
    scan: &Scan<'_>,
    relative: &[u8],
    answer: impl FnOnce(&Visit<'_>, &Entry<'_>) -> R,
) -> Result<Option<R>, Trouble> {
    let (parent, name) = match relative.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&relative[..slash], &relative[slash + 1..]),
        None => (&b""[..], relative),
    };
    let failed = |source| trouble_with_directory(scan.store, parent, source).map_or(Ok(None), Err);
    let (mut names, mut buffer) = (Listing::default(), ListBuffer::default());
    let mut troubles = OneTrouble(None);
    let place = match find_place(scan, parent, &mut troubles) {
        Ok(place) => place,
        Err(error) => return failed(error),
    };
    let directory = match scan.store.directory(&place.relative) {
        Ok(directory) => directory,
        Err(error) => return failed(error),
    };
    let kind = match directory.metadata(name, Links::Keep) {
        Ok(metadata) => metadata.kind,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(source) => return Err(Trouble::File { path: scan.store.shown(parent, name), source }),
    };
    if kind == FileKind::Directory {
        return Ok(None);
    }
    let parsed = parse(parent, name, kind);
    let sources = Sources::open(scan, &place, None, 1, (&mut names, &mut buffer), &mut |trouble| {
        troubles.trouble(trouble)
    });
    place.settle(PlaceFacts {
        mirrored: sources.mirrored(),
        holds_entries: matches!(parsed, Name::Bytecode(_)),
    });
    let mut usual = Vec::new();
    let mut look = EntryLook::new(scan, &place, &directory, sources, &mut buffer, &mut usual, &mut troubles);
    let entry = look.entry(name, parsed);
    let sources = look.sources.mirrored().presence();
    let Some(entry) = entry else { return troubles.0.map_or(Ok(None), Err) };
    let entries = [entry];
    let visit = Visit {
        relative: &place.relative,
        metadata: None,
        entries: &entries,
        directories: 0,
        sources,
        place: &place,
        store: scan.store,
        directory: &directory,
        owner: OnceCell::new(),
    };
    Ok(Some(answer(&visit, &entries[0])))
}

/// The place of a directory, by the directories on the way to it.
fn find_place(scan: &Scan<'_>, relative: &[u8], troubles: &mut OneTrouble) -> io::Result<Arc<Place>> {
    let (mut names, mut buffer) = (Listing::default(), ListBuffer::default());
    let mut place = Arc::new(Place::root());
    for component in relative.split(|&byte| byte == b'/').filter(|component| !component.is_empty()) {
        let directory = scan.store.directory(&place.relative)?;
        let sources = Sources::open(scan, &place, None, 0, (&mut names, &mut buffer), &mut |trouble| {
            troubles.trouble(trouble)
        });
        // A scan would know whether files lie here; it matters for owners of loose directories only.
        let holds_entries = holds_bytecode(&directory);
        place.settle(PlaceFacts { mirrored: sources.mirrored(), holds_entries });
        place = Arc::new(Place::below(&place, component));
    }
    Ok(place)
}

fn is_no_directory(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotADirectory || is_link_loop(error)
}

fn holds_bytecode(directory: &Directory) -> bool {
    let mut found = false;
    let listed = directory.list(&mut ListBuffer::default(), |name, kind| {
        found |= kind == FileKind::Regular && matches!(Name::parse(name), Name::Bytecode(_));
    });
    listed.is_ok() && found
}

/// Keeps the trouble that a single look met.
struct OneTrouble(Option<Trouble>);

impl Visitor for OneTrouble {
    fn directory(&mut self, _: &Visit<'_>) {}

    fn trouble(&mut self, trouble: Trouble) {
        self.0 = Some(trouble);
    }
}
