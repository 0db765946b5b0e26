//! A soak: many files made and pruned in rounds, beside interpreters that import and edit all the while.
//!
//! While one round is pruned the next is written, so every prune meets files and directories that appear under it;
//! some prunes are killed, and the next has to finish their work. It may take minutes, so plain `cargo test` names it as
//! ignored; CONTRIBUTING has the command.
//!
//! What takes the time is the file system: an ext4 without a journal walks past every inode freed within the last minute
//! (`recently_deleted`) each time it makes a file, so rounds of making and pruning go ten times faster on a tmpfs. The long
//! soak is on `/dev/shm` where that is one; that of another user's store is on the disk.

use crate::support::memory::peak_memory;
use crate::support::storm::{Chance, chosen, count, importer, kill_storm};
use crate::support::{Interpreter, World, answer, assert_only_gone, for_everybody};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Files in all; fewer when the time is over before.
struct Amount {
    files: usize,
    limit: Duration,
}

/// A round's directories and the files in each.
const DIRECTORIES: usize = 1000;
const EACH: usize = 50;
/// What `prune` may have resident, in bytes: there is no more of a store of one size in the last round than in the
/// first.
const MEMORY: u64 = 96_000_000;
const SELECTORS: [&str; 6] = ["prune", "--orphans", "--stale", "--corrupt", "--temporary", "--json"];

/// What pruning may take, one kind a file in turn: orphans for the most part.
fn contents(number: usize) -> (String, &'static [u8]) {
    const GOOD: &[u8] = b"\xcb\x0d\r\n\0\0\0\0\0\0\0\0\0\0\0\0\xe3 and a body";
    match number % 10 {
        0 => (format!("m{number:02}.cpython-312.pyc"), &GOOD[..7]),
        1 => (format!("m{number:02}.cpython-312.pyc.{}", 140_000_000_000_000 + number), GOOD),
        2 => (format!("m{number:02}.cpython-39.opt-1.pyc"), GOOD),
        _ => (format!("m{number:02}.cpython-312.pyc"), GOOD),
    }
}

/// Writes one round below `mirror` as an interpreter would: where a directory was pruned as empty before the first
/// file was in it, it is made again.
fn write_round(mirror: &Path) {
    for directory in (0..DIRECTORIES).map(|number| mirror.join(format!("p{}/d{number:03}", number % 20))) {
        for number in 0..EACH {
            let (name, bytes) = contents(number);
            let path = directory.join(name);
            let mut tries = 0;
            while let Err(error) = fs::write(&path, bytes) {
                tries += 1;
                assert!(
                    tries < 1000 && error.kind() == std::io::ErrorKind::NotFound,
                    "{}: {error}",
                    path.display()
                );
                fs::create_dir_all(&directory).unwrap();
            }
            // Written at once, a temporary of an hour ago, and an entry older than anything that was deleted around it. Pruned
            // while it is made, it is gone.
            let then = std::time::SystemTime::now() - Duration::from_secs(7200);
            if let Ok(file) = fs::File::options().write(true).open(&path) {
                file.set_times(fs::FileTimes::new().set_modified(then)).unwrap();
            }
        }
    }
}

/// A prune that is killed after so long, unless it has ended by then; whether it was killed.
fn prune_killed_after(world: &World, after: Duration) -> bool {
    let mut command = world.program();
    command.env("PYTHONPYCACHEPREFIX", &world.store).args(SELECTORS);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    let was_killed = output.status.signal() == Some(9);
    assert!(was_killed || output.status.success(), "{output:?}");
    assert_only_kept(&String::from_utf8_lossy(&output.stderr));
    was_killed
}

