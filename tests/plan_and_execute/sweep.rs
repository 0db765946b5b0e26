//! What happens between the plan of a sweep and its execution: the disk is another one by then.
//!
//! Everything goes through the library's own steps (open, walk, plan, execute), with the change staged in between, and
//! for both ways of resolving paths. What could be removed by mistake is a hard link of what was planned, so that no
//! comparison of inodes saves it: only the rule under test does.

use crate::support::special::make_pipe;
use crate::support::stage::{RESOLVERS, link_all, tree};
use pycstore::effect::sweep::{SweepOutcome, execute};
use pycstore::host::directory::{Resolver, effective_user};
use pycstore::host::pool::Threads;
use pycstore::store::in_tree::root::{Root, System};
use pycstore::store::in_tree::walk::{Bounds, Destination, Environments, Reason, Walk};
use pycstore::store::{Purpose, Store};
use pycstore::units::Moment;
use pycstore::verdict::sweep::{Emptied, KeepReason, Sourceless, SweepPlan, SweepPlanner, SweepPolicy};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

/// The header of bytecode of CPython 3.12 that pins its source by mtime and size.
fn bytecode(source: &Path) -> Vec<u8> {
    let metadata = source.metadata().unwrap();
    let [mtime, size] = [metadata.mtime() as u32, metadata.len() as u32];
    [&b"\xcb\x0d\r\n\0\0\0\0"[..], &mtime.to_le_bytes(), &size.to_le_bytes(), b"body"].concat()
}

/// A tree of sources, a store, and a place outside.
struct Stage {
    _temporary: tempfile::TempDir,
    base: PathBuf,
    tree: PathBuf,
    store: PathBuf,
    outside: PathBuf,
}

/// When temporaries were written that nobody writes any more.
const LONG_AGO: SystemTime = SystemTime::UNIX_EPOCH;

impl Stage {
    fn new() -> Stage {
        let temporary = tempfile::tempdir().unwrap();
        let base = temporary.path().canonicalize().unwrap();
        let [tree, store, outside] = ["tree", "store", "outside"].map(|name| base.join(name));
        [&tree, &store, &outside].into_iter().for_each(|directory| fs::create_dir(directory).unwrap());
        Stage { _temporary: temporary, base, tree, store, outside }
    }

    /// Makes a source with its bytecode; returns the bytecode's path.
    fn module(&self, directory: &str, stem: &str) -> PathBuf {
        let source = self.tree.join(directory).join(format!("{stem}.py"));
        let cache = source.parent().unwrap().join("__pycache__");
        fs::create_dir_all(&cache).unwrap();
        fs::write(&source, stem).unwrap();
        let path = cache.join(format!("{stem}.cpython-312.pyc"));
        fs::write(&path, bytecode(&source)).unwrap();
        path
    }

    /// Gives the place outside a hard link of each file of a directory, and those below it.
    fn link_outside(&self, directory: &Path) {
        link_all(directory, &self.outside);
    }

    fn mirror(&self, directory: &str) -> PathBuf {
        self.store.join(self.tree.strip_prefix("/").unwrap()).join(directory)
    }

    fn root(&self, resolver: Option<Resolver>) -> Root {
        let mut root = Root::open(&self.tree, Some(&self.store), System::Leave).unwrap();
        if let Some(resolver) = resolver {
            root.set_resolver(resolver);
        }
        root
    }

    fn store(&self, resolver: Option<Resolver>) -> Store {
        let mut store = Store::open(&self.store, &[], Purpose::Remove).unwrap();
        if let Some(resolver) = resolver {
            store.set_resolver(resolver);
        }
        store
    }
}

fn plan(root: &Root, destination: Destination<'_>) -> SweepPlan {
    plan_by(root, destination, Sourceless::Keep)
}

fn plan_by(root: &Root, destination: Destination<'_>, sourceless: Sourceless) -> SweepPlan {
    plan_where(root, destination, sourceless, Emptied::Remove)
}

/// The plan of a sweep that ignores what has `ignored` in its name.
fn plan_where(
    root: &Root,
    destination: Destination<'_>,
    sourceless: Sourceless,
    emptied: Emptied,
) -> SweepPlan {
    let is_ignored = |path: &Path| path.as_os_str().as_bytes().windows(7).any(|part| part == b"ignored");
    plan_ignoring(root, destination, SweepPolicy { sourceless, emptied, ..policy() }, &is_ignored)
}

