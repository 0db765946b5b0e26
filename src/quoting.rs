//! Text made safe for where it goes: a terminal, a log or a shell. Home of shlex.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Quotes a word for a POSIX shell, if it has to be quoted.
pub fn shell_word(text: &OsStr) -> Vec<u8> {
    let quoter = shlex::bytes::Quoter::new().allow_nul(true);
    // It only fails on NUL, which is allowed.
    quoter.quote(text.as_bytes()).map(Cow::into_owned).unwrap_or_default()
}

/// Quotes a path for a command that is shown to people. A path that is not UTF-8 is shown lossily.
pub fn quoted(path: &Path) -> String {
    String::from_utf8_lossy(&shell_word(path.as_os_str())).into_owned()
}

/// A path, lossily, with the home as `~`. Nothing is escaped.
pub fn at_home(path: &Path, home: Option<&Path>) -> String {
    match home.and_then(|home| path.strip_prefix(home).ok()) {
        Some(rest) if rest.as_os_str().is_empty() => "~".into(),
        Some(rest) => format!("~/{}", rest.to_string_lossy()),
        None => path.to_string_lossy().into_owned(),
    }
}

/// Text without anything that a terminal would obey, that would reorder a line or that cannot be seen ([`is_obeyed`]).
/// Each is shown as `\n`, `\x1b` or `\u{202e}`.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\u{0}'..='\u{1f}' | '\u{7f}' if !matches!(character, '\n' | '\r' | '\t') => {
                safe.push_str(&format!("\\x{:02x}", u32::from(character)));
            }
            _ if is_obeyed(character) => safe.extend(character.escape_default()),
            _ => safe.push(character),
        }
    }
    safe
}

/// Text in ASCII, for a locale without UTF-8: an ellipsis as dots, other characters as `\u{e9}`.
pub fn ascii(text: &str) -> String {
    text.replace('…', "...").chars().fold(String::new(), |mut ascii, character| {
        if character.is_ascii() {
            ascii.push(character);
        } else {
            ascii.extend(character.escape_unicode());
        }
        ascii
    })
}

/// Whether a terminal or a page would obey this character rather than show it: control characters (Unicode's `Cc`), line and
/// paragraph separators, those for bidirectional text (`Bidi_Control`), annotations, and what is invisible
/// (`Default_Ignorable_Code_Point` of `DerivedCoreProperties.txt`).
pub fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_reaches_the_terminal_that_it_would_obey() {
        assert_eq!(escaped("a\x1b[31mb\nc"), "a\\x1b[31mb\\nc");
        assert_eq!(escaped("a\u{202e}b\u{9b}c"), "a\\u{202e}b\\u{9b}c");
        assert_eq!(escaped("méson 東京 …"), "méson 東京 …");
        assert_eq!(ascii("méson\t東 …"), "m\\u{e9}son\t\\u{6771} ...");
        for invisible in ["\u{ad}", "\u{180e}", "\u{2066}", "\u{3164}", "\u{fffb}", "\u{1d173}", "\u{e0041}"]
        {
            let code = u32::from(invisible.chars().next().unwrap());
            assert_eq!(escaped(&format!("a{invisible}b")), format!("a\\u{{{code:x}}}b"));
        }
    }

    #[test]
    fn a_path_in_a_hint_can_be_typed() {
        for (path, expected) in [
            ("/home/me/.cache/cpython", "/home/me/.cache/cpython"),
            ("/a b/it's", "\"/a b/it's\""),
            ("~/x", "'~/x'"),
            ("/$HOME", "'/$HOME'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(Path::new(path)), expected);
        }
    }

    proptest! {
        #[test]
        fn a_shell_reads_back_any_word(word in any::<Vec<u8>>()) {
            let quoted = shell_word(OsStr::from_bytes(&word));
            prop_assert_eq!(shlex::bytes::split(&quoted), Some(vec![word]));
        }

        /// Whatever a file is called, what is shown can be seen, is one line, and stays as it is when it is escaped again.
        #[test]
        fn any_text_becomes_one_line_that_can_be_seen(
            bytes in proptest::collection::vec(any::<u8>(), 0..60),
            text in any::<String>(),
        ) {
            for text in [String::from_utf8_lossy(&bytes).into_owned(), text] {
                let shown = escaped(&text);
                prop_assert!(!shown.chars().any(is_obeyed), "{shown:?}");
                prop_assert!(!shown.bytes().any(|byte| byte < 0x20 || byte == 0x7f), "{shown:?}");
                prop_assert_eq!(escaped(&shown), shown);
            }
        }
    }
}
