//! The oracle: one thread, walkdir, whole paths, `std::fs`; none of the scan's code but the reading of names.
//!
//! What it answers of a header is written down here once more, from PEP 552 and `_classify_pyc`, for timestamps only.

use crate::record::{Found, Known};
use pycstore::pyc::name::{self, Name, Slot};
use pycstore::store::scan::Question;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

type Status = (&'static str, Option<&'static str>);

/// Walks the store at `root`.
pub fn walk(root: &Path, question: Question) -> Found {
    let mut found = Found::default();
    for step in walkdir::WalkDir::new(root) {
        let step = match step {
            Ok(step) => step,
            Err(error) => {
                let path = error.path().unwrap().to_path_buf();
                // It was seen in its parent, but cannot be read.
                found.directories.remove(&path);
                found.troubles.insert(path);
                continue;
            }
        };
        if step.depth() > 0
            && step.file_type().is_dir()
            && let Some(count) = found.directories.get_mut(step.path().parent().unwrap())
        {
            *count += 1;
        }
        if step.file_type().is_dir() {
            found.directories.insert(step.into_path(), 0);
        } else {
            file(root, &step, question, &mut found);
        }
    }
    found
}

fn file(root: &Path, step: &walkdir::DirEntry, question: Question, found: &mut Found) {
    let path = step.path();
    let relative = path.strip_prefix(root).unwrap();
    let below_pycache = relative.components().any(|part| part.as_os_str() == "__pycache__");
    let parsed = match step.file_type().is_file() && !below_pycache {
        true => Name::parse(step.file_name().as_bytes()),
        false => Name::Foreign,
    };
    let mut source = match parsed {
        Name::Bytecode(slot) => source(&Path::new("/").join(relative), &slot),
        Name::Temporary(_) | Name::Foreign => Ok(None),
    };
    let everything = question != Question::Orphans;
    if let (false, Name::Bytecode(slot), Err(("unknown", Some("permission")))) = (everything, parsed, &source)
        && is_listed(&Path::new("/").join(relative), &slot)
    {
        // A file that may not be looked at is there all the same, and no orphan.
        source = Ok(None);
    }
    let mut status = match (parsed, &source) {
        (Name::Foreign, _) => Some(("foreign", None)),
        (Name::Temporary(_), _) => Some(("temporary", None)),
        (Name::Bytecode(_), Err(status)) => Some(*status),
        (Name::Bytecode(_), Ok(_)) => None,
    };
    let is_orphan = status.is_some_and(|(name, _)| name == "orphan");
    let identity = path.symlink_metadata().map(|it| (it.dev(), it.ino(), it.len()));
    let mut known = Known { status, identity: None };
    if everything || is_orphan {
        match identity {
            Ok(identity) => known.identity = Some(identity),
            Err(_) => {
                found.troubles.insert(path.to_path_buf());
                if is_orphan {
                    // When it was written cannot be told.
                    known.status = Some(("unknown", Some("permission")));
                }
                if is_orphan && !everything || parsed == Name::Foreign {
                    return;
                }
            }
        }
    }
    if everything && parsed != Name::Foreign {
        let start = start(path);
        if start.is_err() {
            found.troubles.insert(path.to_path_buf());
        }
        if let (Name::Bytecode(slot), Ok(Some(source))) = (parsed, &source) {
            status =
                Some(start.map_or(("unknown", Some("permission")), |start| judge(&start, &slot, source)));
            known.status = status;
        }
    }
    found.files.insert(path.to_path_buf(), known);
}

/// The source of a slot in the directory that `mirrored` names (its last component is the entry's own name); or the
/// verdict where there is none.
fn source(mirrored: &Path, slot: &Slot<'_>) -> Result<Option<fs::Metadata>, Status> {
    let directory = mirrored.parent().unwrap();
    let name = slot.usual_source();
    let orphan = |reason| Err(("orphan", Some(reason)));
    let of = |error: &io::Error| match error.kind() {
        io::ErrorKind::PermissionDenied => ("unknown", Some("permission")),
        _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            ("unknown", Some("loop"))
        }
        _ => ("unknown", Some("io")),
    };
    match fs::metadata(directory.join(std::ffi::OsStr::from_bytes(&name))) {
        Ok(metadata) if metadata.is_file() => return Ok(Some(metadata)),
        Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Err(of(&error));
        }
        Ok(_) | Err(_) => {}
    }
    if !directory.is_dir() {
        // One that cannot be listed may be empty: then nothing is known of what is missing in it.
        let nearest = directory.ancestors().find(|ancestor| ancestor.is_dir()).unwrap();
        fs::read_dir(nearest).map_err(|error| of(&error))?;
        // With the whole project, or from a project that is still there.
        let has_project = directory.ancestors().any(|ancestor| ancestor.join("pyproject.toml").exists());
        return orphan(if has_project { "source" } else { "root" });
    }
    let names = fs::read_dir(directory).map_err(|error| of(&error))?;
    let is_other = |other: &PathBuf| {
        let other_name = other.file_name().unwrap().as_bytes();
        other_name != name && slot.holds(other_name) && other.is_file()
    };
    match names.map(|entry| entry.unwrap().path()).any(|path| is_other(&path)) {
        // The tree's bodies do not say which file they were compiled from.
        true => Err(("unknown", Some("ambiguous"))),
        false => orphan("source"),
    }
}

/// Whether the directory of sources can be listed and names the slot's usual source as a regular file.
fn is_listed(mirrored: &Path, slot: &Slot<'_>) -> bool {
    let names = fs::read_dir(mirrored.parent().unwrap()).into_iter().flatten().map(Result::unwrap);
    let usual = slot.usual_source();
    names.into_iter().any(|it| it.file_name().as_bytes() == usual && it.file_type().unwrap().is_file())
}

fn start(path: &Path) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    fs::File::open(path)?.take(16).read_to_end(&mut start)?;
    Ok(start)
}

/// `SourceLoader.get_code` on an entry with a timestamp, of CPython 3.12.
fn judge(start: &[u8], slot: &Slot<'_>, source: &fs::Metadata) -> Status {
    let number = |at: usize| u32::from_le_bytes(start[at..at + 4].try_into().unwrap());
    assert_eq!(name::python_of_tag(slot.tag), Some((3, 12)), "the tree has no other");
    if start.len() < 16 {
        return ("corrupt", Some("truncated"));
    }
    if start[2..4] != *b"\r\n" {
        return ("corrupt", Some("not-bytecode"));
    }
    if start[..2] != 3531_u16.to_le_bytes() {
        return ("stale", Some("magic"));
    }
    match number(4) {
        0 => {}
        1..=3 => panic!("the tree has no hashes"),
        _ => return ("stale", Some("flags")),
    }
    if i64::from(number(8)) != source.mtime() {
        return ("stale", Some("mtime"));
    }
    if u64::from(number(12)) != source.size() {
        return ("stale", Some("size"));
    }
    ("fresh", None)
}
