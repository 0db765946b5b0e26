//! `pycstore schedule run`, `pycstore schedule` with launchd, which is a script here (the real one exists only on macOS), and the
//! timer of a package.

use crate::support::lock::lock_holder;
use crate::support::{Answer, World, answer, give, newest};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Notes what it is asked, and remembers whether the agent is loaded. The file `refuse` lets it refuse to load one.
const LAUNCHCTL: &str = "#!/bin/sh
echo \"$*\" | sed \"s:gui/[0-9]*:gui/UID:; s:$HOME:HOME:\" >> \"$HOME/asked\"
case $1 in
  print) test -e \"$HOME/loaded\" || { echo 'Could not find service' >&2; exit 113; };;
  bootout) rm \"$HOME/loaded\";;
  bootstrap) test ! -e \"$HOME/refuse\" || { echo 'Bootstrap failed: 5: Input/output error' >&2; exit 5; }
    touch \"$HOME/loaded\";;
esac
";

const AGENT: &str = "Library/LaunchAgents/pycstore.schedule.plist";

/// A home where launchctl is on `PATH`.
fn mac() -> World {
    let world = World::new();
    let program = world.write("bin/launchctl", LAUNCHCTL);
    std::fs::set_permissions(program, PermissionsExt::from_mode(0o755)).unwrap();
    world
}

fn schedule(world: &World, arguments: &[&str]) -> Answer {
    let path = format!("{}/bin:/usr/bin:/bin", world.home.display());
    answer(world.copied_program().env("PATH", path).arg("schedule").args(arguments))
}

/// What launchctl was asked since the last call.
fn asked(world: &World) -> Vec<String> {
    let file = world.home.join("asked");
    let asked = std::fs::read_to_string(&file).unwrap_or_default();
    let _ = std::fs::remove_file(file);
    asked.lines().map(str::to_string).collect()
}

const PRINT: &str = "print gui/UID/pycstore.schedule";
const BOOTOUT: &str = "bootout gui/UID/pycstore.schedule";
const BOOTSTRAP: &str = "bootstrap gui/UID HOME/Library/LaunchAgents/pycstore.schedule.plist";

#[test]
fn launchd_gets_an_agent_and_loses_it_again() {
    let world = mac();
    schedule(&world, &["install", "--with", "launchd", "-n"]).exits(0);
    assert!(!world.home.join("Library").exists() && asked(&world).is_empty());
    let told = schedule(&world, &["install", "--with", "launchd", "--yes"]).exits(0);
    assert!(told.stderr.contains("errors are logged in ~/Library/Logs/pycstore.log"), "{told:?}");
    let printed = schedule(&world, &["install", "--with", "launchd", "--print"]).exits(0).stdout;
    assert_eq!(std::fs::read_to_string(world.home.join(AGENT)).unwrap(), printed);
    assert_eq!(asked(&world), [PRINT, BOOTSTRAP]);
    schedule(&world, &["install", "--yes"]).exits(0);
    assert_eq!(asked(&world), [PRINT]);
    let status = schedule(&world, &["status"]).exits(0).stdout;
    let agent = world.home.join(AGENT);
    assert!(status.starts_with(&format!("schedule  launchd: {}\n", agent.display())), "{status}");
    // Without --with it stays with the scheduler that it has. An old agent is unloaded first.
    schedule(&world, &["install", "--threads", "3", "--yes"]).exits(0);
    assert_eq!(asked(&world), [PRINT, BOOTOUT, BOOTSTRAP]);
    schedule(&world, &["remove", "--yes"]).exits(0);
    assert!(!world.home.join(AGENT).exists() && !world.home.join("loaded").exists());
    assert_eq!(asked(&world), [PRINT, BOOTOUT]);
    schedule(&world, &["remove", "--yes"]).exits(0);
    assert!(asked(&world).is_empty());
}

