//! Which directories a removal leaves empty. Pure; of the store and of trees of sources alike.
//!
//! There may be a hundred thousand of them, nearly all of them without directories of their own. Those are kept by their
//! parent: its path once, and their names.

use std::cmp::Reverse;
use std::collections::HashMap;

/// Directories of one parent that will be empty.
#[derive(Debug)]
pub struct EmptiedIn {
    /// The parent's path from the root.
    pub parent: Box<[u8]>,
    /// Their names, a slash after each.
    names: Vec<u8>,
}

impl EmptiedIn {
    fn new(parent: &[u8]) -> EmptiedIn {
        EmptiedIn { parent: parent.into(), names: Vec::new() }
    }

    fn push(&mut self, name: &[u8]) {
        self.names.extend_from_slice(name);
        self.names.push(b'/');
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.names.split_inclusive(|&byte| byte == b'/').map(|name| &name[..name.len() - 1])
    }

    /// How many directories lie on the way to them.
    pub(super) fn depth(&self) -> usize {
        self.parent.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).count()
    }

    /// Takes out the one that is this directory or leads to it, for it is to stay.
    pub(super) fn keep(&mut self, relative: &[u8]) {
        let below = match &*self.parent {
            [] => Some(relative),
            parent => relative.strip_prefix(parent).and_then(|rest| rest.strip_prefix(b"/")),
        };
        let Some(kept) = below.and_then(|below| below.split(|&byte| byte == b'/').next()) else { return };
        let mut left = EmptiedIn::new(&self.parent);
        self.names().filter(|name| *name != kept).for_each(|name| left.push(name));
        *self = left;
    }
}

/// Whether a directory of which no file stays is this run's to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Motive {
    /// Files of it go, or it is what a killed run left.
    Own,
    /// Only if a directory in it goes.
    Below,
}

impl Motive {
    /// One of its own where `has_own`.
    pub(crate) fn own_if(has_own: bool) -> Motive {
        if has_own { Motive::Own } else { Motive::Below }
    }
}

/// The directories of which no file stays.
#[derive(Debug, Default)]
pub(crate) struct Hollow {
    /// Those without directories, where they have a motive: they go.
    leaves: Vec<EmptiedIn>,
    /// The others, each with how many directories it has.
    branches: Vec<(Box<[u8]>, usize, Motive)>,
}

impl Hollow {
    /// Adds a directory, by its path from the root, that has so many directories. The root itself never goes.
    pub(crate) fn add(&mut self, relative: &[u8], directories: usize, motive: Motive) {
        if relative.is_empty() {
        } else if directories > 0 {
            self.branches.push((relative.into(), directories, motive));
        } else if motive == Motive::Own {
            push(&mut self.leaves, relative);
        }
    }

    /// Adds what another worker found.
    pub(crate) fn append(&mut self, mut other: Hollow) {
        self.leaves.append(&mut other.leaves);
        self.branches.append(&mut other.branches);
    }

    /// The directories that will be empty, the deepest first.
    pub(crate) fn emptied(self) -> Vec<EmptiedIn> {
        let Hollow { mut leaves, mut branches } = self;
        let mut emptied_in: HashMap<&[u8], usize> = HashMap::new();
        for leaves in &leaves {
            *emptied_in.entry(&leaves.parent).or_default() += leaves.names().count();
        }
        let depth = |path: &[u8]| path.iter().filter(|&&byte| byte == b'/').count();
        branches.sort_unstable_by(|(one, ..), (other, ..)| {
            (Reverse(depth(one)), one).cmp(&(Reverse(depth(other)), other))
        });
        let mut going = Vec::new();
        for (relative, directories, motive) in &branches {
            let below = emptied_in.get(&**relative).copied().unwrap_or(0);
            if below == *directories && (*motive == Motive::Own || below > 0) {
                *emptied_in.entry(split(relative).0).or_default() += 1;
                push(&mut going, relative);
            }
        }
        leaves.append(&mut going);
        leaves.sort_by_cached_key(|emptied| Reverse(emptied.depth()));
        leaves
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
            one.names().map(|name| format!("{}/{}", text(&one.parent), text(name))).collect()
        };
        emptied.iter().flat_map(of).collect()
    }

    fn emptied(directories: &[(&str, usize, Motive)]) -> Vec<EmptiedIn> {
        let mut hollow = Hollow::default();
        for (relative, directories, motive) in directories {
            let mut other = Hollow::default();
            other.add(relative.as_bytes(), *directories, *motive);
            hollow.append(other);
        }
        hollow.emptied()
    }

    #[test]
    fn directories_go_when_all_in_them_goes() {
        use Motive::{Below, Own};
        // `a` has a second directory that keeps a file: it stays.
        let all = [("", 2, Below), ("a", 2, Below), ("a/b", 1, Below), ("a/b/c", 0, Own), ("d", 0, Own)];
        assert_eq!(paths(&emptied(&all)), ["a/b/c", "a/b", "/d"]);
        // An empty directory that this run has no motive to remove stays, and what holds it.
        assert!(emptied(&[("a", 1, Below), ("a/b", 0, Below)]).is_empty());
        assert!(emptied(&[("a", 2, Own), ("a/b", 0, Own), ("a/c", 0, Below)]).len() == 1);
        assert_eq!(paths(&emptied(&[("a", 1, Below), ("a/b", 0, Own)])), ["a/b", "/a"]);
    }

    #[test]
    fn names_of_one_parent_stand_together() {
        let mut hollow = Hollow::default();
        ["a/b", "a/c", "d", "a/e"].iter().for_each(|path| hollow.add(path.as_bytes(), 0, Motive::Own));
        let mut all = hollow.emptied();
        assert_eq!(all.len(), 3);
        assert_eq!(paths(&all), ["a/b", "a/c", "a/e", "/d"]);
        // What stays keeps all on the way to it.
        all.iter_mut().for_each(|emptied| emptied.keep(b"a/c/x"));
        assert_eq!(paths(&all), ["a/b", "a/e", "/d"]);
        all.iter_mut().for_each(|emptied| emptied.keep(b"d"));
        all.iter_mut().for_each(|emptied| emptied.keep(b"a/ef"));
        assert_eq!(paths(&all), ["a/b", "a/e"]);
    }
}
