//! A pool of threads over a growing stack of jobs.
//!
//! Each worker keeps what it finds on a stack of its own, newest first, so that the queue stays as small as
//! the tree is deep; it gives away what it can spare only while others have nothing to do. Cold caches want
//! far more threads than cores (queue depth decides then), warm ones want few: so the pool begins
//! with one worker a core, and grows while most of its workers wait for a file system.

use crate::host::blocked::{self, Blocked, ThreadNumber};
use crate::host::directory::processor_time;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many workers a pool may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threads {
    /// How many it begins with.
    pub first: usize,
    /// How many it may grow to.
    pub most: usize,
}

impl Threads {
    /// Exactly this many, at least one.
    pub fn exactly(count: usize) -> Threads {
        Threads { first: count.max(1), most: count.max(1) }
    }

    /// No more than there are jobs, for work that finds no further ones.
    #[must_use]
    pub fn for_jobs(self, jobs: usize) -> Threads {
        Threads { first: self.first.min(jobs).max(1), most: self.most.min(jobs).max(1) }
    }

    /// No more than there are cores, for work that keeps one busy.
    #[must_use]
    pub fn for_processors(self) -> Threads {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Threads::exactly(self.first.min(cores))
    }
}

impl Default for Threads {
    /// One a core to begin with, 64 at the most.
    fn default() -> Threads {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Threads { first: cores, most: cores.max(64) }
    }
}

/// Where a worker leaves the jobs it finds.
#[derive(Debug)]
pub struct Jobs<J> {
    own: Vec<J>,
}

impl<J> Jobs<J> {
    /// Adds a job.
    pub fn push(&mut self, job: J) {
        self.own.push(job);
    }
}

struct Shared<J> {
    state: Mutex<PoolState<J>>,
    wake: Condvar,
    idle: AtomicUsize,
    finished: AtomicBool,
    workers: Mutex<Vec<ThreadNumber>>,
}

struct PoolState<J> {
    waiting: Vec<J>,
    busy: usize,
}

impl<J> Shared<J> {
    fn lock(&self) -> MutexGuard<'_, PoolState<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn workers(&self) -> MutexGuard<'_, Vec<ThreadNumber>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job, or `None` when all work is done.
    fn take(&self) -> Option<J> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.waiting.pop() {
                state.busy += 1;
                return Some(job);
            }
            if state.busy == 0 {
                self.finished.store(true, Ordering::Release);
                self.wake.notify_all();
                return None;
            }
            self.idle.fetch_add(1, Ordering::Relaxed);
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            self.idle.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Gives the older half of a worker's jobs to the others.
    fn share(&self, own: &mut Vec<J>) {
        let half = own.len().div_ceil(2);
        self.lock().waiting.extend(own.drain(..half));
        for _ in 0..half.min(self.idle.load(Ordering::Relaxed)) {
            self.wake.notify_one();
        }
    }
}

/// Marks a worker as no longer busy even if it panics, so that the others do not wait forever.
struct BusyGuard<'a, J>(&'a Shared<J>);

impl<J> Drop for BusyGuard<'_, J> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.busy -= 1;
        if state.busy == 0 && state.waiting.is_empty() {
            self.0.wake.notify_all();
        }
    }
}

