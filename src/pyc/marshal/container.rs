//! The containers whose contents a walk is reading.

use super::code::Draft;
use super::object::Object;

/// The bit of a type code that adds the object to the list of references.
pub(super) const FLAG_REF: u8 = 0x80;

/// A container whose contents are being read.
pub(super) struct Open {
    pub kind: ContainerKind,
    pub object: Object,
    /// Its place among the references.
    pub reference: Option<usize>,
}

pub(super) enum ContainerKind {
    /// A tuple or list, with the number of objects still to come.
    Sequence(u32),
    /// A set, with the number of objects still to come; each is hashed.
    Set(u32),
    /// Keys and values until NULL; the key that waits for its value.
    Dictionary(Option<Object>),
    /// A slice, with the number of objects (start, stop and step) still to come.
    Slice(u32),
    Code(Box<Draft>),
}
