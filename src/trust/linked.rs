//! Finds the libraries that an executable loads from directories that it names itself (`DT_RUNPATH` and `DT_RPATH` of
//! ld.so(8)), and its program interpreter. All others come from the system's directories, which belong to root. The only
//! module that uses the elf crate.
//!
//! Only ELF is read: for other formats the result is empty.

use crate::directory::open_file;
use elf::ElfStream;
use elf::abi::{DT_NEEDED, DT_RPATH, DT_RUNPATH, PT_INTERP};
use elf::endian::AnyEndian;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The names in an executable or a library.
#[derive(Debug, Default)]
struct Names {
    needed: Vec<PathBuf>,
    directories: Vec<PathBuf>,
    interpreter: Option<PathBuf>,
}

/// Returns the paths where libraries of an executable are looked up, whether they exist or not, and those of the libraries
/// that these load in turn.
pub(super) fn libraries(executable: &Path) -> BTreeSet<PathBuf> {
    let mut lookups = BTreeSet::new();
    let mut waiting = vec![executable.to_path_buf()];
    while let Some(file) = waiting.pop() {
        let names = names(&file).unwrap_or_default();
        lookups.extend(names.interpreter);
        for directory in &names.directories {
            for needed in &names.needed {
                let path = directory.join(needed);
                if lookups.insert(path.clone()) {
                    waiting.extend(path.canonicalize().ok());
                }
            }
        }
    }
    lookups
}

fn names(file: &Path) -> Option<Names> {
    let mut elf = ElfStream::<AnyEndian, _>::open_stream(open_file(file).ok()?.0).ok()?;
    let mut names = Names::default();
    let interpreter = elf.segments().iter().find(|segment| segment.p_type == PT_INTERP).copied();
    if let Some(bytes) = interpreter.and_then(|segment| elf.segment_data(&segment).ok()) {
        let path = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
        names.interpreter = Some(PathBuf::from(OsStr::from_bytes(path)));
    }
    let mut wanted = Vec::new();
    for entry in elf.dynamic().ok()??.iter() {
        if [DT_NEEDED, DT_RPATH, DT_RUNPATH].contains(&entry.d_tag) {
            wanted.push((entry.d_tag, usize::try_from(entry.d_val()).ok()?));
        }
    }
    let dynamic = elf.section_headers().iter().find(|section| section.sh_type == elf::abi::SHT_DYNAMIC)?;
    let strings = *elf.section_headers().get(dynamic.sh_link as usize)?;
    let strings = elf.section_data_as_strtab(&strings).ok()?;
    let origin = file.parent()?.as_os_str().as_bytes();
    for (tag, at) in wanted {
        let text = strings.get_raw(at).ok()?;
        if tag == DT_NEEDED {
            names.needed.push(PathBuf::from(OsStr::from_bytes(text)));
        } else {
            let directories = text.split(|&byte| byte == b':').map(|directory| expanded(directory, origin));
            names.directories.extend(directories);
        }
    }
    Some(names)
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
        assert!(names.interpreter.is_some_and(|path| path.is_absolute()));
        assert!(super::names(Path::new("/etc/passwd")).is_none());
    }
}
