//! `pycstore verify`

use crate::support::{
    Answer, Interpreter, World, age, answer, assert_only_gone, far_apart, implementations, newest,
};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: Duration = Duration::from_secs(86_400);

/// Runs `pycstore verify` where this interpreter can be found.
fn verify(world: &World, interpreter: &Interpreter, arguments: &[&str]) -> Answer {
    let mut command = world.program();
    command.env("PATH", interpreter.path.parent().unwrap()).env("PYTHONPYCACHEPREFIX", &world.store);
    answer(command.arg("verify").args(arguments))
}

/// What is found, as (finding, severity, entry).
fn found(answer: &Answer) -> Vec<(String, String, PathBuf)> {
    let text = |line: &Value, key: &str| line[key].as_str().unwrap().to_string();
    let lines = answer.json_lines();
    let is_said = |line: &Value, key: &str| !line[key].as_str().unwrap().is_empty();
    assert!(
        lines.iter().all(|line| line["schema"] == 1 && is_said(line, "detail") && is_said(line, "remedy"))
    );
    lines.iter().map(|it| (text(it, "finding"), text(it, "severity"), text(it, "path").into())).collect()
}

fn finding(what: &str, severity: &str, path: &Path) -> (String, String, PathBuf) {
    (what.into(), severity.into(), path.into())
}

/// A project with modules a day old, each with a function, compiled by this interpreter.
fn project(world: &World, interpreter: &Interpreter, modules: &[&str]) -> PathBuf {
    let project = world.project("project", &[]);
    for (index, module) in modules.iter().enumerate() {
        let source = world
            .write(format!("project/{module}.py"), format!("NAME = {module:?}\ndef f(a): return a, 1.5\n"));
        age(&source, DAY + Duration::from_secs(60 * index as u64));
    }
    world.compile(interpreter, &[], &[&project]);
    project
}

/// Sets an mtime.
fn touch(path: &Path, modified: SystemTime) {
    fs::File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
}

#[test]
fn a_corrupt_body_breaks_imports_until_it_is_removed() {
    for interpreter in far_apart() {
        let world = World::new();
        let modules = ["cut", "empty", "zeroed", "garbled", "sound"];
        let project = project(&world, interpreter, &modules);
        let entry = |module: &str| world.entry(&project.join(format!("{module}.py")), interpreter, "");
        let damage = |module: &str, change: fn(&mut Vec<u8>)| {
            let mut bytes = fs::read(entry(module)).unwrap();
            change(&mut bytes);
            fs::write(entry(module), bytes).unwrap();
        };
        damage("cut", |bytes| bytes.truncate(bytes.len() - 9));
        damage("empty", |bytes| bytes.truncate(16));
        damage("zeroed", |bytes| bytes[16..].fill(0));
        // A reference to nothing. A type code that nobody knows is no fault of PyPy 3.11.
        damage("garbled", |bytes| bytes[16] = b'r');
        let import = |module: &str| {
            let mut python = world.command(&interpreter.path);
            python.args(["-I", "-S", "-B", "-X"]).arg(format!("pycache_prefix={}", world.store.display()));
            let code = format!(
                "import sys; sys.path.insert(0, {:?}); import {module}",
                project.display().to_string()
            );
            answer(python.args(["-c", &code])).code
        };
        let broken = ["cut", "empty", "garbled", "zeroed"];
        for module in modules {
            assert_eq!(import(module) != 0, broken.contains(&module), "{}: {module}", interpreter.tag);
        }

        let told = verify(&world, interpreter, &["--json"]).exits(1);
        let expected: Vec<_> = broken.iter().map(|module| finding("body", "fault", &entry(module))).collect();
        assert_eq!(found(&told), expected, "{}", interpreter.tag);
        assert_eq!(found(&verify(&world, interpreter, &["--json", "/nowhere"]).exits(0)), []);

        let before = World::snapshot(&world.home);
        verify(&world, interpreter, &["--fix"]).exits(0);
        let gone: Vec<PathBuf> = broken.iter().map(|module| entry(module)).collect();
        let state = world.home.join(".local");
        fs::remove_dir_all(&state).unwrap();
        let gone: Vec<&Path> = gone.iter().map(PathBuf::as_path).collect();
        assert_only_gone(&before, &World::snapshot(&world.home), &gone);
        for module in modules {
            assert_eq!(import(module), 0, "{}: {module}", interpreter.tag);
        }
        verify(&world, interpreter, &[]).exits(0);
    }
}

