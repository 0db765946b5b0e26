//! `pycstore report`: the store as an HTML page.

use super::options::Unchecked;
use super::output::complain::{self, Complaint};
use super::output::path;
use super::selection::{count, prune_command};
use super::session::Session;
use clap::Args;
use pycstore::edits::replace::{KeepOwner, Original, ReplaceError, replace, replace_like};
use pycstore::exit::Exit;
use pycstore::host::directory::{effective_user, open_file};
use pycstore::report::{self, Report};
use pycstore::store::Purpose;
use pycstore::units::human;
use pycstore::verdict::status::UncheckedHashes;
use pycstore::verdict::view::{Dimension, Focus, View};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Write an HTML page of the disk usage of the store
///
/// The page has a treemap, the totals of `pycstore du --json` and a table to sort and filter. It is one file that
/// loads nothing from the network or the disk. It contains its data as JSON: that of `du --json`, the time (generated),
/// the program and what could not be read (troubles).
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 success; 1 something could not be read; 2 no store, or nothing was written."
)]
pub struct ReportOptions {
    /// Write the page to FILE, or to standard output if it is `-`. An existing file is replaced atomically and keeps
    /// its mode; a new file is readable only by you
    #[arg(long, value_name = "FILE", required = true)]
    pub html: PathBuf,
    #[command(flatten)]
    pub unchecked: Unchecked,
}

/// The mode of a new page: its contents are private, because it names the user's projects.
const PRIVATE: u32 = 0o600;

/// Runs `pycstore report`.
pub fn run(session: &Session, options: &ReportOptions) -> anyhow::Result<Exit> {
    let opened = session.open(Purpose::Look)?;
    let unchecked = UncheckedHashes::from(options.unchecked);
    let view = View { dimensions: vec![Dimension::Owner, Dimension::Package], ..View::default() };
    let usage = count(session, &opened, unchecked, &[], (&view, &Focus::default()))?;
    // The page is read in another directory.
    let store = session.global.store.as_ref().map(|_| opened.store.path());
    let page = report::page(Report {
        store: opened.store.path(),
        usage: &usage,
        home: session.environment.home.as_deref(),
        now: session.environment.now,
        prune_command: &prune_command(session, store, &Focus::default()),
    })?;
    if options.html == Path::new("-") {
        let mut out = io::stdout().lock();
        out.write_all(page.as_bytes())?;
        out.flush()?;
    } else {
        let file = &options.html;
        let path = session.environment.working_directory.join(file);
        put(&path, page.as_bytes()).map_err(|error| {
            let unwritten = Unwritten { file: file.display().to_string(), source: error };
            Complaint::caused(unwritten, "specify a file in a directory that you can write to, or `-`")
        })?;
        if session.terminal.is_terminal() && !session.global.quiet {
            let mut out = io::stdout().lock();
            out.write_all(b"wrote ")?;
            out.write_all(&path::shown(file, &session.terminal))?;
            let owners = human::counted(usage.owners.len() as u64, "owner");
            writeln!(out, ": {} of {owners}", human::size(usage.disk()))?;
        }
    }
    Ok(complain::troubles(&usage.troubles))
}

/// Replaces an old page and keeps its permissions.
fn put(path: &Path, page: &[u8]) -> Result<(), ReplaceError> {
    let is_file = path.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
    match open_file(path) {
        Ok((old, metadata)) if is_file && !is_planted(path, metadata.user) => {
            replace_like(path, page, &Original::new(old)?, KeepOwner::KeptIfPossible)
        }
        _ => Ok(replace(path, page, PRIVATE)?),
    }
}

/// Whether this user may have created the file to receive the page: in a directory for the files of all users,
/// such as `/tmp`, it belongs to neither us nor the directory's owner (as `protected_regular` of proc_sys_fs(5)).
fn is_planted(path: &Path, user: u32) -> bool {
    const STICKY_AND_OPEN: u32 = 0o1002;
    path.parent().and_then(|parent| parent.metadata().ok()).is_some_and(|directory| {
        directory.mode() & STICKY_AND_OPEN == STICKY_AND_OPEN
            && ![effective_user(), directory.uid()].contains(&user)
    })
}

/// The page could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {file}")]
struct Unwritten {
    file: String,
    source: ReplaceError,
}
