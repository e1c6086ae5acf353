//! Statements of policies: who may do what with a key, under which context.

use super::PlannedKey;
use crate::hardening::transit::Role;
use serde_json::{Map, Value, json};
use strongroom_format::{
    VaultId,
    context::{Purpose, WHOLE_VAULT},
};

/// What a role may do with a key.
pub(super) struct Grant {
    pub(super) role: Role,
    sid: &'static str,
    actions: Vec<&'static str>,
    condition: Value,
}

impl Grant {
    /// As a statement about `whom`: a principal or a resource. A key policy is about its own key.
    pub(super) fn statement(&self, whom: (&'static str, Value), in_key_policy: bool) -> Value {
        let here = in_key_policy.then(|| ("Resource", json!("*")));
        // IAM wants each id to be unique, and a role has one policy for several keys.
        let sid = if in_key_policy { self.sid } else { "" };
        allow(sid, &self.actions, [whom].into_iter().chain(here), Some(self.condition.clone()))
    }
}

/// Who uses a key for what.
pub(super) fn uses(vault: &VaultId, key: &PlannedKey) -> Vec<Grant> {
    if key.rsa { rsa_uses(key) } else { symmetric_uses(vault, key) }
}

fn symmetric_uses(vault: &VaultId, key: &PlannedKey) -> Vec<Grant> {
    let (encrypt, decrypt) = ("kms:Encrypt", "kms:Decrypt");
    let mut grants = Vec::new();
    let mut grant = |role, sid, actions: &[&'static str], condition: Value| {
        grants.push(Grant { role, sid, actions: actions.to_vec(), condition });
    };
    if !key.reads.is_empty() {
        let bound = bound(vault, &key.reads, Purpose::Read, None);
        grant(Role::Writer, "WriterWrapsReadKeys", &[encrypt], bound.clone());
        grant(Role::Reader, "ReaderOpensReadKeys", &[decrypt], bound.clone());
        grant(Role::Owner, "OwnerWrapsReadKeys", &[encrypt], bound);
    }
    if !key.writes.is_empty() {
        let bound = bound(vault, &key.writes, Purpose::Write, Some(0));
        grant(Role::Writer, "WriterWrapsAndOpensWriteKeys", &[decrypt, encrypt], bound.clone());
        grant(Role::Owner, "OwnerWrapsWriteKeys", &[encrypt], bound);
    }
    if key.signs {
        let bound = bound(vault, &[WHOLE_VAULT.to_owned()], Purpose::Read, Some(0));
        grant(Role::Owner, "OwnerWrapsAndOpensTheSigningKey", &[decrypt, encrypt], bound);
    }
    grants
}

/// Wrapping needs the public key only, which lies in the keyring.
fn rsa_uses(key: &PlannedKey) -> Vec<Grant> {
    let roles = [
        (!key.reads.is_empty(), Role::Reader, "ReaderOpensReadKeys"),
        (!key.writes.is_empty(), Role::Writer, "WriterOpensWriteKeys"),
        (key.signs, Role::Owner, "OwnerOpensTheSigningKey"),
    ];
    let used = roles.into_iter().filter(|(used, ..)| *used);
    used.map(|(_, role, sid)| Grant {
        role,
        sid,
        actions: vec!["kms:Decrypt"],
        condition: json!({"StringEquals": {"kms:EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}}),
    })
    .collect()
}

/// What every role that uses a key may see of it.
pub(super) fn described(key: &PlannedKey) -> Vec<&'static str> {
    if key.rsa { vec!["kms:DescribeKey", "kms:GetPublicKey"] } else { vec!["kms:DescribeKey"] }
}

/// The condition that a call names this context. `StringEquals` knows no wildcard: `*` is the whole vault.
fn bound(vault: &VaultId, datasets: &[String], purpose: Purpose, epoch: Option<u32>) -> Value {
    let mut pairs = Map::new();
    let mut pair = |name: &str, value: Value| {
        pairs.insert(format!("kms:EncryptionContext:strongroom:{name}"), value);
    };
    pair("vault", json!(vault.to_hex()));
    pair("purpose", json!(purpose.as_str()));
    pair("dataset", if let [only] = datasets { json!(only) } else { json!(datasets) });
    if let Some(epoch) = epoch {
        pair("epoch", json!(epoch.to_string()));
    }
    json!({"StringEquals": pairs})
}

pub(super) fn allow(
    sid: &str,
    actions: &[&str],
    whom: impl IntoIterator<Item = (&'static str, Value)>,
    condition: Option<Value>,
) -> Value {
    statement("Allow", sid, actions, whom, condition)
}

pub(super) fn deny(
    sid: &str,
    actions: &[&str],
    whom: impl IntoIterator<Item = (&'static str, Value)>,
    condition: Option<Value>,
) -> Value {
    statement("Deny", sid, actions, whom, condition)
}

fn statement(
    effect: &str,
    sid: &str,
    actions: &[&str],
    whom: impl IntoIterator<Item = (&'static str, Value)>,
    condition: Option<Value>,
) -> Value {
    let mut statement = Map::new();
    if !sid.is_empty() {
        statement.insert("Sid".into(), json!(sid));
    }
    statement.insert("Effect".into(), json!(effect));
    statement.insert("Action".into(), if let [only] = actions { json!(only) } else { json!(actions) });
    statement.extend(whom.into_iter().map(|(name, value)| (name.to_owned(), value)));
    if let Some(condition) = condition {
        statement.insert("Condition".into(), condition);
    }
    Value::Object(statement)
}
