//! Moments in time, as the file system keeps them.
//!
//! Vocabulary only: no clock is read here. Whoever needs *now* is given it.

use std::time::{SystemTime, UNIX_EPOCH};

/// A moment: whole seconds since 1970 (negative before) and nanoseconds within the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    /// 0 – 999 999 999.
    pub nanoseconds: u32,
}

impl Moment {
    /// The whole seconds from `earlier` to this moment; negative when it lies after.
    pub fn seconds_since(self, earlier: Moment) -> i64 {
        self.seconds.saturating_sub(earlier.seconds)
    }
}

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Moment {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Moment { seconds: after.as_secs() as i64, nanoseconds: after.subsec_nanos() },
            Err(before) => {
                let before = before.duration();
                let nanoseconds = (1_000_000_000 - before.subsec_nanos()) % 1_000_000_000;
                let borrow = i64::from(nanoseconds != 0);
                Moment { seconds: -(before.as_secs() as i64) - borrow, nanoseconds }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn moments_before_1970_count_downwards() {
        let before = UNIX_EPOCH - Duration::from_millis(4500);
        assert_eq!(Moment::from(before), Moment { seconds: -5, nanoseconds: 500_000_000 });
        assert_eq!(Moment::from(UNIX_EPOCH - Duration::from_secs(2)), Moment { seconds: -2, nanoseconds: 0 });
    }
}
