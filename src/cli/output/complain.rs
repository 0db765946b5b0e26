//! Problems, on standard error: `pycstore: …` in one line, then `hint: …` saying what to type.
//!
//! Everything on standard error is written here, except the progress line, which contains no names. Control characters are
//! escaped even if standard error is not a terminal: a name must not add a line to a log or a mail.

pub use pycstore::complaint::{Complaint, one_line};

use super::path::escaped;
use super::terminal;
use pycstore::exit::Exit;
use pycstore::paragraph;
use pycstore::paragraph::wrapped;
use pycstore::source::Why;
use pycstore::source::interpreter::Interpreters;
use pycstore::store::scan::Trouble;
use pycstore::units::{Tally, human};
use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Messages and their hints.
type Messages = Vec<(String, Option<String>)>;

/// The messages that wait until the screen is free; none while they are printed at once.
static HELD: Mutex<Option<Messages>> = Mutex::new(None);

/// Messages are held as long as this exists, and then printed: something else is drawn on the terminal.
#[derive(Debug)]
pub struct HeldMessages(());

/// Holds all messages from now on.
pub fn hold() -> HeldMessages {
    lock_held().get_or_insert_default();
    HeldMessages(())
}

/// Whether messages are held.
pub fn is_holding() -> bool {
    lock_held().is_some()
}

impl Drop for HeldMessages {
    fn drop(&mut self) {
        let held = lock_held().take();
        held.into_iter().flatten().for_each(|(message, hint)| print(&message, hint.as_deref()));
    }
}

fn lock_held() -> MutexGuard<'static, Option<Messages>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

const NAME: &str = "pycstore: ";
const HINT: &str = "hint: ";

/// The error that ends the run.
pub fn fatal(error: &anyhow::Error) {
    let hint = error.downcast_ref::<Complaint>().map(|complaint| complaint.hint());
    print(&one_line(error.as_ref()), hint);
}

/// A problem after which the run continues.
pub fn problem(error: &(dyn Error + 'static)) {
    print(&one_line(error), None);
}

/// Reports an error, after which the run continues; returns whether there was none.
pub fn is_done<E: Error + 'static>(done: Result<(), E>) -> bool {
    done.inspect_err(|error| problem(error)).is_ok()
}

/// Several such problems. What a full or read-only disk causes is one line with a number: it would be one for each file.
pub fn problems<E: Error + 'static>(errors: &[E]) {
    let mut of_disk: BTreeMap<io::ErrorKind, (&E, u64)> = BTreeMap::new();
    for error in errors {
        match kind_of_disk(error) {
            Some(kind) => of_disk.entry(kind).or_insert((error, 0)).1 += 1,
            None => problem(error),
        }
    }
    for (error, count) in of_disk.into_values() {
        match count {
            1 => problem(error),
            count => problem_of_many(error, count),
        }
    }
}

/// A problem that several paths have.
fn problem_of_many(error: &(dyn Error + 'static), count: u64) {
    note(&format!("{}; the same for {}", one_line(error), human::counted(count - 1, "more path")));
}

/// The kind of an error of the whole disk.
fn kind_of_disk(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let kind =
        anyhow::Chain::new(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    kind.filter(|kind| matches!(kind, QuotaExceeded | ReadOnlyFilesystem | StorageFull))
}

/// A note that is not an error.
pub fn note(message: &str) {
    print(message, None);
}

/// A note with a hint.
pub fn advise(message: &str, hint: &str) {
    print(message, Some(hint));
}

/// Asks a question that the user answers on the same line.
pub fn ask(question: &str) -> io::Result<()> {
    let mut stderr = io::stderr().lock();
    write!(stderr, "{} ", escaped(question))?;
    stderr.flush()
}

/// Whether an error is only a closed pipe: the reader of our output has ended.
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().map(io::Error::kind) == Some(io::ErrorKind::BrokenPipe)
    })
}

/// Reports an output error, except a closed pipe; returns whether there was none. For commands that have more to do
/// afterwards.
pub fn is_written(output: io::Result<()>) -> bool {
    match output {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            problem(explained(error.into()).as_ref());
            false
        }
        _ => true,
    }
}

/// Whether an error is one of writing to standard output: all others of the system come with what failed.
pub fn is_of_output(error: &anyhow::Error) -> bool {
    error.chain().next().is_some_and(|outermost| outermost.is::<io::Error>())
}

/// The error; of the system's own errors only that of writing to standard output comes without saying what failed.
pub fn explained(error: anyhow::Error) -> anyhow::Error {
    if is_of_output(&error) { error.context("cannot write to standard output") } else { error }
}

/// Returns what [`fatal`] prints: the message and the hint.
pub fn message_and_hint(error: &anyhow::Error) -> (String, Option<String>) {
    let hint = error.downcast_ref::<Complaint>().map(|complaint| complaint.hint().to_string());
    (one_line(error.as_ref()), hint)
}

