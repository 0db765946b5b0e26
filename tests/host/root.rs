//! Root on what belongs to others: the program continues as the owner, and nothing of theirs lends them root.
//!
//! Only root can give files away and become somebody else, so these tests are ignored by name; `.ci/run` runs them as root.

use crate::support::{
    Answer, World, answer, assert_only_gone, date_back, files, for_everybody, give, newest,
};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Users whom no passwd(5) knows.
const EVE: u32 = 61001;
const BOB: u32 = 61002;

/// What the program says before it goes on as [`EVE`].
const CONTINUES: &str = "belongs to user 61001: continuing as user 61001\n";

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// A home of eve's with two projects in her store, one of them deleted, and a place of root's beside it.
struct Site {
    world: World,
    kept: PathBuf,
    gone: PathBuf,
    roots: PathBuf,
}

impl Site {
    fn new() -> Site {
        let world = World::new();
        let gone = world.project("gone", &["a.py", "sub/b.py"]);
        let kept = world.project("kept", &["c.py", "d.py"]);
        world.compile(newest(), &[], &[&gone, &kept]);
        fs::remove_dir_all(&gone).unwrap();
        world.open_to_all();
        give(&world.home, EVE);
        let roots = world.home.parent().unwrap().join("roots");
        fs::create_dir(&roots).unwrap();
        Site { world, kept, gone, roots }
    }

    /// The program as root, with a home and a working directory of root's and nothing of eve's in the environment.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.program();
        for variable in ["XDG_CONFIG_HOME", "XDG_STATE_HOME"] {
            command.env_remove(variable);
        }
        command.env("HOME", &self.roots).current_dir(&self.roots).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Answer {
        answer(&mut self.command(arguments))
    }

    /// The same on eve's store.
    fn on_store(&self, arguments: &[&str]) -> Answer {
        self.run(&[&["--store", self.world.store.to_str().unwrap()], arguments].concat())
    }

    /// The same where passwd(5) has eve with her home, in a mount namespace.
    fn with_account(&self, script: &str) -> Answer {
        let passwd = self.roots.join("passwd");
        let home = self.world.home.display();
        let of_eve = format!("eve:x:{EVE}:{EVE}::{home}:/bin/sh\n");
        fs::write(&passwd, fs::read_to_string("/etc/passwd").unwrap() + &of_eve).unwrap();
        let script = format!("mount --bind {} /etc/passwd; {script}", passwd.display());
        let mut command = self.world.in_namespace("", &script);
        for variable in ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "PYTHONPYCACHEPREFIX"] {
            command.env_remove(variable);
        }
        answer(command.env("HOME", &self.roots).current_dir(&self.roots))
    }
}

