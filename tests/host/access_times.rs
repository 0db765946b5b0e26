//! The time of last use on mounts that record access times, and on mounts that do not.

use crate::support::{HOUR, World, answer, assert_only_gone, newest};
use serde_json::Value;
use std::fs::{File, FileTimes};
use std::path::PathBuf;
use std::time::SystemTime;

/// What `du --json`, `inspect --json` and `inspect` say of a store with one entry, mounted in some way.
struct Said {
    last_used: Value,
    accessed: Value,
    page: String,
}

/// Asks in a mount namespace. `read` is whether the entry was read after it was written.
fn ask(mounting: &str, read: bool) -> Said {
    let world = World::new();
    let project = world.project("proj", &["m.py"]);
    world.compile(newest(), &[], &[&project]);
    let entry = world.entry(&project.join("m.py"), newest(), "");
    let modified = entry.metadata().unwrap().modified().unwrap();
    let accessed = if read { modified + HOUR } else { modified };
    let times = FileTimes::new().set_accessed(accessed).set_modified(modified);
    File::options().write(true).open(&entry).unwrap().set_times(times).unwrap();
    let script = format!(
        "{mounting}
        pycstore du --json --sort name; pycstore inspect --json '{0}'; pycstore inspect '{0}'",
        entry.display()
    );
    let said = answer(&mut world.in_namespace("", &script)).exits(0).stdout;
    let (document, rest) = said.split_once("\n{").or_else(|| said.split_once("}{")).unwrap();
    let document: Value = serde_json::from_str(document).unwrap();
    let (line, page) = rest.split_once('\n').unwrap();
    let line: Value = serde_json::from_str(&format!("{{{line}")).unwrap();
    let last_used = document["owners"][0]["last_used"].clone();
    let page = page.lines().find(|line| line.contains("accessed")).unwrap().to_string();
    Said { last_used, accessed: line["accessed"].clone(), page }
}

/// Mounts the store over itself with these options.
fn bind(options: &str) -> String {
    format!("mount --bind \"$STORE\" \"$STORE\"; mount -o remount,bind,{options} \"$STORE\"")
}

/// Copies the store to a file system of this type, mounted in its place.
fn copied(kind: &str, options: &str) -> String {
    format!(
        "cp -a \"$STORE\" \"$STORE.copy\"; mount -t {kind} -o {options} {kind} \"$STORE\"; cp -a \"$STORE.copy/.\" \"$STORE\""
    )
}

const NEVER_READ: &str = "(not read since it was written)";

#[test]
#[ignore = "needs root and a mount namespace"]
fn where_readings_are_recorded_last_use_is_known() {
    for mounting in
        [bind("relatime"), bind("strictatime"), bind("relatime,nodiratime"), copied("tmpfs", "lazytime")]
    {
        for read in [true, false] {
            let Said { last_used, accessed, page } = ask(&mounting, read);
            assert!(last_used.is_string() && accessed.is_string(), "{mounting}: {last_used} {accessed}");
            assert_eq!(page.contains(NEVER_READ), !read, "{mounting}: {page}");
        }
    }
}

#[test]
#[ignore = "needs root and a mount namespace"]
fn where_no_reading_is_recorded_nothing_is_said_of_last_use() {
    for mounting in [bind("noatime"), bind("ro"), bind("ro,noatime"), copied("tmpfs", "noatime")] {
        for read in [true, false] {
            let Said { last_used, accessed, page } = ask(&mounting, read);
            assert_eq!((last_used, accessed), (Value::Null, Value::Null), "{mounting}");
            assert!(page.ends_with("unknown: the mount does not record access times"), "{mounting}: {page}");
        }
    }
}

/// A file of a lower layer is read without a trace; one that was read before has its time.
#[test]
#[ignore = "needs a mount namespace"]
fn on_an_overlay_only_a_reading_that_shows_counts() {
    let mounting = "mkdir \"$STORE.upper\" \"$STORE.work\"; mount -t tmpfs tmpfs \"$STORE.work\";
        mkdir \"$STORE.work/upper\" \"$STORE.work/work\"
        mount -t overlay -o \"lowerdir=$STORE,upperdir=$STORE.work/upper,workdir=$STORE.work/work\" overlay \"$STORE\"";
    let Said { last_used, page, .. } = ask(mounting, true);
    assert!(last_used.is_string() && !page.contains('('), "{last_used} {page}");
    let Said { last_used, page, .. } = ask(mounting, false);
    assert_eq!(last_used, Value::Null);
    assert!(!page.contains(NEVER_READ) && page.contains("(may have been read since"), "{page}");
}

/// Without access times, `--unused-for` goes by the time of compilation, and says so.
#[test]
#[ignore = "needs a mount namespace"]
fn where_no_access_times_are_kept_the_time_of_compilation_counts() {
    let world = World::new();
    let project = world.project("proj", &["young.py", "used.py", "unused.py"]);
    world.compile(newest(), &[], &[&project]);
    let entry = |stem: &str| world.entry(&project.join(format!("{stem}.py")), newest(), "");
    // Each copy and each snapshot reads the entries.
    let now = SystemTime::now();
    let set_times = || {
        for (stem, written, read) in [("young", 200, 100), ("used", 300, 20), ("unused", 300, 280)] {
            let [written, read] = [written, read].map(|days| now - 24 * days * HOUR);
            let times = FileTimes::new().set_modified(written).set_accessed(read);
            File::options().write(true).open(entry(stem)).unwrap().set_times(times).unwrap();
        }
    };
    let script = "
        mkdir -p \"$HOME/volume\"
        mount -t tmpfs -o OPTIONS tmpfs \"$HOME/volume\"
        cp -a \"$STORE/.\" \"$HOME/volume/\"
        pycstore --store \"$HOME/volume\" prune --orphans -n > \"$HOME/log\"
        pycstore --store \"$HOME/volume\" QUIET prune --unused-for 250d > \"$HOME/log\"
        cd \"$HOME/volume\"
        find . -type f | sort
    ";
    let note =
        "pycstore: this mount does not record access times: the time of compilation counts as the last use\n";
    set_times();
    let before = World::snapshot(&world.store);
    for (options, quiet, stderr, left) in [
        ("noatime", "", note, &["young"][..]),
        ("noatime", "-q", "", &["young"]),
        ("relatime", "", "", &["used", "young"]),
        ("strictatime", "", "", &["used", "young"]),
    ] {
        let script = script.replace("OPTIONS", options).replace("QUIET", quiet);
        set_times();
        let pruned = answer(&mut world.in_namespace("", &script)).exits(0);
        assert_only_gone(&before, &World::snapshot(&world.store), &[]);
        assert_eq!(pruned.stderr, stderr, "{options}");
        let found: Vec<PathBuf> = pruned.stdout.lines().map(|path| world.store.join(&path[2..])).collect();
        assert_eq!(found, left.iter().map(|stem| entry(stem)).collect::<Vec<_>>(), "{options}");
    }
}
