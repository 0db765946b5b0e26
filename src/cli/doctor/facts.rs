//! All that `doctor` judges, gathered in one place. What cannot be found out is a fact as well.

use super::interpreters::{self, AskedInterpreter};
use super::place::{Asked, Place, Setting};
use super::question::Silence;
use super::{cron, shells, systemd};
use crate::cli::args::DoctorOptions;
use crate::cli::config::{self, Origin, Sourced};
use crate::cli::du::reclaimable;
use crate::cli::launch::this_program;
use crate::cli::output::complain;
use crate::cli::schedule;
use crate::cli::session::{Opened, Session, is_absent};
use pycstore::history::{Journal, Locked, Run};
use pycstore::host::accounts::Accounts;
use pycstore::host::directory::{self, Room};
use pycstore::host::input;
use pycstore::host::trust::{self, Step};
use pycstore::schedule::{Scheduler, installed_with};
use pycstore::source::walk::{self, InTree};
use pycstore::store::Purpose;
use pycstore::store::exposure::{Exposure, Guard, Watch};
use pycstore::store::others::{OtherStore, Places, Reach};
use pycstore::store::scan::Question;
use pycstore::store::sharing::Sharing;
use pycstore::units::Moment;
use pycstore::units::Tally;
use pycstore::verdict::census::{Census, Counting};
use pycstore::verdict::status::{self, UncheckedHashes};
use pycstore::verdict::usage::CountedLinks;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The facts.
#[derive(Debug)]
pub struct Facts {
    /// When they were gathered.
    pub now: Moment,
    /// Who is meant to use the store.
    pub user: u32,
    /// The users and groups of this machine.
    pub accounts: Accounts,
    /// The home that is this user's; none where it is somebody else's, as `sudo` may leave it.
    pub home: Option<PathBuf>,
    /// What each place has.
    pub places: Vec<Asked>,
    /// Why the shells could not be asked.
    pub unasked: Option<String>,
    /// The store that the configuration names.
    pub configured: Option<PathBuf>,
    /// The store.
    pub store: StoreState,
    /// The ways to it, as far as there is anything.
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
    /// Nobody names one, and there is no home.
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
    /// Its path, there or not.
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
    /// Whether `--store` named it: then hints name it as well.
    pub named_by: NamedBy,
    /// Who prunes it every night, if that can be told.
    pub schedule: Result<Schedule, String>,
    /// Why its directory counts as shared with other programs; `None` if it does not.
    pub sharing: Option<Sharing>,
    /// Who may change it.
    pub exposure: Exposure,
    /// What interrupted writes left an hour ago or earlier.
    pub temporary: Tally,
    /// What else a default prune would remove.
    pub reclaimable: Tally,
    /// What its file system has left.
    pub room: Option<Room>,
    /// The type of its file system where that is another machine's.
    pub network: Option<String>,
    /// Whether its mount remembers when files were read.
    pub reads: Reads,
    /// Whether everything was looked at.
    pub coverage: Coverage,
    /// The newest run of `prune`, if the history can be read: of the schedule's where there is one.
    pub last_run: Result<Option<Run>, String>,
    /// Since then, the last run that found the store locked.
    pub locked: Option<Locked>,
}

/// Who prunes the store without being told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// Nobody.
    None,
    /// A schedule of ours: who keeps the time.
    Ours(Scheduler),
    /// A line of the user's own in the crontab.
    Own,
}

/// Who names the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedBy {
    /// `--store`.
    Flag,
    /// What holds without it as well.
    Surroundings,
}

/// Whether reads are remembered.
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

