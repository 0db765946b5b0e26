//! `--metrics` of `prune`, `forget`, `du` and `schedule run`: what is written, in every case.

use crate::support::lock::lock_holder;
use crate::support::{World, files, history_of, newest};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A world with two projects in the store, one of them deleted, and the path of a file for metrics.
fn world() -> (World, PathBuf) {
    let world = World::of_projects(&["a.py", "b.py", "sub/c.py"], &["d.py"]);
    let file = world.home.join("pycstore.prom");
    (world, file)
}

/// The value of the only sample of a family, and its label `store`.
fn sample(file: &Path, name: &str) -> Option<(f64, String)> {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    let line =
        text.lines().find(|line| line.split(['{', ' ']).next() == Some(&format!("pycstore_{name}")))?;
    let (labels, value) = line.rsplit_once(' ').unwrap();
    let store = labels.split_once("store=\"").map_or("", |(_, rest)| rest.split('"').next().unwrap());
    Some((value.parse().unwrap(), store.to_string()))
}

fn value(file: &Path, name: &str) -> Option<f64> {
    sample(file, name).map(|(value, _)| value)
}

#[test]
fn metrics_tell_what_is_there_and_what_was_done() {
    let (world, file) = world();
    let metrics = file.to_str().unwrap();
    world.pycstore(["prune", "--orphans", "--dry-run", "--metrics", metrics]).exits(2);
    assert!(!file.exists(), "a dry run did nothing");
    let (tag, store) = (&newest().tag, world.store.display());
    // Deleted sources below a temporary directory are those of a build.
    let is_line = |line: &str, start: &str, end: &str| line.starts_with(start) && line.ends_with(end);
    let has = |samples: &[(String, u64)]| {
        let text = std::fs::read_to_string(&file).unwrap();
        for (start, value) in samples {
            let end = format!("}} {value}");
            assert!(text.lines().any(|line| is_line(line, start, &end)), "{start}{end}\n{text}");
        }
        text
    };
    let count = |name: &str, status: &str, count: u64| {
        (format!("pycstore_{name}{{store=\"{store}\",status=\"{status}\",tag=\"{tag}\",kind=\""), count)
    };
    let of_store = |name: &str, value: u64| (format!("pycstore_{name}{{store=\"{store}\""), value);
    world.pycstore(["du", "--metrics", metrics]).exits(0);
    let text = has(&[
        count("entries", "fresh", 1),
        count("entries", "orphan", 3),
        count("reclaimable_entries", "orphan", 3),
    ]);
    assert!(!text.contains("pycstore_prune_exit_status"), "there was no prune: {text}");
    world.pycstore(["prune", "--orphans", "--max-files", "9", "--metrics", metrics]).exits(0);
    let text = has(&[
        count("entries", "fresh", 1),
        of_store("prune_removed_entries", 3),
        of_store("prune_exit_status", 0),
        of_store("budget_entries", 9),
    ]);
    assert!(!text.contains("orphan"), "they are removed: {text}");
    // Another command writes the same of the prune.
    world.pycstore(["du", "--metrics", metrics]).exits(0);
    let prunes = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.starts_with("pycstore_prune_")).map(String::from).collect()
    };
    assert_eq!(prunes(&has(&[])), prunes(&text));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    let leftovers = std::fs::read_dir(&world.home).unwrap().map(|entry| entry.unwrap().file_name());
    let leftovers: Vec<_> = leftovers.filter(|name| name.to_string_lossy().ends_with(".tmp")).collect();
    assert!(leftovers.is_empty(), "{leftovers:?}");
}

#[test]
fn metrics_speak_of_the_whole_store_whatever_the_scope() {
    let (world, file) = world();
    let under = world.home.join("kept");
    let under = under.to_str().unwrap();
    for command in [["prune", "--orphans"], ["du", "--quiet"]] {
        let options = ["--under", under, "--metrics", file.to_str().unwrap()];
        world.pycstore(command.into_iter().chain(options)).exits(0);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains("status=\"orphan\",tag="), "{text}");
    }
    assert_eq!(files(&world.store).len(), 4, "nothing is removed outside the scope");
}

