//! `pycstore sweep`: of trees of sources exactly the superfluous bytecode goes. `adopt` has what moves.

mod adopt;

use crate::support::confinement::REFUSALS;
use crate::support::in_tree::{cached, caches, compile_everything, paths, sweep, takes};
use crate::support::special::make_pipe;
use crate::support::{
    HEADER, HOUR, World, age, answer, assert_only_gone, closed_pipe, compile_in_tree, files, implementations,
    newest,
};
use serde_json::json;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

#[test]
fn the_accident_of_the_one_liner_does_not_happen() {
    let world = World::new();
    world.write("tree/my proj/a.py", "A = 1\n");
    world.write("tree/my/b.py", "B = 1\n");
    world.write("tree/my/notes.txt", "the only copy\n");
    let tree = world.home.join("tree");
    compile_everything(&world, &[&tree]);
    let copy = world.home.join("copy");
    answer(world.command("cp").arg("-a").arg(&tree).arg(&copy)).exits(0);
    let one_liner = r"find . | grep -E '(/__pycache__$|\.pyc$|\.pyo$)' | xargs rm -rf";
    answer(world.command("sh").args(["-c", one_liner]).current_dir(&copy));
    assert!(!copy.join("my/notes.txt").exists(), "the one-liner has become harmless");
    assert!(!caches(&copy.join("my proj")).is_empty(), "the one-liner has become useful");

    let gone = caches(&tree);
    assert_eq!(gone.len(), 2);
    takes(&world, [&tree], &paths(&gone));
}

#[test]
fn any_name_is_an_ordinary_name_and_a_dry_run_says_the_same() {
    let world = World::new();
    let odd: [&[u8]; 8] = [
        b"a b",
        b"it's",
        b"double\"quote",
        b"new\nline",
        b"-rf",
        b"--help",
        b"\xff\xfe\x80",
        "\u{202e}méson".as_bytes(),
    ];
    let tree = world.home.join("tree");
    for name in odd {
        let name = OsStr::from_bytes(name);
        let source = [name.as_bytes(), b".py"].concat();
        world.write(Path::new("tree").join(name).join(OsStr::from_bytes(&source)), "A = 1\n");
    }
    world.write("tree/pyproject.toml", "");
    compile_everything(&world, &[&tree]);
    let gone = caches(&tree);
    assert_eq!(gone.len(), odd.len());
    let count = implementations().len() * 3 * odd.len();

    let dry = takes(&world, [OsStr::new("-n"), tree.as_os_str()], &[]);
    let real = takes(&world, [&tree], &paths(&gone));
    assert_eq!(
        (real.stdout.as_str(), real.stderr.as_str()),
        (&*dry.stdout.replace("would remove", "removed"), "")
    );
    let lines: Vec<&str> = real.stdout.lines().collect();
    let [heading, row, total] = lines[..] else { panic!("{}", real.stdout) };
    assert!(heading.ends_with("OWNER") && row.ends_with(tree.to_str().unwrap()), "{row}");
    assert!(total.starts_with(&format!("removed {count} files and {} directories, ", odd.len())), "{total}");
    let again = takes(&world, [&tree], &[]);
    assert_eq!((again.stdout.as_str(), again.stderr.as_str()), ("nothing to remove\n", ""));
}

#[test]
fn paths_on_the_command_line_may_have_any_name() {
    let world = World::new();
    for name in [&b"a b"[..], b"new\nline", b"-n", b"\xff"] {
        let directory = OsStr::from_bytes(name);
        world.write(Path::new(directory).join("m.py"), "");
        let tree = world.home.join(directory);
        compile_in_tree(&world, newest(), &[], &[&tree]);
        let gone = caches(&tree);
        // As a relative path, after which no option follows.
        takes(&world, [OsStr::new("--"), directory], &paths(&gone));
    }
}

