//! `pycstore du` of a store in which several owners share files: as `pycstore share` leaves it.

use super::{gnu_du, rows, usage};
use crate::support::{World, newest};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Three projects with a module each that only they have, and a large one whose entry is the same file.
fn shared() -> (World, [PathBuf; 3]) {
    let world = World::new();
    let projects = ["one", "two", "three"].map(|name| {
        let project = world.project(name, &["own.py"]);
        world.write(project.join("same.py"), format!("A = {:?}\n", "long ".repeat(4000)));
        project
    });
    world.compile(newest(), &[], &projects.each_ref().map(PathBuf::as_path));
    for other in &projects[1..] {
        link(&world, &projects[0].join("same.py"), &other.join("same.py"));
    }
    (world, projects)
}

/// Replaces the entry of a source by a link of another's.
fn link(world: &World, of: &Path, source: &Path) {
    let entry = world.entry(source, newest(), "");
    fs::remove_file(&entry).unwrap();
    fs::hard_link(world.entry(of, newest(), ""), entry).unwrap();
}

fn disk(world: &World, source: &Path) -> u64 {
    fs::metadata(world.entry(source, newest(), "")).unwrap().blocks() * 512
}

#[test]
#[cfg_attr(feature = "portable", ignore = "needs O_NOATIME")]
fn each_owner_has_what_it_would_free_alone_and_what_it_shares() {
    let (world, projects) = shared();
    let same = disk(&world, &projects[0].join("same.py"));
    // A second link in the same project is not shared with others.
    fs::write(projects[0].join("again.py"), "").unwrap();
    let own = world.entry(&projects[0].join("own.py"), newest(), "");
    fs::hard_link(&own, world.entry(&projects[0].join("again.py"), newest(), "")).unwrap();
    let document = usage(&world);
    for (field, files) in [("disk", 2), ("shared", 1)] {
        let found = rows(&document, field);
        for project in &projects {
            let root = project.to_str().unwrap();
            match field {
                "disk" => assert_eq!(found[root], disk(&world, &project.join("own.py")), "{root}"),
                _ => assert_eq!((&found[root]["files"], &found[root]["disk"]), (&json!(files), &json!(same))),
            }
        }
    }
    assert_eq!(document["shared_by_owners"]["disk"], same);
    assert_eq!(document["shared_by_owners"]["files"], 3);
    // The same by any number of threads.
    for threads in ["1", "2", "7"] {
        assert_eq!(world.pycstore(["du", "--json", "--threads", threads]).exits(0).json(), document);
    }
}

#[test]
fn views_count_what_their_rows_share() {
    let (world, projects) = shared();
    let total = gnu_du(&world);
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let directories = {
        let text = world.pycstore(["du", "--csv"]).exits(0).stdout;
        let line = text.lines().find(|line| line.starts_with("directories,")).unwrap().to_string();
        line.split(',').nth(6).unwrap().parse::<u64>().unwrap()
    };
    for (by, is_shared) in
        [("owner", true), ("directory", false), ("tag", false), ("kind", false), ("owner,tag", true)]
    {
        let document = world.pycstore(["du", "--json", "--by", by, "--sort", "name"]).exits(0).json();
        let view = &document["view"];
        assert_eq!(view.get("shared_by_rows").is_some(), is_shared, "{by}: {view:#}");
        let rows = view["rows"].as_array().unwrap();
        let counted = if by == "directory" { &rows[..1] } else { &rows[..] };
        let sum: u64 = counted.iter().map(|row| number(&row["disk"])).sum();
        assert_eq!(sum + number(&view["shared_by_rows"]["disk"]) + directories, total, "{by}: {view:#}");
    }
    // What only rows of the rest share is not shared any more.
    let document = world.pycstore(["du", "--json", "--top", "0"]).exits(0).json();
    let view = &document["view"];
    assert_eq!(view.get("shared_by_rows"), None);
    assert_eq!(number(&view["rows"][0]["disk"]) + directories, total);
    // Each directory of a tree has what only it has.
    let tree = world.pycstore(["du", "--json", "--depth", "1"]).exits(0).json();
    let rows = tree["view"]["rows"].as_array().unwrap();
    let one = rows.iter().find(|row| row["directory"] == json!(projects[0])).unwrap();
    assert_eq!(one["disk"], disk(&world, &projects[0].join("own.py")));
    assert_eq!(one["shared"]["disk"], disk(&world, &projects[0].join("same.py")));
}

#[test]
fn the_table_has_a_column_and_a_line_for_what_is_shared() {
    let (world, projects) = shared();
    // Nothing in the middle one is its own; it does not look empty.
    link(&world, &projects[0].join("own.py"), &projects[1].join("own.py"));
    world.write(projects[1].join("more.py"), format!("A = {:?}\n", "longer ".repeat(4000)));
    world.write(projects[2].join("more.py"), "");
    world.compile(newest(), &[], &[&projects[1].join("more.py"), &projects[2].join("more.py")]);
    link(&world, &projects[1].join("more.py"), &projects[2].join("more.py"));
    let text = world.pycstore(["du"]).exits(0).stdout;
    let lines: Vec<&str> = text.lines().collect();
    let words = |line: &str| line.split_whitespace().map(String::from).collect::<Vec<_>>();
    assert_eq!(words(lines[0])[..3], ["SIZE", "SHARED", "FILES"], "{text}");
    assert!(
        lines[1].ends_with("/three") && lines[2].ends_with("/two") && lines[3].ends_with("/one"),
        "{text}"
    );
    assert_eq!(words(lines[2])[..2], ["0", "B"], "{text}");
    assert!(text.contains("shared by several owners\n"), "{text}");
    let text = world.pycstore(["du", "--csv"]).exits(0).stdout;
    let fields: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let sum = |lines: &[Vec<&str>], index: usize| -> u64 {
        lines.iter().map(|line| line[index].parse::<u64>().unwrap()).sum()
    };
    let (total, rows) = fields.split_last().unwrap();
    for index in [6, 9] {
        assert_eq!(sum(rows, index), sum(std::slice::from_ref(total), index), "{text}");
    }
    assert!(fields.iter().any(|line| line[0] == "shared"), "{text}");
}

#[test]
fn an_owner_is_reclaimable_without_what_a_living_one_has() {
    let (world, projects) = shared();
    fs::remove_dir_all(&projects[1]).unwrap();
    let document = usage(&world);
    let root = projects[1].to_str().unwrap();
    let own = rows(&document, "disk")[root].clone();
    assert_eq!(rows(&document, "reclaimable")[root]["disk"], own);
    assert_eq!(document["reclaimable"]["disk"], own);
    // Of all three gone, everything is: what they share is in the line for it.
    fs::remove_dir_all(&projects[0]).unwrap();
    fs::remove_dir_all(&projects[2]).unwrap();
    let document = world.pycstore(["du", "--json"]).exits(0).json();
    let statuses = &document["statuses"];
    assert_eq!(document["reclaimable"]["disk"], statuses["orphan"]["disk"], "{document:#}");
}

#[test]
fn the_page_has_what_is_shared() {
    let (world, _) = shared();
    let page = world.home.join("page.html");
    world.pycstore(["report".as_ref(), "--html".as_ref(), page.as_os_str()]).exits(0);
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("data-key=\"shared\"") && page.contains("shared by several owners"), "{page}");
}
