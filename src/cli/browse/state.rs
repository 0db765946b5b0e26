//! The state of the browser: what is listed, and where in it. Reads and draws nothing.

use super::catalogue::{Catalogue, Joined};
use super::file::{Facet, ScanBatch};
use super::node::ROOT;
use super::review::{RemovalReport, Removing, Review};
use super::rows::{Item, ListRow, OpenPlace, RowList, SortDirection, TreeView};
use pycstore::units::Tally;
use pycstore::verdict::view::Order;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

/// What the keys mean.
#[derive(Debug)]
pub enum Dialog {
    /// The list.
    List,
    /// A text is typed that filters the list.
    Filter,
    /// A status is chosen, whose entries are marked.
    MarkStatus,
    /// The keys are shown, from this line.
    Help(usize),
    /// What a removal would do is being found out.
    Foreseeing,
    /// What would be removed is shown.
    Review(Box<Review>),
    /// Entries are being removed.
    Removing(Removing),
    /// What was removed, kept or could not be removed is shown.
    Report(RemovalReport),
}

/// How far the scan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanState {
    /// It runs for this long.
    Running(Duration),
    /// It is done; how many problems there were.
    Done(usize),
}

/// Whether the side pane is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PaneWish {
    /// If the screen is wide enough to have it beside the list.
    #[default]
    IfBeside,
    /// Beside or below the list.
    Open,
    /// Not.
    Closed,
}

/// The side pane.
#[derive(Debug, Default)]
pub struct Pane {
    /// Whether it is to be shown.
    pub wish: PaneWish,
    /// Whether the last screen had it.
    pub is_visible: bool,
    /// The entry whose lines it has.
    pub entry: Option<u32>,
    /// What `inspect` says of that entry.
    pub lines: Vec<String>,
}

/// The state of the browser.
#[derive(Debug)]
pub struct Browser {
    /// The files.
    pub catalogue: Catalogue,
    /// The home, shown as `~`.
    pub home: Option<PathBuf>,
    /// Which tree is shown.
    pub tree: TreeView,
    /// The open place, after those that lead to it, each with the item that was selected there.
    pub open: Vec<(OpenPlace, Option<Item>)>,
    /// The rows of the open place that match the filter, sorted.
    pub rows: RowList,
    /// The sums of all rows of the open place.
    pub total: Tally,
    /// The columns of the longest name among the rows.
    pub longest: usize,
    /// The index of the selected row.
    pub selected: usize,
    /// The first row on the screen.
    pub offset: usize,
    /// How many rows fit on the screen.
    pub height: usize,
    /// The order of the rows.
    pub order: Order,
    /// Its direction.
    pub direction: SortDirection,
    /// The text that names must have.
    pub filter: String,
    /// What the keys mean.
    pub dialog: Dialog,
    /// What the last key did.
    pub message: String,
    /// How far the scan is.
    pub scan: ScanState,
    /// The side pane.
    pub pane: Pane,
    is_stale: bool,
    /// Whether a row was selected by a key.
    pub(super) has_moved: bool,
    /// Whether the marks were made by the key that asks for the review.
    pub(super) marked_for_review: bool,
    /// The place where the last scan was left.
    pub(super) return_to: PlaceByName,
}

/// A place that is found again in another catalogue.
#[derive(Debug, Default)]
pub(super) struct PlaceByName {
    /// The names of the rows that were opened one after another.
    opened: VecDeque<String>,
    /// The name of the row that was selected there.
    selected: Option<String>,
}

/// The columns of the longest heading of the names.
const LONGEST_HEADING: usize = 9;

impl Browser {
    /// An empty browser at the beginning of a scan.
    pub fn new(home: Option<PathBuf>) -> Browser {
        let tree = TreeView::Owners;
        Browser {
            catalogue: Catalogue::new(),
            home,
            tree,
            open: vec![(tree.top(), None)],
            rows: RowList::default(),
            total: Tally::default(),
            longest: 0,
            selected: 0,
            offset: 0,
            height: 1,
            order: Order::Size,
            direction: SortDirection::Usual,
            filter: String::new(),
            dialog: Dialog::List,
            message: String::new(),
            scan: ScanState::Running(Duration::ZERO),
            pane: Pane::default(),
            is_stale: false,
            has_moved: false,
            marked_for_review: false,
            return_to: PlaceByName::default(),
        }
    }

