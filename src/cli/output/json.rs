//! The JSON contract: append-only, `schema` is 1. Home of serde, serde_json and base64.
//!
//! Names that are not UTF-8 are given lossily, with their bytes in base64 beside them. What a terminal would obey is given as
//! `\uXXXX`, in a pipe too.

mod entry;
mod inspection;
mod prune;
mod sweep;
mod view;
mod warm;

pub use entry::EntryLine;
pub use inspection::Inspection;
pub use prune::{Mode, PruneDocument};
pub use sweep::SweepDocument;
pub use warm::WarmDocument;

use super::{date, path};
use crate::cli::doctor;
use base64::Engine;
use pycstore::pyc::Magic;
use pycstore::pyc::name;
use pycstore::source::interpreter::{Build, Interpreter, StoreUse};
use pycstore::source::owner::{Life, Owner};
use pycstore::store::others::OtherStore;
use pycstore::store::sharing::Sharing;
use pycstore::units::Moment;
use pycstore::units::Tally;
use pycstore::verdict::finding::{Finding, What};
use pycstore::verdict::status::{self, Status};
use pycstore::verdict::usage::Usage;
use pycstore::verdict::view::{Dimension, Group, Order};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::ser::{Formatter, Serializer};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use view::{OtherStoreFields, ViewFields};

/// The version of the contract.
pub const SCHEMA: u32 = 1;

/// Writes one document and a line feed.
///
/// # Errors
/// What writing answers.
pub fn print(out: &mut dyn Write, document: &impl Serialize) -> io::Result<()> {
    document.serialize(&mut Serializer::with_formatter(&mut *out, Escaping { escapes: path::is_obeyed }))?;
    out.write_all(b"\n")
}

/// Writes strings with some characters as `\uXXXX`, which means the same to every reader.
struct Escaping {
    escapes: fn(char) -> bool,
}

impl Formatter for Escaping {
    fn write_string_fragment<W: Write + ?Sized>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, character)) =
            rest.char_indices().find(|(_, character)| (self.escapes)(*character))
        {
            out.write_all(&rest.as_bytes()[..at])?;
            // JSON counts in the units of UTF-16.
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            rest = &rest[at + character.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }
}

/// Reads one document.
///
/// # Errors
/// Where it is not JSON, or not such a document.
pub fn parse<T: DeserializeOwned>(document: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(document)
}

/// A path, lossily.
pub fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The bytes of a path that is not UTF-8, in base64.
pub fn bytes(path: &Path) -> Option<String> {
    match path.to_str() {
        Some(_) => None,
        None => Some(base64::engine::general_purpose::STANDARD.encode(path.as_os_str().as_bytes())),
    }
}

/// The path that [`text`] and [`bytes`] give; `None` where the bytes are no base64.
pub fn path(text: &str, bytes: Option<&str>) -> Option<PathBuf> {
    match bytes {
        None => Some(PathBuf::from(text)),
        Some(bytes) => {
            let bytes = base64::engine::general_purpose::STANDARD.decode(bytes).ok()?;
            Some(PathBuf::from(OsString::from_vec(bytes)))
        }
    }
}

/// One line of `verify --json`.
#[derive(Debug, Serialize)]
pub struct FindingLine {
    schema: u32,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    finding: &'static str,
    severity: &'static str,
    detail: String,
    remedy: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<u64>,
    removed: bool,
}

impl From<&Finding> for FindingLine {
    fn from(finding: &Finding) -> FindingLine {
        FindingLine {
            schema: SCHEMA,
            path: text(&finding.path),
            path_bytes: bytes(&finding.path),
            finding: finding.what.name(),
            severity: finding.what.severity().name(),
            detail: finding.what.to_string(),
            remedy: finding.what.remedy(),
            entries: match finding.what {
                What::ManyChanged(entries) | What::NotChecked { entries, .. } => Some(entries),
                _ => None,
            },
            // Nothing but what a fault was found in is ever removed, and Python may have written it again.
            removed: finding.entry.is_some() && finding.path.symlink_metadata().is_err(),
        }
    }
}

/// One line of `doctor --json`.
#[derive(Debug, Serialize)]
pub struct DoctorLine<'a> {
    schema: u32,
    finding: &'static str,
    severity: &'static str,
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    detail: &'a str,
    hint: &'a str,
}

