//! `pycstore du`: how much room the store takes, by owner or in another view.

mod others;
mod table;

pub use table::prune_command;

use super::args::{DuOptions, ViewOptions};
use super::keep;
use super::output::comma_separated;
use super::output::complain::{self, Complaint};
use super::output::json::{self, UsageDocument};
use super::output::path;
use super::paths::{self, Named};
use super::session::{Opened, Session};
use pycstore::exit::Exit;
use pycstore::source::owner::{Life, Owner};
use pycstore::store::Purpose;
use pycstore::store::scan::{Question, Scan, Trouble};
use pycstore::verdict::policy::Policy;
use pycstore::verdict::scope::Scope;
use pycstore::verdict::status::UncheckedHashes;
use pycstore::verdict::usage::{CountedLinks, Survey, Usage};
use pycstore::verdict::view::{Arrangement, Dimension, Focus, Group, Measure, Order, View};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

/// What is shown.
#[derive(Debug)]
struct Shown {
    dimensions: Vec<Dimension>,
    measure: Measure,
    groups: Vec<Group>,
    /// What was counted at all.
    focus: Focus,
}

/// Runs `pycstore du`.
pub fn run(session: &Session, options: &DuOptions) -> anyhow::Result<Exit> {
    let dimensions = dimensions(&options.view)?;
    let opened = session.open(Purpose::Look)?;
    let sharing = session.say_shared(&opened.store);
    let unchecked = UncheckedHashes::from(options.unchecked);
    let policy = reclaimable(session, &opened)?;
    let links = CountedLinks::default();
    let circumstances = opened.circumstances(session.environment.now, &|_, _| false);
    let (under, owners) = named(session, &opened, &options.view);
    let focus = Focus { under: under.all.clone(), owners: owners.all.clone() };
    // Owners alone are counted in any case.
    let view = View {
        dimensions: if dimensions == [Dimension::Owner] { Vec::new() } else { dimensions.clone() },
        ..View::default()
    };
    let access_times = opened.access_times();
    let new_survey = || {
        let survey = Survey::new(&policy, unchecked, circumstances, &links);
        survey.with_access_times(access_times).grouped(&view, &focus)
    };
    let usage = {
        let mut progress = session.progress("looking at");
        let scan = Scan { within: &under.mirrored, ..opened.scan(Question::Everything(unchecked)) };
        Usage::collect(scan.run(new_survey, |entries| progress.update(entries)))
    };
    let arrangement = Arrangement {
        order: options.view.sort.into(),
        measure: if options.apparent_size { Measure::Length } else { Measure::Disk },
        top: options.view.top,
        depth: options.view.depth,
    };
    let base = match options.view.under.as_slice() {
        [base] => Some(session.environment.absolute(base)),
        _ => None,
    };
    let shown = Shown {
        dimensions,
        measure: arrangement.measure,
        groups: arrangement.arrange(usage.groups(), base.as_deref()),
        focus: focus.clone(),
    };
    let others = options.all_stores.then(|| others::find(session, &opened.store));
    let others = others.as_deref();
    let mut out = BufWriter::new(io::stdout().lock());
    if options.format.json {
        let mut document = UsageDocument::new(opened.store.path(), &usage);
        if !is_default(&options.view) {
            document.add_view(&shown.dimensions, arrangement.order, &shown.groups);
        }
        if let Some(others) = others {
            document.add_other_stores(others);
        }
        if let Some(sharing) = sharing {
            document.add_sharing(sharing);
        }
        json::print(&mut out, &document)?;
    } else if options.format.csv {
        comma_separated::print(&mut out, &shown.dimensions, &shown.groups, &usage, &session.terminal)?;
    } else {
        table::print(session, &shown, &usage, &mut out)?;
        if let Some(others) = others {
            others::print(session, shown.measure, others, &mut out)?;
        }
    }
    out.flush()?;
    let is_said = [&under, &owners].map(|named| named.say_missing(session)).contains(&true);
    let asked_for = asked_for(session, &options.view);
    if usage.total.is_empty() && !asked_for.is_empty() && !is_said && !session.global.quiet {
        complain::note(&format!("nothing in the store is {}", asked_for.join(", ")));
    }
    Ok(report(&usage.troubles))
}

/// What was asked for, as it was understood.
fn asked_for(session: &Session, view: &ViewOptions) -> Vec<String> {
    let absolute = |path| session.environment.absolute(path);
    let under = view.under.iter().map(|path| format!("under {}", absolute(path).display()));
    let owner = view.files_of.iter().map(|path| format!("of {}", absolute(path).display()));
    under.chain(owner).collect()
}

fn is_default(view: &ViewOptions) -> bool {
    let ViewOptions { by, depth, sort, top, under, files_of } = view;
    let is_by_size = Order::from(*sort) == Order::Size;
    by.is_empty() && depth.is_none() && is_by_size && top.is_none() && under.is_empty() && files_of.is_none()
}

fn dimensions(view: &ViewOptions) -> anyhow::Result<Vec<Dimension>> {
    let mut dimensions: Vec<Dimension> = view.by.iter().copied().map(Dimension::from).collect();
    if view.files_of.is_some() {
        return Ok(vec![Dimension::Source]);
    }
    if view.depth.is_some() && !dimensions.contains(&Dimension::Directory) {
        if !dimensions.is_empty() {
            let hint = "add it: --by directory --depth N";
            return Err(
                Complaint::new("--depth is for directories, and --by does not name them", hint).into()
            );
        }
        dimensions.push(Dimension::Directory);
    }
    match dimensions.as_slice() {
        [] => Ok(vec![Dimension::Owner]),
        [_] => Ok(dimensions),
        [one, other] if one != other => Ok(dimensions),
        _ => {
            let hint = "for example: --by owner,tag";
            Err(Complaint::new("--by takes one name, or two that differ", hint).into())
        }
    }
}

/// The paths and the owner that the options name.
fn named(session: &Session, opened: &Opened, view: &ViewOptions) -> (Named, Named) {
    let owner: Vec<PathBuf> = view.files_of.iter().cloned().collect();
    (paths::named(session, opened, &view.under), paths::named(session, opened, &owner))
}

/// What a default prune may remove: nothing that the configuration keeps.
pub fn reclaimable(session: &Session, opened: &Opened) -> anyhow::Result<Policy> {
    let keep = keep::keep(session, &[])?;
    let keep = if keep.is_empty() { keep } else { keep.with_aliases(opened.aliases().clone()) };
    let scope = Scope { keep, ..Scope::default() };
    Ok(Policy { scope, ..Policy::reclaimable() })
}

/// Reports what could not be read; a mount point is no fault.
pub fn report(troubles: &[Trouble]) -> Exit {
    for trouble in troubles {
        complain::problem(trouble);
    }
    Exit::complete_if(is_read(troubles))
}

/// Whether all was read; a mount point is no fault.
pub fn is_read(troubles: &[Trouble]) -> bool {
    troubles.iter().all(|trouble| matches!(trouble, Trouble::MountPoint { .. }))
}

/// An owner's path, and whether it is gone.
pub fn owner(session: &Session, owner: &Owner) -> Vec<u8> {
    let mut shown = path::shown(&owner.root, &session.terminal);
    if owner.life == Life::Gone {
        shown.extend_from_slice(b" (gone)");
    }
    shown
}
