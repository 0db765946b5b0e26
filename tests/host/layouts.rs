//! Owners over real layouts, made by the real tools: venv, virtualenv, uv, pipx, tox, nox, editable installations,
//! `pip install --user` and interpreters of pyenv and uv. Each with the owner that it must have.
//!
//! The tools come from the package index, into a temporary directory. So plain `cargo test` names these tests as
//! ignored; `.ci/run` runs them, and so can you (see CONTRIBUTING.md). Then nothing is left out: a tool that cannot be
//! had is a failure.

use crate::support::reach_index;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A home with a store and a virtualenv of tools, none of the machine's configuration.
pub struct Layouts {
    _temporary: tempfile::TempDir,
    pub home: PathBuf,
    store: PathBuf,
    python: PathBuf,
}

impl Layouts {
    pub fn new() -> Layouts {
        let temporary = tempfile::tempdir().unwrap();
        let home = temporary.path().canonicalize().unwrap();
        let mut layouts = Layouts {
            store: home.join("store"),
            home,
            _temporary: temporary,
            python: PathBuf::from("python3"),
        };
        let code = "import sys; print(sys.executable)";
        let executable = layouts.run("python3", &["-B", "-c", code]);
        layouts.python = PathBuf::from(executable.trim());
        std::fs::create_dir_all(&layouts.store).unwrap();
        layouts
    }

    /// A command in this home whose Pythons write to this store.
    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.env_clear().current_dir(&self.home);
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", &self.home);
        reach_index(&mut command);
        command.env("PYTHONPYCACHEPREFIX", &self.store);
        command
    }

    /// What a command that must succeed prints.
    #[track_caller]
    pub fn run(&self, program: impl AsRef<Path>, arguments: &[&str]) -> String {
        let mut command = self.command(program);
        self.finish(command.args(arguments))
    }

    #[track_caller]
    fn finish(&self, command: &mut Command) -> String {
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(
            output.status.success(),
            "{command:?} failed: these tests need a package index (pip's usual configuration is used)\n{stdout}{stderr}"
        );
        stdout.into_owned()
    }

    /// A virtualenv with pip; answers its `bin`.
    #[track_caller]
    fn environment(&self, name: &str) -> PathBuf {
        let root = self.home.join(name);
        self.run(&self.python, &["-m", "venv", root.to_str().unwrap()]);
        root.join("bin")
    }

    /// A virtualenv with these distributions and without pip, which takes longest; answers its `bin`.
    #[track_caller]
    pub fn tools(&self, distributions: &[&str]) -> PathBuf {
        let root = self.home.join("tools");
        self.run(&self.python, &["-m", "venv", "--without-pip", root.to_str().unwrap()]);
        let python = root.join("bin/python");
        let pip = ["-m", "pip", "--python", python.to_str().unwrap(), "install", "-q"];
        self.run(&self.python, &[&pip[..], distributions].concat());
        root.join("bin")
    }

    /// A project that can be built and installed, with a module of its own.
    fn project(&self, name: &str) -> PathBuf {
        let root = self.home.join(name);
        let module = name.replace('-', "_");
        std::fs::create_dir_all(root.join("src").join(&module)).unwrap();
        let manifest = format!(
            "[project]\nname = \"{name}\"\nversion = \"1\"\n[build-system]\nrequires = [\"setuptools\"]\n\
             build-backend = \"setuptools.build_meta\"\n"
        );
        std::fs::write(root.join("pyproject.toml"), manifest).unwrap();
        std::fs::write(root.join("src").join(module).join("__init__.py"), "X = 1\n").unwrap();
        root
    }

    /// The rows of a view.
    #[track_caller]
    fn du(&self, arguments: &[&str]) -> Value {
        let mut command = self.command(env!("CARGO_BIN_EXE_pycstore"));
        command.args(["du", "--json", "--store"]).arg(&self.store).args(arguments);
        serde_json::from_str(&self.finish(&mut command)).unwrap()
    }

    /// `kind gone` of each owner below the home, by path from there.
    fn owners(&self) -> BTreeMap<String, String> {
        let document = self.du(&[]);
        let row = |row: &Value| {
            let path = Path::new(row["root"].as_str().unwrap()).strip_prefix(&self.home).ok()?;
            let gone = if row["gone"] == true { " gone" } else { "" };
            Some((path.to_str().unwrap().to_string(), format!("{}{gone}", row["kind"].as_str().unwrap())))
        };
        document["owners"].as_array().unwrap().iter().filter_map(row).collect()
    }

    /// Deletes a directory and leaves something beside it: an empty directory tells nothing of what is missing in it.
    fn delete(&self, path: &Path) {
        std::fs::write(path.with_file_name("keep"), "").unwrap();
        std::fs::remove_dir_all(path).unwrap();
    }

    #[track_caller]
    fn assert_owner(&self, path: &str, expected: &str) {
        let owners = self.owners();
        assert_eq!(owners.get(path).map(String::as_str), Some(expected), "{path} in {owners:#?}");
    }

    /// The packages below a path and their numbers of files.
    fn packages(&self, under: &str) -> BTreeMap<String, u64> {
        let document = self.du(&["--by", "package", "--under", under]);
        let rows = document["view"]["rows"].as_array().unwrap().iter();
        rows.map(|row| (row["package"].as_str().unwrap_or("-").to_string(), row["files"].as_u64().unwrap()))
            .collect()
    }
}

