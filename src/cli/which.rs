//! `pycstore which`: the existing and the possible entries of a source.

use super::output::complain;
use super::output::entry::{EntryLine, write_columns, write_headings};
use super::paths;
use super::session::{Opened, Session};
use anyhow::Context;
use clap::Args;
use pycstore::exit::Exit;
use pycstore::json::{self, PathField, SCHEMA};
use pycstore::pyc::name::{self, Name};
use pycstore::pyc::tags::Tag;
use pycstore::source::{Source, is_missing};
use pycstore::store::Purpose;
use pycstore::store::named::real_of_source;
use pycstore::store::scan::{Question, Trouble};
use pycstore::verdict::status::{self, Status, UncheckedHashes};
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::{self, BufWriter, StdoutLock, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Show the entries of a source.
///
/// Each line has the status, its reason, the disk usage and the path, as in `pycstore ls`. The source may have been
/// deleted.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 every source has an entry; 1 a source has none; 2 no store. With --expected: 0 success; \
                        1 no interpreter was found, or something could not be read."
)]
pub struct WhichOptions {
    /// Source files, existing or deleted, or entries, to show all entries of their source
    #[arg(required = true, value_name = "SOURCE")]
    pub sources: Vec<PathBuf>,
    /// Show where each interpreter would put the entry, even if it does not exist. The interpreters are those on
    /// this machine, those whose standard library or environment has entries in the store, and those that wrote an
    /// entry of SOURCE
    #[arg(long)]
    pub expected: bool,
    /// Print one JSON object per line, as ls does
    #[arg(long)]
    pub json: bool,
}

/// What is printed: on a terminal, headings above the first line.
struct Lines<'a> {
    session: &'a Session,
    options: &'a WhichOptions,
    out: BufWriter<StdoutLock<'static>>,
    has_headings: bool,
}

impl Lines<'_> {
    fn new<'a>(session: &'a Session, options: &'a WhichOptions) -> Lines<'a> {
        Lines { session, options, out: BufWriter::new(io::stdout().lock()), has_headings: false }
    }

    /// The line of an entry that may be missing.
    fn columns(&mut self, shown: &Path, status: Option<Status>, disk: Option<u64>) -> io::Result<()> {
        let (out, terminal) = (&mut self.out, &self.session.terminal);
        if !std::mem::replace(&mut self.has_headings, true) {
            write_headings(out, terminal, self.session.style())?;
        }
        write_columns(out, terminal, shown, status, disk)
    }

    /// Prints the entries of one source; returns how many there are. `is_its` decides by the path that
    /// an entry records, if that is elsewhere, whether the entry belongs to the source.
    fn entries_of(
        &mut self,
        opened: &Opened,
        source: &Path,
        is_its: &dyn Fn(Option<&Path>) -> bool,
    ) -> anyhow::Result<usize> {
        let (Some(parent), Some(source_name)) = (source.parent(), source.file_name()) else { return Ok(0) };
        let relative = name::mirror_of(parent);
        let names = opened.store.names_of_entries(source).unwrap_or_else(|source| {
            // The other sources are still searched.
            if !is_missing(&source) {
                complain::problem(&Trouble::Directory { path: opened.store.shown(relative, b""), source });
            }
            Vec::new()
        });
        let scan = opened.scan(Question::Everything(UncheckedHashes::Trust));
        let mut count = 0;
        for name in names {
            let path_in_store = name::joined(relative, &name);
            let shown = opened.store.shown(relative, &name);
            let printed = scan.one(&path_in_store, |visit, entry| -> io::Result<Printed> {
                let Some(status) = status::judge(entry, UncheckedHashes::Trust) else {
                    return Ok(Printed::No);
                };
                // `x.py` and `x.pyw` share a slot: an entry belongs to the one that exists.
                let is_anothers = matches!(entry.source, Source::Present(_))
                    && entry.source_name().is_some_and(|name| name != source_name.as_bytes());
                if is_anothers || !is_its(entry.recorded.as_deref()) {
                    return Ok(Printed::No);
                }
                if self.options.json {
                    let source = entry.source_path(&visit.source_directory());
                    let owner = visit.owner();
                    let line = EntryLine::new(&shown, entry, status, source.as_deref(), &owner);
                    json::print(&mut self.out, &line)?;
                } else {
                    let disk = entry.metadata.map(|metadata| metadata.disk);
                    self.columns(&shown, Some(status), disk)?;
                }
                Ok(Printed::Yes)
            });
            match printed {
                Ok(Some(answer)) => count += usize::from(answer? == Printed::Yes),
                Ok(None) => {}
                Err(trouble) => {
                    complain::problem(&trouble);
                    count += 1;
                }
            }
        }
        Ok(count)
    }
}

