//! `pycstore sweep`: remove bytecode from source trees, or move it into the store.

mod document;

use super::config::home;
use super::output::complain::{self, Complaint};
use super::output::owner;
use super::output::style::Tone;
use super::output::table::{Column, Table};
use super::session::{Opened, Session};
use super::stop::{Cause, Stop};
use anyhow::Context;
use clap::Args;
use document::SweepDocument;
use pycstore::effect::sweep::{SweepOutcome, execute};
use pycstore::exit::Exit;
use pycstore::host::directory;
use pycstore::json::{self, Mode};
use pycstore::source::owner::Life;
use pycstore::store::Purpose;
use pycstore::store::in_tree::root::{Root, SweepRefusal, System};
use pycstore::store::in_tree::walk::{Bounds, Destination, Environments, Reason, Walk};
use pycstore::store::scan::Trouble;
use pycstore::units::Tally;
use pycstore::units::human;
use pycstore::verdict::scope::Keep;
use pycstore::verdict::sweep::{Emptied, KeepReason, Sourceless, SweepPlan, SweepPlanner, SweepPolicy};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Remove bytecode from source trees, or move it into the store.
///
/// Use it after switching to a store. Removes files in __pycache__, NAME.pyc and NAME.pyo beside NAME.py, and files
/// that interrupted writes and file synchronisers left there an hour ago or more. A NAME.pyc without NAME.py is a
/// module that Python imports, and stays. A file in __pycache__ without a source is removed, because no import
/// finds it; use --ignore if a tool loads it directly. Files that git tracks stay. Files that are not bytecode
/// stay, and so does a __pycache__ that contains one, such as numba's caches. Each file is checked again before it
/// is removed, and kept if it changed.
///
/// Symbolic links are not followed, and mount points are not crossed. Root sweeps another user's tree as that user.
/// Trees of different users are refused, and so is --adopt if the store belongs to another user than the trees.
/// Skips .git, .hg, .svn, .bzr, .jj and node_modules, the store, environments that are not given as PATH, and files
/// of a package manager (/usr but not /usr/local) or of a Python installation. Python before 3.8 cannot use a store
/// and will create its __pycache__ again.
#[derive(Debug, Clone, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(
    after_help = "Exit status: 0 success, also if there was nothing to sweep; 1 something could not be read, moved or removed; \
                        2 nothing was done: every PATH was refused. SIGINT, SIGTERM and SIGHUP stop it after the current file."
)]
pub struct SweepOptions {
    /// Directories of sources, a __pycache__, or an environment
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Show what would be removed, and remove nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Move bytecode that Python would still load into the store, so that it need not be compiled again. The
    /// location in the store follows the source's path as spelled in PATH
    #[arg(long)]
    pub adopt: bool,
    /// Also remove NAME.pyc and NAME.pyo without NAME.py beside them: modules that Python imports
    #[arg(long)]
    pub sourceless: bool,
    /// Also remove directories that contain only removed files; never PATH itself
    #[arg(long)]
    pub empty_directories: bool,
    /// Skip files and directories that match GLOB: a name matches in any directory, a path only as a whole; **
    /// crosses directories (may be repeated)
    #[arg(long, value_name = "GLOB")]
    pub ignore: Vec<String>,
    /// Also sweep the environments (pyvenv.cfg, conda-meta) below PATH
    #[arg(long)]
    pub include_environments: bool,
    /// Also sweep files of a package manager or of a Python installation
    #[arg(long)]
    pub system: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Runs `pycstore sweep`.
pub fn run(session: &Session, options: &SweepOptions) -> anyhow::Result<Exit> {
    let mode = if options.dry_run { Mode::DryRun } else { Mode::Real };
    let ignored = ignored(session, &options.ignore)?;
    let store_path = if options.adopt { Some(session.store_path()?) } else { session.store_path().ok() };
    let real_store = store_path.as_ref().and_then(|path| path.canonicalize().ok());
    let (roots, all_taken) = open_roots(session, options, real_store.as_deref());
    if roots.is_empty() {
        return Ok(Exit::Nothing);
    }
    let adoption = match store_path.filter(|_| options.adopt) {
        Some(path) => AdoptTarget::Into(open_store(session, &path, mode)?.map(Box::new), path),
        None => AdoptTarget::None,
    };
    let stop = Stop::default();
    stop.on_signals()?;

    let (plans, troubles) = plan(session, options, roots, real_store.as_deref(), &ignored, &adoption, &stop);
    let outcome = if stop.cause().is_some() {
        complain::note("stopped before the scan was complete: nothing was removed");
        SweepOutcome::default()
    } else {
        match mode {
            Mode::DryRun => SweepOutcome::expected(plans),
            Mode::Real => {
                let progress = session.progress("removed");
                execute(plans, adoption.store(), session.threads(), stop.flag(), progress)
            }
        }
    };

    stop.end_work();
    // The work is complete: output that cannot be written is one more problem to report.
    let is_written = complain::is_written(show(session, options, &adoption, &outcome, mode));
    explain(session, &outcome);
    let is_read = complain::troubles(&troubles) == Exit::Done;
    let is_stopped = stop.cause() == Some(Cause::Signal);
    let is_complete = all_taken && is_read && outcome.is_complete() && !is_stopped;
    Ok(Exit::complete_if(is_complete && is_written))
}

/// Plans the sweep of each root.
fn plan(
    session: &Session,
    options: &SweepOptions,
    roots: Vec<Root>,
    store: Option<&Path>,
    ignored: &Keep,
    adoption: &AdoptTarget,
    stop: &Stop,
) -> (Vec<(Root, SweepPlan)>, Vec<Trouble>) {
    let targets: Vec<PathBuf> = roots.iter().map(Root::target).collect();
    let is_ignored = |path: &Path| ignored.matches(path);
    let bounds = Bounds {
        roots: &targets,
        store,
        environments: if options.include_environments { Environments::Enter } else { Environments::Leave },
        system: system(options),
        is_ignored: &is_ignored,
    };
    let policy = SweepPolicy {
        sourceless: if options.sourceless { Sourceless::Remove } else { Sourceless::Keep },
        emptied: if options.empty_directories { Emptied::Remove } else { Emptied::Keep },
        user: directory::effective_user(),
        now: session.environment.now,
    };
    let mut plans: Vec<(Root, SweepPlan)> = Vec::new();
    let mut troubles: Vec<Trouble> = Vec::new();
    for root in roots {
        let (threads, destination) = (session.threads(), adoption.destination());
        let walk = Walk { root: &root, bounds, destination, threads, stop: stop.flag() };
        let parts = walk.run(|| SweepPlanner::new(policy), session.progress("scanning"));
        let mut plan = SweepPlanner::collect(parts);
        troubles.append(&mut plan.troubles);
        plans.push((root, plan));
    }
    (plans, troubles)
}

/// Whether and where bytecode is moved to.
enum AdoptTarget {
    /// Nowhere.
    None,
    /// Into this store; in a dry run it need not exist yet.
    Into(Option<Box<Opened>>, PathBuf),
}

impl AdoptTarget {
    fn store(&self) -> Option<&pycstore::store::Store> {
        match self {
            AdoptTarget::Into(Some(opened), _) => Some(&opened.store),
            AdoptTarget::Into(None, _) | AdoptTarget::None => None,
        }
    }

