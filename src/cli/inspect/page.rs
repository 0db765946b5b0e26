//! The lines about one entry, as text.

use super::links::OtherLinks;
use super::{hexadecimal, witness_of};
use crate::cli::output::path;
use crate::cli::output::style::{Style, Tone};
use crate::cli::session::Session;
use pycstore::host::directory::Metadata;
use pycstore::host::volumes::AccessTimes;
use pycstore::pyc::magic::Release;
use pycstore::pyc::name::{Name, Slot};
use pycstore::pyc::{Header, InvalidationMode, Magic, Malformed, header};
use pycstore::source::owner::{Life, Owner};
use pycstore::source::witness::{Change, ChangeKind, Witness};
use pycstore::source::{Source, SourceFile, Why};
use pycstore::store::body::Body;
use pycstore::store::entry::{Content, Entry};
use pycstore::units::{Moment, date, human};
use pycstore::verdict::inspector::moved;
use pycstore::verdict::status::{Corrupt, Status};
use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// An entry that is shown.
#[derive(Clone, Copy)]
pub(super) struct Inspected<'a> {
    /// Its path, as it was given.
    pub shown: &'a Path,
    /// Its facts.
    pub entry: &'a Entry<'a>,
    /// Its status, the body included.
    pub status: Status,
    /// The path of its usual source.
    pub source: Option<&'a Path>,
    pub owner: &'a Owner,
    /// The other links of its file.
    pub others: Option<&'a OtherLinks<'a>>,
}

/// The lines about one entry.
pub(super) struct Page<'a> {
    pub session: &'a Session,
    pub style: Style,
    pub access_times: AccessTimes,
    pub out: &'a mut dyn Write,
}