#[test]
fn the_document_is_the_same_dry_or_not() {
    let world = World::new();
    let project = world.project("p", &["a.py", "pkg/b.py"]);
    let other = world.project("o", &["c.py"]);
    compile_in_tree(&world, newest(), &[], &[&project, &other]);
    let cache = project.join("__pycache__");
    std::fs::write(cache.join("README"), "").unwrap();
    std::fs::create_dir_all(project.join(".venv")).unwrap();
    std::fs::write(project.join(".venv/pyvenv.cfg"), "").unwrap();
    let arguments = [project.as_os_str(), other.as_os_str(), OsStr::new("--json")];
    let mut dry = sweep(&world, [&arguments[..], &[OsStr::new("-n")]].concat()).exits(0).json();
    let size = |path: &Path| files(path).iter().map(|file| file.metadata().unwrap().size()).sum::<u64>();
    let disk =
        |path: &Path| files(path).iter().map(|file| file.metadata().unwrap().blocks() * 512).sum::<u64>();
    std::fs::rename(cache.join("README"), world.home.join("README")).unwrap();
    let row = |root: &Path, count: u64| {
        let (bytes, disk) = caches(root).iter().fold((0, 0), |sum, it| (sum.0 + size(it), sum.1 + disk(it)));
        json!({"kind": "project", "root": root, "gone": false, "files": count, "bytes": bytes, "disk": disk,
               "adopted": {"files": 0, "bytes": 0, "disk": 0}})
    };
    let rows = [row(&project, 2), row(&other, 1)];
    std::fs::rename(world.home.join("README"), cache.join("README")).unwrap();
    let real = sweep(&world, arguments).exits(0).json();
    assert_eq!(dry["dry_run"], json!(true));
    dry["dry_run"] = json!(false);
    assert_eq!(dry, real);
    let sum = |field: &str| rows.iter().map(|row| row[field].as_u64().unwrap()).sum::<u64>();
    assert_eq!(
        real,
        json!({"schema": 1, "paths": [{"path": project}, {"path": other}], "store": null, "dry_run": false,
               "removed": {"files": 3, "directories": 2, "bytes": sum("bytes"), "disk": sum("disk")},
               "adopted": {"files": 0, "bytes": 0, "disk": 0}, "owners": rows,
               "skipped": [{"path": cache.join("README"), "why": "foreign"}],
               "left_alone": [{"path": project.join(".venv"), "why": "environment"}],
               "failures": [], "left": {"files": 0, "bytes": 0, "disk": 0}})
    );
}

#[test]
fn bytecode_beside_its_source_goes_and_a_module_without_a_source_stays() {
    let world = World::new();
    let tree = world.home.join("tree");
    for module in ["both.py", "alone.py", "dotted.name.py", "pkg/__init__.py"] {
        world.write(Path::new("tree").join(module), "NAME = 1\n");
    }
    compile_in_tree(&world, newest(), &["-b"], &[&tree]);
    for name in ["both.pyo", "old.pyo"] {
        std::fs::copy(tree.join("both.pyc"), tree.join(name)).unwrap();
    }
    // An entry of some other store, whose name has a cache tag; and what only has the name of bytecode.
    let entry = format!("both.{}.pyc", newest().tag);
    std::fs::copy(tree.join("both.pyc"), tree.join(&entry)).unwrap();
    std::fs::copy(tree.join("both.pyc"), tree.join(".pyc")).unwrap();
    std::fs::remove_file(tree.join("alone.py")).unwrap();
    world.write("tree/text.py", "");
    world.write("tree/text.pyc", "this is no bytecode");
    world.write("tree/short.py", "");
    world.write("tree/short.pyc", "\r\n");
    std::fs::create_dir(tree.join("both.py.pyc")).unwrap();
    let there = |names: &[&str]| -> Vec<PathBuf> { names.iter().map(|name| tree.join(name)).collect() };
    let superfluous = there(&["both.pyc", "both.pyo", "dotted.name.pyc", "pkg/__init__.pyc"]);
    let told = takes(&world, [&tree], &paths(&superfluous));
    assert_eq!(
        world.neutral(&told.stderr),
        "pycstore: kept /home/me/tree/short.pyc: it is not bytecode\n\
         pycstore: kept /home/me/tree/text.pyc: it is not bytecode\n\
         pycstore: kept /home/me/tree/alone.pyc: there is no source beside it, and Python may import it; --sourceless removes it\n\
         pycstore: kept /home/me/tree/old.pyo: there is no source beside it, and Python may import it; --sourceless removes it\n"
    );
    let quiet = takes(&world, [OsStr::new("-q"), tree.as_os_str()], &[]);
    assert_eq!(quiet.stdout, "");
    assert!(!quiet.stderr.contains("--sourceless") && quiet.stderr.contains("text.pyc"), "{}", quiet.stderr);
    // Python does import it.
    let mut python = world.command(&newest().path);
    answer(python.args(["-B", "-c", "import alone; print(alone.NAME)"]).current_dir(&tree)).exits(0);
    let sourceless = there(&["alone.pyc", "old.pyo"]);
    takes(&world, [OsStr::new("--sourceless"), tree.as_os_str()], &paths(&sourceless));
}

