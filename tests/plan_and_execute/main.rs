//! What happens between a plan and its execution: the disk is another one by then, by accident or on purpose.
//!
//! Everything here goes through the library's own steps (open, scan, plan, execute), with the change staged in between,
//! and for both ways of resolving paths. What could be removed by mistake is always a hard link of what was planned, so
//! that no comparison of inodes saves it: only the rule under test does.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test panics where something is wrong")]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod support;
mod sweep;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use pycstore::effect::expectation::Expectation;
use pycstore::effect::outcome::Outcome;
use pycstore::effect::remove::{self, Execution};
use pycstore::host::directory::Resolver;
use pycstore::host::pool::Threads;
use pycstore::pyc::Loads;
use pycstore::source::interpreter::{Interpreters, Places};
use pycstore::store::entry::SeenEntry;
use pycstore::store::scan::{Trouble, Visit, Visitor};
use pycstore::units::{Moment, Tally};
use pycstore::verdict::budget::{CutOff, Weigher};
use pycstore::verdict::census::{Census, Counting};
use pycstore::verdict::emptied::{EmptiedIn, Leftovers};
use pycstore::verdict::judge::Judge;
use pycstore::verdict::plan::{MOST_LOOKED_INTO, Overflow, Plan, PlannedDirectory, Planner};
use pycstore::verdict::policy::{Budget, ChosenEntry, Policy, Selector, Spared};
use pycstore::verdict::remainder::Remainder;
use pycstore::verdict::scope::Scope;
use pycstore::verdict::status::Status;
use pycstore::verdict::usage::CountedLinks;
use pycstore::verdict::victim::{Contents, Victim};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};
use support::compiled::compiled_by;
use support::ordinary::as_ordinary_user;
use support::special::{make_pipe, make_socket};
use support::stage::{
    RESOLVERS, Stage, Tree, carry_out, circumstances, look, orphans, plan, plan_where, tree,
};
use support::{HEADER, assert_only_gone, date_back};

#[test]
fn dead_entries_go_only_where_the_interpreters_are_known() {
    let stage = Stage::new();
    // A source that is there, and what 3.12 and 3.9 made of it.
    let source = stage.base.join("living/a.py");
    fs::create_dir(source.parent().unwrap()).unwrap();
    fs::write(&source, "").unwrap();
    fs::File::options().write(true).open(&source).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let mirror = stage.store.join(source.parent().unwrap().strip_prefix("/").unwrap());
    fs::create_dir_all(&mirror).unwrap();
    let [living, dead] = ["312", "39"].map(|tag| mirror.join(format!("a.cpython-{tag}.pyc")));
    fs::write(&living, HEADER).unwrap();
    fs::write(&dead, [&3425_u16.to_le_bytes()[..], &HEADER[2..]].concat()).unwrap();
    let policy = Policy::of([Selector::DeadInterpreters]);
    let store = stage.open(None);
    let victims = |interpreters: &Interpreters| {
        let is_dead = |tag: &str, magic| interpreters.loads(tag, magic) == Loads::No;
        plan_where(&store, &policy, &is_dead).tally().files
    };
    // A machine that has nothing, one whose Python cannot be told, one that has 3.12.
    let root = stage.base.join("machine");
    let places = Places { root: root.clone(), ..Places::default() };
    assert_eq!(victims(&Interpreters::find(&places)), 0, "nothing is known");
    let library = root.join("usr/lib/python3.12");
    fs::create_dir_all(&library).unwrap();
    fs::create_dir_all(root.join("usr/bin")).unwrap();
    fs::write(library.join("os.py"), "").unwrap();
    assert_eq!(victims(&Interpreters::find(&places)), 1);
    fs::create_dir_all(root.join("opt/odd/bin")).unwrap();
    let odd = root.join("opt/odd/bin/python3");
    fs::write(&odd, "\x7fELF").unwrap();
    fs::set_permissions(&odd, PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(victims(&Interpreters::find(&places)), 0, "one cannot be told");
    fs::remove_file(odd).unwrap();
    let before = stage.tree();
    let is_dead = |tag: &str, _| tag == "cpython-39";
    carry_out(&store, plan_where(&store, &policy, &is_dead));
    assert_only_gone(&before, &stage.tree(), &[&dead]);
}

/// Why files were kept.
fn kept(outcome: &Outcome) -> Vec<(PathBuf, Spared)> {
    outcome.skipped.iter().map(|skipped| (skipped.path.clone(), skipped.why)).collect()
}

#[test]
fn what_is_planned_goes_if_nothing_changes() {
    for resolver in RESOLVERS {
        let stage = Stage::new();
        stage.orphan("a", "one");
        stage.orphan("a/b", "two");
        fs::write(stage.mirror("a").join("note"), "foreign").unwrap();
        let store = stage.open(resolver);
        let before = stage.tree();
        let outcome = carry_out(&store, plan(&store, &orphans()));
        assert_only_gone(
            &before,
            &stage.tree(),
            &[&stage.mirror("a/one.cpython-312.pyc"), &stage.mirror("a/b")],
        );
        assert_eq!((outcome.removed.files, outcome.directories, outcome.is_complete()), (2, 1, true));
    }
}

#[test]
fn a_directory_swapped_for_a_link_is_not_followed() {
    for resolver in RESOLVERS {
        // The directory of the victims, its parent, and the topmost below the root.
        for swapped in ["a/b/c", "a/b", "a"] {
            let stage = Stage::new();
            stage.orphan("a/b/c", "one");
            stage.orphan("a/b/c", "two");
            stage.orphan("z", "other");
            let store = stage.open(resolver);
            let plan = plan(&store, &orphans());
            let swapped = stage.mirror(swapped);
            stage.link_outside(&swapped);
            fs::rename(&swapped, stage.base.join("aside")).unwrap();
            symlink(&stage.outside, &swapped).unwrap();
            let outcome = stage.carry_out(&store, plan, &[&stage.mirror("z")]);
            assert_eq!(outcome.removed.files, 1, "{resolver:?}");
            let of_files = outcome.failures.iter().filter(|failure| failure.directories == 0);
            let failed: Vec<_> = of_files.map(|it| (it.path.clone(), it.files)).collect();
            assert_eq!(failed, [(stage.mirror("a/b/c"), 2)], "{:?}", outcome.failures);
            // A directory that cannot be reached any more is reported with how many should have gone there.
            let of_directories = outcome.failures.iter().filter(|failure| failure.directories > 0);
            let failed: Vec<_> =
                of_directories.map(|it| (it.path.clone(), it.files, it.directories)).collect();
            let expected = match swapped.strip_prefix(stage.mirror("a")).unwrap().components().count() {
                0 => vec![(stage.mirror("a"), 0, 1), (stage.mirror("a/b"), 0, 1)],
                1 => vec![(stage.mirror("a/b"), 0, 1)],
                _ => Vec::new(),
            };
            assert_eq!(failed, expected, "{:?}", outcome.failures);
        }
    }
}

#[test]
fn a_link_to_another_part_of_the_store_is_not_followed_either() {
    for resolver in RESOLVERS {
        // Relative, and never out of the store: only that it is a link tells.
        for (swapped, kept) in [("a", "kept/b"), ("a/b", "a/kept")] {
            let stage = Stage::new();
            stage.orphan("a/b", "one");
            let store = stage.open(resolver);
            let plan = plan(&store, &orphans());
            let kept = stage.mirror(kept);
            fs::create_dir_all(&kept).unwrap();
            fs::hard_link(stage.mirror("a/b/one.cpython-312.pyc"), kept.join("one.cpython-312.pyc")).unwrap();
            fs::rename(stage.mirror(swapped), stage.base.join("aside")).unwrap();
            symlink("kept", stage.mirror(swapped)).unwrap();
            let before = stage.tree();
            assert!(!carry_out(&store, plan).is_complete());
            assert_only_gone(&before, &stage.tree(), &[]);
        }
    }
}

#[test]
fn the_root_is_opened_once() {
    for resolver in RESOLVERS {
        let stage = Stage::new();
        stage.orphan("a", "one");
        let store = stage.open(resolver);
        let plan = plan(&store, &orphans());
        // Another store stands at the path now, of the very same files.
        stage.link_outside(&stage.store);
        let aside = stage.base.join("aside");
        fs::rename(&stage.store, &aside).unwrap();
        fs::rename(&stage.outside, &stage.store).unwrap();
        let before = stage.tree();
        carry_out(&store, plan);
        let gone = aside.join(stage.base.strip_prefix("/").unwrap()).join("gone");
        assert_only_gone(&before, &stage.tree(), &[&gone]);
    }
}

#[test]
fn a_file_that_is_not_the_planned_one_any_more_stays() {
    type Change = fn(&Stage, &Path);
    let changes: [(&str, Change); 8] = [
        ("rewritten by Python: another inode, the same size and time", |stage, path| {
            let new = stage.base.join("new");
            fs::copy(path, &new).unwrap();
            let time = fs::metadata(path).unwrap().modified().unwrap();
            fs::File::options().write(true).open(&new).unwrap().set_modified(time).unwrap();
            fs::rename(new, path).unwrap();
        }),
        ("written in place: the same inode and size, another time", |_, path| {
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_modified(SystemTime::now() + Duration::from_secs(2)).unwrap();
        }),
        ("the same to the second, another nanosecond", |_, path| {
            let time = fs::metadata(path).unwrap().modified().unwrap();
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_modified(time + Duration::from_nanos(1)).unwrap();
        }),
        ("grown: the same inode and time, another size", |_, path| {
            let time = fs::metadata(path).unwrap().modified().unwrap();
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_len(4000).unwrap();
            file.set_modified(time).unwrap();
        }),
        ("a link to itself elsewhere", |stage, path| {
            fs::rename(path, stage.outside.join("it")).unwrap();
            symlink(stage.outside.join("it"), path).unwrap();
        }),
        ("a pipe", |_, path| {
            fs::remove_file(path).unwrap();
            make_pipe(path).unwrap();
        }),
        ("a socket", |_, path| {
            fs::remove_file(path).unwrap();
            make_socket(path).unwrap();
        }),
        ("an empty directory", |_, path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }),
    ];
    // One policy plans by the name alone and reads the first bytes at the end, the other has read them.
    let read = Policy::of([Selector::Orphans, Selector::Stale]);
    for (resolver, policy) in RESOLVERS.into_iter().flat_map(|it| [(it, orphans()), (it, read.clone())]) {
        for (what, change) in changes {
            let stage = Stage::new();
            let changed = stage.orphan("a", "changed");
            let other = stage.orphan("a", "other");
            let store = stage.open(resolver);
            let plan = plan(&store, &policy);
            change(&stage, &changed);
            let outcome = stage.carry_out(&store, plan, &[&other]);
            assert_eq!(kept(&outcome), [(changed, Spared::Changed)], "{what}");
            assert_eq!((outcome.removed.files, outcome.is_complete()), (1, true), "{what}");
        }
    }
}

