//! The program and the machine: what needs a shell, cron, systemd, root, a mount namespace, a browser or a package index.
//!
//! A test that not every machine can run is ignored with its reason; `.ci/run` runs all of them.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test panics where something is wrong")]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod support;

mod access_times;
mod browser;
mod case_insensitive;
mod completions;
mod confined;
mod doctor;
mod doctor_variable;
mod edited_files;
mod encrypted;
mod every_user;
mod git;
mod layouts;
mod mounts;
#[cfg(target_os = "linux")]
mod network;
mod other_users;
mod packages;
mod plan_and_execute;
mod prometheus;
mod root;
mod schedule;
mod setup;
mod setup_shells;
mod share;
mod signals;
mod soak;
mod strangers;
