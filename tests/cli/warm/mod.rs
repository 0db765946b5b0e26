//! `pycstore warm`: what it compiled, the interpreters that it was compiled for load as it is.

mod reuse;
mod versions;

use crate::support::{
    Answer, HOUR, Interpreter, World, age, answer, files, implementations, interpreters, newest,
};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The oldest interpreter found: another than the newest wherever there are two.
fn oldest() -> &'static Interpreter {
    let minor =
        |it: &&Interpreter| it.tag.strip_prefix("cpython-3").and_then(|minor| minor.parse::<u32>().ok());
    interpreters().iter().min_by_key(minor).unwrap()
}

fn warm<I: AsRef<OsStr>>(world: &World, arguments: impl IntoIterator<Item = I>) -> Answer {
    let arguments: Vec<_> = arguments.into_iter().map(|it| it.as_ref().to_os_string()).collect();
    // Interpreters of this machine's root are found by their places, the tests' own on PATH.
    let mut command = world.program();
    command.env("PYTHONPYCACHEPREFIX", &world.store).arg("warm").args(arguments);
    answer(&mut command)
}

/// An environment of an interpreter; returns the directory of its installed modules.
fn environment(world: &World, interpreter: &Interpreter, path: &str) -> PathBuf {
    let environment = world.home.join(path);
    let mut command = world.command(&interpreter.path);
    answer(command.args(["-B", "-m", "venv", "--without-pip"]).arg(&environment)).exits(0);
    std::fs::read_dir(environment.join("lib")).unwrap().next().unwrap().unwrap().path().join("site-packages")
}

/// What tells whether a file of the store was written anew.
fn identities(directory: &Path) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    let identity = |path: PathBuf| {
        let metadata = path.metadata().unwrap();
        (path, (metadata.ino(), metadata.mtime(), metadata.mtime_nsec()))
    };
    if directory.exists() { files(directory).into_iter().map(identity).collect() } else { BTreeMap::new() }
}

fn tags(world: &World) -> BTreeMap<String, usize> {
    let mut tags = BTreeMap::new();
    for line in world.pycstore(["ls", "--json"]).exits(0).json_lines() {
        assert_eq!(line["status"], "fresh", "{line}");
        *tags.entry(line["tag"].as_str().unwrap().to_string()).or_default() += 1;
    }
    tags
}

#[test]
fn each_source_is_compiled_by_the_interpreter_that_imports_it() {
    let world = World::new();
    let project = world.project("proj", &["a.py", "pkg/__init__.py", "pkg/deep/b.py", "not python.txt"]);
    let installed = environment(&world, oldest(), "proj/.venv");
    std::fs::create_dir(installed.join("library")).unwrap();
    std::fs::write(installed.join("library/__init__.py"), "NAME = 'library'\n").unwrap();
    // In site-packages lies many a marker of projects.
    std::fs::write(installed.join("library/setup.py"), "").unwrap();
    let loose = world.write("loose/script.py", "A = 1\n").parent().unwrap().to_path_buf();
    for skipped in [".git/hook.py", "node_modules/x/y.py", "__pycache__/z.py"] {
        world.write(Path::new("proj").join(skipped), "");
    }
    symlink(&loose, project.join("link")).unwrap();
    symlink(loose.join("script.py"), project.join("linked.py")).unwrap();
    let told = warm(&world, [&project, &loose]).exits(0);
    let python = project.join(".venv/bin/python");
    let (ours, theirs) = (&newest().tag, &oldest().tag);
    if interpreters().len() > 1 {
        // `a.py`, the package's two, the linked one, and the library's two.
        assert_eq!(tags(&world), BTreeMap::from([(theirs.clone(), 6), (ours.clone(), 1)]), "{told:?}");
    }
    let last = told.stdout.lines().last().unwrap();
    assert_eq!((last, told.stderr.as_str()), ("compiled 7 sources", ""), "{told:?}");
    assert!(told.stdout.lines().any(|line| line.ends_with(python.to_str().unwrap())), "{told:?}");

    let before = identities(&world.mirror(&world.home));
    let mut command = world.command(&python);
    command.env("PYTHONPYCACHEPREFIX", &world.store);
    answer(command.args(["-c", "import proj.a, proj.pkg.deep.b, proj.linked, library, library.setup"]))
        .exits(0);
    let mut command = world.python(newest());
    answer(command.args(["-c", "import loose.script"])).exits(0);
    assert_eq!(identities(&world.mirror(&world.home)), before, "an interpreter compiled again");

    // Sorted by the interpreters' paths, which differ between machines.
    let again = warm(&world, [&project, &loose]).exits(0);
    assert!(again.stdout.ends_with("nothing compiled, 7 already fresh\n"), "{again:?}");
    assert_eq!(identities(&world.mirror(&world.home)), before);
    // Of what changed, only that.
    let source = world.write("proj/a.py", "NAME = 'changed'\n");
    let again = warm(&world, ["--json", "proj"]).exits(0).json();
    assert_eq!((&again["compiled"], &again["fresh"], &again["failed"]), (&json!(1), &json!(5), &json!(0)));
    let rows =
        json!([{"executable": python, "tag": theirs, "compiled": 1, "fresh": 5, "failed": 0, "reused": 0}]);
    assert_eq!(again["interpreters"], rows);
    let after = identities(&world.mirror(&world.home));
    let changed = |path: &&PathBuf| after[*path] != before[*path];
    assert_eq!(before.keys().filter(changed).collect::<Vec<_>>(), [&world.entry(&source, oldest(), "")]);
    assert!(files(&project).iter().all(|path| path.extension() != Some(OsStr::new("pyc"))));
}