#[test]
fn contents_that_were_not_read_are_read_at_the_end() {
    for resolver in RESOLVERS {
        let stage = Stage::new();
        let path = stage.orphan("a", "one");
        let store = stage.open(resolver);
        let plan = plan(&store, &orphans());
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        let length = fs::metadata(&path).unwrap().len() as usize;
        fs::write(&path, "x".repeat(length)).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        let outcome = stage.carry_out(&store, plan, &[]);
        assert_eq!(kept(&outcome), [(path, Spared::NotBytecode)]);
    }
}

#[test]
fn what_appears_in_a_directory_that_is_to_go_stays_with_it() {
    type Appearance = fn(&Path);
    let appearances: [Appearance; 4] = [
        |directory| fs::write(directory.join("new.cpython-312.pyc"), HEADER).unwrap(),
        |directory| fs::create_dir(directory.join("new")).unwrap(),
        |directory| symlink("nowhere", directory.join("new")).unwrap(),
        |directory| fs::write(directory.join("note"), "foreign").unwrap(),
    ];
    for resolver in RESOLVERS {
        for appear in appearances {
            for place in ["a/b", "a", ""] {
                let stage = Stage::new();
                let [one, two] = [stage.orphan("a", "one"), stage.orphan("a/b", "two")];
                let store = stage.open(resolver);
                let plan = plan(&store, &orphans());
                appear(&stage.mirror(place));
                let before = stage.tree();
                let outcome = carry_out(&store, plan);
                let gone = match place {
                    "a/b" => vec![one.as_path(), two.as_path()],
                    "a" => vec![one.as_path(), two.parent().unwrap()],
                    _ => vec![one.parent().unwrap()],
                };
                assert_only_gone(&before, &stage.tree(), &gone);
                assert!(outcome.is_complete(), "{:?}", outcome.failures);
                assert_eq!(outcome.removed.files, 2);
            }
        }
    }
}

#[test]
fn what_vanishes_meanwhile_is_no_failure() {
    for resolver in RESOLVERS {
        for vanishing in ["a/one.cpython-312.pyc", "a", "a/b"] {
            let stage = Stage::new();
            stage.orphan("a", "one");
            stage.orphan("a/b", "two");
            let store = stage.open(resolver);
            let plan = plan(&store, &orphans());
            let path = stage.mirror(vanishing);
            if path.is_dir() {
                fs::remove_dir_all(&path).unwrap()
            } else {
                fs::remove_file(&path).unwrap()
            }
            let outcome = carry_out(&store, plan);
            assert!(outcome.is_complete() && outcome.skipped.is_empty());
            let mirror_of_base = stage.store.join(stage.base.strip_prefix("/").unwrap());
            assert_eq!(tree(&mirror_of_base), Tree::new(), "{vanishing}");
        }
    }
}

#[test]
fn a_directory_that_was_made_again_keeps_its_new_files() {
    for resolver in RESOLVERS {
        let stage = Stage::new();
        let [one, two] = [stage.orphan("a", "one"), stage.orphan("a", "two")];
        let store = stage.open(resolver);
        let plan = plan(&store, &orphans());
        fs::rename(stage.mirror("a"), stage.base.join("aside")).unwrap();
        stage.orphan("a", "one");
        let outcome = stage.carry_out(&store, plan, &[]);
        assert_eq!(kept(&outcome), [(one, Spared::Changed)]);
        assert!(!two.exists() && outcome.is_complete());
    }
}

#[test]
fn a_stop_comes_before_the_next_file() {
    for resolver in RESOLVERS {
        let stage = Stage::new();
        stage.orphan("a", "one");
        stage.orphan("b", "two");
        let store = stage.open(resolver);
        let plan = plan(&store, &orphans());
        let (planned, directories) = (plan.tally(), plan.emptied.iter().map(EmptiedIn::count).sum::<u64>());
        let before = stage.tree();
        let outcome = remove::execute(&store, plan, Threads::exactly(2), &AtomicBool::new(true), |_| {});
        assert_only_gone(&before, &stage.tree(), &[]);
        assert_eq!((outcome.left, outcome.removed.files, outcome.directories), (planned, 0, 0));
        assert_eq!((directories, outcome.directories_left), (3, 3));
    }
}

#[test]
fn a_stop_comes_between_two_files_of_a_directory_and_before_the_directories() {
    for last in [1, 3] {
        let stage = Stage::new();
        for stem in ["one", "three", "two"] {
            stage.orphan("a", stem);
        }
        let store = stage.open(None);
        let (stop, removed) = (AtomicBool::new(false), AtomicU64::new(0));
        let on_removed = |_: &PlannedDirectory, _: &Victim| {
            stop.store(removed.fetch_add(1, Ordering::Relaxed) + 1 == last, Ordering::Relaxed);
        };
        let execution = Execution::new(&store, &orphans(), &stop).reporting(&on_removed);
        let outcome = execution.finish(plan(&store, &orphans()), Threads::exactly(1), |_| {});
        assert_eq!((outcome.removed.files, outcome.left.files), (last, 3 - last));
        assert_eq!((outcome.directories, outcome.directories_left), (0, 2));
        assert_eq!(fs::read_dir(stage.mirror("a")).unwrap().count() as u64, 3 - last);
    }
}

#[test]
fn a_plan_that_is_too_large_goes_in_portions() {
    for resolver in RESOLVERS {
        let stage = Stage::new();
        for number in 0..60 {
            stage.orphan(&format!("a/{}/{}", number % 5, number % 20), &format!("m{number}"));
        }
        let foreign = stage.mirror("a/3/note");
        fs::write(&foreign, "foreign").unwrap();
        let store = stage.open(resolver);
        let (policy, stop) = (orphans(), AtomicBool::new(false));
        let whole = Expectation::default().finish(plan(&store, &policy));

        let (expectation, execution) = (Expectation::default(), Execution::new(&store, &policy, &stop));
        let expect = |planned: PlannedDirectory| expectation.add(&planned);
        let remove = |planned: PlannedDirectory| execution.remove(&planned);
        let plan = |overflow: &Overflow<'_>| {
            let planner = || Planner::new(&policy, &store, circumstances()).with_overflow(Some(overflow));
            let plan = Plan::collect(look(&store, &policy, planner));
            assert_eq!(overflow.taken() + plan.tally().files, 60);
            assert_eq!(plan.gone_unread, overflow.taken());
            assert!(plan.tally().files <= 8, "{} are held", plan.tally().files);
            plan
        };
        let before = stage.tree();
        let shown = plan(&Overflow::new(8, &expect));
        assert!(stage.tree() == before);
        let shown = expectation.finish(shown);
        let rest = plan(&Overflow::new(8, &remove));
        let done = execution.finish(rest, Threads::exactly(2), |_| {});
        for outcome in [&shown, &done] {
            assert_eq!((outcome.removed, outcome.directories), (whole.removed, whole.directories));
            assert_eq!(outcome.owners, whole.owners);
        }
        let others = [0, 1, 2, 4].map(|number| stage.mirror(&format!("a/{number}")));
        let below = [3, 8, 13, 18].map(|number| stage.mirror(&format!("a/3/{number}")));
        let gone: Vec<&Path> = others.iter().chain(&below).map(PathBuf::as_path).collect();
        assert_only_gone(&before, &stage.tree(), &gone);
    }
}

#[test]
fn a_plan_of_the_limit_stays_whole() {
    let stage = Stage::new();
    ["a", "b", "c"].iter().for_each(|directory| drop(stage.orphan(directory, "m")));
    let store = stage.open(None);
    let policy = orphans();
    for (most, taken) in [(4, 0), (3, 0), (2, 1), (1, 2), (0, 3)] {
        let overflow = Overflow::new(most, &|_| {});
        let planner = || Planner::new(&policy, &store, circumstances()).with_overflow(Some(&overflow));
        let plan = Plan::collect(look(&store, &policy, planner));
        assert_eq!((overflow.taken(), plan.tally().files), (taken, 3 - taken));
    }
}

