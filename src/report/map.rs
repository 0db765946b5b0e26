//! The treemaps of the page: an owner's tile is as large as its disk usage, contains its packages where there is space,
//! and is divided by status.

use super::owners::{SHARED, name, of_statuses, present};
use super::treemap::{Rectangle, squarify};
use super::{Report, size};
use crate::paragraph::{fitted, width};
use crate::quoting::escaped;
use crate::source::owner::{Life, Owner};
use crate::units::{Tally, human};
use crate::verdict::share::Share;
use crate::verdict::status;
use crate::verdict::usage::{Row, Usage};
use crate::verdict::view::Key;
use maud::{Markup, html};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;

/// What each of [`status::NAMES`] means.
const MEANINGS: [&str; status::NAMES.len()] = [
    "Python would load it",
    "the source exists, but Python would recompile it",
    "the source was definitely deleted",
    "cannot be loaded",
    "cannot be decided here",
    "left by an interrupted write, or copied by a file synchroniser",
    "not written by Python; kept",
];

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

/// Minimum area of a package's tile, in square pixels.
const SMALLEST_PACKAGE: f64 = 400.0;

/// The height of an owner's caption above its packages, in pixels.
const CAPTION: f64 = 40.0;

/// The average width of a letter in pixels, in the widest usual font (DejaVu Sans Bold).
const LETTER: f64 = 8.4;

/// The treemaps, one for each shape of window, and their legend.
pub(super) fn maps(report: Report<'_>) -> Markup {
    let packages = packages(report.usage);
    html! {
        section aria-labelledby="map-heading" {
            h2 id="map-heading" { "Owners by disk usage" }
            div.map { @for shape in &SHAPES { (map(report, &packages, shape)) } }
            ul.legend aria-label="Disk usage by status" { (legend(report.usage)) }
        }
    }
}

/// The packages of each owner, the largest first: the name (none for files outside packages) and the files.
type PackageShares<'a> = BTreeMap<&'a Owner, Vec<(Option<&'a str>, &'a Share)>>;

fn packages(usage: &Usage) -> PackageShares<'_> {
    let mut packages = PackageShares::new();
    for group in &usage.groups {
        if let [Key::Owner(owner), Key::Package(package)] = group.keys.as_slice() {
            packages.entry(owner).or_default().push((package.as_deref(), &group.share));
        }
    }
    for packages in packages.values_mut() {
        packages.sort_by_key(|(_, share)| Reverse(share.tally.disk));
    }
    packages
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
fn map(report: Report<'_>, packages: &PackageShares<'_>, shape: &TreemapSize) -> Markup {
    let Report { usage, home, .. } = report;
    let label = format!(
        "Treemap of {} by disk usage, coloured by status. The table below has the same figures.",
        human::counted(usage.owners.len() as u64, "owner")
    );
    let unit = shape.width * shape.height / usage.total.disk.max(1) as f64;
    let mut owners: Vec<(usize, &Row)> = usage.owners.iter().enumerate().collect();
    owners.sort_by_key(|(_, row)| Reverse(row.share.tally.disk));
    let count = owners.partition_point(|(_, row)| row.share.tally.disk as f64 * unit >= SMALLEST_TILE);
    let (own, rest) = owners.split_at(count);
    let mut sizes: Vec<u64> = own.iter().map(|(_, row)| row.share.tally.disk).collect();
    let rest_disk: u64 = rest.iter().map(|(_, row)| row.share.tally.disk).sum();
    let shared_disk = usage.shared().tally().disk;
    sizes.extend([shared_disk, rest_disk]);
    let frame = Rectangle { x: 0.0, y: 0.0, width: shape.width, height: shape.height };
    let rectangles = squarify(&sizes, frame);
    let rest_name = human::counted(rest.len() as u64, "smaller owner");
    html! {
        svg class={ "treemap " (shape.class) } role="img" aria-label=(label) {
            @for ((index, row), rectangle) in own.iter().zip(&rectangles) {
                a.tile href={ "#owner-" (index) } tabindex="-1" data-owner=(index) {
                    title { (details(row, home)) }
                    (parts(row.share.statuses, *rectangle, shape))
                    @if let Some(packages) = packages.get(&row.owner) { (nested(packages, *rectangle, shape)) }
                    (rect("edge", *rectangle, shape))
                    (caption(&name(row, home), row.share.tally.disk, *rectangle, shape))
                }
            }
            @for ((name, disk), rectangle) in [(SHARED, shared_disk), (&*rest_name, rest_disk)].into_iter().zip(&rectangles[count..]) {
                @if disk > 0 {
                    g class="tile rest" {
                        title { (name) " — " (human::size(disk)) }
                        (rect("part", *rectangle, shape))
                        (rect("edge", *rectangle, shape))
                        (caption(name, disk, *rectangle, shape))
                    }
                }
            }
        }
    }
}

