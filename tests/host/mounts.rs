//! `pycstore prune` and `pycstore sweep` among mount points, and on file systems that are full, read-only or odd.

use crate::support::confinement::REFUSALS;
use crate::support::in_tree::{cached, caches, paths, sweep};
use crate::support::site::{Site, named, site};
use crate::support::{
    HEADER, HOUR, World, age, answer, assert_only_gone, compile_in_tree, date_back, files, newest, status,
};
use std::process::Command;
use std::time::Duration;

#[test]
#[ignore = "needs a mount namespace"]
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
#[ignore = "needs a mount namespace"]
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
#[ignore = "needs root and a mount namespace"]
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
    SIZE  FILES  STATUS  REASON  OWNER
    SIZE  81  orphan  root  /home/me/gone (gone)
    DIRECTORIES  EMPTY DIRECTORY TREE
             41  /home/me/store/home/me/gone
    would remove 81 files and 41 directories, SIZE
    ----- stderr -----
    pycstore: cannot remove /home/me/store (81 files): Read-only file system
    ");
    assert_only_gone(&before, &World::snapshot(&world.store), &[]);
}

#[test]
#[ignore = "needs a mount namespace"]
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
    SIZE  FILES  STATUS  REASON  OWNER
    SIZE  1  orphan  root  /home/me/gone (gone)
    removed 1 file and 1 directory, SIZE
    ----- stderr -----
    pycstore: cannot record this run in /home/me/state/pycstore/HASH/history.jsonl: No space left on device
    ");
    assert_only_gone(&before, &World::snapshot(&world.store), &[&gone]);
    assert_eq!(pruned.stderr.lines().count(), 1);
}

#[test]
#[ignore = "needs a mount namespace"]
fn what_was_never_deleted_here_is_kept() {
    // A volume where nobody expects one, a container's own `/opt`, another view of a directory that is there: each is a mount
    // that only the one who compiles sees.
    let world = World::new();
    for place in ["mnt/deep/nas", "usr/src", "opt"] {
        world.write(format!("{place}/keep"), "");
    }
    let python = &newest().path;
    let script = format!(
        "
        for place in mnt/deep/nas usr/src opt; do
            mount -t tmpfs tmpfs \"$HOME/$place\"
            mkdir -p \"$HOME/$place/project/pkg\"
            echo x=1 > \"$HOME/$place/project/pkg/m.py\"
            PYTHONPYCACHEPREFIX=\"$STORE\" '{}' -m py_compile \"$HOME/$place/project/pkg/m.py\"
        done
        ",
        python.display()
    );
    answer(&mut world.in_namespace("", &script)).exits(0);
    let own = world.mirror(&world.home);
    let before = World::snapshot(&own);
    for place in ["mnt/deep/nas", "usr/src", "opt"] {
        assert_eq!(status(&world, &format!("{place}/project/pkg/m.py")), "unknown no-trace");
    }
    for line in world.pycstore(["ls", "--json", "--status", "unknown"]).json_lines() {
        assert_eq!(line["owner"]["gone"], false, "{line}");
    }
    world.pycstore(["prune", "--orphans", "--stale", "--corrupt", "--temporary"]).exits(0);
    assert_eq!(World::snapshot(&own), before);
    // The next deletion beside them changes what can be told, and age takes them whatever can be told.
    let entry = world.entry(&world.home.join("opt/project/pkg/m.py"), newest(), "");
    let page = world.pycstore(["inspect".as_ref(), entry.as_os_str()]).exits(0).stdout;
    assert!(
        page.contains(&format!("missing            project in {}/opt\n", world.home.display())),
        "{page}"
    );
    assert!(page.contains(&format!("contents of {}/opt\n", world.home.display())), "{page}");
    let witness =
        &world.pycstore(["inspect".as_ref(), "--json".as_ref(), entry.as_os_str()]).json()["witness"];
    assert_eq!(witness["directory"], world.home.join("opt").to_str().unwrap());
    assert_eq!((&witness["missing"], &witness["change"]), (&"project".into(), &"names".into()));
    age(&entry, Duration::from_secs(90 * 86_400));
    assert_eq!(status(&world, "opt/project/pkg/m.py"), "orphan root");
}

