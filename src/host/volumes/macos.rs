//! What is mounted on macOS: the answer of getfsstat(2), and the firmlinks.
//!
//! Since 10.15 the directory tree has two volumes: a read-only system volume at `/` and the data volume at
//! `/System/Volumes/Data`. Firmlinks join them: `/Users` is a directory of the data volume, although no mount point is
//! there. `/usr/share/firmlinks` lists them. Here each counts as a mount point of the data volume: else everything below
//! `/Users` would count as read-only.
//!
//! `/tmp`, `/var` and `/etc` are symbolic links into `/private`, and are treated as any link.

use super::Mount;
use std::ffi::OsStr;
#[cfg(target_os = "macos")]
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Where the data volume is mounted.
const DATA: &str = "/System/Volumes/Data";

/// The options of every mount. Without `O_NOATIME`, reading an entry counts as an access, and APFS records an access only if
/// the file was written since the last one: an access time never shows when Python last used an entry.
const OPTIONS: &str = "noatime";

/// What is mounted now.
///
/// # Errors
/// What getfsstat(2) or reading the list of firmlinks answers. Without such a list there are none.
#[cfg(target_os = "macos")]
pub(super) fn mounted() -> io::Result<Vec<Mount>> {
    let found = mountpoints::mountinfos().map_err(io::Error::other)?;
    let firmlinks = match std::fs::read("/usr/share/firmlinks") {
        Ok(firmlinks) => firmlinks,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let mounted = found.into_iter().map(|found| mount(&found.path, found.format.as_deref())).collect();
    Ok(with_firmlinks(mounted, &firmlinks))
}

/// A mount of a file system type; one without a type is no local file system.
fn mount(point: &Path, kind: Option<&str>) -> Mount {
    Mount { point: point.to_path_buf(), kind: kind.unwrap_or_default().into(), options: OPTIONS.into() }
}

/// Adds the firmlinks as mount points of the data volume, before what is mounted: a real mount hides a firmlink. A line of
/// the list is the path of the firmlink, a tab and a path below [`DATA`], which is the same.
fn with_firmlinks(mounted: Vec<Mount>, firmlinks: &[u8]) -> Vec<Mount> {
    let Some(data) = mounted.iter().find(|mount| mount.point == Path::new(DATA)) else { return mounted };
    let points = super::lines(firmlinks).filter_map(|line| line.split(|&byte| byte == b'\t').next());
    let points = points.map(|point| Path::new(OsStr::from_bytes(point))).filter(|point| point.is_absolute());
    let mut all: Vec<Mount> = points.map(|point| mount(point, Some(&data.kind))).collect();
    all.extend(mounted);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::volumes::{AccessTimes, Mounts, VolumeDoubt};

    /// A Mac with an external disk, a share and the automounter, as getfsstat(2) lists them.
    fn mac(firmlinks: &[u8]) -> Mounts {
        let mounted = [
            ("/", "apfs"),
            ("/dev", "devfs"),
            ("/System/Volumes/VM", "apfs"),
            ("/System/Volumes/Data", "apfs"),
            ("/System/Volumes/Data/home", "autofs"),
            ("/Volumes/Disk", "hfs"),
            ("/Volumes/Share", "smbfs"),
        ];
        let mounted = mounted.map(|(point, kind)| mount(Path::new(point), Some(kind)));
        Mounts {
            mounted: with_firmlinks(mounted.into(), firmlinks),
            expected: Vec::new(),
            exported: Vec::new(),
        }
    }

    const FIRMLINKS: &[u8] =
        b"/AppleInternal\tAppleInternal\n/Users\tUsers\n/Volumes\tVolumes\n/private\tprivate\n/usr/local\tusr/local\n\nx\n";

    fn point(mounts: &Mounts, path: &str) -> String {
        mounts.of(Path::new(path)).unwrap().point.display().to_string()
    }

    #[test]
    fn a_firmlink_leads_to_the_data_volume() {
        let mounts = mac(FIRMLINKS);
        for (path, expected) in [
            ("/Users/me/p", "/Users"),
            ("/private/tmp", "/private"),
            ("/usr/local/bin", "/usr/local"),
            ("/usr/bin", "/"),
            ("/System/Volumes/Data/Users/me", "/System/Volumes/Data"),
            ("/Volumes/Disk/p", "/Volumes/Disk"),
        ] {
            assert_eq!(point(&mounts, path), expected);
            assert!(!mounts.is_network(Path::new(path)), "{path}");
        }
        assert!(mounts.is_network(Path::new("/Volumes/Share/p")));
        // Before 10.15 there are no firmlinks, and no data volume.
        assert_eq!(point(&mac(b""), "/Users/me"), "/");
        let old = vec![mount(Path::new("/"), Some("hfs"))];
        assert_eq!(with_firmlinks(old.clone(), FIRMLINKS), old);
    }

    #[test]
    fn on_a_mac_too_volumes_come_and_go() {
        let mounts = mac(FIRMLINKS);
        let store = Path::new("/Users/me/Library/Caches/com.apple.python");
        for (ancestor, expected) in [
            ("/Users", Ok(())),
            ("/Users/me/p", Ok(())),
            ("/private/tmp", Ok(())),
            ("/Volumes/Disk", Ok(())),
            ("/Volumes", Err(VolumeDoubt::Unmounted)),
            ("/Volumes/Other", Err(VolumeDoubt::Unmounted)),
            ("/System/Volumes/Data/home", Err(VolumeDoubt::Unmounted)),
            ("/", Err(VolumeDoubt::OtherHost)),
        ] {
            assert_eq!(mounts.vouches(Path::new(ancestor), None, store), expected, "{ancestor}");
        }
    }

    #[test]
    fn access_times_on_a_mac_tell_nothing() {
        assert_eq!(mac(FIRMLINKS).access_times(Path::new("/Users/me")), AccessTimes::Lost);
    }
}
