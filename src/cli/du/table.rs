//! The table of `pycstore du`: a row for each group, the rest, the directories' own disk usage, the total, and a
//! sentence about what is reclaimable.

use super::Shown;
use crate::cli::output::bar::{bar, percentage};
use crate::cli::output::owner;
use crate::cli::output::path::{self, Characters};
use crate::cli::output::style::Tone;
use crate::cli::output::table::{Column, Table};
use crate::cli::selection::prune_command;
use crate::cli::session::Session;
use pycstore::paragraph;
use pycstore::pyc::tags::{self, TagNames};
use pycstore::source::owner::Life;
use pycstore::units::Tally;
use pycstore::units::{date, human};
use pycstore::verdict::share::Share;
use pycstore::verdict::status::{self, Status};
use pycstore::verdict::usage::Usage;
use pycstore::verdict::view::{self, Dimension, Group, Key, Measure};
use std::io::{self, Write};
use std::path::Path;

/// The cells of a bar at full length.
const BAR: usize = 10;

/// Prints the table.
pub(super) fn print(session: &Session, shown: &Shown, usage: &Usage, out: &mut dyn Write) -> io::Result<()> {
    let layout = TableLayout::new(session, shown);
    let all = match shown.measure {
        Measure::Length => usage.total.bytes,
        Measure::Disk => usage.disk(),
    };
    let mut table = Table::new(layout.columns(), heading(shown.dimensions[layout.last]));
    // The directories above the next row, in a tree.
    let mut above: Vec<&Path> = Vec::new();
    for group in &shown.groups {
        above.truncate(group.depth);
        table.row(layout.cells(group, all), layout.path(group, above.last()), tone(group));
        if let Some(Key::Directory(path)) = group.keys.get(layout.last) {
            above.push(path);
        }
    }
    let shared = view::shared(&shown.groups);
    if !shared.tally().is_empty() {
        let name = if shown.dimensions == [Dimension::Owner] { "owners" } else { "rows" };
        let reclaimable = layout.room_or_dash(shared.reclaimable());
        let sums = layout.sums((layout.measured(shared.tally()), all), String::new(), reclaimable);
        table.row(sums, format!("shared by several {name}").into_bytes(), Tone::Quiet);
    }
    if usage.directories.files > 0 && shown.measure == Measure::Disk {
        let name = human::counted(usage.directories.files, "directory").into_bytes();
        let cells = layout.sums((usage.directories.disk, all), String::new(), String::new());
        table.row(cells, name, Tone::Quiet);
    }
    let (files, reclaimable) = (human::count(usage.total.files), layout.room_or_dash(usage.reclaimable));
    table.row(layout.sums((all, all), files, reclaimable), b"total".to_vec(), Tone::Total);
    table.print(out, &session.terminal, session.style())?;
    if session.terminal.is_terminal() && !usage.reclaimable.is_empty() {
        let files = human::counted(usage.reclaimable.files, "file");
        let sum = format!("{} reclaimable ({files}):", layout.room(usage.reclaimable));
        let command = prune_command(session, session.global.store.as_deref(), &shown.focus);
        let command = path::escaped(&command);
        // If they do not fit on one line, the command gets its own, so that it can be copied.
        let fits = session
            .terminal
            .columns()
            .is_none_or(|it| paragraph::width(&sum) + paragraph::width(&command) < it);
        writeln!(out, "\n{sum}{}{command}", if fits { ' ' } else { '\n' })?;
    }
    Ok(())
}

/// The columns and their contents.
struct TableLayout<'a> {
    session: &'a Session,
    shown: &'a Shown,
    /// The dimension in the last column: the one with paths, because only that column may be shortened; else the second
    /// dimension.
    last: usize,
    /// The other dimension, if there are two.
    other: Option<usize>,
    has_tags: bool,
    has_bars: bool,
    has_shared: bool,
}

