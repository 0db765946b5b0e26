//! VS Code and editors based on it: `files.exclude` in settings.json, with comments and order kept. Home of jsonc-parser.
//!
//! The entries are inserted as one piece before the other entries of the object, between two comments. Undo removes that piece;
//! no comma of the user's is ever changed.
//!
//! ```jsonc
//! "files.exclude": {
//!     /* >>> pycstore >>> */
//!     "**/__pycache__": true,
//!     "**/*.py[co]": true,
//!     /* <<< pycstore <<< */
//!     "**/.git": true
//! }
//! ```
//!
//! # Invariants
//!
//! * Pure except for [`settings_files`] and the plans. `remove(insert(text)) == text`.
//! * If the user has an entry for a pattern, it stays, whatever its value.
//! * Entries that the editor or the user added within the piece stay: the editor adds new settings after the last one, which may
//!   be ours.

use crate::complaint::Complaint;
use crate::edits::{EditError, EditPlan, TextPlace};
use crate::environment::Environment;
use jsonc_parser::ast::{Object, ObjectProp, Value};
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use std::path::PathBuf;

/// The setting.
const SETTING: &str = "files.exclude";

/// The hidden files.
const PATTERNS: [&str; 2] = ["**/__pycache__", "**/*.py[co]"];

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

const BEGIN: &str = "/* >>> pycstore >>> */";
const END: &str = "/* <<< pycstore <<< */";
const MADE: &str = "/* (this file was made for this block) */";
const FILLED: &str = "/* (this file was empty before this block) */";

/// The directories of these editors below the user's directory for configurations.
const EDITORS: [&str; 5] = ["Code", "Code - Insiders", "Code - OSS", "VSCodium", "VSCodium - Insiders"];

/// Returns the path of the settings.json of every such editor that was ever started by this user.
///
/// # Errors
/// If there is none.
pub fn settings_files(environment: &Environment) -> Result<Vec<PathBuf>, Complaint> {
    let linux = environment.configurations.clone();
    let mac = environment.home.as_ref().map(|home| home.join("Library/Application Support"));
    let users = linux
        .iter()
        .chain(mac.iter())
        .flat_map(|base| EDITORS.map(|editor| base.join(editor).join("User")))
        .filter(|user| user.is_dir());
    let found: Vec<PathBuf> = users.map(|user| user.join("settings.json")).collect();
    if found.is_empty() {
        let base = linux.map(|base| base.display().to_string()).unwrap_or_default();
        return Err(Complaint::new(
            format!("no VS Code found: none of {} with a directory User in {base}", EDITORS.join(", ")),
            "start it once; or see what to add to its settings.json: pycstore setup vscode --print",
        ));
    }
    Ok(found)
}

/// Returns settings for the user to add by hand.
pub fn snippet() -> String {
    format!("{{\n{}\n}}\n", setting("\n", "    ", &PATTERNS))
}

/// Returns the settings with our entries.
///
/// # Errors
/// A reason for people, if the settings cannot be parsed.
pub fn insert(text: Option<&[u8]>) -> Result<Vec<u8>, String> {
    let Some(marked) = text.and_then(|text| text.strip_prefix(BYTE_ORDER_MARK)) else {
        return insert_plain(text);
    };
    Ok([BYTE_ORDER_MARK, &insert_plain(Some(marked))?].concat())
}

fn insert_plain(text: Option<&[u8]>) -> Result<Vec<u8>, String> {
    let old = decoded(text.unwrap_or_default())?;
    let newline = if old.contains("\r\n") { "\r\n" } else { "\n" };
    let Some(root) = parse(old)? else {
        // Nothing but blanks and comments.
        let remark = if text.is_some() { FILLED } else { MADE };
        let block = inserted(newline, "    ", remark, &setting(newline, "    ", &PATTERNS), Behind::Nothing);
        let end = if text.is_some() { "" } else { newline };
        return Ok(format!("{{{block}{newline}}}{end}{old}").into_bytes());
    };
    let indent = indentation(old, &root).unwrap_or("    ");
    let behind = |object: &Object<'_>| {
        if object.properties.is_empty() { Behind::Nothing } else { Behind::Properties }
    };
    let (at, block) = match exclude(&root)? {
        None => {
            let setting = setting(newline, indent, &PATTERNS);
            (beginning(old, &root), inserted(newline, indent, "", &setting, behind(&root)))
        }
        Some(exclude) => {
            let missing: Vec<&str> =
                PATTERNS.into_iter().filter(|pattern| exclude.get(pattern).is_none()).collect();
            if missing.is_empty() || old.contains(BEGIN) {
                return Ok(text.unwrap_or_default().to_vec());
            }
            let twice = indent.repeat(2);
            let indent = indentation(old, exclude).unwrap_or(&twice);
            (
                beginning(old, exclude),
                inserted(newline, indent, "", &entries(newline, indent, &missing), behind(exclude)),
            )
        }
    };
    Ok([&old[..at], &block, &old[at..]].concat().into_bytes())
}

