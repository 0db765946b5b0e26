//! Runs the browser on the terminal: draws, takes keys and what other threads tell, and ends in order.

use super::canvas::Look;
use super::draw::draw;
use super::file::ScanBatch;
use super::keys::{BrowserTask, PressedKey};
use super::palette::Palette;
use super::review::{RemovalReport, Removing, Review, problems};
use super::rows::path_in_store;
use super::screen::{self, Screen, ScreenGuard};
use super::state::{Browser, Dialog, ScanState};
use super::work::{Message, RemovalProgress, Workshop};
use crate::cli::output::path::Characters;
use crate::cli::output::{complain, owner};
use crate::cli::removal::marked::{MarkedEnd, MarkedOutcome};
use crate::cli::stop;
use crossterm::event::Event;
use pycstore::effect::outcome::Outcome;
use pycstore::exit::Exit;
use pycstore::json::Mode;
use pycstore::quoting::at_home;
use pycstore::store::scan::Trouble;
use pycstore::units::Moment;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

/// The least time between two screens while something happens and no key is pressed: thirty a second.
const FRAME: Duration = Duration::from_millis(33);

/// How long what the scan found may be added before the next key is looked at.
const SHARE_OF_FRAME: Duration = Duration::from_millis(6);

/// How often the rows of a running scan are made anew, at most.
const RELIST: Duration = Duration::from_millis(150);

/// The part of the time that may be spent on that: rows take longer the more there are.
const SHARE_OF_RELISTS: u32 = 8;

/// How long nothing may happen before signals are looked at.
const IDLE: Duration = Duration::from_millis(100);

/// The running browser.
struct App {
    browser: Browser,
    workshop: Workshop,
    look: Look,
    scan: Option<RunningScan>,
    check: u64,
    removal: Option<RemovalProgress>,
    /// What could not be read by the last scan.
    troubles: Vec<Trouble>,
    /// What was removed, a sentence for each removal.
    done: Vec<String>,
    exit: Exit,
    /// Whether the browser ends when the removal is done.
    is_ending: bool,
    is_drawn: bool,
    /// Whether a key is not answered yet.
    has_key: bool,
    /// The entry whose details are being read.
    inspected: Option<u32>,
}

struct RunningScan {
    number: u64,
    began: Instant,
    found: Receiver<ScanBatch>,
    /// When the rows are made anew.
    relist_at: Instant,
    /// Whether there was more than was taken the last time.
    has_more: bool,
    /// Set when the scan's threads are done.
    troubles: Option<Vec<Trouble>>,
}

/// Runs the browser until it is quit.
pub fn run(workshop: Workshop) -> anyhow::Result<Exit> {
    let session = workshop.session();
    let home = session.environment.home.clone();
    let look = Look {
        store: at_home(workshop.opened().store.path(), home.as_deref()),
        palette: Palette(session.style()),
        characters: Characters::of_process(),
        now: session.environment.now,
    };
    let quiet = session.global.quiet;
    let mut app = App {
        browser: Browser::new(home),
        workshop,
        look,
        scan: None,
        check: 0,
        removal: None,
        troubles: Vec::new(),
        done: Vec::new(),
        exit: Exit::Done,
        is_ending: false,
        is_drawn: false,
        has_key: false,
        inspected: None,
    };
    let held = complain::hold();
    let ended = app.on_screen();
    app.finish_removal();
    drop(held);
    if !quiet {
        let mut out = io::stdout().lock();
        for line in &app.done {
            writeln!(out, "{line}")?;
        }
        out.flush()?;
    }
    ended?;
    let read = complain::troubles(&app.troubles);
    Ok(if read == Exit::Done { app.exit } else { read })
}

