//! What a prune never touches, whoever made the store what it is: links, mounts, other people's files. Each is asked
//! for where the kernel resolves paths (`openat2`) and where that is refused.

use crate::support::confinement::REFUSALS;
use crate::support::special::{make_pipe, make_socket};
use crate::support::{HOUR, World, age, answer, assert_only_gone, date_back, files, newest};
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

/// A store of a living project and one that is gone, and beside it what lies outside.
struct Site {
    world: World,
    /// The mirror of the project that is gone.
    gone: PathBuf,
    /// The one entry in it.
    entry: PathBuf,
    /// A directory that is not of the store, with what would be condemned in it.
    outside: PathBuf,
}

/// The name of the newest interpreter's entry for `stem.py`.
fn named(stem: &str) -> String {
    format!("{stem}.{}.pyc", newest().tag)
}

fn site() -> Site {
    let world = World::new();
    let living = world.project("living", &["a.py"]);
    let source = world.project("gone", &["b.py"]);
    world.compile(newest(), &[], &[&living, &source]);
    std::fs::remove_dir_all(&source).unwrap();
    let gone = world.mirror(&source);
    let entry = gone.join(named("b"));
    date_back(&entry);
    let outside = world.home.join("outside");
    std::fs::create_dir_all(outside.join("below")).unwrap();
    for name in [named("x"), format!("below/{}", named("y")), format!("{}.5", named("x"))] {
        std::fs::copy(&entry, outside.join(&name)).unwrap();
        age(&outside.join(&name), 48 * HOUR);
    }
    Site { world, gone, entry, outside }
}

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
    command.args(["20", env!("CARGO_BIN_EXE_pycstore"), "--store"]).arg(&world.store);
    answer(command.args(["prune", "--orphans", "--dead-interpreters"])).exits(0);
    assert_only_gone(&before, &World::snapshot(&world.store), &[&gone]);
}

#[test]
fn directories_without_end_are_not_descended_into() {
    let Site { world, gone, entry, .. } = site();
    // Two chains of directories: one as long as Python could have made it, with an orphan at its end; one longer
    // than any path, with more files that no path reaches.
    const CHAIN: &str = "
import os, shutil, sys
entry, directory, last, links = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
os.mkdir(directory)
os.chdir(directory)
for _ in range(links):
    os.mkdir('d')
    os.chdir('d')
shutil.copy2(entry, last)
";
    let length = |path: &Path| path.as_os_str().len();
    let deepest = (4095 - length(&gone.join("long")) - named("/b").len()) / "/d".len();
    for (directory, links) in [("long", deepest), ("endless", 5000)] {
        let mut command = world.command(&newest().path);
        let chain = gone.join(directory);
        command.args(["-B", "-c", CHAIN]).arg(&entry).arg(&chain).arg(named("b")).arg(links.to_string());
        answer(&mut command).exits(0);
    }
    let listed = || answer(world.command("find").arg(&gone).args(["-printf", "%f\\n"])).exits(0).stdout;
    let before = listed().lines().count();
    for threads in ["1", "3"] {
        for refusals in ["", "openat2=ENOSYS"] {
            let arguments = ["--threads", threads, "prune", "--orphans", "--dry-run", "--json"];
            let dry = world.pycstore_refused(refusals, arguments).exits(1);
            let removed = &dry.json()["removed"];
            assert_eq!((&removed["files"], &removed["directories"]), (&2.into(), &(deepest + 1).into()));
            assert_eq!(dry.stderr.lines().count(), 1);
            assert!(dry.stderr.ends_with("/d: File name too long\n"));
        }
    }
    world.pycstore(["prune", "--orphans"]).exits(1);
    assert_eq!(listed().lines().count(), before - 2 - (deepest + 1));
    // No path reaches its end, so that not even the temporary directory's own removal must meet it by one.
    answer(world.command("rm").arg("-r").arg(&gone)).exits(0);
}

