//! The program on a terminal: a real one, of the pseudo kind, held by Python's `pty`.

use super::{Answer, World, answer, newest};
use std::ffi::OsStr;

/// What the terminal does with a run: `argv` is the columns, whether somebody is there to type, the reply to a question,
/// and the program with its arguments. Prints what the terminal got, byte for byte; the code is the shell's, 128 and the
/// signal's number where one ended it.
const CODE: &str = r#"
import fcntl, os, pty, signal, struct, sys, termios
columns, is_typing, reply, program = int(sys.argv[1]), sys.argv[2] == "typing", sys.argv[3].encode(), sys.argv[4:]
child, terminal = pty.fork()
if child == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    modes = termios.tcgetattr(0)
    modes[1] &= ~termios.OPOST
    termios.tcsetattr(0, termios.TCSANOW, modes)
    if not is_typing:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # Where the tests run in the background of a script it is ignored.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execv(program[0], program)
shown, is_answered = b"", False
while True:
    try:
        portion = os.read(terminal, 4096)
    except OSError:
        break
    if not portion:
        break
    shown += portion
    if is_typing and b"[y/N] " in shown and not is_answered:
        is_answered = True
        os.write(terminal, reply)
os.write(1, shown)
status = os.waitpid(child, 0)[1]
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
