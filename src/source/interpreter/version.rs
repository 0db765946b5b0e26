//! What names and files of an installation say of its Python: implementation, version, magic. Pure.
//!
//! Mirrors the names that CPython's `Makefile` and `sysconfig` give (`python3.12`, `lib/python3.14t`,
//! `include/python3.12/patchlevel.h`), PEP 739 (`build-details.json`, 3.14 and later), and those of PyPy and GraalPy.

use crate::pyc::Magic;
use std::fmt;

/// A Python implementation that can be recognised by its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Implementation {
    /// The reference implementation.
    CPython,
    /// PyPy.
    PyPy,
    /// GraalPy, whose own version is part of its cache tag.
    GraalPy {
        /// GraalPy's own major version.
        major: u8,
        /// GraalPy's own minor version.
        minor: u8,
    },
}

impl Implementation {
    /// The name as `sys.implementation.name` gives it.
    pub fn name(self) -> &'static str {
        match self {
            Implementation::CPython => "cpython",
            Implementation::PyPy => "pypy",
            Implementation::GraalPy { .. } => "graalpy",
        }
    }
}

/// How an interpreter was built. Both builds share cache tag and magic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Build {
    /// With the global interpreter lock.
    Ordinary,
    /// Without it (PEP 703); the names end in `t`.
    FreeThreaded,
}

/// How far a version had come when it was built.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Nothing tells.
    Unstated,
    /// An alpha, a beta or a release candidate, as Python writes it: `rc1`.
    PreRelease(String),
    /// Released.
    Release,
}

/// The version of the Python language, with as much of the rest as could be learnt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// 3, mostly.
    pub major: u8,
    /// The feature release.
    pub minor: u8,
    /// The bug-fix release, if anything tells.
    pub patch: Option<u8>,
    /// How far it had come.
    pub stage: Stage,
}

impl Version {
    /// A feature release of which no more is known.
    pub fn of(major: u8, minor: u8) -> Version {
        Version { major, minor, patch: None, stage: Stage::Unstated }
    }

    /// Reads `3.12.1` and `3.15.0rc1`; none where it is not a whole version.
    fn parse(text: &str) -> Option<Version> {
        let (major, rest) = number(text)?;
        let (minor, rest) = number(rest.strip_prefix('.')?)?;
        let (patch, rest) = number(rest.strip_prefix('.')?)?;
        let stage = match rest {
            "" => Stage::Release,
            rest => {
                let serial = ["a", "b", "rc"].iter().find_map(|letter| rest.strip_prefix(letter))?;
                number(serial).filter(|(_, rest)| rest.is_empty())?;
                Stage::PreRelease(rest.to_string())
            }
        };
        Some(Version { major, minor, patch: Some(patch), stage })
    }

    /// What `patchlevel.h` says. Its numbers, not its text: that may be a vendor's.
    pub fn in_patchlevel(header: &str) -> Option<Version> {
        let number = |name: &str| defined(header, name)?.parse().ok();
        let serial = defined(header, "PY_RELEASE_SERIAL").unwrap_or_default();
        let stage = match defined(header, "PY_RELEASE_LEVEL")? {
            "PY_RELEASE_LEVEL_FINAL" => Stage::Release,
            "PY_RELEASE_LEVEL_ALPHA" => Stage::PreRelease(format!("a{serial}")),
            "PY_RELEASE_LEVEL_BETA" => Stage::PreRelease(format!("b{serial}")),
            _ => Stage::PreRelease(format!("rc{serial}")),
        };
        Some(Version {
            major: number("PY_MAJOR_VERSION")?,
            minor: number("PY_MINOR_VERSION")?,
            patch: number("PY_MICRO_VERSION"),
            stage,
        })
    }

