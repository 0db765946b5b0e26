//! The result of a run: data on standard output, failures and kept files on standard error.

use super::document::PruneDocument;
use super::scan::ScanExtent;
use super::{ResultOutput, RunOptions};
use crate::cli::output::style::Tone;
use crate::cli::output::table::{Column, Table};
use crate::cli::output::{complain, owner, path};
use crate::cli::session::{Opened, Session};
use pycstore::effect::outcome::Outcome;
use pycstore::json::{self, Mode};
use pycstore::source::owner::Life;
use pycstore::store::Store;
use pycstore::units::{Tally, human};
use pycstore::verdict::emptied::topmost;
use pycstore::verdict::policy::Spared;
use std::io::{self, BufWriter, Write};

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
    if options.output == ResultOutput::LeftToCaller {
        return Ok(());
    }
    if options.json {
        json::print(&mut out, &PruneDocument::new(&opened.store, outcome, mode))?;
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

fn print(
    session: &Session,
    store: &Store,
    outcome: &Outcome,
    mode: Mode,
    look: ScanExtent,
    out: &mut dyn Write,
) -> io::Result<()> {
    if !outcome.owners.is_empty() {
        let mut table = Table::new(vec![Column::right("SIZE", 0), Column::right("FILES", 1)], "OWNER");
        for (removed_owner, tally) in &outcome.owners {
            let tone = if removed_owner.life == Life::Gone { Tone::Gone } else { Tone::Normal };
            let cells = vec![human::size(tally.disk), human::count(tally.files)];
            table.row(cells, owner::shown(removed_owner, &session.terminal), tone);
        }
        table.print(out, &session.terminal, session.style())?;
    }
    // A dry run names the directories; a real run counts them.
    if mode == Mode::DryRun && !outcome.emptied.is_empty() {
        let mut table = Table::new(vec![Column::right("DIRECTORIES", 1)], "EMPTY DIRECTORY TREE");
        for (relative, count) in topmost(&outcome.emptied) {
            let path = store.shown(&relative, b"");
            table.row(vec![human::count(count)], path::shown(&path, &session.terminal), Tone::Normal);
        }
        table.print(out, &session.terminal, session.style())?;
    }
    let is_whole = look == ScanExtent::Whole && outcome.is_complete() && outcome.left.is_empty();
    let sum = owner::removed(mode, outcome.removed, outcome.directories, is_whole);
    session.style().write_line(out, &sum, Tone::Total)
}