/// Runs `pycstore which`.
pub fn run(session: &Session, options: &WhichOptions) -> anyhow::Result<Exit> {
    if options.expected {
        return show_expected(session, options);
    }
    let opened = session.open(Purpose::Look)?;
    let mut lines = Lines::new(session, options);
    let mut all_found = true;
    for source in &options.sources {
        let given = session.environment.absolute(source);
        let real = real_of_source(&given);
        let mut found = 0;
        let sources = paths::sources(session, &opened, source);
        for source in &sources {
            // If the entry records a path with `..` behind a link, that path decides.
            let is_its = |recorded: Option<&Path>| recorded.is_none_or(|it| real_of_source(it) == real);
            found += lines.entries_of(&opened, source, &is_its)?;
        }
        for beside in opened.aliases().beside_links(&real) {
            let is_its = |recorded: Option<&Path>| recorded.is_some_and(|it| real_of_source(it) == real);
            found += lines.entries_of(&opened, &beside, &is_its)?;
        }
        if found == 0 {
            all_found = false;
            lines.out.flush()?;
            paths::note_no_entry(&opened, sources.first().unwrap_or(&given));
        }
    }
    lines.out.flush()?;
    Ok(Exit::complete_if(all_found))
}

/// Whether an entry was found to belong to the source.
#[derive(PartialEq, Eq)]
enum Printed {
    Yes,
    No,
}

/// Shows where each interpreter would put the entries: those on this machine, and those that the store reveals by a
/// standard library, an environment, or an entry of the source. The store may not exist yet.
fn show_expected(session: &Session, options: &WhichOptions) -> anyhow::Result<Exit> {
    let prefix = session.store_path()?;
    let is_there = prefix.try_exists().with_context(|| prefix.display().to_string())?;
    let opened = if is_there { Some(session.open(Purpose::Look)?) } else { None };
    let found = match &opened {
        Some(opened) => session.interpreters_with(opened),
        None => session.interpreters(),
    };
    let out_of_reach = found.out_of_reach.iter().map(|library| library.tag.as_str());
    let tags: BTreeSet<Tag> = found.tags().into_iter().chain(out_of_reach).map(Tag::from).collect();
    let mut lines = Lines::new(session, options);
    let mut all_read = true;
    for source in &options.sources {
        let source = session.environment.absolute(source);
        // A directory that cannot be read is reported for each path in it.
        let entries = opened.as_ref().and_then(|opened| opened.store.names_of_entries(&source).ok());
        let entries = entries.unwrap_or_default();
        let of_entries = entries.iter().filter_map(|name| Some(Tag::from(Name::parse(name).slot()?.tag)));
        for tag in &of_entries.chain(tags.iter().cloned()).collect::<BTreeSet<Tag>>() {
            let Some(path) = name::cache_from_source(&prefix, &source, tag, "") else { continue };
            let there = match &opened {
                Some(opened) => look(opened, &prefix, &path),
                None => Ok(None),
            };
            let there = there.unwrap_or_else(|trouble| {
                all_read = false;
                complain::problem(&trouble);
                None
            });
            if options.json {
                let status = there.map(|(status, _)| status);
                json::print(&mut lines.out, &ExpectedLine::new(&path, &source, tag, status))?;
                continue;
            }
            let (status, disk) = there.map_or((None, None), |(status, disk)| (Some(status), disk));
            lines.columns(&path, status, disk)?;
        }
    }
    lines.out.flush()?;
    let all_identified = complain::interpreters(&found);
    Ok(Exit::complete_if(all_read && all_identified))
}

/// The status and the disk usage of the entry at `path`, if it exists.
fn look(opened: &Opened, prefix: &Path, path: &Path) -> Result<Option<(Status, Option<u64>)>, Trouble> {
    let Ok(relative) = path.strip_prefix(prefix) else { return Ok(None) };
    let scan = opened.scan(Question::Everything(UncheckedHashes::Trust));
    let answer = scan.one(relative.as_os_str().as_bytes(), |_, entry| {
        let disk = entry.metadata.map(|metadata| metadata.disk);
        status::judge(entry, UncheckedHashes::Trust).map(|status| (status, disk))
    });
    answer.map(Option::flatten)
}

/// One line of `which --expected --json`: where an interpreter would put an entry, and whether it exists.
#[derive(Debug, Serialize)]
struct ExpectedLine<'a> {
    schema: u32,
    #[serde(flatten)]
    path: PathField<'a>,
    #[serde(flatten)]
    source: PathField<'a>,
    tag: &'a str,
    python: Option<String>,
    optimization: &'static str,
    exists: bool,
    status: Option<&'static str>,
    reason: Option<&'static str>,
}

impl<'a> ExpectedLine<'a> {
    /// The line of the entry at `path` for this source and tag, without optimization; `status` if it is there.
    fn new(path: &'a Path, source: &'a Path, tag: &'a str, status: Option<Status>) -> ExpectedLine<'a> {
        ExpectedLine {
            schema: SCHEMA,
            path: PathField::new("path", path),
            source: PathField::new("source", source),
            tag,
            python: name::python_of_tag(tag).map(|(major, minor)| format!("{major}.{minor}")),
            optimization: "",
            exists: status.is_some(),
            status: status.map(Status::name),
            reason: status.and_then(Status::reason),
        }
    }
}
