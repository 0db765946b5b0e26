//! The verdict on an entry: what CPython would do with it. Pure: facts in, [`Status`] out.
//!
//! The order of judgement: the name (`temporary`, `foreign`), then the source (`orphan`, `unknown`), then the
//! header (`corrupt`, `stale`, `fresh`). Within the header the order is Python's own: `_classify_pyc`, then
//! `_validate_timestamp_pyc` or `_validate_hash_pyc` (PEP 552). The oracle is CPython itself.
//!
//! Unknown formats are not judged. Whether the interpreter of a tag loads a magic is known from the tables of
//! [`crate::pyc::magic`] and from what interpreters on this machine state ([`crate::pyc::StatedMagics`]). If neither has it
//! and the source exists, the entry is `unknown`, reason `magic`, and no selector that depends on the source removes it.

use crate::pyc::name::Name;
use crate::pyc::{Header, InvalidationMode, Loads, Magic, Malformed};
use crate::source::{Gone, Source, SourceFile, Why};
use crate::store::entry::{Content, Entry};
use std::fmt;

pub use crate::pyc::UncheckedHashes;

/// Each entry has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Its interpreter would load it.
    Fresh,
    /// The source exists, but Python would recompile it.
    Stale(Stale),
    /// The source was definitely deleted.
    Orphan(Orphan),
    /// Not loadable.
    Corrupt(Corrupt),
    /// Cannot be decided; never pruned by default.
    Unknown(Why),
    /// Left by an interrupted atomic write, or a copy of an entry made by a file synchroniser.
    Temporary,
    /// Not written by Python; never changed or removed.
    Foreign,
}

/// Why Python would recompile: the first test that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stale {
    /// Another Python's magic number.
    Magic,
    /// A flag that CPython does not know.
    Flags,
    /// The source's mtime differs.
    Mtime,
    /// The source's size differs.
    Size,
    /// The source's hash differs.
    Hash,
}

/// What was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Orphan {
    /// The source alone.
    Source,
    /// The whole project, environment or directory.
    Root,
}

/// Why an entry cannot be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Corrupt {
    /// Fewer than sixteen bytes.
    Truncated,
    /// Bytes 2–3 are not `\r\n`.
    NotBytecode,
    /// The header is valid, but every import fails at the body. Found only if bodies are read.
    Body,
}

/// The statuses' names, in the order in which they are shown.
pub const NAMES: [&str; 7] = ["fresh", "stale", "orphan", "corrupt", "unknown", "temporary", "foreign"];

impl Status {
    /// The status's name in tables, filters and JSON.
    pub fn name(self) -> &'static str {
        NAMES[self.index()]
    }

    /// The place of the name in [`NAMES`].
    pub fn index(self) -> usize {
        match self {
            Status::Fresh => 0,
            Status::Stale(_) => 1,
            Status::Orphan(_) => 2,
            Status::Corrupt(_) => 3,
            Status::Unknown(_) => 4,
            Status::Temporary => 5,
            Status::Foreign => 6,
        }
    }

    /// The reason's name, where the status has one.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Status::Stale(stale) => Some(match stale {
                Stale::Magic => "magic",
                Stale::Flags => "flags",
                Stale::Mtime => "mtime",
                Stale::Size => "size",
                Stale::Hash => "hash",
            }),
            Status::Orphan(Orphan::Source) => Some("source"),
            Status::Orphan(Orphan::Root) => Some("root"),
            Status::Corrupt(Corrupt::Truncated) => Some("truncated"),
            Status::Corrupt(Corrupt::NotBytecode) => Some("not-bytecode"),
            Status::Corrupt(Corrupt::Body) => Some("body"),
            Status::Unknown(why) => Some(why.name()),
            Status::Fresh | Status::Temporary | Status::Foreign => None,
        }
    }
}

/// As `stale (mtime)`.
impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason() {
            Some(reason) => write!(formatter, "{} ({reason})", self.name()),
            None => formatter.write_str(self.name()),
        }
    }
}

