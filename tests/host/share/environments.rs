//! Sharing the entries of real virtualenvs, made by uv, venv and pip, and what their programs see of it.

use super::{KNOWN, LOADED};
use crate::support::{Answer, Interpreter, World, answer, far_apart, files, interpreters, reach_index};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The newest CPython that has pip: those of `tests/more-pythons.sh` do not.
pub(super) fn with_pip() -> &'static Interpreter {
    let has_pip = |it: &&Interpreter| {
        let mut command = Command::new(&it.path);
        command.env_clear().args(["-I", "-B", "-m", "ensurepip", "--version"]);
        command.output().is_ok_and(|output| output.status.success())
    };
    let minor = |it: &&Interpreter| it.tag.trim_start_matches("cpython-3").parse::<u32>().ok();
    let found = interpreters().iter().filter(has_pip).max_by_key(minor);
    found.expect("a CPython with ensurepip: apt install python3-venv")
}

/// A home with uv in it, from the package index.
struct Home {
    world: World,
    uv: PathBuf,
}

/// A virtualenv.
struct Environment {
    python: PathBuf,
    /// Where its packages are.
    site: PathBuf,
}

/// Imports every module below a directory and says what there is in each; with `load` none may be compiled.
const IMPORTED: &str = r#"
import hashlib, importlib, os, pkgutil, sys, traceback, warnings
warnings.simplefilter("ignore")
root = sys.argv[1]
KNOWN
for module in sorted(it.name for it in pkgutil.walk_packages([root], onerror=lambda name: None)):
    if module.endswith("__main__") or module.startswith(("_virtualenv", "pip")):
        continue
    try:
        module = importlib.import_module(module)
    except ImportError as error:
        print("no", module, type(error).__name__)
        continue
    loader = module.__spec__.loader
    if type(loader) is SourceFileLoader:
        code = loader.get_code(module.__name__)
        names = {each.co_filename for each in codes(code)}
        assert names == {module.__file__}, (names, module.__file__)
        print(module.__name__, module.__file__, hashlib.sha256(repr(known(code)).encode()).hexdigest())
"#;

const APP: [(&str, &str); 3] = [
    ("__init__.py", ""),
    (
        "code.py",
        "def divide(number):\n    if number > 1:\n        number -= 1\n    else:\n        number = 0\n    return [1 / it for it in (number,)]\n\n\n\
         class Class:\n    def method(self, number):\n        return divide(number)\n",
    ),
    ("__main__.py", "from app.code import Class\nprint(__file__)\nClass().method(2)\nClass().method(0)\n"),
];

impl Home {
    fn new() -> Home {
        let world = World::new();
        let tools = world.home.join("tools");
        let mut pip = world.command(&with_pip().path);
        reach_index(&mut pip);
        run(pip.args(["-B", "-m", "pip", "install", "-q", "--target"]).arg(&tools).arg("uv"));
        Home { uv: tools.join("bin/uv"), world }
    }

    fn uv(&self, arguments: &[&str]) {
        let mut uv = self.world.command(&self.uv);
        reach_index(&mut uv);
        run(uv.env("UV_PYTHON_DOWNLOADS", "never").arg("-q").args(arguments));
    }

    /// A virtualenv of uv with these distributions; uv links their sources from its cache.
    fn environment(&self, interpreter: &Interpreter, name: &str, distributions: &[&str]) -> Environment {
        let root = self.world.home.join(name);
        let root = root.to_str().unwrap();
        self.uv(&["venv", "--python", interpreter.path.to_str().unwrap(), root]);
        let environment = self.open(root);
        let python = environment.python.to_str().unwrap();
        self.uv(&[&["pip", "install", "--link-mode", "hardlink", "--python", python], distributions].concat());
        environment
    }

    /// A virtualenv of venv and pip, which copy. It has no pip of its own, which would be most of it.
    fn copied(&self, name: &str, distributions: &[&str]) -> Environment {
        let root = self.world.home.join(name);
        let venv = ["-m", "venv", "--copies", "--without-pip"];
        run(self.world.command(&with_pip().path).args(venv).arg(&root));
        let mut pip = self.world.command(&with_pip().path);
        reach_index(&mut pip);
        pip.args(["-B", "-m", "pip", "--python"]).arg(root.join("bin/python"));
        run(pip.args(["install", "-q", "--no-compile"]).args(distributions));
        self.open(root.to_str().unwrap())
    }

    fn open(&self, root: &str) -> Environment {
        let python = Path::new(root).join("bin/python");
        let code = "import sysconfig; print(sysconfig.get_path('purelib'))";
        let site = run(self.world.command(&python).args(["-B", "-c", code])).stdout;
        Environment { site: site.trim().into(), python }
    }

    /// Runs the Python of a virtualenv with the store.
    fn python(&self, environment: &Environment, arguments: &[&str]) -> Answer {
        let mut command = self.world.command("timeout");
        command.args(["-s", "KILL", "120"]).arg(&environment.python).args(arguments);
        answer(command.env("PYTHONPYCACHEPREFIX", &self.world.store).env("COVERAGE_FILE", "coverage.data"))
    }

