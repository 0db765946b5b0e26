//! Permission bits mean nothing to root: what is about them runs as somebody else.

use super::NOBODY;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Runs `act` as a user to whom permission bits mean something: ourselves, or where we are root somebody else, to
/// whom everything in `directory` is given.
///
/// The kernel knows a user by the thread, and those that it starts are the same user's: nobody else in this process
/// becomes another one.
pub fn as_ordinary_user<R: Send>(directory: &Path, act: impl FnOnce() -> R + Send) -> R {
    if !rustix::process::geteuid().is_root() {
        return act();
    }
    std::fs::set_permissions(directory, PermissionsExt::from_mode(0o755)).unwrap();
    for entry in walkdir::WalkDir::new(directory) {
        std::os::unix::fs::lchown(entry.unwrap().path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    as_user(NOBODY, act)
}

/// Runs `act` as another user, in a thread of its own. Only root can, and only on Linux.
pub fn as_user<R: Send>(user: u32, act: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            become_user(user);
            act()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[cfg(target_os = "linux")]
fn become_user(user: u32) {
    use rustix::process::{Gid, Uid};
    let (user, group) = (Uid::from_raw(user), Gid::from_raw(user));
    rustix::thread::set_thread_groups(&[]).unwrap();
    rustix::thread::set_thread_res_gid(group, group, group).unwrap();
    rustix::thread::set_thread_res_uid(user, user, user).unwrap();
    assert_eq!(rustix::process::geteuid(), user);
}

#[cfg(not(target_os = "linux"))]
fn become_user(_: u32) {
    panic!("only Linux changes the user of one thread: run the tests as an ordinary user");
}
