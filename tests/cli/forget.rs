//! `pycstore forget`: all entries of what is named go, whether that is still there or not.

use crate::support::{Interpreter, World, age, answer, assert_only_gone, files, interpreters, newest};
use serde_json::json;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Two projects with names that begin alike, compiled by these interpreters in every optimization.
fn site_of(interpreters: &[Interpreter]) -> (World, PathBuf, PathBuf) {
    let world = World::new();
    let one = world.project("one", &["a.py", "b.py", "pkg/c.py"]);
    let other = world.project("one-more", &["a.py"]);
    let compile_all = "\
for optimize in 0, 1, 2:
    for project in sys.argv[1:]:
        assert compileall.compile_dir(project, quiet=1, optimize=optimize)
";
    for interpreter in interpreters {
        answer(world.compiler(interpreter, compile_all).args([&one, &other])).exits(0);
    }
    (world, one, other)
}

fn site() -> (World, PathBuf, PathBuf) {
    site_of(&[newest().clone()])
}

/// Runs `forget`, dry and really, and asserts that exactly these paths of the store go; answers what it removed.
#[track_caller]
fn forgets(world: &World, arguments: &[&str], gone: &[&Path]) -> serde_json::Value {
    let before = World::snapshot(&world.home);
    let run = |more: &[&str]| world.pycstore(["forget"].iter().chain(arguments).chain(more)).exits(0);
    let mut dry = run(&["--json", "-n"]).json();
    assert_only_gone(&before, &World::snapshot(&world.home), &[]);
    let real = run(&["--json"]);
    assert_only_gone(&before, &World::snapshot(&world.home), gone);
    assert_eq!(real.stderr.is_empty(), !gone.is_empty(), "{}", real.stderr);
    dry["dry_run"] = json!(false);
    assert_eq!(dry, real.json());
    let again = run(&[]);
    assert_eq!(again.stdout, "nothing to remove\n");
    // Nothing is left of them, and that is said.
    assert!(again.stderr.starts_with("pycstore: no"), "{}", again.stderr);
    assert_only_gone(&before, &World::snapshot(&world.home), gone);
    real.json()["removed"].clone()
}

#[test]
fn a_project_that_is_still_there() {
    let (world, one, _) = site_of(interpreters());
    let removed = forgets(&world, &[one.to_str().unwrap()], &[&world.mirror(&one)]);
    let each = 3 * interpreters().len();
    assert_eq!((&removed["files"], &removed["directories"]), (&json!(3 * each), &json!(2)));
    // Python compiles again what it needs.
    world.compile(newest(), &[], &[&one]);
    assert_eq!(files(&world.mirror(&one)).len(), 3);
    insta::assert_snapshot!(world.pycstore(["forget", one.to_str().unwrap()]).shown(), @r"
    exit: 0
    ----- stdout -----
    SIZE  FILES  STATUS  REASON  OWNER
    SIZE  3  fresh  -  /home/me/one
    removed 3 files and 2 directories, SIZE
    ----- stderr -----
    ");
    let history = world.pycstore(["history", "--json"]).exits(0).json_lines();
    assert_eq!(history[0]["selectors"], json!([format!("forget {}", one.display())]));
    assert_eq!(history[0]["removed"]["files"], 3);
}

#[test]
fn a_virtualenv_that_was_deleted() {
    let world = World::new();
    let project = world.project("one", &["a.py"]);
    let environment = project.join(".venv");
    let made = world
        .command(&newest().path)
        .args(["-m", "venv", "--without-pip"])
        .arg(&environment)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let minor = newest().tag.strip_prefix("cpython-3").unwrap();
    let packages = environment.join(format!("lib/python3.{minor}/site-packages"));
    fs::create_dir(packages.join("pkg")).unwrap();
    fs::write(packages.join("pkg/__init__.py"), "NAME = 'pkg'\n").unwrap();
    let mut python = world.command(environment.join("bin/python"));
    python.env("PYTHONPYCACHEPREFIX", &world.store).current_dir(&project);
    answer(python.args(["-c", "import pkg, a"])).exits(0);
    let entry = world.entry(&packages.join("pkg/__init__.py"), newest(), "");
    let kept = world.entry(&project.join("a.py"), newest(), "");
    assert!(entry.exists() && kept.exists());
    fs::remove_dir_all(&environment).unwrap();
    forgets(&world, &[environment.to_str().unwrap()], &[&world.mirror(&environment)]);
    assert!(kept.exists());
}

#[test]
fn a_single_source() {
    let (world, one, _) = site_of(interpreters());
    let source = one.join("a.py");
    let tag = &newest().tag;
    let mirror = world.mirror(&one);
    for name in [
        format!("a.{tag}-pytest-9.2.0.pyc"),
        format!("a.{tag}.opt-typeguard460.pyc"),
        format!("a.{tag}.pyc.77"),
    ] {
        fs::copy(world.entry(&source, newest(), ""), mirror.join(&name)).unwrap();
        age(&mirror.join(name), Duration::from_secs(7200));
    }
    let gone: Vec<PathBuf> = files(&mirror)
        .into_iter()
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("a."))
        .collect();
    assert_eq!(gone.len(), 3 * interpreters().len() + 3);
    let gone: Vec<&Path> = gone.iter().map(PathBuf::as_path).collect();
    forgets(&world, &[source.to_str().unwrap()], &gone);
    // One that is gone, too.
    fs::remove_file(one.join("b.py")).unwrap();
    let gone: Vec<PathBuf> =
        files(&mirror).into_iter().filter(|path| path.parent() == Some(&mirror)).collect();
    forgets(&world, &["one/b.py"], &gone.iter().map(PathBuf::as_path).collect::<Vec<_>>());
}

