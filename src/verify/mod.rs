//! What headers cannot tell of the entries that Python would load.
//!
//! An entry can pass every test of its header and still break every import or run old code:
//!
//! * its **body** is no code object: every import raises (`EOFError`, `ValueError`) until a person removes the entry;
//! * it is **racy**: the source was changed after it was compiled, but within the second and without a change of
//!   size, and the old code runs (what git calls racily clean);
//! * the source's mtime is **frozen** (0, 1, `SOURCE_DATE_EPOCH`, one for a whole tree), as Nix, OSTree and images
//!   make it: a change that keeps the size is invisible;
//! * it was **moved**: it was compiled from a source elsewhere;
//! * it is **forged** or **outdated**: it is not what the source compiles to. Only the interpreter itself proves
//!   that ([`recompile`]).
//!
//! Only fresh entries are looked at: what else is wrong with others, Python recompiles them.

pub mod finding;
pub mod inspector;
pub mod recompile;

pub use finding::{Finding, Severity, What};
pub use inspector::{Candidate, Inspection, Inspector};