fn policy() -> SweepPolicy {
    let (user, now) = (effective_user(), Moment::from(SystemTime::now()));
    SweepPolicy { sourceless: Sourceless::Keep, emptied: Emptied::Keep, user, now }
}

fn plan_ignoring(
    root: &Root,
    destination: Destination<'_>,
    policy: SweepPolicy,
    is_ignored: &(dyn Fn(&Path) -> bool + Sync),
) -> SweepPlan {
    let roots = [root.target()];
    let bounds = Bounds {
        roots: &roots,
        store: None,
        environments: Environments::Leave,
        system: System::Leave,
        is_ignored,
    };
    let stop = AtomicBool::new(false);
    let walk = Walk { root, bounds, destination, threads: Threads::exactly(2), stop: &stop };
    SweepPlanner::collect(walk.run(|| SweepPlanner::new(policy), |_| {}))
}

fn carry_out(root: Root, plan: SweepPlan, store: Option<&Store>) -> SweepOutcome {
    execute(vec![(root, plan)], store, Threads::exactly(2), &AtomicBool::new(false), |_| {})
}

#[test]
fn a_directory_goes_if_all_in_it_goes() {
    type Addition = fn(&Path);
    let nothing: Addition = |_| {};
    // What is added to `pkg`, which has a module without its source, and of which directories all goes then.
    let cases: [(&str, Addition, &[&str], &[&str]); 8] = [
        ("nothing", nothing, &["pkg/__pycache__"], &["pkg", "pkg/__pycache__"]),
        (
            "a file",
            |pkg| fs::write(pkg.join("README"), "").unwrap(),
            &["pkg/__pycache__"],
            &["pkg/__pycache__"],
        ),
        (
            "a foreign file in the cache",
            |pkg| fs::write(pkg.join("__pycache__/README"), "").unwrap(),
            &[],
            &[],
        ),
        (
            "an ignored one",
            |pkg| {
                let cache = pkg.join("__pycache__");
                fs::copy(cache.join("m.cpython-312.pyc"), cache.join("ignored.cpython-312.pyc")).unwrap();
            },
            &[],
            &[],
        ),
        ("a directory in the cache", |pkg| fs::create_dir(pkg.join("__pycache__/d")).unwrap(), &[], &[]),
        (
            "an empty directory",
            |pkg| fs::create_dir(pkg.join("d")).unwrap(),
            &["pkg/__pycache__"],
            &["pkg/__pycache__"],
        ),
        (
            "an empty cache below",
            |pkg| fs::create_dir_all(pkg.join("d/__pycache__")).unwrap(),
            &["pkg/__pycache__", "pkg/d/__pycache__"],
            &["pkg", "pkg/__pycache__", "pkg/d", "pkg/d/__pycache__"],
        ),
        (
            "bytecode beside it",
            |pkg| {
                fs::copy(pkg.join("__pycache__/m.cpython-312.pyc"), pkg.join("other.pyc")).unwrap();
            },
            &["pkg/__pycache__"],
            &["pkg/__pycache__"],
        ),
    ];
    for (resolver, (what, add, caches, all)) in
        RESOLVERS.into_iter().flat_map(|it| cases.map(|case| (it, case)))
    {
        for (emptied, gone) in [(Emptied::Keep, caches), (Emptied::Remove, all)] {
            let stage = Stage::new();
            stage.module("pkg", "m");
            fs::remove_file(stage.tree.join("pkg/m.py")).unwrap();
            fs::write(stage.tree.join("keep"), "").unwrap();
            add(&stage.tree.join("pkg"));
            let before = tree(&stage.tree);
            let root = stage.root(resolver);
            let plan = plan_where(&root, Destination::Nowhere, Sourceless::Keep, emptied);
            let named = plan.removal.emptied.iter().flat_map(|it| it.names().map(|name| (&*it.parent, name)));
            let named: BTreeSet<PathBuf> = named
                .map(|(parent, name)| {
                    stage.tree.join(OsStr::from_bytes(parent)).join(OsStr::from_bytes(name))
                })
                .collect();
            let gone: BTreeSet<PathBuf> = gone.iter().map(|path| stage.tree.join(path)).collect();
            assert_eq!(named, gone, "{what}");
            let outcome = carry_out(root, plan, None);
            assert_eq!((outcome.removed.files, outcome.directories), (1, gone.len() as u64), "{what}");
            let file = stage.tree.join("pkg/__pycache__/m.cpython-312.pyc");
            let after = tree(&stage.tree);
            let lost: BTreeSet<PathBuf> =
                before.keys().filter(|path| !after.contains_key(*path)).cloned().collect();
            assert_eq!(lost, gone.into_iter().chain([file]).collect(), "{what}");
        }
    }
}

