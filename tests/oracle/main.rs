//! CPython and PyPy are the oracle: for every entry, `pycstore ls` says what their own importlib says.
//!
//! Sources of every shape are compiled by every interpreter found, in all optimizations and invalidation modes. Then
//! sources and headers are damaged, by chance with a seed: a new one each run, printed, and settable by `PYCSTORE_SEED`.
//! `ask.py` runs `SourceLoader.get_code` itself and tells which of its tests fails first.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test panics where something is wrong")]

mod damage;
mod python;
mod sources;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod support;

use base64::Engine;
use damage::{Damage, every_damage};
use pycstore::pyc::name;
use pycstore::pyc::{Magic, marshal};
use python::{ask, hexadecimal, path, request};
use serde_json::{Value, json};
use sources::{Fate, Forest};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use support::random::{self, Random};
use support::{Interpreter, World, implementations};

/// How many sources there are.
const SOURCES: usize = 300;

/// How many modules of the standard library are compiled.
const LIBRARY_MODULES: usize = 200;

/// The verdicts that each interpreter has to give at least once, or the damages have lost their edge.
const VERDICTS: [&str; 9] =
    ["fresh", "magic", "flags", "mtime", "size", "hash", "truncated", "not-bytecode", "missing"];

/// An entry and its history.
struct Case {
    entry: PathBuf,
    source: usize,
    optimization: &'static str,
    mode: &'static str,
    damage: Damage,
}

/// What the program says of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    status: String,
    reason: Option<String>,
    source: PathBuf,
}

/// A store with a history, and the entries of each interpreter in it.
struct Store {
    world: World,
    forest: Forest,
    cases: Vec<(&'static Interpreter, Vec<Case>)>,
}

#[test]
fn every_entry_is_judged_as_its_interpreter_judges_it() {
    let tags: Vec<&str> = implementations().iter().map(|it| it.tag.as_str()).collect();
    let random = &mut Random::new(random::seed(&format!("oracle, asking {}", tags.join(" "))));
    let store = Store::make(random);
    let by_default = store.list(&["ls", "--json"]);
    let always = store.list(&["ls", "--json", "--check-unchecked"]);
    let mut disagreements = Vec::new();
    let mut missing = BTreeSet::new();
    for (interpreter, cases) in &store.cases {
        let verdicts = store.verdicts(interpreter, cases);
        let mut given = BTreeSet::new();
        for (case, verdict) in cases.iter().zip(&verdicts) {
            if verdict[0] == "missing" {
                missing.insert(case.entry.clone());
            }
            for (said, verdict) in [(&by_default, &verdict[0]), (&always, &verdict[1])] {
                let expected = store.expected(case, verdict);
                given.insert(
                    expected.1.clone().filter(|_| expected.0 != "orphan").unwrap_or(expected.0.clone()),
                );
                let said = &said[&case.entry];
                if (&said.status, &said.reason) != (&expected.0, &expected.1)
                    || (said.status != "orphan"
                        && said.status != "unknown"
                        && said.source != store.source(case).path)
                {
                    disagreements.push(store.describe(case, verdict, said));
                }
            }
        }
        for verdict in VERDICTS {
            let name = if verdict == "missing" { "orphan" } else { verdict };
            assert!(given.contains(name), "{} was never brought to say {verdict}", interpreter.tag);
        }
    }
    let entries: usize = store.cases.iter().map(|(_, cases)| cases.len()).sum();
    assert_eq!(by_default.len(), entries, "every entry is listed, and nothing else");
    assert!(
        disagreements.is_empty(),
        "{} of {entries} entries are judged differently:\n{}",
        disagreements.len(),
        disagreements[..disagreements.len().min(20)].join("\n")
    );
    store.imports_agree(&by_default, random);
    store.prune_takes_exactly(&missing);
}

#[test]
fn the_file_name_in_real_entries_is_found() {
    let seed = random::seed("library");
    for interpreter in implementations() {
        let world = World::new();
        let wanted = json!({"seed": seed, "count": LIBRARY_MODULES});
        let answer = ask(&world, interpreter, &[], &request(&world, "library", wanted));
        let found = answer["found"].as_array().unwrap();
        assert!(found.len() >= LIBRARY_MODULES / 2, "{}: {} modules", interpreter.tag, found.len());
        let (_, minor) = name::python_of_tag(&interpreter.tag).unwrap();
        for pair in found {
            let entry = path(&pair[0]);
            let bytes = fs::read(&entry).unwrap();
            let name = marshal::code_filename(&bytes[16..], minor);
            let name = name.map(|name| PathBuf::from(std::ffi::OsString::from_vec(name.into_owned())));
            assert_eq!(name, Some(path(&pair[1])), "{}", entry.display());
        }
    }
}

impl Store {
    /// Compiles everything with everyone, then lets sources and entries meet their fates.
    fn make(random: &mut Random) -> Store {
        let world = World::new();
        let forest = Forest::plant(&world, SOURCES, random);
        let mut cases = Vec::new();
        for interpreter in implementations() {
            let mut own: Vec<Case> = Vec::new();
            for (number, source) in forest.sources.iter().enumerate() {
                for optimization in ["", "1", "2"] {
                    let mode = match source.fate {
                        Fate::Grown => "TIMESTAMP",
                        _ => random.pick(&["TIMESTAMP", "TIMESTAMP", "CHECKED_HASH", "UNCHECKED_HASH"]),
                    };
                    let (entry, damage) = (PathBuf::new(), Damage::Nothing);
                    own.push(Case { entry, source: number, optimization, mode, damage });
                }
            }
            let sources: Vec<Value> = own
                .iter()
                .map(|case| {
                    json!([hexadecimal(&forest.sources[case.source].path), case.optimization, case.mode])
                })
                .collect();
            let answer =
                ask(&world, interpreter, &[], &request(&world, "compile", json!({"sources": sources})));
            let magic = Magic::of(answer["magic"].as_u64().unwrap() as u16);
            for (case, entry) in own.iter_mut().zip(answer["entries"].as_array().unwrap()) {
                case.entry = path(entry);
                let source = &forest.sources[case.source].path;
                let computed =
                    name::cache_from_source(&world.store, source, &interpreter.tag, case.optimization);
                assert_eq!(computed.as_ref(), Some(&case.entry), "where Python keeps {}", source.display());
            }
            let all_damages = every_damage(&interpreter.tag, magic, random);
            let mut damages = all_damages.clone();
            random.shuffle(&mut own);
            for case in &mut own {
                let may_have = |damage: &Damage| match forest.sources[case.source].fate {
                    Fate::Grown => damage.leaves_timestamp(),
                    // Without a body nobody can tell that the stray is not the source.
                    Fate::RemovedBesideStray => damage.leaves_body(),
                    _ => true,
                };
                let next = match damages.iter().position(may_have) {
                    Some(index) => damages.swap_remove(index),
                    None if random.one_in(2) => Damage::Nothing,
                    None => random.pick(&all_damages),
                };
                case.damage = if may_have(&next) { next } else { Damage::Nothing };
            }
            cases.push((interpreter, own));
        }
        forest.age(random);
        for case in cases.iter().flat_map(|(_, cases)| cases) {
            case.damage.strike(&case.entry, random);
            // As if it had been written before its source was deleted.
            support::date_back(&case.entry);
        }
        Store { world, forest, cases }
    }

