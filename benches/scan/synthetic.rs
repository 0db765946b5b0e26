//! A large store that nobody else uses, with known truth: `DIR/src` has the sources, `DIR/store` their mirror.
//!
//! Unless another [`Shape`] is asked for, it is made of projects of 3000 modules, each with an environment whose
//! directories hold twelve modules (the mean of a real `site-packages`). Every fifth project is gone as a whole; of the
//! others' entries every tenth is stale. Kept from run to run, for building it is most of the work.
//!
//! # Invariants
//!
//! * The manifest is there only while the tree is as it says: it is the last thing written, and renamed away before
//!   anything is deleted.
//! * Nothing is removed from a directory that has no manifest of ours.

use anyhow::{Context, bail, ensure};
use std::fs::{self, File, FileTimes};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

const DIRECTORIES_IN_PACKAGE: u64 = 8;

/// The length of a header, in bytes.
const HEADER: u64 = 16;
/// The smallest body: [`body`] without instructions that do nothing.
pub const SMALLEST_BODY: u64 = 64;

/// How a store is made.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Entries in all.
    pub entries: u64,
    /// The length of each entry's body in bytes, an even number.
    pub body: u64,
    /// Projects that they are divided among.
    pub projects: u64,
    /// Modules in a directory.
    pub modules_in_directory: u64,
    /// How the directories of a project lie.
    pub nesting: Nesting,
}

/// How the directories of a project lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nesting {
    /// Eight to a package, as in a `site-packages`.
    Packages,
    /// Each in the one before.
    Chain,
}

impl Shape {
    fn modules_in_project(&self) -> u64 {
        self.entries.div_ceil(self.projects)
    }

    /// What an entry takes, in bytes.
    fn entry_bytes(&self) -> u64 {
        HEADER + self.body
    }
}

const MANIFEST: &str = "manifest";
/// The manifest while the mirrors of the gone projects may be incomplete.
const MANIFEST_WITHOUT_ORPHANS: &str = "manifest-without-orphans";
/// The manifest while everything may be incomplete.
const MANIFEST_UNFINISHED: &str = "manifest-unfinished";

/// What is true of a synthetic store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Truth {
    /// The length of each entry.
    pub entry_bytes: u64,
    /// Entries that Python would load.
    pub fresh: u64,
    /// Entries whose source has another mtime.
    pub stale: u64,
    /// Entries of projects that are gone.
    pub orphans: u64,
    /// Directories of the store, its root included.
    pub directories: u64,
    /// Directories of the store that have nothing but orphans in or below them.
    pub orphan_directories: u64,
}

impl Truth {
    /// All entries.
    pub fn entries(&self) -> u64 {
        self.fresh + self.stale + self.orphans
    }
}

/// Whether a project's sources are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Alive,
    Gone,
}

/// One of the projects: a range of all the store's modules.
#[derive(Debug, Clone, Copy)]
struct Project {
    number: u64,
    first: u64,
    modules: u64,
    shape: Shape,
}

impl Project {
    fn life(&self) -> Life {
        if self.number % 5 == 4 { Life::Gone } else { Life::Alive }
    }

    fn is_stale(&self, module: u64) -> bool {
        self.life() == Life::Alive && module.is_multiple_of(10)
    }

    fn directories(&self) -> u64 {
        self.modules.div_ceil(self.shape.modules_in_directory)
    }

    /// Its place below the directory of sources.
    fn place(&self) -> String {
        format!("home/u/proj{:04}", self.number)
    }

    /// The place of one of its directories of modules, below its own.
    fn directory(&self, number: u64) -> String {
        if self.shape.nesting == Nesting::Chain {
            return vec!["d"; number as usize + 1].join("/");
        }
        let (package, sub) = (number / DIRECTORIES_IN_PACKAGE, number % DIRECTORIES_IN_PACKAGE);
        format!(".venv/lib/python3.12/site-packages/pkg{package:03}/sub{sub}")
    }

