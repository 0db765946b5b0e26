//! Marks: which entries are to be removed. A mark on a row is one on every entry below it that may be marked.

use super::catalogue::Catalogue;
use super::file::{Bar, BytesCount, Facet, Mark};
use super::node::ROOT;
use super::rows::Item;
use pycstore::store::entry::SeenEntry;
use pycstore::units::human;
use pycstore::verdict::policy::ChosenEntry;
use std::collections::BTreeMap;

/// What a change of marks did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct MarkChange {
    /// How many entries were marked by it.
    pub marked: u64,
    /// How many marks were removed.
    pub unmarked: u64,
    /// How many entries cannot be marked, by the reason.
    pub barred: BTreeMap<Bar, u64>,
}

impl Catalogue {
    /// The entries below an item that are in a facet.
    fn below(&self, item: Item, facet: Facet) -> Vec<u32> {
        let mut found = Vec::new();
        match item {
            Item::Entry(entry) if facet.has(&self.entries[entry as usize]) => found.push(entry),
            Item::Entry(_) => {}
            Item::Node(node) => self.for_each_below(node, facet, |entry| found.push(entry)),
            Item::Facet(own) => {
                self.for_each_below(ROOT, own, |entry| found.push(entry));
                found.retain(|entry| facet.has(&self.entries[*entry as usize]));
            }
        }
        found
    }

    /// Marks all entries below these items, or unmarks them if all that may be marked are.
    pub fn toggle(&mut self, items: &[Item], facet: Facet) -> MarkChange {
        let below = items.iter().flat_map(|item| self.below(*item, facet)).collect();
        self.toggle_all(below)
    }

    /// The same with the reclaimable entries only.
    pub fn toggle_reclaimable(&mut self, items: &[Item], facet: Facet) -> MarkChange {
        let mut found: Vec<u32> = items.iter().flat_map(|item| self.below(*item, facet)).collect();
        found.retain(|entry| self.entries[*entry as usize].facts.is_reclaimable);
        self.toggle_all(found)
    }

    fn toggle_all(&mut self, entries: Vec<u32>) -> MarkChange {
        let mut change = MarkChange::default();
        let mut may_change: Vec<u32> = Vec::new();
        for index in entries {
            match self.entries[index as usize].facts.bar {
                Some(bar) => *change.barred.entry(bar).or_default() += 1,
                None => may_change.push(index),
            }
        }
        let is_marked = |index: &u32| self.entries[*index as usize].mark == Mark::Marked;
        let mark = if may_change.iter().all(is_marked) { Mark::None } else { Mark::Marked };
        for index in may_change {
            let entry = &mut self.entries[index as usize];
            if entry.mark != mark {
                entry.mark = mark;
                *if mark == Mark::Marked { &mut change.marked } else { &mut change.unmarked } += 1;
            }
        }
        self.recount();
        change
    }

    /// Removes the marks of all but these entries.
    pub fn keep_marks_of(&mut self, entries: &[u32]) {
        self.remove_marks();
        entries.iter().for_each(|index| self.entries[*index as usize].mark = Mark::Marked);
        self.recount();
    }

    /// Removes all marks; returns how many there were.
    pub fn unmark_all(&mut self) -> u64 {
        let unmarked = self.remove_marks();
        self.recount();
        unmarked
    }

    fn remove_marks(&mut self) -> u64 {
        let mut unmarked = 0;
        for entry in self.entries.iter_mut().filter(|entry| entry.mark == Mark::Marked) {
            entry.mark = Mark::None;
            unmarked += 1;
        }
        unmarked
    }

    /// The marked entries as a policy takes them, and their indexes in the same order.
    pub fn chosen(&self) -> (Vec<ChosenEntry>, Vec<u32>) {
        let mut directories: Vec<&super::catalogue::StoreDirectory> = self.directories.iter().collect();
        directories.sort_by(|one, other| one.relative.cmp(&other.relative));
        let (mut all, mut indexes) = (Vec::new(), Vec::new());
        for directory in directories {
            for index in directory.first..directory.first + directory.count {
                let entry = &self.entries[index as usize];
                if entry.mark != Mark::Marked {
                    continue;
                }
                let facts = &entry.facts;
                let name = self.name(index).into();
                let identity = (facts.identity, facts.bytes, facts.modified);
                let seen = SeenEntry::of_parts(directory.relative.clone(), name, identity);
                all.push(ChosenEntry { entry: seen, status: facts.status });
                indexes.push(index);
            }
        }
        (all, indexes)
    }

    /// Takes note of entries that were removed. The other names of their files have fewer links.
    pub fn remove(&mut self, entries: &[u32]) {
        for index in entries {
            let entry = &mut self.entries[*index as usize];
            entry.mark = Mark::Removed;
            let (identity, bytes) = (entry.facts.identity, entry.bytes);
            if bytes == BytesCount::ByFile {
                for name in self.inodes.names(identity).to_vec() {
                    let facts = &mut self.entries[name as usize].facts;
                    facts.links = facts.links.saturating_sub(1);
                }
            }
        }
        self.recount();
    }

    /// Why a file cannot be marked, in words.
    pub fn bar_in_words(&self, bar: Bar) -> String {
        match bar {
            Bar::Unknown => "unknown whether Python still uses it".into(),
            Bar::Foreign => "not written by Python".into(),
            Bar::Young => "less than an hour old: it may still be written".into(),
            Bar::Unreadable => "its first bytes cannot be read".into(),
            Bar::NotOurs => "the store belongs to another user".into(),
            Bar::Kept(glob) => format!("kept by {}", &self.globs[glob.into()]),
        }
    }

    /// The change in words.
    pub fn change_in_words(&self, change: &MarkChange) -> String {
        let mut parts = Vec::new();
        if change.marked > 0 {
            parts.push(format!("marked {}", human::counted(change.marked, "file")));
        }
        if change.unmarked > 0 {
            parts.push(format!("unmarked {}", human::counted(change.unmarked, "file")));
        }
        let barred: u64 = change.barred.values().sum();
        if barred > 0 {
            let reasons: Vec<String> = change.barred.keys().map(|bar| self.bar_in_words(*bar)).collect();
            parts.push(format!("{} cannot be marked: {}", human::count(barred), reasons.join("; ")));
        }
        if parts.is_empty() { "nothing to mark".into() } else { parts.join("; ") }
    }
}
