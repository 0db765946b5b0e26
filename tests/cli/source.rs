//! `pycstore source`

use crate::support::{World, newest};
use std::fs;
use std::os::unix::fs::symlink;

#[test]
fn entries_are_taken_by_any_path_that_leads_to_them() {
    let world = World::new();
    let project = world.project("one", &["a.py"]);
    world.compile_files(newest(), &[&project.join("a.py")]);
    let entry = world.entry(&project.join("a.py"), newest(), "");
    let expected = format!("{}\n", project.join("a.py").display());
    let relative = entry.strip_prefix(&world.home).unwrap();
    assert_eq!(world.pycstore(["source".as_ref(), entry.as_os_str()]).exits(0).stdout, expected);
    assert_eq!(world.pycstore(["source".as_ref(), relative.as_os_str()]).exits(0).stdout, expected);
    // A store that is reached through a link is the same store, by both names.
    let link = world.home.join("link");
    symlink(&world.store, &link).unwrap();
    let through = link.join(entry.strip_prefix(&world.store).unwrap());
    for path in [&through, &entry] {
        let answer =
            world.pycstore(["--store".as_ref(), link.as_os_str(), "source".as_ref(), path.as_os_str()]);
        assert_eq!(answer.exits(0).stdout, expected);
    }
}

#[test]
fn what_is_no_entry_is_said_and_the_others_are_answered() {
    let world = World::new();
    let project = world.project("one", &["a.py"]);
    world.compile_files(newest(), &[&project.join("a.py")]);
    let entry = world.entry(&project.join("a.py"), newest(), "");
    let foreign = entry.with_file_name("README");
    fs::write(&foreign, "").unwrap();
    let interrupted = entry.with_file_name(format!("a.{}.pyc.140234866", newest().tag));
    fs::write(&interrupted, "").unwrap();
    let missing = entry.with_file_name("b.cpython-312.pyc");
    let outside = project.join("a.py");
    let paths = [&foreign, &missing, &outside, &interrupted, &entry];
    let answer = world.pycstore(std::iter::once("source".as_ref()).chain(paths.map(|path| path.as_os_str())));
    let source = project.join("a.py");
    let answer = answer.exits(1);
    assert_eq!(answer.stdout, format!("{0}\n{0}\n", source.display()));
    assert_eq!(
        answer.stderr.lines().collect::<Vec<_>>(),
        [
            format!("pycstore: {} is not a file that Python writes to a store", foreign.display()),
            format!("pycstore: no such entry: {}", missing.display()),
            format!("pycstore: {} is not in the store {}", outside.display(), world.store.display()),
            "hint: to list the entries of a source: pycstore which SOURCE; of a directory: pycstore ls --under DIR".into(),
        ]
    );
}

#[test]
fn a_stray_file_of_the_same_stem_does_not_keep_an_entry() {
    let world = World::new();
    let project = world.project("one", &["a.py", "b.py", "c.py"]);
    let entries = ["a", "b", "c"].map(|stem| {
        let source = project.join(format!("{stem}.py"));
        world.compile_files(newest(), &[&source]);
        fs::remove_file(&source).unwrap();
        fs::write(project.join(format!("{stem}.txt")), "notes").unwrap();
        world.entry(&source, newest(), "")
    });
    // Without a body nobody can tell whether `b.txt` was what Python compiled.
    fs::File::options().write(true).open(&entries[1]).unwrap().set_len(16).unwrap();
    // A stray directory is no source either way.
    fs::remove_file(project.join("c.txt")).unwrap();
    fs::create_dir(project.join("c.pyw")).unwrap();

    let statuses = entries.each_ref().map(|entry| {
        let line = world.pycstore(["inspect".as_ref(), entry.as_os_str(), "--json".as_ref()]).exits(0).json();
        format!("{} {}", line["status"].as_str().unwrap(), line["reason"].as_str().unwrap())
    });
    assert_eq!(statuses, ["orphan source", "unknown ambiguous", "orphan source"]);

    let document = world.pycstore(["prune", "--orphans", "--stale", "--corrupt", "--json"]).exits(0).json();
    assert_eq!(document["removed"]["files"], 2);
    assert_eq!(entries.map(|entry| entry.exists()), [false, true, false]);
}

#[test]
fn a_source_of_another_suffix_keeps_its_entry_until_it_is_gone() {
    let world = World::new();
    world.project("one", &[]);
    for name in ["windowed.pyw", "lisp.hy", "dot.", ".hidden"] {
        let source = world.write(format!("one/{name}"), "x = 1\n");
        // Several of the same stem: the entry itself says which one was compiled.
        let stray = world.write(format!("one/{}.txt", name.trim_matches('.').split('.').next().unwrap()), "");
        world.compile_files(newest(), &[&source]);
        let entry = world.entry(&source, newest(), "");
        let prune = || world.pycstore(["prune", "--orphans", "--stale"]).exits(0);
        let answer = world.pycstore(["source".as_ref(), entry.as_os_str()]).exits(0);
        assert_eq!(answer.stdout, format!("{}\n", source.display()));
        prune();
        assert!(entry.exists(), "{name}");
        fs::remove_file(&source).unwrap();
        prune();
        assert!(!entry.exists(), "{name}, though {} is there", stray.display());
    }
}
