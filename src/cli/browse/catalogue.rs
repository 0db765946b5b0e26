//! All files of the store in memory, as a tree: owner, environment or package, directory, entry.
//!
//! The scan delivers a [`ScanBatch`] for each directory of the store. A node adds up the files below it by status and cache tag, so
//! that the views by status and by tag show parts of the same tree ([`Facet`]).
//!
//! # Invariants
//!
//! * A node has a larger index than its parent.
//! * Nothing depends on the order of the batches, except indexes.
//! * A file with several hard links counts by name; its bytes count once, in the nodes that have all its names
//!   ([`super::inodes`]).
//! * Memory: about 75 bytes and the name for each entry, and a few hundred for each directory.

use super::file::{Bar, BatchFile, BytesCount, CatalogueEntry, Facet, MIXED, Mark, ScanBatch};
use super::inodes::Inodes;
use super::interned::Interned;
use super::node::{Node, NodeKey, ROOT};
use super::sums::{Cell, Sums, add_cell};
use pycstore::pyc::name;
use pycstore::source::owner::{Owner, Spellings};
use pycstore::units::Tally;
use pycstore::verdict::emptied::EmptiedIn;
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// A directory of the store, or a part of it.
#[derive(Debug)]
pub struct StoreDirectory {
    /// Its path from the store's root.
    pub relative: Arc<[u8]>,
    /// Its own disk usage.
    own: Tally,
    /// The index of the owner in `Catalogue::owners`; nothing of a directory without files.
    owner: u32,
    /// Its first file; the others follow.
    pub first: u32,
    /// How many files it has.
    pub count: u32,
}

/// What [`Catalogue::join_spellings`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// Nothing: no owner has several spellings.
    AsBefore,
    /// It made all nodes anew.
    Anew,
}

/// All files of a store.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// The files.
    pub entries: Vec<CatalogueEntry>,
    /// The nodes; the first is the root.
    pub nodes: Vec<Node>,
    /// The directories of the store.
    pub directories: Vec<StoreDirectory>,
    /// The owners as they are shown.
    pub heads: Interned<Owner>,
    /// The packages.
    pub packages: Interned<str>,
    /// The cache tags.
    pub tags: Interned<str>,
    /// The globs that keep files.
    pub globs: Interned<str>,
    /// The number of directories and their own disk usage.
    pub own: Tally,
    /// The files with several links.
    pub inodes: Inodes,
    owners: Interned<Owner>,
    /// The index in `heads` of each owner.
    head_of: Vec<u32>,
    texts: Interned<[u8]>,
    below: HashMap<(u32, NodeKey), u32>,
    names: Vec<u8>,
}

/// Maximum number of cache tags that are told apart.
const MOST_TAGS: usize = 256;

/// No package.
const NO_PACKAGE: u32 = u32::MAX;

impl Catalogue {
    /// An empty store.
    pub fn new() -> Catalogue {
        let mut catalogue = Catalogue::default();
        catalogue.plant();
        catalogue
    }

    /// Makes the root.
    fn plant(&mut self) {
        self.nodes = vec![Node::new(NodeKey::Root, ROOT, 0)];
        self.below.clear();
    }

    /// Adds a directory of the store with its files. The parts of one come in the order of their names.
    pub fn add(&mut self, batch: ScanBatch) {
        self.own += batch.own;
        let owner = batch.owner.map_or(0, |owner| self.owner(owner));
        let directory = self.directories.len() as u32;
        let first = self.entries.len() as u32;
        let globs: Vec<u16> = batch.globs.iter().map(|glob| self.globs.add(glob) as u16).collect();
        let tags: Vec<u16> = batch.tags.iter().map(|tag| self.tag(tag)).collect();
        let mut last: Option<(Arc<str>, u32)> = None;
        let mut name_at = self.names.len() as u32;
        self.names.extend_from_slice(&batch.names);
        for BatchFile { name_length, package, tag, mut facts } in batch.files {
            if let Some(Bar::Kept(glob)) = &mut facts.bar {
                *glob = globs[usize::from(*glob)];
            }
            let package = match (package, &last) {
                (None, _) => NO_PACKAGE,
                (Some(package), Some((known, index))) if Arc::ptr_eq(&package, known) => *index,
                (Some(package), _) => {
                    let index = self.packages.add(package.clone());
                    last = Some((package, index));
                    index
                }
            };
            let tag = tag.map_or(MIXED, |tag| tags[tag as usize]);
            let index = self.entries.len() as u32;
            let bytes = if facts.links > 1 { BytesCount::ByFile } else { BytesCount::ByName };
            if bytes == BytesCount::ByFile {
                self.inodes.add(facts.identity, index);
            }
            self.entries.push(CatalogueEntry {
                facts,
                name_at,
                name_length,
                directory,
                package,
                tag,
                node: ROOT,
                mark: Mark::None,
                bytes,
            });
            name_at += u32::from(name_length);
        }
        let count = self.entries.len() as u32 - first;
        let (relative, own) = (batch.relative.into(), batch.own);
        self.directories.push(StoreDirectory { relative, own, owner, first, count });
        self.place(directory);
    }

