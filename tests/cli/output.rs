//! Outputs that cannot be written: a full disk is an error that says so, a reader who has gone is none; and neither
//! keeps the program from doing what it was told to do.

use crate::support::{Answer, World, answer, closed_pipe, date_back, newest};
use std::fs::File;
use std::process::Command;

/// A device that is always full.
fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

/// A store with an entry of `p/a.py`.
fn world() -> World {
    let world = World::new();
    let project = world.project("p", &["a.py"]);
    world.compile(newest(), &[], &[&project]);
    world
}

fn command(world: &World, arguments: &[&str]) -> Command {
    let mut command = world.command(env!("CARGO_BIN_EXE_pycstore"));
    command.env("PYTHONPYCACHEPREFIX", &world.store).args(arguments);
    command
}

fn on_full_disk(world: &World, arguments: &[&str]) -> Answer {
    answer(command(world, arguments).stdout(full()))
}

#[test]
fn a_full_disk_is_said_by_whatever_writes() {
    let world = world();
    let entry = world.entry(&world.home.join("p/a.py"), newest(), "");
    let entry = entry.to_str().unwrap();
    let commands: [&[&str]; 15] = [
        &["du"],
        &["du", "--json"],
        &["du", "--csv"],
        &["report", "--html", "-"],
        &["ls"],
        &["ls", "--json"],
        &["which", "p/a.py"],
        &["source", entry],
        &["inspect", entry],
        &["history"],
        &["config"],
        &["completions", "zsh"],
        &["help", "du"],
        &["du", "--help"],
        &["--version"],
    ];
    for arguments in commands {
        let told = on_full_disk(&world, arguments).exits(2).stderr;
        assert_eq!(
            told, "pycstore: cannot write to standard output: No space left on device\n",
            "{arguments:?}"
        );
        answer(command(&world, arguments).stdout(closed_pipe())).exits(0);
    }
}

#[test]
fn what_was_done_is_done_and_said_to_be() {
    let world = world();
    let source = world.write("p/b.py", "X = 1\n");
    let entry = world.entry(&source, newest(), "");
    let told = on_full_disk(&world, &["warm", "p"]).exits(1).stderr;
    assert_eq!(told, "pycstore: cannot write to standard output: No space left on device\n");
    assert!(entry.is_file());
    // Who reads no more of what is wrong still wants it put right.
    for stdout in [std::process::Stdio::from(closed_pipe()), full().into()] {
        let mut body = std::fs::read(&entry).unwrap();
        body.truncate(20);
        std::fs::write(&entry, body).unwrap();
        answer(command(&world, &["verify", "--fix"]).stdout(stdout));
        assert!(!entry.exists());
        command(&world, &["warm", "p", "-q"]).output().unwrap();
    }
}

#[test]
fn an_edit_that_was_agreed_to_is_made_whoever_reads_it() {
    let world = World::new();
    answer(command(&world, &["setup", "zsh", "--yes"]).stdout(closed_pipe())).exits(0);
    assert!(std::fs::read_to_string(world.home.join(".zshenv")).unwrap().contains("PYTHONPYCACHEPREFIX"));
    // What could not be shown on a full disk is not done.
    let told = on_full_disk(&world, &["setup", "zsh", "--undo", "--yes"]).exits(2).stderr;
    assert!(told.ends_with("cannot write to standard output: No space left on device\n"), "{told}");
    assert!(world.home.join(".zshenv").exists());
}

/// Names that would write a line of their own, move the cursor, or reorder a line; and one that is not UTF-8.
const NAMES: [&[u8]; 5] = [
    b"x\npycstore: all is well",
    b"x\rpycstore: all is well",
    b"x\x1b[2Jy",
    b"x\xe2\x80\xaey",
    b"x\xff\xfey",
];

#[test]
fn names_are_escaped_in_messages_whoever_reads_them() {
    use std::os::unix::ffi::OsStrExt;
    for name in NAMES {
        let world = world();
        let name = std::ffi::OsStr::from_bytes(name);
        let gone = world.home.join("p").join(name);
        // A file that is no bytecode is kept, and named.
        let entry = world.mirror(&gone).join("b.cpython-312.pyc");
        std::fs::create_dir_all(entry.parent().unwrap()).unwrap();
        std::fs::write(&entry, "text").unwrap();
        date_back(&entry);
        let nowhere = world.home.join(name).join("m.py");
        let commands: [(&str, Option<&std::path::Path>); 5] = [
            ("prune --orphans", None),
            ("inspect", Some(&gone)),
            ("source", Some(&gone)),
            ("which", Some(&nowhere)),
            ("report --html", Some(&nowhere)),
        ];
        for (line, path) in commands {
            let mut command = command(&world, &[]);
            let output = command.args(line.split(' ')).args(path).output().unwrap();
            let stderr = String::from_utf8(output.stderr).expect("UTF-8");
            assert!(!stderr.is_empty(), "{line} {name:?}");
            let begins = |line: &str| line.starts_with("pycstore: ") || line.starts_with("hint: ");
            assert!(stderr.lines().all(begins), "{line}: {stderr}");
            assert!(!stderr.contains(['\r', '\x1b', '\u{202e}']), "{line}: {stderr:?}");
            assert!(!stderr.contains("\npycstore: all is well"), "{line}: {stderr}");
        }
    }
}
