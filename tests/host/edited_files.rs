//! Files that `setup` and `report` replace keep what they were: ACL, extended attributes, owner and group, mode. New ones
//! respect the umask, and a block never stands within what belongs together.

use crate::support::spool::Spool;
use crate::support::{Answer, World, answer};
use rustix::fs::{XattrFlags, getxattr, setxattr};
use rustix::io::Errno;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;

const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";

/// Every target that edits a file, with that file.
const FILES: [(&str, &str); 7] = [
    ("bash", ".bashrc"),
    ("zsh", ".zshenv"),
    ("fish", ".config/fish/conf.d/pycstore.fish"),
    ("profile", ".profile"),
    ("environment.d", ".config/environment.d/pycstore.conf"),
    ("git", ".config/git/ignore"),
    ("vscode", ".config/Code/User/settings.json"),
];

/// A text of that target's.
fn theirs(target: &str) -> &'static str {
    if target == "vscode" { "{ // mine\n}\n" } else { "# mine\n" }
}

fn setup(world: &World, arguments: &[&str]) -> Answer {
    answer(world.program().args(["setup", "--yes", "-q"]).args(arguments))
}

/// An ACL as the kernel keeps it (`linux/posix_acl_xattr.h`): version 2, then tag, permissions and id of each entry. The
/// group may read, user 65534 do what `named` says; that is the mask.
fn acl(named: u16) -> Vec<u8> {
    const NO_ID: u32 = u32::MAX;
    let entries: [(u16, u16, u32); 5] = [
        (0x01, 6 | named, NO_ID),
        (0x02, named, 65534),
        (0x04, 4, NO_ID),
        (0x10, named, NO_ID),
        (0x20, 4, NO_ID),
    ];
    let entry = |(tag, permissions, id): (u16, u16, u32)| {
        [&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &id.to_le_bytes()].concat()
    };
    [2_u32.to_le_bytes().to_vec(), entries.map(entry).concat()].concat()
}

/// Sets an attribute.
fn set(path: &Path, name: &str, value: &[u8]) {
    setxattr(path, name, value, XattrFlags::empty())
        .unwrap_or_else(|error| panic!("{name} of {}: {error}", path.display()));
}

fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = [0; 256];
    match getxattr(path, name, &mut value[..]) {
        Err(Errno::NODATA) => None,
        length => Some(value[..length.unwrap()].to_vec()),
    }
}

#[test]
#[ignore = "needs a file system with access control lists"]
fn acl_and_attributes_stay_when_a_block_comes_and_goes() {
    let world = World::new();
    for (target, name) in FILES {
        let path = world.write(name, theirs(target));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        set(&path, ACCESS, &acl(6));
        set(&path, "user.note", target.as_bytes());
        let state = || (attribute(&path, ACCESS), attribute(&path, "user.note"), mode(&path));
        let before = state();
        assert_eq!(
            before,
            (Some(acl(6)), Some(target.into()), 0o664),
            "the group may read, the mode is the mask"
        );
        setup(&world, &[target]).exits(0);
        assert!(std::fs::read_to_string(&path).unwrap().contains("pycstore"), "{name}");
        assert_eq!(state(), before, "{name}");
        setup(&world, &[target, "--undo"]).exits(0);
        assert_eq!((std::fs::read_to_string(&path).unwrap().as_str(), state()), (theirs(target), before));
    }
}

#[test]
#[ignore = "needs a file system with access control lists"]
fn a_directory_with_a_default_acl_lends_nobody_the_users_files() {
    let world = World::new();
    let path = world.write(".zshenv", "# mine\n");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o664)).unwrap();
    // With write permission in it root would edit nothing there.
    set(&world.home, DEFAULT, &acl(5));
    setup(&world, &["zsh", "profile"]).exits(0);
    assert_eq!((attribute(&path, ACCESS), mode(&path)), (None, 0o664));
    assert_eq!(mode(&world.home.join(".profile")), 0o644, "the mask of the new file lets nobody write");
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().mode() & 0o7777
}

