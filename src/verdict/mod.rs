//! Decisions: pure functions over facts. What Python would still load, what a policy removes, what `verify` finds.
//!
//! Nothing here opens a file, starts a process or reads the clock: all facts are arguments.
//!
//! # Bytes
//!
//! Each hard link counts as a file, but the bytes of an inode count once: they are freed with the last link, inside or
//! outside the store ([`links`]). The executor reads the number of links just before it removes one; a dry run compares
//! that number with the links that its plan lists.
//!
//! A dry run is the same plan, shown instead of executed.
//!
//! # One scan or two
//!
//! A selector decides on each entry alone, so one scan is enough. A budget ([`budget`]) needs all entries: a first scan
//! finds the cut-off, a second one plans. So a prune never holds the whole store in memory, only sixteen bytes for each
//! entry that a budget may evict, victims up to a limit ([`plan::Overflow`]), the paths of directories to remove, and a
//! record of each inode with several hard links.

pub mod budget;
pub mod census;
pub mod emptied;
pub mod finding;
pub mod inspector;
pub mod judge;
pub mod links;
pub mod plan;
pub mod policy;
pub mod premise;
pub mod remainder;
pub mod saving;
pub mod scope;
pub mod share;
pub mod shareable;
pub mod status;
pub mod sweep;
pub mod usage;
pub mod victim;
pub mod view;
