//! Whether an entry was compiled from what its source holds now.
//!
//! The header of most entries only says the mtime and size of the source, and two versions of a file may have the same:
//! archives, images and build tools set fixed mtimes. So the time at which the entry was written counts. It proves the
//! entry if nothing changed since:
//!
//! * the contents: `st_ctime`, which no program can set;
//! * which file is at the path: a symbolic link on the way was not replaced, and nothing was put in place by renaming or
//!   linking, which changes a name's inode and its directory ([`super::witness`]).
//!
//! To make or remove a hard link also changes `st_ctime`: uv does that to all environments when it fills one. Then the mtime
//! may prove the contents ([`OpenSource::is_written_before`]), but only for the same file under another name. Names are made
//! all the time in directories such as a home and the projects in it, which could hide that one was put in place by
//! renaming. With such a file, a directory counts as put in place only if its last change shows that: a new name also
//! changes its mtime. Two versions are confused only if they have one size and mtimes within one second.
//!
//! # Later times
//!
//! An entry that becomes a link takes over the time of another. Each source of the file must be proved by the old time,
//! not be proved by the new one either, or be equal to a source that is proved: else a later time would prove what was
//! changed in between. So the time proves an entry, however often it was shared.

use super::witness::{moment_of_change, with_grace};
use crate::host::directory::{self, Metadata};
use crate::host::resolution::{Advance, Resolution};
use crate::units::Moment;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// An open source.
#[derive(Debug)]
pub struct OpenSource {
    file: File,
    /// What the system says of it.
    pub metadata: Metadata,
    placed: Placed,
}

/// The last moment at which something can have been put in place on a path.
#[derive(Debug, Clone, Copy)]
struct Placed {
    /// At all.
    possible: Moment,
    /// Without directories that got or lost a name since.
    apparent: Moment,
}

impl OpenSource {
    /// Opens the source at an absolute path.
    ///
    /// # Errors
    /// What the system says; `InvalidInput` where something other than a regular file is.
    pub fn open(path: &Path) -> io::Result<OpenSource> {
        let (file, metadata) = directory::open_file(path)?;
        // After it was opened: what is put in its place now is later than any entry.
        let placed = placed(path)?;
        Ok(OpenSource { file, metadata, placed })
    }

    /// Opens a source that is only compared with others: it proves nothing.
    ///
    /// # Errors
    /// Those of [`OpenSource::open`].
    pub fn open_to_compare(path: &Path) -> io::Result<OpenSource> {
        let (file, metadata) = directory::open_file(path)?;
        let never = Moment { seconds: i64::MAX, nanoseconds: 0 };
        Ok(OpenSource { file, metadata, placed: Placed { possible: never, apparent: never } })
    }

    /// Whether neither the file nor which file it is changed since an entry was written.
    pub fn is_unchanged_since(&self, written: Moment) -> bool {
        self.changed() < written
    }

    /// Whether it is the same file as when an entry was written, and its contents were written before that: by its mtime,
    /// which a program can set. Whole seconds are what archives and `SOURCE_DATE_EPOCH` have, and prove nothing.
    pub fn is_written_before(&self, written: Moment) -> bool {
        let Metadata { modified, .. } = self.metadata;
        modified.nanoseconds != 0 && modified < written && self.placed.apparent < written
    }

    /// Whether its entry may get a later time of writing: the later one proves nothing that the earlier one does not.
    pub fn may_get_later_time(&self, earlier: Moment, later: Moment) -> bool {
        let Placed { possible, apparent } = self.placed;
        let crossed = |moment: Moment| earlier <= moment && moment < later;
        ![apparent, possible, self.changed(), self.metadata.modified].into_iter().any(crossed)
    }

    /// Whether both are one file, or have the same bytes.
    ///
    /// # Errors
    /// What reading them answers.
    pub fn is_equal(&self, other: &OpenSource) -> io::Result<bool> {
        let (one, two) = (&self.metadata, &other.metadata);
        Ok(one.identity == two.identity
            || one.bytes == two.bytes && have_equal_bytes(&self.file, &other.file, one.bytes)?)
    }

    fn changed(&self) -> Moment {
        let changed = self.metadata.changed;
        with_grace(changed).max(self.placed.possible)
    }
}

/// The last moment at which something can have been put in place on a path, its end included: a symbolic link, or a name
/// that changed together with its directory.
fn placed(path: &Path) -> io::Result<Placed> {
    let mut resolution = Resolution::of(path)?;
    let mut placed = Placed { possible: Moment::default(), apparent: Moment::default() };
    while let Some(advance) = resolution.advance() {
        let (moment, is_apparent) = match advance? {
            Advance::Link(link) => (moment_of_change(&link.metadata), true),
            Advance::Entered => {
                let metadata = &resolution.current().metadata;
                let own = moment_of_change(metadata);
                let moment =
                    resolution.parent().map_or(own, |parent| own.min(moment_of_change(&parent.metadata)));
                let has_new_names = metadata.is_dir()
                    && (metadata.mtime(), metadata.mtime_nsec()) == (metadata.ctime(), metadata.ctime_nsec());
                (moment, !has_new_names)
            }
            Advance::Parent => continue,
        };
        let moment = with_grace(moment);
        placed.possible = placed.possible.max(moment);
        if is_apparent {
            placed.apparent = placed.apparent.max(moment);
        }
    }
    Ok(placed)
}

