//! What headers cannot tell of the entries that Python would load.
//!
//! An entry can pass every test of its header and still break every import or run old code:
//!
//! * its **body** is no code object: every import raises (`EOFError`, `ValueError`) until a person removes the entry;
//! * its hash is one that Python leaves **unchecked**, and not that of the source any more;
//! * it is **racy**: the source was changed after it was compiled, but within the second and without a change of
//!   size (what git calls racily clean);
//! * the source's inode was **changed** after the entry was written, with the same mtime and size: rsync, tar and mutation
//!   testers set the mtime back. So do chmod and copying without an edit, and so does each hard link;
//! * the sources' mtime is **frozen** (0, 1, 1980-01-01, 2020-02-02, `SOURCE_DATE_EPOCH`), as Nix, OSTree, images and
//!   build back ends set it: a change that keeps the size is invisible to Python;
//! * it was **moved**: it was compiled from a source elsewhere;
//! * it is a **mismatch**: it is not what the source compiles to. Only the interpreter itself proves that ([`recompile`]).
//!
//! Only fresh entries are looked at: what else is wrong with others, Python recompiles them. An entry whose magic or format
//! this program does not know is not checked.

pub mod finding;
pub mod inspector;
pub mod recompile;

pub use finding::{Finding, Severity, What};
pub use inspector::{Candidate, Inspection, Inspector};
