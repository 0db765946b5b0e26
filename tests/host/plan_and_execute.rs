//! What happens between a plan and its execution: something is mounted, or belongs to another user.

use crate::support::compiled::compiled_by;
use crate::support::confinement::enters_namespace;
use crate::support::stage::{RESOLVERS, Stage, carry_out, orphans, plan};
use crate::support::{HEADER, assert_only_gone, date_back};
use pycstore::effect::remove;
use pycstore::host::pool::Threads;
use pycstore::store::scan::Trouble;
use pycstore::verdict::emptied::EmptiedIn;
use pycstore::verdict::plan::Plan;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;

#[test]
#[ignore = "needs a mount namespace"]
fn a_mount_made_after_the_plan_is_not_crossed() {
    if !enters_namespace("plan_and_execute::a_mount_made_after_the_plan_is_not_crossed") {
        return;
    }
    let mount = |options: &[&str], from: &Path, to: &Path| {
        assert!(Command::new("mount").args(options).arg(from).arg(to).status().unwrap().success());
    };
    for resolver in RESOLVERS {
        // On the directory of the victims, on its parent, and on itself: the same files at the same place.
        for (covered, from) in [("a/b", None), ("a", None), ("a/b", Some("a/b")), ("a", Some("a"))] {
            let stage = Stage::new();
            stage.orphan("a/b", "one");
            stage.orphan("a/b", "two");
            stage.orphan("z", "other");
            let store = stage.open(resolver);
            let plan = plan(&store, &orphans());
            let covered = stage.mirror(covered);
            if from.is_none() {
                stage.link_outside(&covered);
            }
            let from = from.map_or(stage.outside.clone(), |from| stage.mirror(from));
            mount(&["--bind"], &from, &covered);
            let before = stage.tree();
            let outcome = carry_out(&store, plan);
            let after = stage.tree();
            assert!(Command::new("umount").arg(&covered).status().unwrap().success());
            assert_only_gone(&before, &after, &[&stage.mirror("z")]);
            let failed: Vec<_> = outcome.failures.iter().map(|it| (it.path.clone(), it.files)).collect();
            assert!(failed.contains(&(stage.mirror("a/b"), 2)), "{failed:?}");
        }
    }
}

#[test]
#[ignore = "needs a mount namespace"]
fn a_file_system_that_became_read_only_is_one_failure() {
    if !enters_namespace("plan_and_execute::a_file_system_that_became_read_only_is_one_failure") {
        return;
    }
    let run = |program: &str, arguments: &[&str], at: &Path| {
        assert!(Command::new(program).args(arguments).arg(at).status().unwrap().success());
    };
    for resolver in RESOLVERS {
        for (files, failed) in [(4, (4, 0)), (0, (0, 4))] {
            let stage = Stage::new();
            run("mount", &["--bind", stage.store.to_str().unwrap()], &stage.store);
            for (number, directory) in ["a", "a", "b", "c"].into_iter().enumerate().take(files) {
                stage.orphan(directory, &format!("m{number}"));
            }
            for directory in ["a", "b", "c"] {
                fs::create_dir_all(stage.mirror(directory)).unwrap();
            }
            stage.delete_sources("a");
            let store = stage.open(resolver);
            let plan = plan(&store, &orphans());
            assert_eq!(plan.emptied.iter().map(EmptiedIn::count).sum::<u64>(), 4);
            run("mount", &["-o", "remount,bind,ro"], &stage.store);
            let before = stage.tree();
            let outcome = remove::execute(&store, plan, Threads::exactly(1), &AtomicBool::new(false), |_| {});
            let after = stage.tree();
            run("umount", &["--lazy"], &stage.store);
            assert_only_gone(&before, &after, &[]);
            let failures: Vec<_> =
                outcome.failures.iter().map(|it| (&*it.path, it.files, it.directories)).collect();
            assert_eq!(failures, [(&*stage.store, failed.0, failed.1)]);
            assert_eq!((outcome.left.files, outcome.directories_left, outcome.directories), (0, 0, 0));
        }
    }
}

#[test]
#[ignore = "needs a mount namespace"]
fn a_mount_made_on_an_emptied_directory_stays() {
    if !enters_namespace("plan_and_execute::a_mount_made_on_an_emptied_directory_stays") {
        return;
    }
    for resolver in RESOLVERS {
        let stage = Stage::new();
        stage.orphan("a/b", "one");
        let store = stage.open(resolver);
        let mut plan = plan(&store, &orphans());
        // As if the files had been removed already.
        plan.directories.clear();
        fs::remove_file(stage.mirror("a/b/one.cpython-312.pyc")).unwrap();
        let covered = stage.mirror("a/b");
        assert!(
            Command::new("mount").arg("--bind").arg(&stage.outside).arg(&covered).status().unwrap().success()
        );
        let outcome = carry_out(&store, plan);
        assert!(Command::new("umount").arg(&covered).status().unwrap().success());
        assert!(covered.is_dir() && stage.outside.is_dir());
        assert_eq!(outcome.directories, 0);
    }
}

