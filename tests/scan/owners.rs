//! Whose the entries are, as far as the store itself tells.

use crate::facts::{Fact, Wanted, fact, with_scan};
use crate::record::QUESTIONS;
use crate::tree::Tree;
use pycstore::source::owner::{Life, OwnerKind};
use pycstore::store::scan::Question;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What is said of a file, and whether it is said of it alone as well.
#[track_caller]
fn said_of(store: &Path, file: &Path, question: Question) -> Fact {
    let relative = file.strip_prefix(store).unwrap().as_os_str().as_bytes();
    let alone = with_scan(store, question, &[], |scan| scan.one(relative, fact)).unwrap().unwrap();
    let said = Wanted::of(question).scan(store).files[file].clone();
    assert_eq!(alone, said);
    said
}

/// A directory that is on every machine and nobody's, and a directory in it.
fn loose() -> (PathBuf, PathBuf) {
    let loose = PathBuf::from("/usr/share");
    let below = fs::read_dir(&loose).unwrap().map(Result::unwrap);
    let below = below.filter(|it| it.file_type().unwrap().is_dir()).map(|it| it.path()).min().unwrap();
    (loose, below)
}

#[test]
fn a_directory_of_nobodys_owns_what_is_below_if_it_has_entries() {
    let (loose, below) = loose();
    for (beside, owner) in [
        (&["m.cpython-312.pyc"][..], &loose),
        (&["README", "m.cpython-312.pyc", "zzz"], &loose),
        (&["m.cpython-312.pyc", "n.cpython-312.pyc"], &loose),
        // Nothing of these is an entry.
        (&[], &below),
        (&["README", "m.cpython-312.pyc.7", "m.pyc.old"], &below),
        (&["directory.cpython-312.pyc/README"], &below),
    ] {
        let tree = Tree::new();
        for name in beside {
            let path = tree.mirror_of(&loose).join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let entry = tree.entry(below.join("no-such-module.py"), b"");
        for question in QUESTIONS {
            let said = said_of(&tree.store, &entry, question);
            assert_eq!(said.owner, (owner.clone(), OwnerKind::Directory, Life::Alive, None), "{beside:?}");
        }
    }
}

#[test]
fn what_was_deleted_is_told_by_what_is_left_in_the_store() {
    let tree = Tree::new();
    fs::write(tree.project.join("README"), "").unwrap();
    let site = "lib/python3.12/site-packages/package/m.py";
    let of_environment = tree.orphan(Path::new(".venv").join(site));
    let of_part = tree.orphan("old/m.py");
    // The environment went with a part of the project, which is what is missing.
    let below_part = tree.orphan(Path::new("old/env").join(site));
    let below = tree.project.join(".venv");
    for question in QUESTIONS {
        let said = |entry: &Path| said_of(&tree.store, entry, question);
        let gone = (below.clone(), OwnerKind::Environment, Life::Gone, Some(below.clone()));
        assert_eq!(said(&of_environment).owner, gone);
        assert_eq!(said(&of_environment).status, Some(("orphan", Some("root"))));
        for entry in [&of_part, &below_part] {
            let alive = (tree.project.clone(), OwnerKind::Project, Life::Alive, None);
            assert_eq!(said(entry).owner, alive);
            assert_eq!(said(entry).status, Some(("orphan", Some("source"))));
        }
    }
}
