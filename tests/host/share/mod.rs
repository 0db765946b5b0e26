//! Sharing entries under every interpreter: what a program sees of its modules is the same before and after.

mod environments;
mod hooks;
mod places;

use crate::support::{Interpreter, World, answer, files, implementations, interpreters, newest};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Python functions: `known` says all that there is in a code object, `codes` finds those within it.
const KNOWN: &str = r#"
import types
FIELDS = [name for name in dir(types.CodeType)
          if name.startswith("co_") and name not in ("co_lnotab", "co_lines", "co_positions", "co_branches")]
if "co_linetable" not in FIELDS:
    FIELDS.append("co_lnotab")
def known(value):
    if type(value) is types.CodeType:
        return ["code"] + [known(getattr(value, name)) for name in FIELDS]
    if type(value) is tuple:
        return [known(element) for element in value]
    if type(value) is frozenset:
        return sorted(repr(known(element)) for element in value)
    return [type(value).__name__, repr(value)]
def codes(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from codes(constant)
"#;

/// Python statements: with `load`, nothing below `root` may be compiled.
const LOADED: &str = r#"
from importlib.machinery import SourceFileLoader
if sys.argv[2] == "load":
    compiling = SourceFileLoader.source_to_code
    def refused(self, data, path, *arguments, **options):
        if path.startswith(root):
            raise SystemExit("compiled: " + path)
        return compiling(self, data, path, *arguments, **options)
    SourceFileLoader.source_to_code = refused
"#;

/// Says all that a program can see of the modules of a directory; they are to be loaded from the store, not compiled.
const SEEN: &str = r#"
import bdb, hashlib, importlib.util, inspect, linecache, os, sys, traceback, types
root = sys.argv[1]
sys.path.insert(0, root)
KNOWN
for name in sorted(os.listdir(os.path.join(root, "lib"))):
    if not name.endswith(".py"):
        continue
    path = os.path.join(root, "lib", name)
    loader = SourceFileLoader("lib." + name[:-3], path)
    try:
        code = loader.get_code(loader.name)
    except SyntaxError:
        continue
    assert all(each.co_filename == path for each in codes(code)), path
    for each in codes(code):
        assert linecache.getline(each.co_filename, max(1, each.co_firstlineno)) is not None
    print(name, hashlib.sha256(repr(known(code)).encode()).hexdigest())
import example
print(inspect.getsource(example.outer), inspect.getsourcefile(example.Class.method))
try:
    example.outer(0)
except ZeroDivisionError:
    traceback.print_exc(file=sys.stdout)
class Debugger(bdb.Bdb):
    def user_line(self, frame):
        if self.break_here(frame):
            print("stopped", frame.f_code.co_filename, frame.f_lineno)
        self.set_continue()
debugger = Debugger()
assert debugger.set_break(example.__file__, 4) is None
try:
    debugger.runcall(example.outer, 0)
except ZeroDivisionError:
    pass
"#;

const EXAMPLE: &str = "\
def outer(number):
    def inner():
        # a comment
        return 1 / number
    return inner()


class Class:
    def method(self):
        return [lambda: each for each in (1, 2)]
";

/// Two directories with the sources of the interpreter's own library, compiled.
fn site(interpreter: &Interpreter) -> (World, Vec<PathBuf>) {
    const COPY: &str = "
import os, shutil, sys
source = os.path.dirname(os.__file__)
modules = []
for name in sorted(os.listdir(source)):
    path = os.path.join(source, name)
    if name.endswith('.py') and os.path.isfile(path):
        modules.append(name)
# A third of them has code of every kind.
for name in modules[::3]:
    shutil.copy2(os.path.join(source, name), os.path.join(sys.argv[1], name))";
    let world = World::new();
    let first = world.home.join("one");
    world.write("one/example.py", EXAMPLE);
    fs::create_dir(first.join("lib")).unwrap();
    let mut command = world.command(&interpreter.path);
    answer(command.args(["-I", "-c", COPY]).arg(first.join("lib"))).exits(0);
    let other = world.home.join("another-one");
    // As uv links the sources of a package into each environment.
    answer(world.command("cp").arg("-al").args([&first, &other])).exits(0);
    let projects = vec![first, other];
    for project in &projects {
        let mut command = world.command(&interpreter.path);
        command.env("PYTHONPYCACHEPREFIX", &world.store);
        // Some modules of a library are not meant to be compiled.
        answer(command.args(["-m", "compileall", "-q"]).arg(project));
    }
    (world, projects)
}

fn seen(world: &World, interpreter: &Interpreter, project: &Path) -> String {
    answer(
        world
            .compiler(interpreter, &SEEN.replace("KNOWN", &[LOADED, KNOWN].concat()))
            .arg(project)
            .arg("load"),
    )
    .exits(0)
    .stdout
}

#[test]
#[ignore = "needs several Pythons, and minutes"]
fn modules_are_the_same_before_and_after_under_every_python() {
    assert!(interpreters().len() >= 4, "needs several Pythons");
    for interpreter in implementations() {
        let (world, projects) = site(interpreter);
        let before: Vec<String> = projects.iter().map(|it| seen(&world, interpreter, it)).collect();
        assert!(before[0].lines().count() > 50 && before[0].contains("stopped "), "{}", before[0]);
        let said = world.pycstore(["share", "--json"]).exits(0).json();
        let entries: Vec<PathBuf> =
            projects.iter().flat_map(|project| files(&world.mirror(project))).collect();
        let inodes: BTreeSet<u64> = entries.iter().map(|path| path.metadata().unwrap().ino()).collect();
        println!("{}: {} entries, {} files, {said}", interpreter.tag, entries.len(), inodes.len());
        // Not every module compiles to the same body each time, least of all with PyPy.
        assert!(inodes.len() < entries.len(), "{}: {said}", interpreter.tag);
        let after: Vec<String> = projects.iter().map(|it| seen(&world, interpreter, it)).collect();
        assert!(before == after, "{}", interpreter.tag);
        // An edit concerns one entry.
        let source = projects[1].join("example.py");
        fs::remove_file(&source).unwrap();
        fs::write(&source, format!("{EXAMPLE}\nEDITED = True\n")).unwrap();
        let run =
            "import sys; sys.path.insert(0, sys.argv[1]); import example; print(hasattr(example, 'EDITED'))";
        for (project, is_edited) in projects.iter().zip(["False\n", "True\n"]) {
            let told = answer(world.python(interpreter).args(["-c", run]).arg(project)).exits(0);
            assert_eq!(told.stdout, is_edited, "{}", interpreter.tag);
        }
        assert_eq!(seen(&world, interpreter, &projects[0]), before[0]);
    }
}

#[test]
#[ignore = "needs root, a loop device and btrfs-progs"]
fn entries_with_other_headers_share_blocks_on_btrfs() {
    share_blocks_on("mkfs.btrfs -q");
}

#[test]
#[ignore = "needs root, a loop device, xfsprogs and XFS with reflinks"]
fn entries_with_other_headers_share_blocks_on_xfs() {
    share_blocks_on("mkfs.xfs -q -m reflink=1");
}

/// Sources that are equal but for their mtimes, as pip installs them, and two that are equal: their entries become links.
#[track_caller]
fn share_blocks_on(mkfs: &str) {
    let world = World::new();
    let text: String = (0..400).map(|number| format!("def f{number}():\n    return {number}\n")).collect();
    for (project, mtime) in [("one", 1_700_000_000), ("six", 1_700_000_000), ("two", 1_700_000_100)] {
        let source = world.write(format!("{project}/m.py"), &text);
        let mtime = std::time::UNIX_EPOCH + std::time::Duration::from_secs(mtime);
        fs::File::options().write(true).open(source).unwrap().set_modified(mtime).unwrap();
    }
    // A path that is longer, so that nothing is where it is in the others.
    world.write("longer/m.py", &text);
    let script = format!(
        "
        truncate -s 400M \"$HOME/image\"
        {mkfs} \"$HOME/image\" > \"$HOME/said\"
        mkdir -p \"$STORE\"
        mount -o loop \"$HOME/image\" \"$STORE\"
        PYTHONPYCACHEPREFIX=\"$STORE\" '{python}' -m compileall -q \"$HOME/one\" \"$HOME/six\" \"$HOME/two\" \"$HOME/longer\"
        sync -f \"$STORE\"
        kept() {{ find \"$STORE\" -path '*[or]/m.*.pyc' -exec stat -c '%n %s %a %u %g %Y' {{}} + -exec sha256sum {{}} + | sort; }}
        before=$(kept)
        pycstore share --dry-run | grep blocks
        test \"$(kept)\" = \"$before\"
        pycstore share | grep blocks
        sync -f \"$STORE\"
        test \"$(kept)\" = \"$before\"
        filefrag -v $(find \"$STORE\" -path '*/two/m.*.pyc') | awk '/shared/ {{ blocks += $6 }} END {{ print blocks * 4096 }}'
        pycstore share | grep nothing
        find \"$STORE\" -name '*.pyc.*'
        PYTHONPYCACHEPREFIX=\"$STORE\" PYTHONPATH=\"$HOME/two\" '{python}' -v -c 'import m; print(m.f7.__code__.co_filename)' 2>&1 \
            | grep -e 'matches.*two/m.py' -e '^/.*two/m.py'
        ",
        python = newest().path.display()
    );
    let told = answer(&mut world.in_namespace("", &script)).exits(0).stdout;
    let lines: Vec<&str> = told.lines().collect();
    let [dry, real, disk, again, matches, filename] = lines[..] else { panic!("{told}") };
    let size = real.strip_prefix("shared blocks of 1 entry with other entries: ");
    assert!(
        size.is_some_and(|size| dry == format!("would share blocks of 1 entry with other entries: {size}")),
        "{told}"
    );
    let shared: u64 = disk.parse().unwrap();
    assert!(shared > 16 << 10, "{told}");
    assert_eq!(again, "nothing to share", "{told}");
    assert!(matches.contains("matches") && filename.ends_with("/two/m.py"), "{told}");
}
