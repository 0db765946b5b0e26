//! A file system of a server of ours (FUSE) that shows a directory: its calls can fail or hang from a chosen one on, and its clock
//! can be wrong. Read, unlink and rmdir, no more: what a prune needs.

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry,
    ReplyOpen, Request, SessionACL,
};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, SystemTime};

/// Reading leaves the time of the last use alone, as on a server that keeps none.
const O_NOATIME: i32 = 0o1_000_000;

/// What the server does from a chosen call on.
#[derive(Debug, Clone, Copy)]
pub enum Outage {
    /// It answers every call with this error.
    Error(i32),
    /// It does not answer.
    Hang,
}

#[derive(Debug, Default)]
struct State {
    /// The call that begins the outage, `None` for any; how many of them are still answered; what begins.
    planned: Option<(Option<&'static str>, u64, Outage)>,
    outage: Option<Outage>,
    /// Seconds added to every stamp.
    clock: i64,
    paths: HashMap<u64, PathBuf>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    answers: Condvar,
}

/// A directory under its mount point. Dropped, it answers again and is unmounted.
#[derive(Debug)]
pub struct Served {
    point: PathBuf,
    shared: Arc<Shared>,
    session: Option<BackgroundSession>,
}

impl Served {
    /// Moves the directory at `point` to `backing` and serves it from there.
    pub fn instead_of(point: &Path, backing: &Path) -> Served {
        fs::rename(point, backing).unwrap();
        fs::create_dir(point).unwrap();
        Served::at(point, backing)
    }

    /// Serves a directory at a mount point.
    pub fn at(point: &Path, backing: &Path) -> Served {
        let shared = Arc::new(Shared::default());
        shared.state.lock().unwrap().paths.insert(1, backing.to_path_buf());
        let mut config = Config::default();
        config.mount_options =
            vec![MountOption::FSName("server".into()), MountOption::Subtype("served".into())];
        // Another user's process uses it, too.
        config.acl = SessionACL::All;
        let session = fuser::spawn_mount(Server(shared.clone()), point, &config).unwrap();
        Served { point: point.to_path_buf(), shared, session: Some(session) }
    }

    /// From the call after `answered` calls of this name on (of any, for `None`), there is an outage.
    pub fn breaks(&self, call: Option<&'static str>, answered: u64, outage: Outage) {
        let mut state = self.shared.state.lock().unwrap();
        (state.planned, state.outage) = (Some((call, answered, outage)), None);
    }

    /// Ends an outage, or the plan of one.
    pub fn works(&self) {
        let mut state = self.shared.state.lock().unwrap();
        (state.planned, state.outage) = (None, None);
        self.shared.answers.notify_all();
    }

    /// Whether the outage has begun.
    pub fn is_broken(&self) -> bool {
        self.shared.state.lock().unwrap().outage.is_some()
    }

    /// Puts the server's clock so many seconds ahead.
    pub fn set_clock(&self, seconds: i64) {
        self.shared.state.lock().unwrap().clock = seconds;
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.works();
        let _ = rustix::mount::unmount(&self.point, rustix::mount::UnmountFlags::DETACH);
        drop(self.session.take());
    }
}

struct Server(Arc<Shared>);

impl Server {
    /// Begins a call; returns the error that it ends with. Waits while there is no answer.
    fn begin(&self, call: &'static str) -> Result<(), Errno> {
        let mut state = self.0.state.lock().unwrap();
        if let Some((wanted, answered, outage)) = state.planned
            && wanted.is_none_or(|wanted| wanted == call)
        {
            match answered.checked_sub(1) {
                Some(rest) => state.planned = Some((wanted, rest, outage)),
                None => (state.planned, state.outage) = (None, Some(outage)),
            }
        }
        while let Some(Outage::Hang) = state.outage {
            state = self.0.answers.wait(state).unwrap();
        }
        match state.outage {
            Some(Outage::Error(code)) => Err(Errno::from_i32(code)),
            _ => Ok(()),
        }
    }

    fn path(&self, inode: INodeNo) -> Result<PathBuf, Errno> {
        self.0.state.lock().unwrap().paths.get(&u64::from(inode)).cloned().ok_or(Errno::ESTALE)
    }

    fn attributes(&self, path: PathBuf, inode: Option<INodeNo>) -> Result<FileAttr, Errno> {
        let metadata = fs::symlink_metadata(&path)?;
        let mut state = self.0.state.lock().unwrap();
        let inode = inode.unwrap_or(INodeNo(metadata.ino()));
        state.paths.insert(u64::from(inode), path);
        Ok(attributes(&metadata, inode, state.clock))
    }
}

fn attributes(metadata: &Metadata, ino: INodeNo, clock: i64) -> FileAttr {
    let stamp = |seconds: i64, nanoseconds: i64| {
        let since = Duration::new((seconds + clock).try_into().unwrap(), nanoseconds.try_into().unwrap());
        SystemTime::UNIX_EPOCH + since
    };
    FileAttr {
        ino,
        size: metadata.len(),
        blocks: metadata.blocks(),
        atime: stamp(metadata.atime(), metadata.atime_nsec()),
        mtime: stamp(metadata.mtime(), metadata.mtime_nsec()),
        ctime: stamp(metadata.ctime(), metadata.ctime_nsec()),
        crtime: SystemTime::UNIX_EPOCH,
        kind: FileType::from_std(metadata.file_type()).unwrap(),
        perm: (metadata.mode() & 0o7777) as u16,
        nlink: metadata.nlink() as u32,
        uid: metadata.uid(),
        gid: metadata.gid(),
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

impl Filesystem for Server {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.begin("lookup").and_then(|()| self.attributes(self.path(parent)?.join(name), None));
        match found {
            Ok(attributes) => reply.entry(&Duration::ZERO, &attributes, Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.begin("getattr").and_then(|()| self.attributes(self.path(inode)?, Some(inode))) {
            Ok(attributes) => reply.attr(&Duration::ZERO, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.begin("open") {
            Ok(()) => reply.opened(FileHandle(0), FopenFlags::empty()),
            Err(error) => reply.error(error),
        }
    }

    fn opendir(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.begin("opendir") {
            Ok(()) => reply.opened(FileHandle(0), FopenFlags::empty()),
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut content = vec![0; size as usize];
        let read = self.begin("read").and_then(|()| {
            let file = File::options().read(true).custom_flags(O_NOATIME).open(self.path(inode)?)?;
            Ok(file.read_at(&mut content, offset)?)
        });
        match read {
            Ok(length) => reply.data(&content[..length]),
            Err(error) => reply.error(error),
        }
    }

    fn readdir(&self, _: &Request, inode: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let names = self.begin("readdir").and_then(|()| {
            let mut names: Vec<_> = fs::read_dir(self.path(inode)?)?.collect::<io::Result<_>>()?;
            names.sort_by_key(|entry| entry.file_name());
            Ok(names)
        });
        match names {
            Ok(names) => {
                for (index, entry) in names.iter().enumerate().skip(offset as usize) {
                    let metadata = entry.metadata().unwrap();
                    let kind = FileType::from_std(metadata.file_type()).unwrap();
                    if reply.add(INodeNo(metadata.ino()), index as u64 + 1, kind, entry.file_name()) {
                        break;
                    }
                }
                reply.ok();
            }
            Err(error) => reply.error(error),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let removed = self.begin("unlink").and_then(|()| Ok(fs::remove_file(self.path(parent)?.join(name))?));
        match removed {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let removed = self.begin("rmdir").and_then(|()| Ok(fs::remove_dir(self.path(parent)?.join(name))?));
        match removed {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
    }
}
