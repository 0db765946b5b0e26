//! What a prune never touches, whoever made the store what it is: links, mounts, other people's files. Each is asked
//! for where the kernel resolves paths (`openat2`) and where that is refused.

use crate::support::confinement::REFUSALS;
use crate::support::site::{Site, named, site};
use crate::support::special::{make_pipe, make_socket};
use crate::support::{World, answer, assert_only_gone, date_back, files, newest};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// All that a selector can ask for, short of `--all`.
const EVERYTHING: [&str; 9] = [
    "prune",
    "--yes",
    "--orphans",
    "--stale",
    "--corrupt",
    "--temporary",
    "--unused-for=1s",
    "--max-files=0",
    "--max-size=0",
];

#[test]
fn nothing_is_followed_out_of_the_store() {
    for refusals in REFUSALS {
        let Site { world, gone, entry, outside } = site();
        for directory in [&gone, &world.mirror(&world.home.join("living")), &world.store] {
            symlink(outside.join(named("x")), directory.join(named("link"))).unwrap();
            symlink("nowhere", directory.join(named("dangling"))).unwrap();
            symlink(&outside, directory.join("linked")).unwrap();
            symlink("..", directory.join("up")).unwrap();
            symlink(".", directory.join("loop")).unwrap();
            symlink(&outside, directory.join(named("directory"))).unwrap();
            make_pipe(&directory.join(named("pipe"))).unwrap();
            make_socket(&directory.join(named("socket"))).unwrap();
        }
        let before = World::snapshot(&world.home);
        let pruned = world.pycstore_refused(refusals, ["prune", "--orphans"]).exits(0);
        assert_eq!(pruned.stderr, "", "{refusals}");
        assert_only_gone(&before, &World::snapshot(&world.home), &[&entry]);
        for arguments in [&EVERYTHING[..], &["prune", "--all", "--yes"], &["forget", "/", "--yes"]] {
            world.pycstore_refused(refusals, arguments).exits(0);
        }
        let living = world.mirror(&world.home.join("living")).join(named("a"));
        assert_only_gone(&before, &World::snapshot(&world.home), &[&entry, &living]);
    }
}

#[test]
fn a_hard_link_goes_and_what_it_links_to_stays() {
    let Site { world, gone, outside, .. } = site();
    let precious = world.write("precious", b"\xcb\x0d\r\nprecious and long enough");
    date_back(&precious);
    std::fs::hard_link(&precious, gone.join(named("precious"))).unwrap();
    std::fs::hard_link(outside.join(named("x")), gone.join(named("x"))).unwrap();
    let before = World::snapshot(&world.home);
    world.pycstore(["prune", "--orphans"]).exits(0);
    assert_only_gone(&before, &World::snapshot(&world.home), &[&gone]);
}

#[test]
fn odd_files_are_entries_like_any_other() {
    let Site { world, gone, .. } = site();
    let header = b"\xcb\x0d\r\n\0\0\0\0\0\0\0\0\0\0\0\0";
    // The longest name there is; one that is not UTF-8; one with a newline; a terabyte that takes no room.
    let tag = named("").len();
    for stem in [b"l".repeat(255 - tag), b"\xff\xfe".to_vec(), b"new\nline".to_vec(), b"-rf".to_vec()] {
        use std::os::unix::ffi::OsStringExt;
        let name = [stem, named("").into_bytes()].concat();
        let path = gone.join(std::ffi::OsString::from_vec(name));
        std::fs::write(&path, header).unwrap();
        date_back(&path);
    }
    let sparse = gone.join(named("sparse"));
    std::fs::write(&sparse, header).unwrap();
    std::fs::File::options().write(true).open(&sparse).unwrap().set_len(1 << 40).unwrap();
    date_back(&sparse);
    let protected = gone.join(named("protected"));
    std::fs::write(&protected, header).unwrap();
    date_back(&protected);
    std::fs::set_permissions(&protected, PermissionsExt::from_mode(0o444)).unwrap();
    for refusals in REFUSALS {
        let dry = world.pycstore_refused(refusals, ["prune", "--orphans", "--stale", "-n"]).exits(0);
        assert!(dry.stdout.contains("would remove 7 files and 1 directory, "), "{}", dry.stdout);
    }
    // A snapshot would read the terabyte.
    world.pycstore(["prune", "--orphans", "--stale"]).exits(0);
    let living = world.entry(&world.home.join("living/a.py"), newest(), "");
    assert_eq!(files(&world.store).into_iter().collect::<Vec<_>>(), [living]);
    assert!(!gone.exists());
}

