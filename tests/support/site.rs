//! A store with an orphan, and files outside it that a prune must not reach.

use super::{HOUR, World, age, date_back, newest};
use std::path::PathBuf;

/// A store of a living project and one that is gone, and beside it what lies outside.
pub struct Site {
    pub world: World,
    /// The mirror of the project that is gone.
    pub gone: PathBuf,
    /// The one entry in it.
    pub entry: PathBuf,
    /// A directory that is not of the store, with what would be condemned in it.
    pub outside: PathBuf,
}

/// The name of the newest interpreter's entry for `stem.py`.
pub fn named(stem: &str) -> String {
    format!("{stem}.{}.pyc", newest().tag)
}

pub fn site() -> Site {
    let world = World::new();
    let living = world.project("living", &["a.py"]);
    let source = world.project("gone", &["b.py"]);
    world.compile(newest(), &[], &[&living, &source]);
    std::fs::remove_dir_all(&source).unwrap();
    let gone = world.mirror(&source);
    let entry = gone.join(named("b"));
    date_back(&entry);
    let outside = world.home.join("outside");
    std::fs::create_dir_all(outside.join("below")).unwrap();
    for name in [named("x"), format!("below/{}", named("y")), format!("{}.5", named("x"))] {
        std::fs::copy(&entry, outside.join(&name)).unwrap();
        age(&outside.join(&name), 48 * HOUR);
    }
    Site { world, gone, entry, outside }
}
