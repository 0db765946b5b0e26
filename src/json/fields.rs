//! Fields that several JSON documents have in common.

use super::{bytes, text};
use crate::source::owner::{Life, Owner};
use crate::units::Tally;
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// The field `name` with a path, lossily, and the field `name_bytes` where the path is not UTF-8. `null` without a path.
#[derive(Debug, Clone, Copy)]
pub struct PathField<'a> {
    /// The name of the field.
    pub name: &'static str,
    /// The path.
    pub path: Option<&'a Path>,
}

impl<'a> PathField<'a> {
    /// The field `name` with a path.
    pub fn new(name: &'static str, path: &'a Path) -> PathField<'a> {
        PathField { name, path: Some(path) }
    }
}

impl Serialize for PathField<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        fields.serialize_entry(self.name, &self.path.map(text))?;
        if let Some(bytes) = self.path.and_then(bytes) {
            fields.serialize_entry(&format!("{}_bytes", self.name), &bytes)?;
        }
        fields.end()
    }
}

/// Files, their length and their disk usage.
#[derive(Debug, Default, Serialize)]
pub struct Sum {
    files: u64,
    bytes: u64,
    disk: u64,
}

impl Sum {
    /// The sum; `None` if nothing was counted.
    pub fn if_any(tally: Tally) -> Option<Sum> {
        (!tally.is_empty()).then(|| tally.into())
    }
}

impl From<Tally> for Sum {
    fn from(tally: Tally) -> Sum {
        Sum { files: tally.files, bytes: tally.bytes, disk: tally.disk }
    }
}

/// The same with directories.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// Files.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// The apparent size of the files in bytes.
    pub bytes: u64,
    /// The disk usage in bytes.
    pub disk: u64,
}

impl Total {
    /// Files and directories.
    pub fn new(tally: Tally, directories: u64) -> Total {
        Total { files: tally.files, directories, bytes: tally.bytes, disk: tally.disk }
    }
}

/// The owner of a row.
#[derive(Debug, Serialize)]
pub struct OwnerHead<'a> {
    kind: &'static str,
    #[serde(flatten)]
    root: PathField<'a>,
    gone: bool,
}

impl<'a> From<&'a Owner> for OwnerHead<'a> {
    fn from(owner: &'a Owner) -> OwnerHead<'a> {
        OwnerHead {
            kind: owner.kind.name(),
            root: PathField::new("root", &owner.root),
            gone: owner.life == Life::Gone,
        }
    }
}

/// Whether a document says what was done or what would be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It was done.
    Real,
    /// Nothing was touched.
    DryRun,
}

/// A file that is kept, or a directory that was not entered.
#[derive(Debug, Serialize)]
pub struct SkippedLine<'a, Why> {
    #[serde(flatten)]
    path: PathField<'a>,
    why: Why,
}

impl<'a, Why> SkippedLine<'a, Why> {
    /// What was skipped, and why.
    pub fn new(path: &'a Path, why: Why) -> SkippedLine<'a, Why> {
        SkippedLine { path: PathField::new("path", path), why }
    }
}

/// What could not be done.
#[derive(Debug, Serialize)]
pub struct FailureLine<'a> {
    #[serde(flatten)]
    path: PathField<'a>,
    error: String,
    /// The number of files concerned; none for a directory.
    files: u64,
    /// The number of directories concerned, if none of their files are.
    directories: u64,
}

impl<'a> FailureLine<'a> {
    /// What failed at a path, and how many files and directories it concerns.
    pub fn new(path: &'a Path, error: &io::Error, files: u64, directories: u64) -> FailureLine<'a> {
        FailureLine { path: PathField::new("path", path), error: error.to_string(), files, directories }
    }
}
