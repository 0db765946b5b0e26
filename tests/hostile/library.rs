//! Checks of the library's parsers for arbitrary bytes: one function for each kind of untrusted input.
//!
//! The fuzzer (`tests/fuzz`) calls these functions with generated input, and a unit test with every file in
//! `tests/hostile/corpus`. Each function panics if the result is wrong for the bytes.

#![allow(clippy::unwrap_used, reason = "a check panics where something is wrong")]

#[cfg(test)]
mod corpus;
mod edits;

pub use edits::{block, crontab, settings};

use crate::environment::Environment;
use crate::history::Run;
use crate::history::journal::Recorded;
use crate::host::volumes::Mounts;
use crate::json;
use crate::pyc::marshal::{self, Dialect, Filenames, Memory};
use crate::pyc::name::{self, Form, Name, Slot, cache_from_source, entry_name};
use crate::pyc::{Header, Loads, Malformed, SourceHasher, header as pyc_header};
use crate::source::interpreter::stated_executables;
use crate::source::package;
use crate::source::{Source, SourceFile};
use crate::store::entry::{Bytecode, Content, Entry};
use crate::store::in_tree::git_index::{GitIndex, LONGEST_NAME, ObjectName};
use crate::units::{Moment, date, human};
use crate::verdict::status::{UncheckedHashes, judge};
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Panics if the result for these bytes is wrong.
pub type Check = fn(&[u8]);

/// The checks by the names of their corpora.
pub const TARGETS: [(&str, Check); 12] = [
    ("name", name),
    ("header", header),
    ("body", body),
    ("lines", lines),
    ("mounts", mounts),
    ("record", record),
    ("virtualenv", virtualenv),
    ("git-index", git_index),
    ("block", block),
    ("crontab", crontab),
    ("settings", settings),
    ("history", history),
];

/// The name of a file in the store, and the name of a source: each is read back from what is made of it.
pub fn name(bytes: &[u8]) {
    let parsed = Name::parse(bytes);
    if let Some(slot) = parsed.slot() {
        assert!(!slot.stem.is_empty() && slot.holds(&slot.usual_source()));
        if slot.pytest.is_none() {
            let made = entry_name(&slot.usual_source(), slot.tag, slot.optimization);
            assert_eq!(Name::parse(&made), Name::Bytecode(slot));
        }
    }
    match parsed {
        Name::Bytecode(slot) => assert!(spelled(&slot, bytes) == bytes),
        Name::Temporary(slot) => {
            let entry = spelled(&slot, if bytes.ends_with(b".pyo") { b".pyo" } else { b".pyc" });
            let of_pyo = spelled(&slot, b".pyo");
            // `NAME.pyc.123`, or `NAME` with a mark before its suffix.
            let is_interrupted = bytes.starts_with(&entry) || bytes.starts_with(&of_pyo);
            let stem = &entry[..entry.len() - b".pyc".len()];
            assert!(is_interrupted || bytes.starts_with(stem) && bytes.ends_with(&entry[stem.len()..]));
        }
        Name::Foreign => {}
    }
    let is_name = !bytes.is_empty() && bytes.iter().any(|byte| *byte != b'.');
    if is_name && !bytes.contains(&b'/') && !bytes.contains(&0) {
        source_name(bytes);
    }
}

/// The file name that a slot stands for; `suffix` says whether that of `python -O` under pytest is meant.
fn spelled(slot: &Slot<'_>, suffix: &[u8]) -> Vec<u8> {
    let mut name = slot.stem.to_vec();
    if slot.form == Form::Dotted {
        name.push(b'.');
    }
    name.extend(slot.tag.as_bytes());
    match slot.pytest {
        Some(version) => name.extend(format!("-pytest-{version}").as_bytes()),
        None if slot.optimization.is_empty() => {}
        None => name.extend(format!(".opt-{}", slot.optimization).as_bytes()),
    }
    let is_pyo = slot.pytest.is_some() && suffix.ends_with(b".pyo");
    name.extend(if is_pyo { b".pyo" } else { b".pyc" });
    name
}

