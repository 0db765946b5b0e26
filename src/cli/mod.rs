//! The terminal part of pycstore: command line, environment, tables, colours, exit codes.
//!
//! Every subcommand is a file or a folder with its options (whose documentation is its help), its `run` and its JSON
//! documents; it gets facts and decisions from the library and shows them. Modules that several commands share:
//! `session`, `selection`, `removal`, `output`. Home of clap, as all commands are.
//!
//! Data goes to standard output, everything else to standard error.

mod browse;
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
mod help;
mod history;
#[cfg(any(test, fuzzing))]
#[path = "../../tests/hostile/terminal.rs"]
pub mod hostile;
mod inspect;
mod interpreters;
mod keep;
mod launch;
mod ls;
#[cfg(test)]
mod man;
mod metrics;
mod options;
mod output;
mod overview;
#[cfg(test)]
#[path = "../history/tests.rs"]
mod past_runs;
mod paths;
mod prune;
mod removal;
mod report;
mod schedule;
mod selection;
mod session;
mod setup;
mod share;
mod source;
mod stop;
mod supervision;
mod sweep;
mod usage;
mod verify;
mod warm;
mod which;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use metrics::MeasuredCommand;
use options::Global;
use output::complain;
use output::path::Characters;
use pycstore::environment::Environment;
use pycstore::exit::Exit;
use pycstore::host::program;
use pycstore::units::Age;
use session::Session;
use std::process::ExitCode;
use stop::Stop;

