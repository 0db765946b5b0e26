//! What the integration tests share: a home with a store in a temporary directory, real interpreters, the program under test.

pub mod compiled;
pub mod confinement;
pub mod findings;
pub mod in_tree;
pub mod lock;
pub mod memory;
pub mod ordinary;
pub mod pseudo_terminal;
pub mod random;
pub mod screen;
pub mod shown;
pub mod site;
pub mod special;
pub mod spool;
pub mod stage;
pub mod storm;
pub mod terminal;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

/// What tells whether a tree was touched: for every path its contents (of a link its target), mode and mtime.
pub type Snapshot = BTreeMap<PathBuf, (Vec<u8>, u32, i64, i64)>;

/// One hour.
pub const HOUR: Duration = Duration::from_secs(3600);

/// What a file of bytecode begins with: the header of an entry of CPython 3.12 for a source of no bytes from 1970.
pub const HEADER: &[u8; 16] = b"\xcb\x0d\r\n\0\0\0\0\0\0\0\0\0\0\0\0";

/// A user of nothing.
pub const NOBODY: u32 = 65534;

/// A throw-away home with a store in it.
pub struct World {
    _temporary: tempfile::TempDir,
    /// The user's home; links resolved.
    pub home: PathBuf,
    /// The store, `~/.cache/cpython`; made by whoever writes to it first.
    pub store: PathBuf,
    /// The user to whom the home was given, if we are another: interpreters run as that user.
    owner: Option<u32>,
}

/// What a run of the program answered.
#[derive(Debug)]
pub struct Answer {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl World {
    /// An empty home.
    pub fn new() -> World {
        World::within(tempfile::tempdir().expect("a temporary directory"))
    }

    /// An empty home on the tmpfs of shared memory, where there is one.
    pub fn in_memory() -> World {
        tempfile::tempdir_in("/dev/shm").map_or_else(|_| World::new(), World::within)
    }

    fn within(temporary: tempfile::TempDir) -> World {
        let home = temporary.path().canonicalize().unwrap().join("home/me");
        std::fs::create_dir_all(&home).unwrap();
        let store = home.join(".cache/cpython");
        World { _temporary: temporary, home, store, owner: None }
    }

    /// An empty home of another user, which everybody can reach; only root can make one.
    pub fn of_user(user: u32) -> World {
        let mut world = World::new();
        world.owner = Some(user);
        world.open_to_all();
        give(&world.home, user);
        world
    }

    /// Lets everybody reach the home.
    pub fn open_to_all(&self) {
        let parent = self.home.parent().unwrap();
        for directory in [parent.parent().unwrap(), parent] {
            std::fs::set_permissions(directory, PermissionsExt::from_mode(0o755)).unwrap();
        }
    }

    /// Gives all that is in the home to the user whose home it is.
    pub fn give_to_owner(&self) {
        if let Some(user) = self.owner {
            give(&self.home, user);
        }
    }

    /// Does something as the user whose home it is. The kernel knows a user by the thread.
    pub fn as_owner<R: Send>(&self, act: impl FnOnce() -> R + Send) -> R {
        match self.owner {
            Some(owner) => ordinary::as_user(owner, act),
            None => act(),
        }
    }

    /// Writes a file below the home, with its directories; returns its path.
    pub fn write(&self, path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, contents).unwrap();
        path
    }

