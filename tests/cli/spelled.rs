//! Paths, spelled and real: below a symbolic link every command means the same entries in either spelling; `..` is what
//! the kernel makes of it; and what means nothing in the store is said.

use crate::support::{Answer, World, answer, assert_only_gone, files, newest};
use std::ffi::OsStr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A home where `lnk` leads to `data/real`, in which `proj` is a project with `a.py` and `pkg/b.py`.
struct Site {
    world: World,
    real: PathBuf,
    link: PathBuf,
}

/// Which spellings the store mirrors.
#[derive(Debug, Clone, Copy)]
enum Spelled {
    ByLink,
    Real,
}

impl Site {
    fn new(spelled: Spelled) -> Site {
        let world = World::new();
        let real = world.project("data/real/proj", &["a.py", "pkg/b.py"]);
        let other = world.project("other", &["a.py"]);
        // An empty directory would tell nothing of what is missing in it.
        world.write("data/real/keep", "");
        symlink("data/real", world.home.join("lnk")).unwrap();
        let link = world.home.join("lnk/proj");
        let compiled = match spelled {
            Spelled::ByLink => &link,
            Spelled::Real => &real,
        };
        world.compile(newest(), &[], &[compiled, &other]);
        assert_eq!(files(&world.mirror(compiled)).len(), 2);
        Site { world, real, link }
    }

    fn run(&self, directory: &Path, arguments: &[&str]) -> Answer {
        let mut command = self.world.program();
        command.env("PYTHONPYCACHEPREFIX", &self.world.store).args(arguments);
        answer(command.current_dir(directory).env("PWD", directory))
    }
}

const SPELLED: [Spelled; 2] = [Spelled::ByLink, Spelled::Real];

#[test]
fn every_command_means_the_same_entries_in_either_spelling() {
    for spelled in SPELLED {
        let site = Site::new(spelled);
        let (real, link) = (site.real.to_str().unwrap(), site.link.to_str().unwrap());
        for (directory, path) in
            [(&site.real, "."), (&site.link, "."), (&site.world.home, real), (&site.world.home, link)]
        {
            let case = format!("{spelled:?}, {path} in {}", directory.display());
            let run = |arguments: &[&str]| site.run(directory, arguments).exits(0);
            let source = format!("{path}/a.py");
            assert_eq!(run(&["which", &source]).stdout.lines().count(), 1, "{case}");
            assert!(run(&["inspect", &source]).stdout.contains("\n  source"), "{case}");
            assert_eq!(run(&["ls", "--under", path]).stdout.lines().count(), 2, "{case}");
            assert_eq!(run(&["du", "--json", "--under", path]).json()["total"]["files"], 2, "{case}");
            assert!(run(&["du", "--files-of", path]).stdout.contains("a.py"), "{case}");
            assert!(run(&["verify", path]).stdout.starts_with("2 entries"), "{case}");
            for line in [
                &["forget", "-n", "--json", path][..],
                &["prune", "--all", "-n", "--json", "--under", path],
                &["prune", "--all", "-n", "--json", "--owner", path],
            ] {
                let told = run(line);
                assert_eq!(
                    (&told.json()["removed"]["files"], told.stderr.as_str()),
                    (&2.into(), ""),
                    "{case}"
                );
            }
            // A source alone, and a directory below.
            for below in ["a.py", "pkg"] {
                let below = format!("{path}/{below}");
                let told = run(&["forget", "-n", "--json", &below]).json();
                assert_eq!(told["removed"]["files"], 1, "{case}");
            }
        }
    }
}

#[test]
fn what_was_deleted_is_meant_in_either_spelling_as_well() {
    for spelled in SPELLED {
        let site = Site::new(spelled);
        std::fs::remove_dir_all(&site.real).unwrap();
        for path in [&site.real, &site.link] {
            let told =
                site.run(&site.world.home, &["forget", "-n", "--json", path.to_str().unwrap()]).exits(0);
            assert_eq!(told.json()["removed"]["files"], 2, "{spelled:?} {path:?} {}", told.stderr);
            for option in ["--under", "--owner"] {
                let line = ["prune", "--orphans", "-n", "--json", option, path.to_str().unwrap()];
                let told = site.run(&site.world.home, &line).exits(0);
                assert_eq!(told.json()["removed"]["files"], 2, "{spelled:?} {path:?} {option}");
            }
            let source = path.join("a.py");
            let told = site.run(&site.world.home, &["which", source.to_str().unwrap()]).exits(0);
            assert_eq!(told.stdout.lines().count(), 1, "{spelled:?} {path:?}");
        }
    }
}

