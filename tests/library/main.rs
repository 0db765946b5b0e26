//! The library at its public interface, one file for each module whose tests need no more than that.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test panics where something is wrong")]

mod evidence;
mod interpreters;
mod policy;
