//! What the disk says about sources: whether one exists, what deleted it, which project owns it, which interpreter loads it.
//!
//! Facts only: the verdicts over them are in [`crate::verdict`].

pub mod evidence;
pub mod interpreter;
pub mod listing;
pub mod opened;
pub mod owner;
pub mod package;
pub mod walk;
pub mod witness;

pub use evidence::{
    Answer, Evidence, Fate, Gone, PresentDirectory, Source, SourceDirectory, SourceFile, Why, is_missing,
    is_temporary_place,
};
