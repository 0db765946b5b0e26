//! Work trees of git, made by git itself: what it tracks stays where `sweep` runs, and `setup git` hides the rest.

use crate::support::in_tree::sweep;
use crate::support::special::make_pipe;
use crate::support::{Answer, HEADER, HOUR, World, age, answer, files, newest, tool};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Runs git in a directory, apart from the machine's configuration.
fn git(world: &World, directory: &Path, arguments: &[&str]) -> Answer {
    let mut command = world.command(tool("git", "git"));
    command.env("GIT_CONFIG_NOSYSTEM", "1").arg("-C").arg(directory);
    command.args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always"]);
    answer(command.args(arguments)).exits(0)
}

fn setup(world: &World, arguments: &[&str]) -> Answer {
    world.pycstore_without_prefix([&["setup"], arguments].concat())
}

/// Bytecode of every form below a directory: what is tracked when all of it is added but what is called `other`.
struct Files {
    tracked: Vec<PathBuf>,
    others: Vec<PathBuf>,
}

impl Files {
    fn new(directory: &Path) -> Files {
        let write = |path: &str, bytes: &[u8]| {
            let path = directory.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, bytes).unwrap();
            age(&path, 2 * HOUR);
            path
        };
        for path in ["m.py", "other.py", "pkg/m.py", "pkg/other.py", "pkg/deep/é m.py"] {
            write(path, b"");
        }
        let bytecode = |paths: &[&str]| paths.iter().map(|path| write(path, HEADER)).collect();
        Files {
            tracked: bytecode(&[
                "m.pyc",
                "pkg/m.pyo",
                "pkg/m.pyc.77",
                "__pycache__/m.cpython-312.pyc",
                "pkg/__pycache__/m.cpython-312.pyc",
                "pkg/__pycache__/m.cpython-312.opt-1.pyc.77",
                "pkg/deep/__pycache__/é m.cpython-312 2.pyc",
            ]),
            others: bytecode(&[
                "other.pyc",
                "__pycache__/other.cpython-312.pyc",
                "pkg/other.pyc",
                "pkg/__pycache__/other.cpython-312.pyc",
            ]),
        }
    }

    /// Asserts that a sweep of these paths keeps and names what is tracked, and takes the rest.
    #[track_caller]
    fn are_swept(&self, world: &World, paths: &[&Path]) {
        let told = sweep(world, paths).exits(0);
        for path in &self.tracked {
            assert!(path.exists(), "{} is tracked\n{}", path.display(), told.stderr);
        }
        for path in &self.others {
            assert!(!path.exists(), "{} is not tracked\n{}", path.display(), told.stderr);
        }
        assert_eq!(told.stderr.matches(": git tracks it\n").count(), self.tracked.len(), "{}", told.stderr);
    }
}

/// A repository with files of which some are tracked.
fn repository(world: &World, name: &str, init: &[&str]) -> (PathBuf, Files) {
    let root = world.home.join(name);
    let files = Files::new(&root);
    git(world, &root, &[&["init", "-q"], init].concat());
    git(world, &root, &["add", "--force", ".", ":!*other.*"]);
    (root, files)
}

