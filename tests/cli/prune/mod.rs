//! `pycstore prune`: exactly what is named goes; the rest of the tree stays byte for byte.

mod directories;
mod hard_links;
mod interruption;
mod metrics;
mod safety;
mod selectors;
mod shown;
#[cfg(target_os = "linux")]
mod supervised;
mod trace;
mod unattended;
mod unknown;
mod whole_store;

use crate::support::special::make_pipe;
use crate::support::{
    Answer, HOUR, Snapshot, World, age, answer, assert_only_gone, closed_pipe, date_back, files,
    interpreters, newest,
};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Projects that every interpreter has compiled, by real imports and by `compileall`, in every optimization.
struct Site {
    world: World,
    kept: PathBuf,
    first: PathBuf,
    second: PathBuf,
}

/// What lies in each project of a [`Site`], with the forms of names that lose something on the way to the store.
const MODULES: [&str; 6] = ["a.py", "pkg/__init__.py", "pkg/sub/b.py", "dotted.name.py", "gui.pyw", "tool"];

fn site() -> Site {
    let world = World::new();
    let [kept, first, second] = ["kept", "first", "second"].map(|name| world.project(name, &MODULES));
    let compile_all = "\
for optimize in 0, 1, 2:
    for project in sys.argv[1:]:
        assert compileall.compile_dir(project, quiet=1, optimize=optimize)
        for script in 'tool', 'gui.pyw':
            py_compile.compile(project + '/' + script, doraise=True, optimize=optimize)
";
    for interpreter in interpreters() {
        for flags in [&[][..], &["-O"], &["-OO"]] {
            let modules = ["kept.a", "kept.pkg.sub.b", "first.a", "first.pkg.sub.b", "second.a"];
            world.import(interpreter, flags, &modules);
        }
        answer(world.compiler(interpreter, compile_all).args([&kept, &first, &second])).exits(0);
    }
    for project in [&kept, &first, &second] {
        assert_eq!(files(&world.mirror(project)).len(), MODULES.len() * 3 * interpreters().len());
    }
    Site { world, kept, first, second }
}

/// What a directory of the store holds, as a prune of all of it reports it.
fn sum(directory: &Path) -> Value {
    let (mut files, mut directories, mut bytes, mut disk) = (0, 0, 0, 0);
    for entry in walkdir::WalkDir::new(directory) {
        let metadata = entry.unwrap().metadata().unwrap();
        if metadata.is_dir() {
            directories += 1;
        } else {
            (files, bytes, disk) = (files + 1, bytes + metadata.size(), disk + metadata.blocks() * 512);
        }
    }
    json!({"files": files, "directories": directories, "bytes": bytes, "disk": disk})
}

/// A store with one fresh entry of a living project and one of a project that is gone; both trees' mirrors.
fn small() -> (World, PathBuf, PathBuf) {
    let world = World::new();
    let living = world.project("living", &["a.py"]);
    let gone = world.project("gone", &["b.py"]);
    world.compile(newest(), &[], &[&living, &gone]);
    std::fs::remove_dir_all(&gone).unwrap();
    let (living, gone) = (world.mirror(&living), world.mirror(&gone));
    (world, living, gone)
}

fn store(world: &World) -> Snapshot {
    World::snapshot(&world.store)
}

#[track_caller]
fn says(answer: &Answer, stdout: &str, stderr: &str) {
    assert_eq!((answer.stdout.as_str(), answer.stderr.as_str()), (stdout, stderr));
}

