//! `pycstore report --html`: the page as text. What a browser makes of it is the business of `tests/host/browser`.

use crate::support::{Answer, World, answer, closed_pipe, newest};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Reads a page on standard input as a strict reader of HTML would, and answers what is in it as JSON.
const READER: &str = r#"
import base64, hashlib, html.parser, json, sys

VOID = {"meta", "input", "link", "br", "img"}
page = sys.stdin.buffer.read().decode("utf-8")

class Reader(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.problems, self.elements, self.scripts, self.styles = [], [], [], [], []

    def handle_starttag(self, tag, attributes):
        element = {"tag": tag, "attributes": dict(attributes), "text": "", "within": [it["tag"] for it in self.open],
                   "parent": self.open[-1]["attributes"] if self.open else {}}
        if len(element["attributes"]) != len(attributes):
            self.problems.append(f"an attribute twice in {tag}")
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open[-1]["tag"] != tag:
            self.problems.append(f"</{tag}> closes {self.open[-1]['tag'] if self.open else 'nothing'}")
        else:
            self.open.pop()

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def handle_comment(self, data):
        self.problems.append(f"a comment: {data}")

reader = Reader()
reader.feed(page)
reader.close()
reader.problems += [f"{it['tag']} stays open" for it in reader.open]
digest = lambda text: "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
hashes = {it["tag"]: digest(it["text"]) for it in reader.elements
          if it["tag"] == "style" or it["tag"] == "script" and "type" not in it["attributes"]}
for it in reader.elements:
    if it["tag"] in ("html", "head", "body", "main", "style"):
        del it["text"]
json.dump({"problems": reader.problems, "elements": reader.elements, "hashes": hashes}, sys.stdout)
"#;

/// A page, taken apart.
struct Page {
    text: String,
    elements: Vec<Value>,
    hashes: Value,
}

impl Page {
    /// Takes a page apart; no element stays open or is closed by another's end.
    #[track_caller]
    fn read(world: &World, text: &str) -> Page {
        let file = world.write("page.html", text);
        let mut reader = world.command(&newest().path);
        reader.args(["-I", "-B", "-c", READER]).stdin(std::fs::File::open(file).unwrap());
        let read = answer(&mut reader).exits(0).json();
        assert_eq!(read["problems"], json!([]));
        let elements = read["elements"].as_array().unwrap().clone();
        Page { text: text.into(), elements, hashes: read["hashes"].clone() }
    }

    /// Writes the report of a world's store to standard output and takes it apart.
    #[track_caller]
    fn of(world: &World) -> Page {
        Page::read(world, &world.pycstore(["report", "--html", "-"]).exits(0).stdout)
    }

    fn all<'a>(&'a self, tag: &'a str) -> impl Iterator<Item = &'a Value> {
        self.elements.iter().filter(move |element| element["tag"] == tag)
    }

    #[track_caller]
    fn by_id(&self, id: &str) -> &Value {
        let mut found = self.elements.iter().filter(|element| element["attributes"]["id"] == id);
        let element = found.next().unwrap_or_else(|| panic!("nothing has the id {id}"));
        assert!(found.next().is_none(), "two elements have the id {id}");
        element
    }

    /// The exact number that an element with this id shows.
    #[track_caller]
    fn number(&self, id: &str) -> u64 {
        let at = self.elements.iter().position(|element| element["attributes"]["id"] == id).expect(id);
        let data = self.elements[at..].iter().find(|element| element["tag"] == "data").unwrap();
        data["attributes"]["value"].as_str().unwrap().parse().unwrap()
    }

    /// The data within the page.
    fn data(&self) -> Value {
        serde_json::from_str(self.by_id("data")["text"].as_str().unwrap()).unwrap()
    }
}

/// A store with something of most statuses, of two owners and a gone one.
fn varied() -> World {
    let world = World::new();
    let one = world.project("one", &["a.py", "b.py", "c.py", "d.py"]);
    let two = world.project("two", &["a.py"]);
    let gone = world.project("gone", &["a.py", "b.py"]);
    world.write("one/big.py", "X = ('x', 'y', 'z')\n".repeat(900));
    world.compile(newest(), &[], &[&one, &two, &gone]);
    std::fs::remove_dir_all(&gone).unwrap();
    std::fs::remove_file(one.join("b.py")).unwrap();
    world.write("one/c.py", "NAME = 'another and longer'\n");
    std::fs::write(world.entry(&one.join("d.py"), newest(), ""), "short").unwrap();
    std::fs::write(world.mirror(&two).join("README"), "foreign").unwrap();
    world
}

#[test]
fn the_page_needs_nothing_but_itself() {
    let world = varied();
    let page = Page::of(&world);
    assert!(page.text.starts_with("<!DOCTYPE html><html lang=\"en\">"));
    let policy = page.all("meta").find(|meta| meta["attributes"]["http-equiv"] == "Content-Security-Policy");
    let (script, style) = (page.hashes["script"].as_str().unwrap(), page.hashes["style"].as_str().unwrap());
    assert_eq!(
        policy.unwrap()["attributes"]["content"],
        format!(
            "default-src 'none'; script-src '{script}'; style-src '{style}'; base-uri 'none'; form-action 'none'"
        ),
        "SCRIPT_HASH and STYLE_HASH in src/report/mod.rs have to be those of the files beside it"
    );
    assert_eq!(page.all("script").count(), 2, "the data and the script");
    for element in &page.elements {
        let attributes = element["attributes"].as_object().unwrap();
        for (name, value) in attributes {
            assert!(!["src", "srcset", "style", "action"].contains(&name.as_str()), "{element}");
            assert!(!name.starts_with("on"), "{element}");
            assert!(name != "href" || value.as_str().unwrap().starts_with('#'), "{element}");
        }
    }
    for outside in ["http://", "https://", "@import", "url(\"", "url('"] {
        assert!(!page.text.contains(outside), "{outside}");
    }
    assert_eq!(page.text.matches("url(").count(), page.text.matches("url(#pattern-").count());
}

#[test]
#[cfg_attr(feature = "portable", ignore = "needs O_NOATIME")]
fn the_totals_are_those_of_du() {
    let world = varied();
    let du = world.pycstore(["du", "--json"]).exits(0).json();
    let page = Page::of(&world);
    let mut data = page.data();
    let additional: Vec<Value> = ["generated", "program", "troubles"]
        .map(|key| data.as_object_mut().unwrap().remove(key).unwrap())
        .into();
    assert_eq!(additional[1], concat!("pycstore ", env!("CARGO_PKG_VERSION")));
    assert_eq!(additional[2], json!([]));
    assert!(page.by_id("data")["text"].as_str().unwrap().contains(additional[0].as_str().unwrap()));
    assert_eq!(data, du);
    for (id, value) in [
        ("total-disk", &du["total"]["disk"]),
        ("total-bytes", &du["total"]["bytes"]),
        ("total-files", &du["total"]["files"]),
        ("total-directories", &du["total"]["directories"]),
        ("total-reclaimable", &du["reclaimable"]["disk"]),
    ] {
        assert_eq!(page.number(id), value.as_u64().unwrap(), "{id}");
    }
    assert_eq!(page.number("total-owners"), 3);
    let statuses = du["statuses"].as_object().unwrap();
    for (status, tally) in statuses {
        assert_eq!(page.number(&format!("status-{status}")), tally["disk"].as_u64().unwrap(), "{status}");
    }
    let seen: Vec<&String> =
        statuses.iter().filter(|(_, it)| it["files"] != 0).map(|(name, _)| name).collect();
    assert_eq!(seen, ["corrupt", "foreign", "fresh", "orphan", "stale"], "the test is about these");
    let owners = du["owners"].as_array().unwrap();
    for (index, owner) in owners.iter().enumerate() {
        let id = format!("owner-{index}");
        assert_eq!(page.number(&id), owner["disk"].as_u64().unwrap());
        let root = owner["root"].as_str().unwrap().replace(world.home.to_str().unwrap(), "~");
        let row = page.by_id(&id)["text"].as_str().unwrap();
        assert!(row.starts_with(&root), "{row} is {root}");
        assert_eq!(row.contains(", gone"), owner["gone"].as_bool().unwrap(), "{row}");
        for status in owner["statuses"].as_object().unwrap().keys() {
            assert!(row.contains(status), "{row} has {status}");
        }
    }
}

#[test]
fn the_command_that_it_advises_is_about_the_same_store() {
    let world = varied();
    let advised = |arguments: &[&str]| -> String {
        let mut command = world.program();
        let told = answer(command.args(arguments).args(["report", "--html", "-"])).exits(0);
        let page = Page::read(&world, &told.stdout);
        let mut code = page.all("code").filter_map(|code| code["text"].as_str().map(String::from));
        code.find(|text| text.starts_with("pycstore prune")).unwrap()
    };
    assert_eq!(advised(&[]), "pycstore prune");
    let named = world.home.join("a & <b>'s");
    std::fs::rename(&world.store, &named).unwrap();
    // From another directory too.
    for store in [named.to_str().unwrap(), "a & <b>'s"] {
        let command = advised(&["--store", store]);
        let line = format!(
            "PATH={}:$PATH; cd /; {command} -n",
            Path::new(env!("CARGO_BIN_EXE_pycstore")).parent().unwrap().display()
        );
        let told = answer(world.command("sh").args(["-c", &line])).exits(0);
        assert!(told.stdout.contains("would remove 5 files and "), "{command}: {told:?}");
    }
}

#[test]
fn areas_are_sizes_and_colours_are_statuses() {
    let world = varied();
    let page = Page::of(&world);
    let data = page.data();
    let number = |element: &Value, name: &str| -> f64 {
        element["attributes"][name].as_str().unwrap().trim_end_matches('%').parse().unwrap()
    };
    let maps = page.all("svg").filter(|svg| svg["attributes"]["role"] == "img").count();
    assert_eq!(maps, 3, "for wide windows, for narrow ones and for those between");
    let parts: Vec<&Value> = page
        .all("rect")
        .filter(|rect| rect["parent"]["class"] == "tile" && rect["attributes"]["class"] != "edge")
        .collect();
    let of_files: u64 =
        data["statuses"].as_object().unwrap().values().map(|tally| tally["disk"].as_u64().unwrap()).sum();
    for (index, owner) in data["owners"].as_array().unwrap().iter().enumerate() {
        let index = index.to_string();
        for (status, tally) in owner["statuses"].as_object().unwrap() {
            let class = format!("part {status}");
            let area: f64 = parts
                .iter()
                .filter(|part| part["parent"]["data-owner"] == index && part["attributes"]["class"] == class)
                .map(|part| number(part, "width") * number(part, "height"))
                .sum();
            let expected = 3.0 * 10_000.0 * tally["disk"].as_f64().unwrap() / of_files as f64;
            assert!((area - expected).abs() < 1.0, "{owner}: {status} has {area}, not {expected}");
        }
    }
}

#[test]
fn a_reader_who_does_not_see_is_told_what_is_what() {
    let world = varied();
    let page = Page::of(&world);
    assert_eq!(page.all("table").count(), 1);
    let columns = page.all("th").filter(|cell| cell["attributes"]["scope"] == "col").count();
    let rows = page.all("th").filter(|cell| cell["attributes"]["scope"] == "row").count();
    assert_eq!((columns, rows), (9, 3 + 2), "a heading each column, row, and line of the foot");
    assert_eq!(page.all("th").count(), columns + rows);
    for row in page.all("tr") {
        let at = page.elements.iter().position(|element| element == row).unwrap();
        let cells = page.elements[at + 1..].iter().take_while(|element| element["tag"] != "tr");
        let cells = cells.filter(|element| ["th", "td"].contains(&element["tag"].as_str().unwrap())).count();
        assert_eq!(cells, columns, "{row}");
    }
    assert_eq!(page.by_id("shown")["attributes"]["role"], "status");
    assert!(page.all("label").any(|label| label["attributes"]["for"] == "filter"));
    for svg in page.all("svg").filter(|svg| !svg["within"].as_array().unwrap().contains(&json!("svg"))) {
        let attributes = &svg["attributes"];
        let is_told = attributes["aria-hidden"] == "true" || attributes["aria-label"].is_string();
        assert!(is_told, "{svg} is neither hidden nor named");
    }
    assert_eq!(page.all("h1").count(), 1);
}

#[test]
#[cfg_attr(feature = "portable", ignore = "needs O_NOATIME")]
fn hostile_names_are_shown_and_do_nothing() {
    let world = World::new();
    // A slash is a directory's end; over two directories a name can close an element all the same.
    let names: [&[u8]; 9] = [
        b"a</script><script>document.title='taken'</script>",
        b"<img src=x onerror=alert(1)>",
        b"\"' onmouseover=alert(1) x=\"",
        b"</title></style></td></table><!--",
        "right\u{202e}left\u{2066}\u{200f}".as_bytes(),
        b"{{DATA}}{{ROWS}}",
        b"line\nfeed\x1b[31m\x07",
        b"not \xff UTF-8",
        b"&lt;b&gt;&amp;#60;",
    ];
    for name in names {
        let project = world.home.join(OsStr::from_bytes(name));
        std::fs::create_dir_all(&project).unwrap();
        std::fs::write(project.join("pyproject.toml"), "").unwrap();
        std::fs::write(project.join("a.py"), "").unwrap();
        world.compile(newest(), &[], &[&project]);
    }
    let plain = world.project("plain", &["a.py"]);
    world.compile(newest(), &[], &[&plain]);
    let entry = world.entry(&plain.join("a.py"), newest(), "");
    std::fs::copy(&entry, entry.with_file_name("a.<s>tag&.pyc")).unwrap();
    let page = Page::of(&world);
    assert_eq!(page.all("tbody").count(), 1);
    assert_eq!(page.all("script").count(), 2);
    for tag in ["img", "b", "s"] {
        assert_eq!(page.all(tag).count(), 0, "{tag}");
    }
    let obeyed = |c: char| {
        c.is_control() && c != '\n'
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}')
    };
    assert_eq!(page.text.chars().find(|&c| obeyed(c)), None);
    // Nothing is lost: each name is shown, and the data are those of `du`.
    let du = world.pycstore(["du", "--json"]).exits(0).json();
    assert_eq!(page.data()["owners"], du["owners"]);
    assert_eq!(du["owners"].as_array().unwrap().len(), names.len() + 1);
    let shown: Vec<String> = page
        .all("bdi")
        .filter(|name| name["within"].as_array().unwrap().contains(&json!("tbody")))
        .map(|name| name["text"].as_str().unwrap().to_string())
        .collect();
    for name in [
        "~/a</script><script>document.title='taken'</script>",
        "~/<img src=x onerror=alert(1)>",
        "~/\"' onmouseover=alert(1) x=\"",
        "~/</title></style></td></table><!--",
        "~/right\\u{202e}left\\u{2066}\\u{200f}",
        "~/{{DATA}}{{ROWS}}",
        "~/line\\nfeed\\x1b[31m\\x07",
        "~/not \u{fffd} UTF-8",
        "~/&lt;b&gt;&amp;#60;",
    ] {
        assert!(shown.iter().any(|it| it == name), "{name:?} is not in {shown:#?}");
    }
}

