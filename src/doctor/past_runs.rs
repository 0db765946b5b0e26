//! The part of the diagnosis about past runs of `prune` and the schedule. Pure.

use super::facts::{Facts, OpenStore, Schedule};
use super::finding::{Finding, Kind, Severity};
use crate::history::Run;
use crate::schedule::Scheduler;
use crate::units::date;

/// Seconds without a run after which a schedule counts as broken: a week, because machines are switched off.
const LONGEST_PAUSE: i64 = 7 * 86_400;

/// Judges the runs of `prune` and the schedule.
pub(super) fn judge(facts: &Facts, store: &OpenStore, option: &str) -> Vec<Finding> {
    let finding = |(severity, detail, hint): (Severity, String, String)| {
        Finding::new(severity, Kind::Schedule, detail, hint).at(&store.path)
    };
    let mut told: Vec<(Severity, String, String)> = locked(store).into_iter().collect();
    match (&store.known.schedule, &store.known.last_run) {
        (Ok(schedule), Ok(last)) => told.extend(last_run(facts, schedule, last.as_ref(), option)),
        (schedule, last) => {
            let why = |why: &String, hint: &str| (Severity::Warning, why.clone(), hint.to_string());
            told.extend(schedule.as_ref().err().map(|it| why(it, "pycstore schedule status")));
            told.extend(last.as_ref().err().map(|it| why(it, "pycstore history")));
        }
    }
    told.into_iter().map(finding).collect()
}

/// Judges runs that found the store locked; a single one may be chance.
fn locked(store: &OpenStore) -> Option<(Severity, String, String)> {
    let locked = store.known.locked.as_ref().filter(|locked| locked.runs > 1)?;
    let hint = match locked.process {
        Some(process) => format!("ps -fp {process} shows it; end it if it is not a running prune"),
        None => "look for it on other machines and in containers that use the store".into(),
    };
    let (runs, holder) = (locked.runs, locked.holder());
    let detail = format!("the last {runs} runs of prune did nothing: {holder} held the lock");
    Some((Severity::Warning, detail, hint))
}

/// Whether the schedule works.
fn last_run(
    facts: &Facts,
    schedule: &Schedule,
    last: Option<&Run>,
    option: &str,
) -> Option<(Severity, String, String)> {
    let when =
        |run: &Run| format!("{}, {}", date::local_minute(run.started), date::ago(run.started, facts.now));
    let (severity, detail, hint) = match (schedule, last) {
        (_, Some(run)) if !run.is_success() => {
            let hint = format!(
                "to see the errors, run it again (this removes files): pycstore prune --orphans --stale{option}"
            );
            let detail = format!("the last prune ({}) failed: {}", when(run), run.result());
            return Some((Severity::Warning, detail, hint));
        }
        (Schedule::None, None) => (
            Severity::Note,
            "the store is never pruned: no schedule is installed, and no run of prune is recorded".into(),
            "pycstore schedule install",
        ),
        (Schedule::None, Some(run)) => (
            Severity::Note,
            format!("no schedule is installed; the last prune was on {}", when(run)),
            "pycstore schedule install",
        ),
        (Schedule::Ours(keeper), None) => (
            Severity::Note,
            format!("{keeper} is to prune every night, and has not done so yet"),
            "pycstore schedule run does it now",
        ),
        (Schedule::Own, None) => (
            Severity::Note,
            "a line in the crontab is to prune, and no run is recorded yet".into(),
            "pycstore history",
        ),
        (Schedule::Ours(_) | Schedule::Own, Some(run)) => {
            if facts.now.seconds_since(run.started) <= LONGEST_PAUSE {
                return None;
            }
            let keeper = if let Schedule::Ours(keeper) = schedule { *keeper } else { Scheduler::Cron };
            let detail =
                format!("{keeper} is to prune regularly, but the last run was long ago ({})", when(run));
            (Severity::Warning, detail, "pycstore schedule status")
        }
    };
    Some((severity, detail, hint.replacen("pycstore", &format!("pycstore{option}"), 1)))
}

#[cfg(test)]
mod tests {
    use super::super::facts::tests::{facts, open_store};
    use super::*;

    #[test]
    fn a_schedule_is_judged_by_its_last_run() {
        let told = |schedule: &Schedule, days: i64, exit: Option<u8>| {
            let (mut facts, mut store) = (facts(), open_store());
            store.known.schedule = Ok(schedule.clone());
            if let Ok(Some(run)) = &mut store.known.last_run {
                run.exit = exit.unwrap_or_default();
            }
            if exit.is_none() {
                store.known.last_run = Ok(None);
            }
            // The run was yesterday.
            facts.now.seconds += (days - 1) * 86_400;
            let words =
                |it: &Finding| it.detail.split(['(', ':', ';']).next().unwrap_or_default().trim().to_string();
            let told = judge(&facts, &store, "");
            told.iter()
                .map(|it| format!("{} {}", it.severity.name(), words(it)))
                .collect::<Vec<_>>()
                .join("\n")
        };
        let (none, ours, own) = (Schedule::None, Schedule::Ours(Scheduler::Systemd), Schedule::Own);
        for (schedule, days, exit, expected) in [
            (&ours, 1, Some(0), ""),
            (&own, 7, Some(0), ""),
            (&ours, 8, Some(0), "warning systemd is to prune regularly, but the last run was long ago"),
            (&own, 8, Some(0), "warning cron is to prune regularly, but the last run was long ago"),
            (&ours, 1, Some(1), "warning the last prune"),
            (&none, 1, Some(1), "warning the last prune"),
            (&ours, 1, None, "note systemd is to prune every night, and has not done so yet"),
            (&own, 1, None, "note a line in the crontab is to prune, and no run is recorded yet"),
            (&none, 1, None, "note the store is never pruned"),
            (&none, 1, Some(0), "note no schedule is installed"),
        ] {
            assert_eq!(told(schedule, days, exit), expected, "{schedule:?} {days} {exit:?}");
        }
    }
}
