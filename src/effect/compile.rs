//! Compiles sources into the store by interpreters, several at a time.
//!
//! An interpreter gets a source and returns the content of its entry over a pipe ([`crate::host::isolated`]); it reads and writes no
//! file, so as root it needs no rights ([`Runners::unprivileged`]). The entry is written here. An interpreter that ends or does
//! not answer in time leaves its source uncompiled, and another process goes on with the rest.

use crate::effect::new_entry;
use crate::host::directory;
use crate::host::isolated::{Greeting, InterpreterStart, IsolatedInterpreter, framed};
use crate::host::pool::{self, Threads};
use crate::host::trust::runner::Runners;
use crate::pyc::InvalidationMode;
use crate::pyc::header::python_mtime;
use crate::pyc::name::{cache_from_source, entry_name};
use crate::store::Store;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the interpreters run.
const SCRIPT: &str = include_str!("compile.py");

/// How many sources one process compiles.
const BATCH: usize = 100;

/// Maximum length of a source, in bytes: an archive may bring a file with holes of any size.
pub(super) const LARGEST_SOURCE: u64 = 32 << 20;

/// Sources longer than this, in bytes, are compiled one at a time: this process holds each with its entry.
const LARGE_SOURCE: u64 = 1 << 20;

static LARGE: Mutex<()> = Mutex::new(());

/// Sources for one interpreter.
#[derive(Debug, Clone)]
pub struct SourceGroup {
    /// Its executable.
    pub executable: PathBuf,
    /// The cache tag that it has to have.
    pub tag: Option<Box<str>>,
    /// The sources.
    pub tasks: Vec<Task>,
}

/// A source to be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its absolute path, spelled as it will be imported.
    pub source: PathBuf,
    /// The optimization: 0, 1 or 2.
    pub optimization: u8,
    /// How the entry is tied to it.
    pub invalidation: InvalidationMode,
}

/// What the interpreters did.
#[derive(Debug, Default)]
pub struct Compilation {
    /// By executable.
    pub rows: BTreeMap<PathBuf, CompiledSources>,
    /// What could not be compiled, sorted by path.
    pub failures: Vec<CompileFailure>,
    /// How many sources were left when the run was told to stop.
    pub left: u64,
}

/// What one interpreter did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompiledSources {
    /// Its cache tag.
    pub tag: String,
    /// How many sources it compiled.
    pub compiled: u64,
    /// How many got the entry of an equal source, as a link or a copy, instead of being compiled.
    pub reused: u64,
    /// How many had a fresh entry already.
    pub fresh: u64,
    /// How many it could not compile.
    pub failed: u64,
}

impl Compilation {
    /// What an interpreter with this tag did.
    pub(super) fn row(&mut self, executable: &Path, tag: &str) -> &mut CompiledSources {
        let row = self.rows.entry(executable.to_path_buf()).or_default();
        row.tag = tag.into();
        row
    }

    /// Adds another part.
    pub fn append(&mut self, part: Compilation) {
        for (executable, row) in part.rows {
            let sum = self.rows.entry(executable).or_default();
            sum.compiled += row.compiled;
            sum.reused += row.reused;
            sum.fresh += row.fresh;
            sum.failed += row.failed;
            if sum.tag.is_empty() {
                sum.tag = row.tag;
            }
        }
        self.failures.extend(part.failures);
        self.left += part.left;
    }
}

