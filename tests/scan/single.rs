//! Single facts of a scan: what is asked of a directory, what is hashed, what changes while it runs, where it ends.

use crate::facts::{Facts, Wanted};
use crate::record::QUESTIONS;
use crate::support::compiled::compiled_by;
use crate::tree::{Tree, bytecode};
use pycstore::pyc::{Magic, SourceHasher, UncheckedHashes};
use pycstore::source::owner::Presence;
use pycstore::store::scan::{Question, Trouble};
use rustix::fs::{FallocateFlags, Mode, OFlags};
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

const EVERYTHING: Question = QUESTIONS[1];

#[test]
fn a_directory_is_looked_at_where_everything_is_asked_or_it_may_go() {
    let tree = Tree::new();
    fs::write(tree.project.join("README"), "").unwrap();
    tree.fresh("living/m.py");
    tree.orphan("gone/m.py");
    fs::create_dir(tree.mirror("living/__pycache__")).unwrap();
    for question in QUESTIONS {
        let facts = Wanted::of(question).scan(&tree.store);
        let of = |path: &str| facts.directories[&tree.mirror(path)];
        let is_everything = question == EVERYTHING;
        assert_eq!(of(""), (Presence::Present, is_everything));
        assert_eq!(of("living"), (Presence::Present, is_everything));
        assert_eq!(of("living/__pycache__"), (Presence::Unreachable, is_everything));
        assert_eq!(of("gone"), (Presence::Absent, true));
    }
}

#[test]
fn an_empty_directory_goes_by_its_own_age() {
    let tree = Tree::new();
    fs::write(tree.project.join("README"), "").unwrap();
    fs::create_dir_all(tree.mirror("old/empty")).unwrap();
    // The clock of the file system is coarse.
    let wait = || std::thread::sleep(Duration::from_millis(50));
    wait();
    for name in ["old", "new", "full"] {
        fs::create_dir_all(tree.project.join(name).join("empty")).unwrap();
        fs::remove_dir_all(tree.project.join(name)).unwrap();
    }
    wait();
    // What Python made on its way to something else, after the deletion. What is in a directory tells more.
    fs::create_dir(tree.mirror("new")).unwrap();
    tree.orphan("full/m.py");
    fs::create_dir_all(tree.mirror("full/deep")).unwrap();
    let knows_age = fs::metadata(&tree.store).unwrap().created().is_ok();
    let by_age = if knows_age { Presence::Absent } else { Presence::Unreachable };
    for question in QUESTIONS {
        let facts = Wanted::of(question).scan(&tree.store);
        for (path, expected) in [
            ("old", Presence::Absent),
            ("old/empty", by_age),
            ("new", Presence::Unreachable),
            ("full", Presence::Absent),
            ("full/deep", Presence::Unreachable),
        ] {
            assert_eq!(facts.directories[&tree.mirror(path)].0, expected, "{path}");
        }
    }
}

#[test]
fn what_takes_a_directorys_name_during_a_scan_is_no_trouble() {
    let tree = Tree::new();
    for name in ["file", "link", "circle", "gone", "stays"] {
        tree.fresh(format!("{name}/m.py"));
        tree.fresh(format!("{name}/below/m.py"));
    }
    let mirror = tree.mirror("");
    let swap = |seen: &Path| {
        if seen != mirror {
            return;
        }
        for name in ["file", "link", "circle", "gone"] {
            fs::rename(mirror.join(name), tree.base.join(name)).unwrap();
        }
        fs::write(mirror.join("file"), "").unwrap();
        symlink(tree.base.join("link"), mirror.join("link")).unwrap();
        symlink("circle", mirror.join("circle")).unwrap();
    };
    let facts = Wanted { act: &swap, ..Wanted::of(EVERYTHING) }.scan(&tree.store);
    assert!(facts.troubles.is_empty(), "{:?}", facts.troubles);
    let found: Vec<&Path> = facts.files.keys().map(PathBuf::as_path).collect();
    let stays = ["stays/below/m.cpython-312.pyc", "stays/m.cpython-312.pyc"].map(|name| mirror.join(name));
    assert_eq!(found, [&stays[0], &stays[1]]);
}

#[test]
fn a_scan_within_sees_the_way_there_and_what_is_below() {
    let tree = Tree::new();
    for module in ["a/m.py", "a/b/m.py", "a/b/c/m.py", "ab/m.py", "z/m.py"] {
        tree.fresh(module);
    }
    let within = [tree.project.join("a/b"), tree.project.join("z/m.py")];
    for question in QUESTIONS {
        let facts = Wanted { within: &within, ..Wanted::of(question) }.scan(&tree.store);
        let below = facts.directories.keys().filter_map(|path| path.strip_prefix(tree.mirror("")).ok());
        let below: Vec<&str> = below.map(|path| path.to_str().unwrap()).collect();
        assert_eq!(below, ["", "a", "a/b", "a/b/c", "z"]);
    }
}

