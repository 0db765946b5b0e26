//! Memory to read files into and to walk them: as many buffers of each size as the whole process may have.
//!
//! Small ones are a matter of each thread. The others are kept, and are given to one thread after another: what a thread frees
//! stays with it in glibc, which would sum up over the threads.

use crate::pyc::marshal::Memory;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The longest file that is read into small buffers, in bytes: nearly all of them.
pub(super) const SMALL: usize = 64 << 10;

/// The longest in medium buffers, in bytes.
pub(super) const MEDIUM: usize = 1 << 20;

/// The longest in large buffers, in bytes.
pub(super) const LARGE: usize = 16 << 20;

/// The medium ones. With what is remembered of its body, which is three times as long, each takes 4 MiB at most.
static MEDIUM_POOL: Pool = Pool::new(8);

/// The large ones, of 64 MiB at most.
static LARGE_POOL: Pool = Pool::new(1);

#[derive(Debug)]
struct Pool {
    state: Mutex<State>,
    is_freed: Condvar,
}

#[derive(Debug)]
struct State {
    kept: Vec<Buffers>,
    /// How many may still be made.
    unmade: usize,
    /// How many threads wait for one. To tell nobody would cost a system call.
    waiting: usize,
}

#[derive(Debug, Default)]
struct Buffers {
    bytes: Vec<u8>,
    memory: Memory,
}

impl Pool {
    const fn new(most: usize) -> Pool {
        let state = State { kept: Vec::new(), unmade: most, waiting: 0 };
        Pool { state: Mutex::new(state), is_freed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, length: usize) -> Buffers {
        let mut state = self.lock();
        loop {
            if let Some(buffers) = state.kept.pop() {
                return buffers;
            }
            if state.unmade > 0 {
                state.unmade -= 1;
                // At its full length from the start: memory that is not used takes none, and what grows leaves holes.
                return Buffers { bytes: Vec::with_capacity(length), memory: Memory::for_length(length) };
            }
            state.waiting += 1;
            state = self.is_freed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
    }

    fn give_back(&self, buffers: Buffers) {
        let mut state = self.lock();
        state.kept.push(buffers);
        if state.waiting > 0 {
            self.is_freed.notify_one();
        }
    }
}

/// Memory that this thread may use until this is dropped.
#[derive(Debug)]
pub(super) struct Workspace {
    buffers: Buffers,
    /// Where it goes back to; nowhere if it is small.
    pool: Option<&'static Pool>,
}

impl Workspace {
    /// Memory for so many bytes of a file, of which [`LARGE`] is the most. Waits until some is free.
    pub(super) fn new(length: usize) -> Workspace {
        if length <= SMALL {
            return Workspace { buffers: Buffers::default(), pool: None };
        }
        let (pool, most) = if length <= MEDIUM { (&MEDIUM_POOL, MEDIUM) } else { (&LARGE_POOL, LARGE) };
        Workspace { buffers: pool.take(most), pool: Some(pool) }
    }

    /// The bytes, and what is remembered of them.
    pub(super) fn parts(&mut self) -> (&mut Vec<u8>, &mut Memory) {
        (&mut self.buffers.bytes, &mut self.buffers.memory)
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if let Some(pool) = self.pool {
            pool.give_back(std::mem::take(&mut self.buffers));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_limited_and_used_again() {
        let pool = Pool::new(2);
        let most = std::sync::atomic::AtomicUsize::new(0);
        let used = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    use std::sync::atomic::Ordering::SeqCst;
                    let mut buffers = pool.take(1000);
                    assert!(buffers.bytes.capacity() >= 1000);
                    most.fetch_max(used.fetch_add(1, SeqCst) + 1, SeqCst);
                    buffers.bytes.resize(1000, 1);
                    used.fetch_sub(1, SeqCst);
                    pool.give_back(buffers);
                });
            }
        });
        assert!(most.into_inner() <= 2);
        let state = pool.lock();
        assert_eq!(state.kept.len() + state.unmade, 2);
    }
}
