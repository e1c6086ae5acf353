//! `strongroom key changes`, `cancel`, `apply`, `certificate` and `time-lock`: dangerous changes wait, and any keyholder
//! can stop them.

use super::{rewrap, shred};
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::escape;
use crate::output::{Align, Table};
use crate::pins;
use crate::session::Session;
use crate::units;
use clap::Args;
use jiff::Timestamp;
use std::path::PathBuf;
use strongroom_custody::ReasonCode;
use strongroom_format::change::{Certificate, Change, Policies, RevocationProof, Shred, What};
use strongroom_vault::VaultError;
use strongroom_vault::changes::{ChangeError, Stage, Standing, Words};
use strongroom_vault::keyring::PolicyChange;

/// Digits of a change's id that are shown.
const SHOWN: usize = 12;

/// Options of `key cancel`.
#[derive(Args, Clone, Debug)]
pub struct CancelArgs {
    /// The first digits of the change's id
    #[arg(value_name = "ID")]
    pub id: String,

    /// Cancel as this keyholder [default: the first whose key is at hand]
    #[arg(long = "as", value_name = "NAME")]
    pub holder: Option<String>,
}

/// Options of `key apply`.
#[derive(Args, Clone, Debug)]
pub struct ApplyArgs {
    /// The first digits of the change's id
    #[arg(value_name = "ID")]
    pub id: String,

    /// Also write the signed certificate into this file
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Options of `key certificate`.
#[derive(Args, Clone, Debug)]
pub struct CertificateArgs {
    /// A file with the signed certificate, or with the proof of a revocation
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// The id of the vault, as it was written down when it was made
    #[arg(value_name = "VAULT-ID")]
    pub vault: String,
}

/// Options of `key time-lock`.
#[derive(Args, Clone, Debug)]
pub struct TimeLockArgs {
    /// How long dangerous changes wait, in hours; 0 for not at all
    #[arg(value_name = "HOURS", value_parser = clap::value_parser!(u32).range(0..=i64::from(strongroom_format::change::TIME_LOCK_MAX)))]
    pub hours: u32,
}

/// The id as people see it.
pub(super) fn short(standing: &Standing) -> String {
    standing.id.to_hex().chars().take(SHOWN).collect()
}

/// What a change does, in words.
pub(super) fn describe(what: &What) -> String {
    match what {
        What::Policy(Policies { add, read_policy, write_policy, datasets, .. }) => {
            let mut parts = Vec::new();
            if !add.is_empty() {
                parts.push(format!("add {}", add.keys().cloned().collect::<Vec<_>>().join(", ")));
            }
            for (name, policy) in [("read", read_policy), ("write", write_policy)] {
                if let Some(policy) = policy {
                    parts.push(format!("{name} policy becomes {policy}"));
                }
            }
            if let Some(datasets) = datasets {
                parts.push(format!("only for {}", datasets.join(", ")));
            }
            parts.join("; ")
        }
        What::Forget { holder: Some(holder) } => format!("delete what `{holder}` held"),
        What::Forget { holder: None } => "delete the documents from before the policies in force".to_owned(),
        What::TimeLock(hours) => format!("time lock becomes {hours} hours"),
        What::Shred(Shred::Vault) => "shred the whole vault".to_owned(),
        What::Shred(Shred::Dataset { name, .. }) => format!("shred dataset {name}"),
        What::Shred(Shred::Epochs { name, epochs, .. }) => {
            let epochs: Vec<String> = epochs.iter().map(u32::to_string).collect();
            format!("shred epochs {} of dataset {name}", epochs.join(", "))
        }
    }
}

fn stage_name(stage: &Stage) -> &'static str {
    match stage {
        Stage::Waiting => "waiting",
        Stage::Ripe => "ripe",
        Stage::Cancelled(_) => "cancelled",
        Stage::Done(_) => "done",
    }
}

fn json(message_type: &str, standing: &Standing) -> serde_json::Value {
    let Change { created, keyring, requester, reason, what, cancel, cannot_cancel, .. } = &standing.change;
    serde_json::json!({
        "message_type": message_type,
        "id": standing.id,
        "stage": stage_name(&standing.stage),
        "what": describe(what),
        "created": created,
        "ripe": standing.ripe,
        "keyring": keyring,
        "requester": requester,
        "reason": reason,
        "can_cancel": cancel.keys().collect::<Vec<_>>(),
        "cannot_cancel": cannot_cancel,
        "cancelled_by": match &standing.stage { Stage::Cancelled(by) => Some(&by.holder), _ => None },
    })
}

