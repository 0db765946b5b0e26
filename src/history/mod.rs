//! Past runs of `prune`, kept outside the store.
//!
//! * `run`: one run as a line of JSON.
//! * `journal`: the file of these lines for each store, and when the next run is due.
//! * `metrics`: the same for Prometheus; `every_user`: for a job that runs as each user.
//!
//! The files are `$XDG_STATE_HOME/pycstore/<hash of the store's real path>/history.jsonl`, else below
//! `~/.local/state`. Nothing is written into the store: deleting a store keeps its history.

pub mod every_user;
pub mod journal;
pub mod metrics;
mod run;

pub use journal::{Due, Journal, JournalError, Latest, StateLock, newest};
pub use run::{Locked, Run, SHARE};

#[cfg(test)]
pub mod tests;
