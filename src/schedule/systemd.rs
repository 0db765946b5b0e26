//! systemd: a service and a timer of the user manager, or of the system manager for every user: systemd.service(5),
//! systemd.timer(5).
//!
//! A user's service has no namespaces of its own (`PrivateTmp`, `ProtectHome`, `ProtectSystem` …): they would give it another view of
//! the file system, and a source that it cannot see would count as deleted. `RestrictSUIDSGID`, and every option that implies it,
//! makes `openat2` fail. `NoNewPrivileges` remains.
//!
//! The service for every user runs as root, which has to become each of them, and is confined as far as the view of the files stays:
//! `SANDBOX`.

use super::error::ScheduleError;
use super::job::{DESCRIPTION, Job, MARK, NAME};
use super::scheduler::{JobScope, SchedulerError, check};
use crate::complaint::Complaint;
use crate::edits::{Block, EditError, EditPlan, Placement, Text, TextPlace};
use crate::environment::Environment;
use crate::host;
use crate::units::Moment;
use crate::units::date;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

/// Our block in units.
pub const BLOCK: Block = Block { name: MARK, comment: "#" };

/// The name of the timer.
pub const TIMER: &str = "pycstore.timer";

/// The manual page that each of our units names.
const MANUAL: &str = "man:pycstore-schedule(1)";

/// The settings of the service for every user, systemd.exec(5): root keeps the capabilities to become each user and to end that
/// user's process, and writes only below `ReadWritePaths`.
///
/// Every user still sees the same files: what is mounted read-only is not hidden. So there is no `PrivateTmp`, `ProtectHome` or
/// `TemporaryFileSystem`: a source that cannot be seen would count as deleted. `/dev/shm` stays with `PrivateDevices`. There is no
/// `RestrictSUIDSGID`, which refuses `openat2`. `MemoryDenyWriteExecute` is possible because the job starts no interpreter: PyPy 3.9
/// and 3.11 do not start under it, because they cannot allocate memory for the JIT.
const SANDBOX: &str = "UMask=0077
# Root keeps only the capabilities to become another user and to end that user's process.
NoNewPrivileges=yes
CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_KILL
# No PrivateTmp and no ProtectHome: a source that cannot be seen would count as deleted.
ProtectSystem=strict
PrivateDevices=yes
DevicePolicy=closed
PrivateNetwork=yes
IPAddressDeny=any
RestrictAddressFamilies=none
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
KeyringMode=private
SystemCallArchitectures=native
# No RestrictSUIDSGID: it refuses openat2.
SystemCallFilter=@system-service memfd_create
SystemCallErrorNumber=EPERM
";

/// The two units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Units {
    /// The path of the service.
    pub service: PathBuf,
    /// The path of the timer.
    pub timer: PathBuf,
    /// The link that `systemctl enable` creates.
    wanted: PathBuf,
    scope: JobScope,
}

impl Units {
    /// Returns the paths of the units.
    ///
    /// # Errors
    /// Without a directory for configurations.
    pub fn new(environment: &Environment, scope: JobScope) -> Result<Units, Complaint> {
        let none = || Complaint::new("no directory for units", "set HOME or XDG_CONFIG_HOME");
        let directory = match scope {
            JobScope::User => environment.configurations.as_ref().ok_or_else(none)?.join("systemd/user"),
            JobScope::System => environment.system_configurations.join("systemd/system"),
        };
        Ok(Units {
            scope,
            service: directory.join(format!("{NAME}.service")),
            timer: directory.join(TIMER),
            wanted: directory.join("timers.target.wants").join(TIMER),
        })
    }

    /// Returns the path of our timer if it is enabled: one with our block, or as `--print` shows it and the Debian package has it.
    /// Another timer with that name is not ours.
    ///
    /// # Errors
    /// If the timer cannot be read.
    pub fn enabled(&self) -> Result<Option<PathBuf>, EditError> {
        if self.wanted.symlink_metadata().is_err() {
            return Ok(None);
        }
        let packaged = std::fs::read_link(&self.wanted).map(|link| self.wanted.with_file_name(link));
        // The user's timer takes precedence over a package's.
        for path in std::iter::once(self.timer.clone()).chain(packaged.ok()) {
            if let Some(timer) = Text::read(&TextPlace::File(path.clone()))?.contents {
                let is_ours = is_ours(&timer) || has(&timer, MANUAL.as_bytes());
                return Ok(is_ours.then_some(path));
            }
        }
        Ok(None)
    }

    /// Plans both units.
    ///
    /// # Errors
    /// If a unit cannot be changed, or has lines that pycstore did not write.
    pub fn plan(&self, plan: &mut EditPlan, job: &Job) -> Result<(), ScheduleError> {
        plan_unit(plan, &self.service, &service(job, self.scope), self.scope)?;
        plan_unit(plan, &self.timer, &timer(), self.scope)
    }
}

