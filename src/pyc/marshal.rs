//! What a marshalled code object says of itself, without building it: `co_filename`.
//!
//! A slot does not record its source's suffix, the code object does. This reads over the object's fields in
//! their order (`r_object` in `Python/marshal.c`) with every length checked against the bytes that are left.
//!
//! # Invariants
//!
//! * No bytes make it panic. It does not recurse, and keeps one small value a reference and a container.

use std::borrow::Cow;
use std::ops::Range;

/// `MAX_MARSHAL_STACK_DEPTH` of CPython.
const DEEPEST: usize = 2000;

/// The bit of a type code that adds the object to the list of references.
const FLAG_REF: u8 = 0x80;

/// The file name inside the code object `body` (what follows the header) that Python `3.minor` wrote, in the bytes
/// of the file system.
///
/// `None` when the bytes are no such code object.
pub fn code_filename(body: &[u8], minor: u8) -> Option<Cow<'_, [u8]>> {
    let mut reader = Reader { bytes: body, at: 0, minor, references: Vec::new(), open: Vec::new() };
    match reader.read()? {
        Value::Code(filename) => body.get(filename?).map(encode),
        Value::Text(_) | Value::Null | Value::Other => None,
    }
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

/// What is kept of an object.
#[derive(Clone)]
enum Value {
    /// A string or bytes, and where its contents lie.
    Text(Range<usize>),
    /// A code object, and where its file name lies.
    Code(Option<Range<usize>>),
    /// The end of a dictionary.
    Null,
    /// Anything else.
    Other,
}

/// A container whose contents are being read.
struct Open {
    kind: Kind,
    /// Its place among the references.
    reference: Option<usize>,
}

enum Kind {
    /// So many objects are still to come.
    Sequence(usize),
    /// Objects until [`Value::Null`].
    Dictionary,
    /// A code object: how many of its object fields were read, and its file name.
    Code(usize, Option<Range<usize>>),
}

/// The object fields of a code object, between its leading and its last number.
struct CodeFields {
    /// Bytes of numbers before: argcount, posonlyargcount, kwonlyargcount, [nlocals until 3.10,] stacksize, flags.
    numbers: usize,
    /// code, consts, names, then varnames, freevars, cellvars or localsplusnames, localspluskinds; then this.
    filename: usize,
    /// After name, and qualname from 3.11 on, comes `co_firstlineno`.
    first_line: usize,
    /// With lnotab, or linetable and exceptiontable.
    all: usize,
}

const UNTIL_3_10: CodeFields = CodeFields { numbers: 24, filename: 6, first_line: 8, all: 9 };
const FROM_3_11: CodeFields = CodeFields { numbers: 20, filename: 5, first_line: 8, all: 10 };

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    minor: u8,
    references: Vec<Value>,
    open: Vec<Open>,
}

