//! Entries: what is said of one key use, or of one act on a vault.
//!
//! In scope: their fields, their canonical JSON (RFC 8785), their limits. Out of scope: where they are kept, and what
//! of them others confirm.
//!
//! An entry never holds a secret, nor personal data in the clear: see [`crate::personal`].

mod canonical;
mod fields;

pub(crate) use fields::parsed;
pub use fields::{
    Code, Decision, KeyContext, OperationId, Outcome, Phase, Result as OutcomeResult, SpoolMark, Ticket,
    Time, Verb, Verdict, What, Who, Why,
};

use crate::limits::ENTRY_MAX;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The schema that this program writes.
pub const SCHEMA: &str = "strongroom.ledger/1";

/// An entry that cannot be written or read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EntryError {
    /// It is too long.
    #[error("the entry has {0} bytes, more than {ENTRY_MAX}")]
    TooLong(usize),
    /// Its fields are not those of an entry.
    #[error("the entry is malformed: {0}")]
    Malformed(String),
    /// It is not in the form of RFC 8785.
    #[error("the entry is not in canonical form")]
    NotCanonical,
    /// A later schema.
    #[error("the entry has the schema `{0}`, which this program does not know")]
    Schema(String),
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// [`SCHEMA`].
    pub schema: String,
    /// Before, after, or neither.
    pub phase: Phase,
    /// What belongs together: the intents and outcomes of one run of a program.
    pub operation: OperationId,
    /// When, by the clock of the host.
    pub time: Time,
    /// Who.
    pub who: Who,
    /// What.
    pub what: What,
    /// Why.
    pub why: Why,
    /// Under which decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// Which key use of the operation, from 1: an outcome repeats its intent's. 0 for events.
    pub step: u32,
    /// Which attempt of the key use, from 1. 0 for events.
    pub attempt: u32,
    /// How it ended; absent in intents only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Set where it was kept in a spool first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spooled: Option<SpoolMark>,
}

impl Entry {
    /// Its bytes.
    ///
    /// # Errors
    /// [`EntryError`]; nothing is encoded that could not be decoded.
    pub fn encode(&self) -> std::result::Result<Vec<u8>, EntryError> {
        self.check()?;
        let malformed = |error: serde_json::Error| EntryError::Malformed(error.to_string());
        let bytes = serde_json_canonicalizer::to_vec(self).map_err(malformed)?;
        if bytes.len() > ENTRY_MAX {
            return Err(EntryError::TooLong(bytes.len()));
        }
        Ok(bytes)
    }

    /// Reads an entry.
    ///
    /// # Errors
    /// [`EntryError`].
    pub fn decode(bytes: &[u8]) -> std::result::Result<Self, EntryError> {
        #[derive(Deserialize)]
        struct Schema {
            schema: String,
        }
        if bytes.len() > ENTRY_MAX {
            return Err(EntryError::TooLong(bytes.len()));
        }
        let entry: Self = match serde_json::from_slice(bytes) {
            Ok(entry) => entry,
            Err(error) => {
                return Err(match serde_json::from_slice::<Schema>(bytes) {
                    Ok(Schema { schema }) if schema != SCHEMA => EntryError::Schema(schema),
                    _ => EntryError::Malformed(error.to_string()),
                });
            }
        };
        if entry.schema != SCHEMA {
            return Err(EntryError::Schema(entry.schema));
        }
        entry.check()?;
        // Fields are read from their canonical text only, so canonical JSON is all that is left to check.
        if canonical::is_plainly_canonical(bytes) || entry.encode()? == bytes {
            Ok(entry)
        } else {
            Err(EntryError::NotCanonical)
        }
    }

    fn check(&self) -> std::result::Result<(), EntryError> {
        let malformed = |what: &str| Err(EntryError::Malformed(what.to_owned()));
        let key_use = self.phase != Phase::Event;
        if key_use != self.what.verb.is_key_use() {
            return malformed("intents and outcomes are of key uses, and events are not");
        }
        if key_use && (self.what.keyholder.is_none() || self.what.context.is_none()) {
            return malformed("a key use names its keyholder and its context");
        }
        if key_use != (self.attempt > 0) || key_use != (self.step > 0) {
            return malformed("steps and attempts count from 1 in key uses, and are 0 in events");
        }
        if self.outcome.is_none() != (self.phase == Phase::Intent) {
            return malformed("all but intents have an outcome");
        }
        Ok(())
    }
}
