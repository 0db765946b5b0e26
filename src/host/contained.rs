//! Starts a program as another user, without our controlling terminal, with limited memory and processor time.
//!
//! Limits, the session and the user have to be set between fork(2) and execve(2), which safe Rust cannot do. So the
//! program is started through a *launcher*: pycstore itself, which sets what its arguments say and then executes the
//! program ([`Containment::launch`]).
//!
//! # Invariants
//!
//! * The program has no controlling terminal (setsid(2)): it cannot inject input into root's terminal (TIOCSTI of
//!   ioctl_tty(2)).
//! * The new session starts before the user changes, so that this user can never trace a process that has the terminal.
//! * The user that this program becomes can never trace it, and so never writes to the terminal or the log that it
//!   inherited: [`Containment::launch`] executes a copy that only root may read.
//! * As another user it has one group, the given one, and no supplementary groups (setgroups(2)).
//! * It inherits no open file but standard input, output and error.

use rustix::process::{Pid, Signal};
use std::ffi::OsString;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};

/// The launcher's subcommand that [`Containment::command`] calls.
const LAUNCH: &str = "launch";

/// A path by which each process that runs this program finds it, on Linux.
pub const THIS_PROGRAM: &str = "/proc/self/exe";

/// The user and the limits that a program is started with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Containment {
    /// The user; `None`: that of this process.
    pub identity: Option<UserAndGroup>,
    /// Maximum address space, in bytes (`RLIMIT_AS`); not every system enforces it.
    pub memory: Option<u64>,
    /// Maximum processor time, in seconds (`RLIMIT_CPU`).
    pub processor_seconds: Option<u64>,
}

/// A user and its only group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserAndGroup {
    /// The user id.
    pub user: u32,
    /// The group id.
    pub group: u32,
}

impl Containment {
    /// Returns the command that starts `program` through a launcher; the caller adds the program's arguments.
    pub fn command(&self, launcher: &Path, program: &Path) -> Command {
        let mut command = Command::new(launcher);
        command.arg(LAUNCH);
        let identity = self.identity;
        let numbers = [
            ("--user", identity.map(|identity| u64::from(identity.user))),
            ("--group", identity.map(|identity| u64::from(identity.group))),
            ("--memory", self.memory),
            ("--processor-seconds", self.processor_seconds),
        ];
        for (name, number) in numbers {
            command.args(number.map(|number| format!("{name}={number}")));
        }
        command.arg("--").arg(program);
        command
    }

    /// Applies all of this to the current process, which is the launcher, and executes the program. Returns only on an
    /// error.
    ///
    /// The process must not lead a process group; one that was started by [`Command::spawn`] does not.
    pub fn launch(&self, program: &Path, arguments: &[OsString]) -> io::Error {
        match self.set() {
            Err(error) => error,
            Ok(()) => {
                // Where no copy can be made, the user could trace the process until it forbids that itself.
                let copy = match self.identity {
                    Some(_) if program == Path::new(THIS_PROGRAM) => unreadable_copy().ok(),
                    _ => None,
                };
                let mut command = match &copy {
                    Some(copy) => Command::new(format!("/proc/self/fd/{}", copy.as_raw_fd())),
                    None => Command::new(program),
                };
                command.args(arguments);
                if let Some(UserAndGroup { user, group }) = self.identity {
                    // std drops the supplementary groups too when root changes the user.
                    command.gid(group).uid(user);
                }
                command.exec()
            }
        }
    }

    fn set(&self) -> io::Result<()> {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, setsid};
        setsid()?;
        close_fds::set_fds_cloexec_threadsafe(3, &[]);
        let limit = |resource, most: u64| {
            // A lower limit stays: only root may raise it.
            let most = Some(getrlimit(resource).maximum.map_or(most, |maximum| maximum.min(most)));
            setrlimit(resource, Rlimit { current: most, maximum: most })
        };
        // A core dump could contain data that only this user may read.
        limit(Resource::Core, 0)?;
        self.memory.map_or(Ok(()), |bytes| limit(Resource::As, bytes))?;
        self.processor_seconds.map_or(Ok(()), |seconds| limit(Resource::Cpu, seconds))?;
        Ok(())
    }
}

