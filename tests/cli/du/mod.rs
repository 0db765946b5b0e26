//! `pycstore du`: whose bytes these are, and that they sum to what GNU `du` says.

mod owners;
mod shared;
mod views;

use crate::support::{World, answer, date_back, files, interpreters, newest};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What GNU `du` says of the store.
fn gnu_du(world: &World) -> u64 {
    let du = answer(world.command("du").args(["-s", "-B1"]).arg(&world.store)).exits(0);
    du.stdout.split_whitespace().next().unwrap().parse().unwrap()
}

/// The field of each row by the owner's root.
fn rows<'a>(document: &'a Value, field: &str) -> BTreeMap<&'a str, &'a Value> {
    let rows = document["owners"].as_array().unwrap();
    rows.iter().map(|row| (row["root"].as_str().unwrap(), &row[field])).collect()
}

/// Asserts that the rows and what they share sum to the total, as do the statuses, and that GNU `du` agrees; answers the document.
#[track_caller]
fn usage(world: &World) -> Value {
    let document = world.pycstore(["du", "--json"]).exits(0).json();
    let number = |value: &Value| value.as_u64().unwrap();
    let sum = |field: &str| {
        let rows = document["owners"].as_array().unwrap().iter().map(|row| number(&row[field]));
        let shared = document["shared_by_owners"][field].as_u64().filter(|_| field != "files");
        rows.chain(shared).sum::<u64>()
    };
    let of_statuses = |field: &str| {
        document["statuses"].as_object().unwrap().values().map(|status| number(&status[field])).sum::<u64>()
    };
    let reclaimable = |field: &str| {
        document["owners"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| number(&row["reclaimable"][field]))
            .sum::<u64>()
    };
    let total = &document["total"];
    let directories: u64 = walkdir::WalkDir::new(&world.store)
        .into_iter()
        .map(|entry| entry.unwrap().metadata().unwrap())
        .filter(std::fs::Metadata::is_dir)
        .map(|directory| directory.blocks() * 512)
        .sum();
    assert_eq!((sum("files"), of_statuses("files")), (number(&total["files"]), number(&total["files"])));
    assert_eq!((sum("bytes"), of_statuses("bytes")), (number(&total["bytes"]), number(&total["bytes"])));
    assert_eq!(sum("disk") + directories, number(&total["disk"]));
    assert_eq!(sum("disk"), of_statuses("disk"));
    for field in ["files", "bytes", "disk"] {
        assert_eq!(reclaimable(field), number(&document["reclaimable"][field]), "{field}");
    }
    assert_eq!(number(&total["disk"]), gnu_du(world));
    let disks: Vec<u64> = document["owners"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| number(&row["disk"]) + row["shared"]["disk"].as_u64().unwrap_or(0))
        .collect();
    assert!(disks.is_sorted_by(|one, other| one >= other), "the biggest first: {disks:?}");
    document
}

#[test]
fn the_total_is_what_gnu_du_says() {
    let world = World::new();
    let project = world.project("one", &["a.py", "b.py", "sub/c.py"]);
    for interpreter in interpreters() {
        world.compile(interpreter, &[], &[&project]);
    }
    let document = usage(&world);
    assert_eq!(document["total"]["files"], 3 * interpreters().len());
    let mut tags: Vec<&str> = interpreters().iter().map(|it| it.tag.as_str()).collect();
    tags.sort_by_key(|tag| pycstore::pyc::tags::order(tag));
    assert_eq!(rows(&document, "tags"), [(project.to_str().unwrap(), &json!(tags))].into());
}

