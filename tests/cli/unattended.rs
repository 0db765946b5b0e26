//! What a nightly job relies on: the policy of the configuration, the interval, the history, the metrics.

use crate::support::{Answer, World, answer, newest};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A world with two projects in the store, one of them deleted.
fn world() -> World {
    let world = World::new();
    let gone = world.project("gone", &["a.py", "b.py", "sub/c.py"]);
    let kept = world.project("kept", &["d.py"]);
    world.compile(newest(), &[], &[&gone, &kept]);
    std::fs::remove_dir_all(gone).unwrap();
    world
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
    let skipped = world.pycstore(nightly).exits(0);
    assert!(skipped.stderr.contains("nothing to do: the last run was at "), "{}", skipped.stderr);
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
        let mut command = world.command(env!("CARGO_BIN_EXE_pycstore"));
        command.env("PYTHONPYCACHEPREFIX", &world.store).env("XDG_STATE_HOME", &state);
        answer(command.args(arguments))
    };
    let pruned = run(&["prune", "--orphans", "--min-interval", "20h"]).exits(1);
    assert_eq!(files(&world).len(), 1);
    let expected = format!("pycstore: cannot record this run in {}/pycstore/", state.display());
    assert!(pruned.stderr.starts_with(&expected), "{}", pruned.stderr);
    assert!(pruned.stderr.ends_with("/history.jsonl: Not a directory\n"), "{}", pruned.stderr);
    assert_eq!(pruned.stderr.lines().count(), 1);
}

#[test]
fn metrics_tell_what_was_found_and_done() {
    let world = world();
    let path = world.home.join("pycstore.prom");
    let metrics = path.to_str().unwrap();
    world.pycstore(["prune", "--orphans", "--dry-run", "--metrics", metrics]).exits(2);
    assert!(!path.exists(), "a dry run did nothing");
    world.pycstore(["prune", "--orphans", "--metrics", metrics]).exits(0);
    let text = std::fs::read_to_string(&path).unwrap();
    let tag = &newest().tag;
    let store = world.store.display();
    for sample in [
        format!("pycstore_entries{{store=\"{store}\",status=\"fresh\",tag=\"{tag}\"}} 1\n"),
        format!("pycstore_entries{{store=\"{store}\",status=\"orphan\",tag=\"{tag}\"}} 3\n"),
        format!("pycstore_reclaimable_entries{{store=\"{store}\",status=\"orphan\",tag=\"{tag}\"}} 3\n"),
        format!("pycstore_prune_removed_entries{{store=\"{store}\"}} 3\n"),
        format!("pycstore_prune_exit_status{{store=\"{store}\"}} 0\n"),
    ] {
        assert!(text.contains(&sample), "{sample}\n{text}");
    }
    assert!(text.ends_with("\n# EOF\n"));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    let leftovers = std::fs::read_dir(&world.home).unwrap().map(|entry| entry.unwrap().file_name());
    let leftovers: Vec<_> = leftovers.filter(|name| name.to_string_lossy().ends_with(".tmp")).collect();
    assert!(leftovers.is_empty(), "{leftovers:?}");
}

#[test]
fn metrics_speak_of_the_whole_store_whatever_the_scope() {
    let world = world();
    let path = world.home.join("pycstore.prom");
    let under = world.home.join("kept");
    let arguments = ["prune", "--orphans", "--under", under.to_str().unwrap(), "--metrics"];
    world.pycstore(arguments.into_iter().chain([path.to_str().unwrap()])).exits(0);
    assert_eq!(files(&world).len(), 4, "nothing is removed outside the scope");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("status=\"orphan\",tag="), "{text}");
}

#[test]
fn metrics_that_cannot_be_written_do_not_stop_a_prune() {
    let world = world();
    let pruned = world.pycstore(["prune", "--orphans", "--metrics", "/nowhere/at/all.prom"]).exits(1);
    assert_eq!(files(&world).len(), 1);
    assert_eq!(
        pruned.stderr,
        "pycstore: cannot write the metrics to /nowhere/at/all.prom: No such file or directory\n"
    );
    assert_eq!(history(&world).len(), 1);
    assert!(!Path::new("/nowhere").exists());
}
