//! How things are shown: one file a kind of output. What several commands show alike is here, so that none imports another.

pub mod comma_separated;
pub mod complain;
pub mod diff;
pub mod entry;
pub mod html;
pub mod json;
pub mod owner;
pub mod paragraph;
pub mod path;
pub mod progress;
pub mod style;
pub mod table;
pub mod tags;
pub mod terminal;
pub mod treemap;
pub mod usage;