#[test]
fn the_json_contract_is_kept() {
    let world = World::new();
    let project = world.project("p", &["a.py", "b.py"]);
    world.compile(newest(), &[], &[&project]);
    std::fs::remove_file(project.join("b.py")).unwrap();
    std::fs::write(world.store.join("CACHEDIR.TAG"), "").unwrap();
    let [a, b] = ["a.py", "b.py"].map(|name| world.entry(&project.join(name), newest(), ""));
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    for (path, accessed) in [(&a, then + Duration::from_secs(60)), (&b, then - Duration::from_secs(60))] {
        let times = std::fs::FileTimes::new().set_modified(then).set_accessed(accessed);
        std::fs::File::options().write(true).open(path).unwrap().set_times(times).unwrap();
    }
    let sum = |paths: &[&Path]| {
        let metadata: Vec<_> = paths.iter().map(|path| std::fs::metadata(path).unwrap()).collect();
        let bytes: u64 = metadata.iter().map(MetadataExt::size).sum();
        let disk: u64 = metadata.iter().map(|metadata| metadata.blocks() * 512).sum();
        json!({"files": paths.len(), "bytes": bytes, "disk": disk})
    };
    let document = usage(&world);
    let directories = walkdir::WalkDir::new(&world.store).into_iter();
    let directories = directories.filter(|entry| entry.as_ref().unwrap().file_type().is_dir()).count();
    let (both, nothing) = (sum(&[&a, &b]), sum(&[]));
    // Which of the machine's directories a foreign file in the root belongs to is no part of this test.
    let foreign_owner = document["owners"][1].clone();
    assert_eq!(foreign_owner["files"], 1);
    assert_eq!(
        document,
        json!({
            "schema": 1,
            "store": world.store,
            "total": {"files": 3, "directories": directories, "bytes": both["bytes"], "disk": gnu_du(&world)},
            "reclaimable": sum(&[&b]),
            "statuses": {
                "fresh": sum(&[&a]), "stale": nothing, "orphan": sum(&[&b]), "corrupt": nothing,
                "unknown": nothing, "temporary": nothing, "foreign": {"files": 1, "bytes": 0, "disk": 0},
            },
            "owners": [
                {
                    "kind": "project", "root": project, "gone": false,
                    "files": 2, "bytes": both["bytes"], "disk": both["disk"], "reclaimable": sum(&[&b]),
                    "statuses": {"fresh": sum(&[&a]), "orphan": sum(&[&b])},
                    "tags": [newest().tag], "last_used": "2023-11-14T22:14:20Z",
                },
                foreign_owner,
            ],
        })
    );
}

/// Makes an environment with one module in its site-packages and imports that there, so that the environment's own
/// Python writes the entry; returns the environment and how many entries it has.
fn environment(world: &World, root: &Path) -> u64 {
    answer(world.command(&newest().path).args(["-m", "venv", "--without-pip"]).arg(root)).exits(0);
    let python = root.join("bin/python");
    let site = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let site_packages = answer(world.command(&python).args(["-B", "-c", site])).exits(0).stdout;
    world.write(Path::new(site_packages.trim()).join("package/__init__.py"), "X = 1\n");
    let mut import = world.command(&python);
    import.env("PYTHONPYCACHEPREFIX", &world.store).args(["-c", "import package"]);
    answer(&mut import).exits(0);
    let entries = files(&world.mirror(root)).len();
    assert!(entries > 0, "the environment wrote nothing");
    entries as u64
}

/// What is nobody's below a temporary directory is a build, and our world may be there: its topmost directory then.
fn build_around(world: &World) -> Option<PathBuf> {
    let is_temporary =
        |place: &Path| ["/tmp", "/var/tmp", "/dev/shm"].iter().any(|it| place == Path::new(it));
    let mut ancestors = world.home.ancestors();
    ancestors.find(|directory| directory.parent().is_some_and(is_temporary)).map(Path::to_path_buf)
}

