//! The JSON documents are those of pycstore-json(5): the page is read, and what the commands print is compared with it.
//!
//! A field that is printed and not documented is an error, and so is one that is documented and missing, of another type,
//! or that no command printed here.

use crate::support::lock::lock_holder;
use crate::support::{Answer, World, answer, newest};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A field as the page has it.
#[derive(Debug, Clone)]
struct Field {
    types: Vec<String>,
    is_optional: bool,
}

/// The fields of a document by their paths: `owners.root`.
type Fields = BTreeMap<String, Field>;

/// The documents of the page by the names of their sections.
fn documents() -> BTreeMap<String, Fields> {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let mut documents: BTreeMap<String, Fields> = BTreeMap::new();
    let mut section = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix(".SH ") {
            section = name.trim_matches('"').to_string();
        }
        if line != ".TP" || !section.starts_with("pycstore ") {
            continue;
        }
        let tag = lines.next().unwrap();
        let (name, what) = tag.strip_prefix("\\fB").and_then(|tag| tag.split_once("\\fR ")).expect(tag);
        let types = what.trim_end_matches(", optional");
        let field = Field {
            types: types.split(" or ").map(String::from).collect(),
            is_optional: what.ends_with(", optional"),
        };
        let twice = documents.entry(section.clone()).or_default().insert(name.into(), field);
        assert!(twice.is_none(), "{section}: {name} is documented twice");
    }
    documents
}

/// The fields that take a fault of the disk, a change at the wrong moment or a strange name to be printed.
const UNSEEN: [&str; 24] = [
    "pycstore config: values.value_bytes",
    "pycstore du: owners.shared",
    "pycstore du: shared",
    "pycstore du: shared_by_owners",
    "pycstore du: view.rows.shared",
    "pycstore du: view.shared_by_rows",
    "pycstore history: left.bytes",
    "pycstore history: left.directories",
    "pycstore history: left.disk",
    "pycstore history: left.files",
    "pycstore inspect: other_links",
    "pycstore inspect: other_links.count",
    "pycstore inspect: other_links.paths",
    "pycstore prune, pycstore forget: failures.directories",
    "pycstore prune, pycstore forget: failures.error",
    "pycstore prune, pycstore forget: failures.files",
    "pycstore prune, pycstore forget: failures.path",
    "pycstore prune, pycstore forget: skipped.path",
    "pycstore prune, pycstore forget: skipped.why",
    "pycstore sweep: failures.directories",
    "pycstore sweep: failures.error",
    "pycstore sweep: failures.files",
    "pycstore sweep: failures.path",
    "pycstore verify: entries",
];

/// Compares what was printed with the page, and collects which fields were seen.
struct Comparison {
    documents: BTreeMap<String, Fields>,
    seen: BTreeSet<(String, String)>,
    /// The first document of each section, of which the page shows an example.
    examples: BTreeMap<String, Value>,
}

impl Comparison {
    fn new() -> Comparison {
        let mut documents = documents();
        let ls = documents["pycstore ls"].clone();
        documents.get_mut("pycstore inspect").unwrap().extend(ls.clone());
        documents.insert("pycstore which".into(), ls);
        Comparison { documents, seen: BTreeSet::new(), examples: BTreeMap::new() }
    }

    fn lines(&mut self, section: &str, answer: &Answer) {
        let lines = answer.json_lines();
        assert!(!lines.is_empty(), "{section}: {answer:?}");
        lines.iter().for_each(|line| self.document(section, line));
    }

    fn document(&mut self, section: &str, document: &Value) {
        let fields = self.documents[section].clone();
        self.examples.entry(section.into()).or_insert_with(|| document.clone());
        self.object(section, &fields, "", document);
    }

