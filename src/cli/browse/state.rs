//! The state of the browser and what each key does to it. Reads and draws nothing.

use super::catalogue::{Batch, Catalogue, Facet, Joined, Mark, NodeKey, ROOT};
use super::keys::{Key, ListKey, list_key};
use super::review::{Removing, Report, Review};
use super::rows::{Direction, Item, ListRow, Place, facet_name, matches, name, rows, sort};
use pycstore::paragraph::width;
use pycstore::units::{Tally, human};
use pycstore::verdict::status;
use pycstore::verdict::view::Order;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the state asks the program to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// End.
    Quit,
    /// Stop this process, as Ctrl+Z does elsewhere.
    Suspend,
    /// Scan the store again.
    Rescan,
    /// Find out what the removal of the marked entries would do.
    Foresee,
    /// Drop what [`Task::Foresee`] began.
    Drop,
    /// Remove the marked entries.
    Remove,
    /// Stop the removal.
    Stop,
}

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
    Report(Report),
}

/// How far the scan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanState {
    /// It runs for this long.
    Running(Duration),
    /// It is done; how many problems there were.
    Done(usize),
}

/// Which tree is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TreeView {
    /// By owner.
    Owners,
    /// By status.
    Statuses,
    /// By cache tag.
    Tags,
}

impl TreeView {
    fn top(self) -> Place {
        match self {
            TreeView::Owners => Place::Below(ROOT, Facet::default()),
            TreeView::Statuses => Place::Statuses,
            TreeView::Tags => Place::Tags,
        }
    }

    fn next(self) -> TreeView {
        match self {
            TreeView::Owners => TreeView::Statuses,
            TreeView::Statuses => TreeView::Tags,
            TreeView::Tags => TreeView::Owners,
        }
    }
}

/// The side pane.
#[derive(Debug, Default)]
pub struct Pane {
    /// Whether it is shown.
    pub is_open: bool,
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
    pub open: Vec<(Place, Option<Item>)>,
    /// The rows of the open place that match the filter, sorted.
    pub rows: Vec<ListRow>,
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
    pub direction: Direction,
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
    has_moved: bool,
    /// Whether the marks were made by the key that asks for the review.
    marked_for_review: bool,
    /// The place where the last scan was left.
    return_to: PlaceByName,
}

/// A place that is found again in another catalogue.
#[derive(Debug, Default)]
struct PlaceByName {
    /// The names of the rows that were opened one after another.
    opened: VecDeque<String>,
    /// The name of the row that was selected there.
    selected: Option<String>,
}

impl Browser {
    /// An empty browser at the beginning of a scan.
    pub fn new(home: Option<PathBuf>) -> Browser {
        let tree = TreeView::Owners;
        Browser {
            catalogue: Catalogue::new(),
            home,
            tree,
            open: vec![(tree.top(), None)],
            rows: Vec::new(),
            total: Tally::default(),
            longest: 0,
            selected: 0,
            offset: 0,
            height: 1,
            order: Order::Size,
            direction: Direction::Usual,
            filter: String::new(),
            dialog: Dialog::List,
            message: String::new(),
            scan: ScanState::Running(Duration::ZERO),
            pane: Pane { is_open: true, ..Pane::default() },
            is_stale: false,
            has_moved: false,
            marked_for_review: false,
            return_to: PlaceByName::default(),
        }
    }

