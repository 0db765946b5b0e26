//! Where a text is: a file, which may be behind symbolic links, or the user's crontab.

use crate::host::resolution::Resolution;
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
    let mut resolution = Resolution::of(path)?;
    while let Some(advance) = resolution.advance() {
        match advance {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(resolution.rest_in_place()),
            advance => advance.map(drop)?,
        }
    }
    Ok(resolution.current().path.clone())
}
