//! Runs that do not come to their end: killed at any moment, told to stop, out of time. What they leave is a store.

use crate::support::storm::{Chance, chosen, count, ended, grow, kill_storm, start};
use crate::support::{World, assert_only_gone, newest};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The first number after these words, thousands set apart or not.
#[track_caller]
fn number_after(text: &str, words: &str) -> usize {
    let at = text.find(words).unwrap_or_else(|| panic!("{words:?} is not in {text:?}")) + words.len();
    let number: String =
        text[at..].chars().take_while(|it| !it.is_alphabetic()).filter(char::is_ascii_digit).collect();
    number.parse().unwrap()
}

/// Waits until something is removed of what [`grow`] made.
#[track_caller]
fn wait_for_a_removal(gone: &Path, directories: usize) {
    // A removal begins at one end or at the other.
    let ends = [0, directories - 1].map(|number| gone.join(format!("d{number:03}/m000.cpython-312.pyc")));
    let began = Instant::now();
    while ends.iter().all(|path| path.exists()) {
        assert!(began.elapsed() < Duration::from_secs(60), "it removes nothing");
    }
}

#[test]
fn a_signal_stops_between_two_files() {
    const DIRECTORIES: usize = 150;
    const EACH: usize = 150;
    let all = DIRECTORIES * EACH;
    let world = World::new();
    let living = world.project("living", &["a.py"]);
    world.compile(newest(), &[], &[&living]);
    let before = World::snapshot(&world.store);
    // With a time limit a child process does the work, and gets the signal from its parent.
    for (signal, limit) in [
        (Signal::INT, None),
        (Signal::TERM, None),
        (Signal::HUP, None),
        (Signal::TERM, Some("--max-runtime=1h")),
    ] {
        let gone = grow(&world, DIRECTORIES, EACH);
        let arguments = ["--threads", "1", "prune", "--orphans"].into_iter().chain(limit);
        let child = start(&world, &arguments.collect::<Vec<_>>());
        wait_for_a_removal(&gone, DIRECTORIES);
        kill_process(Pid::from_child(&child), signal).unwrap();
        let (told, by_signal) = ended(child);
        assert_eq!(by_signal, Some(signal.as_raw()), "{told:?}");
        let left = number_after(&told.stderr, "pycstore: stopped early: ");
        let removed = number_after(&told.stdout, "\nremoved ");
        assert_eq!((left, removed + left), (count(&gone), all), "{told:?}");
        assert!(left > 0 && told.stderr.lines().count() == 1, "{told:?}");
        let history = world.pycstore(["history", "--json"]).exits(0).json_lines();
        assert_eq!((&history[0]["left"]["files"], &history[0]["exit"]), (&left.into(), &1.into()));
        // The next run finishes.
        let next = world.pycstore(["prune", "--orphans"]).exits(0);
        assert_eq!(number_after(&next.stdout, "\nremoved "), left);
        assert_only_gone(&before, &World::snapshot(&world.store), &[&gone]);
    }
}

/// It must not go on unseen, with the store's lock.
#[test]
fn the_process_that_works_ends_with_its_parent() {
    const DIRECTORIES: usize = 150;
    let world = World::new();
    let gone = grow(&world, DIRECTORIES, 150);
    let child = start(&world, &["--threads", "1", "prune", "--orphans", "--max-runtime", "1h"]);
    wait_for_a_removal(&gone, DIRECTORIES);
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    // Its output ends when the last process has ended that writes there.
    let (told, by_signal) = ended(child);
    assert_eq!(by_signal, Some(Signal::KILL.as_raw()), "{told:?}");
    assert!(count(&gone) > 0, "all was removed: {told:?}");
}