/// Reports what a search could not determine; returns whether it is complete.
pub fn interpreters(interpreters: &Interpreters) -> bool {
    problems(&interpreters.unreadable);
    for executable in &interpreters.unidentified {
        note(&format!("cannot determine the Python version of {}", executable.display()));
    }
    for library in &interpreters.out_of_reach {
        let path = library.directory.display();
        note(&format!("cannot access {path}: it may contain an interpreter with the tag {}", library.tag));
    }
    let any_found = interpreters.with_store().next().is_some();
    if !any_found {
        note("no Python 3.8 or later found on this machine");
    }
    any_found && interpreters.unreadable.is_empty() && interpreters.unidentified.is_empty()
}

/// Maximum number of paths that are listed for one reason.
const MOST_PATHS: usize = 10;

/// Reports paths that were kept or skipped, grouped by reason.
pub fn paths<'a, Why: Ord + Copy>(
    done: &str,
    paths: impl Iterator<Item = (Why, &'a PathBuf)>,
    explanation: fn(Why) -> &'static str,
) {
    let mut by_reason: BTreeMap<Why, Vec<&Path>> = BTreeMap::new();
    for (why, path) in paths {
        by_reason.entry(why).or_default().push(path);
    }
    for (why, paths) in by_reason {
        for path in paths.iter().take(MOST_PATHS) {
            note(&format!("{done} {}: {}", path.display(), explanation(why)));
        }
        if let Some(more) = paths.len().checked_sub(MOST_PATHS).filter(|more| *more > 0) {
            note(&format!(
                "{done} {} more for the same reason; --json lists all of them",
                human::count(more as u64)
            ));
        }
    }
}

/// Reports how much a stopped run left.
pub fn left(files: Tally, directories: u64) {
    if !files.is_empty() || directories > 0 {
        note(&format!("stopped early: {} left", human::sum(files, directories)));
    }
}

/// How many faults of one kind are reported one by one.
const MOST_ALIKE: usize = 3;

/// Reports what could not be read; a mount point is not an error. Of a disk or a server that fails everything can fail: many
/// faults that say the same are one, and so are those of sources on the file system of a store that is lost.
pub fn troubles(troubles: &[Trouble]) -> Exit {
    let kind = |trouble: &Trouble| {
        let fault = trouble.error().filter(|error| Why::of(error).is_fault())?;
        Some((std::mem::discriminant(trouble), fault.raw_os_error()?))
    };
    let (mut alike, mut known) = (Vec::<Vec<&Trouble>>::new(), HashMap::new());
    let code = |trouble: &Trouble| trouble.error().and_then(io::Error::raw_os_error);
    let is_lost = |trouble: &&Trouble| matches!(trouble, Trouble::Lost { .. });
    let lost = troubles.iter().find(is_lost).and_then(code);
    for trouble in troubles.iter().filter(|it| is_lost(it) || lost.is_none() || code(it) != lost) {
        let next = alike.len();
        match kind(trouble).map_or(next, |kind| *known.entry(kind).or_insert(next)) {
            group if group < next => alike[group].push(trouble),
            _ => alike.push(vec![trouble]),
        }
    }
    for group in alike {
        if group.len() <= MOST_ALIKE {
            group.into_iter().for_each(|trouble| problem(trouble));
        } else {
            problem_of_many(group[0], group.len() as u64);
        }
    }
    Exit::complete_if(is_read(troubles))
}

/// Whether everything was read; a mount point is not an error.
pub fn is_read(troubles: &[Trouble]) -> bool {
    troubles.iter().all(|trouble| matches!(trouble, Trouble::MountPoint { .. }))
}

fn print(message: &str, hint: Option<&str>) {
    if let Some(held) = &mut *lock_held() {
        held.push((message.to_string(), hint.map(String::from)));
        return;
    }
    let mut stderr = io::stderr().lock();
    let columns = terminal::columns_of(&stderr);
    let message = match (escaped(message), columns) {
        (text, Some(columns)) => fitted(NAME, &text, columns),
        (text, None) => text,
    };
    // A hint has a command in it, which can be copied only from one line: the terminal may wrap it.
    let hint = hint.map(escaped);
    // If standard error is closed, that cannot be reported.
    let _ = writeln!(stderr, "{NAME}{message}");
    if let Some(hint) = hint {
        let _ = writeln!(stderr, "{HINT}{hint}");
    }
}

/// Wraps a text to the width beside its head. A text with a longer word is not wrapped: a path with a line feed in it
/// cannot be copied.
fn fitted(head: &str, text: &str, columns: usize) -> String {
    let room = columns.saturating_sub(head.len());
    if text.split(' ').any(|word| paragraph::width(word) > room) {
        return text.to_string();
    }
    wrapped(text, room, room).join(&format!("\n{}", " ".repeat(head.len())))
}
