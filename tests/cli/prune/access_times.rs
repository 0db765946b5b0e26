//! What is said of last use on mounts that do not keep it.

use crate::support::{World, answer, newest};
use serde_json::Value;

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
    let hour = std::time::Duration::from_secs(3600);
    let accessed = if read { modified + hour } else { modified };
    let times = std::fs::FileTimes::new().set_accessed(accessed).set_modified(modified);
    std::fs::File::options().write(true).open(&entry).unwrap().set_times(times).unwrap();
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
#[cfg_attr(feature = "portable", ignore = "needs O_NOATIME")]
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
fn where_no_reading_is_recorded_nothing_is_said_of_last_use() {
    for mounting in [bind("noatime"), bind("ro"), bind("ro,noatime"), copied("tmpfs", "noatime")] {
        for read in [true, false] {
            let Said { last_used, accessed, page } = ask(&mounting, read);
            assert_eq!((last_used, accessed), (Value::Null, Value::Null), "{mounting}");
            assert!(page.ends_with("not known: the mount keeps no access times"), "{mounting}: {page}");
        }
    }
}

/// A file of a lower layer is read without a trace; one that was read before has its time.
#[test]
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