#[test]
fn a_source_that_is_no_file_is_no_source() {
    let world = World::new();
    let tree = world.home.join("tree");
    world.write("tree/real.py", "NAME = 1\n");
    compile_in_tree(&world, newest(), &["-b"], &[&tree]);
    for name in ["directory", "dangling", "linked"] {
        std::fs::copy(tree.join("real.pyc"), tree.join(name).with_extension("pyc")).unwrap();
    }
    std::fs::create_dir(tree.join("directory.py")).unwrap();
    symlink("nowhere", tree.join("dangling.py")).unwrap();
    symlink("real.py", tree.join("linked.py")).unwrap();
    takes(&world, [&tree], &[&tree.join("real.pyc"), &tree.join("linked.pyc")]);
}

#[test]
fn what_python_did_not_write_stays_with_its_directory() {
    let world = World::new();
    let tree = world.home.join("tree");
    let tag = &newest().tag;
    world.write("tree/outside", HEADER);
    let named = |stem: &str| format!("{stem}.{tag}.pyc");
    type Make<'a> = (&'a str, &'a str, &'a dyn Fn(&Path));
    let write = |contents: &'static [u8]| move |path: &Path| std::fs::write(path, contents).unwrap();
    let fifo = |path: &Path| make_pipe(path).unwrap();
    let link = |path: &Path| symlink(tree.join("outside"), path).unwrap();
    let directory = |path: &Path| std::fs::create_dir(path).unwrap();
    let (header, text, empty) = (write(HEADER), write(b"plain text, all of it"), write(b""));
    let (m, zeros) = (named("m"), write(&[0; 100]));
    let cases: [Make<'_>; 13] = [
        ("readme", "README", &text),
        ("numba-index", "f.f-1.py312.nbi", &text),
        ("numba-code", "f.f-1.py312.1.nbc", &header),
        ("untagged", "m.pyc", &header),
        ("shared-object", "m.so", &header),
        ("text", &m, &text),
        ("zeros", &m, &zeros),
        ("empty", &m, &empty),
        ("link", &m, &link),
        ("pipe", &m, &fifo),
        ("directory", &m, &directory),
        ("upper", "m.cpython-312.PYC", &header),
        ("backup", "m.cpython-312.pyc~", &header),
    ];
    let mut gone = Vec::new();
    for (name, file, make) in cases {
        world.write(format!("tree/{name}/m.py"), "");
        world.write(format!("tree/{name}/other.py"), "");
        let source = tree.join(name).join("other.py");
        compile_in_tree(&world, newest(), &[], &[&source]);
        make(&tree.join(name).join("__pycache__").join(file));
        gone.push(cached(&source, newest(), ""));
    }
    // Where nothing else lies, the directory goes; an empty one as well.
    world.write("tree/clean/m.py", "");
    std::fs::create_dir_all(tree.join("hollow/__pycache__")).unwrap();
    compile_in_tree(&world, newest(), &[], &[&tree.join("clean")]);
    gone.extend([tree.join("clean/__pycache__"), tree.join("hollow/__pycache__")]);
    let told = takes(&world, [&tree], &paths(&gone));
    for (name, file, _) in cases {
        let kept = tree.join(name).join("__pycache__").join(file);
        // Of a directory within it the one around is named.
        let kept = if name == "directory" { kept.parent().unwrap() } else { &kept };
        assert!(told.stderr.contains(&format!("kept {}: ", kept.display())), "{name}: {}", told.stderr);
    }
    let numbas = told.stderr.lines().filter(|line| line.contains("it is numba's")).count();
    assert_eq!((numbas, told.stderr.lines().count()), (2, cases.len()), "{}", told.stderr);
}

