//! What the store has of no use any more, grouped by the interpreter of its tag.

use super::sources::{is_anothers, trusted, uses_store};
use super::{Planning, Remark, WarmPlan, troubles};
use crate::effect::compile::{SourceGroup, Task};
use crate::pyc::InvalidationMode;
use crate::pyc::name::Name;
use crate::pyc::tags::Tag;
use crate::store::scan::{Scan, Trouble, Visit, Visitor};
use crate::units::human;
use crate::verdict::status::{self, Status, UncheckedHashes};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The stale entries that one worker of a scan found.
struct StaleEntries<'a> {
    under: &'a [PathBuf],
    tasks: Vec<(String, Task)>,
    /// Number of entries that only pytest or another rewriter writes.
    rewritten: u64,
    troubles: Vec<Trouble>,
}

impl Visitor for StaleEntries<'_> {
    fn directory(&mut self, visit: &Visit<'_>) {
        for entry in visit.entries {
            let source = entry.source_path(&visit.source_directory());
            let (Some(Status::Stale(_)), Name::Bytecode(slot), Some(source)) =
                (status::judge(entry, UncheckedHashes::Trust), entry.parsed, source)
            else {
                continue;
            };
            if !self.under.is_empty() && !self.under.iter().any(|under| source.starts_with(under)) {
                continue;
            }
            let optimization = match slot.optimization {
                "" => Some(0),
                "1" => Some(1),
                "2" => Some(2),
                _ => None,
            };
            let Some(optimization) = optimization.filter(|_| slot.pytest.is_none()) else {
                self.rewritten += 1;
                continue;
            };
            let invalidation = entry.invalidation_mode().unwrap_or(InvalidationMode::Timestamp);
            self.tasks.push((slot.tag.to_string(), Task { source, optimization, invalidation }));
        }
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.troubles.push(trouble);
    }
}

/// What is to be compiled of what is stale: entries of sources at or below the paths `under`, whose mirrors are `mirrored`.
pub fn plan_stale(planning: &mut Planning<'_>, under: &[PathBuf], mirrored: &[PathBuf]) -> WarmPlan {
    let scan = Scan { within: mirrored, ..planning.scan };
    let new_part = || StaleEntries { under, tasks: Vec::new(), rewritten: 0, troubles: Vec::new() };
    let parts = scan.run(new_part, (planning.progress)());
    let mut is_whole = true;
    let (mut rewritten, mut others) = (0, 0);
    let mut by_tag: BTreeMap<Tag, Vec<Task>> = BTreeMap::new();
    for part in parts {
        is_whole &= troubles(planning, part.troubles);
        rewritten += part.rewritten;
        for (tag, task) in part.tasks {
            let directory = task.source.parent().and_then(|directory| directory.metadata().ok());
            if directory.is_some_and(|directory| is_anothers(&directory)) {
                others += 1;
            } else {
                by_tag.entry(Tag::from(&*tag)).or_default().push(task);
            }
        }
    }
    if rewritten > 0 {
        let entries = human::counted(rewritten, "entry");
        let message = format!("{entries} of pytest or another rewriter left: only that can write them");
        planning.report(Remark::Expected(message));
    }
    if others > 0 {
        is_whole = false;
        let entries = human::counted(others, "entry");
        let message = format!("{entries} left: root compiles no sources in other users' directories");
        planning.report(Remark::Left(message));
    }
    let groups = groups(planning, by_tag, &mut is_whole);
    WarmPlan { groups, is_whole, ..WarmPlan::default() }
}

/// Chooses the interpreter of each tag; says for which tags there is none.
fn groups(
    planning: &mut Planning<'_>,
    by_tag: BTreeMap<Tag, Vec<Task>>,
    is_whole: &mut bool,
) -> Vec<SourceGroup> {
    let mut groups = Vec::new();
    if by_tag.is_empty() {
        return groups;
    }
    let interpreters = (planning.interpreters)();
    for (tag, mut tasks) in by_tag {
        tasks.sort_by(|one, other| (&one.source, one.optimization).cmp(&(&other.source, other.optimization)));
        let of_tag = interpreters.with_store().filter(|(own, _)| *own == &*tag && uses_store(own));
        let mut executables = of_tag.filter_map(|(_, it)| it.executable.clone());
        let mut why = format!("no interpreter found for {}", &*tag);
        let is_trusted = |executable: &PathBuf| {
            trusted(planning.runners, executable).inspect_err(|untrusted| why.clone_from(untrusted)).is_ok()
        };
        match executables.find(is_trusted) {
            Some(executable) => groups.push(SourceGroup { executable, tag: Some((*tag).into()), tasks }),
            None => {
                *is_whole = false;
                let entries = human::counted(tasks.len() as u64, "entry");
                planning.report(Remark::NoInterpreter(format!("{entries} not compiled: {why}")));
            }
        }
    }
    groups
}
