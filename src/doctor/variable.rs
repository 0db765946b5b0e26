//! Problems with the variable: from the settings of each place to findings. Pure.

use super::facts::Facts;
use super::finding::{Finding, Kind, Severity};
use super::place::{PREFIX, Setting, VariablePlace, WRITES_NOTHING};
use crate::quoting::quoted;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Judges the settings of the places.
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(facts.unasked.as_ref().map(|why| {
        let hint = "run `pycstore doctor` as the user whose shells they are, with HOME set";
        Finding::new(Severity::Note, Kind::NoAnswer, format!("the shells were not asked: {why}"), hint)
    }));
    let mut answered: Vec<(VariablePlace, &Setting)> = Vec::new();
    for (place, setting) in &facts.places {
        match setting {
            Ok(setting) => answered.push((*place, setting)),
            Err(why) => findings.push(Finding::new(
                Severity::Note,
                Kind::NoAnswer,
                format!("{place} {why}: what it has is unknown"),
                match place {
                    VariablePlace::Cron(_) => "see whether it answers: crontab -l",
                    _ => "see whether its startup files wait for something, or start another shell",
                },
            )),
        }
    }
    findings.extend(values(&answered, facts.home.as_deref()));
    findings.extend(masked(&answered));
    findings.extend(not_exported(&answered));
    findings.extend(absent(&answered, facts));
    findings.extend(drift(&answered, facts));
    findings
}

/// Whether our own environment names the store by a path that depends on the working directory.
pub fn is_relative_here(facts: &Facts) -> bool {
    let here = facts.places.iter().find(|(place, _)| *place == VariablePlace::Here);
    let prefix = here.and_then(|(_, setting)| setting.as_ref().ok()?.prefix.as_ref());
    prefix.is_some_and(|prefix| !prefix.is_empty() && !Path::new(prefix).is_absolute())
}

/// `a`, `a and b`, `a, b and c`.
fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn names(places: &[VariablePlace]) -> String {
    listed(&places.iter().map(VariablePlace::to_string).collect::<Vec<_>>())
}

