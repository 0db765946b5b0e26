//! What clap does not do for the help: the commands in groups, and examples for each command.

use clap::Command;
use clap::builder::Styles;
use std::fmt::Write;

/// The commands by what they are for. A test says that all are here.
const GROUPS: [(&str, &[&str]); 6] = [
    ("Get started", &["setup", "prune", "schedule", "doctor"]),
    ("See what is in the store", &["du", "browse", "ls", "report", "history"]),
    ("Free more", &["forget", "sweep", "share"]),
    ("Examine sources and entries", &["which", "source", "inspect", "verify"]),
    ("Prepare", &["warm", "interpreters"]),
    ("Other", &["config", "completions", "demo", "help"]),
];

/// Examples of each command and what they do. A test parses them.
const EXAMPLES: [(&str, &[(&str, &str)]); 21] = [
    (
        "setup",
        &[
            ("pycstore setup", "the variable in your shell"),
            ("pycstore setup git vscode", "hide __pycache__ there"),
            ("pycstore setup docker", "print a recipe"),
            ("pycstore setup prometheus", "print alerting rules"),
            ("pycstore setup --undo", "restore the files"),
        ],
    ),
    (
        "prune",
        &[
            ("pycstore prune -n", "show what would be removed"),
            ("pycstore prune -n --list", "every path"),
            ("pycstore prune --orphans --under ~/work", "only deleted sources there"),
            ("pycstore prune --unused-for 90d", "by last use"),
            ("pycstore prune --max-size 5GiB", "the least recently used"),
        ],
    ),
    (
        "schedule",
        &[
            ("pycstore schedule install", "prune every night"),
            ("pycstore schedule status", "next and last run"),
            ("pycstore schedule remove", "as before"),
            ("pycstore schedule install --system --max-size 5GiB", "as root: for every user"),
        ],
    ),
    (
        "doctor",
        &[
            ("pycstore doctor", "all findings, the worst first"),
            ("pycstore doctor --quiet --metrics doctor.prom", "for Prometheus"),
        ],
    ),
    (
        "du",
        &[
            ("pycstore du --by package --top 10", "the ten largest packages"),
            ("pycstore du --by owner,tag ~/work", "the projects below a directory"),
            ("pycstore du --depth 3", "as a tree"),
        ],
    ),
    (
        "browse",
        &[
            ("pycstore browse", "the whole store; ? shows the keys"),
            ("pycstore browse ~/work", "only entries of sources there"),
        ],
    ),
    (
        "ls",
        &[
            ("pycstore ls --status stale,orphan", "entries of no use"),
            ("pycstore ls --sort size --top 20", "the largest files"),
            ("pycstore ls -0 --tag cpython-39 | xargs -0 ls -l", "paths for a program"),
        ],
    ),
    ("report", &[("pycstore report --html store.html", "a page to open in a browser")]),
    ("history", &[("pycstore history --top 7", "the last seven runs")]),
    (
        "forget",
        &[
            ("pycstore forget .venv", "after rm -rf .venv"),
            ("pycstore forget -n ~/old", "show what would be removed"),
        ],
    ),
    (
        "sweep",
        &[
            ("pycstore sweep -n ~/work", "show what would be removed"),
            ("pycstore sweep --adopt --include-environments ~/work", "move it into the store"),
        ],
    ),
    (
        "share",
        &[
            ("pycstore share -n", "show what would be freed"),
            ("pycstore share --under ~/work", "only entries of sources there"),
        ],
    ),
    (
        "which",
        &[
            ("pycstore which src/app.py", "its entries"),
            ("pycstore which --expected src/app.py", "where they would be"),
        ],
    ),
    ("source", &[("pycstore source ~/.cache/cpython/srv/app.cpython-313.pyc", "its source")]),
    ("inspect", &[("pycstore inspect src/app.py", "why Python loads or recompiles it")]),
    (
        "verify",
        &[
            ("pycstore verify --fix", "remove entries that break imports"),
            ("pycstore verify --recompile src", "compare with the sources"),
        ],
    ),
    (
        "warm",
        &[
            ("pycstore warm ~/work/app", "a project and its environment"),
            ("pycstore warm --all-stale", "what Python would recompile"),
            ("pycstore warm --invalidation-mode checked-hash .", "for a cache in CI"),
        ],
    ),
    ("interpreters", &[("pycstore interpreters", "with their cache tags")]),
    ("config", &[("pycstore config", "each value and its origin"), ("pycstore config --path", "the file")]),
    ("completions", &[("pycstore completions fish", "a script, on standard output")]),
    ("demo", &[("pycstore demo", "in a temporary directory")]),
];

