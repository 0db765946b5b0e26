//! The shape of the sources: who may import what, who may delete, who may talk to the world.
//!
//! The Rust files of `src/` are read as text, without comments and without the unit tests at the end of each file.
//! The folders of `src/` stand in the order of the flow, and each uses only itself and those before it.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test panics where something is wrong")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The folders and single files of `src/` in the order of the flow: each uses only itself and those before it.
const ROOMS: [&str; 23] = [
    "units",
    "pyc",
    "host",
    "source",
    "store",
    "verdict",
    "effect",
    "quoting",
    "paragraph",
    "json",
    "complaint",
    "exit",
    "environment",
    "crontab",
    "edits",
    "exposition",
    "setup",
    "schedule",
    "history",
    "report",
    "doctor",
    "warm",
    "cli",
];

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

    /// The place in [`ROOMS`] of the folder that it lies in; none of `lib.rs` and `main.rs`.
    fn room(&self) -> Option<usize> {
        if ["lib.rs", "main.rs"].contains(&self.path.as_str()) {
            return None;
        }
        let room = module_of(&self.path).split('/').next().unwrap();
        Some(ROOMS.iter().position(|it| *it == room).unwrap_or_else(|| panic!("name src/{room} in ROOMS")))
    }

    /// The modules of the crate that it names, as paths such as `verdict/policy/Policy`.
    fn modules_used(&self) -> Vec<String> {
        let mut used = paths_after(&self.code, "crate::");
        used.extend(paths_after(&self.code, "pycstore::"));
        used.extend(paths_after_super(&self.code, module_of(&self.path)));
        used
    }
}

/// What follows each run of `super::` in the code of a module: for `mod.rs`, `super` is the parent of its directory.
fn paths_after_super(code: &str, module: &str) -> Vec<String> {
    let mut used = Vec::new();
    let (mut directory, mut marker) = (module, String::new());
    while !directory.is_empty() {
        directory = directory.rsplit_once('/').map_or("", |(parent, _)| parent);
        marker.push_str("super::");
        let is_whole = |path: &String| !path.starts_with("super");
        let paths = paths_after(code, &marker).into_iter().filter(is_whole);
        used.extend(paths.map(|path| format!("{directory}/{path}").trim_start_matches('/').to_string()));
    }
    used
}

/// What follows each `crate::` in the code: `a/b/C` of `crate::a::b::C`, and one path each of `crate::{a::B, c::{D, E}}`.
fn paths_after(code: &str, marker: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for (at, _) in code.match_indices(marker).filter(|(at, _)| !code[..*at].ends_with("::")) {
        expand("", &code[at + marker.len()..], &mut paths);
    }
    paths
}

/// Adds the paths that a text begins with; returns what follows them.
fn expand<'t>(prefix: &str, text: &'t str, paths: &mut Vec<String>) -> &'t str {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let end = text.find(|c| !is_path(c)).unwrap_or(text.len());
    let own = format!("{prefix}{}", text[..end].replace("::", "/"));
    let rest = &text[end..];
    let Some(mut rest) = rest.strip_prefix('{') else {
        paths.push(own.trim_end_matches('/').to_string());
        return rest;
    };
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        match rest.chars().next() {
            None => return rest,
            Some('}') => return &rest[1..],
            Some(c) if is_path(c) => rest = expand(&own, rest, paths),
            // ` as Name`, or the code of a block.
            Some(_) => rest = &rest[rest.find([',', '}']).unwrap_or(rest.len())..],
        }
    }
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
    let unit_tests = [
        "#[cfg(test)]\nmod tests {",
        "#[cfg(test)]\npub mod tests {",
        "#[cfg(test)]\npub(super) mod",
        "#[cfg(test)]\npub(crate) mod",
    ];
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

/// `verdict/policy.rs` is the module `verdict/policy`, `store/mod.rs` is `store`.
fn module_of(path: &str) -> &str {
    let path = path.strip_suffix(".rs").unwrap();
    path.strip_suffix("/mod").unwrap_or(path)
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
fn imports_follow_the_order_of_the_rooms() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in sources() {
        let Some(room) = file.room() else { continue };
        for used in file.modules_used() {
            let first = used.split('/').next().unwrap();
            let Some(used_room) = ROOMS.iter().position(|it| *it == first) else { continue };
            seen += 1;
            if used_room > room {
                wrong.push(format!("src/{} uses {used}", file.path));
            }
        }
    }
    assert!(seen > 500, "only {seen} imports found: the reader of this test is broken");
    assert_none(wrong, "a folder uses only those before it");
}