    /// How many directories its mirror is made of, itself included.
    fn mirror_directories(&self) -> u64 {
        const ABOVE_PACKAGES: u64 = 5; // projNNNN, .venv, lib, python3.12, site-packages
        if self.shape.nesting == Nesting::Chain {
            return 1 + self.directories();
        }
        ABOVE_PACKAGES + self.directories().div_ceil(DIRECTORIES_IN_PACKAGE) + self.directories()
    }
}

/// A synthetic store on disk.
#[derive(Debug)]
pub struct Synthetic {
    directory: PathBuf,
    shape: Shape,
    /// What is true of it.
    pub truth: Truth,
}

impl Synthetic {
    /// The store in `directory`, built there unless it is there already.
    ///
    /// # Errors
    /// Where it cannot be built, or where something else is in its place.
    pub fn prepare(directory: &Path, shape: Shape) -> anyhow::Result<Synthetic> {
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        // The mirror is that of a path without links.
        let directory = directory.canonicalize()?;
        let mut synthetic = Synthetic { directory, shape, truth: Truth::default() };
        synthetic.truth = synthetic.count();
        let manifest = synthetic.manifest();
        let is =
            |name: &str| fs::read_to_string(synthetic.directory.join(name)).is_ok_and(|it| it == manifest);
        if is(MANIFEST) {
            eprintln!("using the store in {}", synthetic.directory.display());
        } else if is(MANIFEST_WITHOUT_ORPHANS) {
            synthetic.restore_orphans()?;
        } else {
            clean(&synthetic.directory)?;
            fs::create_dir_all(&synthetic.directory)?;
            let is_empty = fs::read_dir(&synthetic.directory)?.next().is_none();
            ensure!(is_empty, "{} has something else in it", synthetic.directory.display());
            synthetic.check_room()?;
            eprintln!("building {} entries in {}", shape.entries, synthetic.directory.display());
            fs::write(synthetic.directory.join(MANIFEST_UNFINISHED), &manifest)?;
            fs::create_dir(synthetic.home())?;
            synthetic.build(synthetic.projects().collect())?;
            fs::rename(synthetic.directory.join(MANIFEST_UNFINISHED), synthetic.directory.join(MANIFEST))?;
        }
        Ok(synthetic)
    }

    /// The store's root.
    pub fn store(&self) -> PathBuf {
        self.directory.join("store")
    }

    /// A home for the program: nothing of the real one is read or written.
    pub fn home(&self) -> PathBuf {
        self.directory.join("home")
    }

    /// An entry that Python would load.
    pub fn fresh_entry(&self) -> anyhow::Result<PathBuf> {
        let alive = self.projects().find(|project| project.life() == Life::Alive).context("no project")?;
        let module = (0..alive.modules).find(|place| !alive.is_stale(alive.first + place)).context("none")?;
        let in_directory = self.shape.modules_in_directory;
        let directory = alive.directory(module / in_directory);
        Ok(self.mirror(&alive).join(directory).join(entry_name(module % in_directory)))
    }

    /// The mirrors of the projects that are gone.
    pub fn orphan_directories(&self) -> Vec<PathBuf> {
        self.gone().map(|project| self.mirror(&project)).collect()
    }

    /// Says on disk that orphans are about to be deleted.
    pub fn begin_deleting(&self) -> io::Result<()> {
        fs::rename(self.directory.join(MANIFEST), self.directory.join(MANIFEST_WITHOUT_ORPHANS))
    }

    /// Makes the mirrors of the gone projects again, if they were deleted.
    ///
    /// # Errors
    /// Where they cannot be made.
    pub fn restore_orphans(&self) -> anyhow::Result<()> {
        let without = self.directory.join(MANIFEST_WITHOUT_ORPHANS);
        if without.exists() {
            eprintln!("building {} orphans", self.truth.orphans);
            self.build(self.gone().collect())?;
            fs::rename(without, self.directory.join(MANIFEST))?;
        }
        Ok(())
    }

