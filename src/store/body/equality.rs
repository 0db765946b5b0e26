//! Whether two entries are equal except for the file names in them: found by hash, and confirmed byte by byte.

use super::{LARGEST, ReadPart, read_for, read_start, workspace};
use crate::host::directory::{Metadata, metadata_of};
use crate::pyc::header;
use crate::pyc::marshal::{self, Dialect, Filenames, Memory};
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The identity of an entry, apart from the file names in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fingerprint {
    /// Entries with different hashes are different.
    Hash(u64),
    /// Its body does not load or is too long, or Python would not correct all names in it.
    NotCorrected,
}

/// Whether the header of an entry counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderPart {
    /// It does.
    Counts,
    /// The entries are of sources with other mtimes.
    Ignored,
}

/// Held while long entries are read: two threads that compare or copy them would need four long buffers.
static LONG_PAIR: Mutex<()> = Mutex::new(());

/// Hashes an open entry without the names in it, whose last component is `source_name`. `None` if it was truncated
/// meanwhile.
///
/// # Errors
/// What the system says.
pub(crate) fn fingerprint<H: Hasher>(
    file: &File,
    metadata: &Metadata,
    (dialect, source_name): (Dialect, &[u8]),
    part: HeaderPart,
    new_hasher: impl Fn() -> H,
) -> io::Result<Option<Fingerprint>> {
    if metadata.readable_bytes().min(LARGEST) < metadata.bytes {
        return Ok(Some(Fingerprint::NotCorrected));
    }
    read_for(file, metadata.bytes, |bytes, read, memory| {
        (read == ReadPart::All && bytes.len() as u64 == metadata.bytes).then(|| {
            let (header, body) = bytes.split_at_checked(header::LENGTH).unwrap_or((bytes, &[]));
            match marshal::filenames(body, dialect, memory) {
                Ok(Some(names))
                    if names.is_of(source_name, body)
                        && (part == HeaderPart::Counts || names.are_ascii(body)) =>
                {
                    let mut hasher = new_hasher();
                    if part == HeaderPart::Counts {
                        header.hash(&mut hasher);
                    }
                    names.hash(body, &mut hasher);
                    Fingerprint::Hash(hasher.finish())
                }
                Ok(_) | Err(_) => Fingerprint::NotCorrected,
            }
        })
    })
}

/// Whether two open entries are equal byte by byte, except for the names in them, which the interpreter corrects in
/// both. The last component of the names is `source_name` in both.
///
/// # Errors
/// What the system says.
pub(crate) fn are_equal(one: &File, other: &File, dialect: Dialect, source_name: &[u8]) -> io::Result<bool> {
    let is_equal = with_pair(one, other, |one, other| {
        let mut memory = Memory::default();
        let mut names = |bytes: &[u8]| {
            let body = bytes.get(header::LENGTH..)?;
            marshal::filenames(body, dialect, &mut memory)
                .ok()?
                .filter(|names| names.is_of(source_name, body))
        };
        let (Some(names), Some(other_names)) = (names(one), names(other)) else { return false };
        let (header, body) = one.split_at(header::LENGTH);
        let (other_header, other_body) = other.split_at(header::LENGTH);
        header == other_header && Filenames::are_equal((&names, body), (&other_names, other_body))
    })?;
    Ok(is_equal.unwrap_or(false))
}

/// Calls a function with the contents of two open entries; `None` if one is too long or changes meanwhile.
///
/// # Errors
/// What the system says.
pub(crate) fn with_pair<T>(
    one: &File,
    other: &File,
    answer: impl FnOnce(&[u8], &[u8]) -> T,
) -> io::Result<Option<T>> {
    let lengths = [metadata_of(one)?, metadata_of(other)?].map(|it| (it.bytes, it.readable_bytes()));
    if lengths.iter().any(|(bytes, readable)| bytes > readable || *bytes > LARGEST) {
        return Ok(None);
    }
    let _turn = turn(lengths[0].0.max(lengths[1].0));
    let read = |file: &File, length: u64| -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        // One byte more tells whether it has grown.
        read_start(file, &mut bytes, length as usize + 1)?;
        Ok((bytes.len() as u64 == length).then_some(bytes))
    };
    let (Some(first), Some(second)) = (read(one, lengths[0].0)?, read(other, lengths[1].0)?) else {
        return Ok(None);
    };
    Ok(Some(answer(&first, &second)))
}

/// Calls `then` with the content of an open entry; `None` if its body does not load, or the interpreter would not correct all
/// names in it, or their last component is not `source_name`.
///
/// # Errors
/// What the system says.
pub(crate) fn with_corrected<T>(
    file: &File,
    dialect: Dialect,
    source_name: &[u8],
    then: impl FnOnce(&[u8]) -> T,
) -> io::Result<Option<T>> {
    let _turn = turn(metadata_of(file)?.bytes);
    let read = read_corrected(file, dialect, source_name, &mut Memory::default())?;
    Ok(read.map(|(bytes, _)| then(&bytes)))
}

/// The lock for an entry of this length, if it is long.
fn turn(bytes: u64) -> Option<MutexGuard<'static, ()>> {
    let is_long = bytes > workspace::SMALL as u64;
    is_long.then(|| LONG_PAIR.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Reads a whole entry with its names.
fn read_corrected(
    file: &File,
    dialect: Dialect,
    source_name: &[u8],
    memory: &mut Memory,
) -> io::Result<Option<(Vec<u8>, Filenames)>> {
    let metadata = metadata_of(file)?;
    let length = metadata.bytes;
    if length > metadata.readable_bytes().min(LARGEST) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    // One byte more tells whether it has grown.
    read_start(file, &mut bytes, length as usize + 1)?;
    if bytes.len() as u64 != length {
        return Ok(None);
    }
    let body = bytes.get(header::LENGTH..).unwrap_or_default();
    let names = marshal::filenames(body, dialect, memory).ok().flatten();
    let names = names.filter(|names| names.is_of(source_name, body));
    Ok(names.map(|names| (bytes, names)))
}
