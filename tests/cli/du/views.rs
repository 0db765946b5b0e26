//! `pycstore du` in other views than that of owners: each has the same total, and names what it groups by.

use crate::support::{Interpreter, World, answer, interpreters, newest};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The newest interpreter, and another where there is one.
fn pair() -> impl Iterator<Item = &'static Interpreter> {
    std::iter::once(newest()).chain(interpreters().iter().find(|it| it.tag != newest().tag))
}

/// A store with something of everything: two tags where there are two interpreters, each status but `unknown`, owners
/// alive and gone, two packages and one that no `RECORD` names.
fn motley() -> (World, PathBuf) {
    let world = World::new();
    let project = world.project("project", &["a.py", "sub/b.py", "sub/deep/c.py", "stale.py", "zeros.py"]);
    let site = "project/.venv/lib/python3.12/site-packages";
    world.write(Path::new("project/.venv/pyvenv.cfg"), "home = /nowhere\n");
    for (name, module) in [("PyYAML", "yaml/__init__.py"), ("two-words", "two_words.py")] {
        world.write(format!("{site}/{module}"), "X = 1\n");
        let info = format!("{site}/{}-1.0.dist-info", name.replace('-', "_"));
        world.write(
            format!("{info}/METADATA"),
            format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"),
        );
        world.write(format!("{info}/RECORD"), format!("{module},sha256=x,6\n"));
    }
    world.write(format!("{site}/unrecorded/__init__.py"), "X = 1\n");
    let vanished = world.project("vanished", &["a.py", "b.py"]);
    for interpreter in pair() {
        world.compile(interpreter, &[], &[&project, &vanished]);
    }
    std::fs::write(project.join("stale.py"), "LONGER = 'than it was'\n").unwrap();
    std::fs::write(world.entry(&project.join("zeros.py"), newest(), ""), [0; 5000]).unwrap();
    std::fs::write(world.mirror(&project).join("README"), vec![b'x'; 9000]).unwrap();
    std::fs::write(world.mirror(&project).join(format!("a.{}.pyc.1", newest().tag)), "").unwrap();
    std::fs::remove_dir_all(&vanished).unwrap();
    (world, project)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

fn sum(rows: &[&Value], field: &str) -> u64 {
    rows.iter().map(|row| number(&row[field])).sum()
}

/// The rows of a view; asserts that they sum to the total.
#[track_caller]
fn view(world: &World, arguments: &[&str]) -> (Value, Vec<Value>) {
    let document = world.pycstore(["du", "--json"].iter().chain(arguments)).exits(0).json();
    let rows = document["view"]["rows"].as_array().unwrap().clone();
    // In a tree the topmost has it all.
    let is_tree = document["view"]["by"] == json!(["directory"]);
    let counted: Vec<&Value> = rows.iter().take(if is_tree { 1 } else { rows.len() }).collect();
    for field in ["files", "bytes"] {
        assert_eq!(sum(&counted, field), number(&document["total"][field]), "{field} of {arguments:?}");
    }
    let by_status = document["statuses"].as_object().unwrap().values().collect::<Vec<_>>();
    assert_eq!(sum(&counted, "disk"), sum(&by_status, "disk"), "{arguments:?}");
    for field in ["files", "bytes", "disk"] {
        let reclaimable: Vec<&Value> = counted.iter().map(|row| &row["reclaimable"]).collect();
        assert_eq!(sum(&reclaimable, field), number(&document["reclaimable"][field]), "{arguments:?}");
    }
    (document, rows)
}

/// The number of files by the text of a field.
fn files_by(rows: &[Value], field: &str) -> BTreeMap<String, u64> {
    let name = |row: &Value| row[field].as_str().unwrap_or("-").to_string();
    rows.iter().map(|row| (name(row), number(&row["files"]))).collect()
}

#[test]
fn the_default_view_is_as_it_was() {
    let (world, _) = motley();
    let document = world.pycstore(["du", "--json"]).exits(0).json();
    let fields: Vec<&String> = document.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["owners", "reclaimable", "schema", "statuses", "store", "total"]);
    let by_owner = world.pycstore(["du", "--by", "owner"]).exits(0).stdout;
    assert_eq!(world.pycstore(["du"]).exits(0).stdout, by_owner);
}

