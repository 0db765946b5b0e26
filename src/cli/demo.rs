//! `pycstore demo`: du and prune on a small temporary store.
//!
//! Everything is in one temporary directory, which is also the user's home. Home of tempfile.

use super::du::DuOptions;
use super::options::Global;
use super::output::complain;
use super::output::style::Tone;
use super::prune::PruneOptions;
use super::removal::RunOptions;
use super::selection::SelectorOptions;
use super::session::Session;
use super::stop::Stop;
use super::{du, prune};
use anyhow::{Context, ensure};
use clap::Args;
use pycstore::environment::Environment;
use pycstore::exit::Exit;
use pycstore::host::program;
use pycstore::pyc::Magic;
use pycstore::pyc::name::cache_from_source;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Try pycstore on a small temporary store.
///
/// Builds two projects and a store in a temporary directory with the machine's python3 (without one, from generated
/// entries), deletes a project, runs du and prune, and removes the directory. The real store is not touched.
#[derive(Debug, Args)]
pub struct DemoOptions {
    /// Keep the temporary directory, and print its path
    // `keep` is a glob in prune.
    #[arg(long = "keep-directory", alias = "keep")]
    pub keep: bool,
}

/// The two projects: their names and their modules. Each module imports a part of the standard library, whose
/// bytecode lands in the store as well.
const PROJECTS: [(&str, &[(&str, &str)]); 2] = [
    (
        "blog",
        &[
            (
                "posts.py",
                "import json\n\nTITLES = [\"first\", \"second\"]\n\ndef feed():\n    return json.dumps(TITLES)\n",
            ),
            ("render.py", "import textwrap\n\ndef page(text):\n    return textwrap.fill(text, 60)\n"),
        ],
    ),
    (
        "shop",
        &[
            (
                "basket.py",
                "from decimal import Decimal\n\ndef total(prices):\n    return sum(prices, Decimal(0))\n",
            ),
            ("orders.py", "import dataclasses\n\n@dataclasses.dataclass\nclass Order:\n    number: int\n"),
            (
                "stock.py",
                "LEVELS = {\"apples\": 3, \"pears\": 0}\n\ndef low():\n    return [k for k, v in LEVELS.items() if v < 1]\n",
            ),
        ],
    ),
];

/// The body of an entry for `x = 1`, as Python 3.12 marshals it: used if there is no Python.
const BODY_3_12: &[u8] = b"\xe3\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xf3\x08\x00\x00\x00\
\x97\x00\x64\x00\x5a\x00\x79\x01\x29\x02\xe9\x01\x00\x00\x00\x4e\x29\x01\xda\x01\x78\xa9\x00\xf3\x00\x00\x00\x00\xfa\x04\x6d\
\x2e\x70\x79\xfa\x08\x3c\x6d\x6f\x64\x75\x6c\x65\x3e\x72\x07\x00\x00\x00\x01\x00\x00\x00\x73\x0a\x00\x00\x00\xf0\x03\x01\x01\
\x01\xd8\x04\x05\x81\x01\x72\x05\x00\x00\x00";

/// Runs `pycstore demo`.
pub fn run(session: &Session, options: &DemoOptions) -> anyhow::Result<Exit> {
    let temporary = tempfile::Builder::new()
        .prefix("pycstore-demo-")
        .tempdir()
        .context("cannot create a temporary directory")?;
    let home = temporary.path().canonicalize().context("cannot create a temporary directory")?.join("home");
    let stage = DemoDirectories { session, home: home.clone(), store: home.join(".cache/cpython") };
    // When it is interrupted, the directory is removed at the end of this function.
    let stop = Stop::default();
    stop.on_signals()?;
    stage.build()?;

    let inner = stage.session();
    let du_options = DuOptions::default();
    let prune_options = |dry_run| PruneOptions {
        selectors: SelectorOptions { orphans: true, ..SelectorOptions::default() },
        run: RunOptions { dry_run, ..RunOptions::default() },
        ..PruneOptions::default()
    };

    let steps: [(&str, &dyn Fn() -> anyhow::Result<Exit>); 5] = [
        ("pycstore du", &|| du::run(&inner, &du_options)),
        ("rm -rf ~/shop", &|| {
            std::fs::remove_dir_all(home.join("shop")).context("cannot remove the demo's project")?;
            Ok(Exit::Done)
        }),
        ("pycstore prune --orphans --dry-run", &|| prune::run(&inner, &prune_options(true))),
        ("pycstore prune --orphans", &|| prune::run(&inner, &prune_options(false))),
        ("pycstore du", &|| du::run(&inner, &du_options)),
    ];
    let mut exit = Exit::Done;
    for (line, step) in steps {
        if stop.cause().is_some() {
            complain::note("interrupted: removing the temporary directory");
            return Ok(Exit::Incomplete);
        }
        stage.print_prompt(line)?;
        exit = step()?;
    }

    if options.keep {
        let kept = temporary.keep();
        stage.print(&format!("\nKept: {}", kept.display()))?;
    } else {
        temporary.close().context("cannot remove the temporary directory")?;
        stage.print("\nThe temporary directory was removed. To see your own store: pycstore du")?;
    }
    Ok(exit)
}