    fn imported(&self, environment: &Environment, how: &str) -> String {
        let code = IMPORTED.replace("KNOWN", &[LOADED, KNOWN].concat());
        let told = self.python(environment, &["-c", &code, environment.site.to_str().unwrap(), how]).exits(0);
        told.stdout
    }

    /// Compiles the packages of virtualenvs, each by its own Python.
    fn compile(&self, environments: &[Environment]) {
        for environment in environments {
            // Some packages have modules of a newer language.
            self.python(environment, &["-m", "compileall", "-q", environment.site.to_str().unwrap()]);
        }
    }

    /// The inodes of all entries.
    fn inodes(&self) -> BTreeMap<PathBuf, u64> {
        let inode = |path: PathBuf| {
            let inode = path.metadata().unwrap().ino();
            (path, inode)
        };
        files(&self.world.store).into_iter().map(inode).collect()
    }

    /// The disk usage of the store: each inode once.
    fn disk(&self) -> u64 {
        let files = files(&self.world.store);
        let found = files.iter().map(|path| path.metadata().unwrap());
        let once: BTreeMap<u64, u64> = found.map(|it| (it.ino(), it.blocks() * 512)).collect();
        once.values().sum()
    }

    fn entry(&self, environment: &Environment, module: &str) -> PathBuf {
        self.world.entry(&environment.site.join(module), with_pip(), "")
    }

    /// Replaces a source as an editor does: the file that other virtualenvs have stays.
    fn edit(&self, source: &Path) {
        let text = fs::read_to_string(source).unwrap();
        fs::remove_file(source).unwrap();
        fs::write(source, format!("{text}\nEDITED = True\n")).unwrap();
    }
}

#[track_caller]
fn run(command: &mut Command) -> Answer {
    answer(command).exits(0)
}

/// What `share` says.
fn shared(home: &Home) -> Value {
    home.world.pycstore(["share", "--json"]).exits(0).json()
}

/// Everything that a debugger, coverage and tracebacks show of the package `app`.
fn shown(home: &Home, environment: &Environment) -> Vec<String> {
    let app = environment.site.join("app");
    let code = app.join("code.py");
    let [app, code] = [&app, &code].map(|path| path.to_str().unwrap());
    let line = format!("break {code}:3");
    let module = "import runpy; runpy.run_module('app', run_name='__main__', alter_sys=True)";
    let pdb: Vec<&str> = ["-m", "pdb"]
        .into_iter()
        .chain([line.as_str(), "break app.code.Class.method", "continue", "where", "continue", "p number"])
        .chain(["list", "clear 1", "continue", "continue", "where", "quit"])
        .enumerate()
        .flat_map(|(at, word)| if at < 2 { vec![word] } else { vec!["-c", word] })
        .chain(["-m", "app"])
        .collect();
    let mut texts = Vec::new();
    for (arguments, expected) in [
        (&["-m", "app"][..], 1),
        (&["-c", module], 1),
        (&[app], 1),
        (&pdb, 0),
        (&["-m", "coverage", "run", "--branch", "--include", &format!("{app}/*"), "-m", "app"], 1),
        (&["-m", "coverage", "report", "--show-missing"], 0),
    ] {
        let told = home.python(environment, arguments);
        // pdb of old versions ends with 1 after an error.
        assert!(told.code == expected || arguments == pdb, "{arguments:?}: {told:?}");
        texts.push(format!("{}\n{}", told.stdout, told.stderr));
    }
    for (at, text) in texts.iter().enumerate() {
        assert!(text.contains("app/code.py"), "{at}: {text}");
    }
    let stops = texts[3].matches("> ").count();
    assert!(stops >= 3 && texts[3].contains("-> number -= 1"), "{}", texts[3]);
    assert!(texts[5].contains('%'), "{}", texts[5]);
    texts
}

#[test]
#[ignore = "needs several Pythons and a package index, and minutes"]
fn pdb_coverage_and_runpy_see_the_same() {
    let home = Home::new();
    // `modules_are_the_same_before_and_after_under_every_python` asks them all.
    for interpreter in far_apart() {
        let [one, two] = ["one", "another"].map(|name| {
            let environment =
                home.environment(interpreter, &format!("{name}-{}", interpreter.tag), &["coverage"]);
            fs::create_dir(environment.site.join("app")).unwrap();
            environment
        });
        for (name, text) in APP {
            fs::write(one.site.join("app").join(name), text).unwrap();
            fs::hard_link(one.site.join("app").join(name), two.site.join("app").join(name)).unwrap();
        }
        let environments = [one, two];
        let seen = |how: &str| environments.each_ref().map(|it| (home.imported(it, how), shown(&home, it)));
        let before = seen("compile");
        let said = shared(&home);
        let entries = home.inodes();
        let app = environments.each_ref().map(|it| {
            let entry = home.world.entry(&it.site.join("app/code.py"), interpreter, "");
            entry.metadata().unwrap().ino()
        });
        println!("{}: {said}", interpreter.tag);
        // With PyPy, not every module compiles to the same body each time.
        let least = if interpreter.tag.starts_with("pypy") { 0 } else { 20 };
        assert!(said["shared"]["files"].as_u64().unwrap() > least, "{}: {said}", interpreter.tag);
        let is_same = app[0] == app[1];
        assert!(is_same || interpreter.tag.starts_with("pypy"), "{}", interpreter.tag);
        assert_eq!(seen("load"), before, "{}", interpreter.tag);
        assert_eq!(home.inodes(), entries, "{}: something was compiled again", interpreter.tag);
    }
}

