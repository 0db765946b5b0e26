//! `pycstore setup` beside cron, make and the shell that started it.

use crate::support::spool::Spool;
use crate::support::{HOUR, NOBODY, World, age, answer, for_everybody, tool};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;

#[test]
#[ignore = "needs cron and a mount namespace"]
fn a_block_parts_nothing_that_belongs_together() {
    let managed = "# BEGIN ANSIBLE MANAGED BLOCK\nexport A=1\n# END ANSIBLE MANAGED BLOCK\n";
    let world = World::new();
    for name in [".bashrc", ".profile", ".zshenv", ".config/fish/conf.d/pycstore.fish"] {
        world.write(name, managed);
    }
    let crontab = "#Ansible: backup\n0 2 * * * backup\n";
    let spool = Spool::new(&world);
    spool.fill(crontab);
    spool.pycstore(["setup", "bash", "zsh", "fish", "cron", "--yes"]).exits(0);
    let texts = [".bashrc", ".profile", ".zshenv", ".config/fish/conf.d/pycstore.fish"]
        .map(|name| std::fs::read_to_string(world.home.join(name)).unwrap());
    for text in &texts {
        assert!(text.contains(managed) && text.len() > managed.len(), "{text}");
    }
    let with = String::from_utf8(spool.contents().unwrap()).unwrap();
    assert!(with.ends_with(crontab) && with.len() > crontab.len(), "{with}");
    spool.pycstore(["setup", "bash", "zsh", "fish", "cron", "--undo", "--yes"]).exits(0);
    assert_eq!(spool.contents().unwrap(), crontab.as_bytes());
    assert_eq!(std::fs::read_to_string(world.home.join(".zshenv")).unwrap(), managed);
}

#[test]
#[ignore = "needs cron and a mount namespace"]
fn a_crontab_comes_back_as_it_was() {
    let world = World::new();
    let spool = Spool::new(&world);
    assert!(spool.is_own());
    let crontabs: [&[u8]; 4] = [
        b"",
        b"# m h  dom mon dow   command\n\nMAILTO=me\n*/5 * * * * echo 100\\% '#' \n",
        b"\n\n@daily true\n\n",
        b"# caf\xe9\n0 0 * * * true\n",
    ];
    for crontab in crontabs {
        spool.fill(crontab);
        let kept = spool.contents();
        spool.pycstore(["setup", "cron", "--yes"]).exits(0);
        let line = format!("PYTHONPYCACHEPREFIX={}", world.store.display());
        assert!(String::from_utf8_lossy(&spool.contents().unwrap()).contains(&line));
        assert_eq!(spool.pycstore(["setup", "cron", "--yes"]).exits(0).stdout, "nothing to do\n");
        spool.pycstore(["setup", "cron", "--undo", "--yes"]).exits(0);
        assert_eq!(spool.contents(), kept);
    }
    // Where there was none, none is left.
    answer(spool.command(&[], "", "crontab").arg("-r")).exits(0);
    spool.pycstore(["setup", "cron", "--yes"]).exits(0);
    spool.pycstore(["setup", "cron", "--undo", "--yes"]).exits(0);
    assert_eq!(spool.contents(), None);
    // In whatever order it came and goes.
    let undo: [&[&str]; 2] = [&["setup", "cron", "--undo", "--yes"], &["schedule", "remove", "--yes"]];
    let put: [&[&str]; 2] =
        [&["setup", "cron", "--yes"], &["schedule", "install", "--with", "cron", "--yes"]];
    for (first, then) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        for arguments in [put[first], put[1 - first], undo[then], undo[1 - then]] {
            spool.pycstore(arguments).exits(0);
        }
        assert_eq!(spool.contents(), None, "put {first} first, taken {then} first");
    }
}

#[test]
#[ignore = "needs cron and a mount namespace"]
fn undo_without_a_target_takes_everything_back() {
    let world = World::new();
    let spool = Spool::new(&world);
    assert!(spool.is_own());
    world.write(".bashrc", "theirs\n");
    world.write(".config/Code/User/settings.json", "{}\n");
    let before = World::snapshot(&world.home);
    let run = |arguments: &[&str]| spool.pycstore([&["setup"], arguments].concat());
    run(&["--yes", "bash", "zsh", "fish", "git", "vscode", "environment.d", "cron"]).exits(0);
    assert_ne!(World::snapshot(&world.home), before);
    run(&["--undo", "--yes"]).exits(0);
    let after = World::snapshot(&world.home);
    let files: Vec<_> =
        after.keys().filter(|path| path.is_file() && !path.starts_with(&world.store)).collect();
    assert_eq!(files, before.keys().filter(|path| path.is_file()).collect::<Vec<_>>());
    let is_not_of_store = |path: &&PathBuf| !path.starts_with(world.store.parent().unwrap());
    let left = |snapshot: &crate::support::Snapshot| {
        snapshot.keys().filter(is_not_of_store).cloned().collect::<Vec<_>>()
    };
    assert_eq!(left(&after), left(&before), "directories as well");
    assert_eq!(
        (std::fs::read_to_string(world.home.join(".bashrc")).unwrap().as_str(), spool.contents()),
        ("theirs\n", None)
    );
    assert_eq!(run(&["--undo", "--yes"]).exits(0).stdout, "nothing to do\n");
}

