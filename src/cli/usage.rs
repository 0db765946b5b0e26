//! Errors of usage, in the form of all others: `pycstore: …` in one line, then `hint: …`.
//!
//! clap has no form of its own to choose: what it would print is taken apart again. Where it has a tip ("a similar
//! argument exists") the tip is the hint, else the usage, else the help.

use super::visible;
use crate::cli::output::complain::Complaint;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::OsString;

/// Whether it is no error but help or the version, or the help in place of a command.
pub fn is_help(error: &clap::Error) -> bool {
    !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
}

/// What clap says is wrong with a command line.
pub fn complaint(mut error: clap::Error, arguments: impl Iterator<Item = OsString>) -> Complaint {
    escape_arguments(&mut error);
    let text = error.render().to_string();
    let (message, tips) = taken_apart(&text);
    let usage = match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => usage.to_string(),
        _ => String::new(),
    };
    let usage = usage.trim().trim_start_matches("Usage:").trim();
    let help = match command(arguments) {
        Some(command) => format!("pycstore help {command}"),
        None => "pycstore --help".into(),
    };
    let hint = match (tips.is_empty(), usage.is_empty()) {
        (false, _) => tips,
        (true, false) => format!("{}; more: {help}", in_one_line(usage)),
        (true, true) => help,
    };
    Complaint::new(message, hint)
}

/// Escapes what somebody typed: with line feeds in it, it could look like a tip of clap's.
fn escape_arguments(error: &mut clap::Error) {
    let typed = [ContextKind::InvalidArg, ContextKind::InvalidSubcommand, ContextKind::InvalidValue];
    for kind in typed {
        let escaped = match error.get(kind) {
            Some(ContextValue::String(text)) => ContextValue::String(pycstore::quoting::escaped(text)),
            Some(ContextValue::Strings(texts)) => {
                ContextValue::Strings(texts.iter().map(|text| pycstore::quoting::escaped(text)).collect())
            }
            _ => continue,
        };
        error.insert(kind, escaped);
    }
}

/// The message and the tips in what clap prints.
fn taken_apart(text: &str) -> (String, String) {
    const TIP: &str = "\n\n  tip: ";
    let text = text.strip_prefix("error: ").unwrap_or(text);
    // What somebody typed stands before them all, and may look like one.
    let end = |text: &str, mark: &str| text.rfind(mark).unwrap_or(text.len());
    let text = &text[..end(text, "\n\nFor more information")];
    let text = &text[..end(text, "\n\nUsage: ")];
    let (message, tips) = text.split_once(TIP).unwrap_or((text, ""));
    (in_one_line(message), in_one_line(&tips.replace("\n  tip: ", "; ")))
}

fn in_one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
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

    fn said(line: &[&str]) -> (String, String) {
        let line: Vec<OsString> =
            std::iter::once("pycstore").chain(line.iter().copied()).map(OsString::from).collect();
        let error = Arguments::try_parse_from(&line).unwrap_err();
        let complaint = anyhow::Error::from(complaint(error, line.into_iter()));
        let (message, hint) = crate::cli::output::complain::told(&complaint);
        (message, hint.unwrap())
    }

    #[test]
    fn errors_of_usage_are_a_line_and_a_hint() {
        let cases: [(&[&str], &str, &str); 10] = [
            (&["pruen"], "unrecognized subcommand 'pruen'", "a similar subcommand exists: 'prune'"),
            (&["du", "--jsn"], "unexpected argument '--jsn' found", "a similar argument exists: '--json'"),
            (
                &["report"],
                "the following required arguments were not provided: --html <FILE>",
                "pycstore report --html <FILE>; more: pycstore help report",
            ),
            (
                &["du", "--by", "x"],
                "invalid value 'x' for '--by <WHAT>' [possible values: owner, package, tag, status, kind, directory]",
                "pycstore help du",
            ),
            (
                &["du", "--sort", "nam"],
                "invalid value 'nam' for '--sort <WHAT>' [possible values: size, files, reclaimable, last-used, name]",
                "a similar value exists: 'name'",
            ),
            (
                &["ls", "--top=3"],
                "unexpected argument '--top' found",
                "pycstore ls [OPTIONS]; more: pycstore help ls",
            ),
            (
                &["history", "-n", "x"],
                "invalid value 'x' for '--top <N>': it is not a whole number, such as 10",
                "pycstore help history",
            ),
            (
                &["--store"],
                "a value is required for '--store <DIR>' but none was supplied",
                "pycstore --help",
            ),
            (
                &["a\n\n  tip: b\n\nUsage: c"],
                "unrecognized subcommand 'a\\n\\n  tip: b\\n\\nUsage: c'",
                "pycstore [OPTIONS] <COMMAND>; more: pycstore --help",
            ),
            (
                &["du", "--by", "x\n\n  tip: b"],
                "invalid value 'x\\n\\n  tip: b' for '--by <WHAT>' [possible values: owner, package, tag, status, kind, directory]",
                "pycstore help du",
            ),
        ];
        for (line, message, hint) in cases {
            assert_eq!(said(line), (message.into(), hint.into()), "{line:?}");
        }
    }
}