    fn projects(&self) -> impl Iterator<Item = Project> {
        let (shape, in_project) = (self.shape, self.shape.modules_in_project());
        (0..shape.entries.div_ceil(in_project)).map(move |number| {
            let first = number * in_project;
            Project { number, first, modules: in_project.min(shape.entries - first), shape }
        })
    }

    fn gone(&self) -> impl Iterator<Item = Project> {
        self.projects().filter(|project| project.life() == Life::Gone)
    }

    fn sources(&self, project: &Project) -> PathBuf {
        self.directory.join("src").join(project.place())
    }

    fn mirror(&self, project: &Project) -> PathBuf {
        let sources = self.sources(project);
        self.store().join(sources.strip_prefix("/").unwrap_or(&sources))
    }

    fn count(&self) -> Truth {
        // Those above the projects: the root itself, DIR's own components, `src/home/u`.
        let above = self.directory.components().count() + "src/home/u".split('/').count();
        let entry_bytes = self.shape.entry_bytes();
        let mut truth = Truth { entry_bytes, directories: above as u64, ..Truth::default() };
        for project in self.projects() {
            truth.directories += project.mirror_directories();
            let stale = (project.first..project.first + project.modules)
                .filter(|module| project.is_stale(*module))
                .count() as u64;
            match project.life() {
                Life::Alive => {
                    truth.stale += stale;
                    truth.fresh += project.modules - stale;
                }
                Life::Gone => {
                    truth.orphans += project.modules;
                    truth.orphan_directories += project.mirror_directories();
                }
            }
        }
        truth
    }

    fn manifest(&self) -> String {
        format!("pycstore synthetic store, version 3\n{}\n{:?}\n", self.directory.display(), self.shape)
    }

    /// Whether the file system has room; a full one would be noticed late.
    fn check_room(&self) -> anyhow::Result<()> {
        let room = rustix::fs::statvfs(&self.directory)?;
        let blocks = |bytes: u64| bytes.div_ceil(room.f_frsize) * room.f_frsize;
        let sources = self.truth.fresh + self.truth.stale;
        // Each directory of modules is there twice.
        let directories = 2 * self.truth.directories;
        // Less where the file system keeps small files in their inodes.
        let bytes = match self.shape.entry_bytes() {
            small if small <= 128 => directories * blocks(1),
            bytes => self.shape.entries * blocks(bytes) + (sources + directories) * blocks(100),
        };
        let files = self.shape.entries + sources + 2 * self.truth.directories;
        ensure!(
            room.f_bavail * room.f_frsize > bytes,
            "{} has no room for {} MiB",
            self.directory.display(),
            bytes >> 20
        );
        // Some file systems have no fixed number and say zero.
        if room.f_files > 0 {
            ensure!(room.f_favail > files, "{} has no room for {files} files", self.directory.display());
        }
        Ok(())
    }

    fn build(&self, projects: Vec<Project>) -> anyhow::Result<()> {
        let next = AtomicU64::new(0);
        // Making files waits for the disk now and then.
        let threads = 2 * std::thread::available_parallelism().map_or(2, usize::from);
        std::thread::scope(|scope| {
            let builder = || -> anyhow::Result<()> {
                let take = || projects.get(next.fetch_add(1, Ordering::Relaxed) as usize);
                while let Some(project) = take() {
                    self.build_project(project)
                        .with_context(|| format!("cannot build {}", self.mirror(project).display()))?;
                }
                Ok(())
            };
            let builders: Vec<_> = (0..threads).map(|_| scope.spawn(builder)).collect();
            builders
                .into_iter()
                .try_for_each(|builder| builder.join().unwrap_or_else(|_| bail!("a builder panicked")))
        })
    }

