//! A tree that nobody in his senses would make, read by the scan and by a plain walk.

use crate::record::{Found, Known, QUESTIONS, manners, scan};
use crate::support::ordinary::as_ordinary_user;
use crate::support::special::{make_pipe, make_socket};
use crate::tree::{Tree, bytecode, name};
use crate::walk::walk;
use pycstore::store::scan::Question;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// How deep the deep directory lies below the project.
const DEPTH: usize = 130;
/// How many entries the wide directory has.
const WIDTH: usize = 5000;
/// How many directories another one has.
const DIRECTORIES: usize = 700;

/// Entries of every status that needs no permission bits.
pub fn statuses(tree: &Tree) {
    let changed = |at: usize, byte: u8| {
        let mut bytes = bytecode();
        bytes[at] = byte;
        bytes
    };
    tree.fresh("status/fresh.py");
    for (stem, contents) in [
        ("magic", changed(0, 0)),
        ("flags", changed(4, 4)),
        ("mtime", changed(8, 1)),
        ("size", changed(12, 7)),
        ("empty", Vec::new()),
        ("fifteen", bytecode()[..15].to_vec()),
        ("sixteen", bytecode()[..16].to_vec()),
        ("zeros", vec![0; 4096]),
    ] {
        tree.source(format!("status/{stem}.py"));
        tree.entry(format!("status/{stem}.py"), &contents);
        tree.entry(format!("status/{stem}-without-source.py"), &contents);
    }
    let mirror = tree.mirror("status");
    for name in ["fresh.cpython-312.pyc.140234866", "README", "fresh.pyc", "fresh.cpython-312.pyc.0"] {
        fs::write(mirror.join(name), bytecode()).unwrap();
    }
    fs::write(mirror.join("cut.cpython-312.pyc.77"), "").unwrap();
    fs::hard_link(mirror.join("fresh.cpython-312.pyc"), mirror.join("second-name.cpython-312.pyc")).unwrap();
    // Directories with an entry's name, and what in-tree caching would have made.
    tree.fresh("odd.cpython-312.pyc/inside.py");
    tree.orphan("gone.cpython-312.pyc/inside.py");
    tree.fresh("__pycache__/nobody.py");
    tree.orphan("__pycache__/below/nobody.py");
    fs::create_dir(tree.mirror("empty")).unwrap();
    // A whole project, and a part of one, that are gone.
    for module in ["one.py", "package/two.py", "package/sub/three.py"] {
        tree.orphan(tree.base.join("src/vanished").join(module));
        tree.orphan(format!("left/{module}"));
    }
    // A file where a directory of sources was.
    tree.orphan("replaced/module.py");
    fs::write(tree.project.join("replaced"), "a text, which is no archive\n").unwrap();
}

/// Sources that are no files, and files that are no usual sources.
pub fn sources(tree: &Tree) {
    let directory = tree.project.join("sources");
    for stem in ["directory", "link", "dangling", "loop", "pipe", "windowed", "hidden", "trailing", "long"] {
        tree.orphan(format!("sources/{stem}.py"));
    }
    fs::create_dir_all(directory.join("directory.py")).unwrap();
    let target = tree.source("elsewhere.py");
    symlink(target, directory.join("link.py")).unwrap();
    symlink("no-such-file", directory.join("dangling.py")).unwrap();
    symlink("loop.py", directory.join("loop.py")).unwrap();
    make_pipe(&directory.join("pipe.py")).unwrap();
    // The last two are those of other slots.
    for other in ["windowed.pyw", ".hidden", "trailing.", "long.name.py", "longer.pyw"] {
        fs::write(directory.join(other), "").unwrap();
    }
    // A directory of sources behind a link, and one behind a link to itself.
    symlink("sources", tree.project.join("linked")).unwrap();
    tree.orphan("linked/link.py");
    symlink("circle", tree.project.join("circle")).unwrap();
    tree.orphan("circle/module.py");
}

