//! `pycstore inspect`

use crate::support::{Interpreter, World, answer, date_back, implementations, interpreters, newest};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// A world with one source of known mtime, size and contents.
struct One {
    world: World,
    source: PathBuf,
}

impl One {
    fn new() -> One {
        let world = World::new();
        let project = world.project("one", &[]);
        let source = world.write("one/a.py", "x = 1\n");
        touch(&source);
        assert!(project.is_dir());
        One { world, source }
    }

    fn compile(&self, interpreter: &Interpreter, mode: &str) -> PathBuf {
        const CODE: &str = "py_compile.compile(sys.argv[1], doraise=True, invalidation_mode=py_compile.PycInvalidationMode[sys.argv[2]])";
        let mut command = self.world.compiler(interpreter, CODE);
        assert!(command.arg(&self.source).arg(mode).status().unwrap().success());
        self.world.entry(&self.source, interpreter, "")
    }

    /// The hash of the source as an interpreter makes it.
    fn hash(&self, interpreter: &Interpreter) -> String {
        const CODE: &str = "import importlib.util, sys; print(importlib.util.source_hash(open(sys.argv[1], 'rb').read()).hex())";
        let mut command = self.world.command(&interpreter.path);
        let answer = answer(command.args(["-I", "-B", "-c", CODE]).arg(&self.source)).exits(0);
        answer.stdout.trim().to_string()
    }

    fn json(&self, entry: &Path, more: &[&str]) -> Value {
        let mut arguments = vec!["inspect", "--json", entry.to_str().unwrap()];
        arguments.extend(more);
        self.world.pycstore(arguments).exits(0).json()
    }

    /// The page as lines of `name value`, in the zone of UTC.
    fn page(&self, entry: &Path, more: &[&str]) -> Vec<(String, String)> {
        let mut command = self.world.program();
        command.env("PYTHONPYCACHEPREFIX", &self.world.store).env("TZ", "UTC").arg("inspect").arg(entry);
        let answer = answer(command.args(more)).exits(0);
        let (heading, rest) = answer.stdout.split_once('\n').unwrap();
        assert_eq!(heading, entry.to_str().unwrap());
        let field = |line: &str| {
            let (name, value) = line.split_at(23);
            (name.trim().to_string(), value.to_string())
        };
        rest.lines().map(field).collect()
    }
}

fn touch(path: &Path) {
    let moment = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    fs::File::open(path).unwrap().set_modified(moment).unwrap();
}

#[track_caller]
fn assert_says(page: &[(String, String)], name: &str, value: &str) {
    let found: Vec<&str> =
        page.iter().filter(|(field, _)| field == name).map(|(_, value)| value.as_str()).collect();
    assert_eq!(found, [value], "{name} in {page:#?}");
}

