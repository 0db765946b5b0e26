//! Journeys by keys, and the screens that they lead to.

use super::*;

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
        assert_eq!((browser.order, names(&browser)[0].as_str()), (order, first), "{key}");
        let usual: Vec<String> = names(&browser);
        press(&mut browser, key);
        let reversed: Vec<String> = names(&browser).into_iter().rev().collect();
        assert_eq!(usual, reversed, "{key}");
    }
}

proptest! {
    #[test]
    fn a_filter_is_found_in_any_case(ends in "[a-cA-CäÄßK]{0,5}", text in "[a-bA-BäÄßkK]{1,2}") {
        let (name, text) = (format!("{ends}{text}{ends}"), text.to_lowercase());
        prop_assert!(matches(&name, &text));
        prop_assert_eq!(matches(&ends, &text), ends.to_lowercase().contains(&text));
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

#[test]
fn every_key_of_the_help_does_something() {
    let letters = crate::cli::browse::keys::HELP.iter().flat_map(|(keys, _)| keys.split([' ', ',']));
    let letters = letters.filter(|key| key.chars().count() == 1).flat_map(str::chars);
    // Those after `t` are of another question.
    let known = |letter: &char| {
        let mut browser = browser(store());
        browser.message = "a key that does nothing keeps this".into();
        let before = browser.message.clone();
        browser.key(PressedKey::Character(*letter)).is_some() || browser.message != before
    };
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