/// Asserts that an edit of one source changes the entry of that source alone.
fn assert_edit_concerns_one(home: &Home, environments: &[Environment], module: &str) {
    let (before, edited) = (home.inodes(), &environments[1]);
    let entry = home.entry(edited, module);
    let links = entry.metadata().unwrap().nlink();
    home.edit(&edited.site.join(module));
    home.imported(edited, "compile");
    let mut after = home.inodes();
    assert_ne!(after.insert(entry.clone(), before[&entry]), before.get(&entry).copied());
    assert_eq!(after, before);
    let others = home.entry(&environments[0], module).metadata().unwrap().nlink();
    assert_eq!((entry.metadata().unwrap().nlink(), others), (1, links - 1));
}

#[test]
#[ignore = "needs a package index"]
fn virtualenvs_of_uv_share_nearly_everything() {
    let home = Home::new();
    let environments =
        ["one", "second", "the-third-one"].map(|name| home.environment(with_pip(), name, &["rich"]));
    home.compile(&environments);
    let before = environments.each_ref().map(|it| home.imported(it, "load"));
    let (disk, entries) = (home.disk(), home.inodes().len());
    let said = shared(&home);
    let (less, inodes) = (home.disk(), home.inodes());
    println!("{entries} entries, {disk} bytes, then {less}: {said}");
    let freed = &said["shared"];
    assert_eq!(freed["disk"], disk - less);
    // A part of it is of the interpreter's own library.
    assert!(less < disk / 2, "{less} of {disk}");
    for (environment, before) in environments.iter().zip(&before) {
        assert!(before.lines().count() > 100, "{before}");
        assert_eq!(&home.imported(environment, "load"), before);
        let module = environment.site.join("rich/markup.py");
        let told =
            home.python(environment, &["-v", "-c", "import rich.markup as it; it.render('[/x]')"]).exits(1);
        let entry = home.entry(environment, "rich/markup.py");
        assert_eq!(entry.metadata().unwrap().nlink(), 3);
        let [entry, module] = [&entry, &module].map(|path| path.display());
        assert!(told.stderr.contains(&format!("# {entry} matches {module}")), "{}", told.stderr);
        assert!(told.stderr.contains(&format!("  File \"{module}\", line ")), "{}", told.stderr);
    }
    assert_eq!(home.inodes(), inodes, "something was compiled again");
    assert_edit_concerns_one(&home, &environments, "rich/markup.py");
    assert_eq!(&home.imported(&environments[2], "load"), &before[2]);
}

#[test]
#[ignore = "needs a package index"]
fn virtualenvs_of_pip_share_what_has_equal_headers() {
    let home = Home::new();
    let environments = ["one", "other"].map(|name| home.copied(name, &["jinja2"]));
    home.compile(&environments);
    let before = environments.each_ref().map(|it| home.imported(it, "load"));
    let header = |path: &Path| fs::read(path).unwrap()[..16].to_vec();
    let headers: BTreeMap<PathBuf, _> =
        files(&home.world.store).into_iter().map(|path| (path.clone(), header(&path))).collect();
    let said = shared(&home);
    println!("{said}");
    for (path, before) in &headers {
        assert_eq!(&header(path), before);
    }
    // pip gives each source the time of its installation.
    assert!(said["left"]["single"].as_u64().unwrap() > 40, "{said}");
    for (environment, before) in environments.iter().zip(&before) {
        assert_eq!(&home.imported(environment, "load"), before);
    }
    // The same times, as in an image whose layers have the time of their commit.
    for environment in &environments {
        run(home.world.command("find").arg(&environment.site).args([
            "-name",
            "*.py",
            "-exec",
            "touch",
            "-d",
            "2026-01-01",
            "{}",
            "+",
        ]));
    }
    home.compile(&environments);
    let before = environments.each_ref().map(|it| home.imported(it, "load"));
    let said = shared(&home);
    println!("{said}");
    assert!(said["shared"]["files"].as_u64().unwrap() > 20, "{said}");
    for (environment, before) in environments.iter().zip(&before) {
        assert_eq!(&home.imported(environment, "load"), before);
    }
    assert_edit_concerns_one(&home, &environments, "jinja2/utils.py");
}
