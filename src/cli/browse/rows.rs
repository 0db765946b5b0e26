//! The rows of a list: what is directly below the place that is open. Those of files are made when they are needed, for there
//! may be hundreds of thousands.

use super::catalogue::Catalogue;
use super::file::{BytesCount, Facet, MIXED, Mark};
use super::node::{Node, NodeKey, ROOT};
use super::sums::Sums;
use pycstore::paragraph::width;
use pycstore::pyc::tags;
use pycstore::quoting::at_home;
use pycstore::source::owner::{Life, Owner};
use pycstore::units::Tally;
use pycstore::verdict::status;
use pycstore::verdict::view::Order;
use std::borrow::Cow;
use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;
use std::path::Path;

/// What a row stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// All files of a status or tag.
    Facet(Facet),
    /// An owner, environment, package or directory.
    Node(u32),
    /// A file.
    Entry(u32),
}

/// What a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenPlace {
    Statuses,
    /// The cache tags.
    Tags,
    /// What is directly below a node, as far as it is in a facet.
    Below(u32, Facet),
}

/// A row.
#[derive(Debug, Clone)]
pub struct ListRow {
    /// What it stands for.
    pub item: Item,
    /// Its name, not escaped.
    pub name: String,
    /// Its files.
    pub sums: Sums,
    /// The bytes on disk that it shares with other rows.
    pub shared: u64,
    /// Whether it was deleted, or is of no more use.
    pub is_gone: bool,
}

/// A row of a [`RowList`].
#[derive(Debug, Clone, Copy)]
enum RowKey {
    /// The index of its group.
    Group(u32),
    /// The index of an entry in the catalogue.
    Entry(u32),
}

/// The rows of a place.
#[derive(Debug, Default)]
pub struct RowList {
    groups: Vec<ListRow>,
    order: Vec<RowKey>,
}

/// Whether the usual first row comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SortDirection {
    /// It does.
    #[default]
    Usual,
    /// It comes last.
    Reversed,
}

impl OpenPlace {
    /// The facet of what is below.
    pub fn facet(self) -> Facet {
        if let OpenPlace::Below(_, facet) = self { facet } else { Facet::default() }
    }
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
    /// The place at its top.
    pub fn top(self) -> OpenPlace {
        match self {
            TreeView::Owners => OpenPlace::Below(ROOT, Facet::default()),
            TreeView::Statuses => OpenPlace::Statuses,
            TreeView::Tags => OpenPlace::Tags,
        }
    }

    /// The one after it.
    pub fn next(self) -> TreeView {
        match self {
            TreeView::Owners => TreeView::Statuses,
            TreeView::Statuses => TreeView::Tags,
            TreeView::Tags => TreeView::Owners,
        }
    }
}

impl RowList {
    /// The rows of a place in no order.
    pub fn of(catalogue: &Catalogue, place: OpenPlace, home: Option<&Path>) -> RowList {
        let groups: Vec<ListRow> = match place {
            OpenPlace::Statuses => {
                let facets = (0..status::NAMES.len() as u16).map(|it| Facet { status: Some(it), tag: None });
                facets.filter_map(|facet| facet_row(catalogue, facet)).collect()
            }
            OpenPlace::Tags => {
                let tags = (0..catalogue.tags.len() as u16).chain([MIXED]);
                tags.filter_map(|it| facet_row(catalogue, Facet { tag: Some(it), status: None })).collect()
            }
            OpenPlace::Below(node, facet) => groups_below(catalogue, node, facet, home),
        };
        let mut order: Vec<RowKey> = (0..groups.len() as u32).map(RowKey::Group).collect();
        if let OpenPlace::Below(node, facet) = place {
            let runs = catalogue.nodes[node as usize].runs.iter();
            let is_shown = |entry: &u32| {
                let found = &catalogue.entries[*entry as usize];
                found.mark != Mark::Removed && facet.has(found)
            };
            let entries = runs.flat_map(|(first, count)| *first..first + count).filter(is_shown);
            order.extend(entries.map(RowKey::Entry));
        }
        RowList { groups, order }
    }

    /// Their number.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Whether there are rows of entries.
    pub fn has_entries(&self) -> bool {
        self.order.iter().any(|listed| matches!(listed, RowKey::Entry(_)))
    }

    /// The sums of the rows that are not entries.
    pub fn total_of_groups(&self) -> Tally {
        self.groups.iter().map(|row| row.sums.tally).sum()
    }

