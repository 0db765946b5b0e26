//! `pycstore completions`: each shell takes its script, and completes with it.

use crate::support::findings::programs;
use crate::support::{World, answer};
use std::path::{Path, PathBuf};

fn script(world: &World, shell: &str, path: &str) -> PathBuf {
    let script = world.pycstore(["completions", shell]).exits(0);
    assert_eq!(script.stderr, "");
    world.write(path, script.stdout)
}

#[test]
#[ignore = "needs bash"]
fn bash_completes() {
    let world = World::new();
    programs(&world, &["bash"]);
    let path = script(&world, "bash", "pycstore.bash");
    answer(world.command("bash").arg("-n").arg(&path)).exits(0);
    let complete = |words: &str| {
        let code = format!(
            "source '{}'; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
             _pycstore pycstore \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            path.display()
        );
        answer(world.command("bash").args(["--norc", "-c", &code])).exits(0).stdout
    };
    assert_eq!(complete("pycstore pru"), "prune\n");
    assert_eq!(complete("pycstore prune --orph"), "--orphans\n");
    assert_eq!(complete("pycstore doctor --tim"), "--timeout\n");
    assert_eq!(complete("pycstore --color al"), "always\n");
    assert_eq!(complete("pycstore gen"), "\n", "what is hidden is not offered");
}

#[test]
#[ignore = "needs zsh"]
fn zsh_completes() {
    let world = World::new();
    programs(&world, &["zsh"]);
    let path = script(&world, "zsh", "functions/_pycstore");
    answer(world.command("zsh").arg("-n").arg(&path)).exits(0);
    // Completion needs a line editor: one in a pseudo-terminal, which zsh has a module for.
    let code = format!(
        r#"
zmodload zsh/zpty
complete() {{
    zpty line zsh -f -i
    zpty -w line "fpath=('{functions}' \$fpath); autoload -Uz compinit; compinit -D -u; print re''ady"
    zpty -r line output '*ready*' || exit 3
    zpty -w -n line "$1"$'\t'
    zpty -r line output "*$2*" || exit 4
    print -r -- "$2"
    zpty -d line
}}
complete 'pycstore pru' 'pycstore prune '
complete 'pycstore prune --orph' 'pycstore prune --orphans '
complete 'pycstore completions powe' 'pycstore completions powershell '
"#,
        functions = path.parent().unwrap().display()
    );
    let mut command = world.command("timeout");
    command.args(["120", "zsh", "-f", "-c", &code]).env("TERM", "dumb");
    let completed = answer(&mut command).exits(0);
    let expected = "pycstore prune \npycstore prune --orphans \npycstore completions powershell \n";
    assert_eq!(completed.stdout, expected, "{}", completed.stderr);
}

#[test]
#[ignore = "needs fish"]
fn fish_completes() {
    let world = World::new();
    programs(&world, &["fish"]);
    let path = script(&world, "fish", ".config/fish/completions/pycstore.fish");
    answer(world.command("fish").arg("-n").arg(&path)).exits(0);
    world.write("notes.txt", "");
    let complete = |line: &str| {
        let code = format!("complete -C '{line}'");
        // fish loads what completes a command when there is the command.
        let program = Path::new(env!("CARGO_BIN_EXE_pycstore"));
        let path = std::env::var_os("PATH").unwrap();
        let directories =
            std::iter::once(program.parent().unwrap().into()).chain(std::env::split_paths(&path));
        let mut fish = world.command("fish");
        fish.args(["-c", &code]).env("PATH", std::env::join_paths(directories).unwrap());
        let mut words: Vec<String> = Vec::new();
        for line in answer(&mut fish).exits(0).stdout.lines() {
            words.push(line.split('\t').next().unwrap().to_string());
        }
        words.sort();
        words.join(" ")
    };
    let shells = "bash elvish fish nushell powershell zsh";
    let table = [
        ("pru", "prune"),
        ("gen", ""),
        ("prune --orph", "--orphans"),
        ("schedule ", "install remove run status"),
        ("schedule in", "install"),
        ("schedule install ", ""),
        ("schedule --with cron ", "install remove run status"),
        ("completions ", shells),
        ("--quiet completions ", shells),
        ("completions zsh ", ""),
        ("setup zs", "zsh"),
        ("setup env", "environment.d"),
        ("setup zsh fi", "fish"),
        ("setup zsh z", ""),
        ("setup --print --yes v", "vscode"),
        ("help pr", "prune"),
        ("help s", "schedule setup share source sweep"),
        ("help prune ", ""),
        ("doctor ", ""),
        ("which not", "notes.txt"),
    ];
    for (words, expected) in table {
        assert_eq!(complete(&format!("pycstore {words}")), expected, "pycstore {words}");
    }
}

/// No PowerShell runs where these tests do: that its script is there, and names every command.
#[test]
fn powershell_gets_a_script() {
    let world = World::new();
    let script = world.pycstore(["completions", "powershell"]).exits(0).stdout;
    assert!(script.contains("Register-ArgumentCompleter -Native -CommandName 'pycstore'"), "{script}");
    for command in ["prune", "doctor", "completions"] {
        assert!(script.contains(&format!("[CompletionResult]::new('{command}', ")), "{command}");
    }
}

/// Neither Elvish nor Nushell runs where these tests do: their scripts name every command, and Nushell's the values of arguments.
#[test]
fn elvish_and_nushell_get_scripts() {
    let world = World::new();
    let script = |shell: &str| world.pycstore(["completions", shell]).exits(0).stdout;
    let (elvish, nushell) = (script("elvish"), script("nushell"));
    assert!(elvish.contains("set edit:completion:arg-completer[pycstore] = "), "{elvish}");
    assert!(nushell.contains("[ \"bash\" \"zsh\" \"fish\" "), "{nushell}");
    for command in ["prune", "doctor", "completions"] {
        assert!(elvish.contains(&format!("cand {command} '")), "{command}");
        assert!(nushell.contains(&format!("export extern \"pycstore {command}\"")), "{command}");
    }
}

#[test]
fn another_shell_is_an_error_of_usage() {
    let world = World::new();
    insta::assert_snapshot!(world.pycstore(["completions", "tcsh"]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: invalid value 'tcsh' for '<SHELL>' [possible values: bash, zsh, fish, powershell, elvish, nushell]
    hint: a similar value exists: 'zsh'
    ");
    let mut command = world.program();
    command.args(["completions", "bash"]).stdout(crate::support::closed_pipe());
    assert_eq!(command.status().unwrap().code(), Some(0), "a closed pipe is no error");
}
