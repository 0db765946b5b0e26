//! `pycstore ls`: every file of the store once, each with its status and its reason.

use crate::support::special::make_pipe;
use crate::support::{World, age, answer, files, interpreters, newest};
use base64::Engine;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Every field of the contract, for every file of the store.
const FIELDS: [&str; 17] = [
    "schema",
    "path",
    "source",
    "kind",
    "links",
    "tag",
    "python",
    "optimization",
    "pytest",
    "invalidation",
    "status",
    "reason",
    "bytes",
    "disk",
    "modified",
    "accessed",
    "owner",
];

/// A store with an entry for each thing that can be wrong with one; what is right is told by name.
struct Cases {
    world: World,
    project: PathBuf,
    /// Path → status and reason.
    expected: BTreeMap<PathBuf, (&'static str, Option<&'static str>)>,
}

fn cases() -> Cases {
    let world = World::new();
    let python = newest();
    let by_header = ["fresh", "mtime", "size", "magic", "flags", "truncated", "zeros", "gone"];
    let by_hash = ["hash", "hash-fresh", "trusted"];
    let modules: Vec<String> = by_header.iter().chain(&by_hash).map(|name| format!("{name}.py")).collect();
    let modules: Vec<&str> = modules.iter().map(String::as_str).collect();
    let project = world.project("p", &modules);
    let vanished = world.project("vanished", &["pkg/x.py"]);
    let source = |name: &str| project.join(format!("{name}.py"));
    let [hash, hash_fresh, trusted] = by_hash.map(source);
    world.compile(python, &["--invalidation-mode", "checked-hash"], &[&hash, &hash_fresh]);
    world.compile(python, &["--invalidation-mode", "unchecked-hash"], &[&trusted]);
    let rest: Vec<PathBuf> = by_header.into_iter().map(source).chain([vanished.clone()]).collect();
    let rest: Vec<&Path> = rest.iter().map(PathBuf::as_path).collect();
    world.compile(python, &[], &rest);

    let entry = |name: &str| world.entry(&source(name), python, "");
    let patch = |name: &str, at: usize, bytes: &[u8]| {
        let mut contents = std::fs::read(entry(name)).unwrap();
        contents[at..at + bytes.len()].copy_from_slice(bytes);
        std::fs::write(entry(name), contents).unwrap();
    };
    // Only the mtime, only the size: Python looks at the mtime first.
    age(&source("mtime"), Duration::from_secs(100));
    let mtime = std::fs::metadata(source("size")).unwrap().modified().unwrap();
    std::fs::write(source("size"), "LONGER = 'than it was when it was compiled'\n").unwrap();
    std::fs::File::options().write(true).open(source("size")).unwrap().set_modified(mtime).unwrap();
    patch("magic", 0, &3000_u16.to_le_bytes());
    patch("flags", 4, &[0b100]);
    let whole = std::fs::read(entry("truncated")).unwrap();
    std::fs::write(entry("truncated"), &whole[..15]).unwrap();
    patch("zeros", 0, &[0; 16]);
    for name in ["hash", "trusted"] {
        std::fs::write(source(name), "NAME = 'same length'\n").unwrap();
    }
    std::fs::remove_file(source("gone")).unwrap();
    std::fs::remove_dir_all(&vanished).unwrap();

    let mut expected = BTreeMap::new();
    for (name, status, reason) in [
        ("fresh", "fresh", None),
        ("hash-fresh", "fresh", None),
        ("trusted", "fresh", None),
        ("mtime", "stale", Some("mtime")),
        ("size", "stale", Some("size")),
        ("magic", "stale", Some("magic")),
        ("flags", "stale", Some("flags")),
        ("hash", "stale", Some("hash")),
        ("truncated", "corrupt", Some("truncated")),
        ("zeros", "corrupt", Some("not-bytecode")),
        ("gone", "orphan", Some("source")),
    ] {
        expected.insert(entry(name), (status, reason));
    }
    expected.insert(world.entry(&vanished.join("pkg/x.py"), python, ""), ("orphan", Some("root")));
    let mut add = |path: PathBuf, status, reason| {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &whole).unwrap();
        expected.insert(path, (status, reason));
    };
    let mirror = world.mirror(&project);
    let named = |name: &str| mirror.join(name.replace("TAG", &python.tag));
    add(named("fresh.TAG.pyc.140234866"), "temporary", None);
    add(named("t.TAG-pytest-9.2.0.pyo.77"), "temporary", None);
    add(named("README"), "foreign", None);
    add(named("fresh.pyc"), "foreign", None);
    add(named("__pycache__/fresh.TAG.pyc"), "foreign", None);
    add(world.store.join("CACHEDIR.TAG"), "foreign", None);
    add(
        world.store.join(format!("pycstore-no-such-place/x.{}.pyc", python.tag)),
        "unknown",
        Some("other-host"),
    );
    symlink(entry("fresh"), named("link.TAG.pyc")).unwrap();
    symlink(&world.home, named("linked")).unwrap();
    let pipe = named("pipe.TAG.pyc");
    make_pipe(&pipe).unwrap();
    for path in [named("link.TAG.pyc"), named("linked"), pipe] {
        expected.insert(path, ("foreign", None));
    }
    Cases { world, project, expected }
}