    fn build_project(&self, project: &Project) -> io::Result<()> {
        let (sources, mirror) = (self.sources(project), self.mirror(project));
        if project.life() == Life::Alive {
            fs::create_dir_all(&sources)?;
            fs::write(sources.join("pyproject.toml"), "")?;
        }
        // CPython 3.12's magic, no flags, then room for the source's mtime and size.
        let header = [&3531_u16.to_le_bytes()[..], b"\r\n", &[0; 12]].concat();
        let mut entry = [header, body(self.shape.body as usize)].concat();
        let in_directory = self.shape.modules_in_directory;
        for number in 0..project.directories() {
            let directory = project.directory(number);
            let (sources, mirror) = (sources.join(&directory), mirror.join(&directory));
            fs::create_dir_all(&mirror)?;
            if project.life() == Life::Alive {
                fs::create_dir_all(&sources)?;
            }
            let first = number * in_directory;
            for place in first..project.modules.min(first + in_directory) {
                let (index, module) = (place - first, project.first + place);
                // Below 2³² for every number of entries that a disk can hold.
                let (mtime, size) = ((1_700_000_000 + module) as u32, (40 + module % 50) as u32);
                let after = |seconds: u64| {
                    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(mtime) + seconds);
                    FileTimes::new().set_modified(time).set_accessed(time)
                };
                if project.life() == Life::Alive {
                    let mut source = File::create(sources.join(format!("mod_{index}.py")))?;
                    source.write_all(&b"#".repeat(size as usize))?;
                    source.set_times(after(if project.is_stale(module) { 5 } else { 0 }))?;
                }
                entry[8..12].copy_from_slice(&mtime.to_le_bytes());
                entry[12..16].copy_from_slice(&size.to_le_bytes());
                let mut file = File::create(mirror.join(entry_name(index)))?;
                file.write_all(&entry)?;
                // Before any directory of sources was last changed: what is missing there was deleted since.
                file.set_times(after(60))?;
            }
        }
        Ok(())
    }
}

/// The code object of an empty module, marshalled by CPython 3.12, and as many `NOP` as make it so long.
fn body(length: usize) -> Vec<u8> {
    // argcount, posonlyargcount, kwonlyargcount, stacksize, flags
    let numbers = [0_u32, 0, 0, 1, 0].map(u32::to_le_bytes).concat();
    let nops = [9, 0].repeat((length - SMALLEST_BODY as usize) / 2);
    let code = [&[151, 0][..], &nops, &[100, 0, 83, 0]].concat();
    let size = (code.len() as u32).to_le_bytes();
    // consts (None,), names (), localsplusnames () and their kinds b"", filename, name and qualname "", firstlineno,
    // linetable b"", exceptiontable b""
    let rest = b")\x01N)\0)\0s\0\0\0\0z\0z\0z\0\x01\0\0\0s\0\0\0\0s\0\0\0\0";
    [&b"\xe3"[..], &numbers, b"s", &size, &code, rest].concat()
}

fn entry_name(index: u64) -> String {
    format!("mod_{index}.cpython-312.pyc")
}

/// Removes what [`Synthetic::prepare`] built in `directory`, and the directory if nothing else is in it.
///
/// # Errors
/// Where it cannot be removed. A directory without manifest is left as it is.
pub fn clean(directory: &Path) -> anyhow::Result<()> {
    let manifests = [MANIFEST, MANIFEST_WITHOUT_ORPHANS, MANIFEST_UNFINISHED];
    let found: Vec<PathBuf> =
        manifests.iter().map(|name| directory.join(name)).filter(|path| path.exists()).collect();
    let Some(first) = found.first() else { return Ok(()) };
    eprintln!("removing the store in {}", directory.display());
    // Until the end there is a manifest: what is interrupted can be taken up again.
    let unfinished = directory.join(MANIFEST_UNFINISHED);
    fs::rename(first, &unfinished)?;
    for name in ["store", "src", "home", "bodies", "stdout", "stderr"] {
        let path = directory.join(name);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", path.display()));
            }
            _ => {}
        }
    }
    for manifest in found.iter().skip(1) {
        fs::remove_file(manifest).ok();
    }
    fs::remove_file(unfinished)?;
    // Somebody else's file in it keeps it.
    fs::remove_dir(directory).ok();
    Ok(())
}
