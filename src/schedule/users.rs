//! The users whose stores a job for every user prunes: those in `/etc/passwd` with a home of their own on a local disk.
//!
//! Whether a user has a store is not decided here: it depends on what lies in the home, which only the user's own process reads. Root
//! looks at the directories on the path of each home, and at no more.
//!
//! # Invariants
//!
//! * Nothing on a network file system, an automount or FUSE is touched: the table of mounts is asked before each component of a
//!   path, because a server that does not answer blocks for ever. The store of such a home may serve other machines as well, and their
//!   sources cannot be seen from here.
//! * Each user counts once, and so many at most: [`MOST_USERS`].

use crate::host::accounts::{Accounts, User};
use crate::host::path_owner::{PathOwner, path_owner};
use crate::host::resolution::Resolution;
use crate::host::volumes::Mounts;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Maximum number of users.
pub const MOST_USERS: usize = 10_000;

/// The users of this machine, as far as a job for every user is concerned.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct HomeUsers<'a> {
    /// Those with a home of their own.
    pub users: Vec<&'a User>,
    /// Those whose home is on another machine's file system, with its type.
    pub remote: Vec<(&'a User, String)>,
    /// How many were left out after [`MOST_USERS`].
    pub surplus: usize,
}

/// Finds the users with a home of their own: a directory that belongs to them, and that no other user can replace. Most accounts of the
/// system have none: their home is missing, `/`, or root's.
pub fn users_with_homes<'a>(accounts: &'a Accounts, mounts: &Mounts) -> HomeUsers<'a> {
    let mut found = HomeUsers::default();
    let mut seen = BTreeSet::new();
    for user in &accounts.users {
        let is_possible = user.home.is_absolute() && user.home != Path::new("/");
        if !is_possible || Some(user.id) == accounts.unmapped || !seen.insert(user.id) {
            continue;
        }
        match file_system_on_way(&user.home, mounts) {
            HomeOnDisk::Missing => {}
            HomeOnDisk::Remote(kind) => found.remote.push((user, kind)),
            HomeOnDisk::Local => {
                let owner = path_owner(&user.home, accounts);
                let is_own = match owner {
                    Ok(PathOwner::User(owner)) => owner == user.id,
                    Ok(PathOwner::Root) => user.id == 0,
                    Ok(PathOwner::Anyone(_)) | Err(_) => false,
                };
                if is_own && found.users.len() == MOST_USERS {
                    found.surplus += 1;
                } else if is_own {
                    found.users.push(user);
                }
            }
        }
    }
    found
}

/// Returns the directories that hold these homes, each once and none below another: what the job writes to is in there.
pub fn directories_of_homes(users: &[&User]) -> Vec<PathBuf> {
    let directory = |user: &&User| match user.home.parent() {
        Some(parent) if parent != Path::new("/") => parent.to_path_buf(),
        _ => user.home.clone(),
    };
    let mut directories: Vec<PathBuf> = users.iter().map(directory).collect();
    directories.sort();
    directories.dedup_by(|directory, above| directory.starts_with(&*above));
    directories
}

/// Where a home is.
enum HomeOnDisk {
    Missing,
    /// The path leads through a file system of this type, which may be another machine's.
    Remote(String),
    Local,
}

fn file_system_on_way(home: &Path, mounts: &Mounts) -> HomeOnDisk {
    let Ok(mut resolution) = Resolution::of(home) else { return HomeOnDisk::Missing };
    while let Some(name) = resolution.next_name() {
        let next = resolution.current().path.join(name);
        if mounts.is_network(&next) {
            return HomeOnDisk::Remote(mounts.of(&next).map(|mount| mount.kind.clone()).unwrap_or_default());
        }
        if !matches!(resolution.advance(), Some(Ok(_))) {
            return HomeOnDisk::Missing;
        }
    }
    if resolution.current().metadata.is_dir() { HomeOnDisk::Local } else { HomeOnDisk::Missing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::directory::effective_user;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_home_counts_if_it_is_the_users_own_and_on_this_machine() {
        let (_temporary, base) = crate::temporary::directory();
        for name in ["me", "net", "net/you"] {
            std::fs::create_dir(base.join(name)).unwrap();
        }
        symlink("net/you", base.join("link")).unwrap();
        let (base, me) = (base.display(), effective_user());
        // Of the same user id, only the first counts; so the others have one that nobody has.
        let passwd = format!(
            "me:x:{me}:{me}::{base}/me:/bin/sh\nagain:x:{me}:{me}::{base}/me:/bin/sh\n\
             linked:x:61001:1::{base}/link:/bin/sh\nremote:x:61002:1::{base}/net/you:/bin/sh\n\
             missing:x:61003:1::{base}/no:/bin/sh\nother:x:61004:1::{base}/me:/bin/sh\n\
             none:x:61005:1::/:/bin/sh\nrelative:x:61006:1::home:/bin/sh\n"
        );
        let accounts = Accounts::parse(&passwd, "");
        let mountinfo = format!("1 0 0:1 / / rw - ext4 x rw\n2 1 0:2 / {base}/net rw - nfs4 x rw\n");
        let found = users_with_homes(&accounts, &Mounts::parse(mountinfo.as_bytes(), b""));
        let names: Vec<&str> = found.users.iter().map(|user| user.name.as_str()).collect();
        assert_eq!(names, ["me"]);
        let remote: Vec<(&str, &str)> =
            found.remote.iter().map(|(user, kind)| (user.name.as_str(), kind.as_str())).collect();
        assert_eq!(remote, [("linked", "nfs4"), ("remote", "nfs4")]);
    }

    #[test]
    fn the_directories_of_homes_are_named_once() {
        let accounts = Accounts::parse(
            "a:x:1:1::/home/a:/\nb:x:2:2::/home/b:/\nc:x:3:3::/home/staff/c:/\nroot:x:0:0::/root:/\nd:x:4:4::/srv/d:/\n",
            "",
        );
        let users: Vec<&User> = accounts.users.iter().collect();
        let expected = ["/home", "/root", "/srv"].map(PathBuf::from);
        assert_eq!(directories_of_homes(&users), expected);
    }
}
