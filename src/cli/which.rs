//! `pycstore which`: the entries of a source.

use super::args::WhichOptions;
use super::exit::Exit;
use super::output::json::{self, EntryLine};
use super::output::{complain, human, path};
use super::session::{Opened, Session};
use anyhow::Context;
use pycstore::directory::{FileKind, ListBuffer};
use pycstore::entry::Entry;
use pycstore::layout::Name;
use pycstore::scan::Question;
use pycstore::source::is_missing;
use pycstore::status::{self, UncheckedHashes};
use pycstore::store::Purpose;
use std::ffi::OsStr;
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Runs `pycstore which`.
pub fn run(session: &Session, options: &WhichOptions) -> anyhow::Result<Exit> {
    let opened = session.open(Purpose::Look)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut all_found = true;
    for source in &options.sources {
        let source = session.environment.absolute(source);
        let found = print_entries_of(session, options, &opened, &source, &mut out)?;
        if found == 0 {
            all_found = false;
            out.flush()?;
            complain::note(&format!(
                "no entry for {} in {}",
                source.display(),
                opened.store.path().display()
            ));
        }
    }
    out.flush()?;
    Ok(Exit::complete_if(all_found))
}

/// Prints the entries of one source; returns how many there are.
fn print_entries_of(
    session: &Session,
    options: &WhichOptions,
    opened: &Opened,
    source: &Path,
    out: &mut dyn Write,
) -> anyhow::Result<usize> {
    let (Some(parent), Some(source_name)) = (source.parent(), source.file_name()) else { return Ok(0) };
    let relative = parent.as_os_str().as_bytes().strip_prefix(b"/").unwrap_or_default();
    let directory = match opened.store.directory(relative) {
        Ok(directory) => directory,
        Err(error) if is_missing(&error) => return Ok(0),
        Err(error) => {
            return Err(error).with_context(|| opened.store.shown(relative, b"").display().to_string());
        }
    };
    let mut names = Vec::new();
    directory.list(&mut ListBuffer::default(), |name, kind| {
        let slot = Name::parse(name).slot();
        if kind == FileKind::Regular && slot.is_some_and(|slot| slot.holds(source_name.as_bytes())) {
            names.push(name.to_vec());
        }
    })?;
    names.sort();
    let scan = opened.scan(Question::Everything(UncheckedHashes::Trust));
    let mut count = 0;
    for name in names {
        let mut path_in_store = relative.to_vec();
        if !path_in_store.is_empty() {
            path_in_store.push(b'/');
        }
        path_in_store.extend_from_slice(&name);
        let shown = opened.store.shown(relative, &name);
        let printed = scan.one(&path_in_store, |visit, entry| -> io::Result<()> {
            let Some(status) = status::judge(entry, UncheckedHashes::Trust) else { return Ok(()) };
            if options.json {
                let source =
                    entry.source_name().map(|name| visit.source_directory().join(OsStr::from_bytes(&name)));
                let line = EntryLine::new(&shown, entry, status, source.as_deref(), &visit.owner());
                return json::print(out, &line);
            }
            print_line(session, &shown, entry, status, out)
        });
        match printed {
            Ok(Some(answer)) => answer?,
            Ok(None) => continue,
            Err(trouble) => complain::problem(&trouble),
        }
        count += 1;
    }
    Ok(count)
}

/// One line of `which` and `ls`: status, reason, size, path.
pub fn print_line(
    session: &Session,
    shown: &Path,
    entry: &Entry<'_>,
    status: status::Status,
    out: &mut dyn Write,
) -> io::Result<()> {
    let size = entry.metadata.map_or_else(|| "-".into(), |metadata| human::size(metadata.disk));
    write!(out, "{:<9}  {:<12}  {size:>10}  ", status.name(), status.reason().unwrap_or("-"))?;
    out.write_all(&path::shown(shown, &session.terminal))?;
    out.write_all(b"\n")
}
