//! Whose bytes these are: from a directory of sources to the project, environment or interpreter that owns it.
//!
//! Ownership flows downwards: a directory either starts an owner of its own or belongs to that of its parent,
//! so each directory is looked at once and nothing is searched upwards. What a parent passes on is a
//! [`Ownership`]. Inside an environment or an interpreter no marker of a project counts: `numpy/core/setup.py`
//! in site-packages starts no project.
//!
//! A vanished owner is named by its topmost missing directory and keeps the kind that its path, or its mirror in
//! the store, still tells (`shape`). A project that is reached by several spellings of its path, through symbolic
//! links, is one owner (`spelling`).

mod shape;
mod spelling;

pub use spelling::Spellings;

use crate::source;
use crate::source::walk::PROJECT_MARKERS;
use shape::{build_root, kind_of_gone, tool_cache, user_site};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use shape::prefix_of_library;

/// What kind of thing owns a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnerKind {
    /// A directory with a marker of version control or packaging.
    Project,
    /// A virtualenv (`pyvenv.cfg`) or conda environment (`conda-meta`).
    Environment,
    /// An installation of Python with its standard library.
    Interpreter,
    /// `~/.local/lib/python3.*`.
    UserSite,
    /// Environments and archives that a tool keeps for itself (uv, pipx, pre-commit …).
    ToolCache,
    /// Sources under a temporary directory, such as pip's build environments.
    Build,
    /// None of these.
    Directory,
}

impl OwnerKind {
    /// The kind's name in tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            OwnerKind::Project => "project",
            OwnerKind::Environment => "environment",
            OwnerKind::Interpreter => "interpreter",
            OwnerKind::UserSite => "user-site",
            OwnerKind::ToolCache => "tool-cache",
            OwnerKind::Build => "build",
            OwnerKind::Directory => "directory",
        }
    }
}

/// Whether an owner still exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Life {
    /// It is there, or nobody can tell that it is not.
    Alive,
    /// It was definitely deleted.
    Gone,
}

/// An owner of sources.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// Its topmost directory.
    pub root: PathBuf,
    /// What it is.
    pub kind: OwnerKind,
    /// Whether it is still there.
    pub life: Life,
    /// The environment that the sources lie in, inside a project or as the owner itself.
    pub environment: Option<PathBuf>,
    /// The topmost directory without symbolic links on its path, where `root` is spelled with some.
    pub real_root: Option<PathBuf>,
}

impl Owner {
    /// Whether this is the owner, or the sources lie in the environment, that a path names.
    pub fn is_at(&self, path: &Path) -> bool {
        self.root == path
            || self.environment.as_deref() == Some(path)
            || self.real_root.as_deref() == Some(path)
    }
}

/// What a directory passes on to those below it.
#[derive(Debug, Clone)]
pub enum Ownership {
    /// Nobody's.
    Nobody,
    /// One owner's, unless a directory below has another owner.
    Claimed(Arc<Owner>),
    /// One owner's, with everything below.
    Settled(Arc<Owner>),
}

/// What is known of a directory of sources when its owner is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is there.
    Present,
    /// It was definitely deleted.
    Absent,
    /// It cannot be told.
    Unreachable,
}

/// What the store itself tells of a directory that is gone: the names in its mirror.
pub trait MirrorNames {
    /// The names in the store's directory that mirrors `directory`; none when it cannot be read.
    fn names(&self, directory: &Path) -> Vec<Vec<u8>>;
}

impl Ownership {
    /// The owner, if there is one.
    pub fn owner(&self) -> Option<&Arc<Owner>> {
        match self {
            Ownership::Nobody => None,
            Ownership::Claimed(owner) | Ownership::Settled(owner) => Some(owner),
        }
    }

