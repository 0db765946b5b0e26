//! `pycstore interpreters`: what it reads from the disk is what each interpreter says of itself when it is run.

use crate::support::{Answer, World, answer, interpreters, newest};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs on 2.7 and on everything since.
const ASK: &str = "
import json, os, sys
try:
    from importlib.util import MAGIC_NUMBER as magic
except ImportError:
    import imp
    magic = imp.get_magic()
magic = bytearray(magic)
print(json.dumps({
    'prefix': os.path.realpath(getattr(sys, 'base_prefix', sys.prefix)),
    'tag': getattr(getattr(sys, 'implementation', None), 'cache_tag', None),
    'magic': magic[0] | magic[1] << 8,
    'minor': '%d.%d' % sys.version_info[:2],
    'patch': '%d.%d.%d' % sys.version_info[:3],
    'final': sys.version_info[3] == 'final',
    'uses_store': hasattr(sys, 'pycache_prefix'),
}))
";

/// Every Python that can be run here, by path, with what it says of itself.
pub fn asked() -> BTreeMap<PathBuf, Value> {
    let mut directories: Vec<PathBuf> =
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    let versions = fs::read_dir(pyenv_root().join("versions")).into_iter().flatten().flatten();
    directories.extend(versions.map(|version| version.path().join("bin")));
    let mut names =
        vec!["python".to_string(), "python2".into(), "python3".into(), "pypy".into(), "pypy3".into()];
    names.extend((6..30).flat_map(|minor| [format!("python3.{minor}"), format!("pypy3.{minor}")]));
    let mut asked = BTreeMap::new();
    for path in directories.iter().flat_map(|directory| names.iter().map(|name| directory.join(name))) {
        let output = Command::new(&path)
            .env_clear()
            .args(["-E", "-s", "-c", ASK])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        if let Some(output) = output.ok().filter(|output| output.status.success()) {
            asked.insert(path, serde_json::from_slice(&output.stdout).expect("JSON of an interpreter"));
        }
    }
    assert!(asked.len() >= interpreters().len(), "interpreters that ran before run now");
    asked
}

fn pyenv_root() -> PathBuf {
    let home = std::env::var_os("HOME").unwrap_or_default();
    std::env::var_os("PYENV_ROOT").map_or_else(|| Path::new(&home).join(".pyenv"), PathBuf::from)
}

/// The program, with nothing of our own environment but what tells where the Pythons are.
fn program(world: &World) -> Command {
    let mut command = world.program();
    command.env("PYENV_ROOT", pyenv_root());
    command
}

/// The listing; on a machine where something stays open the exit code is 1, which is no matter here.
fn listed(command: &mut Command) -> (Answer, Vec<Value>) {
    let answer = answer(command.args(["interpreters", "--json"]));
    assert!(answer.code <= 1, "{answer:?}");
    let lines = answer.json_lines();
    (answer, lines)
}

#[test]
fn every_interpreter_that_runs_is_found_as_it_says_of_itself() {
    let world = World::new();
    let (listing, lines) = listed(&mut program(&world));
    for (path, said) in asked() {
        let fits = |line: &&Value| line["prefix"] == said["prefix"] && line["tag"] == said["tag"];
        let Some(line) = lines.iter().find(fits) else {
            panic!("{}: {said} is not in\n{}", path.display(), listing.stdout);
        };
        assert_eq!(line["uses_store"], said["uses_store"], "{}", path.display());
        let version = line["version"].as_str().unwrap();
        let patch = said["patch"].as_str().unwrap();
        if said["final"] == true {
            assert!(said["minor"] == version || patch == version, "{}: {version}", path.display());
        } else {
            assert!(said["minor"] == version || version.starts_with(patch), "{}: {version}", path.display());
        }
        // What is not CPython does not state its magic anywhere, nor does Python 2. From 3.14 on only the C headers
        // state it, and not everybody has them.
        let is_stated = line["implementation"] == "cpython" && !said["tag"].is_null();
        let minor = said["minor"].as_str().unwrap().strip_prefix("3.");
        let may_lack = minor.is_some_and(|minor| minor.parse::<u32>().unwrap() >= 14);
        assert!(
            line["magic"] == said["magic"] || (line["magic"].is_null() && (!is_stated || may_lack)),
            "{}: {line}",
            path.display()
        );
        assert!(is_stated || line["magic"].is_null(), "{}: {line}", path.display());
    }
}

