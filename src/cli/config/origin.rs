//! Where a value comes from.

use std::path::Path;

/// Where a value comes from, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// This option of the command line.
    Flag(&'static str),
    /// This variable of the environment.
    Variable(&'static str),
    /// This line of the configuration file, counted from 1.
    File {
        line: usize,
    },
    Default,
}

/// A value and its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sourced<T> {
    pub value: T,
    /// Where it comes from.
    pub origin: Origin,
}

impl Origin {
    /// In a table: `--store`, `PYTHONPYCACHEPREFIX`, `line 3`, `default`.
    pub fn short(self) -> String {
        match self {
            Origin::Flag(name) | Origin::Variable(name) => name.into(),
            Origin::File { line } => format!("line {line}"),
            Origin::Default => "default".into(),
        }
    }

    /// In a sentence, where `file` is the configuration file: `--store`, `/home/me/.config/…/config.toml:3`.
    pub fn long(self, file: Option<&Path>) -> String {
        match (self, file) {
            (Origin::File { line }, Some(file)) => format!("{}:{line}", file.display()),
            (Origin::Default, _) => "the default".into(),
            (origin, _) => origin.short(),
        }
    }
}

impl<T> Sourced<T> {
    /// Returns a default value.
    pub fn default(value: T) -> Sourced<T> {
        Sourced { value, origin: Origin::Default }
    }

    /// The same origin with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Sourced<U> {
        Sourced { value: change(self.value), origin: self.origin }
    }
}
