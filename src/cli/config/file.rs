//! The contents of the configuration file, checked while it is read. Home of toml.
//!
//! An unknown key or a wrong type is an error with line and column: a misspelled policy must not silently become
//! another policy.

use super::home;
use super::location::Location;
use super::origin::{Origin, Sourced};
use pycstore::environment::Environment;
use pycstore::host::input;
use pycstore::units::{Age, Size};
use pycstore::verdict::scope::Keep;
use serde::{Deserialize, Deserializer};
use std::io;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// The contents of the file; empty without one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Configuration {
    /// The file that was read.
    #[serde(skip)]
    pub path: Option<PathBuf>,
    /// `store`: an absolute path.
    pub store: Option<Sourced<PathBuf>>,
    /// `threads`
    pub threads: Option<Sourced<u16>>,
    /// `keep`: globs of sources whose entries are kept; a home at the start is expanded.
    pub keep: Vec<Sourced<String>>,
    /// `assume-gone`: absolute paths.
    pub assume_gone: Vec<Sourced<PathBuf>>,
    /// `metrics`: the absolute path of the file that `pycstore schedule run` writes.
    pub metrics: Option<Sourced<PathBuf>>,
    /// `[prune]`
    pub prune: PruneTable,
    /// `[share]`
    pub share: ShareTable,
}

/// The table `[share]`: when `pycstore share` runs by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "the table [share]")]
pub struct ShareTable {
    /// `nightly`: after the prune of `pycstore schedule run`.
    pub nightly: Option<Sourced<bool>>,
}

impl ShareTable {
    pub const KEYS: [&str; 1] = ["nightly"];

    /// The value of each key, to be shown.
    pub fn values(&self) -> [Sourced<ShownValue>; 1] {
        [self.nightly.map_or(Sourced::default(ShownValue::Switch(false)), |it| it.map(ShownValue::Switch))]
    }

    /// Whether `pycstore schedule run` shares equal entries.
    pub fn is_nightly(&self) -> bool {
        self.nightly.is_some_and(|nightly| nightly.value)
    }
}

/// The keys before the first table.
pub const KEYS: [&str; 5] = ["store", "threads", "keep", "assume-gone", "metrics"];

/// Declares the table once, so that its fields, keys and rows agree.
macro_rules! prune_table {
    ($($key:ident: $value:ty,)*) => {
        /// The table `[prune]`: what `pycstore prune` does without a selector.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
        #[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "the table [prune]")]
        pub struct PruneTable {
            $(
                #[doc = concat!("`", stringify!($key), "`, with hyphens")]
                pub $key: Option<Sourced<$value>>,
            )*
        }

        impl PruneTable {
            pub fn keys() -> Vec<String> {
                [$(stringify!($key)),*].map(|key| key.replace('_', "-")).to_vec()
            }

            /// The value of each key, to be shown.
            pub fn values(&self) -> Vec<Sourced<ShownValue>> {
                vec![$(self.$key.map_or(Sourced::default(<$value>::UNSET), |it| it.map(PruneSetting::shown))),*]
            }

            fn origins(&mut self) -> impl Iterator<Item = &mut Origin> {
                [$(self.$key.as_mut().map(|it| &mut it.origin)),*].into_iter().flatten()
            }
        }
    };
}

impl PruneTable {
    /// Whether it names a selector, even to turn it off.
    pub fn has_policy(&self) -> bool {
        self.flags().iter().any(Option::is_some) || self.has_limits()
    }

    /// The table of a run without options. If it turns nothing on, the run removes what `du` calls reclaimable, except what
    /// the table turns off.
    pub fn effective(&self) -> PruneTable {
        let mut table = self.clone();
        let is_on = |flag: &Option<Sourced<bool>>| flag.is_some_and(|flag| flag.value);
        if !self.flags().iter().any(is_on) && !self.has_limits() {
            for flag in [&mut table.orphans, &mut table.stale, &mut table.corrupt, &mut table.temporary] {
                flag.get_or_insert(Sourced::default(true));
            }
        }
        table
    }

    fn flags(&self) -> [Option<Sourced<bool>>; 5] {
        [self.orphans, self.stale, self.corrupt, self.temporary, self.dead_interpreters]
    }

    fn has_limits(&self) -> bool {
        self.unused_for.is_some() || self.max_size.is_some() || self.max_files.is_some()
    }
}

prune_table! {
    orphans: bool,
    stale: bool,
    corrupt: bool,
    temporary: bool,
    dead_interpreters: bool,
    unused_for: Age,
    max_size: Size,
    max_files: u64,
    min_interval: Age,
    max_runtime: Age,
}

