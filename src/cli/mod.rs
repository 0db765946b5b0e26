//! The terminal's half: command line, environment, tables, colours, exit codes.
//!
//! Every subcommand is a file with a `run`; it asks the library for facts and decisions and shows them.
//! Data goes to standard output, everything else to standard error.

mod args;
mod completions;
mod config;
mod consent;
mod continuation;
mod demo;
mod doctor;
mod du;
mod edit;
mod env;
mod forget;
mod history;
#[cfg(any(test, fuzzing))]
#[path = "../../tests/hostile/terminal.rs"]
pub mod hostile;
mod inspect;
mod interpreters;
mod keep;
mod launch;
mod lock;
mod ls;
#[cfg(test)]
mod man;
mod output;
#[cfg(test)]
#[path = "../history/tests.rs"]
mod past_runs;
mod paths;
mod prune;
mod report;
mod schedule;
mod selection;
mod session;
mod setup;
mod source;
mod stop;
mod sweep;
mod verify;
mod warm;
mod which;
mod whole_store;

use args::{Arguments, Command};
use output::complain;
use pycstore::exit::Exit;
use pycstore::host::program;
use session::Session;
use std::process::ExitCode;

/// Runs the program on this process's arguments and environment.
pub fn main() -> ExitCode {
    let arguments = continuation::begin().and_then(|()| Arguments::of_process());
    let exit = match arguments.and_then(run) {
        Ok(exit) => exit,
        Err(error) if complain::is_closed_pipe(&error) => Exit::Done,
        Err(error) => {
            complain::fatal(&complain::explained(error));
            Exit::Nothing
        }
    };
    stop::end_by_signal();
    exit.into()
}

fn run(arguments: Arguments) -> anyhow::Result<Exit> {
    let Arguments { global, command } = arguments;
    if let Command::Launch(options) = &command {
        return launch::run(options);
    }
    let environment = env::of_process();
    program::search_in(env::search_path());
    continuation::continue_as_owner(&global, &command, &environment)?;
    // Its job is to find what is wrong, the configuration included.
    if let Command::Doctor(options) = &command {
        return doctor::run(global, environment, options);
    }
    let session = match &command {
        // These work without a configuration, and so with one that cannot be understood.
        Command::Config(options) if options.path => Session::new(global, environment),
        Command::Demo(_) | Command::Completions(_) => Session::new(global, environment),
        _ => Session::configured(global, environment)?,
    };
    match command {
        Command::Du(options) => du::run(&session, &options),
        Command::Report(options) => report::run(&session, &options),
        Command::Ls(options) => ls::run(&session, &options),
        Command::Prune(options) => prune::run(&session, &options),
        Command::Forget(options) => forget::run(&session, &options),
        Command::Which(options) => which::run(&session, &options),
        Command::Interpreters(options) => interpreters::run(&session, &options),
        Command::Source(options) => source::run(&session, &options),
        Command::Inspect(options) => inspect::run(&session, &options),
        Command::Demo(options) => demo::run(&session, &options),
        Command::Sweep(options) => sweep::run(&session, &options),
        Command::Warm(options) => warm::run(&session, &options),
        Command::Verify(options) => verify::run(&session, &options),
        Command::Setup(options) => setup::run(&session, &options),
        Command::Schedule(options) => schedule::run(&session, &options),
        Command::History(options) => history::run(&session, &options),
        Command::Config(options) => config::run(&session, &options),
        Command::Doctor(options) => doctor::run(session.global, session.environment, &options),
        Command::Completions(options) => completions::run(&options),
        Command::Launch(options) => launch::run(&options),
    }
}
