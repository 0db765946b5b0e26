//! Comma-separated values (RFC 4180), one table with headings. Home of csv, beside `package.rs`.
//!
//! In a view, the first field is the kind of the line: `group`, `rest`, `shared` (what several groups have), `directories` or
//! `total`. All but the total sum to it, except
//! in a tree of directories, where each includes those below it.
//!
//! Paths are byte for byte in a pipe. They begin with `/`, so no spreadsheet reads one as a formula. A name that it would read
//! as one gets an apostrophe before it (the advice of OWASP on CSV injection); valid names of packages and tags never do. On a
//! terminal every field is escaped.

use super::path;
use super::terminal::Terminal;
use pycstore::pyc::tags::{self, TagNames};
use pycstore::source::owner::{Life, Owner};
use pycstore::units::Tally;
use pycstore::units::date;
use pycstore::verdict::share::Share;
use pycstore::verdict::usage::Usage;
use pycstore::verdict::view::{self, Dimension, Group, Key};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;

/// Prints the groups, the directories' own room and the total.
pub fn print(
    out: &mut dyn Write,
    dimensions: &[Dimension],
    groups: &[Group],
    usage: &Usage,
    terminal: &Terminal,
) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    let keys: Vec<&&str> = dimensions.iter().flat_map(|dimension| headings(*dimension)).collect();
    let blank = vec![Vec::new(); keys.len()];
    let headings = std::iter::once(&"row").chain(keys).chain(&[
        "files",
        "bytes",
        "disk",
        "reclaimable_files",
        "reclaimable_bytes",
        "reclaimable_disk",
        "tags",
        "last_used",
        "shared_files",
        "shared_bytes",
        "shared_disk",
    ]);
    writer.write_record(headings)?;
    for group in groups {
        let (row, keys) = match group.is_rest {
            Some(_) => ("rest", blank.clone()),
            None => ("group", group.keys.iter().flat_map(|key| fields(key, group.depth)).collect()),
        };
        writer.write_record(line(row, keys, &group.share, terminal))?;
    }
    let shared = view::shared(groups);
    if !shared.tally().is_empty() {
        // The groups already count the links.
        let [tally, reclaimable] =
            [shared.tally(), shared.reclaimable()].map(|tally| Tally { files: 0, ..tally });
        let share = Share { tally, reclaimable, ..Share::default() };
        writer.write_record(line("shared", blank.clone(), &share, terminal))?;
    }
    let directories = Share { tally: usage.directories, ..Share::default() };
    writer.write_record(line("directories", blank.clone(), &directories, terminal))?;
    let tally = Tally { disk: usage.disk(), ..usage.total };
    let total = Share { tally, reclaimable: usage.reclaimable, ..Share::default() };
    writer.write_record(line("total", blank, &total, terminal))?;
    writer.flush()
}

/// Prints headings and rows.
pub fn print_rows(
    out: &mut dyn Write,
    headings: &[&str],
    rows: impl Iterator<Item = Vec<Vec<u8>>>,
    terminal: &Terminal,
) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(headings)?;
    for row in rows {
        writer.write_record(shown(row.into_iter(), terminal))?;
    }
    writer.flush()
}

/// The fields of an owner: its kind, its path, and whether it was deleted.
pub fn owner(owner: &Owner) -> [Vec<u8>; 3] {
    let gone = if owner.life == Life::Gone { "true" } else { "false" };
    [owner.kind.name().into(), owner.root.as_os_str().as_bytes().to_vec(), gone.into()]
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

fn fields(key: &Key, depth: usize) -> Vec<Vec<u8>> {
    let text = |text: &str| text.as_bytes().to_vec();
    match key {
        Key::Owner(it) => owner(it).into(),
        Key::Package(name) => vec![text(name.as_deref().unwrap_or_default())],
        Key::Tag(tag) => vec![text(tag.as_deref().unwrap_or_default())],
        Key::Status(name) => vec![text(name)],
        Key::Kind(kind) => vec![text(kind.name())],
        Key::Directory(path) => vec![text(&depth.to_string()), path.as_os_str().as_bytes().to_vec()],
        Key::Source(path) | Key::Unpackaged(path) => vec![path.as_os_str().as_bytes().to_vec()],
    }
}

fn line(row: &str, keys: Vec<Vec<u8>>, share: &Share, terminal: &Terminal) -> Vec<Vec<u8>> {
    let sums = |tally: Tally| [tally.files, tally.bytes, tally.disk].map(|number| number.to_string());
    let rest = sums(share.tally).into_iter().chain(sums(share.reclaimable));
    let rest = rest.chain([
        tags::shown(&share.tags, TagNames::Each),
        share.last_used.map(date::rfc3339).unwrap_or_default(),
    ]);
    let rest = rest.chain(sums(share.shared()));
    let fields = std::iter::once(row.as_bytes().to_vec()).chain(keys).chain(rest.map(String::into_bytes));
    shown(fields, terminal)
}

/// The fields as they are written.
fn shown(fields: impl Iterator<Item = Vec<u8>>, terminal: &Terminal) -> Vec<Vec<u8>> {
    fields.map(|field| path::bytes_shown(&no_formula(field), terminal)).collect()
}

/// The field, with an apostrophe before it if a spreadsheet would read it as a formula.
fn no_formula(mut field: Vec<u8>) -> Vec<u8> {
    if let Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r' | b'\n') = field.first() {
        field.insert(0, b'\'');
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spreadsheet_computes_nothing() {
        for field in ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1"] {
            assert_eq!(no_formula(field.into()), format!("'{field}").into_bytes());
        }
        for field in ["", "/=1", "PyYAML", "'x", "17"] {
            assert_eq!(no_formula(field.into()), field.as_bytes());
        }
        let shown = |terminal| line("group", vec![b"/a\x1b[2J\n".to_vec()], &Share::default(), &terminal);
        assert_eq!(shown(Terminal::of_test(None, "/home/me"))[1], b"/a\x1b[2J\n");
        assert_eq!(shown(Terminal::of_test(Some(80), "/home/me"))[1], br"/a\x1b[2J\n");
    }
}
