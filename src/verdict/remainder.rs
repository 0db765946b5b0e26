//! Whether a prune would empty the whole store. Decided before the prune begins, so that the user can be asked.
//!
//! Only some policies can ([`Policy::may_empty_a_store`]). Orphans, stale, corrupt and temporary entries and those of dead
//! interpreters are of no use to any Python: a nightly run removes them even if the store has nothing else.

use super::budget::{CutOff, RankedFile};
use super::judge::Judge;
use super::policy::{Circumstances, Policy, Selector, Verdict};
use crate::pyc::name::Name;
use crate::store::Store;
use crate::store::entry::{Bytecode, Content, Entry};
use crate::store::scan::{Trouble, Visit, Visitor};
use crate::verdict::status::{self, Status, UncheckedHashes};
use std::sync::atomic::{AtomicBool, Ordering};

/// A shorter age, in seconds, includes entries in daily use: `relatime` updates an access time once a day.
const GRAIN_OF_RELATIME: i64 = 86_400;

impl Policy {
    /// Whether it can remove entries that Python still uses, and so empty the store.
    pub fn may_empty_a_store(&self) -> bool {
        let has = |selector| self.selectors.contains(&selector);
        has(Selector::All)
            || has(Selector::Forgotten)
            || self.takes_what_is_in_use()
            || !self.budget.is_unlimited()
    }

    /// Whether it empties every store, regardless of the contents.
    pub fn empties_every_store(&self) -> bool {
        let is_unlimited = self.scope.is_everything();
        let is_nothing_allowed = self.budget.disk == Some(0) || self.budget.files == Some(0);
        let has_no_age = self.unused_for.is_some_and(|age| age <= 0);
        is_unlimited && (self.selectors.contains(&Selector::All) || is_nothing_allowed || has_no_age)
    }

    fn takes_what_is_in_use(&self) -> bool {
        self.unused_for.is_some_and(|age| age < GRAIN_OF_RELATIME)
    }

    /// The part of it that needs no consent.
    fn harmless(&self) -> Policy {
        let mut selectors = self.selectors.clone();
        selectors.retain(|selector| !matches!(selector, Selector::All | Selector::Forgotten));
        // What was chosen one by one may be of no use to any Python as well.
        if selectors.remove(&Selector::Listed) {
            selectors.extend(Policy::reclaimable().selectors);
        }
        let unused_for = self.unused_for.filter(|_| !self.takes_what_is_in_use());
        Policy { selectors, unused_for, ..Policy::default() }
    }
}

/// Looks for an entry that stays; one for each worker. The scan covers the whole store, and ends with the first such
/// entry.
#[derive(Debug)]
pub struct Remainder<'a> {
    judge: Judge<'a>,
    harmless: Policy,
    circumstances: Circumstances<'a>,
    cut_off: Option<&'a CutOff>,
    /// The scan's flag to stop.
    is_found: &'a AtomicBool,
    takes_what_is_in_use: bool,
}

