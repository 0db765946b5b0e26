//! Checks before a run whether it would empty the whole store, which needs consent.

use crate::cli::session::Opened;
use pycstore::store::scan::Scan;
use pycstore::verdict::budget::CutOff;
use pycstore::verdict::policy::{Circumstances, Policy};
use pycstore::verdict::remainder::Remainder;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether no entry that Python may still use would stay in the store. Ends at the first such entry, usually at once.
/// If the search is interrupted, the run removes nothing.
pub(super) fn would_empty(
    opened: &Opened,
    policy: &Policy,
    circumstances: Circumstances<'_>,
    cut_off: Option<&CutOff>,
) -> bool {
    if opened.stop.is_scan_stopped() || cut_off.is_some_and(|it| it.is_empty() && policy.unused_for.is_none())
    {
        return false;
    }
    let is_found = AtomicBool::new(false);
    let scan = Scan { stop: &is_found, ..opened.scan(policy.question()) };
    let new_search = || Remainder::new(policy, &opened.store, circumstances, cut_off, &is_found);
    let check_stop = |_| {
        if opened.stop.is_scan_stopped() {
            is_found.store(true, Ordering::Relaxed);
        }
    };
    let is_nothing = Remainder::is_nothing(&scan.run(new_search, check_stop));
    is_nothing && !opened.store.is_lost()
}