#[test]
fn without_a_path_the_working_directory_is_compiled_and_the_store_is_not() {
    let world = World::new();
    world.project("p", &["m.py"]);
    world.write(".cache/cpython/deep/odd.py", "");
    warm(&world, [] as [&str; 0]).exits(0);
    let compiled = files(&world.store).into_iter().filter(|path| path.extension() == Some(OsStr::new("pyc")));
    assert_eq!(compiled.collect::<Vec<_>>(), [world.entry(&world.home.join("p/m.py"), newest(), "")]);
}

#[test]
fn caches_are_compiled_only_if_they_are_named() {
    let world = World::new();
    let work = world.project("work", &["a.py"]);
    let (cache, tagged) = (work.join(".cache"), work.join("tagged"));
    for path in ["work/.cache/b.py", "work/tagged/c.py", "work/tagged/CACHEDIR.TAG", "work/env/CACHEDIR.TAG"]
    {
        world.write(path, "");
    }
    // As uv and virtualenv tag their environments.
    let environment = environment(&world, newest(), "work/env");
    let module = environment.join("d.py");
    std::fs::write(&module, "").unwrap();
    let own = |source: &Path| world.entry(source, newest(), "").exists();
    warm(&world, [&work]).exits(0);
    assert!(own(&work.join("a.py")) && own(&module));
    assert!(!own(&cache.join("b.py")) && !own(&tagged.join("c.py")));
    warm(&world, [&cache, &tagged]).exits(0);
    assert!(own(&cache.join("b.py")) && own(&tagged.join("c.py")));
}

#[test]
fn what_cannot_be_compiled_is_one_line_each_and_the_rest_is() {
    let world = World::new();
    for (name, contents) in [
        (&b"bad.py"[..], &b"x = (\n"[..]),
        (b"null.py", b"x = 1\0\n"),
        (b"latin.py", b"x = '\xe9'\n"),
        (b"good one.py", b"x = 1\n"),
        (b"new\nline.py", b"x = 1\n"),
        (b"-rf.py", b"x = 1\n"),
        (b"\xff.py", b"x = 1\n"),
        (b"latin too.py", b"# coding: latin-1\nx = '\xe9'\n"),
    ] {
        world.write(Path::new("p").join(OsStr::from_bytes(name)), contents);
    }
    let told = warm(&world, ["p"]).exits(1);
    assert!(told.stdout.ends_with("\ncompiled 5 sources, 3 failed\n"), "{told:?}");
    let lines: Vec<&str> = told.stderr.lines().collect();
    assert_eq!(lines.len(), 3, "{told:?}");
    for (line, name) in lines.iter().zip(["bad", "latin", "null"]) {
        let start = format!("pycstore: cannot compile {}/p/{name}.py: ", world.home.display());
        assert!(line.starts_with(&start), "{line}");
    }
    assert!(lines[0].contains("SyntaxError: ") && lines[0].ends_with("(line 1)"), "{told:?}");
    assert_eq!(tags(&world).values().sum::<usize>(), 5);
    let document = warm(&world, ["p", "--json"]).exits(1).json();
    assert_eq!((&document["failed"], document["failures"].as_array().unwrap().len()), (&json!(3), 3));
    // Quiet does not mean silent about what went wrong.
    let quiet = warm(&world, ["-q", "p"]).exits(1);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", told.stderr.as_str()));
}

#[test]
fn what_is_larger_than_any_source_is_not_read() {
    let world = World::new();
    let sparse = world.write("p/sparse.py", "");
    std::fs::File::options().write(true).open(sparse).unwrap().set_len(1 << 40).unwrap();
    let told = warm(&world, ["p"]).exits(1);
    assert!(told.stderr.ends_with("p/sparse.py: larger than 32 MiB\n"), "{told:?}");
}