impl<'a> From<&'a doctor::Finding> for DoctorLine<'a> {
    fn from(finding: &'a doctor::Finding) -> DoctorLine<'a> {
        DoctorLine {
            schema: SCHEMA,
            finding: finding.kind.name(),
            severity: finding.severity.name(),
            path: finding.path.as_deref().map(text),
            path_bytes: finding.path.as_deref().and_then(bytes),
            detail: &finding.detail,
            hint: &finding.hint,
        }
    }
}

/// One line of `which --expected --json`: where an interpreter would put an entry, and what is there.
#[derive(Debug, Serialize)]
pub struct ExpectedLine {
    schema: u32,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_bytes: Option<String>,
    tag: String,
    python: Option<String>,
    optimization: &'static str,
    exists: bool,
    status: Option<&'static str>,
    reason: Option<&'static str>,
}

impl ExpectedLine {
    /// The line of the entry at `path` for this source and tag, without optimization; `status` if it is there.
    pub fn new(path: &Path, source: &Path, tag: &str, status: Option<Status>) -> ExpectedLine {
        ExpectedLine {
            schema: SCHEMA,
            path: text(path),
            path_bytes: bytes(path),
            source: text(source),
            source_bytes: bytes(source),
            tag: tag.to_string(),
            python: name::python_of_tag(tag).map(|(major, minor)| format!("{major}.{minor}")),
            optimization: "",
            exists: status.is_some(),
            status: status.map(Status::name),
            reason: status.and_then(Status::reason),
        }
    }
}

/// One line of `interpreters --json`.
#[derive(Debug, Serialize)]
pub struct InterpreterLine {
    schema: u32,
    executable: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    executable_bytes: Option<String>,
    prefix: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix_bytes: Option<String>,
    implementation: &'static str,
    version: String,
    free_threaded: bool,
    tag: Option<String>,
    magic: Option<u16>,
    uses_store: bool,
    found_by: Vec<&'static str>,
}

impl From<&Interpreter> for InterpreterLine {
    fn from(interpreter: &Interpreter) -> InterpreterLine {
        let executable = interpreter.executable.as_deref();
        InterpreterLine {
            schema: SCHEMA,
            executable: executable.map(text),
            executable_bytes: executable.and_then(bytes),
            prefix: text(&interpreter.prefix),
            prefix_bytes: bytes(&interpreter.prefix),
            implementation: interpreter.implementation.name(),
            version: interpreter.version.to_string(),
            free_threaded: interpreter.build == Build::FreeThreaded,
            tag: interpreter.tag.clone(),
            magic: interpreter.magic.map(Magic::number),
            uses_store: interpreter.store_use == StoreUse::Uses,
            found_by: interpreter.found_by.iter().map(|by| by.name()).collect(),
        }
    }
}

#[derive(Debug, Default, Serialize)]
struct Sum {
    files: u64,
    bytes: u64,
    disk: u64,
}

impl From<Tally> for Sum {
    fn from(tally: Tally) -> Sum {
        Sum { files: tally.files, bytes: tally.bytes, disk: tally.disk }
    }
}

#[derive(Debug, Serialize)]
struct Total {
    files: u64,
    directories: u64,
    bytes: u64,
    disk: u64,
}

#[derive(Debug, Serialize)]
struct OwnerHead {
    kind: &'static str,
    root: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    root_bytes: Option<String>,
    gone: bool,
}

impl From<&Owner> for OwnerHead {
    fn from(owner: &Owner) -> OwnerHead {
        OwnerHead {
            kind: owner.kind.name(),
            root: text(&owner.root),
            root_bytes: bytes(&owner.root),
            gone: owner.life == Life::Gone,
        }
    }
}

fn statuses(tallies: [Tally; status::NAMES.len()]) -> impl Iterator<Item = (&'static str, Sum)> {
    status::NAMES.into_iter().zip(tallies.map(Sum::from))
}

