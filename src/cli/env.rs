//! Reads the environment of the process; no other module does.

use pycstore::environment::{Environment, Platform, default_stores};
use pycstore::host::accounts::{Accounts, User};
use pycstore::host::contained::THIS_PROGRAM;
use pycstore::host::directory::effective_user;
use pycstore::host::path_owner::{PathOwner, path_owner};
use pycstore::source::interpreter::{Places, Reach, ToolDirectory};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Replaces a working directory that was deleted: paths relative to it do not exist, and show why.
const NO_DIRECTORY: &str = "/proc/self/cwd";

/// Variables that name a directory that many programs use.
const COMMON: [&str; 6] =
    ["TMPDIR", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"];

/// Root's home if passwd(5) has none.
const ROOT_HOME: &str = "/root";

/// Passes the id of root's process to the process that continues for it.
pub const CONTINUED_FOR: &str = "PYCSTORE_CONTINUED_FOR";

/// Passes the id of the process that waits for the work to the process that does it.
pub const SUPERVISOR: &str = "PYCSTORE_SUPERVISOR";

/// Passes root's working directory, which relative paths refer to.
pub const DIRECTORY: &str = "PYCSTORE_DIRECTORY";

/// Variables that root passes to another user's process: terminal settings, language and time zone.
const PASSED_ON: [&str; 10] = [
    "TERM",
    "COLORTERM",
    "COLUMNS",
    "LINES",
    "NO_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "LANG",
    "LANGUAGE",
    "TZ",
];

/// Returns the variables of this process that root passes to another user's process.
pub fn passed_on() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| {
        name.to_str().is_some_and(|name| PASSED_ON.contains(&name) || name.starts_with("LC_"))
    })
}

/// Returns the locale of characters: the first of these variables that is set and not empty.
pub fn locale() -> Option<String> {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .filter_map(std::env::var_os)
        .find(|value| !value.is_empty());
    set.map(|value| value.to_string_lossy().into_owned())
}

/// Whether the terminal can only print lines.
pub fn is_dumb_terminal() -> bool {
    std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb")
}

/// The process of root that this one continues for.
pub fn continued_for() -> Option<u32> {
    std::env::var_os(CONTINUED_FOR)?.to_str()?.parse().ok()
}

/// The process that waits for this one to do the work.
pub fn supervisor() -> Option<u32> {
    std::env::var_os(SUPERVISOR)?.to_str()?.parse().ok()
}

/// The homes of people and of root in passwd(5); those of system users may be any directory.
fn homes_in_passwd(accounts: &Accounts) -> impl Iterator<Item = PathBuf> {
    let is_a_persons = |user: &User| {
        (user.id == 0 || user.id >= 1000) && user.home.is_absolute() && user.home != Path::new("/")
    };
    accounts.users.iter().filter(move |user| is_a_persons(user)).map(|user| user.home.clone())
}

/// The environment of this process.
pub fn of_process() -> Environment {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let accounts = Accounts::read();
    let home = home(std::env::var_os("HOME"), &accounts);
    // As the XDG specification wants it, a variable with a relative path is ignored.
    let xdg = |name: &str, usual: &str| {
        directory(variable(name)).or_else(|| home.as_ref().map(|home| home.join(usual)))
    };
    // `sudo` may keep a user's HOME: root reads no configuration of theirs and leaves nothing of its own there,
    // unless a variable says so.
    let is_anothers = |path: &Path| {
        effective_user() == 0
            && !matches!(path_owner(path, &accounts), Ok(PathOwner::Root | PathOwner::Anyone(_)))
    };
    let root_home = || accounts.user(0).map_or_else(|| ROOT_HOME.into(), |root| root.home.clone());
    let ours = |name: &str, usual: &str| {
        let found = xdg(name, usual)?.join("pycstore");
        let is_named = directory(variable(name)).is_some();
        Some(if is_named || !is_anothers(&found) { found } else { root_home().join(usual).join("pycstore") })
    };
    let continued_for = continued_for();
    Environment {
        places: places(variable, home.clone()),
        configurations: xdg("XDG_CONFIG_HOME", ".config"),
        system_configurations: PathBuf::from("/etc"),
        shell: variable("SHELL").map(PathBuf::from),
        parent: name_of_process(std::os::unix::process::parent_id()),
        zsh_directory: directory(variable("ZDOTDIR")),
        executable: executable(),
        user: variable("USER").or_else(|| variable("LOGNAME")),
        own_home: home.clone().filter(|home| !is_anothers(home)),
        prefix: variable("PYTHONPYCACHEPREFIX"),
        given_prefix: std::env::var_os("PYTHONPYCACHEPREFIX"),
        writes_nothing: variable("PYTHONDONTWRITEBYTECODE"),
        search_path: variable("PATH"),
        has_runtime_directory: variable("XDG_RUNTIME_DIR").is_some(),
        configuration: std::env::var_os("PYCSTORE_CONFIG"),
        configuration_directory: ours("XDG_CONFIG_HOME", ".config"),
        // The home of some system users does not exist (`/nonexistent`), and is not created.
        state_directory: ours("XDG_STATE_HOME", ".local/state")
            .filter(|_| variable("XDG_STATE_HOME").is_some() || home.as_ref().is_some_and(|it| it.is_dir())),
        default_stores: home.as_deref().map_or_else(Vec::new, |home| default_stores(home, Platform::THIS)),
        homes: home.iter().cloned().chain(homes_in_passwd(&accounts)).collect(),
        common_directories: common_directories(variable, home.as_deref()),
        source_date_epoch: variable("SOURCE_DATE_EPOCH").and_then(|epoch| epoch.to_str()?.parse().ok()),
        working_directory: working_directory(continued_for.and_then(|_| directory(variable(DIRECTORY)))),
        continued_for,
        now: SystemTime::now().into(),
        home,
    }
}

