//! The directories on the way to a path: whose they are, and who may write to them.
//!
//! Whoever may write to one of them may put another store in the place of ours, and Python executes what it finds
//! there. All ways count where symbolic links are on it: as the path is spelled, to each link that is followed, and where
//! it leads to. Whoever may change a link in between decides as well.

use crate::accounts::Accounts;
use std::cell::OnceCell;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// A directory on the way, or what is at its end; links followed. At the end of the way to a link it is the link.
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

/// The ways to an absolute path, each from `/` to the path itself, or to the last that is there: first as it is spelled,
/// then those to the links that are followed, last with links resolved where that is another.
pub fn ways(path: &Path) -> Vec<Vec<Step>> {
    let (links, real) = followed(path);
    let spelled = way(path);
    let is_other = spelled.last().is_none_or(|step| step.path != real);
    let links = links.iter().map(|link| way_to_link(link));
    std::iter::once(spelled).chain(links).chain(is_other.then(|| way(&real))).collect()
}

/// The same without what is at the path itself, if something is.
pub fn ways_to(path: &Path) -> Vec<Vec<Step>> {
    let mut ways = ways(path);
    if path.exists() {
        cut(&mut ways);
    }
    ways
}

/// Takes what is at the path from the ways to it: of those to links nothing.
fn cut(ways: &mut [Vec<Step>]) {
    if let [spelled, links @ ..] = ways {
        spelled.pop();
        links.last_mut().and_then(Vec::pop);
    }
}

/// Somebody else who decides what a path is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    /// Neither we nor root own it.
    #[error("{} belongs to user {user}", .path.display())]
    Owner {
        /// It, or something on the way.
        path: PathBuf,
        /// Its owner's user id.
        user: u32,
    },
    /// Everybody may write to it.
    #[error("{} may be written to by everybody", .0.display())]
    Everybody(PathBuf),
    /// A group with others in it may write to it, and we are root.
    #[error("{} may be written to by group {group}", .path.display())]
    Group {
        /// It, or something on the way.
        path: PathBuf,
        /// The group's id.
        group: u32,
    },
}

/// Who else than `user` and root decides what is at these ways' end: whoever owns something on them or may write to it.
/// The members of a group count for root only; whom users share their groups with is theirs to know.
pub fn stranger(ways: &[Vec<Step>], user: u32) -> Option<Stranger> {
    let accounts = OnceCell::new();
    let is_private = |group| group == 0 || accounts.get_or_init(Accounts::read).is_private(group, user);
    ways.iter().flatten().find_map(|step| {
        let (kind, directory, sticky) = (0o170_000, 0o040_000, 0o1000);
        let (by_group, by_everybody) = (0o020, 0o002);
        let path = || step.path.clone();
        if ![0, user].contains(&step.user) {
            Some(Stranger::Owner { path: path(), user: step.user })
        } else if step.mode & kind == directory && step.mode & sticky != 0 {
            // In a sticky directory (`/tmp`) nobody renames what is another's.
            None
        } else if step.mode & by_everybody != 0 {
            Some(Stranger::Everybody(path()))
        } else if user == 0 && step.mode & by_group != 0 && !is_private(step.group) {
            Some(Stranger::Group { path: path(), group: step.group })
        } else {
            None
        }
    })
}

fn way(path: &Path) -> Vec<Step> {
    let mut prefixes: Vec<&Path> = path.ancestors().collect();
    prefixes.reverse();
    prefixes.into_iter().map_while(|path| Some(step(path, &path.metadata().ok()?))).collect()
}

/// The way to a link, it included.
fn way_to_link(link: &Path) -> Vec<Step> {
    /// The mode of a link means nothing: only its owner may put another there.
    const MODE: u32 = 0o120_755;
    let mut steps = link.parent().map(way).unwrap_or_default();
    steps.extend(link.symlink_metadata().ok().map(|metadata| Step { mode: MODE, ..step(link, &metadata) }));
    steps
}

fn step(path: &Path, metadata: &std::fs::Metadata) -> Step {
    let (user, group, mode) = (metadata.uid(), metadata.gid(), metadata.mode());
    Step { path: path.to_path_buf(), user, group, mode }
}

