//! `pycstore history`: past runs of `prune`, newest first.

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

/// Show past runs of prune.
///
/// Prints one line for each run, newest first; dry runs are not recorded. If a run found the store locked, its line
/// names the process that held the lock. With --store, shows only the runs on that store, which may have been deleted
/// since. The history is kept in $XDG_STATE_HOME/pycstore, else ~/.local/state/pycstore: the newest thousand runs on
/// each store.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 success, also if there are no runs; 1 something could not be read; 2 nothing could be read."
)]
pub struct HistoryOptions {
    /// Show only the newest N runs
    #[arg(short = 'n', long = "top", value_name = "N", value_parser = whole::<usize>)]
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
                    complain::note(&format!("{}:{line}: passed over, the line is torn", file.display()));
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
        writeln!(out, "no run of `pycstore prune` is recorded")?;
    } else {
        print(session, &runs, out)?;
    }
    Ok(exit)
}

fn print(session: &Session, runs: &[Run], out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(
        vec![
            Column::left("WHEN", 4),
            Column::left("DATE", 0),
            Column::right("REMOVED", 0),
            Column::right("SIZE", 0),
            Column::right("TOOK", 2),
            Column::left("RESULT", 1),
            Column::left("STORE", 5),
        ],
        "SELECTORS",
    );
    for run in runs {
        let cells = vec![
            date::ago(run.started, session.environment.now),
            date::local_minute(run.started),
            human::count(run.removed.files),
            human::size(run.removed.disk),
            human::duration(run.duration()),
            // A process may call itself anything.
            pycstore::quoting::escaped(&run.result()),
            String::from_utf8_lossy(&path::shown(Path::new(&run.store), &session.terminal)).into_owned(),
        ];
        let tone = if run.is_success() { Tone::Normal } else { Tone::Gone };
        table.row(cells, pycstore::quoting::escaped(&run.selectors.join(" ")).into_bytes(), tone);
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
    use pycstore::history::Journal;
    use pycstore::history::Locked;
    use pycstore::units::Moment;

    const NOW: i64 = 1_700_000_000;

    /// What `pycstore` with these arguments writes.
    fn shown(environment: &Environment, arguments: &[&str]) -> String {
        let arguments = [&["pycstore"], arguments].concat();
        let Arguments { global, command } = Arguments::try_parse_from(arguments).unwrap();
        let Command::History(options) = command else { panic!("another command") };
        let now = Moment { seconds: NOW, nanoseconds: 0 };
        let session = Session::new(global, Environment { now, ..environment.clone() });
        let mut out = Vec::new();
        assert_eq!(write(&session, &options, &mut out).unwrap(), Exit::Done);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_was_recorded_is_shown_newest_first() {
        let temporary = tempfile::tempdir().unwrap();
        let environment = Environment::of_test(temporary.path().to_str().unwrap());
        assert_eq!(shown(&environment, &["history"]), "no run of `pycstore prune` is recorded\n");
        assert_eq!(shown(&environment, &["history", "--json"]), "");
        let stores = ["one", "other"].map(|name| past_runs::store(&temporary, name));
        let [one, other] = &stores;
        let day = 86_400;
        for (store, started, files, exit) in [
            (one, NOW - 3 * day, 1200, Exit::Done),
            (other, NOW - 2 * day, 2, Exit::Done),
            (one, NOW - day, 3, Exit::Incomplete),
            (one, NOW, 0, Exit::Done),
        ] {
            let run = past_runs::run(store, started, files, exit);
            Journal::of_store(&environment, store).unwrap().record(&run).unwrap();
        }
        // The date depends on the time zone that the test runs in.
        let rows = |arguments: &[&str]| -> Vec<String> {
            let text = shown(&environment, arguments);
            let columns = |line: &str| {
                let words = line.split("  ").map(str::trim).filter(|word| !word.is_empty());
                words
                    .enumerate()
                    .filter(|(column, _)| *column != 1)
                    .map(|(_, word)| word)
                    .collect::<Vec<_>>()
                    .join("|")
            };
            text.lines().map(columns).collect()
        };
        let [one, other] = [one, other].map(|store| store.real_path().display().to_string());
        let expected = [
            "WHEN|REMOVED|SIZE|TOOK|RESULT|STORE|SELECTORS".to_string(),
            format!("today|0|0 B|1.2 s|done|{one}|orphans stale"),
            format!("yesterday|3|12 KiB|1.2 s|incomplete|{one}|orphans stale"),
            format!("2 days ago|2|8 KiB|1.2 s|done|{other}|orphans stale"),
            format!("3 days ago|1 200|4.69 MiB|1.2 s|done|{one}|orphans stale"),
        ];
        assert_eq!(rows(&["history"]), expected);
        assert_eq!(rows(&["history", "-n", "2"]), expected[..3]);
        assert_eq!(rows(&["history", "--store", &other]), [&expected[0], &expected[3]].map(Clone::clone));
        let locked = Locked { process: Some(7), command: Some("x\u{1b}[31m\ny".into()), runs: 1, user: None };
        let locked = Run { locked: Some(locked), ..past_runs::run(&stores[0], NOW - 1, 0, Exit::Done) };
        Journal::of_store(&environment, &stores[0]).unwrap().record(&locked).unwrap();
        let text = shown(&environment, &["history", "--top", "2"]);
        assert!(text.contains("nothing done, locked by process 7 (x"), "{text}");
        assert!(!text.contains('\u{1b}') && text.lines().count() == 3, "{text}");
        let lines = shown(&environment, &["history", "--json", "--top", "1", "--store", &one]);
        assert!(lines.starts_with("{\"schema\":1,\"started\":\"2023-11-14T22:13:20Z\","), "{lines}");
        assert_eq!(lines.lines().count(), 1);
    }
}
