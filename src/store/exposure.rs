//! Who besides its user may change a store: counted in one scan, and judged of the directories on the way to it.
//!
//! CPython executes whatever has a matching header, so a store that others can write to is code injection. Directories
//! are made 0777 & ~umask, entries copy the source's mode bits, and `sudo python` leaves parts that belong to root.
//!
//! # Invariants
//!
//! * A group counts as harmless only when it is certain that nobody but the user and root is in it.
//! * A directory that nobody but its owner may enter shields all that is below it, whatever its modes.

use crate::host::accounts::Accounts;
use crate::host::directory::{FileKind, Metadata};
pub use crate::host::trust::Intruder;
use crate::host::trust::{self, Acl, Step};
use crate::store::Store;
use crate::store::scan::{Trouble, Visit, Visitor};
use std::path::PathBuf;

/// Search permission of others than the owner. With an access control list the group's is that of all whom it names.
const SEARCH: u32 = 0o011;

/// Write permission of the group, or of anybody whom an access control list names.
const BY_GROUP: u32 = 0o020;

/// Whose store it is, and what is known of the others.
#[derive(Debug, Clone, Copy)]
pub struct Guard<'a> {
    /// The user who uses the store. Root may change everything anyway.
    pub user: u32,
    /// The users and groups of this machine.
    pub accounts: &'a Accounts,
}

/// What is to be said of a way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Approach<'s> {
    /// The steps that others may change, with who.
    pub breaches: Vec<(&'s Step, Intruder)>,
    /// The first directory that nobody but its owner may enter.
    pub shield: Option<&'s Step>,
}

impl Guard<'_> {
    /// Who may write to something with this mode, group and access control list.
    pub fn writers(&self, mode: u32, group: u32, acl: &Acl) -> Option<Intruder> {
        trust::writers(mode, group, acl).into_iter().find(|writer| match writer {
            Intruder::Everyone => true,
            Intruder::Group(group) => !self.accounts.is_private(*group, self.user),
            Intruder::User(user) => ![0, self.user].contains(user),
            // On a file server every file has one.
            Intruder::Unknown => self.user == 0,
        })
    }

    /// Judges a way: each step must be the user's or root's, and writable by nobody else unless the sticky bit
    /// keeps what is there.
    pub fn approach<'s>(&self, way: &'s [Step]) -> Approach<'s> {
        let mut approach = Approach::default();
        for step in way {
            let is_strange = step.user != 0 && step.user != self.user;
            if is_strange && self.accounts.unmapped != Some(step.user) {
                approach.breaches.push((step, Intruder::User(step.user)));
            } else if step.mode & SEARCH == 0 {
                approach.shield = Some(step);
                break;
            } else if !step.is_sticky()
                && let Some(writers) = self.writers(step.mode, step.group, &step.acl)
            {
                approach.breaches.push((step, writers));
            }
        }
        approach
    }
}

/// Some parts of a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// How many files.
    pub files: u64,
    /// How many directories, the root included.
    pub directories: u64,
    /// The first of them by its path.
    pub example: Option<PathBuf>,
}

impl Parts {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.example.is_none()
    }

    fn add(&mut self, kind: FileKind, path: impl Fn() -> PathBuf) {
        match kind {
            FileKind::Directory => self.directories += 1,
            _ => self.files += 1,
        }
        let path = path();
        if self.example.as_ref().is_none_or(|example| path < *example) {
            self.example = Some(path);
        }
    }

    fn join(&mut self, other: Parts) {
        self.files += other.files;
        self.directories += other.directories;
        self.example = match (self.example.take(), other.example) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
}

/// The parts of a store that others than its user may change or own.
#[derive(Debug, Default)]
pub struct Exposure {
    /// Those that everybody may write to.
    pub everyone: Parts,
    /// Those that a group may write to which has others in it, or somebody whom an access control list names.
    pub group: Parts,
    /// Those that belong to root, where the store is another user's.
    pub root: Parts,
    /// Those that belong to anybody else.
    pub others: Parts,
    /// How many files there are.
    pub files: u64,
    /// What could not be read.
    pub troubles: Vec<Trouble>,
}

/// One worker's part of an [`Exposure`]. The scan must ask for everything.
#[derive(Debug)]
pub struct Watch<'a> {
    exposure: Exposure,
    guard: Guard<'a>,
    store: &'a Store,
}

impl<'a> Watch<'a> {
    /// An empty part.
    pub fn new(guard: Guard<'a>, store: &'a Store) -> Watch<'a> {
        Watch { exposure: Exposure::default(), guard, store }
    }

    fn look(&mut self, metadata: &Metadata, path: impl Fn() -> PathBuf) {
        // The mode of a link means nothing.
        if metadata.kind != FileKind::Link {
            // A list gives no more than the group's bits do.
            let acl = if metadata.mode & BY_GROUP != 0 { Acl::of(&path()) } else { Acl::None };
            match self.guard.writers(metadata.mode, metadata.group, &acl) {
                Some(Intruder::Everyone) => self.exposure.everyone.add(metadata.kind, &path),
                Some(_) => self.exposure.group.add(metadata.kind, &path),
                None => {}
            }
        }
        match metadata.user {
            user if user == self.guard.user => {}
            0 => self.exposure.root.add(metadata.kind, &path),
            _ => self.exposure.others.add(metadata.kind, &path),
        }
    }
}

