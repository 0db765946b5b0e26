//! The source that an entry itself records (`co_filename`), where the mirror leads elsewhere.
//!
//! The mirror is text while the kernel follows links. With `bin` a link to `dotfiles/bin`, CPython keeps the entry of
//! `/u/bin/../lib/m.py` at `STORE/u/bin/../lib`, which is `STORE/u/lib`, though the source is in `/u/dotfiles/lib`. So an
//! entry without a source where the mirror points is asked for the path that it was compiled from. That path counts only
//! if it leads to this very entry (`importlib._bootstrap_external.cache_from_source`).

use super::compiled::hash_source;
use crate::host::directory::{Access, Directory, LONGEST_PATH, Links, is_link_loop, metadata_of};
use crate::pyc::marshal::{self, Filename, Memory};
use crate::pyc::name::Slot;
use crate::pyc::{Header, Magic, header};
use crate::source::witness::Wanted;
use crate::source::{Evidence, Fate, Gone, Source, SourceFile, Why, is_missing};
use crate::store::Store;
use crate::store::body::{self, ReadPart};
use crate::units::Moment;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Why it cannot be told what an entry records.
pub(super) enum Unread {
    /// The entry may not be read.
    Refused,
    /// Another error of the system.
    Failed(io::Error),
    /// A format without a reader here, with a `..` in it.
    UnknownFormat,
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Unread {
        Unread::Failed(error)
    }
}

/// What became of the source at a recorded path, for an entry written at a moment.
pub(super) fn fate_of(evidence: &Evidence, path: &Path, written: Moment) -> io::Result<Source> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {
            let (directory, name) = parent(path)?;
            let metadata = directory.metadata(name, Links::Follow)?;
            return Ok(Source::Present(SourceFile::from(metadata)));
        }
        Err(error) if !is_missing(&error) => return Err(error),
        _ => {}
    }
    let fate = evidence.fate(path, Wanted::Anything)?;
    // What exists there and is no file is no source: it cannot be told what became of the one that was.
    let fate = if fate == Fate::Exists { Fate::Doubtful(Why::Io) } else { fate };
    Ok(fate.source(Gone::Source, written).unwrap_or(Source::Unreachable(Why::Io)))
}

/// Hashes the source at `path` as the interpreter of a tag and magic does.
pub(super) fn hash(path: &Path, tag: &str, magic: Magic) -> io::Result<[u8; 8]> {
    let (directory, name) = parent(path)?;
    hash_source(&directory, name, tag, magic)
}

fn parent(path: &Path) -> io::Result<(Directory, &[u8])> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    Ok((Directory::open(parent, Access::LookUp)?, name.as_bytes()))
}

/// Whether there is a file at a path, or an error hides whether there is.
pub(crate) fn may_be_file(path: &Path) -> bool {
    std::fs::metadata(path).map_or_else(|error| !is_missing(&error), |metadata| metadata.is_file())
}

/// Whether an entry of this length in bytes may record a path with `..` at which a source exists: the last look before an orphan is removed.
///
/// A scan asks one entry of a directory for all of them where no link is beside the sources or above them. A link that is
/// deeper elsewhere (`/a/b/link/../../c`) shows only in the entries themselves.
///
/// # Errors
/// What opening or reading the entry answers.
pub(crate) fn may_record_a_source(
    directory: &Directory,
    name: &[u8],
    slot: &Slot<'_>,
    length: u64,
) -> io::Result<bool> {
    match path_with_dots(directory, name, slot, length) {
        Ok(None) => Ok(false),
        Ok(Some(path)) => Ok(may_be_file(&path)),
        // What cannot be read may record anything.
        Err(Unread::UnknownFormat | Unread::Refused) => Ok(true),
        Err(Unread::Failed(error)) => Err(error),
    }
}

