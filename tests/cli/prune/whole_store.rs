//! What would empty a whole store asks on a terminal and wants `--yes` without one, by whichever option; what takes only
//! entries that are of no use to any Python never asks.

use crate::support::{World, age, assert_only_gone, files, newest};
use std::path::PathBuf;
use std::time::Duration;

/// A store of two projects with three entries.
fn world() -> World {
    let world = World::new();
    let projects = [world.project("one", &["a.py", "b.py"]), world.project("two", &["c.py"])];
    world.compile(newest(), &[], &projects.each_ref().map(PathBuf::as_path));
    world
}

/// Command lines that leave nothing of [`world`], each by another way.
fn emptying(world: &World) -> Vec<Vec<String>> {
    let home = world.home.to_str().unwrap();
    let tag = newest().tag.as_str();
    let lines: [&[&str]; 16] = [
        &["prune", "--all"],
        &["prune", "--max-size", "0"],
        &["prune", "--max-size", "1B"],
        &["prune", "--max-files", "0"],
        &["prune", "--unused-for", "0s"],
        &["prune", "--orphans", "--stale", "--unused-for", "0d"],
        &["prune", "--max-size", "5GiB", "--max-files", "0"],
        &["prune", "--max-files", "0", "--under", home],
        &["prune", "--max-files", "0", "--tag", tag],
        &["prune", "--max-files", "0", "--owner", "one", "--owner", "two"],
        &["forget", "/"],
        &["forget", "."],
        &["forget", "one", "two"],
        &["forget", ".cache/cpython"],
        &["forget", home, "--tag", tag],
        &["-q", "forget", "--json", ".."],
    ];
    lines.iter().map(|line| line.iter().map(ToString::to_string).collect()).collect()
}

#[test]
fn without_a_terminal_it_is_refused() {
    let world = world();
    let before = World::snapshot(&world.home);
    for line in emptying(&world) {
        let told = world.pycstore(&line).exits(2);
        assert_eq!(told.stdout, "", "{line:?}");
        assert!(told.stderr.contains("every entry") && told.stderr.contains("--yes"), "{line:?} {told:?}");
        assert_only_gone(&before, &World::snapshot(&world.home), &[]);
    }
    assert_eq!(world.pycstore(["history", "--json"]).exits(0).stdout, "");
}

#[test]
fn with_a_yes_or_dry_it_is_not() {
    for number in 0..emptying(&world()).len() {
        let world = world();
        let line = &emptying(&world)[number];
        let before = World::snapshot(&world.home);
        world.pycstore(line.iter().map(String::as_str).chain(["-n"])).exits(0);
        assert_only_gone(&before, &World::snapshot(&world.home), &[]);
        world.pycstore(line.iter().map(String::as_str).chain(["--yes"])).exits(0);
        assert!(files(&world.store).is_empty(), "{line:?}");
    }
}

#[test]
fn on_a_terminal_it_asks() {
    for number in 0..emptying(&world()).len() {
        let world = world();
        let line = emptying(&world).swap_remove(number);
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        let before = World::snapshot(&world.home);
        let told = world.pycstore_answered(&line, "n\n").exits(0);
        assert!(told.stdout.contains("Remove 3 files ("), "{line:?} {told:?}");
        assert!(told.stdout.ends_with("pycstore: nothing was removed\n"), "{line:?} {told:?}");
        assert_only_gone(&before, &World::snapshot(&world.home), &[]);
        assert_eq!(world.pycstore_answered(&line, "\u{3}").code, 128 + 2, "{line:?}");
        world.pycstore_answered(&line, "y\n").exits(0);
        assert!(files(&world.store).is_empty(), "{line:?}");
    }
}

