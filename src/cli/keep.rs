//! The globs of sources whose entries are kept: as they are written, and with symbolic links resolved.
//!
//! `~/work/**` keeps the entries of sources in the home, even if the home is a link and Python found the sources by
//! their real path.

use super::config::home;
use super::output::complain::Complaint;
use super::session::Session;
use pycstore::source::witness::real_path;
use pycstore::verdict::scope::Keep;
use std::path::{Path, PathBuf};

/// Maximum number of directories that the wildcards of one glob may match: each is read.
const MOST_LISTED: usize = 1 << 16;

/// The globs of the command line and of the configuration.
pub fn keep(session: &Session, given: &[String]) -> anyhow::Result<Keep> {
    let hint = "globs are matched against absolute paths of sources: --keep '/home/me/work/**'";
    let mut globs: Vec<String> = session.configuration.keep.iter().map(|glob| glob.value.clone()).collect();
    for glob in given {
        globs.push(
            home::in_glob(glob, &session.environment).map_err(|message| Complaint::new(message, hint))?,
        );
    }
    let mut all_resolved = Vec::new();
    for glob in &globs {
        all_resolved.extend(resolved(glob, MOST_LISTED)?);
    }
    globs.extend(all_resolved);
    Ok(Keep::of(globs.iter().map(String::as_str)).map_err(|error| Complaint::caused(error, hint))?)
}

/// Returns the globs that result from resolving the links on the path of a glob, also those that `*` matches. Links
/// after `**` are not resolved: it may match any number of directories.
///
/// # Errors
/// The wildcards match more than `most` directories. A directory that is not read may be a link to a kept source, so nothing
/// may be removed then.
fn resolved(glob: &str, most: usize) -> Result<Vec<String>, Complaint> {
    let mut resolving = Resolving { left: most, found: Vec::new() };
    let components: Vec<&str> = glob.split('/').filter(|component| !component.is_empty()).collect();
    resolving.follow(PathBuf::from("/"), &components, LinkSpelling::Spelled).map_err(|TooMany| {
        let message = format!(
            "nothing is removed: the wildcards of the glob `{glob}` match more than {most} directories, and what it keeps \
             may lie behind a link among them"
        );
        Complaint::new(message, "replace the wildcards with the directories to keep")
    })?;
    Ok(resolving.found)
}

/// The wildcards match more directories than may be listed.
struct TooMany;

/// Whether the directory that was reached is a link as it is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LinkSpelling {
    Spelled,
    Linked,
}

struct Resolving {
    /// How many directories may still be listed.
    left: usize,
    found: Vec<String>,
}

impl Resolving {
    /// Continues from a directory without links on its path.
    fn follow(&mut self, directory: PathBuf, components: &[&str], way: LinkSpelling) -> Result<(), TooMany> {
        let is_special = |component: &&str| component.contains(['*', '?', '[', '{', '\\']);
        let literal = components.iter().take_while(|component| !is_special(component)).count();
        let (literal, rest) = components.split_at(literal);
        let spelled = literal.iter().fold(directory, |path, component| path.join(component));
        let real = real_path(&spelled);
        if way == LinkSpelling::Linked || real != spelled {
            self.add(&real, rest);
        }
        let [wildcard, below @ ..] = rest else { return Ok(()) };
        if below.is_empty() || wildcard.contains("**") {
            return Ok(());
        }
        let Ok(matching) = Keep::of([format!("/{wildcard}").as_str()]) else { return Ok(()) };
        for entry in std::fs::read_dir(&real).into_iter().flatten().flatten() {
            let is_match = matching.matches(&Path::new("/").join(entry.file_name()));
            if is_match && entry.path().is_dir() {
                self.left = self.left.checked_sub(1).ok_or(TooMany)?;
                let target = real_path(&entry.path());
                let way = if target == entry.path() { LinkSpelling::Spelled } else { LinkSpelling::Linked };
                self.follow(target, below, way)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, directory: &Path, rest: &[&str]) {
        let Some(directory) = directory.to_str() else { return };
        let directory = home::quoted_in_glob(directory.trim_end_matches('/'));
        self.found.push(
            std::iter::once(directory.as_str()).chain(rest.iter().copied()).collect::<Vec<_>>().join("/"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_is_behind_a_link_is_kept_or_nothing_is_removed() {
        let temporary = tempfile::tempdir().unwrap();
        let base = temporary.path().canonicalize().unwrap();
        for name in ["a", "b", "real/work"] {
            std::fs::create_dir_all(base.join("homes").join(name)).unwrap();
        }
        std::fs::create_dir_all(base.join("data/c/work")).unwrap();
        symlink(base.join("data/c"), base.join("homes/c")).unwrap();
        let glob = format!("{}/homes/*/work/**", base.display());
        let found = resolved(&glob, 4).unwrap();
        assert_eq!(found, [format!("{}/data/c/work/**", base.display())]);
        let error = resolved(&glob, 3).unwrap_err().to_string();
        assert!(error.starts_with("nothing is removed: ") && error.contains(&glob), "{error}");
    }
}
