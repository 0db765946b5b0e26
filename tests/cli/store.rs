//! Where the store is looked for, what is refused, and how a reader that stops reading is taken.

use crate::support::{Answer, World, answer, assert_only_gone, closed_pipe, date_back, files, newest};
use std::ffi::OsStr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a command that reads or cleans a store may be; each must be refused alike.
const COMMANDS: [&[&str]; 8] = [
    &["du"],
    &["ls"],
    &["ls", "--json"],
    &["prune", "--orphans"],
    &["prune", "--orphans", "--dry-run"],
    &["prune", "--all", "--yes"],
    &["forget", "/"],
    &["which", "/x.py"],
];

/// The program with nothing in its environment that names a store.
fn bare(world: &World) -> Command {
    world.program()
}

/// A store below the home with this many entries of a project that is gone.
fn store_of(world: &World, path: &str, entries: usize) -> PathBuf {
    let store = world.home.join(path);
    let mirror = store.join(world.home.strip_prefix("/").unwrap()).join("no-such-project");
    std::fs::create_dir_all(&mirror).unwrap();
    for number in 0..entries {
        let entry = mirror.join(format!("module_{number:06}.cpython-312.pyc"));
        std::fs::write(&entry, "").unwrap();
        date_back(&entry);
    }
    store
}

#[test]
fn the_flag_beats_the_variable_beats_the_default() {
    let world = World::new();
    let flag = store_of(&world, "by-flag", 1);
    let variable = store_of(&world, "by-variable", 2);
    let default = store_of(&world, ".cache/cpython", 3);
    let used = |command: &mut Command| {
        let document = answer(command.args(["du", "--json"])).exits(0).json();
        (PathBuf::from(document["store"].as_str().unwrap()), document["total"]["files"].as_u64().unwrap())
    };
    let prefix = "PYTHONPYCACHEPREFIX";
    assert_eq!(used(bare(&world).env(prefix, &variable).arg("--store").arg(&flag)), (flag.clone(), 1));
    assert_eq!(used(bare(&world).arg("--store").arg("./by-variable/../by-flag")), (flag.clone(), 1));
    assert_eq!(used(bare(&world).env(prefix, &variable)), (variable.clone(), 2));
    assert_eq!(used(bare(&world).env(prefix, "by-variable")), (variable.clone(), 2));
    assert_eq!(
        used(bare(&world).env(prefix, "")),
        (default.clone(), 3),
        "empty is unset, as it is for Python"
    );
    assert_eq!(used(&mut bare(&world)), (default, 3));
    // After the command as well as before it.
    let late = answer(bare(&world).args(["du", "--json", "--store"]).arg(&flag)).exits(0).json();
    assert_eq!(late["total"]["files"], 1);
    // What is named and missing is not replaced by what is there.
    answer(bare(&world).env(prefix, &variable).args(["du", "--store", "missing"])).exits(2);
    answer(bare(&world).env(prefix, "missing").arg("du")).exits(2);
}

fn says(world: &World, answer: &Answer) -> String {
    assert_eq!((answer.code, answer.stdout.as_str()), (2, ""), "{answer:?}");
    world.neutral(&answer.stderr)
}

