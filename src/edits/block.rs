//! The marked block: the only part of a user's file that pycstore changes.
//!
//! ```text
//! # >>> pycstore >>>
//! export PYTHONPYCACHEPREFIX="$HOME/.cache/cpython"
//! # <<< pycstore <<<
//! ```
//!
//! A remark within the block records what cannot be seen afterwards: that the file was created for the block, how many
//! directories were created above it, or that the last line before the block had no line end. So removing the block restores the
//! original bytes. If another of our blocks stays in a file that was created for the removed one, that block gets the remark.
//!
//! # Invariants
//!
//! * Pure. `remove(insert(text)) == text` for every text without a block; `insert` twice is `insert` once.
//! * A damaged block (one marker without the other, or two blocks) is an error: it cannot be told which lines are ours.

use std::ops::Range;

/// A kind of marked block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// The name in the markers: `pycstore`, `pycstore schedule`.
    pub name: &'static str,
    /// The start of a comment in this kind of file.
    pub comment: &'static str,
}

/// Where a new block goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// At the beginning of the file, before any early return; after a shebang and a mode line.
    Top,
    /// At the end of the file.
    End,
}

/// The text after a block is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rest {
    /// Everything: there was no block.
    Untouched,
    /// The text without the block.
    Text(Vec<u8>),
    /// Nothing, in a file that was created for the block; with the number of directories that were created above it.
    NoFile(usize),
}

/// Why a block cannot be added or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// A beginning without an end.
    #[error("line {0}: this begins a block that has no end")]
    NoEnd(usize),
    /// An end without a beginning.
    #[error("line {0}: this ends a block that has no beginning")]
    NoBeginning(usize),
    /// A second block.
    #[error("line {0}: this begins a second block")]
    Second(usize),
}

/// The start of the names of all our blocks.
const OURS: &str = "pycstore";
const ENDED: &str = "(the line above had no end before this block)";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A block in a text.
struct FoundBlock {
    /// Both markers and the lines between them, with the end of the last line.
    range: Range<usize>,
    /// If the file was created for it, the number of directories that were created above it.
    made: Option<usize>,
    /// Whether the line above had no end.
    ended: bool,
}

/// Returns the remark in a block for which the file and this number of directories above it were created.
fn made(directories: usize) -> String {
    match directories {
        0 => "(this file was made for this block)".into(),
        1 => "(this file and its directory were made for this block)".into(),
        more => format!("(this file and {more} directories above it were made for this block)"),
    }
}

/// Returns the number of directories in that remark.
fn made_by(remark: &str) -> Option<usize> {
    let number =
        |it: &str| it.split(' ').find_map(|word| word.parse().ok()).unwrap_or(usize::from(it == made(1)));
    Some(number(remark)).filter(|directories| made(*directories) == remark)
}

impl Block {
    /// Returns the text with a block that holds `lines`, each with its end. Replaces an old block. For a new file, `missing` is the
    /// number of missing directories on its path.
    ///
    /// # Errors
    /// If the text has a damaged block.
    pub fn insert(
        &self,
        text: Option<&[u8]>,
        missing: usize,
        lines: &[u8],
        placement: Placement,
    ) -> Result<Vec<u8>, BlockError> {
        let old = text.unwrap_or_default();
        if let Some(found) = self.find(old)? {
            let remark = match (found.made, found.ended) {
                (Some(directories), _) => Some(made(directories)),
                (None, true) => Some(ENDED.into()),
                (None, false) => None,
            };
            let block = self.render(remark.as_deref(), lines);
            return Ok([&old[..found.range.start], &block, &old[found.range.end..]].concat());
        }
        let at = match placement {
            Placement::Top => self.beginning(old),
            Placement::End => old.len(),
        };
        let is_ended = at == start_of(old) || old[..at].ends_with(b"\n");
        let remark = match (text, is_ended) {
            (None, _) => Some(made(missing)),
            (Some(_), false) => Some(ENDED.into()),
            (Some(_), true) => None,
        };
        let newline: &[u8] = if is_ended { b"" } else { b"\n" };
        let block = self.render(remark.as_deref(), lines);
        Ok([&old[..at], newline, &block, &old[at..]].concat())
    }

