//! Finds who may change the files that an interpreter executes when it runs our script with `-I -S`: the executable, its
//! linked libraries, `pyvenv.cfg` and its `home`, and the standard library.
//!
//! The search paths are those of `Modules/getpath.py` of CPython 3.11 (before, `Modules/getpath.c`) and of
//! `pypy/module/sys/initpath.py` of PyPy:
//!
//! * `pyvenv.cfg` is looked for beside the executable and one level up, before links are followed and after; its `home`
//!   takes the executable's place in what follows.
//! * `NAME._pth`, `pybuilddir.txt` and `Modules/Setup.local` beside the executable replace all paths.
//! * From there up to the root, the first directory with `lib/pythonXY.zip` is used, then the first with
//!   `lib/pythonX.Y/os.py`: a zip file in a far parent precedes the nearest library. (PyPy: `lib/pypyX.Y`, `lib-python`.)
//!
//! So both count: who may change the files that exist, and who may create those that are missing. The search paths of all
//! versions are checked forevery interpreter. A script that starts an interpreter is not parsed, only its path is checked.

use super::{PathJudge, Stranger, linked};
use crate::host::directory::open_file;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Parts of a library that nothing imports under `-I -S`.
const NOT_IMPORTED: [&str; 3] = ["site-packages", "dist-packages", "test"];

/// Maximum size of a `pyvenv.cfg`, in bytes.
const LONGEST_CONFIGURATION: u64 = 1 << 16;

/// Maximum depth of a library, in levels of directories.
const DEEPEST: usize = 32;

/// So many files has no library: that of CPython 3.13 has 1 700 besides its tests.
const MOST_ENTRIES: usize = 100_000;

/// So many libraries, archives of them and `home`s leads no interpreter to.
const MOST_PLACES: usize = 100;

/// Checks interpreters for one user, and remembers the libraries that were checked.
#[derive(Debug)]
struct Libraries {
    judge: PathJudge,
    known: BTreeMap<PathBuf, Option<Stranger>>,
}

/// The libraries that were checked, for each user.
#[derive(Debug, Default)]
pub struct KnownLibraries(Mutex<BTreeMap<u32, Libraries>>);

impl KnownLibraries {
    /// Returns someone other than `user` and root who may change what an interpreter executes.
    pub fn stranger(&self, executable: &Path, user: u32) -> Option<Stranger> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(user).or_insert_with(|| Libraries::new(user)).stranger(executable)
    }
}

impl Libraries {
    fn new(user: u32) -> Libraries {
        Libraries { judge: PathJudge::new(user), known: BTreeMap::new() }
    }

    /// Returns someone other than the user and root who may change what an interpreter executes.
    fn stranger(&mut self, executable: &Path) -> Option<Stranger> {
        let found = self.judge.of_lookup(executable);
        if found.is_some() || is_script(executable) {
            return found;
        }
        let layout = Layout::of(executable);
        let mut lookups = layout.lookups.iter().chain(&layout.above);
        lookups
            .find_map(|path| self.judge.of_lookup(path))
            .or_else(|| layout.libraries.iter().find_map(|library| self.of_library(library)))
            .or_else(|| {
                let is_known = !layout.libraries.is_empty() && !layout.is_redirected;
                (!is_known).then(|| Stranger::Unlocated(executable.to_path_buf()))
            })
    }

    /// Returns someone else who may change a library; each library is checked once.
    fn of_library(&mut self, library: &Path) -> Option<Stranger> {
        if let Some(known) = self.known.get(library) {
            return known.clone();
        }
        let found = self.judge.of_lookup(library).or_else(|| {
            let real = library.canonicalize().unwrap_or_else(|_| library.to_path_buf());
            LibraryTree { judge: &self.judge, seen: BTreeSet::new(), left: MOST_ENTRIES }
                .stranger(&real, DEEPEST)
        });
        self.known.insert(library.to_path_buf(), found.clone());
        found
    }
}

/// A library that is being looked at. It may be another user's, with links that lead round and round.
struct LibraryTree<'a> {
    judge: &'a PathJudge,
    /// The directories that were looked at.
    seen: BTreeSet<PathBuf>,
    /// How many more names are looked at.
    left: usize,
}