#[test]
fn what_is_stale_is_compiled_as_it_was() {
    let world = World::new();
    let modules = ["fresh.py", "timestamp.py", "checked.py", "magic.py", "gui.pyw", "rewritten.py"];
    let project = world.project("p", &modules);
    let other = world.project("other", &["elsewhere.py"]);
    let source = |name: &str| project.join(name);
    for interpreter in interpreters() {
        for optimization in ["0", "1", "2"] {
            let code = format!(
                "for file in sys.argv[1:]: py_compile.compile(file, doraise=True, optimize={optimization}, \
                 invalidation_mode=getattr(py_compile.PycInvalidationMode, \
                 'CHECKED_HASH' if 'checked' in file else 'TIMESTAMP'))"
            );
            let files = modules.map(source);
            answer(world.compiler(interpreter, &code).args(&files).arg(other.join("elsewhere.py"))).exits(0);
        }
    }
    for name in ["timestamp.py", "checked.py", "gui.pyw", "rewritten.py"] {
        std::fs::write(source(name), format!("NAME = 'new {name}'\n")).unwrap();
    }
    age(&other.join("elsewhere.py"), HOUR);
    for interpreter in interpreters() {
        let entry = world.entry(&source("magic.py"), interpreter, "");
        let mut bytes = std::fs::read(&entry).unwrap();
        bytes[0] ^= 1;
        std::fs::write(&entry, bytes).unwrap();
        // What only a rewriter makes.
        let rewritten = world.entry(&source("rewritten.py"), interpreter, "");
        std::fs::rename(&rewritten, rewritten.with_extension("opt-typeguard460.pyc")).unwrap();
        for level in ["1", "2"] {
            std::fs::remove_file(world.entry(&source("rewritten.py"), interpreter, level)).unwrap();
        }
    }
    let stale = |arguments: &[&str]| {
        world
            .pycstore([&["ls", "--json", "--status", "stale"], arguments].concat())
            .exits(0)
            .json_lines()
            .len()
    };
    let count = interpreters().len();
    assert_eq!(stale(&[]), count * (3 * 3 + 1 + 1 + 3));
    let before = identities(&world.mirror(&world.home));
    // A single source, then what is below a directory; what lies on the way to either is not meant.
    let told = warm(&world, [OsStr::new("--all-stale"), source("timestamp.py").as_os_str()]).exits(0);
    assert!(told.stdout.ends_with(&format!("\ncompiled {} sources\n", count * 3)), "{told:?}");
    let told = warm(&world, [OsStr::new("--all-stale"), project.as_os_str()]).exits(0);
    assert!(told.stdout.ends_with(&format!("\ncompiled {} sources\n", count * 7)), "{told:?}");
    assert_eq!(told.stdout.lines().count(), count + 2, "{told:?}");
    assert!(told.stderr.contains("of pytest or another rewriter left"), "{told:?}");
    // What was narrowed out and what only its rewriter can make.
    assert_eq!((stale(&[]), stale(&["--under", "other"])), (count * 4, count * 3));
    let after = identities(&world.mirror(&world.home));
    assert!(before.keys().eq(after.keys()), "nothing new, nothing gone");
    let changed = before.keys().filter(|path| after[*path] != before[*path]).count();
    assert_eq!(changed, count * 10);
    for interpreter in interpreters() {
        for (name, mode) in [("checked.py", "checked-hash"), ("timestamp.py", "timestamp")] {
            for optimization in ["", "1", "2"] {
                let entry = world.entry(&source(name), interpreter, optimization);
                let arguments = [OsStr::new("inspect"), OsStr::new("--json"), entry.as_os_str()];
                let line = world.pycstore(arguments).exits(0).json();
                assert_eq!(
                    (&line["status"], &line["invalidation"]),
                    (&json!("fresh"), &json!(mode)),
                    "{line}"
                );
            }
        }
        for flags in [&[][..], &["-O"], &["-OO"]] {
            let code = "import p.timestamp as t, p.checked as c\nassert (t.NAME, c.NAME) == ('new timestamp.py', 'new checked.py')";
            answer(world.python(interpreter).args(flags).args(["-c", code])).exits(0);
        }
    }
    let imported = identities(&world.mirror(&project));
    assert!(
        imported.iter().all(|(path, identity)| after[path] == *identity),
        "an interpreter compiled again"
    );
    warm(&world, ["--all-stale"]).exits(0);
    assert_eq!(stale(&[]), count);
}

/// Compiles the sources with an optimization and an invalidation mode by `py_compile`, as one process of the interpreter would
/// in the place of ours; into a prefix that is not the store.
fn compile_for_comparison(world: &World, interpreter: &Interpreter, sources: &[PathBuf], how: (&str, &str)) {
    let (optimization, mode) = how;
    let code = format!(
        "import py_compile, sys\nsys.pycache_prefix = sys.argv[1]\nfor file in sys.argv[2:]: py_compile.compile(\
         file, doraise=True, optimize={optimization}, \
         invalidation_mode=py_compile.PycInvalidationMode.{mode})"
    );
    let mut command = world.command(&interpreter.path);
    command.args(["-I", "-S", "-B", "-W", "ignore", "-c", &code]).arg(world.home.join("expected"));
    answer(command.args(sources)).exits(0);
}

