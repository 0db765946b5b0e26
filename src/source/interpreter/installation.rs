//! From an executable or an installation's root to the interpreters there, by what the disk says; nothing is run.
//!
//! The standard library is what makes an installation: CPython's `getpath` climbs from its executable until it finds
//! `lib/python3.X/os.py`, and so does this. Version and magic are read where Python itself states them.

use super::description::{Library, describe};
use super::environment;
use super::version::{Build, ExecutableName, Implementation, LibraryName, Version};
use super::{FoundBy, Interpreter, Interpreters, UnreadablePlace};
use crate::host::directory;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs::DirEntry;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What tells two interpreters apart: where they are and what they are.
type InstallationKey = (PathBuf, Implementation, u8, u8, Build);

/// How many virtualenvs may be made from one another before it counts as a circle.
const DEEPEST_ENVIRONMENT: u8 = 8;

/// Collects interpreters, each once.
#[derive(Debug, Default)]
pub(super) struct Finder {
    interpreters: BTreeMap<InstallationKey, Interpreter>,
    unidentified: BTreeSet<PathBuf>,
    unreadable: Vec<UnreadablePlace>,
    libraries: HashMap<PathBuf, Vec<Library>>,
    executables: HashMap<PathBuf, Vec<InstallationKey>>,
    roots: HashMap<PathBuf, Vec<InstallationKey>>,
}

impl Finder {
    /// All that was found, in order.
    pub(super) fn finish(mut self) -> Interpreters {
        self.unreadable.sort_by(|one, other| one.path.cmp(&other.path));
        self.unreadable.dedup_by(|one, other| one.path == other.path);
        let mut found: Vec<Interpreter> = self.interpreters.into_values().collect();
        found.sort_by(|one, other| {
            let key = |it: &Interpreter| (it.implementation, it.version.clone(), it.build, it.prefix.clone());
            key(one).cmp(&key(other))
        });
        Interpreters {
            found,
            unidentified: self.unidentified.into_iter().collect(),
            unreadable: self.unreadable,
            out_of_reach: Vec::new(),
        }
    }

    /// The names in a directory, sorted. None where there is none; where it cannot be told, that is recorded.
    ///
    /// What we may not list we may not run either, so that is nothing to worry about: see [`Finder::refused`].
    pub(super) fn names_in(&mut self, directory: &Path) -> Vec<OsString> {
        let listed = std::fs::read_dir(directory).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
        match listed {
            Ok(entries) => {
                let mut names: Vec<OsString> = entries.iter().map(DirEntry::file_name).collect();
                names.sort();
                names
            }
            Err(source) => {
                let harmless =
                    [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory, io::ErrorKind::PermissionDenied];
                if !harmless.contains(&source.kind()) {
                    self.unreadable.push(UnreadablePlace { path: directory.to_path_buf(), source });
                }
                Vec::new()
            }
        }
    }

    /// Records a directory that its own user must be able to look into, if we cannot.
    pub(super) fn refused(&mut self, directory: &Path) {
        if let Err(source) = std::fs::read_dir(directory)
            && source.kind() == io::ErrorKind::PermissionDenied
        {
            self.unreadable.push(UnreadablePlace { path: directory.to_path_buf(), source });
        }
    }

    /// Every interpreter in a directory of executables.
    pub(super) fn executables_in(&mut self, directory: &Path, by: FoundBy) {
        for name in self.names_in(directory) {
            if name.to_str().and_then(ExecutableName::parse).is_some() {
                self.executable(&directory.join(name), by);
            }
        }
    }

    /// The interpreters that a file may be: none for a script or a dispatcher, more than one where neither its name
    /// nor the libraries beside it tell its version.
    pub(super) fn executable(&mut self, path: &Path, by: FoundBy) {
        self.executable_or_base(path, by, 0);
    }

    /// The interpreter that the virtualenv with this `pyvenv.cfg` runs.
    pub(super) fn environment(&mut self, configuration: &Path, by: FoundBy) {
        self.base_of(configuration, by, 0);
    }

    fn base_of(&mut self, configuration: &Path, by: FoundBy, depth: u8) {
        if depth < DEEPEST_ENVIRONMENT
            && let Some(base) = environment::base_executable(configuration)
        {
            self.executable_or_base(&base, by, depth + 1);
        }
    }

