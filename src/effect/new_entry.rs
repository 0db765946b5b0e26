//! Writes entries into the store and makes directories there, as Python does: the only file that writes to the store.
//!
//! Directories are made as `os.mkdir` makes them. An entry is written whole under a temporary name and then renamed
//! (`SourceFileLoader.set_data`, `_write_atomic`). Everything goes by directory descriptors from the store's root: no symbolic
//! link is followed, no mount point crossed.

use crate::host::directory::{Directory, FileKind, Links, Metadata, Over};
use crate::host::{directory, extents};
use crate::store::Store;
use crate::units::Moment;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Tells the temporary files of one process apart.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// How many temporary names are tried.
const MOST_ATTEMPTS: usize = 1000;

/// Makes the directory of a store that is not there yet, as Python does at its first import.
///
/// # Errors
/// What the system says.
pub fn make_store(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

/// Makes the directory of a store that mirrors a directory of sources, where it is missing. Python makes it when it writes
/// `STORE/bin/../lib/m.pyc`, and needs it to read that.
///
/// # Errors
/// What the system says.
pub fn make_mirror(store: &Store, sources: &Path) -> io::Result<()> {
    let sources = sources.as_os_str().as_bytes();
    make_directories(store, sources.strip_prefix(b"/").unwrap_or(sources)).map(drop)
}

/// Opens a directory of the store, and makes what is missing of it.
pub(crate) fn make_directories(store: &Store, relative: &[u8]) -> io::Result<Directory> {
    match store.directory(relative) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        answer => return answer,
    }
    let mut directory = store.directory(b"")?;
    for name in relative.split(|&byte| byte == b'/').filter(|name| !name.is_empty()) {
        match directory.make_directory(name) {
            // Some of them are there; another process may make the others.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => directory = store.directory_in(&directory, name)?,
        }
    }
    Ok(directory)
}

/// Returns the mode that Python gives an entry (`_calc_mode`): that of the source, writable by its owner, never executable.
pub(crate) fn mode(of_source: u32) -> u32 {
    (of_source | 0o200) & 0o666
}

/// Writes an entry over the one that is there, like `py_compile`.
///
/// # Errors
/// What the system says; `AlreadyExists` if its name belongs to something other than a regular file.
pub(crate) fn write(
    store: &Store,
    relative: &[u8],
    name: &[u8],
    mode: u32,
    content: &[u8],
) -> io::Result<()> {
    write_in(&make_directories(store, relative)?, name, mode, content)
}

/// Like [`write()`], into an open directory.
pub(crate) fn write_in(directory: &Directory, name: &[u8], mode: u32, content: &[u8]) -> io::Result<()> {
    check_free(directory, name)?;
    let mut entry = NewEntry::create(directory, name, mode)?;
    entry.file().write_all(content)?;
    entry.take_name(Over::Anything)
}

/// # Errors
/// `AlreadyExists` if the name belongs to something other than a regular file.
pub(crate) fn check_free(directory: &Directory, name: &[u8]) -> io::Result<()> {
    match directory.metadata(name, Links::Keep) {
        Ok(metadata) if metadata.kind != FileKind::Regular => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is not a regular file"))
        }
        _ => Ok(()),
    }
}

/// Returns the metadata of a new entry with this name and mode: its permissions, its owners and the present time.
///
/// # Errors
/// What the system says.
pub(crate) fn metadata_of_new(directory: &Directory, name: &[u8], mode: u32) -> io::Result<Metadata> {
    directory::metadata_of(&NewEntry::create(directory, name, mode)?.file)
}

/// A temporary name in the store that is removed when dropped, unless the file got its final name.
#[derive(Debug)]
struct TemporaryName<'a> {
    directory: &'a Directory,
    /// The final name.
    name: &'a [u8],
    temporary: Vec<u8>,
    is_temporary: bool,
}

