//! What `du --json` has only when asked: the field `view` with the rows of another view than the default one, and
//! `other_stores`.

use super::{OwnerHead, Sum, bytes, text};
use pycstore::store::others::OtherStore;
use pycstore::units::date;
use pycstore::verdict::view::{Dimension, Group, Key, Order};
use serde::Serialize;
use std::path::Path;

/// A view.
#[derive(Debug, Serialize)]
pub(super) struct ViewFields {
    by: Vec<&'static str>,
    sort: &'static str,
    rows: Vec<Row>,
}

/// One row: an object with a field for each dimension. Of the rest they are missing, and `groups` says how many it is.
#[derive(Debug, Default, Serialize)]
struct Row {
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<OwnerHead>,
    #[serde(skip_serializing_if = "Option::is_none")]
    package: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    directory: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    directory_bytes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    depth: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_bytes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rest: Option<usize>,
    #[serde(flatten)]
    sum: Sum,
    reclaimable: Sum,
    tags: Vec<String>,
    last_used: Option<String>,
}

impl ViewFields {
    pub(super) fn new(dimensions: &[Dimension], order: Order, groups: &[Group]) -> ViewFields {
        ViewFields {
            by: dimensions.iter().map(|dimension| dimension.name()).collect(),
            sort: order.name(),
            rows: groups.iter().map(Row::new).collect(),
        }
    }
}

impl Row {
    fn new(group: &Group) -> Row {
        let share = &group.share;
        let mut row = Row {
            rest: group.is_rest,
            sum: share.tally.into(),
            reclaimable: share.reclaimable.into(),
            tags: share.tags.iter().cloned().collect(),
            last_used: share.last_used.map(date::rfc3339),
            ..Row::default()
        };
        // The rest of a tree is at its place in it.
        row.depth = (group.depth > 0).then_some(group.depth);
        for key in &group.keys {
            row.set(key, group.depth);
        }
        row
    }

    fn set(&mut self, key: &Key, depth: usize) {
        let both = |path: &Path| (Some(text(path)), bytes(path));
        match key {
            Key::Owner(owner) => self.owner = Some((&**owner).into()),
            Key::Package(name) => self.package = Some(name.as_deref().map(str::to_string)),
            Key::Tag(name) => self.tag = Some(name.as_deref().map(str::to_string)),
            Key::Status(name) => self.status = Some(name),
            Key::Kind(kind) => self.kind = Some(kind.name()),
            Key::Directory(path) => {
                (self.directory, self.directory_bytes) = both(path);
                self.depth = Some(depth);
            }
            Key::Source(path) | Key::Unpackaged(path) => (self.source, self.source_bytes) = both(path),
        }
    }
}

/// Another store on this machine.
#[derive(Debug, Serialize)]
pub(super) struct OtherStoreFields {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    kind: &'static str,
    #[serde(flatten)]
    sum: Sum,
}

impl From<&OtherStore> for OtherStoreFields {
    fn from(store: &OtherStore) -> OtherStoreFields {
        OtherStoreFields {
            path: text(&store.path),
            path_bytes: bytes(&store.path),
            kind: store.origin.name(),
            sum: store.tally.into(),
        }
    }
}
