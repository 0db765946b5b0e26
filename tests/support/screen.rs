//! The program with a whole terminal for itself: a pseudo-terminal whose screen is kept as a terminal shows it.
//!
//! Every wait is for what the screen shows, with a limit that only a hang reaches.

use super::pseudo_terminal::{self, END, LINES, resize};
use super::{World, tool};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::tcgetattr;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// How long something may take that takes a moment.
const LIMIT: Duration = Duration::from_secs(120);

/// A run of the program on a terminal.
pub struct OnScreen {
    child: Child,
    terminal: OwnedFd,
    /// Held open: the kernel forgets the modes of a terminal that nobody has open.
    programs_side: OwnedFd,
    modes: String,
    screen: vt100::Parser,
    /// The last bytes that were read.
    tail: Vec<u8>,
}

/// How such a run ended.
#[derive(Debug, PartialEq, Eq)]
pub enum ScreenEnd {
    /// By itself, with this code.
    Exit(i32),
    /// By this signal.
    BySignal(i32),
}

impl World {
    /// Starts the program on a terminal of 100 columns.
    pub fn pycstore_on_screen(&self, arguments: &[&str]) -> OnScreen {
        let mut command = self.program();
        command.env("PYTHONPYCACHEPREFIX", &self.store).args(arguments);
        OnScreen::start(&command)
    }
}

impl OnScreen {
    /// Starts a command, as its user if it has one, on a terminal that is the controlling one of a new session.
    pub fn start(command: &Command) -> OnScreen {
        OnScreen::start_by(Command::new(tool("env", "coreutils")), command)
    }

    /// The same by a command that is `env`: one that runs as another user. `env` makes signals end the program that were
    /// ignored where the tests were started, as by `nohup`.
    pub fn start_by(mut env: Command, command: &Command) -> OnScreen {
        let (terminal, programs_side) = pseudo_terminal::open(100);
        let modes = format!("{:?}", tcgetattr(&programs_side).unwrap());
        let side = || programs_side.try_clone().unwrap();
        env.arg("--default-signal").arg(tool("setsid", "util-linux")).arg("--ctty");
        env.arg(command.get_program()).args(command.get_args()).env_clear();
        env.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        env.env("TERM", "xterm-256color").current_dir(command.get_current_dir().unwrap());
        let child = env.stdin(side()).stdout(side()).stderr(side()).spawn().unwrap();
        OnScreen {
            child,
            terminal,
            programs_side,
            modes,
            screen: vt100::Parser::new(LINES, 100, 0),
            tail: Vec::new(),
        }
    }

    /// What the screen shows, a line each.
    pub fn shown(&self) -> String {
        self.screen.screen().contents()
    }

    /// Takes what the program writes, for at most a moment.
    fn read(&mut self) {
        let mut ready = [PollFd::new(&self.terminal, PollFlags::IN)];
        let moment = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
        if poll(&mut ready, Some(&moment)).unwrap_or(0) > 0 {
            let mut portion = [0; 4096];
            let length = rustix::io::read(&self.terminal, &mut portion).unwrap_or(0);
            self.screen.process(&portion[..length]);
            self.tail.extend(&portion[..length]);
            self.tail.drain(..self.tail.len().saturating_sub(END.len()));
        }
    }

    /// Takes all that a program wrote that has ended or is stopped.
    #[track_caller]
    fn read_to_end(&mut self) {
        assert_eq!(rustix::io::write(&self.programs_side, END), Ok(END.len()));
        let began = Instant::now();
        while self.tail != END {
            assert!(began.elapsed() < LIMIT, "the terminal passes nothing on");
            self.read();
        }
    }

    /// Waits until the screen is as wanted.
    #[track_caller]
    fn until(&mut self, what: &str, is_so: impl Fn(&vt100::Screen) -> bool) -> &mut OnScreen {
        let began = Instant::now();
        while !is_so(self.screen.screen()) {
            let is_over = began.elapsed() > LIMIT || self.child.try_wait().unwrap().is_some();
            self.read();
            if is_over && !is_so(self.screen.screen()) {
                panic!("no {what:?} on the screen:\n{}", self.shown());
            }
        }
        self
    }