#[test]
fn a_timestamp_entry_is_laid_open() {
    let one = One::new();
    let project = one.source.parent().unwrap();
    for interpreter in implementations() {
        let entry = one.compile(interpreter, "TIMESTAMP");
        let (_, minor) = pycstore::pyc::name::python_of_tag(&interpreter.tag).unwrap();
        let name = if interpreter.tag.starts_with("pypy") { "PyPy" } else { "Python" };
        let bytes = fs::read(&entry).unwrap();
        let magic = u16::from_le_bytes([bytes[0], bytes[1]]);

        let line = one.json(&entry, &[]);
        assert_eq!(
            (&line["status"], &line["reason"], &line["invalidation"]),
            (&json!("fresh"), &Value::Null, &json!("timestamp"))
        );
        assert_eq!(line["source"], one.source.to_str().unwrap());
        let header = json!({"magic": magic, "flags": 0, "source_mtime": 1_700_000_000, "source_size": 6, "source_hash": null});
        assert_eq!(line["header"], header);
        let now =
            json!({"mtime": 1_700_000_000, "modified": "2023-11-14T22:13:20Z", "bytes": 6, "hash": null});
        assert_eq!(line["source_now"], now);

        let page = one.page(&entry, &[]);
        assert_says(&page, "status", "fresh");
        assert_says(&page, "next import", &format!("{name} 3.{minor} loads it"));
        assert_says(&page, "source", one.source.to_str().unwrap());
        assert_says(&page, "mtime", "1700000000 (2023-11-14 22:13:20 +00:00)");
        assert_says(&page, "size", "6 bytes");
        assert_says(&page, "tag", &format!("{} (Python 3.{minor})", interpreter.tag));
        assert_says(&page, "optimization", "none");
        assert_says(&page, "magic", &format!("{magic} ({name} 3.{minor})"));
        assert_says(&page, "flags", "0x0 (timestamp)");
        assert_says(&page, "recorded mtime", "1700000000 (2023-11-14 22:13:20 +00:00)");
        assert_says(&page, "recorded size", "6 bytes");
        assert_says(&page, "owner (project)", project.to_str().unwrap());

        let length = bytes.len() - 16;
        let body = json!({"filename": one.source, "name": "<module>", "first_line": 1, "last_line": 1, "code_objects": 1, "bytes": length});
        assert_eq!(line["body"], body, "{}", interpreter.tag);
        assert_says(&page, "body", "1 code object, lines 1-1");
        assert_says(&page, "name", "<module>");
        assert_says(&page, "compiled from", one.source.to_str().unwrap());
        assert!(!page.iter().any(|(name, _)| name == "trailing data"), "{page:#?}");
    }
}

#[test]
fn a_body_is_laid_open() {
    let one = One::new();
    fs::write(&one.source, "import os\n\n\ndef f():\n    return lambda: os\n").unwrap();
    touch(&one.source);
    for interpreter in implementations() {
        let entry = one.compile(interpreter, "TIMESTAMP");
        let mut bytes = fs::read(&entry).unwrap();
        bytes.extend(b"more");
        fs::write(&entry, &bytes).unwrap();
        let page = one.page(&entry, &[]);
        assert_says(&page, "status", "fresh");
        assert_says(&page, "body", "3 code objects, lines 1-5");
        assert_says(&page, "trailing data", "4 bytes, ignored by Python");
        // Its import works, as the page says.
        answer(one.world.python(interpreter).args(["-c", "import one.a"])).exits(0);

        bytes.truncate(40);
        fs::write(&entry, &bytes).unwrap();
        let name = if interpreter.tag.starts_with("pypy") { "PyPy" } else { "Python" };
        let (_, minor) = pycstore::pyc::name::python_of_tag(&interpreter.tag).unwrap();
        let page = one.page(&entry, &[]);
        assert_says(&page, "status", "corrupt (body)");
        let next = "fails at every import until the entry is removed: pycstore verify --fix";
        assert_says(&page, "next import", &format!("{name} 3.{minor} {next}"));
        let body = page.iter().find(|(name, _)| name == "body").unwrap();
        assert!(body.1.starts_with("cannot be loaded: the body ends too early, at byte 2"), "{body:?}");
        let line = one.json(&entry, &[]);
        assert_eq!((&line["status"], &line["reason"]), (&json!("corrupt"), &json!("body")));
        assert_eq!(line["body"]["fault"], "the body ends too early");
        let import = answer(one.world.python(interpreter).args(["-c", "import one.a"]));
        assert_eq!(import.code, 1, "{}: {import:?}", interpreter.tag);
    }
}

#[test]
fn a_body_compiled_elsewhere_says_where() {
    let one = One::new();
    let entry = one.compile(newest(), "TIMESTAMP");
    let moved = one.world.home.join("two");
    fs::rename(one.source.parent().unwrap(), &moved).unwrap();
    let mirrored = one.world.mirror(&moved);
    fs::rename(entry.parent().unwrap(), &mirrored).unwrap();
    let page = one.page(&mirrored.join(entry.file_name().unwrap()), &[]);
    assert_says(&page, "status", "fresh");
    assert_says(&page, "compiled from", &format!("{} (moved since)", one.source.display()));
}

