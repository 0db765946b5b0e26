//! `pycstore config`: the effective values, and where each comes from.

use super::file::{self, Configuration, PruneTable, ShareTable, ShownValue};
use super::location::Location;
use super::origin::{Origin, Sourced};
use crate::cli::output::complain;
use crate::cli::output::path;
use crate::cli::output::style::Tone;
use crate::cli::output::table::{Column, Table};
use crate::cli::session::{Session, is_absent};
use clap::Args;
use pycstore::exit::Exit;
use pycstore::json::{self, PathField, SCHEMA};
use serde::Serialize;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Show the effective configuration and the origin of each value.
///
/// Options override variables, variables override the file, and the file overrides the defaults; the lists keep and
/// assume-gone are combined. The file is $XDG_CONFIG_HOME/pycstore/config.toml, else ~/.config/pycstore/config.toml;
/// PYCSTORE_CONFIG names another file; if it is set but empty, no file is read.
#[derive(Debug, Args)]
#[command(after_help = CONFIG_HELP)]
pub struct ConfigOptions {
    /// Print the path of the configuration file, even if the file does not exist
    #[arg(long)]
    pub path: bool,
    /// Print one JSON document
    #[arg(long, conflicts_with = "path")]
    pub json: bool,
}

/// The keys of the configuration.
const CONFIG_HELP: &str = r#"Keys (all optional, with examples):
  store = "~/.cache/cpython"         ~ and $HOME at the start are expanded
  threads = 8
  keep = ["~/work/**"]               globs of sources whose entries are kept
  assume-gone = ["/mnt/old"]         as --assume-gone
  metrics = "/srv/pycstore.prom"     as prune --metrics, for `pycstore schedule run`
  [prune]                            what `pycstore prune` removes without a selector.
                                     Empty: orphans, stale, corrupt, temporary;
                                     with a limit or true: only what is set
  orphans = true                     the same for stale, corrupt, temporary,
                                     dead-interpreters
  unused-for = "90d"                 units s, m, h, d, w, months, y
  max-size = "5GiB"                  500M is 500,000,000 bytes, 500MiB is 524,288,000
  max-files = 1000000
  min-interval = "20h"
  max-runtime = "10m"
  [share]                            makes equal entries links of one file
  nightly = true                     after the prune of `pycstore schedule run`

Exit status: 0 success; 2 the file cannot be read or parsed."#;

/// Runs `pycstore config`.
pub fn run(session: &Session, options: &ConfigOptions) -> anyhow::Result<Exit> {
    let location = Location::find(session.global.config.as_deref(), &session.environment);
    let mut out = BufWriter::new(io::stdout().lock());
    if options.path {
        let Some(path) = &location.path else {
            complain::note(match location.origin {
                Origin::Default => "no configuration: HOME is not set",
                _ => "no configuration: PYCSTORE_CONFIG is set but empty",
            });
            return Ok(Exit::Done);
        };
        out.write_all(&path::shown(path, &session.terminal))?;
        out.write_all(b"\n")?;
    } else if options.json {
        json::print(&mut out, &ConfigDocument::new(&location, &rows(session), &session.configuration))?;
    } else {
        print(session, &location, &mut out)?;
    }
    out.flush()?;
    Ok(Exit::Done)
}

/// One value.
struct ConfigRow {
    key: String,
    value: ShownValue,
    origin: Origin,
}

fn rows(session: &Session) -> Vec<ConfigRow> {
    let row = |key: &str, sourced: Sourced<ShownValue>| ConfigRow {
        key: key.into(),
        value: sourced.value,
        origin: sourced.origin,
    };
    let [store, threads, keep, assume_gone, metrics] = file::KEYS;
    let mut rows = vec![
        row(
            store,
            session
                .store()
                .map(|path| path.map_or(ShownValue::Unset("none: HOME is not set"), ShownValue::Path)),
        ),
        row(
            threads,
            session.thread_count().map(|count| match count {
                Some(count) => ShownValue::Count(u64::from(count)),
                None => ShownValue::Unset("as many as the disk can use"),
            }),
        ),
    ];
    let lists = [
        (
            keep,
            session
                .configuration
                .keep
                .iter()
                .map(|glob| glob.clone().map(ShownValue::Text))
                .collect::<Vec<_>>(),
        ),
        (assume_gone, session.assumed_gone().into_iter().map(|path| path.map(ShownValue::Path)).collect()),
    ];
    for (key, values) in lists {
        if values.is_empty() {
            rows.push(row(key, Sourced::default(ShownValue::Unset("none"))));
        }
        rows.extend(values.into_iter().map(|value| row(key, value)));
    }
    let file = session.configuration.metrics.clone().map(|file| file.map(ShownValue::Path));
    rows.push(row(metrics, file.unwrap_or(Sourced::default(ShownValue::Unset("none")))));
    let prune = session.configuration.prune.effective();
    for (key, value) in PruneTable::keys().iter().zip(prune.values()) {
        rows.push(row(&format!("prune.{key}"), value));
    }
    for (key, value) in ShareTable::KEYS.iter().zip(session.configuration.share.values()) {
        rows.push(row(&format!("share.{key}"), value));
    }
    rows
}