/// Compares the store's entries of a project with those that `py_compile` made.
fn assert_as_expected(world: &World, project: &Path, how: &str) {
    let expected = world.home.join("expected").join(project.strip_prefix("/").unwrap());
    let names = |directory: &Path| -> BTreeSet<PathBuf> {
        let below = |path: PathBuf| path.strip_prefix(directory).unwrap().to_path_buf();
        files(directory).into_iter().map(below).collect()
    };
    let made = world.mirror(project);
    assert_eq!(names(&made), names(&expected), "{how}");
    for name in names(&made) {
        let (made, expected) = (made.join(&name), expected.join(&name));
        let same = std::fs::read(&made).unwrap() == std::fs::read(&expected).unwrap();
        assert!(same, "{how}: {} differs", name.display());
        let mode = |path: &Path| path.metadata().unwrap().mode();
        assert_eq!(mode(&made), mode(&expected), "{how}: {}", name.display());
    }
    assert_eq!(directories(&made), directories(&expected), "{how}");
}

#[test]
fn what_is_compiled_is_byte_for_byte_what_python_writes() {
    for interpreter in implementations() {
        let world = World::new();
        let body = "\"\"\"Zyx doc.\"\"\"\nimport zyxa, zyxb.zyxc as zyxd\nassert zyxa, 'zyx said'\n\
                    class Zyxk:\n    \"\"\"Zyx class.\"\"\"\n    zyxn = (1, -0.0, 2j, 'zyx one', b'zyx', ...)\n\
                    def zyxf(zyxg, *zyxh, zyxi=10 ** 40):\n    'Zyx function.'\n    \
                    return [zyxj for zyxj in zyxh if zyxj == 'm\u{fc}']\n";
        let project = world.project("p", &["plain.py"]);
        let sources = [
            world.write("p/a b/body.py", body),
            world.write("p/bom.py", format!("\u{feff}{body}")),
            world.write("p/dos.py", body.replace('\n', "\r\n")),
            world.write("p/empty.py", ""),
            world.write("p/latin.py", b"# coding: latin-1\nzyxl = 'zyx \xe9'\n"),
            world.write("p/no_end.py", "zyxm = 1"),
            project.join("plain.py"),
            world.write(Path::new("p").join(OsStr::from_bytes(b"\xff.py")), "zyxo = 1\n"),
        ];
        // The time is rounded as a double, the mode is the source's.
        for (index, (source, mode)) in
            sources.iter().zip([0o600, 0o640, 0o444, 0o755].into_iter().cycle()).enumerate()
        {
            let since = Duration::new(1_700_000_000 + index as u64, 999_999_900);
            let file = std::fs::File::options().write(true).open(source).unwrap();
            file.set_modified(std::time::UNIX_EPOCH + since).unwrap();
            std::fs::set_permissions(source, PermissionsExt::from_mode(mode)).unwrap();
        }
        let python = interpreter.path.as_os_str();
        compile_for_comparison(&world, interpreter, &sources, ("0", "TIMESTAMP"));
        let told = warm(&world, ["p".as_ref(), "--python".as_ref(), python]).exits(0);
        assert_eq!(told.stderr, "", "{told:?}");
        assert_as_expected(&world, &project, &interpreter.tag);
        // What is there is compiled again as it was.
        std::fs::remove_dir_all(world.home.join("expected")).unwrap();
        for how in [("0", "CHECKED_HASH"), ("1", "UNCHECKED_HASH"), ("2", "TIMESTAMP")] {
            compile_for_comparison(&world, interpreter, &sources, how);
        }
        for entry in files(&world.home.join("expected")) {
            let made = world.store.join(entry.strip_prefix(world.home.join("expected")).unwrap());
            // A magic that no release here ever had: above the newest known one, PyPy may have it one day.
            let mut bytes = std::fs::read(&entry).unwrap();
            bytes[..2].copy_from_slice(&256_u16.to_le_bytes());
            std::fs::write(made, bytes).unwrap();
        }
        let told = warm(&world, ["--all-stale"]).exits(0);
        let summary = format!("\ncompiled {} sources\n", 3 * sources.len());
        assert!(told.stdout.ends_with(&summary), "{}: {told:?}", interpreter.tag);
        assert_as_expected(&world, &project, &format!("{} --all-stale", interpreter.tag));
    }
}

