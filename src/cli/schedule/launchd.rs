//! launchd: a property list of the user's agents, launchd.plist(5).
//!
//! A night that the machine slept through is made up for when it wakes. What the job says goes to a log in
//! `~/Library/Logs`, where Console shows it.

use super::cron::Time;
use super::job::{Job, NAME};
use pycstore::environment::Environment;
use pycstore::host::program;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What launchd calls the agent.
const LABEL: &str = "pycstore.schedule";

/// How every property list of ours begins: by this a file is known to be ours.
const HEAD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- made by `pycstore schedule install` -->
"#;

/// The property list of the user's agent; `None` without a home.
pub fn place(environment: &Environment) -> Option<PathBuf> {
    Some(environment.home.as_ref()?.join(format!("Library/LaunchAgents/{LABEL}.plist")))
}

/// Whether a file is the one that was made for the schedule.
pub fn is_ours(text: &[u8]) -> bool {
    text.starts_with(HEAD.as_bytes())
}

/// The time in a property list of ours.
pub fn time_in(text: &[u8]) -> Option<Time> {
    let text = String::from_utf8_lossy(text);
    let number = |key: &str| {
        let rest = text.split(&format!("<key>{key}</key><integer>")).nth(1)?;
        rest.split('<').next()?.parse().ok()
    };
    Some(Time { hour: number("Hour")?, minute: number("Minute")? })
}

/// The property list.
///
/// # Errors
/// In words, when a path is not UTF-8.
pub fn property_list(job: &Job, time: Time, home: &Path) -> Result<Vec<u8>, String> {
    let text = |path: &Path| match path.to_str() {
        Some(text) => Ok(escaped(text)),
        None => Err(format!("{} is not UTF-8, which a property list has to be", path.display())),
    };
    let mut arguments = format!("        <string>{}</string>\n", text(&job.program)?);
    for argument in &job.arguments {
        arguments.push_str(&format!("        <string>{}</string>\n", text(Path::new(argument))?));
    }
    let mut variables = String::new();
    for (name, value) in &job.variables {
        variables.push_str(&format!("        <key>{name}</key><string>{}</string>\n", text(value)?));
    }
    let log = text(&home.join(format!("Library/Logs/{NAME}.log")))?;
    let Time { hour, minute } = time;
    Ok(format!(
        r#"{HEAD}<plist version="1.0">
<dict>
    <key>Label</key><string>{LABEL}</string>
    <key>ProgramArguments</key>
    <array>
{arguments}    </array>
    <key>EnvironmentVariables</key>
    <dict>
{variables}    </dict>
    <key>StartCalendarInterval</key>
    <dict>
        <key>Hour</key><integer>{hour}</integer>
        <key>Minute</key><integer>{minute}</integer>
    </dict>
    <key>ProcessType</key><string>Background</string>
    <key>LowPriorityIO</key><true/>
    <key>Nice</key><integer>19</integer>
    <key>StandardOutPath</key><string>{log}</string>
    <key>StandardErrorPath</key><string>{log}</string>
</dict>
</plist>
"#
    )
    .into_bytes())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Lets launchd know of the agent.
///
/// # Errors
/// In words.
pub fn load(path: &Path) -> Result<(), String> {
    let domain = format!("gui/{}", pycstore::host::directory::effective_user());
    // Of an old one it is told again.
    let _ = unload();
    told(|command| command.arg("bootstrap").arg(domain).arg(path))
}

/// Lets launchd forget it.
///
/// # Errors
/// In words.
pub fn unload() -> Result<(), String> {
    let service = format!("gui/{}/{LABEL}", pycstore::host::directory::effective_user());
    told(|command| command.arg("bootout").arg(service))
}

fn told(arguments: impl FnOnce(&mut Command) -> &mut Command) -> Result<(), String> {
    let failed = |why: String| Err(format!("launchctl: {why}"));
    let output = program::command("launchctl")
        .and_then(|mut command| arguments(&mut command).stdin(Stdio::null()).output());
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => failed(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ")),
        Err(error) => failed(error.to_string()),
    }
}
