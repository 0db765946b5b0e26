//! `pycstore config`, and what the configuration does to the other commands.

use crate::support::{Answer, World, answer};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const PLACE: &str = ".config/pycstore/config.toml";

/// Runs the program with nothing in its environment but these variables.
fn run(world: &World, variables: &[(&str, &str)], arguments: &[&str]) -> Answer {
    let mut command = world.program();
    answer(command.envs(variables.iter().copied()).args(arguments))
}

/// `value`, `from`, `name` and `line` of each value with this key.
fn values(answer: &Answer, key: &str) -> Vec<String> {
    let document = answer.json();
    let values = document["values"].as_array().unwrap();
    let of_key = values.iter().filter(|value| value["key"] == key);
    of_key.map(|it| format!("{} {} {} {}", it["value"], it["from"], it["name"], it["line"])).collect()
}

/// A store with one entry, made by hand: nothing is asked of it but to be there.
fn store(world: &World, name: &str) -> PathBuf {
    world.write(format!("{name}/mnt/gone-disk/m.cpython-312.pyc"), *b"\xcb\r\r\n0123456789ab");
    world.home.join(name)
}

#[test]
fn without_a_file_everything_is_default() {
    let world = World::new();
    let shown = run(&world, &[], &["config"]).exits(0);
    assert_eq!(shown.stderr, "");
    let home = world.home.display();
    let lines: Vec<&str> = shown.stdout.lines().collect();
    assert_eq!(lines[0], "KEY                      FROM     VALUE");
    assert_eq!(lines[1], format!("config                   default  {home}/{PLACE} (missing)"));
    assert_eq!(lines[2], format!("store                    default  {home}/.cache/cpython (missing)"));
    assert_eq!(lines[3], "threads                  default  as many as the disk can use");
    assert_eq!(lines.len(), 18);
    let path = run(&world, &[], &["config", "--path"]).exits(0);
    assert_eq!(path.stdout, format!("{home}/{PLACE}\n"));
    let document = run(&world, &[], &["config", "--json"]).exits(0).json();
    assert_eq!(document["schema"], 1);
    assert_eq!(document["file"]["read"], false);
    assert!(document["values"].as_array().unwrap().iter().all(|value| value["from"] == "default"));
}

#[test]
fn a_flag_is_stronger_than_a_variable_than_the_file_than_the_default() {
    let world = World::new();
    let names = ["default", "file", "variable", "flag"];
    let stores = names.map(|name| store(&world, name));
    std::fs::create_dir_all(world.home.join(".cache")).unwrap();
    std::fs::rename(&stores[0], world.home.join(".cache/cpython")).unwrap();
    let [_, _, variable, flag] = stores.each_ref().map(|store| store.to_str().unwrap());
    let variables = [("PYTHONPYCACHEPREFIX", variable)];
    let home = world.home.display().to_string();
    let check = |variables: &[(&str, &str)], flags: &[&str], name: &str, expected: &str| {
        let shown = run(&world, variables, &[flags, &["config", "--json"]].concat()).exits(0);
        assert_eq!(values(&shown, "store"), [format!("\"{home}/{name}\" {expected}")]);
        let used = run(&world, variables, &[flags, &["du", "--json"]].concat()).exits(0).json();
        assert_eq!(used["store"], format!("{home}/{name}"));
    };
    check(&[], &[], ".cache/cpython", "\"default\" null null");
    world.write(PLACE, "# the store\nstore = \"~/file\"\nthreads = 3\n");
    check(&[], &[], "file", "\"file\" null 2");
    check(&variables, &[], "variable", "\"variable\" \"PYTHONPYCACHEPREFIX\" null");
    check(&variables, &["--store", flag], "flag", "\"flag\" \"--store\" null");
    check(&[("PYTHONPYCACHEPREFIX", "")], &[], "file", "\"file\" null 2");

    let threads = |flags: &[&str]| {
        values(&run(&world, &[], &[flags, &["config", "--json"]].concat()).exits(0), "threads")
    };
    assert_eq!(threads(&[]), ["3 \"file\" null 3"]);
    assert_eq!(threads(&["--threads", "5"]), ["5 \"flag\" \"--threads\" null"]);
}