/// Which file uses which: those of `src/`, by their modules. A folder's `mod.rs` declares the folder's own files and may hand
/// on what they have: that it knows them counts for nothing, that they know it counts.
fn files_used(sources: &[SourceFile]) -> BTreeMap<String, BTreeSet<String>> {
    let modules: BTreeSet<&str> = sources.iter().map(|file| module_of(&file.path)).collect();
    let used = |file: &SourceFile| -> BTreeSet<String> {
        let own = module_of(&file.path);
        let is_own_file = |used: &str| used.rsplit_once('/').is_some_and(|(folder, _)| folder == own);
        let mut found = BTreeSet::new();
        for path in file.modules_used() {
            // The longest beginning that is a module: what follows is a name in it.
            let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
            let module = ends.map(|end| &path[..end]).rfind(|module| modules.contains(module));
            found.extend(module.filter(|it| *it != own && !is_own_file(it)).map(str::to_string));
        }
        found
    };
    sources.iter().map(|file| (module_of(&file.path).to_string(), used(file))).collect()
}

/// The groups of nodes that reach each other (Tarjan's strongly connected components), sorted, those of one node left out.
fn circles(graph: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    #[derive(Default)]
    struct Search<'g> {
        order: BTreeMap<&'g str, usize>,
        lowest: BTreeMap<&'g str, usize>,
        open: Vec<&'g str>,
        circles: Vec<Vec<String>>,
    }
    fn visit<'g>(search: &mut Search<'g>, graph: &'g BTreeMap<String, BTreeSet<String>>, node: &'g str) {
        let number = search.order.len();
        search.order.insert(node, number);
        search.lowest.insert(node, number);
        search.open.push(node);
        for next in graph.get(node).into_iter().flatten() {
            let reached = match search.order.get(next.as_str()) {
                None => {
                    visit(search, graph, next);
                    search.lowest[next.as_str()]
                }
                Some(&number) if search.open.contains(&next.as_str()) => number,
                Some(_) => continue,
            };
            let lowest = search.lowest[node].min(reached);
            search.lowest.insert(node, lowest);
        }
        if search.lowest[node] == number {
            let start = search.open.iter().position(|it| *it == node).unwrap();
            let mut circle: Vec<String> =
                search.open.split_off(start).into_iter().map(String::from).collect();
            circle.sort();
            search.circles.extend((circle.len() > 1).then_some(circle));
        }
    }
    let mut search = Search::default();
    for node in graph.keys() {
        if !search.order.contains_key(node.as_str()) {
            visit(&mut search, graph, node);
        }
    }
    search.circles.sort();
    search.circles
}

#[test]
fn no_file_uses_itself_by_way_of_others() {
    let sources = sources();
    let graph = files_used(&sources);
    let edges: usize = graph.values().map(BTreeSet::len).sum();
    assert!(edges > 600, "only {edges} imports found: the reader of this test is broken");
    let found: Vec<String> = circles(&graph).iter().map(|circle| circle.join(" ")).collect();
    assert_none(found, "files that import each other in a circle");
}

#[test]
fn a_circle_would_be_found() {
    let graph = |edges: &[(&str, &str)]| {
        let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in edges {
            graph.entry(from.to_string()).or_default().insert(to.to_string());
            graph.entry(to.to_string()).or_default();
        }
        circles(&graph)
    };
    assert!(graph(&[("a", "b"), ("b", "c"), ("a", "c"), ("c", "d")]).is_empty());
    let both = [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("d", "e"), ("e", "d"), ("e", "f")];
    assert_eq!(graph(&both), [vec!["a", "b", "c"], vec!["d", "e"]]);
    let file =
        |path: &str, code: &str| SourceFile { path: path.into(), text: String::new(), code: code.into() };
    let files = [
        file("a/mod.rs", "mod b; pub use b::B; use super::d::D; use self::b::C;"),
        file("a/b.rs", "use super::A; use crate::{d::{self, D as E}, x};"),
        file("d.rs", "fn d() { pycstore::a::b::f() }"),
        file("a/e/f.rs", "use super::super::b::B;"),
    ];
    assert_eq!(circles(&files_used(&files)), [vec!["a", "a/b", "d"]]);
    assert_eq!(files_used(&files)["a/e/f"], BTreeSet::from(["a/b".to_string()]));
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
            "host/directory/mod.rs" => &["remove_file", "remove_directory", "unlinkat", "REMOVEDIR"],
            "effect/remove.rs" => &["remove_file", "remove_directory"],
            // Its own temporary file, where the store takes it no further.
            "effect/new_entry.rs" => &["remove_file"],
            // The project that the demo deletes is its own.
            "cli/demo.rs" => &["remove_dir_all"],
            // A file that was created for our block and holds nothing else, and the empty directories created for that file.
            "edits/execute.rs" => &["remove_file", "remove_dir"],
            // An empty receipt, and our state directory if it is empty.
            "edits/receipt.rs" => &["remove_file", "remove_dir"],
            _ => &[],
        };
        let forbidden: Vec<&str> = REMOVING.into_iter().filter(|word| !allowed.contains(word)).collect();
        wrong.extend(file.lines_with(&forbidden));
    }
    assert_none(wrong, "only effect/remove.rs removes from the store");
    let executor = read(&root().join("src/effect/remove.rs"));
    assert!(executor.code.contains("directory.remove_file("), "the executor removes elsewhere now");
    let new_entry = read(&root().join("src/effect/new_entry.rs"));
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
    assert_eq!(callers("execute_in"), ["effect/remove.rs", "effect/sweep.rs"]);
}