    /// Adds what the scan found. The rows follow at the next [`Browser::refresh`].
    pub fn add(&mut self, batch: Batch) {
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
            let rows = rows(&self.catalogue, *place, home);
            opened.extend(rows.into_iter().find(|row| Some(row.item) == *item).map(|row| row.name));
        }
        let selected = self.row().filter(|_| self.has_moved).map(|row| row.name.clone());
        PlaceByName { opened, selected }
    }

    /// Opens the rows that lead to the place to return to, as far as they are there, and selects its row.
    fn return_to_place(&mut self) {
        let find = |rows: &[ListRow], name: &str| rows.iter().position(|row| row.name == name);
        while let Some(name) = self.return_to.opened.front() {
            let Some(found) = find(&self.rows, name) else { return };
            self.return_to.opened.pop_front();
            self.selected = found;
            self.enter();
        }
        if let Some(found) = self.return_to.selected.as_ref().and_then(|name| find(&self.rows, name)) {
            (self.selected, self.has_moved) = (found, true);
            self.return_to.selected = None;
            self.scroll();
        }
    }

    /// The place that is open.
    pub fn place(&self) -> Place {
        self.open.last().map_or(self.tree.top(), |(place, _)| *place)
    }

    /// The selected row.
    pub fn row(&self) -> Option<&ListRow> {
        self.rows.get(self.selected)
    }

    /// The selected entry, if the selected row is one.
    pub fn entry(&self) -> Option<u32> {
        self.row().and_then(|row| if let Item::Entry(entry) = row.item { Some(entry) } else { None })
    }

    /// The sums of all marked entries.
    pub fn marked(&self) -> Tally {
        self.catalogue.sums(ROOT, Facet::default()).marked
    }

    /// Makes the rows again. The selected item stays selected, unless nothing was selected yet.
    pub fn list(&mut self) {
        let item = self.row().map(|row| row.item).filter(|_| self.has_moved);
        let place = self.place();
        let mut all = rows(&self.catalogue, place, self.home.as_deref());
        self.total = all.iter().fold(Tally::default(), |mut sum, row| {
            sum += row.sums.tally;
            sum
        });
        if let Place::Below(node, facet) = place {
            self.total = self.catalogue.sums(node, facet).tally;
        }
        all.retain(|row| matches(row, &self.filter));
        sort(&mut all, self.order, self.direction);
        self.longest = all.iter().map(|row| width(&row.name)).max().unwrap_or(0);
        self.rows = all;
        self.select(item);
    }

    /// Selects the row of an item, or keeps the index.
    fn select(&mut self, item: Option<Item>) {
        let found = item.and_then(|item| self.rows.iter().position(|row| row.item == item));
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

    fn move_by(&mut self, rows: isize) {
        self.has_moved = true;
        self.selected = self.selected.saturating_add_signed(rows).min(self.rows.len().saturating_sub(1));
        self.scroll();
    }

    /// The path of open places in words.
    pub fn trail(&self) -> String {
        let top = match self.tree {
            TreeView::Owners => "owners",
            TreeView::Statuses => "statuses",
            TreeView::Tags => "tags",
        };
        let mut trail = top.to_string();
        let mut above = ROOT;
        for (place, _) in &self.open[1..] {
            let Place::Below(node, facet) = place else { continue };
            trail.push_str(" > ");
            if *node == ROOT {
                trail.push_str(&facet_name(&self.catalogue, *facet));
            }
            trail.push_str(&self.names_between(above, *node));
            above = *node;
        }
        trail
    }

    /// The names of the nodes below one down to another, as one.
    fn names_between(&self, above: u32, node: u32) -> String {
        let parent = |node: &u32| Some(self.catalogue.nodes[*node as usize].parent);
        let chain = std::iter::successors(Some(node), parent).take_while(|it| *it != above && *it != ROOT);
        let mut names: Vec<String> =
            chain.map(|node| name(&self.catalogue, node, self.home.as_deref())).collect();
        names.reverse();
        names.concat()
    }

    /// Does what a key says.
    pub fn key(&mut self, key: Key) -> Option<Task> {
        if key == Key::Suspend {
            return Some(Task::Suspend);
        }
        match &mut self.dialog {
            Dialog::List => self.key_in_list(key),
            Dialog::Filter => self.key_in_filter(key),
            Dialog::MarkStatus => self.key_of_status(key),
            Dialog::Help(line) => {
                match key {
                    Key::Up | Key::Character('k') => *line = line.saturating_sub(1),
                    Key::Down | Key::Character('j') => *line += 1,
                    Key::PageUp => *line = line.saturating_sub(10),
                    Key::PageDown => *line += 10,
                    Key::Interrupt => return Some(Task::Quit),
                    _ => self.dialog = Dialog::List,
                }
                None
            }
            Dialog::Foreseeing => match key {
                Key::Escape | Key::Character('q') => {
                    self.decline();
                    Some(Task::Drop)
                }
                Key::Interrupt => Some(Task::Quit),
                _ => None,
            },
            Dialog::Review(review) => {
                let task = review.key(key);
                if task == Some(Task::Drop) {
                    self.decline();
                }
                task
            }
            Dialog::Removing(removing) => match key {
                Key::Escape | Key::Character('q') | Key::Interrupt => {
                    removing.is_stopping = true;
                    Some(Task::Stop)
                }
                _ => None,
            },
            Dialog::Report(report) => {
                if report.key(key) {
                    self.dialog = Dialog::List;
                }
                (key == Key::Interrupt).then_some(Task::Quit)
            }
        }
    }

    fn key_in_list(&mut self, key: Key) -> Option<Task> {
        let key = list_key(key)?;
        self.message.clear();
        self.return_to = PlaceByName::default();
        match key {
            ListKey::Quit => return Some(Task::Quit),
            ListKey::Rescan => return Some(Task::Rescan),
            ListKey::Move(rows) => self.move_by(rows),
            ListKey::Page(pages) => self.move_by(pages * self.height.max(1) as isize),
            ListKey::First => self.move_by(-(self.rows.len() as isize)),
            ListKey::Last => self.move_by(self.rows.len() as isize),
            ListKey::Open => self.enter(),
            ListKey::Leave => self.leave(),
            ListKey::Escape if !self.filter.is_empty() => self.filter_by(String::new()),
            ListKey::Escape => self.leave(),
            ListKey::Sort(order) => self.sort_by(order),
            ListKey::NextTree => self.show(self.tree.next()),
            ListKey::Tree(tree) => self.show(tree),
            ListKey::Filter => self.dialog = Dialog::Filter,
            ListKey::Pane => self.pane.is_open = !self.pane.is_open,
            ListKey::Help => self.dialog = Dialog::Help(0),
            ListKey::Mark => self.mark(),
            ListKey::MarkReclaimable => {
                let change = self.catalogue.toggle_reclaimable();
                self.message = self.catalogue.change_in_words(&change);
                self.list();
            }
            ListKey::MarkStatus => self.dialog = Dialog::MarkStatus,
            ListKey::Unmark => {
                let unmarked = self.catalogue.unmark_all();
                self.message = format!("unmarked {}", human::counted(unmarked, "file"));
                self.list();
            }
            ListKey::Remove => return self.foresee(),
        }
        None
    }

    fn foresee(&mut self) -> Option<Task> {
        if let ScanState::Running(_) = self.scan {
            self.message = "the scan is not done yet".into();
            return None;
        }
        if self.marked().is_empty() {
            let (selected, item) = (self.selected, self.row().map(|row| row.item));
            self.mark();
            self.marked_for_review = !self.marked().is_empty();
            (self.selected, self.message) = (selected, std::mem::take(&mut self.message));
            self.select(item);
        }
        if self.marked().is_empty() {
            return None;
        }
        self.dialog = Dialog::Foreseeing;
        Some(Task::Foresee)
    }

    /// Returns to the list without removing anything. Marks that were made for the review go.
    pub fn decline(&mut self) {
        self.dialog = Dialog::List;
        if std::mem::take(&mut self.marked_for_review) {
            self.catalogue.unmark_all();
            self.list();
        }
        self.message = "nothing was removed".into();
    }

    fn key_in_filter(&mut self, key: Key) -> Option<Task> {
        match key {
            Key::Enter => self.dialog = Dialog::List,
            Key::Escape => {
                self.dialog = Dialog::List;
                self.filter_by(String::new());
            }
            Key::Interrupt => return Some(Task::Quit),
            Key::Up => self.move_by(-1),
            Key::Down => self.move_by(1),
            Key::Backspace => {
                let mut filter = self.filter.clone();
                filter.pop();
                self.filter_by(filter);
            }
            Key::Character(character) => self.filter_by(format!("{}{character}", self.filter)),
            _ => {}
        }
        None
    }

    fn filter_by(&mut self, filter: String) {
        self.filter = filter;
        self.list();
    }

    /// Marks the entries of a status in the open place, by the first letter of its name.
    fn key_of_status(&mut self, key: Key) -> Option<Task> {
        self.dialog = Dialog::List;
        let Key::Character(letter) = key else { return (key == Key::Interrupt).then_some(Task::Quit) };
        let Some(index) = status::NAMES.iter().position(|name| name.starts_with(letter)) else {
            self.message = "no status begins with that letter".into();
            return None;
        };
        let (node, tag) = match self.place() {
            Place::Below(node, facet) => (node, facet.tag),
            Place::Statuses | Place::Tags => (ROOT, None),
        };
        let facet = Facet { status: Some(index as u16), tag };
        let change = self.catalogue.toggle(Item::Node(node), facet);
        self.message = self.catalogue.change_in_words(&change);
        self.list();
        None
    }

    /// Marks or unmarks the selected row, and selects the next.
    fn mark(&mut self) {
        let Some(item) = self.row().map(|row| row.item) else { return };
        let change = self.catalogue.toggle(item, self.place().facet());
        self.message = match change.marked + change.unmarked {
            0 => self.catalogue.change_in_words(&change),
            _ if change.barred.is_empty() => String::new(),
            _ => self.catalogue.change_in_words(&change),
        };
        self.has_moved = true;
        self.list();
        if change.marked + change.unmarked > 0 {
            self.move_by(1);
        }
    }

    /// Opens the selected row.
    fn enter(&mut self) {
        let Some(row) = self.row() else { return };
        let place = match row.item {
            Item::Facet(facet) => Place::Below(ROOT, facet),
            Item::Node(node) => Place::Below(node, self.place().facet()),
            Item::Entry(_) => {
                self.pane.is_open = true;
                return;
            }
        };
        let item = row.item;
        if let Some(last) = self.open.last_mut() {
            last.1 = Some(item);
        }
        self.open.push((place, None));
        self.arrive(None);
    }

    /// Returns to the place above.
    fn leave(&mut self) {
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

    fn show(&mut self, tree: TreeView) {
        self.tree = tree;
        self.open = vec![(tree.top(), None)];
        self.arrive(None);
    }

    fn sort_by(&mut self, order: Order) {
        self.direction = match (self.order == order, self.direction) {
            (true, Direction::Usual) => Direction::Reversed,
            _ => Direction::Usual,
        };
        self.order = order;
        let item = self.row().map(|row| row.item);
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
        self.catalogue = Catalogue::new();
        self.scan = ScanState::Running(Duration::ZERO);
        self.pane = Pane { is_open: self.pane.is_open, ..Pane::default() };
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

    fn is_empty(&self, place: Place) -> bool {
        match place {
            Place::Below(node, facet) => self.catalogue.sums(node, facet).tally.is_empty(),
            Place::Statuses | Place::Tags => false,
        }
    }

    /// A sentence about the selected row: of an entry its status, and why it cannot be marked.
    pub fn about_selected(&self) -> String {
        let Some(row) = self.row() else {
            return if self.filter.is_empty() { String::new() } else { "no name matches the filter".into() };
        };
        let Item::Entry(entry) = row.item else { return self.about_group(row) };
        let found = &self.catalogue.entries[entry as usize];
        let status = status_in_words(found.facts.status);
        let marked = match (found.facts.bar, found.mark) {
            (Some(bar), _) => format!("; cannot be marked: {}", self.catalogue.bar_in_words(bar)),
            (None, Mark::Marked) => "; marked".into(),
            (None, _) => String::new(),
        };
        format!("{status}{marked}")
    }

    fn about_group(&self, row: &ListRow) -> String {
        let sums = &row.sums;
        let kind = match row.item {
            Item::Node(node) => match self.catalogue.nodes[node as usize].key {
                NodeKey::Owner(head) => self.catalogue.heads[head as usize].kind.name(),
                NodeKey::Environment(_) => "environment",
                NodeKey::Package(_) => "package",
                _ => "directory",
            },
            _ => "",
        };
        let files = human::counted(sums.tally.files, "file");
        let bar = match sums.markable {
            0 => self.bars_below(row.item),
            all if all < sums.tally.files => {
                format!("; {} cannot be marked", human::count(sums.tally.files - all))
            }
            _ => String::new(),
        };
        let kind = if kind.is_empty() { String::new() } else { format!("{kind}, ") };
        format!("{kind}{files}{bar}")
    }

    /// Why nothing below an item can be marked.
    fn bars_below(&self, item: Item) -> String {
        let (node, facet) = match item {
            Item::Node(node) => (node, self.place().facet()),
            Item::Facet(facet) => (ROOT, facet),
            Item::Entry(_) => return String::new(),
        };
        let mut bars = std::collections::BTreeSet::new();
        self.catalogue.for_each_below(node, facet, |entry| {
            bars.extend(self.catalogue.entries[entry as usize].facts.bar);
        });
        let words: Vec<String> = bars.into_iter().map(|bar| self.catalogue.bar_in_words(bar)).collect();
        format!("; cannot be marked: {}", words.join("; "))
    }

    /// The home as a path.
    pub fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }
}

/// `stale (mtime)`.
pub fn status_in_words(status: status::Status) -> String {
    match status.reason() {
        Some(reason) => format!("{} ({reason})", status.name()),
        None => status.name().to_string(),
    }
}