#[test]
fn every_owner_has_its_row() {
    let world = World::new();
    let project = world.project("project", &["a.py", "tests/test_a.py"]);
    let loose = world.write("loose/script.py", "X = 1\n").parent().unwrap().to_path_buf();
    let inside = environment(&world, &project.join(".venv"));
    let alone = environment(&world, &world.home.join("envs/alone"));
    let gone_alone = environment(&world, &world.home.join("envs/vanished"));
    let gone_inside = environment(&world, &world.project("keeps", &[]).join(".venv"));
    let in_vanished = environment(&world, &world.home.join("deep/er/vanished/.venv"));
    let vanished = world.project("deep/er/vanished", &["a.py", "pkg/b.py"]);
    let plain = world.project("plain/vanished", &["a.py", "pkg/b.py"]);
    world.compile(newest(), &[], &[&project.join("a.py"), &project.join("tests"), &loose, &plain]);
    world.compile(newest(), &[], &[&vanished.join("a.py"), &vanished.join("pkg")]);
    for gone in ["envs/vanished", "keeps/.venv", "deep", "plain/vanished"] {
        std::fs::remove_dir_all(world.home.join(gone)).unwrap();
    }
    // An empty directory would tell nothing of what is missing in it.
    world.write("plain/keep", "");
    // Real entries elsewhere: of a directory of the machine that is nobody's, and of one that was never there.
    let real = world.entry(&project.join("a.py"), newest(), "");
    for elsewhere in ["etc/pycstore-no-such-directory/deep", "pycstore-no-such-place/app"] {
        let mirror = world.store.join(elsewhere);
        std::fs::create_dir_all(&mirror).unwrap();
        let copy = mirror.join(real.file_name().unwrap());
        std::fs::copy(&real, &copy).unwrap();
        date_back(&copy);
    }

    let document = usage(&world);
    let found: BTreeMap<PathBuf, (String, bool, u64)> = document["owners"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let kind = row["kind"].as_str().unwrap().to_string();
            let state = (kind, row["gone"].as_bool().unwrap(), row["files"].as_u64().unwrap());
            (PathBuf::from(row["root"].as_str().unwrap()), state)
        })
        .collect();
    // The interpreter's own library, which every environment imported its first modules from.
    let library = "import os; print(os.path.dirname(os.__file__))";
    let library = answer(world.command(&newest().path).args(["-B", "-c", library])).exits(0).stdout;
    let library = PathBuf::from(library.trim());
    let interpreter = library.parent().and_then(Path::parent).unwrap().to_path_buf();
    let of_interpreter = files(&world.mirror(&interpreter)).len() as u64;
    let build = build_around(&world);
    let nobodys = if build.is_some() { "build" } else { "directory" };
    let row = |root: &Path, kind: &str, gone: bool, files: u64| {
        (root.to_path_buf(), (kind.to_string(), gone, files))
    };
    let at = |path: &str| world.home.join(path);
    let mut expected: BTreeMap<_, _> = [
        row(&project, "project", false, 2 + inside),
        row(&at("envs/alone"), "environment", false, alone),
        row(&at("envs/vanished"), "environment", true, gone_alone),
        row(&at("keeps/.venv"), "environment", true, gone_inside),
        row(&at("deep"), nobodys, true, 2 + in_vanished),
        row(&at("plain/vanished"), nobodys, true, 2),
        row(Path::new("/etc/pycstore-no-such-directory"), "directory", true, 1),
        row(Path::new("/pycstore-no-such-place"), "directory", false, 1),
        row(&interpreter, "interpreter", false, of_interpreter),
    ]
    .into();
    expected.extend([match &build {
        Some(build) => row(build, "build", false, 1),
        None => row(&loose, "directory", false, 1),
    }]);
    assert_eq!(found, expected, "{document:#}");

    // `ls` names the environment inside the project, and a module of it.
    let lines = world.pycstore(["ls", "--json", "--under", "project/.venv"]).exits(0).json_lines();
    assert!(lines.iter().all(|line| line["owner"]["root"] == json!(project)));
    assert!(lines.iter().all(|line| line["owner"]["environment"] == json!(project.join(".venv"))));
    assert_eq!(lines.len() as u64, inside);
}

