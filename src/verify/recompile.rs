//! The proof: the owning interpreter compiles the source again, and the code objects are compared.
//!
//! The interpreter runs isolated (`-I -S -B`, an empty environment, warnings off); the source is compiled and the
//! body unmarshalled, neither is run. One process answers many questions over a pipe. A process that ends or does not
//! answer in time leaves its question unanswered, and another goes on with the rest.
//!
//! An installation whose magic reading the disk did not tell is asked for it. Two releases with the same magic may compile differently: so every installation with the entry's magic is asked
//! until one makes the same.

use super::inspector::{Candidate, Pin};
use super::{Finding, What};
use crate::body::Bodies;
use crate::interpreter::Interpreters;
use crate::pyc::Magic;
use crate::scan::{Threads, run_crew};
use crate::store::Store;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// What the interpreters run.
const SCRIPT: &str = include_str!("recompile.py");

/// How many questions one process answers.
const BATCH: usize = 200;

/// How long one answer may take: a source of some megabytes takes seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the interpreters said.
#[derive(Debug, Default)]
pub struct Proof {
    /// Entries that are not what their sources compile to.
    pub findings: Vec<Finding>,
    /// Entries that could not be proved.
    pub unproved: Vec<Unproved>,
    /// How many are what their sources compile to.
    pub proved: u64,
}

/// An entry that could not be proved.
#[derive(Debug, thiserror::Error)]
#[error("cannot prove {}: {why}", .path.display())]
pub struct Unproved {
    /// The entry as shown.
    pub path: PathBuf,
    /// Why not.
    pub why: Doubt,
}

/// Why an entry could not be proved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// No installation that was found loads its tag and magic.
    #[error("no interpreter found for {0}")]
    NoInterpreter(Box<str>),
    /// The source could not be read.
    #[error("its source cannot be read")]
    Source,
    /// The entry could not be read any more, or the interpreter does not load it.
    #[error("it cannot be read")]
    Entry,
    /// The interpreter ended, could not be run, or did not answer in time.
    #[error("{} gave no answer", .0.display())]
    NoAnswer(PathBuf),
}

/// An answer to one question.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Same,
    Differs,
    Unknown(Doubt),
}

/// Asks the interpreters about the candidates. `progress` hears how many were asked so far; `stop` ends it early.
pub fn recompile(
    store: &Store,
    candidates: &[Candidate],
    interpreters: &Interpreters,
    threads: Threads,
    stop: &AtomicBool,
    mut progress: impl FnMut(u64),
) -> Proof {
    // Compiling is work for processors: more of them than cores only wait for each other.
    let cores = Threads::exactly(threads.first);
    let asked = AtomicU64::new(0);
    let mut batches: Vec<&[Candidate]> = Vec::new();
    let mut by_tag: Vec<Candidate> = candidates.to_vec();
    by_tag.sort_by(|one, other| (&one.tag, one.magic).cmp(&(&other.tag, other.magic)));
    for same in by_tag.chunk_by(|one, other| one.tag == other.tag && one.magic == other.magic) {
        batches.extend(same.chunks(BATCH));
    }
    let work = |proof: &mut Proof, batch: &[Candidate], _: &mut _| {
        if !stop.load(Ordering::Relaxed) {
            prove(store, batch, interpreters, proof);
            asked.fetch_add(batch.len() as u64, Ordering::Relaxed);
        }
    };
    let watch = || progress(asked.load(Ordering::Relaxed));
    let mut all = Proof::default();
    for part in run_crew(cores, batches, Proof::default, work, watch) {
        all.findings.extend(part.findings);
        all.unproved.extend(part.unproved);
        all.proved += part.proved;
    }
    all.findings.sort_by(|one, other| one.path.cmp(&other.path));
    all.unproved.sort_by(|one, other| one.path.cmp(&other.path));
    all
}

