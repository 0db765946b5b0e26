//! The former name of [`crate::trust`], for what still uses it.

pub use crate::trust::{Step, Stranger, stranger, ways, ways_to};
