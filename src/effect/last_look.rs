//! The last look at a file before it is removed: whether it and its source are still what the plan is based on. A dry run
//! takes the same look at what a plan has not read.

use crate::host::directory::{Directory, FileKind, Links, Metadata};
use crate::host::pool::{self, Threads};
use crate::pyc::header::looks_like_bytecode;
use crate::pyc::name::Name;
use crate::source::is_missing;
use crate::store::Store;
use crate::store::scan::{Trouble, compiled_name, may_be_file, may_record_a_source};
use crate::verdict::plan::{MOST_LOOKED_INTO, Plan, PlannedDirectory, Skipped};
use crate::verdict::policy::Spared;
use crate::verdict::premise::Premise;
use crate::verdict::victim::{Contents, Victim};
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

impl Victim {
    /// Whether the source is still what the plan is based on: a reason to keep the victim, or none.
    ///
    /// `mirrored` is the directory of sources that the victim's directory mirrors.
    pub(super) fn look_at_source(&self, mirrored: &Path) -> Option<Spared> {
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
    pub(super) fn look_at_recorded(
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
    pub(super) fn look_again(&self, directory: &Directory) -> io::Result<Option<Spared>> {
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

impl Plan {
    /// Looks into the victims whose first bytes are to be read, as the executor does, and strikes out what is no
    /// bytecode: for a plan that is only shown. Directories that keep such a file stay with it.
    ///
    /// More than [`MOST_LOOKED_INTO`] files are not looked into, for that takes longer than all the rest; nor are those
    /// that an [`crate::verdict::plan::Overflow`] took. Returns how many were not. What cannot be read is added to the troubles.
    pub fn look_into(&mut self, store: &Store, threads: Threads) -> u64 {
        let unread_files = self.directories.iter().map(PlannedDirectory::unread).sum::<u64>();
        if self.gone_unread + unread_files > MOST_LOOKED_INTO {
            return self.gone_unread + unread_files;
        }
        let look = |found: &mut Vec<LookedInto>, planned: &PlannedDirectory, _: &mut _| {
            let looked = LookedInto::look(store, planned);
            if !looked.spared.is_empty() || !looked.troubles.is_empty() {
                found.push(looked);
            }
        };
        let jobs: Vec<&PlannedDirectory> =
            self.directories.iter().filter(|planned| planned.unread() > 0).collect();
        let threads = threads.for_jobs(jobs.len());
        let found = pool::run(threads, jobs, Vec::new, look, || {}).into_iter().flatten();
        let mut spared_in: HashMap<Box<[u8]>, HashSet<Box<[u8]>>> = HashMap::new();
        for LookedInto { relative, spared, troubles } in found {
            self.troubles.extend(troubles);
            if !spared.is_empty() {
                let shown = spared.iter().map(|(name, why)| (store.shown(&relative, name), *why));
                self.skipped.extend(shown.map(|(path, why)| Skipped { path, why }));
                spared_in.insert(relative, spared.into_iter().map(|(name, _)| name).collect());
            }
        }
        self.strike_out(&spared_in);
        self.skipped.sort();
        self.troubles.sort_by(|one, other| one.path().cmp(other.path()));
        self.gone_unread
    }
}

/// What a look into one directory's victims found.
struct LookedInto {
    relative: Box<[u8]>,
    spared: Vec<(Box<[u8]>, Spared)>,
    troubles: Vec<Trouble>,
}

impl LookedInto {
    /// Looks at the victims as the executor does. What vanished meanwhile is nothing to report.
    fn look(store: &Store, planned: &PlannedDirectory) -> LookedInto {
        let (mut spared, mut troubles) = (Vec::new(), Vec::new());
        let path = |name: &[u8]| store.shown(&planned.relative, name);
        match store.directory(&planned.relative) {
            Ok(directory) => {
                for victim in &planned.victims {
                    match victim.look_again(&directory) {
                        Ok(None) => {}
                        Ok(Some(why)) => spared.push((victim.name.clone(), why)),
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        Err(source) => troubles.push(Trouble::File { path: path(&victim.name), source }),
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => troubles.push(Trouble::Directory { path: path(b""), source }),
        }
        LookedInto { relative: planned.relative.clone(), spared, troubles }
    }
}
