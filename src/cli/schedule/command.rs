//! The actions of `pycstore schedule`.

use super::cron::Time;
use super::job::{self, Job};
use super::{Installed, cron, installed, last_run, launchd, systemd};
use crate::cli::args::{Action, ScheduleOptions, Scheduler};
use crate::cli::config;
use crate::cli::edits::{
    EditError, Manner, Outcome, Place, Placement, Plan, Text, carry_through, home_of_user,
};
use crate::cli::exit::Exit;
use crate::cli::output::complain::{self, Complaint};
use crate::cli::output::{date, human, path};
use crate::cli::prune;
use crate::cli::session::{Session, is_absent};
use pycstore::ancestry;
use pycstore::directory::effective_user;
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
fn scheduler(options: &ScheduleOptions, installed: &[Installed]) -> Scheduler {
    let already = || installed.first().map(|installed| installed.scheduler);
    let able = || match () {
        () if cfg!(target_os = "macos") => Scheduler::Launchd,
        () if systemd::manager_runs() => Scheduler::Systemd,
        () => Scheduler::Cron,
    };
    options.with.or_else(already).unwrap_or_else(able)
}

/// Where the units are, and the home.
fn units(session: &Session) -> Result<systemd::Units, Complaint> {
    let hint = "set HOME or XDG_CONFIG_HOME";
    systemd::Units::of(&session.environment).ok_or_else(|| Complaint::new("no directory for units", hint))
}

fn agent(session: &Session) -> Result<(PathBuf, PathBuf), Complaint> {
    let (place, home) = (launchd::place(&session.environment), session.environment.home.clone());
    place.zip(home).ok_or_else(|| Complaint::new("no directory for agents", "set HOME"))
}