#[test]
fn a_deleted_project_takes_its_entries_with_it_and_nothing_else() {
    let Site { world, kept, first, second } = site();
    let gone = world.mirror(&first);
    std::fs::remove_dir_all(&first).unwrap();
    let before = World::snapshot(&world.home);
    let going = sum(&gone);

    let dry = world.pycstore(["prune", "--orphans", "--dry-run"]).exits(0);
    assert_only_gone(&before, &World::snapshot(&world.home), &[]);
    let real = world.pycstore(["prune", "--orphans"]).exits(0);
    assert_only_gone(&before, &World::snapshot(&world.home), &[&gone]);
    let rows: Vec<&str> = real.stdout.lines().collect();
    let [heading, row, total] = rows[..] else { panic!("{}", real.stdout) };
    let shown: Vec<&str> = dry.stdout.lines().collect();
    let [as_heading, as_row, directories, directory, as_total] = shown[..] else { panic!("{}", dry.stdout) };
    assert_eq!([as_heading, as_row, &as_total.replace("would remove", "removed")], [heading, row, total]);
    assert!(directories.ends_with("EMPTY DIRECTORY TREE"), "{directories}");
    assert_eq!(directory.trim(), format!("{}  {}", going["directories"], gone.display()));
    assert!(heading.ends_with("OWNER") && row.ends_with(&format!("{} (gone)", first.display())), "{row}");
    let words = format!("removed {} files and {} directories, ", going["files"], going["directories"]);
    assert!(total.starts_with(&words), "{total}");

    let again = world.pycstore(["prune", "--orphans"]).exits(0);
    says(&again, "nothing to remove\n", "");
    assert_only_gone(&before, &World::snapshot(&world.home), &[&gone]);

    // The same once more, as JSON; and a single directory of a project that stays.
    std::fs::remove_dir_all(&second).unwrap();
    std::fs::remove_dir_all(kept.join("pkg/sub")).unwrap();
    let before = World::snapshot(&world.home);
    let gone = world.mirror(&second);
    let module_gone = world.mirror(&kept).join("pkg/sub");
    let (going, module_going) = (sum(&gone), sum(&module_gone));
    let dry = world.pycstore(["prune", "--orphans", "-n", "--json"]).exits(0).json();
    assert_only_gone(&before, &World::snapshot(&world.home), &[]);
    let real = world.pycstore(["prune", "--orphans", "--json"]).exits(0).json();
    assert_only_gone(&before, &World::snapshot(&world.home), &[&gone, &module_gone]);

    let add = |field: &str| json!(going[field].as_u64().unwrap() + module_going[field].as_u64().unwrap());
    let row = |sum: &Value, kind: &Value, root: &Path, gone: bool| {
        json!({"kind": kind, "root": root, "gone": gone,
               "files": sum["files"], "bytes": sum["bytes"], "disk": sum["disk"]})
    };
    // The deepest first.
    let named = ["pkg/sub", "pkg", ""].map(|below| gone.join(below));
    let named = [&module_gone, &named[0], &named[1], &gone];
    let directories: Vec<Value> = named.iter().map(|path| json!({"path": path})).collect();
    let group = |index: usize, reason: &str| {
        let mut group = real["owners"][index].clone();
        let fields = [("status", json!("orphan")), ("reason", json!(reason)), ("packages", json!([]))];
        fields.into_iter().for_each(|(name, value)| group[name] = value);
        group
    };
    let expected = |dry_run: bool| {
        json!({
            "schema": 1,
            "store": world.store,
            "dry_run": dry_run,
            "removed": {"files": add("files"), "directories": add("directories"),
                        "bytes": add("bytes"), "disk": add("disk")},
            "owners": [
                // The kind of a vanished directory depends on where the temporary directory is.
                row(&going, &real["owners"][0]["kind"], &second, true),
                row(&module_going, &json!("project"), &kept, false),
            ],
            "skipped": [],
            "failures": [],
            "left": {"files": 0, "directories": 0, "bytes": 0, "disk": 0},
            "over_budget": {"files": 0, "bytes": 0, "disk": 0},
            "removed_directories": directories,
            "groups": [group(0, "root"), group(1, "source")],
            "held_back": [],
        })
    };
    assert_eq!(dry, expected(true));
    assert_eq!(real, expected(false));
}

#[test]
fn quiet_removes_without_a_word() {
    let (world, _, gone) = small();
    let before = store(&world);
    says(&world.pycstore(["prune", "--orphans", "-q", "--dry-run"]).exits(0), "", "");
    assert_only_gone(&before, &store(&world), &[]);
    says(&world.pycstore(["-q", "prune", "--orphans"]).exits(0), "", "");
    assert_only_gone(&before, &store(&world), &[&gone]);
    says(&world.pycstore(["-q", "prune", "--orphans"]).exits(0), "", "");
}

#[test]
fn without_a_selector_what_du_calls_reclaimable_is_removed() {
    let (world, _, gone) = small();
    let before = store(&world);
    let reclaimable = world.pycstore(["du", "--json"]).exits(0).json()["reclaimable"]["files"].clone();
    let dry = world.pycstore(["prune", "--dry-run", "--json"]).exits(0).json();
    assert_eq!(dry["removed"]["files"], reclaimable);
    world.pycstore(["prune", "--no-such-selector"]).exits(2);
    world.pycstore(["prune", "--tag", "cpython-300"]).exits(0);
    assert_only_gone(&before, &store(&world), &[]);
    let explicit = ["prune", "--orphans", "--stale", "--corrupt", "--temporary", "--dry-run", "--json"];
    assert_eq!(world.pycstore(explicit).exits(0).json(), dry);
    let pruned = world.pycstore(["prune", "--json"]).exits(0).json();
    assert_eq!(pruned["removed"], dry["removed"]);
    assert_only_gone(&before, &store(&world), &[&gone]);
    let runs = world.pycstore(["history", "--json"]).exits(0).json_lines();
    assert_eq!(runs[0]["selectors"], serde_json::json!(["orphans", "stale", "corrupt", "temporary"]));
}

