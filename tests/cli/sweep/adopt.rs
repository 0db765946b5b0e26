//! `pycstore sweep --adopt`: bytecode moves into the store, and the interpreters load it from there as it is.

use crate::support::confinement::REFUSALS;
use crate::support::in_tree::{cached, caches, compile_everything, paths, sweep};
use crate::support::{
    HEADER, HOUR, Interpreter, World, age, answer, assert_only_gone, compile_in_tree, files, implementations,
    interpreters, newest,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What tells whether a file of the store was written anew.
fn identities(directory: &Path) -> BTreeMap<PathBuf, (u64, i64, i64, u32)> {
    let identity = |path: PathBuf| {
        let metadata = path.metadata().unwrap();
        (path, (metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.mode()))
    };
    files(directory).into_iter().map(identity).collect()
}

/// Lets an interpreter import modules under the prefix, with a umask.
fn import(world: &World, interpreter: &Interpreter, flags: &[&str], modules: &str) {
    let mut command = world.python(interpreter);
    answer(command.args(flags).args(["-c", &format!("import {modules}")])).exits(0);
}

#[test]
fn what_is_adopted_is_not_compiled_again() {
    let world = World::new();
    let modules = ["a.py", "pkg/__init__.py", "pkg/b c.py", "pkg/deep/mod.py", "dotted.name.py"];
    let project = world.project("proj", &modules);
    for (module, mode) in [("a.py", 0o600), ("pkg/__init__.py", 0o444), ("pkg/deep/mod.py", 0o755)] {
        std::fs::set_permissions(project.join(module), PermissionsExt::from_mode(mode)).unwrap();
    }
    compile_everything(&world, &[&project]);
    let originals: BTreeMap<PathBuf, (Vec<u8>, i64, i64)> = files(&project)
        .into_iter()
        .filter(|path| path.extension() == Some(OsStr::new("pyc")))
        .map(|path| {
            let metadata = path.metadata().unwrap();
            (path.clone(), (std::fs::read(&path).unwrap(), metadata.mtime(), metadata.mtime_nsec()))
        })
        .collect();
    assert_eq!(originals.len(), implementations().len() * 3 * modules.len());

    let gone = caches(&project);
    let before = World::snapshot(&project);
    let dry = sweep(&world, [project.as_os_str(), OsStr::new("--adopt"), OsStr::new("-n")]).exits(0);
    assert!(!world.store.exists(), "a dry run makes no store");
    let real = sweep(&world, [project.as_os_str(), OsStr::new("--adopt")]).exits(0);
    assert_only_gone(&before, &World::snapshot(&project), &paths(&gone));
    let count = originals.len();
    let expected = dry.stdout.replace("would remove", "removed").replace("would adopt", "adopted");
    assert_eq!((real.stdout.as_str(), real.stderr.as_str()), (expected.as_str(), ""));
    assert!(real.stdout.contains(&format!("\nadopted {count} files, ")), "{}", real.stdout);
    assert!(real.stdout.ends_with("; removed 3 directories\n"), "{}", real.stdout);

    let mirror = world.mirror(&project);
    assert_eq!(files(&mirror).len(), count);
    for (original, (bytes, seconds, nanoseconds)) in &originals {
        let sources = original.parent().unwrap().parent().unwrap();
        let adopted = world.mirror(sources).join(original.file_name().unwrap());
        let metadata = adopted.metadata().unwrap();
        assert_eq!(std::fs::read(&adopted).unwrap(), *bytes, "{}", adopted.display());
        assert_eq!(
            (metadata.mtime(), metadata.mtime_nsec()),
            (*seconds, *nanoseconds),
            "{}",
            adopted.display()
        );
    }
    let adopted = identities(&mirror);
    for interpreter in implementations() {
        for flags in [&[][..], &["-O"], &["-OO"]] {
            import(&world, interpreter, flags, "proj.a, proj.pkg, proj.pkg.deep.mod");
        }
    }
    assert_eq!(identities(&mirror), adopted, "an interpreter compiled again");
    // The modes, and those of the directories, are those that the interpreters give.
    for (module, mode) in [("a.py", 0o600), ("pkg/__init__.py", 0o644), ("pkg/deep/mod.py", 0o644)] {
        for interpreter in implementations() {
            let entry = world.entry(&project.join(module), interpreter, "");
            let adopted = entry.metadata().unwrap().mode() & 0o7777;
            std::fs::remove_file(&entry).unwrap();
            let module = module.trim_end_matches(".py").trim_end_matches("/__init__").replace('/', ".");
            import(&world, interpreter, &[], &format!("proj.{module}"));
            assert_eq!(adopted, mode, "{module}");
            assert_eq!(adopted, entry.metadata().unwrap().mode() & 0o7777, "{module} {}", interpreter.tag);
        }
    }
    let mode = |path: &Path| path.metadata().unwrap().mode() & 0o7777;
    let adopted = mode(&mirror.join("pkg/deep"));
    std::fs::remove_dir_all(mirror.join("pkg/deep")).unwrap();
    import(&world, newest(), &[], "proj.pkg.deep.mod");
    assert_eq!(adopted, mode(&mirror.join("pkg/deep")));
}

#[test]
fn every_way_of_validation_is_adopted_and_what_is_not_valid_is_removed() {
    let world = World::new();
    let names = [
        "timestamp",
        "checked",
        "unchecked",
        "mtime",
        "size",
        "hash",
        "magic",
        "truncated",
        "gone",
        "test_t",
    ];
    let project =
        world.project("proj", &names.map(|name| format!("{name}.py")).each_ref().map(String::as_str));
    let scripts = ["gui.pyw", "tool"];
    for script in scripts {
        world.write(format!("proj/{script}"), "NAME = 1\n");
    }
    let source = |name: &str| project.join(format!("{name}.py"));
    let newest = newest();
    compile_in_tree(&world, newest, &[], &[&project]);
    for (name, mode) in
        [("checked", "checked-hash"), ("hash", "checked-hash"), ("unchecked", "unchecked-hash")]
    {
        compile_in_tree(&world, newest, &["-f", "--invalidation-mode", mode], &[&source(name)]);
    }
    let code = "import py_compile, sys\nfor file in sys.argv[1:]: py_compile.compile(file, doraise=True)";
    let mut command = world.command(&newest.path);
    answer(command.args(["-B", "-c", code]).args(scripts.map(|script| project.join(script)))).exits(0);
    // Sources that changed, except where nobody looks at them; entries that are none.
    age(&source("mtime"), HOUR);
    age(&source("checked"), HOUR);
    std::fs::write(source("hash"), "NAME = 'other'\n").unwrap();
    std::fs::write(source("unchecked"), "NAME = 'other'\n").unwrap();
    let old = source("size").metadata().unwrap().modified().unwrap();
    std::fs::write(source("size"), "NAME = 'another length'\n").unwrap();
    let times = std::fs::FileTimes::new().set_modified(old);
    std::fs::File::options().write(true).open(source("size")).unwrap().set_times(times).unwrap();
    let entry = |name: &str| cached(&source(name), newest, "");
    let mut bytes = std::fs::read(entry("magic")).unwrap();
    bytes[0] ^= 1;
    std::fs::write(entry("magic"), bytes).unwrap();
    std::fs::write(entry("truncated"), &HEADER[..10]).unwrap();
    std::fs::remove_file(source("gone")).unwrap();
    // What pytest's rewriter and a rewriter with a tag of its own write.
    let pytest = entry("test_t").with_file_name(format!("test_t.{}-pytest-9.2.0.pyc", newest.tag));
    let typeguard = entry("test_t").with_file_name(format!("test_t.{}.opt-typeguard460.pyc", newest.tag));
    std::fs::copy(entry("test_t"), &pytest).unwrap();
    std::fs::copy(entry("test_t"), &typeguard).unwrap();
    // A Python before 3.8 knows no prefix: its bytecode helps nobody there.
    let old_python = entry("test_t").with_file_name("test_t.cpython-37.pyc");
    let mut bytes = std::fs::read(entry("test_t")).unwrap();
    bytes[..2].copy_from_slice(&3394_u16.to_le_bytes());
    std::fs::write(&old_python, bytes).unwrap();

    let told =
        sweep(&world, [project.as_os_str(), OsStr::new("--adopt"), OsStr::new("--json")]).exits(0).json();
    assert!(caches(&project).is_empty());
    assert_eq!(told["removed"]["files"], json!(names.len() + scripts.len() + 3), "{told}");
    let adopted: Vec<String> = files(&world.mirror(&project))
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().replace(&newest.tag, "TAG"))
        .collect();
    let expected = [
        "checked.TAG.pyc",
        "gui.TAG.pyc",
        "test_t.TAG-pytest-9.2.0.pyc",
        "test_t.TAG.opt-typeguard460.pyc",
        "test_t.TAG.pyc",
        "timestamp.TAG.pyc",
        "toolTAG.pyc",
        "unchecked.TAG.pyc",
    ];
    assert_eq!(adopted, expected);
    assert_eq!(told["adopted"]["files"], json!(expected.len()), "{told}");
    for line in world.pycstore(["ls", "--json"]).exits(0).json_lines() {
        assert_eq!(line["status"], "fresh", "{line}");
    }
    let invalidation = |name: &str| {
        let path = world.entry(&source(name), newest, "");
        let line =
            world.pycstore([OsStr::new("inspect"), OsStr::new("--json"), path.as_os_str()]).exits(0).json();
        line["invalidation"].clone()
    };
    assert_eq!(
        ["timestamp", "checked", "unchecked"].map(invalidation),
        ["timestamp", "checked-hash", "unchecked-hash"].map(Value::from)
    );
    let before = identities(&world.mirror(&project));
    import(&world, newest, &[], "proj.timestamp, proj.checked, proj.unchecked, proj.test_t");
    assert_eq!(identities(&world.mirror(&project)), before);
}

