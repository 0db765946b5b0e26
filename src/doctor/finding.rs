//! One thing that `doctor` found, and what to do about it.

use serde::Serialize;
use std::path::PathBuf;

/// Severity, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Python may run code of other users, or the store is not the one that the user expects.
    Error,
    /// Something does not work as it should.
    Warning,
    /// Worth knowing; nothing is wrong.
    Note,
}

impl Severity {
    /// The name in the output and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// What was found. Findings of one severity come in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The configuration cannot be used.
    Configuration,
    /// A value with a `~` or `$` that nothing expands.
    Unexpanded,
    /// A value that is no absolute path.
    Relative,
    /// The store is a directory that pycstore refuses.
    Refused,
    /// The directory of the store is one that other programs use too.
    Shared,
    /// A directory on the way to the store that others may change.
    Ancestor,
    /// The store belongs to another user.
    Owner,
    /// Parts of the store belong to root or another user.
    ForeignParts,
    /// Parts of the store that others may write to.
    Writable,
    /// The variable is not set where it should be.
    Unset,
    /// An empty value.
    Empty,
    /// The variable is set but not exported.
    NotExported,
    /// Two places name different stores.
    Drift,
    /// `PYTHONDONTWRITEBYTECODE` is set.
    Masked,
    /// A shell did not answer.
    NoAnswer,
    /// The store is not there yet.
    Missing,
    /// The store is on a file system that cannot be written.
    ReadOnly,
    /// The file system is full, or nearly.
    Full,
    /// Something of the store cannot be read.
    Unreadable,
    /// A directory that is called `~`.
    LiteralTilde,
    /// An interpreter does not use the store, or could not be asked.
    Interpreter,
    /// The runs of `prune`.
    Schedule,
    /// The store is on another machine.
    Network,
    /// The mount keeps no access times.
    Noatime,
    /// Left over from interrupted writes.
    Temporary,
    /// Damaged entries.
    Corrupt,
    /// What a prune would remove.
    Reclaimable,
    /// Equal entries that `share` would make links of one file.
    Shareable,
    /// `__pycache__` in the current project.
    InTree,
    /// Another store.
    OtherStore,
}

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Its kind.
    pub kind: Kind,
    /// The path that it is about, if any.
    pub path: Option<PathBuf>,
    /// What was found, in one line.
    pub detail: String,
    /// What to do, in one line: usually a command.
    pub hint: String,
}

impl Finding {
    /// A finding about no path in particular.
    pub fn new(
        severity: Severity,
        kind: Kind,
        detail: impl Into<String>,
        hint: impl Into<String>,
    ) -> Finding {
        Finding { severity, kind, path: None, detail: detail.into(), hint: hint.into() }
    }

    /// The same about a path.
    #[must_use]
    pub fn at(self, path: impl Into<PathBuf>) -> Finding {
        Finding { path: Some(path.into()), ..self }
    }
}

/// `severity kind`, for tests.
#[cfg(test)]
pub fn named(finding: &Finding) -> String {
    let kind = crate::json::embedded(&finding.kind).unwrap();
    format!("{} {}", finding.severity.name(), kind.trim_matches('"'))
}

/// Puts the worst first.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by(|one, other| {
        let key = |it: &Finding| (it.severity, it.kind);
        key(one).cmp(&key(other)).then_with(|| one.path.cmp(&other.path))
    });
}
