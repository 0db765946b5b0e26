//! Output: a file for each kind. Output that several commands share is here, so that no command imports another.

pub mod bar;
pub mod comma_separated;
pub mod complain;
pub mod diff;
pub mod entry;
pub mod owner;
pub mod path;
pub mod progress;
pub mod style;
pub mod table;
pub mod terminal;
