//! A block that a target adds to a text.

use crate::edits::{Block, EditError, EditPlan, Placement, TextPlace};

/// The variable that names the store.
const VARIABLE: &str = "PYTHONPYCACHEPREFIX";

/// The marked block of setup.
pub const BLOCK: Block = Block { name: "pycstore", comment: "#" };

/// A block to add to a text.
#[derive(Debug, Clone)]
pub struct BlockEdit {
    /// The text.
    pub place: TextPlace,
    /// The position of a new block in the text.
    pub placement: Placement,
    /// The lines of the block, each with its end.
    pub lines: Vec<u8>,
    /// Why this text, for people.
    pub why: String,
}

impl BlockEdit {
    /// Adds the block to a plan.
    ///
    /// # Errors
    /// Those of the plan; if the block sets the variable and the text sets it outside the block: the two would contradict each
    /// other.
    pub fn add_to(&self, plan: &mut EditPlan) -> Result<(), EditError> {
        let BlockEdit { place, placement, lines, .. } = self;
        let missing = EditPlan::missing(place)?;
        plan.change(place, |text| {
            let damaged = |source| EditError::Block { place: place.clone(), source };
            let outside = BLOCK.blanked(text.unwrap_or_default()).map_err(damaged)?;
            if line_that_sets(lines).is_some()
                && let Some(number) = line_that_sets(&outside)
            {
                let why = format!("line {number} sets {VARIABLE} already");
                return Err(EditError::Contents { place: place.clone(), why });
            }
            BLOCK.insert(text, missing, lines, *placement).map(Some).map_err(damaged)
        })
    }
}

/// Returns the number of the first line that sets the variable, in sh, fish or a list of assignments. Comments and lines that only
/// use the variable do not count.
fn line_that_sets(text: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(text);
    let assignment = format!("{VARIABLE}=");
    let sets = |line: &str| {
        let line = line.trim_start();
        let is_alias = line.starts_with("alias ");
        let assigns = line.starts_with(&assignment) || line.contains(&format!(" {assignment}")) && !is_alias;
        let sets = line.starts_with("set ") && line.split_ascii_whitespace().any(|word| word == VARIABLE);
        !line.starts_with('#') && (assigns || sets)
    };
    text.lines().position(sets).map(|index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_sets_the_variable_is_told_from_one_that_uses_it() {
        for line in [
            "export PYTHONPYCACHEPREFIX=/x",
            "  PYTHONPYCACHEPREFIX=/x; export PYTHONPYCACHEPREFIX",
            "[ -d /x ] && export PYTHONPYCACHEPREFIX=/x",
            "set -gx PYTHONPYCACHEPREFIX /x",
        ] {
            assert_eq!(line_that_sets(format!("a\n{line}\n").as_bytes()), Some(2), "{line}");
        }
        for line in [
            "# export PYTHONPYCACHEPREFIX=/x",
            "echo $PYTHONPYCACHEPREFIX",
            "alias py='env PYTHONPYCACHEPREFIX= python'",
            "export MYPYTHONPYCACHEPREFIX=/x",
            "set -gx OTHER $PYTHONPYCACHEPREFIX",
        ] {
            assert_eq!(line_that_sets(line.as_bytes()), None, "{line}");
        }
    }
}
