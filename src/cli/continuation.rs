//! As root on another user's store or tree, restarts the program as that user.
//!
//! That user's links, directories, configuration and history can then do no more than the user could. Root's process
//! determines the owner ([`pycstore::host::path_owner`]), starts the child process, forwards signals to it, and ends with the same
//! exit code or signal. It does not wait for a file system of that user's that does not respond. It ends with exit code 1 five
//! seconds after the child exited or was killed, if a thread of the child still waits for the file system; and by a signal that asks to
//! end, ten seconds after it. The child ends as soon as the file system responds.
//!
//! # Invariants
//!
//! * Before the owner is known, root opens no file but its own configuration.
//! * The child gets only the arguments, standard input, output and error, and a few variables from root. It has a new session,
//!   no supplementary groups, a new environment and `/` as its working directory ([`pycstore::host::contained`]).
//! * The child does not continue as another user: it is not root.

use super::Command;
use super::config::Origin;
use super::env;
use super::options::Global;
use super::output::complain::{self, Complaint};
use super::session::Session;
use super::stop::{Stop, in_background};
use super::supervision::{SIGNAL_GRACE, not_ignored};
use anyhow::Context;
use pycstore::environment::Environment;
use pycstore::exit::Exit;
use pycstore::host::accounts::{Accounts, User};
use pycstore::host::contained::{Containment, Parent, UserAndGroup, tie_to_parent};
use pycstore::host::directory::effective_user;
use pycstore::host::path_owner::{PathOwner, path_owner};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpgrp, kill_process, waitid};
use rustix::termios::tcgetpgrp;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGSTOP, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;
use signal_hook::low_level;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

/// `PATH` of the child.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long the child may take to end after it exited or was killed.
const GRACE: Duration = Duration::from_secs(5);

/// How often root's process looks whether the child ends.
const TICK: Duration = Duration::from_millis(500);

/// The group of a user that passwd(5) does not have: `nogroup`.
const NO_GROUP: u32 = 65534;

/// First step of the process that continues for root: until this is done, its user may be able to trace it.
///
/// # Errors
/// When it cannot be tied to root's process, or that process has ended.
pub fn begin() -> anyhow::Result<()> {
    let Some(parent) = env::continued_for() else { return Ok(()) };
    // It was started as `/proc/self/exe` or a copy of it: ps(1) would show that name.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::set_name(c"pycstore");
    match tie_to_parent(parent).context("cannot continue on behalf of root")? {
        Parent::Runs => Ok(()),
        Parent::Ended => Err(anyhow::anyhow!("the parent process {parent} has ended")),
    }
}

/// As root on what belongs to another user, runs this program as that user and exits with its exit code or signal. Returns
/// if the command can run in this process.
///
/// # Errors
/// When the paths belong to several users, or the program cannot be started.
pub fn continue_as_owner(
    global: &Global,
    command: &Command,
    environment: &Environment,
    stop: &Stop,
) -> anyhow::Result<()> {
    if effective_user() != 0 {
        return Ok(());
    }
    let accounts = Accounts::read();
    let object = CommandObject::of(global, command, environment)?;
    let Some((path, user)) = object.owner(&accounts)? else { return Ok(()) };
    let name = name_of(&accounts, user);
    if !cfg!(target_os = "linux") {
        // Only Linux keeps the user from tracing the process, and with it from writing to root's terminal.
        let message = format!("refused as root: {} belongs to {name}", path.display());
        return Err(Complaint::new(message, format!("run as that user: sudo -u '#{user}' pycstore …")).into());
    }
    if !global.quiet {
        complain::note(&format!("{} belongs to {name}: continuing as {name}", path.display()));
    }
    // The process that continues has the limit.
    stop.lift_limit();
    // Of the option, the child has the argument.
    let store = object.store_to_name().filter(|_| global.store.is_none());
    let status = run_as(user, accounts.user(user), store, environment)?;
    end_like(status)
}

