//! `pycstore schedule`.

use crate::support::spool::Spool;
use crate::support::{Answer, World, answer, date_back, files, newest, tool};
use std::path::{Path, PathBuf};

/// A world with an orphan in its store.
fn world() -> World {
    let world = World::new();
    add_orphan(&world, "gone");
    world
}

fn add_orphan(world: &World, name: &str) {
    let project = world.project(name, &["m.py"]);
    world.compile(newest(), &[], &[&project]);
    std::fs::remove_dir_all(project).unwrap();
}

fn entries(world: &World) -> usize {
    files(&world.store).len()
}

fn schedule(world: &World, arguments: &[&str]) -> Answer {
    answer(world.program().arg("schedule").args(arguments))
}

fn install(spool: &Spool<'_>) -> Answer {
    spool.pycstore(["schedule", "install", "--with", "cron", "--yes"])
}

/// The line in the crontab, without its markers.
fn line(spool: &Spool<'_>) -> String {
    let crontab = String::from_utf8(spool.contents().unwrap()).unwrap();
    let block = crontab.split("# >>> pycstore schedule >>>\n").nth(1).unwrap();
    let lines: Vec<&str> = block.lines().take_while(|line| *line != "# <<< pycstore schedule <<<").collect();
    lines.into_iter().find(|line| !line.starts_with('#')).unwrap().to_string()
}

/// Runs the command of a line as cron does: the five fields away, `\%` a percent sign, the rest to sh.
fn run_line(world: &World, line: &str) -> Answer {
    let command = line.splitn(6, ' ').nth(5).unwrap().replace("\\%", "%");
    let mut cron = std::process::Command::new("/bin/sh");
    cron.env_clear().env("HOME", &world.home).env("PATH", "/usr/bin:/bin").current_dir(&world.home);
    answer(cron.args(["-c", &command]))
}