fn source_name(bytes: &[u8]) {
    for tag in ["cpython-312", "pypy39", "graalpy240-311"] {
        for optimization in ["", "1", "typeguard460"] {
            let entry = entry_name(bytes, tag, optimization);
            let Name::Bytecode(slot) = Name::parse(&entry) else { panic!("{}", entry.escape_ascii()) };
            assert!(slot.holds(bytes), "{}", entry.escape_ascii());
            assert_eq!((slot.tag, slot.optimization, slot.pytest), (tag, optimization, None));
            let source = Path::new("/sources").join(OsStr::from_bytes(bytes));
            let path = cache_from_source(Path::new("/store"), &source, tag, optimization).unwrap();
            let relative = path.strip_prefix("/store").unwrap();
            let directory = relative.parent().unwrap().as_os_str().as_bytes();
            assert_eq!(name::source_directory(directory), source.parent().unwrap());
            assert_eq!(name::mirror_of(source.parent().unwrap()), directory);
            assert_eq!(relative.file_name().unwrap().as_bytes(), entry);
        }
    }
}

/// A source's mtime and size, 8 bytes each, and the first bytes of an entry: the verdict is that of `SourceLoader.get_code`.
pub fn header(bytes: &[u8]) {
    let Some((mtime, rest)) = bytes.split_first_chunk::<8>() else { return };
    let Some((size, start)) = rest.split_first_chunk::<8>() else { return };
    let (mtime, size) = (i64::from_le_bytes(*mtime), u64::from_le_bytes(*size));
    let content = Content::of(start);
    let parsed = Header::parse(start);
    match parsed {
        Ok(header) => {
            assert_eq!(header.magic.0[..], start[..4]);
            assert_eq!(header.flags.to_le_bytes()[..], start[4..8]);
            assert_eq!(header.pin[..], start[8..pyc_header::LENGTH]);
        }
        Err(Malformed::Truncated) => assert!(start.len() < pyc_header::LENGTH),
        Err(Malformed::NotBytecode) => assert_ne!(start[2..4], *b"\r\n"),
    }
    // What may be removed is decided here: the two answers must not contradict each other.
    let is_never = content == Content::Read(parsed, Bytecode::Never);
    assert_eq!(is_never, start.len() >= 4 && start[2..4] != *b"\r\n");
    for entry_name in [&b"m.cpython-312.pyc"[..], b"m.cpython-38.opt-1.pyc", b"m.pypy39.pyc"] {
        let tag = Name::parse(entry_name).slot().unwrap().tag;
        let mut entry = Entry { content, ..Entry::named(entry_name, Name::parse(entry_name)) };
        let mut hash = None;
        if let Ok(header) = parsed {
            entry.loads = header.magic.is_loaded_by(tag);
            hash = Some(Ok(SourceHasher::new(tag, header.magic).hash(&start[16..]).unwrap()));
        }
        let loads = entry.loads;
        let (modified, changed, pinned_mtime) = (Moment::default(), Moment::default(), mtime as u32);
        let bytes = size;
        let file = SourceFile { python_mtime: mtime, pinned_mtime, modified, changed, links: 1, bytes, hash };
        entry.source = Source::Present(file);
        for (unchecked, always) in [(UncheckedHashes::Trust, false), (UncheckedHashes::Check, true)] {
            let status = judge(&entry, unchecked).unwrap();
            let said = status.reason().unwrap_or_else(|| status.name());
            let hash = hash.map(Result::unwrap);
            assert_eq!(said, python_says(start, loads, mtime, size, hash, always));
        }
    }
}

