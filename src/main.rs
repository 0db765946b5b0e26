//! The `pycstore` program: see `cli` for the command line and the library for everything else.
mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