    fn destination(&self) -> Destination<'_> {
        match self {
            AdoptTarget::None => Destination::Nowhere,
            AdoptTarget::Into(None, _) => Destination::Empty,
            AdoptTarget::Into(Some(opened), _) => Destination::Store(&opened.store),
        }
    }

    fn path(&self) -> Option<&Path> {
        match self {
            AdoptTarget::Into(_, path) => Some(path),
            AdoptTarget::None => None,
        }
    }
}

fn system(options: &SweepOptions) -> System {
    if options.system { System::Sweep } else { System::Leave }
}

/// The roots that may be swept, each once; reports the others, and returns whether all may be.
fn open_roots(session: &Session, options: &SweepOptions, store: Option<&Path>) -> (Vec<Root>, bool) {
    let mut roots: Vec<Root> = Vec::new();
    let mut all_taken = true;
    for path in &options.paths {
        let path = session.environment.absolute(path);
        match Root::open(&path, store, system(options)) {
            Ok(root) if roots.iter().any(|other| other.target() == root.target()) => {}
            Ok(root) => roots.push(root),
            Err(refusal) => {
                all_taken = false;
                let hint = hint(&refusal);
                complain::fatal(&Complaint::caused(refusal, hint).into());
            }
        }
    }
    (roots, all_taken)
}

fn hint(refusal: &SweepRefusal) -> &'static str {
    match refusal {
        SweepRefusal::NotFound(_) | SweepRefusal::NotADirectory(_) | SweepRefusal::Io { .. } => {
            "specify a directory of sources: pycstore sweep ~/project"
        }
        SweepRefusal::RootDirectory(_) => "specify your own source trees: pycstore sweep ~/project",
        SweepRefusal::Packaged(_) | SweepRefusal::Installation(_) => "to sweep it, too: --system",
        SweepRefusal::Doubtful { .. } => {
            "run as that user, or remove write access for others from the directories on the path"
        }
        SweepRefusal::InStore(_) => "to remove entries of the store: pycstore prune",
    }
}

/// The store to move into. In a dry run it need not exist, and is not created.
fn open_store(session: &Session, path: &Path, mode: Mode) -> anyhow::Result<Option<Opened>> {
    let is_there = path.try_exists().with_context(|| path.display().to_string())?;
    match mode {
        Mode::DryRun if !is_there => Ok(None),
        // Refuses what the real run would refuse.
        Mode::DryRun => session.open(Purpose::Remove).map(Some),
        Mode::Real => session.open_to_fill("run as that user, or without --adopt").map(Some),
    }
}

