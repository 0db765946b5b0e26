//! `pycstore doctor` and the variable: real shells with startup files, a real crontab, systemd's own reader of
//! environment.d.

use crate::support::findings::{Found, found, one, programs, scheduled};
use crate::support::spool::Spool;
use crate::support::{Answer, World, answer, newest};
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::Path;
use std::process::Command;

const SHELLS: [&str; 5] = ["bash", "zsh", "fish", "setsid", "env"];
const ZSH: [&str; 3] = ["zsh", "setsid", "env"];

/// The findings about the variable, as `severity finding: detail`.
fn told(answer: &Answer) -> Vec<String> {
    let kinds = ["unexpanded", "relative", "empty", "unset", "not-exported", "drift", "masked", "no-answer"];
    let is_wanted = |found: &Found| kinds.iter().any(|kind| found.what.ends_with(&format!(" {kind}")));
    let found = found(answer).into_iter().filter(is_wanted);
    found.map(|found| format!("{}: {}", found.what, found.detail)).collect()
}

/// `doctor --json` with these programs on `PATH`, and without the variable in its own environment.
fn command(world: &World, names: &[&str]) -> Command {
    let mut command = world.program();
    command.env("PATH", programs(world, names)).args(["doctor", "--json"]);
    command
}

fn doctor(world: &World, prefix: Option<&str>) -> Answer {
    doctor_with(world, &SHELLS, prefix)
}

fn doctor_with(world: &World, names: &[&str], prefix: Option<&str>) -> Answer {
    let mut command = command(world, names);
    command.envs(prefix.map(|prefix| ("PYTHONPYCACHEPREFIX", prefix)));
    answer(&mut command)
}

/// Startup files of all three shells that name this store.
fn startup_files(world: &World, value: &str) {
    world.write(".bash_profile", ". ~/.bashrc\n");
    world.write(".bashrc", format!("export PYTHONPYCACHEPREFIX={value}\n"));
    world.write(".zshenv", format!("export PYTHONPYCACHEPREFIX={value}\n"));
    world.write(".config/fish/config.fish", format!("set -gx PYTHONPYCACHEPREFIX {value}\n"));
}

#[test]
#[ignore = "needs bash, zsh, fish and setsid"]
fn nothing_is_wrong_where_every_shell_names_the_store() {
    let world = World::new();
    startup_files(&world, "~/.cache/cpython");
    let project = world.project("work", &["a.py"]);
    world.compile(newest(), &[], &[&project]);
    programs(&world, &SHELLS);
    scheduled(&world);
    let run = |arguments: &[&str]| {
        let mut command = world.unprivileged();
        command.env("PATH", world.home.join(".bin")).args(arguments);
        answer(&mut command)
    };
    run(&["schedule", "run"]).exits(0);
    let json = run(&["doctor", "--json"]).exits(0);
    assert_eq!(found(&json), []);
    let shown = run(&["doctor"]).exits(0).stdout;
    // An old interpreter on the machine that the test runs on is worth a note.
    if json.stdout.is_empty() {
        assert!(shown.starts_with("no problems found: checked 7 places and "), "{shown}");
        assert!(shown.ends_with(&format!("1 file in {}, pruned today\n", world.store.display())), "{shown}");
        assert_eq!(shown.lines().count(), 1);
    } else {
        assert!(shown.ends_with(" 1 note\n"), "{shown}");
    }
}

