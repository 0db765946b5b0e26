//! `du --json`: the usage of the store, and optional fields: `view` with the rows of a view other than the default,
//! `other_stores`, and why the directory counts as shared.

use pycstore::json::{OwnerHead, PathField, Sum};
use pycstore::pyc::tags;
use pycstore::report::UsageDocument;
use pycstore::store::others::OtherStore;
use pycstore::units::date;
use pycstore::verdict::view::{self, Dimension, Group, Key, Order};
use serde::Serialize;

/// `du --json`.
#[derive(Debug, Serialize)]
pub(super) struct DuDocument<'a> {
    #[serde(flatten)]
    pub usage: UsageDocument<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view: Option<ViewFields<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_stores: Option<Vec<OtherStoreFields<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared: Option<&'static str>,
}

/// A view.
#[derive(Debug, Serialize)]
pub(super) struct ViewFields<'a> {
    by: Vec<&'static str>,
    sort: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    shared_by_rows: Option<Sum>,
    rows: Vec<ViewRow<'a>>,
}

/// One row: an object with a field for each dimension. The row of the rest has no such fields, and `groups` is the
/// number of its groups.
#[derive(Debug, Default, Serialize)]
struct ViewRow<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<OwnerHead<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    package: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(flatten)]
    directory: Option<PathField<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    depth: Option<usize>,
    #[serde(flatten)]
    source: Option<PathField<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rest: Option<usize>,
    #[serde(flatten)]
    sum: Sum,
    #[serde(skip_serializing_if = "Option::is_none")]
    shared: Option<Sum>,
    reclaimable: Sum,
    tags: Vec<&'a str>,
    last_used: Option<String>,
}

impl<'a> ViewFields<'a> {
    pub(super) fn new(dimensions: &[Dimension], order: Order, groups: &'a [Group]) -> ViewFields<'a> {
        ViewFields {
            by: dimensions.iter().map(|dimension| dimension.name()).collect(),
            sort: order.name(),
            shared_by_rows: Sum::if_any(view::shared(groups).tally()),
            rows: groups.iter().map(ViewRow::new).collect(),
        }
    }
}

impl<'a> ViewRow<'a> {
    fn new(group: &'a Group) -> ViewRow<'a> {
        let share = &group.share;
        let mut row = ViewRow {
            rest: group.is_rest,
            sum: share.tally.into(),
            shared: Sum::if_any(share.shared()),
            reclaimable: share.reclaimable.into(),
            tags: tags::ordered(&share.tags),
            last_used: share.last_used.map(date::rfc3339),
            ..ViewRow::default()
        };
        // The rest of a tree is at its place in it.
        row.depth = (group.depth > 0).then_some(group.depth);
        for key in &group.keys {
            row.set(key, group.depth);
        }
        row
    }

    fn set(&mut self, key: &'a Key, depth: usize) {
        match key {
            Key::Owner(owner) => self.owner = Some((&**owner).into()),
            Key::Package(name) => self.package = Some(name.as_deref()),
            Key::Tag(name) => self.tag = Some(name.as_deref()),
            Key::Status(name) => self.status = Some(name),
            Key::Kind(kind) => self.kind = Some(kind.name()),
            Key::Directory(path) => {
                self.directory = Some(PathField::new("directory", path));
                self.depth = Some(depth);
            }
            Key::Source(path) | Key::Unpackaged(path) => self.source = Some(PathField::new("source", path)),
        }
    }
}

/// Another store on this machine.
#[derive(Debug, Serialize)]
pub(super) struct OtherStoreFields<'a> {
    #[serde(flatten)]
    path: PathField<'a>,
    kind: &'static str,
    #[serde(flatten)]
    sum: Sum,
}

impl<'a> From<&'a OtherStore> for OtherStoreFields<'a> {
    fn from(store: &'a OtherStore) -> OtherStoreFields<'a> {
        OtherStoreFields {
            path: PathField::new("path", &store.path),
            kind: store.origin.name(),
            sum: store.tally.into(),
        }
    }
}
