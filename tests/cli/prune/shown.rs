//! What a run shows: rows by owner, status and reason, the packages, what is kept, and with `--list` every path.

use super::*;

/// A deleted environment with two packages, a project with a stale and a deleted source, and one that is kept.
fn mixed() -> World {
    let world = World::new();
    let names = ["lib/site-packages/alpha/a.py", "lib/site-packages/alpha/b.py", "lib/site-packages/beta.py"];
    let gone = world.project("gone", &names);
    let project = world.project("p", &["fresh.py", "stale.py", "deleted.py"]);
    let kept = world.project("kept", &["k.py", "l.py"]);
    world.compile(newest(), &[], &[&gone, &project, &kept]);
    std::fs::remove_dir_all(&gone).unwrap();
    age(&world.write("p/stale.py", "LONGER = 'than it was'\n"), HOUR);
    std::fs::remove_file(project.join("deleted.py")).unwrap();
    std::fs::remove_file(kept.join("k.py")).unwrap();
    world
}

#[test]
fn a_run_shows_owner_status_reason_package_and_what_is_kept() {
    let world = mixed();
    let before = store(&world);
    let arguments = ["prune", "--orphans", "--stale", "--keep", "**/kept"];
    let dry = world.pycstore([&arguments[..], &["--dry-run"]].concat());
    let list = world.pycstore([&arguments[..], &["--dry-run", "--list"]].concat());
    assert_only_gone(&before, &store(&world), &[]);
    insta::assert_snapshot!(dry.shown(), @r"
    exit: 0
    ----- stdout -----
    SIZE  FILES  STATUS  REASON  OWNER
    SIZE  3  orphan  root  /home/me/gone (gone)
    SIZE  2  alpha
    SIZE  1  beta
    SIZE  1  stale  mtime  /home/me/p
    SIZE  1  orphan  source  /home/me/p
    SIZE  FILES  KEPT BY
    SIZE  1  **/kept
    DIRECTORIES  EMPTY DIRECTORY TREE
              4  /home/me/.cache/cpython/home/me/gone
    would remove 5 files and 4 directories, SIZE
    ----- stderr -----
    ");
    insta::assert_snapshot!(list.shown(), @r"
    exit: 0
    ----- stdout -----
    orphan  root SIZE  /home/me/.cache/cpython/home/me/gone/lib/site-packages/beta.cpython-3.N.pyc
    orphan  root SIZE  /home/me/.cache/cpython/home/me/gone/lib/site-packages/alpha/a.cpython-3.N.pyc
    orphan  root SIZE  /home/me/.cache/cpython/home/me/gone/lib/site-packages/alpha/b.cpython-3.N.pyc
    orphan  source SIZE  /home/me/.cache/cpython/home/me/p/deleted.cpython-3.N.pyc
    stale  mtime SIZE  /home/me/.cache/cpython/home/me/p/stale.cpython-3.N.pyc
    directory  -  -  /home/me/.cache/cpython/home/me/gone/lib/site-packages/alpha
    directory  -  -  /home/me/.cache/cpython/home/me/gone/lib/site-packages
    directory  -  -  /home/me/.cache/cpython/home/me/gone/lib
    directory  -  -  /home/me/.cache/cpython/home/me/gone
    ----- stderr -----
    pycstore: would remove 5 files and 4 directories, SIZE
    ");
    // The real run has the same rows.
    let real = world.pycstore(arguments).exits(0);
    let rows = |answer: &Answer| {
        let (rows, _) = answer.stdout.split_once("DIRECTORIES").unwrap_or((&answer.stdout, ""));
        rows.split("removed ").next().unwrap().to_string()
    };
    assert_eq!(rows(&real), rows(&dry));
    assert!(rows(&dry).contains("KEPT BY"));
}

#[test]
fn a_list_names_exactly_what_goes() {
    let world = mixed();
    let listed = |arguments: &[&str]| {
        let answer = world.pycstore(["prune", "--orphans", "--list"].iter().chain(arguments)).exits(0);
        let mut lines: Vec<String> = answer.stdout.lines().map(str::to_string).collect();
        lines.sort();
        lines
    };
    let dry = listed(&["-n"]);
    let before = store(&world);
    assert_eq!(listed(&[]), dry);
    let paths: Vec<&Path> = dry.iter().map(|line| Path::new(&line[line.find('/').unwrap()..])).collect();
    assert_only_gone(&before, &store(&world), &paths);
    assert_eq!(before.len() - store(&world).len(), paths.len());
    assert_eq!(world.pycstore(["-q", "prune", "--stale", "--list"]).exits(0).stdout, "");
    world.pycstore(["prune", "--list", "--json"]).exits(2);
}

#[test]
fn a_reader_of_the_list_that_ends_does_not_stop_the_removal() {
    let world = mixed();
    let mut command = world.program();
    command.arg("--store").arg(&world.store).args(["prune", "--orphans", "--list"]);
    assert!(command.stdout(closed_pipe()).status().unwrap().success());
    assert!(!world.mirror(&world.home.join("gone")).exists());
}

#[test]
fn on_a_terminal_many_owners_are_few_rows() {
    let world = World::new();
    let projects: Vec<PathBuf> = (0..40).map(|it| world.project(&format!("p{it:02}"), &["a.py"])).collect();
    world.compile(newest(), &[], &projects.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    projects.iter().for_each(|project| std::fs::remove_dir_all(project).unwrap());
    let told = world.pycstore_answered(&["prune", "-n"], "").exits(0).stdout;
    assert_eq!(told.matches("25 more (see --list)").count(), 2, "{told}");
    assert!(told.lines().count() <= 35, "{told}");
    assert_eq!(world.pycstore(["prune", "-n"]).exits(0).stdout.matches("(gone)").count(), 40);
}
