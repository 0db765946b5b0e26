//! Directories by descriptor: the one place that makes system calls on them, and the home of rustix.
//!
//! A path can be changed under a running program; an open descriptor cannot. So the store is reached only
//! from the descriptor of its root, downwards, with no symbolic link followed and no mount point crossed:
//! by `openat2` where the kernel has it, else one component at a time with the same guarantees (containers
//! and systemd's hardening refuse `openat2` with ENOSYS or EPERM).
//!
//! What differs between systems has two halves with the same functions: `linux`, and `portable`, which needs POSIX alone
//! and serves macOS. The feature `portable` builds the second on Linux, for tests.
//!
//! # Invariants
//!
//! * [`Directory::open_beneath`] never leaves the tree it was given, whatever happens to the tree meanwhile.
//! * `Directory::remove_file` and `Directory::remove_directory` are called by `effect/remove.rs` alone, what makes files
//!   and directories by `effect/new_entry.rs` alone (tests of the architecture say so); nothing follows a link, nothing
//!   removes what is not empty.
//! * Files are read with `O_NOATIME` where the kernel has it and allows it: last use stays what Python made it.

mod metadata;
mod room;

#[cfg(all(target_os = "linux", not(feature = "portable")))]
mod linux;
#[cfg(all(target_os = "linux", not(feature = "portable")))]
use linux as platform;

#[cfg(not(all(target_os = "linux", not(feature = "portable"))))]
mod portable;
#[cfg(not(all(target_os = "linux", not(feature = "portable"))))]
use portable as platform;

pub use metadata::{FileKind, Metadata};
pub use room::{Room, room};

use crate::units::Moment;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RawMode};
use rustix::io::Errno;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Whether a symbolic link as the last component is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// The link itself is meant.
    Keep,
    /// What it points to is meant.
    Follow,
}

/// What a file may take the name of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// Of nothing: the name must be free.
    Nothing,
    /// Of whatever has it.
    Anything,
}

/// How paths below the store's root are resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolver {
    /// By the kernel, in one `openat2` (Linux 5.6).
    Kernel,
    /// One component at a time, each checked to be on the mount of its parent.
    Components,
}

/// What a directory opened by path is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Its names are listed.
    List,
    /// Only names already known are looked up; no read permission is needed (`O_SEARCH`, on Linux `O_PATH`).
    LookUp,
}

impl Access {
    fn flags(self) -> OFlags {
        match self {
            Access::List => READ_DIRECTORY,
            Access::LookUp => platform::SEARCH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        }
    }
}

/// Room for listings, kept by a thread from directory to directory.
#[derive(Default)]
#[cfg_attr(not(all(target_os = "linux", not(feature = "portable"))), allow(dead_code))]
pub struct ListBuffer(Vec<MaybeUninit<u8>>);

/// An open directory.
#[derive(Debug)]
pub struct Directory {
    descriptor: OwnedFd,
}

const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC);
const READ_DIRECTORY: OFlags = READ.union(OFlags::DIRECTORY);

/// A directory below the root of a tree: never through a link.
const BELOW: OFlags = READ_DIRECTORY.union(OFlags::NOFOLLOW);

impl Directory {
    /// Opens a directory by path, following symbolic links: a root before it is vetted, or a directory of sources.
    ///
    /// # Errors
    /// What `openat` answers: ENOENT, ENOTDIR, EACCES, ELOOP …
    pub fn open(path: &Path, access: Access) -> io::Result<Directory> {
        Ok(Directory { descriptor: rustix::fs::open(path, access.flags(), Mode::empty())? })
    }

    /// Opens the directory `name` in this one, following symbolic links; as [`Directory::open`] of its whole path.
    ///
    /// # Errors
    /// What `openat` answers.
    pub fn open_in(&self, name: &[u8], access: Access) -> io::Result<Directory> {
        Ok(Directory {
            descriptor: rustix::fs::openat(&self.descriptor, name, access.flags(), Mode::empty())?,
        })
    }

