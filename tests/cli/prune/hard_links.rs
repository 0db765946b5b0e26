//! Files with several hard links: whatever counts bytes counts an inode once, and frees it with its last link.

use crate::support::{World, age, answer, assert_only_gone, files, interpreters, newest, tool};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An interpreter whose `compileall` makes one file of equal optimizations (Python 3.9).
fn linking() -> &'static crate::support::Interpreter {
    interpreters().iter().find(|it| it.tag != "cpython-38").expect("a CPython 3.9 or later")
}

/// A project of three modules, each in all optimizations one file with three names; returns it and its mirror.
fn linked() -> (World, PathBuf, PathBuf) {
    let world = World::new();
    let project = world.project("p", &[]);
    for number in 0..3 {
        let numbers: Vec<String> = (0..3000 + 1000 * number).map(|it| it.to_string()).collect();
        world.write(format!("p/m{number}.py"), format!("X = [{}]\n", numbers.join(",")));
    }
    let code =
        "sys.exit(not compileall.compile_dir(sys.argv[1], quiet=1, optimize=[0, 1, 2], hardlink_dupes=True))";
    answer(world.compiler(linking(), code).arg(&project)).exits(0);
    let mirror = world.mirror(&project);
    assert_eq!((files(&mirror).len(), inodes(&mirror).len()), (9, 3));
    (world, project, mirror)
}

/// The inodes of the files below a directory: the bytes and the room of each.
fn inodes(directory: &Path) -> BTreeMap<u64, (u64, u64)> {
    let inode = |path: PathBuf| {
        let metadata = path.symlink_metadata().unwrap();
        (metadata.ino(), (metadata.size(), metadata.blocks() * 512))
    };
    files(directory).into_iter().map(inode).collect()
}

/// So many files, and the bytes and room of these inodes.
fn sum(files: usize, inodes: &BTreeMap<u64, (u64, u64)>) -> Value {
    let bytes: u64 = inodes.values().map(|(bytes, _)| bytes).sum();
    let disk: u64 = inodes.values().map(|(_, disk)| disk).sum();
    json!({"files": files, "bytes": bytes, "disk": disk})
}

/// Sums by their fields that every report has.
fn of(sum: &Value) -> Value {
    json!({"files": sum["files"], "bytes": sum["bytes"], "disk": sum["disk"]})
}

/// A copy of a directory whose files are links to the same inodes, as `cp -al` makes it.
fn copy_links(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.unwrap();
        let path = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir_all(path).unwrap();
        } else {
            fs::hard_link(entry.path(), path).unwrap();
        }
    }
}

/// Asserts that `du`, a dry run, the real one, the history and the metrics say the same of what is reclaimable.
#[track_caller]
fn reclaims(world: &World, expected: &Value) {
    const ALL: [&str; 6] = ["prune", "--orphans", "--stale", "--corrupt", "--temporary", "--json"];
    let used = world.pycstore(["du", "--json"]).exits(0).json();
    assert_eq!(&of(&used["reclaimable"]), expected, "du");
    let dry = world.pycstore(ALL.iter().chain(&["--dry-run"])).exits(0).json();
    assert_eq!(&of(&dry["removed"]), expected, "dry run");
    let metrics = world.home.join("pycstore.prom");
    let counts = ["--metrics", metrics.to_str().unwrap()];
    let total = |name: &str| -> u64 {
        let measured = fs::read_to_string(&metrics).unwrap();
        let samples = measured.lines().filter(|line| line.starts_with(&format!("{name}{{")));
        samples.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64).sum()
    };
    let reclaimable = || {
        json!({"files": total("pycstore_reclaimable_entries"), "bytes": total("pycstore_reclaimable_bytes"),
                                "disk": total("pycstore_reclaimable_disk_bytes")})
    };
    world.pycstore(["du"].iter().chain(&counts)).exits(0);
    assert_eq!(&reclaimable(), expected, "metrics, before");
    assert_eq!(
        total("pycstore_disk_bytes"),
        used["statuses"].as_object().unwrap().values().map(|it| it["disk"].as_u64().unwrap()).sum::<u64>()
    );
    let real = world.pycstore(ALL.iter().chain(&counts)).exits(0).json();
    assert_eq!(&of(&real["removed"]), expected, "prune");
    assert_eq!(dry["owners"], real["owners"]);
    let history = world.pycstore(["history", "--json"]).exits(0).json_lines();
    assert_eq!(&of(&history[0]["removed"]), expected, "history");
    assert_eq!(reclaimable(), json!({"files": 0, "bytes": 0, "disk": 0}), "metrics, after");
    let removed = json!({"files": total("pycstore_prune_removed_entries"),
                         "bytes": total("pycstore_prune_removed_bytes"),
                         "disk": total("pycstore_prune_removed_disk_bytes")});
    assert_eq!(&removed, expected, "metrics");
}

