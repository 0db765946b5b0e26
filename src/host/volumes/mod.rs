//! What is mounted, and what ought to be: the facts behind "missing is not gone".
//!
//! Read once from `/proc/self/mountinfo` (proc(5); on macOS see `macos`) and `/etc/fstab` (fstab(5)), then passed as data,
//! so that tests supply their own. No mounted network file system is touched: `stat` on a dead NFS server blocks.

#[cfg(any(target_os = "macos", test))]
mod macos;

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Places below which volumes come and go, and how many levels below them a volume's own directory lies:
/// `/media/<user>/<volume>`. Their mount points need not be in fstab.
const VOLUME_PLACES: [(&str, usize); 6] =
    [("/mnt", 1), ("/media", 2), ("/run/media", 2), ("/Volumes", 1), ("/net", 2), ("/misc", 1)];

/// File system types whose files live on this machine. All others are doubted: there is a new network file system every
/// year, and one that is not known here must not be taken for a local disk.
const LOCAL_TYPES: [&str; 36] = [
    "apfs", "aufs", "bcachefs", "btrfs", "devfs", "devtmpfs", "ecryptfs", "erofs", "exfat", "ext2", "ext3",
    "ext4", "f2fs", "fuseblk", "hfs", "hfsplus", "iso9660", "jffs2", "jfs", "minix", "msdos", "nilfs2",
    "ntfs", "ntfs3", "overlay", "ramfs", "reiserfs", "rootfs", "squashfs", "tmpfs", "ubifs", "udf", "ufs",
    "vfat", "xfs", "zfs",
];

/// File system types that record the first reading of a file after it was written, unless the mount forbids it. Others
/// leave that to another machine or a process (network file systems, FUSE), record it only for files that were changed
/// (overlay), or keep the day alone (FAT).
const RECORDING_TYPES: [&str; 12] =
    ["bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "nilfs2", "ramfs", "tmpfs", "xfs", "zfs"];

/// File system types without hard links, or whose links depend on another machine. Of the FUSE types, only
/// `fuseblk` (NTFS) is known to support them.
const TYPES_WITHOUT_LINKS: [&str; 6] = ["cifs", "exfat", "msdos", "smb3", "smbfs", "vfat"];

/// How far the clocks of machines that share files may differ, in seconds. Kerberos accepts five minutes.
///
/// Stamps of a file on the network are those of a server's clock, on some file systems (Lustre, CephFS) of the clock of the machine
/// that wrote.
const CLOCK_MARGIN: i64 = 600;

/// How far the access times of files show when they were last read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessTimes {
    /// The first reading after a file was written shows, later ones within a day need not (`relatime`). `lazytime` only
    /// delays the writing to the disk.
    Kept,
    /// A time after the last modification is that of a reading; an earlier one tells nothing.
    Partial,
    /// No reading shows: `noatime`, or read-only.
    Lost,
}

/// A mounted file system: one line of mountinfo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where it is mounted.
    pub point: PathBuf,
    /// The file system's type, `ext4`.
    pub kind: String,
    /// The mount's own options, `rw,relatime`; `ro` as well where the whole file system is read-only.
    pub options: String,
}

/// What is mounted and what fstab expects. Empty: nothing is known, and nothing stands against a verdict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mounts {
    /// In the order of mounting: a later mount hides an earlier one at the same point.
    pub mounted: Vec<Mount>,
    /// Mount points that fstab names, mounted or not.
    pub expected: Vec<PathBuf>,
    /// Directories that this machine exports by NFS: other machines write there, and their local sources are not here.
    pub exported: Vec<PathBuf>,
}

/// Why a place cannot vouch for what is missing below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VolumeDoubt {
    /// A volume may belong here that is not mounted now.
    Unmounted,
    /// The path belongs to another machine or a container.
    OtherHost,
}