    /// What `build-details.json` says (PEP 739): its `language.version_info`.
    pub fn in_build_details(json: &str) -> Option<Version> {
        let block = json.split_once("\"version_info\"")?.1.split_once('{')?.1.split_once('}')?.0;
        let field = |name: &str| {
            let value = block.split_once(&format!("\"{name}\""))?.1.trim_start().strip_prefix(':')?;
            Some(value.split(',').next()?.trim().trim_matches('"').to_string())
        };
        let stage = match field("releaselevel")?.as_str() {
            "final" => Stage::Release,
            level => {
                let letter = match level {
                    "alpha" => "a",
                    "beta" => "b",
                    "candidate" => "rc",
                    other => other,
                };
                Stage::PreRelease(format!("{letter}{}", field("serial").unwrap_or_default()))
            }
        };
        Some(Version {
            major: field("major")?.parse().ok()?,
            minor: field("minor")?.parse().ok()?,
            patch: field("micro")?.parse().ok(),
            stage,
        })
    }

    /// This version as a directory's name tells it in full: `3.12.1`, `cpython-3.12.1-linux-x86_64-gnu`,
    /// `cpython@3.15.0b2`, `3.12.1_1`. PyPy's own version in `pypy3.9-7.3.11` is none.
    pub fn in_directory_name(&self, name: &str) -> Option<Version> {
        let start = format!("{}.{}.", self.major, self.minor);
        name.match_indices(&start).find_map(|(at, _)| {
            let goes_on = name[..at].ends_with(|c: char| c.is_ascii_digit() || c == '.');
            let text = name[at..].split(['-', '_', '+', '@']).next()?;
            if goes_on { None } else { Version::parse(text) }
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)?;
        if let Some(patch) = self.patch {
            write!(formatter, ".{patch}")?;
        }
        if let Stage::PreRelease(text) = &self.stage {
            formatter.write_str(text)?;
        }
        Ok(())
    }
}

/// The name of a directory that holds a standard library: `python3.12`, `python3.14t`, `pypy3.9`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LibraryName {
    /// The implementation that the name itself tells; GraalPy's is told by its neighbour.
    pub implementation: Implementation,
    /// The language's major version.
    pub major: u8,
    /// The language's minor version.
    pub minor: u8,
    /// Ordinary or free-threaded.
    pub build: Build,
}

impl LibraryName {
    /// Reads a directory's name; `python3` without a minor version is none (Debian keeps packages there).
    pub fn parse(name: &str) -> Option<LibraryName> {
        let (implementation, rest) = match (name.strip_prefix("python"), name.strip_prefix("pypy")) {
            (Some(rest), _) => (Implementation::CPython, rest),
            (None, Some(rest)) => (Implementation::PyPy, rest),
            (None, None) => return None,
        };
        let (major, rest) = number(rest)?;
        let (minor, rest) = number(rest.strip_prefix('.')?)?;
        let build = match rest {
            "" => Build::Ordinary,
            "t" => Build::FreeThreaded,
            _ => return None,
        };
        Some(LibraryName { implementation, major, minor, build })
    }

    /// The library of the interpreter with this cache tag; none for implementations whose libraries have other places.
    pub fn of_tag(tag: &str) -> Option<LibraryName> {
        let implementation = match tag.strip_prefix("cpython-") {
            Some(_) => Implementation::CPython,
            None => tag.strip_prefix("pypy").map(|_| Implementation::PyPy)?,
        };
        let (major, minor) = crate::pyc::name::python_of_tag(tag)?;
        Some(LibraryName { implementation, major, minor, build: Build::Ordinary })
    }

    /// GraalPy's own version, from the name of the directory that only it has beside the library: `graalpy24.0`.
    pub fn graalpy_beside(name: &str) -> Option<Implementation> {
        let (major, rest) = number(name.strip_prefix("graalpy")?)?;
        let (minor, rest) = number(rest.strip_prefix('.')?)?;
        rest.is_empty().then_some(Implementation::GraalPy { major, minor })
    }

