//! The receipt: a list of the user's files that have a block of ours, with the target and the time of each edit.
//!
//! The path of a file may depend on the environment (`ZDOTDIR`, `XDG_CONFIG_HOME`, git's `core.excludesFile`), which may have
//! changed when the edit is undone. So each file is recorded before it is changed, in `edits.jsonl` in our state
//! directory: one JSON object a line. The crontab is not recorded: there is only one.
//!
//! # Invariants
//!
//! * The receipt is untrusted input. It is read only if it is a regular file of this user, no other user may write to it,
//!   and it is not too long. A line that cannot be parsed is skipped.
//! * It only says where to look. Undo removes our block ([`super::block`]) and never changes a file without one.
//! * Without a receipt, undo looks at the places of the current environment.

use super::error::EditError;
use super::place::{TextPlace, resolved};
use super::replace::replace;
use super::text::read_file;
use crate::host::directory::{Access, Directory, FileKind, effective_user, metadata_of};
use crate::host::trust;
use crate::json::{self, SCHEMA};
use crate::units::{Moment, date};
use serde::{Deserialize, Serialize};
use std::fs::DirBuilder;
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The name of the file in our state directory.
const NAME: &str = "edits.jsonl";

/// Maximum length of a receipt, in bytes: the maximum number of lines, each with a path of maximum length.
const MOST_BYTES: u64 = 1 << 20;

/// Maximum number of lines.
const MOST_LINES: usize = 200;

/// The markers of a block and of a property list: a file with one of these was edited by us.
const MARKS: [&[u8]; 2] = [b">>> pycstore", b"made by `pycstore"];

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    /// The version of the format.
    schema: u32,
    /// The time of the last edit (RFC 3339).
    when: String,
    /// What was added: the name of the target of `setup`, or of the scheduler.
    what: String,
    /// The file's path, lossily.
    file: String,
    /// Its bytes in base64, if it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file_bytes: Option<String>,
}

impl Line {
    /// The file's path, if it is absolute.
    fn path(&self) -> Option<PathBuf> {
        json::path(&self.file, self.file_bytes.as_deref()).filter(|path| path.is_absolute())
    }
}

/// The recorded edits.
#[derive(Debug, Default)]
pub struct Receipt {
    path: Option<PathBuf>,
    lines: Vec<Line>,
}

