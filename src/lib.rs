//! pycstore: the manager for CPython's global bytecode store.
//!
//! # The problem
//!
//! With `PYTHONPYCACHEPREFIX=~/.cache/cpython` Python keeps `__pycache__` out of every project and writes all
//! bytecode into one mirror tree: the entry for `/a/b.py` is `~/.cache/cpython/a/b.cpython-312.pyc`. Python only
//! ever adds to that tree. Deleted virtualenvs, renamed projects, upgraded interpreters, temporary build
//! environments and interrupted writes stay in it for ever.
//!
//! This library maps each entry back to its source and its owner, judges by the pyc header what CPython would
//! still load, and removes the rest, safely enough for an unattended job.
//!
//! # The shape: facts → decisions → effects
//!
//! ```text
//!  Store::open ─► scan ─► Entry ─► status ─┬─► Usage ───────────────────────► table / JSON
//!    (vetted)   (parallel) (facts)  (pure) └─► Policy ─► Plan ──────────────► shown
//!                                                          └─► execute ─► Outcome ─► shown
//! ```
//!
//! * **Vocabulary**, pure: [`layout`] (names and paths), [`pyc`] (headers, magic numbers, hashes), [`tally`], [`treemap`] (geometry),
//!   [`units`].
//! * **Facts**, which read the disk and never judge: [`directory`], [`mounts`], [`store`], [`tree`], [`entry`], [`body`],
//!   [`scan`], [`source`], [`witness`], [`owner`], [`package`], [`interpreter`], [`source_tree`], [`other_stores`], [`accounts`],
//!   [`aliases`], [`sharing`], [`trust`], [`path_owner`], [`lock`],
//!   [`sweep::root`], [`sweep::walk`], [`contained`], [`isolated`], [`warm::choice`].
//! * **Decisions**, pure functions over facts, with *now* as an argument: [`status`], [`usage`], [`census`], [`exposure`],
//!   [`prune::policy`], [`prune::plan`], [`verify`], [`sweep::plan`].
//! * **Effects**: [`prune::execute`] alone deletes, from the store and for [`mod@sweep::execute`] from trees of sources;
//!   [`new_entry`] alone writes to the store, for [`sweep::adopt`] and [`mod@warm::compile`].
//! * The terminal is the binary's half and not in this library.
//!
//! # Invariants
//!
//! * Truth: `fresh` and `stale` are what CPython itself answers when asked through `importlib` about the same file.
//! * Trust: nothing is removed that a plan does not list, and a plan lists only regular files whose names parse as
//!   entries or temporaries below the vetted root ([`prune`] has the whole list).
//! * Root becomes the owner: on another user's store the program starts itself again as that user before it looks at anything
//!   ([`path_owner`] says who that is, [`contained`] how it is started).
//! * The library never touches the terminal, the environment, the clock or the user's configuration.

pub mod accounts;
pub mod aliases;
pub mod body;
pub mod census;
pub mod contained;
pub mod directory;
pub mod entry;
pub mod exposure;
/// Checks of the parsers against any bytes, for the fuzzer and for the tests that replay its corpus.
#[cfg(any(test, fuzzing))]
#[path = "../tests/hostile/library.rs"]
pub mod hostile;
pub mod interpreter;
pub mod isolated;
pub mod layout;
pub mod lock;
pub mod mounts;
pub mod new_entry;
pub mod other_stores;
pub mod owner;
pub mod package;
pub mod path_owner;
pub mod prune;
pub mod pyc;
pub mod scan;
pub mod sharing;
pub mod source;
pub mod source_tree;
pub mod status;
pub mod store;
pub mod sweep;
pub mod tally;
pub mod tree;
pub mod treemap;
pub mod trust;
pub mod units;
pub mod usage;
pub mod verify;
pub mod warm;
pub mod witness;

// The fuzzer (`tests/fuzz`) links the library alone; this is the binary's half for it.
#[cfg(fuzzing)]
#[allow(missing_docs, dead_code, reason = "the binary uses the rest")]
pub mod cli;
#[cfg(fuzzing)]
extern crate self as pycstore;
