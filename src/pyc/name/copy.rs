//! Names of the copies that synchronisers make of an entry: `m.cpython-312 2.pyc`.
//!
//! A synchroniser that finds two versions of a file keeps both, and puts a mark before the last suffix of one name. No
//! interpreter ever looks for such a name. Only marks that cannot be the end of an entry's name are known here: they
//! follow the cache tag, and a cache tag has neither a space nor a bracket. OneDrive's mark is not one of them: it is
//! `-HOSTNAME`, and a rewriter such as pytest puts its own name there (`t.cpython-312-pytest-9.2.0.pyc`).

use super::Slot;

/// Marks that are taken off one after the other: a copy of a copy has two.
const MOST_MARKS: usize = 4;

/// What Syncthing writes before the time: `m.cpython-312.sync-conflict-20260101-120000-ABCDEFG.pyc`.
const SYNCTHING: &[u8] = b".sync-conflict-";

/// What Resilio Sync writes, followed by a number or nothing.
const RESILIO: &[u8] = b".Conflict";

/// The slot of the entry that a file of this name is a copy of.
pub(super) fn original(name: &[u8]) -> Option<Slot<'_>> {
    let (mut base, is_pyc) = match name.strip_suffix(b".pyc") {
        Some(base) => (base, true),
        None => (name.strip_suffix(b".pyo")?, false),
    };
    for _ in 0..MOST_MARKS {
        let mark = (1..base.len()).rev().find(|&at| is_mark(&base[at..]))?;
        base = &base[..mark];
        let slot = if is_pyc { Slot::parse_pyc(base) } else { Slot::parse_pytest(base) };
        if slot.is_some() {
            return slot;
        }
    }
    None
}

fn is_mark(text: &[u8]) -> bool {
    match text {
        [b' ', b'(', number @ .., b')'] if is_number(number) => true,
        [b' ', b'(', remark @ .., b')'] | [b' ', b'[', remark @ .., b']'] => tells_of_conflict(remark),
        [b' ', number @ ..] => is_number(number) && number != b"1",
        _ => {
            is_syncthings(text)
                || text.strip_prefix(RESILIO).is_some_and(|rest| rest.is_empty() || is_number(rest))
        }
    }
}

/// iCloud Drive counts from 2 and Google Drive from 1; more than three digits are not taken for a count.
fn is_number(text: &[u8]) -> bool {
    (1..=3).contains(&text.len()) && text[0] != b'0' && text.iter().all(u8::is_ascii_digit)
}

/// Dropbox (`HOST's conflicted copy 2026-01-01`), Nextcloud (`conflicted copy 2026-01-01 120000`), Seafile (`SFConflict
/// NAME 2026-01-01-12-00-00`), pCloud (`conflicted`).
fn tells_of_conflict(remark: &[u8]) -> bool {
    let word = b"conflict";
    remark.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}

/// The date, the time and, since version 0.14, the first seven letters of the device.
fn is_syncthings(text: &[u8]) -> bool {
    let Some(rest) = text.strip_prefix(SYNCTHING) else { return false };
    let mut parts = rest.split(|&byte| byte == b'-');
    let mut is_digits = |count: usize| {
        parts.next().is_some_and(|part| part.len() == count && part.iter().all(u8::is_ascii_digit))
    };
    let is_time = is_digits(8) && is_digits(6);
    let is_device = |part: &[u8]| part.len() == 7 && part.iter().all(u8::is_ascii_alphanumeric);
    is_time && parts.next().is_none_or(is_device) && parts.next().is_none()
}
