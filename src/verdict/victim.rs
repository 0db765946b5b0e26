//! A file to be removed: what it was when it was planned, and the look at it again before it goes.

use super::policy::Spared;
use super::premise::Premise;
use crate::host::directory::{Directory, FileKind, Links, Metadata};
use crate::pyc::header::looks_like_bytecode;
use crate::pyc::name::Name;
use crate::source::is_missing;
use crate::store::entry::{Content, Entry};
use crate::store::scan::{compiled_name, may_be_file, may_record_a_source};
use crate::units::Moment;
use crate::units::Tally;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A file to be removed, as it was when planned.
#[derive(Debug, Clone)]
pub struct Victim {
    /// Its name in the directory.
    pub name: Box<[u8]>,
    /// Whether its first bytes were read and may be bytecode's; else the executor reads them.
    pub contents: Contents,
    /// Device and inode.
    pub identity: (u64, u64),
    /// How many hard links it had.
    pub links: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// Room on disk in bytes.
    pub disk: u64,
    /// Last modification.
    pub modified: Moment,
    /// What has to be true still of its source when it is removed.
    pub premise: Premise,
}

/// Whether a victim's first bytes are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    /// They were read, and the policy may remove such a file.
    Known,
    /// They are to be read before it is removed.
    ToBeRead,
}

impl Victim {
    /// What it takes.
    pub fn size(&self) -> Tally {
        Tally::file(self.bytes, self.disk)
    }

    /// What its removal frees in any case: of a file with several links no bytes, since a link may stay
    /// ([`LinkedVictims`](super::links::LinkedVictims)).
    pub fn tally(&self) -> Tally {
        if self.links > 1 { Tally::file(0, 0) } else { self.size() }
    }

    /// The file of an entry as it is to be removed; `None` where nothing is known of it.
    pub(crate) fn of(entry: &Entry<'_>) -> Option<Victim> {
        let metadata = entry.metadata?;
        Some(Victim {
            name: entry.name.into(),
            contents: match entry.content {
                Content::Read(..) => Contents::Known,
                Content::NotRead | Content::Unreadable(_) => Contents::ToBeRead,
            },
            identity: metadata.identity,
            links: metadata.links,
            bytes: metadata.bytes,
            disk: metadata.disk,
            modified: metadata.modified,
            premise: Premise::None,
        })
    }

    /// Whether the source is still what the plan is based on: a reason to keep the victim, or none.
    ///
    /// `mirrored` is the directory of sources that the victim's directory mirrors.
    pub(crate) fn look_at_source(&self, mirrored: &Path) -> Option<Spared> {
        let source = |path: &Option<Box<Path>>| match path {
            Some(path) => Some(mirrored.join(path)),
            None => Some(mirrored.join(OsStr::from_bytes(&Name::parse(&self.name).slot()?.usual_source()))),
        };
        let missing = |path: &Path, is_wanted: fn(&std::fs::Metadata) -> bool| match std::fs::metadata(path) {
            Ok(metadata) if is_wanted(&metadata) => Some(Spared::SourceReturned),
            Ok(_) => None,
            Err(error) if is_missing(&error) => None,
            Err(_) => Some(Spared::SourceChanged),
        };
        match &self.premise {
            Premise::None => None,
            Premise::DirectoryMissing => missing(mirrored, std::fs::Metadata::is_dir),
            Premise::SourceMissing(path) => missing(&source(path)?, std::fs::Metadata::is_file),
            Premise::SourceUnchanged(source_then) => {
                let (path, modified, bytes) = &**source_then;
                let is_same = |now: &std::fs::Metadata| {
                    let time = (now.mtime(), now.mtime_nsec());
                    now.is_file()
                        && time == (modified.seconds, i64::from(modified.nanoseconds))
                        && now.len() == *bytes
                };
                let is_same = std::fs::metadata(source(path)?).is_ok_and(|now| is_same(&now));
                (!is_same).then_some(Spared::SourceChanged)
            }
        }
    }

    /// Whether a source exists that the entry itself records, and that its path does not lead to: a reason to keep the
    /// victim, or none.
    ///
    /// # Errors
    /// What the system says; ENOENT when it is gone already.
    pub(crate) fn look_at_recorded(
        &self,
        directory: &Directory,
        mirrored: &Path,
    ) -> io::Result<Option<Spared>> {
        let Some(slot) = Name::parse(&self.name).slot() else { return Ok(None) };
        let is_recorded = match self.premise {
            Premise::DirectoryMissing => may_record_a_source(directory, &self.name, &slot, self.bytes)?,
            // `m.pyw` and `m.hy` share the slot of `m.py`.
            Premise::SourceMissing(None) => {
                may_record_a_source(directory, &self.name, &slot, self.bytes)?
                    || compiled_name(directory, &self.name, &slot).is_some_and(|name| {
                        slot.holds(&name) && may_be_file(&mirrored.join(OsStr::from_bytes(&name)))
                    })
            }
            _ => false,
        };
        Ok(is_recorded.then_some(Spared::SourceRecorded))
    }

    /// Looks at it again in its directory: a reason to keep it, or none.
    ///
    /// # Errors
    /// What the system says; ENOENT when it is gone already.
    pub(crate) fn look_again(&self, directory: &Directory) -> io::Result<Option<Spared>> {
        let is_same = |now: &Metadata| {
            now.kind == FileKind::Regular
                && now.identity == self.identity
                && now.bytes == self.bytes
                && now.modified == self.modified
        };
        let mut start = [0; 4];
        let (now, start) = if self.contents == Contents::Known {
            (directory.metadata(&self.name, Links::Keep)?, None)
        } else {
            match directory.read_start(&self.name, &mut start) {
                Ok((metadata, start)) => (metadata, Some(start)),
                // A link, a directory or a socket may stand where the file was.
                Err(error) => match directory.metadata(&self.name, Links::Keep)? {
                    now if !is_same(&now) => return Ok(Some(Spared::Changed)),
                    _ if error.kind() == io::ErrorKind::PermissionDenied => {
                        return Ok(Some(Spared::Unreadable));
                    }
                    _ => return Err(error),
                },
            }
        };
        Ok(match start {
            _ if !is_same(&now) => Some(Spared::Changed),
            Some(start) if !looks_like_bytecode(start) => Some(Spared::NotBytecode),
            _ => None,
        })
    }
}