#[test]
fn what_is_in_the_way_in_the_store_stays_and_is_not_followed() {
    let world = World::new();
    let project = world.project("p", &["a.py", "b.py", "c/d.py", "e/f.py"]);
    let elsewhere = world.write("elsewhere/kept", "kept").parent().unwrap().to_path_buf();
    let entry = |name: &str| world.entry(&project.join(name), newest(), "");
    std::fs::create_dir_all(entry("a.py")).unwrap();
    symlink(elsewhere.join("kept"), entry("b.py")).unwrap();
    symlink(&elsewhere, world.mirror(&project.join("c"))).unwrap();
    let told =
        warm(&world, ["-q".as_ref(), "p".as_ref(), "--python".as_ref(), newest().path.as_os_str()]).exits(1);
    let lines: Vec<&str> =
        told.stderr.lines().filter(|line| line.contains("cannot write the entry of ")).collect();
    assert_eq!(lines.len(), 3, "{told:?}");
    for (line, name) in lines.iter().zip(["a.py", "b.py", "c/d.py"]) {
        let start = format!("pycstore: cannot write the entry of {}: ", project.join(name).display());
        assert!(line.starts_with(&start), "{line}");
    }
    assert!(entry("a.py").is_dir() && entry("b.py").is_symlink() && entry("e/f.py").is_file());
    assert_eq!(std::fs::read_to_string(elsewhere.join("kept")).unwrap(), "kept");
    // No temporary stays.
    assert_eq!(files(&elsewhere), BTreeSet::from([elsewhere.join("kept")]));
    assert_eq!(
        files(&world.mirror(&project)).iter().filter(|path| path.is_file() && !path.is_symlink()).count(),
        1
    );
}

#[test]
fn a_tag_without_an_interpreter_is_reported() {
    let world = World::new();
    let project = world.project("p", &["a.py"]);
    world.compile(newest(), &[], &[&project]);
    let entry = world.entry(&project.join("a.py"), newest(), "");
    let mut bytes = std::fs::read(&entry).unwrap();
    bytes[..2].copy_from_slice(&384_u16.to_le_bytes());
    bytes[8] ^= 1;
    std::fs::write(entry.with_file_name("a.pypy310.pyc"), bytes).unwrap();
    let told = warm(&world, ["--all-stale"]).exits(2);
    assert_eq!(told.stderr, "pycstore: 1 entry not compiled: no interpreter found for pypy310\n");
    assert_eq!(told.stdout, "nothing compiled\n");
}

