//! What a store betrays of interpreters: the standard libraries and environments that it has entries for.
//!
//! An interpreter in a place that nobody thought of still compiles its own standard library into the store. As long as
//! that library's directory is there, so is the interpreter.

use super::MirroredLibrary;
use super::version::LibraryName;
use crate::layout::Name;
use crate::scan::{Trouble, Visit, Visitor};
use std::ffi::OsStr;
use std::path::PathBuf;

/// What one worker of a scan found.
#[derive(Debug, Default)]
pub struct MirroredInstallations {
    /// Directories such as `PREFIX/lib/python3.12` that have entries directly in them.
    pub libraries: Vec<MirroredLibrary>,
    /// Where the `pyvenv.cfg` of an environment would be; it need not be there.
    pub configurations: Vec<PathBuf>,
}

impl Visitor for MirroredInstallations {
    fn directory(&mut self, visit: &Visit<'_>) {
        let name = visit.relative.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        if std::str::from_utf8(name).ok().and_then(LibraryName::parse).is_none() {
            return;
        }
        let directory = visit.source_directory();
        for entry in visit.entries {
            if let Name::Bytecode(slot) = entry.parsed
                && let Some(library) = MirroredLibrary::new(&directory, slot.tag)
                && !self.libraries.contains(&library)
            {
                self.libraries.push(library);
            }
        }
        let is_library = directory.parent().and_then(|parent| parent.file_name());
        if is_library == Some(OsStr::new("lib")) || is_library == Some(OsStr::new("lib64")) {
            self.configurations.extend(directory.ancestors().nth(2).map(|prefix| prefix.join("pyvenv.cfg")));
        }
    }

    /// What cannot be read is reported by the scan that judges.
    fn trouble(&mut self, _: Trouble) {}
}
