//! `pycstore setup`: sets `PYTHONPYCACHEPREFIX` in startup files, and hides `__pycache__` from git and editors.
//!
//! `undo`: `pycstore setup --undo`.

mod undo;

use super::config::Origin;
use super::edit::{self, Confirm, Direction, EditOutcome, carry_through, report_failure};
use super::output::complain::{self, Complaint};
use super::output::path;
use super::session::Session;
use clap::Args;
use pycstore::edits::{EditPlan, TextPlace, home_of_user};
use pycstore::exit::Exit;
use pycstore::quoting::at_home;
use pycstore::schedule;
use pycstore::setup::{self, Preparation, Target, TargetPlan, vscode};
use pycstore::source::witness::real_path;
use pycstore::store::Purpose;
use pycstore::store::sharing::Sharing;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Set PYTHONPYCACHEPREFIX in your shell, or prepare git, VS Code, Docker, CI or monitoring.
///
/// Sets the variable for shells, systemd sessions and cron. Shows the changes and asks before it makes them; a second run
/// changes nothing. The added lines are between two markers, and --undo removes exactly those. The store is created so
/// that only you can access it, and tagged as a cache, so that backup programs skip it. Snippets are only printed. A
/// directory that other programs use too, such as /tmp or ~/.cache, is refused as a store.
///
/// An edited file keeps its owner, group, mode, ACL and extended attributes; if that is impossible, it is left
/// unchanged. Edited files are listed in $XDG_STATE_HOME/pycstore/edits.jsonl, else ~/.local/state/pycstore/edits.jsonl,
/// so that --undo finds them after ZDOTDIR, XDG_CONFIG_HOME or git's core.excludesFile has changed. Without that list,
/// --undo looks where setup would edit now.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(
    after_help = "Exit status: 0 success, also if there was nothing to do; 1 something could not be changed; 2 nothing \
                        was done: wrong usage, no terminal to ask on, or a file or store was refused."
)]
pub struct SetupOptions {
    /// What to set up [default: the detected shell]
    #[arg(value_name = "TARGET")]
    pub targets: Vec<Target>,
    /// Print the lines to add by hand, and change nothing
    #[arg(long, conflicts_with_all = ["undo", "dry_run", "yes"])]
    pub print: bool,
    /// Show the changes to each file as a diff, and change nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Remove exactly what setup added, for all targets if no TARGET is given: files get their original bytes back, and
    /// directories that were created for them are removed if they are empty. The store stays
    #[arg(long)]
    pub undo: bool,
}

/// A target and what it changes.
struct PreparedTarget {
    target: Target,
    plan: TargetPlan,
}

/// The edits of all targets.
#[derive(Default)]
struct PlannedSetup {
    edits: EditPlan,
    /// The targets without a failure.
    targets: Vec<Target>,
    /// The number of targets with a failure.
    failures: usize,
}

impl PlannedSetup {
    fn is_empty(&self) -> bool {
        self.targets.is_empty() && self.edits.is_empty()
    }
}

/// Runs `pycstore setup`.
pub fn run(session: &Session, options: &SetupOptions) -> anyhow::Result<Exit> {
    let home = home_of_user(&session.environment)?;
    let targets = targets(session, options)?;
    if options.undo {
        undo::undo(session, options, &targets, &home)
    } else {
        set_up(session, options, &targets, &home)
    }
}

