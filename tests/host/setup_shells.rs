//! `pycstore setup` and real shells: what Python is told by each kind of shell that a target promises to reach.

use crate::support::spool::Spool;
use crate::support::{World, answer, newest, tool};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What Debian puts into a new home, as far as it matters here.
const BASHRC: &str = "# ~/.bashrc: executed by bash(1) for non-login shells.\n\n# If not running interactively, don't do \
                      anything\ncase $- in\n    *i*) ;;\n      *) return;;\nesac\nHISTSIZE=1000\n";
const PROFILE: &str = "# ~/.profile\nif [ -n \"$BASH_VERSION\" ]; then\n    if [ -f \"$HOME/.bashrc\" ]; then\n\t. \
                       \"$HOME/.bashrc\"\n    fi\nfi\n";

/// Names that need quoting in one language or another.
const ODD: &str = "a b'c\"d$HOME`e`\\f{g}*!#%é;&";

fn run(world: &World, variables: &[(&str, &OsStr)], arguments: &[&OsStr]) -> crate::support::Answer {
    let mut command = world.program();
    answer(command.envs(variables.iter().copied()).args(arguments))
}

/// Runs `pycstore setup … --yes`.
#[track_caller]
fn setup(world: &World, variables: &[(&str, &OsStr)], arguments: &[&str]) -> crate::support::Answer {
    let arguments: Vec<&OsStr> = ["setup", "--yes"].iter().chain(arguments).map(OsStr::new).collect();
    run(world, variables, &arguments).exits(0)
}

/// What Python says of its prefix under a shell.
fn prefix(world: &World, shell: &[&str], variables: &[(&str, &str)]) -> String {
    let code = "import os, sys; print(os.fsencode(sys.pycache_prefix or '') or None)";
    let mut command = world.command(tool(shell[0], shell[0]));
    // A shell looks at its standard input: a terminal there would be another test.
    let script = format!("exec {} -B -c \"{code}\"", newest().path.display());
    command.envs(variables.iter().copied()).args(&shell[1..]).args(["-c", &script]).stdin(Stdio::null());
    let told = answer(&mut command);
    assert_eq!(told.code, 0, "{shell:?}: {}{}", told.stdout, told.stderr);
    told.stdout.trim().to_string()
}

/// A path as Python prints its bytes.
fn printed(path: &Path) -> String {
    let mut command = Command::new(&newest().path);
    let told = answer(
        command
            .env_clear()
            .args(["-I", "-B", "-c", "import os, sys; print(os.fsencode(sys.argv[1]))"])
            .arg(path),
    );
    told.stdout.trim().to_string()
}

#[track_caller]
fn assert_reached(world: &World, store: &Path, shells: &[&[&str]], variables: &[(&str, &str)]) {
    for shell in shells {
        assert_eq!(prefix(world, shell, variables), printed(store), "{shell:?} {variables:?}");
    }
}

const BASH: [&[&str]; 3] = [&["bash", "-l"], &["bash", "-i"], &["bash", "-l", "-i"]];
const SSH: &[(&str, &str)] = &[("SSH_CLIENT", "192.0.2.1 1 22")];

#[test]
#[ignore = "needs bash"]
fn bash_is_reached_as_login_and_interactive_shell_and_under_ssh() {
    let homes: [&[(&str, &str)]; 6] = [
        &[],
        &[(".bashrc", BASHRC), (".profile", PROFILE)],
        &[
            (".bashrc", BASHRC),
            (".profile", PROFILE),
            (".bash_profile", "[ -r ~/.profile ] && . ~/.profile\n"),
        ],
        &[(".bashrc", BASHRC), (".profile", PROFILE), (".bash_profile", "export EDITOR=vi\n")],
        &[(".bashrc", BASHRC), (".bash_login", "case $- in *i*) . ~/.bashrc;; esac")],
        &[(".bashrc", "return\n"), (".profile", "[ -z \"$PS1\" ] && return; . ~/.bashrc\n")],
    ];
    for files in homes {
        let world = World::new();
        for (name, text) in files {
            world.write(name, text);
        }
        assert_eq!(prefix(&world, &["bash", "-i"], &[]), "None");
        setup(&world, &[], &["bash"]);
        assert_reached(&world, &world.store, &BASH, &[]);
        assert_reached(&world, &world.store, &[&["bash"]], SSH);
        // As is said: what reads no file is not reached.
        assert_eq!(prefix(&world, &["bash"], &[]), "None", "{files:?}");
        setup(&world, &[], &["bash", "--undo"]);
        assert_eq!(prefix(&world, &["bash", "-l", "-i"], &[]), "None", "{files:?}");
        for (name, text) in files {
            assert_eq!(std::fs::read_to_string(world.home.join(name)).unwrap(), *text, "{name}");
        }
    }
}