    /// Returns the text without the block.
    ///
    /// # Errors
    /// If the text has a damaged block.
    pub fn remove(&self, text: &[u8]) -> Result<Rest, BlockError> {
        let Some(FoundBlock { range, made, ended }) = find(self.name, self.comment, text)? else {
            return Ok(Rest::Untouched);
        };
        let (mut before, after) = (&text[..range.start], &text[range.end..]);
        if ended && after.is_empty() {
            before = before.strip_suffix(b"\n").unwrap_or(before);
        }
        let rest = [before, after].concat();
        Ok(match made {
            Some(directories) if rest.is_empty() => Rest::NoFile(directories),
            Some(directories) => Rest::Text(self.handed_on(rest, directories)),
            None => Rest::Text(rest),
        })
    }

    /// Adds the remark that the file was created for it to another block of ours, if there is one.
    fn handed_on(&self, mut text: Vec<u8>, directories: usize) -> Vec<u8> {
        let Block { name: _, comment } = self;
        let begins = format!("{comment} >>> {OURS}");
        let name = lines_of(&text).find_map(|(_, line)| {
            let line = std::str::from_utf8(line).ok().filter(|line| line.starts_with(&begins))?;
            Some(line.strip_prefix(&format!("{comment} >>> "))?.strip_suffix(" >>>")?.to_string())
        });
        let other = name.and_then(|name| find(&name, comment, &text).ok().flatten());
        let Some(FoundBlock { range, made: None, ended: false }) = other else { return text };
        let first = lines_of(&text[range.clone()]).next().map_or(0, |(first, _)| first.end);
        let at = range.start + first;
        text.splice(at..at, format!("{comment} {}\n", made(directories)).into_bytes());
        text
    }

    /// Returns the lines between the markers without our remarks, if there is a block.
    ///
    /// # Errors
    /// If the text has a damaged block.
    pub fn lines_in<'t>(&self, text: &'t [u8]) -> Result<Option<Vec<&'t [u8]>>, BlockError> {
        let found = self.find(text)?;
        Ok(found.map(|found| {
            let lines: Vec<&[u8]> = lines_of(&text[found.range]).map(|(_, line)| line).collect();
            let within = lines.get(1..lines.len() - 1).unwrap_or_default();
            within.iter().copied().filter(|line| !self.is_remark(line)).collect()
        }))
    }

    /// Returns the text with every byte of the block replaced by a space, except line feeds: line numbers stay the same.
    ///
    /// # Errors
    /// If the text has a damaged block.
    pub fn blanked(&self, text: &[u8]) -> Result<Vec<u8>, BlockError> {
        let mut blanked = text.to_vec();
        if let Some(found) = self.find(text)? {
            for byte in blanked[found.range].iter_mut().filter(|byte| **byte != b'\n') {
                *byte = b' ';
            }
        }
        Ok(blanked)
    }

    fn render(&self, remark: Option<&str>, lines: &[u8]) -> Vec<u8> {
        let Block { name, comment } = self;
        let remark = remark.map(|remark| format!("{comment} {remark}\n")).unwrap_or_default();
        let begin = format!("{comment} >>> {name} >>>\n{remark}");
        let end = format!("{comment} <<< {name} <<<\n");
        [begin.as_bytes(), lines, end.as_bytes()].concat()
    }

    fn is_remark(&self, line: &[u8]) -> bool {
        remark_of(self.comment, line).is_some_and(|remark| remark == ENDED || made_by(remark).is_some())
    }

    fn find(&self, text: &[u8]) -> Result<Option<FoundBlock>, BlockError> {
        find(self.name, self.comment, text)
    }

    /// Returns the position of a block at the beginning of the text: after a shebang and an Emacs mode line, which only count in the
    /// first two lines. Any other comment there may belong to the next line (`#Ansible: NAME` in a crontab) or begin another
    /// program's block (`# BEGIN ANSIBLE MANAGED BLOCK`), which must stay together.
    fn beginning(&self, text: &[u8]) -> usize {
        let start = start_of(text);
        let stays_first = |(index, (_, line)): &(usize, (Range<usize>, &[u8]))| {
            let is_shebang = *index == 0 && line.starts_with(b"#!");
            let is_mode = line.starts_with(self.comment.as_bytes()) && has(line, b"-*-");
            is_shebang || is_mode
        };
        let first_lines = lines_of(&text[start..]).enumerate().take(2).take_while(stays_first);
        start + first_lines.last().map_or(0, |(_, (range, _))| range.end)
    }
}

fn has(line: &[u8], word: &[u8]) -> bool {
    line.windows(word.len()).any(|window| window == word)
}

