//! What is wrong with the store and around it, and what to do.
//!
//! * `facts`: everything that is judged. What the disk tells comes from the other rooms; what has to be asked, from `shells`,
//!   `systemd`, `cron` and `interpreters`, each by an inquiry of `ask` that has limited time to be answered.
//! * `variable`, `exposure`, `diagnosis`: pure, from facts to findings.
//!
//! # Invariants
//!
//! * Nothing is changed, and nothing is run that is not the user's own or root's.
//! * The terminal's configuration, its schedule and the history are handed over as values; the findings are returned.

mod ask;
pub mod cron;
mod diagnosis;
mod exposure;
mod facts;
mod finding;
mod interpreters;
mod place;
mod shells;
mod systemd;
mod variable;

pub use ask::AskError;
pub use diagnosis::diagnose;
pub use facts::{Coverage, Facts, KnownStore, NamedBy, OpenStore, Reads, Schedule, StoreState, Surroundings};
pub use finding::{Finding, Kind, Severity, sort};
pub use interpreters::{AskedInterpreter, Said};
pub use place::{Observed, Setting, Shell, Start, VariablePlace};
