//! The containers that a walk is in: objects whose contents are being read.

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
    /// A tuple or list: so many objects are still to come.
    Sequence(u32),
    /// A set: so many are still to come, and each is hashed.
    Set(u32),
    /// Keys and values until NULL; the key that waits for its value.
    Dictionary(Option<Object>),
    /// Start, stop and step: so many are still to come.
    Slice(u32),
    Code(Box<Draft>),
}
