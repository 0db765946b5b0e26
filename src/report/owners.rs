//! The table of owners on the page.

use super::{Report, percentage, share, size, size_or_dash};
use crate::pyc::tags::{self, TagNames};
use crate::quoting::{at_home, escaped};
use crate::source::owner::Life;
use crate::units::{Tally, date, human};
use crate::verdict::status::{self, Status};
use crate::verdict::usage::{Row, Usage};
use maud::{Markup, html};
use std::path::Path;

/// The name of the line for files that several owners share.
pub(super) const SHARED: &str = "shared by several owners";

/// The table with a row for each owner, and what controls it.
pub(super) fn table(report: Report<'_>) -> Markup {
    const COLUMNS: [(&str, &str); 10] = [
        ("owner", "Owner"),
        ("size", "Disk usage"),
        ("share", "Share"),
        ("shared", "Shared"),
        ("files", "Files"),
        ("reclaimable", "Reclaimable"),
        ("status", "Status"),
        ("kind", "Kind"),
        ("tags", "Tags"),
        ("used", "Last used"),
    ];
    let is_number = |key: &str| ["size", "shared", "files", "reclaimable"].contains(&key);
    let largest = report.usage.owners.iter().map(|row| row.share.tally.disk).max().unwrap_or(0);
    let has_shared = has_shared(report.usage);
    let columns = COLUMNS.into_iter().filter(|(key, _)| has_shared || *key != "shared");
    html! {
        section aria-labelledby="owners-heading" {
            h2 id="owners-heading" { "Owners" }
            div.controls id="controls" hidden {
                label for="filter" { "Filter" }
                input id="filter" type="search" autocomplete="off" spellcheck="false"
                    placeholder="path, kind, status or tag" aria-describedby="shown";
                p id="shown" role="status" {}
            }
            div.scroller tabindex="0" role="region" aria-labelledby="owners-heading" {
                table id="owners" {
                    thead {
                        tr {
                            @for (key, heading) in columns {
                                th scope="col" data-key=(key) class=[is_number(key).then_some("number")]
                                    aria-sort=[(key == "size").then_some("descending")] { (heading) }
                            }
                        }
                    }
                    tbody {
                        @for (index, row) in report.usage.owners.iter().enumerate() {
                            (owner(report, index, row, largest))
                        }
                    }
                    tfoot { (foot(report.usage)) }
                }
            }
        }
    }
}

fn owner(report: Report<'_>, index: usize, row: &Row, largest: u64) -> Markup {
    let is_gone = row.owner.life == Life::Gone;
    let has_shared = has_shared(report.usage);
    let tags = tags::shown(&row.share.tags, TagNames::Once);
    html! {
        tr id={ "owner-" (index) } class=[is_gone.then_some("gone")] {
            th scope="row" { bdi { (name(row, report.home)) } }
            td.number { (size(row.share.tally.disk)) }
            td.share { (bar(row, largest)) (percentage(share(row.share.tally.disk, report.usage.disk()))) }
            @if has_shared { td.number { (size_or_dash(row.share.links.tally())) } }
            td.number { (human::count(row.share.tally.files)) }
            td.number { (size_or_dash(row.share.reclaimable)) }
            td.wrapping { (statuses(row)) }
            td { (row.owner.kind.name()) @if is_gone { ", gone" } }
            td.wrapping { (escaped(&tags)) }
            td {
                @if let Some(moment) = row.share.last_used {
                    time datetime=(date::rfc3339(moment)) title=(date::local(moment)) {
                        (date::ago(moment, report.now))
                    }
                } @else {
                    "-"
                }
            }
        }
    }
}

/// A bar as long as the owner is large beside the largest, coloured by status; the columns beside it say the same.
fn bar(row: &Row, largest: u64) -> Markup {
    let whole = share(row.share.tally.disk, largest);
    let mut x = 0.0;
    let parts = present(row).map(|(status, tally)| {
        let (start, width) = (x, whole * share(tally.disk, row.share.tally.disk) / 100.0);
        x += width;
        (status, format!("{start:.2}%"), format!("{width:.2}%"))
    });
    html! {
        svg aria-hidden="true" {
            rect.track width="100%" height="100%" {}
            @for (status, x, width) in parts {
                rect class={ "part " (status) } x=(x) width=(width) height="100%" {}
            }
        }
    }
}

/// `fresh`, or `fresh, orphan 3 MiB`.
fn statuses(row: &Row) -> String {
    let part = |(status, tally): (&str, Tally)| match status {
        "fresh" => "fresh".to_string(),
        status if tally.disk == row.share.tally.disk => status.to_string(),
        status => format!("{status} {}", human::size(tally.disk)),
    };
    present(row).map(part).collect::<Vec<_>>().join(", ")
}

/// Whether owners share files.
fn has_shared(usage: &Usage) -> bool {
    usage.owners.iter().any(|row| !row.share.links.tally().is_empty())
}

fn foot(usage: &Usage) -> Markup {
    let has_shared = has_shared(usage);
    let shared = usage.shared();
    let line = |class: &str, name: &str, disk: u64, files: &str, reclaimable: Markup| {
        html! {
            tr class=(class) {
                th scope="row" { (name) }
                td.number { (size(disk)) }
                td { (percentage(share(disk, usage.disk()))) }
                @if has_shared { td {} }
                td.number { (files) }
                td.number { (reclaimable) }
                td {} td {} td {} td {}
            }
        }
    };
    let directories = human::counted(usage.directories.files, "directory");
    let files = human::count(usage.total.files);
    html! {
        @if has_shared {
            (line("shared", SHARED, shared.tally().disk, "", size_or_dash(shared.reclaimable())))
        }
        (line("directories", &directories, usage.directories.disk, "", html! {}))
        (line("total", "total", usage.disk(), &files, size_or_dash(usage.reclaimable)))
    }
}

/// The name of an owner. Foreign files in the store's root, usually the tag of `setup`, do not belong to the directory
/// `/`.
pub(super) fn name(row: &Row, home: Option<&Path>) -> String {
    let is_foreign = present(row).all(|(status, _)| status == Status::Foreign.name());
    if is_foreign && row.owner.root == Path::new("/") {
        return "in the store itself".into();
    }
    escaped(&at_home(&row.owner.root, home))
}

/// The statuses that an owner has.
pub(super) fn present(row: &Row) -> impl Iterator<Item = (&'static str, Tally)> + use<> {
    of_statuses(row.share.statuses)
}

/// The statuses of which there are files.
pub(super) fn of_statuses(
    statuses: [Tally; status::NAMES.len()],
) -> impl Iterator<Item = (&'static str, Tally)> {
    status::NAMES.into_iter().zip(statuses).filter(|(_, tally)| !tally.is_empty())
}