impl Page<'_> {
    /// Writes the lines of an entry and its body.
    pub(super) fn print(
        &mut self,
        inspected: &Inspected<'_>,
        body: Option<&(Body, Option<i32>)>,
    ) -> io::Result<()> {
        let Inspected { shown, entry, status, source, owner, others } = *inspected;
        let terminal = &self.session.terminal;
        let heading = self.style.paint(&path::shown(shown, terminal), Tone::Heading);
        self.out.write_all(&heading)?;
        self.out.write_all(b"\n")?;
        self.line("status", &status.to_string())?;
        self.line("next import", &next_import(entry, status))?;
        if let Some(slot) = entry.parsed.slot() {
            self.source(entry, source)?;
            self.slot(&slot)?;
        }
        self.content(&entry.content)?;
        if let Some(metadata) = entry.metadata {
            self.file(&metadata)?;
            self.links(metadata.links, others)?;
        }
        if entry.parsed != Name::Foreign {
            self.owner(owner)?;
        }
        match (body, entry.metadata) {
            (Some((body, last_line)), Some(metadata)) => {
                // If the entry records its source, both paths name the same file: it was not moved. The path in a
                // shared file may be that of another link.
                let mirrored = source.filter(|_| entry.recorded.is_none() && metadata.links < 2);
                self.body(body, *last_line, mirrored, metadata.bytes)
            }
            _ => Ok(()),
        }
    }

    fn source(&mut self, entry: &Entry<'_>, source: Option<&Path>) -> io::Result<()> {
        if let Some(source) = source {
            self.path_line("source", source)?;
        }
        if let Some(witness) = source.and_then(|source| witness_of(entry, source)) {
            self.witness(&witness, entry.source)?;
        }
        if let Source::Present(file) = &entry.source {
            self.line("  mtime", &seconds(file.python_mtime))?;
            self.line("  size", &format!("{} bytes", human::count(file.bytes)))?;
            self.hash_line(file)?;
        }
        Ok(())
    }

    fn slot(&mut self, slot: &Slot<'_>) -> io::Result<()> {
        let python =
            slot.python().map_or(String::new(), |(major, minor)| format!(" (Python {major}.{minor})"));
        self.line("tag", &format!("{}{python}", slot.tag))?;
        let optimization = if slot.optimization.is_empty() { "none" } else { slot.optimization };
        self.line("optimization", optimization)?;
        slot.pytest.map_or(Ok(()), |version| self.line("pytest", version))
    }

    fn content(&mut self, content: &Content) -> io::Result<()> {
        match content {
            Content::Read(Ok(header), _) => self.header(header),
            Content::Read(Err(Malformed::Truncated), _) => self.line("header", "none: fewer than 16 bytes"),
            Content::Read(Err(Malformed::NotBytecode), _) => {
                self.line("header", "none: bytes 2-3 are not \\r\\n")
            }
            Content::Unreadable(_) => self.line("header", "cannot be read"),
            Content::NotRead => Ok(()),
        }
    }

    fn file(&mut self, metadata: &Metadata) -> io::Result<()> {
        let sizes = format!("{} bytes, {} on disk", human::count(metadata.bytes), human::size(metadata.disk));
        self.line("file", &sizes)?;
        self.line("  modified", &date::local(metadata.modified))?;
        self.line("  accessed", &self.accessed(metadata))
    }

    fn links(&mut self, links: u64, others: Option<&OtherLinks<'_>>) -> io::Result<()> {
        if links > 1 {
            self.line("  hard links", &human::count(links))?;
        }
        let Some(OtherLinks { count, first }) = others else { return Ok(()) };
        for (index, path) in first.iter().enumerate() {
            self.path_line(if index == 0 { "  shared with" } else { "" }, path)?;
        }
        match count.saturating_sub(first.len() as u64) {
            0 => {}
            more => self.line("", &format!("and {} more", human::count(more)))?,
        }
        self.line("", "(Python corrects co_filename when it loads the entry)")
    }

    fn owner(&mut self, owner: &Owner) -> io::Result<()> {
        let gone = if owner.life == Life::Gone { ", gone" } else { "" };
        self.path_line(&format!("owner ({}{gone})", owner.kind.name()), &owner.root)?;
        match &owner.environment {
            Some(environment) if *environment != owner.root => self.path_line("  environment", environment),
            _ => Ok(()),
        }
    }

    /// The evidence for or against the deletion of a missing source.
    fn witness(&mut self, witness: &Witness, source: Source) -> io::Result<()> {
        let name = witness.missing.clone().unwrap_or_default();
        let mut missing = path::shown(Path::new(&name), &self.session.terminal);
        missing.extend(b" in ");
        missing.extend(path::shown(&witness.directory, &self.session.terminal));
        let is_empty = || std::fs::read_dir(&witness.directory).is_ok_and(|mut names| names.next().is_none());
        if source == Source::Unreachable(Why::Unmounted) && is_empty() {
            missing.extend(b" (empty: may be a mount point)");
        }
        self.bytes_line("  missing", &missing)?;
        let Change { moment, path: changed, kind } = &witness.last_change;
        let mut change = format!("{}, ", date::local(*moment)).into_bytes();
        change.extend(
            match kind {
                ChangeKind::Names => "contents of ",
                ChangeKind::Link => "symbolic link ",
                ChangeKind::PutInPlace => "possible rename of ",
            }
            .bytes(),
        );
        change.extend(path::shown(changed, &self.session.terminal));
        self.bytes_line("  last change", &change)
    }

    /// When a file was last read, if its mount keeps access times.
    fn accessed(&self, metadata: &Metadata) -> String {
        let is_read = metadata.accessed > metadata.modified;
        let remark = match self.access_times {
            AccessTimes::Lost => return "unknown: the mount does not record access times".into(),
            _ if is_read => "",
            AccessTimes::Kept => " (not read since it was written)",
            AccessTimes::Partial => {
                " (may have been read since: this file system does not record every read)"
            }
        };
        format!("{}{remark}", date::local(metadata.accessed))
    }

    fn header(&mut self, header: &Header) -> io::Result<()> {
        self.line("magic", &format!("{} ({})", header.magic.number(), written_by(header.magic)))?;
        let mode = match header.flags_are_known() {
            true => header.invalidation_mode().name(),
            false => "unknown flags",
        };
        self.line("flags", &format!("{:#x} ({mode})", header.flags))?;
        if header.invalidation_mode() == InvalidationMode::Timestamp {
            self.line("recorded mtime", &seconds(i64::from(header.source_mtime())))?;
            self.line("recorded size", &format!("{} bytes", human::count(u64::from(header.source_size()))))
        } else {
            self.line("recorded hash", &hexadecimal(&header.pin))
        }
    }

    /// Writes the metadata of the code object; `bytes` is the entry's length.
    fn body(
        &mut self,
        body: &Body,
        last_line: Option<i32>,
        source: Option<&Path>,
        bytes: u64,
    ) -> io::Result<()> {
        let walked = match body {
            Body::Loadable(walked) => walked,
            Body::Faulty(fault) => return self.line("body", &format!("cannot be loaded: {fault}")),
            Body::NotChecked => return self.line("body", "not checked: unknown format"),
        };
        let codes = human::counted(u64::from(walked.codes), "code object");
        let last_line = last_line.unwrap_or(walked.first_line);
        self.line("body", &format!("{codes}, lines {}-{last_line}", walked.first_line))?;
        let name = path::shown(Path::new(OsStr::from_bytes(&walked.name)), &self.session.terminal);
        self.bytes_line("  name", &name)?;
        let filename = Path::new(OsStr::from_bytes(&walked.filename));
        let mut compiled = path::shown(filename, &self.session.terminal);
        if source.is_some_and(|source| moved(&walked.filename, source).is_some()) {
            compiled.extend(b" (moved since)");
        }
        self.bytes_line("  compiled from", &compiled)?;
        match bytes.saturating_sub((header::LENGTH + walked.length) as u64) {
            0 => Ok(()),
            more => self.line("  trailing data", &format!("{} bytes, ignored by Python", human::count(more))),
        }
    }

    fn hash_line(&mut self, file: &SourceFile) -> io::Result<()> {
        match file.hash {
            Some(Ok(hash)) => self.line("  hash", &hexadecimal(&hash)),
            Some(Err(why)) => self.line("  hash", &format!("cannot be read ({})", why.name())),
            None => Ok(()),
        }
    }

    fn line(&mut self, name: &str, value: &str) -> io::Result<()> {
        writeln!(self.out, "  {name:<20} {}", path::text_shown(value, &self.session.terminal))
    }

    fn path_line(&mut self, name: &str, value: &Path) -> io::Result<()> {
        self.bytes_line(name, &path::shown(value, &self.session.terminal))
    }

    fn bytes_line(&mut self, name: &str, value: &[u8]) -> io::Result<()> {
        write!(self.out, "  {name:<20} ")?;
        self.out.write_all(value)?;
        self.out.write_all(b"\n")
    }
}