#[test]
fn only_a_deep_prune_reads_bodies() {
    let (world, interpreter) = (World::new(), newest());
    let project = project(&world, interpreter, &["a", "b"]);
    let entry = world.entry(&project.join("a.py"), interpreter, "");
    let length = fs::metadata(&entry).unwrap().len();
    fs::File::options().write(true).open(&entry).unwrap().set_len(length - 1).unwrap();
    let before = World::snapshot(&world.store);
    world.pycstore(["prune", "--corrupt"]).exits(0);
    assert_only_gone(&before, &World::snapshot(&world.store), &[]);
    world.pycstore(["prune", "--deep"]).exits(2);
    let removed = world.pycstore(["prune", "--corrupt", "--deep", "--json"]).exits(0).json();
    assert_eq!(removed["removed"]["files"], 1);
    assert_only_gone(&before, &World::snapshot(&world.store), &[&entry]);
}

#[test]
#[cfg_attr(feature = "portable", ignore = "needs O_NOATIME")]
fn verify_does_not_disturb_last_use() {
    let (world, interpreter) = (World::new(), newest());
    let project = project(&world, interpreter, &["a"]);
    let entry = world.entry(&project.join("a.py"), interpreter, "");
    age(&entry, Duration::from_secs(3600));
    let before = fs::metadata(&entry).unwrap().accessed().unwrap();
    verify(&world, interpreter, &["--recompile"]).exits(0);
    assert_eq!(fs::metadata(&entry).unwrap().accessed().unwrap(), before);
}

/// Waits until the clock that stamps files has gone on: it may be some milliseconds behind.
fn let_the_clock_go_on() {
    std::thread::sleep(Duration::from_millis(30));
}

/// Changes a source without a trace in the header: as many bytes, and the mtime is set back.
fn edit_unnoticed(source: &Path) {
    let modified = fs::metadata(source).unwrap().modified().unwrap();
    let edited = fs::read_to_string(source).unwrap().replace("1.5", "2.5");
    fs::write(source, edited).unwrap();
    touch(source, modified);
}

#[test]
fn an_edit_within_the_second_is_racy_and_proved_a_mismatch() {
    for interpreter in far_apart() {
        let world = World::new();
        let project = project(&world, interpreter, &["a", "b"]);
        let source = project.join("a.py");
        let entry = world.entry(&source, interpreter, "");
        let second =
            fs::metadata(&source).unwrap().modified().unwrap().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let at =
            |milliseconds| UNIX_EPOCH + Duration::from_secs(second) + Duration::from_millis(milliseconds);
        // Compiled in the second of the source's last change, and not edited since: that is no evidence.
        let told = verify(&world, interpreter, &["--json"]).exits(0);
        assert_eq!(found(&told), [], "{}", interpreter.tag);

        touch(&entry, at(300));
        let edited = fs::read_to_string(&source).unwrap().replace("1.5", "2.5");
        fs::write(&source, edited).unwrap();
        touch(&source, at(400));
        let told = verify(&world, interpreter, &["--json"]).exits(0);
        assert_eq!(found(&told), [finding("racy", "warning", &entry)], "{}", interpreter.tag);
        let told = verify(&world, interpreter, &["--json", "--recompile"]).exits(1);
        let proved = [finding("mismatch", "fault", &entry)];
        assert_eq!(found(&told), proved, "{}: the proof replaces the warning", interpreter.tag);
        assert!(told.json_lines().iter().all(|line| line["removed"] == false));

        let before = World::snapshot(&world.store);
        let told = verify(&world, interpreter, &["--json", "--recompile", "--fix"]).exits(0);
        assert_eq!(found(&told), proved, "{}", interpreter.tag);
        assert!(told.json_lines().iter().all(|line| line["removed"] == true), "{}", told.stdout);
        assert_only_gone(&before, &World::snapshot(&world.store), &[&entry]);
        assert_eq!(found(&verify(&world, interpreter, &["--json", "--recompile"]).exits(0)), []);
    }
}

