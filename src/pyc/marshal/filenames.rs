//! Where a body holds `co_filename`, so that two bodies can be compared without it.
//!
//! When CPython loads an entry, it sets `co_filename` in the code object and in all code objects inside it to the
//! path of the source (`_imp._fix_co_filename` in `SourceLoader.get_code`; `update_code_filenames` in
//! `Python/import.c`). So two bodies that differ only in `co_filename` are the same module, wherever they are
//! loaded. PyPy does the same.
//!
//! The correction reaches only code objects that are constants of a corrected one and that have its old name. A
//! string object that is used both as the name and elsewhere is corrected in only one of the two places. No
//! compiler writes a body with such objects; for these, no names are returned.

use super::code::Fields;
use super::container::{ContainerKind, FLAG_REF, Open};
use super::object::{Object, Shape};
use std::hash::{Hash, Hasher};
use std::ops::Range;

/// The place of the constants among the fields of a code object.
const CONSTANTS: usize = 1;

/// The strings of a body that are only used as `co_filename`, each from its type code to its end, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filenames {
    places: Vec<FilenamePlace>,
    /// Whether the interpreter would leave some of them uncorrected.
    is_refused: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct FilenamePlace {
    all: Range<usize>,
    /// Where the contents of the string begin.
    contents: u32,
}

/// An object that the reader has passed: its position and its containers.
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
                let text = object.bytes_in(body);
                let is_same = self.places.first().is_none_or(|first| contents(first, body) == text);
                // This type code means Latin-1, where equal bytes are another string. Compilers use it only for
                // ASCII.
                let is_latin = matches!(body[at.start] & !FLAG_REF, b'a' | b'A' | b'z' | b'Z');
                self.is_refused |= !is_same || (is_latin && !text.is_ascii());
                self.places.push(FilenamePlace { all: at.clone(), contents: object.start });
            }
            (true, true) => self.is_refused |= !is_known(),
            (false, true) => self.is_refused |= is_known(),
            (false, false) => {}
        }
    }

    /// Whether the names are ASCII, so that any mixture of two of the same length is a name as well.
    pub(crate) fn are_ascii(&self, body: &[u8]) -> bool {
        self.places.first().is_none_or(|first| contents(first, body).is_ascii())
    }

    /// Whether the names are a path without `..` whose last component is the name of the source. A path with `..`
    /// records that the source is not at the path that the store mirrors. The last component tells whether the
    /// entry is of `m.py` or `m.pyw`.
    pub fn is_of(&self, source_name: &[u8], body: &[u8]) -> bool {
        let Some(first) = self.places.first() else { return false };
        let components = || contents(first, body).split(|&byte| byte == b'/');
        components().next_back() == Some(source_name) && components().all(|component| component != b"..")
    }

    /// The parts of a body between the names, and the flags of the names.
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

    /// Whether two bodies are equal byte by byte, except for their names.
    pub fn are_equal((one, body): (&Filenames, &[u8]), (other, other_body): (&Filenames, &[u8])) -> bool {
        one.parts(body).eq(other.parts(other_body))
    }
}

/// The contents of the string at a place.
fn contents<'a>(place: &FilenamePlace, body: &'a [u8]) -> &'a [u8] {
    &body[place.contents as usize..place.all.end]
}

#[cfg(test)]
mod tests {
    use super::super::{Dialect, Memory, filenames, walk};
    use super::*;
    use std::hash::DefaultHasher;

    const DIALECT: Dialect = Dialect::CPython(12);
    const NAME: &[u8] = b"z\x04/m.p";
    const REFERENCE: &[u8] = b"r\0\0\0\0";

    /// A code object with these constants, and with this as its name.
    fn code(constants: &[&[u8]], filename: &[u8]) -> Vec<u8> {
        const EMPTY: &[u8] = b"s\0\0\0\0";
        let mut bytes = [b"c", &[0; 20][..], EMPTY, b")", &[constants.len() as u8]].concat();
        bytes.extend(constants.concat());
        for part in [b")\0)\0", EMPTY, filename, b"z\x01mz\x01m\x01\0\0\0", EMPTY, EMPTY] {
            bytes.extend(part);
        }
        bytes
    }

    fn found(body: &[u8], dialect: Dialect) -> Option<Filenames> {
        filenames(body, dialect, &mut Memory::default()).unwrap()
    }

    #[track_caller]
    fn are_equal(one: &[u8], other: &[u8], dialect: Dialect) -> bool {
        let [names, other_names] = [one, other].map(|body| found(body, dialect).unwrap());
        let hash = |names: &Filenames, body: &[u8]| {
            let mut hasher = DefaultHasher::new();
            names.hash(body, &mut hasher);
            hasher.finish()
        };
        let are_equal = Filenames::are_equal((&names, one), (&other_names, other));
        assert_eq!(are_equal, hash(&names, one) == hash(&other_names, other));
        are_equal
    }

