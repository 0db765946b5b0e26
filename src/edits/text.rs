//! The contents of a text at a place, and whether it may be changed.

use super::error::{EditError, MOST_BYTES};
use super::place::{TextPlace, resolved};
use crate::crontab;
use crate::edits::replace::Original;
use crate::host::directory::{effective_user, open_file};
use crate::host::trust;
use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// The contents of a text at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Its place, with the symbolic links of a file resolved: the same text has the same place under every path.
    pub real: TextPlace,
    /// Its bytes; `None` if it does not exist.
    pub contents: Option<Vec<u8>>,
}

impl Text {
    /// Reads the text at a place.
    ///
    /// # Errors
    /// If it cannot be read, or is not a regular file.
    pub fn read(place: &TextPlace) -> Result<Text, EditError> {
        match place {
            TextPlace::Crontab => Ok(Text { real: TextPlace::Crontab, contents: crontab::read()? }),
            TextPlace::File(path) => {
                let real = resolved(path).map_err(|source| EditError::Read { path: path.clone(), source })?;
                let contents = read_file(&real, path)?.map(|(_, contents)| contents);
                Ok(Text { real: TextPlace::File(real), contents })
            }
        }
    }

    /// Returns the number of missing directories on its path.
    pub fn missing_directories(&self) -> usize {
        let TextPlace::File(real) = &self.real else { return 0 };
        let is_missing = |directory: &&Path| {
            directory.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        };
        real.ancestors().skip(1).take_while(is_missing).count()
    }

    /// Checks that the text may be changed.
    ///
    /// # Errors
    /// If it is read-only or has several hard links; as root, if another user could replace it or a directory on its path.
    pub fn may_change(&self, place: &TextPlace) -> Result<(), EditError> {
        let (TextPlace::File(path), TextPlace::File(real)) = (place, &self.real) else { return Ok(()) };
        if effective_user() == 0
            && let Some(stranger) = trust::stranger(&trust::ways_to(path), 0)
        {
            return Err(EditError::Stranger { path: path.clone(), stranger });
        }
        match real.metadata() {
            Ok(metadata) => may_replace(&metadata, path),
            // A new file.
            Err(_) => Ok(()),
        }
    }
}

/// Opens and reads the file at `real`, called `path` in errors. Returns `None` if nothing is there.
///
/// # Errors
/// If it is not a regular file, too large, or cannot be read.
pub fn read_file(real: &Path, path: &Path) -> Result<Option<(Original, Vec<u8>)>, EditError> {
    let failed = |source| EditError::Read { path: path.to_path_buf(), source };
    match real.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // Opening a pipe would block.
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

/// Checks that a file, called `path` in errors, may be replaced by another one.
///
/// # Errors
/// If it is read-only or has several hard links.
pub fn may_replace(metadata: &Metadata, path: &Path) -> Result<(), EditError> {
    if metadata.permissions().mode() & 0o222 == 0 {
        return Err(EditError::ReadOnly(path.to_path_buf()));
    }
    match metadata.nlink() {
        0 | 1 => Ok(()),
        names => Err(EditError::SeveralNames { path: path.to_path_buf(), names }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    fn read(path: PathBuf) -> Result<Text, EditError> {
        Text::read(&TextPlace::File(path))
    }

    #[test]
    fn a_text_is_found_behind_links() {
        let (_temporary, root) = crate::temporary::directory();
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
            (TextPlace::File(root.join("dotfiles/bashrc")), Some(b"x".into()))
        );
        let text = read(root.join("dangling")).unwrap();
        assert_eq!((text.real, text.contents), (TextPlace::File(root.join("dotfiles/new")), None));
        let text = read(root.join("directory/sub/new")).unwrap();
        assert_eq!((text.real, text.contents), (TextPlace::File(root.join("dotfiles/sub/new")), None));
        let text = read(root.join("missing/sub/new")).unwrap();
        assert_eq!((text.real, text.contents), (TextPlace::File(root.join("missing/sub/new")), None));
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
