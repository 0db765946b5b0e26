//! A store on a network file system that several hosts use: what each may remove, whose clock counts, and what happens when the
//! server fails or does not answer.

mod clocks;
mod hosts;
mod of_another_user;
mod outage;
mod served;
mod sshfs;

use crate::support::{HOUR, World, age, files, newest};
use served::Served;
use std::path::PathBuf;

/// A world whose store is in `~/net`, with projects there, of which the first are deleted after they were compiled.
struct Site {
    world: World,
    backing: PathBuf,
}

impl Site {
    /// `gone` and `kept` directories with five modules each in `~/net/project`, and the store in `~/net/store`. The entries are an
    /// hour old, and the deletion is new.
    fn new(gone: usize, kept: usize) -> Site {
        let site = Site::just_compiled(gone, kept);
        for entry in files(&site.world.store) {
            age(&entry, HOUR);
        }
        site
    }

    /// The same with new entries.
    fn just_compiled(gone: usize, kept: usize) -> Site {
        let mut world = World::new();
        world.store = world.home.join("net/store");
        for number in 0..gone + kept {
            let kind = if number < gone { "gone" } else { "kept" };
            for module in 0..5 {
                world.write(format!("net/project/{kind}{number}/m{module}.py"), format!("X = {number}\n"));
            }
        }
        world.compile(newest(), &[], &[&world.home.join("net/project")]);
        std::thread::sleep(std::time::Duration::from_millis(20));
        for number in 0..gone {
            std::fs::remove_dir_all(world.home.join(format!("net/project/gone{number}"))).unwrap();
        }
        let backing = world.home.parent().unwrap().join("backing");
        Site { world, backing }
    }

    /// Serves `~/net` from now on.
    fn serve(&self) -> Served {
        Served::instead_of(&self.world.home.join("net"), &self.backing)
    }

    /// How many entries are left.
    fn entries(&self) -> usize {
        files(&self.backing.join("store")).len()
    }

    /// The runs in the history, the oldest first.
    fn history(&self) -> Vec<serde_json::Value> {
        let told = self.world.pycstore_without_prefix(["history", "--json"]).exits(0);
        told.json_lines()
    }
}
