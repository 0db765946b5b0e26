//! The three-valued question about a source: present, absent for certain, or not to be told.
//!
//! Missing is not gone. A source can be missing because a disk is not mounted, a home directory is on
//! autofs, permission is denied, or the path belongs to a container that shares the store. Only
//! [`Source::Absent`] ever makes an orphan; every doubt becomes [`Source::Unreachable`] with its reason.
//!
//! # Invariants
//!
//! * `Absent` means: `stat` said ENOENT or ENOTDIR, *and* the nearest ancestor that exists (with every
//!   symbolic link on the way resolved, a dangling one included) vouches for what is missing below it.
//! * Sources are looked at as `FileFinder` and `SourceLoader.path_stats` do: links followed, regular files only.

use crate::directory::{self, Access, Directory, FileKind, Links, ListBuffer, Metadata};
use crate::mounts::{Doubt, Mounts};
use crate::pyc::header::python_mtime;
use crate::units::Moment;
use std::cell::OnceCell;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// What is known of an entry's source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It is there.
    Present(SourceFile),
    /// It is there; nothing more was asked.
    Exists,
    /// It is gone, for certain.
    Absent(Gone),
    /// Nobody can tell from here.
    Unreachable(Why),
    /// It was not looked for: the name alone decides, or the caller did not ask.
    NotAsked,
}

/// A source file as CPython sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceFile {
    /// `int(os.stat(source).st_mtime)`, in seconds since 1970.
    pub python_mtime: i64,
    /// The mtime itself.
    pub modified: Moment,
    /// The last change of its inode (`st_ctime`).
    pub changed: Moment,
    /// Number of hard links.
    pub links: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its hash under the entry's magic, if the entry's header asks for it.
    pub hash: Option<Result<[u8; 8], Why>>,
}

/// How much is gone together with a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// The source, while its owner is still there.
    Source,
    /// The whole project, environment or directory that owned it.
    Root,
}

/// Why a source's or an entry's state cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// EACCES or EPERM.
    Permission,
    /// The volume it may be on is not mounted.
    Unmounted,
    /// The path belongs to another host or a container.
    OtherHost,
    /// Too many symbolic links (ELOOP).
    Loop,
    /// A file handle that the server no longer knows (ESTALE).
    StaleHandle,
    /// Too large to be read: no source, whatever its name.
    TooLarge,
    /// Several files could be the source, and the entry does not say which.
    Ambiguous,
    /// No reader of the entry's magic is known: its interpreter is newer than this program, or another implementation.
    Magic,
    /// Any other error of the file system.
    Io,
}

impl Why {
    /// The reason's name in `ls` and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Why::Permission => "permission",
            Why::Unmounted => "unmounted",
            Why::OtherHost => "other-host",
            Why::Loop => "loop",
            Why::StaleHandle => "stale-handle",
            Why::TooLarge => "too-large",
            Why::Ambiguous => "ambiguous",
            Why::Magic => "magic",
            Why::Io => "io",
        }
    }

    /// The reason behind an error that is not "no such file".
    pub fn of(error: &io::Error) -> Why {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Why::Permission,
            io::ErrorKind::StaleNetworkFileHandle => Why::StaleHandle,
            _ if directory::is_link_loop(error) => Why::Loop,
            _ => Why::Io,
        }
    }
}

impl From<Doubt> for Why {
    fn from(doubt: Doubt) -> Why {
        match doubt {
            Doubt::Unmounted => Why::Unmounted,
            Doubt::OtherHost => Why::OtherHost,
        }
    }
}

/// What the question rests on besides the sources themselves.
#[derive(Debug, Clone, Default)]
pub struct Ground {
    /// What is mounted and what ought to be.
    pub mounts: Mounts,
    /// The store's own place, links resolved.
    pub store: PathBuf,
    /// Paths at and below which the user says that missing is gone (`--assume-gone`).
    pub assumed_gone: Vec<PathBuf>,
}

/// What became of a path at which nothing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is gone, for certain.
    Gone,
    /// It is there after all, or again.
    Exists,
}

