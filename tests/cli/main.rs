//! The program as its users meet it: one integration binary, a file per subcommand.
//!
//! Every test works in a temporary directory of its own and clears the environment of every command it starts.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test panics where something is wrong")]

mod confinement;
mod support;

mod config;
mod demo;
mod du;
mod du_views;
mod forget;
mod history;
mod inspect;
mod interpreters;
mod interruption;
mod layout;
mod ls;
mod man;
mod owners;
mod prune;
mod report;
mod safety;
mod selectors;
mod source;
mod store;
mod sweep;
mod sweep_adopt;
mod unattended;
mod unknown;
mod verify;
mod warm;
mod which;
mod which_expected;