#[test]
fn metrics_that_cannot_be_written_do_not_stop_a_prune() {
    let (world, _) = world();
    let told = "pycstore: cannot write the metrics to /nowhere/at/all.prom: No such file or directory\n";
    for command in [["du", "--quiet"], ["doctor", "--quiet"], ["prune", "--orphans"]] {
        let answer =
            world.pycstore(command.into_iter().chain(["--metrics", "/nowhere/at/all.prom"])).exits(1);
        assert!(answer.stderr.ends_with(told), "{}", answer.stderr);
    }
    assert_eq!(files(&world.store).len(), 1);
    assert_eq!(world.pycstore(["history", "--json"]).exits(0).json_lines().len(), 1);
    assert!(!Path::new("/nowhere").exists());
}

#[test]
fn metrics_of_a_run_that_could_do_nothing_say_so_and_keep_the_last_success() {
    let (world, file) = world();
    let metrics = file.to_str().unwrap();
    world.pycstore(["prune", "--orphans", "--metrics", metrics]).exits(0);
    let success = value(&file, "prune_last_success_timestamp_seconds").unwrap();
    let invalid = world.write("invalid.toml", "threads = 0\n");
    let invalid = invalid.to_str().unwrap();
    let store = world.store.to_str().unwrap();
    let moved = world.home.join("moved");
    std::fs::rename(&world.store, &moved).unwrap();
    let cases: [(&[&str], f64); 3] =
        [(&["prune", "--metrics"], 2.0), (&["forget", "x", "--metrics"], 2.0), (&["du", "--metrics"], 0.0)];
    for (arguments, status) in cases {
        std::fs::remove_file(&file).unwrap();
        world.pycstore(arguments.iter().chain(&[metrics])).exits(2);
        assert_eq!(sample(&file, "up"), Some((0.0, store.into())), "no store: {arguments:?}");
        assert_eq!(value(&file, "prune_exit_status"), Some(status));
        assert_eq!(value(&file, "prune_last_success_timestamp_seconds"), Some(success));
        assert_eq!(value(&file, "entries"), None);
    }
    std::fs::rename(&moved, &world.store).unwrap();
    let cases: [&[&str]; 3] = [
        &["--config", invalid, "prune", "--metrics", metrics],
        &["prune", "--keep", "", "--metrics", metrics],
        &["prune", "--all", "--metrics", metrics],
    ];
    for arguments in cases {
        std::fs::remove_file(&file).unwrap();
        world.pycstore(arguments).exits(2);
        assert_eq!(sample(&file, "up"), Some((0.0, store.into())), "{arguments:?}");
        assert_eq!(value(&file, "prune_exit_status"), Some(2.0));
        assert_eq!(value(&file, "prune_last_success_timestamp_seconds"), Some(success));
    }
    // A directory that is refused, and no store at all.
    let home = world.home.to_str().unwrap();
    world.pycstore(["--store", home, "prune", "--metrics", metrics]).exits(2);
    assert_eq!(sample(&file, "up"), Some((0.0, home.into())));
    std::fs::rename(&world.store, &moved).unwrap();
    world.pycstore_without_prefix(["--config", invalid, "prune", "--metrics", metrics]).exits(2);
    assert_eq!(sample(&file, "up"), Some((0.0, String::new())), "the store is unknown");
    world.pycstore_without_prefix(["prune", "--metrics", metrics]).exits(2);
    assert_eq!(sample(&file, "up"), Some((0.0, String::new())));
}