#[test]
fn a_directory_of_nothing_but_modules_without_sources_goes_with_them() {
    let stage = Stage::new();
    stage.module("outer/pkg", "m");
    for name in ["m.pyc", "n.pyo"] {
        fs::write(stage.tree.join("outer/pkg").join(name), bytecode(&stage.tree.join("outer/pkg/m.py")))
            .unwrap();
    }
    fs::remove_file(stage.tree.join("outer/pkg/m.py")).unwrap();
    let root = stage.root(None);
    let planned = plan_where(&root, Destination::Nowhere, Sourceless::Remove, Emptied::Remove);
    let outcome = carry_out(root, planned, None);
    assert_eq!((outcome.removed.files, outcome.directories), (3, 3));
    assert!(tree(&stage.tree).is_empty());
}

type Replacement = fn(&Stage, &Path);

/// What may become of a directory or file after its name was listed.
const REPLACEMENTS: [(&str, Replacement); 5] = [
    ("removed", |_, _| {}),
    ("a file", |_, path| fs::write(path, "").unwrap()),
    ("a dangling link", |_, path| symlink("nowhere", path).unwrap()),
    ("a link to itself", |_, path| symlink(path.file_name().unwrap(), path).unwrap()),
    ("a link to another directory", |stage, path| symlink(&stage.outside, path).unwrap()),
];

#[test]
fn what_is_replaced_while_it_is_walked_is_no_trouble_and_what_it_leads_to_stays() {
    for resolver in RESOLVERS {
        // What the walk asks about, what is replaced then, and how many files go all the same.
        for (asked, replaced, gone) in [
            ("pkg/sub", "pkg/sub", 1),
            ("pkg/sub/__pycache__", "pkg/sub/__pycache__", 1),
            ("pkg/sub/__pycache__/b.cpython-312.pyc", "pkg/sub/__pycache__/b.cpython-312.pyc", 1),
            ("pkg/sub", "pkg", 0),
        ] {
            for (what, replacement) in REPLACEMENTS {
                let stage = Stage::new();
                stage.module("pkg", "a");
                stage.module("pkg/sub", "b");
                let path = stage.tree.join(replaced);
                stage.link_outside(&path);
                let is_done = AtomicBool::new(false);
                // The walk asks for each name that it has listed, before it opens it.
                let replace = |about: &Path| {
                    if about == stage.tree.join(asked) && !is_done.swap(true, Ordering::Relaxed) {
                        fs::rename(&path, stage.base.join("moved")).unwrap();
                        replacement(&stage, &path);
                    }
                    false
                };
                let root = stage.root(resolver);
                let planned = plan_ignoring(&root, Destination::Nowhere, policy(), &replace);
                assert!(
                    is_done.load(Ordering::Relaxed) && planned.troubles.is_empty(),
                    "{what}: {planned:?}"
                );
                let outside = tree(&stage.outside);
                let outcome = carry_out(root, planned, None);
                assert_eq!(outcome.removed.files, gone, "{replaced} {what}: {outcome:?}");
                assert!(tree(&stage.outside) == outside, "{replaced} {what}");
            }
        }
    }
}

#[test]
fn what_is_no_bytecode_in_a_cache_is_named_and_keeps_it() {
    for number in 0..5 {
        let stage = Stage::new();
        let file = stage.module("pkg", "a");
        let other = file.with_file_name("other");
        let mut told = other.clone();
        match number {
            0 => fs::write(&other, "").unwrap(),
            1 => symlink(&stage.outside, &other).unwrap(),
            2 => symlink("nowhere", &other).unwrap(),
            3 => make_pipe(&other).unwrap(),
            // Directories are told by the cache that they are in.
            _ => {
                fs::create_dir(&other).unwrap();
                told.pop();
            }
        }
        let root = stage.root(None);
        let planned = plan(&root, Destination::Nowhere);
        let kept: Vec<_> = planned.kept.iter().map(|kept| (kept.path.clone(), kept.why)).collect();
        assert_eq!(kept, [(told, KeepReason::Foreign)], "{number}");
        assert!(planned.removal.emptied.is_empty(), "{number}");
        let outcome = carry_out(root, planned, None);
        assert_eq!((outcome.removed.files, outcome.directories), (1, 0), "{number}");
        assert!(other.symlink_metadata().is_ok(), "{number}");
    }
}

