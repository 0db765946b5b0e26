//! The list on the screen: where it is, the rows, what the selected row is, and what is marked.
//!
//! Everything is text in rows; colours only repeat what the text says. Names are escaped here, as all text from files is.

use super::catalogue::Catalogue;
use super::dialogs;
use super::palette::{Hue, Palette};
use super::pane;
use super::rows::{Item, ListRow, Place};
use super::state::{Browser, Dialog, ScanState, TreeView, status_in_words};
use crate::cli::output::path::{Characters, escaped};
use pycstore::paragraph::{fitted_with, width};
use pycstore::units::{Moment, Tally, date, human};
use pycstore::verdict::view::Order;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// How the screen is drawn.
#[derive(Debug, Clone)]
pub struct Look {
    /// The path of the store, not escaped.
    pub store: String,
    /// The colours.
    pub palette: Palette,
    /// The characters.
    pub characters: Characters,
    /// The present.
    pub now: Moment,
}

/// A part of the screen, written line by line.
pub struct Canvas<'a> {
    /// The cells.
    pub buffer: &'a mut Buffer,
    /// How it is drawn.
    pub look: &'a Look,
}

impl Canvas<'_> {
    /// Writes text at most to the end of the area, in this line of it; returns the columns that it took.
    pub fn put(&mut self, area: Rect, line: u16, column: u16, text: &str, hue: Hue) -> u16 {
        if line >= area.height || column >= area.width {
            return 0;
        }
        let room = area.width - column;
        let style = self.look.palette.style(hue);
        let (end, _) = self.buffer.set_stringn(area.x + column, area.y + line, text, room.into(), style);
        end - area.x - column
    }

    /// Writes text that ends at the right edge, if it fits.
    pub fn put_right(&mut self, area: Rect, line: u16, text: &str, hue: Hue) -> u16 {
        let columns = u16::try_from(width(text)).unwrap_or(u16::MAX);
        if columns < area.width {
            self.put(area, line, area.width - columns, text, hue);
            return columns;
        }
        0
    }

    /// Text in at most this many columns, its middle cut.
    pub fn fitted(&self, text: &str, columns: u16) -> String {
        let mark = if self.look.characters == Characters::Ascii { "..." } else { "…" };
        fitted_with(text, columns.into(), mark)
    }

    /// Makes a line of the area look selected.
    pub fn select(&mut self, area: Rect, line: u16) {
        let rect = Rect { y: area.y + line, height: 1, ..area };
        self.buffer.set_style(rect, self.look.palette.selected());
    }

    /// Empties an area.
    pub fn clear(&mut self, area: Rect) {
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                if let Some(cell) = self.buffer.cell_mut((x, y)) {
                    cell.reset();
                }
            }
        }
    }
}

/// From this width on, the side pane stands beside the list.
const BESIDE: u16 = 110;

/// Lines above and below the rows.
const FRAME: u16 = 5;

