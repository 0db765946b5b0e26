//! All facts that `doctor` judges. What could not be determined is a fact too.

use super::ask::AskError;
use super::interpreters::{self, AskedInterpreter};
use super::place::{Observed, Setting, VariablePlace};
use super::{cron, shells, systemd};
use crate::environment::Environment;
use crate::history::{Locked, Run};
use crate::host::accounts::Accounts;
use crate::host::directory::{self, Room};
use crate::host::input;
use crate::host::trust::{self, Step};
use crate::schedule::Scheduler;
use crate::source::interpreter::Interpreters;
use crate::source::walk::{self, InTree, Unreadable};
use crate::store::exposure::{Exposure, Guard, Watch};
use crate::store::others::{HomeReach, OtherStore, StoreSearch};
use crate::store::scan::Scan;
use crate::store::sharing::Sharing;
use crate::units::Moment;
use crate::units::Tally;
use crate::verdict::census::{Census, Counting};
use crate::verdict::policy::{Circumstances, Policy};
use crate::verdict::saving::SavingSurvey;
use crate::verdict::shareable::{ShareKind, ShareSearch};
use crate::verdict::status;
use crate::verdict::usage::CountedLinks;
use std::collections::hash_map::RandomState;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The facts.
#[derive(Debug)]
pub struct Facts {
    /// When they were gathered.
    pub now: Moment,
    /// The user who uses the store.
    pub user: u32,
    /// The users and groups of this machine.
    pub accounts: Accounts,
    /// The user's home; `None` where HOME is another user's, as `sudo` may leave it.
    pub home: Option<PathBuf>,
    /// The setting of each place.
    pub places: Vec<Observed>,
    /// Why the shells could not be asked.
    pub unasked: Option<String>,
    /// The store that the configuration names.
    pub configured: Option<PathBuf>,
    /// The store.
    pub store: StoreState,
    /// The paths to it, as far as they exist.
    pub ways: Vec<Vec<Step>>,
    /// The interpreters.
    pub interpreters: Vec<AskedInterpreter>,
    /// The other stores.
    pub others: Vec<OtherStore>,
    /// The current project and the bytecode in it.
    pub project: Option<(PathBuf, InTree)>,
}

/// The store as it was found.
#[derive(Debug)]
pub enum StoreState {
    /// None is named, and there is no home.
    Nowhere,
    /// Nothing is there.
    Missing(PathBuf),
    /// It cannot be used.
    Refused {
        /// Its path.
        path: PathBuf,
        /// Why.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// It is there.
    Open(Box<OpenStore>),
}

impl StoreState {
    /// Its path, even if it does not exist.
    pub fn path(&self) -> Option<&Path> {
        match self {
            StoreState::Nowhere => None,
            StoreState::Missing(path) | StoreState::Refused { path, .. } => Some(path),
            StoreState::Open(store) => Some(&store.path),
        }
    }
}

/// What is known of a store.
#[derive(Debug)]
pub struct OpenStore {
    /// Its path.
    pub path: PathBuf,
    /// The user it belongs to.
    pub user: u32,
    /// What was known before the scan.
    pub known: KnownStore,
    /// The users who may change it.
    pub exposure: Exposure,
    /// Files left by interrupted writes an hour ago or earlier.
    pub temporary: Tally,
    /// Files with a corrupt header.
    pub corrupt: Tally,
    /// What a default prune would remove besides these.
    pub reclaimable: Tally,
    /// The disk usage of all its files, in bytes.
    pub disk: u64,
    /// About how many bytes of them `share` would free; 0 on a file system without hard links.
    pub shareable: u64,
    /// The free space of its file system.
    pub room: Option<Room>,
    /// The type of its file system, if it is another machine's.
    pub network: Option<String>,
    /// Whether its mount has access times.
    pub reads: Reads,
    /// Whether everything was scanned.
    pub coverage: Coverage,
}

/// What prunes the store regularly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// Nothing.
    None,
    /// A schedule of ours, with its scheduler.
    Ours(Scheduler),
    /// A line in the crontab that the user wrote.
    Own,
}

/// What names the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedBy {
    /// `--store`.
    Flag,
    /// The environment, the configuration or the default.
    Surroundings,
}

/// Whether access times are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Access times are kept.
    Kept,
    /// The mount is `noatime`.
    Lost,
}

/// Whether a scan saw everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// It did.
    Whole,
    /// It was stopped.
    Stopped,
}

/// The facts that are gathered before the store is read.
#[derive(Debug)]
pub struct Surroundings {
    /// The user who uses the store.
    pub user: u32,
    /// The users and groups of this machine.
    pub accounts: Accounts,
    /// What each place has.
    pub places: Vec<Observed>,
    /// Why the shells could not be asked.
    pub unasked: Option<String>,
    /// The user's crontab.
    pub crontab: Result<Vec<u8>, AskError>,
}

