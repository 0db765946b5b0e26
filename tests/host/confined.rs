//! The namespace of `tests/confined.sh`.

/// What `tests/confined.sh` promises to the whole suite: nothing outside the temporary directory and the build can be
/// written to, so that a test that touches a real place fails.
#[test]
#[ignore = "needs root and tests/confined.sh"]
fn no_test_can_touch_a_real_place() {
    assert_eq!(
        std::env::var_os("PYCSTORE_TESTS_CONFINED").as_deref(),
        Some("1".as_ref()),
        "tests/confined.sh"
    );
    let own = std::env::temp_dir();
    let home = std::env::home_dir().unwrap();
    let manifest = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for place in ["/", "/var/tmp", "/srv", "/home", "/root", "/etc", "/var", "/opt", "/usr", "/run"]
        .into_iter()
        .map(std::path::Path::new)
        .chain([home.as_path(), home.join(".cache").as_path(), home.join(".config").as_path(), manifest])
        .filter(|place| place.is_dir())
    {
        let file = place.join("pycstore-test-of-confinement");
        let written = std::fs::write(&file, "");
        let _ = std::fs::remove_file(&file);
        let kind = written.expect_err(&format!("{} can be written to", place.display())).kind();
        assert_eq!(kind, std::io::ErrorKind::ReadOnlyFilesystem, "{}", place.display());
    }
    tempfile::tempdir_in(own).unwrap();
}
