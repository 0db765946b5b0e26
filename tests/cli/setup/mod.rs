//! `pycstore setup`: plans, consent, undoing, git, editors, the store. `tests/host` asks real shells, cron and make.

mod receipt;

use crate::support::{Answer, HOUR, World, age, answer, newest};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

fn setup(world: &World, arguments: &[&str]) -> Answer {
    let mut command = world.program();
    answer(command.arg("setup").args(arguments))
}

fn read(world: &World, name: &str) -> String {
    std::fs::read_to_string(world.home.join(name)).unwrap()
}

#[test]
fn nothing_is_done_without_consent() {
    let world = World::new();
    world.write(".profile", "theirs\n");
    let before = World::snapshot(&world.home);
    insta::assert_snapshot!(setup(&world, &["bash"]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: bash: ~/.bashrc: bash reads it when it is interactive, and under ssh
    pycstore: bash: ~/.profile: login bash reads it, and possibly not ~/.bashrc
    pycstore: files would be changed: not a terminal, cannot ask
    hint: add --yes, or preview with --dry-run
    ");
    let shown = setup(&world, &["bash", "--dry-run"]).exits(0);
    assert!(
        shown.stdout.contains("\n+export PYTHONPYCACHEPREFIX=\"$HOME/.cache/cpython\"\n"),
        "{}",
        shown.stdout
    );
    insta::assert_snapshot!(setup(&world, &["bash", "--print"]).shown(), @r#"
    exit: 0
    ----- stdout -----
    export PYTHONPYCACHEPREFIX="$HOME/.cache/cpython"
    ----- stderr -----
    pycstore: bash: add to ~/.bashrc
    pycstore: bash: add to ~/.profile
    "#);
    for reply in ["n\n", "\n", "what?\n"] {
        let told = world.pycstore_answered(&["setup", "bash"], reply).exits(0);
        assert!(told.stdout.contains("nothing was changed"), "{}", told.stdout);
    }
    assert_eq!(World::snapshot(&world.home), before);
    world.pycstore_answered(&["setup", "bash"], "y\n").exits(0);
    assert!(read(&world, ".profile").ends_with("theirs\n"));
    // What was shown before is what was done.
    insta::assert_snapshot!(setup(&world, &["bash", "--undo", "--yes"]).shown(), @r#"
    exit: 0
    ----- stdout -----
    --- /home/me/.bashrc
    +++ /dev/null
    @@ -1,4 +0,0 @@
    -# >>> pycstore >>>
    -# (this file was made for this block)
    -export PYTHONPYCACHEPREFIX="$HOME/.cache/cpython"
    -# <<< pycstore <<<
    --- /home/me/.profile
    +++ /home/me/.profile
    @@ -1,4 +1 @@
    -# >>> pycstore >>>
    -export PYTHONPYCACHEPREFIX="$HOME/.cache/cpython"
    -# <<< pycstore <<<
     theirs
    ----- stderr -----
    pycstore: running shells keep the variable; to remove it there: unset PYTHONPYCACHEPREFIX
    pycstore: the store is kept; to empty it: pycstore prune --all
    "#);
    let done = setup(&world, &["bash", "--yes"]).exits(0);
    let changes = |text: &str| {
        text.lines()
            .filter(|line| line.starts_with("@@") || line.starts_with('+'))
            .map(str::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(changes(&done.stdout), changes(&shown.stdout));
}

#[test]
fn a_second_run_finds_nothing_to_do() {
    let world = World::new();
    std::fs::create_dir_all(world.home.join(".config/VSCodium/User")).unwrap();
    let all = ["bash", "zsh", "fish", "profile", "environment.d", "git", "vscode"];
    setup(&world, &[&all[..], &["--yes"]].concat()).exits(0);
    let before = World::snapshot(&world.home);
    for arguments in [&["--yes"][..], &[], &["--dry-run"]] {
        let again = setup(&world, &[&all[..], arguments].concat()).exits(0);
        assert_eq!(again.stdout, "nothing to do\n");
    }
    assert_eq!(World::snapshot(&world.home), before);
    // Another store takes the place of the first.
    let store = world.home.parent().unwrap().join("other store");
    let other = setup(&world, &["bash", "--yes", "--store", store.to_str().unwrap()]);
    let line = format!("+export PYTHONPYCACHEPREFIX=\"{}\"", store.display());
    assert!(other.stdout.contains(&line), "{}", other.stdout);
}

/// Texts that are easily damaged.
const TEXTS: [&[u8]; 12] = [
    b"",
    b"\n",
    b"x",
    b"# only a comment",
    b"x\r\ny\r\n",
    b"x\r\ny",
    b"\xef\xbb\xbfx\n",
    b"\xff\xfe\x00\x80",
    b"#!/bin/sh\n# vim: ft=sh\n\nx=1\n\n\n",
    b"# >>> conda initialize >>>\n# !! contents !!\n# <<< conda initialize <<<",
    b"# >>> pycstore schedule >>>\n# <<< pycstore schedule <<<\n",
    b"  # >>> pycstore >>>\n",
];

#[test]
fn undo_restores_the_very_bytes() {
    let files = [
        (".bashrc", "bash"),
        (".profile", "bash"),
        (".zshenv", "zsh"),
        (".config/fish/conf.d/pycstore.fish", "fish"),
        (".config/environment.d/pycstore.conf", "environment.d"),
        (".config/git/ignore", "git"),
    ];
    for text in TEXTS {
        let world = World::new();
        for (name, _) in files {
            let path = world.write(name, text);
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o640)).unwrap();
        }
        setup(&world, &["bash", "zsh", "fish", "environment.d", "git", "--yes"]).exits(0);
        let changed = files.map(|(name, _)| std::fs::read(world.home.join(name)).unwrap());
        for ((name, target), changed) in files.into_iter().zip(changed) {
            assert_ne!(changed, text, "{name}");
            setup(&world, &[target, "--undo", "--yes", "-q"]).exits(0);
            let path = world.home.join(name);
            assert_eq!(std::fs::read(&path).unwrap(), text, "{name}: {}", String::from_utf8_lossy(&changed));
            assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o640);
        }
        assert_eq!(setup(&world, &["bash", "--undo", "--yes"]).exits(0).stdout, "nothing to do\n");
    }
}

#[test]
fn directories_that_setup_made_go_and_no_others() {
    let world = World::new();
    std::fs::create_dir(world.home.join(".config")).unwrap();
    setup(&world, &["fish", "environment.d", "git", "--yes"]).exits(0);
    world.write(".config/fish/theirs", "x");
    setup(&world, &["fish", "environment.d", "--undo", "--yes"]).exits(0);
    let there = |path: &str| world.home.join(".config").join(path).exists();
    assert!(!there("environment.d") && !there("fish/conf.d"));
    assert!(there("fish/theirs") && there("git/ignore"));
    setup(&world, &["git", "--undo", "--yes"]).exits(0);
    assert!(!there("git") && there(""), "the directory was there before");
    // One that was there and empty stays.
    std::fs::create_dir_all(world.home.join(".config/environment.d")).unwrap();
    setup(&world, &["environment.d", "--yes"]).exits(0);
    setup(&world, &["environment.d", "--undo", "--yes"]).exits(0);
    assert!(there("environment.d"));
}

#[test]
fn without_cron_it_says_what_to_install() {
    let world = World::new();
    let mut command = world.program();
    let told = answer(command.env("PATH", "/nonexistent").args(["setup", "cron", "--yes"]));
    insta::assert_snapshot!(told.shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: cron: the crontab: cron reads it before each job
    pycstore: cannot run crontab: crontab is not on PATH
    hint: install cron, for example: apt install cron
    ");
    assert!(!world.store.exists(), "nothing was done");
}

#[test]
fn dotfiles_in_a_repository_stay_links() {
    let world = World::new();
    let file = world.write("dotfiles/bashrc", "theirs\n");
    world.write(".profile", ". ~/.bashrc\n");
    symlink("dotfiles/bashrc", world.home.join(".bashrc")).unwrap();
    symlink("dotfiles/zshenv", world.home.join(".zshenv")).unwrap();
    setup(&world, &["bash", "zsh", "--yes"]).exits(0);
    for name in [".bashrc", ".zshenv"] {
        assert!(world.home.join(name).symlink_metadata().unwrap().is_symlink(), "{name}");
    }
    assert!(std::fs::read_to_string(&file).unwrap().contains("export PYTHONPYCACHEPREFIX"));
    assert!(read(&world, "dotfiles/zshenv").contains("export PYTHONPYCACHEPREFIX"));
    setup(&world, &["bash", "zsh", "--undo", "--yes"]).exits(0);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "theirs\n");
    assert!(!world.home.join("dotfiles/zshenv").exists());
}

#[test]
fn what_cannot_be_edited_safely_is_left_and_said() {
    let world = World::new();
    let zshenv = world.write(".zshenv", "# x\nexport PYTHONPYCACHEPREFIX=/elsewhere\n");
    world.write(".config/git/ignore", "x\n# >>> pycstore >>>\nx\n");
    world.write(".bashrc", "x\n");
    std::fs::hard_link(world.home.join(".bashrc"), world.home.join("other")).unwrap();
    symlink("/dev/null", world.home.join(".bash_profile")).unwrap();
    let before = World::snapshot(&world.home);
    insta::assert_snapshot!(setup(&world, &["zsh", "--yes"]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: zsh: ~/.zshenv: every zsh reads it first, scripts included
    pycstore: not changed: /home/me/.zshenv: line 2 sets PYTHONPYCACHEPREFIX already
    hint: edit it by hand; `--print` shows what to add
    ");
    insta::assert_snapshot!(setup(&world, &["git", "--yes"]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: git: ~/.config/git/ignore: git reads it if core.excludesFile is not set
    pycstore: not changed: /home/me/.config/git/ignore: line 2: this begins a block that has no end
    hint: fix it in an editor, then run this again
    ");
    insta::assert_snapshot!(setup(&world, &["git", "--undo", "--yes"]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: not changed: /home/me/.config/git/ignore: line 2: this begins a block that has no end
    hint: fix it in an editor, then run this again
    ");
    assert_eq!(World::snapshot(&world.home), before);
    insta::assert_snapshot!(setup(&world, &["bash", "--yes"]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: bash: ~/.bashrc: bash reads it when it is interactive, and under ssh
    pycstore: not changed: /home/me/.bashrc has 2 names (hard links), and only one would be changed
    hint: edit it by hand; `--print` shows what to add
    pycstore: bash: ~/.bash_profile: login bash reads it, and possibly not ~/.bashrc
    pycstore: not changed: /home/me/.bash_profile is not a regular file
    hint: edit it by hand; `--print` shows what to add
    ");
    // One bad file does not stop the others.
    setup(&world, &["zsh", "fish", "--yes"]).exits(1);
    assert!(world.home.join(".config/fish/conf.d/pycstore.fish").is_file());
    std::fs::set_permissions(&zshenv, PermissionsExt::from_mode(0o444)).unwrap();
    std::fs::write(world.home.join(".profile"), "").unwrap();
    std::fs::set_permissions(world.home.join(".profile"), PermissionsExt::from_mode(0o444)).unwrap();
    insta::assert_snapshot!(setup(&world, &["profile", "--yes"]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: profile: ~/.profile: sh reads it at login, and so do display managers
    pycstore: not changed: /home/me/.profile is read-only
    hint: edit it by hand; `--print` shows what to add
    ");
}

#[test]
fn the_store_is_made_for_its_owner_and_tagged() {
    let world = World::new();
    world.project("p", &["m.py"]);
    setup(&world, &["zsh", "--yes"]).exits(0);
    assert_eq!(world.store.metadata().unwrap().mode() & 0o777, 0o700);
    let tag = std::fs::read(world.store.join("CACHEDIR.TAG")).unwrap();
    assert!(tag.starts_with(b"Signature: 8a477f597d28d172789f06886806bc55\n"));
    // The tag disturbs nothing: it is counted, and stays.
    world.compile(newest(), &[], &[&world.home.join("p")]);
    let total = world.pycstore(["du", "--json"]).exits(0).json()["total"]["disk"].as_u64().unwrap();
    let du = answer(world.command("du").args(["-s", "-B1"]).arg(&world.store)).exits(0).stdout;
    assert_eq!(du.split_whitespace().next().unwrap(), total.to_string());
    insta::assert_snapshot!(world.pycstore(["du"]).shown(), @r"
    exit: 0
    ----- stdout -----
    SIZE  FILES  RECLAIMABLE  LAST USED  TAGS  OWNER
    SIZE  1  -  -  in the store itself (foreign)
    SIZE  1  -  today  cpython-3.N  /home/me/p
    SIZE  N directories
    SIZE  2  -  total
    ----- stderr -----
    ");
    let page = world.pycstore(["report", "--html", "-"]).exits(0).stdout;
    assert!(page.contains("<bdi>in the store itself</bdi>"), "{page}");
    let listed = world.pycstore(["ls"]).exits(0).stdout;
    assert!(
        listed.lines().any(|line| line.starts_with("foreign") && line.ends_with("CACHEDIR.TAG")),
        "{listed}"
    );
    world.pycstore(["prune", "--all", "--yes"]).exits(0);
    let left: Vec<PathBuf> = crate::support::files(&world.store).into_iter().collect();
    assert_eq!(left, [world.store.join("CACHEDIR.TAG")]);
    // A store that is open to others is closed, one that may be shared is not.
    std::fs::set_permissions(&world.store, PermissionsExt::from_mode(0o755)).unwrap();
    let told = setup(&world, &["zsh", "--yes"]).exits(0).stdout;
    assert!(told.contains("to you (0700; it is 0755)\n"), "{told}");
    let shared = world.home.parent().unwrap().join("shared");
    std::fs::create_dir(&shared).unwrap();
    std::fs::set_permissions(&shared, PermissionsExt::from_mode(0o755)).unwrap();
    setup(&world, &["zsh", "--yes", "--store", shared.to_str().unwrap()]).exits(0);
    assert_eq!(shared.metadata().unwrap().mode() & 0o777, 0o755);
}

#[test]
fn what_is_no_store_is_not_promised() {
    let world = World::new();
    let project = world.project("p", &["m.py"]);
    let home = world.home.to_str().unwrap().to_string();
    let mut shown = String::new();
    for store in ["/", &home, project.to_str().unwrap(), "~/.cache/cpython", "a\nb"] {
        shown += &setup(&world, &["zsh", "--yes", "--store", store]).exits(2).shown();
    }
    for prefix in ["~/.cache/cpython", "relative"] {
        let mut command = world.program();
        let told = answer(command.env("PYTHONPYCACHEPREFIX", prefix).args(["setup", "zsh", "--yes"]));
        shown += &told.exits(2).shown();
    }
    insta::assert_snapshot!(shown, @r#"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: refused: / is the root directory
    hint: the path comes from --store; use a separate directory for the store, such as ~/.cache/cpython
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: refused: /home/me is or holds the home directory /home/me
    hint: the path comes from --store; use a separate directory for the store, such as ~/.cache/cpython
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: refused: /home/me/p is a source tree: it has m.py
    hint: the path comes from --store; use a separate directory for the store, such as ~/.cache/cpython
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: --store is ~/.cache/cpython: a quoted `~` is not expanded
    hint: specify the store: pycstore setup --store "$HOME/.cache/cpython" …
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: zsh: cannot write /home/me/a\nb: its name has a control character
    hint: choose another directory: pycstore setup --store DIR …
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: PYTHONPYCACHEPREFIX is ~/.cache/cpython: a quoted `~` is not expanded
    hint: specify the store: pycstore setup --store "$HOME/.cache/cpython" …
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: PYTHONPYCACHEPREFIX is relative: a relative path depends on the working directory
    hint: specify the store: pycstore setup --store "$HOME/.cache/cpython" …
    "#);
    assert!(!world.home.join(".zshenv").exists());
}

#[test]
fn the_store_is_the_one_in_force() {
    let world = World::new();
    let line = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = world.program();
        let told =
            answer(command.envs(variables.iter().copied()).args(["setup", "zsh", "--print"]).args(arguments));
        told.exits(0).stdout.trim().rsplit_once('=').unwrap().1.to_string()
    };
    assert_eq!(line(&[], &[]), "\"$HOME/.cache/cpython\"");
    world.write(".config/pycstore/config.toml", "store = \"~/of file\"\n");
    assert_eq!(line(&[], &[]), "\"$HOME/of file\"");
    assert_eq!(line(&[("PYTHONPYCACHEPREFIX", "/of/variable")], &[]), "\"/of/variable\"");
    assert_eq!(line(&[("PYTHONPYCACHEPREFIX", "/of/variable")], &["--store", "flag"]), "\"$HOME/flag\"");
}

#[test]
fn vscode_keeps_comments_and_order() {
    let world = World::new();
    const SETTINGS: &str = "{\n  // mine\n  \"b\": 1, /* one */\n  \"files.exclude\": {\n    \"**/.git\": true,\n  },\n  \"a\": [1, 2],\n}\n";
    world.write(".config/Code/User/settings.json", SETTINGS);
    std::fs::create_dir_all(world.home.join(".config/Code - Insiders/User")).unwrap();
    setup(&world, &["vscode", "--yes"]).exits(0);
    let settings = read(&world, ".config/Code/User/settings.json");
    let rest: String =
        settings.lines().filter(|line| !line.contains("pyc")).map(|line| format!("{line}\n")).collect();
    let rest = rest
        .lines()
        .filter(|line| !line.contains("*.py[co]"))
        .map(|line| format!("{line}\n"))
        .collect::<String>();
    assert_eq!(rest, SETTINGS, "nothing else moved: {settings}");
    assert!(settings.contains("\"**/__pycache__\": true,"));
    // The new file is JSON once the comments are out of it.
    let new = read(&world, ".config/Code - Insiders/User/settings.json");
    let new: String = new.lines().filter(|line| !line.trim_start().starts_with("/*")).collect();
    let new: serde_json::Value = serde_json::from_str(&new).unwrap();
    assert_eq!(new["files.exclude"]["**/__pycache__"], true);
    assert_eq!(setup(&world, &["vscode"]).exits(0).stdout, "nothing to do\n");
    setup(&world, &["vscode", "--undo", "--yes"]).exits(0);
    assert_eq!(read(&world, ".config/Code/User/settings.json"), SETTINGS);
    assert!(!world.home.join(".config/Code - Insiders/User/settings.json").exists());
    let bare = World::new();
    insta::assert_snapshot!(setup(&bare, &["vscode", "--yes"]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: no VS Code found: none of Code, Code - Insiders, Code - OSS, VSCodium, VSCodium - Insiders with a directory User in /home/me/.config
    hint: start it once; or see what to add to its settings.json: pycstore setup vscode --print
    ");
    insta::assert_snapshot!(setup(&bare, &["vscode", "--print"]).shown(), @r#"
    exit: 0
    ----- stdout -----
    {
        "files.exclude": {
            "**/__pycache__": true,
            "**/*.py[co]": true
        }
    }
    ----- stderr -----
    "#);
}

/// Runs the command that fills the store of the image, twice as in two builds with one cache mount. `tests/docker-recipe.sh` builds
/// the whole recipe.
#[test]
fn the_store_of_a_docker_image_has_what_this_build_needs_and_its_user_cannot_change_it() {
    let world = World::new();
    let printed = world.pycstore_without_prefix(["setup", "docker"]).exits(0).stdout;
    let command = printed.split_once(",sharing=locked \\\n").unwrap().1.split_once("\n\n").unwrap().0;
    let store = world.home.join("store");
    let command = command
        .replace("/var/cache/cpython", world.store.to_str().unwrap())
        .replace(" /store", &format!(" {}", store.display()));
    // The standard library takes long: another directory stands for it.
    world.write("library/library.py", "");
    let python = world.write("bin/python", "#!/bin/sh\necho \"$HOME/library\"\n");
    std::fs::set_permissions(python, PermissionsExt::from_mode(0o755)).unwrap();
    symlink(env!("CARGO_BIN_EXE_pycstore"), world.home.join("bin/pycstore")).unwrap();
    std::fs::create_dir_all(&world.store).unwrap();
    let project = world.project("app", &["kept.py", "edited.py", "deleted.py"]);
    world.write("app/invalid.py", "x = (\n");
    let build = || {
        let mut shell = world.command("sh");
        let path = std::env::join_paths([world.home.join("bin"), "/usr/bin".into(), "/bin".into()]).unwrap();
        answer(shell.current_dir(&project).env("PATH", path).args(["-c", &command])).exits(0)
    };
    assert!(build().stdout.contains("compiled 4 sources, 1 failed\n"));
    std::fs::remove_dir_all(&store).unwrap();
    world.write("app/edited.py", "NAME = 'edited again'\n");
    std::fs::remove_file(project.join("deleted.py")).unwrap();
    age(&project.join("kept.py"), HOUR);
    let built = build();
    assert!(built.stdout.contains("compiled 1 source, 2 already fresh, 1 failed\n"), "{built:?}");

    for entry in walkdir::WalkDir::new(&store) {
        let (path, metadata) = entry.map(|it| (it.path().to_path_buf(), it.metadata().unwrap())).unwrap();
        assert!(!path.to_str().unwrap().contains("deleted"), "{path:?}");
        let expected = if metadata.is_dir() { 0o755 } else { 0o644 };
        assert_eq!(metadata.permissions().mode() & 0o777, expected, "{path:?}");
    }
    age(&project.join("edited.py"), HOUR);
    // The interpreter that compiled them: the newest one that `warm` found.
    let row: Vec<&str> = built.stdout.lines().nth(1).unwrap().split_whitespace().collect();
    let (tag, interpreter) = (row[3], row[4]);
    let mut import = world.command(interpreter);
    import.current_dir(&project).env("PYTHONPYCACHEPREFIX", &store);
    let imported = answer(import.args(["-v", "-c", "import kept, edited"])).exits(0).stderr;
    for name in ["kept", "edited"] {
        let matches = format!("{name}.{tag}.pyc matches {}", project.join(name).display());
        assert!(imported.contains(&matches), "{imported}");
    }
}