impl<'a> Remainder<'a> {
    /// Searches `store` for entries that this policy leaves. `is_found` is the flag that stops the scan.
    pub fn new(
        policy: &'a Policy,
        store: &'a Store,
        circumstances: Circumstances<'a>,
        cut_off: Option<&'a CutOff>,
        is_found: &'a AtomicBool,
    ) -> Remainder<'a> {
        let judge = Judge::new(policy, store, circumstances);
        let harmless = policy.harmless();
        Remainder { judge, harmless, circumstances, cut_off, is_found, takes_what_is_in_use: false }
    }

    /// Whether the store has entries that Python may use, and none of them stays.
    pub fn is_nothing(parts: &[Remainder<'_>]) -> bool {
        let is_found = parts.iter().any(|part| part.is_found.load(Ordering::Relaxed));
        !is_found && parts.iter().any(|part| part.takes_what_is_in_use)
    }

    fn look(&mut self, visit: &Visit<'_>, entry: &Entry<'_>) {
        // Leftovers of interrupted writes and foreign files are no entries, nor is what may not be bytecode.
        let may_be_none = matches!(entry.content, Content::Read(_, Bytecode::Never) | Content::Unreadable(_));
        if !matches!(entry.parsed, Name::Bytecode(_)) || may_be_none {
            return;
        }
        let Some(status) = status::judge(entry, UncheckedHashes::Trust) else { return };
        let is_taken = match self.judge.verdict(visit, entry).map(|judged| judged.verdict) {
            None => false,
            Some(Verdict::Condemn) => true,
            Some(Verdict::Evictable(_)) => {
                let is_evicted =
                    |cut_off: &CutOff| RankedFile::of(visit, entry).is_some_and(|it| cut_off.evicts(it));
                self.cut_off.is_some_and(is_evicted)
            }
            // Kept because it cannot be judged, not because the policy leaves it.
            Some(Verdict::Spare(_)) => return,
            Some(Verdict::Keep) if matches!(status, Status::Unknown(_)) => return,
            Some(Verdict::Keep) => false,
        };
        if !is_taken {
            self.is_found.store(true, Ordering::Relaxed);
        } else if !self.harmless.judge(entry, status, &self.circumstances).is_condemned() {
            self.takes_what_is_in_use = true;
        }
    }
}

impl Visitor for Remainder<'_> {
    fn directory(&mut self, visit: &Visit<'_>) {
        for entry in visit.entries {
            self.look(visit, entry);
        }
    }

    /// The scan that plans reports it.
    fn trouble(&mut self, _: Trouble) {}
}

#[cfg(test)]
mod tests {
    use super::super::policy::Budget;
    use super::super::scope::Scope;
    use super::*;

    const DAY: i64 = 86_400;

    #[test]
    fn some_policies_can_empty_a_store_and_some_empty_any() {
        let of = |selectors: &[Selector]| Policy::of(selectors.iter().copied());
        let unused = |age| Policy { unused_for: Some(age), ..Policy::default() };
        let budget =
            |disk, files| Policy { budget: Budget { disk, files }, ..Policy::of([Selector::Temporary]) };
        let narrow =
            |policy| Policy { scope: Scope { tags: vec!["t".into()], ..Scope::default() }, ..policy };
        for (policy, may_empty_one, empties_any) in [
            (Policy::default(), false, false),
            (Policy::reclaimable(), false, false),
            (of(&[Selector::DeadInterpreters, Selector::Bodies, Selector::Listed]), false, false),
            (of(&[Selector::All]), true, true),
            (narrow(of(&[Selector::All])), true, false),
            (of(&[Selector::Forgotten]), true, false),
            (unused(-1), true, true),
            (unused(0), true, true),
            (unused(1), true, false),
            (unused(DAY - 1), true, false),
            (unused(DAY), false, false),
            (narrow(unused(0)), true, false),
            (budget(Some(0), None), true, true),
            (budget(None, Some(0)), true, true),
            (budget(Some(1), Some(0)), true, true),
            (budget(Some(1), None), true, false),
            (budget(None, Some(1)), true, false),
            (narrow(budget(Some(0), Some(0))), true, false),
        ] {
            let is = (policy.may_empty_a_store(), policy.empties_every_store());
            assert_eq!(is, (may_empty_one, empties_any), "{policy:?}");
        }
    }

    #[test]
    fn what_never_asks_is_taken_of_every_policy() {
        let all = [Selector::Orphans, Selector::Corrupt, Selector::Forgotten, Selector::All];
        for (age, harmless_age) in [(None, None), (Some(DAY - 1), None), (Some(DAY), Some(DAY))] {
            let budget = Budget { disk: Some(1), files: None };
            let harmless = Policy { unused_for: age, budget, ..Policy::of(all) }.harmless();
            assert_eq!(harmless.selectors, [Selector::Orphans, Selector::Corrupt].into());
            assert_eq!(harmless.unused_for, harmless_age);
            assert!(harmless.budget.is_unlimited());
        }
    }
}
