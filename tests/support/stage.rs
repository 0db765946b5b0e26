//! The library's own steps on a small store: open, scan, plan, execute.

use super::{HEADER, assert_only_gone, date_back};
use pycstore::effect::outcome::Outcome;
use pycstore::effect::remove;
use pycstore::host::directory::Resolver;
use pycstore::host::pool::Threads;
use pycstore::host::volumes::Mounts;
use pycstore::pyc::{Magic, StatedMagics};
use pycstore::source::Evidence;
use pycstore::store::scan::{Scan, Visitor};
use pycstore::store::{Purpose, Store};
use pycstore::units::Moment;
use pycstore::verdict::plan::{Plan, Planner};
use pycstore::verdict::policy::{Circumstances, Clock, Policy, Selector};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

/// What a tree is: of each path its kind, inode and contents.
pub type Tree = BTreeMap<PathBuf, (fs::FileType, u64, Vec<u8>)>;

/// The kernel's way, where it has one, and the other.
pub const RESOLVERS: [Option<Resolver>; 2] = [None, Some(Resolver::Components)];

/// Gives a place a hard link of each file of a directory, and those below it.
pub fn link_all(directory: &Path, outside: &Path) {
    for entry in walkdir::WalkDir::new(directory).min_depth(1) {
        let entry = entry.unwrap();
        let path = outside.join(entry.path().strip_prefix(directory).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir_all(path).unwrap();
        } else {
            fs::hard_link(entry.path(), path).unwrap();
        }
    }
}

pub fn tree(root: &Path) -> Tree {
    let mut tree = Tree::new();
    for entry in walkdir::WalkDir::new(root).min_depth(1) {
        let entry = entry.unwrap();
        let contents = match entry.file_type() {
            kind if kind.is_file() => fs::read(entry.path()).unwrap(),
            kind if kind.is_symlink() => {
                fs::read_link(entry.path()).unwrap().into_os_string().into_encoded_bytes()
            }
            _ => Vec::new(),
        };
        let inode = entry.metadata().unwrap().ino();
        tree.insert(entry.path().to_path_buf(), (entry.file_type(), inode, contents));
    }
    tree
}

/// A store, sources that are gone, and a place outside.
pub struct Stage {
    _temporary: tempfile::TempDir,
    pub base: PathBuf,
    pub store: PathBuf,
    pub outside: PathBuf,
}

impl Stage {
    pub fn new() -> Stage {
        let temporary = tempfile::tempdir().unwrap();
        let base = temporary.path().canonicalize().unwrap();
        let [store, outside] = ["store", "outside"].map(|name| base.join(name));
        fs::create_dir(&store).unwrap();
        fs::create_dir(&outside).unwrap();
        Stage { _temporary: temporary, base, store, outside }
    }

    /// The directory of the store that mirrors `gone/…`, where no source is.
    pub fn mirror(&self, directory: &str) -> PathBuf {
        self.store.join(self.base.strip_prefix("/").unwrap()).join("gone").join(directory)
    }

    /// Makes an orphan; returns its path.
    pub fn orphan(&self, directory: &str, stem: &str) -> PathBuf {
        let path = self.mirror(directory).join(format!("{stem}.cpython-312.pyc"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, [&HEADER[..], stem.as_bytes()].concat()).unwrap();
        date_back(&path);
        path
    }

    /// Makes a directory of sources below `gone` and deletes it with all above it.
    pub fn delete_sources(&self, directory: &str) {
        let sources = self.base.join("gone");
        fs::create_dir_all(sources.join(directory)).unwrap();
        fs::remove_dir_all(sources).unwrap();
    }

    /// Gives the place outside a hard link of each file of a directory of the store, and those below it.
    pub fn link_outside(&self, directory: &Path) {
        link_all(directory, &self.outside);
    }

    pub fn open(&self, resolver: Option<Resolver>) -> Store {
        let mut store = Store::open(&self.store, &[], Purpose::Remove).unwrap();
        if let Some(resolver) = resolver {
            store.set_resolver(resolver);
        }
        store
    }

    pub fn tree(&self) -> Tree {
        tree(&self.base)
    }

    /// Carries out a plan; asserts that exactly these paths and what is below them are gone.
    #[track_caller]
    pub fn carry_out(&self, store: &Store, plan: Plan, gone: &[&Path]) -> Outcome {
        let before = self.tree();
        let outcome = carry_out(store, plan);
        assert_only_gone(&before, &self.tree(), gone);
        outcome
    }

    /// A living source, and its entry with this body, which Python would load as far as the header tells.
    pub fn living(&self, stem: &str, body: &[u8]) -> (PathBuf, PathBuf) {
        let source = self.base.join("living").join(format!("{stem}.py"));
        let entry = self.store.join(self.base.strip_prefix("/").unwrap()).join("living");
        let entry = entry.join(format!("{stem}.cpython-312.pyc"));
        for path in [&source, &entry] {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
        }
        fs::write(&source, "").unwrap();
        let file = fs::File::options().write(true).open(&source).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        fs::write(&entry, [HEADER, body].concat()).unwrap();
        date_back(&entry);
        (source, entry)
    }
}

pub fn now() -> Moment {
    SystemTime::now().into()
}

/// The plan that a policy comes to.
pub fn plan(store: &Store, policy: &Policy) -> Plan {
    plan_where(store, policy, &|_, _| false)
}

/// The plan that a policy comes to where these tags and magics are dead.
pub fn plan_where(store: &Store, policy: &Policy, is_dead: &(dyn Fn(&str, Magic) -> bool + Sync)) -> Plan {
    let circumstances = Circumstances { now: now(), clock: Clock::Access, is_dead };
    Plan::collect(look(store, policy, || Planner::new(policy, store, circumstances)))
}

/// Nobody's tags and magics are dead.
pub fn circumstances() -> Circumstances<'static> {
    Circumstances { now: now(), clock: Clock::Access, is_dead: &|_, _| false }
}

/// A scan that asks what the policy does.
pub fn look<V: Visitor>(store: &Store, policy: &Policy, new_visitor: impl Fn() -> V + Sync) -> Vec<V> {
    let evidence = Evidence {
        mounts: Mounts::default(),
        store: store.real_path().to_path_buf(),
        assumed_gone: Vec::new(),
    };
    let scan = Scan {
        store,
        evidence: &evidence,
        magics: &StatedMagics::default(),
        question: policy.question(),
        threads: Threads::exactly(2),
        within: &[],
        stop: &AtomicBool::new(false),
    };
    scan.run(new_visitor, |_| {})
}

pub fn orphans() -> Policy {
    Policy::of([Selector::Orphans])
}

pub fn carry_out(store: &Store, plan: Plan) -> Outcome {
    remove::execute(store, plan, Threads::exactly(2), &AtomicBool::new(false), |_| {})
}