#[test]
#[ignore = "needs git"]
fn what_git_tracks_stays_in_every_format_of_the_index() {
    type Arguments<'a> = &'a [&'a str];
    let formats: [(&str, Arguments<'_>, &[Arguments<'_>]); 7] = [
        ("version 2", &[], &[]),
        ("version 3", &[], &[&["add", "--intent-to-add", "--force", "late.txt"]]),
        ("version 4", &[], &[&["update-index", "--index-version", "4"]]),
        ("split", &[], &[&["update-index", "--split-index"], &["add", "--force", "late.txt"]]),
        ("SHA-256", &["--object-format=sha256"], &[]),
        (
            "SHA-256, version 4, split",
            &["--object-format=sha256"],
            &[&["update-index", "--index-version", "4"], &["update-index", "--split-index"]],
        ),
        ("many extensions", &[], &[&["update-index", "--untracked-cache"], &["write-tree"], &["status"]]),
    ];
    for (name, init, steps) in formats {
        let world = World::new();
        let (root, files) = repository(&world, "project", init);
        std::fs::write(root.join("late.txt"), "").unwrap();
        for step in steps {
            git(&world, &root, step);
        }
        let index = std::fs::read(root.join(".git/index")).unwrap();
        if let Some(version) = name.split("version ").nth(1).and_then(|it| it.split(',').next()) {
            assert_eq!(index[7].to_string(), version, "git wrote another index for {name}");
        }
        assert_eq!(name.contains("split"), index.windows(4).any(|it| it == b"link"), "{name}");
        files.are_swept(&world, &[&root]);
    }
}

#[test]
#[ignore = "needs git"]
fn bytecode_in_a_sparse_directory_stays() {
    let world = World::new();
    let (root, files) = repository(&world, "project", &[]);
    git(&world, &root, &["commit", "-q", "-m", "all"]);
    files.others.iter().for_each(|path| std::fs::remove_file(path).unwrap());
    git(&world, &root, &["sparse-checkout", "set", "--cone", "--sparse-index", "elsewhere"]);
    let cache = root.join("pkg/__pycache__");
    assert!(!cache.exists(), "git took it from the work tree");
    // Whatever lies there now: only the directory is in the index, so what was in it is not known.
    let again = Files::new(&root);
    assert!(std::fs::read(root.join(".git/index")).unwrap().windows(4).any(|it| it == b"sdir"));
    sweep(&world, [&root]).exits(0);
    assert!(again.tracked.iter().all(|path| path.exists()));
    assert!(!root.join("other.pyc").exists() && root.join("pkg/other.pyc").exists());
}

#[test]
#[ignore = "needs git"]
fn linked_work_trees_submodules_and_nested_repositories_have_their_own_index() {
    let world = World::new();
    let (root, files) = repository(&world, "project", &[]);
    git(&world, &root, &["commit", "-q", "-m", "all"]);
    let linked = world.home.join("linked");
    git(&world, &root, &["worktree", "add", "-q", linked.to_str().unwrap()]);
    assert!(linked.join(".git").is_file());
    // What the link has of a checkout is young: temporaries of an hour ago are made again.
    Files::new(&linked).are_swept(&world, &[&linked]);

    let outer = world.home.join("outer");
    std::fs::create_dir(&outer).unwrap();
    git(&world, &outer, &["init", "-q"]);
    git(&world, &outer, &["submodule", "--quiet", "add", root.to_str().unwrap(), "sub"]);
    assert!(outer.join("sub/.git").is_file());
    Files::new(&outer.join("sub")).are_swept(&world, &[&outer]);

    let (nested, nested_files) = repository(&world, "project/vendor/nested", &[]);
    let both = Files {
        tracked: [files.tracked, nested_files.tracked].concat(),
        others: [files.others, nested_files.others].concat(),
    };
    assert!(nested.join(".git").is_dir());
    let listed = sweep(&world, ["--dry-run", "--json", root.to_str().unwrap()]).exits(0).json();
    let skipped = listed["skipped"].as_array().unwrap();
    assert_eq!(skipped.iter().filter(|it| it["why"] == "tracked").count(), both.tracked.len(), "{listed}");
    let told = sweep(&world, [&root]).exits(0);
    assert!(both.tracked.iter().all(|path| path.exists()), "{}", told.stderr);
    assert!(!both.others.iter().any(|path| path.exists()), "{}", told.stderr);
}

