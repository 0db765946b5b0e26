//! What each selector of `pycstore prune` takes, alone and with others, and how scopes and budgets go with them.

use crate::support::{Answer, World, answer, assert_only_gone, files, newest};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const DAY: u64 = 86_400;

/// One store with a file of every kind, which can be put back as it was.
struct Site {
    world: World,
    /// Each file of the store by a short name: where it is, what it holds, how many days ago it was written and read.
    files: BTreeMap<&'static str, (PathBuf, Vec<u8>, u64, u64)>,
    /// The cache tag of `dead`, which no interpreter here has.
    dead_tag: &'static str,
    now: SystemTime,
}

/// Cache tags and the magics of their releases.
const RELEASES: [(&str, u16); 8] = [
    ("cpython-315", 3666),
    ("cpython-314", 3627),
    ("cpython-313", 3571),
    ("cpython-312", 3531),
    ("cpython-311", 3495),
    ("cpython-310", 3439),
    ("cpython-39", 3425),
    ("cpython-38", 3413),
];

/// A release that no interpreter here is of.
fn dead_release(world: &World) -> (&'static str, u16) {
    let mut command = world.program();
    let listed = answer(command.args(["interpreters", "--json"])).json_lines();
    let is_here = |tag: &str| listed.iter().any(|interpreter| interpreter["tag"] == tag);
    // 3.7 uses no store, wherever it is installed.
    RELEASES.into_iter().find(|(tag, _)| !is_here(tag)).unwrap_or(("cpython-37", 3394))
}

impl Site {
    fn new() -> Site {
        let world = World::new();
        let modules =
            ["used.py", "unused.py", "never.py", "stale.py", "cut.py", "zeros.py", "gone.py", "dead.py"];
        let project = world.project("p", &modules);
        let other = world.project("q", &["sub/used.py", "sub/gone.py"]);
        world.compile(newest(), &[], &[&project, &other]);
        world.write("p/stale.py", "ANOTHER = 'size'\n");
        for gone in [project.join("gone.py"), other.join("sub/gone.py")] {
            fs::remove_file(gone).unwrap();
        }
        let entry = |source: &str| world.entry(&world.home.join(source), newest(), "");
        let read = |source: &str| fs::read(entry(source)).unwrap();
        // As its own interpreter would have left it: whole, and fresh for that one.
        let (dead_tag, magic) = dead_release(&world);
        let dead = entry("p/dead.py").with_file_name(format!("dead.{dead_tag}.pyc"));
        let of_dead = [&magic.to_le_bytes()[..], &read("p/dead.py")[2..]].concat();
        fs::remove_file(entry("p/dead.py")).unwrap();
        let temporary = |number: &str| {
            let mut path = entry("p/used.py").into_os_string();
            path.push(number);
            PathBuf::from(path)
        };
        let elsewhere =
            world.store.join("pycstore-no-such-place").join(entry("p/used.py").file_name().unwrap());
        let whole = read("p/used.py");
        let files = [
            // Written, read: days ago.
            ("used", (entry("p/used.py"), read("p/used.py"), 300, 2)),
            ("unused", (entry("p/unused.py"), read("p/unused.py"), 300, 200)),
            ("never", (entry("p/never.py"), read("p/never.py"), 100, 100)),
            ("stale", (entry("p/stale.py"), read("p/stale.py"), 4, 3)),
            ("cut", (entry("p/cut.py"), whole[..15].to_vec(), 4, 3)),
            ("zeros", (entry("p/zeros.py"), vec![0; 400], 4, 3)),
            ("gone", (entry("p/gone.py"), read("p/gone.py"), 4, 3)),
            ("dead", (dead, of_dead, 400, 400)),
            ("q/used", (entry("q/sub/used.py"), read("q/sub/used.py"), 4, 3)),
            ("q/gone", (entry("q/sub/gone.py"), read("q/sub/gone.py"), 4, 3)),
            ("old temporary", (temporary(".77"), whole[..40].to_vec(), 1, 1)),
            ("young temporary", (temporary(".78"), whole[..40].to_vec(), 0, 0)),
            ("foreign", (entry("p/used.py").with_file_name("note"), b"mine".to_vec(), 300, 200)),
            ("unknown", (elsewhere, whole.clone(), 300, 200)),
        ];
        let files = files.into_iter().collect();
        let site = Site { world, files, dead_tag, now: SystemTime::now() };
        site.restore();
        site
    }

