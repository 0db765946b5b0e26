//! Whose bytes these are, by layouts that tools and distributions leave: alive, and when they are gone.
//!
//! The layouts are made by hand here, so that no tool need be installed; `tests/host/layouts.rs` has the tools make them.

use crate::support::{World, date_back, newest};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// `kind`, and ` gone` if it is, of each owner, by its path from the home or whole.
fn owners(world: &World) -> BTreeMap<String, String> {
    let document = world.pycstore(["du", "--json"]).exits(0).json();
    let row = |row: &Value| {
        let root = Path::new(row["root"].as_str().unwrap());
        let root = root.strip_prefix(&world.home).unwrap_or(root).to_str().unwrap().to_string();
        let gone = if row["gone"] == true { " gone" } else { "" };
        (root, format!("{}{gone}", row["kind"].as_str().unwrap()))
    };
    document["owners"].as_array().unwrap().iter().map(row).collect()
}

/// The module, the owner's path, its kind; and, once the directory named last is removed, what is left to tell.
const LAYOUTS: [(&str, &str, &str, &str, &str); 14] = [
    ("uv/python/cpython-3.12/lib/python3.12/os.py", "uv/python/cpython-3.12", "interpreter", "", ""),
    (".pyenv/versions/3.12.1/lib/python3.12/os.py", ".pyenv/versions/3.12.1", "interpreter", "", ""),
    ("free/lib/python3.14t/os.py", "free", "interpreter", "", ""),
    (
        "brew/Cellar/python@3.12/3.12.1/Frameworks/Python.framework/Versions/3.12/lib/python3.12/os.py",
        "brew/Cellar/python@3.12/3.12.1/Frameworks/Python.framework/Versions/3.12",
        "interpreter",
        "brew/Cellar/python@3.12",
        "interpreter gone",
    ),
    ("brew/lib/python3.12/site-packages/m.py", "brew", "interpreter", "", ""),
    (".local/lib/python3.12/site-packages/m.py", ".local/lib/python3.12", "user-site", "", ""),
    ("Library/Python/3.12/lib/python/site-packages/m.py", "Library/Python/3.12", "user-site", "", ""),
    // uv names an archive by a hash, pre-commit a clone; a clone is nobody's project there.
    (".cache/uv/archive-v0/x1/numpy/m.py", ".cache/uv", "tool-cache", "", ""),
    (".cache/pre-commit/repo1/setup.py", ".cache/pre-commit", "tool-cache", "", ""),
    (
        ".local/share/uv/tools/ruff/lib/python3.12/site-packages/m.py",
        ".local/share/uv/tools/ruff",
        "tool-cache",
        "",
        "",
    ),
    (
        ".local/share/pipx/venvs/black/lib/python3.12/site-packages/m.py",
        ".local/share/pipx/venvs/black",
        "tool-cache",
        "",
        "",
    ),
    ("tested/.tox/py312/lib/python3.12/site-packages/m.py", "tested/.tox", "tool-cache", "", ""),
    ("tested/.nox/lint/lib/python3.12/site-packages/m.py", "tested/.nox", "tool-cache", "", ""),
    (
        "scratch/pip-build-env-x1/overlay/lib/python3.12/site-packages/m.py",
        "scratch/pip-build-env-x1",
        "build",
        "",
        "",
    ),
];

#[test]
fn every_layout_has_its_owner_there_and_gone() {
    let world = World::new();
    world.project("tested", &[]);
    for (module, ..) in LAYOUTS {
        world.compile_files(newest(), &[&world.write(module, "X = 1\n")]);
    }
    let found = owners(&world);
    for (module, root, kind, ..) in LAYOUTS {
        assert_eq!(found.get(root).map(String::as_str), Some(kind), "{module} in {found:#?}");
    }
    assert_eq!(found.len(), LAYOUTS.len(), "{found:#?}");

    for (_, root, kind, removed, left) in LAYOUTS {
        if root == "brew" {
            continue; // What is left of it then is its cellar's business.
        }
        let (gone, expected) = match removed {
            "" => (root, format!("{kind} gone")),
            removed => (removed, left.to_string()),
        };
        // An empty directory would tell nothing of what is missing in it.
        world.write(Path::new(gone).with_file_name("keep"), "");
        std::fs::remove_dir_all(world.home.join(gone)).unwrap();
        let found = owners(&world);
        assert_eq!(found.get(gone), Some(&expected), "{gone} in {found:#?}");
    }
}

#[test]
fn debians_libraries_are_the_interpreters() {
    let world = World::new();
    let module = world.write("m.py", "X = 1\n");
    world.compile_files(newest(), &[&module]);
    let entry = world.entry(&module, newest(), "");
    // Real entries for paths that are there on Debian only; elsewhere they are those of an interpreter that is gone.
    for library in ["/usr/lib/python3.99", "/usr/lib/python3", "/usr/local/lib/python3.99"] {
        let mirror = world.mirror(Path::new(library)).join("dist-packages");
        std::fs::create_dir_all(&mirror).unwrap();
        let copy = mirror.join(entry.file_name().unwrap());
        std::fs::copy(&entry, &copy).unwrap();
        date_back(&copy);
    }
    let mut found = owners(&world);
    found.retain(|root, _| root.starts_with("/usr"));
    assert!(found.len() >= 2 && found.values().all(|kind| kind.starts_with("interpreter")), "{found:#?}");
    let alive = if Path::new("/usr/lib/python3").is_dir() { "/usr" } else { "/usr/lib/python3" };
    assert!(found.contains_key(alive), "{found:#?}");
}
