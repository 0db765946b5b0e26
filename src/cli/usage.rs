//! Usage errors, in the form of all others: `pycstore: …` in one line, then `hint: …`.
//!
//! The message is built from the kind of clap's error and its context. The hint is clap's suggestion, else the usage, else
//! the help.

use super::visible;
use crate::cli::output::complain::Complaint;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use pycstore::quoting::escaped;
use std::error::Error;
use std::ffi::OsString;

/// Whether it is not an error but a request for help or the version, or the help for a missing command.
pub fn is_help(error: &clap::Error) -> bool {
    !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
}

/// Returns the message for a wrong command line.
pub fn complaint(error: &clap::Error, arguments: impl Iterator<Item = OsString>) -> Complaint {
    let command = command(arguments);
    let help = match &command {
        Some(command) => format!("pycstore help {command}"),
        None => "pycstore --help".into(),
    };
    if command.as_deref() == Some("verify") && is_dry_run_option(error) {
        let hint = format!("without --fix, verify changes nothing; more: {help}");
        return Complaint::new(message(error), hint);
    }
    if let Some(own) = own_name(error) {
        return Complaint::new(message(error), format!("{own}; more: {help}"));
    }
    let hint = match (suggestion(error), error.get(ContextKind::Usage)) {
        (Some(suggestion), _) => suggestion,
        (None, Some(ContextValue::StyledStr(usage))) => {
            let usage = usage.to_string();
            let words: Vec<&str> = usage.split_whitespace().skip_while(|word| *word == "Usage:").collect();
            format!("{}; more: {help}", words.join(" "))
        }
        (None, _) => help,
    };
    Complaint::new(message(error), hint)
}

/// Names that other programs have for what pycstore calls differently.
const OTHER_NAMES: [(&[&str], &str); 12] = [
    (&["undo", "uninstall"], "to undo: pycstore setup --undo; pycstore schedule remove"),
    (&["clean", "gc", "purge", "clear"], "to remove what Python cannot use any more: pycstore prune"),
    (&["remove", "rm", "delete"], "to remove the entries of a project: pycstore forget PATH"),
    (
        &["dedupe", "dedup", "deduplicate", "link", "hardlink"],
        "to make equal entries hard links of one file: pycstore share",
    ),
    (&["status", "info"], "for an overview: pycstore; for the nightly prune: pycstore schedule status"),
    (&["list"], "to list the files of the store: pycstore ls"),
    (&["size", "stats", "usage"], "to show the disk usage: pycstore du"),
    (
        &["install", "init", "enable"],
        "to set PYTHONPYCACHEPREFIX: pycstore setup; to prune every night: pycstore schedule install",
    ),
    (
        &["upgrade", "update", "self-update"],
        "pycstore is upgraded by what installed it, such as: uv tool upgrade pycstore",
    ),
    (
        &["--older-than", "--age", "--days"],
        "to select entries by their last use: --unused-for AGE, such as 90d",
    ),
    (&["--force", "-f", "--no-confirm", "--assume-yes"], "to run without a question: --yes"),
    (&["--format", "--output"], "for programs: --json, and with du also --csv"),
];

/// What pycstore has in place of a name that it does not know.
fn own_name(error: &clap::Error) -> Option<&'static str> {
    let unknown =
        [ContextKind::InvalidArg, ContextKind::InvalidSubcommand].map(|kind| texts(error, kind)).concat();
    let unknown = unknown.first()?.split('=').next()?;
    let names = OTHER_NAMES.iter().find(|(names, _)| names.contains(&unknown))?;
    matches!(error.kind(), ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand).then_some(names.1)
}

/// Whether the unknown argument is the option of other commands for a dry run.
fn is_dry_run_option(error: &clap::Error) -> bool {
    matches!(&texts(error, ContextKind::InvalidArg)[..], [it] if it == "-n" || it == "--dry-run")
}

