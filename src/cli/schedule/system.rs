//! `pycstore schedule run --system`: root's job for every user, one process of that user after another.
//!
//! # Invariants
//!
//! * Root reads nothing in a home: the user's process finds the configuration and the store, and root takes only its messages, its
//!   metrics and its end, each up to a maximum length.
//! * No user delays the others for longer than the limit: a process that has not ended by then is killed, and one that does not
//!   end even so, because a file system does not answer, is left behind.

use super::ScheduleOptions;
use super::policy::NightlyPolicy;
use crate::cli::continuation::command_as;
use crate::cli::env;
use crate::cli::output::complain::{self, Complaint};
use crate::cli::output::path::text_shown;
use crate::cli::session::{Session, is_absent};
use anyhow::Context;
use pycstore::exit::Exit;
use pycstore::history::every_user::{self, MOST_OF_USER, MetricsLeftOut, UserRun};
use pycstore::host::accounts::{Accounts, User};
use pycstore::host::contained;
use pycstore::host::directory::{effective_user, room};
use pycstore::host::trust;
use pycstore::host::volumes::Mounts;
use pycstore::json;
use pycstore::schedule::SystemJobOptions;
use pycstore::schedule::users::{HomeUsers, directories_of_homes, users_with_homes};
use pycstore::units::date;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime};

/// Maximum time of a user's process without `--max-runtime`.
const LONGEST_RUN: Duration = Duration::from_secs(3600);

/// How long a process may take to end after `--max-runtime`, and after it was killed.
const GRACE: Duration = Duration::from_secs(10);

/// Maximum length of the messages of one user's process, in bytes.
const MOST_MESSAGES: u64 = 1 << 16;

/// Maximum length of the answer of `schedule policy`, in bytes.
const LONGEST_ANSWER: u64 = 1 << 20;

/// Returns what a schedule for every user needs beside the options of every schedule.
///
/// # Errors
/// If the file of the metrics is refused, or the mount table cannot be read.
pub fn job_options(session: &Session, options: &ScheduleOptions) -> anyhow::Result<SystemJobOptions> {
    let mut arguments: Vec<OsString> = vec!["--system".into()];
    arguments.extend(limits(options));
    let mut written = Vec::new();
    if let Some(file) = &options.metrics {
        let file = session.environment.absolute(file);
        check_metrics(&file)?;
        written.extend(file.parent().map(Path::to_path_buf));
        arguments.extend(["--metrics".into(), file.into_os_string()]);
    }
    let accounts = Accounts::read();
    let found = users_with_homes(&accounts, &Mounts::read().context("cannot read the mount table")?);
    Ok(SystemJobOptions { arguments, written, homes: directories_of_homes(&found.users) })
}

/// The limits of each user's run, as arguments.
fn limits(options: &ScheduleOptions) -> Vec<OsString> {
    let size = options.max_size.map(|size| format!("--max-size={}B", size.0));
    let age = options.max_runtime.map(|age| format!("--max-runtime={age}"));
    size.into_iter().chain(age).map(OsString::from).collect()
}

/// Refuses a file of metrics that another user could lead root away from.
fn check_metrics(file: &Path) -> Result<(), Complaint> {
    let Some(directory) = file.parent().filter(|_| effective_user() == 0) else { return Ok(()) };
    let Some(stranger) = trust::stranger(&trust::ways_to(directory), 0) else { return Ok(()) };
    let message = format!("refused: root would write {}, and {stranger}", file.display());
    Err(Complaint::new(message, "choose a directory that only root can change, such as /var/lib/pycstore"))
}

/// Whether this user has a store: the configuration's or the default one exists.
pub fn has_store(session: &Session) -> bool {
    session.store().value.is_some_and(|store| !is_absent(&store))
}

/// Refuses a store that this process may not write to: systemd's sandbox lets the job write only below its `ReadWritePaths`.
pub fn check_writable(session: &Session) -> Result<(), Complaint> {
    match session.store().value {
        Some(store) if room(&store).is_ok_and(|room| room.is_read_only) => {
            let store = store.display();
            Err(Complaint::new(
                format!("cannot write to {store}: the file system is read-only for this job"),
                format!("systemctl edit pycstore.service: below [Service], add ReadWritePaths={store}"),
            ))
        }
        _ => Ok(()),
    }
}

/// Runs the job of every user, one after another.
pub fn run(session: &Session, options: &ScheduleOptions) -> anyhow::Result<Exit> {
    let metrics = options.metrics.as_deref().map(|file| session.environment.absolute(file));
    metrics.as_deref().map_or(Ok(()), check_metrics)?;
    let accounts = Accounts::read();
    let mut arguments = of_every_run(session, "run-for-user");
    arguments.extend(limits(options));
    arguments.extend(options.dry_run.then(|| "--dry-run".into()));
    arguments.extend(metrics.as_ref().map(|_| "--metrics=-".into()));
    let stdout = match &metrics {
        Some(_) => Stdout::Collected(MOST_OF_USER),
        None => Stdout::Inherited,
    };
    let limit = options.max_runtime.map_or(LONGEST_RUN, |age| age.duration() + GRACE);
    let mut runs = Vec::new();
    for user in users(session, &accounts)?.users {
        runs.push(run_for(session, user, &arguments, stdout, limit));
    }
    let mut is_complete = runs.iter().all(|run| run.exit == Some(0));
    if let Some(file) = metrics {
        let (metrics, left_out) = every_user::metrics(&runs, SystemTime::now().into());
        for MetricsLeftOut { user, why } in left_out {
            complain::note(&format!("{user}: metrics left out: {why}"));
        }
        is_complete &= complain::is_done(metrics.write(&file));
    }
    Ok(Exit::complete_if(is_complete))
}

