//! The floor: the fewest system calls that answer a question about a whole store, spread over threads, and nothing
//! else. No decoding of names, no grouping, no output but sums: what a program that does more can be held against.
//!
//! | question | each directory | each entry | its source |
//! |---|---|---|---|
//! | `orphans` | open, list | stat | stat, in its directory opened once |
//! | `du` | open, list | open, stat, read 16 bytes, close | the same |
//!
//! It knows the synthetic store: every file is an entry `stem.tag.pyc` with a timestamp header. It runs as a
//! process of its own (`--floor QUESTION STORE THREADS`), so that it pays for its start and its threads like any
//! other program.

use anyhow::{Context, bail};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir};
use std::ffi::{CStr, CString, OsString};
use std::mem::MaybeUninit;
use std::ops::AddAssign;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What the floor is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Which sources are gone: no header is read.
    Orphans,
    /// What `du` knows: every header, every source.
    Du,
}

impl Question {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Question::Orphans => "orphans",
            Question::Du => "du",
        }
    }
}

/// What it found. Under [`Question::Orphans`] nothing is stale: all whose source is there are fresh.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// Directories, the root included.
    pub directories: u64,
    /// Files.
    pub files: u64,
    /// Their lengths.
    pub bytes: u64,
    /// Entries that match their source.
    pub fresh: u64,
    /// Entries that do not.
    pub stale: u64,
    /// Entries without source.
    pub orphans: u64,
}

impl AddAssign for Sums {
    fn add_assign(&mut self, other: Sums) {
        self.directories += other.directories;
        self.files += other.files;
        self.bytes += other.bytes;
        self.fresh += other.fresh;
        self.stale += other.stale;
        self.orphans += other.orphans;
    }
}

impl Sums {
    /// Writes them as one line.
    pub fn line(&self) -> String {
        let Sums { directories, files, bytes, fresh, stale, orphans } = self;
        format!("{directories} {files} {bytes} {fresh} {stale} {orphans}")
    }

    /// Reads [`Sums::line`].
    ///
    /// # Errors
    /// Where it is something else.
    pub fn parse(line: &str) -> anyhow::Result<Sums> {
        let numbers: Vec<u64> = line
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()
            .context("not the floor's sums")?;
        let [directories, files, bytes, fresh, stale, orphans] = numbers[..] else {
            bail!("not the floor's sums: {line}")
        };
        Ok(Sums { directories, files, bytes, fresh, stale, orphans })
    }
}

/// Runs as the floor: the arguments are those after `--floor`.
///
/// # Errors
/// Where they are not `QUESTION STORE THREADS`, or where there is no store.
pub fn main(mut arguments: impl Iterator<Item = OsString>) -> anyhow::Result<()> {
    let (Some(question), Some(store), Some(threads)) = (arguments.next(), arguments.next(), arguments.next())
    else {
        bail!("usage: --floor orphans|du STORE THREADS");
    };
    let question = match question.to_str() {
        Some("orphans") => Question::Orphans,
        Some("du") => Question::Du,
        _ => bail!("not a question: {}", question.display()),
    };
    let threads = threads.to_str().and_then(|text| text.parse().ok()).context("not a number of threads")?;
    println!("{}", run(question, Path::new(&store), threads)?.line());
    Ok(())
}

/// Directories still to do, by their whole paths; how many threads may find more, and how many wait for one.
struct Stack {
    paths: Vec<CString>,
    busy: usize,
    waiting: usize,
}

struct Floor {
    question: Question,
    /// How many bytes of a path in the store are the store's own.
    prefix: usize,
    stack: Mutex<Stack>,
    wake: Condvar,
}

fn run(question: Question, store: &Path, threads: usize) -> anyhow::Result<Sums> {
    let root = store.as_os_str().as_bytes();
    let floor = Floor {
        question,
        prefix: root.len(),
        stack: Mutex::new(Stack { paths: vec![CString::new(root)?], busy: 0, waiting: 0 }),
        wake: Condvar::new(),
    };
    let mut sums = Sums::default();
    std::thread::scope(|scope| -> anyhow::Result<()> {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| floor.work())).collect();
        for worker in workers {
            sums += worker.join().map_err(|_| anyhow::anyhow!("a thread of the floor panicked"))??;
        }
        Ok(())
    })?;
    Ok(sums)
}

