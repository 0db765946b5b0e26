//! The findings of `pycstore doctor`, and what it finds on `PATH`.

use super::shown::neutral;
use super::{Answer, World, answer, newest, tool};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One finding of `doctor --json`.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// `severity finding`
    pub what: String,
    pub path: Option<PathBuf>,
    pub detail: String,
    pub hint: String,
}

impl Found {
    /// The finding for `insta::assert_snapshot!`.
    pub fn shown(&self) -> String {
        let Found { what, path, detail, hint } = self;
        let path = path.as_ref().map(|path| format!("path: {}\n", path.display())).unwrap_or_default();
        neutral(&format!("{what}\n{path}detail: {detail}\nhint: {hint}"))
    }
}

/// The findings, without those that depend on the machine that the tests run on: its old interpreters.
pub fn found(answer: &Answer) -> Vec<Found> {
    let found = answer.json_lines().into_iter().map(|line| {
        assert_eq!(line["schema"], 1);
        let text = |key: &str| line[key].as_str().unwrap_or_else(|| panic!("no {key}: {line}")).to_string();
        Found {
            what: format!("{} {}", text("severity"), text("finding")),
            path: line["path"].as_str().map(PathBuf::from),
            detail: text("detail"),
            hint: text("hint"),
        }
    });
    found.filter(|found| found.what != "note interpreter").collect()
}

/// The one finding of this severity and kind.
#[track_caller]
pub fn one(answer: &Answer, what: &str) -> Found {
    let mut found = found(answer);
    let all = format!("{found:#?}");
    found.retain(|it| it.what == what);
    assert_eq!(found.len(), 1, "{what} in {all}");
    found.remove(0)
}

/// Links to these programs, and nothing else, in a directory of their own: what is on `PATH` decides who is asked.
///
/// # Panics
/// When one is missing; then the message says how to install it.
pub fn programs(world: &World, names: &[&str]) -> PathBuf {
    let bin = world.home.join(".bin");
    std::fs::create_dir_all(&bin).unwrap();
    for name in names {
        let package = match *name {
            "crontab" => "cron",
            "setsid" => "util-linux",
            "env" | "sleep" => "coreutils",
            shell => shell,
        };
        let program = tool(name, package);
        let _ = std::os::unix::fs::symlink(program, bin.join(name));
    }
    bin
}

/// Leaves on the disk what `schedule install --with systemd` does, where no user manager runs that could enable it.
pub fn scheduled(world: &World) {
    let units = ".config/systemd/user";
    let printed = world.pycstore(["schedule", "install", "--with", "systemd", "--print"]).exits(0).stdout;
    let timer = world.write(format!("{units}/pycstore.timer"), printed);
    let wanted = world.home.join(units).join("timers.target.wants");
    std::fs::create_dir_all(&wanted).unwrap();
    std::os::unix::fs::symlink(timer, wanted.join("pycstore.timer")).unwrap();
}

#[track_caller]
pub fn none(answer: &Answer, kind: &str) {
    let found = found(answer);
    assert!(found.iter().all(|it| !it.what.ends_with(&format!(" {kind}"))), "{kind} in {found:#?}");
}

/// A world with a store, in which every directory on the way is open to others.
pub struct Site {
    pub world: World,
    pub source: PathBuf,
    pub entry: PathBuf,
}

pub fn site() -> Site {
    let world = World::new();
    let project = world.project("work", &["a.py", "b.py"]);
    world.compile(newest(), &[], &[&project]);
    let homes = world.home.parent().unwrap();
    for directory in [homes, homes.parent().unwrap(), &world.home] {
        mode(directory, 0o755);
    }
    let source = project.join("a.py");
    let entry = world.entry(&source, newest(), "");
    Site { world, source, entry }
}

pub fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// `doctor --json` where no shell, no cron and no systemd is to be asked.
pub fn command(world: &World) -> Command {
    let mut command = world.program();
    command.env("PATH", programs(world, &[])).env("PYTHONPYCACHEPREFIX", &world.store);
    command.args(["doctor", "--json"]);
    command
}

pub fn doctor(world: &World) -> Answer {
    answer(&mut command(world))
}
