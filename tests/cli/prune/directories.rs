//! Directories of the store: one goes with the directory that it mirrors, and no other does.

use crate::support::{Snapshot, World, answer, assert_only_gone, implementations, interpreters, newest};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// All that removes without a scope.
const SELECTORS: [&[&str]; 8] = [
    &["--orphans"],
    &["--stale"],
    &["--corrupt"],
    &["--temporary"],
    &["--dead-interpreters"],
    &["--unused-for", "1000d"],
    &["--max-size", "1TiB", "--max-files", "1000000"],
    &["--orphans", "--stale", "--corrupt", "--temporary", "--dead-interpreters"],
];

fn store(world: &World) -> Snapshot {
    World::snapshot(&world.store)
}

/// A store with a project that is there and one that is deleted; returns the mirrors of both.
fn site() -> (World, PathBuf, PathBuf) {
    let world = World::new();
    let living = world.project("living", &["a.py"]);
    let gone = world.project("gone", &["b.py", "pkg/c.py", "pkg/sub/d.py"]);
    world.compile(newest(), &[], &[&living, &gone]);
    // The first run makes a directory in the home for its history: that changes the home.
    world.pycstore(["prune", "--stale"]).exits(0);
    fs::remove_dir_all(&gone).unwrap();
    let (living, gone) = (world.mirror(&living), world.mirror(&gone));
    (world, living, gone)
}

/// The paths that a report names as removed.
fn named(document: &Value) -> Vec<PathBuf> {
    let lines = document["removed_directories"].as_array().unwrap();
    lines.iter().map(|line| PathBuf::from(line["path"].as_str().unwrap())).collect()
}

#[test]
fn what_other_programs_made_stays() {
    let (world, _, gone) = site();
    // As in /tmp and /dev/shm: nothing of it mirrors a path.
    for path in ["other-app/lock", ".X11-unix", "systemd-private-1-foo/tmp", "job.XXXX"] {
        fs::create_dir_all(world.store.join(path)).unwrap();
    }
    // A repository below a directory that is no store.
    let repository = world.store.join("code/app");
    for directory in ["objects/info", "objects/pack", "refs/heads", "refs/tags"] {
        fs::create_dir_all(repository.join(".git").join(directory)).unwrap();
    }
    fs::write(repository.join(".git/HEAD"), "ref: refs/heads/main\n").unwrap();
    let before = store(&world);
    for selectors in SELECTORS.into_iter().rev() {
        world.pycstore(["prune"].iter().chain(selectors)).exits(0);
    }
    assert_only_gone(&before, &store(&world), &[&gone]);
}

#[test]
fn the_mirror_of_a_directory_that_is_there_stays_empty_or_not() {
    let world = World::new();
    let project = world.project("p", &["old/a.py", "stale/b.py", "data/note.txt", "scripts/run"]);
    world.compile(newest(), &[], &[&project.join("old"), &project.join("stale")]);
    for directory in ["data", "scripts"] {
        fs::create_dir(world.mirror(&project).join(directory)).unwrap();
    }
    fs::remove_file(project.join("old/a.py")).unwrap();
    // An empty directory would tell nothing of what is missing in it.
    world.write("p/old/note.txt", "");
    world.write("p/stale/b.py", "NAME = 'longer than it was'\n");
    let before = store(&world);
    let [orphan, stale] = ["old/a.py", "stale/b.py"].map(|it| world.entry(&project.join(it), newest(), ""));
    for selectors in SELECTORS {
        world.pycstore(["prune"].iter().chain(selectors)).exits(0);
    }
    assert_only_gone(&before, &store(&world), &[&orphan, &stale]);
    // It goes as soon as it mirrors a deleted one; and what holds it, with what it mirrors.
    fs::remove_dir_all(project.join("old")).unwrap();
    let before = store(&world);
    let document = world.pycstore(["prune", "--orphans", "--json"]).exits(0).json();
    assert_only_gone(&before, &store(&world), &[&world.mirror(&project.join("old"))]);
    assert_eq!(document["removed"], json!({"files": 0, "directories": 1, "bytes": 0, "disk": 0}));
    fs::remove_dir_all(&project).unwrap();
    let before = store(&world);
    world.pycstore(["prune", "--stale"]).exits(0);
    assert_only_gone(&before, &store(&world), &[&world.mirror(&project)]);
}

