//! The page that `report --html` writes: one file that needs nothing else, neither a network nor a script.
//!
//! The style and the script are in `report/`; the script only sorts and filters what is there. Home of maud, which escapes
//! all text.
//!
//! # Invariants
//!
//! * Names of files are text: maud escapes markup in them, and [`escaped`] characters that would reorder a line. In the
//!   embedded data, [`json::embedded`] escapes both.
//! * The Content Security Policy admits the page's own style and script by their hashes, and nothing else.

use super::json;
use super::path;
use super::tags::{self, TagNames};
use super::usage::UsageDocument;
use crate::cli::output::treemap::{self, Rectangle};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use pycstore::quoting::escaped;
use pycstore::source::owner::Life;
use pycstore::units::Moment;
use pycstore::units::Tally;
use pycstore::units::{date, human};
use pycstore::verdict::status::{self, Status};
use pycstore::verdict::usage::{Row, Usage};
use serde::Serialize;
use std::io;
use std::path::Path;

/// The patterns that mark statuses besides their colours.
const PATTERNS: &str = include_str!("report/patterns.svg");
const STYLE: &str = include_str!("report/style.css");
const SCRIPT: &str = include_str!("report/script.js");

/// The hashes in the Content Security Policy; a test compares them with the page's style and script.
const STYLE_HASH: &str = "sha256-Vess5RnF1FlZsK3WyBwQIeQb7w0gF3PT3G7xBEBXlZk=";
const SCRIPT_HASH: &str = "sha256-8Jqn9T5shejD0UZP/V9K6WJeyrPVjgecgjDFqJ3Fa3o=";

/// What each of [`status::NAMES`] means.
const MEANINGS: [&str; status::NAMES.len()] = [
    "its interpreter would load it as it is",
    "the source is there; Python would recompile",
    "the source was definitely deleted",
    "not loadable at all",
    "cannot be decided here",
    "left by an interrupted write, or a synchroniser's copy",
    "nothing that Python writes; kept",
];

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

/// The size of a treemap in pixels. The page uses percentages of it; the pixels only determine which labels fit. It is
/// the smallest size that is shown, so that no label is cut.
struct TreemapSize {
    class: &'static str,
    width: f64,
    height: f64,
}

const SHAPES: [TreemapSize; 3] = [
    TreemapSize { class: "wide", width: 1200.0, height: 480.0 },
    TreemapSize { class: "middle", width: 608.0, height: 480.0 },
    TreemapSize { class: "tall", width: 360.0, height: 448.0 },
];

/// Minimum area of an owner's tile, in square pixels.
const SMALLEST_TILE: f64 = 40.0;

/// The average width of a letter in pixels, in the widest usual font (DejaVu Sans Bold).
const LETTER: f64 = 8.4;

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
    let store = escaped(&path::at_home(store, home));
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
                    (maps(report))
                    (owners(report))
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
                "Not counted here:"
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
    let directories = format!("take {}", human::size(usage.directories.disk));
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

fn maps(report: Report<'_>) -> Markup {
    html! {
        section aria-labelledby="map-heading" {
            h2 id="map-heading" { "Owners by disk usage" }
            div.map { @for shape in &SHAPES { (map(report, shape)) } }
            ul.legend aria-label="Disk usage by status" { (legend(report.usage)) }
        }
    }
}

fn legend(usage: &Usage) -> Markup {
    html! {
        @for ((name, meaning), tally) in status::NAMES.into_iter().zip(MEANINGS).zip(usage.statuses) {
            li class=[tally.is_empty().then_some("none")] id={ "status-" (name) } {
                svg aria-hidden="true" { rect class={ "part " (name) } width="100%" height="100%" {} }
                span { (name) small { (meaning) } }
                span.sum { (size(tally.disk)) small { (human::counted(tally.files, "file")) } }
            }
        }
    }
}

/// One treemap. Its edges are percentages, so that it has any size and no inline style.
fn map(report: Report<'_>, shape: &TreemapSize) -> Markup {
    let Report { usage, home, .. } = report;
    let label = format!(
        "Treemap of {} by disk usage, coloured by status. The table below has the same figures.",
        human::counted(usage.owners.len() as u64, "owner")
    );
    let unit = shape.width * shape.height / usage.total.disk.max(1) as f64;
    let count = usage.owners.partition_point(|row| row.tally.disk as f64 * unit >= SMALLEST_TILE);
    let (own, rest) = usage.owners.split_at(count);
    let mut sizes: Vec<u64> = own.iter().map(|row| row.tally.disk).collect();
    let rest_disk: u64 = rest.iter().map(|row| row.tally.disk).sum();
    sizes.push(rest_disk);
    let frame = Rectangle { x: 0.0, y: 0.0, width: shape.width, height: shape.height };
    let rectangles = treemap::squarify(&sizes, frame);
    let rest_name = human::counted(rest.len() as u64, "smaller owner");
    html! {
        svg class={ "treemap " (shape.class) } role="img" aria-label=(label) {
            @for (index, (row, rectangle)) in own.iter().zip(&rectangles).enumerate() {
                a.tile href={ "#owner-" (index) } tabindex="-1" data-owner=(index) {
                    title { (details(row, home)) }
                    @for (status, part) in parts(row, *rectangle) {
                        (rect(&format!("part {status}"), part, shape))
                    }
                    (rect("edge", *rectangle, shape))
                    (caption(&name(row, home), row.tally.disk, *rectangle, shape))
                }
            }
            @if let Some(rectangle) = rectangles.last().filter(|_| rest_disk > 0) {
                g class="tile rest" {
                    title { (rest_name) " — " (human::size(rest_disk)) }
                    (rect("part", *rectangle, shape))
                    (rect("edge", *rectangle, shape))
                    (caption(&rest_name, rest_disk, *rectangle, shape))
                }
            }
        }
    }
}

