//! Personal data: entries hold commitments, what they hide is kept apart and can be erased.
//!
//! A commitment is HMAC-SHA-256 under a random salt, so that nobody can guess names against it once the salt is gone.
//! The ledger can never be changed; the *opening*, which holds name and salt, lies beside it as
//! `openings/<commitment>` and may be deleted.

use crate::entry::parsed;
use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where openings lie.
pub const OPENINGS: &str = "openings/";

/// A hidden value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Commitment(pub [u8; 32]);

impl Commitment {
    /// Reads 64 hexadecimal digits in lower case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let decoded = text.len() == 64 && HEXLOWER.decode_mut(text.as_bytes(), &mut bytes).is_ok();
        decoded.then_some(Self(bytes))
    }

    /// The name of the object with its opening.
    #[must_use]
    pub fn opening_name(&self) -> String {
        format!("{OPENINGS}{self}")
    }
}

impl fmt::Display for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Commitment {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Commitment {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, "commitment", Self::parse)
    }
}

/// What kind of value is hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Field {
    /// A host's name.
    Host,
    /// A person.
    Human,
    /// A person's words.
    Words,
}

impl Field {
    fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Human => "human",
            Self::Words => "words",
        }
    }
}

/// What a commitment hides.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// What kind of value it is.
    pub field: Field,
    /// The value.
    pub value: String,
    salt: Commitment,
}

impl Opening {
    /// A value under a random salt.
    #[must_use]
    pub fn new(field: Field, value: impl Into<String>, salt: [u8; 32]) -> Self {
        Self { field, value: value.into(), salt: Commitment(salt) }
    }

    /// The commitment that entries hold.
    #[must_use]
    pub fn commitment(&self) -> Commitment {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.salt.0);
        let message = format!("strongroom ledger commitment v1\n{}\n{}", self.field.as_str(), self.value);
        let mut out = [0; 32];
        out.copy_from_slice(hmac::sign(&key, message.as_bytes()).as_ref());
        Commitment(out)
    }

    /// The bytes of the object with the opening.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json_canonicalizer::to_vec(self).unwrap_or_default()
    }

    /// Reads an opening; `None` where it does not open `commitment`.
    #[must_use]
    pub fn decode(bytes: &[u8], commitment: &Commitment) -> Option<Self> {
        let opening: Self = serde_json::from_slice(bytes).ok()?;
        (opening.commitment() == *commitment).then_some(opening)
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").field("field", &self.field).finish_non_exhaustive()
    }
}
