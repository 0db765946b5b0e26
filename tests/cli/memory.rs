//! Memory and threads are bounded, whatever the files claim to be.
//!
//! A file with holes costs who makes it nothing, and so do a thousand links to one file; each is read by some command.

use crate::support::memory::peak_memory;
use crate::support::{NOBODY, World, answer, assert_only_gone, newest, tool};
use std::fs::{self, File, FileTimes};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What a whole run may have resident, in bytes.
const MOST: u64 = 256 << 20;

/// The source of every entry here, and when it was written.
const SOURCE: &[u8] = b"x = 1\n";
const MTIME: u32 = 1_700_000_000;

/// The entries of each kind, two in a directory of its own, so that as many threads read them at once.
const ENTRIES: usize = 16;

/// A header of CPython 3.12 for [`SOURCE`].
fn header() -> Vec<u8> {
    let (magic, flags) = (b"\xcb\x0d\r\n", [0; 4]);
    [&magic[..], &flags, &MTIME.to_le_bytes(), &(SOURCE.len() as u32).to_le_bytes()].concat()
}

/// What begins as a code object and ends in a string of zeros: all of it has to be read.
fn write_code_with_a_hole(path: &Path, length: u64) {
    let body = [&b"\xe3"[..], &[0; 20], b"s", &(length as u32 - 100).to_le_bytes()].concat();
    let file = File::create(path).unwrap();
    file.write_all_at(&[header(), body].concat(), 0).unwrap();
    file.set_len(length).unwrap();
}

/// Nothing but zeros behind the header.
fn write_hole(path: &Path, length: u64) {
    let file = File::create(path).unwrap();
    file.write_all_at(&header(), 0).unwrap();
    file.set_len(length).unwrap();
}

/// A code object whose first field is a list of empty tuples that references lead to: what is remembered of each is six
/// times as long.
fn write_references(path: &Path, length: u32) {
    let mut file = File::create(path).unwrap();
    let count = (length / 2).to_le_bytes();
    file.write_all(&[&header()[..], b"\xe3", &[0; 20], b"[", &count].concat()).unwrap();
    file.write_all(&b"\xa9\0".repeat(length as usize / 2)).unwrap();
}

/// A world with entries of every kind. Their sources are there, or only namesakes of them.
fn world() -> World {
    let world = World::new();
    let many = world.home.join("many");
    write_references(&many, 3_000_000);
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(MTIME));
    for number in 0..ENTRIES {
        // The last kind takes long.
        let kinds = ["zeros", "hole", "references"];
        for kind in &kinds[..if number < 6 { 3 } else { 2 }] {
            for name in ["m.py", "n.txt"] {
                let source = world.write(format!("{kind}/{number}/{name}"), SOURCE);
                let file = File::options().write(true).open(source).unwrap();
                file.set_times(FileTimes::new().set_modified(then)).unwrap();
            }
            let mirror = world.mirror(&world.home.join(format!("{kind}/{number}")));
            fs::create_dir_all(&mirror).unwrap();
            for stem in ["m", "n"] {
                let entry = mirror.join(format!("{stem}.cpython-312.pyc"));
                match *kind {
                    "zeros" => write_hole(&entry, 256 << 20),
                    "hole" => write_code_with_a_hole(&entry, 200 << 20),
                    _ => fs::hard_link(&many, &entry).unwrap(),
                }
            }
        }
    }
    world
}

#[test]
fn no_file_makes_a_run_take_much_memory() {
    let world = world();
    let entry = |kind: &str, stem: &str| -> PathBuf {
        world.mirror(&world.home.join(kind).join("5")).join(format!("{stem}.cpython-312.pyc"))
    };
    let (hole, references) = (entry("hole", "m"), entry("references", "n"));
    let (hole, references) = (hole.to_str().unwrap(), references.to_str().unwrap());
    let source = world.home.join("references/5/n.py");
    let source = source.to_str().unwrap();
    let trees = world.home.to_str().unwrap();
    let commands: [&[&str]; 11] = [
        &["verify"],
        &["prune", "--corrupt", "--deep", "--dry-run"],
        &["prune", "--orphans", "--dry-run"],
        &["ls"],
        &["du"],
        &["du", "--by", "package"],
        &["report", "--html", "-"],
        &["inspect", hole, references],
        &["which", source],
        &["source", references],
        &["sweep", "--dry-run", trees],
    ];
    for arguments in commands {
        let (peak, ended) = peak_memory(&world, [&["--threads", "64"], arguments].concat());
        assert!(peak < MOST, "{arguments:?}: {peak} bytes");
        assert!((0..=1).contains(&ended.code), "{arguments:?}: {ended:?}");
    }
    for threads in [&[][..], &["--threads", "1"], &["--threads", "512"]] {
        let (peak, _) = peak_memory(&world, [threads, &["verify"]].concat());
        assert!(peak < MOST, "{threads:?}: {peak} bytes");
    }
    let (peak, ended) = peak_memory(&world, ["prune", "--orphans", "--stale", "--quiet"]);
    assert!(peak < MOST && ended.code == 0, "{peak} bytes, {ended:?}");
}

