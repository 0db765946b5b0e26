//! The walk over bodies against `marshal.loads`, over the same bytes; and `pycstore verify` on a store of them.
//!
//! The bodies are those of a CPython's own library, compiled by itself.

use crate::measure::{self, Bar, Subject};
use crate::report::Report;
use crate::subjects::Subjects;
use anyhow::{Context, bail, ensure};
use pycstore::pyc::Magic;
use pycstore::pyc::marshal::{Dialect, walk};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

const SCRIPT: &str = include_str!("bodies.py");
const LOADS: &str = "marshal.loads of each body, 5 times";
const WALK: &str = "the walk over each body, 5 times";
const TIMES: u32 = 5;
const ONE: &str = "pycstore --threads 1 verify";
const TWO: &str = "pycstore --threads 2 verify";

const BARS: [Bar; 2] =
    [Bar { subject: WALK, over: &[LOADS], most: 0.5 }, Bar { subject: TWO, over: &[ONE], most: 0.65 }];

/// A CPython and what it compiled.
struct Library {
    python: PathBuf,
    tag: String,
    directory: PathBuf,
}

impl Library {
    /// Compiles the library of the `python3` on `PATH`, unless that was done before.
    fn build(directory: &Path) -> anyhow::Result<Library> {
        const ASK: &str = "import os, sys; print(sys.executable, sys.implementation.cache_tag, os.path.dirname(os.__file__))";
        let answer = Command::new("python3").args(["-c", ASK]).output().context("no python3 on PATH")?;
        let answer = String::from_utf8(answer.stdout)?;
        let [python, tag, library] = answer.trim().split(' ').collect::<Vec<_>>()[..] else {
            bail!("python3 answers {answer:?}")
        };
        let built = Library {
            python: python.into(),
            tag: tag.into(),
            directory: directory.canonicalize()?.join("bodies").join(tag),
        };
        if !built.file().exists() {
            eprintln!("compiling {library}");
            std::fs::create_dir_all(&built.directory)?;
            let partial = built.directory.join("partial");
            let mut command = built.command("build");
            ensure!(
                command.arg(library).arg(&partial).status()?.success(),
                "{python} cannot compile {library}"
            );
            std::fs::rename(&partial, built.file())?;
        }
        Ok(built)
    }

    fn command(&self, task: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.env_clear().env("PYTHONPYCACHEPREFIX", self.directory.join("store"));
        command.args(["-W", "ignore", "-c", SCRIPT, task]);
        command
    }

    /// All bodies, each after its length.
    fn file(&self) -> PathBuf {
        self.directory.join("all")
    }
}

/// Measures, and reports.
///
/// # Errors
/// Without a CPython, or where a command fails.
pub fn measure(
    subjects: &Subjects,
    directory: &Path,
    rounds: usize,
    report: &mut Report,
) -> anyhow::Result<()> {
    let library = Library::build(directory)?;
    let (file, store) = (library.file(), library.directory.join("store"));
    let verify = |threads: &'static str| {
        let mut command = subjects.program(&["--threads", threads, "verify"]);
        command.env("PYTHONPYCACHEPREFIX", &store);
        command
    };
    let mut measured = [
        Subject::new(
            LOADS,
            || {
                let mut command = library.command("loads");
                command.arg(&file).arg(TIMES.to_string());
                command
            },
            |_| Ok(()),
        ),
        Subject::new(
            WALK,
            || {
                let mut command = Command::new(&subjects.floor);
                command.arg("--walk").arg(&file).arg(&library.tag);
                command
            },
            |_| Ok(()),
        ),
        Subject::new(ONE, || verify("1"), |_| Ok(())),
        Subject::new(TWO, || verify("2"), |_| Ok(())),
    ];
    measured.iter().try_for_each(|subject| subject.try_out(&subjects.runner))?;
    measure::run(&subjects.runner, &mut measured, rounds, "bodies")?;
    let bytes = file.metadata()?.len();
    let title = format!("{:.0} MB of bodies of {}", bytes as f64 / 1e6, library.tag);
    report.times(&title, &measured, &BARS);
    let speed = |subject: &Subject<'_>| bytes as f64 * f64::from(TIMES) / 1e6 / subject.wall().as_secs_f64();
    println!("  MB/s: marshal.loads {:.0}, the walk {:.0}", speed(&measured[0]), speed(&measured[1]));
    Ok(())
}

/// `--walk FILE TAG`: walks every body in the file, all of which must be loadable.
///
/// # Errors
/// Where one is not.
pub fn main(mut arguments: impl Iterator<Item = OsString>) -> anyhow::Result<()> {
    let bytes = std::fs::read(arguments.next().context("no file")?)?;
    let tag = arguments.next().context("no tag")?;
    let tag = tag.to_string_lossy();
    let dialect = Magic::loaded_by(&tag).and_then(|magic| Dialect::of(&tag, magic)).context("not a tag")?;
    for _ in 0..TIMES {
        let mut rest = &bytes[..];
        while let Some((length, tail)) = rest.split_first_chunk::<4>() {
            let (body, tail) = tail.split_at(u32::from_le_bytes(*length) as usize);
            walk(body, dialect)?;
            rest = tail;
        }
    }
    Ok(())
}
