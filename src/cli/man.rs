//! The manual pages in `man/`: a test writes them from the definition of the command line. Not part of the program.
//!
//! One page for each command, arranged as in man-pages(7). The text `Exit status: …` after the options becomes a section.
//! After a change of the help, `UPDATE_MAN=1 cargo test man_pages` rewrites them.

use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// The variables that the program reads, in `env.rs` and `output/style.rs`. Those that only name places of Pythons are
/// on the page of `interpreters`.
const ENVIRONMENT: [(&str, &str); 9] = [
    ("PYTHONPYCACHEPREFIX", "The store, unless --store is given. An empty value counts as unset."),
    (
        "PYCSTORE_CONFIG",
        "The configuration file, unless --config is given. If it is set but empty, no file is read.",
    ),
    (
        "XDG_CONFIG_HOME",
        "The directory of pycstore/config.toml and of the files that setup and schedule edit, instead of ~/.config.",
    ),
    ("XDG_STATE_HOME", "The directory of pycstore's history of past runs, instead of ~/.local/state."),
    (
        "HOME",
        "The default store is $HOME/.cache/cpython; on macOS, if that does not exist, \
         $HOME/Library/Caches/com.apple.python, where Apple's Python writes. The home itself is never used as a store.",
    ),
    ("SHELL", "The login shell, for setup without a target."),
    ("ZDOTDIR", "The directory of zsh's files, for setup."),
    (
        "LC_ALL, LC_CTYPE, LANG",
        "If the first of these that is set names another encoding than UTF-8, as C does, terminals and standard error get \
         ASCII: other characters of file names are escaped.",
    ),
    ("NO_COLOR", "No colours, unless --color asks for them."),
];

/// Reasons, each with its meaning.
type Reasons = &'static [(&'static str, &'static str)];

/// The statuses, and the reasons that `ls` and JSON give for them.
const STATUSES: [(&str, &str, Reasons); 7] = [
    ("fresh", "Its interpreter would load it.", &[]),
    (
        "stale",
        "The source exists, but Python would recompile it.",
        &[
            ("magic", "The magic number is not that of its interpreter."),
            ("flags", "The header has a flag that CPython does not know."),
            ("mtime", "The source has another modification time."),
            ("size", "The source has another size."),
            ("hash", "The source has another hash."),
        ],
    ),
    (
        "orphan",
        "The source was deleted.",
        &[
            ("source", "Its project or environment still exists."),
            ("root", "The whole project or environment was deleted."),
        ],
    ),
    (
        "corrupt",
        "Python cannot load it.",
        &[
            ("truncated", "The header has fewer than 16 bytes."),
            ("not-bytecode", "The first bytes are not those of bytecode."),
            ("body", "The body cannot be loaded. Only verify and prune --corrupt --deep read bodies."),
        ],
    ),
    (
        "unknown",
        "Whether Python still uses it cannot be decided here. Only age limits, budgets, --dead-interpreters and forget remove it.",
        &[
            (
                "no-trace",
                "The source is missing, but nothing on its path changed since the entry was written.",
            ),
            ("unmounted", "The source may be on a volume that is not mounted, or in a locked directory."),
            ("other-host", "The source may be on another host or in a container."),
            ("archive", "The source may be in an archive."),
            ("permission", "The source or the entry cannot be read by this user."),
            ("loop", "The path of the source has too many symbolic links."),
            ("stale-handle", "The server no longer knows the file."),
            ("too-large", "The source is too large to be read."),
            ("ambiguous", "Several files could be the source."),
            (
                "magic",
                "The magic number is of a newer Python or of another implementation, which pycstore does not know.",
            ),
            ("io", "The system returned another error."),
        ],
    ),
    (
        "temporary",
        "It was left by an interrupted write, or is a copy of an entry made by a file synchroniser.",
        &[],
    ),
    ("foreign", "Python did not write it.", &[]),
];