    /// The cache tag (`sys.implementation.cache_tag`); Python 2 has none.
    pub fn tag(&self) -> Option<String> {
        let LibraryName { major, minor, .. } = *self;
        (major >= 3).then(|| match self.implementation {
            Implementation::CPython => format!("cpython-{major}{minor}"),
            Implementation::PyPy => format!("pypy{major}{minor}"),
            Implementation::GraalPy { major: own, minor: own_minor } => {
                format!("graalpy{own}{own_minor}-{major}{minor}")
            }
        })
    }
}

/// The name of an interpreter's executable, with what it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecutableName {
    /// The implementation; `python` may be any.
    pub implementation: Option<NamedImplementation>,
    /// The major version.
    pub major: Option<u8>,
    /// The minor version.
    pub minor: Option<u8>,
    /// Ordinary or free-threaded; of weight only where the minor version is told.
    pub build: Build,
}

/// An implementation that an executable's name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedImplementation {
    /// `pypy3`.
    PyPy,
    /// `graalpy`.
    GraalPy,
}

impl ExecutableName {
    /// Reads `python`, `python3`, `python3.12`, `python3.14t`, `python3.7m`, `pypy3.9`, `graalpy`,
    /// `platform-python3.6` (RHEL); none for all else, such as `python3-config`.
    pub fn parse(name: &str) -> Option<ExecutableName> {
        let name = name.strip_prefix("platform-").unwrap_or(name);
        let (implementation, rest) = if let Some(rest) = name.strip_prefix("python") {
            (None, rest)
        } else if let Some(rest) = name.strip_prefix("pypy") {
            (Some(NamedImplementation::PyPy), rest)
        } else {
            (Some(NamedImplementation::GraalPy), name.strip_prefix("graalpy")?)
        };
        if rest.is_empty() {
            return Some(ExecutableName { implementation, major: None, minor: None, build: Build::Ordinary });
        }
        let (major, rest) = number(rest)?;
        let (minor, flags) = match rest.strip_prefix('.') {
            Some(rest) => number(rest).map(|(minor, rest)| (Some(minor), rest))?,
            None => (None, rest),
        };
        // PEP 3149's flags: debug, pymalloc, wide unicode; and `t` of PEP 703.
        if !flags.chars().all(|flag| "dmut".contains(flag)) {
            return None;
        }
        let build = if flags.contains('t') { Build::FreeThreaded } else { Build::Ordinary };
        Some(ExecutableName { implementation, major: Some(major), minor, build })
    }

    /// Whether an interpreter with this library may have this executable.
    pub fn may_run(&self, library: &LibraryName) -> bool {
        let implementation = match self.implementation {
            None => true,
            Some(NamedImplementation::PyPy) => library.implementation == Implementation::PyPy,
            Some(NamedImplementation::GraalPy) => {
                matches!(library.implementation, Implementation::GraalPy { .. })
            }
        };
        implementation
            && self.major.is_none_or(|major| major == library.major)
            && self.minor.is_none_or(|minor| minor == library.minor && self.build == library.build)
    }

    /// The library's name that the executable's own name tells, without a look at the disk.
    pub fn library(&self) -> Option<LibraryName> {
        let implementation = match self.implementation {
            None => Implementation::CPython,
            Some(NamedImplementation::PyPy) => Implementation::PyPy,
            Some(NamedImplementation::GraalPy) => return None,
        };
        Some(LibraryName { implementation, major: self.major?, minor: self.minor?, build: self.build })
    }
}

/// The magic that CPython's `importlib/_bootstrap_external.py` states (up to 3.13). It is frozen into the
/// interpreter from this very file. A comment states nothing: PyPy comments the line out.
pub fn magic_in_library(source: &str) -> Option<Magic> {
    let line = source.lines().find_map(|line| line.strip_prefix("MAGIC_NUMBER = ("))?;
    let (number, rest) = line.split_once(')')?;
    rest.starts_with(".to_bytes(2, 'little')").then(|| number.parse().ok().map(Magic::of))?
}

