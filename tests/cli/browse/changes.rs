//! A store that changes while it is browsed: only the files that were marked are removed, as they were marked.

use super::{ASKED, CONFIRM, assert_gone, assert_history, browse, total, two_projects};
use crate::support::lock::lock_holder;
use crate::support::screen::OnScreen;
use crate::support::{World, newest};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The two entries of the deleted project.
fn marked_entries(world: &World) -> [PathBuf; 2] {
    ["gone/a.py", "gone/b.py"].map(|source| world.entry(&world.home.join(source), newest(), ""))
}

/// Marks the deleted project.
#[track_caller]
fn mark(world: &World) -> OnScreen {
    let mut screen = browse(world);
    screen.select("gone").press(" ").until_shown("marked 2 files, ");
    screen
}

/// Puts another file in the place of an entry, as Python does.
fn replace(entry: &Path) {
    let new = entry.with_extension("new");
    fs::copy(entry, &new).unwrap();
    fs::rename(new, entry).unwrap();
}

/// A change to the entry `a`; and whether something is in its place afterwards.
type Change = (fn(&World, &Path), bool);

const CHANGES: [Change; 4] = [
    (|_, entry| replace(entry), true),
    (|_, entry| fs::remove_file(entry).unwrap(), false),
    (
        |world, entry| {
            fs::remove_file(entry).unwrap();
            symlink(world.write("precious", "x"), entry).unwrap();
        },
        true,
    ),
    (
        |_, entry| {
            fs::remove_file(entry).unwrap();
            fs::create_dir(entry).unwrap();
            fs::write(entry.join("inside"), "x").unwrap();
        },
        true,
    ),
];

#[test]
fn what_changed_after_it_was_marked_stays() {
    for (change, stays) in CHANGES {
        let (world, gone, _) = two_projects();
        let [a, b] = marked_entries(&world);
        let mut screen = mark(&world);
        change(&world, &a);
        let before = World::snapshot(&world.home);
        screen.press("d").until_shown("Remove 1 file").until_shown("1 marked file changed since the scan");
        screen.until_shown(ASKED).press(CONFIRM).until_shown("removed 1 file");
        screen.press("x").press("r").until_shown(&total(&world));
        screen.quits();
        assert_gone(&world, &before, &[if stays { &b } else { &gone }]);
        assert_history(&world, &[(1, 0)]);
    }
}

#[test]
fn what_changed_after_it_was_shown_stays() {
    for (change, stays) in CHANGES {
        let (world, gone, _) = two_projects();
        let [a, b] = marked_entries(&world);
        let mut screen = mark(&world);
        screen.press("d").until_shown("Remove 2 files").until_shown(ASKED);
        change(&world, &a);
        let before = World::snapshot(&world.home);
        screen
            .press(CONFIRM)
            .until_shown("removed 1 file")
            .until_shown("1 marked file changed since the scan");
        screen.press("x").press("r").until_shown(&total(&world));
        screen.quits();
        assert_gone(&world, &before, &[if stays { &b } else { &gone }]);
        assert_history(&world, &[(1, 0)]);
    }
}

#[test]
fn what_was_shown_as_kept_stays() {
    let (world, _, before) = two_projects();
    let [a, b] = marked_entries(&world);
    let away = world.home.join("away");
    let mut screen = mark(&world);
    fs::rename(&a, &away).unwrap();
    screen.press("d").until_shown("Remove 1 file").until_shown(ASKED);
    // It is the same file again; but the screen says that it is kept.
    fs::rename(&away, &a).unwrap();
    screen.press(CONFIRM).until_shown("removed 1 file");
    screen.until_shown(&total(&world));
    screen.quits();
    assert_gone(&world, &before, &[&b]);
}

#[test]
fn a_directory_that_became_a_link_is_not_followed() {
    for is_shown_before in [true, false] {
        let (world, gone, _) = two_projects();
        let elsewhere = world.home.join("elsewhere");
        let mut screen = mark(&world);
        let exchange = || {
            fs::rename(&gone, &elsewhere).unwrap();
            symlink(&elsewhere, &gone).unwrap();
        };
        if is_shown_before {
            exchange();
            screen
                .press("d")
                .until_shown("Nothing to remove")
                .press("\x1b")
                .until_shown("nothing was removed");
        } else {
            screen.press("d").until_shown(ASKED);
            exchange();
            screen.press(CONFIRM).until_shown("removed nothing").press("x").until_shown("> ");
        }
        let before = World::snapshot(&world.home);
        screen.quits();
        assert_gone(&world, &before, &[]);
        assert_eq!(fs::read_dir(elsewhere).unwrap().count(), 2);
    }
}

#[test]
fn what_was_added_stays() {
    let (world, _, _) = two_projects();
    let [a, b] = marked_entries(&world);
    let mut screen = mark(&world);
    fs::copy(&a, a.with_file_name("new.cpython-312.pyc")).unwrap();
    let before = World::snapshot(&world.home);
    screen.press("d").until_shown("Remove 2 files").until_shown(ASKED);
    screen.press(CONFIRM).until_shown("removed 2 files");
    screen.press("r").until_shown(&total(&world));
    screen.quits();
    assert_gone(&world, &before, &[&a, &b]);
}

#[test]
fn a_source_that_is_back_keeps_its_entry() {
    let (world, _, _) = two_projects();
    let [_, b] = marked_entries(&world);
    let mut screen = mark(&world);
    world.write("gone/a.py", "");
    let before = World::snapshot(&world.home);
    screen
        .press("d")
        .until_shown("Remove 1 file")
        .until_shown(ASKED)
        .press(CONFIRM)
        .until_shown("removed 1 file");
    screen.press("x").press("r").until_shown(&total(&world));
    screen.quits();
    assert_gone(&world, &before, &[&b]);
}

#[test]
fn a_store_that_another_process_works_on_stays() {
    let (world, gone, before) = two_projects();
    let mut screen = mark(&world);
    screen.press("d").until_shown(ASKED);
    let mut holder = lock_holder(&world, &world.store);
    screen.press(CONFIRM).until_shown("nothing was removed: another process holds the lock");
    assert_gone(&world, &before, &[]);
    holder.kill().unwrap();
    holder.wait().unwrap();
    // The marks are still there.
    screen.press("x").until_shown("marked 2 files").press("d").until_shown(ASKED);
    screen.press(CONFIRM).until_shown("removed 2 files").until_shown(&total(&world));
    screen.press("q");
    screen.ends();
    assert_gone(&world, &before, &[&gone]);
}
