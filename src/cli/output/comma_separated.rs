//! Comma-separated values (RFC 4180), one table with headings. Home of csv, beside `package.rs`.
//!
//! The first field says what a line is: `group`, `rest`, `directories` or `total`. All but the total sum to it, except
//! in a tree of directories, where each has what is below it. Paths are byte for byte.

use super::date;
use pycstore::owner::Life;
use pycstore::tally::Tally;
use pycstore::usage::{Dimension, Group, Key, Share, Usage};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;

/// Prints the groups, the directories' own room and the total.
///
/// # Errors
/// What writing answers.
pub fn print(
    out: &mut dyn Write,
    dimensions: &[Dimension],
    groups: &[Group],
    usage: &Usage,
) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    let keys = dimensions.iter().flat_map(|dimension| headings(*dimension));
    let headings = std::iter::once(&"row").chain(keys).chain(&[
        "files",
        "bytes",
        "disk",
        "reclaimable_files",
        "reclaimable_bytes",
        "reclaimable_disk",
        "tags",
        "last_used",
    ]);
    writer.write_record(headings)?;
    let blank: Vec<Vec<u8>> = dimensions.iter().flat_map(|it| headings_blank(*it)).collect();
    for group in groups {
        let (row, keys) = match group.is_rest {
            Some(_) => ("rest", blank.clone()),
            None => ("group", group.keys.iter().flat_map(|key| fields(key, group.depth)).collect()),
        };
        writer.write_record(line(row, keys, &group.share))?;
    }
    let directories = Share { tally: usage.directories, ..Share::default() };
    writer.write_record(line("directories", blank.clone(), &directories))?;
    let tally = Tally { disk: usage.disk(), ..usage.total };
    let total = Share { tally, reclaimable: usage.reclaimable, ..Share::default() };
    writer.write_record(line("total", blank, &total))?;
    writer.flush()
}

fn headings(dimension: Dimension) -> &'static [&'static str] {
    match dimension {
        Dimension::Owner => &["owner_kind", "owner", "owner_gone"],
        Dimension::Package => &["package"],
        Dimension::Tag => &["tag"],
        Dimension::Status => &["status"],
        Dimension::Kind => &["kind"],
        Dimension::Directory => &["depth", "directory"],
        Dimension::Source => &["source"],
    }
}

fn headings_blank(dimension: Dimension) -> Vec<Vec<u8>> {
    vec![Vec::new(); headings(dimension).len()]
}

fn fields(key: &Key, depth: usize) -> Vec<Vec<u8>> {
    let text = |text: &str| text.as_bytes().to_vec();
    match key {
        Key::Owner(owner) => vec![
            text(owner.kind.name()),
            owner.root.as_os_str().as_bytes().to_vec(),
            text(if owner.life == Life::Gone { "true" } else { "false" }),
        ],
        Key::Package(name) | Key::Tag(name) => vec![text(name.as_deref().unwrap_or_default())],
        Key::Status(name) => vec![text(name)],
        Key::Kind(kind) => vec![text(kind.name())],
        Key::Directory(path) => vec![text(&depth.to_string()), path.as_os_str().as_bytes().to_vec()],
        Key::Source(path) | Key::Unpackaged(path) => vec![path.as_os_str().as_bytes().to_vec()],
    }
}

fn line(row: &str, keys: Vec<Vec<u8>>, share: &Share) -> Vec<Vec<u8>> {
    let sums = |tally: Tally| [tally.files, tally.bytes, tally.disk].map(|number| number.to_string());
    let tags: Vec<&str> = share.tags.iter().map(String::as_str).collect();
    let rest = sums(share.tally).into_iter().chain(sums(share.reclaimable));
    let rest = rest.chain([tags.join(" "), share.last_used.map(date::rfc3339).unwrap_or_default()]);
    std::iter::once(row.as_bytes().to_vec()).chain(keys).chain(rest.map(String::into_bytes)).collect()
}
