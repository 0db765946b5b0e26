//! A store is in use while it is scanned: Pythons write to it, others delete from it, sources come and go.

use crate::hostile::assert_same;
use crate::record::{QUESTIONS, Recorded, manners, scan};
use crate::support::special::{make_pipe, make_socket};
use crate::tree::{Tree, bytecode};
use crate::walk::walk;
use pycstore::store::scan::Question;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// The directories with entries that nobody touches.
const STABLE: usize = 20;
/// How often each kind of change is made at least, and each manner of scanning tried.
const CHANGES: u64 = 400;
const ROUNDS: u64 = 5;

type Status = Option<(&'static str, Option<&'static str>)>;

/// Makes the entries that nobody touches; returns what a scan that asks for everything has to say of them.
fn stable(tree: &Tree) -> BTreeMap<PathBuf, Status> {
    let mut expected = BTreeMap::new();
    for number in 0..STABLE {
        let module = |name: &str| format!("stable/d{number}/{name}.py");
        for name in ["a", "b", "c", "d", "e"] {
            expected.insert(tree.fresh(module(name)), Some(("fresh", None)));
        }
        for name in ["gone", "lost"] {
            expected.insert(tree.orphan(module(name)), Some(("orphan", Some("source"))));
        }
        let readme = tree.mirror(format!("stable/d{number}")).join("README");
        fs::write(&readme, "").unwrap();
        expected.insert(readme, Some(("foreign", None)));
    }
    expected
}

/// One change of a kind. They cross each other's way, so any step may fail.
type Change = fn(&Tree, u64);

/// Writes an entry that is older than anything that is deleted around it.
fn put(path: &Path) {
    if let Ok(mut file) = fs::File::create(path) {
        file.write_all(&bytecode()).ok();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)).ok();
    }
}

/// Writes entries as Python does, beside the stable ones, and deletes them.
fn write(tree: &Tree, turn: u64) {
    let directory = tree.mirror(format!("stable/d{}", turn % STABLE as u64));
    let entry = directory.join(format!("new{}.cpython-312.pyc", turn % 3));
    let temporary = directory.join(format!("new{}.cpython-312.pyc.{}", turn % 3, turn + 1));
    put(&temporary);
    fs::rename(&temporary, &entry).ok();
    if !turn.is_multiple_of(4) {
        fs::remove_file(&entry).ok();
    }
}

/// Makes, renames and deletes directories with entries in and below them, and their sources.
fn move_directories(tree: &Tree, turn: u64) {
    let place = |number: u64| tree.mirror(format!("moving/m{}", number % 4));
    match turn % 3 {
        0 => {
            fs::create_dir_all(place(turn).join("below/deeper")).ok();
            for directory in ["", "below", "below/deeper"] {
                for name in ["a", "b"] {
                    put(&place(turn).join(directory).join(format!("{name}.cpython-312.pyc")));
                }
            }
        }
        1 => drop(fs::rename(place(turn), place(turn + 1))),
        _ => drop(fs::remove_dir_all(place(turn / 2))),
    }
}

/// Lets one name be a file, a directory, a link, a pipe and a socket, one after the other.
fn swap(tree: &Tree, turn: u64) {
    let name = tree.mirror("swapped").join(format!("s{}.cpython-312.pyc", turn % 3));
    become_another(&name, turn);
}

fn become_another(name: &Path, turn: u64) {
    if fs::remove_file(name).is_err() {
        fs::remove_dir_all(name).ok();
    }
    match turn % 7 {
        0 | 1 => put(name),
        2 => {
            fs::create_dir_all(name.join("below")).ok();
            put(&name.join("below/inside.cpython-312.pyc"));
        }
        3 => drop(symlink("/", name)),
        4 => drop(symlink("no-such-file", name)),
        5 => drop(make_pipe(name)),
        _ => drop(make_socket(name)),
    }
}

/// Makes and deletes sources, and directories of sources, of entries that are there all the while; and replaces some
/// of those that the stable ones have.
fn change_sources(tree: &Tree, turn: u64) {
    let directory = tree.project.join(format!("sources/s{}", turn % 3));
    match turn % 4 {
        0 => {
            fs::create_dir_all(&directory).ok();
            fs::write(directory.join("m.py"), "").ok();
        }
        1 => drop(fs::remove_dir_all(&directory)),
        2 => become_another(&directory, turn),
        _ => {
            let directory = format!("stable/d{}", turn % STABLE as u64);
            // A source that comes and goes, and one that is replaced as a whole, as editors do.
            fs::remove_file(tree.source(format!("{directory}/beside.py"))).ok();
            let saved = tree.source(format!("{directory}/saved-{turn}"));
            fs::rename(saved, tree.project.join(format!("{directory}/a.py"))).ok();
        }
    }
}

#[track_caller]
fn assert_stable(
    recorded: &Recorded,
    expected: &BTreeMap<PathBuf, Status>,
    question: Question,
    manner: &str,
) {
    assert!(recorded.troubles.is_empty(), "{manner}: {:#?}", recorded.troubles);
    let mut seen: BTreeMap<&PathBuf, Vec<Status>> = BTreeMap::new();
    for (path, known) in &recorded.files {
        seen.entry(path).or_default().push(known.status);
    }
    for (path, status) in expected {
        let is_judged = question != Question::Orphans || *status != Some(("fresh", None));
        let once = vec![status.filter(|_| is_judged)];
        assert_eq!(seen.get(path), Some(&once), "{manner}: {}", path.display());
    }
}

#[test]
fn a_scan_stands_a_store_that_changes() {
    let tree = Tree::new();
    let expected = stable(&tree);
    for directory in ["moving", "swapped"] {
        fs::create_dir(tree.mirror(directory)).unwrap();
    }
    for number in 0..3 {
        for name in ["m", "n", "o", "p"] {
            tree.orphan(format!("sources/s{number}/{name}.py"));
        }
    }
    fs::create_dir(tree.project.join("sources")).unwrap();

    let changes: [Change; 4] = [write, move_directories, swap, change_sources];
    let made = [const { AtomicU64::new(0) }; 4];
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (change, made) in changes.iter().zip(&made) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    change(&tree, made.fetch_add(1, Ordering::Relaxed));
                }
            });
        }
        // Whatever fails, the changes end.
        let scans = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let is_enough = || made.iter().all(|made| made.load(Ordering::Relaxed) >= CHANGES);
            for round in 0.. {
                if round >= ROUNDS && is_enough() {
                    break;
                }
                for (question, resolving, threads) in manners() {
                    let manner = format!("{question:?}, {resolving:?}, {threads:?}");
                    let recorded = scan(&tree.store, question, resolving, threads);
                    assert_stable(&recorded, &expected, question, &manner);
                }
            }
        }));
        stop.store(true, Ordering::Relaxed);
        scans.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });

    // What is left is a store like any other, once no directory of sources is a link to anywhere.
    fs::remove_dir_all(tree.project.join("sources")).unwrap();
    for question in QUESTIONS {
        let walked = walk(&tree.store, question);
        for (_, resolving, threads) in manners() {
            assert_same(&scan(&tree.store, question, resolving, threads).found(), &walked, "afterwards");
        }
    }
}
