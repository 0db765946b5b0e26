//! The fields that `inspect --json` adds to an entry's line: its header, the present values of its source, and its body.

use super::links::OtherLinks;
use super::{hexadecimal, witness_of};
use crate::cli::output::entry::EntryLine;
use pycstore::host::volumes::AccessTimes;
use pycstore::json::text;
use pycstore::pyc::InvalidationMode;
use pycstore::source::Source;
use pycstore::source::owner::Owner;
use pycstore::source::witness::Witness;
use pycstore::store::body::Body;
use pycstore::store::entry::{Content, Entry};
use pycstore::units::date;
use pycstore::verdict::status::Status;
use serde::Serialize;
use std::path::Path;

/// One line of `inspect --json`: an entry's line, its header and the present values of its source.
#[derive(Debug, Serialize)]
pub(super) struct InspectionLine<'a> {
    #[serde(flatten)]
    entry: EntryLine<'a>,
    header: Option<HeaderFields>,
    source_now: Option<SourceFields>,
    witness: Option<WitnessFields>,
    body: Option<BodyFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    other_links: Option<OtherLinksFields>,
}

/// The other links of the file in the store.
#[derive(Debug, Serialize)]
struct OtherLinksFields {
    count: u64,
    paths: Vec<String>,
}

/// The metadata of the code object, or why the body is not one.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum BodyFields {
    Loadable {
        filename: String,
        name: String,
        first_line: i32,
        last_line: Option<i32>,
        code_objects: u32,
        bytes: usize,
    },
    Faulty {
        fault: String,
        at: u64,
    },
}

impl BodyFields {
    fn of(body: &Body, last_line: Option<i32>) -> Option<BodyFields> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some(match body {
            Body::Loadable(walked) => BodyFields::Loadable {
                filename: text(&walked.filename),
                name: text(&walked.name),
                first_line: walked.first_line,
                last_line,
                code_objects: walked.codes,
                bytes: walked.length,
            },
            Body::Faulty(fault) => BodyFields::Faulty { fault: fault.wrong.to_string(), at: fault.at },
            Body::NotChecked => return None,
        })
    }
}

#[derive(Debug, Serialize)]
struct HeaderFields {
    magic: u16,
    flags: u32,
    source_mtime: Option<u32>,
    source_size: Option<u32>,
    source_hash: Option<String>,
}

/// The evidence that a missing source was deleted or not.
#[derive(Debug, Serialize)]
struct WitnessFields {
    directory: String,
    missing: String,
    last_change: String,
    changed: String,
    change: &'static str,
}

impl From<&Witness> for WitnessFields {
    fn from(witness: &Witness) -> WitnessFields {
        let last = &witness.last_change;
        WitnessFields {
            directory: text(&witness.directory),
            missing: text(Path::new(witness.missing.as_deref().unwrap_or_default())),
            last_change: date::rfc3339(last.moment),
            changed: text(&last.path),
            change: last.kind.name(),
        }
    }
}

#[derive(Debug, Serialize)]
struct SourceFields {
    mtime: i64,
    modified: String,
    bytes: u64,
    hash: Option<String>,
}

impl<'a> InspectionLine<'a> {
    /// Removes the access time if the mount keeps none.
    pub(super) fn with_access_times(mut self, access_times: AccessTimes) -> InspectionLine<'a> {
        self.entry.accessed = self.entry.accessed.filter(|_| access_times != AccessTimes::Lost);
        self
    }

    /// Adds the other links of the file.
    pub(super) fn with_links(mut self, others: Option<&OtherLinks<'_>>) -> InspectionLine<'a> {
        self.other_links = others.map(|others| OtherLinksFields {
            count: others.count,
            paths: others.first.iter().map(|path| text(path)).collect(),
        });
        self
    }

    /// The line of an entry at `path` of `owner`.
    pub(super) fn new(
        path: &'a Path,
        entry: &Entry<'a>,
        status: Status,
        source: Option<&'a Path>,
        owner: &'a Owner,
        body: Option<&(Body, Option<i32>)>,
    ) -> InspectionLine<'a> {
        let header = match entry.content {
            Content::Read(Ok(header), _) => {
                let is_timestamp = header.invalidation_mode() == InvalidationMode::Timestamp;
                Some(HeaderFields {
                    magic: header.magic.number(),
                    flags: header.flags,
                    source_mtime: is_timestamp.then(|| header.source_mtime()),
                    source_size: is_timestamp.then(|| header.source_size()),
                    source_hash: (!is_timestamp).then(|| hexadecimal(&header.pin)),
                })
            }
            _ => None,
        };
        let source_now = match &entry.source {
            Source::Present(file) => Some(SourceFields {
                mtime: file.python_mtime,
                modified: date::rfc3339(file.modified),
                bytes: file.bytes,
                hash: file.hash.and_then(Result::ok).map(|hash| hexadecimal(&hash)),
            }),
            _ => None,
        };
        let witness = source.and_then(|source| witness_of(entry, source));
        let entry = EntryLine::new(path, entry, status, source, owner);
        InspectionLine {
            entry,
            header,
            source_now,
            witness: witness.as_ref().map(WitnessFields::from),
            other_links: None,
            body: body.and_then(|(body, last_line)| BodyFields::of(body, *last_line)),
        }
    }
}