#[test]
#[ignore = "needs root, a loop device and btrfs-progs"]
fn an_empty_subvolume_stays() {
    if !enters_namespace("plan_and_execute::an_empty_subvolume_stays") {
        return;
    }
    let run = |program: &str, arguments: &[&Path]| {
        let output = Command::new(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let elsewhere = tempfile::tempdir().unwrap();
    let image = elsewhere.path().join("image");
    fs::File::create(&image).unwrap().set_len(200 << 20).unwrap();
    run("mkfs.btrfs", &["-q".as_ref(), &image]);
    for resolver in RESOLVERS {
        let stage = Stage::new();
        run("mount", &["-o".as_ref(), "loop".as_ref(), &image, &stage.base]);
        fs::create_dir(&stage.store).unwrap();
        let subvolume = stage.mirror("a/sub");
        fs::create_dir_all(stage.mirror("a/plain")).unwrap();
        run("btrfs", &["subvolume".as_ref(), "create".as_ref(), &subvolume]);
        stage.delete_sources("a/sub");
        let store = stage.open(resolver);
        let plan = plan(&store, &orphans());
        let named = |plan: &Plan| plan.emptied.iter().map(EmptiedIn::count).sum::<u64>();
        assert_eq!(named(&plan), 1, "a dry run names the other directory");
        // A subvolume takes the place of the other since.
        let other = stage.mirror("a/plain");
        fs::remove_dir(&other).unwrap();
        run("btrfs", &["subvolume".as_ref(), "create".as_ref(), &other]);
        let outcome = stage.carry_out(&store, plan, &[]);
        assert_eq!((outcome.directories, outcome.is_complete()), (0, true));
        drop(store);
        for entry in fs::read_dir(&stage.base).unwrap() {
            fs::remove_dir_all(entry.unwrap().path()).unwrap();
        }
        run("umount", &[&stage.base]);
    }
}

#[test]
#[ignore = "needs a mount namespace"]
fn a_mount_point_in_the_store_is_said_and_a_path_leads_through_it() {
    if !enters_namespace("plan_and_execute::a_mount_point_in_the_store_is_said_and_a_path_leads_through_it") {
        return;
    }
    for resolver in RESOLVERS {
        let stage = Stage::new();
        let (_, entry) = stage.living("m", b"");
        // CPython opened it by `living/link/../m.py`, which is `real/m.py`.
        let real = stage.base.join("real");
        fs::create_dir_all(real.join("deep")).unwrap();
        fs::rename(stage.base.join("living/m.py"), real.join("m.py")).unwrap();
        symlink(real.join("deep"), stage.base.join("living/link")).unwrap();
        fs::write(&entry, compiled_by(HEADER, &stage.base.join("living/link/../m.py"))).unwrap();
        date_back(&entry);
        let point = entry.with_file_name("link");
        fs::create_dir(&point).unwrap();
        let run = |program: &str, arguments: &[&Path]| {
            assert!(Command::new(program).args(arguments).status().unwrap().success());
        };
        run("mount", &["--bind".as_ref(), &stage.outside, &point]);
        let store = stage.open(resolver);
        let there = plan(&store, &orphans());
        fs::remove_file(real.join("m.py")).unwrap();
        let gone = plan(&store, &orphans());
        run("umount", &[&point]);
        assert_eq!((there.tally().files, gone.tally().files), (0, 1), "{resolver:?}");
        let [Trouble::MountPoint { path }] = &gone.troubles[..] else { panic!("{:?}", gone.troubles) };
        assert_eq!(path, &point);
    }
}

#[test]
#[ignore = "needs root"]
fn the_empty_directories_of_others_stay_in_roots_store() {
    for resolver in RESOLVERS {
        let stage = Stage::new();
        for directory in ["a/own", "a/since", "a/theirs"] {
            fs::create_dir_all(stage.mirror(directory)).unwrap();
        }
        stage.delete_sources("a/own");
        let give = |path: &Path| std::os::unix::fs::chown(path, Some(65534), Some(65534)).unwrap();
        give(&stage.mirror("a/theirs"));
        let store = stage.open(resolver);
        let plan = plan(&store, &orphans());
        let named: Vec<Vec<u8>> = plan.emptied.iter().flat_map(|it| it.names().map(<[u8]>::to_vec)).collect();
        assert_eq!(named, [b"own".to_vec(), b"since".to_vec()]);
        give(&stage.mirror("a/since"));
        let outcome = stage.carry_out(&store, plan, &[&stage.mirror("a/own")]);
        assert_eq!((outcome.directories, outcome.is_complete()), (1, true));
    }
}
