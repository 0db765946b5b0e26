//! `pycstore schedule` alone, `status`, and `install --print`.

use super::ScheduleOptions;
use super::policy::{NightlyPolicy, job};
use super::problem::note_unknown;
use super::system;
use crate::cli::output::path;
use crate::cli::session::{Session, is_absent};
use pycstore::edits::TextPlace;
use pycstore::exit::Exit;
use pycstore::history::Run;
use pycstore::json::{self, PathField, SCHEMA};
use pycstore::quoting::at_home;
use pycstore::schedule::{self, Agent, Installed, JobScope, Scheduler, cron, systemd};
use pycstore::units::{Moment, date, human};
use serde::Serialize;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Prints a schedule for the user to install.
pub fn print(session: &Session, options: &ScheduleOptions) -> anyhow::Result<Exit> {
    let scope = options.scope();
    let system = options.system.then(|| system::job_options(session, options)).transpose()?;
    if system.is_none() {
        NightlyPolicy::new(session)?.check()?;
    }
    let found = schedule::installed(&session.environment).of(scope).installed;
    let job = job(session, system)?;
    let mut out = io::stdout().lock();
    let scheduler = schedule::choose(options.with, scope, &found);
    let time = schedule::time(&found, scheduler);
    match scheduler {
        Scheduler::Systemd => {
            let units = systemd::Units::new(&session.environment, scope)?;
            let texts = [systemd::service(&job, scope), systemd::timer()];
            for (path, text) in [&units.service, &units.timer].into_iter().zip(texts) {
                note_file(session, path);
                writeln!(out, "# {}", path.file_name().unwrap_or_default().display())?;
                out.write_all(&path::lines_shown(&text, &session.terminal))?;
            }
        }
        Scheduler::Cron => {
            match cron::place(&session.environment, scope) {
                TextPlace::Crontab => session.note("add to the crontab"),
                TextPlace::File(file) => note_file(session, &file),
            }
            out.write_all(&path::lines_shown(&cron::line(&job, time, scope), &session.terminal))?;
        }
        Scheduler::Launchd => {
            let agent = Agent::new(&session.environment)?;
            note_file(session, &agent.path);
            out.write_all(&path::lines_shown(&agent.property_list(&job, time)?, &session.terminal))?;
        }
    }
    out.flush()?;
    Ok(Exit::Done)
}

fn note_file(session: &Session, file: &Path) {
    session.note(&format!("save as {}", at_home(file, session.environment.home.as_deref())));
}

/// Prints the status and the next commands. It is no error that there is no schedule yet.
pub fn overview(session: &Session, scope: JobScope) -> anyhow::Result<Exit> {
    let exit = match scope {
        JobScope::User => status(session)?,
        JobScope::System => system_status(session)?,
    };
    let option = scope.option();
    let (action, meaning) = match exit {
        Exit::Done => ("remove", "removes the schedule"),
        _ => ("install", "prunes every night"),
    };
    let width = "install".len() + option.len();
    let mut out = io::stdout().lock();
    for (label, action, meaning) in
        [("next", action, meaning), ("", "run -n", "shows what the job would remove now")]
    {
        let action = format!("{action}{option}");
        writeln!(out, "{label:<9} pycstore schedule {action:<width$}   {meaning}")?;
    }
    Ok(Exit::Done)
}

/// Prints the schedules for every user, and the last run and the policy of each user.
pub fn system_status(session: &Session) -> anyhow::Result<Exit> {
    let exit = write_schedules(session, JobScope::System)?;
    system::write_users(session)?;
    Ok(exit)
}

/// Prints the schedules in place: all that prune the user's store, or those for every user.
fn write_schedules(session: &Session, scope: JobScope) -> io::Result<Exit> {
    let found = schedule::installed(&session.environment);
    let found = match scope {
        JobScope::User => found,
        JobScope::System => found.of(scope),
    };
    for (scheduler, error) in &found.unknown {
        note_unknown(*scheduler, error);
    }
    let mut out = io::stdout().lock();
    if found.installed.is_empty() {
        writeln!(out, "schedule  none (to install one: pycstore schedule install{})", scope.option())?;
    }
    for installed in &found.installed {
        write_schedule(&mut out, session, installed)?;
    }
    Ok(Exit::complete_if(!found.installed.is_empty()))
}

