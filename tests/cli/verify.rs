//! `pycstore verify`

use crate::support::{Answer, Interpreter, World, age, answer, assert_only_gone, implementations, newest};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: Duration = Duration::from_secs(86_400);

/// Runs `pycstore verify` where this interpreter can be found.
fn verify(world: &World, interpreter: &Interpreter, arguments: &[&str]) -> Answer {
    let mut command = world.command(env!("CARGO_BIN_EXE_pycstore"));
    command.env("PATH", interpreter.path.parent().unwrap()).env("PYTHONPYCACHEPREFIX", &world.store);
    answer(command.arg("verify").args(arguments))
}

/// What is found, as (finding, severity, entry).
fn found(answer: &Answer) -> Vec<(String, String, PathBuf)> {
    let text = |line: &Value, key: &str| line[key].as_str().unwrap().to_string();
    let lines = answer.json_lines();
    assert!(lines.iter().all(|line| line["schema"] == 1 && !line["detail"].as_str().unwrap().is_empty()));
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
    for interpreter in implementations() {
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
        damage("garbled", |bytes| bytes[16] = b'?');
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
fn verify_does_not_disturb_last_use() {
    let (world, interpreter) = (World::new(), newest());
    let project = project(&world, interpreter, &["a"]);
    let entry = world.entry(&project.join("a.py"), interpreter, "");
    age(&entry, Duration::from_secs(3600));
    let before = fs::metadata(&entry).unwrap().accessed().unwrap();
    verify(&world, interpreter, &["--recompile"]).exits(0);
    assert_eq!(fs::metadata(&entry).unwrap().accessed().unwrap(), before);
}

#[test]
fn an_edit_that_the_header_does_not_show_is_racy_and_proved_outdated() {
    for interpreter in implementations() {
        let world = World::new();
        let project = project(&world, interpreter, &["a", "b"]);
        let source = project.join("a.py");
        let entry = world.entry(&source, interpreter, "");
        let second =
            fs::metadata(&source).unwrap().modified().unwrap().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let at =
            |milliseconds| UNIX_EPOCH + Duration::from_secs(second) + Duration::from_millis(milliseconds);
        touch(&entry, at(300));
        touch(&source, at(200));
        let told = verify(&world, interpreter, &["--json", "--recompile"]).exits(0);
        assert_eq!(found(&told), [finding("racy", "notice", &entry)], "{}", interpreter.tag);

        let edited = fs::read_to_string(&source).unwrap().replace("1.5", "2.5");
        fs::write(&source, edited).unwrap();
        touch(&source, at(400));
        let told = verify(&world, interpreter, &["--json"]).exits(0);
        assert_eq!(found(&told), [finding("racy", "warning", &entry)], "{}", interpreter.tag);
        let told = verify(&world, interpreter, &["--json", "--recompile"]).exits(1);
        let both = [finding("racy", "warning", &entry), finding("outdated", "fault", &entry)];
        assert_eq!(found(&told), both, "{}", interpreter.tag);
    }
}

#[test]
fn forged_code_is_found_by_compiling_again() {
    for interpreter in implementations() {
        let world = World::new();
        let project = project(&world, interpreter, &["a", "b"]);
        let entry = |module: &str| world.entry(&project.join(module), interpreter, "");
        verify(&world, interpreter, &["--recompile"]).exits(0);
        let other = world.write("evil/a.py", "NAME = 'a'\ndef f(a): return a, -0.0\n");
        world.compile(interpreter, &[], &[other.parent().unwrap()]);
        let body = fs::read(world.entry(&other, interpreter, "")).unwrap().split_off(16);
        let mut forged = fs::read(entry("a.py")).unwrap();
        forged.truncate(16);
        forged.extend(body);
        fs::write(entry("a.py"), forged).unwrap();
        let only = project.to_str().unwrap();
        let told = verify(&world, interpreter, &["--json", only]).exits(0);
        assert_eq!(found(&told), [finding("moved", "notice", &entry("a.py"))], "{}", interpreter.tag);
        let told = verify(&world, interpreter, &["--json", "--recompile", only]).exits(1);
        let both = [finding("moved", "notice", &entry("a.py")), finding("forged", "fault", &entry("a.py"))];
        assert_eq!(found(&told), both, "{}", interpreter.tag);
        // What is not proved by reading is not removed.
        let before = World::snapshot(&world.store);
        verify(&world, interpreter, &["--recompile", "--fix", only]).exits(1);
        assert_only_gone(&before, &World::snapshot(&world.store), &[]);
    }
}

#[test]
fn what_the_library_compiled_to_is_proved() {
    for interpreter in implementations() {
        for flags in [&[][..], &["-OO"]] {
            let world = World::new();
            world.import(interpreter, flags, &["json.tool", "typing", "dataclasses", "decimal", "asyncio"]);
            let told = verify(&world, interpreter, &["--recompile"]).exits(0);
            let entries = crate::support::files(&world.store).len();
            let expected = format!("{entries} entries looked at: 0 faults");
            assert!(told.stdout.contains(&expected), "{}: {entries}: {}", interpreter.tag, told.stdout);
            assert!(
                told.stdout.contains(&format!("; {entries} proved")),
                "{}: {}",
                interpreter.tag,
                told.stdout
            );
        }
    }
}

#[test]
fn mtimes_that_images_set_are_told() {
    let (world, interpreter) = (World::new(), newest());
    let project = world.project("project", &["a.py", "b.py", "c.py"]);
    for (module, mtime) in [("a.py", 0), ("b.py", 1), ("c.py", 1_500_000_000)] {
        touch(&project.join(module), UNIX_EPOCH + Duration::from_secs(mtime));
    }
    let names: Vec<String> = (0..10).map(|number| format!("m{number}.py")).collect();
    let tree = world.project("tree", &names.iter().map(String::as_str).collect::<Vec<_>>());
    for name in &names {
        touch(&tree.join(name), UNIX_EPOCH + Duration::from_secs(1_400_000_000));
    }
    world.compile(interpreter, &[], &[&project, &tree]);
    let entry = |module: &str| world.entry(&project.join(module), interpreter, "");
    let mut expected =
        vec![finding("frozen", "notice", &entry("a.py")), finding("frozen", "notice", &entry("b.py"))];
    expected.push(finding("frozen", "notice", &tree));
    expected.sort_by(|one, other| one.2.cmp(&other.2));
    assert_eq!(found(&verify(&world, interpreter, &["--json"]).exits(0)), expected);

    let mut command = world.command(env!("CARGO_BIN_EXE_pycstore"));
    command.args(["verify", "--json"]).env("SOURCE_DATE_EPOCH", "1500000000");
    let told = answer(command.env("PYTHONPYCACHEPREFIX", &world.store)).exits(0);
    expected.push(finding("frozen", "notice", &entry("c.py")));
    expected.sort_by(|one, other| one.2.cmp(&other.2));
    assert_eq!(found(&told), expected);
    let shown = verify(&world, interpreter, &[]).exits(0).stdout;
    assert!(shown.starts_with("13 entries looked at") && shown.contains("--notices"), "{shown}");
}

#[test]
fn without_an_interpreter_nothing_is_proved() {
    let (world, interpreter) = (World::new(), newest());
    let project = project(&world, interpreter, &["a"]);
    let entry = world.entry(&project.join("a.py"), interpreter, "");
    fs::copy(&entry, entry.with_file_name("a.graalpy240-311.pyc")).unwrap();
    verify(&world, interpreter, &[]).exits(0);
    let told = verify(&world, interpreter, &["--recompile"]).exits(1);
    assert!(
        told.stderr.contains("no interpreter found that loads 1 entry of graalpy240-311"),
        "{}",
        told.stderr
    );
    assert!(told.stdout.contains("; 1 proved"), "{}", told.stdout);
}

#[test]
fn root_runs_nobody_elses_interpreter() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not tested, for only root can give a directory to somebody else");
        return;
    }
    let (world, interpreter) = (World::new(), newest());
    let project = project(&world, interpreter, &["a"]);
    // An installation of its own, which tells when it is run; every installation is asked until one agrees.
    let ran = world.home.join("RAN");
    let copy = world.home.join("installation");
    let executable = interpreter.path.canonicalize().unwrap();
    let name = format!("lib/python3.{}", interpreter.tag.strip_prefix("cpython-3").unwrap());
    let library = executable.parent().unwrap().parent().unwrap().join(&name);
    for directory in ["bin", &name, &format!("{name}/encodings")] {
        fs::create_dir_all(copy.join(directory)).unwrap();
    }
    fs::copy(&executable, copy.join("bin").join(executable.file_name().unwrap())).unwrap();
    for entry in
        fs::read_dir(&library).unwrap().map(Result::unwrap).filter(|it| it.file_name() != "encodings")
    {
        std::os::unix::fs::symlink(entry.path(), copy.join(&name).join(entry.file_name())).unwrap();
    }
    for entry in fs::read_dir(library.join("encodings")).unwrap().map(Result::unwrap) {
        if entry.path().is_file() {
            fs::copy(entry.path(), copy.join(&name).join("encodings").join(entry.file_name())).unwrap();
        }
    }
    let trap = format!("\nimport posix\nposix.close(posix.open({ran:?}, posix.O_CREAT | posix.O_WRONLY))\n");
    let encoding = copy.join(&name).join("encodings/utf_8.py");
    fs::write(&encoding, [fs::read_to_string(&encoding).unwrap(), trap].concat()).unwrap();
    let source = project.join("a.py");
    let modified = source.metadata().unwrap().modified().unwrap();
    fs::write(&source, fs::read_to_string(&source).unwrap().replace("1.5", "2.5")).unwrap();
    touch(&source, modified);
    let is_run = || {
        let mut command = world.command(env!("CARGO_BIN_EXE_pycstore"));
        command.env("PATH", copy.join("bin")).env("PYTHONPYCACHEPREFIX", &world.store);
        let told = answer(command.args(["verify", "--recompile"]).arg(&project)).exits(1);
        (fs::remove_file(&ran).is_ok(), told)
    };
    let (is_ours_run, told) = is_run();
    assert!(is_ours_run, "{told:?}");
    std::os::unix::fs::chown(&copy, Some(65534), None).unwrap();
    let (is_theirs_run, told) = is_run();
    assert!(!is_theirs_run, "{told:?}");
}
