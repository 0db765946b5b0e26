//! Runs another program and reads its answer, within a time limit.
//!
//! Shells run what their users wrote into startup files, which may print, wait or start something that stays. So an
//! answer ends at a mark rather than at the end of the output, and a program that does not answer in time is killed, with all
//! that it started in its process group.
//!
//! # Invariants
//!
//! * Only programs that no user except the current one and root may change are run.
//! * No program that is asked has a terminal: [`apart`] starts it in a new session; otherwise an interactive shell
//!   would stop us when it takes the terminal.

use crate::complaint;
use crate::environment::Environment;
use crate::host::directory::effective_user;
use crate::host::trust;
use crate::units::human;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Maximum number of programs that run at a time.
const MOST_AT_ONCE: usize = 6;

/// Maximum length of an answer, in bytes.
const LONGEST: usize = 16 << 20;

/// How long a program that has answered may take to end by itself.
const GRACE: Duration = Duration::from_secs(1);

/// A question.
#[derive(Debug)]
pub struct Inquiry {
    /// The command to run. It gets no input, and its standard error is discarded.
    pub command: Command,
    /// The mark that ends the answer; without one, the answer ends with the output.
    pub mark: Option<&'static [u8]>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InquiryAnswer {
    /// Standard output.
    pub output: Vec<u8>,
    /// Whether the program ended by itself and successfully.
    pub succeeded: bool,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// It could not be started.
    #[error("cannot be started: {0}")]
    NotStarted(String),
    /// It ended without the mark.
    #[error("ended without an answer")]
    Ended,
    /// It did not answer in time.
    #[error("gave no answer within {}", human::duration(*.0))]
    TooLate(Duration),
}

/// An inquiry that waits for a worker, and its answer.
struct InquirySlot {
    question: Option<Inquiry>,
    answer: Result<InquiryAnswer, AskError>,
}

/// Finds the first program of this name on `PATH` that only the user and root may change.
pub fn program(environment: &Environment, name: &str) -> Option<PathBuf> {
    trust::program::find(&environment.places.path, effective_user(), name).ok()
}

/// A command that runs `program` in a new session, without a terminal, by setsid(1).
pub fn apart(setsid: &Path, program: &Path) -> Command {
    let mut command = Command::new(setsid);
    command.arg(program);
    command
}

/// Asks all of them, some at a time; the answers are in the order of the questions.
pub fn ask_all(questions: Vec<Inquiry>, timeout: Duration) -> Vec<Result<InquiryAnswer, AskError>> {
    let slot = |question| Mutex::new(InquirySlot { question: Some(question), answer: Err(AskError::Ended) });
    let slots: Vec<Mutex<InquirySlot>> = questions.into_iter().map(slot).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(slot) = slots.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(question) = slot.question.take() {
                slot.answer = ask(question, timeout);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..MOST_AT_ONCE.min(slots.len()) {
            scope.spawn(work);
        }
    });
    slots.into_iter().map(|slot| slot.into_inner().unwrap_or_else(PoisonError::into_inner).answer).collect()
}

/// Asks one.
pub fn ask(question: Inquiry, timeout: Duration) -> Result<InquiryAnswer, AskError> {
    let deadline = Instant::now() + timeout;
    let Inquiry { mut command, mark } = question;
    let not_started = |error: io::Error| AskError::NotStarted(complaint::one_line(&error));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(not_started)?;
    let Some(mut stdout) = child.stdout.take() else { return Err(AskError::Ended) };
    let (sender, parts) = channel();
    // A separate thread waits for the pipe, so that we can give up; it ends with the last program that holds the pipe.
    std::thread::spawn(move || {
        let mut part = [0; 4096];
        while let Ok(read @ 1..) = stdout.read(&mut part) {
            if sender.send(part[..read].to_vec()).is_err() {
                break;
            }
        }
    });
    let mut output = Vec::new();
    let heard = loop {
        match parts.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(part) => output.extend(part),
            Err(RecvTimeoutError::Disconnected) if mark.is_none() => break Ok(()),
            Err(RecvTimeoutError::Disconnected) => break Err(AskError::Ended),
            Err(RecvTimeoutError::Timeout) => break Err(AskError::TooLate(timeout)),
        }
        if let Some(mark) = mark
            && ends_with_mark(&output, mark)
        {
            break Ok(());
        }
        if output.len() > LONGEST {
            break Err(AskError::Ended);
        }
    };
    let grace = if heard.is_ok() { GRACE } else { Duration::ZERO };
    let succeeded = end(&mut child, grace);
    heard.map(|()| InquiryAnswer { output, succeeded })
}

fn ends_with_mark(output: &[u8], mark: &[u8]) -> bool {
    output.windows(mark.len()).rev().take(8192).any(|window| window == mark)
}

/// Waits for the program to end, at most `grace`, then kills it. Returns whether it ended by itself and successfully.
fn end(child: &mut Child, grace: Duration) -> bool {
    let deadline = Instant::now() + grace;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(10)),
            _ => break,
        }
    }
    // The process group, if the program has its own, has the program's number; otherwise there is no such group.
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
    let _ = child.kill();
    let _ = child.wait();
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;

    fn shell(script: &str, mark: Option<&'static [u8]>) -> Inquiry {
        // A process group is enough here: no terminal is asked for anything.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).process_group(0);
        Inquiry { command, mark }
    }

    #[test]
    fn an_answer_is_heard_whatever_stays_behind() {
        let began = Instant::now();
        let timeout = Duration::from_secs(120);
        let questions = vec![
            shell("echo noise; printf 'yes:over'; sleep 600 & exit 3", Some(b":over")),
            shell("echo all", None),
            shell("echo nothing", Some(b":over")),
            Inquiry { command: Command::new("/no/such/program"), mark: None },
        ];
        let answers = ask_all(questions, timeout);
        let said = |output: &[u8], succeeded| Ok(InquiryAnswer { output: output.to_vec(), succeeded });
        assert_eq!(answers[0], said(b"noise\nyes:over", false));
        assert_eq!(answers[1], said(b"all\n", true));
        assert_eq!(answers[2], Err(AskError::Ended));
        assert_eq!(answers[3], Err(AskError::NotStarted("No such file or directory".into())));
        assert!(began.elapsed() < timeout, "it waited for what stays behind");
    }

    #[test]
    fn what_does_not_answer_in_time_is_ended_with_all_it_started() {
        let temporary = tempfile::tempdir().unwrap();
        let pids = temporary.path().join("pids");
        let script = format!("sleep 600 & echo $! > '{0}'; echo $$ >> '{0}'; wait", pids.display());
        let timeout = Duration::from_secs(3);
        let error = ask(shell(&script, Some(b":over")), timeout);
        assert_eq!(error, Err(AskError::TooLate(timeout)));
        assert_eq!(error.unwrap_err().to_string(), "gave no answer within 3.0 s");
        let pids = std::fs::read_to_string(pids).unwrap();
        assert_eq!(pids.lines().count(), 2);
        for pid in pids.lines() {
            // Dying takes a moment; a process that was not waited for yet is a zombie.
            let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let is_over = |state: String| state.is_empty() || state.contains(") Z ");
            let until = Instant::now() + Duration::from_secs(120);
            while !is_over(state()) {
                assert!(Instant::now() < until, "{}", state());
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}
