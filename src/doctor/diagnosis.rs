//! The diagnosis: from facts to findings. Pure.

use super::facts::{Coverage, Facts, NamedBy, OpenStore, Reads, StoreState};
use super::finding::{self, Finding, Kind, Severity};
use super::interpreters::{AskedInterpreter, Said};
use super::{exposure, past_runs, variable};
use crate::complaint;
use crate::host::directory::Room;
use crate::quoting::quoted;
use crate::source::interpreter::StoreUse;
use crate::store::others::StoreOrigin;
use crate::store::scan::Trouble;
use crate::units::Tally;
use crate::units::human;
use std::path::{Path, PathBuf};

/// A file system is nearly full below this share of free space or free inodes, in percent.
const LEAST_LEFT: u64 = 1;

/// With fewer free bytes than this, no module fits.
const NOTHING: u64 = 1 << 20;

/// Sharing is proposed if it frees more than one part in this many of a store: a quarter.
const LEAST_PART_SHARED: u64 = 4;

/// Sharing is not proposed for a store with less disk usage than this, in bytes.
const LEAST_DISK_SHARED: u64 = 50_000_000;

impl Facts {
    /// Whether there is a store.
    pub fn store_is_there(&self) -> bool {
        matches!(self.store, StoreState::Open(_))
    }

    /// A path with its links resolved, as far as it exists.
    pub fn resolved(&self, path: &Path) -> PathBuf {
        path.canonicalize().unwrap_or_else(|_| path.components().collect())
    }
}

/// All findings, the worst first.
pub fn diagnose(facts: &Facts) -> Vec<Finding> {
    let mut findings = variable::judge(facts);
    findings.extend(exposure::ways(facts));
    match &facts.store {
        StoreState::Nowhere => {}
        // What a relative path names is another directory tomorrow.
        StoreState::Missing(_) if variable::is_relative_here(facts) => {}
        StoreState::Missing(path) => findings.push(
            Finding::new(
                Severity::Note,
                Kind::Missing,
                format!(
                    "{} does not exist yet: Python creates it at the first import if PYTHONPYCACHEPREFIX names it",
                    path.display()
                ),
                "pycstore setup creates it, accessible only to you",
            )
            .at(path),
        ),
        StoreState::Refused { path, message, hint } => {
            let hint = hint.clone().unwrap_or_else(|| "use another store: pycstore --store DIR …".into());
            findings.push(Finding::new(Severity::Error, Kind::Refused, message, hint).at(path));
        }
        StoreState::Open(store) => findings.extend(of_store(facts, store)),
    }
    findings.extend(interpreters(&facts.interpreters));
    findings.extend(around(facts));
    finding::sort(&mut findings);
    findings
}

fn of_store(facts: &Facts, store: &OpenStore) -> Vec<Finding> {
    let option = match store.known.named_by {
        NamedBy::Flag => format!(" --store {}", quoted(&store.path)),
        NamedBy::Surroundings => String::new(),
    };
    let mut findings = match exposure::shared(store) {
        Some(shared) => vec![shared],
        None => [exposure::owners(facts, store, &option), exposure::writable(facts, store)].concat(),
    };
    findings.extend(file_system(store, &option));
    findings.extend(unreadable(store));
    findings.extend(past_runs::judge(facts, store, &option));
    let Tally { files, disk, .. } = store.temporary;
    if files > 0 {
        let detail =
            format!("{} left by interrupted writes, {}", human::counted(files, "file"), human::size(disk));
        let hint = format!("pycstore prune --temporary{option}");
        findings.push(Finding::new(Severity::Note, Kind::Temporary, detail, hint).at(&store.path));
    }
    findings.extend(corrupt(store, &option));
    let Tally { files, disk, .. } = store.reclaimable;
    if files > 0 {
        let detail = format!(
            "{} that Python cannot use any more, {}",
            human::counted(files, "file"),
            human::size(disk)
        );
        let hint = format!("pycstore prune --orphans --stale --corrupt{option}");
        findings.push(Finding::new(Severity::Note, Kind::Reclaimable, detail, hint).at(&store.path));
    }
    findings.extend(shareable(store, &option));
    findings
}

