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

/// What PyPy loads, by cache tag, as far as the tag decides it: PyPy raises its number (a multiple of 16 below 3000)
/// within one tag, so only what is complete stands here. PyPy 7.3.8 and 7.3.9 wrote CPython's number into the
/// entries of `pypy39` (pypy/pypy#3782), 7.3.10 and later their own.
const PYPY: [(&str, &[u16]); 1] = [("pypy39", &[336, 3425])];

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

    /// The PyPy that writes this magic, as the version of its language: (major, minor).
    pub fn pypy(self) -> Option<(u8, u8)> {
        let is_own = |number: &u16| *number == self.number() && self.cpython().is_none();
        layout::python_of_tag(PYPY.iter().find(|(_, numbers)| numbers.iter().any(is_own))?.0)
    }

    /// The magic that the CPython of a cache tag loads; `None` for other implementations and for Pythons newer than
    /// this table.
    pub fn loaded_by(tag: &str) -> Option<Magic> {
        let (3, minor) = tag.starts_with("cpython-").then(|| layout::python_of_tag(tag))?? else {
            return None;
        };
        RELEASES.iter().find(|release| release.0 == minor).map(|release| Magic::of(release.2))
    }

    /// Whether the interpreter of a cache tag loads this magic, as far as the tag can tell.
    ///
    /// Where the tables do not know the tag, another version's own magic is still wrong; every other one is judged
    /// by the rest of the header.
    pub fn is_loaded_by(self, tag: &str) -> bool {
        if let Some(loaded) = Magic::loaded_by(tag) {
            return self == loaded;
        }
        if let Some((_, numbers)) = PYPY.iter().find(|(known, _)| *known == tag) {
            return numbers.iter().any(|&number| self == Magic::of(number));
        }
        let is_related = tag.starts_with("cpython-") || tag.starts_with("pypy");
        match (is_related, layout::python_of_tag(tag), self.cpython()) {
            (true, Some((3, minor)), Some((writer, _))) => minor == writer,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pyc::recorded::{Fact, facts};

    #[test]
    fn every_interpreter_loads_the_magic_that_it_writes_and_no_other() {
        let all = facts("header");
        for Fact { tag, magic, .. } in &all {
            assert!(magic.is_loaded_by(tag), "{tag}");
            for other in all.iter().filter(|other| other.magic != *magic) {
                // PyPy 7.3.8 and 7.3.9 wrote what CPython 3.9 writes.
                let is_shared = (*tag, other.tag) == ("pypy39", "cpython-39");
                assert_eq!(other.magic.is_loaded_by(tag), is_shared, "{tag}, {}", other.tag);
            }
            if let Some((_, minor)) = layout::python_of_tag(tag).filter(|_| tag.starts_with("cpython-")) {
                assert_eq!(magic.cpython(), Some((minor, Release::Final)), "{tag}");
            }
        }
    }

    #[test]
    fn released_and_pre_release_magics_are_told_apart() {
        assert_eq!(Magic::of(3531).cpython(), Some((12, Release::Final)));
        assert_eq!(Magic::of(3530).cpython(), Some((12, Release::PreRelease)));
        assert_eq!(Magic::of(3627).cpython(), Some((14, Release::Final)));
        assert_eq!(Magic::of(3701).cpython(), Some((16, Release::Newer)));
        assert_eq!(Magic::of(3380).cpython(), Some((6, Release::PreRelease)));
        assert_eq!((Magic::of(336).cpython(), Magic::of(336).pypy()), (None, Some((3, 9))));
        assert_eq!((Magic::of(3425).pypy(), Magic::of(352).pypy()), (None, None));
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

    #[test]
    fn a_magic_is_refused_where_it_is_known_to_be_anothers() {
        for (tag, loaded, refused) in [
            ("cpython-312", &[3531][..], &[3530, 3532, 3495, 336, 0][..]),
            ("cpython-316", &[3700, 3749, 336, 0], &[3531, 3666]),
            // 400 and 416 both served `pypy311`.
            ("pypy311", &[400, 416, 432, 3495], &[3531, 3425]),
            ("pypy39", &[336, 3425], &[320, 352, 3420, 3531]),
            ("graalpy240-311", &[21_120, 3531], &[]),
        ] {
            for &number in loaded {
                assert!(Magic::of(number).is_loaded_by(tag), "{tag} {number}");
            }
            for &number in refused {
                assert!(!Magic::of(number).is_loaded_by(tag), "{tag} {number}");
            }
        }
    }
}