/// A directory of sources, as far as it could be reached.
#[derive(Debug)]
pub enum SourceDirectory {
    /// It is there.
    Present(PresentDirectory),
    /// It is gone for certain, and so is everything below it.
    Absent,
    /// It cannot be told, nor can anything below it.
    Unreachable(Why),
}

/// An open directory of sources.
#[derive(Debug)]
pub struct PresentDirectory {
    /// Its descriptor.
    pub directory: Directory,
    path: PathBuf,
    vouches: OnceCell<Result<(), Why>>,
}

impl Ground {
    /// Opens the directory of sources at `path`; from its parent and its name there, if the caller holds that open.
    pub fn open(
        &self,
        path: PathBuf,
        parent: Option<(&Directory, &[u8])>,
        access: Access,
    ) -> SourceDirectory {
        let opened = match parent {
            Some((parent, name)) => parent.open_in(name, access),
            None => Directory::open(&path, access),
        };
        match opened {
            Ok(directory) => {
                SourceDirectory::Present(PresentDirectory { directory, path, vouches: OnceCell::new() })
            }
            Err(error) if is_missing(&error) => match self.fate(&path) {
                Ok(Fate::Gone) => SourceDirectory::Absent,
                // The parent that we hold was replaced meanwhile: only the whole path tells.
                Ok(Fate::Exists) if parent.is_some() => self.open(path, None, access),
                // A file stands where the directory was: what lay below it is gone.
                Ok(Fate::Exists) if error.kind() == io::ErrorKind::NotADirectory => SourceDirectory::Absent,
                Ok(Fate::Exists) => SourceDirectory::Unreachable(Why::Io),
                Err(why) => SourceDirectory::Unreachable(why),
            },
            // Listing wants read permission, looking up does not.
            Err(error) if access == Access::List && error.kind() == io::ErrorKind::PermissionDenied => {
                self.open(path, parent, Access::LookUp)
            }
            Err(_) if self.is_assumed_gone(&path) => SourceDirectory::Absent,
            Err(error) => SourceDirectory::Unreachable(Why::of(&error)),
        }
    }

    /// What became of a path at which nothing was found.
    ///
    /// # Errors
    /// The reason to doubt that it is gone.
    pub fn fate(&self, path: &Path) -> Result<Fate, Why> {
        if self.is_assumed_gone(path) {
            return Ok(Fate::Gone);
        }
        match nearest_existing(path).map_err(|error| Why::of(&error))? {
            (_, None) => Ok(Fate::Exists),
            (ancestor, Some(missing)) => self.vouches(&ancestor, Some(&missing)).map(|()| Fate::Gone),
        }
    }

    /// Whether the user says that what is missing at this path is gone.
    pub fn is_assumed_gone(&self, path: &Path) -> bool {
        self.assumed_gone.iter().any(|assumed| path.starts_with(assumed))
    }

    /// Whether the existing directory `ancestor`, links resolved, vouches for `missing` in it being gone.
    fn vouches(&self, ancestor: &Path, missing: Option<&OsStr>) -> Result<(), Why> {
        let missing_path = missing.map(|name| ancestor.join(name));
        self.mounts.vouches(ancestor, missing_path.as_deref(), &self.store)?;
        if self.may_be_shell(ancestor) && self.is_shell(ancestor).map_err(|error| Why::of(&error))? {
            return Err(Why::Unmounted);
        }
        // A home directory that systemd-homed has not unlocked is there only as its image.
        let is_locked_home = missing.is_some_and(|name| {
            ["home", "homedir"].iter().any(|suffix| {
                let mut image = name.to_os_string();
                image.push(".");
                image.push(suffix);
                std::fs::symlink_metadata(ancestor.join(image)).is_ok()
            })
        });
        if is_locked_home { Err(Why::Unmounted) } else { Ok(()) }
    }

