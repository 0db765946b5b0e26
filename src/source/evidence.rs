//! The three-valued question about a source: present, definitely deleted, or undecidable.
//!
//! Missing is not deleted. A source can be missing because a disk is not mounted, a home directory is on autofs,
//! permission is denied, or the path belongs to a container that shares the store. Only [`Source::Absent`] ever makes an
//! orphan; every doubt becomes [`Source::Unreachable`] with its reason.
//!
//! # Invariants
//!
//! * `Absent` means: `stat` said ENOENT or ENOTDIR, the nearest existing ancestor can tell ([`Evidence::fate`]), *and* something
//!   on the path changed at or after the moment at which the entry was written ([`crate::source::witness`]).
//! * An error is never taken for a missing name, whatever the user assumes.
//! * Sources are looked at as `FileFinder` and `SourceLoader.path_stats` do: links followed, regular files only.

pub use crate::host::directory::is_missing;
use crate::host::directory::{self, Access, Directory, FileKind, Links, ListBuffer, Metadata};
use crate::host::volumes::{Doubt, Mounts};
use crate::pyc::header::python_mtime;
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

    /// Whether the name is missing and only its deletion is in doubt: what `--assume-gone` can decide.
    pub fn is_missing_name(self) -> bool {
        matches!(self, Why::Unmounted | Why::OtherHost | Why::NoTrace | Why::Archive)
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
            Ok(None) => Ok(Fate::Deleted(witness.last_change.moment)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A base directory that is not empty, so that it can be a witness.
    fn base() -> (tempfile::TempDir, PathBuf) {
        let temporary = tempfile::tempdir().unwrap();
        let base = temporary.path().canonicalize().unwrap();
        std::fs::write(base.join("keep"), "").unwrap();
        (temporary, base)
    }

    fn is_deleted(fate: io::Result<Fate>) -> bool {
        matches!(fate.unwrap(), Fate::Deleted(_))
    }

    fn fate(evidence: &Evidence, path: &Path) -> Fate {
        evidence.fate(path, Wanted::Anything).unwrap()
    }

    fn present(evidence: &Evidence, path: &Path) -> PresentDirectory {
        match evidence.open(path.to_path_buf(), None, Access::LookUp) {
            SourceDirectory::Present(present) => present,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_entry_written_before_the_last_change_is_an_orphan() {
        let moment = |seconds| Moment { seconds, nanoseconds: 5 };
        let source = |written| Fate::Deleted(moment(10)).source(Gone::Source, moment(written)).unwrap();
        assert_eq!(source(9), Source::Absent(Gone::Source));
        assert_eq!(source(10), Source::Absent(Gone::Source));
        assert_eq!(source(11), Source::Unreachable(Why::NoTrace));
        let doubtful = Fate::Doubtful(Why::Archive).source(Gone::Root, moment(1));
        assert_eq!(doubtful, Some(Source::Unreachable(Why::Archive)));
        assert_eq!(Fate::Exists.source(Gone::Root, moment(1)), None);
    }

    #[test]
    fn a_dangling_link_into_an_unmounted_volume_is_no_orphan() {
        let (_temporary, base) = base();
        let mounts =
            Mounts::parse(b"", format!("/dev/x {}/volume ext4 noauto 0 0\n", base.display()).as_bytes());
        std::fs::create_dir(base.join("volume")).unwrap();
        symlink(base.join("volume/project"), base.join("project")).unwrap();
        symlink(base.join("volume/one.py"), base.join("one.py")).unwrap();
        let mut evidence = Evidence { mounts, store: base.join("store"), assumed_gone: Vec::new() };
        assert_eq!(fate(&evidence, &base.join("project")), Fate::Doubtful(Why::Unmounted));
        assert!(is_deleted(evidence.fate(&base.join("elsewhere"), Wanted::Anything)));
        assert_eq!(fate(&evidence, &base), Fate::Exists);
        let here = present(&evidence, &base);
        let looked = here.look_up(b"one.py", &evidence).unwrap();
        assert_eq!(looked, Answer::Missing(Fate::Doubtful(Why::Unmounted)));
        let looked = here.look_up(b"two.py", &evidence).unwrap();
        assert!(matches!(looked, Answer::Missing(Fate::Deleted(_))), "{looked:?}");
        evidence.assumed_gone.push(base.join("volume"));
        let assumed = fate(&evidence, &base.join("project"));
        assert_eq!(assumed, Fate::Doubtful(Why::Unmounted), "assumed by its spelled path only");
        evidence.assumed_gone.push(base.join("project"));
        assert_eq!(fate(&evidence, &base.join("project")), Fate::ASSUMED);
    }

    #[test]
    fn an_empty_directory_is_no_witness_at_any_depth() {
        let (_temporary, base) = base();
        let evidence = Evidence::default();
        for depth in ["a", "a/b", "a/b/c/d/e/f"] {
            let directory = base.join(depth);
            std::fs::create_dir_all(&directory).unwrap();
            assert_eq!(fate(&evidence, &directory.join("p/m.py")), Fate::Doubtful(Why::Unmounted));
            std::fs::write(directory.join("file"), "").unwrap();
            assert!(is_deleted(evidence.fate(&directory.join("p/m.py"), Wanted::Anything)), "{depth}");
        }
    }

    #[test]
    fn a_directory_made_for_mounts_knows_nothing_of_what_is_missing() {
        let (_temporary, base) = base();
        std::fs::create_dir_all(base.join("me/.cache/cpython")).unwrap();
        // Only the store is mounted into a container: its `/home/me` has nothing else.
        let line =
            format!("30 22 0:9 / {} rw - ext4 /dev/vda rw\n", base.join("me/.cache/cpython").display());
        let mounts = Mounts::parse(line.as_bytes(), b"");
        let evidence = Evidence { mounts, store: base.join("me/.cache/cpython"), assumed_gone: Vec::new() };
        assert_eq!(fate(&evidence, &base.join("me/project")), Fate::Doubtful(Why::Unmounted));
        std::fs::write(base.join("me/.profile"), "").unwrap();
        assert!(is_deleted(evidence.fate(&base.join("me/project"), Wanted::Anything)));
    }

    #[test]
    fn a_file_in_a_directorys_place_is_no_witness_unless_it_is_a_text() {
        let (_temporary, base) = base();
        let evidence = Evidence::default();
        let zip_with_shebang = [b"#!/usr/bin/env python3\nPK\x03\x04".as_slice(), &[0; 40]].concat();
        let long = "€".repeat(100_000);
        let longer = format!("ab{long}cd");
        for (name, contents, is_text) in [
            ("empty", &b""[..], false),
            ("archive", &zip_with_shebang, false),
            ("compressed", b"\xfd7zXZ\xff\xfe", false),
            ("script", "#!/bin/sh\necho é\n".as_bytes(), true),
            // Only the beginning and the end of a long one are read: they may cut a character in two.
            ("long", long.as_bytes(), true),
            ("longer", longer.as_bytes(), true),
            ("long with a wrong byte", &[long.as_bytes(), b"\xe9\n"].concat(), false),
        ] {
            let file = base.join(name);
            std::fs::write(&file, contents).unwrap();
            for path in [file.join("m.py"), file.join("deep/m.py")] {
                let fate = fate(&evidence, &path);
                assert_eq!(matches!(fate, Fate::Deleted(_)), is_text, "{name}: {fate:?}");
            }
            let directory = evidence.open(file, None, Access::LookUp);
            assert_eq!(matches!(directory, SourceDirectory::Deleted(_)), is_text, "{name}: {directory:?}");
        }
        crate::special_files::make_pipe(&base.join("pipe")).unwrap();
        assert_eq!(
            fate(&evidence, &base.join("pipe/m.py")),
            Fate::Doubtful(Why::Archive),
            "it is not waited for"
        );
    }

    #[test]
    fn what_is_assumed_gone_covers_no_error() {
        let (_temporary, base) = base();
        symlink("loop", base.join("loop")).unwrap();
        let evidence = Evidence { assumed_gone: vec![base.clone()], ..Evidence::default() };
        let loops = evidence.open(base.join("loop"), None, Access::LookUp);
        assert!(matches!(loops, SourceDirectory::Failed(_)), "{loops:?}");
        let loops = present(&evidence, &base).look_up(b"loop", &evidence);
        assert_eq!(Why::of(&loops.unwrap_err()), Why::Loop);
        assert!(matches!(
            evidence.open(base.join("gone"), None, Access::LookUp),
            SourceDirectory::Deleted(_)
        ));
    }

    #[test]
    fn a_directory_replaced_while_it_is_held_is_looked_at_again() {
        let (_temporary, base) = base();
        std::fs::create_dir_all(base.join("p/old")).unwrap();
        let evidence = Evidence::default();
        let held = present(&evidence, &base.join("p"));
        std::fs::remove_dir_all(base.join("p")).unwrap();
        std::fs::create_dir_all(base.join("p/sub")).unwrap();
        std::fs::write(base.join("p/m.py"), "").unwrap();
        let below = evidence.open(base.join("p/sub"), Some((&held.directory, b"sub")), Access::LookUp);
        assert!(matches!(below, SourceDirectory::Present(_)), "it is there under its whole path");
        let looked = held.look_up(b"m.py", &evidence).unwrap();
        assert_eq!(looked, Answer::Missing(Fate::Doubtful(Why::Io)), "what we hold tells nothing");
    }

    #[test]
    fn what_is_in_a_directory_that_was_moved_while_it_is_held_is_there() {
        let (_temporary, base) = base();
        std::fs::create_dir(base.join("p")).unwrap();
        std::fs::write(base.join("p/m.py"), "").unwrap();
        symlink("m.py", base.join("p/link.py")).unwrap();
        symlink("loop.py", base.join("p/loop.py")).unwrap();
        let evidence = Evidence::default();
        let held = present(&evidence, &base.join("p"));
        std::fs::rename(base.join("p"), base.join("q")).unwrap();
        assert!(matches!(held.look_up(b"link.py", &evidence).unwrap(), Answer::Found(_)));
        assert!(matches!(held.missing(&evidence, b"m.py").unwrap(), Answer::Found(_)));
        assert_eq!(Why::of(&held.look_up(b"loop.py", &evidence).unwrap_err()), Why::Loop);
    }

    #[test]
    fn a_name_that_cannot_be_asked_for_is_not_missing() {
        let (_temporary, base) = base();
        let (evidence, name) = (Evidence::default(), "n".repeat(300));
        assert!(evidence.fate(&base.join(&name).join("m.py"), Wanted::Anything).is_err());
        assert!(matches!(evidence.open(base.join(&name), None, Access::List), SourceDirectory::Failed(_)));
        let here = present(&evidence, &base);
        assert!(here.look_up(name.as_bytes(), &evidence).is_err());
        assert!(here.missing(&evidence, name.as_bytes()).is_err());
    }

    /// Runs a test in a thread for which modes count even where it is root's.
    #[cfg(target_os = "linux")]
    fn as_who_obeys_modes(test: impl FnOnce() + Send) {
        use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
        let obey = || {
            let mut sets = capabilities(None).unwrap();
            sets.effective.remove(CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH);
            set_capabilities(None, sets).unwrap();
            test();
        };
        std::thread::scope(|scope| scope.spawn(obey).join().unwrap());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_directory_that_may_not_be_listed_is_looked_into_and_one_that_may_not_be_searched_tells_nothing() {
        let (_temporary, base) = base();
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        };
        for (path, bits) in [("searched", 0o111), ("closed", 0o000)] {
            let path = base.join(path);
            std::fs::create_dir_all(path.join("sub")).unwrap();
            std::fs::write(path.join("m.py"), "").unwrap();
            mode(&path, bits);
        }
        as_who_obeys_modes(|| {
            let evidence = Evidence::default();
            let open = |path: &str, access| evidence.open(base.join(path), None, access);
            for access in [Access::List, Access::LookUp] {
                let SourceDirectory::Present(searched) = open("searched", access) else { panic!() };
                assert!(matches!(searched.look_up(b"m.py", &evidence).unwrap(), Answer::Found(_)));
                // It may be a bare mount point.
                assert_eq!(Why::of(&searched.look_up(b"n.py", &evidence).unwrap_err()), Why::Permission);
                let SourceDirectory::Present(closed) = open("closed", access) else { panic!() };
                let refused = closed.look_up(b"m.py", &evidence).unwrap_err();
                assert_eq!(Why::of(&refused), Why::Permission);
                for path in ["closed/sub", "closed/gone"] {
                    let SourceDirectory::Failed(error) = open(path, access) else { panic!("{path}") };
                    assert_eq!(Why::of(&error), Why::Permission);
                }
            }
        });
        mode(&base.join("closed"), 0o700);
    }

    #[test]
    fn what_is_missing_at_a_mount_point_that_is_missing_itself_is_no_orphan() {
        let (_temporary, base) = base();
        let fstab = format!("/dev/x {}/volume ext4 noauto 0 0\n", base.display());
        let evidence = Evidence { mounts: Mounts::parse(b"", fstab.as_bytes()), ..Evidence::default() };
        assert_eq!(fate(&evidence, &base.join("volume/p/m.py")), Fate::Doubtful(Why::Unmounted));
        assert!(is_deleted(evidence.fate(&base.join("volume2/p/m.py"), Wanted::Anything)));
    }

    #[test]
    fn a_source_that_came_after_the_listing_is_there() {
        let (_temporary, base) = base();
        std::fs::write(base.join("m.py"), "").unwrap();
        symlink("m.py", base.join("link.py")).unwrap();
        let evidence = Evidence::default();
        let here = present(&evidence, &base);
        assert!(matches!(here.missing(&evidence, b"m.py").unwrap(), Answer::Found(_)));
        assert!(matches!(here.missing(&evidence, b"link.py").unwrap(), Answer::Found(_)));
        assert!(matches!(here.missing(&evidence, b"n.py").unwrap(), Answer::Missing(Fate::Deleted(_))));
    }

    #[test]
    fn a_directory_is_no_source() {
        let (_temporary, base) = base();
        std::fs::create_dir(base.join("m.py")).unwrap();
        symlink("m.py", base.join("link.py")).unwrap();
        let evidence = Evidence::default();
        let here = present(&evidence, &base);
        for name in [&b"m.py"[..], b"link.py"] {
            assert!(matches!(here.look_up(name, &evidence).unwrap(), Answer::Missing(Fate::Deleted(_))));
        }
    }

    #[test]
    fn each_reason_has_a_name_and_some_are_of_missing_names() {
        for (why, name, is_missing_name) in [
            (Why::Permission, "permission", false),
            (Why::Unmounted, "unmounted", true),
            (Why::OtherHost, "other-host", true),
            (Why::NoTrace, "no-trace", true),
            (Why::Archive, "archive", true),
            (Why::Loop, "loop", false),
            (Why::StaleHandle, "stale-handle", false),
            (Why::TooLarge, "too-large", false),
            (Why::Ambiguous, "ambiguous", false),
            (Why::Magic, "magic", false),
            (Why::Io, "io", false),
        ] {
            assert_eq!((why.name(), why.is_missing_name()), (name, is_missing_name));
        }
        // EACCES, EPERM, ESTALE, EFBIG, ELOOP, EIO.
        for (number, why) in [
            (13, Why::Permission),
            (1, Why::Permission),
            (116, Why::StaleHandle),
            (27, Why::TooLarge),
            (40, Why::Loop),
            (5, Why::Io),
        ] {
            assert_eq!(Why::of(&io::Error::from_raw_os_error(number)), why, "{number}");
        }
    }

    #[test]
    fn some_places_are_there_for_what_goes_away() {
        for (path, is_temporary) in
            [("/tmp", true), ("/var/tmp", true), ("/dev/shm", true), ("/tmp/x", false), ("/var", false)]
        {
            assert_eq!(is_temporary_place(Path::new(path)), is_temporary, "{path}");
        }
    }

    #[test]
    fn what_is_no_source_is_missing_and_what_is_one_is_found() {
        let (_temporary, base) = base();
        std::fs::create_dir(base.join("d.py")).unwrap();
        std::fs::write(base.join("m.py"), "text").unwrap();
        symlink("m.py", base.join("link.py")).unwrap();
        symlink("d.py", base.join("directory.py")).unwrap();
        symlink("loop.py", base.join("loop.py")).unwrap();
        symlink("m.py/below", base.join("below.py")).unwrap();
        let evidence = Evidence::default();
        let here = present(&evidence, &base);
        for (name, found) in [
            ("m.py", Some(true)),
            ("link.py", Some(true)),
            ("d.py", Some(false)),
            ("directory.py", Some(false)),
            ("gone.py", Some(false)),
            ("loop.py", None),
        ] {
            for answer in [here.look_up(name.as_bytes(), &evidence), here.missing(&evidence, name.as_bytes())]
            {
                let is_found = answer.as_ref().ok().map(|answer| matches!(answer, Answer::Found(_)));
                assert_eq!(is_found, found, "{name}: {answer:?}");
                if let Ok(Answer::Found(file)) = answer {
                    assert_eq!(file.bytes, 4, "{name}");
                }
            }
            assert_eq!(here.is_file(name.as_bytes()), found == Some(true), "{name}");
        }
        let names = here.names(&mut ListBuffer::default()).unwrap();
        let expected = ["below.py", "directory.py", "keep", "link.py", "loop.py", "m.py"];
        assert_eq!(names, expected.map(|name| name.as_bytes().to_vec()));
        assert_eq!(here.path(), base);
    }
}