impl TableLayout<'_> {
    fn new<'a>(session: &'a Session, shown: &'a Shown) -> TableLayout<'a> {
        let dimensions = &shown.dimensions;
        let last = dimensions.iter().position(|dimension| is_path(*dimension));
        let last = last.unwrap_or(dimensions.len() - 1);
        let other = (0..dimensions.len()).find(|&index| index != last);
        let has_tags = !dimensions.contains(&Dimension::Tag);
        let has_shared = shown.groups.iter().any(|group| !group.share.shared().is_empty());
        let has_bars = session.terminal.is_terminal();
        TableLayout { session, shown, last, other, has_tags, has_bars, has_shared }
    }

    fn columns(&self) -> Vec<Column> {
        let mut columns = vec![Column::right("SIZE", 0)];
        if self.has_bars {
            columns.push(Column::left("SHARE", Column::DECORATION));
            columns.push(Column::right("", Column::DECORATION - 1));
        }
        columns.extend(self.has_shared.then(|| Column::right("SHARED", 2)));
        columns.extend([
            Column::right("FILES", 3),
            Column::right("RECLAIMABLE", 1),
            Column::left("LAST USED", 5),
        ]);
        columns.extend(self.has_tags.then(|| Column::left("TAGS", 4)));
        columns.extend(self.other.map(|index| Column::left(heading(self.shown.dimensions[index]), 0)));
        columns
    }

    fn measured(&self, tally: Tally) -> u64 {
        match self.shown.measure {
            Measure::Length => tally.bytes,
            Measure::Disk => tally.disk,
        }
    }

    fn room(&self, tally: Tally) -> String {
        human::size(self.measured(tally))
    }

    fn room_or_dash(&self, tally: Tally) -> String {
        if tally.is_empty() { "-".into() } else { self.room(tally) }
    }

    fn cells(&self, group: &Group, all: u64) -> Vec<String> {
        let share = &group.share;
        let mut cells = vec![self.room(share.tally)];
        if self.has_bars {
            let part = self.measured(share.tally);
            cells.extend([bar(part, all, BAR, Characters::of_process()), percentage(part, all)]);
        }
        cells.extend(self.has_shared.then(|| self.room_or_dash(share.shared())));
        let now = self.session.environment.now;
        cells.extend([
            human::count(share.tally.files),
            self.room_or_dash(share.reclaimable),
            share.last_used.map_or_else(|| "-".into(), |moment| date::ago(moment, now)),
        ]);
        let names = if self.has_bars { TagNames::Once } else { TagNames::Each };
        cells.extend(self.has_tags.then(|| tags::shown(&share.tags, names)));
        let other = self.other.map(|index| self.key(group, index));
        cells.extend(other.map(|name| String::from_utf8_lossy(&name).into_owned()));
        cells
    }

    /// The name of a group in a dimension.
    fn key(&self, group: &Group, index: usize) -> Vec<u8> {
        let says_status = self.shown.dimensions.contains(&Dimension::Status);
        match group.keys.get(index) {
            Some(key) if !says_status && is_foreign(&group.share) => name_of_foreign(self.session, key),
            Some(key) => name(self.session, key),
            None => Vec::new(),
        }
    }

    fn path(&self, group: &Group, above: Option<&&Path>) -> Vec<u8> {
        let mut text = b"  ".repeat(group.depth);
        match (group.is_rest, group.keys.get(self.last)) {
            (Some(count), _) => text.extend(format!("{} more", human::count(count as u64)).into_bytes()),
            // In a tree on a terminal, the rows above show the rest of the path.
            (None, Some(Key::Directory(path))) if group.depth > 0 && self.session.terminal.is_terminal() => {
                let name = above.and_then(|above| path.strip_prefix(above).ok()).unwrap_or(path);
                text.extend(path::escaped(&name.to_string_lossy()).into_bytes());
            }
            (None, _) => text.extend(self.key(group, self.last)),
        }
        text
    }

    /// The cells of a row that is not a group.
    fn sums(&self, (part, all): (u64, u64), files: String, reclaimable: String) -> Vec<String> {
        let share = self.has_bars.then(|| [String::new(), percentage(part, all)]);
        let shared = self.has_shared.then(String::new);
        let after = 1 + usize::from(self.has_tags) + usize::from(self.other.is_some());
        let blank = |count| std::iter::repeat_n(String::new(), count);
        std::iter::once(human::size(part))
            .chain(share.into_iter().flatten())
            .chain(shared)
            .chain([files, reclaimable])
            .chain(blank(after))
            .collect()
    }
}