/// The places with each value of something, in the order of the values.
fn by_value<'a>(
    answered: &[(VariablePlace, &'a Setting)],
    value: impl Fn(&'a Setting) -> Option<&'a OsString>,
) -> BTreeMap<&'a OsString, Vec<VariablePlace>> {
    let mut places: BTreeMap<&OsString, Vec<VariablePlace>> = BTreeMap::new();
    for (place, setting) in answered {
        if let Some(value) = value(setting) {
            places.entry(value).or_default().push(*place);
        }
    }
    places
}

/// The hint `pycstore setup bash`, for the places that it can fix.
fn setup(places: &[VariablePlace]) -> Option<String> {
    let mut targets: Vec<&str> = places.iter().filter_map(|place| place.target()).collect();
    targets.dedup();
    (!targets.is_empty()).then(|| {
        let commands: Vec<String> = targets.iter().map(|target| format!("pycstore setup {target}")).collect();
        commands.join(" && ")
    })
}

/// Values that do not name a store.
fn values(answered: &[(VariablePlace, &Setting)], home: Option<&Path>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (value, places) in by_value(answered, |setting| setting.prefix.as_ref()) {
        let text = value.to_string_lossy();
        let place = names(&places);
        let write =
            |path: PathBuf| format!("where it is set, write the whole path: {PREFIX}={}", quoted(&path));
        if value.is_empty() {
            findings.push(Finding::new(
                Severity::Warning,
                Kind::Empty,
                format!("{PREFIX} is empty in {place}: Python treats it as unset"),
                setup(&places).unwrap_or_else(|| format!("unset {PREFIX}, or give it a path")),
            ));
        } else if let Some(expanded) = unexpanded(value, home) {
            findings.push(Finding::new(
                Severity::Error,
                Kind::Unexpanded,
                format!("{PREFIX} is {text} in {place}, which is not expanded: Python creates a directory of that name in each working directory"),
                write(expanded),
            ));
        } else if !Path::new(value).is_absolute() {
            let path = home.unwrap_or(Path::new("/home/me")).join(".cache/cpython");
            findings.push(Finding::new(
                Severity::Error,
                Kind::Relative,
                format!("{PREFIX} is the relative path {text} in {place}: each working directory gets a store of its own"),
                write(path),
            ));
        }
    }
    findings
}

/// What a value with an unexpanded home or variable means.
fn unexpanded(value: &OsStr, home: Option<&Path>) -> Option<PathBuf> {
    let text = value.to_str().unwrap_or_default();
    let home = home.unwrap_or(Path::new("/home/me"));
    for start in ["~", "$HOME", "${HOME}"] {
        if let Some(rest) = text.strip_prefix(start)
            && (rest.is_empty() || rest.starts_with('/'))
        {
            return Some(home.join(rest.trim_start_matches('/')));
        }
    }
    let is_unexpanded = value.as_bytes().starts_with(b"~") || value.as_bytes().starts_with(b"$");
    (is_unexpanded || text.contains("${") || text.contains("/$")).then(|| home.join(".cache/cpython"))
}

/// Places where Python writes no bytecode at all.
fn masked(answered: &[(VariablePlace, &Setting)]) -> Option<Finding> {
    let masked = answered.iter().filter(|(_, setting)| setting.writes_nothing.is_some());
    let places: Vec<VariablePlace> = masked.map(|(place, _)| *place).collect();
    (!places.is_empty()).then(|| {
        Finding::new(
            Severity::Warning,
            Kind::Masked,
            format!(
                "{WRITES_NOTHING} is set in {}: Python writes nothing to the store there",
                names(&places)
            ),
            format!("remove it from the startup files; for now: unset {WRITES_NOTHING}"),
        )
    })
}

/// Shells that have the variable but do not export it.
fn not_exported(answered: &[(VariablePlace, &Setting)]) -> Vec<Finding> {
    let found = by_value(answered, |setting| setting.not_exported.as_ref()).into_iter();
    let finding = |(value, places): (&OsString, Vec<VariablePlace>)| {
        let place = names(&places);
        Finding::new(
            Severity::Warning,
            Kind::NotExported,
            format!(
                "{PREFIX} is {} in {place}, but not exported: Python does not see it",
                value.to_string_lossy()
            ),
            setup(&places).unwrap_or_else(|| format!("export {PREFIX}")),
        )
    };
    found.map(finding).collect()
}

fn is_set(setting: &Setting) -> bool {
    setting.prefix.as_ref().is_some_and(|prefix| !prefix.is_empty())
}

/// Places without the variable where others have it; or that no place has it.
fn absent(answered: &[(VariablePlace, &Setting)], facts: &Facts) -> Vec<Finding> {
    let with: Vec<VariablePlace> =
        answered.iter().filter(|(_, it)| is_set(it)).map(|(place, _)| *place).collect();
    if with.is_empty() {
        let is_all = facts.unasked.is_none() && answered.len() == facts.places.len();
        let store = facts.store.path().filter(|_| facts.store_is_there());
        let detail = match (is_all, store) {
            (true, Some(path)) => format!("{PREFIX} is not set anywhere: no Python uses {}", path.display()),
            (true, None) => {
                format!("{PREFIX} is not set anywhere: Python keeps __pycache__ beside the sources")
            }
            (false, _) => format!("{PREFIX} is set in no place that answered"),
        };
        return vec![Finding::new(Severity::Warning, Kind::Unset, detail, "pycstore setup")];
    }
    let is_absent = |(_, it): &&(VariablePlace, &Setting)| it.prefix.is_none() && it.not_exported.is_none();
    let mut by_target: BTreeMap<Option<&str>, Vec<VariablePlace>> = BTreeMap::new();
    for (place, _) in answered.iter().filter(is_absent) {
        // What the system's file does not say is said elsewhere.
        if *place != VariablePlace::EtcEnvironment {
            by_target.entry(place.target()).or_default().push(*place);
        }
    }
    let has_environment_d = with.contains(&VariablePlace::EnvironmentD);
    let finding = |(_, places): (Option<&str>, Vec<VariablePlace>)| {
        let hint = match places.as_slice() {
            [VariablePlace::Session] if has_environment_d => "log out and in again".to_string(),
            places => setup(places).unwrap_or_else(|| {
                "start a new shell; if it is missing there as well: pycstore setup".to_string()
            }),
        };
        let others = if with.len() > 3 { "elsewhere".into() } else { format!("in {}", names(&with)) };
        let detail = format!("{PREFIX} is not set in {}, though it is {others}", names(&places));
        Finding::new(Severity::Warning, Kind::Unset, detail, hint)
    };
    by_target.into_iter().map(finding).collect()
}

/// Places that name different stores.
fn drift(answered: &[(VariablePlace, &Setting)], facts: &Facts) -> Option<Finding> {
    let mut stores: BTreeMap<PathBuf, Vec<VariablePlace>> = BTreeMap::new();
    let named = answered.iter().filter_map(|(place, setting)| Some((*place, setting.prefix.as_ref()?)));
    let configured = facts.configured.as_ref().map(|path| (VariablePlace::Configuration, path.as_os_str()));
    for (place, value) in named.map(|(place, value)| (place, value.as_os_str())).chain(configured) {
        let path = Path::new(value);
        if path.is_absolute() && unexpanded(value, None).is_none() {
            stores.entry(facts.resolved(path)).or_default().push(place);
        }
    }
    (stores.len() > 1).then(|| {
        let named: Vec<String> =
            stores.iter().map(|(path, places)| format!("{} in {}", path.display(), names(places))).collect();
        let kept = stores.iter().max_by_key(|(_, places)| places.len()).map(|(path, _)| path.clone());
        let kept = kept.unwrap_or_default();
        let wrong: Vec<VariablePlace> =
            stores.iter().filter(|(path, _)| **path != kept).flat_map(|(_, places)| places.clone()).collect();
        let hint = match wrong.as_slice() {
            [VariablePlace::Here] => "start a new shell".to_string(),
            [VariablePlace::Session] => "log out and in again".to_string(),
            [VariablePlace::Configuration] => {
                "take `store` out of the configuration: `pycstore config --path` names it".into()
            }
            _ => format!("decide on one, such as {}, and name it everywhere", quoted(&kept)),
        };
        Finding::new(
            Severity::Warning,
            Kind::Drift,
            format!("different stores are named: {}", named.join("; ")),
            hint,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::facts::tests::facts;
    use super::super::finding::named;
    use super::super::place::{Observed, Shell, Start};
    use super::*;

    const BASH: VariablePlace = VariablePlace::Shell(Shell::Bash, Start::Interactive);
    const ZSH: VariablePlace = VariablePlace::Shell(Shell::Zsh, Start::Login);

    fn set(place: VariablePlace, value: &str) -> Observed {
        (place, Ok(Setting { prefix: Some(value.into()), ..Setting::default() }))
    }

    fn nothing(place: VariablePlace) -> Observed {
        (place, Ok(Setting::default()))
    }

    /// `severity kind | detail | hint`
    fn told(places: &[Observed]) -> Vec<String> {
        let findings = judge(&Facts { places: places.to_vec(), ..facts() });
        let line = |it: &Finding| format!("{} | {} | {}", named(it), it.detail, it.hint);
        findings.iter().map(line).collect()
    }

    #[test]
    fn one_store_everywhere_is_right() {
        assert_eq!(
            told(&[set(VariablePlace::Here, "/x"), set(BASH, "/x/"), set(VariablePlace::Cron(None), "//x")]),
            [""; 0]
        );
    }

    #[test]
    fn what_is_missing_is_put_in_place_where_it_is_missing() {
        let with = |place| told(&[set(ZSH, "/x"), nothing(place)]);
        for (place, name, hint) in [
            (BASH, "interactive bash", "pycstore setup bash"),
            (VariablePlace::Session, "the systemd user session", "pycstore setup environment.d"),
            (VariablePlace::EnvironmentD, "environment.d", "pycstore setup environment.d"),
            (VariablePlace::Cron(None), "cron", "pycstore setup cron"),
            (VariablePlace::Cron(Some(3)), "line 3 of the crontab", "pycstore setup cron"),
            (
                VariablePlace::Here,
                "this environment",
                "start a new shell; if it is missing there as well: pycstore setup",
            ),
        ] {
            let expected = format!(
                "warning unset | PYTHONPYCACHEPREFIX is not set in {name}, though it is in login zsh | {hint}"
            );
            assert_eq!(with(place), [expected]);
        }
        // PAM's file need not say what others do.
        assert_eq!(with(VariablePlace::EtcEnvironment), [""; 0]);
        let waits = told(&[set(VariablePlace::EnvironmentD, "/x"), nothing(VariablePlace::Session)]);
        assert!(waits[0].ends_with("| log out and in again"), "{waits:?}");
        let shells = told(&[set(VariablePlace::Here, "/x"), nothing(BASH), nothing(ZSH)]);
        assert_eq!(shells.len(), 2, "one for each that is to be put right: {shells:?}");
        let nowhere = told(&[nothing(VariablePlace::Here), nothing(BASH)]);
        assert_eq!(
            nowhere,
            [
                "warning unset | PYTHONPYCACHEPREFIX is not set anywhere: no Python uses /home/me/.cache/cpython \
              | pycstore setup"
            ]
        );
    }

    #[test]
    fn values_are_judged_as_python_takes_them() {
        for (value, kind, path) in [
            ("~/x y", "error unexpanded", "'/home/me/x y'"),
            ("~", "error unexpanded", "/home/me/"),
            ("~you/x", "error unexpanded", "/home/me/.cache/cpython"),
            ("$HOME/x", "error unexpanded", "/home/me/x"),
            ("/tmp/$USER/pycache", "error unexpanded", "/home/me/.cache/cpython"),
            ("x/y", "error relative", "/home/me/.cache/cpython"),
            ("./x", "error relative", "/home/me/.cache/cpython"),
        ] {
            let told = told(&[set(BASH, value), set(VariablePlace::Here, "/x")]);
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].starts_with(&format!("{kind} | PYTHONPYCACHEPREFIX is ")), "{told:?}");
            let expected = format!("PYTHONPYCACHEPREFIX={path}");
            assert!(told[0].ends_with(&expected), "{told:?}");
        }
        let empty = told(&[set(BASH, ""), set(VariablePlace::Here, "/x")]);
        assert_eq!(
            empty,
            ["warning empty | PYTHONPYCACHEPREFIX is empty in interactive bash: Python treats it as unset \
              | pycstore setup bash"]
        );
        // A name may have a dollar or a tilde in it.
        assert_eq!(told(&[set(BASH, "/x/a$b~c"), set(VariablePlace::Here, "/x/a$b~c")]), [""; 0]);
    }

    #[test]
    fn different_stores_are_one_finding() {
        let told = |places: &[Observed], configured: Option<&str>| {
            let configured = configured.map(PathBuf::from);
            judge(&Facts { places: places.to_vec(), configured, ..facts() })
        };
        let both = [set(VariablePlace::Here, "/x"), set(BASH, "/x"), set(ZSH, "/y")];
        let drift = told(&both, None);
        assert_eq!(drift.len(), 1);
        let detail =
            "different stores are named: /x in this environment and interactive bash; /y in login zsh";
        assert_eq!(drift[0].detail, detail);
        assert_eq!(drift[0].hint, "decide on one, such as /x, and name it everywhere");
        let here = told(&[set(VariablePlace::Here, "/x"), set(BASH, "/y"), set(ZSH, "/y")], None);
        assert_eq!(here[0].hint, "start a new shell");
        let configured = told(&both[..2], Some("/z"));
        assert!(configured[0].hint.contains("pycstore config --path"), "{configured:?}");
        assert_eq!(told(&both[..2], Some("/x")), []);
    }

    #[test]
    fn what_is_not_exported_is_not_missing_as_well() {
        let not_exported = Setting { not_exported: Some("/x".into()), ..Setting::default() };
        let told = told(&[set(VariablePlace::Here, "/x"), (ZSH, Ok(not_exported))]);
        assert_eq!(
            told,
            [
                "warning not-exported | PYTHONPYCACHEPREFIX is /x in login zsh, but not exported: Python does not \
              see it | pycstore setup zsh"
            ]
        );
    }

    #[test]
    fn who_does_not_answer_is_not_accused() {
        let told =
            told(&[set(VariablePlace::Here, "/x"), (BASH, Err("gave no answer within 10.0 s".into()))]);
        assert_eq!(told.len(), 1);
        assert!(
            told[0].starts_with("note no-answer | interactive bash gave no answer within 10.0 s: "),
            "{told:?}"
        );
    }

    #[test]
    fn what_is_set_nowhere_may_be_set_where_nobody_answered() {
        let told = told(&[
            nothing(VariablePlace::Here),
            (VariablePlace::Cron(None), Err("ended without an answer".into())),
        ]);
        assert_eq!(
            told,
            [
                "note no-answer | cron ended without an answer: what it has is unknown | see whether it answers: \
                 crontab -l",
                "warning unset | PYTHONPYCACHEPREFIX is set in no place that answered | pycstore setup",
            ]
        );
    }
}
