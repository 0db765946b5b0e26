//! A server whose clock is minutes before or behind ours.

use super::Site;
use super::served::Served;
use crate::support::{World, age, newest, status};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
#[ignore = "needs root and /dev/fuse"]
fn what_was_written_after_the_last_deletion_stays_if_the_clock_of_the_store_is_behind() {
    // Store and projects are on two servers.
    let mut site = Site::just_compiled(1, 1);
    let world = &mut site.world;
    let stores = world.home.join("stores");
    std::fs::create_dir(&stores).unwrap();
    std::fs::rename(&world.store, stores.join("store")).unwrap();
    world.store = stores.join("store");
    let _projects = site.serve();
    let backing = site.world.home.parent().unwrap().join("store-backing");
    let server = Served::instead_of(&stores, &backing);
    // The entries seem to be so much older than the deletion beside them.
    for (behind, expected) in [(0, "unknown no-trace"), (9, "unknown no-trace"), (11, "orphan root")] {
        server.set_clock(-60 * behind);
        assert_eq!(status(&site.world, "gone0/m1.py"), expected, "{behind} minutes");
        assert_eq!(status(&site.world, "kept1/m1.py"), "fresh -");
    }
    server.set_clock(-60 * 9);
    site.world.pycstore(["prune"]).exits(0);
    assert!(backing.join("store").join(entry(&site.world, "gone0/m1.py")).exists());
}

/// The path of an entry in the store.
fn entry(world: &World, source: &str) -> std::path::PathBuf {
    let entry = world.entry(&world.home.join("net/project").join(source), newest(), "");
    entry.strip_prefix(&world.store).unwrap().to_path_buf()
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn ages_err_towards_keeping() {
    let site = Site::new(0, 1);
    let server = site.serve();
    let path = |name: &str| site.backing.join("store").join(entry(&site.world, name));
    let temporary = path("kept0/m0.py").with_extension("pyc.140123456789");
    for (minutes, clock, is_kept) in
        [(55, -9, true), (55, 9, true), (59, 0, true), (65, -4, true), (75, 9, true), (75, 0, false)]
    {
        std::fs::copy(path("kept0/m0.py"), &temporary).unwrap();
        std::fs::copy(path("kept0/m0.py"), path("kept0/m4.py")).unwrap();
        for file in [&temporary, &path("kept0/m4.py")] {
            age(file, minutes * MINUTE);
        }
        server.set_clock(clock * 60);
        let arguments = ["prune", "--temporary", "--unused-for", "1h"];
        site.world.pycstore(arguments).exits(0);
        let shown = format!("{minutes} minutes old, the clock {clock} ahead");
        assert_eq!(temporary.exists(), is_kept, "temporary: {shown}");
        assert_eq!(path("kept0/m4.py").exists(), is_kept, "entry: {shown}");
    }
}
