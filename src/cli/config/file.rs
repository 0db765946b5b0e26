//! What the configuration file says, checked as it is read. Home of toml.
//!
//! An unknown key or a wrong type is an error with its place: a policy that was spelled wrong must not silently
//! become another policy.

use super::home;
use super::location::Location;
use super::origin::{Origin, Sourced};
use pycstore::environment::Environment;
use pycstore::host::input;
use pycstore::units::{Age, Size};
use pycstore::verdict::scope::Keep;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use toml::Spanned;

/// What the file says; empty without one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configuration {
    /// The file that was read.
    pub path: Option<PathBuf>,
    /// `store`: an absolute path.
    pub store: Option<Sourced<PathBuf>>,
    /// `threads`
    pub threads: Option<Sourced<u16>>,
    /// `keep`: globs of sources whose entries are kept; a home at their start is written out.
    pub keep: Vec<Sourced<String>>,
    /// `assume-gone`: absolute paths.
    pub assume_gone: Vec<Sourced<PathBuf>>,
    /// `[prune]`
    pub prune: PruneTable,
}

/// The table `[prune]`: what `pycstore prune` does without a selector.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PruneTable {
    /// `orphans`
    pub orphans: Option<Sourced<bool>>,
    /// `stale`
    pub stale: Option<Sourced<bool>>,
    /// `corrupt`
    pub corrupt: Option<Sourced<bool>>,
    /// `temporary`
    pub temporary: Option<Sourced<bool>>,
    /// `dead-interpreters`
    pub dead_interpreters: Option<Sourced<bool>>,
    /// `unused-for`
    pub unused_for: Option<Sourced<Age>>,
    /// `max-size`
    pub max_size: Option<Sourced<Size>>,
    /// `max-files`
    pub max_files: Option<Sourced<u64>>,
    /// `min-interval`
    pub min_interval: Option<Sourced<Age>>,
    /// `max-runtime`
    pub max_runtime: Option<Sourced<Age>>,
}

/// Why there is no configuration although there is a file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// It cannot be read.
    #[error("cannot read the configuration {}", .path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// Who named it.
        origin: Origin,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be understood.
    #[error("{}:{line}:{column}: {message}", .path.display())]
    Invalid {
        /// Its path.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
}

impl ConfigurationError {
    /// What the user can do about it.
    pub fn hint(&self) -> String {
        match self {
            ConfigurationError::Invalid { message, .. } if !message.contains("unknown") => {
                "`pycstore help config` has an example of each key".into()
            }
            ConfigurationError::Invalid { .. } => {
                format!("known keys: {}; in the table [prune]: {}", KEYS.join(", "), PRUNE_KEYS.join(", "))
            }
            ConfigurationError::Read { origin: Origin::Variable(name), .. } => {
                format!("{name} names it; set it empty to use no configuration")
            }
            ConfigurationError::Read { origin: Origin::Flag(name), .. } => format!("{name} names it"),
            ConfigurationError::Read { .. } => {
                "set PYCSTORE_CONFIG empty to use no configuration, or to the path of another".into()
            }
        }
    }
}

/// The keys before the first table.
pub const KEYS: [&str; 4] = ["store", "threads", "keep", "assume-gone"];

/// The keys of the table `[prune]`.
pub const PRUNE_KEYS: [&str; 10] = [
    "orphans",
    "stale",
    "corrupt",
    "temporary",
    "dead-interpreters",
    "unused-for",
    "max-size",
    "max-files",
    "min-interval",
    "max-runtime",
];

impl Configuration {
    /// Reads the file at `location`. Where nobody named one, none need be there.
    ///
    /// # Errors
    /// When it cannot be read or understood.
    pub fn load(location: &Location, environment: &Environment) -> Result<Configuration, ConfigurationError> {
        let Some(path) = &location.path else { return Ok(Configuration::default()) };
        let origin = location.origin;
        let failed = |source| ConfigurationError::Read { path: path.clone(), origin, source };
        let bytes = match input::read(path, input::MOST_BYTES) {
            Err(error)
                if origin == Origin::Default
                    && matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
            {
                return Ok(Configuration::default());
            }
            answer => answer.map_err(failed)?,
        };
        // Who names a file answers for it.
        if origin == Origin::Default {
            input::refuse_strangers(path).map_err(failed)?;
        }
        Configuration::parse(path, &bytes, environment)
    }

