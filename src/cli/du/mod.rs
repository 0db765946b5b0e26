//! `pycstore du`: the disk usage of the store, by owner or in another view.

mod document;
mod options;
mod others;
mod table;

use super::metrics;
use super::options::Unchecked;
use super::output::comma_separated;
use super::output::complain::{self, Complaint};
use super::paths::{self, Named};
use super::selection::count;
use super::session::{Opened, Session};
use clap::Args;
use document::{DuDocument, OtherStoreFields, ViewFields};
use options::{FormatOptions, ViewOptions};
use pycstore::exit::Exit;
use pycstore::history::Journal;
use pycstore::json;
use pycstore::report::UsageDocument;
use pycstore::store::Purpose;
use pycstore::store::sharing::Sharing;
use pycstore::verdict::policy::Budget;
use pycstore::verdict::status::UncheckedHashes;
use pycstore::verdict::view::{Arrangement, Chains, Dimension, Focus, Group, Measure, Order, View};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Show the disk usage of the store, by owner.
///
/// An owner is the project, environment or interpreter that a source belongs to. Sizes are disk usage as GNU du
/// counts it, in units of 1024; the total includes the directories and equals `du -s -B1 STORE`. Reclaimable is
/// what `pycstore prune` removes, unless the configuration has another policy.
///
/// SIZE counts only the files that no other row has links of. Files that several rows share as hard links
/// (`pycstore share`) are counted in the column SHARED and in a separate line. Links outside the selection do not
/// count.
///
/// Other views group the same files by package, cache tag, status, kind of owner or directory, or by two of these
/// at once. The total includes the rows that are not shown. The last use is unknown (-) on a mount without access
/// times (noatime).
#[derive(Debug, Default, Args)]
#[command(after_help = "Exit status: 0 success; 1 something could not be read or written; 2 no store.")]
pub struct DuOptions {
    /// Which files are shown, and how they are grouped.
    #[command(flatten)]
    pub view: ViewOptions,
    /// Show apparent sizes instead of disk usage
    #[arg(long)]
    pub apparent_size: bool,
    #[command(flatten)]
    pub format: FormatOptions,
    /// Also list other stores on this machine: those in the usual places of users and applications, and directories
    /// named `~` below the working directory
    #[arg(long, conflicts_with = "csv")]
    pub all_stores: bool,
    /// Write metrics of the whole store and of the last prune to FILE (*.prom), for the textfile collector of
    /// Prometheus' node exporter, also if there is no store. This scans the store once more. prune can write the same FILE
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    #[command(flatten)]
    pub unchecked: Unchecked,
}

impl DuOptions {
    /// The options with the paths among those of `--under`.
    pub fn with_paths(mut self) -> DuOptions {
        self.view.under.append(&mut self.view.paths);
        self
    }
}

/// The rows to show.
#[derive(Debug)]
struct Shown {
    dimensions: Vec<Dimension>,
    measure: Measure,
    groups: Vec<Group>,
    /// Which files were counted.
    focus: Focus,
}