/// Plans to add our entries to a settings.json.
///
/// # Errors
/// Those of the plan; if the settings cannot be parsed.
pub fn plan_entries(plan: &mut EditPlan, place: &TextPlace) -> Result<(), EditError> {
    let wrong = |why| EditError::Contents { place: place.clone(), why };
    plan.change(place, |text| insert(text).map(Some).map_err(wrong))
}

/// Plans to remove our entries from a settings.json.
///
/// # Errors
/// Those of the plan; if our entries were changed.
pub fn plan_removal(plan: &mut EditPlan, place: &TextPlace) -> Result<(), EditError> {
    let wrong = |why| EditError::Contents { place: place.clone(), why };
    plan.change(place, |text| text.map_or(Ok(None), |text| remove(text).map_err(wrong)))
}

/// Returns the settings without our entries; `None` if the file was created for them and holds nothing else.
///
/// # Errors
/// A reason for people, if our entries were changed.
pub fn remove(text: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let Some(marked) = text.strip_prefix(BYTE_ORDER_MARK) else { return remove_plain(text) };
    Ok(remove_plain(marked)?.map(|rest| [BYTE_ORDER_MARK, &rest].concat()))
}

fn remove_plain(text: &[u8]) -> Result<Option<Vec<u8>>, String> {
    // A file without our entries stays unchanged, even if it cannot be parsed.
    let begin = text.windows(BEGIN.len()).position(|part| part == BEGIN.as_bytes());
    let Some(begin) = begin else { return Ok(Some(text.to_vec())) };
    let old = decoded(text)?;
    let inner = &old[begin + BEGIN.len()..];
    let length = inner.find(END).ok_or("the block has no end")?;
    let inner = &inner[..length];
    let end = begin + BEGIN.len() + length + END.len();
    let before = old[..begin].trim_end();
    let after = &old[end..];
    if !is_unchanged(inner) {
        let rest = added_behind(inner).map(|added| [before, added, after].concat());
        return match rest {
            Some(rest) if matches!(parse(&rest), Ok(Some(_))) => Ok(Some(rest.into_bytes())),
            _ => Err(format!("what was put between {BEGIN} and {END} was changed: take it out by hand")),
        };
    }
    if inner.contains(MADE) || inner.contains(FILLED) {
        // Removes the braces too, if nothing was added between them.
        if let Some(rest) = after.trim_start().strip_prefix('}')
            && before == "{"
        {
            let is_made = inner.contains(MADE) && rest.trim().is_empty();
            return Ok((!is_made).then(|| rest.as_bytes().to_vec()));
        }
    }
    Ok(Some([before, after].concat().into_bytes()))
}

/// What follows within the object: other properties need a comma before them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    Nothing,
    Properties,
}

fn inserted(newline: &str, indent: &str, remark: &str, entries: &str, behind: Behind) -> String {
    let remark = if remark.is_empty() { String::new() } else { format!("{newline}{indent}{remark}") };
    let comma = if behind == Behind::Properties { "," } else { "" };
    format!("{newline}{indent}{BEGIN}{remark}{newline}{entries}{comma}{newline}{indent}{END}")
}

fn setting(newline: &str, indent: &str, patterns: &[&str]) -> String {
    let entries = entries(newline, &indent.repeat(2), patterns);
    format!("{indent}\"{SETTING}\": {{{newline}{entries}{newline}{indent}}}")
}

fn entries(newline: &str, indent: &str, patterns: &[&str]) -> String {
    let entry = |pattern: &&str| format!("{indent}\"{pattern}\": true");
    patterns.iter().map(entry).collect::<Vec<_>>().join(&format!(",{newline}"))
}

/// Whether there are only our entries between the markers.
fn is_unchanged(inner: &str) -> bool {
    let text = format!("{{{inner}}}");
    matches!(parse(&text), Ok(Some(object)) if object.properties.iter().all(is_ours))
}

