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
    let mut command = world.program();
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
    insta::assert_snapshot!(on_full_disk(&world, &["setup", "zsh", "--undo", "--yes"]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: cannot write to standard output: No space left on device
    ");
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

/// Control characters, among them those of C1, and characters that reorder a line or cannot be seen.
const HOSTILE: &str = "=a\x07\x1b[2J\x7f\u{9b}1m\u{202e}\u{2066}\u{ad}\u{e0041}\u{2028}b";

/// Whether a terminal obeys none of this but what the program itself writes: line feeds, and carriage returns before them.
#[track_caller]
fn assert_harmless(shown: &str, context: &str) {
    let is_obeyed = |character: char| {
        (character.is_control() && character != '\n')
            || matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e0fff}')
    };
    let found: Vec<char> = shown.chars().filter(|character| is_obeyed(*character)).collect();
    assert!(found.is_empty(), "{context}: {found:?} in {shown:?}");
}

/// A world with a project, an entry, a file that is none, and a module in an environment, all of a hostile name.
fn hostile_world() -> World {
    let world = world();
    let project = world.project(&format!("p{HOSTILE}"), &["a.py"]);
    world.write(project.join(format!("{HOSTILE}.py")), "X = 1\n");
    world.compile(newest(), &[], &[&project]);
    std::fs::write(world.mirror(&project).join(HOSTILE), "").unwrap();
    let site = world.home.join("p/.venv/lib/python3.12/site-packages");
    world.write("p/.venv/pyvenv.cfg", "home = /usr/bin\n");
    let module = world.write(site.join(HOSTILE).join("m.py"), "X = 1\n");
    world.compile(newest(), &[], &[module.parent().unwrap()]);
    world
}

#[test]
fn nothing_in_a_name_reaches_a_terminal_in_any_format() {
    let world = hostile_world();
    let source = world.home.join(format!("p{HOSTILE}/{HOSTILE}.py"));
    let (entry, source) = (world.entry(&source, newest(), ""), source.to_str().unwrap());
    let entry = entry.to_str().unwrap();
    let commands: [&[&str]; 22] = [
        &["du"],
        &["du", "--json"],
        &["du", "--csv"],
        &["du", "--csv", "--by", "package"],
        &["du", "--by", "package,directory"],
        &["du", "--depth", "9"],
        &["ls"],
        &["ls", "--json"],
        &["which", source],
        &["which", "--json", source],
        &["source", entry],
        &["source", "--json", entry],
        &["inspect", entry],
        &["inspect", "--json", entry],
        &["verify"],
        &["prune", "--all", "--dry-run"],
        &["prune", "--all", "--dry-run", "--json"],
        &["sweep", "--dry-run", source],
        &["doctor"],
        &["doctor", "--json"],
        &["schedule", "install", "--print", "--with", "cron", "--store", source],
        &["config", "--store", source],
    ];
    for arguments in commands {
        let arguments = [&["--color", "never"], arguments].concat();
        let shown = String::from_utf8(world.pycstore_on_terminal(200, &arguments)).expect("UTF-8");
        assert!(!shown.is_empty(), "{arguments:?}");
        assert_harmless(&shown, &format!("{arguments:?}"));
    }
}

#[test]
fn json_means_the_same_and_has_nothing_that_a_terminal_obeys() {
    let world = hostile_world();
    let project = world.home.join(format!("p{HOSTILE}"));
    let told = world.pycstore(["ls", "--json"]).exits(0);
    assert_harmless(&told.stdout, "ls --json");
    let paths: Vec<String> =
        told.json_lines().iter().map(|line| line["path"].as_str().unwrap().to_string()).collect();
    assert!(paths.contains(&world.mirror(&project).join(HOSTILE).to_str().unwrap().to_string()), "{paths:?}");
    let usage = world.pycstore(["du", "--json"]).exits(0);
    assert_harmless(&usage.stdout, "du --json");
    let has_root = |owner: &serde_json::Value| owner["root"] == project.to_str().unwrap();
    assert!(usage.json()["owners"].as_array().unwrap().iter().any(has_root), "{}", usage.stdout);
}

#[test]
fn a_spreadsheet_computes_no_name() {
    let world = hostile_world();
    let packages = world.pycstore(["du", "--csv", "--by", "package"]).exits(0).stdout;
    assert!(packages.contains(&format!("group,'{HOSTILE},")), "{packages}");
    // Paths are what they are, for programs that read them back.
    let owners = world.pycstore(["du", "--csv"]).exits(0).stdout;
    assert!(owners.contains(&format!("{}/p{HOSTILE},", world.home.display())), "{owners}");
    for line in owners.lines().chain(packages.lines()) {
        let is_formula = |field: &str| field.starts_with(['=', '+', '-', '@', '\t']);
        assert!(!line.split(',').any(is_formula), "{line:?}");
    }
}

#[test]
fn arguments_are_escaped_in_messages() {
    for argument in [format!("a\n\n  tip: b\n\nUsage: c{HOSTILE}"), format!("--{HOSTILE}\npycstore: x")] {
        let told = World::new().pycstore([argument.as_str()]).exits(2).stderr;
        assert_harmless(&told, &argument);
        assert_eq!(told.lines().count(), 2, "a line and a hint: {told}");
    }
    let world = World::new();
    let told = world.pycstore(["du", "--by", &format!("x\n\n  tip: y{HOSTILE}")]).exits(2).stderr;
    assert_harmless(&told, "--by");
    assert!(!told.contains("hint: y"), "{told}");
}

#[test]
fn without_utf_8_only_ascii_is_printed() {
    let world = World::new();
    for (variables, expected) in [
        (&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")][..], r"m\u{e9}thode.py"),
        (&[("LC_CTYPE", "de_DE.ISO-8859-1")], r"m\u{e9}thode.py"),
        (&[("LC_ALL", ""), ("LANG", "C.UTF-8")], "méthode.py"),
        (&[], "méthode.py"),
    ] {
        std::fs::create_dir_all(&world.store).unwrap();
        let told = answer(
            command(&world, &["which", "méthode.py"]).env_remove("LC_ALL").envs(variables.iter().copied()),
        )
        .exits(1)
        .stderr;
        assert!(told.contains(expected), "{variables:?}: {told}");
        let hint = answer(
            command(&world, &["du", "--store", "/nowhere/é"])
                .env_remove("LC_ALL")
                .envs(variables.iter().copied()),
        )
        .exits(2)
        .stderr;
        assert_eq!(hint.is_ascii(), expected.is_ascii(), "{variables:?}: {hint}");
    }
}
