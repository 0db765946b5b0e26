//! Edits of the user's text files: planned, shown as a diff, confirmed, carried out and undone.
//!
//! `setup` and `schedule` change files that belong to the user (startup files of shells, the crontab, ignore lists) through
//! this module, in the same three steps as everything else: facts (the text), decisions (its new contents, computed without
//! side effects), effects.
//!
//! * `block`: the marked block, the only part of a file that we change.
//! * `place`: where a text is: a file or the user's crontab.
//! * `text`: the contents at a place, and whether they may be changed.
//! * `plan`: several edits, each computed from the result of the one before.
//! * `execute`: writes the files.
//! * `replace`: replaces a file atomically.
//! * `receipt`: the list of edited files, for undo.
//! * `home`: the home whose files are edited.
//! * `error`: why a text was not changed.
//!
//! # Invariants
//!
//! * No byte outside the marked block changes; removing the block restores the original bytes.
//! * A file is replaced as a whole and keeps mode, owner, group and extended attributes (including its ACL), or stays
//!   unchanged. A symbolic link stays, and the file that it leads to is replaced: dotfiles often are links into a repository.
//! * A new file has no more permissions than the umask allows.
//! * A text that changed between plan and execution is not overwritten.
//! * A file is removed only if pycstore created it and it holds nothing but our block; a directory only if pycstore created it
//!   for that file and it is empty.

pub mod block;
mod error;
mod execute;
mod home;
mod place;
mod plan;
mod receipt;
pub mod replace;
mod text;

pub use block::{Block, Placement};
pub use error::EditError;
pub use execute::execute;
pub use home::home_of_user;
pub use place::TextPlace;
pub use plan::{Edit, EditPlan};
pub use receipt::{Receipt, ReceiptError};
pub use text::Text;
