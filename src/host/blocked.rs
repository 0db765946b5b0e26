//! Whether threads of this process wait for a file system.
//!
//! A thread that uses no processor may wait for one, for another thread or for a disk, and only of the last can more threads
//! make use. Linux says which: `/proc/self/task/TID/syscall` has the number of the system call in which a thread is blocked,
//! or `running` for one that could run (proc_pid_syscall(5)). Waiting for another thread is `futex`.

/// Whether threads are blocked in a system call for files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocked {
    /// Most of them are.
    Most,
    /// Most are not.
    Few,
    /// The system does not say.
    Unknown,
}

/// A thread of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadNumber(#[cfg(target_os = "linux")] rustix::thread::Pid);

impl ThreadNumber {
    /// The thread that asks.
    #[cfg(target_os = "linux")]
    pub fn of_this() -> ThreadNumber {
        ThreadNumber(rustix::thread::gettid())
    }

    /// The thread that asks.
    #[cfg(not(target_os = "linux"))]
    pub fn of_this() -> ThreadNumber {
        ThreadNumber()
    }

    /// Whether it is blocked in a system call for files; `None` where the system does not say, or the thread is gone.
    #[cfg(target_os = "linux")]
    fn is_blocked(self) -> Option<bool> {
        let file = format!("/proc/self/task/{}/syscall", self.0.as_raw_nonzero());
        let call: i64 = match std::fs::read_to_string(file).ok()?.split_whitespace().next()? {
            "running" => return Some(false),
            call => call.parse().ok()?,
        };
        Some(call != libc::SYS_futex)
    }

    #[cfg(not(target_os = "linux"))]
    fn is_blocked(self) -> Option<bool> {
        None
    }
}

/// Whether these threads are blocked in a system call for files, at this moment.
pub fn of(threads: &[ThreadNumber]) -> Blocked {
    let known: Vec<bool> = threads.iter().filter_map(|thread| thread.is_blocked()).collect();
    let blocked = known.iter().filter(|is_blocked| **is_blocked).count();
    match known.len() {
        0 => Blocked::Unknown,
        all if 2 * blocked > all => Blocked::Most,
        _ => Blocked::Few,
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use std::io::Read;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    /// What is said at last of a thread that does this, until `is_ended`.
    fn said_of(work: impl FnOnce() + Send, wanted: Blocked, end: impl FnOnce()) {
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                tell.send(ThreadNumber::of_this()).unwrap();
                work();
            });
            let thread = told.recv().unwrap();
            let began = Instant::now();
            while of(&[thread]) != wanted && began.elapsed() < Duration::from_secs(60) {
                std::thread::sleep(Duration::from_millis(1));
            }
            let said = of(&[thread]);
            end();
            assert_eq!(said, wanted);
        });
    }

    #[test]
    fn a_thread_waits_for_a_file_a_processor_or_another_thread() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let read = move || assert_eq!(reader.read(&mut [0]).unwrap(), 0);
        said_of(read, Blocked::Most, || drop(writer));
        let is_ended = AtomicBool::new(false);
        let spin = || {
            while !is_ended.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        };
        said_of(spin, Blocked::Few, || is_ended.store(true, Ordering::Relaxed));
        let lock = Mutex::new(());
        let held = lock.lock().unwrap();
        said_of(|| drop(lock.lock()), Blocked::Few, || drop(held));
    }

    #[test]
    fn more_than_half_are_most() {
        let (tell, told) = std::sync::mpsc::channel();
        let (mut reader, writer) = std::io::pipe().unwrap();
        let lock = Mutex::new(());
        let held = lock.lock().unwrap();
        let tell_of_this = || tell.send(ThreadNumber::of_this()).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                tell_of_this();
                assert_eq!(reader.read(&mut [0]).unwrap(), 0);
            });
            let for_file = told.recv().unwrap();
            scope.spawn(|| {
                tell_of_this();
                drop(lock.lock());
            });
            let for_thread = told.recv().unwrap();
            let began = Instant::now();
            let are_waiting = || of(&[for_file]) == Blocked::Most && of(&[for_thread]) == Blocked::Few;
            while !are_waiting() && began.elapsed() < Duration::from_secs(60) {
                std::thread::sleep(Duration::from_millis(1));
            }
            let said = [&[for_file, for_file, for_thread][..], &[for_file, for_thread]].map(of);
            drop((writer, held));
            assert_eq!(said, [Blocked::Most, Blocked::Few]);
        });
    }

    #[test]
    fn of_no_thread_nothing_is_said() {
        assert_eq!(of(&[]), Blocked::Unknown);
        let ended = std::thread::spawn(ThreadNumber::of_this).join().unwrap();
        // The system still knows it for a moment.
        let began = Instant::now();
        while of(&[ended]) != Blocked::Unknown {
            assert!(began.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
