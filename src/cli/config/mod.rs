//! The user's configuration: one file, and what each value finally is.
//!
//! * `location`: which file, from `--config`, `PYCSTORE_CONFIG` or the XDG directories.
//! * `file`: what the file says, checked; an error names file, line and column.
//! * `origin`: where a value comes from.
//! * `effective`: flag, else variable, else file, else default.
//! * `show`: `pycstore config`.
//!
//! # Invariants
//!
//! * A file that is there and cannot be read or understood ends the run before anything is done: a `keep` that was
//!   not read would not keep.
//! * Lists add up: what the file keeps stays kept, whatever the command line adds.

mod effective;
mod file;
pub mod home;
mod location;
mod origin;
mod show;

pub use effective::{assumed_gone, store, threads};
pub use file::Configuration;
pub use location::Location;
pub use origin::{Origin, Sourced};
pub use show::run;