#[test]
#[ignore = "needs bash, zsh, fish and setsid"]
fn each_shell_says_what_it_has() {
    let world = World::new();
    // Each only half: no login bash reads .bashrc by itself, no interactive zsh that is no login shell .zprofile.
    world.write(".bash_profile", "");
    world.write(".bashrc", "echo welcome; export PYTHONPYCACHEPREFIX=~/.cache/cpython\n");
    world.write(".zprofile", "export PYTHONPYCACHEPREFIX=~/.cache/cpython\n");
    world.write(".config/fish/config.fish", "status is-login; and set -gx PYTHONPYCACHEPREFIX ~/elsewhere\n");
    let answer = doctor(&world, None).exits(1);
    let [store, elsewhere] = [".cache/cpython", "elsewhere"].map(|path| world.home.join(path));
    let though = "though it is in login zsh, login fish and interactive bash";
    let mut told = told(&answer);
    told.sort();
    let drift = format!(
        "warning drift: different stores are named: {} in interactive bash and login zsh; {} in login fish",
        store.display(),
        elsewhere.display()
    );
    assert_eq!(told.len(), 5, "{told:#?}");
    assert_eq!(told[0], drift);
    for (line, place) in
        told[1..].iter().zip(["interactive fish", "interactive zsh", "login bash", "this environment"])
    {
        assert!(
            line.starts_with(&format!(
                "warning unset: PYTHONPYCACHEPREFIX is not set in {place}, though it is in "
            )),
            "{line} {though}"
        );
    }
    let hints: Vec<String> =
        found(&answer).into_iter().filter(|it| it.what == "warning unset").map(|it| it.hint).collect();
    for hint in ["pycstore setup bash", "pycstore setup zsh", "pycstore setup fish"] {
        assert!(hints.iter().any(|it| it == hint), "{hint} in {hints:?}");
    }
}

#[test]
#[ignore = "needs bash, zsh, fish and setsid"]
fn a_shell_that_is_not_installed_or_not_used_is_not_asked() {
    let world = World::new();
    startup_files(&world, "~/.cache/cpython");
    let store = world.store.to_str().unwrap();
    world.write(".zshenv", "");
    world.write(".config/fish/config.fish", "");
    let mut with_bash_alone = command(&world, &["bash", "setsid", "env"]);
    assert_eq!(told(&answer(with_bash_alone.env("PYTHONPYCACHEPREFIX", store))), [""; 0]);
    let all = told(&doctor(&world, Some(store)));
    assert_eq!(all.len(), 2, "{all:?}");
    std::fs::remove_file(world.home.join(".zshenv")).unwrap();
    let without_zsh = told(&doctor(&world, Some(store)));
    assert_eq!(without_zsh.len(), 1, "{without_zsh:?}");
}