    /// A command in this home with nothing of our own environment but `PATH`.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", search_path())
            .env("HOME", &self.home)
            // Some homes are given to another user, and root would then turn to its own.
            .env("XDG_CONFIG_HOME", self.home.join(".config"))
            .env("XDG_STATE_HOME", self.home.join(".local/state"))
            .env("LC_ALL", "C.UTF-8")
            // Where the suite runs confined, no other place can be written to.
            .envs(std::env::var_os("TMPDIR").map(|directory| ("TMPDIR", directory)))
            .current_dir(&self.home)
            .stdin(Stdio::null());
        command
    }

    /// An interpreter that writes to the store, isolated from the user's site-packages.
    pub fn python(&self, interpreter: &Interpreter) -> Command {
        let mut command = self.command_of_owner(interpreter);
        command.env("PYTHONPYCACHEPREFIX", &self.store);
        command
    }

    /// Lets an interpreter run code that compiles into the store: `compileall` and `py_compile` are imported, the
    /// arguments are in `sys.argv[1:]`. Nothing else lands in the store, for the prefix is set only when all is
    /// imported; what is imported comes from the interpreter's own cache, which is several times faster.
    pub fn compiler(&self, interpreter: &Interpreter, code: &str) -> Command {
        const BEGIN: &str = "import compileall, py_compile, sys\nsys.pycache_prefix = sys.argv.pop(1)\n";
        let mut command = self.command_of_owner(interpreter);
        command.args(["-B", "-c", &format!("{BEGIN}{code}")]).arg(&self.store);
        command
    }

    fn command_of_owner(&self, interpreter: &Interpreter) -> Command {
        let mut command = self.command(&interpreter.path);
        if let Some(user) = self.owner {
            command.uid(user).gid(user);
        }
        command
    }

    /// Lets an interpreter compile everything below these paths into the store, and nothing else.
    pub fn compile(&self, interpreter: &Interpreter, arguments: &[&str], paths: &[&Path]) {
        let mut command = self.compiler(interpreter, "sys.exit(not compileall.main())");
        let output = command.arg("-q").args(arguments).args(paths).output().expect("python starts");
        assert!(
            output.status.success(),
            "{} compiles: {}",
            interpreter.tag,
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Makes a project with a marker and these modules; returns its directory.
    pub fn project(&self, name: &str, modules: &[&str]) -> PathBuf {
        self.write(format!("{name}/pyproject.toml"), "[project]\nname = \"x\"\n");
        for module in modules {
            self.write(format!("{name}/{module}"), format!("NAME = {module:?}\n"));
        }
        self.home.join(name)
    }

    /// A home with compiled projects, of which the first are deleted.
    pub fn of_projects(gone: &[&str], kept: &[&str]) -> World {
        let world = World::new();
        let projects = [world.project("gone", gone), world.project("kept", kept)];
        world.compile(newest(), &[], &projects.each_ref().map(PathBuf::as_path));
        std::fs::remove_dir_all(&projects[0]).unwrap();
        world
    }

    /// Lets an interpreter import these modules, found below the home (`project.module`). What it imports to
    /// start with lands in the store as well.
    pub fn import(&self, interpreter: &Interpreter, flags: &[&str], modules: &[&str]) {
        let code = format!("import {}", modules.join(", "));
        let output =
            self.python(interpreter).args(flags).args(["-c", &code]).output().expect("python starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} imports: {stderr}", interpreter.tag);
    }

    /// Where an interpreter keeps the bytecode of a source.
    pub fn entry(&self, source: &Path, interpreter: &Interpreter, optimization: &str) -> PathBuf {
        pycstore::pyc::name::cache_from_source(&self.store, source, &interpreter.tag, optimization).unwrap()
    }

    /// The store's directory that mirrors a directory of sources.
    pub fn mirror(&self, sources: &Path) -> PathBuf {
        self.store.join(sources.strip_prefix("/").unwrap())
    }

    /// Text with this world's paths made the same on every run: the home is `/home/me`.
    pub fn neutral(&self, text: &str) -> String {
        text.replace(self.home.to_str().unwrap(), "/home/me")
            .replace(self.home.parent().unwrap().to_str().unwrap(), "/home")
    }

    /// The program as a user to whom permission bits mean something: ourselves, or where we are root somebody
    /// else, to whom the whole home is given.
    pub fn unprivileged(&self) -> Command {
        let mut program = PathBuf::from(env!("CARGO_BIN_EXE_pycstore"));
        if rustix::process::geteuid().is_root() {
            // Neither the build directory nor the home's parents need be open to anybody else.
            let parent = self.home.parent().unwrap();
            let copy = parent.join("pycstore");
            // By a process of its own: a descriptor of ours, open for writing, could be inherited by what another
            // test starts just now, and a file that is open for writing cannot be run (ETXTBSY).
            answer(self.command("cp").arg(&program).arg(&copy)).exits(0);
            program = copy;
            for directory in [parent, parent.parent().unwrap()] {
                std::fs::set_permissions(directory, PermissionsExt::from_mode(0o755)).unwrap();
            }
            for entry in walkdir::WalkDir::new(&self.home) {
                std::os::unix::fs::lchown(entry.unwrap().path(), Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        let mut command = self.command(program);
        command.env("PYTHONPYCACHEPREFIX", &self.store);
        if rustix::process::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// Runs [`World::unprivileged`].
    pub fn pycstore_unprivileged<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Answer {
        answer(self.unprivileged().args(arguments))
    }

    /// The program in this home, without `PYTHONPYCACHEPREFIX`.
    pub fn program(&self) -> Command {
        self.command(env!("CARGO_BIN_EXE_pycstore"))
    }

    /// The program, started by a process that ignores SIGCHLD, which is inherited.
    pub fn with_sigchld_ignored(&self) -> Command {
        const CODE: &str = "import os, signal, sys\n\
                            signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n\
                            os.execv(sys.argv[1], sys.argv[1:])";
        let mut command = self.command(&newest().path);
        command.args(["-I", "-B", "-c", CODE, env!("CARGO_BIN_EXE_pycstore")]);
        command
    }

    /// A copy of the program that no other user can change: root schedules no other, and the checkout may lie in another
    /// user's home.
    pub fn copied_program(&self) -> Command {
        let copy = self.home.parent().unwrap().join("pycstore");
        if !copy.exists() {
            // See `unprivileged`.
            answer(self.command("cp").arg(env!("CARGO_BIN_EXE_pycstore")).arg(&copy)).exits(0);
        }
        self.command(copy)
    }

    /// Runs the program with this world's store in `PYTHONPYCACHEPREFIX`.
    pub fn pycstore<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Answer {
        let mut command = self.program();
        command.env("PYTHONPYCACHEPREFIX", &self.store).args(arguments);
        answer(&mut command)
    }

    /// Runs the program where `PYTHONPYCACHEPREFIX` is not set.
    pub fn pycstore_without_prefix<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Answer {
        answer(self.program().args(arguments))
    }

    /// Lets an interpreter compile these very files into the store, whatever their suffix.
    pub fn compile_files(&self, interpreter: &Interpreter, files: &[&Path]) {
        const CODE: &str = "for file in sys.argv[1:]: py_compile.compile(file, doraise=True)";
        answer(self.compiler(interpreter, CODE).args(files)).exits(0);
    }

    /// Every path below `root` with what tells whether it was touched; without `~/.local`, where the history is.
    pub fn snapshot(root: &Path) -> Snapshot {
        let mut found = BTreeMap::new();
        let is_no_history = |entry: &walkdir::DirEntry| entry.file_name() != ".local";
        for entry in walkdir::WalkDir::new(root).min_depth(1).into_iter().filter_entry(is_no_history) {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            let (contents, mtime) = if metadata.is_file() {
                (std::fs::read(entry.path()).unwrap(), (metadata.mtime(), metadata.mtime_nsec()))
            } else if metadata.is_symlink() {
                let target = std::fs::read_link(entry.path()).unwrap();
                (target.as_os_str().as_bytes().to_vec(), (metadata.mtime(), metadata.mtime_nsec()))
            } else {
                (Vec::new(), (0, 0)) // a directory's mtime changes when something in it goes
            };
            found.insert(entry.path().to_path_buf(), (contents, metadata.mode(), mtime.0, mtime.1));
        }
        found
    }
}

/// What `ls --json` says of the only entry whose source has this name, as `status reason`.
#[track_caller]
pub fn status(world: &World, source: &str) -> String {
    let lines = world.pycstore(["ls", "--json"]).json_lines();
    let is_of =
        |line: &&serde_json::Value| line["source"].as_str().is_some_and(|path| path.ends_with(source));
    let found: Vec<_> = lines.iter().filter(is_of).collect();
    let [line] = found[..] else { panic!("{source} in {lines:#?}") };
    let text = |field: &str| line[field].as_str().unwrap_or("-").to_string();
    format!("{} {}", text("status"), text("reason"))
}

/// Lets an interpreter compile a tree as it does without a prefix: into `__pycache__`.
pub fn compile_in_tree(world: &World, interpreter: &Interpreter, arguments: &[&str], paths: &[&Path]) {
    let mut command = world.command(&interpreter.path);
    answer(command.args(["-B", "-m", "compileall", "-q"]).args(arguments).args(paths)).exits(0);
}

/// Runs the program; one that hangs is killed, which no test expects.
#[track_caller]
pub fn ends(world: &World, arguments: &[&str]) -> Answer {
    let mut command = world.command("timeout");
    command.args(["-s", "KILL", "120", env!("CARGO_BIN_EXE_pycstore")]).args(arguments);
    let told = answer(command.env("PYTHONPYCACHEPREFIX", &world.store));
    assert!(![-1, 137].contains(&told.code), "it hangs: {arguments:?}");
    told
}

/// The history's path, after a first run that made it.
pub fn history_of(world: &World) -> PathBuf {
    ends(world, &["prune", "--orphans", "--under", "/nowhere"]).exits(0);
    let directory =
        std::fs::read_dir(world.home.join(".local/state/pycstore")).unwrap().next().unwrap().unwrap();
    directory.path().join("history.jsonl")
}

/// Gives everything at and below a path to a user.
pub fn give(path: &Path, user: u32) {
    for entry in walkdir::WalkDir::new(path) {
        std::os::unix::fs::lchown(entry.unwrap().path(), Some(user), Some(user)).unwrap();
    }
}

/// Asserts that a tree is what it was before, except that these paths and all below them are gone.
#[track_caller]
pub fn assert_only_gone<State: PartialEq>(
    before: &BTreeMap<PathBuf, State>,
    after: &BTreeMap<PathBuf, State>,
    gone: &[&Path],
) {
    let is_gone = |path: &Path| gone.iter().any(|gone| path.starts_with(gone));
    let lost: Vec<_> = before.keys().filter(|path| !after.contains_key(*path) && !is_gone(path)).collect();
    let left: Vec<_> = after.keys().filter(|path| is_gone(path)).collect();
    let new: Vec<_> = after.keys().filter(|path| !before.contains_key(*path)).collect();
    let changed: Vec<_> = after
        .iter()
        .filter(|(path, state)| before.get(*path).is_some_and(|it| it != *state))
        .map(|(path, _)| path)
        .collect();
    assert!(
        lost.is_empty() && left.is_empty() && new.is_empty() && changed.is_empty(),
        "lost: {lost:#?}\nleft: {left:#?}\nnew: {new:#?}\nchanged: {changed:#?}"
    );
}

/// The files below `root`: everything that is no directory.
pub fn files(root: &Path) -> BTreeSet<PathBuf> {
    let entries = walkdir::WalkDir::new(root).into_iter().map(Result::unwrap);
    entries.filter(|entry| !entry.file_type().is_dir()).map(walkdir::DirEntry::into_path).collect()
}

/// A pipe whose reader has gone before anything is written.
pub fn closed_pipe() -> std::io::PipeWriter {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer
}

/// Dates a file back to 2001, so that it was written before anything around it was deleted or made: an entry that a test
/// puts in place by hand is that of a deleted source only then.
pub fn date_back(path: &Path) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)).unwrap();
}

/// Gives a file another mtime, this long ago, and an atime that is older still.
pub fn age(path: &Path, ago: Duration) {
    let then = SystemTime::now() - ago;
    let times = std::fs::FileTimes::new().set_modified(then).set_accessed(then - Duration::from_secs(86_400));
    std::fs::File::options().write(true).open(path).unwrap().set_times(times).unwrap();
}

impl Answer {
    /// Asserts the exit code, showing everything when it is another.
    #[track_caller]
    pub fn exits(self, code: i32) -> Answer {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Standard output as one JSON document.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }

    /// Standard output as one JSON object a line.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<serde_json::Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }
}

/// Runs a command to its end.
#[track_caller]
pub fn answer(command: &mut Command) -> Answer {
    let Output { status, stdout, stderr } =
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Answer { code: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) }
}

/// Lets a command use the package index that pip is configured for: how it is reached is the machine's business.
pub fn reach_index(command: &mut Command) {
    for name in ["PIP_INDEX_URL", "PIP_CERT", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "SSL_CERT_FILE"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    for name in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "no_proxy", "NO_PROXY"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    for name in ["pip.conf", "pip/pip.conf"] {
        let configuration = std::env::var_os("HOME").map(|home| match name {
            "pip.conf" => Path::new(&home).join(".pip/pip.conf"),
            _ => Path::new(&home).join(".config/pip/pip.conf"),
        });
        command.envs(configuration.filter(|path| path.is_file()).map(|path| ("PIP_CONFIG_FILE", path)));
    }
    command.env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
}

/// A program that a test cannot do without.
///
/// # Panics
/// Where it is not there, naming the package to install.
#[track_caller]
pub fn tool(name: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    directories
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is not here, and this test needs it: apt install {package}"))
}

/// A Python on this machine.
#[derive(Debug, Clone)]
pub struct Interpreter {
    /// Its executable.
    pub path: PathBuf,
    /// Its cache tag, `cpython-312`.
    pub tag: String,
}

/// Every CPython ≥ 3.8 on `PATH`, below pyenv's versions and where `tests/more-pythons.sh` puts them, one for each cache tag. Never empty.
///
/// # Panics
/// When there is none: these tests ask CPython itself.
pub fn interpreters() -> &'static [Interpreter] {
    let found = implementations();
    &found[..found.partition_point(|it| it.tag.starts_with("cpython-"))]
}

/// Every CPython as in [`interpreters`], then every PyPy ≥ 3.8. Released ones only: what a pre-release writes, the
/// release does not load.
///
/// # Panics
/// When there is no CPython.
pub fn implementations() -> &'static [Interpreter] {
    static FOUND: OnceLock<Vec<Interpreter>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let mut found: BTreeMap<String, Interpreter> = BTreeMap::new();
        for path in candidates() {
            let asked = Command::new(&path)
                .env_clear()
                .args(["-c", "import sys; print(sys.implementation.cache_tag, int(sys.version_info >= (3, 8)), sys.version_info[3])"])
                .stdin(Stdio::null())
                .output();
            let Ok(Output { status, stdout, .. }) = asked else { continue };
            let answer = String::from_utf8_lossy(&stdout).trim().to_string();
            let fields: Vec<&str> = answer.split(' ').collect();
            if status.success()
                && let [tag, "1", level] = fields[..]
                && (tag.starts_with("cpython-") || tag.starts_with("pypy"))
            {
                if level == "final" {
                    found.entry(tag.to_string()).or_insert_with(|| Interpreter { path, tag: tag.to_string() });
                } else {
                    eprintln!("not asked, for it is a pre-release: {}", path.display());
                }
            }
        }
        assert!(
            found.keys().any(|tag| tag.starts_with("cpython-")),
            "no CPython 3.8 or later found on PATH or in pyenv: these tests need one, for example `apt install python3`"
        );
        found.into_values().collect()
    })
}

