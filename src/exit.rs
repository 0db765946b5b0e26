//! Exit codes.

use std::process::ExitCode;

/// How a run ended, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// All done; nothing to do included.
    Done,
    /// Finished, but something could not be read or removed.
    Incomplete,
    /// Nothing was done: usage, configuration, a store that was refused.
    Nothing,
}

impl Exit {
    /// [`Exit::Done`] if all went well.
    pub fn complete_if(condition: bool) -> Exit {
        if condition { Exit::Done } else { Exit::Incomplete }
    }

    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Incomplete => 1,
            Exit::Nothing => 2,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}
