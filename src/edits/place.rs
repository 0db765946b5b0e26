//! Where a text is: a file, which may be behind symbolic links, or the user's crontab.

use std::fmt::{self, Display};
use std::io;
use std::path::{Path, PathBuf};

/// Where a text is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextPlace {
    /// A file, by an absolute path.
    File(PathBuf),
    /// The crontab of the user who runs pycstore.
    Crontab,
}

impl Display for TextPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TextPlace::File(path) => write!(formatter, "{}", path.display()),
            TextPlace::Crontab => formatter.write_str("the crontab"),
        }
    }
}

impl TextPlace {
    /// Returns the place with the symbolic links of a file resolved, as far as they can be.
    pub fn real(&self) -> TextPlace {
        match self {
            TextPlace::File(path) => TextPlace::File(resolved(path).unwrap_or_else(|_| path.clone())),
            TextPlace::Crontab => TextPlace::Crontab,
        }
    }
}

/// Returns the path with its symbolic links resolved, as far as it exists. A link may lead to a file that does not exist yet.
///
/// # Errors
/// Those of the system; too many links in a row.
pub fn resolved(path: &Path) -> io::Result<PathBuf> {
    /// Maximum number of links in a row that the kernel follows.
    const MOST_LINKS: usize = 40;
    let mut path = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        match path.canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            answer => return answer,
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(path) };
        match path.read_link() {
            // The links of the parent first: a relative target starts in the real directory.
            Ok(target) => path = resolved(parent)?.join(target),
            Err(_) => return Ok(resolved(parent)?.join(name)),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}