#[test]
fn each_line_of_the_listing_is_an_interpreter_of_its_own() {
    let world = World::new();
    let (_, lines) = listed(&mut program(&world));
    let mut keys: Vec<String> = lines
        .iter()
        .map(|line| {
            format!(
                "{} {} {} {}",
                line["prefix"], line["implementation"], line["version"], line["free_threaded"]
            )
        })
        .collect();
    let count = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), count, "{keys:?}");
    for line in &lines {
        assert_eq!(line["schema"], 1);
        if let Some(executable) = line["executable"].as_str() {
            assert!(Path::new(executable).is_file(), "{line}");
        }
    }
}

#[test]
fn the_table_says_the_same() {
    let world = World::new();
    let (_, lines) = listed(&mut program(&world));
    let table = answer(program(&world).arg("interpreters"));
    let rows: Vec<Vec<&str>> = table.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["VERSION", "TAG", "MAGIC", "FOUND", "BY", "PREFIX"]);
    assert_eq!(rows.len(), lines.len() + 1);
    for (row, line) in rows[1..].iter().zip(&lines) {
        assert!(row[0].starts_with(line["version"].as_str().unwrap()), "{row:?} {line}");
        let (tag, magic) = match line["uses_store"] == true {
            true => (
                line["tag"].as_str().unwrap(),
                line["magic"].as_u64().map_or("unknown".into(), |it| it.to_string()),
            ),
            false => ("-", "-".to_string()),
        };
        assert_eq!((row[1], row[2]), (tag, magic.as_str()));
        assert!(line["prefix"].as_str().unwrap().ends_with(row.last().unwrap()), "{row:?} {line}");
    }
}

#[test]
fn a_fresh_virtualenv_leads_to_the_interpreter_that_made_it() {
    let world = World::new();
    let mut bases: BTreeMap<String, (PathBuf, Value)> = BTreeMap::new();
    for (path, said) in asked() {
        if !said["tag"].is_null() {
            bases.entry(format!("{} {}", said["prefix"], said["tag"])).or_insert((path, said));
        }
    }
    for (number, (path, said)) in bases.values().enumerate() {
        let is_cpython = said["tag"].as_str().unwrap().starts_with("cpython-");
        // PyPy cannot be copied without its shared library.
        let kinds: &[&str] = if is_cpython { &["--symlinks", "--copies"] } else { &["--symlinks"] };
        for kind in kinds {
            let root = world.home.join(format!("env{number}{kind}"));
            let made = answer(
                world.command(path).args(["-E", "-s", "-m", "venv", "--without-pip", kind]).arg(&root),
            );
            assert_eq!(made.code, 0, "{} makes a virtualenv: {made:?}", path.display());
            let mut command = world.program();
            command.env("PATH", "/nonexistent").env("VIRTUAL_ENV", &root);
            let (listing, lines) = listed(&mut command);
            let by = OsString::from("virtualenv");
            let found: Vec<&Value> = lines
                .iter()
                .filter(|line| line["found_by"].as_array().unwrap().contains(&by.to_str().into()))
                .collect();
            let [line] = found.as_slice() else { panic!("{kind} {said}:\n{}", listing.stdout) };
            assert_eq!((&line["prefix"], &line["tag"]), (&said["prefix"], &said["tag"]), "{kind}");
        }
    }
}