#[test]
fn every_view_names_what_it_groups_by() {
    let (world, project) = motley();
    let pythons = pair().count() as u64;
    let of = |by: &str| files_by(&view(&world, &["--by", by]).1, by);
    let expected = |rows: &[(&str, u64)]| -> BTreeMap<String, u64> {
        rows.iter().map(|&(name, files)| (name.to_string(), files)).collect()
    };
    assert_eq!(
        of("package"),
        expected(&[
            ("PyYAML", pythons),
            ("two-words", pythons),
            ("unrecorded", pythons),
            ("-", 7 * pythons + 2)
        ])
    );
    assert_eq!(
        of("status"),
        expected(&[
            ("fresh", 7 * pythons - 1),
            ("stale", pythons),
            ("orphan", 2 * pythons),
            ("corrupt", 1),
            ("foreign", 1),
            ("temporary", 1)
        ])
    );
    let mut tags = expected(&[("-", 1)]);
    tags.extend(pair().map(|it| (it.tag.clone(), 10)));
    *tags.get_mut(&newest().tag).unwrap() += 1;
    assert_eq!(of("tag"), tags);
    let (_, rows) = view(&world, &["--by", "owner,status"]);
    let cell = |row: &Value| {
        let root = row["owner"]["root"].as_str().unwrap();
        (root.to_string(), row["status"].as_str().unwrap().to_string(), number(&row["files"]))
    };
    let of_project: Vec<_> =
        rows.iter().map(cell).filter(|(root, ..)| *root == project.to_str().unwrap()).collect();
    assert_eq!(of_project.len(), 5, "{of_project:?}");
    let kinds = view(&world, &["--by", "kind"]).1;
    assert_eq!(files_by(&kinds, "kind")["project"], 8 * pythons + 2);
}

#[test]
fn directories_are_a_tree() {
    let (world, project) = motley();
    let pythons = pair().count() as u64;
    let under = ["--under", project.to_str().unwrap()];
    let (_, rows) = view(&world, &[&under[..], &["--depth", "1", "--sort", "name"]].concat());
    let shown = |row: &Value| {
        let directory = Path::new(row["directory"].as_str().unwrap()).strip_prefix(&project).unwrap();
        (number(&row["depth"]), directory.to_str().unwrap().to_string(), number(&row["files"]))
    };
    assert_eq!(
        rows.iter().map(shown).collect::<Vec<_>>(),
        [
            (0, String::new(), 8 * pythons + 2),
            (1, ".venv".into(), 3 * pythons),
            (1, "sub".into(), 2 * pythons)
        ]
    );
    let (document, rows) = view(&world, &["--under", "project/sub/b.py", "--by", "directory"]);
    assert_eq!(document["total"]["files"], pythons);
    assert_eq!(rows.len(), 1, "{rows:#?}");
}

#[test]
fn what_is_under_a_path_is_all_that_counts() {
    let (world, project) = motley();
    let document = view(&world, &["--under", "project"]).0;
    assert_eq!(view(&world, &["project"]).0["total"], document["total"]);
    let du = answer(world.command("du").args(["-s", "-B1"]).arg(world.mirror(&project))).exits(0);
    let gnu: u64 = du.stdout.split_whitespace().next().unwrap().parse().unwrap();
    assert_eq!(document["total"]["disk"], gnu);
    assert_eq!(document["owners"].as_array().unwrap().len(), 1);
}

#[test]
fn nothing_found_is_said() {
    let world = World::new();
    let project = world.project("p", &["a.py"]);
    world.compile(newest(), &[], &[&project]);
    let told = |arguments: &[&str]| {
        String::from_utf8(world.pycstore_on_terminal(300, [&["du"], arguments].concat())).unwrap()
    };
    let missing = world.home.join("nosuch");
    for option in ["--under", "--files-of"] {
        let said = format!("pycstore: no entry has a source at or below {}\n", missing.display());
        assert!(told(&[option, "nosuch"]).ends_with(&said), "{}", told(&[option, "nosuch"]));
        assert!(!told(&[option, "nosuch", "-q"]).contains("pycstore: "));
        assert!(!told(&[option, "p"]).contains("pycstore: nothing"));
        assert_eq!(world.pycstore(["du", option, "nosuch"]).exits(0).stderr, said);
    }
}

#[test]
fn the_files_of_an_owner_are_its_sources() {
    let (world, project) = motley();
    let pythons = pair().count() as u64;
    let (_, rows) = view(&world, &["--files-of", "project", "--sort", "files"]);
    let mut files = files_by(&rows, "source");
    let file = |name: &str| project.join(name).to_str().unwrap().to_string();
    assert_eq!(files.remove(&file("a.py")), Some(pythons + 1), "with the temporary");
    assert_eq!(files.remove(&file("README")), Some(1));
    assert_eq!(files.remove(&file(".venv/lib/python3.12/site-packages/two_words.py")), Some(pythons));
    assert_eq!(files.len(), 6);
    let environment = view(&world, &["--files-of", "project/.venv"]).1;
    assert_eq!(environment.len(), 3);
    let nobody = world.pycstore(["du", "--json", "--files-of", "nowhere"]).exits(0).json();
    assert_eq!((&nobody["total"]["files"], &nobody["owners"]), (&json!(0), &json!([])));
}

