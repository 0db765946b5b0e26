//! `pycstore du --all-stores`: the other stores on this machine.

use crate::cli::output::style::Tone;
use crate::cli::output::table::{Column, Table};
use crate::cli::output::{complain, path};
use crate::cli::session::Session;
use pycstore::store::Store;
use pycstore::store::others::{HomeReach, OtherStore, StoreSearch};
use pycstore::units::human;
use pycstore::verdict::view::Measure;
use std::io::{self, Write};

/// Finds them. Errors below the working directory are reported, but do not change the exit status.
pub(super) fn find(session: &Session, store: &Store) -> Vec<OtherStore> {
    let environment = &session.environment;
    let places = StoreSearch {
        home: environment.home.as_deref(),
        user: environment.user.as_deref(),
        working_directory: &environment.working_directory,
        reach: HomeReach::Below,
        own: Some(store.real_path()),
    };
    let (stores, unreadable) = places.search();
    for trouble in &unreadable {
        complain::problem(trouble);
    }
    stores
}

/// Prints them below the table of the store itself.
pub(super) fn print(
    session: &Session,
    measure: Measure,
    stores: &[OtherStore],
    out: &mut dyn Write,
) -> io::Result<()> {
    if stores.is_empty() {
        return writeln!(out, "\nno other store on this machine");
    }
    writeln!(out)?;
    let columns = vec![Column::right("SIZE", 0), Column::right("FILES", 0), Column::left("KIND", 1)];
    let mut table = Table::new(columns, "OTHER STORE");
    for store in stores {
        let size = match measure {
            Measure::Disk => store.tally.disk,
            Measure::Length => store.tally.bytes,
        };
        let cells = vec![human::size(size), human::count(store.tally.files), store.origin.name().to_string()];
        table.row(cells, path::shown(&store.path, &session.terminal), Tone::Normal);
    }
    table.print(out, &session.terminal, session.style())
}
