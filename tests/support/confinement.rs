//! The program where the system gives it less: under a filter of system calls, in a mount namespace of its own.

use super::{Answer, World, answer, newest};
use std::ffi::OsStr;
use std::process::{Command, Stdio};

/// A filter of system calls as containers and systemd's hardening have it (seccomp), made before the program begins.
///
/// `sys.argv`: `openat2=ENOSYS,statx=EPERM`, then the command. It first makes sure that the filter holds.
const FILTER: &str = r#"
import ctypes, errno, os, platform, struct, sys
ARCHITECTURES = {
    "x86_64": (0xC000003E, {"openat2": 437, "statx": 332, "flock": 73}),
    "aarch64": (0xC00000B7, {"openat2": 437, "statx": 291, "flock": 32}),
}
architecture, numbers = ARCHITECTURES[platform.machine()]
refused = [(numbers[name], getattr(errno, code)) for name, code in (it.split("=") for it in sys.argv[1].split(","))]
instructions = [(0x20, 0, 0, 4), (0x15, 1, 0, architecture), (0x06, 0, 0, 0x80000000), (0x20, 0, 0, 0)]
for number, code in refused:
    instructions += [(0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | code)]
instructions.append((0x06, 0, 0, 0x7FFF0000))
program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *it) for it in instructions))
class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("program", ctypes.c_void_p)]
libc = ctypes.CDLL(None, use_errno=True)
for option, value, pointer in (38, 1, 0), (22, 2, ctypes.byref(Filter(len(instructions), ctypes.addressof(program)))):
    if libc.prctl(option, value, pointer, 0, 0) != 0:
        sys.exit(f"prctl({option}): {os.strerror(ctypes.get_errno())}")
for number, code in refused:
    assert libc.syscall(number, -1, b"", 0, 0) == -1 and ctypes.get_errno() == code, (number, code)
os.execv(sys.argv[2], sys.argv[2:])
"#;

/// What the system refuses: nothing, then each way in which `openat2` is refused in the wild, then old kernels too,
/// which do not tell a file's mount by `statx` either.
pub const REFUSALS: [&str; 4] = ["", "openat2=ENOSYS", "openat2=EPERM", "openat2=ENOSYS,statx=ENOSYS"];

/// A program with arguments, run by [`FILTER`]; by itself where nothing is refused.
fn filtered<'a>(refusals: &'a str, program: &'a str) -> Vec<&'a OsStr> {
    match refusals {
        "" => vec![program.as_ref()],
        _ => vec![
            newest().path.as_os_str(),
            "-I".as_ref(),
            "-B".as_ref(),
            "-c".as_ref(),
            FILTER.as_ref(),
            refusals.as_ref(),
            program.as_ref(),
        ],
    }
}

impl World {
    /// Runs the program with this world's store where these system calls are refused: one of [`REFUSALS`].
    pub fn pycstore_refused<I: AsRef<OsStr>>(
        &self,
        refusals: &str,
        arguments: impl IntoIterator<Item = I>,
    ) -> Answer {
        let words = filtered(refusals, env!("CARGO_BIN_EXE_pycstore"));
        let mut command = self.command(words[0]);
        answer(command.env("PYTHONPYCACHEPREFIX", &self.store).args(&words[1..]).args(arguments))
    }

    /// A shell script in a mount namespace of its own: what it mounts nobody else sees, and it is gone afterwards.
    ///
    /// `$STORE` is the store; `pycstore …` runs the program where these system calls are refused (one of
    /// [`REFUSALS`]). A command that fails ends the script.
    ///
    /// # Panics
    /// Where this user may make no such namespace.
    pub fn in_namespace(&self, refusals: &str, script: &str) -> Command {
        let namespace = namespace();
        let words = filtered(refusals, env!("CARGO_BIN_EXE_pycstore"));
        let mut command = self.command(namespace[0]);
        // The script's own arguments are the program's words.
        let script = script.replace("pycstore ", "\"$@\" ");
        command
            .args(&namespace[1..])
            .args(["sh", "-euc", &script, "sh"])
            .args(words)
            .env("PYTHONPYCACHEPREFIX", &self.store)
            .env("STORE", &self.store);
        command
    }
}

/// Runs the test of this name again in a mount namespace. Returns true in there, and false outside once it has passed.
///
/// # Panics
/// Where the test fails, or this user may make no such namespace.
pub fn enters_namespace(test: &str) -> bool {
    const INSIDE: &str = "PYCSTORE_TEST_IN_NAMESPACE";
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let namespace = namespace();
    let mut inside = Command::new(namespace[0]);
    inside.args(&namespace[1..]).arg(std::env::current_exe().unwrap()).env(INSIDE, "1");
    let passed = answer(inside.args(["--exact", test, "--include-ignored", "--nocapture"]));
    assert!(passed.code == 0 && passed.stdout.contains("1 passed"), "{passed:?}");
    false
}

/// The command that gives a program its own mount namespace: as root, or as root of a user namespace.
fn namespace() -> &'static [&'static str] {
    let ways: [&[&str]; 2] = [&["unshare", "-m"], &["unshare", "-Urm"]];
    let works = |way: &&&[&str]| {
        let mut command = Command::new(way[0]);
        command.args(&way[1..]).args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
        command.stdin(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    let found = if rustix::process::geteuid().is_root() { &ways[..1] } else { &ways[1..] };
    found.iter().find(works).unwrap_or_else(|| {
        panic!(
            "this test mounts file systems in a namespace of its own, which this user may not: run it as root, or \
             allow user namespaces (sysctl user.max_user_namespaces=10000 kernel.unprivileged_userns_clone=1 \
             kernel.apparmor_restrict_unprivileged_userns=0), and have `unshare` and `mount` (util-linux)"
        )
    })
}