macro_rules! layout {
    ($name:ident, $test:expr) => {
        #[test]
        #[ignore = "needs a package index"]
        fn $name() {
            let test: fn(&Layouts) = $test;
            test(&Layouts::new());
        }
    };
}

layout!(environments_of_venv_and_virtualenv, |layouts| {
    let tools = layouts.tools(&["virtualenv"]);
    layouts.assert_owner("tools", "environment");
    let project = layouts.project("mine");
    for (name, program, arguments) in
        [(".venv", &layouts.python, &["-m", "venv"][..]), ("env", &tools.join("virtualenv"), &["-q"])]
    {
        let root = project.join(name);
        layouts.run(program, &[arguments, &[root.to_str().unwrap()]].concat());
        layouts.run(root.join("bin/pip"), &["--version"]);
    }
    layouts.assert_owner("mine", "project");
    assert!(layouts.packages("mine/env").contains_key("pip"));
    // Alone, and then gone.
    let alone = layouts.home.join("envs/alone");
    layouts.run(tools.join("virtualenv"), &["-q", alone.to_str().unwrap()]);
    layouts.run(alone.join("bin/pip"), &["--version"]);
    layouts.assert_owner("envs/alone", "environment");
    layouts.delete(&alone);
    layouts.assert_owner("envs/alone", "environment gone");
});

layout!(editable_installations_and_records, |layouts| {
    let project = layouts.project("my-own");
    let bin = layouts.environment("my-own/.venv");
    layouts.run(bin.join("pip"), &["install", "-q", "pyyaml", "-e", project.to_str().unwrap()]);
    layouts.run(bin.join("python"), &["-c", "import my_own, yaml"]);
    layouts.assert_owner("my-own", "project");
    let packages = layouts.packages("my-own");
    assert_eq!(packages["my-own"], 1, "{packages:?}");
    assert!(packages["PyYAML"] > 10, "yaml and what else it recorded: {packages:?}");
    assert!(!packages.contains_key("yaml"), "{packages:?}");
    // What is gone is known by the name that it was imported by.
    layouts.run(bin.join("pip"), &["uninstall", "-q", "-y", "pyyaml"]);
    let packages = layouts.packages("my-own/.venv");
    assert!(packages.contains_key("yaml") && !packages.contains_key("PyYAML"), "{packages:?}");
});

layout!(a_build_environment_of_pip, |layouts| {
    let project = layouts.project("built");
    let bin = layouts.environment("tools");
    let temporary = layouts.home.join("scratch");
    std::fs::create_dir_all(&temporary).unwrap();
    // As in `/tmp`: an empty directory would tell nothing of what is missing in it.
    std::fs::write(temporary.join("keep"), "").unwrap();
    let mut pip = layouts.command(bin.join("pip"));
    let wheels = layouts.home.join("wheels");
    pip.env("TMPDIR", &temporary).args(["wheel", "-q", "-w"]).arg(wheels).arg(&project);
    layouts.finish(&mut pip);
    let owners = layouts.owners();
    let builds: Vec<_> =
        owners.iter().filter(|(path, _)| path.starts_with("scratch/pip-build-env-")).collect();
    assert!(!builds.is_empty(), "{owners:#?}");
    assert!(builds.iter().all(|(_, kind)| *kind == "build gone"), "{owners:#?}");
});

