//! Journeys by keys over small stores in memory, the screens that they lead to, and a real store.

use super::canvas::Look;
use super::catalogue::Catalogue;
use super::draw::draw;
use super::file::{Bar, BatchFile, Facet, FileFacts, Mark, ScanBatch};
use super::keys::{BrowserTask, PressedKey};
use super::node::ROOT;
use super::palette::Palette;
use super::review::{RemovalReport, Removing, Review, ReviewRow, ReviewVisibility};
use super::rows::{Item, OpenPlace, TreeView};
use super::state::{Browser, Dialog, PaneWish};
use super::sums::Sums;
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

/// A file of the property: the number of its directory, its status, its KiB, its inode (none for zero), whether it goes.
type AnyFile = (usize, usize, u64, u64, bool);

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
    ScanBatch {
        relative: sources.trim_start_matches('/').as_bytes().into(),
        own: Tally::file(4096, 4096),
        owner: Some(owner.clone()),
        names: files.iter().flat_map(|file| file.0.bytes()).collect(),
        files: files.iter().map(file).collect(),
        globs: vec!["/home/me/kept/**".into()],
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
fn names(browser: &Browser) -> Vec<&str> {
    browser.rows.iter().map(|row| row.name.as_str()).collect()
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
    settings.set_snapshot_path("../../../tests/snapshots");
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
        visibility: ReviewVisibility::NotYet,
    }
}

#[test]
fn the_screens() {
    let mut browser = browser(store());
    assert_screens("owners", &mut browser);
    press(&mut browser, "a");
    assert_screens("owners_marked", &mut browser);
    press(&mut browser, "U");
    press(&mut browser, "nj>");
    assert_eq!(names(&browser), ["flask"]);
    press(&mut browser, "<j>");
    assert_screens("project", &mut browser);
    press(&mut browser, "j>");
    assert_screens("entries", &mut browser);
    press(&mut browser, "3");
    assert_screens("tags", &mut browser);
    press(&mut browser, "2");
    assert_screens("statuses", &mut browser);
    press(&mut browser, "t");
    assert_screens("mark_status", &mut browser);
    press(&mut browser, "!?");
    assert_screens("help", &mut browser);
    press(&mut browser, "!");
    browser.dialog = Dialog::Review(Box::new(review()));
    assert_screens("review", &mut browser);
    browser.dialog = Dialog::Review(Box::new(Review { empties_store: true, ..review() }));
    assert_screens("review_of_all", &mut browser);
    browser.dialog = Dialog::Removing(Removing { removed: 1234, all: 5678, is_stopping: false });
    assert_screens("removing", &mut browser);
    let kept = "kept ~/.cache/cpython/x.cpython-312.pyc: it changed after it was planned";
    browser.dialog = Dialog::Report(RemovalReport::new(vec!["removed 3 files, 12 KiB".into(), kept.into()]));
    assert_screens("report", &mut browser);
}

#[test]
fn keys_lead_down_and_back_and_the_selection_stays() {
    let mut browser = browser(store());
    assert_eq!(names(&browser), ["~/proj", "~/old/.venv (gone)", "/srv/data"]);
    press(&mut browser, ">");
    assert_eq!(names(&browser), [".venv/", "src/app/"]);
    assert_eq!(browser.trail(), "owners > ~/proj");
    press(&mut browser, ">");
    assert_eq!(names(&browser), ["numpy"]);
    // The package has one directory in site-packages: its row leads there.
    press(&mut browser, ">");
    assert_eq!(names(&browser), ["core/", "__init__.cpython-312.pyc"]);
    assert_eq!(browser.trail(), "owners > ~/proj > .venv/ > numpy: numpy/");
    press(&mut browser, "<<j");
    assert_eq!(browser.row().unwrap().name, "src/app/");
    press(&mut browser, "s");
    assert_eq!(browser.row().unwrap().name, "src/app/", "the selected row stays selected");
    press(&mut browser, "><");
    assert_eq!(browser.row().unwrap().name, "src/app/");
    press(&mut browser, "u<h");
    assert_eq!(browser.place(), OpenPlace::Below(ROOT, Facet::default()));
    assert_eq!(press(&mut browser, "q"), [BrowserTask::Quit]);
}

