//! Metrics as text, for the textfile collector of the Prometheus node exporter.
//!
//! The collector reads only the classic text format (`expfmt.TextParser`); other programs read OpenMetrics. The text is
//! valid in both: only gauges, because the names of counters differ; one `# HELP` and one `# TYPE` before the samples
//! of each family; no timestamps, which the collector refuses; `# EOF` as the last line, which OpenMetrics requires and
//! the classic format treats as a comment. The crate `prometheus-client` writes OpenMetrics alone, and needs a registry
//! and a type for each set of labels; this file is shorter than its use would be.
//!
//! The collector reads files that end in `.prom`, as another user and at any time: so the mode is 0644 and the file is
//! replaced atomically.

use crate::edits::replace::replace;
use crate::units::Moment;
use std::collections::HashSet;
use std::fmt::Write;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The metrics could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the metrics to {}", .path.display())]
pub struct MetricsError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// The metrics of one store. Each sample has the label `store`, unless the store is unknown.
#[derive(Debug)]
pub struct Exposition {
    store: String,
    families: Vec<Family>,
}

/// The samples of one name.
#[derive(Debug)]
struct Family {
    name: String,
    /// The lines `# HELP` and `# TYPE`.
    head: String,
    samples: String,
}

impl Exposition {
    /// No metrics yet; `store` is empty if it is unknown.
    pub fn new(store: &str) -> Exposition {
        Exposition { store: store.into(), families: Vec::new() }
    }

    /// The family of this name, new if there is none.
    fn family(&mut self, name: &str, help: &str) -> &mut Family {
        let at = self.families.iter().position(|family| family.name == name).unwrap_or_else(|| {
            let head = format!("# HELP {name} {help}\n# TYPE {name} gauge\n");
            self.families.push(Family { name: name.into(), head, samples: String::new() });
            self.families.len() - 1
        });
        &mut self.families[at]
    }

    /// Adds a gauge with one sample.
    pub fn gauge(&mut self, name: &str, help: &str, value: impl ToString) {
        self.gauges(name, help, [([], value.to_string())]);
    }

    /// Adds a gauge with samples, each with other labels; nothing without samples.
    pub fn gauges<'l, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = ([(&'l str, &'l str); N], String)>,
    ) {
        let store = self.store.clone();
        for (labels, value) in samples {
            let store = [("store", &*store)];
            let labels = store.into_iter().filter(|(_, store)| !store.is_empty()).chain(labels);
            let labels: Vec<String> =
                labels.map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            // Writing to a string cannot fail.
            let _ = writeln!(self.family(name, help).samples, "{name}{labels} {value}");
        }
    }

    /// Adds the samples of other texts to the families of the same name. Of samples with the same name and labels, which
    /// the collector refuses, only the first is added. The texts may come from other users: any other line is ignored.
    pub fn join<'t>(&mut self, texts: impl IntoIterator<Item = &'t str>) {
        let mut known = HashSet::new();
        for text in texts {
            let mut head = None;
            for line in text.lines() {
                if let Some(text) = line.strip_prefix("# HELP ") {
                    head = text.split_once(' ').filter(|(name, help)| is_ours(name) && !help.contains('\\'));
                } else if let Some((name, help)) = head
                    && let Some((series, value)) = line.rsplit_once(' ')
                    && series.strip_prefix(name).is_some_and(are_labels)
                    && value.parse::<f64>().is_ok()
                    && known.insert(series)
                {
                    let _ = writeln!(self.family(name, help).samples, "{line}");
                }
            }
        }
    }

    /// The file's contents.
    pub fn text(&self) -> String {
        let families = self.families.iter().flat_map(|family| [&*family.head, &*family.samples]);
        families.chain([END]).collect()
    }

    /// Replaces the file at `path`.
    ///
    /// # Errors
    /// [`MetricsError`]; an old file is unchanged then.
    pub fn write(&self, path: &Path) -> Result<(), MetricsError> {
        replace(path, self.text().as_bytes(), 0o644)
            .map_err(|source| MetricsError { path: path.to_path_buf(), source })
    }

    /// Writes the file's contents to standard output.
    ///
    /// # Errors
    /// [`MetricsError`].
    pub fn write_to(&self, mut output: io::Stdout) -> Result<(), MetricsError> {
        let written = output.write_all(self.text().as_bytes()).and_then(|()| output.flush());
        written.map_err(|source| MetricsError { path: "standard output".into(), source })
    }
}

/// The last line of a text that was not cut off.
pub const END: &str = "# EOF\n";