#[test]
fn files_that_python_never_wrote_are_no_entries_that_stay() {
    for (name, is_deleted) in
        [("a.cpython-38.pyc", false), ("a.cpython-38.pyc", true), ("gone.cpython-38.pyc", true)]
    {
        let world = world();
        let planted = world.mirror(&world.home.join("one")).join(name);
        std::fs::write(&planted, "MZ, and no bytecode at all").unwrap();
        if is_deleted {
            std::fs::remove_file(world.home.join("one/a.py")).unwrap();
        }
        let before = World::snapshot(&world.store);
        for line in [
            &["--max-files", "0"][..],
            &["--unused-for", "0s"],
            &["--max-files", "0", "--tag", &newest().tag],
        ] {
            let told = world.pycstore(["prune"].iter().chain(line)).exits(2);
            assert!(told.stderr.contains("every entry"), "{name} {line:?} {told:?}");
        }
        assert_only_gone(&before, &World::snapshot(&world.store), &[]);
    }
}

#[test]
fn what_leaves_an_entry_asks_nobody() {
    let lines: [(&[&str], usize); 8] = [
        (&["prune", "--max-files", "1"], 1),
        (&["prune", "--max-files", "0", "--under", "one"], 1),
        (&["prune", "--max-files", "0", "--keep", "**/c.py"], 1),
        (&["prune", "--max-size", "0", "--owner", "two"], 2),
        (&["prune", "--max-size", "1GiB"], 3),
        (&["prune", "--unused-for", "1h"], 1),
        (&["forget", "one"], 1),
        (&["forget", "."], 1),
    ];
    for (line, left) in lines {
        let world = world();
        let entry = |path: &str| world.entry(&world.home.join(path), newest(), "");
        for path in ["one/a.py", "one/b.py"] {
            age(&entry(path), Duration::from_secs(7200));
        }
        if line == ["forget", "."] {
            // Somewhere else is one that stays, whatever became of its source.
            let elsewhere = world.mirror(&PathBuf::from("/pycstore-no-such-place"));
            std::fs::create_dir_all(&elsewhere).unwrap();
            std::fs::copy(entry("two/c.py"), elsewhere.join("c.cpython-312.pyc")).unwrap();
        }
        let told = world.pycstore(line).exits(0);
        assert_eq!(files(&world.store).len(), left, "{line:?} {told:?}");
    }
}

#[test]
fn what_is_of_no_use_to_any_python_goes_unattended() {
    let lines: [&[&str]; 5] = [
        &["prune", "--orphans"],
        &["prune", "--orphans", "--unused-for", "1h"],
        &["prune", "--orphans", "--max-size", "1B"],
        &["prune", "--orphans", "--max-size", "5GiB", "--unused-for", "90d"],
        // A store that nobody used for a quarter of a year is emptied as the policy says.
        &["prune", "--unused-for", "90d"],
    ];
    for line in lines {
        let world = world();
        for path in ["one/a.py", "one/b.py", "two/c.py"] {
            let source = world.home.join(path);
            age(&world.entry(&source, newest(), ""), Duration::from_secs(100 * 86_400));
            if line.contains(&"--orphans") {
                std::fs::remove_file(&source).unwrap();
            }
        }
        world.pycstore(line).exits(0);
        assert!(files(&world.store).is_empty(), "{line:?}");
        // Nothing is in the store: nothing is lost, and nobody asked.
        world.pycstore(["forget", "/"]).exits(0);
        world.pycstore(["prune", "--max-size", "0"]).exits(0);
    }
}

#[test]
fn a_configuration_that_empties_the_store_is_refused_at_night() {
    for limit in ["max-size = \"0\"", "max-files = 0", "unused-for = \"0s\""] {
        let world = world();

        world.write(".config/pycstore/config.toml", format!("[prune]\norphans = true\n{limit}\n"));
        for line in [&["prune"][..], &["schedule", "run"], &["-q", "schedule", "run"]] {
            let told = world.pycstore(line).exits(2);
            assert!(told.stderr.contains("every entry"), "{limit} {line:?}: {}", told.stderr);
        }
        assert_eq!(files(&world.store).len(), 3);
        let told = world.pycstore(["schedule", "install", "--with", "cron", "--print"]).exits(2);
        assert!(
            told.stderr.contains("every entry") && told.stderr.contains("config.toml"),
            "{}",
            told.stderr
        );
        world.pycstore(["prune", "--yes"]).exits(0);
        assert!(files(&world.store).is_empty(), "{limit}");
    }
}
