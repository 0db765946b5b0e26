//! The line of one file of the store: what `ls --json` prints, and what `which --json` and `inspect --json` begin with.

use super::{SCHEMA, bytes, text};
use pycstore::host::directory::Metadata;
use pycstore::pyc::name::Name;
use pycstore::source::owner::{Life, Owner};
use pycstore::store::entry::{Content, Entry};
use pycstore::units::date;
use pycstore::verdict::status::Status;
use serde::Serialize;
use std::path::Path;

/// One line of `ls --json`, `which --json` and `inspect --json`.
#[derive(Debug, Serialize)]
pub struct EntryLine {
    schema: u32,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_bytes: Option<String>,
    kind: &'static str,
    tag: Option<String>,
    python: Option<String>,
    optimization: Option<String>,
    pytest: Option<String>,
    invalidation: Option<&'static str>,
    status: &'static str,
    reason: Option<&'static str>,
    bytes: Option<u64>,
    disk: Option<u64>,
    modified: Option<String>,
    pub(super) accessed: Option<String>,
    owner: Option<EntryOwner>,
}

#[derive(Debug, Serialize)]
struct EntryOwner {
    kind: &'static str,
    root: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    root_bytes: Option<String>,
    environment: Option<String>,
    gone: bool,
}

impl EntryLine {
    /// The line of an entry at `path`, with the path of its usual source and its owner.
    pub fn new(
        path: &Path,
        entry: &Entry<'_>,
        status: Status,
        source: Option<&Path>,
        owner: &Owner,
    ) -> EntryLine {
        let slot = entry.parsed.slot();
        let metadata: Option<&Metadata> = entry.metadata.as_ref();
        let invalidation = match entry.content {
            Content::Read(Ok(header), _) if slot.is_some() => Some(header.invalidation_mode().name()),
            _ => None,
        };
        EntryLine {
            schema: SCHEMA,
            path: text(path),
            path_bytes: bytes(path),
            source: source.map(text),
            source_bytes: source.and_then(bytes),
            kind: match entry.parsed {
                Name::Bytecode(_) => "bytecode",
                Name::Temporary(_) => "temporary",
                Name::Foreign => "foreign",
            },
            tag: slot.map(|slot| slot.tag.to_string()),
            python: slot.and_then(|slot| slot.python()).map(|(major, minor)| format!("{major}.{minor}")),
            optimization: slot.map(|slot| slot.optimization.to_string()),
            pytest: slot.and_then(|slot| slot.pytest).map(str::to_string),
            invalidation,
            status: status.name(),
            reason: status.reason(),
            bytes: metadata.map(|metadata| metadata.bytes),
            disk: metadata.map(|metadata| metadata.disk),
            modified: metadata.map(|metadata| date::rfc3339(metadata.modified)),
            accessed: metadata.map(|metadata| date::rfc3339(metadata.accessed)),
            owner: slot.map(|_| EntryOwner {
                kind: owner.kind.name(),
                root: text(&owner.root),
                root_bytes: bytes(&owner.root),
                environment: owner.environment.as_deref().map(text),
                gone: owner.life == Life::Gone,
            }),
        }
    }
}
