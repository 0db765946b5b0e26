//! `pycstore interpreters`: the Pythons on this machine.

use super::output::style::Tone;
use super::output::table::{Column, Table};
use super::output::{complain, path};
use super::session::{Session, is_absent};
use clap::Args;
use pycstore::exit::Exit;
use pycstore::json::{self, PathField, SCHEMA};
use pycstore::pyc::Magic;
use pycstore::source::interpreter::{Build, Interpreter, Interpreters, StoreUse};
use pycstore::store::Purpose;
use serde::Serialize;
use std::io::{self, BufWriter, Write};

/// List the Pythons on this machine.
///
/// They are found by reading the disk: PATH, the places of pyenv, uv, conda, Homebrew, asdf, mise, rye, hatch, PDM
/// and Poetry, /usr, /usr/local and /opt, framework builds, $VIRTUAL_ENV, the libraries and virtualenvs that the
/// store has entries of (also the Python of an office suite), directories two levels deep below homes,
/// /opt and /srv, and running processes. No interpreter is run. Pythons before 3.8 cannot use a store and are listed
/// without tag and magic.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 success; 1 none was found, one could not be identified, or a directory could not be read."
)]
pub struct InterpretersOptions {
    /// Print one JSON object per line
    #[arg(long)]
    pub json: bool,
}

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
    Ok(if complain::interpreters(&interpreters) { exit } else { Exit::Incomplete })
}

/// The Pythons that may use the store, if there is one; else those in the places that the environment names.
fn find_with_store(session: &Session) -> (Interpreters, Exit) {
    if !session.store_path().is_ok_and(|path| !is_absent(&path)) {
        return (session.interpreters(), Exit::Done);
    }
    match session.open(Purpose::Look) {
        Ok(opened) => (session.interpreters_with(&opened), Exit::Done),
        Err(refusal) => {
            complain::problem(refusal.as_ref());
            (session.interpreters(), Exit::Incomplete)
        }
    }
}

fn table(session: &Session, interpreters: &Interpreters) -> Table {
    let columns = [("VERSION", 0), ("TAG", 0), ("MAGIC", 1), ("FOUND BY", 2)];
    let mut table = Table::new(columns.map(|(heading, rank)| Column::left(heading, rank)).to_vec(), "PREFIX");
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

/// One line of `interpreters --json`.
#[derive(Debug, Serialize)]
struct InterpreterLine<'a> {
    schema: u32,
    #[serde(flatten)]
    executable: PathField<'a>,
    #[serde(flatten)]
    prefix: PathField<'a>,
    implementation: &'static str,
    version: String,
    free_threaded: bool,
    tag: Option<&'a str>,
    magic: Option<u16>,
    uses_store: bool,
    found_by: Vec<&'static str>,
}

impl<'a> From<&'a Interpreter> for InterpreterLine<'a> {
    fn from(interpreter: &'a Interpreter) -> InterpreterLine<'a> {
        InterpreterLine {
            schema: SCHEMA,
            executable: PathField { name: "executable", path: interpreter.executable.as_deref() },
            prefix: PathField::new("prefix", &interpreter.prefix),
            implementation: interpreter.implementation.name(),
            version: interpreter.version.to_string(),
            free_threaded: interpreter.build == Build::FreeThreaded,
            tag: interpreter.tag.as_deref(),
            magic: interpreter.magic.map(Magic::number),
            uses_store: interpreter.store_use == StoreUse::Uses,
            found_by: interpreter.found_by.iter().map(|by| by.name()).collect(),
        }
    }
}