/// Runs `pycstore du`.
pub fn run(session: &Session, options: &DuOptions) -> anyhow::Result<Exit> {
    let dimensions = dimensions(&options.view)?;
    let opened = session.open(Purpose::Look)?;
    let sharing = session.note_shared(&opened.store);
    let (under, owners) = named(session, &opened, &options.view);
    let focus = Focus { under: under.all.clone(), owners: owners.all.clone() };
    // Owners alone are counted in any case.
    let counted = if dimensions == [Dimension::Owner] { Vec::new() } else { dimensions.clone() };
    let view = View { dimensions: counted, ..View::default() };
    let unchecked = UncheckedHashes::from(options.unchecked);
    let mut usage = count(session, &opened, unchecked, &under.mirrored, (&view, &focus))?;
    let arrangement = Arrangement {
        order: options.view.sort,
        measure: if options.apparent_size { Measure::Length } else { Measure::Disk },
        top: options.view.top,
        depth: options.view.depth,
        // Programs find each directory at its level.
        chains: if options.format.json || options.format.csv { Chains::Whole } else { Chains::Folded },
    };
    let base = match options.view.under.as_slice() {
        [base] => Some(session.environment.absolute(base)),
        _ => None,
    };
    let groups = arrangement.arrange(usage.take_groups(), base.as_deref());
    let shown = Shown { dimensions, measure: arrangement.measure, groups, focus };
    let are_metrics_written =
        options.metrics.as_ref().is_none_or(|path| write_metrics(session, &opened, path));
    let others = options.all_stores.then(|| others::find(session, &opened.store));
    let mut out = BufWriter::new(io::stdout().lock());
    if options.format.json {
        let view = || ViewFields::new(&shown.dimensions, arrangement.order, &shown.groups);
        let document = DuDocument {
            usage: UsageDocument::new(opened.store.path(), &usage),
            view: (!is_default(&options.view)).then(view),
            other_stores: others.as_ref().map(|it| it.iter().map(OtherStoreFields::from).collect()),
            shared: sharing.map(Sharing::name),
        };
        json::print(&mut out, &document)?;
    } else if options.format.csv {
        comma_separated::print(&mut out, &shown.dimensions, &shown.groups, &usage, &session.terminal)?;
    } else {
        table::print(session, &shown, &usage, &mut out)?;
        if let Some(others) = &others {
            others::print(session, shown.measure, others, &mut out)?;
        }
    }
    out.flush()?;
    let is_reported = [&under, &owners].map(|named| named.note_missing(session)).contains(&true);
    let filters = filters(session, &options.view);
    if usage.total.is_empty() && !filters.is_empty() && !is_reported {
        session.note(&format!("no entry matches {}", filters.join(", ")));
    }
    let exit = complain::troubles(&usage.troubles);
    Ok(if are_metrics_written { exit } else { Exit::Incomplete })
}

/// Writes the metrics, before the output: a reader may end this process. Reports errors.
fn write_metrics(session: &Session, opened: &Opened, path: &Path) -> bool {
    let latest = Journal::of_store(&session.environment, &opened.store).and_then(|journal| journal.latest());
    let metrics = metrics::of_store(session, opened, Budget::default(), &latest.unwrap_or_default());
    complain::is_done(metrics.write(&session.environment.absolute(path)))
}

/// The options that limit what is counted, as text.
fn filters(session: &Session, view: &ViewOptions) -> Vec<String> {
    let absolute = |path| session.environment.absolute(path);
    let under = view.under.iter().map(|path| format!("--under {}", absolute(path).display()));
    let owner = view.files_of.iter().map(|path| format!("--files-of {}", absolute(path).display()));
    under.chain(owner).collect()
}

fn is_default(view: &ViewOptions) -> bool {
    let ViewOptions { by, depth, sort, top, under, files_of, paths: _ } = view;
    let is_by_size = *sort == Order::Size;
    by.is_empty() && depth.is_none() && is_by_size && top.is_none() && under.is_empty() && files_of.is_none()
}

fn dimensions(view: &ViewOptions) -> anyhow::Result<Vec<Dimension>> {
    let mut dimensions = view.by.clone();
    if view.files_of.is_some() {
        return Ok(vec![Dimension::Source]);
    }
    if view.depth.is_some() && !dimensions.contains(&Dimension::Directory) {
        if !dimensions.is_empty() {
            let hint = "add directory to --by, or omit --by";
            return Err(Complaint::new("--depth requires --by directory", hint).into());
        }
        dimensions.push(Dimension::Directory);
    }
    match dimensions.as_slice() {
        [] => Ok(vec![Dimension::Owner]),
        [_] => Ok(dimensions),
        [one, other] if one != other => Ok(dimensions),
        _ => {
            let hint = "for example: --by owner,tag";
            Err(Complaint::new("--by takes one value, or two different ones", hint).into())
        }
    }
}

/// The paths and the owner that the options name.
fn named(session: &Session, opened: &Opened, view: &ViewOptions) -> (Named, Named) {
    let owner: Vec<PathBuf> = view.files_of.iter().cloned().collect();
    (paths::named(session, opened, &view.under), paths::named(session, opened, &owner))
}
