//! The bodies of entries: read without disturbing last use, and walked.
//!
//! A scan reads sixteen bytes of an entry; who wants to know more reads the rest here.
//!
//! # Invariants
//!
//! * However many and however large the files are, all threads together hold no more of the longer ones than
//!   `workspace.rs` has buffers: a thread that finds none waits until another is done.
//! * A file is read as far as it has to be, and one with holes no further than what it can be said to hold: it costs who
//!   makes it nothing, and reading it takes as long as reading any other of its length.

mod equality;
mod workspace;

pub(crate) use equality::{Fingerprint, HeaderPart, are_equal, fingerprint, with_corrected, with_pair};

use crate::host::directory::{Directory, LONGEST_PATH, metadata_of};
use crate::pyc::marshal::{Dialect, Fault, Memory, Walked, walk_with};
use crate::pyc::{Magic, header};
use crate::store::Store;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use workspace::Workspace;

/// The most that is read of an entry, in bytes; the largest that CPython's own library makes is a sixth of it.
pub const LARGEST: u64 = workspace::LARGE as u64;

/// As much of a file as was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadPart {
    /// The start of it, and there is more.
    Start,
    /// All that is ever read.
    All,
}

/// Reads the first `length` bytes of a file, or as few of them as are enough for an answer: a short start at first, then
/// longer ones. A thread that keeps a workspace must not ask for another: two that did would wait for each other.
///
/// # Errors
/// What the system says.
pub(crate) fn read_for<T>(
    file: &File,
    length: u64,
    mut answer: impl FnMut(&[u8], ReadPart, &mut Memory) -> Option<T>,
) -> io::Result<Option<T>> {
    let length = usize::try_from(length.min(LARGEST)).unwrap_or(workspace::LARGE);
    for most in [workspace::SMALL, workspace::MEDIUM, workspace::LARGE] {
        let wanted = most.min(length);
        let mut workspace = Workspace::new(wanted);
        let (bytes, memory) = workspace.parts();
        let read = read_start(file, bytes, wanted)?;
        // It was cut short meanwhile, or this is all.
        let part = if read < wanted || wanted == length { ReadPart::All } else { ReadPart::Start };
        let answer = answer(bytes, part, memory);
        if answer.is_some() || part == ReadPart::All {
            return Ok(answer);
        }
    }
    Ok(None)
}

