//! Where a text is, and what it is now: a file behind whatever links lead to it, or the user's crontab.

use super::block::BlockError;
use super::crontab;
use pycstore::edits::replace::Original;
use pycstore::host::directory::{effective_user, open_file};
use pycstore::host::trust::{self, Stranger};
use std::fmt::{self, Display};
use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where a text is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file, by an absolute path.
    File(PathBuf),
    /// The crontab of the user who runs us.
    Crontab,
}

impl Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(path) => write!(formatter, "{}", path.display()),
            Place::Crontab => formatter.write_str("the crontab"),
        }
    }
}

impl Place {
    /// The same with the links of a file resolved, as far as they can be.
    pub fn real(&self) -> Place {
        match self {
            Place::File(path) => Place::File(resolved(path).unwrap_or_else(|_| path.clone())),
            Place::Crontab => Place::Crontab,
        }
    }
}

/// What is at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Where, with the links of a file resolved: the same text has the same place by whatever name.
    pub real: Place,
    /// The bytes; `None` where nothing is there.
    pub contents: Option<Vec<u8>>,
}

/// Why a text cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// It cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write {}", .path.display())]
    Write {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is a directory, a device, a pipe.
    #[error("not changed: {} is no regular file", .0.display())]
    NoFile(PathBuf),
    /// We are root, and somebody else decides which file it is.
    #[error("not changed as root: {}: {stranger}", .path.display())]
    Stranger {
        /// Its path.
        path: PathBuf,
        /// Who.
        stranger: Stranger,
    },
    /// Its owner may not write it.
    #[error("not changed: {} is read-only", .0.display())]
    ReadOnly(PathBuf),
    /// It has several names, which replacing it would part.
    #[error("not changed: {} has {names} names (hard links), and only one would be changed", .path.display())]
    SeveralNames {
        /// Its path.
        path: PathBuf,
        /// How many.
        names: u64,
    },
    /// A new file would lack something that it has.
    #[error("not changed: a replacement of {} would lose its {what}", .path.display())]
    Lost {
        /// Its path.
        path: PathBuf,
        /// What it would lack.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// It is no file that people write.
    #[error("not changed: {} is larger than {MOST_BYTES} bytes", .0.display())]
    TooLarge(PathBuf),
    /// It is another text than the one that was shown.
    #[error("not changed: {0} changed meanwhile")]
    Changed(Place),
    /// Our block in it is torn.
    #[error("not changed: {place}")]
    Block {
        /// Where.
        place: Place,
        /// What is wrong with the block.
        source: BlockError,
    },
    /// What is in it cannot be changed safely.
    #[error("not changed: {place}: {why}")]
    Contents {
        /// Where.
        place: Place,
        /// What is wrong with it.
        why: String,
    },
    /// The program `crontab` cannot be run.
    #[error("cannot run crontab")]
    NoCrontab(#[source] io::Error),
    /// The program `crontab` refuses.
    #[error("crontab says: {0}")]
    Crontab(String),
}

impl EditError {
    /// Whether there is no program `crontab` on this machine: then nothing of ours is in a crontab.
    pub fn is_missing_crontab(&self) -> bool {
        matches!(self, EditError::NoCrontab(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

/// A larger file is none that people write.
const MOST_BYTES: u64 = 16 << 20;

impl Text {
    /// Reads the text at a place.
    ///
    /// # Errors
    /// When it cannot be read, or is nothing that could be replaced.
    pub fn read(place: &Place) -> Result<Text, EditError> {
        match place {
            Place::Crontab => Ok(Text { real: Place::Crontab, contents: crontab::read()? }),
            Place::File(path) => {
                let real = resolved(path).map_err(|source| EditError::Read { path: path.clone(), source })?;
                let contents = read_file(&real, path)?.map(|(_, contents)| contents);
                Ok(Text { real: Place::File(real), contents })
            }
        }
    }
}

impl Text {
    /// How many of the directories on the way to it are not there.
    pub fn missing_directories(&self) -> usize {
        let Place::File(real) = &self.real else { return 0 };
        let is_missing = |directory: &&Path| {
            directory.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        };
        real.ancestors().skip(1).take_while(is_missing).count()
    }

    /// Whether the text may be changed.
    ///
    /// # Errors
    /// As of [`may_replace`]; and for root where somebody else decides where the way to it leads.
    pub fn may_change(&self, place: &Place) -> Result<(), EditError> {
        let (Place::File(path), Place::File(real)) = (place, &self.real) else { return Ok(()) };
        if effective_user() == 0
            && let Some(stranger) = trust::stranger(&trust::ways_to(path), 0)
        {
            return Err(EditError::Stranger { path: path.clone(), stranger });
        }
        match real.metadata() {
            Ok(metadata) => may_replace(&metadata, path),
            // A new one.
            Err(_) => Ok(()),
        }
    }
}

/// The file at `real`, called `path` in errors, open, and its bytes; `None` where nothing is there.
pub fn read_file(real: &Path, path: &Path) -> Result<Option<(Original, Vec<u8>)>, EditError> {
    let failed = |source| EditError::Read { path: path.to_path_buf(), source };
    match real.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // Not opened: a pipe would hold us.
        Ok(metadata) if !metadata.is_file() => return Err(EditError::NoFile(path.to_path_buf())),
        answer => answer.map_err(failed)?,
    };
    let original = open_file(real).and_then(|(file, _)| Original::new(file)).map_err(failed)?;
    let mut contents = Vec::new();
    (&original.file).take(MOST_BYTES + 1).read_to_end(&mut contents).map_err(failed)?;
    if contents.len() as u64 > MOST_BYTES {
        return Err(EditError::TooLarge(path.to_path_buf()));
    }
    Ok(Some((original, contents)))
}

/// Whether a file may be replaced by one that is like it and takes its name.
pub fn may_replace(metadata: &Metadata, path: &Path) -> Result<(), EditError> {
    if metadata.permissions().mode() & 0o222 == 0 {
        return Err(EditError::ReadOnly(path.to_path_buf()));
    }
    match metadata.nlink() {
        0 | 1 => Ok(()),
        names => Err(EditError::SeveralNames { path: path.to_path_buf(), names }),
    }
}

/// The path with its links resolved, as far as anything is there: a link may lead to a file that is not there yet.
pub fn resolved(path: &Path) -> io::Result<PathBuf> {
    /// As many links in a row as the kernel follows.
    const MOST_LINKS: usize = 40;
    let mut path = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        match path.canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            answer => return answer,
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(path) };
        match path.read_link() {
            // Links of the parent first: a relative target starts in the real directory.
            Ok(target) => path = resolved(parent)?.join(target),
            Err(_) => return Ok(resolved(parent)?.join(name)),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn read(path: PathBuf) -> Result<Text, EditError> {
        Text::read(&Place::File(path))
    }

    #[test]
    fn a_text_is_found_behind_links() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("dotfiles")).unwrap();
        std::fs::write(root.join("dotfiles/bashrc"), "x").unwrap();
        symlink("dotfiles/bashrc", root.join("link")).unwrap();
        symlink("dotfiles/new", root.join("dangling")).unwrap();
        symlink("dotfiles", root.join("directory")).unwrap();
        symlink("../dotfiles/../deep/er", root.join("dotfiles/odd")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let text = read(root.join("link")).unwrap();
        assert_eq!(
            (text.real, text.contents),
            (Place::File(root.join("dotfiles/bashrc")), Some(b"x".into()))
        );
        let text = read(root.join("dangling")).unwrap();
        assert_eq!((text.real, text.contents), (Place::File(root.join("dotfiles/new")), None));
        let text = read(root.join("directory/sub/new")).unwrap();
        assert_eq!((text.real, text.contents), (Place::File(root.join("dotfiles/sub/new")), None));
        let text = read(root.join("missing/sub/new")).unwrap();
        assert_eq!((text.real, text.contents), (Place::File(root.join("missing/sub/new")), None));
        assert!(matches!(read(root.join("loop")), Err(EditError::Read { .. })));
        assert!(read(root.join("directory/odd")).is_ok());
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let link = temporary.path().join("link");
        symlink("/dev/null", &link).unwrap();
        for path in [temporary.path().to_path_buf(), link, PathBuf::from("/dev/zero")] {
            assert!(matches!(read(path.clone()), Err(EditError::NoFile(_))), "{path:?}");
        }
        let file = temporary.path().join("file");
        std::fs::write(&file, "x").unwrap();
        assert!(may_replace(&file.metadata().unwrap(), &file).is_ok());
        std::fs::hard_link(&file, temporary.path().join("other")).unwrap();
        let error = may_replace(&file.metadata().unwrap(), &file).unwrap_err();
        assert!(error.to_string().contains("has 2 names"), "{error}");
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o444)).unwrap();
        let error = may_replace(&file.metadata().unwrap(), &file).unwrap_err();
        assert!(error.to_string().ends_with("is read-only"), "{error}");
    }
}
