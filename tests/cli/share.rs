//! `pycstore share`: equal entries become hard links of one file, and everything that Python sees stays as it was.

use crate::support::lock::{lock_holder, locked};
use crate::support::storm::{Chance, ended, importer, start};
use crate::support::{HOUR, Interpreter, World, age, answer, assert_only_gone, ends, files, newest, status};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const MODULES: [&str; 3] = ["a.py", "b.py", "pkg/c.py"];

/// Projects of equal sources with equal times, compiled by one interpreter.
fn site(copies: usize) -> (World, Vec<PathBuf>) {
    let world = World::new();
    let first = world.project("p0", &MODULES);
    let mut projects = vec![first];
    for number in 1..copies {
        let copy = world.home.join(format!("p{number}"));
        answer(world.command("cp").arg("-a").args([&projects[0], &copy])).exits(0);
        projects.push(copy);
    }
    world.compile(newest(), &[], &projects.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    (world, projects)
}

fn entry(world: &World, source: &Path) -> PathBuf {
    world.entry(source, newest(), "")
}

fn inode(path: &Path) -> u64 {
    path.symlink_metadata().unwrap().ino()
}

fn inodes(paths: &BTreeSet<PathBuf>) -> usize {
    paths.iter().map(|path| inode(path)).collect::<BTreeSet<_>>().len()
}

/// Runs `share`, dry and really, and asserts that both say the same; answers the JSON.
#[track_caller]
fn shares(world: &World, arguments: &[&str]) -> Value {
    let before = World::snapshot(&world.home);
    let links: Vec<u64> = files(&world.store).iter().map(|path| inode(path)).collect();
    let run = |more: &[&str]| world.pycstore(["share", "--json"].iter().chain(arguments).chain(more));
    let mut dry = run(&["-n"]).exits(0).json();
    assert_only_gone(&before, &World::snapshot(&world.home), &[]);
    assert_eq!(links, files(&world.store).iter().map(|path| inode(path)).collect::<Vec<_>>());
    let real = run(&[]).exits(0).json();
    assert_eq!(dry["dry_run"], true);
    dry["dry_run"] = json!(false);
    assert_eq!(dry, real);
    let again = run(&[]).exits(0).json();
    assert_eq!((&again["shared"]["files"], &again["files"]), (&json!(0), &json!(0)), "{again}");
    real
}

/// Lets Python import a module, and says what `co_filename` of its function is; it must load the entry as it is.
#[track_caller]
fn imported(world: &World, project: &Path, module: &str) -> String {
    const CODE: &str = "
import sys, importlib.util
from importlib.machinery import SourceFileLoader
SourceFileLoader.source_to_code = None
sys.path.insert(0, sys.argv[1])
print(importlib.util.find_spec(sys.argv[2]).loader.get_code(sys.argv[2]).co_filename)";
    let mut command = world.compiler(newest(), CODE);
    answer(command.arg(project).arg(module)).exits(0).stdout.trim().into()
}

#[test]
fn entries_of_equal_sources_become_links_of_one_file() {
    let (world, projects) = site(3);
    let said = shares(&world, &[]);
    assert_eq!(
        (&said["shared"]["files"], &said["files"], &said["left"]),
        (&json!(6), &json!(3), &json!({})),
        "{said}"
    );
    assert_eq!((files(&world.store).len(), inodes(&files(&world.store))), (9, 3));
    for project in &projects {
        for name in MODULES {
            assert_eq!(
                status(&world, &format!("{}/{name}", project.file_name().unwrap().display())),
                "fresh -"
            );
        }
        assert_eq!(imported(&world, project, "a"), project.join("a.py").display().to_string());
    }
    // An edited source has its own entry again, and the others are as before.
    let others = World::snapshot(&world.mirror(&projects[1]));
    fs::write(projects[0].join("a.py"), "NAME = 'edited'\n").unwrap();
    // compileall compares whole seconds.
    age(&projects[0].join("a.py"), Duration::from_secs(100));
    world.compile(newest(), &[], &[&projects[0]]);
    assert_eq!(others, World::snapshot(&world.mirror(&projects[1])));
    assert_ne!(
        inode(&entry(&world, &projects[0].join("a.py"))),
        inode(&entry(&world, &projects[1].join("a.py")))
    );
    assert_eq!(
        inode(&entry(&world, &projects[0].join("b.py"))),
        inode(&entry(&world, &projects[1].join("b.py")))
    );
    assert_eq!(shares(&world, &[])["left"], json!({"single": 1}));
    insta::assert_snapshot!(world.pycstore(["share"]).shown(), @r"
    exit: 0
    ----- stdout -----
    nothing to share
    left alone: 1 entry equal to no other
    ----- stderr -----
    ");
}

#[test]
fn it_is_shown_in_a_line_and_recorded() {
    let (world, _) = site(2);
    insta::assert_snapshot!(world.pycstore(["share", "-n"]).shown(), @r"
    exit: 0
    ----- stdout -----
    would make 3 entries links of 3 files; would free SIZE
    ----- stderr -----
    ");
    insta::assert_snapshot!(world.pycstore(["share"]).shown(), @r"
    exit: 0
    ----- stdout -----
    made 3 entries links of 3 files; freed SIZE
    ----- stderr -----
    ");
    let history = world.pycstore(["history", "--json"]).exits(0).json_lines();
    assert_eq!((history.len(), &history[0]["shared"]), (1, &json!(3)));
    assert_eq!(world.pycstore(["-q", "share"]).exits(0).stdout, "");
}

#[test]
fn the_scopes_of_prune() {
    let (world, projects) = site(4);
    let of = |number: usize| projects[number].to_str().unwrap();
    assert_eq!(shares(&world, &["--under", of(0)])["shared"]["files"], 0);
    assert_eq!(shares(&world, &["--under", of(0), "--under", of(1)])["shared"]["files"], 3);
    assert_eq!(shares(&world, &["--owner", of(2)])["shared"]["files"], 0);
    assert_eq!(shares(&world, &["--tag", "cpython-20"])["shared"]["files"], 0);
    assert_eq!(shares(&world, &["--tag", &newest().tag, "--keep", of(3)])["shared"]["files"], 3);
    // Only the newest files become links: those that are shared already take over their times.
    let newest_file = entry(&world, &projects[3].join("a.py")).metadata().unwrap();
    assert_eq!(shares(&world, &[])["shared"]["files"], 3);
    let kept = entry(&world, &projects[0].join("a.py")).metadata().unwrap();
    assert_eq!((kept.nlink(), kept.modified().unwrap()), (4, newest_file.modified().unwrap()));
    assert_ne!(kept.ino(), newest_file.ino());
    assert_eq!(world.pycstore(["share", "--under"]).code, 2);
}

#[test]
fn the_last_use_is_that_of_all_and_the_newest_file_stays() {
    let (world, projects) = site(3);
    let of = |number: usize| entry(&world, &projects[number].join("a.py"));
    // Not before the source: `verify` doubts such an entry.
    let now = std::time::SystemTime::now();
    for (number, (written, used)) in [(20, 30), (50, 10), (5, 900)].into_iter().enumerate() {
        let [written, used] = [written, used].map(|seconds| now + Duration::from_secs(seconds));
        let file = fs::File::options().write(true).open(of(number)).unwrap();
        file.set_times(fs::FileTimes::new().set_modified(written).set_accessed(used)).unwrap();
    }
    let (last, newest) = (of(2).metadata().unwrap(), of(1).metadata().unwrap());
    world.pycstore(["share"]).exits(0);
    for number in 0..3 {
        let shared = of(number).metadata().unwrap();
        assert_eq!(shared.ino(), newest.ino());
        assert_eq!((shared.mtime(), shared.mtime_nsec()), (newest.mtime(), newest.mtime_nsec()));
        assert_eq!((shared.atime(), shared.atime_nsec()), (last.atime(), last.atime_nsec()));
    }
}

#[test]
fn what_is_left_alone() {
    let (world, projects) = site(2);
    let pair = |name: &str| [0, 1].map(|number| world.mirror(&projects[number]).join(name));
    let (tag, source) = (&newest().tag, pair(&format!("a.{}.pyc", newest().tag)));
    for (from, to) in source.iter().zip([0, 1]) {
        for name in [
            format!("a.{tag}-pytest-9.2.0.pyc"),
            format!("a.{tag}.opt-typeguard460.pyc"),
            format!("a.{tag}.pyc.77"),
            format!("gone.{tag}.pyc"),
            format!("a.{tag}.opt-2.pyc"),
            "notes.txt".into(),
        ] {
            fs::copy(from, pair(&name)[to].clone()).unwrap();
        }
        fs::write(&pair(&format!("b.{tag}.opt-1.pyc"))[to], b"\xcb").unwrap();
    }
    // One body is broken in both, one is open to the group, one has a fault in one alone.
    for path in pair(&format!("a.{tag}.opt-2.pyc")) {
        let mut bytes = fs::read(&path).unwrap();
        bytes.truncate(60);
        fs::write(&path, bytes).unwrap();
    }
    for path in pair(&format!("b.{tag}.pyc")) {
        fs::set_permissions(path, PermissionsExt::from_mode(0o664)).unwrap();
    }
    let [other, _] = pair(&format!("pkg/c.{tag}.pyc"));
    fs::set_permissions(other, PermissionsExt::from_mode(0o600)).unwrap();
    let before: Vec<u64> = files(&world.store).iter().map(|path| inode(path)).collect();
    let said = shares(&world, &[]);
    let changed =
        files(&world.store).iter().zip(&before).filter(|(path, before)| inode(path) != **before).count();
    assert_eq!((changed, &said["shared"]["files"]), (1, &json!(1)), "{said}");
    assert_eq!(inode(&source[0]), inode(&source[1]));
    assert_eq!(
        said["left"],
        json!({"import-hook": 4, "not-corrected": 2, "not-fresh": 4, "single": 2, "writable": 2}),
    );
}

#[test]
fn names_of_other_sources_and_unchecked_hashes() {
    let (world, projects) = site(2);
    let code = "for path in sys.argv[1:]: py_compile.compile(path, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)";
    answer(world.compiler(newest(), code).args(projects.iter().map(|it| it.join("a.py")))).exits(0);
    // The same entry caches `b.pyw`.
    let renamed = projects[0].join("b.pyw");
    fs::rename(projects[0].join("b.py"), &renamed).unwrap();
    world.compile_files(newest(), &[&renamed]);
    // A path with two dots, by which Python found the module.
    for project in &projects {
        fs::create_dir(project.join("bin")).unwrap();
        fs::create_dir(world.mirror(&project.join("bin"))).unwrap();
        let dots = project.join("bin/../pkg/c.py");
        let code = "py_compile.compile(sys.argv[1], cfile=sys.argv[2], doraise=True)";
        let target = entry(&world, &project.join("pkg/c.py"));
        answer(world.compiler(newest(), code).arg(dots).arg(target)).exits(0);
    }
    let said = shares(&world, &[]);
    assert_eq!(said["shared"]["files"], 0, "{said}");
    assert_eq!(said["left"]["unchecked-hash"], 2, "{said}");
    assert_eq!(said["left"].get("changed"), None, "{said}");
}

#[test]
fn a_deleted_project_is_pruned_and_a_hidden_one_stays_unknown() {
    let (world, projects) = site(3);
    world.pycstore(["share"]).exits(0);
    // Another directory in its place, as where a disk is not mounted.
    fs::rename(&projects[2], world.home.join("elsewhere")).unwrap();
    fs::create_dir(&projects[2]).unwrap();
    fs::remove_dir_all(&projects[0]).unwrap();
    let before = World::snapshot(&world.store);
    let said = world.pycstore(["prune", "--orphans", "--json"]).exits(0).json();
    assert_only_gone(&before, &World::snapshot(&world.store), &[&world.mirror(&projects[0])]);
    assert_eq!((&said["removed"]["files"], &said["removed"]["disk"]), (&json!(3), &json!(0)));
    assert!(status(&world, "p2/a.py").starts_with("unknown"));
    fs::remove_dir(&projects[2]).unwrap();
    fs::rename(world.home.join("elsewhere"), &projects[2]).unwrap();
    assert_eq!(status(&world, "p2/a.py"), "fresh -");
    assert_eq!(status(&world, "p1/a.py"), "fresh -");
}

#[test]
fn a_held_lock_and_a_store_that_is_not_there() {
    let (world, _) = site(2);
    let before = World::snapshot(&world.store);
    let mut holder = lock_holder(&world, &world.store);
    let told = world.pycstore(["share"]).exits(0);
    assert_eq!(told.stderr, locked(&world, &holder, 1));
    assert_only_gone(&before, &World::snapshot(&world.store), &[]);
    assert_eq!(inodes(&files(&world.store)), 6);
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!(World::new().pycstore(["share"]).code, World::new().pycstore(["prune", "--orphans"]).code);
}

#[test]
fn a_directory_that_cannot_be_written_to_is_reported() {
    let (world, projects) = site(2);
    for project in &projects {
        let closed = world.mirror(project);
        fs::set_permissions(&closed, PermissionsExt::from_mode(0o555)).unwrap();
    }
    let mut program = world.unprivileged();
    // The sources were given to another user just now; what is not newer than that may be older than they are. Time stamps have
    // steps of some milliseconds.
    std::thread::sleep(Duration::from_millis(20));
    for path in files(&world.store) {
        fs::File::open(path).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
    }
    let told = answer(program.arg("share")).exits(1);
    // The package's own directory can be.
    assert!(told.stdout.starts_with("made 1 entry links of 1 file"), "{told:?}");
    assert_eq!(told.stderr.lines().count(), 2, "{told:?}");
    assert!(files(&world.store).iter().all(|path| path.extension().unwrap() == "pyc"));
}

/// Names of the store that were swapped for other things: nothing outside is touched, and nothing waits.
#[test]
fn hostile_names() {
    let (world, projects) = site(3);
    let outside = world.home.join("outside");
    fs::create_dir(&outside).unwrap();
    let [of_0, of_1, of_2] = [0, 1, 2].map(|number| world.mirror(&projects[number]));
    // A directory, a link, a pipe, a link to a file outside, a directory that is a link.
    fs::rename(of_0.join("pkg"), outside.join("pkg")).unwrap();
    symlink(outside.join("pkg"), of_0.join("pkg")).unwrap();
    let a = format!("a.{}.pyc", newest().tag);
    fs::copy(of_0.join(&a), outside.join(&a)).unwrap();
    fs::remove_file(of_0.join(&a)).unwrap();
    symlink(outside.join(&a), of_0.join(&a)).unwrap();
    fs::remove_file(of_1.join(&a)).unwrap();
    answer(world.command("mkfifo").arg(of_1.join(&a))).exits(0);
    let b = format!("b.{}.pyc", newest().tag);
    fs::remove_file(of_1.join(&b)).unwrap();
    fs::create_dir(of_1.join(&b)).unwrap();
    fs::hard_link(of_2.join(&b), outside.join(&b)).unwrap();
    let before = World::snapshot(&outside);
    let told = world.pycstore(["share", "--json"]).exits(0);
    assert_eq!(told.json()["shared"]["files"], 2, "{told:?}");
    assert_eq!(before, World::snapshot(&outside));
    assert!(of_0.join("pkg").is_symlink() && of_0.join(&a).is_symlink() && of_1.join(&b).is_dir());
}

/// Entries that claim to be large, and many of one key.
#[test]
fn large_and_many_entries() {
    let (world, projects) = site(2);
    let of = |number: usize| entry(&world, &projects[number].join("a.py"));
    for number in 0..2 {
        let file = fs::File::options().write(true).open(of(number)).unwrap();
        // Sparse: it costs nothing to make.
        file.set_len(1 << 40).unwrap();
    }
    let began = Instant::now();
    let said = world.pycstore(["share", "--json"]).exits(0).json();
    assert_eq!((&said["shared"]["files"], &said["left"]), (&json!(2), &json!({"not-corrected": 2})));
    (0..2).for_each(|number| fs::remove_file(of(number)).unwrap());
    let first = projects[0].join("b.py");
    for number in 0..1500 {
        let project = world.home.join(format!("many/d{number}"));
        fs::create_dir_all(&project).unwrap();
        fs::hard_link(&first, project.join("b.py")).unwrap();
        fs::create_dir_all(world.mirror(&project)).unwrap();
        fs::copy(entry(&world, &first), entry(&world, &project.join("b.py"))).unwrap();
    }
    // And one of the two names that share a file already, if the newest is a new one.
    let linked = shares(&world, &[])["shared"]["files"].as_u64().unwrap();
    assert!((1500..1503).contains(&linked), "{linked}");
    assert_eq!(inodes(&files(&world.mirror(&world.home.join("many")))), 1);
    assert!(began.elapsed() < Duration::from_secs(60));
}

/// Killed at any moment beside interpreters that import and edit.
#[test]
fn killed_at_any_moment_it_leaves_a_store() {
    let (world, projects) = site(10);
    let interpreter: &Interpreter = newest();
    let (busy, stop) = (world.home.join("busy"), world.home.join("stop"));
    fs::create_dir(&busy).unwrap();
    let importer: Child = importer(&world, interpreter, &busy, &stop)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut chance = Chance::new();
    let began = Instant::now();
    let (mut killed, mut partly) = (0, 0);
    let mut whole = 20_000;
    while began.elapsed() < Duration::from_secs(8) {
        // Single files again.
        for path in projects.iter().flat_map(|project| files(&world.mirror(project))) {
            let copy = path.with_extension("copy");
            fs::copy(&path, &copy).unwrap();
            fs::rename(copy, path).unwrap();
        }
        // One name of each file was used last.
        let last = std::time::SystemTime::now() + Duration::from_secs(1000);
        for name in MODULES {
            let used = &projects[chance.below(projects.len() as u64) as usize].join(name);
            let file = fs::File::options().write(true).open(entry(&world, used)).unwrap();
            file.set_times(fs::FileTimes::new().set_accessed(last)).unwrap();
        }
        let mut child = start(&world, &["share"]);
        if chance.below(2) == 0 {
            std::thread::sleep(Duration::from_micros(chance.below(whole)));
        } else {
            // While it makes links.
            let is_linked = |it: &PathBuf| entry(&world, &it.join("a.py")).metadata().unwrap().nlink() > 1;
            while !projects.iter().any(is_linked) && child.try_wait().unwrap().is_none() {}
        }
        child.kill().unwrap();
        let by_signal = ended(child).1;
        let quiet: BTreeSet<PathBuf> =
            projects.iter().flat_map(|project| files(&world.mirror(project))).collect();
        let left = inodes(&quiet);
        if by_signal == Some(9) {
            killed += 1;
            partly += usize::from(left > 3 && left < 30);
            whole += whole / 50;
        } else {
            whole -= whole / 10;
        }
        for name in MODULES {
            let accessed =
                |it: &PathBuf| entry(&world, &it.join(name)).metadata().unwrap().accessed().unwrap();
            assert_eq!(projects.iter().map(accessed).max(), Some(last), "the last use of {name} is lost");
        }
        // Each entry is there, whole; what else is there is a temporary.
        for (project, name) in projects.iter().flat_map(|project| MODULES.map(|name| (project, name))) {
            let bytes = fs::read(entry(&world, &project.join(name))).unwrap();
            assert_eq!(bytes.len(), fs::read(entry(&world, &projects[0].join(name))).unwrap().len());
        }
        let temporaries = quiet.iter().filter(|path| path.extension().unwrap() != "pyc");
        for path in temporaries {
            age(path, 2 * HOUR);
        }
        world.pycstore(["prune", "--temporary"]).exits(0);
        let names = projects.iter().flat_map(|project| files(&world.mirror(project)));
        assert_eq!(names.count(), 30);
    }
    println!("{killed} were killed, {partly} of them while they linked");
    assert!(killed > 5);
    fs::write(&stop, "").unwrap();
    ended(importer).0.exits(0);
    world.pycstore(["share"]).exits(0);
    for project in &projects {
        assert_eq!(imported(&world, project, "a"), project.join("a.py").display().to_string());
    }
    let statuses = world.pycstore(["du", "--json"]).exits(0).json()["statuses"].clone();
    for (status, tally) in statuses.as_object().unwrap() {
        assert!(["fresh", "stale"].contains(&status.as_str()) || tally["files"] == 0, "{statuses}");
    }
}

/// Of such an entry the time of the last change says when it was written, and each of its links would renew that.
#[test]
fn what_seems_to_be_written_later_than_it_was_changed_is_left_alone() {
    let (world, projects) = site(2);
    let later = std::time::SystemTime::now() + Duration::from_secs(100_000_000);
    for project in &projects {
        for name in MODULES {
            let file = fs::File::options().write(true).open(entry(&world, &project.join(name))).unwrap();
            file.set_modified(later).unwrap();
        }
    }
    let said = shares(&world, &[]);
    assert_eq!((&said["shared"]["files"], &said["left"]), (&json!(0), &json!({"later-mtime": 6})), "{said}");
}

/// Replaces an entry, or puts something else in its place.
fn swap(way: u64, path: &Path, other: &Path, original: &[u8], outside: &Path) -> std::io::Result<()> {
    let spare = outside.with_file_name("spare");
    // It may be a link that could not take the place of a directory, or a directory that could not take that of a file.
    let _ = fs::remove_file(&spare).or_else(|_| fs::remove_dir(&spare));
    let mut stale = original.to_vec();
    stale[8..12].copy_from_slice(&[7; 4]);
    match way {
        // As Python does.
        0 | 1 => {
            fs::write(&spare, if way == 0 { original } else { &stale })?;
            fs::rename(&spare, path)
        }
        2 => fs::remove_file(path),
        // As no Python does.
        3 if path.symlink_metadata()?.is_file() => {
            fs::File::options().write(true).open(path)?.write_all_at(&[9; 4], 8)
        }
        4 => {
            symlink(outside.join("file"), &spare)?;
            fs::rename(&spare, path)
        }
        5 => {
            fs::remove_file(path)?;
            fs::create_dir(path)
        }
        6 => {
            fs::rename(path, &spare)?;
            fs::rename(other, path)?;
            fs::rename(&spare, other)
        }
        _ => {
            // What is in the way, after a directory too.
            let _ = fs::remove_dir(path);
            fs::write(&spare, original)?;
            fs::rename(&spare, path)
        }
    }
}

/// Entries that are swapped, rewritten, deleted and replaced while `share` runs.
#[test]
fn what_is_swapped_meanwhile() {
    const SWAPS: usize = 60_000;
    let (world, projects) = site(8);
    let outside = world.home.join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), fs::read(entry(&world, &projects[0].join("a.py"))).unwrap()).unwrap();
    let before = World::snapshot(&outside);
    let all: Vec<(PathBuf, Vec<u8>)> = projects
        .iter()
        .flat_map(|project| MODULES.map(|name| entry(&world, &project.join(name))))
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .collect();
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let linked = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut chance = Chance::new();
            let began = Instant::now();
            for _ in 0..SWAPS {
                let (path, original) = &all[chance.below(all.len() as u64) as usize];
                // Of the same module, or of another.
                let (other, _) = &all[chance.below(all.len() as u64) as usize];
                let _ = swap(chance.below(14), path, other, original, &outside);
                if began.elapsed() > Duration::from_secs(4) {
                    break;
                }
            }
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        let mut linked = 0;
        while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
            let told = ends(&world, &["share", "--json"]);
            // An entry became a directory just before it was to be replaced.
            assert!([0, 1].contains(&told.code) && !told.stderr.contains("panicked"), "{told:?}");
            linked += told.json()["shared"]["files"].as_u64().unwrap();
        }
        linked
    });
    println!("{linked} links");
    assert!(linked > 10, "{linked}");
    assert_eq!(World::snapshot(&outside), before);
    // Each file is an entry of one of the projects, as a whole; nothing else is in the store.
    let neutral = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes[8..12].fill(0);
        let name = b"/p0/";
        for at in 0..bytes.len() - name.len() {
            let part = &mut bytes[at..at + name.len()];
            if part[..2] == name[..2] && part[3] == b'/' {
                part[2] = b'0';
            }
        }
        bytes
    };
    let whole: BTreeSet<Vec<u8>> = all.iter().map(|(_, bytes)| neutral(bytes)).collect();
    assert_eq!(whole.len(), MODULES.len());
    for path in projects.iter().flat_map(|project| files(&world.mirror(project))) {
        assert!(all.iter().any(|(it, _)| *it == path), "{}", path.display());
        assert!(whole.contains(&neutral(&fs::read(&path).unwrap())), "{}", path.display());
    }
    // Once nothing is in the way, all is as before.
    for (path, original) in &all {
        swap(7, path, path, original, &outside).unwrap();
    }
    shares(&world, &[]);
    assert_eq!(inodes(&all.iter().map(|(path, _)| path.clone()).collect()), MODULES.len());
    for project in &projects {
        assert_eq!(imported(&world, project, "a"), project.join("a.py").display().to_string());
    }
}
