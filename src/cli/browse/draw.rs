//! The list on the screen: where it is, the rows, what the selected row is, and what is marked.
//!
//! Everything is text in rows; colours only repeat what the text says. Names are escaped here, as all text from files is.

use super::canvas::{Canvas, Look};
use super::columns::{self, ListColumn};
use super::dialogs;
use super::node::ROOT;
use super::palette::Hue;
use super::pane;
use super::rows::{ListRow, OpenPlace};
use super::state::{Browser, Dialog, PaneWish, ScanState};
use crate::cli::output::path::escaped;
use pycstore::paragraph::width;
use pycstore::units::human;
use pycstore::verdict::view::Order;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// From this width on, the side pane stands beside the list.
const BESIDE: u16 = 110;

/// From this height on, it may stand below the list on a narrower screen.
const BELOW: u16 = 14;

/// Lines above and below the rows.
const FRAME: u16 = 5;

/// Draws everything.
pub fn draw(browser: &mut Browser, look: &Look, buffer: &mut Buffer) {
    let area = buffer.area;
    let mut canvas = Canvas { buffer, look };
    let (list, side) = split(area, browser.pane.wish);
    browser.pane.is_visible = side.is_some();
    browser.height = usize::from(list.height.saturating_sub(FRAME)).max(1);
    browser.scroll();
    head(&mut canvas, area, browser);
    table(&mut canvas, list, browser);
    if let Some(side) = side {
        pane::draw(&mut canvas, side, browser);
    }
    foot(&mut canvas, area, browser);
    match &mut browser.dialog {
        Dialog::List | Dialog::Filter | Dialog::MarkStatus => {}
        dialog => dialogs::draw(&mut canvas, area, dialog),
    }
}

/// The areas of the list and of the pane. The list's has the lines of head and foot as well.
fn split(area: Rect, wish: PaneWish) -> (Rect, Option<Rect>) {
    let height = area.height.saturating_sub(4);
    match wish {
        PaneWish::Closed => (area, None),
        _ if area.width >= BESIDE => {
            let width = area.width * 2 / 5;
            let list = Rect { width: area.width - width - 1, ..area };
            (list, Some(Rect { x: area.x + list.width + 1, y: area.y + 2, width, height }))
        }
        PaneWish::Open if area.height >= BELOW => {
            let height = height / 2;
            let list = Rect { height: area.height - height, ..area };
            (list, Some(Rect { y: area.y + list.height - 2, height, ..area }))
        }
        PaneWish::IfBeside | PaneWish::Open => (area, None),
    }
}

fn head(canvas: &mut Canvas<'_>, area: Rect, browser: &Browser) {
    let store = escaped(&canvas.look.store);
    let total = browser.catalogue.sums(ROOT, Default::default()).tally;
    let state = match browser.scan {
        ScanState::Running(elapsed) => {
            let rate = total.files as f64 / elapsed.as_secs_f64().max(0.001);
            format!("scanning: {} files, {}/s", human::count(total.files), human::count(rate as u64))
        }
        ScanState::Done(problems) => {
            let disk = human::size(total.disk + browser.catalogue.own.disk);
            let problems = match problems {
                0 => String::new(),
                some => format!(", {} unreadable", human::count(some as u64)),
            };
            format!("{disk} in {}{problems}", human::counted(total.files, "file"))
        }
    };
    let taken = canvas.put_right(area, 0, &state, Hue::Normal);
    let store = canvas.fitted(&store, area.width.saturating_sub(taken + 1));
    canvas.put(area, 0, 0, &store, Hue::Heading);
    let sorted = sorted_by(browser);
    let taken = if area.width >= 60 { canvas.put_right(area, 1, &sorted, Hue::Quiet) } else { 0 };
    let trail = canvas.fitted(&escaped(&browser.trail()), area.width.saturating_sub(taken + 1));
    canvas.put(area, 1, 0, &trail, Hue::Normal);
}

fn sorted_by(browser: &Browser) -> String {
    let order = match browser.order {
        Order::Size => "size",
        Order::Files => "files",
        Order::Reclaimable => "reclaimable",
        Order::LastUsed => "last use",
        Order::Name => "name",
    };
    let reversed = if browser.direction == Default::default() { "" } else { ", reversed" };
    format!("sorted by {order}{reversed}")
}

