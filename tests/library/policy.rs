//! Which entries a prune may remove: data and pure functions. `now` is an argument.

use pycstore::pyc::Magic;
use pycstore::pyc::name::Name;
use pycstore::source::Source;
use pycstore::source::owner::Presence;
use pycstore::source::{SourceFile, Why};
use pycstore::store::entry::FileKind;
use pycstore::store::entry::{Content, Entry, Metadata, SeenEntry};
use pycstore::store::scan::Question;
use pycstore::units::Moment;
use pycstore::verdict::emptied::DirectoryRule;
use pycstore::verdict::policy::*;
use pycstore::verdict::premise::Premise;
use pycstore::verdict::status::{Corrupt, Orphan, Stale};
use pycstore::verdict::status::{Status, UncheckedHashes};
use std::path::Path;

const DAY: i64 = 86_400;
const NOW: Moment = Moment { seconds: 1000 * DAY, nanoseconds: 0 };

/// An entry written and last read so many days ago.
fn entry(name: &'static str, modified: i64, accessed: i64, content: Content) -> Entry<'static> {
    let days_ago = |days: i64| Moment { seconds: NOW.seconds - days * DAY, nanoseconds: 0 };
    let metadata = Metadata {
        kind: FileKind::Regular,
        identity: (1, 1),
        links: 1,
        mode: 0o100_644,
        user: 0,
        group: 0,
        bytes: 100,
        disk: 4096,
        modified: days_ago(modified),
        accessed: days_ago(accessed),
        changed: days_ago(modified),
    };
    let name = name.as_bytes();
    Entry { metadata: Some(metadata), content, ..Entry::named(name, Name::parse(name)) }
}

fn good() -> Content {
    Content::of(b"\xcb\x0d\r\n\0\0\0\0\0\0\0\0\0\0\0\0")
}

fn judge(policy: &Policy, entry: &Entry<'_>, status: Status) -> Verdict {
    let is_dead = |tag: &str, _: Magic| tag == "cpython-39";
    policy.judge(entry, status, &Circumstances { now: NOW, clock: Clock::Access, is_dead: &is_dead })
}

#[test]
fn each_selector_takes_its_own() {
    let file = entry("m.cpython-312.pyc", 5, 4, good());
    let statuses = [
        (Status::Fresh, None),
        (Status::Orphan(Orphan::Root), Some(Selector::Orphans)),
        (Status::Stale(Stale::Mtime), Some(Selector::Stale)),
        (Status::Corrupt(Corrupt::Truncated), Some(Selector::Corrupt)),
        (Status::Unknown(Why::Unmounted), None),
        (Status::Foreign, None),
    ];
    for (status, own) in statuses {
        for selector in [Selector::Orphans, Selector::Stale, Selector::Corrupt, Selector::Temporary] {
            let verdict = judge(&Policy::of([selector]), &file, status);
            assert_eq!(verdict.is_condemned(), own == Some(selector), "{selector:?} {status:?}");
        }
        let takes = judge(&Policy::of([Selector::Forgotten]), &file, status).is_condemned();
        assert_eq!(takes, status != Status::Foreign, "{status:?}");
    }
}

#[test]
fn what_is_no_bytecode_goes_with_corrupt_and_all_only() {
    let zeros = entry("m.cpython-312.pyc", 5, 4, Content::of(&[0; 16]));
    let status = Status::Orphan(Orphan::Source);
    for (selectors, expected) in [
        (vec![Selector::Orphans], Verdict::Spare(Spared::NotBytecode)),
        (vec![Selector::Forgotten], Verdict::Spare(Spared::NotBytecode)),
        (vec![Selector::Orphans, Selector::Corrupt], Verdict::Condemn),
        (vec![Selector::Corrupt], Verdict::Condemn),
        (vec![Selector::Stale, Selector::Temporary], Verdict::Keep),
        (vec![Selector::All], Verdict::Condemn),
    ] {
        assert_eq!(judge(&Policy::of(selectors), &zeros, status), expected);
    }
}

#[test]
fn what_cannot_be_read_stays_whatever_is_asked() {
    let unreadable = entry("m.cpython-39.pyc", 5, 4, Content::Unreadable(Why::Permission));
    let cut = entry("m.cpython-39.pyc", 5, 4, Content::of(b"\xcb\x0d\r\n"));
    let orphan = Status::Orphan(Orphan::Source);
    for selector in [Selector::Orphans, Selector::Forgotten, Selector::All] {
        let verdict = judge(&Policy::of([selector]), &unreadable, orphan);
        assert_eq!(verdict, Verdict::Spare(Spared::Unreadable), "{selector:?}");
    }
    // It cannot be told which interpreter would load them.
    let dead = Policy::of([Selector::DeadInterpreters]);
    assert_eq!(judge(&dead, &unreadable, Status::Unknown(Why::Permission)), Verdict::Keep);
    assert_eq!(judge(&dead, &cut, Status::Corrupt(Corrupt::Truncated)), Verdict::Keep);
    // A budget evicts only what is known to be bytecode.
    let budget = Policy { budget: Budget { disk: Some(0), files: None }, ..Policy::default() };
    assert_eq!(judge(&budget, &unreadable, orphan), Verdict::Keep);
    let zeros = entry("m.cpython-39.pyc", 5, 4, Content::of(&[0; 16]));
    assert_eq!(judge(&budget, &zeros, orphan), Verdict::Keep);
}

#[test]
fn what_was_chosen_stays_if_it_may_be_of_use_elsewhere() {
    let good = |age| entry("m.cpython-312.pyc", age, age, good());
    let unreadable = entry("m.cpython-312.pyc", 5, 4, Content::Unreadable(Why::Permission));
    for (entry, status, expected) in [
        (good(5), Status::Fresh, Verdict::Condemn),
        (good(5), Status::Stale(Stale::Mtime), Verdict::Condemn),
        (good(5), Status::Foreign, Verdict::Keep),
        (good(5), Status::Unknown(Why::Unmounted), Verdict::Keep),
        (good(0), Status::Temporary, Verdict::Keep),
        (good(5), Status::Temporary, Verdict::Condemn),
        (unreadable, Status::Orphan(Orphan::Source), Verdict::Spare(Spared::Unreadable)),
    ] {
        let circumstances = Circumstances { now: NOW, clock: Clock::Access, is_dead: &|_, _| false };
        let policy = Policy::of([Selector::Listed]);
        assert_eq!(policy.judge_listed(&entry, status, &circumstances), expected, "{status:?}");
    }
}

#[test]
fn a_young_temporary_stays_whatever_is_asked() {
    let young = entry("m.cpython-312.pyc.77", 0, 0, good());
    let old = entry("m.cpython-312.pyc.77", 1, 1, good());
    for selector in [Selector::Temporary, Selector::Forgotten, Selector::All] {
        assert_eq!(judge(&Policy::of([selector]), &young, Status::Temporary), Verdict::Keep);
        assert_eq!(judge(&Policy::of([selector]), &old, Status::Temporary), Verdict::Condemn);
    }
}

/// Ages in seconds; those in the future are negative.
#[test]
fn a_temporary_dated_in_the_future_becomes_old_as_well() {
    const YEARS: i64 = 14 * 365 * DAY;
    let ago = |seconds: i64| Moment { seconds: NOW.seconds - seconds, nanoseconds: 0 };
    for (modified, changed, is_old) in [
        (0, 0, false),
        // The inode changed before: the clock was set back, or the moment is an earlier one.
        (0, 7200, false),
        (3599, 3599, false),
        (3600, 3600, true),
        // The times of a copy are those of its original.
        (7200, 0, true),
        (-YEARS, 0, false),
        (-YEARS, 3599, false),
        (-YEARS, 3600, true),
        (-YEARS, -YEARS, true),
        (-1, 3600, true),
        // Another machine's clock is ahead of ours.
        (-300, -300, false),
        (-DAY, -DAY, false),
    ] {
        let mut file = entry("m.cpython-312.pyc.77", 0, 0, good());
        let metadata = file.metadata.as_mut().unwrap();
        (metadata.modified, metadata.changed) = (ago(modified), ago(changed));
        let expected = if is_old { Verdict::Condemn } else { Verdict::Keep };
        let verdict = judge(&Policy::of([Selector::Temporary]), &file, Status::Temporary);
        assert_eq!(verdict, expected, "modified {modified} s ago, changed {changed} s ago");
    }
}

#[test]
fn dead_and_unused_entries_go_when_asked() {
    let dead = entry("m.cpython-39.pyc", 5, 4, good());
    let alive = entry("m.cpython-312.pyc", 5, 4, good());
    let policy = Policy::of([Selector::DeadInterpreters]);
    assert!(judge(&policy, &dead, Status::Fresh).is_condemned());
    assert!(!judge(&policy, &alive, Status::Fresh).is_condemned());
    assert!(judge(&policy, &dead, Status::Unknown(Why::NoTrace)).is_condemned());
    assert!(!judge(&policy, &alive, Status::Unknown(Why::NoTrace)).is_condemned());
    let unused = |days: i64| Policy { unused_for: Some(days * DAY), ..Policy::default() };
    assert!(judge(&unused(4), &alive, Status::Fresh).is_condemned());
    assert!(!judge(&unused(5), &alive, Status::Fresh).is_condemned(), "read four days ago");
    assert!(judge(&unused(4), &alive, Status::Unknown(Why::NoTrace)).is_condemned());
    assert!(!judge(&unused(5), &alive, Status::Unknown(Why::NoTrace)).is_condemned());
}

#[test]
fn a_budget_values_entries_in_the_order_of_their_use() {
    let policy = Policy { budget: Budget { disk: Some(0), files: None }, ..Policy::default() };
    let value = |entry: &Entry<'_>, status| match judge(&policy, entry, status) {
        Verdict::Evictable(value) => value,
        other => panic!("{other:?}"),
    };
    let used_long_ago = entry("m.cpython-312.pyc", 90, 80, good());
    let used_today = entry("m.cpython-312.pyc", 90, 0, good());
    let never_read = entry("m.cpython-312.pyc", 1, 1, good());
    let dead = entry("m.cpython-39.pyc", 1, 0, good());
    let rising = [
        value(&entry("m.cpython-312.pyc.7", 1, 0, good()), Status::Temporary),
        value(&entry("m.cpython-312.pyc", 1, 0, Content::of(b"ab")), Status::Corrupt(Corrupt::Truncated)),
        value(&used_today, Status::Orphan(Orphan::Source)),
        value(&used_today, Status::Stale(Stale::Size)),
        value(&dead, Status::Fresh),
        value(&never_read, Status::Fresh),
        value(&used_long_ago, Status::Fresh),
        value(&used_today, Status::Fresh),
    ];
    assert!(rising.is_sorted() && rising.windows(2).all(|pair| pair[0] < pair[1]), "{rising:?}");
    let unknown = value(&used_today, Status::Unknown(Why::NoTrace));
    assert_eq!(unknown, value(&used_today, Status::Fresh), "as if its source were there");
    assert_eq!(judge(&policy, &used_today, Status::Foreign), Verdict::Keep);
}