#[test]
#[ignore = "needs a mount namespace"]
fn a_source_at_the_end_of_time_is_what_python_says() {
    let world = World::new();
    world.write("p/keep", "");
    // A tmpfs keeps the largest number of seconds there is; CPython's arithmetic makes one more of it.
    let script = format!(
        "
        mount -t tmpfs tmpfs \"$HOME/p\"
        echo x=1 > \"$HOME/p/m.py\"
        '{python}' -c 'import os, sys; os.utime(sys.argv[1], (2**63 - 1, 2**63 - 1))' \"$HOME/p/m.py\"
        PYTHONPYCACHEPREFIX=\"$STORE\" '{python}' -m py_compile \"$HOME/p/m.py\"
        pycstore ls --under \"$HOME/p\"
        ",
        python = newest().path.display()
    );
    insta::assert_snapshot!(answer(&mut world.in_namespace("", &script)).shown(), @r"
    exit: 0
    ----- stdout -----
    fresh  - SIZE  /home/me/.cache/cpython/home/me/p/m.cpython-3.N.pyc
    ----- stderr -----
    ");
}

#[test]
#[ignore = "needs a mount namespace"]
fn a_mount_point_is_not_crossed() {
    for refusals in REFUSALS {
        let world = World::new();
        let tree = world.project("tree", &["m.py"]);
        let other = world.project("other", &["o.py"]);
        compile_in_tree(&world, newest(), &[], &[&tree, &other]);
        for directory in ["tree/package", "tree/module/__pycache__"] {
            std::fs::create_dir_all(world.home.join(directory)).unwrap();
        }
        // A bind mount has the device of what it is mounted on: only the mount itself tells.
        let script = "\
mount --bind other tree/package
mount --bind other/__pycache__ tree/module/__pycache__
pycstore sweep tree --empty-directories";
        let before = World::snapshot(&world.home);
        let told = answer(&mut world.in_namespace(refusals, script)).exits(0);
        assert_only_gone(&before, &World::snapshot(&world.home), &[&tree.join("__pycache__")]);
        assert_eq!(told.stderr.matches("is a mount point").count(), 2, "{}", told.stderr);
    }
}

#[test]
#[ignore = "needs a mount namespace"]
fn bytecode_that_is_nobodys_is_told_by_the_topmost_directory_with_some() {
    let world = World::new();
    let bytecode = world.write("m.cpython-312.pyc", HEADER);
    // No temporary directory, and no home: there whatever lies in it has an owner.
    let script = format!(
        "\
mount -t tmpfs tmpfs /mnt
for directory in cached cached/deep beside/deep; do
    mkdir -p /mnt/src/$directory/__pycache__
    cp {0} /mnt/src/$directory/__pycache__
done
: > /mnt/src/beside/m.py
cp {0} /mnt/src/beside/m.pyc
pycstore sweep --dry-run --json /mnt/src",
        bytecode.display()
    );
    let document = answer(&mut world.in_namespace("", &script)).exits(0).json();
    let owners = document["owners"].as_array().unwrap().iter();
    let mut rows: Vec<_> =
        owners.map(|row| (row["root"].as_str().unwrap(), row["files"].as_u64().unwrap())).collect();
    rows.sort_unstable();
    assert_eq!(rows, [("/mnt/src/beside", 2), ("/mnt/src/cached", 2)], "{document}");
}

#[test]
#[ignore = "needs a mount namespace"]
fn what_belongs_to_the_package_manager_is_left_alone_below_a_root_as_well() {
    let world = World::new();
    let bytecode = world.write("m.cpython-312.pyc", [&HEADER[..], b"body"].concat());
    // The system as it is, with a store of Guix's in it.
    let script = format!(
        "\
mount -t tmpfs tmpfs /mnt
for top in /*; do
    case $top in /mnt|/gnu) continue;; esac
    if [ -L $top ]; then cp -P $top /mnt$top; elif [ -d $top ]; then mkdir /mnt$top; mount --rbind $top /mnt$top; fi
done
for directory in store/x profile; do
    mkdir -p /mnt/gnu/$directory/__pycache__
    cp {} /mnt/gnu/$directory/__pycache__
done
chroot /mnt pycstore sweep /gnu
find /mnt/gnu -type f
chroot /mnt pycstore sweep /gnu --system --quiet
find /mnt/gnu -type f",
        bytecode.display()
    );
    let told = answer(&mut world.in_namespace("", &script)).exits(0);
    insta::assert_snapshot!(told.shown(), @r"
    exit: 0
    ----- stdout -----
    SIZE  FILES  OWNER
    SIZE  1  /gnu/profile
    removed 1 file and 1 directory, SIZE
    /mnt/gnu/store/x/__pycache__/m.cpython-3.N.pyc
    ----- stderr -----
    pycstore: skipped /gnu/store: it belongs to the package manager; --system sweeps it
    ");
    let files: Vec<&str> = told.stdout.lines().filter(|line| line.starts_with('/')).collect();
    assert_eq!(files, ["/mnt/gnu/store/x/__pycache__/m.cpython-312.pyc"], "{told:?}");
}

#[test]
#[ignore = "needs a mount namespace"]
fn a_store_on_another_file_system_is_adopted_into() {
    let world = World::new();
    let project = world.project("proj", &["a.py", "pkg/b.py"]);
    compile_in_tree(&world, newest(), &[], &[&project]);
    std::fs::create_dir_all(&world.store).unwrap();
    let script = "\
mount -t tmpfs tmpfs \"$STORE\"
pycstore sweep proj --adopt
pycstore ls
mkdir small
mount -t tmpfs -o size=4k tmpfs small
pycstore sweep other --adopt --store small || echo failed
pycstore --quiet warm other --python \"$PYTHON\" --store small || echo failed
mount -t tmpfs -o ro tmpfs small
pycstore sweep other --adopt --store small || echo failed
umount small
find small -type f";
    let other = world.project("other", &["big.py", "pkg/big.py"]);
    for big in ["big.py", "pkg/big.py"] {
        std::fs::write(other.join(big), format!("BIG = {:?}\n", "x".repeat(100_000))).unwrap();
    }
    compile_in_tree(&world, newest(), &[], &[&other]);
    let gone = caches(&project);
    let before = World::snapshot(&world.home);
    let told = answer(world.in_namespace("", script).env("PYTHON", &newest().path)).exits(0);
    // Where there is no room, the original stays and nothing half-written is left.
    insta::assert_snapshot!(told.shown(), @r"
    exit: 0
    ----- stdout -----
    SIZE  FILES  ADOPTED  OWNER
    SIZE  2  2  /home/me/proj
    adopted 2 files, SIZE; removed 2 directories
    fresh  - SIZE  /home/me/.cache/cpython/home/me/proj/a.cpython-3.N.pyc
    fresh  - SIZE  /home/me/.cache/cpython/home/me/proj/pkg/b.cpython-3.N.pyc
    removed nothing
    failed
    failed
    removed nothing
    failed
    ----- stderr -----
    pycstore: cannot adopt /home/me/other (2 files): No space left on device
    pycstore: cannot write the entry of /home/me/other/big.py: No space left on device; the same for 1 more path
    pycstore: cannot adopt /home/me/other (2 files): Read-only file system
    ");
    assert_only_gone(
        &before,
        &{
            let mut after = World::snapshot(&world.home);
            after.remove(&world.home.join("small"));
            after
        },
        &paths(&gone),
    );
}

/// What a sweep writes into the store is young until it has its name, however old the original is: a prune that runs
/// meanwhile leaves it alone.
#[test]
#[ignore = "needs root, chattr and a file system with append-only directories"]
fn what_is_being_adopted_is_no_old_temporary() {
    let world = World::new();
    let project = world.project("proj", &["m.py"]);
    compile_in_tree(&world, newest(), &[], &[&project]);
    age(&cached(&project.join("m.py"), newest(), ""), 48 * HOUR);
    let mirror = world.mirror(&project);
    std::fs::create_dir_all(&mirror).unwrap();
    // In a directory that only grows, a file can be written but neither renamed nor removed.
    let grows =
        |flag: &str| Command::new("chattr").arg(flag).arg(&mirror).status().is_ok_and(|it| it.success());
    assert!(grows("+a"));
    insta::assert_snapshot!(sweep(&world, ["proj", "--adopt"]).shown(), @r"
    exit: 1
    ----- stdout -----
    removed nothing
    ----- stderr -----
    pycstore: cannot adopt /home/me/proj/__pycache__/m.cpython-3.N.pyc: Operation not permitted
    ");
    let left = files(&mirror);
    let prune = world.pycstore(["prune", "--temporary"]);
    assert!(grows("-a"));
    assert_eq!((left.len(), prune.code), (1, 0), "{left:?} {prune:?}");
    assert!(
        left.iter().all(|it| it.extension().unwrap().to_str().unwrap().parse::<u64>().is_ok()),
        "{left:?}"
    );
    world.pycstore(["prune", "--temporary"]).exits(0);
    assert_eq!(files(&mirror), left, "a prune took it");
    sweep(&world, ["proj", "--adopt"]).exits(0);
    let entry = world.entry(&project.join("m.py"), newest(), "");
    let age = entry.metadata().unwrap().modified().unwrap().elapsed().unwrap();
    assert!(age > 47 * HOUR, "the entry is as old as the original: {age:?}");
}
