//! `pycstore share`: make equal entries hard links of one file.

use super::output::complain;
use super::output::style::Tone;
use super::removal::lock::{Turn, take};
use super::selection::{Matched, ScopeOptions, Selection};
use super::session::{Opened, Session};
use super::stop::Cause;
use clap::Args;
use pycstore::effect::outcome::Outcome;
use pycstore::effect::share::{EntrySharing, MakeLinks, ShareOutcome};
use pycstore::exit::Exit;
use pycstore::history::{Journal, JournalError, Run};
use pycstore::host::extents::may_share;
use pycstore::json::{self, Mode, PathField, SCHEMA, Sum};
use pycstore::store::Purpose;
use pycstore::store::scan::{Question, Scan};
use pycstore::units::{Age, human};
use pycstore::verdict::scope::Scope;
use pycstore::verdict::shareable::{NotShared, ShareKind, ShareSearch, SharedKeys, grouped};
use pycstore::verdict::status::UncheckedHashes;
use serde::Serialize;
use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::io::{self, BufWriter, Write};
use std::time::Instant;

/// Make equal entries hard links of one file
///
/// Virtual environments with the same packages hold the same bytecode several times: uv, for example, links the sources of a
/// package into every environment, and Python compiles them again in each. Such entries differ only in the path of the source
/// (co_filename), which Python corrects when it loads an entry. Entries become links of one file if everything else is equal:
/// cache tag, optimization, header, mode, owner, and each byte of the body. The file that was written last stays, and gets the
/// last use of all of them. Python replaces an entry and never changes it: when a source is edited, only its own entry is
/// compiled again.
///
/// Left alone are entries that Python would not load, entries of import hooks such as pytest's, which do not correct the path,
/// files that group or others may write to, entries that `pycstore verify` doubts, and those that `keep` names.
///
/// A backup keeps the links only if it is told to: `cp -a`, `rsync -aH`, `tar`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Exit status: 0 success, also if there is nothing to share, another prune is running or --max-runtime is \
                  reached; 1 something could not be read or linked; 2 nothing was done."
)]
pub struct ShareOptions {
    /// Show what would be freed, and change nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// Stop cleanly after AGE
    #[arg(long, value_name = "AGE")]
    pub max_runtime: Option<Age>,
    /// The scopes.
    #[command(flatten)]
    pub scope: ScopeOptions,
}

/// The result as JSON.
#[derive(Debug, Serialize)]
struct ShareDocument<'a> {
    schema: u32,
    #[serde(flatten)]
    store: PathField<'a>,
    dry_run: bool,
    shared: Sum,
    files: u64,
    blocks: Sum,
    left: BTreeMap<&'static str, u64>,
    is_complete: bool,
}

/// Runs `pycstore share`.
pub fn run(session: &Session, options: &ShareOptions) -> anyhow::Result<Exit> {
    let selection = Selection::of_share(session, &options.scope, options.max_runtime)?;
    let mode = if options.dry_run { Mode::DryRun } else { Mode::Real };
    let opened = session.open(if options.dry_run { Purpose::Look } else { Purpose::Remove })?;
    session.note_shared(&opened.store);
    share(session, &opened, &selection, mode, options)
}

fn share(
    session: &Session,
    opened: &Opened,
    selection: &Selection,
    mode: Mode,
    options: &ShareOptions,
) -> anyhow::Result<Exit> {
    let began = Instant::now();
    let journal = Journal::of_store(&session.environment, &opened.store);
    let _lock = match (mode == Mode::Real).then(|| take(opened, journal.as_ref().ok())) {
        Some(Turn::Others(locked)) => {
            let path = opened.store.path().display();
            complain::note(&format!("nothing was done: {} holds the lock of {path}", locked.holder()));
            return Ok(Exit::Done);
        }
        Some(Turn::Ours(lock)) => Some(lock),
        None => None,
    };
    opened.stop.on_signals()?;
    if let Some(age) = selection.max_runtime {
        opened.stop.after(age);
    }
    let (policy, matched) = selection.policy_on(session, opened);
    let mut shared = ShareOutcome::default();
    for kind in kinds(opened) {
        share_kind(session, opened, &policy.scope, (kind, mode), &mut shared);
    }
    opened.stop.end_work();
    shared.is_stopped |= opened.stop.cause().is_some();
    let is_done = complain::is_read(&shared.troubles) && opened.stop.cause() != Some(Cause::Signal);
    let mut exit = Exit::complete_if(is_done);
    if mode == Mode::Real {
        exit = record(session, opened, selection, (&journal, began), &shared, exit);
    }
    if !policy.scope.is_everything()
        && matched == Matched::Unknown
        && shared.left.is_empty()
        && shared.files == 0
    {
        selection.note_nothing_in_scope(session);
    }
    let is_written = complain::is_written(show(session, opened, options, mode, &shared));
    complain::troubles(&shared.troubles);
    if shared.is_stopped {
        complain::note("stopped before all entries were compared: the rest is left for the next run");
    }
    Ok(if is_written { exit } else { Exit::Incomplete })
}

