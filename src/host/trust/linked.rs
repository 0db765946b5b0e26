//! Finds the libraries that an executable loads from directories that it names itself (`DT_RUNPATH` and `DT_RPATH` of
//! ld.so(8)), and its program interpreter. All others come from the system's directories, which belong to root. The only
//! module that uses the elf crate.
//!
//! Only ELF is read: for other formats the result is empty.

use crate::host::directory::open_file;
use elf::ElfStream;
use elf::abi::{DT_NEEDED, DT_RPATH, DT_RUNPATH, EI_NIDENT, PT_DYNAMIC, PT_INTERP, SHT_DYNAMIC};
use elf::endian::AnyEndian;
use elf::file::{Class, ELF32_EHDR_TAILSIZE, FileHeader, parse_ident};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The names in an executable or a library.
#[derive(Debug, Default)]
struct LinkedNames {
    needed: Vec<PathBuf>,
    directories: Vec<PathBuf>,
    interpreter: Option<PathBuf>,
}

/// No part of a file that is read here is longer, in bytes: the file may be another user's, and claim anything.
const LONGEST_PART: u64 = 4 << 20;

/// So many names has no file, and so many places to look has no executable.
const MOST: usize = 1000;

/// Returns the paths where libraries of an executable are looked up, whether they exist or not, and those of the libraries
/// that these load in turn. `None` where that cannot be told.
pub(super) fn libraries(executable: &Path) -> Option<BTreeSet<PathBuf>> {
    let mut lookups = BTreeSet::new();
    let mut waiting = vec![executable.to_path_buf()];
    while let Some(file) = waiting.pop() {
        let names = names(&file)?;
        lookups.extend(names.interpreter);
        if names.directories.len().saturating_mul(names.needed.len()) > MOST || lookups.len() > MOST {
            return None;
        }
        for directory in &names.directories {
            for needed in &names.needed {
                let path = directory.join(needed);
                if lookups.insert(path.clone()) {
                    waiting.extend(path.canonicalize().ok());
                }
            }
        }
    }
    Some(lookups)
}

/// What a file names, which is nothing if it is no ELF file; `None` where that cannot be told.
fn names(path: &Path) -> Option<LinkedNames> {
    let (mut file, _) = open_file(path).ok()?;
    match is_plain(&mut file) {
        Some(true) => {}
        Some(false) => return None,
        None => return Some(LinkedNames::default()),
    }
    file.rewind().ok()?;
    let mut elf = ElfStream::<AnyEndian, _>::open_stream(file).ok()?;
    let segments = elf.segments().iter().filter(|it| [PT_INTERP, PT_DYNAMIC].contains(&it.p_type));
    let sections = elf.section_headers().iter().filter(|it| it.sh_type == SHT_DYNAMIC);
    if segments.map(|it| it.p_filesz).chain(sections.map(|it| it.sh_size)).any(|size| size > LONGEST_PART) {
        return None;
    }
    let mut names = LinkedNames::default();
    let interpreter = elf.segments().iter().find(|segment| segment.p_type == PT_INTERP).copied();
    if let Some(segment) = interpreter {
        let bytes = elf.segment_data(&segment).ok()?;
        let path = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
        names.interpreter = Some(PathBuf::from(OsStr::from_bytes(path)));
    }
    let mut wanted = Vec::new();
    // What is linked with nothing has no such table.
    let Some(dynamic) = elf.dynamic().ok()? else { return Some(names) };
    for entry in dynamic.iter() {
        if [DT_NEEDED, DT_RPATH, DT_RUNPATH].contains(&entry.d_tag) {
            wanted.push((entry.d_tag, usize::try_from(entry.d_val()).ok()?));
        }
    }
    let dynamic = elf.section_headers().iter().find(|section| section.sh_type == SHT_DYNAMIC)?;
    let strings = *elf.section_headers().get(dynamic.sh_link as usize)?;
    if wanted.len() > MOST || strings.sh_size > LONGEST_PART {
        return None;
    }
    let strings = elf.section_data_as_strtab(&strings).ok()?;
    let origin = path.parent()?.as_os_str().as_bytes();
    for (tag, at) in wanted {
        let text = strings.get_raw(at).ok()?;
        if tag == DT_NEEDED {
            names.needed.push(PathBuf::from(OsStr::from_bytes(text)));
            continue;
        }
        for directory in text.split(|&byte| byte == b':') {
            if names.directories.len() > MOST {
                return None;
            }
            names.directories.push(expanded(directory, origin));
        }
    }
    Some(names)
}

