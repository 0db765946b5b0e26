//! What the walk remembers of an object that it has passed: twelve bytes, whatever the object's size.

/// An object of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Object {
    pub shape: Shape,
    traits: u8,
    /// Where a string's or bytes' contents begin.
    pub start: u32,
    /// How many bytes or elements it has.
    pub length: u32,
}

/// As much of an object's type as some rule of `marshal.c` or of the code constructor asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `TYPE_NULL`, or a code object or slice with a NULL in it.
    Null,
    /// A place among the references whose object is not yet there (`Py_None` in CPython's list): no reference may
    /// lead to it.
    Reserved,
    Text,
    Bytes,
    Tuple,
    /// A list, set or dictionary: what PyPy takes in place of a tuple.
    Collection,
    Code,
    Other,
}

/// `hash(object)` raises.
const UNHASHABLE: u8 = 1;
/// Something in it is no string.
const MIXED: u8 = 2;
/// A tuple that is reached by reference while its elements are read, or a tuple that holds one.
const KNOTTED: u8 = 4;
/// Something in it is neither string nor bytes.
const ODD: u8 = 8;

impl Object {
    pub const NULL: Object = Object::of(Shape::Null);
    pub const RESERVED: Object = Object::of(Shape::Reserved);
    /// A number, `None` and the like.
    pub const ATOM: Object = Object::of(Shape::Other);
    /// A list, set or dictionary.
    pub const COLLECTION: Object = Object { traits: UNHASHABLE, ..Object::of(Shape::Collection) };
    /// The same while it is read.
    pub const UNFINISHED: Object = Object { traits: UNHASHABLE | MIXED, ..Object::of(Shape::Collection) };
    /// A tuple whose elements are not all there: to hash it, or to look for strings in it, is the end of CPython.
    pub const UNFINISHED_TUPLE: Object =
        Object { traits: UNHASHABLE | MIXED | KNOTTED, ..Object::of(Shape::Tuple) };

    /// A code object whose fields are not all there.
    pub const UNFINISHED_CODE: Object = Object { traits: UNHASHABLE, ..Object::of(Shape::Code) };

    pub const fn of(shape: Shape) -> Object {
        Object { shape, traits: 0, start: 0, length: 0 }
    }

    /// A container of this shape and length, without elements so far.
    pub fn container(shape: Shape, length: u32) -> Object {
        Object { length, ..Object::of(shape) }
    }

    /// A string or bytes whose contents lie there.
    pub fn at(shape: Shape, start: u32, length: u32) -> Object {
        Object { start, ..Object::container(shape, length) }
    }

    /// The contents of a string or bytes in the body that it was read from.
    pub fn bytes_in<'b>(&self, body: &'b [u8]) -> &'b [u8] {
        let contents = body.get(self.start as usize..).and_then(|rest| rest.get(..self.length as usize));
        contents.unwrap_or_default()
    }

    /// Notes an element of a container.
    pub fn take_in(&mut self, element: &Object) {
        if self.shape != Shape::Collection {
            self.traits |= element.traits & UNHASHABLE;
        }
        if self.shape == Shape::Tuple {
            self.traits |= element.traits & KNOTTED;
        }
        self.traits |= match element.shape {
            Shape::Text => 0,
            Shape::Bytes => MIXED,
            _ => MIXED | ODD,
        };
    }

    pub fn is_hashable(&self) -> bool {
        self.traits & UNHASHABLE == 0
    }

    pub fn is_knotted(&self) -> bool {
        self.traits & KNOTTED != 0
    }

    /// Whether PyPy 3.`minor` takes names from it. Until 3.10 bytes are names too.
    pub fn yields_names(&self, minor: u8) -> bool {
        let is_container = matches!(self.shape, Shape::Tuple | Shape::Collection);
        let refused = if minor >= 11 { MIXED } else { ODD };
        (is_container && self.traits & refused == 0) || self.shape == Shape::Text || self.is_empty_bytes()
    }

    /// How many names PyPy takes from it: of a text, its characters.
    pub fn names_in(&self, body: &[u8]) -> i64 {
        if self.shape != Shape::Text {
            return i64::from(self.length);
        }
        let is_first = |byte: &&u8| *byte & 0xc0 != 0x80;
        self.bytes_in(body).iter().filter(is_first).count() as i64
    }

    /// Whether PyPy iterates over it.
    pub fn is_iterable(&self) -> bool {
        matches!(self.shape, Shape::Tuple | Shape::Collection | Shape::Text | Shape::Bytes)
    }

    fn is_empty_bytes(&self) -> bool {
        self.shape == Shape::Bytes && self.length == 0
    }

    pub fn is_tuple_of_text(&self) -> bool {
        self.shape == Shape::Tuple && self.traits & MIXED == 0
    }
}
