//! Root on another user's store whose server does not answer: root's own processes end.

use super::Site;
use super::served::{Outage, Served};
use crate::support::storm::{ended, with_default_signals};
use crate::support::{Answer, give};
use rustix::process::{Pid, Signal, kill_process};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// A user whom no passwd(5) knows.
const EVE: u32 = 61001;

/// How long a run may take that should end within some seconds. One that hangs does so until the server answers.
const PATIENCE: Duration = Duration::from_secs(90);

/// A store of eve's on a server.
fn served() -> (Site, Served) {
    let site = Site::new(1, 1);
    site.world.open_to_all();
    give(&site.world.home, EVE);
    let served = site.serve();
    (site, served)
}

/// The program as root on eve's store.
fn start(site: &Site, arguments: &[&str]) -> Child {
    let mut command = with_default_signals(&site.world, env!("CARGO_BIN_EXE_pycstore"));
    let home = site.world.home.parent().unwrap();
    command.env("HOME", home).env_remove("XDG_CONFIG_HOME").env_remove("XDG_STATE_HOME").current_dir(home);
    command.arg("--store").arg(&site.world.store).args(arguments).args(["--threads", "1"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// What a process answers that ends in time, before the server does.
#[track_caller]
fn ends_in_time(mut child: Child, served: &Served) -> (Answer, Option<i32>) {
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > PATIENCE {
            served.works();
            panic!("it still ran after {PATIENCE:?}: {:?}", ended(child));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    served.works();
    ended(child)
}

#[track_caller]
fn until_broken(served: &Served) {
    let began = Instant::now();
    while !served.is_broken() {
        assert!(began.elapsed() < PATIENCE, "nobody uses the server");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn as_root_the_time_limit_ends_a_run_on_a_store_whose_server_hangs() {
    let (site, served) = served();
    for call in [None, Some("unlink")] {
        served.breaks(call, 0, Outage::Hang);
        let (told, _) = ends_in_time(start(&site, &["prune", "--max-runtime", "1s"]), &served);
        assert_eq!(told.code, 1, "{told:?}");
        assert!(told.stderr.contains("continuing as user 61001"), "{told:?}");
        assert!(told.stderr.contains("the file system does not respond"), "{told:?}");
    }
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn as_root_a_signal_ends_a_run_on_a_store_whose_server_hangs() {
    let (site, served) = served();
    for (call, arguments) in [
        (None, &["du"][..]),
        (Some("unlink"), &["prune"]),
        (Some("unlink"), &["prune", "--max-runtime", "1h"]),
    ] {
        served.breaks(call, 0, Outage::Hang);
        let child = start(&site, arguments);
        until_broken(&served);
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        let (told, by_signal) = ends_in_time(child, &served);
        assert_eq!(by_signal, Some(Signal::TERM.as_raw()), "{arguments:?}: {told:?}");
    }
}

/// The last of the processes that started each other, from this one on.
fn last_of(child: &Child) -> Pid {
    let mut process = child.id();
    loop {
        let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap();
        match children.split_whitespace().next() {
            Some(next) => process = next.parse().unwrap(),
            None => return Pid::from_raw(process.try_into().unwrap()).unwrap(),
        }
    }
}

/// Its user can stop the process that continues: a thread that waits for the server does not stop, and so no parent hears of it.
#[test]
#[ignore = "needs root and /dev/fuse"]
fn as_root_a_process_that_its_user_stops_while_the_server_hangs_holds_up_nothing() {
    let (site, served) = served();
    served.breaks(Some("unlink"), 0, Outage::Hang);
    let child = start(&site, &["prune", "--max-runtime", "1s"]);
    until_broken(&served);
    kill_process(last_of(&child), Signal::STOP).unwrap();
    let (told, _) = ends_in_time(child, &served);
    assert_eq!(told.code, 1, "{told:?}");
}
