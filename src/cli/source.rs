//! `pycstore source`: the source of an entry.

use super::args::SourceOptions;
use super::output::{complain, path};
use super::paths;
use super::session::{Opened, Session};
use pycstore::exit::Exit;
use pycstore::store::Purpose;
use pycstore::store::scan::Question;
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Runs `pycstore source`.
pub fn run(session: &Session, options: &SourceOptions) -> anyhow::Result<Exit> {
    let opened = session.open(Purpose::Look)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut all_found = true;
    for path_given in &options.entries {
        let found = with_entry(session, &opened, path_given, Question::Orphans, |visit, entry| {
            entry.source_path(&visit.source_directory())
        });
        match found {
            Some(Some(source)) => {
                out.write_all(&path::shown(&source, &session.terminal))?;
                out.write_all(b"\n")?;
            }
            Some(None) => {
                all_found = false;
                complain::note(&format!(
                    "{} is nothing that Python writes into a store",
                    path_given.display()
                ));
            }
            None => all_found = false,
        }
    }
    out.flush()?;
    Ok(Exit::complete_if(all_found))
}

/// Looks at one entry given by its path; says what is wrong when there is none.
pub fn with_entry<R>(
    session: &Session,
    opened: &Opened,
    path_given: &Path,
    question: Question,
    answer: impl FnOnce(&pycstore::store::scan::Visit<'_>, &pycstore::store::entry::Entry<'_>) -> R,
) -> Option<R> {
    let absolute = session.environment.absolute(path_given);
    let Some(relative) = paths::inside(opened, &absolute) else {
        let store = opened.store.path().display();
        let message = format!("{} is not in the store {store}", absolute.display());
        complain::advise(
            &message,
            "the entries of a source: pycstore which SOURCE; below a directory: pycstore ls --under DIR",
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
