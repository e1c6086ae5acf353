//! `strongroom trail`: the trails of key providers, by themselves.

mod verify;

use crate::commands::Context;
use crate::error::CliError;
use clap::{Args, Subcommand};

const EXAMPLES: &str = "Examples:\n\
    \x20 aws s3 sync s3://trails/AWSLogs trail/AWSLogs\n\
    \x20 aws cloudtrail list-public-keys --start-time 2026-01-01 > keys.json\n\
    \x20 strongroom trail verify trail --public-keys keys.json --bucket trails";

/// Verify the trails of key providers by themselves
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct TrailArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: TrailAction,
}

/// What to do with a trail.
#[derive(Clone, Debug, Subcommand)]
pub enum TrailAction {
    /// Verify CloudTrail's signed digests: was a log file changed, removed or added
    Verify(verify::VerifyArgs),
}

/// Does what was asked.
///
/// # Errors
/// Where the trail was changed, or cannot be read.
pub fn run(args: &TrailArgs, context: &Context) -> Result<(), CliError> {
    match &args.action {
        TrailAction::Verify(args) => verify::run(args, context),
    }
}
