//! Runs an interpreter in isolation: one process answers many questions over a pipe.
//!
//! It runs our script with `-I -S -B`, warnings off, an empty environment and `/` as its working directory: no variable or
//! file of the user's affects it. An interpreter that does not read or does not answer in time is killed.
//!
//! Each answer is four bytes of length (little-endian) and that many bytes.
//!
//! # Limits
//!
//! A crafted source or entry can keep an interpreter busy forever, or make it use all memory. So each process is limited to
//! the memory and processor time that questions of that size may need (`Allowance`); a larger question gets a new process,
//! and a process that has used half of its time is replaced before the next question. All processes together are limited
//! to half of the machine's memory. The length of an answer is limited too.

use crate::host::contained::{Containment, UserAndGroup};
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Timeout of one question: a source of some megabytes takes seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// How an interpreter is started.
#[derive(Debug, Clone)]
pub struct InterpreterStart<'a> {
    /// The interpreter's executable.
    pub executable: &'a Path,
    /// The user; `None`: that of this process.
    pub identity: Option<UserAndGroup>,
    /// The launcher ([`Containment::command`]); without one there are no limits and no other user.
    pub launcher: Option<&'a Path>,
    /// The script's text.
    pub script: &'static str,
    /// The script's argument.
    pub argument: OsString,
}

/// The limits of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Allowance {
    /// Address space, in bytes.
    memory: u64,
    /// Processor time, in seconds.
    seconds: u64,
}

impl Allowance {
    /// Returns the limits for a question with this many bytes of source and bytecode. A source of 5 MB takes CPython 720 MB and
    /// PyPy 1 GB, in 2 to 5 seconds; a module of the standard library less than 100 MB, in less than a second.
    fn of(bytes: u64) -> Allowance {
        const BASE: u64 = 512 << 20;
        const MOST: u64 = 2 << 30;
        let memory = bytes.saturating_mul(160).saturating_add(BASE).min(MOST).min(total_memory());
        Allowance { memory, seconds: 3 + 10 * (bytes >> 20).min(30) }
    }

    /// Returns the maximum length of an answer, in bytes: 8 MiB, for a source of 10 MB or more 32 MiB.
    fn longest_answer(self) -> u64 {
        self.memory / 64
    }
}

/// Returns the memory limit of all interpreters together, in bytes: half of the machine's, but enough for one.
fn total_memory() -> u64 {
    static TOTAL: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    *TOTAL.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.strip_suffix("kB"));
        let kibibytes = total.and_then(|number| number.trim().parse::<u64>().ok()).unwrap_or(8 << 20);
        (kibibytes << 9).max(1 << 30)
    })
}

/// A part of that memory; freed when dropped.
#[derive(Debug)]
struct MemoryShare(u64);

static TAKEN: Mutex<u64> = Mutex::new(0);
static GIVEN_BACK: Condvar = Condvar::new();

impl MemoryShare {
    /// Waits until this much is free.
    fn take(bytes: u64) -> MemoryShare {
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let is_short = |taken: &mut u64| *taken > 0 && *taken + bytes > total_memory();
        let mut taken = GIVEN_BACK.wait_while(taken, is_short).unwrap_or_else(PoisonError::into_inner);
        *taken += bytes;
        MemoryShare(bytes)
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= self.0;
        GIVEN_BACK.notify_all();
    }
}

/// An interpreter that answers many questions, in one process after another.
#[derive(Debug)]
pub struct IsolatedInterpreter<'a> {
    start: InterpreterStart<'a>,
    /// The process and its greeting.
    running: Option<(Isolated, Vec<u8>)>,
    greeting: Greeting,
}

/// Whether a script sends one answer before the first question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Greeting {
    /// It does.
    Expected,
    /// It does not.
    None,
}

