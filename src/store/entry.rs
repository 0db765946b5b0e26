//! One file of the store and all that is known of it: facts, no verdict.

pub use crate::host::directory::{FileKind, Metadata};

use crate::pyc::name::Name;
use crate::pyc::{Header, InvalidationMode, Loads, Malformed, header};
use crate::source::{Source, Why};
use crate::units::Moment;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One file of the store, as the scan saw it. What was not asked for is not known.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// The file's name in its directory.
    pub name: &'a [u8],
    /// What the name says.
    pub parsed: Name<'a>,
    /// What `stat` says; `None` when it was not asked for, or the file cannot be reached.
    pub metadata: Option<Metadata>,
    /// What the file begins with.
    pub content: Content,
    /// Whether an interpreter of its cache tag loads its magic; [`Loads::CannotTell`] without a header as well.
    pub loads: Loads,
    /// What became of its source.
    pub source: Source,
    /// The name of its source in the mirrored directory, where that is not the usual one (`x.pyw`, `x.hy`).
    pub other_name: Option<Box<[u8]>>,
    /// The path of its source, links resolved, where the entry itself records one that is not in the mirrored directory
    /// (`co_filename`): of `/a/link/../b/m.py`, which the mirror has at `a/b`, where that leads to.
    pub recorded: Option<Box<Path>>,
}

impl<'a> Entry<'a> {
    /// How its header ties it to its source; `None` where there is no header.
    pub fn invalidation_mode(&self) -> Option<InvalidationMode> {
        match self.content {
            Content::Read(Ok(header), _) => Some(header.invalidation_mode()),
            _ => None,
        }
    }

    /// An entry of which only the name is known.
    pub fn named(name: &'a [u8], parsed: Name<'a>) -> Entry<'a> {
        let (content, loads, source) = (Content::NotRead, Loads::CannotTell, Source::NotAsked);
        Entry { name, parsed, metadata: None, content, loads, source, other_name: None, recorded: None }
    }

    /// The path of its source; `sources` is the mirrored directory. None for what is foreign.
    pub fn source_path(&self, sources: &Path) -> Option<PathBuf> {
        match &self.recorded {
            Some(path) => Some(path.to_path_buf()),
            None => Some(sources.join(OsStr::from_bytes(&self.source_name()?))),
        }
    }

    /// The name of its source in the mirrored directory; none for what is foreign.
    pub fn source_name(&self) -> Option<Vec<u8>> {
        match &self.other_name {
            Some(name) => Some(name.to_vec()),
            None => Some(self.parsed.slot()?.usual_source()),
        }
    }
}

/// One file of the store, and what identifies it later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenEntry {
    /// Its directory, from the store's root.
    pub relative: Arc<[u8]>,
    /// Its name.
    pub name: Box<[u8]>,
    identity: Identity,
}

/// Device and inode, length and mtime of a file.
pub type Identity = ((u64, u64), u64, Moment);

impl SeenEntry {
    /// An entry of this directory; `None` where its metadata is not known.
    pub fn new(relative: &[u8], entry: &Entry<'_>) -> Option<SeenEntry> {
        Some(SeenEntry { relative: relative.into(), name: entry.name.into(), identity: identity(entry)? })
    }

    /// An entry of this directory and name that was this file.
    pub fn of_parts(relative: Arc<[u8]>, name: Box<[u8]>, identity: Identity) -> SeenEntry {
        SeenEntry { relative, name, identity }
    }

    /// Whether an entry of the same path is still the same file.
    pub fn is_still(&self, entry: &Entry<'_>) -> bool {
        identity(entry) == Some(self.identity)
    }
}

fn identity(entry: &Entry<'_>) -> Option<Identity> {
    entry.metadata.map(|it| (it.identity, it.bytes, it.modified))
}

/// What an entry begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// It was not read: nobody asked, or the name decides.
    NotRead,
    /// A header, or why there is none; and whether bytes 2–3 allow it to be bytecode at all.
    Read(Result<Header, Malformed>, Bytecode),
    /// It could not be read.
    Unreadable(Why),
}

/// Whether the first bytes of a file may be those of bytecode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bytecode {
    /// Bytes 2–3 are `\r\n`, or there are fewer than four bytes.
    Possible,
    /// Python never wrote this: only `--corrupt` and `--all` may take it.
    Never,
}

impl Content {
    /// Judges the first bytes of a file (sixteen, or all there are).
    pub fn of(start: &[u8]) -> Content {
        let bytecode = if header::looks_like_bytecode(start) { Bytecode::Possible } else { Bytecode::Never };
        Content::Read(Header::parse(start), bytecode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_was_written_again_is_another_file() {
        use crate::host::directory::FileKind;
        let seen = Metadata {
            kind: FileKind::Regular,
            identity: (1, 2),
            links: 1,
            mode: 0o100_644,
            user: 3,
            group: 4,
            bytes: 5,
            disk: 512,
            modified: Moment { seconds: 6, nanoseconds: 7 },
            accessed: Moment::default(),
            changed: Moment::default(),
        };
        let name = b"m.cpython-312.pyc";
        let of = |metadata| Entry { metadata, ..Entry::named(name, Name::parse(name)) };
        assert_eq!(SeenEntry::new(b"a", &of(None)), None, "nothing is known of it");
        let entry = SeenEntry::new(b"a", &of(Some(seen))).unwrap();
        for (now, is_still) in [
            (seen, true),
            (
                Metadata {
                    links: 2,
                    mode: 0o100_600,
                    changed: Moment { seconds: 8, nanoseconds: 0 },
                    ..seen
                },
                true,
            ),
            (Metadata { identity: (1, 3), ..seen }, false),
            (Metadata { identity: (2, 2), ..seen }, false),
            (Metadata { bytes: 6, ..seen }, false),
            (Metadata { modified: Moment { seconds: 6, nanoseconds: 8 }, ..seen }, false),
        ] {
            assert_eq!(entry.is_still(&of(Some(now))), is_still, "{now:?}");
        }
        assert!(!entry.is_still(&of(None)), "nothing is known of it any more");
    }

    #[test]
    fn the_source_is_the_usual_one_unless_the_entry_says_another() {
        let name = b"m.cpython-312.pyc";
        let usual = Entry::named(name, Name::parse(name));
        let other = Entry { other_name: Some(b"m.pyw"[..].into()), ..usual.clone() };
        let recorded = Entry { recorded: Some(Path::new("/r/m.py").into()), ..usual.clone() };
        let foreign = Entry::named(b"README", Name::parse(b"README"));
        for (entry, name, path) in [
            (usual, Some("m.py"), Some("/a/m.py")),
            (other, Some("m.pyw"), Some("/a/m.pyw")),
            (recorded, Some("m.py"), Some("/r/m.py")),
            (foreign, None, None),
        ] {
            assert_eq!(entry.source_name(), name.map(|name| name.as_bytes().to_vec()));
            assert_eq!(entry.source_path(Path::new("/a")), path.map(PathBuf::from));
        }
    }
}
