//! The sixteen bytes before the code object: PEP 552, read as `_classify_pyc` reads them.
//!
//! All numbers are little-endian. Bit 0 of the flags alone decides between hash and timestamp, as in
//! `SourceLoader.get_code`: flags of 2 (bit 1 without bit 0) are a timestamp entry to CPython.

use super::Magic;

/// The length of a header in bytes.
pub const LENGTH: usize = 16;

/// A header of sixteen bytes whose bytes 2–3 are `\r\n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes 0–3.
    pub magic: Magic,
    /// Bytes 4–7.
    pub flags: u32,
    /// Bytes 8–15: mtime and size of the source, or its hash.
    pub pin: [u8; 8],
}

/// Why a file has no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// Fewer than sixteen bytes. CPython recompiles.
    Truncated,
    /// Bytes 2–3 are not `\r\n`: no Python ever wrote this as bytecode.
    NotBytecode,
}

/// How an entry is tied to its source (PEP 552), under the names of `py_compile.PycInvalidationMode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InvalidationMode {
    /// By the source's mtime and size.
    Timestamp,
    /// By the source's hash, which every import checks.
    CheckedHash,
    /// By the source's hash, which an import checks only under `--check-hash-based-pycs always`.
    UncheckedHash,
}

/// How entries with an unchecked hash are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UncheckedHashes {
    /// As an import does by default: loaded without a look at the source.
    #[default]
    Trust,
    /// As under `--check-hash-based-pycs always`.
    Check,
}

impl InvalidationMode {
    /// All of them.
    pub const ALL: [InvalidationMode; 3] =
        [InvalidationMode::Timestamp, InvalidationMode::CheckedHash, InvalidationMode::UncheckedHash];

    /// The name in `ls`, `inspect` and JSON.
    pub fn name(self) -> &'static str {
        match self {
            InvalidationMode::Timestamp => "timestamp",
            InvalidationMode::CheckedHash => "checked-hash",
            InvalidationMode::UncheckedHash => "unchecked-hash",
        }
    }
}

impl Header {
    /// Reads the start of a file; bytes past the sixteenth are not looked at.
    ///
    /// # Errors
    /// [`Malformed`] when there are fewer than sixteen bytes, else when bytes 2–3 are not `\r\n`.
    pub fn parse(start: &[u8]) -> Result<Header, Malformed> {
        let Some(bytes) = start.first_chunk::<LENGTH>() else { return Err(Malformed::Truncated) };
        if !looks_like_bytecode(bytes) {
            return Err(Malformed::NotBytecode);
        }
        let [a, b, c, d, e, f, g, h, pin @ ..] = *bytes;
        Ok(Header { magic: Magic([a, b, c, d]), flags: u32::from_le_bytes([e, f, g, h]), pin })
    }

    /// Whether CPython knows every flag that is set; it refuses the others.
    pub fn flags_are_known(&self) -> bool {
        self.flags & !0b11 == 0
    }

    /// How the entry is tied to its source.
    pub fn invalidation_mode(&self) -> InvalidationMode {
        match (self.flags & 0b01 != 0, self.flags & 0b10 != 0) {
            (false, _) => InvalidationMode::Timestamp,
            (true, true) => InvalidationMode::CheckedHash,
            (true, false) => InvalidationMode::UncheckedHash,
        }
    }

    /// Whether an import of such an entry reads and hashes its source, as far as the flags decide.
    pub fn checks_hash(&self, unchecked: UncheckedHashes) -> bool {
        match self.invalidation_mode() {
            InvalidationMode::Timestamp => false,
            InvalidationMode::CheckedHash => true,
            InvalidationMode::UncheckedHash => unchecked == UncheckedHashes::Check,
        }
    }

    /// The source's mtime in whole seconds modulo 2³², of a timestamp entry.
    pub fn source_mtime(&self) -> u32 {
        let [a, b, c, d, ..] = self.pin;
        u32::from_le_bytes([a, b, c, d])
    }

    /// The source's size in bytes modulo 2³², of a timestamp entry.
    pub fn source_size(&self) -> u32 {
        let [.., a, b, c, d] = self.pin;
        u32::from_le_bytes([a, b, c, d])
    }
}

/// Whether bytes that begin a file may begin bytecode. Fewer than four cannot say and count as such.
///
/// This is the last test before anything is removed: what fails it was never bytecode, whatever its name says.
pub fn looks_like_bytecode(start: &[u8]) -> bool {
    start.len() < 4 || start[2..4] == *b"\r\n"
}

