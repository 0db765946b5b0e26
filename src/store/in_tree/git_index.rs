//! The index of a git repository: which bytecode it tracks. The format is that of gitformat-index(5), versions 2 to 4.
//!
//! It is read here and not by git: in somebody else's repository git runs what its configuration names
//! (`core.fsmonitor`), and root sweeps other people's trees. A library that reads indexes (gix-index) brings in some seventy crates.
//! The index comes from whoever wrote the repository: it is read as a stream, and only names of bytecode are kept, up to
//! a limit.
//!
//! # Invariants
//!
//! * An index that does not end with its file, or has anything unexpected in it, is an error: what it tracks is unknown.

use std::collections::HashSet;
use std::io::{self, BufRead, Read};

/// The length of an object's name in bytes: SHA-1, or SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObjectName {
    Sha1 = 20,
    Sha256 = 32,
}

impl ObjectName {
    fn bytes(self) -> usize {
        self as usize
    }
}

/// What an index says of bytecode.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct GitIndex {
    /// The paths of bytecode, from the root of the work tree.
    pub(crate) files: HashSet<Box<[u8]>>,
    /// Directories of which only the directory is listed (sparse index): whatever is in them may be tracked.
    pub(crate) directories: HashSet<Box<[u8]>>,
    /// The name of the object with the rest of the index (split index); empty where it is all here.
    pub(crate) shared: Vec<u8>,
}

/// More bytes of names than this are not kept: no work tree has so much bytecode.
const MOST_NAMES: usize = 64 << 20;

/// The longest path that an index may have, with its NUL. `PATH_MAX` is less.
pub(crate) const LONGEST_NAME: u64 = 1 << 16;

impl GitIndex {
    /// Reads an index of this length in bytes.
    ///
    /// # Errors
    /// What reading answers; `InvalidData` where it is no index, or one that this reader does not understand.
    pub(crate) fn read(file: impl BufRead, length: u64, name: ObjectName) -> io::Result<GitIndex> {
        let mut reader = IndexReader { file, left: length, object: name.bytes() };
        let mut index = GitIndex::default();
        let header: [u8; 12] = reader.array()?;
        let [version, entries] = [&header[4..8], &header[8..]].map(number);
        if !header.starts_with(b"DIRC") || !(2..=4).contains(&version) {
            return Err(invalid("not an index of a version that is known"));
        }
        let (mut path, mut kept) = (EntryPath::default(), 0);
        for _ in 0..entries {
            let mode = reader.entry(version, &mut path)?;
            let kind = match mode >> 12 {
                DIRECTORY => &mut index.directories,
                _ if path.suffix.is_some() => &mut index.files,
                _ => continue,
            };
            kept += path.bytes.len();
            if kept > MOST_NAMES {
                return Err(invalid("more bytecode than any work tree has"));
            }
            kind.insert(path.bytes.as_slice().into());
        }
        index.shared = reader.extensions()?;
        Ok(index)
    }

    /// Whether a path from the root of the work tree is tracked, or may be.
    pub(crate) fn tracks(&self, path: &[u8]) -> bool {
        // A sparse directory's name ends in a slash.
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        self.files.contains(path)
            || slashes.into_iter().any(|(at, _)| self.directories.contains(&path[..=at]))
    }

    /// Adds the rest of a split index. What this part deletes from it counts as tracked all the same.
    pub(crate) fn append(&mut self, rest: GitIndex) {
        self.files.extend(rest.files);
        self.directories.extend(rest.directories);
    }
}

/// The path of the entry that was read last. In version 4 the next one may repeat most of it.
#[derive(Default)]
struct EntryPath {
    bytes: Vec<u8>,
    /// Where the first `.pyc` or `.pyo` in it ends: a sweep could remove a file of such a name, or what an interrupted write
    /// of one left.
    suffix: Option<usize>,
}

impl EntryPath {
    /// Leaves so many bytes of it.
    fn truncate(&mut self, length: usize) {
        self.bytes.truncate(length);
        self.suffix = self.suffix.filter(|end| *end <= length);
    }

    /// Looks for a suffix in what came behind so many bytes.
    fn find_suffix(&mut self, length: usize) {
        let from = length.saturating_sub(3);
        let is_suffix = |part: &[u8]| part == b".pyc" || part == b".pyo";
        let find = || self.bytes[from..].windows(4).position(is_suffix).map(|at| from + at + 4);
        self.suffix = self.suffix.or_else(find);
    }
}

/// The kinds of entries, as in the upper four bits of a mode: of these the first is that of a sparse index.
const DIRECTORY: u32 = 0o4;
const KINDS: [u32; 4] = [DIRECTORY, 0o10, 0o12, 0o16];

struct IndexReader<R> {
    file: R,
    /// The bytes that are still to be read.
    left: u64,
    /// The length of an object's name.
    object: usize,
}

