//! systemd: a service and a timer of the user manager, systemd.service(5), systemd.timer(5).
//!
//! The service is not confined by namespaces (`PrivateTmp`, `ProtectHome`, `ProtectSystem` …): they would give it
//! another view of the file system, and a source that it cannot see would be taken for gone. `RestrictSUIDSGID` and
//! all that implies it lets `openat2` fail. What remains is `NoNewPrivileges`.

use super::job::{DESCRIPTION, Job, MARK, NAME};
use crate::cli::output::complain;
use pycstore::edits::{Block, EditError, Text, TextPlace};
use pycstore::environment::Environment;
use pycstore::host::program;
use pycstore::units::Moment;
use pycstore::units::date;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Output, Stdio};

/// Our block in units.
pub const BLOCK: Block = Block { name: MARK, comment: "#" };

/// The name of the timer.
pub const TIMER: &str = "pycstore.timer";

/// The two units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Units {
    /// Where the service is.
    pub service: PathBuf,
    /// Where the timer is.
    pub timer: PathBuf,
    /// What `enable` makes: the link by which the timer is started.
    pub wanted: PathBuf,
}

impl Units {
    /// Those of the user; `None` without a directory for configurations.
    pub fn of(environment: &Environment) -> Option<Units> {
        let directory = environment.configurations.as_ref()?.join("systemd/user");
        Some(Units {
            service: directory.join(format!("{NAME}.service")),
            timer: directory.join(format!("{NAME}.timer")),
            wanted: directory.join(format!("timers.target.wants/{NAME}.timer")),
        })
    }

    /// Whether our timer is there and enabled: with our block, or as `--print` shows it. Any other timer of that
    /// name is not ours.
    ///
    /// # Errors
    /// When the timer cannot be read.
    pub fn are_enabled(&self) -> Result<bool, EditError> {
        if self.wanted.symlink_metadata().is_err() {
            return Ok(false);
        }
        let timer = Text::read(&TextPlace::File(self.timer.clone()))?.contents;
        Ok(timer.is_some_and(|timer| is_ours(&timer) || has(&timer, MANUAL.as_bytes())))
    }
}

/// What every unit of ours names.
const MANUAL: &str = "man:pycstore-schedule(1)";

fn has(unit: &[u8], words: &[u8]) -> bool {
    unit.windows(words.len()).any(|window| window == words)
}

/// Whether something in a unit is ours: it has our block, whole or torn.
pub fn is_ours(unit: &[u8]) -> bool {
    !matches!(BLOCK.lines_in(unit), Ok(None))
}

/// Whether something in a unit is not ours: it has lines outside of our block, or none at all, which masks the unit. Of
/// one whose block is torn nobody knows.
pub fn is_others(unit: &[u8]) -> bool {
    let is_blank = |outside: Vec<u8>| outside.trim_ascii().is_empty();
    !is_ours(unit) || !BLOCK.blanked(unit).map_or(true, is_blank)
}

/// The service.
pub fn service(job: &Job) -> Vec<u8> {
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
    unit.extend(
        "Nice=19\nIOSchedulingClass=idle\nNoNewPrivileges=yes\n\
         # Nothing that gives it another view of the file system (PrivateTmp, ProtectHome): a source that it cannot see\n\
         # would be taken for gone. Nothing that refuses openat2 (RestrictSUIDSGID).\n"
            .as_bytes(),
    );
    unit
}

/// The timer: every night, at another minute on each machine, and after a night that the machine slept through.
pub fn timer() -> Vec<u8> {
    format!(
        "[Unit]\nDescription={DESCRIPTION}, every night\nDocumentation={MANUAL}\n\n[Timer]\n\
         OnCalendar=*-*-* 03:00:00\nRandomizedDelaySec=2h\nPersistent=true\n\n[Install]\nWantedBy=timers.target\n"
    )
    .into_bytes()
}

/// Whether the dollar stands for a variable there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dollar {
    Plain,
    Doubled,
}

/// systemd.syntax(7) "QUOTING", and specifiers.
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
        chunk.invalid().iter().for_each(|byte| out.extend(format!("\\x{byte:02x}").as_bytes()));
    }
    out.push(b'"');
}

/// Whether the user manager runs and can be spoken to.
pub fn manager_runs() -> bool {
    matches!(control(&["show-environment"]), Ok(output) if output.status.success())
}

/// When the timer elapses next, where the manager knows.
pub fn next_elapse() -> Option<Moment> {
    let timer = format!("{NAME}.timer");
    let output = control(&["show", &timer, "--property=NextElapseUSecRealtime", "--value"]).ok()?;
    moment(&String::from_utf8(output.stdout).ok()?)
}

/// `Wed 2026-11-25 04:09:20 UTC`, as the manager says it to somebody in UTC.
fn moment(said: &str) -> Option<Moment> {
    let mut words = said.split_ascii_whitespace().skip(1);
    let (day, time) = (words.next()?, words.next()?);
    date::parse_rfc3339(&format!("{day}T{time}Z"))
}

/// Lets the manager know of the units, and starts the timer, now and at every login.
///
/// # Errors
/// In words.
pub fn enable() -> Result<(), String> {
    told(&["daemon-reload"])?;
    told(&["enable", "--now", &format!("{NAME}.timer")])?;
    // A timer that runs already keeps its old time otherwise.
    told(&["restart", &format!("{NAME}.timer")])
}

/// Stops the timer, now and for every login.
///
/// # Errors
/// In words.
pub fn disable() -> Result<(), String> {
    told(&["disable", "--now", &format!("{NAME}.timer")])
}

/// Lets the manager know that units are gone.
///
/// # Errors
/// In words.
pub fn reload() -> Result<(), String> {
    told(&["daemon-reload"])
}

fn told(arguments: &[&str]) -> Result<(), String> {
    let spelled = format!("systemctl --user {}", arguments.join(" "));
    match control(arguments) {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().last().unwrap_or_default().trim().to_string();
            Err(format!("{spelled}: {}", if last.is_empty() { output.status.to_string() } else { last }))
        }
        Err(error) => Err(format!("{spelled}: {}", complain::one_line(&error))),
    }
}

fn control(arguments: &[&str]) -> std::io::Result<Output> {
    program::command("systemctl")?
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .arg("--user")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_says_when() {
        let seconds = |said| moment(said).map(|moment| moment.seconds);
        assert_eq!(seconds("Tue 2023-11-14 22:13:20 UTC\n"), Some(1_700_000_000));
        assert_eq!(seconds("n/a"), None);
        assert_eq!(seconds(""), None);
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
