//! What paths look like: libraries, caches of tools, build directories; and what the mirror of a vanished directory
//! still tells of its kind.

use super::{MirrorNames, OwnerKind};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// `PREFIX/lib/python3.12` → `PREFIX`; also `lib64`, `python3` (Debian) and `python3.14t`.
pub(crate) fn prefix_of_library(directory: &Path) -> Option<&Path> {
    let parent = directory.parent()?;
    let is_library = is_python_directory(directory.file_name()?.as_bytes())
        && matches!(parent.file_name()?.as_bytes(), b"lib" | b"lib64");
    if is_library { parent.parent() } else { None }
}

/// `python3`, `python3.12`, `python3.14t`, `pypy3.9`.
fn is_python_directory(name: &[u8]) -> bool {
    let version = name.strip_prefix(b"python").or_else(|| name.strip_prefix(b"pypy"));
    version.is_some_and(|version| {
        let version = version.strip_suffix(b"t").unwrap_or(version);
        version.first() == Some(&b'3') && version.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
    })
}

/// `~/.local/lib/python3.12`, and `~/Library/Python/3.12` of framework builds.
pub(super) fn user_site(directory: &Path) -> bool {
    let is_local = prefix_of_library(directory).is_some_and(|prefix| prefix.ends_with(".local"));
    let is_version = |name: &OsStr| {
        name.as_bytes().starts_with(b"3.") && name.as_bytes()[2..].iter().all(u8::is_ascii_digit)
    };
    let is_framework = directory.file_name().is_some_and(is_version)
        && directory.parent().is_some_and(|parent| parent.ends_with("Library/Python"));
    is_local || is_framework
}

/// Where tools keep environments and archives, one directory each.
const TOOL_CACHES: [&str; 8] = [
    ".cache",
    "Library/Caches",
    "uv/tools",
    "pipx/venvs",
    "pipx/.cache",
    "hatch/env/virtual",
    "pypoetry/virtualenvs",
    "share/virtualenvs",
];

/// Tools whose environments lie inside the project that they test.
const TEST_TOOLS: [&[u8]; 2] = [b".tox", b".nox"];

/// `~/.cache/TOOL`, `~/.local/share/uv/tools/TOOL`, `…/pipx/venvs/TOOL`, `PROJECT/.tox`, and uv's cache wherever
/// it is.
pub(super) fn tool_cache(directory: &Path) -> bool {
    let (Some(parent), Some(name)) = (directory.parent(), directory.file_name()) else { return false };
    TOOL_CACHES.iter().any(|place| parent.ends_with(place))
        || TEST_TOOLS.contains(&name.as_bytes())
        || UV_BUCKETS.iter().any(|bucket| name.as_bytes().starts_with(bucket))
}

/// What uv's cache consists of, each with a version: `archive-v0`.
const UV_BUCKETS: [&[u8]; 3] = [b"archive-v", b"environments-v", b"builds-v"];

/// The names that pip, build and tempfile give to the directories in which they build: `pip-build-env-x1y2z3`.
const BUILD_NAMES: [&[u8]; 6] = [
    b"pip-build-env-",
    b"pip-install-",
    b"pip-req-build-",
    b"pip-wheel-",
    b"pip-modern-metadata-",
    b"build-env-",
];

/// A directory in which something is built, wherever `TMPDIR` is.
pub(super) fn build_root(directory: &Path) -> bool {
    let name = directory.file_name().map(OsStr::as_bytes).unwrap_or_default();
    BUILD_NAMES.iter().any(|start| name.starts_with(start) && name.len() > start.len())
}

/// Where interpreters are installed, one directory each; and the directories of all of them.
fn interpreter(directory: &Path) -> bool {
    let Some(parent) = directory.parent() else { return false };
    let name = directory.file_name().map(OsStr::as_bytes).unwrap_or_default();
    let is_in_cellar = |path: &Path| path.parent().is_some_and(|parent| parent.ends_with("Cellar"));
    let homebrew = |name: &[u8]| name.starts_with(b"python@") || name == b"python";
    directory.ends_with("uv/python")
        || parent.ends_with("uv/python")
        || directory.ends_with(".pyenv")
        || directory.ends_with(".pyenv/versions")
        || parent.ends_with(".pyenv/versions")
        || (homebrew(name) && is_in_cellar(directory))
        || (is_in_cellar(parent) && parent.file_name().is_some_and(|name| homebrew(name.as_bytes())))
}

