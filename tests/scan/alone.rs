//! One file looked at alone: the same is said of it as in a scan of the whole store.

use crate::facts::{Fact, Wanted, fact, with_scan};
use crate::hostile::{names, sources, special_files, statuses};
use crate::record::QUESTIONS;
use crate::support::ordinary::as_ordinary_user;
use crate::tree::Tree;
use pycstore::store::scan::{Question, Trouble};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What is said of one file of a store.
fn alone(store: &Path, file: &Path, question: Question) -> Result<Option<Fact>, Trouble> {
    let relative = file.strip_prefix(store).unwrap().as_os_str().as_bytes();
    with_scan(store, question, &[], |scan| scan.one(relative, fact))
}

#[test]
fn a_file_alone_is_what_it_is_in_the_whole_store() {
    let tree = Tree::new();
    statuses(&tree);
    sources(&tree);
    special_files(&tree);
    names(&tree);
    fs::write(tree.store.join("README"), "").unwrap();
    fs::write(tree.store.join("m.cpython-312.pyc"), "").unwrap();
    for question in QUESTIONS {
        let whole = Wanted::of(question).scan(&tree.store);
        assert!(whole.files.len() > 70, "{}", whole.files.len());
        for (path, expected) in &whole.files {
            let alone = alone(&tree.store, path, question).unwrap().unwrap();
            assert_eq!(alone, *expected, "{question:?} {}", path.display());
        }
    }
}

#[test]
fn what_is_no_file_is_nothing_alone() {
    let tree = Tree::new();
    let entry = tree.fresh("m.py");
    fs::write(tree.store.join("file"), "").unwrap();
    for question in QUESTIONS {
        for path in [
            tree.mirror("missing.cpython-312.pyc"),
            tree.mirror("missing/m.cpython-312.pyc"),
            tree.store.join("missing"),
            tree.mirror(""),
            tree.store.join(tree.store.join("tmp").file_name().unwrap()),
        ] {
            assert_eq!(alone(&tree.store, &path, question).unwrap(), None, "{}", path.display());
        }
        // What stands in a directory's place is said.
        for path in [entry.join("m.cpython-312.pyc"), tree.store.join("file/m.cpython-312.pyc")] {
            let trouble = alone(&tree.store, &path, question).unwrap_err();
            assert!(matches!(trouble, Trouble::Directory { .. }), "{trouble:?}");
        }
    }
}

#[test]
fn a_file_alone_that_may_not_be_looked_at_is_a_trouble() {
    let tree = Tree::new();
    let entry = tree.fresh("closed/m.py");
    let directory = entry.parent().unwrap();
    let troubles = as_ordinary_user(&tree.base, || {
        let set_mode = |mode| fs::set_permissions(directory, PermissionsExt::from_mode(mode)).unwrap();
        let mut troubles = Vec::new();
        // It can be opened and not searched, or not even opened.
        for mode in [0o400, 0o000] {
            set_mode(mode);
            troubles.extend(QUESTIONS.map(|question| alone(&tree.store, &entry, question).map(drop)));
            set_mode(0o755);
        }
        troubles
    });
    for (number, trouble) in troubles.into_iter().map(Result::unwrap_err).enumerate() {
        let is_as_expected = match &trouble {
            Trouble::File { path, .. } => number < QUESTIONS.len() && *path == entry,
            Trouble::Directory { path, .. } => number >= QUESTIONS.len() && path == directory,
            _ => false,
        };
        assert!(is_as_expected, "{number} {trouble:?}");
    }
}
