//! What a walk finds: the files of a directory that may be bytecode.

use super::place::SourcePlace;
use super::repository::Tracking;
use super::root::Root;
use crate::host::directory::{Directory, FileKind, Links};
use crate::pyc::name::Name;
use crate::source::listing::Listing;
use crate::store::entry::Entry;

/// One directory, as the walk saw it.
pub struct Seen<'a> {
    /// The root of the walk.
    pub root: &'a Root,
    /// The path from the root, without a leading slash.
    pub relative: &'a [u8],
    /// The directory of sources: this one, or that of this `__pycache__`.
    pub place: &'a SourcePlace,
    /// Whether this is a `__pycache__`.
    pub is_cache: bool,
    /// What may be bytecode, sorted by name; in a `__pycache__` everything that is no directory.
    pub files: &'a [InTreeFile<'a>],
    /// How many other files it has: they stay.
    pub others: usize,
    /// How many directories it has, entered or not.
    pub directories: usize,
}

/// A file that may be bytecode.
#[derive(Debug)]
pub struct InTreeFile<'a> {
    /// All that is known of it. In a directory of sources its name says nothing of a slot.
    pub entry: Entry<'a>,
    /// What kind of file it is.
    pub kind: FileKind,
    /// The way in which it is kept.
    pub form: InTreeForm,
    /// What the store has in its place; `None` where nobody asked.
    pub in_store: Option<InStore<'a>>,
    /// Whether git tracks it: asked of what may be removed.
    pub tracking: Tracking,
}

impl<'a> InTreeFile<'a> {
    /// A file of which only this is known.
    pub(crate) fn new(entry: Entry<'a>, kind: FileKind, form: InTreeForm) -> InTreeFile<'a> {
        InTreeFile { entry, kind, form, in_store: None, tracking: Tracking::Untracked }
    }
}

/// The way in which bytecode is kept in a tree of sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InTreeForm {
    /// In a `__pycache__` (PEP 3147).
    Cached,
    /// There as well, and to be ignored.
    Ignored,
    /// As `NAME.pyc` or `NAME.pyo` beside `NAME.py`: never loaded while that is there.
    Beside(Companion),
    /// What an interrupted write of such a file left.
    BesideTemporary(Companion),
}

/// What became of the source of bytecode that lies beside sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Companion {
    /// It is there.
    Present,
    /// It is not: Python imports the bytecode itself.
    Missing,
}

/// What the store has in the place of a file.
#[derive(Debug)]
pub enum InStore<'a> {
    /// No file, or none that can be read: whatever stands there is not overwritten.
    Nothing,
    /// Another file, with its metadata and all that is known of it.
    Entry(Box<Entry<'a>>),
}

/// Whether a directory has the source of a stem: a regular file, or a link to one, whose listed name is exactly this.
pub(crate) fn has_source(directory: &Directory, names: &Listing, stem: &[u8]) -> bool {
    let source = [stem, b".py"].concat();
    names.kind(&source).is_some()
        && directory.metadata(&source, Links::Follow).is_ok_and(|metadata| metadata.kind == FileKind::Regular)
}

/// The stem of `NAME.pyc` or `NAME.pyo`, and whether it is an interrupted write's `NAME.pyc.<decimal>`.
///
/// A name with a cache tag is none: such files lie in a `__pycache__`, or in some store.
pub(crate) fn legacy_stem(name: &[u8]) -> Option<(&[u8], bool)> {
    if Name::parse(name) != Name::Foreign {
        return None;
    }
    let of =
        |name: &'_ [u8]| name.strip_suffix(b".pyc").or_else(|| name.strip_suffix(b".pyo")).map(<[u8]>::len);
    let (length, is_temporary) = match of(name) {
        Some(length) => (length, false),
        None => {
            let dot = name.iter().rposition(|&byte| byte == b'.')?;
            let is_decimal =
                matches!(&name[dot + 1..], [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit));
            (is_decimal.then(|| of(&name[..dot]))??, true)
        }
    };
    (length > 0).then(|| (&name[..length], is_temporary))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_bytecode_beside_sources() {
        let stem = |name: &'static str| {
            legacy_stem(name.as_bytes())
                .map(|(stem, is_temporary)| (std::str::from_utf8(stem).unwrap(), is_temporary))
        };
        assert_eq!(stem("m.pyc"), Some(("m", false)));
        assert_eq!(stem("m.pyo"), Some(("m", false)));
        assert_eq!(stem("a.b.pyc"), Some(("a.b", false)));
        assert_eq!(stem("m.pyc.140123"), Some(("m", true)));
        for name in [
            ".pyc",
            "m.py",
            "m.pyc.0",
            "m.pyc.x",
            "m.pyc.",
            "m.cpython-312.pyc",
            "m.cpython-312.pyc.7",
            "m.PYC",
        ] {
            assert_eq!(stem(name), None, "{name}");
        }
    }
}
