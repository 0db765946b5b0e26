//! Paths on standard output: escaped on a terminal, raw in a pipe.

use super::terminal::Terminal;
use pycstore::paragraph;
use pycstore::quoting::{self, at_home};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;

/// The characters that this process prints, except to a pipe and in JSON and HTML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Characters {
    /// All characters.
    Unicode,
    /// Only ASCII: the encoding of the locale is not UTF-8.
    Ascii,
}

static CHARACTERS: OnceLock<Characters> = OnceLock::new();

impl Characters {
    /// Returns those of a locale: the value of the first of `LC_ALL`, `LC_CTYPE` and `LANG` that is set. Without a
    /// locale, most terminals accept UTF-8.
    pub fn of_locale(locale: Option<&str>) -> Characters {
        let locale = locale.unwrap_or("UTF-8").to_ascii_lowercase();
        if locale.contains("utf-8") || locale.contains("utf8") {
            Characters::Unicode
        } else {
            Characters::Ascii
        }
    }

    /// Returns those that [`Characters::decide`] was called with.
    pub fn of_process() -> Characters {
        CHARACTERS.get().copied().unwrap_or(Characters::Unicode)
    }

    /// Sets those of this process, once.
    pub fn decide(self) {
        // Only `main` calls this, once.
        let _ = CHARACTERS.set(self);
    }
}

/// Returns text for a terminal or for standard error, as [`quoting::escaped`] does; in ASCII if only ASCII is
/// printed.
pub fn escaped(text: &str) -> String {
    let safe = quoting::escaped(text);
    match Characters::of_process() {
        Characters::Unicode => safe,
        Characters::Ascii => quoting::ascii(&safe),
    }
}

/// Text in at most `columns` terminal columns, shortened as [`paragraph::fitted`] does it.
pub fn fitted(text: &str, columns: usize) -> String {
    match Characters::of_process() {
        Characters::Unicode => paragraph::fitted(text, columns),
        Characters::Ascii => paragraph::fitted_with(text, columns, "..."),
    }
}

/// A path for standard output: on a terminal with the home as `~` and control characters escaped, in a pipe byte
/// for byte.
pub fn shown(path: &Path, terminal: &Terminal) -> Vec<u8> {
    if !terminal.is_terminal() {
        return path.as_os_str().as_bytes().to_vec();
    }
    escaped(&at_home(path, terminal.home())).into_bytes()
}

/// Text for standard output: escaped on a terminal, unchanged in a pipe.
pub fn text_shown(text: &str, terminal: &Terminal) -> String {
    if terminal.is_terminal() { escaped(text) } else { text.to_string() }
}

/// The same for bytes.
pub fn bytes_shown(text: &[u8], terminal: &Terminal) -> Vec<u8> {
    if terminal.is_terminal() { escaped(&String::from_utf8_lossy(text)).into_bytes() } else { text.to_vec() }
}

/// Lines for standard output: on a terminal each escaped, in a pipe byte for byte.
pub fn lines_shown(text: &[u8], terminal: &Terminal) -> Vec<u8> {
    if !terminal.is_terminal() {
        return text.to_vec();
    }
    String::from_utf8_lossy(text).split('\n').map(escaped).collect::<Vec<_>>().join("\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_utf_8_locales_print_more_than_ascii() {
        for locale in [None, Some("C.UTF-8"), Some("de_DE.utf8@euro"), Some("UTF-8")] {
            assert_eq!(Characters::of_locale(locale), Characters::Unicode, "{locale:?}");
        }
        for locale in ["C", "POSIX", "de_DE", "de_DE.ISO-8859-1"] {
            assert_eq!(Characters::of_locale(Some(locale)), Characters::Ascii, "{locale}");
        }
    }
}
