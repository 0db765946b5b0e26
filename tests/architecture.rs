//! The shape of the sources: who may import what, who may delete, who may talk to the world.
//!
//! The Rust files of `src/` are read as text, without comments and without the unit tests at the end of each file.
//! Every file is one of five kinds, and uses only its own and those before it: vocabulary, facts, decisions, effects,
//! terminal.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test panics where something is wrong")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a file of `src/` is. The order is that of imports: a kind uses only itself and what stands before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// What words mean; pure.
    Vocabulary,
    /// Reads the disk; never writes, never judges.
    Facts,
    /// Pure functions over facts.
    Decisions,
    /// The only code that changes the disk.
    Effects,
    /// The binary's half.
    Terminal,
}

/// The kind of each module. The longest path that fits a file decides. `lib.rs` and the
/// `mod.rs` of `prune`, `sweep` and `warm` only hold documentation and re-exports and stand outside the order.
const KINDS: &[(&str, Kind)] = &[
    ("layout", Kind::Vocabulary),
    ("pyc", Kind::Vocabulary),
    ("tally", Kind::Vocabulary),
    ("treemap", Kind::Vocabulary),
    ("units", Kind::Vocabulary),
    ("accounts", Kind::Facts),
    ("aliases", Kind::Facts),
    ("body", Kind::Facts),
    ("contained", Kind::Facts),
    ("directory", Kind::Facts),
    ("entry", Kind::Facts),
    ("interpreter", Kind::Facts),
    ("isolated", Kind::Facts),
    ("lock", Kind::Facts),
    ("mounts", Kind::Facts),
    ("other_stores", Kind::Facts),
    ("owner", Kind::Facts),
    ("package", Kind::Facts),
    ("path_owner", Kind::Facts),
    ("scan", Kind::Facts),
    ("sharing", Kind::Facts),
    ("source", Kind::Facts),
    ("source_tree", Kind::Facts),
    ("store", Kind::Facts),
    ("sweep/found", Kind::Facts),
    ("sweep/git_index", Kind::Facts),
    ("sweep/look", Kind::Facts),
    ("sweep/place", Kind::Facts),
    ("sweep/repository", Kind::Facts),
    ("sweep/root", Kind::Facts),
    ("sweep/walk", Kind::Facts),
    ("tree", Kind::Facts),
    ("trust", Kind::Facts),
    ("warm/choice", Kind::Facts),
    ("witness", Kind::Facts),
    ("status", Kind::Decisions),
    ("census", Kind::Decisions),
    ("exposure", Kind::Decisions),
    ("usage", Kind::Decisions),
    ("prune", Kind::Decisions),
    ("verify", Kind::Decisions),
    ("sweep/plan", Kind::Decisions),
    ("new_entry", Kind::Effects),
    ("prune/execute", Kind::Effects),
    ("sweep/adopt", Kind::Effects),
    ("sweep/companion", Kind::Effects),
    ("sweep/execute", Kind::Effects),
    ("warm/compile", Kind::Effects),
    ("cli", Kind::Terminal),
];

const RE_EXPORTS: [&str; 5] = ["lib.rs", "main.rs", "prune/mod.rs", "sweep/mod.rs", "warm/mod.rs"];

/// A file of `src/`.
struct SourceFile {
    /// Its path from `src/`.
    path: String,
    /// All of it.
    text: String,
    /// Its code: no comments, no unit tests.
    code: String,
}

impl SourceFile {
    fn is_terminal(&self) -> bool {
        self.path.starts_with("cli/") || self.path == "main.rs"
    }

    /// The lines of its code that have one of these words, for messages.
    fn lines_with(&self, words: &[&str]) -> Vec<String> {
        let has = |line: &&str| words.iter().any(|word| mentions(line, word));
        self.code.lines().filter(has).map(|line| format!("src/{}: {}", self.path, line.trim())).collect()
    }

    /// The modules of the crate that it names, as paths such as `prune/policy`.
    fn modules_used(&self) -> Vec<String> {
        let mut used = paths_after(&self.code, "crate::");
        // `super::` stays in the file's own directory.
        if let Some((directory, _)) = self.path.rsplit_once('/') {
            let own = paths_after(&self.code, "super::");
            used.extend(own.into_iter().map(|path| format!("{directory}/{path}")));
        }
        used
    }
}