#[test]
fn each_order_and_its_reverse() {
    let mut browser = browser(store());
    let orders = [
        ("c", Order::Files, "~/proj"),
        ("e", Order::Reclaimable, "~/old/.venv (gone)"),
        ("m", Order::LastUsed, "~/proj"),
        ("n", Order::Name, "/srv/data"),
        ("s", Order::Size, "~/proj"),
    ];
    for (key, order, first) in orders {
        press(&mut browser, key);
        assert_eq!((browser.order, browser.rows[0].name.as_str()), (order, first), "{key}");
        let usual: Vec<String> = names(&browser).into_iter().map(String::from).collect();
        press(&mut browser, key);
        let reversed: Vec<String> = names(&browser).into_iter().rev().map(String::from).collect();
        assert_eq!(usual, reversed, "{key}");
    }
}

#[test]
fn a_filter_limits_the_rows_while_it_is_typed() {
    let mut browser = browser(store());
    press(&mut browser, "/OLD");
    assert_eq!(names(&browser), ["~/old/.venv (gone)"]);
    assert!(screen(&mut browser, 80, 24).contains("filter: OLD_"));
    press(&mut browser, "x");
    assert_eq!(names(&browser), [""; 0]);
    press(&mut browser, "\u{8}>");
    assert!(matches!(browser.dialog, Dialog::List));
    assert_eq!(names(&browser), ["~/old/.venv (gone)"]);
    // A letter is a key again, and Escape ends the filter.
    press(&mut browser, "j!");
    assert_eq!(browser.rows.len(), 3);
    // In another place there is no filter.
    press(&mut browser, "/proj>>");
    assert_eq!(names(&browser), [".venv/", "src/app/"]);
}

#[test]
fn a_mark_is_one_of_everything_below_that_may_be_marked() {
    let mut browser = browser(store());
    press(&mut browser, " ");
    assert_eq!(
        marked(&browser),
        [
            "__init__.cpython-312.pyc",
            "main.cpython-312.pyc",
            "models.cpython-311.pyc",
            "models.cpython-312.pyc",
            "multiarray.cpython-312.pyc",
            "numeric.cpython-312.pyc",
        ]
    );
    assert_eq!(browser.message, "marked 6 files; 1 cannot be marked: kept by /home/me/kept/**");
    assert_eq!(browser.row().unwrap().name, "~/old/.venv (gone)", "the next row");
    assert_eq!(browser.marked(), Tally { files: 6, bytes: 387_000, disk: 387 * 1024 });
    press(&mut browser, "k ");
    assert_eq!(marked(&browser), [""; 0]);
}

#[test]
fn what_must_not_go_cannot_be_marked_and_the_line_says_why() {
    let mut browser = browser(store());
    press(&mut browser, "G");
    let reasons = "unknown whether Python still uses it; not written by Python";
    assert!(browser.about_selected().ends_with(&format!("cannot be marked: {reasons}")));
    assert_eq!(press(&mut browser, " d"), []);
    assert_eq!(marked(&browser), [""; 0]);
    assert_eq!(browser.message, format!("2 cannot be marked: {reasons}"));
    press(&mut browser, ">");
    assert_eq!(
        browser.about_selected(),
        "unknown (unmounted); cannot be marked: unknown whether Python still uses it"
    );
    press(&mut browser, "j");
    assert_eq!(browser.about_selected(), "foreign; cannot be marked: not written by Python");
    assert!(screen(&mut browser, 80, 24).contains("\n>-"), "the row has the sign");
    press(&mut browser, "  a");
    assert!(!marked(&browser).contains(&"notes.txt".into()));
}

#[test]
fn one_key_marks_all_that_is_reclaimable_and_one_those_of_a_status() {
    let reclaimable =
        ["app.cpython-311.pyc", "cli.cpython-311.pyc", "models.cpython-311.pyc", "models.cpython-312.pyc"];
    let mut browser = browser(store());
    press(&mut browser, ">>>a");
    assert_eq!(marked(&browser), reclaimable, "wherever it is pressed");
    press(&mut browser, "a");
    assert_eq!(marked(&browser), [""; 0]);
    // A status is marked below the open place.
    press(&mut browser, "ts");
    assert_eq!(marked(&browser), [""; 0]);
    press(&mut browser, "<<<ts");
    assert_eq!(marked(&browser), reclaimable[2..]);
    press(&mut browser, "tx");
    assert_eq!(browser.message, "no status begins with that letter");
    // A row of the statuses and of the tags marks what it shows.
    press(&mut browser, "U2n");
    assert_eq!(names(&browser), ["foreign", "fresh", "orphan", "stale", "unknown"]);
    press(&mut browser, "jj ");
    assert_eq!(marked(&browser), reclaimable[..2]);
    press(&mut browser, "U3");
    assert_eq!(names(&browser), ["(no tag)", "cpython-311", "cpython-312"]);
    press(&mut browser, "j ");
    assert_eq!(marked(&browser), &reclaimable[..3]);
}

