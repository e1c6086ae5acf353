//! Trails and ledgers made for tests.

use jiff::Timestamp;
use serde_json::{Value, json};
use std::{fs, path::Path};
use strongroom_ledger::entry::{KeyContext, OperationId, Outcome, OutcomeResult, Verb};
use strongroom_trail::{Options, Summary, event::Event, names::Names, read, reconcile::KeyUse};
use tempfile::TempDir;

pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/k1";

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_772_366_400 + second).unwrap()
}

pub(crate) fn options() -> Options {
    Options { threads: 2, now: at(30 * 86_400), names: Names::default(), watch: true }
}

/// A record of CloudTrail.
pub(crate) fn record(id: &str, second: i64, name: &str, request: Value) -> Value {
    json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole", "principalId": "AROA:host-a", "accountId": ACCOUNT, "accessKeyId": "ASIAEXAMPLE",
            "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/restore/host-a"),
            "sessionContext": { "sessionIssuer": { "arn": format!("arn:aws:iam::{ACCOUNT}:role/restore") } },
        },
        "eventTime": at(second).to_string(), "eventSource": "kms.amazonaws.com", "eventName": name,
        "awsRegion": "eu-west-1", "sourceIPAddress": "192.0.2.1", "userAgent": "app/strongroom",
        "requestParameters": request, "responseElements": null,
        "requestID": format!("request-{id}"), "eventID": id, "readOnly": true,
        "resources": [{ "accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": KEY }],
        "eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": ACCOUNT,
    })
}

pub(crate) fn context(dataset: &str) -> KeyContext {
    let mut key_use = key_use(1, Verb::Wrap, 0, None);
    key_use.context.dataset = dataset.into();
    key_use.context.hash = strongroom_ledger::sha256_hex(&key_use.associated_data());
    key_use.context
}

/// A use of the key, which took two seconds.
pub(crate) fn key_use(operation: u8, verb: Verb, second: i64, request: Option<&str>) -> KeyUse {
    let context = KeyContext {
        hash: String::new(),
        vault: "ab".into(),
        dataset: "db".into(),
        purpose: "read".into(),
        epoch: 3,
    };
    let outcome = Outcome {
        result: OutcomeResult::Success,
        class: None,
        request_id: request.map(str::to_owned),
        duration_us: 1,
    };
    let mut key_use = KeyUse {
        operation: OperationId::new(7, [operation; 10]),
        step: 1,
        attempt: 1,
        verb,
        keyholder: "kms-a".into(),
        kind: "aws-kms".into(),
        key_id: Some(KEY.into()),
        context,
        reason: "RESTORE".into(),
        time: at(second),
        ended: Some(at(second + 2)),
        outcome: Some(outcome),
        intent_at: Some(u64::from(operation) * 2),
        outcome_at: Some(u64::from(operation) * 2 + 1),
    };
    key_use.context.hash = strongroom_ledger::sha256_hex(&key_use.associated_data());
    key_use
}

/// The event of a use of the key by [`key_use`].
pub(crate) fn decrypt(id: &str, second: i64) -> Value {
    let pairs = key_use(1, Verb::Unwrap, 0, None).pairs();
    record(
        id,
        second,
        "Decrypt",
        json!({ "encryptionAlgorithm": "SYMMETRIC_DEFAULT", "encryptionContext": pairs }),
    )
}

pub(crate) fn read_all(root: &Path) -> (Vec<Event>, Summary) {
    let mut events = Vec::new();
    let summary = read(root, &options(), |event| events.push(event));
    events.sort_by(|a, b| (a.time, &a.id, &a.place).cmp(&(b.time, &b.id, &b.place)));
    (events, summary)
}

/// Reads one file with these bytes.
pub(crate) fn read_bytes(name: &str, bytes: impl AsRef<[u8]>) -> (Vec<Event>, Summary) {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join(name), bytes).unwrap();
    read_all(dir.path())
}

pub(crate) fn events(records: &[Value]) -> Vec<Event> {
    let (events, summary) = read_bytes("trail.json", json!({ "Records": records }).to_string());
    assert!(summary.problems.iter().all(|problem| !problem.kind.hides_records()), "{:?}", summary.problems);
    assert_eq!(events.len(), records.len());
    events
}
