//! Past runs of `prune`, kept outside the store.
//!
//! * `run`: one run as a line of JSON.
//! * `journal`: the file of such lines that each store has, and when the next run is due.
//! * `show`: `pycstore history`.
//!
//! The files are `$XDG_STATE_HOME/pycstore/<hash of the store's real path>/history.jsonl`, else below
//! `~/.local/state`. Nothing of this is ever written into a store: whoever deletes a store keeps its history.

#[cfg_attr(not(test), expect(dead_code, reason = "until `prune` records its runs"))]
mod journal;
mod run;
mod show;

#[cfg_attr(not(test), expect(unused_imports, reason = "until `prune` records its runs"))]
pub use journal::{Due, Journal, JournalError};
#[cfg_attr(not(test), expect(unused_imports, reason = "until `prune` records its runs"))]
pub use run::Run;
pub use show::run;