/// The oldest and the newest CPython and the newest PyPy of [`implementations`], for what no version between them does otherwise.
pub fn far_apart() -> Vec<&'static Interpreter> {
    let (found, cpythons) = (implementations(), interpreters().len());
    let mut chosen: Vec<&Interpreter> = found[..cpythons].iter().collect();
    chosen.sort_by_key(|it| (it.tag.len(), &it.tag));
    chosen.drain(1.min(cpythons - 1)..cpythons - 1);
    chosen.extend(found[cpythons..].last());
    chosen
}

/// The newest interpreter found that the program runs: as root none below a directory that others may write to, where the
/// project may lie.
pub fn newest() -> &'static Interpreter {
    let minor =
        |it: &&Interpreter| it.tag.strip_prefix("cpython-3").and_then(|minor| minor.parse::<u32>().ok());
    let is_closed = |path: &Path| path.metadata().is_ok_and(|metadata| metadata.mode() & 0o022 == 0);
    let is_run = |it: &&Interpreter| {
        !rustix::process::geteuid().is_root()
            || it.path.canonicalize().is_ok_and(|path| path.ancestors().all(is_closed))
    };
    let run = interpreters().iter().filter(is_run).max_by_key(minor);
    run.expect("a CPython outside of directories that everybody may write to")
}