/// Prints the last run and the policy of each user.
pub fn write_users(session: &Session) -> anyhow::Result<()> {
    let accounts = Accounts::read();
    let arguments = of_every_run(session, "policy");
    for user in users(session, &accounts)?.users {
        let run = run_for(session, user, &arguments, Stdout::Collected(LONGEST_ANSWER), GRACE);
        // Without a store there is no answer.
        let Ok(policy) = json::parse::<NightlyPolicy>(&run.metrics) else { continue };
        let last = match policy.last_run {
            Ok(Some(run)) => {
                let ago = date::ago(run.started, session.environment.now);
                format!("{} ({ago}): {}", date::local_minute(run.started), run.result())
            }
            Ok(None) => "no run recorded".into(),
            Err(error) => error,
        };
        let line = format!("user      {}: {last}; {}", user.name, policy.names.join(" "));
        writeln!(io::stdout(), "{}", text_shown(&line, &session.terminal))?;
    }
    Ok(())
}

/// Finds the users; reports the homes that are left alone.
fn users<'a>(session: &Session, accounts: &'a Accounts) -> anyhow::Result<HomeUsers<'a>> {
    let found = users_with_homes(accounts, &Mounts::read().context("cannot read the mount table")?);
    for (user, kind) in &found.remote {
        let home = user.home.display();
        session.note(&format!("{}: skipped: {home} is on a network file system ({kind})", user.name));
    }
    if found.surplus > 0 {
        complain::note(&format!("{} more users were left out", found.surplus));
    }
    Ok(found)
}

/// The arguments of each user's process: the global options that reach a schedule, and the action.
fn of_every_run(session: &Session, action: &str) -> Vec<OsString> {
    let global = &session.global;
    let mut arguments: Vec<OsString> = Vec::new();
    arguments.extend(global.quiet.then(|| "--quiet".into()));
    arguments.extend(global.threads.map(|threads| format!("--threads={threads}").into()));
    let mut add = |option: &str, path: &Path| {
        arguments.extend([option.into(), session.environment.absolute(path).into_os_string()]);
    };
    if let Some(file) = &global.config {
        add("--config", file);
    }
    global.assume_gone.iter().for_each(|path| add("--assume-gone", path));
    arguments.extend(["schedule", action, "--system"].map(OsString::from));
    arguments
}

/// What becomes of the standard output of a user's process.
#[derive(Debug, Clone, Copy)]
enum Stdout {
    Inherited,
    /// It is returned up to this length.
    Collected(u64),
}

/// Runs this program as a user and reports its messages after the user's name. Where it cannot be run, the other users still are.
fn run_for(
    session: &Session,
    user: &User,
    arguments: &[OsString],
    stdout: Stdout,
    limit: Duration,
) -> UserRun {
    let began = Instant::now();
    let (exit, metrics) = started_for(session, user, arguments, stdout, limit).unwrap_or_else(|error| {
        complain::note(&format!("{}: the job cannot be run: {error}", user.name));
        (Some(Exit::Nothing.code()), Vec::new())
    });
    UserRun { user: user.name.clone(), exit, took: began.elapsed(), metrics }
}

/// The exit status of a user's process, none if a signal ended it, and what it wrote.
fn started_for(
    session: &Session,
    user: &User,
    arguments: &[OsString],
    stdout: Stdout,
    limit: Duration,
) -> io::Result<(Option<u8>, Vec<u8>)> {
    let mut command = command_as(user.id, Some(user), &session.environment)?;
    command.args(arguments).env(env::DIRECTORY, &user.home).stdin(Stdio::null()).stderr(Stdio::piped());
    if let Stdout::Collected(_) = stdout {
        command.stdout(Stdio::piped());
    }
    let mut child = command.spawn()?;
    let messages = child.stderr.take().map(|pipe| collected(pipe, MOST_MESSAGES));
    let answer = match stdout {
        Stdout::Collected(most) => child.stdout.take().map(|pipe| collected(pipe, most)),
        Stdout::Inherited => None,
    };
    let status = wait(&mut child, limit)?;
    let killed = match status {
        Some(_) => None,
        None => {
            contained::kill(&mut child);
            let ended = wait(&mut child, GRACE)?;
            Some(if ended.is_some() { "it was ended" } else { "it does not end, and is left behind" })
        }
    };
    let received = |from: Option<Receiver<Vec<u8>>>| {
        from.and_then(|from| from.recv_timeout(Duration::from_secs(1)).ok()).unwrap_or_default()
    };
    let messages = received(messages);
    for line in String::from_utf8_lossy(&messages).lines() {
        complain::note(&format!("{}: {}", user.name, line.strip_prefix("pycstore: ").unwrap_or(line)));
    }
    if messages.len() as u64 == MOST_MESSAGES {
        complain::note(&format!("{}: messages after the first 64 KiB left out", user.name));
    }
    if let Some(killed) = killed {
        let seconds = limit.as_secs();
        complain::note(&format!("{}: no answer within {seconds} seconds: {killed}", user.name));
    } else if let Some(status) = status.filter(|status| status.code().is_none()) {
        complain::note(&format!("{}: ended by a signal: {status}", user.name));
    }
    let exit = status.and_then(|status| status.code()).map(|code| u8::try_from(code).unwrap_or(u8::MAX));
    Ok((exit, received(answer)))
}

/// Waits for a process to end; `None` if it has not by then.
fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let end = Instant::now() + limit;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// Reads a pipe to its end in a thread, and keeps this many bytes: a process that has more to say is not held up.
fn collected(mut pipe: impl Read + Send + 'static, most: u64) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = pipe.by_ref().take(most).read_to_end(&mut text);
        let _ = sender.send(text);
        let _ = io::copy(&mut pipe, &mut io::sink());
    });
    receiver
}