impl App {
    fn on_screen(&mut self) -> io::Result<()> {
        let signals = stop::watch_signals(screen::restore)?;
        let mut screen = screen::enter()?;
        let _guard = ScreenGuard;
        self.begin_scan();
        self.draw(&mut screen)?;
        self.workshop.read_input()?;
        let mut drawn = Instant::now();
        loop {
            if !screen::is_entered() {
                return Err(io::Error::other("the browser ended: a thread failed"));
            }
            if signals.take_resumed() {
                screen::resume()?;
                screen::forget(&mut screen)?;
                self.is_drawn = false;
            }
            if signals.take_suspend() {
                self.suspend(&mut screen)?;
            }
            if signals.is_ended() && self.end() {
                return Ok(());
            }
            let is_busy = self.scan.is_some() || self.removal.is_some();
            let wait = match (is_busy, self.is_drawn) {
                _ if self.scan.as_ref().is_some_and(|scan| scan.has_more) => Duration::ZERO,
                (false, true) => IDLE,
                _ => Duration::from_millis(4),
            };
            match self.workshop.messages.recv_timeout(wait) {
                Ok(message) => {
                    if self.take(message, &mut screen)? {
                        return Ok(());
                    }
                    // Keys are answered at once, as far as the terminal keeps up.
                    while let Ok(message) = self.workshop.messages.try_recv() {
                        if self.take(message, &mut screen)? {
                            return Ok(());
                        }
                    }
                }
                Err(RecvTimeoutError::Timeout) if screen::is_there() => {}
                Err(RecvTimeoutError::Timeout) => return Err(io::Error::other("the terminal was closed")),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            self.take_batches();
            self.follow_removal();
            let is_resized = screen.size().is_ok_and(|size| size != screen.get_frame().area().as_size());
            if (!self.is_drawn || is_resized) && (self.has_key || drawn.elapsed() >= FRAME) {
                self.draw(&mut screen)?;
                drawn = Instant::now();
            }
        }
    }

    /// Stops a removal that still runs because the terminal is gone, and waits until it is recorded.
    fn finish_removal(&mut self) {
        while self.removal.is_some() {
            self.workshop.stop.request();
            match self.workshop.messages.recv() {
                Ok(Message::Removed(end)) => self.removed(end),
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    fn draw(&mut self, screen: &mut Screen) -> io::Result<()> {
        self.look.now = Moment::from(std::time::SystemTime::now());
        if let Some(scan) = &self.scan {
            self.browser.scan = ScanState::Running(scan.began.elapsed());
        }
        screen.draw(|frame| draw(&mut self.browser, &self.look, frame.buffer_mut()))?;
        (self.is_drawn, self.has_key) = (true, false);
        self.inspect();
        Ok(())
    }

    /// Asks for the details of the selected entry, if the pane has those of another.
    fn inspect(&mut self) {
        if self.inspected.is_some() {
            return;
        }
        let entry = self.browser.entry().filter(|_| self.browser.pane.is_visible);
        let Some(entry) = entry.filter(|entry| self.browser.pane.entry != Some(*entry)) else { return };
        let catalogue = &self.browser.catalogue;
        let identity = catalogue.entries[entry as usize].facts.identity;
        let store = &self.workshop.opened().store;
        let others = catalogue.inodes.names(identity).iter().filter(|other| **other != entry);
        let shown = |other: &u32| store.shown(&path_in_store(catalogue, *other), b"");
        let others: Vec<PathBuf> = others.map(shown).collect();
        let relative = path_in_store(catalogue, entry);
        (self.browser.pane.entry, self.browser.pane.lines) = (Some(entry), Vec::new());
        self.inspected = Some(entry);
        self.workshop.inspect(entry, relative, others);
    }

    fn begin_scan(&mut self) {
        let (number, found) = self.workshop.scan();
        let (began, relist_at) = (Instant::now(), Instant::now());
        self.scan = Some(RunningScan { number, began, found, relist_at, has_more: false, troubles: None });
    }

    /// Adds what the scan found, for a part of the time of a screen.
    fn take_batches(&mut self) {
        let Some(scan) = &mut self.scan else { return };
        let began = Instant::now();
        let mut is_done = false;
        scan.has_more = true;
        while began.elapsed() < SHARE_OF_FRAME {
            match scan.found.try_recv() {
                Ok(batch) => {
                    self.browser.add(batch);
                    self.is_drawn = false;
                }
                Err(TryRecvError::Empty) => {
                    scan.has_more = false;
                    break;
                }
                Err(TryRecvError::Disconnected) => {
                    (is_done, scan.has_more) = (true, false);
                    break;
                }
            }
        }
        if is_done && let Some(troubles) = scan.troubles.take() {
            self.scan = None;
            self.browser.end_scan(troubles.len());
            self.troubles = troubles;
            self.is_drawn = false;
        } else if Instant::now() >= scan.relist_at || self.browser.rows.is_empty() {
            let began = Instant::now();
            self.browser.refresh();
            scan.relist_at = Instant::now() + RELIST.max(began.elapsed() * SHARE_OF_RELISTS);
        }
    }

    /// Takes a message; returns whether the browser ends.
    fn take(&mut self, message: Message, screen: &mut Screen) -> io::Result<bool> {
        self.is_drawn = false;
        match message {
            Message::Input(Event::Key(key)) => {
                self.has_key = true;
                if let Some(task) = PressedKey::of(key).and_then(|key| self.browser.key(key)) {
                    return self.carry_out(task, screen);
                }
            }
            Message::Input(Event::Paste(text)) => self.browser.paste(&text),
            Message::Input(_) => {}
            Message::NoInput => return Ok(self.end()),
            Message::Opened(opened) => self.workshop.reopened(opened),
            Message::NotOpened(number, error) => {
                if self.scan.take_if(|scan| scan.number == number).is_some() {
                    self.browser.end_scan(0);
                    self.exit = Exit::Incomplete;
                    self.browser.dialog = failed(&error);
                }
            }
            Message::Scanned(number, troubles) => {
                if let Some(scan) = self.scan.as_mut().filter(|scan| scan.number == number) {
                    scan.troubles = Some(troubles);
                }
            }
            Message::Inspected(entry, lines) => {
                self.inspected = None;
                if self.browser.pane.entry == Some(entry) {
                    self.browser.pane.lines = lines;
                }
            }
            Message::Foreseen(number, end, planned) if number == self.check => self.foreseen(end, &planned),
            Message::Foreseen(..) => {}
            Message::Removed(end) => {
                self.removed(end);
                return Ok(self.is_ending);
            }
        }
        Ok(false)
    }

    fn carry_out(&mut self, task: BrowserTask, screen: &mut Screen) -> io::Result<bool> {
        match task {
            BrowserTask::Quit => return Ok(self.end()),
            BrowserTask::Suspend => self.suspend(screen)?,
            BrowserTask::Rescan => {
                self.browser.begin_scan();
                self.begin_scan();
            }
            BrowserTask::Foresee => {
                let (chosen, indexes) = self.browser.catalogue.chosen();
                self.check = self.workshop.foresee(chosen, indexes);
            }
            BrowserTask::Drop => {
                self.check = 0;
                self.workshop.stop.request();
            }
            BrowserTask::Remove => {
                let (chosen, indexes) = self.browser.catalogue.chosen();
                let all = chosen.len() as u64;
                self.removal = Some(self.workshop.remove(chosen, indexes));
                self.browser.dialog = Dialog::Removing(Removing { removed: 0, all, is_stopping: false });
            }
            BrowserTask::Stop => self.workshop.stop.request(),
        }
        Ok(false)
    }

    fn foreseen(&mut self, end: anyhow::Result<MarkedEnd>, planned: &[u32]) {
        match end {
            Ok(MarkedEnd::Finished(foreseen)) => {
                // What is shown as kept is kept, even if it becomes what was marked again.
                self.browser.keep_marks_of(planned);
                let review = Review::new(&foreseen, self.browser.home.as_deref());
                self.browser.dialog = Dialog::Review(Box::new(review));
            }
            Ok(MarkedEnd::Locked | MarkedEnd::Stopped) => self.browser.decline(),
            Err(error) => {
                self.browser.decline();
                self.browser.dialog = failed(&error);
            }
        }
    }

    /// Takes note of what was removed.
    fn removed(&mut self, end: anyhow::Result<MarkedEnd>) {
        if let Some(progress) = self.removal.take() {
            self.browser.remove(&progress.take());
        }
        self.browser.dialog = Dialog::List;
        match end {
            Ok(MarkedEnd::Finished(done)) => self.report(&done),
            Ok(MarkedEnd::Locked) => {
                self.exit = Exit::Incomplete;
                let lines = vec!["nothing was removed: another process holds the lock of the store".into()];
                self.browser.dialog = Dialog::Report(RemovalReport::new(lines));
            }
            Ok(MarkedEnd::Stopped) => self.browser.message = "stopped: nothing was removed".into(),
            Err(error) => {
                self.exit = Exit::Incomplete;
                self.browser.dialog = failed(&error);
            }
        }
    }

    fn report(&mut self, done: &MarkedOutcome) {
        let Outcome { removed, directories, .. } = done.outcome;
        let summary = owner::removed(Mode::Real, removed, directories, false);
        self.browser.catalogue.remove_directories(&done.outcome.emptied);
        if done.outcome.left.is_empty() {
            // What is still marked was kept, and would be kept again.
            self.browser.catalogue.unmark_all();
            self.browser.list();
        }
        let problems = problems(done);
        if done.exit != Exit::Done {
            self.exit = done.exit;
        }
        self.done.push(summary.clone());
        self.browser.message.clone_from(&summary);
        if !problems.is_empty() {
            problems.iter().for_each(|problem| complain::note(problem));
            let lines = std::iter::once(summary).chain(problems).collect();
            self.browser.dialog = Dialog::Report(RemovalReport::new(lines));
        }
    }

    /// Shows how far the removal is.
    fn follow_removal(&mut self) {
        if let (Some(progress), Dialog::Removing(removing)) = (&self.removal, &mut self.browser.dialog) {
            let removed = progress.count.load(Ordering::Relaxed);
            self.is_drawn &= removing.removed == removed;
            removing.removed = removed;
        }
    }

    /// Ends the browser, or the removal first; returns whether it may end now.
    fn end(&mut self) -> bool {
        self.workshop.stop_scan();
        self.workshop.stop.request();
        self.is_ending = true;
        if let Dialog::Removing(removing) = &mut self.browser.dialog {
            removing.is_stopping = true;
        }
        self.removal.is_none()
    }

    fn suspend(&mut self, screen: &mut Screen) -> io::Result<()> {
        screen::restore();
        stop::suspend();
        screen::resume()?;
        screen::forget(screen)?;
        self.is_drawn = false;
        Ok(())
    }
}

fn failed(error: &anyhow::Error) -> Dialog {
    let (message, hint) = complain::message_and_hint(error);
    let hint = hint.map(|hint| format!("hint: {hint}"));
    Dialog::Report(RemovalReport::new(std::iter::once(message).chain(hint).collect()))
}