/// Corrupt headers. Python recompiles these entries silently, but a crash or a full disk also damages bodies, which doctor does not read.
fn corrupt(store: &OpenStore, option: &str) -> Option<Finding> {
    let files = store.corrupt.files;
    let (entries, these) = match files {
        1 => ("1 entry is".into(), "this one"),
        _ => (format!("{} are", human::counted(files, "entry")), "these"),
    };
    let detail = format!(
        "{entries} truncated or not bytecode, as after a crash or on a full disk; Python recompiles {these}. The bodies of other \
         entries may be damaged, too: their imports fail with \"EOFError: marshal data too short\" or \"ValueError: bad marshal \
         data\""
    );
    let hint = format!(
        "pycstore verify --fix{option} removes entries with damaged bodies; pycstore prune --corrupt{option} removes {these}"
    );
    (files > 0).then(|| Finding::new(Severity::Note, Kind::Corrupt, detail, hint).at(&store.path))
}

/// Proposes to share equal entries.
fn shareable(store: &OpenStore, option: &str) -> Option<Finding> {
    let OpenStore { path, disk, shareable, .. } = store;
    if *disk < LEAST_DISK_SHARED || *shareable <= disk / LEAST_PART_SHARED {
        return None;
    }
    let (saved, all) = (human::size(*shareable), human::size(*disk));
    let detail = format!(
        "about {saved} of {all} are duplicates of equal entries, such as those of virtualenvs with the same packages"
    );
    let hint = format!("pycstore share{option} makes them hard links of one file");
    Some(Finding::new(Severity::Note, Kind::Shareable, detail, hint).at(path))
}

fn file_system(store: &OpenStore, option: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut say = |severity, kind, detail: String, hint: &str| {
        findings.push(Finding::new(severity, kind, detail, hint).at(&store.path));
    };
    let place = store.path.display();
    if let Some(Room { bytes, available, files, files_left, is_read_only }) = store.room {
        let is_low =
            |left: u64, all: u64| all > 0 && left.saturating_mul(100) < all.saturating_mul(LEAST_LEFT);
        let hint =
            format!("free space, for example: pycstore prune --orphans --stale --max-size 1GiB{option}");
        if is_read_only {
            let hint = "remount it read-write, or: pycstore setup --store DIR";
            say(
                Severity::Warning,
                Kind::ReadOnly,
                format!("{place} is on a read-only file system: Python writes nothing there"),
                hint,
            );
        } else if available < NOTHING || (files > 0 && files_left == 0) {
            say(
                Severity::Error,
                Kind::Full,
                format!("the file system of {place} is full: Python silently writes no bytecode there"),
                &hint,
            );
        } else if is_low(available, bytes) || is_low(files_left, files) {
            let mut left = human::size(available);
            // btrfs and others count no files.
            if files > 0 {
                left += &format!(" and {}", human::counted(files_left, "file"));
            }
            say(
                Severity::Warning,
                Kind::Full,
                format!("the file system of {place} is nearly full: {left} left"),
                &hint,
            );
        }
    }
    if let Some(kind) = &store.network {
        let hint =
            "a store on a local disk is faster and no other machine's sources are in it: pycstore setup";
        say(Severity::Note, Kind::Network, on_network(&store.path, kind), hint);
    }
    if store.reads == Reads::Lost {
        let hint = "mount it with relatime, if --unused-for and --max-size are to know what is in use";
        say(
            Severity::Note,
            Kind::Noatime,
            format!("the mount of {place} is noatime: the time of compilation counts as last use"),
            hint,
        );
    }
    findings
}

/// What it means that a store is on a file system of this kind.
fn on_network(store: &Path, kind: &str) -> String {
    format!(
        "{} is on a network file system ({kind}): no missing source on a local disk counts as deleted, for another machine may \
         have it",
        store.display()
    )
}

fn unreadable(store: &OpenStore) -> Vec<Finding> {
    let mut findings = Vec::new();
    let faults: Vec<&Trouble> =
        store.exposure.troubles.iter().filter(|it| !matches!(it, Trouble::MountPoint { .. })).collect();
    if let Some(first) = faults.first() {
        let mut detail = complaint::one_line(*first);
        if faults.len() > 1 {
            detail += &format!("; and {} more", human::count(faults.len() as u64 - 1));
        }
        let hint = "look at it with ls -ld; run as its owner or as root";
        findings.push(Finding::new(Severity::Warning, Kind::Unreadable, detail, hint).at(first.path()));
    }
    if store.coverage == Coverage::Stopped {
        let detail = "stopped before the whole store was looked at";
        findings
            .push(Finding::new(Severity::Warning, Kind::Unreadable, detail, "run it again").at(&store.path));
    }
    findings
}