#[test]
fn a_hash_is_shown_beside_the_one_that_it_is_compared_with() {
    let one = One::new();
    for interpreter in implementations() {
        let entry = one.compile(interpreter, "CHECKED_HASH");
        let hash = one.hash(interpreter);
        let line = one.json(&entry, &[]);
        assert_eq!((&line["status"], &line["invalidation"]), (&json!("fresh"), &json!("checked-hash")));
        assert_eq!(line["header"]["source_hash"], hash, "{}", interpreter.tag);
        assert_eq!(line["source_now"]["hash"], hash, "{}", interpreter.tag);
        let page = one.page(&entry, &[]);
        assert_says(&page, "flags", "0x3 (checked-hash)");
        assert_says(&page, "recorded hash", &hash);
        assert_says(&page, "hash", &hash);
    }
    // Same size, same mtime: only the hash tells.
    let entry = one.compile(newest(), "UNCHECKED_HASH");
    let before = one.hash(newest());
    fs::write(&one.source, "x = 2\n").unwrap();
    touch(&one.source);
    let page = one.page(&entry, &[]);
    assert_says(&page, "status", "fresh");
    assert!(!page.iter().any(|(name, _)| name == "hash"), "an import does not hash the source: {page:?}");
    let page = one.page(&entry, &["--check-unchecked"]);
    assert_says(&page, "status", "stale (hash)");
    assert_says(&page, "recorded hash", &before);
    assert_says(&page, "hash", &one.hash(newest()));
    let found = one.json(&entry, &["--check-unchecked"]);
    assert_eq!(
        (&found["header"]["source_hash"], &found["source_now"]["hash"]),
        (&json!(before), &json!(one.hash(newest())))
    );
    assert_ne!(before, one.hash(newest()));
}