    /// Opens the directory at `relative` below this one; `b""` is this one again.
    ///
    /// # Errors
    /// ELOOP or ENOTDIR where a component is a symbolic link, EXDEV where one is a mount point.
    pub fn open_beneath(&self, relative: &[u8], resolver: Resolver) -> io::Result<Directory> {
        let descriptor = match resolver {
            Resolver::Kernel => platform::open_beneath(self.descriptor.as_fd(), relative)?,
            Resolver::Components => self.step_down(relative)?,
        };
        Ok(Directory { descriptor })
    }

    /// Opens the directory at `relative` one component at a time.
    fn step_down(&self, relative: &[u8]) -> io::Result<OwnedFd> {
        let mut current = rustix::fs::openat(&self.descriptor, ".", BELOW, Mode::empty())?;
        let mount = platform::mount_of(current.as_fd())?;
        for component in relative.split(|&byte| byte == b'/').filter(|part| !part.is_empty()) {
            if component == b".." {
                return Err(Errno::XDEV.into());
            }
            current = platform::open_on(mount, current.as_fd(), component)?;
        }
        Ok(current)
    }

    /// Finds out whether the kernel resolves paths for us here.
    pub fn resolver(&self) -> Resolver {
        // Whatever a filter of system calls answers (ENOSYS, EPERM, EACCES …), the other way needs no `openat2`.
        match self.open_beneath(b"", Resolver::Kernel) {
            Ok(_) => Resolver::Kernel,
            Err(_) => Resolver::Components,
        }
    }

    /// Calls `each` with every name except `.` and `..`, in the file system's order.
    ///
    /// # Errors
    /// What reading the directory answers; the names before it have been given.
    pub fn list(&self, buffer: &mut ListBuffer, mut each: impl FnMut(&[u8], FileKind)) -> io::Result<()> {
        platform::list(self.descriptor.as_fd(), buffer, |name, kind| match name {
            b"." | b".." => {}
            name => each(name, kind.into()),
        })
    }

    /// What `stat` says of a name in this directory.
    ///
    /// # Errors
    /// What `fstatat` answers.
    pub fn metadata(&self, name: &[u8], links: Links) -> io::Result<Metadata> {
        let flags = match links {
            Links::Keep => AtFlags::SYMLINK_NOFOLLOW,
            Links::Follow => AtFlags::empty(),
        };
        Ok(rustix::fs::statat(&self.descriptor, name, flags)?.into())
    }

    /// Whether the directory's names are encrypted by the file system (fscrypt of Linux), unlocked or not.
    pub fn is_encrypted(&self) -> bool {
        platform::is_encrypted(self.descriptor.as_fd())
    }

    /// What `stat` says of this directory itself.
    ///
    /// # Errors
    /// What `fstat` answers.
    pub fn own_metadata(&self) -> io::Result<Metadata> {
        Ok(rustix::fs::fstat(&self.descriptor)?.into())
    }

    /// When this directory was made; `None` where the file system does not keep that.
    ///
    /// # Errors
    /// What `statx` or `fstat` answers.
    pub fn made(&self) -> io::Result<Option<Moment>> {
        platform::made(self.descriptor.as_fd())
    }

