//! The three-valued question about a source: present, definitely deleted, or undecidable.
//!
//! Missing is not deleted. A source can be missing because a disk is not mounted, a home directory is on autofs,
//! permission is denied, or the path belongs to a container that shares the store. Only [`Source::Absent`] ever makes an
//! orphan; every doubt becomes [`Source::Unreachable`] with its reason.
//!
//! # Invariants
//!
//! * `Absent` means: `stat` said ENOENT or ENOTDIR, the nearest existing ancestor can tell ([`Evidence::fate`]), *and* something
//!   on the path changed at or after the moment at which the entry was written ([`crate::source::witness`]). The two stamps may
//!   come from the clocks of two machines: then the change must be later by as much as clocks differ.
//! * An error is never taken for a missing name, whatever the user assumes.
//! * Sources are looked at as `FileFinder` and `SourceLoader.path_stats` do: links followed, regular files only.

pub use crate::host::directory::is_missing;
use crate::host::directory::{self, Access, Directory, FileKind, Links, ListBuffer, Metadata};
use crate::host::volumes::{Mounts, VolumeDoubt};
use crate::pyc::header::python_mtime;
use crate::source::listing::{Listing, UnknownKinds};
use crate::source::witness::{self, Wanted, Witness};
use crate::units::Moment;
use std::cell::OnceCell;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What is known of an entry's source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It is there.
    Present(SourceFile),
    /// It is there; nothing more was asked.
    Exists,
    /// It was definitely deleted.
    Absent(Gone),
    /// It cannot be told from here.
    Unreachable(Why),
    /// It was not looked for: the name alone decides, or the caller did not ask.
    NotAsked,
}

/// A source file as CPython sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceFile {
    /// `int(os.stat(source).st_mtime)`, in seconds since 1970.
    pub python_mtime: i64,
    /// The same as CPython writes it into a header: modulo 2³².
    pub pinned_mtime: u32,
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
    /// The volume it may be on is not mounted, or its directory is locked.
    Unmounted,
    /// The path belongs to another host or a container.
    OtherHost,
    /// Nothing on its path changed since the entry was written: it was not deleted here.
    NoTrace,
    /// A file stands in a directory's place that may be an archive.
    Archive,
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
            Why::NoTrace => "no-trace",
            Why::Archive => "archive",
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
            io::ErrorKind::FileTooLarge => Why::TooLarge,
            _ if directory::is_link_loop(error) => Why::Loop,
            _ => Why::Io,
        }
    }

    /// Whether it is a fault of the system: a disk that fails, a server that is gone, or a limit.
    pub fn is_fault(self) -> bool {
        matches!(self, Why::Io | Why::StaleHandle)
    }

    /// Whether the name is missing and only its deletion is in doubt: what `--assume-gone` can decide.
    pub fn is_missing_name(self) -> bool {
        matches!(self, Why::Unmounted | Why::OtherHost | Why::NoTrace | Why::Archive)
    }
}

impl From<VolumeDoubt> for Why {
    fn from(doubt: VolumeDoubt) -> Why {
        match doubt {
            VolumeDoubt::Unmounted => Why::Unmounted,
            VolumeDoubt::OtherHost => Why::OtherHost,
        }
    }
}

/// What the question rests on besides the sources themselves.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
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
    /// It was deleted, as far as entries written before this moment are concerned.
    Deleted(Moment),
    /// It is there after all, or again.
    Exists,
    /// The name is missing, and it cannot be told whether it was deleted.
    Doubtful(Why),
}

impl Fate {
    /// That of what the user assumes to be gone: deleted after any entry was written.
    pub const ASSUMED: Fate = Fate::Deleted(Moment { seconds: i64::MAX, nanoseconds: 999_999_999 });

    /// What is known of the source of an entry that was written at this moment; `None` where it exists.
    pub fn source(self, gone: Gone, written: Moment) -> Option<Source> {
        match self {
            Fate::Deleted(last_change) if written <= last_change => Some(Source::Absent(gone)),
            Fate::Deleted(_) => Some(Source::Unreachable(Why::NoTrace)),
            Fate::Doubtful(why) => Some(Source::Unreachable(why)),
            Fate::Exists => None,
        }
    }
}