impl<'a> IsolatedInterpreter<'a> {
    /// Creates one; the process starts with the first question.
    pub fn new(start: InterpreterStart<'a>, greeting: Greeting) -> IsolatedInterpreter<'a> {
        IsolatedInterpreter { start, running: None, greeting }
    }

    /// Starts a process for a question of this size in bytes, unless the current one can answer it; returns its greeting.
    ///
    /// # Errors
    /// Those of the system and of [`IsolatedInterpreter::ask`].
    pub fn prepare(&mut self, size: u64) -> io::Result<&[u8]> {
        let needed = Allowance::of(size);
        let has_enough = |running: &(Isolated, Vec<u8>)| running.0.has_left(needed);
        let running = match self.running.take().filter(has_enough) {
            Some(running) => running,
            None => {
                let process = Isolated::start(&self.start, needed)?;
                match self.greeting {
                    Greeting::Expected => {
                        let said = process.answer_within(PATIENCE)?;
                        (process, said)
                    }
                    Greeting::None => (process, Vec::new()),
                }
            }
        };
        Ok(&self.running.insert(running).1)
    }

    /// Asks a question about this many bytes of source and bytecode; the script knows where it ends. A process that does not
    /// answer is killed, and the next question gets a new one.
    ///
    /// # Errors
    /// Those of the system if no process can be started; `BrokenPipe` when the process ended, `TimedOut` when it did not
    /// answer.
    pub fn ask(&mut self, size: u64, question: Vec<u8>) -> io::Result<Vec<u8>> {
        self.prepare(size)?;
        let Some((mut process, said)) = self.running.take() else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let answer = process.ask_within(PATIENCE, question)?;
        self.running = Some((process, said));
        Ok(answer)
    }
}

/// A running process; killed when dropped.
#[derive(Debug)]
struct Isolated {
    child: Child,
    questions: Sender<Vec<u8>>,
    answers: Receiver<Vec<u8>>,
    allowance: Allowance,
    worked: Duration,
    _memory: MemoryShare,
}

impl Isolated {
    /// Starts an interpreter that runs a script with one argument. Its limit is twice the processor time of the question.
    fn start(start: &InterpreterStart<'_>, needed: Allowance) -> io::Result<Isolated> {
        let allowance = Allowance { seconds: 2 * needed.seconds, ..needed };
        let memory = MemoryShare::take(allowance.memory);
        crate::host::contained::may_execute(start.executable)?;
        let mut command = match start.launcher {
            Some(launcher) => {
                let Allowance { memory, seconds } = allowance;
                let (memory, processor_seconds) = (Some(memory), Some(seconds));
                let containment = Containment { identity: start.identity, memory, processor_seconds };
                containment.command(launcher, start.executable)
            }
            None => Command::new(start.executable),
        };
        let mut child = command
            .args(["-I", "-S", "-B", "-W", "ignore", "-c", start.script])
            .arg(&start.argument)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (Some(mut stdin), Some(mut stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        // A blocked read or write of a pipe has no timeout, so threads do it; they end with the process.
        let (questions, asked) = channel::<Vec<u8>>();
        std::thread::spawn(move || {
            for question in asked {
                if stdin.write_all(&question).and_then(|()| stdin.flush()).is_err() {
                    break;
                }
            }
        });
        // An interpreter that answers without being asked has to wait.
        let (sender, answers) = sync_channel(1);
        std::thread::spawn(move || {
            while let Ok(answer) = read_answer(&mut stdout, allowance.longest_answer()) {
                if sender.send(answer).is_err() {
                    break;
                }
            }
        });
        Ok(Isolated { child, questions, answers, allowance, worked: Duration::ZERO, _memory: memory })
    }

    /// Whether the rest of its limits is enough.
    fn has_left(&self, needed: Allowance) -> bool {
        let seconds = Duration::from_secs(self.allowance.seconds).saturating_sub(self.worked);
        self.allowance.memory >= needed.memory && seconds >= Duration::from_secs(needed.seconds)
    }

    fn ask_within(&mut self, patience: Duration, question: Vec<u8>) -> io::Result<Vec<u8>> {
        let began = Instant::now();
        self.questions.send(question).map_err(|_| io::ErrorKind::BrokenPipe)?;
        let answer = self.answer_within(patience);
        self.worked += began.elapsed();
        answer
    }

    fn answer_within(&self, patience: Duration) -> io::Result<Vec<u8>> {
        use std::sync::mpsc::RecvTimeoutError::{Disconnected, Timeout};
        self.answers.recv_timeout(patience).map_err(|error| match error {
            Disconnected => io::ErrorKind::BrokenPipe.into(),
            Timeout => io::ErrorKind::TimedOut.into(),
        })
    }
}

fn read_answer(pipe: &mut impl Read, longest: u64) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    pipe.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if u64::from(length) > longest {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut answer = vec![0; length as usize];
    pipe.read_exact(&mut answer)?;
    Ok(answer)
}

/// Encodes bytes as a part of a question: their length in four bytes (little-endian), then the bytes.
pub fn framed(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_le_bytes(), bytes].concat()
}

impl Drop for Isolated {
    fn drop(&mut self) {
        crate::host::contained::end(&mut self.child);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts a shell script as if it were an interpreter and asks it a question that is larger than a pipe.
    fn ask(script: &str, patience: Duration) -> io::Result<Vec<u8>> {
        let temporary = tempfile::tempdir().unwrap();
        started(temporary.path(), script).ask_within(patience, vec![7; 1 << 20])
    }

    fn start(executable: &Path) -> InterpreterStart<'_> {
        InterpreterStart { executable, identity: None, launcher: None, script: "", argument: OsString::new() }
    }