    /// The metadata and the first bytes of a file, as many as fit; a link is not followed. Of what is not a regular file
    /// nothing is read: something may have taken a file's name since it was listed.
    ///
    /// # Errors
    /// What opening or reading answers. Last use is not disturbed where we may ask for that (`O_NOATIME`
    /// needs the file's owner or root).
    pub fn read_start<'a>(&self, name: &[u8], start: &'a mut [u8]) -> io::Result<(Metadata, &'a [u8])> {
        let file = match self.open_entry(name) {
            Ok(file) => file,
            // A link and a socket cannot be opened in this way.
            Err(error) => match self.metadata(name, Links::Keep) {
                Ok(metadata) if metadata.kind != FileKind::Regular => return Ok((metadata, &[])),
                _ => return Err(error),
            },
        };
        let metadata = Metadata::from(rustix::fs::fstat(&file)?);
        if metadata.kind != FileKind::Regular {
            return Ok((metadata, &[]));
        }
        // Sixteen bytes are wanted; the kernel would read four pages. Where readahead cannot be disabled, it reads more.
        platform::disable_readahead(&file);
        let mut length = 0;
        while length < start.len() {
            match rustix::io::read(&file, &mut start[length..]) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok((metadata, &start[..length]))
    }

    /// Opens an entry for reading; a link is not followed, a pipe is not waited for.
    ///
    /// # Errors
    /// What opening answers.
    pub fn open_entry(&self, name: &[u8]) -> io::Result<std::fs::File> {
        let flags = READ | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        platform::open_unnoticed(self.descriptor.as_fd(), name, flags)
    }

    /// Opens a source for reading, following links as Python does; as [`open_file`].
    ///
    /// # Errors
    /// Those of [`open_file`].
    pub fn open_source(&self, name: &[u8]) -> io::Result<(std::fs::File, Metadata)> {
        platform::open_regular(self.descriptor.as_fd(), name)
    }

    /// Locks the directory for this process without waiting (`flock`); `false` when another has it.
    ///
    /// # Errors
    /// Where the file system has no such locks.
    pub fn try_lock(&self) -> io::Result<bool> {
        match rustix::fs::flock(&self.descriptor, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives the lock back; nothing happens without one.
    pub fn unlock(&self) {
        let _ = rustix::fs::flock(&self.descriptor, rustix::fs::FlockOperation::Unlock);
    }

    /// Where the directory really is now, links resolved, as the kernel tells it.
    ///
    /// # Errors
    /// Where the system does not tell (Linux without `/proc`), or the directory was removed.
    pub fn real_path(&self) -> io::Result<PathBuf> {
        platform::real_path(self.descriptor.as_fd())
    }

    /// Makes a directory as Python does (`os.mkdir`): open to all as far as the umask lets it. For `effect/new_entry.rs`
    /// alone.
    pub(crate) fn make_directory(&self, name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::mkdirat(&self.descriptor, name, Mode::from_raw_mode(0o777))?)
    }

    /// Makes a file that was not there and opens it for writing; the umask narrows the mode. For `effect/new_entry.rs` alone.
    pub(crate) fn make_file(&self, name: &[u8], mode: u32) -> io::Result<std::fs::File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.descriptor, name, flags, Mode::from_raw_mode(mode as RawMode))?.into())
    }

    /// Gives a file its final name, over what has that name, or only if nothing has (`AlreadyExists`). For
    /// `effect/new_entry.rs` alone.
    pub(crate) fn put_in_place(&self, from: &[u8], to: &[u8], over: Over) -> io::Result<()> {
        match over {
            Over::Anything => Ok(rustix::fs::renameat(&self.descriptor, from, &self.descriptor, to)?),
            Over::Nothing => {
                // Not every system and file system can rename so; a link to a name that is taken fails on all that have links.
                match platform::rename_to_free(self.descriptor.as_fd(), from, to) {
                    Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                        let none = AtFlags::empty();
                        rustix::fs::linkat(&self.descriptor, from, &self.descriptor, to, none)?;
                        Ok(rustix::fs::unlinkat(&self.descriptor, from, none)?)
                    }
                    answer => Ok(answer?),
                }
            }
        }
    }

    /// Creates a hard link in this directory to a file of another, under a name that must be free; symbolic links
    /// are not followed. Only for `effect/new_entry.rs`.
    pub(crate) fn add_link(&self, name: &[u8], from: &Directory, from_name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::linkat(&from.descriptor, from_name, &self.descriptor, name, AtFlags::empty())?)
    }

    /// Removes a name that is not a directory. For `effect/remove.rs` alone, and for what `effect/new_entry.rs` made itself.
    pub(crate) fn remove_file(&self, name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.descriptor, name, AtFlags::empty())?)
    }

    /// Removes an empty directory; the kernel refuses any other. For `effect/remove.rs` alone.
    pub(crate) fn remove_directory(&self, name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.descriptor, name, AtFlags::REMOVEDIR)?)
    }
}

/// Opens a regular file by path, following symbolic links, with its metadata.
///
/// Nothing else is opened: a pipe would be waited for, and opening some devices does something. Whoever owns a path may make
/// it lead anywhere, and we may be root. Linux opens what it looked at; elsewhere somebody who replaces the file between the
/// look and the opening can have something else opened, without waiting for it and without a byte being read.
///
/// # Errors
/// What opening answers; `InvalidInput` where something other than a regular file is.
pub fn open_file(path: &Path) -> io::Result<(std::fs::File, Metadata)> {
    platform::open_regular(CWD, path)
}

