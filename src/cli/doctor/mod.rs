//! `pycstore doctor`: what is wrong with the store and around it, and what to do.
//!
//! * `facts`: all that is judged, gathered in one place. What the disk tells comes from the library; what has to be
//!   asked, from `shells`, `systemd`, `cron` and `interpreters`, each by a `question` that has so long to be answered.
//! * `variable`, `exposure`, `diagnosis`: pure, from facts to findings.
//! * `show`: the findings, for people and machines.
//!
//! # Invariants
//!
//! * Nothing is changed, and nothing is run that is not the user's own or root's.
//! * Only errors and warnings count for the exit code: a note says what is worth knowing.

pub(super) mod cron;
mod diagnosis;
mod exposure;
mod facts;
mod finding;
mod interpreters;
mod place;
mod question;
mod shells;
mod show;
mod systemd;
mod variable;

pub use finding::Finding;

use super::args::{DoctorOptions, Global};
use super::output::complain;
use super::session::Session;
use finding::{Kind, Severity};
use pycstore::environment::Environment;
use pycstore::exit::Exit;
use std::io::{self, BufWriter, Write};

/// Runs `pycstore doctor`. A configuration that cannot be understood is one of the findings.
pub fn run(global: Global, environment: Environment, options: &DoctorOptions) -> anyhow::Result<Exit> {
    let (session, misconfigured) = match Session::configured(global.clone(), environment.clone()) {
        Ok(session) => (session, None),
        Err(error) => (Session::new(global, environment), Some(complain::told(&error))),
    };
    let facts = facts::gather(&session, options)?;
    let mut findings = diagnosis::diagnose(&facts);
    findings.extend(misconfigured.map(|(message, hint)| {
        let hint = hint.unwrap_or_else(|| "pycstore config".into());
        Finding::new(Severity::Error, Kind::Configuration, message, hint)
    }));
    finding::sort(&mut findings);
    let mut out = BufWriter::new(io::stdout().lock());
    show::print(&session, &findings, &facts, options.json, &mut out)?;
    out.flush()?;
    Ok(Exit::complete_if(findings.iter().all(|finding| finding.severity == Severity::Note)))
}