#[test]
fn only_a_link_in_the_place_of_a_cache_is_told() {
    let stage = Stage::new();
    for directory in ["linked", "file", "other"] {
        fs::create_dir(stage.tree.join(directory)).unwrap();
    }
    symlink(&stage.outside, stage.tree.join("linked/__pycache__")).unwrap();
    fs::write(stage.tree.join("file/__pycache__"), "").unwrap();
    symlink(&stage.outside, stage.tree.join("other/link")).unwrap();
    let planned = plan(&stage.root(None), Destination::Nowhere);
    let told: Vec<_> = planned.left_alone.iter().map(|it| (it.path.clone(), it.reason)).collect();
    assert_eq!(told, [(stage.tree.join("linked/__pycache__"), Reason::Link)]);
    assert!(planned.troubles.is_empty());
}

#[test]
fn what_holds_no_sources_is_not_entered() {
    let stage = Stage::new();
    let file = stage.module("pkg", "a");
    for name in ["node_modules", ".git", ".hg"] {
        stage.module(&format!("pkg/{name}/deep"), "b");
    }
    let root = stage.root(None);
    let planned = plan(&root, Destination::Nowhere);
    assert_eq!(carry_out(root, planned, None).removed.files, 1);
    assert!(!file.exists());
}

#[test]
fn libraries_of_installations_are_told_by_what_is_in_them_or_by_their_place() {
    let stage = Stage::new();
    stage.module("cpython/Lib", "os");
    stage.module("cpython/Lib/encodings", "utf_8");
    stage.module("cpython/Lib/importlib", "abc");
    stage.module("chroot/usr/lib/python3/dist-packages", "module");
    stage.module("project/lib/python", "os");
    let planned = plan(&stage.root(None), Destination::Nowhere);
    let told: Vec<_> = planned.left_alone.iter().map(|it| (it.path.clone(), it.reason)).collect();
    let expected = ["chroot/usr/lib/python3", "cpython/Lib"];
    assert_eq!(told, expected.map(|path| (stage.tree.join(path), Reason::Installation)));
    assert_eq!(planned.removal.tally().files, 1);
}

#[test]
fn a_directory_with_a_longer_path_than_the_kernel_takes_is_told() {
    let stage = Stage::new();
    let name = "d".repeat(255);
    // Sixteen such names and the slashes between them are as long as a path may be.
    let mut directory = fs::File::open(&stage.tree).unwrap();
    for level in 1..=17 {
        rustix::fs::mkdirat(&directory, &*name, rustix::fs::Mode::RWXU).unwrap();
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY;
        let below = rustix::fs::openat(&directory, &*name, flags, rustix::fs::Mode::empty()).unwrap();
        directory = below.into();
        let troubles = plan(&stage.root(None), Destination::Nowhere).troubles;
        assert_eq!(troubles.len(), usize::from(level > 16), "{level}: {troubles:?}");
    }
}

#[test]
fn a_root_that_was_removed_before_it_is_walked_is_told() {
    for resolver in RESOLVERS {
        let stage = Stage::new();
        let root = stage.root(resolver);
        fs::remove_dir(&stage.tree).unwrap();
        let planned = plan(&root, Destination::Nowhere);
        let told: Vec<_> = planned.troubles.iter().map(|trouble| trouble.path()).collect();
        assert_eq!(told, [stage.tree.as_path()]);
    }
}

