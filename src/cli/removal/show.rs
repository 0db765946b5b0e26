//! The result of a run: data on standard output, failures and kept files on standard error.

use super::document::PruneDocument;
use super::{Account, RunOptions, ScanExtent};
use crate::cli::output::json::{self, Mode};
use crate::cli::output::style::Tone;
use crate::cli::output::table::{Column, Table};
use crate::cli::output::{complain, owner, path};
use crate::cli::session::{Opened, Session};
use pycstore::effect::outcome::Outcome;
use pycstore::source::owner::Life;
use pycstore::store::Store;
use pycstore::units::{Tally, human};
use pycstore::verdict::emptied::topmost;
use pycstore::verdict::policy::Spared;
use std::collections::BTreeMap;
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
    if options.account == Account::LeftToCaller {
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
    let mut kept: BTreeMap<Spared, Vec<&Path>> = BTreeMap::new();
    for skipped in &outcome.skipped {
        kept.entry(skipped.why).or_default().push(&skipped.path);
    }
    for (why, paths) in kept {
        complain::paths("kept", &paths, why.explanation());
    }
    for failure in &outcome.failures {
        complain::problem(failure);
    }
    complain::left(outcome.left, outcome.directories_left);
    if outcome.over_budget != Tally::default() {
        let Tally { files, disk, .. } = outcome.over_budget;
        let over = if files > 0 { human::counted(files, "file") } else { human::size(disk) };
        complain::note(&format!("still {over} over the budget: what is left is foreign, kept or too young"));
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
        let mut table = Table::new(vec![Column::right("DIRECTORIES", 1)], "EMPTIED, WITH ALL BELOW");
        for (relative, count) in topmost(&outcome.emptied) {
            let path = store.shown(&relative, b"");
            table.row(vec![human::count(count)], path::shown(&path, &session.terminal), Tone::Normal);
        }
        table.print(out, &session.terminal, session.style())?;
    }
    let verb = match mode {
        Mode::DryRun => "would remove",
        Mode::Real => "removed",
    };
    let sum = match (outcome.removed.is_empty(), outcome.directories) {
        (true, 0) if look == ScanExtent::Partial || !outcome.is_complete() || !outcome.left.is_empty() => {
            "removed nothing".to_string()
        }
        (true, 0) => "nothing to remove".to_string(),
        (_, directories) => format!("{verb} {}", human::sum(outcome.removed, directories)),
    };
    session.style().write_line(out, &sum, Tone::Total)
}
