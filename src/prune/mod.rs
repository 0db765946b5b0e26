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
//! 6. What would empty a whole store is found out before it begins ([`remainder`]): the caller asks the user.
//! 7. Errors are values: each is reported, the run goes on. Emptied directories go, the root stays.
//!
//! A dry run is the same plan, shown instead of executed.
//!
//! # One scan or two
//!
//! What a selector takes is known at each entry, so one scan plans it. What a budget evicts ([`cut_off`]) is known when all
//! entries were seen: a first scan finds the cut-off, the second plans. So no prune holds more than a part of the store:
//! sixteen bytes of each entry that a budget may evict, victims up to a limit ([`plan::Overflow`]), and the paths of
//! directories that go.

pub mod cut_off;
pub mod emptied;
pub mod execute;
pub mod judge;
pub mod plan;
pub mod policy;
pub mod remainder;
pub mod scope;
pub mod victim;

pub use cut_off::{CutOff, Weigher};
pub use execute::{Execution, Expectation, Failure, Outcome};
pub use judge::Judge;
pub use plan::{Overflow, Plan, Planner, Skipped};
pub use policy::{Budget, Circumstances, Clock, Policy, Selector, Verdict};
pub use remainder::Remainder;
pub use scope::{Keep, Scope};