/// Describes what the interpreter of the entry's tag does at the next import of its source.
fn next_import(entry: &Entry<'_>, status: Status) -> String {
    let loader = entry.parsed.slot().map_or_else(|| "Python".into(), |slot| loader(&slot));
    match status {
        Status::Fresh => format!("{loader} loads it"),
        Status::Corrupt(Corrupt::Body) => {
            format!("{loader} fails at every import until the entry is removed: pycstore verify --fix")
        }
        Status::Stale(_) | Status::Corrupt(_) => {
            format!("{loader} recompiles the source and replaces the entry")
        }
        Status::Orphan(_) => "never loaded: its source was deleted".into(),
        Status::Unknown(why) => cannot_tell(why).into(),
        Status::Temporary => "never loaded, and never removed by Python".into(),
        Status::Foreign => "ignored by Python".into(),
    }
}

/// Describes why it is unknown what Python does with an entry.
fn cannot_tell(why: Why) -> &'static str {
    match why {
        Why::NoTrace => {
            "unknown: its source is missing, but nothing on the path changed since the entry was written"
        }
        Why::Unmounted => "unknown: its source may be on a disk that is not mounted",
        Why::OtherHost => "unknown: its source may be on another machine or in a container",
        Why::Archive => "unknown: its source may be in an archive",
        Why::Magic => "unknown: its magic number or cache tag is not known to this version",
        Why::Ambiguous => "unknown: several files could be its source",
        Why::Permission | Why::Loop | Why::StaleHandle | Why::TooLarge | Why::Io => {
            "unknown: its source cannot be accessed"
        }
    }
}

/// Which program reads entries with this name: `Python 3.12 -O`, `PyPy 3.9`, `pytest 9.2.0 on Python 3.11`.
fn loader(slot: &Slot<'_>) -> String {
    let implementation = match slot.tag {
        tag if tag.starts_with("pypy") => "PyPy",
        tag if tag.starts_with("graalpy") => "GraalPy",
        _ => "Python",
    };
    let version = slot.python().map_or(String::new(), |(major, minor)| format!(" {major}.{minor}"));
    let python = format!("{implementation}{version}");
    match (slot.pytest, slot.optimization) {
        (Some(pytest), _) => format!("pytest {pytest} on {python}"),
        (None, "") => python,
        (None, "1") => format!("{python} -O"),
        (None, "2") => format!("{python} -OO"),
        (None, rewriter) => format!("{rewriter} on {python}"),
    }
}

/// The Python of a magic number.
fn written_by(magic: Magic) -> String {
    match magic.cpython() {
        Some((minor, Release::PreRelease)) => format!("a pre-release of Python 3.{minor}"),
        Some((minor, Release::Final)) => format!("Python 3.{minor}"),
        Some((minor, Release::Newer)) => format!("probably Python 3.{minor}, unknown to this version"),
        None => match magic.pypy() {
            Some((major, minor)) => format!("PyPy {major}.{minor}"),
            None => "unknown to this version".into(),
        },
    }
}

fn seconds(seconds: i64) -> String {
    format!("{seconds} ({})", date::local(Moment { seconds, nanoseconds: 0 }))
}
