//! The disk usage of a store as documents: the JSON of `du --json`, and the HTML page of `report --html`.
//!
//! The page is one file that needs no network and no script: the script only sorts and filters its table. `map` draws the
//! treemaps that `treemap` lays out, `owners` is the table, `usage` the JSON. Home of maud, which escapes all text.
//!
//! # Invariants
//!
//! * Names of files are text: maud escapes markup in them, and [`escaped`] characters that would reorder a line. In the
//!   embedded data, [`json::embedded`] escapes both.
//! * The Content Security Policy admits the page's own style and script by their hashes, and nothing else.

mod map;
mod owners;
mod treemap;
mod usage;

pub use usage::UsageDocument;

use crate::json;
use crate::quoting::{at_home, escaped};
use crate::units::{Moment, Tally, date, human};
use crate::verdict::usage::Usage;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Serialize;
use std::io;
use std::path::Path;

/// The patterns that mark statuses besides their colours.
const PATTERNS: &str = include_str!("patterns.svg");
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The hashes in the Content Security Policy; a test compares them with the page's style and script.
const STYLE_HASH: &str = "sha256-5ZNwFFEjJ05r6haqauSbKRm8qPXwBPXIjm5/QOsNeks=";
const SCRIPT_HASH: &str = "sha256-3fR1yjk5XYPmT/0xRqWUjPwa2FxPaeRALYQdLMVT3FY=";

/// What the page shows.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// The store.
    pub store: &'a Path,
    /// What it holds.
    pub usage: &'a Usage,
    /// The home directory, shown as `~`.
    pub home: Option<&'a Path>,
    /// When that was.
    pub now: Moment,
    /// The command that removes what is reclaimable.
    pub prune_command: &'a str,
}

/// The data in the page: `du --json`, the time, the program, and what could not be read.
#[derive(Debug, Serialize)]
struct ReportDocument<'a> {
    #[serde(flatten)]
    usage: UsageDocument<'a>,
    generated: String,
    program: &'static str,
    troubles: Vec<String>,
}

impl<'a> ReportDocument<'a> {
    fn new(store: &'a Path, usage: &'a Usage, now: Moment) -> ReportDocument<'a> {
        ReportDocument {
            usage: UsageDocument::new(store, usage),
            generated: date::rfc3339(now),
            program: concat!("pycstore ", env!("CARGO_PKG_VERSION")),
            troubles: usage.troubles.iter().map(ToString::to_string).collect(),
        }
    }
}

/// The whole page.
///
/// # Errors
/// Where the data cannot be JSON.
pub fn page(report: Report<'_>) -> io::Result<String> {
    let Report { store, usage, home, now, prune_command } = report;
    let data = json::embedded(&ReportDocument::new(store, usage, now))?;
    let policy = format!(
        "default-src 'none'; script-src '{SCRIPT_HASH}'; style-src '{STYLE_HASH}'; base-uri 'none'; form-action 'none'"
    );
    let store = escaped(&at_home(store, home));
    let version = env!("CARGO_PKG_VERSION");
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content={ "pycstore " (version) };
                title { "Bytecode in " (store) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (PreEscaped(PATTERNS))
                header {
                    h1 { "Bytecode in " bdi { (store) } }
                    p {
                        "As of " time datetime=(date::rfc3339(now)) { (date::local(now)) }
                        ", by pycstore " (version)
                    }
                }
                main {
                    (troubles(usage))
                    (totals(usage, prune_command))
                    (map::maps(report))
                    (owners::table(report))
                }
                script type="application/json" id="data" { (PreEscaped(data)) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    Ok(page.into_string())
}

/// A size for people with the exact one for programs.
fn size(bytes: u64) -> Markup {
    html! { data value=(bytes) { (human::size(bytes)) } }
}

/// A size, or a dash where there is nothing.
fn size_or_dash(tally: Tally) -> Markup {
    if tally.is_empty() {
        html! { "-" }
    } else {
        size(tally.disk)
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

fn percentage(share: f64) -> String {
    if share > 0.0 && share < 0.1 { "< 0.1 %".into() } else { format!("{share:.1} %") }
}

fn troubles(usage: &Usage) -> Markup {
    const SHOWN: usize = 50;
    let more = usage.troubles.len().saturating_sub(SHOWN);
    html! {
        @if !usage.troubles.is_empty() {
            section.troubles aria-label="Not counted" {
                "Could not be read and is not counted:"
                ul {
                    @for trouble in usage.troubles.iter().take(SHOWN) {
                        li { (escaped(&trouble.to_string())) }
                    }
                    @if more > 0 {
                        li { "and " (human::count(more as u64)) " more" }
                    }
                }
            }
        }
    }
}

fn totals(usage: &Usage, prune_command: &str) -> Markup {
    let number = |number: u64| html! { data value=(number) { (human::count(number)) } };
    let of_all = percentage(share(usage.reclaimable.disk, usage.disk()));
    let reclaimable = format!("{}, {of_all}", human::counted(usage.reclaimable.files, "file"));
    let directories = format!("{} of disk usage", human::size(usage.directories.disk));
    let cards = [
        ("total-disk", "Disk usage", size(usage.disk()), "directories included"),
        ("total-bytes", "Apparent size", size(usage.total.bytes), ""),
        ("total-files", "Files", number(usage.total.files), ""),
        ("total-directories", "Directories", number(usage.directories.files), &directories),
        ("total-owners", "Owners", number(usage.owners.len() as u64), ""),
        ("total-reclaimable", "Reclaimable", size(usage.reclaimable.disk), &reclaimable),
    ];
    html! {
        section aria-labelledby="totals-heading" {
            h2.unseen id="totals-heading" { "Totals" }
            dl.totals {
                @for (id, name, value, note) in cards {
                    div {
                        dt { (name) }
                        dd id=(id) { (value) @if !note.is_empty() { small { (note) } } }
                    }
                }
            }
            @if !usage.reclaimable.is_empty() {
                p.advice {
                    (human::size(usage.reclaimable.disk)) " in "
                    (human::counted(usage.reclaimable.files, "file")) " can be removed: "
                    code { (escaped(prune_command)) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_and_the_script_end_where_the_page_ends_them() {
        assert!(!STYLE.contains("</") && !SCRIPT.contains("</") && !SCRIPT.contains("<!--"));
    }

    #[test]
    fn shares_are_rounded_but_never_to_nothing() {
        assert_eq!(percentage(share(1, 0)), "0.0 %");
        assert_eq!(percentage(share(1, 3)), "33.3 %");
        assert_eq!(percentage(share(1, 100_000)), "< 0.1 %");
    }
}
