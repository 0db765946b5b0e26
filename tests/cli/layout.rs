//! The mapping from source to entry, against every interpreter's own `importlib.util.cache_from_source`.

use crate::support::{World, answer, interpreters};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use pycstore::pyc::name::{self, Name};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

const OPTIMIZATIONS: [&str; 4] = ["", "1", "2", "typeguard460"];

/// Names that lose or keep something on their way to the store.
const NAMES: [&str; 44] = [
    "b.py",
    "b.c.py",
    "a.b.c.d.py",
    "__init__.py",
    "__main__.py",
    ".hidden.py",
    ".hidden",
    "..twice",
    "...",
    "..py",
    "script",
    "script3",
    "x.",
    "x..",
    "x.hy",
    "x.pyw",
    "x.so.py",
    "x.tar.gz",
    "x.cpython-312.py",
    "cpython-312",
    "cpython-312.py",
    "acpython-31",
    "pypy39.py",
    "graalpy240-311",
    "opt-1.py",
    "a.opt-1.py",
    "a.opt-1",
    "a-pytest-1.py",
    "test_a-pytest-9.2.0",
    "x.pyc",
    "x.pyc.123",
    "naïve.py",
    "東京.py",
    "🐍.py",
    "with space.py",
    " leading.py",
    "trailing .py ",
    "tab\there.py",
    "line\nfeed.py",
    "quote'\"`.py",
    "back\\slash.py",
    "-dash.py",
    "$HOME;*?[a]{b}~#%.py",
    "C:drive.py",
];

/// Directories as they are spelled: nothing in them is resolved or collapsed.
const DIRECTORIES: [&str; 9] = [
    "/a",
    "//a",
    "///a//b",
    "/a/",
    "/a/./b",
    "/a/../b",
    "/with space/ü/.hid",
    "/a/__pycache__",
    "/x.cpython-312.pyc",
];

/// Absolute paths of sources: every name in one directory, one name in every directory, and made-up ones.
fn sources() -> Vec<PathBuf> {
    let mut sources: Vec<Vec<u8>> = NAMES.iter().map(|name| format!("/a/{name}").into_bytes()).collect();
    sources.extend([&b"/a/caf\xe9.py"[..], b"/a/\xff\xfe", b"/a\x80/b.py", b"/a/x.\xc3"].map(<[u8]>::to_vec));
    sources.extend(DIRECTORIES.iter().map(|directory| format!("{directory}/b.py").into_bytes()));
    let mut runner = TestRunner::deterministic();
    let byte = proptest::prop_oneof![
        4 => proptest::sample::select(b"ab.".to_vec()),
        1 => proptest::sample::select((1..=255).filter(|byte| *byte != b'/').collect::<Vec<u8>>()),
    ];
    let component = || proptest::collection::vec(byte.clone(), 1..9);
    let path = (component(), component());
    for _ in 0..500 {
        let (directory, name) = path.new_tree(&mut runner).unwrap().current();
        if name != b"." && name != b".." {
            sources.push([b"/", &directory[..], b"/", &name[..]].concat());
        }
    }
    sources.into_iter().map(|source| PathBuf::from(OsString::from_vec(source))).collect()
}

#[test]
fn every_interpreter_keeps_bytecode_where_the_layout_says() {
    let world = World::new();
    let sources = sources();
    // One process an interpreter. Paths go there and come back in hexadecimal, for not all are text.
    let ask = "\
import importlib.util, json, os, sys
def entry(source, optimization):
    source = os.fsdecode(bytes.fromhex(source))
    return os.fsencode(importlib.util.cache_from_source(source, optimization=optimization)).hex()
sources, optimizations = json.load(open(sys.argv[1]))
print(json.dumps([[entry(source, o) for o in optimizations] for source in sources]))
";
    let hexadecimal = |path: &Path| -> String {
        path.as_os_str().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let hexadecimals: Vec<String> = sources.iter().map(|source| hexadecimal(source)).collect();
    let question = serde_json::to_string(&(hexadecimals, OPTIMIZATIONS)).unwrap();
    let question = world.write("question.json", question);
    for interpreter in interpreters() {
        let asked = answer(world.python(interpreter).args(["-B", "-c", ask]).arg(&question)).exits(0);
        let answers: Vec<Vec<String>> = serde_json::from_str(&asked.stdout).unwrap();
        assert_eq!(answers.len(), sources.len());
        for (source, answers) in sources.iter().zip(&answers) {
            for (optimization, theirs) in OPTIMIZATIONS.iter().zip(answers) {
                let ours =
                    name::cache_from_source(&world.store, source, &interpreter.tag, optimization).unwrap();
                let context = format!("{} {source:?} {optimization:?}", interpreter.tag);
                assert_eq!(&hexadecimal(&ours), theirs, "{context}: we say {ours:?}");

                // And back: what Python made is read as what it was made from.
                let name = ours.file_name().unwrap().as_bytes();
                let Name::Bytecode(slot) = Name::parse(name) else { panic!("{context}: foreign {ours:?}") };
                let source_name = source.file_name().unwrap_or(OsStr::new("")).as_bytes();
                assert!(slot.holds(source_name), "{context}: {slot:?}");
                assert_eq!(
                    (slot.tag, slot.optimization),
                    (interpreter.tag.as_str(), *optimization),
                    "{context}"
                );
                assert_eq!(slot.pytest, None, "{context}");
            }
        }
    }
}

#[test]
fn the_store_gives_a_module_back_to_the_interpreter_that_wrote_it() {
    // The whole way round: Python writes, we find the entry by its source and the source by its entry.
    let world = World::new();
    let names = ["a.py", "dotted.name.py", ".hidden.py", "gui.pyw", "tool", "x.", ".hidden2", "東京.py"];
    let project = world.project("p", &names);
    let sources: Vec<PathBuf> = names.iter().map(|name| project.join(name)).collect();
    let compile = "for source in sys.argv[1:]: py_compile.compile(source, doraise=True)";
    for interpreter in interpreters() {
        answer(world.compiler(interpreter, compile).args(&sources)).exits(0);
    }
    for source in &sources {
        let entries: Vec<PathBuf> =
            interpreters().iter().map(|interpreter| world.entry(source, interpreter, "")).collect();
        let found = world.pycstore([OsStr::new("which"), OsStr::new("--json"), source.as_os_str()]).exits(0);
        let found: Vec<PathBuf> =
            found.json_lines().iter().map(|line| PathBuf::from(line["path"].as_str().unwrap())).collect();
        let mut expected = entries.clone();
        expected.sort_by_key(|entry| entry.as_os_str().len()); // cpython-39 before cpython-310
        assert_eq!(found, expected, "{}", source.display());
        let back =
            world.pycstore([OsStr::new("source")].into_iter().chain(entries.iter().map(|it| it.as_os_str())));
        let expected = format!("{}\n", source.display()).repeat(entries.len());
        assert_eq!(back.exits(0).stdout, expected);
    }
}
