//! Where Pythons are: the directories of `PATH`, and those of every tool that installs Pythons.
//!
//! A cron job has hardly any `PATH` and none of its user's variables, so the tools' default places are looked into
//! in any case, in each home.

use super::installation::Finder;
use super::{Interpreters, MirroredLibrary, environment};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Where to look for interpreters. What is not given is not looked at, except the places that the tools use by
/// default below `root` and below each home.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The root of the file system, `/`.
    pub root: PathBuf,
    /// The homes of the users whose interpreters count. One that may not be read leaves the question open.
    pub homes: Vec<PathBuf>,
    /// The directories of `PATH`.
    pub path: Vec<PathBuf>,
    /// Directories that the tools are told to use instead.
    pub tool_directories: Vec<(ToolDirectory, PathBuf)>,
    /// The `pyvenv.cfg` of virtualenvs whose interpreters count.
    pub configurations: Vec<PathBuf>,
    /// The standard libraries that a store has entries for.
    pub libraries: Vec<MirroredLibrary>,
    /// How far to look.
    pub reach: Reach,
}

/// How far a search goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reach {
    /// The places that tools use.
    #[default]
    Usual,
    /// Also directories two levels deep below homes and `/opt`, and running processes: some ten milliseconds more.
    Everywhere,
}

/// What a directory is that a tool was told to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolDirectory {
    /// What `~/.local/share` is otherwise (`XDG_DATA_HOME`).
    Data,
    /// What `~/.pyenv` is otherwise (`PYENV_ROOT`).
    Pyenv,
    /// Where uv puts Pythons (`UV_PYTHON_INSTALL_DIR`).
    UvPythons,
    /// A conda environment or root (`CONDA_PREFIX`, `MAMBA_ROOT_PREFIX`).
    Conda,
    /// What `/opt/homebrew` is otherwise (`HOMEBREW_PREFIX`).
    Homebrew,
    /// What `~/.asdf` is otherwise (`ASDF_DATA_DIR`).
    Asdf,
    /// What `~/.local/share/mise` is otherwise (`MISE_DATA_DIR`).
    Mise,
    /// What `~/.rye` is otherwise (`RYE_HOME`).
    Rye,
}

/// How an interpreter was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FoundBy {
    /// In a directory of `PATH`.
    Path,
    /// Among pyenv's versions.
    Pyenv,
    /// Among uv's Pythons.
    Uv,
    /// A conda environment, root or package.
    Conda,
    /// In Homebrew's cellar.
    Homebrew,
    /// Among asdf's installs.
    Asdf,
    /// Among mise's installs.
    Mise,
    /// Among rye's toolchains.
    Rye,
    /// Among hatch's Pythons.
    Hatch,
    /// Among PDM's Pythons.
    Pdm,
    /// Among Poetry's Pythons.
    Poetry,
    /// In `/usr`, `/usr/local` or `/opt`.
    System,
    /// A framework build on macOS.
    Framework,
    /// A virtualenv was made from it.
    Virtualenv,
    /// The store has entries for its standard library.
    Store,
    /// In a directory of a home or of `/opt` that no tool uses.
    Elsewhere,
    /// A process runs it.
    Process,
}

impl FoundBy {
    /// The name in tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            FoundBy::Path => "path",
            FoundBy::Pyenv => "pyenv",
            FoundBy::Uv => "uv",
            FoundBy::Conda => "conda",
            FoundBy::Homebrew => "homebrew",
            FoundBy::Asdf => "asdf",
            FoundBy::Mise => "mise",
            FoundBy::Rye => "rye",
            FoundBy::Hatch => "hatch",
            FoundBy::Pdm => "pdm",
            FoundBy::Poetry => "poetry",
            FoundBy::System => "system",
            FoundBy::Framework => "framework",
            FoundBy::Virtualenv => "virtualenv",
            FoundBy::Store => "store",
            FoundBy::Elsewhere => "elsewhere",
            FoundBy::Process => "process",
        }
    }
}