#[test]
fn it_says_what_python_would_do_next() {
    let one = One::new();
    let python = format!("Python 3.{}", pycstore::pyc::name::python_of_tag(&newest().tag).unwrap().1);
    let entry = one.compile(newest(), "TIMESTAMP");
    let good = fs::read(&entry).unwrap();
    let again = format!("{python} recompiles the source and replaces the entry");
    let with = |at: usize, bytes: &[u8]| {
        let mut damaged = good.clone();
        damaged[at..at + bytes.len()].copy_from_slice(bytes);
        damaged
    };
    for (bytes, status, field, value) in [
        (with(0, &3394_u16.to_le_bytes()), "stale (magic)", "magic", "3394 (Python 3.7)"),
        (with(0, &3393_u16.to_le_bytes()), "stale (magic)", "magic", "3393 (a pre-release of Python 3.7)"),
        (with(0, &17_u16.to_le_bytes()), "stale (magic)", "magic", "17 (unknown to this version)"),
        (with(4, &[0x80]), "stale (flags)", "flags", "0x80 (unknown flags)"),
        (
            with(8, &[1, 0, 0, 0x80]),
            "stale (mtime)",
            "recorded mtime",
            "2147483649 (2038-01-19 03:14:09 +00:00)",
        ),
        (with(12, &[0, 0, 1, 0]), "stale (size)", "recorded size", "65 536 bytes"),
        (with(2, b"\n\r"), "corrupt (not-bytecode)", "header", "none: bytes 2-3 are not \\r\\n"),
        (good[..15].to_vec(), "corrupt (truncated)", "header", "none: fewer than 16 bytes"),
        (Vec::new(), "corrupt (truncated)", "header", "none: fewer than 16 bytes"),
    ] {
        fs::write(&entry, bytes).unwrap();
        let page = one.page(&entry, &[]);
        assert_says(&page, "status", status);
        assert_says(&page, "next import", &again);
        assert_says(&page, field, value);
        let header = &one.json(&entry, &[])["header"];
        assert_eq!(header.is_null(), field == "header", "{header}");
    }
    fs::write(&entry, &good).unwrap();

    let tag = &newest().tag;
    for (name, status, next) in [
        (format!("a.{tag}.opt-1.pyc"), "fresh", format!("{python} -O loads it")),
        (format!("a.{tag}.opt-2.pyc"), "fresh", format!("{python} -OO loads it")),
        (format!("a.{tag}.opt-typeguard460.pyc"), "fresh", format!("typeguard460 on {python} loads it")),
        (format!("a.{tag}-pytest-9.2.0.pyc"), "fresh", format!("pytest 9.2.0 on {python} loads it")),
        (format!("a.{tag}.pyc.140234866"), "temporary", "never loaded, and never removed by Python".into()),
        (format!("b.{tag}.pyc"), "orphan (source)", "never loaded: its source was deleted".into()),
        ("README".into(), "foreign", "ignored by Python".into()),
    ] {
        let other = entry.with_file_name(name);
        fs::copy(&entry, &other).unwrap();
        date_back(&other);
        let page = one.page(&other, &[]);
        assert_says(&page, "status", status);
        assert_says(&page, "next import", &next);
        let line = one.json(&other, &[]);
        assert_eq!(line["status"], status.split(' ').next().unwrap());
    }
    fs::remove_dir_all(one.source.parent().unwrap()).unwrap();
    let page = one.page(&entry, &[]);
    assert_says(&page, "status", "orphan (root)");
    assert_says(&page, "next import", "never loaded: its source was deleted");
    // Without its marker the place alone tells what it was.
    let owner = page.iter().find(|(name, _)| name.starts_with("owner (")).unwrap();
    assert!(owner.0.ends_with(", gone)"), "{owner:?}");
    assert_eq!(owner.1, one.source.parent().unwrap().to_str().unwrap());
    assert_eq!(one.json(&entry, &[])["source_now"], Value::Null);
}

#[test]
fn several_are_answered_and_what_is_missing_is_said() {
    let one = One::new();
    let entries: Vec<PathBuf> = interpreters().iter().map(|it| one.compile(it, "TIMESTAMP")).collect();
    let missing = one.world.store.join("no/such/a.cpython-312.pyc");
    let mut arguments = vec!["inspect".as_ref(), "--json".as_ref(), missing.as_os_str()];
    arguments.extend(entries.iter().map(|entry| entry.as_os_str()));
    let answer = one.world.pycstore(arguments).exits(1);
    let paths: Vec<String> =
        answer.json_lines().iter().map(|line| line["path"].as_str().unwrap().to_string()).collect();
    assert_eq!(paths, entries.iter().map(|entry| entry.to_str().unwrap()).collect::<Vec<_>>());
    assert_eq!(answer.stderr, format!("pycstore: no such entry: {}\n", missing.display()));
}

#[test]
#[cfg_attr(feature = "portable", ignore = "needs O_NOATIME")]
fn looking_does_not_count_as_use() {
    let one = One::new();
    let entry = one.compile(newest(), "TIMESTAMP");
    // Under relatime the next read would move an atime that lies before the mtime.
    let long_ago = UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    let times = fs::FileTimes::new().set_accessed(long_ago).set_modified(long_ago + Duration::from_secs(60));
    fs::File::options().write(true).open(&entry).unwrap().set_times(times).unwrap();
    for command in ["inspect", "source"] {
        one.world.pycstore([command.as_ref(), entry.as_os_str()]).exits(0);
    }
    one.world.pycstore(["which".as_ref(), one.source.as_os_str()]).exits(0);
    assert_eq!(fs::metadata(&entry).unwrap().accessed().unwrap(), long_ago);
    let page = one.page(&entry, &[]);
    assert_says(&page, "accessed", "2020-09-13 12:26:40 +00:00 (not read since it was written)");
}