    fn object(&mut self, section: &str, fields: &Fields, within: &str, object: &Value) {
        let object = object.as_object().unwrap_or_else(|| panic!("{section}: {within}: {object}"));
        let full = |name: &str| if within.is_empty() { name.into() } else { format!("{within}.{name}") };
        for (name, value) in object {
            let path = full(name);
            let Some(field) = fields.get(&path) else {
                let of_path = path.strip_suffix("_bytes").and_then(|path| fields.get(path));
                let is_path = of_path.is_some_and(|field| field.types[0] == "path");
                assert!(is_path && value.is_string(), "{section}: {path} is not documented: {value}");
                continue;
            };
            self.seen.insert((section.into(), path.clone()));
            let fits = field.types.iter().any(|name| is_of_type(name, value));
            assert!(fits, "{section}: {path} is {value}, not {:?}", field.types);
            self.below(section, fields, &path, value);
        }
        // What has no dot behind `within.` is a field of this object.
        let prefix = full("");
        let own = fields.iter().filter_map(|(path, field)| Some((path.strip_prefix(&prefix)?, field)));
        for (name, field) in own.filter(|(name, _)| !name.contains('.')) {
            let is_there = field.is_optional || object.contains_key(name);
            assert!(is_there, "{section}: {prefix}{name} is missing: {object:?}");
        }
    }

    /// What is in a value, if its fields are documented.
    fn below(&mut self, section: &str, fields: &Fields, path: &str, value: &Value) {
        let prefix = format!("{path}.");
        if !fields.keys().any(|path| path.starts_with(&prefix)) {
            return;
        }
        match value {
            Value::Object(_) => self.object(section, fields, path, value),
            Value::Array(all) => all.iter().for_each(|one| self.object(section, fields, path, one)),
            _ => {}
        }
    }

    /// The documented fields that nothing printed.
    fn unseen(&self) -> Vec<String> {
        let all = self.documents.iter();
        let all =
            all.flat_map(|(section, fields)| fields.keys().map(move |path| (section.clone(), path.clone())));
        all.filter(|field| !self.seen.contains(field))
            .map(|(section, path)| format!("{section}: {path}"))
            .collect()
    }
}

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/man/pycstore-json.5");

const EXAMPLE: &str = ".PP\nFor example:\n.PP\n.RS 4\n.nf\n";

/// The page with an example at the end of each section of a document.
fn with_examples(page: &str, examples: &BTreeMap<String, String>) -> String {
    let mut sections = page.split("\n.SH ");
    let mut new = sections.next().unwrap().to_string();
    for section in sections {
        let fields = section.split(&format!("\n{EXAMPLE}")).next().unwrap();
        let name = fields.lines().next().unwrap().trim_matches('"');
        new += "\n.SH ";
        match examples.get(name) {
            Some(example) => {
                let example = example.replace('\\', "\\e").replace('-', "\\-");
                new += &format!("{fields}\n{EXAMPLE}{example}\n.fi\n.RE");
            }
            None => new += section,
        }
    }
    if !new.ends_with('\n') {
        new.push('\n');
    }
    new
}

/// The examples of the page.
fn examples(page: &str) -> BTreeMap<String, Value> {
    let mut examples = BTreeMap::new();
    for section in page.split("\n.SH ") {
        let Some((fields, example)) = section.split_once(EXAMPLE) else { continue };
        let example = example.split_once("\n.fi").unwrap().0.replace("\\-", "-").replace("\\e", "\\");
        let name = fields.lines().next().unwrap().trim_matches('"');
        let example =
            serde_json::from_str(&example).unwrap_or_else(|error| panic!("{name}: {error}: {example}"));
        examples.insert(name.into(), example);
    }
    examples
}

/// A document as the page shows it: with one object in each array, and with neutral paths.
fn as_example(world: &World, document: &Value) -> String {
    fn shorten(value: &mut Value) {
        match value {
            Value::Array(all) => {
                if all.iter().any(Value::is_object) {
                    all.truncate(1);
                }
                all.iter_mut().for_each(shorten);
            }
            Value::Object(all) => {
                // Where interpreters are differs from machine to machine.
                if let Some(Value::String(executable)) = all.get_mut("executable") {
                    *executable = format!("/usr/bin/{}", executable.rsplit('/').next().unwrap());
                }
                all.values_mut().for_each(shorten);
            }
            _ => {}
        }
    }
    let mut document = document.clone();
    shorten(&mut document);
    let own_home = std::env::var("HOME").unwrap();
    let example = serde_json::to_string_pretty(&document).unwrap();
    example
        .replace(world.home.to_str().unwrap(), "/home/ana")
        .replace(&format!("\"{own_home}/"), "\"/home/ana/")
        .replace(env!("CARGO_BIN_EXE_pycstore"), "/usr/bin/pycstore")
}