impl Floor {
    fn lock(&self) -> MutexGuard<'_, Stack> {
        self.stack.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<CString> {
        let mut stack = self.lock();
        loop {
            if let Some(path) = stack.paths.pop() {
                stack.busy += 1;
                return Some(path);
            }
            if stack.busy == 0 {
                self.wake.notify_all();
                return None;
            }
            stack.waiting += 1;
            stack = self.wake.wait(stack).unwrap_or_else(PoisonError::into_inner);
            stack.waiting -= 1;
        }
    }

    fn push(&self, path: CString) {
        let mut stack = self.lock();
        stack.paths.push(path);
        // To wake nobody is a system call as well.
        if stack.waiting > 0 {
            self.wake.notify_one();
        }
    }

    fn done(&self) {
        let mut stack = self.lock();
        stack.busy -= 1;
        if stack.busy == 0 && stack.paths.is_empty() {
            self.wake.notify_all();
        }
    }

    fn work(&self) -> anyhow::Result<Sums> {
        let mut buffer = vec![MaybeUninit::uninit(); 64 << 10];
        let mut source_name = Vec::new();
        let mut sums = Sums::default();
        while let Some(path) = self.take() {
            let answer = self.directory(&path, &mut buffer, &mut source_name, &mut sums);
            // The others must not wait for one that failed.
            self.done();
            answer?;
        }
        Ok(sums)
    }

    fn directory(
        &self,
        path: &CStr,
        buffer: &mut [MaybeUninit<u8>],
        source_name: &mut Vec<u8>,
        sums: &mut Sums,
    ) -> anyhow::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let directory = rustix::fs::open(path, flags, Mode::empty())?;
        sums.directories += 1;
        // Opened for the first entry; `Some(None)` when it is not there.
        let mut sources: Option<Option<OwnedFd>> = None;
        let mut listing = RawDir::new(&directory, buffer);
        while let Some(entry) = listing.next() {
            let entry = entry?;
            let name = entry.file_name();
            match entry.file_type() {
                FileType::Directory if !matches!(name.to_bytes(), b"." | b"..") => {
                    let below = [path.to_bytes(), b"/", name.to_bytes_with_nul()].concat();
                    self.push(CString::from_vec_with_nul(below)?);
                }
                FileType::RegularFile => {
                    sums.files += 1;
                    let sources = sources.get_or_insert_with(|| {
                        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                        rustix::fs::open(&path[self.prefix..], flags, Mode::empty()).ok()
                    });
                    self.entry(&directory, name, sources.as_ref(), source_name, sums)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn entry(
        &self,
        directory: &OwnedFd,
        name: &CStr,
        sources: Option<&OwnedFd>,
        source_name: &mut Vec<u8>,
        sums: &mut Sums,
    ) -> anyhow::Result<()> {
        let mut header = [0_u8; 16];
        let length = match self.question {
            Question::Du => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOATIME;
                let file = rustix::fs::openat(directory, name, flags, Mode::empty())?;
                let length = rustix::fs::fstat(&file)?.st_size;
                rustix::io::read(&file, &mut header)?;
                length
            }
            Question::Orphans => rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?.st_size,
        };
        sums.bytes += length.cast_unsigned();
        let Some(sources) = sources else {
            sums.orphans += 1;
            return Ok(());
        };
        let name = name.to_bytes();
        let stem = name.iter().position(|&byte| byte == b'.').unwrap_or(name.len());
        source_name.clear();
        source_name.extend_from_slice(&name[..stem]);
        source_name.extend_from_slice(b".py\0");
        let source_name = CStr::from_bytes_with_nul(source_name)?;
        let number = |at: usize| {
            i64::from(u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]))
        };
        match rustix::fs::statat(sources, source_name, AtFlags::empty()) {
            Err(_) => sums.orphans += 1,
            Ok(source) => match self.question {
                Question::Du if source.st_mtime != number(8) || source.st_size != number(12) => {
                    sums.stale += 1
                }
                Question::Du | Question::Orphans => sums.fresh += 1,
            },
        }
        Ok(())
    }
}