    fn executable_or_base(&mut self, path: &Path, by: FoundBy, depth: u8) {
        let Ok(metadata) = path.metadata() else { return };
        if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
            return;
        }
        if let Some(configuration) = environment::configuration_for(path) {
            return self.base_of(&configuration, by, depth);
        }
        let Ok(real) = path.canonicalize() else { return };
        if let Some(keys) = self.executables.get(&real) {
            let keys = keys.clone();
            return self.found_again(&keys, by);
        }
        // A link may lead to a program that takes many names: a tool that chooses a Python, not a Python.
        let name = real.file_name().and_then(OsStr::to_str).and_then(ExecutableName::parse);
        let Some(name) = name.filter(|_| !is_shim(&real)) else { return };
        let libraries = self.libraries_for(&real, &name);
        let keys = match (libraries.as_slice(), name.library()) {
            ([], None) => {
                self.unidentified.insert(real);
                return;
            }
            // A library that was packed into the executable, or lies where only the executable knows.
            ([], Some(library)) => {
                let bin = real.parent().unwrap_or(&real);
                let prefix = bin.parent().filter(|_| bin.ends_with("bin")).unwrap_or(bin).to_path_buf();
                let library = Library { name: library, path: None, prefix };
                vec![self.add(&library, Some(&real), by)]
            }
            (libraries, _) => {
                libraries.iter().map(|library| self.add(library, Some(&real), by)).collect::<Vec<_>>()
            }
        };
        self.executables.insert(real, keys);
    }

    /// The interpreters of an installation's root: those whose library is there, and those in its `bin`.
    pub(super) fn root(&mut self, root: &Path, by: FoundBy) {
        let Ok(root) = root.canonicalize() else { return };
        if let Some(keys) = self.roots.get(&root) {
            let keys = keys.clone();
            return self.found_again(&keys, by);
        }
        let configuration = root.join(environment::CONFIGURATION);
        if configuration.is_file() {
            return self.environment(&configuration, by);
        }
        let mut keys = Vec::new();
        for library in self.libraries_of(&root) {
            let executable = executable_of(&root, &library.name);
            keys.push(self.add(&library, executable.as_deref(), by));
        }
        self.roots.insert(root.clone(), keys);
        self.executables_in(&root.join("bin"), by);
    }

    /// The interpreter that a mirrored library reveals, if the library is still there.
    pub(super) fn library(&mut self, directory: &Path, tag: &str, by: FoundBy) {
        let Ok(path) = directory.canonicalize() else { return };
        let Some(root) = path.ancestors().nth(2) else { return };
        let libraries = self.libraries_of(root);
        let mut has_name = false;
        for library in libraries.iter().filter(|library| library.path.as_ref() == Some(&path)) {
            has_name = true;
            if library.name.tag().as_deref() == Some(tag) {
                let executable = executable_of(&library.prefix, &library.name);
                self.add(library, executable.as_deref(), by);
            }
        }
        if !has_name && let Some(library) = embedded_library(&path, tag) {
            let executable = executable_of(&library.prefix, &library.name);
            self.add(&library, executable.as_deref(), by);
        }
    }

    /// Adds the interpreter of a running process, by the path of its executable, unless it was found otherwise. In a
    /// container that path may not exist here.
    pub(super) fn process(&mut self, executable: &Path) {
        if executable.is_file() {
            let is_known = executable.canonicalize().is_ok_and(|real| self.executables.contains_key(&real));
            if !is_known {
                self.executable(executable, FoundBy::Process);
            }
            return;
        }
        let name = executable.file_name().and_then(OsStr::to_str).and_then(ExecutableName::parse);
        if let Some(name) = name.and_then(|name| name.library()) {
            let prefix = executable.ancestors().nth(2).unwrap_or(executable).to_path_buf();
            self.add(&Library { name, path: None, prefix }, None, FoundBy::Process);
        }
    }

    fn found_again(&mut self, keys: &[InstallationKey], by: FoundBy) {
        for key in keys {
            if let Some(interpreter) = self.interpreters.get_mut(key) {
                interpreter.found_by.insert(by);
            }
        }
    }

    fn add(&mut self, library: &Library, executable: Option<&Path>, by: FoundBy) -> InstallationKey {
        let LibraryName { implementation, major, minor, build } = library.name;
        let key = (library.prefix.clone(), implementation, major, minor, build);
        let interpreter = self.interpreters.entry(key.clone()).or_insert_with(|| describe(library));
        interpreter.found_by.insert(by);
        if interpreter.executable.is_none() {
            interpreter.executable = executable.and_then(|path| path.canonicalize().ok());
        }
        key
    }

    /// The libraries that an executable may run: those in the nearest directory above it that has any. One that
    /// does not say its version is not taken for the system's because it lies somewhere below `/`.
    fn libraries_for(&mut self, real: &Path, name: &ExecutableName) -> Vec<Library> {
        let furthest = if name.minor.is_some() { usize::MAX } else { 2 };
        for directory in real.ancestors().skip(1).take(furthest) {
            let mut libraries = self.libraries_of(directory);
            libraries.retain(|library| name.may_run(&library.name));
            // PyPy and GraalPy bring a `python` too, but only where there is no CPython that it could be.
            if name.implementation.is_none()
                && libraries.iter().any(|library| library.name.implementation == Implementation::CPython)
            {
                libraries.retain(|library| library.name.implementation == Implementation::CPython);
            }
            if !libraries.is_empty() {
                return libraries;
            }
        }
        Vec::new()
    }

    fn libraries_of(&mut self, root: &Path) -> Vec<Library> {
        if let Some(libraries) = self.libraries.get(root) {
            return libraries.clone();
        }
        let mut libraries: Vec<Library> = Vec::new();
        for lib in [root.join("lib"), root.join("lib64")] {
            let names = self.names_in(&lib);
            let names: Vec<&str> = names.iter().filter_map(|name| name.to_str()).collect();
            let graalpy = names.iter().find_map(|name| LibraryName::graalpy_beside(name));
            for name in names {
                let Some(mut library) = LibraryName::parse(name) else { continue };
                if library.implementation == Implementation::CPython {
                    library.implementation = graalpy.unwrap_or(library.implementation);
                }
                libraries.extend(library_at(&lib.join(name), library));
            }
        }
        libraries.extend(unversioned_libraries(root));
        libraries.sort_by(|one, other| one.path.cmp(&other.path));
        libraries.dedup_by(|one, other| one.path == other.path);
        self.libraries.insert(root.to_path_buf(), libraries.clone());
        libraries
    }
}

