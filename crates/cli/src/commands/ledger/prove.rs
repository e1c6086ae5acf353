//! `strongroom ledger prove`: a proof for somebody who has nothing but the ledger's public key.

use super::source::{IdentityArgs, Source, given_identity};
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::local_files::{self, write_new};
use clap::Args;
use std::path::PathBuf;
use strongroom_ledger::entry::Entry;
use strongroom_ledger::limits::{CHECKPOINT_MAX, ENTRY_MAX};
use strongroom_ledger::proof::EntryProof;

/// Options of `ledger prove`.
#[derive(Args, Clone, Debug)]
pub struct ProveArgs {
    /// Place of the entry, as `ledger show` tells it
    #[arg(value_name = "ENTRY", required_unless_present = "check")]
    pub entry: Option<u64>,

    /// File for the proof [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Check this proof instead, with --vkey and without the ledger
    #[arg(long, value_name = "FILE", conflicts_with_all = ["entry", "output"], requires = "keys")]
    pub check: Option<PathBuf>,

    /// Whose ledger.
    #[command(flatten)]
    pub identity: IdentityArgs,
}

/// Proves, or checks a proof.
///
/// # Errors
/// Where there is no such entry, or the proof does not hold.
pub(super) fn run(args: &ProveArgs, context: &Context) -> Result<(), CliError> {
    match (&args.check, args.entry) {
        (Some(_), _) => check(args, context),
        (None, Some(entry)) => prove(args, entry, context),
        (None, None) => Err(CliError::new(ErrorKind::Usage, "there is no entry to prove")),
    }
}

fn prove(args: &ProveArgs, index: u64, context: &Context) -> Result<(), CliError> {
    let source = Source::open(context, &args.identity)?;
    let head = source.head()?;
    if index >= head.checkpoint.size {
        let message = format!("there is no entry {index}: the ledger has {} entries", head.checkpoint.size);
        return Err(CliError::new(ErrorKind::Usage, message));
    }
    let (_, proof) = source.block_on(source.reader.entry(&head, index))?;
    let text = proof.encode();
    let Some(path) = &args.output else {
        if context.output.is_json() {
            return context
                .output
                .json(&serde_json::json!({"message_type": "proof", "index": index, "proof": text}));
        }
        return context.output.raw(text.as_bytes());
    };
    write_new(path, text.as_bytes())?;
    if context.output.is_json() {
        return context
            .output
            .json(&serde_json::json!({"message_type": "proof", "index": index, "file": path}));
    }
    context.output.line(&format!("Wrote the proof of entry {index} to {}", path.display()))
}

fn check(args: &ProveArgs, context: &Context) -> Result<(), CliError> {
    let (Some(path), Some(identity)) = (&args.check, given_identity(&args.identity)?) else {
        return Err(CliError::new(ErrorKind::Usage, "a proof is checked with --vkey"));
    };
    let forged = |error: &dyn std::error::Error| {
        CliError::new(ErrorKind::LedgerForged, format!("the proof in {} does not hold", path.display()))
            .caused_by(error)
    };
    let bytes = local_files::read(path, (CHECKPOINT_MAX + ENTRY_MAX * 2) as u64)?;
    let proof = EntryProof::parse(&bytes).map_err(|error| forged(&error))?;
    let entry = proof.extra.clone().ok_or_else(|| {
        CliError::new(
            ErrorKind::LedgerForged,
            format!("{} does not hold the entry that it proves", path.display()),
        )
    })?;
    let signed = proof.verify(&identity, &entry).map_err(|error| forged(&error))?;
    let decoded = Entry::decode(&entry).map_err(|error| forged(&error))?;
    if context.output.is_json() {
        return context.output.json(&serde_json::json!({
            "message_type": "proof_holds",
            "index": proof.index,
            "size": signed.checkpoint.size,
            "origin": signed.checkpoint.origin,
            "entry": decoded,
        }));
    }
    context.messages.note(&format!(
        "the proof holds: this is entry {} of {}, which had {} entries then",
        proof.index, signed.checkpoint.origin, signed.checkpoint.size
    ));
    let pretty = serde_json::to_string_pretty(&decoded).unwrap_or_default();
    context.output.line(&crate::escape::text(&pretty))
}