#[test]
fn what_changes_before_its_portion_goes_stays() {
    for resolver in RESOLVERS {
        let stage = Stage::new();
        for number in 0..30 {
            stage.orphan(&format!("a/{number}"), "m");
        }
        let changed = stage.mirror("a/7/m.cpython-312.pyc");
        let store = stage.open(resolver);
        let (policy, stop) = (orphans(), AtomicBool::new(false));
        let execution = Execution::new(&store, &policy, &stop);
        let remove = |planned: PlannedDirectory| {
            if store.shown(&planned.relative, &planned.victims[0].name) == changed {
                fs::write(&changed, [&HEADER[..], b"another body"].concat()).unwrap();
            }
            execution.remove(&planned);
        };
        // Nothing is held: each directory goes when it was looked at.
        let overflow = Overflow::new(0, &remove);
        let planner = || Planner::new(&policy, &store, circumstances()).with_overflow(Some(&overflow));
        let rest = Plan::collect(look(&store, &policy, planner));
        assert_eq!((overflow.taken(), rest.tally().files), (30, 0));
        let outcome = execution.finish(rest, Threads::exactly(2), |_| {});
        assert_eq!(kept(&outcome), [(changed.clone(), Spared::Changed)]);
        assert_eq!((outcome.removed.files, outcome.directories), (29, 29));
        let left: Vec<PathBuf> = tree(&stage.mirror("a")).into_keys().collect();
        assert_eq!(left, [changed.parent().unwrap().to_path_buf(), changed]);
    }
}

#[test]
fn a_census_counts_links_once_although_some_go_meanwhile() {
    let stage = Stage::new();
    let first = stage.orphan("a/0", "m");
    for number in 1..20 {
        let link = stage.mirror(&format!("a/{number}/m.cpython-312.pyc"));
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        fs::hard_link(&first, link).unwrap();
    }
    let disk = fs::metadata(&first).unwrap().blocks() * 512;
    let store = stage.open(None);
    let (policy, stop, links) = (Policy::reclaimable(), AtomicBool::new(false), CountedLinks::default());
    let execution = Execution::new(&store, &policy, &stop);
    let remove = |planned: PlannedDirectory| execution.remove(&planned);
    let overflow = Overflow::new(0, &remove);
    let visitors = || {
        let planner = Planner::new(&policy, &store, circumstances()).with_overflow(Some(&overflow));
        (planner, Some(Counting::new(&policy, circumstances(), &links)))
    };
    let (_, countings): (Vec<_>, Vec<_>) = look(&store, &policy, visitors).into_iter().unzip();
    assert_eq!(overflow.taken(), 20);
    let mut counted = Tally::default();
    let census = Census::collect(countings.into_iter().flatten());
    census.shares.values().flatten().for_each(|share| counted += share.tally);
    assert_eq!((counted.files, counted.disk), (20, disk));
}

#[test]
fn a_stop_ends_portions_too() {
    let stage = Stage::new();
    for number in 0..30 {
        stage.orphan(&format!("a/{number}"), "m");
    }
    let store = stage.open(None);
    let (policy, stop) = (orphans(), AtomicBool::new(false));
    let execution = Execution::new(&store, &policy, &stop);
    let remove = |planned: PlannedDirectory| {
        execution.remove(&planned);
        stop.store(true, Ordering::Relaxed);
    };
    let overflow = Overflow::new(20, &remove);
    let planner = || Planner::new(&policy, &store, circumstances()).with_overflow(Some(&overflow));
    let rest = Plan::collect(look(&store, &policy, planner));
    let outcome = execution.finish(rest, Threads::exactly(1), |_| {});
    let left = tree(&stage.mirror("a")).values().filter(|(kind, ..)| kind.is_file()).count() as u64;
    assert!(outcome.removed.files >= 1 && left > 0, "{outcome:?}");
    assert_eq!((outcome.removed.files + left, outcome.left.files), (30, left));
}

#[test]
fn what_was_weighed_goes_and_nothing_else() {
    let stage = Stage::new();
    let entries = ["a", "b", "c", "d"].map(|stem| stage.orphan("a", stem));
    let long_ago = SystemTime::now() - Duration::from_secs(100 * 86_400);
    let stamp = |path: &Path, modified, accessed| {
        let times = fs::FileTimes::new().set_modified(modified).set_accessed(accessed);
        fs::File::options().write(true).open(path).unwrap().set_times(times).unwrap();
    };
    let day = Duration::from_secs(86_400);
    for (days, path) in (1..).zip(&entries) {
        stamp(path, long_ago, long_ago + days * day);
    }
    let store = stage.open(None);
    let policy = Policy { budget: Budget { files: Some(1), disk: None }, ..Policy::default() };
    let weigher = || Weigher::new(Judge::new(&policy, &store, circumstances()));
    let cut_off = CutOff::find(look(&store, &policy, weigher), &policy.budget);
    assert!(!cut_off.is_empty());
    let plan = || {
        let planner = || Planner::new(&policy, &store, circumstances()).with_cut_off(Some(&cut_off));
        Plan::collect(look(&store, &policy, planner))
    };
    assert_eq!(plan().tally().files, 3);
    // Reading is no reason to stay: it may have been ours, where the system does not let us read in secret.
    for path in &entries {
        stamp(path, long_ago, SystemTime::now());
    }
    assert_eq!(plan().tally().files, 3);
    // One is written again, another is new; they are worth no more than what goes.
    fs::write(&entries[0], [&HEADER[..], b"another body"].concat()).unwrap();
    let new = stage.orphan("a", "e");
    for path in [&entries[0], &new] {
        stamp(path, long_ago, long_ago);
    }
    let before = stage.tree();
    carry_out(&store, plan());
    assert_only_gone(&before, &stage.tree(), &[&entries[1], &entries[2]]);
}

#[test]
fn what_is_no_bytecode_goes_by_some_selectors_alone() {
    let by_source = [Selector::Orphans, Selector::Temporary];
    let corrupt = [Selector::Orphans, Selector::Temporary, Selector::Corrupt];
    for (resolver, (policy, goes)) in RESOLVERS.into_iter().flat_map(|it| {
        [
            (it, (Policy::of(by_source), false)),
            (it, (Policy::of(corrupt), true)),
            (it, (Policy::of([Selector::Forgotten]), false)),
            (it, (Policy::of([Selector::All]), true)),
        ]
    }) {
        let stage = Stage::new();
        let entry = stage.orphan("a", "m");
        let temporary = entry.with_extension("pyc.77");
        fs::copy(&entry, &temporary).unwrap();
        for path in [&entry, &temporary] {
            fs::write(path, [0; 16]).unwrap();
            date_back(path);
        }
        stage.orphan("a", "other");
        let store = stage.open(resolver);
        let outcome = carry_out(&store, plan(&store, &policy));
        let files: Vec<PathBuf> =
            stage.tree().into_iter().filter(|it| it.1.0.is_file()).map(|it| it.0).collect();
        let left = if goes { Vec::new() } else { vec![entry, temporary] };
        assert_eq!(files, left, "{policy:?}");
        let reasons: Vec<_> = left.into_iter().map(|path| (path, Spared::NotBytecode)).collect();
        assert_eq!(kept(&outcome), reasons, "{policy:?}");
    }
}

#[test]
#[cfg_attr(feature = "portable", ignore = "needs O_NOATIME")]
fn a_budget_of_bytes_evicts_all_names_of_a_file_or_none() {
    let bytes = [&HEADER[..], &[7; 9000]].concat();
    // Of each file its names and when it was last used, in days; what may stay; what goes. `old.77` is a temporary that
    // is still young: it keeps its file.
    type Files<'a> = &'a [(&'a [&'a str], u64)];
    let two: Files<'_> = &[(&["a", "b"], 80), (&["c", "d"], 1)];
    let kept: Files<'_> = &[(&["a", "b", "old.77"], 80), (&["c", "d"], 1)];
    let disk = |files| Budget { disk: Some(files), files: None };
    let names = |names| Budget { disk: None, files: Some(names) };
    let cases: [(Files<'_>, Budget, &[&str], u64); 8] = [
        (two, disk(2), &[], 0),
        (two, disk(1), &["a", "b"], 1),
        (two, disk(0), &["a", "b", "c", "d"], 2),
        (two, names(4), &[], 0),
        (two, names(2), &["a", "b"], 1),
        (kept, disk(2), &[], 0),
        (kept, disk(1), &["c", "d"], 1),
        (&[(&["a"], 80), (&["b"], 1)], disk(1), &["a"], 1),
    ];
    for (files, budget, evicted, freed) in cases {
        let stage = Stage::new();
        let living = stage.base.join("living");
        let mirror = stage.store.join(living.strip_prefix("/").unwrap());
        [&living, &mirror].into_iter().for_each(|directory| fs::create_dir_all(directory).unwrap());
        let path = |name: &str| match name.split_once('.') {
            Some((stem, number)) => mirror.join(format!("{stem}.cpython-312.pyc.{number}")),
            None => mirror.join(format!("{name}.cpython-312.pyc")),
        };
        let mut room = 0;
        for (names, days) in files {
            let first = path(names[0]);
            fs::write(&first, &bytes).unwrap();
            for name in &names[1..] {
                fs::hard_link(&first, path(name)).unwrap();
            }
            for name in *names {
                let source = living.join(format!("{name}.py"));
                fs::write(&source, "").unwrap();
                let file = fs::File::options().write(true).open(&source).unwrap();
                file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
            }
            let used = SystemTime::now() - Duration::from_secs(days * 86_400);
            // A temporary is young by the time of its last modification.
            let is_young = names.iter().any(|name| name.contains('.'));
            let written = if is_young { SystemTime::now() } else { used - Duration::from_secs(1) };
            let times = fs::FileTimes::new().set_modified(written).set_accessed(used);
            fs::File::options().write(true).open(&first).unwrap().set_times(times).unwrap();
            room = fs::metadata(&first).unwrap().blocks() * 512;
        }
        let budget = Budget { disk: budget.disk.map(|files| files * room), ..budget };
        let store = stage.open(None);
        let policy = Policy { budget, ..Policy::default() };
        let weigher = || Weigher::new(Judge::new(&policy, &store, circumstances()));
        let cut_off = CutOff::find(look(&store, &policy, weigher), &policy.budget);
        assert_eq!((cut_off.over_budget.files, cut_off.over_budget.disk), (0, 0), "{files:?} {budget:?}");
        let planner = || Planner::new(&policy, &store, circumstances()).with_cut_off(Some(&cut_off));
        let plan = Plan::collect(look(&store, &policy, planner));
        assert_eq!(plan.tally().disk, freed * room, "{files:?} {budget:?}");
        let before = stage.tree();
        let outcome = carry_out(&store, plan);
        assert_eq!(outcome.removed.disk, freed * room, "{files:?} {budget:?}");
        let gone: Vec<PathBuf> = evicted.iter().map(|name| path(name)).collect();
        let gone: Vec<&Path> = gone.iter().map(PathBuf::as_path).collect();
        assert_only_gone(&before, &stage.tree(), &gone);
    }
}