/// The examples of a command.
pub fn examples(command: &str) -> &'static [(&'static str, &'static str)] {
    EXAMPLES.iter().find(|(name, _)| *name == command).map_or(&[], |(_, examples)| examples)
}

/// The examples as the help shows them, each with its meaning in the same column.
fn examples_shown(command: &str) -> String {
    let examples = examples(command);
    let width = examples.iter().map(|(line, _)| line.len()).max().unwrap_or(0);
    examples.iter().map(|(line, meaning)| format!("  {line:<width$}   {meaning}\n")).collect()
}

/// The command line with the commands in groups, and examples in each command's help.
pub fn grouped(command: Command) -> Command {
    let header = Styles::styled().get_header().to_owned();
    let literal = Styles::styled().get_literal().to_owned();
    let mut groups = String::new();
    for (group, names) in GROUPS {
        let _ = writeln!(groups, "{header}{group}:{header:#}");
        for name in names {
            let about = command.find_subcommand(name).and_then(Command::get_about);
            let about = about.map_or("Print the help of a command".to_string(), ToString::to_string);
            let _ = writeln!(groups, "  {literal}{name:<12}{literal:#}  {about}");
        }
        groups.push('\n');
    }
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{groups}{header}Options:{header:#}\n{{options}}{{after-help}}"
    );
    EXAMPLES.iter().fold(command.help_template(template), |command, (name, _)| {
        command.mut_subcommand(name, |command| {
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples = examples_shown(name);
            command.after_help(format!("{header}Examples:{header:#}\n{examples}\n{after}"))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn every_command_is_in_one_group() {
        let all = super::super::visible();
        let mut names: BTreeSet<&str> = all.get_subcommands().map(Command::get_name).collect();
        names.insert("help");
        let grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, commands)| commands.iter().copied()).collect();
        assert_eq!(grouped.len(), names.len());
        assert_eq!(grouped.into_iter().collect::<BTreeSet<_>>(), names);
        names.remove("help");
        assert_eq!(EXAMPLES.iter().map(|(name, _)| *name).collect::<BTreeSet<_>>(), names);
    }

    #[test]
    fn examples_are_command_lines() {
        for (name, examples) in EXAMPLES {
            for (line, _) in examples {
                let own = line.split(" | ").next().unwrap();
                let parsed = super::super::Arguments::try_parse_from(own.split(' '));
                assert!(parsed.is_ok() && own.split(' ').nth(1) == Some(name), "{line}");
            }
            assert!(examples_shown(name).lines().all(|line| line.len() <= 90), "{name}");
        }
    }

    /// Flags with the same meaning but another help text in each command, with words that all of these texts
    /// contain.
    const WORDED: [(&str, &str); 13] = [
        ("csv", "Print comma-separated values"),
        ("dry-run", "how "),
        ("json", "rint one JSON "),
        ("max-runtime", "cleanly after DURATION"),
        ("max-size", "emove the least recently used entries"),
        ("metrics", "textfile collector of Prometheus"),
        ("print", "rint the "),
        ("sort", "Sort the "),
        ("system", "s"),
        ("tag", "Only entries with this cache tag"),
        ("top", " N "),
        ("undo", "emove "),
        ("yes", "Do not ask"),
    ];

    #[test]
    fn a_flag_means_the_same_in_every_command() {
        let mut command = super::super::Arguments::command();
        command.build();
        let mut meanings: BTreeMap<String, BTreeMap<String, Vec<&str>>> = BTreeMap::new();
        let mut shorts: BTreeMap<char, BTreeSet<&str>> = BTreeMap::new();
        for command in command.get_subcommands() {
            for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
                let Some(long) = argument.get_long() else { continue };
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                meanings.entry(long.into()).or_default().entry(help).or_default().push(command.get_name());
                if let Some(short) = argument.get_short() {
                    shorts.entry(short).or_default().insert(long);
                }
            }
        }
        for (short, longs) in shorts {
            assert_eq!(longs.len(), 1, "-{short} is {longs:?}");
        }
        meanings.retain(|_, helps| helps.len() > 1);
        let worded: Vec<&str> = meanings.keys().map(String::as_str).collect();
        assert_eq!(worded, WORDED.map(|(flag, _)| flag), "{meanings:#?}");
        for (flag, words) in WORDED {
            assert!(meanings[flag].keys().all(|help| help.contains(words)), "--{flag}: {meanings:#?}");
        }
    }
}
