//! The commands that are measured, each with the answer that it must give.

use crate::floor::{Question, Sums};
use crate::measure::Subject;
use crate::process::{self, Finished, Runner};
use crate::synthetic::{Synthetic, Truth};
use anyhow::ensure;
use serde_json::Value;
use std::cell::Cell;
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;

/// GNU `du`, which reads no header and looks at no source.
pub const GNU_DU: &str = "GNU du -s";
/// The program's `du`.
pub const DU: &str = "pycstore du";
/// The program's dry run.
pub const PRUNE: &str = "pycstore prune --orphans --dry-run";
/// The program weighs every entry against a budget that nearly none fits.
pub const BUDGET: &str = "pycstore prune --max-files 1 --dry-run";
/// The program deletes.
pub const DELETE: &str = "pycstore prune --orphans";
/// GNU `rm` deletes the same.
pub const RM: &str = "rm -rf of the same directories";

/// The room on disk that all who measure it agree on; empty until the first says it.
pub type Room = Rc<Cell<Option<u64>>>;

/// Makes subjects for a synthetic store.
pub struct Subjects {
    /// The store.
    pub synthetic: Synthetic,
    /// Where commands run.
    pub runner: Runner,
    /// The executable that is the floor: this one.
    pub floor: PathBuf,
}

impl Subjects {
    /// GNU `du`.
    pub fn gnu_du<'s>(&'s self, room: &Room) -> Subject<'s> {
        let room = room.clone();
        let command = || {
            let mut command = Command::new("du");
            command.args(["-s", "-B1"]).arg(self.synthetic.store());
            command
        };
        Subject::new(GNU_DU, command, move |finished| {
            let room_taken = finished.stdout.split('\t').next().and_then(|number| number.parse().ok());
            agree(&room, room_taken)
        })
    }

    /// The floor.
    pub fn floor(&self, question: Question, threads: usize) -> Subject<'_> {
        let command = move || {
            let mut command = Command::new(&self.floor);
            command.args(["--floor", question.name()]).arg(self.synthetic.store()).arg(threads.to_string());
            command
        };
        let Truth { fresh, stale, orphans, directories, entry_bytes, .. } = self.synthetic.truth;
        let (fresh, stale) = match question {
            Question::Du => (fresh, stale),
            Question::Orphans => (fresh + stale, 0),
        };
        let files = self.synthetic.truth.entries();
        let truth = Sums { directories, files, bytes: files * entry_bytes, fresh, stale, orphans };
        Subject::new(floor_name(question, threads), command, move |finished| {
            let sums = Sums::parse(&finished.stdout)?;
            ensure!(sums == truth, "{sums:?} instead of {truth:?}");
            Ok(())
        })
    }

    /// The program's `du` with further options.
    pub fn du<'s>(&'s self, name: &str, options: &[&'s str], room: &Room) -> Subject<'s> {
        let arguments = [&["du", "--json"], options].concat();
        let (truth, room) = (self.synthetic.truth, room.clone());
        Subject::new(
            name,
            move || self.program(&arguments),
            move |finished| check_du(finished, &truth, &room),
        )
    }

    /// The program's `prune --orphans` with further options: a dry run.
    pub fn prune<'s>(&'s self, name: &str, options: &[&'s str]) -> Subject<'s> {
        // Quiet: beyond some thousands of orphans a dry run notes that it did not look into each.
        let arguments = [&["prune", "--orphans", "--json", "--quiet"], options].concat();
        let truth = self.synthetic.truth;
        Subject::new(name, move || self.program(&arguments), move |finished| check_prune(finished, &truth))
    }

    /// The program's dry run of a budget of one file, with further options.
    pub fn budget<'s>(&'s self, options: &[&'s str]) -> Subject<'s> {
        let arguments = [&["prune", "--max-files", "1", "--dry-run", "--json", "--quiet"], options].concat();
        let evicted = self.synthetic.truth.entries() - 1;
        Subject::new(
            BUDGET,
            move || self.program(&arguments),
            move |finished| number(&serde_json::from_str(&finished.stdout)?, "/removed/files", evicted),
        )
    }

    /// The program's `prune --orphans`, on orphans made again before.
    pub fn deletion(&self) -> Subject<'_> {
        let truth = self.synthetic.truth;
        let command = || self.program(&["prune", "--orphans", "--json"]);
        let check =
            move |finished: &Finished| check_prune(finished, &truth).and_then(|()| self.check_deleted());
        Subject::new(DELETE, command, check).after(|| self.before_deletion())
    }

    /// `rm -rf` of what that deletes.
    pub fn rm(&self) -> Subject<'_> {
        let command = || {
            let mut command = Command::new("rm");
            command.arg("-rf").args(self.synthetic.orphan_directories());
            command
        };
        Subject::new(RM, command, |_| self.check_deleted()).after(|| self.before_deletion())
    }

    /// Makes the orphans that were deleted, writes all to the disk, and looks at it, so that the caches are warm.
    fn before_deletion(&self) -> anyhow::Result<()> {
        self.synthetic.restore_orphans()?;
        process::sync();
        self.floor(Question::Orphans, 2).try_out(&self.runner)?;
        Ok(self.synthetic.begin_deleting()?)
    }

    fn check_deleted(&self) -> anyhow::Result<()> {
        let left = self.synthetic.orphan_directories().into_iter().find(|directory| directory.exists());
        ensure!(left.is_none(), "left: {left:?}");
        let kept = self.synthetic.fresh_entry()?;
        ensure!(kept.exists(), "not kept: {}", kept.display());
        Ok(())
    }

    /// The program on the synthetic store, with nothing of our own environment.
    pub fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pycstore"));
        command
            .env_clear()
            .env("HOME", self.synthetic.home())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("PYCSTORE_CONFIG", "")
            .env("PYTHONPYCACHEPREFIX", self.synthetic.store())
            .args(arguments);
        command
    }
}