/// A directory of sources, as far as it could be reached.
#[derive(Debug)]
pub enum SourceDirectory {
    /// It is there.
    Present(PresentDirectory),
    /// It was deleted with everything below it, as far as entries written before this moment are concerned.
    Deleted(Moment),
    /// It cannot be told, nor can anything below it.
    Doubtful(Why),
    /// The system refuses the answer.
    Failed(io::Error),
}

/// An open directory of sources.
#[derive(Debug)]
pub struct PresentDirectory {
    /// Its descriptor.
    pub directory: Directory,
    path: PathBuf,
    fate: OnceCell<Fate>,
}

/// The answer for one name in a directory of sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A source is there.
    Found(SourceFile),
    /// It is missing.
    Missing(Fate),
}

impl Evidence {
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
                SourceDirectory::Present(PresentDirectory { directory, path, fate: OnceCell::new() })
            }
            Err(error) if is_missing(&error) => match self.fate(&path, Wanted::Directory) {
                Ok(Fate::Deleted(last_change)) => SourceDirectory::Deleted(last_change),
                Ok(Fate::Doubtful(why)) => SourceDirectory::Doubtful(why),
                // The parent that we hold was replaced meanwhile: only the whole path tells.
                Ok(Fate::Exists) if parent.is_some() => self.open(path, None, access),
                Ok(Fate::Exists) => SourceDirectory::Doubtful(Why::Io),
                Err(error) => SourceDirectory::Failed(error),
            },
            // Listing wants read permission, looking up does not.
            Err(error) if access == Access::List && error.kind() == io::ErrorKind::PermissionDenied => {
                self.open(path, parent, Access::LookUp)
            }
            Err(error) => SourceDirectory::Failed(error),
        }
    }

    /// What became of a path at which nothing was found.
    ///
    /// # Errors
    /// What the system answers, except that a name is missing.
    pub fn fate(&self, path: &Path, wanted: Wanted) -> io::Result<Fate> {
        let witness = Witness::find(path, wanted)?;
        if witness.missing.is_none() {
            return Ok(Fate::Exists);
        }
        self.judge(path, &witness)
    }

    /// What a witness says of the missing path `path`.
    ///
    /// # Errors
    /// What looking into the witness answers.
    pub fn judge(&self, path: &Path, witness: &Witness) -> io::Result<Fate> {
        if self.is_assumed_gone(path) {
            return Ok(Fate::ASSUMED);
        }
        match self.doubt(witness) {
            Ok(Some(why)) => Ok(Fate::Doubtful(why)),
            Ok(None) => {
                // The entry's stamp may be that of a clock that is behind.
                let margin = self.mounts.clock_margin(&witness.directory, &self.store);
                Ok(Fate::Deleted(witness.last_change.moment.earlier_by(margin)))
            }
            // The witness vanished meanwhile.
            Err(error) if is_missing(&error) => Ok(Fate::Doubtful(Why::Io)),
            Err(error) => Err(error),
        }
    }

    /// Whether the user says that what is missing at this path is gone.
    pub fn is_assumed_gone(&self, path: &Path) -> bool {
        self.assumed_gone.iter().any(|assumed| path.starts_with(assumed))
    }

    /// Why a witness cannot tell whether what is missing in it was deleted.
    fn doubt(&self, witness: &Witness) -> io::Result<Option<Why>> {
        let directory = &witness.directory;
        let missing = witness.missing_path();
        if let Err(doubt) = self.mounts.vouches(directory, missing.as_deref(), &self.store) {
            return Ok(Some(doubt.into()));
        }
        if witness::is_bare_mount_point(directory, &self.mounts)? || witness::is_locked(directory)? {
            return Ok(Some(Why::Unmounted));
        }
        if witness.blocker.as_deref().is_some_and(witness::may_be_archive) {
            return Ok(Some(Why::Archive));
        }
        // A home directory that systemd-homed has not unlocked is there only as its image.
        let is_locked_home = witness.missing.as_ref().is_some_and(|name| {
            ["home", "homedir"].iter().any(|suffix| {
                let mut image = name.clone();
                image.push(".");
                image.push(suffix);
                std::fs::symlink_metadata(directory.join(image)).is_ok()
            })
        });
        Ok(is_locked_home.then_some(Why::Unmounted))
    }
}