impl Mounts {
    /// Reads this machine's tables. A missing fstab expects nothing.
    ///
    /// # Errors
    /// When the table of mounts cannot be read: then nobody knows what is mounted.
    pub fn read() -> io::Result<Mounts> {
        #[cfg(target_os = "macos")]
        let mounted = macos::mounted()?;
        #[cfg(not(target_os = "macos"))]
        let mounted = parse_mountinfo(&std::fs::read("/proc/self/mountinfo")?);
        let fstab = match std::fs::read("/etc/fstab") {
            Ok(fstab) => fstab,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut exported = Vec::new();
        // exports(5), and what the server exports now.
        let more = std::fs::read_dir("/etc/exports.d").into_iter().flatten().flatten().map(|it| it.path());
        let more = more.filter(|path| path.extension().is_some_and(|it| it == "exports") && path.is_file());
        for file in ["/etc/exports", "/var/lib/nfs/etab"].map(PathBuf::from).into_iter().chain(more) {
            match std::fs::read(&file) {
                Ok(text) => exported.extend(parse_exports(&text)),
                // Without an NFS server there is none; what only root may read names nothing to others.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Mounts { mounted, expected: parse_fstab(&fstab), exported }.with_real_points())
    }

    /// Adds to the expected mount points those that symbolic links in them lead to: `/data/home` of `/home`. What is
    /// mounted already is not looked at.
    fn with_real_points(mut self) -> Mounts {
        let is_mounted = |point: &Path| self.mounted.iter().any(|mount| mount.point == point);
        let real = |point: &PathBuf| {
            let parent = point.parent().filter(|parent| !is_mounted(point) && !self.is_network(parent))?;
            let below_parent = || Some(parent.canonicalize().ok()?.join(point.file_name()?));
            point.canonicalize().ok().or_else(below_parent).filter(|real| real != point)
        };
        let real: Vec<PathBuf> = self.expected.iter().filter_map(real).collect();
        self.expected.extend(real);
        self
    }

    /// Reads the texts of Linux's two tables. A line that does not parse is passed over.
    pub fn parse(mountinfo: &[u8], fstab: &[u8]) -> Mounts {
        let (mounted, expected) = (parse_mountinfo(mountinfo), parse_fstab(fstab));
        Mounts { mounted, expected, exported: Vec::new() }
    }

    /// The mount that a path without symbolic links is on.
    pub fn of(&self, path: &Path) -> Option<&Mount> {
        let depth = |mount: &&Mount| mount.point.components().count();
        // `max_by_key` keeps the last of equals, as mountinfo's order wants.
        self.mounted.iter().filter(|mount| path.starts_with(&mount.point)).max_by_key(depth)
    }

    /// Whether a path's file system may be another machine's: its type is not known to be local.
    pub fn is_network(&self, path: &Path) -> bool {
        self.of(path).is_some_and(|mount| !LOCAL_TYPES.contains(&mount.kind.as_str()))
    }

    /// Whether other machines may write to a path: it is on the network, or exported.
    fn is_shared(&self, path: &Path) -> bool {
        self.is_network(path) || self.exported.iter().any(|exported| path.starts_with(exported))
    }

    /// How far the clocks may differ that the stamps of two paths and of this machine come from, in seconds: none if both are on
    /// local disks.
    pub fn clock_margin(&self, one: &Path, other: &Path) -> i64 {
        if self.is_network(one) || self.is_network(other) { CLOCK_MARGIN } else { 0 }
    }

    /// Whether the file system under a path remembers when its files were last read.
    pub fn keeps_access_times(&self, path: &Path) -> bool {
        !self
            .of(path)
            .is_some_and(|mount| mount.options.split(',').any(|option| option == "noatime" || option == "ro"))
    }

    /// How far the access times of the files under a path show when they were last read.
    pub fn access_times(&self, path: &Path) -> AccessTimes {
        match self.of(path) {
            Some(_) if !self.keeps_access_times(path) => AccessTimes::Lost,
            Some(mount) if RECORDING_TYPES.contains(&mount.kind.as_str()) => AccessTimes::Kept,
            Some(_) | None => AccessTimes::Partial,
        }
    }

    /// Whether the file system of a path supports hard links, judged by its type.
    pub fn has_hard_links(&self, path: &Path) -> bool {
        let has_none = |kind: &str| TYPES_WITHOUT_LINKS.contains(&kind) || kind.starts_with("fuse.");
        !self.of(path).is_some_and(|mount| has_none(&mount.kind))
    }

    /// Whether something is mounted at a path or below it.
    pub fn is_at_or_below(&self, path: &Path) -> bool {
        self.mounted.iter().any(|mount| mount.point.starts_with(path))
    }

    /// How many levels below one of [`VOLUME_PLACES`] a directory lies that is on no volume there, and how many levels down
    /// the volumes' own directories are.
    fn below_volume_place(&self, directory: &Path) -> Option<(usize, usize)> {
        let point = self.of(directory).map_or(Path::new("/"), |mount| &mount.point);
        VOLUME_PLACES.iter().find_map(|&(place, levels)| {
            let below = directory.strip_prefix(place).ok()?;
            let is_on_volume = point != Path::new(place) && point.starts_with(place);
            (!is_on_volume).then(|| (below.components().count(), levels))
        })
    }

    /// Whether an existing directory (links resolved) can vouch that what is missing directly below it, at the path
    /// `missing`, is gone. Without that path a file is meant, which is no mount point.
    ///
    /// `store` is the store's own place: a store on a network file system, or on a file server, serves other hosts too, whose
    /// local sources are not to be seen from here.
    ///
    /// # Errors
    /// The [`VolumeDoubt`] that stands against it.
    pub fn vouches(&self, ancestor: &Path, missing: Option<&Path>, store: &Path) -> Result<(), VolumeDoubt> {
        if ancestor == Path::new("/") {
            // A first component that does not exist here: a container's `/app`, another host's `/scratch`.
            return Err(VolumeDoubt::OtherHost);
        }
        let is_volume_place =
            self.below_volume_place(ancestor).is_some_and(|(depth, levels)| depth <= levels);
        let awaits_mount = self.expected.iter().any(|expected| {
            // Mount points need not exist before something is mounted there (`X-mount.mkdir`, systemd).
            let is_missing_point =
                missing.is_some_and(|path| path.starts_with(expected) || expected.starts_with(path));
            (ancestor.starts_with(expected) || is_missing_point)
                && !self.mounted.iter().any(|mount| mount.point == *expected)
        });
        let is_autofs = self.of(ancestor).is_some_and(|mount| mount.kind == "autofs");
        if is_volume_place || awaits_mount || is_autofs {
            return Err(VolumeDoubt::Unmounted);
        }
        if self.is_shared(store) && !self.is_shared(ancestor) {
            return Err(VolumeDoubt::OtherHost);
        }
        Ok(())
    }
}

fn parse_mountinfo(text: &[u8]) -> Vec<Mount> {
    lines(text).filter_map(parse_mountinfo_line).collect()
}

/// The mount points of fstab(5), except `/`.
fn parse_fstab(text: &[u8]) -> Vec<PathBuf> {
    lines(text)
        .filter(|line| !line.starts_with(b"#"))
        .filter_map(|line| words(line).nth(1).map(unescape))
        .filter(|point| point.is_absolute() && point != Path::new("/"))
        .collect()
}

/// The directories of exports(5).
fn parse_exports(text: &[u8]) -> impl Iterator<Item = PathBuf> {
    let directory = |line: &[u8]| match line.strip_prefix(b"\"") {
        Some(quoted) => quoted.split(|&byte| byte == b'"').next().map(unescape),
        None => words(line).next().map(unescape),
    };
    lines(text).filter_map(directory).filter(|path| path.is_absolute())
}

/// `36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn parse_mountinfo_line(line: &[u8]) -> Option<Mount> {
    let mut fields = words(line).skip(4);
    let point = unescape(fields.next()?);
    let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
    let options = text(fields.next()?);
    fields.find(|field| *field == b"-")?;
    let kind = text(fields.next()?);
    let is_read_only = |options: &[u8]| options.split(|&byte| byte == b',').any(|option| option == b"ro");
    // Behind the kind and the device are the options of the file system.
    match fields.nth(1) {
        Some(own) if is_read_only(own) && !is_read_only(options.as_bytes()) => {
            Some(Mount { point, kind, options: options + ",ro" })
        }
        _ => Some(Mount { point, kind, options }),
    }
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty())
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// Both tables write blanks and backslashes as three octal digits: `\040`.
fn unescape(field: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        let octal = |digits: &[u8; 3]| {
            digits.iter().try_fold(0_u8, |value, digit| {
                (b'0'..=b'7').contains(digit).then(|| value.wrapping_mul(8).wrapping_add(digit - b'0'))
            })
        };
        match tail.first_chunk::<3>().filter(|_| first == b'\\').and_then(octal) {
            Some(byte) => {
                path.push(byte);
                rest = &tail[3..];
            }
            None => {
                path.push(first);
                rest = tail;
            }
        }
    }
    PathBuf::from(OsString::from_vec(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTINFO: &[u8] = b"\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
23 22 0:22 / /proc rw,nosuid shared:5 - proc proc rw
24 22 8:1 / /mnt/disk\\040one rw,noatime shared:7 master:2 - xfs /dev/sda1 rw
25 22 0:50 / /home/net rw - nfs4 server:/home rw
26 22 0:51 / /auto rw - autofs /etc/auto.misc rw
not a line
";
    const FSTAB: &[u8] = b"# comment\n/dev/vda / ext4 defaults 0 1\nUUID=1 /data ext4 noauto 0 0\n/dev/sdb /srv/my\\040disk ext4 nofail 0 0\nnone swap swap sw 0 0\n";

    fn vouches(ancestor: &str) -> Result<(), VolumeDoubt> {
        let store = Path::new("/home/me/.cache/cpython");
        Mounts::parse(MOUNTINFO, FSTAB).vouches(Path::new(ancestor), None, store)
    }

    #[test]
    fn tables_are_read() {
        let mounts = Mounts::parse(MOUNTINFO, FSTAB);
        assert_eq!(mounts.mounted.len(), 5);
        assert_eq!(mounts.mounted[2].point, Path::new("/mnt/disk one"));
        assert_eq!(
            (mounts.mounted[2].kind.as_str(), mounts.mounted[2].options.as_str()),
            ("xfs", "rw,noatime")
        );
        assert_eq!(mounts.expected, [Path::new("/data"), Path::new("/srv/my disk")]);
        assert_eq!(mounts.of(Path::new("/home/net/me")).unwrap().kind, "nfs4");
    }

    #[test]
    fn a_mount_without_access_times_says_so() {
        let mounts = Mounts::parse(MOUNTINFO, FSTAB);
        assert!(mounts.keeps_access_times(Path::new("/home/me")));
        assert!(!mounts.keeps_access_times(Path::new("/mnt/disk one/me")));
    }

    #[test]
    fn what_access_times_tell_depends_on_the_mount_and_the_file_system() {
        use AccessTimes::{Kept, Lost, Partial};
        for (line, expected) in [
            ("rw,relatime - ext4 /dev/sda rw", Kept),
            ("rw - xfs /dev/sda rw,attr2", Kept),
            ("rw,nodiratime,relatime - btrfs /dev/sda rw,lazytime", Kept),
            ("rw,strictatime - tmpfs tmpfs rw", Kept),
            ("rw,noatime - ext4 /dev/sda rw", Lost),
            ("rw,noatime - tmpfs tmpfs rw,lazytime", Lost),
            ("ro,relatime - ext4 /dev/sda rw", Lost),
            ("rw,relatime - ext4 /dev/sda ro,errors=remount-ro", Lost),
            ("ro - squashfs /dev/loop0 ro", Lost),
            ("rw,relatime - overlay overlay rw,lowerdir=/ro", Partial),
            ("rw,relatime - fuse.sshfs me@host:/ rw", Partial),
            ("rw,relatime - fuseblk /dev/sda1 rw", Partial),
            ("rw,relatime - nfs4 server:/home rw", Partial),
            ("rw,relatime - vfat /dev/sda1 rw", Partial),
            ("rw,relatime - newfs /dev/sda1 rw", Partial),
        ] {
            let table = format!("22 1 254:0 / / {line}\n");
            let mounts = Mounts::parse(table.as_bytes(), b"");
            assert_eq!(mounts.access_times(Path::new("/home/me")), expected, "{line}");
        }
        assert_eq!(Mounts::default().access_times(Path::new("/")), Partial);
    }

    #[test]
    fn an_ordinary_directory_vouches() {
        for ancestor in
            ["/home", "/home/me/projects", "/srv", "/mnt/disk one", "/mnt/disk one/deep", "/mnt/plain/deep"]
        {
            assert_eq!(vouches(ancestor), Ok(()), "{ancestor}");
        }
    }

    #[test]
    fn a_place_where_volumes_come_and_go_does_not() {
        for ancestor in [
            "/mnt",
            "/mnt/other",
            "/media",
            "/media/me",
            "/media/me/stick",
            "/run/media/me",
            "/Volumes",
            "/net/host",
            "/data",
            "/data/below",
            "/srv/my disk",
            "/auto",
            "/auto/key",
        ] {
            assert_eq!(vouches(ancestor), Err(VolumeDoubt::Unmounted), "{ancestor}");
        }
    }

    #[test]
    fn the_root_directory_never_vouches() {
        assert_eq!(vouches("/"), Err(VolumeDoubt::OtherHost));
    }

    #[test]
    fn a_store_on_the_network_cannot_speak_of_local_sources() {
        let mounts = Mounts::parse(MOUNTINFO, FSTAB);
        let store = Path::new("/home/net/me/.cache/cpython");
        assert_eq!(mounts.vouches(Path::new("/opt"), None, store), Err(VolumeDoubt::OtherHost));
        assert_eq!(mounts.vouches(Path::new("/home/net/me"), None, store), Ok(()));
    }

    #[test]
    fn neither_can_one_that_is_exported() {
        let exports = b"# homes\n/srv/home 10.0.0.0/8(rw)\n\"/srv/a b\" *(ro) # c\n/srv/c\\040d host\n - x\n";
        let exported: Vec<PathBuf> = parse_exports(exports).collect();
        assert_eq!(exported, ["/srv/home", "/srv/a b", "/srv/c d"].map(PathBuf::from));
        let mounts = Mounts { exported, ..Mounts::parse(MOUNTINFO, FSTAB) };
        let vouches =
            |ancestor: &str, store: &str| mounts.vouches(Path::new(ancestor), None, Path::new(store));
        let of_server = "/srv/home/me/.cache/cpython";
        assert_eq!(vouches("/opt", of_server), Err(VolumeDoubt::OtherHost));
        assert_eq!(vouches("/srv/homes", of_server), Err(VolumeDoubt::OtherHost));
        assert_eq!(vouches("/srv/home/me/project", of_server), Ok(()));
        assert_eq!(vouches("/srv/home/me/project", "/root/store"), Ok(()));
    }

    #[test]
    fn clocks_of_the_network_may_differ() {
        let mounts = Mounts::parse(MOUNTINFO, FSTAB);
        let margin = |one: &str, other: &str| mounts.clock_margin(Path::new(one), Path::new(other));
        assert_eq!(margin("/opt", "/mnt/disk one/store"), 0);
        assert_eq!(margin("/home/net/project", "/store"), CLOCK_MARGIN);
        assert_eq!(margin("/opt", "/home/net/store"), CLOCK_MARGIN);
    }

    #[test]
    fn a_mount_point_that_is_missing_itself_is_awaited() {
        let fstab = b"/dev/sdb /srv/volumes/one ext4 noauto,x-systemd.automount 0 0\n";
        let mounts = Mounts::parse(MOUNTINFO, fstab);
        let vouches = |missing: &str| {
            let missing = Path::new(missing);
            mounts.vouches(missing.parent().unwrap(), Some(missing), Path::new("/store"))
        };
        for missing in ["/srv/volumes", "/srv/volumes/one", "/srv/volumes/one/project"] {
            assert_eq!(vouches(missing), Err(VolumeDoubt::Unmounted), "{missing}");
        }
        assert_eq!((vouches("/srv/volumes/two"), vouches("/srv/other")), (Ok(()), Ok(())));
    }

    #[test]
    fn an_expected_volume_that_is_mounted_vouches() {
        let mountinfo = [MOUNTINFO, b"27 22 8:3 / /data rw - ext4 /dev/sdc rw\n"].concat();
        let mounts = Mounts::parse(&mountinfo, FSTAB);
        assert_eq!(mounts.vouches(Path::new("/data/below"), None, Path::new("/store")), Ok(()));
    }
}