const ZSH: [&[&str]; 4] = [&["zsh"], &["zsh", "-l"], &["zsh", "-i"], &["zsh", "-l", "-i"]];

#[test]
#[ignore = "needs zsh"]
fn every_zsh_is_reached() {
    let world = World::new();
    setup(&world, &[], &["zsh"]);
    assert_reached(&world, &world.store, &ZSH, &[]);
    // With files elsewhere, said by the environment …
    let world = World::new();
    let elsewhere = world.home.join("my zsh");
    std::fs::create_dir(&elsewhere).unwrap();
    setup(&world, &[("ZDOTDIR", elsewhere.as_os_str())], &["zsh"]);
    assert!(elsewhere.join(".zshenv").is_file());
    assert_reached(&world, &world.store, &ZSH, &[("ZDOTDIR", elsewhere.to_str().unwrap())]);
    // … or by the file that zsh reads before it knows.
    let world = World::new();
    world.write(".zshenv", "export ZDOTDIR=~/elsewhere\n");
    let elsewhere = world.home.join("elsewhere");
    setup(&world, &[("ZDOTDIR", elsewhere.as_os_str())], &["zsh"]);
    assert!(!elsewhere.exists());
    assert_reached(&world, &world.store, &ZSH, &[]);
}

const FISH: [&[&str]; 3] = [&["fish"], &["fish", "-l"], &["fish", "-i"]];

#[test]
#[ignore = "needs fish"]
fn every_fish_is_reached() {
    let world = World::new();
    setup(&world, &[], &["fish"]);
    assert_reached(&world, &world.store, &FISH, &[]);
    let world = World::new();
    let configurations = world.home.join("etc");
    setup(&world, &[("XDG_CONFIG_HOME", configurations.as_os_str())], &["fish"]);
    assert!(configurations.join("fish/conf.d/pycstore.fish").is_file());
    assert_reached(&world, &world.store, &FISH, &[("XDG_CONFIG_HOME", configurations.to_str().unwrap())]);
}

#[test]
#[ignore = "needs bash and zsh"]
fn the_profile_is_the_one_that_the_login_shell_reads() {
    let cases: [(&str, &[&str], &str, &[&str]); 5] = [
        ("/bin/sh", &[], ".profile", &["sh", "-l"]),
        ("/usr/bin/bash", &[".bash_profile", ".profile"], ".bash_profile", &["bash", "-l"]),
        ("/usr/bin/bash", &[".profile"], ".profile", &["bash", "-l"]),
        ("/usr/bin/zsh", &[".profile"], ".zprofile", &["zsh", "-l"]),
        ("/usr/bin/fish", &[], ".profile", &["sh", "-l"]),
    ];
    for (shell, files, expected, login) in cases {
        let world = World::new();
        for name in files {
            world.write(name, "");
        }
        let said = setup(&world, &[("SHELL", OsStr::new(shell))], &["profile"]).stderr;
        assert!(said.contains(&format!("profile: ~/{expected}: ")), "{said}");
        assert_reached(&world, &world.store, &[login], &[]);
        setup(&world, &[("SHELL", OsStr::new(shell))], &["profile", "--undo"]);
        assert_eq!(prefix(&world, login, &[]), "None");
        let left = std::fs::read_dir(&world.home).unwrap().map(|entry| entry.unwrap().file_name());
        // The store stays, and so does the directory of state.
        let mut left: Vec<_> = left.filter(|name| name != ".cache" && name != ".local").collect();
        left.sort();
        assert_eq!(left, files, "{shell}");
    }
}

#[test]
#[ignore = "needs bash, zsh and fish"]
fn odd_names_are_quoted_in_every_language() {
    let world = World::new();
    let outside = world.home.parent().unwrap().join(ODD);
    let bytes = world.home.join(OsStr::from_bytes(b"not\xffutf8 "));
    for store in [world.home.join(ODD), outside, bytes] {
        let store = |target: &str| {
            let arguments = [
                OsStr::new("setup"),
                OsStr::new("--yes"),
                OsStr::new("--store"),
                store.as_os_str(),
                OsStr::new(target),
            ];
            run(&world, &[], &arguments).exits(0);
            store.clone()
        };
        assert_reached(&world, &store("bash"), &BASH, &[]);
        assert_reached(&world, &store("zsh"), &ZSH, &[]);
        assert_reached(&world, &store("fish"), &FISH, &[]);
    }
}

