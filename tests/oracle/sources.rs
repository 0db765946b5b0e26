//! Sources of every shape, and what becomes of them after they were compiled.

use crate::support::World;
use crate::support::random::Random;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Names of sources; `#` is the source's number, so that no two share a slot.
const NAMES: [&[u8]; 24] = [
    b"m#.py",
    b"m#.pyw",
    b"m#.hy",
    b"m#.PY",
    b"m#.",
    b".m#",
    b".m#.py",
    b"m#",
    b"a.m#.py",
    b"a.b.c.m#.py",
    b"m#.py.py",
    b"m# with a blank.py",
    b"m\n#.py",
    b"m\x1b[31m#.py",
    b"m\\'\"#.py",
    b"m\xc3\xa9#.py",
    b"m\xe2\x80\xae#.py",
    b"m\xff#.py",
    b"m\xff#.pyw",
    b"m#-pytest-1.py",
    b"m#.opt-1.py",
    b"m#.cpython-312.py",
    b"m#cpython-312",
    b"long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-#.py",
];

/// Sizes that matter: none, the smallest, around the portions in which a source is hashed.
const SIZES: [usize; 10] = [0, 1, 2, 7, 8, 100, 1000, 65_535, 65_536, 65_537];

/// Moments that matter, in seconds and nanoseconds: before 1970, after 2038 and 2106, fractions that a double rounds up.
const MOMENTS: [(i64, u32); 21] = [
    (0, 0),
    (1, 0),
    (-1, 0),
    (-1, 500_000_000),
    (-1, 999_999_999),
    (-5, 500_000_000),
    (-1_700_000_000, 1),
    (-1_700_000_000, 150),
    (1_700_000_000, 1),
    (1_700_000_000, 999_999_880),
    (1_700_000_000, 999_999_881),
    (1_700_000_000, 999_999_999),
    (i32::MAX as i64, 0),
    (i32::MAX as i64 + 1, 0),
    (u32::MAX as i64, 0),
    (u32::MAX as i64, 999_999_700),
    (u32::MAX as i64, 999_999_999),
    (u32::MAX as i64 + 1, 0),
    (u32::MAX as i64 + 6, 0),
    (5_000_000_000, 999_999_000),
    (8_000_000_000, 0),
];

/// A source and its history.
pub struct Source {
    /// Its path, spelled as it is compiled.
    pub path: PathBuf,
    /// The directory and the module's name, where `import` finds it.
    pub module: Option<(PathBuf, String)>,
    /// What is to become of it.
    pub fate: Fate,
    /// What an entry is called whose source is missing: `source` or `root`.
    pub gone: &'static str,
    mtime: (i64, u32),
}

/// What becomes of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Nothing.
    Untouched,
    /// Other bytes.
    Edited(Size, Mtime),
    /// No byte is left.
    Emptied(Mtime),
    /// Another mtime alone.
    Touched(Mtime),
    /// It grows by 4 GiB that occupy no room, at the same mtime: the header's fields do not tell.
    Grown,
    /// A directory takes its place, with its mtime.
    Directory,
    /// A link to nothing takes its place.
    Dangling,
    /// It moves, and a link to it takes its place.
    Linked(Mtime),
    /// It is removed.
    Removed,
    /// It is removed, and a text of the same stem lies beside.
    RemovedBesideStray,
    /// Its directory does not stay.
    DirectoryGoes,
}

/// A size after an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// As before.
    Same,
    /// Another one.
    Other,
}

/// An mtime after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mtime {
    /// As before.
    Kept,
    /// What the clock says.
    Now,
    /// So many seconds later.
    Later(i64),
    /// The same second, other nanoseconds.
    Nanoseconds(u32),
    /// This moment.
    At(i64, u32),
}

/// How a directory of sources ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Stays,
    Removed,
    ProjectRemoved,
    BecomesFile,
    LinkDies,
}

/// The sources of one world.
pub struct Forest {
    /// All of them.
    pub sources: Vec<Source>,
    directories: Vec<(PathBuf, End)>,
    home: PathBuf,
}

