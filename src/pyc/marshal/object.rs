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
    Code,
    Other,
}

/// `hash(object)` raises.
const UNHASHABLE: u8 = 1;
/// A tuple in which something is no string.
const MIXED: u8 = 2;
/// A tuple that is reached by reference while its elements are read, or what holds one.
const KNOTTED: u8 = 4;

impl Object {
    pub const NULL: Object = Object::of(Shape::Null);
    pub const RESERVED: Object = Object::of(Shape::Reserved);
    /// A number, `None` and the like.
    pub const ATOM: Object = Object::of(Shape::Other);
    /// A list, set or dictionary.
    pub const UNHASHABLE: Object = Object { traits: UNHASHABLE, ..Object::ATOM };
    /// A tuple whose elements are not all there: to hash it, or to look for strings in it, is the end of CPython.
    pub const UNFINISHED_TUPLE: Object =
        Object { traits: UNHASHABLE | MIXED | KNOTTED, ..Object::of(Shape::Tuple) };

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

    /// Notes an element of a container.
    pub fn take_in(&mut self, element: &Object) {
        self.traits |= element.traits & (UNHASHABLE | KNOTTED);
        if element.shape != Shape::Text {
            self.traits |= MIXED;
        }
    }

    pub fn is_hashable(&self) -> bool {
        self.traits & UNHASHABLE == 0
    }

    pub fn is_knotted(&self) -> bool {
        self.traits & KNOTTED != 0
    }

    pub fn is_tuple_of_text(&self) -> bool {
        self.shape == Shape::Tuple && self.traits & MIXED == 0
    }
}
