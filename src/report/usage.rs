//! The JSON document of a store's disk usage: what `du --json` prints, and what the page of `report` has within it.

use crate::json::{OwnerHead, PathField, SCHEMA, Sum, Total};
use crate::pyc::tags;
use crate::units::{Tally, date};
use crate::verdict::status;
use crate::verdict::usage::Usage;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The disk usage of a store.
#[derive(Debug, Serialize)]
pub struct UsageDocument<'a> {
    schema: u32,
    #[serde(flatten)]
    store: PathField<'a>,
    total: Total,
    reclaimable: Sum,
    statuses: BTreeMap<&'static str, Sum>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shared_by_owners: Option<Sum>,
    owners: Vec<OwnerUsage<'a>>,
}

#[derive(Debug, Serialize)]
struct OwnerUsage<'a> {
    #[serde(flatten)]
    owner: OwnerHead<'a>,
    #[serde(flatten)]
    sum: Sum,
    #[serde(skip_serializing_if = "Option::is_none")]
    shared: Option<Sum>,
    reclaimable: Sum,
    statuses: BTreeMap<&'static str, Sum>,
    tags: Vec<&'a str>,
    last_used: Option<String>,
}

impl<'a> UsageDocument<'a> {
    /// The document for a store at `store`.
    pub fn new(store: &'a Path, usage: &'a Usage) -> UsageDocument<'a> {
        let owners = usage.owners.iter().map(|row| OwnerUsage {
            owner: (&row.owner).into(),
            sum: row.share.tally.into(),
            shared: Sum::if_any(row.share.links.tally()),
            reclaimable: row.share.reclaimable.into(),
            statuses: statuses(row.share.statuses).filter(|(_, tally)| tally.files > 0).map(sum).collect(),
            tags: tags::ordered(&row.share.tags),
            last_used: row.share.last_used.map(date::rfc3339),
        });
        UsageDocument {
            schema: SCHEMA,
            store: PathField::new("store", store),
            total: Total::new(Tally { disk: usage.disk(), ..usage.total }, usage.directories.files),
            reclaimable: usage.reclaimable.into(),
            statuses: statuses(usage.statuses).map(sum).collect(),
            shared_by_owners: Sum::if_any(usage.shared().tally()),
            owners: owners.collect(),
        }
    }
}

fn statuses(tallies: [Tally; status::NAMES.len()]) -> impl Iterator<Item = (&'static str, Tally)> {
    status::NAMES.into_iter().zip(tallies)
}

fn sum((name, tally): (&'static str, Tally)) -> (&'static str, Sum) {
    (name, tally.into())
}
