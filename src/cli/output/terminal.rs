//! The standard streams as terminals: whether they are, and how wide. Home of terminal_size.

use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// Properties of standard output.
#[derive(Debug, Clone)]
pub struct Terminal {
    columns: Option<usize>,
    home: Option<PathBuf>,
}

impl Terminal {
    /// Those of this process.
    pub fn of_stdout(home: Option<&Path>) -> Terminal {
        Terminal { columns: columns_of(&std::io::stdout()), home: home.map(Path::to_path_buf) }
    }

    /// A terminal with this number of columns, or a pipe.
    #[cfg(test)]
    pub fn of_test(columns: Option<usize>, home: &str) -> Terminal {
        Terminal { columns, home: Some(PathBuf::from(home)) }
    }

    /// Whether standard output is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.columns.is_some()
    }

    /// Its width in columns; a pipe has none.
    pub fn columns(&self) -> Option<usize> {
        self.columns
    }

    /// The home directory, shown as `~`.
    pub fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }
}

/// The width in columns of a stream that is a terminal.
pub fn columns_of(stream: &(impl IsTerminal + AsFd)) -> Option<usize> {
    let width =
        || terminal_size::terminal_size_of(stream).map_or(80, |(width, _)| usize::from(width.0).max(20));
    stream.is_terminal().then(width)
}