#[test]
fn dead_entries_and_old_temporaries_go_and_young_ones_stay() {
    let world = World::new();
    let tree = world.home.join("tree");
    world.write("tree/m.py", "");
    world.write("tree/gone.py", "");
    compile_in_tree(&world, newest(), &[], &[&tree]);
    std::fs::remove_file(tree.join("gone.py")).unwrap();
    let entry = cached(&tree.join("m.py"), newest(), "");
    let temporary = |suffix: &str| entry.with_extension(format!("pyc.{suffix}"));
    let beside = |name: &str| tree.join(name);
    for (path, ago) in [
        (temporary("1"), 2 * HOUR),
        (temporary("140123456"), HOUR / 2),
        (beside("m.pyc.77"), 2 * HOUR),
        (beside("m.pyc.78"), HOUR / 2),
        (beside("alone.pyc.77"), 2 * HOUR),
    ] {
        std::fs::write(&path, HEADER).unwrap();
        age(&path, ago);
    }
    let dead = cached(&tree.join("gone.py"), newest(), "");
    let told = takes(&world, [&tree], &[&entry, &dead, &temporary("1"), &beside("m.pyc.77")]);
    assert_eq!(told.stderr.matches("less than an hour old").count(), 2, "{}", told.stderr);
    age(&temporary("140123456"), 2 * HOUR);
    takes(&world, [&tree], &[&tree.join("__pycache__")]);
}

#[test]
fn copies_that_synchronisers_make_go_as_temporaries() {
    let world = World::new();
    let tree = world.home.join("tree");
    let source = world.write("tree/m.py", "");
    compile_in_tree(&world, newest(), &[], &[&tree]);
    let entry = cached(&source, newest(), "");
    let copy = |mark: &str, ago| {
        let name = entry.file_stem().unwrap().to_str().unwrap();
        let path = entry.with_file_name(format!("{name}{mark}.pyc"));
        std::fs::copy(&entry, &path).unwrap();
        age(&path, ago);
        path
    };
    let old = [" 2", " (1)", ".sync-conflict-20260101-120000-ABCDEFG"].map(|mark| copy(mark, 2 * HOUR));
    let young = copy(" 3", HOUR / 2);
    let own = copy(" (my own)", 2 * HOUR);
    let told = takes(&world, [&tree], &[&entry, &old[0], &old[1], &old[2]]);
    assert_eq!(told.stderr.matches("less than an hour old").count(), 1, "{}", told.stderr);
    assert!(young.exists() && own.exists());
}

/// An environment as `python -m venv` makes it, with a module in it.
fn environment(world: &World, path: &str) -> PathBuf {
    let environment = world.home.join(path);
    let mut command = world.command(&newest().path);
    answer(command.args(["-B", "-m", "venv", "--without-pip"]).arg(&environment)).exits(0);
    let library = std::fs::read_dir(environment.join("lib")).unwrap().next().unwrap().unwrap().path();
    let module = library.join("site-packages/installed.py");
    std::fs::write(&module, "A = 1\n").unwrap();
    environment
}

