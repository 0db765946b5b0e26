//! Options of `pycstore doctor`.

use clap::Args;
use pycstore::units::{Age, AgeError};

/// A time in which something can be answered.
fn patience(text: &str) -> Result<Age, String> {
    let age: Age = text.parse().map_err(|error: AgeError| error.to_string())?;
    if age.duration().is_zero() { Err("nothing answers in no time".into()) } else { Ok(age) }
}

/// Options of `pycstore doctor`.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 nothing is wrong, notes included; 1 an error or a warning was found.")]
pub struct DoctorOptions {
    /// How long a shell or an interpreter may take to answer, such as 5s
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = patience)]
    pub patience: Age,
    /// Print one JSON object a line for each finding
    #[arg(long)]
    pub json: bool,
}
