//! Checks of edits of the user's text files, for arbitrary bytes in them.

#![allow(clippy::unwrap_used, reason = "a check panics where something is wrong")]

use crate::crontab::{self, CrontabLine, DailyTime};
use crate::edits::block::{Block, BlockError, Placement, Rest};
use crate::setup::vscode;

const SETUP: Block = Block { name: "pycstore", comment: "#" };
const SCHEDULE: Block = Block { name: "pycstore schedule", comment: "#" };
const VIM: Block = Block { name: "pycstore", comment: "\"" };
const LINES: &[u8] = b"a\nb\n";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A startup file: adding and removing a block restores it, and nothing outside the block changes.
pub fn block(text: &[u8]) {
    for block in [SETUP, SCHEDULE, VIM] {
        for placement in [Placement::Top, Placement::End] {
            let put = block.insert(Some(text), 0, LINES, placement);
            match block.remove(text) {
                Ok(Rest::Untouched) => {
                    let with = put.unwrap();
                    is_insertion(text, &with);
                    assert_eq!(block.remove(&with), Ok(Rest::Text(text.to_vec())));
                    assert_eq!(block.insert(Some(&with), 7, LINES, placement).unwrap(), with);
                    assert_eq!(block.lines_in(&with).unwrap().unwrap(), [b"a", b"b"]);
                    assert_eq!(block.blanked(text).unwrap(), text);
                }
                Ok(rest) => {
                    // Another block in its place leaves the same.
                    assert_eq!(block.remove(&put.unwrap()).as_ref(), Ok(&rest));
                    is_removal(block, text, &rest);
                    let blanked = block.blanked(text).unwrap();
                    assert_eq!(rows(&blanked).count(), rows(text).count());
                }
                Err(error) => {
                    assert_eq!(put, Err(error));
                    assert_eq!(block.lines_in(text), Err(error));
                    let (BlockError::NoEnd(line) | BlockError::NoBeginning(line) | BlockError::Second(line)) =
                        error;
                    assert!((1..=rows(text).count()).contains(&line));
                }
            }
        }
    }
}

fn rows(text: &[u8]) -> impl Iterator<Item = &[u8]> {
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
    let start = rows(plain).position(|line| is_marker(line, ">>>")).unwrap();
    let end = rows(plain).position(|line| is_marker(line, "<<<")).unwrap();
    let outside = rows(plain).enumerate().filter(|(at, _)| !(start..=end).contains(at));
    let mut expected = mark.to_vec();
    for (_, line) in outside {
        expected.extend(line);
    }
    match rest {
        Rest::NoFile(_) => assert!(expected.is_empty()),
        Rest::Untouched => panic!("there is a block"),
        Rest::Text(rest) => {
            let unended = expected.strip_suffix(b"\n").unwrap_or(&expected);
            let is_remark = |line: &[u8]| line.ends_with(b" this block)\n");
            // Another block of ours may have been given the remark that this one had.
            let handed_on = (0..rows(rest).count()).any(|without| {
                is_remark(rows(rest).nth(without).unwrap())
                    && rows(rest)
                        .enumerate()
                        .filter(|(at, _)| *at != without)
                        .map(|it| it.1)
                        .eq(rows(&expected))
            });
            assert!(*rest == expected || rest == unended || handed_on);
        }
    }
}

/// A crontab: both of our blocks can be added and removed in any order, and the variables of its jobs are found in its text.
pub fn crontab(text: &[u8]) {
    let blocks = [(SETUP, Placement::Top), (SCHEDULE, Placement::End)];
    let are_there = blocks.iter().any(|(block, _)| block.remove(text) != Ok(Rest::Untouched));
    // crontab(1) takes no text whose last line has no end.
    let is_crontab = text.last().is_none_or(|last| *last == b'\n');
    if is_crontab && !are_there {
        for [first, last] in [[0, 1], [1, 0]].map(|order| order.map(|at| blocks[at])) {
            let one = first.0.insert(Some(text), 0, LINES, first.1).unwrap();
            let both = last.0.insert(Some(&one), 0, LINES, last.1).unwrap();
            for [first, last] in [[0, 1], [1, 0]].map(|order| order.map(|at| blocks[at].0)) {
                let Ok(Rest::Text(rest)) = first.remove(&both) else { panic!("{first:?}") };
                assert_eq!(last.remove(&rest), Ok(Rest::Text(text.to_vec())), "{}", both.escape_ascii());
            }
        }
    }
    let mut last = 0;
    for (number, line) in crontab::lines(text) {
        assert!(number > last);
        last = number;
        let parts = match line {
            CrontabLine::Variable { name, value } => [name, value],
            CrontabLine::Job(job) => [job, job],
        };
        let row = text.split(|&byte| byte == b'\n').nth(number - 1).unwrap();
        let is_in_row = |part: &&[u8]| part.is_empty() || row.windows(part.len()).any(|it| it == *part);
        assert!(parts.iter().all(is_in_row));
    }
    for time in rows(text).filter_map(DailyTime::parse) {
        assert!(time.hour < 24 && time.minute < 60);
    }
}

/// The settings.json of an editor: what was added is removed again, and everything else is unchanged.
pub fn settings(text: &[u8]) {
    const BEGIN: &[u8] = b"/* >>> pycstore >>> */";
    let has_block = text.windows(BEGIN.len()).any(|part| part == BEGIN);
    if !has_block {
        assert_eq!(vscode::remove(text), Ok(Some(text.to_vec())), "nothing is ours");
    } else if let Ok(Some(rest)) = vscode::remove(text) {
        assert!(rest.len() <= text.len());
    }
    let Ok(with) = vscode::insert(Some(text)) else { return };
    assert_eq!(vscode::insert(Some(&with)).as_ref(), Ok(&with), "the second time there is nothing to do");
    if !has_block && with != text {
        is_insertion(text, &with);
        assert_eq!(vscode::remove(&with), Ok(Some(text.to_vec())), "{}", with.escape_ascii());
    }
}
