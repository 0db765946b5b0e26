//! One run of `prune` or `share` as a line of JSON. Fields are only ever added; `schema` is 1.

use crate::effect::outcome::Outcome;
use crate::effect::share::ShareOutcome;
use crate::exit::Exit;
use crate::host::accounts::Accounts;
use crate::host::directory::effective_user;
use crate::json::{self, SCHEMA, Total};
use crate::store::Store;
use crate::store::lock::Holder;
use crate::store::scan::Trouble;
use crate::units::Moment;
use crate::units::Tally;
use crate::units::{date, human};
use crate::verdict::policy::Selector;
use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize, Serializer};
use std::path::Path;
use std::time::Duration;

/// The first of the selectors of a run of `share`.
pub const SHARE: &str = "share";

/// One run of `prune` or `share`, but not a dry run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The version of the contract.
    pub schema: u32,
    /// When it began.
    #[serde(serialize_with = "write_moment", deserialize_with = "read_moment")]
    pub started: Moment,
    /// How long it took, in seconds, to the millisecond.
    #[serde(rename = "duration")]
    pub seconds: f64,
    /// The store's real path, lossily.
    pub store: String,
    /// Its bytes in base64, where it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_bytes: Option<String>,
    /// Device and inode of the store's root.
    pub device: u64,
    /// See `device`.
    pub inode: u64,
    /// The names of the selectors, with their limits.
    pub selectors: Vec<String>,
    /// What was removed. A run of `share` removes nothing: these are the bytes that it freed.
    pub removed: Total,
    /// How many files a selector matched and a safety rule kept.
    pub skipped: u64,
    /// How many files could not be removed, or read or linked.
    pub failures: u64,
    /// What was left because the run was stopped; zero if that is not known, as for a run of `share`.
    pub left: Option<Left>,
    /// The exit status.
    pub exit: u8,
    /// The lock on the store that another process held, if the run did nothing because of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<Locked>,
    /// How many entries became links of another file; only for `share`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<u64>,
}

/// Who held the lock on the store when a run began, and how often in a row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Locked {
    /// The holder's process id, if it was found.
    pub process: Option<u32>,
    /// Its effective user id.
    pub user: Option<u32>,
    /// The name of the process.
    pub command: Option<String>,
    /// How many runs in a row found the store locked, this one included.
    pub runs: u64,
}

impl Locked {
    /// A lock that this process holds, or one that was not found.
    pub fn by(holder: Option<Holder>) -> Locked {
        match holder {
            None => Locked { runs: 1, ..Locked::default() },
            Some(Holder { process, user, command }) => {
                Locked { process: Some(process), user, command, runs: 1 }
            }
        }
    }

    /// The holder, for people: `process 123 (flock of eve)`, `another process`.
    pub fn holder(&self) -> String {
        let Some(process) = self.process else { return "another process".into() };
        let command = self.command.as_deref().unwrap_or("?");
        match self.user.filter(|user| *user != effective_user()) {
            None => format!("process {process} ({command})"),
            Some(user) => {
                let users = Accounts::read().users;
                let name = users.into_iter().find(|account| account.id == user).map(|account| account.name);
                let name = name.unwrap_or_else(|| format!("user {user}"));
                format!("process {process} ({command} of {name})")
            }
        }
    }
}

/// What was left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Files.
    pub files: u64,
    /// Apparent size in bytes.
    pub bytes: u64,
    /// Their room on disk in bytes.
    pub disk: u64,
    /// Emptied directories.
    #[serde(default)]
    pub directories: u64,
}

impl Left {
    /// What was left in files and directories; `None` where nothing was.
    pub fn new(files: Tally, directories: u64) -> Option<Left> {
        let Tally { files, bytes, disk } = files;
        (files > 0 || directories > 0).then_some(Left { files, bytes, disk, directories })
    }
}

impl Run {
    /// Returns the run with this outcome on this store.
    pub fn new(
        store: &Store,
        started: Moment,
        duration: Duration,
        selectors: &[String],
        outcome: &Outcome,
        exit: Exit,
    ) -> Run {
        let (device, inode) = store.metadata().identity;
        Run {
            schema: SCHEMA,
            started,
            seconds: duration.as_millis() as f64 / 1000.0,
            store: json::text(store.real_path()),
            store_bytes: json::bytes(store.real_path()),
            device,
            inode,
            selectors: selectors.to_vec(),
            removed: Total::new(outcome.removed, outcome.directories),
            skipped: outcome.skipped.len() as u64,
            failures: outcome.failures.len() as u64,
            left: Left::new(outcome.left, outcome.directories_left),
            exit: exit.code(),
            locked: None,
            shared: None,
        }
    }