/// The name of the floor's subject that answers this question.
pub fn floor_name(question: Question, threads: usize) -> String {
    format!("floor {}, {threads} threads", question.name())
}

/// All who measure the room on disk must say the same.
fn agree(room: &Cell<Option<u64>>, measured: Option<u64>) -> anyhow::Result<()> {
    ensure!(measured.is_some(), "it says nothing of the room on disk");
    let agreed = room.get().or(measured);
    ensure!(measured == agreed, "{measured:?} bytes on disk, others said {agreed:?}");
    room.set(agreed);
    Ok(())
}

/// Fails unless the number at `pointer` is the one expected.
fn number(document: &Value, pointer: &str, expected: u64) -> anyhow::Result<()> {
    let found = document.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    ensure!(found == expected, "{pointer} is {found}, not {expected}");
    Ok(())
}

fn check_du(finished: &Finished, truth: &Truth, room: &Cell<Option<u64>>) -> anyhow::Result<()> {
    let document: Value = serde_json::from_str(&finished.stdout)?;
    let reclaimable = truth.stale + truth.orphans;
    for (pointer, files) in [
        ("/statuses/fresh", truth.fresh),
        ("/statuses/stale", truth.stale),
        ("/statuses/orphan", truth.orphans),
        ("/reclaimable", reclaimable),
    ] {
        number(&document, &format!("{pointer}/files"), files)?;
        number(&document, &format!("{pointer}/bytes"), files * truth.entry_bytes)?;
    }
    number(&document, "/total/files", truth.entries())?;
    number(&document, "/total/directories", truth.directories)?;
    agree(room, document.pointer("/total/disk").and_then(Value::as_u64))
}

fn check_prune(finished: &Finished, truth: &Truth) -> anyhow::Result<()> {
    let document: Value = serde_json::from_str(&finished.stdout)?;
    number(&document, "/removed/files", truth.orphans)?;
    number(&document, "/removed/bytes", truth.orphans * truth.entry_bytes)?;
    number(&document, "/removed/directories", truth.orphan_directories)?;
    for list in ["skipped", "failures"] {
        let is_empty = document[list].as_array().is_some_and(Vec::is_empty);
        ensure!(is_empty, "{list}: {}", document[list]);
    }
    Ok(())
}