#[test]
fn each_selector_takes_its_own() {
    let world = World::new();
    let project = world.project("p", &["fresh.py", "stale.py", "corrupt.py", "zeros.py", "gone.py"]);
    world.compile(newest(), &[], &[&project]);
    let entry = |name: &str| world.entry(&project.join(name), newest(), "");
    world.write("p/stale.py", "LONGER = 'than it was'\n");
    std::fs::write(entry("corrupt.py"), b"fifteen bytes..").unwrap();
    std::fs::write(entry("zeros.py"), [0; 400]).unwrap();
    std::fs::remove_file(project.join("gone.py")).unwrap();
    let temporary = world.mirror(&project).join(format!("fresh.{}.pyc.140234866", newest().tag));
    std::fs::copy(entry("fresh.py"), &temporary).unwrap();
    age(&temporary, 2 * HOUR);

    let selectors: [(&str, &[PathBuf]); 4] = [
        ("--stale", &[entry("stale.py")]),
        ("--corrupt", &[entry("corrupt.py"), entry("zeros.py")]),
        ("--temporary", &[temporary]),
        ("--orphans", &[entry("gone.py")]),
    ];
    let mut before = store(&world);
    for (selector, going) in selectors {
        let going: Vec<&Path> = going.iter().map(PathBuf::as_path).collect();
        let document = world.pycstore(["prune", selector, "--json"]).exits(0).json();
        let after = store(&world);
        assert_only_gone(&before, &after, &going);
        assert_eq!(document["removed"]["files"], going.len(), "{selector}");
        before = after;
    }
    assert_eq!(files(&world.store).into_iter().collect::<Vec<_>>(), [entry("fresh.py")]);
}

#[test]
fn what_is_no_bytecode_is_kept_and_reported() {
    let (world, _, gone) = small();
    let tag = &newest().tag;
    // As a power cut leaves them, as somebody else may have made them, and as Python itself may: cut short.
    let odd = |name: &str, contents: &[u8]| {
        let path = gone.join(format!("{name}.{tag}.pyc"));
        std::fs::write(&path, contents).unwrap();
        date_back(&path);
        path
    };
    let zeros = odd("zeros", &[0; 400]);
    let four = odd("four", b"text");
    let (three, none) = (odd("three", b"\0\0\0"), odd("none", b""));
    let header = odd("header", b"\xcb\x0d\x0d\x0a");
    let real = gone.join(format!("b.{tag}.pyc"));
    let before = store(&world);

    let dry = world.pycstore(["prune", "--orphans", "--json", "--dry-run"]).exits(0).json();
    let answer = world.pycstore(["prune", "--orphans", "--json"]).exits(0);
    assert_only_gone(&before, &store(&world), &[&three, &none, &header, &real]);
    let skipped = json!([{"path": four, "why": "not-bytecode"}, {"path": zeros, "why": "not-bytecode"}]);
    assert_eq!(answer.json()["skipped"], skipped);
    assert_eq!(dry["skipped"], skipped);
    let line = |path: &Path| {
        format!("pycstore: kept {}: it is not bytecode; prune --corrupt removes it\n", path.display())
    };
    assert_eq!(answer.stderr, line(&four) + &line(&zeros));

    let document = world.pycstore(["prune", "--orphans", "--corrupt", "--json"]).exits(0).json();
    assert_only_gone(&before, &store(&world), &[&gone]);
    assert_eq!((&document["removed"]["files"], &document["skipped"]), (&json!(2), &json!([])));
}

