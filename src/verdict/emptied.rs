//! Which directories a removal leaves empty, and which of them may be removed. Pure; used for the store and for source
//! trees.
//!
//! There may be a hundred thousand of them, nearly all without subdirectories. To save memory, those are stored by
//! parent: its path once, and their names.

use crate::pyc::name;
use crate::store::Store;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Directories of one parent that will be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmptiedIn {
    /// The parent's path from the root.
    pub parent: Box<[u8]>,
    /// Their names, a slash after each.
    names: Vec<u8>,
}

/// Whether empty directories that the run did not empty are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Leftovers {
    /// They are removed if the directories that they mirror were deleted: a killed run left them.
    #[default]
    Remove,
    /// They stay: other programs use the store's directory, and may have made them.
    Keep,
}

/// What must hold when a directory is removed, besides that it is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DirectoryRule {
    /// The directory of sources that it mirrors is definitely deleted.
    #[default]
    SourcesDeleted,
    /// Nothing: the run removes the directories that it empties.
    Emptied,
}

/// The only user whose directories may be removed, if limited. In root's store the directories of other users stay: in a
/// parent that all users can write to (`/tmp`), anyone could take the free name while the owner is about to write there.
pub(crate) fn owner_of_directories(store: &Store) -> Option<u32> {
    Some(store.metadata().user).filter(|&user| user == 0)
}

impl EmptiedIn {
    pub(crate) fn new(parent: &[u8]) -> EmptiedIn {
        EmptiedIn { parent: parent.into(), names: Vec::new() }
    }

    pub(crate) fn push(&mut self, name: &[u8]) {
        self.names.extend_from_slice(name);
        self.names.push(b'/');
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.names.split_inclusive(|&byte| byte == b'/').map(|name| &name[..name.len() - 1])
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.names().count() as u64
    }

    /// The number of directories on the path to them.
    pub(crate) fn depth(&self) -> usize {
        self.parent.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).count()
    }
}

/// Removes from the list the directories that stay, by their paths from the root, and their parents.
pub(crate) fn keep<'a>(emptied: &mut Vec<EmptiedIn>, staying: impl Iterator<Item = &'a [u8]>) {
    let mut stay: HashSet<&[u8]> = HashSet::new();
    for relative in staying {
        let on_the_way = std::iter::successors(Some(relative), |path| Some(split(path).0));
        // What leads to one of them was noted with it.
        for path in on_the_way.take_while(|path| !path.is_empty()) {
            if !stay.insert(path) {
                break;
            }
        }
    }
    for emptied in emptied.iter_mut() {
        let mut left = EmptiedIn::new(&emptied.parent);
        let goes = |name: &&[u8]| !stay.contains(&*name::joined(&emptied.parent, name));
        emptied.names().filter(goes).for_each(|name| left.push(name));
        *emptied = left;
    }
    emptied.retain(|emptied| emptied.count() > 0);
}

/// The directories that will be empty, by parent: the deepest first, then in the order of their names.
pub(crate) fn sorted(mut emptied: Vec<EmptiedIn>) -> Vec<EmptiedIn> {
    emptied.sort_by_cached_key(|emptied| (Reverse(emptied.depth()), emptied.parent.clone()));
    let mut sorted: Vec<EmptiedIn> = Vec::with_capacity(emptied.len());
    for group in emptied.chunk_by(|one, other| one.parent == other.parent) {
        let mut names: Vec<&[u8]> = group.iter().flat_map(EmptiedIn::names).collect();
        names.sort_unstable();
        if let (Some(first), false) = (group.first(), names.is_empty()) {
            let mut joined = EmptiedIn::new(&first.parent);
            names.into_iter().for_each(|name| joined.push(name));
            sorted.push(joined);
        }
    }
    sorted
}

/// The topmost of these directories, which come sorted ([`Plan::emptied`](super::plan::Plan)): each path with the number of
/// removed directories there, itself included. All directories below a removed one are removed too, so these cover all.
pub fn topmost(emptied: &[EmptiedIn]) -> BTreeMap<Box<[u8]>, u64> {
    let groups: HashMap<&[u8], usize> =
        emptied.iter().enumerate().map(|(index, emptied)| (&*emptied.parent, index)).collect();
    // Of each group the topmost directory that its parent is or lies in, if its parent goes as well.
    let mut top_of: Vec<Option<Box<[u8]>>> = vec![None; emptied.len()];
    let mut counts: BTreeMap<Box<[u8]>, u64> = BTreeMap::new();
    for (index, emptied) in emptied.iter().enumerate().rev() {
        for name in emptied.names() {
            let path = name::joined(&emptied.parent, name).into_boxed_slice();
            let top = top_of[index].clone().unwrap_or_else(|| path.clone());
            if let Some(&below) = groups.get(&*path) {
                top_of[below] = Some(top.clone());
            }
            *counts.entry(top).or_default() += 1;
        }
    }
    counts
}

/// The directories in which no file stays.
#[derive(Debug, Default)]
pub(crate) struct EmptyDirectories {
    /// Those without subdirectories: they are removed.
    leaves: Vec<EmptiedIn>,
    /// The others, each with its number of subdirectories: it is removed if all those are.
    branches: Vec<(Box<[u8]>, usize)>,
}

