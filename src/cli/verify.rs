//! `pycstore verify`: checks beyond the header, and `--fix`, which uses the executor of `prune`.

use super::consent::Consent;
use super::env::this_program;
use super::output::style::Tone;
use super::output::{complain, path};
use super::paths;
use super::removal::{ResultOutput, RunOptions, WhenLocked, carry_out};
use super::selection::Selection;
use super::session::{Opened, Session};
use clap::Args;
use pycstore::effect::prove::{Doubt, Proof, recompile};
use pycstore::exit::Exit;
use pycstore::host::trust::runner::Runners;
use pycstore::json::{self, PathField, SCHEMA};
use pycstore::paragraph::wrapped;
use pycstore::pyc::tags;
use pycstore::store::Purpose;
use pycstore::store::entry::SeenEntry;
use pycstore::store::scan::{Question, Scan, Trouble};
use pycstore::units::human;
use pycstore::verdict::finding::{EntryFinding, EntrySeverity, What};
use pycstore::verdict::inspector::{Candidates, Inspection, Inspector, WalkedBodies};
use pycstore::verdict::status::UncheckedHashes;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

/// Check entries in depth for broken or outdated bytecode.
///
/// Run it with --fix if an import fails with "bad marshal data (unknown type code)" or "marshal data too short".
///
/// Checks every entry that Python would load. Faults: the body is not a code object, so every import fails (body);
/// the source was changed and Python does not check the entry's hash (unchecked). Warnings: the source was changed
/// after it was compiled, and the header does not show it (racy, changed). Notices: mtimes that archives and images
/// set (frozen), entries compiled from another path (moved), and entries of a newer Python or another
/// implementation, whose format this version does not know (not-checked).
///
/// With --recompile, the owning interpreter compiles each source again without running it, and the code objects are
/// compared. An entry that differs is a fault (mismatch); this result replaces the warnings about the entry.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(
    after_help = "Exit status: 0 no faults, or --fix removed them all; 1 a fault remains (--fix does nothing while another \
                        prune runs), or something could not be read or checked; 2 no store."
)]
pub struct VerifyOptions {
    /// Only entries whose source is, or was, at or below PATH
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Compile the sources again with the owning interpreters, and compare
    #[arg(long)]
    pub recompile: bool,
    /// Remove the entries with a fault; Python compiles their sources again
    #[arg(long)]
    pub fix: bool,
    /// Also show notices: possible problems
    #[arg(long)]
    pub notices: bool,
    /// Print one JSON object per line for each finding, notices included; `removed` says whether --fix removed the
    /// entry
    #[arg(long)]
    pub json: bool,
}

/// The columns of a finding's name and the blank behind it.
const INDENT: usize = 12;

/// On a narrower terminal, the text below a path is indented less.
const NARROW: usize = 60;

/// Runs `pycstore verify`.
pub fn run(session: &Session, options: &VerifyOptions) -> anyhow::Result<Exit> {
    let opened = session.open(Purpose::Look)?;
    let named = paths::named(session, &opened, &options.paths);
    let is_reported = named.note_missing(session);
    let (paths, mirrored) = (named.all, named.mirrored);
    opened.stop.on_signals()?;
    let (walked, epoch) = (WalkedBodies::default(), session.environment.source_date_epoch);
    let candidates = if options.recompile { Candidates::Collect } else { Candidates::Skip };
    let inspection = Inspection { store: &opened.store, within: &paths, epoch, walked: &walked, candidates };
    let scan = Scan { within: &mirrored, ..opened.scan(Question::Everything(UncheckedHashes::Check)) };
    let parts = scan.run(|| Inspector::new(inspection), session.progress("verifying"));
    let mut all = Inspector::collect(parts, inspection);
    let proof = options.recompile.then(|| prove(session, &opened, &all)).transpose()?;
    let is_whole = opened.stop.cause().is_none();
    let report = Verification {
        entries: all.entries,
        not_checked: all.not_checked.values().sum(),
        troubles: std::mem::take(&mut all.troubles),
        findings: findings(all, proof.as_ref()),
        proved: proof.as_ref().map(|proof| proof.sound.len() as u64),
    };
    opened.stop.end_work();
    // JSON says for each finding whether its entry was removed; in a table the findings come before the removal.
    let mut is_written = options.json || complain::is_written(report.print(session, options));
    let removable = report.removable();
    let fixed = if options.fix && is_whole && !removable.is_empty() {
        let output = if options.json { ResultOutput::LeftToCaller } else { ResultOutput::Printed };
        let run = RunOptions { output, ..RunOptions::default() };
        let selection = Selection::of_verify(session, &options.paths, removable);
        Some(carry_out(session, &selection, &run, Consent::Given, WhenLocked::Fail)?.exit())
    } else {
        None
    };
    if options.json {
        is_written = complain::is_written(report.print_json());
    }
    if report.entries == 0 && !options.paths.is_empty() && !is_reported {
        session.note("no entry that Python would load has a source at or below these paths");
    }
    let is_read = complain::troubles(&report.troubles) == Exit::Done;
    let is_proved = proof.as_ref().is_none_or(report_unproved);
    if !is_whole {
        complain::note("stopped before all entries were examined");
    }
    let is_sound = fixed.is_some_and(|exit| exit == Exit::Done) || report.count(EntrySeverity::Fault) == 0;
    Ok(Exit::complete_if(is_written && is_read && is_proved && is_whole && is_sound))
}