fn path_of(line: &Value) -> PathBuf {
    PathBuf::from(line["path"].as_str().unwrap())
}

#[test]
fn every_file_has_one_line_with_its_status() {
    let Cases { world, expected, .. } = cases();
    assert_eq!(files(&world.store), expected.keys().cloned().collect());
    let lines = world.pycstore(["ls", "--json"]).exits(0).json_lines();
    let listed: Vec<PathBuf> = lines.iter().map(path_of).collect();
    assert_eq!(listed.len(), expected.len());
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), files(&world.store));
    for line in &lines {
        let (status, reason) = expected[&path_of(line)];
        assert_eq!((&line["status"], &line["reason"]), (&json!(status), &json!(reason)), "{line}");
    }
    // The table has the same in words, in the same order.
    let table = world.pycstore(["ls"]).exits(0);
    let rows: Vec<&str> = table.stdout.lines().collect();
    assert_eq!(rows.len(), lines.len());
    for (row, line) in rows.iter().zip(&lines) {
        let (status, reason) = expected[&path_of(line)];
        let mut words = row.split_whitespace();
        assert_eq!((words.next(), words.next()), (Some(status), reason.or(Some("-"))), "{row}");
        assert!(row.ends_with(&format!("  {}", path_of(line).display())), "{row}");
    }
}

#[test]
fn unchecked_hashes_are_checked_on_request() {
    let Cases { world, mut expected, project } = cases();
    expected.insert(world.entry(&project.join("trusted.py"), newest(), ""), ("stale", Some("hash")));
    for line in world.pycstore(["ls", "--json", "--check-unchecked"]).exits(0).json_lines() {
        let (status, reason) = expected[&path_of(&line)];
        assert_eq!((&line["status"], &line["reason"]), (&json!(status), &json!(reason)), "{line}");
    }
}

#[test]
#[cfg_attr(feature = "portable", ignore = "needs O_NOATIME")]
fn the_json_contract_is_kept() {
    let Cases { world, project, .. } = cases();
    let lines = world.pycstore(["ls", "--json"]).exits(0).json_lines();
    let fields: BTreeSet<&str> = FIELDS.into_iter().collect();
    for line in &lines {
        let found: BTreeSet<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(found, fields, "{line}");
        assert_eq!(line["schema"], 1);
        let metadata = std::fs::symlink_metadata(path_of(line)).unwrap();
        assert_eq!(line["bytes"], metadata.size(), "{line}");
        assert_eq!(line["disk"], metadata.blocks() * 512, "{line}");
        assert_eq!(line["modified"], date(metadata.mtime(), metadata.mtime_nsec()));
        assert_eq!(line["accessed"], date(metadata.atime(), metadata.atime_nsec()));
    }
    let find = |path: &Path| lines.iter().find(|line| path_of(line) == path).unwrap();
    let python = newest().tag.strip_prefix("cpython-3").unwrap();
    let own = |line: &Value| {
        let own = line.as_object().unwrap().clone().into_iter();
        let common = ["schema", "path", "bytes", "disk", "links", "modified", "accessed"];
        Value::Object(own.filter(|(field, _)| !common.contains(&field.as_str())).collect())
    };
    let source = project.join("hash.py");
    assert_eq!(
        own(find(&world.entry(&source, newest(), ""))),
        json!({
            "source": source, "kind": "bytecode", "tag": newest().tag, "python": format!("3.{python}"),
            "optimization": "", "pytest": null, "invalidation": "checked-hash", "status": "stale", "reason": "hash",
            "owner": {"kind": "project", "root": project, "environment": null, "gone": false},
        })
    );
    assert_eq!(
        own(find(&world.mirror(&project).join(format!("t.{}-pytest-9.2.0.pyo.77", newest().tag)))),
        json!({
            "source": project.join("t.py"), "kind": "temporary", "tag": newest().tag,
            "python": format!("3.{python}"), "optimization": "", "pytest": "9.2.0",
            "invalidation": "timestamp", "status": "temporary", "reason": null,
            "owner": {"kind": "project", "root": project, "environment": null, "gone": false},
        })
    );
    assert_eq!(
        own(find(&world.store.join("CACHEDIR.TAG"))),
        json!({
            "source": null, "kind": "foreign", "tag": null, "python": null, "optimization": null, "pytest": null,
            "invalidation": null, "status": "foreign", "reason": null, "owner": null,
        })
    );
    let invalidations: BTreeSet<&str> =
        lines.iter().filter_map(|line| line["invalidation"].as_str()).collect();
    assert_eq!(invalidations, ["checked-hash", "timestamp", "unchecked-hash"].into());
    let orphan = lines.iter().find(|line| line["reason"] == "root").unwrap();
    let (root, gone) = (&orphan["owner"]["root"], &orphan["owner"]["gone"]);
    assert_eq!((root, gone), (&json!(world.home.join("vanished")), &json!(true)));
}

