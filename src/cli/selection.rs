//! The policy of a run, from options and configuration, and the names by which the history identifies it.

use super::config::Sourced;
use super::keep::keep;
use super::options::whole;
use super::output::complain;
use super::paths;
use super::session::{Opened, Session};
use clap::Args;
use pycstore::history::SHARE;
use pycstore::quoting;
use pycstore::store::entry::SeenEntry;
use pycstore::store::scan::{Question, Scan};
use pycstore::units::{Age, Size};
use pycstore::verdict::emptied::Leftovers;
use pycstore::verdict::policy::{Budget, ChosenEntry, Policy, Selector};
use pycstore::verdict::scope::Scope;
use pycstore::verdict::status::{Status, UncheckedHashes};
use pycstore::verdict::usage::{Survey, Usage};
use pycstore::verdict::view::{Focus, View};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Selectors: a run removes the entries that any of them matches.
#[derive(Debug, Clone, Default, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(next_help_heading = "Selectors (they add up)")]
pub struct SelectorOptions {
    /// Remove entries whose source was definitely deleted
    #[arg(long)]
    pub orphans: bool,
    /// Remove entries that Python would recompile
    #[arg(long)]
    pub stale: bool,
    /// Remove files that cannot be loaded: shorter than 16 bytes, or not bytecode, whether or not the source exists
    #[arg(long)]
    pub corrupt: bool,
    /// With --corrupt: also read the body of every entry, and remove the entries that an import fails to load
    #[arg(long, requires = "corrupt")]
    pub deep: bool,
    /// Remove files left by interrupted writes, and copies of entries made by file synchronisers, if an hour old or
    /// more
    #[arg(long)]
    pub temporary: bool,
    /// Remove entries whose cache tag and magic number no interpreter on this machine loads
    #[arg(long)]
    pub dead_interpreters: bool,
    /// Remove entries not used for AGE: 90d, 12w, 6months
    #[arg(long, value_name = "AGE")]
    pub unused_for: Option<Age>,
    /// Remove the least recently used entries until their disk usage is at most SIZE: 5GiB, 500M; hard links count
    /// once
    #[arg(long, value_name = "SIZE")]
    pub max_size: Option<Size>,
    /// Remove the least recently used entries until there are at most N; each hard link counts
    #[arg(long, value_name = "N", value_parser = whole::<u64>)]
    pub max_files: Option<u64>,
    /// Remove every entry; asks on a terminal, needs --yes without one
    #[arg(long)]
    pub all: bool,
}

/// Scopes limit what the selectors match.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Scopes (they narrow)")]
pub struct ScopeOptions {
    /// Only entries whose source is, or was, at or below PATH (may be repeated)
    #[arg(long, value_name = "PATH")]
    pub under: Vec<PathBuf>,
    /// Only entries of the project, environment or interpreter at PATH, as du names it (may be repeated)
    #[arg(long, value_name = "PATH")]
    pub owner: Vec<PathBuf>,
    /// Only entries with this cache tag, such as cpython-39 (may be repeated)
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
    /// Keep the entries whose source, or a directory above it, matches GLOB; ** crosses directories (may be
    /// repeated)
    #[arg(long, value_name = "GLOB")]
    pub keep: Vec<String>,
}

/// The entries that a run removes.
#[derive(Debug)]
pub struct Selection {
    /// The policy, with paths as they were given: see [`Selection::policy_on`].
    pub policy: Policy,
    /// The selectors and scopes as text, by which the history distinguishes runs.
    pub names: Vec<String>,
    /// When the run is due, and how long it may take.
    pub intervals: Intervals,
}

/// The first of the names of a run that removes what was marked in `pycstore browse`.
const BROWSE: &str = "browse";

/// When a run is due, and how long it may take.
#[derive(Debug, Clone, Copy, Default)]
pub struct Intervals {
    /// Nothing is done when the last successful run is younger.
    pub min_interval: Option<Age>,
    /// The run stops cleanly after this.
    pub max_runtime: Option<Age>,
}

/// The limits that the machine sets for each user.
#[derive(Debug, Clone, Copy, Default)]
pub struct MachineLimits {
    /// Maximum disk usage of the store.
    pub max_size: Option<Size>,
    /// Maximum time of a run.
    pub max_runtime: Option<Age>,
}

/// Returns the lesser of two limits, of which either may be missing.
pub fn lesser<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    one.into_iter().chain(other).min()
}

