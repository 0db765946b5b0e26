//! The options after `--`.

use anyhow::{Context, bail};
use std::ffi::OsString;
use std::path::PathBuf;

/// How to use it.
pub const USAGE: &str = "\
usage: cargo bench --bench scan -- [OPTION]…

  --entries N      files in the synthetic store [400000; at least 100000]
  --rounds N       rounds, each command once in each [7]
  --only SECTION   du, prune, delete, memory, start or bodies (may be repeated) [all of them]
  --cold           cold caches as well; needs root [when root]
  --no-cold        warm caches only
  --directory DIR  where the store is kept [target/bench-store]
  --clean          remove what was built there, and end";

/// Below this many the synthetic store has no project that is still there.
const FEWEST_ENTRIES: u64 = 100_000;

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
    /// Files in the store.
    pub entries: u64,
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
            entries: 400_000,
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
                "--entries" => options.entries = number(&value()?)?,
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
        if options.entries < FEWEST_ENTRIES {
            bail!("--entries: at least {FEWEST_ENTRIES}, for the first twenty projects are gone ones");
        }
        if options.rounds == 0 {
            bail!("--rounds: at least one");
        }
        Ok(options)
    }

    /// Whether a section is wanted.
    pub fn wants(&self, section: Section) -> bool {
        self.only.is_empty() || self.only.contains(&section)
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
        _ => bail!("not a section: {}\n{USAGE}", value.display()),
    })
}