#[test]
fn a_view_by_status_shows_only_its_files() {
    let mut browser = browser(store());
    press(&mut browser, "v");
    assert_eq!(browser.tree, TreeView::Statuses);
    assert_eq!(names(&browser), ["fresh", "orphan", "stale", "unknown", "foreign"]);
    press(&mut browser, "jj>");
    assert_eq!(browser.trail(), "statuses > stale");
    assert_eq!(names(&browser), ["~/proj"]);
    press(&mut browser, ">>");
    assert_eq!(names(&browser), ["models.cpython-312.pyc", "models.cpython-311.pyc"]);
    assert_eq!(browser.total, Tally { files: 2, bytes: 15_000, disk: 15 * 1024 });
    press(&mut browser, "vv");
    assert_eq!(browser.tree, TreeView::Owners);
}

#[test]
fn nothing_is_removed_by_a_key_before_its_screen() {
    let mut browser = browser(store());
    assert_eq!(press(&mut browser, "^\rd"), [BrowserTask::Foresee]);
    // The keys that were pressed while the plan was made mean nothing.
    assert_eq!(press(&mut browser, "^>"), []);
    browser.dialog = Dialog::Review(Box::new(review()));
    assert_eq!(browser.key(PressedKey::Confirm), None, "the screen was not drawn yet");
    assert_eq!(press(&mut browser, ">D y"), []);
    assert_eq!(press(&mut browser, "^"), [BrowserTask::Remove]);
}

#[test]
fn without_marks_the_key_asks_about_the_row_and_marks_it_for_that_long() {
    let mut browser = browser(store());
    assert_eq!(press(&mut browser, "jd"), [BrowserTask::Foresee]);
    assert_eq!(marked(&browser), ["app.cpython-311.pyc", "cli.cpython-311.pyc"]);
    browser.dialog = Dialog::Review(Box::new(review()));
    assert_eq!(press(&mut browser, "!"), [BrowserTask::Drop]);
    assert_eq!(marked(&browser), [""; 0]);
    assert_eq!(browser.row().unwrap().name, "~/old/.venv (gone)");
    // Marks of the user stay.
    assert_eq!(press(&mut browser, " d"), [BrowserTask::Foresee]);
    assert_eq!(press(&mut browser, "!"), [BrowserTask::Drop]);
    assert_eq!(marked(&browser).len(), 2);
}

#[test]
fn a_removal_that_empties_the_store_wants_a_word() {
    let mut browser = browser(store());
    let all = || Dialog::Review(Box::new(Review { empties_store: true, ..review() }));
    browser.dialog = all();
    assert_eq!(press(&mut browser, "^ye^"), []);
    assert!(screen(&mut browser, 100, 24).contains("Type yes to allow it: ye_"));
    assert_eq!(press(&mut browser, "x\u{8}s^"), [BrowserTask::Remove]);
    browser.dialog = all();
    assert_eq!(press(&mut browser, "!"), [BrowserTask::Drop]);
    // Nothing that could be removed: no key removes.
    let nothing = Review { removed: Tally::default(), rows: Vec::new(), ..review() };
    browser.dialog = Dialog::Review(Box::new(nothing));
    assert_eq!(press(&mut browser, "^>"), []);
}

#[test]
fn a_removal_is_stopped_and_not_left() {
    let mut browser = browser(store());
    let removing = || Dialog::Removing(Removing { removed: 1, all: 2, is_stopping: false });
    browser.dialog = removing();
    assert_eq!(press(&mut browser, "r d>"), []);
    assert_eq!(press(&mut browser, "!"), [BrowserTask::Stop]);
    assert!(screen(&mut browser, 80, 24).contains("stopping"));
    browser.dialog = removing();
    assert_eq!(browser.key(PressedKey::Interrupt), Some(BrowserTask::Stop));
}

