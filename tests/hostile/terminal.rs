//! Checks of the binary's parsers for arbitrary bytes; those of the library are in `library.rs`.

#![allow(clippy::unwrap_used, reason = "a check panics where something is wrong")]

use super::config::Configuration;
use super::edits::block::{Block, BlockError, Placement, Rest};
use super::schedule::cron::Time;
use super::setup::vscode;
use pycstore::doctor::cron as crontab_of_user;
use pycstore::environment::Environment;
use pycstore::history::Run;
use pycstore::history::journal::Recorded;
use pycstore::json;
use pycstore::units::{date, human};
use pycstore::verdict::scope::Keep;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

/// Panics if the result for these bytes is wrong.
pub type Check = fn(&[u8]);

/// The checks by the names of their corpora.
pub const TARGETS: [(&str, Check); 5] = [
    ("block", block),
    ("crontab", crontab),
    ("settings", settings),
    ("history", history),
    ("configuration", configuration),
];

const SETUP: Block = Block { name: "pycstore", comment: "#" };
const SCHEDULE: Block = Block { name: "pycstore schedule", comment: "#" };
const VIM: Block = Block { name: "pycstore", comment: "\"" };
const LINES: &[u8] = b"a\nb\n";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A startup file: adding and removing a block restores it, and nothing outside the block changes.
pub fn block(text: &[u8]) {
    for block in [SETUP, SCHEDULE, VIM] {
        for placement in [Placement::Top, Placement::End] {
            let put = block.put(Some(text), 0, LINES, placement);
            match block.take(text) {
                Ok(Rest::Untouched) => {
                    let with = put.unwrap();
                    is_insertion(text, &with);
                    assert_eq!(block.take(&with), Ok(Rest::Text(text.to_vec())));
                    assert_eq!(block.put(Some(&with), 7, LINES, placement).unwrap(), with);
                    assert_eq!(block.lines_in(&with).unwrap().unwrap(), [b"a", b"b"]);
                    assert_eq!(block.blanked(text).unwrap(), text);
                }
                Ok(rest) => {
                    // Another block in its place leaves the same.
                    assert_eq!(block.take(&put.unwrap()).as_ref(), Ok(&rest));
                    is_removal(block, text, &rest);
                    let blanked = block.blanked(text).unwrap();
                    assert_eq!(lines(&blanked).count(), lines(text).count());
                }
                Err(error) => {
                    assert_eq!(put, Err(error));
                    assert_eq!(block.lines_in(text), Err(error));
                    let (BlockError::NoEnd(line) | BlockError::NoBeginning(line) | BlockError::Second(line)) =
                        error;
                    assert!((1..=lines(text).count()).contains(&line));
                }
            }
        }
    }
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|&byte| byte == b'\n')
}

/// Something was put into a text, in one piece.
#[track_caller]
fn is_insertion(text: &[u8], with: &[u8]) {
    let same = |one: &u8, other: &u8| one == other;
    let before = text.iter().zip(with).take_while(|(one, other)| same(one, other)).count();
    let behind = text.iter().rev().zip(with.iter().rev()).take_while(|(one, other)| same(one, other)).count();
    assert!(with.len() > text.len() && before + behind >= text.len());
}

/// What is left is the lines that are not between the markers.
#[track_caller]
fn is_removal(block: Block, text: &[u8], rest: &Rest) {
    let (mark, plain) =
        text.split_at(if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 });
    let is_marker = |line: &[u8], marker: &str| {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        line == format!("{} {marker} {} {marker}", block.comment, block.name).as_bytes()
    };
    let start = lines(plain).position(|line| is_marker(line, ">>>")).unwrap();
    let end = lines(plain).position(|line| is_marker(line, "<<<")).unwrap();
    let outside = lines(plain).enumerate().filter(|(at, _)| !(start..=end).contains(at));
    let mut expected = mark.to_vec();
    outside.for_each(|(_, line)| expected.extend(line));
    match rest {
        Rest::NoFile(_) => assert!(expected.is_empty()),
        Rest::Untouched => panic!("there is a block"),
        Rest::Text(rest) => {
            let unended = expected.strip_suffix(b"\n").unwrap_or(&expected);
            let is_remark = |line: &[u8]| line.ends_with(b" this block)\n");
            // Another block of ours may have been given the remark that this one had.
            let handed_on = (0..lines(rest).count()).any(|without| {
                is_remark(lines(rest).nth(without).unwrap())
                    && lines(rest)
                        .enumerate()
                        .filter(|(at, _)| *at != without)
                        .map(|it| it.1)
                        .eq(lines(&expected))
            });
            assert!(*rest == expected || rest == unended || handed_on);
        }
    }
}