/// Makes directories below one another until the path from the store's root is this long, and files in the last.
fn chain(tree: &Tree, bytes: usize) {
    let relative = |path: &Path| path.strip_prefix(&tree.store).unwrap().as_os_str().len();
    let mut length = relative(&tree.mirror("chain"));
    fs::create_dir(tree.mirror("chain")).unwrap();
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut directory = rustix::fs::open(tree.mirror("chain"), flags, Mode::empty()).unwrap();
    while length < bytes {
        // No name is left that would be too short to be one.
        let name = match bytes - length - 1 {
            rest @ ..=255 => "n".repeat(rest),
            256..=260 => "n".repeat(100),
            _ => "n".repeat(255),
        };
        rustix::fs::mkdirat(&directory, &*name, Mode::from_raw_mode(0o755)).unwrap();
        directory = rustix::fs::openat(&directory, &*name, flags, Mode::empty()).unwrap();
        length += 1 + name.len();
    }
    for name in ["m.cpython-312.pyc", "README"] {
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::openat(&directory, name, flags, Mode::from_raw_mode(0o644)).unwrap();
    }
}

#[test]
fn a_directory_at_the_longest_path_is_seen_and_none_at_a_longer_one() {
    const LONGEST: usize = 4095;
    for (bytes, is_seen) in
        [(LONGEST - 1, true), (LONGEST, true), (LONGEST + 1, false), (LONGEST + 300, false)]
    {
        let tree = Tree::new();
        fs::write(tree.project.join("README"), "").unwrap();
        chain(&tree, bytes);
        for question in QUESTIONS {
            let facts = Wanted::of(question).scan(&tree.store);
            let relative = |path: &PathBuf| path.strip_prefix(&tree.store).unwrap().as_os_str().len();
            let longest = facts.directories.keys().map(relative).max().unwrap();
            assert!(longest <= LONGEST && (longest == bytes) == is_seen, "{bytes}: {longest}");
            let said: Vec<String> = facts.troubles.iter().map(said).collect();
            let expected: &[&str] = if is_seen { &[] } else { &["File name too long"] };
            assert_eq!(said, expected, "{bytes}");
        }
        // No path leads to its end.
        let removed = std::process::Command::new("rm").arg("-r").arg(tree.mirror("chain")).status();
        assert!(removed.unwrap().success());
    }
}

/// What the system said of a directory.
fn said(trouble: &Trouble) -> String {
    let Trouble::Directory { source, .. } = trouble else { panic!("{trouble:?}") };
    source.to_string().split(" (").next().unwrap().to_string()
}

/// An entry with this magic, these flags and this hash.
fn hashed(magic: u16, flags: u8, hash: [u8; 8]) -> Vec<u8> {
    let mut bytes = bytecode();
    bytes[..2].copy_from_slice(&magic.to_le_bytes());
    bytes[4] = flags;
    bytes[8..16].copy_from_slice(&hash);
    compiled_by(&bytes, Path::new("m.py"))
}

fn scan_one(
    tree: &Tree,
    entry: &Path,
    unchecked: UncheckedHashes,
) -> (Facts, Option<Result<[u8; 8], &'static str>>) {
    let facts = Wanted::of(Question::Everything(unchecked)).scan(&tree.store);
    let hash = facts.files[entry].hash;
    (facts, hash)
}

#[test]
fn a_source_is_hashed_where_an_import_would_and_no_other() {
    use UncheckedHashes::{Check, Trust};
    let tree = Tree::new();
    let source = tree.source("m.py");
    let read = || fs::File::open(&source).unwrap();
    let hash = SourceHasher::new("cpython-312", Magic::of(3531)).hash(read()).unwrap();
    for (contents, unchecked, is_hashed) in [
        (hashed(3531, 3, hash), Trust, true),
        (hashed(3531, 3, [0; 8]), Trust, true),
        (hashed(3531, 1, hash), Check, true),
        (hashed(3531, 1, hash), Trust, false),
        (hashed(3531, 0, hash), Check, false),
        (hashed(3530, 3, hash), Check, false),
        (bytecode(), Check, false),
    ] {
        let entry = tree.entry("m.py", &contents);
        let (facts, found) = scan_one(&tree, &entry, unchecked);
        assert_eq!(found, is_hashed.then_some(Ok(hash)), "{:?} {unchecked:?}", &contents[..8]);
        assert!(facts.troubles.is_empty());
    }
}

#[test]
fn what_is_too_large_for_a_source_is_not_hashed() {
    const LARGEST: u64 = 256 << 20;
    let tree = Tree::new();
    let source = tree.source("m.py");
    let entry = tree.entry("m.py", &hashed(3531, 3, [7; 8]));
    let mut file = fs::File::options().write(true).open(&source).unwrap();
    // As much as has blocks of its own on any file system.
    file.write_all(&[b'#'; 8192]).unwrap();
    let too_large = || {
        let (facts, found) = scan_one(&tree, &entry, UncheckedHashes::Trust);
        assert_eq!(found, Some(Err("too-large")));
        assert_eq!(facts.files[&entry].status, Some(("unknown", Some("too-large"))));
        assert!(facts.troubles.is_empty(), "{:?}", facts.troubles);
    };
    // Sparse files cost nothing, and reading them takes as long as it takes.
    for length in [LARGEST + 1, LARGEST, 64 << 20] {
        file.set_len(length).unwrap();
        too_large();
    }
    // A megabyte of nothing may be one.
    file.set_len(1 << 20).unwrap();
    let (_, found) = scan_one(&tree, &entry, UncheckedHashes::Trust);
    assert!(matches!(found, Some(Ok(_))), "{found:?}");
    // Its room is taken where the file system can do that without writing.
    if rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, LARGEST + 1).is_ok() {
        too_large();
    }
}