#[test]
fn the_top_leaves_a_rest() {
    let (world, _) = motley();
    let (_, rows) = view(&world, &["--by", "package", "--top", "2", "--sort", "files"]);
    assert_eq!((rows.len(), &rows[2]["rest"]), (3, &json!(2)));
    assert!(rows[2].get("package").is_none(), "the rest is no package: {:#}", rows[2]);
    let text = world.pycstore(["du", "--by", "package", "--top", "2"]).exits(0).stdout;
    assert!(text.lines().nth(3).unwrap().ends_with("  2 more"), "{text}");
}

#[test]
fn comma_separated_values_are_the_same_rows() {
    let (world, project) = motley();
    let odd = world.project("a, \"b\"", &["m.py"]);
    world.compile(newest(), &[], &[&odd]);
    let (document, rows) = view(&world, &["--by", "owner,tag"]);
    let text = world.pycstore(["du", "--csv", "--by", "owner,tag"]).exits(0).stdout;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        "row,owner_kind,owner,owner_gone,tag,files,bytes,disk,reclaimable_files,reclaimable_bytes,reclaimable_disk,tags,last_used,shared_files,shared_bytes,shared_disk"
    );
    assert_eq!(lines.len(), 1 + rows.len() + 2);
    let total = &document["total"];
    let start = format!("total,,,,,{},{},{},", total["files"], total["bytes"], total["disk"]);
    assert!(lines.last().unwrap().starts_with(&start), "{text}");
    let quoted = format!("\"{}\"", odd.to_str().unwrap().replace('"', "\"\""));
    assert!(lines.iter().any(|line| line.contains(&quoted)), "{text}");
    let first = &rows[0];
    let start = format!(
        "group,{},{},",
        first["owner"]["kind"].as_str().unwrap(),
        first["owner"]["root"].as_str().unwrap()
    );
    assert!(lines[1].starts_with(&start), "{text}");
    assert!(text.contains(project.to_str().unwrap()));
}

#[test]
fn two_spellings_of_a_project_are_one_owner() {
    let world = World::new();
    let project = world.project("project", &["a.py", "b.py"]);
    let link = world.home.join("link");
    symlink(&project, &link).unwrap();
    world.compile_files(newest(), &[&project.join("a.py"), &link.join("a.py"), &link.join("b.py")]);
    assert!(world.mirror(&link).is_dir(), "Python spells a source as it was told to");
    let document = world.pycstore(["du", "--json"]).exits(0).json();
    let owners = document["owners"].as_array().unwrap();
    assert_eq!(owners.len(), 1, "{owners:#?}");
    assert_eq!((&owners[0]["root"], &owners[0]["files"]), (&json!(project), &json!(3)));
    for spelling in ["project", "link"] {
        let (document, _) = view(&world, &["--files-of", spelling]);
        assert_eq!(document["total"]["files"], 3, "{spelling}");
        let pruned =
            world.pycstore(["prune", "--all", "--dry-run", "--json", "--owner", spelling]).exits(0).json();
        assert_eq!(pruned["removed"]["files"], 3, "{spelling}");
    }
    let removed = world.pycstore(["prune", "--all", "--yes", "--json"]).exits(0).json();
    assert_eq!(removed["owners"].as_array().unwrap().len(), 1, "{removed:#}");
}

#[test]
fn an_editable_installation_has_its_sources_elsewhere() {
    let world = World::new();
    let project = world.project("project", &["src/mine/__init__.py", "scripts/tool.py"]);
    let info = "project/.venv/lib/python3.12/site-packages/my_own-1.0.dist-info";
    world.write("project/.venv/pyvenv.cfg", "home = /nowhere\n");
    world.write(format!("{info}/METADATA"), "Metadata-Version: 2.1\nName: my-own\nVersion: 1.0\n");
    let url = format!("{{\"url\": \"file://{}\", \"dir_info\": {{\"editable\": true}}}}", project.display());
    world.write(format!("{info}/direct_url.json"), url);
    world.compile(newest(), &[], &[&project.join("src")]);
    let (_, rows) = view(&world, &["--by", "package"]);
    assert_eq!(files_by(&rows, "package"), [("my-own".to_string(), 1)].into());
}