/// A crontab: both of our blocks can be added and removed in any order, and the variables of its jobs are found in its text.
pub fn crontab(text: &[u8]) {
    let blocks = [(SETUP, Placement::Top), (SCHEDULE, Placement::End)];
    let are_there = blocks.iter().any(|(block, _)| block.take(text) != Ok(Rest::Untouched));
    // crontab(1) takes no text whose last line has no end.
    let is_crontab = text.last().is_none_or(|last| *last == b'\n');
    if is_crontab && !are_there {
        for [first, last] in [[0, 1], [1, 0]].map(|order| order.map(|at| blocks[at])) {
            let one = first.0.put(Some(text), 0, LINES, first.1).unwrap();
            let both = last.0.put(Some(&one), 0, LINES, last.1).unwrap();
            for [first, last] in [[0, 1], [1, 0]].map(|order| order.map(|at| blocks[at].0)) {
                let Ok(Rest::Text(rest)) = first.take(&both) else { panic!("{first:?}") };
                assert_eq!(last.take(&rest), Ok(Rest::Text(text.to_vec())), "{}", both.escape_ascii());
            }
        }
    }
    for (_, setting) in crontab_of_user::read(text) {
        let setting = setting.unwrap();
        for value in setting.prefix.iter().chain(&setting.writes_nothing) {
            let value = value.as_bytes();
            assert!(value.is_empty() || text.windows(value.len()).any(|part| part == value));
        }
    }
    let _ = crontab_of_user::prunes(text);
    for time in lines(text).filter_map(Time::of_line) {
        assert!(time.hour < 24 && time.minute < 60);
    }
}

/// The settings.json of an editor: what was added is removed again, and everything else is unchanged.
pub fn settings(text: &[u8]) {
    const BEGIN: &[u8] = b"/* >>> pycstore >>> */";
    let has_block = text.windows(BEGIN.len()).any(|part| part == BEGIN);
    if !has_block {
        assert_eq!(vscode::take(text), Ok(Some(text.to_vec())), "nothing is ours");
    } else if let Ok(Some(rest)) = vscode::take(text) {
        assert!(rest.len() <= text.len());
    }
    let Ok(with) = vscode::put(Some(text)) else { return };
    assert_eq!(vscode::put(Some(&with)).as_ref(), Ok(&with), "the second time there is nothing to do");
    if !has_block && with != text {
        is_insertion(text, &with);
        assert_eq!(vscode::take(&with), Ok(Some(text.to_vec())), "{}", with.escape_ascii());
    }
}

/// The history of a store: a line that cannot be parsed affects no other line.
pub fn history(contents: &[u8]) {
    let recorded = Recorded::parse(contents);
    let contents = contents.strip_suffix(b"\n").unwrap_or(contents);
    let alone = |line: &[u8]| Recorded::parse(&[line, b"\n"].concat());
    let each: Vec<Recorded> = contents.split(|&byte| byte == b'\n').map(alone).collect();
    let runs: Vec<&Run> = each.iter().flat_map(|line| &line.runs).collect();
    assert!(runs.iter().copied().eq(&recorded.runs));
    let torn = each.iter().enumerate().filter(|(_, line)| !line.torn.is_empty()).map(|(at, _)| at + 1);
    assert!(contents.is_empty() || torn.eq(recorded.torn.iter().copied()));
    let environment = Environment::of_test("/home/me");
    for run in &recorded.runs {
        let mut line = Vec::new();
        json::print(&mut line, run).unwrap();
        let mut again: Run = json::parse(&line).unwrap();
        // Its last digit may change.
        assert!((again.seconds - run.seconds).abs() <= run.seconds.abs() * 1e-12);
        again.seconds = run.seconds;
        assert_eq!(again, *run);
        // As `history` shows it.
        let shown = [
            date::ago(run.started, environment.now),
            date::local_minute(run.started),
            human::count(run.removed.files),
            human::size(run.removed.disk),
            human::duration(run.duration()),
            run.result(),
        ];
        assert!(shown.iter().all(|cell| !cell.is_empty() && !cell.contains('\n')));
    }
}

/// A configuration: valid values, or an error with a position in the file.
pub fn configuration(text: &[u8]) {
    let environment = Environment::of_test("/home/me");
    let parsed = Configuration::parse(Path::new("/c.toml"), text, &environment);
    let rows = lines(text).count() + 1;
    match parsed {
        Ok(configuration) => {
            let Configuration { store, threads, keep, assume_gone, .. } = &configuration;
            assert!(threads.is_none_or(|threads| (1..=512).contains(&threads.value)));
            for path in store.iter().chain(assume_gone) {
                let is_plain = |it| matches!(it, Component::RootDir | Component::Normal(_));
                assert!(path.value.is_absolute() && path.value.components().all(is_plain));
            }
            // Each alone can be understood; all of them together may be more than a set takes.
            for glob in keep {
                Keep::check(&glob.value).unwrap();
            }
            let _ = Keep::of(keep.iter().map(|glob| glob.value.as_str()));
            let again = Configuration::parse(Path::new("/c.toml"), text, &environment).unwrap();
            assert_eq!(again, configuration);
        }
        Err(error) => {
            let shown = error.to_string();
            let mut place = shown.strip_prefix("/c.toml:").unwrap().splitn(3, ':');
            let line: usize = place.next().unwrap().parse().unwrap();
            let column: usize = place.next().unwrap().parse().unwrap();
            assert!((1..=rows).contains(&line) && (1..=text.len() + 1).contains(&column));
            assert!(!shown.contains(['\n', '\r']) && !error.hint().is_empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_is_answered() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/corpus");
        let mut failed = Vec::new();
        for (name, check) in TARGETS {
            let files: Vec<_> =
                std::fs::read_dir(corpus.join(name)).unwrap().map(|it| it.unwrap().path()).collect();
            assert!(!files.is_empty(), "{name}");
            for file in files {
                let bytes = std::fs::read(&file).unwrap();
                if std::panic::catch_unwind(|| check(&bytes)).is_err() {
                    failed.push(file);
                }
            }
        }
        assert!(failed.is_empty(), "not answered: {failed:#?}");
    }
}
