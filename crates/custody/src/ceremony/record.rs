//! The record of a ceremony: a text file of JSON lines, each with the hash of the line before, without any secret.
//!
//! The first line says what was made and who got which share. Every later step adds one. A line that is changed or
//! cut out breaks the chain; the last lines can be cut off, so that custodians keep the hash of the newest.

use super::{
    challenge::Challenge,
    material::{CeremonyError, Fingerprint, MaterialKind},
    shares::Share,
};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

/// Longest record that is read, in bytes.
const RECORD_MAX: usize = 4 << 20;

/// A custodian, and what he got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Custodian {
    /// His name.
    pub name: String,
    /// The index of his share.
    pub share: u8,
    /// [`share_digest`] of his share.
    pub digest: String,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "lowercase")]
pub enum Step {
    /// Material was made and split.
    Generated {
        /// The id in the shares, in hexadecimal.
        ceremony: String,
        /// What kind of key.
        kind: MaterialKind,
        /// Which key.
        fingerprint: Fingerprint,
        /// How many shares give it back.
        threshold: u8,
        /// Who has them.
        custodians: Vec<Custodian>,
        /// The public half of an RSA key, DER in base64.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        public_key: Option<String>,
    },
    /// Material was put together and wrapped for a provider.
    Wrapped {
        /// The provider's key.
        key: String,
        /// How.
        algorithm: String,
        /// The BLAKE3 hash of the wrapping key, in hexadecimal.
        wrapping_key: String,
        /// The custodians who brought their shares.
        custodians: Vec<String>,
    },
    /// The provider took the material.
    Imported {
        /// The provider's key.
        key: String,
        /// What the provider calls the material, where it does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        material_id: Option<String>,
        /// The id of the request in the provider's log.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<String>,
        /// What the provider encrypted then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        challenge: Option<Challenge>,
    },
    /// The provider's key was shown to be the material.
    Verified {
        /// The provider's key.
        key: String,
        /// How, in words.
        proof: String,
    },
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When: RFC 3339, UTC.
    pub time: String,
    /// The hash of the line before, in hexadecimal; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// What was done.
    #[serde(flatten)]
    pub step: Step,
}

/// A whole record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    entries: Vec<Entry>,
    last: Option<String>,
}

/// What a custodian's share is known by: BLAKE3 of its bytes with a context of its own, in hexadecimal.
#[must_use]
pub fn share_digest(share: &Share) -> String {
    HEXLOWER.encode(&blake3::derive_key("strongroom v1 ceremony share", &share.encode()))
}

impl Record {
    /// A record in which nothing stands yet.
    #[must_use]
    pub fn new() -> Self {
        Self { entries: Vec::new(), last: None }
    }

    /// Reads a record and checks its chain.
    ///
    /// # Errors
    /// [`CeremonyError::Record`].
    pub fn parse(text: &str) -> Result<Self, CeremonyError> {
        let wrong = |line, what: &str| CeremonyError::Record { line, what: what.to_owned() };
        if text.len() > RECORD_MAX {
            return Err(wrong(1, "the record is too large"));
        }
        let mut record = Self::new();
        for (number, line) in (1..).zip(text.lines()) {
            let entry: Entry = serde_json::from_str(line)
                .map_err(|error| wrong(number, &format!("it is no step of a ceremony: {error}")))?;
            if entry.previous != record.last {
                return Err(wrong(
                    number,
                    "it does not follow the line before, which was changed or cut out",
                ));
            }
            if matches!(entry.step, Step::Generated { .. }) != (number == 1) {
                return Err(wrong(number, "the first line, and only the first, says what was made"));
            }
            record.last = Some(hash(line));
            record.entries.push(entry);
        }
        if record.entries.is_empty() { Err(wrong(1, "the record is empty")) } else { Ok(record) }
    }

    /// Adds a step, and gives the line to write, with its line feed.
    ///
    /// # Errors
    /// [`CeremonyError::Library`] where it cannot be written as JSON.
    pub fn add(&mut self, time: String, step: Step) -> Result<String, CeremonyError> {
        let entry = Entry { time, previous: self.last.clone(), step };
        let line = serde_json::to_string(&entry)
            .map_err(|_| CeremonyError::Library("a step is not written as JSON"))?;
        self.last = Some(hash(&line));
        self.entries.push(entry);
        Ok(line + "\n")
    }

    /// The steps, the oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The hash of the newest line: whoever knows it sees whether lines were cut off.
    #[must_use]
    pub fn head(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// The newest challenge of a provider's key.
    #[must_use]
    pub fn challenge(&self, of: &str) -> Option<&Challenge> {
        self.entries.iter().rev().find_map(|entry| match &entry.step {
            Step::Imported { key, challenge: Some(challenge), .. } if key == of => Some(challenge),
            _ => None,
        })
    }
}

impl Default for Record {
    fn default() -> Self {
        Self::new()
    }
}

fn hash(line: &str) -> String {
    blake3::hash(line.as_bytes()).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ceremony::{Material, split};
    use strongroom_format::SystemEntropy;

    fn written() -> (Record, Vec<String>) {
        let material = Material::generate(MaterialKind::Aes256, &mut SystemEntropy).unwrap();
        let shares = split(material.expose(), 2, 3, &mut SystemEntropy).unwrap();
        let custodians = shares.iter().map(|share| Custodian {
            name: format!("custodian-{}", share.index()),
            share: share.index(),
            digest: share_digest(share),
        });
        let mut record = Record::new();
        let time = || "2026-03-01T12:00:00Z".to_owned();
        let made = Step::Generated {
            ceremony: HEXLOWER.encode(shares[0].ceremony()),
            kind: MaterialKind::Aes256,
            fingerprint: material.fingerprint(),
            threshold: 2,
            custodians: custodians.collect(),
            public_key: None,
        };
        let challenge = Challenge::new(b"x", "vault:v1:AAAA".into());
        let imported = Step::Imported {
            key: "transit:https://host/k".into(),
            material_id: None,
            request_id: Some("r".into()),
            challenge: Some(challenge),
        };
        let verified = Step::Verified { key: "transit:https://host/k".into(), proof: "words".into() };
        let lines = [made, imported, verified].map(|step| record.add(time(), step).unwrap());
        (record, lines.to_vec())
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let (record, lines) = written();
        let read = Record::parse(&lines.concat()).unwrap();
        assert_eq!(read, record);
        assert!(read.challenge("transit:https://host/k").is_some());
        assert!(read.challenge("transit:https://host/other").is_none());
    }

    #[test]
    fn changed_missing_and_swapped_lines_are_found() {
        let (_, lines) = written();
        let problem = |text: &str| match Record::parse(text) {
            Err(CeremonyError::Record { line, .. }) => line,
            other => panic!("{other:?}"),
        };
        assert_eq!(problem(&lines.concat().replace("custodian-1", "custodian-9")), 2);
        assert_eq!(problem(&[&lines[0], &lines[2]].map(String::as_str).concat()), 2);
        assert_eq!(problem(&lines[1..].concat()), 1);
        assert_eq!(problem(&[&lines[0], &lines[0]].map(String::as_str).concat()), 2);
        assert_eq!(problem(""), 1);
        assert_eq!(problem("{}"), 1);
        assert_eq!(problem(&"x".repeat(RECORD_MAX + 1)), 1);
    }
}
