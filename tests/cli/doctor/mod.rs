//! `pycstore doctor`: the store, the way to it and what lies around it. What it says of the variable is in
//! `tests/host/doctor_variable.rs`.

use crate::support::findings::{Site, command, doctor, found, mode, none, one, programs, scheduled, site};
use crate::support::{World, answer, newest};
use std::path::{Path, PathBuf};

#[test]
fn a_store_that_is_in_order_has_no_fault() {
    let Site { world, .. } = site();
    scheduled(&world);
    world.pycstore(["schedule", "run"]).exits(0);
    let answer = doctor(&world).exits(0);
    assert_eq!(found(&answer), []);
    assert_eq!(answer.stderr, "");
}

#[test]
fn nothing_is_changed() {
    let Site { world, .. } = site();
    programs(&world, &[]);
    let before = World::snapshot(&world.home);
    doctor(&world);
    crate::support::assert_only_gone(&before, &World::snapshot(&world.home), &[]);
}

#[test]
fn what_everyone_may_write_is_an_error_where_everyone_gets_there() {
    let Site { world, entry, .. } = site();
    mode(&entry, 0o666);
    mode(entry.parent().unwrap(), 0o777);
    let answer = doctor(&world).exits(1);
    let open = one(&answer, "error writable");
    insta::assert_snapshot!(open.shown(), @r"
    error writable
    path: /home/me/.cache/cpython/home/me/work
    detail: 1 file and 1 directory of the store can be written by everyone, such as /home/me/.cache/cpython/home/me/work: Python runs what they write
    hint: chmod -R go-w /home/me/.cache/cpython
    ");
    // The hint is right.
    answer_of(&world, &open.hint);
    none(&doctor(&world), "writable");

    // Where nobody gets to, it does no harm.
    mode(&entry, 0o666);
    mode(&world.store, 0o700);
    insta::assert_snapshot!(one(&doctor(&world).exits(0), "note writable").shown(), @r"
    note writable
    path: /home/me/.cache/cpython/home/me/work/a.cpython-3.N.pyc
    detail: /home/me/.cache/cpython/home/me/work/a.cpython-3.N.pyc can be written by everyone, but /home/me/.cache/cpython keeps other users out
    hint: chmod -R go-w /home/me/.cache/cpython
    ");
}

/// Types a hint into a shell.
fn answer_of(world: &World, hint: &str) {
    answer(world.command("sh").args(["-euc", hint])).exits(0);
}

#[test]
fn a_directory_above_that_others_may_change_is_an_error() {
    let Site { world, .. } = site();
    let caches = world.home.join(".cache");
    mode(&caches, 0o777);
    insta::assert_snapshot!(one(&doctor(&world).exits(1), "error ancestor").shown(), @r"
    error ancestor
    path: /home/me/.cache
    detail: /home/me/.cache can be changed by everyone, who could replace the store: Python would run the code in it
    hint: chmod o-w /home/me/.cache, or chmod +t /home/me/.cache where everyone must be able to write there
    ");
    // Others can make files beside it then, but not put another in its place.
    mode(&caches, 0o1777);
    none(&doctor(&world).exits(0), "ancestor");
    mode(&caches, 0o777);
    mode(&world.home, 0o700);
    none(&doctor(&world).exits(0), "ancestor");
}

#[test]
fn a_store_that_others_can_make_first() {
    let Site { world, .. } = site();
    let shared = world.home.join("shared");
    std::fs::create_dir(&shared).unwrap();
    mode(&shared, 0o1777);
    let store = shared.join("me/pycache");
    let answer = answer(command(&world).env("PYTHONPYCACHEPREFIX", &store)).exits(1);
    let open = one(&answer, "warning ancestor");
    assert_eq!(open.path, Some(shared));
    assert_eq!(open.hint, format!("create it first: (umask 077 && mkdir -p {})", store.display()));
    assert_eq!(one(&answer, "note missing").path, Some(store));
}

#[test]
fn what_a_prune_would_take_is_worth_a_note() {
    let Site { world, source, entry } = site();
    let left_over = entry.with_file_name("a.cpython-312.pyc.140234");
    std::fs::copy(&entry, &left_over).unwrap();
    none(&doctor(&world), "temporary"); // it may still be written
    crate::support::age(&left_over, std::time::Duration::from_secs(4000));
    std::fs::remove_file(&source).unwrap();
    let answer = doctor(&world).exits(0);
    let temporary = one(&answer, "note temporary");
    insta::assert_snapshot!(temporary.shown(), @r"
    note temporary
    path: /home/me/.cache/cpython
    detail: 1 file left by interrupted writes, SIZE
    hint: pycstore prune --temporary
    ");
    insta::assert_snapshot!(one(&answer, "note reclaimable").shown(), @r"
    note reclaimable
    path: /home/me/.cache/cpython
    detail: 1 file that Python cannot use any more, SIZE
    hint: pycstore prune --orphans --stale --corrupt
    ");
    world.pycstore(["prune", "--temporary"]).exits(0);
    world.pycstore(["prune", "--orphans", "--stale", "--corrupt"]).exits(0);
    none(&doctor(&world).exits(0), "temporary");
    none(&doctor(&world).exits(0), "reclaimable");
}

#[test]
fn a_project_that_still_has_bytecode_in_it() {
    let Site { world, source, .. } = site();
    let compile = "import py_compile, sys; py_compile.compile(sys.argv[1], doraise=True)";
    let mut python = world.command(&newest().path);
    answer(python.args(["-c", compile]).arg(&source)).exits(0);
    let below = world.project("work/package", &["c.py"]).join("deep");
    std::fs::create_dir(&below).unwrap();
    std::fs::remove_file(world.home.join("work/package/pyproject.toml")).unwrap();
    let answer = answer(command(&world).current_dir(&below)).exits(0);
    insta::assert_snapshot!(one(&answer, "note in-tree").shown(), @r"
    note in-tree
    path: /home/me/work
    detail: 1 __pycache__ directory still in /home/me/work: 1 file, SIZE
    hint: pycstore sweep --adopt /home/me/work
    ");
    none(&doctor(&world), "in-tree"); // a home is no project
}

#[test]
fn other_stores_and_a_literal_tilde() {
    let Site { world, source, .. } = site();
    let import = |prefix: &str, directory: &Path| {
        let mut python = world.command(&newest().path);
        python.env("PYTHONPYCACHEPREFIX", prefix).current_dir(directory);
        answer(python.args(["-c", "import a"])).exits(0);
    };
    let project = source.parent().unwrap();
    import("~/.cache/cpython", project);
    import(world.home.join(".pycache").to_str().unwrap(), project);
    let answer = answer(command(&world).current_dir(project)).exits(1);
    let tilde = one(&answer, "warning literal-tilde");
    assert_eq!(tilde.path, Some(project.join("~")));
    assert!(tilde.hint.ends_with(&format!("rm -r -- '{}'", project.join("~").display())), "{tilde:?}");
    let other = one(&answer, "note other-store");
    assert_eq!(other.path, Some(world.home.join(".pycache")));
}

#[test]
fn who_prunes_and_when_it_last_did() {
    let Site { world, .. } = site();
    insta::assert_snapshot!(one(&doctor(&world).exits(0), "note schedule").shown(), @r"
    note schedule
    path: /home/me/.cache/cpython
    detail: the store is never pruned: no schedule is installed, and no run of prune is recorded
    hint: pycstore schedule install
    ");
    world.pycstore(["prune", "--orphans"]).exits(0);
    insta::assert_snapshot!(one(&doctor(&world).exits(0), "note schedule").shown(), @r"
    note schedule
    path: /home/me/.cache/cpython
    detail: no schedule is installed; the last prune was on DATE, today
    hint: pycstore schedule install
    ");
    scheduled(&world);
    insta::assert_snapshot!(one(&doctor(&world).exits(0), "note schedule").shown(), @r"
    note schedule
    path: /home/me/.cache/cpython
    detail: systemd is to prune every night, and has not done so yet
    hint: pycstore schedule run does it now
    ");
    world.pycstore(["schedule", "run"]).exits(0);
    none(&doctor(&world).exits(0), "schedule");

    let state = world.home.join(".local/state/pycstore");
    let journal = std::fs::read_dir(state).unwrap().next().unwrap().unwrap().path().join("history.jsonl");
    let lines = std::fs::read_to_string(&journal).unwrap();
    let year = lines.split("\"started\":\"").nth(1).unwrap()[..4].to_string();
    std::fs::write(&journal, lines.replace(&format!("\"started\":\"{year}"), "\"started\":\"2019")).unwrap();
    let long_ago = one(&doctor(&world).exits(1), "warning schedule");
    assert!(long_ago.detail.contains("the last run was long ago (2019-"), "{long_ago:?}");
    assert_eq!(long_ago.hint, "pycstore schedule status");
    let failed = lines.replace("\"exit\":0", "\"exit\":1").replace("\"failures\":0", "\"failures\":3");
    std::fs::write(&journal, failed).unwrap();
    insta::assert_snapshot!(one(&doctor(&world).exits(1), "warning schedule").shown(), @r"
    warning schedule
    path: /home/me/.cache/cpython
    detail: the last prune (DATE, today) failed: incomplete, 3 failures
    hint: to see the errors, run it again (this removes files): pycstore prune --orphans --stale
    ");
}

#[test]
fn a_store_that_is_missing_refused_or_unreadable() {
    let Site { world, entry, .. } = site();
    let with = |store: &Path| answer(command(&world).env("PYTHONPYCACHEPREFIX", store));
    let missing = with(&world.home.join("none")).exits(0);
    assert_eq!(one(&missing, "note missing").path, Some(world.home.join("none")));
    let refused = with(&world.home.join("work")).exits(1);
    insta::assert_snapshot!(one(&refused, "error refused").shown(), @r"
    error refused
    path: /home/me/work
    detail: refused: /home/me/work is a source tree: it has a.py
    hint: the path comes from PYTHONPYCACHEPREFIX; use a separate directory for the store, such as ~/.cache/cpython
    ");

    let locked = entry.parent().unwrap();
    mode(locked, 0o000);
    let program = world.unprivileged();
    let mut program = program;
    program.env("PATH", programs(&world, &[])).args(["doctor", "--json"]);
    let unreadable = answer(&mut program).exits(1);
    mode(locked, 0o755);
    insta::assert_snapshot!(one(&unreadable, "warning unreadable").shown(), @r"
    warning unreadable
    path: /home/me/.cache/cpython/home/me/work
    detail: cannot read the directory /home/me/.cache/cpython/home/me/work: Permission denied
    hint: look at it with ls -ld; run as its owner or as root
    ");
}

/// A store that may not be looked into is not a store that is missing: no command says so.
#[test]
fn a_store_behind_a_closed_directory_is_not_missing() {
    let Site { world, .. } = site();
    let program = world.unprivileged().get_program().to_owned();
    let closed = world.store.parent().unwrap();
    let run = |arguments: &[&str], is_named: bool| {
        use std::os::unix::process::CommandExt;
        let mut command = world.command(&program);
        command.env("PATH", programs(&world, &[])).args(arguments);
        if is_named {
            command.env("PYTHONPYCACHEPREFIX", &world.store);
        }
        if rustix::process::geteuid().is_root() {
            command.uid(65534).gid(65534);
        }
        mode(closed, 0o000);
        let told = answer(&mut command);
        mode(closed, 0o755);
        told
    };
    for is_named in [true, false] {
        let told = run(&["doctor", "--json"], is_named).exits(1);
        let refused = one(&told, "error refused");
        assert!(refused.detail.ends_with(": Permission denied"), "{refused:?}");
        none(&told, "missing");
        for arguments in
            [&["du"][..], &["config"], &["schedule", "status"], &["interpreters"], &["prune", "--orphans"]]
        {
            let told = run(arguments, is_named);
            let lines = format!("{}{}", told.stdout, told.stderr);
            for line in lines.lines().filter(|line| line.contains("cpython")) {
                assert!(!line.contains("not there") && !line.contains("no store"), "{arguments:?}: {line}");
            }
        }
        assert!(run(&["interpreters"], is_named).exits(1).stderr.contains("Permission denied"));
        assert!(run(&["du"], is_named).exits(2).stderr.contains("Permission denied"));
    }
}

#[test]
fn a_configuration_that_cannot_be_understood_is_a_finding() {
    let Site { world, .. } = site();
    world.write(".config/pycstore/config.toml", "[prune]\norphans = 3\n");
    insta::assert_snapshot!(one(&doctor(&world).exits(1), "error configuration").shown(), @r"
    error configuration
    detail: /home/me/.config/pycstore/config.toml:2:11: invalid type: integer `3`, expected a boolean
    hint: `pycstore help config` has an example of each key
    ");
}

/// An installation in which `binary` plays Python 3.12.
fn installation(world: &World, name: &str, binary: &Path) -> PathBuf {
    let magic = "MAGIC_NUMBER = (3531).to_bytes(2, 'little') + b'\\r\\n'\n";
    world.write(format!("{name}/lib/python3.12/os.py"), "");
    world.write(format!("{name}/lib/python3.12/importlib/_bootstrap_external.py"), magic);
    let bin = world.home.join(name).join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let executable = bin.join("python3.12");
    answer(world.command("cp").arg(binary).arg(&executable)).exits(0);
    executable
}

#[test]
fn interpreters_are_really_asked() {
    let Site { world, .. } = site();
    let asked = crate::interpreters::asked();
    let mut doctor = command(&world);
    let bin = programs(&world, &[]);
    // A program that is no Python, in the place of one.
    let mute = installation(&world, "mute", Path::new("/bin/true"));
    // One that others may put something else in the place of: it is not run.
    let open = installation(&world, "open", Path::new("/bin/true"));
    mode(open.parent().unwrap(), 0o777);
    let real: Vec<PathBuf> = asked.keys().filter_map(|path| Some(path.parent()?.to_path_buf())).collect();
    let directories = [&bin, mute.parent().unwrap(), open.parent().unwrap()].map(Path::to_path_buf);
    let path = std::env::join_paths(directories.into_iter().chain(real)).unwrap();
    let answer = answer(doctor.env("PATH", path));
    let found: Vec<(String, String)> = answer
        .json_lines()
        .into_iter()
        .filter(|line| line["finding"] == "interpreter")
        .map(|line| {
            assert_eq!(line["severity"], "note");
            (line["path"].as_str().unwrap().to_string(), line["detail"].as_str().unwrap().to_string())
        })
        .collect();
    let at = |path: &Path| {
        let found: Vec<_> =
            found.iter().filter(|(it, _)| Path::new(it) == path).map(|(_, detail)| detail).collect();
        assert_eq!(found.len(), 1, "{path:?} in {found:?}");
        found[0].clone()
    };
    if rustix::process::geteuid().is_root() {
        // Above the temporary directory everybody may put what an interpreter looks for there.
        assert!(at(&mute).ends_with("and 1 more were not run: other users can change them"), "{found:?}");
    } else {
        assert!(at(&mute).ends_with("ended without an answer"), "{found:?}");
        assert!(at(&open).ends_with("was not run: other users can change it"), "{found:?}");
    }
    // Each that does not know `sys.pycache_prefix` is counted, and no other is.
    let old: std::collections::BTreeSet<_> = asked
        .iter()
        .filter(|(_, said)| said["uses_store"] == false)
        .map(|(path, said)| (said["prefix"].to_string(), path.canonicalize().unwrap()))
        .map(|(prefix, _)| prefix)
        .collect();
    let said = found.iter().find(|(_, detail)| detail.contains("older than 3.8"));
    match old.len() {
        0 => assert_eq!(said, None),
        1 => assert!(said.unwrap().1.contains("is older than 3.8 and ignores the prefix"), "{said:?}"),
        number => {
            let expected = format!(" and {} more are older than 3.8 and ignore the prefix", number - 1);
            assert!(said.unwrap().1.contains(&expected), "{said:?}, {old:?}");
        }
    }
    assert!(!found.iter().any(|(_, detail)| detail.contains("which its version")), "{found:?}");
}

#[test]
fn people_get_a_line_a_hint_and_a_sum() {
    let Site { world, entry, .. } = site();
    mode(&entry, 0o666);
    let mut command = world.program();
    // As a user who sees none of this machine's old interpreters.
    command.env("PATH", programs(&world, &[])).env("PYTHONPYCACHEPREFIX", &world.store).arg("doctor");
    let shown = answer(&mut command).exits(1);
    let lines: Vec<&str> = shown.stdout.lines().collect();
    assert_eq!(
        lines[0],
        format!("error    {} can be written by everyone: Python runs what they write", entry.display())
    );
    assert_eq!(lines[1], format!("         hint: chmod -R go-w {}", world.store.display()));
    assert!(lines.last().unwrap().starts_with("1 error, 0 warnings, "), "{}", shown.stdout);
    let quiet = answer(command.arg("--quiet")).exits(1);
    assert_eq!(quiet.stdout, format!("{}\n{}\n", lines[0], lines[1]));
}

#[test]
fn a_store_with_many_copies_may_be_shared() {
    let Site { world, .. } = site();
    none(&doctor(&world), "shareable");
    let text = format!("TEXT = '{}'\n", "text ".repeat(1_200_000));
    let sources: Vec<PathBuf> = ["one", "two", "three"]
        .iter()
        .flat_map(|project| {
            ["a", "b", "c"].map(|module| world.write(format!("{project}/{module}.py"), &text))
        })
        .collect();
    let now = std::time::SystemTime::now();
    for source in &sources {
        std::fs::File::options().write(true).open(source).unwrap().set_modified(now).unwrap();
    }
    world.compile(
        newest(),
        &[],
        &["one", "two", "three"].map(|project| world.home.join(project)).each_ref().map(PathBuf::as_path),
    );
    let found = one(&doctor(&world), "note shareable");
    assert!(found.detail.starts_with("about 34.3") && found.detail.contains(" MiB of 51.5"), "{found:?}");
    assert_eq!(found.hint, "pycstore share makes them hard links of one file");
}
