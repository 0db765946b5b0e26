//! Makes pipes and sockets in the file system, for this crate's tests and the library's.

use std::io;
use std::path::Path;

/// Makes a pipe at a path where nothing is.
pub fn make_pipe(path: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    return make(path, rustix::fs::FileType::Fifo);
    // No safe crate makes one on macOS.
    #[cfg(not(target_os = "linux"))]
    match std::process::Command::new("mkfifo").arg(path).status()?.success() {
        true => Ok(()),
        false => Err(io::ErrorKind::AlreadyExists.into()),
    }
}

/// Makes a socket at a path where nothing is.
pub fn make_socket(path: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    return make(path, rustix::fs::FileType::Socket);
    #[cfg(not(target_os = "linux"))]
    std::os::unix::net::UnixListener::bind(path).map(drop)
}

#[cfg(target_os = "linux")]
fn make(path: &Path, kind: rustix::fs::FileType) -> io::Result<()> {
    let mode = rustix::fs::Mode::from_raw_mode(0o644);
    Ok(rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0)?)
}
