//! Whether a directory is a store at all, or one that other programs use as well: `/tmp` and `/dev/shm`, where Dockerfiles
//! put the prefix, `~/.cache` instead of `~/.cache/cpython`, a mistyped `--store ~/code`.
//!
//! Nothing in a shared directory is in danger by that alone, since only what has an entry's name is ever removed. But
//! everyone who may write there can let Python run what they like, and no mode can be proposed for it.
//!
//! Neither an empty directory nor an ordinary store with a few foreign files is taken for shared.

use crate::host::directory::{FileKind, ListBuffer};
use crate::pyc::name::{self, Name};
use crate::source::witness::real_path;
use crate::store::Store;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

/// The most names that are looked at: enough to know, and a matter of milliseconds.
const MOST_NAMES: usize = 4096;

/// The fewest foreign files that tell something where there are entries as well, and where there are none.
const FOREIGN_AMONG_ENTRIES: usize = 10;
const FOREIGN_ALONE: usize = 3;

/// The sticky bit and write permission foreveryone: the mode of a directory for the files of all users.
const STICKY: u32 = 0o1000;
const BY_EVERYONE: u32 = 0o002;

/// Directories of the system that belong to no program.
const SYSTEM: [&str; 38] = [
    "/bin",
    "/boot",
    "/dev",
    "/dev/shm",
    "/etc",
    "/lib",
    "/lib64",
    "/media",
    "/mnt",
    "/opt",
    "/private/tmp",
    "/private/var/tmp",
    "/proc",
    "/run",
    "/run/lock",
    "/run/shm",
    "/run/user",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/local",
    "/usr/local/bin",
    "/usr/local/lib",
    "/usr/share",
    "/usr/src",
    "/usr/tmp",
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/lock",
    "/var/log",
    "/var/run",
    "/var/spool",
    "/var/tmp",
];

/// Directories of a home that several programs use.
const IN_HOME: [&str; 24] = [
    ".cache",
    ".config",
    ".local",
    ".local/bin",
    ".local/lib",
    ".local/share",
    ".local/state",
    ".ssh",
    ".var",
    "Applications",
    "Desktop",
    "Documents",
    "Downloads",
    "Library",
    "Library/Application Support",
    "Library/Caches",
    "Movies",
    "Music",
    "Pictures",
    "Public",
    "Templates",
    "Videos",
    "bin",
    "tmp",
];

/// Why a directory is not a store of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// It is known to be for several programs.
    KnownPlace,
    /// Its mode makes it a place for the files of all users.
    Everyone,
    /// Most of what is in it was not written by Python.
    ForeignFiles,
}

/// What is in a directory, near the top.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sample {
    /// Files of any kind that have the name of an entry or of a temporary, where they mirror sources.
    entries: usize,
    /// All other files.
    foreign: usize,
    /// Whether there are no more.
    is_whole: bool,
}

impl Sharing {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Sharing::KnownPlace => "known-place",
            Sharing::Everyone => "everyone",
            Sharing::ForeignFiles => "foreign-files",
        }
    }

    /// The reason in words.
    pub fn explanation(self) -> &'static str {
        match self {
            Sharing::KnownPlace => "it is a common directory",
            Sharing::Everyone => "its mode makes it a directory for the files of all users",
            Sharing::ForeignFiles => "most files in it were not written by Python",
        }
    }

    /// Why the store is shared; `None` where it is a store of its own. `places` are directories that the caller knows to
    /// be shared, `homes` the home directories.
    pub fn of(store: &Store, places: &[PathBuf], homes: &[PathBuf]) -> Option<Sharing> {
        // Its own name may be the link, or another name that leads to it.
        if [store.path(), store.real_path()].iter().any(|path| Sharing::is_known(path, places, homes)) {
            return Some(Sharing::KnownPlace);
        }
        judge(store.metadata().mode, sample(store))
    }

    /// Whether a path, there or not, is known to be for several programs.
    pub fn is_known(path: &Path, places: &[PathBuf], homes: &[PathBuf]) -> bool {
        let is_at = |place: &Path| path == place || place.canonicalize().is_ok_and(|real| path == real);
        let is_of_a_session = path.parent() == Some(Path::new("/run/user"));
        is_of_a_session
            || SYSTEM.iter().any(|place| is_at(Path::new(place)))
            || places.iter().any(|place| is_at(place))
            || homes.iter().any(|home| is_common_in(home, path) || is_common_in(&real_path(home), path))
    }
}

fn is_common_in(home: &Path, path: &Path) -> bool {
    path.strip_prefix(home).is_ok_and(|rest| IN_HOME.iter().any(|name| rest == Path::new(name)))
}