#[test]
fn a_new_file_respects_the_umask_and_an_old_one_keeps_its_mode() {
    for (umask, expected) in [("077", 0o600), ("027", 0o640), ("022", 0o644), ("002", 0o644)] {
        let world = World::new();
        std::fs::create_dir_all(world.home.join(".config/Code/User")).unwrap();
        let old = world.write(".zshenv", "# mine\n");
        std::fs::set_permissions(&old, PermissionsExt::from_mode(0o604)).unwrap();
        let mut command = world.command("sh");
        command.args(["-c", "umask \"$1\"; shift; exec \"$@\"", "sh", umask, env!("CARGO_BIN_EXE_pycstore")]);
        command.args(["setup", "--yes", "-q"]).args(FILES.map(|(target, _)| target));
        answer(&mut command).exits(0);
        for (_, name) in FILES.into_iter().filter(|(target, _)| *target != "zsh") {
            assert_eq!(mode(&world.home.join(name)), expected, "{name} with {umask}");
        }
        assert_eq!(mode(&old), 0o604);
        assert_eq!((mode(&world.store), mode(&world.store.join("CACHEDIR.TAG"))), (0o700, expected));
    }
}

#[test]
#[ignore = "needs a file system with access control lists"]
fn a_page_that_is_replaced_keeps_its_acl() {
    let world = World::new();
    std::fs::create_dir_all(&world.store).unwrap();
    let page = world.write("page.html", "old");
    set(&page, ACCESS, &acl(6));
    world.pycstore(["report", "--html", page.to_str().unwrap()]).exits(0);
    assert_ne!(std::fs::read(&page).unwrap(), b"old");
    assert_eq!((attribute(&page, ACCESS), mode(&page)), (Some(acl(6)), 0o664));
}

#[test]
#[ignore = "needs root"]
fn a_page_that_changes_hands_gives_its_new_group_nothing() {
    let world = World::new();
    std::fs::create_dir_all(&world.store).unwrap();
    let page = world.write("page.html", "old");
    // The home is given to the user who runs the program.
    world.pycstore_unprivileged(["ls"]).exits(0);
    for (group, expected) in [(61001, 0o604), (65534, 0o664)] {
        std::fs::remove_file(&page).unwrap();
        world.write("page.html", "old");
        std::fs::set_permissions(&page, PermissionsExt::from_mode(0o664)).unwrap();
        chown(&page, Some(61001), Some(group)).unwrap();
        let mut command = world.command(world.home.parent().unwrap().join("pycstore"));
        command.env("PYTHONPYCACHEPREFIX", &world.store).uid(65534).gid(65534);
        answer(command.args(["report", "--html"]).arg(&page)).exits(0);
        let metadata = page.metadata().unwrap();
        assert_eq!((metadata.uid(), metadata.gid(), mode(&page)), (65534, 65534, expected));
    }
}

#[test]
#[ignore = "needs root"]
fn what_cannot_keep_its_owner_and_group_is_left() {
    const NOBODY: u32 = 65534;
    let world = World::new();
    let path = world.write(".zshenv", "# mine\n");
    world.pycstore_unprivileged(["setup", "zsh", "--dry-run"]).exits(0);
    // The store is made the first time.
    for (user, group, code) in [(NOBODY, 61001, 1), (61001, NOBODY, 2)] {
        chown(&path, Some(user), Some(group)).unwrap();
        let mut command = world.command(world.home.parent().unwrap().join("pycstore"));
        command.uid(NOBODY).gid(NOBODY).args(["setup", "zsh", "--yes"]);
        let told = answer(&mut command).exits(code).stderr;
        let why = format!("not changed: a replacement of {} would lose its owner and group", path.display());
        assert!(told.contains(&why) && told.contains("\nhint: edit it by hand"), "{told}");
        let metadata = path.metadata().unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (user, group));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "# mine\n");
    }
}

