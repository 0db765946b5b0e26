//! A home at the start of a text: `~`, `$HOME` or `${HOME}`, where no shell expands it: in the configuration and in
//! quoted globs.

use pycstore::environment::Environment;
use std::path::Path;

/// The home and what follows it, where a text begins with one.
///
/// # Errors
/// In words, when it begins so and no home is known.
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
        (Some(_), None) => Err(format!("{text:?} cannot be expanded: HOME is not set")),
    }
}

/// A glob with the home written out: what is special in a glob stands for itself there.
///
/// # Errors
/// In words: an empty glob, a home that is not known or not UTF-8.
pub fn in_glob(text: &str, environment: &Environment) -> Result<String, String> {
    if text.is_empty() {
        return Err("an empty glob matches nothing".into());
    }
    let Some((home, rest)) = at_start(text, environment)? else { return Ok(text.to_string()) };
    let home = home.to_str().ok_or("the home directory is not UTF-8: write the glob without it")?;
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
