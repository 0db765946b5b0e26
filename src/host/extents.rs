//! Blocks of the disk that several files share (reflinks): on btrfs, XFS and other file systems of Linux that copy on write.
//! Home of fiemap.
//!
//! `FICLONE` lets a new file have the blocks of another; what is written over some of them then gets blocks of its own. Which
//! blocks a file has, `FIEMAP` tells. Elsewhere, both are errors: `Unsupported`.

use std::fs::File;
use std::io;

/// The size of a block in bytes. Where a file system has larger ones, fewer are shared.
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
/// What `FICLONE` answers; EOPNOTSUPP, EINVAL or EXDEV where blocks cannot be shared.
pub(crate) fn clone_contents(from: &File, to: &File) -> io::Result<()> {
    #[cfg(all(target_os = "linux", not(feature = "portable")))]
    return Ok(rustix::fs::ioctl_ficlone(to, from)?);
    #[cfg(not(all(target_os = "linux", not(feature = "portable"))))]
    {
        let _ = (from, to);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Where on the disk each block of a file of this length in bytes is; `None` for what is not written yet, or packed with
/// other data.
///
/// # Errors
/// What `FIEMAP` answers.
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
            let end = (extent.fe_logical.saturating_add(extent.fe_length) as usize / BLOCK).min(blocks);
            // A compressed extent is shared as a whole, from whichever block of it.
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

/// Whether a file has attributes beside its mode, such as an access control list. The label of SELinux, which every file
/// has where that is in use, comes with the directory.
///
/// # Errors
/// What `flistxattr` answers.
pub(crate) fn has_attributes(file: &File) -> io::Result<bool> {
    let mut names = [0; 4096];
    let length = rustix::fs::flistxattr(file, &mut names)?;
    let mut names = names[..length].split(|&byte| byte == 0).filter(|name| !name.is_empty());
    Ok(names.any(|name| name != b"security.selinux"))
}
