//! Two versions of the same modules with the same sizes and mtimes: each path gets the code of its own version.

use super::warm;
use crate::support::{World, answer, newest};
use serde_json::{Value, json};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// As many modules as make a scan of the store worth it.
const MODULES: usize = 32;

/// What all sources have: the oldest mtime in a ZIP archive; one that an archive may have; one of a clock.
const MTIMES: [Duration; 3] = [
    Duration::from_secs(315_532_800),
    Duration::from_secs(1_700_000_000),
    Duration::new(1_700_000_000, 123_456_789),
];

/// Both versions, in `v1` and `v2`.
struct Versions {
    world: World,
}

impl Versions {
    fn new(mtime: Duration) -> Versions {
        let world = World::new();
        for version in [1, 2] {
            for number in 0..MODULES {
                let path = world
                    .write(format!("v{version}/m{number:02}.py"), format!("X = {version} # {number:02}\n"));
                let file = std::fs::File::options().write(true).open(path).unwrap();
                file.set_modified(std::time::UNIX_EPOCH + mtime).unwrap();
            }
        }
        // What is made later in directories that exist does not make those above look renamed.
        for directory in ["a", "b", "c", "d", "x/a", "x/c"] {
            std::fs::create_dir_all(world.home.join(directory)).unwrap();
        }
        Versions { world }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.world.home.join(name)
    }

    /// Puts a version at a path, in the place of the one that is there: with `-p` copies, with `-l` links.
    fn install(&self, version: usize, how: &str, name: &str) {
        let to = self.path(name);
        std::fs::create_dir_all(&to).unwrap();
        let mut copy = self.world.command("cp");
        copy.args([how, "-p", "--remove-destination", "-r"]).arg(self.path(&format!("v{version}")).join("."));
        answer(copy.arg(to)).exits(0);
    }

    fn compile(&self, name: &str) {
        self.world.compile(newest(), &[], &[&self.path(name)]);
    }

    fn warm(&self, name: &str) -> Value {
        let (python, path) = (newest().path.to_str().unwrap(), self.path(name));
        warm(&self.world, ["--json", "--python", python, path.to_str().unwrap()]).exits(0).json()
    }

    /// Which version Python imports from a path.
    fn imported(&self, name: &str) -> String {
        let mut python = self.world.python(newest());
        python.args(["-c", "import m01; print(m01.X)"]).env("PYTHONPATH", self.path(name));
        answer(&mut python).exits(0).stdout.trim().to_string()
    }

    fn entry(&self, name: &str) -> std::fs::Metadata {
        self.world.entry(&self.path(name).join("m01.py"), newest(), "").metadata().unwrap()
    }
}

fn counts(warmed: &Value) -> (&Value, &Value) {
    (&warmed["compiled"], &warmed["reused"])
}

fn link(one: &Path, other: &Path) {
    std::fs::remove_file(other).ok();
    symlink(one, other).unwrap();
}

/// `share` keeps the time of the last of equal entries: for a source that was replaced before, that proves nothing.
#[test]
fn share_makes_no_evidence_of_an_old_entry() {
    for mtime in MTIMES {
        let it = Versions::new(mtime);
        it.install(2, "-p", "c");
        it.install(1, "-l", "a");
        it.install(1, "-l", "b");
        it.compile("a");
        it.install(2, "-l", "a");
        it.compile("b");
        let before = it.entry("a");
        let shared = it.world.pycstore(["share", "--json"]).exits(0).json();
        assert_eq!(
            (&shared["shared"]["files"], &shared["left"]["doubtful"]),
            (&json!(0), &json!(MODULES)),
            "{shared}"
        );
        // It is as old as before, and has its own file.
        let after = it.entry("a");
        assert_eq!((after.ino(), after.mtime_nsec()), (before.ino(), before.mtime_nsec()));
        assert_eq!(counts(&it.warm("c")), (&json!(MODULES), &json!(0)), "{mtime:?}");
        assert_eq!((it.imported("b"), it.imported("c")), ("1".into(), "2".into()), "{mtime:?}");
    }
}

/// The same for a file that already has names, of which one is old, and takes over the time of a newer one.
#[test]
fn share_gives_no_later_time_to_a_file_with_an_old_entry() {
    let it = Versions::new(MTIMES[0]);
    it.install(2, "-p", "x/c/lib");
    for name in ["a", "b", "x/a/lib"] {
        it.install(1, "-p", name);
        it.compile(name);
    }
    let shared = it.world.pycstore(["share", "--json"]).exits(0).json();
    assert_eq!(shared["shared"]["files"], json!(2 * MODULES), "{shared}");
    it.install(2, "-l", "x/a/lib");
    it.install(1, "-p", "d");
    it.compile("d");
    it.world.pycstore(["share", "--json"]).exits(0);
    assert_eq!(counts(&it.warm("x/c/lib")), (&json!(MODULES), &json!(0)));
    assert_eq!(["x/c/lib", "d", "b"].map(|name| it.imported(name)), ["2", "1", "1"]);
    // Those of the right version are one file.
    assert_eq!(it.entry("d").ino(), it.entry("b").ino());
}

