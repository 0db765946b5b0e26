//! The scans of a run: they find the entries over the budget and those to remove.

use super::{Judgement, RemovalRun, ResultOutput};
use crate::cli::session::Opened;
use pycstore::source::package::Packages;
use pycstore::store::scan::{Question, Scan, Trouble};
use pycstore::units::human;
use pycstore::verdict::budget::{CutOff, Weigher};
use pycstore::verdict::judge::Judge;
use pycstore::verdict::plan::{Overflow, Plan, Planner};
use pycstore::verdict::policy::{Budget, Circumstances, Policy};

/// The result of a scan.
pub(super) struct Scanned {
    pub plan: Plan,
    pub troubles: Vec<Trouble>,
    pub look: ScanExtent,
}

/// How much of the store was scanned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ScanExtent {
    Whole,
    Partial,
}

impl RemovalRun<'_> {
    /// Finds out what the policy's budget evicts, if it has one.
    pub(super) fn weigh(&self, policy: &Policy, circumstances: Circumstances<'_>) -> Option<CutOff> {
        if policy.budget.is_unlimited() {
            return None;
        }
        let new_weigher = || Weigher::new(Judge::new(policy, &self.opened.store, circumstances));
        let scan = within_scope(self.opened, policy, policy.question());
        Some(CutOff::find(scan.run(new_weigher, self.session.progress("measuring")), &policy.budget))
    }

    /// One scan: finds the entries to remove.
    pub(super) fn look(
        &self,
        judgement: Judgement<'_>,
        weighed: Vec<Trouble>,
        overflow: Option<&Overflow<'_>>,
    ) -> Scanned {
        let Judgement { policy, circumstances, cut_off, .. } = judgement;
        let (session, opened) = (self.session, self.opened);
        let question = match cut_off {
            // Nothing is over the budget, and the rest of the policy needs fewer facts.
            Some(cut_off) if cut_off.is_empty() => {
                Policy { budget: Budget::default(), ..policy.clone() }.question()
            }
            _ => policy.question(),
        };
        let scan = within_scope(opened, policy, question);
        // Only the table and the JSON have packages.
        let is_shown = self.options.output == ResultOutput::Printed && !self.options.list;
        let packages = (is_shown && (self.options.json || !session.global.quiet)).then(Packages::default);
        let new_planner = || {
            let planner = Planner::new(policy, &opened.store, circumstances);
            planner.with_packages(packages.as_ref()).with_cut_off(cut_off).with_overflow(overflow)
        };
        let planners = session.scan(&scan, new_planner);
        let is_whole = !opened.stop.is_scan_stopped() && !opened.store.is_lost();
        let look = if is_whole { ScanExtent::Whole } else { ScanExtent::Partial };
        let mut plan = Plan::collect(planners);
        let troubles = both(std::mem::take(&mut plan.troubles), weighed);
        let troubles = both(troubles, opened.troubles_of_aliases());
        Scanned { plan, troubles, look }
    }

    /// Removes from the plan of a dry run the files that a real run would find not to be bytecode.
    pub(super) fn check_contents(&self, plan: &mut Plan) {
        let unread = plan.look_into(&self.opened.store, self.opened.threads());
        if unread > 0 {
            let files = human::counted(unread, "file");
            self.session.note(&format!("{files} not read: those that are not bytecode will be kept"));
        }
    }
}

/// The troubles of two scans, each path once.
pub fn both(mut troubles: Vec<Trouble>, others: Vec<Trouble>) -> Vec<Trouble> {
    troubles.extend(others);
    troubles.sort_by(|one, other| one.path().cmp(other.path()));
    troubles.dedup_by(|one, other| one.path() == other.path());
    troubles
}

/// A scan of the part of the store that a policy is about.
fn within_scope<'a>(opened: &'a Opened, policy: &'a Policy, question: Question) -> Scan<'a> {
    Scan { within: &policy.scope.mirrored, ..opened.scan(question) }
}