#[test]
fn a_vanished_project_that_had_an_environment_is_known_as_a_project() {
    let world = World::new();
    let project = world.project("project", &["a.py"]);
    environment(&world, &project.join(".venv"));
    std::fs::remove_dir_all(&project).unwrap();
    let kinds = usage(&world);
    let kinds = rows(&kinds, "kind");
    let kind = if build_around(&world).is_some() { "build" } else { "project" };
    assert_eq!(kinds[project.to_str().unwrap()], kind);
}

#[test]
fn hard_links_count_once() {
    let world = World::new();
    let project = world.project("p", &["a.py", "b.py"]);
    world.compile(newest(), &[], &[&project]);
    let alone = usage(&world);
    let entry = world.entry(&project.join("a.py"), newest(), "");
    let directory = world.mirror(&project.join("twin"));
    std::fs::create_dir_all(&directory).unwrap();
    let bare = usage(&world);
    for name in ["one", "two"] {
        std::fs::hard_link(&entry, directory.join(format!("{name}.{}.pyc", newest().tag))).unwrap();
    }
    // Outside the store as well, where GNU du does not see it.
    std::fs::hard_link(world.entry(&project.join("b.py"), newest(), ""), world.home.join("outside")).unwrap();
    let linked = usage(&world);
    assert_eq!(linked["total"]["files"], 4);
    assert_eq!(linked["total"]["bytes"], alone["total"]["bytes"]);
    assert_eq!(linked["total"]["disk"], bare["total"]["disk"]);
}

#[test]
fn links_count_as_themselves() {
    let world = World::new();
    let project = world.project("p", &["a.py"]);
    world.compile(newest(), &[], &[&project]);
    world.write("big/file", vec![1; 100_000]);
    symlink(world.home.join("big"), world.store.join("linked")).unwrap();
    symlink(world.home.join("big/file"), world.store.join("file")).unwrap();
    symlink("x".repeat(300), world.store.join("long")).unwrap();
    assert_eq!(usage(&world)["statuses"]["foreign"]["files"], 3);
}

#[test]
fn reclaimable_is_what_a_default_prune_removes() {
    let world = World::new();
    let project = world.project("p", &["fresh.py", "stale.py", "zeros.py", "gone.py"]);
    let vanished = world.project("vanished", &["a.py", "b.py"]);
    for interpreter in interpreters() {
        world.compile(interpreter, &[], &[&project, &vanished]);
    }
    std::fs::write(project.join("stale.py"), "LONGER = 'than it was'\n").unwrap();
    std::fs::write(world.entry(&project.join("zeros.py"), newest(), ""), [0; 5000]).unwrap();
    std::fs::remove_file(project.join("gone.py")).unwrap();
    std::fs::remove_dir_all(&vanished).unwrap();
    let empty = world.entry(&vanished.join("empty.py"), newest(), "");
    std::fs::write(&empty, "").unwrap();
    date_back(&empty);
    let mirror = world.mirror(&project);
    let young = mirror.join(format!("fresh.{}.pyc.1", newest().tag));
    std::fs::write(&young, "").unwrap();
    std::fs::write(mirror.join("README"), vec![b'x'; 9000]).unwrap();
    let document = usage(&world);
    let selectors = ["--orphans", "--stale", "--corrupt", "--temporary"];
    let pruned = world.pycstore(["prune", "--json"].iter().chain(&selectors)).exits(0).json();
    for field in ["files", "bytes", "disk"] {
        assert_eq!(document["reclaimable"][field], pruned["removed"][field], "{field}");
    }
    let fresh = interpreters().iter().map(|it| world.entry(&project.join("fresh.py"), it, ""));
    let others = interpreters().iter().map(|it| world.entry(&project.join("zeros.py"), it, ""));
    let others = others.filter(|path| *path != world.entry(&project.join("zeros.py"), newest(), ""));
    assert_eq!(files(&world.store), fresh.chain(others).chain([young, mirror.join("README")]).collect());
    assert_eq!(usage(&world)["reclaimable"], json!({"files": 0, "bytes": 0, "disk": 0}));
}

