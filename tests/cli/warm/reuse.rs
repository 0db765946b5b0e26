//! Sources that are compiled for another path already: their entries are copies, and links where that is possible.

use super::warm;
use crate::support::{Interpreter, World, age, answer, implementations, newest};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// As many modules as make a scan of the store worth it.
const MODULES: usize = 40;

/// A project `one` that `warm` compiled with these arguments.
fn compiled(interpreter: &Interpreter, arguments: &[&str]) -> (World, PathBuf) {
    let world = World::new();
    // `one` loses names in some tests: where its parent got new ones as well, it would seem to be renamed.
    std::fs::create_dir(world.home.join("other")).unwrap();
    for number in 0..MODULES {
        let module =
            format!("def f():\n    return lambda: {number:02}.5\ndef g(): raise ValueError('{number:02}')\n");
        world.write(format!("one/m{number:02}.py"), module);
    }
    let one = world.home.join("one");
    let warmed = fill(&world, interpreter, &one, arguments);
    assert_eq!(warmed["reused"], json!(0), "{warmed}");
    (world, one)
}

fn fill(world: &World, interpreter: &Interpreter, path: &Path, arguments: &[&str]) -> Value {
    let python = interpreter.path.to_str().unwrap();
    let own = ["--json", "--python", python, path.to_str().unwrap()];
    warm(world, [&own[..], arguments].concat()).exits(0).json()
}

/// Copies a project by `cp` with this option.
fn copy(world: &World, one: &Path, option: &str, name: &str) -> PathBuf {
    let other = one.with_file_name(name);
    answer(world.command("cp").arg(option).arg(one).arg(&other)).exits(0);
    other
}

fn module(project: &Path, number: usize) -> PathBuf {
    project.join(format!("m{number:02}.py"))
}

fn statuses(world: &World, under: &Path) -> BTreeMap<String, usize> {
    let mut statuses = BTreeMap::new();
    for line in world.pycstore(["ls", "--json", "--under", under.to_str().unwrap()]).exits(0).json_lines() {
        *statuses.entry(line["status"].as_str().unwrap().to_string()).or_default() += 1;
    }
    statuses
}

fn counts(warmed: &Value) -> [&Value; 3] {
    ["compiled", "reused", "fresh"].map(|field| &warmed[field])
}

#[test]
fn entries_of_equal_sources_are_reused_and_load() {
    for interpreter in implementations() {
        // How the sources were copied is nothing that an interpreter sees.
        let is_newest = interpreter.tag == newest().tag;
        for option in ["-a", "-al"].into_iter().take(if is_newest { 2 } else { 1 }) {
            let (world, one) = compiled(interpreter, &[]);
            let two = copy(&world, &one, option, "two");
            let warmed = fill(&world, interpreter, &two, &[]);
            if interpreter.tag.starts_with("pypy") {
                // Its installation does not state its magic.
                assert_eq!(counts(&warmed), [&json!(MODULES), &json!(0), &json!(0)], "{}", interpreter.tag);
                continue;
            }
            assert_eq!(counts(&warmed), [&json!(0), &json!(MODULES), &json!(0)], "{}", interpreter.tag);
            assert_eq!(warmed["interpreters"][0]["tag"], interpreter.tag);
            assert_eq!(statuses(&world, &two), BTreeMap::from([("fresh".to_string(), MODULES)]));
            assert_eq!(statuses(&world, &one), BTreeMap::from([("fresh".to_string(), MODULES)]));
            let changed = two.metadata().unwrap();
            for number in 0..MODULES {
                let [of_one, of_two] = [&one, &two].map(|project| {
                    world.entry(&module(project, number), interpreter, "").metadata().unwrap()
                });
                assert_eq!(
                    (of_one.ino(), of_one.nlink()),
                    (of_two.ino(), 2),
                    "{} {option} {number}",
                    interpreter.tag
                );
                // Else an entry whose source is not mounted could pass for an orphan.
                let time = (of_two.mtime(), of_two.mtime_nsec());
                assert!(
                    time > (changed.ctime(), changed.ctime_nsec()),
                    "the entry is older than its directory"
                );
            }
            let code = "import os, sys, traceback\n\
                        for path in sys.argv[1:]:\n    sys.path[0] = path\n    sys.modules.pop('m07', None)\n    \
                        import m07\n    file = path + '/m07.py'\n    \
                        names = m07.f.__code__.co_filename, m07.f().__code__.co_filename\n    \
                        assert names == (file, file), names\n    \
                        try: m07.g()\n    except ValueError as error:\n        \
                        assert traceback.extract_tb(error.__traceback__)[-1].filename == file";
            let before = World::snapshot(&world.mirror(&world.home));
            answer(world.python(interpreter).args(["-c", code]).args([&two, &one])).exits(0);
            assert_eq!(World::snapshot(&world.mirror(&world.home)), before, "an entry was compiled again");
            let again = fill(&world, interpreter, &two, &[]);
            assert_eq!(counts(&again), [&json!(0), &json!(0), &json!(MODULES)]);
        }
    }
}