/// The text of a tile about its owner.
fn details(row: &Row, home: Option<&Path>) -> String {
    let gone = if row.owner.life == Life::Gone { " (gone)" } else { "" };
    let sum =
        format!("{}, {}", human::size(row.share.tally.disk), human::counted(row.share.tally.files, "file"));
    let by_status = present(row).map(|(status, tally)| format!("; {status} {}", human::size(tally.disk)));
    format!("{}{gone} — {sum}{}", name(row, home), by_status.collect::<String>())
}

/// The packages of an owner within its rectangle, below its caption. Empty if it has only one or there is no space.
fn nested(packages: &[(Option<&str>, &Share)], whole: Rectangle, shape: &TreemapSize) -> Markup {
    const MARGIN: f64 = 3.0;
    let (width, height) = (whole.width - 2.0 * MARGIN, whole.height - CAPTION - MARGIN);
    if packages.len() < 2 || width * height < 2.0 * SMALLEST_PACKAGE || width.min(height) < 10.0 {
        return html! {};
    }
    let frame = Rectangle { x: whole.x + MARGIN, y: whole.y + CAPTION, width, height };
    let total: u64 = packages.iter().map(|(_, share)| share.tally.disk).sum();
    let unit = frame.area() / total.max(1) as f64;
    let count = packages.partition_point(|(_, share)| share.tally.disk as f64 * unit >= SMALLEST_PACKAGE);
    let (own, rest) = packages.split_at(count);
    let rest_disk: u64 = rest.iter().map(|(_, share)| share.tally.disk).sum();
    let sizes: Vec<u64> = own.iter().map(|(_, share)| share.tally.disk).chain([rest_disk]).collect();
    let rectangles = squarify(&sizes, frame);
    let rest_name = human::counted(rest.len() as u64, "smaller package");
    html! {
        @for ((package, share), rectangle) in own.iter().zip(&rectangles) {
            @let name = escaped(package.unwrap_or("outside packages"));
            g {
                title { (name) " — " (human::size(share.tally.disk)) ", " (human::counted(share.tally.files, "file")) }
                (parts(share.statuses, *rectangle, shape))
                (rect("package", *rectangle, shape))
                (package_caption(&name, *rectangle, shape))
            }
        }
        @if let Some(rectangle) = rectangles.last().filter(|_| rest_disk > 0) {
            g {
                title { (rest_name) " — " (human::size(rest_disk)) }
                (rect("package smaller", *rectangle, shape))
            }
        }
    }
}

/// Divides a rectangle along its longer side, one part for each status.
fn parts(statuses: [Tally; status::NAMES.len()], whole: Rectangle, shape: &TreemapSize) -> Markup {
    let total = statuses.iter().map(|tally| tally.disk).sum::<u64>().max(1) as f64;
    let mut before = 0.0;
    let parts = of_statuses(statuses).filter(|(_, tally)| tally.disk > 0).map(|(status, tally)| {
        let (start, length) = (before, tally.disk as f64 / total);
        before += length;
        let Rectangle { x, y, width, height } = whole;
        let part = if width > height {
            Rectangle { x: x + width * start, width: width * length, ..whole }
        } else {
            Rectangle { y: y + height * start, height: height * length, ..whole }
        };
        (status, part)
    });
    html! { @for (status, part) in parts { (rect(&format!("part {status}"), part, shape)) } }
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

/// The name of a package, if there is space for it.
fn package_caption(name: &str, rectangle: Rectangle, shape: &TreemapSize) -> Markup {
    let columns = ((rectangle.width - 8.0) / LETTER).max(0.0) as usize;
    let shown = label(name, columns).filter(|_| rectangle.height >= 18.0);
    let [x, y, width, height] = place(rectangle, shape);
    html! {
        @if let Some(shown) = shown {
            svg x=(x) y=(y) width=(width) height=(height) { text.detail x="4" y="14" { (shown) } }
        }
    }
}

/// The name in at most this many columns: whole, or as many of its last components as fit. `None` if too little would
/// be left.
fn label(name: &str, columns: usize) -> Option<String> {
    const LEAST: usize = 8;
    let fits = |text: &String| width(text) <= columns;
    let (parents, last) = name.rsplit_once('/').unwrap_or(("", name));
    let ends = parents.match_indices('/').map(|(at, _)| format!("…{}", &name[at..]));
    let found = std::iter::once(name.to_string()).chain(ends).chain([last.to_string()]).find(fits);
    found.or_else(|| (columns >= LEAST).then(|| fitted(last, columns)))
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