#[test]
fn no_mount_point_is_crossed() {
    for refusals in REFUSALS {
        let Site { world, gone, entry, outside } = site();
        // Of each kind: another file system, the same one at another place, and a single file.
        for name in ["volume", "bound", "self"] {
            std::fs::create_dir(gone.join(name)).unwrap();
        }
        let covered = gone.join(named("covered"));
        std::fs::copy(&entry, &covered).unwrap();
        date_back(&covered);
        let script = format!(
            "
            mount -t tmpfs tmpfs '{gone}/volume'
            cp -a '{outside}/.' '{gone}/volume/'
            mount --bind '{outside}' '{gone}/bound'
            mount --bind '{gone}' '{gone}/self'
            mount --bind '{outside}/{x}' '{covered}'
            pycstore prune --orphans --temporary && exit 9
            test $? = 1
            (cd '{gone}/volume' && find . -type f | sort)
            ",
            gone = gone.display(),
            outside = outside.display(),
            covered = covered.display(),
            x = named("x"),
        );
        let before = World::snapshot(&world.home);
        let pruned = answer(&mut world.in_namespace(refusals, &script)).exits(0);
        assert_only_gone(&before, &World::snapshot(&world.home), &[&entry]);
        let left: Vec<String> =
            pruned.stdout.lines().skip_while(|line| !line.starts_with("./")).map(String::from).collect();
        assert_eq!(
            left,
            [format!("./below/{}", named("y")), format!("./{}", named("x")), format!("./{}.5", named("x"))]
        );
        let mut said: Vec<&str> = pruned.stderr.lines().collect();
        said.sort();
        let path = |name: &str| gone.join(name).display().to_string();
        assert_eq!(
            said,
            [
                format!("pycstore: cannot remove {}: Device or resource busy", covered.display()),
                format!("pycstore: not entered: {} is a mount point", path("bound")),
                format!("pycstore: not entered: {} is a mount point", path("self")),
                format!("pycstore: not entered: {} is a mount point", path("volume")),
            ],
            "{refusals}"
        );
    }
}

#[test]
fn a_store_that_is_a_mount_point_itself_is_pruned() {
    let Site { world, gone, .. } = site();
    let before = World::snapshot(&world.store);
    let script = "mount --bind \"$STORE\" \"$STORE\"; pycstore prune --orphans";
    for refusals in ["", "openat2=EPERM"] {
        answer(&mut world.in_namespace(refusals, script)).exits(0);
        assert_only_gone(&before, &World::snapshot(&world.store), &[&gone]);
    }
}