/// Whether the paths of a selection match anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matched {
    /// At least one does not; this was reported.
    Not,
    /// Only a scan can tell.
    Unknown,
}

impl SelectorOptions {
    /// The selectors of a run without options: those of the configuration, else of what `du` calls reclaimable.
    fn configured(session: &Session) -> SelectorOptions {
        let table = session.configuration.prune.effective();
        let is_on = |flag: Option<Sourced<bool>>| flag.is_some_and(|flag| flag.value);
        SelectorOptions {
            orphans: is_on(table.orphans),
            stale: is_on(table.stale),
            corrupt: is_on(table.corrupt),
            temporary: is_on(table.temporary),
            dead_interpreters: is_on(table.dead_interpreters),
            unused_for: table.unused_for.map(|age| age.value),
            max_size: table.max_size.map(|size| size.value),
            max_files: table.max_files.map(|files| files.value),
            ..SelectorOptions::default()
        }
    }

    /// The selectors without a value.
    fn selectors(&self) -> impl Iterator<Item = Selector> {
        let flags = [
            (self.orphans, Selector::Orphans),
            (self.stale, Selector::Stale),
            (self.corrupt, Selector::Corrupt),
            (self.deep, Selector::Bodies),
            (self.temporary, Selector::Temporary),
            (self.dead_interpreters, Selector::DeadInterpreters),
            (self.all, Selector::All),
        ];
        flags.into_iter().filter_map(|(is_given, selector)| is_given.then_some(selector))
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.selectors().map(|selector| selector.name().to_string()).collect();
        names.extend(self.unused_for.map(|age| format!("unused-for {age}")));
        names.extend(self.max_size.map(|size| format!("max-size {size}")));
        names.extend(self.max_files.map(|files| format!("max-files {files}")));
        names
    }

    fn policy(&self, scope: Scope) -> Policy {
        Policy {
            selectors: self.selectors().collect(),
            unused_for: self.unused_for.map(Age::seconds),
            budget: Budget { disk: self.max_size.map(|size| size.0), files: self.max_files },
            scope,
            ..Policy::default()
        }
    }
}

impl Selection {
    /// Whether the configuration has a policy.
    pub fn is_configured(session: &Session) -> bool {
        session.configuration.prune.has_policy()
    }

    /// The selection of `pycstore prune` with these options: that of the command line, else that of the
    /// configuration, else what is reclaimable.
    pub fn of_prune(
        session: &Session,
        selectors: &SelectorOptions,
        scopes: &ScopeOptions,
        intervals: Intervals,
    ) -> anyhow::Result<Selection> {
        let is_given = !selectors.names().is_empty();
        let chosen = if is_given { selectors.clone() } else { SelectorOptions::configured(session) };
        let scope = scope(session, scopes)?;
        let names = [chosen.names(), scope_names(session, &scope, scopes)].concat();
        // Intervals in the file apply only to the file's policy.
        let table = &session.configuration.prune;
        let configured = |age: Option<Sourced<Age>>| age.filter(|_| !is_given).map(|age| age.value);
        let intervals = Intervals {
            min_interval: intervals.min_interval.or_else(|| configured(table.min_interval)),
            max_runtime: intervals.max_runtime.or_else(|| configured(table.max_runtime)),
        };
        Ok(Selection { policy: chosen.policy(scope), names, intervals })
    }

    /// The selection of `pycstore share`: which entries may become links.
    pub fn of_share(
        session: &Session,
        scopes: &ScopeOptions,
        max_runtime: Option<Age>,
    ) -> anyhow::Result<Selection> {
        let scope = scope(session, scopes)?;
        let names = [vec![SHARE.to_string()], scope_names(session, &scope, scopes)].concat();
        let policy = Policy { scope, ..Policy::default() };
        Ok(Selection { policy, names, intervals: Intervals { max_runtime, ..Intervals::default() } })
    }

    /// This selection within the limits of the machine. Its names stay: the history shows the user's policy.
    #[must_use]
    pub fn within(mut self, limits: MachineLimits) -> Selection {
        let budget = &mut self.policy.budget;
        budget.disk = lesser(budget.disk, limits.max_size.map(|size| size.0));
        self.intervals.max_runtime = lesser(self.intervals.max_runtime, limits.max_runtime);
        self
    }

