//! Journeys by keys over small stores in memory, the screens that they lead to, and a real store.

mod figures;
mod journeys;
mod panics;
#[path = "../../../../tests/support/pseudo_terminal.rs"]
mod pseudo_terminal;
mod real;

use crate::cli::browse::canvas::Look;
use crate::cli::browse::catalogue::Catalogue;
use crate::cli::browse::draw::draw;
use crate::cli::browse::file::{Bar, BatchFile, Facet, FileFacts, Mark, ScanBatch};
use crate::cli::browse::interned::Interned;
use crate::cli::browse::keys::{BrowserTask, PressedKey};
use crate::cli::browse::node::ROOT;
use crate::cli::browse::palette::Palette;
use crate::cli::browse::review::{RemovalReport, Removing, Review, ReviewRow};
use crate::cli::browse::rows::{Item, ListRow, OpenPlace, RowList, TreeView, matches};
use crate::cli::browse::state::{Browser, Dialog, PaneWish};
use crate::cli::browse::sums::Sums;
use crate::cli::output::path::Characters;
use crate::cli::output::style::Style;
use proptest::prelude::*;
use pycstore::source::Why;
use pycstore::source::owner::{Life, Owner, OwnerKind};
use pycstore::units::{Moment, Tally};
use pycstore::verdict::status::{Orphan, Stale, Status};
use pycstore::verdict::view::Order;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use std::sync::Arc;

/// The present of all tests: 2023-11-14.
const NOW: i64 = 1_700_000_000;
const DAY: i64 = 86_400;

/// A file of a [`directory`]: name, status, KiB, inode and number of its links.
type File<'a> = (&'a str, Status, u64, (u64, u32));

/// A file that is its own inode.
fn single(name: &str, status: Status, kib: u64) -> File<'_> {
    (name, status, kib, (0, 1))
}

fn owner(root: &str, kind: OwnerKind, life: Life, environment: Option<&str>) -> Arc<Owner> {
    Arc::new(Owner {
        root: root.into(),
        kind,
        life,
        environment: environment.map(Into::into),
        real_root: None,
    })
}

/// A directory of the store as the scan finds it. The inode of a file with one link is the number of the file.
fn directory(sources: &str, owner: &Arc<Owner>, package: Option<&str>, files: &[File<'_>]) -> ScanBatch {
    let mut files = files.to_vec();
    files.sort_by_key(|file| file.0);
    let file = |(name, status, kib, (inode, links)): &File<'_>| {
        let is_reclaimable = !matches!(status, Status::Fresh | Status::Unknown(_) | Status::Foreign);
        let bar = match status {
            Status::Unknown(_) => Some(Bar::Unknown),
            Status::Foreign => Some(Bar::Foreign),
            _ if name.starts_with("kept") => Some(Bar::Kept(0)),
            _ => None,
        };
        let tag = name.split('.').nth(1).filter(|tag| tag.starts_with("cpython-"));
        let own = u64::from_le_bytes(std::array::from_fn(|at| {
            format!("{sources}/{name}").bytes().rev().nth(at).unwrap_or(0)
        }));
        BatchFile {
            name_length: name.len() as u8,
            package: package.map(Into::into),
            tag: tag.map(|tag| u32::from(tag == "cpython-312")),
            facts: FileFacts {
                identity: (1, if *links > 1 { *inode } else { own }),
                links: *links,
                bytes: kib * 1000,
                disk: kib * 1024,
                modified: Moment { seconds: NOW - 9 * DAY, nanoseconds: 0 },
                used: Some(NOW - *kib as i64 * DAY),
                status: *status,
                bar,
                is_reclaimable: is_reclaimable && bar.is_none(),
            },
        }
    };
    let mut globs = Interned::default();
    globs.add("/home/me/kept/**");
    ScanBatch {
        relative: sources.trim_start_matches('/').as_bytes().into(),
        own: Tally::file(4096, 4096),
        owner: Some(owner.clone()),
        names: files.iter().flat_map(|file| file.0.bytes()).collect(),
        files: files.iter().map(file).collect(),
        globs,
        tags: vec!["cpython-311".into(), "cpython-312".into()],
    }
}

const STALE: Status = Status::Stale(Stale::Mtime);
const GONE: Status = Status::Orphan(Orphan::Root);

