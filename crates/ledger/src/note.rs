//! Signed notes: C2SP `signed-note`.
//!
//! In scope: the text form, keys of signers and verifiers, plain Ed25519 signatures. Out of scope: what the text
//! says ([`crate::checkpoint`]), signatures with a time ([`crate::cosignature`]).
//!
//! A key's first byte names its algorithm. Signature lines by unknown keys or of unknown algorithms are kept and
//! not believed, so that new algorithms can stand beside old ones.

use crate::limits::{CHECKPOINT_MAX, SIGNATURES_MAX};
use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};
use data_encoding::BASE64;
use std::fmt;
use thiserror::Error;
use zeroize::Zeroizing;

/// What a key signs with: the byte before it in its encoding and in its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// Ed25519 over a note's text.
    Ed25519,
    /// Ed25519 over a time and a checkpoint: `cosignature/v1`.
    Cosignature,
}

impl Algorithm {
    /// The byte that names it.
    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::Cosignature => 0x04,
        }
    }

    /// The algorithm that a byte names; `None` for those that this program cannot check, such as ML-DSA-44 (`0x06`).
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::Ed25519, Self::Cosignature].into_iter().find(|algorithm| algorithm.byte() == byte)
    }
}

/// A note or a key that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoteError {
    /// The text form is broken.
    #[error("it is no signed note: {0}")]
    Malformed(&'static str),
    /// No key of the ones that are known has signed it.
    #[error("none of its signatures is by a known key of `{0}`")]
    Unsigned(String),
    /// A known key's signature is wrong.
    #[error("the signature in the name of `{0}` is wrong")]
    Forged(String),
    /// A key's text form is broken.
    #[error("it is no key: {0}")]
    Key(&'static str),
}

fn name_ok(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

fn key_id(name: &str, algorithm: u8, key: &[u8]) -> u32 {
    let mut input = Vec::with_capacity(name.len() + 2 + key.len());
    input.extend_from_slice(name.as_bytes());
    input.extend_from_slice(b"\n");
    input.push(algorithm);
    input.extend_from_slice(key);
    let hash = digest(&SHA256, &input);
    hash.as_ref().first_chunk().map_or(0, |id| u32::from_be_bytes(*id))
}

/// A public key with its name: a *vkey*, `<name>+<id>+<Base64 of algorithm and key>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VerifierKey {
    name: String,
    algorithm: Algorithm,
    key: [u8; 32],
}

impl VerifierKey {
    /// A key under a name.
    ///
    /// # Errors
    /// [`NoteError::Key`] where the name is empty or has white space or a plus sign.
    pub fn new(name: &str, algorithm: Algorithm, key: [u8; 32]) -> Result<Self, NoteError> {
        if !name_ok(name) {
            return Err(NoteError::Key("its name is empty, too long, or has white space or a plus sign"));
        }
        Ok(Self { name: name.to_owned(), algorithm, key })
    }

    /// Reads a vkey.
    ///
    /// # Errors
    /// [`NoteError::Key`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key("it is not NAME+ID+KEY"));
        };
        let key = crate::base64::decode(key).ok_or(NoteError::Key("its key is not Base64"))?;
        let (byte, key) = key.split_first().ok_or(NoteError::Key("its key is empty"))?;
        let algorithm = Algorithm::from_byte(*byte).ok_or(NoteError::Key("its algorithm is unknown here"))?;
        let key = key.try_into().map_err(|_| NoteError::Key("its key does not have 32 bytes"))?;
        let parsed = Self::new(name, algorithm, key)?;
        if format!("{:08x}", parsed.id()) == id {
            Ok(parsed)
        } else {
            Err(NoteError::Key("its id does not fit its key"))
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its bytes.
    #[must_use]
    pub fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// Its id, which signature lines begin with.
    #[must_use]
    pub fn id(&self) -> u32 {
        key_id(&self.name, self.algorithm.byte(), &self.key)
    }

    /// Whether `signature` is this key's over `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.key).verify(message, signature).is_ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![self.algorithm.byte()];
        key.extend_from_slice(&self.key);
        write!(f, "{}+{:08x}+{}", self.name, self.id(), BASE64.encode(&key))
    }
}

/// A private key with its name.
pub struct SigningKey {
    seed: Zeroizing<[u8; 32]>,
    pair: Ed25519KeyPair,
    public: VerifierKey,
}