impl Forest {
    /// Plants so many sources in a world's home.
    pub fn plant(world: &World, count: usize, random: &mut Random) -> Forest {
        world.write("project/pyproject.toml", "[project]\nname = \"x\"\n");
        world.write("gone/pyproject.toml", "[project]\nname = \"y\"\n");
        let staying: [&[u8]; 7] = [
            b"project",
            b"project/pkg.d",
            b"project/a blank",
            b"project/\xc3\xbcn\xc3\xafcode",
            b"project/non\xffutf8",
            b"project/deep/er/and\ndeeper",
            b"project/link",
        ];
        let going: [(&[u8], End); 5] = [
            (b"project/going", End::Removed),
            (b"project/file", End::BecomesFile),
            (b"project/dying", End::LinkDies),
            (b"gone", End::ProjectRemoved),
            (b"gone/sub", End::ProjectRemoved),
        ];
        let mut directories: Vec<(PathBuf, End)> = Vec::new();
        for (name, end) in staying.map(|name| (name, End::Stays)).into_iter().chain(going) {
            let path = world.home.join(OsStr::from_bytes(name));
            match name {
                b"project/link" | b"project/dying" => {
                    let target = path.with_extension("target");
                    fs::create_dir_all(&target).unwrap();
                    symlink(&target, &path).unwrap();
                }
                _ => fs::create_dir_all(&path).unwrap(),
            }
            directories.push((path, end));
        }
        let mut fates = every_fate();
        let sources = (0..count)
            .map(|number| {
                let (directory, end) = match fates.last() {
                    Some(Fate::DirectoryGoes) => random.pick(&directories[staying.len()..]),
                    _ => random.pick(&directories[..staying.len()]),
                };
                let fate = fates.pop().unwrap_or_else(|| {
                    let mut all = every_fate();
                    all.retain(|fate| !matches!(fate, Fate::DirectoryGoes | Fate::Grown));
                    if random.one_in(2) { Fate::Untouched } else { random.pick(&all) }
                });
                let gone = if end == End::ProjectRemoved { "root" } else { "source" };
                Source::write(number, &directory, fate, gone, random)
            })
            .collect();
        Forest { sources, directories, home: world.home.clone() }
    }

    /// Lets every source meet its fate.
    pub fn age(&self, random: &mut Random) {
        let attic = self.home.join("attic");
        fs::create_dir_all(&attic).unwrap();
        for (number, source) in self.sources.iter().enumerate() {
            source.age(&attic.join(number.to_string()), random);
        }
        for (path, end) in &self.directories {
            match end {
                End::Stays => {}
                End::Removed => fs::remove_dir_all(path).unwrap(),
                End::ProjectRemoved if path.ends_with("sub") => {}
                End::ProjectRemoved => fs::remove_dir_all(path).unwrap(),
                End::BecomesFile => {
                    fs::remove_dir_all(path).unwrap();
                    // A text: anything else may be an archive.
                    fs::write(path, "moved\n").unwrap();
                }
                End::LinkDies => fs::remove_dir_all(fs::canonicalize(path).unwrap()).unwrap(),
            }
        }
    }
}

/// Every fate, the rarer ones several times; what is taken first stands last.
fn every_fate() -> Vec<Fate> {
    let mtimes = [
        Mtime::Kept,
        Mtime::Now,
        Mtime::Later(1),
        Mtime::Later(-1),
        Mtime::Later(1 << 32),
        Mtime::Nanoseconds(0),
        Mtime::Nanoseconds(999_999_880),
        Mtime::Nanoseconds(999_999_881),
    ];
    let mut fates = Vec::new();
    for mtime in mtimes {
        fates.extend([
            Fate::Edited(Size::Same, mtime),
            Fate::Edited(Size::Other, mtime),
            Fate::Emptied(mtime),
            Fate::Touched(mtime),
            Fate::Linked(mtime),
        ]);
    }
    fates.extend(MOMENTS.map(|(seconds, nanoseconds)| Fate::Touched(Mtime::At(seconds, nanoseconds))));
    for _ in 0..6 {
        fates.extend([
            Fate::Grown,
            Fate::Directory,
            Fate::Dangling,
            Fate::Removed,
            Fate::RemovedBesideStray,
            Fate::DirectoryGoes,
            Fate::DirectoryGoes,
        ]);
    }
    fates
}

