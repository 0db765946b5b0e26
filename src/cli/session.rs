//! A run of the program: the environment, the global options, and the store.

use super::config::{Configuration, Location, Origin, Sourced};
use super::options::{Color, Global};
use super::output::complain::{self, Complaint};
use super::output::progress::{Progress, Visibility};
use super::output::style::Style;
use super::output::terminal::Terminal;
use super::stop::Stop;
use anyhow::Context;
use pycstore::effect::new_entry::make_store;
use pycstore::environment::Environment;
use pycstore::host::directory::effective_user;
use pycstore::host::path_owner::PathDoubt;
use pycstore::host::pool::Threads;
use pycstore::host::trust;
use pycstore::host::volumes::{AccessTimes, Mounts};
use pycstore::pyc::{Magic, StatedMagics};
use pycstore::source::interpreter::Interpreters;
use pycstore::source::witness::{Wanted, real_path};
use pycstore::source::{Evidence, Fate};
use pycstore::store::aliases::Aliases;
use pycstore::store::mirrored::last_mirrored;
use pycstore::store::scan::{Question, Scan, Trouble, Visitor};
use pycstore::store::sharing::Sharing;
use pycstore::store::{Purpose, Refusal, Store};
use pycstore::units::Moment;
use pycstore::verdict::policy::{Circumstances, Clock};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// One run of the program.
#[derive(Debug, Clone)]
pub struct Session {
    pub environment: Environment,
    pub global: Global,
    /// The contents of the configuration file.
    pub configuration: Configuration,
    /// Standard output, as far as it is a terminal.
    pub terminal: Terminal,
    /// The request to stop early, which the opened store gets.
    pub stop: Stop,
}

/// The store and everything that a scan needs.
#[derive(Debug)]
pub struct Opened {
    pub store: Store,
    /// The evidence about missing sources.
    pub evidence: Evidence,
    magics: StatedMagics,
    threads: Threads,
    /// The request to stop early.
    pub stop: Stop,
    aliases: OnceLock<Arc<Aliases>>,
}

/// Whether definitely no interpreter loads a tag and magic.
pub type IsDead<'a> = dyn Fn(&str, Magic) -> bool + Sync + 'a;

impl Session {
    /// A session with these options in this environment, without the user's configuration.
    pub fn new(global: Global, environment: Environment) -> Session {
        let terminal = Terminal::of_stdout(environment.home.as_deref());
        let (configuration, stop) = (Configuration::default(), Stop::default());
        Session { environment, global, configuration, terminal, stop }
    }

    /// A session with the user's configuration.
    pub fn configured(global: Global, environment: Environment) -> anyhow::Result<Session> {
        let location = Location::find(global.config.as_deref(), &environment);
        let configuration = Configuration::load(&location, &environment).map_err(|error| {
            let hint = error.hint();
            Complaint::caused(error, hint)
        })?;
        Ok(Session { configuration, ..Session::new(global, environment) })
    }

    /// The store: `--store`, else `PYTHONPYCACHEPREFIX`, else the configuration, else
    /// [`Environment::default_store`]. It need not exist. `None` without a home.
    pub fn store(&self) -> Sourced<Option<PathBuf>> {
        let environment = &self.environment;
        if let Some(path) = &self.global.store {
            return Sourced { value: Some(environment.absolute(path)), origin: Origin::Flag("--store") };
        }
        if let Some(prefix) = &environment.prefix {
            let value = Some(environment.absolute(Path::new(prefix)));
            return Sourced { value, origin: Origin::Variable("PYTHONPYCACHEPREFIX") };
        }
        match &self.configuration.store {
            Some(store) => store.clone().map(Some),
            None => Sourced::default(environment.default_store().cloned()),
        }
    }

    /// The number of threads; `None` for as many as the disk can use.
    pub fn thread_count(&self) -> Sourced<Option<u16>> {
        match (self.global.threads, self.configuration.threads) {
            (Some(count), _) => Sourced { value: Some(count), origin: Origin::Flag("--threads") },
            (None, Some(configured)) => configured.map(Some),
            (None, None) => Sourced::default(None),
        }
    }

    /// The paths below which missing sources count as deleted: those of the command line and those of the
    /// configuration.
    pub fn assumed_gone(&self) -> Vec<Sourced<PathBuf>> {
        let flags = self.global.assume_gone.iter().map(|path| Sourced {
            value: self.environment.absolute(path),
            origin: Origin::Flag("--assume-gone"),
        });
        flags.chain(self.configuration.assume_gone.iter().cloned()).collect()
    }

    /// How standard output is styled.
    pub fn style(&self) -> Style {
        match self.global.color {
            Color::Auto => Style::for_stdout(),
            Color::Always => Style::Coloured,
            Color::Never => Style::Plain,
        }
    }