/// Whether a property is one of our entries.
fn is_ours(property: &ObjectProp<'_>) -> bool {
    let is_pattern = |property: &ObjectProp<'_>| {
        PATTERNS.contains(&property.name.as_str())
            && matches!(&property.value, Value::BooleanLit(literal) if literal.value)
    };
    match &property.value {
        Value::Object(object) => {
            property.name.as_str() == SETTING && object.properties.iter().all(is_pattern)
        }
        _ => is_pattern(property),
    }
}

/// Returns the text that was added between the markers after our entries.
fn added_behind(inner: &str) -> Option<&str> {
    let text = format!("{{{inner}}}");
    let object = parse(&text).ok()??;
    let last = object.properties.iter().take_while(|property| is_ours(property)).last()?;
    // The brace in front is not in `inner`.
    let rest = inner.get(last.range.end - 1..)?;
    Some(rest.trim_start().strip_prefix(',')?.trim_end())
}

fn decoded(text: &[u8]) -> Result<&str, String> {
    str::from_utf8(text).map_err(|_| "it is not UTF-8".into())
}

/// Parses the text as an object; `None` if it has only blanks and comments.
fn parse(text: &str) -> Result<Option<Object<'_>>, String> {
    match parse_to_ast(text, &CollectOptions::default(), &ParseOptions::default()) {
        Err(error) => Err(format!("it cannot be understood: {error}")),
        Ok(result) => match result.value {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err("it is no object".into()),
        },
    }
}

/// Returns the object of the setting. If there are several, the last one counts, as in the editor.
fn exclude<'o, 't>(root: &'o Object<'t>) -> Result<Option<&'o Object<'t>>, String> {
    match root.properties.iter().rev().find(|property| property.name.as_str() == SETTING) {
        None => Ok(None),
        Some(property) => match &property.value {
            Value::Object(object) => Ok(Some(object)),
            _ => Err(format!("\"{SETTING}\" is no object")),
        },
    }
}

/// Returns the position where the entries of an object begin: after its brace, and after a comment that ends the line of the
/// brace, because that comment belongs to the brace.
fn beginning(text: &str, object: &Object<'_>) -> usize {
    let brace = object.range.start + 1;
    let line = text[brace..].split('\n').next().unwrap_or_default().trim_end();
    let comment = line.trim_start();
    let within = comment.strip_prefix("/*").and_then(|rest| rest.strip_suffix("*/"));
    let is_comment = comment.starts_with("//") || within.is_some_and(|within| !within.contains("*/"));
    if is_comment && object.range.end > brace + line.len() { brace + line.len() } else { brace }
}