impl Surroundings {
    /// Asks every place; each may take `timeout`.
    pub fn observe(environment: &Environment, timeout: Duration) -> Surroundings {
        let (user, accounts) = (directory::effective_user(), Accounts::read());
        let crontab = cron::crontab(environment, timeout);
        let guard = Guard { user, accounts: &accounts };
        let (places, unasked) = ask_places(environment, guard, &crontab, timeout);
        Surroundings { user, accounts, places, unasked, crontab }
    }

    /// Judges who may change the store.
    pub fn guard(&self) -> Guard<'_> {
        Guard { user: self.user, accounts: &self.accounts }
    }
}

/// What is known of an open store before the scan.
#[derive(Debug)]
pub struct KnownStore {
    /// Whether `--store` named it: then hints name it as well.
    pub named_by: NamedBy,
    /// Why its directory counts as shared with other programs; `None` if it does not.
    pub sharing: Option<Sharing>,
    /// The schedule that prunes it, or why that is not known.
    pub schedule: Result<Schedule, String>,
    /// The newest run of `prune` (of the schedule, if there is one), if the history can be read.
    pub last_run: Result<Option<Run>, String>,
    /// Since then, the last run that found the store locked.
    pub locked: Option<Locked>,
}

impl OpenStore {
    /// Scans a store: counts the parts that other users may change, and what `policy` would remove.
    pub fn look(
        known: KnownStore,
        scan: &Scan<'_>,
        policy: &Policy,
        circumstances: Circumstances<'_>,
        guard: Guard<'_>,
        progress: impl FnMut(u64),
    ) -> OpenStore {
        let (store, links) = (scan.store, CountedLinks::default());
        let (mounts, hashes) = (&scan.evidence.mounts, RandomState::new());
        let search = ShareSearch { store, scope: &policy.scope, kind: ShareKind::Files, keys: &hashes };
        let has_links = mounts.has_hard_links(store.real_path());
        let new_visitors = || {
            let counting = Counting::new(policy, circumstances, &links);
            let saving = has_links.then(|| SavingSurvey::new(search));
            (Watch::new(guard, store), Some((counting, saving)))
        };
        let (watches, countings): (Vec<_>, Vec<_>) = scan.run(new_visitors, progress).into_iter().unzip();
        let (countings, savings): (Vec<_>, Vec<_>) = countings.into_iter().flatten().unzip();
        let census = Census::collect(countings);
        let [temporary, corrupt, reclaimable] = counted(&census);
        let mount = mounts.of(store.real_path());
        let is_noatime =
            mount.is_some_and(|mount| mount.options.split(',').any(|option| option == "noatime"));
        let is_stopped = scan.stop.load(Ordering::Relaxed);
        OpenStore {
            path: store.path().to_path_buf(),
            user: store.metadata().user,
            known,
            exposure: Exposure::collect(watches),
            temporary,
            corrupt,
            reclaimable,
            disk: census.shares.values().flatten().map(|share| share.tally.disk).sum(),
            shareable: SavingSurvey::estimate(savings.into_iter().flatten()),
            room: directory::room(store.real_path()).ok(),
            network: mount.filter(|_| mounts.is_network(store.real_path())).map(|mount| mount.kind.clone()),
            reads: if is_noatime { Reads::Lost } else { Reads::Kept },
            coverage: if is_stopped { Coverage::Stopped } else { Coverage::Whole },
        }
    }
}

/// The reclaimable files: the temporaries, the corrupt entries, and all except the temporaries.
fn counted(census: &Census) -> [Tally; 3] {
    let [mut temporary, mut corrupt, mut rest] = [Tally::default(); 3];
    for shares in census.shares.values() {
        for (share, name) in shares.iter().zip(status::NAMES) {
            let sum = if name == "temporary" { &mut temporary } else { &mut rest };
            *sum += share.reclaimable;
            if name == "corrupt" {
                corrupt += share.reclaimable;
            }
        }
    }
    [temporary, corrupt, rest]
}

impl Facts {
    /// Completes the facts with the interpreters, the current project and the other stores. `launcher` is the program
    /// that starts the interpreters, each of which may take `timeout`. Also returns what could not be read.
    pub fn gather(
        environment: &Environment,
        surroundings: Surroundings,
        configured: Option<PathBuf>,
        store: StoreState,
        found: &Interpreters,
        launcher: &Path,
        timeout: Duration,
    ) -> (Facts, Vec<Unreadable>) {
        let Surroundings { user, accounts, places, unasked, crontab: _ } = surroundings;
        let interpreters = interpreters::ask(found, launcher, timeout);
        let mut unreadable = Vec::new();
        let project = walk::project_of(&environment.working_directory, &environment.homes);
        let project = project.map(|root| (root.clone(), walk::in_tree(&root, &mut unreadable)));
        let own = store.path().map(|path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf()));
        let (working_directory, reach) = match &project {
            Some((root, _)) => (root, HomeReach::Below),
            // Anything may be below a directory that is no project, a home with all that is in it included.
            None => (&environment.working_directory, HomeReach::Itself),
        };
        let others = StoreSearch {
            home: environment.own_home.as_deref(),
            user: environment.user.as_deref(),
            working_directory,
            reach,
            own: own.as_deref(),
        };
        let (others, more_unreadable) = others.search();
        unreadable.extend(more_unreadable);
        let facts = Facts {
            now: environment.now,
            user,
            accounts,
            home: environment.own_home.clone(),
            places,
            unasked,
            configured,
            ways: store.path().map(trust::ways).unwrap_or_default(),
            store,
            interpreters,
            others,
            project,
        };
        (facts, unreadable)
    }
}

