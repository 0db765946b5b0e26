//! The page that `report --html` writes: one file that needs nothing else, neither a network nor a script.
//!
//! The page, its style and its script are files of their own in `report/`; here they are put together and filled with
//! what a store holds. The script only sorts and filters what is there.
//!
//! # Invariants
//!
//! * Names of files are text: of what they hold nothing reaches the page but through [`text`] or [`json::embedded`].
//!   No markup, no end of a script, no character that reorders a line.
//! * The Content Security Policy admits the page's own style and script by their hashes, and nothing else.

use super::json;
use super::path;
use super::tags::{self, Names};
use super::usage::UsageDocument;
use crate::cli::output::treemap::{self, Rectangle};
use pycstore::source::owner::Life;
use pycstore::units::Moment;
use pycstore::units::Tally;
use pycstore::units::{date, human};
use pycstore::verdict::status::{self, Status};
use pycstore::verdict::usage::{Row, Usage};
use serde::Serialize;
use std::fmt::Write;
use std::io;
use std::path::Path;

const PAGE: &str = include_str!("report/page.html");
const STYLE: &str = include_str!("report/style.css");
const SCRIPT: &str = include_str!("report/script.js");

/// What the Content Security Policy admits; a test compares them with the page's style and script.
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
}

/// What the page has within it: `du --json`, when and by what it was made, and what it could not read.
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

/// A treemap's shape: percentages of it are what the page has, its pixels only tell what has room in it. They are the
/// fewest that it is shown with, so that no label is cut.
struct Shape {
    class: &'static str,
    width: f64,
    height: f64,
}

const SHAPES: [Shape; 3] = [
    Shape { class: "wide", width: 1200.0, height: 480.0 },
    Shape { class: "middle", width: 608.0, height: 480.0 },
    Shape { class: "tall", width: 360.0, height: 448.0 },
];

/// Below so many square pixels an owner has no tile of its own.
const SMALLEST_TILE: f64 = 40.0;

/// The pixels that a letter of a label takes, in the widest of the usual fonts (DejaVu Sans Bold) on the average.
const LETTER: f64 = 8.4;

/// The whole page.
///
/// # Errors
/// Where the data cannot be JSON.
pub fn page(report: Report<'_>) -> io::Result<String> {
    let Report { store, usage, home, now } = report;
    let data = json::embedded(&ReportDocument::new(store, usage, now))?;
    let part = |name: &str| match name {
        "STYLE" => STYLE.into(),
        "SCRIPT" => SCRIPT.into(),
        "STYLE_HASH" => STYLE_HASH.into(),
        "SCRIPT_HASH" => SCRIPT_HASH.into(),
        "VERSION" => env!("CARGO_PKG_VERSION").into(),
        "STORE" => text(&path::at_home(store, home)),
        "MOMENT" => date::rfc3339(now),
        "DATE" => text(&date::local(now)),
        "TROUBLES" => troubles(usage),
        "TOTALS" => totals(usage),
        "ADVICE" => advice(usage),
        "MAPS" => SHAPES.iter().map(|shape| map(report, shape)).collect(),
        "LEGEND" => legend(usage),
        "ROWS" => rows(report),
        "FOOT" => foot(usage),
        "DATA" => data.clone(),
        name => unreachable!("report/page.html names {name}"),
    };
    Ok(filled(PAGE, part))
}

