//! A real network file system: sshfs, joined to an SFTP server on this machine by pipes.

use super::Site;
use crate::support::tool;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The SFTP server and the file system; dropped, both are ended and the file system is unmounted.
struct Sshfs {
    server: Child,
    file_system: Child,
    point: std::path::PathBuf,
}

impl Sshfs {
    fn mount(backing: &Path, point: &Path) -> Sshfs {
        let server = "/usr/lib/openssh/sftp-server";
        assert!(Path::new(server).is_file(), "this test needs it: apt install openssh-sftp-server");
        let (questions, asks) = std::io::pipe().unwrap();
        let (answers, says) = std::io::pipe().unwrap();
        let server =
            Command::new(server).stdin(questions).stdout(says).stderr(Stdio::null()).spawn().unwrap();
        let mut command = Command::new(tool("sshfs", "sshfs"));
        command.args(["-f", "-o", "passive,dir_cache=no"]).arg(format!(":{}", backing.display())).arg(point);
        command.stdin(answers).stdout(asks).stderr(Stdio::null());
        let file_system = command.spawn().unwrap();
        let sshfs = Sshfs { server, file_system, point: point.to_path_buf() };
        let began = Instant::now();
        let is_mounted = || std::fs::read_dir(point).is_ok_and(|mut names| names.next().is_some());
        while !is_mounted() {
            assert!(began.elapsed() < Duration::from_secs(10), "sshfs does not mount");
            std::thread::sleep(Duration::from_millis(20));
        }
        sshfs
    }

    fn signal(process: &Child, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(process), signal).unwrap();
    }
}

impl Drop for Sshfs {
    fn drop(&mut self) {
        let _ = (self.file_system.kill(), self.server.kill());
        let _ = (self.file_system.wait(), self.server.wait());
        let _ = rustix::mount::unmount(&self.point, rustix::mount::UnmountFlags::DETACH);
    }
}

#[test]
#[ignore = "needs root, sshfs and /dev/fuse"]
fn a_store_on_sshfs_is_pruned_hangs_and_goes_away() {
    use rustix::process::Signal;
    let site = Site::new(5, 5);
    let point = site.world.home.join("net");
    std::fs::rename(&point, &site.backing).unwrap();
    std::fs::create_dir(&point).unwrap();
    let mut sshfs = Sshfs::mount(&site.backing, &point);
    let told = site.world.pycstore(["prune", "--orphans", "--dry-run"]).exits(0);
    assert!(told.stdout.contains("would remove 25 files and 5 directories"), "{told:?}");
    Sshfs::signal(&sshfs.server, Signal::STOP);
    let began = Instant::now();
    let told = site.world.pycstore(["prune", "--orphans", "--max-runtime", "1s"]).exits(2);
    assert!(began.elapsed() < Duration::from_secs(12), "{told:?}");
    assert!(told.stderr.contains("the file system does not respond"), "{told:?}");
    Sshfs::signal(&sshfs.server, Signal::CONT);
    let told = site.world.pycstore(["prune", "--orphans"]).exits(0);
    assert!(told.stdout.contains("removed 25 files and 5 directories"), "{told:?}");
    sshfs.file_system.kill().unwrap();
    assert!(sshfs.file_system.wait().unwrap().signal().is_some());
    let told = site.world.pycstore(["prune", "--orphans"]).exits(2);
    assert!(told.stderr.lines().count() <= 2, "{told:?}");
    assert!(told.stderr.contains(": Transport endpoint is not connected\n"), "{told:?}");
    assert_eq!(site.entries(), 25);
}
