//! From a virtualenv to the interpreter that it runs. A virtualenv has none of its own: its `pyvenv.cfg` (PEP 405)
//! names the directory of the one that made it.

use super::version::ExecutableName;
use crate::host::directory;
use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};

/// No file that is read here is longer.
const LONGEST_TEXT: u64 = 1 << 20;

/// The file that makes a directory a virtualenv.
pub(crate) const CONFIGURATION: &str = "pyvenv.cfg";

/// The virtualenv's configuration that an executable there runs under: beside it or one level up, where
/// CPython's `getpath` looks before it resolves any link.
pub(super) fn configuration_for(executable: &Path) -> Option<PathBuf> {
    let directories = executable.ancestors().skip(1).take(2);
    directories.map(|directory| directory.join(CONFIGURATION)).find(|configuration| configuration.is_file())
}

/// The executable that the virtualenv with this configuration runs; none if it is gone, for then nothing runs.
///
/// What the virtualenv's own links lead to is what really runs. Copies (`--copies`) lead nowhere: there the
/// configuration is asked.
pub(super) fn base_executable(configuration: &Path) -> Option<PathBuf> {
    let root = configuration.parent()?;
    let own = root.canonicalize().ok()?;
    let led_to = |name: &str| {
        let real = root.join("bin").join(name).canonicalize().ok()?;
        let is_python = real.file_name().and_then(OsStr::to_str).and_then(ExecutableName::parse).is_some();
        (is_python && !real.starts_with(&own)).then_some(real)
    };
    ["python", "python3", "pypy3", "pypy", "graalpy"]
        .into_iter()
        .find_map(led_to)
        .or_else(|| stated(configuration))
}

/// The executable that the configuration's text leads to.
fn stated(configuration: &Path) -> Option<PathBuf> {
    let text = read_text(configuration)?;
    stated_executables(&text).into_iter().find(|path| path.is_file())
}

/// Where the executable may be that a configuration's text names, the likeliest first.
pub(crate) fn stated_executables(text: &str) -> Vec<PathBuf> {
    let value = |wanted: &str| {
        let mut fields = text.lines().filter_map(|line| line.split_once('='));
        fields.find(|(key, _)| key.trim().eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
    };
    let Some(home) = value("home").map(Path::new) else { return Vec::new() };
    // virtualenv writes `base-executable`, venv `executable` since 3.11.
    let whole = ["base-executable", "executable"].into_iter().filter_map(value).map(PathBuf::from);
    // `version` is venv's, `version_info` virtualenv's and uv's.
    let version = value("version").or_else(|| value("version_info")).unwrap_or_default();
    let minor = version.match_indices('.').nth(1).map_or(version, |(at, _)| &version[..at]);
    // It becomes a part of a name, not of a path.
    let minor = if minor.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') { minor } else { "" };
    let pypy = value("implementation").is_some_and(|name| name.eq_ignore_ascii_case("pypy"));
    let versioned = if pypy { ["pypy", "python"] } else { ["python", "pypy"] };
    let versioned = versioned.into_iter().map(|name| format!("{name}{minor}"));
    let others = ["python3", "python", "pypy3", "pypy", "graalpy"].into_iter().map(str::to_string);
    let at_home = versioned.chain(others).map(|name| home.join(name));
    whole.chain(at_home).filter(|path| path.is_absolute()).collect()
}

/// The text of a small file; none if it cannot be read, for then it tells nothing.
pub(super) fn read_text(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    let (file, _) = directory::open_file(path).ok()?;
    file.take(LONGEST_TEXT).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_is_a_path_leads_nowhere_else() {
        let stated = |version: &str| stated_executables(&format!("home = /srv/bin\nversion = {version}\n"));
        assert_eq!(stated("3.12.1")[0], Path::new("/srv/bin/python3.12"));
        for version in ["/x", "3/../../x", "../../x", "3.12/x", "3.12\u{202e}", "x", ""] {
            let is_at_home = |path: &PathBuf| path.parent() == Some(Path::new("/srv/bin"));
            assert!(stated(version).iter().all(is_at_home), "{version}: {:?}", stated(version));
        }
    }
}