    /// Runs a scan with a progress line.
    pub fn scan<V: Visitor>(&self, scan: &Scan<'_>, new_visitor: impl Fn() -> V + Sync) -> Vec<V> {
        scan.run(new_visitor, self.progress("scanning"))
    }

    /// Shows the number of entries that it is called with, until it is dropped; nothing with --quiet.
    pub fn progress(&self, what: &'static str) -> impl FnMut(u64) + use<> {
        let is_hidden = self.global.quiet || complain::is_holding();
        let visibility = if is_hidden { Visibility::Never } else { Visibility::OnTerminal };
        let mut progress = Progress::new(what, visibility);
        move |entries| progress.update(entries)
    }

    /// Prints a note on standard error, unless `--quiet` was given.
    pub fn note(&self, message: &str) {
        if !self.global.quiet {
            complain::note(message);
        }
    }

    /// Reports on a terminal that no entry matches: the path or tag may be mistyped. Silent for scripts.
    pub fn note_nothing_found(&self, filters: &[String]) {
        if self.terminal.is_terminal() {
            self.note(&match filters {
                [] => "the store is empty".into(),
                some => format!("no entry matches {}", some.join(", ")),
            });
        }
    }

    /// The Pythons on this machine in places that the environment names; no store is read.
    pub fn interpreters(&self) -> Interpreters {
        Interpreters::find(&self.environment.places_of_all())
    }

    /// The Pythons that may use a store: those on this machine, and those of the standard libraries and environments
    /// that the store has entries of.
    pub fn interpreters_with(&self, opened: &Opened) -> Interpreters {
        let places = self.environment.places_of_all();
        let is_gone = |path: &Path| {
            match opened.evidence.fate(path, Wanted::Directory) {
                // A library that was mirrored after anything can have been deleted there is only out of sight: in a container.
                Ok(Fate::Deleted(last_change)) => last_mirrored(&opened.store, path)
                    .is_ok_and(|mirrored| mirrored.is_some_and(|mirrored| mirrored <= last_change)),
                Ok(Fate::Exists | Fate::Doubtful(_)) | Err(_) => false,
            }
        };
        let progress = self.progress("searching for interpreters in");
        Interpreters::find_with(&places, &opened.store, opened.threads(), is_gone, progress)
    }

    /// Finds, opens and vets the store.
    pub fn open(&self, purpose: Purpose) -> anyhow::Result<Opened> {
        let Sourced { value: path, origin } = self.locate()?;
        let store = Store::open(&path, &self.environment.homes, purpose)
            .map_err(|refusal| self.explain(refusal, origin))?;
        let mounts = Mounts::read().context("cannot read the mount table")?;
        // Below a link, a source may be spelled through it or by its real path.
        let assumed_gone = self.assumed_gone().into_iter().map(|path| path.value);
        let assumed_gone = assumed_gone.flat_map(|path| [real_path(&path), path]).collect();
        let evidence = Evidence { mounts, store: store.real_path().to_path_buf(), assumed_gone };
        let environment = self.environment.clone();
        let magics = StatedMagics::new(move || Interpreters::find(&environment.places_of_all()).stated());
        let (aliases, threads, stop) = (OnceLock::new(), self.threads(), self.stop.clone());
        Ok(Opened { store, evidence, magics, threads, stop, aliases })
    }

    /// Why a store's directory counts as shared with other programs; `None` if it does not.
    pub fn sharing(&self, store: &Store) -> Option<Sharing> {
        Sharing::of(store, &self.environment.common_directories, &self.environment.homes)
    }

    /// Reports a store whose directory counts as shared with other programs; returns why.
    pub fn note_shared(&self, store: &Store) -> Option<Sharing> {
        let sharing = self.sharing(store)?;
        let (path, why, own) = (store.path().display(), sharing.explanation(), self.environment.own_store());
        self.note(&format!(
            "{path} is shared with other programs ({why}); use a separate directory for the store, such as {own}"
        ));
        Some(sharing)
    }

    /// Opens the store for writing. Creates it if it does not exist, as Python does. Root writes nothing if another
    /// user can change the path: it could lead anywhere.
    pub fn open_to_fill(&self, hint: &str) -> anyhow::Result<Opened> {
        let path = self.store_path()?;
        if effective_user() == 0
            && let Some(stranger) = trust::stranger(&trust::ways_to(&path), 0)
        {
            let message = format!("refused as root: {}: {stranger}", path.display());
            return Err(Complaint::new(message, hint).into());
        }
        if !path.try_exists().with_context(|| path.display().to_string())? {
            make_store(&path).with_context(|| format!("cannot create the store {}", path.display()))?;
        }
        self.open(Purpose::Remove)
    }

    /// The number of threads to work with.
    pub fn threads(&self) -> Threads {
        match self.thread_count().value {
            Some(count) => Threads::exactly(usize::from(count)),
            None => Threads::default(),
        }
    }

