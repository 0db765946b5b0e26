//! A source was deleted only where something on its path changed since: real deletions against what only looks like one.

use crate::support::{World, answer, newest, status};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// A project below the home with these modules and something beside it, compiled.
fn compiled(world: &World, name: &str, modules: &[&str]) -> PathBuf {
    let project = world.project(name, modules);
    world.write(Path::new(name).with_file_name("keep"), "");
    world.compile(newest(), &[], &[&project]);
    project
}

/// Asserts that a prune of orphans takes every entry of the store, and `ls` said so before.
#[track_caller]
fn assert_all_go(world: &World, what: &str) {
    let lines = world.pycstore(["ls", "--json"]).json_lines();
    let kept: Vec<_> = lines.iter().filter(|line| line["status"] != "orphan").collect();
    assert!(!lines.is_empty() && kept.is_empty(), "{what}: {kept:#?}");
    world.pycstore(["prune", "--orphans"]).exits(0);
    assert_eq!(crate::support::files(&world.store).len(), 0, "{what}");
}

#[test]
fn what_people_delete_is_deleted() {
    type Deletion = fn(&World, &Path);
    let deletions: [(&str, Deletion); 5] = [
        ("the whole project", |_, project| fs::remove_dir_all(project).unwrap()),
        ("a file at a time", |_, project| {
            for name in ["a.py", "pkg/b.py", "pkg/deep/c.py"] {
                fs::remove_file(project.join(name)).unwrap();
            }
            fs::write(project.join("pkg/deep/README"), "").unwrap();
        }),
        ("moved away", |world, project| fs::rename(project, world.home.join("elsewhere")).unwrap()),
        ("another directory in its place", |world, project| {
            fs::create_dir_all(world.home.join("next/pkg/deep")).unwrap();
            for directory in ["next", "next/pkg", "next/pkg/deep"] {
                world.write(format!("{directory}/README"), "");
            }
            // Older than the entries: only the renaming shows.
            fs::rename(project, world.home.join("previous")).unwrap();
            fs::rename(world.home.join("next"), project).unwrap();
        }),
        ("a text in its place", |_, project| {
            fs::remove_dir_all(project).unwrap();
            fs::write(project, "#!/bin/sh\necho moved\n").unwrap();
        }),
    ];
    for (what, delete) in deletions {
        let world = World::new();
        let project = compiled(&world, "project", &["a.py", "pkg/b.py", "pkg/deep/c.py"]);
        delete(&world, &project);
        assert_all_go(&world, what);
    }
}

#[test]
fn a_deploy_that_switches_a_link_deletes_what_was_there() {
    let world = World::new();
    for release in ["1", "2"] {
        world.write(format!("releases/{release}/only_in_{release}.py"), "x = 1\n");
        world.write(format!("releases/{release}/README"), "");
    }
    let current = world.home.join("current");
    symlink("releases/1", &current).unwrap();
    world.compile(newest(), &[], &[&current]);
    assert_eq!(status(&world, "current/only_in_1.py"), "fresh -");
    // The directory of the second release is older than the entry: the link is what changed.
    symlink("releases/2", world.home.join("next")).unwrap();
    fs::rename(world.home.join("next"), &current).unwrap();
    assert_all_go(&world, "link");
}

#[test]
fn inspect_says_that_an_empty_directory_may_be_a_mount_point() {
    let world = World::new();
    let project = world.project("releases", &["one/m.py"]);
    world.compile(newest(), &[], &[&project]);
    let entry = world.entry(&project.join("one/m.py"), newest(), "");
    fs::remove_dir_all(&project).unwrap();
    fs::create_dir(&project).unwrap();
    let page = world.pycstore(["inspect".as_ref(), entry.as_os_str()]).exits(0).stdout;
    assert!(page.contains("unknown (unmounted)"), "{page}");
    let line = format!("one in {} (empty: may be a mount point)\n", project.display());
    assert!(page.contains(&line), "{page}");
}