impl LibraryTree<'_> {
    /// Who else may change something in a directory without links on the way, of which the way is known to be safe.
    fn stranger(&mut self, path: &Path, depth: usize) -> Option<Stranger> {
        use super::{Sought, step};
        let unknown = || Some(Stranger::Unknown(path.to_path_buf()));
        let Ok(metadata) = path.symlink_metadata() else { return unknown() };
        if depth == 0 || self.left == 0 {
            return unknown();
        }
        self.left -= 1;
        if metadata.is_symlink() {
            let found = self.judge.of_lookup(path);
            return found
                .or_else(|| path.canonicalize().ok().and_then(|real| self.stranger(&real, depth - 1)));
        }
        // Modules that are missing in a directory are looked for there as well.
        let found = self.judge.of_step(&step(path, &metadata), Sought::Missing);
        if found.is_some() || !metadata.is_dir() || !self.seen.insert(path.to_path_buf()) {
            return found;
        }
        let Ok(entries) = path.read_dir() else { return unknown() };
        entries.into_iter().find_map(|entry| match entry {
            Ok(entry) if NOT_IMPORTED.iter().any(|name| entry.file_name() == *name) => None,
            Ok(entry) => self.stranger(&entry.path(), depth - 1),
            Err(_) => unknown(),
        })
    }
}

/// Returns the users other than root who own an interpreter or the `pyvenv.cfg` of its environment.
pub(super) fn owners(executable: &Path) -> BTreeSet<u32> {
    use std::os::unix::fs::MetadataExt;
    let spellings = spellings(executable);
    let directories = spellings.iter().flat_map(|path| path.ancestors().skip(1).take(2));
    let configurations = directories.map(|directory| directory.join("pyvenv.cfg"));
    let files = configurations.chain([executable.to_path_buf()]);
    let owners = files.filter_map(|path| Some(path.metadata().ok()?.uid()));
    owners.filter(|&user| user != 0).collect()
}

fn is_script(executable: &Path) -> bool {
    let mut start = [0; 2];
    open_file(executable).and_then(|(mut file, _)| file.read_exact(&mut start)).is_ok() && &start == b"#!"
}

/// The paths that an interpreter looks up.
#[derive(Debug, Default, PartialEq, Eq)]
struct Layout {
    /// Files that are read or executed if they are there.
    lookups: BTreeSet<PathBuf>,
    /// Files that would be used in place of the library.
    above: BTreeSet<PathBuf>,
    /// The standard libraries.
    libraries: BTreeSet<PathBuf>,
    /// Whether a file beside the executable leads it elsewhere, or where it leads cannot be told.
    is_redirected: bool,
}

impl Layout {
    fn of(executable: &Path) -> Layout {
        let mut layout = Layout::default();
        let real = executable.canonicalize().unwrap_or_else(|_| executable.to_path_buf());
        let linked = linked::libraries(&real);
        layout.is_redirected |= linked.is_none();
        layout.lookups.extend(linked.into_iter().flatten());
        let mut starts: BTreeSet<PathBuf> = real.parent().map(Path::to_path_buf).into_iter().collect();
        for path in spellings(executable) {
            let Some(directory) = path.parent() else { continue };
            let mut redirection = path.clone().into_os_string();
            redirection.push("._pth");
            layout.redirects(redirection.into());
            for directory in [Some(directory), directory.parent()].into_iter().flatten() {
                let configuration = directory.join("pyvenv.cfg");
                for home in homes(&configuration) {
                    // What a copy of the executable says of itself.
                    layout.lookups.extend(path.file_name().map(|name| home.join(name)));
                    starts.insert(home.canonicalize().unwrap_or(home));
                }
                layout.lookups.insert(configuration);
            }
        }
        let name = real.file_name().unwrap_or_default();
        layout.is_redirected |= starts.len() > MOST_PLACES;
        for start in starts.into_iter().take(MOST_PLACES) {
            layout.redirects(start.join("pybuilddir.txt"));
            layout.redirects(start.join("Modules/Setup.local"));
            for directory in start.ancestors() {
                layout.look_in(directory, name);
            }
        }
        layout
    }

