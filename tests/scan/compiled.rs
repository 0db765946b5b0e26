//! Entries of CPython 3.12 that record a path.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The entry of a source that was compiled by this path; `start` is its header.
///
/// Its body is what `marshal.dumps(compile("", path, "exec"))` says with Python 3.12, without code.
pub fn compiled_by(start: &[u8], path: &Path) -> Vec<u8> {
    let path = path.as_os_str().as_bytes();
    let mut bytes = start[..16].to_vec();
    bytes.push(b'c');
    bytes.extend([0; 20]); // counts, stack size, flags
    bytes.extend(b"s\0\0\0\0)\0)\0)\0s\0\0\0\0"); // code, constants, names, variables and their kinds
    bytes.push(b'u');
    bytes.extend(u32::try_from(path.len()).unwrap().to_le_bytes());
    bytes.extend(path);
    bytes.extend(b"z\x08<module>z\x08<module>"); // name and qualified name
    bytes.extend([1, 0, 0, 0]);
    bytes.extend(b"s\0\0\0\0s\0\0\0\0"); // lines and exceptions
    bytes
}