#[test]
fn what_differs_is_compiled() {
    let (world, one) = compiled(newest(), &[]);
    let two = copy(&world, &one, "-a", "two");
    // Other bytes of the same length and with the same mtime; another mtime; another length.
    let modified = module(&two, 0).metadata().unwrap().modified().unwrap();
    let text = std::fs::read_to_string(module(&two, 0)).unwrap().replace("00.5", "99.5");
    std::fs::write(module(&two, 0), text).unwrap();
    std::fs::File::options().write(true).open(module(&two, 0)).unwrap().set_modified(modified).unwrap();
    age(&module(&two, 1), Duration::from_secs(100));
    std::fs::write(module(&two, 2), "X = 1\n").unwrap();
    // The other name is in what tracebacks show.
    std::fs::rename(module(&two, 3), two.join("other.py")).unwrap();
    let warmed = fill(&world, newest(), &two, &[]);
    assert_eq!(counts(&warmed), [&json!(4), &json!(MODULES - 4), &json!(0)]);
    assert_eq!(statuses(&world, &world.home), BTreeMap::from([("fresh".to_string(), 2 * MODULES)]));
    let mut python = world.python(newest());
    answer(python.args(["-c", "import m00; assert m00.f()() == 99.5"]).env("PYTHONPATH", &two)).exits(0);
}

#[test]
fn each_mode_and_optimization_has_its_own_entries() {
    let how = ["--invalidation-mode", "checked-hash", "-o", "0,2"];
    let (world, one) = compiled(newest(), &how);
    // Hashes do not depend on mtimes.
    let two = copy(&world, &one, "-r", "two");
    let warmed = fill(&world, newest(), &two, &["--invalidation-mode", "checked-hash", "-o", "1,2"]);
    assert_eq!(counts(&warmed), [&json!(MODULES), &json!(MODULES), &json!(0)]);
    let warmed = fill(&world, newest(), &two, &["--invalidation-mode", "unchecked-hash"]);
    assert_eq!(counts(&warmed), [&json!(MODULES), &json!(0), &json!(0)]);
    // Python loads these without a look at the source: nothing but their own compilation is trusted.
    let three = copy(&world, &one, "-r", "three");
    let warmed = fill(&world, newest(), &three, &["--invalidation-mode", "unchecked-hash"]);
    assert_eq!(counts(&warmed), [&json!(MODULES), &json!(0), &json!(0)]);
    let entry = world.entry(&module(&three, 5), newest(), "");
    assert_eq!(std::fs::read(entry).unwrap()[4..8], 1u32.to_le_bytes());
}

#[test]
fn when_a_source_is_deleted_its_entry_alone_is_an_orphan() {
    let (world, one) = compiled(newest(), &[]);
    let two = copy(&world, &one, "-a", "two");
    fill(&world, newest(), &two, &[]);
    std::fs::remove_dir_all(&two).unwrap();
    assert_eq!(statuses(&world, &two), BTreeMap::from([("orphan".to_string(), MODULES)]));
    assert_eq!(statuses(&world, &one), BTreeMap::from([("fresh".to_string(), MODULES)]));
    std::fs::remove_file(module(&one, 0)).unwrap();
    let expected = BTreeMap::from([("fresh".to_string(), MODULES - 1), ("orphan".to_string(), 1)]);
    assert_eq!(statuses(&world, &one), expected);
}

#[test]
fn entries_that_share_leaves_alone_are_not_reused() {
    let (world, one) = compiled(newest(), &[]);
    let entry = |number| world.entry(&module(&one, number), newest(), "");
    // A damaged body, a file that others may write to, one that pytest wrote, and one of which the source is gone.
    let bytes = std::fs::read(entry(0)).unwrap();
    std::fs::write(entry(0), &bytes[..bytes.len() - 9]).unwrap();
    std::fs::set_permissions(entry(1), PermissionsExt::from_mode(0o666)).unwrap();
    let name = format!("m02.{}-pytest-8.3.4.pyc", newest().tag);
    std::fs::rename(entry(2), entry(2).with_file_name(name)).unwrap();
    let two = copy(&world, &one, "-a", "other/two");
    std::fs::remove_file(module(&one, 3)).unwrap();
    let warmed = fill(&world, newest(), &two, &[]);
    assert_eq!(counts(&warmed), [&json!(4), &json!(MODULES - 4), &json!(0)]);
    assert_eq!(statuses(&world, &two), BTreeMap::from([("fresh".to_string(), MODULES)]));
    // A file with other permissions is copied, and stays a file of its own.
    for number in 0..MODULES {
        std::fs::set_permissions(
            world.entry(&module(&two, number), newest(), ""),
            PermissionsExt::from_mode(0o600),
        )
        .unwrap();
    }
    std::fs::remove_dir_all(world.mirror(&one)).unwrap();
    let three = copy(&world, &two, "-a", "three");
    let warmed = fill(&world, newest(), &three, &[]);
    assert_eq!(counts(&warmed), [&json!(0), &json!(MODULES), &json!(0)]);
    let copied = world.entry(&module(&three, 9), newest(), "").metadata().unwrap();
    assert_eq!((copied.mode() & 0o777, copied.nlink()), (0o644, 1));
}

