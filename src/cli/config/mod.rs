//! The user's configuration: one file. What each value finally is, the session knows.
//!
//! * `location`: which file, from `--config`, `PYCSTORE_CONFIG` or the XDG directories.
//! * `file`: what the file says, checked; an error names file, line and column.
//! * `origin`: where a value comes from.
//! * `show`: `pycstore config`.
//!
//! # Invariants
//!
//! * A file that is there and cannot be read or understood ends the run before anything is done: a `keep` that was
//!   not read would not keep.
//! * Lists add up: what the file keeps stays kept, whatever the command line adds.

mod file;
pub mod home;
mod location;
mod origin;
mod show;

pub use file::Configuration;
pub use location::Location;
pub use origin::{Origin, Sourced};
pub use show::{ConfigOptions, run};