/// Judges the interpreters: a problem of several is one finding.
fn interpreters(asked: &[AskedInterpreter]) -> Vec<Finding> {
    let is_old = |it: &AskedInterpreter| it.expected == StoreUse::Ignores;
    let ignores = |it: &AskedInterpreter| it.said == Said::Ignores;
    let was_not_asked = |it: &AskedInterpreter| it.said == Said::NotAsked;
    let groups = [
        together(
            asked.iter().filter(|it| is_old(it) && (ignores(it) || was_not_asked(it))),
            Severity::Note,
            [
                "is older than 3.8 and ignores the prefix: it writes beside the sources",
                "are older than 3.8 and ignore the prefix: they write beside the sources",
            ],
            "use Python 3.8 or later, or set PYTHONDONTWRITEBYTECODE for the old one alone",
        ),
        together(
            asked.iter().filter(|it| !is_old(it) && ignores(it)),
            Severity::Warning,
            [
                "ignores PYTHONPYCACHEPREFIX, which its version supports",
                "ignore PYTHONPYCACHEPREFIX, which their versions support",
            ],
            "see whether it is a wrapper that clears the environment or runs python -I or -E",
        ),
        together(
            asked.iter().filter(|it| !is_old(it) && was_not_asked(it)),
            Severity::Note,
            ["was not run: other users can change it", "were not run: other users can change them"],
            "run as their owner: pycstore doctor",
        ),
    ];
    let mut findings: Vec<Finding> = groups.into_iter().flatten().collect();
    for interpreter in asked {
        if let Said::Nothing(why) = &interpreter.said {
            let AskedInterpreter { version, executable, .. } = interpreter;
            let detail = format!("Python {version} ({}) {why}", executable.display());
            let hint = format!("try it: {} -S -c 'print(1)'", quoted(executable));
            findings.push(Finding::new(Severity::Note, Kind::Interpreter, detail, hint).at(executable));
        }
    }
    if asked.iter().all(is_old) {
        let detail = "no Python 3.8 or later found on this machine: no Python can use a store";
        let hint = "install Python 3.8 or later";
        findings.push(Finding::new(Severity::Warning, Kind::Interpreter, detail, hint));
    }
    findings
}

/// One finding about several interpreters, with the text for one and for more; `None` without any.
fn together<'a>(
    found: impl Iterator<Item = &'a AskedInterpreter>,
    severity: Severity,
    [of_one, of_several]: [&str; 2],
    hint: &str,
) -> Option<Finding> {
    let found: Vec<&AskedInterpreter> = found.collect();
    let first = found.first()?;
    let name = format!("Python {} ({})", first.version, first.executable.display());
    let detail = match found.len() {
        1 => format!("{name} {of_one}"),
        several => format!("{name} and {} more {of_several}", several - 1),
    };
    Some(Finding::new(severity, Kind::Interpreter, detail, hint).at(&first.executable))
}