/// What a vanished directory was, as far as its path and its mirror tell.
pub(super) fn kind_of_gone(directory: &Path, mirror: &dyn MirrorNames) -> Option<OwnerKind> {
    if build_root(directory) {
        return Some(OwnerKind::Build);
    }
    if tool_cache(directory) || directory.ends_with("uv/tools") || directory.ends_with("pipx/venvs") {
        return Some(OwnerKind::ToolCache);
    }
    if user_site(directory) {
        return Some(OwnerKind::UserSite);
    }
    if let Some(kind) = library_below(directory, mirror) {
        return Some(kind);
    }
    if let Some(prefix) = prefix_of_library(directory) {
        // Only the library went: `…/lib/python3.9` of an upgraded installation.
        let is_system = prefix == Path::new("/usr") || prefix == Path::new("/usr/local");
        return Some(if is_system { OwnerKind::Interpreter } else { kind_of_library(directory, mirror) });
    }
    if interpreter(directory) {
        return Some(OwnerKind::Interpreter);
    }
    let holds_environment = mirror.names(directory).iter().any(|name| {
        TEST_TOOLS.contains(&name.as_slice())
            || (matches!(name.as_slice(), b".venv" | b"venv" | b"env")
                && library_below(&directory.join(OsStr::from_bytes(name)), mirror).is_some())
    });
    holds_environment.then_some(OwnerKind::Project)
}

/// The kind of a prefix that has `lib/python3.*` in its mirror.
fn library_below(prefix: &Path, mirror: &dyn MirrorNames) -> Option<OwnerKind> {
    ["lib", "lib64"].iter().find_map(|library| {
        let library = prefix.join(library);
        let python = mirror.names(&library).into_iter().find(|name| is_python_directory(name))?;
        Some(kind_of_library(&library.join(OsStr::from_bytes(&python)), mirror))
    })
}

/// An installation's library has the standard library in it, an environment's only site-packages.
fn kind_of_library(library: &Path, mirror: &dyn MirrorNames) -> OwnerKind {
    let is_stdlib = |name: &Vec<u8>| name.starts_with(b"os.") || name == b"encodings";
    if mirror.names(library).iter().any(is_stdlib) { OwnerKind::Interpreter } else { OwnerKind::Environment }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store that has nothing to tell.
    struct Silent;

    impl MirrorNames for Silent {
        fn names(&self, _: &Path) -> Vec<Vec<u8>> {
            Vec::new()
        }
    }

    #[test]
    fn names_of_library_directories() {
        for name in ["python3", "python3.12", "python3.14t", "pypy3.9"] {
            assert!(is_python_directory(name.as_bytes()), "{name}");
        }
        for name in ["python", "python2.7", "python3.x", "pythonista", "py3"] {
            assert!(!is_python_directory(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn a_path_alone_tells_the_kind_of_what_is_gone() {
        use OwnerKind::*;
        for (path, kind) in [
            ("/h/.local/share/uv/python/cpython-3.12.1-linux-x86_64-gnu", Some(Interpreter)),
            ("/h/.local/share/uv/python", Some(Interpreter)),
            ("/h/.pyenv/versions/3.12.1", Some(Interpreter)),
            ("/h/.pyenv", Some(Interpreter)),
            ("/opt/homebrew/Cellar/python@3.12/3.12.1_1", Some(Interpreter)),
            ("/opt/homebrew/Cellar/python@3.12", Some(Interpreter)),
            ("/opt/homebrew/Cellar/black/24.1", None),
            ("/usr/lib/python3.11", Some(Interpreter)),
            ("/usr/local/lib/python3.11", Some(Interpreter)),
            ("/h/.local/lib/python3.11", Some(UserSite)),
            ("/Users/h/Library/Python/3.11", Some(UserSite)),
            ("/h/p/.venv/lib/python3.14t", Some(Environment)),
            ("/h/.cache/pre-commit", Some(ToolCache)),
            ("/h/.cache/uv", Some(ToolCache)),
            ("/srv/cache/archive-v0", Some(ToolCache)),
            ("/h/.local/share/uv/tools/ruff", Some(ToolCache)),
            ("/h/.local/share/pipx/venvs/black", Some(ToolCache)),
            ("/h/p/.tox", Some(ToolCache)),
            ("/h/p/.nox", Some(ToolCache)),
            ("/srv/tmp/pip-build-env-x1y2", Some(Build)),
            ("/h/p/src", None),
        ] {
            assert_eq!(kind_of_gone(Path::new(path), &Silent), kind, "{path}");
        }
    }
}
