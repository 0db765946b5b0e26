//! Runs that are killed while interpreters import and write.

use super::{Answer, Interpreter, World, answer, assert_only_gone, date_back, files, interpreters};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Makes orphans in so many directories of the store; returns the directory that holds them all. Those that are there
/// already stay. They are links to one file: making thousands of files takes some disks many seconds.
pub fn grow(world: &World, directories: usize, each: usize) -> PathBuf {
    let mirror = world.mirror(&world.home.join("gone"));
    let entry = world.home.join("entry");
    if !entry.exists() {
        fs::write(&entry, b"\xcb\x0d\r\n\0\0\0\0\0\0\0\0\0\0\0\0").unwrap();
        date_back(&entry);
    }
    for number in 0..directories {
        let directory = mirror.join(format!("d{number:03}"));
        fs::create_dir_all(&directory).unwrap();
        for file in 0..each {
            let path = directory.join(format!("m{file:03}.cpython-312.pyc"));
            if fs::symlink_metadata(&path).is_err() {
                fs::hard_link(&entry, path).unwrap();
            }
        }
    }
    // Their sources were deleted after all of this was written.
    let sources = world.home.join("gone");
    fs::create_dir(&sources).unwrap();
    fs::remove_dir(&sources).unwrap();
    mirror
}

/// How many files are below a directory, which need not be there.
pub fn count(directory: &Path) -> usize {
    let entries = walkdir::WalkDir::new(directory).into_iter().flatten();
    entries.filter(|entry| entry.file_type().is_file()).count()
}

/// A command to which signals mean what they usually do. Where the tests run in the background of a script, SIGINT is ignored,
/// and whatever they start inherits that.
pub fn with_default_signals(world: &World, program: &str) -> Command {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or("0");
    // The bits of signals 1, 2 and 15.
    if u64::from_str_radix(mask.trim(), 16).unwrap() & 0x4003 == 0 {
        return world.command(program);
    }
    let mut command = world.command("env");
    command.args(["--default-signal", program]);
    command
}