    /// Starts a shell script, written into this directory, as if it were an interpreter.
    fn started(directory: &Path, script: &str) -> Isolated {
        let executable = directory.join("python");
        // Written by another process: what this one holds open for writing while a test forks cannot be run.
        let write = r##"printf '#!/bin/sh\n%s\n' "$1" > "$0" && chmod 755 "$0""##;
        let written = Command::new("sh").arg("-c").arg(write).arg(&executable).arg(script).status().unwrap();
        assert!(written.success());
        Isolated::start(&start(&executable), Allowance::of(0)).unwrap()
    }

    #[test]
    fn a_larger_question_and_a_process_that_has_worked_need_another() {
        let (small, large) = (Allowance::of(500), Allowance::of(5 << 20));
        assert!(small.memory < 1 << 30 && small.seconds <= 3, "{small:?}");
        assert!(large.memory > 1 << 30 && large.seconds >= 30, "{large:?}");
        assert_eq!(Allowance::of(u64::MAX).memory, (2 << 30).min(total_memory()));
        let mut running = Isolated::start(&start(Path::new("/bin/cat")), small).unwrap();
        assert!(running.has_left(small) && !running.has_left(large));
        running.worked = Duration::from_secs(small.seconds);
        assert!(running.has_left(small));
        running.worked += Duration::from_millis(1);
        assert!(!running.has_left(small));
    }

    #[test]
    fn memory_is_waited_for() {
        let all = MemoryShare::take(total_memory());
        let waiting = std::thread::spawn(|| MemoryShare::take(1));
        std::thread::sleep(Duration::from_millis(50));
        assert!(!waiting.is_finished());
        drop(all);
        waiting.join().unwrap();
    }

    #[test]
    fn an_interpreter_that_does_not_read_is_given_up() {
        let brief = Duration::from_secs(2);
        assert_eq!(ask("exec sleep 60", brief).unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(ask("exit 3", PATIENCE).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        let reads = r"head -c 1048576 > /dev/null; printf '\2\0\0\0ab'";
        assert_eq!(ask(reads, PATIENCE).unwrap(), b"ab");
    }

    #[test]
    fn answers_are_bounded_in_length_and_number() {
        assert_eq!(Allowance::of(0).longest_answer(), 8 << 20);
        assert!(Allowance::of(u64::MAX).longest_answer() <= 32 << 20);
        let too_long = r"head -c 1048576 > /dev/null; printf '\1\0\200\0'; head -c 8388609 /dev/zero";
        assert_eq!(ask(too_long, PATIENCE).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        // One that answers without being asked: 40 answers of 1 MiB, more than a pipe holds.
        let temporary = tempfile::tempdir().unwrap();
        let unasked = r#"for i in 1 2 3 4 5 6 7 8 9 0; do for j in 1 2 3 4; do printf '\0\0\20\0'; head -c 1048576 /dev/zero; done; done; : > "${0%/*}/all""#;
        let mut running = started(temporary.path(), unasked);
        assert_eq!(running.ask_within(PATIENCE, Vec::new()).unwrap().len(), 1 << 20);
        std::thread::sleep(Duration::from_millis(500));
        assert!(!temporary.path().join("all").exists(), "all of it was read");
    }
}
