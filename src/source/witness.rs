//! The witness of a deletion: the nearest existing directory on the way to a path, and its trace.
//!
//! Deleting a name changes the directory that held it. So the witness's `st_ctime` is the last moment at which the name
//! can have been deleted there. Two other changes can hide a name as well: a symbolic link on the way that was replaced,
//! and a directory on the way that was put in place by renaming (then both it and its parent changed). An entry that was
//! written after all of these was not deleted here: its source exists in a view that is not ours, such as a volume that
//! is not mounted or a container.
//!
//! `st_ctime` is used because no program can set it. Symbolic links and `..` are resolved as the kernel resolves them
//! (path_resolution(7)).

use crate::host::directory::{self, Access, Directory, ListBuffer, is_missing};
use crate::host::resolution::{Advance, PathComponent, Resolution};
use crate::host::volumes::Mounts;
use crate::units::Moment;
use std::ffi::OsString;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Seconds by which a time stamp without a fraction may be too early: FAT counts in steps of two.
const GRACE: i64 = 2;

/// The most bytes that are read at either end of a file to tell text from an archive.
const SAMPLE: u64 = 64 << 10;

/// The nearest existing directory on the way to a path, and what is known of names that are missing below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// The directory, with symbolic links resolved: the path itself where that is a directory, else an ancestor.
    pub directory: PathBuf,
    /// The first name on the path that is missing in it; `None` where the whole path exists.
    pub missing: Option<OsString>,
    /// The file that stands where a directory is wanted, if that is why the path leads nowhere.
    pub blocker: Option<PathBuf>,
    /// The last moment at which something on this path can have been deleted.
    pub last_change: Change,
}

/// A change of a directory or symbolic link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// When it changed; with two seconds added where the file system keeps no fractions of a second.
    pub moment: Moment,
    /// What changed.
    pub path: PathBuf,
    /// How it can have hidden a name.
    pub kind: ChangeKind,
}

/// How a change can have hidden a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// A name in the witness was made or deleted.
    Names,
    /// A symbolic link on the way was made or replaced.
    Link,
    /// A directory on the way was put in place by renaming: it and its parent changed.
    PutInPlace,
}

impl ChangeKind {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            ChangeKind::Names => "names",
            ChangeKind::Link => "link",
            ChangeKind::PutInPlace => "put-in-place",
        }
    }
}

/// What kind of file a path has to lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A directory: any other file stands in its place.
    Directory,
    /// Anything.
    Anything,
}

impl Witness {
    /// Follows the absolute path `path` as the kernel does, as far as it leads.
    ///
    /// # Errors
    /// What `lstat` or `readlink` answers, except that a name is missing; ELOOP for too many links.
    pub fn find(path: &Path, wanted: Wanted) -> io::Result<Witness> {
        let mut resolution = Resolution::of(path)?;
        let mut last_change = LastChange(None);
        while let Some(name) = resolution.next_name() {
            let name = name.to_os_string();
            match resolution.advance() {
                Some(Ok(Advance::Link(link))) => {
                    last_change.note(moment_of_change(&link.metadata), &link.path, ChangeKind::Link);
                }
                Some(Ok(Advance::Entered)) if !resolution.current().metadata.is_dir() => {
                    let is_wanted = resolution.next_name().is_none() && wanted == Wanted::Anything;
                    let file = resolution.current().path.clone();
                    let (missing, blocker) = if is_wanted { (None, None) } else { (Some(name), Some(file)) };
                    let directory = resolution.parent().unwrap_or(resolution.current());
                    return Ok(last_change.witness(directory, missing, blocker));
                }
                Some(Ok(Advance::Entered)) => {
                    let changed = |component: &PathComponent| moment_of_change(&component.metadata);
                    let (directory, parent) = (resolution.current(), resolution.parent());
                    let moment =
                        parent.map_or(changed(directory), |parent| changed(parent).min(changed(directory)));
                    last_change.note(moment, &directory.path, ChangeKind::PutInPlace);
                }
                Some(Err(error)) if is_missing(&error) => {
                    return Ok(last_change.witness(resolution.current(), Some(name), None));
                }
                Some(Err(error)) => return Err(error),
                Some(Ok(Advance::Parent)) | None => {}
            }
        }
        Ok(last_change.witness(resolution.current(), None, None))
    }

    /// The path that is missing, with symbolic links resolved.
    pub fn missing_path(&self) -> Option<PathBuf> {
        Some(self.directory.join(self.missing.as_ref()?))
    }
}

/// The last change on a path, as far as it was followed.
struct LastChange(Option<Change>);

impl LastChange {
    /// Keeps the latest change; of several at one moment the one that is nearest to the path's end.
    fn note(&mut self, changed: Moment, path: &Path, kind: ChangeKind) {
        let moment = with_grace(changed);
        if self.0.as_ref().is_none_or(|last| last.moment <= moment) {
            self.0 = Some(Change { moment, path: path.to_path_buf(), kind });
        }
    }

