//! Sets up a user's programs: `PYTHONPYCACHEPREFIX` in startup files, `__pycache__` in ignore lists and editor settings.
//!
//! * `target`: the targets.
//! * `plan`: what each target changes.
//! * `block_edit`: a block that a target adds to a text.
//! * `shell`: which shell is used, and which files each shell reads.
//! * `syntax`: how each language writes the path of the store.
//! * `store_directory`: creates the store's directory.
//! * `git`, `vscode`, `snippet`: the targets that do not set the variable.
//!
//! # Invariants
//!
//! * Only a marked block of a file is changed ([`crate::edits`]). If the rest of the file contradicts the block, the file stays
//!   unchanged.
//! * The files are recorded before they are edited ([`crate::edits::Receipt`]), because the environment may have changed when
//!   the edit is undone.
//! * Undo restores the original bytes. The store stays: its contents may still be needed.

mod block_edit;
mod git;
mod plan;
mod shell;
mod snippet;
mod store_directory;
mod syntax;
mod target;
pub mod vscode;

pub use block_edit::BlockEdit;
pub use plan::{TargetPlan, places_to_undo, undo};
pub use shell::detect;
pub use store_directory::{Preparation, PreparationError};
pub use target::Target;