fn is_path(dimension: Dimension) -> bool {
    matches!(dimension, Dimension::Owner | Dimension::Directory | Dimension::Source)
}

fn heading(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Owner => "OWNER",
        Dimension::Package => "PACKAGE",
        Dimension::Tag => "TAG",
        Dimension::Status => "STATUS",
        Dimension::Kind => "KIND",
        Dimension::Directory => "DIRECTORY",
        Dimension::Source => "SOURCE",
    }
}

fn name(session: &Session, key: &Key) -> Vec<u8> {
    let text = |text: &str| path::text_shown(text, &session.terminal).into_bytes();
    match key {
        Key::Owner(it) => owner::shown(it, &session.terminal),
        Key::Package(None) | Key::Tag(None) => b"-".to_vec(),
        Key::Package(Some(name)) => text(name),
        Key::Tag(Some(tag)) => text(tag),
        Key::Status(name) => text(name),
        Key::Kind(kind) => text(kind.name()),
        Key::Directory(path) | Key::Source(path) | Key::Unpackaged(path) => {
            path::shown(path, &session.terminal)
        }
    }
}

/// Whether Python wrote none of these files.
fn is_foreign(share: &Share) -> bool {
    share.tally.files > 0 && share.statuses[Status::Foreign.index()].files == share.tally.files
}

/// Names a group without files from Python. In the store's root that is usually the `CACHEDIR.TAG` of `setup`, which
/// does not belong to the directory `/`.
fn name_of_foreign(session: &Session, key: &Key) -> Vec<u8> {
    let root = Path::new("/");
    match key {
        Key::Owner(owner) if owner.root == root => b"in the store itself (foreign)".to_vec(),
        Key::Directory(path) if path == root => b"in the store itself (foreign)".to_vec(),
        Key::Owner(_) | Key::Directory(_) => [name(session, key), b" (foreign)".to_vec()].concat(),
        _ => name(session, key),
    }
}