    /// Understands the contents of the file at `path`.
    pub fn parse(
        path: &Path,
        bytes: &[u8],
        environment: &Environment,
    ) -> Result<Configuration, ConfigurationError> {
        let invalid = |offset: usize, message: &str| {
            let before = String::from_utf8_lossy(&bytes[..offset.min(bytes.len())]);
            let start_of_line = before.rfind('\n').map_or(0, |newline| newline + 1);
            ConfigurationError::Invalid {
                path: path.to_path_buf(),
                line: line_at(&newlines(&bytes[..offset.min(bytes.len())]), offset),
                column: before[start_of_line..].chars().count() + 1,
                message: message.replace(['\n', '\r'], " "),
            }
        };
        let text =
            str::from_utf8(bytes).map_err(|error| invalid(error.valid_up_to(), "this is not UTF-8"))?;
        let document: Document = toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            invalid(offset, &in_our_words(error.message()))
        })?;
        let in_file = InFile { newlines: newlines(bytes), environment };
        let path_at = |spanned: Spanned<String>| {
            let span = spanned.span();
            in_file.path(spanned).map_err(|message| invalid(span.start, &message))
        };
        let glob_at = |spanned: Spanned<String>| {
            let span = spanned.span();
            in_file.glob(spanned).map_err(|message| invalid(span.start, &message))
        };
        let PruneDocument {
            orphans,
            stale,
            corrupt,
            temporary,
            dead_interpreters,
            unused_for,
            max_size,
            max_files,
            min_interval,
            max_runtime,
        } = document.prune;
        Ok(Configuration {
            path: Some(path.to_path_buf()),
            store: document.store.map(path_at).transpose()?,
            threads: document
                .threads
                .map(|threads| in_file.sourced(threads).map(|Whole(count)| count as u16)),
            keep: document.keep.into_iter().map(glob_at).collect::<Result<_, _>>()?,
            assume_gone: document.assume_gone.into_iter().map(path_at).collect::<Result<_, _>>()?,
            prune: PruneTable {
                orphans: orphans.map(|value| in_file.sourced(value)),
                stale: stale.map(|value| in_file.sourced(value)),
                corrupt: corrupt.map(|value| in_file.sourced(value)),
                temporary: temporary.map(|value| in_file.sourced(value)),
                dead_interpreters: dead_interpreters.map(|value| in_file.sourced(value)),
                unused_for: unused_for.map(|value| in_file.sourced(value).map(|Spelled(age)| age)),
                max_size: max_size.map(|value| in_file.sourced(value).map(|Spelled(size)| size)),
                max_files: max_files.map(|value| in_file.sourced(value).map(|Whole(count)| count)),
                min_interval: min_interval.map(|value| in_file.sourced(value).map(|Spelled(age)| age)),
                max_runtime: max_runtime.map(|value| in_file.sourced(value).map(|Spelled(age)| age)),
            },
        })
    }
}

/// Where each line ends.
fn newlines(bytes: &[u8]) -> Vec<usize> {
    bytes.iter().enumerate().filter(|&(_, &byte)| byte == b'\n').map(|(at, _)| at).collect()
}

/// The number of the line, from 1, of a place in the text that has these ends of lines.
fn line_at(newlines: &[usize], offset: usize) -> usize {
    newlines.partition_point(|&newline| newline < offset) + 1
}

/// serde speaks of fields and sequences, the file has keys and lists; the keys stand in the hint.
fn in_our_words(message: &str) -> String {
    match message.strip_prefix("unknown field ") {
        Some(rest) => {
            let key = rest.split(", expected ").next().unwrap_or(rest);
            format!("unknown key {key}")
        }
        None => message.replace("expected a sequence", "expected a list"),
    }
}

/// The file's contents and what they are understood with.
struct InFile<'a> {
    newlines: Vec<usize>,
    environment: &'a Environment,
}

impl InFile<'_> {
    fn at(&self, span: Range<usize>) -> Origin {
        Origin::File { line: line_at(&self.newlines, span.start) }
    }

    fn sourced<T>(&self, spanned: Spanned<T>) -> Sourced<T> {
        let origin = self.at(spanned.span());
        Sourced { value: spanned.into_inner(), origin }
    }

    /// An absolute path, dots resolved as on the command line.
    fn path(&self, spanned: Spanned<String>) -> Result<Sourced<PathBuf>, String> {
        let sourced = self.sourced(spanned);
        let path = match home::at_start(&sourced.value, self.environment)? {
            Some((home, rest)) => home.join(rest.trim_start_matches('/')),
            None => PathBuf::from(&sourced.value),
        };
        if !path.is_absolute() {
            return Err(format!(
                "the path {:?} is relative: begin it with /, ~ or $HOME (nothing else is expanded)",
                sourced.value
            ));
        }
        Ok(sourced.map(|_| self.environment.absolute(&path)))
    }

    /// A glob with the home written out.
    fn glob(&self, spanned: Spanned<String>) -> Result<Sourced<String>, String> {
        let sourced = self.sourced(spanned);
        let glob = home::in_glob(&sourced.value, self.environment)?;
        // What the command line refuses the file must not pass over.
        Keep::check(&glob).map_err(|error| error.to_string())?;
        Ok(sourced.map(|_| glob))
    }
}