/// The directories of the demo.
struct DemoDirectories<'a> {
    session: &'a Session,
    home: PathBuf,
    store: PathBuf,
}

impl DemoDirectories<'_> {
    /// A session on the demo's store, with a history of its own.
    fn session(&self) -> Session {
        let environment = Environment {
            home: Some(self.home.clone()),
            prefix: None,
            state_directory: Some(self.home.join(".local/state/pycstore")),
            ..self.session.environment.clone()
        };
        let (store, assume_gone) = (Some(self.store.clone()), Vec::new());
        Session::new(Global { store, assume_gone, ..self.session.global.clone() }, environment)
    }

    /// Creates the projects and fills the store with Python, or without one with generated entries.
    fn build(&self) -> anyhow::Result<()> {
        for (project, modules) in PROJECTS {
            let directory = self.home.join(project);
            std::fs::create_dir_all(&directory).context("cannot create the demo's projects")?;
            let marker = format!("[project]\nname = \"{project}\"\n");
            for (name, text) in modules.iter().chain(&[("pyproject.toml", marker.as_str())]) {
                std::fs::write(directory.join(name), text).context("cannot write the demo's projects")?;
            }
        }
        self.print(&format!(
            "The demo uses a temporary home directory, {}, with the projects ~/blog and ~/shop.\n",
            self.home.display()
        ))?;
        match self.run_python() {
            Ok(version) => self
                .print(&format!("Python {version} imports both, with PYTHONPYCACHEPREFIX=~/.cache/cpython:")),
            Err(error) => {
                let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
                if kind == Some(io::ErrorKind::PermissionDenied) {
                    complain::note(&format!("{error:#}"));
                }
                self.make_entries().context("cannot write the demo's store")?;
                self.print("No python3 found: using generated entries in the format of Python 3.12.")
            }
        }
    }

    /// Imports every module of both projects with the machine's `python3`; returns its version.
    fn run_python(&self) -> anyhow::Result<String> {
        let mut version = String::new();
        for (project, modules) in PROJECTS {
            let names: Vec<&str> = modules.iter().filter_map(|(name, _)| name.strip_suffix(".py")).collect();
            let code = format!(
                "import sys; assert sys.version_info >= (3, 8); import {}; print('%d.%d.%d' % sys.version_info[:3])",
                names.join(", ")
            );
            let mut python = program::interpreter("python3").context("cannot start python3")?;
            for (name, _) in
                std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PYTHON"))
            {
                python.env_remove(name);
            }
            let output = python
                // The standard library only.
                .args(["-s", "-S", "-c", &code])
                .current_dir(self.home.join(project))
                .env("PYTHONPYCACHEPREFIX", &self.store)
                .stdin(Stdio::null())
                .output()
                .context("cannot start python3")?;
            ensure!(output.status.success(), "python3 failed");
            version = String::from_utf8_lossy(&output.stdout).trim().to_string();
        }
        ensure!(self.store.is_dir(), "python3 created no store");
        Ok(version)
    }

    /// Writes what Python 3.12 would for sources whose text is `x = 1`.
    fn make_entries(&self) -> anyhow::Result<()> {
        for (project, modules) in PROJECTS {
            for (name, _) in modules {
                let source = self.home.join(project).join(name);
                let metadata = std::fs::metadata(&source)?;
                let entry =
                    cache_from_source(&self.store, &source, "cpython-312", "").context("no file name")?;
                let mut bytes = Magic::of(3531).0.to_vec();
                bytes.extend_from_slice(&[0; 4]);
                bytes.extend_from_slice(&(metadata.mtime() as u32).to_le_bytes());
                bytes.extend_from_slice(&(metadata.size() as u32).to_le_bytes());
                bytes.extend_from_slice(BODY_3_12);
                std::fs::create_dir_all(entry.parent().unwrap_or(Path::new("/")))?;
                std::fs::write(&entry, bytes)?;
            }
        }
        Ok(())
    }

    fn print_prompt(&self, command: &str) -> anyhow::Result<()> {
        let prompt = self.session.style().paint(format!("$ {command}").as_bytes(), Tone::Heading);
        self.print(&format!("\n{}", String::from_utf8_lossy(&prompt)))
    }

    fn print(&self, line: &str) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{line}")?;
        out.flush()?;
        Ok(())
    }
}
