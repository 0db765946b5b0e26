//! Any bytes at all as an entry: its name, its header, its body, and the tables of mounts.
//!
//! The first byte says which one the rest is. None may panic, and each answer has to be true of its bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pycstore::entry::{Bytecode, Content};
use pycstore::layout::{Name, entry_name};
use pycstore::mounts::Mounts;
use pycstore::pyc::marshal::Dialect;
use pycstore::pyc::{Header, Malformed, header, marshal};

fuzz_target!(|input: &[u8]| {
    let Some((&kind, bytes)) = input.split_first() else { return };
    match kind % 4 {
        0 => name(bytes),
        1 => start(bytes),
        2 => body(bytes),
        _ => mounts(bytes),
    }
});

fn name(bytes: &[u8]) {
    let Some(slot) = Name::parse(bytes).slot() else { return };
    assert!(!slot.stem.is_empty());
    assert!(slot.holds(&slot.usual_source()));
    if let (Name::Bytecode(slot), None) = (Name::parse(bytes), slot.pytest) {
        assert_eq!(entry_name(&slot.usual_source(), slot.tag, slot.optimization), bytes);
    }
}

fn start(bytes: &[u8]) {
    let parsed = Header::parse(bytes);
    match parsed {
        Ok(header) => {
            assert_eq!(header.magic.0[..], bytes[..4]);
            assert_eq!(header.flags.to_le_bytes()[..], bytes[4..8]);
            assert_eq!(header.pin[..], bytes[8..header::LENGTH]);
        }
        Err(Malformed::Truncated) => assert!(bytes.len() < header::LENGTH),
        Err(Malformed::NotBytecode) => assert_ne!(bytes[2..4], *b"\r\n"),
    }
    // What may be removed is decided here: the two answers must not contradict each other.
    let never = Content::of(bytes) == Content::Read(parsed, Bytecode::Never);
    assert_eq!(never, bytes.len() >= 4 && bytes[2..4] != *b"\r\n");
}

fn body(bytes: &[u8]) {
    let Some((&minor, body)) = bytes.split_first() else { return };
    if let Some(name) = marshal::code_filename(body, minor % 20) {
        assert!(name.len() <= body.len());
    }
    for dialect in [Dialect::CPython(minor % 20), Dialect::PyPy(minor % 20)] {
        match marshal::walk(body, dialect) {
            Ok(walked) => {
                assert!(walked.length <= body.len() && walked.codes > 0);
                // Bytes after the end do not matter, and without the last byte it is no code object.
                assert_eq!(marshal::walk(&body[..walked.length], dialect).as_ref(), Ok(&walked));
                assert!(marshal::walk(&body[..walked.length - 1], dialect).is_err());
                let last_line = marshal::last_line(body, dialect).unwrap();
                assert!(last_line >= walked.first_line && last_line >= 0);
            }
            Err(fault) => {
                assert!(fault.at <= body.len() as u64);
                let _ = marshal::last_line(body, dialect);
            }
        }
    }
}

fn mounts(bytes: &[u8]) {
    let middle = bytes.len() / 2;
    let mounts = Mounts::parse(&bytes[..middle], &bytes[middle..]);
    assert!(mounts.expected.iter().all(|point| point.is_absolute()));
    for mount in &mounts.mounted {
        let _ = mounts.vouches(&mount.point, Some(&mount.point), &mount.point);
        let _ = mounts.is_network(&mount.point);
    }
}
