//! Entries that CPython opened by a path with `..` behind a link: the path that they record is theirs if it leads to them.

use crate::facts::{Facts, Wanted};
use crate::record::QUESTIONS;
use crate::support::compiled::{compiled_by, compiled_with};
use crate::support::ordinary::as_ordinary_user;
use crate::tree::{Tree, bytecode};
use pycstore::pyc::{Magic, SourceHasher};
use pycstore::store::scan::Question;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// A project with a link to a directory of another one, through which `link/../m.py` is `real/m.py`.
struct Site {
    tree: Tree,
    /// The directory that the link leads to the directory below of.
    real: PathBuf,
}

type Status = Option<(&'static str, Option<&'static str>)>;

const GONE: Status = Some(("orphan", Some("source")));

impl Site {
    fn new() -> Site {
        let tree = Tree::new();
        let real = tree.project.with_file_name("real");
        fs::create_dir_all(real.join("deep")).unwrap();
        symlink(real.join("deep"), tree.project.join("link")).unwrap();
        fs::create_dir(tree.mirror("link")).unwrap();
        Site { tree, real }
    }

    /// A source in the directory behind the link.
    fn source(&self, name: &str) -> PathBuf {
        self.tree.source(self.real.join(name))
    }

    /// The entry at the mirror of `usual` that was compiled by `path`, both from the project.
    fn entry(&self, usual: &str, path: &str) -> PathBuf {
        self.tree.entry(usual, &compiled_by(&bytecode(), &self.tree.project.join(path)))
    }

    #[track_caller]
    fn assert(&self, facts: &Facts, question: Question, expected: &[(&Path, Status, Option<&Path>)]) {
        for (entry, status, source) in expected {
            let said = &facts.files[*entry];
            let is_judged = question != Question::Orphans || *status != Some(("fresh", None));
            assert_eq!(said.status, status.filter(|_| is_judged), "{question:?} {}", entry.display());
            if let Some(source) = source {
                assert_eq!(said.source.as_deref(), Some(*source), "{question:?}");
            }
        }
    }
}

#[test]
fn beside_a_link_every_entry_is_asked() {
    let site = Site::new();
    let ordinary = site.entry("a.py", "a.py");
    let source = site.source("m.py");
    let entry = site.entry("m.py", "link/../m.py");
    let last = site.entry("z.py", "z.py");
    // Below the link's directory as well.
    let below = site.source("sub/m.py");
    fs::create_dir_all(site.tree.project.join("sub")).unwrap();
    fs::write(site.tree.project.join("sub/README"), "").unwrap();
    let entry_below = site.entry("sub/m.py", "link/../sub/m.py");
    let ordinary_below = site.entry("sub/a.py", "sub/a.py");
    for question in QUESTIONS {
        let facts = Wanted::of(question).scan(&site.tree.store);
        site.assert(
            &facts,
            question,
            &[
                (&ordinary, GONE, None),
                (&entry, Some(("fresh", None)), Some(&source)),
                (&last, GONE, None),
                (&ordinary_below, GONE, None),
                (&entry_below, Some(("fresh", None)), Some(&below)),
            ],
        );
    }
    fs::remove_file(&source).unwrap();
    for question in QUESTIONS {
        let facts = Wanted::of(question).scan(&site.tree.store);
        site.assert(&facts, question, &[(&entry, GONE, Some(&source))]);
    }
}

#[test]
fn a_recorded_path_counts_only_where_it_leads_to_the_entry() {
    let site = Site::new();
    let source = site.source("m.py");
    site.source("n.py");
    fs::create_dir(site.tree.project.join("other")).unwrap();
    fs::write(site.tree.project.join("other/README"), "").unwrap();
    // A copy in another directory, one under another name, one that was not compiled by way of the link.
    let moved = site.entry("other/m.py", "link/../m.py");
    let renamed = site.entry("o.py", "link/../n.py");
    let real = site.entry("n.py", source.with_file_name("n.py").to_str().unwrap());
    // By a directory below the link, so that what becomes of the link is met on the way.
    fs::create_dir(site.real.join("deep/below")).unwrap();
    fs::create_dir(site.tree.mirror("link/below")).unwrap();
    let entry = site.entry("m.py", "link/below/../../m.py");
    let assert = |expected| {
        for question in QUESTIONS {
            let facts = Wanted::of(question).scan(&site.tree.store);
            assert!(facts.troubles.is_empty(), "{:?}", facts.troubles);
            site.assert(&facts, question, &[(&entry, expected, None)]);
            site.assert(
                &facts,
                question,
                &[(&moved, GONE, None), (&renamed, GONE, None), (&real, GONE, None)],
            );
        }
    };
    assert(Some(("fresh", None)));
    // CPython cannot open it by that path without the directories of the store, and follows a link there elsewhere.
    let way = site.tree.mirror("link");
    fs::remove_dir_all(&way).unwrap();
    assert(GONE);
    symlink(&way, &way).unwrap();
    assert(GONE);
    fs::remove_file(&way).unwrap();
    fs::write(&way, "").unwrap();
    assert(GONE);
}