/// Finds the block with this name.
fn find(name: &str, comment: &str, text: &[u8]) -> Result<Option<FoundBlock>, BlockError> {
    let begin = format!("{comment} >>> {name} >>>").into_bytes();
    let end = format!("{comment} <<< {name} <<<").into_bytes();
    let mut open: Option<(usize, FoundBlock)> = None;
    let mut found = None;
    let start = start_of(text);
    for (index, (range, line)) in lines_of(&text[start..]).enumerate() {
        let (number, range) = (index + 1, range.start + start..range.end + start);
        if line == begin {
            match &open {
                _ if found.is_some() => return Err(BlockError::Second(number)),
                Some((opened, _)) => return Err(BlockError::NoEnd(*opened)),
                None => open = Some((number, FoundBlock { range, made: None, ended: false })),
            }
        } else if line == end {
            let Some((_, mut block)) = open.take() else { return Err(BlockError::NoBeginning(number)) };
            block.range.end = range.end;
            found = Some(block);
        } else if let Some((_, block)) = &mut open {
            let remark = remark_of(comment, line);
            block.made = block.made.or(remark.and_then(made_by));
            block.ended |= remark == Some(ENDED);
        }
    }
    match open {
        Some((number, _)) => Err(BlockError::NoEnd(number)),
        None => Ok(found),
    }
}

/// Returns the text of a comment.
fn remark_of<'t>(comment: &str, line: &'t [u8]) -> Option<&'t str> {
    std::str::from_utf8(line).ok()?.strip_prefix(comment)?.strip_prefix(' ')
}

/// Returns the position after the byte order mark.
fn start_of(text: &[u8]) -> usize {
    if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 }
}

