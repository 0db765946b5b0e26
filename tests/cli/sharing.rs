//! Whether the directory is a store at all: one that other programs use is recognised by `du`, `prune` and `doctor`, no
//! mode is proposed for it, and `setup` refuses it.

use crate::support::{Answer, World, answer, files, newest};
use std::fs::{Permissions, create_dir_all, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const SHARED: &str = "is shared with other programs";

fn run(world: &World, store: &Path, arguments: &[&str]) -> Answer {
    let mut command = world.program();
    if arguments[0] == "doctor" {
        // What shells and interpreters say is nothing here.
        command.env("PATH", "/nonexistent");
    }
    answer(command.env("PYTHONPYCACHEPREFIX", store).args(arguments))
}

/// A home with a project, compiled into a store at `store`.
fn filled(store: &str) -> (World, PathBuf) {
    let mut world = World::new();
    world.store = world.home.join(store);
    create_dir_all(&world.store).unwrap();
    let project = world.project("project", &["a.py", "b.py", "c.py"]);
    world.compile(newest(), &[], &[&project]);
    let store = world.store.clone();
    (world, store)
}

/// Directories that other programs use, each with three entries.
fn shared() -> Vec<(World, PathBuf, &'static str)> {
    let by_place = filled(".cache");
    by_place.0.write(".cache/pip/http/a", "x");
    let by_link = filled("somewhere");
    std::os::unix::fs::symlink("somewhere", by_link.0.home.join(".local")).unwrap();
    let by_link = (by_link.0, by_link.1.with_file_name(".local"));
    create_dir_all(by_link.0.home.join("somewhere/share")).unwrap();
    let by_mode = filled("scratch");
    set_permissions(&by_mode.1, Permissions::from_mode(0o1777)).unwrap();
    let by_files = filled("code");
    for number in 0..12 {
        by_files.0.write(format!("code/tool/f{number}.py"), "");
    }
    vec![
        (by_place.0, by_place.1, "known-place"),
        (by_link.0, by_link.1, "known-place"),
        (by_mode.0, by_mode.1, "everyone"),
        (by_files.0, by_files.1, "foreign-files"),
    ]
}

#[test]
fn it_is_said_once_in_one_line() {
    for (world, store, reason) in shared() {
        let said = |arguments: &[&str]| {
            let stderr = run(&world, &store, arguments).exits(0).stderr;
            stderr.lines().filter(|line| line.starts_with("pycstore: ") && line.contains(SHARED)).count()
        };
        assert_eq!(said(&["du"]), 1, "{reason}");
        assert_eq!(said(&["prune", "--orphans", "-n"]), 1, "{reason}");
        assert_eq!(said(&["prune", "--orphans"]), 1, "{reason}");
        assert_eq!(said(&["-q", "prune", "--orphans"]), 0, "{reason}");
        let document = run(&world, &store, &["du", "--json"]).exits(0).json();
        assert_eq!(document["shared"], reason);
        assert_eq!(document["statuses"]["fresh"]["files"], 3, "{reason}: all is shown that was shown before");
    }
}

#[test]
fn doctor_proposes_a_directory_of_its_own_and_no_mode() {
    for (world, store, reason) in shared() {
        set_permissions(
            &store,
            Permissions::from_mode(store.metadata().unwrap().permissions().mode() | 0o022),
        )
        .unwrap();
        let told = run(&world, &store, &["doctor", "--json"]);
        let findings = told.json_lines();
        let shared: Vec<_> = findings.iter().filter(|finding| finding["finding"] == "shared").collect();
        assert_eq!(shared.len(), 1, "{reason}: {}", told.stdout);
        assert!(shared[0]["detail"].as_str().unwrap().contains(SHARED));
        assert!(shared[0]["hint"].as_str().unwrap().contains("~/.cache/cpython"));
        let proposes = |verb: &str| {
            findings.iter().any(|finding| {
                let hint = finding["hint"].as_str().unwrap();
                hint.contains(verb) && hint.contains(store.to_str().unwrap())
            })
        };
        assert!(!proposes("chmod") && !proposes("chown"), "{reason}: {}", told.stdout);
    }
}

#[test]
fn setup_refuses_it() {
    for (world, store, reason) in shared() {
        let before = files(&world.home);
        let mode = store.metadata().unwrap().permissions().mode();
        for line in
            [&["setup", "zsh", "--yes"][..], &["setup", "bash", "--dry-run"], &["setup", "fish", "--print"]]
        {
            let told = run(&world, &store, line).exits(2);
            assert_eq!(told.stdout, "", "{reason}");
            assert!(told.stderr.contains(SHARED), "{reason}: {}", told.stderr);
            assert!(
                told.stderr.contains("\nhint: ") && told.stderr.contains("~/.cache/cpython"),
                "{}",
                told.stderr
            );
        }
        assert_eq!(files(&world.home), before, "{reason}");
        assert_eq!(store.metadata().unwrap().permissions().mode(), mode);
        // What names no store is set up, and what was set up is taken back.
        run(&world, &store, &["setup", "git", "--yes"]).exits(0);
        run(&world, &store, &["setup", "zsh", "--undo", "--yes"]).exits(0);
    }
    // Also where it is not there yet.
    let world = World::new();
    for name in ["Downloads", ".local/share", ".config"] {
        let told = run(&world, &world.home.join(name), &["setup", "zsh", "--yes"]).exits(2);
        assert!(told.stderr.contains(SHARED), "{}", told.stderr);
        assert!(!world.home.join(".zshenv").exists());
    }
    for directory in ["/var/tmp", "/dev/shm"] {
        let told = run(&world, Path::new(directory), &["setup", "zsh", "--yes"]).exits(2);
        assert!(told.stderr.contains(SHARED), "{}", told.stderr);
    }
}

#[test]
fn a_directory_that_a_variable_names_for_all_programs() {
    let (world, store) = filled("caches");
    for variable in ["XDG_CACHE_HOME", "TMPDIR", "XDG_RUNTIME_DIR"] {
        let mut command = world.program();
        command.env("PYTHONPYCACHEPREFIX", &store).env(variable, &store).args(["du", "--json"]);
        assert_eq!(answer(&mut command).exits(0).json()["shared"], "known-place", "{variable}");
    }
    assert_eq!(run(&world, &store, &["du", "--json"]).exits(0).json().get("shared"), None);
}

#[test]
fn an_ordinary_store_is_its_own() {
    let own = |world: &World, store: &Path| {
        let told = run(world, store, &["du", "--json"]).exits(0);
        assert_eq!((told.json().get("shared"), told.stderr.as_str()), (None, ""));
        assert_eq!(run(world, store, &["prune", "--orphans"]).exits(0).stderr, "");
        assert!(!run(world, store, &["doctor"]).stdout.contains(SHARED));
        run(world, store, &["setup", "zsh", "--yes"]).exits(0);
    };
    // New and empty; small; with a few files that are not Python's; at other usual places.
    let world = World::new();
    create_dir_all(&world.store).unwrap();
    own(&world, &world.store);
    for place in [".cache/cpython", "store", "Library/Caches/com.apple.python", ".local/share/pyc"] {
        let (world, store) = filled(place);
        own(&world, &store);
        for name in [".DS_Store", "README", "home/notes.txt", "CACHEDIR.TAG"] {
            create_dir_all(store.join(name).parent().unwrap()).unwrap();
            std::fs::write(store.join(name), "").unwrap();
        }
        own(&world, &store);
    }
    // Even writable by everyone: that is a finding of its own, with a remedy.
    let (world, store) = filled("open");
    set_permissions(&store, Permissions::from_mode(0o777)).unwrap();
    let told = run(&world, &store, &["doctor"]);
    assert!(told.stdout.contains("chmod -R go-w ") && !told.stdout.contains(SHARED), "{}", told.stdout);
}

#[test]
fn an_empty_directory_of_another_program_stays_there() {
    for (world, store, reason) in shared() {
        // As a program may make one below `/tmp` whose path nothing has: `/root/lock`, say.
        let other = store.join(world.home.strip_prefix("/").unwrap()).join("no-such-project/lock");
        create_dir_all(&other).unwrap();
        world.write("later", "");
        std::fs::remove_dir_all(world.home.join("project")).unwrap();
        let told = run(&world, &store, &["prune", "--orphans"]).exits(0);
        assert!(other.is_dir(), "{reason}: {}", told.stdout);
        let project = store.join(world.home.strip_prefix("/").unwrap()).join("project");
        assert!(!project.exists(), "{reason}: what the run empties goes: {}", told.stdout);
    }
}