#[test]
fn an_agent_that_launchd_refuses_is_reported() {
    let world = mac();
    world.write("refuse", "");
    let told = schedule(&world, &["install", "--with", "launchd", "--yes"]).exits(1);
    assert!(
        told.stderr.contains("pycstore: launchctl: Bootstrap failed: 5: Input/output error\n"),
        "{told:?}"
    );
    // It was written: the next one loads it.
    std::fs::remove_file(world.home.join("refuse")).unwrap();
    schedule(&world, &["install", "--yes"]).exits(0);
    assert_eq!(asked(&world), [PRINT, BOOTSTRAP, PRINT, PRINT, BOOTSTRAP]);
    std::fs::remove_file(world.home.join("loaded")).unwrap();
    // It is removed although launchd does not have it.
    schedule(&world, &["remove", "--yes"]).exits(0);
    assert!(!world.home.join(AGENT).exists());
    assert_eq!(asked(&world), [PRINT]);
}

#[test]
fn the_timer_of_a_package_is_shown_and_kept() {
    let world = World::new();
    let printed = schedule(&world, &["install", "--with", "systemd", "--print"]).exits(0).stdout;
    let timer = world
        .write("usr/lib/systemd/user/pycstore.timer", printed.split_once("# pycstore.timer\n").unwrap().1);
    let wanted =
        world.write(".config/systemd/user/timers.target.wants/x", "").with_file_name("pycstore.timer");
    std::os::unix::fs::symlink(&timer, &wanted).unwrap();
    let status = schedule(&world, &["status"]).exits(0).stdout;
    assert!(status.starts_with(&format!("schedule  systemd: {}\n", timer.display())), "{status}");
    insta::assert_snapshot!(schedule(&world, &["remove", "--with", "systemd", "--yes"]).shown(), @r"
    exit: 1
    ----- stdout -----
    nothing to do
    ----- stderr -----
    pycstore: /home/me/usr/lib/systemd/user/pycstore.timer belongs to a package and is kept
    hint: systemctl --user disable --now pycstore.timer
    ");
    assert!(timer.exists() && wanted.exists());
    schedule(&world, &["remove", "--with", "launchd", "--yes"]).exits(0);
}

const CONFIGURATION: &str = ".config/pycstore/config.toml";

/// Projects with the same sources, and an orphan; returns the entries of the copies.
fn copies() -> (World, [PathBuf; 2]) {
    let world = World::of_projects(&["gone.py"], &["kept.py"]);
    let text = "def answer():\n    return 42\n";
    let sources = ["one", "two"].map(|project| world.write(format!("{project}/m.py"), text));
    let now = std::time::SystemTime::now() - std::time::Duration::from_secs(7200);
    for source in &sources {
        std::fs::File::options().write(true).open(source).unwrap().set_modified(now).unwrap();
        world.compile(newest(), &[], &[source.parent().unwrap()]);
    }
    let entries = sources.map(|source| world.entry(&source, newest(), ""));
    (world, entries)
}

fn links(entry: &Path) -> u64 {
    entry.metadata().unwrap().nlink()
}

/// The selectors of the runs in the history, the newest first.
fn runs(world: &World) -> Vec<String> {
    let history = world.pycstore(["history", "--json"]).exits(0).json_lines();
    history.iter().map(|run| run["selectors"][0].as_str().unwrap().to_string()).collect()
}

#[test]
fn the_job_shares_after_its_prune_if_the_configuration_says_so() {
    let (world, entries) = copies();
    let status = |world: &World| world.pycstore(["schedule", "status", "--json"]).json()["share"].clone();
    assert_eq!(status(&world), false);
    world.write(CONFIGURATION, "[share]\nnightly = true\n");
    assert_eq!(status(&world), true);
    let told = world.pycstore(["schedule", "status"]).stdout;
    assert!(told.contains("\nthen      share equal entries\n"), "{told}");
    let told = world.pycstore(["schedule", "run", "--dry-run"]).exits(0).stdout;
    assert!(told.contains("would make 1 entry links of 1 file; would free "), "{told}");
    assert_eq!((links(&entries[0]), runs(&world)), (1, Vec::new()));
    let told = world.pycstore(["schedule", "run"]).exits(0);
    assert!(told.stdout.contains("removed 1 file") && told.stdout.contains("made 1 entry links"), "{told:?}");
    assert_eq!(entries[0].metadata().unwrap().ino(), entries[1].metadata().unwrap().ino());
    assert_eq!(runs(&world), ["share", "orphans"]);
    // The last prune is that of the schedule, not the share after it.
    let status = world.pycstore(["schedule", "status", "--json"]).json();
    assert_eq!(status["last_run"]["selectors"][0], "orphans");
    let overview = world.pycstore::<&str>([]).exits(0).stdout;
    assert!(overview.contains("Last run     today, removed 4 KiB in 1 file"), "{overview}");
    let quiet = world.pycstore(["--quiet", "schedule", "run"]).exits(0);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
}

#[test]
fn the_job_shares_nothing_that_the_configuration_keeps_and_nothing_if_it_is_off() {
    let (world, entries) = copies();
    for text in ["", "[share]\nnightly = false\n", "keep = [\"~/two/**\"]\n[share]\nnightly = true\n"] {
        world.write(CONFIGURATION, text);
        world.pycstore(["schedule", "run"]).exits(0);
        assert_eq!(links(&entries[0]), 1, "{text}");
    }
}

#[test]
fn the_job_shares_nothing_if_its_prune_did_nothing() {
    let (world, entries) = copies();
    world.write(CONFIGURATION, "[share]\nnightly = true\n");
    let mut holder = lock_holder(&world, &world.store);
    let told = world.pycstore(["schedule", "run"]).exits(0);
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!(told.stderr.matches("nothing was done").count(), 1, "{told:?}");
    world.write(CONFIGURATION, "[prune]\nstale = true\nmin-interval = \"1d\"\n");
    world.pycstore(["schedule", "run"]).exits(0);
    world.write(CONFIGURATION, "[prune]\nstale = true\nmin-interval = \"1d\"\n[share]\nnightly = true\n");
    let told = world.pycstore(["schedule", "run"]).exits(0);
    assert!(told.stderr.contains("nothing to do: the last run was at "), "{told:?}");
    assert_eq!(links(&entries[0]), 1);
    // In no time there is nothing to share either.
    world.write(CONFIGURATION, "[prune]\nstale = true\nmax-runtime = \"0s\"\n[share]\nnightly = true\n");
    let told = world.pycstore(["schedule", "run"]).exits(0);
    assert!(told.stderr.contains("equal entries are left for the next run"), "{told:?}");
    assert_eq!(links(&entries[0]), 1);
}

#[test]
fn what_cannot_be_shared_makes_the_job_incomplete() {
    let (world, entries) = copies();
    world.write(CONFIGURATION, "[share]\nnightly = true\n");
    let mut command = world.unprivileged();
    // What was given to another user changed after the entries were written, which `verify` doubts: they are written again.
    for entry in &entries {
        let (bytes, user) = (std::fs::read(entry).unwrap(), entry.metadata().unwrap().uid());
        std::fs::remove_file(entry).unwrap();
        std::fs::write(entry, bytes).unwrap();
        give(entry, user);
    }
    // The file that was written last is kept: the other is replaced.
    let directory = entries[0].parent().unwrap();
    std::fs::set_permissions(directory, PermissionsExt::from_mode(0o555)).unwrap();
    let told = answer(command.args(["schedule", "run"])).exits(1);
    std::fs::set_permissions(directory, PermissionsExt::from_mode(0o755)).unwrap();
    assert!(told.stdout.contains("removed 1 file"), "{told:?}");
    let line =
        format!("cannot replace {} by a link of an equal entry: Permission denied", entries[0].display());
    assert!(told.stderr.contains(&line), "{told:?}");
}

#[test]
fn schedule_alone_says_the_state_and_the_next_commands() {
    let world = mac();
    let none = schedule(&world, &[]).shown();
    insta::assert_snapshot!(none, @r"
    exit: 0
    ----- stdout -----
    schedule  none (to install one: pycstore schedule install)
    last run  none recorded with this policy
    policy  orphans stale corrupt temporary (default)
    store  /home/me/.cache/cpython (missing)
    next  pycstore schedule install  prunes every night
              pycstore schedule run -n  shows what the job would remove now
    ----- stderr -----
    ");
    schedule(&world, &["install", "--with", "launchd", "--yes"]).exits(0);
    let installed = schedule(&world, &[]).shown();
    let new: Vec<&str> = installed.lines().filter(|line| !none.contains(line)).collect();
    insta::assert_snapshot!(new.join("\n"), @r"
    schedule  launchd: /home/me/Library/LaunchAgents/pycstore.schedule.plist
    next run  DATE
    next  pycstore schedule remove  removes the schedule
    ");
    insta::assert_snapshot!(schedule(&world, &["--json"]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: --json works only with status
    hint: pycstore schedule status --json
    ");
}
