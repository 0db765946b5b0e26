//! Magic numbers: which Python wrote an entry, and which one a cache tag's interpreter loads.
//!
//! The numbers are those of `Lib/importlib/_bootstrap_external.py` (3.14 and later:
//! `Include/internal/pycore_magic_number.h`). A magic inside a version's range but not its final one was
//! written by a pre-release; no released interpreter loads it.
//!
//! What is not in these tables is not judged: of a newer Python, or of another implementation, only what an interpreter
//! on this machine states about itself is known ([`super::StatedMagics`]).

use crate::pyc::name;

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
    (15, 3650, 3666),
];

/// What PyPy loads, by cache tag. PyPy raises its number (a multiple of 16 below 3000, `default_magic` in
/// `pypy/interpreter/pycode.py`) also within one tag: 7.3.18, 7.3.20 and 8.0 wrote 400, 416 and 432 under `pypy311`, and
/// each loads only its own, which the tag does not tell. PyPy 7.3.8 and 7.3.9 wrote CPython's number into the entries of
/// `pypy39` (pypy/pypy#3782), 7.3.10 and later their own.
const PYPY: [(&str, &[u16]); 3] =
    [("pypy39", &[336, 3425]), ("pypy310", &[384]), (PYPY_IN_DEVELOPMENT, &[400, 416, 432])];

/// The tag of the only PyPy that is still developed: under it numbers above those in the table may come.
const PYPY_IN_DEVELOPMENT: &str = "pypy311";

/// PyPy's own numbers are smaller; CPython's are not.
const PYPY_END: u16 = 3000;

/// Whether an interpreter loads what has a certain tag and magic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loads {
    /// One does.
    Yes,
    /// None does.
    No,
    /// It is not known.
    CannotTell,
}

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
        name::python_of_tag(PYPY.iter().find(|(_, numbers)| numbers.iter().any(is_own))?.0)
    }

    /// The magic that the CPython of a cache tag loads; `None` for other implementations and for Pythons newer than
    /// this table.
    pub fn loaded_by(tag: &str) -> Option<Magic> {
        let (3, minor) = tag.starts_with("cpython-").then(|| name::python_of_tag(tag))?? else {
            return None;
        };
        RELEASES.iter().find(|release| release.0 == minor).map(|release| Magic::of(release.2))
    }

    /// Whether the tables of a cache tag are complete: no release will load another magic under it.
    pub fn knows_all_of_tag(tag: &str) -> bool {
        Magic::knows_tag(tag) && tag != PYPY_IN_DEVELOPMENT
    }

    /// Whether anything is known of what the interpreters of a cache tag load.
    pub fn knows_tag(tag: &str) -> bool {
        Magic([0; 4]).is_loaded_by(tag) == Loads::No
    }

    /// Whether the interpreters of a cache tag load this magic, as far as the tables know the tag.
    pub fn is_loaded_by(self, tag: &str) -> Loads {
        if let Some(loaded) = Magic::loaded_by(tag) {
            return if self == loaded { Loads::Yes } else { Loads::No };
        }
        let Some((_, numbers)) = PYPY.iter().find(|(known, _)| *known == tag) else {
            return Loads::CannotTell;
        };
        let may_come = |&last: &u16| tag == PYPY_IN_DEVELOPMENT && (last..PYPY_END).contains(&self.number());
        if numbers.iter().any(|&number| self == Magic::of(number)) {
            Loads::Yes
        } else if numbers.last().is_some_and(may_come) {
            Loads::CannotTell
        } else {
            Loads::No
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
            assert_eq!(magic.is_loaded_by(tag), Loads::Yes, "{tag}");
            for other in all.iter().filter(|other| other.magic != *magic) {
                // PyPy 7.3.8 and 7.3.9 wrote what CPython 3.9 writes.
                let is_shared = (*tag, other.tag) == ("pypy39", "cpython-39");
                let expected = if is_shared { Loads::Yes } else { Loads::No };
                assert_eq!(other.magic.is_loaded_by(tag), expected, "{tag}, {}", other.tag);
            }
            if let Some((_, minor)) = name::python_of_tag(tag).filter(|_| tag.starts_with("cpython-")) {
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
        assert_eq!((Magic::of(384).pypy(), Magic::of(416).pypy()), (Some((3, 10)), Some((3, 11))));
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
    fn a_magic_is_refused_only_where_the_tag_is_known() {
        use Loads::{CannotTell, No, Yes};
        for (tag, expected, numbers) in [
            ("cpython-312", Yes, &[3531][..]),
            ("cpython-312", No, &[3530, 3532, 3495, 336, 0]),
            ("cpython-316", CannotTell, &[3700, 3749, 3531, 336, 0]),
            ("pypy39", Yes, &[336, 3425]),
            ("pypy39", No, &[320, 352, 3420, 3531]),
            ("pypy310", Yes, &[384]),
            ("pypy310", No, &[336, 400, 3439]),
            ("pypy311", Yes, &[400, 416, 432]),
            ("pypy311", CannotTell, &[433, 448, 2992]),
            ("pypy311", No, &[0, 384, 3000, 3495, 3531, u16::MAX]),
            ("pypy312", CannotTell, &[448, 3531]),
            ("graalpy240-311", CannotTell, &[21_120, 3531]),
            ("rustpython-0_4", CannotTell, &[12_897, 3531]),
        ] {
            for &number in numbers {
                assert_eq!(Magic::of(number).is_loaded_by(tag), expected, "{tag} {number}");
            }
        }
    }
}
