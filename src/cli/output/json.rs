//! The JSON contract: append-only, `schema` is 1.

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

use crate::cli::doctor;
pub use pycstore::json::{SCHEMA, bytes, embedded, print, text};
use pycstore::pyc::Magic;
use pycstore::pyc::name;
use pycstore::source::interpreter::{Build, Interpreter, StoreUse};
use pycstore::source::owner::{Life, Owner};
use pycstore::store::others::OtherStore;
use pycstore::store::sharing::Sharing;
use pycstore::units::Moment;
use pycstore::units::Tally;
use pycstore::units::date;
use pycstore::verdict::finding::{Finding, What};
use pycstore::verdict::status::{self, Status};
use pycstore::verdict::usage::Usage;
use pycstore::verdict::view::{Dimension, Group, Order};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use view::{OtherStoreFields, ViewFields};

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