/// The findings of inspection and recompilation, without doubts that the recompilation decided.
fn findings(all: Inspector<'_>, proof: Option<&Proof>) -> Vec<EntryFinding> {
    let mut decided = BTreeSet::new();
    if let Some(proof) = proof {
        decided.extend(proof.sound.iter().cloned());
        decided.extend(proof.findings.iter().map(|finding| finding.path.clone()));
    }
    let mut findings = all.into_findings(&decided);
    findings.extend(proof.iter().flat_map(|proof| proof.findings.iter().cloned()));
    findings.sort_by(|one, other| one.path.cmp(&other.path));
    findings
}

fn prove(session: &Session, opened: &Opened, all: &Inspector<'_>) -> anyhow::Result<Proof> {
    let runners = Runners::new(Some(this_program()?));
    let interpreters = session.interpreters_with(opened);
    let (candidates, threads, stop) = (&all.candidates, opened.threads(), opened.stop.flag());
    let progress = session.progress("compiling");
    Ok(recompile(&opened.store, candidates, &interpreters, &runners, threads, stop, progress))
}

/// Reports what could not be proved; returns whether everything was.
fn report_unproved(proof: &Proof) -> bool {
    let mut without: BTreeMap<_, u64> = BTreeMap::new();
    let mut not_run: BTreeMap<String, u64> = BTreeMap::new();
    for unproved in &proof.unproved {
        match &unproved.why {
            Doubt::NoInterpreter(tag) => *without.entry(tags::order(tag)).or_default() += 1,
            why @ Doubt::NotRun { .. } => *not_run.entry(why.to_string()).or_default() += 1,
            Doubt::Source | Doubt::Entry | Doubt::NoAnswer(_) | Doubt::TooMuch(_) => {
                complain::problem(unproved);
            }
        }
    }
    for ((.., tag), entries) in without {
        complain::note(&format!(
            "{} not recompiled: no interpreter found for {tag}",
            human::counted(entries, "entry")
        ));
    }
    for (why, entries) in not_run {
        complain::note(&format!("{} not recompiled: {why}", human::counted(entries, "entry")));
    }
    proof.unproved.is_empty()
}

/// The result of a verification.
struct Verification {
    findings: Vec<EntryFinding>,
    troubles: Vec<Trouble>,
    entries: u64,
    not_checked: u64,
    proved: Option<u64>,
}

impl Verification {
    fn count(&self, severity: EntrySeverity) -> u64 {
        self.findings.iter().filter(|finding| finding.what.severity() == severity).count() as u64
    }

    /// The entries with a fault, each once.
    fn removable(&self) -> Vec<SeenEntry> {
        let faults = self.findings.iter().filter(|finding| finding.what.severity() == EntrySeverity::Fault);
        let mut entries: Vec<SeenEntry> = faults.filter_map(|finding| finding.entry.clone()).collect();
        // The findings are sorted by path.
        entries.dedup();
        entries
    }