/// What follows each `crate::` in the code: `a/b/C` of `crate::a::b::C`, and one path each of `crate::{a::B, c}`.
fn paths_after(code: &str, marker: &str) -> Vec<String> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let path = |text: &str| {
        let end = text.find(|c| !is_path(c)).unwrap_or(text.len());
        text[..end].trim_matches(':').replace("::", "/")
    };
    let mut paths = Vec::new();
    for (at, _) in code.match_indices(marker) {
        let rest = &code[at + marker.len()..];
        match rest.strip_prefix('{') {
            Some(group) => {
                let group = &group[..group.find(';').unwrap_or(group.len())];
                paths.extend(group.split(',').map(|part| path(part.trim())));
            }
            None => paths.push(path(rest)),
        }
    }
    paths
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<SourceFile> {
    let files = walkdir::WalkDir::new(root().join("src")).sort_by_file_name();
    let files = files.into_iter().map(|entry| entry.unwrap().into_path());
    let sources: Vec<SourceFile> =
        files.filter(|path| path.extension().is_some_and(|it| it == "rs")).map(|path| read(&path)).collect();
    assert!(sources.len() > 20, "src/ is elsewhere");
    sources
}

fn read(path: &Path) -> SourceFile {
    let text = std::fs::read_to_string(path).unwrap();
    let unit_tests =
        ["#[cfg(test)]\nmod tests {", "#[cfg(test)]\npub mod tests {", "#[cfg(test)]\npub(super) mod"];
    let end = unit_tests.iter().filter_map(|start| text.find(start)).min().unwrap_or(text.len());
    let untested = &text[..end];
    // `tests.rs` is the unit tests of its directory's module, all of it.
    let untested = if path.ends_with("tests.rs") { "" } else { untested };
    let code =
        untested.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let path = path.strip_prefix(root().join("src")).unwrap().to_str().unwrap().to_string();
    SourceFile { path, text, code }
}

/// Whether `code` has `word` as a word of its own, not as a part of a longer name.
fn mentions(code: &str, word: &str) -> bool {
    let is_name = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let ends_as_name = is_name(word.chars().next_back());
    code.match_indices(word).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + word.len()..]);
        let continues = ends_as_name && is_name(after.chars().next());
        !(is_name(before.chars().next_back()) || continues)
    })
}

fn kind_of(module: &str) -> Option<Kind> {
    let fits = |(prefix, _): &&(&str, Kind)| {
        module.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    KINDS.iter().filter(fits).max_by_key(|(prefix, _)| prefix.len()).map(|&(_, kind)| kind)
}

/// `prune/policy.rs` is the module `prune/policy`, `scan/mod.rs` is `scan`.
fn module_of(path: &str) -> &str {
    let path = path.strip_suffix(".rs").unwrap();
    path.strip_suffix("/mod").unwrap_or(path)
}

fn starts_as_type(name: &str) -> bool {
    name.starts_with(char::is_uppercase)
}

#[track_caller]
fn assert_none(found: Vec<String>, rule: &str) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    for file in sources() {
        assert!(file.text.starts_with("//!"), "src/{} does not begin with `//!`", file.path);
    }
}

#[test]
fn every_file_has_a_kind() {
    for file in sources().iter().filter(|file| !RE_EXPORTS.contains(&file.path.as_str())) {
        assert!(kind_of(module_of(&file.path)).is_some(), "name the kind of src/{} in KINDS", file.path);
    }
    for (module, _) in KINDS {
        let path = root().join("src").join(module);
        assert!(
            path.is_dir() || path.with_extension("rs").is_file(),
            "KINDS names src/{module}, which is not there"
        );
    }
}

