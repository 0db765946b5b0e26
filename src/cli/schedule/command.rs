//! The actions of `pycstore schedule`.

use super::cron::Time;
use super::install::install;
use super::job::{self, Job};
use super::remove::remove;
use super::{Installed, cron, installed, last_run, launchd, systemd};
use crate::cli::args::{Action, ScheduleOptions, Scheduler};
use crate::cli::edits::{EditError, Manner, Outcome, Place};
use crate::cli::output::complain::{self, Complaint};
use crate::cli::output::path;
use crate::cli::prune;
use crate::cli::session::{Session, is_absent};
use pycstore::exit::Exit;
use pycstore::host::directory::effective_user;
use pycstore::units::{date, human};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Runs `pycstore schedule`.
pub fn run(session: &Session, options: &ScheduleOptions) -> anyhow::Result<Exit> {
    if options.print && options.action != Action::Install {
        return Err(Complaint::new("--print is of install", "pycstore schedule install --print").into());
    }
    match options.action {
        Action::Run => prune::run(session, &job::policy(session, options.dry_run)),
        Action::Status => status(session),
        Action::Install if options.print => print(session, options),
        Action::Install => install(session, options),
        Action::Remove => remove(session, options),
    }
}

/// Who keeps the time: whom the user names, else who does already, else who can.
pub fn scheduler(options: &ScheduleOptions, installed: &[Installed]) -> Scheduler {
    let already = || installed.first().map(|installed| installed.scheduler);
    let able = || match () {
        () if cfg!(target_os = "macos") => Scheduler::Launchd,
        () if systemd::manager_runs() => Scheduler::Systemd,
        () => Scheduler::Cron,
    };
    options.with.or_else(already).unwrap_or_else(able)
}

/// Where the units are, and the home.
pub fn units(session: &Session) -> Result<systemd::Units, Complaint> {
    let hint = "set HOME or XDG_CONFIG_HOME";
    systemd::Units::of(&session.environment).ok_or_else(|| Complaint::new("no directory for units", hint))
}

/// The property list's place, and the home.
pub fn agent(session: &Session) -> Result<(PathBuf, PathBuf), Complaint> {
    let (place, home) = (launchd::place(&session.environment), session.environment.home.clone());
    place.zip(home).ok_or_else(|| Complaint::new("no directory for agents", "set HOME"))
}

fn print(session: &Session, options: &ScheduleOptions) -> anyhow::Result<Exit> {
    job::leaves_something(session)?;
    let found = installed(&session.environment).installed;
    let job = Job::of(session)?;
    let mut out = io::stdout().lock();
    let say = |place: &Path| {
        if !session.global.quiet {
            let place = path::at_home(place, session.environment.home.as_deref());
            complain::note(&format!("for {place}"));
        }
    };
    let scheduler = scheduler(options, &found);
    let time = time(&found, scheduler);
    match scheduler {
        Scheduler::Systemd => {
            let units = units(session)?;
            for (path, text) in [(&units.service, systemd::service(&job)), (&units.timer, systemd::timer())] {
                say(path);
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                writeln!(out, "# {name}")?;
                out.write_all(&path::lines_shown(&text, &session.terminal))?;
            }
        }
        Scheduler::Cron => {
            say(Path::new("the crontab"));
            out.write_all(&path::lines_shown(&cron::line(&job, time), &session.terminal))?;
        }
        Scheduler::Launchd => {
            let (place, home) = agent(session)?;
            say(&place);
            out.write_all(&path::lines_shown(&property_list(&job, time, &home)?, &session.terminal))?;
        }
    }
    out.flush()?;
    Ok(Exit::Done)
}

/// The property list of a job.
pub fn property_list(job: &Job, time: Time, home: &Path) -> Result<Vec<u8>, Complaint> {
    launchd::property_list(job, time, home).map_err(|why| Complaint::new(why, "choose another name"))
}

