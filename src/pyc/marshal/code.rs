//! A code object: its fields by version, and what its constructor accepts.
//!
//! Up to 3.10 that is `PyCode_NewWithPosOnlyArgs`, from 3.11 on `_PyCode_Validate` and `_PyCode_New`
//! (`Objects/codeobject.c`); for PyPy `unmarshal_pycode`.

use super::Dialect;
use super::object::{Object, Shape};
use super::text;

/// `CO_VARARGS` and `CO_VARKEYWORDS`.
const STARRED: [i32; 2] = [0x04, 0x08];
/// `CO_FAST_LOCAL`.
const FAST_LOCAL: u8 = 0x20;

/// The largest number of object fields.
pub(super) const MOST_FIELDS: usize = 11;

/// The fields of a code object in their order.
#[derive(Debug)]
pub(super) struct Fields {
    /// Numbers of four bytes before: argcount, posonlyargcount, kwonlyargcount, [nlocals until 3.10,] stacksize, flags.
    pub numbers: usize,
    /// code, consts, names, then varnames, freevars, cellvars or localsplusnames, localspluskinds; then this.
    pub filename: usize,
    /// After name, and qualname from 3.11 on, comes `co_firstlineno`.
    pub first_line: usize,
    /// lnotab or linetable.
    pub lines: usize,
    /// With exceptiontable from 3.11 on, for PyPy too.
    pub all: usize,
}

const UNTIL_3_10: Fields = Fields { numbers: 6, filename: 6, first_line: 8, lines: 8, all: 9 };
const FROM_3_11: Fields = Fields { numbers: 5, filename: 5, first_line: 8, lines: 8, all: 10 };
/// PyPy 3.11 has the variables of 3.10, and the qualname and exceptiontable of 3.11.
const PYPY_3_11: Fields = Fields { numbers: 6, filename: 6, first_line: 9, lines: 9, all: 11 };

impl Fields {
    pub fn of(dialect: Dialect) -> &'static Fields {
        match dialect {
            Dialect::CPython(11..) => &FROM_3_11,
            Dialect::PyPy(11..) => &PYPY_3_11,
            Dialect::CPython(_) | Dialect::PyPy(_) => &UNTIL_3_10,
        }
    }
}

/// A code object whose fields are being read.
#[derive(Debug)]
pub(super) struct Draft {
    pub numbers: [i32; 6],
    pub first_line: i32,
    pub fields: [Object; MOST_FIELDS],
    pub read: usize,
}

/// What a constructor did not like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeFault {
    /// A negative count, or more positional-only arguments than arguments.
    Number,
    /// A field of another type than it has to have.
    Type,
    /// A name that is no string.
    Name,
    /// `co_code` is not made of whole instructions.
    Instructions,
    /// Fewer local variables than arguments.
    Variables,
}

impl Draft {
    /// Whether the constructor of the dialect's interpreter takes the fields; `body` is what they were read from.
    pub fn check(&self, dialect: Dialect, body: &[u8]) -> Result<(), CodeFault> {
        match dialect {
            Dialect::CPython(11..) => self.check_from_3_11(body),
            Dialect::CPython(_) => self.check_until_3_10(),
            Dialect::PyPy(minor) => self.check_pypy(minor, body),
        }
    }

    fn check_until_3_10(&self) -> Result<(), CodeFault> {
        let [arguments, positional, keywords, locals, stack, flags] = self.numbers;
        let [code, consts, names, variables, free, cells, filename, name, table, ..] = &self.fields;
        are_counts(&[positional, keywords, locals, stack, flags])?;
        if arguments < positional {
            return Err(CodeFault::Number);
        }
        have_shape(&[code, table], Shape::Bytes)?;
        have_shape(&[filename, name], Shape::Text)?;
        are_names(&[names, variables, free, cells])?;
        is_consts(consts)?;
        let starred = STARRED.iter().filter(|&&star| flags & star != 0).count() as i64;
        let wanted = i64::from(arguments) + i64::from(keywords) + starred;
        if wanted > i64::from(variables.length) { Err(CodeFault::Variables) } else { Ok(()) }
    }

