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

impl<'a> Judge<'a> {
    /// A judge of a store's entries by this policy.
    pub fn new(policy: &'a Policy, store: &'a Store, circumstances: Circumstances<'a>) -> Judge<'a> {
        Judge { policy, store, circumstances, troubles: Vec::new() }
    }

    /// Returns the policy's verdict on an entry and the status that it is based on; `None` if the entry is out of
    /// scope.
    pub(crate) fn verdict(&mut self, visit: &Visit<'_>, entry: &Entry<'_>) -> Option<(Verdict, Premise)> {
        if entry.parsed == Name::Foreign || !self.policy.scope.admits_entry(visit, entry) {
            return None;
        }
        let status = status::judge(entry, UncheckedHashes::Trust);
        // Only what Python loads is ever listed: what was recompiled meanwhile is another file.
        if status == Some(Status::Fresh) && self.policy.lists(visit.relative, entry) {
            return Some((Verdict::Condemn, Premise::None));
        }
        let Some(status) = status.map(|status| self.look_at_body(visit, entry, status)) else {
            return Some((Verdict::Keep, Premise::None));
        };
        let verdict = self.policy.judge(entry, status, &self.circumstances);
        Some((verdict, self.policy.premise(visit.sources, entry, status)))
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