layout!(a_user_site, |layouts| {
    let mut pip = layouts.command(&layouts.python);
    pip.env("PIP_BREAK_SYSTEM_PACKAGES", "1").args([
        "-m",
        "pip",
        "install",
        "-q",
        "--user",
        "--ignore-installed",
        "pyyaml",
    ]);
    layouts.finish(&mut pip);
    layouts.run(&layouts.python, &["-c", "import yaml"]);
    let code = "import sys; print('.local/lib/python%d.%d' % sys.version_info[:2])";
    let site = layouts.run(&layouts.python, &["-c", code]);
    layouts.assert_owner(site.trim(), "user-site");
    assert!(layouts.packages(site.trim()).contains_key("PyYAML"));
    layouts.delete(&layouts.home.join(site.trim()));
    layouts.assert_owner(site.trim(), "user-site gone");
});

layout!(what_uv_keeps, |layouts| {
    let bin = layouts.tools(&["uv"]);
    let uv = bin.join("uv");
    let python = layouts.python.to_str().unwrap();
    layouts.run(&uv, &["venv", "-q", "--python", python, "envs/of-uv"]);
    let environment = layouts.home.join("envs/of-uv/bin/python");
    layouts.run(&uv, &["pip", "install", "-q", "--python", environment.to_str().unwrap(), "pyyaml"]);
    layouts.run(&environment, &["-c", "import yaml"]);
    layouts.assert_owner("envs/of-uv", "environment");
    assert!(layouts.packages("envs/of-uv").contains_key("PyYAML"));
    // `uv tool run` makes an environment in its cache, `uv tool install` one among its tools.
    layouts.run(&uv, &["tool", "run", "-q", "--python", python, "pyflakes", "--version"]);
    layouts.assert_owner(".cache/uv", "tool-cache");
    layouts.run(&uv, &["tool", "install", "-q", "--python", python, "pyflakes"]);
    layouts.run(layouts.home.join(".local/bin/pyflakes"), &["--version"]);
    layouts.assert_owner(".local/share/uv/tools/pyflakes", "tool-cache");
    layouts.run(&uv, &["tool", "uninstall", "-q", "pyflakes"]);
    layouts.assert_owner(".local/share/uv/tools/pyflakes", "tool-cache gone");
});

layout!(what_pipx_keeps, |layouts| {
    let bin = layouts.tools(&["pipx"]);
    layouts
        .run(bin.join("pipx"), &["install", "-q", "--python", layouts.python.to_str().unwrap(), "pyflakes"]);
    layouts.run(layouts.home.join(".local/bin/pyflakes"), &["--version"]);
    layouts.assert_owner(".local/share/pipx/venvs/pyflakes", "tool-cache");
    assert!(layouts.packages(".local/share/pipx/venvs/pyflakes").contains_key("pyflakes"));
});

layout!(what_tox_and_nox_keep, |layouts| {
    let bin = layouts.tools(&["tox", "nox"]);
    let project = layouts.project("tested");
    std::fs::write(
        project.join("tox.ini"),
        "[testenv]\nskip_install = true\npassenv = PIP_*\nsetenv =\n  PYTHONDONTWRITEBYTECODE =\n  PYTHONPYCACHEPREFIX = {env:PYTHONPYCACHEPREFIX}\n\
         deps = pyflakes\ncommands = python -m pyflakes --version\n",
    )
    .unwrap();
    std::fs::write(
        project.join("noxfile.py"),
        "import nox\n\n@nox.session\ndef lint(session):\n    session.install('pyflakes')\n    session.run('python', '-m', 'pyflakes', '--version')\n",
    )
    .unwrap();
    for tool in ["tox", "nox"] {
        let mut command = layouts.command(bin.join(tool));
        layouts.finish(command.current_dir(&project));
        layouts.assert_owner(&format!("tested/.{tool}"), "tool-cache");
        let packages = layouts.packages(&format!("tested/.{tool}"));
        assert!(packages.contains_key("pyflakes"), "{tool}: {packages:?}");
    }
    std::fs::remove_dir_all(project.join(".tox")).unwrap();
    layouts.assert_owner("tested/.tox", "tool-cache gone");
});

layout!(interpreters, |layouts| {
    let code = "import json, sys; print(sys.base_prefix)";
    let prefix = layouts.run(&layouts.python, &["-c", code]);
    let document = layouts.du(&[]);
    let rows = document["owners"].as_array().unwrap();
    let row = rows.iter().find(|row| row["root"] == prefix.trim());
    assert_eq!(row.map(|row| &row["kind"]), Some(&Value::from("interpreter")), "{document:#}");
});
