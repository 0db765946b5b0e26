//! As whom an interpreter is run that only compiles or only answers.
//!
//! Root runs none as root unless it has to: that of another user as that user, its own as an unprivileged user; only where
//! such a user may not reach it (below `/root`) as root, and then nobody else may change anything that it executes. Everybody
//! else runs what nobody but they and root may change, as themselves.

use super::interpreter::{Known, owners};
use super::{Stranger, stranger, ways};
use crate::accounts::Accounts;
use crate::contained::{Containment, Identity};
use crate::directory::effective_user;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};

/// The user and group without rights (`nobody`), by the numbers that the kernel gives to what it cannot map.
pub const UNPRIVILEGED: Identity = Identity { user: 65534, group: 65534 };

/// How interpreters are started, and as whom; what was found out of each is remembered.
#[derive(Debug, Default)]
pub struct Runners {
    launcher: Option<PathBuf>,
    trusted: Known,
    known: Mutex<BTreeMap<PathBuf, Result<Option<Identity>, Stranger>>>,
}

impl Runners {
    /// With a program that launches others ([`Containment::command`]). Without one, interpreters have no limits, and root
    /// starts all as root.
    pub fn new(launcher: Option<PathBuf>) -> Runners {
        Runners { launcher, ..Runners::default() }
    }

    /// The program that launches others.
    pub fn launcher(&self) -> Option<&Path> {
        self.launcher.as_deref()
    }

    /// Whether nobody but we and root may change what an interpreter is and, for root, all that it executes.
    ///
    /// # Errors
    /// Who may.
    pub fn trust(&self, executable: &Path) -> Result<(), Stranger> {
        let stranger = match effective_user() {
            0 => self.trusted.stranger(executable, 0),
            user => stranger(&ways(executable), user),
        };
        stranger.map_or(Ok(()), Err)
    }

    /// As whom an interpreter is run; `None`: as we are.
    ///
    /// # Errors
    /// Who else decides what it does, where it is not run.
    pub fn identity(&self, executable: &Path) -> Result<Option<Identity>, Stranger> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(executable) {
            return known.clone();
        }
        let identity = match &self.launcher {
            Some(launcher) if effective_user() == 0 => self.identity_for_root(launcher, executable),
            _ => self.trust(executable).map(|()| None),
        };
        known.insert(executable.to_path_buf(), identity.clone());
        identity
    }

    fn identity_for_root(&self, launcher: &Path, executable: &Path) -> Result<Option<Identity>, Stranger> {
        let owners: Vec<u32> = owners(executable).into_iter().collect();
        match owners[..] {
            [user] if self.trusted.stranger(executable, user).is_none() => {
                let group = Accounts::read().user(user).map_or(UNPRIVILEGED.group, |user| user.group);
                Ok(Some(Identity { user, group }))
            }
            _ => {
                self.trust(executable)?;
                Ok(starts(launcher, executable, UNPRIVILEGED).then_some(UNPRIVILEGED))
            }
        }
    }
}

/// Whether an interpreter starts as this user, who may not be allowed to reach it or its library.
fn starts(launcher: &Path, executable: &Path, identity: Identity) -> bool {
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