/// The file as serde sees it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Document {
    store: Option<Spanned<String>>,
    threads: Option<Spanned<Whole<1, 512>>>,
    keep: Vec<Spanned<String>>,
    assume_gone: Vec<Spanned<String>>,
    prune: PruneDocument,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "the table [prune]")]
struct PruneDocument {
    orphans: Option<Spanned<bool>>,
    stale: Option<Spanned<bool>>,
    corrupt: Option<Spanned<bool>>,
    temporary: Option<Spanned<bool>>,
    dead_interpreters: Option<Spanned<bool>>,
    unused_for: Option<Spanned<Spelled<Age>>>,
    max_size: Option<Spanned<Spelled<Size>>>,
    max_files: Option<Spanned<Whole<0, { u64::MAX }>>>,
    min_interval: Option<Spanned<Spelled<Age>>>,
    max_runtime: Option<Spanned<Spelled<Age>>>,
}

/// A whole number within limits.
#[derive(Debug)]
struct Whole<const LEAST: u64, const MOST: u64>(u64);

/// A value that is spelled in a string.
#[derive(Debug)]
struct Spelled<T>(T);

/// How such a value is asked for.
trait Spelling: FromStr<Err: fmt::Display> {
    const EXPECTED: &'static str;
}

impl Spelling for Age {
    const EXPECTED: &'static str = "an age such as \"90d\"";
}

impl Spelling for Size {
    const EXPECTED: &'static str = "a size such as \"5GiB\"";
}

impl<'de, const LEAST: u64, const MOST: u64> Deserialize<'de> for Whole<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WholeVisitor<const LEAST: u64, const MOST: u64>;
        impl<const LEAST: u64, const MOST: u64> Visitor<'_> for WholeVisitor<LEAST, MOST> {
            type Value = Whole<LEAST, MOST>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                match MOST {
                    u64::MAX => write!(formatter, "a whole number"),
                    _ => write!(formatter, "a whole number from {LEAST} to {MOST}"),
                }
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                if (LEAST..=MOST).contains(&number) {
                    return Ok(Whole(number));
                }
                Err(E::invalid_value(serde::de::Unexpected::Unsigned(number), &self))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                match u64::try_from(number) {
                    Ok(number) => self.visit_u64(number),
                    Err(_) => Err(E::invalid_value(serde::de::Unexpected::Signed(number), &self)),
                }
            }
        }
        deserializer.deserialize_u64(WholeVisitor)
    }
}