#[test]
fn no_store_says_what_was_looked_for_and_what_to_type() {
    let world = World::new();
    for command in COMMANDS {
        insta::allow_duplicates! {
            insta::assert_snapshot!(says(&world, &answer(bare(&world).args(command))), @r"
            pycstore: no store found: --store is not given, PYTHONPYCACHEPREFIX is not set, the configuration sets no store, and /home/me/.cache/cpython does not exist
            hint: specify one with `pycstore --store DIR …`, or set one up: pycstore setup
            ");
        }
    }
    // Without the variable the home is that of passwd(5); a relative one is none.
    let mut homeless = bare(&world);
    insta::assert_snapshot!(says(&world, &answer(homeless.env("HOME", ".").arg("du"))), @r"
    pycstore: no store found: --store is not given, PYTHONPYCACHEPREFIX is not set, the configuration sets no store, and HOME is not set
    hint: specify one with `pycstore --store DIR …`, or set one up: pycstore setup
    ");
    insta::assert_snapshot!(says(&world, &answer(bare(&world).args(["du", "--store", "missing"]))), @r"
    pycstore: no store at /home/me/missing
    hint: the path comes from --store; Python creates it when it first compiles a module if PYTHONPYCACHEPREFIX names it. To use another store: pycstore --store DIR …
    ");
    insta::assert_snapshot!(says(&world, &answer(bare(&world).env("PYTHONPYCACHEPREFIX", "/x/y").arg("du"))), @r"
    pycstore: no store at /x/y
    hint: the path comes from PYTHONPYCACHEPREFIX; Python creates it when it first compiles a module. To use another store: pycstore --store DIR …
    ");
}

#[test]
fn what_is_no_store_is_refused_by_every_command() {
    let world = World::new();
    // Everything refused holds an orphan that a prune would take.
    let project = world.project("project", &["m.py"]);
    let gone = world.project("gone", &["m.py"]);
    for root in [world.home.clone(), world.home.parent().unwrap().to_path_buf(), project.clone()] {
        let mirror = root.join(gone.strip_prefix("/").unwrap());
        std::fs::create_dir_all(&mirror).unwrap();
        std::fs::write(mirror.join("m.cpython-312.pyc"), "").unwrap();
    }
    std::fs::remove_dir_all(&gone).unwrap();
    symlink(&world.home, world.home.join("link-to-home")).unwrap();
    symlink("/", world.home.join("link-to-root")).unwrap();
    let file = world.write("file", "x");
    let parent = world.home.parent().unwrap();
    let before = World::snapshot(parent);
    let refused: [(&Path, &str); 10] = [
        (Path::new("/"), "pycstore: refused: / is the root directory\n"),
        (Path::new("/.."), "pycstore: refused: / is the root directory\n"),
        (
            &world.home.join("link-to-root"),
            "pycstore: refused: /home/me/link-to-root is the root directory\n",
        ),
        (&world.home, "pycstore: refused: /home/me is or holds the home directory /home/me\n"),
        (Path::new("."), "pycstore: refused: /home/me is or holds the home directory /home/me\n"),
        (
            &world.home.join("link-to-home"),
            "pycstore: refused: /home/me/link-to-home is or holds the home directory /home/me\n",
        ),
        (parent, "pycstore: refused: /home is or holds the home directory /home/me\n"),
        (&project, "pycstore: refused: /home/me/project is a source tree: it has m.py\n"),
        (&file, "pycstore: not a directory: /home/me/file\n"),
        (&file.join("below"), "pycstore: not a directory: /home/me/file/below\n"),
    ];
    for (root, expected) in refused {
        for command in COMMANDS {
            let by_flag = answer(bare(&world).arg("--store").arg(root).args(command));
            let by_variable = answer(bare(&world).env("PYTHONPYCACHEPREFIX", root).args(command));
            for (answer, named) in [(by_flag, "--store"), (by_variable, "PYTHONPYCACHEPREFIX")] {
                let said = says(&world, &answer);
                let hint =
                    said.strip_prefix(expected).unwrap_or_else(|| panic!("{}: {said}", root.display()));
                assert!(hint.starts_with(&format!("hint: the path comes from {named}")), "{said}");
            }
        }
    }
    assert_only_gone(&before, &World::snapshot(parent), &[]);
}

#[test]
fn any_sign_of_sources_is_enough() {
    let world = World::new();
    for sign in [
        ".git",
        ".hg",
        ".svn",
        "pyproject.toml",
        "setup.py",
        "setup.cfg",
        "pyvenv.cfg",
        "__pycache__",
        "m.py",
    ] {
        let store = store_of(&world, "store", 1);
        answer(bare(&world).args(["--store", "store", "du"])).exits(0);
        if sign == ".git" || sign == "__pycache__" {
            std::fs::create_dir(store.join(sign)).unwrap();
        } else {
            std::fs::write(store.join(sign), "").unwrap();
        }
        let before = World::snapshot(&store);
        let answer = answer(bare(&world).args(["--store", "store", "prune", "--orphans"]));
        let expected = format!("pycstore: refused: /home/me/store is a source tree: it has {sign}\n");
        assert!(says(&world, &answer).starts_with(&expected), "{}", answer.stderr);
        assert_only_gone(&before, &World::snapshot(&store), &[]);
        std::fs::remove_dir_all(&store).unwrap();
    }
    // The default place is vetted as well.
    let store = store_of(&world, ".cache/cpython", 1);
    std::fs::write(store.join("pyproject.toml"), "").unwrap();
    insta::assert_snapshot!(says(&world, &answer(bare(&world).args(["prune", "--orphans"]))), @r"
    pycstore: refused: /home/me/.cache/cpython is a source tree: it has pyproject.toml
    hint: the path comes from the default; use a separate directory for the store, such as ~/.cache/cpython
    ");
}

#[test]
fn a_quoted_tilde_is_explained() {
    let world = World::new();
    for answer in [
        answer(bare(&world).env("PYTHONPYCACHEPREFIX", "~/.cache/cpython").arg("du")),
        answer(bare(&world).args(["--store", "~/.cache/cpython", "du"])),
    ] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(says(&world, &answer), @r"
            pycstore: no store at /home/me/~/.cache/cpython
            hint: neither Python nor pycstore expands a quoted `~`: use $HOME
            ");
        }
    }
}

#[test]
fn another_users_store_may_be_looked_at_and_not_pruned() {
    let world = World::new();
    let store = Path::new("/dev"); // root's, everywhere
    let answer = world.pycstore_unprivileged([
        OsStr::new("--store"),
        store.as_os_str(),
        "prune".as_ref(),
        "--stale".as_ref(),
    ]);
    insta::assert_snapshot!(says(&world, &answer), @r"
    pycstore: refused: /dev belongs to user 0, not to you
    hint: run as that user, or as root
    ");
    let listed = world.pycstore_unprivileged([OsStr::new("--store"), store.as_os_str(), "ls".as_ref()]);
    assert!(listed.stdout.contains("  /dev/null\n"), "{}", listed.stdout);
}

#[test]
fn a_link_to_the_store_is_the_store() {
    let world = World::new();
    let living = world.project("living", &["a.py"]);
    let gone = world.project("gone", &["b.py"]);
    world.compile(newest(), &[], &[&living, &gone]);
    std::fs::remove_dir_all(&gone).unwrap();
    symlink(&world.store, world.home.join("link")).unwrap();
    symlink(".cache", world.home.join("dir-link")).unwrap();
    let before = World::snapshot(&world.home);
    let run = |store: &str, arguments: &[&str]| {
        answer(bare(&world).args(["--store", store]).args(arguments)).exits(0)
    };

    let direct = run(world.store.to_str().unwrap(), &["du", "--json"]).json();
    for link in ["link", "dir-link/cpython"] {
        let linked = run(link, &["du", "--json"]).json();
        assert_eq!(linked["store"], world.home.join(link).to_str().unwrap(), "shown as it was given");
        for field in ["total", "reclaimable", "statuses", "owners"] {
            assert_eq!(linked[field], direct[field]);
        }
    }
    run("link", &["prune", "--orphans"]);
    assert_only_gone(&before, &World::snapshot(&world.home), &[&world.mirror(&gone)]);
}

#[test]
fn a_reader_that_stops_is_no_error() {
    // More than any pipe holds.
    let world = World::new();
    let store = store_of(&world, ".cache/cpython", 4000);
    let program = env!("CARGO_BIN_EXE_pycstore");
    for arguments in ["ls", "ls --json", "ls -0", "ls --status orphan"] {
        let script =
            format!("{{ {{ '{program}' {arguments}; echo $? >&3; }} | head -c 100 > /dev/null; }} 3>&1");
        let piped = answer(world.command("sh").args(["-c", &script])).exits(0);
        assert_eq!((piped.stdout.as_str(), piped.stderr.as_str()), ("0\n", ""), "{arguments}");
    }
    let before = World::snapshot(&store);
    for arguments in [
        &["du"][..],
        &["du", "--json"],
        &["ls"],
        &["prune", "--orphans", "-n"],
        &["--help"],
        &["ls", "--help"],
        &["--version"],
        &["demo"],
    ] {
        let output = bare(&world).args(arguments).stdout(closed_pipe()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*stderr), (Some(0), ""), "{arguments:?}");
    }
    assert_only_gone(&before, &World::snapshot(&store), &[]);
    // The work is done whether or not anybody reads about it.
    let output = bare(&world).args(["prune", "--orphans"]).stdout(closed_pipe()).output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
    assert!(files(&store).is_empty());
}
