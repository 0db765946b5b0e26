//! The bodies of entries: read whole, without disturbing last use, and walked.
//!
//! A scan reads sixteen bytes of an entry; who wants to know more reads the rest here.

use crate::directory::Directory;
use crate::pyc::marshal::{Dialect, Fault, Walked, walk};
use crate::pyc::{Magic, header};
use crate::store::Store;
use std::io::{self, Read};

/// The largest entry that is read, in bytes; the largest that CPython's own library makes is a hundredth of it.
pub const LARGEST: u64 = 256 << 20;

/// Reads bodies, best directory by directory: the last directory stays open.
#[derive(Debug)]
pub struct Bodies<'a> {
    store: &'a Store,
    last: Option<(Box<[u8]>, Directory)>,
    bytes: Vec<u8>,
}

/// What the walk over a body said.
#[derive(Debug)]
pub enum Body<'b> {
    /// `marshal.loads` gives a code object, with this in it.
    Loadable(Walked<'b>),
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
        let directory = match self.last.take() {
            Some((last, directory)) if *last == *relative => directory,
            _ => self.store.directory(relative)?,
        };
        let file = directory.open_entry(name);
        self.last = Some((relative.into(), directory));
        self.bytes.clear();
        file?.take(LARGEST + 1).read_to_end(&mut self.bytes)?;
        if self.bytes.len() as u64 > LARGEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(self.bytes.get(header::LENGTH..).unwrap_or_default())
    }

    /// Reads and walks the body of an entry with this cache tag and magic.
    ///
    /// # Errors
    /// Those of [`Bodies::read`].
    pub fn walk(&mut self, relative: &[u8], name: &[u8], tag: &str, magic: Magic) -> io::Result<Body<'_>> {
        let Some(dialect) = Dialect::of(tag, magic) else { return Ok(Body::NotChecked) };
        let body = self.read(relative, name)?;
        Ok(match walk(body, dialect) {
            Ok(walked) => Body::Loadable(walked),
            Err(fault) if !dialect.is_sure_of(&fault, body) => Body::NotChecked,
            Err(fault) => Body::Faulty(fault),
        })
    }
}