#[test]
#[ignore = "needs git"]
fn a_part_of_a_work_tree_and_a_link_to_one_are_swept_alike() {
    for name in ["project/pkg", "link", "link/pkg", "project/pkg/__pycache__"] {
        let world = World::new();
        let (root, files) = repository(&world, "project", &[]);
        symlink(&root, world.home.join("link")).unwrap();
        sweep(&world, [world.home.join(name)]).exits(0);
        assert!(files.tracked.iter().all(|path| path.exists()), "{name}");
        assert!(!root.join("pkg/__pycache__/other.cpython-312.pyc").exists(), "{name}");
    }
}

#[test]
#[ignore = "needs git"]
fn what_git_does_not_track_any_more_goes() {
    let world = World::new();
    let (root, mut files) = repository(&world, "project", &[]);
    git(&world, &root, &["rm", "-q", "-r", "--cached", "pkg"]);
    let (tracked, removed) = files.tracked.into_iter().partition(|path| !path.starts_with(root.join("pkg")));
    files.tracked = tracked;
    files.others.extend::<Vec<_>>(removed);
    files.are_swept(&world, &[&root]);
}

#[test]
#[ignore = "needs git"]
fn tracked_bytecode_is_not_moved_into_the_store_either() {
    let world = World::new();
    let (root, files) = repository(&world, "project", &[]);
    sweep(&world, ["--adopt", root.to_str().unwrap()]).exits(0);
    assert!(files.tracked.iter().all(|path| path.exists()));
}

#[test]
#[ignore = "needs git"]
fn where_the_index_cannot_be_read_all_bytecode_stays() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 6] = [
        ("cut off", |index| {
            let bytes = std::fs::read(index).unwrap();
            std::fs::write(index, &bytes[..bytes.len() - 30]).unwrap();
        }),
        ("of the future", |index| {
            let mut bytes = std::fs::read(index).unwrap();
            bytes[7] = 9;
            std::fs::write(index, bytes).unwrap();
        }),
        ("empty", |index| std::fs::write(index, "").unwrap()),
        ("a pipe", |index| {
            std::fs::remove_file(index).unwrap();
            make_pipe(index).unwrap();
        }),
        ("a directory", |index| {
            std::fs::remove_file(index).unwrap();
            std::fs::create_dir(index).unwrap();
        }),
        ("without its other part", |index| {
            for entry in std::fs::read_dir(index.parent().unwrap()).unwrap().map(Result::unwrap) {
                if entry.file_name().to_string_lossy().starts_with("sharedindex.") {
                    std::fs::remove_file(entry.path()).unwrap();
                }
            }
        }),
    ];
    for (name, damage) in damages {
        let world = World::new();
        let (root, files) = repository(&world, "project", &[]);
        if name == "without its other part" {
            git(&world, &root, &["update-index", "--split-index"]);
        }
        damage(&root.join(".git/index"));
        let told = sweep(&world, ["-q", root.to_str().unwrap()]).exits(1);
        assert!(files.tracked.iter().chain(&files.others).all(|path| path.exists()), "{name}");
        assert_eq!(told.stderr.matches("cannot read ").count(), 1, "{name}: {}", told.stderr);
        assert!(told.stderr.contains("/.git/"), "{name}: {}", told.stderr);
        assert!(told.stderr.contains(": git may track it: "), "{name}: {}", told.stderr);
    }
}

#[test]
#[ignore = "needs git"]
fn a_work_tree_whose_repository_is_missing_keeps_its_bytecode() {
    let world = World::new();
    let root = world.home.join("copied");
    let files = Files::new(&root);
    std::fs::write(root.join(".git"), "gitdir: ../.git/modules/copied\n").unwrap();
    let told = sweep(&world, [&root]).exits(1);
    assert!(files.tracked.iter().chain(&files.others).all(|path| path.exists()), "{}", told.stderr);
    // An empty file of this name only keeps git out, and a directory is not yet a repository.
    std::fs::write(root.join(".git"), "").unwrap();
    sweep(&world, [&root]).exits(0);
    assert!(!files.tracked.iter().chain(&files.others).any(|path| path.exists()));
    std::fs::remove_file(root.join(".git")).unwrap();
    let files = Files::new(&root);
    std::fs::create_dir(root.join(".git")).unwrap();
    sweep(&world, [&root]).exits(0);
    assert!(!files.tracked.iter().any(|path| path.exists()));
}