/// Asks every place for its setting; also returns why the shells could not be asked.
fn ask_places(
    environment: &Environment,
    guard: Guard<'_>,
    crontab: &Result<Vec<u8>, AskError>,
    timeout: Duration,
) -> (Vec<Observed>, Option<String>) {
    let here = Setting {
        prefix: environment.given_prefix.clone(),
        not_exported: None,
        writes_nothing: environment.writes_nothing.clone(),
    };
    let mut places: Vec<Observed> = vec![(VariablePlace::Here, Ok(here))];
    // An environment that we made says nothing of the user's.
    places.retain(|_| environment.continued_for.is_none());
    let of_every_login = input::read(Path::new("/etc/environment"), input::MOST_BYTES)
        .map_or_else(|_| Setting::default(), |text| shells::read_etc_environment(&text));
    if of_every_login != Setting::default() {
        places.push((VariablePlace::EtcEnvironment, Ok(of_every_login.clone())));
    }
    let Some(home) = environment.own_home.as_deref() else {
        let why = match environment.home {
            Some(_) => "HOME is another user's, whose startup files root does not run",
            None => "HOME is not set",
        };
        return (places, Some(why.into()));
    };
    let mut unasked = None;
    match shells::ask(environment, home, guard, &of_every_login, timeout) {
        Ok(shells) => places.extend(shells),
        Err(why) => unasked = Some(why),
    }
    let session_has = systemd::of_session(environment, guard, timeout);
    // Without a session nothing reads these files, unless they set something.
    let files_have = systemd::of_environment_d(environment, home, timeout)
        .filter(|setting| session_has.is_some() || *setting != of_every_login);
    places.extend(session_has.map(|setting| (VariablePlace::Session, Ok(setting))));
    places.extend(files_have.map(|setting| (VariablePlace::EnvironmentD, Ok(setting))));
    match crontab {
        Ok(crontab) => places.extend(cron::read(crontab)),
        Err(error) => places.push((VariablePlace::Cron(None), Err(error.to_string()))),
    }
    (places, unasked)
}

#[cfg(test)]
pub mod tests {
    //! Facts in which nothing is wrong, for tests of what is made of them.

    use super::super::interpreters::Said;
    use super::super::place::{Shell, Start};
    use super::*;
    use crate::exit::Exit;
    use crate::source::interpreter::StoreUse;

    /// A store in order, of user 1000, pruned yesterday.
    pub fn open_store() -> OpenStore {
        let temporary = tempfile::tempdir().unwrap();
        let store = crate::history::tests::store(&temporary, "store");
        let run = crate::history::tests::run(&store, 1_700_000_000 - 86_400, 3, Exit::Done);
        OpenStore {
            path: "/home/me/.cache/cpython".into(),
            user: 1000,
            known: KnownStore {
                named_by: NamedBy::Surroundings,
                sharing: None,
                schedule: Ok(Schedule::Ours(Scheduler::Cron)),
                last_run: Ok(Some(run)),
                locked: None,
            },
            exposure: Exposure::default(),
            temporary: Tally::default(),
            corrupt: Tally::default(),
            reclaimable: Tally::default(),
            disk: 100_000_000,
            shareable: 1_000_000,
            room: None,
            network: None,
            reads: Reads::Kept,
            coverage: Coverage::Whole,
        }
    }

    /// Bash alone, with the variable.
    pub fn facts() -> Facts {
        let setting = || Ok(Setting { prefix: Some("/home/me/.cache/cpython".into()), ..Setting::default() });
        let step = |path: &str, user| Step {
            path: path.into(),
            user,
            group: user,
            mode: 0o40_755,
            acl: trust::Acl::None,
        };
        Facts {
            now: Moment { seconds: 1_700_000_000, nanoseconds: 0 },
            user: 1000,
            accounts: Accounts::parse(
                "root:x:0:0::/root:/bin/bash\nme:x:1000:1000::/home/me:/bin/bash\n",
                "root:x:0:\nme:x:1000:\n",
            ),
            home: Some("/home/me".into()),
            places: vec![
                (VariablePlace::Here, setting()),
                (VariablePlace::Shell(Shell::Bash, Start::Login), setting()),
            ],
            unasked: None,
            configured: None,
            store: StoreState::Open(Box::new(open_store())),
            ways: vec![vec![step("/", 0), step("/home", 0), step("/home/me", 1000)]],
            interpreters: vec![AskedInterpreter {
                executable: "/usr/bin/python3.12".into(),
                version: "3.12.1".into(),
                expected: StoreUse::Uses,
                said: Said::Honours,
            }],
            others: Vec::new(),
            project: None,
        }
    }
}
