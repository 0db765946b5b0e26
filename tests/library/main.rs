//! The library at its public interface, one file for each module whose tests need no more than that.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test panics where something is wrong")]

#[path = "../support/special.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod special;

mod evidence;
mod interpreters;
mod policy;
