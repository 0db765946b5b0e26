//! Missing is not gone: whatever cannot be told is `unknown` with its reason, and no prune takes it.

use crate::support::{World, date_back, interpreters, newest};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// What `ls --json` says of each entry, as `status reason`, by the source's path.
fn statuses(world: &World) -> BTreeMap<PathBuf, String> {
    let answer = world.pycstore_unprivileged(["ls", "--json"]);
    let lines = answer.json_lines().into_iter().map(|line| {
        let text = |field: &str| line[field].as_str().unwrap_or("-").to_string();
        (PathBuf::from(text("source")), format!("{} {}", text("status"), text("reason")))
    });
    lines.collect()
}

/// Asserts that the entries of these sources are all in the store and all judged so, by `ls`, by `inspect` and by
/// `du`, and that no prune takes them.
#[track_caller]
fn assert_unknown(world: &World, sources: &[&Path], reason: &str) {
    let found = statuses(world);
    let expected = sources.iter().map(|source| (source.to_path_buf(), format!("unknown {reason}"))).collect();
    assert_eq!(found, expected);
    for source in sources {
        let entry = world.entry(source, newest(), "");
        let answer = world.pycstore_unprivileged(["inspect".as_ref(), entry.as_os_str()]);
        assert!(answer.stdout.contains(&format!("unknown ({reason})\n")), "{}", answer.stdout);
        assert!(answer.stdout.contains("next import          unknown: its source "), "{}", answer.stdout);
    }
    assert_eq!(world.pycstore_unprivileged(["du", "--json"]).json()["reclaimable"]["files"], 0);
    let before = World::snapshot(&world.store);
    let answer = world.pycstore_unprivileged(["prune", "--orphans", "--json"]);
    assert_eq!(answer.json()["removed"]["files"], 0, "{}", answer.stdout);
    assert_eq!(World::snapshot(&world.store), before);
    let everything = ["prune", "--orphans", "--stale", "--corrupt", "--temporary", "--json"];
    assert_eq!(world.pycstore_unprivileged(everything).json()["removed"]["files"], 0);
    assert_eq!(World::snapshot(&world.store), before);
}

/// Asserts that `--assume-gone` makes orphans of the entries of these sources, and a prune takes exactly them. It covers
/// missing names, never an error: then there are none.
#[track_caller]
fn assert_taken_when_assumed_gone(world: &World, assumed: &Path, sources: &[&Path]) {
    let before = World::snapshot(&world.store);
    let elsewhere = assumed.with_file_name("elsewhere");
    let prune = |path: &Path| {
        let arguments = ["prune".as_ref(), "--orphans".as_ref(), "--assume-gone".as_ref(), path.as_os_str()];
        world.pycstore_unprivileged(arguments).exits(0)
    };
    prune(&elsewhere);
    assert_eq!(World::snapshot(&world.store), before, "assumed of another place");
    prune(assumed);
    let mut after = before.clone();
    for source in sources {
        let entry = world.entry(source, newest(), "");
        assert!(after.remove(&entry).is_some(), "{}", entry.display());
    }
    let files = |snapshot: &crate::support::Snapshot| -> Vec<PathBuf> {
        snapshot.keys().filter(|path| path.extension().is_some()).cloned().collect()
    };
    assert_eq!(files(&World::snapshot(&world.store)), files(&after));
}

