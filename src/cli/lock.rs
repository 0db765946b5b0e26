//! One prune at a time on a store.
//!
//! Two locks are taken, neither is waited for. That in the directory of state cannot be held by another user, who cannot
//! open it. That on the store's root excludes prunes with another directory of state, but any user who may list the store
//! can hold it: it counts only where the holder may be a prune of this store. Removal is safe without a lock as well, for
//! each file is looked at again before it goes.

use super::history::{Journal, Locked, StateLock};
use super::output::complain;
use super::session::Opened;
use pycstore::directory::effective_user;
use pycstore::lock::{Holder, holders};
use pycstore::store::Lock;
use std::fs::File;

/// The locks on a store, until this is dropped. That on the store itself ends with the [`Opened`].
#[derive(Debug)]
pub struct PruneLock {
    _state: Option<File>,
}

/// Whether a run may begin.
#[derive(Debug)]
pub enum Turn {
    /// It may.
    Ours(PruneLock),
    /// Another prune is at work, or whatever else of this user holds the lock.
    Others(Locked),
}

/// So often the root's lock is tried where its holder is gone when it is looked for.
const MOST_TRIES: usize = 3;

/// Takes the locks.
pub fn take(opened: &Opened, journal: Option<&Journal>) -> Turn {
    // Where there is no such directory, the history says so.
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
                complain::note(&format!("cannot lock {shown}: {error}; going on without"));
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
                    "{stranger} holds the lock of {shown}, and is no prune: going on without that lock"
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
