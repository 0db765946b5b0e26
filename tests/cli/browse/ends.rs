//! Ends of the browser that it did not ask for: signals, and a terminal that goes away.

use super::{ASKED, CONFIRM, assert_gone, assert_history, browse, browse_unprivileged, total, two_projects};
use crate::support::screen::{OnScreen, ScreenEnd};
use crate::support::storm::grow;
use crate::support::{World, assert_only_gone, newest, tool};
use rustix::process::Signal;
use std::time::Duration;

#[test]
fn a_signal_ends_it_and_gives_the_terminal_back() {
    let (world, _, before) = two_projects();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT] {
        for keys in ["", "a", "ad"] {
            let mut screen = browse(&world);
            screen.press(keys).until_shown(if keys == "ad" { ASKED } else { "kept" }).signal(signal);
            assert_eq!(screen.ends().0, ScreenEnd::BySignal(signal.as_raw()));
        }
    }
    assert_gone(&world, &before, &[]);
    assert_history(&world, &[]);
}

#[test]
fn it_is_stopped_and_continued() {
    let (world, gone, before) = two_projects();
    let mut screen = browse(&world);
    screen.press("a").until_shown("marked 2 files");
    screen.signal(Signal::TSTP).until_stopped().signal(Signal::CONT).until_shown("marked 2 files");
    screen.press("\x1a").until_stopped().resize(60).signal(Signal::CONT).until_shown("marked 2 files");
    screen.press("d").until_shown(ASKED).press(CONFIRM).until_shown("removed 2 files");
    screen.until_shown(&total(&world));
    screen.quits();
    assert_gone(&world, &before, &[&gone]);
}

/// The error of the terminal may come before the signal.
#[track_caller]
fn assert_hung_up(end: ScreenEnd) {
    assert!(matches!(end, ScreenEnd::BySignal(1) | ScreenEnd::Exit(0 | 1)), "{end:?}");
}

#[test]
fn a_terminal_that_goes_away_ends_it() {
    let (world, _, before) = two_projects();
    for keys in ["", "ad"] {
        let mut screen = browse(&world);
        screen.press(keys).until_shown(if keys == "ad" { ASKED } else { "kept" });
        assert_hung_up(screen.hangs_up());
    }
    // One that was told to outlive its terminal has nobody who could end it. As the leader of the session it gets SIGCONT when
    // the terminal goes away; as the child of a shell it gets no signal. The size is that which tput(1) takes a terminal of
    // this name to have: a change of it would be drawn, and that fails.
    for script in ["trap '' HUP; exec \"$@\"", "trap '' HUP; \"$@\"; exit $?"] {
        let mut browse = world.command("/bin/sh");
        browse.env("PYTHONPYCACHEPREFIX", &world.store).args(["-c", script, "sh"]);
        browse.arg(world.program().get_program()).arg("browse");
        let mut screen = OnScreen::start(&browse);
        screen.until_shown(&total(&world)).resize(80).until_shown(&total(&world));
        assert_eq!(screen.hangs_up(), ScreenEnd::Exit(2), "{script}");
    }
    assert_gone(&world, &before, &[]);
}

/// The thread that waits for signals, then that which reads the keys.
#[test]
fn it_does_not_wait_for_a_thread_that_cannot_be_started() {
    let (world, _, _) = two_projects();
    let command = world.unprivileged();
    let before = World::snapshot(&world.home);
    for processes in 1..=2 {
        let mut limited = world.command(tool("prlimit", "util-linux"));
        limited.arg(format!("--nproc={processes}")).arg(command.get_program());
        let mut screen = browse_unprivileged(&world, limited);
        screen.until_shown("cannot start a thread: ");
        assert_eq!(screen.ends().0, ScreenEnd::Exit(2));
    }
    assert_gone(&world, &before, &[]);
}

/// A removal that is cut off at some moment: what is gone is in the history, the lock is free, the rest is whole.
#[test]
fn a_removal_that_is_cut_off_is_recorded() {
    const ALL: usize = 4000;
    let world = World::new();
    let living = world.project("living", &["a.py"]);
    world.compile(newest(), &[], &[&living]);
    let before = World::snapshot(&world.store);
    let mut runs = Vec::new();
    for is_hang_up in [true, false] {
        let gone = grow(&world, 40, ALL / 40);
        let count = || {
            walkdir::WalkDir::new(&gone).into_iter().flatten().filter(|it| it.file_type().is_file()).count()
        };
        let mut screen = browse(&world);
        screen.press("a").until_shown("marked 4 000 files").press("d").until_shown(ASKED).press(CONFIRM);
        while count() == ALL {
            std::thread::sleep(Duration::from_millis(1));
        }
        if is_hang_up {
            assert_hung_up(screen.hangs_up());
        } else {
            screen.signal(Signal::TERM);
            assert_eq!(screen.ends().0, ScreenEnd::BySignal(Signal::TERM.as_raw()));
        }
        let lines = world.pycstore(["history", "--json"]).exits(0).json_lines();
        assert_eq!(lines[0]["removed"]["files"].as_u64().unwrap() as usize, ALL - count());
        runs.push(lines.len());
        world.pycstore(["prune", "--orphans"]).exits(0);
        assert_only_gone(&before, &World::snapshot(&world.store), &[]);
    }
    assert_eq!(runs, [1, 3]);
}