/// A plan of more victims than are held goes on in portions while the rest of the store is looked at.
#[test]
fn a_large_store_is_pruned_in_portions_as_its_dry_run_says() {
    const DIRECTORIES: usize = 250;
    const EACH: usize = 200;
    let all = DIRECTORIES * EACH;
    let world = World::new();
    let living = world.project("living", &["a.py"]);
    world.compile(newest(), &[], &[&living]);
    let before = World::snapshot(&world.store);
    let gone = grow(&world, DIRECTORIES, EACH);
    let shown = world.pycstore(["prune", "--orphans", "--dry-run", "--json"]).exits(0);
    let note = "pycstore: 50 000 files not read: those that are not bytecode will be kept\n";
    assert_eq!(shown.stderr, note);
    let budget = world.pycstore(["prune", "--max-files", "1", "--dry-run", "--json"]).exits(0).json();
    assert_eq!(budget["removed"]["files"], all);

    // Stopped as soon as it begins: most of it is left, and part of the store was not looked at.
    let metrics = world.home.join("pycstore.prom");
    let counts = ["--metrics", metrics.to_str().unwrap()];
    let child = start(&world, &[&["--threads", "1", "prune", "--orphans"][..], &counts].concat());
    let first = |number| gone.join(format!("d{number:03}/m000.cpython-312.pyc"));
    let began = Instant::now();
    while (0..DIRECTORIES).all(|number| first(number).exists()) {
        assert!(began.elapsed() < Duration::from_secs(60), "it removes nothing");
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let (told, by_signal) = ended(child);
    assert_eq!(by_signal, Some(Signal::TERM.as_raw()), "{told:?}");
    let left = count(&gone);
    assert_eq!(number_after(&told.stdout, "\nremoved ") + left, all, "{told:?}");
    let lines: Vec<&str> = told.stderr.lines().collect();
    assert_eq!(
        lines[0],
        "pycstore: stopped before the scan was complete: the remaining files are left for the next run"
    );
    assert!(left > 0 && number_after(lines[1], "pycstore: stopped early: ") < left, "{told:?}");
    let measured = fs::read_to_string(&metrics).unwrap();
    assert!(measured.contains("pycstore_prune_removed_entries{"), "{measured}");
    assert!(!measured.contains("pycstore_entries"), "half of a store is not what it holds: {measured}");

    grow(&world, DIRECTORIES, EACH);
    let done = world.pycstore(["prune", "--orphans", "--json"]).exits(0);
    assert_eq!(done.stderr, "");
    let (shown, done) = (shown.json(), done.json());
    for key in ["removed", "owners", "skipped", "failures"] {
        assert_eq!(shown[key], done[key], "{key}");
    }
    assert_eq!(done["removed"]["files"], all);
    assert_only_gone(&before, &World::snapshot(&world.store), &[&gone]);
}

#[test]
fn a_signal_at_any_moment_leaves_a_whole_report() {
    let world = World::new();
    let living = world.project("living", &["a.py"]);
    world.compile(newest(), &[], &[&living]);
    let before = World::snapshot(&world.store);
    let mut chance = Chance::new();
    let took = Instant::now();
    let mut gone = grow(&world, 40, 50);
    world.pycstore(["prune", "--orphans"]).exits(0);
    let longest = took.elapsed().as_micros() as u64;
    for round in 0..30 {
        gone = grow(&world, 40, 50);
        let child = start(&world, &["prune", "--orphans"]);
        std::thread::sleep(Duration::from_micros(chance.below(longest)));
        let signal = if round % 2 == 0 { Signal::INT } else { Signal::TERM };
        kill_process(Pid::from_child(&child), signal).unwrap();
        let (told, by_signal) = ended(child);
        let left = count(&gone);
        match told.code {
            0 => assert_eq!((left, told.stderr.as_str()), (0, "")),
            -1 => {
                assert_eq!(by_signal, Some(signal.as_raw()), "{told:?}");
                match told.stderr.as_str() {
                    // Before it listens, a signal ends it; so it does when nothing is left to stop.
                    "" => assert!(left == 2000 || left == 0, "{told:?}"),
                    told if told.contains("nothing was removed") => assert_eq!(left, 2000),
                    stopped => assert_eq!(number_after(stopped, "stopped early: "), left, "{told:?}"),
                }
            }
            _ => panic!("{told:?}"),
        }
    }
    world.pycstore(["prune", "--orphans"]).exits(0);
    assert_only_gone(&before, &World::snapshot(&world.store), &[&gone]);
}

#[test]
fn a_run_that_is_out_of_time_says_what_is_left_and_succeeds() {
    let world = World::new();
    let living = world.project("living", &["a.py"]);
    world.compile(newest(), &[], &[&living]);
    let before = World::snapshot(&world.store);
    let mut gone = grow(&world, 150, 150);
    let (mut microseconds, mut steps, mut were_stopped) = (1000, 4, 0);
    loop {
        let there = count(&gone);
        let age = format!("{microseconds}us");
        let told = world.pycstore(["--threads", "1", "prune", "--orphans", "--max-runtime", &age]).exits(0);
        let left = count(&gone);
        if told.stderr.is_empty() {
            assert_eq!(left, 0);
            if were_stopped > 0 || steps > 64 {
                break;
            }
            // Whatever else the machine does may hide the moments in which it removes: once more, in smaller steps.
            (microseconds, steps) = (microseconds / 3, steps * 2);
            gone = grow(&world, 150, 150);
        } else if told.stderr.contains("nothing was removed") {
            assert_eq!(left, there);
            let line = "pycstore: stopped before the scan was complete: nothing was removed\n";
            assert_eq!((told.stdout.as_str(), told.stderr.as_str()), ("removed nothing\n", line));
        } else if told.stderr.contains("half of the maximum runtime") {
            // What nobody looked at is left, and is not counted.
            assert!(left > 0 && left <= there, "{told:?}");
            gone = grow(&world, 150, 150);
        } else {
            assert_eq!(number_after(&told.stderr, "pycstore: stopped early: "), left);
            assert_eq!(number_after(&told.stdout, "\nremoved "), there - left);
            // What was emptied is there still, and this is the only word of it.
            assert!(number_after(&told.stderr, " and ") > 0, "{told:?}");
            were_stopped += usize::from(left > 0);
            gone = grow(&world, 150, 150);
        }
        microseconds += microseconds / steps;
    }
    assert!(were_stopped > 0, "no run was stopped while it removed");
    assert_only_gone(&before, &World::snapshot(&world.store), &[&gone]);
    // Also from the configuration.
    let gone = grow(&world, 150, 150);
    world.write(".config/pycstore/config.toml", "[prune]\norphans = true\nmax-runtime = '1us'\n");
    let told = world.pycstore(["prune"]).exits(0);
    let is_said =
        ["pycstore: stopped ", "half of the maximum runtime"].iter().any(|line| told.stderr.contains(line));
    assert!(is_said, "{}", told.stderr);
    assert!(count(&gone) > 0);
    // A budget that was not weighed to the end evicts nothing.
    let there = count(&gone);
    let told = world.pycstore(["prune", "--max-files", "1", "--max-runtime", "1us"]).exits(0);
    let line = "pycstore: stopped before the scan was complete: nothing was removed\n";
    assert_eq!(
        (told.stdout.as_str(), told.stderr.as_str(), count(&gone)),
        ("removed nothing\n", line, there)
    );
}

const OWNERS: usize = 400;

/// Makes orphans that each have an owner of their own: their names fill a pipe several times.
fn grow_owners(world: &World) {
    world.write("there/keep", "");
    for number in 0..OWNERS {
        let name = format!("there/{}{number}/m.py", "a-long-name-".repeat(15));
        let entry = world.entry(&world.home.join(name), newest(), "");
        fs::create_dir_all(entry.parent().unwrap()).unwrap();
        fs::write(entry, b"\xcb\x0d\r\n\0\0\0\0\0\0\0\0\0\0\0\0").unwrap();
    }
}

#[test]
fn a_slow_reader_does_not_end_a_run_with_a_time_limit() {
    use std::io::Read;
    let world = World::new();
    grow_owners(&world);
    let arguments = ["--assume-gone", "/", "prune", "--orphans", "--json", "--max-runtime", "8s"];
    let mut child = start(&world, &arguments);
    // The limit, ten seconds in which workers may hear of it, and some.
    std::thread::sleep(Duration::from_secs(20));
    let mut document = String::new();
    child.stdout.take().unwrap().read_to_string(&mut document).unwrap();
    let (told, _) = ended(child);
    assert_eq!((told.code, told.stderr.as_str()), (0, ""));
    let document: serde_json::Value = serde_json::from_str(&document).expect("one whole document");
    assert_eq!(document["removed"]["files"], OWNERS);
    let run = &world.pycstore(["history", "--json"]).exits(0).json_lines()[0];
    assert_eq!((&run["removed"]["files"], &run["exit"]), (&OWNERS.into(), &0.into()));
}

/// The output is not read, and a signal comes: what was done is recorded, and the process does not stay.
#[test]
fn a_signal_ends_a_run_whose_output_is_not_read_and_it_is_recorded() {
    let world = World::new();
    grow_owners(&world);
    let metrics = world.home.join("pycstore.prom");
    let arguments =
        ["--assume-gone", "/", "prune", "--orphans", "--json", "--metrics", metrics.to_str().unwrap()];
    let child = start(&world, &arguments);
    let began = Instant::now();
    while !metrics.exists() {
        assert!(began.elapsed() < Duration::from_secs(60), "metrics are written before the output");
        std::thread::sleep(Duration::from_millis(20));
    }
    let run = &world.pycstore(["history", "--json"]).exits(0).json_lines()[0];
    assert_eq!((&run["removed"]["files"], &run["exit"]), (&OWNERS.into(), &0.into()));
    let began = Instant::now();
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let mut child = child;
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(Signal::TERM.as_raw()));
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_signal_that_is_ignored_from_the_start_stops_nothing() {
    for limit in [None, Some("--max-runtime=1h")] {
        let world = World::new();
        let gone = grow(&world, 100, 150);
        let mut command = world.command("sh");
        command.args(["-c", "trap '' HUP; exec \"$0\" --threads 1 prune --orphans \"$@\""]);
        command.arg(env!("CARGO_BIN_EXE_pycstore")).args(limit).env("PYTHONPYCACHEPREFIX", &world.store);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        wait_for_a_removal(&gone, 100);
        kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
        let (told, by_signal) = ended(child);
        assert_eq!((told.code, by_signal, count(&gone)), (0, None, 0), "{told:?}");
    }
}

#[test]
fn killed_a_hundred_times_while_interpreters_import_and_write() {
    kill_storm(&World::new(), &chosen());
}
