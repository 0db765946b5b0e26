//! Blocks of the disk that several files share (reflinks), on Linux file systems that copy on write, such as btrfs
//! and XFS. Only this module uses `fiemap`.
//!
//! `FICLONE` gives a new file the blocks of another; later writes go to new blocks. `FIEMAP` lists the blocks of a
//! file. On other systems, both return the error `Unsupported`.

use std::fs::File;
use std::io;

/// The size of a block in bytes. On a file system with larger blocks, fewer are shared.
pub const BLOCK: usize = 4096;

/// The file systems that may share blocks.
const TYPES: [&str; 3] = ["bcachefs", "btrfs", "xfs"];

/// Whether a file system of this type may share blocks.
pub fn may_share(kind: &str) -> bool {
    cfg!(all(target_os = "linux", not(feature = "portable"))) && TYPES.contains(&kind)
}

/// Gives an empty file the blocks of another, of the same file system. For `effect/new_entry.rs` alone.
///
/// # Errors
/// Those of `FICLONE`; EOPNOTSUPP, EINVAL or EXDEV if blocks cannot be shared.
pub(crate) fn clone_contents(from: &File, to: &File) -> io::Result<()> {
    #[cfg(all(target_os = "linux", not(feature = "portable")))]
    return Ok(rustix::fs::ioctl_ficlone(to, from)?);
    #[cfg(not(all(target_os = "linux", not(feature = "portable"))))]
    {
        let _ = (from, to);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Returns the position on the disk of each block of a file of this length in bytes; `None` for blocks that are not
/// written yet or are packed with other data.
///
/// # Errors
/// Those of `FIEMAP`.
pub(crate) fn blocks(file: &File, length: u64) -> io::Result<Vec<Option<u64>>> {
    let blocks = usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?.div_ceil(BLOCK);
    #[cfg(all(target_os = "linux", not(feature = "portable")))]
    {
        use fiemap::{Fiemap, FiemapExtentFlags as Flags};
        let unknown =
            Flags::UNKNOWN | Flags::DELALLOC | Flags::NOT_ALIGNED | Flags::DATA_INLINE | Flags::UNWRITTEN;
        let mut found = vec![None; blocks];
        for extent in Fiemap::new(file) {
            let extent = extent?;
            if extent.fe_flags.intersects(unknown) {
                continue;
            }
            let first = usize::try_from(extent.fe_logical).unwrap_or(usize::MAX).div_ceil(BLOCK);
            let end = extent.fe_logical.saturating_add(extent.fe_length);
            // The last block of a file may be a part of one.
            let is_last = extent.fe_flags.contains(Flags::LAST);
            let end = if is_last { end.div_ceil(BLOCK as u64) } else { end / BLOCK as u64 };
            let end = usize::try_from(end).unwrap_or(blocks).min(blocks);
            // A compressed extent is shared as a whole, so that all its blocks have one position.
            let is_packed = extent.fe_flags.contains(Flags::ENCODED);
            for (at, block) in found.iter_mut().enumerate().take(end).skip(first) {
                let offset = if is_packed { 0 } else { (at * BLOCK) as u64 - extent.fe_logical };
                *block = Some(extent.fe_physical.wrapping_add(offset));
            }
        }
        Ok(found)
    }
    #[cfg(not(all(target_os = "linux", not(feature = "portable"))))]
    {
        let _ = (file, blocks);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Whether a file has attributes beside its mode, such as an access control list. SELinux labels do not count: each
/// file inherits its label from the directory.
///
/// # Errors
/// Those of `flistxattr`.
pub(crate) fn has_attributes(file: &File) -> io::Result<bool> {
    let mut names = [0; 4096];
    let length = rustix::fs::flistxattr(file, &mut names)?;
    let mut names = names[..length].split(|&byte| byte == 0).filter(|name| !name.is_empty());
    Ok(names.any(|name| name != b"security.selinux"))
}