#[test]
fn a_view_that_makes_no_sense_is_refused() {
    let world = World::new();
    world.compile(newest(), &[], &[&world.project("project", &["a.py"])]);
    world.pycstore(["du", "--by", "owner,tag"]).exits(0);
    for arguments in [
        &["--by", "owner,owner"][..],
        &["--by", "owner,tag,status"],
        &["--by", "tag", "--depth", "2"],
        &["--by", "colour"],
        &["--files-of", "x", "--by", "tag"],
        &["--json", "--csv"],
    ] {
        let answer = world.pycstore(["du"].iter().chain(arguments)).exits(2);
        assert!(answer.stdout.is_empty() && !answer.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn other_stores_are_named_when_asked() {
    let world = World::new();
    let project = world.project("project", &["a.py"]);
    world.compile(newest(), &[], &[&project]);
    let others: Value = world.pycstore(["du", "--json", "--all-stores"]).exits(0).json();
    assert_eq!(others["other_stores"], json!([]));
    let told = world.pycstore(["du", "--all-stores"]);
    insta::assert_snapshot!(told.shown(), @r"
    exit: 0
    ----- stdout -----
    SIZE  FILES  RECLAIMABLE  LAST USED  TAGS  OWNER
    SIZE  1  -  today  cpython-3.N  /home/me/project
    SIZE  N directories
    SIZE  1  -  total

    no other store found on this machine
    ----- stderr -----
    ");
    // As Python itself does it: a tilde in quotes is a directory of that name in the working directory.
    let mut python = world.python(newest());
    python
        .env("PYTHONPYCACHEPREFIX", "~/.cache/cpython")
        .env_remove("PYTHONDONTWRITEBYTECODE")
        .current_dir(&project);
    answer(python.args(["-c", "import a"])).exits(0);
    let tilde = project.join("~");
    assert!(tilde.is_dir(), "Python expands a tilde now");
    let document = world.pycstore(["du", "--json", "--all-stores"]).exits(0).json();
    let store = &document["other_stores"][0];
    assert_eq!((&store["path"], &store["kind"]), (&json!(tilde), &json!("literal-tilde")));
    let du = answer(world.command("du").args(["-s", "-B1"]).arg(&tilde)).exits(0);
    assert_eq!(store["disk"], du.stdout.split_whitespace().next().unwrap().parse::<u64>().unwrap());
    let text = world.pycstore(["du", "--all-stores"]).exits(0).stdout;
    assert!(text.ends_with(&format!("  literal-tilde  {}\n", tilde.display())), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn totals_are_equal_in_every_view(
        files in proptest::collection::vec(("(living|gone|living/pkg|x/y)", "[ab]\\.cpython-3(8|12)\\.pyc|README", 0..9000_usize), 1..12),
        first in 0..6_usize,
        second in 0..6_usize,
        top in proptest::option::of(0..4_usize),
    ) {
        const NAMES: [&str; 6] = ["owner", "package", "tag", "status", "kind", "directory"];
        let world = World::new();
        world.project("living", &["a.py", "pkg/a.py"]);
        for (directory, name, size) in files {
            let directory = world.mirror(&world.home).join(directory);
            std::fs::create_dir_all(&directory).unwrap();
            std::fs::write(directory.join(name), [&b"\xcb\x0d\x0d\x0a"[..], &vec![7; size]].concat()).unwrap();
        }
        let by = if first == second { NAMES[first].to_string() } else { format!("{},{}", NAMES[first], NAMES[second]) };
        let mut arguments = vec!["--by".to_string(), by];
        arguments.extend(top.iter().flat_map(|top| ["--top".to_string(), top.to_string()]));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (document, _) = view(&world, &arguments);
        let plain = world.pycstore(["du", "--json"]).exits(0).json();
        prop_assert_eq!(&document["total"], &plain["total"]);
        prop_assert_eq!(&document["reclaimable"], &plain["reclaimable"]);
    }
}

#[test]
fn tags_are_in_order_of_their_versions() {
    let world = World::new();
    let source = world.project("one", &[]).join("a.py");
    let mirror = world.mirror(source.parent().unwrap());
    std::fs::create_dir_all(&mirror).unwrap();
    let tags = ["cpython-39", "cpython-310", "pypy39", "pypy310"];
    for tag in tags {
        std::fs::write(mirror.join(format!("a.{tag}.pyc")), "").unwrap();
    }
    let (document, rows) = view(&world, &["--by", "tag"]);
    assert_eq!(rows.iter().map(|row| row["tag"].clone()).collect::<Vec<_>>(), tags);
    assert_eq!(document["owners"][0]["tags"], json!(tags));
    let csv = world.pycstore(["du", "--by", "owner", "--csv"]).exits(0);
    assert!(csv.stdout.contains(&format!(",{},", tags.join(" "))), "{}", csv.stdout);
    let which = world.pycstore(["which".as_ref(), "--json".as_ref(), source.as_os_str()]).exits(0);
    assert_eq!(which.json_lines().iter().map(|line| line["tag"].clone()).collect::<Vec<_>>(), tags);
}