/// Makes a copy of this program that only root may read. A process that executes it as another user cannot be traced by that
/// user's other processes from the start (ptrace(2), "Ptrace access mode checking"): they cannot use the files that it
/// inherited.
#[cfg(target_os = "linux")]
fn unreadable_copy() -> io::Result<std::fs::File> {
    use rustix::fs::{MemfdFlags, memfd_create};
    // Before Linux 6.3 there is no such flag, and all may be executed.
    let made = memfd_create("pycstore", MemfdFlags::CLOEXEC | MemfdFlags::EXEC)
        .or_else(|_| memfd_create("pycstore", MemfdFlags::CLOEXEC))?;
    io::copy(&mut std::fs::File::open(THIS_PROGRAM)?, &mut std::fs::File::from(made.try_clone()?))?;
    // A file that is open for writing cannot be executed.
    let copy = std::fs::File::open(format!("/proc/self/fd/{}", made.as_raw_fd()))?;
    drop(made);
    copy.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o711))?;
    Ok(copy)
}

#[cfg(not(target_os = "linux"))]
fn unreadable_copy() -> io::Result<std::fs::File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Checks that a program may be executed: a launcher cannot report why it could not start one.
///
/// # Errors
/// Those of access(2).
pub fn may_execute(program: &Path) -> io::Result<()> {
    Ok(rustix::fs::access(program, rustix::fs::Access::EXEC_OK)?)
}

/// Kills a program that was started through a launcher, with its process group, and waits for its end.
pub fn end(child: &mut Child) {
    kill(child);
    let _ = child.wait();
}

/// Kills a program as [`end`] does, and does not wait: a file system that does not answer can delay its end.
pub fn kill(child: &mut Child) {
    // A launched program leads a group with its process id; without a launcher there is no such group.
    let _ = rustix::process::kill_process_group(Pid::from_child(child), Signal::KILL);
    let _ = child.kill();
}

/// Whether the parent process still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// It started this process and runs.
    Runs,
    /// It ended, or did not start this process.
    Ended,
}

/// Ties this process to the parent that started it as another user: it is killed when the parent ends, and no other process
/// of its user may trace it, which would give access to the inherited terminal (`PR_SET_DUMPABLE` of prctl(2)).
///
/// # Errors
/// Those of prctl(2).
pub fn tie_to_parent(parent: u32) -> io::Result<Parent> {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    }
    end_with_parent(parent)
}

/// Lets this process be killed when its parent ends; `parent` is the process that started it.
///
/// # Errors
/// When the system refuses that.
pub fn end_with_parent(parent: u32) -> io::Result<Parent> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have ended before this call.
    Ok(if std::os::unix::process::parent_id() == parent { Parent::Runs } else { Parent::Ended })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Stdio;
    use std::time::{Duration, Instant};

    #[test]
    fn a_program_is_ended_with_all_that_it_started() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & wait"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.process_group(0).spawn().unwrap();
        let mut output = child.stdout.take().unwrap();
        let start = Instant::now();
        end(&mut child);
        // It ends when nobody holds it open any more.
        assert_eq!(output.read_to_end(&mut Vec::new()).unwrap(), 0);
        assert!(start.elapsed() < Duration::from_secs(120));
    }

    #[test]
    fn what_has_no_such_mode_may_not_be_executed() {
        let temporary = tempfile::tempdir().unwrap();
        let program = temporary.path().join("program");
        let kind = || may_execute(&program).map_err(|error| error.kind());
        assert_eq!(kind(), Err(io::ErrorKind::NotFound));
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        for (mode, expected) in [(0o644, Err(io::ErrorKind::PermissionDenied)), (0o755, Ok(()))] {
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(kind(), expected, "{mode:o}");
        }
    }
}