#[test]
#[ignore = "needs cron and a mount namespace"]
fn cron_gets_a_line_and_the_rest_of_the_crontab_stays() {
    let world = world();
    let spool = Spool::new(&world);
    assert!(spool.is_own());
    const CRONTAB: &str = "# mine\nMAILTO=me\n*/5 * * * * echo 100\\%\n";
    spool.fill(CRONTAB);
    insta::assert_snapshot!(spool.pycstore(["schedule", "status"]).shown(), @r"
    exit: 1
    ----- stdout -----
    schedule  none (to install one: pycstore schedule install)
    last run  none recorded with this policy
    policy  orphans stale corrupt temporary (default)
    store  /home/me/.cache/cpython
    ----- stderr -----
    ");
    spool.pycstore(["schedule", "install", "--with", "cron"]).exits(2);
    assert_eq!(spool.contents().unwrap(), CRONTAB.as_bytes());
    let printed = spool.pycstore(["schedule", "install", "--with", "cron", "--print"]).exits(0).stdout;
    install(&spool).exits(0);
    let with = spool.contents().unwrap();
    assert!(with.starts_with(CRONTAB.as_bytes()));
    assert!(String::from_utf8_lossy(&with).contains(&printed), "what was shown is what was done: {printed}");
    // Once more: the same minute.
    let again = spool.pycstore(["schedule", "install", "--yes"]).exits(0);
    assert_eq!(again.stdout, "nothing to do\n");
    assert_eq!(spool.contents().unwrap(), with);
    let first = line(&spool);
    spool.pycstore(["schedule", "install", "--yes", "--store", world.store.to_str().unwrap()]).exits(0);
    let second = line(&spool);
    assert!(second.contains("--store"), "{second}");
    assert_eq!(first.split(' ').take(5).collect::<Vec<_>>(), second.split(' ').take(5).collect::<Vec<_>>());
    insta::assert_snapshot!(spool.pycstore(["schedule", "status"]).shown(), @r"
    exit: 0
    ----- stdout -----
    schedule  cron: the crontab
    next run  DATE
    last run  none recorded with this policy
    policy  orphans stale corrupt temporary (default)
    store  /home/me/.cache/cpython
    ----- stderr -----
    ");
    // What cron runs does what is promised, and says nothing.
    assert_eq!(entries(&world), 1);
    let ran = run_line(&world, &second).exits(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    assert_eq!(entries(&world), 0);
    insta::assert_snapshot!(spool.pycstore(["schedule", "status"]).shown(), @r"
    exit: 0
    ----- stdout -----
    schedule  cron: the crontab
    next run  DATE
    last run  DATE (today): done, removed 1 file, SIZE
    policy  orphans stale corrupt temporary (default)
    store  /home/me/.cache/cpython
    ----- stderr -----
    ");
    spool.pycstore(["schedule", "remove", "--yes"]).exits(0);
    assert_eq!(spool.contents().unwrap(), CRONTAB.as_bytes());
    assert_eq!(spool.pycstore(["schedule", "remove", "--yes"]).exits(0).stdout, "nothing to do\n");
}

#[test]
#[ignore = "needs cron and a mount namespace"]
fn a_crontab_that_was_made_goes_again() {
    let world = world();
    let spool = Spool::new(&world);
    install(&spool).exits(0);
    spool.pycstore(["schedule", "remove", "--yes"]).exits(0);
    assert_eq!(spool.contents(), None);
    // Beside the environment of `setup cron`, in either order.
    spool.pycstore(["setup", "cron", "--yes"]).exits(0);
    install(&spool).exits(0);
    spool.pycstore(["setup", "cron", "--undo", "--yes"]).exits(0);
    assert!(line(&spool).ends_with("schedule run"));
    spool.pycstore(["schedule", "remove", "--yes"]).exits(0);
    assert_eq!(spool.contents().unwrap_or_default(), b"");
}

#[test]
#[ignore = "needs cron and a mount namespace"]
fn odd_names_reach_the_job_through_cron() {
    let world = World::new();
    let spool = Spool::new(&world);
    let store = world.home.join("it's 100% \"$HOME\" `x`\\");
    let program = world.home.join("my 50% bin's/pycstore");
    std::fs::create_dir_all(program.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_pycstore"), &program).unwrap();
    let orphan = format!("{}/nowhere/m.cpython-312.pyc", world.home.display());
    let entry = store.join(orphan.trim_start_matches('/'));
    std::fs::create_dir_all(entry.parent().unwrap()).unwrap();
    std::fs::write(&entry, b"\xcb\r\r\n0123456789ab").unwrap();
    date_back(&entry);
    let state = world.home.join("my state");
    let mut command = spool.command(&[], "", &program);
    command.env("XDG_STATE_HOME", &state).args(["schedule", "install", "--with", "cron", "--yes", "--store"]);
    answer(command.arg(&store)).exits(0);
    let line = line(&spool);
    assert!(
        line.contains("my 50\\% bin"),
        "by the name that finds it again, not by what it links to: {line}"
    );
    run_line(&world, &line).exits(0);
    assert!(!entry.exists());
    assert!(files(&state).iter().any(|file| file.ends_with("history.jsonl")));
}

#[test]
fn run_does_what_the_configuration_says_else_the_default() {
    let world = world();
    insta::assert_snapshot!(schedule(&world, &["run", "--dry-run"]).shown(), @r"
    exit: 0
    ----- stdout -----
    SIZE  FILES  STATUS  REASON  OWNER
    SIZE  1  orphan  root  /home/me/gone (gone)
    DIRECTORIES  EMPTY DIRECTORY TREE
              1  /home/me/.cache/cpython/home/me/gone
    would remove 1 file and 1 directory, SIZE
    ----- stderr -----
    ");
    assert_eq!(entries(&world), 1);
    world.write(".config/pycstore/config.toml", "[prune]\ntemporary = true\n");
    schedule(&world, &["run"]).exits(0);
    assert_eq!(entries(&world), 1, "the policy has no orphans");
    world.write(".config/pycstore/config.toml", "[prune]\nmin-interval = \"20h\"\n");
    schedule(&world, &["run"]).exits(0);
    assert_eq!(entries(&world), 0);
    let runs = world.pycstore(["history", "--json"]).exits(0).json_lines();
    assert_eq!(runs[0]["selectors"], serde_json::json!(["orphans", "stale", "corrupt", "temporary"]));
    insta::assert_snapshot!(schedule(&world, &["run"]).shown(), @r"
    exit: 0
    ----- stdout -----
    ----- stderr -----
    pycstore: nothing to do: the last run was at DATE, the next is due at DATE
    ");
}

/// The two units of `--print`, written to files.
fn units(world: &World, arguments: &[&str]) -> [PathBuf; 2] {
    let printed =
        schedule(world, &[&["install", "--print", "--with", "systemd"], arguments].concat()).exits(0).stdout;
    let (service, timer) = printed.split_once("# pycstore.timer\n").unwrap();
    [
        world.write("units/pycstore.service", service.split_once('\n').unwrap().1),
        world.write("units/pycstore.timer", timer),
    ]
}

#[test]
#[ignore = "needs systemd"]
fn systemd_understands_the_units() {
    tool("systemd-analyze", "systemd");
    let world = World::new();
    std::fs::create_dir(world.home.join("run")).unwrap();
    let odd = world.home.join("a b% $x \"'\\ é");
    for arguments in [&[][..], &["--store", odd.to_str().unwrap()]] {
        let units = units(&world, arguments);
        let mut analyze = world.command("systemd-analyze");
        analyze.env("XDG_RUNTIME_DIR", world.home.join("run")).args(["verify", "--user", "--man=no"]);
        let verified = answer(analyze.args(&units)).exits(0);
        assert_eq!(verified.stderr, "");
    }
    // It is no test that accepts everything.
    let broken =
        world.write("units/broken.service", "[Service]\nType=oneshot\nExecStart=relative\nNice=lots\n");
    let verified =
        answer(world.command("systemd-analyze").args(["verify", "--user", "--man=no"]).arg(broken));
    assert!(!verified.stderr.is_empty());
    let service = std::fs::read_to_string(world.home.join("units/pycstore.service")).unwrap();
    for line in ["Nice=19", "IOSchedulingClass=idle", "Type=oneshot"] {
        assert!(service.lines().any(|it| it == line), "{service}");
    }
    // Nothing that lets sources disappear or refuses openat2.
    let settings = service.lines().filter(|line| !line.starts_with('#'));
    for line in settings {
        for word in [
            "Private",
            "Protect",
            "ReadOnly",
            "Inaccessible",
            "RestrictSUIDSGID",
            "DynamicUser",
            "SystemCall",
        ] {
            assert!(!line.contains(word), "{line}");
        }
    }
    let timer = std::fs::read_to_string(world.home.join("units/pycstore.timer")).unwrap();
    assert!(timer.contains("RandomizedDelaySec=") && timer.contains("Persistent=true"), "{timer}");
}

/// A world in which `systemctl` is a script: it writes down what it is asked, and does what enabling does. No user
/// manager is started, for it would move the machine's processes about.
struct Manager<'w> {
    world: &'w World,
    spool: Spool<'w>,
}

impl<'w> Manager<'w> {
    fn new(world: &'w World) -> Manager<'w> {
        use std::os::unix::fs::PermissionsExt;
        let script = "#!/bin/sh
echo \"$*\" >> \"$HOME/asked\"
units=\"$HOME/.config/systemd/user\"
case \"$*\" in
  *enable*) test -e \"$HOME/refuse\" && { echo 'it is refused' >&2; exit 1; };;
esac
case \"$*\" in
  '--user enable --now pycstore.timer') mkdir -p \"$units/timers.target.wants\" && ln -sf ../pycstore.timer \"$units/timers.target.wants/\";;
  '--user disable --now pycstore.timer') test -f \"$units/pycstore.timer\" && rm -f \"$units/timers.target.wants/pycstore.timer\";;
  '--user show '*) echo 'Wed 2026-11-25 04:09:20 UTC';;
esac
";
        let path = world.write("bin/systemctl", script);
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        Manager { world, spool: Spool::new(world) }
    }

    /// Lets `crontab` be this script.
    fn replace_crontab(&self, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.world.write("bin/crontab", format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    fn pycstore(&self, arguments: &[&str]) -> Answer {
        let path = format!("{}/bin:{}", self.world.home.display(), std::env::var("PATH").unwrap());
        let mut command = self.spool.command(&[], "", env!("CARGO_BIN_EXE_pycstore"));
        answer(command.env("PATH", path).args(arguments))
    }

    fn install(&self, with: &str) -> Answer {
        self.pycstore(&["schedule", "install", "--with", with, "--yes"])
    }

    fn asked(&self) -> Vec<String> {
        let file = self.world.home.join("asked");
        let asked = std::fs::read_to_string(&file).unwrap_or_default();
        let _ = std::fs::remove_file(file);
        asked.lines().filter(|line| !line.contains("show")).map(|line| line.replace("--user ", "")).collect()
    }
}

#[test]
#[ignore = "needs cron and a mount namespace"]
fn where_a_user_manager_runs_it_gets_a_timer() {
    let world = world();
    let manager = Manager::new(&world);
    let timer = world.home.join(".config/systemd/user/pycstore.timer");
    manager.pycstore(&["schedule", "install", "--dry-run"]).exits(0);
    assert!(!timer.exists() && manager.asked().is_empty());
    manager.pycstore(&["schedule", "install", "--yes"]).exits(0);
    assert_eq!(manager.asked(), ["daemon-reload", "enable --now pycstore.timer", "restart pycstore.timer"]);
    assert!(timer.is_file());
    assert_eq!(manager.spool.contents(), None, "one schedule is enough");
    assert_eq!(manager.pycstore(&["schedule", "install", "--yes"]).exits(0).stdout, "nothing to do\n");
    assert!(manager.asked().is_empty());
    let told = manager.pycstore(&["schedule", "status"]).exits(0).stdout;
    assert!(told.starts_with("schedule  systemd: /") && told.contains("\nnext run  2026-11-2"), "{told}");
    // Another kind takes its place, and gives it back.
    manager.install("cron").exits(0);
    assert_eq!(manager.asked(), ["disable --now pycstore.timer", "daemon-reload"]);
    assert!(!timer.exists());
    assert!(line(&manager.spool).ends_with("schedule run"));
    manager.install("systemd").exits(0);
    assert!(timer.is_file());
    assert_eq!(manager.spool.contents(), None);
    manager.asked();
    manager.pycstore(&["schedule", "remove", "--yes"]).exits(0);
    assert_eq!(manager.asked(), ["disable --now pycstore.timer", "daemon-reload"]);
    let units = files(&world.home.join(".config/systemd"));
    assert!(units.is_empty(), "{units:?}");
}

#[test]
#[ignore = "needs cron and a mount namespace"]
fn units_that_somebody_else_wrote_are_left_alone() {
    let theirs = "[Service]\nExecStart=/usr/local/bin/pycstore --quiet prune --max-size 2g\n";
    let mut shown = String::new();
    for name in ["pycstore.service", "pycstore.timer"] {
        let world = world();
        let manager = Manager::new(&world);
        let unit = world.write(format!(".config/systemd/user/{name}"), theirs);
        let told = manager.install("systemd");
        shown += &told.exits(2).shown();
        assert!(manager.asked().is_empty());
        manager.pycstore(&["schedule", "remove", "--yes"]).exits(0);
        assert_eq!(std::fs::read_to_string(&unit).unwrap(), theirs);
        let units = files(&world.home.join(".config/systemd"));
        assert_eq!(units.len(), 1, "{units:?}");
    }
    insta::assert_snapshot!(shown, @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: not changed: /home/me/.config/systemd/user/pycstore.service: pycstore did not write it
    hint: rename it, or schedule by cron: pycstore schedule install --with cron
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: not changed: /home/me/.config/systemd/user/pycstore.timer: pycstore did not write it
    hint: rename it, or schedule by cron: pycstore schedule install --with cron
    ");
}

#[test]
#[ignore = "needs cron and a mount namespace"]
fn a_timer_that_somebody_else_wrote_is_not_disabled() {
    let world = world();
    let manager = Manager::new(&world);
    world.write(".config/systemd/user/pycstore.timer", "[Timer]\nOnCalendar=weekly\n");
    world.write(".config/systemd/user/timers.target.wants/pycstore.timer", "");
    insta::assert_snapshot!(manager.pycstore(&["schedule", "status"]).shown(), @r"
    exit: 1
    ----- stdout -----
    schedule  none (to install one: pycstore schedule install)
    last run  none recorded with this policy
    policy  orphans stale corrupt temporary (default)
    store  /home/me/.cache/cpython
    ----- stderr -----
    ");
    manager.install("cron").exits(0);
    manager.pycstore(&["schedule", "remove", "--yes"]).exits(0);
    assert!(manager.asked().is_empty());
}

#[test]
#[ignore = "needs cron and a mount namespace"]
fn units_that_are_only_partly_ours_are_not_made_ours() {
    let drop_in = "[Service]\nEnvironment=A=1\n";
    let mut shown = String::new();
    for text in ["", "\n"] {
        let world = world();
        let manager = Manager::new(&world);
        // An empty unit is a masked one.
        let unit = world.write(".config/systemd/user/pycstore.service", text);
        let told = manager.install("systemd");
        shown += &told.exits(2).shown();
        assert_eq!(std::fs::read_to_string(unit).unwrap(), text);
    }
    for name in ["pycstore.service", "pycstore.timer"] {
        let world = world();
        let manager = Manager::new(&world);
        manager.install("systemd").exits(0);
        let path = world.home.join(".config/systemd/user").join(name);
        let ours = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{ours}{drop_in}")).unwrap();
        manager.asked();
        let told = manager.pycstore(&["schedule", "install", "--threads", "1", "--yes"]);
        shown += &told.exits(2).shown();
        // What they added stays; a timer of theirs is not stopped.
        manager.pycstore(&["schedule", "remove", "--yes"]).exits(0);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), drop_in);
        assert_eq!(manager.asked().iter().any(|it| it.starts_with("disable")), name == "pycstore.service");
    }
    insta::assert_snapshot!(shown, @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: not changed: /home/me/.config/systemd/user/pycstore.service: pycstore did not write it
    hint: rename it, or schedule by cron: pycstore schedule install --with cron
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: not changed: /home/me/.config/systemd/user/pycstore.service: pycstore did not write it
    hint: rename it, or schedule by cron: pycstore schedule install --with cron
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: not changed: /home/me/.config/systemd/user/pycstore.service: it has lines that pycstore did not write
    hint: move them to a drop-in: systemctl --user edit pycstore.service (or pycstore.timer)
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: not changed: /home/me/.config/systemd/user/pycstore.timer: it has lines that pycstore did not write
    hint: move them to a drop-in: systemctl --user edit pycstore.service (or pycstore.timer)
    ");
}

#[test]
fn an_agent_that_somebody_else_wrote_stays() {
    let world = World::new();
    let place = "Library/LaunchAgents/pycstore.schedule.plist";
    let theirs = "<plist>\n<!-- made by `pycstore schedule install` -->\n<dict/></plist>\n";
    let path = world.write(place, theirs);
    schedule(&world, &["remove", "--with", "launchd", "--yes"]).exits(0);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), theirs);
    world.write(place, schedule(&world, &["install", "--print", "--with", "launchd"]).exits(0).stdout);
    // Nothing on this machine is told of it.
    schedule(&world, &["remove", "--with", "launchd", "--yes"]);
    assert!(!path.exists());
}

/// What `crontab -l` says to those who may not use it, or cannot.
const REFUSALS: [&str; 3] = [
    "echo 'You (me) are not allowed to use this program (crontab)' >&2; exit 1",
    "echo 'crontab: must be suid to work properly' >&2; exit 1",
    "exit 13",
];

#[test]
#[ignore = "needs cron and a mount namespace"]
fn a_refused_crontab_is_in_nobodys_way() {
    for refusal in REFUSALS {
        let world = world();
        let manager = Manager::new(&world);
        manager.replace_crontab(refusal);
        world.write(".bashrc", "theirs\n");
        manager.pycstore(&["setup", "bash", "--yes"]).exits(0);
        let told = |answer: Answer| {
            let lines: Vec<String> = answer
                .stderr
                .lines()
                .filter(|line| line.contains(": crontab failed: "))
                .map(str::to_string)
                .collect();
            assert_eq!(lines.len(), 1, "{answer:?}");
            lines[0].clone()
        };
        let why = told(manager.pycstore(&["schedule", "status"]).exits(1));
        assert!(why.ends_with("; cannot determine whether cron has a schedule"), "{why}");
        let timer = world.home.join(".config/systemd/user/pycstore.timer");
        told(manager.install("systemd").exits(0));
        assert!(timer.exists());
        let status = manager.pycstore(&["schedule", "status"]).exits(0);
        assert!(status.stdout.starts_with("schedule  systemd: "), "{status:?}");
        told(status);
        told(manager.pycstore(&["schedule", "remove", "--yes"]).exits(1));
        assert!(!timer.exists());
        told(manager.pycstore(&["setup", "--undo", "--yes"]).exits(1));
        assert_eq!(std::fs::read_to_string(world.home.join(".bashrc")).unwrap(), "theirs\n");
        // Who names it wants it.
        for arguments in [&["schedule", "install", "--with", "cron"][..], &["setup", "cron"]] {
            let refused = manager.pycstore(&[arguments, &["--yes"]].concat()).exits(2).stderr;
            assert!(refused.contains("pycstore: crontab failed: "), "{refused}");
        }
    }
}

#[test]
#[ignore = "needs cron and a mount namespace"]
fn no_crontab_at_all_is_no_trouble() {
    // BusyBox says so of a user who has none.
    let none =
        "test \"$1\" != -l || { echo \"crontab: can't open 'me': No such file or directory\" >&2; exit 1; }
cat > \"$HOME/crontab\"";
    let world = world();
    let manager = Manager::new(&world);
    manager.replace_crontab(none);
    let told = manager.pycstore(&["schedule", "remove", "--yes"]).exits(0);
    assert_eq!((told.stdout.as_str(), told.stderr.as_str()), ("nothing to do\n", ""));
    assert_eq!(manager.pycstore(&["schedule", "status"]).exits(1).stderr, "");
    manager.install("cron").exits(0);
    assert!(std::fs::read_to_string(world.home.join("crontab")).unwrap().contains("schedule run"));
    // Where there is no such program, nothing is in its crontab.
    for arguments in [&["schedule", "remove", "--yes"][..], &["setup", "--undo", "--yes"]] {
        let mut command = world.program();
        let told = answer(command.env("PATH", "/nonexistent").args(arguments)).exits(0);
        assert_eq!((told.stdout.as_str(), told.stderr.as_str()), ("nothing to do\n", ""));
    }
}

#[test]
#[ignore = "needs cron and a mount namespace"]
fn the_old_schedule_stays_until_the_new_one_runs() {
    let world = world();
    let manager = Manager::new(&world);
    manager.install("cron").exits(0);
    let before = line(&manager.spool);
    // The manager does not start the new one.
    world.write("refuse", "");
    let told = manager.install("systemd").exits(1);
    assert!(told.stderr.contains("it is refused\n"), "{told:?}");
    assert!(told.stderr.contains("the cron schedule is kept\n"), "{told:?}");
    assert_eq!(line(&manager.spool), before);
    insta::assert_snapshot!(manager.pycstore(&["schedule", "status"]).shown(), @r"
    exit: 0
    ----- stdout -----
    schedule  cron: the crontab
    next run  DATE
    last run  none recorded with this policy
    policy  orphans stale corrupt temporary (default)
    store  /home/me/.cache/cpython
    ----- stderr -----
    ");
    std::fs::remove_file(world.home.join("refuse")).unwrap();
    // While it is started, the old one is there.
    manager.asked();
    let script = std::fs::read_to_string(world.home.join("bin/systemctl")).unwrap();
    let crontab = "crontab -l 2>/dev/null | grep -c 'schedule run' >> \"$HOME/asked\"";
    world.write("bin/systemctl", script.replacen('\n', &format!("\n{crontab}\n"), 1));
    manager.install("systemd").exits(0);
    let asked = manager.asked();
    assert!(
        asked.contains(&"enable --now pycstore.timer".into()) && !asked.contains(&"0".into()),
        "{asked:?}"
    );
    assert_eq!(manager.spool.contents(), None);
    world.write("bin/systemctl", script);
    // The other way: cron does not take the line.
    manager.replace_crontab(
        "test \"$1\" = -l && { echo 'no crontab for me' >&2; exit 1; }; echo full >&2; exit 1",
    );
    let timer = world.home.join(".config/systemd/user/pycstore.timer");
    let told = manager.install("cron");
    assert_eq!(told.code, 2, "{told:?}");
    assert!(told.stderr.contains("crontab failed: full\n"), "{told:?}");
    assert!(told.stderr.contains("the systemd schedule is kept\n"), "{told:?}");
    assert!(timer.exists());
    assert!(manager.asked().iter().all(|it| !it.starts_with("disable")));
}

#[test]
#[ignore = "needs cron and a mount namespace"]
fn a_timer_that_was_enabled_by_hand_is_named_when_another_kind_takes_its_place() {
    let world = world();
    let manager = Manager::new(&world);
    let [service, timer] = units(&world, &[]);
    let directory = world.home.join(".config/systemd/user");
    std::fs::create_dir_all(directory.join("timers.target.wants")).unwrap();
    std::fs::copy(service, directory.join("pycstore.service")).unwrap();
    std::fs::copy(timer, directory.join("pycstore.timer")).unwrap();
    std::os::unix::fs::symlink("../pycstore.timer", directory.join("timers.target.wants/pycstore.timer"))
        .unwrap();
    let told = manager.install("cron");
    insta::assert_snapshot!(told.shown(), @r"
    exit: 0
    ----- stdout -----
    --- /dev/null
    +++ crontab
    @@ -0,0 +1,4 @@
    +# >>> pycstore schedule >>>
    +# (this file was made for this block)
    +MINUTE HOUR * * * nice -n 19 ionice -c 3 PYCSTORE --quiet schedule run
    +# <<< pycstore schedule <<<
    ----- stderr -----
    pycstore: /home/me/.config/systemd/user/pycstore.timer was installed by hand and is kept
    hint: systemctl --user disable --now pycstore.timer
    pycstore: every night: orphans stale corrupt temporary (default)
    pycstore: cron sends errors by mail, if this machine delivers mail
    ");
    assert!(directory.join("pycstore.timer").exists());
}

#[test]
#[ignore = "needs cron and a mount namespace"]
fn the_job_has_the_global_options_of_install() {
    let world = World::new();
    let options = ["--threads", "3", "--assume-gone", "old disk", "--assume-gone", "/mnt/x"];
    let old = world.home.join("old disk");
    for (with, expected) in [
        ("cron", format!("--threads 3 --assume-gone '{}' --assume-gone /mnt/x schedule run", old.display())),
        (
            "systemd",
            format!("--threads 3 --assume-gone \"{}\" --assume-gone /mnt/x schedule run", old.display()),
        ),
        ("launchd", format!("<string>--assume-gone</string>\n        <string>{}</string>", old.display())),
    ] {
        let printed = schedule(&world, &[&["install", "--print", "--with", with], &options[..]].concat())
            .exits(0)
            .stdout;
        assert!(printed.contains(&expected), "{printed}");
    }
    // What it says is what is done: by day the source's disk may only be away.
    let project = world.project("disk/p", &["m.py"]);
    world.compile(newest(), &[], &[&project]);
    std::fs::remove_dir_all(world.home.join("disk")).unwrap();
    std::fs::create_dir(world.home.join("disk")).unwrap();
    let spool = Spool::new(&world);
    let disk = world.home.join("disk");
    install(&spool).exits(0);
    run_line(&world, &line(&spool));
    let kept = entries(&world);
    let gone = ["schedule", "install", "--yes", "--assume-gone", disk.to_str().unwrap()];
    spool.pycstore(gone).exits(0);
    run_line(&world, &line(&spool)).exits(0);
    assert_eq!((kept, entries(&world)), (1, 0));
}

#[test]
fn without_a_user_manager_systemd_is_refused() {
    let world = World::new();
    let mut command = world.copied_program();
    command
        .env("XDG_RUNTIME_DIR", world.home.join("none"))
        .args(["schedule", "install", "--with", "systemd", "--yes"]);
    insta::assert_snapshot!(answer(&mut command).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: no systemd user manager runs here
    hint: pycstore schedule install --with cron; or --print --with systemd, and enable the timer yourself
    ");
    insta::assert_snapshot!(answer(world.copied_program().args(["schedule", "install", "--with", "launchd", "--yes"])).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: launchd exists only on macOS
    hint: pycstore schedule install --print --with launchd shows its property list
    ");
    let mut command = world.copied_program();
    let told = answer(command.env("PATH", "/nonexistent").args(["schedule", "install", "--yes"]));
    insta::assert_snapshot!(told.shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: cannot run crontab: crontab is not on PATH
    hint: install cron, for example: apt install cron; or start a systemd user manager
    ");
    insta::assert_snapshot!(schedule(&world, &["status", "--print"]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: --print works only with install
    hint: pycstore schedule install --print
    ");
}

#[test]
fn launchd_would_get_a_property_list() {
    let world = World::new();
    let store = "/a <b> & \"c\" é";
    let printed =
        schedule(&world, &["install", "--print", "--with", "launchd", "--store", store]).exits(0).stdout;
    let file = world.write("list.plist", printed);
    const CODE: &str =
        "import json, plistlib, sys; print(json.dumps(plistlib.load(open(sys.argv[1], 'rb'))))";
    let list = answer(world.command(&newest().path).args(["-I", "-B", "-c", CODE]).arg(file)).exits(0).json();
    let arguments: Vec<&str> =
        list["ProgramArguments"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    assert!(Path::new(arguments[0]).is_absolute() && Path::new(arguments[0]).is_file());
    assert_eq!(arguments[1..], ["--quiet", "--store", store, "schedule", "run"]);
    assert_eq!(list["Label"], "pycstore.schedule");
    assert_eq!((&list["Nice"], &list["LowPriorityIO"]), (&19.into(), &true.into()));
    assert!(list["StartCalendarInterval"]["Minute"].as_u64().unwrap() < 60);
    assert!(list["StandardErrorPath"].as_str().unwrap().ends_with("/Library/Logs/pycstore.log"));
}

#[test]
fn a_configuration_by_another_name_holds_at_night_as_well() {
    let world = World::new();
    let file = world.write("my config.toml", "[prune]\norphans = true\nmax-size = \"1GiB\"\n");
    let told =
        schedule(&world, &["install", "--print", "--with", "cron", "--config", file.to_str().unwrap()]);
    insta::assert_snapshot!(told.shown(), @r"
    exit: 0
    ----- stdout -----
    MINUTE HOUR * * * nice -n 19 ionice -c 3 PYCSTORE --quiet --config '/home/me/my config.toml' schedule run
    ----- stderr -----
    pycstore: add to the crontab
    ");
    let mut command = world.program();
    let told =
        answer(command.env("PYCSTORE_CONFIG", "").args(["schedule", "install", "--print", "--with", "cron"]));
    insta::assert_snapshot!(told.shown(), @r"
    exit: 0
    ----- stdout -----
    MINUTE HOUR * * * nice -n 19 ionice -c 3 PYCSTORE --quiet --config /dev/null schedule run
    ----- stderr -----
    pycstore: add to the crontab
    ");
}

#[test]
#[ignore = "needs root and cron"]
fn root_schedules_no_program_that_others_may_change() {
    let world = world();
    let spool = Spool::new(&world);
    let bin = world.home.join("bin");
    std::fs::create_dir(&bin).unwrap();
    let program = bin.join("pycstore");
    answer(world.command("cp").arg(env!("CARGO_BIN_EXE_pycstore")).arg(&program)).exits(0);
    let install = || {
        let mut command = spool.command(&[], "", &program);
        answer(command.args(["schedule", "install", "--with", "cron", "--yes"]))
    };
    std::os::unix::fs::chown(&bin, Some(65534), None).unwrap();
    insta::assert_snapshot!(install().shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: refused: root would run /home/me/bin/pycstore each night, and /home/me/bin belongs to user 65534
    hint: put it where only root may write, such as /usr/local/bin, and run it from there
    ");
    assert_eq!(spool.contents(), None);
    std::os::unix::fs::chown(&bin, Some(0), None).unwrap();
    // Nor one that obeys their configuration.
    let kept = world.home.join("theirs");
    std::fs::create_dir(&kept).unwrap();
    std::os::unix::fs::chown(&kept, Some(65534), None).unwrap();
    let mut command = spool.command(&[], "", &program);
    command.env("XDG_CONFIG_HOME", &kept).args(["schedule", "install", "--with", "cron", "--yes"]);
    insta::assert_snapshot!(answer(&mut command).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: refused: root would use /home/me/theirs each night, and /home/me/theirs belongs to user 65534
    hint: point XDG_CONFIG_HOME, XDG_STATE_HOME and --config at paths that only root can change
    ");
    assert_eq!(spool.contents(), None);
    install().exits(0);
    assert!(line(&spool).contains(program.to_str().unwrap()));
}