/// Builds the message. The arguments are escaped: they must neither end the line nor control a terminal.
fn message(error: &clap::Error) -> String {
    let one = |kind| texts(error, kind).pop().unwrap_or_default();
    let (argument, value) = (one(ContextKind::InvalidArg), one(ContextKind::InvalidValue));
    match error.kind() {
        ErrorKind::UnknownArgument => format!("unexpected argument '{argument}' found"),
        ErrorKind::InvalidSubcommand => {
            format!("unrecognized subcommand '{}'", one(ContextKind::InvalidSubcommand))
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = texts(error, ContextKind::InvalidArg).join(" ");
            format!("the following required arguments were not provided: {missing}")
        }
        ErrorKind::InvalidValue => {
            let possible = match texts(error, ContextKind::ValidValue) {
                none if none.is_empty() => String::new(),
                values => format!(" [possible values: {}]", values.join(", ")),
            };
            match value.as_str() {
                "" => format!("a value is required for '{argument}' but none was supplied{possible}"),
                value => format!("invalid value '{value}' for '{argument}'{possible}"),
            }
        }
        ErrorKind::ValueValidation => {
            let why = error.source().map_or_else(String::new, |why| format!(": {why}"));
            format!("invalid value '{value}' for '{argument}'{why}")
        }
        ErrorKind::ArgumentConflict => match texts(error, ContextKind::PriorArg) {
            prior if prior == [argument.as_str()] => {
                format!("the argument '{argument}' cannot be used multiple times")
            }
            prior => format!("the argument '{argument}' cannot be used with '{}'", prior.join("', '")),
        },
        ErrorKind::TooManyValues => {
            format!("unexpected value '{value}' for '{argument}' found; no more were expected")
        }
        kind => match argument.as_str() {
            "" => kind.to_string(),
            argument => format!("{kind}: '{argument}'"),
        },
    }
}

/// clap's suggestion.
fn suggestion(error: &clap::Error) -> Option<String> {
    let kinds = [
        (ContextKind::SuggestedSubcommand, "subcommand"),
        (ContextKind::SuggestedArg, "argument"),
        (ContextKind::SuggestedValue, "value"),
    ];
    let similar = kinds.into_iter().filter_map(|(kind, what)| match texts(error, kind).as_slice() {
        [] => None,
        [one] => Some(format!("a similar {what} exists: '{one}'")),
        several => Some(format!("some similar {what}s exist: '{}'", several.join("', '"))),
    });
    // "to pass '-x' as a value, use '-- -x'": most often an option was meant.
    let mut others = texts(error, ContextKind::Suggested);
    others.retain(|tip| !tip.starts_with("to pass '"));
    let all: Vec<String> = similar.chain(others).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// The texts of a context, escaped.
fn texts(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![escaped(text)],
        Some(ContextValue::Strings(texts)) => texts.iter().map(|text| escaped(text)).collect(),
        Some(ContextValue::StyledStr(text)) => vec![escaped(&text.to_string())],
        Some(ContextValue::StyledStrs(texts)) => texts.iter().map(|it| escaped(&it.to_string())).collect(),
        _ => Vec::new(),
    }
}