#[test]
fn the_store_is_searched_only_for_many_sources_and_never_if_told() {
    let (world, one) = compiled(newest(), &[]);
    let two = copy(&world, &one, "-a", "two");
    let warmed = fill(&world, newest(), &two, &["--no-reuse"]);
    assert_eq!(counts(&warmed), [&json!(MODULES), &json!(0), &json!(0)]);
    let few = copy(&world, &one, "-a", "few");
    for number in 31..MODULES {
        std::fs::remove_file(module(&few, number)).unwrap();
    }
    let warmed = fill(&world, newest(), &few, &[]);
    assert_eq!(counts(&warmed), [&json!(31), &json!(0), &json!(0)]);
    let three = copy(&world, &one, "-a", "three");
    let told = warm(&world, [three.as_os_str()]).exits(0);
    let tag = &newest().tag;
    assert!(told.stdout.starts_with("COMPILED  REUSED  FRESH  FAILED  TAG"), "{told:?}");
    assert!(told.stdout.contains(&format!("       0      40      0       0  {tag}")), "{told:?}");
    assert!(told.stdout.ends_with("\nnothing compiled, 40 reused from equal sources\n"), "{told:?}");
}

#[test]
fn stale_entries_are_reused_too() {
    let (world, one) = compiled(newest(), &[]);
    let two = copy(&world, &one, "-a", "two");
    fill(&world, newest(), &two, &[]);
    // As an upgrade of one project after the other.
    for project in [&one, &two] {
        for number in 0..MODULES {
            std::fs::write(module(project, number), format!("NAME = 'new {number}'\n")).unwrap();
            let file = std::fs::File::options().write(true).open(module(project, number)).unwrap();
            file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000)).unwrap();
        }
    }
    let warmed = fill(&world, newest(), &one, &[]);
    assert_eq!(counts(&warmed), [&json!(MODULES), &json!(0), &json!(0)]);
    let warmed = warm(&world, ["--all-stale", "--json"]).exits(0).json();
    assert_eq!(counts(&warmed), [&json!(0), &json!(MODULES), &json!(0)]);
    assert_eq!(statuses(&world, &two), BTreeMap::from([("fresh".to_string(), MODULES)]));
}

/// An upgrade by links: the new source has another text of the same length and the mtime that the old one had, and the links hide
/// that it was changed.
#[test]
fn a_source_that_was_replaced_since_its_entry_was_compiled_proves_nothing() {
    let (world, one) = compiled(newest(), &[]);
    let (cache, two) = (one.with_file_name("cache"), one.with_file_name("two"));
    std::fs::create_dir(&cache).unwrap();
    std::fs::create_dir(&two).unwrap();
    for number in 0..MODULES {
        let old = module(&one, number);
        let (text, modified) =
            (std::fs::read_to_string(&old).unwrap(), old.metadata().unwrap().modified().unwrap());
        let new = module(&cache, number);
        std::fs::write(&new, text.replace(".5", ".7")).unwrap();
        std::fs::File::options().write(true).open(&new).unwrap().set_modified(modified).unwrap();
        std::fs::remove_file(&old).unwrap();
        std::fs::hard_link(&new, &old).unwrap();
        std::fs::copy(&new, module(&two, number)).unwrap();
        let other = std::fs::File::options().write(true).open(module(&two, number)).unwrap();
        other.set_modified(modified).unwrap();
    }
    let warmed = fill(&world, newest(), &two, &[]);
    assert_eq!(counts(&warmed), [&json!(MODULES), &json!(0), &json!(0)]);
    let mut python = world.python(newest());
    answer(python.args(["-c", "import m03; assert m03.f()() == 3.7"]).env("PYTHONPATH", &two)).exits(0);
}

