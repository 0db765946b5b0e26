//! launchd: a property list of the user's agents, launchd.plist(5).
//!
//! If the machine sleeps at the time of the job, the job runs when it wakes. The output goes to a log in `~/Library/Logs`, where
//! Console shows it.

use super::error::ScheduleError;
use super::job::{Job, NAME};
use super::scheduler::{SchedulerError, check};
use crate::complaint::Complaint;
use crate::crontab::DailyTime;
use crate::edits::{EditError, EditPlan, TextPlace};
use crate::environment::Environment;
use crate::host::directory::effective_user;
use crate::host::program;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// The label of the agent.
const LABEL: &str = "pycstore.schedule";

/// The start of every property list of ours; a file without it is not ours.
const HEAD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- made by `pycstore schedule install` -->
"#;

/// The agent of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// The path of its property list.
    pub path: PathBuf,
    /// The path of its log.
    log: PathBuf,
}

impl Agent {
    /// Returns the paths of the user's agent.
    ///
    /// # Errors
    /// Without a home.
    pub fn new(environment: &Environment) -> Result<Agent, Complaint> {
        let home = environment.home.as_ref();
        let home = home.ok_or_else(|| Complaint::new("no directory for agents", "set HOME"))?;
        Ok(Agent {
            path: home.join(format!("Library/LaunchAgents/{LABEL}.plist")),
            log: home.join(format!("Library/Logs/{NAME}.log")),
        })
    }

    /// Whether a property list was written by pycstore.
    pub fn is_ours(text: &[u8]) -> bool {
        text.starts_with(HEAD.as_bytes())
    }

    /// Returns the time in a property list of ours.
    pub fn time_in(text: &[u8]) -> Option<DailyTime> {
        let text = String::from_utf8_lossy(text);
        let number = |key: &str| {
            let rest = text.split(&format!("<key>{key}</key><integer>")).nth(1)?;
            rest.split('<').next()?.parse().ok()
        };
        Some(DailyTime { hour: number("Hour")?, minute: number("Minute")? })
    }

    /// Plans the property list. Refuses to replace one that pycstore did not write.
    ///
    /// # Errors
    /// If it cannot be changed, or pycstore did not write it.
    pub fn plan(&self, plan: &mut EditPlan, list: Vec<u8>) -> Result<(), ScheduleError> {
        let place = TextPlace::File(self.path.clone());
        let not_ours =
            || EditError::Contents { place: place.clone(), why: "pycstore did not write it".into() };
        let change = |text: Option<&[u8]>| match text {
            Some(text) if !Agent::is_ours(text) => Err(not_ours()),
            _ => Ok(Some(list)),
        };
        plan.change(&place, change).map_err(|error| Complaint::caused(error, "rename it").into())
    }

    /// Returns the property list for a job.
    ///
    /// # Errors
    /// If a path is not UTF-8.
    pub fn property_list(&self, job: &Job, time: DailyTime) -> Result<Vec<u8>, Complaint> {
        let mut arguments = format!("        <string>{}</string>\n", text(&job.program)?);
        for argument in &job.arguments {
            arguments.push_str(&format!("        <string>{}</string>\n", text(Path::new(argument))?));
        }
        let mut variables = String::new();
        for (name, value) in &job.variables {
            variables.push_str(&format!("        <key>{name}</key><string>{}</string>\n", text(value)?));
        }
        let log = text(&self.log)?;
        let DailyTime { hour, minute } = time;
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

    /// Loads the agent into launchd.
    ///
    /// # Errors
    /// If launchd refuses.
    pub fn load(&self) -> Result<(), SchedulerError> {
        // Otherwise launchd keeps an old agent. If that cannot be removed, the next call fails and says why.
        let _ = unload();
        let domain = format!("gui/{}", effective_user());
        tell(&["bootstrap".as_ref(), domain.as_ref(), self.path.as_ref()])
    }
}

/// Returns a path as text in a property list.
fn text(path: &Path) -> Result<String, Complaint> {
    let message = || format!("{} is not UTF-8, which a property list has to be", path.display());
    let text = path.to_str().ok_or_else(|| Complaint::new(message(), "choose another name"))?;
    Ok(text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"))
}

/// Checks that launchd runs here: launchctl(1) is on `PATH`.
///
/// # Errors
/// If there is none, or others may change it.
pub fn check_launchctl() -> Result<(), Complaint> {
    let hint = "pycstore schedule install --print --with launchd shows its property list";
    match program::command("launchctl") {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Complaint::new("launchd exists only on macOS", hint))
        }
        Err(error) => Err(Complaint::caused(error, hint)),
    }
}

/// Removes the agent from launchd, if launchd has it.
///
/// # Errors
/// If launchd refuses.
pub fn unload() -> Result<(), SchedulerError> {
    if is_loaded() { tell(&["bootout".as_ref(), service().as_ref()]) } else { Ok(()) }
}

/// Whether launchd has the agent.
pub fn is_loaded() -> bool {
    tell(&["print".as_ref(), service().as_ref()]).is_ok()
}

/// The name by which launchd knows the agent.
fn service() -> String {
    format!("gui/{}/{LABEL}", effective_user())
}

fn tell(arguments: &[&OsStr]) -> Result<(), SchedulerError> {
    let output = program::command("launchctl")
        .and_then(|mut command| command.args(arguments).stdin(Stdio::null()).output());
    check("launchctl", output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_list_that_pycstore_did_not_write_stays() {
        let temporary = tempfile::tempdir().unwrap();
        let agent = Agent { path: temporary.path().join("pycstore.schedule.plist"), log: "/log".into() };
        let job = Job {
            program: "/bin/pycstore".into(),
            arguments: Vec::new(),
            variables: Vec::new(),
            writable: Vec::new(),
        };
        let time = DailyTime { hour: 3, minute: 0 };
        let list = agent.property_list(&job, time).unwrap();
        assert_eq!(Agent::time_in(&list), Some(time));
        agent.plan(&mut EditPlan::default(), list.clone()).unwrap();
        let theirs = [
            "",
            "<plist><dict/></plist>",
            // Our mark, but not at the start.
            "<plist><dict/></plist><!-- like what was made by `pycstore schedule install` -->",
            "<plist/>\n<!-- made by `pycstore schedule install` -->\n",
        ];
        for text in theirs {
            std::fs::write(&agent.path, text).unwrap();
            let error = agent.plan(&mut EditPlan::default(), list.clone()).unwrap_err().to_string();
            assert!(error.ends_with("pycstore did not write it"), "{error}");
        }
        std::fs::write(&agent.path, &list).unwrap();
        agent.plan(&mut EditPlan::default(), Vec::new()).unwrap();
    }
}