#[test]
fn which_entries_and_directories_go_by_which_policy() {
    let all = || Policy::of([Selector::All]);
    let forgotten = || Policy::of([Selector::Forgotten]);
    let keeping = |policy| Policy { leftovers: Leftovers::Keep, ..policy };
    let under = |stage: &Stage, policy, path: &str| Policy {
        scope: Scope { under: vec![stage.base.join(path)], ..Scope::default() },
        ..policy
    };
    type Make<'a> = &'a dyn Fn(&Stage) -> Policy;
    // How many files are in scope, the entries that go, and the directories.
    let cases: [(Make<'_>, u64, &[&str], &[&str]); 11] = [
        (&|_| orphans(), 5, &["gone/a", "gone/c/d"], &["gone/a", "gone/b", "gone/c/d", "gone/c", "gone"]),
        (&|_| keeping(orphans()), 5, &["gone/a", "gone/c/d"], &["gone/a", "gone/c/d", "gone/c"]),
        (&|it| under(it, orphans(), "gone/a"), 1, &["gone/a"], &["gone/a"]),
        (&|it| under(it, orphans(), "gone/b"), 0, &[], &["gone/b"]),
        (&|it| under(it, orphans(), "gone/c"), 1, &["gone/c/d"], &["gone/c/d", "gone/c"]),
        (&|it| under(it, orphans(), "living"), 1, &[], &[]),
        // The directories that it empties go too; those that were empty stay as long as they mirror one.
        (
            &|_| all(),
            5,
            &["gone/a", "gone/c/d", "living", "other", "other/sub"],
            &["gone/a", "gone/b", "gone/c/d", "gone/c", "gone", "other/sub", "other"],
        ),
        (
            &|_| keeping(all()),
            5,
            &["gone/a", "gone/c/d", "living", "other", "other/sub"],
            &["gone/a", "gone/c/d", "gone/c", "other/sub", "other"],
        ),
        (&|it| under(it, forgotten(), "other"), 2, &["other", "other/sub"], &["other/sub", "other"]),
        (&|it| under(it, forgotten(), "other/sub"), 1, &["other/sub"], &["other/sub"]),
        (&|_| Policy::of([Selector::Stale]), 5, &[], &["gone/b"]),
    ];
    for (resolver, (make, in_scope, entries, directories)) in
        RESOLVERS.into_iter().flat_map(|it| cases.map(|case| (it, case)))
    {
        let stage = Stage::new();
        let mirror = stage.store.join(stage.base.strip_prefix("/").unwrap());
        let entry = |directory: &str| mirror.join(directory).join("m.cpython-312.pyc");
        for directory in ["living", "other", "other/sub"] {
            let source = stage.base.join(directory).join("m.py");
            fs::create_dir_all(source.parent().unwrap()).unwrap();
            fs::write(&source, "").unwrap();
            let file = fs::File::options().write(true).open(&source).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
            fs::create_dir_all(mirror.join(directory)).unwrap();
            fs::write(entry(directory), HEADER).unwrap();
        }
        ["a", "c/d"].iter().for_each(|directory| drop(stage.orphan(directory, "m")));
        fs::create_dir_all(mirror.join("gone/b")).unwrap();
        fs::create_dir_all(mirror.join("living/empty")).unwrap();
        fs::create_dir_all(stage.base.join("living/empty")).unwrap();
        // What is not Python's is in no scope.
        fs::write(mirror.join("README"), "").unwrap();
        stage.delete_sources("b");
        let store = stage.open(resolver);
        let policy = make(&stage);
        let plan = plan(&store, &policy);
        assert_eq!(plan.in_scope, in_scope, "{policy:?}");
        let before = stage.tree();
        let outcome = carry_out(&store, plan);
        let gone: Vec<PathBuf> = entries
            .iter()
            .map(|directory| entry(directory))
            .chain(directories.iter().map(|it| mirror.join(it)))
            .collect();
        let after = stage.tree();
        let lost: BTreeSet<&PathBuf> = before.keys().filter(|path| !after.contains_key(*path)).collect();
        assert_eq!(lost, gone.iter().collect(), "{policy:?}");
        let counted = (outcome.removed.files, outcome.directories);
        assert_eq!(counted, (entries.len() as u64, directories.len() as u64), "{policy:?}");
    }
}

/// What a store holds, for the question whether a policy leaves any of it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Held {
    /// A fresh entry, last used so many days ago.
    Fresh(u64),
    Orphan,
    /// The source is missing, and nothing says that it was deleted; just written.
    Unknown,
    /// Four bytes or more that are none of bytecode, under an entry's name.
    Zeros,
    Temporary,
    Foreign,
}

impl Stage {
    fn hold(&self, held: &[Held]) {
        let living = self.base.join("living");
        let mirror = self.store.join(living.strip_prefix("/").unwrap());
        [&living, &mirror].into_iter().for_each(|directory| fs::create_dir_all(directory).unwrap());
        let open = |path: &Path| fs::File::options().write(true).open(path).unwrap();
        for (number, held) in held.iter().enumerate() {
            let entry = mirror.join(format!("m{number}.cpython-312.pyc"));
            match held {
                Held::Fresh(days) => {
                    let source = living.join(format!("m{number}.py"));
                    fs::write(&source, "").unwrap();
                    open(&source).set_modified(SystemTime::UNIX_EPOCH).unwrap();
                    fs::write(&entry, HEADER).unwrap();
                    let used = SystemTime::now() - Duration::from_secs(days * 86_400);
                    let written = used - Duration::from_secs(1);
                    let times = fs::FileTimes::new().set_modified(written).set_accessed(used);
                    open(&entry).set_times(times).unwrap();
                }
                Held::Orphan => drop(self.orphan("a", "m")),
                Held::Unknown => {
                    // Longer than the grain of the kernel's time stamps.
                    std::thread::sleep(Duration::from_millis(30));
                    fs::write(&entry, HEADER).unwrap();
                }
                Held::Zeros => fs::write(&entry, [0; 16]).unwrap(),
                Held::Temporary => fs::write(entry.with_extension("pyc.77"), HEADER).unwrap(),
                Held::Foreign => fs::write(mirror.join("README"), HEADER).unwrap(),
            }
        }
    }
}

#[test]
fn a_store_of_which_nothing_stays_is_recognised() {
    use Held::{Foreign, Fresh, Orphan, Temporary, Unknown, Zeros};
    let unused = |seconds| Policy { unused_for: Some(seconds), ..Policy::default() };
    let files = |most| Policy {
        budget: Budget { files: Some(most), disk: None },
        ..Policy::of([Selector::Orphans, Selector::Temporary])
    };
    let all = Policy::of([Selector::All]);
    let elsewhere =
        Policy { scope: Scope { under: vec!["/elsewhere".into()], ..Scope::default() }, ..all.clone() };
    let all_and_orphans = Policy::of([Selector::All, Selector::Orphans]);
    let forgotten = Policy::of([Selector::Forgotten]);
    let cases: [(&Policy, &[Held], bool); 25] = [
        (&all, &[Fresh(0)], true),
        (&all, &[Fresh(0), Foreign], true),
        (&all, &[Fresh(0), Temporary], true),
        (&all, &[Fresh(0), Zeros], true),
        (&all, &[Unknown], true),
        (&all, &[Orphan], true),
        // There is nothing to lose.
        (&all, &[], false),
        (&all, &[Foreign, Temporary], false),
        (&all, &[Zeros], false),
        (&all_and_orphans, &[Orphan], false),
        (&all_and_orphans, &[Orphan, Fresh(0)], true),
        (&elsewhere, &[Fresh(0)], false),
        (&forgotten, &[Fresh(3), Zeros], true),
        (&orphans(), &[Orphan], false),
        (&unused(3600), &[Fresh(1)], true),
        (&unused(3600), &[Fresh(1), Fresh(0)], false),
        // What cannot be judged does not count as what the policy leaves.
        (&unused(3600), &[Fresh(1), Unknown], true),
        (&unused(3600), &[Unknown], false),
        (&unused(2 * 86_400), &[Fresh(3)], false),
        (&files(0), &[Fresh(3), Fresh(4)], true),
        (&files(1), &[Fresh(3), Fresh(4)], false),
        (&files(0), &[Fresh(3), Zeros], true),
        (&files(0), &[Orphan], false),
        (&files(0), &[Orphan, Fresh(3)], true),
        (&files(1), &[Orphan, Fresh(3)], false),
    ];
    for (policy, held, is_nothing) in cases {
        let stage = Stage::new();
        stage.hold(held);
        let store = stage.open(None);
        let weigher = || Weigher::new(Judge::new(policy, &store, circumstances()));
        let cut_off = (!policy.budget.is_unlimited())
            .then(|| CutOff::find(look(&store, policy, weigher), &policy.budget));
        let is_found = AtomicBool::new(false);
        let remainder = || Remainder::new(policy, &store, circumstances(), cut_off.as_ref(), &is_found);
        let parts = look(&store, policy, remainder);
        assert_eq!(Remainder::is_nothing(&parts), is_nothing, "{policy:?} {held:?}");
    }
}

