//! Entries whose usual source is missing where another file has the same stem: the entry itself says which was compiled.

use crate::facts::Wanted;
use crate::record::QUESTIONS;
use crate::support::compiled::{compiled_by, compiled_with};
use crate::tree::{Tree, bytecode};
use pycstore::store::scan::Question;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

type Status = Option<(&'static str, Option<&'static str>)>;

const FRESH: Status = Some(("fresh", None));
const GONE: Status = Some(("orphan", Some("source")));
const AMBIGUOUS: Status = Some(("unknown", Some("ambiguous")));

/// What is beside `m.py`, which is missing, and by which name the entry was compiled: what is said, and the source's name.
type Case = (&'static [&'static str], &'static str, Status, &'static str);

const CASES: &[Case] = &[
    (&["m.pyw"], "m.pyw", FRESH, "m.pyw"),
    (&["m.hy", "m.txt"], "m.hy", FRESH, "m.hy"),
    (&["m."], "m.", FRESH, "m."),
    // The file that was compiled is gone, whatever else has its stem.
    (&["m.txt"], "m.py", GONE, "m.py"),
    (&["m.txt"], "m.pyw", GONE, "m.py"),
    // The name that it says has another slot.
    (&["m.txt", "other.py"], "other.py", AMBIGUOUS, "m.py"),
    (&["m.txt", "m.more.py"], "m.more.py", AMBIGUOUS, "m.py"),
    (&["m.txt"], "other.py", AMBIGUOUS, "m.py"),
    (&["m.txt"], "", AMBIGUOUS, "m.py"),
    // No other file.
    (&[], "m.pyw", GONE, "m.py"),
    (&["n.pyw", "mm.pyw", "m.more.pyw", "m"], "m.pyw", GONE, "m.py"),
];

fn said(tree: &Tree, entry: &PathBuf, question: Question) -> (Status, Option<PathBuf>) {
    let fact = Wanted::of(question).scan(&tree.store).files[entry].clone();
    (fact.status, fact.source)
}

#[test]
fn the_entry_says_which_of_the_files_with_its_stem_was_compiled() {
    // Of a few entries each source is looked up, of more the directory of sources is listed.
    for (question, beside) in QUESTIONS.into_iter().flat_map(|it| [(it, 0), (it, 5)]) {
        for (files, compiled, status, source) in CASES {
            let tree = Tree::new();
            files.iter().for_each(|name| drop(tree.source(format!("d/{name}"))));
            fs::create_dir_all(tree.project.join("d")).unwrap();
            fs::write(tree.project.join("d/README"), "").unwrap();
            (0..beside).for_each(|number| drop(tree.fresh(format!("d/beside{number}.py"))));
            let path = tree.project.join("d").join(compiled);
            let body = if compiled.is_empty() { bytecode() } else { compiled_by(&bytecode(), &path) };
            let entry = tree.entry("d/m.py", &body);
            let case = format!("{question:?}, {files:?}, {compiled}");
            let is_judged = question != Question::Orphans || *status != FRESH;
            let expected = (status.filter(|_| is_judged), Some(tree.project.join("d").join(source)));
            assert_eq!(said(&tree, &entry, question), expected, "{case}");
        }
    }
}

#[test]
fn what_is_no_file_is_no_other_source() {
    for (question, beside) in QUESTIONS.into_iter().flat_map(|it| [(it, 0), (it, 5)]) {
        let tree = Tree::new();
        let directory = tree.project.join("d");
        fs::create_dir_all(directory.join("m.pyw")).unwrap();
        symlink("nothing", directory.join("n.pyw")).unwrap();
        symlink("nothing", directory.join("o.py")).unwrap();
        tree.source("d/o.txt");
        (0..beside).for_each(|number| drop(tree.fresh(format!("d/beside{number}.py"))));
        for (stem, compiled) in [("m", "m.pyw"), ("n", "n.pyw"), ("o", "o.py")] {
            let entry =
                tree.entry(format!("d/{stem}.py"), &compiled_by(&bytecode(), &directory.join(compiled)));
            let expected = (GONE, Some(directory.join(format!("{stem}.py"))));
            assert_eq!(said(&tree, &entry, question), expected, "{question:?} {compiled}");
        }
    }
}

#[test]
fn a_large_entry_says_it_as_well() {
    for (code, rest) in [(0, 100_000), (100_000, 0), (100_000, 100_000), (2_000_000, 0)] {
        let tree = Tree::new();
        let source = tree.source("d/m.pyw");
        tree.source("d/n.txt");
        let entries = ["m.pyw", "n.py"].map(|compiled| {
            let path = tree.project.join("d").join(compiled);
            let body = [compiled_with(&bytecode(), &path, code), vec![b'.'; rest]].concat();
            tree.entry(Path::new("d").join(compiled), &body)
        });
        // Cut short in the middle of its code.
        let cut = compiled_with(&bytecode(), &tree.project.join("d/o.pyw"), 2 * code);
        tree.source("d/o.pyw");
        let cut = tree.entry("d/o.py", &cut[..cut.len() - code - 10]);
        for question in QUESTIONS {
            let fresh = FRESH.filter(|_| question != Question::Orphans);
            assert_eq!(said(&tree, &entries[0], question), (fresh, Some(source.clone())), "{code} {rest}");
            assert_eq!(said(&tree, &entries[1], question).0, GONE, "{code} {rest}");
            assert_eq!(said(&tree, &cut, question).0, AMBIGUOUS, "{code} {rest}");
        }
    }
}
