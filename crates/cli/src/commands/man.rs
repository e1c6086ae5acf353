//! `strongroom man`: manual pages, one for each command.

use crate::args::Cli;
use crate::commands::Context;
use crate::error::CliError;
use clap::{Args, CommandFactory as _};
use std::path::PathBuf;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom man /usr/local/share/man/man1";

/// Write the manual pages into a directory
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ManArgs {
    /// Directory, which is made if it does not exist
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

/// Writes the pages.
///
/// # Errors
/// Where the directory cannot be made or written.
pub fn run(args: &ManArgs, context: &Context) -> Result<(), CliError> {
    let written = |error: &std::io::Error| CliError::file("written", &args.directory, error);
    std::fs::create_dir_all(&args.directory).map_err(|error| written(&error))?;
    clap_mangen::generate_to(Cli::command(), &args.directory).map_err(|error| written(&error))?;
    context.messages.note("manual pages written");
    Ok(())
}