/// The verdict by mode and contents.
fn judge(mode: u32, Sample { entries, foreign, is_whole }: Sample) -> Option<Sharing> {
    let is_for_everyone = mode & BY_EVERYONE != 0;
    if is_for_everyone && mode & STICKY != 0 {
        return Some(Sharing::Everyone);
    }
    let is_foreign = match entries {
        0 if is_whole => foreign >= FOREIGN_ALONE,
        _ => foreign >= FOREIGN_AMONG_ENTRIES && foreign > entries,
    };
    // Where everyone may write, fewer tell as much.
    let is_doubtful = is_for_everyone && foreign > 0 && foreign >= entries;
    (is_foreign || is_doubtful).then_some(Sharing::ForeignFiles)
}

/// Counts files, those near the top first. What cannot be read tells nothing.
fn sample(store: &Store) -> Sample {
    let mut sample = Sample::default();
    let mut waiting = VecDeque::from([Vec::new()]);
    let mut buffer = ListBuffer::default();
    let mut names = 0;
    while let Some(relative) = waiting.pop_front()
        && names < MOST_NAMES
    {
        let Ok(directory) = store.directory(&relative) else { continue };
        let mirrors_sources = name::mirrors_sources(&relative);
        let _ = directory.list(&mut buffer, |name, kind| {
            names += 1;
            match kind {
                FileKind::Directory if waiting.len() < MOST_NAMES => {
                    waiting.push_back(name::joined(&relative, name));
                }
                FileKind::Directory => {}
                // The tag of a cache directory, which `setup` puts there.
                _ if relative.is_empty() && name == b"CACHEDIR.TAG" => {}
                _ if mirrors_sources && Name::parse(name) != Name::Foreign => sample.entries += 1,
                _ => sample.foreign += 1,
            }
        });
    }
    Sample { is_whole: waiting.is_empty(), ..sample }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Purpose;
    use std::fs::{Permissions, create_dir, create_dir_all, set_permissions, write};
    use std::os::unix::fs::PermissionsExt;

    /// The verdict on a directory with this mode and these files.
    fn verdict(mode: u32, files: &[&str]) -> Option<Sharing> {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().canonicalize().unwrap().join("d");
        create_dir_all(&root).unwrap();
        for file in files {
            let path = root.join(file);
            create_dir_all(path.parent().unwrap()).unwrap();
            write(path, "").unwrap();
        }
        set_permissions(&root, Permissions::from_mode(mode)).unwrap();
        Sharing::of(&Store::open(&root, &[], Purpose::Look).unwrap(), &[], &[])
    }

    fn files(pattern: &str, count: usize, others: &[&str]) -> Vec<String> {
        let numbered = (0..count).map(|number| pattern.replace('#', &number.to_string()));
        numbered.chain(others.iter().map(ToString::to_string)).collect()
    }

    fn verdict_of(mode: u32, files: &[String]) -> Option<Sharing> {
        verdict(mode, &files.iter().map(String::as_str).collect::<Vec<_>>())
    }

    const ENTRY: &str = "home/me/p/m#.cpython-312.pyc";

    #[test]
    fn a_store_is_its_own_whatever_little_is_beside_it() {
        assert_eq!(verdict(0o755, &[]), None);
        assert_eq!(verdict(0o700, &["CACHEDIR.TAG", "README", ".DS_Store"]), None);
        assert_eq!(verdict(0o755, &["home/me/p/m.cpython-312.pyc", "a", "b", "home/c", "home/me/d"]), None);
        assert_eq!(verdict_of(0o755, &files(ENTRY, 30, &["a", "b", "c", "d", "e", "f"])), None);
        // Names that Python writes are its own, whatever became of the contents.
        assert_eq!(verdict(0o755, &["m.cpython-312.pyc.140234866", "x/m.pypy39.pyc"]), None);
        // A store that everyone may write to is in danger, and still a store.
        assert_eq!(verdict_of(0o777, &files(ENTRY, 3, &[])), None);
        assert_eq!(verdict(0o777, &[]), None);
    }

    #[test]
    fn what_others_use_is_recognised() {
        // Projects, with bytecode in their trees.
        let code = files("p/f#.txt", 5, &["p/__pycache__/m.cpython-312.pyc", "p/m.py"]);
        assert_eq!(verdict_of(0o755, &code), Some(Sharing::ForeignFiles));
        assert_eq!(verdict_of(0o755, &files("f#.txt", FOREIGN_ALONE, &[])), Some(Sharing::ForeignFiles));
        let mixed: Vec<_> = files("p/f#.txt", 12, &[]).into_iter().chain(files(ENTRY, 11, &[])).collect();
        assert_eq!(verdict_of(0o755, &mixed), Some(Sharing::ForeignFiles));
        assert_eq!(verdict_of(0o777, &files(ENTRY, 1, &["scratch/x"])), Some(Sharing::ForeignFiles));
        assert_eq!(verdict_of(0o1777, &files(ENTRY, 9, &[])), Some(Sharing::Everyone));
    }

    #[test]
    fn of_very_many_names_those_near_the_top_decide() {
        let (_temporary, root) = crate::temporary::directory();
        let foreign = files("a/z/f#", FOREIGN_AMONG_ENTRIES, &[]);
        create_dir_all(root.join("a/z")).unwrap();
        foreign.iter().for_each(|file| write(root.join(file), "").unwrap());
        let mut made = 0;
        // `a` and `z` are two of the names.
        for (directories, expected) in [
            (MOST_NAMES - 3, Some(Sharing::ForeignFiles)),
            (MOST_NAMES - 2, None),
            // Nor is a directory a file because there are too many.
            (MOST_NAMES + FOREIGN_AMONG_ENTRIES, None),
        ] {
            let more = std::mem::replace(&mut made, directories)..directories;
            more.for_each(|number| create_dir(root.join(format!("a/{number}"))).unwrap());
            let store = Store::open(&root, &[], Purpose::Look).unwrap();
            assert_eq!(Sharing::of(&store, &[], &[]), expected, "{directories}");
        }
    }

    #[test]
    fn common_places_are_known_there_or_not() {
        let home = [PathBuf::from("/nowhere/me")];
        let is_known = |path: &str| Sharing::is_known(Path::new(path), &["/nowhere/scratch".into()], &home);
        for path in
            ["/tmp", "/var/tmp", "/dev/shm", "/run/user/1000", "/nowhere/me/.cache", "/nowhere/scratch"]
        {
            assert!(is_known(path), "{path}");
        }
        for path in [
            "/tmp/store",
            "/nowhere/me/.cache/cpython",
            "/var/cache/python",
            "/run/user/1000/cpython",
            "/nowhere",
        ] {
            assert!(!is_known(path), "{path}");
        }
    }

    #[test]
    fn the_mode_and_the_share_of_foreign_files_decide() {
        const EVERYONE: u32 = 0o40_777;
        const OWN: u32 = 0o40_755;
        let (alone, among) = (FOREIGN_ALONE, FOREIGN_AMONG_ENTRIES);
        let foreign = Some(Sharing::ForeignFiles);
        for (mode, entries, files, is_whole, expected) in [
            (OWN, 0, alone - 1, true, None),
            (OWN, 0, alone, true, foreign),
            // There may be entries further below.
            (OWN, 0, alone, false, None),
            (OWN, 0, among, false, foreign),
            (OWN, 1, alone, true, None),
            (OWN, 1, among - 1, true, None),
            (OWN, 1, among, true, foreign),
            (OWN, among, among, true, None),
            (OWN, among - 1, among, true, foreign),
            (EVERYONE, 0, 0, true, None),
            (EVERYONE, 0, 1, true, foreign),
            (EVERYONE, 1, 1, true, foreign),
            (EVERYONE, 2, 1, true, None),
            (EVERYONE | STICKY, 2, 0, true, Some(Sharing::Everyone)),
            (OWN | STICKY, 2, 0, true, None),
        ] {
            let sample = Sample { entries, foreign: files, is_whole };
            assert_eq!(judge(mode, sample), expected, "{mode:o} {sample:?}");
        }
    }

    #[test]
    fn a_common_directory_of_a_linked_home_is_known_by_both_paths() {
        let (_temporary, base) = crate::temporary::directory();
        create_dir_all(base.join("real/.cache/cpython")).unwrap();
        std::os::unix::fs::symlink("real", base.join("link")).unwrap();
        std::os::unix::fs::symlink("real", base.join("place")).unwrap();
        let is_known = |path: &str, home: &str| Sharing::is_known(&base.join(path), &[], &[base.join(home)]);
        assert!(is_known("link/.cache", "link") && is_known("real/.cache", "link"));
        assert!(is_known("real/.cache", "real") && !is_known("link/.cache", "real"));
        assert!(!is_known("link/.cache/cpython", "link") && !is_known("real/.cache/cpython", "link"));
        assert!(Sharing::is_known(&base.join("real"), &[base.join("place")], &[]));
        assert!(!Sharing::is_known(&base.join("link"), &[base.join("place")], &[]));
    }

    #[test]
    fn each_has_a_name_and_an_explanation() {
        for (sharing, name, word) in [
            (Sharing::KnownPlace, "known-place", "common"),
            (Sharing::Everyone, "everyone", "all users"),
            (Sharing::ForeignFiles, "foreign-files", "not written by Python"),
        ] {
            assert_eq!(sharing.name(), name);
            assert!(sharing.explanation().contains(word), "{name}");
        }
    }
}
