//! Root beside locks, histories, configurations and reports of other users.

use crate::support::lock::{lock_holder, locked};
use crate::support::{World, answer, ends, files, history_of};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;

/// Any user who may list a store can hold the lock of its root.
#[test]
#[ignore = "needs root; .ci/run asks for it"]
fn a_lock_that_another_user_holds_holds_up_nothing() {
    use std::os::unix::process::CommandExt;
    for kind in ["--shared", "--exclusive"] {
        let world = World::of_projects(&["a.py", "b.py", "sub/c.py"], &["d.py"]);
        for directory in world.store.ancestors().take(5) {
            fs::set_permissions(directory, PermissionsExt::from_mode(0o755)).unwrap();
        }
        let mut command = world.command("flock");
        command.arg(kind).arg(&world.store).args(["-c", "echo held; read line"]).uid(61_001).gid(61_001);
        let mut holder =
            command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "held\n");
        let told = world.pycstore(["prune", "--orphans"]).exits(0);
        let (process, store) = (holder.id(), world.store.display());
        let line = format!(
            "pycstore: process {process} (flock of user 61001) holds the lock of {store} but is not a prune: continuing without that lock\n"
        );
        assert_eq!(told.stderr, line);
        assert_eq!(files(&world.store).len(), 1, "it removed what it should");
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
#[ignore = "needs root; .ci/run asks for it"]
fn a_lock_that_another_user_holds_as_root_holds_up_nothing() {
    use std::os::unix::process::CommandExt;
    const KEEP: &str = "
import fcntl, os, sys
directory = os.open(sys.argv[1], os.O_RDONLY)
fcntl.flock(directory, fcntl.LOCK_SH)
os.set_inheritable(directory, True)
os.execv(sys.argv[2], ['cat'])
";
    let python = fs::canonicalize("/usr/bin/python3").expect("a Python that every user may run");
    let world = World::of_projects(&["a.py", "b.py", "sub/c.py"], &["d.py"]);
    for directory in world.store.ancestors().take(5) {
        fs::set_permissions(directory, PermissionsExt::from_mode(0o755)).unwrap();
    }
    // With the set-user-ID bit it stands for su(1), which waits for a password.
    let cat = world.home.join("cat");
    answer(world.command("cp").arg("/bin/cat").arg(&cat)).exits(0);
    fs::set_permissions(&cat, PermissionsExt::from_mode(0o4755)).unwrap();
    let mut command = world.command(&python);
    command.args(["-I", "-c", KEEP]).arg(&world.store).arg(&cat);
    command.uid(61_001).gid(61_001).current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = command.spawn().unwrap();
    std::io::Write::write_all(holder.stdin.as_mut().unwrap(), b"held\n").unwrap();
    let mut line = String::new();
    BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "held\n");
    let told = world.pycstore(["prune", "--orphans"]).exits(0);
    let (process, store) = (holder.id(), world.store.display());
    let line = format!(
        "pycstore: process {process} (cat of user 61001) holds the lock of {store} but is not a prune: continuing without that lock\n"
    );
    assert_eq!(told.stderr, line);
    assert_eq!(files(&world.store).len(), 1, "it removed what it should");
    holder.kill().unwrap();
    holder.wait().unwrap();
}

/// Root obeys nobody else's configuration, and reads and writes nobody else's history.
#[test]
#[ignore = "needs root; .ci/run asks for it"]
fn root_neither_obeys_nor_writes_what_another_user_could_have_changed() {
    const STRANGER: u32 = 61_001;
    let give = |path: &Path| std::os::unix::fs::lchown(path, Some(STRANGER), Some(STRANGER)).unwrap();
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
#[ignore = "needs root: it gives files away"]
fn as_root_a_file_that_another_user_put_there_does_not_get_the_page() {
    let world = World::of_projects(&["a.py"], &["b.py"]);
    let [open, theirs] = ["out/page.html", "theirs/page.html"].map(|file| world.write(file, "old"));
    for (file, directory_mode) in [(&open, 0o1777), (&theirs, 0o755)] {
        fs::set_permissions(file, PermissionsExt::from_mode(0o646)).unwrap();
        std::os::unix::fs::chown(file, Some(61_001), Some(61_001)).unwrap();
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
