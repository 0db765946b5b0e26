//! The command line: every command and option, with its help. Home of clap.

mod completions;
mod doctor;
mod du;
mod entry;
mod number;
mod prune;
mod sweep;
mod usage;
mod warm;

pub use completions::{CompletedShell, CompletionsOptions};
pub use doctor::DoctorOptions;
pub use du::{DuOptions, ViewOptions};
pub use entry::{InspectOptions, LsOptions, SourceOptions, WhichOptions};
pub use prune::{Account, ForgetOptions, PruneOptions, RunOptions, ScopeOptions, SelectorOptions};
pub use sweep::SweepOptions;
pub use warm::WarmOptions;

use super::schedule::ScheduleOptions;
use super::setup::SetupOptions;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// Manages CPython's global bytecode store, the tree that PYTHONPYCACHEPREFIX names.
///
/// Python only ever adds to that tree. pycstore says whose bytes those are, which of them Python would
/// still load, and removes the rest.
///
/// When root runs it on another user's store, pycstore continues as that user, without root's groups, environment,
/// configuration and history. That user also reads and writes the files of --config, --metrics and --html, and what the user
/// may not do is an error. The user is the owner of the first directory or symbolic link on the path that does not belong to
/// root. Root removes nothing if others can write to a directory on the path, unless it is sticky. sweep continues as the
/// owner of the tree; doctor, history and config do so only with --store.
#[derive(Debug, Parser)]
#[command(
    name = "pycstore",
    version,
    max_term_width = 100,
    subcommand_required = true,
    after_help = "Exit status: 0 all done, nothing to do included; 1 finished, but something could not be read or \
                  removed; 2 nothing done: usage, or a store that is missing or refused."
)]
pub struct Arguments {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Arguments {
    /// The arguments of this process. Help and the version end it here.
    ///
    /// # Errors
    /// What is wrong with them, and how they should be; or that the help cannot be written.
    pub fn of_process() -> anyhow::Result<Arguments> {
        Arguments::try_parse().or_else(|error| {
            if usage::is_help(&error) {
                error.print()?;
                std::process::exit(error.exit_code());
            }
            Err(usage::complaint(error, std::env::args_os()).into())
        })
    }
}

/// The whole command line as data, complete with the options that every command inherits.
#[cfg(test)]
pub fn definition() -> clap::Command {
    let mut definition = Arguments::command().disable_help_subcommand(true);
    definition.build();
    definition
}

/// The command line as far as the help shows it.
pub fn visible() -> clap::Command {
    let all = Arguments::command();
    let shown = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    clap::Command::new("pycstore")
        .version(env!("CARGO_PKG_VERSION"))
        .args(all.get_arguments().cloned())
        .subcommands(shown)
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The store [default: $PYTHONPYCACHEPREFIX, else the configuration's, else ~/.cache/cpython]
    #[arg(long, value_name = "DIR", global = true, help_heading = "Global options")]
    pub store: Option<PathBuf>,
    /// When to use colours
    #[arg(long, value_name = "WHEN", global = true, default_value = "auto", help_heading = "Global options")]
    pub color: Color,
    /// Do not say what was done, only what went wrong
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub quiet: bool,
    /// Use exactly this many threads [default: as many as the disk can use]
    #[arg(long, value_name = "N", global = true, value_parser = number::threads, help_heading = "Global options")]
    pub threads: Option<u16>,
    /// Treat missing sources at or below PATH as deleted, even if a disk may just be unmounted; an error is never
    /// treated so (may be repeated)
    #[arg(long, value_name = "PATH", global = true, help_heading = "Global options")]
    pub assume_gone: Vec<PathBuf>,
    /// Read the configuration from FILE [default: $PYCSTORE_CONFIG, else ~/.config/pycstore/config.toml]
    #[arg(long, value_name = "FILE", global = true, help_heading = "Global options")]
    pub config: Option<PathBuf>,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// In a pipe as well
    Always,
    /// Not even on a terminal
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show how much room the store takes, by owner.
    ///
    /// An owner is the project, environment or interpreter that a source belongs to. Sizes are room on disk, as GNU
    /// du counts it, in units of 1024; the total includes the directories and equals `du -s -B1 STORE`. Reclaimable
    /// is what `pycstore prune --orphans --stale --corrupt --temporary` removes.
    ///
    /// Other views group the same files by package, cache tag, status, kind of owner or directory, or by two of these
    /// at once. Whatever is shown, the total is whole. The last use is not known (-) on a mount that keeps no access times
    /// (noatime).
    Du(DuOptions),
    /// Write a page that shows how much room the store takes, by owner and status.
    ///
    /// The page has a treemap, the totals of `pycstore du --json` and a table to sort and filter. It is one file that
    /// loads nothing, neither from the network nor from the disk, and has the data within it as JSON: of `du --json`,
    /// with the moment (generated), the program and what could not be read (troubles).
    Report(ReportOptions),
    /// List every file of the store with its status.
    ///
    /// Each line has the status, its reason, the room on disk and the path. The statuses are: fresh (Python would load
    /// it), stale (the source is there, and Python would recompile it), orphan (the source was definitely deleted), corrupt
    /// (not loadable), unknown (cannot be decided here), temporary (left over from an interrupted write, or a
    /// synchroniser's copy of an entry) and foreign (nothing that Python writes).
    Ls(LsOptions),
    /// Remove entries that Python cannot use any more.
    ///
    /// Selectors add up, scopes narrow. Without a selector the configuration's policy holds; without that nothing is
    /// done. An entry is an orphan only if its source was definitely deleted: something on the source's path changed
    /// after the entry was written. A source on a disk that is not mounted, in a container or behind an error makes the
    /// entry unknown, which only --unused-for, budgets, --dead-interpreters and --all remove. A file that is no bytecode
    /// is kept and reported, unless --corrupt is given. Each file and its source are looked at again before it is
    /// removed: it is kept if it changed, or if its source is there again.
    ///
    /// An empty directory is removed when the directory that it mirrors is deleted. --all also removes the directories
    /// that it empties. All other directories stay, and so does the store itself. --dry-run and --json name the
    /// directories.
    ///
    /// Files are counted by name, bytes by inode: a file with several hard links frees its bytes with its last link,
    /// and nothing while a link stays, in the store or elsewhere.
    ///
    /// A run that would remove every entry of the store, some of which Python may still use, asks on a terminal and needs
    /// --yes without one: by --all, a budget of 0, --unused-for of less than a day, or a scope that covers the store.
    Prune(PruneOptions),
    /// Remove all entries of a project, environment or interpreter, even if already deleted.
    ///
    /// For after `rm -rf .venv`, `pip uninstall` or `uv cache clean`: every entry whose source is, or was, at or below
    /// one of the paths is removed, whatever its status, and so are the directories that become empty. Python compiles
    /// again what it still needs. If that is every entry of the store, forget asks on a terminal and needs --yes without
    /// one.
    Forget(ForgetOptions),
    /// Remove the bytecode that lies in source trees, or move it into the store.
    ///
    /// For after the switch to a store: files in __pycache__, NAME.pyc and NAME.pyo beside NAME.py, and what
    /// interrupted writes and synchronisers left there an hour ago or more. A NAME.pyc without NAME.py is a module that
    /// Python imports, and stays. A file in __pycache__ without a source is removed, because no import finds it: --ignore
    /// it if a tool loads it by itself. Files that git tracks stay. Files that are not bytecode stay, and so does a
    /// __pycache__ that holds one, like numba's caches. Each file is looked at again before it is removed, and kept if it
    /// changed.
    ///
    /// No symbolic link is followed and no mount point crossed. Root sweeps another user's tree as that user; trees of several
    /// users, and with --adopt a store of another user than the trees, are refused. Left alone are .git, .hg, .svn, .bzr, .jj
    /// and node_modules, the store, environments that are not named themselves, and what belongs to a package manager (/usr
    /// but not /usr/local) or to an installation of Python. Python before 3.8 knows no store and will write its __pycache__
    /// again.
    Sweep(SweepOptions),
    /// Compile sources into the store ahead of use.
    ///
    /// Each is compiled by the interpreter that will import it: what lies in an environment by the environment's own, the
    /// library of an installation by that one's, all else by the nearest .venv in the project or above it, and where
    /// there is none by the newest CPython on this machine or the one that --python names. What the store has fresh
    /// already is not compiled again. Nothing of a source is run; the interpreters run without the caller's
    /// environment.
    ///
    /// Directories with programs, and those that PATH leaves by `..`, get an empty directory in the store: with bin/../lib
    /// on sys.path Python opens STORE/bin/../lib/m.pyc, which needs STORE/bin.
    ///
    /// An interpreter found in a tree runs only if it and all directories on the way to it belong to you or to root. For
    /// root, no other user may be able to change its standard library, pyvenv.cfg and linked libraries either, and that holds
    /// for --python too; the interpreter then runs as nobody if that user can start it. pycstore reads the sources and writes
    /// the entries. Root fills another user's store as that user, and compiles no other user's tree into its own store.
    Warm(WarmOptions),
    /// Show the entries of a source.
    ///
    /// Each line has the status, its reason, the room on disk and the path, as in `pycstore ls`. The source need not
    /// exist any more.
    Which(WhichOptions),
    /// List the Pythons on this machine.
    ///
    /// They are found by reading the disk: PATH, the places of pyenv, uv, conda, Homebrew, asdf, mise, rye, hatch, PDM
    /// and Poetry, /usr, /usr/local and /opt, framework builds, $VIRTUAL_ENV, the libraries and virtualenvs that the
    /// store has entries of (also the Python of an office suite), directories two levels deep below homes,
    /// /opt and /srv, and running processes. None is run. A Python before 3.8 uses no store: it is listed without tag
    /// and magic.
    Interpreters(InterpretersOptions),
    /// Show the source of an entry.
    ///
    /// The source need not exist any more: the entry's path tells it, and its contents where the path leaves a doubt.
    Source(SourceOptions),
    /// Show everything about an entry.
    ///
    /// That is its status, what Python does at the next import, what its header pins and what its source has now.
    Inspect(InspectOptions),
    /// Check entries in depth for broken or outdated bytecode.
    ///
    /// Checks every entry that Python would load. Faults: the body is no code object, so every import fails (body); the
    /// source was changed and Python does not check the entry's hash (unchecked). Warnings: the source was changed after
    /// it was compiled, and the header does not show it (racy, changed). Notices: mtimes that archives and images set
    /// (frozen), entries compiled from another path (moved), and entries of a newer Python or another implementation,
    /// whose format this version does not know (not-checked).
    ///
    /// With --recompile the owning interpreter compiles each source again, running nothing, and the code objects are
    /// compared. An entry that differs is a fault (mismatch); the result replaces the warnings about the entry.
    Verify(VerifyOptions),
    Setup(SetupOptions),
    Schedule(ScheduleOptions),
    /// Show past runs of prune.
    ///
    /// One line a run, newest first; dry runs are none. A run that found the store locked has a line that names the
    /// process with the lock. With --store only the runs on that store, which need not be
    /// there any more. The history is kept in $XDG_STATE_HOME/pycstore, else ~/.local/state/pycstore: the newest
    /// thousand runs on each store.
    History(HistoryOptions),
    /// Show the effective configuration, and where each value comes from.
    ///
    /// A flag is stronger than a variable, a variable than the file, the file than the default; the lists keep and
    /// assume-gone add up. The file is $XDG_CONFIG_HOME/pycstore/config.toml, else ~/.config/pycstore/config.toml;
    /// PYCSTORE_CONFIG names another, and set empty means none.
    Config(ConfigOptions),
    /// Try pycstore on a small store of its own, made and removed again.
    ///
    /// Builds two projects and a store in a temporary directory with the machine's python3 (without one, from small
    /// entries of its own), deletes a project, and shows what du and prune make of it. The real store is not touched.
    Demo(DemoOptions),
    /// Find what is wrong with the store and around it.
    ///
    /// Each finding is a line and a hint what to do, the worst first: errors, warnings, notes. Asked are the shells in
    /// use (bash, zsh and fish, started as login and as interactive shells), the systemd user session and
    /// environment.d, the crontab, this environment, and each interpreter that nobody else may change. Looked at are the
    /// store, who may write to it and to the directories above it, its file system, the current project, other stores
    /// and the past runs of prune. Nothing is changed, except what the startup files of the shells do. As root with
    /// another user's store (--store), all of this is done as that user.
    Doctor(DoctorOptions),
    /// Print what a shell needs to complete commands and options.
    ///
    /// Where it belongs: bash, ~/.local/share/bash-completion/completions/pycstore; zsh, a file _pycstore in a directory
    /// of $fpath; fish, ~/.config/fish/completions/pycstore.fish; PowerShell, a file that $PROFILE runs.
    Completions(CompletionsOptions),
    /// Start a program in a new session, with limits, or as another user.
    #[command(hide = true)]
    Launch(LaunchOptions),
}

/// How entries with an unchecked hash are judged.
#[derive(Debug, Default, Clone, Copy, Args)]
pub struct Unchecked {
    /// Judge entries with an unchecked hash as --check-hash-based-pycs=always would
    #[arg(long)]
    pub check_unchecked: bool,
}

/// Options of `pycstore report`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 all read, 1 something could not be read, 2 no store, or nothing written."
)]
pub struct ReportOptions {
    /// Write the page to FILE, or to standard output if it is `-`. An old one is replaced when the new one is whole,
    /// and keeps its mode; a new one is readable by you alone
    #[arg(long, value_name = "FILE", required = true)]
    pub html: PathBuf,
    /// How unchecked hashes are judged.
    #[command(flatten)]
    pub unchecked: Unchecked,
}

