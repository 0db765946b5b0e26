//! `pycstore warm`: fill the store ahead of use. `sources` finds what is to be compiled below paths, `stale` what the
//! store has of no use any more.

mod document;
mod sources;
mod stale;

use super::env::this_program;
use super::output::json;
use super::output::style::Tone;
use super::output::table::{Column, Table};
use super::output::{complain, path};
use super::session::{Opened, Session};
use clap::Args;
use document::WarmDocument;
use pycstore::effect::compile::{Compilation, Group, compile};
use pycstore::effect::new_entry::make_mirror;
use pycstore::exit::Exit;
use pycstore::host::trust::runner::Runners;
use pycstore::store::scan::{Question, Scan, Trouble, Visit, Visitor};
use pycstore::units::human;
use pycstore::verdict::status::{self, Status, UncheckedHashes};
use std::collections::{BTreeSet, HashSet};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Compile sources into the store ahead of use.
///
/// Each is compiled by the interpreter that will import it: what lies in an environment by the environment's own, the
/// library of an installation by that one's, all else by the nearest .venv in the project or above it, and where
/// there is none by the newest CPython on this machine or the one that --python names. What the store has fresh
/// already is not compiled again. Nothing of a source is run; the interpreters run without the caller's
/// environment.
///
/// Directories with programs, and those that PATH leaves by `..`, get an empty directory in the store: with bin/../lib
/// on sys.path Python opens STORE/bin/../lib/m.pyc, which needs STORE/bin.
///
/// An interpreter found in a tree runs only if it and all directories on the way to it belong to you or to root. For
/// root, no other user may be able to change its standard library, pyvenv.cfg and linked libraries either, and that holds
/// for --python too; the interpreter then runs as nobody if that user can start it. pycstore reads the sources and writes
/// the entries. Root fills another user's store as that user, and compiles no other user's tree into its own store.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Exit status: 0 all compiled, or fresh already; 1 something could not be read or compiled; 2 nothing \
                        done. SIGINT, SIGTERM and SIGHUP stop it after the sources that are being compiled."
)]
pub struct WarmOptions {
    /// Projects, environments, other directories or source files [default: the working directory]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Compile what `ls --status stale` shows, each entry by an interpreter of its tag and with its optimization; PATH
    /// narrows that
    #[arg(long, conflicts_with = "python")]
    pub all_stale: bool,
    /// The interpreter for what no environment decides: a path, or a name on PATH
    #[arg(long, value_name = "PYTHON")]
    pub python: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// What is to be compiled.
struct Work {
    groups: Vec<Group>,
    /// What the store has fresh, of what lies on the way.
    fresh: HashSet<PathBuf>,
    /// Directories of programs and those that a path leaves by `..`: Python opens entries through their mirrors.
    program_directories: BTreeSet<PathBuf>,
    /// Whether nothing was left out that was asked for.
    is_whole: bool,
}

/// Runs `pycstore warm`.
pub fn run(session: &Session, options: &WarmOptions) -> anyhow::Result<Exit> {
    let hint = "run as that user: sudo -u USER pycstore warm …";
    let opened = session.open_to_fill(hint)?;
    opened.stop.on_signals()?;
    let runners = Runners::new(Some(this_program()?));
    let work = if options.all_stale {
        stale::work(session, options, &opened, &runners)?
    } else {
        match sources::work(session, options, &opened, &runners)? {
            Some(work) => work,
            None => return Ok(Exit::Nothing),
        }
    };
    let compilation = if opened.stop.cause().is_some() {
        Compilation::default()
    } else {
        let mut progress = session.progress("compiling");
        let (store, threads) = (&opened.store, opened.threads());
        let is_fresh = |entry: &Path| work.fresh.contains(entry);
        let update = |sources| progress.update(sources);
        compile(store, &work.groups, &is_fresh, &runners, threads, opened.stop.flag(), update)
    };
    let are_made = make_mirrors(&opened, &work);
    opened.stop.end_work();
    // What is done is done: an output that cannot be written is one more problem to report.
    let is_written = complain::is_written(show(session, options, &opened, &compilation));
    for failure in &compilation.failures {
        complain::problem(failure);
    }
    let is_stopped = opened.stop.cause().is_some();
    if is_stopped {
        let left = human::counted(compilation.left, "source");
        complain::note(&format!("stopped early: at least {left} left"));
    }
    let is_complete = work.is_whole && are_made && compilation.failures.is_empty() && !is_stopped;
    Ok(Exit::complete_if(is_complete && is_written))
}

/// Makes the mirrors of directories of programs; whether all are there.
fn make_mirrors(opened: &Opened, work: &Work) -> bool {
    let mut are_made = true;
    for directory in &work.program_directories {
        if opened.stop.cause().is_some() {
            return true;
        }
        if let Err(error) = make_mirror(&opened.store, directory) {
            are_made = false;
            let message = format!("cannot make the mirror of {} in the store", directory.display());
            complain::problem(anyhow::Error::new(error).context(message).as_ref());
        }
    }
    are_made
}

/// Collects the paths of the fresh entries.
#[derive(Default)]
struct Fresh {
    entries: Vec<PathBuf>,
    troubles: Vec<Trouble>,
}

struct FreshIn<'a>(&'a Opened, Fresh);

