//! Edits of the user's text files: planned, shown as a diff, agreed to, executed, and taken back.
//!
//! What `setup` and `schedule` put into files that belong to the user (shell files, a crontab, ignore lists) goes
//! through here, in the shape of everything else: facts (what the text is), decisions (what it becomes, purely), effects.
//!
//! * `block`: the marked block, the only part of a file that is ours.
//! * `place`: where a text is, a file or the user's crontab, and what it is now.
//! * `crontab`: the way to the crontab.
//! * `plan`: several edits, each computed from what the one before leaves.
//! * `diff`: a plan as people read it.
//! * `carry`: the way of every plan: shown, agreed to, carried out.
//! * `home`: whose files.
//! * `receipt`: which files were changed, for when that is undone.
//! * `execute`: the files are written.
//!
//! # Invariants
//!
//! * Outside of the marked block no byte changes; taking the block back gives the bytes that were there before.
//! * A file is replaced as a whole, keeping mode, owner, group and extended attributes (its ACL among them), or is left as it
//!   is; a symbolic link stays, and the file that it leads to is replaced: dotfiles often lie in a repository.
//! * A new file has no more permissions than the umask leaves.
//! * What changed between plan and execution is not overwritten.
//! * The only file that is removed is one that holds nothing but our block, and that we made; the only directories, those
//!   that we made for it and that are empty.

pub(super) mod block;
mod carry;
mod crontab;
mod diff;
mod execute;
mod home;
mod place;
mod plan;
mod receipt;

pub use block::{Block, Placement};
pub use carry::{Agreement, Direction, Manner, Outcome, agree, carry_out, carry_through, complain_of};
pub use home::home_of_user;
pub use place::{EditError, Place, Text};
pub use plan::Plan;
pub use receipt::Receipt;