/// `_classify_pyc`, `_validate_timestamp_pyc` and `_validate_hash_pyc` with Python's arithmetic.
fn python_says(
    data: &[u8],
    loads: Loads,
    mtime: i64,
    size: u64,
    hash: Option<[u8; 8]>,
    always: bool,
) -> &'static str {
    let number = |at: usize| (0..4).map(|place| i128::from(data[at + place]) << (8 * place)).sum::<i128>();
    // Python says "bad magic number" or `EOFError` to these.
    if data.len() < 16 {
        return "truncated";
    }
    if data[2] != b'\r' || data[3] != b'\n' {
        return "not-bytecode";
    }
    if loads != Loads::Yes {
        return "magic";
    }
    let flags = number(4);
    if flags > 3 {
        return "flags";
    }
    if flags % 2 == 1 {
        let checks = flags == 3 || always;
        return if checks && Some(&data[8..16]) != hash.as_ref().map(|it| &it[..]) {
            "hash"
        } else {
            "fresh"
        };
    }
    match () {
        () if number(8) != i128::from(mtime).rem_euclid(1 << 32) => "mtime",
        () if number(12) != i128::from(size) % (1 << 32) => "size",
        () => "fresh",
    }
}

/// A minor version, and a body.
pub fn body(bytes: &[u8]) {
    let Some((&minor, body)) = bytes.split_first() else { return };
    let minor = minor % 20;
    let filename = marshal::code_filename(body, minor);
    let mut filenames = Vec::new();
    for dialect in [Dialect::CPython(minor), Dialect::PyPy(minor)] {
        match marshal::walk(body, dialect) {
            Ok(walked) => {
                assert!(walked.length <= body.len() && walked.codes > 0);
                // Each code object takes more bytes than this.
                assert!(walked.codes as usize <= body.len() / 30);
                assert!(walked.name.len() + walked.filename.len() <= 2 * body.len());
                // Bytes after the end do not matter, and without the last byte it is no code object.
                assert_eq!(marshal::walk(&body[..walked.length], dialect).as_ref(), Ok(&walked));
                assert!(marshal::walk(&body[..walked.length - 1], dialect).is_err());
                let last_line = marshal::last_line(body, dialect).unwrap();
                assert!(last_line >= walked.first_line && last_line >= 0);
                names(body, dialect, &walked.filename);
                filenames.push(walked.filename);
            }
            Err(fault) => {
                assert_eq!(marshal::filenames(body, dialect, &mut Memory::default()), Err(fault));
                assert!(fault.at <= body.len() as u64);
                let _ = marshal::last_line(body, dialect);
            }
        }
    }
    assert_eq!(filename.as_ref(), filenames.first());
}

/// The places of the names in a body that loads, whose name is `filename`.
fn names(body: &[u8], dialect: Dialect, filename: &[u8]) {
    let Some(names) = marshal::filenames(body, dialect, &mut Memory::default()).unwrap() else { return };
    assert!(Filenames::are_equal((&names, body), (&names, body)));
    let longer = [body, b"N"].concat();
    let same = marshal::filenames(&longer, dialect, &mut Memory::default()).unwrap().unwrap();
    assert!(!Filenames::are_equal((&names, body), (&same, &longer)));
    let last = filename.rsplit(|&byte| byte == b'/').next().unwrap();
    let has_dots = filename.split(|&byte| byte == b'/').any(|component| component == b"..");
    if filename.is_ascii() {
        assert_eq!(names.is_of(last, body), !has_dots);
    }
    // Equal bytes elsewhere in the body are no name, so that another name is found in the same places.
    let hash = |names: &Filenames| {
        let mut hasher = DefaultHasher::new();
        names.hash(body, &mut hasher);
        hasher.finish()
    };
    assert_eq!((&names, hash(&names)), (&same, hash(&same)));
}

/// A first line, and a line table.
pub fn lines(bytes: &[u8]) {
    let Some((first, table)) = bytes.split_first_chunk::<4>() else { return };
    let first = i32::from_le_bytes(*first);
    let dialects = [
        Dialect::CPython(9),
        Dialect::CPython(10),
        Dialect::CPython(13),
        Dialect::PyPy(9),
        Dialect::PyPy(10),
        Dialect::PyPy(11),
    ];
    for dialect in dialects {
        let body = code_object(dialect, first, table);
        let found = marshal::last_line(&body, dialect).unwrap();
        // Nothing before the first line, and zero where everything is negative.
        let named = match dialect {
            Dialect::CPython(11..) => location_table(table, first),
            Dialect::CPython(10) => line_table(table, first),
            Dialect::PyPy(10..) => pypy_table(table, first),
            Dialect::CPython(_) | Dialect::PyPy(_) => lnotab(table, first),
        };
        if let Some(lines) = named {
            let greatest = lines.into_iter().chain([i64::from(first), 0]).max().unwrap();
            assert_eq!(i64::from(found), greatest, "{dialect:?}");
        }
        assert!(found >= first);
    }
}