#[test]
fn a_directory_swapped_for_a_link_is_not_followed() {
    for resolver in RESOLVERS {
        for swapped in ["pkg/__pycache__", "pkg"] {
            let stage = Stage::new();
            stage.module("pkg", "a");
            stage.module("pkg", "b");
            let root = stage.root(resolver);
            let planned = plan(&root, Destination::Nowhere);
            assert_eq!(planned.removal.tally().files, 2);
            let swapped = stage.tree.join(swapped);
            stage.link_outside(&swapped);
            fs::rename(&swapped, stage.base.join("moved")).unwrap();
            symlink(&stage.outside, &swapped).unwrap();
            let before = tree(&stage.base);
            let outcome = carry_out(root, planned, None);
            assert_eq!(outcome.removed.files, 0, "{resolver:?}");
            let of_files = outcome.failures.iter().filter(|failure| failure.files > 0).count();
            assert_eq!((of_files, outcome.is_complete()), (1, false), "{outcome:?}");
            assert!(tree(&stage.base) == before, "{resolver:?} {}", swapped.display());
        }
    }
}

#[test]
fn the_root_swapped_for_another_tree_is_still_the_one_that_was_opened() {
    for resolver in RESOLVERS {
        let stage = Stage::new();
        let file = stage.module("pkg", "a");
        let root = stage.root(resolver);
        let planned = plan(&root, Destination::Nowhere);
        stage.link_outside(&stage.tree);
        let moved = stage.base.join("moved");
        fs::rename(&stage.tree, &moved).unwrap();
        symlink(&stage.outside, &stage.tree).unwrap();
        let outside = tree(&stage.outside);
        let outcome = carry_out(root, planned, None);
        assert_eq!((outcome.removed.files, outcome.directories), (1, 1));
        assert!(tree(&stage.outside) == outside);
        assert!(!moved.join(file.strip_prefix(&stage.tree).unwrap()).exists());
    }
}

#[test]
fn a_file_that_changed_is_kept_and_reported() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 5] = [
        ("rewritten", |path| fs::write(path, b"\xcb\x0d\r\nanother one").unwrap()),
        ("replaced", |path| {
            let other = path.with_extension("new");
            fs::copy(path, &other).unwrap();
            let times = fs::FileTimes::new().set_modified(path.metadata().unwrap().modified().unwrap());
            fs::File::options().write(true).open(&other).unwrap().set_times(times).unwrap();
            fs::rename(&other, path).unwrap();
        }),
        ("touched", |path| {
            let times = fs::FileTimes::new().set_modified(SystemTime::UNIX_EPOCH);
            fs::File::options().write(true).open(path).unwrap().set_times(times).unwrap();
        }),
        ("a link", |path| {
            let other = path.with_extension("hidden");
            fs::rename(path, &other).unwrap();
            symlink(&other, path).unwrap();
        }),
        ("a directory", |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }),
    ];
    for resolver in RESOLVERS {
        for (name, change) in changes {
            for adopts in [false, true] {
                let stage = Stage::new();
                let changed = stage.module("pkg", "changed");
                let same = stage.module("pkg", "same");
                let (root, store) = (stage.root(resolver), stage.store(resolver));
                let destination = if adopts { Destination::Store(&store) } else { Destination::Nowhere };
                let planned = plan(&root, destination);
                change(&changed);
                let before = tree(&stage.tree);
                let outcome = carry_out(root, planned, adopts.then_some(&store));
                let kept: Vec<_> = outcome.kept.iter().map(|kept| (kept.path.clone(), kept.why)).collect();
                assert_eq!(kept, [(changed.clone(), KeepReason::Changed)], "{name}");
                assert_eq!((outcome.removed.files, outcome.directories), (1, 0), "{name}");
                let mut expected = before;
                expected.remove(&same);
                assert!(tree(&stage.tree) == expected, "{name}");
                // What is not what was judged is not adopted.
                let adopted = walkdir::WalkDir::new(&stage.store).into_iter().flatten();
                let adopted = adopted.filter(|entry| entry.file_type().is_file()).count();
                assert_eq!(
                    (adopted, outcome.adopted.files),
                    (usize::from(adopts), u64::from(adopts)),
                    "{name}"
                );
            }
        }
    }
}

type Removal = fn(&Path);