/// The magic that CPython's `internal/pycore_magic_number.h` states (3.14 and later).
pub fn magic_in_header(header: &str) -> Option<Magic> {
    defined(header, "PYC_MAGIC_NUMBER")?.parse().ok().map(Magic::of)
}

/// The first word that `#define NAME` gives.
fn defined<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("#define") && words.next() == Some(name)).then(|| words.next())?
    })
}

/// A number at the beginning, and what follows it.
fn number(text: &str) -> Option<(u8, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_known_by_name() {
        let said = |name: &str| {
            ExecutableName::parse(name).map(|name| (name.implementation, name.major, name.minor, name.build))
        };
        use Build::{FreeThreaded, Ordinary};
        for (name, expected) in [
            ("python", (None, None, None, Ordinary)),
            ("python3", (None, Some(3), None, Ordinary)),
            ("python2.7", (None, Some(2), Some(7), Ordinary)),
            ("python3.12", (None, Some(3), Some(12), Ordinary)),
            ("python3.7m", (None, Some(3), Some(7), Ordinary)),
            ("python3.14t", (None, Some(3), Some(14), FreeThreaded)),
            ("python3.14td", (None, Some(3), Some(14), FreeThreaded)),
            ("platform-python3.6", (None, Some(3), Some(6), Ordinary)),
            ("pypy", (Some(NamedImplementation::PyPy), None, None, Ordinary)),
            ("pypy3.9", (Some(NamedImplementation::PyPy), Some(3), Some(9), Ordinary)),
            ("graalpy", (Some(NamedImplementation::GraalPy), None, None, Ordinary)),
        ] {
            assert_eq!(said(name), Some(expected), "{name}");
        }
        for name in [
            "python3-config",
            "python3.12-config",
            "python3.12-gdb.py",
            "python-argcomplete-tcsh",
            "python-exec2c",
            "pypy3compile",
            "pythonw",
            "python3.",
            "python.exe",
            "mise",
            "python3.999",
            "",
        ] {
            assert_eq!(said(name), None, "{name}");
        }
    }

    #[test]
    fn libraries_and_tags() {
        for (name, tag) in [
            ("python3.12", Some("cpython-312")),
            ("python3.14t", Some("cpython-314")),
            ("pypy3.9", Some("pypy39")),
            ("python2.7", None),
        ] {
            assert_eq!(LibraryName::parse(name).unwrap().tag().as_deref(), tag, "{name}");
        }
        for name in ["python3", "python3.", "python", "pypy", "python3.12x", "ruby3.3", "graalpy24.0"] {
            assert_eq!(LibraryName::parse(name), None, "{name}");
        }
        let implementation = LibraryName::graalpy_beside("graalpy24.0").unwrap();
        let library = LibraryName { implementation, ..LibraryName::parse("python3.11").unwrap() };
        assert_eq!(library.tag().as_deref(), Some("graalpy240-311"));
        assert!(crate::pyc::name::is_tag("graalpy240-311"));
    }

    #[test]
    fn headers_tell_version_and_stage() {
        let header = |patch: u8, level: &str, serial: u8| {
            format!(
                "#define PY_RELEASE_LEVEL_FINAL  0xF     /* Serial should be 0 here */\n\
                 #define PY_MAJOR_VERSION\t3\n#define PY_MINOR_VERSION        15\n\
                 #define PY_MICRO_VERSION        {patch}\n#define PY_RELEASE_LEVEL        {level}\n\
                 #define PY_RELEASE_SERIAL       {serial}\n#define PY_VERSION \"3.15.0+vendor.1\"\n"
            )
        };
        for (patch, level, serial, shown, is_release) in [
            (1, "PY_RELEASE_LEVEL_FINAL", 0, "3.15.1", true),
            (0, "PY_RELEASE_LEVEL_GAMMA", 1, "3.15.0rc1", false),
            (0, "PY_RELEASE_LEVEL_BETA", 2, "3.15.0b2", false),
            (0, "PY_RELEASE_LEVEL_ALPHA", 6, "3.15.0a6", false),
        ] {
            let version = Version::in_patchlevel(&header(patch, level, serial)).unwrap();
            assert_eq!(version.to_string(), shown);
            assert_eq!(version.stage == Stage::Release, is_release, "{shown}");
        }
        assert_eq!(Version::in_patchlevel("#define PERL_VERSION 36"), None);
        assert_eq!(Version::in_patchlevel(""), None);
    }

    #[test]
    fn build_details_tell_version_and_stage() {
        let details = |level: &str, serial: u8| {
            format!(
                "{{\n  \"schema_version\": \"1.0\",\n  \"language\": {{\n    \"version\": \"3.14\",\n    \"version_info\": {{\n      \
                 \"major\": 3,\n      \"minor\": 14,\n      \"micro\": 2,\n      \"releaselevel\": \"{level}\",\n      \
                 \"serial\": {serial}\n    }}\n  }},\n  \"implementation\": {{\n    \"version\": {{\n      \"major\": 9\n    }}\n  }}\n}}"
            )
        };
        let read = |level, serial| Version::in_build_details(&details(level, serial)).unwrap();
        assert_eq!(read("final", 0).to_string(), "3.14.2");
        assert_eq!(read("final", 0).stage, Stage::Release);
        assert_eq!(read("candidate", 3).to_string(), "3.14.2rc3");
        assert_eq!(read("alpha", 1).stage, Stage::PreRelease("a1".into()));
        assert_eq!(Version::in_build_details("{}"), None);
        assert_eq!(Version::in_build_details("{\"version_info\": {\"major\": 3"), None);
    }

    #[test]
    fn directories_tell_the_patch() {
        let said = |minor, name| {
            Version::of(3, minor)
                .in_directory_name(name)
                .map(|it| (it.to_string(), it.stage == Stage::Release))
        };
        let is = |text: &str, released| Some((text.to_string(), released));
        for name in [
            "3.12.1",
            "cpython-3.12.1-linux-x86_64-gnu",
            "cpython@3.12.1",
            "3.12.1_1",
            "python-3.12.1-hab00c5b_1_cpython",
        ] {
            assert_eq!(said(12, name), is("3.12.1", true), "{name}");
        }
        assert_eq!(said(14, "cpython-3.14.0+freethreaded-linux-x86_64-gnu"), is("3.14.0", true));
        assert_eq!(said(15, "cpython-3.15.0b2-linux-x86_64-gnu"), is("3.15.0b2", false));
        for (minor, name) in [
            (9, "pypy3.9-7.3.11"),
            (12, "3.12"),
            (13, "3.13-dev"),
            (2, "13.2.1"),
            (2, "3.3.2.1"),
            (3, "3.3.2.1"),
            (1, "3.12.1"),
        ] {
            assert_eq!(said(minor, name), None, "{name}");
        }
    }

    #[test]
    fn magics_are_read_where_python_states_them() {
        let line = "_x = 1\nMAGIC_NUMBER = (3495).to_bytes(2, 'little') + b'\\r\\n'\n";
        assert_eq!(magic_in_library(line), Some(Magic::of(3495)));
        assert_eq!(magic_in_library("# MAGIC_NUMBER = (3425).to_bytes(2, 'little') + b'\\r\\n'"), None);
        assert_eq!(
            magic_in_library("MAGIC_NUMBER = _imp.pyc_magic_number_token.to_bytes(4, 'little')"),
            None
        );
        assert_eq!(magic_in_library("MAGIC_NUMBER = (99999).to_bytes(2, 'little')"), None);
        let header =
            "/* PYC_MAGIC_NUMBER */\n#define PYC_MAGIC_NUMBER 3627\n#define PYC_MAGIC_NUMBER_TOKEN \\\n";
        assert_eq!(magic_in_header(header), Some(Magic::of(3627)));
    }
}
