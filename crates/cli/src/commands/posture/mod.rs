//! `strongroom posture`: who can hurt the keys, by what AWS says of an organisation. Needs no vault and no key.

mod analyse;
mod blast;
mod fix;
mod principal;
mod show;
mod simulate;
mod source;

use crate::commands::Context;
use crate::error::CliError;
use clap::{Args, Subcommand};

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom posture analyse aws/\n\
    \x20 strongroom posture threat-model aws/ -o threat-model.md\n\
    \x20 strongroom posture simulate aws/ --principal arn:aws:iam::111122223333:role/restore \\\n\
    \x20   --action kms:Decrypt --resource arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// See who can do what to keys and backups in AWS
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct PostureArgs {
    /// What to see.
    #[command(subcommand)]
    pub action: PostureAction,
}

/// What to see.
#[derive(Clone, Debug, Subcommand)]
pub enum PostureAction {
    /// Tell who can hurt the backup keys, by which path, and which best practices that breaks
    Analyse(analyse::AnalyseArgs),
    /// Tell the fewest credentials that close every way of a policy
    Blast(blast::BlastArgs),
    /// Tell the fewest edits of policies that close every way from outside to the backup keys
    Fix(fix::FixArgs),
    /// Tell whether a request would be allowed, and by which statements
    Simulate(Box<simulate::SimulateArgs>),
    /// Write the threat model of the backup keys from the configuration
    ThreatModel(analyse::ThreatModelArgs),
}

/// Does what was asked.
///
/// # Errors
/// Where what was asked makes no sense, or the input cannot be read or had problems.
pub fn run(args: &PostureArgs, context: &Context) -> Result<(), CliError> {
    match &args.action {
        PostureAction::Analyse(args) => analyse::run(args, context),
        PostureAction::ThreatModel(args) => analyse::threat_model(args, context),
        PostureAction::Blast(args) => blast::run(args, context),
        PostureAction::Fix(args) => fix::run(args, context),
        PostureAction::Simulate(args) => simulate::run(args, context),
    }
}
