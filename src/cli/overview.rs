//! `pycstore` without a command: the store at a glance, and the next command.

use super::output::complain;
use super::output::path;
use super::selection::{count, prune_command};
use super::session::Session;
use pycstore::exit::Exit;
use pycstore::history::Journal;
use pycstore::quoting::at_home;
use pycstore::schedule;
use pycstore::store::{Purpose, Store};
use pycstore::units::{date, human};
use pycstore::verdict::status::UncheckedHashes;
use pycstore::verdict::usage::Usage;
use pycstore::verdict::view::{Focus, View};
use std::io::{self, BufWriter, Write};

/// Prints the store, its size, what is reclaimable, the schedule and the next command.
pub fn run(session: &Session) -> anyhow::Result<Exit> {
    let opened = session.open(Purpose::Look)?;
    session.note_shared(&opened.store);
    let (view, focus) = (View::default(), Focus::default());
    let usage = count(session, &opened, UncheckedHashes::Trust, &[], (&view, &focus))?;
    let found = schedule::installed(&session.environment);
    let installed = found.installed.first();
    let mut out = BufWriter::new(io::stdout().lock());
    let mut row = |label: &str, value: &str| {
        let value = path::text_shown(value, &session.terminal);
        writeln!(out, "{label:<12} {value}")
    };
    row("Store", &at_home(opened.store.path(), session.environment.home.as_deref()))?;
    row("Disk usage", &sum(usage.disk(), usage.total.files))?;
    row("Reclaimable", &sum(usage.reclaimable.disk, usage.reclaimable.files))?;
    if let Some(run) = last_run(session, &opened.store) {
        row("Last run", &run)?;
    }
    let is_unknown = installed.is_none() && !found.unknown.is_empty();
    row(
        "Schedule",
        &match installed {
            Some(installed) => format!("{}: {}", installed.scheduler, installed.place),
            None if is_unknown => "unknown".into(),
            None => "none".into(),
        },
    )?;
    if let Some(next) = next(session, &usage, installed.is_some() || is_unknown) {
        row("Next", &next)?;
    }
    out.flush()?;
    Ok(complain::troubles(&usage.troubles))
}

fn sum(disk: u64, files: u64) -> String {
    if files == 0 {
        return "nothing".into();
    }
    format!("{} in {}", human::size(disk), human::counted(files, "file"))
}

/// The newest run on the store; `None` also where the history cannot be read, which `history` and `doctor` report.
fn last_run(session: &Session, store: &Store) -> Option<String> {
    let journal = Journal::of_store(&session.environment, store).ok()?;
    let run = journal.latest().ok()?.run?;
    let ago = date::ago(run.started, session.environment.now);
    Some(format!("{ago}, removed {}", sum(run.removed.disk, run.removed.files)))
}

/// The command that most users want next, about the same store.
fn next(session: &Session, usage: &Usage, is_scheduled: bool) -> Option<String> {
    let store = session.global.store.as_deref();
    if usage.reclaimable.files > 0 {
        let prune = prune_command(session, store, &Focus::default());
        return Some(format!("{prune} --dry-run    shows what prune removes"));
    }
    // A store that was only looked at is not what the user's schedule is for.
    let next = if is_scheduled {
        "pycstore du                 shows the owners of the files"
    } else {
        "pycstore schedule install   prunes every night"
    };
    store.is_none().then(|| next.into())
}
