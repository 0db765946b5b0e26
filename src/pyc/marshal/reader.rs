//! The walk itself: `r_object` of `Python/marshal.c` with a stack of its own instead of recursion.

use super::code::{Draft, Fields, MOST_FIELDS};
use super::container::{ContainerKind, FLAG_REF, Open};
use super::filenames::{Filenames, Passed};
use super::object::{Object, Shape};
use super::{Dialect, Fault, Wrong, lines, text};

/// `MAX_MARSHAL_STACK_DEPTH` of CPython, on every system but Windows and some telephones.
const DEEPEST: usize = 2000;

/// A compiler's bodies have far fewer references than one for so many bytes. Each is remembered in twelve bytes, so that
/// other bodies could take thirteen times their length.
const BYTES_A_REFERENCE: usize = 4;

/// So many references are allowed in a body of any length.
const FREE_REFERENCES: usize = 4096;

/// How many references there may be in a body of so many bytes.
pub(super) fn most_references(bytes: usize) -> usize {
    bytes / BYTES_A_REFERENCE + FREE_REFERENCES
}

/// Whether the objects in a container go on.
enum ContainerStep {
    Finished(Object),
    Opened,
}

pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    dialect: Dialect,
    references: Vec<Object>,
    /// How many references there may be.
    most_references: usize,
    open: Vec<Open>,
    /// The code object that was finished last: in the end the outermost.
    pub last: Option<Box<Draft>>,
    /// How many code objects were finished.
    pub codes: u32,
    /// The greatest line that any of them names, as far as line tables are read.
    pub last_line: i32,
    /// How many bytes of line tables may still be read: none, unless somebody wants to know.
    tables_left: usize,
    /// The positions of the file names, if they are wanted.
    pub filenames: Option<Filenames>,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8], dialect: Dialect) -> Reader<'a> {
        Reader::with_references(bytes, dialect, Vec::new())
    }

    /// The same with an empty list that references are added to.
    pub fn with_references(bytes: &'a [u8], dialect: Dialect, references: Vec<Object>) -> Reader<'a> {
        Reader {
            bytes,
            at: 0,
            dialect,
            references,
            most_references: most_references(bytes.len()),
            open: Vec::new(),
            last: None,
            codes: 0,
            last_line: 0,
            tables_left: 0,
            filenames: None,
        }
    }

    /// The same that also reads line tables.
    pub fn of_lines(bytes: &'a [u8], dialect: Dialect) -> Reader<'a> {
        Reader { tables_left: 2 * bytes.len(), ..Reader::new(bytes, dialect) }
    }

    /// The same as [`Reader::with_references`] that also finds the file names.
    pub fn of_filenames(bytes: &'a [u8], dialect: Dialect, references: Vec<Object>) -> Reader<'a> {
        let filenames = Some(Filenames::default());
        Reader { filenames, ..Reader::with_references(bytes, dialect, references) }
    }

    /// The list of references, to be used again.
    pub fn into_references(self) -> Vec<Object> {
        self.references
    }

    /// How many bytes were read.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The outermost object, with everything in it.
    pub fn read(&mut self) -> Result<Object, Fault> {
        self.read_all().map_err(|wrong| Fault { at: self.at as u64, wrong })
    }

    fn read_all(&mut self) -> Result<Object, Wrong> {
        loop {
            let start = self.at;
            let mut step = self.begin()?;
            if let Some(filenames) = &mut self.filenames {
                match (&step, self.open.last()) {
                    (ContainerStep::Finished(object), _) => {
                        let (at, fields) = (start..self.at, Fields::of(self.dialect));
                        let passed = Passed { object: *object, at, containers: &self.open, fields };
                        filenames.pass(&passed, self.bytes);
                    }
                    (ContainerStep::Opened, Some(Open { kind: ContainerKind::Code(_), .. })) => {
                        filenames.begin_code(&self.open);
                    }
                    (ContainerStep::Opened, _) => {}
                }
            }
            // A finished object may finish the container around it, and so on outwards.
            while let ContainerStep::Finished(finished) = step {
                let Some(container) = self.open.pop() else { return Ok(finished) };
                step = self.put(container, finished)?;
            }
        }
    }

    /// Reads one object, a container only as far as its contents.
    fn begin(&mut self) -> Result<ContainerStep, Wrong> {
        let code = self.byte()?;
        if self.open.len() >= DEEPEST {
            return Err(Wrong::Depth);
        }
        let is_referenced = code & FLAG_REF != 0;
        let object = match code & !FLAG_REF {
            b'0' => Object::NULL,
            b'N' | b'F' | b'T' | b'S' | b'.' => {
                // These are never referred to; CPython does not count them, flag or no flag.
                if is_referenced && self.is_pypy() {
                    self.refer(Object::ATOM)?;
                }
                return Ok(ContainerStep::Finished(Object::ATOM));
            }
            b'i' => self.skip(4)?,
            b'I' | b'g' => self.skip(8)?,
            b'y' => self.skip(16)?,
            b'f' => self.float()?,
            b'x' => {
                self.float()?;
                self.float()?
            }
            b'l' => {
                let digits = self.number()?.unsigned_abs() as usize;
                let digits = self.take(digits.checked_mul(2).ok_or(Wrong::End)?)?;
                let are_digits = if self.is_pypy() { text::are_pypy_digits } else { text::are_digits };
                if are_digits(digits) { Object::ATOM } else { return Err(Wrong::Digits) }
            }
            b's' => {
                let length = self.length()?;
                self.contents(Shape::Bytes, length)?
            }
            b't' | b'u' => {
                let length = self.length()?;
                self.utf_8(length)?
            }
            b'a' | b'A' => {
                let length = self.length()?;
                self.ascii(length)?
            }
            b'z' | b'Z' => {
                let length = usize::from(self.byte()?);
                self.ascii(length)?
            }
            b'r' => return self.reference(is_referenced),
            kind => return self.open(kind, is_referenced),
        };
        if is_referenced && object.shape != Shape::Null {
            self.refer(object)?;
        } else if is_referenced && self.is_pypy() {
            self.refer(Object::RESERVED)?;
        }
        Ok(ContainerStep::Finished(object))
    }

    /// Reads a reference to an object that was read before.
    fn reference(&mut self, is_referenced: bool) -> Result<ContainerStep, Wrong> {
        let index = usize::try_from(self.number()?).map_err(|_| Wrong::Reference)?;
        let object = self.references.get(index).filter(|object| object.shape != Shape::Reserved);
        let object = *object.ok_or(Wrong::Reference)?;
        if is_referenced && self.is_pypy() {
            self.refer(object)?;
        }
        Ok(ContainerStep::Finished(object))
    }

    /// Reads the start of a container.
    fn open(&mut self, kind: u8, is_referenced: bool) -> Result<ContainerStep, Wrong> {
        // What a reference finds while the container is read.
        let mut meanwhile = Object::UNFINISHED;
        let (kind, object) = match kind {
            b')' | b'(' => {
                let length = if kind == b')' { u32::from(self.byte()?) } else { self.length()? as u32 };
                meanwhile = Object::UNFINISHED_TUPLE;
                (ContainerKind::Sequence(length), Object::container(Shape::Tuple, length))
            }
            b'[' => (ContainerKind::Sequence(self.length()? as u32), Object::COLLECTION),
            b'<' => (ContainerKind::Set(self.length()? as u32), Object::COLLECTION),
            b'>' => {
                meanwhile = Object::RESERVED;
                (ContainerKind::Set(self.length()? as u32), Object::of(Shape::Collection))
            }
            b'{' => (ContainerKind::Dictionary(None), Object::COLLECTION),
            b'}' if matches!(self.dialect, Dialect::CPython(15..)) => {
                meanwhile = Object::RESERVED;
                (ContainerKind::Dictionary(None), Object::ATOM)
            }
            b':' if matches!(self.dialect, Dialect::CPython(14..)) => {
                meanwhile = Object::RESERVED;
                (ContainerKind::Slice(3), Object::ATOM)
            }
            b'c' => {
                // PyPy makes the object first and fills it then; to hash it before is the end of PyPy.
                meanwhile = if self.is_pypy() { Object::UNFINISHED_CODE } else { Object::RESERVED };
                let mut numbers = [0; 6];
                let count = Fields::of(self.dialect).numbers;
                for number in &mut numbers[..count] {
                    *number = self.number()?;
                }
                let fields = [Object::NULL; MOST_FIELDS];
                (
                    ContainerKind::Code(Box::new(Draft { numbers, first_line: 0, fields, read: 0 })),
                    Object::of(Shape::Code),
                )
            }
            _ => return Err(Wrong::TypeCode),
        };
        if let ContainerKind::Sequence(0) | ContainerKind::Set(0) = kind {
            if is_referenced {
                self.refer(object)?;
            }
            return Ok(ContainerStep::Finished(object));
        }
        // An object has at least one byte.
        if let ContainerKind::Sequence(length) | ContainerKind::Set(length) = kind
            && length as usize > self.bytes.len() - self.at
        {
            return Err(Wrong::End);
        }
        if self.is_pypy() && object.shape == Shape::Tuple {
            meanwhile = Object::RESERVED;
        }
        let reference = if is_referenced { Some(self.refer(meanwhile)?) } else { None };
        self.open.push(Open { kind, object, reference });
        Ok(ContainerStep::Opened)
    }

    /// Puts a finished object into its container; finishes that if it is complete.
    fn put(&mut self, mut container: Open, object: Object) -> Result<ContainerStep, Wrong> {
        let is_null = object.shape == Shape::Null;
        let finished = match &mut container.kind {
            ContainerKind::Sequence(_) | ContainerKind::Set(_) if is_null => return Err(Wrong::Null),
            ContainerKind::Sequence(left) => {
                container.object.take_in(&object);
                *left -= 1;
                *left == 0
            }
            ContainerKind::Set(_) if !object.is_hashable() => return Err(Wrong::Unhashable),
            ContainerKind::Set(left) => {
                container.object.take_in(&object);
                *left -= 1;
                *left == 0
            }
            // A NULL in a value's place ends CPython's dictionary as well, and its key is forgotten.
            ContainerKind::Dictionary(Some(_)) if is_null && self.is_pypy() => return Err(Wrong::Null),
            ContainerKind::Dictionary(_) if is_null => true,
            ContainerKind::Dictionary(key) => {
                match key.take() {
                    None => *key = Some(object),
                    Some(key) if !key.is_hashable() => return Err(Wrong::Unhashable),
                    Some(key) => {
                        container.object.take_in(&key);
                        // A frozendict has a hash if its values have.
                        if container.object.shape == Shape::Other {
                            container.object.take_in(&object);
                        }
                    }
                }
                false
            }
            // With a NULL in them they are NULL themselves, and no reference leads to them.
            ContainerKind::Slice(_) | ContainerKind::Code(_) if is_null => {
                if self.is_pypy() {
                    return Err(Wrong::Null);
                }
                return Ok(ContainerStep::Finished(Object::NULL));
            }
            ContainerKind::Slice(left) => {
                container.object.take_in(&object);
                *left -= 1;
                *left == 0
            }
            ContainerKind::Code(draft) => {
                let fields = Fields::of(self.dialect);
                draft.fields[draft.read] = object;
                draft.read += 1;
                if draft.read == fields.first_line {
                    draft.first_line = self.number()?;
                }
                draft.read == fields.all
            }
        };
        if !finished {
            self.open.push(container);
            return Ok(ContainerStep::Opened);
        }
        self.finish(container)
    }

    /// Finishes a complete container: checks a code object, and lets references find it.
    fn finish(&mut self, mut container: Open) -> Result<ContainerStep, Wrong> {
        if let ContainerKind::Code(draft) = container.kind {
            draft.check(self.dialect, self.bytes).map_err(Wrong::Code)?;
            // Its hash is that of its constants, among others.
            container.object.take_in(&draft.fields[1]);
            self.codes = self.codes.saturating_add(1);
            self.last_line = self.last_line.max(self.last_line_of(&draft));
            self.last = Some(draft);
        }
        if let Some(index) = container.reference {
            self.references[index] = container.object;
        }
        Ok(ContainerStep::Finished(container.object))
    }

    /// The last line of one code object. Compilers let code objects share equal line tables; a body in which thousands
    /// share a long one is no compiler's, and not worth more than linear time.
    fn last_line_of(&mut self, draft: &Draft) -> i32 {
        let table = draft.fields[Fields::of(self.dialect).lines].bytes_in(self.bytes);
        match self.tables_left.checked_sub(table.len()) {
            Some(left) => {
                self.tables_left = left;
                lines::last(table, draft.first_line, self.dialect)
            }
            None => draft.first_line,
        }
    }

    /// Adds to the references; returns the place there.
    fn refer(&mut self, object: Object) -> Result<usize, Wrong> {
        if self.references.len() >= self.most_references {
            return Err(Wrong::References);
        }
        self.references.push(object);
        Ok(self.references.len() - 1)
    }

    fn is_pypy(&self) -> bool {
        matches!(self.dialect, Dialect::PyPy(_))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Wrong> {
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.get(..length)).ok_or(Wrong::End)?;
        self.at += length;
        Ok(taken)
    }

    fn skip(&mut self, length: usize) -> Result<Object, Wrong> {
        self.take(length)?;
        Ok(Object::ATOM)
    }

    fn contents(&mut self, shape: Shape, length: usize) -> Result<Object, Wrong> {
        let start = self.at as u32;
        self.take(length)?;
        Ok(Object::at(shape, start, length as u32))
    }

    /// PyPy takes the bytes as they are and finds out later.
    fn utf_8(&mut self, length: usize) -> Result<Object, Wrong> {
        let object = self.contents(Shape::Text, length)?;
        let is_valid = self.is_pypy() || text::is_utf_8(&self.bytes[self.at - length..self.at]);
        if is_valid { Ok(object) } else { Err(Wrong::Text) }
    }

    /// What is called ASCII is Latin-1 to CPython, which takes any byte; PyPy does not.
    fn ascii(&mut self, length: usize) -> Result<Object, Wrong> {
        let object = self.contents(Shape::Text, length)?;
        if self.is_pypy() && !self.bytes[self.at - length..self.at].is_ascii() {
            Err(Wrong::Text)
        } else {
            Ok(object)
        }
    }

    /// A number as text: one byte of length, then that many.
    fn float(&mut self) -> Result<Object, Wrong> {
        let length = usize::from(self.byte()?);
        let text = self.take(length)?;
        let is_float = if self.is_pypy() { text::is_pypy_float(text) } else { text::is_float(text) };
        if is_float { Ok(Object::ATOM) } else { Err(Wrong::Float) }
    }

    fn byte(&mut self) -> Result<u8, Wrong> {
        let byte = *self.bytes.get(self.at).ok_or(Wrong::End)?;
        self.at += 1;
        Ok(byte)
    }

    fn number(&mut self) -> Result<i32, Wrong> {
        let bytes = self.take(4)?;
        bytes.first_chunk().map(|bytes| i32::from_le_bytes(*bytes)).ok_or(Wrong::End)
    }

    fn length(&mut self) -> Result<usize, Wrong> {
        usize::try_from(self.number()?).map_err(|_| Wrong::Length)
    }
}