impl<'de, T: Spelling> Deserialize<'de> for Spelled<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SpelledVisitor<T>(PhantomData<T>);
        impl<T: Spelling> Visitor<'_> for SpelledVisitor<T> {
            type Value = Spelled<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(T::EXPECTED)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                text.parse().map(Spelled).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(SpelledVisitor(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: impl AsRef<[u8]>) -> Result<Configuration, ConfigurationError> {
        Configuration::parse(Path::new("/c.toml"), text.as_ref(), &Environment::of_test("/home/me"))
    }

    fn error(text: impl AsRef<[u8]>) -> String {
        parse(text).unwrap_err().to_string()
    }

    fn at<T>(line: usize, value: T) -> Sourced<T> {
        Sourced { value, origin: Origin::File { line } }
    }

    #[test]
    fn a_value_on_a_late_line_has_its_number() {
        let text = format!("\n\nkeep = [\n{}]\nassume-gone = [\"/a\",\n\"/b\"]\n", "\"/x\",\n".repeat(1000));
        let configuration = parse(&text).unwrap();
        assert!(configuration.keep.iter().zip(4..).all(|(glob, line)| *glob == at(line, "/x".into())));
        assert_eq!(configuration.assume_gone, [at(1005, "/a".into()), at(1006, "/b".into())]);
        assert_eq!(error("keep = [\n\"/a\",\n  1]"), error("keep = [\n\"/b\",\n  1]"));
        assert!(error("keep = [\n\"/a\",\n  1]").starts_with("/c.toml:3:3: "));
    }

    #[test]
    fn a_glob_that_could_take_any_amount_of_memory_is_an_error() {
        for glob in [
            format!("/{}b{}", "{a,".repeat(100_000), "}".repeat(100_000)),
            format!("/{}", "?".repeat(10_000)),
        ] {
            let error = error(format!("\nkeep = [\"{glob}\"]\n"));
            assert!(error.starts_with("/c.toml:2:9: the glob `/") && error.len() < 250, "{error}");
        }
    }

    #[test]
    fn every_key_is_read_with_its_line() {
        let text = r#"store = "~/.cache/cpython"
threads = 8
keep = [
    "~/work/**",
    "**/site-packages/numpy/**",
]
assume-gone = ["/mnt/old", "$HOME/../you"]

[prune]
orphans = true
stale = false
corrupt = true
temporary = true
dead-interpreters = false
unused-for = "90d"
max-size = "5GiB"
max-files = 1000000
min-interval = "20h"
max-runtime = "10m"
"#;
        let expected = Configuration {
            path: Some("/c.toml".into()),
            store: Some(at(1, "/home/me/.cache/cpython".into())),
            threads: Some(at(2, 8)),
            keep: vec![at(4, "/home/me/work/**".into()), at(5, "**/site-packages/numpy/**".into())],
            assume_gone: vec![at(7, "/mnt/old".into()), at(7, "/home/you".into())],
            prune: PruneTable {
                orphans: Some(at(10, true)),
                stale: Some(at(11, false)),
                corrupt: Some(at(12, true)),
                temporary: Some(at(13, true)),
                dead_interpreters: Some(at(14, false)),
                unused_for: Some(at(15, Age::of_seconds(90 * 86_400))),
                max_size: Some(at(16, Size(5 << 30))),
                max_files: Some(at(17, 1_000_000)),
                min_interval: Some(at(18, Age::of_seconds(20 * 3600))),
                max_runtime: Some(at(19, Age::of_seconds(600))),
            },
        };
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn an_empty_file_says_nothing() {
        for text in ["", "\n# nothing\n", "[prune]\n", "\u{feff}# marked\n"] {
            let expected = Configuration { path: Some("/c.toml".into()), ..Configuration::default() };
            assert_eq!(parse(text).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, expected) in [
            ("stoer = \"/x\"", "1:1: unknown key `stoer`"),
            ("threads = 4\n\n[prune]\norphans = true\nold = 1", "5:1: unknown key `old`"),
            ("orphans = true", "1:1: unknown key `orphans`"),
            ("[prun]", "1:2: unknown key `prun`"),
            (
                "threads = \"four\"",
                "1:11: invalid type: string \"four\", expected a whole number from 1 to 512",
            ),
            ("threads = 0", "1:11: invalid value: integer `0`, expected a whole number from 1 to 512"),
            ("threads = 513", "1:11: invalid value: integer `513`, expected a whole number from 1 to 512"),
            ("threads = -1", "1:11: invalid value: integer `-1`, expected a whole number from 1 to 512"),
            ("store = 3", "1:9: invalid type: integer `3`, expected a string"),
            ("keep = \"x\"", "1:8: invalid type: string \"x\", expected a list"),
            ("keep = [\"x\", 3]", "1:14: invalid type: integer `3`, expected a string"),
            ("keep = [\"\"]", "1:9: an empty glob matches nothing"),
            ("prune = 3", "1:9: invalid type: integer `3`, expected the table [prune]"),
            ("[prune]\nstale = \"yes\"", "2:9: invalid type: string \"yes\", expected a boolean"),
            ("[prune]\nunused-for = 90", "2:14: invalid type: integer `90`, expected an age such as \"90d\""),
            (
                "[prune]\nunused-for = \"90\"",
                "2:14: 90 has no unit: write for example 90d for days or 90h for hours",
            ),
            (
                "[prune]\nmin-interval = \"3M\"",
                "2:16: the unit M may mean minutes or months: write m or months",
            ),
            (
                "[prune]\nmax-size = \"big\"",
                "2:12: a size is a number and a unit (k, M, G, T; KiB, MiB, GiB, TiB), for example 5GiB",
            ),
            ("[prune]\nmax-files = 1.5", "2:13: invalid type: floating point `1.5`, expected a whole number"),
            (
                "# é\nstore = \"cache\"",
                "2:9: the path \"cache\" is relative: begin it with /, ~ or $HOME (nothing else is expanded)",
            ),
            (
                "assume-gone = [\"~you/x\"]",
                "1:16: the path \"~you/x\" is relative: begin it with /, ~ or $HOME (nothing else is expanded)",
            ),
            (
                "store = \"$HOMES/x\"",
                "1:9: the path \"$HOMES/x\" is relative: begin it with /, ~ or $HOME (nothing else is expanded)",
            ),
            (
                "store = \"\"",
                "1:9: the path \"\" is relative: begin it with /, ~ or $HOME (nothing else is expanded)",
            ),
        ] {
            assert_eq!(error(text), format!("/c.toml:{expected}"), "{text}");
        }
        assert!(error("threads = 1\nthreads = 2").starts_with("/c.toml:2:1: duplicate key"));
        assert!(error("threads =\n").starts_with("/c.toml:1:10: "));
        assert_eq!(error(b"threads = 1\n# \xff"), "/c.toml:2:3: this is not UTF-8");
        assert!(!error("\"a\\nb\" = 1").contains('\n'));
    }

    #[test]
    fn the_hint_names_the_keys_that_serde_knows() {
        let known = |text: &str| {
            let error = toml::from_str::<Document>(text).unwrap_err();
            let (_, keys) = error.message().split_once("expected one of ").unwrap();
            keys.replace('`', "")
        };
        assert_eq!(known("x = 1"), format!("{}, prune", KEYS.join(", ")));
        assert_eq!(known("[prune]\nx = 1"), PRUNE_KEYS.join(", "));
        let hint = parse("x = 1").unwrap_err().hint();
        assert!(hint.contains("assume-gone; in the table [prune]: orphans"), "{hint}");
    }

    #[test]
    fn a_home_in_a_glob_stands_for_itself() {
        let glob = |home: &str, text: &str| {
            let environment = Environment::of_test(home);
            let bytes = format!("keep = [{text:?}]");
            let parsed = Configuration::parse(Path::new("/c.toml"), bytes.as_bytes(), &environment).unwrap();
            parsed.keep[0].value.clone()
        };
        assert_eq!(glob("/home/me", "~/a*/b"), "/home/me/a*/b");
        assert_eq!(glob("/home/me", "${HOME}"), "/home/me");
        assert_eq!(glob("/home/[me]", "$HOME/*"), "/home/[[]me[]]/*");
        assert_eq!(glob("/home/me", "**/~/x"), "**/~/x");
        assert_eq!(glob("/", "~/x"), "/x");
    }

    #[test]
    fn without_a_home_nothing_is_expanded() {
        let environment = Environment { home: None, ..Environment::of_test("/home/me") };
        let error = Configuration::parse(Path::new("/c.toml"), b"store = \"~/x\"", &environment).unwrap_err();
        assert_eq!(error.to_string(), "/c.toml:1:9: \"~/x\" cannot be expanded: HOME is not set");
    }

    #[test]
    fn only_a_file_that_nobody_named_may_be_missing() {
        let temporary = tempfile::tempdir().unwrap();
        let environment = Environment::of_test("/home/me");
        let load =
            |path: PathBuf, origin| Configuration::load(&Location { path: Some(path), origin }, &environment);
        let missing = temporary.path().join("no/config.toml");
        let file = temporary.path().join("file");
        std::fs::write(&file, "threads = 3").unwrap();
        assert_eq!(load(missing.clone(), Origin::Default).unwrap(), Configuration::default());
        assert_eq!(load(file.join("config.toml"), Origin::Default).unwrap(), Configuration::default());
        assert_eq!(load(file, Origin::Default).unwrap().threads, Some(at(1, 3)));
        for origin in [Origin::Flag("--config"), Origin::Variable("PYCSTORE_CONFIG")] {
            let error = load(missing.clone(), origin).unwrap_err();
            assert!(error.to_string().starts_with("cannot read the configuration /"), "{error}");
            assert!(error.hint().contains(&origin.short()), "{}", error.hint());
        }
        assert!(load(temporary.path().to_path_buf(), Origin::Default).is_err(), "a directory is no file");
        let large = temporary.path().join("large");
        std::fs::write(&large, vec![b'#'; (1 << 20) + 1]).unwrap();
        assert!(load(large, Origin::Default).is_err());
    }

    proptest! {
        #[test]
        fn any_contents_are_a_configuration_or_an_error(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            line in "(store|threads|keep|\\[prune\\]|max-size|x)? ?=? ?[\\[\"~$HOME/0-9a-z\\]é\n]*",
        ) {
            let _ = parse(bytes);
            let _ = parse(line);
        }
    }
}