/// What the file system of the store lets entries share.
fn kinds(opened: &Opened) -> Vec<ShareKind> {
    let mount = opened.evidence.mounts.of(opened.store.real_path());
    let has_blocks = mount.is_some_and(|mount| may_share(&mount.kind));
    [ShareKind::Files].into_iter().chain(has_blocks.then_some(ShareKind::Blocks)).collect()
}

/// Looks for entries that may share files or blocks, and shares them.
fn share_kind(
    session: &Session,
    opened: &Opened,
    scope: &Scope,
    (kind, mode): (ShareKind, Mode),
    shared: &mut ShareOutcome,
) {
    let hashes = RandomState::new();
    let search = ShareSearch { store: &opened.store, scope, kind, keys: &hashes };
    let scan = Scan { within: &scope.mirrored, ..opened.scan(Question::Everything(UncheckedHashes::Check)) };
    let (keys, left, troubles) = {
        let mut progress = session.progress("scanning");
        SharedKeys::collect(scan.run(|| search.survey(), |entries| progress.update(entries)))
    };
    let links = if mode == Mode::Real { MakeLinks::Yes } else { MakeLinks::No };
    let (threads, stop) = (opened.threads(), opened.stop.flag());
    let sharing = EntrySharing { store: &opened.store, links, kind, threads, stop };
    // The first scan has counted those that share no file, and reported what it could not read.
    let mut found = match kind {
        ShareKind::Files => ShareOutcome { left, troubles, ..ShareOutcome::default() },
        ShareKind::Blocks => ShareOutcome::default(),
    };
    for part in keys.parts() {
        if opened.stop.cause().is_some() {
            break;
        }
        let groups = grouped(scan.run(|| search.gather(&part), |_| {}));
        let mut progress = session.progress("comparing");
        found.append(sharing.run(groups, |entries| progress.update(entries)));
    }
    if kind == ShareKind::Blocks {
        found.left.retain(|why, _| *why == NotShared::NoLinks);
    }
    shared.append(found);
}

/// Adds the run to the history. Returns its exit: `exit`, or incomplete where the record could not be written.
fn record(
    session: &Session,
    opened: &Opened,
    selection: &Selection,
    (journal, began): (&Result<Journal, JournalError>, Instant),
    shared: &ShareOutcome,
    exit: Exit,
) -> Exit {
    let outcome = Outcome { removed: shared.freed, ..Outcome::default() };
    let (started, names) = (session.environment.now, selection.names.iter().cloned());
    let run = Run::new(&opened.store, started, began.elapsed(), names, &outcome, exit);
    match journal.as_ref().map(|journal| journal.record(&run)) {
        Ok(Ok(())) | Err(JournalError::Homeless) => exit,
        Ok(Err(error)) => {
            complain::problem(&error);
            Exit::Incomplete
        }
        Err(error) => {
            complain::problem(error);
            Exit::Incomplete
        }
    }
}

fn show(
    session: &Session,
    opened: &Opened,
    options: &ShareOptions,
    mode: Mode,
    shared: &ShareOutcome,
) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    if options.json {
        let document = ShareDocument {
            schema: SCHEMA,
            store: PathField::new("store", opened.store.path()),
            dry_run: mode == Mode::DryRun,
            shared: shared.freed.into(),
            files: shared.files,
            blocks: shared.blocks.into(),
            left: shared.left.iter().map(|(why, entries)| (why.name(), *entries)).collect(),
            is_complete: !shared.is_stopped,
        };
        json::print(&mut out, &document)?;
    } else if !session.global.quiet {
        for line in sums(mode, shared) {
            session.style().write_line(&mut out, &line, Tone::Total)?;
        }
        for (why, entries) in &shared.left {
            let line = format!("left alone: {} {}", human::counted(*entries, "entry"), why.explanation());
            session.style().write_line(&mut out, &line, Tone::Quiet)?;
        }
    }
    out.flush()
}

/// The result, in a line each for files and for blocks.
fn sums(mode: Mode, shared: &ShareOutcome) -> Vec<String> {
    let (makes, frees, shares) = match mode {
        Mode::DryRun => ("would make", "would free", "would share"),
        Mode::Real => ("made", "freed", "shared"),
    };
    let mut sums = Vec::new();
    if shared.freed.files > 0 {
        let (entries, files) =
            (human::counted(shared.freed.files, "entry"), human::counted(shared.files, "file"));
        sums.push(format!("{makes} {entries} links of {files}; {frees} {}", human::size(shared.freed.disk)));
    }
    if shared.blocks.files > 0 {
        let (entries, size) = (human::counted(shared.blocks.files, "entry"), human::size(shared.blocks.disk));
        sums.push(format!("{shares} {size} of blocks of {entries} with others"));
    }
    if sums.is_empty() {
        sums.push("nothing to share".into());
    }
    sums
}
