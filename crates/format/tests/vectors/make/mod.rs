//! Makes the vectors.

mod documents;
mod packs;
mod primitives;
mod trees;

use crate::{Files, Vector, check, hex::hex};
use serde_json::{Value, json};
use strongroom_format::{
    DatasetId, Entropy, Secret32, VaultId, group::Owner, keyring::SigningPublicKey, keys::WriteKeys,
};

/// All vectors, by file.
pub(crate) fn all() -> Files {
    let mut files = Files::new();
    let mut add = |name: &str, vectors: Vec<Vector>| {
        assert!(files.insert(name.to_owned(), vectors).is_none(), "{name} is made twice");
    };
    primitives::make(&mut add);
    documents::make(&mut add);
    packs::make(&mut add);
    trees::make(&mut add);
    files
}

type Add<'a> = dyn FnMut(&str, Vec<Vector>) + 'a;

/// A good vector: what comes out is found by the check.
fn good(name: &str, kind: &str, input: Value) -> Vector {
    let output = check::check(kind, &input).unwrap_or_else(|damage| panic!("`{name}` is damaged: {damage}"));
    Vector { name: name.into(), kind: kind.into(), damage: None, input, output: Some(output) }
}

/// A vector with one fault.
fn bad(name: &str, kind: &str, damage: &str, input: Value) -> Vector {
    let found = check::check(kind, &input);
    assert_eq!(found, Err(damage.to_owned()), "`{name}`");
    Vector { name: name.into(), kind: kind.into(), damage: Some(damage.into()), input, output: None }
}

/// Random bytes that are the same each time.
struct Repeatable(blake3::OutputReader);

impl Repeatable {
    fn new(what: &str) -> Self {
        Self(blake3::Hasher::new_derive_key("strongroom test vectors").update(what.as_bytes()).finalize_xof())
    }

    fn bytes(what: &str, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        Self::new(what).fill(&mut out);
        out
    }
}

impl Entropy for Repeatable {
    fn fill(&mut self, out: &mut [u8]) {
        self.0.fill(out);
    }
}

fn secret(what: &str) -> Secret32 {
    Secret32::random(&mut Repeatable::new(what))
}

fn signing_seed() -> Secret32 {
    secret("signing seed")
}

fn vault() -> VaultId {
    SigningPublicKey::of_seed(&signing_seed()).vault_id()
}

fn dataset() -> DatasetId {
    DatasetId(Repeatable::new("dataset").array())
}

fn owner() -> Owner {
    Owner { vault: vault(), dataset: dataset() }
}

fn write_key() -> Secret32 {
    secret("write key")
}

fn write_keys() -> WriteKeys {
    WriteKeys::new(&write_key())
}

/// The inputs of objects under the write key.
fn under_write_key(bytes: &[u8]) -> Value {
    json!({ "bytes": hex(bytes), "write_key": hex(write_key().expose()), "vault": vault(), "dataset": dataset() })
}

fn with(mut input: Value, field: &str, value: Value) -> Value {
    input[field] = value;
    input
}

fn changed(bytes: &[u8], at: usize, value: u8) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    assert_ne!(changed[at], value);
    changed[at] = value;
    changed
}

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    changed(bytes, at, bytes[at] ^ 1)
}

fn appended(bytes: &[u8], more: &[u8]) -> Vec<u8> {
    [bytes, more].concat()
}