/// A value to be shown.
#[derive(Debug, Clone)]
pub enum ShownValue {
    /// No value, with a description of the default.
    Unset(&'static str),
    /// `true` or `false`.
    Switch(bool),
    /// A whole number.
    Count(u64),
    /// A value written as a string.
    Text(String),
    Path(PathBuf),
}

/// A value of the table `[prune]`.
trait PruneSetting: Copy {
    /// The text that is shown if the key is missing.
    const UNSET: ShownValue = ShownValue::Unset("none");

    fn shown(self) -> ShownValue;
}

impl PruneSetting for bool {
    const UNSET: ShownValue = ShownValue::Switch(false);

    fn shown(self) -> ShownValue {
        ShownValue::Switch(self)
    }
}

impl PruneSetting for u64 {
    fn shown(self) -> ShownValue {
        ShownValue::Count(self)
    }
}

impl PruneSetting for Age {
    fn shown(self) -> ShownValue {
        ShownValue::Text(self.to_string())
    }
}

impl PruneSetting for Size {
    fn shown(self) -> ShownValue {
        ShownValue::Text(self.to_string())
    }
}

/// Why an existing configuration file was not used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// It cannot be read.
    #[error("cannot read the configuration file {}", .path.display())]
    Read {
        path: PathBuf,
        /// Where its path comes from.
        origin: Origin,
        /// The system's error.
        source: io::Error,
    },
    /// It cannot be parsed.
    #[error("{}:{line}:{column}: {message}", .path.display())]
    Invalid {
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// The error.
        message: String,
    },
}

impl ConfigurationError {
    /// Returns a hint for the user.
    pub fn hint(&self) -> String {
        match self {
            ConfigurationError::Invalid { message, .. } if !message.contains("unknown") => {
                "`pycstore help config` has an example of each key".into()
            }
            ConfigurationError::Invalid { .. } => {
                format!(
                    "known keys: {}; in the table [prune]: {}; in the table [share]: {}",
                    KEYS.join(", "),
                    PruneTable::keys().join(", "),
                    ShareTable::KEYS.join(", ")
                )
            }
            ConfigurationError::Read { origin: Origin::Variable(name), .. } => {
                format!("the path comes from {name}; set {name} to an empty value to use no configuration")
            }
            ConfigurationError::Read { origin: Origin::Flag(name), .. } => format!("the path comes from {name}"),
            ConfigurationError::Read { .. } => {
                "set PYCSTORE_CONFIG to an empty value to use no configuration, or to the path of another file".into()
            }
        }
    }
}

impl Configuration {
    /// Reads the file at `location`. It need not exist if its path is the default.
    ///
    /// # Errors
    /// If it cannot be read or parsed.
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
        // A file that the user named is trusted.
        if origin == Origin::Default {
            input::refuse_strangers(path).map_err(failed)?;
        }
        Configuration::parse(path, &bytes, environment)
    }

    /// Parses the contents of the file at `path`.
    pub fn parse(
        path: &Path,
        bytes: &[u8],
        environment: &Environment,
    ) -> Result<Configuration, ConfigurationError> {
        let invalid = |offset: usize, message: &str| {
            let offset = offset.min(bytes.len());
            let before = String::from_utf8_lossy(&bytes[..offset]);
            let start_of_line = before.rfind('\n').map_or(0, |newline| newline + 1);
            ConfigurationError::Invalid {
                path: path.to_path_buf(),
                line: line_at(&newlines(bytes), offset),
                column: before[start_of_line..].chars().count() + 1,
                message: message.replace(['\n', '\r'], " "),
            }
        };
        let text = str::from_utf8(bytes).map_err(|error| invalid(error.valid_up_to(), "not valid UTF-8"))?;
        let mut configuration: Configuration = toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            invalid(offset, &translated(error.message()))
        })?;
        configuration.expand(environment).map_err(|(offset, message)| invalid(offset, &message))?;
        let newlines = newlines(bytes);
        for origin in configuration.origins() {
            *origin = Origin::File { line: line_at(&newlines, offset(*origin)) };
        }
        Ok(Configuration { path: Some(path.to_path_buf()), ..configuration })
    }

    /// Expands homes, and checks what the types do not.
    ///
    /// # Errors
    /// The position of an invalid value, and the message.
    fn expand(&mut self, environment: &Environment) -> Result<(), (usize, String)> {
        for path in self.store.iter_mut().chain(&mut self.assume_gone).chain(&mut self.metrics) {
            let absolute = absolute(&path.value.to_string_lossy(), environment);
            path.value = absolute.map_err(|message| (offset(path.origin), message))?;
        }
        for glob in &mut self.keep {
            let expanded = home::in_glob(&glob.value, environment);
            // The same check as for --keep.
            let checked =
                expanded.and_then(|it| Keep::check(&it).map(|()| it).map_err(|error| error.to_string()));
            glob.value = checked.map_err(|message| (offset(glob.origin), message))?;
        }
        match self.threads {
            Some(Sourced { value: count, origin }) if !(1..=512).contains(&count) => {
                let message = format!("invalid value: integer `{count}`, expected {THREADS}");
                Err((offset(origin), message))
            }
            _ => Ok(()),
        }
    }

    /// Where each value comes from.
    fn origins(&mut self) -> impl Iterator<Item = &mut Origin> {
        let paths = self.store.iter_mut().chain(&mut self.assume_gone).chain(&mut self.metrics);
        let paths = paths.map(|it| &mut it.origin);
        let globs = self.keep.iter_mut().map(|it| &mut it.origin);
        let threads = self.threads.as_mut().map(|it| &mut it.origin);
        let share = self.share.nightly.as_mut().map(|it| &mut it.origin);
        paths.chain(globs).chain(threads).chain(self.prune.origins()).chain(share)
    }
}