#[test]
fn what_is_kept_is_kept_in_either_spelling() {
    let globs =
        ["~/lnk/**", "~/data/real/**", "~/lnk/proj/a.py", "~/*/proj", "~/data/*/proj/**", "~/lnk/pro?/**"];
    for spelled in SPELLED {
        for glob in globs {
            let site = Site::new(spelled);
            std::fs::remove_dir_all(&site.real).unwrap();
            let kept = if glob.ends_with(".py") { 1 } else { 2 };
            let run = |arguments: &[&str]| site.run(&site.world.home, arguments).exits(0);
            let left = |told: Answer| 2 - told.json()["removed"]["files"].as_u64().unwrap();
            let by_option = run(&["prune", "--orphans", "-n", "--json", "--keep", glob]);
            assert_eq!(left(by_option), kept, "{spelled:?} {glob}");
            site.world.write(".config/pycstore/config.toml", format!("keep = ['{glob}']\n"));
            assert_eq!(left(run(&["prune", "--orphans", "-n", "--json"])), kept, "{spelled:?} {glob}");
            let reclaimable = &run(&["du", "--json"]).json()["reclaimable"]["files"];
            assert_eq!(reclaimable.as_u64().unwrap(), 2 - kept, "{spelled:?} {glob}");
            run(&["prune", "--orphans"]);
            let entries =
                files(&site.world.store).into_iter().filter(|path| path.to_str().unwrap().contains("proj"));
            assert_eq!(entries.count() as u64, kept, "{spelled:?} {glob}");
        }
    }
}

#[test]
fn the_directory_above_a_link_is_that_of_the_kernel() {
    let world = World::new();
    let here = world.project("here", &["a.py"]);
    let there = world.project("there", &["b.py"]);
    std::fs::create_dir(there.join("sub")).unwrap();
    symlink(there.join("sub"), here.join("link")).unwrap();
    world.compile(newest(), &[], &[&here, &there]);
    let before = World::snapshot(&world.store);
    let run = |line: &[&str]| {
        let mut command = world.program();
        command.env("PYTHONPYCACHEPREFIX", &world.store).args(line);
        answer(command.current_dir(&here)).exits(0)
    };
    let entry = world.entry(&there.join("b.py"), newest(), "");
    assert!(run(&["which", "link/../b.py"]).stdout.ends_with(&format!("{}\n", entry.display())));
    assert!(run(&["ls", "--under", "link/.."]).stdout.ends_with(&format!("{}\n", entry.display())));
    run(&["forget", "link/.."]);
    assert_only_gone(&before, &World::snapshot(&world.store), &[&world.mirror(&there)]);
}

