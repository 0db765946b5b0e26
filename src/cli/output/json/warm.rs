//! `warm --json`: what each interpreter compiled, and what could not be.

use super::{SCHEMA, bytes, text};
use pycstore::effect::compile::{Compilation, Failure};
use serde::Serialize;
use std::path::Path;

/// `warm --json`.
#[derive(Debug, Serialize)]
pub struct WarmDocument {
    schema: u32,
    store: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    store_bytes: Option<String>,
    compiled: u64,
    fresh: u64,
    failed: u64,
    interpreters: Vec<InterpreterRow>,
    failures: Vec<FailureRow>,
    left: u64,
}

#[derive(Debug, Serialize)]
struct InterpreterRow {
    executable: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    executable_bytes: Option<String>,
    tag: Option<String>,
    compiled: u64,
    fresh: u64,
    failed: u64,
}

#[derive(Debug, Serialize)]
struct FailureRow {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    error: String,
}

impl WarmDocument {
    /// The document of what was compiled into a store.
    pub fn new(store: &Path, compilation: &Compilation) -> WarmDocument {
        let sum =
            |count: fn(&pycstore::effect::compile::Row) -> u64| compilation.rows.values().map(count).sum();
        let rows = compilation.rows.iter().map(|(executable, row)| InterpreterRow {
            executable: text(executable),
            executable_bytes: bytes(executable),
            tag: Some(row.tag.clone()).filter(|tag| !tag.is_empty()),
            compiled: row.compiled,
            fresh: row.fresh,
            failed: row.failed,
        });
        let failures = compilation.failures.iter().map(|failure| FailureRow {
            path: text(failure.path()),
            path_bytes: bytes(failure.path()),
            error: match failure {
                Failure::Source { why, .. } => why.clone(),
                Failure::Unreadable { source, .. }
                | Failure::NotWritten { source, .. }
                | Failure::Interpreter { source, .. } => source.to_string(),
            },
        });
        WarmDocument {
            schema: SCHEMA,
            store: text(store),
            store_bytes: bytes(store),
            compiled: sum(|row| row.compiled),
            fresh: sum(|row| row.fresh),
            failed: sum(|row| row.failed),
            interpreters: rows.collect(),
            failures: failures.collect(),
            left: compilation.left,
        }
    }
}
