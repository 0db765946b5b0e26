//! Past runs of `prune`, kept outside the store.
//!
//! * `run`: one run as a line of JSON.
//! * `journal`: the file of such lines that each store has, and when the next run is due.
//! * `metrics`: the same for Prometheus.
//!
//! The files are `$XDG_STATE_HOME/pycstore/<hash of the store's real path>/history.jsonl`, else below
//! `~/.local/state`. Nothing of this is ever written into a store: whoever deletes a store keeps its history.

pub mod journal;
pub mod metrics;
mod run;

pub use journal::{Due, Journal, JournalError, Latest, StateLock, newest};
pub use run::{Locked, Run};

#[cfg(test)]
pub mod tests;