/// Why a receipt was not read or written. Undo then looks at the places of the environment.
#[derive(Debug, thiserror::Error)]
#[error("{failure} {}", .path.display())]
pub struct ReceiptError {
    failure: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl Receipt {
    /// Returns an empty receipt that is written to our state directory; without one it is not written.
    pub fn new(state_directory: Option<&Path>) -> Receipt {
        Receipt { path: state_directory.map(|directory| directory.join(NAME)), lines: Vec::new() }
    }

    /// Reads the receipt in our state directory; an empty one if there is none.
    ///
    /// # Errors
    /// If it cannot be read, or another user could have written it.
    pub fn read(state_directory: Option<&Path>) -> Result<Receipt, ReceiptError> {
        let mut receipt = Receipt::new(state_directory);
        if let Some(path) = &receipt.path {
            let ignored = |source| ReceiptError { failure: "ignored:", path: path.clone(), source };
            receipt.lines = lines_of(&read(path).map_err(ignored)?);
        }
        Ok(receipt)
    }

    /// Returns the files that `what` was added to and that still have our changes or cannot be read, each with the time of
    /// the edit.
    pub fn places(&self, what: &str) -> Vec<(TextPlace, String)> {
        let lines = self.lines.iter().filter(|line| line.what == what);
        let place = |line: &Line| {
            let path = line.path().filter(|path| holds_ours(path))?;
            Some((TextPlace::File(path), line.when.clone()))
        };
        lines.filter_map(place).collect()
    }

    /// Records that `what` is added to a file: both its path and the path with links resolved.
    pub fn add(&mut self, what: &str, place: &TextPlace, now: Moment) {
        let (TextPlace::File(path), TextPlace::File(real)) = (place, place.real()) else { return };
        let real = Some(real).filter(|real| real != path);
        for path in std::iter::once(path.clone()).chain(real) {
            let line = Line {
                schema: SCHEMA,
                when: date::rfc3339(Moment { nanoseconds: 0, ..now }),
                what: what.into(),
                file: json::text(&path),
                file_bytes: json::bytes(&path),
            };
            self.lines.retain(|it| (&it.what, it.path()) != (&line.what, line.path()));
            self.lines.push(line);
        }
        let surplus = self.lines.len().saturating_sub(MOST_LINES);
        self.lines.drain(..surplus);
    }

    /// Removes the files without our changes from the receipt, and writes it.
    ///
    /// # Errors
    /// Those of [`Receipt::write`].
    pub fn settle(&mut self) -> Result<(), ReceiptError> {
        let before = self.lines.len();
        self.lines.retain(|line| line.path().is_some_and(|path| holds_ours(&path)));
        if self.lines.len() < before { self.write() } else { Ok(()) }
    }

    /// Writes the receipt, or deletes an empty one.
    ///
    /// # Errors
    /// If it cannot be written, or another user could replace it and we are root.
    pub fn write(&self) -> Result<(), ReceiptError> {
        let Some(path) = &self.path else { return Ok(()) };
        let failure = "cannot record the edited files in";
        self.try_write(path).map_err(|source| ReceiptError { failure, path: path.clone(), source })
    }

    fn try_write(&self, path: &Path) -> io::Result<()> {
        if effective_user() == 0
            && let Some(stranger) = trust::stranger(&trust::ways_to(path), 0)
        {
            return Err(io::Error::other(format!("refused as root: {stranger}")));
        }
        if self.lines.is_empty() {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                answer => answer?,
            }
            // Fails if the history is in it.
            let _ = path.parent().map(std::fs::remove_dir);
            return Ok(());
        }
        if let Some(directory) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        let mut contents = Vec::new();
        self.lines.iter().try_for_each(|line| json::print(&mut contents, line))?;
        replace(path, &contents, 0o600)
    }
}

/// Returns the bytes of a receipt; none if there is no file.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let opened = || {
        let directory = Directory::open(path.parent().unwrap_or(Path::new("/")), Access::LookUp)?;
        directory.open_entry(NAME.as_bytes())
    };
    let file = match opened() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        answer => answer?,
    };
    let metadata = metadata_of(&file)?;
    let by_others = 0o022;
    if metadata.kind != FileKind::Regular {
        return Err(io::Error::other("it is not a regular file"));
    }
    if metadata.user != effective_user() || metadata.mode & by_others != 0 {
        return Err(io::Error::other("another user could have written it"));
    }
    let mut contents = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut contents)?;
    if contents.len() as u64 > MOST_BYTES {
        return Err(io::Error::other(format!("it is larger than {MOST_BYTES} bytes")));
    }
    Ok(contents)
}

/// Returns the lines that can be parsed; the newest if there are too many.
fn lines_of(contents: &[u8]) -> Vec<Line> {
    let lines = contents.split(|&byte| byte == b'\n').filter_map(|line| json::parse::<Line>(line).ok());
    let mut lines: Vec<Line> = lines.filter(|line| line.path().is_some()).collect();
    let surplus = lines.len().saturating_sub(MOST_LINES);
    lines.drain(..surplus);
    lines
}