#[test]
fn what_others_manage_is_left_alone_unless_it_is_named() {
    let world = World::new();
    let project = world.project("p", &["a.py", "build/b.py", "deep/build/c.py", "deep/keep_me.py"]);
    environment(&world, "p/.venv");
    world.write("p/conda/conda-meta/history", "");
    for place in [".git", ".hg", ".svn", "node_modules", "conda"] {
        world.write(format!("p/{place}/tool/m.py"), "");
    }
    compile_in_tree(&world, newest(), &[], &[&project]);
    let all = caches(&project);
    let within = |places: &[&str]| -> Vec<PathBuf> {
        let places: Vec<PathBuf> = places.iter().map(|place| project.join(place)).collect();
        all.iter().filter(|cache| places.iter().any(|place| cache.starts_with(place))).cloned().collect()
    };
    for place in [".venv", "conda", ".git", ".hg", "node_modules"] {
        assert!(!within(&[place]).is_empty(), "{place} has no bytecode");
    }
    // A name alone is meant anywhere, a path as it is written.
    let (build, deep) = (project.join("build/**"), project.join("deep"));
    let build = build.to_str().unwrap();
    let told = takes(
        &world,
        [project.to_str().unwrap(), "--ignore", "keep_me.*", "--ignore", "deep", "--ignore", build],
        &paths(&[project.join("__pycache__")]),
    );
    assert_eq!(
        world.neutral(&told.stderr),
        "pycstore: skipped /home/me/p/.venv: it is an environment; to sweep it: give its path, or --include-environments\n\
         pycstore: skipped /home/me/p/conda: it is an environment; to sweep it: give its path, or --include-environments\n"
    );
    let kept = cached(&deep.join("keep_me.py"), newest(), "");
    takes(&world, [project.to_str().unwrap(), "--ignore", "keep_me.*", "--ignore", "build"], &[]);
    let gone = [within(&["build"]), within(&["deep/build"])].concat();
    takes(&world, [project.to_str().unwrap(), "--ignore", "keep_me.*"], &paths(&gone));
    takes(&world, [&project], &[kept.parent().unwrap()]);
    // Named, each is swept, also together with what is around it.
    let tools = within(&[".git", "node_modules"]);
    takes(&world, [&project.join(".git"), &project.join("node_modules")], &paths(&tools));
    let venv = within(&[".venv"]);
    let told = takes(&world, [&project, &project.join(".venv")], &paths(&venv));
    assert!(!told.stderr.contains(".venv") && told.stderr.contains("p/conda"), "{}", told.stderr);
    let conda = within(&["conda"]);
    takes(&world, [project.to_str().unwrap(), "--include-environments"], &paths(&conda));
    // A glob that means nothing is a fault of usage.
    insta::assert_snapshot!(sweep(&world, [project.to_str().unwrap(), "--ignore", "a/b"]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: the glob `a/b` matches nothing: it begins neither with / nor with **
    hint: a glob is a name, such as 'build', or an absolute path, such as '/home/me/work/**'
    ");
}

#[test]
fn no_link_is_followed_out_of_the_tree() {
    for refusals in REFUSALS {
        let world = World::new();
        let outside = world.project("outside", &["o.py"]);
        let tree = world.project("tree", &["m.py", "linked/x.py"]);
        compile_in_tree(&world, newest(), &[], &[&outside, &tree.join("m.py")]);
        symlink(outside.join("__pycache__"), tree.join("linked/__pycache__")).unwrap();
        symlink(&outside, tree.join("project")).unwrap();
        symlink("..", tree.join("up")).unwrap();
        symlink("/", tree.join("top")).unwrap();
        symlink(".", tree.join("loop")).unwrap();
        let entry = cached(&outside.join("o.py"), newest(), "");
        symlink(&entry, tree.join("__pycache__").join(entry.file_name().unwrap())).unwrap();
        symlink(&entry, tree.join("m.pyc")).unwrap();
        let before = World::snapshot(&world.home);
        let told = world.pycstore_refused(refusals, [OsStr::new("sweep"), tree.as_os_str()]).exits(0);
        let gone = cached(&tree.join("m.py"), newest(), "");
        assert_only_gone(&before, &World::snapshot(&world.home), &[&gone]);
        assert!(told.stderr.contains("linked/__pycache__: it is a symbolic link"), "{}", told.stderr);
        // Named, a link to a directory is what it leads to; a `__pycache__` that is one is not.
        let named = world
            .pycstore_refused(refusals, [OsStr::new("sweep"), tree.join("linked/__pycache__").as_os_str()]);
        assert!(named.exits(2).stderr.contains("not a directory: "), "{refusals}");
        let outside_gone = outside.join("__pycache__");
        let project = tree.join("project");
        world.pycstore_refused(refusals, [OsStr::new("sweep"), project.as_os_str()]).exits(0);
        assert_only_gone(&before, &World::snapshot(&world.home), &[&gone, &outside_gone]);
    }
}

#[test]
fn what_belongs_to_the_system_is_refused() {
    let world = World::new();
    // Dry runs, for if they were not refused there is much to lose.
    for (path, why) in [
        ("/", "is the root directory"),
        ("/..", "is the root directory"),
        ("/proc/self/root", "is the root directory"),
        ("/usr", "belongs to the package manager"),
        ("/usr/lib/python3", "belongs to the package manager"),
    ] {
        if !Path::new(path).exists() {
            continue;
        }
        let told = sweep(&world, ["-n", path]).exits(2);
        assert!(told.stdout.is_empty() && told.stderr.contains(why), "{path}: {told:?}");
        assert!(told.stderr.contains("\nhint: "), "{path}: {told:?}");
    }
    insta::assert_snapshot!(sweep(&world, ["-n", "/", "--system"]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: refused: / is the root directory
    hint: specify your own source trees: pycstore sweep ~/project
    ");
    // What a real installation consists of, in small.
    let library = world.home.join("py/lib/python3.12");
    for module in ["os.py", "encodings/__init__.py", "importlib/__init__.py", "site-packages/x.py"] {
        world.write(library.join(module), "");
    }
    world.write("py/tool/m.py", "");
    let root = world.home.join("py");
    compile_in_tree(&world, newest(), &[], &[&root]);
    let told = takes(&world, [&root], &[&root.join("tool/__pycache__")]);
    assert!(told.stderr.contains("lib/python3.12: it belongs to an installation of Python"), "{told:?}");
    let inside = library.join("site-packages");
    insta::assert_snapshot!(sweep(&world, [&inside]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: refused: /home/me/py/lib/python3.N/site-packages belongs to an installation of Python
    hint: to sweep it, too: --system
    ");
    // One that is refused does not stop the others.
    compile_in_tree(&world, newest(), &[], &[&root.join("tool")]);
    let before = World::snapshot(&world.home);
    sweep(&world, [&inside, &root.join("tool")]).exits(1);
    assert_only_gone(&before, &World::snapshot(&world.home), &[&root.join("tool/__pycache__")]);
    let all = caches(&root);
    takes(&world, [root.as_os_str(), OsStr::new("--system")], &paths(&all));
    let real =
        sweep(&world, [OsStr::new("-n"), newest().path.parent().unwrap().parent().unwrap().as_os_str()]);
    assert!(real.code == 2 || real.stderr.contains("it belongs to an installation of Python"), "{real:?}");
}

#[test]
fn the_store_is_not_swept() {
    let world = World::new();
    let project = world.project("p", &["a.py"]);
    world.compile(newest(), &[], &[&project]);
    compile_in_tree(&world, newest(), &[], &[&project]);
    // What should never be in a store, and would be swept anywhere else.
    let odd = world.write(".cache/cpython/odd/__pycache__/a.cpython-312.pyc", HEADER);
    takes(&world, [&world.home], &[&project.join("__pycache__")]);
    // Other stores on the way are nobody's sources either, whatever is asked.
    let other = ["--store", "elsewhere", "--sourceless"];
    let before = World::snapshot(&world.home);
    let mut command = world.program();
    answer(command.args(["sweep"]).arg(&world.home).args(other)).exits(0);
    assert_only_gone(&before, &World::snapshot(&world.home), &[odd.parent().unwrap()]);
    let told = [&world.store, &world.mirror(&project)].map(|path| sweep(&world, [path]).exits(2).shown());
    insta::assert_snapshot!(told.concat(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: refused: /home/me/.cache/cpython lies in the store
    hint: to remove entries of the store: pycstore prune
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: refused: /home/me/.cache/cpython/home/me/p lies in the store
    hint: to remove entries of the store: pycstore prune
    ");
}

#[test]
fn directories_that_are_left_empty_go_when_asked() {
    let world = World::new();
    let tree = world.project("tree", &["kept/a.py", "gone/deep/b.py", "mixed/c.py", "mixed/d.py"]);
    std::fs::create_dir_all(tree.join("uploads")).unwrap();
    std::fs::create_dir_all(tree.join("gone/uploads")).unwrap();
    compile_in_tree(&world, newest(), &[], &[&tree]);
    std::fs::remove_file(tree.join("gone/deep/b.py")).unwrap();
    let before = World::snapshot(&world.home);
    let dry = sweep(&world, [tree.as_os_str(), OsStr::new("--empty-directories"), OsStr::new("-n")]).exits(0);
    insta::assert_snapshot!(dry.shown(), @r"
    exit: 0
    ----- stdout -----
    SIZE  FILES  OWNER
    SIZE  4  /home/me/tree
    would remove 4 files and 4 directories, SIZE
    ----- stderr -----
    ");
    let gone = [caches(&tree), vec![tree.join("gone/deep")]].concat();
    let real = takes(&world, [tree.as_os_str(), OsStr::new("--empty-directories")], &paths(&gone));
    assert_eq!(real.stdout, dry.stdout.replace("would remove", "removed"));
    assert!(before.len() > gone.len() && tree.join("uploads").is_dir() && tree.join("gone/uploads").is_dir());
    // What was empty before is somebody's; PATH itself stays in any case.
    let alone = world.write("alone/m.py", "");
    compile_in_tree(&world, newest(), &[], &[&alone]);
    std::fs::remove_file(&alone).unwrap();
    let alone = world.home.join("alone");
    takes(&world, [alone.as_os_str(), OsStr::new("--empty-directories")], &[&alone.join("__pycache__")]);
}

#[test]
fn a_pycache_may_be_named_and_overlapping_paths_count_once() {
    let world = World::new();
    let tree = world.project("tree", &["a.py", "pkg/b.py", "pkg/sub/c.py"]);
    compile_in_tree(&world, newest(), &["-b"], &[&tree.join("a.py")]);
    compile_in_tree(&world, newest(), &[], &[&tree]);
    let (cache, pkg) = (tree.join("__pycache__"), tree.join("pkg"));
    let told = takes(&world, [&cache], &[&cache]);
    assert!(told.stdout.ends_with("removed 1 file and 1 directory, 4 KiB\n"), "{}", told.stdout);
    compile_in_tree(&world, newest(), &[], &[&tree]);
    symlink(&pkg, world.home.join("link")).unwrap();
    let many = [
        tree.clone(),
        pkg.clone(),
        tree.join("pkg/../pkg"),
        world.home.join("link"),
        cache,
        pkg.join("__pycache__"),
    ];
    let arguments: Vec<&OsStr> = many.iter().map(|path| path.as_os_str()).collect();
    let dry = sweep(&world, [&arguments[..], &[OsStr::new("-n")]].concat()).exits(0);
    insta::assert_snapshot!(dry.shown(), @r"
    exit: 0
    ----- stdout -----
    SIZE  FILES  OWNER
    SIZE  4  /home/me/tree
    would remove 4 files and 3 directories, SIZE
    ----- stderr -----
    ");
    let gone = [caches(&tree), vec![tree.join("a.pyc")]].concat();
    let real = takes(&world, arguments, &paths(&gone));
    assert_eq!(real.stdout, dry.stdout.replace("would remove", "removed"));
}

#[test]
fn what_cannot_be_read_or_removed_is_reported_and_the_rest_goes() {
    let world = World::new();
    let tree = world.project("tree", &["a.py", "closed/b.py", "fixed/c.py", "secret/d.py"]);
    compile_in_tree(&world, newest(), &[], &[&tree]);
    let mode = |path: &str, mode| {
        std::fs::set_permissions(tree.join(path), PermissionsExt::from_mode(mode)).unwrap();
    };
    let secret = cached(&tree.join("secret/d.py"), newest(), "");
    // The copy of the program and the new owner come before the modes.
    drop(world.unprivileged());
    mode("closed", 0);
    mode("fixed/__pycache__", 0o555);
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o000)).unwrap();
    let command = |arguments: &[&str]| {
        let program = world.home.parent().unwrap().join("pycstore");
        let is_root = rustix::process::geteuid().is_root();
        let mut command =
            world.command(if is_root { program } else { env!("CARGO_BIN_EXE_pycstore").into() });
        if is_root {
            use std::os::unix::process::CommandExt;
            command.uid(65534).gid(65534);
        }
        command.arg("sweep").arg(&tree).args(arguments);
        command
    };
    let told = answer(&mut command(&[])).exits(1);
    insta::assert_snapshot!(told.shown(), @r"
    exit: 1
    ----- stdout -----
    SIZE  FILES  OWNER
    SIZE  1  /home/me/tree
    removed 1 file and 1 directory, SIZE
    ----- stderr -----
    pycstore: kept /home/me/tree/secret/__pycache__/d.cpython-3.N.pyc: its first bytes cannot be read
    pycstore: cannot remove /home/me/tree/fixed/__pycache__/c.cpython-3.N.pyc: Permission denied
    pycstore: cannot read the directory /home/me/tree/closed: Permission denied
    pycstore: cannot read /home/me/tree/secret/__pycache__/d.cpython-3.N.pyc: Permission denied
    ");
    mode("closed", 0o755);
    mode("fixed/__pycache__", 0o755);
    assert!(!tree.join("__pycache__").exists() && secret.exists(), "{told:?}");
    assert!(cached(&tree.join("fixed/c.py"), newest(), "").exists(), "{told:?}");
    // A document says the same.
    let document = answer(&mut command(&["--json", "-n"])).exits(1).json();
    assert_eq!(document["skipped"][0]["why"], "unreadable", "{document}");
}

#[test]
fn faults_of_usage_do_nothing() {
    let world = World::new();
    sweep(&world, [] as [&str; 0]).exits(2);
    world.write("file", "");
    let shown = ["missing", "file"].map(|path| sweep(&world, [path]).exits(2).shown()).concat();
    insta::assert_snapshot!(shown, @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: /home/me/missing does not exist
    hint: specify a directory of sources: pycstore sweep ~/project
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: not a directory: /home/me/file
    hint: specify a directory of sources: pycstore sweep ~/project
    ");
    let mut command = world.program();
    insta::assert_snapshot!(answer(command.args(["sweep", ".", "--adopt"])).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: no store found: --store is not given, PYTHONPYCACHEPREFIX is not set, the configuration sets no store, and /home/me/.cache/cpython does not exist
    hint: specify one with `pycstore --store DIR …`, or set one up: pycstore setup
    ");
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let world = World::new();
    let tree = world.project("tree", &["a.py"]);
    compile_in_tree(&world, newest(), &[], &[&tree]);
    let mut command = world.program();
    let status = command.arg("sweep").arg(&tree).stdout(closed_pipe()).status().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(caches(&tree).is_empty());
}

#[test]
fn a_terminal_gets_no_control_characters() {
    let world = World::new();
    world.write(OsString::from_vec(b"p\x1b[31m\n/pyproject.toml".to_vec()), "");
    world.write(OsString::from_vec(b"p\x1b[31m\n/m.py".to_vec()), "");
    let tree = world.home.join(OsStr::from_bytes(b"p\x1b[31m\n"));
    compile_in_tree(&world, newest(), &[], &[&tree]);
    std::fs::write(tree.join("__pycache__/note"), "").unwrap();
    for columns in [40, 80, 200] {
        let arguments = [OsStr::new("--color=never"), "sweep".as_ref(), tree.as_os_str(), "-n".as_ref()];
        let shown = world.pycstore_on_terminal(columns, arguments);
        assert!(!shown.contains(&0x1b) && !shown.is_empty(), "{}", String::from_utf8_lossy(&shown));
    }
}