/// Proposes a change and says when it may be carried out, and who can stop it.
pub(super) fn propose(context: &Context, session: &Session, what: What) -> Result<Standing, CliError> {
    let words = Words {
        requester: format!("{}@{}", crate::whoami::user(), crate::whoami::host()),
        reason: context.settings.reason.as_ref().map_or(String::new(), |reason| reason.value.clone()),
    };
    let vault = &session.vault;
    let standing = session.block_on(vault.propose(what, words, &session.custody, &session.reason))?;
    if context.output.is_json() {
        context.output.json(&json("change_proposed", &standing))?;
        return Ok(standing);
    }
    let output = &context.output;
    let id = short(&standing);
    output.line(&format!("Proposed change {id}: {}", describe(&standing.change.what)))?;
    output.line(&format!("  from           {}", units::time(standing.ripe, &units::local_zone())))?;
    output.line(&format!("  carry it out   strongroom key apply {id}"))?;
    output.line(&format!(
        "  stop it        strongroom key cancel {id}, by {}",
        names(standing.change.cancel.keys())
    ))?;
    if !standing.change.cannot_cancel.is_empty() {
        let names = names(&standing.change.cannot_cancel);
        context
            .messages
            .warn(&format!("{names} cannot stop it, because nothing could be wrapped to them now"));
    }
    Ok(standing)
}

