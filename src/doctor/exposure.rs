//! Findings about other users who may change the store: the directories on its path, its owner, its parts. Pure.

use super::facts::{Facts, OpenStore, StoreState};
use super::finding::{Finding, Kind, Severity};
use crate::host::trust::Step;
use crate::quoting::quoted;
use crate::store::exposure::{Approach, Guard, Intruder, Parts};
use crate::units::human;

fn who(facts: &Facts, intruder: Intruder) -> String {
    match intruder {
        Intruder::Everyone => "everyone".into(),
        Intruder::Group(group) => format!("the members of group {group}"),
        Intruder::User(user) => format!("user {}", facts.accounts.name(user)),
        Intruder::Unknown => "the users of its access control list, which cannot be read,".into(),
    }
}

fn approaches(facts: &Facts) -> Vec<Approach<'_>> {
    let guard = Guard { user: facts.user, accounts: &facts.accounts };
    let is_there = facts.store_is_there();
    // The first and the last end with the store; those between with links, which count.
    let ends_with_store = |index: usize| is_there && (index == 0 || index + 1 == facts.ways.len());
    let length =
        |(index, way): (usize, &Vec<Step>)| way.len() - usize::from(ends_with_store(index)).min(way.len());
    facts.ways.iter().enumerate().map(|(index, way)| guard.approach(&way[..length((index, way))])).collect()
}

/// The first directory that no other user can enter, on every path to the store or in it.
fn shield(facts: &Facts) -> Option<&Step> {
    let guard = Guard { user: facts.user, accounts: &facts.accounts };
    let shields: Option<Vec<&Step>> = facts.ways.iter().map(|way| guard.approach(way).shield).collect();
    shields?.into_iter().next()
}

/// A directory that other programs use too. Proposes no other mode or owner: the other programs need the present ones.
pub fn shared(store: &OpenStore) -> Option<Finding> {
    let why = store.known.sharing?.explanation();
    let is_open = !store.exposure.everyone.is_empty() || !store.exposure.group.is_empty();
    let reach = if is_open { ", and Python runs what others write there" } else { "" };
    let path = store.path.display();
    let detail = format!("{path} is shared with other programs: {why}{reach}");
    let hint = "give the store a directory of its own: pycstore setup --store ~/.cache/cpython";
    Some(Finding::new(Severity::Error, Kind::Shared, detail, hint).at(&store.path))
}

/// Directories on the path to the store.
pub fn ways(facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for (step, intruder) in approaches(facts).into_iter().flat_map(|approach| approach.breaches) {
        let path = quoted(&step.path);
        let hint = match intruder {
            Intruder::Everyone => {
                format!("chmod o-w {path}, or chmod +t {path} where everyone must be able to write there")
            }
            Intruder::Group(_) => {
                format!("chmod g-w {path}, or chmod +t {path} where the group must be able to write there")
            }
            Intruder::User(user) if user != step.user => format!("setfacl -x u:{user},d:u:{user} {path}"),
            Intruder::Unknown => format!("look at its access control list, or move the store from {path}"),
            Intruder::User(_) => {
                "put the store below directories of your own, such as ~/.cache/cpython".into()
            }
        };
        let detail = format!(
            "{} can be changed by {}, who could replace the store: Python would run the code in it",
            step.path.display(),
            who(facts, intruder)
        );
        let finding = Finding::new(Severity::Error, Kind::Ancestor, detail, hint).at(&step.path);
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    // Where the store is not there yet, a sticky bit does not prevent others from making it first.
    let last = facts.ways.first().and_then(|way| way.last());
    if let Some(step) = last.filter(|step| !facts.store_is_there() && step.mode & 0o1002 == 0o1002)
        && let StoreState::Missing(path) = &facts.store
    {
        let detail = format!(
            "any user can create {} in {} first: Python would run the code in it",
            path.display(),
            step.path.display()
        );
        let hint = format!("create it first: (umask 077 && mkdir -p {})", quoted(path));
        findings.push(Finding::new(Severity::Warning, Kind::Ancestor, detail, hint).at(&step.path));
    }
    findings
}

fn counted(parts: &Parts) -> String {
    match (parts.files, parts.directories) {
        (files, 0) => human::counted(files, "file"),
        (0, directories) => human::counted(directories, "directory"),
        (files, directories) => {
            format!("{} and {}", human::counted(files, "file"), human::counted(directories, "directory"))
        }
    }
}

/// A finding about some parts of the store, with the text for one and for several; several are counted, with an example.
fn about(
    parts: &Parts,
    severity: Severity,
    kind: Kind,
    [of_one, of_several]: [&str; 2],
    hint: String,
) -> Option<Finding> {
    let example = parts.example.as_ref()?;
    let shown = example.display();
    let detail = match parts.files + parts.directories {
        1 => format!("{shown} {of_one}"),
        _ => format!("{} of the store {of_several}, such as {shown}", counted(parts)),
    };
    Some(Finding::new(severity, kind, detail, hint).at(example))
}

/// The owners of the store and its parts. `option` names the store in commands that need it.
pub fn owners(facts: &Facts, store: &OpenStore, option: &str) -> Vec<Finding> {
    let path = quoted(&store.path);
    let mut findings = Vec::new();
    let user = facts.accounts.name(facts.user);
    let chown = format!("chown -R {user} {path}");
    let chown = if facts.user == 0 { chown } else { format!("sudo {chown}") };
    let is_foreign = store.user != facts.user;
    if is_foreign {
        let owner = facts.accounts.name(store.user);
        let detail = match store.user {
            0 => {
                format!("{} belongs to root, not to {user}: Python cannot write there", store.path.display())
            }
            _ => format!("{} belongs to {owner}, whose code {user} runs", store.path.display()),
        };
        let hint = match store.user {
            0 => chown.clone(),
            _ => "use a store of your own: pycstore setup".into(),
        };
        findings.push(Finding::new(Severity::Error, Kind::Owner, detail, hint).at(&store.path));
    }
    let parts = &store.exposure;
    if !is_foreign {
        let what = [
            "belongs to root, as `sudo python` leaves it: Python may be unable to write there",
            "belong to root, as `sudo python` leaves them: Python may be unable to write there",
        ];
        findings.extend(about(&parts.root, Severity::Warning, Kind::ForeignParts, what, chown.clone()));
        let what = [
            "belongs to another user, whose code Python runs",
            "belong to another user, whose code Python runs",
        ];
        let hint = format!("look at them (ls -ld), then pycstore prune --all{option}, or {chown}");
        findings.extend(about(&parts.others, Severity::Error, Kind::ForeignParts, what, hint));
    }
    findings
}

/// Parts that others may write to; harmless if a directory above keeps other users out.
pub fn writable(facts: &Facts, store: &OpenStore) -> Vec<Finding> {
    let (shield, path) = (shield(facts), quoted(&store.path));
    let graded = |severity| if shield.is_some() { Severity::Note } else { severity };
    let reach = match shield {
        Some(step) => format!(", but {} keeps other users out", step.path.display()),
        None => ": Python runs what they write".into(),
    };
    let everyone = about(
        &store.exposure.everyone,
        graded(Severity::Error),
        Kind::Writable,
        ["can be written by everyone"; 2],
        format!("chmod -R go-w {path}"),
    );
    let group = about(
        &store.exposure.group,
        graded(Severity::Warning),
        Kind::Writable,
        ["can be written by a group with others in it, or by an access control list"; 2],
        format!("chmod -R g-w {path}"),
    );
    let said = |finding: Finding| Finding { detail: format!("{}{reach}", finding.detail), ..finding };
    everyone.into_iter().chain(group).map(said).collect()
}
