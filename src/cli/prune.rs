//! `pycstore prune`: remove entries that Python cannot use any more.

use super::args::PruneOptions;
use super::du::{owner, report};
use super::exit::Exit;
use super::output::complain::{self, Complaint};
use super::output::human;
use super::output::json::{self, Mode, PruneDocument};
use super::output::style::Tone;
use super::output::table::{Alignment, Column, Table};
use super::session::Session;
use pycstore::owner::Life;
use pycstore::prune::{Outcome, Plan, Planner, Policy, Selector, execute};
use pycstore::store::Purpose;
use std::io::{self, BufWriter, Write};

/// Runs `pycstore prune`.
pub fn run(session: &Session, options: &PruneOptions) -> anyhow::Result<Exit> {
    let policy = policy(options)?;
    let mode = if options.dry_run { Mode::DryRun } else { Mode::Real };
    let opened = session.open(match mode {
        Mode::DryRun => Purpose::Look,
        Mode::Real => Purpose::Remove,
    })?;
    let circumstances = opened.circumstances(session.environment.now, &|_, _| false);
    let new_planner = || Planner::new(&policy, &opened.store, circumstances);
    let mut plan = Plan::collect(opened.scan(policy.question()).run(new_planner, |_| {}), &policy);
    let troubles = std::mem::take(&mut plan.troubles);
    let outcome = match mode {
        Mode::DryRun => {
            plan.look_into(&opened.store, opened.threads());
            Outcome::expected(plan)
        }
        Mode::Real => execute::execute(&opened.store, plan, opened.threads(), opened.stop(), |_| {}),
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let shown = if options.json {
        json::print(&mut out, &PruneDocument::new(opened.store.path(), &outcome, mode))
    } else if session.global.quiet {
        Ok(())
    } else {
        print(session, &outcome, mode, &mut out)
    };
    // What is done is done: an output that cannot be written is one more problem to report.
    let unwritten =
        shown.and_then(|()| out.flush()).err().filter(|it| it.kind() != io::ErrorKind::BrokenPipe);
    for skipped in &outcome.skipped {
        complain::note(&format!("kept {}: {}", skipped.path.display(), skipped.why.explanation()));
    }
    for failure in &outcome.failures {
        complain::problem(failure);
    }
    let is_complete = outcome.is_complete() && unwritten.is_none();
    if let Some(error) = unwritten {
        complain::problem(anyhow::Error::from(error).context("cannot write to standard output").as_ref());
    }
    Ok(match report(&troubles) {
        Exit::Done => Exit::complete_if(is_complete),
        incomplete => incomplete,
    })
}

fn policy(options: &PruneOptions) -> anyhow::Result<Policy> {
    let chosen = [
        (options.orphans, Selector::Orphans),
        (options.stale, Selector::Stale),
        (options.corrupt, Selector::Corrupt),
        (options.temporary, Selector::Temporary),
    ];
    let policy =
        Policy::of(chosen.into_iter().filter_map(|(is_chosen, selector)| is_chosen.then_some(selector)));
    if policy.selectors.is_empty() {
        return Err(Complaint::new(
            "prune what? no selector given",
            "choose from --orphans --stale --corrupt --temporary; with --dry-run to look first",
        )
        .into());
    }
    Ok(policy)
}

fn print(session: &Session, outcome: &Outcome, mode: Mode, out: &mut dyn Write) -> io::Result<()> {
    if !outcome.owners.is_empty() {
        let mut table = Table::new(
            vec![
                Column { heading: "SIZE", alignment: Alignment::Right, gives_way: 0 },
                Column { heading: "FILES", alignment: Alignment::Right, gives_way: 1 },
            ],
            "OWNER",
        );
        for (removed_owner, tally) in &outcome.owners {
            let tone = if removed_owner.life == Life::Gone { Tone::Gone } else { Tone::Normal };
            let cells = vec![human::size(tally.disk), human::count(tally.files)];
            table.row(cells, owner(session, removed_owner), tone);
        }
        table.print(out, &session.terminal, session.style())?;
    }
    let verb = match mode {
        Mode::DryRun => "would remove",
        Mode::Real => "removed",
    };
    let sum = match (outcome.removed.is_empty(), outcome.directories) {
        (true, 0) => "nothing to remove".to_string(),
        (_, directories) => format!(
            "{verb} {} and {}, {}",
            human::counted(outcome.removed.files, "file"),
            human::counted(directories, "directory"),
            human::size(outcome.removed.disk)
        ),
    };
    out.write_all(&session.style().paint(sum.as_bytes(), Tone::Total))?;
    out.write_all(b"\n")
}