impl PresentDirectory {
    /// Looks at one name as CPython's `path_stats` does. A directory of that name is no source.
    ///
    /// # Errors
    /// What the system answers, except that the name is missing.
    pub fn look_up(&self, name: &[u8], evidence: &Evidence) -> io::Result<Answer> {
        match self.directory.metadata(name, Links::Follow) {
            Ok(metadata) if metadata.kind == FileKind::Regular => Ok(Answer::Found(metadata.into())),
            Ok(_) => self.missing(evidence, name),
            Err(error) if is_missing(&error) => self.missing(evidence, name),
            Err(error) => Err(error),
        }
    }

    /// The answer for a name that was not in this directory, or is a dangling link in it.
    ///
    /// # Errors
    /// What the system answers, except that the name is missing.
    pub fn missing(&self, evidence: &Evidence, name: &[u8]) -> io::Result<Answer> {
        let path = self.path.join(OsStr::from_bytes(name));
        match self.directory.metadata(name, Links::Keep) {
            // A dangling link may point into a volume that is not mounted.
            Ok(metadata) if metadata.kind == FileKind::Link => {
                return match evidence.fate(&path, Wanted::Anything)? {
                    // Its target came meanwhile, or is no file.
                    Fate::Exists => match self.directory.metadata(name, Links::Follow) {
                        Ok(metadata) if metadata.kind == FileKind::Regular => {
                            Ok(Answer::Found(metadata.into()))
                        }
                        Ok(_) => Ok(Answer::Missing(self.fate(evidence, &path)?)),
                        Err(error) => Err(error),
                    },
                    fate => Ok(Answer::Missing(fate)),
                };
            }
            // It came meanwhile: `git checkout` and `pip` remove a file and write it anew.
            Ok(metadata) if metadata.kind == FileKind::Regular => return Ok(Answer::Found(metadata.into())),
            // A directory that may be listed but not searched proves nothing.
            Err(error) if !is_missing(&error) => return Err(error),
            _ => {}
        }
        Ok(Answer::Missing(self.fate(evidence, &path)?))
    }

    /// What became of any name that is missing in this directory, such as that of `path`.
    fn fate(&self, evidence: &Evidence, path: &Path) -> io::Result<Fate> {
        if evidence.is_assumed_gone(path) {
            return Ok(Fate::ASSUMED);
        }
        if let Some(fate) = self.fate.get() {
            return Ok(*fate);
        }
        let witness = Witness::find(&self.path, Wanted::Directory)?;
        let is_removed = self.directory.own_metadata()?.links == 0;
        // A directory that was removed while we hold it open says nothing of the one that may stand there now.
        let fate = if is_removed || witness.missing.is_some() {
            Fate::Doubtful(Why::Io)
        } else {
            evidence.judge(&self.path, &witness)?
        };
        Ok(*self.fate.get_or_init(|| fate))
    }

    /// The names of everything here but directories, sorted.
    ///
    /// # Errors
    /// What listing the directory answers.
    pub fn listing(&self, buffer: &mut ListBuffer) -> io::Result<Listing> {
        // An `O_PATH` descriptor cannot be listed.
        let directory = Directory::open(&self.path, Access::List)?;
        let mut listing = Listing::default();
        listing.read(&directory, buffer, UnknownKinds::Keep).map(|()| listing)
    }

    /// The directory's path as it is spelled in the store.
    pub fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Whether a name is a regular file, links followed.
    pub fn is_file(&self, name: &[u8]) -> bool {
        self.directory.metadata(name, Links::Follow).is_ok_and(|metadata| metadata.kind == FileKind::Regular)
    }
}

impl From<Metadata> for SourceFile {
    fn from(metadata: Metadata) -> SourceFile {
        let mtime = python_mtime(metadata.modified.seconds, metadata.modified.nanoseconds);
        SourceFile {
            python_mtime: mtime as i64,
            pinned_mtime: mtime as u32,
            modified: metadata.modified,
            changed: metadata.changed,
            links: metadata.links,
            bytes: metadata.bytes,
            hash: None,
        }
    }
}

/// Places whose whole purpose is that what is in them goes away.
pub fn is_temporary_place(path: &Path) -> bool {
    ["/tmp", "/var/tmp", "/dev/shm", "/private/tmp", "/private/var/tmp"]
        .iter()
        .any(|place| path == Path::new(place))
}