/// A new link gives the whole file the present time.
#[test]
fn a_link_makes_no_evidence_of_an_old_entry() {
    for mtime in MTIMES {
        let it = Versions::new(mtime);
        it.install(1, "-p", "x/a/lib");
        it.warm("x/a/lib");
        it.install(1, "-p", "b/pkg");
        assert_eq!(counts(&it.warm("b/pkg")), (&json!(0), &json!(MODULES)));
        it.install(2, "-l", "x/a/lib");
        it.install(1, "-p", "d/pkg");
        // The entry of `b` proves it; as a file of its own, because of the old one.
        assert_eq!(counts(&it.warm("d/pkg")), (&json!(0), &json!(MODULES)));
        it.install(2, "-p", "x/c/lib");
        assert_eq!(counts(&it.warm("x/c/lib")), (&json!(MODULES), &json!(0)), "{mtime:?}");
        assert_eq!(["x/c/lib", "b/pkg", "d/pkg"].map(|name| it.imported(name)), ["2", "1", "1"], "{mtime:?}");
    }
}

/// The source of an old entry and the wanted one are links of one file.
#[test]
fn a_source_that_a_link_replaced_proves_nothing_for_its_other_links() {
    for mtime in MTIMES {
        let it = Versions::new(mtime);
        it.install(1, "-l", "a");
        it.warm("a");
        it.install(2, "-l", "a");
        it.install(2, "-l", "c");
        assert_eq!(counts(&it.warm("c")), (&json!(MODULES), &json!(0)), "{mtime:?}");
        assert_eq!(it.imported("c"), "2");
    }
}

/// Links that hide an edit in place, with the mtime of an archive set again.
#[test]
fn an_edit_that_links_hide_proves_nothing_with_the_mtime_of_an_archive() {
    for mtime in &MTIMES[..2] {
        let it = Versions::new(*mtime);
        it.install(1, "-l", "a");
        it.warm("a");
        answer(
            it.world
                .command("sh")
                .args(["-c", "for f in v2/*; do cp -p $f a; done"])
                .current_dir(&it.world.home),
        )
        .exits(0);
        it.install(1, "-l", "c");
        assert_eq!(it.entry("a").nlink(), 1);
        assert_eq!(counts(&it.warm("c")), (&json!(MODULES), &json!(0)), "{mtime:?}");
        assert_eq!(it.imported("c"), "2");
    }
}

/// Neither changes the sources.
#[test]
fn another_directory_in_the_place_of_a_source_s_proves_nothing() {
    let it = Versions::new(MTIMES[0]);
    for (version, name) in [(1, "b/one"), (2, "b/two"), (1, "d/lib"), (2, "d/new"), (2, "c/lib")] {
        it.install(version, "-p", name);
    }
    link(&it.path("b/one"), &it.path("a/current"));
    it.compile("a/current");
    it.compile("d/lib");
    // A roll-back, and an upgrade by renaming.
    link(&it.path("b/two"), &it.path("a/current"));
    std::fs::rename(it.path("d/lib"), it.path("d/old")).unwrap();
    std::fs::rename(it.path("d/new"), it.path("d/lib")).unwrap();
    assert_eq!(counts(&it.warm("c/lib")), (&json!(MODULES), &json!(0)));
    assert_eq!(it.imported("c/lib"), "2");
}

/// As many environments of uv: each new one adds a link to all sources.
#[test]
fn sources_that_get_links_all_the_time_stay_evidence() {
    let it = Versions::new(MTIMES[2]);
    it.install(1, "-l", "a");
    it.warm("a");
    for (number, name) in ["b", "c", "d", "x/a", "x/c"].into_iter().enumerate() {
        // All directories above get names.
        for above in ["new", "x/new", "../new"] {
            std::fs::write(it.path(&format!("{above}-{number}")), "").unwrap();
        }
        it.install(1, "-l", name);
        assert_eq!(counts(&it.warm(name)), (&json!(0), &json!(MODULES)), "{name}");
        assert_eq!(it.entry("a").nlink(), number as u64 + 2);
    }
    // `share` finds the same, if each was compiled after its links were made.
    std::fs::remove_dir_all(&it.world.store).unwrap();
    for (number, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
        std::fs::remove_dir_all(it.path(name)).unwrap();
        it.install(1, "-l", name);
        it.compile(name);
        it.world.pycstore(["share"]).exits(0);
        assert_eq!(it.entry("a").nlink(), number as u64 + 1);
    }
}
