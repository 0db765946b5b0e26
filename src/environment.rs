//! What the program knows of its surroundings: homes, variables, the time. The binary fills it in.

use crate::host::directory::effective_user;
use crate::source::interpreter::Places;
use crate::store::others;
use crate::units::Moment;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// The environment as the program uses it. An empty variable counts as unset, as it does for Python.
#[derive(Debug, Clone)]
pub struct Environment {
    /// `HOME`; where that is unset, the user's home in passwd(5), as Python and shells take it.
    pub home: Option<PathBuf>,
    /// The stores that Python uses where nothing names one, and `setup` proposes: the first that exists counts, else the
    /// first. Empty without a home.
    pub default_stores: Vec<PathBuf>,
    /// The homes of all users that `/etc/passwd` knows, and `HOME`: no store is or holds one.
    pub homes: Vec<PathBuf>,
    /// `USER`, else `LOGNAME`.
    pub user: Option<OsString>,
    /// The home, unless we are root and it is another user's: then nothing in it is run.
    pub own_home: Option<PathBuf>,
    /// `PYTHONPYCACHEPREFIX`.
    pub prefix: Option<OsString>,
    /// The same as it is, an empty value included.
    pub given_prefix: Option<OsString>,
    /// `PYTHONDONTWRITEBYTECODE`.
    pub writes_nothing: Option<OsString>,
    /// `PATH`.
    pub search_path: Option<OsString>,
    /// Whether `XDG_RUNTIME_DIR` is set, below which the user's systemd is reached.
    pub has_runtime_directory: bool,
    /// `PYCSTORE_CONFIG`: another configuration file. Unlike the other variables, set and empty means something:
    /// no file at all.
    pub configuration: Option<OsString>,
    /// The directory of all programs' configurations, `$XDG_CONFIG_HOME`, else `~/.config`. `None` without a home.
    pub configurations: Option<PathBuf>,
    /// The directory of the machine's configuration, `/etc`: units and crontabs for all users are below it.
    pub system_configurations: PathBuf,
    /// Our directory for configuration, `$XDG_CONFIG_HOME/pycstore`, else `~/.config/pycstore`. `None` without a home.
    pub configuration_directory: Option<PathBuf>,
    /// Our directory for state, `$XDG_STATE_HOME/pycstore`, else `~/.local/state/pycstore`. `None` without a home, and where
    /// the home is not there.
    pub state_directory: Option<PathBuf>,
    /// `SHELL`: the login shell.
    pub shell: Option<PathBuf>,
    /// The name of the process that started us, where the system tells.
    pub parent: Option<String>,
    /// `ZDOTDIR`: where zsh's files are, instead of the home.
    pub zsh_directory: Option<PathBuf>,
    /// This program, by the path that finds it again after an upgrade: the name on `PATH` rather than what it links to.
    pub executable: Option<PathBuf>,
    /// Where this machine's Pythons may be, as far as the environment tells.
    pub places: Places,
    /// Directories for the use of many programs: `TMPDIR`, and those of the XDG specification.
    pub common_directories: Vec<PathBuf>,
    /// `SOURCE_DATE_EPOCH`, in seconds since 1970.
    pub source_date_epoch: Option<i64>,
    /// The working directory; where we continue for root, the one that root was in.
    pub working_directory: PathBuf,
    /// The process of root that we continue for, as the user to whom a store belongs (`super::continuation`).
    pub continued_for: Option<u32>,
    /// The moment at which the program began.
    pub now: Moment,
}

impl Environment {
    /// A home that a test names, and nothing else.
    pub fn of_test(home: &str) -> Environment {
        let home = PathBuf::from(home);
        Environment {
            user: None,
            own_home: Some(home.clone()),
            prefix: None,
            given_prefix: None,
            writes_nothing: None,
            search_path: None,
            has_runtime_directory: false,
            configuration: None,
            configuration_directory: Some(home.join(".config/pycstore")),
            state_directory: Some(home.join(".local/state/pycstore")),
            configurations: Some(home.join(".config")),
            system_configurations: home.join("etc"),
            shell: None,
            parent: None,
            zsh_directory: None,
            executable: Some(home.join(".local/bin/pycstore")),
            places: Places { root: home.clone(), ..Places::default() },
            common_directories: Vec::new(),
            source_date_epoch: None,
            working_directory: home.clone(),
            continued_for: None,
            default_stores: default_stores(&home, Platform::Other),
            homes: vec![home.clone()],
            home: Some(home),
            now: Moment { seconds: 1_700_000_000, nanoseconds: 0 },
        }
    }

