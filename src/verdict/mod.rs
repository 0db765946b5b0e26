//! Decisions: pure functions over facts. What Python would still load, what a policy takes, what `verify` finds.
//!
//! Nothing here opens a file, starts a process or knows the time: what is to be judged is in the arguments.
//!
//! # Bytes
//!
//! Files are counted by name, bytes by inode: they are freed with the last link, wherever the links are ([`links`]). The
//! executor looks at the number of links just before it removes one; a plan that is only shown compares that number with
//! the links that it lists.
//!
//! A dry run is the same plan, shown instead of executed.
//!
//! # One scan or two
//!
//! What a selector takes is known at each entry, so one scan plans it. What a budget evicts ([`budget`]) is known when all
//! entries were seen: a first scan finds the cut-off, the second plans. So no prune holds more than a part of the store:
//! sixteen bytes of each entry that a budget may evict, victims up to a limit ([`plan::Overflow`]), the paths of directories
//! that go, and a record of each inode with several hard links.

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
pub mod scope;
pub mod share;
pub mod status;
pub mod sweep;
pub mod usage;
pub mod victim;
pub mod view;