#[test]
fn python_finds_its_entries_through_directories_without_any() {
    let loaded = |world: &World, interpreter, script: &Path| {
        let said = answer(world.python(interpreter).args(["-B", "-v"]).arg(script)).exits(0).stderr;
        let is_loaded = |line: &&str| {
            line.contains("code object from") && line.contains("/../src/n") && line.contains(".pyc")
        };
        said.lines().filter(is_loaded).count()
    };
    for interpreter in implementations() {
        let world = World::new();
        // The way may be as long as it likes, and through several directories.
        let modules = ["src/n1.py", "src/n2.py", "src/n3.py"];
        let project = world.project("p", &modules);
        let script = world.write(
            "p/deep/er/tests/run.py",
            "import os, sys\nhere = os.path.dirname(os.path.abspath(__file__))\n\
             sys.path.insert(0, os.path.join(here, '..', '..', '..', 'deep', '..', 'src'))\nimport n1, n2, n3\n",
        );
        answer(world.python(interpreter).arg(&script)).exits(0);
        let before = loaded(&world, interpreter, &script);
        if before == 0 {
            // PyPy says it in other words; that nothing is removed is shown below.
            assert!(interpreter.tag.starts_with("pypy"), "{}", interpreter.tag);
        }
        let kept = store(&world);
        for selectors in SELECTORS {
            world.pycstore(["prune"].iter().chain(selectors)).exits(0);
        }
        assert_only_gone(&kept, &store(&world), &[]);
        assert!(world.mirror(&project).join("deep/er/tests").is_dir());
        assert_eq!(loaded(&world, interpreter, &script), before, "{}", interpreter.tag);
    }
}

#[test]
fn a_directory_that_was_made_after_the_last_deletion_stays() {
    let (world, _, gone) = site();
    // Time stamps have a grain of some milliseconds.
    std::thread::sleep(std::time::Duration::from_millis(30));
    // A container that shares the store has sources where we have none, and makes directories before it writes.
    let theirs =
        ["theirs/pkg/tests", "gone/new", "living/new/deep"].map(|it| world.mirror(&world.home.join(it)));
    theirs.iter().for_each(|path| fs::create_dir_all(path).unwrap());
    let before = store(&world);
    for selectors in SELECTORS {
        world.pycstore(["prune"].iter().chain(selectors)).exits(0);
    }
    let gone = ["b.TAG.pyc", "pkg"].map(|it| gone.join(it.replace("TAG", &newest().tag)));
    assert_only_gone(&before, &store(&world), &gone.each_ref().map(PathBuf::as_path));
    // Who says that it is deleted means what was made since, too.
    let answer =
        world.pycstore(["prune", "--orphans", "--assume-gone", world.home.to_str().unwrap()]).exits(0);
    assert!(theirs[..2].iter().all(|path| !path.exists()), "{}", answer.stdout);
}

#[test]
fn a_scope_holds_for_empty_directories_too() {
    let world = World::new();
    let [one, other] = ["one", "other"].map(|name| world.project(name, &["a.py"]));
    for project in [&one, &other] {
        fs::create_dir_all(world.mirror(project).join("empty")).unwrap();
        fs::remove_dir_all(project).unwrap();
    }
    let (at_one, at_other) = (world.mirror(&one), world.mirror(&other));
    let before = store(&world);
    for scope in [["--keep", "~/o*"], ["--owner", "one"], ["--tag", "cpython-312"], ["--under", "elsewhere"]]
    {
        world.pycstore(["prune", "--orphans"].iter().chain(&scope)).exits(0);
        assert_only_gone(&before, &store(&world), &[]);
    }
    world.pycstore(["prune", "--orphans", "--under", "one"]).exits(0);
    assert_only_gone(&before, &store(&world), &[&at_one]);
    world.pycstore(["prune", "--orphans"]).exits(0);
    assert_only_gone(&before, &store(&world), &[&at_one, &at_other]);
}

