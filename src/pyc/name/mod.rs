//! Where an entry lives: `Slot` ⇄ file name, and source path ⇄ path in the store.
//!
//! This is the inverse of `importlib._bootstrap_external.cache_from_source` under `sys.pycache_prefix`
//! (PEP 3147 cache tags, PEP 488 optimization tags, bpo-33499 prefix), together with the names that
//! pytest's assertion rewriter, an interrupted `_write_atomic` and synchronisers leave. Pure: nothing here looks at a disk.
//!
//! A name is read from the right. `importlib.util.source_from_cache` reads from the left and raises on
//! `a.b.cpython-312.pyc`, which CPython itself writes for `a.b.py`.
//!
//! # Invariants
//!
//! * What [`cache_from_source`] makes, [`Name::parse`] reads back to a slot that [`Slot::holds`] the source.
//! * Anything else is [`Name::Foreign`]; only names that parse are ever candidates for removal.

mod copy;
mod sources;

pub use sources::SourceIndex;

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The Python implementations whose cache tags are known (`sys.implementation.cache_tag` begins so). Of others see
/// [`is_tag_of_another`].
const IMPLEMENTATIONS: [&str; 9] =
    ["cpython", "pypy", "graalpython", "graalpy", "pyston", "rustpython", "cinder", "jython", "ironpython"];

/// The directory that in-tree caching uses; in a mirror tree it never occurs (bpo-33499).
pub const PYCACHE: &[u8] = b"__pycache__";

/// What the name of a file in the store says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name<'a> {
    /// A bytecode file for this slot.
    Bytecode(Slot<'a>),
    /// What Python neither loads nor removes: what an interrupted atomic write of this slot's file left,
    /// `NAME.pyc.<decimal>`, or a synchroniser's copy of that file, `NAME 2.pyc`.
    Temporary(Slot<'a>),
    /// Nothing that Python writes into a prefix.
    Foreign,
}

/// What an entry's name says of its source: stem, cache tag, optimization, pytest version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot<'a> {
    /// The source's name without its last suffix; of a source without any dot, the whole name. Not empty.
    pub stem: &'a [u8],
    /// Whether a dot stood in the source's name.
    pub form: Form,
    /// The cache tag, `cpython-312`.
    pub tag: &'a str,
    /// The optimization, `""`, `"1"`, `"2"` or a rewriter's own (`typeguard460`).
    pub optimization: &'a str,
    /// The version of pytest whose assertion rewriter wrote the entry.
    pub pytest: Option<&'a str>,
}

/// Whether the source's name had a dot, which decides if one stands before the cache tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// `mod.py` → `mod.cpython-312.pyc`; the suffix is not recorded.
    Dotted,
    /// `script` → `scriptcpython-312.pyc`; the stem is the source's whole name.
    Undotted,
}

impl<'a> Name<'a> {
    /// Reads a file name of the store. Any bytes at all are answered.
    pub fn parse(name: &'a [u8]) -> Name<'a> {
        if let Some(slot) = Slot::parse(name) {
            return Name::Bytecode(slot);
        }
        // `_write_atomic` appends `.{id(path)}`, pytest `.{os.getpid()}`: decimal, no sign, no leading zero.
        match name.iter().rposition(|&byte| byte == b'.') {
            Some(dot) if is_decimal(&name[dot + 1..]) => {
                Slot::parse(&name[..dot]).map_or(Name::Foreign, Name::Temporary)
            }
            _ => copy::original(name).map_or(Name::Foreign, Name::Temporary),
        }
    }

    /// The slot, whether complete or interrupted.
    pub fn slot(&self) -> Option<Slot<'a>> {
        match *self {
            Name::Bytecode(slot) | Name::Temporary(slot) => Some(slot),
            Name::Foreign => None,
        }
    }
}

