//! The user's configuration: one file. The session determines the effective values.
//!
//! * `location`: which file, from `--config`, `PYCSTORE_CONFIG` or the XDG directories.
//! * `file`: what the file says, checked; an error names file, line and column.
//! * `origin`: where a value comes from.
//! * `show`: `pycstore config`.
//!
//! # Invariants
//!
//! * A file that exists and cannot be read or parsed ends the run before anything is done: otherwise its `keep` would
//!   be ignored.
//! * Lists are combined: the command line can only add to the `keep` of the file.

mod file;
pub mod home;
mod location;
mod origin;
pub mod show;

pub use file::Configuration;
pub use location::Location;
pub use origin::{Origin, Sourced};
