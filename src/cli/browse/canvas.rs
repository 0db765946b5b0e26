//! The cells of the screen, written line by line.

use super::palette::{Hue, Palette};
use crate::cli::output::path::Characters;
use pycstore::paragraph::{fitted_with, width};
use pycstore::units::Moment;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Clear, Widget};

/// How the screen is drawn.
#[derive(Debug, Clone)]
pub struct Look {
    /// The path of the store, not escaped.
    pub store: String,
    /// The colours.
    pub palette: Palette,
    pub characters: Characters,
    /// The present.
    pub now: Moment,
}

/// A part of the screen, written line by line.
pub struct Canvas<'a> {
    /// The cells.
    pub buffer: &'a mut Buffer,
    /// How it is drawn.
    pub look: &'a Look,
}

impl Canvas<'_> {
    /// Writes text at most to the end of the area, in this line of it; returns the columns that it took.
    pub fn put(&mut self, area: Rect, line: u16, column: u16, text: &str, hue: Hue) -> u16 {
        if line >= area.height || column >= area.width {
            return 0;
        }
        let room = area.width - column;
        let style = self.look.palette.style(hue);
        let (end, _) = self.buffer.set_stringn(area.x + column, area.y + line, text, room.into(), style);
        end - area.x - column
    }

    /// Writes text that ends at the right edge, if it fits.
    pub fn put_right(&mut self, area: Rect, line: u16, text: &str, hue: Hue) -> u16 {
        let columns = u16::try_from(width(text)).unwrap_or(u16::MAX);
        if columns < area.width {
            self.put(area, line, area.width - columns, text, hue);
            return columns;
        }
        0
    }

    /// Text in at most this many columns, its middle cut.
    pub fn fitted(&self, text: &str, columns: u16) -> String {
        let mark = if self.look.characters == Characters::Ascii { "..." } else { "…" };
        fitted_with(text, columns.into(), mark)
    }

    /// Makes a line of the area look selected.
    pub fn select(&mut self, area: Rect, line: u16) {
        let rect = Rect { y: area.y + line, height: 1, ..area };
        self.buffer.set_style(rect, self.look.palette.selected());
    }

    /// Empties an area.
    pub fn clear(&mut self, area: Rect) {
        Clear.render(area, self.buffer);
    }
}
