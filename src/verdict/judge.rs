//! Applies a policy to the entries of a scan, one after another: scope, status, body if required, verdict.

use super::policy::{Circumstances, Policy, Selector, Verdict};
use super::premise::Premise;
use crate::pyc::name::Name;
use crate::source::is_missing;
use crate::store::Store;
use crate::store::body::Body;
use crate::store::entry::Entry;
use crate::store::scan::{Trouble, Visit};
use crate::verdict::status::{self, Corrupt, Status, UncheckedHashes};

/// One worker's judge.
#[derive(Debug)]
pub struct Judge<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) store: &'a Store,
    circumstances: Circumstances<'a>,
    pub(crate) troubles: Vec<Trouble>,
}

/// A judge's decision about an entry.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    /// The status that it is based on; none if the facts are incomplete.
    pub(crate) status: Option<Status>,
    /// What must still hold when the entry is removed.
    pub(crate) premise: Premise,
}

impl<'a> Judge<'a> {
    /// A judge of a store's entries by this policy.
    pub fn new(policy: &'a Policy, store: &'a Store, circumstances: Circumstances<'a>) -> Judge<'a> {
        Judge { policy, store, circumstances, troubles: Vec::new() }
    }

    /// Returns the policy's verdict on an entry; `None` if the entry is out of scope.
    pub(crate) fn verdict(&mut self, visit: &Visit<'_>, entry: &Entry<'_>) -> Option<Judged> {
        if entry.parsed == Name::Foreign || !self.policy.scope.admits_entry(visit, entry) {
            return None;
        }
        let status = status::judge(entry, UncheckedHashes::Trust);
        if let Some(status) = status.filter(|status| self.policy.lists(visit.relative, entry, *status)) {
            let verdict = self.policy.judge_listed(entry, status, &self.circumstances);
            let premise = self.policy.premise(visit.sources, entry, status);
            return Some(Judged { verdict, status: Some(status), premise });
        }
        let Some(status) = status.map(|status| self.look_at_body(visit, entry, status)) else {
            return Some(Judged { verdict: Verdict::Keep, status, premise: Premise::None });
        };
        let verdict = self.policy.judge(entry, status, &self.circumstances);
        let premise = self.policy.premise(visit.sources, entry, status);
        Some(Judged { verdict, status: Some(status), premise })
    }

    /// Returns the `keep` glob that is the only reason why an entry stays, if there is one. Ignores budgets and
    /// does not read bodies.
    pub(crate) fn held_back(&self, visit: &Visit<'_>, entry: &Entry<'_>) -> Option<&'a str> {
        let scope = &self.policy.scope;
        if scope.keep.is_empty() || entry.parsed == Name::Foreign {
            return None;
        }
        let status = status::judge(entry, UncheckedHashes::Trust)?;
        let is_condemned = self.policy.judge(entry, status, &self.circumstances).is_condemned();
        is_condemned.then(|| scope.kept_by(visit, entry)).flatten()
    }

    /// The status of an entry, with its body checked if the policy requires that. Only fresh entries are checked:
    /// Python reads no others.
    fn look_at_body(&mut self, visit: &Visit<'_>, entry: &Entry<'_>, status: Status) -> Status {
        if status != Status::Fresh || !self.policy.selectors.contains(&Selector::Bodies) {
            return status;
        }
        match visit.body(entry) {
            Ok(Some(Body::Faulty(_))) => Status::Corrupt(Corrupt::Body),
            Ok(Some(Body::Loadable(_) | Body::NotChecked) | None) => status,
            Err(error) if is_missing(&error) => status,
            Err(source) => {
                let path = self.store.shown(visit.relative, entry.name);
                self.troubles.push(Trouble::File { path, source });
                status
            }
        }
    }
}
