//! Why an entry is removed, as far as that depends on its source: checked again just before the removal.

use crate::units::Moment;
use std::path::Path;

/// What must still hold for a victim's source when the victim is removed: the reason for its removal.
///
/// A path is that of the source where it is not the usual one: a name in the mirrored directory, or an absolute path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Premise {
    /// Nothing: the victim is removed regardless of its source.
    None,
    /// The whole directory of sources is missing.
    DirectoryMissing,
    /// The source is missing.
    SourceMissing(Option<Box<Path>>),
    /// The source exists, with this mtime and this size in bytes.
    SourceUnchanged(Box<(Option<Box<Path>>, Moment, u64)>),
}
