//! `strongroom ledger`: the record of every key use, read and verified.

mod export;
mod ocsf;
mod prove;
mod rows;
mod serve;
mod show;
pub(crate) mod source;
pub(crate) mod verify;
mod witness;

pub(crate) use export::inert;

use crate::commands::Context;
use crate::error::CliError;
use clap::{Args, Subcommand};

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom ledger show --since 2026-11-01 --verb unwrap\n\
    \x20 strongroom ledger verify\n\
    \x20 strongroom ledger verify --vkey \"$VKEY\" --witness-policy witnesses.txt --continues january.checkpoint\n\
    \x20 strongroom ledger prove 4711 -o key-use.proof\n\
    \x20 strongroom ledger export --format ocsf > events.jsonl\n\
    \x20 strongroom ledger witness --policy witnesses.txt\n\
    \x20 strongroom ledger serve --listen 127.0.0.1:8080";

/// Read and verify the record of every key use
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct LedgerArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: LedgerAction,
}

/// What to do with the ledger.
#[derive(Clone, Debug, Subcommand)]
pub enum LedgerAction {
    /// Write the entries to standard output in the form of other tools
    Export(export::ExportArgs),
    /// Write the proof that an entry is in the ledger, or check one
    Prove(prove::ProveArgs),
    /// Serve the ledger over HTTP, to be read only
    Serve(serve::ServeArgs),
    /// List entries
    Show(show::ShowArgs),
    /// Verify the whole ledger, or what was added since a checkpoint
    Verify(verify::VerifyArgs),
    /// Ask witnesses to cosign the newest checkpoint
    Witness(witness::WitnessArgs),
}

/// Does what was asked. Uses no key.
///
/// # Errors
/// Where there is no ledger, it cannot be reached, or it is not to be believed.
pub fn run(args: &LedgerArgs, context: &Context) -> Result<(), CliError> {
    match &args.action {
        LedgerAction::Export(args) => export::run(args, context),
        LedgerAction::Prove(args) => prove::run(args, context),
        LedgerAction::Serve(args) => serve::run(args, context),
        LedgerAction::Show(args) => show::run(args, context),
        LedgerAction::Verify(args) => verify::run(args, context),
        LedgerAction::Witness(args) => witness::run(args, context),
    }
}