#[test]
#[ignore = "needs root"]
fn as_root_every_command_continues_as_the_owner_of_the_store() {
    let site = Site::new();
    let kept = &site.kept;
    let (source, entry) = (site.kept.join("c.py"), site.world.entry(&site.kept.join("c.py"), newest(), ""));
    let (source, entry) = (source.to_str().unwrap(), entry.to_str().unwrap());
    let commands: [(&[&str], i32); 19] = [
        (&["du"], 0),
        (&["report", "--html", "-"], 0),
        (&["ls"], 0),
        (&["prune", "--orphans", "-n"], 0),
        (&["prune", "--orphans"], 0),
        (&["forget", "/nowhere"], 0),
        (&["which", source], 0),
        (&["which", "--expected", source], 0),
        (&["source", entry], 0),
        (&["inspect", entry], 0),
        (&["verify"], 0),
        (&["verify", "--fix"], 0),
        (&["warm", "--all-stale"], 0),
        (&["interpreters"], 0),
        (&["schedule", "run"], 0),
        (&["sweep", kept.to_str().unwrap()], 0),
        (&["doctor"], 1),
        (&["config"], 0),
        // A user without a home has none.
        (&["history"], 2),
    ];
    for (arguments, code) in commands {
        let told = site.on_store(arguments);
        assert!(
            told.stderr.starts_with("pycstore: ") && told.stderr.contains(CONTINUES),
            "{arguments:?}: {told:?}"
        );
        assert_eq!(told.stderr.matches(CONTINUES).count(), 1, "{arguments:?}: {told:?}");
        assert_eq!(told.code, code, "{arguments:?}: {told:?}");
        let quiet = site.on_store(&[&["-q"], arguments].concat());
        assert!(!quiet.stderr.contains("continuing"), "{arguments:?}: {quiet:?}");
        assert_eq!(quiet.code, code, "{arguments:?}: {quiet:?}");
    }
    // The environment and root's configuration name a store as well.
    let told = answer(site.command(&["du"]).env("PYTHONPYCACHEPREFIX", &site.world.store));
    insta::assert_snapshot!(told.shown(), @r"
    exit: 0
    ----- stdout -----
    SIZE  FILES  RECLAIMABLE  LAST USED  TAGS  OWNER
    SIZE  2  -  today  cpython-3.N  /home/me/kept
    SIZE  N directories
    SIZE  2  -  total
    ----- stderr -----
    pycstore: /home/me/.cache/cpython belongs to user 61001: continuing as user 61001
    ");
    let directory = site.roots.join(".config/pycstore");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("config.toml"), format!("store = {:?}\n", site.world.store)).unwrap();
    insta::assert_snapshot!(site.run(&["du"]).shown(), @r"
    exit: 0
    ----- stdout -----
    SIZE  FILES  RECLAIMABLE  LAST USED  TAGS  OWNER
    SIZE  2  -  today  cpython-3.N  /home/me/kept
    SIZE  N directories
    SIZE  2  -  total
    ----- stderr -----
    pycstore: /home/me/.cache/cpython belongs to user 61001: continuing as user 61001
    ");
    // What is about root itself stays root's.
    for arguments in [&["config"][..], &["history"], &["schedule", "status"], &["completions", "bash"]] {
        assert!(!site.run(arguments).stderr.contains("continuing"), "{arguments:?}");
    }
}

#[test]
#[ignore = "needs root"]
fn as_root_the_store_of_the_environment_or_the_configuration_is_passed_on() {
    let site = Site::new();
    let Site { world, roots, .. } = &site;
    // Her default store stays, whatever a path after `--` looks like.
    let named = world.home.join("named");
    answer(world.command("cp").arg("-a").arg(&world.store).arg(&named)).exits(0);
    let before = World::snapshot(&world.store);
    let (gone, kept) = (site.gone.display(), site.kept.display());
    let shown = named.display();
    let forget = |path: &dyn std::fmt::Display| format!("forget --yes -- --store=x {path}");
    let of_environment = format!("PYTHONPYCACHEPREFIX={shown} pycstore {}", forget(&gone));
    let told = site.with_account(&of_environment);
    assert!(told.stderr.contains(&format!("{shown} belongs to eve: continuing as eve\n")), "{told:?}");
    assert_only_gone(&before, &World::snapshot(&world.store), &[]);
    assert_eq!(files(&named).len(), 2, "{told:?}");
    fs::create_dir_all(roots.join(".config/pycstore")).unwrap();
    fs::write(roots.join(".config/pycstore/config.toml"), format!("store = {named:?}\n")).unwrap();
    let told = site.with_account(&format!("pycstore {}", forget(&kept)));
    assert_only_gone(&before, &World::snapshot(&world.store), &[]);
    assert_eq!(files(&named).len(), 0, "{told:?}");
    // The option counts wherever it is given.
    for arguments in ["--store $STORE forget --yes", "forget --yes --store=$STORE"] {
        site.with_account(&format!("pycstore {arguments} {gone} -- --store=x"));
    }
    assert_eq!(files(&world.store).len(), 2);
}

#[test]
#[ignore = "needs root"]
fn as_root_with_an_ignored_sigchld_the_exit_is_that_of_the_process_that_continues() {
    let site = Site::new();
    let mut command = site.world.with_sigchld_ignored();
    command.env("HOME", &site.roots).current_dir(&site.roots);
    command.arg("--store").arg(&site.world.store).args(["prune", "--orphans"]);
    let told = answer(&mut command).exits(0);
    assert!(told.stdout.contains("removed 2 files"), "{told:?}");
}

#[test]
#[ignore = "needs root"]
fn as_root_no_link_of_theirs_leads_to_what_is_anothers() {
    let site = Site::new();
    let world = &site.world;
    // A store of root's and one of bob's, full of entries, and a service's empty directories.
    let of_root = site.roots.join("store");
    let of_bob = site.roots.join("bob/store");
    for store in [&of_root, &of_bob] {
        fs::create_dir_all(store.parent().unwrap()).unwrap();
        answer(world.command("cp").arg("-a").arg(&world.store).arg(store)).exits(0);
    }
    fs::create_dir_all(site.roots.join("spool/incoming")).unwrap();
    give(&of_root, 0);
    give(of_bob.parent().unwrap(), BOB);
    let before = World::snapshot(&site.roots);
    fs::rename(&world.store, world.home.join("moved")).unwrap();
    for target in [&of_root, &of_bob, &site.roots] {
        symlink(target, &world.store).unwrap();
        lchown(&world.store, Some(EVE), Some(EVE)).unwrap();
        for arguments in [
            &["prune", "-q", "--orphans", "--stale", "--corrupt", "--temporary"][..],
            &["prune", "--all", "--yes"],
            &["prune", "--max-files", "0", "--yes"],
            &["forget", "/", "--yes"],
            &["verify", "--fix"],
            &["warm", "--all-stale"],
        ] {
            let told = site.on_store(arguments);
            assert!(told.code > 0 || arguments[0] == "verify", "{arguments:?}: {told:?}");
            assert_only_gone(&before, &World::snapshot(&site.roots), &[]);
        }
        fs::remove_file(&world.store).unwrap();
    }
    // Nor a link further up, nor one of root's through her home.
    let cache = world.store.parent().unwrap();
    fs::rename(cache, world.home.join("old")).unwrap();
    symlink(&site.roots, cache).unwrap();
    lchown(cache, Some(EVE), Some(EVE)).unwrap();
    fs::rename(&of_root, site.roots.join("cpython")).unwrap();
    symlink(cache, site.roots.join("link")).unwrap();
    let before = World::snapshot(&site.roots);
    let mut shown = String::new();
    for store in [&world.store, &site.roots.join("link/cpython")] {
        let told = site.run(&["--store", store.to_str().unwrap(), "prune", "--all", "--yes"]);
        shown += &told.exits(2).shown();
        assert_only_gone(&before, &World::snapshot(&site.roots), &[]);
    }
    insta::assert_snapshot!(shown, @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: /home/me/.cache/cpython belongs to user 61001: continuing as user 61001
    pycstore: refused: /home/me/.cache/cpython belongs to user 0, not to you
    hint: root continued as user 61001, who controls this path; specify the store by another path
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: /home/roots/link/cpython belongs to user 61001: continuing as user 61001
    pycstore: refused: /home/roots/link/cpython belongs to user 0, not to you
    hint: root continued as user 61001, who controls this path; specify the store by another path
    ");
    // Root's own links and stores are root's.
    fs::remove_file(site.roots.join("link")).unwrap();
    symlink("cpython", site.roots.join("link")).unwrap();
    let link = site.roots.join("link");
    let told = site.run(&["--store", link.to_str().unwrap(), "prune", "--all", "--yes"]).exits(0);
    assert!(!told.stderr.contains("continuing"), "{told:?}");
    assert!(files(&site.roots.join("cpython")).is_empty());
}

#[test]
#[ignore = "needs root"]
fn as_root_state_and_configuration_are_the_owners() {
    let site = Site::new();
    let Site { world, roots, gone, .. } = &site;
    // Root's policy would take everything, hers keeps what is below `sub`.
    fs::create_dir_all(roots.join(".config/pycstore")).unwrap();
    fs::write(roots.join(".config/pycstore/config.toml"), "[prune]\norphans = true\nunused-for = '1s'\n")
        .unwrap();
    world.write(".config/pycstore/config.toml", "keep = ['~/gone/sub/**']\n[prune]\norphans = true\n");
    let before = World::snapshot(&world.store);
    let told = site.with_account("pycstore --store \"$STORE\" prune").exits(0);
    assert_eq!(
        told.stderr,
        format!("pycstore: {} belongs to eve: continuing as eve\n", world.store.display())
    );
    let a = world.entry(&gone.join("a.py"), newest(), "");
    assert_only_gone(&before, &World::snapshot(&world.store), &[&a]);
    let history = histories(&world.home.join(".local/state/pycstore"));
    let [history] = &history[..] else { panic!("{history:?}") };
    let metadata = history.metadata().unwrap();
    assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o777), (EVE, EVE, 0o600));
    assert!(!roots.join(".local").exists(), "root has no history of it");
    let runs = site.with_account("pycstore --store \"$STORE\" history --json").exits(0).json_lines();
    assert_eq!((runs.len(), &runs[0]["removed"]["files"]), (1, &1.into()));
    assert_eq!(site.with_account("pycstore history --json").exits(0).stdout, "", "root's own");
    // A hostile one harms her alone: a link to what is root's, a configuration that cannot be understood.
    let secret = roots.join("secret");
    fs::write(&secret, "secret\n").unwrap();
    mode(&secret, 0o600);
    fs::remove_file(history).unwrap();
    symlink(&secret, history).unwrap();
    insta::assert_snapshot!(site.with_account("pycstore --store \"$STORE\" prune --orphans").shown(), @r"
    exit: 1
    ----- stdout -----
    SIZE  FILES  KEPT BY
    SIZE  1  /home/me/gone/sub/**
    nothing to remove
    ----- stderr -----
    pycstore: /home/me/.cache/cpython belongs to eve: continuing as eve
    pycstore: cannot record this run in /home/me/.local/state/pycstore/HASH/history.jsonl: it is a symbolic link, which is not followed
    ");
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret\n");
    fs::remove_file(world.home.join(".config/pycstore/config.toml")).unwrap();
    symlink(&secret, world.home.join(".config/pycstore/config.toml")).unwrap();
    insta::assert_snapshot!(site.with_account("pycstore --store \"$STORE\" prune").shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: /home/me/.cache/cpython belongs to eve: continuing as eve
    pycstore: cannot read the configuration file /home/me/.config/pycstore/config.toml: Permission denied
    hint: set PYCSTORE_CONFIG to an empty value to use no configuration, or to the path of another file
    ");
}

#[test]
#[ignore = "needs root"]
fn as_root_the_policy_of_the_schedule_is_the_one_that_its_run_uses() {
    let site = Site::new();
    let Site { world, roots, .. } = &site;
    let store = world.store.display();
    let schedule = |arguments: &str| {
        let spool =
            format!("mkdir -p {0}/spool/crontabs; mount --bind {0}/spool /var/spool/cron", roots.display());
        site.with_account(&format!("{spool}; pycstore {arguments}"))
    };
    let of_store = |arguments: &str| schedule(&format!("--store {store} schedule {arguments}"));
    fs::create_dir_all(roots.join(".config/pycstore")).unwrap();
    let configured = roots.join(".config/pycstore/config.toml");
    // Hers is the default, and root's would remove every entry.
    fs::write(&configured, "[prune]\nmax-files = 0\n").unwrap();
    let told = of_store("status").exits(1);
    let shown = |told: &Answer, line: &str| told.stdout.lines().any(|told| told == line);
    let default = "orphans stale corrupt temporary (default)";
    assert!(shown(&told, &format!("policy    {default}")) && shown(&told, "runs as   eve"), "{told:?}");
    assert!(shown(&told, "last run  none recorded with this policy"), "{told:?}");
    assert_eq!(told.stderr, "", "{told:?}");
    of_store("install --print --with cron").exits(0);
    insta::assert_snapshot!(of_store("install --yes --with cron").shown(), @r"
    exit: 0
    ----- stdout -----
    --- /dev/null
    +++ crontab
    @@ -0,0 +1,4 @@
    +# >>> pycstore schedule >>>
    +# (this file was made for this block)
    +MINUTE HOUR * * * nice -n 19 ionice -c 3 PYCSTORE --quiet --store /home/me/.cache/cpython schedule run
    +# <<< pycstore schedule <<<
    ----- stderr -----
    pycstore: every night as eve: orphans stale corrupt temporary (default)
    pycstore: cron sends errors by mail, if this machine delivers mail
    ");
    // What ran is in her history, and what is shown is what will run.
    of_store("run").exits(0);
    insta::assert_snapshot!(of_store("status").shown(), @r"
    exit: 0
    ----- stdout -----
    schedule  cron: the crontab
    next run  DATE
    last run  DATE (today): done, removed 2 files, SIZE
    policy  orphans stale corrupt temporary (default)
    runs as  eve
    store  /home/me/.cache/cpython
    ----- stderr -----
    ");
    // Her policy counts, with root's fine.
    fs::remove_file(&configured).unwrap();
    let hers = world.home.join(".config/pycstore/config.toml");
    world.write(".config/pycstore/config.toml", "[prune]\norphans = true\nunused-for = '9d'\n");
    let line = format!("policy    orphans unused-for 9d ({})", hers.display());
    assert!(shown(&of_store("status").exits(0), &line), "{:?}", of_store("status"));
    // Also where root's configuration names the store.
    fs::write(&configured, format!("store = '{store}'\n[prune]\nstale = true\n")).unwrap();
    assert!(shown(&schedule("schedule status").exits(0), &line));
    fs::remove_file(&configured).unwrap();
    fs::write(&hers, "[prune]\nmax-files = 0\n").unwrap();
    for action in ["install --yes --with cron", "install -n --with cron", "install --print --with cron"] {
        let told = of_store(action).exits(2);
        let why =
            format!("refused: max-files 0 would remove every entry every night ({})\nhint: ", hers.display());
        assert!(told.stderr.contains(&why), "{action}: {told:?}");
    }
    // A configuration that root names is read by her, each night too.
    let named = roots.join("named.toml");
    fs::write(&named, "[prune]\ncorrupt = true\n").unwrap();
    let told = schedule(&format!("--store {store} --config {} schedule status", named.display())).exits(0);
    assert!(shown(&told, &format!("policy    corrupt ({})", named.display())), "{told:?}");
    mode(&named, 0o600);
    let told = schedule(&format!("--store {store} --config {} schedule status", named.display()));
    insta::assert_snapshot!(told.shown(), @r"
    exit: 2
    ----- stdout -----
    schedule  cron: the crontab
    next run  DATE
    ----- stderr -----
    pycstore: cannot read the configuration file /home/roots/named.toml: Permission denied
    hint: the path comes from --config
    pycstore: cannot determine the nightly policy of the owner of the store
    ");
    // Root's own is root's.
    fs::write(&configured, "[prune]\nstale = true\n").unwrap();
    let told = schedule("schedule status").exits(0);
    insta::assert_snapshot!(told.shown(), @r"
    exit: 0
    ----- stdout -----
    schedule  cron: the crontab
    next run  DATE
    last run  none recorded with this policy
    policy  stale (/home/roots/.config/pycstore/config.toml)
    store  /home/roots/.cache/cpython (missing)
    ----- stderr -----
    ");
    assert!(shown(&told, &format!("policy    stale ({})", configured.display())), "{told:?}");
}

#[test]
#[ignore = "needs root"]
fn as_root_what_the_owner_may_not_do_is_an_error_of_theirs() {
    let site = Site::new();
    let Site { world, roots, gone, .. } = &site;
    let metrics = roots.join("pycstore.prom");
    let told = site.on_store(&["prune", "--orphans", "--metrics", metrics.to_str().unwrap()]);
    insta::assert_snapshot!(told.shown(), @r"
    exit: 1
    ----- stdout -----
    SIZE  FILES  STATUS  REASON  OWNER
    SIZE  2  orphan  root  /home/me/gone (gone)
    removed 2 files and 2 directories, SIZE
    ----- stderr -----
    pycstore: /home/me/.cache/cpython belongs to user 61001: continuing as user 61001
    pycstore: cannot write the metrics to /home/roots/pycstore.prom: Permission denied
    ");
    assert!(!world.mirror(gone).exists() && !metrics.exists());
    // Where she may write, it works.
    let metrics = world.home.join("pycstore.prom");
    site.on_store(&["prune", "--orphans", "--metrics", metrics.to_str().unwrap()]).exits(0);
    assert_eq!(metrics.metadata().unwrap().uid(), EVE);
    // A configuration that root names is read by her.
    let configuration = roots.join("config.toml");
    fs::write(&configuration, "[prune]\norphans = true\n").unwrap();
    mode(&configuration, 0o600);
    let configured = ["--config", configuration.to_str().unwrap(), "prune"];
    insta::assert_snapshot!(site.on_store(&configured).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: /home/me/.cache/cpython belongs to user 61001: continuing as user 61001
    pycstore: cannot read the configuration file /home/roots/config.toml: Permission denied
    hint: the path comes from --config
    ");
    mode(&configuration, 0o644);
    site.on_store(&configured).exits(0);
    // A source that she may not read decides nothing.
    let hidden = roots.join("hidden");
    fs::create_dir(&hidden).unwrap();
    fs::write(hidden.join("m.py"), "").unwrap();
    world.compile(newest(), &[], &[&hidden]);
    give(&world.store, EVE);
    mode(&hidden, 0o700);
    let told = site.on_store(&["ls", "--json"]).exits(0).json_lines();
    let line = told.iter().find(|line| line["path"].as_str().unwrap().contains("/hidden/")).unwrap();
    assert_eq!((&line["status"], &line["reason"]), (&"unknown".into(), &"permission".into()));
}

#[test]
#[ignore = "needs root"]
fn as_root_paths_keep_their_meaning() {
    let site = Site::new();
    let Site { world, roots, kept, .. } = &site;
    let told = answer(site.command(&["--store", ".cache/cpython", "ls", "--json"]).current_dir(&world.home));
    assert_eq!(told.exits(0).json_lines().len(), 4);
    let told = answer(site.command(&["sweep", "kept", "--json", "-n"]).current_dir(&world.home)).exits(0);
    assert_eq!(told.json()["paths"][0]["path"].as_str().or(told.json()["paths"][0].as_str()), kept.to_str());
    // Also where she may not enter the directory: then they are not found, and nothing else is.
    fs::create_dir(roots.join("closed")).unwrap();
    mode(&roots.join("closed"), 0o700);
    let store = world.store.to_str().unwrap();
    let in_closed = |arguments: &[&str]| {
        let arguments = [&["--store", store], arguments].concat();
        answer(site.command(&arguments).current_dir(roots.join("closed")))
    };
    insta::assert_snapshot!(in_closed(&["report", "--html", "page.html"]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: /home/me/.cache/cpython belongs to user 61001: continuing as user 61001
    pycstore: cannot write page.html: Permission denied
    hint: specify a file in a directory that you can write to, or `-`
    ");
    assert!(!Path::new("/page.html").exists());
    insta::assert_snapshot!(in_closed(&["warm", "tmp"]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: /home/me/.cache/cpython belongs to user 61001: continuing as user 61001
    pycstore: cannot read /home/roots/closed/tmp: Permission denied
    hint: name a project, an environment or a source: pycstore warm ~/project
    ");
    in_closed(&["du"]).exits(0);
    // From a directory that is no more.
    let deleted = roots.join("deleted");
    let script = format!("mkdir {0}; cd {0}; rmdir {0}; exec \"$@\"", deleted.display());
    let mut command = site.command(&[]);
    let program = command.get_program().to_owned();
    command = site.world.command("sh");
    command.args(["-c", &script, "sh"]).arg(program).args(["--store", store, "sweep", "etc"]);
    let told = answer(&mut command);
    assert!(told.code == 2 && !told.stderr.contains(" /etc"), "{told:?}");
}

#[test]
#[ignore = "needs root"]
fn as_root_nothing_of_roots_is_handed_on() {
    let site = Site::new();
    let Site { world, roots, .. } = &site;
    // Her shell is asked by doctor: her startup file tells what it has.
    let script = "{ id; env | sort; echo TTY=$(cut -d' ' -f7 /proc/$$/stat); ls -l /proc/$$/fd; \
                  (: < /dev/tty) && echo TERMINAL; } > \"$HOME/told\" 2>&1\n";
    world.write(".bashrc", script);
    give(&world.home, EVE);
    fs::write(roots.join("secret"), "").unwrap();
    let told = site.with_account(
        "exec 9< secret; export SECRET=1 PYTHONHOME=/nowhere XDG_DATA_HOME=/x SUDO_USER=x LD_LIBRARY_PATH=/x TMPDIR=/x
         pycstore --store \"$STORE\" doctor",
    );
    assert!(told.code < 2, "{told:?}");
    let told = fs::read_to_string(world.home.join("told")).unwrap();
    let first = told.lines().next().unwrap();
    assert!(first.starts_with("uid=61001(eve) gid=61001") && first.ends_with("groups=61001"), "{first}");
    let home = format!("HOME={}", world.home.display());
    for line in [&home, "USER=eve", "LOGNAME=eve"] {
        assert!(told.lines().any(|it| it == line), "{line}: {told}");
    }
    for text in [
        "SECRET",
        "PYTHONHOME",
        "XDG_DATA",
        "SUDO_",
        "LD_LIBRARY",
        "TMPDIR",
        "secret",
        "TERMINAL",
        "PYTHONPYCACHE",
    ] {
        assert!(!told.contains(text), "{text}: {told}");
    }
    assert!(told.lines().any(|line| line == "TTY=0"), "no terminal: {told}");
}

/// Orphans that take a while to remove.
const ORPHANS: usize = 20_000;

/// Makes a plan that takes a while: orphans in one directory, all links to one file.
fn grow(site: &Site, count: usize) -> PathBuf {
    let mirror = site.world.mirror(&site.gone);
    fs::create_dir_all(&mirror).unwrap();
    let entry = site.world.home.join("entry");
    fs::write(&entry, b"\xcb\x0d\r\n\0\0\0\0\0\0\0\0\0\0\0\0").unwrap();
    date_back(&entry);
    for number in 0..count {
        let path = mirror.join(format!("m{number}.cpython-312.pyc"));
        if !path.exists() {
            fs::hard_link(&entry, path).unwrap();
        }
    }
    give(&site.world.home, EVE);
    mirror
}

/// How many names are in a directory, which need not be there.
fn names(directory: &Path) -> usize {
    fs::read_dir(directory).map_or(0, |names| names.count())
}

/// Starts a prune as root of the orphans in `mirror`, made by [`grow`], and waits until it has removed one.
fn start_prune(site: &Site, mirror: &Path) -> Child {
    let mut command = site.command(&["--threads", "1", "prune", "--orphans", "--store"]);
    command.arg(&site.world.store).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().unwrap();
    wait_for("it removes nothing", || names(mirror) < ORPHANS);
    child
}

/// The histories in a directory of state; the lock is beside each.
fn histories(state: &Path) -> Vec<PathBuf> {
    files(state).into_iter().filter(|path| path.ends_with("history.jsonl")).collect()
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(120), "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The processes of eve's with this store on their command line.
fn processes(store: &Path) -> Vec<i32> {
    let is_hers = |process: &i32| {
        let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        // What may not be traced belongs to root here, and its status tells the user.
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let is_running = !status.contains("State:\tZ");
        is_running
            && status.contains(&format!("Uid:\t{EVE}\t"))
            && String::from_utf8_lossy(&line).contains(store.to_str().unwrap())
    };
    let numbers =
        fs::read_dir("/proc").unwrap().filter_map(|it| it.unwrap().file_name().to_str()?.parse().ok());
    numbers.filter(is_hers).collect()
}

/// The same command, to which signals mean what they usually do: where the tests run in the background of a script, SIGINT is
/// ignored.
fn with_default_signals(command: &Command) -> Command {
    let mut wrapped = Command::new("env");
    wrapped.arg("--default-signal").arg(command.get_program()).args(command.get_args()).env_clear();
    wrapped.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    wrapped.current_dir(command.get_current_dir().unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped());
    wrapped
}

#[test]
#[ignore = "needs root"]
fn as_root_a_signal_is_passed_on_and_ends_it_as_it_ends_the_owners_run() {
    let site = Site::new();
    let store = site.world.store.clone();
    for (signal, by_owner) in
        [(Signal::INT, true), (Signal::INT, false), (Signal::TERM, false), (Signal::HUP, false)]
    {
        let mirror = grow(&site, ORPHANS);
        let mut command = site.command(&["--threads", "1", "prune", "--orphans"]);
        command.arg("--store").arg(&store);
        if by_owner {
            // The program that a user starts, for comparison.
            command = site.world.command(site.world.unprivileged().get_program());
            give(&site.world.home, EVE);
            command.args(["--threads", "1", "prune", "--orphans"]);
            command.arg("--store").arg(&store);
        }
        let mut command = with_default_signals(&command);
        if by_owner {
            command.uid(EVE).gid(EVE);
        }
        let child = command.spawn().unwrap();
        let left = || names(&mirror);
        wait_for("it removes nothing", || left() < ORPHANS - 100);
        kill_process(Pid::from_child(&child), signal).unwrap();
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(left() > 0, "{signal:?}: {told}");
        assert!(told.contains("stopped early: "), "{told}");
        assert_eq!(output.status.signal(), Some(signal.as_raw()), "{told}");
        assert!(processes(&store).is_empty());
    }
}

#[test]
#[ignore = "needs root"]
fn as_root_a_signal_that_is_ignored_from_the_start_stops_nothing() {
    let site = Site::new();
    let mirror = grow(&site, ORPHANS);
    let mut command = site.world.command("sh");
    command.args(["-c", "trap '' HUP; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_pycstore")]);
    command.env("HOME", &site.roots).current_dir(&site.roots);
    command.arg("--store").arg(&site.world.store).args(["--threads", "1", "prune", "--orphans"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("it removes nothing", || names(&mirror) < ORPHANS - 100);
    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), names(&mirror)), (Some(0), 0), "{output:?}");
}

#[test]
#[ignore = "needs root"]
fn as_root_neither_process_outlives_the_other() {
    let site = Site::new();
    let store = site.world.store.clone();
    let mirror = grow(&site, ORPHANS);
    let mut child = start_prune(&site, &mirror);
    let theirs = processes(&store);
    assert_eq!(theirs.len(), 1);
    // It is not to be traced by others of hers, and is called what it is.
    let process = format!("/proc/{}", theirs[0]);
    assert_eq!(fs::metadata(format!("{process}/environ")).unwrap().uid(), 0);
    assert_eq!(fs::read_to_string(format!("{process}/comm")).unwrap(), "pycstore\n");
    // Nor was it before it could ask for that: she may execute what it runs, and not read it.
    assert_eq!(fs::metadata(format!("{process}/exe")).unwrap().mode() & 0o777, 0o711);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for("it outlives root's", || processes(&store).is_empty());
    assert!(fs::read_dir(&mirror).unwrap().count() > 0);

    let mirror = grow(&site, ORPHANS);
    let mut child = start_prune(&site, &mirror);
    let theirs = processes(&store);
    kill_process(Pid::from_raw(theirs[0]).unwrap(), Signal::KILL).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}

#[test]
#[ignore = "needs root"]
fn as_root_a_stopped_job_stops_and_goes_on() {
    let site = Site::new();
    let store = site.world.store.clone();
    let mirror = grow(&site, ORPHANS);
    let left = || names(&mirror);
    let mut child = start_prune(&site, &mirror);
    let ours = Pid::from_child(&child);
    kill_process(ours, Signal::TSTP).unwrap();
    let theirs = processes(&store)[0];
    let state = |process: i32| {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        status.lines().find(|line| line.starts_with("State:")).unwrap_or_default().contains('T')
    };
    wait_for("it does not stop", || state(theirs) && state(ours.as_raw_nonzero().get()));
    let then = left();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(left(), then);
    kill_process(ours, Signal::CONT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(left(), 0);
}

#[test]
#[cfg(target_os = "linux")]
#[ignore = "needs root"]
fn as_root_an_owner_who_stops_it_does_not_hold_root_up() {
    let site = Site::new();
    let store = site.world.store.clone();
    let mirror = grow(&site, ORPHANS);
    let left = || names(&mirror);
    let mut child = start_prune(&site, &mirror);
    let theirs = Pid::from_raw(processes(&store)[0]).unwrap();
    for _ in 0..3 {
        let _ = kill_process(theirs, Signal::STOP);
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut status = None;
    wait_for("it does not end", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    assert!(status.unwrap().success() && left() == 0);

    // Who does nothing but stop it has it killed.
    let mirror = grow(&site, ORPHANS);
    let mut child = start_prune(&site, &mirror);
    let theirs = Pid::from_raw(processes(&store)[0]).unwrap();
    let theirs = rustix::process::pidfd_open(theirs, rustix::process::PidfdFlags::empty()).unwrap();
    wait_for("it does not end", || {
        for _ in 0..1000 {
            let _ = rustix::process::pidfd_send_signal(&theirs, Signal::STOP);
        }
        child.try_wait().unwrap().is_some()
    });
}

#[test]
#[ignore = "needs root, script and bash"]
fn as_root_a_terminal_is_used_as_before() {
    let site = Site::new();
    let store = site.world.store.to_str().unwrap().to_string();
    let before = World::snapshot(&site.world.store);
    let all = ["--store", &store, "prune", "--all"];
    for (reply, code, end) in [("n\n", 0, "nothing was removed\n"), ("\u{3}", 130, "")] {
        let told = site.world.pycstore_answered(&all, reply);
        assert_eq!(told.code, code, "{told:?}");
        assert!(told.stdout.contains("continuing as") && told.stdout.ends_with(end), "{told:?}");
        assert_only_gone(&before, &World::snapshot(&site.world.store), &[]);
    }
    let width = |columns: u16| {
        let shown = site.world.pycstore_on_terminal(columns, ["--store", &store, "du"]);
        String::from_utf8(shown).unwrap()
    };
    assert_ne!(width(60), width(200), "the width of the terminal is known");
    // A job in the background does not read what is typed for the shell.
    let program = env!("CARGO_BIN_EXE_pycstore");
    let job = format!("set -m; {program} --store {store} prune --all & wait $!; echo code $?");
    let mut command = site.world.command("script");
    let told =
        answer(command.args(["-q", "-e", "-c", &format!("bash --norc -c '{job}'"), "/dev/null"])).exits(0);
    assert!(told.stdout.contains("not a terminal, cannot ask") && told.stdout.contains("code 2"), "{told:?}");
    assert_eq!(site.world.pycstore_answered(&all, "y\n").code, 0);
    assert!(files(&site.world.store).is_empty());
}

#[test]
#[ignore = "needs root"]
fn as_root_setup_lets_no_python_of_roots_use_the_store_of_another() {
    let site = Site::new();
    let store = site.world.store.clone();
    let below = site.world.home.join("missing");
    let through = site.roots.join("link");
    symlink(&store, &through).unwrap();
    let mut shown = String::new();
    for store in [&store, &below, &through] {
        let told = site.run(&["setup", "bash", "--yes", "--store", store.to_str().unwrap()]);
        shown += &told.exits(2).shown();
        assert!(!site.roots.join(".bashrc").exists(), "{store:?}");
    }
    insta::assert_snapshot!(shown, @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: bash: ~/.bashrc: bash reads it when it is interactive, and under ssh
    pycstore: bash: ~/.profile: login bash reads it: none of ~/.bash_profile, ~/.bash_login and ~/.profile exists
    pycstore: cannot prepare the store /home/me/.cache/cpython: refused as root: /home/me/.cache/cpython belongs to user 61001
    hint: use a store of your own: pycstore setup --store ~/.cache/cpython
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: bash: ~/.bashrc: bash reads it when it is interactive, and under ssh
    pycstore: bash: ~/.profile: login bash reads it: none of ~/.bash_profile, ~/.bash_login and ~/.profile exists
    pycstore: cannot prepare the store /home/me/missing: refused as root: /home/me belongs to user 61001
    hint: use a store of your own: pycstore setup --store ~/.cache/cpython
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: bash: ~/.bashrc: bash reads it when it is interactive, and under ssh
    pycstore: bash: ~/.profile: login bash reads it: none of ~/.bash_profile, ~/.bash_login and ~/.profile exists
    pycstore: cannot prepare the store /home/roots/link: refused as root: /home/roots/link belongs to user 61001
    hint: use a store of your own: pycstore setup --store ~/.cache/cpython
    ");
    let own = site.roots.join("store");
    site.run(&["setup", "bash", "--yes", "--store", own.to_str().unwrap()]).exits(0);
    assert!(site.roots.join(".bashrc").exists());
}

#[test]
#[ignore = "needs root"]
fn as_root_sweep_becomes_the_owner_of_the_tree() {
    let site = Site::new();
    let Site { world, roots, kept, .. } = &site;
    let ours = roots.join("ours");
    fs::create_dir(&ours).unwrap();
    fs::write(ours.join("m.py"), "").unwrap();
    let compile = |paths: &[&Path]| {
        answer(world.command(&newest().path).args(["-m", "compileall", "-q"]).args(paths)).exits(0);
    };
    let caches = |root: &Path| {
        let entries = walkdir::WalkDir::new(root).into_iter().map(Result::unwrap);
        entries.filter(|entry| entry.file_name() == "__pycache__").count()
    };
    compile(&[kept, &ours]);
    give(&world.home, EVE);
    let (hers, mine) = (kept.to_str().unwrap(), ours.to_str().unwrap());
    let mut shown = String::new();
    for arguments in [&["sweep", hers, mine][..], &["sweep", mine, hers, "-n"]] {
        shown += &site.run(arguments).exits(2).shown();
        assert_eq!((caches(kept), caches(&ours)), (1, 1));
    }
    insta::assert_snapshot!(shown, @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: refused as root: /home/me/kept belongs to 61001, but /home/roots/ours belongs to root
    hint: sweep the trees of one user at a time; with --adopt, the store must belong to that user, too
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: refused as root: /home/roots/ours belongs to root, but /home/me/kept belongs to 61001
    hint: sweep the trees of one user at a time; with --adopt, the store must belong to that user, too
    ");
    // Root's tree is root's, in the store of another nothing of it is put.
    let into_hers = ["--store", world.store.to_str().unwrap(), "sweep", mine, "--adopt"];
    insta::assert_snapshot!(site.run(&into_hers).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: refused as root: /home/roots/ours belongs to root, but /home/me/.cache/cpython belongs to 61001
    hint: sweep the trees of one user at a time; with --adopt, the store must belong to that user, too
    ");
    assert_eq!(caches(&ours), 1);
    assert!(!site.run(&["sweep", mine]).exits(0).stderr.contains("continuing"));
    assert_eq!(caches(&ours), 0);
    // A link of hers to root's tree lends her nothing.
    compile(&[&ours]);
    symlink(&ours, world.home.join("link")).unwrap();
    lchown(world.home.join("link"), Some(EVE), None).unwrap();
    insta::assert_snapshot!(site.run(&["sweep", world.home.join("link").to_str().unwrap()]).shown(), @r"
    exit: 1
    ----- stdout -----
    removed nothing
    ----- stderr -----
    pycstore: /home/me/link belongs to user 61001: continuing as user 61001
    pycstore: cannot remove /home/me/link/__pycache__: Permission denied
    pycstore: cannot remove /home/me/link/__pycache__/m.cpython-3.N.pyc: Permission denied
    ");
    assert_eq!(caches(&ours), 1);
    // A store that is not changed is nobody's concern.
    site.run(&["--store", mine, "sweep", hers, "-n"]).exits(0);
    // Hers is swept as her, also into her store.
    let entry = world.entry(&kept.join("c.py"), newest(), "");
    fs::remove_file(&entry).unwrap();
    insta::assert_snapshot!(site.on_store(&["sweep", hers, "--adopt"]).shown(), @r"
    exit: 0
    ----- stdout -----
    SIZE  FILES  ADOPTED  OWNER
    SIZE  2  1  /home/me/kept
    adopted 1 file, SIZE; removed 1 other file and 1 directory, SIZE
    ----- stderr -----
    pycstore: /home/me/kept belongs to user 61001: continuing as user 61001
    ");
    assert_eq!((caches(kept), entry.metadata().unwrap().uid()), (0, EVE));
}

#[test]
#[ignore = "needs root"]
fn as_root_warm_and_verify_work_as_the_owner() {
    let site = Site::new();
    let Site { world, kept, .. } = &site;
    let python = &for_everybody();
    let executable = python.path.to_str().unwrap();
    // Also a store that is not there yet.
    fs::remove_dir_all(&world.store).unwrap();
    let told = site.on_store(&["warm", "--python", executable, kept.to_str().unwrap()]);
    insta::assert_snapshot!(told.shown(), @r"
    exit: 0
    ----- stdout -----
    COMPILED  FRESH  FAILED  TAG  INTERPRETER
           2  0  0  cpython-3.N  PYTHON
    compiled 2 sources
    ----- stderr -----
    pycstore: /home/me/.cache/cpython belongs to user 61001: continuing as user 61001
    ");
    for path in [&world.store, &world.entry(&kept.join("c.py"), python, "")] {
        assert_eq!(path.metadata().unwrap().uid(), EVE, "{}", path.display());
    }
    // A mismatch is found by an interpreter that she runs, and removed by her.
    let entry = world.entry(&kept.join("d.py"), python, "");
    let source = kept.join("d.py");
    let modified = source.metadata().unwrap().modified().unwrap();
    fs::write(&source, fs::read_to_string(&source).unwrap().replace("d.py", "e.py")).unwrap();
    fs::File::options().write(true).open(&source).unwrap().set_modified(modified).unwrap();
    let told = site.on_store(&["verify", "--recompile", "--fix"]).exits(0);
    assert!(told.stdout.contains("mismatch") && !entry.exists(), "{told:?}");
    // Of a tree that is hers root compiles nothing into a store of root's.
    let store = site.roots.join("store");
    let told = site.run(&["--store", store.to_str().unwrap(), "warm", kept.to_str().unwrap()]);
    insta::assert_snapshot!(told.shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: refused as root: /home/me/kept belongs to user 61001
    hint: run as that user: sudo -u '#61001' pycstore warm …
    ");
}

#[test]
#[ignore = "needs root"]
fn as_root_no_entries_are_reused_of_sources_that_others_may_replace() {
    let world = World::new();
    world.open_to_all();
    for number in 0..40 {
        world.write(format!("eves/m{number}.py"), format!("NAME = {number}\n"));
    }
    let (eves, own) = (world.home.join("eves"), world.home.join("own"));
    answer(world.command("cp").args(["-r", "--preserve=timestamps"]).args([&eves, &own])).exits(0);
    // She may have put one directory in place of another since; the files themselves show nothing of that.
    for (owner, expected) in [(EVE, [40, 0]), (0, [0, 40])] {
        lchown(&eves, Some(owner), Some(owner)).unwrap();
        // Longer than the grain of the kernel's time stamps: an entry is proved only by later times.
        std::thread::sleep(Duration::from_millis(20));
        world.compile(newest(), &[], &[&eves]);
        let python = newest().path.to_str().unwrap();
        let told =
            world.pycstore(["warm", "--json", "--python", python, own.to_str().unwrap()]).exits(0).json();
        assert_eq!([&told["compiled"], &told["reused"]], expected, "{owner}");
        for sources in [&own, &eves] {
            fs::remove_dir_all(world.mirror(sources)).unwrap();
        }
    }
}

#[test]
#[ignore = "needs root"]
fn as_root_nothing_is_removed_where_others_may_replace_it() {
    let site = Site::new();
    let Site { world, roots, gone, .. } = &site;
    let shared = roots.join("shared");
    fs::create_dir(&shared).unwrap();
    let store = shared.join("store");
    answer(world.command("cp").arg("-a").arg(&world.store).arg(&store)).exits(0);
    give(&store, 0);
    mode(&shared, 0o777);
    let before = World::snapshot(roots);
    let run = |arguments: &[&str]| site.run(&[&["--store", store.to_str().unwrap()], arguments].concat());
    for arguments in [
        &["prune", "--orphans"][..],
        &["prune", "--all", "--yes"],
        &["forget", gone.to_str().unwrap()],
        &["schedule", "run"],
        &["warm", "--all-stale"],
    ] {
        let told = run(arguments).exits(2);
        let why = format!(
            "others may write to {0}\nhint: remove write access for others: chmod go-w {0}\n",
            shared.display()
        );
        let is_refused =
            told.stderr.ends_with(&why) || told.stderr.contains("may be written to by everybody");
        assert!(is_refused, "{arguments:?}: {told:?}");
        assert_only_gone(&before, &World::snapshot(roots), &[]);
    }
    run(&["du"]).exits(0);
    run(&["prune", "--orphans", "-n"]).exits(0);
    // What it is turns out to be hers: then she may remove it.
    give(&store, EVE);
    insta::assert_snapshot!(run(&["prune", "--orphans"]).shown(), @r"
    exit: 0
    ----- stdout -----
    SIZE  FILES  STATUS  REASON  OWNER
    SIZE  2  orphan  root  /home/me/gone (gone)
    removed 2 files and 2 directories, SIZE
    ----- stderr -----
    pycstore: /home/roots/shared/store belongs to user 61001: continuing as user 61001
    ");
    assert_eq!(files(&store).len(), 2);
    // In a sticky directory nobody replaces it.
    give(&store, 0);
    mode(&shared, 0o1777);
    run(&["prune", "--all", "--yes"]).exits(0);
    assert!(files(&store).is_empty());
}

#[test]
#[ignore = "needs root"]
fn as_root_directories_of_others_in_a_shared_store_stay() {
    let site = Site::new();
    let Site { world, roots, .. } = &site;
    let shared = roots.join("tmp");
    fs::create_dir(&shared).unwrap();
    mode(&shared, 0o1777);
    // Bob's program works in a directory at the top, where an entry lies as well; root's own is beside it.
    for (directory, user) in [("bobjob", BOB), ("rootjob", 0)] {
        let directory = shared.join(directory);
        fs::create_dir(&directory).unwrap();
        let entry = directory.join("m.cpython-312.pyc");
        fs::write(&entry, b"\xcb\x0d\r\n\0\0\0\0\0\0\0\0\0\0\0\0").unwrap();
        date_back(&entry);
        give(&directory, user);
    }
    let all = ["--store", shared.to_str().unwrap(), "prune", "--all", "--yes"];
    insta::assert_snapshot!(site.run(&[&all[..], &["-n"]].concat()).shown(), @r"
    exit: 0
    ----- stdout -----
    SIZE  FILES  STATUS  REASON  OWNER
    SIZE  1  unknown  other-host  /bobjob
    SIZE  1  unknown  other-host  /rootjob
    DIRECTORIES  EMPTY DIRECTORY TREE
              1  /home/roots/tmp/rootjob
    would remove 2 files and 1 directory, SIZE
    ----- stderr -----
    pycstore: /home/roots/tmp is shared with other programs (it is a common directory); use a separate directory for the store, such as ~/.cache/cpython
    ");
    insta::assert_snapshot!(site.run(&all).shown(), @r"
    exit: 0
    ----- stdout -----
    SIZE  FILES  STATUS  REASON  OWNER
    SIZE  1  unknown  other-host  /bobjob
    SIZE  1  unknown  other-host  /rootjob
    removed 2 files and 1 directory, SIZE
    ----- stderr -----
    pycstore: /home/roots/tmp is shared with other programs (it is a common directory); use a separate directory for the store, such as ~/.cache/cpython
    ");
    assert!(shared.join("bobjob").exists() && !shared.join("rootjob").exists());
    assert!(files(&shared).is_empty());
    assert!(world.store.exists());
}

#[test]
#[ignore = "needs root, unshare and setpriv"]
fn as_root_who_cannot_become_the_owner_does_nothing() {
    let site = Site::new();
    let store = site.world.store.clone();
    let before = World::snapshot(&store);
    let run = |confined: &[&str], arguments: &[&str]| {
        let mut command = site.world.command(confined[0]);
        command.args(&confined[1..]).arg(env!("CARGO_BIN_EXE_pycstore")).arg("--store").arg(&store);
        answer(command.args(arguments))
    };
    // In a user namespace that knows root alone; and without the right to become somebody else.
    let unknown = ["unshare", "--user", "--map-root-user"];
    let powerless = ["setpriv", "--bounding-set", "-setuid,-setgid"];
    for (confined, why) in
        [(&unknown[..], "belongs to user 65534, not to you"), (&powerless, "as user 61001: ")]
    {
        for arguments in
            [&["prune", "--orphans"][..], &["prune", "--all", "--yes"], &["forget", "/", "--yes"]]
        {
            let told = run(confined, arguments).exits(2);
            assert!(
                told.stderr.contains(why) && told.stdout.is_empty(),
                "{confined:?} {arguments:?}: {told:?}"
            );
            assert!(told.stderr.lines().count() <= 2, "{told:?}");
            assert_only_gone(&before, &World::snapshot(&store), &[]);
        }
    }
}

#[test]
#[ignore = "needs root"]
fn as_root_without_home_all_use_the_home_of_passwd() {
    let site = Site::new();
    let Site { world, .. } = &site;
    let program = site.roots.join("program");
    answer(world.command("cp").arg(env!("CARGO_BIN_EXE_pycstore")).arg(&program)).exits(0);
    world.write(".config/pycstore/config.toml", "[prune]\norphans = true\n");
    give(&world.home, EVE);
    let as_eve =
        format!("env -u HOME setpriv --reuid {EVE} --regid {EVE} --clear-groups {}", program.display());
    insta::assert_snapshot!(site.with_account(&format!("{as_eve} prune")).shown(), @r"
    exit: 0
    ----- stdout -----
    SIZE  FILES  STATUS  REASON  OWNER
    SIZE  2  orphan  root  /home/me/gone (gone)
    removed 2 files and 2 directories, SIZE
    ----- stderr -----
    ");
    assert_eq!(histories(&world.home.join(".local/state/pycstore")).len(), 1, "the history");
    let told = site.with_account(&format!("{as_eve} config --path")).exits(0);
    assert_eq!(told.stdout, format!("{}/.config/pycstore/config.toml\n", world.home.display()));
    let told = site.with_account(&format!("{as_eve} history --json")).exits(0);
    assert_eq!(told.json_lines().len(), 1);
    // Whom passwd does not know has none, and no history: that is no failure.
    let stranger =
        format!("env -u HOME setpriv --reuid {BOB} --regid {BOB} --clear-groups {}", program.display());
    insta::assert_snapshot!(site.with_account(&format!("{stranger} du")).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: no store found: --store is not given, PYTHONPYCACHEPREFIX is not set, the configuration sets no store, and HOME is not set
    hint: specify one with `pycstore --store DIR …`, or set one up: pycstore setup
    ");
    give(&world.store, BOB);
    let told = site.with_account(&format!("{stranger} --store \"$STORE\" prune --orphans")).exits(0);
    assert_eq!(told.stderr, "");
}

#[test]
#[ignore = "needs root"]
fn as_root_a_home_that_is_partly_theirs_gives_root_neither_policy_nor_history() {
    let site = Site::new();
    let Site { world, roots, .. } = &site;
    // Of a chrooted user the home is root's and what is in it is not; sudo keeps HOME.
    for name in [".config/pycstore", ".local"] {
        fs::create_dir_all(roots.join(name)).unwrap();
    }
    fs::write(roots.join(".config/pycstore/config.toml"), "[prune]\nunused-for = '1d'\n").unwrap();
    for name in [".config", ".local"] {
        give(&roots.join(name), EVE);
    }
    let store = roots.join("store");
    answer(world.command("cp").arg("-a").arg(&world.store).arg(&store)).exits(0);
    give(&store, 0);
    // Root's own home is another in this namespace: nothing is written to the machine's.
    let own = roots.join("own");
    fs::create_dir(&own).unwrap();
    let passwd = format!(
        "sed 's#^root:.*#root:x:0:0::{}:/bin/sh#' passwd > other; mount --bind other /etc/passwd;",
        own.display()
    );
    let told = site.with_account(&format!("{passwd} pycstore --store {} prune", store.display()));
    insta::assert_snapshot!(told.shown(), @r"
    exit: 0
    ----- stdout -----
    SIZE  FILES  STATUS  REASON  OWNER
    SIZE  2  orphan  root  /home/me/gone (gone)
    removed 2 files and 2 directories, SIZE
    ----- stderr -----
    ");
    assert!(files(&roots.join(".local")).is_empty());
    let histories = histories(&own.join(".local/state/pycstore"));
    assert_eq!(histories.len(), 1);
    let run = fs::read_to_string(&histories[0]).unwrap();
    let default = r#""selectors":["orphans","stale","corrupt","temporary"]"#;
    assert!(run.contains(default), "not the policy in her directory: {run}");
}
