//! The three-valued question about a source: present, definitely deleted, or undecidable.

use pycstore::host::directory::{Access, ListBuffer};
use pycstore::host::volumes::Mounts;
use pycstore::source::evidence::*;
use pycstore::source::witness::Wanted;
use pycstore::units::Moment;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A base directory that is not empty, so that it can be a witness.
fn base() -> (tempfile::TempDir, PathBuf) {
    let temporary = tempfile::tempdir().unwrap();
    let base = temporary.path().canonicalize().unwrap();
    std::fs::write(base.join("keep"), "").unwrap();
    (temporary, base)
}

fn is_deleted(fate: io::Result<Fate>) -> bool {
    matches!(fate.unwrap(), Fate::Deleted(_))
}

fn fate(evidence: &Evidence, path: &Path) -> Fate {
    evidence.fate(path, Wanted::Anything).unwrap()
}

fn present(evidence: &Evidence, path: &Path) -> PresentDirectory {
    match evidence.open(path.to_path_buf(), None, Access::LookUp) {
        SourceDirectory::Present(present) => present,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_entry_written_before_the_last_change_is_an_orphan() {
    let moment = |seconds| Moment { seconds, nanoseconds: 5 };
    let source = |written| Fate::Deleted(moment(10)).source(Gone::Source, moment(written)).unwrap();
    assert_eq!(source(9), Source::Absent(Gone::Source));
    assert_eq!(source(10), Source::Absent(Gone::Source));
    assert_eq!(source(11), Source::Unreachable(Why::NoTrace));
    let doubtful = Fate::Doubtful(Why::Archive).source(Gone::Root, moment(1));
    assert_eq!(doubtful, Some(Source::Unreachable(Why::Archive)));
    assert_eq!(Fate::Exists.source(Gone::Root, moment(1)), None);
}

#[test]
fn a_dangling_link_into_an_unmounted_volume_is_no_orphan() {
    let (_temporary, base) = base();
    let mounts = Mounts::parse(b"", format!("/dev/x {}/volume ext4 noauto 0 0\n", base.display()).as_bytes());
    std::fs::create_dir(base.join("volume")).unwrap();
    symlink(base.join("volume/project"), base.join("project")).unwrap();
    symlink(base.join("volume/one.py"), base.join("one.py")).unwrap();
    let mut evidence = Evidence { mounts, store: base.join("store"), assumed_gone: Vec::new() };
    assert_eq!(fate(&evidence, &base.join("project")), Fate::Doubtful(Why::Unmounted));
    assert!(is_deleted(evidence.fate(&base.join("elsewhere"), Wanted::Anything)));
    assert_eq!(fate(&evidence, &base), Fate::Exists);
    let here = present(&evidence, &base);
    let looked = here.look_up(b"one.py", &evidence).unwrap();
    assert_eq!(looked, Answer::Missing(Fate::Doubtful(Why::Unmounted)));
    let looked = here.look_up(b"two.py", &evidence).unwrap();
    assert!(matches!(looked, Answer::Missing(Fate::Deleted(_))), "{looked:?}");
    evidence.assumed_gone.push(base.join("volume"));
    let assumed = fate(&evidence, &base.join("project"));
    assert_eq!(assumed, Fate::Doubtful(Why::Unmounted), "assumed by its spelled path only");
    evidence.assumed_gone.push(base.join("project"));
    assert_eq!(fate(&evidence, &base.join("project")), Fate::ASSUMED);
}

#[test]
fn an_empty_directory_is_no_witness_at_any_depth() {
    let (_temporary, base) = base();
    let evidence = Evidence::default();
    for depth in ["a", "a/b", "a/b/c/d/e/f"] {
        let directory = base.join(depth);
        std::fs::create_dir_all(&directory).unwrap();
        assert_eq!(fate(&evidence, &directory.join("p/m.py")), Fate::Doubtful(Why::Unmounted));
        std::fs::write(directory.join("file"), "").unwrap();
        assert!(is_deleted(evidence.fate(&directory.join("p/m.py"), Wanted::Anything)), "{depth}");
    }
}

#[test]
fn a_directory_made_for_mounts_knows_nothing_of_what_is_missing() {
    let (_temporary, base) = base();
    std::fs::create_dir_all(base.join("me/.cache/cpython")).unwrap();
    // Only the store is mounted into a container: its `/home/me` has nothing else.
    let line = format!("30 22 0:9 / {} rw - ext4 /dev/vda rw\n", base.join("me/.cache/cpython").display());
    let mounts = Mounts::parse(line.as_bytes(), b"");
    let evidence = Evidence { mounts, store: base.join("me/.cache/cpython"), assumed_gone: Vec::new() };
    assert_eq!(fate(&evidence, &base.join("me/project")), Fate::Doubtful(Why::Unmounted));
    std::fs::write(base.join("me/.profile"), "").unwrap();
    assert!(is_deleted(evidence.fate(&base.join("me/project"), Wanted::Anything)));
}

#[test]
fn a_file_in_a_directorys_place_is_no_witness_unless_it_is_a_text() {
    let (_temporary, base) = base();
    let evidence = Evidence::default();
    let zip_with_shebang = [b"#!/usr/bin/env python3\nPK\x03\x04".as_slice(), &[0; 40]].concat();
    let long = "€".repeat(100_000);
    let longer = format!("ab{long}cd");
    for (name, contents, is_text) in [
        ("empty", &b""[..], false),
        ("archive", &zip_with_shebang, false),
        ("compressed", b"\xfd7zXZ\xff\xfe", false),
        ("script", "#!/bin/sh\necho é\n".as_bytes(), true),
        // Only the beginning and the end of a long one are read: they may cut a character in two.
        ("long", long.as_bytes(), true),
        ("longer", longer.as_bytes(), true),
        ("long with a wrong byte", &[long.as_bytes(), b"\xe9\n"].concat(), false),
        ("long with a wrong byte before it", &[b"\xe9\n", long.as_bytes()].concat(), false),
        ("text before an archive", &[long.as_bytes(), b"\nPK\x05\x06\0\0\0\0"].concat(), false),
        ("archive before text", &[b"PK\x03\x04\0\0\0\0", long.as_bytes()].concat(), false),
    ] {
        let file = base.join(name);
        std::fs::write(&file, contents).unwrap();
        for path in [file.join("m.py"), file.join("deep/m.py")] {
            let fate = fate(&evidence, &path);
            assert_eq!(matches!(fate, Fate::Deleted(_)), is_text, "{name}: {fate:?}");
        }
        let directory = evidence.open(file, None, Access::LookUp);
        assert_eq!(matches!(directory, SourceDirectory::Deleted(_)), is_text, "{name}: {directory:?}");
    }
    crate::special::make_pipe(&base.join("pipe")).unwrap();
    assert_eq!(
        fate(&evidence, &base.join("pipe/m.py")),
        Fate::Doubtful(Why::Archive),
        "it is not waited for"
    );
}

#[test]
fn what_is_assumed_gone_covers_no_error() {
    let (_temporary, base) = base();
    symlink("loop", base.join("loop")).unwrap();
    let evidence = Evidence { assumed_gone: vec![base.clone()], ..Evidence::default() };
    let loops = evidence.open(base.join("loop"), None, Access::LookUp);
    assert!(matches!(loops, SourceDirectory::Failed(_)), "{loops:?}");
    let loops = present(&evidence, &base).look_up(b"loop", &evidence);
    assert_eq!(Why::of(&loops.unwrap_err()), Why::Loop);
    assert!(matches!(evidence.open(base.join("gone"), None, Access::LookUp), SourceDirectory::Deleted(_)));
}

#[test]
fn a_directory_replaced_while_it_is_held_is_looked_at_again() {
    let (_temporary, base) = base();
    std::fs::create_dir_all(base.join("p/old")).unwrap();
    let evidence = Evidence::default();
    let held = present(&evidence, &base.join("p"));
    std::fs::remove_dir_all(base.join("p")).unwrap();
    std::fs::create_dir_all(base.join("p/sub")).unwrap();
    std::fs::write(base.join("p/m.py"), "").unwrap();
    let below = evidence.open(base.join("p/sub"), Some((&held.directory, b"sub")), Access::LookUp);
    assert!(matches!(below, SourceDirectory::Present(_)), "it is there under its whole path");
    let looked = held.look_up(b"m.py", &evidence).unwrap();
    assert_eq!(looked, Answer::Missing(Fate::Doubtful(Why::Io)), "what we hold tells nothing");
}

#[test]
fn what_is_in_a_directory_that_was_moved_while_it_is_held_is_there() {
    let (_temporary, base) = base();
    std::fs::create_dir(base.join("p")).unwrap();
    std::fs::write(base.join("p/m.py"), "").unwrap();
    symlink("m.py", base.join("p/link.py")).unwrap();
    symlink("loop.py", base.join("p/loop.py")).unwrap();
    let evidence = Evidence::default();
    let held = present(&evidence, &base.join("p"));
    std::fs::rename(base.join("p"), base.join("q")).unwrap();
    assert!(matches!(held.look_up(b"link.py", &evidence).unwrap(), Answer::Found(_)));
    assert!(matches!(held.missing(&evidence, b"m.py").unwrap(), Answer::Found(_)));
    assert_eq!(Why::of(&held.look_up(b"loop.py", &evidence).unwrap_err()), Why::Loop);
}

#[test]
fn a_name_that_cannot_be_asked_for_is_not_missing() {
    let (_temporary, base) = base();
    let (evidence, name) = (Evidence::default(), "n".repeat(300));
    assert!(evidence.fate(&base.join(&name).join("m.py"), Wanted::Anything).is_err());
    assert!(matches!(evidence.open(base.join(&name), None, Access::List), SourceDirectory::Failed(_)));
    let here = present(&evidence, &base);
    assert!(here.look_up(name.as_bytes(), &evidence).is_err());
    assert!(here.missing(&evidence, name.as_bytes()).is_err());
}

/// Runs a test in a thread for which modes count even where it is root's.
#[cfg(target_os = "linux")]
fn as_who_obeys_modes(test: impl FnOnce() + Send) {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    let obey = || {
        let mut sets = capabilities(None).unwrap();
        sets.effective.remove(CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH);
        set_capabilities(None, sets).unwrap();
        test();
    };
    std::thread::scope(|scope| scope.spawn(obey).join().unwrap());
}

#[test]
#[cfg(target_os = "linux")]
fn a_directory_that_may_not_be_listed_is_looked_into_and_one_that_may_not_be_searched_tells_nothing() {
    let (_temporary, base) = base();
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    };
    for (path, bits) in [("searched", 0o111), ("closed", 0o000)] {
        let path = base.join(path);
        std::fs::create_dir_all(path.join("sub")).unwrap();
        std::fs::write(path.join("m.py"), "").unwrap();
        mode(&path, bits);
    }
    as_who_obeys_modes(|| {
        let evidence = Evidence::default();
        let open = |path: &str, access| evidence.open(base.join(path), None, access);
        for access in [Access::List, Access::LookUp] {
            let SourceDirectory::Present(searched) = open("searched", access) else { panic!() };
            assert!(matches!(searched.look_up(b"m.py", &evidence).unwrap(), Answer::Found(_)));
            // It may be a bare mount point.
            assert_eq!(Why::of(&searched.look_up(b"n.py", &evidence).unwrap_err()), Why::Permission);
            let SourceDirectory::Present(closed) = open("closed", access) else { panic!() };
            let refused = closed.look_up(b"m.py", &evidence).unwrap_err();
            assert_eq!(Why::of(&refused), Why::Permission);
            for path in ["closed/sub", "closed/gone"] {
                let SourceDirectory::Failed(error) = open(path, access) else { panic!("{path}") };
                assert_eq!(Why::of(&error), Why::Permission);
            }
        }
    });
    mode(&base.join("closed"), 0o700);
}

#[test]
fn what_is_missing_at_a_mount_point_that_is_missing_itself_is_no_orphan() {
    let (_temporary, base) = base();
    let fstab = format!("/dev/x {}/volume ext4 noauto 0 0\n", base.display());
    let evidence = Evidence { mounts: Mounts::parse(b"", fstab.as_bytes()), ..Evidence::default() };
    assert_eq!(fate(&evidence, &base.join("volume/p/m.py")), Fate::Doubtful(Why::Unmounted));
    assert!(is_deleted(evidence.fate(&base.join("volume2/p/m.py"), Wanted::Anything)));
}

#[test]
fn a_source_that_came_after_the_listing_is_there() {
    let (_temporary, base) = base();
    std::fs::write(base.join("m.py"), "").unwrap();
    symlink("m.py", base.join("link.py")).unwrap();
    let evidence = Evidence::default();
    let here = present(&evidence, &base);
    assert!(matches!(here.missing(&evidence, b"m.py").unwrap(), Answer::Found(_)));
    assert!(matches!(here.missing(&evidence, b"link.py").unwrap(), Answer::Found(_)));
    assert!(matches!(here.missing(&evidence, b"n.py").unwrap(), Answer::Missing(Fate::Deleted(_))));
}

#[test]
fn a_directory_is_no_source() {
    let (_temporary, base) = base();
    std::fs::create_dir(base.join("m.py")).unwrap();
    symlink("m.py", base.join("link.py")).unwrap();
    let evidence = Evidence::default();
    let here = present(&evidence, &base);
    for name in [&b"m.py"[..], b"link.py"] {
        assert!(matches!(here.look_up(name, &evidence).unwrap(), Answer::Missing(Fate::Deleted(_))));
    }
}

#[test]
fn each_reason_has_a_name_and_some_are_of_missing_names() {
    for (why, name, is_missing_name) in [
        (Why::Permission, "permission", false),
        (Why::Unmounted, "unmounted", true),
        (Why::OtherHost, "other-host", true),
        (Why::NoTrace, "no-trace", true),
        (Why::Archive, "archive", true),
        (Why::Loop, "loop", false),
        (Why::StaleHandle, "stale-handle", false),
        (Why::TooLarge, "too-large", false),
        (Why::Ambiguous, "ambiguous", false),
        (Why::Magic, "magic", false),
        (Why::Io, "io", false),
    ] {
        assert_eq!((why.name(), why.is_missing_name()), (name, is_missing_name));
    }
    // EACCES, EPERM, ESTALE, EFBIG, ELOOP, EIO.
    for (number, why) in [
        (13, Why::Permission),
        (1, Why::Permission),
        (116, Why::StaleHandle),
        (27, Why::TooLarge),
        (40, Why::Loop),
        (5, Why::Io),
    ] {
        assert_eq!(Why::of(&io::Error::from_raw_os_error(number)), why, "{number}");
    }
}

#[test]
fn some_places_are_there_for_what_goes_away() {
    for (path, is_temporary) in
        [("/tmp", true), ("/var/tmp", true), ("/dev/shm", true), ("/tmp/x", false), ("/var", false)]
    {
        assert_eq!(is_temporary_place(Path::new(path)), is_temporary, "{path}");
    }
}

#[test]
fn what_is_no_source_is_missing_and_what_is_one_is_found() {
    let (_temporary, base) = base();
    std::fs::create_dir(base.join("d.py")).unwrap();
    std::fs::write(base.join("m.py"), "text").unwrap();
    symlink("m.py", base.join("link.py")).unwrap();
    symlink("d.py", base.join("directory.py")).unwrap();
    symlink("loop.py", base.join("loop.py")).unwrap();
    symlink("m.py/below", base.join("below.py")).unwrap();
    let evidence = Evidence::default();
    let here = present(&evidence, &base);
    for (name, found) in [
        ("m.py", Some(true)),
        ("link.py", Some(true)),
        ("d.py", Some(false)),
        ("directory.py", Some(false)),
        ("gone.py", Some(false)),
        ("loop.py", None),
    ] {
        for answer in [here.look_up(name.as_bytes(), &evidence), here.missing(&evidence, name.as_bytes())] {
            let is_found = answer.as_ref().ok().map(|answer| matches!(answer, Answer::Found(_)));
            assert_eq!(is_found, found, "{name}: {answer:?}");
            if let Ok(Answer::Found(file)) = answer {
                assert_eq!(file.bytes, 4, "{name}");
            }
        }
        assert_eq!(here.is_file(name.as_bytes()), found == Some(true), "{name}");
    }
    let listing = here.listing(&mut ListBuffer::default()).unwrap();
    let names: Vec<&[u8]> = listing.files().map(|(name, _)| name).collect();
    let expected = ["below.py", "directory.py", "keep", "link.py", "loop.py", "m.py"];
    assert_eq!(names, expected.map(str::as_bytes));
    assert_eq!(here.path(), base);
}
