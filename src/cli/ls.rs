//! `pycstore ls`: every file of the store with its status.

use super::options::Unchecked;
use super::output::entry::{EntryLine, write_columns};
use super::output::style::Tone;
use super::output::{complain, path};
use super::paths;
use super::session::{Opened, Session};
use clap::Args;
use pycstore::exit::Exit;
use pycstore::json;
use pycstore::pyc::name::Name;
use pycstore::source::owner::Owner;
use pycstore::store::Purpose;
use pycstore::store::entry::Entry;
use pycstore::store::scan::{Question, Scan, Trouble, Visit, Visitor};
use pycstore::verdict::status::{self, Status, UncheckedHashes};
use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

/// List every file of the store with its status.
///
/// Each line has the status, its reason, the disk usage and the path. The statuses are: fresh (Python would load it),
/// stale (the source exists, but Python would recompile it), orphan (the source was definitely deleted), corrupt (not
/// loadable), unknown (cannot be decided here), temporary (left by an interrupted write, or a copy of an entry made by
/// a file synchroniser) and foreign (not written by Python).
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 success; 1 something could not be read; 2 no store.")]
pub struct LsOptions {
    /// Only entries whose source is, or would be, at or below PATH, as with --under
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Only entries with this status; several such as stale,orphan
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = clap::builder::PossibleValuesParser::new(pycstore::verdict::status::NAMES))]
    pub status: Vec<String>,
    /// Only entries with this cache tag, such as cpython-312 (may be repeated)
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
    /// Only entries whose source is, or would be, at or below PATH (may be repeated)
    #[arg(long, value_name = "PATH")]
    pub under: Vec<PathBuf>,
    /// Print one JSON object per line
    #[arg(long, conflicts_with = "null")]
    pub json: bool,
    /// Print only the paths, unquoted and each followed by a null byte, for xargs -0
    #[arg(short = '0', long = "null")]
    pub null: bool,
    /// Unchecked hashes.
    #[command(flatten)]
    pub unchecked: Unchecked,
}

impl LsOptions {
    /// The options with the paths among those of `--under`.
    pub fn with_paths(mut self) -> LsOptions {
        self.under.append(&mut self.paths);
        self
    }
}

/// Which entries are listed.
struct Filter<'a> {
    statuses: &'a [String],
    tags: &'a [String],
    under: Vec<PathBuf>,
    unchecked: UncheckedHashes,
}

/// A directory's listed entries.
struct ListedDirectory {
    relative: Box<[u8]>,
    sources: PathBuf,
    owner: Arc<Owner>,
    found: Vec<ListedEntry>,
}

/// A listed entry that owns its data.
struct ListedEntry {
    name: Box<[u8]>,
    status: Status,
    facts: Entry<'static>,
}

struct Lister<'a> {
    filter: &'a Filter<'a>,
    /// The tags of the filter that at least one entry of any status has.
    tags: BTreeSet<&'a str>,
    batches: Vec<ListedDirectory>,
    troubles: Vec<Trouble>,
}

impl Visitor for Lister<'_> {
    fn directory(&mut self, visit: &Visit<'_>) {
        let sources = visit.source_directory();
        let mut found = Vec::new();
        for entry in visit.entries {
            if let Some(slot) = entry.parsed.slot() {
                self.tags.extend(self.filter.tags.iter().map(String::as_str).find(|tag| *tag == slot.tag));
            }
            let Some(status) = status::judge(entry, self.filter.unchecked) else { continue };
            if !self.filter.admits(entry, status, &sources) {
                continue;
            }
            // The name is parsed again when it is shown.
            let facts = Entry {
                name: b"",
                parsed: Name::Foreign,
                metadata: entry.metadata,
                content: entry.content,
                loads: entry.loads,
                source: entry.source,
                other_name: entry.other_name.clone(),
                recorded: entry.recorded.clone(),
            };
            found.push(ListedEntry { name: entry.name.into(), status, facts });
        }
        if !found.is_empty() {
            let owner = visit.owner();
            self.batches.push(ListedDirectory { relative: visit.relative.into(), sources, owner, found });
        }
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.troubles.push(trouble);
    }
}