/// What GNU `du` says of the files below a directory, in bytes of room.
fn room(world: &World, directory: &Path) -> u64 {
    let said =
        answer(world.command(tool("du", "coreutils")).args(["-s", "-B1"]).arg(directory)).exits(0).stdout;
    let directories =
        walkdir::WalkDir::new(directory).into_iter().flatten().filter(|it| it.file_type().is_dir());
    let own: u64 = directories.map(|it| it.metadata().unwrap().blocks() * 512).sum();
    said.split_whitespace().next().unwrap().parse::<u64>().unwrap() - own
}

#[test]
fn a_file_is_freed_with_its_last_name() {
    let (world, project, mirror) = linked();
    let expected = sum(9, &inodes(&mirror));
    fs::remove_dir_all(&project).unwrap();
    let before = room(&world, &world.store);
    reclaims(&world, &expected);
    assert_eq!(before - room(&world, &world.store), expected["disk"].as_u64().unwrap());
}

#[test]
fn a_link_that_stays_keeps_the_bytes() {
    // In a backup outside the store, in another project's mirror, as a file that is no entry.
    for place in ["backup", "mirror", "foreign"] {
        let (world, project, mirror) = linked();
        let tag = &linking().tag;
        let target = mirror.join(format!("m2.{tag}.pyc"));
        match place {
            "backup" => copy_links(&mirror, &world.home.join("backup")),
            "mirror" => {
                let other = world.home.join("q");
                copy_links(&project, &other);
                copy_links(&mirror, &world.mirror(&other));
            }
            _ => fs::hard_link(&target, world.store.join("note")).unwrap(),
        }
        let freed: BTreeMap<u64, (u64, u64)> = match place {
            "foreign" => {
                let mut inodes = inodes(&mirror);
                inodes.remove(&target.metadata().unwrap().ino());
                inodes
            }
            _ => BTreeMap::new(),
        };
        fs::remove_dir_all(&project).unwrap();
        reclaims(&world, &sum(9, &freed));
        assert!(!mirror.exists(), "{place}");
        if place == "mirror" {
            // The other project's are the last.
            let other = world.mirror(&world.home.join("q"));
            let expected = sum(9, &inodes(&other));
            fs::remove_dir_all(world.home.join("q")).unwrap();
            reclaims(&world, &expected);
        }
    }
}

#[test]
fn some_names_of_a_file_free_nothing() {
    let (world, project, mirror) = linked();
    let entries = inodes(&mirror);
    for (forgotten, freed) in [(".opt-1.pyc", false), (".opt-2.pyc", false), (".pyc", true)] {
        let going: Vec<PathBuf> =
            files(&mirror).into_iter().filter(|path| path.to_str().unwrap().ends_with(forgotten)).collect();
        // They are temporaries of a write that never ended.
        for path in &going {
            let mut name = path.clone().into_os_string();
            name.push(".77");
            fs::rename(path, &name).unwrap();
            age(Path::new(&name), Duration::from_secs(7200));
        }
        let dry = world.pycstore(["prune", "--temporary", "-n", "--json"]).exits(0).json();
        let real = world.pycstore(["prune", "--temporary", "--json"]).exits(0).json();
        let expected = if freed { sum(3, &entries) } else { sum(3, &BTreeMap::new()) };
        assert_eq!((of(&dry["removed"]), of(&real["removed"])), (expected.clone(), expected), "{forgotten}");
    }
    assert!(project.exists());
}

