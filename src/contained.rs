//! How a program is started apart from us: as another user, without our terminal, with bounded memory and time.
//!
//! Limits, the session and the user have to be set between fork(2) and execve(2), which safe Rust cannot do. So the
//! program is started through a *launcher*: pycstore itself, which is told by its arguments what to set, sets it, and
//! becomes the program ([`Containment::launch`]).
//!
//! # Invariants
//!
//! * The program has no controlling terminal (setsid(2)): it cannot put input into the terminal that root types at
//!   (TIOCSTI of ioctl_tty(2)).
//! * The session is left before the user changes, so that at no time that user may trace a process with the terminal.
//! * This program itself is never traced by the user that it becomes ([`Containment::launch`] executes a copy that only
//!   root may read), so that nobody writes to the terminal or the log that it inherits.
//! * As another user it is in no group but the one that is named (setgroups(2)).
//! * It has no file of ours open but standard input, output and error.

use rustix::process::{Pid, Signal};
use std::ffi::OsString;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};

/// The name of the command of the launcher that [`Containment::command`] asks for.
pub const LAUNCH: &str = "launch";

/// This program as every process of it may call it, on Linux.
pub const THIS_PROGRAM: &str = "/proc/self/exe";

/// What a program is started with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Containment {
    /// As whom; `None`: as we are.
    pub identity: Option<Identity>,
    /// How much address space it may have, in bytes (`RLIMIT_AS`); not every system keeps to it.
    pub memory: Option<u64>,
    /// How much processor time it may use, in seconds (`RLIMIT_CPU`).
    pub processor_seconds: Option<u64>,
}

/// A user and the only group that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The user id.
    pub user: u32,
    /// The group id.
    pub group: u32,
}

impl Containment {
    /// The command that starts `program` by way of a launcher; the caller adds the program's arguments.
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

    /// What the launcher does: sets all of this for the process that it is and becomes the program. Returns only if that
    /// failed.
    ///
    /// The process must not lead a process group, as one that was just started by [`Command::spawn`] does not.
    pub fn launch(&self, program: &Path, arguments: &[OsString]) -> io::Error {
        match self.set() {
            Err(error) => error,
            Ok(()) => {
                // Of what cannot be copied its user may trace the beginning.
                let copy = match self.identity {
                    Some(_) if program == Path::new(THIS_PROGRAM) => unreadable_copy().ok(),
                    _ => None,
                };
                let mut command = match &copy {
                    Some(copy) => Command::new(format!("/proc/self/fd/{}", copy.as_raw_fd())),
                    None => Command::new(program),
                };
                command.args(arguments);
                if let Some(Identity { user, group }) = self.identity {
                    // Where root gives up being root, std leaves all other groups as well.
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
            // What is limited more already stays so: nobody but root may raise it.
            let most = Some(getrlimit(resource).maximum.map_or(most, |maximum| maximum.min(most)));
            setrlimit(resource, Rlimit { current: most, maximum: most })
        };
        // A core dump would hold what only we may read.
        limit(Resource::Core, 0)?;
        self.memory.map_or(Ok(()), |bytes| limit(Resource::As, bytes))?;
        self.processor_seconds.map_or(Ok(()), |seconds| limit(Resource::Cpu, seconds))?;
        Ok(())
    }
}

/// A copy of this program that only root may read. Who executes it as another user cannot be traced by others of that user
/// from the first moment on (ptrace(2), "Ptrace access mode checking"), and so nobody gets at the files that it inherited.
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

/// Whether a program may be executed: a launcher cannot say why it was not.
///
/// # Errors
/// What access(2) answers.
pub fn may_execute(program: &Path) -> io::Result<()> {
    Ok(rustix::fs::access(program, rustix::fs::Access::EXEC_OK)?)
}

/// Ends a program that was started apart, and what it started in its process group.
pub fn end(child: &mut Child) {
    // The group of one that was launched has its number; without a launcher this finds nobody.
    let _ = rustix::process::kill_process_group(Pid::from_child(child), Signal::KILL);
    let _ = child.kill();
    let _ = child.wait();
}

/// Whether a process is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// It started this process and runs.
    Runs,
    /// It ended, or did not start this process.
    Ended,
}

/// Ties this process to the one that started it as another user: it is killed when that one ends, and no other process of
/// its user may trace it, and so use the terminal that it inherited (`PR_SET_DUMPABLE` of prctl(2)).
///
/// # Errors
/// What the system says.
pub fn tie_to_parent(parent: u32) -> io::Result<Parent> {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{
            DumpableBehavior, Signal, set_dumpable_behavior, set_parent_process_death_signal,
        };
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        set_parent_process_death_signal(Some(Signal::KILL))?;
    }
    // It may have ended before.
    Ok(if std::os::unix::process::parent_id() == parent { Parent::Runs } else { Parent::Ended })
}