/// The text of a tile about its owner.
fn details(row: &Row, home: Option<&Path>) -> String {
    let gone = if row.owner.life == Life::Gone { " (gone)" } else { "" };
    let sum = format!("{}, {}", human::size(row.tally.disk), human::counted(row.tally.files, "file"));
    let by_status = present(row).map(|(status, tally)| format!("; {status} {}", human::size(tally.disk)));
    format!("{}{gone} — {sum}{}", name(row, home), by_status.collect::<String>())
}

/// The name of an owner. Foreign files in the store's root, usually the tag of `setup`, do not belong to the directory
/// `/`.
fn name(row: &Row, home: Option<&Path>) -> String {
    let is_foreign = present(row).all(|(status, _)| status == Status::Foreign.name());
    if is_foreign && row.owner.root == Path::new("/") {
        return "in the store itself".into();
    }
    escaped(&path::at_home(&row.owner.root, home))
}

/// The statuses that an owner has.
fn present(row: &Row) -> impl Iterator<Item = (&'static str, Tally)> {
    status::NAMES.into_iter().zip(row.statuses).filter(|(_, tally)| !tally.is_empty())
}

/// An owner's rectangle cut across its longer side, a piece for each status.
fn parts(row: &Row, whole: Rectangle) -> impl Iterator<Item = (&'static str, Rectangle)> {
    let total = row.tally.disk.max(1) as f64;
    let mut before = 0.0;
    present(row).filter(|(_, tally)| tally.disk > 0).map(move |(status, tally)| {
        let (start, length) = (before, tally.disk as f64 / total);
        before += length;
        let Rectangle { x, y, width, height } = whole;
        let part = if width > height {
            Rectangle { x: x + width * start, width: width * length, ..whole }
        } else {
            Rectangle { y: y + height * start, height: height * length, ..whole }
        };
        (status, part)
    })
}

fn rect(class: &str, rectangle: Rectangle, shape: &TreemapSize) -> Markup {
    let [x, y, width, height] = place(rectangle, shape);
    html! { rect class=(class) x=(x) y=(y) width=(width) height=(height) {} }
}

/// A rectangle's place in its map: x, y, width and height.
fn place(rectangle: Rectangle, shape: &TreemapSize) -> [String; 4] {
    let Rectangle { x, y, width, height } = rectangle;
    let part = |length: f64, whole: f64| format!("{:.3}%", length * 100.0 / whole);
    [part(x, shape.width), part(y, shape.height), part(width, shape.width), part(height, shape.height)]
}

/// A name, and a size below it, if there is space for them.
fn caption(name: &str, disk: u64, rectangle: Rectangle, shape: &TreemapSize) -> Markup {
    let columns = ((rectangle.width - 12.0) / LETTER).max(0.0) as usize;
    let shown = label(name, columns).filter(|_| rectangle.height >= 22.0);
    let size = Some(human::size(disk)).filter(|size| rectangle.height >= 40.0 && size.len() <= columns);
    let [x, y, width, height] = place(rectangle, shape);
    html! {
        @if let Some(shown) = shown {
            // The inner drawing ends at the tile's edge, and so does the text.
            svg x=(x) y=(y) width=(width) height=(height) {
                text x="6" y="18" { (shown) }
                @if let Some(size) = size { text.detail x="6" y="35" { (size) } }
            }
        }
    }
}

/// The name in at most this many columns: whole, or as many of its last components as fit. `None` if too little would
/// be left.
fn label(name: &str, columns: usize) -> Option<String> {
    const LEAST: usize = 8;
    let fits = |text: &String| path::width(text) <= columns;
    let (parents, last) = name.rsplit_once('/').unwrap_or(("", name));
    let ends = parents.match_indices('/').map(|(at, _)| format!("…{}", &name[at..]));
    let found = std::iter::once(name.to_string()).chain(ends).chain([last.to_string()]).find(fits);
    found.or_else(|| (columns >= LEAST).then(|| path::fitted(last, columns)))
}