#[test]
fn a_fault_in_the_body_is_taken_by_two_selectors() {
    let file = entry("m.cpython-312.pyc", 5, 4, good());
    let takes =
        |selector, fault| judge(&Policy::of([selector]), &file, Status::Corrupt(fault)).is_condemned();
    for (selector, body, other) in [
        (Selector::Bodies, true, false),
        (Selector::Corrupt, true, true),
        (Selector::Stale, false, false),
        (Selector::Listed, false, false),
    ] {
        assert_eq!(takes(selector, Corrupt::Body), body, "{selector:?}");
        assert_eq!(takes(selector, Corrupt::Truncated), other, "{selector:?}");
    }
}

#[test]
fn each_selector_and_each_limit_asks_its_own() {
    let with = |disk, files| Policy { budget: Budget { disk, files }, ..Policy::default() };
    let all = Question::Everything(UncheckedHashes::Trust);
    let unused = Policy { unused_for: Some(1), ..Policy::default() };
    let (one, both) = (Policy::of([Selector::Orphans]), [Selector::Orphans, Selector::Stale]);
    for (policy, question, interpreters, rule) in [
        (one.clone(), Question::Orphans, false, DirectoryRule::SourcesDeleted),
        (Policy::of(both), all, false, DirectoryRule::SourcesDeleted),
        (Policy { unused_for: Some(1), ..one.clone() }, all, false, DirectoryRule::SourcesDeleted),
        (Policy { budget: with(Some(1), None).budget, ..one }, all, true, DirectoryRule::SourcesDeleted),
        (unused, all, false, DirectoryRule::SourcesDeleted),
        (with(Some(0), None), all, true, DirectoryRule::SourcesDeleted),
        (with(None, Some(0)), all, true, DirectoryRule::SourcesDeleted),
        (Policy::of([Selector::DeadInterpreters]), all, true, DirectoryRule::SourcesDeleted),
        (Policy::of([Selector::Corrupt]), all, false, DirectoryRule::SourcesDeleted),
        (Policy::of([Selector::All]), all, false, DirectoryRule::Emptied),
        (Policy::of([Selector::Forgotten]), all, false, DirectoryRule::Emptied),
    ] {
        assert_eq!(policy.question(), question, "{policy:?}");
        assert_eq!(policy.asks_interpreters(), interpreters, "{policy:?}");
        assert_eq!(policy.directory_rule(), rule, "{policy:?}");
    }
}

