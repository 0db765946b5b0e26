//! Buffers to read and check entries: a limited number of each size for the whole process.
//!
//! Threads allocate small buffers themselves. Larger ones are kept and passed from thread to thread: glibc keeps the memory
//! that a thread frees in an arena of that thread, which would add up over all threads.

use crate::pyc::marshal::Memory;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Maximum length of a file for small buffers, in bytes: nearly all files.
pub(super) const SMALL: usize = 64 << 10;

/// The same for medium buffers.
pub(super) const MEDIUM: usize = 1 << 20;

/// The same for large buffers.
pub(super) const LARGE: usize = 16 << 20;

/// The medium buffers. Each takes 4 MiB at most, with the marshal memory, which is three times as long as the file.
static MEDIUM_POOL: Pool = Pool::new(8);

/// The large buffers, of 64 MiB at most.
static LARGE_POOL: Pool = Pool::new(1);

#[derive(Debug)]
struct Pool {
    state: Mutex<WorkspaceState>,
    is_freed: Condvar,
}

#[derive(Debug)]
struct WorkspaceState {
    kept: Vec<WorkspaceBuffers>,
    /// How many may still be allocated.
    unmade: usize,
    /// How many threads wait for one: to notify without waiting threads would cost a system call.
    waiting: usize,
}

#[derive(Debug, Default)]
struct WorkspaceBuffers {
    bytes: Vec<u8>,
    memory: Memory,
}

impl Pool {
    const fn new(most: usize) -> Pool {
        let state = WorkspaceState { kept: Vec::new(), unmade: most, waiting: 0 };
        Pool { state: Mutex::new(state), is_freed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, WorkspaceState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, length: usize) -> WorkspaceBuffers {
        let mut state = self.lock();
        loop {
            if let Some(buffers) = state.kept.pop() {
                return buffers;
            }
            if state.unmade > 0 {
                state.unmade -= 1;
                // Full length at once: unused pages take no memory, while growing would fragment the heap.
                return WorkspaceBuffers {
                    bytes: Vec::with_capacity(length),
                    memory: Memory::for_length(length),
                };
            }
            state.waiting += 1;
            state = self.is_freed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
    }

    fn give_back(&self, buffers: WorkspaceBuffers) {
        let mut state = self.lock();
        state.kept.push(buffers);
        if state.waiting > 0 {
            self.is_freed.notify_one();
        }
    }
}

/// Buffers for one thread, returned to the pool when dropped.
#[derive(Debug)]
pub(super) struct Workspace {
    buffers: WorkspaceBuffers,
    /// The pool that they return to; `None` for small buffers.
    pool: Option<&'static Pool>,
}

impl Workspace {
    /// Returns buffers for a file of this length, at most [`LARGE`] bytes. Waits until some are free.
    pub(super) fn new(length: usize) -> Workspace {
        if length <= SMALL {
            return Workspace { buffers: WorkspaceBuffers::default(), pool: None };
        }
        let (pool, most) = if length <= MEDIUM { (&MEDIUM_POOL, MEDIUM) } else { (&LARGE_POOL, LARGE) };
        Workspace { buffers: pool.take(most), pool: Some(pool) }
    }

    /// The buffer for the bytes, and the marshal memory.
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

    #[test]
    fn who_finds_no_buffers_waits_until_some_are_given_back() {
        let pool = Pool::new(1);
        let first = pool.take(10);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| pool.take(10));
            let start = std::time::Instant::now();
            while pool.lock().waiting == 0 && !waiting.is_finished() {
                assert!(start.elapsed().as_secs() < 60, "nobody waits");
                std::thread::yield_now();
            }
            assert!(!waiting.is_finished());
            pool.give_back(first);
            pool.give_back(waiting.join().unwrap());
        });
        let state = pool.lock();
        assert_eq!((state.waiting, state.unmade, state.kept.len()), (0, 0, 1));
    }
}
