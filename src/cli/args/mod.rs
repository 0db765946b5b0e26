//! The options of the commands that edit files.

mod schedule;
mod setup;

pub use schedule::{Action, ScheduleOptions, Scheduler};
pub use setup::{SetupOptions, Target};