/// Returns the blanks before the first property, if it begins a line.
fn indentation<'t>(text: &'t str, object: &Object<'_>) -> Option<&'t str> {
    let before = &text[..object.properties.first()?.range.start];
    let blanks = &before[before.rfind('\n')? + 1..];
    (!blanks.is_empty() && blanks.chars().all(|it| matches!(it, ' ' | '\t'))).then_some(blanks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(put: Result<Vec<u8>, String>) -> String {
        String::from_utf8(put.unwrap()).unwrap()
    }

    const TEXTS: [&str; 23] = [
        "{ /*/\n*/ \"a\": 1 }",
        "{ // of the brace  \r\n  \"a\": 1\r\n}",
        "{\t/* of the brace */ \n\"a\": 1}",
        "{ /* of the brace */ /* too */\n}",
        "{ /* of a */ \"a\": 1}\n",
        "{ // of the brace\n\"files.exclude\": { // as well\n\"x\": true } }",
        "{ /**/\n}",
        "",
        "\n",
        "// nothing\n",
        "{}",
        "{}\n",
        "{ }",
        "{\n}\n",
        "{\"a\":1}",
        "{ // first\n\t\"a\": 1, // one\n\n\t/* two */ \"b\": [1, 2,],\n}",
        "{\r\n  \"a\": 1\r\n}\r\n",
        "{\"files.exclude\":{}}",
        "{\n  \"files.exclude\": {\n    \"**/.git\": true, // theirs\n  },\n  \"z\": 1,\n}\n",
        "{\"files.exclude\":{\"**/__pycache__\": false}, \"a\": \"b\"}",
        "{\"files.exclude\":{\"**/__pycache__\": true, \"**/*.py[co]\": {\"when\": \"$(basename).py\"}}}",
        "{\"files.exclude\": {}, \"files.exclude\": {\"x\": true}}",
        "\u{feff}{\n\t\"a\": 1\n}",
    ];

    #[test]
    fn undo_restores_the_text() {
        for old in TEXTS {
            let with = text(insert(Some(old.as_bytes())));
            let root = parse(with.trim_start_matches('\u{feff}')).unwrap().unwrap();
            let exclude = exclude(&root).unwrap().unwrap();
            assert!(PATTERNS.iter().all(|pattern| exclude.get(pattern).is_some()), "{with}");
            assert_eq!(text(insert(Some(with.as_bytes()))), with, "the second time there is nothing to do");
            assert_eq!(text(remove(with.as_bytes()).map(Option::unwrap)), old, "{with}");
        }
        let made = insert(None).unwrap();
        assert_eq!(remove(&made).unwrap(), None);
    }

    #[test]
    fn comments_and_order_are_kept() {
        let old =
            "{\n  // theirs\n  \"a\": 1,\n  \"files.exclude\": {\n    \"**/.git\": true // git\n  }\n}\n";
        let expected = "{\n  // theirs\n  \"a\": 1,\n  \"files.exclude\": {\n    /* >>> pycstore >>> */\n    \
                        \"**/__pycache__\": true,\n    \"**/*.py[co]\": true,\n    /* <<< pycstore <<< */\n    \
                        \"**/.git\": true // git\n  }\n}\n";
        assert_eq!(text(insert(Some(old.as_bytes()))), expected);
        assert_eq!(
            text(insert(Some(b"{\n\t\"a\": 1\n}\n"))),
            "{\n\t/* >>> pycstore >>> */\n\t\"files.exclude\": {\n\t\t\"**/__pycache__\": true,\n\t\t\
             \"**/*.py[co]\": true\n\t},\n\t/* <<< pycstore <<< */\n\t\"a\": 1\n}\n"
        );
    }

    #[test]
    fn a_comment_stays_where_it_belongs() {
        let first = |old: &str| {
            let with = text(insert(Some(old.as_bytes())));
            with.split("/* >>> ").next().unwrap().trim_end().to_string()
        };
        assert_eq!(first("{ // of the brace\n  // of a\n  \"a\": 1\n}"), "{ // of the brace");
        assert_eq!(first("{ /* of the brace */\n  \"a\": 1\n}"), "{ /* of the brace */");
        assert_eq!(first("{\n  // of a\n  \"a\": 1\n}"), "{");
        assert_eq!(first("{ /* of a */ \"a\": 1\n}"), "{");
        assert_eq!(first("{ /* of a \n */ \"a\": 1\n}"), "{");
        assert_eq!(
            first("{\"files.exclude\": { // of the brace\n\"x\": true\n}}"),
            "{\"files.exclude\": { // of the brace"
        );
    }

    #[test]
    fn entries_added_later_stay() {
        let made = text(insert(None));
        // As the editor adds a setting: behind the last property, which is ours.
        let used = made.replace("\n    }\n    /*", "\n    },\n    \"b\": 2 // two\n    /*");
        assert_ne!(used, made);
        assert_eq!(text(remove(used.as_bytes()).map(Option::unwrap)), "{\n    \"b\": 2 // two\n}\n");
        let filled = text(insert(Some(b"{\"files.exclude\": {}, \"a\": 1}")));
        let used = filled.replace("*.py[co]\": true", "*.py[co]\": true,\n        \"**/x\": true");
        assert_ne!(used, filled);
        let rest = text(remove(used.as_bytes()).map(Option::unwrap));
        assert_eq!(rest, "{\"files.exclude\": {\n        \"**/x\": true}, \"a\": 1}");
        // Outside of the block it stays anyway.
        let used = made.replace("*/\n}\n", "*/\n    , \"b\": 2\n}\n");
        assert!(remove(used.as_bytes()).is_ok());
        for torn in [
            made.replace(END, ""),
            made.replace("true,", "false,"),
            made.replace("true,", "true, \"x\": true,"),
        ] {
            assert_ne!(torn, made);
            assert!(remove(torn.as_bytes()).is_err(), "{torn}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_parsed_and_has_nothing_of_ours_stays() {
        for old in [&b"{\"a\": \"\xff\"}"[..], b"\xff", b"[", b"{\"a\": }", b"\xef\xbb\xbf\xff"] {
            assert_eq!(remove(old), Ok(Some(old.to_vec())), "{}", old.escape_ascii());
        }
        assert!(remove(&[BEGIN.as_bytes(), b"\xff"].concat()).is_err());
    }

    #[test]
    fn a_file_that_cannot_be_parsed_is_refused() {
        for old in ["[]", "{", "{\"files.exclude\": true}", "{\"a\": }"] {
            assert!(insert(Some(old.as_bytes())).is_err(), "{old}");
        }
        assert!(insert(Some(b"{\"a\": \"\xff\"}")).is_err());
    }
}
