//! The sources below paths, grouped by the interpreter that is to compile them.

use super::{EntryChoice, Planning, Remark, WarmPlan, fresh_below};
use crate::complaint::{self, Complaint};
use crate::effect::compile::{SourceGroup, Task};
use crate::environment::Environment;
use crate::host::accounts::Accounts;
use crate::host::directory::effective_user;
use crate::host::trust::runner::Runners;
use crate::pyc::InvalidationMode;
use crate::pyc::name::{PYCACHE, python_of_tag};
use crate::source::interpreter::{Implementation, Interpreter, Interpreters};
use crate::source::is_missing;
use crate::source::walk::{NOT_SOURCES, PythonTree, Unreadable, python_tree};
use crate::store::in_tree::choice::executable_of;
use crate::store::in_tree::choice::{Decider, Deciders};
use crate::units::human;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Returns what to compile below the paths: these entries of each source, with the interpreter `python` for sources outside
/// environments; `None` if every path was refused.
///
/// # Errors
/// If `python` names no interpreter, or one that may not be run.
pub fn plan_sources(
    planning: &mut Planning<'_>,
    paths: &[PathBuf],
    python: Option<&Path>,
    choice: &EntryChoice,
) -> Result<Option<WarmPlan>, Complaint> {
    let default = [PathBuf::from(".")];
    let paths = if paths.is_empty() { &default[..] } else { paths };
    let mut plan = WarmPlan { is_whole: true, ..WarmPlan::default() };
    let mut taken = Vec::new();
    for path in paths {
        let spelled = planning.environment.working_directory.join(path);
        let path = planning.environment.absolute(path);
        match refusal(&path) {
            None => {
                taken.push(path);
                plan.program_directories.extend(left_by_dots(&spelled));
            }
            Some(complaint) => {
                plan.is_whole = false;
                planning.report(Remark::Refused(complaint));
            }
        }
    }
    if taken.is_empty() {
        return Ok(None);
    }
    let PythonTree { mut sources, program_directories } = tree(&taken, planning, &mut plan.is_whole);
    plan.program_directories.extend(program_directories);
    sources.sort();
    sources.dedup();
    plan.groups = groups(planning, sources, python, choice, &mut plan.is_whole)?;
    let (fresh, is_read) = fresh_below(planning, &taken, choice.invalidation);
    plan.fresh = fresh;
    plan.is_whole &= is_read;
    Ok(Some(plan))
}

/// Groups the sources by the interpreter that is to compile them.
fn groups(
    planning: &mut Planning<'_>,
    sources: Vec<PathBuf>,
    python: Option<&Path>,
    choice: &EntryChoice,
    is_whole: &mut bool,
) -> Result<Vec<SourceGroup>, Complaint> {
    let mut deciders = Deciders::default();
    let mut decided: BTreeMap<Decider, Vec<PathBuf>> = BTreeMap::new();
    for source in sources {
        let directory = source.parent().unwrap_or(Path::new("/"));
        decided.entry(deciders.of(directory)).or_default().push(source);
    }
    let mut groups: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    let mut chooser =
        Chooser { environment: planning.environment, runners: planning.runners, named: python, found: None };
    for (decider, sources) in decided {
        match chooser.choose(&decider)? {
            Ok(executable) => groups.entry(executable).or_default().extend(sources),
            Err(why) => {
                *is_whole = false;
                let count = human::counted(sources.len() as u64, "source");
                planning.report(Remark::NoInterpreter(format!("{count} not compiled: {why}")));
            }
        }
    }
    let group = |(executable, sources): (PathBuf, Vec<PathBuf>)| SourceGroup {
        executable,
        tag: None,
        tasks: sources.iter().flat_map(|source| choice.tasks(source)).collect(),
    };
    Ok(groups.into_iter().map(group).collect())
}

