//! Import hooks with entries of their own, as the package index has them: what they write, whether they correct the name of
//! the file, and that `share` leaves their entries alone.

use super::environments::with_pip;
use crate::support::{World, answer, files, reach_index};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A hook: its module, the code that imports the module with it and prints the name of the file, and how its entry is marked.
const HOOKS: [(&str, &str, &str); 3] = [
    (
        "of_typeguard",
        "from typeguard import install_import_hook\nwith install_import_hook('of_typeguard'):\n    import of_typeguard as it",
        ".opt-typeguard",
    ),
    (
        "of_beartype",
        "from beartype.claw import beartype_package\nbeartype_package('of_beartype')\nimport of_beartype as it",
        ".opt-beartype",
    ),
    (
        "of_jaxtyping",
        "from jaxtyping import install_import_hook\nwith install_import_hook('of_jaxtyping', 'beartype.beartype'):\n    import of_jaxtyping as it",
        ".opt-jaxtyping",
    ),
];

/// Prints the name of the file of the function, which the hook may have wrapped.
const SHOW: &str = "
function = it.function
while hasattr(function, '__wrapped__'):
    function = function.__wrapped__
print(function.__code__.co_filename)";

const TEST: &str = "
def test_it():
    print('FILE', test_it.__code__.co_filename)
    assert 1 == 1
";

/// A directory of what pip installs.
fn installed(world: &World, name: &str, distributions: &[&str]) -> PathBuf {
    let target = world.home.join(name);
    let mut pip = world.command(&with_pip().path);
    reach_index(&mut pip);
    pip.args(["-B", "-m", "pip", "install", "-q", "--no-compile", "--target"])
        .arg(&target)
        .args(distributions);
    answer(&mut pip).exits(0);
    target
}

/// The name of the file that a module has when it is imported with each hook: by the hook.
fn filenames(world: &World, project: &Path, latest: &Path, old: &Path) -> BTreeMap<&'static str, String> {
    let python = |packages: &Path, arguments: &[&str]| {
        let path = format!("{}:{}", project.display(), packages.display());
        let mut python = world.python(with_pip());
        python.env("PYTHONPATH", path).current_dir(project).args(arguments);
        answer(&mut python).exits(0).stdout
    };
    let mut found = BTreeMap::new();
    for (hook, code, _) in HOOKS {
        found.insert(hook, python(latest, &["-c", &format!("{code}{SHOW}")]).trim().to_string());
    }
    for (hook, packages) in [("pytest", latest), ("pytest 8", old)] {
        let told = python(packages, &["-m", "pytest", "-qs", "-p", "no:cacheprovider", "test_it.py"]);
        let line = told.lines().find_map(|line| line.split_once("FILE ")).map(|(_, name)| name.to_string());
        found.insert(hook, line.unwrap_or_else(|| panic!("{told}")));
    }
    found
}

#[test]
#[ignore = "needs a package index"]
fn the_entries_of_import_hooks_are_left_alone() {
    let world = World::new();
    let latest = installed(&world, "latest", &["typeguard", "beartype", "jaxtyping", "numpy", "pytest"]);
    let old = installed(&world, "old", &["pytest==8.4.2"]);
    let projects = ["one", "two"].map(|name| world.home.join(name));
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    for project in &projects {
        fs::create_dir(project).unwrap();
        for (name, text) in HOOKS
            .map(|(name, ..)| (name, "def function(number: int) -> int:\n    return number\n"))
            .into_iter()
            .chain([("test_it", TEST), ("plain", "X = 1\n")])
        {
            let source = project.join(format!("{name}.py"));
            fs::write(&source, text).unwrap();
            fs::File::options().write(true).open(source).unwrap().set_modified(then).unwrap();
        }
        for (hook, filename) in filenames(&world, project, &latest, &old) {
            let name = if hook.starts_with("pytest") { "test_it" } else { hook };
            assert_eq!(Path::new(&filename), project.join(format!("{name}.py")), "{hook}");
        }
        world.compile_files(with_pip(), &[&project.join("plain.py")]);
    }
    // What they write.
    let tag = &with_pip().tag;
    let mirror = projects.each_ref().map(|project| world.mirror(project));
    let names: Vec<String> =
        files(&mirror[0]).iter().map(|path| path.file_name().unwrap().to_str().unwrap().into()).collect();
    assert_eq!(names.len(), HOOKS.len() + 3, "{names:?}");
    let marks = HOOKS.map(|(name, _, mark)| format!("{name}.{tag}{mark}"));
    for mark in marks.into_iter().chain([format!("test_it.{tag}-pytest-")]) {
        assert!(names.iter().any(|name| name.starts_with(&mark)), "{mark}: {names:?}");
    }
    // The entries of one project for the other, as links would have it.
    for name in &names {
        fs::copy(mirror[0].join(name), mirror[1].join(name)).unwrap();
    }
    for (hook, filename) in filenames(&world, &projects[1], &latest, &old) {
        let project = if hook == "pytest 8" { &projects[0] } else { &projects[1] };
        assert!(Path::new(&filename).starts_with(project), "{hook}: {filename}");
    }
    let under = projects.each_ref().map(|project| project.to_str().unwrap());
    let share = ["share", "--under", under[0], "--under", under[1]];
    let told = world.pycstore(share).exits(0);
    let lines: Vec<&str> = told.stdout.lines().collect();
    assert!(lines[0].starts_with("made 1 entry links of 1 file"), "{told:?}");
    assert_eq!(
        lines[1..],
        ["left alone: 10 entries that an import hook wrote, such as pytest's"],
        "{told:?}"
    );
    for (name, mirror) in names.iter().flat_map(|name| mirror.each_ref().map(|mirror| (name, mirror))) {
        let links = if name.starts_with("plain.") { 2 } else { 1 };
        assert_eq!(mirror.join(name).metadata().unwrap().nlink(), links, "{name}");
    }
}
