//! A run as one text for an inline snapshot: exit code, standard output, standard error.
//!
//! What differs from machine to machine and from run to run has a name in capitals instead: temporary directories, the
//! program's and the interpreters' paths, versions of Python, sizes, dates, process ids, hashes. Columns have two spaces between them.

use super::Answer;
use regex::{Captures, Regex};
use std::sync::OnceLock;

impl Answer {
    /// The run for `insta::assert_snapshot!`.
    pub fn shown(&self) -> String {
        let whole_lines = |text: &str| match text {
            "" => String::new(),
            text if text.ends_with('\n') => text.to_string(),
            text => format!("{text}[no newline]\n"),
        };
        let Answer { code, stdout, stderr } = self;
        let [stdout, stderr] = [whole_lines(stdout), whole_lines(stderr)];
        neutral(&format!("exit: {code}\n----- stdout -----\n{stdout}----- stderr -----\n{stderr}"))
    }
}

/// Text that is the same on every machine and in every run.
pub(super) fn neutral(text: &str) -> String {
    static PYTHON: OnceLock<Regex> = OnceLock::new();
    let python = PYTHON.get_or_init(|| Regex::new(r"(/[\w.+-]+)+/bin/python3(\.\d+)?\b").unwrap());
    // Those of a test keep their place.
    let machines = |found: &Captures| match &found[0] {
        path if path.contains("/.tmp") => path.to_string(),
        _ => "PYTHON".to_string(),
    };
    let text = text.replace(env!("CARGO_BIN_EXE_pycstore"), "PYCSTORE");
    let mut text = python.replace_all(&text, machines).into_owned();
    for (pattern, replacement) in patterns() {
        text = pattern.replace_all(&text, *replacement).into_owned();
    }
    text
}

fn patterns() -> &'static [(Regex, &'static str)] {
    static PATTERNS: OnceLock<Vec<(Regex, &'static str)>> = OnceLock::new();
    PATTERNS.get_or_init(|| {
        let temporary = std::env::temp_dir().canonicalize().unwrap();
        let temporary = format!(r"{}/\.tmp\w{{6}}", regex::escape(temporary.to_str().unwrap()));
        [
            (temporary.as_str(), ""),
            (r"\bprocess \d+\b", "process PID"),
            (r"\(python[0-9.]*\)", "(python)"),
            (r"\b(cpython-|CPython |Python |python)3\.?\d+(\.\d+)?", "${1}3.N"),
            (r"\b\d+(\.\d+)? ([KMG]i)?B\b", "SIZE"),
            (r" +SIZE\b", " SIZE"),
            (r"(?m)^ SIZE\b", "SIZE"),
            (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?( ?(Z|UTC|[+-]\d\d:\d\d))?", "DATE"),
            (r"\bbyte \d+\b", "byte N"),
            (r"\b\d+ \d+ \* \* \*", "MINUTE HOUR * * *"),
            (r"\b[0-9a-f]{16}\b", "HASH"),
            // Columns are as wide as what they hold.
            (r"(\S) {3,}", "$1  "),
            // As many as the temporary directory is deep.
            (r"(?m)^SIZE +\d+ directories$", "SIZE  N directories"),
        ]
        .map(|(pattern, replacement)| (Regex::new(pattern).unwrap(), replacement))
        .into()
    })
}
