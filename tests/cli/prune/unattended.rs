//! What a nightly job relies on: the policy of the configuration, the interval, the lock, the history, and
//! that nobody is asked.

use crate::support::lock::{lock_holder, locked};
use crate::support::{Answer, Snapshot, World, answer, assert_only_gone, newest};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A world with two projects in the store, one of them deleted.
fn world() -> World {
    World::of_projects(&["a.py", "b.py", "sub/c.py"], &["d.py"])
}

/// The files of the store.
fn files(world: &World) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(&world.store).into_iter().map(|entry| entry.unwrap());
    entries.filter(|entry| entry.file_type().is_file()).map(|entry| entry.into_path()).collect()
}

/// Lets an orphan grow again.
fn add_orphan(world: &World) {
    let project = world.project("again", &["e.py"]);
    world.compile(newest(), &[], &[&project]);
    std::fs::remove_dir_all(project).unwrap();
}

fn history(world: &World) -> Vec<serde_json::Value> {
    world.pycstore(["history", "--json"]).exits(0).json_lines()
}

fn configure(world: &World, text: &str) {
    world.write(".config/pycstore/config.toml", text);
}

#[test]
fn a_run_is_recorded_and_a_dry_run_is_not() {
    let world = world();
    world.pycstore(["prune", "--orphans", "--dry-run"]).exits(0);
    assert_eq!(history(&world).len(), 0);
    let document = world.pycstore(["prune", "--orphans", "--stale", "--json"]).exits(0).json();
    let runs = history(&world);
    assert_eq!(runs.len(), 1);
    let run = &runs[0];
    assert_eq!(run["removed"], document["removed"]);
    assert_eq!(run["removed"]["files"], 3);
    assert_eq!(run["store"], world.store.canonicalize().unwrap().to_str().unwrap());
    assert_eq!(run["selectors"], serde_json::json!(["orphans", "stale"]));
    assert_eq!((&run["failures"], &run["skipped"], &run["exit"]), (&0.into(), &0.into(), &0.into()));
    assert!(run["left"].is_null());
    assert!(run["duration"].as_f64().unwrap() < 60.0);
    let table = world.pycstore(["history"]).exits(0).stdout;
    assert!(table.lines().nth(1).unwrap().starts_with("today  "), "{table}");
    world.pycstore(["prune", "--orphans"]).exits(0);
    let runs = history(&world);
    assert_eq!((runs.len(), &runs[0]["removed"]["files"]), (2, &0.into()), "nothing to do is a run");
}

#[test]
fn a_run_that_is_not_due_does_nothing() {
    let world = world();
    let nightly = ["prune", "--orphans", "--min-interval", "20h"];
    world.pycstore(["forget", "/nowhere"]).exits(0);
    world.pycstore(nightly).exits(0);
    assert_eq!(files(&world).len(), 1, "the first run is always due");
    add_orphan(&world);
    insta::assert_snapshot!(world.pycstore(nightly).shown(), @r"
    exit: 0
    ----- stdout -----
    ----- stderr -----
    pycstore: nothing to do: the last run was at DATE, the next is due at DATE
    ");
    assert_eq!(files(&world).len(), 2);
    let quiet = world.pycstore(["-q", "prune", "--orphans", "--min-interval", "20h"]).exits(0);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    assert_eq!(history(&world).len(), 2, "a run that was skipped is none: forget, prune");
    world.pycstore(["prune", "--orphans"]).exits(0);
    assert_eq!(files(&world).len(), 1, "without an interval it is always due");
}

#[test]
fn a_store_made_again_is_due_at_once() {
    let world = world();
    let nightly = ["prune", "--orphans", "--min-interval", "20h"];
    world.pycstore(nightly).exits(0);
    // The old directory stays, so that its inode is not given away again.
    std::fs::rename(&world.store, world.home.join("old")).unwrap();
    add_orphan(&world);
    world.pycstore(nightly).exits(0);
    assert_eq!(files(&world).len(), 0);
    assert_eq!(history(&world).len(), 2);
}

#[test]
fn the_configuration_is_the_policy_of_prune_alone() {
    let world = world();
    configure(
        &world,
        "keep = ['~/gone/sub/**']\n[prune]\norphans = true\nunused-for = '90d'\nmin-interval = '20h'\n",
    );
    world.pycstore(["prune"]).exits(0);
    let left: Vec<PathBuf> = files(&world);
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.iter().any(|path| path.parent().unwrap().ends_with("gone/sub")), "{left:?}");
    assert_eq!(history(&world)[0]["selectors"], serde_json::json!(["orphans", "unused-for 90d"]));
    add_orphan(&world);
    world.pycstore(["prune"]).exits(0);
    assert_eq!(files(&world).len(), 3, "it is not due");
    // What the command line selects stands in the place of the file's policy; what the file keeps stays kept.
    world.pycstore(["prune", "--orphans"]).exits(0);
    assert_eq!(files(&world).len(), 2);
}