#[test]
fn an_entry_that_python_opened_through_a_link_is_found_by_that_name() {
    // As with `bin -> dotfiles/bin` and `bin/../lib` on the path: the store mirrors the text.
    let world = World::new();
    world.write("dotfiles/bin/keep", "");
    let source = world.write("dotfiles/lib/m.py", "X = 1\n");
    symlink("dotfiles/bin", world.home.join("bin")).unwrap();
    let path = world.home.join("bin/../lib");
    let code = format!("import sys; sys.path.insert(0, {path:?}); import m");
    answer(world.python(newest()).args(["-I", "-c", &code]).env("PYTHONPYCACHEPREFIX", &world.store))
        .exits(0);
    let mut python = world.command(&newest().path);
    let prefix = format!("pycache_prefix={}", world.store.display());
    answer(python.args(["-X", &prefix, "-c", &code])).exits(0);
    assert!(!world.entry(&source, newest(), "").exists());
    let entry = world.entry(&world.home.join("lib/m.py"), newest(), "");
    assert!(entry.exists());
    insta::assert_snapshot!(world.pycstore(["which", "bin/../lib/m.py"]).shown(), @r"
    exit: 0
    ----- stdout -----
    fresh  - SIZE  /home/me/.cache/cpython/home/me/lib/m.cpython-3.N.pyc
    fresh  - SIZE  /home/me/.cache/cpython/home/me/lib/m.cpython-3.N.pyc
    ----- stderr -----
    ");
    for path in ["bin/../lib", "bin/../lib/m.py"] {
        let told = world.pycstore(["forget", "-n", "--json", path]).exits(0);
        assert_eq!((&told.json()["removed"]["files"], told.stderr.as_str()), (&1.into(), ""), "{path}");
    }
    // The text leads to a directory that is there: it is not what was named.
    std::fs::create_dir(world.home.join("lib")).unwrap();
    let told = world.pycstore(["forget", "-n", "--json", "bin/../lib"]).exits(0);
    assert_eq!(told.json()["removed"]["files"], 1);
    let told = world.pycstore(["forget", "-n", "--json", "lib"]).exits(0);
    assert_eq!(told.json()["removed"]["files"], 0, "the entry belongs to the other");
}

#[test]
fn what_means_nothing_in_the_store_is_said_whoever_reads_it() {
    let world = World::new();
    let project = world.project("one", &["a.py"]);
    world.compile(newest(), &[], &[&project]);
    let lines = [
        "prune --all --yes -n --tag cpython-3.12",
        "prune --all --yes -n --owner nosuch",
        "prune --orphans --under nosuch",
        "du --under nosuch",
        "du --files-of nosuch --json",
        "ls --tag cpython-99",
        "ls --status fresh --under nosuch",
        "ls --under one --under nosuch",
        "forget nosuch -n --json",
        "forget one nosuch -n",
        "verify nosuch",
        "verify one nosuch",
    ];
    for line in lines {
        let told = world.pycstore(line.split(' ')).exits(0);
        assert_eq!(
            told.stderr.lines().filter(|line| line.starts_with("pycstore: no")).count(),
            1,
            "{line}: {told:?}"
        );
        let quiet = world.pycstore(["-q"].into_iter().chain(line.split(' '))).exits(0);
        assert_eq!(quiet.stderr, "", "{line}");
    }
    // A script that finds nothing of a status has no mistake to be told of.
    for line in ["ls --status orphan", "ls --status orphan --under one", "prune --orphans --under one"] {
        assert_eq!(world.pycstore(line.split(' ')).exits(0).stderr, "", "{line}");
    }
    world.write(".config/pycstore/config.toml", "keep = ['/**']\n");
    assert_eq!(world.pycstore(["prune", "--orphans"]).exits(0).stderr, "", "all is kept, each night");
    let mut shown = String::new();
    for line in ["ls --under ~/one", "forget -n ~/one", "verify ~/one", "du --under ~/one"] {
        shown += &world.pycstore(line.split(' ')).exits(0).shown();
    }
    insta::assert_snapshot!(shown, @r"
    exit: 0
    ----- stdout -----
    ----- stderr -----
    pycstore: no entry has a source at or below /home/me/~/one
    hint: a quoted `~` is not expanded: use $HOME
    exit: 0
    ----- stdout -----
    nothing to remove
    ----- stderr -----
    pycstore: no entry has a source at or below /home/me/~/one
    hint: a quoted `~` is not expanded: use $HOME
    exit: 0
    ----- stdout -----
    0 entries examined: 0 faults, 0 warnings, 0 notices
    ----- stderr -----
    pycstore: no entry has a source at or below /home/me/~/one
    hint: a quoted `~` is not expanded: use $HOME
    exit: 0
    ----- stdout -----
    SIZE  FILES  RECLAIMABLE  LAST USED  TAGS  OWNER
    SIZE  0  -  total
    ----- stderr -----
    pycstore: no entry has a source at or below /home/me/~/one
    hint: a quoted `~` is not expanded: use $HOME
    ");
}

#[test]
fn an_entry_or_a_directory_of_the_store_means_its_source() {
    for by_real_path in [false, true] {
        let world = World::new();
        let one = world.project("one", &["a.py", "b.py"]);
        let two = world.project("two", &["c.py"]);
        world.compile(newest(), &[], &[&one, &two]);
        symlink(&world.store, world.home.join("short")).unwrap();
        let entry = world.entry(&one.join("a.py"), newest(), "");
        let named = |path: &Path| match by_real_path {
            true => path.to_path_buf(),
            false => world.home.join("short").join(path.strip_prefix(&world.store).unwrap()),
        };
        let run = |arguments: &[&str], path: &Path| {
            let path = named(path);
            world.pycstore(arguments.iter().copied().chain([path.to_str().unwrap()])).exits(0)
        };
        assert!(run(&["which"], &entry).stdout.contains(entry.to_str().unwrap()));
        assert_eq!(run(&["ls", "--under"], entry.parent().unwrap()).stdout.lines().count(), 2);
        let before = World::snapshot(&world.store);
        let told = run(&["forget"], &entry).stderr;
        assert!(told.ends_with(&format!("using its source {}\n", one.join("a.py").display())), "{told}");
        assert_only_gone(&before, &World::snapshot(&world.store), &[&entry]);
        run(&["forget"], entry.parent().unwrap());
        assert_only_gone(&before, &World::snapshot(&world.store), &[&world.mirror(&one)]);
        // The store itself means every source.
        let store = named(&world.store);
        world.pycstore([OsStr::new("forget"), store.as_os_str()]).exits(2);
        // A source where an entry is expected means its entries; a directory is pointed to what lists it.
        let source = two.join("c.py");
        let inspected = world.pycstore([OsStr::new("inspect"), source.as_os_str()]).exits(0).stdout;
        assert!(inspected.starts_with(world.entry(&source, newest(), "").to_str().unwrap()), "{inspected}");
        for (command, path, word) in [
            ("source", &source, "pycstore which"),
            ("inspect", &two, "pycstore ls --under"),
            ("which", &two, "pycstore ls --under"),
        ] {
            let told = world.pycstore([OsStr::new(command), path.as_os_str()]).exits(1).stderr;
            assert!(told.contains(word), "{command}: {told}");
        }
        // What is said of a path in the store is said of the source that it was taken as.
        let told =
            world.pycstore([OsStr::new("which"), named(&world.mirror(&two)).as_os_str()]).exits(1).stderr;
        assert!(told.contains(&format!("no entry for {} in", two.display())), "{told}");
    }
}