#[test]
fn a_directory_whose_sources_are_back_stays() {
    for resolver in RESOLVERS {
        // What is back: all of it, the directory on the way alone, the topmost.
        for (back, kept) in [("a/b", vec!["a/b", "a", ""]), ("a", vec!["a", ""]), ("", vec![""])] {
            let stage = Stage::new();
            let empty = stage.mirror("a/b");
            fs::create_dir_all(&empty).unwrap();
            stage.delete_sources("a/b");
            let store = stage.open(resolver);
            let plan = plan(&store, &orphans());
            assert_eq!(plan.emptied.iter().map(EmptiedIn::count).sum::<u64>(), 3);
            fs::create_dir_all(stage.base.join("gone").join(back)).unwrap();
            let before = stage.tree();
            let outcome = carry_out(&store, plan);
            let gone = ["a/b", "a", ""].into_iter().find(|it| !kept.contains(it)).map(|_| match back {
                "a" => empty.clone(),
                _ => stage.mirror("a"),
            });
            let gone: Vec<&Path> = gone.iter().map(PathBuf::as_path).collect();
            assert_only_gone(&before, &stage.tree(), &gone);
            assert_eq!((outcome.directories, outcome.is_complete()), (3 - kept.len() as u64, true), "{back}");
            let named: Vec<&[u8]> = outcome.emptied.iter().flat_map(EmptiedIn::names).collect();
            assert_eq!(named.len() as u64, outcome.directories);
        }
        // A file in its place is no directory of sources.
        let stage = Stage::new();
        fs::create_dir_all(stage.mirror("a")).unwrap();
        stage.delete_sources("a");
        let store = stage.open(resolver);
        let plan = plan(&store, &orphans());
        fs::write(stage.base.join("gone"), "").unwrap();
        assert_eq!(carry_out(&store, plan).directories, 2);
    }
}

/// What may become of a source between the plan and its execution.
type SourceChange = fn(&Path);

#[test]
fn an_orphan_whose_source_is_back_stays() {
    let changes: [(&str, SourceChange, Option<Spared>); 5] = [
        ("a file", |source| fs::write(source, "").unwrap(), Some(Spared::SourceReturned)),
        ("a link to a file", |source| symlink("other.py", source).unwrap(), Some(Spared::SourceReturned)),
        ("a link to itself", |source| symlink(source, source).unwrap(), Some(Spared::SourceChanged)),
        ("a link to nothing", |source| symlink("nothing", source).unwrap(), None),
        ("a directory", |source| fs::create_dir(source).unwrap(), None),
    ];
    for (resolver, (what, change, spared)) in RESOLVERS.into_iter().flat_map(|it| changes.map(|to| (it, to)))
    {
        let stage = Stage::new();
        let [path, other] = ["one", "two"].map(|stem| stage.orphan("a", stem));
        stage.delete_sources("a");
        let sources = stage.base.join("gone/a");
        fs::create_dir_all(&sources).unwrap();
        fs::write(sources.join("other.py"), "").unwrap();
        let store = stage.open(resolver);
        let plan = plan(&store, &orphans());
        change(&sources.join("one.py"));
        let gone: &[&Path] = if spared.is_some() { &[&other] } else { &[&path, &other] };
        let outcome = stage.carry_out(&store, plan, gone);
        assert_eq!(kept(&outcome), spared.map(|why| (path, why)).into_iter().collect::<Vec<_>>(), "{what}");
    }
}

/// `m.hy` has the slot of `m.py`.
#[test]
fn an_orphan_whose_source_of_another_suffix_is_back_stays() {
    for policy in [orphans(), Policy::of([Selector::Orphans, Selector::Stale])] {
        let stage = Stage::new();
        let sources = stage.base.join("gone/a");
        let entries = ["one", "two"].map(|stem| stage.orphan("a", stem));
        for (entry, source) in entries.iter().zip(["one.hy", "two.hy"]) {
            fs::write(entry, compiled_by(HEADER, &sources.join(source))).unwrap();
            date_back(entry);
        }
        fs::create_dir_all(&sources).unwrap();
        fs::write(sources.join("other.py"), "").unwrap();
        let store = stage.open(None);
        let plan = plan(&store, &policy);
        assert_eq!(plan.tally().files, 2);
        fs::write(sources.join("one.hy"), "").unwrap();
        // Not what the entry was compiled from.
        fs::write(sources.join("two.txt"), "").unwrap();
        let [path, other] = entries;
        let outcome = stage.carry_out(&store, plan, &[&other]);
        assert_eq!(kept(&outcome), [(path, Spared::SourceRecorded)]);
    }
}

/// By `u/bin`, a link, CPython keeps the entry of `dotfiles/lib/m.py` in the mirror of `u/lib`.
#[test]
fn an_orphan_whose_recorded_source_is_back_stays() {
    for has_directory in [true, false] {
        let stage = Stage::new();
        let at = |path: &str| stage.base.join(path);
        for directory in ["dotfiles/bin", "dotfiles/lib", "u"] {
            fs::create_dir_all(at(directory)).unwrap();
        }
        symlink("../dotfiles/bin", at("u/bin")).unwrap();
        if has_directory {
            fs::create_dir(at("u/lib")).unwrap();
            fs::write(at("u/lib/other.py"), "").unwrap();
        }
        let mirror = stage.store.join(stage.base.strip_prefix("/").unwrap()).join("u/lib");
        fs::create_dir_all(&mirror).unwrap();
        // CPython's own way to that entry.
        fs::create_dir(mirror.with_file_name("bin")).unwrap();
        let [path, other] = ["one", "two"].map(|stem| {
            let entry = mirror.join(format!("{stem}.cpython-312.pyc"));
            let source = at("u/bin/../lib").join(format!("{stem}.py"));
            fs::write(&entry, compiled_by(HEADER, &source)).unwrap();
            date_back(&entry);
            entry
        });
        fs::write(at("dotfiles/lib/other.py"), "").unwrap();
        let store = stage.open(None);
        let plan = plan(&store, &orphans());
        assert_eq!(plan.tally().files, 2);
        fs::write(at("dotfiles/lib/one.py"), "").unwrap();
        let outcome = stage.carry_out(&store, plan, &[&other]);
        assert_eq!(kept(&outcome), [(path, Spared::SourceReturned)], "{has_directory}");
    }
}

#[test]
fn an_orphan_whose_directory_of_sources_is_back_stays() {
    let changes: [(&str, SourceChange, Option<Spared>); 4] = [
        ("a directory", |sources| fs::create_dir(sources).unwrap(), Some(Spared::SourceReturned)),
        ("a link to itself", |sources| symlink(sources, sources).unwrap(), Some(Spared::SourceChanged)),
        ("a link to nothing", |sources| symlink("nothing", sources).unwrap(), None),
        ("a file", |sources| fs::write(sources, "").unwrap(), None),
    ];
    for (resolver, (what, change, spared)) in RESOLVERS.into_iter().flat_map(|it| changes.map(|to| (it, to)))
    {
        let stage = Stage::new();
        let path = stage.mirror("").join("one.cpython-312.pyc");
        assert_eq!(stage.orphan("", "one"), path);
        let store = stage.open(resolver);
        let plan = plan(&store, &orphans());
        assert_eq!(plan.tally().files, 1);
        change(&stage.base.join("gone"));
        let gone: &[&Path] = if spared.is_some() { &[] } else { &[path.parent().unwrap()] };
        let outcome = stage.carry_out(&store, plan, gone);
        assert_eq!(kept(&outcome), spared.map(|why| (path, why)).into_iter().collect::<Vec<_>>(), "{what}");
    }
}

