//! Effects: the only code that changes the disk. What is removed or written here was decided in [`crate::verdict`].
//!
//! # Safety: rules for deleting
//!
//! 1. Only regular files whose *name* parses as an entry or a temporary, below the opened root. A file of four bytes or
//!    more without `\r\n` in bytes 2–3 is not bytecode: only `--corrupt`, `--all` and a mark in `browse` remove it; every other
//!    selector keeps and reports it.
//! 2. The root is opened once and vetted ([`crate::store`]): it belongs to the user who runs us. On another user's store, root
//!    has restarted the program as that user ([`crate::host::contained`]), so that no link or directory of that user can misuse
//!    root's permissions. Below the root, all access is by directory descriptor, follows no symbolic link and crosses no mount
//!    point ([`crate::host::directory`]).
//! 3. Immediately before `unlinkat` the victim and its source are checked again: if the victim's inode, size or mtime is not the
//!    planned one, or its source exists again or changed, the victim is kept and reported ([`crate::verdict::victim`],
//!    [`crate::verdict::premise`]).
//! 4. Temporaries must be an hour old: a younger one may still be written. Python takes no lock and needs none: at
//!    worst it recompiles a module.
//! 5. If the process is killed at any moment, the store stays valid: files are removed one by one, and a directory only
//!    after its files and only if the kernel finds it empty.
//! 6. A directory is removed if it is empty and the directory that it mirrors is definitely deleted, which is checked again just
//!    before. `--all` and `forget` also remove the directories that they emptied ([`crate::verdict::emptied::DirectoryRule`]).
//!    All others stay: CPython opens `STORE/p/tests/../src/m.pyc` through `STORE/p/tests`, and in a shared store, empty
//!    directories may belong to other programs. In root's store the directories of other users stay: in a directory like `/tmp`
//!    anyone could take their names. The root stays, and so does anything on another device than the root: an empty btrfs
//!    subvolume can be removed like a directory.
//! 7. Whether a run would empty the whole store is determined before it begins ([`crate::verdict::remainder`]), so that the
//!    caller can ask the user.
//! 8. Errors are values: each is reported, and the run continues.
//!
//! # Sweeping trees of sources
//!
//! A sweep removes bytecode from source trees, where it is superfluous once the prefix is set.
//!
//! It replaces `find . | grep -E "(/__pycache__$|\.pyc$|\.pyo$)" | xargs rm -rf`, which removes `my/` for `my
//! proj/__pycache__`. As in a prune, a walk gathers facts, a plan lists files, and the same executor removes them.
//!
//! Rules of a sweep:
//!
//! 1. Only regular files whose names are those of bytecode: in a `__pycache__` what [`crate::pyc::name`] reads as an entry
//!    or a temporary, beside sources `NAME.pyc` and `NAME.pyo` whose `NAME.py` is there. Their bytes 2–3 must be `\r\n`.
//!    Any other file in a `__pycache__` keeps the directory: it is removed only if the kernel finds it empty.
//! 2. `NAME.pyc` without `NAME.py` is a module that Python imports: it stays, unless its removal is requested. In a
//!    `__pycache__` Python never loads a file without a source. Files that git tracks always stay: they belong to the
//!    project.
//! 3. Roots are opened once and vetted ([`crate::store::in_tree::root`]); below them, all access is by directory descriptor,
//!    follows no symbolic link and crosses no mount point. Directories that package managers or other tools manage are not
//!    entered ([`crate::store::in_tree::walk`]).
//! 4. Each file and the `NAME.py` beside it are checked again immediately before the removal, as in a prune;
//!    temporaries must be an hour old.
//! 5. Only files that the store's verdict calls fresh are moved into the store ([`adopt`]). A fresh entry there is not
//!    replaced, and the original is removed only after the new entry exists.
//!
//! # Sharing
//!
//! Equal entries become hard links of one file ([`mod@share`]).
//!
//! 1. Only entries that Python would load, that the store's user owns and that no other user may write to are
//!    shared, and only if [`crate::verdict::shareable`] has no reason against it: the kept file is loaded for all
//!    paths.
//! 2. Two files are equal if their cache tag, optimization, header, mode, user, group and source name are the same,
//!    and their bodies differ only in the directory in `co_filename`. Hashes only find candidates: the bytes are
//!    compared just before a link is made.
//! 3. The file that is kept has the mtime of the one that was written last ([`crate::verdict::shareable`] has the
//!    reason), and gets the latest access time of them all.
//! 4. A link is made under a temporary name, checked, and renamed over the entry: each path always has a complete
//!    entry. As in a prune, all paths are relative to directory descriptors, under the same lock.
//! 5. An entry that changed since the scan is left alone. If Python replaces one between the last check and the
//!    rename, its new entry is lost, and Python compiles the source again.
//!
//! # Compiling
//!
//! An interpreter compiles as `python -m compileall` does (`py_compile`), but gets the source and returns the entry
//! over a pipe; no source is run. Sources with a fresh entry are not compiled again. If the store has an entry of
//! an equal source, that gets one more link, or is copied ([`reuse`]).
//!
//! Which interpreters are run:
//!
//! The sources of an environment are compiled by its interpreter, and the owner of the environment controls what that
//! executes. So an interpreter found in a tree is run only if it, the targets of its links and all directories on the
//! path belong to us or to root, and no other user may write to them; for root, this applies to everything that it
//! executes ([`crate::host::trust::runner::Runners::trust`]).
//!
//! As root it runs as an unprivileged user ([`crate::host::trust::runner::Runners::unprivileged`]). Another user's interpreter
//! is not run as that user: root's Pythons would execute the bytecode that this user's process returned.

pub mod adopt;
mod companion;
pub mod compile;
pub mod expectation;
pub mod last_look;
pub mod new_entry;
pub mod outcome;
pub mod prove;
pub mod remove;
pub mod reuse;
pub mod share;
pub mod sweep;
