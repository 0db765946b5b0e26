//! Problems for people: a message in one line, and a hint that says what to do.

use std::error::Error;
use std::fmt::{self, Display};

/// An error that knows what the user can do about it.
#[derive(Debug)]
pub struct Complaint {
    message: String,
    hint: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Complaint {
    /// A message and a hint.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Complaint {
        Complaint { message: message.into(), hint: hint.into(), source: None }
    }

    /// An error of the library and a hint.
    pub fn caused(error: impl Error + Send + Sync + 'static, hint: impl Into<String>) -> Complaint {
        Complaint { message: String::new(), hint: hint.into(), source: Some(Box::new(error)) }
    }
}

impl Complaint {
    /// What to do.
    pub fn hint(&self) -> &str {
        &self.hint
    }
}

impl Display for Complaint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => write!(formatter, "{source}"),
            None => formatter.write_str(&self.message),
        }
    }
}

impl Error for Complaint {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref()?.source()
    }
}

/// The error and its causes: `cannot open /x: Permission denied`.
pub fn one_line(error: &dyn Error) -> String {
    let mut line = without_code(&error.to_string());
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&without_code(&error.to_string()));
        cause = error.source();
    }
    line
}

/// `Permission denied (os error 13)` → `Permission denied`.
fn without_code(message: &str) -> String {
    message.rsplit_once(" (os error ").map_or(message, |(text, _)| text).to_string()
}