#[test]
fn a_source_whose_inode_changed_after_it_was_compiled_is_told_until_it_is_proved() {
    for interpreter in far_apart() {
        let world = World::new();
        let project = project(&world, interpreter, &["edited", "executable", "linked", "untouched"]);
        let source = |module: &str| project.join(format!("{module}.py"));
        let entry = |module: &str| world.entry(&source(module), interpreter, "");
        assert_eq!(found(&verify(&world, interpreter, &["--json"]).exits(0)), [], "{}", interpreter.tag);
        let_the_clock_go_on();
        edit_unnoticed(&source("edited"));
        fs::set_permissions(source("executable"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::hard_link(source("linked"), world.home.join("link.py")).unwrap();

        let told = verify(&world, interpreter, &["--json"]).exits(0);
        let changed = |module| finding("changed", "warning", &entry(module));
        assert_eq!(found(&told), [changed("edited"), changed("executable")], "{}", interpreter.tag);
        let shown = verify(&world, interpreter, &[]).exits(0).stdout;
        assert!(shown.contains("pycstore verify --recompile shows whether it does"), "{shown}");
        assert_eq!(shown.lines().count(), 3, "in a pipe each finding is a line: {shown}");
        let screen = String::from_utf8(world.pycstore_on_terminal(80, ["verify"])).unwrap();
        assert_eq!(
            screen.matches("\n            hint: pycstore verify --recompile shows").count(),
            2,
            "{screen}"
        );
        // Nothing is removed on suspicion.
        let before = World::snapshot(&world.store);
        verify(&world, interpreter, &["--fix"]).exits(0);
        assert_only_gone(&before, &World::snapshot(&world.store), &[]);

        let told = verify(&world, interpreter, &["--json", "--recompile"]).exits(1);
        let proved = [finding("mismatch", "fault", &entry("edited"))];
        assert_eq!(found(&told), proved, "{}: the proof replaces the warning", interpreter.tag);
        verify(&world, interpreter, &["--recompile", "--fix"]).exits(0);
        assert_only_gone(&before, &World::snapshot(&world.store), &[&entry("edited")]);
    }
}

#[test]
fn many_changed_inodes_are_one_warning() {
    let (world, interpreter) = (World::new(), newest());
    let names: Vec<String> = (0..10).map(|number| format!("m{number}")).collect();
    let project = project(&world, interpreter, &names.iter().map(String::as_str).collect::<Vec<_>>());
    let_the_clock_go_on();
    for name in &names {
        fs::set_permissions(project.join(format!("{name}.py")), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let told = verify(&world, interpreter, &["--json"]).exits(0);
    assert_eq!(found(&told), [finding("changed", "warning", &project)]);
    assert_eq!(told.json_lines()[0]["entries"], 10);
    assert_eq!(found(&verify(&world, interpreter, &["--json", "--recompile"]).exits(0)), []);
    // One of them was really changed.
    edit_unnoticed(&project.join("m3.py"));
    let told = verify(&world, interpreter, &["--json", "--recompile"]).exits(1);
    let entry = world.entry(&project.join("m3.py"), interpreter, "");
    assert_eq!(found(&told), [finding("mismatch", "fault", &entry)]);
}

#[test]
fn an_unchecked_hash_that_no_longer_matches_is_a_fault() {
    for interpreter in far_apart() {
        let world = World::new();
        let project = world.project("project", &["edited.py", "same.py", "checked.py"]);
        let entry = |module: &str| world.entry(&project.join(module), interpreter, "");
        world.compile(interpreter, &["--invalidation-mode", "unchecked-hash"], &[&project]);
        let checked = project.join("checked.py");
        fs::remove_file(entry("checked.py")).unwrap();
        world.compile(interpreter, &["--invalidation-mode", "checked-hash"], &[&checked]);
        assert_eq!(found(&verify(&world, interpreter, &["--json"]).exits(0)), [], "{}", interpreter.tag);
        fs::write(project.join("edited.py"), "NAME = 'new, and longer'\n").unwrap();
        fs::write(&checked, "NAME = 'new, and longer'\n").unwrap();

        let told = verify(&world, interpreter, &["--json"]).exits(1);
        let unchecked = finding("unchecked", "fault", &entry("edited.py"));
        assert_eq!(found(&told), std::slice::from_ref(&unchecked), "{}", interpreter.tag);
        let told = verify(&world, interpreter, &["--json", "--recompile"]).exits(1);
        let mismatch = finding("mismatch", "fault", &entry("edited.py"));
        assert_eq!(found(&told), [mismatch], "{}", interpreter.tag);

        let before = World::snapshot(&world.store);
        verify(&world, interpreter, &["--fix"]).exits(0);
        assert_only_gone(&before, &World::snapshot(&world.store), &[&entry("edited.py")]);
    }
}

#[test]
fn other_code_than_the_source_compiles_to_is_a_mismatch() {
    for interpreter in implementations() {
        let world = World::new();
        let project = project(&world, interpreter, &["a", "b"]);
        let entry = |module: &str| world.entry(&project.join(module), interpreter, "");
        verify(&world, interpreter, &["--recompile"]).exits(0);
        let other = world.write("evil/a.py", "NAME = 'a'\ndef f(a): return a, -0.0\n");
        world.compile(interpreter, &[], &[other.parent().unwrap()]);
        let body = fs::read(world.entry(&other, interpreter, "")).unwrap().split_off(16);
        let mut planted = fs::read(entry("a.py")).unwrap();
        planted.truncate(16);
        planted.extend(body);
        fs::write(entry("a.py"), planted).unwrap();
        let only = project.to_str().unwrap();
        let told = verify(&world, interpreter, &["--json", only]).exits(0);
        assert_eq!(found(&told), [finding("moved", "notice", &entry("a.py"))], "{}", interpreter.tag);
        let told = verify(&world, interpreter, &["--json", "--recompile", only]).exits(1);
        let both = [finding("moved", "notice", &entry("a.py")), finding("mismatch", "fault", &entry("a.py"))];
        assert_eq!(found(&told), both, "{}", interpreter.tag);
        let before = World::snapshot(&world.store);
        let told = verify(&world, interpreter, &["--recompile", only]).exits(1);
        assert!(told.stdout.contains("pycstore verify --recompile --fix removes it"), "{}", told.stdout);
        let told = verify(&world, interpreter, &["--recompile", "--fix", only]).exits(0);
        assert!(!told.stdout.contains("--fix"), "it is being fixed: {}", told.stdout);
        assert_only_gone(&before, &World::snapshot(&world.store), &[&entry("a.py")]);
    }
}

#[test]
fn what_is_not_known_is_not_checked_and_nobody_removes_it() {
    let (world, interpreter) = (World::new(), newest());
    let project = project(&world, interpreter, &["a"]);
    let entry = world.entry(&project.join("a.py"), interpreter, "");
    fs::remove_file(&entry).unwrap();
    let source = fs::metadata(project.join("a.py")).unwrap();
    let entries = [
        ("cpython-316", 3740_u16, 0),
        ("cpython-317", 3790, 1),
        ("graalpy240-311", 21_150, 0),
        ("pypy310", 384, 0),
        ("pypy311", 416, 0),
        ("pypy311.opt-1", 448, 1),
        ("rustpython-0_4", 12_897, 1),
    ];
    let mirror = world.mirror(&project);
    for (tag, magic, later) in entries {
        let mut bytes = magic.to_le_bytes().to_vec();
        bytes.extend(*b"\r\n\0\0\0\0");
        bytes.extend((source.mtime() as u32 + later).to_le_bytes());
        bytes.extend((source.len() as u32).to_le_bytes());
        bytes.extend(b"\xf7\x01\x02 another format");
        fs::write(mirror.join(format!("a.{tag}.pyc")), bytes).unwrap();
    }
    let told = verify(&world, interpreter, &["--json"]).exits(0);
    assert!(found(&told).iter().all(|(what, severity, path)| {
        (what.as_str(), severity.as_str()) == ("not-checked", "notice") && *path == world.store
    }));
    let counts: Vec<_> = told.json_lines().iter().map(|line| line["entries"].as_u64().unwrap()).collect();
    assert_eq!(counts, [1, 1, 1, 1, 2, 1], "{}", told.stdout);
    insta::assert_snapshot!(verify(&world, interpreter, &["--fix"]).shown(), @r"
    exit: 0
    ----- stdout -----
    2 entries examined: 0 faults, 0 warnings, 6 notices; 7 not checked (--notices shows them)
    ----- stderr -----
    ");
    let listed = world.pycstore(["ls", "--json"]).exits(0).json_lines();
    let status = |line: &Value| (line["status"].as_str().unwrap().to_string(), line["reason"].clone());
    let statuses: Vec<_> = listed.iter().map(status).collect();
    // By name: the two that a table knows are judged by the rest of the header.
    for (number, (status, reason)) in statuses.iter().enumerate() {
        let expected =
            if [3, 5].contains(&number) { ("fresh", Value::Null) } else { ("unknown", "magic".into()) };
        assert_eq!((status.as_str(), reason), (expected.0, &expected.1), "{statuses:?}");
    }

    let before = World::snapshot(&world.store);
    for selectors in [&["--stale"][..], &["--corrupt"], &["--corrupt", "--deep"], &["--orphans"]] {
        world.pycstore([&["prune"][..], selectors].concat()).exits(0);
    }
    // Nothing but tags of which all is known can be of a dead interpreter.
    fs::remove_file(mirror.join("a.pypy310.pyc")).unwrap();
    let before_dead = World::snapshot(&world.store);
    assert_only_gone(&before, &before_dead, &[&mirror.join("a.pypy310.pyc")]);
    world.pycstore(["prune", "--dead-interpreters"]);
    assert_only_gone(&before_dead, &World::snapshot(&world.store), &[]);
    // A deleted source still decides.
    fs::remove_dir_all(&project).unwrap();
    assert_eq!(world.pycstore(["prune", "--orphans", "--json"]).exits(0).json()["removed"]["files"], 6);
}

#[test]
fn what_the_library_compiled_to_is_proved() {
    let far_apart = far_apart();
    for interpreter in implementations() {
        let is_far = far_apart.iter().any(|it| it.tag == interpreter.tag);
        for flags in [&[][..], &["-OO"]].into_iter().take(if is_far { 2 } else { 1 }) {
            let world = World::new();
            world.import(interpreter, flags, &["json.tool", "typing", "dataclasses", "decimal", "asyncio"]);
            let told = verify(&world, interpreter, &["--recompile"]).exits(0);
            let entries = crate::support::files(&world.store).len();
            let expected = format!("{entries} entries examined: 0 faults");
            assert!(told.stdout.contains(&expected), "{}: {entries}: {}", interpreter.tag, told.stdout);
            assert!(
                told.stdout.contains(&format!("; {entries} confirmed by recompiling")),
                "{}: {}",
                interpreter.tag,
                told.stdout
            );
        }
    }
}

#[test]
fn mtimes_that_images_set_are_told_once_for_each_owner() {
    let (world, interpreter) = (World::new(), newest());
    let project = world.project("project", &["a.py", "b.py", "c.py", "d.py"]);
    for (module, mtime) in [("a.py", 0), ("b.py", 1), ("c.py", 1_500_000_000), ("d.py", 0)] {
        touch(&project.join(module), UNIX_EPOCH + Duration::from_secs(mtime));
    }
    // A checkout gives all its files one second; that is a time like any other.
    let names: Vec<String> = (0..12).map(|number| format!("m{number}.py")).collect();
    let tree = world.project("tree", &names.iter().map(String::as_str).collect::<Vec<_>>());
    for name in &names {
        touch(&tree.join(name), UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    }
    world.compile(interpreter, &[], &[&project, &tree]);
    // Sources are counted, not their entries.
    answer(
        world.compiler(interpreter, "compileall.compile_dir(sys.argv[1], quiet=1, optimize=1)").arg(&project),
    )
    .exits(0);
    let frozen = finding("frozen", "notice", &project);
    let details = |answer: &Answer| -> Vec<String> {
        answer.json_lines().iter().map(|line| line["detail"].as_str().unwrap()[..32].to_string()).collect()
    };
    let told = verify(&world, interpreter, &["--json"]).exits(0);
    assert_eq!(found(&told), [frozen.clone(), frozen.clone()]);
    assert_eq!(
        details(&told),
        ["2 sources have the mtime 0, which", "1 source has the mtime 1, which "].map(|it| &it[..32])
    );

    let mut command = world.program();
    command.args(["verify", "--json"]).env("SOURCE_DATE_EPOCH", "1500000000");
    let told = answer(command.env("PYTHONPYCACHEPREFIX", &world.store)).exits(0);
    assert_eq!(found(&told), vec![frozen; 3]);
    insta::assert_snapshot!(verify(&world, interpreter, &[]).shown(), @r"
    exit: 0
    ----- stdout -----
    20 entries examined: 0 faults, 0 warnings, 2 notices (--notices shows them)
    ----- stderr -----
    ");
}

#[test]
fn without_an_interpreter_nothing_is_proved() {
    let (world, interpreter) = (World::new(), newest());
    let project = project(&world, interpreter, &["a"]);
    let entry = world.entry(&project.join("a.py"), interpreter, "");
    // A magic that is known, of an interpreter that is not here.
    let mut bytes = fs::read(&entry).unwrap();
    bytes[..2].copy_from_slice(&384_u16.to_le_bytes());
    fs::write(entry.with_file_name("a.pypy310.pyc"), bytes).unwrap();
    verify(&world, interpreter, &[]).exits(0);
    let told = verify(&world, interpreter, &["--recompile"]).exits(1);
    assert!(
        told.stderr.contains("1 entry not recompiled: no interpreter found for pypy310"),
        "{}",
        told.stderr
    );
    assert!(told.stdout.contains("; 1 confirmed by recompiling"), "{}", told.stdout);
}

/// Writes an entry with a constant that is small in the file and huge to whoever walks through it: a tuple of twice the next
/// tuple, 60 times. `sys.argv`: `tuple`, or `set` for a set of it, whose hash has to be computed; the entry; the source.
const BOMB: &str = r#"
import importlib.util, marshal, os, struct, sys
kind, entry, source = sys.argv[1:]
code = compile(open(source).read(), source, "exec")
constant = b"\xa9\x00"
for level in reversed(range(60)):
    constant = b"\xa9\x02" + constant + b"r" + struct.pack("<i", level + 1)
if kind == "set":
    constant = b">" + struct.pack("<i", 1) + constant
# Version 2 of the format has no references of its own.
body = marshal.dumps(code.replace(co_consts=("the constant",)), 2)
mark = marshal.dumps("the constant", 2)
assert body.count(mark) == 1
body = body.replace(mark, constant)
status = os.stat(source)
header = importlib.util.MAGIC_NUMBER + struct.pack("<III", 0, int(status.st_mtime), status.st_size)
open(entry, "wb").write(header + body)
"#;

#[test]
fn an_entry_that_keeps_its_interpreter_busy_leaves_the_others_proved() {
    let (world, interpreter) = (World::new(), newest());
    let project = project(&world, interpreter, &["a", "b", "c", "d", "e"]);
    for (kind, module) in [("tuple", "a"), ("set", "c")] {
        let source = project.join(format!("{module}.py"));
        let entry = world.entry(&source, interpreter, "");
        let mut command = world.command(&interpreter.path);
        answer(command.args(["-B", "-c", BOMB, kind]).arg(&entry).arg(&source)).exits(0);
        assert!(entry.metadata().unwrap().len() < 1000);
    }
    let began = std::time::Instant::now();
    let told = verify(&world, interpreter, &["--recompile"]).exits(1);
    insta::assert_snapshot!(told.shown(), @r"
    exit: 1
    ----- stdout -----
    5 entries examined: 0 faults, 0 warnings, 0 notices; 3 confirmed by recompiling
    ----- stderr -----
    pycstore: cannot recompile and compare /home/me/.cache/cpython/home/me/project/a.cpython-3.N.pyc: PYTHON ended, or exceeded its limit of time or memory
    pycstore: cannot recompile and compare /home/me/.cache/cpython/home/me/project/c.cpython-3.N.pyc: PYTHON ended, or exceeded its limit of time or memory
    ");
    assert_eq!(
        told.stderr.matches(" ended, or exceeded its limit of time or memory\n").count(),
        2,
        "{told:?}"
    );
    // Each has 6 seconds of a processor, which others may need as well.
    assert!(began.elapsed() < Duration::from_secs(100), "{:?}", began.elapsed());
}

#[test]
fn large_entries_are_held_one_at_a_time() {
    let world = World::new();
    for number in 0..8 {
        let project = world.project(&format!("p{number}"), &["m.py"]);
        world.compile(newest(), &[], &[&project]);
        let entry = world.entry(&project.join("m.py"), newest(), "");
        // A file with a hole behind the header: it takes no room, and whoever reads it needs all of its length.
        let file = fs::File::options().write(true).open(entry).unwrap();
        file.set_len(16).unwrap();
        file.set_len(160 << 20).unwrap();
    }
    let program = env!("CARGO_BIN_EXE_pycstore");
    let script = format!("ulimit -v 900000; exec '{program}' --threads 8 verify");
    let mut command = world.command("sh");
    command.args(["-c", &script]).env("PYTHONPYCACHEPREFIX", &world.store).env("MALLOC_ARENA_MAX", "1");
    insta::assert_snapshot!(answer(&mut command).shown(), @r"
    exit: 1
    ----- stdout -----
    body  /home/me/.cache/cpython/home/me/p0/m.cpython-3.N.pyc: every import fails: an unknown type code, at byte N of the body; pycstore verify --fix removes it, and Python compiles it again
    body  /home/me/.cache/cpython/home/me/p1/m.cpython-3.N.pyc: every import fails: an unknown type code, at byte N of the body; pycstore verify --fix removes it, and Python compiles it again
    body  /home/me/.cache/cpython/home/me/p2/m.cpython-3.N.pyc: every import fails: an unknown type code, at byte N of the body; pycstore verify --fix removes it, and Python compiles it again
    body  /home/me/.cache/cpython/home/me/p3/m.cpython-3.N.pyc: every import fails: an unknown type code, at byte N of the body; pycstore verify --fix removes it, and Python compiles it again
    body  /home/me/.cache/cpython/home/me/p4/m.cpython-3.N.pyc: every import fails: an unknown type code, at byte N of the body; pycstore verify --fix removes it, and Python compiles it again
    body  /home/me/.cache/cpython/home/me/p5/m.cpython-3.N.pyc: every import fails: an unknown type code, at byte N of the body; pycstore verify --fix removes it, and Python compiles it again
    body  /home/me/.cache/cpython/home/me/p6/m.cpython-3.N.pyc: every import fails: an unknown type code, at byte N of the body; pycstore verify --fix removes it, and Python compiles it again
    body  /home/me/.cache/cpython/home/me/p7/m.cpython-3.N.pyc: every import fails: an unknown type code, at byte N of the body; pycstore verify --fix removes it, and Python compiles it again
    8 entries examined: 8 faults, 0 warnings, 0 notices
    ----- stderr -----
    ");
}

#[test]
fn links_of_one_file_are_each_compared_with_their_own_source() {
    let interpreter = newest();
    let world = World::new();
    let project = project(&world, interpreter, &["a"]);
    let twin = world.write("twin/a.py", fs::read(project.join("a.py")).unwrap());
    touch(&twin, fs::metadata(project.join("a.py")).unwrap().modified().unwrap());
    world.compile(interpreter, &[], &[twin.parent().unwrap()]);
    let [one, other] = [project.join("a.py"), twin].map(|source| world.entry(&source, interpreter, ""));
    // The one that was written last stays, as with `pycstore share`.
    fs::remove_file(&one).unwrap();
    fs::hard_link(&other, &one).unwrap();
    // The code object has the path of one of them: the interpreter corrects it.
    assert_eq!(found(&verify(&world, interpreter, &["--json"]).exits(0)), []);
    assert_eq!(found(&verify(&world, interpreter, &["--json", "--recompile"]).exits(0)), []);
    let shown = world.pycstore(["inspect".as_ref(), other.as_os_str()]).exits(0).stdout;
    assert!(shown.contains(&format!("shared with        {}\n", one.display())), "{shown}");
    assert!(shown.contains("corrects co_filename") && !shown.contains("moved"), "{shown}");
    let line = world.pycstore(["inspect".as_ref(), "--json".as_ref(), other.as_os_str()]).exits(0).json();
    assert_eq!((&line["links"], &line["other_links"]["count"]), (&Value::from(2), &Value::from(1)));
    assert_eq!(line["other_links"]["paths"], serde_json::json!([one]));
    // A body that is broken is broken for both.
    let mut bytes = fs::read(&one).unwrap();
    bytes.truncate(40);
    let (file, times) = (fs::File::options().write(true).open(&one).unwrap(), fs::metadata(&one).unwrap());
    std::io::Write::write_all(&mut &file, &bytes).unwrap();
    file.set_len(40).unwrap();
    file.set_modified(times.modified().unwrap()).unwrap();
    let told = verify(&world, interpreter, &["--json"]).exits(1);
    assert_eq!(found(&told), [finding("body", "fault", &one), finding("body", "fault", &other)]);
    let told = verify(&world, interpreter, &["--fix"]).exits(0);
    assert!(told.stdout.contains("2 files"), "{}", told.stdout);
    assert!(!one.exists() && !other.exists());
}
