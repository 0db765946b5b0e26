//! The rows of a list: what is directly below the place that is open.

use super::catalogue::Catalogue;
use super::file::{BytesCount, Facet, MIXED, Mark};
use super::node::{Node, NodeKey, ROOT};
use super::sums::Sums;
use pycstore::pyc::tags;
use pycstore::quoting::at_home;
use pycstore::source::owner::Life;
use pycstore::verdict::status;
use pycstore::verdict::view::Order;
use std::cmp::Ordering;
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
    /// The statuses.
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

/// The rows of a place in no order.
pub fn rows(catalogue: &Catalogue, place: OpenPlace, home: Option<&Path>) -> Vec<ListRow> {
    match place {
        OpenPlace::Statuses => {
            let facets = (0..status::NAMES.len() as u16).map(|it| Facet { status: Some(it), tag: None });
            facets.filter_map(|facet| facet_row(catalogue, facet)).collect()
        }
        OpenPlace::Tags => {
            let tags = (0..catalogue.tags.len() as u16).chain([MIXED]);
            tags.filter_map(|it| facet_row(catalogue, Facet { tag: Some(it), status: None })).collect()
        }
        OpenPlace::Below(node, facet) => below(catalogue, node, facet, home),
    }
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
        (_, Some(index)) => catalogue.tags[usize::from(index)].to_string(),
        _ => String::new(),
    }
}

fn below(catalogue: &Catalogue, node: u32, facet: Facet, home: Option<&Path>) -> Vec<ListRow> {
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
    for entry in at.runs.iter().flat_map(|(first, count)| *first..first + count) {
        let found = &catalogue.entries[entry as usize];
        if found.mark == Mark::Removed || !facet.has(found) {
            continue;
        }
        let name = String::from_utf8_lossy(catalogue.name(entry)).into_owned();
        let shared = if found.bytes == BytesCount::ByFile { found.facts.disk } else { 0 };
        let is_gone = found.facts.is_reclaimable;
        rows.push(ListRow { item: Item::Entry(entry), name, sums: Sums::of(found), shared, is_gone });
    }
    rows
}

fn is_gone(catalogue: &Catalogue, node: &Node) -> bool {
    matches!(node.key, NodeKey::Owner(head) if catalogue.heads[head as usize].life == Life::Gone)
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

/// The name of a node, not escaped.
pub fn name(catalogue: &Catalogue, node: u32, home: Option<&Path>) -> String {
    match catalogue.nodes[node as usize].key {
        NodeKey::Root => "owners".into(),
        NodeKey::Owner(head) => {
            let owner = &catalogue.heads[head as usize];
            let gone = if owner.life == Life::Gone { " (gone)" } else { "" };
            format!("{}{gone}", at_home(&owner.root, home))
        }
        NodeKey::Environment(text) | NodeKey::Directory(text) => {
            format!("{}/", catalogue.text_of(text).to_string_lossy())
        }
        NodeKey::Package(package) => catalogue.packages[package as usize].to_string(),
    }
}

/// Sorts the rows.
pub fn sort(rows: &mut [ListRow], order: Order, direction: SortDirection) {
    let compare = |one: &ListRow, other: &ListRow| {
        let by_order = match order {
            Order::Size => (other.sums.tally.disk + other.shared).cmp(&(one.sums.tally.disk + one.shared)),
            Order::Files => other.sums.tally.files.cmp(&one.sums.tally.files),
            Order::Reclaimable => {
                let key = |row: &ListRow| (row.sums.reclaimable.disk, row.sums.reclaimable.files);
                key(other).cmp(&key(one))
            }
            Order::LastUsed => other.sums.used.cmp(&one.sums.used),
            Order::Name => Ordering::Equal,
        };
        by_order.then_with(|| compare_names(one, other))
    };
    rows.sort_by(|one, other| match direction {
        SortDirection::Usual => compare(one, other),
        SortDirection::Reversed => compare(other, one),
    });
}

/// Tags in the order of their versions, others by name.
fn compare_names(one: &ListRow, other: &ListRow) -> Ordering {
    match (one.item, other.item) {
        (Item::Facet(_), Item::Facet(_)) => tags::order(&one.name).cmp(&tags::order(&other.name)),
        _ => one.name.cmp(&other.name),
    }
}

/// Whether the name of a row has this text in it, in any case.
pub fn matches(row: &ListRow, filter: &str) -> bool {
    filter.is_empty() || row.name.to_lowercase().contains(&filter.to_lowercase())
}

/// The path of the store that a row shows, for people: of an entry its own.
pub fn path_in_store(catalogue: &Catalogue, entry: u32) -> Vec<u8> {
    pycstore::pyc::name::joined(&catalogue.directory_of(entry).relative, catalogue.name(entry))
}

/// `stale (mtime)`.
pub fn status_in_words(status: status::Status) -> String {
    match status.reason() {
        Some(reason) => format!("{} ({reason})", status.name()),
        None => status.name().to_string(),
    }
}
