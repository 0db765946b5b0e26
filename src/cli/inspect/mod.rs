//! `pycstore inspect`: all details of an entry.

mod document;
mod links;
mod page;

use super::options::Unchecked;
use super::paths::{self, with_entry};
use super::session::{Opened, Session};
use crate::cli::output::style::Style;
use clap::Args;
use document::InspectionLine;
use links::OtherLinks;
use page::{Inspected, Page};
use pycstore::exit::Exit;
use pycstore::json;
use pycstore::pyc::marshal::{Dialect, last_line};
use pycstore::pyc::name;
use pycstore::source::Source;
use pycstore::source::witness::{Wanted, Witness};
use pycstore::store::Purpose;
use pycstore::store::Store;
use pycstore::store::body::{Bodies, Body};
use pycstore::store::entry::{Content, Entry};
use pycstore::store::scan::{Question, Visit};
use pycstore::verdict::status::{self, Corrupt, Status, UncheckedHashes};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Show everything about an entry.
///
/// Shows its status, what Python does at the next import, and the values in its header beside those of its source.
/// If the file has other hard links in the store, as after `pycstore share`, shows the first 20.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 success; 1 a path is not a file of the store; 2 no store.")]
pub struct InspectOptions {
    /// Entries of the store, or sources to show all entries of
    #[arg(required = true, value_name = "ENTRY")]
    pub entries: Vec<PathBuf>,
    /// Print one JSON object per line
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub unchecked: Unchecked,
}

/// Runs `pycstore inspect`.
pub fn run(session: &Session, options: &InspectOptions) -> anyhow::Result<Exit> {
    let opened = session.open(Purpose::Look)?;
    let unchecked = UncheckedHashes::from(options.unchecked);
    let mut out = BufWriter::new(io::stdout().lock());
    let access_times = opened.access_times();
    let mut all_found = true;
    let mut entries = Vec::new();
    for given in &options.entries {
        let meant = entries_meant(session, &opened, given);
        all_found &= !meant.is_empty();
        entries.extend(meant);
    }
    let (links, scanned) = links::find(session, &opened, &entries);
    all_found &= scanned == Exit::Done;
    for given in &entries {
        let shown = session.environment.absolute(given);
        let found = with_entry(session, &opened, given, Question::Everything(unchecked), |visit, entry| {
            let Some(status) = status::judge(entry, unchecked) else { return Ok(()) };
            let body = body(&opened.store, visit, entry);
            let status = with_body(status, body.as_ref());
            let (source, owner) = (entry.source_path(&visit.source_directory()), visit.owner());
            let source = source.as_deref();
            let own = opened.store.shown(visit.relative, entry.name);
            let others = entry.metadata.and_then(|metadata| links.of(metadata.identity, &own));
            if options.json {
                let line = InspectionLine::new(&shown, entry, status, source, &owner, body.as_ref());
                return json::print(
                    &mut out,
                    &line.with_access_times(access_times).with_links(others.as_ref()),
                );
            }
            let mut page = Page { session, style: session.style(), access_times, out: &mut out };
            let inspected =
                Inspected { shown: &shown, entry, status, source, owner: &owner, others: others.as_ref() };
            page.print(&inspected, body.as_ref())
        });
        match found {
            Some(printed) => printed?,
            None => all_found = false,
        }
    }
    out.flush()?;
    Ok(Exit::complete_if(all_found))
}

/// The lines about the entry at a path from the store's root, as they are shown on a terminal; `others` are the other links of
/// its file. Empty if there is none any more.
pub fn lines(session: &Session, opened: &Opened, relative: &[u8], others: &[PathBuf]) -> Vec<String> {
    let unchecked = UncheckedHashes::Trust;
    let shown = opened.store.shown(relative, b"");
    let others = (!others.is_empty()).then(|| OtherLinks::among(others));
    let found = opened.scan(Question::Everything(unchecked)).one(relative, |visit, entry| {
        let mut out = Vec::new();
        let status = status::judge(entry, unchecked)?;
        let body = body(&opened.store, visit, entry);
        let status = with_body(status, body.as_ref());
        let source = entry.source_path(&visit.source_directory());
        let (source, owner, others) = (source.as_deref(), visit.owner(), others.as_ref());
        let inspected = Inspected { shown: &shown, entry, status, source, owner: &owner, others };
        let style = Style::Plain;
        let mut page = Page { session, style, access_times: opened.access_times(), out: &mut out };
        page.print(&inspected, body.as_ref()).ok()?;
        Some(String::from_utf8_lossy(&out).lines().map(String::from).collect())
    });
    match found {
        Ok(lines) => lines.flatten().unwrap_or_else(|| vec!["it is not there any more".into()]),
        Err(trouble) => vec![trouble.to_string()],
    }
}

/// Returns the entries for a path: the path itself if it is in the store, else all entries of that source. Reports
/// a source without entries.
fn entries_meant(session: &Session, opened: &Opened, given: &Path) -> Vec<PathBuf> {
    let absolute = session.environment.absolute(given);
    if opened.store.inside(&absolute).is_some() {
        return vec![given.to_path_buf()];
    }
    let mut found = Vec::new();
    for source in paths::sources(session, opened, given) {
        let relative = name::mirror_of(source.parent().unwrap_or(Path::new("/")));
        let names = opened.store.names_of_entries(&source).unwrap_or_default();
        found.extend(names.iter().map(|name| opened.store.shown(relative, name)));
    }
    if found.is_empty() {
        paths::note_no_entry(opened, &absolute);
    }
    found
}

/// The status, the body included.
fn with_body(status: Status, body: Option<&(Body, Option<i32>)>) -> Status {
    match body {
        Some((Body::Faulty(_), _)) if status == Status::Fresh => Status::Corrupt(Corrupt::Body),
        _ => status,
    }
}

/// The body of an entry with a header, and its last line; `None` if there is none or it cannot be read.
fn body(store: &Store, visit: &Visit<'_>, entry: &Entry<'_>) -> Option<(Body, Option<i32>)> {
    let Content::Read(Ok(header), _) = entry.content else { return None };
    let tag = entry.parsed.slot()?.tag;
    let mut bodies = Bodies::of(store);
    let bytes = bodies.read(visit.relative, entry.name).ok()?;
    let last_line = Dialect::of(tag, header.magic).and_then(|dialect| last_line(bytes, dialect).ok());
    // The buffer is returned first: reading the body may need the only one of its size.
    drop(bodies);
    Some((visit.body(entry).ok()??, last_line))
}

/// The witness of an entry's missing source; `None` if the source exists or cannot be looked up.
fn witness_of(entry: &Entry<'_>, source: &Path) -> Option<Witness> {
    match entry.source {
        Source::Absent(_) => {}
        Source::Unreachable(why) if why.is_missing_name() => {}
        _ => return None,
    }
    Witness::find(source, Wanted::Anything).ok().filter(|witness| witness.missing.is_some())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