    /// Puts back what is missing or changed, and gives each file its times: whoever looked at them may have changed those.
    fn restore(&self) {
        for (path, contents, written, read) in self.files.values() {
            if fs::read(path).ok().as_ref() != Some(contents) {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, contents).unwrap();
            }
            let ago = |days: u64| self.now - Duration::from_secs(days * DAY);
            let times = fs::FileTimes::new().set_modified(ago(*written)).set_accessed(ago(*read));
            fs::File::options().write(true).open(path).unwrap().set_times(times).unwrap();
        }
    }

    fn path(&self, name: &str) -> &Path {
        &self.files[name].0
    }

    /// Whether something is dead for certain: not where an executable's version cannot be told.
    fn knows_the_dead(&self) -> bool {
        self.world.pycstore(["interpreters"]).code == 0
    }

    /// Runs `prune` with these arguments, dry and really; asserts that exactly these files go, and what becomes empty.
    #[track_caller]
    fn takes(&self, arguments: &[&str], expected: &[&str]) -> Answer {
        self.restore();
        let before = World::snapshot(&self.world.store);
        self.restore();
        let run = |more: &[&str]| {
            self.world.pycstore(["prune", "--json"].iter().chain(arguments).chain(more)).exits(0)
        };
        let mut dry = run(&["--dry-run"]).json();
        assert_only_gone(&before, &World::snapshot(&self.world.store), &[]);
        self.restore();
        let real = run(&[]);
        let after = World::snapshot(&self.world.store);
        let gone = |it: &&&str| !after.contains_key(self.path(it));
        let all: BTreeSet<&str> = self.files.keys().copied().filter(|it| gone(&&&**it)).collect();
        let expected: BTreeSet<&str> = expected.iter().copied().collect();
        assert_eq!(all, expected, "{arguments:?}\n{}", real.stderr);
        // All directories of sources are there: of the store's only those go that --all empties.
        let document = real.json();
        let directories = document["removed_directories"].as_array().unwrap();
        assert!(directories.is_empty() || arguments.contains(&"--all"), "{arguments:?} {document}");
        let directories = directories.iter().map(|line| Path::new(line["path"].as_str().unwrap()));
        let paths: Vec<&Path> = expected.iter().map(|it| self.path(it)).chain(directories).collect();
        assert_only_gone(&before, &after, &paths);
        dry["dry_run"] = json!(false);
        assert_eq!(dry, real.json(), "a dry run shows what the real one does");
        assert_eq!(real.json()["removed"]["files"], expected.len());
        real
    }
}

/// The selectors that ask about one entry alone, each with what it takes of a [`Site`].
const SELECTORS: [(&str, &[&str]); 5] = [
    ("--orphans", &["gone", "q/gone"]),
    ("--stale", &["stale"]),
    ("--corrupt", &["cut", "zeros"]),
    ("--temporary", &["old temporary"]),
    ("--unused-for=90d", &["unused", "unknown", "never", "dead"]),
];

#[test]
fn selectors_add_up() {
    let site = Site::new();
    for subset in 1..1 << SELECTORS.len() {
        let chosen: Vec<_> =
            (0..SELECTORS.len()).filter(|bit| subset >> bit & 1 == 1).map(|bit| SELECTORS[bit]).collect();
        let arguments: Vec<&str> = chosen.iter().map(|(selector, _)| *selector).collect();
        let expected: Vec<&str> = chosen.iter().flat_map(|(_, takes)| takes.iter().copied()).collect();
        site.takes(&arguments, &expected);
    }
}

#[test]
fn dead_interpreters_are_those_that_nothing_here_loads() {
    let site = Site::new();
    let dead: &[&str] = if site.knows_the_dead() { &["dead"] } else { &[] };
    site.takes(&["--dead-interpreters"], dead);
    site.takes(&["--dead-interpreters", "--temporary"], &[dead, &["old temporary"]].concat());
    site.takes(&["--dead-interpreters", "--tag", &newest().tag], &[]);
    // Of an interpreter that is there under another magic, too.
    let old = site.world.mirror(&site.world.home.join("p")).join(format!("old.{}.pyc", newest().tag));
    site.world.write("p/old.py", "");
    let mut bytes = site.files["used"].1.clone();
    bytes[..2].copy_from_slice(&3000_u16.to_le_bytes());
    fs::write(&old, bytes).unwrap();
    site.restore();
    site.world.pycstore(["prune", "--dead-interpreters"]).exits(0);
    assert_eq!(old.exists(), !site.knows_the_dead());
}