    fn witness(
        self,
        directory: &PathComponent,
        missing: Option<OsString>,
        blocker: Option<PathBuf>,
    ) -> Witness {
        let (directory, changed) = (directory.path.clone(), moment_of_change(&directory.metadata));
        let own = Change { moment: with_grace(changed), path: directory.clone(), kind: ChangeKind::Names };
        let last_change = self.0.filter(|last| last.moment > own.moment).unwrap_or(own);
        Witness { directory, missing, blocker, last_change }
    }
}

pub(super) fn moment_of_change(metadata: &std::fs::Metadata) -> Moment {
    Moment { seconds: metadata.ctime(), nanoseconds: u32::try_from(metadata.ctime_nsec()).unwrap_or(0) }
}

pub(super) fn with_grace(changed: Moment) -> Moment {
    let grace = if changed.nanoseconds == 0 { GRACE } else { 0 };
    Moment { seconds: changed.seconds.saturating_add(grace), ..changed }
}

/// A path with its links resolved as far as it exists: of one that is deleted, those of the directories above it.
pub fn real_path(path: &Path) -> PathBuf {
    let resolved = path.ancestors().find_map(|ancestor| {
        let rest = path.strip_prefix(ancestor).ok()?;
        let real = ancestor.canonicalize().ok()?;
        // Without a rest, joining would add a slash.
        Some(if rest.as_os_str().is_empty() { real } else { real.join(rest) })
    });
    resolved.unwrap_or_else(|| path.to_path_buf())
}

/// Whether an existing directory is only a place for something to be mounted at, and knows nothing of missing names: it is
/// empty, or it holds nothing but the way to what is mounted below it, as a container's `/home/me` with only a store.
///
/// # Errors
/// What listing it answers.
pub fn is_bare_mount_point(directory: &Path, mounts: &Mounts) -> io::Result<bool> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if !mounts.is_at_or_below(&path) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a directory is encrypted with fscrypt and locked: then its names are not those that its files have.
///
/// The names that the kernel shows instead are base64url of at least 24 bytes (`fscrypt_fname_disk_to_usr`).
///
/// # Errors
/// What opening or listing it answers.
pub fn is_locked(directory: &Path) -> io::Result<bool> {
    let directory = Directory::open(directory, Access::List)?;
    if !directory.is_encrypted() {
        return Ok(false);
    }
    let mut all_encoded = true;
    directory.list(&mut ListBuffer::default(), |name, _| all_encoded &= is_encoded(name))?;
    Ok(all_encoded)
}

fn is_encoded(name: &[u8]) -> bool {
    let is_code = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_,+".contains(byte);
    name.len() >= 32 && name.iter().all(is_code)
}

/// Whether a file that stands in a directory's place may be an archive that a loader reads modules from, or a file at
/// which something is mounted at other times. Only a text can be neither.
pub fn may_be_archive(file: &Path) -> bool {
    !is_text(file).unwrap_or(false)
}

