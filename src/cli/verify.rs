//! `pycstore verify`: what headers cannot tell; and `--fix`, which goes through `prune`.

use super::args::{RunOptions, VerifyOptions};
use super::consent::Yes;
use super::du::report;
use super::exit::Exit;
use super::interpreters;
use super::output::json::{self, FindingLine};
use super::output::style::Tone;
use super::output::{complain, human, path};
use super::paths;
use super::prune::carry_out;
use super::selection::Selection;
use super::session::{Opened, Session};
use pycstore::scan::{Question, Scan};
use pycstore::status::UncheckedHashes;
use pycstore::store::Purpose;
use pycstore::verify::recompile::{Doubt, Proof, recompile};
use pycstore::verify::{Finding, Inspection, Inspector, Severity, What};
use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};

/// Runs `pycstore verify`.
pub fn run(session: &Session, options: &VerifyOptions) -> anyhow::Result<Exit> {
    let opened = session.open(Purpose::Look)?;
    let named = paths::named(session, &opened, &options.paths);
    let is_said = named.say_missing(session);
    let paths = named.all;
    opened.stop.on_signals()?;
    let inspection =
        Inspection { store: &opened.store, within: &paths, epoch: session.environment.source_date_epoch };
    let parts = {
        let mut progress = session.progress("verifying");
        let question = Question::Everything(UncheckedHashes::Trust);
        let scan = Scan { within: &paths, ..opened.scan(question) };
        scan.run(|| Inspector::new(inspection), |entries| progress.update(entries))
    };
    let mut all = Inspector::collect(parts, inspection);
    let proof = options.recompile.then(|| prove(session, &opened, &all));
    if let Some(proof) = &proof {
        all.findings.extend(proof.findings.iter().cloned());
        all.findings.sort_by(|one, other| one.path.cmp(&other.path));
    }
    // What is to be fixed is fixed, whoever reads of it.
    let is_written = complain::is_written(show(session, options, &all, proof.as_ref()));
    if all.entries == 0 && !options.paths.is_empty() && !is_said && !session.global.quiet {
        complain::note("no entry that Python would load is at or below these paths");
    }
    let is_read = report(&all.troubles) == Exit::Done;
    let is_proved = proof.as_ref().is_none_or(complain_of);
    let is_whole = opened.stop.cause().is_none();
    if !is_whole {
        complain::note("stopped before all entries were looked at");
    }
    let faults = |is_fixable: bool| {
        let is_fault = |finding: &&Finding| finding.what.severity() == Severity::Fault;
        let found = all.findings.iter().filter(is_fault);
        found.filter(|finding| matches!(finding.what, What::Body(_)) == is_fixable).count()
    };
    let (removable, others) = (faults(true), faults(false));
    let is_complete = is_written && is_read && is_proved && is_whole && others == 0;
    if !options.fix || removable == 0 || !is_whole {
        return Ok(Exit::complete_if(is_complete && removable == 0));
    }
    let run = RunOptions { json: options.json, ..RunOptions::default() };
    let fixed = carry_out(session, &Selection::of_verify(session, &options.paths), &run, Yes::Said)?;
    Ok(if is_complete { fixed } else { Exit::Incomplete })
}

fn prove(session: &Session, opened: &Opened, all: &Inspector<'_>) -> Proof {
    let interpreters = interpreters::of_store(session, opened);
    let mut progress = session.progress("compiling");
    let update = |entries| progress.update(entries);
    let (candidates, threads) = (&all.candidates, opened.threads());
    recompile(&opened.store, candidates, &interpreters, threads, opened.stop.flag(), update)
}

/// Says what could not be proved; whether all was.
fn complain_of(proof: &Proof) -> bool {
    let mut without: BTreeMap<&str, u64> = BTreeMap::new();
    let mut not_run: BTreeMap<String, u64> = BTreeMap::new();
    for unproved in &proof.unproved {
        match &unproved.why {
            Doubt::NoInterpreter(tag) => *without.entry(tag).or_default() += 1,
            why @ Doubt::NotRun { .. } => *not_run.entry(why.to_string()).or_default() += 1,
            Doubt::Source | Doubt::Entry | Doubt::NoAnswer(_) => complain::problem(unproved),
        }
    }
    for (tag, entries) in without {
        complain::note(&format!(
            "no interpreter found that loads {} of {tag}: not proved",
            human::counted(entries, "entry")
        ));
    }
    for (why, entries) in not_run {
        complain::note(&format!("{} not proved: {why}", human::counted(entries, "entry")));
    }
    proof.unproved.is_empty()
}

/// Data, on standard output.
fn show(
    session: &Session,
    options: &VerifyOptions,
    all: &Inspector<'_>,
    proof: Option<&Proof>,
) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    if options.json {
        for finding in &all.findings {
            json::print(&mut out, &FindingLine::from(finding))?;
        }
        return out.flush();
    }
    if session.global.quiet {
        return Ok(());
    }
    let mut notices = 0;
    for finding in &all.findings {
        let severity = finding.what.severity();
        if severity == Severity::Notice {
            notices += 1;
            if !options.notices {
                continue;
            }
        }
        let tone = match severity {
            Severity::Fault => Tone::Heading,
            Severity::Warning => Tone::Gone,
            Severity::Notice => Tone::Quiet,
        };
        let mut line = session.style().paint(format!("{:<8} ", finding.what.name()).as_bytes(), tone);
        line.extend(path::shown(&finding.path, &session.terminal));
        line.extend(format!(": {}", path::escaped(&finding.what.to_string())).as_bytes());
        line.push(b'\n');
        out.write_all(&line)?;
    }
    let count = |severity| all.findings.iter().filter(|it| it.what.severity() == severity).count() as u64;
    let mut sum = format!(
        "{} looked at: {}, {}, {}",
        human::counted(all.entries, "entry"),
        human::counted(count(Severity::Fault), "fault"),
        human::counted(count(Severity::Warning), "warning"),
        human::counted(notices, "notice"),
    );
    if let Some(proof) = proof {
        sum += &format!("; {} proved", human::count(proof.proved));
    }
    if notices > 0 && !options.notices {
        sum += " (--notices shows them)";
    }
    out.write_all(&session.style().paint(sum.as_bytes(), Tone::Total))?;
    out.write_all(b"\n")?;
    out.flush()
}