/// A code object without anything but its line table.
fn code_object(dialect: Dialect, first: i32, table: &[u8]) -> Vec<u8> {
    let (is_pypy, minor) = match dialect {
        Dialect::CPython(minor) => (false, minor),
        Dialect::PyPy(minor) => (true, minor),
    };
    let has_variables = is_pypy || minor < 11;
    let bytes = |bytes: &[u8]| [b"s", &(bytes.len() as u32).to_le_bytes()[..], bytes].concat();
    let numbers = if has_variables { 6 } else { 5 };
    let mut body = [b"c".to_vec(), vec![0; 4 * numbers], bytes(b"")].concat();
    // Constants, names, then variables, free and cell variables or variables and their kinds.
    body.extend(b")\0)\0)\0");
    body.extend(if has_variables { b")\0)\0".to_vec() } else { bytes(b"") });
    let texts = if minor < 11 { 2 } else { 3 };
    body.extend(b"z\x01a".repeat(texts));
    body.extend(first.to_le_bytes());
    body.extend(bytes(table));
    if minor >= 11 {
        body.extend(bytes(b""));
    }
    body
}

/// Adds steps to a line; `None` where a line is no number of 32 bits any more.
fn step(line: &mut i64, by: i64) -> Option<i64> {
    *line += by;
    i32::try_from(*line).ok().map(i64::from)
}

/// `Objects/lnotab_notes.txt`
fn lnotab(table: &[u8], first: i32) -> Option<Vec<i64>> {
    let mut line = i64::from(first);
    table.chunks_exact(2).map(|pair| step(&mut line, i64::from(pair[1] as i8))).collect()
}

/// PEP 626: a range of no code has no line of its own.
fn line_table(table: &[u8], first: i32) -> Option<Vec<i64>> {
    let mut line = i64::from(first);
    let mut lines = Vec::new();
    for pair in table.chunks_exact(2).filter(|pair| pair[1] != 0x80) {
        let line = step(&mut line, i64::from(pair[1] as i8))?;
        lines.extend((pair[0] > 0).then_some(line));
    }
    Some(lines)
}

/// `Objects/locations.md`
fn location_table(table: &[u8], first: i32) -> Option<Vec<i64>> {
    let mut line = i64::from(first);
    let mut lines = Vec::new();
    // What comes before the first entry belongs to none, but is read as if it did.
    let starts: Vec<usize> = (0..table.len()).filter(|&at| at == 0 || table[at] >= 0x80).collect();
    for start in starts {
        let code = table[start] / 8 % 16;
        let by = match code {
            15 => continue,
            13 | 14 => {
                // CPython reads on past the start of the next entry.
                let groups = table[start + 1..].iter().take(6);
                let mut number = 0_i64;
                for (place, byte) in groups.enumerate() {
                    number += (i64::from(*byte) % 64) << (6 * place);
                    if byte & 64 == 0 {
                        break;
                    }
                }
                // 32 bits, as in C.
                let number = i64::from(number as u32);
                if number % 2 == 1 { -(number / 2) } else { number / 2 }
            }
            10..=12 => i64::from(code) - 10,
            _ => 0,
        };
        lines.push(step(&mut line, by)?);
    }
    Some(lines)
}

