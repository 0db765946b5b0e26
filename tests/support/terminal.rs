//! The program on a terminal: a real one, of the pseudo kind, held by Python's `pty`.

use super::{Answer, World, answer, newest};
use std::ffi::OsStr;

/// What the terminal does with a run: `argv` is the columns, whether somebody is there to type, the reply to a question,
/// and the program with its arguments. Prints what the terminal got, byte for byte; the code is the shell's, 128 and the
/// signal's number where one ended it.
const CODE: &str = r#"
import fcntl, os, pty, select, signal, struct, sys, termios
columns, is_typing, reply, program = int(sys.argv[1]), sys.argv[2] == "typing", sys.argv[3].encode(), sys.argv[4:]
END = b"\0the end\0"
terminal, side = pty.openpty()
child = os.fork()
if child == 0:
    os.setsid()
    fcntl.ioctl(side, termios.TIOCSCTTY, 0)
    for descriptor in range(3):
        os.dup2(side, descriptor)
    os.closerange(3, max(terminal, side) + 1)
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    modes = termios.tcgetattr(0)
    modes[1] &= ~termios.OPOST
    termios.tcsetattr(0, termios.TCSANOW, modes)
    if not is_typing:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # Where the tests run in the background of a script it is ignored.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execv(program[0], program)
shown, is_answered, status = b"", False, None
# The terminal is held open, and an end of ours is behind the last word: what the kernel has not passed on when the last program
# closes a terminal can be lost.
while not shown.endswith(END):
    if status is None and (ended := os.waitpid(child, os.WNOHANG))[0]:
        status = ended[1]
        os.write(side, END)
    if select.select([terminal], [], [], 0.01)[0]:
        shown += os.read(terminal, 4096)
    if is_typing and b"[y/N] " in shown and not is_answered:
        is_answered = True
        os.write(terminal, reply)
os.write(1, shown[:-len(END)])
sys.exit(128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))
"#;

impl World {
    /// Runs the program with output and errors on a terminal of so many columns, and no input; answers what the terminal
    /// got.
    pub fn pycstore_on_terminal<I: AsRef<OsStr>>(
        &self,
        columns: u16,
        arguments: impl IntoIterator<Item = I>,
    ) -> Vec<u8> {
        let mut command = self.python(newest());
        command.args(["-I", "-B", "-c", CODE, &columns.to_string(), "looking", ""]);
        command.arg(env!("CARGO_BIN_EXE_pycstore")).args(arguments).output().unwrap().stdout
    }

    /// Runs the program with a terminal for everything, types `reply` when it asks, and answers what the terminal showed.
    pub fn pycstore_answered(&self, arguments: &[&str], reply: &str) -> Answer {
        let mut command = self.python(newest());
        command.args(["-I", "-B", "-c", CODE, "80", "typing", reply, env!("CARGO_BIN_EXE_pycstore")]);
        answer(command.args(["--color", "never"]).args(arguments))
    }
}
