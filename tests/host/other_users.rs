//! Root beside locks, histories, configurations and reports of other users.

use crate::support::in_tree::{cached, caches, sweep, takes};
use crate::support::lock::{lock_holder, locked};
use crate::support::site::{Site, site};
use crate::support::{
    HOUR, NOBODY, World, age, answer, assert_only_gone, compile_in_tree, ends, files, give, history_of,
    newest,
};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};

/// A store with three orphans and one living entry, which other users may list.
fn open_world() -> World {
    let world = World::of_projects(&["a.py", "b.py", "sub/c.py"], &["d.py"]);
    for directory in world.store.ancestors().take(5) {
        fs::set_permissions(directory, PermissionsExt::from_mode(0o755)).unwrap();
    }
    world
}

/// Asserts that a prune removes the orphans though this program of another user holds the lock of the store.
#[track_caller]
fn assert_lock_is_passed_over(world: &World, holder: &mut Child, program: &str) {
    let mut line = String::new();
    BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "held\n");
    let pruned = world.pycstore(["prune", "--orphans"]).exits(0);
    let (process, store) = (holder.id(), world.store.display());
    let line = format!(
        "pycstore: process {process} ({program} of user 61001) holds the lock of {store} but is not a prune: continuing without that lock\n"
    );
    assert_eq!(pruned.stderr, line);
    assert_eq!(files(&world.store).len(), 1, "the orphans are removed");
}

/// Any user who may list a store can hold the lock of its root.
#[test]
#[ignore = "needs root and flock"]
fn a_lock_of_another_user_does_not_stop_a_prune() {
    for kind in ["--shared", "--exclusive"] {
        let world = open_world();
        let mut command = world.command("flock");
        command.arg(kind).arg(&world.store).args(["-c", "echo held; read line"]).uid(61_001).gid(61_001);
        let mut holder =
            command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        assert_lock_is_passed_over(&world, &mut holder, "flock");
        // Our own runs still exclude each other.
        let state = fs::read_dir(world.home.join(".local/state/pycstore")).unwrap().next().unwrap().unwrap();
        let mut prune = lock_holder(&world, &state.path().join("lock"));
        let told = world.pycstore(["prune", "--orphans"]).exits(0);
        assert_eq!(told.stderr, locked(&world, &prune, 1));
        for mut child in [prune.kill().map(|()| prune), holder.kill().map(|()| holder)].map(Result::unwrap) {
            child.wait().unwrap();
        }
    }
}

/// Whoever holds a lock can hold it on as a program that acts as root, and that waits as long as somebody likes.
#[test]
#[ignore = "needs root"]
fn a_lock_of_another_users_set_user_id_program_does_not_stop_a_prune() {
    const KEEP: &str = "
import fcntl, os, sys
directory = os.open(sys.argv[1], os.O_RDONLY)
fcntl.flock(directory, fcntl.LOCK_SH)
os.set_inheritable(directory, True)
os.execv(sys.argv[2], ['cat'])
";
    let python = fs::canonicalize("/usr/bin/python3").expect("a Python that every user may run");
    let world = open_world();
    // With the set-user-ID bit it stands for su(1), which waits for a password.
    let cat = world.home.join("cat");
    answer(world.command("cp").arg("/bin/cat").arg(&cat)).exits(0);
    fs::set_permissions(&cat, PermissionsExt::from_mode(0o4755)).unwrap();
    let mut command = world.command(&python);
    command.args(["-I", "-c", KEEP]).arg(&world.store).arg(&cat);
    command.uid(61_001).gid(61_001).current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = command.spawn().unwrap();
    std::io::Write::write_all(holder.stdin.as_mut().unwrap(), b"held\n").unwrap();
    assert_lock_is_passed_over(&world, &mut holder, "cat");
    holder.kill().unwrap();
    holder.wait().unwrap();
}