/// An interpreter that everybody may start: pyenv's may lie in root's home.
///
/// # Panics
/// Where there is none.
pub fn for_everybody() -> Interpreter {
    const CODE: &str = "import sys; print(sys.implementation.cache_tag)";
    let asked = |path: PathBuf| {
        let mut command = Command::new(&path);
        command.env_clear().current_dir("/").args(["-I", "-c", CODE]);
        if rustix::process::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let output = command.output().ok().filter(|output| output.status.success())?;
        Some(Interpreter { tag: String::from_utf8(output.stdout).unwrap().trim().into(), path })
    };
    let mut places = ["/usr/local/bin/python3", "/usr/bin/python3"].into_iter().map(PathBuf::from);
    places.find_map(asked).expect("a Python that other users may start: apt install python3")
}

/// `PATH`, and behind it the directory where `tests/more-pythons.sh` puts Pythons: `$PYCSTORE_PYTHONS/bin` or
/// `target/pythons/bin`; and those of what is unpacked below `/opt`, where the program finds Pythons too.
fn search_path() -> OsString {
    let pythons = std::env::var_os("PYCSTORE_PYTHONS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/pythons"), PathBuf::from);
    let below_opt = std::fs::read_dir("/opt").into_iter().flatten().flatten().map(|entry| entry.path());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = std::iter::once(pythons).chain(below_opt).map(|directory| directory.join("bin"));
    let more = more.filter(|directory| directory.is_dir());
    std::env::join_paths(std::env::split_paths(&path).chain(more)).expect("no colon in the paths of Pythons")
}

/// Executables that may be a CPython or a PyPy. Real files only: pyenv's shims need an environment.
fn candidates() -> Vec<PathBuf> {
    let mut candidates = Vec::new();
    let pyenv = std::env::var_os("PYENV_ROOT")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".pyenv")));
    if let Some(versions) = pyenv.and_then(|root| std::fs::read_dir(root.join("versions")).ok()) {
        candidates.extend(versions.flatten().map(|version| version.path().join("bin/python3")));
    }
    for directory in std::env::split_paths(&search_path()) {
        if directory.ends_with("shims") {
            continue;
        }
        candidates.extend(["python3", "pypy3"].map(|name| directory.join(name)));
        candidates
            .extend((8..30).flat_map(|minor| {
                ["python3", "pypy3"].map(|name| directory.join(format!("{name}.{minor}")))
            }));
    }
    candidates.retain(|path| path.is_file());
    candidates
}