/// Whether a family has a name like those of this program.
fn is_ours(name: &str) -> bool {
    name.strip_prefix("pycstore_").is_some_and(is_name)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// Whether this is `{a="b",c="d"}` with different names and valid escapes, or nothing.
fn are_labels(text: &str) -> bool {
    let Some(mut rest) = text.strip_prefix('{') else { return text.is_empty() };
    let mut names = HashSet::new();
    while let Some((name, quoted)) = rest.split_once("=\"") {
        let mut is_escaped = false;
        let mut is_valid = is_name(name) && names.insert(name);
        let end = quoted.find(|character| {
            let was_escaped = is_escaped;
            is_escaped = character == '\\' && !was_escaped;
            is_valid &= !was_escaped || matches!(character, 'n' | '\\' | '"');
            character == '"' && !was_escaped
        });
        let Some(end) = end.filter(|_| is_valid) else { return false };
        match quoted[end + 1..].strip_prefix(',') {
            Some(next) => rest = next,
            None => return &quoted[end + 1..] == "}",
        }
    }
    false
}

/// A label's value as both formats quote it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A time this long after a moment, in seconds since 1970.
pub fn seconds(moment: Moment, after: Duration) -> String {
    let Moment { seconds, nanoseconds } = moment;
    format!("{:.3}", seconds as f64 + f64::from(nanoseconds) / 1e9 + after.as_secs_f64())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};
    use std::os::unix::fs::MetadataExt;

    /// Name and labels → value, by a parser that takes only what the classic format (Prometheus, "Exposition
    /// formats", version 0.0.4) and OpenMetrics 1.0 both take.
    pub fn parsed(text: &str) -> BTreeMap<(String, Vec<(String, String)>), f64> {
        let body = text.strip_suffix("# EOF\n").expect("the last line is # EOF and ends in a line feed");
        let is_name = |name: &str| {
            name.starts_with(|first: char| first.is_ascii_lowercase())
                && name.chars().all(|rest| rest.is_ascii_lowercase() || rest.is_ascii_digit() || rest == '_')
        };
        let mut samples = BTreeMap::new();
        let mut families = BTreeSet::new();
        let mut family = "";
        let mut lines = body.lines();
        while let Some(line) = lines.next() {
            assert!(line == line.trim() && !line.is_empty(), "{line:?}");
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, words) = help.split_once(' ').expect("a help text");
                assert!(!words.contains(['\\', '"']), "what needs no escape is the same in both: {line}");
                assert_eq!(lines.next(), Some(&*format!("# TYPE {name} gauge")));
                assert!(is_name(name) && families.insert(name), "a family stands in one place: {line}");
                family = name;
                continue;
            }
            let (name, rest) = line.split_once('{').expect("labels");
            assert_eq!(name, family, "a gauge's samples have the family's name");
            let (labels, value) = labels(rest);
            let value = value.strip_prefix(' ').expect("one space");
            assert!(
                value.chars().all(|digit| digit.is_ascii_digit() || digit == '.'),
                "no timestamp: {line}"
            );
            let names: BTreeSet<&String> = labels.iter().map(|(name, _)| name).collect();
            assert!(names.len() == labels.len() && names.iter().all(|name| is_name(name)), "{line}");
            let before = samples.insert((name.to_string(), labels), value.parse().unwrap());
            assert_eq!(before, None, "twice: {line}");
        }
        samples
    }

    /// `a="b",c="d"} 1` → the labels, and ` 1`.
    fn labels(mut rest: &str) -> (Vec<(String, String)>, &str) {
        let mut labels = Vec::new();
        loop {
            let (name, quoted) = rest.split_once("=\"").expect("a label");
            let mut value = String::new();
            let mut characters = quoted.chars();
            loop {
                match characters.next().expect("a closing quote") {
                    '"' => break,
                    '\\' => value.push(match characters.next() {
                        Some('n') => '\n',
                        Some(escaped @ ('\\' | '"')) => escaped,
                        other => panic!("no escape: {other:?}"),
                    }),
                    character => value.push(character),
                }
            }
            labels.push((name.to_string(), value));
            rest = characters.as_str();
            match rest.chars().next() {
                Some(',') => rest = &rest[1..],
                Some('}') => return (labels, &rest[1..]),
                other => panic!("after a label: {other:?}"),
            }
        }
    }

    #[test]
    fn names_are_quoted_and_a_family_without_samples_is_left_out() {
        let hostile = "a \"b\" \\n \n é,{}= # HELP \r}";
        let mut metrics = Exposition::new(hostile);
        metrics.gauge("one", "A help.", 1);
        metrics.gauges::<1>("none", "A help.", []);
        metrics.gauges("some", "A help.", [([("tag", hostile)], "2".into()), ([("tag", "")], "3".into())]);
        let samples = parsed(&metrics.text());
        let store = ("store".to_string(), hostile.to_string());
        assert_eq!(samples[&("one".into(), vec![store.clone()])], 1.0);
        assert_eq!(samples[&("some".into(), vec![store, ("tag".into(), hostile.into())])], 2.0);
        assert_eq!(samples.len(), 3);
        let mut unknown = Exposition::new("");
        unknown.gauge("one", "A help.", 1);
        assert_eq!(unknown.text(), "# HELP one A help.\n# TYPE one gauge\none 1\n# EOF\n");
    }

    #[test]
    fn the_file_is_readable_for_the_collector() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("pycstore.prom");
        Exposition::new("/store").write(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "# EOF\n");
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o644);
        let error =
            Exposition::new("/store").write(&temporary.path().join("no/such/place.prom")).unwrap_err();
        assert!(error.to_string().starts_with("cannot write the metrics to /"), "{error}");
    }
}