#[test]
fn unused_is_what_was_neither_read_nor_written() {
    let site = Site::new();
    for (age, expected) in [
        ("1000d", &[][..]),
        ("399d", &["dead"]),
        ("199d", &["dead", "unused", "unknown"]),
        ("99d", &["dead", "unused", "unknown", "never"]),
        ("5d", &["dead", "unused", "unknown", "never"]),
        ("1d", &["dead", "unused", "unknown", "never", "used", "q/used", "stale", "cut", "gone", "q/gone"]),
    ] {
        site.takes(&["--unused-for", age], expected);
    }
    // What an import reads is used from then on.
    site.restore();
    let code = "import p.never, p.unused";
    let output = site.world.python(newest()).args(["-B", "-c", code]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let left = site.world.pycstore(["prune", "--unused-for", "90d", "--json"]).exits(0).json();
    assert_eq!(left["removed"]["files"], 2, "{left}");
    assert!(!site.path("dead").exists() && !site.path("unknown").exists());
}

#[test]
fn scopes_narrow() {
    let site = Site::new();
    let home = &site.world.home;
    let at = |path: &str| home.join(path).display().to_string();
    let (p, q) = (at("p"), at("q"));
    let all = ["--orphans", "--stale", "--corrupt", "--temporary"];
    let with = |scope: &[&str]| -> Vec<String> { all.iter().chain(scope).map(|it| it.to_string()).collect() };
    let of_p = ["gone", "stale", "cut", "zeros", "old temporary"];
    let everything = [&of_p[..], &["q/gone"]].concat();
    let cases: Vec<(Vec<&str>, Vec<&str>)> = vec![
        (vec![], everything.clone()),
        (vec!["--under", &p], of_p.to_vec()),
        (vec!["--under", &q], vec!["q/gone"]),
        (vec!["--under", "q/../p/."], of_p.to_vec()),
        (vec!["--under", &p, "--under", &q], everything.clone()),
        (vec!["--under", home.to_str().unwrap()], everything.clone()),
        (vec!["--under", "p/gone.py"], vec!["gone"]),
        (vec!["--under", "p/go"], vec![]),
        (vec!["--under", "nowhere"], vec![]),
        (vec!["--owner", &p], of_p.to_vec()),
        (vec!["--owner", &q, "--owner", "p"], everything.clone()),
        (vec!["--owner", home.to_str().unwrap()], vec![]),
        (vec!["--owner", &p, "--under", &q], vec![]),
        (vec!["--tag", site.dead_tag], vec![]),
        (vec!["--tag", "cpython-398"], vec![]),
        (vec!["--tag", site.dead_tag, "--under", &q], vec![]),
        (vec!["--tag", site.dead_tag, "--tag", &newest().tag], everything.clone()),
        (vec!["--keep", "**/gone.py"], vec!["stale", "cut", "zeros", "old temporary"]),
        (vec!["--keep", &p], vec!["q/gone"]),
        (vec!["--keep", "**/p/**", "--keep", "**/q/*/*"], vec![]),
        (vec!["--keep", "**/q", "--under", &q], vec![]),
    ];
    for (scope, expected) in cases {
        let arguments = with(&scope);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        site.takes(&arguments, &expected);
    }
    site.takes(&["--unused-for=90d", "--tag", site.dead_tag], &["dead"]);
    site.takes(&["--unused-for=90d", "--tag", &newest().tag], &["unused", "unknown", "never"]);
    insta::assert_snapshot!(site.world.pycstore(["prune", "--orphans", "--keep", "/a/[z"]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: cannot understand the glob `/a/[z`: error parsing glob '/a/[z': unclosed character class; missing ']'
    hint: globs are matched against absolute paths of sources: --keep '/home/me/work/**'
    ");
}

/// The files of a [`Site`] in the order in which a budget evicts them; those not named stay.
const ORDER: [&str; 11] = [
    "old temporary",
    "cut",
    "gone",
    "q/gone",
    "stale",
    "dead",
    "never",
    "unused",
    "unknown",
    "q/used",
    "used",
];

#[test]
fn a_budget_of_files_evicts_the_least_valuable() {
    let site = Site::new();
    // Of two that are alike, one was read a day later.
    let later = |name: &str, days: u64| {
        let read = site.now - Duration::from_secs((days - 1) * DAY);
        let file = fs::File::options().write(true).open(site.path(name)).unwrap();
        file.set_times(fs::FileTimes::new().set_accessed(read)).unwrap();
    };
    // Everything counts but what is foreign; what may not go holds its place all the same.
    let counted = site.files.len() as u64 - 1;
    for most in (0..=counted).rev() {
        site.restore();
        later("q/gone", 3);
        later("unknown", 200);
        let before = World::snapshot(&site.world.store);
        site.restore();
        later("q/gone", 3);
        later("unknown", 200);
        let pruned = site.world.pycstore(["prune", "--yes", "--max-files", &most.to_string()]).exits(0);
        let gone = ORDER.len().min((counted - most) as usize);
        let paths: Vec<&Path> = ORDER[..gone].iter().map(|it| site.path(it)).collect();
        assert_only_gone(&before, &World::snapshot(&site.world.store), &paths);
        let over = counted - gone as u64 - most;
        let expected = match over {
            0 => String::new(),
            1 => "pycstore: still 1 file over the limit: the remaining files are foreign, kept or too new\n"
                .into(),
            _ => format!(
                "pycstore: still {over} files over the limit: the remaining files are foreign, kept or too new\n"
            ),
        };
        assert_eq!(pruned.stderr, expected, "{most}");
    }
}

#[test]
fn of_equals_a_dry_run_and_the_real_one_evict_the_same() {
    let world = World::new();
    let modules: Vec<String> = (0..30).map(|number| format!("m{number}.py")).collect();
    let names: Vec<&str> = modules.iter().map(String::as_str).collect();
    let projects = ["p", "q", "r"].map(|name| world.project(name, &names));
    world.compile(newest(), &[], &[&projects[0], &projects[1], &projects[2]]);
    for left in [77, 76, 50, 13] {
        let options = ["prune", "--max-files", &left.to_string(), "--json"];
        let shown = world.pycstore([&options[..], &["-n", "--threads", "1"]].concat()).exits(0).json();
        let done = world.pycstore(options).exits(0).json();
        assert_eq!((&shown["removed"], &shown["owners"]), (&done["removed"], &done["owners"]));
        assert_eq!(files(&world.store).len(), left);
    }
}

#[test]
fn a_budget_of_room_keeps_the_smaller_of_equals() {
    let world = World::new();
    let project = world.project("p", &["small.py", "large.py", "middle.py"]);
    world.write("p/large.py", format!("X = '{}'\n", "x".repeat(60_000)));
    world.write("p/middle.py", format!("X = '{}'\n", "x".repeat(20_000)));
    world.compile(newest(), &[], &[&project]);
    let entry = |name: &str| world.entry(&project.join(name), newest(), "");
    let [small, large, middle] = ["small.py", "large.py", "middle.py"].map(entry);
    let stamp = || {
        let ago = |days: u64| SystemTime::UNIX_EPOCH + Duration::from_secs((19_000 - days) * DAY);
        for path in [&small, &large, &middle] {
            let times = fs::FileTimes::new().set_modified(ago(9)).set_accessed(ago(5));
            fs::File::options().write(true).open(path).unwrap().set_times(times).unwrap();
        }
    };
    let disk = |path: &Path| std::os::unix::fs::MetadataExt::blocks(&fs::metadata(path).unwrap()) * 512;
    let total = [&small, &large, &middle].iter().map(|path| disk(path)).sum::<u64>();
    stamp();
    let mut before = World::snapshot(&world.store);
    for (most, gone) in [
        (total, None),
        (total - 1, Some(&large)),
        (total - disk(&large), None),
        (disk(&small), Some(&middle)),
        (disk(&small), None),
    ] {
        stamp_if_there(&stamp, &[&small, &large, &middle]);
        let document = world.pycstore(["prune", "--max-size", &format!("{most}B"), "--json"]).exits(0).json();
        let after = World::snapshot(&world.store);
        assert_only_gone(&before, &after, &gone.map(PathBuf::as_path).into_iter().collect::<Vec<_>>());
        assert_eq!(document["removed"]["files"], u64::from(gone.is_some()), "{most}");
        before = after;
    }
    // Both budgets at once: the stricter one holds.
    let both = ["prune", "--max-size", "1GiB", "--max-files", "0", "--json", "--yes"];
    assert_eq!(world.pycstore(both).exits(0).json()["removed"]["files"], 1);
    assert!(files_below(&world.store).is_empty());
}

/// Times are given again only as long as all files are there: what is left is compared with itself.
fn stamp_if_there(stamp: &dyn Fn(), paths: &[&PathBuf]) {
    if paths.iter().all(|path| path.exists()) {
        stamp();
    }
}

fn files_below(root: &Path) -> Vec<PathBuf> {
    files(root).into_iter().collect()
}

#[test]
fn a_budget_holds_for_its_scope() {
    let site = Site::new();
    let q = site.world.home.join("q").display().to_string();
    site.takes(&["--max-files", "1", "--under", &q], &["q/gone"]);
    site.takes(&["--max-files", "0", "--under", &q], &["q/gone", "q/used"]);
    site.takes(&["--max-files", "0", "--tag", site.dead_tag], &["dead"]);
    site.takes(&["--max-files", "2", "--under", &q, "--orphans"], &["q/gone"]);
    // What a selector takes counts first: no more goes than the budget still wants.
    site.takes(&["--max-files", "12", "--stale"], &["stale"]);
    site.takes(&["--max-size", "100GiB"], &[]);
}

#[test]
#[cfg_attr(feature = "portable", ignore = "needs O_NOATIME")]
fn what_the_command_line_selects_stands_in_the_place_of_the_files_policy() {
    let site = Site::new();
    let policy =
        "[prune]\norphans = true\ncorrupt = true\nunused-for = '250d'\nmax-files = 100\nmax-size = '1GiB'\n";
    site.world.write(".config/pycstore/config.toml", policy);
    site.takes(&[], &["gone", "q/gone", "cut", "zeros", "dead"]);
    site.takes(&["--stale"], &["stale"]);
    site.takes(&["--unused-for", "150d"], &["unused", "unknown", "dead"]);
    // A scope is no selector: it narrows the file's policy.
    site.takes(&["--under", "q"], &["q/gone"]);
    site.world
        .write(".config/pycstore/config.toml", "keep = ['~/q/**']\n[prune]\norphans = true\nstale = false\n");
    site.takes(&[], &["gone"]);
    site.takes(&["--orphans", "--keep", "**/p/gone.py"], &[]);
    site.world.write(".config/pycstore/config.toml", "[prune]\ntemporary = true\nmax-files = 4\n");
    site.takes(
        &[],
        &["old temporary", "cut", "gone", "q/gone", "stale", "dead", "never", "unused", "unknown"],
    );
    site.world.write(".config/pycstore/config.toml", "[prune]\norphan = true\n");
    let before = World::snapshot(&site.world.store);
    insta::assert_snapshot!(site.world.pycstore(["prune", "--stale"]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: /home/me/.config/pycstore/config.toml:2:1: unknown key `orphan`
    hint: known keys: store, threads, keep, assume-gone, metrics; in the table [prune]: orphans, stale, corrupt, temporary, dead-interpreters, unused-for, max-size, max-files, min-interval, max-runtime; in the table [share]: nightly
    ");
    assert_only_gone(&before, &World::snapshot(&site.world.store), &[]);
}

#[test]
fn all_takes_every_entry_and_nothing_else() {
    let site = Site::new();
    let every = [
        "used",
        "unused",
        "never",
        "stale",
        "cut",
        "zeros",
        "gone",
        "dead",
        "q/used",
        "q/gone",
        "old temporary",
        "unknown",
    ];
    site.takes(&["--all", "--yes"], &every);
    site.takes(&["--all", "--yes", "--under", "q"], &["q/used", "q/gone"]);
    site.takes(&["--all", "--yes", "--tag", site.dead_tag], &["dead"]);
    site.takes(&["--all", "--yes", "--keep", "**/p/**"], &["q/used", "q/gone", "unknown"]);
}

#[test]
fn what_is_no_bytecode_goes_with_corrupt_and_all_alone() {
    let site = Site::new();
    let zeros = site.path("zeros");
    for arguments in [
        &["--unused-for=1s"][..],
        &["--max-files=0"],
        &["--max-size=0"],
        &["--orphans", "--stale", "--temporary", "--dead-interpreters"],
    ] {
        site.restore();
        site.world.pycstore(["prune", "--yes"].iter().chain(arguments)).exits(0);
        assert!(zeros.exists(), "{arguments:?}");
    }
    site.restore();
    let spared = site.world.pycstore(["prune", "--yes", "--unused-for=1s", "--json"]).exits(0);
    assert_eq!(spared.json()["skipped"], json!([{"path": zeros, "why": "not-bytecode"}]));
}