/// Judges the current project and other stores.
fn around(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for other in &facts.others {
        let (path, Tally { files, disk, .. }) = (quoted(&other.path), other.tally);
        let size = format!("{}, {}", human::counted(files, "file"), human::size(disk));
        let look = format!("pycstore du --store {path}; to empty it: pycstore prune --all --store {path}");
        findings.push(match other.origin {
            StoreOrigin::LiteralTilde => Finding::new(
                Severity::Warning,
                Kind::LiteralTilde,
                format!(
                    "{} was created because a `~` in PYTHONPYCACHEPREFIX was not expanded: {size}",
                    other.path.display()
                ),
                format!("write the whole path into the variable, then: rm -r -- {path}"),
            )
            .at(&other.path),
            StoreOrigin::Convention | StoreOrigin::Apple | StoreOrigin::Application => Finding::new(
                Severity::Note,
                Kind::OtherStore,
                format!("another store is at {}: {size}", other.path.display()),
                look,
            )
            .at(&other.path),
        });
    }
    if let Some((root, in_tree)) = &facts.project
        && in_tree.directories > 0
    {
        let directories = match in_tree.directories {
            1 => "1 __pycache__ directory".to_string(),
            number => format!("{} __pycache__ directories", human::count(number)),
        };
        let detail = format!(
            "{directories} still in {}: {}, {}",
            root.display(),
            human::counted(in_tree.tally.files, "file"),
            human::size(in_tree.tally.disk)
        );
        findings.push(
            Finding::new(
                Severity::Note,
                Kind::InTree,
                detail,
                format!("pycstore sweep --adopt {}", quoted(root)),
            )
            .at(root),
        );
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::facts::tests::{facts, open_store};
    use super::*;
    use crate::source::walk::InTree;
    use crate::store::exposure::Parts;
    use crate::store::others::OtherStore;

    /// `severity kind`, in the order in which they are shown.
    fn kinds(facts: &Facts) -> Vec<String> {
        diagnose(facts).iter().map(finding::named).collect()
    }

    fn with_store(change: impl FnOnce(&mut OpenStore)) -> Facts {
        let mut store = open_store();
        change(&mut store);
        Facts { store: StoreState::Open(Box::new(store)), ..facts() }
    }

    fn parts(files: u64, directories: u64) -> Parts {
        Parts { files, directories, example: Some(PathBuf::from("/home/me/.cache/cpython/x")) }
    }

    #[test]
    fn where_all_is_in_order_there_is_nothing_to_say() {
        assert_eq!(diagnose(&facts()), []);
    }

    #[test]
    fn each_fact_about_the_store_has_its_finding() {
        let room = |available, files_left| Room {
            bytes: 1 << 40,
            available,
            files: 1_000_000,
            files_left,
            is_read_only: false,
        };
        type Change = Box<dyn FnOnce(&mut OpenStore)>;
        let table: Vec<(Change, &[&str])> = vec![
            (Box::new(|it| it.user = 0), &["error owner"]),
            (Box::new(|it| it.user = 1001), &["error owner"]),
            (Box::new(|it| it.exposure.root = parts(1, 0)), &["warning foreign-parts"]),
            (Box::new(|it| it.exposure.others = parts(1, 0)), &["error foreign-parts"]),
            (Box::new(|it| it.exposure.everyone = parts(2, 1)), &["error writable"]),
            (Box::new(|it| it.exposure.group = parts(2, 1)), &["warning writable"]),
            (Box::new(move |it| it.room = Some(room(1 << 39, 999_999))), &[]),
            (Box::new(move |it| it.room = Some(room(1 << 33, 999_999))), &["warning full"]),
            (Box::new(move |it| it.room = Some(room(1 << 39, 9_999))), &["warning full"]),
            (Box::new(move |it| it.room = Some(room(4096, 999_999))), &["error full"]),
            (Box::new(move |it| it.room = Some(room(1 << 39, 0))), &["error full"]),
            (
                Box::new(move |it| it.room = Some(Room { is_read_only: true, ..room(0, 0) })),
                &["warning read-only"],
            ),
            // btrfs and others count no files.
            (Box::new(move |it| it.room = Some(Room { files: 0, ..room(1 << 39, 0) })), &[]),
            (Box::new(|it| it.network = Some("nfs4".into())), &["note network"]),
            (Box::new(|it| it.reads = Reads::Lost), &["note noatime"]),
            (Box::new(|it| it.temporary = Tally::file(1, 1)), &["note temporary"]),
            (Box::new(|it| it.corrupt = Tally::file(1, 1)), &["note corrupt"]),
            (Box::new(|it| it.reclaimable = Tally::file(1, 1)), &["note reclaimable"]),
            (Box::new(|it| it.shareable = 25_000_001), &["note shareable"]),
            (Box::new(|it| it.shareable = 25_000_000), &[]),
            (Box::new(|it| (it.disk, it.shareable) = (49_999_999, 40_000_000)), &[]),
            (Box::new(|it| it.coverage = Coverage::Stopped), &["warning unreadable"]),
            (Box::new(|it| it.known.last_run = Err("cannot read".into())), &["warning schedule"]),
            (Box::new(|it| it.known.schedule = Err("cannot read".into())), &["warning schedule"]),
        ];
        for (index, (change, expected)) in table.into_iter().enumerate() {
            assert_eq!(kinds(&with_store(change)), expected, "row {index}");
        }
    }

    #[test]
    fn the_worst_comes_first() {
        let facts = with_store(|store| {
            store.temporary = Tally::file(1, 1);
            store.exposure.root = parts(1, 0);
            store.exposure.everyone = parts(1, 0);
        });
        assert_eq!(kinds(&facts), ["error writable", "warning foreign-parts", "note temporary"]);
    }

    #[test]
    fn many_of_one_kind_are_one_line_with_a_count_and_an_example() {
        let detail = |parts| diagnose(&with_store(|it| it.exposure.everyone = parts)).remove(0).detail;
        assert_eq!(
            detail(parts(1200, 3)),
            "1 200 files and 3 directories of the store can be written by everyone, such as \
             /home/me/.cache/cpython/x: Python runs what they write"
        );
        assert_eq!(
            detail(parts(1, 0)),
            "/home/me/.cache/cpython/x can be written by everyone: Python runs what they write"
        );
    }

    #[test]
    fn what_is_left_is_said_as_far_as_it_is_counted() {
        let told = |files, files_left| {
            let found = diagnose(&with_store(|it| {
                let (bytes, available) = (1 << 40, 1 << 30);
                it.room = Some(Room { bytes, available, files, files_left, is_read_only: false });
                it.known.named_by = NamedBy::Flag;
            }));
            let found = found.into_iter().find(|it| it.kind == Kind::Full).unwrap();
            (found.detail, found.hint)
        };
        let (detail, hint) = told(1000, 7);
        assert!(detail.ends_with(" is nearly full: 1 GiB and 7 files left"), "{detail}");
        assert!(hint.ends_with("--max-size 1GiB --store /home/me/.cache/cpython"), "{hint}");
        // btrfs says that it has neither any nor any left.
        let (detail, _) = told(0, 0);
        assert!(detail.ends_with(" is nearly full: 1 GiB left"), "{detail}");
    }

    #[test]
    fn hints_name_the_store_that_was_named() {
        let hint = |named_by| {
            let change = |it: &mut OpenStore| {
                it.temporary = Tally::file(1, 1);
                it.path = "/a b/store".into();
                it.known.named_by = named_by;
            };
            diagnose(&with_store(change)).remove(0).hint
        };
        assert_eq!(hint(NamedBy::Surroundings), "pycstore prune --temporary");
        assert_eq!(hint(NamedBy::Flag), "pycstore prune --temporary --store '/a b/store'");
    }

    #[test]
    fn a_store_may_be_missing_or_refused() {
        let missing = StoreState::Missing("/home/me/.cache/cpython".into());
        assert_eq!(kinds(&Facts { store: missing, ..facts() }), ["note missing"]);
        let path = PathBuf::from("/home/me");
        let refused = StoreState::Refused { path, message: "refused".into(), hint: None };
        assert_eq!(kinds(&Facts { store: refused, ..facts() }), ["error refused"]);
    }

    #[test]
    fn interpreters_of_one_kind_are_one_line() {
        let asked = |version: &str, expected, said: &Said| AskedInterpreter {
            executable: format!("/opt/{version}/bin/python").into(),
            version: version.into(),
            expected,
            said: said.clone(),
        };
        let (uses, ignores) = (StoreUse::Uses, StoreUse::Ignores);
        let good = asked("3.12.1", uses, &Said::Honours);
        let told = |more: &[AskedInterpreter]| -> Vec<String> {
            let interpreters = [std::slice::from_ref(&good), more].concat();
            let findings = diagnose(&Facts { interpreters, ..facts() });
            findings.iter().map(|it| format!("{} {}", it.severity.name(), it.detail)).collect()
        };
        let old = [asked("2.7.18", ignores, &Said::Ignores), asked("3.6.1", ignores, &Said::NotAsked)];
        assert_eq!(
            told(&old),
            [
                "note Python 2.7.18 (/opt/2.7.18/bin/python) and 1 more are older than 3.8 and ignore the prefix: \
              they write beside the sources"
            ]
        );
        assert_eq!(
            told(&[asked("3.11.1", uses, &Said::Ignores)]),
            [
                "warning Python 3.11.1 (/opt/3.11.1/bin/python) ignores PYTHONPYCACHEPREFIX, which its version supports"
            ]
        );
        assert_eq!(
            told(&[
                asked("3.11.1", uses, &Said::NotAsked),
                asked("3.9.1", uses, &Said::Nothing("hangs".into()))
            ]),
            [
                "note Python 3.11.1 (/opt/3.11.1/bin/python) was not run: other users can change it",
                "note Python 3.9.1 (/opt/3.9.1/bin/python) hangs",
            ]
        );
        let none = Facts { interpreters: old.to_vec(), ..facts() };
        assert_eq!(kinds(&none), ["warning interpreter", "note interpreter"]);
    }

    #[test]
    fn what_lies_around() {
        let other = |origin| OtherStore { path: "/home/me/x".into(), origin, tally: Tally::file(1, 1) };
        let others = vec![other(StoreOrigin::Convention), other(StoreOrigin::LiteralTilde)];
        let in_tree = InTree { directories: 2, tally: Tally::file(1, 1), example: None };
        let project = Some((PathBuf::from("/home/me/work"), in_tree));
        assert_eq!(
            kinds(&Facts { others, project, ..facts() }),
            ["warning literal-tilde", "note in-tree", "note other-store"]
        );
        let project = Some((PathBuf::from("/home/me/work"), InTree::default()));
        assert_eq!(kinds(&Facts { project, ..facts() }), [""; 0]);
    }
}