#[test]
fn the_policy_is_shown_with_its_lines() {
    let world = World::new();
    let text = "keep = ['~/a/**', '**/b']\n[prune]\norphans = true\nunused-for = '90d'\nmax-size = '500M'\nmax-files = 9\n";
    world.write(PLACE, text);
    let shown = run(&world, &[], &["config", "--assume-gone", "x", "--json"]).exits(0);
    let home = world.home.display();
    let of = |key: &str| values(&shown, key);
    assert_eq!(of("keep"), [format!("\"{home}/a/**\" \"file\" null 1"), "\"**/b\" \"file\" null 1".into()]);
    assert_eq!(of("assume-gone"), [format!("\"{home}/x\" \"flag\" \"--assume-gone\" null")]);
    assert_eq!(of("prune.orphans"), ["true \"file\" null 3"]);
    assert_eq!(of("prune.stale"), ["false \"default\" null null"]);
    assert_eq!(of("prune.unused-for"), ["\"90d\" \"file\" null 4"]);
    assert_eq!(of("prune.max-size"), ["\"500MB\" \"file\" null 5"]);
    assert_eq!(of("prune.max-files"), ["9 \"file\" null 6"]);
    assert_eq!(of("prune.max-runtime"), ["null \"default\" null null"]);
    insta::assert_snapshot!(run(&world, &[], &["config"]).shown(), @r"
    exit: 0
    ----- stdout -----
    KEY  FROM  VALUE
    config  default  /home/me/.config/pycstore/config.toml
    store  default  /home/me/.cache/cpython (missing)
    threads  default  as many as the disk can use
    keep  line 1  /home/me/a/**
    keep  line 1  **/b
    assume-gone  default  none
    metrics  default  none
    prune.orphans  line 3  true
    prune.stale  default  false
    prune.corrupt  default  false
    prune.temporary  default  false
    prune.dead-interpreters  default  false
    prune.unused-for  line 4  90d
    prune.max-size  line 5  500MB
    prune.max-files  line 6  9
    prune.min-interval  default  none
    prune.max-runtime  default  none
    share.nightly  default  false
    ----- stderr -----
    ");
}

/// What a run without options does, whatever turns it on or off: the listing, `prune`, and the schedule agree.
#[test]
fn the_listing_says_what_a_run_without_options_removes() {
    let world = World::new();
    let kept = store(&world, ".cache/cpython");
    for (table, expected) in [
        ("", "orphans stale corrupt temporary"),
        ("min-interval = '0s'", "orphans stale corrupt temporary"),
        ("orphans = false", "stale corrupt temporary"),
        ("stale = true", "stale"),
        ("max-size = '5GiB'", "max-size 5GiB"),
        ("orphans = false\nstale = false\ncorrupt = false\ntemporary = false", ""),
    ] {
        world.write(PLACE, format!("assume-gone = ['/mnt/gone-disk']\n[prune]\n{table}\n"));
        let shown = run(&world, &[], &["config", "--json"]).exits(0).json();
        let values = shown["values"].as_array().unwrap().iter();
        let is_on = values.filter(|it| it["value"] == true).map(|it| it["key"].as_str().unwrap());
        let is_on: Vec<&str> = is_on.filter_map(|key| key.strip_prefix("prune.")).collect();
        let status = run(&world, &[], &["schedule", "status", "--json"]).json();
        let policy: Vec<&str> =
            status["policy"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
        assert_eq!(policy.join(" "), expected, "{table}");
        let flags: Vec<&str> = policy.into_iter().filter(|name| !name.contains(' ')).collect();
        assert_eq!(is_on, flags, "{table}");
        let removed = run(&world, &[], &["prune", "-n", "--json"]).exits(0).json();
        assert_eq!(removed["removed"]["files"], u64::from(is_on.contains(&"orphans")), "{table}");
    }
    assert!(kept.is_dir());
}

#[test]
fn a_mistake_stops_everything_before_it_begins() {
    let world = World::new();
    let kept = store(&world, ".cache/cpython");
    let path = world.write(PLACE, "threads = 2\n\n[prune]\norphens = true\n");
    let before = World::snapshot(&kept);
    for arguments in
        [&["du"][..], &["ls"], &["prune", "--orphans", "--assume-gone", "/mnt"], &["config"], &["history"]]
    {
        let refused = run(&world, &[], arguments).exits(2);
        assert_eq!(refused.stdout, "");
        let lines: Vec<&str> = refused.stderr.lines().collect();
        assert_eq!(lines[0], format!("pycstore: {}:4:1: unknown key `orphens`", path.display()));
        assert!(lines[1].starts_with("hint: known keys: store, threads,"), "{}", lines[1]);
        assert!(lines[1].contains("dead-interpreters"), "{}", lines[1]);
        assert_eq!(lines.len(), 2);
    }
    assert_eq!(World::snapshot(&kept), before);
    // What is needed to mend it works all the same.
    let shown = run(&world, &[], &["config", "--path"]).exits(0);
    assert_eq!(shown.stdout, format!("{}\n", path.display()));
    // And it is the program that refuses, not the store.
    run(&world, &[("PYCSTORE_CONFIG", "")], &["du"]).exits(0);
}

#[test]
fn another_file_can_be_named() {
    let world = World::new();
    world.write(PLACE, "threads = 1");
    world.write("two.toml", "threads = 2");
    world.write("three.toml", "threads = 3");
    world.write("xdg/pycstore/config.toml", "threads = 4");
    let xdg = world.home.join("xdg").display().to_string();
    let threads = |variables: &[(&str, &str)], flags: &[&str]| {
        let shown = run(&world, variables, &[flags, &["config", "--json"]].concat()).exits(0);
        shown.json()["values"][1]["value"].clone()
    };
    assert_eq!(threads(&[], &[]), 1);
    assert_eq!(threads(&[("PYCSTORE_CONFIG", "two.toml")], &[]), 2);
    assert_eq!(threads(&[("PYCSTORE_CONFIG", "two.toml")], &["--config", "three.toml"]), 3);
    assert_eq!(threads(&[("PYCSTORE_CONFIG", "")], &[]), serde_json::Value::Null);
    assert_eq!(threads(&[("XDG_CONFIG_HOME", &xdg)], &[]), 4);
    assert_eq!(
        threads(&[("XDG_CONFIG_HOME", "xdg")], &[]),
        1,
        "the specification: a relative path is ignored"
    );
    assert_eq!(
        threads(&[("HOME", "."), ("XDG_CONFIG_HOME", "")], &[]),
        serde_json::Value::Null,
        "a relative home is none"
    );
    for (variables, flags, hint) in [
        (&[("PYCSTORE_CONFIG", "missing.toml")][..], &[][..], "the path comes from PYCSTORE_CONFIG"),
        (&[], &["--config", "missing.toml"], "the path comes from --config"),
    ] {
        let refused = run(&world, variables, &[flags, &["config"]].concat()).exits(2);
        let expected = format!(
            "pycstore: cannot read the configuration file {}/missing.toml: No such file or directory\nhint: {hint}",
            world.home.display()
        );
        assert!(refused.stderr.starts_with(&expected), "{}", refused.stderr);
    }
}

#[test]
fn sources_below_assume_gone_are_gone() {
    let world = World::new();
    store(&world, ".cache/cpython");
    let status = || {
        let listed = run(&world, &[], &["ls", "--json"]).exits(0).json_lines();
        assert_eq!(listed.len(), 1);
        listed[0]["status"].as_str().unwrap().to_string()
    };
    assert_eq!(status(), "unknown", "/mnt is a place where volumes come and go");
    world.write(PLACE, "assume-gone = ['/mnt/gone-disk']");
    assert_eq!(status(), "orphan");
}

#[test]
fn a_file_that_may_not_be_read_is_not_passed_over() {
    let world = World::new();
    store(&world, ".cache/cpython");
    let path = world.write(PLACE, "keep = ['**']");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o000)).unwrap();
    // Root may read everything: then nobody asks in our place.
    let mut command = world.unprivileged();
    command.env_remove("PYTHONPYCACHEPREFIX");
    let refused = answer(command.arg("du")).exits(2);
    assert_eq!(
        refused.stderr.lines().next().unwrap(),
        format!("pycstore: cannot read the configuration file {}: Permission denied", path.display())
    );
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    assert!(Path::new(&path).exists());
    answer(command.arg("--json")).exits(0);
}