/// Manages CPython's global bytecode store, the tree that PYTHONPYCACHEPREFIX names.
///
/// Python adds files to that tree and never removes any. pycstore shows which project each file belongs to and
/// whether Python would still load it, and removes the files that Python would not load.
///
/// When root runs it on another user's store, pycstore continues as that user, without root's groups, environment,
/// configuration and history. It then reads and writes the files of --config, --metrics and --html with that user's
/// permissions, too. The user is the owner of the first directory or symbolic link on the path that does not belong
/// to root. Root removes nothing if others can write to a directory on the path, unless it is sticky. sweep
/// continues as the owner of the tree; doctor, history and config do so only with --store.
#[derive(Debug, Parser)]
#[command(
    name = "pycstore",
    version,
    max_term_width = 100,
    after_help = "Exit status: 0 success, also if there was nothing to do; 1 something could not be read or removed; \
                  2 nothing was done: wrong usage, or the store is missing or refused."
)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    /// What to do; without a command, an overview.
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Arguments {
    /// Returns the arguments of this process. Prints help or the version and exits if they ask for it.
    ///
    /// # Errors
    /// If they are wrong, with a hint; or if the help cannot be written.
    pub fn of_process() -> anyhow::Result<Arguments> {
        let parsed = help::grouped(Arguments::command())
            .try_get_matches()
            .and_then(|matches| Arguments::from_arg_matches(&matches));
        parsed.or_else(|error| {
            if usage::is_help(&error) {
                error.print()?;
                std::process::exit(error.exit_code());
            }
            Err(usage::complaint(&error, std::env::args_os()).into())
        })
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Du(du::DuOptions),
    Browse(browse::BrowseOptions),
    Report(report::ReportOptions),
    Ls(ls::LsOptions),
    Prune(prune::PruneOptions),
    Forget(forget::ForgetOptions),
    Share(share::ShareOptions),
    Sweep(sweep::SweepOptions),
    Warm(warm::WarmOptions),
    Which(which::WhichOptions),
    Interpreters(interpreters::InterpretersOptions),
    Source(source::SourceOptions),
    Inspect(inspect::InspectOptions),
    Verify(verify::VerifyOptions),
    Setup(setup::SetupOptions),
    Schedule(schedule::ScheduleOptions),
    History(history::HistoryOptions),
    Config(config::show::ConfigOptions),
    Demo(demo::DemoOptions),
    Doctor(doctor::DoctorOptions),
    Completions(completions::CompletionsOptions),
    #[command(hide = true)]
    Launch(launch::LaunchOptions),
    /// No command.
    #[command(skip)]
    Overview,
}

impl Command {
    /// Maximum time of the run, as far as the command line has one or the command always does.
    fn time_limit(&self) -> Option<Age> {
        match self {
            Command::Prune(options) => options.run.max_runtime,
            Command::Forget(options) => options.run.max_runtime,
            Command::Share(options) => options.max_runtime,
            Command::Schedule(options) => options.time_limit(),
            _ => None,
        }
    }
}

/// Runs the program on this process's arguments and environment.
pub fn main() -> ExitCode {
    Characters::of_locale(env::locale().as_deref()).decide();
    supervision::keep_exit_statuses();
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
    let command = command.unwrap_or(Command::Overview);
    if let Command::Launch(options) = &command {
        return launch::run(options);
    }
    // Whatever looks at the store may wait for its file system.
    let (limit, stop) = (command.time_limit(), Stop::default());
    if let Some(age) = limit {
        supervision::begin()?;
        stop.limit(age);
    }
    let environment = env::of_process();
    program::search_in(env::search_path());
    let measured = || MeasuredCommand::new(&global, &environment, &command);
    if limit.is_some() {
        let measured = measured();
        stop.on_overrun(Exit::Nothing, move || {
            if let Some(measured) = measured {
                measured.write_unresponsive();
            }
        });
    }
    let measured = measured();
    if let Err(error) = continuation::continue_as_owner(&global, &command, &environment, &stop) {
        if let Some(measured) = measured {
            measured.write_failure_as_root();
        }
        return Err(error);
    }
    let answer = carry_out(global, environment, command, stop);
    if let (Err(error), Some(measured)) = (&answer, measured)
        && !complain::is_of_output(error)
    {
        measured.write_failure();
    }
    answer
}

/// Runs a command as the user who may do so.
fn carry_out(global: Global, environment: Environment, command: Command, stop: Stop) -> anyhow::Result<Exit> {
    // It reports an invalid configuration as a finding.
    if let Command::Doctor(options) = &command {
        return doctor::run(global, environment, options);
    }
    let mut session = match &command {
        // These also work with an invalid configuration.
        Command::Config(options) if options.path => Session::new(global, environment),
        Command::Demo(_) | Command::Completions(_) => Session::new(global, environment),
        // Each user's own configuration counts, not root's.
        Command::Schedule(options) if options.is_for_every_user() => Session::new(global, environment),
        _ => Session::configured(global, environment)?,
    };
    session.stop = stop;
    match command {
        Command::Du(options) => du::run(&session, &options.with_paths()),
        Command::Browse(options) => browse::run(session, &options.with_paths()),
        Command::Report(options) => report::run(&session, &options),
        Command::Ls(options) => ls::run(&session, &options.with_paths()),
        Command::Prune(options) => prune::run(&session, &options),
        Command::Forget(options) => forget::run(&session, &options),
        Command::Share(options) => share::run(&session, &options),
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
        Command::Config(options) => config::show::run(&session, &options),
        Command::Doctor(options) => doctor::run(session.global, session.environment, &options),
        Command::Completions(options) => completions::run(&options),
        Command::Launch(options) => launch::run(&options),
        Command::Overview => overview::run(&session),
    }
}

/// The whole command line as data, complete with the options that every command inherits.
#[cfg(test)]
pub fn definition() -> clap::Command {
    let mut definition = Arguments::command().disable_help_subcommand(true);
    definition.build();
    definition
}

/// The command line as far as the help shows it.
pub fn visible() -> clap::Command {
    let all = Arguments::command();
    let shown = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    clap::Command::new("pycstore")
        .version(env!("CARGO_PKG_VERSION"))
        .args(all.get_arguments().cloned())
        .subcommands(shown)
}
