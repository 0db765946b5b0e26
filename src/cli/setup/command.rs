//! The run of `pycstore setup`.

use super::store_directory::Preparation;
use super::work::{self, NAME, Prepared, Work};
use super::{shell, vscode};
use crate::cli::args::{SetupOptions, Target};
use crate::cli::config::Origin;
use crate::cli::edits::{
    Block, Direction, EditError, Manner, Outcome, Place, Plan, Receipt, carry_through, complain_of,
    home_of_user,
};
use crate::cli::output::complain::{self, Complaint};
use crate::cli::output::path;
use crate::cli::schedule;
use crate::cli::session::Session;
use pycstore::exit::Exit;
use pycstore::source::witness::real_path;
use pycstore::store::Purpose;
use pycstore::store::sharing::Sharing;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Runs `pycstore setup`.
pub fn run(session: &Session, options: &SetupOptions) -> anyhow::Result<Exit> {
    let home = home_of_user(&session.environment)?;
    let targets = targets(session, options)?;
    match options.undo {
        true => undo(session, options, &targets, &home),
        false => put(session, options, &targets, &home),
    }
}

/// What is to be set up, each once.
fn targets(session: &Session, options: &SetupOptions) -> Result<Vec<Target>, Complaint> {
    if options.targets.is_empty() && options.undo {
        return Ok(work::EDITED.to_vec());
    }
    if options.targets.is_empty() {
        let (target, why) = shell::in_use(&session.environment)?;
        if !session.global.quiet {
            complain::note(&format!("the shell in use is {why}"));
        }
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

/// The store that is promised.
fn store(session: &Session) -> Result<PathBuf, Complaint> {
    let store = session.store();
    let named = match store.origin {
        Origin::Flag(_) => session.global.store.clone(),
        Origin::Variable(_) => session.environment.prefix.clone().map(PathBuf::from),
        Origin::File { .. } | Origin::Default => None,
    };
    let origin = store.origin.long(session.configuration.path.as_deref());
    if let Some(named) = &named {
        let hint = "name the store: pycstore setup --store \"$HOME/.cache/cpython\" …";
        if named.starts_with("~") {
            let message = format!("{origin} is {}: a quoted `~` is expanded by nobody", named.display());
            return Err(Complaint::new(message, hint));
        }
        if !named.is_absolute() && matches!(store.origin, Origin::Variable(_)) {
            let message =
                format!("{origin} is {}: a relative path is another in each directory", named.display());
            return Err(Complaint::new(message, hint));
        }
    }
    store.value.ok_or_else(|| Complaint::new("no store: HOME is not set", "pycstore setup --store DIR …"))
}

/// Refuses what no command takes for a store, and a directory that other programs use too.
fn vet(session: &Session, store: &Path) -> anyhow::Result<()> {
    let environment = &session.environment;
    let is_known =
        || Sharing::is_known(&real_path(store), &environment.common_directories, &environment.homes);
    let sharing = match store.exists() {
        true => session.sharing(&session.open(Purpose::Look)?.store),
        false => is_known().then_some(Sharing::KnownPlace),
    };
    let Some(sharing) = sharing else { return Ok(()) };
    let message =
        format!("refused: {} is shared with other programs ({})", store.display(), sharing.explanation());
    let hint = format!("name a directory of its own: pycstore setup --store {} …", environment.own_store());
    Err(Complaint::new(message, hint).into())
}

fn put(session: &Session, options: &SetupOptions, targets: &[Target], home: &Path) -> anyhow::Result<Exit> {
    let promises = targets.iter().any(|target| work::promises_store(*target));
    let store = store(session)?;
    if promises {
        vet(session, &store)?;
    }
    let mut prepared = Vec::new();
    let mut troubles = 0_usize;
    for &target in targets {
        match work::prepare(session, target, &store, home) {
            Ok(work) => prepared.push(work),
            // For somebody who only wants to read, the editor need not be there.
            Err(_) if options.print && target == Target::Vscode => {
                prepared.push(Prepared { target, work: Work::Settings(Vec::new()) });
            }
            Err(complaint) => {
                complain::fatal(&complaint.into());
                troubles += 1;
            }
        }
    }
    if options.print {
        print(session, &prepared)?;
        return Ok(if troubles > 0 { Exit::Nothing } else { Exit::Done });
    }
    let mut plan = Plan::default();
    let mut planned = Vec::new();
    for Prepared { target, work } in &prepared {
        let mut failed = false;
        match work {
            Work::Pieces(pieces) => {
                for piece in pieces {
                    if !session.global.quiet {
                        let place = shown(session, &piece.place);
                        complain::note(&format!("{}: {place}: {}", target.name(), piece.why));
                    }
                    if let Err(error) = piece.put(&mut plan) {
                        complain_of(error, Direction::Put);
                        failed = true;
                    }
                }
            }
            Work::Settings(places) => {
                for path in places {
                    let place = Place::File(path.clone());
                    let wrong = |why| EditError::Contents { place: place.clone(), why };
                    let put = plan.change(&place, |text| vscode::put(text).map(Some).map_err(wrong));
                    if let Err(error) = put {
                        complain_of(error, Direction::Put);
                        failed = true;
                    }
                }
            }
            Work::Snippet(text) => {
                let mut out = io::stdout().lock();
                out.write_all(&path::lines_shown(text.as_bytes(), &session.terminal))?;
                out.flush()?;
            }
        }
        match failed {
            true => troubles += 1,
            false => planned.push(*target),
        }
    }
    let is_promised = prepared.iter().any(|it| work::promises_store(it.target));
    let preparation = match is_promised && !(planned.is_empty() && plan.is_empty()) {
        true => Some(Preparation::of(&store, home).map_err(|error| {
            Complaint::caused(error, "name a store of your own: pycstore setup --store ~/.cache/cpython")
        })?),
        false => None,
    };
    let lines =
        preparation.as_ref().map(|it| it.lines(&path::at_home(&store, Some(home)))).unwrap_or_default();
    let is_snippet_only = prepared.iter().all(|it| matches!(it.work, Work::Snippet(_)));
    let outcome = if planned.is_empty() && plan.is_empty() || is_snippet_only {
        Outcome::default()
    } else {
        let carry_out = || {
            if let Some(preparation) = &preparation {
                preparation.carry_out()?;
            }
            note_places(session, &prepared, &planned);
            Ok(())
        };
        carry_through(session, manner(options), &plan, &lines, carry_out)?
    };
    if outcome.is_done() && !options.dry_run && !session.global.quiet {
        for target in planned {
            if let Some(reach) = work::reach(target) {
                complain::note(&format!("{} sets it for {reach}", target.name()));
            }
        }
        if outcome.edited > 0 && is_promised {
            say_what_next(session, &prepared);
        }
    }
    Ok(exit(&outcome, troubles, is_snippet_only && !prepared.is_empty()))
}

/// Writes down which files will hold something of ours, before they do.
fn note_places(session: &Session, prepared: &[Prepared], planned: &[Target]) {
    let mut receipt = Receipt::read(session);
    for Prepared { target, work } in prepared.iter().filter(|it| planned.contains(&it.target)) {
        let places: Vec<Place> = match work {
            Work::Pieces(pieces) => pieces.iter().map(|piece| piece.place.clone()).collect(),
            Work::Settings(paths) => paths.iter().cloned().map(Place::File).collect(),
            Work::Snippet(_) => Vec::new(),
        };
        for place in &places {
            receipt.add(&target.name(), place, session.environment.now);
        }
    }
    receipt.write();
}

/// What is left to the user: shells that run already, and the night.
fn say_what_next(session: &Session, prepared: &[Prepared]) {
    for Prepared { target, work } in prepared {
        if let (Target::Bash | Target::Zsh | Target::Fish, Work::Pieces(pieces)) = (target, work)
            && let Some(piece) = pieces.first()
        {
            let line = String::from_utf8_lossy(&piece.lines);
            complain::note(&format!("in a {} that runs already: {}", target.name(), line.trim_end()));
        }
    }
    let schedules = schedule::installed(&session.environment);
    if schedules.installed.is_empty() && schedules.unknown.is_empty() {
        complain::note("Python only ever adds to the store; to keep it clean: pycstore schedule install");
    }
}

fn undo(session: &Session, options: &SetupOptions, targets: &[Target], home: &Path) -> anyhow::Result<Exit> {
    let mut plan = Plan::default();
    let mut receipt = Receipt::read(session);
    let mut troubles = 0_usize;
    for &target in targets {
        if matches!(target, Target::NvimTree | Target::Nerdtree | Target::Docker | Target::Make) {
            let message =
                format!("{} is a snippet: setup put it nowhere, so it cannot take it back", target.name());
            complain::fatal(&Complaint::new(message, "take it out where you put it").into());
            troubles += 1;
            continue;
        }
        let places: Vec<Place> = match places_to_undo(session, target, home, &receipt) {
            Ok(places) => places,
            // What is not on this machine was not set up.
            Err(_) if options.targets.is_empty() => continue,
            Err(complaint) => {
                complain::fatal(&complaint.into());
                troubles += 1;
                continue;
            }
        };
        let mut failed = false;
        for place in places {
            let taken = match target {
                Target::Vscode => plan.change(&place, |text| match text {
                    Some(text) => {
                        vscode::take(text).map_err(|why| EditError::Contents { place: place.clone(), why })
                    }
                    None => Ok(None),
                }),
                _ => plan.take(&place, &Block { name: NAME, comment: "#" }),
            };
            match taken {
                Ok(_) => {}
                Err(error) if options.targets.is_empty() && error.is_missing_crontab() => {}
                Err(error) => {
                    complain_of(error, Direction::Take);
                    failed = true;
                }
            }
        }
        troubles += usize::from(failed);
    }
    let outcome = match troubles == targets.len() {
        true => Outcome::default(),
        false => carry_through(session, manner(options), &plan, &[], || Ok(()))?,
    };
    if outcome.edited > 0 {
        receipt.settle();
    }
    let was_taken = outcome.edited > 0 && !session.global.quiet;
    if was_taken && targets.iter().any(|target| work::promises_store(*target)) {
        complain::note("the store stays: `pycstore prune --all` empties it");
    }
    Ok(exit(&outcome, troubles, false))
}

/// Where a target may have put something: the files of the receipt, and today's places, for what was set up before there
/// were receipts.
fn places_to_undo(
    session: &Session,
    target: Target,
    home: &Path,
    receipt: &Receipt,
) -> Result<Vec<Place>, Complaint> {
    let today = match target {
        Target::Vscode => vscode::places(&session.environment)
            .map(|paths| paths.into_iter().map(Place::File).collect::<Vec<_>>()),
        _ => work::places(session, target, home),
    };
    let noted = receipt.places(&target.name());
    let mut places = match today {
        // Nothing need be found today where it is noted what was done.
        Err(_) if !noted.is_empty() => Vec::new(),
        today => today?,
    };
    for (place, when) in noted {
        if places.iter().all(|it| it.real() != place.real()) {
            if !session.global.quiet {
                let shown = shown(session, &place);
                complain::note(&format!("{}: {shown}: set up at {when}", target.name()));
            }
            places.push(place);
        }
    }
    Ok(places)
}

fn exit(outcome: &Outcome, troubles: usize, showed_snippets: bool) -> Exit {
    let failed = troubles + outcome.failures;
    match failed {
        0 => Exit::Done,
        _ if outcome.edited > 0 || outcome.is_settled || showed_snippets => Exit::Incomplete,
        _ => Exit::Nothing,
    }
}

/// `--print`: each snippet once, on standard output, and on standard error where it would go.
fn print(session: &Session, prepared: &[Prepared]) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut printed: Vec<Vec<u8>> = Vec::new();
    for Prepared { target, work } in prepared {
        let (text, places): (Vec<u8>, Vec<Place>) = match work {
            Work::Snippet(text) => (text.clone().into_bytes(), Vec::new()),
            Work::Settings(paths) => {
                (vscode::snippet().into_bytes(), paths.iter().cloned().map(Place::File).collect())
            }
            Work::Pieces(pieces) => {
                let lines = pieces.first().map(|piece| piece.lines.clone()).unwrap_or_default();
                (lines, pieces.iter().map(|piece| piece.place.clone()).collect())
            }
        };
        for place in places.iter().filter(|_| !session.global.quiet) {
            complain::note(&format!("{}: for {}", target.name(), shown(session, place)));
        }
        if !printed.contains(&text) {
            out.write_all(&path::lines_shown(&text, &session.terminal))?;
            printed.push(text);
        }
    }
    out.flush()
}

fn shown(session: &Session, place: &Place) -> String {
    match place {
        Place::File(file) => path::at_home(file, session.environment.home.as_deref()),
        Place::Crontab => "the crontab".into(),
    }
}

fn manner(options: &SetupOptions) -> Manner {
    match (options.dry_run, options.yes) {
        (true, _) => Manner::DryRun,
        (false, true) => Manner::Agreed,
        (false, false) => Manner::Asking,
    }
}
