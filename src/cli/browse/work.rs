//! What is done in other threads: the scan, the check and removal of what is marked, and the details of an entry.

use super::collect;
use super::file::ScanBatch;
use crate::cli::inspect;
use crate::cli::removal::marked::{MarkedEnd, remove_marked};
use crate::cli::removal::{ResultOutput, RunOptions};
use crate::cli::selection::Selection;
use crate::cli::session::{Opened, Session};
use crate::cli::stop::{Stop, in_background};
use crossterm::event::{self, Event};
use pycstore::store::Purpose;
use pycstore::store::scan::Trouble;
use pycstore::units::Moment;
use pycstore::verdict::plan::PlannedDirectory;
use pycstore::verdict::policy::{ChosenEntry, Policy};
use pycstore::verdict::victim::Victim;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// What other threads tell the one that draws.
#[derive(Debug)]
pub enum Message {
    /// A key was pressed, or the size of the terminal changed.
    Input(Event),
    /// The terminal cannot be read any more.
    NoInput,
    /// The store was opened again.
    Opened(Arc<Opened>),
    /// The store could not be opened again for the scan with this number.
    NotOpened(u64, anyhow::Error),
    /// The scan with this number is done.
    Scanned(u64, Vec<Trouble>),
    /// The details of an entry.
    Inspected(u32, Vec<String>),
    /// What the removal of the marked entries would do, and the indexes of those that it would remove.
    Foreseen(u64, anyhow::Result<MarkedEnd>, Vec<u32>),
    /// What a removal did.
    Removed(anyhow::Result<MarkedEnd>),
}

/// How many directories may wait to be taken from the scan.
const MOST_WAITING: usize = 1024;

/// The store and the threads that work on it.
#[derive(Debug)]
pub struct Workshop {
    session: Arc<Session>,
    opened: Arc<Opened>,
    /// What is shown and reclaimable.
    pub selection: Arc<Selection>,
    metrics: Option<PathBuf>,
    sender: Sender<Message>,
    /// What the threads tell.
    pub messages: Receiver<Message>,
    scan: Arc<AtomicBool>,
    scans: u64,
    checks: u64,
    /// Stops the removal or check that runs.
    pub stop: Stop,
}

/// The progress of a removal.
#[derive(Debug, Clone, Default)]
pub struct RemovalProgress {
    /// How many files were removed.
    pub count: Arc<AtomicU64>,
    /// Their indexes in the catalogue.
    pub removed: Arc<Mutex<Vec<u32>>>,
}

impl RemovalProgress {
    /// What notes each file of a list that is removed, or would be; the files have these indexes in the catalogue.
    fn follow(&self, policy: &Policy, indexes: &[u32]) -> impl Fn(&PlannedDirectory, &Victim) + Sync {
        |planned, victim| {
            self.count.fetch_add(1, Ordering::Relaxed);
            let place = policy.place_in_list(&planned.relative, &victim.name);
            let mut removed = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
            removed.extend(place.map(|place| indexes[place]));
        }
    }

