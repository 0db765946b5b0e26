//! The directories on the way to a path: whose they are, and who may write to them.
//!
//! Whoever may write to one of them may put another store in the place of ours, and Python executes what it finds
//! there. Both ways count where symbolic links are on it: as the path is spelled, and where it leads to.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A directory on the way, or what is at its end; links followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its path.
    pub path: PathBuf,
    /// The owner's user id.
    pub user: u32,
    /// The group's id.
    pub group: u32,
    /// Permission bits and the like, `st_mode`.
    pub mode: u32,
}

/// The ways to an absolute path, each from `/` to the path itself, or to the last that is there: as it is spelled,
/// and with links resolved where that is another.
pub fn ways(path: &Path) -> Vec<Vec<Step>> {
    let spelled = way(path);
    let last = spelled.last().map_or(Path::new("/"), |step| &step.path);
    let real = last.canonicalize().ok().filter(|real| real != last).map(|real| way(&real));
    std::iter::once(spelled).chain(real).collect()
}

fn way(path: &Path) -> Vec<Step> {
    let mut prefixes: Vec<&Path> = path.ancestors().collect();
    prefixes.reverse();
    let step = |path: &Path| {
        let metadata = path.metadata().ok()?;
        let (user, group, mode) = (metadata.uid(), metadata.gid(), metadata.mode());
        Some(Step { path: path.to_path_buf(), user, group, mode })
    };
    prefixes.into_iter().map_while(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn both_ways_are_known_as_far_as_there_is_anything() {
        let temporary = tempfile::tempdir().unwrap();
        let base = temporary.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("data/me/store")).unwrap();
        std::fs::set_permissions(base.join("data"), std::fs::Permissions::from_mode(0o777)).unwrap();
        symlink(base.join("data/me"), base.join("home")).unwrap();
        let ways = ways(&base.join("home/store/missing/deep"));
        let names = |way: &[Step]| -> Vec<String> {
            let below = way.iter().filter_map(|step| step.path.strip_prefix(&base).ok());
            below.map(|path| path.display().to_string()).collect()
        };
        assert_eq!(ways.len(), 2);
        assert_eq!(names(&ways[0]), ["", "home", "home/store"]);
        assert_eq!(names(&ways[1]), ["", "data", "data/me", "data/me/store"]);
        assert_eq!(ways[0][0].path, Path::new("/"));
        let data = ways[1].iter().find(|step| step.path == base.join("data")).unwrap();
        assert_eq!(data.mode & 0o7777, 0o777);
    }
}