    /// Returns the run of `share` with this outcome on this store.
    pub fn of_share(
        store: &Store,
        started: Moment,
        duration: Duration,
        selectors: &[String],
        outcome: &ShareOutcome,
        exit: Exit,
    ) -> Run {
        let is_failure = |trouble: &&Trouble| !matches!(trouble, Trouble::MountPoint { .. });
        Run {
            removed: Total::new(Tally { files: 0, ..outcome.freed }, 0),
            failures: outcome.troubles.iter().filter(is_failure).count() as u64,
            left: outcome.is_stopped.then(Left::default),
            shared: Some(outcome.freed.files),
            ..Run::new(store, started, duration, selectors, &Outcome::default(), exit)
        }
    }

    /// Returns a run that did nothing because another process held the lock.
    pub fn of_locked(
        store: &Store,
        started: Moment,
        selectors: &[String],
        exit: Exit,
        locked: Locked,
    ) -> Run {
        let run = Run::new(store, started, Duration::ZERO, selectors, &Outcome::default(), exit);
        Run { locked: Some(locked), ..run }
    }

    /// Returns this run as one that did not end after this time: the file system does not respond. What is left is not known.
    #[must_use]
    pub fn unfinished(self, duration: Duration, removed: Tally) -> Run {
        Run {
            seconds: duration.as_millis() as f64 / 1000.0,
            removed: Total::new(removed, 0),
            failures: 1,
            left: Some(Left::default()),
            ..self
        }
    }

    /// Returns a prune that failed before it could open the store with this real path, which may be unknown. It is not
    /// recorded.
    pub fn of_failure(store: Option<&Path>, started: Moment, duration: Duration) -> Run {
        Run {
            schema: SCHEMA,
            started,
            seconds: duration.as_millis() as f64 / 1000.0,
            store: store.map(json::text).unwrap_or_default(),
            store_bytes: store.and_then(json::bytes),
            exit: Exit::Nothing.code(),
            ..Run::default()
        }
    }

    /// Whether the run was successful: exit status 0, even if it was stopped by its time limit. A run that found the store
    /// locked is not successful, whatever its exit status.
    pub fn is_success(&self) -> bool {
        self.exit == Exit::Done.code() && self.locked.is_none()
    }

    /// Whether it is a run of `forget` or `verify --fix`, which remove only what they were told to.
    pub fn is_of_named_entries(&self) -> bool {
        let first = self.selectors.first().and_then(|first| first.split(' ').next());
        first.is_some_and(|first| [Selector::Forgotten, Selector::Listed].iter().any(|it| it.name() == first))
    }

    /// Whether it is a run of `share`, which frees bytes and removes no entry.
    pub fn is_share(&self) -> bool {
        self.selectors.first().is_some_and(|first| first == SHARE)
    }

    /// How long it took.
    pub fn duration(&self) -> Duration {
        Duration::try_from_secs_f64(self.seconds).unwrap_or_default()
    }

    /// The result as text: `done`, `stopped, 12 files left`, `incomplete, 2 failures`, `done, 12 entries shared`.
    pub fn result(&self) -> String {
        if let Some(locked) = &self.locked {
            return format!("nothing done, locked by {}", locked.holder());
        }
        let mut parts = Vec::new();
        if let Some(left) = self.left {
            let files = human::counted(left.files, "file");
            let left = match (left.files, left.directories) {
                (0, 0) => "stopped".into(),
                (_, 0) => format!("stopped, {files} left"),
                (0, directories) => format!("stopped, {} left", human::counted(directories, "directory")),
                (_, directories) => {
                    format!("stopped, {files} and {} left", human::counted(directories, "directory"))
                }
            };
            parts.push(left);
        }
        match self.exit {
            0 if self.left.is_some() => {}
            0 => parts.push("done".into()),
            1 => parts.push("incomplete".into()),
            code => parts.push(format!("exit status {code}")),
        }
        if let Some(shared) = self.shared.filter(|shared| *shared > 0) {
            parts.push(format!("{} shared", human::counted(shared, "entry")));
        }
        if self.failures > 0 {
            parts.push(human::counted(self.failures, "failure"));
        }
        if self.skipped > 0 {
            parts.push(format!("{} kept", human::counted(self.skipped, "file")));
        }
        parts.join(", ")
    }
}

fn write_moment<S: Serializer>(moment: &Moment, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&date::rfc3339(*moment))
}

