//! Sweeping trees of sources: the bytecode that lies in them, made superfluous by the prefix.
//!
//! The safe successor of `find . | grep -E "(/__pycache__$|\.pyc$|\.pyo$)" | xargs rm -rf`, which removes `my/` for
//! `my proj/__pycache__`. The shape is that of [`crate::prune`]: a walk gathers facts, a plan lists files, the one
//! executor removes them.
//!
//! # Safety: what a sweep obeys
//!
//! 1. Only regular files whose names are those of bytecode: in a `__pycache__` what [`crate::layout`] reads as an entry
//!    or a temporary, beside sources `NAME.pyc` and `NAME.pyo` whose `NAME.py` is there. And only if their bytes 2–3 are
//!    `\r\n`. What else lies in a `__pycache__` keeps it: a directory goes only if the kernel finds it empty.
//! 2. `NAME.pyc` without `NAME.py` is a module that Python imports: it stays, unless it is asked for. In a `__pycache__`
//!    Python never loads anything whose source is gone.
//!    What git tracks stays in any case: it belongs to the project.
//! 3. Roots are opened once and vetted ([`root`]); below them everything goes by directory descriptor, with no symbolic
//!    link followed and no mount point crossed. What others manage is not entered ([`walk`]).
//! 4. Each file is looked at again immediately before it is removed, as in a prune, and so is the `NAME.py` beside it;
//!    temporaries must be an hour old.
//! 5. What is moved into the store ([`adopt`]) is what the store's own verdict calls fresh, never takes the place of
//!    what is fresh there already, and is removed only when it is in place.

pub mod adopt;
mod companion;
pub mod execute;
pub mod found;
pub(crate) mod git_index;
pub mod look;
pub mod place;
pub mod plan;
mod repository;
pub mod root;
pub mod walk;

pub use adopt::NotAdopted;
pub use execute::{Outcome, Row, execute};
pub use plan::{Emptied, Kept, LeftAlone, Plan, Planner, Policy, Sourceless, Why};
pub use repository::Tracking;
pub use root::{Refusal, Root, System};
pub use walk::{Bounds, Destination, Environments, Reason, Walk};
