//! The hash of a hash-based entry: `_imp.source_hash` (PEP 552, `Python/pyhash.c`).
//!
//! SipHash of the source's bytes with k0 = the magic's four bytes as a little-endian u32 and k1 = 0:
//! SipHash-2-4 up to Python 3.10, SipHash-1-3 from 3.11 on (gh-73124). Home of the crate siphasher.

use super::Magic;
use siphasher::sip::{SipHasher13, SipHasher24};
use std::hash::Hasher;
use std::io::Read;

/// A source hash in the making; bytes may be fed in any portions.
#[derive(Debug, Clone)]
pub enum SourceHasher {
    /// Python 3.7 – 3.10, and PyPy.
    Sip24(SipHasher24),
    /// CPython 3.11 and later.
    Sip13(SipHasher13),
}

impl SourceHasher {
    /// The hasher of the interpreter with this cache tag and magic.
    pub fn new(tag: &str, magic: Magic) -> SourceHasher {
        let key = u64::from(u32::from_le_bytes(magic.0));
        let minor = crate::pyc::name::python_of_tag(tag).map_or(0, |(_, minor)| minor);
        if minor >= 11 && !tag.starts_with("pypy") {
            SourceHasher::Sip13(SipHasher13::new_with_keys(key, 0))
        } else {
            SourceHasher::Sip24(SipHasher24::new_with_keys(key, 0))
        }
    }

    /// Adds bytes of the source.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            SourceHasher::Sip24(hasher) => hasher.write(bytes),
            SourceHasher::Sip13(hasher) => hasher.write(bytes),
        }
    }

    /// The hash as it stands in bytes 8–15 of a header.
    pub fn finish(&self) -> [u8; 8] {
        match self {
            SourceHasher::Sip24(hasher) => hasher.finish(),
            SourceHasher::Sip13(hasher) => hasher.finish(),
        }
        .to_le_bytes()
    }

    /// Hashes a whole source in portions of 64 KiB.
    ///
    /// # Errors
    /// Whatever reading the source answers.
    pub fn hash(mut self, mut source: impl Read) -> std::io::Result<[u8; 8]> {
        let mut portion = vec![0; 64 << 10];
        loop {
            match source.read(&mut portion) {
                Ok(0) => return Ok(self.finish()),
                Ok(length) => self.update(&portion[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pyc::recorded::{Fact, bytes, facts};

    #[test]
    fn hashes_are_those_of_the_interpreters() {
        for Fact { tag, magic, words } in facts("hash") {
            let hash = SourceHasher::new(tag, magic).hash(&bytes(words[0])[..]).unwrap();
            assert_eq!(hash[..], bytes(words[1]), "{tag} {}", words[0]);
        }
    }

    #[test]
    fn portions_do_not_matter() {
        let mut parts = SourceHasher::new("cpython-312", Magic::of(3531));
        parts.update(b"he");
        parts.update(b"llo");
        assert_eq!(
            parts.finish(),
            SourceHasher::new("cpython-312", Magic::of(3531)).hash(&b"hello"[..]).unwrap()
        );
    }
}
