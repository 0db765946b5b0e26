//! Several edits, each computed from the result of the one before.

use super::block::{Block, Placement, Rest};
use super::error::EditError;
use super::place::TextPlace;
use super::text::Text;

/// The change of one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Its place, as the user knows it.
    pub place: TextPlace,
    /// The text before the change.
    pub text: Text,
    /// Its contents after the change; `None` if it is removed.
    pub after: Option<Vec<u8>>,
    /// If it is removed: the number of directories above it that were created for it, and are removed if they are empty.
    pub directories: usize,
}

/// Edits, at most one of each text.
#[derive(Debug, Default)]
pub struct EditPlan {
    edits: Vec<Edit>,
}

impl EditPlan {
    /// Returns the edits that change something.
    pub fn edits(&self) -> impl Iterator<Item = &Edit> {
        self.edits.iter().filter(|edit| edit.text.contents != edit.after)
    }

    /// Whether no edit changes anything.
    pub fn is_empty(&self) -> bool {
        self.edits().next().is_none()
    }

    /// Changes the text at a place: the function gets the contents after the edits before.
    ///
    /// # Errors
    /// If the text cannot be read or may not be changed; those of the function.
    pub fn change(
        &mut self,
        place: &TextPlace,
        change: impl FnOnce(Option<&[u8]>) -> Result<Option<Vec<u8>>, EditError>,
    ) -> Result<(), EditError> {
        let text = Text::read(place)?;
        let planned = self.edits.iter().position(|edit| edit.text.real == text.real);
        let before = planned.map_or(&text.contents, |index| &self.edits[index].after);
        let after = change(before.as_deref())?;
        if after != text.contents {
            text.may_change(place)?;
        }
        match planned {
            Some(index) => self.edits[index].after = after,
            None if after == text.contents => {}
            None => self.edits.push(Edit { place: place.clone(), text, after, directories: 0 }),
        }
        Ok(())
    }

    /// Adds a block with these lines to the text at a place, or replaces the lines of the block that is there.
    ///
    /// # Errors
    /// If the text cannot be read or may not be changed, or its block is damaged.
    pub fn insert_block(
        &mut self,
        place: &TextPlace,
        block: &Block,
        lines: &[u8],
        placement: Placement,
    ) -> Result<(), EditError> {
        let missing = EditPlan::missing(place)?;
        self.change(place, |text| {
            let damaged = |source| EditError::Block { place: place.clone(), source };
            block.insert(text, missing, lines, placement).map(Some).map_err(damaged)
        })
    }

    /// Returns the number of missing directories on the path of a text.
    ///
    /// # Errors
    /// If the path cannot be resolved.
    pub fn missing(place: &TextPlace) -> Result<usize, EditError> {
        match place {
            TextPlace::File(_) => Ok(Text::read(place)?.missing_directories()),
            TextPlace::Crontab => Ok(0),
        }
    }

    /// Removes the block from the text at a place, and the file if it was created for the block.
    ///
    /// # Errors
    /// If the text cannot be read or may not be changed, or its block is damaged.
    pub fn remove_block(&mut self, place: &TextPlace, block: &Block) -> Result<(), EditError> {
        let mut made = 0;
        self.change(place, |text| {
            let Some(text) = text else { return Ok(None) };
            let damaged = |source| EditError::Block { place: place.clone(), source };
            Ok(match block.remove(text).map_err(damaged)? {
                Rest::Untouched => Some(text.to_vec()),
                Rest::Text(rest) => Some(rest),
                Rest::NoFile(directories) => {
                    made = directories;
                    None
                }
            })
        })?;
        if made > 0 {
            let real = Text::read(place)?.real;
            for edit in self.edits.iter_mut().filter(|edit| edit.text.real == real) {
                edit.directories = made;
            }
        }
        Ok(())
    }
}
