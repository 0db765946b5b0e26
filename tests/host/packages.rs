//! The packages: the source distribution, the wheel in virtualenvs of an old and a new CPython, the Debian package.
//!
//! maturin builds the wheel from the source distribution, as a package index would, and cargo-deb packs the same program: one release
//! build, below `target`. Nothing is fetched.

use crate::support::{Answer, World, answer, interpreters, tool};
use std::collections::BTreeSet;
use std::env::consts::ARCH;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The directory of the build that these tests belong to.
fn target_directory() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_pycstore")).ancestors().nth(2).unwrap()
}

fn triple() -> String {
    format!("{ARCH}-unknown-linux-gnu")
}

/// A command in the checkout with what `tests/packagers.sh` installs.
fn packager(world: &World, program: &str) -> Command {
    let directories = [target_directory(), &checkout().join("target")];
    let installed = directories.map(|directory| directory.join("packagers/bin"));
    let installed = installed.iter().find(|directory| directory.is_dir());
    let path = std::env::var_os("PATH").unwrap();
    let path: Vec<PathBuf> = installed.into_iter().cloned().chain(std::env::split_paths(&path)).collect();
    let is_there = |name: &str| path.iter().any(|directory| directory.join(name).is_file());
    for name in ["maturin", "cargo-deb"] {
        assert!(is_there(name), "{name} is not here, and this test needs it: tests/packagers.sh");
    }
    let home = PathBuf::from(std::env::var_os("HOME").unwrap());
    let toolchain = [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")];
    let toolchain = toolchain.map(|(name, usual)| {
        let value = std::env::var_os(name).unwrap_or_else(|| OsString::from(home.join(usual)));
        (name, value)
    });
    let mut command = world.command(program);
    command
        .current_dir(checkout())
        .env("PATH", std::env::join_paths(&path).unwrap())
        .envs(toolchain)
        .env("CARGO_TARGET_DIR", target_directory())
        .env("CARGO_NET_OFFLINE", "true")
        // A release takes longer to compile, and is a tenth smaller; what is packed is the same.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    command
}

/// The files that maturin makes, below `target`.
struct Built {
    source: PathBuf,
    wheel: PathBuf,
}

fn built() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| {
        let world = World::new();
        let directory = target_directory().join("packaged");
        let _ = std::fs::remove_dir_all(&directory);
        let mut maturin = packager(&world, "maturin");
        maturin.args(["build", "--zig", "--sdist", "--release", "--target", &triple(), "--out"]);
        answer(maturin.arg(&directory)).exits(0);
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let [wheel, source] = &files[..] else { panic!("{files:?}") };
        Built { source: source.clone(), wheel: wheel.clone() }
    })
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

