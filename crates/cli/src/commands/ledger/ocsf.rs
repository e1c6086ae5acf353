//! Entries as events of the Open Cybersecurity Schema Framework, version 1.3: class API Activity (6003).
//!
//! Source: <https://schema.ocsf.io/1.3.0/classes/api_activity>.

use super::rows::{Names, Row, word};
use serde_json::{Value, json};
use strongroom_ledger::entry::{Entry, OutcomeResult, Phase, Verb};

const CLASS: u32 = 6003;
const CATEGORY: u32 = 6;

/// The activity: its id and its name.
fn activity(verb: Verb) -> (u32, &'static str) {
    match verb {
        Verb::Backup | Verb::Copy | Verb::Init | Verb::Wrap | Verb::Merge => (1, "Create"),
        Verb::Check | Verb::Drill | Verb::Mount | Verb::Restore | Verb::Unwrap => (2, "Read"),
        Verb::Approve | Verb::Policy | Verb::Resume | Verb::Rewrap | Verb::Rotate | Verb::Suspend => {
            (3, "Update")
        }
        Verb::Forget | Verb::Prune | Verb::Revoke | Verb::Shred => (4, "Delete"),
    }
}

/// The status: its id, its name, and how severe it is.
fn status(entry: &Entry) -> (u32, &'static str, u32) {
    match entry.outcome.as_ref().map(|outcome| outcome.result) {
        Some(OutcomeResult::Success | OutcomeResult::Partial) => (1, "Success", 1),
        Some(OutcomeResult::Refused) => (2, "Failure", 3),
        Some(OutcomeResult::Failed) => (2, "Failure", 2),
        None => (0, "Unknown", 1),
    }
}

/// An entry as an event.
#[must_use]
pub(super) fn event(row: &Row, names: &Names, origin: &str) -> Value {
    let Row { index, entry } = row;
    let what = &entry.what;
    let (activity_id, activity_name) = activity(what.verb);
    let (status_id, status, severity_id) = status(entry);
    let mut resources = Vec::new();
    if let Some(keyholder) = &what.keyholder {
        resources
            .push(json!({"type": "keyholder", "name": keyholder, "uid": what.key_id, "labels": [what.kind]}));
    }
    if let Some(dataset) = what.dataset() {
        resources.push(json!({"type": "dataset", "name": dataset, "uid": what.vault}));
    }
    let outcome = entry.outcome.as_ref();
    let uid = format!("{}/{}/{}/{}", entry.operation, entry.step, entry.attempt, word(&entry.phase));
    let event = json!({
        "category_uid": CATEGORY,
        "class_uid": CLASS,
        "type_uid": CLASS * 100 + activity_id,
        "activity_id": activity_id,
        "activity_name": activity_name,
        "time": entry.time.timestamp().as_millisecond(),
        "severity_id": severity_id,
        "status_id": status_id,
        "status": status,
        "status_detail": outcome.and_then(|outcome| outcome.class.clone()),
        "duration": outcome.map(|outcome| outcome.duration_us / 1000),
        "metadata": {
            "version": "1.3.0",
            "uid": uid,
            "log_name": origin,
            "sequence": index,
            "correlation_uid": entry.operation.to_string(),
            "product": {"name": "Strongroom", "vendor_name": "Strongroom"},
        },
        "actor": {
            "user": {
                "name": names.get(entry.who.human.as_ref()),
                "uid": entry.who.human.as_ref().map(ToString::to_string),
            },
            "app_name": entry.who.program,
        },
        "src_endpoint": {
            "hostname": names.get(entry.who.host.as_ref()),
            "uid": entry.who.host.as_ref().map(ToString::to_string),
        },
        "api": {
            "operation": word(&what.verb),
            "request": {"uid": outcome.and_then(|outcome| outcome.request_id.clone()).unwrap_or(uid.clone())},
        },
        "resources": resources,
        "message": format!("{} for {}", word(&what.verb), entry.why.code),
        "unmapped": {
            "phase": word(&entry.phase),
            "is_intent": entry.phase == Phase::Intent,
            "why": entry.why,
            "context": what.context,
            "decision": entry.decision,
            "details": what.details,
        },
    });
    without_nulls(event)
}

/// The schema has no nulls: what is not known is left out.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_nulls(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(list) => list.into_iter().map(without_nulls).collect::<Vec<_>>().into(),
        other => other,
    }
}