#[test]
fn what_writes_to_the_store_is_betrayed_by_it() {
    let world = World::new();
    let base = newest();
    let root = world.home.join("env");
    let made = answer(world.command(&base.path).args(["-E", "-s", "-m", "venv", "--without-pip"]).arg(&root));
    assert_eq!(made.code, 0, "{made:?}");
    let minor = base.tag.strip_prefix("cpython-3").unwrap();
    world.write(format!("env/lib/python3.{minor}/site-packages/only.py"), "");
    let found_by = |store: &str| {
        let mut command = program(&world);
        let (_, lines) = listed(command.env("PYTHONPYCACHEPREFIX", world.home.join(store)));
        let real = base.path.canonicalize().unwrap();
        let line = lines.into_iter().find(|line| line["executable"] == real.to_str().unwrap()).unwrap();
        let found_by: Vec<String> = serde_json::from_value(line["found_by"].clone()).unwrap();
        ["virtualenv", "store"].map(|name| found_by.iter().any(|by| by == name))
    };
    let compile = |store: &str, source: &Path| {
        let code =
            "import py_compile, sys; sys.pycache_prefix = sys.argv[1]; py_compile.compile(sys.argv[2])";
        let mut command = world.command(&base.path);
        answer(command.args(["-B", "-c", code]).arg(world.home.join(store)).arg(source)).exits(0);
    };
    assert_eq!(found_by("none"), [false, false]);
    compile("of-env", &root.join(format!("lib/python3.{minor}/site-packages/only.py")));
    assert_eq!(found_by("of-env"), [true, false]);
    let ask = "import colorsys; print(colorsys.__file__)";
    let library = answer(world.command(&base.path).args(["-B", "-c", ask])).exits(0).stdout;
    compile("of-base", Path::new(library.trim_end()));
    assert_eq!(found_by("of-base"), [false, true]);
}

#[test]
fn a_store_that_is_none_does_not_keep_the_interpreters_from_being_listed() {
    let world = World::new();
    world.write("project/m.py", "");
    let mut command = program(&world);
    command.env("PYTHONPYCACHEPREFIX", world.home.join("project"));
    let (answer, lines) = listed(&mut command);
    assert_eq!(answer.code, 1);
    assert!(answer.stderr.contains("/project"), "{answer:?}");
    assert!(lines.len() >= interpreters().len());
}

#[test]
fn a_home_that_may_not_be_read_is_told() {
    let world = World::new();
    let mut command = world.unprivileged();
    command.current_dir("/").env("PYCSTORE_CONFIG", "").env_remove("PYTHONPYCACHEPREFIX").arg("interpreters");
    let mode = |mode| fs::set_permissions(&world.home, PermissionsExt::from_mode(mode)).unwrap();
    mode(0o000);
    let answer = answer(&mut command);
    mode(0o755);
    let expected =
        format!("pycstore: cannot look for interpreters in {}: Permission denied\n", world.home.display());
    assert!(answer.stderr.contains(&expected), "{answer:?}");
    assert_eq!(answer.code, 1);
}

#[test]
fn a_directory_of_the_store_that_may_not_be_read_is_told() {
    let world = World::new();
    let project = world.project("one", &["a.py"]);
    world.compile(newest(), &[], &[&project]);
    let mirror = world.mirror(&project);
    let mut command = world.unprivileged();
    fs::set_permissions(&mirror, PermissionsExt::from_mode(0o000)).unwrap();
    let answer = answer(command.arg("interpreters"));
    fs::set_permissions(&mirror, PermissionsExt::from_mode(0o755)).unwrap();
    let expected =
        format!("pycstore: cannot look for interpreters in {}: Permission denied\n", mirror.display());
    assert!(answer.stderr.contains(&expected), "{answer:?}");
    assert_eq!(answer.code, 1);
}

#[test]
fn what_no_interpreter_here_loads_is_pruned_when_that_is_certain() {
    let world = World::new();
    let project = world.project("one", &["a.py"]);
    world.compile(newest(), &[], &[&project]);
    let living = world.entry(&project.join("a.py"), newest(), "");
    // Its bytes are those of a loadable entry; only its tag is of an interpreter that is not here.
    let dead = living.with_file_name("a.cpython-37.pyc");
    let mut bytes = fs::read(&living).unwrap();
    bytes[..2].copy_from_slice(&3394_u16.to_le_bytes());
    fs::write(&dead, bytes).unwrap();
    // Of one that this program does not know nothing can be told.
    let unknown = living.with_file_name("a.cpython-399.pyc");
    fs::copy(&living, &unknown).unwrap();
    let mut command = program(&world);
    command.env("PYTHONPYCACHEPREFIX", &world.store);
    let (listing, _) = listed(&mut command);
    let mut command = program(&world);
    command.env("PYTHONPYCACHEPREFIX", &world.store).args(["prune", "--dead-interpreters"]);
    let pruned = answer(&mut command);
    assert!(living.exists() && unknown.exists(), "{pruned:?}");
    // Where something stays open (an executable of unknown version), everything stays.
    assert_eq!(dead.exists(), listing.code != 0, "{listing:?} {pruned:?}");
}