impl EmptyDirectories {
    /// Adds a directory that may be removed, by its path from the root, with its number of subdirectories. The root itself
    /// is never removed.
    pub(crate) fn add(&mut self, relative: &[u8], directories: usize) {
        if relative.is_empty() {
            return;
        }
        if directories > 0 {
            self.branches.push((relative.into(), directories));
        } else {
            push(&mut self.leaves, relative);
        }
    }

    /// Adds what another worker found.
    pub(crate) fn append(&mut self, mut other: EmptyDirectories) {
        self.leaves.append(&mut other.leaves);
        self.branches.append(&mut other.branches);
    }

    /// The directories that will be empty, the deepest first.
    pub(crate) fn emptied(self) -> Vec<EmptiedIn> {
        let EmptyDirectories { mut leaves, mut branches } = self;
        let mut emptied_in: HashMap<&[u8], usize> = HashMap::new();
        for leaves in &leaves {
            *emptied_in.entry(&leaves.parent).or_default() += leaves.names().count();
        }
        // A path is longer than that of the directory that it lies in: the deepest first.
        branches.sort_unstable_by_key(|(path, _)| Reverse(path.len()));
        let mut going = Vec::new();
        for (relative, directories) in &branches {
            if emptied_in.get(&**relative) == Some(directories) {
                *emptied_in.entry(split(relative).0).or_default() += 1;
                push(&mut going, relative);
            }
        }
        leaves.append(&mut going);
        sorted(leaves)
    }
}

/// Adds a directory to those of its parent, if that was the last one's parent as well.
fn push(emptied: &mut Vec<EmptiedIn>, relative: &[u8]) {
    let (parent, name) = split(relative);
    match emptied.last_mut() {
        Some(last) if *last.parent == *parent => last.push(name),
        _ => {
            let mut first = EmptiedIn::new(parent);
            first.push(name);
            emptied.push(first);
        }
    }
}

/// The parent's path, and the name in it.
fn split(relative: &[u8]) -> (&[u8], &[u8]) {
    match relative.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&relative[..slash], &relative[slash + 1..]),
        None => (&[], relative),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(emptied: &[EmptiedIn]) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let of = |one: &EmptiedIn| -> Vec<String> {
            one.names().map(|name| text(&name::joined(&one.parent, name))).collect()
        };
        emptied.iter().flat_map(of).collect()
    }

    fn emptied(directories: &[(&str, usize)]) -> Vec<EmptiedIn> {
        let mut empty = EmptyDirectories::default();
        for (relative, directories) in directories {
            let mut other = EmptyDirectories::default();
            other.add(relative.as_bytes(), *directories);
            empty.append(other);
        }
        empty.emptied()
    }

    #[test]
    fn directories_go_when_all_in_them_goes() {
        // `a` has a second directory that stays: so does `a`, and the root in any case.
        let all = [("", 2), ("a", 2), ("a/b", 1), ("a/b/c", 0), ("d", 0)];
        assert_eq!(paths(&emptied(&all)), ["a/b/c", "a/b", "d"]);
        assert!(emptied(&[("a", 1)]).is_empty());
        assert_eq!(paths(&emptied(&[("a", 2), ("a/b", 0)])), ["a/b"]);
        assert_eq!(paths(&emptied(&[("a", 1), ("a/b", 0)])), ["a/b", "a"]);
    }

    #[test]
    fn names_of_one_parent_stand_together() {
        let mut empty = EmptyDirectories::default();
        ["a/c", "a/b", "d", "a/e"].iter().for_each(|path| empty.add(path.as_bytes(), 0));
        let mut all = empty.emptied();
        assert_eq!(all.len(), 2);
        assert_eq!(paths(&all), ["a/b", "a/c", "a/e", "d"]);
        // What stays keeps all on the way to it.
        keep(&mut all, [&b"a/c/x"[..]].into_iter());
        assert_eq!(paths(&all), ["a/b", "a/e", "d"]);
        keep(&mut all, [&b"d"[..], b"a/ef"].into_iter());
        assert_eq!(paths(&all), ["a/b", "a/e"]);
        assert_eq!(all.len(), 1, "no group is empty");
    }

    #[test]
    fn the_topmost_name_all() {
        let all =
            [("a", 1), ("a/b", 2), ("a/b/c", 0), ("a/b/d", 0), ("e", 2), ("e/f", 0), ("ab", 0), ("a/b-", 0)];
        let tops = |all: &[EmptiedIn]| -> Vec<(String, u64)> {
            let text = |(path, count): (Box<[u8]>, u64)| (String::from_utf8(path.to_vec()).unwrap(), count);
            topmost(all).into_iter().map(text).collect()
        };
        let expected = |tops: &[(&str, u64)]| -> Vec<(String, u64)> {
            tops.iter().map(|(path, count)| (path.to_string(), *count)).collect()
        };
        // One of the directories of `a`, and of those of `e`, is not among them.
        assert_eq!(tops(&emptied(&all[..7])), expected(&[("a", 4), ("ab", 1), ("e/f", 1)]));
        assert_eq!(tops(&emptied(&[("a", 2), all[7], all[1], all[2], all[3]])), expected(&[("a", 5)]));
        assert!(tops(&[]).is_empty());
    }
}