#[test]
fn a_way_through_the_store_that_may_not_be_looked_at_leaves_it_open() {
    let site = Site::new();
    site.source("m.py");
    let entry = site.entry("m.py", "link/../m.py");
    let way = site.tree.mirror("link");
    let scans = as_ordinary_user(&site.tree.base, || {
        fs::set_permissions(&way, PermissionsExt::from_mode(0o000)).unwrap();
        let scans = QUESTIONS.map(|question| Wanted::of(question).scan(&site.tree.store));
        fs::set_permissions(&way, PermissionsExt::from_mode(0o755)).unwrap();
        scans
    });
    for (facts, question) in scans.into_iter().zip(QUESTIONS) {
        site.assert(&facts, question, &[(&entry, Some(("unknown", Some("permission"))), None)]);
        let troubles: Vec<&Path> = facts.troubles.iter().map(|trouble| trouble.path()).collect();
        assert_eq!(troubles, [&way], "{question:?}: said once");
    }
}

#[test]
fn what_stands_at_a_recorded_path_and_is_no_file_leaves_it_open() {
    let site = Site::new();
    fs::create_dir(site.real.join("directory.py")).unwrap();
    symlink("circle.py", site.real.join("circle.py")).unwrap();
    let directory = site.entry("directory.py", "link/../directory.py");
    let circle = site.entry("circle.py", "link/../circle.py");
    for question in QUESTIONS {
        let facts = Wanted::of(question).scan(&site.tree.store);
        let expected = [
            (&*directory, Some(("unknown", Some("io"))), None),
            (&*circle, Some(("unknown", Some("loop"))), None),
        ];
        site.assert(&facts, question, &expected);
    }
}

#[test]
fn an_entry_that_is_younger_than_every_deletion_is_asked_as_well() {
    let site = Site::new();
    let source = site.source("m.py");
    let entry = site.entry("m.py", "link/../m.py");
    let ordinary = site.entry("n.py", "n.py");
    // Nothing was deleted since: by the mirror's path nothing can be told. The file system's clock is coarse.
    std::thread::sleep(std::time::Duration::from_millis(50));
    for path in [&entry, &ordinary] {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(std::time::SystemTime::now()).unwrap();
    }
    for question in QUESTIONS {
        let facts = Wanted::of(question).scan(&site.tree.store);
        site.assert(&facts, question, &[(&entry, Some(("fresh", None)), Some(&source))]);
        site.assert(&facts, question, &[(&ordinary, Some(("unknown", Some("no-trace"))), None)]);
    }
}

#[test]
fn a_recorded_source_is_hashed_for_an_entry_with_a_hash() {
    let site = Site::new();
    for (name, is_right) in [("m", true), ("n", false)] {
        let source = site.source(&format!("{name}.py"));
        let magic = Magic::of(3531);
        let mut hash = SourceHasher::new("cpython-312", magic).hash(fs::File::open(source).unwrap()).unwrap();
        hash[3] ^= u8::from(!is_right);
        let mut start = bytecode();
        start[4] = 3;
        start[8..16].copy_from_slice(&hash);
        let path = site.tree.project.join(format!("link/../{name}.py"));
        let entry = site.tree.entry(format!("{name}.py"), &compiled_by(&start, &path));
        let facts = Wanted::of(QUESTIONS[1]).scan(&site.tree.store);
        let expected = if is_right { ("fresh", None) } else { ("stale", Some("hash")) };
        site.assert(&facts, QUESTIONS[1], &[(&entry, Some(expected), None)]);
    }
}

/// Bytes of code before the path of an entry, and bytes after its code object.
const SIZES: [(usize, usize); 5] = [(0, 0), (0, 100_000), (100_000, 0), (100_000, 100_000), (2_000_000, 0)];

#[test]
fn a_large_entry_and_a_broken_one_are_read_for_their_path_as_well() {
    let site = Site::new();
    let path = |name: &str| site.tree.project.join("link/..").join(name);
    let mut expected = Vec::new();
    for (number, (code, rest)) in (0..).zip(SIZES) {
        let name = format!("large{number}.py");
        let source = site.source(&name);
        let body = [compiled_with(&bytecode(), &path(&name), code), vec![b'.'; rest]].concat();
        let entry = site.tree.entry(&name, &body);
        expected.push((entry, Some(("fresh", None)), Some(source)));
        // The path is in it, and nothing that Python could load.
        let name = format!("broken{number}.py");
        site.source(&name);
        let path = path(&name);
        let body = [&bytecode(), path.as_os_str().as_encoded_bytes(), &vec![b'.'; code + rest]].concat();
        expected.push((site.tree.entry(&name, &body), GONE, None));
    }
    for question in QUESTIONS {
        let facts = Wanted::of(question).scan(&site.tree.store);
        for (entry, status, source) in &expected {
            site.assert(&facts, question, &[(entry, *status, source.as_deref())]);
        }
    }
}