    /// Waits until the screen shows a text.
    #[track_caller]
    pub fn until_shown(&mut self, text: &str) -> &mut OnScreen {
        self.until(text, |screen| screen.contents().contains(text))
    }

    /// Types.
    pub fn press(&mut self, keys: &str) -> &mut OnScreen {
        assert_eq!(rustix::io::write(&self.terminal, keys.as_bytes()), Ok(keys.len()));
        self
    }

    /// Pastes, as a terminal does.
    pub fn paste(&mut self, text: &str) -> &mut OnScreen {
        match self.screen.screen().bracketed_paste() {
            true => self.press(&format!("\x1b[200~{text}\x1b[201~")),
            false => self.press(text),
        }
    }

    /// Selects the only row with this text, by the filter.
    #[track_caller]
    pub fn select(&mut self, text: &str) -> &mut OnScreen {
        self.press(&format!("/{text}\r")).until("the selected row", |screen| {
            let shown = screen.contents();
            shown.contains(&format!("filter: {text};"))
                && shown.lines().any(|line| line.starts_with('>') && line.contains(text))
        })
    }

    /// Sends a signal.
    pub fn signal(&mut self, signal: Signal) -> &mut OnScreen {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        self
    }

    /// Waits until the program is stopped, and asserts that the terminal is as before.
    #[track_caller]
    pub fn until_stopped(&mut self) -> &mut OnScreen {
        let status = format!("/proc/{}/stat", self.child.id());
        let is_stopped = || std::fs::read_to_string(&status).unwrap().contains(") T ");
        self.until("stop", |_| is_stopped());
        self.read_to_end();
        self.assert_restored();
        self
    }

    /// Gives the terminal other columns.
    pub fn resize(&mut self, columns: u16) -> &mut OnScreen {
        self.screen.screen_mut().set_size(LINES, columns);
        resize(&self.terminal, columns);
        self
    }

    #[track_caller]
    fn assert_restored(&self) {
        let screen = self.screen.screen();
        assert!(!screen.alternate_screen(), "the alternate screen is left");
        assert!(!screen.hide_cursor(), "the cursor is shown");
        assert!(!screen.bracketed_paste(), "pasted text is not marked");
        assert_eq!(format!("{:?}", tcgetattr(&self.programs_side).unwrap()), self.modes);
    }

    /// Waits for the end, and asserts that the terminal is as before; answers how it ended and what is on the screen.
    #[track_caller]
    pub fn ends(mut self) -> (ScreenEnd, String) {
        let end = self.wait();
        self.read_to_end();
        self.assert_restored();
        (end, self.shown())
    }

    /// Quits.
    #[track_caller]
    pub fn quits(mut self) -> String {
        self.press("q");
        let (end, shown) = self.ends();
        assert_eq!(end, ScreenEnd::Exit(0), "{shown}");
        shown
    }

    /// Closes the terminal, and waits for the end.
    #[track_caller]
    pub fn hangs_up(self) -> ScreenEnd {
        let OnScreen { mut child, terminal, programs_side, .. } = self;
        drop((terminal, programs_side));
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status
                    .signal()
                    .map_or_else(|| ScreenEnd::Exit(status.code().unwrap()), ScreenEnd::BySignal);
            }
            if began.elapsed() > LIMIT {
                child.kill().unwrap();
                panic!("it goes on without a terminal");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[track_caller]
    fn wait(&mut self) -> ScreenEnd {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status
                    .signal()
                    .map_or_else(|| ScreenEnd::Exit(status.code().unwrap()), ScreenEnd::BySignal);
            }
            if began.elapsed() > LIMIT {
                self.child.kill().unwrap();
                panic!("it does not end:\n{}", self.shown());
            }
            self.read();
        }
    }
}
