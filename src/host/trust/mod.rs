//! Finds who may change a path: its owner, and everyone who may write to it or to a directory on it.
//!
//! Such a user can replace our store or our program. With symbolic links several paths count: the path as it is spelled, the
//! path to each link that is followed, and the path with links resolved.
//!
//! `acl` reads access control lists, `program` finds programs on `PATH`, `interpreter` lists the files that an interpreter
//! executes, `linked` the libraries that an executable is linked with, and `runner` chooses the user that runs an interpreter.
//!
//! # Invariants
//!
//! * A path whose permissions cannot be read counts as changeable by others.
//! * In a sticky directory (`/tmp`) users cannot rename each other's files, but everyone can create new ones: files that exist
//!   are safe there, names that are looked up and missing are not.
//! * Group members and users in an ACL count only for root: other users decide themselves with whom they share files. A group
//!   is harmless only if certainly nobody but the user and root is in it.

mod acl;
pub mod interpreter;
mod linked;
pub mod program;
pub mod runner;

pub use acl::{Acl, Grant};

use crate::host::accounts::Accounts;
use crate::host::resolution::{Advance, Resolution};
use std::cell::OnceCell;
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A component of a path, with links followed; the last component of the path to a link is the link itself.
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
    /// Its access control list.
    pub acl: Acl,
}

/// A user or group, not the owner, who may change a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Intruder {
    /// Every user of this machine.
    Everyone,
    /// The members of this group.
    Group(u32),
    /// The user with this id.
    User(u32),
    /// Unknown users: the access control list cannot be read.
    Unknown,
}

/// Format and permission bits of `st_mode` (inode(7)).
const KIND: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;
const STICKY: u32 = 0o1000;
const BY_GROUP: u32 = 0o020;
const BY_EVERYBODY: u32 = 0o002;

/// Returns who besides the owner may write to a file with this mode, group and access control list, including harmless
/// groups.
pub fn writers(mode: u32, group: u32, acl: &Acl) -> Vec<Intruder> {
    let mut writers = Vec::new();
    if mode & BY_EVERYBODY != 0 {
        writers.push(Intruder::Everyone);
    }
    match acl {
        Acl::None if mode & BY_GROUP != 0 => writers.push(Intruder::Group(group)),
        Acl::None => {}
        Acl::Posix(grants) => writers.extend(grants.iter().map(|grant| match grant {
            Grant::OwningGroup => Intruder::Group(group),
            Grant::To(intruder) => *intruder,
        })),
        Acl::Unknown => writers.push(Intruder::Unknown),
    }
    writers
}

impl Step {
    /// Whether it is a directory in which users can rename only their own files.
    pub fn is_sticky(&self) -> bool {
        self.mode & KIND == DIRECTORY && self.mode & STICKY != 0
    }
}

/// Returns the components of an absolute path, from `/` to the path itself or the last component that exists: first as the
/// path is spelled, then of the path to each link that is followed, last with links resolved if that differs.
pub fn ways(path: &Path) -> Vec<Vec<Step>> {
    let (links, real) = followed(path);
    let spelled = way(path);
    let is_other = spelled.last().is_none_or(|step| step.path != real);
    let links = links.iter().map(|link| way_to_link(link));
    std::iter::once(spelled).chain(links).chain(is_other.then(|| way(&real))).collect()
}

/// Like [`ways`], without the file at the path itself if it exists.
pub fn ways_to(path: &Path) -> Vec<Vec<Step>> {
    let mut ways = ways(path);
    if path.exists() {
        cut(&mut ways);
    }
    ways
}

/// Removes the file at the path from its ways; ways to links keep the link.
fn cut(ways: &mut [Vec<Step>]) {
    if let [spelled, links @ ..] = ways {
        spelled.pop();
        links.last_mut().and_then(Vec::pop);
    }
}

