//! `pycstore doctor` on other file systems, with other groups, and on what belongs to other users.

use crate::support::findings::{Site, command, doctor, mode, none, one, programs, site};
use crate::support::{Answer, NOBODY, World, answer};
use std::os::unix::fs::lchown;
use std::os::unix::process::CommandExt;

/// In a mount namespace, after this script.
fn doctor_after(world: &World, script: &str, store: &str) -> Answer {
    programs(world, &[]);
    let script = format!("{script}\nPATH=\"$HOME/.bin\" pycstore doctor --json --store {store}");
    answer(&mut world.in_namespace("", &script))
}

#[test]
#[ignore = "needs a mount namespace"]
fn what_a_group_may_write_is_a_warning_when_others_are_in_it() {
    let Site { world, entry, .. } = site();
    mode(&entry, 0o664);
    // In the namespace we are root, and so is our group.
    let script = |members: &str| {
        format!(
            "printf 'root:x:0:0::/root:/bin/sh\\nme:x:1000:1000::/x:/bin/sh\\n' > \"$HOME/passwd\"
             printf 'root:x:0:{members}\\n' > \"$HOME/group\"
             mount --bind \"$HOME/passwd\" /etc/passwd
             mount --bind \"$HOME/group\" /etc/group"
        )
    };
    let shared = doctor_after(&world, &script("me"), "\"$STORE\"").exits(1);
    let open = one(&shared, "warning writable");
    assert_eq!(open.path.as_deref(), Some(entry.as_path()));
    assert_eq!(open.hint, format!("chmod -R g-w {}", world.store.display()));
    let private = doctor_after(&world, &script(""), "\"$STORE\"");
    none(&private, "writable");
}

#[test]
#[ignore = "needs a mount namespace"]
fn file_systems_that_cannot_be_written() {
    let Site { world, .. } = site();
    let store = world.home.join("store");
    let on = |options: &str, then: &str| {
        let script = format!(
            "mkdir -p \"$HOME/store\"
             mount -t tmpfs -o {options} tmpfs \"$HOME/store\"
             chmod 700 \"$HOME/store\"
             cp -a \"$STORE/.\" \"$HOME/store/\"
             {then}"
        );
        doctor_after(&world, &script, "\"$HOME/store\"")
    };
    let read_only = on("size=4m", "mount -o remount,bind,ro \"$HOME/store\"").exits(1);
    assert_eq!(one(&read_only, "warning read-only").path, Some(store.clone()));
    let full = on("size=4m", "cat /dev/zero > \"$HOME/store/zeros\" 2>/dev/null || true").exits(1);
    assert_eq!(one(&full, "error full").path, Some(store));
    let nearly = on("size=8m,nr_inodes=1000", "(cd \"$HOME/store\" && seq 960 | xargs touch)");
    none(&nearly, "full");
    let nearly = on(
        "size=8m,nr_inodes=1000",
        "(cd \"$HOME/store\" && touch $(seq 1 $((1000 - $(df --output=iused . | tail -1) - 5))))",
    )
    .exits(1);
    insta::assert_snapshot!(one(&nearly, "warning full").shown(), @r"
    warning full
    path: /home/me/store
    detail: the file system of /home/me/store is nearly full: SIZE and 5 files left
    hint: free space, for example: pycstore prune --orphans --stale --max-size 1GiB --store /home/me/store
    ");
    let noatime = on("size=4m,noatime", ":").exits(0);
    insta::assert_snapshot!(one(&noatime, "note noatime").shown(), @r"
    note noatime
    path: /home/me/store
    detail: the mount of /home/me/store is noatime: the time of compilation counts as last use
    hint: mount it with relatime, if --unused-for and --max-size are to know what is in use
    ");
    let ordinary = on("size=4m", ":");
    for kind in ["full", "read-only", "noatime", "network"] {
        none(&ordinary, kind);
    }
}

#[test]
#[ignore = "needs a mount namespace"]
fn a_store_on_another_machine() {
    let Site { world, .. } = site();
    // No server is at hand: the program reads a table that names one.
    let script = "
        sed \"\\$a 9999 1 0:99 / $STORE rw,relatime - nfs4 server:/x rw\" /proc/self/mountinfo > \"$HOME/table\"
        mount --bind \"$HOME/table\" /proc/$$/mountinfo
        cd \"$HOME\"; PATH=\"$HOME/.bin\" exec pycstore doctor --json --store \"$STORE\"";
    programs(&world, &[]);
    let answer = answer(&mut world.in_namespace("", script)).exits(0);
    insta::assert_snapshot!(one(&answer, "note network").shown(), @r"
    note network
    path: /home/me/.cache/cpython
    detail: /home/me/.cache/cpython is on a network file system (nfs4): no missing source on a local disk counts as deleted, for another machine may have it
    hint: a store on a local disk is faster and no other machine's sources are in it: pycstore setup
    ");
}

#[test]
#[ignore = "needs root"]
fn parts_of_a_store_that_belong_to_other_users() {
    let Site { world, entry, .. } = site();
    let program = world.unprivileged().get_program().to_owned();
    let as_nobody = || {
        let mut command = world.command(&program);
        command.env("PATH", programs(&world, &[])).env("PYTHONPYCACHEPREFIX", &world.store);
        answer(command.args(["doctor", "--json"]).uid(NOBODY).gid(NOBODY))
    };
    none(&as_nobody().exits(0), "foreign-parts");

    // As `sudo python` leaves them.
    lchown(&entry, Some(0), Some(0)).unwrap();
    lchown(entry.parent().unwrap(), Some(0), Some(0)).unwrap();
    insta::assert_snapshot!(one(&as_nobody().exits(1), "warning foreign-parts").shown(), @r"
    warning foreign-parts
    path: /home/me/.cache/cpython/home/me/work
    detail: 1 file and 1 directory of the store belong to root, as `sudo python` leaves them: Python may be unable to write there, such as /home/me/.cache/cpython/home/me/work
    hint: sudo chown -R nobody /home/me/.cache/cpython
    ");

    // Somebody else's: their code runs.
    lchown(&entry, Some(1234), Some(1234)).unwrap();
    let others = one(&as_nobody().exits(1), "error foreign-parts");
    assert_eq!(others.path.as_deref(), Some(entry.as_path()));

    // Root asks about the user's store, and is told what the user would be told.
    let by_root = answer(command(&world).arg("--store").arg(&world.store)).exits(1);
    assert_eq!(one(&by_root, "error foreign-parts").detail, others.detail);
    none(&by_root, "owner");
    // Root itself had better not use it: the home is nobody's, and so is the store.
    let as_root = doctor(&world).exits(1);
    insta::assert_snapshot!(one(&as_root, "error owner").shown(), @r"
    error owner
    path: /home/me/.cache/cpython
    detail: /home/me/.cache/cpython belongs to nobody, whose code root runs
    hint: use a store of your own: pycstore setup
    ");

    // The whole store is root's.
    answer(world.command("chown").args(["-R", "0:0"]).arg(&world.store)).exits(0);
    insta::assert_snapshot!(one(&as_nobody().exits(1), "error owner").shown(), @r"
    error owner
    path: /home/me/.cache/cpython
    detail: /home/me/.cache/cpython belongs to root, not to nobody: Python cannot write there
    hint: sudo chown -R nobody /home/me/.cache/cpython
    ");
}
