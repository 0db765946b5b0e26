//! The terminal while the browser has it: the alternate screen and raw mode, and their end in any case.
//!
//! [`restore`] may be called at any time, by any thread, and more than once: it takes no lock of standard output, on which
//! another thread may be blocked.

use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{Command, style};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::mem::ManuallyDrop;
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the alternate screen is shown.
static IS_ENTERED: AtomicBool = AtomicBool::new(false);

/// Another descriptor of standard output, which no lock protects.
static OUTPUT: OnceLock<File> = OnceLock::new();

/// A terminal that is drawn to. It is never dropped: ratatui then shows the cursor, which [`restore`] did, and panics where the
/// terminal is gone.
pub type Screen = ManuallyDrop<Terminal<CrosstermBackend<BufWriter<ScreenOutput>>>>;

/// Standard output while the browser has the terminal. What is drawn after another thread gave that back is dropped.
#[derive(Debug)]
pub struct ScreenOutput;

impl Write for ScreenOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if is_entered() {
            write(bytes)?;
            if !is_entered() {
                // It was given back meanwhile. All that a screen changes lastingly:
                write((sequence(style::ResetColor) + &sequence(Show)).as_bytes())?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes the terminal. A panic gives it back before its message is printed.
pub fn enter() -> io::Result<Screen> {
    if OUTPUT.get().is_none() {
        let _ = OUTPUT.set(File::from(io::stdout().as_fd().try_clone_to_owned()?));
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            report(panic);
        }));
    }
    resume()?;
    Terminal::new(CrosstermBackend::new(BufWriter::new(ScreenOutput))).map(ManuallyDrop::new)
}

/// Takes the terminal again, after [`restore`] or after the process was stopped and continued.
pub fn resume() -> io::Result<()> {
    IS_ENTERED.store(true, Ordering::SeqCst);
    // A shell that stopped us has set its own mode: ours is set even if it was not given back.
    disable_raw_mode()?;
    enable_raw_mode()?;
    // Marked as such, pasted text is no keys.
    write((sequence(EnterAlternateScreen) + &sequence(Hide) + &sequence(EnableBracketedPaste)).as_bytes())?;
    // A thread that panicked meanwhile may have given it back before it was taken.
    if !is_entered() {
        IS_ENTERED.store(true, Ordering::SeqCst);
        restore();
    }
    Ok(())
}

/// Draws everything at the next time, whatever the terminal shows.
pub fn forget(screen: &mut Screen) -> io::Result<()> {
    // Not `clear`: it asks the terminal for the cursor, and another thread reads the answer.
    let area = screen.get_frame().area();
    screen.resize(area)
}

/// Whether the browser has the terminal. If not, another thread failed and gave it back.
pub fn is_entered() -> bool {
    IS_ENTERED.load(Ordering::SeqCst)
}

/// Whether the terminal is there: one that was closed does not answer.
pub fn is_there() -> bool {
    OUTPUT.get().is_some_and(|output| rustix::termios::tcgetattr(output).is_ok())
}

/// Gives the terminal back as it was.
pub fn restore() {
    if IS_ENTERED.swap(false, Ordering::SeqCst) {
        // What fails here cannot be helped: the terminal may be gone.
        let shown = sequence(DisableBracketedPaste) + &sequence(style::ResetColor) + &sequence(Show);
        let _ = write((shown + &sequence(LeaveAlternateScreen)).as_bytes());
        let _ = disable_raw_mode();
    }
}

fn sequence(command: impl Command) -> String {
    let mut text = String::new();
    let _ = command.write_ansi(&mut text);
    text
}

fn write(bytes: &[u8]) -> io::Result<()> {
    match OUTPUT.get() {
        Some(mut output) => output.write_all(bytes),
        None => Ok(()),
    }
}

/// Gives the terminal back when it goes out of scope.
#[derive(Debug)]
pub struct ScreenGuard;

impl Drop for ScreenGuard {
    fn drop(&mut self) {
        restore();
    }
}
