//! `strongroom ceremony`: key material of one's own, split among custodians and imported into a provider.

mod apply;
mod fetch;
mod files;
mod generate;
mod shares;
mod verify;
mod wrap;

use crate::commands::Context;
use crate::error::CliError;
use clap::{Args, Subcommand};

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom ceremony generate --threshold 2 --custodian alice=age1... --custodian bob=age1... \\\n\
    \x20     --custodian safe=card --cards /dev/shm/cards -o ceremony\n\
    \x20 strongroom ceremony fetch aws-kms:arn:aws:kms:eu-west-1:123456789012:key/1234abcd \\\n\
    \x20     --record ceremony/record.jsonl -o parameters.json\n\
    \x20 strongroom ceremony wrap parameters.json --record ceremony/record.jsonl \\\n\
    \x20     --share ceremony/alice.share --identity alice.age --typed 1 -o wrapped.json\n\
    \x20 strongroom ceremony apply wrapped.json --record ceremony/record.jsonl\n\
    \x20 strongroom ceremony verify aws-kms:arn:aws:kms:eu-west-1:123456789012:key/1234abcd \\\n\
    \x20     --record ceremony/record.jsonl";

/// Bring key material of your own into a provider, and bring it back after it was deleted there
///
/// `generate` and `wrap` need no network: run them on a machine that has none. `fetch` and `apply` need no share.
/// Every step is written into the record, which holds no secret. After a deletion, the same material goes the same
/// way again: fetch, wrap, apply.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct CeremonyArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: CeremonyAction,
}

/// The steps of a ceremony.
#[derive(Clone, Debug, Subcommand)]
pub enum CeremonyAction {
    /// Import what was wrapped, and let the provider prove what it has
    Apply(apply::ApplyArgs),
    /// Ask a provider for the key to wrap under
    Fetch(fetch::FetchArgs),
    /// Make key material and split it among custodians, offline
    Generate(generate::GenerateArgs),
    /// Prove that the provider's key is the key material
    Verify(verify::VerifyArgs),
    /// Put key material together and wrap it for a provider, offline
    Wrap(wrap::WrapArgs),
}

/// Does one step.
///
/// # Errors
/// Where shares, files or the provider do not allow it.
pub fn run(args: &CeremonyArgs, context: &Context) -> Result<(), CliError> {
    match &args.action {
        CeremonyAction::Apply(args) => apply::run(args, context),
        CeremonyAction::Fetch(args) => fetch::run(args, context),
        CeremonyAction::Generate(args) => generate::run(args, context),
        CeremonyAction::Verify(args) => verify::run(args, context),
        CeremonyAction::Wrap(args) => wrap::run(args, context),
    }
}
