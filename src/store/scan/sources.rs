//! The directory of sources that a directory of the store mirrors.

use super::place::{Mirrored, Place};
use super::{Question, Scan, Trouble};
use crate::host::directory::{Access, Directory, ListBuffer};
use crate::pyc::name;
use crate::source::listing::{Listing, UnknownKinds};
use crate::source::{PresentDirectory, SourceDirectory, Why, is_missing};
use std::io;

/// Below this many entries it is cheaper to look their sources up one by one than to list the sources' directory.
const LIST_FROM: usize = 3;

/// By which names a file system finds a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    /// By the one that a listing has.
    Listed,
    /// By others as well: most volumes of macOS ignore case, HFS+ also the Unicode normalization.
    Equivalent,
}

/// What has to be expected of volumes on this system.
const NAMES: Names = if cfg!(target_os = "macos") { Names::Equivalent } else { Names::Listed };

/// Whether a directory of sources is listed for so many entries: only where a listing tells which names are missing.
fn lists(names: Names, question: Question, bytecode: usize) -> bool {
    question == Question::Orphans && bytecode >= LIST_FROM && names == Names::Listed
}

/// The directory of sources that a place mirrors, as far as the question needs it.
pub(super) enum Sources<'a> {
    /// Names are looked up one by one.
    LookUp(PresentDirectory),
    /// Its names are known.
    Listed(PresentDirectory, &'a Listing),
    /// An answer foreverything in it and below it.
    Settled(Mirrored),
}

impl<'a> Sources<'a> {
    pub(super) fn open(
        scan: &Scan<'_>,
        place: &Place,
        parent: Option<&Directory>,
        bytecode: usize,
        (names, buffer): (&'a mut Listing, &mut ListBuffer),
        report: &mut dyn FnMut(Trouble),
    ) -> Sources<'a> {
        if let Some(handed_down) = place.handed_down() {
            return Sources::Settled(handed_down);
        }
        if !name::mirrors_sources(&place.relative) {
            return Sources::Settled(Mirrored::Nothing);
        }
        let lists = lists(NAMES, scan.question, bytecode);
        let access = if lists { Access::List } else { Access::LookUp };
        let path = place.sources();
        match scan.evidence.open(path.clone(), parent.map(|parent| (parent, place.name())), access) {
            SourceDirectory::Deleted(last_change) => Sources::Settled(Mirrored::Absent(last_change)),
            SourceDirectory::Doubtful(why) => Sources::Settled(Mirrored::Unreachable(why)),
            SourceDirectory::Failed(error) => {
                let why = Why::of(&error);
                if is_fault(&error) {
                    report(Trouble::Source { path, source: error });
                }
                Sources::Settled(Mirrored::Unreachable(why))
            }
            // A directory that may be entered but not read cannot be listed: then names are looked up.
            SourceDirectory::Present(present)
                if lists && names.read(&present.directory, buffer, UnknownKinds::Keep).is_ok() =>
            {
                Sources::Listed(present, names)
            }
            SourceDirectory::Present(present) => Sources::LookUp(present),
        }
    }

    /// The open directory, if there is one.
    pub(super) fn into_directory(self) -> Option<Directory> {
        match self {
            Sources::LookUp(present) | Sources::Listed(present, _) => Some(present.directory),
            Sources::Settled(_) => None,
        }
    }

    pub(super) fn mirrored(&self) -> Mirrored {
        match self {
            Sources::LookUp(_) | Sources::Listed(..) => Mirrored::Present,
            Sources::Settled(mirrored) => *mirrored,
        }
    }
}

/// Whether an error at a source has to be reported: a disk that fails, or a limit of the system. A name that vanished while
/// it was looked at is none.
pub(super) fn is_fault(error: &io::Error) -> bool {
    Why::of(error).is_fault() && !is_missing(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_name_is_found_in_another_case_a_listing_tells_nothing() {
        assert!(lists(Names::Listed, Question::Orphans, LIST_FROM));
        assert!(!lists(Names::Equivalent, Question::Orphans, LIST_FROM));
        assert!(!lists(Names::Listed, Question::Orphans, LIST_FROM - 1));
    }
}
