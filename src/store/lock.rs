//! Finds the processes that hold a `flock` lock, by `/proc/locks` (proc_locks(5)).
//!
//! Best effort: a holder in another container or on another machine is not found, and none on a system without `/proc`.

/// A process that holds a lock, or took it and passed it to a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub process: u32,
    /// The user who started it, its real user id: a set-user-ID program that anybody may start acts as root. `None` where
    /// it cannot be looked at: it has ended, or `/proc` hides other users' processes.
    pub user: Option<u32>,
    /// Its name (proc_pid_comm(5)), which the process can choose: untrusted text.
    pub command: Option<String>,
}

/// The processes that hold a `flock` lock on the file or directory with this device and inode.
pub fn holders(identity: (u64, u64)) -> Vec<Holder> {
    let locks = std::fs::read("/proc/locks").unwrap_or_default();
    processes(&String::from_utf8_lossy(&locks), identity).into_iter().map(holder).collect()
}

fn holder(process: u32) -> Holder {
    let place = format!("/proc/{process}");
    // Not the owner of the directory, who is the user that it acts as.
    let user = std::fs::read(format!("{place}/status")).ok().and_then(|status| real_user(&status));
    let name = std::fs::read(format!("{place}/comm")).ok();
    let command = name.map(|name| String::from_utf8_lossy(name.trim_ascii_end()).into_owned());
    Holder { process, user, command }
}

/// The real user id in the text of `/proc/PID/status` (proc_pid_status(5)), where a newline in the name is escaped.
fn real_user(status: &[u8]) -> Option<u32> {
    let ids = status.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"Uid:"))?;
    std::str::from_utf8(ids).ok()?.split_ascii_whitespace().next()?.parse().ok()
}

/// Parses `/proc/locks`: returns the processes that hold a lock on this inode. If no line has the device too, the inode alone
/// decides: on btrfs and overlayfs the device there differs from that of `stat`.
fn processes(locks: &str, (device, inode): (u64, u64)) -> Vec<u32> {
    let held: Vec<(u64, u32)> = locks
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            // The second field of a waiting process is `->`.
            let [_, "FLOCK", _, _, process, file, ..] = fields[..] else { return None };
            let [major, minor, number] = file.split(':').collect::<Vec<_>>()[..] else { return None };
            let number_of = |text| u64::from_str_radix(text, 16).ok();
            let held = (device_number(number_of(major)?, number_of(minor)?), process.parse().ok()?);
            (number.parse() == Ok(inode)).then_some(held)
        })
        .collect();
    let is_told = held.iter().any(|(other, _)| *other == device);
    held.into_iter().filter(|(other, _)| !is_told || *other == device).map(|(_, process)| process).collect()
}

/// Encodes a device number as `stat` does on Linux (makedev(3)).
fn device_number(major: u64, minor: u64) -> u64 {
    (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & !0xff) << 12) | ((major & !0xfff) << 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_holder_is_found_by_its_lock() {
        const LOCKS: &str = "\
1: FLOCK  ADVISORY  WRITE 71 00:2a:500 0 EOF
1: -> FLOCK  ADVISORY  WRITE 72 00:2a:500 0 EOF
2: POSIX  ADVISORY  WRITE 73 00:2a:500 0 EOF
3: FLOCK  ADVISORY  READ 74 08:01:500 0 EOF
4: OFDLCK ADVISORY  READ -1 08:01:500 0 EOF
5: FLOCK  ADVISORY  READ 75 103:00:77 0 EOF
torn
6: FLOCK  ADVISORY  READ x 08:01:500 0 EOF
";
        assert_eq!(processes(LOCKS, (0x2a, 500)), [71]);
        assert_eq!(processes(LOCKS, (0x801, 500)), [74]);
        assert_eq!(processes(LOCKS, (0x99, 500)), [71, 74], "another device: a subvolume of btrfs");
        assert_eq!(processes(LOCKS, (0x10300, 77)), [75]);
        assert_eq!(processes(LOCKS, (0x801, 5)), [0; 0]);
        assert_eq!(device_number(0x1234, 0x5678), 0x1000_0562_3478);
    }

    #[test]
    fn whoever_started_a_process_is_its_user() {
        let status = |ids: &str| format!("Name:\ta\\nUid:\t0\nUmask:\t0022\nUid:\t{ids}\nGid:\t0\t0\t0\t0\n");
        assert_eq!(real_user(status("61001\t0\t0\t0").as_bytes()), Some(61001));
        assert_eq!(real_user(status("0\t61001\t61001\t61001").as_bytes()), Some(0));
        assert_eq!(real_user(status("").as_bytes()), None);
        assert_eq!(real_user(b"Name:\tx\n"), None);
    }

    #[test]
    fn we_find_ourselves() {
        let temporary = tempfile::tempdir().unwrap();
        let file = File::create(temporary.path().join("lock")).unwrap();
        let metadata = file.metadata().unwrap();
        let identity = (metadata.dev(), metadata.ino());
        assert_eq!(holders(identity), []);
        file.try_lock().unwrap();
        let [holder] = &holders(identity)[..] else { panic!("no holder") };
        assert_eq!(
            (holder.process, holder.user),
            (std::process::id(), Some(crate::host::directory::effective_user()))
        );
        assert!(holder.command.as_ref().is_some_and(|command| !command.is_empty()));
    }
}
