//! The operating system: directories by descriptor, mounts, accounts, who may change a path, threads and processes.
//!
//! Everything that calls the system lives here, and knows nothing of Python.

pub mod accounts;
pub mod blocked;
pub mod contained;
pub mod directory;
pub mod extents;
pub mod input;
pub mod isolated;
pub mod path_owner;
pub mod pool;
pub mod program;
pub mod resolution;
pub mod trust;
pub mod volumes;
