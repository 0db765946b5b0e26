//! Paths for people: safe on a terminal, raw in a pipe. Home of unicode-width.

use super::terminal::Terminal;
use pycstore::quoting::escaped;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use unicode_width::UnicodeWidthChar;

/// A path as standard output gets it: on a terminal with the home as `~` and control characters escaped, in a pipe byte
/// for byte.
pub fn shown(path: &Path, terminal: &Terminal) -> Vec<u8> {
    if !terminal.is_terminal() {
        return path.as_os_str().as_bytes().to_vec();
    }
    escaped(&at_home(path, terminal.home())).into_bytes()
}

/// A path, lossily, with the home as `~`. Nothing is escaped.
pub fn at_home(path: &Path, home: Option<&Path>) -> String {
    match home.and_then(|home| path.strip_prefix(home).ok()) {
        Some(rest) if rest.as_os_str().is_empty() => "~".into(),
        Some(rest) => format!("~/{}", rest.to_string_lossy()),
        None => path.to_string_lossy().into_owned(),
    }
}

/// Text as standard output gets it: escaped on a terminal, in a pipe as it is.
pub fn text_shown(text: &str, terminal: &Terminal) -> String {
    if terminal.is_terminal() { escaped(text) } else { text.to_string() }
}

/// The same of bytes.
pub fn bytes_shown(text: &[u8], terminal: &Terminal) -> Vec<u8> {
    if terminal.is_terminal() { escaped(&String::from_utf8_lossy(text)).into_bytes() } else { text.to_vec() }
}

/// Lines as standard output gets them: on a terminal each escaped, in a pipe byte for byte.
pub fn lines_shown(text: &[u8], terminal: &Terminal) -> Vec<u8> {
    if !terminal.is_terminal() {
        return text.to_vec();
    }
    String::from_utf8_lossy(text).split('\n').map(escaped).collect::<Vec<_>>().join("\n").into_bytes()
}

/// The columns that a text takes on a terminal.
pub fn width(text: &str) -> usize {
    text.chars().map(|character| character.width().unwrap_or(0)).sum()
}

/// The text in at most `columns` columns: its middle is cut, because both ends of a path matter most.
pub fn fitted(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_string();
    }
    let Some(room) = columns.checked_sub(1) else { return String::new() };
    let head_room = room / 3;
    let mut head = String::new();
    let mut used = 0;
    for character in text.chars() {
        used += character.width().unwrap_or(0);
        if used > head_room {
            break;
        }
        head.push(character);
    }
    let mut tail: Vec<char> = Vec::new();
    let mut used = width(&head);
    for character in text.chars().rev() {
        used += character.width().unwrap_or(0);
        if used > room {
            break;
        }
        tail.push(character);
    }
    head + "…" + &tail.iter().rev().collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_paths_lose_their_middle() {
        assert_eq!(fitted("/home/me/project", 20), "/home/me/project");
        assert_eq!(fitted("/home/me/projects/one", 13), "/hom…ects/one");
        assert_eq!(width(&fitted("/home/東京/projects/東京", 13)), 13);
        assert_eq!(fitted("abc", 0), "");
    }
}
