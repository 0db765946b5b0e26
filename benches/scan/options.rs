//! The options after `--`.

use crate::synthetic::{Nesting, SMALLEST_BODY, Shape};
use anyhow::{Context, bail};
use std::ffi::OsString;
use std::path::PathBuf;

/// How to use it.
pub const USAGE: &str = "\
usage: cargo bench --bench scan -- [OPTION]…

  --entries N      files in the synthetic store [400000]
  --projects N     projects that they are divided among; every fifth is gone [one for each 3000 files]
  --in-directory N files in a directory [12]
  --chain          the directories of a project lie one in the other
  --body BYTES     the length of a file without its header, even [4096; at least 64]
  --rounds N       rounds, each command once in each [7]
  --only SECTION   du, prune, delete, memory, start, bodies (may be repeated) [all of these] or scale
  --cold           cold caches as well; needs root [when root]
  --no-cold        warm caches only
  --directory DIR  where the store is kept [target/bench-store]
  --clean          remove what was built there, and end";

/// Without options; no projects stand for one for each 3000 files.
const SHAPE: Shape =
    Shape { entries: 400_000, body: 4096, projects: 0, modules_in_directory: 12, nesting: Nesting::Packages };

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// `du`.
    Du,
    /// `prune --orphans --dry-run`.
    Prune,
    /// `prune --orphans`.
    Delete,
    /// Peak memory.
    Memory,
    /// Commands that need no scan.
    Start,
    /// The walk over bodies.
    Bodies,
    /// What every command takes; only when asked for.
    Scale,
}

/// Whether cold caches are measured as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cold {
    /// When we may drop the caches.
    IfAllowed,
    /// Yes, and it is an error when we may not.
    Yes,
    /// No.
    No,
}

/// What a run is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Build and measure.
    Measure,
    /// Remove what was built.
    Clean,
}

/// The options.
#[derive(Debug)]
pub struct Options {
    /// Measure or clean.
    pub task: Task,
    /// The store.
    pub shape: Shape,
    /// Rounds.
    pub rounds: usize,
    only: Vec<Section>,
    /// Cold caches.
    pub cold: Cold,
    /// Where the store is kept.
    pub directory: PathBuf,
}

impl Options {
    /// Reads the arguments.
    ///
    /// # Errors
    /// An option that is not known, or a value that does not fit it.
    pub fn parse(arguments: impl Iterator<Item = OsString>) -> anyhow::Result<Options> {
        let built = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let mut options = Options {
            task: Task::Measure,
            shape: SHAPE,
            rounds: 7,
            only: Vec::new(),
            cold: Cold::IfAllowed,
            directory: built.parent().unwrap_or(&built).join("bench-store"),
        };
        let mut arguments = arguments.flat_map(|argument| {
            // `--name=value` is `--name value`.
            match argument.to_str().and_then(|text| text.split_once('=')) {
                Some((name, value)) if name.starts_with("--") => vec![name.into(), value.into()],
                _ => vec![argument],
            }
        });
        while let Some(argument) = arguments.next() {
            let name = argument.to_str().unwrap_or_default().to_string();
            let mut value = || arguments.next().with_context(|| format!("{name} needs a value\n{USAGE}"));
            match name.as_str() {
                "--entries" => options.shape.entries = number(&value()?)?,
                "--projects" => options.shape.projects = number(&value()?)?,
                "--in-directory" => options.shape.modules_in_directory = number(&value()?)?,
                "--chain" => options.shape.nesting = Nesting::Chain,
                "--body" => options.shape.body = number(&value()?)?,
                "--rounds" => options.rounds = usize::try_from(number(&value()?)?)?,
                "--only" => options.only.push(section(&value()?)?),
                "--directory" => options.directory = value()?.into(),
                "--cold" => options.cold = Cold::Yes,
                "--no-cold" => options.cold = Cold::No,
                "--clean" => options.task = Task::Clean,
                // Cargo says this to every bench.
                "--bench" => {}
                _ => bail!("not an option: {}\n{USAGE}", argument.display()),
            }
        }
        let Shape { entries, body, projects, modules_in_directory, .. } = &mut options.shape;
        if *projects == 0 {
            *projects = entries.div_ceil(3000);
        }
        if *entries < 2 || *projects > *entries || *modules_in_directory == 0 {
            bail!("at least two files, and one for each project and directory");
        }
        if *body < SMALLEST_BODY || *body % 2 == 1 {
            bail!("--body: an even number, at least {SMALLEST_BODY}");
        }
        if options.rounds == 0 {
            bail!("--rounds: at least one");
        }
        Ok(options)
    }

    /// Whether a section is wanted.
    pub fn wants(&self, section: Section) -> bool {
        self.only.contains(&section) || (self.only.is_empty() && section != Section::Scale)
    }
}

fn number(value: &OsString) -> anyhow::Result<u64> {
    let digits: String = value.to_str().unwrap_or_default().chars().filter(|&c| c != '_').collect();
    digits.parse().with_context(|| format!("not a number: {}", value.display()))
}

fn section(value: &OsString) -> anyhow::Result<Section> {
    Ok(match value.to_str() {
        Some("du") => Section::Du,
        Some("prune") => Section::Prune,
        Some("delete") => Section::Delete,
        Some("memory") => Section::Memory,
        Some("start") => Section::Start,
        Some("bodies") => Section::Bodies,
        Some("scale") => Section::Scale,
        _ => bail!("not a section: {}\n{USAGE}", value.display()),
    })
}
