//! The source that an entry itself records (`co_filename`), where the mirror leads elsewhere.
//!
//! The mirror is text while the kernel follows links. With `bin` a link to `dotfiles/bin`, CPython keeps the entry of
//! `/u/bin/../lib/m.py` at `STORE/u/bin/../lib`, which is `STORE/u/lib`, though the source is in `/u/dotfiles/lib`. So an
//! entry without a source where the mirror points is asked for the path that it was compiled from. That path counts only
//! if it leads to this very entry (`importlib._bootstrap_external.cache_from_source`).

use super::Visitor;
use super::look::{Look, hash_source};
use crate::directory::{Access, Directory, Links, Metadata};
use crate::layout::Slot;
use crate::pyc::{Magic, header, marshal};
use crate::source::{Fate, Gone, Source, SourceFile, Why};
use crate::store::Store;
use crate::units::Moment;
use crate::witness::{Wanted, real_path};
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// The largest entry in bytes that is asked for the path that it records. Each of the threads of a scan may hold one; the
/// largest of CPython's own library is a tenth of it.
const LARGEST: usize = 4 << 20;

impl<V: Visitor> Look<'_, V> {
    /// The source that an entry records and that its own path does not lead to, links resolved, and what became of it.
    ///
    /// Entries are read only where a link in the mirrored directories makes such paths possible, else one of each
    /// directory: a path by which one of them came is that of its neighbours.
    pub(super) fn recorded_source(
        &mut self,
        name: &[u8],
        slot: &Slot<'_>,
        metadata: &Metadata,
    ) -> Option<(PathBuf, Source)> {
        if self.may_be_reached_by_dots.is_none() && self.place.may_be_reached_by_dots(self.scan.store) {
            self.may_be_reached_by_dots = Some(true);
        }
        if self.may_be_reached_by_dots == Some(false) {
            return None;
        }
        let path = path_with_dots(self.directory, name, slot, metadata.bytes);
        self.may_be_reached_by_dots.get_or_insert(path.is_some());
        let path = path.filter(|path| leads_to(self.scan.store, path, &self.place.relative))?;
        let fate = self.fate_of(&path, metadata.modified);
        // By the text of the path nothing can be compared with it.
        let path = path.parent().map(real_path)?.join(path.file_name()?);
        let source = match fate {
            Ok(source) => source,
            Err(error) => Source::Unreachable(self.report_source(path.clone(), error)),
        };
        Some((path, source))
    }

    fn fate_of(&self, path: &Path, written: Moment) -> io::Result<Source> {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => {
                let (directory, name) = parent(path)?;
                let metadata = directory.metadata(name, Links::Follow)?;
                return Ok(Source::Present(SourceFile::from(metadata)));
            }
            Err(error) if !crate::source::is_missing(&error) => return Err(error),
            _ => {}
        }
        let fate = self.scan.ground.fate(path, Wanted::Anything)?;
        // What exists there and is no file is no source: it cannot be told what became of the one that was.
        let fate = if fate == Fate::Exists { Fate::Doubtful(Why::Io) } else { fate };
        Ok(fate.source(Gone::Source, written).unwrap_or(Source::Unreachable(Why::Io)))
    }
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

/// The absolute path with `..` in it that an entry of this length was compiled from, if its name fits the slot.
fn path_with_dots(directory: &Directory, name: &[u8], slot: &Slot<'_>, bytes: u64) -> Option<PathBuf> {
    // Read at once, without looking for its end: there may be one in each of thousands of directories.
    let mut bytes = vec![0; usize::try_from(bytes).ok().filter(|bytes| *bytes <= LARGEST)?];
    directory.open_entry(name).ok()?.read_exact(&mut bytes).ok()?;
    if !bytes.windows(4).any(|window| window == b"/../") {
        return None;
    }
    let (3, minor) = slot.python()? else { return None };
    let filename = marshal::code_filename(bytes.get(header::LENGTH..)?, minor)?;
    let path = Path::new(OsStr::from_bytes(&filename));
    let has_dots = path.components().any(|component| component == Component::ParentDir);
    let fits = path.file_name().is_some_and(|name| slot.holds(name.as_bytes()));
    (path.is_absolute() && has_dots && fits).then(|| path.to_path_buf())
}

/// Whether CPython opens an entry in the store's directory `relative` for the source at `path`: each directory before a
/// `..` has to exist in the store.
fn leads_to(store: &Store, path: &Path, relative: &[u8]) -> bool {
    let mut way: Vec<&[u8]> = Vec::new();
    for component in path.parent().into_iter().flat_map(Path::components) {
        match component {
            Component::ParentDir => {
                if store.directory(&way.join(&b'/')).is_err() {
                    return false;
                }
                way.pop();
            }
            Component::Normal(name) => way.push(name.as_bytes()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    way.join(&b'/') == relative
}
