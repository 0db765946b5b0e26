//! Owners and sums of removed files, as text.

use super::path;
use super::terminal::Terminal;
use pycstore::json::Mode;
use pycstore::source::owner::{Life, Owner};
use pycstore::units::{Tally, human};

/// An owner's path, and whether it is gone.
pub fn shown(owner: &Owner, terminal: &Terminal) -> Vec<u8> {
    let mut shown = path::shown(&owner.root, terminal);
    if owner.life == Life::Gone {
        shown.extend_from_slice(b" (gone)");
    }
    shown
}

/// The sum of the removed files, or in a dry run of those to be removed. `is_whole`: nothing failed or was left.
pub fn removed(mode: Mode, files: Tally, directories: u64, is_whole: bool) -> String {
    match (files.is_empty() && directories == 0, mode) {
        (true, _) if is_whole => "nothing to remove".into(),
        (true, _) => "removed nothing".into(),
        (false, Mode::DryRun) => format!("would remove {}", human::sum(files, directories)),
        (false, Mode::Real) => format!("removed {}", human::sum(files, directories)),
    }
}