/// A store with every kind of row: a project with an environment, a deleted environment, and a directory with foreign files.
fn store() -> Vec<ScanBatch> {
    let project = owner("/home/me/proj", OwnerKind::Project, Life::Alive, None);
    let venv = owner("/home/me/proj", OwnerKind::Project, Life::Alive, Some("/home/me/proj/.venv"));
    let gone = owner("/home/me/old/.venv", OwnerKind::Environment, Life::Gone, Some("/home/me/old/.venv"));
    let other = owner("/srv/data", OwnerKind::Directory, Life::Alive, None);
    let site = "/home/me/proj/.venv/lib/python3.12/site-packages";
    let old = "/home/me/old/.venv/lib/python3.11/site-packages/flask";
    vec![
        directory(
            "/home/me/proj/src/app",
            &project,
            None,
            &[
                single("main.cpython-312.pyc", Status::Fresh, 12),
                single("models.cpython-312.pyc", STALE, 8),
                single("models.cpython-311.pyc", STALE, 7),
                single("kept.cpython-312.pyc", Status::Fresh, 3),
            ],
        ),
        directory(
            &format!("{site}/numpy/core"),
            &venv,
            Some("numpy"),
            &[
                single("multiarray.cpython-312.pyc", Status::Fresh, 240),
                single("numeric.cpython-312.pyc", Status::Fresh, 100),
            ],
        ),
        directory(
            &format!("{site}/numpy"),
            &venv,
            Some("numpy"),
            &[single("__init__.cpython-312.pyc", Status::Fresh, 20)],
        ),
        directory(
            old,
            &gone,
            Some("flask"),
            &[single("app.cpython-311.pyc", GONE, 64), single("cli.cpython-311.pyc", GONE, 32)],
        ),
        directory(
            "/srv/data",
            &other,
            None,
            &[
                single("notes.txt", Status::Foreign, 5),
                single("x.cpython-312.pyc", Status::Unknown(Why::Unmounted), 6),
            ],
        ),
    ]
}

/// A browser after the scan of these directories.
fn browser(batches: Vec<ScanBatch>) -> Browser {
    let mut browser = Browser::new(Some("/home/me".into()));
    batches.into_iter().for_each(|batch| browser.add(batch));
    browser.end_scan(0);
    browser
}

fn look(style: Style, characters: Characters) -> Look {
    Look {
        store: "~/.cache/cpython".into(),
        palette: Palette(style),
        characters,
        now: Moment { seconds: NOW, nanoseconds: 0 },
    }
}

/// Presses keys, drawing before each: `>` is Enter, `<` Left, `!` Escape, `^` Ctrl+R. Returns the tasks.
fn press(browser: &mut Browser, keys: &str) -> Vec<BrowserTask> {
    let mut tasks = Vec::new();
    for character in keys.chars() {
        screen(browser, 80, 24);
        tasks.extend(browser.key(match character {
            '>' => PressedKey::Enter,
            '<' => PressedKey::Left,
            '!' => PressedKey::Escape,
            '^' => PressedKey::Confirm,
            '\u{8}' => PressedKey::Backspace,
            other => PressedKey::Character(other),
        }));
    }
    tasks
}

/// What the terminal shows.
fn screen(browser: &mut Browser, width: u16, height: u16) -> String {
    screen_as(browser, width, height, &look(Style::Plain, Characters::Unicode))
}

fn screen_as(browser: &mut Browser, width: u16, height: u16, look: &Look) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(browser, look, frame.buffer_mut())).unwrap();
    let buffer = terminal.backend().buffer();
    let mut lines = Vec::new();
    for y in 0..height {
        let mut line = String::new();
        let mut x = 0;
        while x < width {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            x += pycstore::paragraph::width(symbol).max(1) as u16;
        }
        lines.push(line.trim_end().to_string());
    }
    lines.join("\n").trim_end().to_string()
}

/// The names of the rows.
fn names(browser: &Browser) -> Vec<String> {
    browser.rows.names(&browser.catalogue).map(Into::into).collect()
}

fn row_at(browser: &Browser, index: usize) -> ListRow {
    browser.rows.row(&browser.catalogue, index).unwrap()
}

/// The names of the marked entries, sorted.
fn marked(browser: &Browser) -> Vec<String> {
    let catalogue = &browser.catalogue;
    let marked =
        (0..catalogue.entries.len() as u32).filter(|it| catalogue.entries[*it as usize].mark == Mark::Marked);
    let mut names: Vec<String> =
        marked.map(|it| String::from_utf8_lossy(catalogue.name(it)).into_owned()).collect();
    names.sort();
    names
}

/// Compares a screen with its snapshot at three widths.
fn assert_screens(name: &str, browser: &mut Browser) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../../../tests/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| {
        for width in [40, 80, 200] {
            insta::assert_snapshot!(format!("browse_{name}_{width}"), screen(browser, width, 20));
        }
    });
}

fn review() -> Review {
    let row = |disk: u64, files, status: &str, owner: &str| ReviewRow {
        tally: Tally { files, bytes: disk, disk },
        status: status.into(),
        owner: owner.into(),
    };
    Review {
        rows: vec![
            row(98_304, 2, "orphan (root)", "~/old/.venv (gone)"),
            row(15_360, 2, "stale (mtime)", "~/proj"),
        ],
        removed: Tally { files: 4, bytes: 113_000, disk: 113_664 },
        directories: 3,
        notes: vec!["1 marked file changed since the scan and will be kept (r scans again)".into()],
        empties_store: false,
        typed: String::new(),
        offset: 0,
        is_drawn: false,
    }
}
