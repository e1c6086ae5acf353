//! What a wrapped key is for: the context that every wrap binds and every unwrap repeats `[V-4.1]`.

use crate::ids::VaultId;

/// What a key may be used for. Every wrapped key has exactly one purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Opens what was backed up.
    Read,
    /// Writes backups; opens index, references and snapshot headers.
    Write,
}

impl Purpose {
    /// `read` or `write`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

impl std::fmt::Display for Purpose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The dataset name in the context of a key that belongs to the whole vault.
pub const WHOLE_VAULT: &str = "*";

/// The authenticated context of one wrapped key, identical at wrap and unwrap `[V-4.1]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Context {
    /// The vault.
    pub vault: VaultId,
    /// The dataset's name, or [`WHOLE_VAULT`].
    pub dataset: String,
    /// What the key is for.
    pub purpose: Purpose,
    /// The epoch of a read key; 0 for keys that have none.
    pub epoch: u32,
}

impl Context {
    /// The four pairs, in ascending order of their keys: the AWS encryption context, for example.
    #[must_use]
    pub fn pairs(&self) -> [(&'static str, String); 4] {
        [
            ("strongroom:dataset", self.dataset.clone()),
            ("strongroom:epoch", self.epoch.to_string()),
            ("strongroom:purpose", self.purpose.to_string()),
            ("strongroom:vault", self.vault.to_hex()),
        ]
    }

    /// The bytes that are used as associated data: `key=value` lines in the order of [`Context::pairs`],
    /// each ended by a line feed. A dataset name holds neither `=` nor a line feed.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        self.pairs().iter().map(|(key, value)| format!("{key}={value}\n")).collect::<String>().into_bytes()
    }
}

/// Whether `name` can name a dataset or a keyholder: 1 to 64 of `a-z 0-9 . _ -`, starting with a letter or digit.
#[must_use]
pub fn valid_label(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
        && name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
}
