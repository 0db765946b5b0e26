//! Other stores on this machine than the one that is managed: where people, applications and mistakes put them.
//!
//! * conventional places: `~/.cache/cpython`, `~/.cache/python`, `~/.pycache`, `/tmp/$USER/pycache`;
//! * Apple's own Python sets its prefix to `~/Library/Caches/com.apple.python`;
//! * applications keep one in their cache, `~/.cache/APPLICATION/pycache`;
//! * `PYTHONPYCACHEPREFIX='~/x'` makes a directory that is called `~` in every working directory, for Python expands
//!   no tilde.
//!
//! # Invariants
//!
//! * A place counts only if it holds entries: a name alone proves nothing.
//! * A place may itself be a symbolic link; none is followed below it or on the way to a `~`, and no other file system is
//!   entered.

use crate::pyc::name::Name;
use crate::source::walk;
use crate::units::Tally;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Why a place is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StoreOrigin {
    /// Where people put a store.
    Convention,
    /// Apple's own Python.
    Apple,
    /// An application's cache.
    Application,
    /// A tilde that nobody expanded.
    LiteralTilde,
}

impl StoreOrigin {
    /// The name in tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            StoreOrigin::Convention => "convention",
            StoreOrigin::Apple => "apple",
            StoreOrigin::Application => "application",
            StoreOrigin::LiteralTilde => "literal-tilde",
        }
    }
}

/// Another store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherStore {
    /// Its path.
    pub path: PathBuf,
    /// Why it was looked at.
    pub origin: StoreOrigin,
    /// Its files; the disk usage is with its directories.
    pub tally: Tally,
}

/// How far directories called `~` are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HomeReach {
    /// In the working directory itself.
    Itself,
    /// Everywhere below it.
    Below,
}

/// Where to look.
#[derive(Debug, Clone, Copy)]
pub struct StoreSearch<'a> {
    /// The user's home.
    pub home: Option<&'a Path>,
    /// The user's name.
    pub user: Option<&'a OsStr>,
    /// The working directory: directories called `~` are looked for there.
    pub working_directory: &'a Path,
    /// How far.
    pub reach: HomeReach,
    /// The store that is managed, links resolved: it is no other.
    pub own: Option<&'a Path>,
}

/// Below a home, the store of Apple's own Python.
pub const OF_APPLE: &str = "Library/Caches/com.apple.python";

/// Below a home.
const IN_HOME: [(StoreOrigin, &str); 4] = [
    (StoreOrigin::Convention, ".cache/cpython"),
    (StoreOrigin::Convention, ".cache/python"),
    (StoreOrigin::Convention, ".pycache"),
    (StoreOrigin::Apple, OF_APPLE),
];

/// Where applications keep their caches, below a home.
const CACHES: [&str; 2] = [".cache", "Library/Caches"];

/// What they call a store there.
const IN_APPLICATION: [&str; 5] = ["pycache", "__pycache__", "cpython", "python", "bytecode"];

impl StoreSearch<'_> {
    /// The stores in these places, the most room first, and what could not be read on the way.
    pub fn search(&self) -> (Vec<OtherStore>, Vec<walk::Unreadable>) {
        let mut places: Vec<(StoreOrigin, PathBuf)> = Vec::new();
        if let Some(home) = self.home {
            places.extend(IN_HOME.map(|(origin, path)| (origin, home.join(path))));
            for cache in CACHES {
                for application in walk::directories_in(&home.join(cache)) {
                    let names = IN_APPLICATION.iter();
                    places.extend(names.map(|name| (StoreOrigin::Application, application.join(name))));
                }
            }
        }
        places.extend(
            self.user.map(|user| (StoreOrigin::Convention, Path::new("/tmp").join(user).join("pycache"))),
        );
        let mut unreadable = Vec::new();
        let depth = match self.reach {
            HomeReach::Itself => 1,
            HomeReach::Below => usize::MAX,
        };
        let name = OsStr::new("~");
        let tildes = walk::directories_named(self.working_directory, name, depth, &mut unreadable);
        places.extend(tildes.into_iter().map(|path| (StoreOrigin::LiteralTilde, path)));
        let mut stores: Vec<OtherStore> = Vec::new();
        for (origin, path) in places {
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            let is_known = self.own.is_some_and(|own| own.starts_with(&real) || real.starts_with(own))
                || stores.iter().any(|store| real.starts_with(&store.path));
            if is_known || !real.is_dir() {
                continue;
            }
            let mut holds_entries = false;
            let tally = walk::tally(&real, &mut unreadable, |name| {
                holds_entries |= matches!(Name::parse(name.as_bytes()), Name::Bytecode(_));
            });
            if holds_entries {
                stores.push(OtherStore { path: real, origin, tally });
            }
        }
        stores.sort_by(|one, other| (other.tally.disk, &one.path).cmp(&(one.tally.disk, &other.path)));
        (stores, unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn stores_are_found_where_they_hold_entries() {
        let (_temporary, base) = crate::temporary::directory();
        let home = base.join("home");
        let entry = |path: &str, length: usize| {
            let path = base.join(path).join("a/m.cpython-312.pyc");
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, vec![7; length]).unwrap();
        };
        entry("home/.cache/cpython", 1);
        entry("home/.cache/python", 10_000);
        entry("home/.cache/editor/pycache", 20_000);
        entry("home/Library/Caches/com.apple.python", 30_000);
        entry("home/work/deep/~/.cache/cpython", 40_000);
        entry("elsewhere/~", 1);
        std::fs::create_dir_all(home.join(".pycache/empty")).unwrap();
        std::fs::create_dir_all(home.join(".cache/notes/python")).unwrap();
        std::fs::write(home.join(".cache/notes/python/diary.txt"), "mine").unwrap();
        symlink(base.join("elsewhere"), home.join("work/link")).unwrap();
        let own = home.join(".cache/cpython");
        let working_directory = &home.join("work");
        let reach = HomeReach::Below;
        let places = StoreSearch { home: Some(&home), user: None, working_directory, reach, own: Some(&own) };
        let (stores, unreadable) = places.search();
        let found = stores.iter().map(|store| {
            let path = store.path.strip_prefix(&home).unwrap().to_str().unwrap().to_string();
            (store.origin.name(), path, store.tally.files, store.tally.bytes)
        });
        assert_eq!(
            found.collect::<Vec<_>>(),
            [
                ("literal-tilde", "work/deep/~".to_string(), 1, 40_000),
                ("apple", "Library/Caches/com.apple.python".into(), 1, 30_000),
                ("application", ".cache/editor/pycache".into(), 1, 20_000),
                ("convention", ".cache/python".into(), 1, 10_000),
            ]
        );
        assert!(unreadable.is_empty(), "{unreadable:?}");
        let deep = &working_directory.join("deep");
        for (working_directory, tildes) in [(working_directory, 0), (deep, 1)] {
            let places = StoreSearch { working_directory, reach: HomeReach::Itself, ..places };
            let stores = places.search().0;
            let found = stores.iter().filter(|store| store.origin == StoreOrigin::LiteralTilde).count();
            assert_eq!(found, tildes, "{}", working_directory.display());
        }
    }
}
