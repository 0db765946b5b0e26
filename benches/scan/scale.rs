//! What every command takes on the store as it is: time, memory, descriptors and threads. Stores of several sizes and
//! shapes, measured one after the other, show what grows with what.

use crate::machine;
use crate::measure::{self, Subject};
use crate::process;
use crate::subjects::{GNU_DU, Subjects};
use std::process::Command;

/// The commands that scan the store and change nothing.
const COMMANDS: [&[&str]; 11] = [
    &["du"],
    &["du", "--json"],
    &["du", "--by", "directory"],
    &["ls"],
    &["ls", "--sort", "size", "--top", "10"],
    &["report", "--html", "-"],
    &["share", "--dry-run"],
    &["prune", "--orphans", "--dry-run"],
    &["prune", "--max-size", "1M", "--dry-run"],
    &["prune", "--unused-for", "1d", "--dry-run"],
    &["verify"],
];

/// Runs all, and prints a row for each.
///
/// # Errors
/// Where a command fails or complains.
pub fn measure(subjects: &Subjects, rounds: usize, gnu_du: bool) -> anyhow::Result<()> {
    let store = subjects.synthetic.store();
    let mut all: Vec<Subject<'_>> = Vec::new();
    if gnu_du {
        let command = move || {
            let mut command = Command::new("du");
            command.arg("-s").arg(&store);
            command
        };
        all.push(Subject::new(GNU_DU, command, |_| Ok(())));
    }
    for arguments in COMMANDS {
        let name = format!("pycstore {}", arguments.join(" "));
        let command = move || discarding(&subjects.program(&[arguments, &["--quiet"]].concat()));
        all.push(Subject::new(name, command, |_| Ok(())));
    }
    measure::run(&subjects.runner, &mut all, rounds, "scale")?;
    // Before the bench reads the long answer of the deletion.
    let own = process::own_memory()?;
    let mut deletion = [subjects.deletion()];
    measure::run(&subjects.runner, &mut deletion, 1, "scale, deleting")?;
    println!(
        "\n{:<40} {:>9} {:>9} {:>9} {:>12} {:>8} (load {})",
        "scale",
        "wall",
        "user+sys",
        "10⁶ bytes",
        "descriptors",
        "threads",
        machine::load()
    );
    for subject in all.iter().chain(&deletion) {
        // As much as the bench itself has: its own, or less.
        let memory = if subject.memory() > own { subject.memory() as f64 / 1e6 } else { f64::NAN };
        let (descriptors, threads) = subject.most();
        println!(
            "{:<40} {:>9.2} {:>9.2} {memory:>9.1} {descriptors:>12} {threads:>8}",
            subject.name(),
            subject.wall().as_secs_f64(),
            subject.processor().as_secs_f64(),
        );
    }
    Ok(())
}

/// The same command without its output, of which a listing has very much.
fn discarding(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$@\" > /dev/null", "sh"]).arg(command.get_program()).args(command.get_args());
    // Every variable that it has was set one by one.
    shell.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell
}