#[test]
fn several_paths_however_they_are_spelled() {
    let (world, one, other) = site();
    // Nothing else is in the store, and only its root stays.
    let topmost = world.mirror(Path::new("/")).join(one.components().nth(1).unwrap());
    assert!(world.mirror(&one).starts_with(&topmost) && world.mirror(&other).starts_with(&topmost));
    forgets(&world, &["one-more/", "./nowhere/../one/pkg/..", "--yes"], &[&topmost]);
}

#[test]
fn a_link_is_forgotten_as_it_is_spelled_and_where_it_leads() {
    let (world, one, other) = site();
    let link = world.home.join("link");
    symlink(&one, &link).unwrap();
    world.compile(newest(), &[], &[&link]);
    assert_eq!(files(&world.mirror(&link)).len(), 3);
    let again = |path: &Path| world.compile(newest(), &[], &[path]);
    forgets(&world, &["link"], &[&world.mirror(&link), &world.mirror(&one)]);
    // By the real path the same is meant.
    again(&link);
    again(&one);
    forgets(&world, &["one"], &[&world.mirror(&link), &world.mirror(&one)]);
    again(&link);
    // A link that leads nowhere any more is a path like any other.
    fs::remove_file(&link).unwrap();
    symlink("nowhere", &link).unwrap();
    forgets(&world, &["link"], &[&world.mirror(&link)]);
    assert!(world.mirror(&other).exists());
}

#[test]
fn an_interpreter() {
    let world = World::new();
    let project = world.project("one", &["a.py"]);
    world.import(newest(), &[], &["json", "one.a"]);
    let asked = answer(
        world
            .command(&newest().path)
            .args(["-c", "import json, os; print(os.path.dirname(json.__path__[0]))"]),
    );
    let library = PathBuf::from(asked.exits(0).stdout.trim());
    let prefix = library.parent().unwrap().parent().unwrap();
    let kept = world.entry(&project.join("a.py"), newest(), "");
    assert!(files(&world.mirror(&library)).len() > 1 && kept.exists());
    let before = World::snapshot(&world.store);
    world.pycstore(["forget", prefix.to_str().unwrap()]).exits(0);
    // A directory above it goes if it holds nothing else.
    let mut gone = world.mirror(prefix);
    while !gone.parent().unwrap().exists() {
        gone.pop();
    }
    assert_only_gone(&before, &World::snapshot(&world.store), &[&gone]);
    assert!(kept.exists());
}

#[test]
fn a_tag_narrows() {
    let (world, one, _) = site_of(interpreters());
    let of_tag = |tag: &str| -> Vec<PathBuf> {
        let dotted = format!(".{tag}.");
        files(&world.mirror(&one))
            .into_iter()
            .filter(|path| path.file_name().unwrap().to_str().unwrap().contains(&dotted))
            .collect()
    };
    forgets(&world, &["one", "--tag", "cpython-399"], &[]);
    let gone = of_tag(&newest().tag);
    assert_eq!(gone.len(), 9);
    if interpreters().len() == 1 {
        forgets(&world, &["one", "--tag", &newest().tag], &[&world.mirror(&one)]);
    } else {
        forgets(
            &world,
            &["one", "--tag", &newest().tag],
            &gone.iter().map(PathBuf::as_path).collect::<Vec<_>>(),
        );
    }
}

