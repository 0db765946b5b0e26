//! `pycstore browse` on a terminal: after each journey the tree, the terminal, the history and the figures are right.

mod changes;
mod ends;

use crate::support::screen::{OnScreen, ScreenEnd};
use crate::support::{NOBODY, Snapshot, World, assert_only_gone, newest, tool};
use pycstore::units::human;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What asks for the removal, on the screen that shows it.
const CONFIRM: &str = "\x12";

/// What that screen says last.
const ASKED: &str = "Ctrl+R removes these files";

/// A home with two entries of a deleted project and three of a living one; the place of the deleted one in the store, and the
/// store as it is.
fn two_projects() -> (World, PathBuf, Snapshot) {
    let world = World::of_projects(&["a.py", "b.py"], &["c.py", "d.py", "e.py"]);
    let gone = world.mirror(&world.home.join("gone"));
    let before = World::snapshot(&world.home);
    (world, gone, before)
}

/// Starts the browser, and waits until the scan is done.
#[track_caller]
fn browse(world: &World) -> OnScreen {
    let mut screen = world.pycstore_on_screen(&["browse"]);
    screen.until_shown(&total(world));
    screen
}

/// Starts the browser by a command as the user of [`World::unprivileged`].
#[track_caller]
fn browse_unprivileged(world: &World, mut command: Command) -> OnScreen {
    let mut env = Command::new(tool("env", "coreutils"));
    if rustix::process::geteuid().is_root() {
        env.uid(NOBODY).gid(NOBODY);
    }
    command.env("PYTHONPYCACHEPREFIX", &world.store).arg("browse");
    OnScreen::start_by(env, &command)
}

/// The figures of the whole store, as the browser's first line has them.
fn total(world: &World) -> String {
    let total = &world.pycstore(["du", "--json"]).exits(0).json()["total"];
    let number = |field: &str| total[field].as_u64().unwrap();
    format!("{} in {}", human::size(number("disk")), human::counted(number("files"), "file"))
}

#[track_caller]
fn assert_gone(world: &World, before: &Snapshot, gone: &[&Path]) {
    assert_only_gone(before, &World::snapshot(&world.home), gone);
}

/// Asserts what the history says: of each run how many files it removed, and its exit.
#[track_caller]
fn assert_history(world: &World, runs: &[(u64, u64)]) {
    let lines = world.pycstore(["history", "--json"]).exits(0).json_lines();
    let of_line = |line: &serde_json::Value| {
        assert_eq!(line["selectors"][0], "browse");
        (line["removed"]["files"].as_u64().unwrap(), line["exit"].as_u64().unwrap())
    };
    assert_eq!(lines.iter().map(of_line).collect::<Vec<_>>(), runs);
}

#[test]
fn what_is_marked_goes_and_nothing_else() {
    let (world, gone, before) = two_projects();
    let mut screen = browse(&world);
    screen.select("gone").press(" ").until_shown("marked 2 files, ");
    screen.press("d").until_shown("Remove 2 files").until_shown(ASKED);
    screen.press(CONFIRM).until_shown("removed 2 files");
    // The figures are right without a new scan, and a new scan says the same.
    screen.until_shown(&total(&world));
    screen.press("\x1b").until_shown("kept").press("r").until_shown(&total(&world));
    assert!(screen.quits().contains("removed 2 files"));
    assert_gone(&world, &before, &[&gone]);
    assert_history(&world, &[(2, 0)]);
}

#[test]
fn only_its_own_key_removes() {
    let (world, _, before) = two_projects();
    let mut screen = browse(&world);
    screen.press("a").until_shown("marked 2 files, ").press("d").until_shown(ASKED);
    screen.press("\r").press("\n").press("y").press("\r").press(" ").press("d");
    // The answer to a later key shows that the others were taken.
    screen.press("q").until_shown("nothing was removed");
    screen.quits();
    assert_gone(&world, &before, &[]);
    assert_history(&world, &[]);
}

/// A key that was pressed before its screen was shown was meant for another.
#[test]
fn what_is_typed_ahead_removes_nothing() {
    let (world, gone, before) = two_projects();
    let mut screen = browse(&world);
    screen.press("ad\x12\x12").until_shown(ASKED).press("\x1b").until_shown("nothing was removed");
    assert_gone(&world, &before, &[]);
    screen.press("d\x12").until_shown(ASKED).press(CONFIRM).until_shown("removed 2 files");
    screen.quits();
    assert_gone(&world, &before, &[&gone]);
    assert_history(&world, &[(2, 0)]);
}

#[test]
fn three_keys_free_what_a_prune_frees() {
    let (world, gone, before) = two_projects();
    let plan = world.pycstore(["prune", "--dry-run", "--json"]).exits(0).json();
    let mut screen = browse(&world);
    let keys = ["a", "d", CONFIRM];
    for (key, answer) in keys.iter().zip(["marked 2 files", ASKED, "removed 2 files"]) {
        screen.press(key).until_shown(answer);
    }
    screen.quits();
    assert_gone(&world, &before, &[&gone]);
    let run = &world.pycstore(["history", "--json"]).exits(0).json_lines()[0];
    assert_eq!(run["removed"], plan["removed"]);
}

