//! The manual pages in `man/`, against the help.

use crate::support::World;
use std::collections::BTreeMap;
use std::path::Path;

fn pages(directory: &Path) -> BTreeMap<String, String> {
    let entries =
        std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names = names.filter(|name| name.ends_with(".1"));
    names.map(|name| (name.clone(), std::fs::read_to_string(directory.join(&name)).unwrap())).collect()
}

#[test]
fn every_command_has_a_page_that_names_its_options() {
    let world = World::new();
    let pages = pages(&Path::new(env!("CARGO_MANIFEST_DIR")).join("man"));
    let help = world.pycstore(["--help"]).exits(0).stdout;
    let commands = help.split("Usage:").nth(1).unwrap().split("Options:\n").next().unwrap();
    let commands = commands.lines().filter(|line| line.starts_with("  "));
    let commands = commands.filter_map(|line| line.split_whitespace().next());
    let commands: Vec<&str> = commands.filter(|command| *command != "help").collect();
    assert_eq!(pages.len(), commands.len() + 1, "{commands:?}: one each, and one for the program");
    for command in commands {
        let page = &pages[&format!("pycstore-{command}.1")];
        let help = world.pycstore([command, "--help"]).exits(0).stdout;
        let options = help.lines().flat_map(|line| line.trim_start().split([' ', ',']).take(3));
        for option in options.filter(|word| word.starts_with("--") && word.len() > 2) {
            let option = option.split('=').next().unwrap().replace('-', "\\-");
            assert!(page.contains(&option), "pycstore-{command}.1 does not name {option}");
        }
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "\"SEE ALSO\""] {
            assert!(page.contains(&format!(".SH {section}\n")), "pycstore-{command}.1 has no {section}");
        }
    }
}

#[test]
fn an_option_stands_under_its_own_heading() {
    let world = World::new();
    let help = world.pycstore(["prune", "--help"]).exits(0).stdout;
    let under = |heading: &str| {
        let section =
            help.split(&format!("{heading}:\n")).nth(1).unwrap_or_else(|| panic!("no {heading}: {help}"));
        let lines = section.lines().take_while(|line| line.is_empty() || line.starts_with(' '));
        lines
            .filter_map(|line| line.split_whitespace().find(|word| word.starts_with("--")))
            .collect::<Vec<_>>()
    };
    assert!(under("Options").contains(&"--dry-run"), "{help}");
    assert!(under("Selectors (they add up)").contains(&"--orphans"), "{help}");
    let scopes = ["--under", "--owner", "--tag", "--keep"];
    assert!(under("Scopes (they narrow)").iter().all(|option| scopes.contains(option)), "{help}");
}