#[test]
fn a_source_that_is_no_file_to_read_is_not_read() {
    let world = World::new();
    let project = world.project("p", &["pipe.py", "device.py", "huge.py"]);
    let checked = ["--invalidation-mode", "checked-hash"];
    world.compile(newest(), &checked, &[&project]);
    for name in ["pipe.py", "device.py"] {
        std::fs::remove_file(project.join(name)).unwrap();
    }
    make_pipe(&project.join("pipe.py")).unwrap();
    symlink("/dev/zero", project.join("device.py")).unwrap();
    std::fs::File::options().write(true).open(project.join("huge.py")).unwrap().set_len(1 << 42).unwrap();
    let before = World::snapshot(&world.store);
    insta::assert_snapshot!(world.pycstore(["ls"]).shown(), @r"
    exit: 0
    ----- stdout -----
    orphan  source SIZE  /home/me/.cache/cpython/home/me/p/device.cpython-3.N.pyc
    unknown  too-large SIZE  /home/me/.cache/cpython/home/me/p/huge.cpython-3.N.pyc
    orphan  source SIZE  /home/me/.cache/cpython/home/me/p/pipe.cpython-3.N.pyc
    ----- stderr -----
    ");
    // Neither a pipe nor a device is a source: for Python, there is none.
    world.pycstore(["prune", "--stale", "--orphans"]).exits(0);
    let gone = ["pipe.py", "device.py"].map(|name| world.entry(&project.join(name), newest(), ""));
    assert_only_gone(&before, &World::snapshot(&world.store), &gone.each_ref().map(PathBuf::as_path));
}

#[test]
fn a_pipe_among_the_interpreters_is_not_waited_for() {
    let Site { world, gone, .. } = site();
    let before = World::snapshot(&world.store);
    std::fs::create_dir_all(world.home.join(".conda")).unwrap();
    make_pipe(&world.home.join(".conda/environments.txt")).unwrap();
    std::fs::create_dir_all(world.home.join(".pyenv/versions/3.12.1/lib/python3.12")).unwrap();
    std::fs::create_dir_all(world.home.join(".pyenv/versions/3.12.1/include/python3.12")).unwrap();
    make_pipe(&world.home.join(".pyenv/versions/3.12.1/include/python3.12/patchlevel.h")).unwrap();
    world.write(".pyenv/versions/3.12.1/lib/python3.12/os.py", "");
    let mut command = world.command("timeout");
    command.args(["120", env!("CARGO_BIN_EXE_pycstore"), "--store"]).arg(&world.store);
    answer(command.args(["prune", "--orphans", "--dead-interpreters"])).exits(0);
    assert_only_gone(&before, &World::snapshot(&world.store), &[&gone]);
}

#[test]
fn directories_without_end_are_not_descended_into() {
    // Without `openat2` a chain takes time by the square of its length: there, it has fewer directories with longer names.
    for (name, refusals) in [("d", ""), ("a-name-of-thirty-characters-xx", "openat2=ENOSYS")] {
        chains_are_not_descended_into(name, refusals);
    }
}

/// Two chains of directories of one name: one as long as Python could have made it, with an orphan at its end; one longer
/// than any path, with more files that no path reaches.
#[track_caller]
fn chains_are_not_descended_into(name: &str, refusals: &str) {
    let Site { world, gone, entry, .. } = site();
    const CHAIN: &str = "
import os, shutil, sys
entry, directory, last, name, links = *sys.argv[1:5], int(sys.argv[5])
os.mkdir(directory)
os.chdir(directory)
for _ in range(links):
    os.mkdir(name)
    os.chdir(name)
shutil.copy2(entry, last)
";
    let length = |path: &Path| path.as_os_str().len();
    let deepest = (4095 - length(&gone.join("long")) - named("/b").len()) / (name.len() + 1);
    for (directory, links) in [("long", deepest), ("endless", 5000 / (name.len() + 1))] {
        let mut command = world.command(&newest().path);
        command.args(["-B", "-c", CHAIN]).arg(&entry).arg(gone.join(directory));
        answer(command.args([&named("b"), name, &links.to_string()])).exits(0);
    }
    let listed = || answer(world.command("find").arg(&gone).args(["-printf", "%f\\n"])).exits(0).stdout;
    let before = listed().lines().count();
    for threads in ["1", "3"] {
        let arguments = ["--threads", threads, "prune", "--orphans", "--dry-run", "--json"];
        let dry = world.pycstore_refused(refusals, arguments).exits(1);
        let removed = &dry.json()["removed"];
        assert_eq!((&removed["files"], &removed["directories"]), (&2.into(), &(deepest + 1).into()));
        assert_eq!(dry.stderr.lines().count(), 1);
        assert!(dry.stderr.ends_with(&format!("/{name}: File name too long\n")), "{}", dry.stderr);
    }
    world.pycstore_refused(refusals, ["prune", "--orphans"]).exits(1);
    assert_eq!(listed().lines().count(), before - 2 - (deepest + 1));
    // No path reaches its end, so that not even the temporary directory's own removal must meet it by one.
    answer(world.command("rm").arg("-r").arg(&gone)).exits(0);
}

#[test]
fn another_users_store_is_not_pruned() {
    let Site { world, .. } = site();
    let refused = world.pycstore_unprivileged(["--store", "/dev", "prune", "--all", "--yes"]).exits(2);
    assert_eq!(refused.stderr.lines().next(), Some("pycstore: refused: /dev belongs to user 0, not to you"));
}

#[test]
fn a_directory_that_may_not_be_read_keeps_what_is_in_it() {
    let Site { world, gone, entry, .. } = site();
    for name in ["locked", "unreadable", "unsearchable"] {
        std::fs::create_dir(gone.join(name)).unwrap();
        let copy = gone.join(name).join(named("x"));
        std::fs::copy(&entry, &copy).unwrap();
        date_back(&copy);
    }
    let before = World::snapshot(&world.store);
    let mode = |modes: [u32; 3]| {
        for (name, mode) in ["locked", "unreadable", "unsearchable"].iter().zip(modes) {
            std::fs::set_permissions(gone.join(name), PermissionsExt::from_mode(mode)).unwrap();
        }
    };
    let mut program = world.unprivileged();
    mode([0o555, 0o000, 0o444]);
    let pruned = answer(program.args(["prune", "--orphans"]));
    mode([0o755; 3]);
    let pruned = pruned.exits(1);
    assert_only_gone(&before, &World::snapshot(&world.store), &[&entry]);
    let said: Vec<String> = pruned.stderr.lines().map(|line| world.neutral(line)).collect();
    let at = |path: &Path| world.neutral(&path.display().to_string());
    assert!(
        said.contains(&format!(
            "pycstore: cannot remove {}: Permission denied",
            at(&gone.join("locked").join(named("x")))
        )),
        "{said:#?}"
    );
    assert!(
        said.contains(&format!(
            "pycstore: cannot read the directory {}: Permission denied",
            at(&gone.join("unreadable"))
        )),
        "{said:#?}"
    );
    assert_eq!(said.len(), 3, "{said:#?}");
}
