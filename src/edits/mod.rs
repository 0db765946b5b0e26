//! Edits of the user's text files.

pub mod replace;