/// Does `jobs` and all that they push, on a pool of threads; returns each worker's final state.
///
/// `work` gets the worker's state, a job and the place for further jobs. `watch` is called on this thread
/// every few dozen milliseconds, for progress. Jobs have no order.
pub fn run<J: Send, S: Send>(
    threads: Threads,
    jobs: Vec<J>,
    new_state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, J, &mut Jobs<J>) + Sync,
    mut watch: impl FnMut(),
) -> Vec<S> {
    let shared = Shared {
        state: Mutex::new(PoolState { waiting: jobs, busy: 0 }),
        wake: Condvar::new(),
        idle: AtomicUsize::new(0),
        finished: AtomicBool::new(false),
        workers: Mutex::default(),
    };
    let watcher = std::thread::current();
    let worker = || {
        shared.workers().push(ThreadNumber::of_this());
        let mut state = new_state();
        while let Some(job) = shared.take() {
            let _busy = BusyGuard(&shared);
            let mut jobs = Jobs { own: vec![job] };
            while let Some(job) = jobs.own.pop() {
                work(&mut state, job, &mut jobs);
                let can_spare = !jobs.own.is_empty() && shared.idle.load(Ordering::Relaxed) > 0;
                if can_spare {
                    shared.share(&mut jobs.own);
                }
            }
        }
        watcher.unpark();
        state
    };
    std::thread::scope(|scope| {
        // Where the system grants no more threads, those that are there do the work.
        let spawn = || std::thread::Builder::new().spawn_scoped(scope, worker);
        let mut workers: Vec<_> = (0..threads.first).map_while(|_| spawn().ok()).collect();
        if workers.is_empty() {
            return vec![worker()];
        }
        let mut growth = Growth { threads, most: threads.most, processor: processor_time() };
        for tick in 1.. {
            std::thread::park_timeout(TICK);
            let all_ended = workers.iter().all(|worker| worker.is_finished());
            if shared.finished.load(Ordering::Acquire) || all_ended {
                break;
            }
            if tick % WATCH_EVERY == 0 {
                watch();
            }
            let started = workers.len();
            // A worker that has not begun waits for a processor.
            let blocked = || match shared.workers() {
                known if known.len() < started => Blocked::Few,
                known => blocked::of(&known),
            };
            let wanted = growth.wanted(workers.len(), shared.idle.load(Ordering::Relaxed), blocked);
            workers.extend((workers.len()..wanted).map_while(|_| spawn().ok()));
            if workers.len() < wanted {
                growth.most = workers.len();
            }
        }
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// How often the thread that started the pool looks after it.
const TICK: Duration = Duration::from_millis(4);

/// After how many ticks it calls `watch`.
const WATCH_EVERY: usize = 12;

/// Decides when a pool grows.
struct Growth {
    threads: Threads,
    /// The most workers that there can be: what is wanted, or what the system grants.
    most: usize,
    /// The processor time at the last tick.
    processor: Duration,
}

impl Growth {
    /// How many workers there are to be, one tick after the last call: twice as many while the processors are idle though
    /// no worker is, unless the workers wait for something else than a file system.
    fn wanted(&mut self, workers: usize, idle: usize, blocked: impl FnOnce() -> Blocked) -> usize {
        let now = processor_time();
        let busy = now.saturating_sub(self.processor);
        self.processor = now;
        // Less than two thirds of one core's time in use: that is the disk, another process or a slow consumer.
        let is_slow = busy < TICK * 2 / 3 * u32::try_from(self.threads.first).unwrap_or(1);
        if is_slow && workers < self.most && idle == 0 && blocked() != Blocked::Few {
            (2 * workers).min(self.most)
        } else {
            workers
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_done_once_whatever_the_pool() {
        for threads in
            [Threads::exactly(1), Threads::exactly(7), Threads { first: 1, most: 16 }, Threads::default()]
        {
            // Each job n pushes n-1 twice: 2^11 - 1 jobs in all.
            let done = run(
                threads,
                vec![10_u32],
                || 0_u32,
                |count, job, jobs| {
                    *count += 1;
                    if job > 0 {
                        jobs.push(job - 1);
                        jobs.push(job - 1);
                    }
                },
                || {},
            );
            assert_eq!(done.iter().sum::<u32>(), 2047, "{threads:?}");
        }
    }

    #[test]
    fn there_are_no_more_threads_than_jobs() {
        let threads = Threads::exactly(64);
        assert_eq!(threads.for_jobs(0), Threads::exactly(1));
        let ended = run(threads.for_jobs(2), vec![1, 2], || (), |(), _, _| {}, || {});
        assert_eq!(ended.len(), 2);
        assert!(threads.for_processors().most <= 64);
    }

    #[test]
    fn no_jobs_end_at_once() {
        assert_eq!(run(Threads::exactly(3), Vec::<u8>::new(), || (), |(), _, _| {}, || {}).len(), 3);
    }

    #[test]
    fn a_panic_ends_the_work_of_all() {
        for threads in [1, 3] {
            let (tell, told) = std::sync::mpsc::channel();
            std::thread::spawn(move || {
                // The others wait for jobs by then.
                let fail = |(): &mut (), _: u32, _: &mut Jobs<u32>| {
                    std::thread::sleep(Duration::from_millis(50));
                    panic!("as it should");
                };
                let run = || run(Threads::exactly(threads), vec![1], || (), fail, || {});
                tell.send(std::panic::catch_unwind(run).is_err())
            });
            let ended = told.recv_timeout(Duration::from_secs(120));
            assert_eq!(ended, Ok(true), "{threads} threads wait forever");
        }
    }

    #[test]
    fn somebody_can_watch_as_long_as_there_is_work() {
        let (watched, began) = (AtomicUsize::new(0), std::time::Instant::now());
        let until_watched = |(): &mut (), _: u32, _: &mut Jobs<u32>| {
            while watched.load(Ordering::Relaxed) < 12 {
                assert!(began.elapsed() < Duration::from_secs(120), "{watched:?}");
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        let watch = || {
            watched.fetch_add(1, Ordering::Relaxed);
        };
        run(Threads::exactly(2), vec![1], || (), until_watched, watch);
    }

    #[test]
    fn a_worker_shares_what_it_finds() {
        let (workers, began) = (Mutex::new(std::collections::HashSet::new()), std::time::Instant::now());
        let work = |(): &mut (), (): (), jobs: &mut Jobs<()>| {
            let mut workers = workers.lock().unwrap();
            workers.insert(std::thread::current().id());
            if workers.len() < 2 {
                drop(workers);
                assert!(began.elapsed() < Duration::from_secs(60), "one worker does all");
                std::thread::sleep(Duration::from_millis(1));
                jobs.push(());
                jobs.push(());
            }
        };
        run(Threads::exactly(2), vec![()], || (), work, || {});
        assert_eq!(workers.into_inner().unwrap().len(), 2);
    }

    #[test]
    fn a_pool_grows_only_while_processors_and_all_workers_wait() {
        while processor_time() < TICK {
            std::hint::spin_loop();
        }
        let (unused, used) = (processor_time() + Duration::from_secs(3600), Duration::ZERO);
        for (workers, idle, processor, blocked, expected) in [
            (1, 0, unused, Blocked::Most, 2),
            (1, 0, unused, Blocked::Unknown, 2),
            (4, 0, unused, Blocked::Most, 6),
            (6, 0, unused, Blocked::Most, 6),
            (1, 0, unused, Blocked::Few, 1),
            (1, 1, unused, Blocked::Most, 1),
            (1, 0, used, Blocked::Most, 1),
        ] {
            let threads = Threads { first: 1, most: 8 };
            let wanted = Growth { threads, most: 6, processor }.wanted(workers, idle, || blocked);
            assert_eq!(wanted, expected, "{workers} workers, {idle} idle, {processor:?}, {blocked:?}");
        }
    }

    #[test]
    fn a_pool_grows_while_its_workers_wait() {
        let jobs: Vec<u32> = (0..200).collect();
        let slow = |count: &mut u32, _: u32, _: &mut Jobs<u32>| {
            *count += 1;
            std::thread::sleep(Duration::from_millis(5));
        };
        let done = run(Threads { first: 1, most: 8 }, jobs, || 0, slow, || {});
        assert_eq!(done.iter().sum::<u32>(), 200);
        assert!(done.len() > 1, "a pool of {} for work that waits", done.len());
    }

    #[test]
    #[cfg_attr(not(target_os = "linux"), ignore = "needs Linux, which says for what a thread waits")]
    fn a_pool_does_not_grow_while_its_workers_wait_for_another_thread() {
        let (send, receive) = std::sync::mpsc::sync_channel(0);
        let slow_consumer = std::thread::spawn(move || {
            receive.iter().map(|()| std::thread::sleep(Duration::from_millis(5))).count()
        });
        let work = |sender: &mut std::sync::mpsc::SyncSender<()>, _: u32, _: &mut Jobs<u32>| {
            sender.send(()).unwrap();
        };
        let done = run(Threads { first: 2, most: 64 }, (0..100).collect(), || send.clone(), work, || {});
        assert_eq!(done.len(), 2);
        drop((send, done));
        assert_eq!(slow_consumer.join().unwrap(), 100);
    }
}