    /// Adds what the scan found. The rows follow at the next [`Browser::refresh`].
    pub fn add(&mut self, batch: ScanBatch) {
        self.catalogue.add(batch);
        self.is_stale = true;
    }

    /// The scan is done; how many problems there were.
    pub fn end_scan(&mut self, problems: usize) {
        let place = self.place_by_name();
        if self.catalogue.join_spellings() == Joined::Anew {
            // The indexes of nodes are others now.
            self.show(self.tree);
            self.return_to = place;
        }
        self.scan = ScanState::Done(problems);
        self.refresh_if_stale(true);
        self.return_to = PlaceByName::default();
    }

    /// Shows what was added since the last time.
    pub fn refresh(&mut self) {
        if self.is_stale {
            self.catalogue.settle_links();
        }
        self.refresh_if_stale(self.is_stale);
    }

    fn refresh_if_stale(&mut self, is_stale: bool) {
        if is_stale {
            self.is_stale = false;
            self.list();
            self.return_to_place();
        }
    }

    /// The open place by the names that lead to it.
    fn place_by_name(&self) -> PlaceByName {
        let home = self.home.as_deref();
        let mut opened = VecDeque::new();
        for (place, item) in &self.open[..self.open.len() - 1] {
            let rows = RowList::of(&self.catalogue, *place, home);
            let found = rows.items().position(|found| Some(found) == *item);
            opened.extend(found.and_then(|at| rows.row(&self.catalogue, at)).map(|row| row.name));
        }
        let selected = self.row().filter(|_| self.has_moved).map(|row| row.name);
        PlaceByName { opened, selected }
    }

    /// Opens the rows that lead to the place to return to, as far as they are there, and selects its row.
    fn return_to_place(&mut self) {
        let find = |browser: &Browser, name: &str| {
            browser.rows.names(&browser.catalogue).position(|found| found == name)
        };
        while let Some(name) = self.return_to.opened.front() {
            let Some(found) = find(self, name) else { return };
            self.return_to.opened.pop_front();
            self.selected = found;
            self.enter();
        }
        if let Some(found) = self.return_to.selected.as_ref().and_then(|name| find(self, name)) {
            (self.selected, self.has_moved) = (found, true);
            self.return_to.selected = None;
            self.scroll();
        }
    }

    /// The place that is open.
    pub fn place(&self) -> OpenPlace {
        self.open.last().map_or(self.tree.top(), |(place, _)| *place)
    }

    /// The selected row.
    pub fn row(&self) -> Option<ListRow> {
        self.rows.row(&self.catalogue, self.selected)
    }

    /// What the selected row stands for.
    pub(super) fn item(&self) -> Option<Item> {
        self.rows.items().nth(self.selected)
    }

    /// The selected entry, if the selected row is one.
    pub fn entry(&self) -> Option<u32> {
        if let Some(Item::Entry(entry)) = self.item() { Some(entry) } else { None }
    }

    /// The sums of all marked entries.
    pub fn marked(&self) -> Tally {
        self.catalogue.sums(ROOT, Facet::default()).marked
    }

    /// Makes the rows again. The selected item stays selected, unless nothing was selected yet.
    pub fn list(&mut self) {
        let item = self.item().filter(|_| self.has_moved);
        let place = self.place();
        self.rows = RowList::of(&self.catalogue, place, self.home.as_deref());
        self.total = match place {
            OpenPlace::Below(node, facet) => self.catalogue.sums(node, facet).tally,
            OpenPlace::Statuses | OpenPlace::Tags => self.rows.total_of_groups(),
        };
        self.rows.filter(&self.catalogue, &self.filter);
        self.rows.sort(&self.catalogue, self.order, self.direction);
        self.longest = self.rows.longest(&self.catalogue).max(LONGEST_HEADING);
        self.select(item);
    }

