//! What each key does to the browser.

use super::file::Facet;
use super::keys::{BrowserTask, PressedKey};
use super::node::ROOT;
use super::rows::{Item, OpenPlace, TreeView};
use super::state::{Browser, Dialog, PaneWish, ScanState};
use pycstore::units::human;
use pycstore::verdict::status;
use pycstore::verdict::view::Order;

impl Browser {
    /// Does what a key says.
    pub fn key(&mut self, key: PressedKey) -> Option<BrowserTask> {
        if key == PressedKey::Suspend {
            return Some(BrowserTask::Suspend);
        }
        match &mut self.dialog {
            Dialog::List => self.key_in_list(key),
            Dialog::Filter => self.key_in_filter(key),
            Dialog::MarkStatus => self.key_of_status(key),
            Dialog::Help(first) => {
                if key.scroll(first, usize::MAX).is_none() {
                    self.dialog = Dialog::List;
                }
                (key == PressedKey::Interrupt).then_some(BrowserTask::Quit)
            }
            Dialog::Foreseeing => match key {
                PressedKey::Escape | PressedKey::Character('q') => {
                    self.decline();
                    Some(BrowserTask::Drop)
                }
                PressedKey::Interrupt => Some(BrowserTask::Quit),
                _ => None,
            },
            Dialog::Review(review) => {
                let task = review.key(key);
                if task == Some(BrowserTask::Drop) {
                    self.decline();
                }
                task
            }
            Dialog::Removing(removing) => match key {
                PressedKey::Escape | PressedKey::Character('q') | PressedKey::Interrupt => {
                    removing.is_stopping = true;
                    Some(BrowserTask::Stop)
                }
                _ => None,
            },
            Dialog::Report(report) => {
                if report.key(key) {
                    self.dialog = Dialog::List;
                }
                (key == PressedKey::Interrupt).then_some(BrowserTask::Quit)
            }
        }
    }

    fn key_in_list(&mut self, key: PressedKey) -> Option<BrowserTask> {
        let before = (std::mem::take(&mut self.message), std::mem::take(&mut self.return_to));
        match key {
            PressedKey::Up | PressedKey::Character('k') => self.move_by(-1),
            PressedKey::Down | PressedKey::Character('j') => self.move_by(1),
            PressedKey::PageUp => self.move_by(-(self.height.max(1) as isize)),
            PressedKey::PageDown => self.move_by(self.height.max(1) as isize),
            PressedKey::Home | PressedKey::Character('H' | 'g') => self.move_by(-(self.rows.len() as isize)),
            PressedKey::End | PressedKey::Character('G') => self.move_by(self.rows.len() as isize),
            PressedKey::Enter | PressedKey::Right | PressedKey::Character('l' | 'o') => self.enter(),
            PressedKey::Escape if !self.filter.is_empty() => self.filter_by(String::new()),
            PressedKey::Left
            | PressedKey::Backspace
            | PressedKey::Escape
            | PressedKey::Character('h' | 'u' | '<') => self.leave(),
            PressedKey::Character('s') => self.sort_by(Order::Size),
            PressedKey::Character('c' | 'C') => self.sort_by(Order::Files),
            PressedKey::Character('e') => self.sort_by(Order::Reclaimable),
            PressedKey::Character('m' | 'M') => self.sort_by(Order::LastUsed),
            PressedKey::Character('n') => self.sort_by(Order::Name),
            PressedKey::Tab | PressedKey::Character('v') => self.show(self.tree.next()),
            PressedKey::Character('1') => self.show(TreeView::Owners),
            PressedKey::Character('2') => self.show(TreeView::Statuses),
            PressedKey::Character('3') => self.show(TreeView::Tags),
            PressedKey::Character('/') => self.dialog = Dialog::Filter,
            PressedKey::Character('i') => {
                self.pane.wish = if self.pane.is_visible { PaneWish::Closed } else { PaneWish::Open };
            }
            PressedKey::Character('?') => self.dialog = Dialog::Help(0),
            PressedKey::Character(' ') => self.mark(),
            PressedKey::Character('a') => self.mark_reclaimable(),
            PressedKey::Character('t') => self.dialog = Dialog::MarkStatus,
            PressedKey::Character('U') => {
                let unmarked = self.catalogue.unmark_all();
                self.message = format!("unmarked {}", human::counted(unmarked, "file"));
                self.list();
            }
            PressedKey::Character('d') => return self.foresee(),
            PressedKey::Character('r') => return Some(BrowserTask::Rescan),
            PressedKey::Character('q') | PressedKey::Interrupt => return Some(BrowserTask::Quit),
            PressedKey::Character(_) | PressedKey::Confirm | PressedKey::Suspend => {
                (self.message, self.return_to) = before;
            }
        }
        None
    }

