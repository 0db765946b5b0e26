//! The program as its users meet it: one integration binary, a file per subcommand.
//!
//! Every test works in a temporary directory of its own and clears the environment of every command it starts.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test panics where something is wrong")]

mod confinement;
mod spool;
mod support;
mod terminal;
mod trace;

mod access_times;
mod case_insensitive;
mod completions;
mod config;
mod demo;
mod directories;
mod doctor;
mod doctor_variable;
mod du;
mod du_views;
mod edited_files;
mod forget;
mod hard_links;
mod history;
mod input;
mod inspect;
mod interpreters;
mod interruption;
mod layout;
mod ls;
mod man;
mod memory;
mod output;
mod owners;
mod prune;
mod receipt;
mod report;
mod root;
mod safety;
mod schedule;
mod selectors;
mod setup;
mod setup_shells;
mod sharing;
mod soak;
mod source;
mod spelled;
mod store;
mod strangers;
mod sweep;
mod sweep_adopt;
mod sweep_git;
mod unattended;
mod unknown;
mod verify;
mod warm;
mod which;
mod which_expected;
mod whole_store;