#[test]
fn the_table_says_the_same_in_words() {
    let world = World::new();
    // Two lengths that no file system rounds alike, of things whose owner does not depend on this machine.
    let living = world.project("living", &["a.py"]);
    let mirror = world.mirror(&living);
    std::fs::create_dir_all(&mirror).unwrap();
    std::fs::write(mirror.join("a.cpython-312.pyc"), vec![b'x'; 1536]).unwrap();
    std::fs::write(mirror.join("b.cpython-38.pyc"), [&b"\x55\x0d\x0d\x0a"[..], &[0; 252]].concat()).unwrap();
    date_back(&mirror.join("b.cpython-38.pyc"));
    let answer = world.pycstore(["du", "--apparent-size"]).exits(0);
    let table: Vec<Vec<&str>> = answer
        .stdout
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|it| !it.is_empty()).collect())
        .collect();
    let root = living.to_str().unwrap();
    assert_eq!(table[0], ["SIZE", "FILES", "RECLAIMABLE", "LAST USED", "TAGS", "OWNER"]);
    assert_eq!(table[1], ["1.75 KiB", "2", "1.75 KiB", "today", "cpython-38 cpython-312", root]);
    assert_eq!(table[2], ["1.75 KiB", "2", "1.75 KiB", "total"]);
    assert_eq!(table.len(), 3, "lengths of directories say nothing: {}", answer.stdout);

    // Room on disk, with the directories in a row of their own.
    let document = usage(&world);
    let size = |disk: &Value| humansize::format_size(disk.as_u64().unwrap(), humansize::BINARY);
    let answer = world.pycstore(["du"]).exits(0);
    let sizes: Vec<&str> =
        answer.stdout.lines().skip(1).map(|line| line.trim_start().split("  ").next().unwrap()).collect();
    let (total, files) = (document["total"]["disk"].as_u64().unwrap(), &document["owners"][0]["disk"]);
    let directories = json!(total - files.as_u64().unwrap());
    assert_eq!(sizes, [size(files), size(&directories), size(&json!(total))]);
    let count = format!("  {} directories", document["total"]["directories"]);
    assert!(answer.stdout.lines().nth(2).unwrap().ends_with(&count), "{}", answer.stdout);
}

/// A store of any shape: files of all sorts in directories of all sorts, some with sources, some linked twice.
fn any_store() -> impl Strategy<Value = Vec<(String, String, usize)>> {
    let directory = proptest::sample::select(vec![
        "living",
        "living/pkg",
        "gone",
        "gone/deep/er",
        "x/__pycache__",
        "",
        "living/.venv/lib/python3.12",
    ]);
    let name = proptest::sample::select(vec![
        "a.cpython-312.pyc",
        "b.cpython-38.opt-1.pyc",
        "scriptcpython-311.pyc",
        "a.cpython-312.pyc.77",
        "t.cpython-311-pytest-9.2.0.pyo",
        "README",
        "link",
        "hard",
    ]);
    let size = prop_oneof![Just(0), Just(3), Just(15), Just(16), 17..9000_usize];
    proptest::collection::vec((directory.prop_map(String::from), name.prop_map(String::from), size), 0..24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_rows_sum_to_the_total_whatever_the_store(entries in any_store()) {
        let world = World::new();
        world.project("living", &["a.py", "pkg/a.py"]);
        std::fs::create_dir_all(&world.store).unwrap();
        for (directory, name, size) in entries {
            let directory = world.mirror(&world.home).join(directory);
            std::fs::create_dir_all(&directory).unwrap();
            let path = directory.join(&name);
            let first = files(&world.store).into_iter().next();
            // What is there already stays.
            let _ = match (name.as_str(), first) {
                ("link", _) => symlink("a.cpython-312.pyc", &path),
                ("hard", Some(first)) => std::fs::hard_link(first, &path),
                _ => std::fs::write(&path, [&b"\xcb\x0d\x0d\x0a"[..], &vec![7; size]].concat()),
            };
        }
        usage(&world);
    }
}
