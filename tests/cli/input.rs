//! Configuration, history and metrics are input and output of the user: whatever lies at their paths, a run ends, says so
//! in one line, and writes nowhere else.

use crate::support::{World, ends, files, history_of, special};
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

/// A world with the project `kept` and the deleted project `gone`, both of one entry.
fn world() -> World {
    World::of_projects(&["a.py"], &["b.py"])
}

fn make_pipe(path: &Path) {
    special::make_pipe(path).unwrap();
}

/// What is put at a path, with its name.
type Put = (&'static str, fn(&Path));

const IN_THE_PLACE: [Put; 5] = [
    ("a pipe", make_pipe),
    ("a link to a device without an end", |path| symlink("/dev/zero", path).unwrap()),
    ("a link to a terminal", |path| symlink("/dev/tty", path).unwrap()),
    ("a directory", |path| fs::create_dir(path).unwrap()),
    ("a terabyte", |path| File::create(path).unwrap().set_len(1 << 40).unwrap()),
];

fn clear(path: &Path) {
    let _ = fs::remove_file(path);
    let _ = fs::remove_dir(path);
}

#[test]
fn a_configuration_that_is_no_file_is_refused_in_one_line() {
    let world = world();
    let default = world.write(".config/pycstore/config.toml", "");
    let named = world.home.join("named.toml");
    for (name, put) in IN_THE_PLACE {
        for (path, arguments) in
            [(&default, &["ls"][..]), (&named, &["--config", named.to_str().unwrap(), "prune", "--orphans"])]
        {
            clear(path);
            put(path);
            let told = ends(&world, arguments);
            clear(path);
            let expected = format!("pycstore: cannot read the configuration file {}: it ", path.display());
            assert!(told.stderr.starts_with(&expected), "{name}: {told:?}");
            assert_eq!((told.code, told.stderr.lines().count()), (2, 2), "{name}: {told:?}");
            assert!(told.stderr.lines().nth(1).unwrap().starts_with("hint: "), "{told:?}");
        }
    }
    assert_eq!(files(&world.store).len(), 2, "nothing was removed");
}

#[test]
fn a_configuration_may_be_a_link_or_the_null_device() {
    let world = world();
    let dotfile = world.write("dotfiles/pycstore.toml", "[prune]\norphans = true\n");
    fs::create_dir_all(world.home.join(".config/pycstore")).unwrap();
    symlink(dotfile, world.home.join(".config/pycstore/config.toml")).unwrap();
    insta::assert_snapshot!(ends(&world, &["prune", "--dry-run"]).shown(), @r"
    exit: 0
    ----- stdout -----
    SIZE  FILES  STATUS  REASON  OWNER
    SIZE  1  orphan  root  /home/me/gone (gone)
    DIRECTORIES  EMPTY DIRECTORY TREE
              1  /home/me/.cache/cpython/home/me/gone
    would remove 1 file and 1 directory, SIZE
    ----- stderr -----
    ");
    assert_eq!(ends(&world, &["--config", "/dev/null", "config"]).exits(0).stderr, "");
    // Everybody may write to it, and yet it says nothing to root either.
    fs::remove_file(world.home.join(".config/pycstore/config.toml")).unwrap();
    symlink("/dev/null", world.home.join(".config/pycstore/config.toml")).unwrap();
    assert_eq!(ends(&world, &["config"]).exits(0).stderr, "");
}

#[test]
fn a_history_that_is_no_file_neither_blocks_nor_stops_a_prune() {
    for (name, put) in IN_THE_PLACE {
        let world = world();
        let history = history_of(&world);
        clear(&history);
        put(&history);
        let looked = ends(&world, &["history"]);
        let expected = format!("pycstore: cannot read the history {}: it ", history.display());
        assert!(looked.stderr.starts_with(&expected), "{name}: {looked:?}");
        assert_eq!((looked.code, looked.stderr.lines().count()), (1, 1), "{name}: {looked:?}");
        // Nobody knows when the last run was: this one is due.
        let pruned = ends(&world, &["prune", "--orphans", "--min-interval", "20h"]);
        assert_eq!(files(&world.store).len(), 1, "{name}: {pruned:?}");
        if name == "a terabyte" {
            // It is cut to what can be read.
            assert_eq!(pruned.code, 0, "{pruned:?}");
            assert_eq!(ends(&world, &["history", "--json"]).exits(0).json_lines().len(), 1);
        } else {
            let expected = format!("pycstore: cannot record this run in {}: ", history.display());
            assert_eq!(
                pruned.stderr.lines().filter(|line| line.starts_with(&expected)).count(),
                1,
                "{pruned:?}"
            );
            assert_eq!(pruned.code, 1, "{name}");
        }
        // The lock ended with the run.
        let again = ends(&world, &["prune", "--orphans"]);
        assert!(again.stdout.contains("nothing to remove"), "{name}: {again:?}");
    }
}

#[test]
fn a_history_is_not_appended_to_through_a_link() {
    for target in ["precious", "missing"] {
        let world = world();
        let history = history_of(&world);
        let precious = world.write("precious", "precious\n");
        clear(&history);
        symlink(world.home.join(target), &history).unwrap();
        let pruned = ends(&world, &["prune", "--orphans"]).exits(1);
        let path = history.display();
        let line = format!(
            "pycstore: cannot record this run in {path}: it is a symbolic link, which is not followed\n"
        );
        assert_eq!(pruned.stderr, line);
        assert_eq!(files(&world.store).len(), 1, "the run went on");
        assert_eq!(fs::read_to_string(precious).unwrap(), "precious\n");
        assert!(!world.home.join("missing").exists() && history.is_symlink());
    }
}

#[test]
fn metrics_replace_files_only() {
    for (name, put) in IN_THE_PLACE.into_iter().filter(|(name, _)| *name != "a terabyte") {
        let world = world();
        let metrics = world.home.join("pycstore.prom");
        put(&metrics);
        let told = ends(&world, &["prune", "--orphans", "--metrics", metrics.to_str().unwrap()]).exits(1);
        let line = format!(
            "pycstore: cannot write the metrics to {}: it is not a regular file\n",
            metrics.display()
        );
        assert_eq!(told.stderr, line, "{name}");
        assert!(!fs::symlink_metadata(&metrics).unwrap().is_file());
        assert_eq!(files(&world.store).len(), 1, "the run went on");
    }
}

#[test]
fn startup_files_that_never_end_do_not_block() {
    let world = world();
    for (_, put) in IN_THE_PLACE {
        for name in [".profile", ".zshenv"] {
            put(&world.home.join(name));
        }
        ends(&world, &["setup", "bash", "--print"]);
        ends(&world, &["setup", "zsh", "--dry-run"]);
        ends(&world, &["setup", "bash", "--dry-run"]);
        for name in [".profile", ".zshenv"] {
            clear(&world.home.join(name));
        }
    }
}
