//! A node of the tree of files: the store, an owner, an environment, a package or a directory.

use super::sums::Cell;

/// The node of the whole store.
pub const ROOT: u32 = 0;

/// What a node stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NodeKey {
    /// The whole store.
    Root,
    /// The index of an owner in [`super::catalogue::Catalogue::heads`].
    Owner(u32),
    /// An environment in an owner: the index of its path in the texts.
    Environment(u32),
    /// A package: the index of its name in [`super::catalogue::Catalogue::packages`].
    Package(u32),
    /// A directory of sources: the index of its name in the texts.
    Directory(u32),
}

/// A node of the tree.
#[derive(Debug)]
pub struct Node {
    /// What it stands for.
    pub key: NodeKey,
    /// Its parent; its own index for the root.
    pub parent: u32,
    /// The number of nodes above it.
    pub depth: u16,
    /// The nodes directly below it.
    pub children: Vec<u32>,
    /// The files directly in it: first and number.
    pub runs: Vec<(u32, u32)>,
    /// The sums of all files below it, by status and tag, without the bytes of files with several links.
    pub cells: Vec<Cell>,
    /// The bytes of the files with several links that have all their names below it.
    pub linked: Vec<Cell>,
}

impl Node {
    /// A node without files.
    pub fn new(key: NodeKey, parent: u32, depth: u16) -> Node {
        let (children, runs, cells, linked) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Node { key, parent, depth, children, runs, cells, linked }
    }
}
