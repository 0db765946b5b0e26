//! JSON as the program writes and reads it. Home of base64. The contract is append-only, `schema` is 1.
//!
//! `fields` has what several documents have in common.
//!
//! Names that are not UTF-8 are given lossily, with their bytes in base64 beside them. What a terminal would obey is given as
//! `\uXXXX`, in a pipe too.

mod fields;

pub use fields::{FailureLine, Mode, OwnerHead, PathField, SkippedLine, Sum, Total};

use crate::quoting::is_obeyed;
use base64::Engine;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::ser::{Formatter, Serializer};
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The version of the contract.
pub const SCHEMA: u32 = 1;

/// Writes one document and a line feed.
///
/// # Errors
/// What writing answers.
pub fn print(out: &mut dyn Write, document: &impl Serialize) -> io::Result<()> {
    document.serialize(&mut Serializer::with_formatter(&mut *out, Escaping { escapes: is_obeyed }))?;
    out.write_all(b"\n")
}

/// Writes strings with some characters as `\uXXXX`, which means the same to every reader.
struct Escaping {
    escapes: fn(char) -> bool,
}

impl Formatter for Escaping {
    fn write_string_fragment<W: Write + ?Sized>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, character)) =
            rest.char_indices().find(|(_, character)| (self.escapes)(*character))
        {
            out.write_all(&rest.as_bytes()[..at])?;
            // JSON counts in the units of UTF-16.
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            rest = &rest[at + character.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }
}

/// Reads one document.
///
/// # Errors
/// Where it is not JSON, or not such a document.
pub fn parse<T: DeserializeOwned>(document: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(document)
}

/// A path, lossily.
pub fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The bytes of a path that is not UTF-8, in base64.
pub fn bytes(path: &Path) -> Option<String> {
    match path.to_str() {
        Some(_) => None,
        None => Some(base64::engine::general_purpose::STANDARD.encode(path.as_os_str().as_bytes())),
    }
}

/// The path that [`text`] and [`bytes`] give; `None` where the bytes are no base64.
pub fn path(text: &str, bytes: Option<&str>) -> Option<PathBuf> {
    match bytes {
        None => Some(PathBuf::from(text)),
        Some(bytes) => {
            let bytes = base64::engine::general_purpose::STANDARD.decode(bytes).ok()?;
            Some(PathBuf::from(OsString::from_vec(bytes)))
        }
    }
}

/// A document that can stand in a `<script>` of HTML: nothing in it ends the script or reorders a line.
///
/// # Errors
/// Where a document cannot be JSON; ours can.
pub fn embedded(document: &impl Serialize) -> io::Result<String> {
    let mut json = Vec::new();
    let escapes = |character| matches!(character, '<' | '>' | '&') || is_obeyed(character);
    document.serialize(&mut Serializer::with_formatter(&mut json, Escaping { escapes }))?;
    String::from_utf8(json).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Any text is read back as it was, in a line of its own that a terminal shows and does not obey.
        #[test]
        fn any_text_is_read_back(text in any::<String>(), bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let hostile = "\0\u{1b}[2J\u{7f}\u{9b}\u{202e}\u{e0041}</script>\u{2028}\"\\";
            for text in [text, String::from_utf8_lossy(&bytes).into_owned(), hostile.to_string()] {
                let document = vec![text.clone()];
                let mut printed = Vec::new();
                print(&mut printed, &document).unwrap();
                let printed = String::from_utf8(printed).unwrap();
                let line = printed.strip_suffix('\n').unwrap();
                prop_assert!(!line.chars().any(is_obeyed), "{line:?}");
                prop_assert_eq!(serde_json::from_str::<Vec<String>>(line).unwrap(), document.clone());
                let embedded = embedded(&document).unwrap();
                prop_assert!(!embedded.contains(['<', '>', '&']) && !embedded.chars().any(is_obeyed));
                prop_assert_eq!(serde_json::from_str::<Vec<String>>(&embedded).unwrap(), document);
            }
        }
    }
}
