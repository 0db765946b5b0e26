//! Removing entries: a policy condemns, a plan lists, the executor removes.
//!
//! # Safety: what deleting obeys
//!
//! 1. Only regular files whose *name* parses as an entry or a temporary, below the opened root. What has four
//!    bytes or more and not `\r\n` in bytes 2–3 is no bytecode: only `--corrupt` and `--all` take it; every
//!    other selector keeps and reports it.
//! 2. The root is opened once and vetted ([`crate::store`]). Below it everything goes by directory descriptor,
//!    with no symbolic link followed and no mount point crossed ([`crate::directory`]).
//! 3. Immediately before `unlinkat` the victim is looked at again: another inode, size or mtime than planned,
//!    and it is kept and reported.
//! 4. Temporaries must be an hour old: a younger one may still be written. Python itself takes no lock and needs
//!    none: at worst it compiles once more.
//! 5. Killed at any instant, the store is still a valid store: files go one by one, a directory only after them
//!    and only if the kernel finds it empty.
//! 6. Errors are values: each is reported, the run goes on. Emptied directories go, the root stays.
//!
//! A dry run is the same plan, shown instead of executed.

pub mod execute;
pub mod plan;
pub mod policy;
pub mod scope;
pub mod victim;

pub use execute::{Failure, Outcome};
pub use plan::{Plan, Planner, Skipped};
pub use policy::{Budget, Circumstances, Clock, Policy, Selector, Verdict};
pub use scope::{Keep, Scope};
