//! Checks of the binary's parsers for arbitrary bytes; those of the library are in `library.rs`.

#![allow(clippy::unwrap_used, reason = "a check panics where something is wrong")]

#[cfg(test)]
mod corpus;

use super::config::Configuration;
use pycstore::environment::Environment;
use pycstore::verdict::scope::Keep;
use std::path::{Component, Path};

/// Panics if the result for these bytes is wrong.
pub type Check = fn(&[u8]);

/// The checks by the names of their corpora.
pub const TARGETS: [(&str, Check); 1] = [("configuration", configuration)];

/// A configuration: valid values, or an error with a position in the file.
pub fn configuration(text: &[u8]) {
    let environment = Environment::of_test("/home/me");
    let parsed = Configuration::parse(Path::new("/c.toml"), text, &environment);
    let rows = text.split_inclusive(|&byte| byte == b'\n').count() + 1;
    match parsed {
        Ok(configuration) => {
            let Configuration { store, threads, keep, assume_gone, .. } = &configuration;
            assert!(threads.is_none_or(|threads| (1..=512).contains(&threads.value)));
            for path in store.iter().chain(assume_gone) {
                let is_plain = |it| matches!(it, Component::RootDir | Component::Normal(_));
                assert!(path.value.is_absolute() && path.value.components().all(is_plain));
            }
            // Each alone can be understood; all of them together may be more than a set takes.
            for glob in keep {
                Keep::check(&glob.value).unwrap();
            }
            let _ = Keep::of(keep.iter().map(|glob| glob.value.as_str()));
            let again = Configuration::parse(Path::new("/c.toml"), text, &environment).unwrap();
            assert_eq!(again, configuration);
        }
        Err(error) => {
            let shown = error.to_string();
            let mut place = shown.strip_prefix("/c.toml:").unwrap().splitn(3, ':');
            let line: usize = place.next().unwrap().parse().unwrap();
            let column: usize = place.next().unwrap().parse().unwrap();
            assert!((1..=rows).contains(&line) && (1..=text.len() + 1).contains(&column));
            assert!(!shown.contains(['\n', '\r']) && !error.hint().is_empty());
        }
    }
}

#[cfg(test)]
#[test]
fn the_corpus_is_answered() {
    corpus::assert_answered(&TARGETS);
}
