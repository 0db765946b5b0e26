//! Lets interpreters compile sources into the store, several at a time.
//!
//! They write there by themselves, as any Python does under the prefix. One that ends or does not answer in time leaves
//! its source uncompiled, and another process goes on with the rest.

use crate::host::isolated::{Greeting, Interpreter, Start, framed};
use crate::host::pool::{self, Threads};
use crate::pyc::InvalidationMode;
use crate::pyc::name::cache_from_source;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What the interpreters run.
const SCRIPT: &str = include_str!("compile.py");

/// How many sources one process compiles.
const BATCH: usize = 100;

/// Sources for one interpreter.
#[derive(Debug, Clone)]
pub struct Group {
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
    pub rows: BTreeMap<PathBuf, Row>,
    /// What could not be compiled, sorted by path.
    pub failures: Vec<Failure>,
    /// How many sources were left when the run was told to stop.
    pub left: u64,
}

/// What one interpreter did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// Its cache tag.
    pub tag: String,
    /// How many sources it compiled.
    pub compiled: u64,
    /// How many had a fresh entry already.
    pub fresh: u64,
    /// How many it could not compile.
    pub failed: u64,
}

/// What could not be compiled.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A source.
    #[error("cannot compile {}: {why}", .path.display())]
    Source {
        /// The source.
        path: PathBuf,
        /// What the interpreter said.
        why: String,
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

impl Failure {
    /// The path in question.
    pub fn path(&self) -> &Path {
        match self {
            Failure::Source { path, .. } | Failure::Interpreter { path, .. } => path,
        }
    }
}

/// Whether the store has an entry at this path that is fresh.
pub type IsFresh<'a> = dyn Fn(&Path) -> bool + Sync + 'a;

/// Compiles what is not fresh into the store at `prefix`, until done or until `stop` becomes true. `progress` hears how many
/// sources were done so far. Interpreters are started by `launcher` ([`crate::host::contained::Containment::command`]); without one
/// they have no limits.
pub fn compile(
    prefix: &Path,
    groups: &[Group],
    is_fresh: &IsFresh<'_>,
    launcher: Option<&Path>,
    threads: Threads,
    stop: &AtomicBool,
    mut progress: impl FnMut(u64),
) -> Compilation {
    // Compiling is work for processors: more of them than cores only wait for each other.
    let cores = threads.for_processors();
    let done = AtomicU64::new(0);
    let mut batches: Vec<(&Group, &[Task])> = Vec::new();
    for group in groups {
        batches.extend(group.tasks.chunks(BATCH).map(|batch| (group, batch)));
    }
    let work = |part: &mut Compilation, (group, batch): (&Group, &[Task]), _: &mut _| {
        Batch { prefix, group, is_fresh, launcher, stop, done: &done }.compile(batch, part);
    };
    let watch = || progress(done.load(Ordering::Relaxed));
    let mut all = Compilation::default();
    for part in pool::run(cores.for_jobs(batches.len()), batches, Compilation::default, work, watch) {
        for (executable, row) in part.rows {
            let sum = all.rows.entry(executable).or_default();
            sum.compiled += row.compiled;
            sum.fresh += row.fresh;
            sum.failed += row.failed;
            if sum.tag.is_empty() {
                sum.tag = row.tag;
            }
        }
        all.failures.extend(part.failures);
        all.left += part.left;
    }
    all.failures.sort_by(|one, other| one.path().cmp(other.path()));
    all.failures = merged(all.failures);
    all
}

/// Of an interpreter that cannot be run, one failure instead of one a batch.
fn merged(failures: Vec<Failure>) -> Vec<Failure> {
    let mut merged: Vec<Failure> = Vec::new();
    for failure in failures {
        match (merged.last_mut(), &failure) {
            (
                Some(Failure::Interpreter { path, files, .. }),
                Failure::Interpreter { path: same, files: more, .. },
            ) if path == same => *files += more,
            _ => merged.push(failure),
        }
    }
    merged
}

struct Batch<'a> {
    prefix: &'a Path,
    group: &'a Group,
    is_fresh: &'a IsFresh<'a>,
    launcher: Option<&'a Path>,
    stop: &'a AtomicBool,
    done: &'a AtomicU64,
}

impl Batch<'_> {
    fn compile(&self, tasks: &[Task], part: &mut Compilation) {
        let executable = &self.group.executable;
        let mut interpreter = Interpreter::new(self.start(), Greeting::Expected);
        let mut row = Row::default();
        for (index, task) in tasks.iter().enumerate() {
            if self.stop.load(Ordering::Relaxed) {
                part.left += (tasks.len() - index) as u64;
                break;
            }
            let size = task.source.metadata().map_or(0, |metadata| metadata.len());
            let tag = match self.tag(interpreter.prepare(size)) {
                Ok(tag) => tag,
                Err(source) => {
                    let files = (tasks.len() - index) as u64;
                    row.failed += files;
                    part.failures.push(Failure::Interpreter { path: executable.clone(), files, source });
                    break;
                }
            };
            row.tag.clone_from(&tag);
            self.done.fetch_add(1, Ordering::Relaxed);
            if self.is_fresh(task, &tag) {
                row.fresh += 1;
                continue;
            }
            let why = match interpreter.ask(size, question(task)) {
                Ok(answer) if answer.is_empty() => {
                    row.compiled += 1;
                    continue;
                }
                Ok(answer) => String::from_utf8_lossy(&answer).into_owned(),
                // The next source gets a process of its own.
                Err(error) => match error.kind() {
                    io::ErrorKind::TimedOut => format!("{} gave no answer in time", executable.display()),
                    _ => format!("{} ended", executable.display()),
                },
            };
            row.failed += 1;
            part.failures.push(Failure::Source { path: task.source.clone(), why });
        }
        let sum = part.rows.entry(executable.clone()).or_default();
        sum.compiled += row.compiled;
        sum.fresh += row.fresh;
        sum.failed += row.failed;
        sum.tag = row.tag;
    }

    fn start(&self) -> Start<'_> {
        let prefix = self.prefix.as_os_str().as_bytes().iter().map(|byte| format!("{byte:02x}"));
        let argument = prefix.collect::<String>().into();
        let executable = &self.group.executable;
        Start { executable, identity: None, launcher: self.launcher, script: SCRIPT, argument }
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
        let optimization = match task.optimization {
            0 => String::new(),
            level => level.to_string(),
        };
        cache_from_source(self.prefix, &task.source, tag, &optimization)
            .is_some_and(|entry| (self.is_fresh)(&entry))
    }
}

fn question(task: &Task) -> Vec<u8> {
    let mode = match task.invalidation {
        InvalidationMode::Timestamp => b'T',
        InvalidationMode::CheckedHash => b'C',
        InvalidationMode::UncheckedHash => b'U',
    };
    [&[task.optimization, mode][..], &framed(task.source.as_os_str().as_bytes())].concat()
}
