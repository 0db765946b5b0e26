//! `pycstore which`

mod expected;

use crate::support::{World, answer, implementations, interpreters, newest};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The values of one field of every line.
fn all(lines: &[serde_json::Value], field: &str) -> BTreeSet<String> {
    lines.iter().map(|line| line[field].as_str().unwrap_or("null").to_string()).collect()
}

#[test]
fn the_entries_of_a_source_are_shown_for_every_tag_with_their_status() {
    let world = World::new();
    let project = world.project("one", &["a.py", "ab.py", "a.b.py", "sub/a.py"]);
    for interpreter in implementations() {
        let code =
            "for optimize in 0, 1, 2: assert compileall.compile_dir(sys.argv[1], quiet=1, optimize=optimize)";
        answer(world.compiler(interpreter, code).arg(&project)).exits(0);
    }
    let lines = world.pycstore(["which", "one/a.py", "--json"]).exits(0).json_lines();
    assert_eq!(lines.len(), 3 * implementations().len());
    let tags: BTreeSet<String> = implementations().iter().map(|it| it.tag.clone()).collect();
    assert_eq!(all(&lines, "tag"), tags);
    assert_eq!(all(&lines, "optimization"), ["", "1", "2"].map(String::from).into());
    assert_eq!(all(&lines, "status"), ["fresh".to_string()].into());
    assert_eq!(all(&lines, "source"), [project.join("a.py").display().to_string()].into());

    std::fs::write(project.join("a.py"), "NAME = 'another'\n").unwrap();
    let answer = world.pycstore(["which", "one/a.py", "one/./sub/../ab.py"]).exits(0);
    let (stale, fresh): (Vec<&str>, Vec<&str>) =
        answer.stdout.lines().partition(|line| line.starts_with("stale"));
    assert_eq!((stale.len(), fresh.len()), (lines.len(), lines.len()));
    assert!(stale.iter().all(|line| line.contains("/one/a.")), "{stale:?}");
    assert!(fresh.iter().all(|line| line.starts_with("fresh") && line.contains("/one/ab.")), "{fresh:?}");
}

#[test]
fn a_source_without_entries_is_said_and_tells_by_the_exit_code() {
    let world = World::new();
    let project = world.project("one", &["a.py", "b.py"]);
    world.compile_files(newest(), &[&project.join("a.py")]);
    let answer = world.pycstore(["which", "one/a.py", "one/b.py", "nowhere/c.py"]).exits(1);
    assert_eq!(answer.stdout.lines().count(), 1);
    let said: Vec<&str> = answer.stderr.lines().collect();
    let store = world.store.display();
    assert_eq!(
        said,
        [
            format!("pycstore: no entry for {} in {store}", project.join("b.py").display()),
            format!("pycstore: no entry for {} in {store}", world.home.join("nowhere/c.py").display()),
        ]
    );
    std::fs::remove_dir_all(&world.store).unwrap();
    world.pycstore(["which", "one/a.py"]).exits(2);
}

#[test]
fn every_name_leads_to_its_entry_and_back() {
    let world = World::new();
    for (number, name) in [
        &b"dotted.name.py"[..],
        b".hidden.py",
        b".hidden-without-suffix",
        b"undotted",
        b"windowed.pyw",
        b"lisp.hy",
        b"dot-at-the-end.",
        b"twice.py.py",
        b"blank and 'quotes\".py",
        b"line\nfeed.py",
        b"\x1b[31mred.py",
        b"not\xffutf-8.py",
        b"not\xffutf-8.pyw",
        b"m\xc3\xa9l\xc3\xa9e.pyw",
        b"right\xe2\x80\xaeleft.py",
        b"tagged.cpython-312.py",
        b"made-pytest-1.py",
    ]
    .into_iter()
    .enumerate()
    {
        let source = world.write(PathBuf::from(number.to_string()).join(OsStr::from_bytes(name)), "x = 1\n");
        for interpreter in [newest(), &interpreters()[0], implementations().last().unwrap()] {
            world.compile_files(interpreter, &[&source]);
            let entry = world.entry(&source, interpreter, "");
            let output = world
                .program()
                .env("PYTHONPYCACHEPREFIX", &world.store)
                .args([OsStr::new("source"), entry.as_os_str()])
                .output()
                .unwrap();
            let expected = [source.as_os_str().as_bytes(), b"\n"].concat();
            assert_eq!(
                OsStr::from_bytes(&output.stdout),
                OsStr::from_bytes(&expected),
                "{}",
                interpreter.tag
            );
            assert_eq!(output.status.code(), Some(0));

            let lines = world.pycstore([OsStr::new("which"), source.as_os_str(), OsStr::new("--json")]);
            let lines = lines.exits(0).json_lines();
            let own: Vec<_> = lines.iter().filter(|line| line["tag"] == interpreter.tag).collect();
            assert_eq!(own.len(), 1, "{lines:?}");
            assert_eq!(own[0]["path"], entry.to_string_lossy().into_owned());
            assert_eq!((&own[0]["status"], &own[0]["reason"]), (&"fresh".into(), &serde_json::Value::Null));
        }
    }
}

