//! `pycstore history`: past runs of the commands that change the store, newest first.

use crate::cli::options::whole;
use crate::cli::output::complain::{self, Complaint};
use crate::cli::output::path;
use crate::cli::output::style::Tone;
use crate::cli::output::table::{Column, Table};
use crate::cli::session::Session;
use clap::Args;
use pycstore::exit::Exit;
use pycstore::history::Run;
use pycstore::history::journal::{JournalError, read_all};
use pycstore::json;
use pycstore::units::{date, human};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Show past runs of prune, forget, browse, verify --fix and share.
///
/// Prints one line for each run, newest first; dry runs are not recorded. If a run found the store locked, its line
/// names the process that held the lock. A run of share removes no entry: its SIZE is the space that it freed. With
/// --store, shows only the runs on that store, which may have been deleted since. The history is kept in
/// $XDG_STATE_HOME/pycstore, else ~/.local/state/pycstore: the newest thousand runs on each store.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 success, also if there are no runs; 1 something could not be read; 2 nothing could be read."
)]
pub struct HistoryOptions {
    /// Show only the newest N runs
    #[arg(long, value_name = "N", value_parser = whole::<usize>)]
    pub top: Option<usize>,
    /// Print one JSON object per line
    #[arg(long)]
    pub json: bool,
}

/// Runs `pycstore history`.
pub fn run(session: &Session, options: &HistoryOptions) -> anyhow::Result<Exit> {
    let mut out = BufWriter::new(io::stdout().lock());
    let exit = write(session, options, &mut out)?;
    out.flush()?;
    Ok(exit)
}

fn write(session: &Session, options: &HistoryOptions, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let state = session.environment.state_directory.as_deref().ok_or_else(|| {
        Complaint::caused(JournalError::Homeless, "create the home directory, or set XDG_STATE_HOME")
    })?;
    let mut exit = Exit::Done;
    let mut runs = Vec::new();
    for (file, recorded) in read_all(state)? {
        match recorded {
            Ok(recorded) => {
                for line in &recorded.torn {
                    complain::note(&format!("{}:{line}: skipped a truncated record", file.display()));
                }
                // Of two runs in one second the one appended last is the newer.
                runs.extend(recorded.runs.into_iter().rev());
            }
            Err(error) => {
                complain::problem(&error);
                exit = Exit::Incomplete;
            }
        }
    }
    if let Some(store) = &session.global.store {
        let store = session.environment.absolute(store);
        let real = store.canonicalize().unwrap_or(store);
        runs.retain(|run| run.store == json::text(&real));
    }
    runs.sort_by_key(|run| std::cmp::Reverse(run.started));
    runs.truncate(options.top.unwrap_or(usize::MAX));
    if options.json {
        for run in &runs {
            json::print(out, run)?;
        }
    } else if runs.is_empty() {
        writeln!(out, "no runs are recorded")?;
    } else {
        print(session, &runs, out)?;
    }
    Ok(exit)
}

/// The terminal columns of the date and of short selectors, with the gaps: on a narrow terminal they stay beside the result.
const BESIDE_RESULT: usize = 32;

/// The terminal columns that a result has in any case.
const SHORTEST_RESULT: usize = 8;

fn print(session: &Session, runs: &[Run], out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(
        vec![
            Column::left("WHEN", 4),
            Column::left("DATE", 0),
            Column::right("REMOVED", 2),
            Column::right("SIZE", 1),
            Column::right("TOOK", 3),
            Column::left("RESULT", 0),
            Column::left("STORE", 5),
        ],
        "SELECTORS",
    );
    let columns = session.terminal.columns();
    let room =
        columns.map_or(usize::MAX, |columns| columns.saturating_sub(BESIDE_RESULT).max(SHORTEST_RESULT));
    for run in runs {
        let cells = vec![
            date::ago(run.started, session.environment.now),
            date::local_minute(run.started),
            if run.is_share() { "-".into() } else { human::count(run.removed.files) },
            human::size(run.removed.disk),
            human::duration(run.duration()),
            // A process may call itself anything.
            path::fitted(&path::escaped(&run.result()), room),
            String::from_utf8_lossy(&path::shown(Path::new(&run.store), &session.terminal)).into_owned(),
        ];
        let tone = if run.is_success() { Tone::Normal } else { Tone::Gone };
        table.row(cells, path::escaped(&run.selectors.join(" ")).into_bytes(), tone);
    }
    table.print(out, &session.terminal, session.style())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::past_runs;
    use crate::cli::{Arguments, Command};
    use clap::Parser;
    use pycstore::environment::Environment;
    use pycstore::history::{Journal, Locked};
    use pycstore::units::Moment;

    #[test]
    fn the_name_of_a_process_is_escaped() {
        const NOW: i64 = 1_700_000_000;
        let temporary = tempfile::tempdir().unwrap();
        let now = Moment { seconds: NOW, nanoseconds: 0 };
        let environment = Environment { now, ..Environment::of_test(temporary.path().to_str().unwrap()) };
        let store = past_runs::store(&temporary, "store");
        let locked = Locked { process: Some(7), command: Some("x\u{1b}[31m\ny".into()), runs: 1, user: None };
        let run = Run { locked: Some(locked), ..past_runs::run(&store, NOW - 1, 0, Exit::Done) };
        Journal::of_store(&environment, &store).unwrap().record(&run).unwrap();
        let Arguments { global, command } = Arguments::try_parse_from(["pycstore", "history"]).unwrap();
        let Some(Command::History(options)) = command else { panic!("another command") };
        let mut out = Vec::new();
        assert_eq!(write(&Session::new(global, environment), &options, &mut out).unwrap(), Exit::Done);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("nothing done, locked by process 7 (x\\x1b[31m\\ny"), "{text}");
        assert!(!text.contains('\u{1b}') && text.lines().count() == 2, "{text}");
    }
}