/// Prints the schedules in place, the last run and the policy.
pub fn status(session: &Session) -> anyhow::Result<Exit> {
    let exit = write_schedules(session, JobScope::User)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let NightlyPolicy { names, origin, share, last_run, user, .. } = NightlyPolicy::new(session)?;
    write_last_run(&mut out, session, last_run.map_err(anyhow::Error::msg)?)?;
    let policy = format!("policy    {} ({origin})", names.join(" "));
    writeln!(out, "{}", path::text_shown(&policy, &session.terminal))?;
    if share {
        writeln!(out, "then      share equal entries")?;
    }
    if let Some(user) = user {
        writeln!(out, "runs as   {}", path::text_shown(&user, &session.terminal))?;
    }
    if let Some(store) = session.store().value {
        out.write_all(b"store     ")?;
        out.write_all(&path::shown(&store, &session.terminal))?;
        writeln!(out, "{}", if is_absent(&store) { " (missing)" } else { "" })?;
    }
    out.flush()?;
    Ok(exit)
}

/// `schedule status --json`.
#[derive(Debug, Serialize)]
struct StatusDocument<'a> {
    schema: u32,
    #[serde(flatten)]
    store: PathField<'a>,
    schedules: Vec<ScheduleFields>,
    /// The schedulers that could not be asked.
    unknown: Vec<String>,
    policy: Vec<String>,
    policy_from: String,
    share: bool,
    user: Option<String>,
    last_run: Option<Run>,
}

#[derive(Debug, Serialize)]
struct ScheduleFields {
    scheduler: String,
    /// Whether root's job prunes for every user.
    system: bool,
    place: String,
    next_run: Option<String>,
}

/// Prints the schedules in place, the last run and the policy as JSON.
pub fn status_as_json(session: &Session) -> anyhow::Result<Exit> {
    let found = schedule::installed(&session.environment);
    for (scheduler, error) in &found.unknown {
        note_unknown(*scheduler, error);
    }
    let NightlyPolicy { names, origin, share, last_run, user, .. } = NightlyPolicy::new(session)?;
    let store = session.store().value;
    let document = StatusDocument {
        schema: SCHEMA,
        store: PathField { name: "store", path: store.as_deref() },
        schedules: found.installed.iter().map(|installed| ScheduleFields::of(session, installed)).collect(),
        unknown: found.unknown.iter().map(|(scheduler, _)| scheduler.to_string()).collect(),
        policy: names,
        policy_from: origin,
        share,
        user,
        last_run: last_run.map_err(anyhow::Error::msg)?,
    };
    json::print(&mut io::stdout().lock(), &document)?;
    Ok(Exit::complete_if(!found.installed.is_empty()))
}

impl ScheduleFields {
    fn of(session: &Session, installed: &Installed) -> ScheduleFields {
        let next = next_run(session, installed);
        ScheduleFields {
            scheduler: installed.scheduler.to_string(),
            system: installed.scope == JobScope::System,
            place: installed.place.to_string(),
            next_run: next.map(date::rfc3339),
        }
    }
}

/// When a schedule runs next; `None` if that is unknown.
fn next_run(session: &Session, installed: &Installed) -> Option<Moment> {
    match installed.scheduler {
        Scheduler::Systemd => systemd::next_elapse(installed.scope),
        Scheduler::Cron | Scheduler::Launchd => {
            let time = installed.time?;
            date::next_daily(session.environment.now, time.hour, time.minute)
        }
    }
}

fn write_schedule(out: &mut dyn Write, session: &Session, installed: &Installed) -> io::Result<()> {
    let Installed { scope, scheduler, place, .. } = installed;
    let place = match place {
        TextPlace::File(file) if session.terminal.is_terminal() => {
            path::escaped(&at_home(file, session.environment.home.as_deref()))
        }
        place => path::text_shown(&place.to_string(), &session.terminal),
    };
    let every_user = if *scope == JobScope::System { " (for every user)" } else { "" };
    writeln!(out, "schedule  {scheduler}: {place}{every_user}")?;
    let next = next_run(session, installed);
    writeln!(out, "next run  {}", next.map_or("unknown".into(), date::local_minute))
}

fn write_last_run(out: &mut dyn Write, session: &Session, run: Option<Run>) -> io::Result<()> {
    let Some(run) = run else { return writeln!(out, "last run  none recorded with this policy") };
    writeln!(
        out,
        "last run  {} ({}): {}, removed {}, {}",
        date::local_minute(run.started),
        date::ago(run.started, session.environment.now),
        run.result(),
        human::counted(run.removed.files, "file"),
        human::size(run.removed.disk)
    )
}
