//! Resolves paths from the command line to paths of sources, in every spelling that the store mirrors.
//!
//! Every command accepts all spellings ([`pycstore::store::named`]).

use super::output::complain;
use super::session::{Opened, Session};
use pycstore::pyc::name;
use pycstore::store::entry::Entry;
use pycstore::store::named::real_of_source;
use pycstore::store::scan::{Question, Visit};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Paths of sources that the user named.
#[derive(Debug, Default)]
pub struct Named {
    /// All spellings of all of them.
    pub all: Vec<PathBuf>,
    /// The directories whose mirrors may have entries of sources at or below them: the spellings, and those beside links.
    pub mirrored: Vec<PathBuf>,
    /// The named paths without entries in the store.
    pub missing: Vec<PathBuf>,
}

/// Resolves the paths. A path inside the store is replaced by the source that it mirrors, with a note.
pub fn named(session: &Session, opened: &Opened, paths: &[PathBuf]) -> Named {
    let mut named = Named::default();
    for given in paths {
        let path = session.environment.absolute(given);
        let spellings = match opened.store.inside(&path) {
            Some(relative) => vec![source_of(session, opened, &path, &relative)],
            None => [opened.aliases().all_spellings(&path), as_text(session, given, &path)].concat(),
        };
        let mut mirrored = opened.aliases().beside_links(&real_of_source(&path));
        mirrored.retain(|beside| opened.store.mirrors(beside));
        if mirrored.is_empty() && !spellings.iter().any(|spelling| opened.store.mirrors(spelling)) {
            named.missing.push(path);
        }
        named.mirrored.extend(mirrored);
        named.mirrored.extend(spellings.iter().cloned());
        named.all.extend(spellings);
    }
    named
}

/// The path with `..` resolved as text, if that differs and does not exist. When Python opens `link/../x.py` the kernel
/// follows the link, but the store has no links: the entry is at the path of the text.
fn as_text(session: &Session, given: &Path, path: &Path) -> Vec<PathBuf> {
    let lexical = session.environment.lexical(given);
    let is_nothing_else = lexical != path && lexical.symlink_metadata().is_err();
    if is_nothing_else { vec![lexical] } else { Vec::new() }
}

/// The paths under which the store may have entries of a source: its spellings, or the source of an entry.
pub fn sources(session: &Session, opened: &Opened, given: &Path) -> Vec<PathBuf> {
    let path = session.environment.absolute(given);
    if let Some(relative) = opened.store.inside(&path) {
        return vec![source_of(session, opened, &path, &relative)];
    }
    let real = real_of_source(&path);
    let mut others = opened.aliases().spellings(&real);
    others.insert(0, real);
    others.extend(as_text(session, given, &path));
    let mut sources = vec![path];
    for other in others {
        if !sources.contains(&other) {
            sources.push(other);
        }
    }
    sources
}

/// Reads one entry given by its path; reports why if there is none.
pub fn with_entry<R>(
    session: &Session,
    opened: &Opened,
    path_given: &Path,
    question: Question,
    answer: impl FnOnce(&Visit<'_>, &Entry<'_>) -> R,
) -> Option<R> {
    let absolute = session.environment.absolute(path_given);
    let Some(relative) = opened.store.inside(&absolute) else {
        let store = opened.store.path().display();
        let message = format!("{} is not in the store {store}", absolute.display());
        complain::advise(
            &message,
            "to list the entries of a source: pycstore which SOURCE; of a directory: pycstore ls --under DIR",
        );
        return None;
    };
    match opened.scan(question).one(relative.as_os_str().as_bytes(), answer) {
        Ok(Some(answer)) => Some(answer),
        Ok(None) => {
            complain::note(&format!("no such entry: {}", absolute.display()));
            None
        }
        Err(trouble) => {
            complain::problem(&trouble);
            None
        }
    }
}

/// The source that a path in the store mirrors.
fn source_of(session: &Session, opened: &Opened, path: &Path, relative: &Path) -> PathBuf {
    let found = opened
        .scan(Question::Orphans)
        .one(relative.as_os_str().as_bytes(), |visit, entry| entry.source_path(&visit.source_directory()));
    let source = match found {
        Ok(Some(Some(source))) => source,
        _ => pycstore::store::aliases::source_of(relative),
    };
    let path = path.display();
    session.note(&match source.parent() {
        Some(_) => format!("{path} is in the store: using its source {}", source.display()),
        None => format!("{path} is the store: selecting all sources"),
    });
    source
}

impl Named {
    /// Reports the paths without entries in the store; returns whether there are any.
    pub fn note_missing(&self, session: &Session) -> bool {
        if !session.global.quiet {
            for path in &self.missing {
                note_with_tilde_hint(&format!("no entry has a source at or below {}", path.display()), path);
            }
        }
        !self.missing.is_empty()
    }
}

/// Reports that nothing was found for a path, with a hint if it has an unexpanded `~`.
fn note_with_tilde_hint(message: &str, path: &Path) {
    if path.components().any(|component| component.as_os_str() == "~") {
        complain::advise(message, "a quoted `~` is not expanded: use $HOME");
    } else {
        complain::note(message);
    }
}

/// Reports that the store has no entry of a source, with a hint if the path is a directory.
pub fn note_no_entry(opened: &Opened, source: &Path) {
    let message = format!("no entry for {} in {}", source.display(), opened.store.path().display());
    let relative = name::mirror_of(source);
    if source.is_dir() || opened.store.directory(relative).is_ok() {
        complain::advise(&message, "to list the entries below a directory: pycstore ls --under DIR");
    } else {
        note_with_tilde_hint(&message, source);
    }
}

/// Reports that no entry has a tag, with a hint if another spelling is a tag.
pub fn note_no_tag(tag: &str) {
    let message = format!("no entry has the tag {tag}");
    match meant_tag(tag) {
        Some(meant) => complain::advise(&message, &format!("did you mean the tag {meant}?")),
        None => complain::note(&message),
    }
}

/// The cache tag that was meant by `3.12`, `py312` or `cpython-3.12`.
pub fn meant_tag(tag: &str) -> Option<String> {
    let is_pypy = tag.to_ascii_lowercase().starts_with("pypy");
    let digits: String = tag.chars().filter(char::is_ascii_digit).collect();
    let meant = if is_pypy { format!("pypy{digits}") } else { format!("cpython-{digits}") };
    let is_other = !tag.to_ascii_lowercase().starts_with("graalpy") && meant != tag;
    (is_other && digits.len() >= 2 && digits.starts_with('3')).then_some(meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_spellings_of_a_tag_are_understood() {
        for tag in ["cpython-3.12", "3.12", "312", "py312", "cp312", "cpyton-312", "CPython-3.12"] {
            assert_eq!(meant_tag(tag).as_deref(), Some("cpython-312"), "{tag}");
        }
        assert_eq!(meant_tag("pypy3.9").as_deref(), Some("pypy39"));
        for tag in ["cpython-312", "pypy39", "graalpy240-311", "nonsense", "2.7"] {
            assert_eq!(meant_tag(tag), None, "{tag}");
        }
    }
}
