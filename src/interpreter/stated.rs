//! Which magics the interpreters on this machine state that they load. That outweighs the table of this program
//! ([`Magic::is_loaded_by`]), in which no pre-release and no newer release is.
//!
//! The search for interpreters takes about twenty milliseconds. It starts when the first entry is met whose magic is not
//! the one that the table has for its cache tag; most stores have none.

use super::{Interpreters, Places};
use crate::pyc::{Loads, Magic};
use std::collections::BTreeSet;
use std::sync::LazyLock;

type Search = Box<dyn FnOnce() -> BTreeSet<(String, Magic)> + Send>;

/// The magics of installed interpreters by cache tag, looked for when they are first needed.
#[derive(Debug)]
pub struct StatedMagics(LazyLock<BTreeSet<(String, Magic)>, Search>);

impl StatedMagics {
    /// Those of the interpreters in the places that `places` returns; it is called at most once.
    pub fn new(places: impl FnOnce() -> Places + Send + 'static) -> StatedMagics {
        StatedMagics(LazyLock::new(Box::new(move || {
            let interpreters = Interpreters::find(&places());
            let stated = interpreters.with_store();
            stated.filter_map(|(tag, interpreter)| Some((tag.to_string(), interpreter.magic?))).collect()
        })))
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
        StatedMagics(LazyLock::new(Box::new(BTreeSet::new)))
    }
}