/// Why another user may change a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    /// Neither this user nor root owns it.
    #[error("{} belongs to user {user}", .path.display())]
    Owner {
        /// The path, or a component of it.
        path: PathBuf,
        /// Its owner's user id.
        user: u32,
    },
    /// Everyone may write to it.
    #[error("{} may be written to by everybody", .0.display())]
    Everybody(PathBuf),
    /// A group with others in it may write to it, and we are root.
    #[error("{} may be written to by group {group}", .path.display())]
    Group {
        /// The path, or a component of it.
        path: PathBuf,
        /// The group's id.
        group: u32,
    },
    /// An access control list gives a user write access to it, and we are root.
    #[error("{} may be written to by user {user} (see getfacl)", .path.display())]
    User {
        /// The path, or a component of it.
        path: PathBuf,
        /// The user's id.
        user: u32,
    },
    /// It has an access control list that cannot be read, and we are root.
    #[error("cannot tell who may write to {}: its access control list cannot be read", .0.display())]
    Unknown(PathBuf),
    /// The standard library of an interpreter cannot be found, and we are root.
    #[error("cannot find the standard library of {}", .0.display())]
    Unlocated(PathBuf),
}

/// Returns someone other than `user` and root who owns a component of these paths or may write to it.
pub fn stranger(ways: &[Vec<Step>], user: u32) -> Option<Stranger> {
    PathJudge::new(user).of_ways(ways)
}

/// Judges who may change paths, for one user.
#[derive(Debug)]
struct PathJudge {
    user: u32,
    groups: GroupTrust,
    accounts: OnceCell<Accounts>,
}

/// Whether group and access control list of a path count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GroupTrust {
    /// Who is named there may be a stranger.
    Count,
    /// The user trusts them.
    Trusted,
}

/// What is looked up in a sticky directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sought {
    /// A name that exists.
    Present,
    /// A name that does not exist.
    Missing,
}

impl PathJudge {
    fn new(user: u32) -> PathJudge {
        let groups = if user == 0 { GroupTrust::Count } else { GroupTrust::Trusted };
        PathJudge { user, groups, accounts: OnceCell::new() }
    }

    fn of_ways(&self, ways: &[Vec<Step>]) -> Option<Stranger> {
        ways.iter().flatten().find_map(|step| self.of_step(step, Sought::Present))
    }

    /// Returns someone who may change the file at this path or, if it is missing, create it.
    fn of_lookup(&self, path: &Path) -> Option<Stranger> {
        let ways = ways(path);
        let there = self.of_ways(&ways);
        if there.is_some() || path.exists() {
            return there;
        }
        // Each ends with a directory in which the next name is missing, or with a link.
        ways.iter().filter_map(|way| way.last()).find_map(|step| self.of_step(step, Sought::Missing))
    }

    fn of_step(&self, step: &Step, sought: Sought) -> Option<Stranger> {
        let path = || step.path.clone();
        let accounts = || self.accounts.get_or_init(Accounts::read);
        // Nobody in this user namespace can act as a user that is not mapped in it.
        if ![0, self.user].contains(&step.user) && accounts().unmapped != Some(step.user) {
            return Some(Stranger::Owner { path: path(), user: step.user });
        }
        if sought == Sought::Present && step.is_sticky() {
            return None;
        }
        let is_private = |group| group == 0 || accounts().is_private(group, self.user);
        writers(step.mode, step.group, &step.acl).into_iter().find_map(|writer| match writer {
            Intruder::Everyone => Some(Stranger::Everybody(path())),
            _ if self.groups == GroupTrust::Trusted => None,
            Intruder::Group(group) => (!is_private(group)).then(|| Stranger::Group { path: path(), group }),
            Intruder::User(user) => {
                (![0, self.user].contains(&user)).then(|| Stranger::User { path: path(), user })
            }
            Intruder::Unknown => Some(Stranger::Unknown(path())),
        })
    }
}

/// Answers for many files as [`stranger`], and looks at each directory once: for one short run. For users other than root,
/// the other members of groups that may write count as well.
#[derive(Debug)]
pub struct OwnPaths {
    judge: PathJudge,
    known: HashMap<PathBuf, bool>,
}

impl OwnPaths {
    /// For this user.
    pub fn new(user: u32) -> OwnPaths {
        let judge = PathJudge { groups: GroupTrust::Count, ..PathJudge::new(user) };
        OwnPaths { judge, known: HashMap::new() }
    }

    /// Whether only the user and root may change the directory at an absolute path without `..`.
    pub fn has_directory(&mut self, path: &Path) -> bool {
        if let Some(&is_own) = self.known.get(path) {
            return is_own;
        }
        let is_own = self.has(path);
        self.known.insert(path.to_path_buf(), is_own);
        is_own
    }