    /// What the rows stand for.
    pub fn items(&self) -> impl ExactSizeIterator<Item = Item> {
        self.order.iter().map(|listed| match listed {
            RowKey::Group(group) => self.groups[*group as usize].item,
            RowKey::Entry(entry) => Item::Entry(*entry),
        })
    }

    /// Their names, not escaped.
    pub fn names<'a>(&'a self, catalogue: &'a Catalogue) -> impl Iterator<Item = Cow<'a, str>> {
        self.order.iter().map(|listed| self.name(catalogue, *listed))
    }

    fn name<'a>(&'a self, catalogue: &'a Catalogue, listed: RowKey) -> Cow<'a, str> {
        match listed {
            RowKey::Group(group) => self.groups[group as usize].name.as_str().into(),
            RowKey::Entry(entry) => String::from_utf8_lossy(catalogue.name(entry)),
        }
    }

    /// A row.
    pub fn row(&self, catalogue: &Catalogue, index: usize) -> Option<ListRow> {
        let listed = *self.order.get(index)?;
        Some(match listed {
            RowKey::Group(group) => self.groups[group as usize].clone(),
            RowKey::Entry(entry) => {
                let (sums, shared) = self.figures(catalogue, listed);
                let name = self.name(catalogue, listed).into_owned();
                let is_gone = catalogue.entries[entry as usize].facts.is_reclaimable;
                ListRow { item: Item::Entry(entry), name, sums, shared, is_gone }
            }
        })
    }

    /// The sums of a row, and the bytes on disk that it shares with others.
    fn figures(&self, catalogue: &Catalogue, listed: RowKey) -> (Sums, u64) {
        match listed {
            RowKey::Group(group) => {
                let ListRow { sums, shared, .. } = self.groups[group as usize];
                (sums, shared)
            }
            RowKey::Entry(entry) => {
                let found = &catalogue.entries[entry as usize];
                (Sums::of(found), if found.bytes == BytesCount::ByFile { found.facts.disk } else { 0 })
            }
        }
    }

    /// The columns of the longest name.
    pub fn longest(&self, catalogue: &Catalogue) -> usize {
        // No character has more columns than bytes.
        self.names(catalogue)
            .fold(0, |longest, name| if name.len() > longest { longest.max(width(&name)) } else { longest })
    }

    /// Removes the rows whose name has not this text in it, in any case.
    pub fn filter(&mut self, catalogue: &Catalogue, filter: &str) {
        if !filter.is_empty() {
            let filter = filter.to_lowercase();
            let mut order = std::mem::take(&mut self.order);
            order.retain(|listed| matches(&self.name(catalogue, *listed), &filter));
            self.order = order;
        }
    }

    /// Sorts the rows.
    pub fn sort(&mut self, catalogue: &Catalogue, order: Order, direction: SortDirection) {
        let mut sorted = std::mem::take(&mut self.order);
        // Names first, as most are in order already; the second sort keeps that of equals.
        sorted.sort_by(|one, other| self.compare_names(catalogue, *one, *other));
        sorted.sort_by_cached_key(|listed| Reverse(key(self.figures(catalogue, *listed), order)));
        if direction == SortDirection::Reversed {
            sorted.reverse();
        }
        self.order = sorted;
    }

    /// Tags in the order of their versions, others by name.
    fn compare_names(&self, catalogue: &Catalogue, one: RowKey, other: RowKey) -> Ordering {
        if let (RowKey::Entry(one), RowKey::Entry(other)) = (one, other) {
            let directory = |entry: u32| catalogue.entries[entry as usize].directory;
            // Those of a directory are sorted by name.
            let is_sorted = directory(one) == directory(other);
            return if is_sorted { one.cmp(&other) } else { catalogue.name(one).cmp(catalogue.name(other)) };
        }
        let (first, second) = (self.name(catalogue, one), self.name(catalogue, other));
        let is_facet = |listed| matches!(listed, RowKey::Group(it) if matches!(self.groups[it as usize].item, Item::Facet(_)));
        if is_facet(one) { tags::order(&first).cmp(&tags::order(&second)) } else { first.cmp(&second) }
    }
}

/// What rows are sorted by before their name, the largest first.
fn key((sums, shared): (Sums, u64), order: Order) -> (u64, u64) {
    match order {
        Order::Size => (sums.tally.disk + shared, 0),
        Order::Files => (sums.tally.files, 0),
        Order::Reclaimable => (sums.reclaimable.disk, sums.reclaimable.files),
        // The first bit puts moments before 1970 before the others.
        Order::LastUsed => (sums.used.map_or(0, |seconds| seconds.cast_unsigned() ^ (1 << 63)), 0),
        Order::Name => (0, 0),
    }
}