/// What may become of the source beside a `NAME.pyc` while a sweep is under way, so that it is a module now.
const REMOVALS: [(&str, Removal); 6] = [
    ("removed", |source| fs::remove_file(source).unwrap()),
    ("moved away", |source| fs::rename(source, source.with_extension("bak")).unwrap()),
    ("another case", |source| {
        let name = source.file_name().unwrap().to_ascii_uppercase();
        fs::rename(source, source.with_file_name(name)).unwrap();
    }),
    ("another suffix", |source| fs::rename(source, source.with_extension("PY")).unwrap()),
    ("a directory", |source| {
        fs::remove_file(source).unwrap();
        fs::create_dir(source).unwrap();
    }),
    ("a dangling link", |source| {
        fs::remove_file(source).unwrap();
        symlink("nowhere", source).unwrap();
    }),
];

#[test]
fn bytecode_whose_source_was_removed_meanwhile_stays() {
    for resolver in RESOLVERS {
        for (name, removal) in REMOVALS {
            for suffix in ["pyc", "pyo", "pyc.77"] {
                let stage = Stage::new();
                let beside = |directory: &str, stem: &str| {
                    stage.module(directory, stem);
                    let source = stage.tree.join(directory).join(format!("{stem}.py"));
                    let path = source.with_extension(suffix);
                    fs::write(&path, bytecode(&source)).unwrap();
                    fs::File::options().write(true).open(&path).unwrap().set_modified(LONG_AGO).unwrap();
                    path
                };
                let kept = [beside("", "m"), beside("pkg", "m")];
                let gone = [beside("", "n"), beside("pkg", "n")];
                let root = stage.root(resolver);
                let planned = plan(&root, Destination::Nowhere);
                kept.iter().for_each(|path| removal(&path.with_file_name("m.py")));
                let outcome = carry_out(root, planned, None);
                let told: Vec<_> = outcome.kept.iter().map(|kept| (kept.path.clone(), kept.why)).collect();
                assert_eq!(
                    told,
                    kept.clone().map(|path| (path, KeepReason::SourceRemoved)),
                    "{name} {suffix}"
                );
                assert!(kept.iter().all(|path| path.is_file()), "{name} {suffix}");
                assert!(!gone.iter().any(|path| path.exists()), "{name} {suffix}");
                // In a `__pycache__` nothing is a module of its own: four files went there.
                assert_eq!((outcome.removed.files, outcome.is_complete()), (6, true), "{name} {suffix}");
            }
        }
    }
}

#[test]
fn who_asks_for_sourceless_modules_gets_them_removed_meanwhile_as_well() {
    let stage = Stage::new();
    stage.module("pkg", "m");
    let source = stage.tree.join("pkg/m.py");
    let path = source.with_extension("pyc");
    fs::write(&path, bytecode(&source)).unwrap();
    let root = stage.root(None);
    let planned = plan_by(&root, Destination::Nowhere, Sourceless::Remove);
    fs::remove_file(&source).unwrap();
    assert_eq!(carry_out(root, planned, None).removed.files, 2);
    assert!(!path.exists());
}

#[test]
fn a_pycache_that_got_something_in_it_stays() {
    let stage = Stage::new();
    let file = stage.module("pkg", "a");
    let root = stage.root(None);
    let planned = plan(&root, Destination::Nowhere);
    let new = file.with_file_name("b.cpython-312.pyc");
    fs::write(&new, b"\xcb\x0d\r\nwritten meanwhile").unwrap();
    fs::remove_file(stage.tree.join("pkg/a.py")).unwrap();
    let outcome = carry_out(root, planned, None);
    assert_eq!((outcome.removed.files, outcome.directories, outcome.is_complete()), (1, 0, true));
    assert!(new.exists());
}

#[test]
fn what_vanished_meanwhile_is_no_trouble() {
    let stage = Stage::new();
    let [one, other] = [stage.module("pkg", "a"), stage.module("gone", "b")];
    let (root, store) = (stage.root(None), stage.store(None));
    let planned = plan(&root, Destination::Store(&store));
    fs::remove_file(&one).unwrap();
    fs::remove_dir_all(other.parent().unwrap()).unwrap();
    let outcome = carry_out(root, planned, Some(&store));
    assert!(outcome.is_complete() && outcome.kept.is_empty(), "{outcome:?}");
    assert_eq!((outcome.removed.files, outcome.adopted.files, outcome.directories), (0, 0, 1));
}