#[test]
fn metrics_of_a_run_that_had_nothing_to_do_count_the_store() {
    let (world, file) = world();
    let nightly = ["prune", "--orphans", "--min-interval", "20h", "--metrics", file.to_str().unwrap()];
    world.pycstore(nightly).exits(0);
    let success = value(&file, "prune_last_success_timestamp_seconds");
    std::fs::remove_file(&file).unwrap();
    world.pycstore(nightly).exits(0);
    assert_eq!((value(&file, "up"), value(&file, "entries")), (Some(1.0), Some(1.0)), "it is not due");
    assert_eq!(value(&file, "prune_last_success_timestamp_seconds"), success);
    let mut holder = lock_holder(&world, &world.store);
    world.pycstore(["prune", "--stale", "--metrics", file.to_str().unwrap()]).exits(0);
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!((value(&file, "up"), value(&file, "entries")), (Some(1.0), Some(1.0)), "the lock is held");
    assert_eq!(value(&file, "prune_locked_runs"), Some(1.0));
    assert_eq!(value(&file, "prune_last_success_timestamp_seconds"), success);
}

#[test]
fn removing_named_entries_is_no_success_of_the_nightly_prune() {
    let (world, file) = world();
    let metrics = file.to_str().unwrap();
    world.pycstore(["forget", "gone", "--metrics", metrics]).exits(0);
    assert_eq!(value(&file, "prune_removed_entries"), Some(3.0));
    assert_eq!(value(&file, "prune_last_success_timestamp_seconds"), None);
    let line = std::fs::read_to_string(history_of(&world)).unwrap();
    assert!(line.contains("\"forget "), "{line}");
}

#[test]
fn the_scheduled_job_writes_the_file_of_the_configuration() {
    let (world, file) = world();
    world.write(".config/pycstore/config.toml", "metrics = '~/pycstore.prom'\n[prune]\nmax-size = '1GiB'\n");
    world.pycstore(["schedule", "run", "--dry-run"]).exits(0);
    world.pycstore(["prune"]).exits(0);
    assert!(!file.exists());
    world.pycstore(["schedule", "run"]).exits(0);
    assert_eq!(value(&file, "prune_exit_status"), Some(0.0));
    assert_eq!(value(&file, "budget_disk_bytes"), Some(1_073_741_824.0));
    std::fs::remove_dir_all(&world.store).unwrap();
    world.pycstore(["schedule", "run"]).exits(2);
    assert_eq!((value(&file, "up"), value(&file, "prune_exit_status")), (Some(0.0), Some(2.0)));
}

#[test]
fn doctor_counts_its_findings() {
    let (world, file) = world();
    let invalid = world.write("invalid.toml", "threads = 0\n");
    let arguments = ["--config", invalid.to_str().unwrap(), "doctor", "--json", "--metrics"];
    let told = world.pycstore(arguments.into_iter().chain([file.to_str().unwrap()])).exits(1).json_lines();
    let text = std::fs::read_to_string(&file).unwrap();
    let store = world.store.display();
    let configuration = format!(
        "pycstore_doctor_findings{{store=\"{store}\",severity=\"error\",finding=\"configuration\"}} 1\n"
    );
    assert!(text.contains(&configuration), "{text}");
    assert_eq!(value(&file, "doctor_exit_status"), Some(1.0));
    let counted = text.lines().filter(|line| line.starts_with("pycstore_doctor_findings{"));
    let counted: u64 = counted.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!(counted, told.len() as u64);
}

#[test]
fn the_manual_page_names_every_family() {
    let (world, file) = world();
    let doctor = world.home.join("doctor.prom");
    let budgets = ["--max-size", "1GiB", "--max-files", "9"];
    let prune = ["prune", "--metrics", file.to_str().unwrap()];
    world.pycstore(prune.into_iter().chain(budgets)).exits(0);
    world.pycstore(["doctor", "--metrics", doctor.to_str().unwrap()]);
    let mut families = std::collections::BTreeSet::new();
    for file in [&file, &doctor] {
        let text = std::fs::read_to_string(file).unwrap();
        let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" gauge"));
        families.extend(names.map(String::from));
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("man/pycstore-metrics.5");
    let page = std::fs::read_to_string(page).unwrap();
    // Root's job for every user writes the others: src/history/every_user.rs.
    let (page, _) = page.split_once(".SH \"EVERY USER\"").unwrap();
    let named = page.lines().filter_map(|line| line.strip_prefix("\\fB")?.split("\\fR").next());
    let named = named.filter(|name| name.starts_with("pycstore_")).map(String::from).collect();
    assert_eq!(families, named);
}