/// Plans one unit. Refuses a unit that pycstore did not write, and one with other lines: a second `[Service]` section would change
/// what it does.
fn plan_unit(plan: &mut EditPlan, path: &Path, lines: &[u8], scope: JobScope) -> Result<(), ScheduleError> {
    let place = TextPlace::File(path.to_path_buf());
    let text = Text::read(&place)?.contents;
    if let Some(text) = text.filter(|text| has_other_lines(text)) {
        let (why, hint) = if is_ours(&text) {
            (
                "it has lines that pycstore did not write",
                format!(
                    "move them to a drop-in: {} edit pycstore.service (or pycstore.timer)",
                    program(scope)
                ),
            )
        } else {
            (
                "pycstore did not write it",
                format!(
                    "rename it, or schedule by cron: pycstore schedule install{} --with cron",
                    scope.option()
                ),
            )
        };
        return Err(Complaint::caused(EditError::Contents { place, why: why.into() }, hint).into());
    }
    Ok(plan.insert_block(&place, &BLOCK, lines, Placement::End)?)
}

fn has(unit: &[u8], words: &[u8]) -> bool {
    unit.windows(words.len()).any(|window| window == words)
}

/// Whether a unit has our block, damaged or not.
fn is_ours(unit: &[u8]) -> bool {
    !matches!(BLOCK.lines_in(unit), Ok(None))
}

/// Whether a unit has lines outside of our block, or no lines at all, which masks the unit. A damaged block does not count: it is an
/// error of its own.
fn has_other_lines(unit: &[u8]) -> bool {
    let is_blank = |outside: Vec<u8>| outside.trim_ascii().is_empty();
    !is_ours(unit) || !BLOCK.blanked(unit).map_or(true, is_blank)
}

/// Returns the lines of the service.
pub fn service(job: &Job, scope: JobScope) -> Vec<u8> {
    let mut unit = format!(
        "[Unit]\nDescription={DESCRIPTION}\nDocumentation={MANUAL}\n\n[Service]\nType=oneshot\nExecStart="
    )
    .into_bytes();
    quote(&mut unit, job.program.as_os_str(), Dollar::Plain);
    for argument in &job.arguments {
        unit.push(b' ');
        quote(&mut unit, argument, Dollar::Doubled);
    }
    unit.push(b'\n');
    for (name, value) in &job.variables {
        let mut assignment = OsStr::new(name).to_os_string();
        assignment.push("=");
        assignment.push(value);
        unit.extend(b"Environment=");
        quote(&mut unit, &assignment, Dollar::Plain);
        unit.push(b'\n');
    }
    unit.extend(b"Nice=19\nIOSchedulingClass=idle\n");
    if scope == JobScope::System {
        unit.extend(SANDBOX.as_bytes());
        for directory in &job.writable {
            // One that is not there is passed over.
            let mut path = std::ffi::OsString::from("-");
            path.push(directory);
            unit.extend(b"ReadWritePaths=");
            quote(&mut unit, &path, Dollar::Plain);
            unit.push(b'\n');
        }
        return unit;
    }
    unit.extend(
        "# The supervising process forwards signals to the working process.\n\
         KillMode=mixed\n\
         NoNewPrivileges=yes\n\
         # Nothing that gives it another view of the file system (PrivateTmp, ProtectHome): a source that it cannot see\n\
         # would count as deleted. Nothing that refuses openat2 (RestrictSUIDSGID).\n"
            .as_bytes(),
    );
    unit
}

/// Returns the lines of the timer: every night at a random minute, and at the next start if the machine was off or asleep.
pub fn timer() -> Vec<u8> {
    format!(
        "[Unit]\nDescription={DESCRIPTION}, every night\nDocumentation={MANUAL}\n\n[Timer]\n\
         OnCalendar=*-*-* 03:00:00\nRandomizedDelaySec=2h\nPersistent=true\n\n[Install]\nWantedBy=timers.target\n"
    )
    .into_bytes()
}

/// Whether a dollar sign starts a variable and has to be doubled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dollar {
    Plain,
    Doubled,
}

/// Quotes a word for a unit: systemd.syntax(7) "QUOTING", and `%%` for specifiers. The crate shlex does not serve here: systemd has
/// other escapes than a shell.
fn quote(out: &mut Vec<u8>, text: &OsStr, dollar: Dollar) {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./+:=,@".contains(byte);
    if !text.is_empty() && text.as_bytes().iter().all(is_plain) {
        out.extend(text.as_bytes());
        return;
    }
    out.push(b'"');
    for chunk in text.as_bytes().utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' | '\\' => out.extend([b'\\', character as u8]),
                '%' => out.extend(b"%%"),
                '$' if dollar == Dollar::Doubled => out.extend(b"$$"),
                _ => out.extend(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for byte in chunk.invalid() {
            out.extend(format!("\\x{byte:02x}").as_bytes());
        }
    }
    out.push(b'"');
}

