//! Panics while the browser has the terminal: this test runs itself again on a terminal, where a thread panics.

use super::pseudo_terminal::{self, END, LINES};
use crate::cli::browse::work::Workshop;
use crate::cli::browse::{app, screen};
use crate::cli::selection::Selection;
use rustix::termios::tcgetattr;
use std::process::Command;
use std::time::Duration;

/// Tells the second run which thread panics.
const WHO: &str = "PYCSTORE_TEST_PANIC";

#[test]
fn a_panic_gives_the_terminal_back() {
    match std::env::var(WHO).ok().as_deref() {
        None => ["the thread that draws", "another thread"].into_iter().for_each(assert_given_back),
        Some("another thread") => {
            in_time();
            another_thread_panics();
        }
        Some(_) => {
            in_time();
            let _screen = screen::enter().unwrap();
            panic!("the thread that draws panics");
        }
    }
}

/// Ends the second run if nothing else does.
fn in_time() {
    std::thread::spawn(|| {
        std::thread::sleep(Duration::from_secs(30));
        std::process::exit(3);
    });
}

fn another_thread_panics() {
    let temporary = tempfile::tempdir().unwrap();
    let (session, _) = super::real::real_store(&temporary);
    let opened = session.open(pycstore::store::Purpose::Look).unwrap();
    let selection = Selection::of_browse(&session, &Default::default()).unwrap();
    std::thread::spawn(|| {
        while !screen::is_entered() {
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("another thread panics");
    });
    let error = app::run(Workshop::new(session, opened, selection, None)).unwrap_err();
    assert_eq!(error.to_string(), "the browser ended: a thread failed");
}

#[track_caller]
fn assert_given_back(who: &str) {
    let (terminal, side) = pseudo_terminal::open(100);
    let modes = format!("{:?}", tcgetattr(&side).unwrap());
    let mut again = Command::new("setsid");
    again.arg("--ctty").arg(std::env::current_exe().unwrap());
    again.args(["--exact", "cli::browse::tests::panics::a_panic_gives_the_terminal_back", "--nocapture"]);
    // A backtrace would move the message off the screen.
    again.env(WHO, who).env("TERM", "xterm-256color").env("RUST_BACKTRACE", "0");
    let [input, output, errors] = [(); 3].map(|()| side.try_clone().unwrap());
    let mut again = again.stdin(input).stdout(output).stderr(errors).spawn().unwrap();
    let reader = std::thread::spawn(move || {
        let mut written = Vec::new();
        let mut portion = [0; 4096];
        while !written.ends_with(END) {
            let length = rustix::io::read(&terminal, &mut portion).unwrap();
            written.extend(&portion[..length]);
        }
        // Kept open: without it, the other side has no modes.
        (written, terminal)
    });
    let end = again.wait().unwrap();
    rustix::io::write(&side, END).unwrap();
    let (written, _terminal) = reader.join().unwrap();
    let text = String::from_utf8_lossy(&written);
    assert_eq!(end.success(), who == "another thread", "{text}");
    assert!(text.contains("\x1b[?1049h"), "the browser had the terminal: {text}");
    let mut parser = vt100::Parser::new(LINES, 100, 0);
    parser.process(&written);
    let screen = parser.screen();
    assert!(!screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste(), "{text}");
    assert_eq!(format!("{:?}", tcgetattr(&side).unwrap()), modes);
    // The message is not on the screen that is left.
    assert!(screen.contents().contains(&format!("{who} panics")), "{}", screen.contents());
}