#[test]
fn sources_that_share_a_slot_are_told_apart() {
    let world = World::new();
    let project = world.project("one", &["a.py"]);
    let windowed = world.write("one/a.pyw", "x = 1\n");
    world.compile_files(newest(), &[&project.join("a.py")]);
    world.pycstore(["which", "one/a.py"]).exits(0);
    world.pycstore(["which", "one/a.pyw"]).exits(1);
    std::fs::remove_file(project.join("a.py")).unwrap();
    world.compile_files(newest(), &[&windowed]);
    let lines = world.pycstore(["which", "one/a.pyw", "--json"]).exits(0).json_lines();
    assert_eq!(lines[0]["source"], windowed.display().to_string());
    assert_eq!(lines[0]["status"], "fresh");
}

#[test]
fn a_terminal_is_shown_nothing_that_it_would_obey_and_a_pipe_everything() {
    let world = World::new();
    let name = b"a\n\x1b]0;title\x07\xff\xe2\x80\xae\xc2\x9b31m.py";
    let source = world.write(PathBuf::from("one").join(OsStr::from_bytes(name)), "x = 1\n");
    world.compile_files(newest(), &[&source]);
    let entry = world.entry(&source, newest(), "");
    let shown = "~/one/a\\n\\x1b]0;title\\x07\u{fffd}\\u{202e}\\u{9b}31m.";
    for (command, argument) in
        [("which", &source), ("source", &entry), ("inspect", &entry), ("ls", &PathBuf::from("--tag"))]
    {
        let mut arguments = vec![OsStr::new(command), argument.as_os_str()];
        if command == "ls" {
            arguments.push(OsStr::new(&newest().tag));
        }
        let screen = world.pycstore_on_terminal(300, &arguments);
        let text = String::from_utf8(screen).expect("a terminal gets UTF-8");
        assert!(!text.contains(|character: char| character.is_control() && character != '\n'), "{text:?}");
        assert!(!text.contains('\u{202e}'), "{text:?}");
        let shown = if command == "source" { shown.to_string() } else { shown.replace("~/", "/") };
        assert!(text.contains(&shown), "{command}: {text:?}");
        if command != "inspect" {
            let headings = usize::from(text.starts_with("STATUS "));
            assert_eq!(text.lines().count(), headings + 1, "{text:?}");
        }
        let piped =
            world.program().env("PYTHONPYCACHEPREFIX", &world.store).args(&arguments).output().unwrap();
        let wanted = if command == "source" { &source } else { &entry };
        let wanted = wanted.as_os_str().as_bytes();
        assert!(piped.stdout.windows(wanted.len()).any(|window| window == wanted), "{command}");
    }
    // What goes wrong is said safely as well.
    let screen = world.pycstore_on_terminal(300, [OsStr::new("which"), OsStr::from_bytes(b"\x1b[31mno.py")]);
    assert_eq!(
        String::from_utf8(screen).unwrap(),
        format!(
            "pycstore: no entry for {}/\\x1b[31mno.py in {}\n",
            world.home.display(),
            world.store.display()
        )
    );
}

#[test]
fn a_terminal_gets_headings_once() {
    let world = World::new();
    let project = world.project("one", &["a.py", "b.py"]);
    world.compile_files(newest(), &[&project.join("a.py"), &project.join("b.py")]);
    for arguments in [
        &["--color", "never", "which", "one/a.py", "one/b.py"][..],
        &["--color", "never", "which", "--expected", "one/a.py"],
    ] {
        let told = String::from_utf8(world.pycstore_on_terminal(300, arguments)).unwrap();
        let first = told.lines().next().unwrap_or_default();
        assert_eq!(
            first.split_whitespace().collect::<Vec<_>>(),
            ["STATUS", "REASON", "SIZE", "PATH"],
            "{told}"
        );
        assert_eq!(told.matches("STATUS").count(), 1, "{told}");
        assert_eq!(first.find("PATH"), told.lines().nth(1).unwrap().find("~/"), "{told}");
    }
    assert!(!world.pycstore(["which", "one/a.py"]).exits(0).stdout.contains("STATUS"));
}