/// Options of `pycstore interpreters`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 all told, 1 none found, or one cannot be told, or a place cannot be read."
)]
pub struct InterpretersOptions {
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Options of `pycstore verify`.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(
    after_help = "Exit status: 0 no fault, or --fix removed all there were; 1 a fault remains (--fix does nothing while another \
                        prune runs), or something could not be read or proved; 2 no store."
)]
pub struct VerifyOptions {
    /// Only entries whose source is at or below PATH
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Let the owning interpreters compile the sources again, and compare
    #[arg(long)]
    pub recompile: bool,
    /// Remove the entries with a fault; Python compiles their sources again
    #[arg(long)]
    pub fix: bool,
    /// Show notices as well: what only may go wrong
    #[arg(long)]
    pub notices: bool,
    /// Print one JSON object a line for each finding, notices included; `removed` says whether --fix removed the entry
    #[arg(long)]
    pub json: bool,
}

/// Options of `pycstore history`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 all read, also when there is none, 1 something could not be read, 2 nothing."
)]
pub struct HistoryOptions {
    /// Only the newest N runs
    #[arg(short = 'n', long = "top", value_name = "N", value_parser = number::whole::<usize>)]
    pub top: Option<usize>,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Options of `pycstore config`.
#[derive(Debug, Args)]
#[command(after_help = CONFIG_HELP)]
pub struct ConfigOptions {
    /// Print the path of the configuration file, there or not
    #[arg(long)]
    pub path: bool,
    /// Print one JSON document
    #[arg(long, conflicts_with = "path")]
    pub json: bool,
}

/// What the configuration may say.
const CONFIG_HELP: &str = r#"Keys, each with an example; all may be missing:
  store = "~/.cache/cpython"         ~ and $HOME at the start are expanded
  threads = 8
  keep = ["~/work/**"]               globs of sources whose entries stay
  assume-gone = ["/mnt/old"]         as --assume-gone
  [prune]                            what `pycstore prune` does without a selector
  orphans = true                     also stale, corrupt, temporary, dead-interpreters
  unused-for = "90d"                 units s, m, h, d, w, months, y
  max-size = "5GiB"                  500M is 500,000,000 bytes, 500MiB is 524,288,000
  max-files = 1000000
  min-interval = "20h"
  max-runtime = "10m"

Exit status: 0 shown, 2 the file cannot be read or understood."#;

/// Options of `pycstore demo`.
#[derive(Debug, Args)]
pub struct DemoOptions {
    /// Keep the temporary directory, and say where it is
    #[arg(long)]
    pub keep: bool,
}

/// Options of `pycstore launch`, an internal command.
#[derive(Debug, Args)]
pub struct LaunchOptions {
    /// As this user
    #[arg(long, value_name = "ID", requires = "group")]
    pub user: Option<u32>,
    /// With this group alone
    #[arg(long, value_name = "ID", requires = "user")]
    pub group: Option<u32>,
    /// With at most this many bytes of address space
    #[arg(long, value_name = "BYTES")]
    pub memory: Option<u64>,
    /// With at most this many seconds of processor time
    #[arg(long, value_name = "SECONDS")]
    pub processor_seconds: Option<u64>,
    /// The program
    pub program: PathBuf,
    /// Its arguments
    #[arg(last = false, allow_hyphen_values = true, trailing_var_arg = true)]
    pub arguments: Vec<OsString>,
}

impl From<Unchecked> for pycstore::verdict::status::UncheckedHashes {
    fn from(unchecked: Unchecked) -> Self {
        if unchecked.check_unchecked { Self::Check } else { Self::Trust }
    }
}