#[test]
fn a_temporary_must_be_an_hour_old() {
    let (world, living, gone) = small();
    let tag = &newest().tag;
    let entry = gone.join(format!("b.{tag}.pyc"));
    let half = std::fs::read(&entry).unwrap()[..40].to_vec();
    let temporary = |directory: &Path, name: &str, ago: Duration| {
        let path = directory.join(name.replace("TAG", tag));
        std::fs::write(&path, &half).unwrap();
        age(&path, ago);
        path
    };
    let minute = HOUR / 60;
    let young = temporary(&living, "a.TAG.pyc.1", Duration::ZERO);
    let almost = temporary(&living, "a.TAG.pyc.140234866", 59 * minute);
    let ahead = temporary(&living, "a.TAG.pyc.7", Duration::ZERO);
    let clock_was_wrong = std::time::SystemTime::now() + 24 * HOUR;
    std::fs::File::options().write(true).open(&ahead).unwrap().set_modified(clock_was_wrong).unwrap();
    let old = temporary(&living, "a.TAG.pyc.2", 61 * minute);
    let of_pytest = temporary(&living, "a.TAG-pytest-9.2.0.pyo.3", 61 * minute);
    let of_gone = temporary(&gone, "b.TAG.opt-1.pyc.4", 61 * minute);
    let before = store(&world);

    // An orphan's temporary is a temporary first.
    world.pycstore(["prune", "--orphans"]).exits(0);
    assert_only_gone(&before, &store(&world), &[&entry]);
    world.pycstore(["prune", "--temporary"]).exits(0);
    assert_only_gone(&before, &store(&world), &[&gone, &old, &of_pytest, &of_gone]);
    for path in [young, almost, ahead] {
        assert!(path.exists(), "{}", path.display());
    }
}

#[test]
fn copies_that_synchronisers_make_are_temporaries() {
    let (world, living, _) = small();
    let tag = &newest().tag;
    let entry = living.join(format!("a.{tag}.pyc"));
    assert!(entry.is_file());
    let copy = |mark: &str| {
        let path = living.join(format!("a.{tag}{mark}.pyc"));
        std::fs::copy(&entry, &path).unwrap();
        age(&path, 2 * HOUR);
        path
    };
    let copies = [
        " 2",
        " (1)",
        " (Bob's conflicted copy 2026-01-01)",
        " (conflicted copy 2026-01-01 120000)",
        " (SFConflict bob@example.org 2026-01-01-12-00-00)",
        ".sync-conflict-20260101-120000-ABCDEFG",
        ".Conflict",
    ]
    .map(copy);
    // These may be somebody's own.
    let others = [" (my own)", " backup", "-HOSTNAME", " copy"].map(copy);
    let before = store(&world);
    let listed = world.pycstore(["ls"]).exits(0).stdout;
    assert_eq!(listed.matches("temporary").count(), copies.len(), "{listed}");
    world.pycstore(["prune", "--temporary"]).exits(0);
    assert_only_gone(&before, &store(&world), &copies.each_ref().map(PathBuf::as_path));
    assert!(others.iter().all(|path| path.exists()));
}

#[test]
fn what_python_does_not_write_is_never_touched() {
    let (world, living, gone) = small();
    let tag = &newest().tag;
    let entry = gone.join(format!("b.{tag}.pyc"));
    let bytes = std::fs::read(&entry).unwrap();
    for name in [
        "README",
        "b.py",
        "b.pyc",
        "b.so",
        "CACHEDIR.TAG",
        "b.TAG.pyo",
        "b.TAG.pyc.bak",
        "b.TAG.pyc.01",
        "TAG.pyc",
        "__pycache__/b.TAG.pyc",
        "__pycache__/b.TAG.pyc.77",
        "__pycache__/deep/er/b.TAG.pyc",
    ] {
        for directory in [&living, &gone] {
            let path = directory.join(name.replace("TAG", tag));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &bytes).unwrap();
            age(&path, 48 * HOUR);
        }
    }
    // A directory with an entry's name is no entry; what is in it mirrors a source like any other.
    let named = gone.join(format!("d.{tag}.pyc"));
    std::fs::create_dir(&named).unwrap();
    std::fs::write(named.join("note"), "x").unwrap();
    let pipe = gone.join(format!("pipe.{tag}.pyc"));
    make_pipe(&pipe).unwrap();
    let before = store(&world);
    world.pycstore(["prune", "--orphans", "--stale", "--corrupt", "--temporary"]).exits(0);
    assert_only_gone(&before, &store(&world), &[&entry]);
}

