//! Why a schedule cannot be added.

use crate::complaint::Complaint;
use crate::edits::EditError;

/// Why a schedule cannot be added.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// A text cannot be read or changed.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// Another reason, with a hint.
    #[error(transparent)]
    Refused(#[from] Complaint),
}