#[test]
fn nothing_to_forget_is_success_and_no_path_is_none() {
    let (world, ..) = site();
    let before = World::snapshot(&world.home);
    let mut shown = String::new();
    for path in ["nowhere", "/pycstore-no-such-place", "on", "one/a", "one/a.py/x"] {
        shown += &world.pycstore(["forget", path]).exits(0).shown();
        let quiet = world.pycstore(["-q", "forget", path]).exits(0);
        assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    }
    insta::assert_snapshot!(shown, @r"
    exit: 0
    ----- stdout -----
    nothing to remove
    ----- stderr -----
    pycstore: no entry has a source at or below /home/me/nowhere
    exit: 0
    ----- stdout -----
    nothing to remove
    ----- stderr -----
    pycstore: no entry has a source at or below /pycstore-no-such-place
    exit: 0
    ----- stdout -----
    nothing to remove
    ----- stderr -----
    pycstore: no entry has a source at or below /home/me/on
    exit: 0
    ----- stdout -----
    nothing to remove
    ----- stderr -----
    pycstore: no entry has a source at or below /home/me/one/a
    exit: 0
    ----- stdout -----
    nothing to remove
    ----- stderr -----
    pycstore: no entry has a source at or below /home/me/one/a.py/x
    ");
    world.pycstore(["forget"]).exits(2);
    assert_only_gone(&before, &World::snapshot(&world.home), &[]);
}

#[test]
fn what_is_no_entry_and_what_may_still_be_written_stays() {
    let world = World::new();
    let project = world.project("one", &["a.py", "b.py"]);
    world.compile(newest(), &[], &[&project]);
    let mirror = world.mirror(&project);
    let entry = |name: &str| world.entry(&project.join(name), newest(), "");
    let zeros = mirror.join(format!("zeros.{}.pyc", newest().tag));
    fs::write(&zeros, [0; 400]).unwrap();
    fs::write(mirror.join("note"), "mine").unwrap();
    fs::copy(entry("a.py"), mirror.join(format!("a.{}.pyc.77", newest().tag))).unwrap();
    let before = World::snapshot(&world.store);
    // Of the entries none stays: a temporary is none, however young.
    world.pycstore(["forget", "one"]).exits(2);
    let told = world.pycstore(["forget", "one", "--yes"]).exits(0);
    assert_only_gone(&before, &World::snapshot(&world.store), &[&entry("a.py"), &entry("b.py")]);
    let line =
        format!("pycstore: kept {}: it is not bytecode; prune --corrupt removes it\n", zeros.display());
    assert_eq!(told.stderr, line);
}

#[test]
fn what_is_named_goes_although_the_configuration_keeps_it() {
    let (world, one, _) = site();
    world.write(".config/pycstore/config.toml", "keep = ['**']\n[prune]\norphans = true\n");
    forgets(&world, &["one"], &[&world.mirror(&one)]);
}

#[test]
fn what_cannot_be_judged_goes_too() {
    let world = World::new();
    let project = world.project("one", &["a.py"]);
    world.compile(newest(), &[], &[&project]);
    let elsewhere = world.store.join("pycstore-no-such-place/app");
    fs::create_dir_all(&elsewhere).unwrap();
    fs::copy(
        world.entry(&project.join("a.py"), newest(), ""),
        elsewhere.join(format!("a.{}.pyc", newest().tag)),
    )
    .unwrap();
    forgets(&world, &["/pycstore-no-such-place/app/a.py"], &[elsewhere.parent().unwrap()]);
}

#[test]
fn what_cannot_be_removed_is_said_and_the_rest_goes() {
    let (world, one, _) = site();
    let before = World::snapshot(&world.store);
    let locked = world.mirror(&one).join("pkg");
    let mut program = world.unprivileged();
    fs::set_permissions(&locked, PermissionsExt::from_mode(0o555)).unwrap();
    let told = answer(program.args(["forget", "one"]));
    fs::set_permissions(&locked, PermissionsExt::from_mode(0o755)).unwrap();
    let told = told.exits(1);
    let kept = files(&locked);
    assert_eq!(kept.len(), 3);
    let of_one = world.mirror(&one);
    let gone: Vec<&Path> = before
        .keys()
        .map(PathBuf::as_path)
        .filter(|path| path.parent() == Some(&of_one) && *path != locked)
        .collect();
    assert_only_gone(&before, &World::snapshot(&world.store), &gone);
    let line =
        format!("pycstore: cannot remove {} ({} files): Permission denied\n", locked.display(), kept.len());
    assert_eq!(told.stderr, line);
    assert_eq!(world.pycstore(["history", "--json"]).exits(0).json_lines()[0]["exit"], 1);
}

#[test]
fn a_path_that_was_mistyped_is_said() {
    let (world, project, _) = site();
    let told = |arguments: &[&str]| {
        let store = world.store.to_str().unwrap();
        let shown = world.pycstore_on_terminal(300, [&["--store", store], arguments].concat());
        String::from_utf8(shown).unwrap()
    };
    let missing = world.home.join("nosuch");
    let said = format!("pycstore: no entry has a source at or below {}\n", missing.display());
    assert_eq!(told(&["forget", "nosuch"]), format!("{said}nothing to remove\n"));
    assert_eq!(told(&["-q", "forget", "nosuch"]), "");
    for (option, value, said) in [
        ("--under", "nosuch", "at or below"),
        ("--owner", "nosuch", "at or below"),
        ("--tag", "3.11", "in this scope: tag 3.11\nhint: did you mean the tag cpython-311?\n"),
    ] {
        let shown = told(&["prune", "--orphans", option, value]);
        assert!(shown.contains(said), "{option}: {shown}");
    }
    // Where there are entries and none is to go, there is nothing to say.
    for selector in ["--corrupt", "--orphans"] {
        let shown = told(&["prune", selector, "--under", project.to_str().unwrap()]);
        assert_eq!(shown, "nothing to remove\n");
    }
    world.write(".config/pycstore/config.toml", "keep = ['~/**']\n");
    let kept = told(&["prune", "--all", "--yes", "--under", project.to_str().unwrap()]);
    assert!(kept.contains(", or all of them are kept by "), "{kept}");
}