#[test]
fn a_stale_entry_whose_source_changed_stays() {
    let changes: [(&str, SourceChange, Option<Spared>); 7] = [
        ("nothing", |_| {}, None),
        ("its time", date_back, Some(Spared::SourceChanged)),
        (
            "its nanosecond",
            |source| {
                let file = fs::File::options().write(true).open(source).unwrap();
                file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_nanos(1_000_000_001)).unwrap();
            },
            Some(Spared::SourceChanged),
        ),
        (
            "its size",
            |source| {
                let file = fs::File::options().write(true).open(source).unwrap();
                file.set_len(1).unwrap();
                file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
            },
            Some(Spared::SourceChanged),
        ),
        ("it is gone", |source| fs::remove_file(source).unwrap(), Some(Spared::SourceChanged)),
        (
            "it is a directory",
            |source| {
                fs::remove_file(source).unwrap();
                fs::create_dir(source).unwrap();
            },
            Some(Spared::SourceChanged),
        ),
        (
            "it is a link to the same",
            |source| {
                let aside = source.with_extension("aside");
                fs::rename(source, &aside).unwrap();
                symlink(aside, source).unwrap();
            },
            None,
        ),
    ];
    for (resolver, (what, change, spared)) in RESOLVERS.into_iter().flat_map(|it| changes.map(|to| (it, to)))
    {
        let stage = Stage::new();
        let sources = stage.base.join("gone/a");
        fs::create_dir_all(&sources).unwrap();
        for stem in ["one", "two"] {
            let source = sources.join(format!("{stem}.py"));
            fs::write(&source, "").unwrap();
            let file = fs::File::options().write(true).open(&source).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
        }
        let [path, other] = ["one", "two"].map(|stem| stage.orphan("a", stem));
        let store = stage.open(resolver);
        let plan = plan(&store, &Policy::of([Selector::Stale]));
        assert_eq!(plan.tally().files, 2);
        change(&sources.join("one.py"));
        let gone: &[&Path] = if spared.is_some() { &[&other] } else { &[&path, &other] };
        let outcome = stage.carry_out(&store, plan, gone);
        assert_eq!(kept(&outcome), spared.map(|why| (path, why)).into_iter().collect::<Vec<_>>(), "{what}");
    }
}

#[test]
fn what_a_plan_that_is_shown_cannot_look_into_is_a_trouble() {
    for resolver in RESOLVERS {
        let stage = Stage::new();
        stage.orphan("a", "one");
        let other = stage.orphan("z", "other");
        let store = stage.open(resolver);
        let mut plan = plan(&store, &orphans());
        let swapped = stage.mirror("a");
        fs::rename(&swapped, stage.base.join("aside")).unwrap();
        symlink(stage.base.join("aside"), &swapped).unwrap();
        fs::remove_file(other).unwrap();
        assert_eq!(plan.look_into(&store, Threads::exactly(2)), 0);
        let troubles: Vec<&Path> = plan.troubles.iter().map(Trouble::path).collect();
        assert_eq!(troubles, [&swapped], "what vanished is none: {:?}", plan.troubles);
    }
}

#[test]
fn what_may_not_be_looked_at_is_a_trouble_and_what_vanished_is_none() {
    for resolver in RESOLVERS {
        let stage = Stage::new();
        let [locked, ..] = ["locked", "vanished"].map(|directory| stage.orphan(directory, "m"));
        let (before, after, troubles, failures) = as_ordinary_user(&stage.base, || {
            let store = stage.open(resolver);
            let mut plan = plan(&store, &orphans());
            fs::remove_dir_all(stage.mirror("vanished")).unwrap();
            let before = stage.tree();
            // It can be opened and listed, what is in it cannot be looked at.
            let set_mode =
                |mode| fs::set_permissions(stage.mirror("locked"), PermissionsExt::from_mode(mode)).unwrap();
            set_mode(0o400);
            assert_eq!(plan.look_into(&store, Threads::exactly(2)), 0);
            let troubles: Vec<PathBuf> = plan.troubles.iter().map(|it| it.path().to_path_buf()).collect();
            let outcome = carry_out(&store, plan);
            set_mode(0o755);
            let failures = outcome.failures.iter().filter(|it| it.directories == 0);
            let failures: Vec<_> = failures.map(|it| (it.path.clone(), it.files)).collect();
            (before, stage.tree(), troubles, failures)
        });
        assert_only_gone(&before, &after, &[]);
        assert_eq!(troubles, [&*locked], "{resolver:?}");
        assert_eq!(failures, [(locked, 1)], "{resolver:?}");
    }
}

/// So many files are not looked into for a plan that is only shown; those of an overflow count.
#[test]
fn a_plan_of_many_files_is_shown_without_a_look_into_them() {
    let stage = Stage::new();
    let path = stage.orphan("a", "m");
    let store = stage.open(None);
    let found = plan(&store, &orphans());
    let victim = found.directories[0].victims[0].clone();
    fs::write(&path, "x".repeat(HEADER.len() + 1)).unwrap();
    let known = Victim { contents: Contents::Known, ..victim.clone() };
    let cases = [
        (Contents::ToBeRead, 0, MOST_LOOKED_INTO, None),
        (Contents::ToBeRead, 0, MOST_LOOKED_INTO + 1, Some(MOST_LOOKED_INTO + 1)),
        (Contents::ToBeRead, 9, MOST_LOOKED_INTO - 9, None),
        (Contents::ToBeRead, 9, MOST_LOOKED_INTO - 8, Some(MOST_LOOKED_INTO + 1)),
        (Contents::Known, 0, MOST_LOOKED_INTO + 1, None),
        (Contents::Known, 9, MOST_LOOKED_INTO, None),
    ];
    for (contents, gone_unread, count, unread) in cases {
        let victim = if contents == Contents::Known { &known } else { &victim };
        let directory = PlannedDirectory {
            owner: found.directories[0].owner.clone(),
            relative: found.directories[0].relative.clone(),
            victims: vec![victim.clone(); count as usize],
        };
        let mut plan = Plan { directories: vec![directory], gone_unread, ..Plan::default() };
        assert_eq!(plan.look_into(&store, Threads::exactly(2)), unread.unwrap_or(gone_unread));
        let is_looked_into = contents == Contents::ToBeRead && unread.is_none();
        assert_eq!(plan.skipped.len() as u64, if is_looked_into { count } else { 0 });
        assert_eq!(plan.tally().files, if is_looked_into { 0 } else { count });
    }
}

#[test]
fn what_is_left_counts_an_inode_once() {
    let stage = Stage::new();
    let first = stage.orphan("a", "one");
    for (directory, stem) in [("a", "two"), ("b", "three")] {
        let link = stage.mirror(directory).join(format!("{stem}.cpython-312.pyc"));
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        fs::hard_link(&first, link).unwrap();
    }
    let (bytes, disk) = fs::metadata(&first).map(|it| (it.len(), it.blocks() * 512)).unwrap();
    let store = stage.open(None);
    let plan = plan(&store, &orphans());
    assert_eq!(plan.tally(), Tally { files: 3, bytes, disk });
    let outcome = remove::execute(&store, plan, Threads::exactly(2), &AtomicBool::new(true), |_| {});
    assert_eq!(outcome.left, Tally { files: 3, bytes, disk });
}

/// So many cases; those that failed once are in `main.proptest-regressions`.
fn cases(cases: u32) -> ProptestConfig {
    let persistence = FileFailurePersistence::WithSource("proptest-regressions");
    ProptestConfig { cases, failure_persistence: Some(Box::new(persistence)), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(64))]

    /// Whatever has links where: the plan, a dry run in portions and the real one free what disappears from the disk.
    #[test]
    fn bytes_are_freed_with_the_last_link(
        // Of each file the places that have a link to it: directories of orphans, of a living project, elsewhere.
        files in proptest::collection::vec((1..9_usize, proptest::collection::btree_set(0..7_usize, 1..7)), 1..12),
        most in 0..20_u64,
        threads in 1..4_usize,
    ) {
        let stage = Stage::new();
        let living = stage.base.join("living");
        fs::create_dir(&living).unwrap();
        let place = |place: usize| match place {
            0..5 => stage.mirror(&format!("d{place}")),
            5 => stage.store.join(living.strip_prefix("/").unwrap()),
            _ => stage.outside.clone(),
        };
        for (number, (size, places)) in files.iter().enumerate() {
            let name = format!("m{number}.cpython-312.pyc");
            fs::write(living.join(format!("m{number}.py")), "").unwrap();
            let first = stage.base.join("first");
            fs::write(&first, [&HEADER[..], &vec![0; size * 1500]].concat()).unwrap();
            for at in places {
                fs::create_dir_all(place(*at)).unwrap();
                fs::hard_link(&first, place(*at).join(&name)).unwrap();
            }
            fs::remove_file(first).unwrap();
        }
        stage.delete_sources("x");
        let inodes = || -> BTreeMap<u64, (u64, u64)> {
            let entries = walkdir::WalkDir::new(&stage.base).into_iter().map(|it| it.unwrap().metadata().unwrap());
            let files = entries.filter(|it| it.is_file());
            files.map(|it| (it.ino(), (it.len(), it.blocks() * 512))).collect()
        };
        let store = stage.open(None);
        let (policy, stop) = (orphans(), AtomicBool::new(false));
        let whole = plan(&store, &policy).tally();

        let (expectation, execution) = (Expectation::default(), Execution::new(&store, &policy, &stop));
        let expect = |planned: PlannedDirectory| expectation.add(&planned);
        let remove = |planned: PlannedDirectory| execution.remove(&planned);
        let in_portions = |overflow: &Overflow<'_>| {
            let planner = || Planner::new(&policy, &store, circumstances()).with_overflow(Some(overflow));
            Plan::collect(look(&store, &policy, planner))
        };
        let shown = in_portions(&Overflow::new(most, &expect));
        let shown = expectation.finish(shown);
        let before = inodes();
        let rest = in_portions(&Overflow::new(most, &remove));
        let done = execution.finish(rest, Threads::exactly(threads), |_| {});
        let after = inodes();
        let gone: Vec<(u64, u64)> =
            before.iter().filter(|(inode, _)| !after.contains_key(inode)).map(|(_, size)| *size).collect();
        let names = files.iter().map(|(_, places)| places.iter().filter(|place| **place < 5).count()).sum::<usize>();
        let (bytes, disk) = (gone.iter().map(|it| it.0).sum(), gone.iter().map(|it| it.1).sum());
        let expected = Tally { files: names as u64, bytes, disk };
        prop_assert_eq!((whole, shown.removed, done.removed), (expected, expected, expected));
    }
}