    /// The policy on this store: its paths in every spelling that the store mirrors. Reports those that it has
    /// nothing of.
    pub fn policy_on(&self, session: &Session, opened: &Opened) -> (Policy, Matched) {
        let mut policy = self.policy.clone();
        let scope = &mut policy.scope;
        let under = paths::named(session, opened, &scope.under);
        let owners = paths::named(session, opened, &scope.owners);
        let is_missing = [&under, &owners].map(|named| named.note_missing(session));
        (scope.under, scope.mirrored, scope.owners) = (under.all, under.mirrored, owners.all);
        if !scope.keep.is_empty() {
            scope.keep = scope.keep.clone().with_aliases(opened.aliases().clone());
        }
        (policy, if is_missing.contains(&true) { Matched::Not } else { Matched::Unknown })
    }

    /// Says that no entry is in the scope.
    pub fn note_nothing_in_scope(&self, session: &Session) {
        let scope = &self.policy.scope;
        let names_something = !scope.under.is_empty() || !scope.owners.is_empty() || !scope.tags.is_empty();
        // Silent in scripts if only the configuration's globs keep everything.
        if session.global.quiet || !(names_something || session.terminal.is_terminal()) {
            return;
        }
        let message = self.nothing_in_scope(session);
        match scope.tags.iter().find_map(|tag| paths::meant_tag(tag)) {
            Some(meant) => complain::advise(&message, &format!("did you mean the tag {meant}?")),
            None => complain::note(&message),
        }
    }

    /// The message if no entry is in the scope: the path or tag may be mistyped.
    fn nothing_in_scope(&self, session: &Session) -> String {
        let scopes = ["forget ", "under ", "owner ", "tag "];
        let named = self.names.iter().filter(|name| scopes.iter().any(|scope| name.starts_with(scope)));
        let named: Vec<&str> = named.map(|name| name.trim_start_matches("forget ")).collect();
        let keeps = !self.policy.scope.keep.is_empty();
        let kept = match (keeps, session.configuration.path.as_deref()) {
            (true, Some(path)) if !session.configuration.keep.is_empty() => {
                format!(", or all of them are kept by {}", path.display())
            }
            (true, _) => ", or all of them are kept".into(),
            (false, _) => String::new(),
        };
        let named = if named.is_empty() { String::new() } else { format!(": {}", named.join(", ")) };
        format!("no entry is in this scope{named}{kept}")
    }

    /// The selection of `pycstore forget`: everything at or below `paths`, in every spelling.
    pub fn of_forget(
        session: &Session,
        paths: &[PathBuf],
        tags: &[String],
        max_runtime: Option<Age>,
    ) -> Selection {
        let absolute = paths.iter().map(|path| session.environment.absolute(path));
        let name = |path: PathBuf| format!("{} {}", Selector::Forgotten.name(), path.display());
        let names = absolute.map(name).collect();
        let scope = Scope { under: paths.to_vec(), tags: tags.to_vec(), ..Scope::default() };
        let policy = Policy { scope, ..Policy::of([Selector::Forgotten]) };
        Selection { policy, names, intervals: Intervals { max_runtime, ..Intervals::default() } }
    }

    /// The selection of `pycstore verify --fix`: exactly the entries at or below `paths` with a fault.
    pub fn of_verify(session: &Session, paths: &[PathBuf], mut listed: Vec<SeenEntry>) -> Selection {
        listed.sort_by(|one, other| (&one.relative, &one.name).cmp(&(&other.relative, &other.name)));
        let mut names = vec![Selector::Listed.name().to_string()];
        let absolute = paths.iter().map(|path| session.environment.absolute(path));
        names.extend(absolute.map(|path| format!("under {}", path.display())));
        let scope = Scope { under: paths.to_vec(), ..Scope::default() };
        // Python reads the bodies of fresh entries only: what was recompiled meanwhile is another file.
        let chosen = listed.into_iter().map(|entry| ChosenEntry { entry, status: Status::Fresh });
        let policy = Policy { scope, listed: Arc::new(chosen.collect()), ..Policy::of([Selector::Listed]) };
        Selection { policy, names, intervals: Intervals::default() }
    }

    /// The selection of `pycstore browse` before anything is marked: what is shown, and what is reclaimable.
    pub fn of_browse(session: &Session, scopes: &ScopeOptions) -> anyhow::Result<Selection> {
        let scope = scope(session, scopes)?;
        let names = [vec![BROWSE.to_string()], scope_names(session, &scope, scopes)].concat();
        let policy = Policy { scope, ..Policy::reclaimable() };
        Ok(Selection { policy, names, intervals: Intervals::default() })
    }

