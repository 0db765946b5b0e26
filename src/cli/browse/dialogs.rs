//! The screens over the list: the keys, the review before a removal, its progress and its result.

use super::canvas::Canvas;
use super::keys::HELP;
use super::palette::Hue;
use super::review::{RemovalReport, Removing, Review, WORD};
use super::state::Dialog;
use crate::cli::output::path::escaped;
use pycstore::paragraph::{width, wrapped};
use pycstore::units::human;
use ratatui::layout::Rect;

/// Draws the screen of a dialog over everything.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, dialog: &mut Dialog) {
    canvas.clear(area);
    match dialog {
        Dialog::List | Dialog::Filter | Dialog::MarkStatus => {}
        Dialog::Help(first) => help(canvas, area, *first),
        Dialog::Foreseeing => {
            canvas.put(area, 0, 0, "Checking the marked files again", Hue::Heading);
            canvas.put(area, 2, 0, "Esc goes back", Hue::Quiet);
        }
        Dialog::Review(review) => {
            self::review(canvas, area, review);
            review.is_drawn = true;
        }
        Dialog::Removing(removing) => self::removing(canvas, area, *removing),
        Dialog::Report(report) => self::report(canvas, area, report),
    }
}

/// The columns of a key, at most.
const KEY: u16 = 26;

fn help(canvas: &mut Canvas<'_>, area: Rect, first: usize) {
    let keys = if area.width < 60 { 12 } else { KEY };
    let mut lines: Vec<(String, String, Hue)> = Vec::new();
    for (key, meaning) in HELP {
        let is_heading = key.is_empty() && !meaning.starts_with(' ');
        let hue = if is_heading { Hue::Heading } else { Hue::Normal };
        let room = if is_heading { area.width } else { area.width.saturating_sub(keys + 2) };
        let meanings = wrapped(meaning.trim_start(), room.into(), room.into());
        let names = wrapped(key, keys.into(), keys.into());
        for index in 0..meanings.len().max(names.len()) {
            let part = |texts: &[String]| texts.get(index).cloned().unwrap_or_default();
            lines.push((part(&names), part(&meanings), hue));
        }
    }
    let rows = usize::from(area.height.saturating_sub(1)).max(1);
    let first = first.min(lines.len().saturating_sub(rows));
    for (line, (key, meaning, hue)) in (0..area.height.saturating_sub(1)).zip(&lines[first..]) {
        let column = if *hue == Hue::Heading { 0 } else { keys + 2 };
        canvas.put(area, line, 0, key, *hue);
        canvas.put(area, line, column, meaning, *hue);
    }
    let more =
        if first + rows < lines.len() { "Down shows more; any other key closes" } else { "any key closes" };
    canvas.put(area, area.height.saturating_sub(1), 0, more, Hue::Quiet);
}

fn review(canvas: &mut Canvas<'_>, area: Rect, review: &Review) {
    let mut line = 0;
    let title = if review.removed.is_empty() {
        "Nothing to remove".to_string()
    } else {
        format!("Remove {}?", human::sum(review.removed, review.directories))
    };
    line += put_wrapped(canvas, area, line, &title, Hue::Heading);
    let foot = foot_of(review);
    let foot_lines: u16 = foot.iter().map(|text| lines_of(text, area.width)).sum();
    line += 1;
    canvas.put(
        area,
        line,
        0,
        &format!("{:>11}  {:>9}  {}", "SIZE", "FILES", second_heading(area)),
        Hue::Heading,
    );
    line += 1;
    let last = area.height.saturating_sub(foot_lines + 1);
    let shown = usize::from(last.saturating_sub(line));
    let rows = &review.rows[review.offset.min(review.rows.len())..];
    let is_cut = rows.len() > shown;
    for row in rows.iter().take(if is_cut { shown.saturating_sub(1) } else { shown }) {
        let sums = format!("{:>11}  {:>9}  ", human::size(row.tally.disk), human::count(row.tally.files));
        let mut column = canvas.put(area, line, 0, &sums, Hue::Normal);
        if area.width >= 60 {
            canvas.put(area, line, column, &format!("{:<23}", row.status), Hue::Normal);
            column += 23;
        }
        let owner = canvas.fitted(&escaped(&row.owner), area.width.saturating_sub(column));
        canvas.put(area, line, column, &owner, Hue::Normal);
        line += 1;
    }
    if is_cut {
        let more = rows.len() - shown.saturating_sub(1);
        canvas.put(area, line, 0, &format!("{:>11}  {more} more rows (Down)", ""), Hue::Quiet);
    }
    let mut line = area.height.saturating_sub(foot_lines);
    for (index, text) in foot.iter().enumerate() {
        let hue = if index + 1 == foot.len() { Hue::Heading } else { Hue::Marked };
        line += put_wrapped(canvas, area, line, text, hue);
    }
}

fn second_heading(area: Rect) -> String {
    if area.width >= 60 { format!("{:<23}OWNER", "STATUS") } else { "OWNER".into() }
}

/// The notes, and the keys.
fn foot_of(review: &Review) -> Vec<String> {
    let mut foot: Vec<String> = review.notes.iter().take(5).map(|note| escaped(note)).collect();
    if review.empties_store && !review.removed.is_empty() {
        foot.push(format!(
            "This removes every entry of the store that Python may still use. Type {WORD} to allow it: {}_",
            escaped(&review.typed)
        ));
    }
    foot.push(match (review.removed.is_empty(), review.is_confirmed()) {
        (true, _) => "Esc goes back".into(),
        (false, true) => "Ctrl+R removes these files   Esc goes back".into(),
        (false, false) => format!("type {WORD}, then Ctrl+R removes these files   Esc goes back"),
    });
    foot
}

fn removing(canvas: &mut Canvas<'_>, area: Rect, removing: Removing) {
    let Removing { removed, all, is_stopping } = removing;
    let text = format!("Removing: {} of {} files", human::count(removed), human::count(all));
    canvas.put(area, 0, 0, &text, Hue::Heading);
    let end = if is_stopping { "stopping after the current file" } else { "Esc stops" };
    canvas.put(area, 2, 0, end, Hue::Quiet);
}

fn report(canvas: &mut Canvas<'_>, area: Rect, report: &RemovalReport) {
    let mut line = 0;
    for text in &report.lines[report.offset.min(report.lines.len())..] {
        if line + 1 >= area.height {
            break;
        }
        line += put_wrapped(canvas, area, line, &escaped(text), Hue::Normal);
    }
    let last = area.height.saturating_sub(1);
    canvas.clear(Rect { y: area.y + last, height: area.height.min(1), ..area });
    canvas.put(area, last, 0, "Up and Down move   any other key closes", Hue::Quiet);
}

fn lines_of(text: &str, columns: u16) -> u16 {
    let columns = usize::from(columns).max(1);
    if width(text) <= columns { 1 } else { wrapped(text, columns, columns).len() as u16 }
}

/// Writes a text on as many lines as it needs; returns their number.
fn put_wrapped(canvas: &mut Canvas<'_>, area: Rect, line: u16, text: &str, hue: Hue) -> u16 {
    let columns = usize::from(area.width).max(1);
    let parts = wrapped(text, columns, columns);
    for (at, part) in (line..area.height).zip(&parts) {
        canvas.put(area, at, 0, part, hue);
    }
    parts.len() as u16
}