#[test]
fn links_in_the_store_are_not_followed() {
    let (world, living, gone) = small();
    let tag = &newest().tag;
    let entry = gone.join(format!("b.{tag}.pyc"));
    // Outside lies what would be an orphan and a temporary, were it in the store.
    let outside = world.home.join("outside");
    std::fs::create_dir_all(outside.join("below")).unwrap();
    for name in ["x.TAG.pyc", "below/y.TAG.pyc", "x.TAG.pyc.5"] {
        let path = outside.join(name.replace("TAG", tag));
        std::fs::copy(&entry, &path).unwrap();
        age(&path, 48 * HOUR);
    }
    for directory in [&living, &gone] {
        symlink(outside.join(format!("x.{tag}.pyc")), directory.join(format!("link.{tag}.pyc"))).unwrap();
        symlink("nowhere", directory.join(format!("dangling.{tag}.pyc"))).unwrap();
        symlink(&outside, directory.join("linked")).unwrap();
        symlink("..", directory.join("up")).unwrap();
    }
    symlink(&outside, world.store.join("linked")).unwrap();
    let before = World::snapshot(&world.home);
    world.pycstore(["prune", "--orphans", "--stale", "--corrupt", "--temporary"]).exits(0);
    assert_only_gone(&before, &World::snapshot(&world.home), &[&entry]);
}

#[test]
fn emptied_directories_go_and_the_root_stays() {
    let (world, living, gone) = small();
    // As a run that was killed leaves them: the files gone, the directories not.
    std::fs::create_dir_all(gone.join("pkg/sub")).unwrap();
    let killed = world.mirror(&world.home.join("killed"));
    std::fs::create_dir_all(killed.join("deep/er")).unwrap();
    // What is deleted after that takes its mirror with it.
    std::fs::remove_dir_all(world.home.join("living")).unwrap();
    let mode = std::fs::metadata(&world.store).unwrap().mode();
    let before = store(&world);
    let dry = world.pycstore(["prune", "--orphans", "--dry-run"]).exits(0);
    let real = world.pycstore(["prune", "--orphans"]).exits(0);
    let sum = |answer: &Answer| answer.stdout.lines().next_back().unwrap().replace("would remove", "removed");
    assert_eq!(sum(&dry), sum(&real));
    assert!(sum(&real).starts_with("removed 2 files and 7 directories, "), "{}", real.stdout);
    for path in [&living, &gone, &killed] {
        let named = dry.stdout.lines().any(|line| line.ends_with(path.to_str().unwrap()));
        assert!(named, "{} is not named: {}", path.display(), dry.stdout);
    }
    assert_only_gone(&before, &store(&world), &[&living, &gone, &killed]);
    assert_eq!(std::fs::metadata(&world.store).unwrap().mode(), mode);
    says(&world.pycstore(["prune", "--orphans"]).exits(0), "nothing to remove\n", "");
}

#[test]
fn a_run_that_was_killed_is_finished_by_the_next() {
    for selector in ["--orphans", "--stale", "--corrupt", "--temporary"] {
        let (world, living, gone) = small();
        // It was killed between the last file of a directory and the directory itself.
        std::fs::create_dir_all(living.join("empty/deep")).unwrap();
        std::fs::remove_file(gone.join(format!("b.{}.pyc", newest().tag))).unwrap();
        let deleted = world.home.join("living/empty/deep");
        std::fs::create_dir_all(&deleted).unwrap();
        std::fs::remove_dir(&deleted).unwrap();
        std::fs::remove_dir(deleted.parent().unwrap()).unwrap();
        let before = store(&world);
        let elsewhere = world.home.join("elsewhere");
        let arguments = [OsStr::new("prune"), selector.as_ref(), "--under".as_ref(), elsewhere.as_os_str()];
        let line = format!("pycstore: no entry has a source at or below {}\n", elsewhere.display());
        says(&world.pycstore(arguments).exits(0), "nothing to remove\n", &line);
        assert_only_gone(&before, &store(&world), &[]);
        let document = world.pycstore(["prune", selector, "--json"]).exits(0).json();
        assert_eq!(document["removed"], json!({"files": 0, "directories": 3, "bytes": 0, "disk": 0}));
        assert_only_gone(
            &before,
            &store(&world),
            &[&gone, &living.join("empty"), &living.join("empty/deep")],
        );
        says(&world.pycstore(["prune", selector]).exits(0), "nothing to remove\n", "");
    }
}

