//! What a plan would do, for a dry run.

use super::outcome::{Outcome, WorkerOutcome};
use crate::verdict::links::LinkedVictims;
use crate::verdict::plan::{Plan, PlannedDirectory};
use std::sync::{Mutex, PoisonError};

/// Adds up what a plan would do if nothing changed meanwhile.
///
/// What is added early has no bytes of files with several links; [`Plan::linked`] knows of those as well.
#[derive(Debug, Default)]
pub struct Expectation {
    part: Mutex<WorkerOutcome>,
}

impl Expectation {
    /// Adds one directory, before the plan is whole.
    pub fn add(&self, planned: &PlannedDirectory) {
        let victims = planned.victims.iter().map(|victim| (victim, victim.tally()));
        self.part.lock().unwrap_or_else(PoisonError::into_inner).count_victims(&planned.owner, victims);
    }

    /// Adds up a whole plan that is not carried out yet, without directories.
    pub fn of(plan: &Plan) -> Outcome {
        let expectation = Expectation::default();
        plan.directories.iter().for_each(|planned| expectation.add(planned));
        let mut part = expectation.part.into_inner().unwrap_or_else(PoisonError::into_inner);
        part.count_freed(&plan.linked);
        Outcome { held_back: plan.held_back.clone(), ..Outcome::collect(vec![part], Vec::new()) }
    }

    /// Adds the rest of the plan.
    pub fn finish(self, plan: Plan) -> Outcome {
        plan.directories.iter().for_each(|planned| self.add(planned));
        let mut part = self.part.into_inner().unwrap_or_else(PoisonError::into_inner);
        part.emptied = plan.emptied;
        part.count_freed(&plan.linked);
        let Plan { skipped, held_back, over_budget, .. } = plan;
        Outcome { over_budget, held_back, ..Outcome::collect(vec![part], skipped) }
    }

    /// What is freed of files with several links, where the links of one may lie in several trees.
    pub(crate) fn of_linked(linked: &LinkedVictims) -> Outcome {
        let mut part = WorkerOutcome::default();
        part.count_freed(linked);
        Outcome::collect(vec![part], Vec::new())
    }
}