/// Text as HTML shows it, in an element or a quoted attribute: nothing in it is markup, and control and bidirectional
/// characters are spelled out.
pub fn text(raw: &str) -> String {
    let mut safe = String::with_capacity(raw.len());
    for character in pycstore::quoting::escaped(raw).chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// The template with a part for each `{{NAME}}`. What a part holds is not looked at again.
fn filled(template: &str, part: impl Fn(&str) -> String) -> String {
    let mut whole = String::with_capacity(template.len() + STYLE.len() + SCRIPT.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        whole.push_str(before);
        let Some((name, after)) = after.split_once("}}") else { break };
        whole.push_str(&part(name));
        rest = after;
    }
    whole + rest
}

/// A size for people with the exact one for programs.
fn size(bytes: u64) -> String {
    format!(r#"<data value="{bytes}">{}</data>"#, human::size(bytes))
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

fn percentage(share: f64) -> String {
    if share > 0.0 && share < 0.1 { "&lt; 0.1 %".into() } else { format!("{share:.1} %") }
}

fn troubles(usage: &Usage) -> String {
    const SHOWN: usize = 50;
    if usage.troubles.is_empty() {
        return String::new();
    }
    let items: String = usage
        .troubles
        .iter()
        .take(SHOWN)
        .map(|trouble| format!("<li>{}</li>", text(&trouble.to_string())))
        .collect();
    let more = match usage.troubles.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!("<li>and {} more</li>", human::count(more as u64)),
    };
    format!(
        r#"<section class="troubles" aria-label="Not looked at">Not counted here:<ul>{items}{more}</ul></section>"#
    )
}

fn totals(usage: &Usage) -> String {
    let of_all = percentage(share(usage.reclaimable.disk, usage.disk()));
    let reclaimable = human::counted(usage.reclaimable.files, "file");
    let number = |number: u64| format!(r#"<data value="{number}">{}</data>"#, human::count(number));
    let directories = format!("take {}", human::size(usage.directories.disk));
    let cards = [
        ("total-disk", "Room on disk", size(usage.disk()), "directories included".to_string()),
        ("total-bytes", "Length of the files", size(usage.total.bytes), String::new()),
        ("total-files", "Files", number(usage.total.files), String::new()),
        ("total-directories", "Directories", number(usage.directories.files), directories),
        ("total-owners", "Owners", number(usage.owners.len() as u64), String::new()),
        (
            "total-reclaimable",
            "Reclaimable",
            size(usage.reclaimable.disk),
            format!("{reclaimable}, {of_all}"),
        ),
    ];
    let card = |(id, name, value, note): (&str, &str, String, String)| {
        let note = if note.is_empty() { note } else { format!("<small>{note}</small>") };
        format!("<div><dt>{name}</dt><dd id=\"{id}\">{value}{note}</dd></div>\n")
    };
    cards.into_iter().map(card).collect()
}

fn advice(usage: &Usage) -> String {
    if usage.reclaimable.is_empty() {
        return String::new();
    }
    format!(
        r#"<p class="advice">{} in {} can go: <code>pycstore prune --orphans --stale --corrupt --temporary</code></p>"#,
        human::size(usage.reclaimable.disk),
        human::counted(usage.reclaimable.files, "file")
    )
}

fn legend(usage: &Usage) -> String {
    let mut items = String::new();
    for ((name, meaning), tally) in status::NAMES.into_iter().zip(MEANINGS).zip(usage.statuses) {
        let class = if tally.is_empty() { r#" class="none""# } else { "" };
        let _ = writeln!(
            items,
            r#"<li{class} id="status-{name}"><svg aria-hidden="true"><rect class="part {name}" width="100%" height="100%"/></svg><span>{name}<small>{meaning}</small></span><span class="sum">{}<small>{}</small></span></li>"#,
            size(tally.disk),
            human::counted(tally.files, "file"),
        );
    }
    items
}

/// One treemap. Its edges are percentages, so that it has any size and no inline style.
fn map(report: Report<'_>, shape: &Shape) -> String {
    let Report { usage, home, .. } = report;
    let label = format!(
        "Treemap of {} by room on disk, coloured by status. The table below has the same figures.",
        human::counted(usage.owners.len() as u64, "owner")
    );
    let mut svg = format!(r#"<svg class="treemap {}" role="img" aria-label="{label}">{}"#, shape.class, '\n');
    let unit = shape.width * shape.height / usage.total.disk.max(1) as f64;
    let count = usage.owners.partition_point(|row| row.tally.disk as f64 * unit >= SMALLEST_TILE);
    let (own, rest) = usage.owners.split_at(count);
    let mut sizes: Vec<u64> = own.iter().map(|row| row.tally.disk).collect();
    let rest_disk: u64 = rest.iter().map(|row| row.tally.disk).sum();
    sizes.push(rest_disk);
    let frame = Rectangle { x: 0.0, y: 0.0, width: shape.width, height: shape.height };
    let rectangles = treemap::squarify(&sizes, frame);
    for (index, (row, rectangle)) in own.iter().zip(&rectangles).enumerate() {
        let name = name(row, home);
        let mut details = format!(
            "{}{} — {}, {}",
            name,
            if row.owner.life == Life::Gone { " (gone)" } else { "" },
            human::size(row.tally.disk),
            human::counted(row.tally.files, "file")
        );
        for (status, tally) in present(row) {
            let _ = write!(details, "; {status} {}", human::size(tally.disk));
        }
        let _ = write!(
            svg,
            r##"<a class="tile" href="#owner-{index}" tabindex="-1" data-owner="{index}"><title>{}</title>"##,
            text(&details)
        );
        for (status, part) in parts(row, *rectangle) {
            rect(&mut svg, &format!("part {status}"), part, shape);
        }
        rect(&mut svg, "edge", *rectangle, shape);
        caption(&mut svg, &name, row.tally.disk, *rectangle, shape);
        svg.push_str("</a>\n");
    }
    if rest_disk > 0
        && let Some(rectangle) = rectangles.last()
    {
        let name = human::counted(rest.len() as u64, "smaller owner");
        let _ = write!(svg, r#"<g class="tile rest"><title>{name} — {}</title>"#, human::size(rest_disk));
        rect(&mut svg, "part", *rectangle, shape);
        rect(&mut svg, "edge", *rectangle, shape);
        caption(&mut svg, &name, rest_disk, *rectangle, shape);
        svg.push_str("</g>\n");
    }
    svg + "</svg>\n"
}

/// What an owner is called. What is foreign in the store's root, mostly the tag that `setup` puts there, belongs to no
/// directory `/`.
fn name(row: &Row, home: Option<&Path>) -> String {
    let is_foreign = present(row).all(|(status, _)| status == Status::Foreign.name());
    if is_foreign && row.owner.root == Path::new("/") {
        return "in the store itself".into();
    }
    path::at_home(&row.owner.root, home)
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

fn rect(svg: &mut String, class: &str, rectangle: Rectangle, shape: &Shape) {
    let _ = write!(svg, r#"<rect class="{class}" {}/>"#, place(rectangle, shape));
}

/// A rectangle's place in its map.
fn place(rectangle: Rectangle, shape: &Shape) -> String {
    let across = |length: f64| length * 100.0 / shape.width;
    let down = |length: f64| length * 100.0 / shape.height;
    format!(
        r#"x="{:.3}%" y="{:.3}%" width="{:.3}%" height="{:.3}%""#,
        across(rectangle.x),
        down(rectangle.y),
        across(rectangle.width),
        down(rectangle.height)
    )
}

/// A name, and a size below it, as far as there is room.
fn caption(svg: &mut String, name: &str, disk: u64, rectangle: Rectangle, shape: &Shape) {
    let columns = ((rectangle.width - 12.0) / LETTER).max(0.0) as usize;
    if rectangle.height < 22.0 {
        return;
    }
    let Some(shown) = label(&pycstore::quoting::escaped(name), columns) else { return };
    // The inner drawing ends at the tile's edge, and so does the text.
    let _ = write!(svg, r#"<svg {}><text x="6" y="18">{}</text>"#, place(rectangle, shape), text(&shown));
    let size = human::size(disk);
    if rectangle.height >= 40.0 && size.len() <= columns {
        let _ = write!(svg, r#"<text class="detail" x="6" y="35">{size}</text>"#);
    }
    svg.push_str("</svg>");
}

/// The name in so many columns: whole, or as many of its last components as fit. `None` where too little would be left.
fn label(name: &str, columns: usize) -> Option<String> {
    const LEAST: usize = 8;
    let fits = |text: &String| path::width(text) <= columns;
    let (parents, last) = name.rsplit_once('/').unwrap_or(("", name));
    let ends = parents.match_indices('/').map(|(at, _)| format!("…{}", &name[at..]));
    let found = std::iter::once(name.to_string()).chain(ends).chain([last.to_string()]).find(fits);
    found.or_else(|| (columns >= LEAST).then(|| path::fitted(last, columns)))
}

fn rows(report: Report<'_>) -> String {
    let usage = report.usage;
    let largest = usage.owners.first().map_or(0, |row| row.tally.disk);
    let mut rows = String::new();
    for (index, row) in usage.owners.iter().enumerate() {
        let is_gone = row.owner.life == Life::Gone;
        let used = match row.last_used {
            Some(moment) => format!(
                r#"<time datetime="{}" title="{}">{}</time>"#,
                date::rfc3339(moment),
                text(&date::local(moment)),
                date::ago(moment, report.now)
            ),
            None => "-".into(),
        };
        let reclaimable = if row.reclaimable.is_empty() { "-".into() } else { size(row.reclaimable.disk) };
        let _ = writeln!(
            rows,
            r#"<tr id="owner-{index}"{}><th scope="row"><bdi>{}</bdi></th><td class="number">{}</td><td class="share">{}{}</td><td class="number">{}</td><td class="number">{reclaimable}</td><td class="wrapping">{}</td><td>{}{}</td><td class="wrapping">{}</td><td>{used}</td></tr>"#,
            if is_gone { r#" class="gone""# } else { "" },
            text(&name(row, report.home)),
            size(row.tally.disk),
            bar(row, largest),
            percentage(share(row.tally.disk, usage.disk())),
            human::count(row.tally.files),
            statuses(row),
            row.owner.kind.name(),
            if is_gone { ", gone" } else { "" },
            text(&tags::shown(row.tags.iter().map(String::as_str), Names::Once)),
        );
    }
    rows
}

/// A bar as long as the owner is large beside the largest, coloured by status; the columns beside it say the same.
fn bar(row: &Row, largest: u64) -> String {
    let whole = Rectangle { x: 0.0, y: 0.0, width: share(row.tally.disk, largest), height: 1.0 };
    let track = r#"<rect class="track" width="100%" height="100%"/>"#;
    // Cut from left to right, however short the bar is.
    let mut bar = format!(r#"<svg aria-hidden="true">{track}"#);
    let mut x = 0.0;
    for (status, tally) in present(row) {
        let width = whole.width * share(tally.disk, row.tally.disk) / 100.0;
        let _ = write!(bar, r#"<rect class="part {status}" x="{x:.2}%" width="{width:.2}%" height="100%"/>"#);
        x += width;
    }
    bar + "</svg>"
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

fn foot(usage: &Usage) -> String {
    let directories = usage.directories;
    let line = |class: &str, name: &str, disk: u64, files: &str, reclaimable: &str| {
        format!(
            r#"<tr class="{class}"><th scope="row">{name}</th><td class="number">{}</td><td>{}</td><td class="number">{files}</td><td class="number">{reclaimable}</td><td></td><td></td><td></td><td></td></tr>{}"#,
            size(disk),
            percentage(share(disk, usage.disk())),
            '\n'
        )
    };
    let name = human::counted(directories.files, "directory");
    let reclaimable = if usage.reclaimable.is_empty() { "-".into() } else { size(usage.reclaimable.disk) };
    line("directories", &name, directories.disk, "", "")
        + &line("total", "total", usage.disk(), &human::count(usage.total.files), &reclaimable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_is_markup() {
        assert_eq!(
            text("</script><img src=x onerror='a(\"&\")'>"),
            "&lt;/script&gt;&lt;img src=x onerror=&#39;a(&quot;&amp;&quot;)&#39;&gt;"
        );
        assert_eq!(text("a\u{202e}b\u{7}\u{2028}\u{feff}"), "a\\u{202e}b\\x07\\u{2028}\\u{feff}");
    }

    #[test]
    fn a_part_is_not_looked_at_again() {
        let part = |name: &str| if name == "A" { "{{B}}".to_string() } else { format!("({name})") };
        assert_eq!(filled("1{{A}}2{{B}}3", part), "1{{B}}2(B)3");
    }

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
        assert_eq!(percentage(share(1, 100_000)), "&lt; 0.1 %");
    }
}
