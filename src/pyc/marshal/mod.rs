//! A marshalled code object, walked without building it: whether Python loads it, and what it says of itself.
//!
//! A header says nothing of the body: behind a good one, a body that a full disk cut short or a power cut filled
//! with zeros makes every import of the module fail, until a person removes the entry. The walk's verdict is that
//! of `marshal.loads` in the interpreter that owns the entry: a code object, or an error. It follows `r_object` in
//! `Python/marshal.c` field by field, by version, with the checks of the code object's constructor.
//!
//! Where CPython crashes instead of raising (a hash of a tuple that holds itself), the answer is an error. Bytes
//! after the end are ignored, as Python ignores them; [`Walked::length`] tells of them.
//!
//! # Invariants
//!
//! * No bytes make it panic. It does not recurse, and keeps twelve bytes a reference and one small value a
//!   container; containers nest 2000 deep at most, and there is at most one reference for four bytes (and some
//!   thousands). So it needs at most three times the bytes' room, and its time is linear in the bytes.

mod code;
mod container;
mod filenames;
mod lines;
mod object;
mod reader;
mod text;

pub use code::CodeFault;
pub use filenames::Filenames;

use super::Magic;
use crate::pyc::name;
use object::Shape;
use reader::Reader;
use std::borrow::Cow;

/// Whose marshal format it is: the implementation, with the minor version of its language (Python 3.x).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// CPython 3.8 – 3.15; later ones are read as 3.15.
    CPython(u8),
    /// PyPy 3.9 – 3.11; later ones are read as 3.11.
    PyPy(u8),
}

impl Fault {
    /// Whether a longer start of the same body may be read further.
    pub fn is_for_want_of_bytes(&self) -> bool {
        matches!(self.wrong, Wrong::End | Wrong::References)
    }
}

