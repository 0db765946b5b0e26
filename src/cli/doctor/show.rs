//! The findings, for people and machines.
//!
//! A finding is one line, and what to do is the next, indented: beside each other they would be wider than most
//! terminals. On a terminal both are wrapped at its width; in a pipe each is one line, whole.

use super::facts::{Facts, StoreState};
use super::finding::{Finding, Severity};
use super::interpreters::Said;
use crate::cli::output::json::{self, DoctorLine};
use crate::cli::output::paragraph::wrapped;
use crate::cli::output::style::{Style, Tone};
use crate::cli::output::terminal::Terminal;
use crate::cli::session::Session;
use pycstore::units::{date, human};
use std::io::{self, Write};

/// How far the text is from the left.
const INDENT: usize = 9;

/// Where a terminal is narrower than this, the text is indented less.
const NARROW: usize = 60;

/// Prints them: as JSON, or for people.
///
/// # Errors
/// What writing answers.
pub fn print(
    session: &Session,
    findings: &[Finding],
    facts: &Facts,
    is_json: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    if is_json {
        return findings.iter().try_for_each(|finding| json::print(out, &DoctorLine::from(finding)));
    }
    let is_quiet = session.global.quiet;
    let (terminal, style) = (&session.terminal, session.style());
    for finding in findings.iter().filter(|it| !is_quiet || it.severity < Severity::Note) {
        out.write_all(&shown(finding, terminal, style))?;
    }
    if !is_quiet {
        let sum = if findings.is_empty() { all_is_well(facts) } else { sum(findings) };
        out.write_all(&lines("", 0, &sum, terminal, style, Tone::Total))?;
    }
    Ok(())
}

fn sum(findings: &[Finding]) -> String {
    let count = |severity| findings.iter().filter(|it| it.severity == severity).count() as u64;
    let [errors, warnings, notes] = [Severity::Error, Severity::Warning, Severity::Note].map(count);
    format!(
        "{}, {}, {}",
        human::counted(errors, "error"),
        human::counted(warnings, "warning"),
        human::counted(notes, "note")
    )
}

/// What was looked at, in one line.
fn all_is_well(facts: &Facts) -> String {
    let asked = facts.interpreters.iter().filter(|it| it.said == Said::Honours).count() as u64;
    let places = facts.places.len() as u64;
    let store = match &facts.store {
        StoreState::Open(store) => {
            let files = human::counted(store.exposure.files, "file");
            let pruned = match &store.last_run {
                Ok(Some(run)) => format!(", pruned {}", date::ago(run.started, facts.now)),
                _ => String::new(),
            };
            format!("{files} in {}{pruned}", store.path.display())
        }
        _ => "no store yet".into(),
    };
    format!(
        "all is well: {} name one store, {} honour it, {store}",
        human::counted(places, "place"),
        human::counted(asked, "interpreter"),
    )
}

fn shown(finding: &Finding, terminal: &Terminal, style: Style) -> Vec<u8> {
    let tone = match finding.severity {
        Severity::Error => Tone::Heading,
        Severity::Warning => Tone::Gone,
        Severity::Note => Tone::Quiet,
    };
    let indent = if terminal.columns().is_some_and(|columns| columns < NARROW) { 2 } else { INDENT };
    let mut text = lines(finding.severity.name(), indent, &finding.detail, terminal, style, tone);
    text.extend(lines("", indent, &format!("hint: {}", finding.hint), terminal, style, Tone::Normal));
    text
}

/// A label and a text beside it, wrapped where there is a terminal, the lines after the first indented. The label is
/// painted; without one the text is.
fn lines(label: &str, indent: usize, text: &str, terminal: &Terminal, style: Style, tone: Tone) -> Vec<u8> {
    let text = match terminal.columns() {
        Some(_) => pycstore::quoting::escaped(&with_home(text, terminal)),
        // A line stays a line, whatever a file is called.
        None => pycstore::quoting::escaped(text),
    };
    let first = if label.is_empty() { indent } else { indent.max(label.len() + 1) };
    let room =
        |used: usize| terminal.columns().map_or(usize::MAX, |columns| columns.saturating_sub(used).max(8));
    let mut out = style.paint(label.as_bytes(), tone);
    let mut pad = first - label.len();
    for line in wrapped(&text, room(first), room(indent)) {
        out.extend(" ".repeat(pad).bytes());
        out.extend(style.paint(line.as_bytes(), if indent == 0 { tone } else { Tone::Normal }));
        out.push(b'\n');
        pad = indent;
    }
    out
}

/// The home as `~`, as far as a shell would take it for the same.
fn with_home(text: &str, terminal: &Terminal) -> String {
    match terminal.home().and_then(|home| home.to_str()).filter(|home| home.len() > 1) {
        Some(home) => {
            let text = text.replace(&format!(" {home}/"), " ~/").replace(&format!("({home}/"), "(~/");
            match text.strip_prefix(&format!("{home}/")) {
                Some(rest) => format!("~/{rest}"),
                None => text,
            }
        }
        None => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Kind;
    use super::*;

    fn text(columns: Option<usize>) -> String {
        let detail = "12 files of the store can be written by everyone, such as /home/me/.cache/cpython/a/b.cpython-312.pyc";
        let finding =
            Finding::new(Severity::Error, Kind::Writable, detail, "chmod -R go-w /home/me/.cache/cpython");
        let terminal = Terminal::of_test(columns, "/home/me");
        String::from_utf8(shown(&finding, &terminal, Style::Plain)).unwrap()
    }

    #[test]
    fn a_finding_fits_any_terminal() {
        assert_eq!(
            text(Some(80)),
            "error    12 files of the store can be written by everyone, such as\n         \
             ~/.cache/cpython/a/b.cpython-312.pyc\n         \
             hint: chmod -R go-w ~/.cache/cpython\n"
        );
        assert_eq!(
            text(Some(40)),
            "error 12 files of the store can be\n  written by everyone, such as\n  \
             ~/.cache/cpython/a/b.cpython-312.pyc\n  hint: chmod -R go-w ~/.cache/cpython\n"
        );
        assert_eq!(text(Some(200)).lines().count(), 2);
        assert_eq!(
            text(None),
            "error    12 files of the store can be written by everyone, such as \
             /home/me/.cache/cpython/a/b.cpython-312.pyc\n         \
             hint: chmod -R go-w /home/me/.cache/cpython\n"
        );
    }

    #[test]
    fn no_name_can_forge_a_line_or_speak_to_the_terminal() {
        let finding = Finding::new(Severity::Note, Kind::Missing, "a\nerror\u{1b}[2J", "b\nc");
        let shown = |columns| {
            String::from_utf8(shown(&finding, &Terminal::of_test(columns, "/home/me"), Style::Plain)).unwrap()
        };
        assert_eq!(shown(Some(80)), "note     a\\nerror\\x1b[2J\n         hint: b\\nc\n");
        assert_eq!(shown(None).lines().count(), 2);
    }
}
