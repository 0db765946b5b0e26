//! `pycstore doctor`: problems with the store and its environment, each with a hint.
//!
//! The command collects the inputs of the diagnosis (the configuration, the schedule, the history, the open store) and
//! shows the findings. A finding is one line, and its hint the next, indented: in one line they would be wider than most
//! terminals. On a terminal both are wrapped at its width; in a pipe each is a whole line.
//!
//! Only errors and warnings count for the exit code, not notes.

use super::config::{Origin, Sourced};
use super::env::this_program;
use super::options::Global;
use super::output::complain;
use super::output::path;
use super::output::style::{Style, Tone};
use super::output::terminal::Terminal;
use super::schedule;
use super::selection::reclaimable;
use super::session::{Opened, Session, is_absent};
use clap::Args;
use pycstore::doctor::{
    self, Examination, Facts, Finding, Kind, KnownStore, NamedBy, OpenStore, Said, Schedule, Severity,
    StoreState, Surroundings,
};
use pycstore::environment::Environment;
use pycstore::exit::Exit;
use pycstore::history::Journal;
use pycstore::json::{self, PathField, SCHEMA};
use pycstore::paragraph::wrapped;
use pycstore::schedule::installed_with;
use pycstore::source::interpreter::Interpreters;
use pycstore::source::witness::real_path;
use pycstore::store::Purpose;
use pycstore::store::scan::Question;
use pycstore::units::{Age, AgeError, date, human};
use pycstore::verdict::status::UncheckedHashes;
use serde::Serialize;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::time::Instant;

/// Find problems with the store and its environment.
///
/// Prints each finding in a line with a hint what to do, the worst first: errors, warnings, notes. Checks which
/// store is set in the shells that you use (bash, zsh and fish, started as login and as interactive shells), the
/// systemd user session and environment.d, the crontab and this environment, and whether each interpreter that no
/// other user can change uses it. Also checks the store, who may write to it and to the directories above it, its
/// file system, the current project, other stores and the past runs of prune. Changes nothing itself, but runs the
/// startup files of the shells. With --quiet, only errors and warnings are printed. As root with another user's store (--store), all of this is done as that user.
///
/// doctor does not read the bodies of entries: if an import fails with "bad marshal data" or "marshal data too
/// short", run `pycstore verify --fix`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 no error or warning was found; 1 an error or a warning was found, or the metrics could not be written."
)]
pub struct DoctorOptions {
    /// Maximum time to wait for a shell or an interpreter, such as 5s
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = timeout)]
    pub timeout: Age,
    /// Write the number of findings to FILE (*.prom), for the textfile collector of Prometheus' node exporter
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// Print one JSON object per line for each finding
    #[arg(long)]
    pub json: bool,
}

/// Parses a time limit.
fn timeout(text: &str) -> Result<Age, String> {
    let age: Age = text.parse().map_err(|error: AgeError| error.to_string())?;
    if age.duration().is_zero() { Err("it is not longer than zero".into()) } else { Ok(age) }
}

/// The indentation of the text, in columns.
const INDENT: usize = 9;

/// On a terminal narrower than this, the text is indented less.
const NARROW: usize = 60;

/// Runs `pycstore doctor`. A configuration that cannot be parsed is one of the findings.
pub fn run(global: Global, environment: Environment, options: &DoctorOptions) -> anyhow::Result<Exit> {
    let (session, misconfigured) = match Session::configured(global.clone(), environment.clone()) {
        Ok(session) => (session, None),
        Err(error) => (Session::new(global, environment), Some(complain::message_and_hint(&error))),
    };
    let began = Instant::now();
    let facts = gather(&session, options).inspect_err(|_| {
        write_metrics(&session, options, None, Exit::Nothing, began);
    })?;
    let mut findings = doctor::diagnose(&facts);
    findings.extend(misconfigured.map(|(message, hint)| {
        let hint = hint.unwrap_or_else(|| "pycstore config".into());
        Finding::new(Severity::Error, Kind::Configuration, message, hint)
    }));
    doctor::sort(&mut findings);
    let exit = Exit::complete_if(findings.iter().all(|finding| finding.severity == Severity::Note));
    let is_written = write_metrics(&session, options, Some(&findings), exit, began);
    let mut out = BufWriter::new(io::stdout().lock());
    print(&session, &findings, &facts, options.json, &mut out)?;
    out.flush()?;
    Ok(if is_written { exit } else { Exit::Incomplete })
}

/// Writes the metrics, if they are wanted, before the output: a reader may end this process. Reports errors.
fn write_metrics(
    session: &Session,
    options: &DoctorOptions,
    findings: Option<&[Finding]>,
    exit: Exit,
    began: Instant,
) -> bool {
    let Some(path) = &options.metrics else { return true };
    let (started, duration) = (session.environment.now, began.elapsed());
    let store = session.store().value.map(|path| json::text(&real_path(&path))).unwrap_or_default();
    let examination = Examination { store: &store, findings, exit, started, duration };
    complain::is_done(examination.write(&session.environment.absolute(path)))
}

/// Gathers the facts; reports what cannot be read.
///
/// # Errors
/// If signal handlers cannot be installed, or a glob of the configuration is wrong.
fn gather(session: &Session, options: &DoctorOptions) -> anyhow::Result<Facts> {
    let timeout = options.timeout.duration();
    let surroundings = Surroundings::observe(&session.environment, timeout);
    let (store, interpreters) = store(session, &surroundings)?;
    complain::problems(&interpreters.unreadable);
    let configured = session.configuration.store.as_ref().map(|store| store.value.clone());
    let launcher = this_program()?;
    let (facts, unreadable) = Facts::gather(
        &session.environment,
        surroundings,
        configured,
        store,
        &interpreters,
        &launcher,
        timeout,
    );
    complain::problems(&unreadable);
    Ok(facts)
}