/// The libraries whose name has no version: those of PyPy up to 3.7, and of a CPython that was built and not
/// installed. There a header tells it.
fn unversioned_libraries(root: &Path) -> Vec<Library> {
    let places = [
        ("lib-python/3", "include", Implementation::PyPy),
        ("lib-python/2.7", "include", Implementation::PyPy),
        ("Lib", "Include", Implementation::CPython),
    ];
    let library = |(path, include, implementation): (&str, &str, Implementation)| {
        let path = root.join(path);
        if !is_library(&path) {
            return None;
        }
        let patchlevel = environment::read_text(&root.join(include).join("patchlevel.h"))?;
        let Version { major, minor, .. } = Version::in_patchlevel(&patchlevel)?;
        let name = LibraryName { implementation, major, minor, build: Build::Ordinary };
        Some(Library { name, path: Some(path.canonicalize().ok()?), prefix: root.canonicalize().ok()? })
    };
    places.into_iter().filter_map(library).collect()
}

/// A standard library under any name (`…/python-core-3.8.18/lib` of LibreOffice), where entries of the store have told its
/// tag.
fn embedded_library(path: &Path, tag: &str) -> Option<Library> {
    let has_encodings = is_package(&path.join("encodings"));
    let name = LibraryName::of_tag(tag).filter(|_| is_library(path) && has_encodings)?;
    Some(Library { name, path: Some(path.to_path_buf()), prefix: path.parent()?.to_path_buf() })
}

/// The library at `PREFIX/lib/NAME`, if it is one. The prefix is that of the real place: `/lib` leads to `/usr/lib`.
fn library_at(path: &Path, name: LibraryName) -> Option<Library> {
    if !is_library(path) {
        return None;
    }
    let path = path.canonicalize().ok()?;
    let prefix = path.ancestors().nth(2)?.to_path_buf();
    Some(Library { name, path: Some(path), prefix })
}

/// `getpath`'s landmark.
fn is_library(directory: &Path) -> bool {
    ["os.py", "os.pyc"].iter().any(|landmark| directory.join(landmark).is_file())
}

fn is_package(directory: &Path) -> bool {
    ["__init__.py", "__init__.pyc"].iter().any(|module| directory.join(module).is_file())
}

/// The executable in `root/bin` that runs this library.
fn executable_of(root: &Path, name: &LibraryName) -> Option<PathBuf> {
    let LibraryName { implementation, major, minor, build } = *name;
    let flag = if build == Build::FreeThreaded { "t" } else { "" };
    let program = match implementation {
        Implementation::CPython => "python",
        Implementation::PyPy => "pypy",
        Implementation::GraalPy { .. } => "graalpy",
    };
    let names = [
        format!("{program}{major}.{minor}{flag}"),
        format!("{program}{major}"),
        program.to_string(),
        format!("python{major}"),
    ];
    // `python3` may be a link to another version's.
    let fits = |path: &PathBuf| {
        let real = path.canonicalize().ok()?;
        let parsed = ExecutableName::parse(real.file_name()?.to_str()?)?;
        (real.is_file() && !is_shim(&real) && parsed.may_run(name)).then_some(real)
    };
    names.iter().map(|name| root.join("bin").join(name)).find_map(|path| fits(&path))
}

/// Whether an executable only chooses which Python to run: a script (pyenv, asdf), or the stub that macOS keeps for
/// its developer tools.
fn is_shim(real: &Path) -> bool {
    let mut start = [0; 2];
    // An executable that may be run and not read is no script: a script has to be read.
    let is_script = directory::open_file(real).and_then(|(mut file, _)| file.read_exact(&mut start)).is_ok()
        && &start == b"#!";
    is_script || real.with_file_name("xcode-select").is_file()
}
