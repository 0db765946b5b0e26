//! Files with several hard links: their bytes count once, and are freed with the last link only.
//!
//! The bytes of a file are added to the lowest node that has all its names in the store, and to the nodes above it. The nodes
//! below have parts of the file; what they share is computed when they are shown ([`Inodes::shared`]).

use super::file::{CatalogueEntry, Facet, MIXED, Mark};
use super::node::{Node, ROOT};
use super::sums::{Cell, Sums, add_cell};
use pycstore::units::Tally;
use std::collections::HashMap;

/// The files with several links, by device and inode.
#[derive(Debug, Default)]
pub struct Inodes(HashMap<(u64, u64), Vec<u32>>);

impl Inodes {
    /// Adds a name of a file.
    pub fn add(&mut self, identity: (u64, u64), entry: u32) {
        self.0.entry(identity).or_default().push(entry);
    }

    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names of the file with this identity, removed ones included.
    pub fn names(&self, identity: (u64, u64)) -> &[u32] {
        self.0.get(&identity).map_or(&[], Vec::as_slice)
    }

    /// Adds the bytes of each file to the nodes that have all its names.
    pub fn settle(&self, entries: &[CatalogueEntry], nodes: &mut [Node]) {
        for names in self.0.values() {
            let mut left = names.iter().map(|name| &entries[*name as usize]);
            let mut left_names = left.by_ref().filter(|entry| entry.mark != Mark::Removed);
            let Some(first) = left_names.next() else { continue };
            let (mut node, mut status, mut tag) = (first.node, first.facts.status.index() as u16, first.tag);
            let (mut reclaimable, mut marked) = (count(first.facts.is_reclaimable), count_marked(first));
            for other in left_names {
                node = common(nodes, node, other.node);
                status = if status == other.facts.status.index() as u16 { status } else { MIXED };
                tag = if tag == other.tag { tag } else { MIXED };
                reclaimable += count(other.facts.is_reclaimable);
                marked += count_marked(other);
            }
            let bytes = Tally { files: 0, bytes: first.facts.bytes, disk: first.facts.disk };
            let if_all = |names: u32| if names >= first.facts.links { bytes } else { Tally::default() };
            let (reclaimable, marked) = (if_all(reclaimable), if_all(marked));
            let cell =
                Cell { status, tag, sums: Sums { tally: bytes, reclaimable, marked, ..Sums::default() } };
            loop {
                let at = &mut nodes[node as usize];
                add_cell(&mut at.linked, &cell);
                if node == ROOT {
                    break;
                }
                node = at.parent;
            }
        }
    }

    /// The bytes that each of these nodes shares with others: of files of which it has some names of this facet, but not all.
    pub fn shared(
        &self,
        (entries, nodes): (&[CatalogueEntry], &[Node]),
        place: u32,
        facet: Facet,
    ) -> HashMap<u32, u64> {
        let mut shared = HashMap::new();
        let mut found: Vec<(u32, u32)> = Vec::new();
        for names in self.0.values() {
            found.clear();
            let left = names.iter().map(|name| &entries[*name as usize]);
            let left = left.filter(|entry| entry.mark != Mark::Removed);
            let (mut all, mut bytes) = (0, 0);
            for entry in left {
                all += 1;
                bytes = entry.facts.disk;
                let Some(child) = child_above(nodes, place, entry.node).filter(|_| facet.has(entry)) else {
                    continue;
                };
                match found.iter_mut().find(|(known, _)| *known == child) {
                    Some((_, names)) => *names += 1,
                    None => found.push((child, 1)),
                }
            }
            for (child, names) in &found {
                if *names < all {
                    *shared.entry(*child).or_default() += bytes;
                }
            }
        }
        shared
    }
}

fn count(is_counted: bool) -> u32 {
    u32::from(is_counted)
}

fn count_marked(entry: &CatalogueEntry) -> u32 {
    u32::from(entry.mark == Mark::Marked)
}

/// The lowest node that has both.
fn common(nodes: &[Node], mut one: u32, mut other: u32) -> u32 {
    while one != other {
        if nodes[one as usize].depth >= nodes[other as usize].depth {
            one = nodes[one as usize].parent;
        } else {
            other = nodes[other as usize].parent;
        }
    }
    one
}

/// The node directly below `place` that has this node in it; `place` itself for what is directly in it.
fn child_above(nodes: &[Node], place: u32, mut node: u32) -> Option<u32> {
    let depth = nodes[place as usize].depth;
    if node == place {
        return Some(place);
    }
    while nodes[node as usize].depth > depth + 1 {
        node = nodes[node as usize].parent;
    }
    (nodes[node as usize].depth == depth + 1 && nodes[node as usize].parent == place).then_some(node)
}