#[test]
fn imports_go_from_vocabulary_to_effects() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in sources().iter().filter(|file| !RE_EXPORTS.contains(&file.path.as_str())) {
        let kind = kind_of(module_of(&file.path)).unwrap();
        for used in file.modules_used() {
            let Some(used_kind) = kind_of(&used) else { continue };
            if kind < Kind::Effects && used.strip_prefix("prune/").is_some_and(starts_as_type) {
                wrong.push(format!("src/{} uses {used}: name the module, which has a kind", file.path));
            }
            seen += 1;
            if used_kind > kind {
                wrong.push(format!("src/{} ({kind:?}) uses {used} ({used_kind:?})", file.path));
            }
        }
    }
    assert!(seen > 50, "only {seen} imports found: the reader of this test is broken");
    assert_none(wrong, "a kind uses only what stands before it");
}

#[test]
fn only_the_executor_removes() {
    const REMOVING: [&str; 8] = [
        "remove_file",
        "remove_directory",
        "remove_dir",
        "remove_dir_all",
        "unlink",
        "unlinkat",
        "rmdir",
        "REMOVEDIR",
    ];
    let mut wrong = Vec::new();
    for file in sources() {
        let allowed: &[&str] = match file.path.as_str() {
            // Where the two system calls are made, and the one place that asks for them.
            "directory.rs" => &["remove_file", "remove_directory", "unlinkat", "REMOVEDIR"],
            "prune/execute.rs" => &["remove_file", "remove_directory"],
            // Its own temporary file, where the store takes it no further.
            "new_entry.rs" => &["remove_file"],
            // The project that the demo deletes is its own.
            "cli/demo.rs" => &["remove_dir_all"],
            // A file that was made for our block and holds nothing else, and directories that were, which have to be empty.
            "cli/edits/execute.rs" => &["remove_file", "remove_dir"],
            // A receipt that says nothing any more, and our directory of state where nothing else is in it.
            "cli/edits/receipt.rs" => &["remove_file", "remove_dir"],
            _ => &[],
        };
        let forbidden: Vec<&str> = REMOVING.into_iter().filter(|word| !allowed.contains(word)).collect();
        wrong.extend(file.lines_with(&forbidden));
    }
    assert_none(wrong, "only prune/execute.rs removes from the store");
    let executor = read(&root().join("src/prune/execute.rs"));
    assert!(executor.code.contains("directory.remove_file("), "the executor removes elsewhere now");
    let new_entry = read(&root().join("src/new_entry.rs"));
    let removed = new_entry.lines_with(&["remove_file"]);
    let is_its_own = |line: &String| line.contains("self.directory.remove_file(&self.temporary)");
    assert!(matches!(&removed[..], [line] if is_its_own(line)), "{removed:?}");
}

#[test]
fn only_two_hand_files_to_the_executor() {
    let files = sources();
    let callers = |word: &str| -> Vec<String> {
        let calls = |file: &&SourceFile| !file.lines_with(&[word]).is_empty();
        files.iter().filter(calls).map(|file| file.path.clone()).collect()
    };
    assert_eq!(callers("execute_in"), ["prune/execute.rs", "sweep/execute.rs"]);
}

#[test]
fn one_file_writes_to_the_store() {
    let sources = sources();
    let callers = |word: &str| -> Vec<&str> {
        let calls = |file: &&SourceFile| !file.lines_with(&[word]).is_empty();
        sources.iter().filter(calls).map(|file| file.path.as_str()).collect()
    };
    for word in ["make_directory", "make_file", "put_in_place", "stamp"] {
        assert_eq!(callers(word), ["directory.rs", "new_entry.rs"], "{word}");
    }
    // It writes entries for two, and directories for the command that compiles.
    assert_eq!(callers("NewEntry"), ["new_entry.rs", "sweep/adopt.rs"]);
    assert_eq!(callers("new_entry::write"), ["warm/compile.rs"]);
    assert_eq!(callers("make_directories"), ["new_entry.rs", "sweep/adopt.rs"]);
    assert_eq!(callers("make_mirror"), ["cli/warm/mod.rs", "new_entry.rs"]);
    // An interpreter is told of no file of the store.
    let script = std::fs::read_to_string(root().join("src/warm/compile.py")).unwrap();
    assert!(!script.contains("pycache_prefix") && !script.contains("open("), "{script}");
}

