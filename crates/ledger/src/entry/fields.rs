//! The fields of entries.

use crate::personal::Commitment;
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use std::{collections::BTreeMap, fmt};

/// Whether an entry speaks of what will be, or of what was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// An act on a vault, such as a backup.
    Event,
    /// A keyholder is about to be called.
    Intent,
    /// A keyholder was called.
    Outcome,
}

/// The id of an operation: a UUID, version 7 (RFC 9562).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(pub [u8; 16]);

impl OperationId {
    /// An id made at `time`, in milliseconds since 1970, with ten random bytes.
    #[must_use]
    pub fn new(time: u64, random: [u8; 10]) -> Self {
        let mut id = [0; 16];
        id[..6].copy_from_slice(&time.to_be_bytes()[2..]);
        id[6..].copy_from_slice(&random);
        id[6] = 0x70 | (id[6] & 0x0f);
        id[8] = 0x80 | (id[8] & 0x3f);
        Self(id)
    }

    /// Reads the usual form in lower case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
        let (mut digits, mut filled) = ([0; 32], 0);
        let mut groups = text.split('-');
        for length in GROUPS {
            let group = groups.next().filter(|group| group.len() == length)?;
            digits[filled..filled + length].copy_from_slice(group.as_bytes());
            filled += length;
        }
        let mut id = Self([0; 16]);
        let decoded = groups.next().is_none() && HEXLOWER.decode_mut(&digits, &mut id.0).is_ok();
        decoded.then_some(id)
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = HEXLOWER.encode(&self.0);
        write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

impl Serialize for OperationId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result2<S> {
        serializer.collect_str(self)
    }
}

type Result2<S> = std::result::Result<<S as serde::Serializer>::Ok, <S as serde::Serializer>::Error>;

pub(crate) fn parsed<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    what: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> std::result::Result<T, D::Error> {
    deserializer.deserialize_str(Parsed { what, parse })
}

/// Reads a text in place: entries are many.
struct Parsed<'a, F> {
    what: &'a str,
    parse: F,
}

impl<T, F: FnOnce(&str) -> Option<T>> serde::de::Visitor<'_> for Parsed<'_, F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {}", self.what)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<T, E> {
        (self.parse)(text).ok_or_else(|| E::custom(format!("`{}` is no {}", text.escape_debug(), self.what)))
    }
}

impl<'de> Deserialize<'de> for OperationId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        parsed(deserializer, "operation id", Self::parse)
    }
}

/// A time in UTC with microseconds, such as `2026-03-01T12:00:00.000000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Timestamp);

impl Time {
    /// A time, cut to microseconds.
    #[must_use]
    pub fn new(time: Timestamp) -> Self {
        Self(Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time))
    }

    /// The same as a timestamp.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        self.0
    }

    fn parse(text: &str) -> Option<Self> {
        const SHAPE: &[u8; 27] = b"dddd-dd-ddTdd:dd:dd.ddddddZ";
        let is_shaped = text.len() == SHAPE.len()
            && text.bytes().zip(SHAPE).all(|(byte, shape)| match shape {
                b'd' => byte.is_ascii_digit(),
                shape => byte == *shape,
            });
        // A leap second would be read as the one before it, and printed as such.
        (is_shaped && &text[17..19] != "60").then(|| text.parse().ok().map(Self::new)).flatten()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}", self.0)
    }
}

impl Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result2<S> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        parsed(deserializer, "time in UTC with microseconds", Self::parse)
    }
}

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Who {
    /// The person, hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub human: Option<Commitment>,
    /// The workload, such as a service's name; not personal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// The host, hidden: its name may tell whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Commitment>,
    /// The program and its version.
    pub program: String,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// A custodian approves a request, or refuses it.
    Approve,
    /// A backup.
    Backup,
    /// A check that reads what was backed up.
    Check,
    /// Snapshots are copied to another vault.
    Copy,
    /// A rehearsal of recovery.
    Drill,
    /// Snapshots are forgotten.
    Forget,
    /// A vault or a dataset is made.
    Init,
    /// Spooled entries are merged.
    Merge,
    /// A snapshot is mounted.
    Mount,
    /// A policy changes.
    Policy,
    /// What nothing refers to is removed.
    Prune,
    /// A restore.
    Restore,
    /// A suspended key is enabled again.
    Resume,
    /// A keyholder leaves the policies.
    Revoke,
    /// Keys are wrapped anew.
    Rewrap,
    /// A new epoch or a new key.
    Rotate,
    /// Wrapped keys are destroyed.
    Shred,
    /// A key is disabled at its provider.
    Suspend,
    /// A keyholder opens a key.
    Unwrap,
    /// A keyholder wraps a key.
    Wrap,
}