    /// Where Pythons may be: [`Environment::places`], and in every user's home where we are root.
    pub fn places_of_all(&self) -> Places {
        let mut places = self.places.clone();
        if effective_user() == 0 {
            for place in ["/home", "/Users"] {
                let homes = std::fs::read_dir(place).into_iter().flatten().flatten();
                places.homes.extend(homes.map(|home| home.path()));
            }
            places.homes.push(PathBuf::from("/root"));
        }
        places
    }

    /// The store where nothing names one; it need not exist. `None` without a home.
    pub fn default_store(&self) -> Option<&PathBuf> {
        let may_exist = |path: &&PathBuf| match path.symlink_metadata() {
            Ok(_) => true,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        };
        self.default_stores.iter().find(may_exist).or(self.default_stores.first())
    }

    /// A directory that a store can have to itself, for hints.
    pub fn own_store(&self) -> &'static str {
        if self.home.is_some() { "~/.cache/cpython" } else { "/var/cache/cpython" }
    }

    /// A path as the kernel takes it, with symbolic links kept as they are spelled: below the working directory unless
    /// absolute. `link/..` is the directory above the one that the link leads to.
    pub fn absolute(&self, path: &Path) -> PathBuf {
        self.below_working_directory(path, |above| {
            let real = if above.is_symlink() { above.canonicalize().ok() } else { None };
            real.unwrap_or(above)
        })
    }

    /// A path as text: `..` removes the name before it, even that of a link.
    pub fn lexical(&self, path: &Path) -> PathBuf {
        self.below_working_directory(path, |above| above)
    }

    /// An absolute path without dots. `resolved` says where the directory before `..` is.
    fn below_working_directory(&self, path: &Path, resolved: impl Fn(PathBuf) -> PathBuf) -> PathBuf {
        use std::path::Component;
        let mut absolute = PathBuf::from("/");
        for component in self.working_directory.join(path).components() {
            match component {
                Component::Normal(name) => absolute.push(name),
                Component::ParentDir => {
                    absolute = resolved(absolute);
                    absolute.pop();
                }
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        absolute
    }
}

/// An operating system, as far as it has a Python of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// Its Python has a store unless a variable names another.
    MacOs,
    /// Its Python has no store by default.
    Other,
}

impl Platform {
    /// The one that this program is built for.
    pub const THIS: Platform = if cfg!(target_os = "macos") { Platform::MacOs } else { Platform::Other };
}

/// The stores of a home where nothing names one.
pub fn default_stores(home: &Path, platform: Platform) -> Vec<PathBuf> {
    let of_apple = (platform == Platform::MacOs).then(|| home.join(others::OF_APPLE));
    [home.join(".cache/cpython")].into_iter().chain(of_apple).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_macos_the_store_of_apples_python_is_the_default_unless_there_is_another() {
        let temporary = tempfile::tempdir().unwrap();
        let home = temporary.path();
        let default = |platform: Platform| {
            let default_stores = default_stores(home, platform);
            let environment = Environment { default_stores, ..Environment::of_test("/nowhere") };
            let store = environment.default_store().unwrap();
            store.strip_prefix(home).unwrap().to_str().unwrap().to_string()
        };
        assert_eq!(
            (default(Platform::Other), default(Platform::MacOs)),
            (".cache/cpython".into(), ".cache/cpython".into())
        );
        std::fs::create_dir_all(home.join("Library/Caches/com.apple.python")).unwrap();
        assert_eq!(default(Platform::Other), ".cache/cpython");
        assert_eq!(default(Platform::MacOs), "Library/Caches/com.apple.python");
        std::fs::create_dir_all(home.join(".cache/cpython")).unwrap();
        assert_eq!(default(Platform::MacOs), ".cache/cpython");
    }
}