/// The requirement for `threads`.
const THREADS: &str = "a whole number from 1 to 512";

/// Where each line ends.
fn newlines(bytes: &[u8]) -> Vec<usize> {
    bytes.iter().enumerate().filter(|&(_, &byte)| byte == b'\n').map(|(at, _)| at).collect()
}

/// Returns the number of the line, from 1, of a position in the text with these line ends.
fn line_at(newlines: &[usize], offset: usize) -> usize {
    newlines.partition_point(|&newline| newline < offset) + 1
}

/// Replaces serde's terms (fields, sequences, Rust's types) by those of the file (keys, lists, numbers); the keys are in
/// the hint.
fn translated(message: &str) -> String {
    if let Some(rest) = message.strip_prefix("unknown field ") {
        let key = rest.split(", expected ").next().unwrap_or(rest);
        return format!("unknown key {key}");
    }
    let Some((found, expected)) = message.rsplit_once(", expected ") else { return message.to_string() };
    let expected = match expected {
        "a sequence" => "a list",
        "path string" => "a string",
        "u16" => THREADS,
        "u64" => "a whole number",
        other => other,
    };
    format!("{found}, expected {expected}")
}

/// An absolute path, dots resolved as on the command line.
fn absolute(text: &str, environment: &Environment) -> Result<PathBuf, String> {
    let path = match home::at_start(text, environment)? {
        Some((home, rest)) => home.join(rest.trim_start_matches('/')),
        None => PathBuf::from(text),
    };
    if !path.is_absolute() {
        return Err(format!(
            "the path {text:?} is not absolute: it must start with /, ~ or $HOME (nothing else is expanded)"
        ));
    }
    Ok(environment.absolute(&path))
}

/// Until the lines are counted, the line of a value is its offset: serde gives only that.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Sourced<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<T>::deserialize(deserializer)?;
        let origin = Origin::File { line: spanned.span().start };
        Ok(Sourced { value: spanned.into_inner(), origin })
    }
}

