//! The result of a run: data on standard output, failures and kept files on standard error.

use super::document::PruneDocument;
use super::scan::ScanExtent;
use super::{ResultOutput, RunOptions};
use crate::cli::output::style::Tone;
use crate::cli::output::table::{Column, Table};
use crate::cli::output::terminal::Terminal;
use crate::cli::output::{complain, owner, path};
use crate::cli::session::{Opened, Session};
use pycstore::effect::expectation::Expectation;
use pycstore::effect::outcome::Outcome;
use pycstore::json::{self, Mode};
use pycstore::source::owner::Life;
use pycstore::store::Store;
use pycstore::units::{Tally, human};
use pycstore::verdict::emptied::topmost;
use pycstore::verdict::plan::Plan;
use pycstore::verdict::policy::Spared;
use pycstore::verdict::status::Status;
use std::cmp::Reverse;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Data, on standard output.
pub(super) fn show(
    session: &Session,
    options: &RunOptions,
    opened: &Opened,
    outcome: &Outcome,
    mode: Mode,
    look: ScanExtent,
) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    if options.output != ResultOutput::Printed {
        return Ok(());
    }
    if options.json {
        json::print(&mut out, &PruneDocument::new(&opened.store, outcome, mode))?;
    } else if options.list {
        session.note(&sum(outcome, mode, look));
    } else if !session.global.quiet {
        print(session, &opened.store, outcome, mode, look, &mut out)?;
    }
    out.flush()
}

/// Failures and kept files, on standard error.
pub(super) fn explain(outcome: &Outcome) {
    complain::paths("kept", outcome.skipped.iter().map(|it| (it.why, &it.path)), Spared::explanation);
    complain::problems(&outcome.failures);
    complain::left(outcome.left, outcome.directories_left);
    if outcome.over_budget != Tally::default() {
        let Tally { files, disk, .. } = outcome.over_budget;
        let over = if files > 0 { human::counted(files, "file") } else { human::size(disk) };
        complain::note(&format!(
            "still {over} over the limit: the remaining files are foreign, kept or too new"
        ));
    }
}

/// Maximum number of rows of a table on a terminal; one more row sums up the others.
const MOST_ROWS: usize = 15;

/// Maximum number of packages of a group on a terminal; one more row sums up the others.
const MOST_PACKAGES: usize = 3;

/// Shows what a plan removes before the user is asked, and returns whether it did: only on a terminal.
pub(super) fn preview(session: &Session, options: &RunOptions, plan: &Plan) -> io::Result<bool> {
    let is_shown = session.terminal.is_terminal() && !session.global.quiet && !options.json;
    if is_shown {
        print_files(session, &Expectation::of(plan), Mode::DryRun, &mut io::stdout().lock())?;
    }
    Ok(is_shown)
}

fn print(
    session: &Session,
    store: &Store,
    outcome: &Outcome,
    mode: Mode,
    look: ScanExtent,
    out: &mut dyn Write,
) -> io::Result<()> {
    print_files(session, outcome, mode, out)?;
    // A dry run names the directories; a real run counts them.
    if mode == Mode::DryRun && !outcome.emptied.is_empty() {
        print_directories(session, store, outcome, out)?;
    }
    session.style().write_line(out, &sum(outcome, mode, look), Tone::Total)
}

/// The number of files and directories, and their size.
fn sum(outcome: &Outcome, mode: Mode, look: ScanExtent) -> String {
    let is_whole = look == ScanExtent::Whole && outcome.is_complete() && outcome.left.is_empty();
    owner::removed(mode, outcome.removed, outcome.directories, is_whole)
}

/// The files that are removed, and those that `keep` holds back.
fn print_files(session: &Session, outcome: &Outcome, mode: Mode, out: &mut dyn Write) -> io::Result<()> {
    let terminal = &session.terminal;
    let files = [Column::right("SIZE", 0), Column::right("FILES", 2)];
    if !outcome.groups.is_empty() {
        let statuses = [Column::left("STATUS", 1), Column::left("REASON", 3)];
        let mut table = Table::new([files, statuses].concat(), "OWNER");
        let (groups, rest) = folded(&outcome.groups, MOST_ROWS, terminal);
        for group in groups {
            let tone = if group.owner.life == Life::Gone { Tone::Gone } else { Tone::Normal };
            let status = group.status.map_or("-", Status::name);
            let reason = group.status.and_then(Status::reason).unwrap_or("-");
            table.row(cells(group.tally, [status, reason]), owner::shown(&group.owner, terminal), tone);
            // On a terminal, the small groups have no details.
            if terminal.is_terminal() && group.tally.disk < outcome.removed.disk / 10 {
                continue;
            }
            let (packages, more) = folded(&group.packages, MOST_PACKAGES, terminal);
            for (name, tally) in packages {
                let name = format!("  {}", path::text_shown(name, terminal));
                table.row(cells(*tally, [""; 2]), name.into_bytes(), Tone::Normal);
            }
            if !more.is_empty() {
                let name = format!("  {} more packages", human::count(more.len() as u64));
                table.row(cells(more.iter().map(|it| it.1).sum(), [""; 2]), name.into_bytes(), Tone::Quiet);
            }
        }
        if !rest.is_empty() {
            let sum = rest.iter().map(|group| group.tally).sum();
            table.row(cells(sum, [""; 2]), more(rest.len(), mode), Tone::Quiet);
        }
        table.print(out, terminal, session.style())?;
    }
    if !outcome.held_back.is_empty() {
        let mut table = Table::new(files.to_vec(), "KEPT BY");
        for (glob, tally) in &outcome.held_back {
            let glob = path::shown(Path::new(&**glob), terminal);
            table.row(cells(*tally, []), glob, Tone::Normal);
        }
        table.print(out, terminal, session.style())?;
    }
    Ok(())
}

/// The topmost directories that are removed.
fn print_directories(
    session: &Session,
    store: &Store,
    outcome: &Outcome,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut table = Table::new(vec![Column::right("DIRECTORIES", 1)], "EMPTY DIRECTORY TREE");
    let mut topmost: Vec<_> = topmost(&outcome.emptied).into_iter().collect();
    topmost.sort_by_key(|(_, count)| Reverse(*count));
    let (shown, rest) = folded(&topmost, MOST_ROWS, &session.terminal);
    for (relative, count) in shown {
        let path = store.shown(relative, b"");
        table.row(vec![human::count(*count)], path::shown(&path, &session.terminal), Tone::Normal);
    }
    if !rest.is_empty() {
        let count = rest.iter().map(|(_, count)| count).sum();
        table.row(vec![human::count(count)], more(rest.len(), Mode::DryRun), Tone::Quiet);
    }
    table.print(out, &session.terminal, session.style())
}

/// Returns the rows to show and those to sum up. In a pipe, or if only one would be summed up, all are shown.
fn folded<'a, T>(rows: &'a [T], most: usize, terminal: &Terminal) -> (&'a [T], &'a [T]) {
    let is_short = !terminal.is_terminal() || rows.len() <= most + 1;
    rows.split_at(if is_short { rows.len() } else { most })
}

fn cells<const N: usize>(tally: Tally, others: [&str; N]) -> Vec<String> {
    let sums = [human::size(tally.disk), human::count(tally.files)];
    sums.into_iter().chain(others.map(String::from)).collect()
}

/// The name of the row that sums up the others.
fn more(count: usize, mode: Mode) -> Vec<u8> {
    let hint = if mode == Mode::DryRun { " (see --list)" } else { "" };
    format!("{} more{hint}", human::count(count as u64)).into_bytes()
}
