//! Which magics the interpreters on this machine state that they load. That outweighs the table of this program
//! ([`Magic::is_loaded_by`]), in which no pre-release and no newer release is.
//!
//! The search for interpreters ([`crate::source::interpreter::Interpreters::stated`]) takes about twenty milliseconds. It starts
//! when the first entry is met whose magic is not the one that the table has for its cache tag; most stores have none.

use super::{Loads, Magic};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// Magics by cache tag.
pub type TaggedMagics = BTreeSet<(String, Magic)>;

/// The magics of installed interpreters, looked for when they are first needed.
#[derive(Debug)]
pub struct StatedMagics(LazyLock<TaggedMagics, Box<dyn FnOnce() -> TaggedMagics + Send>>);

impl StatedMagics {
    /// Those that `search` finds; it is called at most once.
    pub fn new(search: impl FnOnce() -> TaggedMagics + Send + 'static) -> StatedMagics {
        StatedMagics(LazyLock::new(Box::new(search)))
    }

    /// Whether an interpreter of this tag loads this magic: by the table, or by what one on this machine states.
    pub fn loads(&self, tag: &str, magic: Magic) -> Loads {
        match magic.is_loaded_by(tag) {
            Loads::Yes => Loads::Yes,
            _ if self.0.contains(&(tag.to_string(), magic)) => Loads::Yes,
            known => known,
        }
    }
}

/// No interpreter states anything: the table alone counts.
impl Default for StatedMagics {
    fn default() -> StatedMagics {
        StatedMagics::new(BTreeSet::new)
    }
}
