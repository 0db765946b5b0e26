//! Expands a home at the start of a text (`~`, `$HOME` or `${HOME}`) where no shell does: in the configuration and in
//! quoted globs.

use pycstore::environment::Environment;
use std::path::Path;

/// Returns the home and the rest of a text that begins with one.
///
/// # Errors
/// If it begins with one and no home is known.
pub fn at_start<'t, 'e>(
    text: &'t str,
    environment: &'e Environment,
) -> Result<Option<(&'e Path, &'t str)>, String> {
    let rest = ["~", "$HOME", "${HOME}"]
        .iter()
        .find_map(|home| text.strip_prefix(home))
        .filter(|rest| rest.is_empty() || rest.starts_with('/'));
    match (rest, &environment.home) {
        (None, _) => Ok(None),
        (Some(rest), Some(home)) => Ok(Some((home, rest))),
        (Some(_), None) => Err(format!("cannot expand {text:?}: HOME is not set")),
    }
}

/// Returns a glob with the home expanded, and the glob's special characters escaped in it.
///
/// # Errors
/// If the glob is empty, or the home is unknown or not UTF-8.
pub fn in_glob(text: &str, environment: &Environment) -> Result<String, String> {
    if text.is_empty() {
        return Err("an empty glob matches nothing".into());
    }
    let Some((home, rest)) = at_start(text, environment)? else { return Ok(text.to_string()) };
    let home =
        home.to_str().ok_or("the home directory is not valid UTF-8: write the glob without ~ and $HOME")?;
    Ok(quoted_in_glob(home.trim_end_matches('/')) + rest)
}

/// A path as a glob that matches nothing else.
pub fn quoted_in_glob(path: &str) -> String {
    let mut glob = String::with_capacity(path.len());
    for character in path.chars() {
        match character {
            '*' | '?' | '[' | ']' | '{' | '}' => glob.extend(['[', character, ']']),
            '\\' => glob.push_str("\\\\"),
            _ => glob.push(character),
        }
    }
    glob
}
