//! `pycstore du`: how much room the store takes, by owner.

use super::args::DuOptions;
use super::exit::Exit;
use super::output::json::{self, UsageDocument};
use super::output::style::Tone;
use super::output::table::{Alignment, Column, Table};
use super::output::{complain, date, human, path};
use super::selection;
use super::session::Session;
use pycstore::layout::python_of_tag;
use pycstore::owner::{Life, Owner};
use pycstore::prune::{Policy, Scope};
use pycstore::scan::{Question, Trouble};
use pycstore::status::UncheckedHashes;
use pycstore::store::Purpose;
use pycstore::tally::Tally;
use pycstore::usage::{CountedLinks, Survey, Usage};
use std::io::{self, BufWriter, Write};

/// Runs `pycstore du`.
pub fn run(session: &Session, options: &DuOptions) -> anyhow::Result<Exit> {
    let opened = session.open(Purpose::Look)?;
    let unchecked = UncheckedHashes::from(options.unchecked);
    let policy = reclaimable(session)?;
    let links = CountedLinks::default();
    let circumstances = opened.circumstances(session.environment.now, &|_, _| false);
    let new_survey = || Survey::new(&policy, unchecked, circumstances, &links);
    let usage = {
        let mut progress = session.progress("looking at");
        let scan = opened.scan(Question::Everything(unchecked));
        Usage::collect(scan.run(new_survey, |entries| progress.update(entries)))
    };
    let mut out = BufWriter::new(io::stdout().lock());
    if options.json {
        json::print(&mut out, &UsageDocument::new(opened.store.path(), &usage))?;
    } else {
        print(session, options, &usage, &mut out)?;
    }
    out.flush()?;
    Ok(report(&usage.troubles))
}

/// What a default prune may remove: nothing that the configuration keeps.
pub fn reclaimable(session: &Session) -> anyhow::Result<Policy> {
    let scope = Scope { keep: selection::keep(session, &[])?, ..Scope::default() };
    Ok(Policy { scope, ..Policy::reclaimable() })
}

/// Reports what could not be read; a mount point is no fault.
pub fn report(troubles: &[Trouble]) -> Exit {
    for trouble in troubles {
        complain::problem(trouble);
    }
    Exit::complete_if(troubles.iter().all(|trouble| matches!(trouble, Trouble::MountPoint { .. })))
}

fn print(session: &Session, options: &DuOptions, usage: &Usage, out: &mut dyn Write) -> io::Result<()> {
    let style = session.style();
    let room = |tally: Tally| human::size(if options.apparent_size { tally.bytes } else { tally.disk });
    let mut table = Table::new(
        vec![
            Column { heading: "SIZE", alignment: Alignment::Right, gives_way: 0 },
            Column { heading: "FILES", alignment: Alignment::Right, gives_way: 3 },
            Column { heading: "RECLAIMABLE", alignment: Alignment::Right, gives_way: 2 },
            Column { heading: "LAST USED", alignment: Alignment::Left, gives_way: 5 },
            Column { heading: "TAGS", alignment: Alignment::Left, gives_way: 4 },
        ],
        "OWNER",
    );
    let reclaimable = |tally: Tally| if tally.is_empty() { "-".into() } else { room(tally) };
    for row in &usage.owners {
        let cells = vec![
            room(row.tally),
            human::count(row.tally.files),
            reclaimable(row.reclaimable),
            row.last_used.map_or_else(|| "-".into(), |moment| date::ago(moment, session.environment.now)),
            tags(session, row.tags.iter().map(String::as_str)),
        ];
        let tone = if row.owner.life == Life::Gone { Tone::Gone } else { Tone::Normal };
        table.row(cells, owner(session, &row.owner), tone);
    }
    let none = String::new;
    if usage.directories.files > 0 && !options.apparent_size {
        let name = human::counted(usage.directories.files, "directory").into_bytes();
        table.row(vec![room(usage.directories), none(), none(), none(), none()], name, Tone::Quiet);
    }
    let total = if options.apparent_size { usage.total.bytes } else { usage.disk() };
    let cells = vec![
        human::size(total),
        human::count(usage.total.files),
        reclaimable(usage.reclaimable),
        none(),
        none(),
    ];
    table.row(cells, b"total".to_vec(), Tone::Total);
    table.print(out, &session.terminal, style)?;
    if session.terminal.is_terminal() && !usage.reclaimable.is_empty() {
        writeln!(
            out,
            "\n{} in {} can go: pycstore prune --orphans --stale --corrupt --temporary",
            room(usage.reclaimable),
            human::counted(usage.reclaimable.files, "file")
        )?;
    }
    Ok(())
}

/// Cache tags in order of their versions; on a terminal an implementation is named once: `cpython-39 311 312`.
fn tags<'a>(session: &Session, tags: impl Iterator<Item = &'a str>) -> String {
    let implementation = |tag: &'a str| tag.trim_end_matches(|character: char| character.is_ascii_digit());
    let mut tags: Vec<&str> = tags.collect();
    tags.sort_by_key(|tag| (implementation(tag), python_of_tag(tag)));
    let mut shown = String::new();
    let mut last = "";
    for tag in tags {
        let prefix = implementation(tag);
        let is_repeated = session.terminal.is_terminal() && prefix == last && !prefix.is_empty();
        if !shown.is_empty() {
            shown.push(' ');
        }
        shown.push_str(if is_repeated { &tag[prefix.len()..] } else { tag });
        last = prefix;
    }
    shown
}

/// An owner's path, and whether it is gone.
pub fn owner(session: &Session, owner: &Owner) -> Vec<u8> {
    let mut shown = path::shown(&owner.root, &session.terminal);
    if owner.life == Life::Gone {
        shown.extend_from_slice(b" (gone)");
    }
    shown
}
