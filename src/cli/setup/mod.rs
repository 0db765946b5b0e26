//! `pycstore setup`: puts the prefix in place, and what the old habits did with ignore lists and settings.
//!
//! * `command`: the run: facts, a plan of edits, shown, agreed to, executed.
//! * `work`: what each target is: blocks in files, settings, or a snippet to copy.
//! * `shell`: the shell in use, and which files which kind of shell reads.
//! * `syntax`: how the store's path is written in each language.
//! * `store_directory`: the directory that is promised.
//! * `git`, `vscode`, `snippet`: the targets that set no variable.
//!
//! # Invariants
//!
//! * The only part of a file that is touched is a marked block ([`pycstore::edits`]); what stands outside is the
//!   user's, and where it contradicts the block, the file is left alone and that is said.
//! * The files are noted before they are edited, and `--undo` looks there first: the environment may be another by then.
//! * `--undo` gives the bytes that were there. The store stays: it may hold what somebody needs.

mod command;
mod git;
mod shell;
mod snippet;
mod store_directory;
mod syntax;
pub(super) mod vscode;
mod work;

pub use command::run;
