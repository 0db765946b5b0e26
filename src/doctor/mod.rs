//! Diagnosis: problems with the store and its environment, each with a hint.
//!
//! * `facts`: everything that the diagnosis depends on. Facts from the disk come from the other rooms; answers of other
//!   programs from `shells`, `systemd`, `cron` and `interpreters`, through `ask`, which limits the time for each answer.
//! * `variable`, `exposure`, `past_runs`, `diagnosis`: pure, from facts to findings.
//! * `metrics`: the number of findings, for Prometheus.
//!
//! # Invariants
//!
//! * Nothing is changed, and only programs of the user or root are run.
//! * Configuration, schedule and history are arguments; the findings are returned.

mod ask;
pub mod cron;
mod diagnosis;
mod exposure;
mod facts;
mod finding;
mod interpreters;
mod metrics;
mod past_runs;
mod place;
mod shells;
mod systemd;
mod variable;

pub use ask::AskError;
pub use diagnosis::diagnose;
pub use facts::{Coverage, Facts, KnownStore, NamedBy, OpenStore, Reads, Schedule, StoreState, Surroundings};
pub use finding::{Finding, Kind, Severity, sort};
pub use interpreters::{AskedInterpreter, Said};
pub use metrics::Examination;
pub use place::{Observed, Setting, Shell, Start, VariablePlace};