    /// Whether only the user and root may change the file or directory at an absolute path without `..`.
    pub fn has(&mut self, path: &Path) -> bool {
        match (path.parent(), path.symlink_metadata()) {
            // Its only ways are those to its parent, and itself.
            (Some(parent), Ok(metadata)) if !metadata.is_symlink() => {
                self.has_directory(parent)
                    && self.judge.of_step(&step(path, &metadata), Sought::Present).is_none()
            }
            (_, Ok(_)) => self.judge.of_ways(&ways(path)).is_none(),
            (_, Err(_)) => false,
        }
    }
}

fn way(path: &Path) -> Vec<Step> {
    let mut prefixes: Vec<&Path> = path.ancestors().collect();
    prefixes.reverse();
    prefixes.into_iter().map_while(|path| Some(step(path, &path.metadata().ok()?))).collect()
}

/// Returns the components of the path to a link, including the link.
fn way_to_link(link: &Path) -> Vec<Step> {
    /// The mode of a link has no meaning: only its owner may replace it.
    const MODE: u32 = 0o120_755;
    let mut steps = link.parent().map(way).unwrap_or_default();
    steps.extend(link.symlink_metadata().ok().map(|metadata| Step { mode: MODE, ..step(link, &metadata) }));
    steps
}

fn step(path: &Path, metadata: &std::fs::Metadata) -> Step {
    let (user, group, mode) = (metadata.uid(), metadata.gid(), metadata.mode());
    // A link has no ACL.
    let acl = if metadata.is_symlink() { Acl::None } else { Acl::of(path) };
    Step { path: path.to_path_buf(), user, group, mode, acl }
}

