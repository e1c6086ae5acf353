//! `strongroom key revoke`: a keyholder that nobody trusts any more opens nothing that is stored from now on.

use super::change::{self, RemoveArgs};
use super::{changes, rewrap, switch};
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::local_files::write_new;
use crate::session::Session;
use clap::Args;
use std::path::{Path, PathBuf};
use strongroom_custody::{ReasonCode, Switch};
use strongroom_format::change::{RevocationProof, What};
use strongroom_vault::changes::Authority;
use strongroom_vault::keyring::PolicyChange;
use strongroom_vault::prove;

/// Options of `key revoke`.
#[derive(Args, Clone, Debug)]
pub struct RevokeArgs {
    /// What to take away.
    #[command(flatten)]
    pub remove: RemoveArgs,

    /// Suspend it first, measure how long after its provider's refusal this process could still read, and write the
    /// figure, signed by the vault, into this file
    #[arg(long, value_name = "FILE")]
    pub prove: Option<PathBuf>,
}

fn prove(context: &Context, session: &Session, name: &str, file: &Path) -> Result<(), CliError> {
    if file.exists() {
        let exists = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        return Err(CliError::file("written", file, &exists));
    }
    let handle = session.metadata()?;
    let holder =
        session.custody.holder(name).cloned().ok_or_else(|| {
            CliError::new(ErrorKind::Usage, format!("there is no usable keyholder `{name}`"))
        })?;
    let (vault, custody) = (&session.vault, &session.custody);
    let measured = prove::measure(&handle, vault, name, custody, &session.reason, || {
        session.block_on(holder.switch(Switch::Off)).map_err(|error| switch::not_switched(name, error))
    })?;
    let signed = vault.sign_proof(&measured, (name, &session.dataset), custody, &session.reason);
    let (proof, bytes) = session.block_on(signed)?;
    write_new(file, &bytes)?;
    show_proof(context, &proof)
}

/// Shows a proof.
pub(super) fn show_proof(context: &Context, proof: &RevocationProof) -> Result<(), CliError> {
    if context.output.is_json() {
        let mut value = serde_json::json!({"message_type": "revocation_proof"});
        if let (Some(object), Ok(serde_json::Value::Object(fields))) =
            (value.as_object_mut(), serde_json::to_value(proof))
        {
            object.extend(fields);
        }
        return context.output.json(&value);
    }
    let seconds = |milliseconds: u64| format!("{}.{:03} s", milliseconds / 1000, milliseconds % 1000);
    let output = &context.output;
    output.line(&format!("`{}` ({}) was refused at {}", proof.holder, proof.kind, proof.refused))?;
    output.line(&format!("  last read      {} after it", seconds(proof.milliseconds)))?;
    output.line(&format!("  lease          {}", seconds(proof.lease_milliseconds)))?;
    output.line(&format!("  vault          {}", proof.vault))
}

/// Takes the keyholder out of the policies, wraps all keys without it, and opens a new epoch in every dataset.
///
/// # Errors
/// As [`change::remove`]; [`ErrorKind::Problems`] where it is out of the policies and a dataset has no new epoch yet.
pub(super) fn run(args: &RevokeArgs, context: &Context) -> Result<(), CliError> {
    let mut session = Session::open(context, ReasonCode::Admin)?;
    let wanted = change::without_holder(&args.remove, context, &session)?;
    if let Some(file) = &args.prove {
        prove(context, &session, &args.remove.name, file)?;
    }
    let args = &args.remove;
    context.ledgers.detail("keyholder", args.name.clone());
    let seed =
        rewrap::change(context, &mut session, PolicyChange { authority: Authority::Revocation, ..wanted })?;
    let forget = (!args.keep_old).then_some(Authority::Harmless);
    let done = rewrap::rewrap(context, &mut session, Some(seed), forget)?;
    if !done.locked.is_empty() {
        changes::propose(context, &session, What::Forget { holder: Some(args.name.clone()) })?;
    }
    let session = Session::open_quietly(context, ReasonCode::Admin)?;
    let mut failed = Vec::new();
    let mut first = None;
    for dataset in &session.vault.keyring().datasets {
        match rotate(context, &session, &dataset.name) {
            Ok(number) => told(context, &dataset.name, number)?,
            Err(error) => {
                failed.push(dataset.name.as_str());
                first.get_or_insert(error);
            }
        }
    }
    context.messages.note(&format!(
        "this was a revocation: `{name}` opens nothing that is stored from now on, and no key as it is wrapped now. What \
         was stored before stays readable for whoever kept a key that `{name}` opened, or an old copy of the vault's documents",
        name = args.name
    ));
    match first {
        None => Ok(()),
        Some(error) => Err(CliError::new(
            ErrorKind::Problems,
            format!(
                "`{}` is revoked, but backups of {} still seal to the old read key: {error}",
                args.name,
                failed.join(", ")
            ),
        )
        .hint("`strongroom key rotate --dataset NAME` opens an epoch where the write key is at hand")),
    }
}

fn rotate(context: &Context, vault: &Session, dataset: &str) -> Result<u32, CliError> {
    let location = context.settings.require_location()?;
    let runtime = vault.runtime().clone();
    let session = Session::open_at(context, location, dataset, ReasonCode::Admin, runtime)?;
    let handle = session.write()?;
    Ok(session.block_on(session.vault.rotate(&handle, &session.custody, &session.reason))?)
}

fn told(context: &Context, dataset: &str, epoch: u32) -> Result<(), CliError> {
    if context.output.is_json() {
        return context.output.json(&serde_json::json!({
            "message_type": "epoch_opened", "dataset": dataset, "epoch": epoch,
        }));
    }
    context.output.line(&format!("Opened epoch {epoch} of dataset {dataset}, which it never held"))
}
