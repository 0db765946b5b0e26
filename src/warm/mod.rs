//! Filling the store ahead of use: each source compiled by the interpreter that will import it.
//!
//! An interpreter compiles the way that `python -m compileall` does (`py_compile`), but gets the source and returns the entry
//! over a pipe; nothing of a source is run. What the store has fresh already is not compiled again: the store's verdict is the
//! interpreter's own.
//!
//! # Who runs whose interpreter
//!
//! To compile the sources of an environment its interpreter is run, and whoever owns the environment decides what that
//! does. So one that is found in a tree is run only if it, what its links lead to and all directories on the way belong
//! to us or to root, and no stranger may write to them; for root all that it executes counts
//! ([`crate::trust::runner::Runners::trust`]).
//!
//! As root it runs as an unprivileged user ([`crate::trust::runner::Runners::unprivileged`]). Another user's interpreter is not
//! run as that user: root's Pythons would execute the bytecode that this user's process returned.

pub mod choice;
pub mod compile;

pub use choice::{Decider, Deciders};
pub use compile::{Compilation, Failure, Group, Row, Task, compile};