impl Dialect {
    /// The dialect of what has this cache tag and magic; `None` where it is not known: no magic but a release's says
    /// which fields a code object has.
    pub fn of(tag: &str, magic: Magic) -> Option<Dialect> {
        match (tag, magic.number()) {
            ("pypy39", 336 | 3425) => Some(Dialect::PyPy(9)),
            ("pypy310", 384) => Some(Dialect::PyPy(10)),
            ("pypy311", 432) => Some(Dialect::PyPy(11)),
            _ if Magic::loaded_by(tag) == Some(magic) => match name::python_of_tag(tag)? {
                (3, minor @ 8..) => Some(Dialect::CPython(minor)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the interpreter is known to raise where the walk does.
    ///
    /// Of PyPy 3.10 only the fields are known (`pypy/interpreter/pycode.py`): a body that fits is sound, of another nothing
    /// can be told. PyPy 3.11 was compared with one release (8.0.1): a type code that this one does not have may be another's,
    /// if it is a letter or sign as all type codes are.
    pub fn is_sure_of(self, fault: &Fault, body: &[u8]) -> bool {
        let last = (fault.at as usize).checked_sub(1).and_then(|at| body.get(at));
        let may_be_code = |byte: &u8| (byte & !container::FLAG_REF).is_ascii_graphic();
        match self {
            _ if fault.wrong == Wrong::References => false,
            Dialect::CPython(_) | Dialect::PyPy(..=9) => true,
            Dialect::PyPy(10) => false,
            Dialect::PyPy(_) => fault.wrong != Wrong::TypeCode || !last.is_some_and(may_be_code),
        }
    }
}

/// Where and why `marshal.loads` raises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{wrong}, at byte {at} of the body")]
pub struct Fault {
    /// How far the body was read, in bytes.
    pub at: u64,
    /// What is wrong there.
    pub wrong: Wrong,
}

/// Why `marshal.loads` raises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// The bytes end inside an object (`EOFError: marshal data too short`).
    #[error("the body ends too early")]
    End,
    /// A type code that this version does not have.
    #[error("an unknown type code")]
    TypeCode,
    /// A reference to nothing, or to what is not finished.
    #[error("a reference to an object that is not there")]
    Reference,
    /// A negative length.
    #[error("an invalid length")]
    Length,
    /// A string that is not UTF-8.
    #[error("a string that is not UTF-8")]
    Text,
    /// The digits of an integer.
    #[error("an integer with invalid digits")]
    Digits,
    /// The text of a float.
    #[error("an invalid float")]
    Float,
    /// NULL where an object has to be.
    #[error("an object is missing")]
    Null,
    /// An element of a set, or a key, that has no hash.
    #[error("an unhashable element or key")]
    Unhashable,
    /// Deeper than 2000 objects.
    #[error("objects nested too deeply")]
    Depth,
    /// A code object that its constructor refuses.
    #[error("an invalid code object")]
    Code(CodeFault),
    /// Something, but no code object.
    #[error("not a code object")]
    NotCode,
    /// 4 GiB or more.
    #[error("a body of 4 GiB or more")]
    Size,
    /// More references than the walk remembers; Python may load it all the same.
    #[error("too many references")]
    References,
}

/// What a whole code object says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walked<'a> {
    /// `co_filename`, in the bytes of the file system.
    pub filename: Cow<'a, [u8]>,
    /// `co_name`, in the same.
    pub name: Cow<'a, [u8]>,
    /// `co_firstlineno`.
    pub first_line: i32,
    /// How many code objects there are: this one and those within.
    pub codes: u32,
    /// How many bytes it takes; those after it are ignored by Python.
    pub length: usize,
}

/// Walks the code object `body`: what follows an entry's header.
///
/// # Errors
/// The [`Fault`] for which the interpreter of that dialect raises.
pub fn walk(body: &[u8], dialect: Dialect) -> Result<Walked<'_>, Fault> {
    walk_with(body, dialect, &mut Memory::default())
}

/// Memory for what a walk remembers, to be used again.
#[derive(Debug, Default)]
pub struct Memory(Vec<object::Object>);

impl Memory {
    /// Memory that does not grow in a walk over a body of at most so many bytes.
    pub fn for_length(bytes: usize) -> Memory {
        Memory(Vec::with_capacity(reader::most_references(bytes)))
    }
}

/// The same as [`walk`], in this memory.
///
/// # Errors
/// Those of [`walk`].
pub fn walk_with<'a>(body: &'a [u8], dialect: Dialect, memory: &mut Memory) -> Result<Walked<'a>, Fault> {
    if u32::try_from(body.len()).is_err() {
        return Err(Fault { at: 0, wrong: Wrong::Size });
    }
    memory.0.clear();
    let mut reader = Reader::with_references(body, dialect, std::mem::take(&mut memory.0));
    let walked = walked(body, dialect, &mut reader);
    memory.0 = reader.into_references();
    walked
}

fn walked<'a>(body: &'a [u8], dialect: Dialect, reader: &mut Reader<'a>) -> Result<Walked<'a>, Fault> {
    let object = reader.read()?;
    let length = reader.at();
    let not_code = |wrong| Fault { at: length as u64, wrong };
    match (object.shape, reader.last.take()) {
        (Shape::Null, _) => Err(not_code(Wrong::Null)),
        (Shape::Code, Some(draft)) => {
            let filename = code::Fields::of(dialect).filename;
            let text = |field: usize| encode(draft.fields[field].bytes_in(body));
            Ok(Walked {
                filename: text(filename),
                name: text(filename + 1),
                first_line: draft.first_line,
                codes: reader.codes,
                length,
            })
        }
        _ => Err(not_code(Wrong::NotCode)),
    }
}