/// Compiles a source elsewhere and puts its entry where that of `source` would be, without making the source.
fn entry_of_nothing(world: &World, source: &Path) {
    let model = world.write("model/model.py", "x = 1\n");
    world.compile_files(newest(), &[&model]);
    let entry = world.entry(source, newest(), "");
    fs::create_dir_all(entry.parent().unwrap()).unwrap();
    fs::rename(world.entry(&model, newest(), ""), &entry).unwrap();
    date_back(&entry);
    fs::remove_dir_all(model.parent().unwrap()).unwrap();
    // Up to the store: what is empty goes with any prune.
    let mirror = world.mirror(model.parent().unwrap());
    for directory in mirror.ancestors().take_while(|directory| *directory != world.store) {
        if fs::remove_dir(directory).is_err() {
            break;
        }
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_directory_that_may_not_be_entered() {
    let world = World::new();
    let project = world.project("one", &["closed/a.py", "closed/sub/b.py", "closed/sub/gone/c.py"]);
    let closed = project.join("closed");
    let sources = ["a.py", "sub/b.py", "sub/gone/c.py"].map(|name| closed.join(name));
    let sources = sources.each_ref().map(PathBuf::as_path);
    world.compile_files(newest(), &sources);
    fs::remove_dir_all(closed.join("sub/gone")).unwrap();
    set_mode(&closed, 0o000);
    assert_unknown(&world, &sources, "permission");
    assert_taken_when_assumed_gone(&world, &closed.join("sub"), &[]);
    set_mode(&closed, 0o755);
}

#[test]
fn a_directory_that_may_be_entered_but_not_listed() {
    let world = World::new();
    let names = ["a.py", "b.py", "c.py", "windowed.pyw"];
    let directory = world.project("one", &names).join("unlisted");
    fs::create_dir(&directory).unwrap();
    let sources = names.map(|name| {
        fs::rename(world.home.join("one").join(name), directory.join(name)).unwrap();
        directory.join(name)
    });
    world.compile_files(newest(), &sources.each_ref().map(PathBuf::as_path));
    fs::remove_file(&sources[1]).unwrap();
    set_mode(&directory, 0o311);
    let found = statuses(&world);
    assert_eq!(found[&sources[0]], "fresh -", "what is there can be looked up");
    // Whether a `b.pyw` is there, or a `windowed.hy`, nobody can tell.
    assert_eq!(found[&sources[1]], "unknown permission");
    assert_eq!(found[&directory.join("windowed.py")], "unknown permission");
    let before = World::snapshot(&world.store);
    world.pycstore_unprivileged(["prune", "--orphans", "--stale"]).exits(0);
    assert_eq!(World::snapshot(&world.store), before);
    set_mode(&directory, 0o755);
}

#[test]
fn a_source_that_may_not_be_read_matters_only_where_python_reads_it() {
    let world = World::new();
    let project = world.project("one", &["stamped.py", "hashed.py"]);
    let (stamped, hashed) = (project.join("stamped.py"), project.join("hashed.py"));
    world.compile(newest(), &["--invalidation-mode", "timestamp"], &[&stamped]);
    world.compile(newest(), &["--invalidation-mode", "checked-hash"], &[&hashed]);
    set_mode(&stamped, 0o000);
    set_mode(&hashed, 0o000);
    let found = statuses(&world);
    assert_eq!(found[&stamped], "fresh -");
    assert_eq!(found[&hashed], "unknown permission");
    let before = World::snapshot(&world.store);
    world.pycstore_unprivileged(["prune", "--orphans", "--stale", "--corrupt"]).exits(0);
    assert_eq!(World::snapshot(&world.store), before);
}

#[test]
fn an_entry_that_may_not_be_read() {
    let world = World::new();
    let project = world.project("one", &["a.py", "b.py"]);
    world.compile(newest(), &[], &[&project]);
    let closed = world.entry(&project.join("a.py"), newest(), "");
    set_mode(&closed, 0o000);
    let answer = world.pycstore_unprivileged(["ls", "--json"]).exits(1);
    assert_eq!(answer.stderr, format!("pycstore: cannot read {}: Permission denied\n", closed.display()));
    let found = statuses(&world);
    assert_eq!(found[&project.join("a.py")], "unknown permission");
    assert_eq!(found[&project.join("b.py")], "fresh -");
    // Not even when its source is gone: its first bytes might not be bytecode.
    fs::remove_file(project.join("a.py")).unwrap();
    world.pycstore_unprivileged(["prune", "--orphans", "--stale", "--corrupt"]);
    assert!(closed.exists());
}

#[test]
fn links_that_lead_in_a_circle() {
    let world = World::new();
    let project = world.project("one", &["a.py", "round/b.py"]);
    let sources = [project.join("a.py"), project.join("round/b.py")];
    let sources = sources.each_ref().map(PathBuf::as_path);
    world.compile_files(newest(), &sources);
    fs::remove_file(sources[0]).unwrap();
    symlink("a.py", sources[0]).unwrap();
    fs::remove_dir_all(project.join("round")).unwrap();
    symlink("square", project.join("round")).unwrap();
    symlink("round", project.join("square")).unwrap();
    assert_unknown(&world, &sources, "loop");
    assert_taken_when_assumed_gone(&world, &project.join("round"), &[]);
    assert_taken_when_assumed_gone(&world, sources[0], &[]);
}

#[test]
fn links_into_a_volume_that_is_not_mounted() {
    let world = World::new();
    let project = world.project("one", &["a.py", "volume/b.py", "volume/sub/c.py"]);
    let sources = ["a.py", "volume/b.py", "volume/sub/c.py"].map(|name| project.join(name));
    let sources = sources.each_ref().map(PathBuf::as_path);
    world.compile_files(newest(), &sources);
    let volume = Path::new("/mnt/no-such-volume-of-pycstore");
    assert!(!volume.exists());
    fs::remove_file(sources[0]).unwrap();
    symlink(volume.join("a.py"), sources[0]).unwrap();
    fs::remove_dir_all(project.join("volume")).unwrap();
    symlink(volume, project.join("volume")).unwrap();
    // Where there is no /mnt, its place is the root directory's to vouch for, which never does.
    let reason = if Path::new("/mnt").is_dir() { "unmounted" } else { "other-host" };
    assert_unknown(&world, &sources, reason);
    // What is assumed is assumed of the path as it is spelled.
    assert_taken_when_assumed_gone(&world, &project.join("volume"), &sources[1..]);
    assert_taken_when_assumed_gone(&world, sources[0], &sources[..1]);
}

#[test]
fn a_place_where_volumes_come_and_go() {
    let world = World::new();
    let source = Path::new("/media/me/no-such-stick-of-pycstore/project/a.py");
    entry_of_nothing(&world, source);
    // The nearest ancestor that exists decides; without a /media that is the root directory.
    let reason = if Path::new("/media").is_dir() { "unmounted" } else { "other-host" };
    assert_unknown(&world, &[source], reason);
    let stick = "/media/me/no-such-stick-of-pycstore";
    assert_taken_when_assumed_gone(&world, Path::new(stick), &[source]);
    entry_of_nothing(&world, source);
    assert_taken_when_assumed_gone(&world, source, &[source]);
}

#[test]
fn a_first_component_that_is_not_there() {
    let world = World::new();
    let sources = ["/no-such-first-component-xyz/a.py", "/no-such-first-component-xyz/deep/er/b.py"];
    let sources = sources.map(Path::new);
    sources.iter().for_each(|source| entry_of_nothing(&world, source));
    assert_unknown(&world, &sources, "other-host");
    assert_taken_when_assumed_gone(&world, Path::new("/no-such-first-component-xyz"), &sources);
}

#[test]
fn a_home_that_is_locked() {
    let world = World::new();
    let homes = world.home.parent().unwrap();
    let sources = [homes.join("locked/project/a.py"), homes.join("moved/project/a.py")];
    sources.iter().for_each(|source| entry_of_nothing(&world, source));
    fs::write(homes.join("locked.home"), "").unwrap();
    let found = statuses(&world);
    assert_eq!(found[&sources[0]], "unknown unmounted");
    assert_eq!(found[&sources[1]], "orphan root");
    world.pycstore_unprivileged(["prune", "--orphans"]).exits(0);
    let left = sources.each_ref().map(|source| world.entry(source, newest(), "").exists());
    assert_eq!(left, [true, false]);
}

#[test]
fn what_is_gone_for_certain_is_no_doubt_beside_it() {
    let world = World::new();
    let project = world.project("one", &["a.py", "b.py"]);
    for interpreter in interpreters() {
        world.compile(interpreter, &[], &[&project]);
    }
    entry_of_nothing(&world, Path::new("/no-such-first-component-xyz/a.py"));
    fs::remove_file(project.join("a.py")).unwrap();
    let document = world.pycstore_unprivileged(["prune", "--orphans", "--json"]).exits(0).json();
    assert_eq!(document["removed"]["files"], interpreters().len());
    let left = statuses(&world);
    assert_eq!(left.len(), 2);
    assert_eq!(left[Path::new("/no-such-first-component-xyz/a.py")], "unknown other-host");
    assert_eq!(left[&project.join("b.py")], "fresh -");
}