/// A file that an importer rewrote between plan and execution is kept; nothing else is to be reported.
fn assert_only_kept(stderr: &str) {
    let is_expected = |line: &&str| {
        line.contains("it changed after it was planned") || line.contains(": continuing as user ")
    };
    let others: Vec<&str> = stderr.lines().filter(|line| !is_expected(line)).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
#[ignore = "needs minutes: cargo test --release --test host soak -- --ignored --nocapture"]
fn a_million_files_beside_importing_interpreters() {
    let amount = Amount { files: 1_000_000, limit: Duration::from_secs(60) };
    soak(&World::in_memory(), &chosen(), &amount);
}

#[test]
#[ignore = "needs root"]
fn as_root_a_hundred_thousand_files_on_another_users_store() {
    let amount = Amount { files: 100_000, limit: Duration::from_secs(120) };
    soak(&World::of_user(61001), &[for_everybody()], &amount);
}

#[test]
#[ignore = "needs root"]
fn as_root_killed_a_hundred_times_on_another_users_store() {
    kill_storm(&World::of_user(61001), &[for_everybody()]);
}

fn soak(world: &World, chosen: &[Interpreter], amount: &Amount) {
    let mut chance = Chance::new();
    let quiet = world.project("quiet", &["a.py", "b.py", "c.py"]);
    world.give_to_owner();
    for interpreter in chosen {
        world.compile(interpreter, &[], &[&quiet]);
    }
    let fresh = World::snapshot(&world.mirror(&quiet));
    let stop = world.home.join("stop");
    let root = world.home.join("busy");
    fs::create_dir(&root).unwrap();
    world.give_to_owner();
    let importers: Vec<(&Interpreter, Child)> = chosen
        .iter()
        .map(|interpreter| {
            let mut command = importer(world, interpreter, &root, &stop);
            let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            // They never rest: without this they would leave little of the processors for a million files.
            answer(world.command("renice").args(["-n", "10", "-p", &child.id().to_string()])).exits(0);
            (interpreter, child)
        })
        .collect();

    let round = |number: usize| -> PathBuf { world.mirror(&world.home.join(format!("gone-{number}"))) };
    let began = Instant::now();
    let (mut written, mut killed, mut peak, mut took) = (0, 0, 0, Duration::from_secs(1));
    world.as_owner(|| write_round(&round(0)));
    for number in 0.. {
        written += DIRECTORIES * EACH;
        let is_last = written >= amount.files || began.elapsed() > amount.limit;
        std::thread::scope(|scope| {
            if !is_last {
                scope.spawn(|| world.as_owner(|| write_round(&round(number + 1))));
            }
            if number % 2 == 1 {
                let after = Duration::from_micros(chance.below(took.as_micros() as u64));
                killed += usize::from(prune_killed_after(world, after));
            }
            let start = Instant::now();
            let (memory, ended) = peak_memory(world, SELECTORS);
            took = start.elapsed();
            assert_eq!(ended.code, 0, "{ended:?}");
            assert_only_kept(&ended.stderr);
            peak = peak.max(memory);
        });
        assert_eq!(count(&round(number)), 0, "round {number}");
        assert_only_gone(&fresh, &World::snapshot(&world.mirror(&quiet)), &[]);
        assert!(peak < MEMORY, "{peak} bytes resident in round {number}");
        if is_last {
            break;
        }
    }
    println!(
        "{written} files in {:.0} s, {killed} prunes killed, at most {} kB resident",
        began.elapsed().as_secs_f64(),
        peak / 1000
    );

    fs::write(&stop, "").unwrap();
    for (interpreter, child) in importers {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}: {}", interpreter.tag, String::from_utf8_lossy(&output.stderr));
        println!("{} imported {} times", interpreter.tag, String::from_utf8_lossy(&output.stdout).trim());
    }
    // What was emptied is gone as well, and after one more run there is nothing left to do.
    answer(world.program().env("PYTHONPYCACHEPREFIX", &world.store).args(SELECTORS)).exits(0);
    assert_eq!(world.pycstore(&SELECTORS[..5]).exits(0).stdout, "nothing to remove\n");
    for interpreter in chosen {
        let code = format!("import sys\nsys.path[:0] = {quiet:?},\nimport a, b, c\nassert c.NAME == 'c.py'");
        answer(world.python(interpreter).args(["-c", &code])).exits(0);
    }
}