/// As root, returns the user who owns the effective store, by name; `None` if that is root, and as any other user.
///
/// # Errors
/// When the owner cannot be found.
pub fn other_owner(global: &Global, environment: &Environment) -> anyhow::Result<Option<String>> {
    if effective_user() != 0 {
        return Ok(None);
    }
    let accounts = Accounts::read();
    let object = CommandObject::store(global, environment)?;
    Ok(object.owner(&accounts)?.map(|(_, user)| name_of(&accounts, user)))
}

fn name_of(accounts: &Accounts, user: u32) -> String {
    accounts.user(user).map_or_else(|| format!("user {user}"), |user| user.name.clone())
}

/// The paths that a command reads or changes.
enum CommandObject {
    /// Nothing that may belong to another user.
    Nothing,
    /// The store at this path.
    Store(PathBuf),
    /// Source trees, and the store that `--adopt` fills.
    Trees { roots: Vec<PathBuf>, store: Option<PathBuf> },
}

impl CommandObject {
    fn of(global: &Global, command: &Command, environment: &Environment) -> anyhow::Result<CommandObject> {
        let is_named = global.store.is_some();
        match command {
            Command::Du(_)
            | Command::Browse(_)
            | Command::Report(_)
            | Command::Ls(_)
            | Command::Prune(_)
            | Command::Forget(_)
            | Command::Share(_)
            | Command::Which(_)
            | Command::Source(_)
            | Command::Inspect(_)
            | Command::Verify(_)
            | Command::Warm(_)
            | Command::Interpreters(_)
            | Command::Overview => CommandObject::store(global, environment),
            Command::Schedule(options) if options.continues_as_owner() => {
                CommandObject::store(global, environment)
            }
            // Without the option they are about root's own history, environment and configuration.
            Command::History(_) | Command::Doctor(_) | Command::Config(_) if is_named => {
                CommandObject::store(global, environment)
            }
            Command::Sweep(options) => {
                let roots = options.paths.iter().map(|path| environment.absolute(path)).collect();
                // Only --adopt changes the store. The default store is that of the user who sweeps.
                let is_changed = options.adopt && (is_named || environment.prefix.is_some());
                let store = if is_changed { named_store(global, environment)? } else { None };
                Ok(CommandObject::Trees { roots, store })
            }
            Command::Schedule(_)
            | Command::History(_)
            | Command::Doctor(_)
            | Command::Config(_)
            | Command::Setup(_)
            | Command::Demo(_)
            | Command::Completions(_)
            | Command::Launch(_) => Ok(CommandObject::Nothing),
        }
    }

    fn store(global: &Global, environment: &Environment) -> anyhow::Result<CommandObject> {
        Ok(named_store(global, environment)?.map_or(CommandObject::Nothing, CommandObject::Store))
    }

    /// Returns the path that belongs to another user, and that user; `None` if root owns everything.
    ///
    /// # Errors
    /// When the paths belong to different users, or an owner cannot be found.
    fn owner(&self, accounts: &Accounts) -> anyhow::Result<Option<(&Path, u32)>> {
        let paths: Vec<&PathBuf> = match self {
            CommandObject::Nothing => Vec::new(),
            CommandObject::Store(store) => vec![store],
            CommandObject::Trees { roots, store } => roots.iter().chain(store).collect(),
        };
        let mut owners = Vec::new();
        for path in paths {
            let owner = path_owner(path, accounts)
                .with_context(|| format!("cannot determine the owner of {}", path.display()))?;
            // `Anyone` counts as root here; it is refused when the store is opened for removal.
            let user = if let PathOwner::User(user) = owner { user } else { 0 };
            owners.push((path.as_path(), user));
        }
        let Some(&(first, user)) = owners.first() else { return Ok(None) };
        if let Some(&(other, others)) = owners.iter().find(|(_, other)| *other != user) {
            let (name, others) = (accounts.name(user), accounts.name(others));
            let (first, other) = (first.display(), other.display());
            let message =
                format!("refused as root: {first} belongs to {name}, but {other} belongs to {others}");
            return Err(Complaint::new(
                message,
                "sweep the trees of one user at a time; with --adopt, the store must belong to that user, too",
            )
            .into());
        }
        Ok((user != 0).then_some((first, user)))
    }