/// An mtime as CPython takes it: through a double, then `int()`.
///
/// `os.stat().st_mtime` is `sec + 1e-9 * nsec` in double precision, truncated toward zero; so
/// 1700000000.9999999 is 1700000001 and −4.5 is −4. Seconds since 1970; the largest, 2⁶³ − 1, becomes 2⁶³, which an
/// `i64` does not hold.
pub fn python_mtime(seconds: i64, nanoseconds: u32) -> i128 {
    (seconds as f64 + 1e-9 * f64::from(nanoseconds)) as i128
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pyc::SourceHasher;
    use crate::pyc::recorded::{Fact, bytes, facts};
    use proptest::prelude::*;

    #[test]
    fn sixteen_bytes_are_read_as_pep_552_says() {
        let header = Header::parse(b"\xcb\x0d\r\n\0\0\0\0\x00\xf1\x53\x65\x2a\0\0\0body").unwrap();
        assert_eq!(header.magic.number(), 3531);
        assert_eq!(header.invalidation_mode(), InvalidationMode::Timestamp);
        assert_eq!((header.source_mtime(), header.source_size()), (1_700_000_000, 42));
    }

    #[test]
    fn headers_are_read_as_the_interpreters_wrote_them() {
        for Fact { tag, magic, words } in facts("header") {
            let header = Header::parse(&bytes(words[1])).unwrap();
            assert_eq!(header.magic, magic, "{tag}");
            assert!(header.flags_are_known(), "{tag}");
            assert_eq!(header.invalidation_mode().name(), words[0].to_lowercase().replace('_', "-"), "{tag}");
            if words[0] == "TIMESTAMP" {
                assert_eq!((header.source_mtime(), header.source_size()), (1_700_000_000, 6), "{tag}");
            } else {
                assert_eq!(header.pin, SourceHasher::new(tag, magic).hash(&b"x = 1\n"[..]).unwrap(), "{tag}");
            }
        }
        for Fact { tag, words, .. } in facts("timestamp") {
            let header = Header::parse(&bytes(words[2])).unwrap();
            assert_eq!(header.source_mtime(), words[0].parse::<i64>().unwrap() as u32, "{tag}");
            assert_eq!(header.source_size(), words[1].parse::<u64>().unwrap() as u32, "{tag}");
        }
    }

    #[test]
    fn bit_one_alone_is_still_a_timestamp_entry() {
        let with = |flags: u8| {
            Header::parse(&[0xcb, 0x0d, b'\r', b'\n', flags, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]).unwrap()
        };
        assert_eq!(with(0).invalidation_mode(), InvalidationMode::Timestamp);
        assert_eq!(with(1).invalidation_mode(), InvalidationMode::UncheckedHash);
        assert_eq!(with(2).invalidation_mode(), InvalidationMode::Timestamp);
        assert_eq!(with(3).invalidation_mode(), InvalidationMode::CheckedHash);
        assert!(with(3).flags_are_known() && !with(4).flags_are_known());
    }

    #[test]
    fn short_and_strange_files_have_no_header() {
        assert_eq!(Header::parse(b""), Err(Malformed::Truncated));
        assert_eq!(Header::parse(b"\xcb\x0d\r\n\0\0\0\0\0\0\0\0\0\0\0"), Err(Malformed::Truncated));
        assert_eq!(Header::parse(&[0; 16]), Err(Malformed::NotBytecode));
        assert!(looks_like_bytecode(b"abc") && !looks_like_bytecode(&[0; 4]));
    }

    #[test]
    fn mtimes_are_rounded_as_python_rounds_them() {
        assert_eq!(python_mtime(1_700_000_000, 999_999_900), 1_700_000_001);
        assert_eq!(python_mtime(1_700_000_000, 999_999_800), 1_700_000_000);
        assert_eq!(python_mtime(-5, 500_000_000), -4);
        assert_eq!(python_mtime(-1, 0) as u32, u32::MAX);
        // `int(float(2**63 - 1)) & 0xFFFFFFFF` is 0.
        assert_eq!(python_mtime(i64::MAX, 0), 1 << 63);
        assert_eq!(python_mtime(i64::MAX, 999_999_999) as u32, 0);
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            match Header::parse(&bytes) {
                Ok(header) => prop_assert!(bytes.len() >= 16 && bytes[2..4] == *b"\r\n" && header.pin == bytes[8..16]),
                Err(Malformed::Truncated) => prop_assert!(bytes.len() < 16),
                Err(Malformed::NotBytecode) => prop_assert!(!looks_like_bytecode(&bytes)),
            }
        }
    }
}
