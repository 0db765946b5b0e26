//! An edit as a unified diff. Home of similar.
//!
//! In a pipe it is a patch, byte for byte. On a terminal, control characters are escaped.

use super::path::escaped;
use super::style::{Style, Tone};
use super::terminal::Terminal;
use pycstore::edits::{Edit, TextPlace};
use similar::TextDiff;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;

/// Writes the change that an edit makes.
pub fn show(edit: &Edit, out: &mut dyn Write, terminal: &Terminal, style: Style) -> io::Result<()> {
    for line in unified(edit).split_inclusive(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let tone = match line {
            [b'+', b'+', b'+', b' ', ..] | [b'-', b'-', b'-', b' ', ..] => Tone::Heading,
            [b'+', ..] => Tone::Added,
            [b'-', ..] => Tone::Gone,
            [b'@', ..] | [b'\\', ..] => Tone::Quiet,
            _ => Tone::Normal,
        };
        let line = if terminal.is_terminal() {
            escaped_line(&String::from_utf8_lossy(line)).into_bytes()
        } else {
            line.to_vec()
        };
        out.write_all(&style.paint(&line, tone))?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Escapes control characters, except tabs, which indent.
fn escaped_line(line: &str) -> String {
    line.split('\t').map(escaped).collect::<Vec<_>>().join("\t")
}

/// Returns the edit as a unified diff with three lines around each change.
fn unified(edit: &Edit) -> Vec<u8> {
    const NOTHING: &[u8] = b"/dev/null";
    let before = edit.text.contents.as_deref();
    let after = edit.after.as_deref();
    let name = match &edit.place {
        TextPlace::File(path) => path.as_os_str().as_bytes(),
        TextPlace::Crontab => b"crontab",
    };
    let heading = |mark: &[u8], contents: Option<&[u8]>| {
        let name = if contents.is_some() { name } else { NOTHING };
        [mark, b" ", name, b"\n"].concat()
    };
    let mut text = [heading(b"---", before), heading(b"+++", after)].concat();
    let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
    let diff = TextDiff::from_lines(before, after);
    // A vector takes everything that is written to it.
    let _ = diff.unified_diff().context_radius(3).to_writer(&mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use pycstore::edits::Text;

    fn edit(before: Option<&[u8]>, after: Option<&[u8]>) -> Edit {
        let place = TextPlace::File("/home/me/.bashrc".into());
        let text = Text { real: place.clone(), contents: before.map(<[u8]>::to_vec) };
        Edit { place, text, after: after.map(<[u8]>::to_vec), directories: 0 }
    }

    fn shown(edit: &Edit, terminal: &Terminal) -> String {
        let mut out = Vec::new();
        show(edit, &mut out, terminal, Style::Plain).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_change_is_a_unified_diff() {
        let pipe = Terminal::of_test(None, "/home/me");
        assert_eq!(
            shown(&edit(Some(b"a\nb\nc\nd\ne\n"), Some(b"a\nb\nc\nd\nx\ne\n")), &pipe),
            "--- /home/me/.bashrc\n+++ /home/me/.bashrc\n@@ -2,4 +2,5 @@\n b\n c\n d\n+x\n e\n"
        );
        assert_eq!(
            shown(&edit(None, Some(b"x\n")), &pipe),
            "--- /dev/null\n+++ /home/me/.bashrc\n@@ -0,0 +1 @@\n+x\n"
        );
        assert_eq!(
            shown(&edit(Some(b"a"), Some(b"a\nx\n")), &pipe),
            "--- /home/me/.bashrc\n+++ /home/me/.bashrc\n@@ -1 +1,2 @@\n-a\n\\ No newline at end of file\n+a\n+x\n"
        );
    }

    #[test]
    fn control_characters_are_escaped_on_a_terminal() {
        let edit = edit(Some(b"\x1b[31m\tx\xff\n"), Some(b"\x1b[31m\tx\xff\ny\n"));
        let text = shown(&edit, &Terminal::of_test(Some(80), "/home/me"));
        assert!(text.contains("\n \\x1b[31m\tx\u{fffd}\n+y\n"), "{text}");
    }
}
