//! The line of one file of the store: its columns, and what `ls --json` prints and `which --json` and `inspect --json`
//! begin with.

use super::path;
use super::style::{Style, Tone};
use super::terminal::Terminal;
use pycstore::json::{PathField, SCHEMA, text};
use pycstore::pyc::name::Name;
use pycstore::source::owner::{Life, Owner};
use pycstore::store::entry::{Content, Entry};
use pycstore::units::{date, human};
use pycstore::verdict::status::Status;
use serde::Serialize;
use std::io::{self, Write};
use std::path::Path;

/// Writes the headings of the columns, on a terminal.
pub fn write_headings(out: &mut dyn Write, terminal: &Terminal, style: Style) -> io::Result<()> {
    if !terminal.is_terminal() {
        return Ok(());
    }
    let headings = format!("{:<9}  {:<12}  {:>10}  PATH\n", "STATUS", "REASON", "SIZE");
    out.write_all(&style.paint(headings.as_bytes(), Tone::Heading))
}

/// Writes the columns of the file at `shown`: status, reason, disk usage, path. For a missing file, only the path.
pub fn write_columns(
    out: &mut dyn Write,
    terminal: &Terminal,
    shown: &Path,
    status: Option<Status>,
    disk: Option<u64>,
) -> io::Result<()> {
    write_named(out, terminal, shown, status.map_or("-", Status::name), status, disk)
}

/// Writes the same columns with another name in place of the status.
pub fn write_named(
    out: &mut dyn Write,
    terminal: &Terminal,
    shown: &Path,
    name: &str,
    status: Option<Status>,
    disk: Option<u64>,
) -> io::Result<()> {
    let size = disk.map_or_else(|| "-".into(), human::size);
    let reason = status.and_then(Status::reason).unwrap_or("-");
    write!(out, "{name:<9}  {reason:<12}  {size:>10}  ")?;
    out.write_all(&path::shown(shown, terminal))?;
    out.write_all(b"\n")
}

/// One line of `ls --json`, `which --json` and `inspect --json`.
#[derive(Debug, Serialize)]
pub struct EntryLine<'a> {
    schema: u32,
    #[serde(flatten)]
    path: PathField<'a>,
    #[serde(flatten)]
    source: PathField<'a>,
    kind: &'static str,
    tag: Option<&'a str>,
    python: Option<String>,
    optimization: Option<&'a str>,
    pytest: Option<&'a str>,
    invalidation: Option<&'static str>,
    status: &'static str,
    reason: Option<&'static str>,
    bytes: Option<u64>,
    disk: Option<u64>,
    links: Option<u64>,
    modified: Option<String>,
    /// When it was last read.
    pub accessed: Option<String>,
    owner: Option<EntryOwner<'a>>,
}

#[derive(Debug, Serialize)]
struct EntryOwner<'a> {
    kind: &'static str,
    #[serde(flatten)]
    root: PathField<'a>,
    environment: Option<String>,
    gone: bool,
}

impl<'a> EntryLine<'a> {
    /// The line of an entry at `path`, with the path of its usual source and its owner.
    pub fn new(
        path: &'a Path,
        entry: &Entry<'a>,
        status: Status,
        source: Option<&'a Path>,
        owner: &'a Owner,
    ) -> EntryLine<'a> {
        let slot = entry.parsed.slot();
        let metadata = entry.metadata.as_ref();
        let invalidation = match entry.content {
            Content::Read(Ok(header), _) if slot.is_some() => Some(header.invalidation_mode().name()),
            _ => None,
        };
        EntryLine {
            schema: SCHEMA,
            path: PathField::new("path", path),
            source: PathField { name: "source", path: source },
            kind: match entry.parsed {
                Name::Bytecode(_) => "bytecode",
                Name::Temporary(_) => "temporary",
                Name::Foreign => "foreign",
            },
            tag: slot.map(|slot| slot.tag),
            python: slot.and_then(|slot| slot.python()).map(|(major, minor)| format!("{major}.{minor}")),
            optimization: slot.map(|slot| slot.optimization),
            pytest: slot.and_then(|slot| slot.pytest),
            invalidation,
            status: status.name(),
            reason: status.reason(),
            bytes: metadata.map(|metadata| metadata.bytes),
            disk: metadata.map(|metadata| metadata.disk),
            links: metadata.map(|metadata| metadata.links),
            modified: metadata.map(|metadata| date::rfc3339(metadata.modified)),
            accessed: metadata.map(|metadata| date::rfc3339(metadata.accessed)),
            owner: slot.map(|_| EntryOwner {
                kind: owner.kind.name(),
                root: PathField::new("root", &owner.root),
                environment: owner.environment.as_deref().map(text),
                gone: owner.life == Life::Gone,
            }),
        }
    }
}
