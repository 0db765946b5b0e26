//! `--list`: a line for each file and directory that a run removes, on standard output, as soon as it is known.
//!
//! Nothing is collected, so that memory does not grow with the store. The first write error ends the list, but not
//! the removal.

use super::record::RemovedSoFar;
use crate::cli::output::entry::{write_columns, write_named};
use crate::cli::session::Session;
use pycstore::store::Store;
use pycstore::verdict::emptied::EmptiedIn;
use pycstore::verdict::plan::PlannedDirectory;
use pycstore::verdict::victim::Victim;
use std::io::{self, BufWriter, Stdout, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// The list of one run.
pub(super) struct RemovalList<'a> {
    session: &'a Session,
    store: &'a Store,
    /// None without `--list`. After an error, nothing more is written.
    out: Option<Mutex<(BufWriter<Stdout>, io::Result<()>)>>,
    /// Counts what is listed, with `--list` and without.
    removed: Arc<RemovedSoFar>,
}

impl<'a> RemovalList<'a> {
    /// A list on standard output, or none.
    pub(super) fn new(
        session: &'a Session,
        store: &'a Store,
        is_wanted: bool,
        removed: &Arc<RemovedSoFar>,
    ) -> RemovalList<'a> {
        let is_wanted = is_wanted && !session.global.quiet;
        let out = is_wanted.then(|| Mutex::new((BufWriter::new(io::stdout()), Ok(()))));
        RemovalList { session, store, out, removed: removed.clone() }
    }

    /// Lists one file.
    pub(super) fn file(&self, planned: &PlannedDirectory, victim: &Victim) {
        self.removed.add(victim.tally());
        let path = || self.store.shown(&planned.relative, &victim.name);
        let terminal = &self.session.terminal;
        self.write(|out| write_columns(out, terminal, &path(), victim.status, Some(victim.disk)));
    }

    /// Lists all files of a directory.
    pub(super) fn files(&self, planned: &PlannedDirectory) {
        planned.victims.iter().for_each(|victim| self.file(planned, victim));
    }

    /// Lists the directories and ends the list.
    ///
    /// # Errors
    /// The first write error.
    pub(super) fn finish(self, emptied: &[EmptiedIn]) -> io::Result<()> {
        let terminal = &self.session.terminal;
        for directories in emptied {
            for name in directories.names() {
                let path = self.store.shown(&directories.parent, name);
                self.write(|out| write_named(out, terminal, &path, "directory", None, None));
            }
        }
        self.write(|out| out.flush());
        let written = self.out.map(|out| out.into_inner().unwrap_or_else(PoisonError::into_inner).1);
        written.unwrap_or(Ok(()))
    }

    fn write(&self, line: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        let Some(out) = &self.out else { return };
        let mut guard = out.lock().unwrap_or_else(PoisonError::into_inner);
        let (out, written) = &mut *guard;
        if written.is_ok() {
            *written = line(out);
        }
    }
}