/// Gathers them.
///
/// # Errors
/// When the process cannot be told of signals, or a glob of the configuration is wrong.
pub fn gather(session: &Session, options: &DoctorOptions) -> anyhow::Result<Facts> {
    let environment = &session.environment;
    let patience = options.patience.duration();
    let accounts = Accounts::read();
    let us = directory::effective_user();
    let home = environment.own_home.clone();
    let ours = Guard { user: us, accounts: &accounts };
    let crontab = cron::crontab(environment, patience);
    let (places, unasked) = ask_places(session, ours, &crontab, patience);

    let Sourced { value: path, origin } = config::store(session);
    let named_by = match origin {
        Origin::Flag(_) => NamedBy::Flag,
        Origin::Variable(_) | Origin::File { .. } | Origin::Default => NamedBy::Surroundings,
    };
    let ways = path.as_deref().map(trust::ways).unwrap_or_default();
    let (store, found) = match path {
        None => (StoreState::Nowhere, crate::cli::interpreters::find(session)),
        Some(path) if is_absent(&path) => {
            (StoreState::Missing(path), crate::cli::interpreters::find(session))
        }
        Some(path) => match session.open(Purpose::Look) {
            Ok(opened) => {
                opened.stop.on_signals()?;
                let store = StoreState::Open(Box::new(look(session, &opened, ours, named_by, &crontab)?));
                (store, crate::cli::interpreters::of_store(session, &opened))
            }
            Err(error) => {
                let (message, hint) = complain::told(&error);
                (StoreState::Refused { path, message, hint }, crate::cli::interpreters::find(session))
            }
        },
    };
    found.unreadable.iter().for_each(|trouble| complain::problem(trouble));
    let interpreters = interpreters::ask(&found, &this_program()?, patience);

    let mut unreadable = Vec::new();
    let project = walk::project_of(&environment.working_directory, &environment.homes);
    let project = project.map(|root| (root.clone(), walk::in_tree(&root, &mut unreadable)));
    let own = store.path().map(|path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf()));
    let (working_directory, reach) = match &project {
        Some((root, _)) => (root, Reach::Below),
        // Anything may be below a directory that is no project, a home with all that is in it included.
        None => (&environment.working_directory, Reach::Itself),
    };
    let others = Places {
        home: home.as_deref(),
        user: environment.user.as_deref(),
        working_directory,
        reach,
        own: own.as_deref(),
    };
    let (others, more_unreadable) = others.search();
    unreadable.iter().chain(&more_unreadable).for_each(|trouble| complain::problem(trouble));

    let configured = session.configuration.store.as_ref().map(|store| store.value.clone());
    let now = environment.now;
    Ok(Facts {
        now,
        user: us,
        accounts,
        home,
        places,
        unasked,
        configured,
        store,
        ways,
        interpreters,
        others,
        project,
    })
}

/// Asks every place what it has; and why the shells could not be asked.
fn ask_places(
    session: &Session,
    guard: Guard<'_>,
    crontab: &Result<Vec<u8>, Silence>,
    patience: Duration,
) -> (Vec<Asked>, Option<String>) {
    let environment = &session.environment;
    let here = Setting {
        prefix: environment.given_prefix.clone(),
        not_exported: None,
        writes_nothing: environment.writes_nothing.clone(),
    };
    let mut places: Vec<Asked> = vec![(Place::Here, Ok(here))];
    // An environment that we made says nothing of the user's.
    places.retain(|_| environment.continued_for.is_none());
    let of_every_login = input::read(Path::new("/etc/environment"), input::MOST_BYTES)
        .map_or_else(|_| Setting::default(), |text| shells::read_etc_environment(&text));
    if of_every_login != Setting::default() {
        places.push((Place::EtcEnvironment, Ok(of_every_login.clone())));
    }
    let Some(home) = environment.own_home.as_deref() else {
        let why = match environment.home {
            Some(_) => "HOME is another user's, whose startup files root does not run",
            None => "HOME is not set",
        };
        return (places, Some(why.into()));
    };
    let mut unasked = None;
    match shells::ask(environment, home, guard, &of_every_login, patience) {
        Ok(shells) => places.extend(shells),
        Err(why) => unasked = Some(why),
    }
    let session_has = systemd::of_session(environment, guard, patience);
    // Without a session these files are for nobody, unless they say something.
    let files_have = systemd::of_environment_d(environment, home, patience)
        .filter(|setting| session_has.is_some() || *setting != of_every_login);
    places.extend(session_has.map(|setting| (Place::Session, Ok(setting))));
    places.extend(files_have.map(|setting| (Place::EnvironmentD, Ok(setting))));
    match crontab {
        Ok(crontab) => places.extend(cron::read(crontab)),
        Err(silence) => places.push((Place::Cron(None), Err(silence.to_string()))),
    }
    (places, unasked)
}

