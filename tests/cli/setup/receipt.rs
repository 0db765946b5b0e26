//! What was set up is undone where it was put, whatever the environment says by then; and the receipt that tells where is
//! never more than a hint.

use crate::support::{Answer, World, answer};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

const RECEIPT: &str = ".local/state/pycstore/edits.jsonl";
const BLOCK: &str = "# >>> pycstore >>>\nexport PYTHONPYCACHEPREFIX=x\n# <<< pycstore <<<\n";

fn pycstore(world: &World, variables: &[(&str, &Path)], arguments: &[&str]) -> Answer {
    answer(command(world).envs(variables.iter().copied()).args(arguments))
}

/// The program in a world where nobody has a crontab: the machine's own is not looked at.
fn command(world: &World) -> Command {
    let script = world.home.join("bin/crontab");
    if !script.exists() {
        world.write("bin/crontab", "#!/bin/sh\necho 'no crontab for me' >&2\nexit 1\n");
        std::fs::set_permissions(script, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let mut command = world.copied_program();
    command.env("PATH", format!("{}/bin:{}", world.home.display(), std::env::var("PATH").unwrap()));
    command
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// A receipt that says that setup put something into these files.
fn receipt(world: &World, what: &str, files: &[&str]) -> PathBuf {
    let line = |file: &&str| {
        let when = "2026-01-02T03:04:05Z";
        format!("{}\n", serde_json::json!({"schema": 1, "when": when, "what": what, "file": file}))
    };
    let path = world.write(RECEIPT, files.iter().map(line).collect::<String>());
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    path
}

#[test]
fn undo_goes_where_setup_went() {
    let world = World::new();
    let [zdotdir, configurations] = ["z dir", "configurations"].map(|name| world.home.join(name));
    let then = [("ZDOTDIR", zdotdir.as_path()), ("XDG_CONFIG_HOME", &configurations)];
    let gitconfig = "[core]\n\texcludesFile = ~/my ignore\n";
    world.write("configurations/git/config", gitconfig);
    let theirs = [
        ("z dir/.zshenv", "# mine\n"),
        ("my ignore", "*~"),
        ("configurations/Code/User/settings.json", "{}\n"),
        ("configurations/environment.d/pycstore.conf", "A=1\n"),
    ];
    for (name, text) in theirs {
        world.write(name, text);
    }
    let targets = ["zsh", "fish", "environment.d", "git", "vscode"];
    pycstore(&world, &then, &[&["setup", "--yes"], &targets[..]].concat()).exits(0);
    let fish = configurations.join("fish/conf.d/pycstore.fish");
    assert!(fish.exists() && world.home.join(RECEIPT).exists());
    // A dry run changes nothing.
    let before = read(&world.home.join(RECEIPT));
    pycstore(&world, &[], &["setup", "--undo", "--dry-run"]).exits(0);
    assert_eq!(read(&world.home.join(RECEIPT)), before);
    // Another environment: git reads another configuration, zsh other files.
    let told = pycstore(&world, &[], &["setup", "--undo", "--yes"]).exits(0).stderr;
    assert!(told.contains("zsh: ~/z dir/.zshenv: set up at 20"), "{told}");
    for (name, text) in theirs {
        assert_eq!(read(&world.home.join(name)), text, "{name}");
    }
    assert!(!fish.exists() && !configurations.join("fish").exists());
    assert!(!world.home.join(RECEIPT).exists(), "nothing is left to be undone");
    let again = pycstore(&world, &then, &["setup", "--undo", "--yes"]).exits(0);
    assert_eq!((again.stdout.as_str(), again.stderr.as_str()), ("nothing to do\n", ""));
}

#[test]
fn one_target_is_undone_and_the_others_stay_noted() {
    let world = World::new();
    let zdotdir = world.home.join("zdotdir");
    let then = [("ZDOTDIR", zdotdir.as_path())];
    std::fs::create_dir(&zdotdir).unwrap();
    pycstore(&world, &then, &["setup", "zsh", "fish", "--yes"]).exits(0);
    pycstore(&world, &[], &["setup", "fish", "--undo", "--yes"]).exits(0);
    assert!(zdotdir.join(".zshenv").exists());
    assert_eq!(read(&world.home.join(RECEIPT)).lines().count(), 1);
    pycstore(&world, &[], &["setup", "zsh", "--undo", "--yes"]).exits(0);
    assert!(!zdotdir.join(".zshenv").exists() && !world.home.join(RECEIPT).exists());
}

#[test]
fn a_link_that_leads_elsewhere_by_now_hides_nothing() {
    let world = World::new();
    let old = world.write("dotfiles/zshenv", "# mine\n");
    symlink("dotfiles/zshenv", world.home.join(".zshenv")).unwrap();
    pycstore(&world, &[], &["setup", "zsh", "--yes"]).exits(0);
    assert!(read(&old).contains("pycstore"));
    std::fs::remove_file(world.home.join(".zshenv")).unwrap();
    world.write(".zshenv", "# another\n");
    pycstore(&world, &[], &["setup", "zsh", "--undo", "--yes"]).exits(0);
    assert_eq!(
        (read(&old).as_str(), read(&world.home.join(".zshenv")).as_str()),
        ("# mine\n", "# another\n")
    );
}

#[test]
fn without_a_receipt_todays_places_are_looked_at() {
    let world = World::new();
    let bashrc = world.write(".bashrc", format!("{BLOCK}# mine\n"));
    let ignore = world.write(".config/git/ignore", format!("# mine\n{BLOCK}"));
    pycstore(&world, &[], &["setup", "--undo", "--yes"]).exits(0);
    assert_eq!((read(&bashrc).as_str(), read(&ignore).as_str()), ("# mine\n", "# mine\n"));
    // And beside one that names other places.
    let bashrc = world.write(".bashrc", format!("{BLOCK}# mine\n"));
    receipt(&world, "bash", &["/nowhere"]);
    pycstore(&world, &[], &["setup", "--undo", "--yes"]).exits(0);
    assert_eq!(read(&bashrc), "# mine\n");
}

#[test]
fn a_receipt_cannot_make_undo_touch_what_has_no_block() {
    let world = World::new();
    let plain = world.write("plain", "# mine\n");
    let indented = world.write("indented", "  # >>> pycstore >>>\n  # <<< pycstore <<<\n");
    let other = world.write("other", "# >>> pycstore else >>>\nx\n# <<< pycstore else <<<\n");
    let marked = world.write("marked", format!("{BLOCK}# mine\n"));
    let pipe = world.home.join("pipe");
    answer(world.command("mkfifo").arg(&pipe)).exits(0);
    std::fs::create_dir(world.home.join("directory")).unwrap();
    symlink("loop", world.home.join("loop")).unwrap();
    command(&world);
    let before = World::snapshot(&world.home);
    let paths: Vec<PathBuf> = [&plain, &indented, &other, &pipe].into_iter().cloned().collect();
    let mut files: Vec<&str> = paths.iter().map(|path| path.to_str().unwrap()).collect();
    let [directory, looped] = ["directory", "loop"].map(|name| world.home.join(name));
    files.extend([directory.to_str().unwrap(), looped.to_str().unwrap()]);
    files.extend(["/dev/zero", "/proc/self/mem", "relative", "", "/", "/nowhere/at/all", "/a\0b"]);
    for what in ["zsh", "git", "vscode", "systemd", "launchd", "cron", "no such target", ""] {
        receipt(&world, what, &files);
        for arguments in
            [&["setup", "--undo", "--yes"][..], &["schedule", "remove", "--with", "systemd", "--yes"]]
        {
            // A loop of links is no place that can be looked at, and that is said.
            let told = pycstore(&world, &[], arguments);
            assert!(!told.stdout.contains("@@"), "{told:?}");
        }
    }
    assert_eq!(World::snapshot(&world.home), before);
    // One that is there is only that block, and only for what it was put there for.
    receipt(&world, "git", &[marked.to_str().unwrap()]);
    pycstore(&world, &[], &["setup", "zsh", "--undo", "--yes"]).exits(0);
    assert_eq!(World::snapshot(&world.home), before);
    pycstore(&world, &[], &["setup", "git", "--undo", "--yes"]).exits(0);
    assert_eq!(read(&marked), "# mine\n");
}

#[test]
fn a_receipt_that_others_may_write_or_that_is_none_is_ignored_and_said() {
    let world = World::new();
    let marked = world.write("marked", format!("{BLOCK}# mine\n"));
    let path = receipt(&world, "zsh", &[marked.to_str().unwrap()]);
    let ignored = |why: &str| {
        let told = pycstore(&world, &[], &["setup", "--undo", "--yes"]).exits(0);
        assert!(told.stderr.contains(&format!("ignored: {}: {why}\n", path.display())), "{told:?}");
        assert_eq!(told.stdout, "nothing to do\n");
        assert!(read(&marked).starts_with(BLOCK));
    };
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
    ignored("another user could have written it");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
    ignored("it is larger than 1048576 bytes");
    std::fs::remove_file(&path).unwrap();
    answer(world.command("mkfifo").arg(&path)).exits(0);
    ignored("it is not a regular file");
    // Nor is it in the way of a setup.
    let told = pycstore(&world, &[], &["setup", "zsh", "--yes"]).exits(0).stderr;
    assert!(told.contains(&format!("cannot record the edited files in {}: ", path.display())), "{told}");
    pycstore(&world, &[], &["setup", "zsh", "--undo", "--yes"]).exits(0);
    assert!(!world.home.join(".zshenv").exists());
    // Where no receipt can be kept, what is set up is undone by today's environment.
    answer(command(&world).env("XDG_STATE_HOME", "/proc/none").args(["setup", "zsh", "--yes"])).exits(0);
    pycstore(&world, &[], &["setup", "--undo", "--yes"]).exits(0);
    assert!(!world.home.join(".zshenv").exists());
}

#[test]
fn units_are_removed_where_they_were_installed() {
    let world = World::new();
    let script = world.write("bin/systemctl", "#!/bin/sh\necho \"$*\" >> \"$HOME/asked\"\n");
    std::fs::set_permissions(script, PermissionsExt::from_mode(0o755)).unwrap();
    let elsewhere = world.home.join("elsewhere");
    let then = [("XDG_CONFIG_HOME", elsewhere.as_path())];
    pycstore(&world, &then, &["schedule", "install", "--with", "systemd", "--yes"]).exits(0);
    let timer = elsewhere.join("systemd/user/pycstore.timer");
    assert!(timer.exists());
    pycstore(&world, &[], &["schedule", "remove", "--with", "systemd", "--yes"]).exits(0);
    assert!(!elsewhere.exists());
    assert!(read(&world.home.join("asked")).contains("--user disable --now pycstore.timer\n"));
    assert!(!world.home.join(RECEIPT).exists());
}