/// Compares the examples of the page with its fields. With `UPDATE_MAN=1`, first replaces them by those of this run.
fn check_examples(world: &World, printed: &BTreeMap<String, Value>) {
    let mut page = std::fs::read_to_string(PAGE).unwrap();
    if std::env::var_os("UPDATE_MAN").is_some() {
        let new = printed.iter().map(|(name, document)| (name.clone(), as_example(world, document)));
        page = with_examples(&page, &new.collect());
        std::fs::write(PAGE, &page).unwrap();
    }
    let (examples, mut comparison) = (examples(&page), Comparison::new());
    assert_eq!(examples.keys().collect::<Vec<_>>(), printed.keys().collect::<Vec<_>>());
    for (name, example) in &examples {
        comparison.document(name, example);
        let shape = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(shape(example), shape(&printed[name]), "{name}: renew the page with UPDATE_MAN=1");
    }
}

fn has_integers(value: &Value, names: &[&str]) -> bool {
    value.as_object().is_some_and(|object| {
        object.len() == names.len() && names.iter().all(|name| object.get(*name).is_some_and(Value::is_u64))
    })
}

fn is_of_type(name: &str, value: &Value) -> bool {
    match name {
        "string" | "path" => value.is_string(),
        "time" => value.as_str().is_some_and(|text| {
            text.len() >= 20 && text.as_bytes()[10] == b'T' && text.ends_with('Z') && !text.contains(' ')
        }),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "any" => !value.is_object() && !value.is_array(),
        "sum" => has_integers(value, &["files", "bytes", "disk"]),
        "total" => has_integers(value, &["files", "bytes", "disk", "directories"]),
        "owner" => {
            value.get("kind").is_some_and(Value::is_string)
                && value.get("gone").is_some_and(Value::is_boolean)
        }
        _ => panic!("no type of pycstore-json(5): {name}"),
    }
}

/// Projects with entries of all kinds: fresh, stale, deleted with and without their directory, hash-based, damaged.
fn world() -> World {
    let world = World::of_projects(&["g.py"], &["a.py", "b.py"]);
    let shop = world.project("shop", &["a.py"]);
    world.compile(newest(), &[], &[&shop]);
    let hashed = world.project("hashed", &["h.py"]);
    world.compile(newest(), &["--invalidation-mode", "checked-hash"], &[&hashed]);
    std::fs::remove_file(world.home.join("shop/a.py")).unwrap();
    let kept = world.home.join("kept");
    std::fs::write(kept.join("a.py"), "changed = True\n").unwrap();
    let damaged = world.entry(&kept.join("b.py"), newest(), "");
    let bytes = std::fs::read(&damaged).unwrap();
    std::fs::write(&damaged, &bytes[..bytes.len() - 3]).unwrap();
    world
}

