//! The globs of sources whose entries stay: as they are written, and with the links on their way resolved.
//!
//! `~/work/**` keeps what Python found in the home that `~` names, also where the home is a link and Python found the
//! sources by their real path.

use super::config::home;
use super::output::complain::Complaint;
use super::session::Session;
use pycstore::prune::Keep;
use pycstore::witness::real_path;
use std::path::{Path, PathBuf};

/// The most directories that are listed for the wildcards of one glob.
const MOST_LISTED: usize = 4096;

/// The globs of the command line and of the configuration.
pub fn keep(session: &Session, given: &[String]) -> anyhow::Result<Keep> {
    let hint = "globs are matched against absolute paths of sources: --keep '/home/me/work/**'";
    let mut globs: Vec<String> = session.configuration.keep.iter().map(|glob| glob.value.clone()).collect();
    for glob in given {
        globs.push(
            home::in_glob(glob, &session.environment).map_err(|message| Complaint::new(message, hint))?,
        );
    }
    let resolved: Vec<String> = globs.iter().flat_map(|glob| resolved(glob)).collect();
    globs.extend(resolved);
    Ok(Keep::of(globs.iter().map(String::as_str)).map_err(|error| Complaint::caused(error, hint))?)
}

/// The globs that a glob becomes where links stand on its way, also in the place of `*`. What follows `**` is not
/// looked into: anything may be there.
fn resolved(glob: &str) -> Vec<String> {
    let mut resolving = Resolving { listed: 0, found: Vec::new() };
    let components: Vec<&str> = glob.split('/').filter(|component| !component.is_empty()).collect();
    resolving.follow(PathBuf::from("/"), &components, Way::Spelled);
    resolving.found
}

/// Whether the directory that was reached is a link as it is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Spelled,
    Linked,
}

struct Resolving {
    listed: usize,
    found: Vec<String>,
}

impl Resolving {
    /// Goes on from a directory without links on its path.
    fn follow(&mut self, directory: PathBuf, components: &[&str], way: Way) {
        let is_special = |component: &&str| component.contains(['*', '?', '[', '{', '\\']);
        let literal = components.iter().take_while(|component| !is_special(component)).count();
        let (literal, rest) = components.split_at(literal);
        let spelled = literal.iter().fold(directory, |path, component| path.join(component));
        let real = real_path(&spelled);
        if way == Way::Linked || real != spelled {
            self.add(&real, rest);
        }
        let [wildcard, below @ ..] = rest else { return };
        if below.is_empty() || wildcard.contains("**") {
            return;
        }
        let Ok(matching) = Keep::of([format!("/{wildcard}").as_str()]) else { return };
        for entry in std::fs::read_dir(&real).into_iter().flatten().flatten() {
            let is_match = matching.matches(&Path::new("/").join(entry.file_name()));
            if is_match && entry.path().is_dir() && self.listed < MOST_LISTED {
                self.listed += 1;
                let target = real_path(&entry.path());
                let way = if target == entry.path() { Way::Spelled } else { Way::Linked };
                self.follow(target, below, way);
            }
        }
    }

    fn add(&mut self, directory: &Path, rest: &[&str]) {
        let Some(directory) = directory.to_str() else { return };
        let directory = home::quoted_in_glob(directory.trim_end_matches('/'));
        self.found.push(
            std::iter::once(directory.as_str()).chain(rest.iter().copied()).collect::<Vec<_>>().join("/"),
        );
    }
}