    fn check_from_3_11(&self, body: &[u8]) -> Result<(), CodeFault> {
        let [arguments, positional, keywords, stack, flags, _] = self.numbers;
        let [code, consts, names, variables, kinds, filename, name, qualified, lines, exceptions, _] =
            &self.fields;
        are_counts(&[positional, keywords, stack, flags])?;
        if arguments < positional {
            return Err(CodeFault::Number);
        }
        have_shape(&[code, kinds, lines, exceptions], Shape::Bytes)?;
        have_shape(&[filename, name, qualified], Shape::Text)?;
        are_names(&[names, variables])?;
        is_consts(consts)?;
        if variables.length != kinds.length {
            return Err(CodeFault::Type);
        }
        if !code.length.is_multiple_of(2) {
            return Err(CodeFault::Instructions);
        }
        let locals = kinds.bytes_in(body).iter().filter(|&&kind| kind & FAST_LOCAL != 0).count();
        let starred = STARRED.iter().filter(|&&star| flags & star != 0).count() as i32;
        // In C the difference may wrap around, and then the arguments fit.
        let left = (locals as i32).wrapping_sub(arguments).wrapping_sub(keywords).wrapping_sub(starred);
        if left < 0 { Err(CodeFault::Variables) } else { Ok(()) }
    }

    fn check_pypy(&self, minor: u8, body: &[u8]) -> Result<(), CodeFault> {
        let [arguments, positional, keywords, locals, _, flags] = self.numbers;
        let [code, consts, names, variables, free, cells, filename, name, rest @ ..] = &self.fields;
        let (qualified, tables) = match (minor, rest) {
            (11.., [qualified, lines, exceptions, ..]) => (Some(qualified), [lines, exceptions]),
            (_, [table, ..]) => (None, [table, table]),
        };
        // Below zero it does not raise, but ends.
        are_counts(&[arguments, positional, keywords, locals])?;
        have_shape(&[code], Shape::Bytes)?;
        have_shape(&tables, Shape::Bytes)?;
        have_shape(&[filename], Shape::Text)?;
        let is_name = |object: &Object| match object.shape {
            Shape::Text => true,
            Shape::Bytes => minor < 11,
            _ => false,
        };
        if !consts.is_iterable() || !is_name(name) || !qualified.is_none_or(is_name) {
            return Err(CodeFault::Type);
        }
        if [names, variables, free, cells].iter().any(|names| !names.yields_names(minor)) {
            return Err(CodeFault::Name);
        }
        if !text::is_pypy_filename(filename.bytes_in(body)) {
            return Err(CodeFault::Name);
        }
        // It reads the names of arguments past the end of what is there, and ends or not: no compiler writes this.
        let starred = STARRED.iter().filter(|&&star| flags & star != 0).count() as i64;
        let wanted = i64::from(arguments) + i64::from(keywords) + starred;
        let is_short = wanted > variables.names_in(body) && (starred > 0 || cells.length > 0);
        if is_short { Err(CodeFault::Variables) } else { Ok(()) }
    }
}

fn are_counts(numbers: &[i32]) -> Result<(), CodeFault> {
    if numbers.iter().any(|&number| number < 0) { Err(CodeFault::Number) } else { Ok(()) }
}

fn have_shape(objects: &[&Object], shape: Shape) -> Result<(), CodeFault> {
    if objects.iter().any(|object| object.shape != shape) { Err(CodeFault::Type) } else { Ok(()) }
}

fn are_names(tuples: &[&Object]) -> Result<(), CodeFault> {
    have_shape(tuples, Shape::Tuple)?;
    if tuples.iter().any(|tuple| !tuple.is_tuple_of_text()) { Err(CodeFault::Name) } else { Ok(()) }
}

/// The constants are searched for strings to intern, in tuples within as well.
fn is_consts(object: &Object) -> Result<(), CodeFault> {
    if object.shape != Shape::Tuple || object.is_knotted() { Err(CodeFault::Type) } else { Ok(()) }
}