    /// Puts the files of a directory into the tree, and adds them to all nodes above.
    fn place(&mut self, directory: u32) {
        let StoreDirectory { first, count, .. } = self.directories[directory as usize];
        let mut start = first;
        while start < first + count {
            let package = self.entries[start as usize].package;
            let run = self.entries[start as usize..(first + count) as usize].iter();
            let length = run.take_while(|entry| entry.package == package).count() as u32;
            let node = self.node_of(directory, package);
            self.nodes[node as usize].runs.push((start, length));
            let mut cells = Vec::new();
            for entry in &mut self.entries[start as usize..(start + length) as usize] {
                entry.node = node;
                if entry.mark != Mark::Removed {
                    add_cell(&mut cells, &Cell::of(entry));
                }
            }
            self.upwards(node, |at| cells.iter().for_each(|cell| add_cell(&mut at.cells, cell)));
            start += length;
        }
    }

    /// Changes a node and all above it.
    pub(super) fn upwards(&mut self, mut node: u32, mut change: impl FnMut(&mut Node)) {
        loop {
            let at = &mut self.nodes[node as usize];
            change(at);
            if node == ROOT {
                return;
            }
            node = at.parent;
        }
    }

    /// The node for the files of a package in a directory of the store.
    fn node_of(&mut self, directory: u32, package: u32) -> u32 {
        let StoreDirectory { relative, owner, .. } = &self.directories[directory as usize];
        let (head, owner) = (self.head_of[*owner as usize], self.owners.shared(*owner));
        let sources = name::source_directory(relative);
        let mut node = self.child(ROOT, NodeKey::Owner(head));
        let mut base: &Path = &owner.root;
        if let Some(environment) = owner.environment.as_deref().filter(|it| *it != owner.root) {
            let inside = environment.strip_prefix(&owner.root).unwrap_or(environment);
            let text = self.texts.add(inside.as_os_str().as_bytes());
            node = self.child(node, NodeKey::Environment(text));
            base = environment;
        }
        if package != NO_PACKAGE {
            node = self.child(node, NodeKey::Package(package));
            base = pycstore::source::package::site_around(&sources).unwrap_or(base);
        }
        let inside = sources.strip_prefix(base).unwrap_or(&sources);
        for component in inside.components().filter(|it| it.as_os_str() != "/") {
            let text = self.texts.add(component.as_os_str().as_bytes());
            node = self.child(node, NodeKey::Directory(text));
        }
        node
    }

    /// The node with this key directly below another; made if it is not there.
    fn child(&mut self, parent: u32, key: NodeKey) -> u32 {
        if let Some(node) = self.below.get(&(parent, key)) {
            return *node;
        }
        let node = self.nodes.len() as u32;
        let depth = self.nodes[parent as usize].depth + 1;
        self.nodes.push(Node::new(key, parent, depth));
        self.nodes[parent as usize].children.push(node);
        self.below.insert((parent, key), node);
        node
    }

    /// Joins the owners that are one by several spellings of their paths, once all are known.
    pub fn join_spellings(&mut self) -> Joined {
        let spellings = Spellings::of(self.owners.iter());
        let mut heads = Interned::default();
        let mut is_changed = false;
        for (owner, index) in self.owners.iter().zip(&mut self.head_of) {
            let head = spellings.head(owner);
            is_changed |= self.heads[*index].root != head.root;
            *index = heads.add(head);
        }
        self.heads = heads;
        let joined = if is_changed { Joined::Anew } else { Joined::AsBefore };
        if joined == Joined::Anew {
            self.plant();
            (0..self.directories.len() as u32).for_each(|directory| self.place(directory));
        }
        self.recount();
        joined
    }

