//! The program as its users meet it: a file or folder for each command, named as in `src/cli`.
//!
//! Every test works in a temporary directory of its own and clears the environment of every command it starts. These
//! tests need a CPython, git and, where they stage mounts, `unshare`; `tests/host` has those that need more of the machine.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test panics where something is wrong")]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod support;

mod browse;
mod config;
mod demo;
mod doctor;
mod du;
mod forget;
mod history;
mod inspect;
mod interpreters;
mod ls;
mod man;
mod overview;
mod prune;
mod report;
mod schedule;
mod setup;
mod share;
mod source;
mod sweep;
mod verify;
mod warm;
mod which;

// Several commands.
mod input;
mod json;
mod layout;
mod memory;
mod output;
mod sharing;
mod spelled;
mod store;