/// The metadata of a regular file, by its path, following symbolic links.
///
/// # Errors
/// What the system says; `InvalidInput` where something other than a regular file is.
pub fn file_metadata(path: &Path) -> io::Result<Metadata> {
    let metadata: Metadata = rustix::fs::stat(path)?.into();
    if metadata.kind == FileKind::Regular { Ok(metadata) } else { Err(no_regular_file()) }
}

/// The error for something other than a regular file where one is wanted.
fn no_regular_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")
}

/// What `stat` says of an open file.
///
/// # Errors
/// What `fstat` answers.
pub fn metadata_of(file: &std::fs::File) -> io::Result<Metadata> {
    Ok(rustix::fs::fstat(file)?.into())
}

/// Gives an open file these times of last access and modification. For `effect/new_entry.rs` alone.
pub(crate) fn stamp(file: &std::fs::File, accessed: Moment, modified: Moment) -> io::Result<()> {
    let time =
        |moment: Moment| rustix::fs::Timespec { tv_sec: moment.seconds, tv_nsec: moment.nanoseconds.into() };
    let times = rustix::fs::Timestamps { last_access: time(accessed), last_modification: time(modified) };
    Ok(rustix::fs::futimens(file, &times)?)
}

/// Whether an error says that there is no such file.
pub fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Whether an error says that a path has too many symbolic links (ELOOP).
pub fn is_link_loop(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::LOOP)
}

/// The error of a path with too many symbolic links.
pub fn link_loop() -> io::Error {
    Errno::LOOP.into()
}

/// The longest path in bytes that a system call takes (`PATH_MAX` without the null).
pub const LONGEST_PATH: usize = 4095;

/// The error of a path that no system call takes.
pub fn name_too_long() -> io::Error {
    Errno::NAMETOOLONG.into()
}

