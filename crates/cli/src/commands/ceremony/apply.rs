//! `strongroom ceremony apply`: the import, and the proof. Needs the network and no share.

use super::files::{RecordFile, Target, Wrapped, base64};
use super::verify::Provider;
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::{keys, session};
use clap::Args;
use std::path::PathBuf;
use strongroom_custody::ceremony::Step;

/// Options of `ceremony apply`.
#[derive(Args, Clone, Debug)]
pub struct ApplyArgs {
    /// What `ceremony wrap` wrote
    #[arg(value_name = "WRAPPED")]
    pub wrapped: PathBuf,

    /// The record of the ceremony
    #[arg(long, value_name = "FILE")]
    pub record: PathBuf,
}

/// Imports, and lets the provider open a challenge: a new one, or after a deletion the one from before.
///
/// # Errors
/// Where the provider refuses, or its key is not the material.
pub(super) fn run(args: &ApplyArgs, context: &Context) -> Result<(), CliError> {
    let mut record = RecordFile::open(&args.record)?;
    let wrapped = Wrapped::read(&args.wrapped)?;
    if (&wrapped.ceremony, &wrapped.fingerprint) != (&record.ceremony, &record.fingerprint) {
        let what = "what was wrapped is not the key material of this record";
        return Err(CliError::new(ErrorKind::Ceremony, what).hint("give the record of the same ceremony"));
    }
    let material = base64(&wrapped.wrapped, "wrapped material")?;
    let token = wrapped.import_token.as_deref().map(|token| base64(token, "import token")).transpose()?;
    let runtime = session::runtime()?;
    let provider = Provider::new(&Target::parse(&wrapped.key)?, &keys::given(context))?;
    let earlier = record.record.challenge(&wrapped.key).cloned();
    let (material_id, request_id) = runtime.block_on(provider.import(token.as_deref(), &material))?;
    let challenge = match &earlier {
        Some(_) => None,
        None => Some(runtime.block_on(provider.challenge(&record))?),
    };
    let proof = challenge.clone().or(earlier.clone());
    record.add(Step::Imported {
        key: wrapped.key.clone(),
        material_id,
        request_id: request_id.clone(),
        challenge,
    })?;
    if let Some(challenge) = &proof {
        runtime.block_on(provider.answers(&record, challenge))?;
    }
    let words = match earlier {
        Some(_) => "it opens what it encrypted when the material was first imported",
        None => "it opens a challenge; `ceremony verify` tells what that proves",
    };
    record.add(Step::Verified { key: wrapped.key.clone(), proof: words.to_owned() })?;
    if context.output.is_json() {
        return context.output.json(&serde_json::json!({
            "message_type": "ceremony_applied",
            "key": wrapped.key,
            "again": words.contains("first imported"),
            "request_id": request_id,
        }));
    }
    context.output.line(&format!("Imported the key material into {}: {words}", wrapped.key))
}
