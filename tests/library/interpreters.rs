//! The Pythons on this machine: which cache tags and magics something here would still load.

use pycstore::host::pool::Threads;
use pycstore::pyc::StatedMagics;
use pycstore::pyc::{Loads, Magic};
use pycstore::source::interpreter::*;
use pycstore::store::Store;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::path::PathBuf;

/// A file system of its own, with no Python in it.
struct Machine {
    _temporary: tempfile::TempDir,
    root: PathBuf,
}

impl Machine {
    fn new() -> Machine {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().canonicalize().unwrap();
        Machine { _temporary: temporary, root }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn write(&self, path: &str, contents: &str) -> PathBuf {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, contents).unwrap();
        path
    }

    fn executable(&self, path: &str, contents: &str) -> PathBuf {
        let path = self.write(path, contents);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn link(&self, path: &str, target: impl AsRef<Path>) {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    /// A CPython as `make install` leaves it, with the magic that it states itself.
    fn cpython(&self, prefix: &str, minor: u8, magic: u16) {
        let name = format!("python3.{minor}");
        self.executable(&format!("{prefix}/bin/{name}"), "\u{7f}ELF");
        self.link(&format!("{prefix}/bin/python3"), &name);
        self.link(&format!("{prefix}/bin/python"), "python3");
        self.executable(&format!("{prefix}/bin/python3-config"), "#!/bin/sh\n");
        self.library(&format!("{prefix}/lib/{name}"), magic);
    }

    fn library(&self, path: &str, magic: u16) {
        self.write(&format!("{path}/os.py"), "");
        let line = format!("MAGIC_NUMBER = ({magic}).to_bytes(2, 'little') + b'\\r\\n'\n");
        self.write(&format!("{path}/importlib/_bootstrap_external.py"), &line);
    }

    fn pypy(&self, prefix: &str) {
        self.executable(&format!("{prefix}/bin/pypy3.9"), "\u{7f}ELF");
        self.link(&format!("{prefix}/bin/pypy3"), "pypy3.9");
        self.write(&format!("{prefix}/lib/pypy3.9/os.py"), "");
        let comment = "# MAGIC_NUMBER = (3425).to_bytes(2, 'little') + b'\\r\\n'\n";
        self.write(&format!("{prefix}/lib/pypy3.9/importlib/_bootstrap_external.py"), comment);
    }

    fn patchlevel(&self, include: &str, [minor, micro]: [u8; 2], level: &str, serial: u8) {
        let header = format!(
            "#define PY_MAJOR_VERSION 3\n#define PY_MINOR_VERSION {minor}\n#define PY_MICRO_VERSION {micro}\n\
             #define PY_RELEASE_LEVEL PY_RELEASE_LEVEL_{level}\n#define PY_RELEASE_SERIAL {serial}\n"
        );
        self.write(&format!("{include}/patchlevel.h"), &header);
    }

    fn places(&self) -> Places {
        Places { root: self.root.clone(), ..Places::default() }
    }

    fn find(&self) -> Interpreters {
        Interpreters::find(&self.places())
    }

    fn find_on_path(&self, directories: &[&str]) -> Interpreters {
        let path = directories.iter().map(|directory| self.at(directory)).collect();
        Interpreters::find(&Places { path, ..self.places() })
    }

    fn find_from(&self, configuration: &str) -> Interpreters {
        Interpreters::find(&Places { configurations: vec![self.at(configuration)], ..self.places() })
    }

    /// `version tag magic found-by prefix`, the prefix below this machine's root.
    fn rows(&self, interpreters: &Interpreters) -> Vec<String> {
        let row = |it: &Interpreter| {
            let found_by: Vec<&str> = it.found_by.iter().map(|by| by.name()).collect();
            format!(
                "{}{} {} {} {} {}",
                it.version,
                if it.build == Build::FreeThreaded { "t" } else { "" },
                it.tag.as_deref().unwrap_or("-"),
                it.magic.map_or("-".into(), |magic| magic.number().to_string()),
                found_by.join(","),
                it.prefix.strip_prefix(&self.root).unwrap().display()
            )
        };
        interpreters.found.iter().map(row).collect()
    }
}

#[test]
fn every_tool_has_its_place() {
    for (prefix, found_by) in [
        ("home/me/.pyenv/versions/3.12.1", "pyenv"),
        ("home/me/.pyenv/versions/miniconda3-latest/envs/work", "pyenv"),
        ("home/me/.local/share/uv/python/cpython-3.12.1-linux-x86_64-gnu", "uv"),
        ("home/me/.local/share/uv/python/cpython-3.12.1-linux-x86_64-gnu/install", "uv"),
        ("home/me/miniconda3", "conda"),
        ("home/me/anaconda3/envs/work", "conda"),
        ("home/me/miniforge3/pkgs/python-3.12.1-hab00c5b_1_cpython", "conda"),
        ("home/me/mambaforge", "conda"),
        ("home/me/micromamba/envs/work", "conda"),
        ("home/me/.conda/envs/work", "conda"),
        ("home/me/.local/share/mamba/envs/work", "conda"),
        ("home/me/.pixi/envs/work", "conda"),
        ("home/me/.asdf/installs/python/3.12.1", "asdf"),
        ("home/me/.local/share/mise/installs/python/3.12.1", "mise"),
        ("home/me/.rye/py/cpython@3.12.1", "rye"),
        ("home/me/.rye/py/cpython@3.12.1/install", "rye"),
        ("home/me/.local/share/hatch/pythons/3.12/python", "hatch"),
        ("home/me/.local/share/pdm/python/cpython@3.12.1", "pdm"),
        ("home/me/.local/share/pypoetry/python/cpython@3.12.1", "poetry"),
        ("home/me/.linuxbrew/Cellar/python@3.12/3.12.1_1", "homebrew"),
        ("root/.pyenv/versions/3.12.1", "pyenv"),
        ("Users/me/Library/Application Support/hatch/pythons/3.12/python", "hatch"),
        ("home/linuxbrew/.linuxbrew/Cellar/python@3.12/3.12.1", "homebrew"),
        ("usr/local/Cellar/python@3.12/3.12.1", "homebrew"),
        ("opt/homebrew/Cellar/python@3.12/3.12.1/Frameworks/Python.framework/Versions/3.12", "homebrew"),
        ("opt/miniconda3", "conda,system"),
        ("opt/conda/envs/work", "conda"),
        ("usr", "system"),
        ("usr/local", "system"),
        ("opt/python3.12", "system"),
        ("opt/python/cp312-cp312", "system"),
        ("opt/rh/rh-python312/root/usr", "system"),
        ("opt/hostedtoolcache/Python/3.12.1/x64", "system"),
        ("Library/Frameworks/Python.framework/Versions/3.12", "framework"),
        (
            "Library/Developer/CommandLineTools/Library/Frameworks/Python3.framework/Versions/3.12",
            "framework",
        ),
        (
            "Applications/Xcode.app/Contents/Developer/Library/Frameworks/Python3.framework/Versions/3.12",
            "framework",
        ),
    ] {
        let machine = Machine::new();
        machine.cpython(prefix, 12, 3531);
        let found = machine.find();
        let [interpreter] = found.found.as_slice() else { panic!("{prefix}: {found:?}") };
        let names: Vec<&str> = interpreter.found_by.iter().map(|by| by.name()).collect();
        assert_eq!(names.join(","), found_by, "{prefix}");
        assert_eq!(interpreter.prefix, machine.at(prefix));
        assert_eq!(interpreter.executable, Some(machine.at(prefix).join("bin/python3.12")));
        assert_eq!(interpreter.tag.as_deref(), Some("cpython-312"), "{prefix}");
        assert_eq!(interpreter.magic, Some(Magic::of(3531)), "{prefix}");
        assert!(found.unidentified.is_empty() && found.unreadable.is_empty(), "{prefix}: {found:?}");
    }
}

#[test]
fn a_tool_can_be_told_another_place() {
    for (tool, prefix, found_by) in [
        (ToolDirectory::Data, "x/uv/python/cpython-3.12.1-linux", "uv"),
        (ToolDirectory::Pyenv, "x/versions/3.12.1", "pyenv"),
        (ToolDirectory::UvPythons, "x/cpython-3.12.1-linux", "uv"),
        (ToolDirectory::Conda, "x", "conda"),
        (ToolDirectory::Conda, "x/envs/work", "conda"),
        (ToolDirectory::Homebrew, "x/Cellar/python@3.12/3.12.1", "homebrew"),
        (ToolDirectory::Asdf, "x/installs/python/3.12.1", "asdf"),
        (ToolDirectory::Mise, "x/installs/python/3.12.1", "mise"),
        (ToolDirectory::Rye, "x/py/cpython@3.12.1", "rye"),
    ] {
        let machine = Machine::new();
        machine.cpython(prefix, 12, 3531);
        let tool_directories = vec![(tool, machine.at("x"))];
        let found = Interpreters::find(&Places { tool_directories, ..machine.places() });
        let [interpreter] = found.found.as_slice() else { panic!("{prefix}: {found:?}") };
        assert_eq!(interpreter.found_by.first().unwrap().name(), found_by, "{prefix}");
        assert!(machine.find().found.is_empty(), "{prefix}");
    }
}

#[test]
fn an_activated_conda_environment_leads_to_its_root() {
    let machine = Machine::new();
    machine.cpython("srv/c/envs/work", 12, 3531);
    machine.cpython("srv/c/envs/other", 11, 3495);
    machine.cpython("srv/c", 10, 3439);
    machine.cpython("data/env", 9, 3425);
    machine.write("home/me/.conda/environments.txt", &format!("{}\n\n", machine.at("data/env").display()));
    let tool_directories = vec![(ToolDirectory::Conda, machine.at("srv/c/envs/work"))];
    let found = Interpreters::find(&Places { tool_directories, ..machine.places() });
    assert_eq!(found.tags(), ["cpython-39", "cpython-310", "cpython-311", "cpython-312"]);
}

#[test]
fn links_on_path_are_followed_and_each_interpreter_counts_once() {
    let machine = Machine::new();
    machine.cpython("usr", 11, 3495);
    machine.link("bin", "usr/bin");
    machine.link("lib", "usr/lib");
    machine.executable("usr/bin/python3.11-config", "\u{7f}ELF");
    machine.write("usr/bin/python3.13", "may not be run");
    machine.link("usr/bin/python3.14", "nowhere");
    machine.cpython("srv/app", 12, 3531);
    machine.link("etc/alternatives/python3", machine.at("srv/app/bin/python3.12"));
    machine.link("home/me/bin/python3", machine.at("etc/alternatives/python3"));
    let found = machine.find_on_path(&["bin", "usr/bin", "home/me/bin", "missing"]);
    assert_eq!(
        machine.rows(&found),
        ["3.11 cpython-311 3495 path,system usr", "3.12 cpython-312 3531 path srv/app"]
    );
    assert!(found.unidentified.is_empty() && found.unreadable.is_empty(), "{found:?}");
}

#[test]
fn the_library_may_lie_in_lib64_or_further_up() {
    let machine = Machine::new();
    machine.executable("usr/libexec/platform-python3.9", "\u{7f}ELF");
    machine.library("usr/lib64/python3.9", 3425);
    machine.executable("srv/app/deep/bin/python3.12", "\u{7f}ELF");
    machine.library("srv/app/lib/python3.12", 3531);
    let found = machine.find_on_path(&["usr/libexec", "srv/app/deep/bin"]);
    assert_eq!(
        machine.rows(&found),
        ["3.9 cpython-39 3425 path,system usr", "3.12 cpython-312 3531 path srv/app"]
    );
}

#[test]
fn shims_stand_for_the_versions_beside_them() {
    let machine = Machine::new();
    let script = "#!/usr/bin/env bash\nexec pyenv exec \"$0\"\n";
    machine.executable("srv/pyenv/shims/python3", script);
    machine.executable("srv/pyenv/shims/python3.13", script);
    machine.cpython("srv/pyenv/versions/3.12.1", 12, 3531);
    machine.executable("srv/.asdf/shims/python", script);
    machine.cpython("srv/.asdf/installs/python/3.11.7", 11, 3495);
    machine.executable("usr/bin/mise", "\u{7f}ELF");
    machine.link("srv/mise/shims/python3", machine.at("usr/bin/mise"));
    machine.cpython("srv/mise/installs/python/3.10.13", 10, 3439);
    machine.link("srv/mise/installs/python/3.10", "3.10.13");
    let found = machine.find_on_path(&["srv/pyenv/shims", "srv/.asdf/shims", "srv/mise/shims"]);
    assert_eq!(
        machine.rows(&found),
        [
            "3.10.13 cpython-310 3439 mise srv/mise/installs/python/3.10.13",
            "3.11.7 cpython-311 3495 asdf srv/.asdf/installs/python/3.11.7",
            "3.12.1 cpython-312 3531 pyenv srv/pyenv/versions/3.12.1",
        ]
    );
    assert!(found.unidentified.is_empty(), "{found:?}");
}

#[test]
fn the_stub_of_macos_is_no_interpreter() {
    let machine = Machine::new();
    machine.executable("usr/bin/python3", "\u{7f}stub");
    machine.executable("usr/bin/xcode-select", "\u{7f}stub");
    let tools = "Library/Developer/CommandLineTools/Library/Frameworks/Python3.framework/Versions/3.9";
    machine.cpython(tools, 9, 3425);
    machine.link("Library/Developer/CommandLineTools/usr/bin/python3", machine.at(tools).join("bin/python3"));
    let found = machine.find_on_path(&["usr/bin"]);
    assert_eq!(machine.rows(&found), [format!("3.9 cpython-39 3425 framework {tools}")]);
    assert!(found.unidentified.is_empty(), "{found:?}");
}

#[test]
fn other_implementations_have_tags_of_their_own_and_no_known_magic() {
    let machine = Machine::new();
    machine.cpython("usr", 11, 3495);
    machine.pypy("usr");
    machine.pypy("home/me/.pyenv/versions/pypy3.9-7.3.11");
    machine.link("home/me/.pyenv/versions/pypy3.9-7.3.11/bin/python3", "pypy3");
    machine.executable("opt/graalpy/bin/graalpy", "\u{7f}ELF");
    machine.link("opt/graalpy/bin/python3", "graalpy");
    machine.library("opt/graalpy/lib/python3.11", 3495);
    machine.write("opt/graalpy/lib/graalpy24.0/x", "");
    let found = machine.find_on_path(&["usr/bin", "opt/graalpy/bin"]);
    assert_eq!(
        machine.rows(&found),
        [
            "3.11 cpython-311 3495 path,system usr",
            "3.9 pypy39 - pyenv home/me/.pyenv/versions/pypy3.9-7.3.11",
            "3.9 pypy39 - path,system usr",
            "3.11 graalpy240-311 - path,system opt/graalpy",
        ]
    );
}

#[test]
fn builds_without_the_lock_share_tag_and_magic() {
    let machine = Machine::new();
    machine.cpython("usr/local", 13, 3571);
    machine.executable("usr/local/bin/python3.13t", "\u{7f}ELF");
    machine.library("usr/local/lib/python3.13t", 3571);
    let found = machine.find_on_path(&["usr/local/bin"]);
    assert_eq!(
        machine.rows(&found),
        ["3.13 cpython-313 3571 path,system usr/local", "3.13t cpython-313 3571 path,system usr/local"]
    );
    assert_eq!(found.tags(), ["cpython-313"]);
    let executables: Vec<_> = found.found.iter().map(|it| it.executable.clone().unwrap()).collect();
    assert_eq!(
        executables,
        [machine.at("usr/local/bin/python3.13"), machine.at("usr/local/bin/python3.13t")]
    );
}

#[test]
fn pythons_before_3_8_use_no_store() {
    let machine = Machine::new();
    machine.cpython("opt/old", 7, 3394);
    machine.executable("usr/bin/python2.7", "\u{7f}ELF");
    machine.write("usr/lib/python2.7/os.py", "");
    let found = machine.find();
    assert_eq!(machine.rows(&found), ["2.7 - - system usr", "3.7 cpython-37 3394 system opt/old"]);
    assert!(found.found.iter().all(|it| it.store_use == StoreUse::Ignores));
    assert_eq!(found.loads("cpython-37", Magic::of(3394)), Loads::CannotTell, "none that uses a store");
    machine.cpython("usr/local", 8, 3413);
    let found = machine.find();
    assert_eq!(found.loads("cpython-37", Magic::of(3394)), Loads::No);
    assert_eq!(found.loads("cpython-38", Magic::of(3413)), Loads::Yes);
}

#[test]
fn the_magic_is_the_one_that_the_interpreter_states() {
    // A pre-release of 3.13 states its own; the table of releases has 3571.
    let machine = Machine::new();
    machine.cpython("opt/beta", 13, 3567);
    machine.patchlevel("opt/beta/include/python3.13", [13, 0], "BETA", 1);
    let found = machine.find();
    assert_eq!(machine.rows(&found), ["3.13.0b1 cpython-313 3567 system opt/beta"]);
    assert_eq!(found.loads("cpython-313", Magic::of(3567)), Loads::Yes);
    assert_eq!(found.loads("cpython-313", Magic::of(3571)), Loads::No);
}

#[test]
fn from_3_14_on_a_header_states_the_magic_or_the_release_tells_it() {
    for (level, states_magic, version, magic, loads_release) in [
        ("FINAL", false, "3.14.2", "3627", Loads::Yes),
        ("GAMMA", false, "3.14.2rc0", "-", Loads::CannotTell),
        ("GAMMA", true, "3.14.2rc0", "3625", Loads::No),
    ] {
        let machine = Machine::new();
        machine.executable("opt/it/bin/python3.14", "\u{7f}ELF");
        machine.write("opt/it/lib/python3.14/os.py", "");
        machine.patchlevel("opt/it/include/python3.14", [14, 2], level, 0);
        if states_magic {
            let header = "#define PYC_MAGIC_NUMBER 3625\n";
            machine.write("opt/it/include/python3.14/internal/pycore_magic_number.h", header);
        }
        let found = machine.find();
        assert_eq!(machine.rows(&found), [format!("{version} cpython-314 {magic} system opt/it")]);
        assert_eq!(found.loads("cpython-314", Magic::of(3627)), loads_release, "{level} {states_magic}");
    }
}

#[test]
fn without_headers_other_files_tell_the_release() {
    let machine = Machine::new();
    machine.write("opt/bare/lib/python3.14/os.py", "");
    let details = |level: &str| {
        format!(
            "{{\"language\": {{\"version_info\": {{\"major\": 3, \"minor\": 14, \"micro\": 1, \
             \"releaselevel\": \"{level}\", \"serial\": 2}}}}}}"
        )
    };
    machine.write("opt/beta/lib/python3.14/os.py", "");
    machine.write("opt/beta/lib/python3.14/build-details.json", &details("beta"));
    machine.write("opt/final/lib/python3.14/os.py", "");
    machine.write("opt/final/lib/python3.14/build-details.json", &details("final"));
    machine.write("home/me/.pyenv/versions/3.14.3/lib/python3.14/os.py", "");
    machine.write("home/me/.pyenv/versions/3.14.0a1/lib/python3.14/os.py", "");
    // Headers of another version say nothing about this one.
    machine.patchlevel("opt/bare/include/python3.14", [13, 9], "FINAL", 0);
    assert_eq!(
        machine.rows(&machine.find()),
        [
            "3.14 cpython-314 - system opt/bare",
            "3.14.0a1 cpython-314 - pyenv home/me/.pyenv/versions/3.14.0a1",
            "3.14.1b2 cpython-314 - system opt/beta",
            "3.14.1 cpython-314 3627 system opt/final",
            "3.14.3 cpython-314 3627 pyenv home/me/.pyenv/versions/3.14.3",
        ]
    );
}

#[test]
fn a_cpython_that_was_built_and_not_installed_counts() {
    let machine = Machine::new();
    machine.executable("src/cpython/python", "\u{7f}ELF");
    machine.write("src/cpython/Lib/os.py", "");
    machine.patchlevel("src/cpython/Include", [16, 0], "ALPHA", 1);
    let found = machine.find_on_path(&["src/cpython"]);
    assert_eq!(machine.rows(&found), ["3.16.0a1 cpython-316 - path src/cpython"]);
}

#[test]
fn an_executable_without_a_library_is_told_by_its_name_or_leaves_everything_open() {
    let machine = Machine::new();
    // No machine that runs this test has the library of such a version further up, in `/lib`.
    machine.executable("srv/static/bin/python3.77", "\u{7f}ELF");
    let found = machine.find_on_path(&["srv/static/bin"]);
    assert_eq!(machine.rows(&found), ["3.77 cpython-377 - path srv/static"]);
    assert_eq!(found.loads("cpython-311", Magic::of(3495)), Loads::No);
    assert_eq!(found.loads("cpython-377", Magic::of(3531)), Loads::CannotTell);

    machine.executable("srv/other/bin/python3", "\u{7f}ELF");
    let found = machine.find_on_path(&["srv/static/bin", "srv/other/bin"]);
    assert_eq!(found.unidentified, [machine.at("srv/other/bin/python3")]);
    assert_eq!(found.loads("cpython-311", Magic::of(3495)), Loads::CannotTell);
}

#[test]
fn a_python_of_no_told_version_may_be_any_of_those_beside_it() {
    let machine = Machine::new();
    machine.executable("srv/it/bin/python3", "\u{7f}ELF");
    machine.library("srv/it/lib/python3.11", 3495);
    machine.library("srv/it/lib/python3.12", 3531);
    machine.write("srv/it/lib/python3.13/site-packages/x.py", "");
    assert_eq!(machine.find_on_path(&["srv/it/bin"]).tags(), ["cpython-311", "cpython-312"]);
}

#[test]
fn an_embedded_library_needs_no_executable() {
    let machine = Machine::new();
    machine.cpython("usr", 11, 3495);
    machine.library("usr/lib/python3.10", 3439);
    let found = machine.find();
    assert_eq!(found.tags(), ["cpython-310", "cpython-311"]);
    assert_eq!(found.found[0].executable, None, "python3 is a link to another version's");
}

#[test]
fn a_virtualenv_leads_to_the_interpreter_that_it_runs() {
    let machine = Machine::new();
    machine.cpython("srv/base", 12, 3531);
    machine.cpython("srv/other", 11, 3495);
    let home = |prefix: &str| format!("home = {}\n", machine.at(prefix).join("bin").display());
    machine.write("work/linked/pyvenv.cfg", &home("gone"));
    machine.link("work/linked/bin/python3", machine.at("srv/base/bin/python3"));
    machine.link("work/linked/bin/python", "python3");
    machine.executable("work/copied/bin/python", "\u{7f}ELF");
    machine.write("work/copied/pyvenv.cfg", &(home("srv/base") + "version = 3.12.1\n"));
    machine.executable("work/stated/bin/python", "\u{7f}ELF");
    let executable = machine.at("srv/base/bin/python3.12");
    machine.write(
        "work/stated/pyvenv.cfg",
        &(home("srv/other") + &format!("base-executable = {}\n", executable.display())),
    );
    machine.executable("work/nested/bin/python", "\u{7f}ELF");
    machine.write("work/nested/pyvenv.cfg", &home("work/copied"));
    for name in ["linked", "copied", "stated", "nested"] {
        let found = machine.find_from(&format!("work/{name}/pyvenv.cfg"));
        assert_eq!(machine.rows(&found), ["3.12 cpython-312 3531 virtualenv srv/base"], "{name}");
        let found = machine.find_on_path(&[&format!("work/{name}/bin")]);
        assert_eq!(machine.rows(&found), ["3.12 cpython-312 3531 path srv/base"], "{name}");
    }
    // One kept where a tool keeps its Pythons, as pyenv-virtualenv does.
    machine.link("home/me/.pyenv/versions/work", machine.at("work/copied"));
    let found = machine.find();
    assert_eq!(machine.rows(&found), ["3.12 cpython-312 3531 pyenv srv/base"]);
}

#[test]
fn a_virtualenv_in_a_home_of_many_takes_its_own() {
    let machine = Machine::new();
    machine.cpython("srv/base", 12, 3531);
    machine.library("srv/base/lib/python3.9", 3425);
    machine.executable("srv/base/bin/python3.9", "\u{7f}ELF");
    machine.pypy("srv/base");
    let home = format!("home = {}\n", machine.at("srv/base/bin").display());
    for (name, text, tag) in [
        ("newest", "", "cpython-312"),
        ("older", "version = 3.9.18\n", "cpython-39"),
        ("virtualenv", "version_info = 3.9.18.final.0\nimplementation = CPython\n", "cpython-39"),
        ("pypy", "version_info = 3.9.16.final.0\nimplementation = PyPy\n", "pypy39"),
        ("upgraded", "version = 3.9.18\nexecutable = /nonexistent/python3.9\n", "cpython-39"),
    ] {
        machine.executable(&format!("work/{name}/bin/python"), "\u{7f}ELF");
        machine.write(&format!("work/{name}/pyvenv.cfg"), &(home.clone() + text));
        assert_eq!(machine.find_from(&format!("work/{name}/pyvenv.cfg")).tags(), [tag], "{name}");
    }
}

#[test]
fn a_virtualenv_whose_interpreter_is_gone_runs_nothing() {
    let machine = Machine::new();
    machine.write("work/gone/pyvenv.cfg", &format!("home = {}\n", machine.at("srv/gone/bin").display()));
    machine.link("work/gone/bin/python", machine.at("srv/gone/bin/python3"));
    machine.write("work/circle/pyvenv.cfg", &format!("home = {}\n", machine.at("work/circle/bin").display()));
    machine.executable("work/circle/bin/python", "\u{7f}ELF");
    machine.write("work/empty/pyvenv.cfg", "");
    for name in ["gone", "circle", "empty", "missing"] {
        let found = machine.find_from(&format!("work/{name}/pyvenv.cfg"));
        assert!(found.found.is_empty() && found.unidentified.is_empty(), "{name}: {found:?}");
    }
}

#[test]
fn the_store_reveals_interpreters() {
    let machine = Machine::new();
    machine.cpython("usr/lib/bundle/python", 12, 3531);
    let library = machine.at("usr/lib/bundle/python/lib/python3.12");
    let find = |directory: &Path, tag: &str| {
        let libraries = MirroredLibrary::new(directory, tag).into_iter().collect();
        Interpreters::find(&Places { libraries, ..machine.places() })
    };
    assert_eq!(
        machine.rows(&find(&library, "cpython-312")),
        ["3.12 cpython-312 3531 store usr/lib/bundle/python"]
    );
    assert_eq!(
        find(&library, "cpython-312").found[0].executable,
        Some(machine.at("usr/lib/bundle/python/bin/python3.12"))
    );
    assert_eq!(MirroredLibrary::new(&library, "cpython-311"), None, "compiled by another interpreter");
    assert_eq!(MirroredLibrary::new(&library.join("json"), "cpython-312"), None);
    assert!(find(&library, "graalpy240-312").found.is_empty());
    assert!(find(&machine.at("gone/lib/python3.12"), "cpython-312").found.is_empty());
    std::fs::remove_file(library.join("os.py")).unwrap();
    assert!(find(&library, "cpython-312").found.is_empty(), "only packages are left");
}

#[test]
fn what_the_store_mirrors_is_looked_into() {
    let machine = Machine::new();
    machine.cpython("data/bundle", 12, 3531);
    machine.cpython("data/base", 11, 3495);
    machine.write("work/env/pyvenv.cfg", "home = /nonexistent\n");
    machine.link("work/env/bin/python", machine.at("data/base/bin/python3"));
    let mirror = |path: &str| format!("store{}/{path}", machine.root.display());
    machine.write(&mirror("data/bundle/lib/python3.12/json/x.cpython-312.pyc"), "");
    machine.write(&mirror("work/env/lib/python3.11/site-packages/x.cpython-311.pyc"), "");
    machine.write(&mirror("data/gone/lib/python3.10/abc.cpython-310.pyc"), "");
    let store = Store::open(&machine.at("store"), &[], pycstore::store::Purpose::Look).unwrap();
    let rows = || machine.rows(&find_with(&machine, &store));
    let base = "3.11 cpython-311 3495 virtualenv data/base";
    assert_eq!(rows(), [base], "an entry has to lie in the library itself");
    machine.write(&mirror("data/bundle/lib/python3.12/abc.cpython-312.opt-1.pyc"), "");
    let bundle = "3.12 cpython-312 3531 store data/bundle";
    assert_eq!(rows(), [base, bundle]);
    // One that came as a package of another.
    let inside = "data/bundle/lib/python3.12/site-packages/inner";
    machine.cpython(inside, 10, 3439);
    machine.write(&mirror(&format!("{inside}/lib/python3.10/abc.cpython-310.pyc")), "");
    assert_eq!(rows(), [format!("3.10 cpython-310 3439 store {inside}"), base.into(), bundle.into()]);
    assert!(machine.find().found.is_empty());
}

/// All that a store and a machine tell; what is missing was definitely deleted, except below `unmounted`.
fn find_with(machine: &Machine, store: &Store) -> Interpreters {
    let is_gone = |path: &Path| !path.starts_with(machine.at("unmounted"));
    Interpreters::find_with(&machine.places(), store, Threads::default(), is_gone, |_| {})
}

#[test]
fn a_living_library_is_known_by_its_contents() {
    let machine = Machine::new();
    machine.cpython("usr", 12, 3531);
    let mirror = |path: &str| format!("store{}/{path}", machine.root.display());
    let library = "opt/office/program/python-core-3.8.18/lib";
    for module in ["os.py", "site.py", "encodings/__init__.py", "encodings/aliases.py"] {
        machine.write(&format!("{library}/{module}"), "");
    }
    machine.write(&mirror("work/site.cpython-39.pyc"), "");
    machine.write("work/site.py", "");
    machine.write(&mirror("work/green/os.cpython-39.pyc"), "");
    machine.write("work/green/os.py", "");
    machine.write(&mirror("gone/lib/encodings/aliases.cpython-310.pyc"), "");
    machine.write(&mirror("unmounted/lib/encodings/aliases.cpython-311.pyc"), "");
    let open = || Store::open(&machine.at("store"), &[], pycstore::store::Purpose::Look).unwrap();
    let loads = |tag: &str, magic| find_with(&machine, &open()).loads(tag, Magic::of(magic));
    assert_eq!(loads("cpython-38", 3413), Loads::No, "nothing tells of it");
    assert_eq!(loads("cpython-39", 3425), Loads::No, "a project's modules are no library");
    assert_eq!(loads("cpython-310", 3439), Loads::No, "the library is deleted");
    assert_eq!(loads("cpython-311", 3495), Loads::CannotTell, "its disk may not be mounted");

    for entry in ["os.cpython-38.pyc", "site.cpython-38.opt-1.pyc", "encodings/utf_8.cpython-38.pyc"] {
        let entry = machine.write(&mirror(&format!("{library}/{entry}")), "");
        assert_eq!(loads("cpython-38", 3413), Loads::Yes, "{}", entry.display());
        assert_eq!(loads("cpython-38", 3412), Loads::No);
        let rows = machine.rows(&find_with(&machine, &open()));
        assert!(rows[0].starts_with("3.8.18 cpython-38 3413 store opt/office"), "{rows:?}");
        std::fs::remove_file(entry).unwrap();
    }
}

#[test]
fn before_one_is_called_dead_it_is_looked_for_everywhere() {
    for prefix in ["home/bob/tools/python38", "home/bob/python", "opt/tools/python", "srv/python", "srv/a/b"]
    {
        let machine = Machine::new();
        machine.cpython("usr", 12, 3531);
        machine.cpython(prefix, 8, 3413);
        std::fs::create_dir(machine.at("store")).unwrap();
        let store = Store::open(&machine.at("store"), &[], pycstore::store::Purpose::Look).unwrap();
        let found = find_with(&machine, &store);
        assert_eq!(found.loads("cpython-38", Magic::of(3413)), Loads::Yes, "{prefix}");
        let row = machine.rows(&found).into_iter().find(|row| row.starts_with("3.8"));
        assert!(row.unwrap().contains("3413 elsewhere"), "{prefix}");
    }
    // A virtualenv two levels deep, and a process, here or in a container.
    let machine = Machine::new();
    machine.cpython("usr", 12, 3531);
    machine.cpython("data/a/b/c/python39", 9, 3425);
    machine.link("home/me/code/x/.venv/bin/python", machine.at("data/a/b/c/python39/bin/python3"));
    machine.write("home/me/code/x/.venv/pyvenv.cfg", "home = /nonexistent\n");
    machine.cpython("data/a/b/c/python310", 10, 3439);
    machine.link("proc/17/exe", machine.at("data/a/b/c/python310/bin/python3.10"));
    machine.link("proc/18/exe", "/in/a/container/bin/python3.11");
    machine.link("proc/19/exe", machine.at("data/a/b/c/nothing/bin/sh"));
    std::fs::create_dir(machine.at("store")).unwrap();
    let store = Store::open(&machine.at("store"), &[], pycstore::store::Purpose::Look).unwrap();
    let found = find_with(&machine, &store);
    for (tag, magic, loads) in [
        ("cpython-38", 3413, Loads::No),
        ("cpython-39", 3425, Loads::Yes),
        ("cpython-310", 3439, Loads::Yes),
        ("cpython-311", 3495, Loads::CannotTell),
    ] {
        assert_eq!(found.loads(tag, Magic::of(magic)), loads, "{tag}");
    }
}

#[test]
fn a_pre_release_states_its_own_magic() {
    let machine = Machine::new();
    machine.cpython("opt/beta", 16, 3749);
    let places = machine.places();
    let stated = StatedMagics::new(move || Interpreters::find(&places).stated());
    for (tag, magic, loads) in [
        ("cpython-316", 3749, Loads::Yes),
        ("cpython-316", 3740, Loads::CannotTell),
        ("cpython-312", 3531, Loads::Yes),
        ("cpython-312", 3749, Loads::No),
        ("rustpython-0_4", 3749, Loads::CannotTell),
    ] {
        assert_eq!(stated.loads(tag, Magic::of(magic)), loads, "{tag} {magic}");
    }
    let never_asked = StatedMagics::new(|| panic!("no interpreter is looked for where the table knows"));
    assert_eq!(never_asked.loads("cpython-312", Magic::of(3531)), Loads::Yes);
}

#[test]
fn what_no_interpreter_loads_is_dead_only_when_all_is_known() {
    let nothing = Interpreters::default();
    assert_eq!(nothing.loads("cpython-312", Magic::of(3531)), Loads::CannotTell);

    let machine = Machine::new();
    machine.cpython("usr", 12, 3531);
    machine.cpython("opt/beta", 12, 3530);
    machine.pypy("usr");
    let mut found = machine.find();
    for (tag, magic, loads) in [
        ("cpython-312", 3531, Loads::Yes),
        ("cpython-312", 3530, Loads::Yes),
        ("cpython-312", 3529, Loads::No),
        ("cpython-311", 3495, Loads::No),
        ("cpython-316", 3700, Loads::CannotTell),
        ("pypy39", 336, Loads::CannotTell),
        ("pypy310", 384, Loads::No),
        ("pypy311", 432, Loads::CannotTell),
        ("graalpy240-311", 21, Loads::CannotTell),
        ("rustpython-0_4", 1, Loads::CannotTell),
    ] {
        assert_eq!(found.loads(tag, Magic::of(magic)), loads, "{tag} {magic}");
    }
    let source = io::ErrorKind::TimedOut.into();
    found.unreadable.push(UnreadablePlace { path: "/net/python".into(), source });
    assert_eq!(found.loads("cpython-312", Magic::of(3531)), Loads::Yes);
    assert_eq!(found.loads("cpython-312", Magic::of(3529)), Loads::CannotTell);
    assert_eq!(found.loads("cpython-311", Magic::of(3495)), Loads::CannotTell);
}

#[test]
fn a_place_that_cannot_be_read_leaves_the_question_open() {
    let machine = Machine::new();
    machine.cpython("usr", 12, 3531);
    machine.link("home/me/.pyenv/versions", "versions");
    let found = machine.find_on_path(&["usr/bin"]);
    assert_eq!(found.unreadable.len(), 1, "{found:?}");
    assert_eq!(found.unreadable[0].path, machine.at("home/me/.pyenv/versions"));
    assert_eq!(found.loads("cpython-311", Magic::of(3495)), Loads::CannotTell);
}

#[test]
fn names_that_are_not_utf_8_are_looked_into() {
    use std::os::unix::ffi::OsStrExt;
    let machine = Machine::new();
    machine.cpython("home/me/.pyenv/versions/3.12.1", 12, 3531);
    let odd = machine.at("home").join(std::ffi::OsStr::from_bytes(b"m\xe9"));
    std::fs::rename(machine.at("home/me"), &odd).unwrap();
    assert_eq!(machine.find().found[0].prefix, odd.join(".pyenv/versions/3.12.1"));
}