#[test]
fn a_library_that_was_mirrored_after_the_last_deletion_is_out_of_sight() {
    let world = World::new();
    let project = world.project("one", &["a.py"]);
    world.compile(newest(), &[], &[&project]);
    let entry = world.entry(&project.join("a.py"), newest(), "").with_file_name("a.cpython-37.pyc");
    let mut bytes = fs::read(world.entry(&project.join("a.py"), newest(), "")).unwrap();
    bytes[..2].copy_from_slice(&3394_u16.to_le_bytes());
    fs::write(&entry, &bytes).unwrap();
    // A container's library, whose mirror is older than the last change of the directory that we have there.
    let encodings = world.mirror(&world.home.join("opt/lib/python3.7/encodings"));
    fs::create_dir_all(&encodings).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(30));
    world.write("opt/deleted-here", "");
    let prune = || {
        let mut command = program(&world);
        command.env("PYTHONPYCACHEPREFIX", &world.store).args(["prune", "--dead-interpreters", "--dry-run"]);
        answer(&mut command)
    };
    let is_out_of_reach = |told: &Answer| told.stderr.contains("opt/lib/python3.7");
    let library = encodings.join("utf_8.cpython-37.pyc");
    fs::write(&library, &bytes).unwrap();
    crate::support::age(&library, std::time::Duration::from_secs(3600));
    let told = prune();
    assert!(!is_out_of_reach(&told), "{told:?}");
    // The container runs again.
    std::thread::sleep(std::time::Duration::from_millis(30));
    fs::write(&library, &bytes).unwrap();
    let told = prune();
    assert!(is_out_of_reach(&told) && told.stdout == "nothing to remove\n", "{told:?}");
}

#[test]
fn an_installed_pre_release_states_its_own_magic() {
    let world = World::new();
    let prefix = ".pyenv/versions/3.16.0b1";
    let include = format!("{prefix}/include/python3.16");
    let executable = world.write(format!("{prefix}/bin/python3.16"), "\u{7f}ELF");
    fs::set_permissions(executable, fs::Permissions::from_mode(0o755)).unwrap();
    world.write(format!("{prefix}/lib/python3.16/os.py"), "");
    world.write(format!("{include}/internal/pycore_magic_number.h"), "#define PYC_MAGIC_NUMBER 3745\n");
    let source = world.write("project/m.py", "x = 1\n");
    let modified = fs::metadata(&source).unwrap().modified().unwrap();
    let seconds = modified.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as u32;
    let entry = |optimization: &str, magic: u16| {
        let path = pycstore::pyc::name::cache_from_source(&world.store, &source, "cpython-316", optimization);
        let path = path.unwrap();
        let pin = [seconds.to_le_bytes(), 6_u32.to_le_bytes()].concat();
        let header = [&magic.to_le_bytes()[..], b"\r\n\0\0\0\0", &pin].concat();
        world.write(path.strip_prefix(&world.home).unwrap(), header);
        path
    };
    let (own, other) = (entry("", 3745), entry("1", 3744));
    let listed = world.pycstore(["ls", "--json"]).exits(0).json_lines();
    let said = |path: &Path| {
        let line = listed.iter().find(|line| line["path"] == path.to_str().unwrap()).unwrap();
        (line["status"].as_str().unwrap().to_string(), line["reason"].as_str().map(str::to_string))
    };
    assert_eq!(said(&own), ("fresh".into(), None));
    assert_eq!(said(&other), ("unknown".into(), Some("magic".into())));
    // What it would recompile is stale.
    fs::write(&source, "x = 1234\n").unwrap();
    world.pycstore(["prune", "--stale"]).exits(0);
    assert!(!own.exists() && other.exists());
}
