//! The help of the program: its commands in groups, which clap cannot do by itself.

use clap::Command;
use clap::builder::Styles;
use std::fmt::Write;

/// The commands by what they are for. A test says that all are here.
const GROUPS: [(&str, &[&str]); 6] = [
    ("Get started", &["setup", "prune", "schedule", "doctor"]),
    ("See what is in the store", &["du", "ls", "report", "history"]),
    ("Remove more", &["forget", "sweep"]),
    ("Examine sources and entries", &["which", "source", "inspect", "verify"]),
    ("Prepare", &["warm", "interpreters"]),
    ("Other", &["config", "completions", "demo", "help"]),
];

/// The command line with the commands in groups.
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
    command.help_template(template)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_command_is_in_one_group() {
        let all = super::super::visible();
        let mut names: BTreeSet<&str> = all.get_subcommands().map(Command::get_name).collect();
        names.insert("help");
        let grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, commands)| commands.iter().copied()).collect();
        assert_eq!(grouped.len(), names.len());
        assert_eq!(grouped.into_iter().collect::<BTreeSet<_>>(), names);
    }
}
