//! Several edits, each computed from what the one before leaves.

use super::block::{Block, Placement, Rest};
use super::place::{EditError, Place, Text};

/// One text and what it becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Where, as the user knows it.
    pub place: Place,
    /// What is there.
    pub text: Text,
    /// What is to be there; `None` for nothing.
    pub after: Option<Vec<u8>>,
    /// Where nothing is to be there: so many directories above it were made for it, and go where they are empty.
    pub directories: usize,
}

/// Edits, at most one of each text.
#[derive(Debug, Default)]
pub struct Plan {
    edits: Vec<Edit>,
}

impl Plan {
    /// The edits that change something.
    pub fn edits(&self) -> impl Iterator<Item = &Edit> {
        self.edits.iter().filter(|edit| edit.text.contents != edit.after)
    }

    /// Whether everything is already as it shall be.
    pub fn is_empty(&self) -> bool {
        self.edits().next().is_none()
    }

    /// Changes the text at a place: the function is given what is there, after the edits before.
    ///
    /// # Errors
    /// When the text cannot be read or may not be changed, or the function's own.
    pub fn change(
        &mut self,
        place: &Place,
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

    /// Puts a block with these lines into the text at a place, in place of the old one where there is one.
    ///
    /// # Errors
    /// When the text cannot be read, or its block is torn.
    pub fn put(
        &mut self,
        place: &Place,
        block: &Block,
        lines: &[u8],
        placement: Placement,
    ) -> Result<(), EditError> {
        let missing = Plan::missing(place)?;
        self.change(place, |text| {
            let torn = |source| EditError::Block { place: place.clone(), source };
            block.put(text, missing, lines, placement).map(Some).map_err(torn)
        })
    }

    /// How many directories are missing on the way to a text.
    ///
    /// # Errors
    /// When the way cannot be found.
    pub fn missing(place: &Place) -> Result<usize, EditError> {
        match place {
            Place::File(_) => Ok(Text::read(place)?.missing_directories()),
            Place::Crontab => Ok(0),
        }
    }

    /// Takes the block back from the text at a place; a file that was made for it goes.
    ///
    /// # Errors
    /// When the text cannot be read, or its block is torn.
    pub fn take(&mut self, place: &Place, block: &Block) -> Result<(), EditError> {
        let mut made = 0;
        self.change(place, |text| {
            let Some(text) = text else { return Ok(None) };
            let torn = |source| EditError::Block { place: place.clone(), source };
            Ok(match block.take(text).map_err(torn)? {
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
            let edits = self.edits.iter_mut().filter(|edit| edit.text.real == real);
            edits.for_each(|edit| edit.directories = made);
        }
        Ok(())
    }

    /// An edit as it is.
    #[cfg(test)]
    pub fn push(&mut self, edit: Edit) {
        self.edits.push(edit);
    }
}