#[test]
fn an_entry_that_was_written_meanwhile_is_not_overwritten() {
    for resolver in RESOLVERS {
        for was_there in [false, true] {
            let stage = Stage::new();
            let file = stage.module("pkg", "a");
            let entry = stage.mirror("pkg").join(file.file_name().unwrap());
            fs::create_dir_all(entry.parent().unwrap()).unwrap();
            if was_there {
                fs::write(&entry, b"\xcb\x0d\r\nstale, of some other source").unwrap();
            }
            let (root, store) = (stage.root(resolver), stage.store(resolver));
            let planned = plan(&root, Destination::Store(&store));
            assert_eq!(planned.adoptions.len(), 1);
            // As Python does: a new file takes the name.
            let written = bytecode(&stage.tree.join("pkg/a.py"));
            fs::write(entry.with_extension("new"), &written).unwrap();
            fs::rename(entry.with_extension("new"), &entry).unwrap();
            let before = tree(&stage.store);
            let outcome = carry_out(root, planned, Some(&store));
            assert_eq!((outcome.adopted.files, outcome.removed.files), (0, 1), "{outcome:?}");
            assert!(tree(&stage.store) == before && !file.exists(), "{resolver:?} {was_there}");
        }
    }
}

#[test]
fn nothing_is_adopted_of_a_source_that_is_no_file_or_over_what_is_none() {
    let stage = Stage::new();
    let entry = stage.module("pkg", "a");
    let source = stage.tree.join("pkg/a.py");
    fs::remove_file(&source).unwrap();
    fs::create_dir(stage.tree.join("pkg/directory")).unwrap();
    symlink("directory", &source).unwrap();
    fs::write(&entry, bytecode(&source)).unwrap();
    let (root, store) = (stage.root(None), stage.store(None));
    assert_eq!(plan(&root, Destination::Store(&store)).adoptions.len(), 0);

    // A directory, a link and a pipe in the place of the entry.
    for number in 0..3 {
        let stage = Stage::new();
        let file = stage.module("pkg", "a");
        let entry = stage.mirror("pkg").join(file.file_name().unwrap());
        fs::create_dir_all(entry.parent().unwrap()).unwrap();
        match number {
            0 => fs::create_dir(&entry).unwrap(),
            1 => symlink(&stage.outside, &entry).unwrap(),
            _ => make_pipe(&entry).unwrap(),
        }
        let (root, store) = (stage.root(None), stage.store(None));
        let planned = plan(&root, Destination::Store(&store));
        let before = tree(&stage.base);
        let outcome = carry_out(root, planned, Some(&store));
        assert_eq!((outcome.adopted.files, outcome.not_adopted.len()), (0, 1), "{number}: {outcome:?}");
        assert!(tree(&stage.base) == before, "{number}");
    }
}

#[test]
fn nothing_is_adopted_through_a_link_in_the_store() {
    for resolver in RESOLVERS {
        // Before the plan, and after it.
        for swaps_late in [false, true] {
            let stage = Stage::new();
            let file = stage.module("pkg", "a");
            let mirror = stage.mirror("pkg");
            let swap = || {
                fs::create_dir_all(mirror.parent().unwrap()).unwrap();
                symlink(&stage.outside, &mirror).unwrap();
            };
            if !swaps_late {
                swap();
            }
            let (root, store) = (stage.root(resolver), stage.store(resolver));
            let planned = plan(&root, Destination::Store(&store));
            if swaps_late {
                swap();
            }
            let outcome = carry_out(root, planned, Some(&store));
            assert_eq!((outcome.adopted.files, outcome.removed.files), (0, 0), "{outcome:?}");
            assert_eq!((outcome.not_adopted.len(), outcome.is_complete()), (1, false), "{resolver:?}");
            assert!(tree(&stage.outside).is_empty() && file.exists(), "{resolver:?}");
        }
    }
}

#[test]
fn a_stop_comes_between_two_files() {
    let stage = Stage::new();
    for number in 0..50 {
        stage.module("pkg", &format!("m{number}"));
    }
    let (root, stop) = (stage.root(None), AtomicBool::new(false));
    let planned = plan(&root, Destination::Nowhere);
    stop.store(true, Ordering::Relaxed);
    let before = tree(&stage.tree);
    let outcome = execute(vec![(root, planned)], None, Threads::exactly(1), &stop, |_| {});
    assert_eq!((outcome.left.files, outcome.removed.files), (50, 0));
    assert!(tree(&stage.tree) == before);
}
