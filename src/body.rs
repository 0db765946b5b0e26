//! The bodies of entries: read whole, without disturbing last use, and walked.
//!
//! A scan reads sixteen bytes of an entry; who wants to know more reads the rest here.

use crate::directory::{Directory, LONGEST_PATH};
use crate::pyc::marshal::{Dialect, Fault, Walked, walk};
use crate::pyc::{Magic, header};
use crate::store::Store;
use std::fs::File;
use std::io::{self, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The largest entry that is read, in bytes; the largest that CPython's own library makes is a hundredth of it.
pub const LARGEST: u64 = 256 << 20;

/// Larger entries are read one after another, in bytes: a file with holes costs who makes it nothing, and there may be one
/// for each thread.
const LARGE: u64 = 4 << 20;

static LARGE_ENTRIES: Mutex<()> = Mutex::new(());

/// The turn of a large entry to be held in memory; none for another. It ends when the bytes are no longer held.
///
/// # Errors
/// What `fstat` answers.
pub(crate) fn turn_of(file: &File) -> io::Result<Option<MutexGuard<'static, ()>>> {
    Ok(turn_for(file.metadata()?.len()))
}

/// The same for an entry of this length in bytes.
pub(crate) fn turn_for(length: u64) -> Option<MutexGuard<'static, ()>> {
    (length > LARGE).then(|| LARGE_ENTRIES.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Reads bodies, best directory by directory: the last directory stays open.
#[derive(Debug)]
pub struct Bodies<'a> {
    store: &'a Store,
    last: Option<(Box<[u8]>, Directory)>,
    bytes: Vec<u8>,
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
        Bodies { store, last: None, bytes: Vec::new() }
    }

    /// Reads what follows the header of the entry `name` in the directory `relative`; empty if that is nothing.
    ///
    /// # Errors
    /// What the system says; `FileTooLarge` above [`LARGEST`].
    pub fn read(&mut self, relative: &[u8], name: &[u8]) -> io::Result<&[u8]> {
        let file = self.open(relative, name)?;
        self.fill(file)
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

    fn fill(&mut self, file: File) -> io::Result<&[u8]> {
        self.bytes.clear();
        file.take(LARGEST + 1).read_to_end(&mut self.bytes)?;
        if self.bytes.len() as u64 > LARGEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(self.bytes.get(header::LENGTH..).unwrap_or_default())
    }

    /// Reads and walks the body of an entry with this cache tag and magic.
    ///
    /// # Errors
    /// Those of [`Bodies::read`].
    pub fn walk(&mut self, relative: &[u8], name: &[u8], tag: &str, magic: Magic) -> io::Result<Body> {
        let Some(dialect) = Dialect::of(tag, magic) else { return Ok(Body::NotChecked) };
        let file = self.open(relative, name)?;
        let turn = turn_of(&file)?;
        let body = self.fill(file).map(|body| match walk(body, dialect) {
            Ok(walked) => Body::Loadable(owned(walked)),
            Err(fault) if !dialect.is_sure_of(&fault, body) => Body::NotChecked,
            Err(fault) => Body::Faulty(fault),
        });
        if turn.is_some() {
            self.bytes = Vec::new();
        }
        body
    }
}

/// The same without the body. Of a name that is longer than any path the end is left out.
fn owned(walked: Walked<'_>) -> Walked<'static> {
    let owned = |name: &[u8]| name[..name.len().min(LONGEST_PATH + 1)].to_vec().into();
    Walked { filename: owned(&walked.filename), name: owned(&walked.name), ..walked }
}
