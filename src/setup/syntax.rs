//! How each language writes the path of the store: quoted, and with `$HOME` for the home if the language has variables, so that
//! dotfiles can be shared between machines. A literal `~` never appears: it is not expanded in quotes.
//!
//! The crate shlex does not serve here: it quotes `$HOME` as text.
//!
//! Pure.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A language in which the variable is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// sh, bash, zsh: double quotes in which `\ " $ ` and a backquote are escaped.
    Shell,
    /// fish: double quotes in which `\ " $` are escaped.
    Fish,
    /// environment.d(5): as a shell, but a dollar is doubled, and only UTF-8 is taken.
    EnvironmentD,
    /// crontab(5): nothing is expanded and nothing can be escaped. A blank at the end is lost; quotes should keep it, but Debian's
    /// cron drops it anyway.
    Crontab,
}

/// Why a path cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Inexpressible {
    /// It has a line break or another control character.
    #[error("its name has a control character")]
    Control,
    /// It is not UTF-8.
    #[error("its name is not UTF-8, which environment.d(5) does not take")]
    NotUtf8,
    /// cron drops the end of it.
    #[error("its name ends in a space, which cron drops")]
    Blank,
    /// crontab(5) takes no line of that length.
    #[error("its name is too long for a line of crontab(5)")]
    Length,
}

/// Maximum length of a line that every cron reads, in bytes.
const MOST_CRONTAB_BYTES: usize = 990;

impl Syntax {
    /// Returns the line, with its end, that sets `PYTHONPYCACHEPREFIX` to this absolute path for the user with this home.
    ///
    /// # Errors
    /// If the language cannot express the path.
    pub fn line(self, store: &Path, home: &Path) -> Result<Vec<u8>, Inexpressible> {
        let path = store.as_os_str().as_bytes();
        if path.iter().any(u8::is_ascii_control) {
            return Err(Inexpressible::Control);
        }
        let assignment: &[u8] = match self {
            Syntax::Shell => b"export PYTHONPYCACHEPREFIX=",
            Syntax::Fish => b"set -gx PYTHONPYCACHEPREFIX ",
            Syntax::EnvironmentD | Syntax::Crontab => b"PYTHONPYCACHEPREFIX=",
        };
        let value = match self {
            Syntax::Crontab if path.ends_with(b" ") => return Err(Inexpressible::Blank),
            Syntax::Crontab => path.to_vec(),
            Syntax::EnvironmentD if store.to_str().is_none() => return Err(Inexpressible::NotUtf8),
            _ => self.quoted(store, home),
        };
        let line = [assignment, &value, b"\n"].concat();
        if self == Syntax::Crontab && line.len() > MOST_CRONTAB_BYTES {
            return Err(Inexpressible::Length);
        }
        Ok(line)
    }

    fn quoted(self, store: &Path, home: &Path) -> Vec<u8> {
        let below_home = store.strip_prefix(home).ok().filter(|_| home != Path::new("/"));
        let (start, rest): (&[u8], &Path) = match below_home {
            Some(rest) => (b"\"$HOME/", rest),
            None => (b"\"", store),
        };
        let mut value = start.to_vec();
        for &byte in rest.as_os_str().as_bytes() {
            match (self, byte) {
                (Syntax::EnvironmentD, b'$') => value.extend(b"$$"),
                (_, b'\\' | b'"' | b'$') => value.extend([b'\\', byte]),
                (Syntax::Shell | Syntax::EnvironmentD, b'`') => value.extend([b'\\', byte]),
                _ => value.push(byte),
            }
        }
        value.push(b'"');
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    fn line(syntax: Syntax, store: &[u8]) -> Result<String, Inexpressible> {
        let line = syntax.line(Path::new(OsStr::from_bytes(store)), Path::new("/home/me"))?;
        Ok(String::from_utf8_lossy(&line).trim_end_matches('\n').to_string())
    }

    #[test]
    fn the_home_is_a_variable_where_there_are_variables() {
        let store = b"/home/me/.cache/cpython";
        assert_eq!(
            line(Syntax::Shell, store).unwrap(),
            r#"export PYTHONPYCACHEPREFIX="$HOME/.cache/cpython""#
        );
        assert_eq!(
            line(Syntax::Fish, store).unwrap(),
            r#"set -gx PYTHONPYCACHEPREFIX "$HOME/.cache/cpython""#
        );
        assert_eq!(
            line(Syntax::EnvironmentD, store).unwrap(),
            r#"PYTHONPYCACHEPREFIX="$HOME/.cache/cpython""#
        );
        assert_eq!(line(Syntax::Crontab, store).unwrap(), "PYTHONPYCACHEPREFIX=/home/me/.cache/cpython");
        assert_eq!(line(Syntax::Shell, b"/srv/x").unwrap(), r#"export PYTHONPYCACHEPREFIX="/srv/x""#);
        assert_eq!(line(Syntax::Shell, b"/home/meat").unwrap(), r#"export PYTHONPYCACHEPREFIX="/home/meat""#);
    }

    #[test]
    fn a_path_that_a_language_cannot_express_is_an_error() {
        for syntax in [Syntax::Shell, Syntax::Fish, Syntax::EnvironmentD, Syntax::Crontab] {
            assert_eq!(line(syntax, b"/a\nb"), Err(Inexpressible::Control), "{syntax:?}");
        }
        assert_eq!(line(Syntax::EnvironmentD, b"/a\xff"), Err(Inexpressible::NotUtf8));
        assert_eq!(line(Syntax::Crontab, b"/a "), Err(Inexpressible::Blank));
        assert_eq!(line(Syntax::Crontab, b"/a ' \" b"), Ok("PYTHONPYCACHEPREFIX=/a ' \" b".into()));
        assert_eq!(line(Syntax::Crontab, &[b'/'; 1000]), Err(Inexpressible::Length));
    }
}
