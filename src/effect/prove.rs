//! The proof: the owning interpreter compiles the source again, and the code objects are compared.
//!
//! The interpreter runs isolated ([`crate::host::isolated`]); the source is compiled and the body unmarshalled, neither is run.
//! One process answers many questions over a pipe. A process that ends or does not answer in time leaves its question
//! unanswered, and another goes on with the rest; unless it does not answer the simplest question either.
//!
//! Whose interpreters are run, and as whom: [`crate::host::trust::runner`]. An unprivileged interpreter may not read what root may:
//! the source is read for it. That of another user reads sources itself, and those that its user may not read are not proved.
//!
//! An installation whose magic reading the disk did not tell is asked for it. Two releases with the same magic may
//! compile differently: so every installation with the entry's magic is asked until one makes the same.

use crate::host::directory;
use crate::host::isolated::{Greeting, InterpreterStart, IsolatedInterpreter, framed};
use crate::host::pool::{self, Threads};
use crate::host::trust::Stranger;
use crate::host::trust::runner::{Runners, UNPRIVILEGED};
use crate::source::interpreter::Interpreters;
use crate::store::Store;
use crate::store::body::Bodies;
use crate::verdict::finding::{EntryFinding, What};
use crate::verdict::inspector::Candidate;
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What the interpreters run.
const SCRIPT: &str = include_str!("prove.py");

/// How many questions one process answers.
const BATCH: usize = 200;

/// No source is larger, in bytes, that we read for an interpreter.
const LARGEST_SOURCE: u64 = 16 << 20;

/// What the interpreters said.
#[derive(Debug, Default)]
pub struct Proof {
    /// Entries that are not what their sources compile to.
    pub findings: Vec<EntryFinding>,
    /// Entries that could not be proved.
    pub unproved: Vec<Unproved>,
    /// Those that are what their sources compile to.
    pub sound: BTreeSet<PathBuf>,
}

/// An entry that could not be proved.
#[derive(Debug, thiserror::Error)]
#[error("cannot recompile and compare {}: {why}", .path.display())]
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
    /// The one that was found is not run.
    #[error("{} is not run: {stranger}", .executable.display())]
    NotRun {
        /// Its executable.
        executable: PathBuf,
        /// Who else decides what it is.
        stranger: Stranger,
    },
    /// The source could not be read.
    #[error("its source cannot be read")]
    Source,
    /// The entry could not be read any more, or the interpreter does not load it.
    #[error("it cannot be read")]
    Entry,
    /// The interpreter could not be run, or answers nothing.
    #[error("{} gave no answer", .0.display())]
    NoAnswer(PathBuf),
    /// The interpreter answers others, but over this one it ended.
    #[error("{} ended, or exceeded its limit of time or memory", .0.display())]
    TooMuch(PathBuf),
}

/// An answer to one question.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ProofAnswer {
    Same,
    Differs,
    Unknown(Doubt),
}

/// Asks the interpreters about the candidates. `progress` hears how many were asked so far; `stop` ends it early.
pub fn recompile(
    store: &Store,
    candidates: &[Candidate],
    interpreters: &Interpreters,
    runners: &Runners,
    threads: Threads,
    stop: &AtomicBool,
    mut progress: impl FnMut(u64),
) -> Proof {
    // Compiling is work for processors: more of them than cores only wait for each other.
    let cores = threads.for_processors();
    let asked = AtomicU64::new(0);
    let mut batches: Vec<&[Candidate]> = Vec::new();
    let mut by_tag: Vec<Candidate> = candidates.to_vec();
    by_tag.sort_by(|one, other| (&one.tag, one.magic).cmp(&(&other.tag, other.magic)));
    for same in by_tag.chunk_by(|one, other| one.tag == other.tag && one.magic == other.magic) {
        batches.extend(same.chunks(BATCH));
    }
    let work = |proof: &mut Proof, batch: &[Candidate], _: &mut _| {
        if !stop.load(Ordering::Relaxed) {
            prove(store, batch, interpreters, runners, proof);
            asked.fetch_add(batch.len() as u64, Ordering::Relaxed);
        }
    };
    let watch = || progress(asked.load(Ordering::Relaxed));
    let mut all = Proof::default();
    for part in pool::run(cores.for_jobs(batches.len()), batches, Proof::default, work, watch) {
        all.findings.extend(part.findings);
        all.unproved.extend(part.unproved);
        all.sound.extend(part.sound);
    }
    all.findings.sort_by(|one, other| one.path.cmp(&other.path));
    all.unproved.sort_by(|one, other| one.path.cmp(&other.path));
    all
}