#[test]
#[ignore = "needs root"]
fn root_keeps_the_owner_of_a_file() {
    let world = World::new();
    let path = world.write(".zshenv", "# mine\n");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    chown(&path, Some(61001), Some(61002)).unwrap();
    // An attribute that only root sees.
    set(&path, "trusted.note", b"x");
    setup(&world, &["zsh"]).exits(0);
    let metadata = path.metadata().unwrap();
    assert_eq!((metadata.uid(), metadata.gid(), mode(&path)), (61001, 61002, 0o640));
    assert_eq!(attribute(&path, "trusted.note").as_deref(), Some(&b"x"[..]));
    assert!(std::fs::read_to_string(&path).unwrap().contains("pycstore"));
}

#[test]
#[ignore = "needs root"]
fn a_label_of_a_security_module_that_does_not_run_is_in_nobodys_way() {
    // Of no module at all: SELinux may be there without a policy, and then takes everything.
    const LABEL: &str = "security.pycstore-test";
    let world = World::new();
    let path = world.write(".zshenv", "# mine\n");
    set(&path, LABEL, b"x");
    setup(&world, &["zsh"]).exits(0);
    assert!(attribute(&path, LABEL).is_some(), "root keeps it");
    setup(&world, &["zsh", "--undo"]).exits(0);
    world.pycstore_unprivileged(["setup", "zsh", "--yes"]).exits(0);
    assert!(std::fs::read_to_string(&path).unwrap().contains("pycstore"));
    assert_eq!(attribute(&path, LABEL), None);
}

/// What other programs write, and look for again: comments that belong to the next line, and blocks.
const MANAGED: [&str; 4] = [
    "#Ansible: backup\n0 2 * * * backup\n",
    "# BEGIN ANSIBLE MANAGED BLOCK\nA=1\n# END ANSIBLE MANAGED BLOCK\n",
    "# >>> conda initialize >>>\n# !! Contents !!\nA=1\n# <<< conda initialize <<<\n",
    "# Puppet Name: backup\n0 2 * * * backup\n\n# BEGIN cfengine\nA=1\n# END cfengine\n",
];

#[test]
#[ignore = "needs cron and a mount namespace"]
fn no_block_stands_within_what_another_program_wrote() {
    let world = World::new();
    let spool = Spool::new(&world);
    let files = FILES.into_iter().filter(|(target, _)| *target != "vscode");
    let names: Vec<&str> = files.map(|(_, name)| name).chain([".bash_profile", "zdotdir/.zshenv"]).collect();
    let run = |arguments: &[&str]| {
        let mut command = spool.command(&[], "", env!("CARGO_BIN_EXE_pycstore"));
        command.env("ZDOTDIR", world.home.join("zdotdir"));
        answer(command.args(arguments).args(["--yes", "-q"])).exits(0)
    };
    let targets = ["bash", "zsh", "fish", "profile", "environment.d", "git", "cron"];
    for managed in MANAGED {
        for name in &names {
            world.write(name, managed);
        }
        spool.fill(managed);
        run(&[&["setup"], &targets[..]].concat());
        run(&["schedule", "install", "--with", "cron"]);
        let mut changed = 0;
        let texts = names.iter().map(|name| std::fs::read_to_string(world.home.join(name)).unwrap());
        for text in texts.chain([String::from_utf8(spool.contents().unwrap()).unwrap()]) {
            assert!(text.contains(managed), "{text}");
            changed += usize::from(text != managed);
        }
        // All and the crontab; of zsh's two that in `ZDOTDIR`.
        assert_eq!(changed, names.len());
        run(&["schedule", "remove"]);
        run(&["setup", "--undo"]);
        for name in &names {
            assert_eq!(std::fs::read_to_string(world.home.join(name)).unwrap(), managed, "{name}");
        }
        assert_eq!(spool.contents().unwrap(), managed.as_bytes());
    }
}