#[test]
fn a_read_only_file_system_is_one_problem() {
    let Site { world, gone, .. } = site();
    for number in 0..40 {
        std::fs::create_dir(gone.join(format!("d{number}"))).unwrap();
        for name in ["a", "b"] {
            let copy = gone.join(format!("d{number}/{}", named(name)));
            std::fs::copy(gone.join(named("b")), &copy).unwrap();
            date_back(&copy);
        }
    }
    let script = "
        mkdir \"$HOME/store\"
        mount -t tmpfs tmpfs \"$HOME/store\"
        cp -a \"$STORE/.\" \"$HOME/store/\"
        mount -o remount,ro \"$HOME/store\"
        pycstore --store \"$HOME/store\" prune --orphans && exit 9
        test $? = 1
        pycstore --store \"$HOME/store\" prune --orphans --dry-run
        diff -r \"$STORE\" \"$HOME/store\" >&2
    ";
    let before = World::snapshot(&world.store);
    insta::assert_snapshot!(answer(&mut world.in_namespace("", script)).shown(), @r"
    exit: 0
    ----- stdout -----
    removed nothing
    SIZE  FILES  OWNER
    SIZE  81  /home/me/gone (gone)
    DIRECTORIES  EMPTIED, WITH ALL BELOW
             41  /home/me/store/home/me/gone
    would remove 81 files and 41 directories, SIZE
    ----- stderr -----
    pycstore: cannot remove /home/me/store (81 files): Read-only file system
    ");
    assert_only_gone(&before, &World::snapshot(&world.store), &[]);
}

#[test]
fn a_full_disk_for_the_history_does_not_stop_a_prune() {
    let Site { world, gone, .. } = site();
    let script = "
        mkdir \"$HOME/state\"
        mount -t tmpfs -o size=64k tmpfs \"$HOME/state\"
        cat /dev/zero > \"$HOME/state/full\" 2> \"$HOME/state.log\" || true
        XDG_STATE_HOME=\"$HOME/state\" pycstore prune --orphans
    ";
    let before = World::snapshot(&world.store);
    let pruned = answer(&mut world.in_namespace("", script)).exits(1);
    insta::assert_snapshot!(pruned.shown(), @r"
    exit: 1
    ----- stdout -----
    SIZE  FILES  OWNER
    SIZE  1  /home/me/gone (gone)
    removed 1 file and 1 directory, SIZE
    ----- stderr -----
    pycstore: cannot record this run in /home/me/state/pycstore/HASH/history.jsonl: No space left on device
    ");
    assert_only_gone(&before, &World::snapshot(&world.store), &[&gone]);
    assert_eq!(pruned.stderr.lines().count(), 1);
}

#[test]
fn another_users_store_is_pruned_by_that_user_alone() {
    let Site { world, gone, .. } = site();
    let program = world.unprivileged().get_program().to_owned();
    let as_nobody = |arguments: &[&str]| {
        use std::os::unix::process::CommandExt;
        let mut command = world.command(&program);
        if rustix::process::geteuid().is_root() {
            command.uid(65534).gid(65534);
        }
        answer(command.arg("--store").arg(&world.store).args(arguments))
    };
    if !rustix::process::geteuid().is_root() {
        // Somebody else's store can only be made by root; `/dev` is somebody else's everywhere.
        let refused = world.pycstore(["--store", "/dev", "prune", "--all", "--yes"]).exits(2);
        assert_eq!(
            refused.stderr.lines().next(),
            Some("pycstore: refused: /dev belongs to user 0, not to us")
        );
        return;
    }
    // The home was given to nobody; the store is root's again, though open to everybody.
    for entry in walkdir::WalkDir::new(&world.store) {
        let entry = entry.unwrap();
        std::os::unix::fs::lchown(entry.path(), Some(0), Some(0)).unwrap();
        let mode = if entry.file_type().is_dir() { 0o777 } else { 0o666 };
        std::fs::set_permissions(entry.path(), PermissionsExt::from_mode(mode)).unwrap();
    }
    let before = World::snapshot(&world.store);
    for arguments in
        [&["prune", "--orphans"][..], &["prune", "--all", "--yes"], &["forget", gone.to_str().unwrap()]]
    {
        let refused = as_nobody(arguments).exits(2);
        let line = format!("pycstore: refused: {} belongs to user 0, not to us", world.store.display());
        assert_eq!(refused.stderr.lines().next(), Some(line.as_str()));
    }
    assert_only_gone(&before, &World::snapshot(&world.store), &[]);
    insta::assert_snapshot!(as_nobody(&["prune", "--orphans", "--dry-run"]).shown(), @r"
    exit: 0
    ----- stdout -----
    SIZE  FILES  OWNER
    SIZE  1  /home/me/gone (gone)
    DIRECTORIES  EMPTIED, WITH ALL BELOW
              1  /home/me/.cache/cpython/home/me/gone
    would remove 1 file and 1 directory, SIZE
    ----- stderr -----
    ");
    assert_only_gone(&before, &World::snapshot(&world.store), &[]);
    std::os::unix::fs::lchown(&world.store, Some(65534), Some(65534)).unwrap();
    as_nobody(&["prune", "--orphans"]).exits(0);
    assert_only_gone(&before, &World::snapshot(&world.store), &[&gone]);
    world.project("again", &["c.py"]);
    world.compile(newest(), &[], &[&world.home.join("again")]);
    std::fs::remove_dir_all(world.home.join("again")).unwrap();
    for entry in walkdir::WalkDir::new(&world.store) {
        std::os::unix::fs::lchown(entry.unwrap().path(), Some(65534), Some(65534)).unwrap();
    }
    // Root becomes that user.
    insta::assert_snapshot!(world.pycstore(["prune", "--orphans"]).shown(), @r"
    exit: 0
    ----- stdout -----
    SIZE  FILES  OWNER
    SIZE  1  /home/me/again (gone)
    removed 1 file and 1 directory, SIZE
    ----- stderr -----
    pycstore: /home/me/.cache/cpython belongs to nobody: continuing as nobody
    ");
    assert_only_gone(&before, &World::snapshot(&world.store), &[&gone]);
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