    fn redirects(&mut self, path: PathBuf) {
        self.is_redirected |= path.exists();
        self.lookups.insert(path);
    }

    /// Adds what an interpreter looks up in its own directory or one above.
    fn look_in(&mut self, directory: &Path, executable: &OsStr) {
        for name in ["lib-python", "lib_pypy"].map(|name| directory.join(name)) {
            if name.is_dir() {
                self.libraries.insert(name);
            }
        }
        for libraries in ["lib", "lib64"].map(|name| directory.join(name)) {
            // Stands for the zip file of every version.
            self.above.insert(libraries.join("python.zip"));
            let names = libraries.read_dir().into_iter().flatten().flatten().map(|entry| entry.file_name());
            let names: Vec<_> = names.filter(|name| is_library(name)).take(MOST_PLACES + 1).collect();
            self.is_redirected |= names.len() > MOST_PLACES;
            let archives = names.iter().filter(|name| name.as_bytes().ends_with(b".zip"));
            self.above.extend(archives.map(|name| libraries.join(name)));
            let executable = unthreaded(executable);
            let has_its = names.iter().any(|name| unthreaded(name) == executable);
            let of_version = names.iter().filter(|name| !has_its || unthreaded(name) == executable);
            let directories = of_version.map(|name| libraries.join(name)).filter(|path| path.is_dir());
            self.libraries.extend(directories);
        }
    }
}

/// A name without the `t` of the free-threaded build.
fn unthreaded(name: &OsStr) -> &[u8] {
    name.as_bytes().strip_suffix(b"t").unwrap_or(name.as_bytes())
}

/// Whether a name in `lib` is that of a standard library, or an archive of one.
fn is_library(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.starts_with(b"python3") && name != b"python3" || name.starts_with(b"pypy3") && name != b"pypy3"
}

/// Returns the paths of an executable: as it is spelled, the target of each link, and with links resolved.
fn spellings(executable: &Path) -> BTreeSet<PathBuf> {
    let mut all = BTreeSet::new();
    let mut next = Some(executable.to_path_buf());
    while let Some(path) = next.take_if(|path| all.insert(path.clone())) {
        next = path.read_link().ok().and_then(|target| Some(path.parent()?.join(target)));
        all.extend(path.canonicalize());
    }
    all
}

