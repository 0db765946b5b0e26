//! What the browser says of where it is and of the selected row.

use super::file::Mark;
use super::node::{NodeKey, ROOT};
use super::rows::{Item, ListRow, OpenPlace, TreeView, facet_name, name};
use super::state::Browser;
use pycstore::units::human;
use std::collections::BTreeSet;

impl Browser {
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
            let OpenPlace::Below(node, facet) = place else { continue };
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
        let mut names: Vec<String> = Vec::new();
        for link in chain {
            let is_folded =
                link != node && matches!(self.catalogue.nodes[link as usize].key, NodeKey::Package(_));
            let colon = if is_folded { ": " } else { "" };
            names.push(format!("{}{colon}", name(&self.catalogue, link, self.home.as_deref())));
        }
        names.reverse();
        names.concat()
    }

    /// A sentence about the selected row: of an entry its status, and why it cannot be marked.
    pub fn about_selected(&self) -> String {
        let Some(row) = self.row() else {
            return if self.filter.is_empty() { String::new() } else { "no name matches the filter".into() };
        };
        let Item::Entry(entry) = row.item else { return self.about_group(&row) };
        let found = &self.catalogue.entries[entry as usize];
        let status = found.facts.status;
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
                NodeKey::Owner(head) => self.catalogue.heads[head].kind.name(),
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
        let mut bars = BTreeSet::new();
        self.catalogue.for_each_below(node, facet, |_| true, |_, entry| bars.extend(entry.facts.bar));
        let words: Vec<String> = bars.into_iter().map(|bar| self.catalogue.bar_in_words(bar)).collect();
        format!("; cannot be marked: {}", words.join("; "))
    }
}