#[test]
fn one_file_writes_to_the_store() {
    let sources = sources();
    let callers = |word: &str| -> Vec<&str> {
        let calls = |file: &&SourceFile| !file.lines_with(&[word]).is_empty();
        sources.iter().filter(calls).map(|file| file.path.as_str()).collect()
    };
    for word in ["make_directory", "make_file", "put_in_place", "stamp"] {
        assert_eq!(callers(word), ["effect/new_entry.rs", "host/directory/mod.rs"], "{word}");
    }
    assert_eq!(callers("NewLink"), ["effect/new_entry.rs", "effect/reuse.rs", "effect/share/mod.rs"]);
    assert_eq!(callers("add_link"), ["effect/new_entry.rs", "host/directory/mod.rs"]);
    // It writes entries for two, and directories for the command that compiles.
    let writers = ["effect/adopt.rs", "effect/new_entry.rs", "effect/share/blocks.rs"];
    assert_eq!(callers("NewEntry"), writers);
    assert_eq!(callers("new_entry::write"), ["effect/compile.rs"]);
    assert_eq!(callers("write_in"), ["effect/new_entry.rs", "effect/reuse.rs"]);
    assert_eq!(callers("make_directories"), ["effect/adopt.rs", "effect/new_entry.rs", "effect/reuse.rs"]);
    assert_eq!(callers("make_mirror"), ["cli/warm/mod.rs", "effect/new_entry.rs"]);
    // An interpreter is told of no file of the store.
    let script = std::fs::read_to_string(root().join("src/effect/compile.py")).unwrap();
    assert!(!script.contains("pycache_prefix") && !script.contains("open("), "{script}");
}

#[test]
fn what_decides_neither_reads_nor_starts_anything() {
    let files = sources();
    let decides = files.iter().filter(|file| file.path.starts_with("verdict/"));
    let reads = ["host", "std::fs", "Command", "Directory", "metadata_of"];
    let wrong: Vec<String> = decides.flat_map(|file| file.lines_with(&reads)).collect();
    // A name in a list of what files are grouped by, and of keys.
    let wrong = wrong
        .into_iter()
        .filter(|line| !line.starts_with("src/verdict/view.rs") && !line.contains("FileKind::"));
    assert_none(wrong.collect(), "verdicts are pure: they are given facts");
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
    let effects = ROOMS.iter().position(|it| *it == "effect");
    let pure = |file: &&SourceFile| file.room().is_some() && file.room() < effects;
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
    let asking = library.flat_map(|file| file.lines_with(&WORLD));
    // It joins paths, and reads no variable.
    let asking = asking.filter(|line| !line.ends_with("use std::env::join_paths;"));
    assert_none(asking.collect(), "the library is told, it does not ask");
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
fn every_type_has_a_name_of_its_own() {
    let mut files: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let sources = sources();
    for file in &sources {
        for line in file.code.lines().filter(|line| !line.starts_with(' ')) {
            let mut words = line
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .skip_while(|word| word.is_empty() || ["pub", "crate", "super", "in"].contains(word));
            if words.next().is_some_and(|word| ["struct", "enum", "trait", "type"].contains(&word)) {
                files.entry(words.next().unwrap()).or_default().push(&file.path);
            }
        }
    }
    assert!(files.len() > 300, "{}", files.len());
    files.retain(|_, files| files.len() > 1);
    assert_none(
        files.iter().map(|(name, files)| format!("{name}: {files:?}")).collect(),
        "one name, one type",
    );
}

#[test]
fn files_are_named_after_nouns_of_the_domain() {
    let vague = ["util", "utils", "common", "helper", "helpers", "misc", "shared", "types"];
    for file in sources() {
        let stem = PathBuf::from(&file.path).file_stem().unwrap().to_string_lossy().into_owned();
        assert!(!vague.contains(&stem.as_str()), "src/{} says nothing by its name", file.path);
    }
}