#[test]
fn a_store_under_its_budget_loses_nothing() {
    let (world, _, mirror) = linked();
    // A backup is no part of the store.
    copy_links(&mirror, &world.home.join("backup"));
    let before = World::snapshot(&world.store);
    let room = sum(9, &inodes(&mirror))["disk"].as_u64().unwrap();
    for most in [["--max-size", &format!("{room}B")], ["--max-files", "9"]] {
        let answer = world.pycstore(["prune", "--json"].iter().chain(&most)).exits(0);
        assert_only_gone(&before, &World::snapshot(&world.store), &[]);
        assert_eq!((answer.json()["removed"]["files"].clone(), answer.stderr.as_str()), (json!(0), ""));
    }
}

#[test]
fn a_budget_of_bytes_takes_a_file_with_all_its_names() {
    let (world, _, mirror) = linked();
    let inodes = inodes(&mirror);
    let room: u64 = inodes.values().map(|(_, disk)| disk).sum();
    // One byte too much: the largest of the equally used goes, and with one of its names nothing would be gained.
    let most = format!("{}B", room - 1);
    let dry = world.pycstore(["prune", "--max-size", &most, "-n", "--json"]).exits(0).json();
    let real = world.pycstore(["prune", "--max-size", &most, "--json"]).exits(0);
    let left = self::inodes(&mirror);
    assert_eq!((files(&mirror).len(), left.len(), real.stderr.as_str()), (6, 2, ""));
    let freed = inodes.into_iter().filter(|(inode, _)| !left.contains_key(inode)).collect();
    assert_eq!((of(&dry["removed"]), of(&real.json()["removed"])), (sum(3, &freed), sum(3, &freed)));
    // A number of files counts names.
    world.pycstore(["prune", "--max-files", "4"]).exits(0);
    assert_eq!(files(&mirror).len(), 4);
    // With a backup of them nothing is freed, but the store takes no more room.
    copy_links(&mirror, &world.home.join("backup"));
    let all = world.pycstore(["prune", "--max-size", "0", "--yes", "--json"]).exits(0).json();
    assert_eq!((of(&all["removed"]), files(&mirror).len()), (sum(4, &BTreeMap::new()), 0));
}

#[test]
fn a_name_that_may_not_go_keeps_the_others_where_bytes_count() {
    let (world, _, mirror) = linked();
    let tag = &linking().tag;
    let target = mirror.join(format!("m2.{tag}.pyc"));
    // A temporary that may still be written is a name of the same file.
    let elsewhere = world.mirror(&world.home.join("elsewhere"));
    fs::create_dir_all(&elsewhere).unwrap();
    fs::hard_link(&target, elsewhere.join(format!("m2.{tag}.pyc.9"))).unwrap();
    let dry = world.pycstore(["prune", "--max-size", "0", "-n", "--json"]).exits(0).json();
    let mut others = inodes(&mirror);
    others.remove(&target.metadata().unwrap().ino());
    assert_eq!(of(&dry["removed"]), sum(6, &others));
}

#[test]
fn verify_and_forget_count_alike() {
    let (world, project, mirror) = linked();
    let entries = inodes(&mirror);
    let dry = world.pycstore(["forget", "p", "-n", "--json"]).exits(0).json();
    assert_eq!(of(&dry["removed"]), sum(9, &entries));
    // A body that breaks every import, under three names.
    for path in files(&mirror) {
        let bytes = fs::read(&path).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_len(bytes.len() as u64 / 2).unwrap();
    }
    let broken = inodes(&mirror);
    world.pycstore(["verify", "--fix", project.to_str().unwrap()]);
    assert_eq!(files(&mirror).len(), 0);
    let history = world.pycstore(["history", "--json"]).exits(0).json_lines();
    assert_eq!(of(&history[0]["removed"]), sum(9, &broken));
}

#[test]
fn sweep_counts_alike() {
    let world = World::new();
    let [one, other] = ["one", "other"].map(|name| world.project(name, &["a.py", "b.py"]));
    let code = "sys.pycache_prefix = None\n\
                for path in sys.argv[1:]: assert compileall.compile_dir(path, quiet=1)";
    answer(world.compiler(newest(), code).arg(&one)).exits(0);
    let [cache, copy] = [&one, &other].map(|project| project.join("__pycache__"));
    copy_links(&cache, &copy);
    // A third link is in a backup, of one of the two.
    let kept = cache.join(format!("a.{}.pyc", newest().tag));
    fs::hard_link(&kept, world.home.join("backup")).unwrap();
    let mut freed = inodes(&cache);
    freed.remove(&kept.metadata().unwrap().ino());
    let alone = world.pycstore(["sweep", "-n", "--json", "one"]).exits(0).json();
    assert_eq!(of(&alone["removed"]), sum(2, &BTreeMap::new()));
    let dry = world.pycstore(["sweep", "-n", "--json", "one", "other"]).exits(0).json();
    let real = world.pycstore(["sweep", "--json", "one", "other"]).exits(0).json();
    assert_eq!((of(&dry["removed"]), of(&real["removed"])), (sum(4, &freed), sum(4, &freed)));
    assert!(!cache.exists() && !copy.exists());
}