    /// The ownership of the existing directory `directory` in this one.
    ///
    /// `holds_entries`: whether the store has entries for sources directly in it.
    #[must_use]
    pub fn enter_present(&self, directory: &Path, holds_entries: bool) -> Ownership {
        if let Ownership::Settled(_) = self {
            return self.clone();
        }
        if let Some(settled) = self.settled_by_shape(directory) {
            return settled;
        }
        let has = |name: &str| std::fs::symlink_metadata(directory.join(name)).is_ok();
        if let Some(cache) = self.owner().filter(|owner| owner.kind == OwnerKind::ToolCache) {
            // What tools keep is nobody's project, whatever they cloned. Their environments lie near the top.
            let depth = directory.components().count().saturating_sub(cache.root.components().count());
            if depth > 2 {
                return Ownership::Settled(cache.clone());
            }
            return if has("pyvenv.cfg") { self.settled_environment(directory) } else { self.clone() };
        }
        let is_environment = has("pyvenv.cfg") || has("conda-meta");
        if PROJECT_MARKERS.iter().any(|marker| has(marker)) {
            let environment = is_environment.then(|| directory.to_path_buf());
            let owner = Arc::new(Owner { environment, ..alive(OwnerKind::Project, directory) });
            return if is_environment { Ownership::Settled(owner) } else { Ownership::Claimed(owner) };
        }
        if is_environment {
            return self.settled_environment(directory);
        }
        match self {
            Ownership::Nobody if directory.parent().is_some_and(source::is_temporary_place) => {
                Ownership::Claimed(Arc::new(alive(OwnerKind::Build, directory)))
            }
            Ownership::Nobody if holds_entries => {
                Ownership::Claimed(Arc::new(alive(OwnerKind::Directory, directory)))
            }
            _ => self.clone(),
        }
    }

    /// The ownership of `directory`, which is the topmost that is missing on its path.
    #[must_use]
    pub fn enter_absent(&self, directory: &Path, mirror: &dyn MirrorNames) -> Ownership {
        if let Ownership::Settled(_) = self {
            return self.clone();
        }
        let shape = kind_of_gone(directory, mirror);
        let around = self.owner().map(|owner| owner.kind);
        let kind = match shape {
            _ if around == Some(OwnerKind::ToolCache) => return self.clone(),
            Some(OwnerKind::Build) => OwnerKind::Build,
            Some(
                kind @ (OwnerKind::Environment
                | OwnerKind::Interpreter
                | OwnerKind::ToolCache
                | OwnerKind::UserSite),
            ) => kind,
            _ if around == Some(OwnerKind::Project) => return self.clone(),
            _ if is_below_temporary_place(directory) => OwnerKind::Build,
            Some(kind) => kind,
            None => OwnerKind::Directory,
        };
        let environment = (kind == OwnerKind::Environment).then(|| directory.to_path_buf());
        let root = directory.to_path_buf();
        Ownership::Settled(Arc::new(Owner { root, kind, life: Life::Gone, environment, real_root: None }))
    }

    /// The ownership of `directory`, which cannot be reached.
    #[must_use]
    pub fn enter_unreachable(&self, directory: &Path) -> Ownership {
        match self.owner() {
            Some(owner) => Ownership::Settled(owner.clone()),
            None => Ownership::Settled(Arc::new(alive(OwnerKind::Directory, directory))),
        }
    }

    /// What a directory passes on: its own ownership, except that files lying in a home directory or in `/`
    /// do not make everything below them theirs.
    #[must_use]
    pub fn passed_on(&self, directory: &Path) -> Ownership {
        let homes = [Path::new("/home"), Path::new("/Users")];
        let is_shared = directory == Path::new("/")
            || directory == Path::new("/root")
            || directory.parent().is_some_and(|parent| homes.contains(&parent));
        match self {
            Ownership::Claimed(owner) if owner.kind == OwnerKind::Directory && is_shared => Ownership::Nobody,
            other => other.clone(),
        }
    }

