//! Entries of CPython 3.12 that record a path.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The entry of a source that was compiled by this path; `start` is its header.
pub fn compiled_by(start: &[u8], path: &Path) -> Vec<u8> {
    compiled_with(start, path, 0)
}

/// The same with so many bytes of code, which come before the path.
///
/// Its body is what `marshal.dumps(compile("", path, "exec"))` says with Python 3.12, with other code.
pub fn compiled_with(start: &[u8], path: &Path, code: usize) -> Vec<u8> {
    let path = path.as_os_str().as_bytes();
    let length = |bytes: usize| u32::try_from(bytes).unwrap().to_le_bytes();
    let mut bytes = start[..16].to_vec();
    bytes.push(b'c');
    bytes.extend([0; 20]); // counts, stack size, flags
    bytes.push(b's');
    bytes.extend(length(code));
    bytes.resize(bytes.len() + code, b'.');
    bytes.extend(b")\0)\0)\0s\0\0\0\0"); // constants, names, variables and their kinds
    bytes.push(b'u');
    bytes.extend(length(path.len()));
    bytes.extend(path);
    bytes.extend(b"z\x08<module>z\x08<module>"); // name and qualified name
    bytes.extend([1, 0, 0, 0]);
    bytes.extend(b"s\0\0\0\0s\0\0\0\0"); // lines and exceptions
    bytes
}