/// Whether two files of this length are equal.
fn have_equal_bytes(one: &File, other: &File, length: u64) -> io::Result<bool> {
    const PORTION: u64 = 64 << 10;
    let (mut bytes, mut other_bytes) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < length {
        let portion = (length - at).min(PORTION);
        for (file, bytes) in [(one, &mut bytes), (other, &mut other_bytes)] {
            bytes.resize(usize::try_from(portion).unwrap_or(0), 0);
            match file.read_exact_at(bytes, at) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                answer => answer?,
            }
        }
        if bytes != other_bytes {
            return Ok(false);
        }
        at += portion;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    fn now(base: &Path) -> Moment {
        // Time stamps have steps of some milliseconds.
        let stamp = || {
            let path = base.join("stamp");
            std::fs::write(&path, "").unwrap();
            directory::file_metadata(&path).unwrap().changed
        };
        let (first, mut last) = (stamp(), stamp());
        while last <= first {
            last = stamp();
        }
        last
    }

    fn base() -> (tempfile::TempDir, PathBuf) {
        let temporary = tempfile::tempdir().unwrap();
        let base = temporary.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("a/lib")).unwrap();
        std::fs::create_dir_all(base.join("a/other")).unwrap();
        for name in ["a/lib/m.py", "a/other/m.py"] {
            std::fs::write(base.join(name), "x = 1\n").unwrap();
        }
        symlink("a", base.join("link")).unwrap();
        (temporary, base)
    }

    #[test]
    fn every_change_on_the_way_is_later_than_what_was_written_before() {
        let renamed = |base: &Path| {
            std::fs::rename(base.join("a/lib"), base.join("a/old")).unwrap();
            std::fs::rename(base.join("a/other"), base.join("a/lib")).unwrap();
        };
        let relinked = |base: &Path| {
            std::fs::remove_file(base.join("link")).unwrap();
            symlink("a", base.join("link")).unwrap();
        };
        let replaced = |base: &Path| {
            std::fs::remove_file(base.join("a/lib/m.py")).unwrap();
            std::fs::hard_link(base.join("a/other/m.py"), base.join("a/lib/m.py")).unwrap();
        };
        let edited = |base: &Path| std::fs::write(base.join("a/lib/m.py"), "x = 2\n").unwrap();
        let with_link =
            |base: &Path| std::fs::hard_link(base.join("a/lib/m.py"), base.join("a/other/n.py")).unwrap();
        let with_neighbor = |base: &Path| std::fs::write(base.join("a/lib/n.py"), "").unwrap();
        // A project that is worked on, beside a new one: it may have been renamed before.
        let among_others = |base: &Path| {
            std::fs::write(base.join("a/lib/n.py"), "").unwrap();
            std::fs::write(base.join("a/n.py"), "").unwrap();
        };
        type Case<'a> = (&'a dyn Fn(&Path), bool, bool);
        let cases: [Case<'_>; 7] = [
            (&renamed, false, false),
            (&relinked, false, false),
            (&replaced, false, false),
            (&edited, false, false),
            (&with_link, false, true),
            (&with_neighbor, true, true),
            (&among_others, false, true),
        ];
        for (at, (change, is_unchanged, is_written_before)) in cases.into_iter().enumerate() {
            let (_temporary, base) = base();
            let path = base.join("link/lib/m.py");
            let written = now(&base);
            assert!(OpenSource::open(&path).unwrap().is_unchanged_since(written));
            let earlier = now(&base);
            change(&base);
            let later = now(&base);
            let source = OpenSource::open(&path).unwrap();
            assert_eq!(source.is_unchanged_since(earlier), is_unchanged, "{at}");
            assert_eq!(source.is_written_before(earlier), is_written_before, "{at}");
            assert_eq!(source.may_get_later_time(earlier, later), is_unchanged, "{at}");
            assert!(
                source.may_get_later_time(written, earlier) && source.may_get_later_time(later, now(&base))
            );
        }
    }

    #[test]
    fn files_are_equal_if_their_bytes_are() {
        let (_temporary, base) = base();
        let open = |name: &str, bytes: &[u8]| {
            std::fs::write(base.join(name), bytes).unwrap();
            OpenSource::open(&base.join(name)).unwrap()
        };
        let mut bytes = vec![b'x'; 200_000];
        let (one, same) = (open("1", &bytes), open("2", &bytes));
        bytes[199_999] = b'y';
        let (other, short) = (open("3", &bytes), open("4", &bytes[..9]));
        assert!(one.is_equal(&same).unwrap() && one.is_equal(&one).unwrap());
        assert!(!one.is_equal(&other).unwrap() && !one.is_equal(&short).unwrap());
    }
}