fn names<'a>(labels: impl IntoIterator<Item = &'a String>) -> String {
    labels.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// A change of policy as the document that waits.
pub(super) fn policies(change: &PolicyChange, delete_old: bool) -> What {
    let PolicyChange { add, read_policy, write_policy, datasets, .. } = change.clone();
    What::Policy(Policies { add, read_policy, write_policy, datasets, delete_old })
}

/// Whether an error says that a change must wait; it is told then.
pub(super) fn must_wait(context: &Context, error: &CliError) -> bool {
    let waits = error.kind() == ErrorKind::Locked;
    if waits {
        context.messages.note(error.message());
    }
    waits
}

/// Warns of every change that waits: whoever holds a key may want to stop it. How many they are.
pub(crate) fn warn_of_waiting(context: &Context, session: &Session) -> usize {
    let Ok((changes, _)) = session.block_on(session.vault.changes(Timestamp::now())) else { return 0 };
    let mut waiting = 0;
    for standing in &changes {
        let id = short(standing);
        let what = describe(&standing.change.what);
        let who = escape::text(&standing.change.requester);
        let when = match standing.stage {
            Stage::Waiting => format!("from {} on", units::time(standing.ripe, &units::local_zone())),
            Stage::Ripe => "now".to_owned(),
            _ => continue,
        };
        waiting += 1;
        context.messages.warn(&format!(
            "a change waits, proposed by {who}: {what}; it can be carried out {when}, and `strongroom key cancel {id}` stops it"
        ));
    }
    waiting
}

/// Lists the changes.
///
/// # Errors
/// [`ErrorKind::Problems`] where an object is no change; where the store fails.
pub(super) fn list(context: &Context) -> Result<(), CliError> {
    let session = Session::open_quietly(context, ReasonCode::Admin)?;
    let (changes, odd) = session.block_on(session.vault.changes(Timestamp::now()))?;
    if context.output.is_json() {
        for standing in &changes {
            context.output.json(&json("change", standing))?;
        }
    } else if changes.is_empty() {
        context.output.line("No change was ever proposed in this vault")?;
    } else {
        let zone = units::local_zone();
        let columns = ["Id", "Stage", "What", "By", "Why", "From"];
        let mut table = Table::new(&columns.map(|column| (column, Align::Left)));
        for standing in &changes {
            let stage = match &standing.stage {
                Stage::Cancelled(by) => format!("cancelled by {}", by.holder),
                other => stage_name(other).to_owned(),
            };
            table.row([
                short(standing),
                stage,
                describe(&standing.change.what),
                escape::text(&standing.change.requester),
                escape::text(&standing.change.reason),
                units::time(standing.ripe, &zone),
            ]);
        }
        context.output.table(&table)?;
    }
    match odd.as_slice() {
        [] => Ok(()),
        [first, ..] => Err(CliError::new(
            ErrorKind::Problems,
            format!("{} objects among the changes are none, or are damaged; the first is {first}", odd.len()),
        )),
    }
}

/// Cancels a change.
///
/// # Errors
/// Where it is over, the keyholder cannot cancel, or refuses.
pub(super) fn cancel(args: &CancelArgs, context: &Context) -> Result<(), CliError> {
    let session = Session::open_quietly(context, ReasonCode::Admin)?;
    let vault = &session.vault;
    let standing = session.block_on(vault.find_change(&args.id, Timestamp::now()))?;
    let why = context.settings.reason.as_ref().map_or("", |reason| reason.value.as_str());
    let holder = args.holder.as_deref();
    let done = session.block_on(vault.cancel(&standing, holder, why, &session.custody, &session.reason))?;
    if context.output.is_json() {
        return context.output.json(&serde_json::json!({
            "message_type": "change_cancelled", "id": standing.id, "by": done.holder,
        }));
    }
    context.output.line(&format!(
        "Cancelled change {} as `{}`: {}",
        short(&standing),
        done.holder,
        describe(&standing.change.what)
    ))
}

/// Carries out a change whose time has come.
///
/// # Errors
/// [`ErrorKind::Locked`] where it may not be carried out; where custody refuses or the storage fails.
pub(super) fn apply(args: &ApplyArgs, context: &Context) -> Result<(), CliError> {
    let mut session = Session::open_quietly(context, ReasonCode::Admin)?;
    let standing = session.block_on(session.vault.find_change(&args.id, Timestamp::now()))?;
    standing.may_proceed().map_err(VaultError::from)?;
    let certificate = match &standing.change.what {
        What::Shred(_) => shred::carry_out(context, &mut session, &standing)?,
        _ => {
            let (custody, reason, runtime) =
                (session.custody.clone(), session.reason.clone(), session.runtime().clone());
            let told = rewrap::told(context);
            runtime.block_on(session.vault.apply(&standing, &custody, &reason, &told))?
        }
    };
    if !matches!(standing.change.what, What::Shred(Shred::Vault)) {
        pins::remember(context, session.vault.store().as_ref(), &session.vault.pin());
    }
    if let Some(path) = &args.output {
        let name = strongroom_format::names::certificate(&standing.id);
        let limit = strongroom_format::limits::DOCUMENT_MAX as u64;
        let bytes = session.block_on(session.vault.store().get(&name, limit))?;
        crate::local_files::write_new(path, &bytes)?;
    }
    show_certificate(context, &certificate)
}

/// Verifies a certificate and shows it.
///
/// # Errors
/// [`ErrorKind::Damaged`] where it is not what that vault signed.
pub(super) fn certificate(args: &CertificateArgs, context: &Context) -> Result<(), CliError> {
    let vault = strongroom_format::VaultId::from_hex(&args.vault).ok_or_else(|| {
        CliError::new(ErrorKind::Usage, format!("`{}` is no vault id: it has 32 digits", args.vault))
    })?;
    let bytes = std::fs::read(&args.file).map_err(|error| CliError::file("read", &args.file, &error))?;
    if let Ok(proof) = RevocationProof::decode(&bytes, &vault) {
        return super::revoke::show_proof(context, &proof);
    }
    let certificate = Certificate::decode(&bytes, &vault)
        .map_err(|error| VaultError::format(args.file.display().to_string(), error))?;
    show_certificate(context, &certificate)
}

fn show_certificate(context: &Context, certificate: &Certificate) -> Result<(), CliError> {
    if context.output.is_json() {
        let mut value = serde_json::json!({"message_type": "certificate"});
        if let (Some(object), Ok(serde_json::Value::Object(fields))) =
            (value.as_object_mut(), serde_json::to_value(certificate))
        {
            object.extend(fields);
        }
        context.output.json(&value)?;
    } else {
        let output = &context.output;
        output.line(&format!("Done: {}", describe(&certificate.what)))?;
        output.line(&format!("  vault          {}", certificate.vault))?;
        output.line(&format!("  proposed       {}", certificate.proposed))?;
        output.line(&format!("  carried out    {}", certificate.done))?;
        output
            .line(&format!("  destroyed      {} documents that held wraps", certificate.destroyed.len()))?;
        if !certificate.snapshots.is_empty() {
            output
                .line(&format!("  snapshots      {} can no longer be read", certificate.snapshots.len()))?;
        }
    }
    if let Some(first) = certificate.kept.first() {
        return Err(CliError::new(
            ErrorKind::Problems,
            format!(
                "{} documents are still there, because the storage would not delete them; the first is {first}",
                certificate.kept.len()
            ),
        )
        .hint("what they wrap can still be opened: delete them by the storage's own means, older versions included"));
    }
    if matches!(certificate.what, What::Shred(_)) {
        context.messages.note(
            "what was copied elsewhere before, recovery kits and older versions that the storage keeps included, can \
             still be opened by its keyholders",
        );
    }
    Ok(())
}

/// Changes the time lock.
///
/// # Errors
/// Where custody refuses or the storage fails.
pub(super) fn time_lock(args: &TimeLockArgs, context: &Context) -> Result<(), CliError> {
    let mut session = Session::open(context, ReasonCode::Admin)?;
    let (custody, reason, runtime) =
        (session.custody.clone(), session.reason.clone(), session.runtime().clone());
    match runtime.block_on(session.vault.change_time_lock(args.hours, &custody, &reason)) {
        Err(VaultError::Change(ChangeError::Locked { .. })) => {
            propose(context, &session, What::TimeLock(args.hours))?;
            Ok(())
        }
        Err(error) => Err(error.into()),
        Ok(()) => {
            pins::remember(context, session.vault.store().as_ref(), &session.vault.pin());
            if context.output.is_json() {
                return context.output.json(&serde_json::json!({
                    "message_type": "time_lock", "hours": args.hours,
                }));
            }
            context.output.line(&format!("Dangerous changes now wait {} hours", args.hours))
        }
    }
}