/// Returns the lines of a text: the range of each with its end, and the line without its end.
fn lines_of(text: &[u8]) -> impl Iterator<Item = (Range<usize>, &[u8])> {
    let mut start = 0;
    text.split_inclusive(|&byte| byte == b'\n').map(move |line| {
        let range = start..start + line.len();
        start = range.end;
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        // An editor may have converted all line ends to CRLF.
        (range, line.strip_suffix(b"\r").unwrap_or(line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHELL: Block = Block { name: "pycstore", comment: "#" };
    const OTHER: Block = Block { name: "pycstore schedule", comment: "#" };
    const VIM: Block = Block { name: "pycstore", comment: "\"" };

    fn put(text: &[u8], placement: Placement) -> Vec<u8> {
        SHELL.insert(Some(text), 0, b"export A=1\n", placement).unwrap()
    }

    #[test]
    fn a_block_goes_to_the_end_or_the_beginning() {
        let block = "# >>> pycstore >>>\nexport A=1\n# <<< pycstore <<<\n";
        assert_eq!(put(b"x\n", Placement::End), format!("x\n{block}").into_bytes());
        assert_eq!(put(b"x\n", Placement::Top), format!("{block}x\n").into_bytes());
        assert_eq!(
            put(b"\xef\xbb\xbfx\n", Placement::Top),
            [b"\xef\xbb\xbf", block.as_bytes(), b"x\n"].concat()
        );
        for first in ["#!/bin/sh\n", "# -*- mode: sh -*-\n", "#!/bin/sh\n# -*- sh -*-\n", "#!/bin/sh\r\n"] {
            let text = format!("{first}# what for\n\n# if\nreturn\n");
            let expected = format!("{first}{block}# what for\n\n# if\nreturn\n");
            assert_eq!(put(text.as_bytes(), Placement::Top), expected.into_bytes(), "{first}");
        }
    }

    /// Comments that belong to what follows them, as the programs write them that look for them again.
    #[test]
    fn a_block_at_the_beginning_parts_no_comment_from_its_line_and_no_block() {
        for text in [
            "#Ansible: backup\n0 2 * * * backup\n",
            "# Puppet Name: backup\n0 2 * * * backup\n",
            "# SALT_CRON_IDENTIFIER:backup\n0 2 * * * backup\n",
            "# Lines below here are managed by Salt, do not edit\n0 2 * * * backup\n",
            "# BEGIN ANSIBLE MANAGED BLOCK\nexport A=1\n# END ANSIBLE MANAGED BLOCK\n",
            "# BEGIN ANSIBLE MANAGED BLOCK\n\nexport A=1\n# END ANSIBLE MANAGED BLOCK\n",
            "# DO NOT EDIT THIS FILE - edit the master and reinstall.\n# (x installed)\n0 2 * * * x\n",
            "# >>> conda initialize >>>\n# !! ours\n# <<< conda initialize <<<\n",
            "### MANAGED BY X (DO NOT EDIT)\nexport PATH=x\n### END\n",
            "# Begin Whenever generated tasks for: app at: 2026-01-01\n# m\n0 1 * * * x\n",
            "#compdef x\n# what for\nx\n",
            "# only\n# comments",
        ] {
            let with = String::from_utf8(put(text.as_bytes(), Placement::Top)).unwrap();
            assert!(with.ends_with(text), "{with}");
            assert_eq!(SHELL.remove(with.as_bytes()), Ok(Rest::Text(text.into())), "{with}");
        }
    }

    #[test]
    fn removing_a_block_restores_the_text() {
        let texts: [&[u8]; 16] = [
            b"",
            b"\n",
            b"x",
            b"x\n",
            b"x\r\ny\r\n",
            b"x\r\ny",
            b"\r",
            b"# only a comment",
            b"# only a comment\n",
            b"#!/bin/sh\r\nx",
            b"\xff\xfe\0\n\x80",
            b"\xef\xbb\xbf",
            b"\xef\xbb\xbf# x",
            b"# >>> conda initialize >>>\nx\n# <<< conda initialize <<<",
            b"  # >>> pycstore >>>\n",
            b"# >>> pycstore schedule >>>\n1 2 * * * x\n# <<< pycstore schedule <<<\n",
        ];
        for text in texts {
            for placement in [Placement::Top, Placement::End] {
                for block in [SHELL, VIM] {
                    let with = block.insert(Some(text), 0, b"a\nb\n", placement).unwrap();
                    let shown = String::from_utf8_lossy(&with).into_owned();
                    assert_eq!(block.remove(&with).unwrap(), Rest::Text(text.to_vec()), "{shown}");
                    assert_eq!(block.insert(Some(&with), 0, b"a\nb\n", placement).unwrap(), with, "{shown}");
                    let other = block.insert(Some(&with), 0, b"c\n", placement).unwrap();
                    assert_ne!(other, with);
                    assert_eq!(block.remove(&other).unwrap(), Rest::Text(text.to_vec()), "{shown}");
                    assert_eq!(block.lines_in(&with).unwrap().unwrap(), [b"a", b"b"], "{shown}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(text in any::<Vec<u8>>(), is_top in any::<bool>()) {
            let placement = if is_top { Placement::Top } else { Placement::End };
            let with = put(&text, placement);
            prop_assert_eq!(put(&with, placement), with.clone());
            prop_assert_eq!(SHELL.remove(&with), Ok(Rest::Text(text)));
        }

        /// Texts with markers whole and damaged, comments, blank lines and every end of line.
        #[test]
        fn any_lines_come_back(
            lines in proptest::collection::vec(
                (0..8_usize, prop_oneof![Just("\n"), Just("\r\n"), Just("")]), 0..12
            ),
            is_top in any::<bool>(),
        ) {
            const PARTS: [&str; 8] = [
                "# >>> pycstore >>>", "# <<< pycstore <<<", "# >>> pycstore schedule >>>", "# <<< pycstore schedule <<<",
                "# comment", "", "x=1", "# (this file was made for this block)",
            ];
            let text: String = lines.iter().map(|(part, end)| format!("{}{end}", PARTS[*part])).collect();
            let text = text.as_bytes();
            let placement = if is_top { Placement::Top } else { Placement::End };
            if OTHER.remove(text) == Ok(Rest::Untouched) {
                let with = OTHER.insert(Some(text), 0, b"c\n", placement).unwrap();
                prop_assert_eq!(OTHER.remove(&with), Ok(Rest::Text(text.to_vec())));
            }
            match SHELL.remove(text) {
                Ok(Rest::Untouched) => {
                    let with = SHELL.insert(Some(text), 0, b"c\n", placement).unwrap();
                    prop_assert_eq!(SHELL.remove(&with), Ok(Rest::Text(text.to_vec())));
                }
                Ok(rest) => {
                    // A block is there already: another in its place leaves the same.
                    let with = SHELL.insert(Some(text), 0, b"c\n", placement).unwrap();
                    prop_assert_eq!(SHELL.remove(&with), Ok(rest));
                }
                Err(error) => prop_assert_eq!(SHELL.insert(Some(text), 0, b"c\n", placement), Err(error)),
            }
        }
    }

    #[test]
    fn a_file_that_was_created_for_a_block_goes_with_it() {
        let made = SHELL.insert(None, 0, b"a\n", Placement::End).unwrap();
        assert_eq!(SHELL.remove(&made).unwrap(), Rest::NoFile(0));
        let again = SHELL.insert(Some(&made), 0, b"b\n", Placement::End).unwrap();
        assert_eq!(SHELL.remove(&again).unwrap(), Rest::NoFile(0));
        let used = [&again[..], b"theirs\n"].concat();
        assert_eq!(SHELL.remove(&used).unwrap(), Rest::Text(b"theirs\n".to_vec()));
        let empty = SHELL.insert(Some(b""), 0, b"a\n", Placement::End).unwrap();
        assert_eq!(SHELL.remove(&empty).unwrap(), Rest::Text(Vec::new()), "the empty file was theirs");
    }

    #[test]
    fn directories_that_were_made_are_remembered() {
        for missing in [0, 1, 2, 12] {
            let made = SHELL.insert(None, missing, b"a\n", Placement::End).unwrap();
            let again = SHELL.insert(Some(&made), 0, b"b\n", Placement::End).unwrap();
            assert_eq!(SHELL.remove(&again), Ok(Rest::NoFile(missing)));
            assert_eq!(SHELL.lines_in(&again).unwrap().unwrap(), [b"b"]);
        }
        for other in
            ["(this file and 1 directories above it were made for this block)", "(this file and made)"]
        {
            assert_eq!(made_by(other), None);
        }
    }

    #[test]
    fn a_file_that_was_made_goes_with_the_last_block_in_whatever_order() {
        let one = SHELL.insert(None, 2, b"a\n", Placement::Top).unwrap();
        let both = OTHER.insert(Some(&one), 0, b"b\n", Placement::End).unwrap();
        for (first, last) in [(SHELL, OTHER), (OTHER, SHELL)] {
            let Ok(Rest::Text(rest)) = first.remove(&both) else { panic!("{first:?}") };
            assert_eq!(last.remove(&rest), Ok(Rest::NoFile(2)), "{}", String::from_utf8_lossy(&rest));
        }
        // What somebody else wrote there stays in any case.
        let used = [&both[..], b"theirs\n"].concat();
        let Ok(Rest::Text(rest)) = SHELL.remove(&used) else { panic!() };
        assert_eq!(OTHER.remove(&rest), Ok(Rest::Text(b"theirs\n".to_vec())));
    }

    #[test]
    fn what_was_appended_to_an_ended_line_stays_on_a_line_of_its_own() {
        let with = [&put(b"x", Placement::End)[..], b"y\n"].concat();
        assert_eq!(SHELL.remove(&with).unwrap(), Rest::Text(b"x\ny\n".to_vec()));
    }

    #[test]
    fn a_block_with_crlf_is_found() {
        let with = String::from_utf8(put(b"x\n", Placement::End)).unwrap().replace('\n', "\r\n");
        assert_eq!(SHELL.remove(with.as_bytes()).unwrap(), Rest::Text(b"x\r\n".to_vec()));
    }

    #[test]
    fn a_damaged_block_is_an_error() {
        let cases: [(&str, BlockError); 4] = [
            ("x\n# >>> pycstore >>>\nx\n", BlockError::NoEnd(2)),
            ("# <<< pycstore <<<\n", BlockError::NoBeginning(1)),
            ("# >>> pycstore >>>\n# >>> pycstore >>>\n# <<< pycstore <<<\n", BlockError::NoEnd(1)),
            (
                "# >>> pycstore >>>\n# <<< pycstore <<<\n# >>> pycstore >>>\n# <<< pycstore <<<",
                BlockError::Second(3),
            ),
        ];
        for (text, error) in cases {
            assert_eq!(SHELL.remove(text.as_bytes()), Err(error), "{text}");
            assert_eq!(SHELL.insert(Some(text.as_bytes()), 0, b"a\n", Placement::End), Err(error), "{text}");
        }
    }

    #[test]
    fn the_text_outside_the_block_can_be_searched() {
        let with = put(b"x\n", Placement::Top);
        let blanked = SHELL.blanked(&with).unwrap();
        assert_eq!(blanked.split(|&byte| byte == b'\n').nth(3).unwrap(), b"x");
        assert!(!String::from_utf8(blanked).unwrap().contains("export"));
    }
}
