//! `strongroom demo`: the main job, shown on a directory of the user's choice by running the real commands.

use crate::commands::Context;
use crate::demo::{self, Stage};
use crate::error::CliError;
use clap::Args;
use std::path::PathBuf;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom demo ~/Documents\n\
    \x20 strongroom demo /etc --work /tmp/strongroom-demo --keep";

/// Show the main job on a directory of yours, which is only read
///
/// Makes a vault in a working directory, backs the directory up, restores a copy and compares it, changes the
/// copy and backs that up, verifies everything, and shows what a stolen backup host can read: nothing. Then verifies the
/// ledger of all key uses, and shows who could hurt the keys of an example organisation in AWS.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct DemoArgs {
    /// Directory to back up
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,

    /// Where vault, keys and copies go; it must not exist [default: a temporary directory]
    #[arg(long, value_name = "DIR")]
    pub work: Option<PathBuf>,

    /// Keep the working directory
    #[arg(long)]
    pub keep: bool,
}

/// Runs the demonstration.
///
/// # Errors
/// Where one of its commands fails that should not, or a restored file differs.
pub fn run(args: &DemoArgs, context: &Context) -> Result<(), CliError> {
    let directory = std::fs::canonicalize(&args.directory)
        .map_err(|error| CliError::file("read", &args.directory, &error))?;
    let stage = Stage::open(args.work.as_deref(), args.keep, context)?;
    demo::perform(&stage, &directory)?;
    stage.close()
}
