//! Removing entries: a policy condemns, a plan lists, the executor removes.
//!
//! # Safety: what deleting obeys
//!
//! 1. Only regular files whose *name* parses as an entry or a temporary, below the opened root. What has four
//!    bytes or more and not `\r\n` in bytes 2–3 is no bytecode: only `--corrupt` and `--all` take it; every
//!    other selector keeps and reports it.
//! 2. The root is opened once and vetted ([`crate::store`]): it belongs to the user who runs us. On another user's store root
//!    has become that user before: the program started itself again ([`crate::contained`]), so that no link and no directory
//!    of theirs lends them root. Below it everything goes by directory descriptor,
//!    with no symbolic link followed and no mount point crossed ([`crate::directory`]).
//! 3. Immediately before `unlinkat` the victim is looked at again, and so is its source: another inode, size or mtime than
//!    planned, or a source that is there again or changed, and the victim is kept and reported ([`victim`], [`premise`]).
//! 4. Temporaries must be an hour old: a younger one may still be written. Python itself takes no lock and needs
//!    none: at worst it compiles once more.
//! 5. Killed at any instant, the store is still a valid store: files go one by one, a directory only after them
//!    and only if the kernel finds it empty.
//! 6. A directory goes with the directory that it mirrors: it is empty, and its source directory is definitely deleted,
//!    also when looked at again just before. `--all` and `forget` remove the directories that they emptied as well
//!    ([`emptied::DirectoryRule`]). All others stay: CPython opens `STORE/p/tests/../src/m.pyc` through `STORE/p/tests`,
//!    and in a directory that other programs use, their empty directories are theirs. In root's store the directories of other
//!    users stay: in a directory like `/tmp` anyone could take their names. The root stays, and so does what lies on another device than the root: an empty btrfs subvolume can be removed like a directory.
//! 7. What would empty a whole store is found out before it begins ([`remainder`]): the caller asks the user.
//! 8. Errors are values: each is reported, the run goes on.
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
//! What a selector takes is known at each entry, so one scan plans it. What a budget evicts ([`cut_off`]) is known when all
//! entries were seen: a first scan finds the cut-off, the second plans. So no prune holds more than a part of the store:
//! sixteen bytes of each entry that a budget may evict, victims up to a limit ([`plan::Overflow`]), the paths of directories
//! that go, and a record of each inode with several hard links.

pub mod cut_off;
pub mod emptied;
pub mod execute;
pub mod judge;
pub mod links;
pub mod outcome;
pub mod plan;
pub mod policy;
pub mod premise;
pub mod remainder;
pub mod scope;
pub mod victim;

pub use cut_off::{CutOff, Weigher};
pub use execute::{Execution, Expectation};
pub use judge::Judge;
pub use outcome::{Failure, Outcome};
pub use plan::{Overflow, Plan, Planner, Skipped};
pub use policy::{Budget, Circumstances, Clock, Policy, Selector, Verdict};
pub use remainder::Remainder;
pub use scope::{Keep, Scope};