#[test]
fn an_archive_that_is_there_keeps_what_was_read_from_it() {
    let world = World::new();
    let archive = world.home.join("Tool.package");
    const LOADER: &str = "
import importlib.machinery, importlib.util, os, sys, zipfile
archive = sys.argv[1]
with zipfile.ZipFile(archive, 'w') as file:
    file.writestr('plugin.py', 'VALUE = 42\\n')
class Loader(importlib.machinery.SourceFileLoader):
    def path_stats(self, path):
        return {'mtime': os.stat(archive).st_mtime, 'size': zipfile.ZipFile(archive).getinfo('plugin.py').file_size}
    def get_data(self, path):
        return zipfile.ZipFile(archive).read('plugin.py') if path.startswith(archive + '/') else super().get_data(path)
loader = Loader('plugin', archive + '/plugin.py')
module = importlib.util.module_from_spec(importlib.util.spec_from_loader('plugin', loader))
loader.exec_module(module)
";
    answer(world.python(newest()).args(["-c", LOADER]).arg(&archive)).exits(0);
    let entry = world.entry(&archive.join("plugin.py"), newest(), "");
    // What the archive's directory does later says nothing of what the archive holds.
    world.write("later", "");
    assert_eq!(status(&world, "plugin.py"), "unknown archive");
    world.pycstore(["prune", "--orphans"]).exits(0);
    assert!(entry.exists());
    fs::remove_file(&archive).unwrap();
    assert_eq!(status(&world, "plugin.py"), "orphan root");
    world.pycstore(["prune", "--orphans"]).exits(0);
    assert!(!entry.exists());
}

/// `bin` is a link, and a tool there imports from `LINK/../lib`: CPython keeps that where no source is.
struct Dots {
    world: World,
    entry: PathBuf,
    tool: PathBuf,
    lib: PathBuf,
}

impl Dots {
    /// `link` leads from the home to `target`, with so many steps up from it to where the modules are.
    fn new(link: &str, target: &str, up: &str, lib: &str) -> Dots {
        let world = World::new();
        let code = format!(
            "import os, sys\nsys.path.append(os.path.join(os.path.dirname(__file__), '{up}', 'lib'))\nimport helper, other\n"
        );
        world.write(format!("{target}/tool.py"), code);
        let lib = world.write(format!("{lib}/helper.py"), "x = 1\n").parent().unwrap().to_path_buf();
        world.write(format!("{}/other.py", lib.display()), "y = 2\n");
        let link = world.home.join(link);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(world.home.join(target), &link).unwrap();
        let tool = link.join("tool.py");
        answer(world.python(newest()).arg(&tool)).exits(0);
        let found = crate::support::files(&world.store).into_iter();
        let entry = found.into_iter().find(|path| path.to_string_lossy().contains("helper.")).unwrap();
        Dots { world, entry, tool, lib }
    }

    /// Whether CPython loads the entry.
    fn is_loaded(&self) -> bool {
        let told = answer(self.world.python(newest()).args(["-B", "-v"]).arg(&self.tool)).exits(0).stderr;
        told.lines().any(|line| line.contains("helper") && line.contains("matches"))
    }
}

#[test]
fn an_entry_that_is_reached_by_dots_behind_a_link_belongs_to_its_recorded_source() {
    for (link, target, up, lib) in [
        ("bin", "dotfiles/bin", "..", "dotfiles/lib"),
        ("tools/bin", "dotfiles/deep/bin", "../..", "dotfiles/lib"),
    ] {
        let dots = Dots::new(link, target, up, lib);
        let Dots { world, entry, lib, .. } = &dots;
        assert!(dots.is_loaded(), "{link}");
        // Whatever happens beside the place that the mirror names says nothing of it.
        world.write("keep", "");
        assert_eq!(status(world, "lib/helper.py"), "fresh -");
        let source = world.pycstore(["source".as_ref(), entry.as_os_str()]).exits(0).stdout;
        assert_eq!(fs::canonicalize(source.trim_end()).unwrap(), lib.join("helper.py"));
        let which = world.pycstore(["which".as_ref(), lib.join("helper.py").as_os_str()]).exits(0).stdout;
        assert!(
            which.starts_with("fresh ") && which.trim_end().ends_with(entry.to_str().unwrap()),
            "{which}"
        );
        assert_eq!(which.lines().count(), 1, "{which}");
        assert_eq!(world.pycstore(["du", "--json"]).json()["reclaimable"]["files"], 0);
        for _ in 0..2 {
            world.pycstore(["prune", "--orphans", "--stale", "--corrupt"]).exits(0);
            assert!(entry.exists() && dots.is_loaded(), "{link}");
        }
        fs::write(lib.join("helper.py"), "x = 'longer'\n").unwrap();
        assert!(status(world, "lib/helper.py").starts_with("stale "), "{link}");
        fs::remove_file(lib.join("helper.py")).unwrap();
        assert_eq!(status(world, "lib/helper.py"), "orphan source");
        world.pycstore(["prune", "--orphans"]).exits(0);
        assert!(!entry.exists(), "{link}");
    }
}