fn read_moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Moment, D::Error> {
    let text = String::deserialize(deserializer)?;
    date::parse_rfc3339(&text).ok_or_else(|| D::Error::custom("not a date as in RFC 3339"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{run, store};
    use super::*;

    #[test]
    fn a_run_is_one_line_with_every_field() {
        let temporary = tempfile::tempdir().unwrap();
        let store = store(&temporary, "store");
        let mut run = run(&store, 1_700_000_000, 3, Exit::Incomplete);
        run.left = Left::new(Tally { files: 2, bytes: 20, disk: 8192 }, 1);
        let mut line = Vec::new();
        json::print(&mut line, &run).unwrap();
        let (device, inode) = store.metadata().identity;
        let expected = format!(
            concat!(
                r#"{{"schema":1,"started":"2023-11-14T22:13:20Z","duration":1.234,"store":"{}","device":{},"inode":{},"#,
                r#""selectors":["orphans","stale"],"removed":{{"files":3,"directories":1,"bytes":30,"disk":12288}},"#,
                r#""skipped":0,"failures":0,"left":{{"files":2,"bytes":20,"disk":8192,"directories":1}},"exit":1}}"#,
                "\n"
            ),
            store.real_path().display(),
            device,
            inode
        );
        assert_eq!(String::from_utf8(line.clone()).unwrap(), expected);
        assert_eq!(json::parse::<Run>(&line).unwrap(), run);
        // A version of before had no directories in what was left.
        let before: Run =
            json::parse(expected.replace(",\"directories\":1},\"exit", "},\"exit").as_bytes()).unwrap();
        assert_eq!(before.left.unwrap().directories, 0);
        // The contract is append-only: what a later version adds does not hide the run from this one.
        let later = expected.replace("\"exit\":1", "\"exit\":1,\"mood\":\"good\"");
        assert_eq!(json::parse::<Run>(later.as_bytes()).unwrap(), run);
    }

    #[test]
    fn the_result_says_what_matters() {
        let temporary = tempfile::tempdir().unwrap();
        let store = store(&temporary, "store");
        let mut run = run(&store, 0, 3, Exit::Done);
        assert_eq!(run.result(), "done");
        run.skipped = 1;
        assert_eq!(run.result(), "done, 1 file kept");
        run.left = Left::new(Tally::file(1, 1), 0);
        assert_eq!(run.result(), "stopped, 1 file left, 1 file kept");
        run.left = Left::new(Tally::file(1, 1), 2);
        assert_eq!(run.result(), "stopped, 1 file and 2 directories left, 1 file kept");
        run.left = Left::new(Tally::default(), 2);
        assert_eq!(run.result(), "stopped, 2 directories left, 1 file kept");
        run.left = Left::new(Tally::file(1, 1), 0);
        (run.exit, run.failures, run.skipped) = (1, 2, 0);
        assert_eq!(run.result(), "stopped, 1 file left, incomplete, 2 failures");
        let unfinished = run.clone().unfinished(Duration::ZERO, Tally::default());
        assert_eq!(unfinished.result(), "stopped, incomplete, 1 failure");
        assert!(!run.is_success());
    }

    #[test]
    fn a_run_of_share_frees_bytes_and_removes_nothing() {
        let temporary = tempfile::tempdir().unwrap();
        let store = store(&temporary, "store");
        let mut outcome =
            ShareOutcome { freed: Tally { files: 3, bytes: 30, disk: 12_288 }, ..ShareOutcome::default() };
        let run = |outcome: &ShareOutcome, exit| {
            Run::of_share(
                &store,
                Moment::default(),
                Duration::ZERO,
                &[SHARE, "tag x"].map(String::from),
                outcome,
                exit,
            )
        };
        let done = run(&outcome, Exit::Done);
        assert!(done.is_share() && done.is_success());
        assert_eq!(done.removed, Total { bytes: 30, disk: 12_288, ..Total::default() });
        assert_eq!(done.result(), "done, 3 entries shared");
        let mut line = Vec::new();
        json::print(&mut line, &done).unwrap();
        assert!(line.ends_with(b",\"shared\":3}\n"), "{}", String::from_utf8_lossy(&line));
        assert_eq!(json::parse::<Run>(&line).unwrap(), done);
        outcome.is_stopped = true;
        assert_eq!(run(&outcome, Exit::Done).result(), "stopped, 3 entries shared");
        assert_eq!(run(&outcome, Exit::Incomplete).result(), "stopped, incomplete, 3 entries shared");
        assert_eq!(run(&ShareOutcome::default(), Exit::Done).result(), "done");
    }
}