#[test]
fn missing_is_not_gone() {
    let (world, _, gone) = small();
    // A path whose first component is not there belongs to a container or another host.
    let elsewhere = world.store.join("pycstore-no-such-place/app");
    std::fs::create_dir_all(&elsewhere).unwrap();
    let entry = elsewhere.join(format!("b.{}.pyc", newest().tag));
    std::fs::copy(gone.join(format!("b.{}.pyc", newest().tag)), &entry).unwrap();
    let before = store(&world);
    world.pycstore(["prune", "--orphans"]).exits(0);
    assert_only_gone(&before, &store(&world), &[&gone]);
    world.pycstore(["prune", "--orphans", "--assume-gone", "/pycstore-no-such-place/other"]).exits(0);
    assert_only_gone(&before, &store(&world), &[&gone]);
    world.pycstore(["prune", "--orphans", "--assume-gone", "/pycstore-no-such-place"]).exits(0);
    assert_only_gone(&before, &store(&world), &[&gone, &world.store.join("pycstore-no-such-place")]);
}

#[test]
fn permission_denied_is_not_gone() {
    let world = World::new();
    // Few sources are looked up one by one, many are listed; and a directory may be unreachable itself.
    let modules = ["a.py", "pkg/a.py", "many/a.py", "many/b.py", "many/c.py", "many/d.py"];
    let project = world.project("p", &modules);
    let gone = world.project("gone", &["b.py"]);
    world.compile(newest(), &[], &[&project, &gone]);
    std::fs::remove_dir_all(&gone).unwrap();
    let before = store(&world);
    let mode = |mode| std::fs::set_permissions(&project, PermissionsExt::from_mode(mode)).unwrap();
    mode(0o000);
    let listed = world.pycstore_unprivileged(["ls", "--json", "--status", "unknown"]);
    let pruned = world.pycstore_unprivileged(["prune", "--orphans"]);
    mode(0o755);
    pruned.exits(0);
    assert_only_gone(&before, &store(&world), &[&world.mirror(&gone)]);
    let lines = listed.exits(0).json_lines();
    assert_eq!(lines.len(), modules.len());
    assert!(lines.iter().all(|line| line["reason"] == "permission"), "{lines:#?}");
}

#[test]
fn what_cannot_be_removed_is_reported_and_the_rest_goes() {
    let world = World::new();
    let projects = ["locked", "unreadable", "open"].map(|name| world.project(name, &["a.py"]));
    let paths: Vec<&Path> = projects.iter().map(PathBuf::as_path).collect();
    world.compile(newest(), &[], &paths);
    let [locked, unreadable, open] = projects.each_ref().map(|project| world.mirror(project));
    projects.iter().for_each(|project| std::fs::remove_dir_all(project).unwrap());
    let before = store(&world);
    let mode = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    mode(&locked, 0o555);
    mode(&unreadable, 0o000);
    let answer = world.pycstore_unprivileged(["prune", "--orphans", "--json"]);
    let listed = world.pycstore_unprivileged(["ls"]);
    let used = world.pycstore_unprivileged(["du"]);
    mode(&locked, 0o755);
    mode(&unreadable, 0o755);
    assert_only_gone(&before, &store(&world), &[&open]);
    let entry = locked.join(format!("a.{}.pyc", newest().tag));
    let document = answer.exits(1).json();
    let failure = json!({"path": entry, "error": "Permission denied (os error 13)", "files": 1,
                         "directories": 0});
    assert_eq!(document["failures"], json!([failure]));
    assert_eq!(document["removed"]["files"], 1);
    // Nobody need read the report for the exit code and standard error to tell.
    mode(&locked, 0o555);
    let deaf = world.unprivileged().args(["prune", "--orphans"]).stdout(closed_pipe()).output().unwrap();
    mode(&locked, 0o755);
    let stderr = String::from_utf8_lossy(&deaf.stderr).into_owned();
    assert_eq!(deaf.status.code(), Some(1));
    assert_eq!(stderr, format!("pycstore: cannot remove {}: Permission denied\n", entry.display()));
    let cannot_read =
        format!("pycstore: cannot read the directory {}: Permission denied\n", unreadable.display());
    let answer = world.neutral(&cannot_read);
    for listing in [listed.exits(1), used.exits(1)] {
        assert_eq!(world.neutral(&listing.stderr), answer);
    }
}

#[test]
fn a_report_that_cannot_be_written_is_one_more_problem() {
    let (world, _, gone) = small();
    let before = store(&world);
    for arguments in
        [&["prune", "--orphans", "-n"][..], &["prune", "--orphans"], &["prune", "--orphans", "--json"]]
    {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = world.program();
        let output = command.arg("--store").arg(&world.store).args(arguments).stdout(full).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(stderr, "pycstore: cannot write to standard output: No space left on device\n");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    }
    assert_only_gone(&before, &store(&world), &[&gone]);
}
