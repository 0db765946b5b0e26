//! The side pane: what `inspect` says of the selected entry, or the statuses and tags of the selected group.

use super::canvas::Canvas;
use super::catalogue::Catalogue;
use super::file::{Facet, MIXED};
use super::node::{NodeKey, ROOT};
use super::palette::Hue;
use super::rows::{Item, ListRow, path_in_store};
use super::state::Browser;
use crate::cli::output::path::{Characters, escaped};
use pycstore::paragraph::{width, wrapped};
use pycstore::source::owner::Life;
use pycstore::units::human;
use pycstore::verdict::status;
use ratatui::layout::Rect;

/// Draws the pane.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, browser: &Browser) {
    let is_ascii = canvas.look.characters == Characters::Ascii;
    let inner = if area.x > 0 {
        let edge = if is_ascii { "|" } else { "│" };
        for line in 0..area.height {
            canvas.put(area, line, 0, edge, Hue::Quiet);
        }
        Rect { x: area.x + 2, width: area.width.saturating_sub(2), ..area }
    } else {
        let edge = if is_ascii { "-" } else { "─" };
        canvas.put(area, 0, 0, &edge.repeat(area.width.into()), Hue::Quiet);
        Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area }
    };
    let mut line = 0;
    for text in lines(browser, &canvas.look.store) {
        for part in laid_out(&escaped(&text), inner.width.into()) {
            canvas.put(inner, line, 0, &part, Hue::Normal);
            line += 1;
        }
    }
}

/// A line in the width of the pane. What follows a name and blanks is wrapped below itself.
fn laid_out(text: &str, columns: usize) -> Vec<String> {
    if width(text) <= columns {
        return vec![text.to_string()];
    }
    let value = text.trim_start();
    let indent = text.len() - value.len();
    let gap = value.find("  ").map_or(0, |at| at + value[at..].len() - value[at..].trim_start().len());
    let (name, value) = value.split_at(gap);
    let start = if name.is_empty() { indent } else { (indent + name.len()).min(columns / 2) };
    let room = columns.saturating_sub(start).max(8);
    let blank = " ".repeat(start);
    let mut lines: Vec<String> =
        wrapped(value, room, room).into_iter().map(|part| format!("{blank}{part}")).collect();
    if let Some(first) = lines.first_mut() {
        let shown: String = format!("{}{name}", " ".repeat(indent)).chars().take(start).collect();
        *first = format!("{shown:<start$}{}", first.trim_start());
    }
    lines
}

/// The lines of the pane.
fn lines(browser: &Browser, store: &str) -> Vec<String> {
    let Some(row) = browser.row() else { return Vec::new() };
    match row.item {
        Item::Entry(entry) if browser.pane.entry == Some(entry) => browser.pane.lines.clone(),
        Item::Entry(entry) => {
            let path = path_in_store(&browser.catalogue, entry);
            vec![format!("{store}/{}", String::from_utf8_lossy(&path))]
        }
        Item::Node(node) => group(&browser.catalogue, &row, node, browser.place().facet()),
        Item::Facet(facet) => group(&browser.catalogue, &row, ROOT, facet),
    }
}

/// What is below a node in a facet.
fn group(catalogue: &Catalogue, row: &ListRow, node: u32, facet: Facet) -> Vec<String> {
    let sums = &row.sums;
    let mut lines = vec![row.name.clone()];
    let mut add = |name: &str, value: String| lines.push(format!("  {name:<16} {value}"));
    if let NodeKey::Owner(head) = catalogue.nodes[node as usize].key {
        let owner = &catalogue.heads[head];
        let gone = if owner.life == Life::Gone { ", gone" } else { "" };
        add("kind", format!("{}{gone}", owner.kind.name()));
    }
    add("files", human::count(sums.tally.files));
    add("disk usage", human::size(sums.tally.disk));
    add("apparent size", human::size(sums.tally.bytes));
    if row.shared > 0 {
        add("shared", format!("{} with other rows", human::size(row.shared)));
    }
    add("reclaimable", of(sums.reclaimable));
    add("marked", of(sums.marked));
    let cannot = sums.tally.files.saturating_sub(sums.markable);
    if cannot > 0 {
        add("cannot be marked", human::counted(cannot, "file"));
    }
    for (index, name) in status::NAMES.iter().enumerate() {
        let part = catalogue.sums(node, Facet { status: Some(index as u16), tag: facet.tag });
        let is_shown = facet.status.is_none_or(|it| it == index as u16) && !part.tally.is_empty();
        if is_shown {
            add(name, of(part.tally));
        }
    }
    for index in (0..catalogue.tags.len() as u16).chain([MIXED]) {
        let part = catalogue.sums(node, Facet { tag: Some(index), status: facet.status });
        let is_shown = facet.tag.is_none_or(|it| it == index) && !part.tally.is_empty();
        let name = if index == MIXED { "no tag" } else { &catalogue.tags[index.into()] };
        if is_shown {
            add(name, of(part.tally));
        }
    }
    lines
}

fn of(tally: pycstore::units::Tally) -> String {
    if tally.is_empty() {
        return "-".into();
    }
    format!("{} in {}", human::size(tally.disk), human::counted(tally.files, "file"))
}
