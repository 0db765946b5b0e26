//! The scan at the level of the library: what it finds is what a plain sequential walk finds, however many threads
//! it has, and it stands a store that others change meanwhile.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test panics where something is wrong")]

mod alone;
mod changing;
#[path = "../support/compiled.rs"]
mod compiled;
mod dots;
mod facts;
mod hostile;
#[path = "../support/ordinary.rs"]
mod ordinary;
mod other_sources;
mod owners;
mod record;
mod single;
mod tree;
mod walk;
