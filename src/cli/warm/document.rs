//! `warm --json`: what each interpreter compiled, and what could not be.

use pycstore::effect::compile::{Compilation, CompileFailure};
use pycstore::json::{PathField, SCHEMA};
use serde::Serialize;
use std::path::Path;

/// `warm --json`.
#[derive(Debug, Serialize)]
pub(super) struct WarmDocument<'a> {
    schema: u32,
    #[serde(flatten)]
    store: PathField<'a>,
    compiled: u64,
    fresh: u64,
    failed: u64,
    interpreters: Vec<InterpreterRow<'a>>,
    failures: Vec<FailureRow<'a>>,
    left: u64,
    reused: u64,
}

#[derive(Debug, Serialize)]
struct InterpreterRow<'a> {
    #[serde(flatten)]
    executable: PathField<'a>,
    tag: Option<&'a str>,
    compiled: u64,
    fresh: u64,
    failed: u64,
    reused: u64,
}

#[derive(Debug, Serialize)]
struct FailureRow<'a> {
    #[serde(flatten)]
    path: PathField<'a>,
    error: String,
}

impl<'a> WarmDocument<'a> {
    /// The document of a compilation into a store.
    pub(super) fn new(store: &'a Path, compilation: &'a Compilation) -> WarmDocument<'a> {
        let rows = compilation.rows.iter().map(|(executable, row)| InterpreterRow {
            executable: PathField::new("executable", executable),
            tag: Some(row.tag.as_str()).filter(|tag| !tag.is_empty()),
            compiled: row.compiled,
            fresh: row.fresh,
            failed: row.failed,
            reused: row.reused,
        });
        let failures = compilation.failures.iter().map(|failure| FailureRow {
            path: PathField::new("path", failure.path()),
            error: match failure {
                CompileFailure::Source { why, .. } => why.clone(),
                CompileFailure::Unreadable { source, .. }
                | CompileFailure::NotWritten { source, .. }
                | CompileFailure::Interpreter { source, .. } => source.to_string(),
            },
        });
        let rows: Vec<_> = rows.collect();
        WarmDocument {
            schema: SCHEMA,
            store: PathField::new("store", store),
            compiled: rows.iter().map(|row| row.compiled).sum(),
            fresh: rows.iter().map(|row| row.fresh).sum(),
            failed: rows.iter().map(|row| row.failed).sum(),
            reused: rows.iter().map(|row| row.reused).sum(),
            interpreters: rows,
            failures: failures.collect(),
            left: compilation.left,
        }
    }
}