    #[test]
    fn names_of_any_length_and_kind_are_left_out() {
        let long = [b"a\x2c\x01\0\0", &[b'x'; 300][..]].concat();
        let bodies = [NAME, b"Z\x05/n/.p", b"u\x03\0\0\0/\xc3\xa9", &long].map(|name| code(&[b"N"], name));
        for body in &bodies {
            assert!(are_equal(&bodies[0], body, DIALECT));
        }
        let other = code(&[b"T"], NAME);
        assert!(!are_equal(&bodies[0], &other, DIALECT));
        // Bytes after the code object count too, although Python does not read them.
        assert!(!are_equal(&bodies[0], &[&bodies[0][..], b"N"].concat(), DIALECT));
        // A place among the references.
        assert!(!are_equal(&bodies[0], &code(&[b"N"], b"\xfa\x04/m.p"), DIALECT));
    }

    #[test]
    fn a_string_that_is_only_equal_to_the_name_is_compared() {
        let one = code(&[NAME], NAME);
        assert!(are_equal(&one, &code(&[NAME], b"z\x02/n"), DIALECT));
        assert!(!are_equal(&one, &code(&[b"z\x02/n"], b"z\x02/n"), DIALECT));
    }

    #[test]
    fn nothing_is_said_where_the_interpreter_would_not_correct_every_name() {
        let referred = b"\xfa\x04/m.p";
        let inner = code(&[], NAME);
        let by_reference = code(&[], REFERENCE);
        let body = |constant: &[&[u8]]| found(&code(&[&constant.concat()], NAME), DIALECT);
        // Within the constants, and by reference in all but one.
        assert!(body(&[&inner]).is_some());
        let first = code(&[], referred);
        assert!(found(&code(&[&first, &by_reference], REFERENCE), DIALECT).is_some());
        for (case, body) in [
            ("another name within", body(&[&code(&[], b"z\x02/n")])),
            ("in a tuple of the constants", body(&[b")\x01", &inner])),
            ("in a list", body(&[b"[\x01\0\0\0", &inner])),
            ("in a frozenset", body(&[b">\x01\0\0\0", &inner])),
            ("the name is a constant", found(&code(&[referred], REFERENCE), DIALECT)),
            ("a constant is the name", found(&code(&[&first, REFERENCE], NAME), DIALECT)),
            ("deep in a constant", found(&code(&[&first, b")\x01r\0\0\0\0"], NAME), DIALECT)),
            ("Latin-1", found(&code(&[], b"z\x02\xc3\xa9"), DIALECT)),
            (
                "equal bytes of another string",
                found(&code(&[&code(&[], b"z\x02\xc3\xa9")], b"u\x02\0\0\0\xc3\xa9"), DIALECT),
            ),
        ] {
            assert_eq!(body, None, "{case}");
        }
        // Not a code object.
        assert!(filenames(NAME, DIALECT, &mut Memory::default()).is_err());
    }

    #[test]
    fn the_last_component_and_two_dots_tell_of_the_source() {
        let is_of = |name: &[u8], source: &[u8]| {
            let body = code(&[], &[&[b'z', name.len() as u8], name].concat());
            found(&body, DIALECT).unwrap().is_of(source, &body)
        };
        assert!(is_of(b"/a/m.py", b"m.py") && is_of(b"m.py", b"m.py") && is_of(b"/a..b/m.py", b"m.py"));
        assert!(!is_of(b"/a/m.pyw", b"m.py") && !is_of(b"/bin/../a/m.py", b"m.py") && !is_of(b"", b"m.py"));
        assert!(!is_of(b"/a/xm.py", b"m.py") && !Filenames::default().is_of(b"", b""));
    }

    #[test]
    fn real_bodies_of_every_version() {
        let versions = (8..=15).map(|minor| (format!("cpython-3{minor}"), Dialect::CPython(minor)));
        let pypy = [9, 11].map(|minor| (format!("pypy3{minor}"), Dialect::PyPy(minor)));
        for (tag, dialect) in versions.chain(pypy) {
            let path = format!("{}/tests/data/rich.{tag}.pyc", env!("CARGO_MANIFEST_DIR"));
            let body = std::fs::read(path).unwrap().split_off(16);
            let name = walk(&body, dialect).unwrap().filename.into_owned();
            let other = vec![b'y'; name.len()];
            let mut twin = body.clone();
            for at in 0..twin.len() - name.len() {
                if twin[at..].starts_with(&name) {
                    twin[at..at + name.len()].copy_from_slice(&other);
                }
            }
            assert!(twin != body && are_equal(&body, &twin, dialect), "{tag}");
        }
    }
}