/// Two workers that remove the two links of an inode at the same moment must not both see the other link.
#[test]
fn the_last_two_links_are_not_removed_at_once() {
    const INODES: usize = 1000;
    let stage = Stage::new();
    for number in 0..INODES {
        let first = stage.orphan(&format!("{number}/a"), "m");
        let other = stage.mirror(&format!("{number}/b"));
        fs::create_dir(&other).unwrap();
        fs::hard_link(&first, other.join(first.file_name().unwrap())).unwrap();
    }
    let bytes = HEADER.len() + "m".len();
    let store = stage.open(None);
    let outcome = carry_out(&store, plan(&store, &orphans()));
    let expected = (2 * INODES as u64, (INODES * bytes) as u64);
    assert_eq!((outcome.removed.files, outcome.removed.bytes), expected);
}

#[test]
fn what_cannot_be_read_any_more_stays() {
    // One policy plans by the name alone, the other has read the first bytes.
    let read = Policy::of([Selector::Orphans, Selector::Stale]);
    for (resolver, policy) in RESOLVERS.into_iter().flat_map(|it| [(it, orphans()), (it, read.clone())]) {
        let stage = Stage::new();
        let [path, replaced, other] = ["one", "replaced", "two"].map(|stem| stage.orphan("a", stem));
        let (before, after, outcome) = as_ordinary_user(&stage.base, || {
            let store = stage.open(resolver);
            let plan = plan(&store, &policy);
            fs::remove_file(&replaced).unwrap();
            fs::write(&replaced, HEADER).unwrap();
            let before = stage.tree();
            let set_mode = |mode| {
                for path in [&path, &replaced] {
                    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
                }
            };
            set_mode(0o000);
            let outcome = carry_out(&store, plan);
            set_mode(0o644);
            (before, stage.tree(), outcome)
        });
        assert_only_gone(&before, &after, &[&other]);
        assert_eq!(kept(&outcome), [(path, Spared::Unreadable), (replaced, Spared::Changed)]);
        assert!(outcome.is_complete(), "{:?}", outcome.failures);
    }
}

/// What Python loads without an error.
fn loadable() -> Vec<u8> {
    compiled_by(HEADER, Path::new("m.py")).split_off(HEADER.len())
}

#[test]
fn a_recorded_source_keeps_an_orphan_if_its_path_leads_through_dots() {
    assert!(Path::new("src/../src/lib.rs").is_file(), "the directory in which tests run");
    // The stem of an orphan, the path from `living` that it was compiled by, and whether that keeps it.
    let around = format!("{}real.py", "../living/".repeat(500));
    let cases = [
        ("real", "deep/../real.py", true),
        ("another", "deep/../real.py", false),
        ("real", "deep/../gone.py", false),
        ("real", "deep/../directory.py", false),
        ("real", "real.py", false),
        // No path is so long.
        ("real", &around, false),
    ];
    let all = cases.iter().map(Some).chain([None]);
    for (case, has_directory) in all.flat_map(|case| [(case, false), (case, true)]) {
        let stage = Stage::new();
        let living = stage.base.join("living");
        fs::create_dir_all(living.join("deep")).unwrap();
        fs::create_dir(living.join("directory.py")).unwrap();
        fs::write(living.join("real.py"), "").unwrap();
        let (stem, path, is_kept) = match case {
            Some((stem, path, is_kept)) => (*stem, living.join(path), *is_kept),
            // From where, nobody knows.
            None => ("lib", PathBuf::from("src/../src/lib.rs"), false),
        };
        let entry = stage.orphan("a", stem);
        // Dots elsewhere in an entry say nothing.
        fs::write(&entry, [&*compiled_by(HEADER, &path), b"/../"].concat()).unwrap();
        date_back(&entry);
        stage.delete_sources("a");
        if has_directory {
            fs::create_dir_all(stage.base.join("gone/a")).unwrap();
            fs::write(stage.base.join("gone/a/other.py"), "").unwrap();
        }
        let store = stage.open(None);
        let outcome = carry_out(&store, plan(&store, &orphans()));
        assert_eq!(entry.exists(), is_kept, "{}", path.display());
        let expected = is_kept.then_some((entry, Spared::SourceRecorded));
        assert_eq!(kept(&outcome), expected.into_iter().collect::<Vec<_>>(), "{}", path.display());
    }
}

#[test]
fn what_is_listed_goes_as_long_as_python_would_load_it() {
    /// Lists all entries.
    struct List(Vec<SeenEntry>);
    impl Visitor for List {
        fn directory(&mut self, visit: &Visit<'_>) {
            self.0.extend(visit.entries.iter().filter_map(|entry| SeenEntry::new(visit.relative, entry)));
        }
        fn trouble(&mut self, trouble: Trouble) {
            panic!("{trouble}");
        }
    }
    let stage = Stage::new();
    let (_, listed) = stage.living("listed", b"");
    let (source, _) = stage.living("stale", b"");
    let (_, rewritten) = stage.living("written", b"");
    let store = stage.open(None);
    let lists = look(&store, &Policy::of([Selector::Stale]), || List(Vec::new()));
    let mut seen: Vec<SeenEntry> = lists.into_iter().flat_map(|list| list.0).collect();
    assert_eq!(seen.len(), 3);
    seen.sort_by(|one, other| (&one.relative, &one.name).cmp(&(&other.relative, &other.name)));
    let (_, other) = stage.living("other", b"");
    let chosen = seen.into_iter().map(|entry| ChosenEntry { entry, status: Status::Fresh });
    let policy = Policy { listed: std::sync::Arc::new(chosen.collect()), ..Policy::of([Selector::Listed]) };
    date_back(&source);
    fs::write(&rewritten, [&HEADER[..], b"anew"].concat()).unwrap();
    let before = stage.tree();
    carry_out(&store, plan(&store, &policy));
    assert_only_gone(&before, &stage.tree(), &[&listed]);
    assert!(other.exists());
}

