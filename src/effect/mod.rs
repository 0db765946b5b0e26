//! Effects: the only code that changes the disk. What is removed or written here was decided in [`crate::verdict`].
//!
//! # Safety: what deleting obeys
//!
//! 1. Only regular files whose *name* parses as an entry or a temporary, below the opened root. What has four
//!    bytes or more and not `\r\n` in bytes 2–3 is no bytecode: only `--corrupt` and `--all` take it; every
//!    other selector keeps and reports it.
//! 2. The root is opened once and vetted ([`crate::store`]): it belongs to the user who runs us. On another user's store root
//!    has become that user before: the program started itself again ([`crate::host::contained`]), so that no link and no directory
//!    of theirs lends them root. Below it everything goes by directory descriptor,
//!    with no symbolic link followed and no mount point crossed ([`crate::host::directory`]).
//! 3. Immediately before `unlinkat` the victim is looked at again, and so is its source: another inode, size or mtime than
//!    planned, or a source that is there again or changed, and the victim is kept and reported ([`crate::verdict::victim`], [`crate::verdict::premise`]).
//! 4. Temporaries must be an hour old: a younger one may still be written. Python itself takes no lock and needs
//!    none: at worst it compiles once more.
//! 5. Killed at any instant, the store is still a valid store: files go one by one, a directory only after them
//!    and only if the kernel finds it empty.
//! 6. A directory goes with the directory that it mirrors: it is empty, and its source directory is definitely deleted,
//!    also when looked at again just before. `--all` and `forget` remove the directories that they emptied as well
//!    ([`crate::verdict::emptied::DirectoryRule`]). All others stay: CPython opens `STORE/p/tests/../src/m.pyc` through `STORE/p/tests`,
//!    and in a directory that other programs use, their empty directories are theirs. In root's store the directories of other
//!    users stay: in a directory like `/tmp` anyone could take their names. The root stays, and so does what lies on another device than the root: an empty btrfs subvolume can be removed like a directory.
//! 7. What would empty a whole store is found out before it begins ([`crate::verdict::remainder`]): the caller asks the user.
//! 8. Errors are values: each is reported, the run goes on.
//!
//! # Sweeping trees of sources
//!
//! A sweep removes the bytecode that lies in trees of sources, superfluous with the prefix.
//!
//! The safe successor of `find . | grep -E "(/__pycache__$|\.pyc$|\.pyo$)" | xargs rm -rf`, which removes `my/` for
//! `my proj/__pycache__`. The shape is that of [`crate::verdict`]: a walk gathers facts, a plan lists files, the one
//! executor removes them.
//!
//! What a sweep obeys:
//!
//! 1. Only regular files whose names are those of bytecode: in a `__pycache__` what [`crate::pyc::name`] reads as an entry
//!    or a temporary, beside sources `NAME.pyc` and `NAME.pyo` whose `NAME.py` is there. And only if their bytes 2–3 are
//!    `\r\n`. What else lies in a `__pycache__` keeps it: a directory goes only if the kernel finds it empty.
//! 2. `NAME.pyc` without `NAME.py` is a module that Python imports: it stays, unless it is asked for. In a `__pycache__`
//!    Python never loads anything whose source is gone.
//!    What git tracks stays in any case: it belongs to the project.
//! 3. Roots are opened once and vetted ([`crate::store::in_tree::root`]); below them everything goes by directory descriptor, with no symbolic
//!    link followed and no mount point crossed. What others manage is not entered ([`crate::store::in_tree::walk`]).
//! 4. Each file is looked at again immediately before it is removed, as in a prune, and so is the `NAME.py` beside it;
//!    temporaries must be an hour old.
//! 5. What is moved into the store ([`adopt`]) is what the store's own verdict calls fresh, never takes the place of
//!    what is fresh there already, and is removed only when it is in place.
//!
//! # Compiling
//!
//! An interpreter compiles the way that `python -m compileall` does (`py_compile`), but gets the source and returns the entry
//! over a pipe; nothing of a source is run. What the store has fresh already is not compiled again: the store's verdict is the
//! interpreter's own.
//!
//! Who runs whose interpreter:
//!
//! To compile the sources of an environment its interpreter is run, and whoever owns the environment decides what that
//! does. So one that is found in a tree is run only if it, what its links lead to and all directories on the way belong
//! to us or to root, and no stranger may write to them; for root all that it executes counts
//! ([`crate::host::trust::runner::Runners::trust`]).
//!
//! As root it runs as an unprivileged user ([`crate::host::trust::runner::Runners::unprivileged`]). Another user's interpreter
//! is not run as that user: root's Pythons would execute the bytecode that this user's process returned.

pub mod adopt;
mod companion;
pub mod compile;
pub mod last_look;
pub mod new_entry;
pub mod outcome;
pub mod prove;
pub mod remove;
pub mod sweep;
