//! `pycstore demo`: the main job from nothing to clean, on a store of its own.

use crate::support::{Answer, Interpreter, World, answer, assert_only_gone, files, interpreters, newest};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A home with a store and a project in it that the demo must leave alone, a temporary directory, and a `PATH`.
struct Stage {
    world: World,
    temporary: PathBuf,
    path: PathBuf,
}

/// `python` is what `python3` shall be.
fn stage(python: Option<&Interpreter>) -> Stage {
    let world = World::new();
    let outside = world.home.parent().unwrap();
    let [temporary, path] = ["temporary", "path"].map(|name| outside.join(name));
    std::fs::create_dir(&temporary).unwrap();
    std::fs::create_dir(&path).unwrap();
    if let Some(python) = python {
        symlink(&python.path, path.join("python3")).unwrap();
    }
    let living = world.project("living", &["a.py"]);
    let gone = world.project("shop", &["basket.py"]);
    world.compile(newest(), &[], &[&living, &gone]);
    std::fs::remove_dir_all(gone).unwrap(); // an orphan that is none of the demo's business
    Stage { world, temporary, path }
}

impl Stage {
    fn demo(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.program();
        command.env("PATH", &self.path).env("TMPDIR", &self.temporary).arg("demo").args(arguments);
        command
    }

    /// Runs the demo to its end; nothing but the temporary directory may change, and that only if `--keep` is given.
    fn run(&self, command: &mut Command) -> Answer {
        let before = World::snapshot(&self.world.home);
        let answer = answer(command).exits(0);
        assert_only_gone(&before, &World::snapshot(&self.world.home), &[]);
        assert_eq!(answer.stderr, "");
        answer
    }