#[test]
fn what_is_removed_for_its_source_goes_only_while_that_is_as_it_was() {
    use Presence::{Absent, Present};
    let file = SourceFile {
        python_mtime: 7,
        pinned_mtime: 7,
        modified: Moment { seconds: 7, nanoseconds: 8 },
        changed: NOW,
        links: 1,
        bytes: 9,
        hash: None,
    };
    let path = |path: &str| Some(Box::from(Path::new(path)));
    let unchanged =
        |path| Premise::SourceUnchanged(Box::new((path, Moment { seconds: 7, nanoseconds: 8 }, 9)));
    let (orphan, stale) = (Status::Orphan(Orphan::Source), Status::Stale(Stale::Mtime));
    let (by_source, all) = (Policy::reclaimable(), Policy::of([Selector::Orphans, Selector::All]));
    let forgotten = Policy::of([Selector::Forgotten]);
    for (policy, status, sources, recorded, other, expected) in [
        (&by_source, orphan, Absent, None, None, Premise::DirectoryMissing),
        (&by_source, orphan, Absent, path("/r.py"), None, Premise::SourceMissing(path("/r.py"))),
        (&by_source, orphan, Present, None, None, Premise::SourceMissing(None)),
        (&by_source, orphan, Present, None, Some("m.pyw"), Premise::SourceMissing(path("m.pyw"))),
        (&by_source, orphan, Present, path("/r.py"), Some("x"), Premise::SourceMissing(path("/r.py"))),
        (&by_source, orphan, Presence::Unreachable, None, None, Premise::SourceMissing(None)),
        (&by_source, stale, Present, None, None, unchanged(None)),
        (&by_source, stale, Present, None, Some("m.pyw"), unchanged(path("m.pyw"))),
        (&by_source, stale, Present, path("/r.py"), None, unchanged(path("/r.py"))),
        (&by_source, Status::Corrupt(Corrupt::Truncated), Present, None, None, Premise::None),
        (&by_source, Status::Fresh, Present, None, None, Premise::None),
        (&all, orphan, Absent, None, None, Premise::None),
        (&all, stale, Present, None, None, Premise::None),
        (&forgotten, orphan, Present, None, None, Premise::None),
    ] {
        let mut entry = entry("m.cpython-312.pyc", 5, 4, good());
        (entry.recorded, entry.other_name) = (recorded, other.map(|name| name.as_bytes().into()));
        entry.source = if sources == Present { Source::Present(file) } else { Source::NotAsked };
        assert_eq!(policy.premise(sources, &entry, status), expected, "{status:?} {sources:?}");
    }
}

