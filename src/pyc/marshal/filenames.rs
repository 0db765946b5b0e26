//! Where a body holds `co_filename`, so that two bodies can be compared without it.
//!
//! When CPython loads an entry, it gives the code object and all code objects within the path that the entry was looked up
//! by (`_imp._fix_co_filename` in `SourceLoader.get_code`; `update_code_filenames` in `Python/import.c`). So two bodies that
//! differ in nothing else are the same module, wherever they are loaded. PyPy does the same.
//!
//! The correction reaches only code objects that are constants of a corrected one and that have its old name; and
//! a string that is the name and something else besides is corrected in one of its two places. Of a body with any of these
//! nothing is said here. No compiler makes one.

use super::code::Fields;
use super::container::{ContainerKind, FLAG_REF, Open};
use super::object::{Object, Shape};
use std::hash::{Hash, Hasher};
use std::ops::Range;

/// The place of the constants among the fields of a code object.
const CONSTANTS: usize = 1;

/// The strings of a body that are `co_filename` and nothing else, from the type code to the end, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filenames {
    places: Vec<FilenamePlace>,
    /// Whether the interpreter would not correct all of them.
    is_refused: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct FilenamePlace {
    all: Range<usize>,
    /// Where the contents of the string begin.
    contents: u32,
}

/// An object that the reader has passed: where it stood, and in which containers.
pub(super) struct Passed<'a> {
    pub object: Object,
    pub at: Range<usize>,
    pub containers: &'a [Open],
    pub fields: &'static Fields,
}

impl Filenames {
    /// Whether the interpreter corrects every name of the body, and nothing else depends on them.
    pub(super) fn are_corrected(&self) -> bool {
        !self.is_refused && !self.places.is_empty()
    }

    /// Notes a code object that begins; its own container is the last.
    pub(super) fn begin_code(&mut self, containers: &[Open]) {
        let is_constant = match containers {
            [] | [_] => true,
            [.., outer, tuple, _] => {
                let is_in_constants =
                    matches!(&outer.kind, ContainerKind::Code(draft) if draft.read == CONSTANTS);
                is_in_constants && tuple.object.shape == Shape::Tuple
            }
            _ => false,
        };
        self.is_refused |= !is_constant;
    }

    /// Notes an object that is no container.
    pub(super) fn pass(&mut self, passed: &Passed<'_>, body: &[u8]) {
        let Passed { object, at, containers, fields } = passed;
        let is_filename = matches!(containers.last(), Some(Open { kind: ContainerKind::Code(draft), .. })
            if draft.read == fields.filename);
        if object.shape != Shape::Text {
            // The constructor refuses such a name.
            return;
        }
        let is_reference = body[at.start] & !FLAG_REF == b'r';
        let is_known = || self.places.binary_search_by_key(&object.start, |place| place.contents).is_ok();
        match (is_filename, is_reference) {
            (true, false) => {
                let is_same =
                    self.places.first().is_none_or(|first| contents(first, body) == object.bytes_in(body));
                self.is_refused |= !is_same;
                self.places.push(FilenamePlace { all: at.clone(), contents: object.start });
            }
            (true, true) => self.is_refused |= !is_known(),
            (false, true) => self.is_refused |= is_known(),
            (false, false) => {}
        }
    }

    /// Whether the names are a path without `..` whose last component is that of a source. By a path with `..`, an entry says
    /// that its source is not where the store mirrors it; by the last component, which of `m.py` and `m.pyw` it caches.
    pub fn is_of(&self, source_name: &[u8], body: &[u8]) -> bool {
        let Some(first) = self.places.first() else { return false };
        let components = || contents(first, body).split(|&byte| byte == b'/');
        components().next_back() == Some(source_name) && components().all(|component| component != b"..")
    }

    /// What stands in a body between the names, and the flags of the names.
    fn parts<'a>(&'a self, body: &'a [u8]) -> impl Iterator<Item = (&'a [u8], Option<bool>)> {
        let ends = self.places.iter().map(|place| place.all.end);
        let starts = std::iter::once(0).chain(ends);
        let places = self.places.iter().map(Some).chain([None]);
        starts.zip(places).map(|(start, place)| match place {
            // The flag says whether the string has a place among the references.
            Some(place) => (&body[start..place.all.start], Some(body[place.all.start] & FLAG_REF != 0)),
            None => (&body[start..], None),
        })
    }

    /// Hashes a body without its names.
    pub fn hash(&self, body: &[u8], hasher: &mut impl Hasher) {
        for part in self.parts(body) {
            part.hash(hasher);
        }
    }

    /// Whether two bodies are equal but for their names, byte by byte.
    pub fn are_equal((one, body): (&Filenames, &[u8]), (other, other_body): (&Filenames, &[u8])) -> bool {
        one.parts(body).eq(other.parts(other_body))
    }
}

/// The contents of the string at a place.
fn contents<'a>(place: &FilenamePlace, body: &'a [u8]) -> &'a [u8] {
    &body[place.contents as usize..place.all.end]
}