/// Walks `body` as [`walk_with`] does, and finds the positions of its file names; `None` if the interpreter would
/// not correct all of them when it loads the body for another path.
///
/// # Errors
/// Those of [`walk`].
pub fn filenames(body: &[u8], dialect: Dialect, memory: &mut Memory) -> Result<Option<Filenames>, Fault> {
    if u32::try_from(body.len()).is_err() {
        return Err(Fault { at: 0, wrong: Wrong::Size });
    }
    memory.0.clear();
    let mut reader = Reader::of_filenames(body, dialect, std::mem::take(&mut memory.0));
    let walked = walked(body, dialect, &mut reader).map(drop);
    let filenames = reader.filenames.take().filter(|_| walked.is_ok());
    memory.0 = reader.into_references();
    walked.map(|()| filenames.filter(Filenames::are_corrected))
}

/// The greatest line that the line table of any code object in `body` names: where the code ends. No part of [`walk`],
/// for it takes half as long again. Zero where there is no code object.
///
/// # Errors
/// The [`Fault`] at which the reading ends.
pub fn last_line(body: &[u8], dialect: Dialect) -> Result<i32, Fault> {
    let mut reader = Reader::of_lines(body, dialect);
    reader.read()?;
    Ok(reader.last_line)
}

/// The file name inside the code object `body` (what follows the header) that a Python `3.minor` wrote, CPython or
/// PyPy, in the bytes of the file system.
///
/// `None` when the bytes are no such code object.
pub fn code_filename(body: &[u8], minor: u8) -> Option<Cow<'_, [u8]>> {
    match filename_in(body, minor, &mut Memory::default()) {
        Filename::Is(filename) => Some(filename),
        Filename::NotThere | Filename::NotYet => None,
    }
}

/// What the start of a body tells of the file name in its code object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filename<'a> {
    /// The code object ends in this start: its file name, in the bytes of the file system.
    Is(Cow<'a, [u8]>),
    /// No code object begins so.
    NotThere,
    /// What follows decides.
    NotYet,
}

/// The same as [`code_filename`] of a body of which `start` is the beginning, in this memory.
pub fn filename_in<'a>(start: &'a [u8], minor: u8, memory: &mut Memory) -> Filename<'a> {
    let mut filename = Filename::NotThere;
    for dialect in [Dialect::CPython(minor), Dialect::PyPy(minor)] {
        match walk_with(start, dialect, memory) {
            Ok(walked) => return Filename::Is(walked.filename),
            Err(fault) if fault.is_for_want_of_bytes() => filename = Filename::NotYet,
            Err(_) => {}
        }
    }
    filename
}