/// The processor time that this process has used, all threads together.
pub fn processor_time() -> std::time::Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    std::time::Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// The user this process acts as.
pub fn effective_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::special_files::{make_pipe, make_socket};
    use std::os::unix::fs::symlink;

    /// A tree with `a/b`, a link `a/out` to the outside and a link `in` to `a`.
    fn tree() -> (tempfile::TempDir, Directory) {
        let temporary = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(temporary.path().join("root/a/b")).unwrap();
        std::fs::create_dir(temporary.path().join("outside")).unwrap();
        symlink("../../outside", temporary.path().join("root/a/out")).unwrap();
        symlink("a", temporary.path().join("root/in")).unwrap();
        let root = Directory::open(&temporary.path().join("root"), Access::List).unwrap();
        (temporary, root)
    }

    #[test]
    fn both_resolvers_stay_beneath_and_follow_no_link() {
        let (_temporary, root) = tree();
        for resolver in [root.resolver(), Resolver::Components] {
            let open = |path: &[u8]| {
                let directory = root.open_beneath(path, resolver)?;
                Ok::<_, io::Error>(directory.own_metadata().unwrap().identity)
            };
            let expected = root.metadata(b"a/b", Links::Keep).unwrap().identity;
            assert_eq!(open(b"a/b").unwrap(), expected, "{resolver:?}");
            assert_eq!(open(b"").unwrap(), root.own_metadata().unwrap().identity, "{resolver:?}");
            for path in [&b"a/out"[..], b"in", b"in/b", b"..", b"a/../..", b"missing"] {
                assert!(open(path).is_err(), "{resolver:?} {}", String::from_utf8_lossy(path));
            }
        }
    }

    #[test]
    fn a_mount_point_is_not_crossed_by_either_resolver() {
        let root = Directory::open(Path::new("/"), Access::List).unwrap();
        let mounted: &[u8] = if cfg!(target_os = "linux") { b"proc" } else { b"dev" };
        for resolver in [root.resolver(), Resolver::Components] {
            let error = root.open_beneath(mounted, resolver).unwrap_err();
            assert_eq!(Errno::from_io_error(&error), Some(Errno::XDEV), "{resolver:?}");
        }
    }

    #[test]
    fn a_pipe_in_a_directorys_place_is_not_waited_for() {
        let (temporary, root) = tree();
        make_pipe(&temporary.path().join("root/pipe")).unwrap();
        for resolver in [root.resolver(), Resolver::Components] {
            for path in [&b"pipe"[..], b"pipe/below"] {
                let error = root.open_beneath(path, resolver).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::NotADirectory, "{resolver:?}");
            }
        }
    }

    #[test]
    fn of_what_is_no_regular_file_nothing_is_read() {
        let (temporary, root) = tree();
        let base = temporary.path().join("root");
        std::fs::write(base.join("long"), "0123456789").unwrap();
        std::fs::write(base.join("short"), "012").unwrap();
        std::fs::write(base.join("empty"), "").unwrap();
        symlink("long", base.join("link")).unwrap();
        symlink("nothing", base.join("dangling")).unwrap();
        make_pipe(&base.join("pipe")).unwrap();
        make_socket(&base.join("socket")).unwrap();
        for (name, kind, expected) in [
            ("long", FileKind::Regular, "01234567"),
            ("short", FileKind::Regular, "012"),
            ("empty", FileKind::Regular, ""),
            ("link", FileKind::Link, ""),
            ("dangling", FileKind::Link, ""),
            ("pipe", FileKind::Other, ""),
            ("socket", FileKind::Other, ""),
            ("a", FileKind::Directory, ""),
        ] {
            let before = root.metadata(name.as_bytes(), Links::Keep).unwrap();
            let mut start = [0; 8];
            let (metadata, start) = root.read_start(name.as_bytes(), &mut start).unwrap();
            assert_eq!((metadata.kind, start), (kind, expected.as_bytes()), "{name}");
            assert_eq!(metadata, before, "{name}");
            #[cfg(all(target_os = "linux", not(feature = "portable")))]
            assert_eq!(root.metadata(name.as_bytes(), Links::Keep).unwrap(), before, "{name}");
        }
        let missing = root.read_start(b"missing", &mut [0; 8]).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_file_is_made_only_where_nothing_is() {
        let (temporary, root) = tree();
        let base = temporary.path().join("root");
        std::fs::write(base.join("file"), "as it was").unwrap();
        symlink("file", base.join("link")).unwrap();
        symlink("nothing", base.join("dangling")).unwrap();
        for name in ["file", "link", "dangling", "a"] {
            let error = root.make_file(name.as_bytes(), 0o644).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{name}");
        }
        assert_eq!(std::fs::read(base.join("file")).unwrap(), b"as it was");
        assert!(!base.join("nothing").exists());
        let file = root.make_file(b"new", 0o600).unwrap();
        assert_eq!(metadata_of(&file).unwrap(), root.metadata(b"new", Links::Keep).unwrap());
        assert_eq!(metadata_of(&file).unwrap().mode, 0o100_600);
        let [accessed, modified] = [7, 8].map(|seconds| Moment { seconds, nanoseconds: 9 });
        stamp(&file, accessed, modified).unwrap();
        let metadata = metadata_of(&file).unwrap();
        assert_eq!((metadata.accessed, metadata.modified), (accessed, modified));
        assert_eq!(metadata.written(), modified);
        let later = Metadata { changed: accessed, ..metadata };
        assert_eq!(later.written(), accessed);
    }

    #[test]
    fn the_moment_at_which_a_directory_was_made_is_not_known_everywhere() {
        let (temporary, root) = tree();
        let made = root.made().unwrap();
        // Where it is known it stays, whatever is made in the directory later.
        std::thread::sleep(std::time::Duration::from_millis(30));
        std::fs::create_dir(temporary.path().join("root/later")).unwrap();
        assert_eq!(root.made().unwrap(), made);
        if let Some(made) = made {
            let changed = root.own_metadata().unwrap().changed;
            assert!(made < changed && changed.seconds_since(made) < 3600, "{made:?} {changed:?}");
        }
        if cfg!(target_os = "linux") {
            let of_processes = Directory::open(Path::new("/proc/self"), Access::List).unwrap();
            assert_eq!(of_processes.made().unwrap(), None);
        }
    }

    #[test]
    fn what_is_no_regular_file_is_never_opened() {
        let (temporary, root) = tree();
        let base = temporary.path().join("root");
        std::fs::write(base.join("file"), "x = 1").unwrap();
        symlink("file", base.join("link")).unwrap();
        make_socket(&base.join("socket")).unwrap();
        make_pipe(&base.join("pipe")).unwrap();
        symlink("pipe", base.join("to-pipe")).unwrap();
        for name in ["socket", "pipe", "to-pipe", "a"] {
            let ways = [root.open_source(name.as_bytes()), open_file(&base.join(name))];
            for error in ways.map(Result::unwrap_err) {
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name}: {error}");
            }
        }
        let expected = root.metadata(b"file", Links::Keep).unwrap();
        for name in ["file", "link"] {
            for (_, metadata) in
                [root.open_source(name.as_bytes()), open_file(&base.join(name))].map(Result::unwrap)
            {
                assert_eq!(metadata, expected, "{name}");
            }
        }
    }

    #[test]
    fn no_program_that_is_started_inherits_an_open_file() {
        let (temporary, root) = tree();
        let new = root.make_file(b"new", 0o600).unwrap();
        let (source, _) = root.open_source(b"new").unwrap();
        let (file, _) = open_file(&temporary.path().join("root/new")).unwrap();
        let entry = root.open_entry(b"new").unwrap();
        for descriptor in [&new, &source, &file, &entry] {
            let flags = rustix::io::fcntl_getfd(descriptor).unwrap();
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC), "{descriptor:?}");
        }
        for access in [Access::List, Access::LookUp] {
            let directory = Directory::open(temporary.path(), access).unwrap();
            let below = directory.open_in(b"root", access).unwrap();
            for directory in [directory, below] {
                let flags = rustix::io::fcntl_getfd(&directory.descriptor).unwrap();
                assert!(flags.contains(rustix::io::FdFlags::CLOEXEC), "{access:?}");
            }
        }
    }

    #[test]
    fn room_on_disk_is_what_the_file_occupies() {
        use std::os::unix::fs::MetadataExt;
        let (temporary, root) = tree();
        let path = temporary.path().join("root/file");
        std::fs::write(&path, vec![1; 100_000]).unwrap();
        std::fs::File::open(&path).unwrap().sync_all().unwrap();
        let metadata = root.metadata(b"file", Links::Keep).unwrap();
        assert!(metadata.disk >= 100_000, "{metadata:?}");
        assert_eq!(metadata.disk, std::fs::metadata(&path).unwrap().blocks() * 512);
    }

    #[test]
    fn the_user_is_the_one_that_acts() {
        if effective_user() != 0 {
            let (temporary, root) = tree();
            std::fs::write(temporary.path().join("root/file"), "").unwrap();
            assert_eq!(effective_user(), root.metadata(b"file", Links::Keep).unwrap().user);
            return;
        }
        // Linux knows a user by the thread.
        #[cfg(target_os = "linux")]
        {
            use rustix::process::Uid;
            const SOMEBODY: u32 = 65_534;
            let become_somebody = || {
                let user = Uid::from_raw(SOMEBODY);
                rustix::thread::set_thread_res_uid(Uid::ROOT, user, Uid::ROOT).unwrap();
                effective_user()
            };
            assert_eq!(std::thread::spawn(become_somebody).join().unwrap(), SOMEBODY);
        }
    }

    #[test]
    fn processor_time_is_the_time_that_was_worked() {
        let (began, before) = (std::time::Instant::now(), processor_time());
        while processor_time() == before {
            assert!(began.elapsed() < std::time::Duration::from_secs(120), "nothing of it was noted");
        }
    }

    #[test]
    fn a_locked_directory_is_not_locked_again() {
        let (temporary, root) = tree();
        let again = Directory::open(&temporary.path().join("root"), Access::List).unwrap();
        assert!(root.try_lock().unwrap() && !again.try_lock().unwrap());
    }
}