#[test]
#[ignore = "needs fish"]
fn the_shell_in_use_is_set_up_when_none_is_named() {
    let world = World::new();
    let mut command = world.program();
    let told = answer(command.env("SHELL", "/usr/bin/zsh").args(["setup", "--yes"])).exits(0);
    assert!(told.stderr.contains("detected shell: zsh ($SHELL)\n"), "{}", told.stderr);
    assert!(world.home.join(".zshenv").is_file());
    let told = answer(world.program().arg("setup"));
    insta::assert_snapshot!(told.shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: cannot detect the shell: $SHELL is not set
    hint: name what to set up: bash, zsh, fish, profile, environment.d, cron, git, vscode
    ");
    // A shell in a shell.
    tool("fish", "fish");
    let script = format!("{} setup --yes; true", env!("CARGO_BIN_EXE_pycstore"));
    let told = answer(world.command("fish").env("SHELL", "/bin/bash").args(["-c", &script])).exits(0);
    assert!(
        told.stderr.contains("detected shell: fish (it started pycstore); new terminals start bash"),
        "{}",
        told.stderr
    );
}

#[test]
#[ignore = "needs make"]
fn snippets_are_what_their_programs_understand() {
    let world = World::new();
    let snippet = |target: &str| world.pycstore_without_prefix(["setup", target]).exits(0).stdout;
    assert!(snippet("nvim-tree").contains("filters = { custom = { \"^__pycache__$\""));
    assert!(
        snippet("nerdtree")
            .contains("let NERDTreeIgnore = get(g:, 'NERDTreeIgnore', []) + ['^__pycache__$[[dir]]'")
    );
    tool("make", "make");
    world.write("Makefile", snippet("make"));
    let made = answer(world.command("make").args(["-n", "clean"])).exits(0).stdout;
    assert_eq!(made, "pycstore sweep .\npycstore forget .\n");
    insta::assert_snapshot!(world.pycstore_without_prefix(["setup", "docker", "--undo"]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: docker is a snippet: setup only printed it and cannot remove it
    hint: remove it where you added it
    ");
    assert!(!world.store.exists());
}

/// Runs the steps twice, as two runs of a workflow would: the second finds the store of the first.
#[test]
#[ignore = "needs bash and /usr/bin/python3 with python3-yaml"]
fn the_store_in_the_cache_of_github_actions_survives_a_checkout_and_does_not_grow() {
    let world = World::new();
    let printed = world.pycstore_without_prefix(["setup", "github-actions"]).exits(0).stdout;
    let mut parser = world.command("/usr/bin/python3");
    parser.args([
        "-c",
        "import json, sys, yaml; json.dump(yaml.safe_load(sys.argv[1]), sys.stdout)",
        &printed,
    ]);
    let steps = answer(&mut parser).exits(0).json();
    let steps = steps.as_array().unwrap();
    let cache = steps.iter().find(|step| step["uses"].as_str().is_some_and(|it| it.contains("/cache@")));
    let cache = &cache.unwrap()["with"];
    assert_eq!(cache["path"].as_str().map(|it| it.replace('~', world.home.to_str().unwrap())), {
        world.store.to_str().map(String::from)
    });
    let [key, restored] = ["key", "restore-keys"].map(|name| cache[name].as_str().unwrap());
    assert!(key.starts_with(restored) && key.len() > restored.len(), "{cache}");

    // What the runner has. The modules have no dependencies, so pip has nothing to do.
    let interpreter = for_everybody();
    let python = interpreter.path.display();
    for (name, script) in [("python", format!("exec {python} \"$@\"")), ("pip", "exit 0".into())] {
        let program = world.write(format!("bin/{name}"), format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(program, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let project = world.project("p", &["kept.py", "edited.py", "deleted.py"]);
    world.write("p/invalid.py", "x = (\n");
    world.write(
        "p/test_modules.py",
        "import unittest, kept, edited\nclass T(unittest.TestCase):\n    def test(self): pass\n",
    );
    let environment = world.write("environment", "");
    // As root, another user: pycstore runs no copy of an interpreter below /tmp as root.
    let program = world.unprivileged();
    symlink(program.get_program(), world.home.join("bin/pycstore")).unwrap();
    let run = || {
        std::fs::write(&environment, "").unwrap();
        for script in steps.iter().filter_map(|step| step["run"].as_str()) {
            let mut bash = world.command("bash");
            bash.current_dir(&project).env("GITHUB_ENV", &environment);
            if rustix::process::geteuid().is_root() {
                bash.uid(NOBODY).gid(NOBODY);
            }
            bash.env("PATH", format!("{}:/usr/bin:/bin", world.home.join("bin").display()));
            let script = format!("set -a; . \"$GITHUB_ENV\"; set +a\n{script}");
            answer(bash.args(["-e", "-c", &script])).exits(0);
        }
        ["kept", "edited", "deleted"].map(|name| {
            let entry = world.entry(&project.join(name).with_extension("py"), &interpreter, "");
            entry.metadata().ok().map(|entry| (entry.ino(), entry.mtime(), entry.mtime_nsec()))
        })
    };
    let [kept, edited, deleted] = run();
    assert!(kept.is_some() && edited.is_some() && deleted.is_some());
    world.write("p/edited.py", "NAME = 'edited again'\n");
    std::fs::remove_file(project.join("deleted.py")).unwrap();
    age(&project.join("kept.py"), HOUR);
    let [kept_again, edited_again, deleted] = run();
    assert_eq!((kept_again, deleted), (kept, None));
    assert_ne!(edited_again, edited);
}
