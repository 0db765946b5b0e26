//! Shells: which one is in use, and which files each kind of shell reads.
//!
//! | | login | interactive | script | under ssh |
//! |---|---|---|---|---|
//! | bash | the first of `.bash_profile`, `.bash_login`, `.profile` | `.bashrc` | nothing | `.bashrc` |
//! | zsh | `.zshenv`, `.zprofile` | `.zshenv`, `.zshrc` | `.zshenv` | `.zshenv` |
//! | fish | `conf.d` | `conf.d` | `conf.d` | `conf.d` |
//! | sh | `.profile` | `$ENV` | nothing | nothing |
//!
//! bash(1) "INVOCATION", zsh(1) "STARTUP/SHUTDOWN FILES", fish(1) "Configuration files". `$ZDOTDIR` stands for the home
//! in zsh, but where it is set by `~/.zshenv` itself, that file is read first.

use super::work::Piece;
use crate::cli::args::Target;
use crate::cli::output::complain::Complaint;
use pycstore::edits::{Placement, TextPlace};
use pycstore::environment::Environment;
use pycstore::host::input;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// What bash reads at login: the first that is there.
const BASH_LOGIN: [&str; 3] = [".bash_profile", ".bash_login", ".profile"];

/// The shell in use, and how that is known.
///
/// # Errors
/// When it is none that can be set up.
pub fn in_use(environment: &Environment) -> Result<(Target, String), Complaint> {
    let login = environment.shell.as_deref().and_then(Path::file_name).map(OsStr::to_string_lossy);
    let parent = environment.parent.as_deref().map(|name| name.trim_start_matches('-'));
    if let Some((name, target)) = parent.and_then(|name| Some((name, of_name(name)?))) {
        let mut why = format!("{name}, for it started pycstore");
        if let Some(login) = login.filter(|login| login != name) {
            let setup = of_name(&login).map_or("profile".into(), Target::name);
            why.push_str(&format!("; new terminals start {login}, as $SHELL says: `pycstore setup {setup}`"));
        }
        return Ok((target, why));
    }
    let hint = "name what to set up: bash, zsh, fish, profile, environment.d, cron, git, vscode";
    match login {
        Some(login) => match of_name(&login) {
            Some(target) => Ok((target, format!("{login}, for $SHELL names it"))),
            None => Err(Complaint::new(format!("$SHELL is {login}, which setup does not know"), hint)),
        },
        None => Err(Complaint::new("which shell? $SHELL is not set", hint)),
    }
}

fn of_name(name: &str) -> Option<Target> {
    match name {
        "bash" => Some(Target::Bash),
        "zsh" => Some(Target::Zsh),
        "fish" => Some(Target::Fish),
        _ => None,
    }
}

/// The files through which bash is reached: as few as are sure.
pub fn bash(home: &Path) -> Vec<Piece> {
    let rc = home.join(".bashrc");
    let mut pieces = vec![shell_piece(rc, "bash reads it when it is interactive, and under ssh")];
    let (login, is_there) = bash_login(home);
    match surely_reads_bashrc(home, &login) {
        true => {
            let login = login.file_name().unwrap_or_default().to_string_lossy();
            pieces[0].why.push_str(&format!("; as a login shell too, for ~/{login} sources it"));
        }
        false => {
            let why = match is_there {
                true => "bash reads it as a login shell, and it may not read ~/.bashrc",
                false => {
                    "bash reads it as a login shell: there is none of ~/.bash_profile, ~/.bash_login, ~/.profile"
                }
            };
            pieces.push(shell_piece(login, why));
        }
    }
    pieces
}

/// The file through which every zsh is reached.
pub fn zsh(environment: &Environment, home: &Path) -> Piece {
    let own = home.join(".zshenv");
    let why = "every zsh reads it first, scripts included";
    match &environment.zsh_directory {
        Some(directory) if directory != home => {
            let sets_it = lines_of(&own).iter().any(|line| line.contains("ZDOTDIR"));
            match sets_it {
                true => shell_piece(own, &format!("{why}; ZDOTDIR is set there, for what comes later")),
                false => shell_piece(directory.join(".zshenv"), &format!("{why}; ZDOTDIR says where it is")),
            }
        }
        _ => shell_piece(own, why),
    }
}

