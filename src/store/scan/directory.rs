//! One directory of the store: list it, look at what the question needs, hand it to the visitor.

use super::look::{Known, Look};
use super::place::{Facts, Mirrored, Place};
use super::sources::{SourceNames, Sources, append};
use super::{Listing, Question, Scan, Trouble, Visit, Visitor, trouble_with_directory};
use crate::host::directory::{Directory, FileKind, Links, ListBuffer, is_link_loop};
use crate::pyc::name::{self, Name};
use crate::source::is_missing;
use crate::source::owner::Presence;
use crate::store::entry::Entry;
use crate::units::Moment;
use std::cell::OnceCell;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a worker keeps from directory to directory, so that a scan allocates little.
#[derive(Default)]
pub(super) struct Buffers {
    store: Listing,
    files: Vec<(Range<usize>, FileKind)>,
    directories: Vec<Range<usize>>,
    sources: SourceNames,
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
        self.directories.iter().map(|range| &self.store.names[range.clone()])
    }
}

/// Scans one directory; returns how many files it has. Its directories are then in `buffers`.
pub(super) fn scan<V: Visitor>(
    scan: &Scan<'_>,
    place: &Arc<Place>,
    buffers: &mut Buffers,
    visitor: &mut V,
) -> u64 {
    let Buffers { store: Listing { buffer, names }, files, directories, sources, usual, held } = buffers;
    names.clear();
    files.clear();
    directories.clear();
    let parent = held.as_ref().filter(|held| place.is_in(&held.place));
    let opened = match parent {
        Some(parent) => scan.store.directory_in(&parent.store, place.name()),
        None => scan.store.directory(&place.relative),
    };
    let store_directory = match opened {
        Ok(directory) => directory,
        // It was a directory when its parent was listed: something else took its name, or that of one above it.
        Err(error) if !place.relative.is_empty() && is_no_directory(&error) => return 0,
        Err(error) => {
            trouble_with_directory(scan.store, &place.relative, error)
                .into_iter()
                .for_each(|it| visitor.trouble(it));
            return 0;
        }
    };
    let listed = store_directory.list(buffer, |name, kind| {
        let kind = match kind {
            FileKind::Unknown => {
                store_directory.metadata(name, Links::Keep).map_or(kind, |metadata| metadata.kind)
            }
            kind => kind,
        };
        match kind {
            FileKind::Directory => directories.push(append(names, name)),
            kind => files.push((append(names, name), kind)),
        }
    });
    if let Err(error) = listed {
        trouble_with_directory(scan.store, &place.relative, error)
            .into_iter()
            .for_each(|it| visitor.trouble(it));
    }
    files.sort_unstable_by(|(one, _), (other, _)| names[one.clone()].cmp(&names[other.clone()]));

    let mirrors = name::mirrors_sources(&place.relative);
    let parse = |range: &Range<usize>, kind: FileKind| match kind {
        FileKind::Regular if mirrors => Name::parse(&names[range.clone()]),
        _ => Name::Foreign,
    };
    let bytecode =
        files.iter().filter(|(range, kind)| matches!(parse(range, *kind), Name::Bytecode(_))).count();
    let source_parent = parent.and_then(|parent| parent.sources.as_ref());
    let mut report = |trouble| visitor.trouble(trouble);
    let sources = Sources::open(scan, place, source_parent, bytecode, sources, &mut report);
    place.settle(Facts { mirrored: sources.mirrored(), holds_entries: bytecode > 0 });

    let mut look = Look {
        scan,
        place,
        directory: &store_directory,
        sources,
        buffer,
        usual,
        last: None,
        known: Known::default(),
        may_be_reached_by_dots: None,
        visitor,
    };
    let mut entries = Vec::with_capacity(files.len());
    for (range, kind) in files.iter() {
        if scan.stop.load(Ordering::Relaxed) {
            return 0;
        }
        let name = &names[range.clone()];
        if let Some(entry) = look.entry(name, parse(range, *kind)) {
            entries.push(entry);
        }
    }
    let sources = match look.sources.mirrored() {
        Mirrored::Absent(last_change) if files.is_empty() && directories.is_empty() => {
            presence_by_age(&store_directory, last_change)
        }
        mirrored => mirrored.presence(),
    };
    let metadata = match scan.question {
        // What is to be known of a directory that may go.
        Question::Orphans if sources != Presence::Absent => None,
        Question::Orphans | Question::Everything(_) => match store_directory.own_metadata() {
            Ok(metadata) => Some(metadata),
            Err(error) => {
                let trouble = trouble_with_directory(scan.store, &place.relative, error);
                trouble.into_iter().for_each(|it| look.visitor.trouble(it));
                None
            }
        },
    };
    let visit = Visit {
        relative: &place.relative,
        metadata,
        entries: &entries,
        directories: directories.len(),
        sources,
        place,
        store: scan.store,
        owner: OnceCell::new(),
    };
    look.visitor.directory(&visit);
    let sources = match look.sources {
        Sources::LookUp(present) | Sources::Listed(present, _) => Some(present.directory),
        Sources::Settled(_) => None,
    };
    if !directories.is_empty() {
        *held = Some(Held { place: place.clone(), store: store_directory, sources });
    }
    files.len() as u64
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
    let mut names = SourceNames::default();
    let mut place = Arc::new(Place::root());
    let mut troubles = OneTrouble(None);
    for component in parent.split(|&byte| byte == b'/').filter(|component| !component.is_empty()) {
        let directory = match scan.store.directory(&place.relative) {
            Ok(directory) => directory,
            Err(error) => return failed(error),
        };
        let sources =
            Sources::open(scan, &place, None, 0, &mut names, &mut |trouble| troubles.trouble(trouble));
        // A scan would know whether files lie here; it matters for owners of loose directories only.
        let holds_entries = holds_bytecode(&directory);
        place.settle(Facts { mirrored: sources.mirrored(), holds_entries });
        place = Arc::new(Place::below(&place, component));
    }
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
    let parsed = match kind {
        FileKind::Regular if name::mirrors_sources(parent) => Name::parse(name),
        _ => Name::Foreign,
    };
    let sources = Sources::open(scan, &place, None, 1, &mut names, &mut |trouble| troubles.trouble(trouble));
    place.settle(Facts { mirrored: sources.mirrored(), holds_entries: matches!(parsed, Name::Bytecode(_)) });
    let mut look = Look {
        scan,
        place: &place,
        directory: &directory,
        sources,
        buffer: &mut ListBuffer::default(),
        usual: &mut Vec::new(),
        last: None,
        known: Known::default(),
        may_be_reached_by_dots: None,
        visitor: &mut troubles,
    };
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
        owner: OnceCell::new(),
    };
    Ok(Some(answer(&visit, &entries[0])))
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