impl SigningKey {
    /// The key that follows from a seed.
    ///
    /// # Errors
    /// [`NoteError::Key`].
    pub fn from_seed(name: &str, algorithm: Algorithm, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| NoteError::Key("it is no seed"))?;
        let key =
            pair.public_key().as_ref().try_into().map_err(|_| NoteError::Key("it has no public key"))?;
        let public = VerifierKey::new(name, algorithm, key)?;
        Ok(Self { seed: Zeroizing::new(*seed), pair, public })
    }

    /// Reads `PRIVATE+KEY+<name>+<id>+<Base64 of algorithm and seed>`.
    ///
    /// # Errors
    /// [`NoteError::Key`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let rest = text.strip_prefix("PRIVATE+KEY+").ok_or(NoteError::Key("it is no private key"))?;
        let mut parts = rest.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key("it is not PRIVATE+KEY+NAME+ID+KEY"));
        };
        let key = Zeroizing::new(crate::base64::decode(key).ok_or(NoteError::Key("its key is not Base64"))?);
        let (byte, seed) = key.split_first().ok_or(NoteError::Key("its key is empty"))?;
        let algorithm = Algorithm::from_byte(*byte).ok_or(NoteError::Key("its algorithm is unknown here"))?;
        let seed = seed.try_into().map_err(|_| NoteError::Key("its key does not have 32 bytes"))?;
        let parsed = Self::from_seed(name, algorithm, seed)?;
        if format!("{:08x}", parsed.public.id()) == id {
            Ok(parsed)
        } else {
            Err(NoteError::Key("its id does not fit its key"))
        }
    }

    /// Its text form, secret.
    #[must_use]
    pub fn to_secret_text(&self) -> Zeroizing<String> {
        let mut key = Zeroizing::new(vec![self.public.algorithm.byte()]);
        key.extend_from_slice(self.seed.as_ref());
        let encoded = Zeroizing::new(BASE64.encode(&key));
        Zeroizing::new(format!("PRIVATE+KEY+{}+{:08x}+{}", self.public.name, self.public.id(), *encoded))
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> &VerifierKey {
        &self.public
    }

    /// Its Ed25519 signature over `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut out = [0; 64];
        out.copy_from_slice(self.pair.sign(message).as_ref());
        out
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.public.to_string()).finish()
    }
}

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Who claims to have signed.
    pub name: String,
    /// The claimed key's id.
    pub id: u32,
    /// The signature's bytes, which the algorithm gives meaning to.
    pub bytes: Vec<u8>,
}

impl Signature {
    /// Reads a line: an em dash, the name, and the Base64 of id and signature.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse(line: &str) -> Result<Self, NoteError> {
        let malformed = NoteError::Malformed("a signature line is broken");
        let (name, signature) =
            line.strip_prefix("— ").and_then(|rest| rest.split_once(' ')).ok_or(malformed.clone())?;
        let bytes = crate::base64::decode(signature).ok_or_else(|| malformed.clone())?;
        let (id, bytes) = bytes.split_first_chunk().ok_or(malformed.clone())?;
        if !name_ok(name) || bytes.is_empty() {
            return Err(malformed);
        }
        Ok(Self { name: name.to_owned(), id: u32::from_be_bytes(*id), bytes: bytes.to_vec() })
    }

    /// Whether it claims to be by `key`.
    #[must_use]
    pub fn claims(&self, key: &VerifierKey) -> bool {
        self.name == key.name() && self.id == key.id()
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.id.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.bytes);
        write!(f, "— {} {}", self.name, BASE64.encode(&bytes))
    }
}

/// A text and its signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The text, with the line feed at its end.
    pub text: String,
    /// Its signatures, in order.
    pub signatures: Vec<Signature>,
}

impl Note {
    /// A text that `key` signs.
    #[must_use]
    pub fn sign(text: String, key: &SigningKey) -> Self {
        let bytes = key.sign(text.as_bytes()).to_vec();
        let signature = Signature { name: key.public().name().to_owned(), id: key.public().id(), bytes };
        Self { text, signatures: vec![signature] }
    }

    /// Reads a note; verifies nothing.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > CHECKPOINT_MAX {
            return Err(NoteError::Malformed("it is too long"));
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::Malformed("it is not UTF-8"))?;
        if note.chars().any(|c| c.is_control() && c != '\n') {
            return Err(NoteError::Malformed("it has control characters"));
        }
        let split = note.rfind("\n\n").ok_or(NoteError::Malformed("it has no signatures"))?;
        let (text, signatures) = (&note[..=split], &note[split + 2..]);
        let lines =
            signatures.strip_suffix('\n').ok_or(NoteError::Malformed("its last line does not end"))?;
        let signatures: Vec<_> =
            lines.split('\n').take(SIGNATURES_MAX + 1).map(Signature::parse).collect::<Result<_, _>>()?;
        if signatures.len() > SIGNATURES_MAX {
            return Err(NoteError::Malformed("it has too many signatures"));
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> String {
        let lines: String = self.signatures.iter().map(|signature| format!("{signature}\n")).collect();
        format!("{}\n{lines}", self.text)
    }

    /// Checks that one of `keys` signed the text, and that no signature in the name of one is wrong.
    ///
    /// # Errors
    /// [`NoteError::Unsigned`], [`NoteError::Forged`].
    pub fn verify(&self, keys: &[VerifierKey]) -> Result<(), NoteError> {
        let mut signed = false;
        for signature in &self.signatures {
            let claimed = |key: &&VerifierKey| key.algorithm() == Algorithm::Ed25519 && signature.claims(key);
            let Some(key) = keys.iter().find(claimed) else { continue };
            if !key.verifies(self.text.as_bytes(), &signature.bytes) {
                return Err(NoteError::Forged(signature.name.clone()));
            }
            signed = true;
        }
        let name = keys.first().map(|key| key.name().to_owned()).unwrap_or_default();
        if signed { Ok(()) } else { Err(NoteError::Unsigned(name)) }
    }
}