    fn source(&self, case: &Case) -> &sources::Source {
        &self.forest.sources[case.source]
    }

    /// What the program says of every file of the store.
    fn list(&self, arguments: &[&str]) -> BTreeMap<PathBuf, Said> {
        let answer = self.world.pycstore(arguments).exits(0);
        assert_eq!(answer.stderr, "");
        let bytes = |line: &Value, field: &str| match &line[format!("{field}_bytes")] {
            Value::String(encoded) => base64::engine::general_purpose::STANDARD.decode(encoded).unwrap(),
            _ => line[field].as_str().unwrap().as_bytes().to_vec(),
        };
        let path_of =
            |line: &Value, field: &str| PathBuf::from(std::ffi::OsString::from_vec(bytes(line, field)));
        let said = |line: &Value| Said {
            status: line["status"].as_str().unwrap().to_string(),
            reason: line["reason"].as_str().map(str::to_string),
            source: path_of(line, "source"),
        };
        answer.json_lines().iter().map(|line| (path_of(line, "path"), said(line))).collect()
    }

    /// What the interpreter says of its entries: by default, and under `--check-hash-based-pycs always`.
    fn verdicts(&self, interpreter: &Interpreter, cases: &[Case]) -> Vec<[String; 2]> {
        let pairs: Vec<[String; 2]> = cases
            .iter()
            .map(|case| [hexadecimal(&case.entry), hexadecimal(&self.source(case).path)])
            .collect();
        let answer =
            ask(&self.world, interpreter, &[], &request(&self.world, "judge", json!({"entries": pairs})));
        serde_json::from_value(answer["verdicts"].clone()).unwrap()
    }

    /// The status and reason that a verdict of Python is under our names.
    ///
    /// Four cases have another name than Python's own:
    /// * fewer than sixteen bytes are `corrupt (truncated)`: to Python a bad magic, or the end of the file in the header;
    /// * bytes 2–3 that are not `\r\n` are `corrupt (not-bytecode)`: to Python a bad magic;
    /// * a source that is missing makes an orphan: Python never looks at the entry;
    /// * where the slot does not tell the source's suffix and the body is lost, nobody but the test knows the source.
    fn expected(&self, case: &Case, verdict: &str) -> (String, Option<String>) {
        let bytes = fs::read(&case.entry).unwrap();
        let source = self.source(case);
        let (status, reason) = match verdict {
            "missing" => ("orphan", Some(source.gone)),
            _ if !source.is_usual() && !case.damage.leaves_body() => ("unknown", Some("ambiguous")),
            "magic" | "truncated" if bytes.len() < 16 => ("corrupt", Some("truncated")),
            "magic" if bytes[2..4] != *b"\r\n" => ("corrupt", Some("not-bytecode")),
            "fresh" => ("fresh", None),
            "magic" | "flags" | "mtime" | "size" | "hash" => ("stale", Some(verdict)),
            other => panic!("{other}: {}", case.entry.display()),
        };
        (status.to_string(), reason.map(str::to_string))
    }

