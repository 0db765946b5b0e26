//! `pycstore share`: make equal entries hard links of one file.

use super::output::complain;
use super::output::style::Tone;
use super::removal::both;
use super::removal::lock::{Turn, take};
use super::selection::{Matched, ScopeOptions, Selection};
use super::session::{Opened, Session};
use super::stop::Cause;
use super::supervision;
use clap::Args;
use pycstore::effect::share::{EntrySharing, FilesToLink, MakeLinks, ShareOutcome};
use pycstore::exit::Exit;
use pycstore::history::{Journal, JournalError, Run};
use pycstore::host::extents::may_share;
use pycstore::json::{self, Mode, PathField, SCHEMA, Sum};
use pycstore::store::Purpose;
use pycstore::store::scan::{Question, Scan};
use pycstore::units::{Age, Tally, human};
use pycstore::verdict::policy::Policy;
use pycstore::verdict::shareable::{NotShared, ShareKind, ShareSearch, SharedKeys, grouped};
use pycstore::verdict::status::UncheckedHashes;
use serde::Serialize;
use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::io::{self, BufWriter, Write};
use std::time::{Duration, Instant};

/// Make equal entries hard links of one file.
///
/// Virtualenvs with the same packages have the same bytecode: uv, for example, links a package's sources into every
/// virtualenv, and Python compiles them in each. Entries become links of one file if they differ only in the path
/// of the source: the cache tag, the optimization, the header, the file's mode and owner, and the rest of the body
/// must be equal. The path does not matter, because Python corrects it when it loads an entry. Python replaces an
/// entry and never writes into it: if you edit a source, only its own entry is compiled again.
///
/// Of equal files, the one that was written last is kept. It gets the latest access time of them all.
///
/// On btrfs and XFS, entries that differ in the header too share blocks of the disk instead, if the paths of their
/// sources are equally long. An example is virtualenvs that pip filled, because pip gives each copy of a source a
/// new mtime. du counts such blocks for each entry.
///
/// share leaves these entries alone: those that Python would not load; those of import hooks (pytest corrects the
/// path only from version 9.2 on); those with unchecked hashes; those that the group or others may write to; those
/// of other users; those whose sources may have changed since they were compiled; and those that a `keep` glob matches.
///
/// A dry run counts as if a file could have any number of links. ext4 allows 65,000: then a real run links the rest
/// to another of the equal files, and frees a little less.
///
/// `cp -a`, `rsync -aH` and `tar` keep the links; without -H, rsync copies each link as a separate file.
///
/// With `nightly = true` in the table [share] of the configuration, `pycstore schedule run` shares after each
/// prune.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Exit status: 0 success, also if there is nothing to share, another prune is running or --max-runtime is \
                  reached; 1 something could not be read or linked; 2 nothing was done. After SIGINT, SIGTERM or SIGHUP, \
                  pycstore finishes the current file, records and reports the run, and ends by the signal."
)]
pub struct ShareOptions {
    /// Show what would be freed, and change nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// Stop cleanly after DURATION. If a file system does not respond, pycstore records the run and ends five seconds later
    #[arg(long, value_name = "DURATION")]
    pub max_runtime: Option<Age>,
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
    let began = Instant::now();
    let selection = Selection::of_share(session, &options.scope, options.max_runtime)?;
    let (mode, purpose) =
        if options.dry_run { (Mode::DryRun, Purpose::Look) } else { (Mode::Real, Purpose::Remove) };
    if let Some(age) = selection.intervals.max_runtime {
        supervision::begin()?;
        session.stop.limit(age);
    }
    let opened = session.open(purpose)?;
    session.note_shared(&opened.store);
    let journal = Journal::of_store(&session.environment, &opened.store);
    let run = ShareRun { session, selection: &selection, options, opened: &opened, journal, mode, began };
    run.carry_out()
}

/// One run on an open store.
struct ShareRun<'a> {
    session: &'a Session,
    selection: &'a Selection,
    options: &'a ShareOptions,
    opened: &'a Opened,
    journal: Result<Journal, JournalError>,
    mode: Mode,
    began: Instant,
}