/// One batch, all of one tag and magic.
fn prove(
    store: &Store,
    batch: &[Candidate],
    interpreters: &Interpreters,
    runners: &Runners,
    proof: &mut Proof,
) {
    let Some(first) = batch.first() else { return };
    let able = interpreters
        .with_store()
        .filter(|(tag, it)| *tag == &*first.tag && it.magic.is_none_or(|magic| magic == first.magic));
    let executables = able.filter_map(|(_, it)| it.executable.as_deref());
    let mut nobody = ProofAnswer::Unknown(Doubt::NoInterpreter(first.tag.clone()));
    let starts = executables.filter_map(|executable| match runners.identity(executable) {
        Ok(identity) => Some(InterpreterStart {
            executable,
            identity,
            launcher: runners.launcher(),
            script: SCRIPT,
            argument: first.magic.0.map(|byte| format!("{byte:02x}")).concat().into(),
        }),
        Err(stranger) => {
            let executable = executable.to_path_buf();
            nobody = ProofAnswer::Unknown(Doubt::NotRun { executable, stranger });
            None
        }
    });
    let starts: Vec<InterpreterStart<'_>> = starts.collect();
    let mut answers = vec![nobody; batch.len()];
    for start in starts {
        // What is too much for one installation is for the others.
        let is_open = |answer: &ProofAnswer| {
            !matches!(answer, ProofAnswer::Same | ProofAnswer::Unknown(Doubt::TooMuch(_)))
        };
        let open: Vec<usize> = (0..batch.len()).filter(|&index| is_open(&answers[index])).collect();
        if open.is_empty() {
            break;
        }
        let questions: Vec<&Candidate> = open.iter().map(|&index| &batch[index]).collect();
        for (index, answer) in open.into_iter().zip(ask(store, &start, &questions)) {
            // One installation's difference stands until another makes the same.
            if answers[index] != ProofAnswer::Differs || answer == ProofAnswer::Same {
                answers[index] = answer;
            }
        }
    }
    for (candidate, answer) in batch.iter().zip(answers) {
        let path = store.shown(&candidate.entry.relative, &candidate.entry.name);
        match answer {
            ProofAnswer::Same => drop(proof.sound.insert(path)),
            ProofAnswer::Differs => {
                let entry = Some(candidate.entry.clone());
                proof.findings.push(EntryFinding { path, what: What::Mismatch, entry });
            }
            ProofAnswer::Unknown(why) => proof.unproved.push(Unproved { path, why }),
        }
    }
}

/// Asks one interpreter: an answer to each question.
fn ask(store: &Store, start: &InterpreterStart<'_>, questions: &[&Candidate]) -> Vec<ProofAnswer> {
    let mut bodies = Bodies::of(store);
    let mut answers = Vec::with_capacity(questions.len());
    let mut interpreter = IsolatedInterpreter::new(start.clone(), Greeting::None);
    let mut is_given_up = false;
    for candidate in questions {
        let no_answer = || ProofAnswer::Unknown(Doubt::NoAnswer(start.executable.to_path_buf()));
        if is_given_up {
            answers.push(no_answer());
            continue;
        }
        let Ok(body) = bodies.read(&candidate.entry.relative, &candidate.entry.name) else {
            answers.push(ProofAnswer::Unknown(Doubt::Entry));
            continue;
        };
        let Ok(source) = ProofSource::of(candidate, start) else {
            answers.push(ProofAnswer::Unknown(Doubt::Source));
            continue;
        };
        let size = body.len() as u64 + source.size;
        let answer = interpreter.ask(size, question(candidate, &source, body)).ok();
        answers.push(match answer.as_deref() {
            Some(b"S") => ProofAnswer::Same,
            Some(b"D") => ProofAnswer::Differs,
            Some(b"M") => ProofAnswer::Unknown(Doubt::NoInterpreter(candidate.tag.clone())),
            Some(b"U") => ProofAnswer::Unknown(Doubt::Source),
            Some(b"B") => ProofAnswer::Unknown(Doubt::Entry),
            _ => {
                // No source and no body: either this question is at fault, or the interpreter.
                let simplest = [&[0, b'S'][..], &framed(b""), &framed(b"")].concat();
                is_given_up = interpreter.ask(0, simplest).is_err();
                let too_much = || ProofAnswer::Unknown(Doubt::TooMuch(start.executable.to_path_buf()));
                if is_given_up { no_answer() } else { too_much() }
            }
        });
    }
    answers
}