fn is_text(path: &Path) -> io::Result<bool> {
    let (mut file, metadata) = directory::open_file(path)?;
    let mut start = Vec::new();
    file.by_ref().take(SAMPLE).read_to_end(&mut start)?;
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(metadata.bytes.saturating_sub(SAMPLE)))?;
    file.take(SAMPLE).read_to_end(&mut end)?;
    // A sample may begin or end within a character of up to four bytes.
    let is_utf8 = |sample: &[u8]| {
        std::str::from_utf8(sample).map_or_else(|error| error.error_len().is_none(), |_| true)
    };
    let tail = end.iter().position(|&byte| byte & 0xc0 != 0x80).map_or(&[][..], |first| &end[first..]);
    Ok(!start.is_empty() && !start.contains(&0) && !end.contains(&0) && is_utf8(&start) && is_utf8(tail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::resolution::MOST_LINKS;
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    fn changed(path: &Path) -> Moment {
        moment_of_change(&std::fs::symlink_metadata(path).unwrap())
    }

    /// Longer than the grain of the kernel's time stamps.
    fn wait() {
        std::thread::sleep(Duration::from_millis(30));
    }

    #[test]
    fn the_nearest_existing_ancestor_is_found_through_links() {
        let (_temporary, base) = crate::temporary::directory();
        std::fs::create_dir_all(base.join("real/deep")).unwrap();
        std::fs::write(base.join("file"), "").unwrap();
        symlink("real", base.join("link")).unwrap();
        symlink("/mnt/no-such-volume/project", base.join("dangling")).unwrap();
        symlink("loop", base.join("loop")).unwrap();
        let find = |path: &str| Witness::find(&base.join(path), Wanted::Anything);
        let nearest = |path: &str| find(path).unwrap().directory;
        assert_eq!(nearest("link/gone/x"), base.join("real"));
        assert_eq!(nearest("link/deep/../gone"), base.join("real"));
        assert_eq!(nearest("link/../gone"), base, "as the kernel resolves it");
        assert_eq!(nearest("file/x"), base);
        assert_eq!(find("file/x").unwrap().blocker, Some(base.join("file")));
        assert_eq!(find("file").unwrap().missing, None);
        let wanted = Witness::find(&base.join("file"), Wanted::Directory).unwrap();
        assert_eq!((wanted.missing, wanted.blocker), (Some("file".into()), Some(base.join("file"))));
        assert!(!nearest("dangling/x.py").starts_with(&base));
        assert!(directory::is_link_loop(&find("loop/x").unwrap_err()));
        // The parent of `/` is `/`.
        let missing = "pycstore-test-no-such-name";
        let above = Witness::find(&Path::new("/..").join(missing), Wanted::Anything).unwrap();
        assert_eq!((above.directory, above.missing), ("/".into(), Some(missing.into())));
    }

    #[test]
    fn as_many_links_are_followed_as_the_kernel_follows() {
        let (_temporary, base) = crate::temporary::directory();
        std::fs::create_dir(base.join("link0")).unwrap();
        for number in 1..=MOST_LINKS + 1 {
            symlink(format!("link{}", number - 1), base.join(format!("link{number}"))).unwrap();
        }
        for (links, is_followed) in [(MOST_LINKS - 1, true), (MOST_LINKS, true), (MOST_LINKS + 1, false)] {
            let path = base.join(format!("link{links}"));
            assert_eq!(path.metadata().is_ok(), is_followed, "by the kernel: {links}");
            assert_eq!(Witness::find(&path, Wanted::Anything).is_ok(), is_followed, "{links}");
        }
    }

    #[test]
    fn of_changes_at_one_moment_the_nearest_to_the_end_is_named() {
        for _ in 0..100 {
            let (_temporary, base) = crate::temporary::directory();
            // Both get the same stamp, unless the kernel's clock ticks in between.
            symlink("gone", base.join("link")).unwrap();
            if changed(&base) == changed(&base.join("link")) {
                let change = Witness::find(&base.join("link"), Wanted::Anything).unwrap().last_change;
                assert_eq!((change.path, change.kind.name()), (base, "names"));
                return;
            }
        }
        panic!("the kernel's clock ticked a hundred times");
    }

    #[test]
    fn the_trace_is_the_last_change_of_the_witness_of_a_link_or_of_a_directory_put_in_place() {
        let (_temporary, base) = crate::temporary::directory();
        std::fs::create_dir_all(base.join("a/b")).unwrap();
        std::fs::create_dir_all(base.join("data/b")).unwrap();
        wait();
        let last = |path: &str| Witness::find(&base.join(path), Wanted::Anything).unwrap().last_change;
        let is = |change: Change, path: &str, kind: ChangeKind| {
            let path = base.join(path);
            assert_eq!((change.moment, &change.path, change.kind), (changed(&path), &path, kind));
        };
        std::fs::write(base.join("a/b/m.py"), "").unwrap();
        is(last("a/b/gone.py"), "a/b", ChangeKind::Names);
        wait();
        symlink("data", base.join("link")).unwrap();
        is(last("link/b/gone.py"), "link", ChangeKind::Link);
        assert_eq!(ChangeKind::Link.name(), "link");
        // Another directory takes the place of `a`: nothing in `a/b` changes, and what it held is gone.
        std::fs::create_dir_all(base.join("new/b")).unwrap();
        wait();
        std::fs::rename(base.join("a"), base.join("old")).unwrap();
        std::fs::rename(base.join("new"), base.join("a")).unwrap();
        let change = last("a/b/gone.py");
        assert_eq!((change.path, change.kind.name()), (base.join("a"), "put-in-place"));
        assert!(change.moment > changed(&base.join("a/b")));
    }

    #[test]
    fn a_stamp_without_a_fraction_gets_two_seconds_of_grace() {
        let moment = |seconds, nanoseconds| Moment { seconds, nanoseconds };
        assert_eq!(with_grace(moment(10, 0)), moment(12, 0));
        assert_eq!(with_grace(moment(10, 1)), moment(10, 1));
    }

    #[test]
    fn an_ordinary_directory_is_neither_bare_nor_locked() {
        let temporary = tempfile::tempdir().unwrap();
        let base = temporary.path();
        let mounts = Mounts::default();
        assert!(is_bare_mount_point(base, &mounts).unwrap());
        std::fs::write(base.join("kHnMxKtGuP0XZwJdvQqbVv_AK930MZ3S"), "").unwrap();
        assert!(!is_bare_mount_point(base, &mounts).unwrap() && !is_locked(base).unwrap());
    }

    #[test]
    fn a_name_of_a_locked_directory_is_a_long_code() {
        for (name, expected) in [
            ("kHnMxKtGuP0XZwJdvQqbVv_AK930MZ3S", true),
            ("kHnMxKtGuP0XZwJdvQqbVv_AK930MZ3", false),
            ("kHnMxKtGuP0XZwJdvQqbVv_AK930MZ3S,kHnMxKtGuP0", true),
            ("kHnMxKtGuP0XZwJdvQqbVv_AK930MZ3.py", false),
            ("m.py", false),
            ("", false),
        ] {
            assert_eq!(is_encoded(name.as_bytes()), expected, "{name}");
        }
    }
}