/// Whether an ELF file counts its parts in its header, where no more than 65 535 of a kind can be; else they are counted
/// in a part, and may be any number. `None` for other files.
fn is_plain(file: &mut File) -> Option<bool> {
    const EXTENDED: u16 = 0xffff;
    let mut start = [0; 64];
    // Those of 32 bits are shorter.
    file.read_exact(&mut start).ok()?;
    let (ident, rest) = start.split_at(EI_NIDENT);
    let ident = parse_ident::<AnyEndian>(ident).ok()?;
    let rest = if ident.1 == Class::ELF32 { &rest[..ELF32_EHDR_TAILSIZE] } else { rest };
    let header = FileHeader::parse_tail(ident, rest).ok()?;
    Some(header.e_phnum != EXTENDED && (header.e_shnum > 0 || header.e_shoff == 0))
}

/// Replaces `$ORIGIN` in a directory. Any other `$` variable names a subdirectory, so the path ends before it.
fn expanded(directory: &[u8], origin: &[u8]) -> PathBuf {
    let rest = [&b"$ORIGIN"[..], b"${ORIGIN}"].iter().find_map(|it| directory.strip_prefix(*it));
    let whole = rest.map_or(directory.to_vec(), |rest| [origin, rest].concat());
    let end = whole.iter().position(|&byte| byte == b'$').unwrap_or(whole.len());
    Path::new("/").join(OsStr::from_bytes(&whole[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_expanded() {
        for (directory, expected) in [
            ("/opt/lib", "/opt/lib"),
            ("$ORIGIN/../lib", "/opt/bin/../lib"),
            ("${ORIGIN}", "/opt/bin"),
            ("/opt/$LIB/x", "/opt/"),
            ("lib", "/lib"),
        ] {
            assert_eq!(expanded(directory.as_bytes(), b"/opt/bin"), Path::new(expected), "{directory}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_program_of_this_machine_is_read() {
        let this = std::env::current_exe().unwrap();
        let names = names(&this).unwrap();
        assert!(names.needed.iter().any(|name| name.to_string_lossy().starts_with("libc")), "{names:?}");
        assert!(names.interpreter.as_ref().is_some_and(|path| path.is_absolute()));
        assert!(libraries(&this).unwrap().contains(&names.interpreter.unwrap()));
        assert!(libraries(Path::new("/etc/passwd")).unwrap().is_empty());
        assert!(libraries(Path::new("/nowhere/at/all")).is_none());
    }

    /// An ELF file of 64 bits with these counts of segments and sections, behind it `rest`.
    fn elf(path: &Path, (segments, sections): (u16, u16), sections_at: u64, rest: &[u8]) -> File {
        let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
        for number in [0_u64, 64, sections_at] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend([0; 4]);
        for number in [64, 56, segments, 64, sections, 2] {
            bytes.extend(number.to_le_bytes());
        }
        std::fs::write(path, [&bytes, rest].concat()).unwrap();
        File::options().write(true).open(path).unwrap()
    }

    fn numbers(numbers: &[u64]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    /// A section header: its kind, the section it is linked with, its place and size.
    fn section(kind: u64, link: u64, at: u64, size: u64) -> Vec<u8> {
        numbers(&[kind << 32, 0, 0, at, size, link, 8, 16])
    }

    #[test]
    fn of_a_file_that_claims_to_be_huge_nothing_is_told() {
        const HUGE: u64 = 1 << 40;
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("python");
        let of_kind = |kind: u64| numbers(&[kind | 4 << 32, 64, 0, 0, HUGE - 64, HUGE - 64, 1]);
        for kind in [2, 3] {
            elf(&path, (1, 0), 0, &of_kind(kind)).set_len(HUGE).unwrap();
            assert!(libraries(&path).is_none(), "segment of kind {kind}");
        }
        let dynamic = |size| section(6, 2, 64 + 3 * 64, size);
        let sections =
            |size, strings| [section(0, 0, 0, 0), dynamic(size), section(3, 0, 256, strings)].concat();
        for (size, strings) in [(HUGE / 2, 16), (16, HUGE / 2)] {
            elf(&path, (0, 3), 64, &sections(size, strings)).set_len(HUGE).unwrap();
            assert!(libraries(&path).is_none(), "{size} {strings}");
        }
        // So many parts that their number does not fit into the header.
        for (counts, at) in [((0xffff, 0), 0), ((0, 0), 64)] {
            elf(&path, counts, at, &section(0, 0, 0, HUGE >> 7)).set_len(HUGE).unwrap();
            assert!(libraries(&path).is_none(), "{counts:?}");
        }
    }

    /// Makes a file that needs these libraries, by their places in `strings`, and looks for them in these directories.
    fn naming(path: &Path, needed: &[u64], directories: &[u64], strings: &[u8]) {
        let of_tag =
            |tag: i64, places: &[u64]| places.iter().flat_map(|&at| [tag as u64, at]).collect::<Vec<_>>();
        let entries = [of_tag(DT_NEEDED, needed), of_tag(DT_RUNPATH, directories), vec![0, 0]].concat();
        let table = numbers(&entries);
        let (at, size) = (256, table.len() as u64);
        let sections =
            [section(0, 0, 0, 0), section(6, 2, at, size), section(3, 0, at + size, strings.len() as u64)];
        elf(path, (0, 3), 64, &[&sections.concat()[..], &table, strings].concat());
    }

    #[test]
    fn libraries_are_looked_up_in_each_directory_and_those_that_they_need_as_well() {
        let (_temporary, base) = crate::temporary::directory();
        let strings = format!("\0one.so\0/nowhere:{}\0", base.display());
        naming(&base.join("python"), &[1], &[8], strings.as_bytes());
        naming(&base.join("one.so"), &[1], &[6], b"\0b.so\0/else\0");
        let expected = [base.join("one.so"), "/else/b.so".into(), "/nowhere/one.so".into()];
        assert_eq!(libraries(&base.join("python")).unwrap(), BTreeSet::from(expected));
    }

    #[test]
    fn a_chain_of_more_libraries_than_any_is_not_followed() {
        let (_temporary, base) = crate::temporary::directory();
        for number in 0..=MOST {
            let needed = format!("\0{:04}\0{}\0", number + 1, base.display());
            naming(&base.join(format!("{number:04}")), &[1], &[6], needed.as_bytes());
        }
        let last = base.join(format!("{:04}", MOST + 1));
        assert_eq!(libraries(&base.join("0001")).unwrap().len(), MOST);
        std::fs::write(last, "").unwrap();
        assert_eq!(libraries(&base.join("0001")).unwrap().len(), MOST);
        assert!(libraries(&base.join("0000")).is_none());
    }

    #[test]
    fn of_a_file_that_names_too_much_nothing_is_told() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("python");
        let of_many = |needed: usize, directories: usize| {
            naming(&path, &vec![1; needed], &vec![1; directories], b"\0/x\0");
            libraries(&path)
        };
        assert_eq!(of_many(1, 1).unwrap().len(), 1);
        assert_eq!(of_many(0, 0).unwrap().len(), 0);
        assert!(of_many(30_000, 30_000).is_none());
        assert!(of_many(200, 200).is_none());
        // In so many directories each library, or so many names in all.
        assert_eq!(of_many(10, MOST / 10).unwrap().len(), 1);
        assert!(of_many(MOST, 0).is_some());
        assert!(of_many(MOST + 1, 0).is_none());
        let of_one_list = |directories: usize| {
            naming(&path, &[], &[1], &[b"\0/x", &b":/x".repeat(directories - 1)[..], b"\0"].concat());
            libraries(&path)
        };
        assert!(of_one_list(MOST + 1).is_some());
        assert!(of_one_list(MOST + 2).is_none());
    }
}
