//! Colours: few, each with a meaning that the text has too. Home of anstyle and anstream.

use anstyle::{AnsiColor, Effects};
use std::io::{self, Write};

/// Whether colours are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// With escape sequences.
    Coloured,
    /// Without.
    Plain,
}

/// The role of a text, which determines its style.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Heading,
    Total,
    /// Something that is removed or can be removed.
    Gone,
    /// Something that is new.
    Added,
    /// Something less important.
    Quiet,
    /// Ordinary text.
    Normal,
}

impl Style {
    /// For standard output: on a terminal, unless `NO_COLOR`, `CLICOLOR=0` or `TERM=dumb` says no; in a pipe only
    /// if `CLICOLOR_FORCE` asks for it.
    pub fn for_stdout() -> Style {
        match anstream::AutoStream::choice(&io::stdout()) {
            anstream::ColorChoice::Never => Style::Plain,
            _ => Style::Coloured,
        }
    }

    /// Writes a line in its tone.
    pub fn write_line(self, out: &mut dyn Write, line: &str, tone: Tone) -> io::Result<()> {
        out.write_all(&self.paint(line.as_bytes(), tone))?;
        out.write_all(b"\n")
    }

    /// The text in its tone.
    pub fn paint(self, text: &[u8], tone: Tone) -> Vec<u8> {
        let style = match tone {
            _ if self == Style::Plain => return text.to_vec(),
            Tone::Heading | Tone::Total => anstyle::Style::new().effects(Effects::BOLD),
            Tone::Gone => AnsiColor::Yellow.on_default(),
            Tone::Added => AnsiColor::Green.on_default(),
            Tone::Quiet => anstyle::Style::new().effects(Effects::DIMMED),
            Tone::Normal => return text.to_vec(),
        };
        let mut painted = style.render().to_string().into_bytes();
        painted.extend_from_slice(text);
        painted.extend_from_slice(style.render_reset().to_string().as_bytes());
        painted
    }
}
