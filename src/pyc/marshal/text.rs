//! The bytes inside the simple objects: strings, long integers, floats as text.

/// Whether CPython decodes these bytes as UTF-8 with `surrogatepass`: UTF-8, or lone surrogates as three bytes each.
pub(super) fn is_utf_8(mut bytes: &[u8]) -> bool {
    loop {
        let Err(error) = std::str::from_utf8(bytes) else { return true };
        match bytes.get(error.valid_up_to()..) {
            Some([0xed, 0xa0..=0xbf, 0x80..=0xbf, rest @ ..]) => bytes = rest,
            _ => return false,
        }
    }
}

/// Whether these are the 15-bit digits of an integer, lowest first, the highest not zero (`r_PyLong`).
pub(super) fn are_digits(bytes: &[u8]) -> bool {
    let are_in_range = bytes.chunks_exact(2).all(|digit| digit[1] < 0x80);
    are_in_range && bytes.last_chunk() != Some(&[0, 0])
}

/// The same for PyPy: 16 bits a digit are taken, and an integer with digits is not zero.
pub(super) fn are_pypy_digits(bytes: &[u8]) -> bool {
    bytes.is_empty() || bytes.iter().any(|&byte| byte != 0)
}

/// Whether PyPy can make a file name of these bytes in UTF-8: without NUL, and with no surrogates but those that stand
/// for bytes (PEP 383). What is no UTF-8 at all passes.
pub(super) fn is_pypy_filename(bytes: &[u8]) -> bool {
    let is_other_surrogate = |triple: &[u8]| matches!(triple, [0xed, 0xa0..=0xb1 | 0xb4..=0xbf, 0x80..=0xbf]);
    !bytes.contains(&0) && !bytes.windows(3).any(is_other_surrogate)
}

/// Whether PyPy's `float()` takes the text: as C does, but with white space around and underscores between digits.
pub(super) fn is_pypy_float(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let text = text
        .trim_matches(|character: char| character.is_whitespace() && !('\x1c'..='\x1f').contains(&character));
    let is_digit = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
    let underscores = text.bytes().enumerate().filter(|&(_, byte)| byte == b'_');
    let are_between =
        underscores.fold(true, |all, (at, _)| all && at > 0 && is_digit(at - 1) && is_digit(at + 1));
    let plain: Vec<u8> = text.bytes().filter(|&byte| byte != b'_').collect();
    are_between && !plain.contains(&0) && is_float(&plain)
}

/// Whether `PyOS_string_to_double` takes the text: a C string, so a NUL ends it.
pub(super) fn is_float(text: &[u8]) -> bool {
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    let text = match text {
        [b'+' | b'-', rest @ ..] => rest,
        _ => text,
    };
    let is_word = [&b"inf"[..], b"infinity", b"nan"].iter().any(|word| text.eq_ignore_ascii_case(word));
    is_word || is_decimal(text)
}

/// Digits with at most one point among them and at least one digit; then maybe `e`, a sign, and digits.
fn is_decimal(text: &[u8]) -> bool {
    let exponent = text.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let (mantissa, exponent) = match exponent {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let points = mantissa.iter().filter(|&&byte| byte == b'.').count();
    let digits = mantissa.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_exponent = |text: &[u8]| {
        let digits = match text {
            [b'+' | b'-', rest @ ..] => rest,
            _ => text,
        };
        !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
    };
    points <= 1 && digits > 0 && points + digits == mantissa.len() && exponent.is_none_or(is_exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_utf_8_with_surrogates() {
        for text in [
            &b""[..],
            b"a",
            "ü☃𝄞".as_bytes(),
            b"a\xed\xb3\xbfb",
            b"\xed\xa0\x80",
            b"\xed\xbf\xbf\xed\xa0\x80",
        ] {
            assert!(is_utf_8(text), "{text:x?}");
        }
        for text in
            [&b"\xff"[..], b"\xc0\x80", b"\xed\xa0", b"\xed\xc0\x80", b"\xf5\x80\x80\x80", b"\xe2\x98"]
        {
            assert!(!is_utf_8(text), "{text:x?}");
        }
    }

    #[test]
    fn names_of_files_have_no_surrogates_but_those_of_bytes() {
        for name in [
            &b"a"[..],
            b"\xed\xb2\x80",
            b"a\xed\xb3\xbf",
            b"\xff",
            b"\xed\xe9\xbf",
            b"\xed\xa0",
            b"\xed\xa0\xff",
        ] {
            assert!(is_pypy_filename(name), "{name:x?}");
        }
        for name in [&b"a\0"[..], b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xb1\xbfa"] {
            assert!(!is_pypy_filename(name), "{name:x?}");
        }
    }

    #[test]
    fn digits_are_fifteen_bits_and_the_highest_is_not_zero() {
        assert!(are_digits(b"") && are_digits(b"\x01\x00") && are_digits(b"\0\0\x01\0"));
        assert!(!are_digits(b"\0\0") && !are_digits(b"\x01\0\0\0") && !are_digits(b"\0\x80\x01\0"));
    }

    #[test]
    fn floats_are_what_c_would_read() {
        for text in ["1", "-1.5", ".5", "5.", "+1e5", "1E-400", "9e99999", "inf", "-Infinity", "NaN", "1\0x"]
        {
            assert!(is_float(text.as_bytes()), "{text}");
        }
        for text in
            ["", ".", " 1", "1 ", "1_0", "0x1", "1e", "e5", "1e+", "1.2.3", "--1", "infi", "\0", "1e5e5"]
        {
            assert!(!is_float(text.as_bytes()), "{text}");
        }
    }
}