/// Judges an entry. `None` if the facts are incomplete (a scan for orphans only does not read the header of an entry
/// whose source exists).
pub fn judge(entry: &Entry<'_>, unchecked: UncheckedHashes) -> Option<Status> {
    let slot = match entry.parsed {
        Name::Foreign => return Some(Status::Foreign),
        Name::Temporary(_) => return Some(Status::Temporary),
        Name::Bytecode(slot) => slot,
    };
    let source = match entry.source {
        Source::Absent(Gone::Source) => return Some(Status::Orphan(Orphan::Source)),
        Source::Absent(Gone::Root) => return Some(Status::Orphan(Orphan::Root)),
        Source::Unreachable(why) => return Some(Status::Unknown(why)),
        Source::NotAsked | Source::Exists => return None,
        Source::Present(source) => source,
    };
    match entry.content {
        Content::NotRead => None,
        Content::Unreadable(why) => Some(Status::Unknown(why)),
        Content::Read(Err(Malformed::Truncated), _) => Some(Status::Corrupt(Corrupt::Truncated)),
        // What another implementation writes is not known.
        Content::Read(Err(Malformed::NotBytecode), _) if !Magic::knows_tag(slot.tag) => {
            Some(Status::Unknown(Why::Magic))
        }
        Content::Read(Err(Malformed::NotBytecode), _) => Some(Status::Corrupt(Corrupt::NotBytecode)),
        Content::Read(Ok(header), _) => Some(judge_header(&header, entry.loads, &source, unchecked)),
    }
}

