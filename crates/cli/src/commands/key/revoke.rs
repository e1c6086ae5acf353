//! `strongroom key revoke`: a keyholder that nobody trusts any more opens nothing that is stored from now on.

use super::change::{self, RemoveArgs};
use super::{changes, rewrap};
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::session::Session;
use strongroom_custody::ReasonCode;
use strongroom_format::change::What;
use strongroom_vault::changes::Authority;
use strongroom_vault::keyring::PolicyChange;

/// Takes the keyholder out of the policies, wraps all keys without it, and opens a new epoch in every dataset.
///
/// # Errors
/// As [`change::remove`]; [`ErrorKind::Problems`] where it is out of the policies and a dataset has no new epoch yet.
pub(super) fn run(args: &RemoveArgs, context: &Context) -> Result<(), CliError> {
    let mut session = Session::open(context, ReasonCode::Admin)?;
    let wanted = change::without_holder(args, context, &session)?;
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
