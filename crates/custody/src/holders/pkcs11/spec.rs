//! The public parameters of a keyholder of the kind `pkcs11`.

use super::KIND;
use crate::{
    holder::HolderError,
    holders::{known_parameters, text},
};
use data_encoding::HEXLOWER;
use std::{collections::BTreeMap, fmt};
use strongroom_format::keyring::{KeyholderSpec, Parameter};

/// Longest label of a token, in bytes: what PKCS#11 has room for.
const TOKEN_MAX: usize = 32;
/// Longest label of a key, in bytes.
const KEY_MAX: usize = 255;
/// Longest id of a key, in bytes.
const ID_MAX: usize = 64;
/// Longest hint at the module, in bytes.
const HINT_MAX: usize = 128;

/// How a key on a token wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrapMechanism {
    /// `CKM_AES_GCM`: the token seals the key, with the context as associated data.
    AesGcm,
    /// `CKM_AES_KEY_WRAP`, for tokens without GCM: the token wraps a fresh key, under which this program seals
    /// the key by AES-256-GCM, with the context as associated data.
    AesKw,
}

impl WrapMechanism {
    /// `aes-gcm` or `aes-kw`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AesGcm => "aes-gcm",
            Self::AesKw => "aes-kw",
        }
    }
}

impl fmt::Display for WrapMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// By what a key is found on its token: its label, its id, or both.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyName {
    /// `CKA_LABEL`: 1 to 255 bytes.
    pub label: Option<String>,
    /// `CKA_ID`: 1 to 64 bytes.
    pub id: Option<Vec<u8>>,
}

impl KeyName {
    /// By its label.
    #[must_use]
    pub fn label(label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), id: None }
    }

    /// By its id.
    #[must_use]
    pub fn id(id: impl Into<Vec<u8>>) -> Self {
        Self { label: None, id: Some(id.into()) }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.label, &self.id) {
            (Some(label), None) => write!(f, "`{label}`"),
            (Some(label), Some(id)) => write!(f, "`{label}` with id {}", HEXLOWER.encode(id)),
            (None, Some(id)) => write!(f, "with id {}", HEXLOWER.encode(id)),
            (None, None) => f.write_str("without a name"),
        }
    }
}

/// What a keyring says of one keyholder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) token: String,
    pub(super) key: KeyName,
    pub(super) mechanism: WrapMechanism,
    /// The file name of the module that it was described with. Shown to people, never loaded.
    pub(super) module: Option<String>,
}

impl Parameters {
    pub(super) fn read(spec: &KeyholderSpec) -> Result<Self, HolderError> {
        known_parameters(spec, &["key", "key_id", "mechanism", "module", "token"])?;
        let optional = |name: &str| match spec.parameters.contains_key(name) {
            true => text(spec, name).map(Some),
            false => Ok(None),
        };
        let id = match optional("key_id")? {
            None => None,
            Some(hex) => Some(HEXLOWER.decode(hex.as_bytes()).map_err(|_| {
                HolderError::Malformed("parameter `key_id` is not in lower-case hexadecimal".into())
            })?),
        };
        let mechanism = match text(spec, "mechanism")? {
            "aes-gcm" => WrapMechanism::AesGcm,
            "aes-kw" => WrapMechanism::AesKw,
            _ => {
                return Err(HolderError::Malformed(
                    "parameter `mechanism` is neither `aes-gcm` nor `aes-kw`".into(),
                ));
            }
        };
        let read = Self {
            token: text(spec, "token")?.to_owned(),
            key: KeyName { label: optional("key")?.map(str::to_owned), id },
            mechanism,
            module: optional("module")?.map(str::to_owned),
        };
        read.check()?;
        Ok(read)
    }

