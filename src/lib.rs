//! pycstore: the manager for CPython's global bytecode store.
//!
//! # The problem
//!
//! With `PYTHONPYCACHEPREFIX=~/.cache/cpython`, Python writes all bytecode into one mirror tree instead of a
//! `__pycache__` in each directory: the entry for `/a/b.py` is `~/.cache/cpython/a/b.cpython-312.pyc`. Python never
//! removes anything from that tree: the bytecode of deleted virtualenvs, renamed projects, upgraded interpreters and
//! temporary build environments, and the leftovers of interrupted writes, are never cleaned up.
//!
//! This library maps each entry back to its source and its owner, decides by the pyc header whether CPython would still
//! load it, and removes the other entries, safely enough for an unattended job.
//!
//! # The shape: facts → decisions → effects
//!
//! ```text
//!  Store::open ─► scan ─► Entry ─► status ─┬─► Usage ───────────────────────► table / JSON
//!    (vetted)   (parallel) (facts)  (pure) └─► Policy ─► Plan ──────────────► shown
//!                                                          └─► execute ─► Outcome ─► shown
//! ```
//!
//! The folders are listed in that order, and each uses only those above it. The small modules beside them (JSON, quoting,
//! crontabs, errors, exit codes, metrics as text, the surroundings as data) stand between `effect` and `edits`:
//!
//! ```text
//!  units/    sizes, ages, moments, tallies
//!  pyc/      words      names and paths of entries, headers, magic numbers, hashes, marshalled code
//!  host/     facts      the operating system: directories, mounts, accounts, who may change a path, threads, processes
//!  source/   facts      whether a source exists, what deleted it, which project owns it, which interpreter loads it
//!  store/    facts      the tree and its lock, its entries, the scan; bytecode in trees of sources
//!  verdict/  decisions  status, usage, policy and plan, findings: pure, with the time as an argument
//!  effect/   effects    removing, sweeping, compiling, sharing: the only code that changes the disk
//!  edits/    all three  for text files of the user: a marked block is planned, shown, and added or removed
//!  setup/    schedule/  which files setup and schedule edit, and what they tell a scheduler
//!  history/  all three  past runs of prune and share: one line of JSON each, and metrics
//!  report/   documents  the disk usage of a store, as JSON and as an HTML page
//!  doctor/   facts      what is wrong with the store and around it, as findings
//!  warm/     decisions  what is to be compiled ahead of use, and by which interpreter
//!  cli/      terminal   the binary: a file or folder for each command; not in this library
//! ```
//!
//! # Invariants
//!
//! * Truth: `fresh` and `stale` agree with what CPython's own `importlib` does with the same file.
//! * Safety: only what a plan lists is removed, and a plan lists only regular files below the vetted root whose names
//!   parse as entries or temporaries ([`effect`] has all rules).
//! * Entries that differ only in the path of the source may be hard links of one file. CPython corrects the path
//!   when it loads an entry, and replaces an entry instead of writing into it.
//! * Privileges: as root on another user's store, the program restarts itself as that user before it reads anything
//!   ([`host::path_owner`] finds the user, [`host::contained`] starts the process).
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
pub mod exposition;
pub mod history;
pub mod json;
pub mod paragraph;
pub mod quoting;
pub mod report;
pub mod schedule;
pub mod setup;
pub mod warm;

/// Checks of the parsers with arbitrary bytes, for the fuzzer and for the tests that replay its corpus.
#[cfg(any(test, fuzzing))]
#[path = "../tests/hostile/library.rs"]
pub mod hostile;

/// Makes pipes and sockets, for tests.
#[cfg(test)]
#[path = "../tests/support/special.rs"]
mod special_files;

/// Makes temporary directories, for tests.
#[cfg(test)]
#[path = "../tests/support/temporary.rs"]
mod temporary;

// The fuzzer (`tests/fuzz`) links the library alone; this is the binary's half for it.
#[cfg(fuzzing)]
#[allow(missing_docs, dead_code, reason = "the binary uses the rest")]
pub mod cli;
#[cfg(any(test, fuzzing))]
extern crate self as pycstore;