pub fn start(world: &World, arguments: &[&str]) -> Child {
    let mut command = with_default_signals(world, env!("CARGO_BIN_EXE_pycstore"));
    command.env("PYTHONPYCACHEPREFIX", &world.store).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

pub fn ended(child: Child) -> (Answer, Option<i32>) {
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let code = status.code().unwrap_or(-1);
    (Answer { code, stdout: text(stdout), stderr: text(stderr) }, status.signal())
}

/// Numbers that differ from run to run; the seed is printed, and a failure shows it.
pub struct Chance(u64);

impl Chance {
    /// A new seed.
    pub fn new() -> Chance {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        println!("seed {}", now.as_nanos() as u64);
        Chance(now.as_nanos() as u64 | 1)
    }

    /// A number from zero to below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}

/// Imports its modules again and again, edits one now and then, and demands the newest value each time.
const IMPORTER: &str = r#"
import importlib, os, random, sys
root, name, stop, seed = sys.argv[1:5]
sys.path.insert(0, root)
chance = random.Random(seed)
values, count = {}, 0
def edit(module):
    # Another size each time: an edit in the same second and of the same size escapes Python itself.
    values[module] = count
    path = os.path.join(root, module + ".py")
    with open(path + ".new", "w") as file:
        file.write(f"VALUE = {count}\n#" + "x" * (count % 5000) + "\n")
    os.replace(path + ".new", path)
modules = [f"{name}_{number}" for number in range(12)]
for module in modules:
    count += 1
    edit(module)
# A test that fails does not stop what it started: an importer ends with its parent.
parent = os.getppid()
while not os.path.exists(stop) and os.getppid() == parent:
    for module in modules:
        count += 1
        if chance.random() < 0.2:
            edit(module)
        importlib.invalidate_caches()
        sys.modules.pop(module, None)
        assert importlib.import_module(module).VALUE == values[module], module
print(count)
"#;

pub fn importer(world: &World, interpreter: &Interpreter, root: &Path, stop: &Path) -> Command {
    let name = interpreter.tag.replace('-', "_");
    let mut command = world.python(interpreter);
    command.args(["-c", IMPORTER]).arg(root).arg(&name).arg(stop).arg(&name);
    command
}

/// The oldest interpreter, the newest and one between: each writes into the same store.
pub fn chosen() -> Vec<Interpreter> {
    let all = interpreters();
    let mut chosen = [0, all.len() / 2, all.len() - 1].map(|at| all[at].clone()).to_vec();
    chosen.dedup_by_key(|interpreter| interpreter.tag.clone());
    chosen
}

pub fn kill_storm(world: &World, chosen: &[Interpreter]) {
    const SELECTORS: [&str; 5] = ["prune", "--orphans", "--stale", "--corrupt", "--temporary"];
    const DIRECTORIES: usize = 60;
    const EACH: usize = 40;
    let mut chance = Chance::new();
    let modules: Vec<String> = (0..40).map(|number| format!("m{number}.py")).collect();
    let names: Vec<&str> = modules.iter().map(String::as_str).collect();
    let quiet = world.project("quiet", &names);
    world.give_to_owner();
    for interpreter in chosen {
        world.compile(interpreter, &[], &[&quiet]);
    }
    let fresh = World::snapshot(&world.mirror(&quiet));
    assert_eq!(fresh.len(), 40 * chosen.len());

    let root = world.home.join("busy");
    fs::create_dir(&root).unwrap();
    world.give_to_owner();
    let stop = world.home.join("stop");
    let importers: Vec<Child> = chosen
        .iter()
        .map(|interpreter| {
            let mut command = importer(world, interpreter, &root, &stop);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();

    // About how long a whole run takes here and now, in microseconds.
    world.as_owner(|| grow(world, DIRECTORIES, EACH));
    let began = Instant::now();
    world.pycstore(SELECTORS).exits(0);
    let mut whole = began.elapsed().as_micros() as u64;
    let began = Instant::now();
    let (mut killed, mut while_removing) = (0, 0);
    while killed < 100 || while_removing < 5 {
        assert!(
            began.elapsed() < Duration::from_secs(600),
            "{killed} killed, {while_removing} while removing"
        );
        let gone = world.as_owner(|| grow(world, DIRECTORIES, EACH));
        let threads = ["1", "2", "8"][chance.below(3) as usize];
        let mut child = start(world, &[&["--threads", threads], &SELECTORS[..]].concat());
        std::thread::sleep(Duration::from_micros(chance.below(whole)));
        child.kill().unwrap();
        let (_, by_signal) = ended(child);
        let left = count(&gone);
        if by_signal == Some(9) {
            killed += 1;
            while_removing += usize::from(0 < left && left < DIRECTORIES * EACH);
            whole += whole / 50;
        } else {
            whole -= whole / 10;
        }
    }
    println!("{killed} were killed, {while_removing} of them while they removed");

    fs::write(&stop, "").unwrap();
    for (importer, interpreter) in importers.into_iter().zip(chosen) {
        let (told, _) = ended(importer);
        let told = told.exits(0);
        let imports: usize = told.stdout.trim().parse().unwrap();
        println!("{} imported {imports} times", interpreter.tag);
        assert!(imports > 100, "{told:?}");
    }
    // What was fresh is as it was, byte for byte.
    assert_only_gone(&fresh, &World::snapshot(&world.mirror(&quiet)), &[]);

    // A whole run finishes the job, and then nothing is left to do.
    world.pycstore(SELECTORS).exits(0);
    assert!(!world.mirror(&world.home.join("gone")).exists());
    assert_eq!(world.pycstore(SELECTORS).exits(0).stdout, "nothing to remove\n");
    let statuses = world.pycstore(["du", "--json"]).exits(0).json()["statuses"].clone();
    for (status, tally) in statuses.as_object().unwrap() {
        assert!(status == "fresh" || tally["files"] == 0, "{statuses}");
    }
    // Every import works, whether its entry is there or not.
    for interpreter in chosen {
        let name = interpreter.tag.replace('-', "_");
        let code = format!(
            "import sys\nsys.path[:0] = {root:?}, {quiet:?}\nfrom {name}_0 import VALUE\n\
             for number in range(12): __import__(f'{name}_{{number}}')\n\
             for number in range(40): assert __import__(f'm{{number}}').NAME == f'm{{number}}.py'\n",
        );
        answer(world.python(interpreter).args(["-c", &code])).exits(0);
    }
    assert!(files(&world.mirror(&quiet)).len() >= fresh.len());
}
