//! An interpreter at work, isolated: one process that answers many questions over a pipe.
//!
//! It runs a script of ours with `-I -S -B`, warnings off, nothing of the caller's environment and `/` as its working
//! directory: neither a variable nor a file of the user's decides what it does. An interpreter that hangs is given up.
//!
//! Each answer is four bytes of length (little-endian) and that many bytes.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long one answer may take: a source of some megabytes takes seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// No answer is longer, in bytes.
const LONGEST_ANSWER: u32 = 1 << 20;

/// An interpreter at work; it ends with this.
#[derive(Debug)]
pub struct Isolated {
    child: Child,
    questions: Option<ChildStdin>,
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
        let (Some(questions), Some(mut stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let (sender, answers) = channel();
        // Only a thread of its own can wait for a pipe and be given up; it ends with the process.
        std::thread::spawn(move || {
            while let Ok(answer) = read_answer(&mut stdout) {
                if sender.send(answer).is_err() {
                    break;
                }
            }
        });
        Ok(Isolated { child, questions: Some(questions), answers })
    }

    /// Asks a question, of which the script knows where it ends.
    ///
    /// # Errors
    /// `BrokenPipe` when the process ended, `TimedOut` when it did not answer.
    pub fn ask(&mut self, question: &[u8]) -> io::Result<Vec<u8>> {
        let Some(pipe) = &mut self.questions else { return Err(io::ErrorKind::BrokenPipe.into()) };
        pipe.write_all(question).and_then(|()| pipe.flush())?;
        self.answer()
    }

    /// The next answer.
    ///
    /// # Errors
    /// Those of [`Isolated::ask`].
    pub fn answer(&mut self) -> io::Result<Vec<u8>> {
        use std::sync::mpsc::RecvTimeoutError::{Disconnected, Timeout};
        self.answers.recv_timeout(PATIENCE).map_err(|error| match error {
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
        // Without questions it ends by itself; one that hangs is ended.
        drop(self.questions.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
