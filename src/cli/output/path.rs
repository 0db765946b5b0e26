//! Paths on standard output: escaped on a terminal, raw in a pipe.

use super::terminal::Terminal;
use pycstore::quoting::{at_home, escaped};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

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