fn lines(answer: &Answer) -> BTreeSet<String> {
    answer.stdout.lines().map(str::to_string).collect()
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[test]
#[ignore = "needs maturin and zig (tests/packagers.sh), and minutes for a release build"]
fn the_source_distribution_has_what_builds_the_program_and_what_a_user_reads() {
    let world = World::new();
    let source = &built().source;
    assert_eq!(name(source), format!("pycstore-{VERSION}.tar.gz"));
    let listed = lines(&answer(world.command("tar").arg("--list").arg("--file").arg(source)).exits(0));
    let top = format!("pycstore-{VERSION}/");
    let names: BTreeSet<&str> = listed
        .iter()
        .map(|path| path.strip_prefix(&top).unwrap())
        .filter(|path| !path.starts_with("src/") && !path.starts_with("man/"))
        .collect();
    insta::assert_snapshot!(names.into_iter().collect::<Vec<_>>().join("\n"), @r"
    CHANGELOG.md
    Cargo.lock
    Cargo.toml
    LICENSE-APACHE
    LICENSE-MIT
    PKG-INFO
    README.md
    pyproject.toml
    ");
}

#[test]
#[ignore = "needs maturin and zig (tests/packagers.sh), CPython 3.8 and 3.13, and minutes for a release build"]
fn the_wheel_runs_in_virtualenvs_of_an_old_and_a_new_python() {
    let wheel = &built().wheel;
    let tags = name(wheel).strip_prefix(&format!("pycstore-{VERSION}-py3-none-")).unwrap();
    let tags: BTreeSet<&str> = tags.strip_suffix(".whl").unwrap().split('.').collect();
    let expected = [format!("manylinux2014_{ARCH}"), format!("manylinux_2_17_{ARCH}")];
    assert_eq!(tags, expected.iter().map(String::as_str).collect());
    let size = wheel.metadata().unwrap().len();
    // That of a release is a tenth smaller.
    assert!((1_000_000..4_500_000).contains(&size), "{size} bytes");
    for tag in ["cpython-38", "cpython-313"] {
        let found = interpreters().iter().find(|interpreter| interpreter.tag == tag);
        let interpreter = found.unwrap_or_else(|| panic!("{tag} is not here, and this test needs it"));
        let world = World::new();
        let environment = world.home.join("environment");
        answer(world.command(&interpreter.path).args(["-m", "venv"]).arg(&environment)).exits(0);
        let run = |program: &str, arguments: &[&str]| {
            let mut command = world.command(environment.join("bin").join(program));
            let path =
                std::env::join_paths([environment.join("bin"), "/usr/bin".into(), "/bin".into()]).unwrap();
            answer(command.env("PATH", path).args(arguments)).exits(0)
        };
        run("pip", &["install", "--quiet", "--no-index", wheel.to_str().unwrap()]);
        assert_eq!(run("pycstore", &["--version"]).stdout, format!("pycstore {VERSION}\n"));
        let demo = run("pycstore", &["demo"]).stdout;
        assert!(demo.contains("\nremoved "), "{tag}: {demo}");
        let code = "import importlib.metadata as m; d = m.metadata('pycstore'); \
                    print(*(f'{k}: {v}' for k, v in d.items() if k not in ('Classifier', 'Description')), sep='\\n')";
        let metadata = run("python", &["-c", code]).stdout.replace(VERSION, "VERSION");
        insta::allow_duplicates! { insta::assert_snapshot!(metadata, @r"
        Metadata-Version: 2.4
        Name: pycstore
        Version: VERSION
        License-File: LICENSE-APACHE
        License-File: LICENSE-MIT
        Summary: The manager for CPython's global bytecode store (PYTHONPYCACHEPREFIX)
        Keywords: bytecode,cache,disk usage,pyc,pycache,PYTHONPYCACHEPREFIX
        Home-Page: https://github.com/pycstore/pycstore
        Author: The pycstore developers
        License-Expression: MIT OR Apache-2.0
        Requires-Python: >=3.8
        Description-Content-Type: text/markdown; charset=UTF-8; variant=GFM
        Project-URL: Changelog, https://github.com/pycstore/pycstore/blob/main/CHANGELOG.md
        Project-URL: Homepage, https://github.com/pycstore/pycstore
        Project-URL: Issues, https://github.com/pycstore/pycstore/issues
        Project-URL: Repository, https://github.com/pycstore/pycstore
        "); }
    }
}

#[test]
#[ignore = "needs maturin, zig and cargo-deb (tests/packagers.sh), dpkg, and minutes for a release build"]
fn the_debian_package_has_the_program_its_pages_its_completions_and_its_timer() {
    built();
    let world = World::new();
    tool("dpkg-deb", "dpkg");
    let package = world.home.join("pycstore.deb");
    let mut build = packager(&world, "debian/build");
    answer(build.args([&triple(), "--output"]).arg(&package)).exits(0);

    let root = world.home.join("root");
    answer(world.command("dpkg-deb").arg("--extract").args([&package, &root])).exits(0);
    let mut pages = BTreeSet::new();
    let mut others = BTreeSet::new();
    for entry in walkdir::WalkDir::new(&root) {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        let path = entry.path().strip_prefix(&root).unwrap().to_str().unwrap().to_string();
        if metadata.is_dir() {
            continue;
        }
        let is_link = if metadata.is_symlink() { " link" } else { "" };
        match path.strip_prefix("usr/share/man/") {
            Some(page) => pages.insert(page.to_string()),
            None => others.insert(format!("{:o} {path}{is_link}", metadata.permissions().mode() & 0o777)),
        };
    }
    insta::assert_snapshot!(others.into_iter().collect::<Vec<_>>().join("\n"), @r"
    644 usr/lib/systemd/user/pycstore.service
    644 usr/lib/systemd/user/pycstore.timer
    644 usr/share/bash-completion/completions/pycstore
    644 usr/share/doc/pycstore/README.md
    644 usr/share/doc/pycstore/changelog.gz
    644 usr/share/doc/pycstore/copyright
    644 usr/share/fish/vendor_completions.d/pycstore.fish
    644 usr/share/zsh/vendor-completions/_pycstore
    755 usr/bin/pycstore
    ");
    let written = std::fs::read_dir(checkout().join("man")).unwrap().map(|entry| entry.unwrap().path());
    let written = written.map(|page| {
        let section = page.extension().unwrap().to_str().unwrap();
        format!("man{section}/{}.gz", name(&page))
    });
    assert_eq!(pages, written.collect::<BTreeSet<_>>(), "every page in man/");

    let packaged =
        |arguments: &[&str]| answer(world.command(root.join("usr/bin/pycstore")).args(arguments)).exits(0);
    assert_eq!(packaged(&["--version"]).stdout, format!("pycstore {VERSION}\n"));
    assert!(packaged(&["demo"]).stdout.contains("\nremoved "));
    let read = |path: &str| std::fs::read_to_string(root.join("usr").join(path)).unwrap();
    for (shell, path) in [
        ("bash", "share/bash-completion/completions/pycstore"),
        ("zsh", "share/zsh/vendor-completions/_pycstore"),
        ("fish", "share/fish/vendor_completions.d/pycstore.fish"),
    ] {
        assert!(read(path) == packaged(&["completions", shell]).stdout, "{path}");
    }
    // As `schedule install` would write them; the program has another path there.
    let printed = packaged(&["--quiet", "schedule", "install", "--print", "--with", "systemd"]).stdout;
    let installed = root.join("usr/bin/pycstore");
    let printed = printed.replace(installed.to_str().unwrap(), "/usr/bin/pycstore");
    let units = ["service", "timer"]
        .map(|unit| format!("# pycstore.{unit}\n{}", read(&format!("lib/systemd/user/pycstore.{unit}"))));
    assert_eq!(units.concat(), printed);

    let mut control = world.command("dpkg-deb");
    control.arg("--field").arg(&package);
    let control = answer(control.args(["Package", "Version", "Depends", "Suggests", "Homepage"]))
        .exits(0)
        .stdout
        .replace(VERSION, "VERSION");
    insta::assert_snapshot!(control, @r"
    Package: pycstore
    Version: VERSION-1
    Depends: libc6 (>= 2.17)
    Suggests: python3
    Homepage: https://github.com/pycstore/pycstore
    ");
}