/// An installation's root relative to some directory, and whose it is. `*` stands for any part of one name.
type Pattern = (FoundBy, &'static str);

/// Below `~/.local/share`; on macOS some tools use `~/Library/Application Support` instead.
const BELOW_DATA: &[Pattern] = &[
    (FoundBy::Uv, "uv/python/*"),
    (FoundBy::Uv, "uv/python/*/install"),
    (FoundBy::Mise, "mise/installs/python/*"),
    (FoundBy::Hatch, "hatch/pythons/*/python"),
    (FoundBy::Pdm, "pdm/python/*"),
    (FoundBy::Poetry, "pypoetry/python/*"),
];

const BELOW_PYENV: &[Pattern] = &[(FoundBy::Pyenv, "versions/*"), (FoundBy::Pyenv, "versions/*/envs/*")];

/// Below `uv/python`. Old releases of uv and rye kept an `install` in each.
const BELOW_UV_PYTHONS: &[Pattern] = &[(FoundBy::Uv, "*"), (FoundBy::Uv, "*/install")];

const BELOW_ASDF: &[Pattern] = &[(FoundBy::Asdf, "installs/python/*")];

const BELOW_MISE: &[Pattern] = &[(FoundBy::Mise, "installs/python/*")];

const BELOW_RYE: &[Pattern] = &[(FoundBy::Rye, "py/*"), (FoundBy::Rye, "py/*/install")];

const BELOW_HOMEBREW: &[Pattern] = &[
    (FoundBy::Homebrew, "Cellar/python*/*"),
    (FoundBy::Homebrew, "Cellar/python*/*/Frameworks/Python.framework/Versions/*"),
    (FoundBy::Homebrew, "Cellar/pypy*/*/libexec"),
];

const BELOW_CONDA: &[Pattern] = &[
    (FoundBy::Conda, ""),
    (FoundBy::Conda, "envs/*"),
    (FoundBy::Conda, "pkgs/python-2*"),
    (FoundBy::Conda, "pkgs/python-3*"),
    (FoundBy::Conda, "pkgs/pypy*"),
];

const BELOW_ROOT: &[Pattern] = &[
    (FoundBy::System, "usr"),
    (FoundBy::System, "usr/local"),
    (FoundBy::System, "opt/*"),
    (FoundBy::System, "opt/python/*"),
    (FoundBy::System, "opt/rh/*/root/usr"),
    (FoundBy::System, "opt/hostedtoolcache/*/*/*"),
    (FoundBy::Framework, "Library/Frameworks/Python*.framework/Versions/*"),
    (FoundBy::Framework, "System/Library/Frameworks/Python*.framework/Versions/*"),
    (FoundBy::Framework, "opt/local/Library/Frameworks/Python*.framework/Versions/*"),
    (
        FoundBy::Framework,
        "Library/Developer/CommandLineTools/Library/Frameworks/Python*.framework/Versions/*",
    ),
    (
        FoundBy::Framework,
        "Applications/Xcode*.app/Contents/Developer/Library/Frameworks/Python*.framework/Versions/*",
    ),
];

/// Where people unpack a Python themselves, below a home: an installation, or a virtualenv that was made from one.
const ELSEWHERE_BELOW_HOME: &[Pattern] = &[
    (FoundBy::Elsewhere, "*"),
    (FoundBy::Elsewhere, "*/*"),
    (FoundBy::Elsewhere, "*/*/.venv"),
    (FoundBy::Elsewhere, "*/*/venv"),
];

const ELSEWHERE_BELOW_ROOT: &[Pattern] = &[
    (FoundBy::Elsewhere, "opt/*/*"),
    (FoundBy::Elsewhere, "srv/*"),
    (FoundBy::Elsewhere, "srv/*/*"),
    (FoundBy::Elsewhere, "usr/lib/*"),
    (FoundBy::Elsewhere, "usr/local/*"),
    (FoundBy::Elsewhere, "usr/local/*/*"),
];

/// What conda's installers call the directory they make.
const CONDA_ROOTS: [&str; 4] = ["*conda*", "*mamba*", "miniforge*", ".pixi"];

/// Where they make it, below a home and below the root.
const CONDA_ABOVE: [&str; 5] = ["", "opt", ".local", ".local/share", "usr/local"];

impl Places {
    /// Looks into all of them.
    pub(crate) fn search(&self) -> Interpreters {
        let mut finder = Finder::default();
        for directory in &self.path {
            finder.executables_in(directory, FoundBy::Path);
            behind_shims(&mut finder, directory);
        }
        for home in &self.homes {
            finder.refused(home);
        }
        for home in self.every_home(&mut finder) {
            below_home(&mut finder, &home);
        }
        for (tool, directory) in &self.tool_directories {
            match tool {
                ToolDirectory::Data => below(&mut finder, directory, BELOW_DATA),
                ToolDirectory::Pyenv => below(&mut finder, directory, BELOW_PYENV),
                ToolDirectory::UvPythons => below(&mut finder, directory, BELOW_UV_PYTHONS),
                ToolDirectory::Conda => conda(&mut finder, directory),
                ToolDirectory::Homebrew => below(&mut finder, directory, BELOW_HOMEBREW),
                ToolDirectory::Asdf => below(&mut finder, directory, BELOW_ASDF),
                ToolDirectory::Mise => below(&mut finder, directory, BELOW_MISE),
                ToolDirectory::Rye => below(&mut finder, directory, BELOW_RYE),
            }
        }
        for prefix in ["opt/homebrew", "usr/local", "home/linuxbrew/.linuxbrew"] {
            below(&mut finder, &self.root.join(prefix), BELOW_HOMEBREW);
        }
        conda_below(&mut finder, &self.root);
        below(&mut finder, &self.root, BELOW_ROOT);
        for configuration in &self.configurations {
            finder.environment(configuration, FoundBy::Virtualenv);
        }
        for library in &self.libraries {
            finder.library(&library.directory, &library.tag, FoundBy::Store);
        }
        if self.reach == Reach::Everywhere {
            self.elsewhere(&mut finder);
        }
        finder.finish()
    }

    /// Looks where no tool puts Pythons, and at running processes: needed before an interpreter is called dead.
    fn elsewhere(&self, finder: &mut Finder) {
        for home in self.every_home(finder) {
            below(finder, &home, ELSEWHERE_BELOW_HOME);
        }
        below(finder, &self.root, ELSEWHERE_BELOW_ROOT);
        for process in expand(finder, &self.root, "proc/*") {
            // Not readable for processes of other users; kernel threads have none.
            if let Ok(executable) = process.join("exe").read_link() {
                finder.process(&executable);
            }
        }
    }

    /// The homes given, and all others that we may look into: root prunes the stores of users, and a store may be
    /// shared.
    fn every_home(&self, finder: &mut Finder) -> Vec<PathBuf> {
        let mut homes = self.homes.clone();
        for pattern in ["root", "home/*", "Users/*"] {
            homes.extend(expand(finder, &self.root, pattern));
        }
        homes.sort();
        homes.dedup();
        homes
    }
}

fn below_home(finder: &mut Finder, home: &Path) {
    below(finder, &home.join(".pyenv"), BELOW_PYENV);
    below(finder, &home.join(".asdf"), BELOW_ASDF);
    below(finder, &home.join(".rye"), BELOW_RYE);
    below(finder, &home.join(".linuxbrew"), BELOW_HOMEBREW);
    below(finder, &home.join(".local/share"), BELOW_DATA);
    below(finder, &home.join("Library/Application Support"), BELOW_DATA);
    conda_below(finder, home);
    // Every environment that conda made, wherever it is, one path a line.
    let list = environment::read_text(&home.join(".conda/environments.txt")).unwrap_or_default();
    for line in list.lines().map(str::trim).filter(|line| line.starts_with('/')) {
        conda(finder, Path::new(line));
    }
}

/// A conda environment or root, with those that it belongs to or has.
fn conda(finder: &mut Finder, prefix: &Path) {
    let root = prefix.parent().filter(|parent| parent.ends_with("envs")).and_then(Path::parent);
    for root in std::iter::once(prefix).chain(root) {
        below(finder, root, BELOW_CONDA);
    }
}

fn conda_below(finder: &mut Finder, directory: &Path) {
    for above in CONDA_ABOVE {
        for name in CONDA_ROOTS {
            for root in expand(finder, &directory.join(above), name) {
                below(finder, &root, BELOW_CONDA);
            }
        }
    }
}

/// A directory of shims has the Pythons that they choose from beside it: `~/.pyenv/shims`, `~/.asdf/shims`,
/// `~/.local/share/mise/shims`.
fn behind_shims(finder: &mut Finder, directory: &Path) {
    if !directory.ends_with("shims") {
        return;
    }
    let Some(tool) = directory.parent() else { return };
    let installs = if tool.file_name() == Some(OsStr::new(".asdf")) { BELOW_ASDF } else { BELOW_MISE };
    below(finder, tool, BELOW_PYENV);
    below(finder, tool, installs);
}

fn below(finder: &mut Finder, directory: &Path, patterns: &[Pattern]) {
    for (by, pattern) in patterns {
        for root in expand(finder, directory, pattern) {
            finder.root(&root, *by);
        }
    }
}

/// The paths below `directory` that a pattern stands for. Only what has a `*` is looked up.
fn expand(finder: &mut Finder, directory: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut paths = vec![directory.to_path_buf()];
    for component in pattern.split('/').filter(|component| !component.is_empty()) {
        paths = if component.contains('*') {
            let listed = paths.iter().flat_map(|path| {
                let names = finder.names_in(path).into_iter();
                let fitting = names.filter(|name| matches(component, &name.to_string_lossy()));
                fitting.map(|name| path.join(name)).collect::<Vec<_>>()
            });
            listed.collect()
        } else {
            paths.iter().map(|path| path.join(component)).collect()
        };
    }
    paths
}

/// Whether a name fits a pattern in which `*` stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|name| {
            let boundaries = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            boundaries.into_iter().any(|at| matches(rest, &name[at..]))
        }),
    }
}