fn print(session: &Session, options: &ScheduleOptions) -> anyhow::Result<Exit> {
    job::leaves_something(session)?;
    let found = installed(&session.environment).unwrap_or_default();
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

/// Whether what root would run each night, and what that would read and write, is nobody else's to change.
fn runs_nobody_elses(job: &Job) -> Result<(), Complaint> {
    let user = effective_user();
    if user != 0 {
        return Ok(());
    }
    let configuration =
        job.arguments.iter().skip_while(|argument| *argument != "--config").nth(1).map(Path::new);
    // A device such as `/dev/null` says nothing, whoever may write to it.
    let configuration = configuration.filter(|path| path.is_file());
    let directories = job.variables.iter().map(|(_, path)| path.as_path());
    let hint = "put it where only root may write, such as /usr/local/bin, and start it there";
    let used_hint = "let XDG_CONFIG_HOME, XDG_STATE_HOME and --config name what is root's";
    let used = directories.chain(configuration).map(|path| ("use", path, used_hint));
    for (verb, path, hint) in std::iter::once(("run", job.program.as_path(), hint)).chain(used) {
        if let Some(stranger) = ancestry::stranger(&ancestry::ways(path), user) {
            let message = format!("refused: root would {verb} {} each night, and {stranger}", path.display());
            return Err(Complaint::new(message, hint));
        }
    }
    Ok(())
}

fn property_list(job: &Job, time: Time, home: &Path) -> Result<Vec<u8>, Complaint> {
    launchd::property_list(job, time, home).map_err(|why| Complaint::new(why, "choose another name"))
}

/// The time that is installed, else that of this user on this machine.
fn time(found: &[Installed], scheduler: Scheduler) -> Time {
    let kept = found.iter().find(|installed| installed.scheduler == scheduler).and_then(|it| it.time);
    // machine-id(5); where there is none, the host's name.
    let machine =
        ["/etc/machine-id", "/proc/sys/kernel/hostname"].iter().find_map(|file| std::fs::read(file).ok());
    kept.unwrap_or_else(|| Time::of(&machine.unwrap_or_default(), effective_user()))
}

fn install(session: &Session, options: &ScheduleOptions) -> anyhow::Result<Exit> {
    home_of_user(&session.environment)?;
    let found = installed(&session.environment).map_err(explained)?;
    let scheduler = scheduler(options, &found);
    let job = Job::of(session)?;
    runs_nobody_elses(&job)?;
    let (names, origin) = job::described(session)?;
    job::leaves_something(session)?;
    let mut plan = Plan::default();
    let mut lines = Vec::new();
    // One schedule is enough: another kind gives way.
    let others: Vec<Scheduler> =
        found.iter().map(|it| it.scheduler).filter(|other| *other != scheduler).collect();
    for &other in &others {
        take(session, &mut plan, other, &mut lines).map_err(explained)?;
    }
    match scheduler {
        Scheduler::Systemd => {
            if !systemd::manager_runs() {
                return Err(Complaint::new(
                    "no systemd user manager runs here",
                    "pycstore schedule install --with cron; or --print --with systemd, and enable the timer yourself",
                )
                .into());
            }
            let units = units(session)?;
            put_unit(&mut plan, &units.service, &systemd::service(&job))?;
            put_unit(&mut plan, &units.timer, &systemd::timer())?;
            if !plan.is_empty() || !units.are_enabled()? {
                lines.push("enable and start pycstore.timer (systemctl --user)".into());
            }
        }
        Scheduler::Cron => {
            let line = cron::line(&job, time(&found, scheduler));
            plan.put(&Place::Crontab, &cron::BLOCK, &line, Placement::End).map_err(explained)?;
        }
        Scheduler::Launchd => {
            if !cfg!(target_os = "macos") {
                let hint = "pycstore schedule install --print --with launchd shows its property list";
                return Err(Complaint::new("launchd is of macOS", hint).into());
            }
            let (place, home) = agent(session)?;
            let list = property_list(&job, time(&found, scheduler), &home)?;
            let place = Place::File(place);
            plan.change(&place, |text| match text {
                Some(text) if !launchd::is_ours(text) => Err(not_ours(&place)),
                _ => Ok(Some(list)),
            })?;
        }
    }
    let outcome = carry_through(session, manner(options), &plan, &lines, || {
        before_removal(&others);
        Ok(())
    })?;
    let mut exit = exit(&outcome);
    if outcome.edited > 0 {
        for &other in &others {
            exit = worse(exit, after_removal(other));
        }
        let told = match scheduler {
            Scheduler::Systemd => systemd::enable(),
            Scheduler::Launchd => launchd::load(&agent(session)?.0),
            Scheduler::Cron => Ok(()),
        };
        exit = worse(exit, told);
    }
    if exit == Exit::Done && !outcome.is_declined && !session.global.quiet {
        complain::note(&format!("each night: {} ({origin})", names.join(" ")));
        complain::note(match scheduler {
            Scheduler::Systemd => {
                "what goes wrong is in `journalctl --user -u pycstore`; while you are logged out it waits, unless \
                 `loginctl enable-linger` keeps your manager running"
            }
            Scheduler::Cron => {
                "what goes wrong cron sends you by mail, where mail is delivered on this machine"
            }
            Scheduler::Launchd => "what goes wrong is in ~/Library/Logs/pycstore.log",
        });
    }
    Ok(exit)
}

/// Adds one of our units to a plan. A unit that we did not write is left alone: a second `[Service]` in it would change
/// what it does.
fn put_unit(plan: &mut Plan, path: &Path, lines: &[u8]) -> anyhow::Result<()> {
    let place = Place::File(path.to_path_buf());
    let is_others = |text: Vec<u8>| !text.trim_ascii().is_empty() && !systemd::is_ours(&text);
    if Text::read(&place)?.contents.is_some_and(is_others) {
        let hint = "rename it, or schedule by cron: pycstore schedule install --with cron";
        return Err(Complaint::caused(not_ours(&place), hint).into());
    }
    Ok(plan.put(&place, &systemd::BLOCK, lines, Placement::End)?)
}

fn remove(session: &Session, options: &ScheduleOptions) -> anyhow::Result<Exit> {
    home_of_user(&session.environment)?;
    let mut plan = Plan::default();
    let mut lines = Vec::new();
    let kinds = match options.with {
        Some(scheduler) => vec![scheduler],
        None => vec![Scheduler::Systemd, Scheduler::Cron, Scheduler::Launchd],
    };
    let mut taken = Vec::new();
    for kind in kinds {
        let before = plan.edits().count();
        match take(session, &mut plan, kind, &mut lines) {
            // Where there is no cron, nothing is in its crontab.
            Err(EditError::NoCrontab(_)) if options.with.is_none() => {}
            answer => answer.map_err(explained)?,
        }
        if plan.edits().count() > before {
            taken.push(kind);
        }
    }
    let outcome = carry_through(session, manner(options), &plan, &lines, || {
        before_removal(&taken);
        Ok(())
    })?;
    let mut exit = exit(&outcome);
    if outcome.edited > 0 {
        for kind in taken {
            exit = worse(exit, after_removal(kind));
        }
    }
    Ok(exit)
}

/// Adds to a plan that a schedule goes.
fn take(
    session: &Session,
    plan: &mut Plan,
    kind: Scheduler,
    lines: &mut Vec<String>,
) -> Result<(), EditError> {
    match kind {
        Scheduler::Systemd => {
            let Some(units) = systemd::Units::of(&session.environment) else { return Ok(()) };
            let before = plan.edits().count();
            for path in [&units.timer, &units.service] {
                plan.take(&Place::File(path.clone()), &systemd::BLOCK)?;
            }
            if plan.edits().count() > before {
                lines.push("disable and stop pycstore.timer (systemctl --user)".into());
            }
            Ok(())
        }
        Scheduler::Cron => plan.take(&Place::Crontab, &cron::BLOCK),
        Scheduler::Launchd => {
            let Some(path) = launchd::place(&session.environment) else { return Ok(()) };
            plan.change(&Place::File(path), |text| {
                // Somebody else's stays.
                Ok(text.filter(|text| !launchd::is_ours(text)).map(<[u8]>::to_vec))
            })
        }
    }
}

/// While the units are still there.
fn before_removal(kinds: &[Scheduler]) {
    if kinds.contains(&Scheduler::Systemd)
        && let Err(why) = systemd::disable()
    {
        complain::note(&why);
    }
}

fn after_removal(kind: Scheduler) -> Result<(), String> {
    match kind {
        Scheduler::Systemd if systemd::manager_runs() => systemd::reload(),
        Scheduler::Systemd | Scheduler::Cron => Ok(()),
        Scheduler::Launchd => launchd::unload(),
    }
}

fn status(session: &Session) -> anyhow::Result<Exit> {
    let found = installed(&session.environment).map_err(explained)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let home = session.environment.home.as_deref();
    if found.is_empty() {
        writeln!(out, "schedule  none: pycstore schedule install")?;
    }
    for Installed { scheduler, place, time } in &found {
        let place = match place {
            Place::File(file) if session.terminal.is_terminal() => path::escaped(&path::at_home(file, home)),
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
    let store = config::store(session).value;
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

fn manner(options: &ScheduleOptions) -> Manner {
    match (options.dry_run, options.yes) {
        (true, _) => Manner::DryRun,
        (false, true) => Manner::Agreed,
        (false, false) => Manner::Asking,
    }
}

fn exit(outcome: &Outcome) -> Exit {
    match outcome.failures {
        0 => Exit::Done,
        _ if outcome.edited > 0 => Exit::Incomplete,
        _ => Exit::Nothing,
    }
}

/// Says what went wrong, if anything.
fn worse(exit: Exit, told: Result<(), String>) -> Exit {
    match told {
        Ok(()) => exit,
        Err(why) => {
            complain::note(&why);
            Exit::Incomplete
        }
    }
}

fn not_ours(place: &Place) -> EditError {
    EditError::Contents { place: place.clone(), why: "it was made by somebody else".into() }
}

fn explained(error: EditError) -> anyhow::Error {
    match error {
        EditError::Block { place: Place::Crontab, .. } => {
            Complaint::caused(error, "put it right with `crontab -e`, and run this again").into()
        }
        EditError::NoCrontab(_) => {
            let hint = "install cron, for example: apt install cron; or start a systemd user manager";
            Complaint::caused(error, hint).into()
        }
        error => error.into(),
    }
}