/// The time that is installed, else that of this user on this machine.
pub fn time(found: &[Installed], scheduler: Scheduler) -> Time {
    let kept = found.iter().find(|installed| installed.scheduler == scheduler).and_then(|it| it.time);
    // machine-id(5); where there is none, the host's name.
    let machine =
        ["/etc/machine-id", "/proc/sys/kernel/hostname"].iter().find_map(|file| std::fs::read(file).ok());
    kept.unwrap_or_else(|| Time::of(&machine.unwrap_or_default(), effective_user()))
}

fn status(session: &Session) -> anyhow::Result<Exit> {
    let known = installed(&session.environment);
    known.unknown.iter().for_each(say_unknown);
    let found = known.installed;
    let mut out = BufWriter::new(io::stdout().lock());
    let home = session.environment.home.as_deref();
    if found.is_empty() {
        writeln!(out, "schedule  none: pycstore schedule install")?;
    }
    for Installed { scheduler, place, time } in &found {
        let place = match place {
            Place::File(file) if session.terminal.is_terminal() => {
                pycstore::quoting::escaped(&path::at_home(file, home))
            }
            place => path::text_shown(&place.to_string(), &session.terminal),
        };
        writeln!(out, "schedule  {}: {place}", scheduler.name())?;
        let next = match scheduler {
            Scheduler::Systemd => systemd::next_elapse(),
            _ => time.and_then(|time| date::next_daily(session.environment.now, time.hour, time.minute)),
        };
        match next {
            Some(next) => writeln!(out, "next run  {}", date::local_minute(next))?,
            None => writeln!(out, "next run  unknown")?,
        }
    }
    let store = session.store().value;
    match last_run(session)? {
        Some(run) => writeln!(
            out,
            "last run  {} ({}): {}, removed {}, {}",
            date::local_minute(run.started),
            date::ago(run.started, session.environment.now),
            run.result(),
            human::counted(run.removed.files, "file"),
            human::size(run.removed.disk)
        )?,
        None => writeln!(out, "last run  none is recorded with this policy")?,
    }
    let (names, origin) = job::described(session)?;
    let policy = format!("policy    {} ({origin})", names.join(" "));
    writeln!(out, "{}", path::text_shown(&policy, &session.terminal))?;
    if let Some(store) = store {
        let shown = path::shown(&store, &session.terminal);
        out.write_all(b"store     ")?;
        out.write_all(&shown)?;
        writeln!(out, "{}", if is_absent(&store) { " (not there)" } else { "" })?;
    }
    out.flush()?;
    Ok(Exit::complete_if(!found.is_empty()))
}

/// How far the plans of a command go.
pub fn manner(options: &ScheduleOptions) -> Manner {
    match (options.dry_run, options.yes) {
        (true, _) => Manner::DryRun,
        (false, true) => Manner::Agreed,
        (false, false) => Manner::Asking,
    }
}

/// How a command ends whose plans had this outcome.
pub fn exit(outcome: &Outcome) -> Exit {
    match outcome.failures {
        0 => Exit::Done,
        _ if outcome.edited > 0 => Exit::Incomplete,
        _ => Exit::Nothing,
    }
}

/// Says what went wrong, if anything.
pub fn worse(exit: Exit, told: Result<(), String>) -> Exit {
    match told {
        Ok(()) => exit,
        Err(why) => {
            complain::note(&why);
            Exit::Incomplete
        }
    }
}

/// Says that it is not known whether a schedule of this kind is in place.
pub fn say_unknown((kind, error): &(Scheduler, EditError)) {
    let error = complain::one_line(error);
    complain::note(&format!("{error}; cannot tell whether {} has a schedule", kind.name()));
}

/// The error with what to do.
pub fn explained(error: EditError) -> anyhow::Error {
    match error {
        EditError::Block { place: Place::Crontab, .. } => {
            Complaint::caused(error, "put it right with `crontab -e`, and run this again").into()
        }
        EditError::NoCrontab(_) => {
            let hint = "install cron, for example: apt install cron; or start a systemd user manager";
            Complaint::caused(error, hint).into()
        }
        EditError::Crontab(_) => {
            let hint =
                "ask for crontab(1) (cron.allow, cron.deny); or: pycstore schedule install --with systemd";
            Complaint::caused(error, hint).into()
        }
        error => error.into(),
    }
}
