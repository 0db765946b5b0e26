//! Owners for people.

use super::path;
use super::terminal::Terminal;
use pycstore::source::owner::{Life, Owner};

/// An owner's path, and whether it is gone.
pub fn shown(owner: &Owner, terminal: &Terminal) -> Vec<u8> {
    let mut shown = path::shown(&owner.root, terminal);
    if owner.life == Life::Gone {
        shown.extend_from_slice(b" (gone)");
    }
    shown
}