    /// Writes one object per line for each finding, with the fate of its entry.
    fn print_json(&self) -> io::Result<()> {
        let mut out = BufWriter::new(io::stdout().lock());
        for finding in &self.findings {
            json::print(&mut out, &FindingLine::from(finding))?;
        }
        out.flush()
    }

    /// A line for each finding with its remedy, and the sum.
    fn print(&self, session: &Session, options: &VerifyOptions) -> io::Result<()> {
        if session.global.quiet {
            return Ok(());
        }
        let mut out = BufWriter::new(io::stdout().lock());
        let is_shown =
            |finding: &&EntryFinding| options.notices || finding.what.severity() != EntrySeverity::Notice;
        for finding in self.findings.iter().filter(is_shown) {
            let tone = match finding.what.severity() {
                EntrySeverity::Fault => Tone::Heading,
                EntrySeverity::Warning => Tone::Gone,
                EntrySeverity::Notice => Tone::Quiet,
            };
            let name = format!("{:<INDENT$}", finding.what.name());
            out.write_all(&session.style().paint(name.as_bytes(), tone))?;
            out.write_all(&path::shown(&finding.path, &session.terminal))?;
            let text = path::escaped(&finding.what.to_string());
            // --fix removes every fault: no command has to be typed for it.
            let is_fixed = options.fix && finding.what.severity() == EntrySeverity::Fault;
            let remedy = (!is_fixed).then(|| finding.what.remedy());
            write_text(&text, remedy, session.terminal.columns(), &mut out)?;
        }
        session.style().write_line(&mut out, &self.sum(options), Tone::Total)?;
        out.flush()
    }

    fn sum(&self, options: &VerifyOptions) -> String {
        let notices = self.count(EntrySeverity::Notice);
        let mut sum = format!(
            "{} examined: {}, {}, {}",
            human::counted(self.entries, "entry"),
            human::counted(self.count(EntrySeverity::Fault), "fault"),
            human::counted(self.count(EntrySeverity::Warning), "warning"),
            human::counted(notices, "notice"),
        );
        if let Some(proved) = self.proved {
            sum += &format!("; {} confirmed by recompiling", human::count(proved));
        }
        if self.not_checked > 0 {
            sum += &format!("; {} not checked", human::count(self.not_checked));
        }
        if notices > 0 && !options.notices {
            sum += " (--notices shows them)";
        }
        sum
    }
}

/// Writes the finding and its remedy after the path: on the same line, or on a terminal below it, wrapped.
fn write_text(
    text: &str,
    remedy: Option<&str>,
    columns: Option<usize>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let Some(columns) = columns else {
        let remedy = remedy.map_or(String::new(), |remedy| format!("; {remedy}"));
        return writeln!(out, ": {text}{remedy}");
    };
    out.write_all(b"\n")?;
    let indent = if columns < NARROW { 2 } else { INDENT };
    let room = columns.saturating_sub(indent).max(1);
    for text in [Some(text.to_string()), remedy.map(|remedy| format!("hint: {remedy}"))].iter().flatten() {
        for line in wrapped(text, room, room) {
            writeln!(out, "{:indent$}{line}", "")?;
        }
    }
    Ok(())
}

/// One line of `verify --json`.
#[derive(Debug, Serialize)]
struct FindingLine<'a> {
    schema: u32,
    #[serde(flatten)]
    path: PathField<'a>,
    finding: &'static str,
    severity: &'static str,
    detail: String,
    remedy: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<u64>,
    removed: bool,
}

impl<'a> From<&'a EntryFinding> for FindingLine<'a> {
    fn from(finding: &'a EntryFinding) -> FindingLine<'a> {
        FindingLine {
            schema: SCHEMA,
            path: PathField::new("path", &finding.path),
            finding: finding.what.name(),
            severity: finding.what.severity().name(),
            detail: finding.what.to_string(),
            remedy: finding.what.remedy(),
            entries: match finding.what {
                What::ManyChanged(entries) | What::NotChecked { entries, .. } => Some(entries),
                _ => None,
            },
            // Only entries with a fault are removed, and Python may have written the entry again.
            removed: finding.entry.is_some() && finding.path.symlink_metadata().is_err(),
        }
    }
}