    /// The selection of exactly the entries that were marked, which are sorted by directory and name.
    pub fn of_marks(&self, listed: Vec<ChosenEntry>) -> Selection {
        let scope = Scope { keep: self.policy.scope.keep.clone(), ..Scope::default() };
        let policy = Policy {
            scope,
            listed: listed.into(),
            leftovers: Leftovers::Keep,
            ..Policy::of([Selector::Listed])
        };
        Selection { policy, names: self.names.clone(), intervals: Intervals::default() }
    }
}

fn scope(session: &Session, options: &ScopeOptions) -> anyhow::Result<Scope> {
    let keep = keep(session, &options.keep)?;
    let (under, owners, tags) = (options.under.clone(), options.owner.clone(), options.tag.clone());
    Ok(Scope { under, owners, tags, keep, ..Scope::default() })
}

/// The scopes as text.
fn scope_names(session: &Session, scope: &Scope, options: &ScopeOptions) -> Vec<String> {
    let paths = |what: &str, paths: &[PathBuf]| -> Vec<String> {
        let absolute = paths.iter().map(|path| session.environment.absolute(path));
        absolute.map(|path| format!("{what} {}", path.display())).collect()
    };
    let mut names = [paths("under", &scope.under), paths("owner", &scope.owners)].concat();
    names.extend(scope.tags.iter().map(|tag| format!("tag {tag}")));
    names.extend(options.keep.iter().map(|glob| format!("keep {glob}")));
    names
}

/// Everything but the entries that the configuration keeps.
///
/// # Errors
/// When a glob of the configuration is wrong.
pub fn not_kept(session: &Session, opened: &Opened) -> anyhow::Result<Scope> {
    let keep = keep(session, &[])?;
    let keep = if keep.is_empty() { keep } else { keep.with_aliases(opened.aliases().clone()) };
    Ok(Scope { keep, ..Scope::default() })
}

/// The policy of a default prune, without the entries that the configuration keeps.
///
/// # Errors
/// When a glob of the configuration is wrong.
pub fn reclaimable(session: &Session, opened: &Opened) -> anyhow::Result<Policy> {
    Ok(Policy { scope: not_kept(session, opened)?, ..Policy::reclaimable() })
}

/// Counts the files of the store in a view: those of which the sources are at or below `within`, if it names any.
///
/// # Errors
/// When a glob of the configuration is wrong.
pub fn count(
    session: &Session,
    opened: &Opened,
    unchecked: UncheckedHashes,
    within: &[PathBuf],
    (view, focus): (&View, &Focus),
) -> anyhow::Result<Usage> {
    let policy = reclaimable(session, opened)?;
    let circumstances = opened.circumstances(session.environment.now, &|_, _| false);
    let new_survey = || {
        let survey = Survey::new(&policy, unchecked, circumstances);
        survey.with_access_times(opened.access_times()).grouped(view, focus)
    };
    let scan = Scan { within, ..opened.scan(Question::Everything(unchecked)) };
    Ok(Usage::collect(session.scan(&scan, new_survey)))
}

/// The command that removes what was counted as reclaimable: `store` is the one that `--store` named.
pub fn prune_command(session: &Session, store: Option<&Path>, focus: &Focus) -> String {
    let selectors =
        if Selection::is_configured(session) { " --orphans --stale --corrupt --temporary" } else { "" };
    format!("pycstore prune{selectors}{}", scopes(store, focus))
}

/// The options of `prune` that make it remove only what was counted.
fn scopes(store: Option<&Path>, focus: &Focus) -> String {
    let option = |name: &str, path: &Path| {
        let text = quoting::escaped(&path.to_string_lossy());
        format!(" {name} {}", quoting::quoted(Path::new(&text)))
    };
    let store = store.map(|path| option("--store", path));
    let under = focus.under.iter().map(|path| option("--under", path));
    // The first is as it was asked for, a second its real path, which `prune` finds by itself.
    store.into_iter().chain(under).chain(focus.owners.first().map(|path| option("--owner", path))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_takes_what_was_counted() {
        let focus = Focus { under: vec!["/h/a".into(), "/h/it's mine".into()], owners: vec!["/h/p".into()] };
        let options = r#" --under /h/a --under "/h/it's mine" --owner /h/p"#;
        assert_eq!(scopes(None, &focus), options);
        assert_eq!(scopes(Some(Path::new("/s")), &focus), format!(" --store /s{options}"));
    }
}