    /// Checks every rule, so that nothing odd reaches a token or a terminal.
    pub(super) fn check(&self) -> Result<(), HolderError> {
        let malformed = |what: String| Err(HolderError::Malformed(what));
        // PKCS#11 pads with spaces, so that one at the end would be lost.
        if !plain(&self.token, TOKEN_MAX) || self.token.ends_with(' ') {
            return malformed(format!(
                "a token's label is a text of 1 to {TOKEN_MAX} bytes, not ending in a space"
            ));
        }
        if self.key.label.is_none() && self.key.id.is_none() {
            return malformed("neither `key` nor `key_id` names the key".into());
        }
        if self.key.label.as_ref().is_some_and(|label| !plain(label, KEY_MAX)) {
            return malformed(format!("a key's label is a text of 1 to {KEY_MAX} bytes"));
        }
        if self.key.id.as_ref().is_some_and(|id| !(1..=ID_MAX).contains(&id.len())) {
            return malformed(format!("a key's id has 1 to {ID_MAX} bytes"));
        }
        if self.module.as_ref().is_some_and(|hint| !is_hint(hint)) {
            return malformed(
                "parameter `module` is no name of a library; a keyring never names a path".into(),
            );
        }
        Ok(())
    }

    pub(super) fn write(&self) -> KeyholderSpec {
        let text = |text: &str| Parameter::Text(text.to_owned());
        let mut parameters = BTreeMap::from([
            ("mechanism".to_owned(), text(self.mechanism.as_str())),
            ("token".to_owned(), text(&self.token)),
        ]);
        parameters.extend(self.key.label.as_deref().map(|label| ("key".to_owned(), text(label))));
        parameters.extend(self.key.id.as_ref().map(|id| ("key_id".to_owned(), text(&HEXLOWER.encode(id)))));
        parameters.extend(self.module.as_deref().map(|hint| ("module".to_owned(), text(hint))));
        KeyholderSpec { kind: KIND.into(), parameters }
    }
}

fn plain(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Whether `hint` can be the name of a library, without any folder.
pub(super) fn is_hint(hint: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+');
    (1..=HINT_MAX).contains(&hint.len()) && !hint.starts_with('.') && hint.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Parameters {
        Parameters {
            token: "backup keys".into(),
            key: KeyName { label: Some("vault-1".into()), id: Some(vec![1, 0xab]) },
            mechanism: WrapMechanism::AesGcm,
            module: Some("libsofthsm2.so".into()),
        }
    }

    fn with(name: &str, value: &str) -> Result<Parameters, HolderError> {
        let mut spec = good().write();
        spec.parameters.insert(name.into(), Parameter::Text(value.into()));
        Parameters::read(&spec)
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Parameters::read(&good().write()).unwrap(), good());
        let least = Parameters { key: KeyName::id([7]), module: None, ..good() };
        assert_eq!(Parameters::read(&least.write()).unwrap(), least);
        assert_eq!(good().key.to_string(), "`vault-1` with id 01ab");
    }

    #[test]
    fn a_keyring_names_no_path_and_no_odd_text() {
        for path in ["/tmp/evil.so", "../evil.so", "a/b.so", "..", ".hidden", "C:\\evil.dll", "", "a b.so"] {
            assert!(matches!(with("module", path), Err(HolderError::Malformed(_))), "{path}");
        }
        for token in ["", "ends in a space ", "a\u{1b}[31m", &"x".repeat(33)] {
            assert!(with("token", token).is_err(), "{token:?}");
        }
        for (name, value) in [
            ("key", ""),
            ("key", "a\nb"),
            ("key_id", ""),
            ("key_id", "AB"),
            ("key_id", "abc"),
            ("key_id", &"00".repeat(65)),
            ("mechanism", "aes-cbc"),
            ("other", "x"),
        ] {
            assert!(with(name, value).is_err(), "{name}={value}");
        }
        let mut nameless = good().write();
        nameless.parameters.remove("key");
        nameless.parameters.remove("key_id");
        assert!(Parameters::read(&nameless).is_err());
    }
}