/// Does something with a directory before it is judged.
struct Before<'a>(&'a (dyn Fn(&Visit<'_>) + Sync));

impl Visitor for Before<'_> {
    fn directory(&mut self, visit: &Visit<'_>) {
        (self.0)(visit);
    }

    fn trouble(&mut self, _: Trouble) {}
}

#[test]
fn bodies_are_read_only_where_that_is_asked_for() {
    let stage = Stage::new();
    let (_, faulty) = stage.living("faulty", b"no code");
    let (_, loadable) = stage.living("loadable", &loadable());
    let (_, vanished) = stage.living("vanished", b"no code");
    let (_, locked) = stage.living("locked", b"no code");
    let sound = [Selector::Orphans, Selector::Stale, Selector::Corrupt];
    let found = as_ordinary_user(&stage.base, || {
        let store = stage.open(None);
        let plan_of = |policy: &Policy, act: &(dyn Fn(&Visit<'_>) + Sync)| {
            let new = || (Planner::new(policy, &store, circumstances()), Some(Before(act)));
            let plan =
                Plan::collect(look(&store, policy, new).into_iter().map(|(planner, _)| planner).collect());
            let victims =
                plan.directories.iter().flat_map(|it| it.victims.iter().map(|victim| victim.name.clone()));
            let troubles = plan.troubles.iter().map(|trouble| trouble.path().to_path_buf());
            (victims.collect::<Vec<_>>(), troubles.collect::<Vec<_>>())
        };
        let unasked = plan_of(&Policy::of(sound), &|_| {});
        // The headers were read by then, and say nothing against the entries.
        let asked = plan_of(&Policy::of([Selector::Bodies]), &|visit| {
            if !visit.entries.is_empty() {
                fs::remove_file(&vanished).unwrap();
                fs::set_permissions(&locked, PermissionsExt::from_mode(0o000)).unwrap();
            }
        });
        (unasked, asked)
    });
    let name = |path: &Path| path.file_name().unwrap().as_encoded_bytes().into();
    assert_eq!(found.0, (Vec::<Box<[u8]>>::new(), Vec::new()));
    assert_eq!(found.1, (vec![name(&faulty)], vec![locked]));
    assert!(loadable.exists());
}

#[test]
fn what_could_not_be_weighed_is_a_trouble() {
    let stage = Stage::new();
    stage.living("open", b"");
    let closed = stage.orphan("closed", "m").parent().unwrap().to_path_buf();
    let policy = Policy { budget: Budget { files: Some(1), disk: None }, ..Policy::default() };
    let cut_off = as_ordinary_user(&stage.base, || {
        let store = stage.open(None);
        fs::set_permissions(&closed, PermissionsExt::from_mode(0o000)).unwrap();
        let weigher = || Weigher::new(Judge::new(&policy, &store, circumstances()));
        let cut_off = CutOff::find(look(&store, &policy, weigher), &policy.budget);
        fs::set_permissions(&closed, PermissionsExt::from_mode(0o755)).unwrap();
        cut_off
    });
    let troubles: Vec<&Path> = cut_off.troubles.iter().map(Trouble::path).collect();
    assert_eq!(troubles, [&closed]);
}

#[test]
fn no_file_loses_a_name_in_vain_to_a_budget_of_bytes() {
    const FILES: usize = 6;
    let bytes = [&HEADER[..], &[7; 9000]].concat();
    let stage = Stage::new();
    // All of the same size and day: only what they are decides.
    let mut files = BTreeMap::new();
    for number in 0..FILES {
        let names = ["a", "b", "c"].map(|letter| stage.living(&format!("{letter}{number}"), b"").1);
        fs::write(&names[0], &bytes).unwrap();
        for other in &names[1..] {
            fs::remove_file(other).unwrap();
            fs::hard_link(&names[0], other).unwrap();
        }
        date_back(&names[0]);
        files.insert(number, names);
    }
    let disk = fs::metadata(&files[&0][0]).unwrap().blocks() * 512;
    let store = stage.open(None);
    for fit in 0..=FILES {
        let policy =
            Policy { budget: Budget { disk: Some(fit as u64 * disk), files: None }, ..Policy::default() };
        let weigher = || Weigher::new(Judge::new(&policy, &store, circumstances()));
        let cut_off = CutOff::find(look(&store, &policy, weigher), &policy.budget);
        let planner = || Planner::new(&policy, &store, circumstances()).with_cut_off(Some(&cut_off));
        let plan = Plan::collect(look(&store, &policy, planner));
        let tally = plan.tally();
        let expected = (3 * (FILES - fit) as u64, (FILES - fit) as u64 * disk);
        assert_eq!((tally.files, tally.disk), expected, "{fit} fit");
    }
}

#[test]
fn empty_directories_go_from_the_store_of_an_ordinary_user() {
    let stage = Stage::new();
    fs::create_dir_all(stage.mirror("a/b")).unwrap();
    stage.delete_sources("a/b");
    let outcome = as_ordinary_user(&stage.base, || {
        let store = stage.open(None);
        carry_out(&store, plan(&store, &orphans()))
    });
    assert_eq!((outcome.directories, stage.mirror("").exists()), (3, false));
}

/// Somebody who owns the store swaps a directory for a link all the time, while somebody else prunes it.
#[test]
fn a_race_with_links_removes_nothing_outside() {
    const FILES: usize = 8;
    for resolver in RESOLVERS {
        let stage = Stage::new();
        let (real, link) = (stage.mirror("a/real"), stage.mirror("a/link"));
        for number in 0..FILES {
            stage.orphan("a/real", &format!("m{number}"));
        }
        stage.link_outside(&real);
        fs::write(real.join("note"), "keeps the directory").unwrap();
        symlink(&stage.outside, &link).unwrap();
        let outside = tree(&stage.outside);
        let store = stage.open(resolver);
        let began = Instant::now();
        let (mut rounds, mut removed, mut refused) = (0, 0, 0);
        while began.elapsed() < Duration::from_millis(1500) || (removed == 0 || refused == 0) {
            assert!(
                began.elapsed() < Duration::from_secs(120),
                "{rounds} rounds met no race: {removed} {refused}"
            );
            let directory = if real.is_symlink() { &link } else { &real };
            for (path, (kind, ..)) in &outside {
                let path_inside = directory.join(path.strip_prefix(&stage.outside).unwrap());
                if kind.is_file() && !path_inside.exists() {
                    fs::hard_link(path, path_inside).unwrap();
                }
            }
            let finished = AtomicBool::new(false);
            let outcome = std::thread::scope(|scope| {
                scope.spawn(|| {
                    while !finished.load(Ordering::Relaxed) {
                        let (flags, cwd) = (rustix::fs::RenameFlags::EXCHANGE, rustix::fs::CWD);
                        rustix::fs::renameat_with(cwd, &real, cwd, &link, flags).unwrap();
                    }
                });
                let outcome = carry_out(&store, plan(&store, &orphans()));
                finished.store(true, Ordering::Relaxed);
                outcome
            });
            assert!(tree(&stage.outside) == outside, "round {rounds}, {resolver:?}");
            rounds += 1;
            removed += outcome.removed.files;
            refused += outcome.failures.len();
        }
    }
}

/// What may happen to a store between a plan and its execution.
#[derive(Debug, Clone, Copy)]
enum Change {
    Rewrite(usize),
    Touch(usize),
    Replace(usize),
    Vanish(usize),
    Link(usize),
    Pipe(usize),
    Add(usize),
    AddDirectory(usize),
    SwapDirectory(usize),
    MoveDirectory(usize),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let place = 0..6_usize;
    let change = prop_oneof![
        place.clone().prop_map(Change::Rewrite),
        place.clone().prop_map(Change::Touch),
        place.clone().prop_map(Change::Replace),
        place.clone().prop_map(Change::Vanish),
        place.clone().prop_map(Change::Link),
        place.clone().prop_map(Change::Pipe),
        place.clone().prop_map(Change::Add),
        place.clone().prop_map(Change::AddDirectory),
        place.clone().prop_map(Change::SwapDirectory),
        place.prop_map(Change::MoveDirectory),
    ];
    proptest::collection::vec(change, 0..6)
}

/// Directories of the store, each with two orphans.
const DIRECTORIES: [&str; 6] = ["a", "a/b", "a/b/c", "a/d", "e", "e/f"];

/// Makes a change. One that an earlier change made impossible is none.
fn change(stage: &Stage, change: Change) {
    let directory = |index: usize| stage.mirror(DIRECTORIES[index]);
    let file = |index: usize| directory(index).join("one.cpython-312.pyc");
    // A pipe would be waited for.
    let is_pipe = |index: usize| fs::symlink_metadata(file(index)).is_ok_and(|it| it.file_type().is_fifo());
    if let Change::Rewrite(index) | Change::Touch(index) | Change::Replace(index) = change
        && is_pipe(index)
    {
        return;
    }
    let _ = match change {
        Change::Rewrite(index) => fs::write(file(index), HEADER),
        Change::Touch(index) => fs::File::options()
            .write(true)
            .open(file(index))
            .and_then(|file| file.set_modified(SystemTime::now() + Duration::from_secs(1))),
        Change::Replace(index) => {
            let new = stage.base.join("new");
            fs::copy(file(index), &new).and_then(|_| fs::rename(new, file(index)))
        }
        Change::Vanish(index) => fs::remove_file(file(index)),
        Change::Link(index) => {
            fs::remove_file(file(index)).and_then(|()| symlink(stage.outside.join("x"), file(index)))
        }
        Change::Pipe(index) => fs::remove_file(file(index)).and_then(|()| make_pipe(&file(index))),
        Change::Add(index) => fs::write(directory(index).join("new.cpython-312.pyc"), HEADER),
        Change::AddDirectory(index) => fs::create_dir(directory(index).join("new")),
        Change::SwapDirectory(index) => {
            let aside = stage.outside.join(format!("swapped{index}"));
            fs::rename(directory(index), &aside).and_then(|()| symlink(aside, directory(index)))
        }
        Change::MoveDirectory(index) => {
            fs::rename(directory(index), stage.outside.join(format!("moved{index}")))
        }
    };
}

proptest! {
    #![proptest_config(cases(48))]

    /// Whatever happens meanwhile: only planned files go, only as they were planned, and only from the store.
    #[test]
    fn only_planned_files_go_as_they_were_planned(changes in changes(), is_kernel: bool) {
        let stage = Stage::new();
        for directory in DIRECTORIES {
            stage.orphan(directory, "one");
            stage.orphan(directory, "two");
        }
        let store = stage.open((!is_kernel).then_some(Resolver::Components));
        let plan = plan(&store, &orphans());
        prop_assert_eq!(plan.tally().files, 12);
        let planned: BTreeMap<PathBuf, (u64, u64, Moment)> = plan
            .directories
            .iter()
            .flat_map(|it| it.victims.iter().map(|victim| {
                let state = (victim.identity.1, victim.bytes, victim.modified);
                (store.shown(&it.relative, &victim.name), state)
            }))
            .collect();
        for it in &changes {
            change(&stage, *it);
        }
        let before = stage.tree();
        let states: BTreeMap<&PathBuf, fs::Metadata> =
            before.keys().map(|path| (path, fs::symlink_metadata(path).unwrap())).collect();
        let outcome = carry_out(&store, plan);
        let after = stage.tree();
        let mut removed = 0;
        for (path, (kind, ..)) in &before {
            if let Some(now) = after.get(path) {
                prop_assert!(now == &before[path], "{} changed", path.display());
                continue;
            }
            prop_assert!(path.starts_with(&stage.store), "{} is not of the store", path.display());
            if kind.is_dir() {
                continue; // the kernel removes none that is not empty
            }
            let metadata = &states[path];
            let modified = Moment { seconds: metadata.mtime(), nanoseconds: metadata.mtime_nsec() as u32 };
            let state = (metadata.ino(), metadata.size(), modified);
            prop_assert_eq!(planned.get(path), Some(&state), "{}", path.display());
            removed += 1;
        }
        prop_assert!(after.keys().all(|path| before.contains_key(path)));
        prop_assert_eq!(outcome.removed.files, removed);
    }
}