fn table(canvas: &mut Canvas<'_>, area: Rect, browser: &Browser) {
    let columns = columns::fitting(area.width, browser);
    let mut x = 3;
    for column in &columns {
        put_cell(canvas, area, (2, x), column, column.heading, Hue::Heading);
        x += column.width + 2;
    }
    canvas.put(area, 2, x, heading(browser), Hue::Heading);
    for (line, index) in (3..area.height.saturating_sub(2)).zip(browser.offset..browser.rows.len()) {
        let Some(row) = browser.rows.row(&browser.catalogue, index) else { return };
        let hue = if row.is_gone { Hue::Gone } else { Hue::Normal };
        let cursor = if index == browser.selected { ">" } else { " " };
        canvas.put(area, line, 0, cursor, Hue::Normal);
        let (mark, mark_hue) = mark(&row);
        canvas.put(area, line, 1, mark, mark_hue);
        let mut x = 3;
        for column in &columns {
            let cell = columns::cell(column.kind, &row, browser, canvas.look);
            put_cell(canvas, area, (line, x), column, &cell, hue);
            x += column.width + 2;
        }
        let name = canvas.fitted(&escaped(&row.name), area.width.saturating_sub(x));
        canvas.put(area, line, x, &name, hue);
        if index == browser.selected {
            canvas.select(area, line);
        }
    }
}

fn put_cell(
    canvas: &mut Canvas<'_>,
    area: Rect,
    (line, x): (u16, u16),
    column: &ListColumn,
    text: &str,
    hue: Hue,
) {
    let text = canvas.fitted(text, column.width);
    let columns = u16::try_from(width(&text)).unwrap_or(0);
    let indent = if column.kind.is_text() { 0 } else { column.width.saturating_sub(columns) };
    canvas.put(area, line, x + indent, &text, hue);
}

fn heading(browser: &Browser) -> &'static str {
    match browser.place() {
        OpenPlace::Statuses => "STATUS",
        OpenPlace::Tags => "CACHE TAG",
        OpenPlace::Below(ROOT, _) => "OWNER",
        OpenPlace::Below(..) => "NAME",
    }
}

/// Whether a row is marked: `*` all that may be, `~` a part; `-` where nothing can be marked.
fn mark(row: &ListRow) -> (&'static str, Hue) {
    let (marked, markable) = (row.sums.marked.files, row.sums.markable);
    match marked {
        0 if markable == 0 => ("-", Hue::Quiet),
        0 => (" ", Hue::Normal),
        all if all == markable => ("*", Hue::Marked),
        _ => ("~", Hue::Marked),
    }
}

fn foot(canvas: &mut Canvas<'_>, area: Rect, browser: &Browser) {
    if area.height < 4 {
        return;
    }
    let (about, hue) = match &browser.dialog {
        Dialog::Filter => (format!("filter: {}_", browser.filter), Hue::Heading),
        Dialog::MarkStatus if area.width < 64 => {
            ("f)resh s)tale o)rphan c)orrupt t)emp".into(), Hue::Heading)
        }
        Dialog::MarkStatus => {
            ("mark here: f fresh, s stale, o orphan, c corrupt, t temporary".into(), Hue::Heading)
        }
        _ if !browser.message.is_empty() => (browser.message.clone(), Hue::Marked),
        _ if !browser.filter.is_empty() => {
            (format!("filter: {}; {}", browser.filter, browser.about_selected()), Hue::Quiet)
        }
        _ => (browser.about_selected(), Hue::Quiet),
    };
    let about = canvas.fitted(&escaped(&about), area.width);
    canvas.put(area, area.height - 2, 0, &about, hue);
    let marked = browser.marked();
    let keys = match (marked.is_empty(), area.width) {
        (true, 60..) => "Space mark  a mark reclaimable  d remove  i details  ? help  q quit",
        (false, 60..) => "d remove  U unmark  ? help  q quit",
        _ => "? help",
    };
    let sum = match marked.files {
        0 => String::new(),
        files => format!("marked {}, {}", human::counted(files, "file"), human::size(marked.disk)),
    };
    let line = area.height - 1;
    let x = canvas.put(area, line, 0, &sum, Hue::Marked);
    let room = area.width.saturating_sub(x + 2);
    if usize::from(room) >= width(keys) {
        canvas.put_right(area, line, keys, Hue::Quiet);
    } else {
        canvas.put_right(area, line, "? help", Hue::Quiet);
    }
}
