//! `pycstore ls`: every file of the store with its status.

use super::options::{Unchecked, values, whole};
use super::output::entry::{EntryLine, write_columns, write_headings};
use super::output::{comma_separated, complain, path};
use super::paths;
use super::session::{Opened, Session};
use clap::Args;
use pycstore::exit::Exit;
use pycstore::json;
use pycstore::pyc::name::Name;
use pycstore::source::owner::Owner;
use pycstore::store::entry::Entry;
use pycstore::store::scan::{Question, Scan, Trouble, Visit, Visitor};
use pycstore::store::{AccessTimes, Purpose};
use pycstore::units::{Moment, date};
use pycstore::verdict::status::{self, Status, UncheckedHashes};
use pycstore::verdict::usage::last_use;
use pycstore::verdict::view::Order;
use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// List every file of the store with its status.
///
/// Each line has the status, its reason, the disk usage and the path. The statuses are: fresh (Python would load
/// it), stale (the source exists, but Python would recompile it), orphan (the source was definitely deleted),
/// corrupt (not loadable), unknown (cannot be decided here), temporary (left by an interrupted write, or a copy of
/// an entry made by a file synchroniser) and foreign (not written by Python).
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 success; 1 something could not be read; 2 no store.")]
pub struct LsOptions {
    /// Only entries whose source is, or was, at or below PATH, as with --under
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Only entries with this status; several such as stale,orphan
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = clap::builder::PossibleValuesParser::new(pycstore::verdict::status::NAMES))]
    pub status: Vec<String>,
    /// Only entries with this cache tag, such as cpython-312 (may be repeated)
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
    /// Only entries whose source is, or was, at or below PATH (may be repeated)
    #[arg(long, value_name = "PATH")]
    pub under: Vec<PathBuf>,
    /// Sort the entries [default: name]
    #[arg(long, value_name = "WHAT", default_value = "name", hide_default_value = true, value_parser = values(&ORDERS, Order::name))]
    pub sort: Order,
    /// Show only the first N entries
    #[arg(long, value_name = "N", value_parser = whole::<usize>)]
    pub top: Option<usize>,
    /// Print one JSON object per line
    #[arg(long, conflicts_with_all = ["null", "csv"])]
    pub json: bool,
    /// Print comma-separated values, one line for each entry
    #[arg(long, conflicts_with = "null")]
    pub csv: bool,
    /// Print only the paths, unquoted and each followed by a null byte, for xargs -0
    #[arg(short = '0', long = "null")]
    pub null: bool,
    #[command(flatten)]
    pub unchecked: Unchecked,
}

/// What `ls --sort` sorts by.
const ORDERS: [(Order, &str); 3] = [
    (Order::Size, "Largest disk usage first"),
    (Order::LastUsed, "Most recently used first"),
    (Order::Name, "By path"),
];

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

/// A listed entry that owns its data: about 130 bytes, because a store may have millions.
struct ListedEntry {
    /// Entries with larger values come first.
    rank: (u64, Option<Moment>),
    /// Its directory in the store.
    relative: Arc<[u8]>,
    name: Box<[u8]>,
    status: Status,
    /// Disk usage in bytes.
    disk: Option<u64>,
    /// What only `--json` and `--csv` show.
    facts: Option<Box<ListedFacts>>,
}

/// What is known of a listed entry.
struct ListedFacts {
    /// The directory of its source.
    sources: Arc<Path>,
    owner: Arc<Owner>,
    entry: Entry<'static>,
}

struct Lister<'a> {
    filter: &'a Filter<'a>,
    /// The tags of the filter that at least one entry of any status has.
    tags: BTreeSet<&'a str>,
    options: &'a LsOptions,
    access_times: AccessTimes,
    found: Vec<ListedEntry>,
    troubles: Vec<Trouble>,
}

/// Number of entries beyond `--top` that are held before the rest is sorted out.
const MOST_BEYOND_TOP: usize = 4096;

/// Sorts the entries and keeps those of `--top`.
fn cut(found: &mut Vec<ListedEntry>, options: &LsOptions) {
    found.sort_unstable_by(|one, other| {
        let rank = other.rank.cmp(&one.rank);
        rank.then_with(|| (&one.relative, &one.name).cmp(&(&other.relative, &other.name)))
    });
    found.truncate(options.top.unwrap_or(usize::MAX));
}

impl Visitor for Lister<'_> {
    fn directory(&mut self, visit: &Visit<'_>) {
        let sources: Arc<Path> = visit.source_directory().into();
        let relative: Arc<[u8]> = visit.relative.into();
        for entry in visit.entries {
            if let Some(slot) = entry.parsed.slot() {
                self.tags.extend(self.filter.tags.iter().map(String::as_str).find(|tag| *tag == slot.tag));
            }
            let Some(status) = status::judge(entry, self.filter.unchecked) else { continue };
            if !self.filter.admits(entry, status, &sources) {
                continue;
            }
            let rank = match (self.options.sort, &entry.metadata) {
                (Order::Size, Some(metadata)) => (metadata.disk, None),
                (Order::LastUsed, Some(metadata)) => (0, last_use(metadata, self.access_times)),
                _ => (0, None),
            };
            self.found.push(ListedEntry {
                rank,
                relative: relative.clone(),
                name: entry.name.into(),
                status,
                disk: entry.metadata.map(|metadata| metadata.disk),
                facts: (self.options.json || self.options.csv)
                    .then(|| Box::new(ListedFacts::new(visit.owner(), sources.clone(), entry))),
            });
            if self.options.top.is_some_and(|top| self.found.len() >= top.saturating_add(MOST_BEYOND_TOP)) {
                cut(&mut self.found, self.options);
            }
        }
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.troubles.push(trouble);
    }
}