    /// Selects the row of an item, or keeps the index.
    pub(super) fn select(&mut self, item: Option<Item>) {
        let found = item.and_then(|item| self.rows.items().position(|found| found == item));
        self.selected = found.unwrap_or(self.selected).min(self.rows.len().saturating_sub(1));
        self.scroll();
    }

    /// Moves the screen so that the selected row is on it.
    pub fn scroll(&mut self) {
        let height = self.height.max(1);
        if self.selected < self.offset {
            self.offset = self.selected;
        } else if self.selected >= self.offset + height {
            self.offset = self.selected + 1 - height;
        }
        self.offset = self.offset.min(self.rows.len().saturating_sub(height));
    }

    /// Moves the selection by rows.
    pub(super) fn move_by(&mut self, rows: isize) {
        self.has_moved = true;
        self.selected = self.selected.saturating_add_signed(rows).min(self.rows.len().saturating_sub(1));
        self.scroll();
    }

    /// Limits the rows to names with this text.
    pub(super) fn filter_by(&mut self, filter: String) {
        self.filter = filter;
        self.list();
    }

    /// Opens the selected row.
    pub(super) fn enter(&mut self) {
        let Some(item) = self.item() else { return };
        let place = match item {
            Item::Facet(facet) => OpenPlace::Below(ROOT, facet),
            Item::Node(node) => OpenPlace::Below(node, self.place().facet()),
            Item::Entry(_) => {
                self.pane.wish = PaneWish::Open;
                return;
            }
        };
        if let Some(last) = self.open.last_mut() {
            last.1 = Some(item);
        }
        self.open.push((place, None));
        self.arrive(None);
    }

    /// Returns to the place above.
    pub(super) fn leave(&mut self) {
        if self.open.len() > 1 {
            self.open.pop();
            let item = self.open.last().and_then(|(_, item)| *item);
            self.arrive(item);
        }
    }

    /// Shows the rows of a place that was just opened.
    fn arrive(&mut self, item: Option<Item>) {
        (self.selected, self.offset, self.has_moved) = (0, 0, false);
        self.filter.clear();
        self.list();
        self.select(item);
        self.has_moved = item.is_some();
    }

    /// Shows the top of a tree.
    pub(super) fn show(&mut self, tree: TreeView) {
        self.tree = tree;
        self.open = vec![(tree.top(), None)];
        self.arrive(None);
    }

    /// Sorts the rows, or reverses them if this is their order.
    pub(super) fn sort_by(&mut self, order: Order) {
        self.direction = match (self.order == order, self.direction) {
            (true, SortDirection::Usual) => SortDirection::Reversed,
            _ => SortDirection::Usual,
        };
        self.order = order;
        let item = self.item();
        self.list();
        if self.has_moved {
            self.select(item);
        } else {
            (self.selected, self.offset) = (0, 0);
        }
    }

    /// Begins again with an empty catalogue, at the same place as far as it is found again.
    pub fn begin_scan(&mut self) {
        let place = self.place_by_name();
        (self.catalogue, self.rows) = (Catalogue::new(), RowList::default());
        self.scan = ScanState::Running(Duration::ZERO);
        self.pane = Pane { wish: self.pane.wish, ..Pane::default() };
        self.show(self.tree);
        self.return_to = place;
    }

    /// Takes note of entries that were removed.
    pub fn remove(&mut self, entries: &[u32]) {
        self.marked_for_review = false;
        self.catalogue.remove(entries);
        // A place without files is left.
        while self.open.len() > 1 && self.is_empty(self.place()) {
            self.open.pop();
        }
        self.list();
    }

    fn is_empty(&self, place: OpenPlace) -> bool {
        match place {
            OpenPlace::Below(node, facet) => self.catalogue.sums(node, facet).tally.is_empty(),
            OpenPlace::Statuses | OpenPlace::Tags => false,
        }
    }
}