/// The pages by the names of their files.
fn pages() -> io::Result<BTreeMap<String, String>> {
    let mut pages = BTreeMap::new();
    let mut waiting = vec![super::definition()];
    while let Some(mut command) = waiting.pop() {
        waiting.extend(command.get_subcommands().filter(|command| !command.is_hide_set()).cloned());
        // The usage of the help: clap_mangen would list every option, in another order.
        let usage = command.render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ").to_string();
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let is_program = command.get_version().is_some();
        let has_commands = command.has_subcommands();
        let has = |name| is_program || command.get_arguments().any(|option| option.get_long() == Some(name));
        let (prints_json, writes_metrics) = (has("json"), has("metrics"));
        let page = Man::new(command.override_usage(usage).subcommand_help_heading("COMMANDS"))
            .date(" ") // an empty one is left out, and what follows takes its place
            .source(concat!("pycstore ", env!("CARGO_PKG_VERSION")))
            .manual("pycstore manual");
        let mut text = Vec::new();
        page.render_title(&mut text)?;
        page.render_name_section(&mut text)?;
        page.render_synopsis_section(&mut text)?;
        page.render_description_section(&mut text)?;
        if has_commands {
            page.render_subcommands_section(&mut text)?;
        }
        page.render_options_section(&mut text)?;
        let mut last = Roff::new();
        let name = page.get_filename();
        let examples = super::help::examples(name.trim_start_matches("pycstore-").trim_end_matches(".1"));
        if !examples.is_empty() {
            last.control("SH", ["EXAMPLES"]);
            for (line, meaning) in examples {
                last.control("TP", []).text([bold(*line)]).text([roman(*meaning)]);
            }
        }
        add_sections(&mut last, &after);
        if is_program {
            last.control("SH", ["STATUS"]);
            for (name, meaning, reasons) in STATUSES {
                last.control("TP", []).text([bold(name)]).text([roman(meaning)]);
                if !reasons.is_empty() {
                    last.control("RS", []);
                    for (reason, meaning) in reasons {
                        last.control("TP", []).text([bold(*reason)]).text([roman(*meaning)]);
                    }
                    last.control("RE", []);
                }
            }
            last.control("SH", ["ENVIRONMENT"]);
            for (name, meaning) in ENVIRONMENT {
                last.control("TP", []).text([bold(name)]).text([roman(meaning)]);
            }
        }
        let others = [
            ("pycstore", "(1)", !is_program),
            ("pycstore-json", "(5)", prints_json),
            ("pycstore-metrics", "(5)", writes_metrics),
        ];
        let others = others.iter().filter(|(_, _, is_other)| *is_other);
        let mut see_also: Vec<_> =
            others.flat_map(|(name, section, _)| [bold(*name), roman(*section), roman(", ")]).collect();
        see_also.pop();
        last.control("SH", ["SEE ALSO"]).text(see_also);
        last.to_writer(&mut text)?;
        pages.insert(page.get_filename(), String::from_utf8(text).map_err(io::Error::other)?);
    }
    Ok(pages)
}

/// Adds a section for each paragraph `Heading: text`. Lines below the heading stay as they are.
fn add_sections(page: &mut Roff, text: &str) {
    for (heading, said) in text.split("\n\n").filter_map(|section| section.split_once(':')) {
        page.control("SH", [heading.to_uppercase().as_str()]);
        match said.strip_prefix('\n') {
            Some(lines) => {
                page.control("nf", []);
                for line in lines.lines() {
                    page.text([roman(line)]);
                }
                page.control("fi", []);
            }
            None => {
                page.text([roman(said.trim_start())]);
            }
        }
    }
}

#[test]
fn man_pages_are_those_of_the_command_line() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("man");
    let expected = pages().unwrap();
    if std::env::var_os("UPDATE_MAN").is_some() {
        for (name, page) in &expected {
            std::fs::write(directory.join(name), page).unwrap();
        }
    }
    let committed = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name());
    let mut committed: Vec<String> = committed.map(|name| name.into_string().unwrap()).collect();
    committed.retain(|name| name.ends_with(".1"));
    committed.sort();
    let names: Vec<&String> = expected.keys().collect();
    assert_eq!(committed.iter().collect::<Vec<_>>(), names, "man/ has other pages than there are commands");
    for (name, page) in &expected {
        let is_same = std::fs::read_to_string(directory.join(name)).unwrap() == *page;
        assert!(is_same, "man/{name} is out of date: UPDATE_MAN=1 cargo test man_pages");
    }
}

#[test]
fn every_status_and_reason_is_explained() {
    use pycstore::source::Why;
    use pycstore::verdict::status::{Corrupt, NAMES, Orphan, Stale, Status};
    let stale = [Stale::Magic, Stale::Flags, Stale::Mtime, Stale::Size, Stale::Hash].map(Status::Stale);
    let orphan = [Orphan::Source, Orphan::Root].map(Status::Orphan);
    let corrupt = [Corrupt::Truncated, Corrupt::NotBytecode, Corrupt::Body].map(Status::Corrupt);
    let unknown = [
        Why::NoTrace,
        Why::Unmounted,
        Why::OtherHost,
        Why::Archive,
        Why::Permission,
        Why::Loop,
        Why::StaleHandle,
        Why::TooLarge,
        Why::Ambiguous,
        Why::Magic,
        Why::Io,
    ];
    let statuses = [&stale[..], &orphan, &corrupt, &unknown.map(Status::Unknown)].concat();
    let expected: Vec<_> = statuses.iter().map(|status| (status.name(), status.reason().unwrap())).collect();
    let explained = STATUSES.iter().flat_map(|(name, _, reasons)| reasons.iter().map(|it| (*name, it.0)));
    assert_eq!(explained.collect::<Vec<_>>(), expected);
    assert_eq!(STATUSES.map(|(name, ..)| name), NAMES);
}
