//! Text in limited space: its width in columns, wrapped or cut to fit. Home of unicode-width.

use unicode_width::UnicodeWidthChar;

/// Wraps the text at blanks to a maximum number of columns (of the first line and of the others); a longer word is
/// broken at the line end.
pub fn wrapped(text: &str, first: usize, others: usize) -> Vec<String> {
    let (mut lines, mut line) = (Vec::new(), String::new());
    let (mut room, mut used) = (first, 0);
    for word in text.split(' ') {
        if used > 0 && used + 1 + width(word) > room {
            lines.push(std::mem::take(&mut line));
            (room, used) = (others, 0);
        } else if used > 0 {
            line.push(' ');
            used += 1;
        }
        for character in word.chars() {
            let columns = character.width().unwrap_or(0);
            if used + columns > room {
                lines.push(std::mem::take(&mut line));
                (room, used) = (others, 0);
            }
            line.push(character);
            used += columns;
        }
    }
    lines.push(line);
    lines
}

/// The columns that a text takes on a terminal.
pub fn width(text: &str) -> usize {
    text.chars().map(|character| character.width().unwrap_or(0)).sum()
}

/// The text in at most `columns` columns. A path loses its middle, because both ends matter most; words without a slash lose
/// their end.
pub fn fitted(text: &str, columns: usize) -> String {
    fitted_with(text, columns, "…")
}

/// The same with this mark where the text is cut.
pub fn fitted_with(text: &str, columns: usize, mark: &str) -> String {
    if width(text) <= columns {
        return text.to_string();
    }
    let Some(room) = columns.checked_sub(width(mark)) else { return String::new() };
    if text.trim_start().contains(' ') && !text.contains('/') {
        return head(text, room) + mark;
    }
    let head_room = room / 3;
    let head = head(text, head_room);
    let mut tail: Vec<char> = Vec::new();
    let mut used = width(&head);
    for character in text.chars().rev() {
        used += character.width().unwrap_or(0);
        if used > room {
            break;
        }
        tail.push(character);
    }
    head + mark + &tail.iter().rev().collect::<String>()
}

/// The beginning of the text, in at most `columns` columns.
fn head(text: &str, columns: usize) -> String {
    let mut head = String::new();
    let mut used = 0;
    for character in text.chars() {
        used += character.width().unwrap_or(0);
        if used > columns {
            break;
        }
        head.push(character);
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_for_a_line_is_broken_and_whole() {
        assert_eq!(wrapped("ab cdefgh i", 4, 3), ["ab", "cde", "fgh", "i"]);
        assert_eq!(wrapped("東京東京", 4, 4), ["東京", "東京"]);
        assert_eq!(wrapped("", 4, 4), [""]);
    }

    #[test]
    fn words_lose_their_end() {
        assert_eq!(fitted("in the store itself (foreign)", 29), "in the store itself (foreign)");
        assert_eq!(fitted("in the store itself (foreign)", 15), "in the store i…");
        assert_eq!(fitted("  12 more packages", 9), "  12 mor…");
        assert_eq!(fitted("a-distribution-of-a-long-name", 13), "a-di…ong-name");
    }

    #[test]
    fn long_paths_lose_their_middle() {
        assert_eq!(fitted("/home/me/project", 20), "/home/me/project");
        assert_eq!(fitted("/home/me/projects/one", 13), "/hom…ects/one");
        assert_eq!(width(&fitted("/home/東京/projects/東京", 13)), 13);
        assert_eq!(fitted("/home/me/my projects/one (gone)", 20), "/home/…ts/one (gone)");
        assert_eq!(fitted("abc", 0), "");
        assert_eq!(fitted_with("/home/me/projects/one", 13, "..."), "/ho...cts/one");
    }
}