/// The globs of ignored files; a name alone matches in any directory.
fn ignored(session: &Session, given: &[String]) -> anyhow::Result<Keep> {
    let hint = "a glob is a name, such as 'build', or an absolute path, such as '/home/me/work/**'";
    let mut globs = Vec::new();
    for glob in given {
        let anywhere = if glob.contains('/') || glob.is_empty() || glob.starts_with('~') {
            glob.clone()
        } else {
            format!("**/{glob}")
        };
        let glob = home::in_glob(&anywhere, &session.environment);
        globs.push(glob.map_err(|message| Complaint::new(message, hint))?);
    }
    Ok(Keep::of(globs.iter().map(String::as_str)).map_err(|error| Complaint::caused(error, hint))?)
}

/// Data, on standard output.
fn show(
    session: &Session,
    options: &SweepOptions,
    adoption: &AdoptTarget,
    outcome: &SweepOutcome,
    mode: Mode,
) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    if options.json {
        let paths: Vec<PathBuf> =
            options.paths.iter().map(|path| session.environment.absolute(path)).collect();
        json::print(&mut out, &SweepDocument::new(&paths, adoption.path(), outcome, mode))?;
    } else if !session.global.quiet {
        print(session, options, outcome, mode, &mut out)?;
    }
    out.flush()
}

fn print(
    session: &Session,
    options: &SweepOptions,
    outcome: &SweepOutcome,
    mode: Mode,
    out: &mut dyn Write,
) -> io::Result<()> {
    if !outcome.owners.is_empty() {
        let mut columns = vec![Column::right("SIZE", 0), Column::right("FILES", 1)];
        columns.extend(options.adopt.then(|| Column::right("ADOPTED", 2)));
        let mut table = Table::new(columns, "OWNER");
        for row in &outcome.owners {
            let tone = if row.owner.life == Life::Gone { Tone::Gone } else { Tone::Normal };
            let mut cells = vec![human::size(row.removed.disk), human::count(row.removed.files)];
            cells.extend(options.adopt.then(|| human::count(row.adopted.files)));
            table.row(cells, owner::shown(&row.owner, &session.terminal), tone);
        }
        table.print(out, &session.terminal, session.style())?;
    }
    let sum = if options.adopt { sum_adopted(outcome, mode) } else { sum(outcome, mode) };
    session.style().write_line(out, &sum, Tone::Total)
}

/// The removed files in one line.
fn sum(outcome: &SweepOutcome, mode: Mode) -> String {
    let is_whole = outcome.is_complete() && outcome.left.is_empty();
    owner::removed(mode, outcome.removed, outcome.directories, is_whole)
}

/// The files that were moved into the store, and those that were only removed, in one line.
fn sum_adopted(outcome: &SweepOutcome, mode: Mode) -> String {
    let (adopt, remove) = match mode {
        Mode::DryRun => ("would adopt", "would remove"),
        Mode::Real => ("adopted", "removed"),
    };
    let Tally { files, disk, .. } = outcome.adopted;
    let adopted = format!("{adopt} {}, {}", human::counted(files, "file"), human::size(disk));
    if outcome.removed.is_empty() && files == 0 {
        return sum(outcome, mode);
    }
    if !outcome.failures.is_empty() {
        // A file that could not be removed exists in both places: the numbers overlap.
        let remaining = outcome.failures.iter().map(|failure| failure.files).sum();
        let remaining = human::counted(remaining, "file");
        return format!("{}; {adopted}; could not remove {remaining}", sum(outcome, mode));
    }
    let others = outcome.removed.files.saturating_sub(files);
    let size = human::size(outcome.removed.disk.saturating_sub(disk));
    let removed = match (others, outcome.directories) {
        (0, 0) => return adopted,
        (0, directories) => human::counted(directories, "directory"),
        (others, 0) => format!("{}, {size}", human::counted(others, "other file")),
        (others, directories) => {
            let files = human::counted(others, "other file");
            format!("{files} and {}, {size}", human::counted(directories, "directory"))
        }
    };
    format!("{adopted}; {remove} {removed}")
}

/// Reports on standard error what was not removed. With `--quiet`, files that stay as intended are not reported.
fn explain(session: &Session, outcome: &SweepOutcome) {
    let is_quiet = session.global.quiet;
    let kept = outcome.kept.iter().filter(|it| !is_quiet || it.why.is_unexpected());
    complain::paths("kept", kept.map(|it| (it.why, &it.path)), KeepReason::explanation);
    let left_alone = outcome.left_alone.iter().filter(|_| !is_quiet);
    complain::paths("skipped", left_alone.map(|it| (it.reason, &it.path)), Reason::explanation);
    complain::problems(&outcome.failures);
    // Each has a number already.
    outcome.not_adopted.iter().for_each(|error| complain::problem(error));
    complain::left(outcome.left, outcome.directories_left);
}