#[test]
fn a_listed_entry_is_taken_as_long_as_it_is_the_same_file() {
    let mut file = entry("m.cpython-312.pyc", 5, 4, good());
    let other = entry("n.cpython-312.pyc", 5, 4, good());
    let listed = [("a", &file), ("a", &other), ("b", &file)];
    let listed = listed.map(|(directory, entry)| ChosenEntry {
        entry: SeenEntry::new(directory.as_bytes(), entry).unwrap(),
        status: Status::Stale(Stale::Mtime),
    });
    let policy = Policy { listed: std::sync::Arc::new(listed.into()), ..Policy::of([Selector::Listed]) };
    let lists_as = |file: &Entry<'_>, status| {
        ["a", "b", "c"].map(|directory| policy.lists(directory.as_bytes(), file, status))
    };
    // Another reason for the same status does not matter, another status does.
    let lists = |file: &Entry<'_>| lists_as(file, Status::Stale(Stale::Size));
    assert_eq!(lists_as(&file, Status::Fresh), [false; 3]);
    assert_eq!(lists(&file), [true, true, false]);
    assert_eq!(lists(&other), [true, false, false]);
    file.metadata.as_mut().unwrap().bytes += 1;
    assert_eq!(lists(&file), [false; 3]);
    assert!(!Policy::of([Selector::Listed]).lists(b"a", &other, Status::Stale(Stale::Size)));
}

#[test]
fn each_selector_and_each_reason_to_keep_a_file_has_a_name() {
    let selectors = [
        (Selector::Orphans, "orphans"),
        (Selector::Stale, "stale"),
        (Selector::Corrupt, "corrupt"),
        (Selector::Bodies, "bodies"),
        (Selector::Temporary, "temporary"),
        (Selector::Listed, "verify"),
        (Selector::DeadInterpreters, "dead-interpreters"),
        (Selector::Forgotten, "forget"),
        (Selector::All, "all"),
    ];
    selectors.iter().for_each(|(selector, name)| assert_eq!(selector.name(), *name));
    for (why, name, word) in [
        (Spared::NotBytecode, "not-bytecode", "--corrupt"),
        (Spared::Unreadable, "unreadable", "read"),
        (Spared::Changed, "changed", "changed"),
        (Spared::SourceReturned, "source-returned", "there again"),
        (Spared::SourceChanged, "source-changed", "source changed"),
        (Spared::SourceRecorded, "source-recorded", "records"),
    ] {
        assert_eq!(why.name(), name);
        assert!(why.explanation().contains(word), "{name}");
    }
}