#[test]
fn of_equal_sources_in_one_run_one_is_compiled() {
    let world = World::new();
    let one = world.home.join("one");
    for number in 0..MODULES {
        world.write(format!("one/m{number:02}.py"), format!("def f(): return {number}\n"));
    }
    let two = copy(&world, &one, "-a", "two");
    // The same mtime and length: it seems equal until it is compared.
    let modified = module(&two, 0).metadata().unwrap().modified().unwrap();
    std::fs::write(module(&two, 0), "def f(): return 7\n").unwrap();
    std::fs::File::options().write(true).open(module(&two, 0)).unwrap().set_modified(modified).unwrap();
    let warmed = fill(&world, newest(), &one, &[two.to_str().unwrap()]);
    assert_eq!(counts(&warmed), [&json!(MODULES + 1), &json!(MODULES - 1), &json!(0)]);
    assert_eq!(statuses(&world, &world.home), BTreeMap::from([("fresh".to_string(), 2 * MODULES)]));
    let links = |number| world.entry(&module(&two, number), newest(), "").metadata().unwrap().nlink();
    assert_eq!((links(0), links(1)), (1, 2));
    let mut python = world.python(newest());
    answer(python.args(["-c", "import m00; assert m00.f() == 7"]).env("PYTHONPATH", &two)).exits(0);
}

/// A file with a name whose source was deleted keeps its time, so that this name stays an orphan.
#[test]
fn a_file_with_an_orphan_among_its_names_is_copied() {
    let (world, one) = compiled(newest(), &[]);
    let two = copy(&world, &one, "-a", "two");
    fill(&world, newest(), &two, &[]);
    std::fs::remove_dir_all(&two).unwrap();
    let three = copy(&world, &one, "-a", "three");
    let warmed = fill(&world, newest(), &three, &[]);
    assert_eq!(counts(&warmed), [&json!(0), &json!(MODULES), &json!(0)]);
    assert_eq!(world.entry(&module(&three, 5), newest(), "").metadata().unwrap().nlink(), 1);
    assert_eq!(statuses(&world, &two), BTreeMap::from([("orphan".to_string(), MODULES)]));
}

/// Whoever may write to a directory on the path of a source can put another source there without a trace.
#[test]
fn a_source_on_a_path_that_the_group_may_write_to_proves_nothing() {
    let (world, one) = compiled(newest(), &[]);
    let two = copy(&world, &one, "-a", "other/two");
    let is_root = rustix::process::geteuid().is_root();
    for mode in [0o757, 0o775] {
        if mode == 0o775 && is_root {
            std::os::unix::fs::chown(&one, None, Some(61_003)).unwrap();
        } else if mode == 0o775 {
            // The group of an ordinary user may have no other member.
            continue;
        }
        std::fs::set_permissions(&one, PermissionsExt::from_mode(mode)).unwrap();
        let warmed = fill(&world, newest(), &two, &[]);
        assert_eq!(counts(&warmed), [&json!(MODULES), &json!(0), &json!(0)], "{mode:o}");
        std::fs::set_permissions(&one, PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::remove_dir_all(world.mirror(&two)).unwrap();
    }
    let warmed = fill(&world, newest(), &two, &[]);
    assert_eq!(counts(&warmed), [&json!(0), &json!(MODULES), &json!(0)]);
}

/// An entry whose source was deleted during the run must not seem to be written after that: it would never be an orphan.
#[test]
fn sources_that_are_deleted_meanwhile_leave_orphans() {
    const MANY: usize = 100;
    let (world, one) = compiled(newest(), &[]);
    for number in 0..MANY {
        world.write(format!("one/n{number}.py"), format!("def f():\n    return {number}\n"));
    }
    let [two, three] = ["two", "three"].map(|name| copy(&world, &one, "-a", name));
    fill(&world, newest(), &one, &[]);
    fill(&world, newest(), &two, &[]);
    // The nearest entry is compared first: those of `three/` in `one` are as near as those of `two`.
    let mut command = world.program();
    command.env("PYTHONPYCACHEPREFIX", &world.store);
    let python = newest().path.to_str().unwrap();
    command.args(["--threads", "1", "warm", "--json", "--python", python]).arg(&three);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while !world.mirror(&three).exists() {
        assert!(began.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_micros(100));
    }
    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::STOP).unwrap();
    std::fs::remove_dir_all(&one).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::CONT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let all = MODULES + MANY;
    let warmed: Value = serde_json::from_slice(&output.stdout).unwrap();
    println!("{warmed}");
    assert!(warmed["reused"].as_u64().unwrap() > 100, "{warmed}");
    assert_eq!(statuses(&world, &one), BTreeMap::from([("orphan".to_string(), all)]));
    for project in [&two, &three] {
        assert_eq!(statuses(&world, project), BTreeMap::from([("fresh".to_string(), all)]));
    }
}