/// Root obeys nobody else's configuration, and reads and writes nobody else's history.
#[test]
#[ignore = "needs root"]
fn root_neither_obeys_nor_writes_what_another_user_could_have_changed() {
    const STRANGER: u32 = 61_001;
    let give = |path: &Path| lchown(path, Some(STRANGER), Some(STRANGER)).unwrap();
    let line = |message: &str| format!("{message}: ");
    let why = |path: &Path| format!("refused as root: {} belongs to user {STRANGER}", path.display());

    let world = World::of_projects(&["a.py"], &["b.py"]);
    let history = history_of(&world);
    let precious = world.write("precious", "precious\n");
    let local = world.home.join(".local");
    // Whoever owns the directory may put anything into it, directories included.
    give(&local);
    fs::remove_dir_all(local.join("state")).unwrap();
    symlink(&world.home, local.join("state")).unwrap();
    let told = ends(&world, &["prune", "--orphans"]).exits(1);
    let message = line(&format!("pycstore: cannot record this run in {}", history.display()));
    assert_eq!(told.stderr, format!("{message}{}\n", why(&local)));
    assert!(!world.home.join("pycstore").exists());
    assert_eq!(fs::read_to_string(precious).unwrap(), "precious\n");

    // Nor does it decide that nothing is to be done.
    let world = World::of_projects(&["a.py"], &["b.py"]);
    let history = history_of(&world);
    let again = ["prune", "--orphans", "--under", "/nowhere", "--min-interval", "20h"];
    insta::assert_snapshot!(ends(&world, &again).shown(), @r"
    exit: 0
    ----- stdout -----
    ----- stderr -----
    pycstore: nothing to do: the last run was at DATE, the next is due at DATE
    ");
    give(&history);
    insta::assert_snapshot!(ends(&world, &again).shown(), @r"
    exit: 1
    ----- stdout -----
    nothing to remove
    ----- stderr -----
    pycstore: cannot read the history /home/me/.local/state/pycstore/HASH/history.jsonl: refused as root: /home/me/.local/state/pycstore/HASH/history.jsonl belongs to user 61001
    pycstore: no entry has a source at or below /nowhere
    pycstore: cannot record this run in /home/me/.local/state/pycstore/HASH/history.jsonl: refused as root: /home/me/.local/state/pycstore/HASH/history.jsonl belongs to user 61001
    ");

    let world = World::of_projects(&["a.py"], &["b.py"]);
    let configuration = world.write(".config/pycstore/config.toml", "[prune]\nunused-for = '0s'\n");
    give(&configuration);
    insta::assert_snapshot!(ends(&world, &["prune"]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: cannot read the configuration file /home/me/.config/pycstore/config.toml: refused as root: /home/me/.config/pycstore/config.toml belongs to user 61001
    hint: set PYCSTORE_CONFIG to an empty value to use no configuration, or to the path of another file
    ");
    assert_eq!(files(&world.store).len(), 2);
    // Who names a file answers for it.
    let named = configuration.to_str().unwrap();
    assert!(ends(&world, &["--config", named, "config"]).exits(0).stdout.contains("0s"));
    fs::set_permissions(&configuration, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
#[ignore = "needs root"]
fn as_root_a_file_that_another_user_put_there_does_not_get_the_page() {
    let world = World::of_projects(&["a.py"], &["b.py"]);
    let [open, theirs] = ["out/page.html", "theirs/page.html"].map(|file| world.write(file, "old"));
    for (file, directory_mode) in [(&open, 0o1777), (&theirs, 0o755)] {
        fs::set_permissions(file, PermissionsExt::from_mode(0o646)).unwrap();
        chown(file, Some(61_001), Some(61_001)).unwrap();
        let directory = file.parent().unwrap();
        fs::set_permissions(directory, PermissionsExt::from_mode(directory_mode)).unwrap();
        let page = file.to_str().unwrap();
        world.pycstore(["report", "--html", page]).exits(0);
    }
    let owner_and_mode =
        |file: &Path| (file.metadata().unwrap().uid(), file.metadata().unwrap().mode() & 0o777);
    assert_eq!(owner_and_mode(&open), (0, 0o600));
    // Where only root could have put it, it was meant to be theirs.
    assert_eq!(owner_and_mode(&theirs), (61_001, 0o646));
}

#[test]
#[ignore = "needs root"]
fn root_sweeps_through_a_link_as_the_owner_of_the_link() {
    let world = World::new();
    let ours = world.project("ours", &["m.py"]);
    let theirs = world.project("theirs", &["m.py"]);
    let own = world.project("theirs/own", &["m.py"]);
    compile_in_tree(&world, newest(), &[], &[&ours, &theirs]);
    symlink(&ours, theirs.join("link")).unwrap();
    symlink(&own, theirs.join("honest")).unwrap();
    for entry in walkdir::WalkDir::new(&theirs) {
        lchown(entry.unwrap().path(), Some(65534), None).unwrap();
    }
    let before = World::snapshot(&world.home);
    // Who decides where it leads may not remove there.
    insta::assert_snapshot!(sweep(&world, ["theirs/link"]).shown(), @r"
    exit: 1
    ----- stdout -----
    removed nothing
    ----- stderr -----
    pycstore: /home/me/theirs/link belongs to nobody: continuing as nobody
    pycstore: cannot remove /home/me/theirs/link/__pycache__: Permission denied
    pycstore: cannot remove /home/me/theirs/link/__pycache__/m.cpython-3.N.pyc: Permission denied
    ");
    assert_only_gone(&before, &World::snapshot(&world.home), &[]);
    takes(&world, ["theirs/honest"], &[&own.join("__pycache__")]);
    // A link of ours leads wherever we want.
    symlink(&ours, world.home.join("link")).unwrap();
    takes(&world, ["link"], &[&ours.join("__pycache__")]);
}

#[test]
#[ignore = "needs root"]
fn root_adopts_nothing_into_another_users_store() {
    let world = World::new();
    let project = world.project("proj", &["mine.py", "theirs.py"]);
    compile_in_tree(&world, newest(), &[], &[&project]);
    fs::create_dir_all(&world.store).unwrap();
    let give = |path: &Path, user| chown(path, Some(user), None).unwrap();
    give(&world.store, 65534);
    let before = World::snapshot(&world.home);
    for dry in [&["-n"][..], &[]] {
        let told = sweep(&world, [&["proj", "--adopt"], dry].concat()).exits(2);
        assert!(
            told.stderr.contains("refused as root: ")
                && told.stderr.contains("\nhint: sweep the trees of one user"),
            "{told:?}"
        );
    }
    assert_only_gone(&before, &World::snapshot(&world.home), &[]);
    give(&world.store, 0);
    // Nor do we vouch for what somebody else compiled.
    give(&cached(&project.join("theirs.py"), newest(), ""), 65534);
    sweep(&world, ["proj", "--adopt"]).exits(0);
    assert!(world.entry(&project.join("mine.py"), newest(), "").exists());
    assert!(!world.entry(&project.join("theirs.py"), newest(), "").exists());
    assert!(caches(&project).is_empty());
}

#[test]
#[ignore = "needs root"]
fn root_makes_no_store_below_another_users_directory() {
    let world = World::new();
    let project = world.project("proj", &["m.py"]);
    compile_in_tree(&world, newest(), &[], &[&project]);
    let cache = world.store.parent().unwrap();
    fs::create_dir_all(cache).unwrap();
    chown(cache, Some(65534), None).unwrap();
    let before = World::snapshot(&world.home);
    insta::assert_snapshot!(world.pycstore(["sweep", "proj", "--adopt"]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: refused as root: /home/me/proj belongs to root, but /home/me/.cache/cpython belongs to nobody
    hint: sweep the trees of one user at a time; with --adopt, the store must belong to that user, too
    ");
    assert_only_gone(&before, &World::snapshot(&world.home), &[]);
    // Nor through a link of theirs.
    chown(cache, Some(0), None).unwrap();
    let link = world.home.join("link");
    symlink(cache, &link).unwrap();
    lchown(&link, Some(65534), None).unwrap();
    let store = link.join("cpython");
    let told = world.pycstore(["--store", store.to_str().unwrap(), "warm", "proj"]);
    insta::assert_snapshot!(told.shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: /home/me/link/cpython belongs to nobody: continuing as nobody
    pycstore: cannot create the store /home/me/link/cpython: Permission denied
    ");
    assert!(!world.store.exists());
}

#[test]
#[ignore = "needs root"]
fn root_runs_no_interpreter_and_compiles_no_tree_of_another_user() {
    let world = World::new();
    let ran = world.home.join("RAN");
    let theirs = world.project("theirs", &["a.py"]);
    let ours = world.project("ours", &["b.py"]);
    world.write("ours/theirs/c.py", "");
    // An environment of somebody else's beside our sources; its interpreter is a trap.
    for place in ["ours/.venv", "theirs/.venv"] {
        world.write(format!("{place}/pyvenv.cfg"), "");
        let trap =
            world.write(format!("{place}/bin/python"), format!("#!/bin/sh\ntouch {}\n", ran.display()));
        fs::set_permissions(&trap, PermissionsExt::from_mode(0o755)).unwrap();
    }
    give(&theirs, NOBODY);
    give(&ours.join("theirs"), NOBODY);
    let mut shown = String::new();
    for given in ["ours/.venv", "ours/.venv/bin", "ours/.venv/bin/python"] {
        let path = world.home.join(given);
        give(&path, NOBODY);
        shown += &world.pycstore(["warm", "ours"]).exits(2).shown();
        give(&path, 0);
    }
    insta::assert_snapshot!(shown, @r"
    exit: 2
    ----- stdout -----
    nothing compiled
    ----- stderr -----
    pycstore: not entered as root: 2 directories of other users
    pycstore: 1 source not compiled: /home/me/ours/.venv/bin/python is not run: /home/me/ours/.venv belongs to user 65534
    exit: 2
    ----- stdout -----
    nothing compiled
    ----- stderr -----
    pycstore: not entered as root: 2 directories of other users
    pycstore: 1 source not compiled: /home/me/ours/.venv/bin/python is not run: /home/me/ours/.venv/bin belongs to user 65534
    exit: 2
    ----- stdout -----
    nothing compiled
    ----- stderr -----
    pycstore: not entered as root: 1 directory of other users
    pycstore: 1 source not compiled: /home/me/ours/.venv/bin/python is not run: /home/me/ours/.venv/bin/python belongs to user 65534
    ");
    // What its link leads to counts, and what everybody may change.
    let target = world.home.join("python");
    fs::rename(ours.join(".venv/bin/python"), &target).unwrap();
    symlink(&target, ours.join(".venv/bin/python")).unwrap();
    give(&target, NOBODY);
    insta::assert_snapshot!(world.pycstore(["warm", "ours"]).shown(), @r"
    exit: 2
    ----- stdout -----
    nothing compiled
    ----- stderr -----
    pycstore: not entered as root: 1 directory of other users
    pycstore: 1 source not compiled: /home/me/ours/.venv/bin/python is not run: /home/me/ours/.venv/bin/python belongs to user 65534
    ");
    give(&target, 0);
    // And each link in between, wherever it lies.
    let between = world.home.join("between");
    fs::create_dir(&between).unwrap();
    symlink(&newest().path, between.join("python")).unwrap();
    fs::remove_file(ours.join(".venv/bin/python")).unwrap();
    symlink(between.join("python"), ours.join(".venv/bin/python")).unwrap();
    give(&between, NOBODY);
    insta::assert_snapshot!(world.pycstore(["warm", "ours"]).shown(), @r"
    exit: 2
    ----- stdout -----
    nothing compiled
    ----- stderr -----
    pycstore: not entered as root: 1 directory of other users
    pycstore: 1 source not compiled: /home/me/ours/.venv/bin/python is not run: /home/me/between belongs to user 65534
    ");
    give(&between, 0);
    fs::set_permissions(ours.join(".venv"), PermissionsExt::from_mode(0o777)).unwrap();
    insta::assert_snapshot!(world.pycstore(["warm", "ours"]).shown(), @r"
    exit: 2
    ----- stdout -----
    nothing compiled
    ----- stderr -----
    pycstore: not entered as root: 1 directory of other users
    pycstore: 1 source not compiled: /home/me/ours/.venv/bin/python is not run: /home/me/ours/.venv may be written to by everybody
    ");
    insta::assert_snapshot!(world.pycstore(["warm", "theirs"]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: refused as root: /home/me/theirs belongs to user 65534
    hint: run as that user: sudo -u nobody pycstore warm …
    ");
    assert!(!ran.exists(), "the trap was run");
    fs::create_dir_all(&world.store).unwrap();
    give(&world.store, NOBODY);
    // A store of theirs is filled by them, if they can.
    let told = world.pycstore(["warm", "ours"]).exits(2);
    assert!(told.stderr.contains(": continuing as "), "{told:?}");
    give(&world.store, 0);
    // What of theirs is in root's store is left.
    world.compile(newest(), &[], &[&theirs.join("a.py"), &ours.join("b.py")]);
    age(&theirs.join("a.py"), HOUR);
    age(&ours.join("b.py"), HOUR);
    insta::assert_snapshot!(world.pycstore(["warm", "--all-stale"]).shown(), @r"
    exit: 1
    ----- stdout -----
    COMPILED  FRESH  FAILED  TAG  INTERPRETER
           1  0  0  cpython-3.N  PYTHON
    compiled 1 source
    ----- stderr -----
    pycstore: 1 entry left: root compiles no sources in other users' directories
    ");
    assert!(!ran.exists(), "the trap was run");
}

#[test]
#[ignore = "needs root"]
fn another_users_home_is_left_alone() {
    let world = World::new();
    chown(&world.home, Some(65534), Some(65534)).unwrap();
    insta::assert_snapshot!(world.pycstore_without_prefix(["setup", "bash", "--yes"]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: refused: /home/me is the home of user 65534, and pycstore runs as user 0
    hint: run it as that user
    ");
    // As that user it works.
    world.pycstore_unprivileged(["setup", "zsh", "--yes"]).exits(0);
    assert_eq!(world.home.join(".zshenv").metadata().unwrap().uid(), 65534);
}

#[test]
#[ignore = "needs root"]
fn root_sets_up_nothing_through_links_and_directories_of_other_users() {
    let world = World::new();
    let system = world.write("etc/system", "theirs\n");
    let directory = world.home.join("zdotdir");
    fs::create_dir(&directory).unwrap();
    symlink(&system, directory.join(".zshenv")).unwrap();
    let before = World::snapshot(&world.home);
    let zsh = |arguments: &[&str]| {
        let mut command = world.program();
        answer(command.env("ZDOTDIR", &directory).args(["setup", "zsh", "--yes"]).args(arguments))
    };
    let mut shown = String::new();
    for given in [directory.join(".zshenv"), directory.clone()] {
        lchown(&given, Some(65534), None).unwrap();
        shown += &zsh(&[]).exits(2).shown();
        lchown(&given, Some(0), None).unwrap();
    }
    insta::assert_snapshot!(shown, @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: zsh: ~/zdotdir/.zshenv: every zsh reads it first, scripts included; it is in $ZDOTDIR
    pycstore: not changed as root: /home/me/zdotdir/.zshenv: /home/me/zdotdir/.zshenv belongs to user 65534
    hint: run this as that user
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: zsh: ~/zdotdir/.zshenv: every zsh reads it first, scripts included; it is in $ZDOTDIR
    pycstore: not changed as root: /home/me/zdotdir/.zshenv: /home/me/zdotdir belongs to user 65534
    hint: run this as that user
    ");
    chown(&directory, Some(65534), None).unwrap();
    let store = directory.join("store");
    let told = world.pycstore_without_prefix(["setup", "bash", "--yes", "--store", store.to_str().unwrap()]);
    insta::assert_snapshot!(told.shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: bash: ~/.bashrc: bash reads it when it is interactive, and under ssh
    pycstore: bash: ~/.profile: login bash reads it: none of ~/.bash_profile, ~/.bash_login and ~/.profile exists
    pycstore: cannot prepare the store /home/me/zdotdir/store: refused as root: /home/me/zdotdir belongs to user 65534
    hint: use a store of your own: pycstore setup --store ~/.cache/cpython
    ");
    assert_only_gone(&before, &World::snapshot(&world.home), &[]);
    chown(&directory, Some(0), None).unwrap();
    zsh(&[]).exits(0);
    assert!(fs::read_to_string(&system).unwrap().contains("PYTHONPYCACHEPREFIX"));
}

#[test]
#[ignore = "needs root"]
fn another_users_store_is_pruned_by_that_user_alone() {
    let Site { world, gone, .. } = site();
    let program = world.unprivileged().get_program().to_owned();
    let as_nobody = |arguments: &[&str]| {
        let mut command = world.command(&program);
        command.uid(65534).gid(65534);
        answer(command.arg("--store").arg(&world.store).args(arguments))
    };
    // The home was given to nobody; the store is root's again, though open to everybody.
    for entry in walkdir::WalkDir::new(&world.store) {
        let entry = entry.unwrap();
        lchown(entry.path(), Some(0), Some(0)).unwrap();
        let mode = if entry.file_type().is_dir() { 0o777 } else { 0o666 };
        fs::set_permissions(entry.path(), PermissionsExt::from_mode(mode)).unwrap();
    }
    let before = World::snapshot(&world.store);
    for arguments in
        [&["prune", "--orphans"][..], &["prune", "--all", "--yes"], &["forget", gone.to_str().unwrap()]]
    {
        let refused = as_nobody(arguments).exits(2);
        let line = format!("pycstore: refused: {} belongs to user 0, not to you", world.store.display());
        assert_eq!(refused.stderr.lines().next(), Some(line.as_str()));
    }
    assert_only_gone(&before, &World::snapshot(&world.store), &[]);
    insta::assert_snapshot!(as_nobody(&["prune", "--orphans", "--dry-run"]).shown(), @r"
    exit: 0
    ----- stdout -----
    SIZE  FILES  STATUS  REASON  OWNER
    SIZE  1  orphan  root  /home/me/gone (gone)
    DIRECTORIES  EMPTY DIRECTORY TREE
              1  /home/me/.cache/cpython/home/me/gone
    would remove 1 file and 1 directory, SIZE
    ----- stderr -----
    ");
    assert_only_gone(&before, &World::snapshot(&world.store), &[]);
    lchown(&world.store, Some(65534), Some(65534)).unwrap();
    as_nobody(&["prune", "--orphans"]).exits(0);
    assert_only_gone(&before, &World::snapshot(&world.store), &[&gone]);
    world.project("again", &["c.py"]);
    world.compile(newest(), &[], &[&world.home.join("again")]);
    fs::remove_dir_all(world.home.join("again")).unwrap();
    for entry in walkdir::WalkDir::new(&world.store) {
        lchown(entry.unwrap().path(), Some(65534), Some(65534)).unwrap();
    }
    // Root becomes that user.
    insta::assert_snapshot!(world.pycstore(["prune", "--orphans"]).shown(), @r"
    exit: 0
    ----- stdout -----
    SIZE  FILES  STATUS  REASON  OWNER
    SIZE  1  orphan  root  /home/me/again (gone)
    removed 1 file and 1 directory, SIZE
    ----- stderr -----
    pycstore: /home/me/.cache/cpython belongs to nobody: continuing as nobody
    ");
    assert_only_gone(&before, &World::snapshot(&world.store), &[&gone]);
}