/// `du --json`.
#[derive(Debug, Serialize)]
pub struct UsageDocument {
    schema: u32,
    store: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    store_bytes: Option<String>,
    total: Total,
    reclaimable: Sum,
    statuses: BTreeMap<&'static str, Sum>,
    owners: Vec<OwnerUsage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    view: Option<ViewFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    other_stores: Option<Vec<OtherStoreFields>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shared: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct OwnerUsage {
    #[serde(flatten)]
    owner: OwnerHead,
    #[serde(flatten)]
    sum: Sum,
    reclaimable: Sum,
    statuses: BTreeMap<&'static str, Sum>,
    tags: Vec<String>,
    last_used: Option<String>,
}

impl UsageDocument {
    /// The document for a store at `store`.
    pub fn new(store: &Path, usage: &Usage) -> UsageDocument {
        let owners = usage.owners.iter().map(|row| OwnerUsage {
            owner: (&row.owner).into(),
            sum: row.tally.into(),
            reclaimable: row.reclaimable.into(),
            statuses: statuses(row.statuses).filter(|(_, sum)| sum.files > 0).collect(),
            tags: row.tags.iter().cloned().collect(),
            last_used: row.last_used.map(date::rfc3339),
        });
        UsageDocument {
            schema: SCHEMA,
            store: text(store),
            store_bytes: bytes(store),
            total: Total {
                files: usage.total.files,
                directories: usage.directories.files,
                bytes: usage.total.bytes,
                disk: usage.disk(),
            },
            reclaimable: usage.reclaimable.into(),
            statuses: statuses(usage.statuses).collect(),
            owners: owners.collect(),
            view: None,
            other_stores: None,
            shared: None,
        }
    }

    /// Adds why the directory counts as shared with other programs.
    pub fn add_sharing(&mut self, sharing: Sharing) {
        self.shared = Some(sharing.name());
    }

    /// Adds the other stores of this machine.
    pub fn add_other_stores(&mut self, stores: &[OtherStore]) {
        self.other_stores = Some(stores.iter().map(OtherStoreFields::from).collect());
    }

    /// Adds a view that was asked for.
    pub fn add_view(&mut self, dimensions: &[Dimension], order: Order, groups: &[Group]) {
        self.view = Some(ViewFields::new(dimensions, order, groups));
    }
}

/// What the page of `report` has within it: `du --json`, when and by what it was made, and what it could not read.
#[derive(Debug, Serialize)]
pub struct ReportDocument {
    #[serde(flatten)]
    usage: UsageDocument,
    generated: String,
    program: &'static str,
    troubles: Vec<String>,
}

impl ReportDocument {
    /// The document for a store at `store` as it is now.
    pub fn new(store: &Path, usage: &Usage, now: Moment) -> ReportDocument {
        ReportDocument {
            usage: UsageDocument::new(store, usage),
            generated: date::rfc3339(now),
            program: concat!("pycstore ", env!("CARGO_PKG_VERSION")),
            troubles: usage.troubles.iter().map(ToString::to_string).collect(),
        }
    }
}

/// A document that can stand in a `<script>` of HTML: nothing in it ends the script or reorders a line.
///
/// # Errors
/// Where a document cannot be JSON; ours can.
pub fn embedded(document: &impl Serialize) -> io::Result<String> {
    let mut json = Vec::new();
    let escapes = |character| matches!(character, '<' | '>' | '&') || path::is_obeyed(character);
    document.serialize(&mut Serializer::with_formatter(&mut json, Escaping { escapes }))?;
    String::from_utf8(json).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Any text is read back as it was, in a line of its own that a terminal shows and does not obey.
        #[test]
        fn any_text_is_read_back(text in any::<String>(), bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let hostile = "\0\u{1b}[2J\u{7f}\u{9b}\u{202e}\u{e0041}</script>\u{2028}\"\\";
            for text in [text, String::from_utf8_lossy(&bytes).into_owned(), hostile.to_string()] {
                let document = vec![text.clone()];
                let mut printed = Vec::new();
                print(&mut printed, &document).unwrap();
                let printed = String::from_utf8(printed).unwrap();
                let line = printed.strip_suffix('\n').unwrap();
                prop_assert!(!line.chars().any(path::is_obeyed), "{line:?}");
                prop_assert_eq!(serde_json::from_str::<Vec<String>>(line).unwrap(), document.clone());
                let embedded = embedded(&document).unwrap();
                prop_assert!(!embedded.contains(['<', '>', '&']) && !embedded.chars().any(path::is_obeyed));
                prop_assert_eq!(serde_json::from_str::<Vec<String>>(&embedded).unwrap(), document);
            }
        }
    }
}