/// What systemd's own generator makes of environment.d for the user manager.
fn session(world: &World) -> String {
    const GENERATOR: &str = "/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator";
    assert!(
        Path::new(GENERATOR).is_file(),
        "systemd is not here, and this test needs it: apt install systemd"
    );
    let said = answer(&mut world.command(GENERATOR)).exits(0).stdout;
    // It prints assignments as sh reads them.
    world.write("session", said);
    let script = format!(
        "set -a; . \"$HOME/session\"; exec {} -B -c \"import os, sys; print(os.fsencode(sys.pycache_prefix or ''))\"",
        newest().path.display()
    );
    answer(world.command("sh").args(["-c", &script])).exits(0).stdout.trim().to_string()
}

#[test]
#[ignore = "needs systemd"]
fn systemd_sessions_are_reached() {
    let world = World::new();
    setup(&world, &[], &["environment.d"]);
    assert_eq!(session(&world), printed(&world.store));
    for store in [world.home.join(ODD), world.home.parent().unwrap().join(ODD)] {
        let arguments = ["setup", "--yes", "--store"].map(OsStr::new);
        run(&world, &[], &[&arguments[..], &[store.as_os_str(), OsStr::new("environment.d")]].concat())
            .exits(0);
        assert_eq!(session(&world), printed(&store));
    }
    let bytes = world.home.join(OsStr::from_bytes(b"not\xffutf8"));
    let arguments = ["setup", "--yes", "environment.d", "--store"].map(OsStr::new);
    let refused = run(&world, &[], &[&arguments[..], &[bytes.as_os_str()]].concat());
    insta::assert_snapshot!(refused.shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: environment.d: cannot write /home/me/not�utf8: its name is not UTF-8, which environment.d(5) does not take
    hint: choose another directory: pycstore setup --store DIR …
    ");
}

/// What a job of the real cron daemon is told: one that it runs when it starts.
fn job(world: &World, spool: &Spool<'_>) -> String {
    let told = world.home.join("told");
    let _ = std::fs::remove_file(&told);
    let code = "import os, sys; print(os.fsencode(sys.pycache_prefix or '') or None)";
    let job = world.write("job", format!("{} -B -c \"{code}\"\n", newest().path.display()));
    let line =
        format!("@reboot sh {} > {told}.new; mv {told}.new {told}\n", job.display(), told = told.display());
    let crontab = spool.contents().unwrap_or_default();
    spool.fill([&crontab, line.as_bytes()].concat());
    let cron = tool("cron", "cron");
    // Where nobody knows that this machine ran such jobs already; and all that is started ends with the daemon.
    let flags = ["--pid", "--fork", "--kill-child", "--mount-proc"];
    let mut daemon = spool.command(&flags, "mount -t tmpfs tmpfs /run;", cron).arg("-f").spawn().unwrap();
    let patience = Instant::now() + Duration::from_secs(120);
    while !told.exists() && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(20));
    }
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    spool.fill(crontab);
    std::fs::read_to_string(&told).expect("cron runs the job within two minutes").trim().to_string()
}

#[test]
#[ignore = "needs root and cron"]
fn the_jobs_of_cron_are_reached() {
    let world = World::new();
    let spool = Spool::new(&world);
    assert!(spool.is_own());
    assert_eq!(job(&world, &spool), "None");
    let bytes = world.home.join(OsStr::from_bytes(b"not\xffutf8 \""));
    for store in [world.store.clone(), world.home.join(ODD), bytes] {
        let arguments: Vec<PathBuf> = ["setup", "--yes", "cron", "--store"].map(PathBuf::from).to_vec();
        spool.pycstore(arguments.into_iter().chain([store.clone()])).exits(0);
        assert_eq!(job(&world, &spool), printed(&store));
    }
    let store = world.home.join("blank ");
    let refused = spool.pycstore(["setup", "--yes", "cron", "--store", store.to_str().unwrap()]);
    insta::assert_snapshot!(refused.shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: cron: cannot write /home/me/blank : its name ends in a space, which cron drops
    hint: choose another directory: pycstore setup --store DIR …
    ");
}