/// `pypy/interpreter/location.py`
fn pypy_table(table: &[u8], first: i32) -> Option<Vec<i64>> {
    let mut lines = Vec::new();
    let mut at = 0;
    while at < table.len() {
        let mut distance = 0_u64;
        for place in 0.. {
            // A number of more than 32 bits, or one that the table does not end, is none.
            let (Some(byte), true) = (table.get(at), place < 5) else { return Some(lines) };
            distance |= u64::from(byte % 128) << (7 * place);
            at += 1;
            if *byte < 128 {
                break;
            }
        }
        let Ok(distance) = u32::try_from(distance) else { return None };
        if distance == 0 {
            continue;
        }
        let line = i64::from(first) + i64::from(distance) - 1;
        lines.push(i32::try_from(line).ok().map(i64::from)?);
        let Some(column) = table.get(at) else { return Some(lines) };
        at += if *column == 0 { 1 } else { 3 };
    }
    Some(lines)
}

/// A mountinfo, a line with nothing in it, and an fstab.
pub fn mounts(bytes: &[u8]) {
    let middle = bytes.windows(2).position(|pair| pair == b"\n\n").map_or(bytes.len(), |at| at + 1);
    let (mountinfo, fstab) = bytes.split_at(middle);
    let mounts = Mounts::parse(mountinfo, fstab);
    // No path is invented: each is a field of a line as a shell's `printf %b` would write it.
    let named = |table: &[u8], point: &Path| {
        let fields = table.split(u8::is_ascii_whitespace);
        fields.map(unescaped).any(|field| field == point.as_os_str().as_bytes())
    };
    assert!(mounts.mounted.iter().all(|mount| named(mountinfo, &mount.point)));
    assert!(mounts.expected.iter().all(|point| named(fstab, point) && point.is_absolute()));
    let mut written = (Vec::new(), Vec::new());
    for mount in &mounts.mounted {
        written.0.extend(b"1 2 3:4 / ");
        written.0.extend(escaped(&mount.point));
        written.0.extend(format!(" {} shared:1 - {} dev rw\n", mount.options, mount.kind).as_bytes());
        let _ = mounts.vouches(&mount.point, Some(&mount.point), Path::new("/store"));
        let _ = mounts.access_times(&mount.point);
        // The last of equal points hides the others.
        assert!(mounts.of(&mount.point).unwrap().point == mount.point);
    }
    for point in &mounts.expected {
        written.1.extend(b"dev ");
        written.1.extend(escaped(point));
        written.1.push(b'\n');
        let is_mounted = mounts.mounted.iter().any(|mount| mount.point == *point);
        assert!(is_mounted || mounts.vouches(point, None, Path::new("/store")).is_err());
    }
    assert_eq!(Mounts::parse(&written.0, &written.1), mounts);
}

fn escaped(point: &Path) -> Vec<u8> {
    point.as_os_str().as_bytes().iter().flat_map(|byte| format!("\\{byte:03o}").into_bytes()).collect()
}

fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut at = 0;
    while at < field.len() {
        let digits = field.get(at + 1..at + 4).and_then(|it| std::str::from_utf8(it).ok());
        let is_octal = |digits: &&str| digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
        match digits.filter(|digits| field[at] == b'\\' && is_octal(digits)) {
            Some(digits) => {
                bytes.push(u32::from_str_radix(digits, 8).unwrap() as u8);
                at += 4;
            }
            None => {
                bytes.push(field[at]);
                at += 1;
            }
        }
    }
    bytes
}

/// A `RECORD`, a `METADATA` and a `direct_url.json`, all of the same bytes: only sources below the package's place.
pub fn record(bytes: &[u8]) {
    let paths = package::paths_of(bytes);
    for path in &paths {
        assert!(path.ends_with(b".py"));
        let path = Path::new(OsStr::from_bytes(path));
        assert!(path.components().all(|component| matches!(component, Component::Normal(_))), "{path:?}");
        let spelled: PathBuf = path.components().collect();
        assert_eq!(spelled.as_os_str(), path.as_os_str(), "as the scan spells it");
    }
    assert!(paths.iter().map(Vec::len).sum::<usize>() <= bytes.len());
    // Without quotes a row is a line, and a bad one loses only itself.
    if !bytes.contains(&b'"') && !bytes.contains(&b'\r') {
        let rows = bytes.split(|&byte| byte == b'\n');
        let each: Vec<Vec<u8>> = rows.flat_map(package::paths_of).collect();
        assert_eq!(each, paths);
    }
    if let Some(name) = package::name_in(bytes) {
        assert!(!name.is_empty() && name.trim_ascii() == name);
    }
    if let Some(root) = package::editable_root(bytes) {
        assert!(root.is_absolute());
    }
}