fn offset(origin: Origin) -> usize {
    if let Origin::File { line } = origin { line } else { 0 }
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
metrics = "~/pycstore.prom"
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

[share]
nightly = true
"#;
        let expected = Configuration {
            path: Some("/c.toml".into()),
            store: Some(at(1, "/home/me/.cache/cpython".into())),
            threads: Some(at(2, 8)),
            keep: vec![at(4, "/home/me/work/**".into()), at(5, "**/site-packages/numpy/**".into())],
            metrics: Some(at(8, "/home/me/pycstore.prom".into())),
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
            share: ShareTable { nightly: Some(at(22, true)) },
        };
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn an_empty_file_sets_nothing() {
        for text in ["", "\n# nothing\n", "[prune]\n", "[share]\n", "\u{feff}# marked\n"] {
            let expected = Configuration { path: Some("/c.toml".into()), ..Configuration::default() };
            assert_eq!(parse(text).unwrap(), expected, "{text:?}");
        }
    }

    /// Invalid contents, and the error after the name of the file.
    const INVALID: [(&str, &str); 27] = [
        ("stoer = \"/x\"", "1:1: unknown key `stoer`"),
        ("threads = 4\n\n[prune]\norphans = true\nold = 1", "5:1: unknown key `old`"),
        ("orphans = true", "1:1: unknown key `orphans`"),
        ("[prun]", "1:2: unknown key `prun`"),
        ("threads = \"four\"", "1:11: invalid type: string \"four\", expected a whole number from 1 to 512"),
        ("threads = 0", "1:11: invalid value: integer `0`, expected a whole number from 1 to 512"),
        ("threads = 513", "1:11: invalid value: integer `513`, expected a whole number from 1 to 512"),
        ("threads = -1", "1:11: invalid value: integer `-1`, expected a whole number from 1 to 512"),
        ("store = 3", "1:9: invalid type: integer `3`, expected a string"),
        ("keep = \"x\"", "1:8: invalid type: string \"x\", expected a list"),
        ("keep = [\"x\", 3]", "1:14: invalid type: integer `3`, expected a string"),
        ("keep = [\"\"]", "1:9: an empty glob matches nothing"),
        ("prune = 3", "1:9: invalid type: integer `3`, expected the table [prune]"),
        ("share = true", "1:9: invalid type: boolean `true`, expected the table [share]"),
        ("[share]\nweekly = true", "2:1: unknown key `weekly`"),
        ("[prune]\nstale = \"yes\"", "2:9: invalid type: string \"yes\", expected a boolean"),
        ("[prune]\nunused-for = 90", "2:14: 90 has no unit: write \"90s\" or \"90m\" or \"90h\" or \"90d\""),
        ("[prune]\nmax-size = 5", "2:12: 5 has no unit: write \"5B\" or \"5M\" or \"5GiB\""),
        ("[prune]\nmax-size = true", "2:12: invalid type: boolean `true`, expected a string"),
        ("[prune]\nunused-for = \"90\"", "2:14: 90 has no unit: write 90s, 90m (minutes), 90h or 90d"),
        ("[prune]\nmin-interval = \"3M\"", "2:16: the unit M may mean minutes or months: write m or months"),
        (
            "[prune]\nmax-size = \"big\"",
            "2:12: a size is a number and a unit (k, M, G, T; KiB, MiB, GiB, TiB), for example 5GiB",
        ),
        ("[prune]\nmax-files = 1.5", "2:13: invalid type: floating point `1.5`, expected a whole number"),
        (
            "# é\nstore = \"cache\"",
            "2:9: the path \"cache\" is not absolute: it must start with /, ~ or $HOME (nothing else is expanded)",
        ),
        (
            "assume-gone = [\"~you/x\"]",
            "1:16: the path \"~you/x\" is not absolute: it must start with /, ~ or $HOME (nothing else is expanded)",
        ),
        (
            "store = \"$HOMES/x\"",
            "1:9: the path \"$HOMES/x\" is not absolute: it must start with /, ~ or $HOME (nothing else is expanded)",
        ),
        (
            "store = \"\"",
            "1:9: the path \"\" is not absolute: it must start with /, ~ or $HOME (nothing else is expanded)",
        ),
    ];

    #[test]
    fn errors_have_a_position() {
        for (text, expected) in INVALID {
            assert_eq!(error(text), format!("/c.toml:{expected}"), "{text}");
        }
        assert!(error("threads = 1\nthreads = 2").starts_with("/c.toml:2:1: duplicate key"));
        assert!(error("threads =\n").starts_with("/c.toml:1:10: "));
        assert_eq!(error(b"threads = 1\n# \xff"), "/c.toml:2:3: not valid UTF-8");
        assert!(!error("\"a\\nb\" = 1").contains('\n'));
    }

    #[test]
    fn the_hint_names_the_keys_that_serde_knows() {
        let known = |text: &str| {
            let error = toml::from_str::<Configuration>(text).unwrap_err();
            let (_, keys) = error.message().split_once("expected one of ").unwrap();
            keys.replace('`', "")
        };
        assert_eq!(known("x = 1"), format!("{}, prune, share", KEYS.join(", ")));
        assert_eq!(known("[prune]\nx = 1"), PruneTable::keys().join(", "));
        assert!(
            toml::from_str::<Configuration>("[share]\nx = 1").unwrap_err().message().contains("`nightly`")
        );
        let hint = parse("x = 1").unwrap_err().hint();
        assert!(hint.contains("assume-gone, metrics; in the table [prune]: orphans"), "{hint}");
    }

    #[test]
    fn a_home_in_a_glob_is_escaped() {
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
        assert_eq!(error.to_string(), "/c.toml:1:9: cannot expand \"~/x\": HOME is not set");
    }

    #[test]
    fn only_the_default_file_may_be_missing() {
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
            assert!(error.to_string().starts_with("cannot read the configuration file /"), "{error}");
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
