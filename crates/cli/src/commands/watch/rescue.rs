//! Bringing back a key of AWS KMS that somebody schedules for deletion or disables.

use super::blast::holders_of;
use crate::commands::Context;
use crate::commands::ledger::source::{IdentityArgs, Source};
use crate::commands::ledger::verify::verified;
use crate::error::CliError;
use crate::{keys, ledger, session};
use jiff::SignedDuration;
use serde::Serialize;
use strongroom_custody::ReasonCode;
use strongroom_custody::holders::aws_kms::{self, AwsKmsKeyholder};
use strongroom_format::keyring::Keyring;
use strongroom_ledger::entry::{Entry, OutcomeResult, Verb, What};
use strongroom_trail::event::{Event, Provider};
use tokio::runtime::Runtime;

/// How far an entry about a suspension may be from the event of it.
const NEAR: SignedDuration = SignedDuration::from_mins(15);

/// What was done about an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Rescue {
    /// Whether the key is usable again.
    pub(super) done: bool,
    /// Whether the ledger tells of it.
    pub(super) recorded: bool,
    /// In words.
    pub(super) said: String,
}

/// Answers an event; `None` where it is none that can be answered.
pub(super) fn answer(
    context: &Context,
    runtime: &Runtime,
    keyring: &Keyring,
    event: &Event,
) -> Option<Rescue> {
    let is_attack = matches!(event.name.as_str(), "ScheduleKeyDeletion" | "DisableKey");
    if event.provider != Provider::Aws || event.failed() || !is_attack {
        return None;
    }
    let key = event.key()?;
    let holders = holders_of(&keyring.keyholders, key);
    let label = holders.into_iter().find(|label| keyring.keyholders[*label].kind == aws_kms::KIND)?;
    if event.name == "DisableKey" {
        match is_ours(context, event) {
            Ok(false) => {}
            Ok(true) => {
                let said = "left as it is: `strongroom key suspend` disabled it".to_owned();
                return Some(Rescue { done: false, recorded: true, said });
            }
            // Who cannot know acts: a key that is enabled again can be suspended again.
            Err(error) => context.messages.warn(&format!("the ledger does not say who disabled it: {error}")),
        }
    }
    let secrets = keys::secrets(context, &keyring.vault, &keyring.keyholders);
    let holder = AwsKmsKeyholder::new(label, &keyring.keyholders[label], &secrets);
    let ended = holder.and_then(|holder| runtime.block_on(holder.rescue(key)));
    let (done, mut said, result) = match &ended {
        Ok(rescued) => {
            let done = match (rescued.cancelled, rescued.enabled) {
                (true, _) => "the deletion was cancelled, and the key enabled",
                (false, true) => "the key was enabled",
                (false, false) => "the key needed nothing",
            };
            (true, done.to_owned(), (OutcomeResult::Success, None))
        }
        Err(error) => (
            false,
            format!("the key could not be brought back: {error}"),
            (OutcomeResult::Failed, Some("rescue".to_owned())),
        ),
    };
    let mut what = What::new(Verb::Resume);
    what.keyholder = Some(label.to_owned());
    what.kind = Some(aws_kms::KIND.to_owned());
    what.key_id = Some(key.to_owned());
    what.vault = Some(keyring.vault.to_hex());
    what.details.insert("event".into(), event.id.clone());
    what.details.insert("answers".into(), event.name.clone());
    let recorded = record(context, runtime, what, result);
    if let Err(error) = &recorded {
        said = format!("{said}; the ledger could not be written: {error}");
    }
    Some(Rescue { done, recorded: recorded.is_ok(), said })
}

fn record(
    context: &Context,
    runtime: &Runtime,
    what: What,
    result: (OutcomeResult, Option<String>),
) -> Result<(), CliError> {
    let location = context.settings.require_location()?;
    let reason = session::reason(context, ReasonCode::Admin);
    ledger::record(context, runtime, location, what, &reason, result)
}

/// Whether the verified ledger has a suspension at this time, by the operation that the event carries. The id alone
/// proves nothing: anybody can write it.
fn is_ours(context: &Context, event: &Event) -> Result<bool, CliError> {
    let Some(hint) = &event.operation_hint else { return Ok(false) };
    let source = Source::open(context, &IdentityArgs { keys: Vec::new() })?;
    let head = verified(&source, context)?;
    let mut found = false;
    source.block_on(source.reader.walk(&head, |_, bytes| {
        found |= Entry::decode(bytes).is_ok_and(|entry| {
            matches!(entry.what.verb, Verb::Suspend | Verb::Drill)
                && entry.operation.to_string() == *hint
                && entry.time.timestamp().duration_since(event.time).abs() <= NEAR
        });
    }))?;
    Ok(found)
}