#[test]
fn an_entry_that_is_dated_in_the_future_is_deleted_with_its_source() {
    let world = World::new();
    let project = compiled(&world, "project", &["m.py", "n.py"]);
    let entry = world.entry(&project.join("m.py"), newest(), "");
    let in_2040 = UNIX_EPOCH + Duration::from_secs(2_208_988_800);
    let times = fs::FileTimes::new().set_modified(in_2040);
    fs::File::options().write(true).open(&entry).unwrap().set_times(times).unwrap();
    assert_eq!(status(&world, "project/m.py"), "fresh -");
    fs::remove_dir_all(&project).unwrap();
    assert_all_go(&world, "dated in the future");
}

#[test]
fn an_entry_behind_dots_that_cannot_be_read_is_no_orphan() {
    let dots = Dots::new("bin", "dotfiles/bin", "..", "dotfiles/lib");
    let Dots { world, entry, .. } = &dots;
    world.write("keep", "");
    // As a file server does, another process holds a lease, so that nobody else can open the file at once.
    let script = "
import fcntl, os, signal, subprocess, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = os.open(sys.argv[1], os.O_RDWR)
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
sys.exit(subprocess.run(sys.argv[2:]).returncode)
";
    let mut command = world.command(&newest().path);
    command.args(["-c", script]).arg(entry).arg(env!("CARGO_BIN_EXE_pycstore"));
    command.arg("--store").arg(&world.store).args(["prune", "--orphans", "--dry-run"]);
    let told = answer(&mut command).exits(1);
    insta::assert_snapshot!(told.shown(), @r"
    exit: 1
    ----- stdout -----
    nothing to remove
    ----- stderr -----
    pycstore: cannot read /home/me/.cache/cpython/home/me/lib/helper.cpython-3.N.pyc: Resource temporarily unavailable
    ");
    assert_eq!(told.stderr.lines().count(), 1, "{}", told.stderr);
    assert!(dots.is_loaded());
}

#[test]
fn what_an_unknown_format_records_behind_dots_is_not_known() {
    let dots = Dots::new("bin", "dotfiles/bin", "..", "dotfiles/lib");
    let Dots { world, entry, lib, .. } = &dots;
    world.write("lib/keep", "");
    let mut bytes = fs::read(entry).unwrap();
    bytes[..2].copy_from_slice(&3701_u16.to_le_bytes());
    bytes[16] = 0x7f;
    let newer = entry.with_file_name("helper.cpython-316.pyc");
    fs::write(&newer, &bytes).unwrap();
    fs::remove_file(entry).unwrap();
    world.write("lib/later", "");
    let statuses = || world.pycstore(["ls", "--json"]).json_lines();
    let of_newer = |lines: Vec<serde_json::Value>| {
        let path = newer.to_str().unwrap();
        let line = lines.into_iter().find(|line| line["path"] == path).unwrap();
        (line["status"].clone(), line["reason"].clone())
    };
    assert_eq!(of_newer(statuses()), ("unknown".into(), "magic".into()));
    world.pycstore(["prune", "--orphans"]).exits(0);
    assert!(newer.exists() && lib.join("helper.py").exists());
    // Without dots in it there is no doubt.
    let text = b"/../";
    let at = bytes.windows(4).position(|window| window == text).unwrap();
    bytes[at..at + 4].copy_from_slice(b"/xx/");
    fs::write(&newer, &bytes).unwrap();
    world.write("lib/last", "");
    assert_eq!(of_newer(statuses()), ("orphan".into(), "source".into()));
}

#[test]
fn a_recorded_path_without_an_end_is_not_followed() {
    let world = World::new();
    let project = compiled(&world, "project", &["m.py"]);
    let entry = world.entry(&project.join("m.py"), newest(), "");
    let script = "
import marshal, sys
entry, project = sys.argv[1:]
header = open(entry, 'rb').read(16)
code = compile('', project + '/../project' * 20_000 + '/m.py', 'exec')
open(entry, 'wb').write(header + marshal.dumps(code))
";
    let mut command = world.command(&newest().path);
    answer(command.args(["-c", script]).arg(&entry).arg(&project)).exits(0);
    fs::remove_file(project.join("m.py")).unwrap();
    fs::write(project.join("README"), "").unwrap();
    assert_eq!(status(&world, "project/m.py"), "orphan source");
    world.pycstore(["prune", "--orphans"]).exits(0);
    assert!(!entry.exists());
}

#[test]
fn an_entry_behind_a_deeper_link_stays_beside_deleted_sources() {
    // The link is neither beside `c` nor above it, and the first entry of `c` is an ordinary orphan.
    let world = World::new();
    let lib = world.write("data/c/m.py", "x = 1\n").parent().unwrap().to_path_buf();
    world.write("data/deep/er/keep", "");
    world.write("a/b/keep", "");
    symlink(world.home.join("data/deep/er"), world.home.join("a/b/link")).unwrap();
    let ordinary = world.write("a/c/aa.py", "y = 2\n");
    world.compile_files(newest(), &[&ordinary]);
    let code = format!("import sys; sys.path.insert(0, {:?}); import m", world.home.join("a/b/link/../../c"));
    answer(world.python(newest()).args(["-c", &code])).exits(0);
    let entry = world.entry(&world.home.join("a/c/m.py"), newest(), "");
    assert!(entry.exists() && lib.is_dir());
    fs::remove_file(&ordinary).unwrap();
    world.write("a/c/README", "");
    let told = world.pycstore(["prune", "--orphans"]).exits(0);
    assert!(entry.exists(), "{}", told.stdout);
    assert!(!world.entry(&ordinary, newest(), "").exists());
    assert!(told.stderr.contains("it records a source that exists"), "{}", told.stderr);
}

#[test]
fn what_cannot_be_looked_at_is_reported_and_nothing_of_it_is_removed() {
    let world = World::new();
    let project = compiled(&world, "project", &["a/m.py", "b/m.py", "c/d/e/m.py"]);
    fs::remove_file(project.join("a/m.py")).unwrap();
    fs::write(project.join("a/README"), "").unwrap();
    let before = World::snapshot(&world.store);
    let program = env!("CARGO_BIN_EXE_pycstore");
    let mut seen = Vec::new();
    for files in 5..24 {
        let script = format!(
            "ulimit -n {files}; exec '{program}' --threads 1 --assume-gone \"$HOME/project\" prune --orphans --json"
        );
        let mut command = world.command("sh");
        let told = answer(command.args(["-c", &script]).env("PYTHONPYCACHEPREFIX", &world.store));
        let left = World::snapshot(&world.store);
        let fresh = ["b/m.py", "c/d/e/m.py"].map(|name| world.entry(&project.join(name), newest(), ""));
        assert!(fresh.iter().all(|entry| left.contains_key(entry)), "{files}: {told:?}");
        if told.code == 0 {
            break;
        }
        assert!(left.len() <= before.len() && !told.stderr.is_empty(), "{files}: {told:?}");
        seen.push(told.stderr);
    }
    assert!(seen.iter().any(|told| told.contains("Too many open files")), "{seen:?}");
}