/// A source, as an interpreter gets it.
struct ProofSource {
    /// `P` before a path, `S` before the source.
    kind: u8,
    bytes: Vec<u8>,
    /// The length of the source.
    size: u64,
}

impl ProofSource {
    fn of(candidate: &Candidate, start: &InterpreterStart<'_>) -> io::Result<ProofSource> {
        let path = &candidate.source;
        if start.identity != Some(UNPRIVILEGED) {
            let size = path.metadata().map_or(0, |metadata| metadata.len());
            return Ok(ProofSource { kind: b'P', bytes: path.as_os_str().as_bytes().to_vec(), size });
        }
        let (file, _) = directory::open_file(path)?;
        let mut bytes = Vec::new();
        let size = file.take(LARGEST_SOURCE + 1).read_to_end(&mut bytes)? as u64;
        if size > LARGEST_SOURCE {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(ProofSource { kind: b'S', bytes, size })
    }
}

/// A question: the optimization, the source or its path, and the entry's body.
fn question(candidate: &Candidate, source: &ProofSource, body: &[u8]) -> Vec<u8> {
    let optimization: u8 = candidate.optimization.parse().unwrap_or(0);
    let length = |bytes: &[u8]| (bytes.len() as u32).to_le_bytes();
    // Both may be long, and are copied once.
    let mut question = Vec::with_capacity(10 + source.bytes.len() + body.len());
    question.extend([optimization, source.kind]);
    question.extend(length(&source.bytes));
    question.extend(&source.bytes);
    question.extend(length(body));
    question.extend(body);
    question
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::directory::Links;
    use crate::pyc::Magic;
    use crate::pyc::name::Name;
    use crate::store::Purpose;
    use crate::store::entry::{Entry, SeenEntry};

    #[test]
    fn an_interpreter_that_answers_nothing_is_given_up() {
        let temporary = tempfile::tempdir().unwrap();
        let base = temporary.path();
        std::fs::create_dir(base.join("store")).unwrap();
        let store = Store::open(&base.join("store"), &[], Purpose::Look).unwrap();
        let candidates: Vec<Candidate> = (0..9)
            .map(|number| {
                let name = format!("m{number}.cpython-312.pyc");
                std::fs::write(base.join("store").join(&name), [0; 20]).unwrap();
                let entry = Entry {
                    metadata: store.directory(b"").unwrap().metadata(name.as_bytes(), Links::Keep).ok(),
                    ..Entry::named(name.as_bytes(), Name::Foreign)
                };
                Candidate {
                    entry: SeenEntry::new(b"", &entry).unwrap(),
                    source: "/m.py".into(),
                    tag: "cpython-312".into(),
                    magic: Magic::of(3531),
                    optimization: "".into(),
                }
            })
            .collect();
        // Written by another process: what this one holds open for writing while a test forks cannot be run.
        let executable = base.join("python");
        let write = r##"printf '#!/bin/sh\necho >> %s/starts\n' "$1" > "$0" && chmod 755 "$0""##;
        let mut shell = std::process::Command::new("sh");
        assert!(shell.arg("-c").arg(write).arg(&executable).arg(base).status().unwrap().success());
        let start = InterpreterStart {
            executable: &executable,
            identity: None,
            launcher: None,
            script: SCRIPT,
            argument: "00".into(),
        };
        let answers = ask(&store, &start, &candidates.iter().collect::<Vec<_>>());
        assert_eq!(answers, vec![ProofAnswer::Unknown(Doubt::NoAnswer(executable.clone())); 9]);
        assert_eq!(std::fs::read(base.join("starts")).unwrap().len(), 2);
    }
}