impl ShareRun<'_> {
    fn carry_out(self) -> anyhow::Result<Exit> {
        let opened = self.opened;
        let _lock = match (self.mode == Mode::Real).then(|| take(opened, self.journal.as_ref().ok())) {
            Some(Turn::Others(locked)) => {
                let path = opened.store.path().display();
                complain::note(&format!("nothing was done: {} holds the lock of {path}", locked.holder()));
                return Ok(Exit::Done);
            }
            Some(Turn::Ours(lock)) => {
                self.record_overrun();
                Some(lock)
            }
            None => None,
        };
        opened.stop.on_signals()?;
        if let Some(age) = self.selection.intervals.max_runtime {
            opened.stop.after(age);
        }
        let (policy, matched) = self.selection.policy_on(self.session, opened);
        let mut shared = self.share(&policy);
        shared.troubles = both(std::mem::take(&mut shared.troubles), opened.troubles_of_aliases());
        let is_empty = shared.left.is_empty() && shared.freed.is_empty() && shared.troubles.is_empty();
        let is_empty = is_empty && !shared.is_stopped;
        if is_empty && !policy.scope.is_everything() && matched == Matched::Unknown {
            self.selection.note_nothing_in_scope(self.session);
        }
        Ok(self.finish(&shared))
    }

    /// Shares files, and then blocks where the file system lets files share some.
    fn share(&self, policy: &Policy) -> ShareOutcome {
        let mount = self.opened.evidence.mounts.of(self.opened.store.real_path());
        let mut shared = self.share_kind(policy, ShareKind::Files, &FilesToLink::new());
        if mount.is_some_and(|mount| may_share(&mount.kind)) && !shared.is_stopped {
            let linked = std::mem::take(&mut shared.linked);
            let mut blocks = self.share_kind(policy, ShareKind::Blocks, &linked);
            // Those that share no file are counted already.
            blocks.left.retain(|why, _| *why == NotShared::NoLinks);
            shared.append(blocks);
        }
        shared.troubles = both(std::mem::take(&mut shared.troubles), Vec::new());
        shared.is_stopped |= self.opened.stop.cause().is_some();
        shared
    }

    /// Scans for keys that several files have, then compares the files of each key, part by part.
    fn share_kind(&self, policy: &Policy, kind: ShareKind, linked: &FilesToLink) -> ShareOutcome {
        let (opened, hashes) = (self.opened, RandomState::new());
        let (store, threads, stop) = (&opened.store, opened.threads(), opened.stop.flag());
        let search = ShareSearch { store, scope: &policy.scope, kind, keys: &hashes };
        let question = Question::Everything(UncheckedHashes::Check);
        // What a stopped scan found can be shared: it may use all of the time.
        let scan = Scan { within: &policy.scope.mirrored, stop, ..opened.scan(question) };
        let (keys, left, troubles) = SharedKeys::collect(self.session.scan(&scan, || search.survey()));
        let mut shared = ShareOutcome { left, troubles, ..ShareOutcome::default() };
        let links = if self.mode == Mode::Real { MakeLinks::Yes } else { MakeLinks::No };
        let sharing = EntrySharing { store, links, kind, threads, linked, stop };
        for part in keys.parts() {
            let groups = grouped(scan.run(|| search.gather(&part), |_| {}));
            shared.append(sharing.run(groups, self.session.progress("comparing")));
            if opened.stop.cause().is_some() || store.is_lost() {
                break;
            }
        }
        shared.is_stopped |= store.is_lost();
        shared
    }

    /// Records the run, then shows it: a reader may be slow, or end this process.
    fn finish(&self, shared: &ShareOutcome) -> Exit {
        let stop = &self.opened.stop;
        // A signal makes the run incomplete; a time limit does not, because it was requested.
        let is_done = complain::is_read(&shared.troubles) && stop.cause() != Some(Cause::Signal);
        let mut exit = Exit::complete_if(is_done);
        if self.mode == Mode::Real {
            stop.begin_record();
            exit = self.record(shared, exit);
        }
        stop.end_work();
        let is_written = complain::is_written(self.show(shared));
        complain::troubles(&shared.troubles);
        if shared.is_stopped {
            complain::note("stopped before all entries were compared: the rest is left for the next run");
        }
        if is_written { exit } else { Exit::Incomplete }
    }

    /// Lets the run be recorded if the file system does not respond; what it freed is not known then.
    fn record_overrun(&self) {
        let (started, names) = (self.session.environment.now, &self.selection.names);
        let (none, exit) = (ShareOutcome::default(), Exit::Incomplete);
        let run = Run::of_share(&self.opened.store, started, Duration::ZERO, names, &none, exit);
        let (began, journal) = (self.began, self.journal.as_ref().ok().cloned());
        self.opened.stop.on_overrun(exit, move || {
            let run = run.unfinished(began.elapsed(), Tally::default());
            complain::is_done(journal.map_or(Ok(()), |journal| journal.record(&run)));
        });
    }

    /// Adds the run to the history. Returns its exit: `exit`, or incomplete where the record could not be written.
    fn record(&self, shared: &ShareOutcome, exit: Exit) -> Exit {
        let (started, names) = (self.session.environment.now, &self.selection.names);
        let run = Run::of_share(&self.opened.store, started, self.began.elapsed(), names, shared, exit);
        // Without a home there is no history.
        let recorded = self.journal.as_ref().map_or(Ok(()), |journal| journal.record(&run));
        if complain::is_done(recorded) { exit } else { Exit::Incomplete }
    }

    /// The result, on standard output.
    fn show(&self, shared: &ShareOutcome) -> io::Result<()> {
        let (mode, session) = (self.mode, self.session);
        let mut out = BufWriter::new(io::stdout().lock());
        if self.options.json {
            let document = ShareDocument {
                schema: SCHEMA,
                store: PathField::new("store", self.opened.store.path()),
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
}

/// The result: one line for files and one for blocks.
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
        sums.push(format!("{shares} blocks of {entries} with other entries: {size}"));
    }
    if sums.is_empty() {
        sums.push(if shared.is_stopped { "nothing was shared" } else { "nothing to share" }.into());
    }
    sums
}