/// `SourceLoader.get_code`'s tests in their order.
fn judge_header(header: &Header, loads: Loads, source: &SourceFile, unchecked: UncheckedHashes) -> Status {
    match loads {
        Loads::Yes => {}
        Loads::No => return Status::Stale(Stale::Magic),
        Loads::CannotTell => return Status::Unknown(Why::Magic),
    }
    if !header.flags_are_known() {
        return Status::Stale(Stale::Flags);
    }
    if header.invalidation_mode() == InvalidationMode::Timestamp {
        if source.pinned_mtime != header.source_mtime() {
            return Status::Stale(Stale::Mtime);
        }
        if source.bytes as u32 != header.source_size() {
            return Status::Stale(Stale::Size);
        }
    } else if header.checks_hash(unchecked) {
        match source.hash {
            Some(Ok(hash)) if hash == header.pin => {}
            Some(Ok(_)) => return Status::Stale(Stale::Hash),
            Some(Err(why)) => return Status::Unknown(why),
            None => return Status::Unknown(Why::Io),
        }
    }
    Status::Fresh
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::entry::Bytecode;
    use crate::units::Moment;

    const TAG: &[u8] = b"m.cpython-312.pyc";

    fn header(number: u16, flags: u32, pin: [u8; 8]) -> Content {
        Content::Read(Ok(Header { magic: Magic::of(number), flags, pin }), Bytecode::Possible)
    }

    fn pin(mtime: u32, size: u32) -> [u8; 8] {
        let mut pin = [0; 8];
        pin[..4].copy_from_slice(&mtime.to_le_bytes());
        pin[4..].copy_from_slice(&size.to_le_bytes());
        pin
    }

    fn present(python_mtime: i64, bytes: u64, hash: Option<[u8; 8]>) -> Source {
        let (modified, changed) = (Moment::default(), Moment::default());
        let (pinned_mtime, hash) = (python_mtime as u32, hash.map(Ok));
        Source::Present(SourceFile { python_mtime, pinned_mtime, modified, changed, links: 1, bytes, hash })
    }

    fn entry(name: &[u8], content: Content, source: Source) -> Entry<'_> {
        let mut entry = Entry { content, source, ..Entry::named(name, Name::parse(name)) };
        if let (Some(slot), Content::Read(Ok(header), _)) = (entry.parsed.slot(), content) {
            entry.loads = header.magic.is_loaded_by(slot.tag);
        }
        entry
    }

    fn of(name: &[u8], content: Content, source: Source) -> Option<Status> {
        judge(&entry(name, content, source), UncheckedHashes::Trust)
    }

    #[test]
    fn the_name_comes_first_then_the_source_then_the_header() {
        let corrupt = Content::of(b"abc");
        assert_eq!(of(b"README", corrupt, Source::NotAsked), Some(Status::Foreign));
        assert_eq!(of(b"m.cpython-312.pyc.7", corrupt, Source::NotAsked), Some(Status::Temporary));
        assert_eq!(of(TAG, corrupt, Source::Absent(Gone::Root)), Some(Status::Orphan(Orphan::Root)));
        assert_eq!(
            of(TAG, corrupt, Source::Unreachable(Why::Unmounted)),
            Some(Status::Unknown(Why::Unmounted))
        );
        assert_eq!(of(TAG, corrupt, present(1, 1, None)), Some(Status::Corrupt(Corrupt::Truncated)));
        assert_eq!(of(TAG, Content::NotRead, present(1, 1, None)), None);
    }

    #[test]
    fn the_first_failing_test_is_the_reason() {
        for (content, source, expected) in [
            (header(3531, 0, pin(5, 7)), present(5, 7, None), Status::Fresh),
            (header(3530, 4, pin(6, 8)), present(5, 7, None), Status::Stale(Stale::Magic)),
            (header(3531, 4, pin(6, 8)), present(5, 7, None), Status::Stale(Stale::Flags)),
            (header(3531, 0, pin(6, 8)), present(5, 7, None), Status::Stale(Stale::Mtime)),
            (header(3531, 2, pin(5, 8)), present(5, 7, None), Status::Stale(Stale::Size)),
            (header(3531, 3, [1; 8]), present(5, 7, Some([2; 8])), Status::Stale(Stale::Hash)),
            (header(3531, 3, [1; 8]), present(5, 7, Some([1; 8])), Status::Fresh),
            (header(3531, 1, [1; 8]), present(5, 7, None), Status::Fresh),
            (header(3531, 0, pin(u32::MAX, 7)), present(-1, 7, None), Status::Fresh),
            (header(3531, 0, pin(5, 7)), present((1 << 32) + 5, (1 << 32) + 7, None), Status::Fresh),
        ] {
            assert_eq!(of(TAG, content, source), Some(expected), "{content:?} {source:?}");
        }
    }

    #[test]
    fn what_the_table_does_not_know_is_not_judged() {
        let (fresh, stale) = (present(5, 7, None), present(6, 7, None));
        for (name, number) in [
            (&b"m.cpython-316.pyc"[..], 3701),
            (b"m.cpython-316.pyc", 3531),
            (b"m.pypy311.pyc", 448),
            (b"m.graalpy240-311.pyc", 21_150),
            (b"m.rustpython-0_4.pyc", 12_897),
        ] {
            let content = header(number, 0, pin(5, 7));
            for source in [fresh, stale] {
                assert_eq!(of(name, content, source), Some(Status::Unknown(Why::Magic)), "{number}");
                // What an interpreter on this machine states outweighs that.
                let stated = Entry { loads: Loads::Yes, ..entry(name, content, source) };
                let expected = if source == fresh { Status::Fresh } else { Status::Stale(Stale::Mtime) };
                assert_eq!(judge(&stated, UncheckedHashes::Trust), Some(expected), "{number}");
            }
            let gone = Source::Absent(Gone::Source);
            assert_eq!(of(name, content, gone), Some(Status::Orphan(Orphan::Source)));
        }
        assert_eq!(of(b"m.pypy311.pyc", header(416, 0, pin(5, 7)), fresh), Some(Status::Fresh));
        let zeros = Content::of(&[0; 16]);
        assert_eq!(of(b"m.rustpython-0_4.pyc", zeros, fresh), Some(Status::Unknown(Why::Magic)));
        assert_eq!(of(b"m.pypy311.pyc", zeros, fresh), Some(Status::Corrupt(Corrupt::NotBytecode)));
    }

    #[test]
    fn unchecked_hashes_are_checked_on_request() {
        let source = present(5, 7, Some([2; 8]));
        let content = header(3531, 1, [1; 8]);
        let entry = entry(TAG, content, source);
        assert_eq!(judge(&entry, UncheckedHashes::Check), Some(Status::Stale(Stale::Hash)));
        assert_eq!(judge(&entry, UncheckedHashes::Trust), Some(Status::Fresh));
    }
}
