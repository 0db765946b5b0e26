//! Shells: which one the user works in, and which files each shell reads.
//!
//! | | login | interactive | script | under ssh |
//! |---|---|---|---|---|
//! | bash | the first of `.bash_profile`, `.bash_login`, `.profile` | `.bashrc` | nothing | `.bashrc` |
//! | zsh | `.zshenv`, `.zprofile` | `.zshenv`, `.zshrc` | `.zshenv` | `.zshenv` |
//! | fish | `conf.d` | `conf.d` | `conf.d` | `conf.d` |
//! | sh | `.profile` | `$ENV` | nothing | nothing |
//!
//! bash(1) "INVOCATION", zsh(1) "STARTUP/SHUTDOWN FILES", fish(1) "Configuration files". zsh looks in `$ZDOTDIR`
//! instead of the home, but if `~/.zshenv` sets that variable, that file is read first.

use super::block_edit::BlockEdit;
use super::target::Target;
use crate::complaint::Complaint;
use crate::edits::{Placement, TextPlace};
use crate::environment::Environment;
use crate::host::input;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The files of which bash reads the first that exists at login.
const BASH_LOGIN: [&str; 3] = [".bash_profile", ".bash_login", ".profile"];

/// Returns the target for the shell that the user works in, and a description of the shell.
///
/// # Errors
/// If the shell is unknown, or cannot be set up.
pub fn detect(environment: &Environment) -> Result<(Target, String), Complaint> {
    let login = environment.shell.as_deref().and_then(Path::file_name).map(OsStr::to_string_lossy);
    let parent = environment.parent.as_deref().map(|name| name.trim_start_matches('-'));
    if let Some((name, target)) = parent.and_then(|name| Some((name, target_of(name)?))) {
        let mut description = format!("{name} (it started pycstore)");
        if let Some(login) = login.filter(|login| login != name) {
            let setup = target_of(&login).unwrap_or(Target::Profile);
            let other = format!("; new terminals start {login} ($SHELL): `pycstore setup {setup}`");
            description.push_str(&other);
        }
        return Ok((target, description));
    }
    let hint = "name what to set up: bash, zsh, fish, profile, environment.d, cron, git, vscode";
    let login = login.ok_or_else(|| Complaint::new("cannot detect the shell: $SHELL is not set", hint))?;
    let target = target_of(&login)
        .ok_or_else(|| Complaint::new(format!("$SHELL is {login}, which setup does not support"), hint))?;
    Ok((target, format!("{login} ($SHELL)")))
}

fn target_of(shell: &str) -> Option<Target> {
    match shell {
        "bash" => Some(Target::Bash),
        "zsh" => Some(Target::Zsh),
        "fish" => Some(Target::Fish),
        _ => None,
    }
}

/// Returns the blocks for bash: one in `.bashrc`, and one in the login file unless that surely reads `.bashrc`.
pub fn bash(home: &Path, lines: &[u8]) -> Vec<BlockEdit> {
    let (login, is_there) = bash_login(home);
    let mut why = "bash reads it when it is interactive, and under ssh".to_string();
    let is_enough = surely_reads_bashrc(home, &login);
    if is_enough {
        let login = login.file_name().unwrap_or_default().to_string_lossy();
        why.push_str(&format!("; as a login shell too, for ~/{login} sources it"));
    }
    let mut edits = vec![block(home.join(".bashrc"), lines.to_vec(), &why)];
    if !is_enough {
        let why = if is_there {
            "login bash reads it, and possibly not ~/.bashrc"
        } else {
            "login bash reads it: none of ~/.bash_profile, ~/.bash_login and ~/.profile exists"
        };
        edits.push(block(login, lines.to_vec(), why));
    }
    edits
}

/// Returns the block for every zsh.
pub fn zsh(environment: &Environment, home: &Path, lines: Vec<u8>) -> BlockEdit {
    let own = home.join(".zshenv");
    let why = "every zsh reads it first, scripts included";
    let Some(directory) = environment.zsh_directory.as_deref().filter(|it| *it != home) else {
        return block(own, lines, why);
    };
    let sets_it = lines_of(&own).iter().any(|line| line.contains("ZDOTDIR"));
    if sets_it {
        block(own, lines, &format!("{why}; it sets ZDOTDIR for the later files"))
    } else {
        block(directory.join(".zshenv"), lines, &format!("{why}; it is in $ZDOTDIR"))
    }
}

/// Returns the path of our file for fish; `None` without a directory for configurations.
pub fn fish_file(environment: &Environment) -> Option<PathBuf> {
    Some(environment.configurations.as_ref()?.join("fish/conf.d/pycstore.fish"))
}

/// Returns the block for every fish, in a separate file.
pub fn fish(file: PathBuf, lines: Vec<u8>) -> BlockEdit {
    block(file, lines, "every fish reads the files of conf.d, scripts included")
}

/// Returns the block for the login shell, and so for everything that it starts.
pub fn profile(environment: &Environment, home: &Path, lines: Vec<u8>) -> BlockEdit {
    let shell = environment.shell.as_deref().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let (path, why) = match shell.as_ref() {
        "bash" => {
            let (login, is_there) = bash_login(home);
            let why = if is_there {
                "bash, which $SHELL names, reads it at login: the first of ~/.bash_profile, ~/.bash_login, ~/.profile"
            } else {
                "bash, which $SHELL names, and sh read it at login; none of their files is there yet"
            };
            (login, why)
        }
        "zsh" => {
            let directory = environment.zsh_directory.as_deref().unwrap_or(home);
            let why = "zsh, which $SHELL names, reads it at login; to cover scripts, too: pycstore setup zsh";
            (directory.join(".zprofile"), why)
        }
        "fish" => {
            let why = "sh and display managers read it at login; fish does not: setup fish";
            (home.join(".profile"), why)
        }
        _ => (home.join(".profile"), "sh reads it at login, and so do display managers"),
    };
    block(path, lines, why)
}