#[test]
fn what_is_printed_is_what_the_page_says() {
    let mut comparison = Comparison::new();
    let world = world();
    let (home, newest) = (world.home.to_str().unwrap(), newest());
    let kept = world.home.join("kept");
    let source = |path: &str| world.home.join(path).to_str().unwrap().to_string();

    for rows in [
        &[][..],
        &["--by", "package,tag"],
        &["--by", "status,kind"],
        &["--by", "directory"],
        &["--by", "owner", "--top", "1"],
        &["--all-stores"],
    ] {
        let answer = world.pycstore([&["du", "--json"], rows].concat()).exits(0);
        comparison.document("pycstore du", &answer.json());
    }
    let of_kept = world.pycstore(["du", "--json", "--files-of", kept.to_str().unwrap()]).exits(0);
    comparison.document("pycstore du", &of_kept.json());
    comparison.lines("pycstore ls", &world.pycstore(["ls", "--json"]).exits(0));
    comparison.lines("pycstore which", &world.pycstore(["which", "--json", &source("kept/a.py")]).exits(0));
    let expected = world.pycstore(["which", "--expected", "--json", &source("kept/a.py")]);
    comparison.lines("pycstore which --expected", &expected);
    for path in ["kept/a.py", "kept/b.py", "shop/a.py", "hashed/h.py"] {
        let entry = world.entry(&world.home.join(path), newest, "");
        comparison.lines("pycstore inspect", &world.pycstore(["inspect", "--json", entry.to_str().unwrap()]));
    }
    let of_b = world.entry(&kept.join("b.py"), newest, "");
    comparison
        .lines("pycstore source", &world.pycstore(["source", "--json", of_b.to_str().unwrap()]).exits(0));
    comparison.lines("pycstore verify", &world.pycstore(["verify", "--json"]).exits(1));
    comparison.lines("pycstore interpreters", &world.pycstore(["interpreters", "--json"]));
    comparison.document("pycstore config", &world.pycstore(["config", "--json"]).exits(0).json());
    comparison.lines("pycstore doctor", &world.pycstore(["doctor", "--json"]));
    world.compile(newest, &[], &[&world.project("site-packages", &["tool.py"])]);
    let all = world.pycstore(["prune", "--all", "--dry-run", "--json", "--keep", "**/kept"]).exits(0);
    comparison.document("pycstore prune, pycstore forget", &all.json());
    for dry in [&["--dry-run"][..], &[]] {
        let arguments = ["prune", "--json", "--orphans", "--stale", "--corrupt"];
        let answer = world.pycstore([&arguments, dry].concat()).exits(0);
        comparison.document("pycstore prune, pycstore forget", &answer.json());
    }
    for dry in [&["--dry-run"][..], &[]] {
        let answer = world.pycstore([&["share", "--json"], dry].concat()).exits(0);
        comparison.document("pycstore share", &answer.json());
    }
    comparison.lines("pycstore history", &world.pycstore(["history", "--json"]).exits(0));
    let units = world.pycstore(["schedule", "install", "--print", "--with", "systemd"]).exits(0).stdout;
    let timer = units.split_once("# pycstore.timer\n").unwrap().1;
    let timer = world.write(".config/systemd/user/pycstore.timer", timer);
    let wanted = world.write(".config/systemd/user/timers.target.wants/link", "");
    std::os::unix::fs::symlink(timer, wanted.with_file_name("pycstore.timer")).unwrap();
    // Without crontab(1).
    let mut status = world.program();
    status.env("PYTHONPYCACHEPREFIX", &world.store).env("PATH", world.home.join("bin"));
    let status = answer(status.args(["schedule", "status", "--json"])).exits(0);
    comparison.document("pycstore schedule status", &status.json());
    let broken = world.write("broken/m.py", "def\n");
    let python = newest.path.to_str().unwrap();
    let warmed = world
        .pycstore(["warm", "--json", "--python", python, broken.to_str().unwrap(), &source("kept/a.py")])
        .exits(1);
    comparison.document("pycstore warm", &warmed.json());
    crate::support::compile_in_tree(&world, newest, &[], &[&kept]);
    std::fs::create_dir_all(world.home.join("kept/environment")).unwrap();
    std::fs::write(world.home.join("kept/environment/pyvenv.cfg"), "").unwrap();
    std::fs::write(world.home.join("kept/old.pyc"), "no header").unwrap();
    let swept = world.pycstore(["sweep", "--json", "--adopt", home]);
    comparison.document("pycstore sweep", &swept.json());
    let page = world.pycstore(["report", "--html", "-"]).exits(0).stdout;
    let start = page.find("type=\"application/json\"").expect("the data of the page");
    let data = page[start..].split_once('>').unwrap().1.split_once("</script>").unwrap().0;
    let mut data: Value = serde_json::from_str(data).unwrap();
    let own =
        ["generated", "program", "troubles"].map(|name| (name, data.as_object_mut().unwrap().remove(name)));
    comparison.document("pycstore du", &data);
    comparison.document("pycstore report", &serde_json::json!(BTreeMap::from(own)));
    let other = world.home.join("other");
    std::fs::create_dir(&other).unwrap();
    let others =
        world.pycstore(["--store", other.to_str().unwrap(), "du", "--json", "--all-stores"]).exits(0);
    comparison.document("pycstore du", &others.json());
    let mut holder = lock_holder(&world, &world.store);
    let locked = world.pycstore(["prune", "--orphans", "--json"]);
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!(locked.code, 0, "{locked:?}");
    comparison.lines("pycstore history", &world.pycstore(["history", "--json"]).exits(0));
    assert_eq!(comparison.unseen(), UNSEEN);
    check_examples(&world, &comparison.examples);
}
