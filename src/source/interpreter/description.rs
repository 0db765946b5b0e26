//! What the files of an installation state about its interpreter: version, cache tag and magic number.

use super::environment;
use super::version::{Build, Implementation, LibraryName, Stage, Version, magic_in_header, magic_in_library};
use super::{Interpreter, StoreUse};
use crate::pyc::Magic;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// A standard library on this disk.
#[derive(Debug, Clone)]
pub(super) struct Library {
    pub name: LibraryName,
    /// Where it is, links resolved; none where only the executable's name tells of it.
    pub path: Option<PathBuf>,
    /// The installation's root.
    pub prefix: PathBuf,
}

/// All that is told of the interpreter with this library.
pub(super) fn describe(library: &Library) -> Interpreter {
    let LibraryName { implementation, major, minor, build } = library.name;
    let headers = headers_of(library);
    let header =
        |name: &str| headers.iter().find_map(|directory| environment::read_text(&directory.join(name)));
    let in_library = |name: &str| environment::read_text(&library.path.as_ref()?.join(name));
    let bare = Version::of(major, minor);
    let version = header("patchlevel.h")
        .as_deref()
        .and_then(Version::in_patchlevel)
        .or_else(|| {
            Version::in_build_details(&environment::read_text(&build_details(library.path.as_ref()?)?)?)
        })
        .filter(|version| (version.major, version.minor) == (major, minor))
        .or_else(|| bare.in_directory_name(telling_name(&library.prefix, &bare.to_string())?))
        .unwrap_or(bare);
    let tag = library.name.tag();
    let stated = || {
        let source = in_library("importlib/_bootstrap_external.py");
        let magic = source.as_deref().and_then(magic_in_library);
        magic.or_else(|| magic_in_header(&header("internal/pycore_magic_number.h")?))
    };
    let magic = match (implementation, &version.stage) {
        (Implementation::CPython, Stage::Release) => {
            stated().or_else(|| tag.as_deref().and_then(Magic::loaded_by))
        }
        // The table is of releases; what may be none is judged only by what it states itself.
        (Implementation::CPython, Stage::PreRelease(_) | Stage::Unstated) => stated(),
        (Implementation::PyPy | Implementation::GraalPy { .. }, _) => None,
    };
    let store_use = if (major, minor) >= (3, 8) { StoreUse::Uses } else { StoreUse::Ignores };
    Interpreter {
        executable: None,
        prefix: library.prefix.clone(),
        implementation,
        version,
        build,
        tag,
        magic,
        store_use,
        found_by: BTreeSet::new(),
    }
}

/// The file of PEP 739 in a library: `build-details.json`, or Debian's `build-details..x86_64-linux-gnu.json`.
fn build_details(library: &Path) -> Option<PathBuf> {
    let is_it = |name: &OsStr| {
        name.to_str().is_some_and(|name| name.starts_with("build-details.") && name.ends_with(".json"))
    };
    let paths = std::fs::read_dir(library).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    paths.filter(|path| path.file_name().is_some_and(is_it)).min()
}

/// Where the C headers of an interpreter may be.
fn headers_of(library: &Library) -> Vec<PathBuf> {
    let LibraryName { implementation, major, minor, build } = library.name;
    let include = library.prefix.join("include");
    let versioned = |name: &str, flags: &[&str]| {
        flags.iter().map(|flag| include.join(format!("{name}{major}.{minor}{flag}"))).collect::<Vec<_>>()
    };
    let mut headers = match (implementation, build) {
        (Implementation::PyPy, _) => versioned("pypy", &[""]),
        (_, Build::FreeThreaded) => versioned("python", &["t", "td"]),
        (_, Build::Ordinary) => versioned("python", &["", "m", "d", "dm"]),
    };
    // PyPy up to 3.7, and a CPython that was built and not installed.
    headers.extend([include, library.prefix.join("Include")]);
    headers
}

/// The directory's name that may tell an installation's whole version: its root's, or that of the directory around
/// it where the root is but a place inside (`3.12.1/install`, `3.12.1/Frameworks/Python.framework/Versions/3.12`).
fn telling_name<'a>(prefix: &'a Path, bare: &str) -> Option<&'a str> {
    let inside = ["install", "libexec", "python", "Frameworks", "Python.framework", "Versions", bare];
    let mut names = prefix.ancestors().map_while(|path| path.file_name()?.to_str());
    names.find(|name| !inside.contains(name))
}
