//! The last source line that a code object's line table names.
//!
//! Four formats: `co_lnotab` until 3.9 and in PyPy 3.9 (`Objects/lnotab_notes.txt`), the line table of 3.10 (PEP 626), the
//! location table from 3.11 on (`Objects/locations.md`), and PyPy's own from 3.10 on (`pypy/interpreter/location.py`). Only lines are read; where in a line code begins and ends is
//! passed over.
//!
//! # Invariants
//!
//! * Any bytes are answered, in one pass: a table is no part of the verdict on a body, Python reads it when it shows a
//!   traceback.

use super::Dialect;

/// The greatest line that `table` names, for a code object that begins at `first`; `first` where it names none beyond.
pub(super) fn last(table: &[u8], first: i32, dialect: Dialect) -> i32 {
    match dialect {
        Dialect::CPython(11..) => from_3_11(table, first),
        Dialect::CPython(10) => pairs(table, first, Some(-128)),
        Dialect::PyPy(10..) => pypy_from_3_10(table, first),
        Dialect::CPython(_) | Dialect::PyPy(_) => pairs(table, first, None),
    }
}

/// Pairs of a byte for the code and a signed one for the line; `no_line` as a step says that code has none.
fn pairs(table: &[u8], first: i32, no_line: Option<i8>) -> i32 {
    let (mut line, mut last) = (first, first);
    for pair in table.chunks_exact(2) {
        let step = pair[1].cast_signed();
        if Some(step) != no_line {
            line = line.saturating_add(i32::from(step));
            // In 3.10's format a step without code is the first half of a long one.
            if no_line.is_none() || pair[0] != 0 {
                last = last.max(line);
            }
        }
    }
    last
}

/// Entries that begin with a byte of which the highest bit is set, then a code of four bits and a length.
fn from_3_11(table: &[u8], first: i32) -> i32 {
    let (mut line, mut last) = (first, first);
    let mut rest = table;
    while let Some((&head, tail)) = rest.split_first() {
        rest = tail;
        let step = match head >> 3 & 0b1111 {
            15 => None,
            13 | 14 => Some(signed(rest)),
            code @ 10..=12 => Some(i32::from(code) - 10),
            _ => Some(0),
        };
        if let Some(step) = step {
            line = line.saturating_add(step);
            last = last.max(line);
        }
        let next = rest.iter().position(|byte| byte & 0x80 != 0).unwrap_or(rest.len());
        rest = &rest[next..];
    }
    last
}

/// One entry an instruction: its line as the distance from the first plus one, 0 for none; then, one byte each, the
/// column plus one and, unless that is 0, the last column plus one and how many lines further that is.
fn pypy_from_3_10(table: &[u8], first: i32) -> i32 {
    let mut last = first;
    let mut rest = table;
    while let Some((line, tail)) = unsigned(rest) {
        rest = tail;
        if line == 0 {
            continue;
        }
        last = last.max(first.saturating_add_unsigned(line - 1));
        let Some((&column, tail)) = rest.split_first() else { break };
        rest = tail;
        if column != 0 {
            rest = rest.get(2..).unwrap_or_default();
        }
    }
    last
}

/// A number in groups of seven bits, the lowest first, and what follows it.
fn unsigned(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut number = 0_u32;
    for (place, byte) in bytes.iter().enumerate().take(5) {
        number |= u32::from(byte & 0b111_1111).checked_shl(7 * place as u32)?;
        if byte & 0x80 == 0 {
            return Some((number, &bytes[place + 1..]));
        }
    }
    None
}

/// A number in groups of six bits, the lowest first, with a sign in the lowest bit.
fn signed(bytes: &[u8]) -> i32 {
    let mut number = 0_u32;
    for (place, byte) in bytes.iter().enumerate().take(6) {
        number |= u32::from(byte & 0b11_1111) << (6 * place);
        if byte & 0b100_0000 == 0 {
            break;
        }
    }
    let magnitude = (number >> 1).cast_signed();
    if number & 1 == 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_format_by_hand() {
        assert_eq!(last(b"\x02\x01\x04\x7f\x00\x05\x02\xff", 3, Dialect::CPython(8)), 3 + 1 + 127 + 5);
        assert_eq!(last(b"\x02\x01\x04\x80\x02\x03", 3, Dialect::CPython(10)), 7);
        assert_eq!(last(b"\x80\x00\xd8\x00\x04\xe8\x07\xf8", 1, Dialect::CPython(12)), 2);
        assert_eq!(last(b"\xe8\x44\x02", 1, Dialect::CPython(12)), 1 + (4 | 2 << 6) / 2);
        assert_eq!(last(b"", 9, Dialect::PyPy(9)), 9);
        assert_eq!(last(b"\x02\x01\x0b\x0a\x00\xb9\x02\x05\x06\x00\x03\x00", 1, Dialect::PyPy(11)), 313);
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(table in proptest::collection::vec(any::<u8>(), 0..60), first: i32, minor in 8..16_u8) {
            prop_assert!(last(&table, first, Dialect::CPython(minor)) >= first);
            prop_assert!(last(&table, first, Dialect::PyPy(minor)) >= first);
        }
    }
}
