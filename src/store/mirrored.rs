//! The interpreters that a store reveals: those whose standard library it mirrors, and those of the virtualenvs that
//! it mirrors. An interpreter that writes to the store shows up here, wherever it is installed and whatever its directories
//! are called: at each start it imports `encodings`, which is not frozen in any version, and `os` and `site` up to 3.10.

use crate::host::directory::{Directory, FileKind, Links, ListBuffer};
use crate::host::pool::{self, Jobs, Threads};
use crate::pyc::name::{self, Name, Slot};
use crate::source::interpreter::environment::CONFIGURATION;
use crate::source::interpreter::library::{MirroredLibrary, Sign};
use crate::source::interpreter::version::LibraryName;
use crate::source::interpreter::{Interpreters, Places, Reach, UnreadablePlace};
use crate::store::Store;
use crate::units::Moment;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The library that the entry of this slot in the directory `relative` belongs to, whatever its name is.
fn library_of_entry(relative: &[u8], slot: &Slot<'_>) -> Option<MirroredLibrary> {
    let (of_library, sign) = match slot.stem {
        b"os" | b"site" => (relative, Sign::Module),
        b"__init__" | b"aliases" | b"utf_8" => (relative.strip_suffix(b"/encodings")?, Sign::Certain),
        _ => return None,
    };
    Some(MirroredLibrary::with(&name::source_directory(of_library), slot.tag, sign))
}

/// When a store last took anything for the standard library at `directory`: when its mirror was made, or an entry in it or in
/// its `encodings` was written. `None` where the file system does not keep when a directory was made.
///
/// # Errors
/// Where the mirror cannot be read.
pub fn last_mirrored(store: &Store, directory: &Path) -> io::Result<Option<Moment>> {
    let relative = name::mirror_of(directory);
    let mirror = store.directory(relative)?;
    let Some(made) = mirror.made()? else { return Ok(None) };
    let mut last = made.max(last_written(&mirror)?);
    match store.directory(&name::joined(relative, b"encodings")) {
        Ok(encodings) => last = last.max(last_written(&encodings)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(Some(last))
}

/// When the entry in a directory that was written last was written.
fn last_written(directory: &Directory) -> io::Result<Moment> {
    let mut last = Ok(Moment { seconds: i64::MIN, nanoseconds: 0 });
    directory.list(&mut ListBuffer::default(), |name, kind| {
        if kind != FileKind::Directory
            && matches!(Name::parse(name), Name::Bytecode(_))
            && let Ok(so_far) = &mut last
        {
            match directory.metadata(name, Links::Keep) {
                Ok(file) => *so_far = file.written().max(*so_far),
                Err(error) => last = Err(error),
            }
        }
    })?;
    last
}

impl Interpreters {
    /// Looks for them in all of these places, in those that the store's entries reveal, and everywhere else where one may
    /// be ([`Reach::Everywhere`]). `is_gone` returns whether a missing directory was definitely deleted; `progress`
    /// receives how many files of the store were seen so far.
    pub fn find_with(
        places: &Places,
        store: &Store,
        threads: Threads,
        is_gone: impl Fn(&Path) -> bool,
        progress: impl FnMut(u64),
    ) -> Interpreters {
        let mut places = Places { reach: Reach::Everywhere, ..places.clone() };
        let unreadable = add_those_of(store, &mut places, threads, progress);
        let mut interpreters = places.search();
        interpreters.unreadable.extend(unreadable);
        let mut doubtful = places.libraries;
        doubtful.retain(|it| it.is_certain() && !it.directory.is_dir() && !is_gone(&it.directory));
        interpreters.out_of_reach = doubtful;
        interpreters
    }
}

/// What one worker found.
#[derive(Default)]
struct Found {
    buffer: ListBuffer,
    libraries: Vec<MirroredLibrary>,
    /// Where the `pyvenv.cfg` of a virtualenv would be; it need not be there.
    configurations: Vec<PathBuf>,
    unreadable: Vec<UnreadablePlace>,
}

/// Adds to the places what the store reveals. Its directories are listed, and nothing more; `progress` hears how many
/// files were seen so far.
fn add_those_of(
    store: &Store,
    places: &mut Places,
    threads: Threads,
    mut progress: impl FnMut(u64),
) -> Vec<UnreadablePlace> {
    let seen = AtomicU64::new(0);
    let root: Vec<u8> = Vec::new();
    let look = |found: &mut Found, relative: Vec<u8>, jobs: &mut Jobs<Vec<u8>>| {
        seen.fetch_add(
            found.look(store, &relative, |name| jobs.push(name::joined(&relative, name))),
            Ordering::Relaxed,
        );
    };
    let workers =
        pool::run(threads, vec![root], Found::default, look, || progress(seen.load(Ordering::Relaxed)));
    let mut unreadable = Vec::new();
    for found in workers {
        places.libraries.extend(found.libraries);
        places.configurations.extend(found.configurations);
        unreadable.extend(found.unreadable);
    }
    places.libraries.sort();
    places.libraries.dedup();
    places.configurations.sort();
    unreadable.sort_by(|one, other| one.path.cmp(&other.path));
    unreadable
}

impl Found {
    /// Looks at one directory; returns how many files it has.
    fn look(&mut self, store: &Store, relative: &[u8], mut below: impl FnMut(&[u8])) -> u64 {
        let is_library = is_library(relative);
        let mut tags: Vec<String> = Vec::new();
        let mut files = 0;
        let listed = store.directory(relative).and_then(|directory| {
            directory.list(&mut self.buffer, |name, kind| {
                let kind = match kind {
                    FileKind::Unknown => directory.metadata(name, Links::Keep).map_or(kind, |it| it.kind),
                    kind => kind,
                };
                if kind == FileKind::Directory {
                    return below(name);
                }
                files += 1;
                let Name::Bytecode(slot) = Name::parse(name) else { return };
                self.libraries.extend(library_of_entry(relative, &slot));
                if is_library && !tags.iter().any(|tag| tag == slot.tag) {
                    tags.push(slot.tag.to_string());
                }
            })
        });
        match listed {
            Ok(()) => {}
            // Gone meanwhile; or another file system, which is no part of the store.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::CrossesDevices) => {
            }
            Err(source) => self.unreadable.push(UnreadablePlace { path: store.shown(relative, b""), source }),
        }
        if is_library {
            let directory = name::source_directory(relative);
            self.configurations.extend(directory.ancestors().nth(2).map(|root| root.join(CONFIGURATION)));
            self.libraries.extend(tags.iter().filter_map(|tag| MirroredLibrary::new(&directory, tag)));
        }
        files
    }
}

/// `…/lib/python3.12`, a standard library or the packages of a virtualenv.
fn is_library(relative: &[u8]) -> bool {
    let path = Path::new(OsStr::from_bytes(relative));
    let is_below_lib =
        path.parent().is_some_and(|parent| parent.ends_with("lib") || parent.ends_with("lib64"));
    is_below_lib && path.file_name().and_then(OsStr::to_str).and_then(LibraryName::parse).is_some()
}