/// Draws everything.
pub fn draw(browser: &mut Browser, look: &Look, buffer: &mut Buffer) {
    let area = buffer.area;
    let mut canvas = Canvas { buffer, look };
    let (list, side) = split(area, browser.pane.is_open);
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
fn split(area: Rect, has_pane: bool) -> (Rect, Option<Rect>) {
    if !has_pane || area.width < BESIDE {
        return (area, None);
    }
    let side = area.width * 2 / 5;
    let list = Rect { width: area.width - side - 1, ..area };
    let side = Rect {
        x: area.x + list.width + 1,
        width: side,
        y: area.y + 2,
        height: area.height.saturating_sub(4),
    };
    (list, Some(side))
}

fn head(canvas: &mut Canvas<'_>, area: Rect, browser: &Browser) {
    let store = escaped(&canvas.look.store);
    let total = browser.catalogue.sums(super::catalogue::ROOT, Default::default()).tally;
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

/// A column of numbers before the names.
struct ListColumn {
    heading: &'static str,
    width: u16,
    /// Which column is left out first on a narrow screen: the highest.
    rank: u8,
    is_left: bool,
    cell: fn(&ListRow, &Browser, &Look) -> String,
}

/// The least columns for a name before others are left out; before the last of those, the name becomes even shorter.
const LEAST_NAME: u16 = 22;
const SHORTEST_NAME: u16 = 12;

/// Columns from this rank on are left out before any name is cut.
const DECORATION: u8 = 5;

const COLUMNS: [ListColumn; 8] = [
    ListColumn {
        heading: "SIZE",
        width: 10,
        rank: 0,
        is_left: false,
        cell: |row, _, _| human::size(size(row)),
    },
    ListColumn { heading: "SHARE", width: 10, rank: 7, is_left: true, cell: bar },
    ListColumn {
        heading: "",
        width: 5,
        rank: 5,
        is_left: false,
        cell: |row, browser, _| percentage(size(row), browser.total.disk),
    },
    ListColumn {
        heading: "SHARED",
        width: 10,
        rank: 1,
        is_left: false,
        cell: |row, _, _| {
            if row.shared == 0 { "-".into() } else { human::size(row.shared) }
        },
    },
    ListColumn {
        heading: "FILES",
        width: 8,
        rank: 3,
        is_left: false,
        cell: |row, _, _| human::count(row.sums.tally.files),
    },
    ListColumn {
        heading: "RECLAIMABLE",
        width: 11,
        rank: 2,
        is_left: false,
        cell: |row, _, _| size_or_dash(row.sums.reclaimable),
    },
    ListColumn {
        heading: "LAST USED",
        width: 13,
        rank: 4,
        is_left: true,
        cell: |row, _, look| {
            let moment = row.sums.used.map(|seconds| Moment { seconds, nanoseconds: 0 });
            moment.map_or_else(|| "-".into(), |moment| date::ago(moment, look.now))
        },
    },
    ListColumn {
        heading: "STATUS",
        width: 21,
        rank: 6,
        is_left: true,
        cell: |row, browser, _| status(row, &browser.catalogue),
    },
];

/// The columns that fit.
fn columns(width: u16, browser: &Browser) -> Vec<&'static ListColumn> {
    let has_shared = !browser.catalogue.inodes.is_empty();
    let has_entries = browser.rows.iter().any(|row| matches!(row.item, Item::Entry(_)));
    let is_wanted = |column: &&ListColumn| match column.heading {
        "SHARED" => has_shared,
        "STATUS" => has_entries,
        _ => true,
    };
    let mut columns: Vec<&ListColumn> = COLUMNS.iter().filter(is_wanted).collect();
    let longest = u16::try_from(browser.longest).unwrap_or(u16::MAX);
    let taken = |columns: &[&ListColumn]| columns.iter().map(|column| column.width + 2).sum::<u16>();
    while let Some(last) = columns.iter().map(|column| column.rank).max().filter(|rank| *rank > 0) {
        let name = match last {
            1 => longest.min(SHORTEST_NAME),
            DECORATION.. => longest,
            _ => longest.min(LEAST_NAME),
        };
        if 3 + taken(&columns) + name <= width {
            break;
        }
        columns.retain(|column| column.rank != last);
    }
    columns
}

fn table(canvas: &mut Canvas<'_>, area: Rect, browser: &Browser) {
    let columns = columns(area.width, browser);
    let mut x = 3;
    for column in &columns {
        put_cell(canvas, area, (2, x), column, column.heading, Hue::Heading);
        x += column.width + 2;
    }
    canvas.put(area, 2, x, heading(browser), Hue::Heading);
    for (line, index) in (3..area.height.saturating_sub(2)).zip(browser.offset..browser.rows.len()) {
        let row = &browser.rows[index];
        let hue = if row.is_gone { Hue::Gone } else { Hue::Normal };
        let cursor = if index == browser.selected { ">" } else { " " };
        canvas.put(area, line, 0, cursor, Hue::Normal);
        let (mark, mark_hue) = mark(row);
        canvas.put(area, line, 1, mark, mark_hue);
        let mut x = 3;
        for column in &columns {
            put_cell(canvas, area, (line, x), column, &(column.cell)(row, browser, canvas.look), hue);
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
    let text: String = text.chars().take(column.width.into()).collect();
    let columns = u16::try_from(width(&text)).unwrap_or(0);
    let indent = if column.is_left { 0 } else { column.width.saturating_sub(columns) };
    canvas.put(area, line, x + indent, &text, hue);
}

fn heading(browser: &Browser) -> &'static str {
    match (browser.place(), browser.tree) {
        (Place::Statuses, _) => "STATUS",
        (Place::Tags, _) => "CACHE TAG",
        (Place::Below(super::catalogue::ROOT, _), TreeView::Owners) => "OWNER",
        (Place::Below(super::catalogue::ROOT, _), _) => "OWNER",
        _ => "NAME",
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

/// What a row takes on the disk: of an entry with several links all of it.
fn size(row: &ListRow) -> u64 {
    if let Item::Entry(_) = row.item { row.sums.tally.disk + row.shared } else { row.sums.tally.disk }
}

fn size_or_dash(tally: Tally) -> String {
    if tally.is_empty() { "-".into() } else { human::size(tally.disk) }
}

/// The status of an entry, or why it cannot be marked.
fn status(row: &ListRow, catalogue: &Catalogue) -> String {
    let Item::Entry(entry) = row.item else { return String::new() };
    status_in_words(catalogue.entries[entry as usize].facts.status)
}

/// The cells of a bar at full length.
const BAR: u64 = 10;

fn bar(row: &ListRow, browser: &Browser, look: &Look) -> String {
    crate::cli::output::bar::bar(size(row), browser.total.disk, BAR as usize, look.characters)
}

fn percentage(part: u64, whole: u64) -> String {
    crate::cli::output::bar::percentage(part, whole)
}

fn foot(canvas: &mut Canvas<'_>, area: Rect, browser: &Browser) {
    if area.height < 4 {
        return;
    }
    let (about, hue) = match &browser.dialog {
        Dialog::Filter => (format!("filter: {}_", browser.filter), Hue::Heading),
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