/// Returns the values of `home` in a `pyvenv.cfg`.
fn homes(configuration: &Path) -> Vec<PathBuf> {
    let mut text = Vec::new();
    let opened = open_file(configuration);
    let read = opened.and_then(|(file, _)| file.take(LONGEST_CONFIGURATION).read_to_end(&mut text));
    if read.is_err() {
        return Vec::new();
    }
    let value = |line: &[u8]| {
        let at = line.iter().position(|&byte| byte == b'=')?;
        let is_home = line[..at].trim_ascii().eq_ignore_ascii_case(b"home");
        let value = std::ffi::OsString::from_vec(line[at + 1..].trim_ascii().to_vec());
        // The working directory is `/`.
        is_home.then(|| Path::new("/").join(value))
    };
    text.split(|byte| b"\r\n".contains(byte)).filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn world(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let (temporary, base) = crate::temporary::directory();
        for (path, text) in files {
            let path = base.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        (temporary, base)
    }

    #[test]
    fn an_environment_leads_to_its_home() {
        let (_temporary, base) = world(&[
            ("venv/bin/python", ""),
            ("py/bin/python3.12", ""),
            ("py/lib/python3.12/os.py", ""),
            ("py/lib/python3.11/os.py", ""),
            ("py/lib/python312.zip", ""),
        ]);
        let home = format!("a = b\r\nHOME =  {}/py/bin \n", base.display());
        std::fs::write(base.join("venv/pyvenv.cfg"), home).unwrap();
        let layout = Layout::of(&base.join("venv/bin/python"));
        // Nothing tells the version.
        assert_eq!(
            layout.libraries.iter().filter(|path| path.starts_with(&base)).collect::<Vec<_>>(),
            [&base.join("py/lib/python3.11"), &base.join("py/lib/python3.12")]
        );
        for path in [
            "venv/pyvenv.cfg",
            "venv/bin/pyvenv.cfg",
            "venv/bin/python._pth",
            "py/bin/python",
            "py/bin/pybuilddir.txt",
        ] {
            assert!(layout.lookups.contains(&base.join(path)), "{path}: {layout:#?}");
        }
        for path in ["py/lib/python312.zip", "py/lib64/python.zip", "lib/python.zip"] {
            assert!(layout.above.contains(&base.join(path)), "{path}: {layout:#?}");
        }
        assert!(layout.above.contains(Path::new("/lib/python.zip")) && !layout.is_redirected);
        let of_its_version = Layout::of(&base.join("py/bin/python3.12")).libraries;
        assert!(of_its_version.contains(&base.join("py/lib/python3.12")));
        assert!(!of_its_version.contains(&base.join("py/lib/python3.11")));
        std::fs::write(base.join("py/bin/pybuilddir.txt"), "").unwrap();
        assert!(Layout::of(&base.join("venv/bin/python")).is_redirected);
    }

    #[test]
    fn links_that_lead_round_and_round_are_followed_once() {
        let (_temporary, base) = world(&[("lib/d12/os.py", "")]);
        for level in 0..12 {
            let directory = base.join(format!("lib/d{level}"));
            std::fs::create_dir(&directory).unwrap();
            for name in 0..8 {
                let target = base.join(format!("lib/d{}", level + 1));
                symlink(target, directory.join(name.to_string())).unwrap();
            }
        }
        symlink(".", base.join("lib/round")).unwrap();
        let mut libraries = Libraries::new(crate::host::directory::effective_user());
        // As many ways as there are lead to the last: 8 to the power of 12.
        assert_eq!(libraries.of_library(&base.join("lib")), None);
        std::fs::write(base.join("lib/d12/more.py"), "").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(base.join("lib/d12/more.py"), mode).unwrap();
        let found = Libraries::new(crate::host::directory::effective_user()).of_library(&base.join("lib"));
        assert_eq!(found, Some(Stranger::Everybody(base.join("lib/d12/more.py"))));
    }

    #[test]
    fn a_library_of_more_files_than_any_has_is_unknown() {
        let (_temporary, base) = world(&[("lib/a.py", ""), ("lib/b.py", "")]);
        let judge = PathJudge::new(crate::host::directory::effective_user());
        let look = |left| {
            LibraryTree { judge: &judge, seen: BTreeSet::new(), left }.stranger(&base.join("lib"), DEEPEST)
        };
        assert_eq!(look(3), None);
        assert!(matches!(look(2), Some(Stranger::Unknown(_))));
    }

    #[test]
    fn more_places_than_any_interpreter_has_are_not_looked_at() {
        let (_temporary, base) = world(&[("venv/bin/python", ""), ("venv/lib/python3.12/os.py", "")]);
        let executable = base.join("venv/bin/python");
        assert!(!Layout::of(&executable).is_redirected);
        // Besides the directory of the executable, or the library that is there.
        for (more, is_redirected) in [(MOST_PLACES - 1, false), (200, true)] {
            let homes: Vec<String> = (0..more).map(|number| format!("home = /nowhere/{number}\n")).collect();
            std::fs::write(base.join("venv/pyvenv.cfg"), homes.concat()).unwrap();
            assert_eq!(Layout::of(&executable).is_redirected, is_redirected, "{more} homes");
            std::fs::remove_file(base.join("venv/pyvenv.cfg")).unwrap();
        }
        for (more, is_redirected) in [(MOST_PLACES - 1, false), (200, true)] {
            for number in 0..more {
                std::fs::write(base.join(format!("venv/lib/python3{number}.zip")), "").unwrap();
            }
            let layout = Layout::of(&executable);
            assert_eq!(layout.is_redirected, is_redirected, "{more} archives");
            assert!(layout.above.len() < 200);
        }
    }

    #[test]
    fn where_an_executable_that_cannot_be_read_leads_is_unknown() {
        let (_temporary, base) = world(&[("py/bin/python3.12", ""), ("py/lib/python3.12/os.py", "")]);
        let executable = base.join("py/bin/python3.12");
        assert!(!Layout::of(&executable).is_redirected);
        // The header of an ELF file that counts its segments elsewhere.
        let mut header = [0; 64];
        header[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        header[56..58].fill(0xff);
        std::fs::write(&executable, header).unwrap();
        assert!(Layout::of(&executable).is_redirected);
    }

    #[test]
    fn names_of_standard_libraries_and_their_archives() {
        for name in ["python3.12", "python3.13t", "python312.zip", "pypy3.10", "pypy310.zip"] {
            assert!(is_library(OsStr::new(name)), "{name}");
        }
        for name in ["python3", "pypy3", "python2.7", "gcc", "libpython3.12.so", "pypy"] {
            assert!(!is_library(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn a_library_is_looked_at_with_all_that_its_links_lead_to() {
        let (_temporary, base) = world(&[
            ("lib/os.py", ""),
            ("lib/site-packages/x.py", ""),
            ("elsewhere/deep/module.py", ""),
            ("single.py", ""),
        ]);
        symlink("../elsewhere", base.join("lib/package")).unwrap();
        symlink("../single.py", base.join("lib/single.py")).unwrap();
        symlink("nowhere", base.join("lib/dangling")).unwrap();
        let judged =
            || Libraries::new(crate::host::directory::effective_user()).of_library(&base.join("lib"));
        assert_eq!(judged(), None);
        for (path, named) in [
            ("lib/os.py", Some("lib/os.py")),
            ("elsewhere/deep", Some("elsewhere/deep")),
            ("elsewhere/deep/module.py", Some("elsewhere/deep/module.py")),
            ("single.py", Some("lib/single.py")),
            ("lib/site-packages/x.py", None),
        ] {
            let path = base.join(path);
            let before = path.metadata().unwrap().permissions();
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
            assert_eq!(judged(), named.map(|named| Stranger::Everybody(base.join(named))));
            std::fs::set_permissions(&path, before).unwrap();
        }
    }

    #[test]
    fn a_library_that_is_deeper_than_any_is_unknown() {
        let (_temporary, base) = world(&[]);
        let judged = |library: &str| {
            Libraries::new(crate::host::directory::effective_user()).of_library(&base.join(library))
        };
        // The library itself is the first level.
        for (levels, is_known) in [(DEEPEST - 1, true), (DEEPEST, false)] {
            let library = format!("d{levels}");
            std::fs::create_dir_all(base.join(&library).join(vec!["d"; levels].join("/"))).unwrap();
            assert_eq!(judged(&library).is_none(), is_known, "{levels}");
        }
        // Each link is a level as well.
        for level in 0..DEEPEST {
            let directory = base.join(format!("l{level}"));
            std::fs::create_dir(&directory).unwrap();
            symlink(format!("../l{}", level + 1), directory.join("below")).unwrap();
        }
        let from = |levels: usize| judged(&format!("l{}", DEEPEST - levels));
        assert_eq!(from(DEEPEST / 2 - 1), None);
        assert!(matches!(from(DEEPEST / 2 + 1), Some(Stranger::Unknown(_))));
    }

    #[test]
    fn every_link_on_the_way_is_a_place_to_look_beside() {
        let (_temporary, base) = world(&[("c/bin/python3.12", "")]);
        for directory in ["a/bin", "b/bin"] {
            std::fs::create_dir_all(base.join(directory)).unwrap();
        }
        symlink("../../b/bin/python3", base.join("a/bin/python")).unwrap();
        symlink(base.join("c/bin/python3.12"), base.join("b/bin/python3")).unwrap();
        let layout = Layout::of(&base.join("a/bin/python"));
        for directory in ["a", "c"] {
            assert!(layout.lookups.contains(&base.join(directory).join("pyvenv.cfg")), "{layout:#?}");
        }
        assert!(layout.lookups.contains(&base.join("a/bin/../../b/bin/pyvenv.cfg")), "{layout:#?}");
        symlink("loop", base.join("loop")).unwrap();
        assert_eq!(spellings(&base.join("loop")).len(), 1);
    }
}