/// What is neither file nor directory, under the names of entries.
pub fn special_files(tree: &Tree) {
    let mirror = tree.mirror("special");
    fs::create_dir(&mirror).unwrap();
    let regular = tree.fresh("status/target.py");
    tree.source("special/link.py");
    symlink(&regular, mirror.join("link.cpython-312.pyc")).unwrap();
    symlink(regular.parent().unwrap(), mirror.join("to-directory")).unwrap();
    symlink(".", mirror.join("itself")).unwrap();
    symlink("../..", mirror.join("upwards")).unwrap();
    symlink("there", mirror.join("back")).unwrap();
    symlink("back", mirror.join("there")).unwrap();
    symlink("/", mirror.join("everything")).unwrap();
    make_pipe(&mirror.join("pipe.cpython-312.pyc")).unwrap();
    make_socket(&mirror.join("socket.cpython-312.pyc")).unwrap();
}

pub fn names(tree: &Tree) {
    let longest = [b'n'; 255 - ".cpython-312.pyc".len()];
    for stem in [&b"caf\xe9"[..], b"line\nbreak", b"\xff\xfe", b" ", b"-rf", b"tab\tquote'\"", &longest] {
        let module = name(&[stem, b".py"].concat());
        let directory = Path::new("names").join(name(stem));
        tree.fresh(Path::new("names").join(&module));
        tree.fresh(directory.join(&module));
        tree.orphan(directory.join("gone.py"));
        fs::write(tree.mirror(&directory).join(name(&[stem, b"\n"].concat())), "").unwrap();
    }
}

fn deep_and_wide(tree: &Tree) {
    let mut path = PathBuf::from("deep");
    for level in 0..DEPTH {
        path.push(format!("d{level}"));
        // From the hundredth level on the sources are gone.
        if level % 10 == 0 && level < 100 {
            tree.fresh(path.join("module.py"));
        } else if level % 7 == 0 {
            tree.orphan(path.join("module.py"));
        }
    }
    tree.orphan(path.join("deepest.py"));
    for number in 0..WIDTH {
        let module = format!("wide/m{number}.py");
        if number % 7 == 0 {
            tree.orphan(module)
        } else {
            tree.fresh(module)
        };
    }
    for number in 0..DIRECTORIES {
        let module = format!("directories/d{number}/m.py");
        if number % 5 == 0 {
            tree.orphan(module)
        } else {
            tree.fresh(module)
        };
    }
}

/// What may not be read, searched or entered; on both sides. The bits are set by [`lock`], last of all.
fn forbidden(tree: &Tree) {
    for directory in ["closed", "unlisted", "unsearched"] {
        for module in ["m.py", "n.py", "o.py", "p.py", "sub/q.py"] {
            // In the store, and among the sources.
            tree.fresh(format!("store-{directory}/{module}"));
            tree.fresh(format!("sources-{directory}/{module}"));
        }
        tree.orphan(format!("store-{directory}/gone.py"));
        tree.orphan(format!("sources-{directory}/gone.py"));
        tree.orphan(format!("sources-{directory}/other/gone.py"));
        fs::write(tree.mirror(format!("store-{directory}")).join("README"), "").unwrap();
        fs::write(tree.mirror(format!("store-{directory}")).join("m.cpython-312.pyc.5"), "").unwrap();
    }
    tree.fresh("unreadable/m.py");
    tree.orphan("unreadable/gone.py");
    fs::write(tree.mirror("unreadable").join("m.cpython-312.pyc.5"), "").unwrap();
}

fn lock(tree: &Tree, open: bool) {
    let set = |path: PathBuf, mode| {
        let mode = if open { 0o755 } else { mode };
        fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    for (directory, mode) in [("closed", 0o000), ("unlisted", 0o311), ("unsearched", 0o644)] {
        set(tree.mirror(format!("store-{directory}")), mode);
        set(tree.project.join(format!("sources-{directory}")), mode);
    }
    for name in ["m.cpython-312.pyc", "gone.cpython-312.pyc", "m.cpython-312.pyc.5"] {
        set(tree.mirror("unreadable").join(name), 0o000);
    }
}

/// How often each status was found, without reasons.
fn tallied(found: &Found) -> BTreeMap<&'static str, usize> {
    let mut tally = BTreeMap::new();
    for Known { status, .. } in found.files.values() {
        *tally.entry(status.map_or("not judged", |(name, _)| name)).or_default() += 1;
    }
    tally
}

