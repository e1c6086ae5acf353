//! Key uses: an intent and its outcome become one.

use jiff::Timestamp;
use std::collections::BTreeMap;
use strongroom_ledger::{
    entry::{Entry, KeyContext, OperationId, Outcome, OutcomeResult, Phase, Verb},
    sha256_hex,
};

/// One attempt of one key use, as the ledger tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// The run of a program.
    pub operation: OperationId,
    /// Which key use of it.
    pub step: u32,
    /// Which attempt.
    pub attempt: u32,
    /// `wrap` or `unwrap`.
    pub verb: Verb,
    /// The keyholder's label.
    pub keyholder: String,
    /// Its kind, such as `aws-kms`.
    pub kind: String,
    /// The provider's name of the key, if the ledger tells it.
    pub key_id: Option<String>,
    /// What the key is for.
    pub context: KeyContext,
    /// The reason's code.
    pub reason: String,
    /// When it was intended, or ended where no intent was found.
    pub time: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How it ended; `None` where no outcome is there.
    pub outcome: Option<Outcome>,
    /// The intent's place in the ledger.
    pub intent_at: Option<u64>,
    /// The outcome's place in the ledger.
    pub outcome_at: Option<u64>,
}

impl KeyUse {
    /// Whether the keyholder is at a provider that has a trail.
    #[must_use]
    pub fn has_trail(&self) -> bool {
        matches!(self.kind.as_str(), "aws-kms" | "transit" | "gcp-kms" | "azure-key-vault")
    }

    /// The provider's id of the request.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.outcome.as_ref()?.request_id.as_deref()
    }

    /// Whether it worked.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.outcome.as_ref().is_some_and(|outcome| outcome.result == OutcomeResult::Success)
    }

    /// The class of its failure.
    #[must_use]
    pub fn class(&self) -> Option<&str> {
        self.outcome.as_ref()?.class.as_deref()
    }

    /// The pairs that the provider must have seen.
    #[must_use]
    pub fn pairs(&self) -> BTreeMap<String, String> {
        let context = &self.context;
        [
            ("strongroom:dataset", context.dataset.clone()),
            ("strongroom:epoch", context.epoch.to_string()),
            ("strongroom:purpose", context.purpose.clone()),
            ("strongroom:vault", context.vault.clone()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
    }

    /// The bytes that are associated data at other providers: lines of pairs.
    #[must_use]
    pub fn associated_data(&self) -> Vec<u8> {
        self.pairs().iter().map(|(key, value)| format!("{key}={value}\n")).collect::<String>().into_bytes()
    }

    /// Whether the context's hash is that of its fields.
    #[must_use]
    pub fn context_is_consistent(&self) -> bool {
        self.context.hash == sha256_hex(&self.associated_data())
    }
}

/// The key uses among entries, each with its place in the ledger. Events of vaults are passed over.
#[must_use]
pub fn key_uses<'a>(entries: impl IntoIterator<Item = (u64, &'a Entry)>) -> Vec<KeyUse> {
    let mut uses: BTreeMap<(OperationId, u32, u32, u64), KeyUse> = BTreeMap::new();
    for (place, entry) in entries {
        let (Some(context), Some(keyholder)) = (&entry.what.context, &entry.what.keyholder) else { continue };
        if entry.phase == Phase::Event {
            continue;
        }
        let fresh = || KeyUse {
            operation: entry.operation,
            step: entry.step,
            attempt: entry.attempt,
            verb: entry.what.verb,
            keyholder: keyholder.clone(),
            kind: entry.what.kind.clone().unwrap_or_default(),
            key_id: entry.what.key_id.clone(),
            context: context.clone(),
            reason: entry.why.code.as_str().to_owned(),
            time: entry.time.timestamp(),
            ended: None,
            outcome: None,
            intent_at: None,
            outcome_at: None,
        };
        let key = |copy| (entry.operation, entry.step, entry.attempt, copy);
        // An entry that repeats another one, or does not belong to the intent of its number, is a use of its own.
        let copy = (0..)
            .find(|copy| match uses.get(&key(*copy)) {
                None => true,
                Some(other) if entry.phase == Phase::Intent => {
                    other.intent_at.is_none() && agrees(other, entry)
                }
                Some(other) => other.outcome.is_none() && agrees(other, entry),
            })
            .unwrap_or(0);
        let key_use = uses.entry(key(copy)).or_insert_with(fresh);
        if entry.phase == Phase::Intent {
            key_use.intent_at = Some(place);
            key_use.time = entry.time.timestamp();
        } else {
            key_use.outcome_at = Some(place);
            key_use.ended = Some(entry.time.timestamp());
            key_use.outcome.clone_from(&entry.outcome);
        }
    }
    let mut uses: Vec<_> = uses.into_values().collect();
    uses.sort_by_key(|key_use| (key_use.time, key_use.operation, key_use.step, key_use.attempt));
    uses
}

fn agrees(key_use: &KeyUse, entry: &Entry) -> bool {
    let what = &entry.what;
    key_use.verb == what.verb
        && Some(&key_use.context) == what.context.as_ref()
        && Some(&key_use.keyholder) == what.keyholder.as_ref()
}
