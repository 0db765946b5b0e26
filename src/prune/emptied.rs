//! Which directories a removal leaves empty. Pure; of the store and of trees of sources alike.

use std::cmp::Reverse;
use std::collections::HashMap;

/// A directory of which no file stays.
#[derive(Debug)]
pub(crate) struct Hollow {
    /// The path from the root.
    pub relative: Box<[u8]>,
    /// How many directories it has.
    pub directories: usize,
    /// Whether it goes even if no directory in it does.
    pub motive: Motive,
}

/// Whether a hollow directory is this run's to remove.
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

/// The directories that will be empty: the deepest first, those of one parent side by side. The root is none of them.
pub(crate) fn emptied(mut hollow: Vec<Hollow>) -> Vec<Box<[u8]>> {
    hollow.retain(|directory| !directory.relative.is_empty());
    hollow.sort_unstable_by(|one, other| {
        let order = |directory: &Hollow| Reverse(depth(&directory.relative));
        order(one).cmp(&order(other)).then_with(|| one.relative.cmp(&other.relative))
    });
    let mut emptied_in: HashMap<&[u8], usize> = HashMap::new();
    let goes: Vec<bool> = hollow
        .iter()
        .map(|directory| {
            let below = emptied_in.remove(&*directory.relative).unwrap_or(0);
            let goes = below == directory.directories && (directory.motive == Motive::Own || below > 0);
            if goes {
                *emptied_in.entry(split(&directory.relative).0).or_default() += 1;
            }
            goes
        })
        .collect();
    let going = hollow.into_iter().zip(goes).filter(|(_, goes)| *goes);
    going.map(|(directory, _)| directory.relative).collect()
}

/// How many directories lie between the root and this one.
pub(crate) fn depth(relative: &[u8]) -> usize {
    relative.iter().filter(|&&byte| byte == b'/').count()
}

/// The parent's path, and the name in it.
pub(crate) fn split(relative: &[u8]) -> (&[u8], &[u8]) {
    match relative.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&relative[..slash], &relative[slash + 1..]),
        None => (&[], relative),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_go_when_all_in_them_goes() {
        let of = |relative: &str, directories, motive| Hollow {
            relative: relative.as_bytes().into(),
            directories,
            motive,
        };
        let paths = |hollow: Vec<Hollow>| -> Vec<String> {
            emptied(hollow).iter().map(|path| String::from_utf8(path.to_vec()).unwrap()).collect()
        };
        // `a` has a second directory that keeps a file: it stays.
        let all = [("", 2, Motive::Below), ("a", 2, Motive::Below), ("a/b", 1, Motive::Below)];
        let all = all.into_iter().chain([("a/b/c", 0, Motive::Own), ("d", 0, Motive::Own)]);
        assert_eq!(
            paths(all.map(|(path, count, motive)| of(path, count, motive)).collect()),
            ["a/b/c", "a/b", "d"]
        );
        // An empty directory that this run has no reason to remove stays, and what holds it.
        assert!(paths(vec![of("a", 1, Motive::Below), of("a/b", 0, Motive::Below)]).is_empty());
        assert_eq!(paths(vec![of("a", 1, Motive::Below), of("a/b", 0, Motive::Own)]), ["a/b", "a"]);
        // Those of one parent follow each other, whatever lies below them.
        let neighbours =
            ["a/b", "a/b/c", "a/d", "e/f"].map(|path| of(path, usize::from(path == "a/b"), Motive::Own));
        assert_eq!(paths(neighbours.into()), ["a/b/c", "a/b", "a/d", "e/f"]);
    }
}