/// Three projects whose equal modules are links of one file, and a module each that only they have: as `pycstore share`
/// leaves them. Of each: the project, its own entry, and its link.
fn shared() -> (World, [(PathBuf, PathBuf, PathBuf); 3]) {
    let world = World::new();
    let projects = ["one", "two", "three"].map(|name| {
        let project = world.project(name, &["own.py"]);
        world.write(project.join("same.py"), format!("A = {:?}\n", "long ".repeat(4000)));
        world.compile(newest(), &[], &[&project]);
        let [own, same] = ["own.py", "same.py"].map(|it| world.entry(&project.join(it), newest(), ""));
        (project, own, same)
    });
    for (_, _, same) in &projects[1..] {
        fs::remove_file(same).unwrap();
        fs::hard_link(&projects[0].2, same).unwrap();
    }
    (world, projects)
}

#[test]
fn forgetting_one_of_three_that_share_frees_its_own() {
    let (world, projects) = shared();
    for (index, (project, own, same)) in projects.iter().enumerate() {
        let is_last = index + 1 == projects.len();
        let freed = |path: &Path| fs::metadata(path).unwrap().blocks() * 512;
        let expected = freed(own) + if is_last { freed(same) } else { 0 };
        let before = room(&world, &world.store);
        let used = world.pycstore(["du", "--json"]).exits(0).json();
        let row =
            used["owners"].as_array().unwrap().iter().find(|row| row["root"] == json!(project)).unwrap();
        assert_eq!(row["disk"], expected, "du promises it");
        let forget = |more: &[&str]| {
            world
                .pycstore(["forget", project.to_str().unwrap(), "--json", "--yes"].iter().chain(more))
                .exits(0)
                .json()
        };
        let (dry, real) = (forget(&["-n"]), forget(&[]));
        assert_eq!(dry["removed"], real["removed"]);
        assert_eq!((&real["removed"]["files"], &real["removed"]["disk"]), (&json!(2), &json!(expected)));
        assert_eq!(before - room(&world, &world.store), expected);
    }
}

#[test]
#[cfg_attr(feature = "portable", ignore = "needs O_NOATIME")]
fn a_budget_evicts_a_shared_file_by_its_last_use_and_counts_it_once() {
    let (world, projects) = shared();
    let disk = |path: &Path| fs::metadata(path).unwrap().blocks() * 512;
    let stamp = || {
        for (days, path) in
            [(9, &projects[0].1), (5, &projects[0].2), (1, &projects[1].1), (2, &projects[2].1)]
        {
            if path.exists() {
                age(path, Duration::from_secs(days * 86_400));
            }
        }
    };
    let total: u64 = projects.iter().map(|it| disk(&it.1)).sum::<u64>() + disk(&projects[0].2);
    let run = |most: u64, more: &[&str]| {
        stamp();
        let most = format!("{most}B");
        let arguments = ["prune", "--max-size", &most, "--json"];
        world.pycstore(arguments.iter().chain(more)).exits(0).json()["removed"].clone()
    };
    // All inodes once fit.
    assert_eq!(run(total, &[])["files"], 0);
    let least = disk(&projects[0].1);
    for (most, files, freed) in [(total - 1, 1, least), (total - least - 1, 3, disk(&projects[0].2))] {
        let dry = run(most, &["-n"]);
        let before = room(&world, &world.store);
        stamp();
        let most = format!("{most}B");
        let real =
            world.pycstore(["prune", "--max-size", &most, "--json"]).exits(0).json()["removed"].clone();
        assert_eq!(of(&dry), of(&real));
        assert_eq!((&real["files"], &real["disk"]), (&json!(files), &json!(freed)), "{most}");
        assert_eq!(before - room(&world, &world.store), freed);
    }
}