    /// Computes all sums again: after files were removed.
    pub fn recount(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.cells.clear());
        for entry in self.entries.iter().filter(|entry| entry.mark != Mark::Removed) {
            let cells = &mut self.nodes[entry.node as usize].cells;
            add_cell(cells, &Cell::of(entry));
        }
        for node in (1..self.nodes.len()).rev() {
            let (above, rest) = self.nodes.split_at_mut(node);
            let parent = &mut above[rest[0].parent as usize].cells;
            rest[0].cells.iter().for_each(|cell| add_cell(parent, cell));
        }
        self.settle_links();
    }

    /// Adds the bytes of files with several links to the nodes that have all their names.
    pub fn settle_links(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.linked.clear());
        let Catalogue { inodes, entries, nodes, .. } = self;
        inodes.settle(entries, nodes);
    }

    /// The sums of a node's files that are in a facet.
    pub fn sums(&self, node: u32, facet: Facet) -> Sums {
        let node = &self.nodes[node as usize];
        let mut sums = Sums::default();
        for cell in node.cells.iter().chain(&node.linked).filter(|cell| facet.admits(cell.status, cell.tag)) {
            sums.add(&cell.sums);
        }
        sums
    }

    /// Takes note of directories of the store that were removed.
    pub fn remove_directories(&mut self, removed: &[EmptiedIn]) {
        let paths: HashSet<Vec<u8>> = removed
            .iter()
            .flat_map(|emptied| emptied.names().map(|name| name::joined(&emptied.parent, name)))
            .collect();
        for directory in self.directories.iter_mut().filter(|it| paths.contains(&*it.relative)) {
            self.own -= std::mem::take(&mut directory.own);
        }
    }

    /// The name of an entry.
    pub fn name(&self, entry: u32) -> &[u8] {
        let CatalogueEntry { name_at, name_length, .. } = self.entries[entry as usize];
        &self.names[name_at as usize..name_at as usize + usize::from(name_length)]
    }

    /// The directory of the store that has an entry.
    pub fn directory_of(&self, entry: u32) -> &StoreDirectory {
        &self.directories[self.entries[entry as usize].directory as usize]
    }

    /// Calls `each` with every entry in or below a node that is in the facet and was not removed. Below a node whose sums are
    /// not wanted there is none.
    pub fn for_each_below(
        &self,
        node: u32,
        facet: Facet,
        is_wanted: impl Fn(&Sums) -> bool,
        mut each: impl FnMut(u32, &CatalogueEntry),
    ) {
        let mut waiting = vec![node];
        while let Some(node) = waiting.pop() {
            let sums = self.sums(node, facet);
            if sums.tally.is_empty() || !is_wanted(&sums) {
                continue;
            }
            let node = &self.nodes[node as usize];
            for index in node.runs.iter().flat_map(|(first, count)| *first..first + count) {
                let entry = &self.entries[index as usize];
                if entry.mark != Mark::Removed && facet.has(entry) {
                    each(index, entry);
                }
            }
            // In the order in which they lie in memory.
            waiting.extend(node.children.iter().rev());
        }
    }

    /// A path of an environment, or a name of a directory.
    pub fn text_of(&self, index: u32) -> &Path {
        Path::new(OsStr::from_bytes(&self.texts[index]))
    }

    fn owner(&mut self, owner: Arc<Owner>) -> u32 {
        let index = self.owners.add(owner.clone());
        if index as usize == self.head_of.len() {
            self.head_of.push(self.heads.add(Owner { environment: None, ..(*owner).clone() }));
        }
        index
    }

    fn tag(&mut self, tag: &str) -> u16 {
        // Names may be anything, and each node has sums by tag: beyond this many, the last stands for all others.
        let is_known = self.tags.has(tag) || self.tags.len() < MOST_TAGS - 1;
        self.tags.add(if is_known { tag } else { "(others)" }) as u16
    }
}