impl Source {
    fn write(number: usize, directory: &Path, fate: Fate, gone: &'static str, random: &mut Random) -> Source {
        // A stray text beside needs a stem that it can share.
        let is_plain = random.one_in(2) || fate == Fate::RemovedBesideStray;
        let shape = if is_plain { NAMES[0] } else { random.pick(&NAMES) };
        let hash = shape.iter().position(|&byte| byte == b'#').unwrap();
        let name = [&shape[..hash], number.to_string().as_bytes(), &shape[hash + 1..]].concat();
        let path = directory.join(OsStr::from_bytes(&name));
        let size = if random.one_in(4) { random.below(300) } else { random.pick(&SIZES) };
        fs::write(&path, text(size, random)).unwrap();
        let mtime = if random.one_in(2) {
            random.pick(&MOMENTS)
        } else {
            (1_700_000_000, random.below(1 << 30) as u32 % 1_000_000_000)
        };
        set_mtime(&path, mtime);
        let module = (shape == NAMES[0]).then(|| (directory.to_path_buf(), format!("m{number}")));
        Source { path, module, fate, gone, mtime }
    }

    /// The suffix decides how the source is found again: only of `.py` does the slot know it.
    pub fn is_usual(&self) -> bool {
        let name = self.path.file_name().unwrap().as_bytes();
        name.ends_with(b".py") || !name.contains(&b'.')
    }

    fn age(&self, attic: &Path, random: &mut Random) {
        let path = &self.path;
        match self.fate {
            Fate::Untouched | Fate::DirectoryGoes => {}
            Fate::Edited(size, mtime) => {
                fs::write(path, edited(&fs::read(path).unwrap(), size, random)).unwrap();
                self.settle(mtime);
            }
            Fate::Emptied(mtime) => {
                fs::write(path, "").unwrap();
                self.settle(mtime);
            }
            Fate::Touched(mtime) => self.settle(mtime),
            Fate::Grown => {
                let file = File::options().write(true).open(path).unwrap();
                file.set_len(file.metadata().unwrap().len() + (1 << 32)).unwrap();
                self.settle(Mtime::Kept);
            }
            Fate::Directory => {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
                self.settle(Mtime::Kept);
            }
            Fate::Dangling => {
                fs::remove_file(path).unwrap();
                symlink(attic, path).unwrap();
            }
            Fate::Linked(mtime) => {
                fs::rename(path, attic).unwrap();
                symlink(attic, path).unwrap();
                self.settle(mtime);
            }
            Fate::Removed => fs::remove_file(path).unwrap(),
            Fate::RemovedBesideStray => {
                fs::remove_file(path).unwrap();
                fs::write(path.with_extension("txt"), "no source").unwrap();
            }
        }
    }

    fn settle(&self, mtime: Mtime) {
        let (seconds, nanoseconds) = self.mtime;
        match mtime {
            Mtime::Kept => set_mtime(&self.path, self.mtime),
            Mtime::Now => File::open(&self.path).unwrap().set_modified(SystemTime::now()).unwrap(),
            Mtime::Later(by) => set_mtime(&self.path, (seconds + by, nanoseconds)),
            Mtime::Nanoseconds(other) => set_mtime(&self.path, (seconds, other)),
            Mtime::At(seconds, nanoseconds) => set_mtime(&self.path, (seconds, nanoseconds)),
        }
    }
}

/// Sets an mtime; a file system that does not reach that far takes its own nearest.
fn set_mtime(path: &Path, (seconds, nanoseconds): (i64, u32)) {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let moment = if seconds < 0 { UNIX_EPOCH - whole } else { UNIX_EPOCH + whole };
    File::open(path).unwrap().set_modified(moment + Duration::from_nanos(u64::from(nanoseconds))).unwrap();
}

/// Python of exactly this many bytes: comments.
fn text(size: usize, random: &mut Random) -> Vec<u8> {
    (0..size)
        .map(|at| match at % 80 {
            _ if at == size - 1 => b'\n',
            79 => b'\n',
            0 => b'#',
            _ => b'a' + random.below(26) as u8,
        })
        .collect()
}

/// Other Python than before.
fn edited(text: &[u8], size: Size, random: &mut Random) -> Vec<u8> {
    let mut edited = text.to_vec();
    let letters: Vec<usize> = (0..text.len()).filter(|&at| text[at].is_ascii_lowercase()).collect();
    match size {
        Size::Same if !letters.is_empty() => edited[random.pick(&letters)] = b'Z',
        // Without a letter there is nothing to change but a line feed.
        Size::Same if !text.is_empty() => *edited.last_mut().unwrap() = b' ',
        Size::Same | Size::Other => edited.extend(b"# more\n"),
    }
    edited
}