    fn left(&self) -> Vec<PathBuf> {
        std::fs::read_dir(&self.temporary).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// The home that a run with `--keep` left, which it names.
    fn kept(&self, answer: &Answer) -> PathBuf {
        let [kept] = &self.left()[..] else { panic!("{:?}", self.left()) };
        assert!(answer.stdout.ends_with(&format!("\nKept: {}\n", kept.display())), "{}", answer.stdout);
        kept.join("home")
    }
}

/// What stands between one line typed and the next.
fn acts(answer: &Answer) -> Vec<(&str, &str)> {
    answer.stdout.split("\n$ ").skip(1).map(|act| act.split_once('\n').unwrap()).collect()
}

const TYPED: [&str; 5] = [
    "pycstore du",
    "rm -rf ~/shop",
    "pycstore prune --orphans --dry-run",
    "pycstore prune --orphans",
    "pycstore du",
];

/// Asserts what the demo shows, and that in the kept store exactly the deleted project's entries are gone.
#[track_caller]
fn plays(stage: &Stage, answer: &Answer, tag: &str) {
    let home = stage.kept(answer);
    let acts = acts(answer);
    assert_eq!(acts.iter().map(|(typed, _)| *typed).collect::<Vec<_>>(), TYPED);
    let [before, removal, dry, real, after] = [0, 1, 2, 3, 4].map(|act: usize| acts[act].1);
    assert_eq!(removal, "");
    let [blog, shop] = ["blog", "shop"].map(|project| home.join(project));
    for project in [&blog, &shop] {
        assert!(before.contains(&format!("  {}\n", project.display())), "{before}");
    }
    assert!(!after.contains("shop") && after.contains(&format!("  {}\n", blog.display())), "{after}");
    let rows: Vec<&str> = real.lines().collect();
    assert_eq!(rows.len(), 3, "one owner is pruned: {real}");
    assert!(rows[1].ends_with(&format!("  {} (gone)", shop.display())), "{real}");
    assert!(rows[2].starts_with("removed 3 files and 1 directory, "), "{real}");
    let mut shown: Vec<&str> = dry.lines().collect();
    let directory: Vec<&str> = shown.drain(2..shown.len() - 1).collect();
    let mirror = home.join(".cache/cpython").join(shop.strip_prefix("/").unwrap());
    assert!(directory.len() == 2 && directory[1].ends_with(&format!("1  {}", mirror.display())), "{dry}");
    assert_eq!(shown, real.replace("removed", "would remove").lines().collect::<Vec<_>>());

    let store = home.join(".cache/cpython");
    let lines =
        stage.world.pycstore(["ls", "--json", "--store", store.to_str().unwrap()]).exits(0).json_lines();
    assert!(lines.iter().all(|line| line["status"] == "fresh"), "{lines:#?}");
    let of_blog: Vec<&Value> = lines.iter().filter(|line| line["owner"]["root"] == json!(blog)).collect();
    let sources: Vec<&Value> = of_blog.iter().map(|line| &line["source"]).collect();
    assert_eq!(sources, [&json!(blog.join("posts.py")), &json!(blog.join("render.py"))]);
    assert!(lines.iter().all(|line| line["tag"] == tag), "{lines:#?}");
    assert!(!shop.exists() && !store.join(shop.strip_prefix("/").unwrap()).exists());
    assert_eq!(files(&blog).len(), 3, "the other project is as it was");
}

#[test]
fn it_plays_with_the_oldest_and_the_newest_python() {
    for python in [&interpreters()[0], newest()] {
        let stage = stage(Some(python));
        // Whatever the user has set for Python must not reach the demo's.
        let mut command = stage.demo(&["--keep"]);
        command.env("PYTHONPYCACHEPREFIX", &stage.world.store).env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("PYTHONHOME", "/nowhere").env("PYTHONPATH", &stage.world.home).env("PYTHONOPTIMIZE", "2");
        let answer = stage.run(&mut command);
        assert!(answer.stdout.contains(" imports both, with PYTHONPYCACHEPREFIX=~/.cache/cpython:\n"));
        plays(&stage, &answer, &python.tag);
    }
}

#[test]
fn it_plays_without_python() {
    let stage = stage(None);
    let answer = stage.run(&mut stage.demo(&["--keep"]));
    assert!(
        answer.stdout.contains("No python3 found: using generated entries in the format of Python 3.12.\n")
    );
    plays(&stage, &answer, "cpython-312");
}

#[test]
fn it_plays_with_a_python_that_does_not_work() {
    let stage = stage(None);
    let python = stage.path.join("python3");
    symlink("/bin/false", &python).unwrap();
    let answer = stage.run(&mut stage.demo(&["--keep"]));
    assert!(answer.stdout.contains("No python3 found"), "{}", answer.stdout);
    plays(&stage, &answer, "cpython-312");
}

#[test]
fn what_stands_in_for_python_is_what_python_writes() {
    // Body and header of the built-in entries, as the interpreter of their tag takes them; every other reads them
    // no further than its own magic number.
    let stage = stage(None);
    let answered = stage.run(&mut stage.demo(&["--keep"]));
    let home = stage.kept(&answered);
    let entry =
        home.join(".cache/cpython").join(home.strip_prefix("/").unwrap()).join("blog/posts.cpython-312.pyc");
    let bytes = std::fs::read(&entry).unwrap();
    let header = pycstore::pyc::Header::parse(&bytes).unwrap();
    assert_eq!(Some(header.magic), pycstore::pyc::Magic::loaded_by("cpython-312"));
    assert_eq!(pycstore::pyc::marshal::code_filename(&bytes[16..], 12).as_deref(), Some(&b"m.py"[..]));
    let load = "import marshal, sys; exec(marshal.loads(open(sys.argv[1], 'rb').read()[16:])); print(x)";
    for python in interpreters().iter().filter(|python| python.tag == "cpython-312") {
        let mut command = stage.world.command(&python.path);
        assert_eq!(answer(command.args(["-B", "-c", load]).arg(&entry)).exits(0).stdout, "1\n");
    }
}

#[test]
fn it_leaves_nothing_behind() {
    for python in [Some(newest()), None] {
        let stage = stage(python);
        let answer = stage.run(&mut stage.demo(&[]));
        assert_eq!(acts(&answer).len(), TYPED.len());
        assert!(
            answer
                .stdout
                .ends_with("\nThe temporary directory was removed. To see your own store: pycstore du\n")
        );
        assert_eq!(stage.left(), Vec::<PathBuf>::new());
    }
}

#[test]
fn a_store_that_is_named_is_left_alone() {
    let stage = stage(None);
    let store = stage.world.store.to_str().unwrap();
    stage.run(&mut stage.demo(&["--store", store, "--assume-gone", "/"]));
    assert_eq!(stage.left(), Vec::<PathBuf>::new());
}

#[test]
fn it_needs_a_temporary_directory_and_says_so() {
    let stage = stage(None);
    let missing = Path::new("/pycstore-no-such-place");
    insta::assert_snapshot!(answer(stage.demo(&[]).env("TMPDIR", missing)).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: cannot create a temporary directory: No such file or directory
    ");
}

#[test]
fn told_to_stop_it_removes_what_it_made() {
    let stage = stage(Some(newest()));
    let before = World::snapshot(&stage.world.home);
    for wait in [20, 60, 150, 400] {
        let mut child = stage.demo(&[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        let _ = kill_process(Pid::from_child(&child), Signal::TERM);
        let status = child.wait().unwrap();
        // Before it listens, the signal ends it, and nothing is made yet; after the end there is nothing to stop.
        assert!(matches!(status.code(), Some(0..=2) | None), "{status}");
        assert_eq!(stage.left(), Vec::<PathBuf>::new(), "after {wait} ms: {status}");
    }
    assert_only_gone(&before, &World::snapshot(&stage.world.home), &[]);
}