/// Who prunes every night.
fn schedule_of(session: &Session, crontab: &Result<Vec<u8>, Silence>) -> Result<Schedule, String> {
    let environment = &session.environment;
    let lines = crontab.as_deref().unwrap_or_default();
    let found = installed_with(environment, Ok(lines.to_vec()));
    match (found.installed.first(), crontab) {
        (Some(installed), _) => Ok(Schedule::Ours(installed.scheduler)),
        (None, _) if let Some((_, error)) = found.unknown.first() => Err(complain::one_line(error)),
        (None, Err(silence)) => {
            Err(format!("nobody knows whether a schedule is in place: crontab -l {silence}"))
        }
        (None, Ok(lines)) if cron::prunes(lines) => Ok(Schedule::Own),
        (None, Ok(_)) => Ok(Schedule::None),
    }
}

/// Looks at the store: one scan counts who may change what, and what can go.
fn look(
    session: &Session,
    opened: &Opened,
    guard: Guard<'_>,
    named_by: NamedBy,
    crontab: &Result<Vec<u8>, Silence>,
) -> anyhow::Result<OpenStore> {
    let store = &opened.store;
    let (policy, links) = (reclaimable(session, opened)?, CountedLinks::default());
    let circumstances = opened.circumstances(session.environment.now, &|_, _| false);
    let new_visitors = || (Watch::new(guard, store), Some(Counting::new(&policy, circumstances, &links)));
    let (watches, countings): (Vec<_>, Vec<_>) = {
        let mut progress = session.progress("looking at");
        let scan = opened.scan(Question::Everything(UncheckedHashes::Trust));
        scan.run(new_visitors, |entries| progress.update(entries)).into_iter().unzip()
    };
    let census = Census::collect(countings.into_iter().flatten());
    let (mut temporary, mut rest) = (Tally::default(), Tally::default());
    for shares in census.tags.values() {
        for (share, name) in shares.iter().zip(status::NAMES) {
            let sum = if name == "temporary" { &mut temporary } else { &mut rest };
            *sum += share.reclaimable;
        }
    }
    let mounts = &opened.evidence.mounts;
    let network = mounts.is_network(store.real_path());
    let mount = mounts.of(store.real_path());
    let is_noatime = mount.is_some_and(|mount| mount.options.split(',').any(|option| option == "noatime"));
    let schedule = schedule_of(session, crontab);
    let latest = Journal::of_store(&session.environment, store).and_then(|journal| journal.latest());
    let latest = latest.map_err(|error| complain::one_line(&error));
    let locked = latest.as_ref().ok().and_then(|latest| latest.locked.clone());
    let last_run = match schedule {
        // A prune by hand says nothing of whether the schedule runs.
        Ok(Schedule::Ours(_)) => schedule::last_run(session).map_err(|error| complain::told(&error).0),
        _ => latest.map(|latest| latest.run),
    };
    Ok(OpenStore {
        path: store.path().to_path_buf(),
        user: store.metadata().user,
        named_by,
        sharing: session.sharing(store),
        schedule,
        exposure: Exposure::collect(watches),
        temporary,
        reclaimable: rest,
        room: directory::room(store.real_path()).ok(),
        network: mount.filter(|_| network).map(|mount| mount.kind.clone()),
        reads: if is_noatime { Reads::Lost } else { Reads::Kept },
        coverage: if opened.stop.has_looked_enough() { Coverage::Stopped } else { Coverage::Whole },
        last_run,
        locked,
    })
}

#[cfg(test)]
pub mod tests {
    //! Facts in which nothing is wrong, for tests of what is made of them.

    use super::super::place::{Shell, Start};
    use super::*;
    use crate::cli::doctor::interpreters::Said;
    use pycstore::exit::Exit;
    use pycstore::source::interpreter::StoreUse;

    /// A store in order, of user 1000, pruned yesterday.
    pub fn open_store() -> OpenStore {
        let temporary = tempfile::tempdir().unwrap();
        let store = crate::cli::past_runs::store(&temporary, "store");
        let run = crate::cli::past_runs::run(&store, 1_700_000_000 - 86_400, 3, Exit::Done);
        OpenStore {
            path: "/home/me/.cache/cpython".into(),
            user: 1000,
            named_by: NamedBy::Surroundings,
            sharing: None,
            exposure: Exposure::default(),
            temporary: Tally::default(),
            reclaimable: Tally::default(),
            room: None,
            network: None,
            reads: Reads::Kept,
            coverage: Coverage::Whole,
            schedule: Ok(Schedule::Ours(Scheduler::Cron)),
            last_run: Ok(Some(run)),
            locked: None,
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
            places: vec![(Place::Here, setting()), (Place::Shell(Shell::Bash, Start::Login), setting())],
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
