//! pycstore: the manager for CPython's global bytecode store.
pub mod directory;
pub mod entry;
pub mod layout;
pub mod mounts;
pub mod owner;
pub mod prune;
pub mod pyc;
pub mod scan;
pub mod source;
pub mod source_tree;
pub mod status;
pub mod store;
pub mod tally;
pub mod units;
pub mod usage;