impl<'a> Slot<'a> {
    fn parse(name: &'a [u8]) -> Option<Slot<'a>> {
        match name.strip_suffix(b".pyc") {
            Some(base) => Slot::parse_pyc(base),
            // Only pytest still writes `.pyo`, under `-O`; Python itself gave it up with PEP 488.
            None => Slot::parse_pytest(name.strip_suffix(b".pyo")?),
        }
    }

    fn parse_pyc(base: &'a [u8]) -> Option<Slot<'a>> {
        Slot::parse_pytest(base).or_else(|| Slot::parse_plain(base))
    }

    /// `test_a.cpython-311-pytest-9.2.0`: the rewriter drops the last three bytes of `….py` and appends this tail.
    fn parse_pytest(base: &'a [u8]) -> Option<Slot<'a>> {
        const MARK: &[u8] = b"-pytest-";
        let mark = base.windows(MARK.len()).rposition(|window| window == MARK)?;
        let version = &base[mark + MARK.len()..];
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b".+!_".contains(byte);
        if !version.first()?.is_ascii_digit() || !version.iter().all(plain) {
            return None;
        }
        let (stem, tag) = split_dotted(&base[..mark])?;
        let version = std::str::from_utf8(version).ok()?;
        // No version ends so: `t.cpython-311-pytest-1.py` was compiled by PyPy.
        if version.rsplit('.').next().is_some_and(is_tag) {
            return None;
        }
        let pytest = Some(version);
        Some(Slot { stem, form: Form::Dotted, tag, optimization: "", pytest })
    }

    /// `stem.tag`, `stem.tag.opt-1` and, of a source without a dot, `stemtag`.
    fn parse_plain(base: &'a [u8]) -> Option<Slot<'a>> {
        let (base, optimization) = split_optimization(base);
        let (stem, tag, form) = match split_dotted(base) {
            Some((stem, tag)) => (stem, tag, Form::Dotted),
            None => split_undotted(base).map(|(stem, tag)| (stem, tag, Form::Undotted))?,
        };
        Some(Slot { stem, form, tag, optimization, pytest: None })
    }

    /// The usual source's name: `stem.py`, or the stem itself when the source had no dot.
    pub fn usual_source(&self) -> Vec<u8> {
        let mut name = Vec::with_capacity(self.stem.len() + 3);
        self.write_usual_source(&mut name);
        name
    }

    /// The same as [`Slot::usual_source`] into a buffer that is used again and again.
    pub fn write_usual_source(&self, name: &mut Vec<u8>) {
        name.clear();
        name.extend_from_slice(self.stem);
        if self.form == Form::Dotted {
            name.extend_from_slice(b".py");
        }
    }

    /// Whether `cache_from_source` sends a source of this name to this slot (`.pyw`, `.hy`, no suffix …).
    pub fn holds(&self, source_name: &[u8]) -> bool {
        if self.pytest.is_some() {
            return source_name.strip_suffix(b".py") == Some(self.stem);
        }
        let (stem, form) = stem_of(source_name);
        stem == self.stem && form == self.form
    }

    /// The Python language version in the tag as (major, minor): `cpython-312` is (3, 12).
    pub fn python(&self) -> Option<(u8, u8)> {
        python_of_tag(self.tag)
    }
}

/// The Python language version that a cache tag names: `cpython-312` and `graalpy240-312` are (3, 12), `pypy39` is (3, 9).
pub fn python_of_tag(tag: &str) -> Option<(u8, u8)> {
    let digits = &tag[tag.trim_end_matches(|character: char| character.is_ascii_digit()).len()..];
    if digits.len() < 2 {
        return None;
    }
    Some((digits[..1].parse().ok()?, digits[1..].parse().ok()?))
}

/// The name of the entry for a source of this name, as `cache_from_source` makes it.
///
/// The last suffix is dropped whatever it is; a name whose only dot is its first (`.hidden`) loses that dot.
pub fn entry_name(source_name: &[u8], tag: &str, optimization: &str) -> Vec<u8> {
    let (stem, form) = stem_of(source_name);
    let mut name = stem.to_vec();
    if form == Form::Dotted {
        name.push(b'.');
    }
    name.extend_from_slice(tag.as_bytes());
    if !optimization.is_empty() {
        name.extend_from_slice(b".opt-");
        name.extend_from_slice(optimization.as_bytes());
    }
    name.extend_from_slice(b".pyc");
    name
}

/// Where CPython with `sys.pycache_prefix = prefix` keeps the bytecode of the absolute path `source`.
///
/// Leading separators are dropped, dots and symbolic links stay as they are spelled, as in CPython.
/// `None` when `source` has no file name.
pub fn cache_from_source(prefix: &Path, source: &Path, tag: &str, optimization: &str) -> Option<PathBuf> {
    let bytes = source.as_os_str().as_bytes();
    let slash = bytes.iter().rposition(|&byte| byte == b'/')?;
    let (head, tail) = (&bytes[..slash], &bytes[slash + 1..]);
    if tail.is_empty() {
        return None;
    }
    let start = head.iter().position(|&byte| byte != b'/').unwrap_or(head.len());
    let name = entry_name(tail, tag, optimization);
    Some(prefix.join(OsStr::from_bytes(&head[start..])).join(OsStr::from_bytes(&name)))
}

/// The directory whose sources the store's directory `relative` (without a leading slash) mirrors.
pub fn source_directory(relative: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(relative.len() + 1);
    path.push(b'/');
    path.extend_from_slice(relative);
    PathBuf::from(std::ffi::OsString::from_vec(path))
}

/// The directory of the store, by its path from the root, that mirrors an absolute directory of sources: the inverse of
/// [`source_directory`].
pub fn mirror_of(sources: &Path) -> &[u8] {
    sources.as_os_str().as_bytes().strip_prefix(b"/").unwrap_or_default()
}

/// A relative path and a name below it; either may be empty.
pub fn joined(relative: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(relative.len() + 1 + name.len());
    path.extend_from_slice(relative);
    if !path.is_empty() && !name.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// Whether a directory of the store mirrors sources: one with a `__pycache__` component does not.
pub fn mirrors_sources(relative: &[u8]) -> bool {
    relative.split(|&byte| byte == b'/').all(|component| component != PYCACHE)
}

/// Whether this is a cache tag: a known implementation and its version, `cpython-312`, `pypy39`, `graalpy240-311`.
pub fn is_tag(tag: &str) -> bool {
    let Some(version) = IMPLEMENTATIONS.iter().find_map(|name| tag.strip_prefix(name)) else { return false };
    let (own, language) = match version.split_once('-') {
        Some((own, language)) => (own, language),
        // Only PyPy puts the version right behind its name; `libcpython312` is no tag.
        None if tag.starts_with("pypy") => ("", version),
        None => return false,
    };
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (2..=4).contains(&language.len()) && is_number(language) && is_number(own)
}

/// Whether this may be the cache tag of an implementation that is not in the list: by PEP 421 a composite of the
/// implementation's name and its version, `rustpython-0_4`. The name has `py` or `thon` in it, as those of all have that
/// are known, so that files of other programs stay foreign. Only for what follows a dot: there it is clear where a tag
/// begins.
fn is_tag_of_another(tag: &str) -> bool {
    let Some((name, version)) = tag.split_once('-') else { return false };
    let name = name.trim_end_matches(|character: char| character.is_ascii_digit());
    let is_listed = ["cpython", "pypy"].contains(&name);
    let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase())
        && (name.contains("py") || name.contains("thon") || IMPLEMENTATIONS.contains(&name));
    let is_version = (2..=7).contains(&version.len())
        && version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
        && !version.starts_with('_')
        && !version.ends_with('_');
    !is_listed && is_name && is_version
}

/// `tail.rpartition('.')` as `cache_from_source` uses it: the base, or what follows the dot when the base is empty.
fn stem_of(source_name: &[u8]) -> (&[u8], Form) {
    match source_name.iter().rposition(|&byte| byte == b'.') {
        Some(0) => (&source_name[1..], Form::Dotted),
        Some(dot) => (&source_name[..dot], Form::Dotted),
        None => (source_name, Form::Undotted),
    }
}

fn split_optimization(base: &[u8]) -> (&[u8], &str) {
    if let Some(dot) = base.iter().rposition(|&byte| byte == b'.')
        && let Some(optimization) = base[dot + 1..].strip_prefix(b"opt-")
        && !optimization.is_empty()
        && optimization.iter().all(u8::is_ascii_alphanumeric)
        && let Ok(optimization) = std::str::from_utf8(optimization)
    {
        return (&base[..dot], optimization);
    }
    (base, "")
}

fn split_dotted(base: &[u8]) -> Option<(&[u8], &str)> {
    let dot = base.iter().rposition(|&byte| byte == b'.')?;
    let tag = std::str::from_utf8(&base[dot + 1..]).ok()?;
    (dot > 0 && (is_tag(tag) || is_tag_of_another(tag))).then_some((&base[..dot], tag))
}

/// A source without a dot leaves none before the tag, so there is none in the whole base.
fn split_undotted(base: &[u8]) -> Option<(&[u8], &str)> {
    if base.contains(&b'.') {
        return None;
    }
    (1..base.len()).find_map(|at| {
        let tag = std::str::from_utf8(&base[at..]).ok()?;
        is_tag(tag).then_some((&base[..at], tag))
    })
}

fn is_decimal(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes[0] != b'0' && bytes.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pyc::recorded::{Fact, facts};
    use proptest::prelude::*;

    fn bytecode(name: &str) -> (String, &str, &str, Option<&str>) {
        match Name::parse(name.as_bytes()) {
            Name::Bytecode(slot) => {
                (String::from_utf8(slot.usual_source()).unwrap(), slot.tag, slot.optimization, slot.pytest)
            }
            other => panic!("{name} is {other:?}"),
        }
    }

    #[test]
    fn names_that_python_writes_are_read_from_the_right() {
        for (name, source, tag, optimization, pytest) in [
            ("b.cpython-312.pyc", "b.py", "cpython-312", "", None),
            ("b.cpython-312.opt-1.pyc", "b.py", "cpython-312", "1", None),
            ("b.c.cpython-312.pyc", "b.c.py", "cpython-312", "", None),
            (".hidden.cpython-38.pyc", ".hidden.py", "cpython-38", "", None),
            ("scriptcpython-312.pyc", "script", "cpython-312", "", None),
            ("scriptcpython-312.opt-2.pyc", "script", "cpython-312", "2", None),
            ("a.pypy39.pyc", "a.py", "pypy39", "", None),
            ("a.graalpy240-311.pyc", "a.py", "graalpy240-311", "", None),
            ("a.rustpython-0_4.pyc", "a.py", "rustpython-0_4", "", None),
            ("a.b.rustpython-0_4.opt-1.pyc", "a.b.py", "rustpython-0_4", "1", None),
            ("a.pyston-23.pyc", "a.py", "pyston-23", "", None),
            ("a.cinder-310.pyc", "a.py", "cinder-310", "", None),
            ("a.cinder2-310.pyc", "a.py", "cinder2-310", "", None),
            ("a.graalpython-38.pyc", "a.py", "graalpython-38", "", None),
            ("a.jython-27.pyc", "a.py", "jython-27", "", None),
            ("a.brython-3_13.pyc", "a.py", "brython-3_13", "", None),
            ("a.nextpy12-0_1_3.pyc", "a.py", "nextpy12-0_1_3", "", None),
            ("m.cpython-311.opt-beartype0v23v1.pyc", "m.py", "cpython-311", "beartype0v23v1", None),
            ("t.cpython-311-pytest-9.2.0.pyc", "t.py", "cpython-311", "", Some("9.2.0")),
            ("t.cpython-311-pytest-9.2.0.pyo", "t.py", "cpython-311", "", Some("9.2.0")),
            (
                "t.cpython-311-pytest-9.0.0.dev1+g12ab.pyc",
                "t.py",
                "cpython-311",
                "",
                Some("9.0.0.dev1+g12ab"),
            ),
            ("a-pytest-1.cpython-311.pyc", "a-pytest-1.py", "cpython-311", "", None),
            ("t.cpython-311-pytest-1.pypy39.pyc", "t.cpython-311-pytest-1.py", "pypy39", "", None),
            ("a.opt-1.cpython-311.pyc", "a.opt-1.py", "cpython-311", "", None),
            ("cpython-311.cpython-311.pyc", "cpython-311.py", "cpython-311", "", None),
            ("acpython-31cpython-312.pyc", "acpython-31", "cpython-312", "", None),
        ] {
            assert_eq!(bytecode(name), (source.to_string(), tag, optimization, pytest), "{name}");
        }
    }

    #[test]
    fn interrupted_writes_are_temporary() {
        for name in ["b.cpython-312.pyc.140234866", "t.cpython-311-pytest-9.2.0.pyo.77", "xcpython-312.pyc.1"]
        {
            assert!(matches!(Name::parse(name.as_bytes()), Name::Temporary(_)), "{name}");
        }
    }

    #[test]
    fn copies_that_synchronisers_make_are_temporary() {
        for name in [
            "m.cpython-312 2.pyc",
            "m.cpython-312 13.pyc",
            "m.cpython-312 (1).pyc",
            "m.cpython-312.opt-1 (2).pyc",
            "m.cpython-312 (conflicted copy).pyc",
            "m.cpython-312 (Bob's MacBook's conflicted copy 2026-01-01).pyc",
            "m.cpython-312 (Bob's Conflicted Copy).pyc",
            "m.cpython-312 (conflicted copy 2026-01-01 120000).pyc",
            "m.cpython-312 (Case Conflict).pyc",
            "m.cpython-312 (Selective Sync Conflict 1).pyc",
            "m.cpython-312 (SFConflict a@b.org 2026-01-01-12-00-00).pyc",
            "m.cpython-312 [conflicted].pyc",
            "m.cpython-312.sync-conflict-20260101-120000-ABCDEFG.pyc",
            "m.cpython-312.sync-conflict-20260101-120000.pyc",
            "m.cpython-312.Conflict.pyc",
            "m.cpython-312.Conflict2.pyc",
            "m.cpython-312 2 (1).pyc",
            "m.cpython-312.sync-conflict-20260101-120000-ABCDEFG.sync-conflict-20260102-120000-ABCDEFG.pyc",
            "a.b.pypy311 2.pyc",
            "scriptcpython-312 2.pyc",
            "my mod (1).cpython-312 2.pyc",
            "t.cpython-311-pytest-9.2.0 2.pyc",
            "t.cpython-311-pytest-9.2.0 (1).pyo",
        ] {
            assert!(matches!(Name::parse(name.as_bytes()), Name::Temporary(_)), "{name}");
        }
        let parsed = Name::parse(b"a b.cpython-312.opt-2 (1).pyc");
        let Name::Temporary(slot) = parsed else { panic!("{parsed:?}") };
        assert_eq!(
            (slot.usual_source(), slot.tag, slot.optimization),
            (b"a b.py".to_vec(), "cpython-312", "2")
        );
    }

    #[test]
    fn what_only_resembles_a_copy_is_foreign() {
        for name in [
            "m.cpython-312 1.pyc",
            "m.cpython-312 02.pyc",
            "m.cpython-312 2000.pyc",
            "m.cpython-312 2",
            "m.cpython-312 2.pyo",
            "m.cpython-312  2.pyc",
            "m.cpython-312 ().pyc",
            "m.cpython-312 (my own).pyc",
            "m.cpython-312 backup.pyc",
            "m.cpython-312 copy.pyc",
            "m.cpython-312(1).pyc",
            "m.cpython-312-DESKTOP-1.pyc",
            "m.cpython-312_conflict.pyc",
            "m.cpython-312.Conflicts.pyc",
            "m.cpython-312.sync-conflict-2026-120000-ABCDEFG.pyc",
            "m.cpython-312.sync-conflict-20260101-120000-ABCDEFG-X.pyc",
            "m.cpython-312.sync-conflict-20260101-120000-ABC.pyc",
            "m 2.pyc",
            " 2.pyc",
            "cpython-312 2.pyc",
        ] {
            assert_eq!(Name::parse(name.as_bytes()), Name::Foreign, "{name}");
        }
    }

    #[test]
    fn everything_else_is_foreign() {
        for name in [
            "",
            ".",
            "b.py",
            "b.pyc",
            "b.pyo",
            ".cpython-312.pyc",
            "cpython-312.pyc",
            "b.cpython-312.pyo",
            "b.cpython-312.opt-.pyc",
            "b.cpython-312.opt-a_b.pyc",
            "b.cpython-312.pyc.01",
            "b.cpython-312.pyc.",
            "b.cpython-312.pyc.12a",
            "b.cpython-312.pyc.1.2",
            "b.cpython-.pyc",
            "b.cpython-3.pyc",
            "b.cpython-312.so",
            "b.CPYTHON-312.pyc",
            "x.graalpy-a-311.pyc",
            "x.rustpython-0_.pyc",
            "x.rustpython-_4.pyc",
            "x.rustpython-0_4-1.pyc",
            "x.rustpython-.pyc",
            "x.RustPython-0_4.pyc",
            "x.cpython-3_12.pyc",
            "x.pypy-3_11.pyc",
            "x.pypy311-.pyc",
            "x.release-12.pyc",
            "x.v-12.pyc",
            "scriptrustpython-0_4.pyc",
            "0_4.pyc",
            "libcpython312.pyc",
            "CACHEDIR.TAG",
            "t.cpython-311-pytest-.pyc",
            "t.cpython-311-pytest-x.pyc",
            "x.cpython-31२.pyc",
        ] {
            assert_eq!(Name::parse(name.as_bytes()), Name::Foreign, "{name}");
        }
    }

    #[test]
    fn a_slot_holds_every_source_that_python_sends_to_it() {
        let Name::Bytecode(slot) = Name::parse(b"x.cpython-312.pyc") else { panic!() };
        for source in ["x.py", "x.pyw", "x.hy", "x.", ".x"] {
            assert!(slot.holds(source.as_bytes()), "{source}");
        }
        for source in ["x", "x.a.py", ".x.py", "y.py", ""] {
            assert!(!slot.holds(source.as_bytes()), "{source}");
        }
        let Name::Bytecode(slot) = Name::parse(b"xcpython-312.pyc") else { panic!() };
        assert!(slot.holds(b"x") && !slot.holds(b"x.py"));
    }

    #[test]
    fn paths_are_the_spelled_paths() {
        let to =
            |source: &str| cache_from_source(Path::new("/P"), Path::new(source), "cpython-312", "").unwrap();
        assert_eq!(to("/a/b.py"), Path::new("/P/a/b.cpython-312.pyc"));
        assert_eq!(to("//a/b.py"), Path::new("/P/a/b.cpython-312.pyc"));
        assert_eq!(to("/m.py"), Path::new("/P/m.cpython-312.pyc"));
        assert!(mirrors_sources(b"a/b") && mirrors_sources(b"") && !mirrors_sources(b"a/__pycache__"));
    }

    #[test]
    fn entries_live_where_the_interpreters_put_them() {
        for Fact { tag, words, .. } in facts("path") {
            let (source, optimization, entry) = (words[0], words[1], words[2]);
            let computed = cache_from_source(Path::new("/P"), Path::new(source), tag, optimization).unwrap();
            // Not compared as paths, to which `/P/./a` and `/P/a` are the same.
            assert_eq!(computed.as_os_str(), entry, "{tag} {source}");
            let name = entry.rsplit('/').next().unwrap();
            let Name::Bytecode(slot) = Name::parse(name.as_bytes()) else { panic!("{entry}") };
            assert!(slot.holds(source.rsplit('/').next().unwrap().as_bytes()), "{entry} {source}");
            assert_eq!((slot.tag, slot.optimization), (tag, optimization), "{entry}");
        }
    }

    #[test]
    fn the_tag_names_the_language_version() {
        for (tag, python) in [
            ("cpython-38", (3, 8)),
            ("cpython-312", (3, 12)),
            ("pypy39", (3, 9)),
            ("graalpy240-311", (3, 11)),
        ] {
            assert_eq!(python_of_tag(tag), Some(python));
        }
        for tag in ["", "cpython", "cpython-3", "cpython-3999", "é", "pypyé"] {
            assert_eq!(python_of_tag(tag), None, "{tag}");
        }
        assert_eq!(python_of_tag("pypyé39"), Some((3, 9)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(name in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Name::parse(&name);
        }

        /// Whatever a source is called, a synchroniser's mark included: its entry is an entry.
        #[test]
        fn no_entry_is_taken_for_a_copy(
            stem in "[a-z(). ]{0,3}[a-z]{1,3}(\\.cpython-312|pypy39)?",
            mark in prop_oneof![
                Just(""), Just(" 2"), Just(" (1)"), Just(" (conflicted copy)"), Just(".Conflict"), Just(" [conflicted]"),
                Just(".sync-conflict-20260101-120000-ABCDEFG"),
            ],
            suffix in "(\\.py|\\.hy|\\.pyc|)",
            tag in prop_oneof![Just("cpython-312"), Just("pypy39"), Just("graalpy240-311")],
            optimization in prop_oneof![Just(""), Just("1"), Just("jaxtyping1018b")],
        ) {
            let source = format!("{stem}{mark}{suffix}");
            prop_assume!(!source.bytes().all(|byte| byte == b'.'));
            let name = entry_name(source.as_bytes(), tag, optimization);
            let parsed = Name::parse(&name);
            prop_assert!(matches!(parsed, Name::Bytecode(slot) if slot.holds(source.as_bytes())), "{source} → {parsed:?}");
        }

        #[test]
        fn what_python_makes_is_read_back(
            source in "[a-z.]{0,3}[a-zA-Z_0-9.-]{1,8}(\\.py|\\.hy|)",
            tag in prop_oneof![Just("cpython-312"), Just("cpython-38"), Just("pypy39")],
            optimization in prop_oneof![Just(""), Just("1"), Just("2"), Just("typeguard460")],
        ) {
            prop_assume!(!source.bytes().all(|byte| byte == b'.'));
            let name = entry_name(source.as_bytes(), tag, optimization);
            let parsed = Name::parse(&name);
            let Name::Bytecode(slot) = parsed else { panic!("{source} → {parsed:?}") };
            prop_assert!(slot.holds(source.as_bytes()), "{source} → {slot:?}");
            prop_assert_eq!((slot.tag, slot.optimization), (tag, optimization));
        }
    }

    #[test]
    fn a_directory_of_sources_and_its_mirror_lead_to_each_other() {
        for (sources, mirror) in [("/", ""), ("/a", "a"), ("/a/b c", "a/b c")] {
            assert_eq!(mirror_of(Path::new(sources)), mirror.as_bytes());
            assert_eq!(source_directory(mirror.as_bytes()), Path::new(sources));
        }
    }
}
