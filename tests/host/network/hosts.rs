//! Several hosts on one store.

use super::Site;
use super::served::Served;
use crate::support::{World, answer, newest};
use std::process::Stdio;

#[test]
#[ignore = "needs root and /dev/fuse"]
fn no_host_removes_what_another_has_sources_of() {
    let site = Site::new(1, 1);
    let world = &site.world;
    // Host A's own disk, and a volume that it alone has below the network's.
    for source in ["local/a.py", "net/volume/b.py", "net/volume/deep/c.py"] {
        let source = world.write(source, "X = 1\n");
        world.compile(newest(), &[], &[&source]);
    }
    let _served = site.serve();
    let before = World::snapshot(&site.backing);
    let script = "
        mount -t tmpfs tmpfs \"$HOME/local\"
        echo > \"$HOME/local/other\"
        mount -t tmpfs tmpfs \"$HOME/net/volume\"
        echo > \"$HOME/net/volume/other\"
        pycstore ls --json --status unknown
        pycstore prune
        pycstore doctor --json
    ";
    let told = answer(&mut world.in_namespace("", &script.replace("doctor --json", "doctor --json || true")));
    let reasons: Vec<_> = told.stdout.lines().filter(|line| line.contains("\"other-host\"")).collect();
    assert_eq!(reasons.len(), 3, "{told:?}");
    assert_eq!(told.stdout.matches("\"network\"").count(), 1, "{told:?}");
    // Only what was deleted on the network.
    let after = World::snapshot(&site.backing);
    let lost: Vec<_> = before.keys().filter(|path| !after.contains_key(*path)).collect();
    assert!(lost.len() == 6 && lost.iter().all(|path| path.to_str().unwrap().contains("/gone0")), "{lost:?}");
    // What host A deleted on its own disk it does not remove either: another host may have it there.
    std::fs::remove_file(world.home.join("local/a.py")).unwrap();
    assert_eq!(crate::support::status(world, "local/a.py"), "unknown other-host");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn two_prunes_at_once_by_two_mounts_do_no_harm() {
    let site = Site::new(60, 10);
    let _one = site.serve();
    let other = site.world.home.join("other");
    std::fs::create_dir(&other).unwrap();
    let _other = Served::at(&other, &site.backing);
    let prune = |store: &str, state: &str| {
        let mut command = site.world.program();
        command
            .args(["--store", store, "prune", "--json"])
            .env("XDG_STATE_HOME", site.world.home.join(state));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let runs = [prune("net/store", "state-a"), prune("other/store", "state-b")];
    let mut removed = 0;
    for run in runs {
        let output = run.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && stderr.is_empty(), "{stderr}");
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        removed += document["removed"]["files"].as_u64().unwrap();
    }
    assert_eq!((removed, site.entries()), (300, 50));
    let told = site.world.pycstore(["ls", "--json"]).exits(0);
    assert!(told.json_lines().iter().all(|line| line["status"] == "fresh"), "{told:?}");
}

#[test]
fn without_locks_a_prune_says_so_and_goes_on() {
    let world = World::of_projects(&["a.py"], &["b.py"]);
    for refused in ["flock=ENOLCK", "flock=ENOSYS", "flock=EOPNOTSUPP"] {
        let told = world.pycstore_refused(refused, ["prune", "--orphans"]).exits(0);
        let lines: Vec<_> = told.stderr.lines().collect();
        assert!(
            lines.len() == 1 && lines[0].ends_with("; continuing without the lock"),
            "{refused}: {told:?}"
        );
    }
    assert!(!world.entry(&world.home.join("gone/a.py"), newest(), "").exists());
}