    /// Marks or unmarks what is reclaimable: everywhere, or of what a filter shows.
    fn mark_reclaimable(&mut self) {
        let (items, facet) = match self.shown_by_filter() {
            Some(shown) => (shown, self.place().facet()),
            None => (vec![Item::Node(ROOT)], Facet::default()),
        };
        let change = self.catalogue.toggle_reclaimable(&items, facet);
        self.message = self.catalogue.change_in_words(&change);
        self.list();
    }

    /// What the list shows, if a filter limits it: what it does not show is not marked.
    fn shown_by_filter(&self) -> Option<Vec<Item>> {
        (!self.filter.is_empty()).then(|| self.rows.items().collect())
    }

    /// Takes pasted text: into the filter while it is typed. Elsewhere it is not keys.
    pub fn paste(&mut self, text: &str) {
        if let Dialog::Filter = self.dialog {
            let text: String = text.chars().filter(|it| !it.is_control()).collect();
            self.filter_by(format!("{}{text}", self.filter));
        }
    }

    /// Removes the marks of all but these entries, for what is shown is what is removed.
    pub fn keep_marks_of(&mut self, entries: &[u32]) {
        self.catalogue.keep_marks_of(entries);
        self.list();
    }

    fn foresee(&mut self) -> Option<BrowserTask> {
        if let ScanState::Running(_) = self.scan {
            self.message = "the scan is not done yet".into();
            return None;
        }
        if self.marked().is_empty() {
            let (selected, item) = (self.selected, self.item());
            self.mark();
            self.marked_for_review = !self.marked().is_empty();
            (self.selected, self.message) = (selected, std::mem::take(&mut self.message));
            self.select(item);
        }
        if self.marked().is_empty() {
            return None;
        }
        self.dialog = Dialog::Foreseeing;
        Some(BrowserTask::Foresee)
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

    fn key_in_filter(&mut self, key: PressedKey) -> Option<BrowserTask> {
        match key {
            PressedKey::Enter => self.dialog = Dialog::List,
            PressedKey::Escape => {
                self.dialog = Dialog::List;
                self.filter_by(String::new());
            }
            PressedKey::Interrupt => return Some(BrowserTask::Quit),
            PressedKey::Up => self.move_by(-1),
            PressedKey::Down => self.move_by(1),
            PressedKey::Backspace => {
                let mut filter = self.filter.clone();
                filter.pop();
                self.filter_by(filter);
            }
            PressedKey::Character(character) => self.filter_by(format!("{}{character}", self.filter)),
            _ => {}
        }
        None
    }

    /// Marks the entries of a status in the open place, by the first letter of its name.
    fn key_of_status(&mut self, key: PressedKey) -> Option<BrowserTask> {
        self.dialog = Dialog::List;
        let PressedKey::Character(letter) = key else {
            return (key == PressedKey::Interrupt).then_some(BrowserTask::Quit);
        };
        let Some(index) = status::NAMES.iter().position(|name| name.starts_with(letter)) else {
            self.message = "no status begins with that letter".into();
            return None;
        };
        let (node, tag) = match self.place() {
            OpenPlace::Below(node, facet) => (node, facet.tag),
            OpenPlace::Statuses | OpenPlace::Tags => (ROOT, None),
        };
        let facet = Facet { status: Some(index as u16), tag };
        let items = self.shown_by_filter().unwrap_or_else(|| vec![Item::Node(node)]);
        let change = self.catalogue.toggle(&items, facet);
        self.message = self.catalogue.change_in_words(&change);
        self.list();
        None
    }

    /// Marks or unmarks the selected row, and selects the next.
    fn mark(&mut self) {
        let Some(item) = self.item() else { return };
        let change = self.catalogue.toggle(&[item], self.place().facet());
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
}