/// Reads up to `wanted` bytes from the start of a file; returns how many were read.
fn read_start(file: &File, bytes: &mut Vec<u8>, wanted: usize) -> io::Result<usize> {
    bytes.resize(wanted, 0);
    let mut filled = 0;
    while filled < wanted {
        match file.read_at(&mut bytes[filled..], filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(filled)
}

/// Reads bodies, best directory by directory: the last directory stays open.
#[derive(Debug)]
pub struct Bodies<'a> {
    store: &'a Store,
    last: Option<(Box<[u8]>, Directory)>,
    workspace: Option<Workspace>,
}

/// What the walk over a body said.
#[derive(Debug)]
pub enum Body {
    /// `marshal.loads` gives a code object, with this in it.
    Loadable(Walked<'static>),
    /// `marshal.loads` raises.
    Faulty(Fault),
    /// The format is not known: its interpreter is newer than this program, or another implementation.
    NotChecked,
}

impl<'a> Bodies<'a> {
    /// A reader of bodies of this store.
    pub fn of(store: &'a Store) -> Bodies<'a> {
        Bodies { store, last: None, workspace: None }
    }

    /// Reads what follows the header of the entry `name` in the directory `relative`; empty if that is nothing. What is
    /// read counts as held until the next is, or the reader is dropped.
    ///
    /// # Errors
    /// What the system says; `FileTooLarge` for what is longer than any entry.
    pub fn read(&mut self, relative: &[u8], name: &[u8]) -> io::Result<&[u8]> {
        let file = self.open(relative, name)?;
        let metadata = metadata_of(&file)?;
        if metadata.readable_bytes().min(LARGEST) < metadata.bytes {
            return Err(ErrorKind::FileTooLarge.into());
        }
        self.workspace = None;
        let length = usize::try_from(metadata.bytes).map_err(|_| ErrorKind::FileTooLarge)?;
        let bytes = self.workspace.insert(Workspace::new(length)).parts().0;
        read_start(&file, bytes, length)?;
        Ok(bytes.get(header::LENGTH..).unwrap_or_default())
    }

    fn open(&mut self, relative: &[u8], name: &[u8]) -> io::Result<File> {
        let directory = match self.last.take() {
            Some((last, directory)) if *last == *relative => directory,
            _ => self.store.directory(relative)?,
        };
        let file = directory.open_entry(name);
        self.last = Some((relative.into(), directory));
        file
    }
}

/// Reads and walks the body of an entry of an open directory, by its name, cache tag and magic.
///
/// # Errors
/// What the system says; `FileTooLarge` for what is longer than any entry.
pub(crate) fn walk(directory: &Directory, name: &[u8], tag: &str, magic: Magic) -> io::Result<Body> {
    let Some(dialect) = Dialect::of(tag, magic) else { return Ok(Body::NotChecked) };
    let file = directory.open_entry(name)?;
    let metadata = metadata_of(&file)?;
    let length = metadata.readable_bytes().min(LARGEST);
    let body = read_for(&file, length, |bytes, part, memory| {
        let body = bytes.get(header::LENGTH..).unwrap_or_default();
        match walk_with(body, dialect, memory) {
            Ok(walked) => Some(Body::Loadable(owned(walked))),
            Err(fault) if fault.is_for_want_of_bytes() && part == ReadPart::Start => None,
            Err(fault) if fault.is_for_want_of_bytes() && length < metadata.bytes => None,
            Err(fault) if !dialect.is_sure_of(&fault, body) => Some(Body::NotChecked),
            Err(fault) => Some(Body::Faulty(fault)),
        }
    })?;
    body.ok_or_else(|| ErrorKind::FileTooLarge.into())
}

/// The same without the body. Of a name that is longer than any path the end is left out.
fn owned(walked: Walked<'_>) -> Walked<'static> {
    let owned = |name: &[u8]| name[..name.len().min(LONGEST_PATH + 1)].to_vec().into();
    Walked { filename: owned(&walked.filename), name: owned(&walked.name), ..walked }
}

#[cfg(test)]
mod tests {
    use super::walk as walk_body;
    use super::*;
    use crate::store::Purpose;
    use std::path::PathBuf;
    use workspace::{LARGE, MEDIUM, SMALL};

    const NAME: &str = "m.cpython-312.pyc";
    const HEADER: &[u8; header::LENGTH] = b"\xcb\x0d\r\n\0\0\0\0\0\0\0\0\0\0\0\0";

    /// A store with entries of this name in these directories.
    fn store(entries: &[(&str, &[u8])]) -> (tempfile::TempDir, PathBuf, Store) {
        let (temporary, root) = crate::temporary::directory();
        for (directory, body) in entries {
            std::fs::create_dir(root.join(directory)).unwrap();
            std::fs::write(root.join(directory).join(NAME), [HEADER, *body].concat()).unwrap();
        }
        let store = Store::open(&root, &[], Purpose::Look).unwrap();
        (temporary, root, store)
    }

    #[test]
    fn a_file_is_read_in_growing_parts_until_they_are_enough() {
        let temporary = tempfile::tempdir().unwrap();
        let contents: Vec<u8> = (0..3 * MEDIUM).map(|at| (at % 251) as u8).collect();
        let whole = contents.len();
        let path = temporary.path().join("file");
        std::fs::write(&path, &contents).unwrap();
        let file = File::open(&path).unwrap();
        let read = |length: usize, enough: usize| {
            let mut parts = Vec::new();
            let answer = read_for(&file, length as u64, |bytes, part, _| {
                assert!(contents.starts_with(bytes));
                parts.push((bytes.len(), part));
                (bytes.len() >= enough).then_some(())
            });
            (answer.unwrap().is_some(), parts)
        };
        let starts = [(SMALL, ReadPart::Start), (MEDIUM, ReadPart::Start)];
        let all = [starts[0], starts[1], (whole, ReadPart::All)];
        assert_eq!(read(whole, 1), (true, starts[..1].to_vec()));
        assert_eq!(read(whole, MEDIUM), (true, starts.to_vec()));
        assert_eq!(read(whole, whole), (true, all.to_vec()));
        assert_eq!(read(whole, whole + 1), (false, all.to_vec()));
        assert_eq!(read(100, 101), (false, vec![(100, ReadPart::All)]));
        assert_eq!(read(SMALL, SMALL + 1), (false, vec![(SMALL, ReadPart::All)]));
        assert_eq!(read(MEDIUM, whole), (false, vec![starts[0], (MEDIUM, ReadPart::All)]));
        // It was longer when somebody asked.
        assert_eq!(read(whole + 1, whole + 1), (false, all.to_vec()));
        assert_eq!(read(2 * LARGE, whole + 1), (false, all.to_vec()));
        File::options().write(true).open(&path).unwrap().set_len(100).unwrap();
        assert_eq!(read(whole, whole), (false, vec![(100, ReadPart::All)]));
    }

    #[test]
    fn each_entry_is_read_from_its_own_directory() {
        let long = vec![7; 2 * MEDIUM];
        let (_temporary, root, store) = store(&[
            ("a", b"one"),
            ("b", b"other"),
            ("c", b""),
            ("d", &long),
            ("few", b"x"),
            ("holes", b"x"),
        ]);
        // On the disk each takes a block.
        for (directory, length) in [("few", MEDIUM), ("holes", 4 * MEDIUM)] {
            let file = File::options().write(true).open(root.join(directory).join(NAME)).unwrap();
            file.set_len(length as u64).unwrap();
        }
        let mut bodies = Bodies::of(&store);
        let mut read = |directory: &str| {
            bodies
                .read(directory.as_bytes(), NAME.as_bytes())
                .map(<[u8]>::to_vec)
                .map_err(|error| error.kind())
        };
        for (directory, expected) in [
            ("a", &b"one"[..]),
            ("a", b"one"),
            ("b", b"other"),
            ("a", b"one"),
            ("c", b""),
            ("d", &long),
            ("d", &long),
        ] {
            assert!(read(directory).unwrap() == expected, "{directory}");
        }
        assert_eq!(read("few").unwrap().len(), MEDIUM - HEADER.len());
        assert_eq!(read("holes"), Err(ErrorKind::FileTooLarge));
        assert_eq!(read("missing"), Err(ErrorKind::NotFound));
        std::fs::remove_file(root.join("a").join(NAME)).unwrap();
        assert_eq!(read("a"), Err(ErrorKind::NotFound));
    }

    #[test]
    fn a_body_that_ends_too_early_is_faulty_unless_not_all_of_it_was_read() {
        // A code object of 3.12 as far as its instructions, of which there are so many bytes.
        let code = |length: usize, there: usize| {
            let numbers = [0; 5 * 4];
            [&b"\xe3"[..], &numbers, b"s", &(length as u32).to_le_bytes(), &vec![0; there]].concat()
        };
        let (_temporary, root, store) = store(&[
            ("short", &code(100, 99)),
            ("long", &code(2 * SMALL, 2 * SMALL - 1)),
            ("holes", &code(4 * MEDIUM, 1)),
            ("nothing", b""),
        ]);
        let holes = File::options().write(true).open(root.join("holes").join(NAME)).unwrap();
        holes.set_len(4 * MEDIUM as u64).unwrap();
        let walk = |directory: &str, number| {
            let directory = store.directory(directory.as_bytes()).unwrap();
            walk_body(&directory, NAME.as_bytes(), "cpython-312", Magic::of(number))
        };
        for directory in ["short", "long", "nothing"] {
            let body = walk(directory, 3531).unwrap();
            assert!(matches!(body, Body::Faulty(_)), "{directory}: {body:?}");
        }
        assert_eq!(walk("holes", 3531).unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert!(matches!(walk("short", 9999).unwrap(), Body::NotChecked));
    }
}