fn reasons(found: &Found) -> BTreeSet<&'static str> {
    found.files.values().filter_map(|known| known.status?.1).collect()
}

/// Asserts that a scan found exactly what the walk found.
#[track_caller]
pub fn assert_same(scanned: &Found, walked: &Found, manner: &str) {
    let differ = |path: &&PathBuf| scanned.files.get(*path) != walked.files.get(*path);
    let all: BTreeSet<&PathBuf> = scanned.files.keys().chain(walked.files.keys()).collect();
    let different: Vec<String> = all
        .into_iter()
        .filter(differ)
        .map(|path| {
            format!("{path:?}\n  scan {:?}\n  walk {:?}", scanned.files.get(path), walked.files.get(path))
        })
        .collect();
    assert!(different.is_empty(), "{manner}:\n{}", different.join("\n"));
    assert_eq!(scanned.directories, walked.directories, "{manner}");
    assert_eq!(scanned.troubles, walked.troubles, "{manner}");
}

fn assert_all_manners_agree(tree: &Tree) -> [Found; 2] {
    let walked = QUESTIONS.map(|question| walk(&tree.store, question));
    for (question, resolving, threads) in manners() {
        let manner = format!("{question:?}, {resolving:?}, {threads:?}");
        let scanned = scan(&tree.store, question, resolving, threads).found();
        let expected = &walked[usize::from(question != Question::Orphans)];
        assert_same(&scanned, expected, &manner);
    }
    walked
}

#[test]
fn a_scan_finds_what_a_walk_finds() {
    let tree = Tree::new();
    statuses(&tree);
    sources(&tree);
    special_files(&tree);
    names(&tree);
    deep_and_wide(&tree);
    let [orphans, everything] = assert_all_manners_agree(&tree);
    assert!(everything.troubles.is_empty(), "{:?}", everything.troubles);
    // The tree has it all, and the walk saw it.
    let tally = tallied(&everything);
    let names: Vec<&str> = tally.keys().copied().collect();
    assert_eq!(names, ["corrupt", "foreign", "fresh", "orphan", "stale", "temporary", "unknown"]);
    assert!(tally["orphan"] > WIDTH / 7 + DIRECTORIES / 5 && tally["fresh"] > WIDTH / 2, "{tally:?}");
    assert_eq!(tallied(&orphans)["orphan"], tally["orphan"]);
    let expected = [
        "ambiguous",
        "flags",
        "loop",
        "magic",
        "mtime",
        "not-bytecode",
        "root",
        "size",
        "source",
        "truncated",
    ];
    assert_eq!(reasons(&everything), expected.into());
    let depth = |path: &PathBuf| path.components().count();
    let deepest = everything.files.keys().map(depth).max().unwrap();
    assert!(deepest > depth(&tree.mirror("")) + DEPTH, "{deepest}");
    assert!(everything.directories.values().any(|count| *count == DIRECTORIES));
}

#[test]
fn a_scan_tells_what_an_ordinary_user_may_not_read() {
    let tree = Tree::new();
    statuses(&tree);
    forbidden(&tree);
    let found = as_ordinary_user(&tree.base, || {
        lock(&tree, false);
        // The tree can be removed again whatever happens.
        let found =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| assert_all_manners_agree(&tree)));
        lock(&tree, true);
        found
    });
    let [_, everything] = found.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    assert!(reasons(&everything).contains("permission"));
    for path in ["store-closed", "store-unlisted", "store-unsearched/README", "unreadable/m.cpython-312.pyc"]
    {
        assert!(everything.troubles.contains(&tree.mirror(path)), "{path}: {:#?}", everything.troubles);
    }
}

#[test]
fn an_empty_store_has_one_directory() {
    let tree = Tree::new();
    fs::remove_dir_all(&tree.store).unwrap();
    fs::create_dir(&tree.store).unwrap();
    let [_, everything] = assert_all_manners_agree(&tree);
    assert_eq!(everything.directories, [(tree.store.clone(), 0)].into());
    assert!(everything.files.is_empty());
}