/// Returns the links that the kernel follows in an absolute path, and the resolved path up to the last component that exists.
fn followed(path: &Path) -> (Vec<PathBuf>, PathBuf) {
    let mut links = Vec::new();
    let Ok(mut resolution) = Resolution::of(path) else { return (links, PathBuf::from("/")) };
    while let Some(Ok(advance)) = resolution.advance() {
        if let Advance::Link(link) = advance {
            links.push(link.path);
        }
    }
    (links, resolution.current().path.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn both_ways_are_known_as_far_as_there_is_anything() {
        let (_temporary, base) = crate::temporary::directory();
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
        let (_temporary, base) = crate::temporary::directory();
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
        assert_eq!(followed(&base.join("loop")).0.len(), 40, "no more than the kernel follows");
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

    /// The cached answers are those of all ways, through links and writable directories.
    #[test]
    fn own_paths_are_those_without_a_stranger_on_any_way() {
        let (_temporary, base) = crate::temporary::directory();
        for directory in ["own/deep", "open/deep", "sticky/deep"] {
            std::fs::create_dir_all(base.join(directory)).unwrap();
            std::fs::write(base.join(directory).join("m.py"), "").unwrap();
        }
        let set = |path, mode| std::fs::set_permissions(base.join(path), PermissionsExt::from_mode(mode));
        set("open", 0o777).unwrap();
        set("sticky", 0o1777).unwrap();
        symlink(base.join("open/deep"), base.join("own/link")).unwrap();
        symlink("../own/deep", base.join("open/link")).unwrap();
        symlink("deep", base.join("own/plain")).unwrap();
        let user = base.metadata().unwrap().uid();
        let mut paths = OwnPaths::new(user);
        for (path, is_own) in [
            ("own/deep/m.py", true),
            ("own/plain/m.py", true),
            ("sticky/deep/m.py", true),
            ("own/link/m.py", false),
            ("open/deep/m.py", false),
            ("open/link/m.py", false),
            ("own/deep/missing.py", false),
        ] {
            let path = base.join(path);
            assert_eq!(paths.has(&path), is_own, "{}", path.display());
            assert_eq!(paths.has_directory(path.parent().unwrap()), is_own || path.ends_with("missing.py"));
            if path.exists() {
                let judge = PathJudge { groups: GroupTrust::Count, ..PathJudge::new(user) };
                assert_eq!(judge.of_ways(&ways(&path)).is_none(), is_own, "{}", path.display());
            }
        }
    }

    #[test]
    fn whoever_may_write_to_a_step_decides() {
        let stranger = |user, group, mode| {
            let step = Step { path: "/x".into(), user, group, mode, acl: Acl::None };
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

    #[test]
    fn a_step_of_another_user_is_theirs_and_one_of_roots_is_not() {
        const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\n";
        const GROUP: &str = "own:x:500:root\nme:x:1000:\nothers:x:501:me\n";
        let known = |unmapped| {
            let mut accounts = Accounts::parse(PASSWD, GROUP);
            accounts.unmapped = unmapped;
            accounts
        };
        let judged = |accounts: Accounts, user, owner, group| {
            let step = Step { path: "/x".into(), user: owner, group, mode: 0o100_775, acl: Acl::None };
            PathJudge { accounts: OnceCell::from(accounts), ..PathJudge::new(user) }
                .of_step(&step, Sought::Present)
        };
        let theirs = |user| Some(Stranger::Owner { path: "/x".into(), user });
        for (user, owner, expected) in
            [(0, 0, None), (1000, 0, None), (1000, 1000, None), (0, 1000, theirs(1000)), (1000, 7, theirs(7))]
        {
            assert_eq!(judged(known(None), user, owner, 0), expected, "{user} {owner}");
        }
        // In a user namespace that does not know them.
        assert_eq!(judged(known(Some(65534)), 0, 65534, 0), None);
        assert_eq!(judged(known(Some(65534)), 0, 7, 0), theirs(7));
        let of_group = |group| Some(Stranger::Group { path: "/x".into(), group });
        for (group, expected) in
            [(500, None), (501, of_group(501)), (1000, of_group(1000)), (502, of_group(502))]
        {
            assert_eq!(judged(known(None), 0, 0, group), expected, "{group}");
        }
        assert_eq!(
            judged(Accounts::default(), 0, 0, 0),
            None,
            "root's group is root's, whatever is known of it"
        );
    }

    #[test]
    fn whom_an_access_control_list_names_decides_for_root() {
        let stranger = |user, acl: &Acl| {
            let step =
                Step { path: "/x".into(), user, group: 4_111_222_333, mode: 0o100_775, acl: acl.clone() };
            stranger(&[vec![step]], user)
        };
        let to = |intruder| Acl::Posix(vec![Grant::To(intruder)]);
        // The group's bits of the mode are the list's mask.
        assert_eq!(stranger(0, &Acl::Posix(Vec::new())), None);
        assert_eq!(stranger(0, &to(Intruder::User(0))), None);
        let user = Stranger::User { path: "/x".into(), user: 61001 };
        assert_eq!(stranger(0, &to(Intruder::User(61001))), Some(user));
        let group = Stranger::Group { path: "/x".into(), group: 4_111_222_333 };
        assert_eq!(stranger(0, &Acl::Posix(vec![Grant::OwningGroup])), Some(group));
        assert_eq!(stranger(0, &to(Intruder::Everyone)), Some(Stranger::Everybody("/x".into())));
        assert_eq!(stranger(0, &Acl::Unknown), Some(Stranger::Unknown("/x".into())));
        assert_eq!(stranger(1000, &to(Intruder::User(61001))), None, "a user's");
        assert_eq!(stranger(1000, &Acl::Unknown), None, "a user's");
    }

    #[test]
    fn in_a_sticky_directory_what_is_missing_is_anybodys() {
        let (_temporary, base) = crate::temporary::directory();
        std::fs::create_dir(base.join("sticky")).unwrap();
        std::fs::set_permissions(base.join("sticky"), PermissionsExt::from_mode(0o1777)).unwrap();
        std::fs::write(base.join("sticky/there"), "").unwrap();
        symlink(base.join("sticky/nowhere"), base.join("link")).unwrap();
        let us = base.metadata().unwrap().uid();
        let of = |path: &str| PathJudge::new(us).of_lookup(&base.join(path));
        assert_eq!(of("sticky/there"), None);
        assert_eq!(of("missing/deep"), None);
        let everybody = Some(Stranger::Everybody(base.join("sticky")));
        assert_eq!(of("sticky/missing"), everybody);
        assert_eq!(of("sticky/missing/deep"), everybody);
        assert_eq!(of("link"), everybody);
        // In the directory itself, which is there, nothing is looked up.
        assert_eq!(of("sticky"), None);
        // Whoever may replace a directory on the way may put there what is missing.
        std::fs::create_dir_all(base.join("open/ours")).unwrap();
        std::fs::set_permissions(base.join("open"), PermissionsExt::from_mode(0o777)).unwrap();
        assert_eq!(of("open/ours/missing"), Some(Stranger::Everybody(base.join("open"))));
    }
}