/// The file through which every fish is reached, one of our own.
///
/// # Errors
/// Without a home.
pub fn fish(environment: &Environment) -> Option<Piece> {
    let path = environment.configurations.as_ref()?.join("fish/conf.d/pycstore.fish");
    Some(shell_piece(path, "every fish reads the files of conf.d, scripts included"))
}

/// The file that the login shell reads, so that all that it starts has the variable.
pub fn profile(environment: &Environment, home: &Path) -> Piece {
    let shell = environment.shell.as_deref().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    match shell.as_ref() {
        "bash" => {
            let (login, is_there) = bash_login(home);
            let why = match is_there {
                true => {
                    "bash, which $SHELL names, reads it at login: the first of ~/.bash_profile, ~/.bash_login, ~/.profile"
                }
                false => {
                    "bash, which $SHELL names, and sh read it at login; none of their files is there yet"
                }
            };
            shell_piece(login, why)
        }
        "zsh" => {
            let directory = match &environment.zsh_directory {
                Some(directory) => directory.clone(),
                None => home.to_path_buf(),
            };
            shell_piece(
                directory.join(".zprofile"),
                "zsh, which $SHELL names, reads it at login; ~/.zshenv (setup zsh) reaches more",
            )
        }
        "fish" => shell_piece(
            home.join(".profile"),
            "sh and display managers read it at login; fish does not: setup fish",
        ),
        _ => shell_piece(home.join(".profile"), "sh reads it at login, and so do display managers"),
    }
}

/// All files that any of the targets may have put a block into: what `--undo` looks at.
pub fn candidates(target: Target, environment: &Environment, home: &Path) -> Vec<PathBuf> {
    let bash_login = BASH_LOGIN.map(|name| home.join(name));
    let in_zsh = |name: &str| {
        let directories = std::iter::once(home).chain(environment.zsh_directory.as_deref());
        directories.map(|directory| directory.join(name)).collect::<Vec<_>>()
    };
    match target {
        Target::Bash => [vec![home.join(".bashrc")], bash_login.to_vec()].concat(),
        Target::Zsh => in_zsh(".zshenv"),
        Target::Profile => [bash_login.to_vec(), in_zsh(".zprofile")].concat(),
        Target::Fish => fish(environment).map(|piece| piece.path()).into_iter().flatten().collect(),
        _ => Vec::new(),
    }
}

/// At the top: many of these files return early in shells that are not interactive, or end in `exec`.
fn shell_piece(path: PathBuf, why: &str) -> Piece {
    Piece {
        place: TextPlace::File(path),
        comment: "#",
        placement: Placement::Top,
        lines: Vec::new(),
        why: why.into(),
    }
}

/// The file that bash reads at login, and whether it is there.
fn bash_login(home: &Path) -> (PathBuf, bool) {
    let there = BASH_LOGIN.iter().map(|name| home.join(name)).find(|path| path.exists());
    match there {
        Some(path) => (path, true),
        // The one that hides none of the others, should they come later.
        None => (home.join(".profile"), false),
    }
}

/// Whether a login file reads `.bashrc`, directly or by way of `.profile`, in every login shell: what asks whether the
/// shell is interactive is not sure.
fn surely_reads_bashrc(home: &Path, login: &Path) -> bool {
    let lines = lines_of(login);
    let asks =
        lines.iter().any(|line| line.contains("$-") || line.contains("PS1") || line.contains("return"));
    let sources = |name: &str| {
        lines.iter().any(|line| {
            let words: Vec<&str> =
                line.split([' ', '\t', ';', '&', '|']).filter(|word| !word.is_empty()).collect();
            words.windows(2).any(|pair| {
                let file = pair[1].trim_matches(['"', '\'']);
                matches!(pair[0], "." | "source")
                    && (file == format!("~/{name}")
                        || file == format!("$HOME/{name}")
                        || file == format!("${{HOME}}/{name}"))
            })
        })
    };
    let profile = home.join(".profile");
    !asks
        && (sources(".bashrc")
            || login != profile && sources(".profile") && surely_reads_bashrc(home, &profile))
}