#[test]
fn a_scan_shows_rows_before_it_ends_and_nothing_is_removed_meanwhile() {
    let mut browser = Browser::new(None);
    let mut batches = store().into_iter();
    browser.add(batches.next().unwrap());
    browser.refresh();
    assert_eq!(names(&browser), ["/home/me/proj"]);
    assert_eq!(press(&mut browser, "d"), []);
    assert_eq!(browser.message, "the scan is not done yet");
    // Marks hold for what was there.
    press(&mut browser, " ");
    batches.for_each(|batch| browser.add(batch));
    browser.end_scan(0);
    assert_eq!(marked(&browser).len(), 3);
    assert!(screen(&mut browser, 80, 24).contains("\n>~"), "a part of the row is marked");
}

#[test]
fn a_new_scan_returns_to_the_place() {
    let mut browser = browser(store());
    press(&mut browser, ">j>j");
    let (trail, row) = (browser.trail(), browser.row().unwrap().name.clone());
    assert_eq!(press(&mut browser, "r"), [BrowserTask::Rescan]);
    browser.begin_scan();
    assert_eq!(names(&browser), [""; 0]);
    for batch in store().into_iter().rev() {
        browser.add(batch);
        browser.refresh();
    }
    browser.end_scan(0);
    assert_eq!((browser.trail(), &browser.row().unwrap().name), (trail, &row));
    // A place that is gone: as far as it goes.
    browser.begin_scan();
    browser.add(store().remove(1));
    browser.end_scan(0);
    assert_eq!(browser.trail(), "owners > ~/proj");
}

#[test]
fn owners_with_several_spellings_are_one_at_the_end() {
    let real = owner("/data/proj", OwnerKind::Project, Life::Alive, None);
    let link =
        Owner { root: "/home/me/proj".into(), real_root: Some("/data/proj".into()), ..(*real).clone() };
    let files = [single("a.cpython-312.pyc", Status::Fresh, 1)];
    let mut browser = Browser::new(None);
    browser.add(directory("/home/me/proj/src", &Arc::new(link), None, &files));
    browser.refresh();
    press(&mut browser, ">");
    browser.add(directory("/data/proj/src", &real, None, &files));
    browser.refresh();
    browser.end_scan(0);
    press(&mut browser, "<");
    assert_eq!(names(&browser), ["/data/proj"]);
    assert_eq!(browser.total.files, 2);
}

#[test]
fn names_from_the_store_are_escaped_and_fit_every_screen() {
    let hostile = owner("/home/me/a\u{1b}[31mb\nc", OwnerKind::Project, Life::Alive, None);
    let wide = "東京".repeat(40);
    let name = format!("{wide}.cpython-312.pyc");
    let name: String = name.chars().skip(name.chars().count() - 70).collect();
    let files = [
        single(&name, Status::Fresh, 9),
        single("\u{202e}x.cpython-312.pyc", Status::Fresh, 8),
        single("\u{1b}]0;t\u{7}.cpython-312.pyc", STALE, 7),
    ];
    let mut browser = browser(vec![directory("/home/me/a\u{1b}[31mb\nc", &hostile, None, &files)]);
    let owners = screen(&mut browser, 80, 12);
    assert!(owners.contains("~/a\\x1b[31mb\\nc"), "{owners}");
    press(&mut browser, "> /x");
    for (width, height) in [(200, 30), (80, 24), (40, 10), (12, 5), (3, 2), (1, 1), (300, 3)] {
        for wish in [PaneWish::Open, PaneWish::Closed] {
            browser.pane.wish = wish;
            let shown = screen(&mut browser, width, height);
            let is_safe = |line: &str| pycstore::paragraph::width(line) <= usize::from(width);
            assert!(shown.lines().all(is_safe), "{width} {shown}");
            assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{shown:?}");
        }
    }
    for dialog in [Dialog::Help(0), Dialog::Review(Box::new(review())), Dialog::Foreseeing] {
        browser.dialog = dialog;
        for (width, height) in [(40, 10), (12, 5), (3, 2), (1, 1)] {
            screen(&mut browser, width, height);
        }
    }
}

