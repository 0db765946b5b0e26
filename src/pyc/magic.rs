//! Magic numbers: which Python wrote an entry, and which one a cache tag's interpreter loads.
//!
//! The numbers are those of `Lib/importlib/_bootstrap_external.py` (3.14 and later:
//! `Include/internal/pycore_magic_number.h`). A magic inside a version's range but not its final one was
//! written by a pre-release; no released interpreter loads it.

use crate::layout;

/// Bytes 0–3 of a header: a little-endian u16, then `\r\n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Magic(pub [u8; 4]);

/// CPython's feature releases: minor version of Python 3, the first pre-release's magic, the released magic.
const RELEASES: [(u8, u16, u16); 10] = [
    (6, 3360, 3379),
    (7, 3390, 3394),
    (8, 3400, 3413),
    (9, 3420, 3425),
    (10, 3430, 3439),
    (11, 3450, 3495),
    (12, 3500, 3531),
    (13, 3550, 3571),
    (14, 3600, 3627),
    // As of 3.15.0rc1; bytecode is frozen from the first release candidate on.
    (15, 3650, 3666),
];

/// Whether the Python that a magic names was ever released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// The magic of the released version.
    Final,
    /// The magic of an alpha, beta or release candidate that the release does not load.
    PreRelease,
    /// A version newer than this table.
    Newer,
}

impl Magic {
    /// The magic with this number.
    pub const fn of(number: u16) -> Magic {
        let [low, high] = number.to_le_bytes();
        Magic([low, high, b'\r', b'\n'])
    }

    /// The number in bytes 0–1.
    pub fn number(self) -> u16 {
        u16::from_le_bytes([self.0[0], self.0[1]])
    }

    /// The CPython that writes this magic: its minor version and whether that was a release.
    pub fn cpython(self) -> Option<(u8, Release)> {
        let number = self.number();
        for (index, &(minor, first, last)) in RELEASES.iter().enumerate() {
            let next = RELEASES.get(index + 1).map_or(first + 50, |&(_, first, _)| first);
            if (first..next).contains(&number) {
                return Some((minor, if number == last { Release::Final } else { Release::PreRelease }));
            }
        }
        // From 3.11 on each feature release has fifty numbers, beginning at 2900 + 50 n.
        let minor = u8::try_from(number.checked_sub(2900)? / 50).ok()?;
        (minor > RELEASES[RELEASES.len() - 1].0 && minor < 40).then_some((minor, Release::Newer))
    }

    /// Whether the interpreter with this tag loads this magic, as far as the tag can tell.
    ///
    /// Where the table does not know the tag, another version's own magic is still wrong.
    pub fn is_loaded_by(self, tag: &str) -> bool {
        if let Some(loaded) = Magic::loaded_by(tag) {
            return self == loaded;
        }
        match (tag.starts_with("cpython-"), layout::python_of_tag(tag), self.cpython()) {
            (true, Some((3, minor)), Some((writer, _))) => minor == writer,
            _ => true,
        }
    }

    /// The magic that the interpreter of a cache tag loads, where the tag alone decides it.
    ///
    /// `None` for other implementations and for Pythons newer than this table: there every magic that is
    /// not another version's is judged by the rest of the header.
    pub fn loaded_by(tag: &str) -> Option<Magic> {
        let (3, minor) = tag.starts_with("cpython-").then(|| layout::python_of_tag(tag))?? else {
            return None;
        };
        RELEASES.iter().find(|release| release.0 == minor).map(|release| Magic::of(release.2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn released_and_pre_release_magics_are_told_apart() {
        assert_eq!(Magic::of(3531).cpython(), Some((12, Release::Final)));
        assert_eq!(Magic::of(3530).cpython(), Some((12, Release::PreRelease)));
        assert_eq!(Magic::of(3627).cpython(), Some((14, Release::Final)));
        assert_eq!(Magic::of(3701).cpython(), Some((16, Release::Newer)));
        assert_eq!(Magic::of(3380).cpython(), Some((6, Release::PreRelease)));
        assert_eq!(Magic::of(336).cpython(), None);
        assert_eq!(Magic::of(u16::MAX).cpython(), None);
    }

    #[test]
    fn a_tag_decides_its_magic_where_it_is_known() {
        assert_eq!(Magic::loaded_by("cpython-38"), Some(Magic::of(3413)));
        assert_eq!(Magic::loaded_by("cpython-313"), Some(Magic::of(3571)));
        assert_eq!(Magic::loaded_by("cpython-316"), None);
        assert_eq!(Magic::loaded_by("pypy39"), None);
        assert_eq!(Magic::loaded_by("graalpy240-311"), None);
    }
}