/// Only a recompilation needs the sound entries, two paths and more of each.
#[test]
fn verify_without_recompile_does_not_keep_the_sound_entries() {
    const DIRECTORIES: usize = 8;
    const ENTRIES: usize = 1000;
    let world = World::new();
    let deep = vec!["deep".repeat(50); 4].join("/");
    let source = world.write(format!("p/{deep}/0/m.py"), SOURCE);
    let project = world.home.join("p").join(&deep);
    world.compile(newest(), &[], &[&project]);
    let entry = world.entry(&source, newest(), "");
    let few = peak_memory(&world, ["verify"]);
    // Of what has several links, no time of change is a finding.
    let suffix = entry.file_name().unwrap().to_str().unwrap().strip_prefix("m.").unwrap();
    for directory in (1..=DIRECTORIES).map(|number| project.join(number.to_string())) {
        let mirror = world.mirror(&directory);
        fs::create_dir(&directory).unwrap();
        fs::create_dir(&mirror).unwrap();
        for number in 0..ENTRIES {
            fs::hard_link(&source, directory.join(format!("m{number}.py"))).unwrap();
            fs::hard_link(&entry, mirror.join(format!("m{number}.{suffix}"))).unwrap();
        }
    }
    let many = peak_memory(&world, ["verify"]);
    assert_eq!((few.1.code, many.1.code), (0, 0), "{few:?} {many:?}");
    let grown = many.0.saturating_sub(few.0) / (DIRECTORIES * ENTRIES) as u64;
    assert!(
        grown < 800,
        "{grown} bytes for each of the entries, whose paths have {} each",
        source.as_os_str().len()
    );
}

/// Where the system grants no more threads, the one that there is does the work.
#[test]
fn without_more_threads_the_same_is_found_and_removed() {
    let world = World::of_projects(&["a.py", "b.py"], &["c.py"]);
    let command = world.unprivileged();
    let gone = world.mirror(&world.home.join("gone"));
    let before = World::snapshot(&world.store);
    let mut limited = world.command(tool("prlimit", "util-linux"));
    limited.arg("--nproc=1").arg(command.get_program()).args(["prune", "--orphans"]);
    limited.env("PYTHONPYCACHEPREFIX", &world.store);
    if rustix::process::geteuid().is_root() {
        limited.uid(NOBODY).gid(NOBODY);
    }
    answer(&mut limited).exits(0);
    assert_only_gone(&before, &World::snapshot(&world.store), &[&gone]);
}

/// What lies in source trees is read to be moved.
#[test]
fn large_entries_are_moved_without_much_memory() {
    let world = World::new();
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(MTIME));
    let large = world.home.join("large");
    fs::write(&large, [header(), vec![1; 12 << 20]].concat()).unwrap();
    for number in 0..40 {
        let source = world.write(format!("p/{number}/m.py"), SOURCE);
        let file = File::options().write(true).open(source).unwrap();
        file.set_times(FileTimes::new().set_modified(then)).unwrap();
        let cache = world.home.join(format!("p/{number}/__pycache__"));
        fs::create_dir(&cache).unwrap();
        fs::hard_link(&large, cache.join("m.cpython-312.pyc")).unwrap();
    }
    let project = world.home.join("p");
    let (peak, ended) =
        peak_memory(&world, ["--threads", "64", "sweep", "--adopt", "--quiet", project.to_str().unwrap()]);
    assert!(peak < MOST && ended.code == 0, "{peak} bytes, {ended:?}");
    let adopted = world.mirror(&project).join("7/m.cpython-312.pyc");
    assert_eq!(fs::read(adopted).unwrap(), fs::read(&large).unwrap());
}
