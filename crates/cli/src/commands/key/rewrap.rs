//! `strongroom key rewrap`: everything wrapped under the policies in force, without touching a pack.

use super::changes;
use crate::commands::Context;
use crate::error::CliError;
use crate::pins;
use crate::policies;
use crate::session::Session;
use clap::Args;
use strongroom_custody::ReasonCode;
use strongroom_format::Secret32;
use strongroom_format::change::What;
use strongroom_vault::changes::Authority;
use strongroom_vault::keyring::PolicyChange;
use strongroom_vault::rewrap::Rewrapped;

/// Options of `key rewrap`.
#[derive(Args, Clone, Debug)]
pub struct RewrapArgs {
    /// The new read policy
    #[arg(long, value_name = "POLICY")]
    pub read_policy: Option<String>,

    /// The new write policy
    #[arg(long, value_name = "POLICY")]
    pub write_policy: Option<String>,

    /// Change only this dataset; may be repeated [default: the vault and all its datasets]
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,

    /// Delete the documents from before, which the keyholders of before can open
    #[arg(long)]
    pub delete_old: bool,
}

/// Changes the policies where new ones are given, and wraps what is not wrapped under them.
///
/// # Errors
/// Where a policy makes no sense, custody refuses, or the storage fails. What is done stays done.
pub(super) fn run(args: &RewrapArgs, context: &Context) -> Result<(), CliError> {
    let mut session = Session::open(context, ReasonCode::Admin)?;
    let keyring = session.vault.keyring();
    let read = |text: &Option<String>| {
        let known = keyring.keyholders.keys().map(String::as_str);
        text.as_ref().map(|text| policies::read(context, text, known)).transpose()
    };
    let policy = PolicyChange {
        read_policy: read(&args.read_policy)?,
        write_policy: read(&args.write_policy)?,
        datasets: (!args.only.is_empty()).then(|| args.only.clone()),
        ..PolicyChange::default()
    };
    let seed = match policy.read_policy.is_some() || policy.write_policy.is_some() {
        true => match change_or_propose(context, &mut session, policy, args.delete_old)? {
            Some(seed) => Some(seed),
            None => return Ok(()),
        },
        false => None,
    };
    let done = rewrap(context, &mut session, seed, args.delete_old.then_some(Authority::Harmless))?;
    if !done.locked.is_empty() {
        changes::propose(context, &session, What::Forget { holder: None })?;
    }
    Ok(())
}

/// Makes a change of policy the one in force and returns the seed of the signing key; where it must wait, proposes it
/// and returns nothing.
pub(super) fn change_or_propose(
    context: &Context,
    session: &mut Session,
    wanted: PolicyChange,
    delete_old: bool,
) -> Result<Option<Secret32>, CliError> {
    match change(context, session, wanted.clone()) {
        Ok(seed) => Ok(Some(seed)),
        Err(error) if changes::must_wait(context, &error) => {
            changes::propose(context, session, changes::policies(&wanted, delete_old))?;
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Tells each epoch that is wrapped again.
pub(super) fn told(context: &Context) -> impl Fn(&str, u32) + Send + Sync {
    |dataset: &str, epoch: u32| {
        context.messages.detail(&format!("wrapped the read key of dataset {dataset}, epoch {epoch}"));
    }
}

/// Makes a change of policy the one in force; returns the seed of the signing key.
pub(super) fn change(
    context: &Context,
    session: &mut Session,
    change: PolicyChange,
) -> Result<Secret32, CliError> {
    let (custody, reason, runtime) =
        (session.custody.clone(), session.reason.clone(), session.runtime().clone());
    let seed = runtime.block_on(session.vault.change_policy(change, &custody, &reason))?;
    pins::remember(context, session.vault.store().as_ref(), &session.vault.pin());
    Ok(seed)
}

/// Wraps what is not wrapped under the policies in force, and tells what was done.
pub(super) fn rewrap(
    context: &Context,
    session: &mut Session,
    seed: Option<Secret32>,
    forget: Option<Authority>,
) -> Result<Rewrapped, CliError> {
    let (custody, reason, runtime) =
        (session.custody.clone(), session.reason.clone(), session.runtime().clone());
    let told = told(context);
    let done = runtime.block_on(session.vault.rewrap(&custody, &reason, seed, forget, &told))?;
    pins::remember(context, session.vault.store().as_ref(), &session.vault.pin());
    let keyring = session.vault.keyring();
    if context.output.is_json() {
        context.output.json(&serde_json::json!({
            "message_type": "rewrapped",
            "keyring": keyring.version,
            "epochs": done.epochs,
            "keys": done.others,
            "removed": done.removed,
            "deleted": done.deleted.len(),
            "locked": done.locked,
            "kept": done.kept,
            "read_policy": keyring.read_policy.to_string(),
            "write_policy": keyring.write_policy.to_string(),
        }))?;
    } else {
        let output = &context.output;
        output.line(&format!("read policy    {}", keyring.read_policy))?;
        output.line(&format!("write policy   {}", keyring.write_policy))?;
        output
            .line(&format!("Keyring version {}; wrapped again: {} epochs", keyring.version, done.epochs))?;
        if !done.removed.is_empty() {
            output.line(&format!("Removed, because nothing names them: {}", done.removed.join(", ")))?;
        }
    }
    if !done.kept.is_empty() {
        context.messages.warn(&format!(
            "{} documents from before are still in the vault, because the storage would not delete them: who held \
             the keys before can open what they hold; the first is {}",
            done.kept.len(),
            done.kept.first().map_or("", String::as_str)
        ));
    }
    if !done.locked.is_empty() {
        context.messages.note(&format!(
            "{} documents from before stay for now: keyholders can open them who can open nothing else",
            done.locked.len()
        ));
    }
    Ok(done)
}
