//! `pycstore source`: the source of an entry.

use super::output::{complain, path};
use super::paths::with_entry;
use super::session::Session;
use clap::Args;
use pycstore::exit::Exit;
use pycstore::json::{self, PathField, SCHEMA};
use pycstore::store::Purpose;
use pycstore::store::scan::Question;
use serde::Serialize;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

/// Show the source of an entry.
///
/// The source may have been deleted: it is derived from the entry's path, or from the entry's contents if the path is
/// ambiguous.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 success; 1 a path is not an entry of the store; 2 no store.")]
pub struct SourceOptions {
    /// Entries of the store
    #[arg(required = true, value_name = "ENTRY")]
    pub entries: Vec<PathBuf>,
    /// Print one JSON object per line
    #[arg(long)]
    pub json: bool,
}

/// One line of `source --json`.
#[derive(Debug, Serialize)]
struct SourceLine<'a> {
    schema: u32,
    #[serde(flatten)]
    path: PathField<'a>,
    #[serde(flatten)]
    source: PathField<'a>,
}

/// Runs `pycstore source`.
pub fn run(session: &Session, options: &SourceOptions) -> anyhow::Result<Exit> {
    let opened = session.open(Purpose::Look)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut all_found = true;
    for path_given in &options.entries {
        let found = with_entry(session, &opened, path_given, Question::Orphans, |visit, entry| {
            entry.source_path(&visit.source_directory())
        });
        match found {
            Some(Some(source)) if options.json => {
                let path = session.environment.absolute(path_given);
                let (path, source) = (PathField::new("path", &path), PathField::new("source", &source));
                json::print(&mut out, &SourceLine { schema: SCHEMA, path, source })?;
            }
            Some(Some(source)) => {
                out.write_all(&path::shown(&source, &session.terminal))?;
                out.write_all(b"\n")?;
            }
            Some(None) => {
                all_found = false;
                complain::note(&format!(
                    "{} is not a file that Python writes to a store",
                    path_given.display()
                ));
            }
            None => all_found = false,
        }
    }
    out.flush()?;
    Ok(Exit::complete_if(all_found))
}
