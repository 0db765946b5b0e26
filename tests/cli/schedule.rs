//! `pycstore schedule` with launchd, which is a script here (the real one exists only on macOS), and the timer of a package.

use crate::support::{Answer, World, answer};
use std::os::unix::fs::PermissionsExt;

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