/// Whether a file may have our changes; true if it cannot be read.
fn holds_ours(path: &Path) -> bool {
    let Ok(real) = resolved(path) else { return true };
    match read_file(&real, path) {
        Ok(Some((_, text))) => MARKS.iter().any(|mark| text.windows(mark.len()).any(|it| it == *mark)),
        Ok(None) | Err(EditError::NoFile(_)) => false,
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};

    const NOW: Moment = Moment { seconds: 1_700_000_000, nanoseconds: 5 };

    fn receipt(path: &Path) -> Receipt {
        Receipt { path: Some(path.to_path_buf()), lines: lines_of(&read(path).unwrap()) }
    }

    fn paths(receipt: &Receipt, what: &str) -> Vec<PathBuf> {
        let path = |(place, _)| match place {
            TextPlace::File(path) => path,
            TextPlace::Crontab => panic!("a receipt names files"),
        };
        receipt.places(what).into_iter().map(path).collect()
    }

    #[test]
    fn what_was_written_is_read_and_goes_when_it_is_undone() {
        let (_temporary, root) = crate::temporary::directory();
        let path = root.join("state/pycstore").join(NAME);
        let odd = root.join(OsStr::from_bytes(b"caf\xe9\n"));
        std::fs::write(&odd, "# >>> pycstore >>>\n").unwrap();
        symlink(&odd, root.join("link")).unwrap();
        let mut receipt = Receipt { path: Some(path.clone()), lines: Vec::new() };
        receipt.add("git", &TextPlace::Crontab, NOW);
        for _ in 0..2 {
            receipt.add("zsh", &TextPlace::File(root.join("link")), NOW);
            receipt.add("bash", &TextPlace::File(root.join("gone")), NOW);
        }
        receipt.write().unwrap();
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        let mut again = self::receipt(&path);
        assert_eq!((mode, &again.lines), (0o600, &receipt.lines));
        assert_eq!(paths(&again, "zsh"), [root.join("link"), odd.clone()]);
        assert_eq!(again.places("zsh")[0].1, "2023-11-14T22:13:20Z");
        assert_eq!((again.lines.len(), again.places("bash")), (3, Vec::new()), "nothing is there");
        again.settle().unwrap();
        assert_eq!((paths(&again, "zsh").len(), again.lines.len()), (2, 2));
        std::fs::write(&odd, "").unwrap();
        again.settle().unwrap();
        assert!(!path.exists() && !path.parent().unwrap().exists());
    }

    #[test]
    fn a_receipt_that_is_not_ours_or_too_large_is_not_read() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join(NAME);
        let line = r#"{"schema":1,"when":"x","what":"zsh","file":"/a"}"#;
        let refused = || read(&path).unwrap_err().to_string();
        std::fs::write(&path, line).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o620)).unwrap();
        assert_eq!(refused(), "another user could have written it");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        assert_eq!(receipt(&path).lines[0].file, "/a");
        if effective_user() == 0 {
            std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
            assert_eq!(refused(), "another user could have written it");
        }
        std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
        std::os::unix::fs::chown(&path, Some(effective_user()), None).unwrap();
        assert_eq!(refused(), "it is larger than 1048576 bytes");
        std::fs::remove_file(&path).unwrap();
        crate::special_files::make_pipe(&path).unwrap();
        assert_eq!(refused(), "it is not a regular file");
        std::fs::remove_file(&path).unwrap();
        symlink("elsewhere", &path).unwrap();
        std::fs::write(temporary.path().join("elsewhere"), line).unwrap();
        assert!(read(&path).is_err(), "a link is not followed");
    }

    #[test]
    fn broken_lines_are_passed_over() {
        let line = |file: &str| format!(r#"{{"schema":1,"when":"x","what":"zsh","file":{file}}}"#);
        let good = line("\"/a\"");
        let text = [
            "",
            "{",
            "[]",
            "\0\u{7f}",
            r#"{"schema":1}"#,
            &line("\"relative\""),
            &line("\"\""),
            &line("[\"/b\"]"),
            &line("\"/x\",\"file_bytes\":\"no base64!\""),
            &good,
            &"[".repeat(10_000),
        ]
        .join("\n");
        let files: Vec<String> = lines_of(text.as_bytes()).into_iter().map(|line| line.file).collect();
        assert_eq!(files, ["/a"]);
        let many: Vec<String> = (0..1000).map(|number| line(&format!("\"/{number}\""))).collect();
        let lines = lines_of(many.join("\n").as_bytes());
        assert_eq!((lines.len(), lines[0].file.as_str()), (MOST_LINES, "/800"));
    }
}
