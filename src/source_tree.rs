//! Plain walks over trees that are not the store: the home of walkdir.
//!
//! The store is scanned by descriptor and in parallel (`scan/`). What is small and needs neither is walked
//! here, by path, in a fixed order.

use std::path::Path;
use walkdir::WalkDir;

/// Names that only a directory of sources has: version control and packaging markers.
pub const PROJECT_MARKERS: [&str; 8] =
    [".git", ".hg", ".svn", ".bzr", ".jj", "pyproject.toml", "setup.py", "setup.cfg"];

/// The first name in `root` itself that shows it to hold sources and no bytecode store: a marker, a
/// `__pycache__`, a `.py` file. Names that cannot be read show nothing.
pub fn sign_of_sources(root: &Path) -> Option<String> {
    WalkDir::new(root).min_depth(1).max_depth(1).sort_by_file_name().into_iter().flatten().find_map(|entry| {
        let name = entry.file_name().to_string_lossy();
        let is_sign = PROJECT_MARKERS.contains(&name.as_ref())
            || name == "pyvenv.cfg"
            || name == "__pycache__"
            || (name.ends_with(".py") && !entry.file_type().is_dir());
        is_sign.then(|| name.into_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_show_in_the_root_itself() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path();
        std::fs::create_dir_all(root.join("home/me/project/.git")).unwrap();
        std::fs::create_dir(root.join("odd.py")).unwrap();
        std::fs::write(root.join("m.cpython-312.pyc"), "").unwrap();
        assert_eq!(sign_of_sources(root), None);
        std::fs::write(root.join("m.py"), "").unwrap();
        assert_eq!(sign_of_sources(root).as_deref(), Some("m.py"));
        std::fs::create_dir(root.join(".git")).unwrap();
        assert_eq!(sign_of_sources(root).as_deref(), Some(".git"));
    }
}