/// The home: `HOME` if it is set, which has to be absolute, else that of the effective user in passwd(5).
fn home(variable: Option<OsString>, accounts: &Accounts) -> Option<PathBuf> {
    match variable.filter(|home| !home.is_empty()) {
        Some(home) => directory(Some(home)),
        // Without the variable, the C library looks it up, also in directory services.
        None => directory(std::env::home_dir().map(PathBuf::into_os_string))
            .or_else(|| accounts.user(effective_user()).map(|user| user.home.clone()))
            .filter(|home| home.is_absolute()),
    }
}

/// The directory that relative paths refer to.
fn working_directory(of_root: Option<PathBuf>) -> PathBuf {
    of_root.or_else(|| std::env::current_dir().ok()).unwrap_or_else(|| PathBuf::from(NO_DIRECTORY))
}

fn directory(value: Option<OsString>) -> Option<PathBuf> {
    value.map(PathBuf::from).filter(|path| path.is_absolute())
}

/// Directories that many programs use, from variables or at their usual paths: either may be a link.
fn common_directories(variable: impl Fn(&str) -> Option<OsString>, home: Option<&Path>) -> Vec<PathBuf> {
    let named = COMMON.iter().filter_map(|name| directory(variable(name)));
    let usual = [".cache", ".config", ".local", ".local/share", ".local/state"];
    named.chain(home.into_iter().flat_map(|home| usual.map(|name| home.join(name)))).collect()
}

/// The absolute directories of `PATH`; a relative one depends on the working directory.
pub fn search_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).filter(|directory| directory.is_absolute()).collect()
}

/// The name of a process in proc(5); for a script, the script's name.
fn name_of_process(id: u32) -> Option<String> {
    let name = std::fs::read(format!("/proc/{id}/comm")).ok()?;
    Some(String::from_utf8_lossy(&name).trim_end_matches('\n').to_string())
}

/// The path of this program: the path that it was called by, else the one found by name on `PATH`, else its real path.
fn executable() -> Option<PathBuf> {
    let real = std::env::current_exe().ok()?;
    let called = PathBuf::from(std::env::args_os().next()?);
    let candidates = match called.components().count() {
        0 | 1 => search_path().iter().map(|directory| directory.join(&called)).collect(),
        _ => vec![std::env::current_dir().ok()?.join(&called)],
    };
    let is_this = |candidate: &PathBuf| candidate.canonicalize().is_ok_and(|found| found == real);
    Some(candidates.into_iter().find(is_this).unwrap_or(real))
}

/// Directories in which Pythons may be. Relative ones are skipped, because they depend on the working directory.
fn places(variable: impl Fn(&str) -> Option<OsString>, home: Option<PathBuf>) -> Places {
    let tools = [
        (ToolDirectory::Data, "XDG_DATA_HOME"),
        (ToolDirectory::Pyenv, "PYENV_ROOT"),
        (ToolDirectory::UvPythons, "UV_PYTHON_INSTALL_DIR"),
        (ToolDirectory::Conda, "CONDA_PREFIX"),
        (ToolDirectory::Conda, "CONDA_ROOT"),
        (ToolDirectory::Conda, "MAMBA_ROOT_PREFIX"),
        (ToolDirectory::Homebrew, "HOMEBREW_PREFIX"),
        (ToolDirectory::Asdf, "ASDF_DATA_DIR"),
        (ToolDirectory::Mise, "MISE_DATA_DIR"),
        (ToolDirectory::Rye, "RYE_HOME"),
    ];
    let virtualenv = directory(variable("VIRTUAL_ENV"));
    Places {
        root: PathBuf::from("/"),
        homes: home.into_iter().collect(),
        path: search_path(),
        tool_directories: tools
            .into_iter()
            .filter_map(|(tool, name)| Some((tool, directory(variable(name))?)))
            .collect(),
        configurations: virtualenv.into_iter().map(|root| root.join("pyvenv.cfg")).collect(),
        libraries: Vec::new(),
        reach: Reach::Usual,
    }
}

/// Returns a path of this program that works even if its file was replaced or moved since it was started.
///
/// # Errors
/// If the system does not provide the path.
pub fn this_program() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") {
        // After fork(2) it names the same file, and it works for a user who may not search the directories on its path.
        Ok(PathBuf::from(THIS_PROGRAM))
    } else {
        std::env::current_exe()
    }
}