impl Visitor for FreshIn<'_> {
    fn directory(&mut self, visit: &Visit<'_>) {
        let is_fresh = |status| status == Some(Status::Fresh);
        let fresh =
            visit.entries.iter().filter(|entry| is_fresh(status::judge(entry, UncheckedHashes::Trust)));
        self.1.entries.extend(fresh.map(|entry| self.0.store.shown(visit.relative, entry.name)));
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.1.troubles.push(trouble);
    }
}

/// The fresh entries of sources at or below these paths; complains of what cannot be read.
fn fresh_below(session: &Session, opened: &Opened, paths: &[PathBuf]) -> (HashSet<PathBuf>, bool) {
    let mut progress = session.progress("looking at");
    let scan = Scan { within: paths, ..opened.scan(Question::Everything(UncheckedHashes::Trust)) };
    let mut all = HashSet::new();
    let mut is_whole = true;
    for FreshIn(_, fresh) in
        scan.run(|| FreshIn(opened, Fresh::default()), |entries| progress.update(entries))
    {
        is_whole &= complain::troubles(&fresh.troubles) == Exit::Done;
        all.extend(fresh.entries);
    }
    (all, is_whole)
}

/// Data, on standard output.
fn show(
    session: &Session,
    options: &WarmOptions,
    opened: &Opened,
    compilation: &Compilation,
) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    if options.json {
        json::print(&mut out, &WarmDocument::new(opened.store.path(), compilation))?;
    } else if !session.global.quiet {
        print(session, compilation, &mut out)?;
    }
    out.flush()
}

fn print(session: &Session, compilation: &Compilation, out: &mut dyn Write) -> io::Result<()> {
    let columns = vec![
        Column::right("COMPILED", 0),
        Column::right("FRESH", 2),
        Column::right("FAILED", 1),
        Column::left("TAG", 3),
    ];
    let mut table = Table::new(columns, "INTERPRETER");
    let (mut compiled, mut fresh, mut failed) = (0, 0, 0);
    for (executable, row) in &compilation.rows {
        compiled += row.compiled;
        fresh += row.fresh;
        failed += row.failed;
        let tag = if row.tag.is_empty() { "-".into() } else { pycstore::quoting::escaped(&row.tag) };
        let cells = vec![human::count(row.compiled), human::count(row.fresh), human::count(row.failed), tag];
        table.row(cells, path::shown(executable, &session.terminal), Tone::Normal);
    }
    if !compilation.rows.is_empty() {
        table.print(out, &session.terminal, session.style())?;
    }
    let mut sum = match compiled {
        0 => "nothing compiled".to_string(),
        compiled => format!("compiled {}", human::counted(compiled, "source")),
    };
    if fresh > 0 {
        sum += &format!(", {} fresh already", human::count(fresh));
    }
    if failed > 0 {
        sum += &format!(", {} not compiled", human::count(failed));
    }
    session.style().write_line(out, &sum, Tone::Total)
}