    /// Whether a directory is worth a look at what it holds: one near the root or anywhere below `/mnt` and the like, where
    /// volumes are mounted that no table names (ZFS, unit files, encrypted homes), or one with a mount below.
    fn may_be_shell(&self, directory: &Path) -> bool {
        let depth = directory.components().count() - 1;
        let is_near_root = depth <= 2 && !directory.ancestors().any(is_temporary_place);
        is_near_root || self.mounts.is_among_volumes(directory) || self.mounts.has_below(directory)
    }

    /// Whether a directory holds nothing but the way to what is mounted below it: it is empty, or was made for a
    /// mount, as a container's `/home/me` with only a store in it. It knows nothing of what is missing.
    fn is_shell(&self, directory: &Path) -> io::Result<bool> {
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            if !self.mounts.is_at_or_below(&path) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl PresentDirectory {
    /// Looks at one name as CPython's `path_stats` does. A directory of that name is no source.
    pub fn look_up(&self, name: &[u8], ground: &Ground) -> Source {
        match self.directory.metadata(name, Links::Follow) {
            Ok(metadata) if metadata.kind == FileKind::Regular => Source::Present(metadata.into()),
            Ok(_) => self.missing(ground, name),
            Err(error) if is_missing(&error) => self.missing(ground, name),
            Err(_) if ground.is_assumed_gone(&self.path.join(OsStr::from_bytes(name))) => {
                Source::Absent(Gone::Source)
            }
            Err(error) => Source::Unreachable(Why::of(&error)),
        }
    }

    /// The answer for a name that was not in this directory, or is a dangling link in it.
    pub fn missing(&self, ground: &Ground, name: &[u8]) -> Source {
        let path = self.path.join(OsStr::from_bytes(name));
        if ground.is_assumed_gone(&path) {
            return Source::Absent(Gone::Source);
        }
        match self.directory.metadata(name, Links::Keep) {
            // A dangling link may point into a volume that is not mounted.
            Ok(metadata) if metadata.kind == FileKind::Link => {
                if let Err(why) = ground.fate(&path) {
                    return Source::Unreachable(why);
                }
            }
            // It came meanwhile: `git checkout` and `pip` remove a file and write it anew.
            Ok(metadata) if metadata.kind == FileKind::Regular => return Source::Present(metadata.into()),
            // A directory that may be listed but not searched proves nothing.
            Err(error) if !is_missing(&error) => return Source::Unreachable(Why::of(&error)),
            _ => {}
        }
        let vouches = self.vouches.get_or_init(|| {
            let of = |error: io::Error| Why::of(&error);
            // A directory that was removed while we hold it open says nothing of the one that may stand there now.
            if self.directory.own_metadata().map_err(of)?.links == 0 {
                return Err(Why::Io);
            }
            ground.vouches(&self.directory.real_path().map_err(of)?, None)
        });
        match vouches {
            Ok(()) => Source::Absent(Gone::Source),
            Err(why) => Source::Unreachable(*why),
        }
    }

    /// The names of everything here but directories, sorted.
    ///
    /// # Errors
    /// What listing the directory answers.
    pub fn names(&self, buffer: &mut ListBuffer) -> io::Result<Vec<Vec<u8>>> {
        // An `O_PATH` descriptor cannot be listed.
        let directory = Directory::open(&self.path, Access::List)?;
        let mut names = Vec::new();
        directory.list(buffer, |name, kind| {
            if kind != FileKind::Directory {
                names.push(name.to_vec());
            }
        })?;
        names.sort();
        Ok(names)
    }

    /// Whether a name is a regular file, links followed.
    pub fn is_file(&self, name: &[u8]) -> bool {
        self.directory.metadata(name, Links::Follow).is_ok_and(|metadata| metadata.kind == FileKind::Regular)
    }

    /// The directory's path as it is spelled in the store.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl From<Metadata> for SourceFile {
    fn from(metadata: Metadata) -> SourceFile {
        SourceFile {
            python_mtime: python_mtime(metadata.modified.seconds, metadata.modified.nanoseconds),
            modified: metadata.modified,
            changed: metadata.changed,
            links: metadata.links,
            bytes: metadata.bytes,
            hash: None,
        }
    }
}

/// Whether an error says that there is no such file.
pub fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Places whose whole purpose is that what is in them goes away.
pub fn is_temporary_place(path: &Path) -> bool {
    ["/tmp", "/var/tmp", "/dev/shm", "/private/tmp", "/private/var/tmp"]
        .iter()
        .any(|place| path == Path::new(place))
}

/// The nearest directory on the way to `path` that exists, free of links, and the first name missing in it.
fn nearest_existing(path: &Path) -> io::Result<(PathBuf, Option<OsString>)> {
    const MOST_LINKS: usize = 40; // the kernel's own limit
    let mut links = 0;
    let mut current = PathBuf::from("/");
    let mut ahead: VecDeque<OsString> = VecDeque::new();
    let push_front = |ahead: &mut VecDeque<OsString>, path: &Path| {
        for component in path.components().rev() {
            match component {
                Component::Normal(name) => ahead.push_front(name.to_os_string()),
                Component::ParentDir => ahead.push_front(OsString::from("..")),
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
    };
    push_front(&mut ahead, path);
    while let Some(name) = ahead.pop_front() {
        if name == ".." {
            current.pop();
            continue;
        }
        let next = current.join(&name);
        match std::fs::symlink_metadata(&next) {
            Ok(metadata) if metadata.is_symlink() => {
                links += 1;
                if links > MOST_LINKS {
                    return Err(directory::link_loop());
                }
                let target = std::fs::read_link(&next)?;
                if target.is_absolute() {
                    current = PathBuf::from("/");
                }
                push_front(&mut ahead, &target);
            }
            Ok(metadata) if metadata.is_dir() || ahead.is_empty() => current = next,
            // A file where a directory was: what lay below it is missing in its parent.
            Ok(_) => return Ok((current, Some(name))),
            Err(error) if is_missing(&error) => return Ok((current, Some(name))),
            Err(error) => return Err(error),
        }
    }
    Ok((current, None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_nearest_existing_ancestor_is_found_through_links() {
        let temporary = tempfile::tempdir().unwrap();
        let base = temporary.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("real/deep")).unwrap();
        std::fs::write(base.join("file"), "").unwrap();
        symlink("real", base.join("link")).unwrap();
        symlink("/mnt/no-such-volume/project", base.join("dangling")).unwrap();
        symlink("loop", base.join("loop")).unwrap();
        let nearest = |path: &str| nearest_existing(&base.join(path)).map(|(ancestor, _)| ancestor);
        assert_eq!(nearest("link/gone/x").unwrap(), base.join("real"));
        assert_eq!(nearest("link/deep/../gone").unwrap(), base.join("real"));
        assert_eq!(nearest("file/x").unwrap(), base);
        assert!(!nearest("dangling/x.py").unwrap().starts_with(&base));
        assert_eq!(Why::of(&nearest("loop/x").unwrap_err()), Why::Loop);
    }

    #[test]
    fn a_dangling_link_into_an_unmounted_volume_is_no_orphan() {
        let temporary = tempfile::tempdir().unwrap();
        let base = temporary.path().canonicalize().unwrap();
        let mounts =
            Mounts::parse(b"", format!("/dev/x {}/volume ext4 noauto 0 0\n", base.display()).as_bytes());
        std::fs::create_dir(base.join("volume")).unwrap();
        symlink(base.join("volume/project"), base.join("project")).unwrap();
        symlink(base.join("volume/one.py"), base.join("one.py")).unwrap();
        let mut ground = Ground { mounts, store: base.join("store"), assumed_gone: Vec::new() };
        assert_eq!(ground.fate(&base.join("project")), Err(Why::Unmounted));
        assert_eq!(ground.fate(&base.join("elsewhere")), Ok(Fate::Gone));
        assert_eq!(ground.fate(&base), Ok(Fate::Exists));
        let SourceDirectory::Present(here) = ground.open(base.clone(), None, Access::LookUp) else {
            panic!()
        };
        assert_eq!(here.look_up(b"one.py", &ground), Source::Unreachable(Why::Unmounted));
        assert_eq!(here.look_up(b"two.py", &ground), Source::Absent(Gone::Source));
        ground.assumed_gone.push(base.join("volume"));
        assert_eq!(
            ground.fate(&base.join("project")),
            Err(Why::Unmounted),
            "assumed by its spelled path only"
        );
        ground.assumed_gone.push(base.join("project"));
        assert_eq!(ground.fate(&base.join("project")), Ok(Fate::Gone));
    }

    #[test]
    fn a_directory_made_for_mounts_knows_nothing_of_what_is_missing() {
        let temporary = tempfile::tempdir().unwrap();
        let base = temporary.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("me/.cache/cpython")).unwrap();
        // Only the store is mounted into a container: its `/home/me` has nothing else.
        let line =
            format!("30 22 0:9 / {} rw - ext4 /dev/vda rw\n", base.join("me/.cache/cpython").display());
        let mounts = Mounts::parse(line.as_bytes(), b"");
        let ground = Ground { mounts, store: base.join("me/.cache/cpython"), assumed_gone: Vec::new() };
        assert_eq!(ground.fate(&base.join("me/project")), Err(Why::Unmounted));
        std::fs::write(base.join("me/.profile"), "").unwrap();
        assert_eq!(ground.fate(&base.join("me/project")), Ok(Fate::Gone));
    }

    #[test]
    fn directories_that_volumes_may_be_mounted_at_are_looked_into() {
        let mounts = Mounts::parse(b"30 22 8:1 / /mnt/disk rw - ext4 /dev/sda1 rw\n", b"");
        let ground = Ground { mounts, ..Ground::default() };
        for directory in ["/srv", "/srv/data", "/mnt/nas/share", "/media/me/stick/deep", "/net/host/export/a"]
        {
            assert!(ground.may_be_shell(Path::new(directory)), "{directory}");
        }
        for directory in ["/tmp/a", "/srv/data/deep", "/home/me/project", "/mnt/disk/deep"] {
            assert!(!ground.may_be_shell(Path::new(directory)), "{directory}");
        }
    }

    #[test]
    fn a_directory_replaced_while_it_is_held_is_looked_at_again() {
        let temporary = tempfile::tempdir().unwrap();
        let base = temporary.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("p/old")).unwrap();
        let ground = Ground::default();
        let SourceDirectory::Present(held) = ground.open(base.join("p"), None, Access::LookUp) else {
            panic!()
        };
        std::fs::remove_dir_all(base.join("p")).unwrap();
        std::fs::create_dir_all(base.join("p/sub")).unwrap();
        std::fs::write(base.join("p/m.py"), "").unwrap();
        let below = ground.open(base.join("p/sub"), Some((&held.directory, b"sub")), Access::LookUp);
        assert!(matches!(below, SourceDirectory::Present(_)), "it is there under its whole path");
        assert_eq!(
            held.look_up(b"m.py", &ground),
            Source::Unreachable(Why::Io),
            "what we hold tells nothing"
        );
    }

    #[test]
    fn a_source_that_came_after_the_listing_is_there() {
        let temporary = tempfile::tempdir().unwrap();
        let base = temporary.path().canonicalize().unwrap();
        std::fs::write(base.join("m.py"), "").unwrap();
        let ground = Ground::default();
        let SourceDirectory::Present(here) = ground.open(base, None, Access::LookUp) else { panic!() };
        assert!(matches!(here.missing(&ground, b"m.py"), Source::Present(_)));
        assert_eq!(here.missing(&ground, b"n.py"), Source::Absent(Gone::Source));
    }

    #[test]
    fn a_directory_is_no_source() {
        let temporary = tempfile::tempdir().unwrap();
        let base = temporary.path().canonicalize().unwrap();
        std::fs::create_dir(base.join("m.py")).unwrap();
        let ground = Ground::default();
        let SourceDirectory::Present(here) = ground.open(base, None, Access::LookUp) else { panic!() };
        assert_eq!(here.look_up(b"m.py", &ground), Source::Absent(Gone::Source));
    }
}
