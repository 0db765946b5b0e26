//! The scan at the level of the library: what it finds is what a plain sequential walk finds, however many threads
//! it has, and it stands a store that others change meanwhile.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test panics where something is wrong")]

mod alone;
mod changing;
mod dots;
mod facts;
mod hostile;
mod other_sources;
mod owners;
mod record;
mod single;
mod tree;
mod walk;

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod support;
