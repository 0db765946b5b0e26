//! Locks a store, so that one prune at a time works on it.
//!
//! Two locks are taken, without waiting. No other user can hold the one in the state directory. The one on the store's root
//! directory excludes prunes that use another state directory, but any user who may list the store can hold it: it counts
//! only if the holder may be a prune of this store. Removal is safe without a lock too, since each file is checked again
//! before it is removed.

use crate::cli::output::complain;
use crate::cli::session::Opened;
use pycstore::history::{Journal, Locked, StateLock};
use pycstore::host::directory::effective_user;
use pycstore::store::Lock;
use pycstore::store::lock::{Holder, holders};
use std::fs::File;

/// Holds the lock in the state directory until it is dropped. The lock on the store itself ends with the [`Opened`].
#[derive(Debug)]
pub struct PruneLock {
    _state: Option<File>,
}

/// Whether this process has the locks.
#[derive(Debug)]
pub enum Turn {
    /// It has them.
    Ours(PruneLock),
    /// Another process holds one: another prune, or another program of a user who may prune the store.
    Others(Locked),
}

/// How often the lock on the store is tried when no holder is found: it may have just ended.
const MOST_TRIES: usize = 3;

/// Takes both locks.
pub fn take(opened: &Opened, journal: Option<&Journal>) -> Turn {
    // A missing state directory is reported when the history is written.
    let state = match journal.and_then(|journal| journal.lock().ok()) {
        Some(StateLock::Others(identity)) => {
            return Turn::Others(Locked::by(holders(identity).into_iter().next()));
        }
        Some(StateLock::Ours(file)) => Some(file),
        None => None,
    };
    let turn = Turn::Ours(PruneLock { _state: state });
    let (store, shown) = (&opened.store, opened.store.path().display());
    for _ in 0..MOST_TRIES {
        match store.lock() {
            Ok(Lock::Ours) => return turn,
            Ok(Lock::Others) => {}
            Err(error) => {
                complain::note(&format!("cannot lock {shown}: {error}; continuing without the lock"));
                return turn;
            }
        }
        let holders = holders(store.metadata().identity);
        let prune = holders.iter().find(|holder| may_prune(holder, store.metadata().user));
        match (prune, holders.first()) {
            (Some(prune), _) => return Turn::Others(Locked::by(Some(prune.clone()))),
            (None, Some(stranger)) => {
                let stranger = Locked::by(Some(stranger.clone())).holder();
                complain::note(&format!(
                    "{stranger} holds the lock of {shown} but is not a prune: continuing without that lock"
                ));
                return turn;
            }
            (None, None) => {}
        }
    }
    Turn::Others(Locked::by(None))
}

/// Whether a process may be a prune of a store of user `owner`: that user, root or we started it. One of them would not be
/// hidden from us.
fn may_prune(holder: &Holder, owner: u32) -> bool {
    holder.user.is_some_and(|user| [0, owner, effective_user()].contains(&user))
}
