//! Moments for people and machines. Home of chrono.

use super::Moment;
use chrono::{DateTime, Days, Local, NaiveTime, SecondsFormat, TimeZone, Utc};

/// `2026-11-22T06:00:00Z`. A moment outside chrono's years is given in seconds since 1970.
pub fn rfc3339(moment: Moment) -> String {
    match utc(moment) {
        Some(date) => date.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        None => moment.seconds.to_string(),
    }
}

/// The moment that such a text names.
pub fn parse_rfc3339(text: &str) -> Option<Moment> {
    let date = DateTime::parse_from_rfc3339(text).ok()?;
    // A leap second is the last one of its minute, with a second's nanoseconds more.
    Some(Moment { seconds: date.timestamp(), nanoseconds: date.timestamp_subsec_nanos().min(999_999_999) })
}

/// `2026-11-22 07:00`, in local time.
pub fn local_minute(moment: Moment) -> String {
    match utc(moment) {
        Some(date) => date.with_timezone(&Local).format("%Y-%m-%d %H:%M").to_string(),
        None => format!("{} s since 1970", moment.seconds),
    }
}

/// `2026-11-22 07:00:00 +01:00`, in local time.
pub fn local(moment: Moment) -> String {
    match utc(moment) {
        Some(date) => date.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S %:z").to_string(),
        None => format!("{} s since 1970", moment.seconds),
    }
}

/// `today`, `5 days ago`, `3 months ago`, by the days of the calendar in local time.
pub fn ago(moment: Moment, now: Moment) -> String {
    ago_in(&Local, moment, now)
}

fn ago_in(zone: &impl TimeZone, moment: Moment, now: Moment) -> String {
    let day = |moment| Some(utc(moment)?.with_timezone(zone).date_naive());
    let (Some(then), Some(now)) = (day(moment), day(now)) else { return "-".into() };
    let days = now.signed_duration_since(then).num_days();
    let count =
        |number: i64, unit: &str| format!("{number} {unit}{} ago", if number == 1 { "" } else { "s" });
    match days {
        ..=0 => "today".into(),
        1 => "yesterday".into(),
        2..=59 => count(days, "day"),
        60..=729 => count(days / 30, "month"),
        _ => count(days / 365, "year"),
    }
}

/// The next moment at which the clock shows this time, in local time; a time that a change of the clock leaves out is
/// passed over.
pub fn next_daily(now: Moment, hour: u8, minute: u8) -> Option<Moment> {
    let local = utc(now)?.with_timezone(&Local);
    let time = NaiveTime::from_hms_opt(u32::from(hour), u32::from(minute), 0)?;
    let days = (0..3).filter_map(|days| local.date_naive().checked_add_days(Days::new(days)));
    let moments = days.filter_map(|day| day.and_time(time).and_local_timezone(Local).earliest());
    let next = moments.into_iter().find(|moment| *moment > local)?;
    Some(Moment { seconds: next.timestamp(), nanoseconds: 0 })
}

fn utc(moment: Moment) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(moment.seconds, moment.nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Moment {
        Moment { seconds, nanoseconds: 0 }
    }

    #[test]
    fn moments_are_shown() {
        assert_eq!(rfc3339(at(1_700_000_000)), "2023-11-14T22:13:20Z");
        assert_eq!(rfc3339(at(-1)), "1969-12-31T23:59:59Z");
        assert_eq!(rfc3339(at(i64::MAX)), i64::MAX.to_string());
        assert_eq!(parse_rfc3339("2023-11-14T22:13:20Z"), Some(at(1_700_000_000)));
        assert_eq!(parse_rfc3339("2023-11-15T00:13:20+02:00"), Some(at(1_700_000_000)));
        let exact = Moment { seconds: -1, nanoseconds: 123_456_789 };
        assert_eq!(parse_rfc3339(&rfc3339(exact)), Some(exact));
        assert_eq!(parse_rfc3339("yesterday"), None);
    }

    #[test]
    fn the_next_time_of_day_is_within_a_day() {
        let now = at(1_700_000_000);
        for (hour, minute) in [(0, 0), (3, 17), (22, 13), (23, 59)] {
            let next = next_daily(now, hour, minute).unwrap();
            assert!((1..=90_000).contains(&next.seconds_since(now)), "{hour}:{minute}");
            assert!(local(next).contains(&format!(" {hour:02}:{minute:02}:00 ")), "{}", local(next));
        }
        assert_eq!(next_daily(now, 24, 0), None);
    }

    #[test]
    fn a_day_begins_at_midnight_in_local_time() {
        // 22:13:20 UTC on a Tuesday.
        let now = at(1_700_000_000);
        let ago = |hours_east: i32, hours: i64| {
            let zone = chrono::FixedOffset::east_opt(hours_east * 3600).unwrap();
            ago_in(&zone, at(now.seconds - hours * 3600), now)
        };
        assert_eq!([0, 22, 23].map(|hours| ago(0, hours)), ["today", "today", "yesterday"]);
        assert_eq!([0, 1].map(|hours| ago(2, hours)), ["today", "yesterday"], "13 minutes after midnight");
        assert_eq!([1, 24, 25].map(|hours| ago(2, hours)), ["yesterday", "yesterday", "2 days ago"]);
        assert_eq!([10, 11].map(|hours| ago(-12, hours)), ["today", "yesterday"]);
        assert_eq!(ago(0, -1), "today", "a clock that was wrong");
    }

    #[test]
    fn distances_are_rounded_for_people() {
        let day = 86_400;
        let now = at(1_700_000_000);
        for (days, text) in
            [(0, "today"), (1, "yesterday"), (5, "5 days ago"), (75, "2 months ago"), (800, "2 years ago")]
        {
            assert_eq!(ago(at(now.seconds - days * day), now), text);
        }
        assert_eq!(ago(at(now.seconds + day), now), "today");
    }
}
