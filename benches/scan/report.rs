//! Tables of what was measured, on standard output.

use crate::measure::{Bar, Ratio, Subject};
use std::time::Duration;

/// Prints, and counts how many bars were held.
#[derive(Debug, Default)]
pub struct Report {
    held: usize,
    missed: Vec<String>,
}

impl Report {
    /// The times of some subjects, and their ratios.
    pub fn times(&mut self, title: &str, subjects: &[Subject<'_>], bars: &[Bar]) {
        println!("\n{title:<70} {:>9} {:>9}", "wall", "user+sys");
        for subject in subjects {
            let (wall, processor) = (seconds(subject.wall()), seconds(subject.processor()));
            println!("  {:<68} {wall:>9} {processor:>9}", subject.name());
        }
        if bars.is_empty() {
            return;
        }
        println!("{:<70} {:>9} {:>9}  {:<18} {:>9}", "ratios", "wall", "bar", "", "user+sys");
        for bar in bars {
            let Some(held) = bar.hold(subjects) else {
                println!("  {} is not held against {}, which is not here", bar.subject, bar.over.join(", "));
                continue;
            };
            let what = format!("{} / {}", bar.subject, held.over);
            let verdict = self.verdict(held.wall.median <= bar.most, &format!("{title}: {what}"));
            let (wall, processor) =
                (format!("{:.2}", held.wall.median), format!("{:.2}", held.processor.median));
            let Ratio { lowest, highest, .. } = held.wall;
            let spread = format!("{verdict} ({lowest:.2}–{highest:.2})");
            println!("  {what:<68} {wall:>9} {:>9}  {spread:<18} {processor:>9}", format!("≤ {}", bar.most));
        }
    }

    /// A heading over single values.
    pub fn heading(&self, title: &str, unit: &str) {
        println!("\n{title:<70} {unit:>9} {:>9}", "bar");
    }

    /// A value and the most that it may be.
    pub fn value(&mut self, name: &str, value: f64, most: Option<f64>) {
        let (bar, verdict) = match most {
            Some(most) => (format!("≤ {most}"), self.verdict(value <= most, name)),
            None => (String::new(), ""),
        };
        println!("  {name:<68} {value:>9.1} {bar:>9}  {verdict}");
    }

    /// How many bars were held.
    pub fn end(&self) {
        let Report { held, missed } = self;
        println!("\n{held} of {} bars held", held + missed.len());
        missed.iter().for_each(|missed| println!("missed: {missed}"));
    }

    fn verdict(&mut self, is_held: bool, name: &str) -> &'static str {
        if is_held {
            self.held += 1;
            "held"
        } else {
            self.missed.push(name.to_string());
            "MISSED"
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}
