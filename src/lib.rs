//! pycstore: the manager for CPython's global bytecode store.
//!
//! # The problem
//!
//! With `PYTHONPYCACHEPREFIX=~/.cache/cpython` Python keeps `__pycache__` out of every project and writes all
//! bytecode into one mirror tree: the entry for `/a/b.py` is `~/.cache/cpython/a/b.cpython-312.pyc`. Python only
//! ever adds to that tree. Deleted virtualenvs, renamed projects, upgraded interpreters, temporary build
//! environments and interrupted writes stay in it forever.
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
//! The folders stand in that order, and each uses only those above it:
//!
//! ```text
//!  units/    sizes, ages, moments, tallies
//!  pyc/      words      names and paths of entries, headers, magic numbers, hashes, marshalled code
//!  host/     facts      the operating system: directories, mounts, accounts, who may change a path, threads, processes
//!  source/   facts      whether a source exists, what deleted it, which project owns it, which interpreter loads it
//!  store/    facts      the tree and its lock, its entries, the scan; bytecode in trees of sources
//!  verdict/  decisions  status, usage, policy and plan, findings: pure, with the time as an argument
//!  effect/   effects    removing, sweeping, compiling: the only code that changes the disk
//!  edits/    all three  for text files of the user: a marked block is planned, shown, and added or removed
//!  setup/    schedule/  which files setup and schedule edit, and what they tell a scheduler
//!  doctor/   facts      what is wrong with the store and around it, as findings
//!  warm/     decisions  what is to be compiled ahead of use, and by which interpreter
//!  cli/      terminal   the binary: a file or folder for each command; not in this library
//! ```
//!
//! # Invariants
//!
//! * Truth: `fresh` and `stale` are what CPython itself answers when asked through `importlib` about the same file.
//! * Trust: nothing is removed that a plan does not list, and a plan lists only regular files whose names parse as
//!   entries or temporaries below the vetted root ([`effect`] has the whole list).
//! * Root becomes the owner: on another user's store the program starts itself again as that user before it looks at anything
//!   ([`host::path_owner`] says who that is, [`host::contained`] how it is started).
//! * The library never touches the terminal, the environment, the clock or the user's configuration.

pub mod units;

pub mod pyc;

pub mod host;

pub mod source;

pub mod store;

pub mod verdict;

pub mod effect;

pub mod complaint;
pub mod crontab;
pub mod doctor;
pub mod edits;
pub mod environment;
pub mod exit;
pub mod history;
pub mod json;
pub mod quoting;
pub mod schedule;
pub mod setup;
pub mod warm;

/// Checks of the parsers against any bytes, for the fuzzer and for the tests that replay its corpus.
#[cfg(any(test, fuzzing))]
#[path = "../tests/hostile/library.rs"]
pub mod hostile;

// The fuzzer (`tests/fuzz`) links the library alone; this is the binary's half for it.
#[cfg(fuzzing)]
#[allow(missing_docs, dead_code, reason = "the binary uses the rest")]
pub mod cli;
#[cfg(any(test, fuzzing))]
extern crate self as pycstore;