#[test]
fn an_empty_store_has_a_page() {
    let world = World::new();
    std::fs::create_dir_all(&world.store).unwrap();
    let page = Page::of(&world);
    assert_eq!((page.number("total-files"), page.number("total-owners")), (0, 0));
    assert_eq!(page.data()["owners"], json!([]));
    assert!(!page.text.contains("NaN"));
}

/// Writes a report to a file.
fn write(world: &World, file: &Path) -> Answer {
    world.pycstore([OsStr::new("report"), OsStr::new("--html"), file.as_os_str()])
}

fn mode(file: &Path) -> u32 {
    file.metadata().unwrap().permissions().mode() & 0o777
}

fn names(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<PathBuf> = entries.map(|entry| entry.unwrap().file_name().into()).collect();
    names.sort();
    names
}

#[test]
fn the_file_is_replaced_as_a_whole() {
    let world = varied();
    let file = world.write("out/old.html", "old");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
    let mut reader = std::fs::File::open(&file).unwrap();
    let written = write(&world, &file).exits(0);
    assert_eq!((written.stdout.as_str(), written.stderr.as_str()), ("", ""));
    let page = std::fs::read_to_string(&file).unwrap();
    assert!(page.trim_end().ends_with("</html>"));
    assert_eq!(mode(&file), 0o640, "an old file keeps its mode");
    assert_eq!(
        std::io::read_to_string(&mut reader).unwrap(),
        "old",
        "who reads the old one reads it to its end"
    );
    let new = world.home.join("out/new.html");
    write(&world, &new).exits(0);
    assert_eq!(mode(&new), 0o600, "a new one is for its user alone");
    let link = world.home.join("out/link.html");
    symlink("old.html", &link).unwrap();
    let page = std::fs::read(&file).unwrap();
    write(&world, &link).exits(2);
    assert!(link.is_symlink(), "somebody else may have put it there");
    assert_eq!(std::fs::read(&file).unwrap(), page);
    assert_eq!(names(&world.home.join("out")), ["link.html", "new.html", "old.html"].map(PathBuf::from));
}

