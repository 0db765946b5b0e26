//! What an entry was compiled from: the name it records, and the hash of a source.

use crate::host::directory::{Directory, metadata_of};
use crate::pyc::marshal::{self, Filename};
use crate::pyc::name::Slot;
use crate::pyc::{Magic, SourceHasher, header};
use crate::store::body;
use std::io::{self, Read};

/// The largest source that is read to be hashed. A sparse file costs who makes it nothing, and us hours.
const LARGEST_SOURCE: u64 = 256 << 20;

/// The last component of the code object's `co_filename` in an entry: the name of the source that was compiled.
pub(crate) fn compiled_name(directory: &Directory, name: &[u8], slot: &Slot<'_>) -> Option<Vec<u8>> {
    let (3, minor) = slot.python()? else { return None };
    let file = directory.open_entry(name).ok()?;
    let length = metadata_of(&file).ok()?.readable_bytes();
    let last = |filename: &[u8]| filename.rsplit(|&byte| byte == b'/').next().map(<[u8]>::to_vec);
    let compiled = body::read_for(&file, length, |bytes, _, memory| {
        match marshal::filename_in(bytes.get(header::LENGTH..).unwrap_or_default(), minor, memory) {
            Filename::Is(filename) => Some(last(&filename)),
            Filename::NotThere => Some(None),
            Filename::NotYet => None,
        }
    });
    compiled.ok()??
}

/// Reads and hashes a source as the interpreter of a tag and magic does.
///
/// # Errors
/// What the system answers; `FileTooLarge` for what is no source, whatever its name.
pub(crate) fn hash_source(
    directory: &Directory,
    source: &[u8],
    tag: &str,
    magic: Magic,
) -> io::Result<[u8; 8]> {
    let (source, metadata) = directory.open_source(source)?;
    if metadata.bytes > LARGEST_SOURCE || metadata.readable_bytes() < metadata.bytes {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    // No more than it says it has: files in `/proc` have no end, and reading them may do something.
    SourceHasher::new(tag, magic).hash(source.take(metadata.bytes))
}