/// What could not be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileFailure {
    /// A source.
    #[error("cannot compile {}: {why}", .path.display())]
    Source {
        /// The source.
        path: PathBuf,
        /// What the interpreter said.
        why: String,
    },
    /// A source that cannot be read.
    #[error("cannot read {}", .path.display())]
    Unreadable {
        /// The source.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A source whose entry cannot be written.
    #[error("cannot write the entry of {}", .path.display())]
    NotWritten {
        /// The source.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// All of an interpreter's.
    #[error("cannot run {} for {files} source{}", .path.display(), if *.files == 1 { "" } else { "s" })]
    Interpreter {
        /// The executable.
        path: PathBuf,
        /// How many sources were to be compiled.
        files: u64,
        /// What the system said.
        source: io::Error,
    },
}

impl CompileFailure {
    /// Whether the source is the cause: another run would fail again, and all other sources are compiled.
    pub fn is_of_source(&self) -> bool {
        matches!(self, CompileFailure::Source { .. } | CompileFailure::Unreadable { .. })
    }

    /// The path in question.
    pub fn path(&self) -> &Path {
        match self {
            CompileFailure::Source { path, .. }
            | CompileFailure::Unreadable { path, .. }
            | CompileFailure::NotWritten { path, .. }
            | CompileFailure::Interpreter { path, .. } => path,
        }
    }
}

/// Whether the store has an entry at this path that is fresh.
pub type IsFresh<'a> = dyn Fn(&Path) -> bool + Sync + 'a;

/// Compiles what is not fresh into the store, until done or until `stop` becomes true. `progress` hears how many sources were
/// done so far. The caller has checked who may change the interpreters ([`Runners::trust`]).
pub fn compile(
    store: &Store,
    groups: &[SourceGroup],
    is_fresh: &IsFresh<'_>,
    runners: &Runners,
    threads: Threads,
    stop: &AtomicBool,
    mut progress: impl FnMut(u64),
) -> Compilation {
    // Compiling is work for processors: more of them than cores only wait for each other.
    let cores = threads.for_processors();
    let done = AtomicU64::new(0);
    let mut batches: Vec<(&SourceGroup, &[Task])> = Vec::new();
    for group in groups {
        batches.extend(group.tasks.chunks(BATCH).map(|batch| (group, batch)));
    }
    let work = |part: &mut Compilation, (group, batch): (&SourceGroup, &[Task]), _: &mut _| {
        Batch { store, group, is_fresh, runners, stop, done: &done }.compile(batch, part);
    };
    let watch = || progress(done.load(Ordering::Relaxed));
    let mut all = Compilation::default();
    for part in pool::run(cores.for_jobs(batches.len()), batches, Compilation::default, work, watch) {
        all.append(part);
    }
    all.failures.sort_by(|one, other| one.path().cmp(other.path()));
    all.failures = merged(all.failures);
    all
}

/// Of an interpreter that cannot be run, one failure instead of one a batch.
fn merged(failures: Vec<CompileFailure>) -> Vec<CompileFailure> {
    let mut merged: Vec<CompileFailure> = Vec::new();
    for failure in failures {
        match (merged.last_mut(), &failure) {
            (
                Some(CompileFailure::Interpreter { path, files, .. }),
                CompileFailure::Interpreter { path: same, files: more, .. },
            ) if path == same => *files += more,
            _ => merged.push(failure),
        }
    }
    merged
}

struct Batch<'a> {
    store: &'a Store,
    group: &'a SourceGroup,
    is_fresh: &'a IsFresh<'a>,
    runners: &'a Runners,
    stop: &'a AtomicBool,
    done: &'a AtomicU64,
}

impl Batch<'_> {
    fn compile(&self, tasks: &[Task], part: &mut Compilation) {
        let executable = &self.group.executable;
        let mut interpreter = IsolatedInterpreter::new(self.start(), Greeting::Expected);
        let mut row = CompiledSources::default();
        for (index, task) in tasks.iter().enumerate() {
            if self.stop.load(Ordering::Relaxed) || self.store.is_lost() {
                part.left += (tasks.len() - index) as u64;
                break;
            }
            let size = task.source.metadata().map_or(0, |metadata| metadata.len());
            let tag = match self.tag(interpreter.prepare(size)) {
                Ok(tag) => tag,
                Err(source) => {
                    let files = (tasks.len() - index) as u64;
                    row.failed += files;
                    part.failures.push(CompileFailure::Interpreter {
                        path: executable.clone(),
                        files,
                        source,
                    });
                    break;
                }
            };
            row.tag.clone_from(&tag);
            self.done.fetch_add(1, Ordering::Relaxed);
            if self.is_fresh(task, &tag) {
                row.fresh += 1;
                continue;
            }
            match self.compile_one(task, size, &tag, &mut interpreter) {
                Ok(()) => row.compiled += 1,
                Err(failure) => {
                    if let CompileFailure::NotWritten { source, .. } = &failure {
                        self.store.note_error(source);
                    }
                    row.failed += 1;
                    part.failures.push(failure);
                }
            }
        }
        let sum = part.rows.entry(executable.clone()).or_default();
        sum.compiled += row.compiled;
        sum.fresh += row.fresh;
        sum.failed += row.failed;
        sum.tag = row.tag;
    }

    /// Compiles a source by an interpreter that is prepared for this size.
    fn compile_one(
        &self,
        task: &Task,
        size: u64,
        tag: &str,
        interpreter: &mut IsolatedInterpreter<'_>,
    ) -> Result<(), CompileFailure> {
        let path = || task.source.clone();
        let source =
            ReadSource::read(task).map_err(|source| CompileFailure::Unreadable { path: path(), source })?;
        // Not the size of a source that has grown: another process would wait for memory while this thread holds the lock.
        let why = match interpreter.ask(size, source.question) {
            Ok(answer) => match answer.split_first() {
                Some((b'P', content)) => {
                    let (relative, name) = place(task, tag);
                    let mode = new_entry::mode(source.mode);
                    return new_entry::write(self.store, &relative, &name, mode, content)
                        .map_err(|source| CompileFailure::NotWritten { path: path(), source });
                }
                Some((b'E', why)) => String::from_utf8_lossy(why).into_owned(),
                _ => format!("{} gave no entry", self.group.executable.display()),
            },
            // The next source gets a process of its own.
            Err(error) => {
                let executable = self.group.executable.display();
                match error.kind() {
                    io::ErrorKind::TimedOut => format!("{executable} gave no answer in time"),
                    _ => format!("{executable} ended, or exceeded its limit of time or memory"),
                }
            }
        };
        Err(CompileFailure::Source { path: path(), why })
    }

    fn start(&self) -> InterpreterStart<'_> {
        let executable = &self.group.executable;
        let identity = self.runners.unprivileged(executable);
        let launcher = self.runners.launcher();
        InterpreterStart { executable, identity, launcher, script: SCRIPT, argument: OsString::new() }
    }

    /// The interpreter's cache tag, which it says first.
    fn tag(&self, said: io::Result<&[u8]>) -> io::Result<String> {
        let is_none = |error: io::Error| match error.kind() {
            io::ErrorKind::BrokenPipe => io::Error::other("it is no Python 3.8 or later that works"),
            _ => error,
        };
        let tag = String::from_utf8_lossy(said.map_err(is_none)?).into_owned();
        match &self.group.tag {
            Some(wanted) if **wanted != tag => Err(io::Error::other(format!("it is {tag}, not {wanted}"))),
            _ => Ok(tag),
        }
    }

    fn is_fresh(&self, task: &Task, tag: &str) -> bool {
        is_fresh(self.store, task, tag, self.is_fresh)
    }
}