/// The lines of a file that are no comments; none where it cannot be read.
fn lines_of(path: &Path) -> Vec<String> {
    let text = input::read(path, input::MOST_BYTES).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines().map(|line| line.trim().to_string()).filter(|line| !line.starts_with('#')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pieces: &[Piece], home: &Path) -> Vec<String> {
        let path = |piece: &Piece| piece.path().unwrap().strip_prefix(home).unwrap().display().to_string();
        pieces.iter().map(path).collect()
    }

    #[test]
    fn bash_is_reached_through_as_few_files_as_are_sure() {
        const DEBIAN: &str = "# if running bash\nif [ -n \"$BASH_VERSION\" ]; then\n    if [ -f \"$HOME/.bashrc\" ]; then\n\t. \"$HOME/.bashrc\"\n    fi\nfi\n";
        type Files = &'static [(&'static str, &'static str)];
        let cases: [(Files, &[&str]); 9] = [
            (&[], &[".bashrc", ".profile"]),
            (&[(".profile", DEBIAN)], &[".bashrc"]),
            (&[(".profile", "#. ~/.bashrc\n")], &[".bashrc", ".profile"]),
            (&[(".profile", DEBIAN), (".bash_login", "")], &[".bashrc", ".bash_login"]),
            (&[(".profile", DEBIAN), (".bash_profile", "[ -r ~/.profile ] && . ~/.profile\n")], &[".bashrc"]),
            (&[(".bash_profile", "source ~/.bashrc")], &[".bashrc"]),
            (&[(".bash_profile", "case $- in *i*) . ~/.bashrc;; esac")], &[".bashrc", ".bash_profile"]),
            (&[(".bash_profile", "[ -n \"$PS1\" ] && source ~/.bashrc;")], &[".bashrc", ".bash_profile"]),
            (&[(".bash_profile", ". ~/.bashrc.local")], &[".bashrc", ".bash_profile"]),
        ];
        for (files, expected) in cases {
            let temporary = tempfile::tempdir().unwrap();
            let home = temporary.path();
            for (name, text) in files {
                std::fs::write(home.join(name), text).unwrap();
            }
            assert_eq!(names(&bash(home), home), expected, "{files:?}");
        }
    }

    #[test]
    fn the_shell_in_use_is_the_one_that_started_us() {
        let environment = |shell: Option<&str>, parent: Option<&str>| Environment {
            shell: shell.map(PathBuf::from),
            parent: parent.map(str::to_string),
            ..Environment::of_test("/home/me")
        };
        let of = |shell, parent| in_use(&environment(shell, parent));
        assert_eq!(of(Some("/bin/bash"), Some("bash")).unwrap().1, "bash, for it started pycstore");
        let (target, why) = of(Some("/bin/bash"), Some("-fish")).unwrap();
        assert_eq!(target, Target::Fish);
        assert!(why.ends_with("new terminals start bash, as $SHELL says: `pycstore setup bash`"), "{why}");
        let (_, why) = of(Some("/bin/ksh"), Some("bash")).unwrap();
        assert!(why.ends_with("new terminals start ksh, as $SHELL says: `pycstore setup profile`"), "{why}");
        assert_eq!(of(Some("/usr/bin/zsh"), Some("tmux")).unwrap().0, Target::Zsh);
        assert!(of(Some("/bin/ksh"), None).unwrap_err().to_string().contains("$SHELL is ksh"));
        assert!(of(None, Some("make")).is_err());
    }

    #[test]
    fn zsh_is_reached_where_it_looks_first() {
        let temporary = tempfile::tempdir().unwrap();
        let home = temporary.path();
        let elsewhere = home.join(".config/zsh");
        let mut environment = Environment::of_test(home.to_str().unwrap());
        let place = |environment: &Environment| zsh(environment, home).path().unwrap();
        assert_eq!(place(&environment), home.join(".zshenv"));
        environment.zsh_directory = Some(elsewhere.clone());
        assert_eq!(place(&environment), elsewhere.join(".zshenv"));
        std::fs::write(home.join(".zshenv"), "export ZDOTDIR=~/.config/zsh\n").unwrap();
        assert_eq!(place(&environment), home.join(".zshenv"));
    }
}