#[test]
fn a_history_that_cannot_be_written_does_not_stop_a_prune() {
    let world = world();
    // A file in the place of the directory: that stops root as well.
    let state = world.write("state", "");
    let run = |arguments: &[&str]| -> Answer {
        let mut command = world.program();
        command.env("PYTHONPYCACHEPREFIX", &world.store).env("XDG_STATE_HOME", &state);
        answer(command.args(arguments))
    };
    let pruned = run(&["prune", "--orphans", "--min-interval", "20h"]).exits(1);
    insta::assert_snapshot!(pruned.shown(), @r"
    exit: 1
    ----- stdout -----
    SIZE  FILES  STATUS  REASON  OWNER
    SIZE  3  orphan  root  /home/me/gone (gone)
    removed 3 files and 2 directories, SIZE
    ----- stderr -----
    pycstore: cannot record this run in /home/me/state/pycstore/HASH/history.jsonl: Not a directory
    ");
    assert_eq!(files(&world).len(), 1);
    assert_eq!(pruned.stderr.lines().count(), 1);
}

#[test]
fn a_run_is_due_again_when_the_last_one_is_old_or_was_no_success() {
    let world = world();
    let nightly = ["prune", "--orphans", "--min-interval", "20h"];
    world.pycstore(nightly).exits(0);
    let state = world.home.join(".local/state/pycstore");
    let directory = std::fs::read_dir(&state).unwrap().next().unwrap().unwrap().path();
    let journal = directory.join("history.jsonl");
    let line = std::fs::read_to_string(&journal).unwrap();
    let mut run: serde_json::Value = serde_json::from_str(&line).unwrap();
    let is_due = |world: &World| {
        add_orphan(world);
        let before = files(world).len();
        world.pycstore(nightly).exits(0);
        before > files(world).len()
    };
    assert!(!is_due(&world));
    run["started"] = "2001-01-01T00:00:00Z".into();
    std::fs::write(&journal, format!("{run}\n")).unwrap();
    assert!(is_due(&world), "the last run is years old");
    assert!(!is_due(&world), "and now it is not");
    let mut run: serde_json::Value = serde_json::from_str(&line).unwrap();
    run["exit"] = 1.into();
    std::fs::write(&journal, format!("{run}\n")).unwrap();
    assert!(is_due(&world), "the last run left something undone");
    std::fs::write(&journal, "not a line\n").unwrap();
    assert!(is_due(&world), "nobody knows when the last run was");
    // A dry run is looked at whenever one likes.
    let dry = world.pycstore(["prune", "--orphans", "--min-interval", "20h", "-n"]);
    insta::assert_snapshot!(dry.shown(), @r"
    exit: 0
    ----- stdout -----
    nothing to remove
    ----- stderr -----
    ");
}

#[test]
fn one_prune_at_a_time() {
    let world = world();
    let before = World::snapshot(&world.store);
    let mut holder = lock_holder(&world, &world.store);
    let gone = world.home.join("gone");
    // The nightly run is none the worse for it: the other prune removes the same. Who named something still has it.
    for (runs, (arguments, code)) in [
        (&["prune", "--orphans"][..], 0),
        (&["-q", "prune", "--all", "--yes", "--json"], 0),
        (&["forget", gone.to_str().unwrap()], 1),
    ]
    .into_iter()
    .enumerate()
    {
        let told = world.pycstore(arguments).exits(code);
        assert_eq!((told.stdout, told.stderr), (String::new(), locked(&world, &holder, runs as u64 + 1)));
    }
    assert_only_gone(&before, &World::snapshot(&world.store), &[]);
    // Looking needs no lock.
    insta::assert_snapshot!(world.pycstore(["prune", "--orphans", "--dry-run"]).shown(), @r"
    exit: 0
    ----- stdout -----
    SIZE  FILES  STATUS  REASON  OWNER
    SIZE  3  orphan  root  /home/me/gone (gone)
    DIRECTORIES  EMPTY DIRECTORY TREE
              2  /home/me/.cache/cpython/home/me/gone
    would remove 3 files and 2 directories, SIZE
    ----- stderr -----
    ");
    world.pycstore(["du"]).exits(0);
    // The lock ends with its process, however that ends.
    holder.kill().unwrap();
    holder.wait().unwrap();
    world.pycstore(["prune", "--orphans"]).exits(0);
    assert_only_gone(&before, &World::snapshot(&world.store), &[&world.mirror(&gone)]);
}

#[test]
fn what_is_to_be_fixed_and_stays_for_a_lock_is_a_fault() {
    let world = world();
    let entry = world.entry(&world.home.join("kept/d.py"), newest(), "");
    let length = std::fs::metadata(&entry).unwrap().len();
    std::fs::File::options().write(true).open(&entry).unwrap().set_len(length - 1).unwrap();
    let mut holder = lock_holder(&world, &world.store);
    insta::assert_snapshot!(world.pycstore(["verify", "--fix"]).shown(), @r"
    exit: 1
    ----- stdout -----
    body  /home/me/.cache/cpython/home/me/kept/d.cpython-3.N.pyc: every import fails: the body ends too early, at byte N of the body
    1 entry examined: 1 fault, 0 warnings, 0 notices
    ----- stderr -----
    pycstore: nothing was done: process PID (python) holds the lock of /home/me/.cache/cpython
    ");
    assert!(entry.exists());
    holder.kill().unwrap();
    holder.wait().unwrap();
    world.pycstore(["verify", "--fix"]).exits(0);
    assert!(!entry.exists());
}

#[test]
fn prunes_of_one_user_exclude_each_other_by_a_lock_that_others_cannot_open() {
    let world = world();
    world.pycstore(["prune", "--temporary"]).exits(0);
    let state = std::fs::read_dir(world.home.join(".local/state/pycstore")).unwrap().next().unwrap().unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&state.path()), mode(&state.path().join("lock"))), (0o700, 0o600));
    let mut holder = lock_holder(&world, &state.path().join("lock"));
    let told = world.pycstore(["prune", "--orphans"]).exits(0);
    assert_eq!((told.stdout.as_str(), told.stderr), ("", locked(&world, &holder, 1)));
    assert_eq!(files(&world).len(), 4);
    holder.kill().unwrap();
    holder.wait().unwrap();
    world.pycstore(["prune", "--orphans"]).exits(0);
    assert_eq!(files(&world).len(), 1);
}

#[test]
fn a_store_that_stays_locked_is_seen_everywhere() {
    let world = world();
    let path = world.home.join("pycstore.prom");
    let nightly = ["prune", "--orphans", "--min-interval", "1h", "--metrics", path.to_str().unwrap()];
    let metric = |name: &str| -> Option<String> {
        let text = std::fs::read_to_string(&path).unwrap();
        let value = |line: &str| {
            Some(line.strip_prefix(&format!("pycstore_{name}{{"))?.split_once("} ")?.1.to_string())
        };
        text.lines().find_map(value)
    };
    let schedule = |world: &World| -> Vec<String> {
        let findings = world.pycstore(["doctor", "--json"]).json_lines().into_iter();
        let details = findings.filter(|finding| finding["finding"] == "schedule");
        details.map(|finding| finding["detail"].as_str().unwrap().to_string()).collect()
    };
    world.pycstore(nightly).exits(0);
    let success = metric("prune_last_success_timestamp_seconds").expect("it went well");
    assert_eq!(metric("prune_locked_runs").unwrap(), "0");
    // The interval is over, as far as the history knows.
    let directory =
        std::fs::read_dir(world.home.join(".local/state/pycstore")).unwrap().next().unwrap().unwrap();
    let journal = directory.path().join("history.jsonl");
    let line = std::fs::read_to_string(&journal).unwrap();
    let mut run: serde_json::Value = serde_json::from_str(&line).unwrap();
    run["started"] = "2001-01-01T00:00:00Z".into();
    std::fs::write(&journal, format!("{run}\n")).unwrap();
    add_orphan(&world);

    let mut holder = lock_holder(&world, &world.store);
    for runs in 1..=3 {
        let told = world.pycstore(nightly).exits(0);
        assert_eq!(told.stderr, locked(&world, &holder, runs), "a run that did nothing is no success");
        assert_eq!(metric("prune_locked_runs").unwrap(), runs.to_string());
        assert!(metric("prune_last_success_timestamp_seconds").unwrap().starts_with("9783072"), "of 2001");
        // Once may be chance.
        let told = schedule(&world).iter().any(|detail| detail.contains(" held the lock"));
        assert_eq!(told, runs > 1, "{runs}");
    }
    let process = format!("process {}", holder.id());
    let findings = schedule(&world);
    let expected = format!("the last 3 runs of prune did nothing: {process} (");
    assert!(findings.iter().any(|detail| detail.starts_with(&expected)), "{findings:?}");
    let runs = history(&world);
    assert_eq!((runs.len(), &runs[0]["locked"]["runs"]), (4, &3.into()));
    assert_eq!((&runs[0]["locked"]["process"], &runs[0]["exit"]), (&holder.id().into(), &0.into()));
    let table = world.pycstore(["history"]).exits(0).stdout;
    let expected = format!("  nothing done, locked by {process} (");
    assert_eq!(table.lines().filter(|line| line.contains(&expected)).count(), 3, "{table}");

    holder.kill().unwrap();
    holder.wait().unwrap();
    world.pycstore(nightly).exits(0);
    assert_eq!((metric("prune_locked_runs").unwrap().as_str(), files(&world).len()), ("0", 1));
    assert!(metric("prune_last_success_timestamp_seconds").unwrap() > success);
    assert!(!schedule(&world).iter().any(|detail| detail.contains("lock")));
}

#[test]
fn quiet_says_what_went_wrong_and_nothing_else() {
    let world = world();
    let kept = world.mirror(&world.home.join("kept")).join(format!("odd.{}.pyc", newest().tag));
    let locked = world.mirror(&world.home.join("gone/sub"));
    std::fs::write(&kept, [0; 400]).unwrap();
    crate::support::date_back(&kept);
    let mut program = world.unprivileged();
    std::fs::set_permissions(&locked, PermissionsExt::from_mode(0o555)).unwrap();
    let told = answer(program.args(["-q", "prune", "--orphans"]));
    std::fs::set_permissions(&locked, PermissionsExt::from_mode(0o755)).unwrap();
    let entry = locked.join(format!("c.{}.pyc", newest().tag));
    assert_eq!(told.stdout, "");
    let mut said: Vec<&str> = told.stderr.lines().collect();
    said.sort();
    assert_eq!(
        said,
        [
            format!("pycstore: cannot remove {}: Permission denied", entry.display()),
            format!("pycstore: kept {}: it is not bytecode; prune --corrupt removes it", kept.display()),
        ]
    );
    assert_eq!((told.code, files(&world).len()), (1, 3));
}

#[test]
fn all_without_anybody_to_ask_needs_a_yes() {
    let world = world();
    let before = World::snapshot(&world.store);
    for arguments in
        [&["prune", "--all"][..], &["prune", "--all", "--json"], &["-q", "prune", "--all", "--stale"]]
    {
        let told = world.pycstore(arguments).exits(2);
        assert_eq!(
            (told.stdout.as_str(), told.stderr.as_str()),
            (
                "",
                "pycstore: --all removes every entry: not a terminal, cannot ask\n\
                 hint: add --yes, or preview with --dry-run\n"
            )
        );
    }
    let dry = world.pycstore(["prune", "--all", "--dry-run"]).exits(0);
    assert!(dry.stdout.contains("would remove 4 files"), "{}", dry.stdout);
    assert_only_gone(&before, &World::snapshot(&world.store), &[]);
    world.pycstore(["prune", "--all", "--yes"]).exits(0);
    assert!(World::snapshot(&world.store).is_empty());
}

#[test]
fn all_asks_on_a_terminal() {
    let world = world();
    let before: Snapshot = World::snapshot(&world.store);
    let all = ["prune", "--all"];
    let question = format!("Remove 4 files (16 KiB) from {}? [y/N] ", world.store.display());
    let room = |text: &str| text.replace(|it: char| it.is_ascii_digit(), "");
    // The end of the input is no yes either; neither is what only begins like one.
    for reply in ["n\n", "\n", "no\n", "yess\n", "\u{4}", "j\n"] {
        let told = world.pycstore_answered(&all, reply).exits(0);
        assert!(told.stdout.contains("STATUS"), "what would be removed is shown first: {}", told.stdout);
        assert!(room(&told.stdout).contains(&room(&question)), "{}", told.stdout);
        assert!(told.stdout.ends_with("pycstore: nothing was removed\n"), "{}", told.stdout);
        assert_only_gone(&before, &World::snapshot(&world.store), &[]);
    }
    // Ctrl-C at the question ends it.
    assert_eq!(world.pycstore_answered(&all, "\u{3}").code, 128 + 2);
    assert_only_gone(&before, &World::snapshot(&world.store), &[]);
    assert_eq!(history(&world).len(), 0);
    for reply in ["y\n", "YES\n"] {
        let told = world.pycstore_answered(&all, reply).exits(0);
        assert!(told.stdout.contains("removed 4 files"), "{}", told.stdout);
        assert!(World::snapshot(&world.store).is_empty());
        for project in ["gone", "kept"] {
            world.project(project, &["a.py", "b.py"]);
            world.compile(newest(), &[], &[&world.home.join(project)]);
        }
        std::fs::remove_file(world.entry(&world.home.join("kept/d.py"), newest(), "")).unwrap();
    }
    // The store's name cannot write on the terminal.
    let store = world.home.join("odd\u{1b}[31m");
    std::fs::create_dir(&store).unwrap();
    let named = ["--store", store.to_str().unwrap(), "prune", "--all"];
    let told = world.pycstore_answered(&named, "n\n").exits(0);
    assert!(
        told.stdout.starts_with("Remove 0 files (0 B) from ") && !told.stdout.contains('\u{1b}'),
        "{told:?}"
    );
    // What names less than everything asks nobody.
    insta::assert_snapshot!(world.pycstore_answered(&["prune", "--stale"], "n\n").shown(), @r"
    exit: 0
    ----- stdout -----
    nothing to remove
    ----- stderr -----
    ");
    let told = world.pycstore_answered(&["prune", "--all", "--yes"], "n\n").exits(0);
    assert!(!told.stdout.contains("[y/N]") && World::snapshot(&world.store).is_empty(), "{}", told.stdout);
}