/// Whether the entry that a task asks for is fresh.
pub(super) fn is_fresh(store: &Store, task: &Task, tag: &str, is_fresh: &IsFresh<'_>) -> bool {
    cache_from_source(store.path(), &task.source, tag, optimization(task))
        .is_some_and(|entry| is_fresh(&entry))
}

/// The optimization as it stands in an entry's name.
fn optimization(task: &Task) -> &'static str {
    match task.optimization {
        0 => "",
        1 => "1",
        _ => "2",
    }
}

/// Returns the directory of a source's entry, by its path from the store's root, and the entry's name.
pub(super) fn place(task: &Task, tag: &str) -> (Vec<u8>, Vec<u8>) {
    let mut relative: Vec<&[u8]> = Vec::new();
    // No link in the store is followed: there `..` always leads back.
    for component in task.source.parent().into_iter().flat_map(Path::components) {
        match component {
            Component::Normal(name) => relative.push(name.as_bytes()),
            Component::ParentDir => drop(relative.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    let name = task.source.file_name().unwrap_or_default().as_bytes();
    (relative.join(&b'/'), entry_name(name, tag, optimization(task)))
}

/// A source that was read for an interpreter.
struct ReadSource {
    question: Vec<u8>,
    /// Its `st_mode`.
    mode: u32,
    /// The lock of a large source.
    _alone: Option<MutexGuard<'static, ()>>,
}

impl ReadSource {
    fn read(task: &Task) -> io::Result<ReadSource> {
        let (file, metadata) = directory::open_file(&task.source)?;
        if metadata.bytes > LARGEST_SOURCE {
            let message = format!("larger than {} MiB", LARGEST_SOURCE >> 20);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        let lock = || LARGE.lock().unwrap_or_else(PoisonError::into_inner);
        let alone = (metadata.bytes > LARGE_SOURCE).then(lock);
        let mode = match task.invalidation {
            InvalidationMode::Timestamp => b'T',
            InvalidationMode::CheckedHash => b'C',
            InvalidationMode::UncheckedHash => b'U',
        };
        let mtime = python_mtime(metadata.modified.seconds, metadata.modified.nanoseconds) as u32;
        let mut question = vec![task.optimization, mode];
        question.extend(mtime.to_le_bytes());
        question.extend((metadata.bytes as u32).to_le_bytes());
        question.extend(framed(task.source.as_os_str().as_bytes()));
        // Read to where it is sent from: it may be long.
        question.reserve_exact(metadata.bytes as usize + 5);
        let length = question.len();
        question.extend([0; 4]);
        let most = if alone.is_some() { LARGEST_SOURCE } else { LARGE_SOURCE };
        let bytes = file.take(most + 1).read_to_end(&mut question)? as u64;
        if bytes > most {
            return Err(io::Error::other("it grew while it was read"));
        }
        question[length..length + 4].copy_from_slice(&(bytes as u32).to_le_bytes());
        Ok(ReadSource { question, mode: metadata.mode, _alone: alone })
    }
}
