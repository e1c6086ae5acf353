//! Answers that hold a field `Policy`, which half a dozen services have, and notes of the collector.

use std::sync::Arc;

use super::reading::{Reading, present};
use super::{kms, organizations};
use crate::estate::{Kind, PolicyText, ProblemKind};
use crate::load::Limits;
use crate::load::json::{self, Kind as Json, Value};
use crate::load::record::{Outcome, Record};

/// What the resources and actions of a policy say about what it hangs on.
enum Holder {
    Key,
    Bucket(Option<Arc<str>>),
    Function(Arc<str>),
    Unknown,
}

/// `kms get-key-policy`, `s3api get-bucket-policy`, `lambda get-policy`, `organizations describe-policy`.
pub(super) fn policy(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    let Some(value) = present(root, "Policy") else { return };
    if present(value, "PolicySummary").is_some() {
        return organizations::policy(reading, value);
    }
    if value.kind() == Json::Object && present(value, "Statement").is_none() {
        return reading.trouble(value.offset(), ProblemKind::Unrecognised, "a policy without its document");
    }
    let Some(policy) = reading.policy(value) else { return };
    // `PolicyName` stands in the answers of KMS only, `RevisionId` in those of Lambda only.
    let name = reading.shared(root, "PolicyName");
    let holder = if name.is_some() { Holder::Key } else { holder(&policy) };
    match holder {
        Holder::Key => {
            reading.kind = Some(Kind::KeyPolicies);
            let key = kms::named_key(reading, root);
            let name = name.unwrap_or_else(|| reading.keep("default"));
            reading.push(root, Record::KeyPolicy { key, name, policy });
        }
        Holder::Bucket(bucket) => {
            reading.kind = Some(Kind::BucketPolicies);
            let bucket = reading.own(root, "Bucket").or(bucket);
            reading.push(root, Record::BucketPolicy { bucket, policy: Some(policy) });
        }
        Holder::Function(function) => {
            reading.kind = Some(Kind::Functions);
            reading.push(root, Record::FunctionPolicy { function, policy });
        }
        Holder::Unknown => {
            let detail = "neither a key's nor a bucket's nor a function's, by its actions and resources";
            reading.trouble(value.offset(), ProblemKind::Unattributed, detail);
        }
    }
}

/// Reads what a policy hangs on from its statements. A bucket policy may name its own bucket only, and the policy of a
/// function its own function only; in a key policy the resource is the key itself, whatever it says.
fn holder(policy: &PolicyText) -> Holder {
    let (tape, _, fault) = json::scan(&policy.text, 0, &Limits::default());
    let (None, Some(root)) = (fault, tape.root()) else { return Holder::Unknown };
    let mut resources: Vec<String> = Vec::new();
    let mut services: Vec<String> = Vec::new();
    let statements = match root.get("Statement") {
        Some(one) if one.kind() == Json::Object => vec![one],
        Some(many) => many.items().collect(),
        None => return Holder::Unknown,
    };
    for statement in statements {
        for name in ["Resource", "NotResource"] {
            resources.extend(texts(statement.get(name)));
        }
        for name in ["Action", "NotAction"] {
            services.extend(
                texts(statement.get(name))
                    .iter()
                    .map(|action| action.split(':').next().unwrap_or_default().to_ascii_lowercase()),
            );
        }
    }
    let buckets: Vec<&str> = resources
        .iter()
        .filter_map(|resource| {
            resource.split_once(":s3:::").map(|(_, rest)| rest.split('/').next().unwrap_or_default())
        })
        .collect();
    if let Some(first) = buckets.first() {
        let same = buckets.iter().all(|bucket| bucket == first) && !first.contains(['*', '?', '$']);
        return Holder::Bucket(same.then(|| (*first).into()));
    }
    if let Some(function) = resources.iter().find(|resource| resource.contains(":lambda:")) {
        return Holder::Function(function.as_str().into());
    }
    if services.iter().any(|service| service == "kms") {
        return Holder::Key;
    }
    Holder::Unknown
}

fn texts(value: Option<Value<'_, '_>>) -> Vec<String> {
    match value {
        Some(one) if one.kind() == Json::String => {
            one.string().map(|text| text.into_owned()).into_iter().collect()
        }
        Some(many) => many.items().filter_map(|item| item.string().map(|text| text.into_owned())).collect(),
        None => Vec::new(),
    }
}

/// A note of our own collector: a call that left no answer.
pub(super) fn collected(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    let Some(note) = present(root, "StrongroomCollection") else { return };
    let Some(call) = reading.needed(note, "Call") else { return };
    let outcome = match reading.string(note, "Outcome").as_deref() {
        Some("nothing") => Outcome::Nothing,
        _ => Outcome::Failed(reading.own(note, "Message").unwrap_or_else(|| "no reason was noted".into())),
    };
    let record = Record::Collected {
        call,
        account: reading.account_id(note, "Account"),
        region: reading.shared(note, "Region").filter(|region| !region.is_empty()),
        resource: reading.own(note, "Resource").filter(|resource| !resource.is_empty()),
        outcome,
    };
    reading.push(root, record);
}
