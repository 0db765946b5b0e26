//! An interpreter at work, isolated: one process that answers many questions over a pipe.
//!
//! It runs a script of ours with `-I -S -B`, warnings off, nothing of the caller's environment and `/` as its working
//! directory: neither a variable nor a file of the user's decides what it does. An interpreter that hangs is given up,
//! whether it does not read or does not answer.
//!
//! Each answer is four bytes of length (little-endian) and that many bytes.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// How long one question and its answer may take: a source of some megabytes takes seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// No answer is longer, in bytes.
const LONGEST_ANSWER: u32 = 1 << 20;

/// An interpreter at work; it ends with this.
#[derive(Debug)]
pub struct Isolated {
    child: Child,
    questions: Sender<Vec<u8>>,
    answers: Receiver<Vec<u8>>,
}

impl Isolated {
    /// Lets an interpreter run a script with one argument.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(executable: &Path, script: &str, argument: impl AsRef<OsStr>) -> io::Result<Isolated> {
        let mut child = Command::new(executable)
            .args(["-I", "-S", "-B", "-W", "ignore", "-c", script])
            .arg(argument)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (Some(mut stdin), Some(mut stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        // Only threads of their own can wait for a pipe and be given up; they end with the process.
        let (questions, asked) = channel::<Vec<u8>>();
        std::thread::spawn(move || {
            for question in asked {
                if stdin.write_all(&question).and_then(|()| stdin.flush()).is_err() {
                    break;
                }
            }
        });
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            while let Ok(answer) = read_answer(&mut stdout) {
                if sender.send(answer).is_err() {
                    break;
                }
            }
        });
        Ok(Isolated { child, questions, answers })
    }

    /// Asks a question, of which the script knows where it ends.
    ///
    /// # Errors
    /// `BrokenPipe` when the process ended, `TimedOut` when it did not answer.
    pub fn ask(&mut self, question: Vec<u8>) -> io::Result<Vec<u8>> {
        self.ask_within(PATIENCE, question)
    }

    fn ask_within(&mut self, patience: Duration, question: Vec<u8>) -> io::Result<Vec<u8>> {
        self.questions.send(question).map_err(|_| io::ErrorKind::BrokenPipe)?;
        self.answer_within(patience)
    }

    /// The next answer.
    ///
    /// # Errors
    /// Those of [`Isolated::ask`].
    pub fn answer(&mut self) -> io::Result<Vec<u8>> {
        self.answer_within(PATIENCE)
    }

    fn answer_within(&mut self, patience: Duration) -> io::Result<Vec<u8>> {
        use std::sync::mpsc::RecvTimeoutError::{Disconnected, Timeout};
        self.answers.recv_timeout(patience).map_err(|error| match error {
            Disconnected => io::ErrorKind::BrokenPipe.into(),
            Timeout => io::ErrorKind::TimedOut.into(),
        })
    }
}

fn read_answer(pipe: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    pipe.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > LONGEST_ANSWER {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut answer = vec![0; length as usize];
    pipe.read_exact(&mut answer)?;
    Ok(answer)
}

/// Bytes as a part of a question: their length in four bytes (little-endian), then they themselves.
pub fn framed(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_le_bytes(), bytes].concat()
}

impl Drop for Isolated {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts a shell script as if it were an interpreter and asks it a question that is larger than a pipe.
    fn ask(script: &str, patience: Duration) -> io::Result<Vec<u8>> {
        let temporary = tempfile::tempdir().unwrap();
        let executable = temporary.path().join("python");
        // Written by another process: what this one holds open for writing while a test forks cannot be run.
        let write = r##"printf '#!/bin/sh\n%s\n' "$1" > "$0" && chmod 755 "$0""##;
        let written = Command::new("sh").arg("-c").arg(write).arg(&executable).arg(script).status().unwrap();
        assert!(written.success());
        let mut running = Isolated::start(&executable, "", "").unwrap();
        running.ask_within(patience, vec![7; 1 << 20])
    }

    #[test]
    fn an_interpreter_that_does_not_read_is_given_up() {
        let brief = Duration::from_secs(2);
        assert_eq!(ask("exec sleep 60", brief).unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(ask("exit 3", PATIENCE).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        let reads = r"head -c 1048576 > /dev/null; printf '\2\0\0\0ab'";
        assert_eq!(ask(reads, PATIENCE).unwrap(), b"ab");
    }
}