/// A `pyvenv.cfg`: the executables are those that it names, or lie directly in the home that it names.
pub fn virtualenv(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let values: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once('=')?.1.trim())).collect();
    for executable in stated_executables(&text) {
        assert!(executable.is_absolute());
        let is_named = values.iter().any(|value| executable == Path::new(value));
        let (home, name) = (executable.parent(), executable.file_name());
        let is_at_home = values.iter().any(|value| {
            home == Some(Path::new(value))
                && name.and_then(OsStr::to_str).is_some_and(|name| {
                    let names = ["python", "pypy", "graalpy"];
                    let version = names.iter().find_map(|it| name.strip_prefix(it));
                    version.is_some_and(|it| it.bytes().all(|it| it.is_ascii_digit() || it == b'.'))
                })
        });
        assert!(is_named || is_at_home, "{}", executable.display());
    }
}

/// The index of a git repository: what is tracked is told whole or not at all.
pub fn git_index(bytes: &[u8]) {
    for object in [ObjectName::Sha1, ObjectName::Sha256] {
        let read = |bytes: &[u8]| GitIndex::read(bytes, bytes.len() as u64, object);
        let Ok(index) = read(bytes) else { continue };
        // Its last byte is part of a checksum of which nothing is known.
        assert!(read(&bytes[..bytes.len() - 1]).is_err(), "a part of an index is none");
        assert!(read(&[bytes, b"x"].concat()).is_err(), "with more behind it");
        for path in &index.files {
            assert!(path.windows(4).any(|part| part == b".pyc" || part == b".pyo"));
            assert!(!path.contains(&0) && path.len() as u64 <= LONGEST_NAME && index.tracks(path));
        }
        assert!(index.directories.iter().all(|path| path.len() as u64 <= LONGEST_NAME));
        assert!([0, object as usize].contains(&index.shared.len()));
    }
}

/// The history of a store: a line that cannot be parsed affects no other line.
pub fn history(contents: &[u8]) {
    let recorded = Recorded::parse(contents);
    let contents = contents.strip_suffix(b"\n").unwrap_or(contents);
    let alone = |line: &[u8]| Recorded::parse(&[line, b"\n"].concat());
    let each: Vec<Recorded> = contents.split(|&byte| byte == b'\n').map(alone).collect();
    let runs: Vec<&Run> = each.iter().flat_map(|line| &line.runs).collect();
    assert!(runs.iter().copied().eq(&recorded.runs));
    let torn = each.iter().enumerate().filter(|(_, line)| !line.torn.is_empty()).map(|(at, _)| at + 1);
    assert!(contents.is_empty() || torn.eq(recorded.torn.iter().copied()));
    let environment = Environment::of_test("/home/me");
    for run in &recorded.runs {
        let mut line = Vec::new();
        json::print(&mut line, run).unwrap();
        let mut again: Run = json::parse(&line).unwrap();
        // Its last digit may change.
        assert!((again.seconds - run.seconds).abs() <= run.seconds.abs() * 1e-12);
        again.seconds = run.seconds;
        assert_eq!(again, *run);
        // As `history` shows it.
        let shown = [
            date::ago(run.started, environment.now),
            date::local_minute(run.started),
            human::count(run.removed.files),
            human::size(run.removed.disk),
            human::duration(run.duration()),
            run.result(),
        ];
        assert!(shown.iter().all(|cell| !cell.is_empty() && !cell.contains('\n')));
    }
}

#[cfg(test)]
#[test]
fn the_corpus_is_answered() {
    corpus::assert_answered(&TARGETS);
}
