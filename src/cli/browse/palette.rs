//! Few colours, each with a meaning that the text has too.

use crate::cli::output::style::Style;
use ratatui::style::{Color, Modifier, Style as CellStyle};

/// The role of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hue {
    /// Ordinary text.
    Normal,
    /// A heading, or a question.
    Heading,
    /// What was deleted, or can be removed.
    Gone,
    /// What is marked.
    Marked,
    /// Something less important.
    Quiet,
}

/// Whether colours are used.
#[derive(Debug, Clone, Copy)]
pub struct Palette(pub Style);

impl Palette {
    /// The style of a role.
    pub fn style(self, hue: Hue) -> CellStyle {
        let style = CellStyle::new();
        match (hue, self.0) {
            (Hue::Heading, _) => style.add_modifier(Modifier::BOLD),
            (_, Style::Plain) | (Hue::Normal, _) => style,
            (Hue::Gone, _) => style.fg(Color::Yellow),
            (Hue::Marked, _) => style.fg(Color::Red),
            (Hue::Quiet, _) => style.add_modifier(Modifier::DIM),
        }
    }

    /// The style of the selected row.
    pub fn selected(self) -> CellStyle {
        CellStyle::new().add_modifier(Modifier::REVERSED)
    }
}