impl Reader<'_> {
    /// The outermost object, with everything in it.
    fn read(&mut self) -> Option<Value> {
        loop {
            let mut value = self.begin()?;
            // A finished object may finish the container around it, and so on outwards.
            while let Some(finished) = value {
                let Some(container) = self.open.pop() else { return Some(finished) };
                value = self.put(container, finished)?;
            }
        }
    }

    /// Reads one object as far as its contents; `Some(None)` when those are to follow.
    fn begin(&mut self) -> Option<Option<Value>> {
        let code = self.byte()?;
        let kind = code & !FLAG_REF;
        // Python counts a container among the references before what it contains.
        let reference = (code & FLAG_REF != 0 && kind != b'r').then(|| {
            self.references.push(Value::Other);
            self.references.len() - 1
        });
        let mut contains = None;
        let value = match kind {
            b'0' => Value::Null,
            b'N' | b'F' | b'T' | b'S' | b'.' => Value::Other,
            b'i' => self.skip(4)?,
            b'I' | b'g' => self.skip(8)?,
            b'y' => self.skip(16)?,
            b'f' => self.skip_short()?,
            b'x' => {
                self.skip_short()?;
                self.skip_short()?
            }
            b'l' => {
                let digits = usize::try_from(self.number()?.unsigned_abs()).ok()?;
                self.skip(digits.checked_mul(2)?)?
            }
            b's' | b't' | b'u' | b'a' | b'A' => {
                let length = self.length()?;
                Value::Text(self.take(length)?)
            }
            b'z' | b'Z' => {
                let length = usize::from(self.byte()?);
                Value::Text(self.take(length)?)
            }
            b'r' => {
                let index = self.length()?;
                self.references.get(index)?.clone()
            }
            b')' => {
                contains = Some(Kind::Sequence(usize::from(self.byte()?)));
                Value::Other
            }
            b'(' | b'[' | b'<' | b'>' => {
                contains = Some(Kind::Sequence(self.length()?));
                Value::Other
            }
            b'{' => {
                contains = Some(Kind::Dictionary);
                Value::Other
            }
            b'}' if self.minor >= 15 => {
                contains = Some(Kind::Dictionary);
                Value::Other
            }
            b':' if self.minor >= 14 => {
                contains = Some(Kind::Sequence(3));
                Value::Other
            }
            b'c' => {
                self.skip(self.fields().numbers)?;
                contains = Some(Kind::Code(0, None));
                Value::Other
            }
            _ => return None,
        };
        match contains {
            Some(Kind::Sequence(0)) | None => {
                if let Some(index) = reference {
                    self.references[index] = value.clone();
                }
                Some(Some(value))
            }
            Some(_) if self.open.len() >= DEEPEST => None,
            Some(kind) => {
                self.open.push(Open { kind, reference });
                Some(None)
            }
        }
    }

    /// Puts a finished object into its container; answers the container if that is finished with it.
    fn put(&mut self, mut container: Open, value: Value) -> Option<Option<Value>> {
        let finished = match (&mut container.kind, value) {
            (Kind::Dictionary, Value::Null) => Some(Value::Other),
            (Kind::Dictionary, _) => None,
            (_, Value::Null) => return None,
            (Kind::Sequence(left), _) => {
                *left -= 1;
                (*left == 0).then_some(Value::Other)
            }
            (Kind::Code(read, filename), value) => {
                let fields = self.fields();
                if let (true, Value::Text(range)) = (*read == fields.filename, &value) {
                    *filename = Some(range.clone());
                }
                *read += 1;
                if *read == fields.first_line {
                    self.skip(4)?;
                }
                (*read == fields.all).then(|| Value::Code(filename.take()))
            }
        };
        match (&finished, container.reference) {
            (None, _) => self.open.push(container),
            (Some(value), Some(index)) => self.references[index] = value.clone(),
            (Some(_), None) => {}
        }
        Some(finished)
    }

    fn fields(&self) -> &'static CodeFields {
        if self.minor >= 11 { &FROM_3_11 } else { &UNTIL_3_10 }
    }

    fn take(&mut self, length: usize) -> Option<Range<usize>> {
        let end = self.at.checked_add(length).filter(|&end| end <= self.bytes.len())?;
        let range = self.at..end;
        self.at = end;
        Some(range)
    }

    fn skip(&mut self, length: usize) -> Option<Value> {
        self.take(length)?;
        Some(Value::Other)
    }

    /// A number as text: one byte of length, then that many.
    fn skip_short(&mut self) -> Option<Value> {
        let length = usize::from(self.byte()?);
        self.skip(length)
    }

    fn byte(&mut self) -> Option<u8> {
        let range = self.take(1)?;
        self.bytes.get(range.start).copied()
    }

    fn number(&mut self) -> Option<i32> {
        let range = self.take(4)?;
        Some(i32::from_le_bytes(*self.bytes.get(range)?.first_chunk()?))
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `marshal.dumps(compile("x = 1", "/a/b.hy", "exec"))` with Python 3.11.
    fn code_3_11() -> Vec<u8> {
        let mut bytes = vec![0xe3];
        bytes.extend([0; 20]); // counts, stack size, flags
        bytes.extend(b"s\x02\0\0\0ab"); // code
        bytes.extend(b"\x29\x02\xe9\x01\0\0\0N"); // consts (1, None)
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
            (8, &include_bytes!("../../tests/data/rich.cpython-38.pyc")[..]),
            (9, include_bytes!("../../tests/data/rich.cpython-39.pyc")),
            (10, include_bytes!("../../tests/data/rich.cpython-310.pyc")),
            (11, include_bytes!("../../tests/data/rich.cpython-311.pyc")),
            (12, include_bytes!("../../tests/data/rich.cpython-312.pyc")),
            (13, include_bytes!("../../tests/data/rich.cpython-313.pyc")),
            (14, include_bytes!("../../tests/data/rich.cpython-314.pyc")),
            (15, include_bytes!("../../tests/data/rich.cpython-315.pyc")),
            (9, include_bytes!("../../tests/data/rich.pypy39.pyc")),
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
