//! What `inspect --json` says beyond an entry's line: its header, what its source has now, and its body.

use super::EntryLine;
use crate::cli::output::date;
use pycstore::body::Body;
use pycstore::entry::{Content, Entry};
use pycstore::pyc::InvalidationMode;
use pycstore::scan::Visit;
use pycstore::source::Source;
use pycstore::status::Status;
use serde::Serialize;
use std::path::Path;

/// One line of `inspect --json`: an entry's line, its header and what its source has now.
#[derive(Debug, Serialize)]
pub struct Inspection {
    #[serde(flatten)]
    entry: EntryLine,
    header: Option<HeaderFields>,
    source_now: Option<SourceFields>,
    body: Option<BodyFields>,
}

/// What the code object says of itself, or why it is none.
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
    fn of(body: &Body<'_>, last_line: Option<i32>) -> Option<BodyFields> {
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

#[derive(Debug, Serialize)]
struct SourceFields {
    mtime: i64,
    modified: String,
    bytes: u64,
    hash: Option<String>,
}

impl Inspection {
    /// The line of an entry at `path` in the directory `visit`.
    pub fn new(
        path: &Path,
        entry: &Entry<'_>,
        status: Status,
        source: Option<&Path>,
        visit: &Visit<'_>,
        body: Option<&(Body<'_>, Option<i32>)>,
    ) -> Inspection {
        let hexadecimal = |bytes: [u8; 8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let header = match entry.content {
            Content::Read(Ok(header), _) => {
                let is_timestamp = header.invalidation_mode() == InvalidationMode::Timestamp;
                Some(HeaderFields {
                    magic: header.magic.number(),
                    flags: header.flags,
                    source_mtime: is_timestamp.then(|| header.source_mtime()),
                    source_size: is_timestamp.then(|| header.source_size()),
                    source_hash: (!is_timestamp).then(|| hexadecimal(header.pin)),
                })
            }
            _ => None,
        };
        let source_now = match &entry.source {
            Source::Present(file) => Some(SourceFields {
                mtime: file.python_mtime,
                modified: date::rfc3339(file.modified),
                bytes: file.bytes,
                hash: file.hash.and_then(Result::ok).map(hexadecimal),
            }),
            _ => None,
        };
        let entry = EntryLine::new(path, entry, status, source, &visit.owner());
        Inspection {
            entry,
            header,
            source_now,
            body: body.and_then(|(body, last_line)| BodyFields::of(body, *last_line)),
        }
    }
}