#[test]
#[ignore = "needs git"]
fn nothing_that_a_repository_names_is_run() {
    let world = World::new();
    let (root, files) = repository(&world, "project", &[]);
    let ran = world.home.join("ran");
    let script = world.write("monitor", format!("#!/bin/sh\ntouch '{}'\n", ran.display()));
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    git(&world, &root, &["config", "core.fsmonitor", script.to_str().unwrap()]);
    files.are_swept(&world, &[&root]);
    assert!(!ran.exists());
}

#[test]
#[ignore = "needs git"]
fn git_ignores_bytecode_in_every_repository() {
    for configuration in ["", "[core]\n\texcludesFile = ~/my ignore\n"] {
        let world = World::new();
        if !configuration.is_empty() {
            world.write(".gitconfig", configuration);
            world.write("my ignore", "*~");
        }
        let repository = world.home.join("repository");
        git(&world, &world.home, &["init", "-q", "repository"]).exits(0);
        world.write("repository/__pycache__/m.cpython-312.pyc", "x");
        world.write("repository/old.pyc", "x");
        let status = || git(&world, &repository, &["status", "--porcelain"]).stdout;
        assert_eq!(status(), "?? __pycache__/\n?? old.pyc\n");
        setup(&world, &["git", "--yes"]).exits(0);
        assert_eq!(status(), "");
        let checked = git(&world, &repository, &["check-ignore", "-v", "__pycache__"]).stdout;
        let file = if configuration.is_empty() { ".config/git/ignore" } else { "my ignore" };
        assert!(checked.contains(&format!("{file}:")) && checked.contains("__pycache__/"), "{checked}");
        assert!(!world.store.exists(), "no store was promised");
        setup(&world, &["git", "--undo", "--yes"]).exits(0);
        assert_eq!(status(), "?? __pycache__/\n?? old.pyc\n");
        if !configuration.is_empty() {
            assert_eq!(std::fs::read_to_string(world.home.join("my ignore")).unwrap(), "*~");
        }
    }
}

#[test]
#[ignore = "needs git"]
fn a_repository_says_nothing_about_the_others() {
    let world = World::new();
    git(&world, &world.home, &["init", "-q", "repository"]);
    let repository = world.home.join("repository");
    git(&world, &repository, &["config", "core.excludesFile", "/elsewhere"]).exits(0);
    let mut command = world.program();
    answer(command.current_dir(repository).args(["setup", "git", "--yes"])).exits(0);
    assert!(world.home.join(".config/git/ignore").is_file());
    world.write(".gitconfig", "[core]\n\texcludesFile = relative\n");
    insta::assert_snapshot!(setup(&world, &["git", "--yes"]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: git: core.excludesFile is the relative path relative
    hint: git config --global core.excludesFile '~/relative'
    ");
}

#[test]
#[ignore = "needs git"]
fn sources_that_another_branch_does_not_have_are_deleted() {
    let world = World::new();
    let project = world.project("project", &["a.py", "pkg/b.py", "pkg/deep/c.py"]);
    world.write("keep", "");
    world.compile(newest(), &[], &[&project]);
    for step in [
        &["init", "-q"][..],
        &["add", "-A"],
        &["commit", "-q", "-m", "one"],
        &["checkout", "-q", "--orphan", "other"],
        &["rm", "-r", "-q", "-f", "."],
    ] {
        git(&world, &project, step);
    }
    let lines = world.pycstore(["ls", "--json"]).json_lines();
    assert!(!lines.is_empty() && lines.iter().all(|line| line["status"] == "orphan"), "{lines:#?}");
    world.pycstore(["prune", "--orphans"]).exits(0);
    assert_eq!(files(&world.store).len(), 0);
}