/// Returns the directories before a `..` in a path: for `tests/../src` on `sys.path`, Python opens entries through the
/// mirror of `tests`.
fn left_by_dots(path: &Path) -> Vec<PathBuf> {
    let (mut current, mut left) = (PathBuf::from("/"), Vec::new());
    for component in path.components() {
        match component {
            Component::Normal(name) => current.push(name),
            Component::ParentDir => {
                left.push(current.clone());
                current.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    left.retain(|directory| directory.is_dir());
    left
}

impl EntryChoice {
    /// The tasks of one source.
    fn tasks(&self, source: &Path) -> impl Iterator<Item = Task> {
        let invalidation = self.invalidation.unwrap_or(InvalidationMode::Timestamp);
        let optimizations = self.optimizations.iter();
        optimizations.map(move |&optimization| Task { source: source.into(), optimization, invalidation })
    }
}

/// Why a path is not compiled.
fn refusal(path: &Path) -> Option<Complaint> {
    let hint = "name a project, an environment or a source: pycstore warm ~/project";
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if is_missing(&error) => {
            return Some(Complaint::new(format!("{} does not exist", path.display()), hint));
        }
        Err(source) => return Some(Complaint::caused(Unreadable { path: path.into(), source }, hint)),
    };
    if path == Path::new("/") {
        return Some(Complaint::new("refused: / is the root directory", hint));
    }
    is_anothers(&metadata).then(|| {
        let user = metadata.uid();
        let message = format!("refused as root: {} belongs to user {user}", path.display());
        // sudo(8) takes a user id as `#ID`.
        let name = Accounts::read().user(user).map_or_else(|| format!("'#{user}'"), |user| user.name.clone());
        Complaint::new(message, format!("run as that user: sudo -u {name} pycstore warm …"))
    })
}

/// Whether something belongs to another user while we are root.
pub(super) fn is_anothers(metadata: &Metadata) -> bool {
    effective_user() == 0 && metadata.uid() != 0
}

/// Whether a directory is a cache, whose sources are seldom imported from there: one of the XDG Base Directory
/// Specification, or one with a tag. uv and virtualenv tag their environments too.
fn is_cache(directory: &Path, name: &[u8]) -> bool {
    name == b".cache" || (directory.join("CACHEDIR.TAG").is_file() && !directory.join("pyvenv.cfg").is_file())
}

/// The sources at or below the paths, with the spelling of the paths, and the directories with programs.
fn tree(paths: &[PathBuf], planning: &mut Planning<'_>, is_whole: &mut bool) -> PythonTree {
    let store = planning.scan.store.metadata().identity;
    let mut unreadable = Vec::new();
    let mut all = PythonTree::default();
    let others = Cell::new(0);
    for path in paths {
        if path.is_file() {
            all.sources.push(path.clone());
            continue;
        }
        let is_entered = |directory: &Path, metadata: &Metadata| {
            let name = directory.file_name().map(OsStr::as_bytes).unwrap_or_default();
            let holds_none = name == PYCACHE
                || NOT_SOURCES.iter().any(|other| other.as_bytes() == name)
                || is_cache(directory, name);
            let is_meant = directory == path || !holds_none;
            let is_store = (metadata.dev(), metadata.ino()) == store;
            if is_meant && is_anothers(metadata) {
                others.set(others.get() + 1);
                return false;
            }
            is_meant && !is_store
        };
        let PythonTree { sources, program_directories } = python_tree(path, is_entered, &mut unreadable);
        all.sources.extend(sources);
        all.program_directories.extend(program_directories);
    }
    if others.get() > 0 {
        *is_whole = false;
        let directories = human::counted(others.get(), "directory");
        planning.report(Remark::Left(format!("not entered as root: {directories} of other users")));
    }
    for unreadable in unreadable {
        *is_whole = false;
        planning.report(Remark::Unreadable(unreadable));
    }
    all
}

/// Chooses interpreters.
struct Chooser<'a> {
    environment: &'a Environment,
    runners: &'a Runners,
    named: Option<&'a Path>,
    found: Option<Interpreters>,
}

/// An executable, or why there is none.
type Choice = Result<PathBuf, String>;

impl Chooser<'_> {
    /// Returns the executable for these sources.
    ///
    /// # Errors
    /// If `--python` names none.
    fn choose(&mut self, decider: &Decider) -> Result<Choice, Complaint> {
        let executable = match decider {
            Decider::Environment(root) => match executable_of(root) {
                Some(executable) => executable,
                None => {
                    return Ok(Err(format!("{} has no interpreter", root.display())));
                }
            },
            Decider::Installation(library) => match self.of_installation(library) {
                Some(executable) => executable,
                None => return self.otherwise(),
            },
            Decider::Nothing => return self.otherwise(),
        };
        Ok(trusted(self.runners, &executable).map(|()| executable))
    }

    fn found(&mut self) -> &Interpreters {
        self.found.get_or_insert_with(|| Interpreters::find(&self.environment.places_of_all()))
    }

    /// The interpreter of a library: the one of its version in its installation, else the newest there.
    fn of_installation(&mut self, library: &Path) -> Option<PathBuf> {
        let library = library.canonicalize().ok()?;
        let name = library.file_name()?.to_str()?;
        let of = |it: &&Interpreter| library.starts_with(&it.prefix);
        let found: Vec<_> = self.found().found.iter().filter(of).collect();
        let is_its = |it: &&&Interpreter| {
            let (major, minor) = (it.version.major, it.version.minor);
            name.trim_end_matches('t').ends_with(&format!("{major}.{minor}"))
        };
        let own = found.iter().find(is_its);
        own.or_else(|| found.iter().max_by_key(|it| &it.version))?.executable.clone()
    }

    /// The interpreter that was named, else the newest CPython here that may be run.
    fn otherwise(&mut self) -> Result<Choice, Complaint> {
        if let Some(named) = self.named {
            return self.named(named).map(Ok);
        }
        let runners = self.runners;
        let with_store = self.found().with_store().map(|(_, it)| it);
        let mut able: Vec<_> = with_store.filter(|it| it.implementation == Implementation::CPython).collect();
        able.sort_by_key(|it| std::cmp::Reverse(&it.version));
        let mut executables = able.into_iter().filter_map(|it| it.executable.clone());
        let newest = executables.find(|executable| trusted(runners, executable).is_ok());
        Ok(newest
            .ok_or_else(|| "no CPython 3.8 or later found that may be run; name one: --python PYTHON".into()))
    }

    /// A path, or a name on `PATH`.
    fn named(&self, named: &Path) -> Result<PathBuf, Complaint> {
        let environment = self.environment;
        let found = if named.as_os_str().as_bytes().contains(&b'/') {
            Some(environment.absolute(named)).filter(|path| path.is_file())
        } else {
            let on_path = environment.places.path.iter().map(|directory| directory.join(named));
            on_path.into_iter().find(|path| path.is_file())
        };
        let hint = "`pycstore interpreters` lists those on this machine";
        let found =
            found.ok_or_else(|| Complaint::new(format!("no interpreter at {}", named.display()), hint))?;
        // Only root is restricted.
        if effective_user() == 0 {
            let hint = "name an interpreter that only root may change";
            trusted(self.runners, &found)
                .map_err(|why| Complaint::new(format!("refused as root: {why}"), hint))?;
        }
        Ok(found)
    }
}

/// Whether an interpreter that was found may be run.
///
/// # Errors
/// If it may not, the reason in words.
pub(super) fn trusted(runners: &Runners, executable: &Path) -> Result<(), String> {
    let not_run = |why: String| format!("{} is not run: {why}", executable.display());
    executable.metadata().map_err(|error| not_run(complaint::one_line(&error)))?;
    runners.trust(executable).map_err(|stranger| not_run(stranger.to_string()))
}

/// Whether a tag is that of a Python that uses a store.
pub(super) fn uses_store(tag: &str) -> bool {
    python_of_tag(tag).is_none_or(|version| version >= (3, 8))
}