impl<R: BufRead> IndexReader<R> {
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or_else(truncated)?;
        self.file.read_exact(bytes)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        self.left = self.left.checked_sub(bytes).ok_or_else(truncated)?;
        match io::copy(&mut (&mut self.file).take(bytes), &mut io::sink())? {
            copied if copied == bytes => Ok(()),
            _ => Err(truncated()),
        }
    }

    /// Reads one entry: its path, which is the one before it at first, and its mode.
    fn entry(&mut self, version: u32, path: &mut EntryPath) -> io::Result<u32> {
        const STAT: usize = 40;
        const EXTENDED: u16 = 0x4000;
        const LENGTH: u16 = 0x0fff;
        let start = self.left;
        let stat: [u8; STAT] = self.array()?;
        self.skip(self.object as u64)?;
        let flags = u16::from_be_bytes(self.array()?);
        if flags & EXTENDED != 0 {
            if version < 3 {
                return Err(invalid("an extended entry in version 2"));
            }
            self.skip(2)?;
        }
        let shared = if version == 4 { self.prefix(path.bytes.len())? } else { 0 };
        path.truncate(shared);
        let longest = LONGEST_NAME - shared as u64;
        let read = (&mut self.file).take(longest).read_until(0, &mut path.bytes)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(truncated)?;
        if path.bytes.len() == shared || path.bytes.pop() != Some(0) {
            return Err(invalid("a path without an end"));
        }
        path.find_suffix(shared);
        if path.bytes.len().min(usize::from(LENGTH)) != usize::from(flags & LENGTH) {
            return Err(invalid("a path of another length than the entry says"));
        }
        if version < 4 {
            // One null is read already; entries begin at multiples of eight bytes.
            let padding = (8 - (start - self.left) % 8) % 8;
            self.skip(padding)?;
        }
        let mode = number(&stat[24..28]);
        if !KINDS.contains(&(mode >> 12)) {
            return Err(invalid("an entry of an unknown kind"));
        }
        Ok(mode)
    }

    /// How many bytes of the path before are the beginning of this one (version 4): a number of bytes to take off, seven
    /// bits in a byte, each further one counted from the last.
    fn prefix(&mut self, length: usize) -> io::Result<usize> {
        let mut byte = self.array::<1>()?[0];
        let mut removed = usize::from(byte & 0x7f);
        while byte & 0x80 != 0 {
            byte = self.array::<1>()?[0];
            removed = (removed + 1) << 7 | usize::from(byte & 0x7f);
            if removed > length {
                break;
            }
        }
        length.checked_sub(removed).ok_or_else(|| invalid("a path that takes more off than there is"))
    }

    /// Reads what follows the entries up to the checksum: the name of the shared index, if there is one.
    fn extensions(&mut self) -> io::Result<Vec<u8>> {
        let mut shared = Vec::new();
        while self.left > self.object as u64 {
            let header: [u8; 8] = self.array()?;
            let mut size = u64::from(number(&header[4..]));
            match &header[..4] {
                b"link" => {
                    shared = vec![0; self.object];
                    self.fill(&mut shared)?;
                    size = size.checked_sub(self.object as u64).ok_or_else(truncated)?;
                    // Without a base there is no other part.
                    shared = if shared.iter().all(|byte| *byte == 0) { Vec::new() } else { shared };
                }
                b"sdir" => {}
                // Extensions that begin with a capital letter may be skipped.
                [b'A'..=b'Z', ..] => {}
                _ => return Err(invalid("an extension that is not known")),
            }
            self.skip(size)?;
        }
        if self.left != self.object as u64 {
            return Err(truncated());
        }
        self.skip(self.left)?;
        Ok(shared)
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn truncated() -> io::Error {
    invalid("it ends elsewhere than it says")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An entry of version 2 or 3.
    fn entry(path: &str, mode: u32) -> Vec<u8> {
        let mut bytes = vec![0; 40];
        bytes[24..28].copy_from_slice(&mode.to_be_bytes());
        bytes.extend([7; 20]);
        bytes.extend((path.len().min(0xfff) as u16).to_be_bytes());
        bytes.extend(path.as_bytes());
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    fn index(version: u32, entries: &[Vec<u8>], rest: &[u8]) -> Vec<u8> {
        let count = entries.len() as u32;
        [b"DIRC", &version.to_be_bytes()[..], &count.to_be_bytes(), &entries.concat(), rest, &[9; 20]]
            .concat()
    }

    fn read(bytes: &[u8]) -> Result<GitIndex, String> {
        GitIndex::read(bytes, bytes.len() as u64, ObjectName::Sha1).map_err(|error| error.to_string())
    }

    #[test]
    fn bytecode_is_kept_and_other_files_are_not() {
        let long = format!("{}/m.pyc", "d".repeat(5000));
        let entries = [
            entry("a.py", 0o100_644),
            entry("a.pyc", 0o100_644),
            entry(&long, 0o100_755),
            entry("p/__pycache__/m.cpython-312.pyc", 0o100_644),
            entry("sub.pyc", 0o160_000),
            entry("x.pyo.77", 0o120_000),
        ];
        for version in [2, 3] {
            let read = read(&index(version, &entries, b"TREE\0\0\0\x03abc")).unwrap();
            assert_eq!(read.files.len(), 5);
            for path in ["a.pyc", &long, "p/__pycache__/m.cpython-312.pyc", "sub.pyc", "x.pyo.77"] {
                assert!(read.tracks(path.as_bytes()), "{path}");
            }
            assert!(!read.tracks(b"a.py") && !read.tracks(b"m.pyc"));
        }
        assert_eq!(read(&index(2, &[], b"")), Ok(GitIndex::default()));
    }

    #[test]
    fn whatever_lies_in_a_sparse_directory_may_be_tracked() {
        let entries = [entry("out/", 0o040_000)];
        let read = read(&index(3, &entries, b"sdir\0\0\0\0")).unwrap();
        assert!(read.tracks(b"out/a/m.pyc") && !read.tracks(b"outer/m.pyc") && !read.tracks(b"m.pyc"));
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        let good = index(2, &[entry("a.pyc", 0o100_644)], b"");
        assert!(read(&good).is_ok());
        for length in 0..good.len() {
            assert!(read(&good[..length]).is_err(), "{length}");
        }
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            read(&bytes).unwrap_err()
        };
        assert!(with(0, b'X').contains("not an index") && with(7, 5).contains("not an index"));
        assert!(with(11, 2).contains("ends elsewhere"));
        assert!(with(12 + 26, 0).contains("unknown kind") && with(12 + 24, 1).contains("unknown kind"));
        assert!(with(12 + 61, 4).contains("another length"));
        assert!(with(12 + 60, 0x40).contains("extended entry"));
        assert!(read(&index(2, &[], b"what\0\0\0\0")).unwrap_err().contains("extension"));
        assert!(read(&index(2, &[], b"TREE\0\0\0\x09")).is_err());
        assert!(read(&[&good[..], b"x"].concat()).is_err());
        let sha256 = GitIndex::read(&*good, good.len() as u64, ObjectName::Sha256);
        assert!(sha256.is_err(), "{sha256:?}");
    }

    /// An entry of version 4: how many bytes of the path before it go, and what comes behind the rest.
    fn next(removed: u8, added: &str, length: usize) -> Vec<u8> {
        assert!(removed < 0x80);
        let stat = entry("", 0o100_644);
        let flags = (length.min(0xfff) as u16).to_be_bytes();
        [&stat[..60], &flags, &[removed], added.as_bytes(), b"\0"].concat()
    }

    #[test]
    fn a_path_that_repeats_another_is_told_apart() {
        let entries = [
            next(0, "a/m.pyc", 7),
            next(1, "o", 7),
            next(1, "x", 7),
            next(1, "o/b", 9),
            next(4, "yc", 7),
            next(7, "n.py", 4),
            next(0, "c/", 6),
        ];
        let read = read(&index(4, &entries, b"")).unwrap();
        let mut files: Vec<_> = read.files.iter().map(|path| String::from_utf8_lossy(path)).collect();
        files.sort();
        assert_eq!(files, ["a/m.pyc", "a/m.pyo", "a/m.pyo/b", "n.pyc/"]);
    }

    #[test]
    fn a_path_that_grows_with_each_entry_is_an_error() {
        let part = "d".repeat(40_000);
        let entries = [next(0, &part, 0xfff), next(0, &part, 0xfff)];
        assert!(read(&index(4, &entries[..1], b"")).is_ok());
        assert!(read(&index(4, &entries, b"")).unwrap_err().contains("without an end"));
    }

    /// A number of bytes to take off, as git writes it (`encode_varint`).
    fn offset(mut number: usize) -> Vec<u8> {
        let mut bytes = vec![number as u8 & 0x7f];
        while number > 0x7f {
            number = (number >> 7) - 1;
            bytes.insert(0, 0x80 | number as u8 & 0x7f);
        }
        bytes
    }

    /// An entry of version 4: of the path before, so many bytes are taken off, and these come in their place.
    fn entry_4(removed: &[u8], added: &str, length: usize) -> Vec<u8> {
        let mut bytes = entry("", 0o100_644)[..60].to_vec();
        bytes.extend((length.min(0xfff) as u16).to_be_bytes());
        bytes.extend(removed);
        bytes.extend(added.as_bytes());
        bytes.push(0);
        bytes
    }

    #[test]
    fn paths_of_version_4_share_their_beginnings() {
        for removed in [5, 126, 127, 128, 129, 255, 256, 257, 16_510, 16_511, 16_512, 16_513, 40_000] {
            let first = format!("k/{}.pyc", "d".repeat(removed - 4));
            let below = format!("{first}/x.pyc");
            let entries = [
                entry_4(&offset(0), &first, first.len()),
                entry_4(&offset(0), "/x.pyc", below.len()),
                entry_4(&offset(removed + 6), "m.pyc", 7),
                entry_4(&offset(7), "n.py", 4),
                entry_4(&offset(0), "o", 5),
            ];
            let files = [&first, &below, "k/m.pyc", "n.pyo"].map(|path| path.as_bytes().into());
            let expected = GitIndex { files: files.into(), ..GitIndex::default() };
            assert_eq!(read(&index(4, &entries, b"")), Ok(expected), "{removed}");
            // One byte more than there is.
            let entries = [entries[0].clone(), entry_4(&offset(first.len() + 1), "m.pyc", 5)];
            assert!(read(&index(4, &entries, b"")).unwrap_err().contains("more off"), "{removed}");
        }
        // The number goes on where it is all of the path already, or forever.
        let first = format!("{}.pyc", "d".repeat(296));
        let mut longer = offset(first.len());
        *longer.last_mut().unwrap() |= 0x80;
        for number in [longer, vec![0xff; 30]] {
            let entries = [entry_4(&offset(0), &first, 300), entry_4(&number, "x.pyc", 5)];
            assert!(read(&index(4, &entries, b"")).unwrap_err().contains("more off"));
        }
    }

    #[test]
    fn extended_entries_have_two_more_bytes() {
        let mut extended = entry("a.pyc", 0o100_644);
        extended[60] |= 0x40;
        extended.splice(62..62, [0x20, 0]);
        extended.truncate(72);
        let entries = [extended, entry("b.pyc", 0o100_644)];
        let read = read(&index(3, &entries, b"")).unwrap();
        assert_eq!(read.files, ["a.pyc", "b.pyc"].map(|path| path.as_bytes().into()).into());
    }

    #[test]
    fn a_split_index_names_the_rest() {
        let link = |name: [u8; 20]| [&b"link\0\0\0\x17"[..], &name, b"abc"].concat();
        let entries = [entry("a.pyc", 0o100_644)];
        let mut part = read(&index(2, &entries, &link([5; 20]))).unwrap();
        assert_eq!(part.shared, [5; 20]);
        assert!(read(&index(2, &entries, &link([0; 20]))).unwrap().shared.is_empty());
        let mut half = [0; 20];
        half[7] = 1;
        assert_eq!(read(&index(2, &entries, &link(half))).unwrap().shared, half);
        let rest = [entry("b.pyc", 0o100_644), entry("out/", 0o040_000)];
        part.append(read(&index(3, &rest, b"sdir\0\0\0\0")).unwrap());
        assert!(part.tracks(b"a.pyc") && part.tracks(b"b.pyc") && part.tracks(b"out/c.pyc"));
    }

    #[test]
    fn a_file_that_is_shorter_than_it_was_is_an_error() {
        let good = index(2, &[entry("a.pyc", 0o100_644)], b"TREE\0\0\0\x03abc");
        for length in 0..good.len() {
            let read = GitIndex::read(&good[..length], good.len() as u64, ObjectName::Sha1);
            assert!(read.is_err(), "{length}: {read:?}");
        }
    }

    #[test]
    fn names_without_end_are_not_kept() {
        const LENGTH: usize = 1 << 15;
        let [file, directory] = [(".pyc", 0o100_644), ("aaaa", 0o040_000)]
            .map(|(start, mode)| entry(&start.repeat(LENGTH / 4), mode));
        let many = [file, directory].concat().repeat(64);
        for (more, is_read) in [(0, true), (1, false)] {
            let count = MOST_NAMES / LENGTH + more;
            let header = &[b"DIRC\0\0\0\x02", &(count as u32).to_be_bytes()[..]].concat()[..];
            let rest = [&many[..more * many.len() / 128], &[9; 20]].concat();
            let mut file: Box<dyn Read> = Box::new(header);
            for _ in 0..count / 128 {
                file = Box::new(file.chain(&many[..]));
            }
            let file = io::BufReader::new(file.chain(&rest[..]));
            let length = (header.len() + many.len() * (count / 128) + rest.len()) as u64;
            assert_eq!(GitIndex::read(file, length, ObjectName::Sha1).is_ok(), is_read, "{count}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in any::<Vec<u8>>(), version in 2..5_u32, entries in 0..4_u32) {
            let _ = read(&bytes);
            let header = [b"DIRC", &version.to_be_bytes()[..], &entries.to_be_bytes()].concat();
            let _ = read(&[header, bytes].concat());
        }
    }
}
