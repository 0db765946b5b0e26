//! `pycstore share` where it can only fail, or only in part: no links, no more links, no room, read-only, other users.
//!
//! Each test looks at the whole store afterwards: every entry is there with its bytes, and no temporary file is left.

use crate::support::{Answer, World, answer, give, newest};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Projects of equal sources with equal times, and a copy of the store of their entries beside the store.
fn site(projects: usize) -> World {
    let world = World::new();
    let paths: Vec<PathBuf> = (0..projects)
        .map(|number| {
            let project = world.project(&format!("p{number:02}"), &["a.py", "b.py"]);
            for name in ["a.py", "b.py"] {
                let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
                let source = fs::File::options().write(true).open(project.join(name)).unwrap();
                source.set_modified(then).unwrap();
            }
            project
        })
        .collect();
    world.compile(newest(), &[], &paths.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    // Later than the last change of the sources, also where a file system counts in steps of two seconds.
    let later = SystemTime::now() + Duration::from_secs(5);
    for path in crate::support::files(&world.store) {
        fs::File::options().write(true).open(path).unwrap().set_modified(later).unwrap();
    }
    fs::rename(&world.store, world.home.join("copy")).unwrap();
    fs::create_dir(&world.store).unwrap();
    world
}

/// Runs a script that mounts something at `$STORE`, copies the entries there (`fill`), and shares. At its end nothing may be
/// missing, changed or left over.
#[track_caller]
fn shared_in(world: &World, script: &str) -> Answer {
    let script = format!(
        "
        fill() {{ cp -rp \"$HOME/copy/.\" \"$STORE\"; }}
        # The paths in the entries are equally long.
        entries() {{
            find . -name '*pyc*' | sort | while read -r path; do
                echo \"$path $(LC_ALL=C sed 's|/p[0-9][0-9]/|/pNN/|g' < \"$path\" | sha256sum)\"
            done
        }}
        {script}
        (cd \"$HOME/copy\" && entries) > \"$HOME/before\"
        (cd \"$STORE\" && entries) > \"$HOME/after\"
        diff \"$HOME/before\" \"$HOME/after\" >&2
        find \"$STORE\" -name '*.pyc' -printf '%n\\n' | sort -n | uniq -c | sed 's/$/ links/'
        "
    );
    answer(&mut world.in_namespace("", &script))
}

const UNMOUNT: &str = "trap 'umount \"$STORE\"; losetup -d $loop' EXIT";

#[test]
#[ignore = "needs root, a loop device and exFAT (exfatprogs, exfat-fuse)"]
fn a_file_system_without_links() {
    let script = format!(
        "
        truncate -s 8M \"$HOME/image\"
        mkfs.exfat \"$HOME/image\" > \"$HOME/said\"
        loop=$(losetup -f --show \"$HOME/image\")
        mount.exfat-fuse -o umask=022 $loop \"$STORE\" > \"$HOME/said\"
        {UNMOUNT}
        fill
        pycstore share
        "
    );
    insta::assert_snapshot!(shared_in(&site(3), &script).shown(), @r"
    exit: 0
    ----- stdout -----
    nothing to share
    left alone: 4 entries for which the file system allows no link
          6 1 links
    ----- stderr -----
    ");
}

/// ext4 allows 65 000 links of a file.
#[test]
#[ignore = "needs root, a loop device and ext4"]
fn a_file_with_the_most_links() {
    let script = format!(
        "
        truncate -s 64M \"$HOME/image\"
        mkfs.ext4 -q \"$HOME/image\"
        loop=$(losetup -f --show \"$HOME/image\")
        mkdir \"$HOME/disk\"
        mount $loop \"$HOME/disk\"
        mkdir \"$HOME/disk/store\" \"$HOME/disk/more\"
        mount --bind \"$HOME/disk/store\" \"$STORE\"
        trap 'umount \"$STORE\" \"$HOME/disk\"; losetup -d $loop' EXIT
        fill
        newest=$(find \"$HOME/disk/store\" -path '*/p05/a.*.pyc')
        touch -d '+20 seconds' \"$newest\"
        '{python}' -B -c 'import os, sys
for number in range(64997): os.link(sys.argv[1], sys.argv[2] % number)' \"$newest\" \"$HOME/disk/more/%d\"
        pycstore share --json | tr , '\\n' | grep -e files -e left
        pycstore share
        ",
        python = newest().path.display()
    );
    insta::assert_snapshot!(shared_in(&site(9), &script).shown(), @r#"
    exit: 0
    ----- stdout -----
    "shared":{"files":15
    "files":3
    "blocks":{"files":0
    "left":{}
    made 3 entries links of 1 file; freed SIZE
         18 9 links
    ----- stderr -----
    "#);
}

#[test]
#[ignore = "needs root and a mount namespace"]
fn a_read_only_store() {
    let script = "
        mount -t tmpfs -o mode=755 tmpfs \"$STORE\"
        fill
        mount -o remount,bind,ro \"$STORE\"
        pycstore share -n
        pycstore --threads 1 share 2> \"$HOME/said\" || echo \"exit $?\"
        pycstore --threads 1 share --under \"$HOME\" --json 2>> \"$HOME/said\" || echo \"exit $?\"
        sed 's|/[ab][.]|/N.|' \"$HOME/said\" >&2
        ";
    insta::assert_snapshot!(shared_in(&site(9), script).shown(), @r#"
    exit: 0
    ----- stdout -----
    would make 16 entries links of 2 files; would free SIZE
    nothing was shared
    exit 1
    {"schema":1,"store":"/home/me/.cache/cpython","dry_run":false,"shared":{"files":0,"bytes":0,"disk":0},"files":0,"blocks":{"files":0,"bytes":0,"disk":0},"left":{},"is_complete":false}
    exit 1
         18 1 links
    ----- stderr -----
    pycstore: cannot replace /home/me/.cache/cpython/home/me/p07/N.cpython-3.N.pyc by a link of an equal entry: Read-only file system
    pycstore: stopped before all entries were compared: the rest is left for the next run
    pycstore: cannot replace /home/me/.cache/cpython/home/me/p07/N.cpython-3.N.pyc by a link of an equal entry: Read-only file system
    pycstore: stopped before all entries were compared: the rest is left for the next run
    "#);
}

/// tmpfs counts each link as a file.
#[test]
#[ignore = "needs root and a mount namespace"]
fn no_room_for_a_temporary_link() {
    let script = "
        mount -t tmpfs -o mode=755 tmpfs \"$STORE\"
        fill
        mount -o remount,nr_inodes=$(($(df --output=iused \"$STORE\" | tail -1))) \"$STORE\"
        pycstore share || echo \"exit $?\"
        mount -o remount,nr_inodes=$(($(df --output=iused \"$STORE\" | tail -1) + 1)) \"$STORE\"
        pycstore --threads 1 share
        ";
    insta::assert_snapshot!(shared_in(&site(3), script).shown(), @r"
    exit: 0
    ----- stdout -----
    nothing to share
    exit 1
    made 4 entries links of 2 files; freed SIZE
          6 3 links
    ----- stderr -----
    pycstore: cannot replace /home/me/.cache/cpython/home/me/p00/a.cpython-3.N.pyc by a link of an equal entry: No space left on device; the same for 3 more paths
    ");
}

#[test]
#[ignore = "needs root, a loop device and btrfs-progs"]
fn a_quota_that_is_exceeded() {
    let script = format!(
        "
        truncate -s 120M \"$HOME/image\"
        mkfs.btrfs -q \"$HOME/image\" > \"$HOME/said\"
        loop=$(losetup -f --show \"$HOME/image\")
        mount $loop \"$STORE\"
        {UNMOUNT}
        fill
        btrfs quota enable \"$STORE\"
        sync -f \"$STORE\"
        btrfs qgroup limit 16k \"$STORE\"
        pycstore share || echo \"exit $?\"
        "
    );
    insta::assert_snapshot!(shared_in(&site(3), &script).shown(), @r"
    exit: 0
    ----- stdout -----
    nothing to share
    exit 1
          6 1 links
    ----- stderr -----
    pycstore: cannot replace /home/me/.cache/cpython/home/me/p00/a.cpython-3.N.pyc by a link of an equal entry: Disk quota exceeded; the same for 3 more paths
    ");
}

/// Root restarts itself as the user of the store; another user may not write to it.
#[test]
#[ignore = "needs root and a mount namespace"]
fn the_store_of_another_user() {
    let world = site(3);
    world.open_to_all();
    world.copied_program();
    give(&world.home, 61_001);
    let script = "
        fill
        chown -R 61001:61001 \"$STORE\"
        chmod -R go+rX \"$STORE\"
        setpriv --reuid 61002 --regid 61002 --clear-groups env HOME=/nonexistent \"$HOME/../pycstore\" share || echo \"exit $?\"
        pycstore share
        find \"$STORE\" ! -user 61001
        ";
    insta::assert_snapshot!(shared_in(&world, script).shown(), @r"
    exit: 0
    ----- stdout -----
    exit 2
    made 4 entries links of 2 files; freed SIZE
          6 3 links
    ----- stderr -----
    pycstore: refused: /home/me/.cache/cpython belongs to user 61001, not to you
    hint: run as that user, or as root
    pycstore: /home/me/.cache/cpython belongs to user 61001: continuing as user 61001
    ");
}

/// Several users write to one store, in which the directories of each are their own.
#[test]
#[ignore = "needs root and a mount namespace"]
fn a_sticky_store_of_several_users() {
    let world = site(4);
    world.open_to_all();
    world.copied_program();
    let script = "
        fill
        chmod 1777 \"$STORE\"
        for user in p00 p01; do
            chown -R 61001:61001 \"$HOME/$user\" \"$STORE$HOME/$user\"
        done
        as_user() { setpriv --reuid 61001 --regid 61001 --clear-groups \"$@\"; }
        as_user env HOME=/nonexistent \"$HOME/../pycstore\" share || echo \"exit $?\"
        pycstore share
        find \"$STORE\" -name '*.pyc' -printf '%U %n %P\\n' | sed 's|tmp/.*/me/||' | sort
        ";
    insta::assert_snapshot!(shared_in(&world, script).shown(), @r"
    exit: 0
    ----- stdout -----
    exit 2
    made 2 entries links of 2 files; freed SIZE
    left alone: 4 entries of another user
    0 2 p02/a.cpython-3.N.pyc
    0 2 p02/b.cpython-3.N.pyc
    0 2 p03/a.cpython-3.N.pyc
    0 2 p03/b.cpython-3.N.pyc
    61001 1 p00/a.cpython-3.N.pyc
    61001 1 p00/b.cpython-3.N.pyc
    61001 1 p01/a.cpython-3.N.pyc
    61001 1 p01/b.cpython-3.N.pyc
          4 1 links
          4 2 links
    ----- stderr -----
    pycstore: refused: /home/me/.cache/cpython belongs to user 0, not to you
    hint: run as that user, or as root
    pycstore: /home/me/.cache/cpython is shared with other programs (its mode makes it a directory for the files of all users); use a separate directory for the store, such as ~/.cache/cpython
    ");
}