#[test]
fn keys_that_are_pasted_remove_nothing() {
    let (world, _, before) = two_projects();
    let mut screen = browse(&world);
    screen.paste("ad\r\x12y\r\x12\x12\x12");
    // Filter and keys still work; of a paste, only the filter takes anything.
    screen.press("/").until_shown("filter: _").paste("gon\x12e\r").until_shown("filter: gone_");
    screen.press("\r").until_shown("filter: gone;");
    screen.quits();
    assert_gone(&world, &before, &[]);
    assert_history(&world, &[]);
}

#[test]
fn a_filter_limits_the_keys_that_mark_many() {
    let world = World::new();
    let projects = ["gone", "lost", "kept"].map(|name| world.project(name, &["a.py"]));
    world.compile(newest(), &[], &projects.each_ref().map(PathBuf::as_path));
    projects[..2].iter().for_each(|gone| std::fs::remove_dir_all(gone).unwrap());
    let before = World::snapshot(&world.home);
    let mut screen = browse(&world);
    for mark in ["a", "to"] {
        screen
            .select("lost")
            .press(mark)
            .until_shown("marked 1 file, ")
            .press("U")
            .until_shown("unmarked 1 file");
        screen.press("\x1b").until_shown("kept");
    }
    screen.select("lost").press("a").press("d").until_shown("Remove 1 file").until_shown(ASKED);
    screen.press(CONFIRM).until_shown("removed 1 file");
    screen.quits();
    assert_gone(&world, &before, &[&world.mirror(&projects[1])]);
}

#[test]
fn what_must_not_go_stays() {
    let world = World::of_projects(&["a.py", "b.py"], &["c.py"]);
    let foreign = world.mirror(&world.home.join("gone")).join("README");
    std::fs::write(&foreign, "x").unwrap();
    let kept = world.entry(&world.home.join("gone/b.py"), newest(), "");
    // Another name of what is kept is not kept.
    let link = world.entry(&world.home.join("gone/z.py"), newest(), "");
    std::fs::hard_link(&kept, &link).unwrap();
    let before = World::snapshot(&world.home);
    let mut screen = world.pycstore_on_screen(&["browse", "--keep", "**/b.py"]);
    screen.until_shown(&total(&world));
    screen.select("gone").press(" ").until_shown("marked 2 files").until_shown("2 cannot be marked");
    screen.press("d").until_shown(ASKED).press(CONFIRM).until_shown("removed 2 files");
    screen.until_shown(&total(&world));
    screen.quits();
    assert_gone(&world, &before, &[&world.entry(&world.home.join("gone/a.py"), newest(), ""), &link]);
}

#[test]
fn hostile_names_are_text() {
    let world = World::of_projects(&["a.py"], &["c.py"]);
    let before = World::snapshot(&world.home);
    let hostile = world.mirror(&world.home.join("gone/\x1b[2J\x1b]0;evil\x07\n\u{202e}x"));
    std::fs::create_dir_all(&hostile).unwrap();
    let entry = world.entry(&world.home.join("gone/a.py"), newest(), "");
    std::fs::copy(&entry, hostile.join("m\r\x08.cpython-399.pyc")).unwrap();
    std::fs::rename(&entry, world.home.join("elsewhere")).unwrap();
    let mut screen = browse(&world);
    screen.select("gone").press("\r").until_shown("owners > ~/gone").press("\r").until_shown("python-399");
    assert!(screen.shown().lines().next().unwrap().contains("in 2 files"), "{}", screen.shown());
    screen.press(" ").until_shown("marked 1 file").press("d").until_shown(ASKED);
    screen.press(CONFIRM).until_shown("removed 1 file");
    screen.quits();
    assert!(!world.mirror(&world.home.join("gone")).exists());
    assert!(before.keys().filter(|path| path.ends_with("c.py")).all(|path| path.exists()));
}

#[test]
fn a_narrow_terminal_shows_it_too() {
    let (world, gone, before) = two_projects();
    let mut screen = browse(&world);
    screen.resize(40).until_shown("? help").select("gone").press(" ").until_shown("marked 2 files");
    screen.resize(120).until_shown("d remove  U unmark").resize(40).press("d").until_shown(ASKED);
    screen.press(CONFIRM).until_shown("removed 2 files");
    screen.resize(100).until_shown(&total(&world));
    screen.quits();
    assert_gone(&world, &before, &[&gone]);
}

#[test]
fn a_store_that_cannot_be_written_stays() {
    let (world, gone, _) = two_projects();
    let command = world.unprivileged();
    std::fs::set_permissions(&gone, PermissionsExt::from_mode(0o555)).unwrap();
    let before = World::snapshot(&world.home);
    let mut screen = browse_unprivileged(&world, world.command(command.get_program()));
    screen.until_shown(" in 5 files").select("gone").press(" ").until_shown("marked 2 files");
    screen.press("d").until_shown(ASKED).press(CONFIRM).until_shown("removed nothing");
    screen.until_shown("Permission denied").press("x").until_shown("> ");
    screen.press("q");
    assert_eq!(screen.ends().0, ScreenEnd::Exit(1));
    assert_gone(&world, &before, &[]);
}

#[test]
fn it_needs_a_terminal() {
    let (world, _, before) = two_projects();
    let told = world.pycstore(["browse"]).exits(2);
    assert_eq!(told.stdout, "");
    assert_eq!(told.stderr, "pycstore: not a terminal\nhint: for a table or JSON: pycstore du\n");
    assert_gone(&world, &before, &[]);
}