fn print(session: &Session, location: &Location, out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new(vec![Column::left("KEY", 0), Column::left("FROM", 1)], "VALUE");
    let shown = |path: &Path, is_there: bool| {
        let mut shown = path::shown(path, &session.terminal);
        if !is_there {
            shown.extend_from_slice(b" (missing)");
        }
        shown
    };
    let file = match &location.path {
        Some(path) => shown(path, session.configuration.path.is_some()),
        None => b"none".to_vec(),
    };
    table.row(vec!["config".into(), location.origin.short()], file, Tone::Normal);
    for row in rows(session) {
        let tone = if row.origin == Origin::Default { Tone::Quiet } else { Tone::Normal };
        let value = match &row.value {
            ShownValue::Unset(meaning) => meaning.as_bytes().to_vec(),
            ShownValue::Switch(is_on) => is_on.to_string().into_bytes(),
            ShownValue::Count(count) => count.to_string().into_bytes(),
            ShownValue::Text(text) if session.terminal.is_terminal() => path::escaped(text).into_bytes(),
            ShownValue::Text(text) => text.clone().into_bytes(),
            ShownValue::Path(path) => shown(path, row.key == "assume-gone" || !is_absent(path)),
        };
        table.row(vec![row.key, row.origin.short()], value, tone);
    }
    table.print(out, &session.terminal, session.style())
}

/// `config --json`.
#[derive(Debug, Serialize)]
struct ConfigDocument<'a> {
    schema: u32,
    file: FileLine<'a>,
    values: Vec<ValueLine>,
}

#[derive(Debug, Serialize)]
struct FileLine<'a> {
    #[serde(flatten)]
    path: PathField<'a>,
    read: bool,
    #[serde(flatten)]
    origin: OriginFields,
}

#[derive(Debug, Serialize)]
struct ValueLine {
    key: String,
    value: ValueField,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_bytes: Option<String>,
    #[serde(flatten)]
    origin: OriginFields,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum ValueField {
    Null,
    Switch(bool),
    Count(u64),
    Text(String),
}

#[derive(Debug, Serialize)]
struct OriginFields {
    from: &'static str,
    name: Option<&'static str>,
    line: Option<usize>,
}

impl From<Origin> for OriginFields {
    fn from(origin: Origin) -> OriginFields {
        let (from, name, line) = match origin {
            Origin::Flag(name) => ("flag", Some(name), None),
            Origin::Variable(name) => ("variable", Some(name), None),
            Origin::File { line } => ("file", None, Some(line)),
            Origin::Default => ("default", None, None),
        };
        OriginFields { from, name, line }
    }
}

impl<'a> ConfigDocument<'a> {
    fn new(location: &'a Location, rows: &[ConfigRow], configuration: &Configuration) -> ConfigDocument<'a> {
        let values = rows.iter().map(|row| {
            let (value, value_bytes) = match &row.value {
                ShownValue::Unset(_) => (ValueField::Null, None),
                ShownValue::Switch(is_on) => (ValueField::Switch(*is_on), None),
                ShownValue::Count(count) => (ValueField::Count(*count), None),
                ShownValue::Text(text) => (ValueField::Text(text.clone()), None),
                ShownValue::Path(path) => (ValueField::Text(json::text(path)), json::bytes(path)),
            };
            ValueLine { key: row.key.clone(), value, value_bytes, origin: row.origin.into() }
        });
        ConfigDocument {
            schema: SCHEMA,
            file: FileLine {
                path: PathField { name: "path", path: location.path.as_deref() },
                read: configuration.path.is_some(),
                origin: location.origin.into(),
            },
            values: values.collect(),
        }
    }
}