/// Whether a name has a text in lower case in it, in any case.
pub(super) fn matches(name: &str, text: &str) -> bool {
    if name.is_ascii() && text.is_ascii() {
        return name.as_bytes().windows(text.len()).any(|part| part.eq_ignore_ascii_case(text.as_bytes()));
    }
    name.to_lowercase().contains(text)
}

fn facet_row(catalogue: &Catalogue, facet: Facet) -> Option<ListRow> {
    let sums = catalogue.sums(ROOT, facet);
    if sums.tally.is_empty() {
        return None;
    }
    let is_gone = facet.status.is_some() && sums.reclaimable.files == sums.tally.files;
    Some(ListRow { item: Item::Facet(facet), name: facet_name(catalogue, facet), sums, shared: 0, is_gone })
}

/// The name of a status or tag.
pub fn facet_name(catalogue: &Catalogue, facet: Facet) -> String {
    match (facet.status, facet.tag) {
        (Some(index), _) => status::NAMES[usize::from(index)].into(),
        (_, Some(MIXED)) => "(no tag)".into(),
        (_, Some(index)) => catalogue.tags[index.into()].to_string(),
        _ => String::new(),
    }
}

fn groups_below(catalogue: &Catalogue, node: u32, facet: Facet, home: Option<&Path>) -> Vec<ListRow> {
    let at = &catalogue.nodes[node as usize];
    let shared = match catalogue.inodes.is_empty() {
        true => HashMap::new(),
        false => catalogue.inodes.shared((&catalogue.entries, &catalogue.nodes), node, facet),
    };
    let mut rows = Vec::new();
    for child in &at.children {
        let sums = catalogue.sums(*child, facet);
        if sums.tally.is_empty() {
            continue;
        }
        let (item, name) = folded(catalogue, *child, home);
        let shared = shared.get(child).copied().unwrap_or(0);
        let is_gone = is_gone(catalogue, &catalogue.nodes[*child as usize]);
        rows.push(ListRow { item: Item::Node(item), name, sums, shared, is_gone });
    }
    rows
}

fn is_gone(catalogue: &Catalogue, node: &Node) -> bool {
    matches!(node.key, NodeKey::Owner(head) if catalogue.heads[head].life == Life::Gone)
}

/// The node of a row, and its name: directories that have only one directory in them share its row, and so does a package.
fn folded(catalogue: &Catalogue, mut node: u32, home: Option<&Path>) -> (u32, String) {
    let mut name = name(catalogue, node, home);
    let is_package = matches!(catalogue.nodes[node as usize].key, NodeKey::Package(_));
    loop {
        let at = &catalogue.nodes[node as usize];
        let ([only], NodeKey::Directory(_) | NodeKey::Package(_)) = (at.children.as_slice(), at.key) else {
            break;
        };
        if !at.runs.is_empty() {
            break;
        }
        node = *only;
        if !is_package {
            name.push_str(&self::name(catalogue, node, home));
        }
    }
    (node, name)
}

/// The name of an owner, not escaped.
pub fn owner_name(owner: &Owner, home: Option<&Path>) -> String {
    let gone = if owner.life == Life::Gone { " (gone)" } else { "" };
    // Its own files, such as the `CACHEDIR.TAG` of `setup`, do not belong to `/`.
    if owner.root == Path::new("/") {
        return "in the store itself".into();
    }
    format!("{}{gone}", at_home(&owner.root, home))
}

/// The name of a node, not escaped.
pub fn name(catalogue: &Catalogue, node: u32, home: Option<&Path>) -> String {
    match catalogue.nodes[node as usize].key {
        NodeKey::Root => "owners".into(),
        NodeKey::Owner(head) => owner_name(&catalogue.heads[head], home),
        NodeKey::Environment(text) | NodeKey::Directory(text) => {
            format!("{}/", catalogue.text_of(text).to_string_lossy())
        }
        NodeKey::Package(package) => catalogue.packages[package].to_string(),
    }
}

/// The path of the store that a row shows, for people: of an entry its own.
pub fn path_in_store(catalogue: &Catalogue, entry: u32) -> Vec<u8> {
    pycstore::pyc::name::joined(&catalogue.directory_of(entry).relative, catalogue.name(entry))
}
