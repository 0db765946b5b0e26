//! Chooses the user that runs an interpreter which only compiles or only answers questions.
//!
//! Root runs another user's interpreter as that user, and its own as an unprivileged user. Only if that user cannot start it
//! (below `/root`) it runs as root, and then nobody else may be able to change anything that it executes. Other users run, as
//! themselves, interpreters that nobody but they and root may change.

use super::interpreter::{KnownLibraries, owners};
use super::{Stranger, stranger, ways};
use crate::host::accounts::Accounts;
use crate::host::contained::{Containment, UserAndGroup};
use crate::host::directory::effective_user;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};

/// The user without rights (`nobody`; the kernel uses the same id for unmapped users), with a group that no process of this
/// user has: so none of them can trace the interpreter and change what it returns, for user and group have to be the same
/// (ptrace(2), "Ptrace access mode checking"). No convention assigns 65530 (systemd's "Users, Groups, UIDs and GIDs").
pub const UNPRIVILEGED: UserAndGroup = UserAndGroup { user: 65534, group: 65530 };

/// The group of a user that passwd(5) does not have: `nogroup`.
const NO_GROUP: u32 = 65534;

/// Chooses how interpreters are started and by which user; remembers the result for each.
#[derive(Debug, Default)]
pub struct Runners {
    launcher: Option<PathBuf>,
    trusted: KnownLibraries,
    known: Mutex<BTreeMap<PathBuf, Result<Option<UserAndGroup>, Stranger>>>,
    unprivileged: Mutex<BTreeMap<PathBuf, Option<UserAndGroup>>>,
}

impl Runners {
    /// Creates one with a launcher ([`Containment::command`]). Without a launcher, interpreters have no limits, and root
    /// starts them all as root.
    pub fn new(launcher: Option<PathBuf>) -> Runners {
        Runners { launcher, ..Runners::default() }
    }

    /// The launcher.
    pub fn launcher(&self) -> Option<&Path> {
        self.launcher.as_deref()
    }

    /// Checks that nobody but this user and root may change an interpreter and, as root, the files that it executes.
    ///
    /// # Errors
    /// Who may change it.
    pub fn trust(&self, executable: &Path) -> Result<(), Stranger> {
        let stranger = match effective_user() {
            0 => self.trusted.stranger(executable, 0),
            user => stranger(&ways(executable), user),
        };
        stranger.map_or(Ok(()), Err)
    }

    /// Returns the user that runs an interpreter; `None`: that of this process.
    ///
    /// # Errors
    /// Who else may change it, if it must not be run.
    pub fn identity(&self, executable: &Path) -> Result<Option<UserAndGroup>, Stranger> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(executable) {
            return known.clone();
        }
        let identity = match &self.launcher {
            Some(_) if effective_user() == 0 => self.identity_for_root(executable),
            _ => self.trust(executable).map(|()| None),
        };
        known.insert(executable.to_path_buf(), identity.clone());
        identity
    }

    fn identity_for_root(&self, executable: &Path) -> Result<Option<UserAndGroup>, Stranger> {
        let owners: Vec<u32> = owners(executable).into_iter().collect();
        match owners[..] {
            [user] if self.trusted.stranger(executable, user).is_none() => {
                let group = Accounts::read().user(user).map_or(NO_GROUP, |user| user.group);
                Ok(Some(UserAndGroup { user, group }))
            }
            _ => {
                self.trust(executable)?;
                Ok(self.unprivileged(executable))
            }
        }
    }

    /// Returns the user that runs a trusted interpreter whose bytecode will be used: as root [`UNPRIVILEGED`], if that user can
    /// start it; `None`: that of this process. Never another owner: root would run what that user's process returns.
    pub fn unprivileged(&self, executable: &Path) -> Option<UserAndGroup> {
        let launcher = self.launcher.as_deref().filter(|_| effective_user() == 0)?;
        let mut known = self.unprivileged.lock().unwrap_or_else(PoisonError::into_inner);
        let identity = || starts(launcher, executable, UNPRIVILEGED).then_some(UNPRIVILEGED);
        *known.entry(executable.to_path_buf()).or_insert_with(identity)
    }
}

/// Whether an interpreter starts as this user, who may lack the permission to read it or its library.
fn starts(launcher: &Path, executable: &Path, identity: UserAndGroup) -> bool {
    let containment = Containment { identity: Some(identity), memory: None, processor_seconds: Some(10) };
    let mut command = containment.command(launcher, executable);
    command.args(["-I", "-S", "-B", "-c", "import marshal, os, sys, types"]).env_clear().current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn without_a_launcher_what_others_may_change_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let executable = temporary.path().canonicalize().unwrap().join("python");
        std::fs::write(&executable, "#!/bin/sh\n").unwrap();
        let mode = |mode| std::fs::set_permissions(&executable, PermissionsExt::from_mode(mode)).unwrap();
        let runners = Runners::default();
        assert_eq!(runners.identity(&executable), Ok(None));
        mode(0o777);
        assert_eq!(runners.identity(&executable), Ok(None), "it is remembered");
        let everybody = Stranger::Everybody(executable.clone());
        assert_eq!(Runners::default().identity(&executable), Err(everybody.clone()));
        assert_eq!(runners.trust(&executable).unwrap_err(), everybody);
    }
}