    /// Directories whose path alone, or the path and a look at a file or two, says what they are.
    fn settled_by_shape(&self, directory: &Path) -> Option<Ownership> {
        if let Some(prefix) = prefix_of_library(directory) {
            return Some(Ownership::Settled(Arc::new(self.owner_of_library(directory, prefix))));
        }
        if user_site(directory) {
            return Some(Ownership::Settled(Arc::new(alive(OwnerKind::UserSite, directory))));
        }
        if build_root(directory) {
            return Some(Ownership::Settled(Arc::new(alive(OwnerKind::Build, directory))));
        }
        let is_in_cache = self.owner().is_some_and(|owner| owner.kind == OwnerKind::ToolCache);
        if is_in_cache || !tool_cache(directory) {
            return None;
        }
        Some(Ownership::Claimed(Arc::new(alive(OwnerKind::ToolCache, directory))))
    }

    /// Who owns `PREFIX/lib/python3.12`.
    fn owner_of_library(&self, library: &Path, prefix: &Path) -> Owner {
        if let Some(cache) = self.owner().filter(|owner| owner.kind == OwnerKind::ToolCache) {
            return (**cache).clone();
        }
        let system = [Path::new("/usr"), Path::new("/usr/local")];
        if library.join("os.py").is_file() {
            alive(OwnerKind::Interpreter, prefix)
        } else if prefix == system[1] && is_debian_layout(library) {
            alive(OwnerKind::Interpreter, system[0])
        } else if system.contains(&prefix) || prefix.join("Cellar").is_dir() {
            // Homebrew's site-packages lie beside its cellar, for all of its Pythons.
            alive(OwnerKind::Interpreter, prefix)
        } else if user_site(library) {
            alive(OwnerKind::UserSite, library)
        } else {
            self.environment(prefix)
        }
    }

    fn settled_environment(&self, root: &Path) -> Ownership {
        Ownership::Settled(Arc::new(self.environment(root)))
    }

    /// An environment belongs to the project, or the tool's cache, around it and is named with it.
    fn environment(&self, root: &Path) -> Owner {
        let environment = Some(root.to_path_buf());
        match self.owner() {
            Some(around) if matches!(around.kind, OwnerKind::Project | OwnerKind::ToolCache) => {
                Owner { environment, ..(**around).clone() }
            }
            _ => Owner { environment, ..alive(OwnerKind::Environment, root) },
        }
    }
}

/// Debian's Python keeps its standard library in `/usr/lib/python3.12`, what Debian packages in
/// `/usr/lib/python3/dist-packages`, and what pip installs in `/usr/local/lib/python3.12/dist-packages`.
fn is_debian_layout(library: &Path) -> bool {
    let own = library.file_name().map(|name| Path::new("/usr/lib").join(name));
    library.join("dist-packages").is_dir() && own.is_some_and(|own| own.join("os.py").is_file())
}

/// The owner of sources directly in a directory of nobody's.
pub fn directory_owner(directory: &Path) -> Owner {
    alive(OwnerKind::Directory, directory)
}

/// Asks once an owner what its path is without symbolic links.
fn alive(kind: OwnerKind, root: &Path) -> Owner {
    let real_root = root.canonicalize().ok().filter(|real| real != root);
    Owner { root: root.to_path_buf(), kind, life: Life::Alive, environment: None, real_root }
}