#[test]
fn in_ascii_and_without_colours_everything_is_there() {
    let mut browser = browser(store());
    press(&mut browser, ">");
    let ascii = screen_as(&mut browser, 200, 24, &look(Style::Plain, Characters::Ascii));
    assert!(ascii.is_ascii(), "{ascii}");
    browser.pane.wish = PaneWish::Open;
    let ascii = screen_as(&mut browser, 30, 24, &look(Style::Plain, Characters::Ascii));
    assert!(ascii.is_ascii(), "{ascii}");
    let coloured = screen_as(&mut browser, 80, 24, &look(Style::Coloured, Characters::Unicode));
    assert_eq!(coloured, screen(&mut browser, 80, 24), "colours add nothing");
}

/// The store of links: three environments with the same file, of which one is gone, and one link outside the store.
fn linked() -> Vec<ScanBatch> {
    let env = |name: &str, life| {
        let root = format!("/e/{name}");
        owner(&root, OwnerKind::Environment, life, Some(&root))
    };
    let (a, b) = (env("a", Life::Alive), env("b", Life::Gone));
    vec![
        directory("/e/a/x", &a, None, &[("m.cpython-312.pyc", Status::Fresh, 10, (77, 2))]),
        directory("/e/b/x", &b, None, &[("m.cpython-312.pyc", GONE, 10, (77, 2))]),
        directory(
            "/e/b/y",
            &b,
            None,
            &[
                ("n.cpython-312.pyc", GONE, 4, (78, 2)),
                ("o.cpython-312.pyc", GONE, 4, (78, 2)),
                ("p.cpython-312.pyc", GONE, 2, (79, 3)),
            ],
        ),
    ]
}

#[test]
fn the_bytes_of_links_count_once_and_are_freed_with_the_last() {
    let mut browser = browser(linked());
    let kib = |row: usize, browser: &Browser| {
        let row = &browser.rows[row];
        let kib = |tally: Tally| tally.disk / 1024;
        (kib(row.sums.tally), row.shared / 1024, kib(row.sums.reclaimable), row.sums.tally.files)
    };
    press(&mut browser, "n");
    assert_eq!(names(&browser), ["/e/a", "/e/b (gone)"]);
    // What both have is shared; of `p` a link is elsewhere, so that it is not freed.
    assert_eq!((kib(0, &browser), kib(1, &browser)), ((0, 10, 0, 1), (6, 10, 4, 4)));
    assert_eq!(browser.total.disk / 1024, 16);
    // One link frees nothing, both free it.
    press(&mut browser, " ");
    assert_eq!(browser.marked(), Tally { files: 1, bytes: 0, disk: 0 });
    press(&mut browser, " ");
    assert_eq!(browser.marked().disk / 1024, 14);
    // By status the file is in two of them.
    press(&mut browser, "2");
    assert_eq!(names(&browser), ["fresh", "orphan"]);
    let disk: Vec<u64> = browser.rows.iter().map(|row| row.sums.tally.disk / 1024).collect();
    assert_eq!(disk, [0, 6]);
}

#[test]
fn after_a_removal_the_figures_are_those_of_a_new_scan() {
    let mut browser = browser(linked());
    press(&mut browser, "n>");
    let entry = browser.catalogue.entries.iter().position(|entry| entry.facts.status == Status::Fresh);
    browser.remove(&[entry.unwrap() as u32]);
    assert_eq!(browser.trail(), "owners", "an empty place is left");
    assert_eq!(names(&browser), ["/e/b (gone)"]);
    let row = &browser.rows[0];
    assert_eq!((row.sums.tally.disk / 1024, row.shared, row.sums.reclaimable.disk / 1024), (16, 0, 14));
}

