//! A real store: its figures beside those of `du`, and a removal.

use super::*;
use pycstore::verdict::policy::ChosenEntry;

/// A store on the disk, with sources that are there, were changed and were deleted; its session, and the store's path.
pub(super) fn real_store(
    temporary: &tempfile::TempDir,
) -> (crate::cli::session::Session, std::path::PathBuf) {
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
    let troubles = crate::cli::browse::collect::scan(&opened, &policy, circumstances, &stop, &sender);
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
        let mut usage = usage.unwrap();
        let sums = browser.catalogue.sums(ROOT, Facet::default());
        assert_eq!((sums.tally, sums.reclaimable), (usage.total, usage.reclaimable));
        assert_eq!(browser.catalogue.own, usage.directories);
        let place = match dimension {
            Dimension::Owner => OpenPlace::Below(ROOT, Facet::default()),
            Dimension::Status => OpenPlace::Statuses,
            _ => OpenPlace::Tags,
        };
        let rows = RowList::of(&browser.catalogue, place, None);
        let sums = (0..rows.len()).map(|at| rows.row(&browser.catalogue, at).unwrap().sums);
        let mut shown: Vec<_> = sums.map(|sums| (sums.tally, sums.reclaimable)).collect();
        let mut groups: Vec<_> =
            usage.take_groups().iter().map(|it| (it.share.tally, it.share.reclaimable)).collect();
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
    let reclaimable = ["again", "orphan", "stale", "x"].map(|name| format!("{name}.cpython-312.pyc"));
    assert_eq!(marked(&browser), reclaimable);
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

#[test]
fn a_large_directory_comes_in_parts_and_is_one() {
    use crate::cli::browse::collect::LARGEST_BATCH;
    let temporary = tempfile::tempdir().unwrap();
    let (session, mirror) = real_store(&temporary);
    let entry = std::fs::read(mirror.join("gone/x.cpython-312.pyc")).unwrap();
    let files = LARGEST_BATCH + 2;
    for file in 1..files {
        std::fs::write(mirror.join(format!("gone/{file}.cpython-312.pyc")), &entry).unwrap();
    }
    let mut browser = scanned(&session);
    let parts: Vec<u32> = browser.catalogue.directories.iter().map(|part| part.count).collect();
    assert!(parts.contains(&(LARGEST_BATCH as u32)) && parts.contains(&2), "{parts:?}");
    let opened = session.open(pycstore::store::Purpose::Look).unwrap();
    let (view, focus) = Default::default();
    let trust = pycstore::verdict::status::UncheckedHashes::Trust;
    let usage = crate::cli::selection::count(&session, &opened, trust, &[], (&view, &focus)).unwrap();
    let total = browser.catalogue.sums(ROOT, Facet::default()).tally;
    assert_eq!((total, browser.catalogue.own), (usage.total, usage.directories));
    press(&mut browser, "a");
    let (chosen, indexes) = browser.catalogue.chosen();
    assert_eq!((chosen.len(), indexes.len()), (files + 3, files + 3));
    let path = |it: &ChosenEntry| (it.entry.relative.clone(), it.entry.name.clone());
    assert!(chosen.is_sorted_by(|one, other| path(one) < path(other)));
}