fn owners(report: Report<'_>) -> Markup {
    const COLUMNS: [(&str, &str); 9] = [
        ("owner", "Owner"),
        ("size", "Size"),
        ("share", "Share"),
        ("files", "Files"),
        ("reclaimable", "Reclaimable"),
        ("status", "Status"),
        ("kind", "Kind"),
        ("tags", "Tags"),
        ("used", "Last used"),
    ];
    let is_number = |key: &str| ["size", "files", "reclaimable"].contains(&key);
    let largest = report.usage.owners.first().map_or(0, |row| row.tally.disk);
    html! {
        section aria-labelledby="owners-heading" {
            h2 id="owners-heading" { "Owners" }
            div.controls id="controls" hidden {
                label for="filter" { "Filter" }
                input id="filter" type="search" autocomplete="off" spellcheck="false"
                    placeholder="path, kind, status or tag" aria-describedby="shown";
                p id="shown" role="status" {}
            }
            div.scroller tabindex="0" role="region" aria-labelledby="owners-heading" {
                table id="owners" {
                    thead {
                        tr {
                            @for (key, heading) in COLUMNS {
                                th scope="col" data-key=(key) class=[is_number(key).then_some("number")]
                                    aria-sort=[(key == "size").then_some("descending")] { (heading) }
                            }
                        }
                    }
                    tbody {
                        @for (index, row) in report.usage.owners.iter().enumerate() {
                            (owner(report, index, row, largest))
                        }
                    }
                    tfoot { (foot(report.usage)) }
                }
            }
        }
    }
}

fn owner(report: Report<'_>, index: usize, row: &Row, largest: u64) -> Markup {
    let is_gone = row.owner.life == Life::Gone;
    let tags = tags::shown(row.tags.iter().map(String::as_str), TagNames::Once);
    html! {
        tr id={ "owner-" (index) } class=[is_gone.then_some("gone")] {
            th scope="row" { bdi { (name(row, report.home)) } }
            td.number { (size(row.tally.disk)) }
            td.share { (bar(row, largest)) (percentage(share(row.tally.disk, report.usage.disk()))) }
            td.number { (human::count(row.tally.files)) }
            td.number { (size_or_dash(row.reclaimable)) }
            td.wrapping { (statuses(row)) }
            td { (row.owner.kind.name()) @if is_gone { ", gone" } }
            td.wrapping { (escaped(&tags)) }
            td {
                @if let Some(moment) = row.last_used {
                    time datetime=(date::rfc3339(moment)) title=(date::local(moment)) {
                        (date::ago(moment, report.now))
                    }
                } @else {
                    "-"
                }
            }
        }
    }
}

/// A bar as long as the owner is large beside the largest, coloured by status; the columns beside it say the same.
fn bar(row: &Row, largest: u64) -> Markup {
    let whole = share(row.tally.disk, largest);
    let mut x = 0.0;
    let parts = present(row).map(|(status, tally)| {
        let (start, width) = (x, whole * share(tally.disk, row.tally.disk) / 100.0);
        x += width;
        (status, format!("{start:.2}%"), format!("{width:.2}%"))
    });
    html! {
        svg aria-hidden="true" {
            rect.track width="100%" height="100%" {}
            @for (status, x, width) in parts {
                rect class={ "part " (status) } x=(x) width=(width) height="100%" {}
            }
        }
    }
}

/// `fresh`, or `fresh, orphan 3 MiB`.
fn statuses(row: &Row) -> String {
    let part = |(status, tally): (&str, Tally)| match status {
        "fresh" => "fresh".to_string(),
        status if tally.disk == row.tally.disk => status.to_string(),
        status => format!("{status} {}", human::size(tally.disk)),
    };
    present(row).map(part).collect::<Vec<_>>().join(", ")
}

fn foot(usage: &Usage) -> Markup {
    let line = |class: &str, name: &str, disk: u64, files: &str, reclaimable: Markup| {
        html! {
            tr class=(class) {
                th scope="row" { (name) }
                td.number { (size(disk)) }
                td { (percentage(share(disk, usage.disk()))) }
                td.number { (files) }
                td.number { (reclaimable) }
                td {} td {} td {} td {}
            }
        }
    };
    let directories = human::counted(usage.directories.files, "directory");
    let files = human::count(usage.total.files);
    html! {
        (line("directories", &directories, usage.directories.disk, "", html! {}))
        (line("total", "total", usage.disk(), &files, size_or_dash(usage.reclaimable)))
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
    fn labels_lose_their_beginning() {
        let name = "/root/.pyenv/versions/3.11.7";
        assert_eq!(label(name, 28).unwrap(), name);
        assert_eq!(label(name, 27).unwrap(), "…/.pyenv/versions/3.11.7");
        assert_eq!(label(name, 17).unwrap(), "…/versions/3.11.7");
        assert_eq!(label(name, 16).unwrap(), "3.11.7");
        assert_eq!(label(name, 6).unwrap(), "3.11.7");
        assert_eq!(label(name, 5), None);
        assert_eq!(label("/home/me/a-long-name", 8).unwrap(), "a-…-name");
        assert_eq!(label("/home/me/東京東京東京", 11).unwrap(), "東…東京東京");
    }

    #[test]
    fn shares_are_rounded_but_never_to_nothing() {
        assert_eq!(percentage(share(1, 0)), "0.0 %");
        assert_eq!(percentage(share(1, 3)), "33.3 %");
        assert_eq!(percentage(share(1, 100_000)), "< 0.1 %");
    }
}