impl<'a> TemporaryName<'a> {
    /// Makes something under a free name, `NAME.<decimal>`, as an interrupted `_write_atomic` would leave it. Another process
    /// with the same id, in another container or before a restart, may have left some.
    fn make<T>(
        directory: &'a Directory,
        name: &'a [u8],
        make: impl Fn(&[u8]) -> io::Result<T>,
    ) -> io::Result<(TemporaryName<'a>, T)> {
        let mut attempts = 0;
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let temporary = [name, format!(".{}{number:06}", std::process::id()).as_bytes()].concat();
            attempts += 1;
            match make(&temporary) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempts < MOST_ATTEMPTS => {}
                Err(error) => return Err(error),
                Ok(made) => {
                    return Ok((TemporaryName { directory, name, temporary, is_temporary: true }, made));
                }
            }
        }
    }

    fn become_final(&mut self, over: Over) -> io::Result<()> {
        self.directory.put_in_place(&self.temporary, self.name, over)?;
        self.is_temporary = false;
        Ok(())
    }
}

impl Drop for TemporaryName<'_> {
    fn drop(&mut self) {
        if self.is_temporary {
            // If it cannot be removed, a later prune removes it like any other temporary.
            let _ = self.directory.remove_file(&self.temporary);
        }
    }
}

/// Another link of an entry, under its temporary name.
#[derive(Debug)]
pub(crate) struct NewLink<'a>(TemporaryName<'a>);

impl<'a> NewLink<'a> {
    /// Links the entry `from_name` of another directory.
    pub(crate) fn create(
        directory: &'a Directory,
        name: &'a [u8],
        (from, from_name): (&Directory, &[u8]),
    ) -> io::Result<NewLink<'a>> {
        let link =
            TemporaryName::make(directory, name, |temporary| directory.add_link(temporary, from, from_name))?;
        Ok(NewLink(link.0))
    }

    /// The metadata of the linked file.
    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        self.0.directory.metadata(&self.0.temporary, Links::Keep)
    }

    /// Replaces the entry with its final name, which must be another file: if both names are links of one file, the
    /// kernel does nothing and keeps both.
    pub(crate) fn take_name(mut self) -> io::Result<()> {
        self.0.become_final(Over::Anything)
    }
}

/// Sets the access and modification times of an open entry.
pub(crate) fn set_times(file: &File, accessed: Moment, modified: Moment) -> io::Result<()> {
    directory::stamp(file, accessed, modified)
}

/// An entry under its temporary name; without another name it is removed when dropped.
#[derive(Debug)]
pub(crate) struct NewEntry<'a> {
    name: TemporaryName<'a>,
    file: File,
}

impl<'a> NewEntry<'a> {
    /// Creates the file with this mode, less the umask.
    pub(crate) fn create(directory: &'a Directory, name: &'a [u8], mode: u32) -> io::Result<NewEntry<'a>> {
        let (name, file) =
            TemporaryName::make(directory, name, |temporary| directory.make_file(temporary, mode))?;
        Ok(NewEntry { name, file })
    }

    /// The file, for writing.
    pub(crate) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Opens it again, for reading.
    pub(crate) fn read(&self) -> io::Result<File> {
        self.name.directory.open_entry(&self.name.temporary)
    }

    /// Gives it the blocks of another file. Nothing may have been written to it before.
    pub(crate) fn share_blocks_of(&mut self, other: &File) -> io::Result<()> {
        extents::clone_contents(other, &self.file)
    }

    /// Gives it its final name.
    pub(crate) fn take_name(&mut self, over: Over) -> io::Result<()> {
        self.name.become_final(over)
    }

    /// Gives it these times of last access and modification.
    pub(crate) fn set_times(&self, accessed: Moment, modified: Moment) -> io::Result<()> {
        set_times(&self.file, accessed, modified)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::directory::Access;

    #[test]
    fn temporaries_of_a_process_with_the_same_id_are_in_nobodys_way() {
        let temporary = tempfile::tempdir().unwrap();
        let next = NUMBER.load(Ordering::Relaxed);
        for number in next..next + 100 {
            let name = format!("m.cpython-312.pyc.{}{number:06}", std::process::id());
            std::fs::write(temporary.path().join(name), "").unwrap();
        }
        let directory = Directory::open(temporary.path(), Access::List).unwrap();
        write_in(&directory, b"m.cpython-312.pyc", 0o600, b"entry").unwrap();
        assert_eq!(std::fs::read(temporary.path().join("m.cpython-312.pyc")).unwrap(), b"entry");
        assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 101);
    }
}