fn is_below_temporary_place(directory: &Path) -> bool {
    directory.ancestors().skip(1).any(source::is_temporary_place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    /// A mirror made of the store's directories and files, one path a line.
    struct Listing(&'static [&'static str]);

    impl MirrorNames for Listing {
        fn names(&self, directory: &Path) -> Vec<Vec<u8>> {
            let below = |path: &&str| {
                let rest = Path::new(path).strip_prefix(directory).ok()?;
                Some(rest.components().next()?.as_os_str().as_bytes().to_vec())
            };
            self.0.iter().filter_map(below).collect()
        }
    }

    fn project(root: &str) -> Ownership {
        Ownership::Claimed(Arc::new(alive(OwnerKind::Project, Path::new(root))))
    }

    fn gone(
        ownership: &Ownership,
        directory: &str,
        mirror: &'static [&'static str],
    ) -> (OwnerKind, String, Life) {
        let ownership = ownership.enter_absent(Path::new(directory), &Listing(mirror));
        let owner = ownership.owner().unwrap();
        (owner.kind, owner.root.display().to_string(), owner.life)
    }

    #[test]
    fn a_vanished_owner_keeps_the_kind_that_its_mirror_tells() {
        use OwnerKind::*;
        let venv: &[&str] = &["/h/p/.venv/lib/python3.12/site-packages/x.cpython-312.pyc"];
        let interpreter: &[&str] =
            &["/opt/py/lib/python3.9/os.cpython-39.pyc", "/opt/py/lib/python3.9/site-packages/x"];
        let plain: &[&str] = &["/h/p/src/m.cpython-312.pyc"];
        let of = |directory: &str, mirror| {
            let (kind, root, life) = gone(&Ownership::Nobody, directory, mirror);
            assert_eq!((root.as_str(), life), (directory, Life::Gone));
            kind
        };
        assert_eq!(of("/h/p/.venv", venv), Environment);
        assert_eq!(of("/h/p", venv), Project);
        assert_eq!(of("/h/p", plain), Directory);
        assert_eq!(of("/opt/py", interpreter), Interpreter);
        assert_eq!(of("/tmp/pip-build-env-x", plain), Build);
        assert_eq!(of("/h/.local/share/pipx/venvs/black", plain), ToolCache);
    }

    #[test]
    fn a_vanished_part_of_a_living_project_stays_the_projects() {
        let venv: &[&str] = &["/h/p/.venv/lib/python3.12/site-packages/x.cpython-312.pyc"];
        let inside = gone(&project("/h/p"), "/h/p/src/old", &[]);
        assert_eq!(inside, (OwnerKind::Project, "/h/p".into(), Life::Alive));
        let environment = gone(&project("/h/p"), "/h/p/.venv", venv);
        assert_eq!(environment, (OwnerKind::Environment, "/h/p/.venv".into(), Life::Gone));
    }

    #[test]
    fn markers_start_owners_and_environments_belong_to_their_project() {
        let temporary = tempfile::tempdir().unwrap();
        let base = temporary.path().join("work");
        let make = |path: &str| std::fs::create_dir_all(base.join(path)).unwrap();
        make("p/.git");
        make("p/src");
        make("p/.venv/lib/python3.12/site-packages/numpy");
        std::fs::write(base.join("p/.venv/pyvenv.cfg"), "").unwrap();
        std::fs::write(base.join("p/.venv/lib/python3.12/site-packages/numpy/setup.py"), "").unwrap();
        make("i/lib/python3.13");
        std::fs::write(base.join("i/lib/python3.13/os.py"), "").unwrap();
        make("loose");
        let enter = |path: &str| {
            let mut ownership = Ownership::Nobody;
            let mut directory = base.clone();
            for component in Path::new(path) {
                directory.push(component);
                ownership = ownership.enter_present(&directory, directory.ends_with("loose"));
            }
            ownership.owner().cloned()
        };
        let project = enter("p/src").unwrap();
        assert_eq!(
            (project.kind, &project.root, &project.environment),
            (OwnerKind::Project, &base.join("p"), &None)
        );
        let environment = enter("p/.venv/lib/python3.12/site-packages/numpy").unwrap();
        assert_eq!((environment.kind, &environment.root), (OwnerKind::Project, &base.join("p")));
        assert_eq!(environment.environment, Some(base.join("p/.venv")));
        let interpreter = enter("i/lib/python3.13").unwrap();
        assert_eq!((interpreter.kind, &interpreter.root), (OwnerKind::Interpreter, &base.join("i")));
        assert_eq!(enter("loose").unwrap().kind, OwnerKind::Directory);
        assert_eq!(enter("i"), None);
    }
}
