//! A server that fails or does not answer in the middle of a command.

use super::Site;
use super::served::{Outage, Served};
use crate::support::{World, newest};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

const EIO: i32 = 5;
const ENOTCONN: i32 = 107;
const ESTALE: i32 = 116;

/// The lines on standard error without those that only say how far it came.
fn problems(stderr: &str) -> Vec<&str> {
    stderr.lines().filter(|line| !line.contains(": stopped ")).collect()
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_server_that_fails_in_the_middle_is_one_problem_and_decides_nothing() {
    let site = Site::new(20, 20);
    let served = site.serve();
    let before = site.entries();
    let commands: [&[&str]; 7] = [
        &["du"],
        &["ls"],
        &["verify"],
        &["share", "--dry-run"],
        &["prune", "--orphans", "--dry-run"],
        &["prune", "--orphans"],
        &["prune"],
    ];
    for (number, code) in [ENOTCONN, EIO, ESTALE].into_iter().enumerate() {
        for (command, answered) in commands.into_iter().zip([60, 90, 120, 60, 75, 100, 130]) {
            served.breaks(None, answered + number as u64, Outage::Error(code));
            let told = site.world.pycstore(command);
            served.works();
            assert_eq!(told.code, 1, "{command:?} {code}: {told:?}");
            let problems = problems(&told.stderr);
            assert_eq!(problems.len(), 1, "{command:?} {code}: {told:?}");
            let error = std::io::Error::from_raw_os_error(code).to_string();
            let error = error.split(" (os error").next().unwrap();
            let said = format!("pycstore: lost access to the store {}: {error}", site.world.store.display());
            assert_eq!(problems[0], said, "{command:?}");
        }
    }
    assert_eq!(site.entries(), before);
    let told = site.world.pycstore(["prune"]).exits(0);
    assert!(told.stdout.contains("removed 100 files and 20 directories"), "{told:?}");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_server_that_fails_during_the_removal_is_one_failure() {
    let site = Site::new(20, 1);
    let served = site.serve();
    let metrics = site.world.home.join("m.prom");
    served.breaks(Some("unlink"), 12, Outage::Error(ENOTCONN));
    let told = site.world.pycstore(["prune", "--threads", "1", "--metrics", metrics.to_str().unwrap()]);
    served.works();
    assert_eq!(site.entries(), 105 - 12);
    assert_eq!(told.code, 1);
    let [failed, unknown @ ..] = &problems(&told.stderr)[..] else { panic!("{told:?}") };
    let store = site.world.store.display();
    assert_eq!(
        *failed,
        format!("pycstore: cannot remove {store} (88 files): Transport endpoint is not connected")
    );
    assert_eq!(unknown.len(), 0, "{told:?}");
    let run = &site.history()[0];
    assert_eq!((&run["removed"]["files"], &run["exit"]), (&12.into(), &1.into()), "{run}");
    let metrics = std::fs::read_to_string(metrics).unwrap();
    assert!(metrics.contains("pycstore_up{store=\"") && metrics.contains("/net/store\"} 0\n"), "{metrics}");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn sources_whose_server_fails_are_not_deleted() {
    // The store is on the disk, the projects are on the network.
    let mut site = Site::new(3, 60);
    let store = site.world.home.join("store");
    std::fs::rename(&site.world.store, &store).unwrap();
    site.world.store = store.clone();
    let served = site.serve();
    let before = World::snapshot(&store);
    for (code, answered) in [(ENOTCONN, 40), (EIO, 41), (ESTALE, 42), (ENOTCONN, 0)] {
        served.breaks(None, answered, Outage::Error(code));
        let told = site.world.pycstore(["prune"]);
        served.works();
        assert_eq!(told.code, 1, "{code}: {told:?}");
        assert!((1..=3).contains(&told.stderr.lines().count()), "{code}: {told:?}");
        let after = World::snapshot(&store);
        // What was definitely deleted by then may go.
        let lost: Vec<_> = before.keys().filter(|path| !after.contains_key(*path)).collect();
        assert!(lost.iter().all(|path| path.to_str().unwrap().contains("/gone")), "{lost:?}");
    }
    let entry = site.world.entry(&site.world.home.join("net/project/kept5/m1.py"), newest(), "");
    assert!(entry.exists());
}

/// How long a run may take whose time limit is a second. One that waits for the server would never end.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs the program while the server does not answer; it has to end soon after its limit of a second.
fn ends_in_time(site: &Site, served: &Served, arguments: &[&str]) -> crate::support::Answer {
    let (run, ended) = channel::<()>();
    let (told, is_late) = std::thread::scope(|scope| {
        let watch = scope.spawn(move || {
            let is_late = ended.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout);
            // Nothing else ends it.
            is_late.then(|| served.works());
            is_late
        });
        let told = site.world.pycstore(arguments);
        drop(run);
        (told, watch.join().unwrap())
    });
    assert!(!is_late, "it waits for the server: {told:?}");
    assert!(
        told.stderr.contains("pycstore: the file system does not respond: exiting without waiting for it\n"),
        "{told:?}"
    );
    told
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_server_that_hangs_during_the_removal_ends_the_run_in_time() {
    let site = Site::new(20, 1);
    let served = site.serve();
    let metrics = site.world.home.join("m.prom");
    served.breaks(Some("unlink"), 12, Outage::Hang);
    let arguments =
        ["prune", "--threads", "1", "--max-runtime", "1s", "--metrics", metrics.to_str().unwrap()];
    ends_in_time(&site, &served, &arguments).exits(1);
    let run = &site.history()[0];
    assert_eq!((&run["removed"]["files"], &run["exit"]), (&12.into(), &1.into()), "{run}");
    assert!(run["duration"].as_f64().unwrap() >= 1.0, "{run}");
    let metrics = std::fs::read_to_string(metrics).unwrap();
    assert!(
        metrics.contains("/net/store\"} 0\n") && metrics.contains("pycstore_prune_exit_status"),
        "{metrics}"
    );
    drop(served);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_server_that_hangs_from_the_beginning_ends_the_run_in_time() {
    let site = Site::new(1, 1);
    let served = site.serve();
    let metrics = site.world.home.join("m.prom");
    served.breaks(None, 0, Outage::Hang);
    let arguments = ["prune", "--max-runtime", "1s", "--metrics", metrics.to_str().unwrap()];
    ends_in_time(&site, &served, &arguments).exits(2);
    let metrics = std::fs::read_to_string(metrics).unwrap();
    assert!(metrics.contains("/net/store\"} 0\n"), "{metrics}");
    served.works();
    assert_eq!(site.entries(), 10);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn share_and_sources_that_hang_end_in_time() {
    let mut site = Site::new(1, 1);
    let store = site.world.home.join("store");
    std::fs::rename(&site.world.store, &store).unwrap();
    site.world.store = store.clone();
    let served = site.serve();
    served.breaks(None, 3, Outage::Hang);
    ends_in_time(&site, &served, &["share", "--max-runtime", "1s"]).exits(1);
    served.works();
    let run = &site.history()[0];
    assert_eq!((&run["selectors"][0], &run["exit"]), (&"share".into(), &1.into()), "{run}");
}