/// Returns the targets to set up or undo, each once.
fn targets(session: &Session, options: &SetupOptions) -> Result<Vec<Target>, Complaint> {
    if options.targets.is_empty() && options.undo {
        return Ok(Target::EDITED.to_vec());
    }
    if options.targets.is_empty() {
        let (target, shell) = setup::detect(&session.environment)?;
        session.note(&format!("detected shell: {shell}"));
        return Ok(vec![target]);
    }
    let mut targets = Vec::new();
    for &target in &options.targets {
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    Ok(targets)
}

fn set_up(
    session: &Session,
    options: &SetupOptions,
    targets: &[Target],
    home: &Path,
) -> anyhow::Result<Exit> {
    let store = store(session)?;
    if targets.iter().any(|target| target.sets_variable()) {
        vet(session, &store)?;
    }
    let prepared = prepare(session, options, targets, &store, home);
    let refused = targets.len() - prepared.len();
    if options.print {
        print(session, &prepared)?;
        return Ok(if refused > 0 { Exit::Nothing } else { Exit::Done });
    }
    let planned = plan(session, &prepared)?;
    let failures = refused + planned.failures;
    let is_snippet_only = prepared.iter().all(|it| it.target.is_snippet());
    if planned.is_empty() || is_snippet_only {
        return Ok(exit(&EditOutcome::default(), failures, is_snippet_only && !prepared.is_empty()));
    }
    let outcome = carry_out(session, options, &prepared, &planned, &store, home)?;
    if outcome.is_done() && !options.dry_run && !session.global.quiet {
        for target in &planned.targets {
            if let Some(reach) = target.reach() {
                complain::note(&format!("{target}: applies to {reach}"));
            }
        }
        if outcome.edited > 0 && prepared.iter().any(|it| it.target.sets_variable()) {
            note_next_steps(session, &prepared);
        }
    }
    Ok(exit(&outcome, failures, false))
}

/// Returns the store that the variable will name.
fn store(session: &Session) -> Result<PathBuf, Complaint> {
    let store = session.store();
    let named = match store.origin {
        Origin::Flag(_) => session.global.store.clone(),
        Origin::Variable(_) => session.environment.prefix.clone().map(PathBuf::from),
        Origin::File { .. } | Origin::Default => None,
    };
    let origin = store.origin.long(session.configuration.path.as_deref());
    if let Some(named) = &named {
        let hint = "specify the store: pycstore setup --store \"$HOME/.cache/cpython\" …";
        if named.starts_with("~") {
            let message = format!("{origin} is {}: a quoted `~` is not expanded", named.display());
            return Err(Complaint::new(message, hint));
        }
        if !named.is_absolute() && matches!(store.origin, Origin::Variable(_)) {
            let message =
                format!("{origin} is {}: a relative path depends on the working directory", named.display());
            return Err(Complaint::new(message, hint));
        }
    }
    let value = match store.origin {
        // Not the store of Apple's Python: the variable is for all Pythons.
        Origin::Default => session.environment.default_stores.first().cloned(),
        _ => store.value,
    };
    value.ok_or_else(|| Complaint::new("no store: HOME is not set", "pycstore setup --store DIR …"))
}

/// Refuses a directory that no command takes for a store, or that other programs use too.
fn vet(session: &Session, store: &Path) -> anyhow::Result<()> {
    let environment = &session.environment;
    let sharing = if store.exists() {
        session.sharing(&session.open(Purpose::Look)?.store)
    } else {
        let is_known =
            Sharing::is_known(&real_path(store), &environment.common_directories, &environment.homes);
        is_known.then_some(Sharing::KnownPlace)
    };
    let Some(sharing) = sharing else { return Ok(()) };
    let message =
        format!("refused: {} is shared with other programs ({})", store.display(), sharing.explanation());
    let hint = format!("use a separate directory: pycstore setup --store {} …", environment.own_store());
    Err(Complaint::new(message, hint).into())
}

/// Finds out what each target changes. Reports and leaves out the targets that cannot be set up.
fn prepare(
    session: &Session,
    options: &SetupOptions,
    targets: &[Target],
    store: &Path,
    home: &Path,
) -> Vec<PreparedTarget> {
    let mut prepared = Vec::new();
    for &target in targets {
        match TargetPlan::new(&session.environment, target, store, home) {
            Ok(plan) => prepared.push(PreparedTarget { target, plan }),
            // The settings can be printed even if the editor is not installed.
            Err(_) if options.print && target == Target::Vscode => {
                prepared.push(PreparedTarget { target, plan: TargetPlan::Settings(Vec::new()) });
            }
            Err(complaint) => complain::fatal(&complaint.into()),
        }
    }
    prepared
}

/// Plans the edits, and prints the snippets. Reports what cannot be changed.
fn plan(session: &Session, prepared: &[PreparedTarget]) -> io::Result<PlannedSetup> {
    let mut planned = PlannedSetup::default();
    for PreparedTarget { target, plan } in prepared {
        let mut failures = 0;
        let mut note_failure = |error| {
            report_failure(error, Direction::Put);
            failures += 1;
        };
        match plan {
            TargetPlan::Blocks(edits) => {
                for edit in edits {
                    session.note(&format!("{target}: {}: {}", shown(session, &edit.place), edit.why));
                    edit.add_to(&mut planned.edits).unwrap_or_else(&mut note_failure);
                }
            }
            TargetPlan::Settings(_) => {
                for place in plan.places() {
                    vscode::plan_entries(&mut planned.edits, &place).unwrap_or_else(&mut note_failure);
                }
            }
            TargetPlan::Snippet(text) => {
                let mut out = io::stdout().lock();
                out.write_all(&path::lines_shown(text.as_bytes(), &session.terminal))?;
                out.flush()?;
            }
        }
        if failures > 0 {
            planned.failures += 1;
        } else {
            planned.targets.push(*target);
        }
    }
    Ok(planned)
}

/// Shows the plan, asks, prepares the store and edits the files.
fn carry_out(
    session: &Session,
    options: &SetupOptions,
    prepared: &[PreparedTarget],
    planned: &PlannedSetup,
    store: &Path,
    home: &Path,
) -> anyhow::Result<EditOutcome> {
    let mut preparation = None;
    if prepared.iter().any(|it| it.target.sets_variable()) {
        let new = Preparation::new(store, home).map_err(|error| {
            Complaint::caused(error, "use a store of your own: pycstore setup --store ~/.cache/cpython")
        })?;
        preparation = Some(new);
    }
    let shown_store = at_home(store, Some(home));
    let lines = preparation.as_ref().map(|it| it.lines(&shown_store)).unwrap_or_default();
    let confirm = Confirm::from_options(options.dry_run, options.yes);
    carry_through(session, confirm, &planned.edits, &lines, || {
        if let Some(preparation) = &preparation {
            preparation.carry_out()?;
        }
        record(session, prepared, &planned.targets);
        Ok(())
    })
}

/// Records the files before they are edited.
fn record(session: &Session, prepared: &[PreparedTarget], planned: &[Target]) {
    let mut receipt = edit::receipt(session);
    for PreparedTarget { target, plan } in prepared.iter().filter(|it| planned.contains(&it.target)) {
        for place in plan.places() {
            receipt.add(&target.to_string(), &place, session.environment.now);
        }
    }
    complain::is_done(receipt.write());
}

/// Prints the next steps: running shells, the bytecode in source trees, and a schedule.
fn note_next_steps(session: &Session, prepared: &[PreparedTarget]) {
    for PreparedTarget { target, plan } in prepared {
        if let (Target::Bash | Target::Zsh | Target::Fish, TargetPlan::Blocks(_)) = (target, plan) {
            let line = plan.snippet();
            let line = String::from_utf8_lossy(&line);
            complain::advise(
                &format!("running shells do not have the variable yet; for {target}:"),
                line.trim_end(),
            );
        }
    }
    if prepared.iter().any(|it| matches!(it.plan, TargetPlan::Blocks(_))) {
        complain::note(
            "existing __pycache__ directories are kept; to move their files into the store: pycstore sweep --adopt \
             --include-environments DIR",
        );
    }
    let schedules = schedule::installed(&session.environment);
    if schedules.installed.is_empty() && schedules.unknown.is_empty() {
        complain::note(
            "Python never removes files from the store; to clean it up every night: pycstore schedule install",
        );
    }
}

fn exit(outcome: &EditOutcome, failures: usize, showed_snippets: bool) -> Exit {
    match failures + outcome.failures {
        0 => Exit::Done,
        _ if outcome.edited > 0 || outcome.is_settled || showed_snippets => Exit::Incomplete,
        _ => Exit::Nothing,
    }
}

/// `--print`: each snippet once, on standard output; its place on standard error.
fn print(session: &Session, prepared: &[PreparedTarget]) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut printed: Vec<Vec<u8>> = Vec::new();
    for PreparedTarget { target, plan } in prepared {
        for place in plan.places() {
            session.note(&format!("{target}: add to {}", shown(session, &place)));
        }
        let text = plan.snippet();
        if !printed.contains(&text) {
            out.write_all(&path::lines_shown(&text, &session.terminal))?;
            printed.push(text);
        }
    }
    out.flush()
}

fn shown(session: &Session, place: &TextPlace) -> String {
    match place {
        TextPlace::File(file) => at_home(file, session.environment.home.as_deref()),
        TextPlace::Crontab => "the crontab".into(),
    }
}
