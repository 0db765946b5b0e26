//! Runs checks on the files of their corpora.

use super::Check;
use std::panic::catch_unwind;
use std::path::Path;

/// Asserts that each check passes on every file of its corpus.
pub fn assert_answered(targets: &[(&str, Check)]) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/corpus");
    let mut failed = Vec::new();
    for (name, check) in targets {
        let files: Vec<_> =
            std::fs::read_dir(corpus.join(name)).unwrap().map(|it| it.unwrap().path()).collect();
        assert!(!files.is_empty(), "{name}");
        for file in files {
            let bytes = std::fs::read(&file).unwrap();
            if catch_unwind(|| check(&bytes)).is_err() {
                failed.push(file);
            }
        }
    }
    assert!(failed.is_empty(), "not answered: {failed:#?}");
}