fn tone(group: &Group) -> Tone {
    let is_removable = |key: &Key| match key {
        Key::Owner(owner) => owner.life == Life::Gone,
        // As for owners: entries that a default prune removes.
        Key::Status(name) => {
            status::NAMES.contains(name) && !matches!(*name, "fresh" | "unknown" | "foreign")
        }
        _ => false,
    };
    match group.is_rest {
        Some(_) => Tone::Quiet,
        None if group.keys.iter().any(is_removable) => Tone::Gone,
        None => Tone::Normal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::options::{Color, Global};
    use crate::cli::output::terminal::Terminal;
    use pycstore::environment::Environment;
    use pycstore::source::owner::{Owner, OwnerKind};
    use pycstore::units::Moment;
    use pycstore::verdict::view::Focus;
    use pycstore::verdict::view::{Arrangement, Chains, Order};
    use std::sync::Arc;

    /// A session on a terminal with this number of columns, or in a pipe.
    fn session(columns: Option<usize>, color: Color) -> Session {
        let global =
            Global { store: None, color, quiet: false, threads: None, assume_gone: Vec::new(), config: None };
        let session = Session::new(global, Environment::of_test("/home/me"));
        Session { terminal: Terminal::of_test(columns, "/home/me"), ..session }
    }

    fn owner_key(root: &str, kind: OwnerKind, life: Life) -> Key {
        let root = root.into();
        Key::Owner(Arc::new(Owner { root, kind, life, environment: None, real_root: None }))
    }

    fn package(name: &str) -> Key {
        Key::Package(Some(name.into()))
    }

    /// Shares of which each is a third of the one before.
    fn shown(dimensions: &[Dimension], keys: Vec<Vec<Key>>, top: Option<usize>) -> (Shown, Usage) {
        let mut usage = Usage::default();
        let mut disk = 900 << 20;
        let mut groups = Vec::new();
        for (keys, days) in keys.into_iter().zip([0, 1, 9, 70, 800, 3]) {
            let tally = Tally { files: disk / 20_000, bytes: disk - 999, disk };
            let reclaimable = if days > 8 { tally } else { Tally::default() };
            usage.total += tally;
            usage.reclaimable += reclaimable;
            let last_used = Some(Moment { seconds: 1_700_000_000 - days * 86_400, nanoseconds: 0 });
            let tags = ["cpython-312", "cpython-39"].map(String::from).into();
            groups.push(Group {
                keys,
                share: Share { tally, reclaimable, tags, last_used, ..Share::default() },
                depth: 0,
                is_rest: None,
            });
            disk /= 3;
        }
        usage.directories = Tally { files: 1234, bytes: 0, disk: 1234 * 4096 };
        let measure = Measure::Disk;
        let chains = Chains::Folded;
        let arrangement = Arrangement { order: Order::Size, measure, top, depth: Some(2), chains };
        let groups = arrangement.arrange(groups, None);
        let dimensions = dimensions.to_vec();
        (Shown { dimensions, measure, groups, focus: Focus::default() }, usage)
    }

    fn owners() -> (Shown, Usage) {
        use OwnerKind::*;
        let keys = [
            ("/home/me/project", Project, Life::Alive),
            ("/home/me/プロジェクト/東京", Project, Life::Alive),
            ("/home/me/cafe\u{301}/.venv", Environment, Life::Gone),
            ("/home/me/a/rather/long/path/to/a/project/that/nobody/needs", Project, Life::Alive),
            ("/tmp/pip-build-env-x1y2z3", Build, Life::Gone),
            ("/usr/\u{1b}[31m\u{202e}", Interpreter, Life::Alive),
        ];
        let keys = keys.map(|(root, kind, life)| vec![owner_key(root, kind, life)]);
        shown(&[Dimension::Owner], keys.into(), None)
    }

    fn packages() -> (Shown, Usage) {
        let project = || owner_key("/home/me/project", OwnerKind::Project, Life::Alive);
        let keys = vec![
            vec![package("numpy"), project()],
            vec![package("日本語"), project()],
            vec![package("cafe\u{301}"), project()],
            vec![Key::Package(None), project()],
            vec![package("a-distribution-of-a-long-name"), project()],
        ];
        shown(&[Dimension::Package, Dimension::Owner], keys, Some(4))
    }

    fn tree() -> (Shown, Usage) {
        let paths =
            ["/home/me/p/src", "/home/me/p/src/deep/er", "/home/me/東京/x", "/home/me/東京", "/home/me"];
        shown(&[Dimension::Directory], paths.map(|path| vec![Key::Directory(path.into())]).into(), None)
    }

    fn printed(session: &Session, (shown, usage): &(Shown, Usage)) -> String {
        let mut out = Vec::new();
        print(session, shown, usage, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn stripped(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn tables_fit_every_width() {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("../../../tests/snapshots");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        for (view, name) in [(owners(), "owners"), (packages(), "packages"), (tree(), "tree")] {
            for (columns, width) in [(Some(40), "40"), (Some(80), "80"), (Some(200), "200"), (None, "pipe")] {
                let plain = printed(&session(columns, Color::Never), &view);
                for line in plain.lines().filter(|line| !line.contains("pycstore prune")) {
                    assert!(
                        columns.is_none_or(|columns| paragraph::width(line) <= columns),
                        "{width}: {line:?}"
                    );
                }
                let coloured = printed(&session(columns, Color::Always), &view);
                assert_eq!(stripped(&coloured), stripped(&plain), "colours carry nothing alone");
                settings.bind(|| {
                    insta::assert_snapshot!(format!("du_{name}_{width}"), plain);
                    insta::assert_snapshot!(
                        format!("du_{name}_{width}_coloured"),
                        coloured.replace('\u{1b}', "␛")
                    );
                });
            }
        }
    }
}