/// Returns all files that a target for a shell may have changed: where undo looks.
pub fn files(target: Target, environment: &Environment, home: &Path) -> Vec<PathBuf> {
    let bash_login = BASH_LOGIN.map(|name| home.join(name));
    let in_zsh = |name: &str| {
        let directories = std::iter::once(home).chain(environment.zsh_directory.as_deref());
        directories.map(|directory| directory.join(name)).collect::<Vec<_>>()
    };
    match target {
        Target::Bash => [vec![home.join(".bashrc")], bash_login.to_vec()].concat(),
        Target::Zsh => in_zsh(".zshenv"),
        Target::Profile => [bash_login.to_vec(), in_zsh(".zprofile")].concat(),
        Target::Fish => fish_file(environment).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// A block at the top: many startup files return early in shells that are not interactive, or end in `exec`.
fn block(path: PathBuf, lines: Vec<u8>, why: &str) -> BlockEdit {
    let (place, placement) = (TextPlace::File(path), Placement::Top);
    BlockEdit { place, placement, lines, why: why.into() }
}

/// Returns the file that bash reads at login, and whether it exists.
fn bash_login(home: &Path) -> (PathBuf, bool) {
    let there = BASH_LOGIN.iter().map(|name| home.join(name)).find(|path| path.exists());
    match there {
        Some(path) => (path, true),
        // It hides none of the others, if they are created later.
        None => (home.join(".profile"), false),
    }
}

/// Whether a login file certainly reads `.bashrc` in every login shell, directly or by `.profile`. A file that tests whether
/// the shell is interactive may not.
fn surely_reads_bashrc(home: &Path, login: &Path) -> bool {
    let lines = lines_of(login);
    let asks =
        lines.iter().any(|line| line.contains("$-") || line.contains("PS1") || line.contains("return"));
    let profile = home.join(".profile");
    let by_profile =
        || login != profile && sources(&lines, ".profile") && surely_reads_bashrc(home, &profile);
    !asks && (sources(&lines, ".bashrc") || by_profile())
}

/// Whether one of these lines sources a file of the home.
fn sources(lines: &[String], name: &str) -> bool {
    let spellings = ["~", "$HOME", "${HOME}"].map(|home| format!("{home}/{name}"));
    lines.iter().any(|line| {
        let words = line.split([' ', '\t', ';', '&', '|']).filter(|word| !word.is_empty());
        let words: Vec<&str> = words.collect();
        words.windows(2).any(|pair| {
            let file = pair[1].trim_matches(['"', '\'']);
            matches!(pair[0], "." | "source") && spellings.iter().any(|spelling| spelling == file)
        })
    })
}

/// Returns the lines of a file without comments; none if it cannot be read.
fn lines_of(path: &Path) -> Vec<String> {
    let text = input::read(path, input::MOST_BYTES).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines().map(|line| line.trim().to_string()).filter(|line| !line.starts_with('#')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(edit: &BlockEdit) -> &Path {
        match &edit.place {
            TextPlace::File(path) => path,
            TextPlace::Crontab => panic!("a file of a shell"),
        }
    }

    fn names(edits: &[BlockEdit], home: &Path) -> Vec<String> {
        let name = |edit| path(edit).strip_prefix(home).unwrap().display().to_string();
        edits.iter().map(name).collect()
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
            assert_eq!(names(&bash(home, b"x\n"), home), expected, "{files:?}");
        }
    }

    #[test]
    fn the_shell_is_the_one_that_started_pycstore() {
        let environment = |shell: Option<&str>, parent: Option<&str>| Environment {
            shell: shell.map(PathBuf::from),
            parent: parent.map(str::to_string),
            ..Environment::of_test("/home/me")
        };
        let of = |shell, parent| detect(&environment(shell, parent));
        assert_eq!(of(Some("/bin/bash"), Some("bash")).unwrap().1, "bash (it started pycstore)");
        let (target, why) = of(Some("/bin/bash"), Some("-fish")).unwrap();
        assert_eq!(target, Target::Fish);
        assert!(why.ends_with("new terminals start bash ($SHELL): `pycstore setup bash`"), "{why}");
        let (_, why) = of(Some("/bin/ksh"), Some("bash")).unwrap();
        assert!(why.ends_with("new terminals start ksh ($SHELL): `pycstore setup profile`"), "{why}");
        assert_eq!(of(Some("/usr/bin/zsh"), Some("tmux")).unwrap(), (Target::Zsh, "zsh ($SHELL)".into()));
        assert!(of(Some("/bin/ksh"), None).unwrap_err().to_string().contains("$SHELL is ksh"));
        assert!(of(None, Some("make")).is_err());
    }

    #[test]
    fn zsh_is_reached_where_it_looks_first() {
        let temporary = tempfile::tempdir().unwrap();
        let home = temporary.path();
        let elsewhere = home.join(".config/zsh");
        let mut environment = Environment::of_test(home.to_str().unwrap());
        let place = |environment: &Environment| path(&zsh(environment, home, Vec::new())).to_path_buf();
        assert_eq!(place(&environment), home.join(".zshenv"));
        environment.zsh_directory = Some(elsewhere.clone());
        assert_eq!(place(&environment), elsewhere.join(".zshenv"));
        std::fs::write(home.join(".zshenv"), "export ZDOTDIR=~/.config/zsh\n").unwrap();
        assert_eq!(place(&environment), home.join(".zshenv"));
    }
}