/// `os.fsencode` of a marshalled string under UTF-8: a byte that is none, such as 0xFF, became a lone surrogate
/// (PEP 383, `surrogateescape`: U+DCFF), which marshal writes as three bytes (`surrogatepass`: ED B3 BF).
fn encode(text: &[u8]) -> Cow<'_, [u8]> {
    let escaped = |bytes: &[u8]| match bytes {
        [0xed, high @ 0xb2..=0xb3, low @ 0x80..=0xbf, ..] => Some((high & 0b11) << 6 | low & 0b11_1111),
        _ => None,
    };
    if !text.contains(&0xed) {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        let byte = escaped(rest);
        bytes.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &rest[3..] } else { tail };
    }
    Cow::Owned(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `marshal.dumps(compile("x = 1", "/a/b.hy", "exec"))` with Python 3.11.
    fn code_3_11() -> Vec<u8> {
        code_with(b"\x29\x02\xe9\x01\0\0\0N") // consts (1, None)
    }

    /// The same with other constants. 3.14 and 3.15 have the same fields.
    fn code_with(consts: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0xe3];
        bytes.extend([0; 20]); // counts, stack size, flags
        bytes.extend(b"s\x02\0\0\0ab"); // code
        bytes.extend(consts);
        bytes.extend(b"\x29\x01\xda\x01x"); // names
        bytes.extend(b"\x29\0s\0\0\0\0"); // localsplusnames, kinds
        bytes.extend(b"\xfa\x07/a/b.hy\xda\x08<module>r\x03\0\0\0"); // filename, name, qualname
        bytes.extend([1, 0, 0, 0]);
        bytes.extend(b"s\0\0\0\0s\0\0\0\0");
        bytes
    }

    #[test]
    fn the_file_name_is_found() {
        assert_eq!(code_filename(&code_3_11(), 11), Some(b"/a/b.hy"[..].into()));
        assert_eq!(code_filename(&code_3_11(), 8), None);
        assert_eq!(code_filename(b"N", 11), None);
    }

    #[test]
    fn the_file_name_is_found_in_what_every_version_wrote() {
        for (minor, entry) in [
            (8, &include_bytes!("../../../tests/data/rich.cpython-38.pyc")[..]),
            (9, include_bytes!("../../../tests/data/rich.cpython-39.pyc")),
            (10, include_bytes!("../../../tests/data/rich.cpython-310.pyc")),
            (11, include_bytes!("../../../tests/data/rich.cpython-311.pyc")),
            (12, include_bytes!("../../../tests/data/rich.cpython-312.pyc")),
            (13, include_bytes!("../../../tests/data/rich.cpython-313.pyc")),
            (14, include_bytes!("../../../tests/data/rich.cpython-314.pyc")),
            (15, include_bytes!("../../../tests/data/rich.cpython-315.pyc")),
            (9, include_bytes!("../../../tests/data/rich.pypy39.pyc")),
            (11, include_bytes!("../../../tests/data/rich.pypy311.pyc")),
        ] {
            let body = &entry[crate::pyc::header::LENGTH..];
            assert_eq!(code_filename(body, minor).unwrap()[..], b"/tmp/rich.py"[..], "3.{minor}");
            for length in 0..body.len() {
                assert_eq!(code_filename(&body[..length], minor), None, "3.{minor}, cut at {length}");
            }
        }
    }

    #[test]
    fn a_name_that_is_not_utf_8_comes_back_as_its_bytes() {
        assert_eq!(encode(b"/a/\xed\xb3\xbf\xed\xb2\x80.py")[..], b"/a/\xff\x80.py"[..]);
        // U+D000 and U+DBFF are not from surrogateescape.
        assert_eq!(encode(b"\xed\x80\x80\xed\xaf\xbf\xed\xb3")[..], b"\xed\x80\x80\xed\xaf\xbf\xed\xb3"[..]);
    }

    #[test]
    fn slices_and_frozendicts_are_known_to_those_who_write_them() {
        let is_loadable = |consts: &[u8], minor| walk(&code_with(consts), Dialect::CPython(minor)).is_ok();
        let loads = |consts: &[u8]| [13, 14, 15].map(|minor| is_loadable(consts, minor));
        assert_eq!(loads(b")\x01:NNN"), [false, true, true]);
        assert_eq!(loads(b")\x01}0"), [false, false, true]);
        // As elements of a set: with a list in them they have no hash.
        assert_eq!(loads(b")\x01<\x01\0\0\0:N[\0\0\0\0N"), [false, false, false]);
        assert_eq!(loads(b")\x01<\x01\0\0\0}NN0"), [false, false, true]);
        assert_eq!(loads(b")\x01<\x01\0\0\0}N[\0\0\0\x000"), [false, false, false]);
        // Constants are searched in tuples, not in slices: a tuple may hold itself there only.
        assert_eq!(loads(b"\xa9\x01r\x01\0\0\0"), [false, false, false]);
        assert_eq!(loads(b"\xa9\x01:NNr\x01\0\0\0"), [false, true, true]);
    }

    #[test]
    fn only_a_magic_whose_format_is_known_has_a_dialect() {
        let of = |tag, number| Dialect::of(tag, Magic::of(number));
        for (tag, number, dialect) in [
            ("cpython-38", 3413, Dialect::CPython(8)),
            ("cpython-315", 3666, Dialect::CPython(15)),
            ("pypy39", 336, Dialect::PyPy(9)),
            ("pypy39", 3425, Dialect::PyPy(9)),
            ("pypy310", 384, Dialect::PyPy(10)),
            ("pypy311", 432, Dialect::PyPy(11)),
        ] {
            assert_eq!(of(tag, number), Some(dialect), "{tag} {number}");
        }
        for (tag, number) in [
            ("cpython-37", 3394),
            ("cpython-315", 3665),
            ("cpython-316", 3740),
            ("cpython-312", 3571),
            ("pypy310", 336),
            ("pypy311", 400),
            ("pypy311", 416),
            ("pypy311", 448),
            ("graalpy240-311", 21_150),
            ("rustpython-0_4", 12_897),
        ] {
            assert_eq!(of(tag, number), None, "{tag} {number}");
        }
        let sure = |body: &[u8]| {
            let fault = |dialect| walk(body, dialect).unwrap_err();
            [9, 10, 11].map(Dialect::PyPy).map(|dialect| dialect.is_sure_of(&fault(dialect), body))
        };
        assert_eq!(sure(b""), [true, false, true]);
        assert_eq!(sure(&[0; 40]), [true, false, true], "zeros are of no format");
        assert_eq!(sure(b"\xf7\x01\x02"), [true, false, false]);
        assert_eq!(sure(b")\x02NwN"), [true, false, false]);
    }

    #[test]
    fn what_a_whole_body_says() {
        let walked = walk(
            include_bytes!("../../../tests/data/rich.cpython-315.pyc").get(16..).unwrap_or_default(),
            Dialect::CPython(15),
        );
        let walked = walked.unwrap();
        assert_eq!((&walked.filename[..], &walked.name[..]), (&b"/tmp/rich.py"[..], &b"<module>"[..]));
        // module, f, its two lambdas and its `__annotate__`, K, m, co.
        assert_eq!((walked.first_line, walked.codes), (1, 8));
        let mut longer = code_3_11();
        let length = longer.len();
        longer.extend(b"more");
        assert_eq!(walk(&longer, Dialect::CPython(11)).map(|walked| walked.length), Ok(length));
        assert_eq!(walk(b"N", Dialect::CPython(11)), Err(Fault { at: 1, wrong: Wrong::NotCode }));
    }

    #[test]
    fn pypy_takes_the_characters_of_a_text_for_names() {
        let with_names = |names: &[u8]| {
            let mut bytes = vec![b'c'];
            // One argument and one with a star, for which there have to be two names.
            [1, 0, 0, 2, 4, 4].iter().for_each(|number: &i32| bytes.extend(number.to_le_bytes()));
            bytes.extend(b"s\x02\0\0\0\0\x01)\0)\0"); // code, consts, names
            bytes.extend(names);
            bytes.extend(b")\0)\0u\x01\0\0\0fu\x01\0\0\0n"); // freevars, cellvars, filename, name
            bytes.extend([1, 0, 0, 0]);
            bytes.extend(b"s\0\0\0\0");
            walk(&bytes, Dialect::PyPy(9)).map(|walked| walked.codes).map_err(|fault| fault.wrong)
        };
        assert_eq!(with_names(b"u\x02\0\0\0xy"), Ok(1));
        assert_eq!(with_names("u\x04\0\0\0éé".as_bytes()), Ok(1));
        let short = Err(Wrong::Code(CodeFault::Variables));
        assert_eq!(with_names("u\x02\0\0\0é".as_bytes()), short);
    }

    #[test]
    fn deep_nesting_ends() {
        assert_eq!(code_filename(&b")\x01".repeat(1_000_000), 12), None);
        assert_eq!(code_filename(b"(\xff\xff\xff\x7f", 12), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(
            damage in proptest::collection::vec((0_usize..200, any::<u8>()), 0..6),
            cut in 0_usize..200,
        ) {
            let mut bytes = code_3_11();
            for (at, byte) in damage {
                let length = bytes.len();
                bytes[at % length] = byte;
            }
            bytes.truncate(cut);
            let _ = code_filename(&bytes, 11);
            let _ = code_filename(&bytes, 9);
        }
    }
}
