//! Bytecode in trees of sources: the `__pycache__` directories and `.pyc` files that `sweep` removes.
//!
//! The walk gathers facts; [`crate::verdict::sweep`] plans, [`mod@crate::effect::sweep`] removes. The rules that protect files
//! are in [`crate::effect`].

pub mod choice;
pub mod found;
pub(crate) mod git_index;
pub mod look;
pub mod place;
pub mod repository;
pub mod root;
pub mod walk;