/// The absolute path with `..` in it that an entry of this length in bytes was compiled from, if its name fits the slot.
pub(super) fn path_with_dots(
    directory: &Directory,
    name: &[u8],
    slot: &Slot<'_>,
    length: u64,
) -> Result<Option<PathBuf>, Unread> {
    /// Of shorter ones holes are of no account.
    const SHORT: u64 = 1 << 20;
    let file = directory.open_entry(name)?;
    let length = match length {
        ..=SHORT => length,
        _ => metadata_of(&file)?.readable_bytes(),
    };
    let answer = body::read_for(&file, length, |bytes, part, memory| match part {
        ReadPart::Start => path_in_start(bytes, slot, memory),
        ReadPart::All => Some(path_in(bytes, slot, memory)),
    })?;
    answer.unwrap_or(Ok(None))
}

/// The same by the start of an entry; `None` when what follows decides.
fn path_in_start(
    start: &[u8],
    slot: &Slot<'_>,
    memory: &mut Memory,
) -> Option<Result<Option<PathBuf>, Unread>> {
    let (header, body) = start.split_first_chunk::<{ header::LENGTH }>()?;
    let Some((3, minor)) = slot.python() else { return None };
    match marshal::filename_in(body, minor, memory) {
        Filename::Is(filename) => Some(Ok(fitting(&filename, slot))),
        Filename::NotYet => None,
        Filename::NotThere => is_known(header, slot).then_some(Ok(None)),
    }
}

/// The same by all of an entry that is read.
fn path_in(bytes: &[u8], slot: &Slot<'_>, memory: &mut Memory) -> Result<Option<PathBuf>, Unread> {
    if !bytes.windows(4).any(|window| window == b"/../") {
        return Ok(None);
    }
    let Some((header, body)) = bytes.split_first_chunk::<{ header::LENGTH }>() else { return Ok(None) };
    let filename = match slot.python() {
        Some((3, minor)) => marshal::filename_in(body, minor, memory),
        _ => Filename::NotThere,
    };
    match filename {
        Filename::Is(filename) => Ok(fitting(&filename, slot)),
        _ if is_known(header, slot) => Ok(None),
        // What is broken in a format that is not known cannot be told.
        _ => Err(Unread::UnknownFormat),
    }
}

/// Whether a header is broken, or that of a format with a reader here.
fn is_known(header: &[u8; header::LENGTH], slot: &Slot<'_>) -> bool {
    Header::parse(header).map_or(true, |header| marshal::Dialect::of(slot.tag, header.magic).is_some())
}

/// A recorded file name as a path, if it is absolute with `..` in it and its name fits the slot.
fn fitting(filename: &[u8], slot: &Slot<'_>) -> Option<PathBuf> {
    let path = Path::new(OsStr::from_bytes(filename));
    // Nothing can be opened by a longer path, and following it would take as long as it likes.
    let is_path = path.is_absolute() && filename.len() <= LONGEST_PATH;
    let has_dots = || path.components().any(|component| component == Component::ParentDir);
    let fits = || path.file_name().is_some_and(|name| slot.holds(name.as_bytes()));
    (is_path && has_dots() && fits()).then(|| path.to_path_buf())
}

/// Whether CPython opens an entry in the store's directory `relative` for the source at `path`: each directory before a
/// `..` has to exist in the store.
///
/// # Errors
/// What opening such a directory answers, except that it is missing.
pub(super) fn leads_to(store: &Store, path: &Path, relative: &[u8]) -> io::Result<bool> {
    let mut way: Vec<&[u8]> = Vec::new();
    for component in path.parent().into_iter().flat_map(Path::components) {
        match component {
            Component::ParentDir => {
                match store.directory(&way.join(&b'/')) {
                    Err(error) if is_missing(&error) || is_link_loop(&error) => return Ok(false),
                    // Something is mounted there, which the way out leaves again.
                    Err(error) if error.kind() != io::ErrorKind::CrossesDevices => return Err(error),
                    _ => {}
                }
                way.pop();
            }
            Component::Normal(name) => way.push(name.as_bytes()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Ok(way.join(&b'/') == relative)
}
