//! Rounds, medians and ratios.
//!
//! In each round every command runs once, so that all see the same minutes of a machine that others use as well. A
//! ratio is taken within a round; of the rounds' ratios the median counts.

use crate::process::{Finished, Runner, Sample};
use anyhow::Context;
use std::process::Command;
use std::time::Duration;

type Act<'a> = Box<dyn Fn() -> anyhow::Result<()> + 'a>;
type Check<'a> = Box<dyn Fn(&Finished) -> anyhow::Result<()> + 'a>;

/// So many rounds are quick ones, and not announced.
const MANY: usize = 50;

/// A command that is measured.
pub struct Subject<'a> {
    name: String,
    command: Box<dyn Fn() -> Command + 'a>,
    check: Check<'a>,
    before: Act<'a>,
    samples: Vec<Sample>,
}

impl<'a> Subject<'a> {
    /// A command, and what its answer must be.
    pub fn new(
        name: impl Into<String>,
        command: impl Fn() -> Command + 'a,
        check: impl Fn(&Finished) -> anyhow::Result<()> + 'a,
    ) -> Subject<'a> {
        Subject {
            name: name.into(),
            command: Box::new(command),
            check: Box::new(check),
            before: Box::new(|| Ok(())),
            samples: Vec::new(),
        }
    }

    /// The same with something to do before each run, which does not count.
    pub fn after(self, before: impl Fn() -> anyhow::Result<()> + 'a) -> Subject<'a> {
        Subject { before: Box::new(before), ..self }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The most memory that any of its runs had.
    pub fn memory(&self) -> u64 {
        self.samples.iter().map(|sample| sample.memory).max().unwrap_or(0)
    }

    /// The most descriptors and the most threads that were seen in any of its runs.
    pub fn most(&self) -> (usize, usize) {
        let most = |of: fn(&Sample) -> usize| self.samples.iter().map(of).max().unwrap_or(0);
        (most(|sample| sample.descriptors), most(|sample| sample.threads))
    }

    /// The median time from start to end.
    pub fn wall(&self) -> Duration {
        Duration::from_secs_f64(median(self.samples.iter().map(|it| it.wall.as_secs_f64()).collect()))
    }

    /// The median processor time.
    pub fn processor(&self) -> Duration {
        Duration::from_secs_f64(median(self.samples.iter().map(|it| it.processor.as_secs_f64()).collect()))
    }

    /// Runs it once; what it took does not count.
    pub fn try_out(&self, runner: &Runner) -> anyhow::Result<()> {
        self.run(runner).map(drop)
    }

    fn run(&self, runner: &Runner) -> anyhow::Result<Sample> {
        (self.before)()?;
        let finished = runner.run(&mut (self.command)())?;
        (self.check)(&finished).with_context(|| {
            format!("{}: not the truth (of a store that was touched? --clean it)", self.name)
        })?;
        Ok(finished.sample)
    }
}

/// Runs the subjects in turn, round by round. Each begins a round once in a while: none always runs after the same.
///
/// # Errors
/// Where one fails, or answers anything but the truth.
pub fn run(runner: &Runner, subjects: &mut [Subject<'_>], rounds: usize, title: &str) -> anyhow::Result<()> {
    for round in 0..rounds {
        if rounds < MANY {
            eprintln!("{title}: round {} of {rounds}", round + 1);
        }
        for place in 0..subjects.len() {
            let next = (place + round) % subjects.len();
            let sample = subjects[next].run(runner)?;
            subjects[next].samples.push(sample);
        }
    }
    Ok(())
}

/// A subject held against others: the quickest of those counts.
#[derive(Debug, Clone, Copy)]
pub struct Bar {
    /// The subject's name.
    pub subject: &'static str,
    /// The others' names.
    pub over: &'static [&'static str],
    /// The most that the ratio of wall times may be.
    pub most: f64,
}

/// A ratio: the median, the lowest and the highest of the rounds.
#[derive(Debug, Clone, Copy)]
pub struct Ratio {
    /// The median.
    pub median: f64,
    /// The lowest.
    pub lowest: f64,
    /// The highest.
    pub highest: f64,
}

/// A bar and what was measured.
#[derive(Debug)]
pub struct Held {
    /// Which others' was the quickest.
    pub over: String,
    /// Of wall times.
    pub wall: Ratio,
    /// Of processor times.
    pub processor: Ratio,
}

impl Bar {
    /// The ratios; `None` where one of the two was not measured.
    pub fn hold(&self, subjects: &[Subject<'_>]) -> Option<Held> {
        let subject = subjects.iter().find(|it| it.name == self.subject)?;
        let others = subjects.iter().filter(|it| self.over.contains(&it.name.as_str()));
        let over = others.min_by_key(|it| it.wall())?;
        let ratio = |of: fn(&Sample) -> Duration| {
            let rounds = subject.samples.iter().zip(&over.samples);
            Ratio::of(rounds.map(|(one, other)| of(one).as_secs_f64() / of(other).as_secs_f64()).collect())
        };
        Some(Held { over: over.name.clone(), wall: ratio(|it| it.wall), processor: ratio(|it| it.processor) })
    }
}

impl Ratio {
    fn of(rounds: Vec<f64>) -> Ratio {
        let lowest = rounds.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = rounds.iter().copied().fold(0.0, f64::max);
        Ratio { median: median(rounds), lowest, highest }
    }
}

/// The middle one, or the mean of the two in the middle. Zero of nothing.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        length if length % 2 == 1 => values[length / 2],
        length => f64::midpoint(values[length / 2 - 1], values[length / 2]),
    }
}
