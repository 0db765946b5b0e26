//! What a `.pyc` is: sixteen bytes of header (PEP 552), then a marshalled code object.
//!
//! `name` maps the path of an entry to that of its source and back.
//! `header` reads the sixteen bytes, `magic` knows which Python wrote or loads a magic number, `stated` adds what installed
//! interpreters state of themselves,
//! `source_hash` computes the hash that pins a hash-based entry to its source, `marshal` reads what the code
//! object says of itself, `tags` shows cache tags in order. All pure.

pub mod header;
pub mod magic;
pub mod marshal;
pub mod name;
#[cfg(test)]
pub(crate) mod recorded;
pub mod source_hash;
pub mod stated;
pub mod tags;

pub use header::{Header, InvalidationMode, Malformed, UncheckedHashes};
pub use magic::{Loads, Magic};
pub use source_hash::SourceHasher;
pub use stated::{StatedMagics, TaggedMagics};