#[test]
#[ignore = "needs bash, zsh, fish and setsid"]
fn the_variable_is_set_nowhere() {
    let world = World::new();
    world.write(".bashrc", "");
    let answer = doctor(&world, None).exits(1);
    insta::assert_snapshot!(one(&answer, "warning unset").shown(), @r"
    warning unset
    detail: PYTHONPYCACHEPREFIX is not set anywhere: Python keeps __pycache__ beside the sources
    hint: pycstore setup
    ");
}

#[test]
#[ignore = "needs zsh and setsid"]
fn values_that_name_no_store() {
    let world = World::new();
    for (value, what, hint) in [
        ("~/.cache/cpython", "error unexpanded", ".cache/cpython"),
        ("$HOME/store", "error unexpanded", "store"),
        ("${XDG_CACHE_HOME}/x", "error unexpanded", ".cache/cpython"),
        ("cache/python", "error relative", ".cache/cpython"),
    ] {
        world.write(".zshenv", format!("export PYTHONPYCACHEPREFIX='{value}'\n"));
        let wrong = one(&doctor_with(&world, &ZSH, Some(value)).exits(1), what);
        assert!(wrong.detail.contains(value), "{wrong:?}");
        assert!(wrong.detail.contains("in this environment, login zsh and interactive zsh"), "{wrong:?}");
        let expected = format!("PYTHONPYCACHEPREFIX={}", world.home.join(hint).display());
        assert!(wrong.hint.ends_with(&expected), "{wrong:?}");
    }
    world.write(".zshenv", "export PYTHONPYCACHEPREFIX=\n");
    let empty =
        one(&doctor_with(&world, &ZSH, Some(world.store.to_str().unwrap())).exits(1), "warning empty");
    assert!(empty.detail.contains("is empty in login zsh and interactive zsh"), "{empty:?}");
    assert_eq!(empty.hint, "pycstore setup zsh");
}

#[test]
#[ignore = "needs bash, zsh, fish and setsid"]
fn a_variable_that_is_not_exported() {
    let world = World::new();
    world.write(".bash_profile", ". ~/.bashrc\n");
    world.write(".bashrc", "set -u; PYTHONPYCACHEPREFIX=/x/bash\n");
    world.write(".zshrc", "PYTHONPYCACHEPREFIX=/x/zsh\n");
    world.write(".config/fish/config.fish", "set -g PYTHONPYCACHEPREFIX /x/fish\n");
    let told = told(&doctor(&world, Some("/x/here")));
    let not_exported: Vec<&String> =
        told.iter().filter(|it| it.starts_with("warning not-exported")).collect();
    assert_eq!(not_exported.len(), 3, "{told:#?}");
    for shell in ["bash", "zsh", "fish"] {
        let expected = format!("is /x/{shell} in login {shell} and interactive {shell}, but not exported");
        assert!(not_exported.iter().any(|it| it.contains(&expected)), "{shell}: {told:#?}");
    }
}

#[test]
#[ignore = "needs bash, zsh, fish and setsid"]
fn a_variable_that_stops_all_writing() {
    let world = World::new();
    startup_files(&world, "~/.cache/cpython");
    world.write(".zshrc", "export PYTHONDONTWRITEBYTECODE=1\n");
    let mut command = command(&world, &SHELLS);
    command.env("PYTHONPYCACHEPREFIX", &world.store).env("PYTHONDONTWRITEBYTECODE", "x");
    insta::assert_snapshot!(one(&answer(&mut command).exits(1), "warning masked").shown(), @r"
    warning masked
    detail: PYTHONDONTWRITEBYTECODE is set in this environment, login zsh and interactive zsh: Python writes nothing to the store there
    hint: remove it from the startup files; for now: unset PYTHONDONTWRITEBYTECODE
    ");
    // Empty is unset, as for Python.
    std::fs::remove_file(world.home.join(".zshrc")).unwrap();
    let mut command = self::command(&world, &["bash", "setsid", "env"]);
    command.env("PYTHONPYCACHEPREFIX", &world.store).env("PYTHONDONTWRITEBYTECODE", "");
    assert_eq!(told(&answer(&mut command)), [""; 0]);
}

#[test]
#[ignore = "needs bash and setsid"]
fn a_shell_that_does_not_answer_is_not_waited_for() {
    let world = World::new();
    world.write(".bash_profile", "exit 7\n");
    world.write(".bashrc", "sleep 600\n");
    let began = std::time::Instant::now();
    let mut command = command(&world, &["bash", "setsid", "env", "sleep"]);
    command.env("PYTHONPYCACHEPREFIX", &world.store).args(["--timeout", "5s"]);
    let answer = answer(&mut command).exits(0);
    assert!(began.elapsed() < std::time::Duration::from_secs(120), "it waited");
    assert_eq!(
        told(&answer),
        [
            "note no-answer: login bash ended without an answer: what it has is unknown",
            "note no-answer: interactive bash gave no answer within 5.0 s: what it has is unknown",
        ]
    );
}

#[test]
#[ignore = "needs bash and setsid"]
fn what_did_not_answer_is_not_said_to_be_missing() {
    let world = World::new();
    std::fs::create_dir_all(&world.store).unwrap();
    let mut command = command(&world, &["bash", "setsid", "env", "sleep"]);
    let crontab = world.write(".bin/crontab", "#!/bin/bash\nsleep 600\n");
    std::fs::set_permissions(&crontab, PermissionsExt::from_mode(0o755)).unwrap();
    let answer = answer(command.args(["--timeout", "5s"])).exits(1);
    assert_eq!(
        told(&answer),
        [
            "warning unset: PYTHONPYCACHEPREFIX is set in no place that answered",
            "note no-answer: cron gave no answer within 5.0 s: what it has is unknown",
        ]
    );
    let schedule = found(&answer).into_iter().find(|found| found.what.ends_with(" schedule")).unwrap();
    assert_eq!(
        schedule.detail,
        "cannot determine whether a schedule is installed: crontab -l gave no answer within 5.0 s"
    );
    let refused = world.pycstore(["doctor", "--timeout", "0"]).exits(2).stderr;
    assert_eq!(
        refused,
        "pycstore: invalid value '0' for '--timeout <DURATION>': it is not longer than zero\n\
         hint: pycstore help doctor\n"
    );
}

#[test]
fn the_configuration_names_another_store() {
    let world = World::new();
    let config = world.write(".config/pycstore/config.toml", "store = \"~/other\"\n");
    let store = world.store.to_str().unwrap();
    let drift = one(&doctor_with(&world, &[], Some(store)).exits(1), "warning drift");
    insta::assert_snapshot!(drift.shown(), @r"
    warning drift
    detail: different stores are named: /home/me/.cache/cpython in this environment; /home/me/other in the configuration
    hint: start a new shell
    ");
    std::fs::write(config, "store = \"~/.cache/../.cache/cpython\"\n").unwrap();
    std::fs::create_dir_all(&world.store).unwrap();
    assert_eq!(told(&doctor_with(&world, &[], Some(store))), [""; 0]);
}

/// `doctor --json` of somebody with this crontab, whose `PATH` has these programs.
fn with_crontab(world: &World, spool: &Spool<'_>, names: &[&str]) -> Answer {
    let bin = programs(world, names);
    let before = format!("PATH='{}'; export PATH;", bin.display());
    let mut command = spool.command(&[], &before, env!("CARGO_BIN_EXE_pycstore"));
    answer(command.env("PYTHONPYCACHEPREFIX", &world.store).args(["doctor", "--json"]))
}

#[test]
#[ignore = "needs bash, zsh, fish, setsid, cron and a mount namespace"]
fn what_setup_and_schedule_put_in_place_is_in_order() {
    let world = World::new();
    world.write(".bashrc", "");
    world.write(".zshrc", "");
    world.write(".config/fish/config.fish", "");
    let spool = Spool::new(&world);
    spool.fill("0 3 * * * python3 backup.py\n");
    let names = [&SHELLS[..], &["crontab"]].concat();
    let before = with_crontab(&world, &spool, &names).exits(1);
    assert_eq!(
        found(&before).iter().filter(|found| found.what == "warning unset").count(),
        4,
        "{}",
        before.stdout
    );
    spool.pycstore(["setup", "bash", "zsh", "fish", "cron", "--yes"]).exits(0);
    spool.pycstore(["schedule", "install", "--with", "cron", "--yes"]).exits(0);
    spool.pycstore(["schedule", "run"]).exits(0);
    let after = with_crontab(&world, &spool, &names).exits(0);
    assert_eq!(found(&after), []);
}

#[test]
#[ignore = "needs cron and a mount namespace"]
fn the_jobs_of_cron() {
    let world = World::new();
    let store = world.store.display().to_string();
    let spool = Spool::new(&world);
    let with_crontab = |world: &World, table: &str| {
        spool.fill(table);
        with_crontab(world, &spool, &["crontab"])
    };
    let none = with_crontab(&world, "# nightly\n0 3 * * * python3 backup.py\n").exits(1);
    let unset = one(&none, "warning unset");
    assert_eq!(unset.detail, "PYTHONPYCACHEPREFIX is not set in cron, though it is in this environment");
    assert_eq!(unset.hint, "pycstore setup cron");
    let same = with_crontab(&world, &format!("PYTHONPYCACHEPREFIX={store}\n0 3 * * * python3 backup.py\n"));
    assert_eq!(told(&same), [""; 0]);
    let own = with_crontab(&world, "23 3 * * * pycstore prune -q --orphans\n");
    assert_eq!(told(&own), [""; 0]);
    // cron expands nothing.
    let tilde =
        with_crontab(&world, "PYTHONPYCACHEPREFIX=$HOME/.cache/cpython\n0 3 * * * python3 b.py\n").exits(1);
    insta::assert_snapshot!(one(&tilde, "error unexpanded").shown(), @r"
    error unexpanded
    detail: PYTHONPYCACHEPREFIX is $HOME/.cache/cpython in cron, which is not expanded: Python creates a directory of that name in each working directory
    hint: where it is set, write the whole path: PYTHONPYCACHEPREFIX=/home/me/.cache/cpython
    ");
    let elsewhere = world.home.join("x");
    let elsewhere = elsewhere.display();
    let other = with_crontab(
        &world,
        &format!("PYTHONPYCACHEPREFIX={elsewhere}\nPYTHONDONTWRITEBYTECODE=1\n@daily python3 b.py\n"),
    );
    let other = told(&other.exits(1));
    assert_eq!(
        other,
        [
            format!("warning drift: different stores are named: {store} in this environment; {elsewhere} in cron"),
            "warning masked: PYTHONDONTWRITEBYTECODE is set in cron: Python writes nothing to the store there".into(),
        ]
    );
}

#[test]
#[ignore = "needs systemd"]
fn the_files_of_the_systemd_session() {
    let generator = "systemd/user-environment-generators/30-systemd-environment-d-generator";
    let is_there = ["/usr/lib", "/lib"].iter().any(|lib| Path::new(lib).join(generator).exists());
    assert!(is_there, "systemd's reader of environment.d is not installed: apt-get install systemd");
    let world = World::new();
    let store = world.store.to_str().unwrap();
    // environment.d expands variables, and no tilde.
    let file =
        world.write(".config/environment.d/python.conf", "PYTHONPYCACHEPREFIX=${HOME}/.cache/cpython\n");
    assert_eq!(told(&doctor_with(&world, &[], Some(store))), [""; 0]);
    std::fs::write(&file, "PYTHONPYCACHEPREFIX=~/.cache/cpython\n").unwrap();
    let tilde = one(&doctor_with(&world, &[], Some(store)).exits(1), "error unexpanded");
    insta::assert_snapshot!(tilde.shown(), @r"
    error unexpanded
    detail: PYTHONPYCACHEPREFIX is ~/.cache/cpython in environment.d, which is not expanded: Python creates a directory of that name in each working directory
    hint: where it is set, write the whole path: PYTHONPYCACHEPREFIX=/home/me/.cache/cpython
    ");
    std::fs::write(&file, "PYTHONPYCACHEPREFIX=\"${HOME}/my cache\"\n").unwrap();
    let drift = one(&doctor_with(&world, &[], Some(store)).exits(1), "warning drift");
    insta::assert_snapshot!(drift.shown(), @r"
    warning drift
    detail: different stores are named: /home/me/.cache/cpython in this environment; /home/me/my cache in environment.d
    hint: start a new shell
    ");

    // Where the tests run no session's systemd is at hand: a script says what `systemctl` would.
    std::fs::write(&file, format!("PYTHONPYCACHEPREFIX={store}\n")).unwrap();
    let systemctl = |environment: &str| {
        let script = format!(
            "#!/bin/sh\ntest \"$*\" = '--user --no-pager show-environment' || exit 1\n/bin/cat <<'END'\n{environment}END\n"
        );
        let path = world.write(".bin/systemctl", script);
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        doctor_with(&world, &[], Some(store))
    };
    assert_eq!(told(&systemctl(&format!("LANG=C\nPYTHONPYCACHEPREFIX={store}\n"))), [""; 0]);
    insta::assert_snapshot!(one(&systemctl("LANG=C\n").exits(1), "warning unset").shown(), @r"
    warning unset
    detail: PYTHONPYCACHEPREFIX is not set in the systemd user session, though it is in this environment and environment.d
    hint: log out and in again
    ");
    let quoted = format!("PYTHONPYCACHEPREFIX=$'{}/a b/it\\'s'\n", world.home.display());
    let other = one(&systemctl(&quoted).exits(1), "warning drift");
    insta::assert_snapshot!(other.shown(), @r"
    warning drift
    detail: different stores are named: /home/me/.cache/cpython in this environment and environment.d; /home/me/a b/it's in the systemd user session
    hint: log out and in again
    ");
}

#[test]
#[ignore = "needs zsh, setsid and a mount namespace"]
fn what_every_login_gets() {
    let world = World::new();
    world.write(".zshenv", "");
    programs(&world, &ZSH);
    let with = |value: &str| {
        let script = format!(
            "printf 'PYTHONPYCACHEPREFIX={value}\\n' > \"$HOME/environment\"
             test -e /etc/environment
             mount --bind \"$HOME/environment\" /etc/environment
             PATH=\"$HOME/.bin\" pycstore doctor --json"
        );
        answer(&mut world.in_namespace("", &script))
    };
    // It reaches the shells, whose own files say nothing.
    assert_eq!(told(&with(world.store.to_str().unwrap())), [""; 0]);
    insta::assert_snapshot!(one(&with("~/x").exits(1), "error unexpanded").shown(), @r"
    error unexpanded
    detail: PYTHONPYCACHEPREFIX is ~/x in /etc/environment, login zsh and interactive zsh, which is not expanded: Python creates a directory of that name in each working directory
    hint: where it is set, write the whole path: PYTHONPYCACHEPREFIX=/home/me/x
    ");
}

#[test]
#[ignore = "needs zsh and setsid"]
fn a_shell_that_others_may_change_is_not_run() {
    let world = World::new();
    world.write(".zshenv", ": > ~/was-run\n");
    let bin = programs(&world, &ZSH);
    let homes = world.home.parent().unwrap();
    for directory in [homes, homes.parent().unwrap(), &world.home] {
        std::fs::set_permissions(directory, PermissionsExt::from_mode(0o755)).unwrap();
    }
    doctor_with(&world, &ZSH, None);
    assert!(world.home.join("was-run").exists());
    std::fs::remove_file(world.home.join("was-run")).unwrap();
    std::fs::set_permissions(bin, PermissionsExt::from_mode(0o777)).unwrap();
    doctor_with(&world, &ZSH, None);
    assert!(!world.home.join("was-run").exists());
}

#[test]
#[ignore = "needs root, bash, zsh, fish and setsid"]
fn the_startup_files_of_another_user_are_not_run_by_root() {
    let world = World::new();
    world.write(".bashrc", ": > ~/was-run; export PYTHONPYCACHEPREFIX=/evil\n");
    world.unprivileged();
    let answer = doctor(&world, Some(world.store.to_str().unwrap()));
    insta::assert_snapshot!(one(&answer, "note no-answer").shown(), @r"
    note no-answer
    detail: the shells were not asked: HOME is another user's, whose startup files root does not run
    hint: run `pycstore doctor` as the user whose shells they are, with HOME set
    ");
    assert!(!world.home.join("was-run").exists());
    lchown(&world.home, Some(0), Some(0)).unwrap();
    doctor(&world, None);
    assert!(world.home.join("was-run").exists(), "the test proves nothing");
}

#[test]
fn a_crontab_program_that_others_may_change_is_not_run() {
    let world = World::new();
    std::fs::create_dir_all(&world.store).unwrap();
    let ran = world.home.join("RAN");
    let trap = world.write("bin/crontab", format!("#!/bin/sh\ntouch {}\nexit 1\n", ran.display()));
    let parent = world.home.parent().unwrap();
    // A directory that nobody else may enter would shield it.
    for (path, mode) in
        [(parent.parent().unwrap(), 0o755), (parent, 0o755), (&world.home, 0o755), (&trap, 0o777)]
    {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }
    let mut path = trap.parent().unwrap().as_os_str().to_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut command = world.program();
    let told = answer(command.env("PATH", path).arg("doctor"));
    assert!(told.code < 2, "{told:?}");
    assert!(!ran.exists(), "the trap was run");
}

#[test]
#[ignore = "needs root, bash, fish and setsid"]
fn root_runs_nothing_of_others_by_what_sudo_keeps() {
    let world = World::new();
    let (ran, parent) = (world.home.join("RAN"), world.home.parent().unwrap());
    world.write(".bashrc", "");
    let trap = world
        .write("theirs/bin/env", format!("#!/bin/sh\n: > {0}\nexec /usr/bin/env \"$@\"\n", ran.display()));
    world.write("theirs/configuration/fish/config.fish", format!("echo > {}\n", ran.display()));
    for path in [parent.parent().unwrap(), parent, &world.home, &trap] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let theirs = world.home.join("theirs");
    let mut path = theirs.join("bin").into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let doctor = || {
        let mut command = world.program();
        command.env("PATH", &path).env("XDG_CONFIG_HOME", theirs.join("configuration"));
        let told = answer(command.arg("doctor"));
        assert!(told.code < 2, "{told:?}");
        std::fs::remove_file(&ran).is_ok()
    };
    assert!(doctor(), "what is ours is run");
    for given in ["bin", "configuration"] {
        lchown(theirs.join(given), Some(65534), None).unwrap();
    }
    assert!(!doctor(), "the trap was run");
}