    /// The indexes of the files, which are forgotten.
    pub fn take(&self) -> Vec<u32> {
        std::mem::take(&mut *self.removed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Workshop {
    /// A workshop for an open store.
    pub fn new(session: Session, opened: Opened, selection: Selection, metrics: Option<PathBuf>) -> Workshop {
        let (sender, messages) = channel();
        Workshop {
            session: Arc::new(session),
            opened: Arc::new(opened),
            selection: Arc::new(selection),
            metrics,
            sender,
            messages,
            scan: Arc::default(),
            scans: 0,
            checks: 0,
            stop: Stop::default(),
        }
    }

    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The store.
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Reads the keys from now on.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn read_input(&self) -> io::Result<()> {
        let sender = self.sender.clone();
        in_background(move || {
            loop {
                let message = event::read().map_or(Message::NoInput, Message::Input);
                let is_end = matches!(message, Message::NoInput);
                if sender.send(message).is_err() || is_end {
                    return;
                }
            }
        })
    }

    /// Does work in another thread, which sends a message when it is done. If no thread can be started, the message is that of
    /// the error.
    fn start(
        &self,
        work: impl FnOnce(Sender<Message>) + Send + 'static,
        failed: impl FnOnce(anyhow::Error) -> Message,
    ) {
        let sender = self.sender.clone();
        if let Err(error) = in_background(move || work(sender)) {
            // We have the other end.
            let _ = self.sender.send(failed(error.into()));
        }
    }

    /// Begins a scan, and stops the one before; returns its number and what it finds.
    pub fn scan(&mut self) -> (u64, Receiver<ScanBatch>) {
        self.stop_scan();
        self.scan = Arc::default();
        self.scans += 1;
        let (batches, found): (SyncSender<ScanBatch>, Receiver<ScanBatch>) = sync_channel(MOST_WAITING);
        let (stop, number) = (self.scan.clone(), self.scans);
        let (session, selection) = (self.now(), self.selection.clone());
        // The store may be another directory by now.
        let opened = (number == 1).then(|| self.opened.clone());
        let work = move |sender: Sender<Message>| {
            let opened = match opened.map_or_else(|| session.open(Purpose::Look).map(Arc::new), Ok) {
                Ok(opened) => opened,
                Err(error) => return drop(sender.send(Message::NotOpened(number, error))),
            };
            let _ = sender.send(Message::Opened(opened.clone()));
            let (policy, _) = selection.policy_on(&session, &opened);
            let circumstances = opened.circumstances(session.environment.now, &|_, _| false);
            let troubles = collect::scan(&opened, &policy, circumstances, &stop, &batches);
            drop(batches);
            let _ = sender.send(Message::Scanned(number, troubles));
        };
        self.start(work, |error| Message::NotOpened(number, error));
        (number, found)
    }

    /// The store is open as this from now on.
    pub fn reopened(&mut self, opened: Arc<Opened>) {
        self.opened = opened;
    }

    pub fn stop_scan(&self) {
        self.scan.store(true, Ordering::Relaxed);
    }

    /// Finds out what `inspect` says of an entry at a path in the store.
    pub fn inspect(&self, entry: u32, relative: Vec<u8>, others: Vec<PathBuf>) {
        let (session, opened) = (self.session.clone(), self.opened.clone());
        let work = move |sender: Sender<Message>| {
            let lines = inspect::lines(&session, &opened, &relative, &others);
            let _ = sender.send(Message::Inspected(entry, lines));
        };
        self.start(work, |error| Message::Inspected(entry, vec![error.to_string()]));
    }

    /// Finds out what the removal of these entries, which have these indexes in the catalogue, would do; returns the number of
    /// the check.
    pub fn foresee(&mut self, chosen: Vec<ChosenEntry>, indexes: Vec<u32>) -> u64 {
        self.stop = Stop::default();
        self.checks += 1;
        let (number, stop) = (self.checks, self.stop.clone());
        let (session, selection) = (self.now(), self.selection.clone());
        let work = move |sender: Sender<Message>| {
            let selection = selection.of_marks(chosen);
            let progress = RemovalProgress::default();
            let on_planned = progress.follow(&selection.policy, &indexes);
            let end = remove_marked(&session, &selection, &options(true, None), &stop, &on_planned);
            let _ = sender.send(Message::Foreseen(number, end, progress.take()));
        };
        self.start(work, |error| Message::Foreseen(number, Err(error), Vec::new()));
        self.checks
    }

    /// Removes these entries, which have these indexes in the catalogue.
    pub fn remove(&mut self, chosen: Vec<ChosenEntry>, indexes: Vec<u32>) -> RemovalProgress {
        self.stop = Stop::default();
        let progress = RemovalProgress::default();
        let (stop, shared) = (self.stop.clone(), progress.clone());
        let (session, selection) = (self.now(), self.selection.clone());
        let options = options(false, self.metrics.clone());
        let work = move |sender: Sender<Message>| {
            let selection = selection.of_marks(chosen);
            let on_removed = shared.follow(&selection.policy, &indexes);
            let end = remove_marked(&session, &selection, &options, &stop, &on_removed);
            let _ = sender.send(Message::Removed(end));
        };
        self.start(work, |error| Message::Removed(Err(error)));
        progress
    }

    /// The session at the present time.
    fn now(&self) -> Arc<Session> {
        let mut session = (*self.session).clone();
        session.environment.now = Moment::from(SystemTime::now());
        Arc::new(session)
    }
}

fn options(dry_run: bool, metrics: Option<PathBuf>) -> RunOptions {
    RunOptions { dry_run, metrics, output: ResultOutput::LeftToCaller, ..RunOptions::default() }
}