#[test]
fn what_is_fresh_in_the_store_stays_and_what_is_stale_is_replaced() {
    let world = World::new();
    let project = world.project("proj", &["fresh.py", "stale.py", "foreign.py"]);
    let source = |name: &str| project.join(format!("{name}.py"));
    let entry = |name: &str| world.entry(&source(name), newest(), "");
    world.compile(newest(), &[], &[&project]);
    age(&source("stale"), HOUR);
    compile_in_tree(&world, newest(), &[], &[&project]);
    let original = std::fs::read(cached(&source("stale"), newest(), "")).unwrap();
    std::fs::remove_file(entry("foreign")).unwrap();
    symlink("/etc/passwd", entry("foreign")).unwrap();
    let fresh = identities(&world.mirror(&project))[&entry("fresh")];
    insta::assert_snapshot!(sweep(&world, [project.as_os_str(), OsStr::new("--adopt")]).shown(), @r"
    exit: 1
    ----- stdout -----
    SIZE  FILES  ADOPTED  OWNER
    SIZE  2  1  /home/me/proj
    adopted 1 file, SIZE; removed 1 other file, SIZE
    ----- stderr -----
    pycstore: cannot adopt /home/me/proj/__pycache__/foreign.cpython-3.N.pyc: File exists
    ");
    assert!(cached(&source("foreign"), newest(), "").exists());
    assert_eq!(std::fs::read_link(entry("foreign")).unwrap(), Path::new("/etc/passwd"));
    assert_eq!(identities(&world.mirror(&project))[&entry("fresh")], fresh);
    assert_eq!(std::fs::read(entry("stale")).unwrap(), original);
    // Nothing temporary is left.
    assert_eq!(files(&world.mirror(&project)).len(), 3);
}

#[test]
fn the_place_is_that_of_the_path_as_it_is_spelled() {
    let world = World::new();
    let project = world.project("real/proj", &["a.py"]);
    symlink(world.home.join("real"), world.home.join("link")).unwrap();
    compile_in_tree(&world, newest(), &[], &[&project]);
    let spelled = world.home.join("link/proj");
    sweep(&world, [spelled.as_os_str(), OsStr::new("--adopt")]).exits(0);
    assert_eq!(
        files(&world.store).into_iter().collect::<Vec<_>>(),
        [world.entry(&spelled.join("a.py"), newest(), "")]
    );
    let before = identities(&world.mirror(&spelled));
    let mut command = world.python(newest());
    let code = "import sys; sys.path.insert(0, sys.argv[1]); import a";
    answer(command.args(["-c", code]).arg(&spelled)).exits(0);
    assert_eq!(identities(&world.mirror(&spelled)), before);
    assert!(!world.mirror(&project).exists());
}

#[test]
fn who_may_not_read_the_original_may_not_read_the_copy() {
    let world = World::new();
    let project = world.project("proj", &["m.py"]);
    compile_in_tree(&world, newest(), &[], &[&project]);
    let original = cached(&project.join("m.py"), newest(), "");
    std::fs::set_permissions(&original, PermissionsExt::from_mode(0o600)).unwrap();
    sweep(&world, ["proj", "--adopt"]).exits(0);
    let adopted = world.entry(&project.join("m.py"), newest(), "").metadata().unwrap();
    assert_eq!(adopted.mode() & 0o7777, 0o600);
}

#[test]
fn what_is_larger_than_any_bytecode_is_not_copied() {
    let world = World::new();
    let project = world.project("proj", &["small.py", "sparse.py"]);
    compile_in_tree(&world, newest(), &[], &[&project]);
    // Its header is in order; the rest is a hole, which costs who makes it nothing.
    let sparse = cached(&project.join("sparse.py"), newest(), "");
    std::fs::File::options().write(true).open(sparse).unwrap().set_len(1 << 40).unwrap();
    insta::assert_snapshot!(sweep(&world, ["proj", "--adopt"]).shown(), @r"
    exit: 0
    ----- stdout -----
    SIZE  FILES  ADOPTED  OWNER
    SIZE  2  1  /home/me/proj
    adopted 1 file, SIZE; removed 1 other file and 1 directory, SIZE
    ----- stderr -----
    ");
    assert!(caches(&project).is_empty());
    assert!(!world.entry(&project.join("sparse.py"), newest(), "").exists());
}

/// The program is killed at any moment; what it leaves, another run finishes.
#[test]
fn a_sweep_that_is_killed_loses_nothing() {
    let world = World::new();
    let project = world.project("proj", &[]);
    for number in 0..300 {
        world.write(format!("proj/d{}/m{number}.py", number % 20), format!("A = {number}\n"));
    }
    compile_in_tree(&world, newest(), &[], &[&project]);
    let wait = |milliseconds| std::thread::sleep(Duration::from_millis(milliseconds));
    for moment in [1, 5, 10, 15, 20, 30, 40] {
        let mut command: Command = world.program();
        command.env("PYTHONPYCACHEPREFIX", &world.store).args(["-q", "sweep", "proj", "--adopt"]);
        let mut child = command.spawn().unwrap();
        wait(moment);
        child.kill().unwrap();
        child.wait().unwrap();
        // Each module has its bytecode in one place at least.
        for number in 0..300 {
            let source = project.join(format!("d{}/m{number}.py", number % 20));
            let is_there =
                cached(&source, newest(), "").exists() || world.entry(&source, newest(), "").exists();
            assert!(is_there, "{} was lost after {moment} ms", source.display());
        }
    }
    sweep(&world, ["proj", "--adopt"]).exits(0);
    assert!(caches(&project).is_empty());
    let lines = world.pycstore(["ls", "--json", "--status", "fresh"]).exits(0).json_lines();
    assert_eq!(lines.len(), 300);
}

#[test]
fn the_trees_of_all_interpreters_are_swept_where_the_kernel_helps_and_where_not() {
    for refusals in REFUSALS {
        let world = World::new();
        let tree = world.project("tree", &["a.py", "pkg/b.py", "pkg/sub/c.py"]);
        for interpreter in interpreters() {
            compile_in_tree(&world, interpreter, &[], &[&tree]);
        }
        let gone = caches(&tree);
        let before = World::snapshot(&world.home);
        let arguments = [OsStr::new("sweep"), tree.as_os_str(), OsStr::new("--adopt")];
        world.pycstore_refused(refusals, arguments).exits(0);
        let mut after = World::snapshot(&world.home);
        after.retain(|path, _| !path.starts_with(world.home.join(".cache")));
        assert_only_gone(&before, &after, &paths(&gone));
        assert_eq!(files(&world.store).len(), 3 * interpreters().len());
    }
}

/// A program that runs as an ordinary user.
fn unprivileged(world: &World, arguments: &[&str]) -> Command {
    let program = world.home.parent().unwrap().join("pycstore");
    let is_root = rustix::process::geteuid().is_root();
    let mut command = world.command(if is_root { program } else { env!("CARGO_BIN_EXE_pycstore").into() });
    if is_root {
        use std::os::unix::process::CommandExt;
        command.uid(65534).gid(65534);
    }
    command.env("PYTHONPYCACHEPREFIX", &world.store).args(arguments);
    command
}

#[test]
fn what_was_adopted_but_cannot_be_removed_is_told() {
    let world = World::new();
    let project = world.project("proj", &["a.py", "free/b.py", "fixed/c.py", "fixed/d.py"]);
    compile_in_tree(&world, newest(), &[], &[&project]);
    drop(world.unprivileged());
    let fixed = project.join("fixed/__pycache__");
    std::fs::set_permissions(&fixed, PermissionsExt::from_mode(0o555)).unwrap();
    insta::assert_snapshot!(answer(&mut unprivileged(&world, &["sweep", "proj", "--adopt"])).shown(), @r"
    exit: 1
    ----- stdout -----
    SIZE  FILES  ADOPTED  OWNER
    SIZE  2  4  /home/me/proj
    removed 2 files and 2 directories, SIZE; adopted 4 files, SIZE; could not remove 2 files
    ----- stderr -----
    pycstore: cannot remove /home/me/proj/fixed/__pycache__ (2 files): Permission denied
    ");
    assert_eq!(files(&world.store).len(), 4);

    let world = World::new();
    let project = world.project("proj", &["a.py", "b.py"]);
    compile_in_tree(&world, newest(), &[], &[&project]);
    drop(world.unprivileged());
    let cache = project.join("__pycache__");
    std::fs::set_permissions(&cache, PermissionsExt::from_mode(0o555)).unwrap();
    insta::assert_snapshot!(answer(&mut unprivileged(&world, &["sweep", "proj", "--adopt"])).shown(), @r"
    exit: 1
    ----- stdout -----
    SIZE  FILES  ADOPTED  OWNER
    SIZE  0  2  /home/me/proj
    removed nothing; adopted 2 files, SIZE; could not remove 2 files
    ----- stderr -----
    pycstore: cannot remove /home/me/proj/__pycache__ (2 files): Permission denied
    ");
    assert_eq!((files(&world.store).len(), files(&cache).len()), (2, 2));
    for path in files(&world.store) {
        std::fs::remove_file(path).unwrap();
    }
    let document = answer(&mut unprivileged(&world, &["sweep", "proj", "--adopt", "--json"])).exits(1).json();
    assert_eq!((&document["adopted"]["files"], &document["removed"]["files"]), (&json!(2), &json!(0)));
    assert_eq!(document["owners"][0]["adopted"]["files"], json!(2), "{document}");
    assert_eq!(document["failures"][0]["files"], json!(2), "{document}");
}

#[test]
fn what_cannot_be_opened_is_adopted_or_stays() {
    let program = env!("CARGO_BIN_EXE_pycstore");
    let mut seen = Vec::new();
    for limit in 5..24 {
        let world = World::new();
        let sources = ["a.py", "b.py", "c/d.py", "e/f.py", "g/h.py", "i/j/k.py"];
        let project = world.project("proj", &sources);
        compile_in_tree(&world, newest(), &[], &[&project]);
        let script = format!("ulimit -n {limit}; exec '{program}' sweep \"$HOME/proj\" --adopt --threads 4");
        let mut command = world.command("sh");
        let told = answer(command.args(["-c", &script]).env("PYTHONPYCACHEPREFIX", &world.store));
        for source in sources.map(|name| project.join(name)) {
            let places = [cached(&source, newest(), ""), world.entry(&source, newest(), "")];
            assert!(places.iter().any(|place| place.exists()), "{limit}: {source:?}: {told:?}");
        }
        seen.push((told.code, told.stderr));
    }
    assert!(seen.iter().any(|(_, told)| told.contains("Too many open files")), "{seen:?}");
    assert_eq!(seen.last(), Some(&(0, String::new())));
}