/// The links that the kernel follows on the way to an absolute path, and where that ends, or the last that is there.
fn followed(path: &Path) -> (Vec<PathBuf>, PathBuf) {
    /// As many links in a row as the kernel follows.
    const MOST_LINKS: usize = 40;
    let mut links = Vec::new();
    let mut real = PathBuf::from("/");
    let mut rest = path.to_path_buf();
    'links: loop {
        let mut components = rest.components();
        while let Some(component) = components.next() {
            match component {
                Component::Normal(name) => {
                    let next = real.join(name);
                    let target = match next.symlink_metadata() {
                        Err(_) => return (links, real),
                        Ok(metadata) if metadata.is_symlink() => next.read_link(),
                        Ok(_) => {
                            real = next;
                            continue;
                        }
                    };
                    let (Ok(target), true) = (target, links.len() < MOST_LINKS) else { return (links, real) };
                    links.push(next);
                    rest = target.join(components.as_path());
                    continue 'links;
                }
                Component::ParentDir => {
                    real.pop();
                }
                Component::RootDir => real = PathBuf::from("/"),
                Component::CurDir | Component::Prefix(_) => {}
            }
        }
        return (links, real);
    }
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
        assert_eq!(ways.len(), 3);
        assert_eq!(names(&ways[0]), ["", "home", "home/store"]);
        assert_eq!(names(&ways[1]), ["", "home"]);
        assert_eq!(names(&ways[2]), ["", "data", "data/me", "data/me/store"]);
        assert_eq!(ways[0][0].path, Path::new("/"));
        let data = ways[2].iter().find(|step| step.path == base.join("data")).unwrap();
        assert_eq!(data.mode & 0o7777, 0o777);
    }

    #[test]
    fn every_link_in_between_is_on_the_way() {
        let temporary = tempfile::tempdir().unwrap();
        let base = temporary.path().canonicalize().unwrap();
        for directory in ["real/bin", "theirs/deep", "ours"] {
            std::fs::create_dir_all(base.join(directory)).unwrap();
        }
        std::fs::write(base.join("real/bin/python"), "").unwrap();
        symlink("../../real/bin", base.join("theirs/deep/bin")).unwrap();
        symlink(base.join("theirs/deep/bin/python"), base.join("ours/python")).unwrap();
        symlink("loop", base.join("loop")).unwrap();
        let (links, real) = followed(&base.join("ours/python"));
        assert_eq!(links, ["ours/python", "theirs/deep/bin"].map(|link| base.join(link)));
        assert_eq!(real, base.join("real/bin/python"));
        assert_eq!(followed(&base.join("ours/missing/deep")), (Vec::new(), base.join("ours")));
        assert_eq!(followed(&base.join("loop")).1, base);
        let ends = |ways: &[Vec<Step>]| -> Vec<PathBuf> {
            ways.iter().map(|way| way.last().unwrap().path.clone()).collect()
        };
        let path = base.join("ours/python");
        assert_eq!(
            ends(&ways(&path)),
            [path.clone(), path.clone(), base.join("theirs/deep/bin"), real.clone()]
        );
        let without = [base.join("ours"), path, base.join("theirs/deep/bin"), base.join("real/bin")];
        assert_eq!(ends(&ways_to(&base.join("ours/python"))), without);
        assert_eq!(ends(&ways_to(&real)), [base.join("real/bin")]);
        let stranger_in = |mode| {
            let directory = base.join("theirs/deep");
            std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(mode)).unwrap();
            stranger(&ways(&base.join("ours/python")), base.metadata().unwrap().uid())
        };
        assert_eq!(stranger_in(0o755), None);
        assert_eq!(stranger_in(0o777), Some(Stranger::Everybody(base.join("theirs/deep"))));
        assert_eq!(stranger_in(0o1777), None);
    }

    #[test]
    fn whoever_may_write_to_a_step_decides() {
        let stranger = |user, group, mode| {
            let step = Step { path: "/x".into(), user, group, mode };
            stranger(&[vec![step]], user)
        };
        // No group of this machine.
        let group = 4_111_222_333;
        let others = Stranger::Group { path: "/x".into(), group };
        assert_eq!(stranger(0, group, 0o100_755), None);
        assert_eq!(stranger(0, group, 0o100_775), Some(others.clone()));
        assert_eq!(stranger(0, group, 0o040_775), Some(others));
        assert_eq!(stranger(0, group, 0o041_775), None);
        assert_eq!(stranger(0, 0, 0o100_775), None, "root's own group");
        assert_eq!(stranger(1000, group, 0o100_775), None, "a user's");
        let everybody = Some(Stranger::Everybody("/x".into()));
        assert_eq!(stranger(1000, group, 0o101_777), everybody, "sticky means nothing of a file");
    }
}