/// A moment as RFC 3339 has it.
fn date(seconds: i64, nanoseconds: i64) -> String {
    let nanoseconds = u32::try_from(nanoseconds).unwrap();
    let date = chrono::DateTime::from_timestamp(seconds, nanoseconds).unwrap();
    date.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

#[test]
fn optimizations_and_odd_sources_are_told_by_every_interpreter() {
    let world = World::new();
    let names = ["a.py", "dotted.name.py", ".hidden.py", "gui.pyw", "tool", "with space.py", "naïve.py"];
    let project = world.project("p", &names);
    let compile = "\
for optimize in 0, 1, 2:
    for source in sys.argv[1:]:
        py_compile.compile(source, doraise=True, optimize=optimize)
";
    let sources: Vec<PathBuf> = names.iter().map(|name| project.join(name)).collect();
    let mut expected = BTreeSet::new();
    for interpreter in interpreters() {
        let tag = &interpreter.tag;
        answer(world.compiler(interpreter, compile).args(&sources)).exits(0);
        for optimization in ["", "1", "2"] {
            expected
                .extend(sources.iter().map(|source| (source.clone(), tag.clone(), optimization.to_string())));
        }
    }
    let text = |value: &Value| value.as_str().unwrap().to_string();
    let lines = world.pycstore(["ls", "--json"]).exits(0).json_lines();
    assert_eq!(lines.len(), expected.len());
    assert!(lines.iter().all(|line| line["status"] == "fresh" && line["kind"] == "bytecode"), "{lines:#?}");
    let listed: BTreeSet<_> = lines
        .iter()
        .map(|line| (PathBuf::from(text(&line["source"])), text(&line["tag"]), text(&line["optimization"])))
        .collect();
    assert_eq!(listed, expected);
}

#[test]
fn names_that_are_not_utf_8_keep_their_bytes() {
    let world = World::new();
    let odd = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    let directory = world.home.join(odd(b"caf\xe9"));
    let source = directory.join(odd(b"m\xff.py"));
    world.write(directory.join("pyproject.toml"), "");
    world.write(&source, "X = 1\n");
    world.write(directory.join("plain.py"), "X = 1\n");
    world.compile(newest(), &[], &[&directory]);
    let entry = world.entry(&source, newest(), "");
    let plain = world.entry(&directory.join("plain.py"), newest(), "");
    let newline = world.write(world.mirror(&directory).join("a\nb"), "");
    assert_eq!(files(&world.store), [entry.clone(), plain.clone(), newline.clone()].into());

    let base64 =
        |path: &Path| json!(base64::engine::general_purpose::STANDARD.encode(path.as_os_str().as_bytes()));
    let lines = world.pycstore(["ls", "--json"]).exits(0).json_lines();
    let line = lines.iter().find(|line| line["path_bytes"] == base64(&entry)).unwrap();
    assert_eq!(line["path"], json!(entry.to_string_lossy()));
    assert_eq!(
        (&line["source"], &line["source_bytes"]),
        (&json!(source.to_string_lossy()), &base64(&source))
    );
    assert_eq!(line["owner"]["root"], json!(directory.to_string_lossy()));
    assert_eq!(line["owner"]["root_bytes"], base64(&directory));
    assert_eq!(line["status"], "fresh");

    // Raw, whatever the names are: for `xargs -0`, and one line each in a pipe.
    let raw = |arguments: &[&str]| {
        let mut command = world.program();
        command.env("PYTHONPYCACHEPREFIX", &world.store).args(arguments).output().unwrap().stdout
    };
    let mut paths: Vec<&Path> = vec![&newline, &entry, &plain];
    paths.sort();
    let expected: Vec<u8> =
        paths.iter().flat_map(|path| [path.as_os_str().as_bytes(), b"\0"].concat()).collect();
    assert_eq!(OsStr::from_bytes(&raw(&["ls", "-0"])), OsStr::from_bytes(&expected));
    assert_eq!(raw(&["ls", "--null"]), expected);
    let table = raw(&["ls", "--status", "fresh"]);
    let end = [b"  ", entry.as_os_str().as_bytes(), b"\n"].concat();
    assert!(table.windows(end.len()).any(|window| window == end), "{}", OsStr::from_bytes(&table).display());
}

#[test]
fn filters_narrow_the_list() {
    let Cases { world, project, expected } = cases();
    let elsewhere = world.project("elsewhere", &["m.py"]);
    world.compile(newest(), &[], &[&elsewhere]);
    let other_tag = world.mirror(&elsewhere).join("m.cpython-36.pyc");
    std::fs::write(&other_tag, "").unwrap();
    let listed = |arguments: &[&str]| -> BTreeSet<PathBuf> {
        let answer = world.pycstore(["ls", "--null"].iter().chain(arguments)).exits(0);
        answer.stdout.split_terminator('\0').map(PathBuf::from).collect()
    };
    let of_status = |statuses: &[&str]| -> BTreeSet<PathBuf> {
        let wanted = expected.iter().filter(|(_, (status, _))| statuses.contains(status));
        wanted.map(|(path, _)| path.clone()).collect()
    };
    for status in ["stale", "orphan", "unknown", "temporary", "foreign"] {
        assert_eq!(listed(&["--status", status]), of_status(&[status]), "{status}");
    }
    for options in [&["--status=orphan", "--status=foreign"][..], &["--status", "orphan,foreign"]] {
        assert_eq!(listed(options), of_status(&["orphan", "foreign"]));
    }

    assert_eq!(listed(&["--tag", "cpython-36"]), [other_tag.clone()].into());
    let entry = world.entry(&elsewhere.join("m.py"), newest(), "");
    let below: BTreeSet<PathBuf> = [entry.clone(), other_tag].into();
    assert_eq!(listed(&["--under", elsewhere.to_str().unwrap()]), below);
    assert_eq!(
        listed(&["--under", "elsewhere"]),
        below,
        "relative to the working directory, which is the home"
    );
    assert_eq!(listed(&["--under", "./p/../elsewhere/m.py"]), below, "the source itself");
    assert_eq!(listed(&["--under", "else"]), BTreeSet::new(), "whole components");
    assert_eq!(listed(&["--under", "elsewhere", "--tag", &newest().tag]), [entry].into(), "filters narrow");
    assert_eq!(listed(&["--under", "vanished", "--status", "fresh"]), BTreeSet::new());
    let both = listed(&["--under", "elsewhere", "--under", "p"]);
    assert_eq!(both, &below | &listed(&["--under", project.to_str().unwrap()]));
    assert_eq!(listed(&["elsewhere", "p"]), both);

    insta::assert_snapshot!(world.pycstore(["ls", "--status", "rotten"]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: invalid value 'rotten' for '--status <STATUS>' [possible values: fresh, stale, orphan, corrupt, unknown, temporary, foreign]
    hint: pycstore help ls
    ");
    world.pycstore(["ls", "--json", "-0"]).exits(2);
}

#[test]
fn nothing_found_is_said() {
    let world = World::new();
    let project = world.project("p", &["a.py"]);
    world.compile(newest(), &[], &[&project]);
    let told = |arguments: &[&str]| {
        String::from_utf8(world.pycstore_on_terminal(300, [&["ls"], arguments].concat())).unwrap()
    };
    let missing = world.home.join("nosuch");
    for (arguments, what) in [
        (&["--under", "nosuch"][..], format!("has a source at or below {}\n", missing.display())),
        (&["--tag", "3.12"], "has the tag 3.12\nhint: did you mean the tag cpython-312?\n".into()),
        (&["--status", "orphan", "--status", "stale"], "matches --status orphan, --status stale\n".into()),
    ] {
        let said = format!("pycstore: no entry {what}");
        assert_eq!(told(arguments), said);
        assert_eq!(told(&[arguments, &["-q"]].concat()), "");
        let piped = world.pycstore([&["ls"], arguments].concat()).exits(0);
        // To a script no entry of a status is no mistake.
        let said = if arguments[0] == "--status" { "" } else { &said };
        assert_eq!((piped.stdout.as_str(), piped.stderr.as_str()), ("", said));
    }
    assert!(!told(&["--under", "p"]).contains("pycstore: "));
    std::fs::remove_dir_all(&world.store).unwrap();
    std::fs::create_dir(&world.store).unwrap();
    assert_eq!(told(&[]), "pycstore: the store is empty\n");
}

#[test]
#[cfg_attr(feature = "portable", ignore = "needs O_NOATIME")]
fn looking_leaves_last_use_as_it_was() {
    let world = World::new();
    let project = world.project("p", &["a.py", "b.py"]);
    world.compile(newest(), &[], &[&project]);
    std::fs::remove_file(project.join("b.py")).unwrap();
    // Last read before it was last written: under `relatime` any other reader would move this.
    let day = Duration::from_secs(86_400);
    for path in files(&world.store) {
        let times = std::fs::FileTimes::new().set_accessed(SystemTime::now() - 3 * day);
        std::fs::File::options().write(true).open(&path).unwrap().set_times(times).unwrap();
    }
    let accessed = || -> Vec<SystemTime> {
        let files = files(&world.store).into_iter();
        files.map(|path| std::fs::metadata(path).unwrap().accessed().unwrap()).collect()
    };
    let before = accessed();
    let entry = world.entry(&project.join("a.py"), newest(), "");
    let entry = entry.to_str().unwrap();
    for arguments in [
        &["ls", "--json"][..],
        &["du"],
        &["prune", "--orphans", "--stale", "-n"],
        &["inspect", entry],
        &["which", "p/a.py"],
    ] {
        world.pycstore(arguments).exits(0);
        assert_eq!(accessed(), before, "{arguments:?}");
    }
}

#[test]
#[cfg_attr(feature = "portable", ignore = "needs O_NOATIME")]
fn entries_are_sorted_and_the_first_are_shown() {
    let world = World::new();
    let mirror = world.mirror(&world.project("p", &[]));
    std::fs::create_dir_all(mirror.join("sub")).unwrap();
    let files = [
        ("a.cpython-312.pyc", 30_000, 10),
        ("b, c.cpython-312.pyc", 90_000, 20),
        ("sub/d.cpython-312.pyc", 60_000, 30),
    ];
    for (name, size, second) in files {
        std::fs::write(mirror.join(name), vec![b'x'; size]).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + second);
        let file = std::fs::File::options().write(true).open(mirror.join(name)).unwrap();
        file.set_times(
            std::fs::FileTimes::new().set_modified(time).set_accessed(time + Duration::from_secs(1)),
        )
        .unwrap();
    }
    let listed = |arguments: &[&str]| {
        let lines = world.pycstore([&["ls", "--json"], arguments].concat()).exits(0).json_lines();
        lines
            .iter()
            .map(|line| path_of(line).strip_prefix(&mirror).unwrap().to_path_buf())
            .collect::<Vec<_>>()
    };
    let [a, b, d] = files.map(|(name, ..)| PathBuf::from(name));
    assert_eq!(listed(&[]), [&a, &b, &d].map(Clone::clone));
    assert_eq!(listed(&["--top", "2"]), [&a, &b].map(Clone::clone));
    assert_eq!(listed(&["--sort", "size"]), [&b, &d, &a].map(Clone::clone));
    assert_eq!(listed(&["--sort", "last-used", "--top", "2"]), [&d, &b].map(Clone::clone));
    assert!(listed(&["--top", "0"]).is_empty());
    let csv = world.pycstore(["ls", "--csv", "--sort", "size", "--top", "1"]).exits(0).stdout;
    let path = mirror.join(&b);
    let disk = std::fs::metadata(&path).unwrap().blocks() * 512;
    let project = world.home.join("p");
    let expected = format!(
        "status,reason,tag,bytes,disk,modified,accessed,owner_kind,owner,owner_gone,source,path\n\
         orphan,source,cpython-312,90000,{disk},2023-11-14T22:13:40Z,2023-11-14T22:13:41Z,"
    );
    assert!(csv.starts_with(&expected), "{csv}");
    assert!(csv.contains(&format!("\"{}/b, c.py\",\"{}\"\n", project.display(), path.display())), "{csv}");
}