    /// The store to pass to the child.
    fn store_to_name(&self) -> Option<&Path> {
        match self {
            CommandObject::Nothing => None,
            CommandObject::Store(store) => Some(store),
            CommandObject::Trees { store, .. } => store.as_deref(),
        }
    }
}

/// The store of the option, the environment or root's configuration, which is read only if neither names one.
fn named_store(global: &Global, environment: &Environment) -> anyhow::Result<Option<PathBuf>> {
    let (global, environment) = (global.clone(), environment.clone());
    let session = if global.store.is_some() || environment.prefix.is_some() {
        Session::new(global, environment)
    } else {
        Session::configured(global, environment)?
    };
    let store = session.store();
    // The default store may not exist; then it has no owner.
    Ok(store.value.filter(|path| store.origin != Origin::Default || path.symlink_metadata().is_ok()))
}

/// Runs this program as another user and waits for it.
fn run_as(
    user: u32,
    account: Option<&User>,
    store: Option<&Path>,
    environment: &Environment,
) -> anyhow::Result<ExitStatus> {
    let why = || format!("cannot continue as user {user}");
    let mut command = command_as(user, account, environment).with_context(why)?;
    command.args(arguments(store));
    if is_in_background() {
        command.stdin(Stdio::null());
    }
    // Signals that arrive from now on are forwarded. The child ignores what this process was started to ignore.
    let forwarded = not_ignored([SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT]);
    let signals = Signals::new(forwarded).with_context(why)?;
    let child = command.spawn().with_context(why)?;
    wait(child, signals).with_context(why)
}

/// Returns the command that runs this program as another user; the caller adds the arguments.
///
/// # Errors
/// If the system does not provide a path of this program.
pub fn command_as(
    user: u32,
    account: Option<&User>,
    environment: &Environment,
) -> std::io::Result<std::process::Command> {
    let program = env::this_program()?;
    let group = account.map_or(NO_GROUP, |account| account.group);
    let containment = Containment { identity: Some(UserAndGroup { user, group }), ..Containment::default() };
    let mut command = containment.command(&program, &program);
    command.env_clear().envs(variables(account, environment)).current_dir("/");
    Ok(command)
}

/// Whether this is a background job: the kernel would not stop a process of another session from reading the terminal.
fn is_in_background() -> bool {
    tcgetpgrp(std::io::stdin()).is_ok_and(|foreground| foreground != getpgrp())
}

/// The arguments of this process, after `--store` with this store.
fn arguments(store: Option<&Path>) -> impl Iterator<Item = OsString> {
    let named = store.map(|store| ["--store".into(), store.as_os_str().to_os_string()]);
    named.into_iter().flatten().chain(std::env::args_os().skip(1))
}

/// The child's environment.
fn variables(account: Option<&User>, environment: &Environment) -> Vec<(OsString, OsString)> {
    let variable = |name: &str, value: OsString| (OsString::from(name), value);
    let mut variables: Vec<_> = env::passed_on().collect();
    variables.push(variable("PATH", SEARCH_PATH.into()));
    variables.push(variable(env::CONTINUED_FOR, std::process::id().to_string().into()));
    variables.push(variable(env::DIRECTORY, environment.working_directory.clone().into_os_string()));
    if let Some(User { name, home, shell, .. }) = account {
        variables.push(variable("HOME", home.clone().into_os_string()));
        variables.push(variable("USER", name.into()));
        variables.push(variable("LOGNAME", name.into()));
        variables.push(variable("SHELL", shell.clone().into_os_string()));
    }
    variables
}