#[test]
fn what_reads_and_what_decides_changes_nothing() {
    const WRITING: [&str; 11] = [
        "fs::write",
        "fs::copy",
        "fs::rename",
        "fs::create_dir",
        "fs::create_dir_all",
        "fs::set_permissions",
        "fs::hard_link",
        "symlink(",
        "OpenOptions",
        "File::create",
        "set_times",
    ];
    let pure =
        |file: &&SourceFile| kind_of(module_of(&file.path)).is_some_and(|kind| kind <= Kind::Decisions);
    let files = sources();
    let wrong = files.iter().filter(pure).flat_map(|file| file.lines_with(&WRITING)).collect();
    assert_none(wrong, "only effects change the disk");
}

#[test]
fn the_library_does_not_touch_the_terminal_the_environment_or_the_clock() {
    const WORLD: [&str; 14] = [
        "std::env",
        "env::var",
        "env::var_os",
        "env::args",
        "env::current_dir",
        "io::stdout",
        "io::stderr",
        "println!",
        "print!",
        "eprintln!",
        "eprint!",
        "dbg!",
        "SystemTime::now",
        "is_terminal",
    ];
    let files = sources();
    let library = files.iter().filter(|file| !file.is_terminal());
    assert_none(
        library.flat_map(|file| file.lines_with(&WORLD)).collect(),
        "the library is told, it does not ask",
    );
    let environment = files.iter().find(|file| file.path == "cli/env.rs").unwrap();
    assert!(!environment.lines_with(&["SystemTime::now"]).is_empty(), "the clock is read elsewhere now");
}

#[test]
fn standard_error_has_one_way_to_it() {
    const ERROR: [&str; 4] = ["io::stderr", "eprintln!", "eprint!", "ProgressDrawTarget::stderr"];
    let files = sources();
    // `complain` escapes what it says; progress has no names in it.
    let others = files
        .iter()
        .filter(|file| !["cli/output/complain.rs", "cli/output/progress.rs"].contains(&file.path.as_str()));
    assert_none(others.flat_map(|file| file.lines_with(&ERROR)).collect(), "errors are said by `complain`");
}

/// Each dependency's home, as the comment beside it in `Cargo.toml` says.
fn homes() -> BTreeMap<String, String> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let mut homes = BTreeMap::new();
    for line in dependencies.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let (name, _) = line.split_once(' ').unwrap();
        let (_, home) =
            line.rsplit_once("# ").unwrap_or_else(|| panic!("no home beside {name} in Cargo.toml"));
        homes.insert(name.replace('-', "_"), home.trim().to_string());
    }
    homes
}

#[test]
fn each_dependency_has_one_home() {
    let files = sources();
    let mut wrong = Vec::new();
    for (name, home) in homes() {
        if home == "beside the code that fails" {
            continue;
        }
        // Each a file, or a directory with everything in it. Most have one; serde serves each format where it is.
        let homes: Vec<&str> = home.split(", ").collect();
        let is_home = |path: &str| {
            homes.iter().any(|home| path == *home || (home.ends_with('/') && path.starts_with(home)))
        };
        for home in &homes {
            let is_there = match home.strip_suffix('/') {
                Some(directory) => root().join("src").join(directory).is_dir(),
                None => root().join("src").join(home).is_file(),
            };
            assert!(is_there, "Cargo.toml gives {name} a home that is not there: {home}");
        }
        let path = format!("{name}::");
        let derive = format!("use {name};");
        let (at_home, elsewhere): (Vec<_>, Vec<_>) = files
            .iter()
            .flat_map(|file| {
                file.lines_with(&[&path, &derive]).into_iter().map(|line| (file.path.as_str(), line))
            })
            .partition(|(file, _)| is_home(file));
        assert!(!at_home.is_empty(), "{name} is not used in its home {home}");
        wrong.extend(elsewhere.into_iter().map(|(_, line)| line));
    }
    assert_none(wrong, "a dependency is named in its home only");
}

#[test]
fn files_are_named_after_nouns_of_the_domain() {
    let vague = ["util", "utils", "common", "helper", "helpers", "misc", "shared", "types"];
    for file in sources() {
        let stem = PathBuf::from(&file.path).file_stem().unwrap().to_string_lossy().into_owned();
        assert!(!vague.contains(&stem.as_str()), "src/{} says nothing by its name", file.path);
    }
}