/// The sums of all nodes by their names.
fn all_sums(catalogue: &Catalogue) -> std::collections::BTreeMap<String, Sums> {
    let named = |node: u32| {
        let parent = |node: &u32| (*node != ROOT).then(|| catalogue.nodes[*node as usize].parent);
        let chain: Vec<String> = std::iter::successors(Some(node), parent)
            .map(|node| super::rows::name(catalogue, node, None))
            .collect();
        chain.into_iter().rev().collect::<Vec<_>>().join("|")
    };
    let sums =
        (0..catalogue.nodes.len() as u32).map(|node| (named(node), catalogue.sums(node, Facet::default())));
    sums.filter(|(_, sums)| !sums.tally.is_empty()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Batches come in any order, and what is removed is as if it had never been there.
    #[test]
    fn sums_depend_neither_on_the_order_nor_on_what_was_removed(
        files in proptest::collection::vec((0_usize..6, 0_usize..4, 1_u64..50, 0_u64..4, any::<bool>()), 1..40),
        order in any::<u64>(),
    ) {
        let statuses = [Status::Fresh, STALE, GONE, Status::Unknown(Why::Io)];
        let owners: Vec<Arc<Owner>> = (0..6)
            .map(|at| owner(&format!("/o/{}", at / 2), OwnerKind::Project, Life::Alive, None))
            .collect();
        let inode = |file: &AnyFile| file.3;
        let batches = |is_left: &dyn Fn(&AnyFile) -> bool| -> Vec<ScanBatch> {
            let left: Vec<_> = files.iter().enumerate().filter(|(_, file)| is_left(file)).collect();
            let links = |inode: u64| left.iter().filter(|(_, file)| file.3 == inode).count() as u32;
            // Files that stay have as many links as are left of those that were there.
            let named: Vec<_> = left
                .iter()
                .map(|(at, file)| (file.0, format!("f{at:02}.cpython-312.pyc"), *file))
                .collect();
            (0..6)
                .map(|place| {
                    let here: Vec<File<'_>> = named
                        .iter()
                        .filter(|(at, ..)| *at == place)
                        .map(|(_, name, file)| {
                            let number = if file.3 == 0 { 1 } else { links(file.3) };
                            let size = if file.3 == 0 { file.2 } else { file.3 * 10 };
                            (name.as_str(), statuses[file.1], size, (inode(file) + 500, number))
                        })
                        .collect();
                    directory(&format!("/o/{}/d{place}", place / 2), &owners[place], None, &here)
                })
                .filter(|batch| !batch.files.is_empty())
                .collect()
        };
        let may_go = |file: &AnyFile| file.4 && file.1 < 3;
        let scan = |batches: Vec<ScanBatch>| {
            let mut catalogue = Catalogue::new();
            batches.into_iter().for_each(|batch| catalogue.add(batch));
            catalogue.join_spellings();
            catalogue
        };
        let in_order = scan(batches(&|_| true));
        let mut shuffled = batches(&|_| true);
        let length = shuffled.len().max(1);
        shuffled.rotate_left(order as usize % length);
        prop_assert_eq!(all_sums(&in_order), all_sums(&scan(shuffled)));

        let mut catalogue = in_order;
        let going: Vec<u32> = (0..catalogue.entries.len() as u32)
            .filter(|it| {
                let name = String::from_utf8_lossy(catalogue.name(*it)).into_owned();
                may_go(&files[name[1..3].parse::<usize>().unwrap()])
            })
            .collect();
        going.iter().for_each(|it| catalogue.entries[*it as usize].mark = Mark::Marked);
        catalogue.recount();
        let before = catalogue.sums(ROOT, Facet::default());
        catalogue.remove(&going);
        let after = catalogue.sums(ROOT, Facet::default());
        prop_assert_eq!(before.tally.disk - before.marked.disk, after.tally.disk, "what marks promise is freed");
        prop_assert_eq!(all_sums(&catalogue), all_sums(&scan(batches(&|file| !may_go(file)))));
    }
}

#[test]
fn every_key_of_the_help_does_something() {
    let letters = super::keys::HELP.iter().flat_map(|(keys, _)| keys.split([' ', ',']));
    let letters = letters.filter(|key| key.chars().count() == 1).flat_map(str::chars);
    // Those after `t` are of another question.
    let known = |letter: &char| super::keys::list_key(PressedKey::Character(*letter)).is_some();
    let unknown: Vec<char> = letters.filter(|letter| !known(letter) && !['f'].contains(letter)).collect();
    assert_eq!(unknown, [' '; 0]);
}

#[test]
fn an_entry_opens_its_details() {
    let mut browser = browser(store());
    press(&mut browser, ">j>");
    let entry = browser.entry().unwrap();
    browser.pane.wish = PaneWish::Closed;
    press(&mut browser, ">");
    assert_eq!(browser.pane.wish, PaneWish::Open);
    (browser.pane.entry, browser.pane.lines) = (Some(entry), vec!["  status    fresh".into()]);
    assert!(screen(&mut browser, 80, 24).contains("status    fresh"));
    assert!(screen(&mut browser, 160, 24).contains("│   status    fresh"));
    press(&mut browser, "i");
    assert!(!screen(&mut browser, 80, 24).contains("status    fresh"));
    assert_eq!(browser.row().map(|row| row.item), Some(Item::Entry(entry)));
}

/// A store on the disk, with sources that are there, were changed and were deleted; its session, and the store's path.
fn real_store(temporary: &tempfile::TempDir) -> (crate::cli::session::Session, std::path::PathBuf) {
    use crate::cli::options::{Color, Global};
    use pycstore::environment::Environment;
    use std::fs;
    use std::time::{Duration, SystemTime};
    let base = temporary.path().canonicalize().unwrap();
    let (sources, store, home) = (base.join("src"), base.join("store"), base.join("home"));
    let mirror = store.join(sources.strip_prefix("/").unwrap());
    for directory in [&sources, &mirror, &home] {
        fs::create_dir_all(directory).unwrap();
    }
    let past = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    let header = |mtime: u32, size: u32| {
        let magic = [&3531_u16.to_le_bytes()[..], b"\r\n", &[0; 4]].concat();
        [&magic[..], &mtime.to_le_bytes(), &size.to_le_bytes(), &[0; 40]].concat()
    };
    for (name, mtime) in [("fresh", 1_600_000_000), ("other", 1_600_000_000), ("stale", 5)] {
        let source = sources.join(format!("{name}.py"));
        fs::write(&source, "x = 1\n").unwrap();
        fs::File::open(&source).unwrap().set_modified(past).unwrap();
        fs::write(mirror.join(format!("{name}.cpython-312.pyc")), header(mtime, 6)).unwrap();
    }
    fs::write(mirror.join("orphan.cpython-312.pyc"), header(5, 6)).unwrap();
    fs::hard_link(mirror.join("orphan.cpython-312.pyc"), mirror.join("again.cpython-312.pyc")).unwrap();
    fs::write(mirror.join("notes.txt"), "mine").unwrap();
    fs::create_dir(mirror.join("gone")).unwrap();
    fs::write(mirror.join("gone/x.cpython-312.pyc"), header(5, 6)).unwrap();
    let global = Global {
        store: Some(store),
        color: Color::Never,
        quiet: true,
        threads: Some(2),
        assume_gone: vec![sources],
        config: None,
    };
    (crate::cli::session::Session::new(global, Environment::of_test(home.to_str().unwrap())), mirror)
}

/// A browser after a scan of the store of a session.
fn scanned(session: &crate::cli::session::Session) -> Browser {
    use crate::cli::selection::Selection;
    let opened = session.open(pycstore::store::Purpose::Look).unwrap();
    let (policy, _) = Selection::of_browse(session, &Default::default()).unwrap().policy_on(session, &opened);
    let now = Moment::from(std::time::SystemTime::now());
    let circumstances = opened.circumstances(now, &|_, _| false);
    let (sender, found) = std::sync::mpsc::sync_channel(1000);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let troubles = super::collect::scan(&opened, &policy, circumstances, &stop, &sender);
    assert!(troubles.is_empty(), "{troubles:?}");
    drop(sender);
    browser(found.into_iter().collect())
}

#[test]
fn the_figures_of_a_real_store_are_those_of_du() {
    use pycstore::verdict::status::UncheckedHashes;
    use pycstore::verdict::view::{Dimension, Focus, View};
    let temporary = tempfile::tempdir().unwrap();
    let (session, _) = real_store(&temporary);
    let browser = scanned(&session);
    let opened = session.open(pycstore::store::Purpose::Look).unwrap();
    for dimension in [Dimension::Owner, Dimension::Status, Dimension::Tag] {
        let view = View { dimensions: vec![dimension], ..View::default() };
        let focus = Focus::default();
        let usage =
            crate::cli::selection::count(&session, &opened, UncheckedHashes::Trust, &[], (&view, &focus));
        let usage = usage.unwrap();
        let sums = browser.catalogue.sums(ROOT, Facet::default());
        assert_eq!((sums.tally, sums.reclaimable), (usage.total, usage.reclaimable));
        assert_eq!(browser.catalogue.own, usage.directories);
        let place = match dimension {
            Dimension::Owner => OpenPlace::Below(ROOT, Facet::default()),
            Dimension::Status => OpenPlace::Statuses,
            _ => OpenPlace::Tags,
        };
        let mut rows = super::rows::rows(&browser.catalogue, place, None);
        super::rows::sort(&mut rows, Order::Files, Default::default());
        let mut shown: Vec<_> = rows.iter().map(|row| (row.sums.tally, row.sums.reclaimable)).collect();
        let mut groups: Vec<_> =
            usage.groups().iter().map(|it| (it.share.tally, it.share.reclaimable)).collect();
        let key = |sums: &(Tally, Tally)| (sums.0.files, sums.0.bytes, sums.1.files);
        shown.sort_by_key(key);
        groups.sort_by_key(key);
        assert_eq!(shown, groups, "{dimension:?}");
    }
}

#[test]
fn what_is_marked_is_removed_from_a_real_store_if_it_is_still_the_same() {
    use crate::cli::removal::marked::{MarkedEnd, MarkedOutcome, remove_marked};
    use crate::cli::removal::{ResultOutput, RunOptions};
    use crate::cli::selection::Selection;
    use crate::cli::stop::Stop;
    let temporary = tempfile::tempdir().unwrap();
    let (session, mirror) = real_store(&temporary);
    let mut browser = scanned(&session);
    press(&mut browser, "a");
    assert_eq!(
        marked(&browser),
        ["again.cpython-312.pyc", "orphan.cpython-312.pyc", "stale.cpython-312.pyc", "x.cpython-312.pyc"]
    );
    press(&mut browser, "Utf");
    assert_eq!(marked(&browser), ["fresh.cpython-312.pyc", "other.cpython-312.pyc"]);
    press(&mut browser, "a");
    let run = |browser: &Browser, dry_run: bool| -> (MarkedOutcome, Vec<u32>) {
        let (chosen, indexes) = browser.catalogue.chosen();
        let selection = Selection::of_browse(&session, &Default::default()).unwrap().of_marks(chosen);
        let removed = std::sync::Mutex::new(Vec::new());
        let options = RunOptions { dry_run, output: ResultOutput::LeftToCaller, ..RunOptions::default() };
        let policy = &selection.policy;
        let on_removed = |planned: &pycstore::verdict::plan::PlannedDirectory,
                          victim: &pycstore::verdict::victim::Victim| {
            let place = policy.place_in_list(&planned.relative, &victim.name).unwrap();
            removed.lock().unwrap().push(indexes[place]);
        };
        match remove_marked(&session, &selection, &options, &Stop::default(), &on_removed).unwrap() {
            MarkedEnd::Finished(outcome) => (*outcome, removed.into_inner().unwrap()),
            other => panic!("{other:?}"),
        }
    };
    let (foreseen, _) = run(&browser, true);
    assert_eq!(foreseen.outcome.removed, browser.marked());
    assert!(foreseen.empties_store && foreseen.changed == 0, "{foreseen:?}");
    let review = Review::new(&foreseen, None);
    let statuses: Vec<&str> = review.rows.iter().map(|row| row.status.as_str()).collect();
    assert_eq!(statuses.len(), 4, "{statuses:?}");
    // Two change before the removal: one is rewritten, the source of another is there again.
    std::fs::write(mirror.join("other.cpython-312.pyc"), "anew").unwrap();
    std::fs::write(temporary.path().join("src/again.py"), "x = 1\n").unwrap();
    let (done, removed) = run(&browser, false);
    let outcome = &done.outcome;
    assert_eq!((outcome.removed.files, outcome.directories, done.changed), (4, 1, 2), "{done:?}");
    assert!(!done.empties_store);
    let mut left: Vec<_> = std::fs::read_dir(&mirror).unwrap().map(|it| it.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["again.cpython-312.pyc", "notes.txt", "other.cpython-312.pyc"]);
    browser.remove(&removed);
    browser.catalogue.remove_directories(&done.outcome.emptied);
    let opened = session.open(pycstore::store::Purpose::Look).unwrap();
    let journal = pycstore::history::Journal::of_store(&session.environment, &opened.store).unwrap();
    let run = journal.latest().unwrap().run.unwrap();
    assert_eq!((run.selectors, run.removed.files, run.exit), (vec!["browse".to_string()], 4, 0));
    // The figures are those of a new scan; the file that was rewritten has another size.
    let figures = |browser: &Browser| {
        let sums = browser.catalogue.sums(ROOT, Facet::default()).tally;
        (sums.files, sums.disk, browser.catalogue.own)
    };
    assert_eq!(figures(&browser), figures(&scanned(&session)));
}
