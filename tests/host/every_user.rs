//! `pycstore schedule … --system`: root's job for every user.
//!
//! The machine's `/etc` is not touched: the tests run in a mount namespace with other files over `/etc/passwd`, `/etc/cron.d` and
//! `/etc/systemd/system`. No system manager runs there either: `systemctl` is a script.

use crate::layouts::Layouts;
use crate::support::{Answer, HEADER, World, answer, date_back, files, give, newest, tool};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A machine with the users alice and bob, who have stores with an orphan, carol, who has none, and root.
struct Machine {
    world: World,
}

const ALICE: u32 = 61_001;
const BOB: u32 = 61_002;
const CAROL: u32 = 61_003;

impl Machine {
    fn new() -> Machine {
        let world = World::new();
        world.open_to_all();
        std::fs::set_permissions(&world.home, PermissionsExt::from_mode(0o755)).unwrap();
        let machine = Machine { world };
        let mut passwd = format!("root:x:0:0::{}:/bin/sh\n", machine.home("root").display());
        for (name, id) in [("alice", ALICE), ("bob", BOB), ("carol", CAROL)] {
            passwd += &format!("{name}:x:{id}:{id}::{}:/bin/sh\n", machine.home(name).display());
            std::fs::create_dir_all(machine.home(name)).unwrap();
        }
        std::fs::create_dir(machine.home("root")).unwrap();
        // One whose home is another user's.
        passwd += &format!("mallory:x:61004:61004::{}:/bin/sh\n", machine.home("carol").display());
        machine.world.write("etc/passwd", passwd);
        for directory in ["etc/cron.d", "etc/units", "metrics"] {
            std::fs::create_dir_all(machine.world.home.join(directory)).unwrap();
        }
        for name in ["alice", "bob"] {
            machine.orphan(name);
        }
        for (name, id) in [("alice", ALICE), ("bob", BOB), ("carol", CAROL)] {
            give(&machine.home(name), id);
        }
        answer(machine.world.copied_program().arg("--version")).exits(0);
        machine
    }

    fn home(&self, user: &str) -> PathBuf {
        self.world.home.join("homes").join(user)
    }

    fn store(&self, user: &str) -> PathBuf {
        self.home(user).join(".cache/cpython")
    }

    fn orphan(&self, user: &str) {
        self.orphan_in(&self.store(user), user);
    }

    fn orphan_in(&self, store: &Path, user: &str) {
        let home = self.home(user);
        let below = home.strip_prefix("/").unwrap().join("gone/m.cpython-312.pyc");
        let entry = store.join(below);
        std::fs::create_dir_all(entry.parent().unwrap()).unwrap();
        std::fs::write(&entry, HEADER).unwrap();
        date_back(&entry);
    }

    fn entries(&self, user: &str) -> usize {
        files(&self.store(user)).len()
    }