/// The state of the store, and the interpreters that may use it.
fn store(session: &Session, surroundings: &Surroundings) -> anyhow::Result<(StoreState, Interpreters)> {
    let Sourced { value: path, origin } = session.store();
    let path = match path {
        None => return Ok((StoreState::Nowhere, session.interpreters())),
        Some(path) if is_absent(&path) => return Ok((StoreState::Missing(path), session.interpreters())),
        Some(path) => path,
    };
    let opened = match session.open(Purpose::Look) {
        Ok(opened) => opened,
        Err(error) => {
            let (message, hint) = complain::message_and_hint(&error);
            return Ok((StoreState::Refused { path, message, hint }, session.interpreters()));
        }
    };
    opened.stop.on_signals()?;
    let named_by = match origin {
        Origin::Flag(_) => NamedBy::Flag,
        Origin::Variable(_) | Origin::File { .. } | Origin::Default => NamedBy::Surroundings,
    };
    let store = look(session, &opened, surroundings, named_by)?;
    Ok((StoreState::Open(Box::new(store)), session.interpreters_with(&opened)))
}

fn look(
    session: &Session,
    opened: &Opened,
    surroundings: &Surroundings,
    named_by: NamedBy,
) -> anyhow::Result<OpenStore> {
    let policy = reclaimable(session, opened)?;
    let schedule = schedule_of(session, surroundings);
    let latest = Journal::of_store(&session.environment, &opened.store).and_then(|journal| journal.latest());
    let latest = latest.map_err(|error| complain::one_line(&error));
    let locked = latest.as_ref().ok().and_then(|latest| latest.locked.clone());
    let last_run = match schedule {
        // A manual prune does not show whether the schedule runs.
        Ok(Schedule::Ours(_)) => {
            schedule::last_run(session).map_err(|error| complain::message_and_hint(&error).0)
        }
        _ => latest.map(|latest| latest.run),
    };
    let sharing = session.sharing(&opened.store);
    let known = KnownStore { named_by, sharing, schedule, last_run, locked };
    let circumstances = opened.circumstances(session.environment.now, &|_, _| false);
    let scan = opened.scan(Question::Everything(UncheckedHashes::Trust));
    let progress = session.progress("scanning");
    Ok(OpenStore::look(known, &scan, &policy, circumstances, surroundings.guard(), progress))
}

/// The schedule that prunes the store.
fn schedule_of(session: &Session, surroundings: &Surroundings) -> Result<Schedule, String> {
    let crontab = &surroundings.crontab;
    let lines = crontab.as_deref().unwrap_or_default();
    let found = installed_with(&session.environment, Ok(lines.to_vec()));
    match (found.installed.first(), crontab) {
        (Some(installed), _) => Ok(Schedule::Ours(installed.scheduler)),
        (None, _) if let Some((_, error)) = found.unknown.first() => Err(complain::one_line(error)),
        (None, Err(error)) => {
            Err(format!("cannot determine whether a schedule is installed: crontab -l {error}"))
        }
        (None, Ok(lines)) if doctor::cron::prunes(lines) => Ok(Schedule::Own),
        (None, Ok(_)) => Ok(Schedule::None),
    }
}

/// One line of `doctor --json`.
#[derive(Debug, Serialize)]
struct DoctorLine<'a> {
    schema: u32,
    finding: Kind,
    severity: &'static str,
    #[serde(flatten)]
    path: PathField<'a>,
    detail: &'a str,
    hint: &'a str,
}

impl<'a> From<&'a Finding> for DoctorLine<'a> {
    fn from(finding: &'a Finding) -> DoctorLine<'a> {
        DoctorLine {
            schema: SCHEMA,
            finding: finding.kind,
            severity: finding.severity.name(),
            path: PathField { name: "path", path: finding.path.as_deref() },
            detail: &finding.detail,
            hint: &finding.hint,
        }
    }
}

/// Prints the findings, as JSON or as text.
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
        let sum = if findings.is_empty() { nothing_found(facts) } else { sum(findings) };
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

/// Returns the line for no findings.
fn nothing_found(facts: &Facts) -> String {
    let asked = facts.interpreters.iter().filter(|it| it.said == Said::Honours).count() as u64;
    let places = facts.places.len() as u64;
    let store = match &facts.store {
        StoreState::Open(store) => {
            let files = human::counted(store.exposure.files, "file");
            let pruned = match &store.known.last_run {
                Ok(Some(run)) => format!(", pruned {}", date::ago(run.started, facts.now)),
                _ => String::new(),
            };
            format!("{files} in {}{pruned}", store.path.display())
        }
        _ => "no store yet".into(),
    };
    format!(
        "no problems found: checked {} and {}; {store}",
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

/// Writes a label and a text, wrapped on a terminal, with the lines after the first indented. The label is
/// coloured; without one the text is.
fn lines(label: &str, indent: usize, text: &str, terminal: &Terminal, style: Style, tone: Tone) -> Vec<u8> {
    let text = match terminal.columns() {
        Some(_) => path::escaped(&with_home(text, terminal)),
        // A file name cannot add a line.
        None => path::escaped(text),
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

/// Replaces the home by `~` where a shell would expand that.
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
    fn names_cannot_add_a_line_or_control_the_terminal() {
        let finding = Finding::new(Severity::Note, Kind::Missing, "a\nerror\u{1b}[2J", "b\nc");
        let shown = |columns| {
            String::from_utf8(shown(&finding, &Terminal::of_test(columns, "/home/me"), Style::Plain)).unwrap()
        };
        assert_eq!(shown(Some(80)), "note     a\\nerror\\x1b[2J\n         hint: b\\nc\n");
        assert_eq!(shown(None).lines().count(), 2);
    }
}