#[test]
fn what_cannot_be_written_is_said() {
    let world = varied();
    let missing = write(&world, &world.home.join("none/report.html")).exits(2);
    assert_eq!(
        world.neutral(&missing.stderr),
        "pycstore: cannot write /home/me/none/report.html: No such file or directory\n\
         hint: specify a file in a directory that you can write to, or `-`\n"
    );
    insta::assert_snapshot!(write(&world, &world.home).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: cannot write /home/me: it is not a regular file
    hint: specify a file in a directory that you can write to, or `-`
    ");
    let mut command = world.program();
    command.args(["report", "--html", "-"]).env("PYTHONPYCACHEPREFIX", &world.store).stdout(closed_pipe());
    answer(&mut command).exits(0);
    insta::assert_snapshot!(world.pycstore(["report"]).shown(), @r"
    exit: 2
    ----- stdout -----
    ----- stderr -----
    pycstore: the following required arguments were not provided: --html <FILE>
    hint: pycstore report --html <FILE>; more: pycstore help report
    ");
    let terminal = world.pycstore_on_terminal(80, ["report", "--html", "r.html"]);
    let terminal = String::from_utf8(terminal).unwrap();
    assert!(terminal.contains("wrote r.html: "), "{terminal:?}");
}

#[test]
fn what_could_not_be_read_is_in_the_page() {
    let world = varied();
    let closed = world.mirror(&world.home.join("two"));
    let mut command = world.unprivileged();
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o000)).unwrap();
    let report = answer(command.args(["report", "--html", "-"])).exits(1);
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o755)).unwrap();
    let trouble = format!("cannot read the directory {}", closed.display());
    assert!(report.stderr.contains(&trouble), "{}", report.stderr);
    let page = Page::read(&world, &report.stdout);
    let section = page.all("section").find(|section| section["attributes"]["class"] == "troubles").unwrap();
    assert!(section["text"].as_str().unwrap().contains(&trouble), "{section}");
    assert_eq!(page.data()["troubles"], json!([trouble]));
}

#[test]
fn packages_are_tiles_within_their_owner() {
    let world = World::new();
    let site = "p/.venv/lib/python3.12/site-packages";
    world.write("p/.venv/pyvenv.cfg", "home = /nowhere\n");
    for name in ["alpha", "beta"] {
        world.write(format!("{site}/{name}/__init__.py"), "X = 1\n");
        world.write(
            format!("{site}/{name}-1.0.dist-info/METADATA"),
            format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"),
        );
        world.write(format!("{site}/{name}-1.0.dist-info/RECORD"), format!("{name}/__init__.py,,\n"));
    }
    world.compile(newest(), &[], &[&world.home.join(site)]);
    let page = Page::of(&world);
    for name in ["alpha", "beta"] {
        assert!(page.text.contains(&format!("<g><title>{name} — ")), "{name}");
    }
    assert!(page.text.contains(">Disk usage</th>") && page.text.contains(">Apparent size</dt>"));
}