impl Visitor for Watch<'_> {
    fn directory(&mut self, visit: &Visit<'_>) {
        if let Some(metadata) = &visit.metadata {
            self.look(metadata, || self.store.shown(visit.relative, b""));
        }
        self.exposure.files += visit.entries.len() as u64;
        for entry in visit.entries {
            if let Some(metadata) = &entry.metadata {
                self.look(metadata, || self.store.shown(visit.relative, entry.name));
            }
        }
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.exposure.troubles.push(trouble);
    }
}

impl Exposure {
    /// Joins what the workers of a scan saw.
    pub fn collect<'a>(parts: impl IntoIterator<Item = Watch<'a>>) -> Exposure {
        let mut all = Exposure::default();
        for Watch { exposure, .. } in parts {
            all.everyone.join(exposure.everyone);
            all.group.join(exposure.group);
            all.root.join(exposure.root);
            all.others.join(exposure.others);
            all.files += exposure.files;
            all.troubles.extend(exposure.troubles);
        }
        all.troubles.sort_by(|one, other| one.path().cmp(other.path()));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        Accounts::parse(
            "root:x:0:0::/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\nyou:x:1001:1001::/home/you:/bin/sh\n",
            "root:x:0:\nme:x:1000:\nyou:x:1001:\nteam:x:200:me,you\n",
        )
    }

    fn way(steps: &[(&str, u32, u32, u32)]) -> Vec<Step> {
        let step = |&(path, user, group, mode): &(&str, u32, u32, u32)| Step {
            path: path.into(),
            user,
            group,
            mode: mode | 0o040_000,
            acl: Acl::None,
        };
        steps.iter().map(step).collect()
    }

    #[test]
    fn a_way_is_as_safe_as_its_weakest_step() {
        let accounts = accounts();
        let guard = Guard { user: 1000, accounts: &accounts };
        let judged = |steps: &[(&str, u32, u32, u32)]| {
            let way = way(steps);
            let approach = guard.approach(&way);
            let breaches =
                approach.breaches.iter().map(|(step, who)| (step.path.display().to_string(), *who));
            let shield = approach.shield.map(|step| step.path.display().to_string());
            (breaches.collect::<Vec<_>>(), shield)
        };
        let breach = |path: &str, who| (vec![(path.to_string(), who)], None);
        let none = || (Vec::new(), None);
        assert_eq!(
            judged(&[("/", 0, 0, 0o755), ("/home", 0, 0, 0o755), ("/home/me", 1000, 1000, 0o755)]),
            none()
        );
        assert_eq!(
            judged(&[("/", 0, 0, 0o755), ("/tmp", 0, 0, 0o1777), ("/tmp/me", 1000, 1000, 0o755)]),
            none()
        );
        assert_eq!(judged(&[("/", 0, 0, 0o755), ("/pub", 0, 0, 0o777)]), breach("/pub", Intruder::Everyone));
        assert_eq!(judged(&[("/", 0, 0, 0o755), ("/t", 0, 200, 0o775)]), breach("/t", Intruder::Group(200)));
        assert_eq!(judged(&[("/", 0, 0, 0o755), ("/home/me", 1000, 1000, 0o775)]), none());
        assert_eq!(
            judged(&[("/", 0, 0, 0o755), ("/y", 1001, 1001, 0o755)]),
            breach("/y", Intruder::User(1001))
        );
        let shielded =
            judged(&[("/", 0, 0, 0o755), ("/me", 1000, 1000, 0o700), ("/me/x", 1000, 1000, 0o777)]);
        assert_eq!(shielded, (Vec::new(), Some("/me".to_string())));
        // Nobody in this namespace can act as one whom it does not know.
        let steps = way(&[("/", 65534, 65534, 0o755)]);
        let mut accounts = accounts.clone();
        accounts.unmapped = Some(65534);
        assert_eq!(Guard { user: 1000, accounts: &accounts }.approach(&steps).breaches, []);
        // Whoever owns the shield may open it.
        let owned = judged(&[("/", 0, 0, 0o755), ("/y", 1001, 1001, 0o700)]);
        assert_eq!(owned, breach("/y", Intruder::User(1001)));
    }

    #[test]
    fn what_a_group_may_write_counts_unless_the_group_is_private() {
        let accounts = accounts();
        let guard = Guard { user: 1000, accounts: &accounts };
        assert_eq!(guard.writers(0o100_664, 1000, &Acl::None), None);
        assert_eq!(guard.writers(0o100_664, 0, &Acl::None), None);
        assert_eq!(guard.writers(0o100_664, 200, &Acl::None), Some(Intruder::Group(200)));
        assert_eq!(guard.writers(0o100_644, 200, &Acl::None), None);
        assert_eq!(guard.writers(0o100_666, 1000, &Acl::None), Some(Intruder::Everyone));
        // The group's bits are the mask of a list.
        let list = |grants: &[trust::Grant]| Acl::Posix(grants.to_vec());
        let to = |user| trust::Grant::To(Intruder::User(user));
        assert_eq!(guard.writers(0o100_664, 200, &list(&[])), None);
        assert_eq!(guard.writers(0o100_664, 1000, &list(&[to(0), to(1000)])), None);
        assert_eq!(guard.writers(0o100_664, 1000, &list(&[to(1001)])), Some(Intruder::User(1001)));
        let group = list(&[trust::Grant::OwningGroup]);
        assert_eq!(guard.writers(0o100_664, 200, &group), Some(Intruder::Group(200)));
        assert_eq!(guard.writers(0o100_644, 1000, &Acl::Unknown), None);
    }
}
