//! Root runs nothing that another user could have changed. Each scene is played in a mount namespace of its own, in an empty
//! file system at `/mnt` whose root directory only root may change: no temporary directory is such a place.

use crate::support::{Answer, World, answer, implementations, newest};
use std::fmt::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// `eve` is the other user. `/mnt/py` is an installation of Python that tells in `/mnt/ran` as whom it was started; `/mnt/p` a
/// project of root's with an environment made from it.
const STAGE: &str = r#"
eve=61001
mount -t tmpfs -o mode=755 tmpfs /mnt
cd /mnt
mkdir -p py/bin py/lib/$NAME p/.venv/bin store ran
chmod 777 ran
as_eve() { setpriv --reuid=$eve --regid=$eve --clear-groups sh -euc "$1"; }
cp "$EXECUTABLE" py/bin/$NAME
for file in "$LIBRARY"/*; do
  case $file in */encodings) ;; *) ln -s "$file" py/lib/$NAME/ ;; esac
done
mkdir py/lib/$NAME/encodings
cp "$LIBRARY"/encodings/*.py py/lib/$NAME/encodings
tell='import posix; posix.close(posix.open("/mnt/ran/%d" % posix.geteuid(), posix.O_CREAT | posix.O_WRONLY))'
echo "$tell" >> py/lib/$NAME/encodings/__init__.py
cp "$EXECUTABLE" p/.venv/bin/python
echo "home = /mnt/py/bin" > p/.venv/pyvenv.cfg
echo 'x = 1' > p/m.py
"#;

/// Plays a scene: what `pycstore …` in it printed.
fn play(scene: &str) -> Answer {
    play_with(&newest().path, scene)
}

fn play_with(interpreter: &Path, scene: &str) -> Answer {
    let world = World::new();
    let code = "import os; print(os.path.dirname(os.__file__))";
    let library = answer(world.command(interpreter).args(["-I", "-B", "-c", code])).exits(0).stdout;
    let executable = interpreter.canonicalize().unwrap();
    let mut command = world.in_namespace("", &format!("{STAGE}\n{scene}"));
    command
        .env("NAME", executable.file_name().unwrap())
        .env("LIBRARY", library.trim())
        .env("EXECUTABLE", &executable);
    answer(&mut command)
}

/// What a stranger may do so that root would run their code, by the way it is done.
const WAYS: [(&str, &str); 19] = [
    ("the home is hers", "chown -R $eve py"),
    ("the home's directory is open", "chmod 777 py/bin"),
    ("a directory above the home is open", "chmod 777 py"),
    ("the configuration is hers", "chown $eve p/.venv/pyvenv.cfg"),
    ("the configuration is open", "chmod 666 p/.venv/pyvenv.cfg"),
    ("a file of ours leads elsewhere", "echo /mnt/hers > p/.venv/bin/python._pth"),
    ("a module is hers", "chown $eve py/lib/$NAME/encodings/utf_8.py"),
    ("a module is open", "chmod 666 py/lib/$NAME/encodings/__init__.py"),
    ("a package is open", "chmod 777 py/lib/$NAME/encodings"),
    ("a package is sticky", "chmod 1777 py/lib/$NAME/encodings"),
    (
        "a module leads to hers",
        "mkdir hers; rm py/lib/$NAME/os.py; cp \"$LIBRARY/os.py\" hers; chown -R $eve hers; ln -s /mnt/hers/os.py py/lib/$NAME/",
    ),
    ("a list names her for the directory", "setfacl -m u:$eve:rwx p/.venv/bin"),
    ("a list names her for the executable", "setfacl -m u:$eve:rw p/.venv/bin/python"),
    ("a list names her for a module", "setfacl -m u:$eve:rw py/lib/$NAME/encodings/utf_8.py"),
    ("a list names her group", "setfacl -m g:$eve:rwx py/lib/$NAME"),
    ("a list names her for what is new", "setfacl -d -m u:$eve:rwx py/lib/$NAME"),
    ("her group may write", "chgrp $eve py/lib/$NAME; chmod g+w py/lib/$NAME"),
    (
        "the library is below a sticky directory",
        "mkdir -m 1777 t; mkdir t/in; mv py t/in; echo 'home = /mnt/t/in/py/bin' > p/.venv/pyvenv.cfg",
    ),
    (
        "a configuration is missing in a sticky directory",
        "mkdir -m 1777 t; mkdir t/bin; cp \"$EXECUTABLE\" t/bin/$NAME; rm p/.venv/bin/python; ln -s /mnt/t/bin/$NAME p/.venv/bin/python",
    ),
];

#[test]
#[ignore = "needs root, setfacl and setpriv"]
fn root_compiles_with_no_interpreter_that_others_may_change() {
    let trusted = play("pycstore --store /mnt/store warm /mnt/p; ls ran").exits(0);
    // Below `/root` no other user can start it.
    let ran = ["compiled 1 source\n0\n", "compiled 1 source\n65534\n"];
    assert!(ran.iter().any(|ran| trusted.stdout.ends_with(ran)), "{trusted:?}");
    let mask =
        play("setfacl -m u:$eve:rwx,m::rx p/.venv/bin; pycstore --store /mnt/store warm /mnt/p").exits(0);
    assert!(mask.stdout.contains("compiled 1 source"), "the mask leaves nothing: {mask:?}");
    let mut wrong = String::new();
    for (way, arranged) in WAYS {
        let told =
            play(&format!("{arranged}\npycstore --store /mnt/store warm /mnt/p || echo exit $?; ls ran"));
        if !told.stdout.ends_with("nothing compiled\nexit 2\n") || !told.stderr.contains(" is not run: ") {
            writeln!(wrong, "{way}: {told:?}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
#[ignore = "needs root, setfacl and setpriv"]
fn her_configuration_above_roots_interpreter_is_not_followed() {
    let scene = r#"
cp -R py hers; chown -R $eve hers
mkdir -m 1777 t; mkdir t/bin; ln -s "$EXECUTABLE" t/bin/python
as_eve 'echo "home = /mnt/hers/bin" > /mnt/t/pyvenv.cfg'
rm -r p/.venv
pycstore --store /mnt/store warm --python /mnt/t/bin/python /mnt/p || echo exit $?
PATH=/mnt/t/bin:$PATH pycstore --store /mnt/store warm --python python /mnt/p || echo exit $?
ls ran
"#;
    let told = play(scene);
    insta::assert_snapshot!(told.shown(), @r"
    exit: 0
    ----- stdout -----
    exit 2
    exit 2
    ----- stderr -----
    pycstore: refused as root: /mnt/t/bin/python is not run: /mnt/hers belongs to user 61001
    hint: name an interpreter that only root may change
    pycstore: refused as root: /mnt/t/bin/python is not run: /mnt/hers belongs to user 61001
    hint: name an interpreter that only root may change
    ");
}

/// An interpreter that everybody may start.
fn open_interpreter() -> PathBuf {
    let starts = |path: &PathBuf| {
        let mut command = Command::new(path);
        command.args(["-I", "-S", "-c", "import os"]).uid(65534).gid(65534).current_dir("/");
        command.stdin(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    let all = implementations().iter().map(|interpreter| interpreter.path.clone());
    all.into_iter().find(starts).expect("a Python that is not in a closed directory: apt install pypy3")
}

/// Makes an entry that is not what its source compiles to, of a source in a directory of root's that is closed to others:
/// every interpreter of its magic is asked. What follows arranges whose the installation is.
const CLOSED: &str = r#"
mkdir -m 700 closed; echo 'y = 2' > closed/m.py; chmod 600 closed/m.py
PYTHONPYCACHEPREFIX=/mnt/store "$EXECUTABLE" -c 'import sys; sys.path.insert(0, "/mnt/closed"); import m'
touch -r closed/m.py stamp; echo 'y = 3' > closed/m.py; touch -r stamp closed/m.py
"#;

/// Prints as whom the installation was started by `verify` and by `doctor`.
const ASK: &str = r#"
export PATH=/mnt/py/bin:$PATH
pycstore --store /mnt/store verify --recompile /mnt/closed || echo exit $?
ls ran; rm -f ran/*
pycstore --store /mnt/store doctor > doctor || true
ls ran"#;

#[test]
#[ignore = "needs root, setfacl and setpriv"]
fn roots_own_interpreter_runs_without_rights_and_compiles_roots_sources() {
    let told = play_with(&open_interpreter(), &format!("{CLOSED}{ASK}"));
    let expected = " 1 fault, 0 warnings, 0 notices; 0 confirmed by recompiling\nexit 1\n65534\n65534\n";
    assert!(told.stdout.ends_with(expected), "{told:?}");
}

#[test]
#[ignore = "needs root, setfacl and setpriv"]
fn root_compiles_without_rights_what_only_root_may_read() {
    let scene = r#"
mkdir -m 700 p/closed; echo 'y = 2' > p/closed/n.py; chmod 600 p/closed/n.py
chmod 700 store; touch -d '2020-01-01 UTC' p/m.py
pycstore --store /mnt/store warm /mnt/p
ls ran; rm ran/*
find store -type f -printf '%U %m %P\n' | sort -k 3
pycstore --store /mnt/store inspect --json store/mnt/p/closed/n.*.pyc
for i in 1 2; do
  PYTHONPYCACHEPREFIX=/mnt/store py/bin/$NAME -I -X pycache_prefix=/mnt/store -v -c '
import sys; sys.path[:0] = ["/mnt/p", "/mnt/p/closed"]; import m, n; print(m.x, n.y)' 2>&1 |
    grep -E "^[0-9]|code object from .*/mnt/store/.*[mn][.]" || true