#[test]
fn all_and_forget_remove_what_they_emptied_and_no_more() {
    for forgets in [true, false] {
        let world = World::new();
        let project = world.project("p", &["a.py", "pkg/sub/b.py", "tests/note.txt"]);
        world.compile(newest(), &[], &[&project]);
        let mirror = world.mirror(&project);
        // One that CPython made as a way, and one of another program: nobody emptied those.
        let others = ["elsewhere/lock", "tmp-of-others"].map(|path| world.store.join(path));
        others.iter().for_each(|path| fs::create_dir_all(path).unwrap());
        let before = store(&world);
        let arguments: &[&str] =
            if forgets { &["forget", "p", "--yes"] } else { &["prune", "--all", "--yes"] };
        let dry = world.pycstore(arguments.iter().chain(&["--dry-run", "--json"])).exits(0).json();
        assert_only_gone(&before, &store(&world), &[]);
        let real = world.pycstore(arguments.iter().chain(&["--json"])).exits(0).json();
        // With the project's go those above it, which hold nothing else.
        let top = world.store.join(project.components().nth(1).unwrap());
        assert_only_gone(&before, &store(&world), &[&top]);
        assert_eq!(dry["removed_directories"], real["removed_directories"]);
        assert!(named(&real).contains(&mirror.join("pkg/sub")) && named(&real).contains(&top), "{real}");

        // An empty one below keeps all that leads to it.
        world.compile(newest(), &[], &[&project]);
        fs::create_dir(mirror.join("tests")).unwrap();
        let before = store(&world);
        world.pycstore(arguments).exits(0);
        let entry = world.entry(&project.join("a.py"), newest(), "");
        assert_only_gone(&before, &store(&world), &[&entry, &mirror.join("pkg")]);
    }
}

#[test]
fn every_directory_is_accounted_for() {
    let (world, living, gone) = site();
    let odd = world.mirror(&world.home.join("o\u{e9}\n\"d"));
    fs::create_dir_all(&odd).unwrap();
    fs::create_dir(world.home.join("o\u{e9}\n\"d")).unwrap();
    fs::remove_dir(world.home.join("o\u{e9}\n\"d")).unwrap();
    let before = store(&world);
    let dry = world.pycstore(["prune", "--orphans", "--dry-run", "--json"]).exits(0).json();
    // The topmost ones name all: a directory that goes takes all that it holds with it.
    insta::assert_snapshot!(world.pycstore(["prune", "--orphans", "--dry-run"]).shown(), @r#"
    exit: 0
    ----- stdout -----
    SIZE  FILES  STATUS  REASON  OWNER
    SIZE  3  orphan  root  /home/me/gone (gone)
    DIRECTORIES  EMPTY DIRECTORY TREE
              3  /home/me/.cache/cpython/home/me/gone
              1  /home/me/.cache/cpython/home/me/oé
    "d
    would remove 3 files and 4 directories, SIZE
    ----- stderr -----
    "#);
    assert_only_gone(&before, &store(&world), &[]);
    let real = world.pycstore(["prune", "--orphans", "--json"]).exits(0).json();
    let after = store(&world);
    assert_only_gone(&before, &after, &[&gone, &odd]);
    assert!(living.exists());
    let is_directory = |path: &Path| before[path].1 & 0o170_000 == 0o040_000;
    let mut gone_now: Vec<PathBuf> =
        before.keys().filter(|path| is_directory(path) && !after.contains_key(*path)).cloned().collect();
    assert_eq!(gone_now.len(), 4);
    for document in [&dry, &real] {
        let mut named = named(document);
        named.sort();
        gone_now.sort();
        assert_eq!(named, gone_now);
        assert_eq!(document["removed"]["directories"], 4);
    }
    let history = world.pycstore(["history", "--json"]).exits(0).json_lines();
    assert_eq!(history[0]["removed"]["directories"], 4);
}

#[test]
fn a_compiler_at_work_never_misses_a_directory() {
    let world = World::new();
    let modules: Vec<String> = (0..150).map(|number| format!("d{number}/e/m.py")).collect();
    let modules: Vec<&str> = modules.iter().map(String::as_str).collect();
    let project = world.project("p", &modules);
    fs::create_dir_all(&world.store).unwrap();
    for interpreter in [&interpreters()[0], newest()] {
        let compile = "sys.exit(not compileall.compile_dir(sys.argv[1], quiet=1, force=True))";
        let mut compiler = world.compiler(interpreter, compile);
        let mut running = compiler.arg(&project).spawn().unwrap();
        let mut runs = 0;
        while running.try_wait().unwrap().is_none() {
            world.pycstore(["prune", "--orphans", "--stale"]).exits(0);
            runs += 1;
        }
        assert!(running.wait().unwrap().success() && runs > 0, "after {runs} runs");
    }
}
