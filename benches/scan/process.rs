//! Runs one command to its end, within a time limit, and says what it took.

use anyhow::{Context, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use wait4::Wait4;

/// What a command may take before it is ended: many times what the slowest takes on a slow disk.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// How often its descriptors and threads are counted: rarely enough not to be noticed.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// What one run took.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// From start to end.
    pub wall: Duration,
    /// Processor time of all its threads, in user and in system mode.
    pub processor: Duration,
    /// The most memory it had resident, in bytes.
    pub memory: u64,
    /// The most descriptors that were seen open.
    pub descriptors: usize,
    /// The most threads that were seen.
    pub threads: usize,
}

/// A finished run.
#[derive(Debug)]
pub struct Finished {
    /// What it took.
    pub sample: Sample,
    /// Its standard output.
    pub stdout: String,
}

/// Where commands run: the streams' files are kept here.
#[derive(Debug)]
pub struct Runner {
    /// A directory of ours.
    pub directory: PathBuf,
}

impl Runner {
    /// Runs a command that must succeed and say nothing on standard error.
    ///
    /// # Errors
    /// Where it cannot be started, does not end in time (it is killed then), fails or complains.
    pub fn run(&self, command: &mut Command) -> anyhow::Result<Finished> {
        let (stdout, stderr) = (self.directory.join("stdout"), self.directory.join("stderr"));
        command.stdin(Stdio::null()).stdout(create(&stdout)?).stderr(create(&stderr)?);
        let name = format!("{command:?}");
        let began = Instant::now();
        let mut child = command.spawn().with_context(|| format!("cannot run {name}"))?;
        // A descriptor of the process: it cannot come to mean another one.
        let id = Pid::from_raw(child.id().try_into()?).context("a process without id")?;
        let (mut descriptors, mut threads) = (0, 0);
        let ended = rustix::process::pidfd_open(id, PidfdFlags::empty()).and_then(|descriptor| {
            while began.elapsed() < LIMIT {
                let seen = rustix::event::poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&LOOK))?;
                if seen > 0 {
                    return Ok(seen);
                }
                descriptors = descriptors.max(count(&format!("/proc/{}/fd", child.id())));
                threads = threads.max(count(&format!("/proc/{}/task", child.id())));
            }
            Ok(0)
        });
        let wall = began.elapsed();
        if !matches!(ended, Ok(1)) {
            child.kill()?;
            child.wait()?;
            ended?;
            bail!("ended after {} minutes: {name}", LIMIT.as_secs() / 60);
        }
        let used = child.wait4()?;
        let complaint = fs::read_to_string(&stderr)?;
        ensure!(used.status.success() && complaint.is_empty(), "{name}: {}\n{complaint}", used.status);
        let processor = used.rusage.utime + used.rusage.stime;
        let sample = Sample { wall, processor, memory: used.rusage.maxrss, descriptors, threads };
        Ok(Finished { sample, stdout: fs::read_to_string(&stdout)? })
    }
}

/// How many names a directory of `/proc` has; none when the process has ended.
fn count(directory: &str) -> usize {
    fs::read_dir(directory).map_or(0, Iterator::count)
}

fn create(path: &Path) -> anyhow::Result<File> {
    File::create(path).with_context(|| format!("cannot write {}", path.display()))
}

/// The most memory this process has had resident, in bytes. The kernel counts what a process had before it became
/// another program as the other's: below this, peaks of memory cannot be told.
pub fn own_memory() -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes << 10)
}

/// Writes to the disk what waits to be written: no command pays for another's.
pub fn sync() {
    rustix::fs::sync();
}

/// Drops what the kernel remembers of files, directories and their contents.
///
/// # Errors
/// For others than root, and in containers.
pub fn drop_caches() -> anyhow::Result<()> {
    sync();
    fs::write("/proc/sys/vm/drop_caches", "3").context("cannot drop the caches")
}