/// The command that was meant: the first argument that is the name of one.
fn command(arguments: impl Iterator<Item = OsString>) -> Option<String> {
    let all = visible();
    let mut names = arguments.skip(1).filter_map(|argument| argument.into_string().ok());
    names.find(|name| all.find_subcommand(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Arguments;
    use clap::Parser;

    const LINES: [&[&str]; 22] = [
        &["inspect", "-x"],
        &["verify", "--fix", "-n"],
        &["verify", "--dry-run"],
        &["pruen"],
        &["du", "--jsn"],
        &["report"],
        &["du", "--by", "x"],
        &["du", "--sort", "nam"],
        &["setup", "--print", "--undo", "--yes"],
        &["du", "--json", "--json"],
        &["ls", "--rows=3"],
        &["history", "--top", "x"],
        &["clean"],
        &["gc", "--all"],
        &["dedupe", "-n"],
        &["upgrade"],
        &["prune", "--older-than", "90d"],
        &["prune", "--older-than=90d"],
        &["setup", "--force"],
        &["--store"],
        &["a\n\n  tip: b\n\nUsage: c"],
        &["du", "--by", "x\n\n  tip: b"],
    ];

    #[test]
    fn errors_of_usage_are_a_line_and_a_hint() {
        let mut shown = String::new();
        for line in LINES {
            let arguments = ["pycstore"].iter().chain(line).map(OsString::from);
            let error = Arguments::try_parse_from(arguments.clone()).unwrap_err();
            let complaint = complaint(&error, arguments);
            shown += &format!("{line:?}: {complaint}\n  hint: {}\n", complaint.hint());
        }
        insta::assert_snapshot!(shown, @r#"
        ["inspect", "-x"]: unexpected argument '-x' found
          hint: pycstore inspect [OPTIONS] <ENTRY>...; more: pycstore help inspect
        ["verify", "--fix", "-n"]: unexpected argument '-n' found
          hint: without --fix, verify changes nothing; more: pycstore help verify
        ["verify", "--dry-run"]: unexpected argument '--dry-run' found
          hint: without --fix, verify changes nothing; more: pycstore help verify
        ["pruen"]: unrecognized subcommand 'pruen'
          hint: a similar subcommand exists: 'prune'
        ["du", "--jsn"]: unexpected argument '--jsn' found
          hint: a similar argument exists: '--json'
        ["report"]: the following required arguments were not provided: --html <FILE>
          hint: pycstore report --html <FILE>; more: pycstore help report
        ["du", "--by", "x"]: invalid value 'x' for '--by <WHAT>' [possible values: owner, package, tag, status, kind, directory]
          hint: pycstore help du
        ["du", "--sort", "nam"]: invalid value 'nam' for '--sort <WHAT>' [possible values: size, files, reclaimable, last-used, name]
          hint: a similar value exists: 'name'
        ["setup", "--print", "--undo", "--yes"]: the argument '--print' cannot be used with '--undo', '--yes'
          hint: pycstore setup --print [TARGET]...; more: pycstore help setup
        ["du", "--json", "--json"]: the argument '--json' cannot be used multiple times
          hint: pycstore du [OPTIONS] [PATH]...; more: pycstore help du
        ["ls", "--rows=3"]: unexpected argument '--rows' found
          hint: pycstore ls [OPTIONS] [PATH]...; more: pycstore help ls
        ["history", "--top", "x"]: invalid value 'x' for '--top <N>': it is not a whole number, such as 10
          hint: pycstore help history
        ["clean"]: unrecognized subcommand 'clean'
          hint: to remove what Python cannot use any more: pycstore prune; more: pycstore --help
        ["gc", "--all"]: unrecognized subcommand 'gc'
          hint: to remove what Python cannot use any more: pycstore prune; more: pycstore --help
        ["dedupe", "-n"]: unrecognized subcommand 'dedupe'
          hint: to make equal entries hard links of one file: pycstore share; more: pycstore --help
        ["upgrade"]: unrecognized subcommand 'upgrade'
          hint: pycstore is upgraded by what installed it, such as: uv tool upgrade pycstore; more: pycstore --help
        ["prune", "--older-than", "90d"]: unexpected argument '--older-than' found
          hint: to select entries by their last use: --unused-for AGE, such as 90d; more: pycstore help prune
        ["prune", "--older-than=90d"]: unexpected argument '--older-than' found
          hint: to select entries by their last use: --unused-for AGE, such as 90d; more: pycstore help prune
        ["setup", "--force"]: unexpected argument '--force' found
          hint: to run without a question: --yes; more: pycstore help setup
        ["--store"]: a value is required for '--store <DIR>' but none was supplied
          hint: pycstore --help
        ["a\n\n  tip: b\n\nUsage: c"]: unrecognized subcommand 'a\n\n  tip: b\n\nUsage: c'
          hint: pycstore [OPTIONS] [COMMAND]; more: pycstore --help
        ["du", "--by", "x\n\n  tip: b"]: invalid value 'x\n\n  tip: b' for '--by <WHAT>' [possible values: owner, package, tag, status, kind, directory]
          hint: pycstore help du
        "#);
    }
}