impl Filter<'_> {
    fn admits(&self, entry: &Entry<'_>, status: Status, sources: &Path) -> bool {
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
    let access_times = opened.access_times();
    let new_lister = || Lister {
        filter: &filter,
        tags: BTreeSet::new(),
        options,
        access_times,
        found: Vec::new(),
        troubles: Vec::new(),
    };
    let scan = Scan { within: &named.mirrored, ..opened.scan(Question::Everything(unchecked)) };
    let parts = session.scan(&scan, new_lister);
    let mut found = Vec::new();
    let mut troubles = Vec::new();
    let mut tags = BTreeSet::new();
    for part in parts {
        tags.extend(part.tags);
        found.extend(part.found);
        troubles.extend(part.troubles);
    }
    cut(&mut found, options);
    troubles.sort_by(|one, other| one.path().cmp(other.path()));
    print(session, options, &opened, &found)?;
    let is_missing = |tag: &&String| !tags.contains(tag.as_str());
    let missing_tags: Vec<&String> = options.tag.iter().filter(is_missing).collect();
    let mut is_reported = named.note_missing(session);
    if !session.global.quiet {
        missing_tags.iter().for_each(|tag| paths::note_no_tag(tag));
        is_reported |= !missing_tags.is_empty();
    }
    if found.is_empty() && options.top != Some(0) && !is_reported {
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

fn print(session: &Session, options: &LsOptions, opened: &Opened, found: &[ListedEntry]) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    if options.csv {
        let rows = found.iter().filter_map(|found| Some(fields(opened, found, found.facts.as_ref()?)));
        return comma_separated::print_rows(&mut out, &FIELDS, rows, &session.terminal);
    }
    if !options.json && !options.null && !found.is_empty() {
        write_headings(&mut out, &session.terminal, session.style())?;
    }
    for found in found {
        print_entry(session, options, opened, found, &mut out)?;
    }
    out.flush()
}

/// The headings of `--csv`.
const FIELDS: [&str; 12] = [
    "status",
    "reason",
    "tag",
    "bytes",
    "disk",
    "modified",
    "accessed",
    "owner_kind",
    "owner",
    "owner_gone",
    "source",
    "path",
];

/// The fields of an entry for `--csv`.
fn fields(opened: &Opened, found: &ListedEntry, facts: &ListedFacts) -> Vec<Vec<u8>> {
    let entry = found.entry(facts);
    let metadata = entry.metadata.as_ref();
    let number = |number: Option<u64>| number.map(|number| number.to_string());
    let text = [
        Some(found.status.name().to_string()),
        found.status.reason().map(str::to_string),
        entry.parsed.slot().map(|slot| slot.tag.to_string()),
        number(metadata.map(|it| it.bytes)),
        number(metadata.map(|it| it.disk)),
        metadata.map(|it| date::rfc3339(it.modified)),
        metadata.map(|it| date::rfc3339(it.accessed)),
    ];
    let text = text.into_iter().map(|field| field.unwrap_or_default().into_bytes());
    let owner = comma_separated::owner(&facts.owner);
    let source = entry.source_path(&facts.sources).unwrap_or_default().into_os_string().into_vec();
    let path = opened.store.shown(&found.relative, &found.name).into_os_string().into_vec();
    text.chain(owner).chain([source, path]).collect()
}

impl ListedEntry {
    fn entry(&self, facts: &ListedFacts) -> Entry<'_> {
        let parsed = match self.status {
            Status::Foreign => Name::Foreign,
            _ => Name::parse(&self.name),
        };
        Entry { name: &self.name, parsed, ..facts.entry.clone() }
    }
}

impl ListedFacts {
    fn new(owner: Arc<Owner>, sources: Arc<Path>, entry: &Entry<'_>) -> ListedFacts {
        // The name is parsed again when it is shown.
        let entry = Entry {
            name: b"",
            parsed: Name::Foreign,
            metadata: entry.metadata,
            content: entry.content,
            loads: entry.loads,
            source: entry.source,
            other_name: entry.other_name.clone(),
            recorded: entry.recorded.clone(),
        };
        ListedFacts { sources, owner, entry }
    }
}

fn print_entry(
    session: &Session,
    options: &LsOptions,
    opened: &Opened,
    found: &ListedEntry,
    out: &mut dyn Write,
) -> io::Result<()> {
    let shown = opened.store.shown(&found.relative, &found.name);
    if options.null {
        out.write_all(&path::bytes_shown(shown.as_os_str().as_bytes(), &session.terminal))?;
        return out.write_all(b"\0");
    }
    if let Some(facts) = &found.facts {
        let entry = found.entry(facts);
        let source = entry.source_path(&facts.sources);
        let line = EntryLine::new(&shown, &entry, found.status, source.as_deref(), &facts.owner);
        return json::print(out, &line);
    }
    write_columns(out, &session.terminal, &shown, Some(found.status), found.disk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_entry_is_small() {
        assert!(size_of::<ListedEntry>() <= 104, "{}", size_of::<ListedEntry>());
    }
}