/// Checks that the manager runs and answers.
///
/// # Errors
/// If it does not.
pub fn check_manager(scope: JobScope) -> Result<(), Complaint> {
    if manager_runs(scope) {
        return Ok(());
    }
    let manager = match scope {
        JobScope::User => "user manager",
        JobScope::System => "system manager",
    };
    let option = scope.option();
    Err(Complaint::new(
        format!("no systemd {manager} runs here"),
        format!(
            "pycstore schedule install{option} --with cron; or --print --with systemd, and enable the timer yourself"
        ),
    ))
}

/// Whether the manager runs and answers.
pub fn manager_runs(scope: JobScope) -> bool {
    matches!(control(scope, &["show-environment"]), Ok(output) if output.status.success())
}

/// Returns the command that controls the manager.
pub fn program(scope: JobScope) -> &'static str {
    match scope {
        JobScope::User => "systemctl --user",
        JobScope::System => "systemctl",
    }
}

/// Returns the time at which the timer elapses next, if the manager knows it.
pub fn next_elapse(scope: JobScope) -> Option<Moment> {
    let output = control(scope, &["show", TIMER, "--property=NextElapseUSecRealtime", "--value"]).ok()?;
    parse_time(&String::from_utf8(output.stdout).ok()?)
}

/// Parses a time as the manager prints it in UTC: `Wed 2026-11-25 04:09:20 UTC`.
fn parse_time(text: &str) -> Option<Moment> {
    let mut words = text.split_ascii_whitespace().skip(1);
    let (day, time) = (words.next()?, words.next()?);
    date::parse_rfc3339(&format!("{day}T{time}Z"))
}

/// Makes the manager read the units, and starts the timer, now and at every login or start.
///
/// # Errors
/// If the manager refuses.
pub fn enable(scope: JobScope) -> Result<(), SchedulerError> {
    reload(scope)?;
    tell(scope, &["enable", "--now", TIMER])?;
    // Otherwise a timer that runs keeps its old time.
    tell(scope, &["restart", TIMER])
}

/// Stops the timer, now and for every login.
///
/// # Errors
/// If the manager refuses.
pub fn disable(scope: JobScope) -> Result<(), SchedulerError> {
    tell(scope, &["disable", "--now", TIMER])
}

/// Makes the manager read the units again.
///
/// # Errors
/// If the manager refuses.
pub fn reload(scope: JobScope) -> Result<(), SchedulerError> {
    tell(scope, &["daemon-reload"])
}

fn tell(scope: JobScope, arguments: &[&str]) -> Result<(), SchedulerError> {
    check(&format!("{} {}", program(scope), arguments.join(" ")), control(scope, arguments))
}

fn control(scope: JobScope, arguments: &[&str]) -> std::io::Result<Output> {
    let mut words = program(scope).split(' ');
    host::program::command(words.next().unwrap_or_default())?
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .args(words)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_the_manager_is_parsed() {
        let seconds = |said| parse_time(said).map(|moment| moment.seconds);
        assert_eq!(seconds("Tue 2023-11-14 22:13:20 UTC\n"), Some(1_700_000_000));
        assert_eq!(seconds("n/a"), None);
        assert_eq!(seconds(""), None);
    }

    #[test]
    fn the_timer_of_a_package_is_found_if_it_is_enabled() {
        let (_temporary, home) = crate::temporary::directory();
        let units = Units::new(&Environment::of_test(home.to_str().unwrap()), JobScope::User).unwrap();
        let packaged = home.join("usr/lib/systemd/user").join(TIMER);
        for directory in [&packaged, &units.wanted].map(|path| path.parent().unwrap()) {
            std::fs::create_dir_all(directory).unwrap();
        }
        std::fs::write(&packaged, timer()).unwrap();
        assert_eq!(units.enabled().unwrap(), None);
        std::os::unix::fs::symlink(&packaged, &units.wanted).unwrap();
        assert_eq!(units.enabled().unwrap(), Some(packaged));
        std::fs::write(&units.timer, timer()).unwrap();
        assert_eq!(units.enabled().unwrap().as_ref(), Some(&units.timer));
        std::fs::write(&units.timer, "[Timer]\nOnCalendar=daily\n").unwrap();
        assert_eq!(units.enabled().unwrap(), None);
    }

    #[test]
    fn arguments_are_quoted_as_systemd_reads_them() {
        let quoted = |text: &[u8]| {
            let mut out = Vec::new();
            quote(&mut out, OsStr::from_bytes(text), Dollar::Doubled);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(quoted(b"/usr/bin/pycstore"), "/usr/bin/pycstore");
        assert_eq!(quoted(b"/a b"), "\"/a b\"");
        assert_eq!(quoted(b"a%h$HOME\"\\'"), "\"a%%h$$HOME\\\"\\\\'\"");
        assert_eq!(quoted(b"m\xc3\xa9\xff"), "\"mé\\xff\"");
        assert_eq!(quoted(b""), "\"\"");
    }
}