    fn describe(&self, case: &Case, verdict: &str, said: &Said) -> String {
        let source = self.source(case);
        format!(
            "Python: {verdict}; pycstore: {} {:?} of {:?}\n  {:?} ({}), {:?}, then {:?}\n  entry {:?}: {:02x?}",
            said.status,
            said.reason,
            said.source,
            source.path,
            case.mode,
            source.fate,
            case.damage,
            case.entry,
            fs::read(&case.entry).unwrap().iter().take(16).collect::<Vec<_>>(),
        )
    }

    /// Real imports: what is fresh stays as it is, what is not is written anew, an orphan is not even looked at.
    fn imports_agree(&self, said: &BTreeMap<PathBuf, Said>, random: &mut Random) {
        let mut rewritten = BTreeSet::new();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (interpreter, cases) in &self.cases {
            for (flags, optimization) in [(&[][..], ""), (&["-O"], "1"), (&["-OO"], "2")] {
                let chosen: Vec<(&Case, &(PathBuf, String))> = cases
                    .iter()
                    .filter(|case| case.optimization == optimization && self.source(case).fate != Fate::Grown)
                    .filter_map(|case| Some((case, self.source(case).module.as_ref()?)))
                    .filter(|_| !random.one_in(4))
                    .collect();
                let modules: Vec<Value> = chosen
                    .iter()
                    .map(|(case, (directory, module))| {
                        json!([hexadecimal(directory), module, hexadecimal(&case.entry)])
                    })
                    .collect();
                let wanted = request(&self.world, "import", json!({"modules": modules}));
                let answer = ask(&self.world, interpreter, flags, &wanted);
                let outcomes: Vec<(String, bool)> =
                    serde_json::from_value(answer["outcomes"].clone()).unwrap();
                for ((case, _), (outcome, is_rewritten)) in chosen.iter().zip(outcomes) {
                    let said = &said[&case.entry];
                    let is_expected = match said.status.as_str() {
                        "fresh" if case.damage.leaves_body() => outcome == "ran" && !is_rewritten,
                        // A good header before a lost body makes every import fail.
                        "fresh" => outcome != "missing" && !is_rewritten,
                        "stale" | "corrupt" => outcome == "ran" && is_rewritten,
                        "orphan" => outcome == "missing" && !is_rewritten,
                        _ => false,
                    };
                    assert!(
                        is_expected,
                        "an import {outcome}, rewritten: {is_rewritten}\n{}",
                        self.describe(case, "?", said)
                    );
                    *counts.entry(if is_rewritten { "rewritten" } else { "kept" }).or_default() += 1;
                    if is_rewritten {
                        rewritten.insert(case.entry.clone());
                    }
                }
            }
        }
        assert!(counts["rewritten"] > 100 && counts["kept"] > 100, "{counts:?}");
        let after = self.list(&["ls", "--json"]);
        for entry in rewritten {
            assert_eq!(after[&entry].status, "fresh", "written by an import: {}", entry.display());
        }
    }

    /// `prune --orphans` removes what Python found no source of, except what was never bytecode, and nothing else.
    fn prune_takes_exactly(&self, missing: &BTreeSet<PathBuf>) {
        let before = World::snapshot(&self.world.store);
        let is_bytecode = |entry: &PathBuf| {
            let bytes = &before[entry].0;
            bytes.len() < 4 || bytes[2..4] == *b"\r\n"
        };
        let expected: BTreeSet<&PathBuf> = missing.iter().filter(|&entry| is_bytecode(entry)).collect();
        let document = self.world.pycstore(["prune", "--orphans", "--json"]).exits(0).json();
        let after = World::snapshot(&self.world.store);
        let files = before.iter().filter(|(path, _)| path.extension().is_some_and(|suffix| suffix == "pyc"));
        let removed: BTreeSet<&PathBuf> =
            files.filter(|(path, _)| !after.contains_key(*path)).map(|(path, _)| path).collect();
        assert_eq!(removed, expected);
        assert_eq!(document["removed"]["files"], expected.len());
        assert_eq!(document["skipped"].as_array().unwrap().len(), missing.len() - expected.len());
        assert!(after.iter().all(|(path, what)| before[path] == *what), "what stays is untouched");
    }
}
