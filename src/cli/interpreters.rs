//! `pycstore interpreters`: the Pythons on this machine.

use super::args::InterpretersOptions;
use super::output::json::{self, InterpreterLine};
use super::output::style::Tone;
use super::output::table::{Alignment, Column, Table};
use super::output::{complain, path};
use super::session::{Opened, Session, is_absent};
use pycstore::exit::Exit;
use pycstore::source::Fate;
use pycstore::source::interpreter::{Build, Interpreter, Interpreters, StoreUse};
use pycstore::source::witness::Wanted;
use pycstore::store::Purpose;
use pycstore::store::mirrored::last_mirrored;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Runs `pycstore interpreters`.
pub fn run(session: &Session, options: &InterpretersOptions) -> anyhow::Result<Exit> {
    let (interpreters, exit) = find_with_store(session);
    let mut out = BufWriter::new(io::stdout().lock());
    if options.json {
        for interpreter in &interpreters.found {
            json::print(&mut out, &InterpreterLine::from(interpreter))?;
        }
    } else if !interpreters.found.is_empty() {
        table(session, &interpreters).print(&mut out, &session.terminal, session.style())?;
    }
    out.flush()?;
    Ok(if complain_of(&interpreters) { exit } else { Exit::Incomplete })
}

/// The Pythons that may use the store, if there is one; else all that the environment knows the places of.
fn find_with_store(session: &Session) -> (Interpreters, Exit) {
    if !session.store_path().is_ok_and(|path| !is_absent(&path)) {
        return (find(session), Exit::Done);
    }
    match session.open(Purpose::Look) {
        Ok(opened) => (of_store(session, &opened), Exit::Done),
        Err(refusal) => {
            complain::problem(refusal.as_ref());
            (find(session), Exit::Incomplete)
        }
    }
}

/// The Pythons on this machine, as far as the environment knows their places; no store is read.
pub fn find(session: &Session) -> Interpreters {
    Interpreters::find(&session.environment.places_of_all())
}

/// The Pythons that may use a store: those on this machine, and those that the store itself betrays by the standard
/// libraries and environments that it has entries for.
pub fn of_store(session: &Session, opened: &Opened) -> Interpreters {
    let mut progress = session.progress("looking for interpreters in");
    let places = session.environment.places_of_all();
    let is_gone = |path: &Path| {
        match opened.evidence.fate(path, Wanted::Directory) {
            // A library that was mirrored after anything can have been deleted there is only out of sight: in a container.
            Ok(Fate::Deleted(last_change)) => last_mirrored(&opened.store, path)
                .is_ok_and(|mirrored| mirrored.is_some_and(|mirrored| mirrored <= last_change)),
            Ok(Fate::Exists | Fate::Doubtful(_)) | Err(_) => false,
        }
    };
    let update = |files| progress.update(files);
    Interpreters::find_with(&places, &opened.store, opened.threads(), is_gone, update)
}

/// Says what the search leaves open; returns whether it leaves nothing open.
pub fn complain_of(interpreters: &Interpreters) -> bool {
    for unreadable in &interpreters.unreadable {
        complain::problem(unreadable);
    }
    for executable in &interpreters.unidentified {
        complain::note(&format!("cannot tell which Python {} is", executable.display()));
    }
    for library in &interpreters.out_of_reach {
        let path = library.directory.display();
        complain::note(&format!("cannot reach {path}: an interpreter of {} may be there", library.tag));
    }
    let any_found = interpreters.with_store().next().is_some();
    if !any_found {
        complain::note("no Python 3.8 or later found on this machine");
    }
    any_found && interpreters.unreadable.is_empty() && interpreters.unidentified.is_empty()
}

fn table(session: &Session, interpreters: &Interpreters) -> Table {
    let column = |heading, gives_way| Column { heading, alignment: Alignment::Left, gives_way };
    let columns = vec![column("VERSION", 0), column("TAG", 0), column("MAGIC", 1), column("FOUND BY", 2)];
    let mut table = Table::new(columns, "PREFIX");
    for interpreter in &interpreters.found {
        let tone = match interpreter.store_use {
            StoreUse::Uses => Tone::Normal,
            StoreUse::Ignores => Tone::Quiet,
        };
        table.row(cells(interpreter), path::shown(&interpreter.prefix, &session.terminal), tone);
    }
    table
}

fn cells(interpreter: &Interpreter) -> Vec<String> {
    let build = match interpreter.build {
        Build::Ordinary => "",
        Build::FreeThreaded => "t",
    };
    let (tag, magic) = match interpreter.store_use {
        StoreUse::Ignores => (None, None),
        StoreUse::Uses => {
            let magic =
                interpreter.magic.map_or_else(|| "unknown".into(), |magic| magic.number().to_string());
            (interpreter.tag.clone(), Some(magic))
        }
    };
    let found_by: Vec<&str> = interpreter.found_by.iter().map(|by| by.name()).collect();
    vec![
        format!("{}{build}", interpreter.version),
        tag.unwrap_or_else(|| "-".into()),
        magic.unwrap_or_else(|| "-".into()),
        found_by.join(","),
    ]
}
