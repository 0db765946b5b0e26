//! Opens pseudo-terminals, for this crate's tests and the program's own.

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::os::fd::OwnedFd;

/// The lines of each terminal.
pub const LINES: u16 = 24;

/// A title of the terminal, written behind the program's last word: what comes before it has arrived when it has.
pub const END: &[u8] = b"\x1b]0;the end\x07";

/// A terminal of this many columns, and the side of the programs on it.
pub fn open(columns: u16) -> (OwnedFd, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    // Elsewhere there is no such flag.
    #[cfg(target_os = "linux")]
    let flags = flags | OpenptFlags::CLOEXEC;
    let terminal = openpt(flags).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let programs_side = rustix::fs::open(name.as_c_str(), flags, Mode::empty()).unwrap();
    resize(&terminal, columns);
    (terminal, programs_side)
}

/// Changes the width of a terminal.
pub fn resize(terminal: &OwnedFd, columns: u16) {
    tcsetwinsize(terminal, Winsize { ws_row: LINES, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
}
