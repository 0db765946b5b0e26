//! What each value finally is: flag, else variable, else file, else default; and where it comes from.

use super::origin::{Origin, Sourced};
use crate::cli::session::Session;
use std::path::{Path, PathBuf};

/// The store: `--store`, else `PYTHONPYCACHEPREFIX`, else the configuration, else `~/.cache/cpython`, there or not.
/// `None` without a home.
pub fn store(session: &Session) -> Sourced<Option<PathBuf>> {
    let environment = &session.environment;
    if let Some(path) = &session.global.store {
        return Sourced { value: Some(environment.absolute(path)), origin: Origin::Flag("--store") };
    }
    if let Some(prefix) = &environment.prefix {
        let value = Some(environment.absolute(Path::new(prefix)));
        return Sourced { value, origin: Origin::Variable("PYTHONPYCACHEPREFIX") };
    }
    match &session.configuration.store {
        Some(store) => store.clone().map(Some),
        None => Sourced::default(environment.home.as_ref().map(|home| home.join(".cache/cpython"))),
    }
}

/// The number of threads; `None` for as many as the disk can use.
pub fn threads(session: &Session) -> Sourced<Option<u16>> {
    match (session.global.threads, session.configuration.threads) {
        (Some(count), _) => Sourced { value: Some(count), origin: Origin::Flag("--threads") },
        (None, Some(configured)) => configured.map(Some),
        (None, None) => Sourced::default(None),
    }
}

/// The paths below which missing sources are gone: those of the command line and those of the configuration.
pub fn assumed_gone(session: &Session) -> Vec<Sourced<PathBuf>> {
    let flags = session.global.assume_gone.iter().map(|path| Sourced {
        value: session.environment.absolute(path),
        origin: Origin::Flag("--assume-gone"),
    });
    flags.chain(session.configuration.assume_gone.iter().cloned()).collect()
}