/// Waits for the child to end and forwards signals to it: Ctrl-C and Ctrl-Z do not reach its session.
fn wait(mut child: Child, mut signals: Signals) -> std::io::Result<ExitStatus> {
    let process = Pid::from_child(&child);
    let handle = signals.handle();
    let is_to_rest = Arc::new(AtomicBool::new(false));
    let may_rest = is_to_rest.clone();
    let end_signal = Arc::new(AtomicI32::new(0));
    let first = end_signal.clone();
    let passing = std::thread::Builder::new().spawn(move || {
        for signal in &mut signals {
            pass_on(signal, process, &is_to_rest);
            let asks_to_end = ![SIGTSTP, SIGCONT].contains(&signal);
            if asks_to_end && first.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                let _ = in_background(move || {
                    std::thread::sleep(SIGNAL_GRACE);
                    end_by(signal);
                });
            }
        }
    })?;
    let rests = may_rest.clone();
    in_background(move || end_without(process, &end_signal, &rests))?;
    // WNOWAIT: the process id is not reused before the child is reaped, so no signal goes to another process.
    let mut stops = 0;
    loop {
        let ended_or_stopped = WaitIdOptions::EXITED | WaitIdOptions::STOPPED;
        match waitid(WaitId::Pid(process), ended_or_stopped | WaitIdOptions::NOWAIT) {
            Ok(Some(status)) if status.stopped() => {
                let _ = waitid(WaitId::Pid(process), WaitIdOptions::STOPPED | WaitIdOptions::NOHANG);
                if !may_rest.load(Ordering::SeqCst) {
                    stops += 1;
                    continue_or_kill(process, stops);
                }
            }
            Ok(_) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    handle.close();
    let _ = passing.join();
    child.wait()
}

/// Ends this process when the child cannot end, although it exits or was killed. Continues threads of it that its user stopped: as
/// long as one waits for a file system, the process is not stopped as a whole, and no parent learns of it.
fn end_without(process: Pid, end_signal: &AtomicI32, may_rest: &AtomicBool) {
    let mut dying = Duration::ZERO;
    let mut stops = 0;
    while dying < GRACE {
        std::thread::sleep(TICK);
        let threads = statuses_of_threads(process);
        dying = if threads.iter().any(|status| is_dying(status)) { dying + TICK } else { Duration::ZERO };
        let is_stopped = threads.iter().any(|status| status.contains("\nState:\tT"));
        if is_stopped && !may_rest.load(Ordering::SeqCst) {
            stops += 1;
            continue_or_kill(process, stops);
        }
    }
    match end_signal.load(Ordering::SeqCst) {
        0 => std::process::exit(i32::from(Exit::Incomplete.code())),
        signal => end_by(signal),
    }
}

/// The status of each thread of a process (proc_pid_status(5)).
fn statuses_of_threads(process: Pid) -> Vec<String> {
    let threads = std::fs::read_dir(format!("/proc/{}/task", process.as_raw_nonzero()));
    let threads = threads.into_iter().flatten().flatten();
    threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("status")).ok()).collect()
}

/// Whether a thread has not yet reacted to SIGKILL, which all threads of a process that exits get: it waits for a file system.
fn is_dying(status: &str) -> bool {
    let pending = status.lines().find_map(|line| line.strip_prefix("SigPnd:"));
    let pending = pending.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    pending.is_some_and(|mask| mask >> (SIGKILL - 1) & 1 == 1)
}

fn continue_or_kill(process: Pid, stops: u32) {
    let _ = kill_process(process, if stops > MOST_STOPS { Signal::KILL } else { Signal::CONT });
}

/// Maximum number of times that the process is continued after its user stopped it: otherwise that user could block
/// root.
const MOST_STOPS: u32 = 1000;

/// Passes a signal on. `is_to_rest` says whether the process was stopped by us.
fn pass_on(signal: i32, process: Pid, is_to_rest: &AtomicBool) {
    if [SIGTSTP, SIGCONT].contains(&signal) {
        is_to_rest.store(signal == SIGTSTP, Ordering::SeqCst);
    }
    // An orphaned process group ignores SIGTSTP; SIGSTOP stops it.
    let passed = if signal == SIGTSTP { Some(Signal::STOP) } else { Signal::from_named_raw(signal) };
    let _ = passed.map(|passed| kill_process(process, passed));
    if signal == SIGTSTP {
        let _ = low_level::raise(SIGSTOP);
    }
}

/// Ends this process like the child: with the same exit code, or by the same signal.
fn end_like(status: ExitStatus) -> ! {
    if let Some(signal) = status.signal() {
        end_by(signal);
    }
    std::process::exit(status.code().unwrap_or(2))
}

fn end_by(signal: i32) -> ! {
    let _ = low_level::emulate_default_handler(signal);
    std::process::exit(128 + signal)
}