impl Verb {
    /// Whether a keyholder is called.
    #[must_use]
    pub fn is_key_use(self) -> bool {
        matches!(self, Self::Unwrap | Self::Wrap)
    }
}

/// What a wrapped key is for: what its provider sees, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyContext {
    /// SHA-256 of the canonical context, in hexadecimal.
    pub hash: String,
    /// The vault's id.
    pub vault: String,
    /// The dataset's name.
    pub dataset: String,
    /// `read` or `write`.
    pub purpose: String,
    /// The epoch; 0 where there is none.
    pub epoch: u32,
}

/// What is acted on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct What {
    /// The act.
    pub verb: Verb,
    /// The keyholder's label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyholder: Option<String>,
    /// The keyholder's kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The provider's name of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// What the key is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<KeyContext>,
    /// The vault, where no context names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault: Option<String>,
    /// The dataset, where no context names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// What else belongs to it, such as the ids of snapshots. Nothing personal.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}

impl What {
    /// An act, of which nothing more is said yet.
    #[must_use]
    pub fn new(verb: Verb) -> Self {
        Self {
            verb,
            keyholder: None,
            kind: None,
            key_id: None,
            context: None,
            vault: None,
            dataset: None,
            details: BTreeMap::new(),
        }
    }

    /// The dataset that it is about.
    #[must_use]
    pub fn dataset(&self) -> Option<&str> {
        self.context.as_ref().map(|context| context.dataset.as_str()).or(self.dataset.as_deref())
    }
}

/// A reason's code: capitals, digits and underscores, such as `SCHEDULED_BACKUP`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Code(String);

impl Code {
    /// Reads it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let ok = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        ((1..=64).contains(&text.len()) && text.chars().all(ok)).then(|| Self(text.to_owned()))
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        parsed(deserializer, "reason code", Self::parse)
    }
}

/// A ticket's number: 1 to 64 letters, digits and `# . / _ -`, with a digit among them. What has spaces is words,
/// and words are hidden.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Ticket(String);

impl Ticket {
    /// Reads it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let ok = |c: char| c.is_ascii_alphanumeric() || "#./_-".contains(c);
        let has_digit = text.chars().any(|c| c.is_ascii_digit());
        ((1..=64).contains(&text.len()) && has_digit && text.chars().all(ok)).then(|| Self(text.to_owned()))
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Ticket {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        parsed(deserializer, "ticket", Self::parse)
    }
}

/// Why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Why {
    /// The kind of work.
    pub code: Code,
    /// The ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<Ticket>,
    /// What a person said, hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Commitment>,
}

/// What a policy said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It may be done.
    Allowed,
    /// It may not.
    Denied,
}

/// The decision under which something is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// The policy, as the keyring writes it.
    pub policy: String,
    /// The version of the keyring that holds it; 0 where there is none yet.
    pub keyring: u32,
    /// What it said.
    pub verdict: Verdict,
    /// Who approved, hidden.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Commitment>,
}

/// How something ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Result {
    /// It did not work.
    Failed,
    /// Finished, with problems.
    Partial,
    /// It was refused.
    Refused,
    /// It was done.
    Success,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// In a word.
    pub result: Result,
    /// The class of a failure, such as `denied`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The provider's id of this attempt's request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// How long it took, in microseconds.
    pub duration_us: u64,
}

/// Where an entry was before it was merged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpoolMark {
    /// The spool's id, in hexadecimal.
    pub spool: String,
    /// Its place in the spool, from 0.
    pub sequence: u64,
    /// The SHA-256 of the record before it, in hexadecimal.
    pub previous: String,
    /// The key that signed it there, a vkey.
    pub key: String,
    /// The signature, in Base64.
    pub signature: String,
}
