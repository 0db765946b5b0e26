//! A crontab of the test's own: crontab(1) and cron(8) know one spool, so they run where another directory is mounted
//! over it, in a mount namespace that ends with them. Nothing is started unless that worked.

use super::{Answer, World, answer, tool};
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A spool in a world.
pub struct Spool<'w> {
    world: &'w World,
    directory: PathBuf,
}

impl<'w> Spool<'w> {
    /// An empty spool.
    pub fn new(world: &'w World) -> Spool<'w> {
        tool("crontab", "cron");
        let directory = world.home.parent().unwrap().join("spool");
        std::fs::create_dir_all(directory.join("crontabs")).unwrap();
        // crontab(1) is of that group, where it may be.
        let _ = answer(world.command("chgrp").arg("crontab").arg(directory.join("crontabs")));
        std::fs::set_permissions(directory.join("crontabs"), PermissionsExt::from_mode(0o1730)).unwrap();
        Spool { world, directory }
    }

    /// A command that sees this spool, with `before` run by a shell in front of it.
    pub fn command(&self, flags: &[&str], before: &str, program: impl AsRef<OsStr>) -> Command {
        let unshare = tool("unshare", "util-linux");
        let mut command = self.world.command(&unshare);
        command.arg("--mount").args(flags);
        if !rustix::process::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        // Below HOME there is no trace of the machine's own spool: whoever cannot mount does not go on.
        let script = format!("set -e; mount --bind \"$1\" /var/spool/cron; {before} shift; exec \"$@\"");
        command.args(["sh", "-c", &script, "sh"]).arg(&self.directory);
        if !rustix::process::geteuid().is_root() {
            // Ourselves again: to root in there everything of the machine's root would be a stranger's.
            let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
            // `before` may have changed PATH.
            command.arg(&unshare).arg("--user");
            command.args([format!("--map-user={user}"), format!("--map-group={group}")]);
        }
        command.arg(program);
        command
    }

    /// Runs the program with this spool.
    pub fn pycstore<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Answer {
        answer(self.command(&[], "", env!("CARGO_BIN_EXE_pycstore")).args(arguments))
    }

    /// Puts a crontab in place.
    pub fn fill(&self, contents: impl AsRef<[u8]>) {
        let file = self.world.write("crontab.new", contents);
        answer(self.command(&[], "", "crontab").arg(file)).exits(0);
    }

    /// The crontab as `crontab -l` prints it; `None` without one.
    pub fn contents(&self) -> Option<Vec<u8>> {
        let output = self.command(&[], "", "crontab").arg("-l").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() || said.contains("no crontab for"), "{said}");
        output.status.success().then_some(output.stdout)
    }

    /// Whether the machine's own spool is out of reach: asked by a test.
    pub fn is_own(&self) -> bool {
        let marker = self.directory.join("marker");
        std::fs::write(&marker, "").unwrap();
        answer(self.command(&[], "", "test").args(["-e", "/var/spool/cron/marker"])).code == 0
            && !Path::new("/var/spool/cron/marker").exists()
    }
}