done
ls ran; rm ran/*
# What is compiled again takes the place of what is there.
echo 'y = 33' > p/closed/n.py
pycstore --store /mnt/store warm /mnt/p
ls ran
find store -type f -printf '%U %m %P\n' | sort -k 3
"#;
    let told = play_with(&open_interpreter(), scene).exits(0);
    let lines: Vec<&str> = told.stdout.lines().filter(|line| !line.contains("INTERPRETER")).collect();
    let told_at = |text: &str| {
        lines.iter().position(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}: {told:?}"))
    };
    let compiled = told_at("compiled 2 sources");
    assert_eq!(lines[compiled + 1], "65534", "{told:?}");
    let entries = &lines[compiled + 2..compiled + 4];
    assert!(
        entries[0].starts_with("0 600 mnt/p/closed/n.") && entries[1].starts_with("0 644 mnt/p/m."),
        "{told:?}"
    );
    assert!(lines[compiled + 4].contains(r#""status":"fresh""#), "{told:?}");
    // Its own Python loads them as they are.
    assert_eq!(lines.iter().filter(|line| line.contains("code object from")).count(), 4, "{told:?}");
    assert_eq!(lines.iter().filter(|line| **line == "1 2").count(), 2, "{told:?}");
    let again = told_at("compiled 1 source");
    assert_eq!(lines[again + 1..again + 4], ["65534", entries[0], entries[1]], "{told:?}");
}

#[test]
#[ignore = "needs root, setfacl and setpriv"]
fn no_process_of_nobody_can_trace_the_interpreter_that_compiles_for_root() {
    let scene = r#"
echo "posix.close(posix.open('/mnt/ran/pid.%d' % posix.getpid(), posix.O_CREAT | posix.O_WRONLY))
import time; time.sleep(1)" >> py/lib/$NAME/encodings/__init__.py
pycstore --store /mnt/store warm /mnt/p > told &
warm=$!
seen=
while kill -0 $warm 2> /dev/null; do
  for pid in ran/pid.*; do
    pid=${pid#ran/pid.}
    [ -e "/proc/$pid/environ" ] || continue
    user=$(stat -c %u /proc/$pid 2> /dev/null) || continue
    seen="$seen $user"
    setpriv --reuid=65534 --regid=65534 --clear-groups head -c 1 /proc/$pid/environ > read 2> /dev/null && echo traced
    setpriv --reuid=65534 --regid=65534 --clear-groups readlink /proc/$pid/fd/1 > read 2> /dev/null && echo opened
  done
  sleep 0.1
done
wait $warm
tail -1 told
echo $seen | tr ' ' '\n' | sort -u
"#;
    let told = play_with(&open_interpreter(), scene).exits(0);
    assert_eq!(told.stdout, "compiled 1 source\n65534\n", "{told:?}");
}

#[test]
#[ignore = "needs root, setfacl and setpriv"]
fn another_users_interpreter_runs_as_that_user_and_as_nobody_else() {
    let of = |arranged: &str| play_with(&open_interpreter(), &format!("{CLOSED}{arranged}\n{ASK}"));
    let hers = of("chown -R -h $eve py");
    assert!(hers.stdout.ends_with("exit 1\n61001\n61001\n"), "{hers:?}");
    for theirs in ["py/bin", "py/lib/$NAME/encodings", "py/lib/$NAME/encodings/utf_8.py"] {
        let mixed = of(&format!("chown -R -h $eve py; chown 61002 {theirs}"));
        assert!(mixed.stdout.ends_with("exit 1\n"), "{theirs}: {mixed:?}");
        let in_part = of(&format!("chown $eve {theirs}"));
        assert!(in_part.stdout.ends_with("exit 1\n"), "{theirs}: {in_part:?}");
    }
}

#[test]
#[ignore = "needs root, setfacl and setpriv"]
fn root_runs_no_program_on_path_that_others_may_change() {
    let scene = r#"
mkdir hers
for name in crontab systemctl git setsid bash sh python3 python launchctl loginctl; do
  printf '#!/bin/sh\n: > /mnt/ran/%s\nexit 0\n' $name > hers/$name
done
chmod 755 hers/*
chown $eve hers
export PATH=/mnt/hers:$PATH HOME=/mnt/home XDG_CONFIG_HOME=/mnt/home/.config XDG_STATE_HOME=/mnt/home/.state
mkdir home; : > home/.bashrc
program=$1
PATH=${PATH#/mnt/hers:} ; real=$PATH
PATH=/mnt/hers:$real
"$program" schedule status > /dev/null 2>&1 || true
"$program" demo > demo 2>&1
"$program" doctor > /dev/null 2>&1 || true
"$program" setup --dry-run --with git > /dev/null 2>&1 || true
"$program" schedule install --with cron --dry-run > /dev/null 2>&1 || true
PATH=/mnt/hers "$program" schedule remove --with cron --yes || echo exit $?
PATH=/mnt/hers "$program" demo 2>&1 > /dev/null | cat
PATH=$real
ls ran
"#;
    let told = play(scene);
    // Nothing of hers was run.
    insta::assert_snapshot!(told.shown(), @r"
    exit: 0
    ----- stdout -----
    exit 2
    pycstore: cannot start python3: /mnt/hers/python3 is not run: /mnt/hers belongs to user 61001
    ----- stderr -----
    pycstore: cannot run crontab: /mnt/hers/crontab is not run: /mnt/hers belongs to user 61001
    hint: install cron, for example: apt install cron; or start a systemd user manager
    ");
}

#[test]
#[ignore = "needs root, setfacl and setpriv"]
fn a_store_whose_list_names_another_user_is_exposed() {
    let scene = "mkdir s; setfacl -m u:$eve:rwx s; : > s/m.cpython-312.pyc
setfacl -m u:$eve:rw s/m.cpython-312.pyc
mkdir -p way/store; setfacl -m u:$eve:rwx way
pycstore --store /mnt/s doctor || true
pycstore --store /mnt/way/store doctor || true";
    let told = play(scene);
    assert!(
        told.stdout.contains("can be written by a group with others in it, or by an access control list"),
        "{told:?}"
    );
    assert!(told.stdout.contains("/mnt/way can be changed by user 61001"), "{told:?}");
    assert!(told.stdout.contains("setfacl -x u:61001,d:u:61001 /mnt/way"), "{told:?}");
}