    /// The store as Python gets it. It need not exist.
    pub fn store_path(&self) -> anyhow::Result<PathBuf> {
        self.locate().map(|store| store.value)
    }

    /// The effective store; the default one only if it exists.
    fn locate(&self) -> anyhow::Result<Sourced<PathBuf>> {
        let store = self.store();
        let looked = match store.value {
            Some(path) if store.origin != Origin::Default || !is_absent(&path) => {
                return Ok(Sourced { value: path, origin: store.origin });
            }
            Some(path) => format!("{} does not exist", path.display()),
            None => "HOME is not set".into(),
        };
        Err(Complaint::new(
            format!("no store found: --store is not given, PYTHONPYCACHEPREFIX is not set, the configuration sets no store, and {looked}"),
            "specify one with `pycstore --store DIR …`, or set one up: pycstore setup",
        )
        .into())
    }

    fn explain(&self, refusal: Refusal, origin: Origin) -> anyhow::Error {
        let named = origin.long(self.configuration.path.as_deref());
        let starts_with_tilde = |path: &OsStr| Path::new(path).starts_with("~");
        let is_literal_tilde = match origin {
            Origin::Flag(_) => {
                self.global.store.as_ref().is_some_and(|path| starts_with_tilde(path.as_os_str()))
            }
            Origin::Variable(_) => {
                self.environment.prefix.as_ref().is_some_and(|prefix| starts_with_tilde(prefix))
            }
            Origin::File { .. } | Origin::Default => false,
        };
        let hint = match &refusal {
            _ if is_literal_tilde => "neither Python nor pycstore expands a quoted `~`: use $HOME".into(),
            Refusal::NotFound(_) => {
                let condition = match origin {
                    Origin::Variable(_) => "",
                    _ => " if PYTHONPYCACHEPREFIX names it",
                };
                format!(
                    "the path comes from {named}; Python creates it when it first compiles a module{condition}. To use another store: pycstore --store DIR …"
                )
            }
            Refusal::RootDirectory(_) | Refusal::Home { .. } | Refusal::SourceTree { .. } => {
                format!(
                    "the path comes from {named}; use a separate directory for the store, such as ~/.cache/cpython"
                )
            }
            Refusal::NotOurs { .. } if self.environment.continued_for.is_some() => format!(
                "root continued as user {}, who controls this path; specify the store by another path",
                effective_user()
            ),
            Refusal::NotOurs { .. } => "run as that user, or as root".into(),
            Refusal::Doubtful { doubt: PathDoubt::Anyone(directory), .. } => {
                format!("remove write access for others: chmod go-w {}", directory.display())
            }
            Refusal::Doubtful { .. } => "run as that user".into(),
            Refusal::NotADirectory(_) | Refusal::Io { .. } => {
                format!("the path comes from {named}. To use another store: pycstore --store DIR …")
            }
        };
        Complaint::caused(refusal, hint).into()
    }
}

/// Whether nothing is at a path; false if that cannot be determined.
pub fn is_absent(path: &Path) -> bool {
    path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

impl Opened {
    /// Returns a scan of the store with this question.
    pub fn scan(&self, question: Question) -> Scan<'_> {
        let Opened { store, evidence, magics, threads, stop, .. } = self;
        Scan { store, evidence, magics, question, threads: *threads, within: &[], stop: stop.scan_flag() }
    }

    /// The links on the paths that the store mirrors; found at the first call.
    pub fn aliases(&self) -> &Arc<Aliases> {
        self.aliases.get_or_init(|| Arc::new(Aliases::find(&self.store, self.threads)))
    }

    /// Errors of the search for links, each once; empty if they were not searched.
    pub fn troubles_of_aliases(&self) -> Vec<Trouble> {
        self.aliases.get().map_or_else(Vec::new, |aliases| aliases.take_troubles())
    }

    /// The circumstances that policies depend on. The stamps of a store on the network may come from a clock that is behind: then
    /// files seem older than they are.
    pub fn circumstances<'a>(&self, now: Moment, is_dead: &'a IsDead<'a>) -> Circumstances<'a> {
        let keeps_access_times = self.evidence.mounts.keeps_access_times(self.store.real_path());
        let clock = if keeps_access_times { Clock::Access } else { Clock::Modification };
        let store = self.store.real_path();
        let now = now.earlier_by(self.evidence.mounts.clock_margin(store, store));
        Circumstances { now, clock, is_dead }
    }

    /// How accurate the access times of the store's files are.
    pub fn access_times(&self) -> AccessTimes {
        self.evidence.mounts.access_times(self.store.real_path())
    }

    /// The number of threads to work with.
    pub fn threads(&self) -> Threads {
        self.threads
    }
}