/// One batch, all of one tag and magic.
fn prove(store: &Store, batch: &[Candidate], interpreters: &Interpreters, proof: &mut Proof) {
    let Some(first) = batch.first() else { return };
    let able = interpreters
        .with_store()
        .filter(|(tag, it)| *tag == &*first.tag && it.magic.is_none_or(|magic| magic == first.magic));
    let executables: Vec<&Path> = able.filter_map(|(_, it)| it.executable.as_deref()).collect();
    let nobody = Answer::Unknown(Doubt::NoInterpreter(first.tag.clone()));
    let mut answers = vec![nobody; batch.len()];
    for executable in executables {
        let open: Vec<usize> = (0..batch.len()).filter(|&index| answers[index] != Answer::Same).collect();
        if open.is_empty() {
            break;
        }
        let questions: Vec<&Candidate> = open.iter().map(|&index| &batch[index]).collect();
        for (index, answer) in open.into_iter().zip(ask(store, executable, &questions)) {
            // One installation's difference stands until another makes the same.
            if answers[index] != Answer::Differs || answer == Answer::Same {
                answers[index] = answer;
            }
        }
    }
    for (candidate, answer) in batch.iter().zip(answers) {
        let path = store.shown(&candidate.relative, &candidate.name);
        match (answer, candidate.pin) {
            (Answer::Same, _) => proof.proved += 1,
            (Answer::Differs, Pin::Firm) => proof.findings.push(Finding { path, what: What::Forged }),
            (Answer::Differs, Pin::Loose) => proof.findings.push(Finding { path, what: What::Outdated }),
            (Answer::Unknown(why), _) => proof.unproved.push(Unproved { path, why }),
        }
    }
}

/// Asks one interpreter: an answer to each question.
fn ask(store: &Store, executable: &Path, questions: &[&Candidate]) -> Vec<Answer> {
    let mut bodies = Bodies::of(store);
    let mut answers = Vec::with_capacity(questions.len());
    let mut running: Option<Running> = None;
    for question in questions {
        let no_answer = || Answer::Unknown(Doubt::NoAnswer(executable.to_path_buf()));
        let Ok(body) = bodies.read(&question.relative, &question.name) else {
            answers.push(Answer::Unknown(Doubt::Entry));
            continue;
        };
        if running.is_none() {
            running = Running::start(executable, question.magic).ok();
        }
        let answer = running.as_mut().and_then(|running| running.ask(question, body).ok());
        answers.push(match answer {
            Some(b'S') => Answer::Same,
            Some(b'D') => Answer::Differs,
            Some(b'M') => Answer::Unknown(Doubt::NoInterpreter(question.tag.clone())),
            Some(b'U') => Answer::Unknown(Doubt::Source),
            Some(b'B') => Answer::Unknown(Doubt::Entry),
            _ => {
                // The next question gets a process of its own.
                running = None;
                no_answer()
            }
        });
    }
    answers
}

/// An interpreter at work; it ends with this.
struct Running {
    child: Child,
    questions: Option<ChildStdin>,
    answers: Receiver<u8>,
}

impl Running {
    fn start(executable: &Path, magic: Magic) -> io::Result<Running> {
        let mut child = Command::new(executable)
            .args(["-I", "-S", "-B", "-W", "ignore", "-c", SCRIPT])
            .arg(magic.0.map(|byte| format!("{byte:02x}")).concat())
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (Some(questions), Some(mut stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let (sender, answers) = channel();
        // Only a thread of its own can wait for a pipe and be given up; it ends with the process.
        std::thread::spawn(move || {
            let mut letter = [0];
            while stdout.read_exact(&mut letter).is_ok() && sender.send(letter[0]).is_ok() {}
        });
        Ok(Running { child, questions: Some(questions), answers })
    }

    fn ask(&mut self, question: &Candidate, body: &[u8]) -> Result<u8, RecvTimeoutError> {
        let optimization = question.optimization.parse().unwrap_or(0);
        let path = question.source.as_os_str().as_bytes();
        let send = |pipe: &mut ChildStdin| -> io::Result<()> {
            pipe.write_all(&[optimization])?;
            for part in [path, body] {
                pipe.write_all(&(part.len() as u32).to_le_bytes())?;
                pipe.write_all(part)?;
            }
            pipe.flush()
        };
        let Some(pipe) = &mut self.questions else { return Err(RecvTimeoutError::Disconnected) };
        send(pipe).map_err(|_| RecvTimeoutError::Disconnected)?;
        self.answers.recv_timeout(PATIENCE)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Without questions it ends by itself; one that hangs is ended.
        drop(self.questions.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