#[test]
fn neither_the_caller_nor_a_source_decides_what_the_interpreters_do() {
    let world = World::new();
    let project = world.project("p", &[]);
    environment(&world, newest(), "p/.venv");
    let evil = "import pathlib\npathlib.Path('/proc/self/cwd/RAN').touch()\npathlib.Path(__file__).with_name('RAN').touch()\n";
    for name in
        ["p/m.py", "p/py_compile.py", "p/os.py", "p/sitecustomize.py", "p/usercustomize.py", "p/encodings.py"]
    {
        world.write(name, evil);
    }
    world.write("p/.venv/lib/evil.pth", "import os; os.mkdir('RAN')\n");
    let mut command = world.program();
    command
        .env("PYTHONPYCACHEPREFIX", &world.store)
        .env("PYTHONPATH", &project)
        .env("PYTHONHOME", "/nowhere");
    command
        .env("PYTHONSTARTUP", project.join("m.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONOPTIMIZE", "2");
    insta::assert_snapshot!(answer(command.args(["warm", "."]).current_dir(&project)).shown(), @r"
    exit: 0
    ----- stdout -----
    COMPILED  FRESH  FAILED  TAG  INTERPRETER
           6  0  0  cpython-3.N  /home/me/p/.venv/bin/python
    compiled 6 sources
    ----- stderr -----
    ");
    assert!(files(&world.home).iter().all(|path| path.file_name() != Some(OsStr::new("RAN"))));
    // Only what was asked for, without optimization, and nothing of the interpreter's own library.
    let entries = files(&world.store);
    assert!(entries.iter().all(|entry| entry.starts_with(world.mirror(&project))), "{entries:?}");
    assert!(entries.contains(&world.entry(&project.join("m.py"), newest(), "")), "{entries:?}");
}

#[test]
fn an_interpreter_is_given_nothing_of_the_callers_environment() {
    let world = World::new();
    world.project("p", &["a.py"]);
    // As root the interpreter may run as another user.
    let [arguments, environment] = ["arguments", "environment"].map(|name| world.write(name, ""));
    for file in [&arguments, &environment] {
        std::fs::set_permissions(file, PermissionsExt::from_mode(0o666)).unwrap();
    }
    let script = format!(
        "#!/bin/sh\nprintf '%s ' \"$1\" \"$2\" \"$3\" >{}\nenv >{}\nexec {} \"$@\"\n",
        arguments.display(),
        environment.display(),
        newest().path.display()
    );
    let python = world.write("python", script);
    std::fs::set_permissions(&python, PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = world.program();
    command.env("PYTHONPYCACHEPREFIX", &world.store).env("LD_LIBRARY_PATH", "/nowhere").env("SECRET", "1");
    answer(command.args(["warm", "p", "--python", "./python"])).exits(0);
    assert!(world.entry(&world.home.join("p/a.py"), newest(), "").exists());
    assert_eq!(std::fs::read_to_string(arguments).unwrap(), "-I -S -B ");
    // What the shell adds by itself.
    let own = ["PWD=/", "SHLVL=", "_=", "OLDPWD="];
    let environment = std::fs::read_to_string(environment).unwrap();
    assert!(environment.lines().all(|line| own.iter().any(|own| line.starts_with(own))), "{environment}");
}

#[test]
fn an_interpreter_can_be_named_and_an_environment_goes_before_it() {
    let world = World::new();
    world.project("p", &["a.py"]);
    world.project("q", &["b.py"]);
    environment(&world, newest(), "q/.venv");
    let conda = world.write("conda/lib/c.py", "");
    world.write("conda/conda-meta/history", "");
    std::fs::create_dir(world.home.join("conda/bin")).unwrap();
    symlink(&newest().path, world.home.join("conda/bin/python")).unwrap();
    let python = oldest().path.to_str().unwrap();
    warm(&world, ["p", "q", "conda", "--python", python]).exits(0);
    assert!(world.entry(&world.home.join("p/a.py"), oldest(), "").exists());
    assert!(world.entry(&world.home.join("q/b.py"), newest(), "").exists());
    assert!(world.entry(&conda, newest(), "").exists());
    // By its name on PATH; relative to the working directory.
    std::fs::remove_dir_all(&world.store).unwrap();
    let directory = oldest().path.parent().unwrap();
    let mut command = world.program();
    command.env("PYTHONPYCACHEPREFIX", &world.store).env("PATH", directory);
    answer(command.args(["warm", "p", "--python"]).arg(oldest().path.file_name().unwrap())).exits(0);
    assert!(world.entry(&world.home.join("p/a.py"), oldest(), "").exists());
    insta::assert_snapshot!(warm(&world, ["p", "--python", "no-such-python"]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: no interpreter at no-such-python
    hint: `pycstore interpreters` lists those on this machine
    ");
}

#[test]
fn what_is_no_interpreter_that_knows_the_prefix_compiles_nothing() {
    let world = World::new();
    let project = world.project("p", &["a.py", "b.py"]);
    let script = |name: &str, text: &str| {
        let path = world.write(name, text);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path
    };
    // One that ends at once, one that ends at the first question, one that may not be run.
    let ends = script("ends", "#!/bin/sh\nexit 3\n");
    let breaks = script("breaks", "#!/bin/sh\nprintf '\\004\\000\\000\\000py-9'\nhead -c 1 >/dev/null\n");
    let refuses = world.write("refuses", "#!/bin/sh\n");
    for (python, lines, said) in [
        (&ends, 1, "it is no Python 3.8 or later that works"),
        (&breaks, 2, "breaks ended"),
        (&refuses, 1, "Permission denied"),
    ] {
        let told = warm(&world, ["p", "--python", python.to_str().unwrap()]).exits(if python == &breaks {
            1
        } else {
            2
        });
        assert_eq!(told.stderr.matches(said).count(), lines, "{told:?}");
        assert!(told.stdout.ends_with("\nnothing compiled, 2 failed\n"), "{told:?}");
    }
    // An interpreter has bounded memory (in KiB) and processor time (in seconds).
    let limits = script("limits", "#!/bin/sh\n{ ulimit -v; ulimit -t; ulimit -c; } > \"$0.told\"\nexit 3\n");
    warm(&world, ["p", "--python", limits.to_str().unwrap()]).exits(2);
    let told = std::fs::read_to_string(world.home.join("limits.told")).unwrap();
    assert!(told.starts_with("5242") && told.ends_with("\n6\n0\n"), "{told}");
    // Python before 3.8 would write beside the sources.
    let versions = Path::new(&std::env::var_os("HOME").unwrap()).join(".pyenv/versions");
    let old = std::fs::read_dir(versions).into_iter().flatten().flatten().map(|version| version.path());
    let old: Vec<PathBuf> =
        old.filter(|path| ["3.6.", "3.7."].iter().any(|old| path.to_str().unwrap().contains(old))).collect();
    if old.is_empty() {
        eprintln!("not tested with a Python before 3.8, for there is none in ~/.pyenv/versions");
    }
    for version in old {
        let python = version.join("bin/python");
        let told = warm(&world, ["p", "--python", python.to_str().unwrap()]).exits(2);
        assert!(told.stderr.contains("it is no Python 3.8 or later that works"), "{told:?}");
    }
    let told = files(&project);
    assert_eq!(told.len(), 3, "{told:?}");
    // An environment whose interpreter is gone.
    environment(&world, newest(), "p/.venv");
    for name in std::fs::read_dir(project.join(".venv/bin")).unwrap() {
        std::fs::remove_file(name.unwrap().path()).unwrap();
    }
    insta::assert_snapshot!(warm(&world, ["p"]).shown(), @r"
    exit: 2
    ----- stdout -----
    nothing compiled
    ----- stderr -----
    pycstore: 2 sources not compiled: /home/me/p/.venv has no interpreter
    ");
}

#[test]
fn faults_of_usage_do_nothing() {
    let world = World::new();
    let wrong = [&["missing"][..], &["/"], &["--all-stale", "--python", "x"]];
    let told = wrong.map(|arguments| warm(&world, arguments).exits(2).shown());
    insta::assert_snapshot!(told.concat(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: /home/me/missing does not exist
    hint: name a project, an environment or a source: pycstore warm ~/project
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: refused: / is the root directory
    hint: name a project, an environment or a source: pycstore warm ~/project
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: the argument '--all-stale' cannot be used with '--python <PYTHON>'
    hint: pycstore warm --all-stale [PATH]...; more: pycstore help warm
    ");
    world.project("p", &["a.py"]);
    insta::assert_snapshot!(warm(&world, ["--python", "/bin/true", "p"]).shown(), @r"
    exit: 2
    ----- stdout -----
    COMPILED  FRESH  FAILED  TAG  INTERPRETER
           0  0  1  -  /bin/true
    nothing compiled, 1 failed
    ----- stderr -----
    pycstore: cannot run /bin/true for 1 source: it is no Python 3.N or later that works
    ");
    insta::assert_snapshot!(warm(&world, ["missing", "p"]).shown(), @r"
    exit: 1
    ----- stdout -----
    COMPILED  FRESH  FAILED  TAG  INTERPRETER
           1  0  0  cpython-3.N  PYTHON
    compiled 1 source
    ----- stderr -----
    pycstore: /home/me/missing does not exist
    hint: name a project, an environment or a source: pycstore warm ~/project
    ");
    let world = World::new();
    let mut command = world.program();
    insta::assert_snapshot!(answer(command.arg("warm")).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: no store found: --store is not given, PYTHONPYCACHEPREFIX is not set, the configuration sets no store, and /home/me/.cache/cpython does not exist
    hint: specify one with `pycstore --store DIR …`, or set one up: pycstore setup
    ");
}

#[test]
fn the_library_of_an_installation_is_compiled_by_its_own_interpreter() {
    let world = World::new();
    let mut command = world.command(&oldest().path);
    let code = "import os; print(os.path.dirname(os.__file__))";
    let library = PathBuf::from(answer(command.args(["-I", "-B", "-c", code])).exits(0).stdout.trim());
    let told = warm(&world, [library.join("json")]).exits(0);
    assert_eq!(tags(&world).keys().collect::<Vec<_>>(), [&oldest().tag], "{told:?}");
}

#[test]
fn a_signal_leaves_the_rest() {
    let world = World::new();
    let project = world.project("p", &[]);
    let body = "def f(a):\n    return [a + i for i in range(a)]\n".repeat(2000);
    for number in 0..60 {
        std::fs::write(project.join(format!("m{number}.py")), &body).unwrap();
    }
    let mut command = world.program();
    command.env("PYTHONPYCACHEPREFIX", &world.store).args(["--threads", "1", "warm", "p"]);
    let child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let began = std::time::Instant::now();
    while !world.mirror(&project).exists() {
        assert!(began.elapsed() < Duration::from_secs(60), "it compiles nothing");
        std::thread::sleep(Duration::from_millis(5));
    }
    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(15), "{stderr}");
    assert!(stderr.contains("stopped early: at least "), "{stderr}");
    let compiled = files(&world.store).len();
    assert!(compiled > 0 && compiled < 60, "{compiled}");
    assert_eq!(tags(&world).values().sum::<usize>(), compiled);
}

/// The directories below one, by their paths from there.
fn directories(root: &Path) -> BTreeSet<PathBuf> {
    let entries = walkdir::WalkDir::new(root).into_iter().map(Result::unwrap);
    let directories = entries.filter(|entry| entry.file_type().is_dir());
    directories.map(|entry| entry.path().strip_prefix(root).unwrap().to_path_buf()).collect()
}

#[test]
fn python_finds_what_it_imports_through_the_directory_of_a_program() {
    for interpreter in interpreters() {
        let world = World::new();
        let project =
            world.project("p", &["lib/n1.py", "lib/n2.py", "data/note.txt", ".git/hooks/pre-commit"]);
        // No module is beside the program: nothing is compiled there.
        let program = world.write(
            "p/bin/deep/tool",
            "#!/usr/bin/env python3\nimport os, sys\nhere = os.path.dirname(os.path.abspath(__file__))\n\
             sys.path.insert(0, os.path.join(here, '..', '..', 'lib'))\nimport n1, n2\n",
        );
        let executable = PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, executable).unwrap();
        let hook = project.join(".git/hooks/pre-commit");
        std::fs::set_permissions(hook, PermissionsExt::from_mode(0o755)).unwrap();
        warm(&world, ["p".as_ref(), "--python".as_ref(), interpreter.path.as_os_str()]).exits(0);
        let run = world.python(interpreter).args(["-B", "-v"]).arg(&program).output().unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        let loaded = said.lines().filter(|line| {
            line.contains("code object from") && line.contains("/../lib/n") && line.contains(".pyc")
        });
        assert_eq!(loaded.count(), 2, "{}: {said}", interpreter.tag);
        // They are the directories that a run makes.
        let other = world.home.join("other");
        let mut run = world.python(interpreter);
        answer(run.env("PYTHONPYCACHEPREFIX", &other).arg(&program)).exits(0);
        let of_project = other.join(project.strip_prefix("/").unwrap());
        assert_eq!(directories(&world.mirror(&project)), directories(&of_project));
        assert!(!world.mirror(&project).join("data").exists());
        // They stay as long as what they mirror.
        let before = World::snapshot(&world.store);
        world.pycstore(["prune", "--orphans", "--stale"]).exits(0);
        assert!(World::snapshot(&world.store) == before);
    }
}

#[test]
fn python_finds_what_is_compiled_through_dots() {
    for interpreter in interpreters() {
        let world = World::new();
        world.project("p", &["lib/n1.py", "docs/deep/note.txt"]);
        let spelled = "p/docs/deep/../../lib";
        warm(&world, [spelled.as_ref(), "--python".as_ref(), interpreter.path.as_os_str()]).exits(0);
        // What is in PYTHONPATH loses its dots; what a program adds does not.
        let code = "import sys; sys.path.insert(0, sys.argv[1]); import n1";
        let mut python = world.python(interpreter);
        python.args(["-B", "-v", "-c", code]).arg(world.home.join(spelled));
        let said = answer(&mut python).exits(0).stderr;
        let is_loaded = |line: &&str| {
            line.contains("code object from") && line.contains("/../../lib/n1.") && line.contains(".pyc")
        };
        assert_eq!(said.lines().filter(is_loaded).count(), 1, "{}: {said}", interpreter.tag);
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_reported() {
    let world = World::new();
    world.project("p", &["lib/n1.py"]);
    let program = world.write("p/bin/tool", "#!/bin/sh\n");
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let mirror = world.mirror(&world.home.join("p"));
    std::fs::create_dir_all(&mirror).unwrap();
    std::fs::write(mirror.join("bin"), "in the way").unwrap();
    let told = warm(&world, ["p", "-q", "--python", newest().path.to_str().unwrap()]).exits(1).stderr;
    let expected = format!(
        "pycstore: cannot create the directory for {} in the store: Not a directory\n",
        world.home.join("p/bin").display()
    );
    assert_eq!(told, expected);
    assert!(world.entry(&world.home.join("p/lib/n1.py"), newest(), "").is_file());
}

#[test]
fn entries_with_a_checked_hash_outlive_a_checkout_that_touches_every_mtime() {
    let world = World::new();
    let project = world.project("p", &["a.py", "b.py"]);
    let python = newest().path.to_str().unwrap();
    let warm_as = |options: &[&str]| {
        let all = [&["p", "--json", "--python", python], options].concat();
        let document = warm(&world, all).exits(0).json();
        ["compiled", "fresh"].map(|count| document[count].as_u64().unwrap())
    };
    let modes = || -> BTreeSet<String> {
        let lines = world.pycstore(["ls", "--json"]).exits(0).json_lines();
        lines.iter().map(|line| format!("{} {}", line["invalidation"], line["status"])).collect()
    };
    let hashed = ["--invalidation-mode", "checked-hash", "-o", "0,2"];
    assert_eq!(warm_as(&hashed), [4, 0]);
    assert_eq!(modes(), BTreeSet::from([r#""checked-hash" "fresh""#.to_string()]));
    let entries = identities(&world.store);
    for source in ["a.py", "b.py"] {
        age(&project.join(source), 100 * HOUR);
    }
    // Neither Python nor warm has anything to write.
    for flags in [&[][..], &["-OO"]] {
        world.import(newest(), flags, &["p.a", "p.b"]);
    }
    let still = identities(&world.store);
    assert!(entries.iter().all(|(path, identity)| still.get(path) == Some(identity)), "{still:?}");
    assert_eq!(warm_as(&hashed), [0, 4]);
    assert_eq!(warm_as(&[]), [0, 2], "an entry that is fresh is kept, whatever its mode");
    assert_eq!(warm_as(&["--invalidation-mode", "timestamp"]), [2, 0]);

    // What nothing checks is compared here, or an edited source would never be compiled.
    let unchecked = ["--invalidation-mode", "unchecked-hash"];
    assert_eq!(warm_as(&unchecked), [2, 0]);
    world.write("p/a.py", "NAME = 'another'\n");
    assert_eq!(warm_as(&unchecked), [1, 1]);

    let mut command = world.program();
    command.env("PYTHONPYCACHEPREFIX", &world.store).env("SOURCE_DATE_EPOCH", "1700000000");
    answer(command.args(["warm", "p", "--python", python])).exits(0);
    let of_a = world.entry(&project.join("a.py"), newest(), "");
    let line = world.pycstore(["inspect".as_ref(), "--json".as_ref(), of_a.as_os_str()]).exits(0).json();
    assert_eq!(line["invalidation"], "checked-hash", "as py_compile does");
}