    /// A script on this machine: `pycstore` is the program.
    fn script(&self, script: &str) -> Answer {
        let systemctl = "#!/bin/sh\necho \"$*\" >> \"$ASKED\"\ntest \"$1\" != enable || { \
                         mkdir -p /etc/systemd/system/timers.target.wants; \
                         ln -sf ../pycstore.timer /etc/systemd/system/timers.target.wants/; }\n\
                         test \"$1\" != disable || rm /etc/systemd/system/timers.target.wants/pycstore.timer\n";
        let path = self.world.write("bin/systemctl", systemctl);
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        let script = format!(
            "mount --bind etc/passwd /etc/passwd; mount --bind etc/cron.d /etc/cron.d
             mount --bind etc/units /etc/systemd/system
             pycstore() {{ \"$PROGRAM\" \"$@\"; }}
             {script}"
        );
        let mut command = self.world.command(tool("unshare", "util-linux"));
        command.args(["--mount", "sh", "-euc", &script]).current_dir(&self.world.home);
        command.env("HOME", self.home("root")).env_remove("XDG_CONFIG_HOME").env_remove("XDG_STATE_HOME");
        let path = format!("{}/bin:{}", self.world.home.display(), std::env::var("PATH").unwrap());
        command.env("PATH", path).env("ASKED", self.world.home.join("asked"));
        command.env("PROGRAM", self.world.home.parent().unwrap().join("pycstore"));
        answer(&mut command)
    }

    fn asked(&self) -> String {
        let file = self.world.home.join("asked");
        let asked = std::fs::read_to_string(&file).unwrap_or_default();
        let _ = std::fs::remove_file(file);
        asked
    }
}

#[test]
#[ignore = "needs root and a mount namespace"]
fn each_user_with_a_store_is_pruned_by_a_process_of_that_user() {
    let machine = Machine::new();
    let told = machine.script("pycstore schedule run --system --dry-run");
    assert!(told.exits(0).stdout.contains("would remove 1 file"));
    assert_eq!((machine.entries("alice"), machine.entries("bob")), (1, 1));
    // An invalid configuration is that user's own affair.
    machine.world.write("homes/alice/.config/pycstore/config.toml", "nonsense\n");
    give(&machine.home("alice"), ALICE);
    let told = machine.script("pycstore --quiet schedule run --system --metrics metrics/all.prom");
    insta::assert_snapshot!(told.shown(), @r"
    exit: 1
    ----- stdout -----
    ----- stderr -----
    pycstore: alice: /home/me/homes/alice/.config/pycstore/config.toml:1:9: key with no value, expected `=`
    pycstore: alice: hint: `pycstore help config` has an example of each key
    ");
    assert_eq!((machine.entries("alice"), machine.entries("bob")), (1, 0));
    // The history is that of the user, who wrote it.
    let written = files(&machine.home("bob").join(".local/state/pycstore"));
    assert!(written.iter().any(|file| file.ends_with("history.jsonl")), "{written:?}");
    assert!(!machine.home("carol").join(".local").exists() && !machine.home("root").join(".local").exists());
    let metrics = std::fs::read_to_string(machine.world.home.join("metrics/all.prom")).unwrap();
    for line in [
        "pycstore_user_exit_status{user=\"alice\"} 2\n",
        "pycstore_user_exit_status{user=\"bob\"} 0\n",
        "pycstore_user_exit_status{user=\"carol\"} 0\n",
        &format!("pycstore_up{{store=\"{}\"}} 0\n", machine.store("alice").display()),
        &format!("pycstore_up{{store=\"{}\"}} 1\n", machine.store("bob").display()),
        &format!("pycstore_prune_removed_entries{{store=\"{}\"}} 1\n", machine.store("bob").display()),
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    assert!(!metrics.contains("mallory"), "{metrics}");
    assert_eq!(metrics.matches("# TYPE pycstore_up gauge\n").count(), 1, "{metrics}");
    insta::assert_snapshot!(machine.script("pycstore schedule status --system || true").shown(), @r"
    exit: 0
    ----- stdout -----
    schedule  none (to install one: pycstore schedule install --system)
    user  bob: DATE (today): done; orphans stale corrupt temporary
    ----- stderr -----
    pycstore: alice: /home/me/homes/alice/.config/pycstore/config.toml:1:9: key with no value, expected `=`
    pycstore: alice: hint: `pycstore help config` has an example of each key
    ");
}

#[test]
#[ignore = "needs root and a mount namespace"]
fn the_budget_of_the_machine_limits_each_user() {
    let machine = Machine::new();
    for name in ["one", "two"] {
        let source = machine.world.write(format!("homes/bob/{name}.py"), "a = 1\n");
        let entry = machine.store("bob").join(source.strip_prefix("/").unwrap()).with_file_name(name);
        let entry = entry.with_extension("cpython-312.pyc");
        std::fs::write(entry, [&HEADER[..], &[0; 5000]].concat()).unwrap();
    }
    give(&machine.home("bob"), BOB);
    machine.world.write("homes/bob/.config/pycstore/config.toml", "[prune]\ntemporary = true\n");
    give(&machine.home("bob"), BOB);
    machine.script("pycstore --quiet schedule run --system").exits(0);
    assert_eq!(machine.entries("bob"), 3);
    machine.script("pycstore --quiet schedule run --system --max-size 8KiB").exits(0);
    assert_eq!(machine.entries("bob"), 1);
}

#[test]
#[ignore = "needs root and a mount namespace"]
fn root_installs_one_timer_for_every_user() {
    let machine = Machine::new();
    let installed = "pycstore schedule install --system --yes --max-size 5GiB --metrics metrics/all.prom";
    let shown = machine.script(&format!("{installed} --dry-run")).exits(0).stdout;
    assert!(shown.contains(" --metrics /"), "{shown}");
    machine.script("! pycstore schedule run --system --dry-run --metrics metrics/all.prom").exits(0);
    machine.asked();
    assert_eq!(files(&machine.world.home.join("etc/units")).len(), 0);
    let installed =
        machine.script(&format!("{installed} 2>&1 | grep -v '^[+-]'; pycstore schedule status --system"));
    insta::assert_snapshot!(installed.shown(), @r"
    exit: 0
    ----- stdout -----
    enable and start pycstore.timer (systemctl)
    @@ -0,0 +1,40 @@
    @@ -0,0 +1,14 @@
    pycstore: every night, as each user who has a store: that user's policy
    pycstore: errors are logged in `journalctl -u pycstore`
    schedule  systemd: /etc/systemd/system/pycstore.timer (for every user)
    next run  unknown
    user  alice: no run recorded; orphans stale corrupt temporary
    user  bob: no run recorded; orphans stale corrupt temporary
    ----- stderr -----
    ");
    insta::assert_snapshot!(machine.asked(), @r"
    show-environment
    show-environment
    daemon-reload
    enable --now pycstore.timer
    restart pycstore.timer
    show pycstore.timer --property=NextElapseUSecRealtime --value
    ");
    let service = std::fs::read_to_string(machine.world.home.join("etc/units/pycstore.service")).unwrap();
    assert!(
        service.contains(" --quiet schedule run --system --max-size=5368709120B --metrics /"),
        "{service}"
    );
    let homes = format!("\nReadWritePaths=-{}\n", machine.world.home.join("homes").display());
    assert!(service.contains(&homes), "{service}");
    // A user sees that the store is pruned, and doctor does.
    let seen = machine.script(
        "setpriv --reuid 61001 --regid 61001 --clear-groups env HOME=$PWD/homes/alice \"$PROGRAM\" schedule status;
         setpriv --reuid 61001 --regid 61001 --clear-groups env HOME=$PWD/homes/alice \"$PROGRAM\" doctor | grep prune",
    );
    insta::assert_snapshot!(seen.shown(), @r"
    exit: 0
    ----- stdout -----
    schedule  systemd: /etc/systemd/system/pycstore.timer (for every user)
    next run  unknown
    last run  none recorded with this policy
    policy  orphans stale corrupt temporary (default)
    store  /home/me/homes/alice/.cache/cpython
    note  systemd is to prune every night, and has not done so yet
             hint: pycstore prune --orphans --stale --corrupt
    ----- stderr -----
    ");
    // Another scheduler takes its place; then nothing is left.
    machine.script("pycstore schedule install --system --yes --with cron").exits(0);
    assert_eq!(files(&machine.world.home.join("etc/units")).len(), 0);
    let line = std::fs::read_to_string(machine.world.home.join("etc/cron.d/pycstore")).unwrap();
    assert!(
        line.contains(" * * * root nice -n 19 ") && line.contains(" --quiet schedule run --system\n"),
        "{line}"
    );
    machine.script("pycstore schedule remove --yes").exits(0);
    assert_eq!(files(&machine.world.home.join("etc/cron.d")).len(), 1, "that is root's own schedule");
    machine.script("pycstore schedule remove --system --yes").exits(0);
    assert_eq!(files(&machine.world.home.join("etc/cron.d")).len(), 0);
}

/// Confines a program as far as a service of systemd is, with systemd's own library for filters of system calls. `sys.argv`: the
/// unit, the program.
///
/// The filter lets through what the unit names, without sockets (`RestrictAddressFamilies=none`) and namespaces
/// (`RestrictNamespaces`), and memory is not both writable and executable (`MemoryDenyWriteExecute`).
const CONFINED: &str = r##"
import ctypes, errno, os, subprocess, sys
unit, command = sys.argv[1], sys.argv[2:]
def calls(name, seen=set()):
    if not name.startswith("@"):
        return {name}
    text = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True).stdout
    words = [line.split()[0] for line in text.splitlines()[1:] if line.strip() and not line.strip().startswith("#")]
    return set().union(*map(calls, words))
lines = [line.strip().partition("=") for line in open(unit)]
[names] = [value for key, _, value in lines if key == "SystemCallFilter"]
# systemd always adds @default; execve is how it starts the program.
allowed = set().union(*map(calls, names.split() + ["@default"])) - {"socket", "socketpair", "unshare", "setns"}
seccomp = ctypes.CDLL("libseccomp.so.2")
seccomp.seccomp_init.restype = ctypes.c_void_p
class Compared(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("operator", ctypes.c_int), ("mask", ctypes.c_uint64), ("value", ctypes.c_uint64)]
assert ("MemoryDenyWriteExecute", "=", "yes") in lines
executable = ctypes.c_void_p(seccomp.seccomp_init(0x7FFF0000))
# PROT_WRITE with PROT_EXEC, PROT_EXEC alone, SHM_EXEC; 7 compares masked bits.
for name, argument, mask in [("mmap", 2, 6), ("mprotect", 2, 4), ("pkey_mprotect", 2, 4), ("shmat", 2, 0o100000)]:
    number, compared = seccomp.seccomp_syscall_resolve_name(name.encode()), Compared(argument, 7, mask, mask)
    assert seccomp.seccomp_rule_add_exact_array(executable, 0x00050000 | errno.EPERM, number, 1, ctypes.byref(compared)) == 0, name
assert seccomp.seccomp_load(executable) == 0
filter = ctypes.c_void_p(seccomp.seccomp_init(0x00050000 | errno.EPERM))
for name in allowed:
    number = seccomp.seccomp_syscall_resolve_name(name.encode())
    if number >= 0:
        assert seccomp.seccomp_rule_add_exact(filter, 0x7FFF0000, number, 0) == 0, name
assert seccomp.seccomp_load(filter) == 0
os.execvp(command[0], command)
"##;

/// The job runs under what its unit forbids: the file system read-only but for `ReadWritePaths`, the capabilities, no new privileges,
/// no network, the system calls.
#[test]
#[ignore = "needs root, a mount namespace and systemd"]
fn the_job_runs_under_the_restrictions_of_its_unit() {
    tool("systemd-analyze", "systemd");
    let machine = Machine::new();
    machine.world.write("confined.py", CONFINED);
    // The store of carol is where the unit does not let the job write.
    let elsewhere = machine.world.home.join("elsewhere");
    machine.orphan_in(&elsewhere, "carol");
    machine.world.write("homes/carol/.config/pycstore/config.toml", format!("store = {elsewhere:?}\n"));
    give(&elsewhere, CAROL);
    give(&machine.home("carol"), CAROL);
    let told = machine.script(
        "pycstore schedule install --system --print --with systemd --metrics metrics/all.prom |
             sed -n '/^# pycstore.service/,/^# pycstore.timer/p' > pycstore.service
         systemd-analyze security --offline=true --no-pager --threshold=30 ./pycstore.service | tail -1
         systemd-analyze verify --man=no ./pycstore.service",
    );
    let exposure = told.exits(0).stdout;
    assert!(exposure.contains("OK"), "{exposure}");
    let unit = std::fs::read_to_string(machine.world.home.join("pycstore.service")).unwrap();
    let of = |key: &str| unit.lines().filter_map(|line| line.strip_prefix(key)).collect::<Vec<_>>();
    let [capabilities] = of("CapabilityBoundingSet=")[..] else { panic!("{unit}") };
    let kept = capabilities.replace("CAP_", "+").to_lowercase().replace(' ', ",");
    let writable: String =
        of("ReadWritePaths=-").iter().map(|path| format!("mount --bind {path} {path}\n")).collect();
    let program = "$PROGRAM";
    let confined = format!(
        "unshare --net setpriv --no-new-privs --bounding-set=-all,{kept} --inh-caps=-all {} -I confined.py pycstore.service",
        newest().path.display()
    );
    let script = format!(
        "{writable}
         for point in $(awk '{{ print $5 }}' /proc/self/mountinfo | sort -ru); do
           case $point in {}/homes|{}/metrics|/proc*|/sys*|/dev*) ;; *) mount -o remount,bind,ro $point;; esac
         done
         {confined} sh -c '! touch \"$HOME/../../new\"'
         {confined} sh -c '! chown 61001 \"$HOME\"'
         {confined} {python} -I -c 'import mmap
try: mmap.mmap(-1, 4096, prot=7)
except PermissionError: pass
else: raise SystemExit(\"W and X\")'
         {confined} {program} --quiet schedule run --system --metrics metrics/all.prom",
        machine.world.home.display(),
        machine.world.home.display(),
        python = newest().path.display()
    );
    let told = machine.script(&script);
    insta::assert_snapshot!(told.shown(), @r"
    exit: 1
    ----- stdout -----
    ----- stderr -----
    touch: cannot touch '/home/me/homes/root/../../new': Read-only file system
    chown: changing ownership of '/home/me/homes/root': Operation not permitted
    pycstore: carol: cannot write to /home/me/elsewhere: the file system is read-only for this job
    pycstore: carol: hint: systemctl edit pycstore.service: below [Service], add ReadWritePaths=/home/me/elsewhere
    ");
    assert_eq!((machine.entries("alice"), machine.entries("bob")), (0, 0), "{told:?}");
    let metrics = std::fs::read_to_string(machine.world.home.join("metrics/all.prom")).unwrap();
    assert!(metrics.contains("pycstore_user_exit_status{user=\"alice\"} 0\n"), "{metrics}");
}

#[test]
fn only_root_can_have_a_schedule_for_every_user() {
    let world = World::new();
    let told =
        answer(world.unprivileged().args(["schedule", "run", "--system"]).env_remove("PYTHONPYCACHEPREFIX"));
    insta::assert_snapshot!(told.shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: --system needs root
    hint: sudo pycstore schedule … --system
    ");
    insta::assert_snapshot!(world.pycstore(["schedule", "status", "--system", "--json"]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: --json does not work with --system
    hint: pycstore schedule status --json shows the schedule for every user, too
    ");
    insta::assert_snapshot!(world.pycstore(["schedule", "run", "--max-size", "1G"]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: the following required arguments were not provided: --system
    hint: pycstore schedule --system --max-size <SIZE> <ACTION>; more: pycstore help schedule
    ");
}

/// Ansible applies the role of `setup ansible` to this machine, first without systemd, then with it; a second time, nothing changes.
#[test]
#[ignore = "needs root, a mount namespace, cron and ansible-core from the package index"]
fn the_role_changes_nothing_the_second_time() {
    let machine = Machine::new();
    let tools = Layouts::new();
    let bin = tools.tools(&["--no-compile", "ansible-core"]);
    let tasks = machine.world.pycstore_without_prefix(["setup", "ansible"]).exits(0).stdout;
    machine.world.write("roles/pycstore/tasks/main.yml", tasks);
    let play = "- hosts: localhost\n  connection: local\n  gather_facts: false\n  roles: [pycstore]\n  vars:\n    \
                pycstore_program: \"{{ lookup('env', 'PROGRAM') }}\"\n    pycstore_configuration: \"[prune]\\norphans = true\\n\"\n";
    machine.world.write("play.yml", play);
    std::fs::create_dir(machine.world.home.join("var")).unwrap();
    let ansible = format!("{} play.yml", bin.join("ansible-playbook").display());
    let told = machine.script(&format!(
        "mount -t tmpfs tmpfs /var/lib; mount -t tmpfs tmpfs /usr/local/bin
         cp -a /etc \"$PWD/var\"; mount --bind \"$PWD/var/etc\" /etc; mount --bind etc/passwd /etc/passwd
         export LC_ALL=C.UTF-8 ANSIBLE_LOCALHOST_WARNING=false ANSIBLE_INVENTORY_UNPARSED_WARNING=false
         mv bin/systemctl kept
         {ansible}; {ansible}; {ansible} --check; /usr/local/bin/pycstore schedule status --system
         /usr/local/bin/pycstore schedule remove --system --yes
         mv kept bin/systemctl; mount --bind etc/units /etc/systemd/system
         {ansible}; {ansible}; {ansible} --check; /usr/local/bin/pycstore schedule status --system"
    ));
    assert_eq!(told.code, 0, "{told:?}");
    let recaps: Vec<&str> = told.stdout.lines().filter(|line| line.starts_with("localhost ")).collect();
    let changed: Vec<&str> = recaps.iter().map(|line| line.split_whitespace().nth(3).unwrap()).collect();
    assert_eq!(changed.len(), 6, "{told:?}");
    for (first, scheduler) in
        [(0, "cron: /etc/cron.d/pycstore"), (3, "systemd: /etc/systemd/system/pycstore.timer")]
    {
        assert_ne!(changed[first], "changed=0", "{told:?}");
        assert_eq!(changed[first + 1..first + 3], ["changed=0"; 2], "{told:?}");
        assert!(told.stdout.contains(&format!("schedule  {scheduler} (for every user)")), "{told:?}");
    }
    let asked = machine.asked();
    assert_eq!(asked.matches("enable --now pycstore.timer").count(), 1, "{asked}");
    let service = std::fs::read_to_string(machine.world.home.join("etc/units/pycstore.service")).unwrap();
    assert!(
        service.contains("/usr/local/bin/pycstore --quiet --config /etc/pycstore/config.toml schedule run --system --max-size=5368709120B --max-runtime=30m --metrics /var/lib/pycstore/pycstore.prom\n"),
        "{service}"
    );
}