impl Filter<'_> {
    fn admits(&self, entry: &Entry<'_>, status: Status, sources: &std::path::Path) -> bool {
        let is_under = || match entry.source_path(sources) {
            Some(source) => self.under.iter().any(|under| source.starts_with(under)),
            None => self.under.iter().any(|under| sources.starts_with(under)),
        };
        (self.statuses.is_empty() || self.statuses.iter().any(|wanted| wanted == status.name()))
            && (self.tags.is_empty()
                || entry.parsed.slot().is_some_and(|slot| self.tags.iter().any(|tag| tag == slot.tag)))
            && (self.under.is_empty() || is_under())
    }
}

/// Runs `pycstore ls`.
pub fn run(session: &Session, options: &LsOptions) -> anyhow::Result<Exit> {
    let opened = session.open(Purpose::Look)?;
    let unchecked = UncheckedHashes::from(options.unchecked);
    let named = paths::named(session, &opened, &options.under);
    let filter =
        Filter { statuses: &options.status, tags: &options.tag, under: named.all.clone(), unchecked };
    let new_lister =
        || Lister { filter: &filter, tags: BTreeSet::new(), batches: Vec::new(), troubles: Vec::new() };
    let parts = {
        let mut progress = session.progress("scanning");
        let scan = Scan { within: &named.mirrored, ..opened.scan(Question::Everything(unchecked)) };
        scan.run(new_lister, |entries| progress.update(entries))
    };
    let mut batches = Vec::new();
    let mut troubles = Vec::new();
    let mut tags = BTreeSet::new();
    for part in parts {
        tags.extend(part.tags);
        batches.extend(part.batches);
        troubles.extend(part.troubles);
    }
    batches.sort_by(|one, other| one.relative.cmp(&other.relative));
    troubles.sort_by(|one, other| one.path().cmp(other.path()));
    let mut out = BufWriter::new(io::stdout().lock());
    if session.terminal.is_terminal() && !options.json && !options.null && !batches.is_empty() {
        let heading = format!("{:<9}  {:<12}  {:>10}  PATH\n", "STATUS", "REASON", "SIZE");
        out.write_all(&session.style().paint(heading.as_bytes(), Tone::Heading))?;
    }
    for batch in &batches {
        for found in &batch.found {
            print(session, options, &opened, batch, found, &mut out)?;
        }
    }
    out.flush()?;
    let is_missing = |tag: &&String| !tags.contains(tag.as_str());
    let missing_tags: Vec<&String> = options.tag.iter().filter(is_missing).collect();
    let mut is_reported = named.note_missing(session);
    if !session.global.quiet {
        missing_tags.iter().for_each(|tag| paths::note_no_tag(tag));
        is_reported |= !missing_tags.is_empty();
    }
    if batches.is_empty() && !is_reported {
        session.note_nothing_found(&filters(session, options));
    }
    Ok(complain::troubles(&troubles))
}

/// The options that limit what is listed, as text.
fn filters(session: &Session, options: &LsOptions) -> Vec<String> {
    let statuses = options.status.iter().map(|status| format!("--status {status}"));
    let tags = options.tag.iter().map(|tag| format!("--tag {tag}"));
    let absolute = |path| session.environment.absolute(path);
    let under = options.under.iter().map(|path| format!("--under {}", absolute(path).display()));
    statuses.chain(tags).chain(under).collect()
}

fn print(
    session: &Session,
    options: &LsOptions,
    opened: &Opened,
    batch: &ListedDirectory,
    found: &ListedEntry,
    out: &mut dyn Write,
) -> io::Result<()> {
    let shown = opened.store.shown(&batch.relative, &found.name);
    if options.null {
        out.write_all(&path::bytes_shown(shown.as_os_str().as_bytes(), &session.terminal))?;
        return out.write_all(b"\0");
    }
    let parsed = match found.status {
        Status::Foreign => Name::Foreign,
        _ => Name::parse(&found.name),
    };
    let entry = Entry { name: &found.name, parsed, ..found.facts.clone() };
    if options.json {
        let source = entry.source_path(&batch.sources);
        let line = EntryLine::new(&shown, &entry, found.status, source.as_deref(), &batch.owner);
        return json::print(out, &line);
    }
    let disk = entry.metadata.map(|metadata| metadata.disk);
    write_columns(out, &session.terminal, &shown, Some(found.status), disk)
}
