//! `pycstore warm`: fill the store ahead of use.

mod document;

use super::env::this_program;
use super::output::style::Tone;
use super::output::table::{Column, Table};
use super::output::{complain, path};
use super::paths;
use super::selection::not_kept;
use super::session::{Opened, Session};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use document::WarmDocument;
use pycstore::effect::compile::{Compilation, CompileFailure, CompiledSources, SourceGroup, compile};
use pycstore::effect::new_entry::make_mirror;
use pycstore::effect::reuse::EntryReuse;
use pycstore::exit::Exit;
use pycstore::host::trust::runner::Runners;
use pycstore::json;
use pycstore::pyc::InvalidationMode;
use pycstore::store::scan::Question;
use pycstore::units::human;
use pycstore::verdict::status::UncheckedHashes;
use pycstore::warm::{EntryChoice, Planning, Remark, WarmPlan, plan_sources, plan_stale};
use std::cell::Cell;
use std::collections::{BTreeSet, HashSet};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Compile sources into the store ahead of use.
///
/// Each source is compiled by the interpreter that will import it: in an environment by that environment's, in the
/// library of an installation by that installation's, elsewhere by that of the nearest .venv in the project or
/// above it, or else by the newest CPython on this machine or the one that --python names. Sources with a fresh
/// entry are skipped. No source is run; the interpreters do not get the caller's environment.
///
/// If an equal source is already compiled, as in another virtualenv with the same packages, the store gets a hard
/// link of its entry instead, or a copy where that is not possible (see `pycstore share`). Of equal sources in one
/// run, one is compiled.
/// Equal sources have the same name, the same mtime and size (or hash) and the same bytes. Without a hash, the
/// source of the entry must also be unchanged since it was compiled, and no directory on its path may have been
/// replaced since; otherwise the new source is compiled. The store is searched for such entries if at least 32 sources are to be
/// compiled.
///
/// Caches below PATH are left out: directories called .cache, such as those of uv and pip, and directories with a
/// CACHEDIR.TAG that are no environments. Name one to compile it.
///
/// The store gets an empty directory for each directory with programs, and for each directory before a `..` in
/// PATH: with bin/../lib on sys.path Python opens STORE/bin/../lib/m.pyc, which needs STORE/bin.
///
/// An interpreter found in a tree is run only if it and all directories on its path belong to you or to root. For
/// root, no other user may be able to change its standard library, pyvenv.cfg and linked libraries either, which
/// also holds for --python; the interpreter then runs as nobody if that user can start it. pycstore itself reads
/// the sources and writes the entries. Root fills another user's store as that user, and does not compile another
/// user's tree into root's store.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Exit status: 0 all are compiled or were already fresh; 1 some could not be read or compiled, such as a \
                        source with a syntax error, or the run was stopped; 2 nothing was compiled, because the interpreters were \
                        refused, missing or failed, or entries could not be written. In a job where invalid sources are expected: \
                        pycstore warm || test $? = 1. SIGINT, SIGTERM and SIGHUP stop it after the sources that are being compiled."
)]
pub struct WarmOptions {
    /// Projects, environments, other directories or source files [default: the working directory]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Recompile the entries that `ls --status stale` shows, each with an interpreter of its tag and at its
    /// optimization level; PATH limits them
    #[arg(long, conflicts_with = "python")]
    pub all_stale: bool,
    /// The interpreter for sources that belong to no environment: a path, or a program on $PATH
    #[arg(long, value_name = "PYTHON")]
    pub python: Option<PathBuf>,
    /// The invalidation mode of the entries [default: timestamp, or checked-hash if SOURCE_DATE_EPOCH is set]
    ///
    /// Fresh entries of another mode are replaced. Entries with a checked hash stay fresh if a checkout changes the
    /// mtimes of the sources. The default is that of py_compile, and then a fresh entry of any mode is kept.
    #[arg(long, value_name = "MODE", conflicts_with = "all_stale", value_parser = invalidation_modes())]
    pub invalidation_mode: Option<InvalidationMode>,
    /// The optimization level: 1 for python -O, 2 for -OO; several such as 0,2 give several entries for each source
    #[arg(short, long, value_name = "LEVEL", value_delimiter = ',', default_value = "0", conflicts_with = "all_stale", value_parser = clap::value_parser!(u8).range(0..=2))]
    pub optimization: Vec<u8>,
    /// Compile every source, even if the store has the entry of an equal source
    #[arg(long)]
    pub no_reuse: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

fn invalidation_modes() -> impl TypedValueParser<Value = InvalidationMode> {
    PossibleValuesParser::new(InvalidationMode::ALL.map(InvalidationMode::name)).map(|name| {
        let is_named = |mode: &InvalidationMode| mode.name() == name;
        InvalidationMode::ALL.into_iter().find(is_named).expect("the parser knows the names")
    })
}

/// Runs `pycstore warm`.
pub fn run(session: &Session, options: &WarmOptions) -> anyhow::Result<Exit> {
    let opened = session.open_to_fill("run as that user: sudo -u USER pycstore warm …")?;
    opened.stop.on_signals()?;
    let runners = Runners::new(Some(this_program()?));
    let no_interpreter = Cell::new(false);
    let Some(plan) = plan(session, options, &opened, &runners, &no_interpreter)? else {
        return Ok(Exit::Nothing);
    };
    let program_directories = plan.program_directories;
    let compilation = if opened.stop.cause().is_some() {
        Compilation::default()
    } else {
        fill(session, options, &opened, (plan.groups, &plan.fresh), &runners)?
    };
    let are_made = make_mirrors(&opened, &program_directories);
    opened.stop.end_work();
    // The work is complete: output that cannot be written is one more problem to report.
    let is_written = complain::is_written(show(session, options, &opened, &compilation));
    complain::problems(&compilation.failures);
    let is_stopped = opened.stop.cause().is_some();
    if is_stopped {
        let left = human::counted(compilation.left, "source");
        complain::note(&format!("stopped early: at least {left} left"));
    }
    let is_complete = plan.is_whole && compilation.failures.is_empty() && !is_stopped;
    let is_source_to_blame = compilation.failures.iter().all(CompileFailure::is_of_source);
    let is_all_due_to_sources = are_made && is_source_to_blame && !no_interpreter.get();
    if !is_all_due_to_sources && compilation.rows.values().all(|row| row.compiled + row.reused == 0) {
        return Ok(Exit::Nothing);
    }
    Ok(Exit::complete_if(is_complete && are_made && is_written))
}

/// Reuses the entries of equal sources, and compiles the other sources.
fn fill(
    session: &Session,
    options: &WarmOptions,
    opened: &Opened,
    (groups, fresh): (Vec<SourceGroup>, &HashSet<PathBuf>),
    runners: &Runners,
) -> anyhow::Result<Compilation> {
    let is_fresh = |entry: &Path| fresh.contains(entry);
    let (store, threads, stop) = (&opened.store, opened.threads(), opened.stop.flag());
    let compile_all = |groups: &[SourceGroup]| {
        compile(store, groups, &is_fresh, runners, threads, stop, session.progress("compiling"))
    };
    if options.no_reuse {
        return Ok(compile_all(&groups));
    }
    let scope = not_kept(session, opened)?;
    let scan = opened.scan(Question::Everything(UncheckedHashes::Check));
    let entries = EntryReuse { scan, scope: &scope };
    let mut reuse = entries.run(groups, &is_fresh, session.progress("scanning"));
    let mut compilation = compile_all(&reuse.groups);
    compilation.append(std::mem::take(&mut reuse.done));
    let mut rest = entries.repeat(reuse);
    compilation.append(compile_all(&rest.groups));
    compilation.append(std::mem::take(&mut rest.done));
    compilation.failures.sort_by(|one, other| one.path().cmp(other.path()));
    Ok(compilation)
}

/// Plans the compilation; `None` if every path was refused. Sets `no_interpreter` if sources have no interpreter
/// that may be run.
fn plan(
    session: &Session,
    options: &WarmOptions,
    opened: &Opened,
    runners: &Runners,
    no_interpreter: &Cell<bool>,
) -> anyhow::Result<Option<WarmPlan>> {
    let mut planning = Planning {
        environment: &session.environment,
        scan: opened.scan(Question::Everything(UncheckedHashes::Trust)),
        runners,
        interpreters: &|| session.interpreters_with(opened),
        progress: &|| Box::new(session.progress("scanning")),
        remarks: &mut |remark| match remark {
            Remark::Refused(complaint) => complain::fatal(&complaint.into()),
            Remark::Unreadable(unreadable) => complain::problem(&unreadable),
            Remark::Trouble(trouble) => complain::problem(&trouble),
            Remark::NoInterpreter(message) => {
                no_interpreter.set(true);
                complain::note(&message);
            }
            Remark::Expected(_) if session.global.quiet => {}
            Remark::Left(message) | Remark::Expected(message) => complain::note(&message),
        },
    };
    if options.all_stale {
        let named = paths::named(session, opened, &options.paths);
        named.note_missing(session);
        return Ok(Some(plan_stale(&mut planning, &named.all, &named.mirrored)));
    }
    let of_epoch = session.environment.source_date_epoch.map(|_| InvalidationMode::CheckedHash);
    let choice = EntryChoice {
        invalidation: options.invalidation_mode.or(of_epoch),
        optimizations: options.optimization.iter().copied().collect(),
    };
    Ok(plan_sources(&mut planning, &options.paths, options.python.as_deref(), &choice)?)
}

/// Creates the mirrors of directories with programs; returns whether all exist.
fn make_mirrors(opened: &Opened, program_directories: &BTreeSet<PathBuf>) -> bool {
    let mut are_made = true;
    for directory in program_directories {
        if opened.stop.cause().is_some() {
            return true;
        }
        if let Err(error) = make_mirror(&opened.store, directory) {
            are_made = false;
            let message = format!("cannot create the directory for {} in the store", directory.display());
            complain::problem(anyhow::Error::new(error).context(message).as_ref());
        }
    }
    are_made
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
    let total = |count: fn(&CompiledSources) -> u64| compilation.rows.values().map(count).sum::<u64>();
    let (compiled, reused, fresh, failed) =
        (total(|row| row.compiled), total(|row| row.reused), total(|row| row.fresh), total(|row| row.failed));
    let mut columns = vec![Column::right("COMPILED", 0)];
    columns.extend((reused > 0).then(|| Column::right("REUSED", 1)));
    columns.extend([Column::right("FRESH", 2), Column::right("FAILED", 1), Column::left("TAG", 3)]);
    let mut table = Table::new(columns, "INTERPRETER");
    for (executable, row) in &compilation.rows {
        let tag = if row.tag.is_empty() { "-".into() } else { path::escaped(&row.tag) };
        let mut cells = vec![human::count(row.compiled)];
        cells.extend((reused > 0).then(|| human::count(row.reused)));
        cells.extend([human::count(row.fresh), human::count(row.failed), tag]);
        table.row(cells, path::shown(executable, &session.terminal), Tone::Normal);
    }
    if !compilation.rows.is_empty() {
        table.print(out, &session.terminal, session.style())?;
    }
    let mut sum = match compiled {
        0 => "nothing compiled".to_string(),
        compiled => format!("compiled {}", human::counted(compiled, "source")),
    };
    if reused > 0 {
        sum += &format!(", {} reused from equal sources", human::count(reused));
    }
    if fresh > 0 {
        sum += &format!(", {} already fresh", human::count(fresh));
    }
    if failed > 0 {
        sum += &format!(", {} failed", human::count(failed));
    }
    session.style().write_line(out, &sum, Tone::Total)
}
