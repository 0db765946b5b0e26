//! `pycstore which --expected`: where each interpreter would put an entry, which is where it does put it.

use crate::support::{Answer, World, answer, interpreters};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Runs the program with this world's store and this machine's Pythons.
fn which(world: &World, store: &Path, arguments: &[&OsStr]) -> Answer {
    let home = std::env::var_os("HOME").unwrap_or_default();
    let pyenv = std::env::var_os("PYENV_ROOT").map_or_else(|| Path::new(&home).join(".pyenv"), PathBuf::from);
    let mut command = world.program();
    command.env("PYTHONPYCACHEPREFIX", store).env("PYENV_ROOT", pyenv);
    answer(command.args(["which", "--expected"]).args(arguments))
}

#[test]
fn the_expected_path_is_the_one_that_the_interpreter_uses() {
    let world = World::new();
    let project = world.project("one", &["a.py", "b.c.py"]);
    let sources = [project.join("a.py"), project.join("b.c.py"), world.write("script", "")];
    for source in &sources {
        let before = which(&world, &world.store, &["--json".as_ref(), source.as_ref()]).exits(0);
        let lines = before.json_lines();
        for interpreter in interpreters() {
            let ask = "import importlib.util, sys; print(importlib.util.cache_from_source(sys.argv[1], optimization=''))";
            let said = answer(world.python(interpreter).args(["-c", ask]).arg(source)).exits(0);
            let line = lines.iter().find(|line| line["tag"] == interpreter.tag.as_str()).unwrap();
            assert_eq!(line["path"], said.stdout.trim_end());
            assert_eq!(line["source"], source.to_str().unwrap());
            assert_eq!(line["optimization"], "");
            assert_eq!((&line["exists"], &line["status"]), (&false.into(), &serde_json::Value::Null));
        }
        let mut tags: Vec<&str> = lines.iter().map(|line| line["tag"].as_str().unwrap()).collect();
        tags.sort_unstable();
        let count = tags.len();
        tags.dedup();
        assert_eq!(tags.len(), count, "one line a tag");
    }
}

#[test]
fn what_is_there_is_shown_with_its_status() {
    let world = World::new();
    let project = world.project("one", &["a.py"]);
    let source = project.join("a.py");
    let (first, rest) = interpreters().split_first().unwrap();
    world.compile(first, &[], &[&project]);
    let row = |answer: &Answer, tag: &str| {
        let end = format!("/one/a.{tag}.pyc");
        let line = answer.stdout.lines().find(|line| line.ends_with(&end)).expect(&end);
        line.split_whitespace().map(str::to_string).collect::<Vec<_>>()
    };
    let answer = which(&world, &world.store, &[source.as_ref()]).exits(0);
    assert_eq!(row(&answer, &first.tag)[..2], ["fresh", "-"]);
    for interpreter in rest {
        assert_eq!(row(&answer, &interpreter.tag)[..3], ["-", "-", "-"]);
    }
    world.write("one/a.py", "NAME = 'another size'\n");
    let answer = which(&world, &world.store, &[source.as_ref()]).exits(0);
    assert_eq!(row(&answer, &first.tag)[0], "stale");
    let lines = which(&world, &world.store, &["--json".as_ref(), source.as_ref()]).exits(0).json_lines();
    let line = lines.iter().find(|line| line["tag"] == first.tag.as_str()).unwrap();
    assert_eq!((&line["exists"], &line["status"]), (&true.into(), &"stale".into()));
}

#[test]
fn the_store_need_not_be_there_yet() {
    let world = World::new();
    let store = world.home.join("not/yet");
    let answer = which(&world, &store, &["x.py".as_ref()]).exits(0);
    let expected = format!("{}{}/x.{}.pyc", store.display(), world.home.display(), interpreters()[0].tag);
    assert!(answer.stdout.contains(&expected), "{}", answer.stdout);
    assert!(!store.exists());
}

#[test]
fn a_store_that_is_none_is_refused() {
    let world = World::new();
    world.write("project/m.py", "");
    which(&world, &world.home.join("project"), &["x.py".as_ref()]).exits(2);
}

#[test]
fn what_the_store_reveals_is_expected() {
    let world = World::new();
    let source = world.write("one/a.py", "");
    // An entry of the source, and a standard library that may be on a disk which is not mounted.
    for entry in [
        world.mirror(&source).with_file_name("a.cpython-37.pyc"),
        world.store.join("mnt/x/lib/python3.6/os.cpython-36.pyc"),
    ] {
        std::fs::create_dir_all(entry.parent().unwrap()).unwrap();
        std::fs::write(entry, "").unwrap();
    }
    let lines = which(&world, &world.store, &["--json".as_ref(), source.as_ref()]).json_lines();
    let shown =
        |line: &serde_json::Value| (line["tag"].as_str().unwrap().to_string(), line["exists"] == true);
    let expected = [("cpython-36".to_string(), false), ("cpython-37".to_string(), true)];
    assert_eq!(lines.iter().map(shown).take(2).collect::<Vec<_>>(), expected);
    assert_eq!(
        lines[2]["tag"],
        interpreters().iter().min_by_key(|it| pycstore::pyc::tags::order(&it.tag)).unwrap().tag
    );
}
