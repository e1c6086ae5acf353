//! One event for each rule, and that it is quiet otherwise.

use crate::common::{KEY, at, decrypt, events, record};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use strongroom_trail::{
    audit, detect,
    detect::{Options, Severity, rules},
    event::Event,
    others,
};

fn of(service: &str, name: &str, request: Value) -> Value {
    let mut record = record("e1", 10, name, request);
    record["eventSource"] = json!(format!("{service}.amazonaws.com"));
    if service != "kms" {
        record["resources"] = json!([]);
    }
    record
}

fn kms(name: &str) -> Value {
    of("kms", name, json!({ "keyId": KEY }))
}

fn policy(principal: Value) -> Value {
    let policy = json!({ "Statement": [{ "Effect": "Allow", "Action": "kms:*", "Resource": "*", "Principal": principal }] });
    of("kms", "PutKeyPolicy", json!({ "keyId": KEY, "policy": policy.to_string(), "policyName": "default" }))
}

fn transit(operation: &str, path: &str, data: &Value) -> Vec<Event> {
    let line = json!({ "time": at(10).to_string(), "type": "request", "request": { "id": "r1", "operation": operation, "path": path, "data": data } });
    let mut reader = audit::Reader::new(&["transit"]);
    reader.read("main", line.to_string().as_bytes());
    let devices = reader.finish();
    assert!(devices.problems.is_empty(), "{:?}", devices.problems);
    devices.events
}

fn gcp(method: &str) -> Vec<Event> {
    let mut events = Vec::new();
    let line = json!({ "insertId": "i", "timestamp": at(10).to_string(), "protoPayload": { "serviceName": "cloudkms.googleapis.com", "methodName": method, "resourceName": "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1", "request": { "cryptoKeyVersion": { "state": "DISABLED" } } } });
    assert!(others::read_gcp("f", line.to_string().as_bytes(), |event| events.push(event)).is_empty());
    events
}

fn azure(name: &str) -> Vec<Event> {
    let mut events = Vec::new();
    let line = json!({ "time": at(10).to_string(), "category": "AuditEvent", "operationName": name, "properties": { "httpStatusCode": 200, "id": "https://v.vault.azure.net/keys/k/1" } });
    assert!(others::read_azure("f", line.to_string().as_bytes(), |event| events.push(event)).is_empty());
    events
}

fn cases() -> Vec<(&'static str, Vec<Event>)> {
    let aws = |id, record: Value| (id, events(&[record]));
    let selectors = |kind: &str, excluded: Value| {
        of(
            "cloudtrail",
            "PutEventSelectors",
            json!({ "trailName": "t", "eventSelectors": [{ "readWriteType": kind, "includeManagementEvents": true, "excludeManagementEventSources": excluded }] }),
        )
    };
    let mut reencrypt = of(
        "kms",
        "ReEncrypt",
        json!({ "sourceKeyId": KEY, "destinationKeyId": "arn:aws:kms:eu-west-1:999999999999:key/thief" }),
    );
    reencrypt["resources"] =
        json!([{ "ARN": KEY }, { "ARN": "arn:aws:kms:eu-west-1:999999999999:key/thief" }]);
    let denied: Vec<Value> = (0..5)
        .map(|n| {
            let mut record = decrypt(&format!("d{n}"), n * 60);
            record["errorCode"] = json!("AccessDenied");
            record
        })
        .collect();
    let first = |pointer: &str, value: &str| {
        let mut new = decrypt("new", 500);
        *new.pointer_mut(pointer).unwrap() = json!(value);
        events(&[decrypt("old", 5), new])
    };
    let mut import = kms("ImportKeyMaterial");
    import["eventTime"] = json!(at(20).to_string());
    import["eventID"] = json!("e2");
    vec![
        aws("key-deletion-scheduled", kms("ScheduleKeyDeletion")),
        aws("key-deleted", kms("DeleteKey")),
        aws("key-disabled", kms("DisableKey")),
        aws("key-material-deleted", kms("DeleteImportedKeyMaterial")),
        aws("key-material-expired", kms("DeleteExpiredKeyMaterial")),
        aws("key-material-imported", kms("ImportKeyMaterial")),
        aws("key-material-import-prepared", kms("GetParametersForImport")),
        ("key-material-replaced", events(&[kms("DeleteImportedKeyMaterial"), import])),
        aws("key-policy-changed", policy(json!({ "AWS": "arn:aws:iam::111122223333:root" }))),
        aws("key-open-to-all", policy(json!({ "AWS": "*" }))),
        aws("key-open-to-strangers", policy(json!({ "AWS": ["arn:aws:iam::999999999999:root"] }))),
        aws("key-policy-lockout", of("kms", "CreateKey", json!({ "bypassPolicyLockoutSafetyCheck": true }))),
        aws(
            "grant-wide",
            of(
                "kms",
                "CreateGrant",
                json!({ "keyId": KEY, "granteePrincipal": "arn:aws:iam::999999999999:role/x", "operations": ["Encrypt"], "constraints": { "encryptionContextEquals": { "a": "b" } } }),
            ),
        ),
        aws("grant-removed", kms("RevokeGrant")),
        aws("re-encrypted-to-stranger", reencrypt),
        aws(
            "alias-moved",
            of("kms", "UpdateAlias", json!({ "aliasName": "alias/backup", "targetKeyId": "k9" })),
        ),
        aws("rotation-off", kms("DisableKeyRotation")),
        aws("key-replicated", kms("ReplicateKey")),
        aws("key-primary-moved", kms("UpdatePrimaryRegion")),
        aws(
            "key-store-broken",
            of("kms", "DisconnectCustomKeyStore", json!({ "customKeyStoreId": "cks-1" })),
        ),
        aws("key-store-made", of("kms", "CreateCustomKeyStore", json!({}))),
        aws("key-tags-changed", kms("UntagResource")),
        aws("deletion-cancelled", kms("CancelKeyDeletion")),
        aws("trail-stopped", of("cloudtrail", "StopLogging", json!({ "name": "t" }))),
        aws("trail-drops-key-uses", selectors("All", json!(["kms.amazonaws.com"]))),
        aws("trail-drops-key-changes", selectors("ReadOnly", json!([]))),
        aws("trail-changed", of("cloudtrail", "UpdateTrail", json!({ "name": "t" }))),
        aws(
            "trail-unsigned",
            of("cloudtrail", "UpdateTrail", json!({ "name": "t", "enableLogFileValidation": false })),
        ),
        aws("bucket-endangered", of("s3", "DeleteBucketPolicy", json!({ "bucketName": "b" }))),
        aws("bucket-changed", of("s3", "PutBucketLifecycle", json!({ "bucketName": "b" }))),
        aws(
            "bucket-versioning-off",
            of(
                "s3",
                "PutBucketVersioning",
                json!({ "bucketName": "b", "VersioningConfiguration": { "Status": "Suspended" } }),
            ),
        ),
        aws(
            "copied-to-foreign-key",
            of(
                "s3",
                "CopyObject",
                json!({ "bucketName": "b", "x-amz-server-side-encryption-aws-kms-key-id": "arn:aws:kms:eu-west-1:999999999999:key/thief" }),
            ),
        ),
        aws("oversized-parameters", of("kms", "Decrypt", json!({ "omitted": true }))),
        ("denied-burst", events(&denied)),
        (
            "first-seen-principal",
            first("/userIdentity/sessionContext/sessionIssuer/arn", "arn:aws:iam::111122223333:role/other"),
        ),
        ("first-seen-address", first("/sourceIPAddress", "198.51.100.7")),
        ("first-seen-region", first("/awsRegion", "ap-south-1")),
        ("transit-key-deleted", transit("delete", "transit/keys/k", &Value::Null)),
        ("transit-key-soft-deleted", transit("delete", "transit/keys/k/soft-delete", &Value::Null)),
        (
            "transit-deletion-allowed",
            transit("update", "transit/keys/k/config", &json!({ "deletion_allowed": true })),
        ),
        (
            "transit-minimum-raised",
            transit("update", "transit/keys/k/config", &json!({ "min_decryption_version": 4 })),
        ),
        ("transit-key-trimmed", transit("update", "transit/keys/k/trim", &Value::Null)),
        (
            "transit-key-exportable",
            transit("update", "transit/keys/k/config", &json!({ "exportable": true })),
        ),
        ("transit-key-exported", transit("read", "transit/export/encryption-key/k", &Value::Null)),
        ("transit-mount-removed", transit("delete", "sys/mounts/transit", &Value::Null)),
        ("audit-device-changed", transit("delete", "sys/audit/main", &Value::Null)),
        ("transit-sealed", transit("update", "sys/seal", &Value::Null)),
        ("transit-policy-changed", transit("update", "sys/policies/acl/backup", &Value::Null)),
        ("gcp-key-destroyed", gcp("google.cloud.kms.v1.KeyManagementService.DestroyCryptoKeyVersion")),
        ("gcp-key-disabled", gcp("UpdateCryptoKeyVersion")),
        ("gcp-key-policy-changed", gcp("SetIamPolicy")),
        ("azure-key-deleted", azure("KeyDelete")),
        ("azure-key-purged", azure("KeyPurge")),
        ("azure-key-changed", azure("KeyUpdate")),
        ("azure-key-backed-up", azure("KeyBackup")),
    ]
}

fn options() -> Options {
    Options { keys: Vec::new(), learned_until: Some(at(100)), ..Options::default() }
}

#[test]
fn every_rule_fires_on_its_event() {
    let mut tested = BTreeSet::new();
    for (id, events) in cases() {
        let found = detect::detect(&events, &options());
        let hit = found.iter().find(|found| found.rule.id == id);
        let hit = hit.unwrap_or_else(|| panic!("{id}: {found:?}\n{events:?}"));
        assert!(!hit.attempted || id == "denied-burst", "{id}");
        assert!(!hit.stop.contains(['{', '}']) || hit.stop.contains("ReadWriteType"), "{id}: {}", hit.stop);
        assert!(hit.severity == hit.rule.severity && !hit.what.is_empty(), "{id}");
        tested.insert(id);
    }
    let all: BTreeSet<&str> = rules().map(|rule| rule.id).collect();
    assert_eq!(tested, all, "every rule has its test");
    assert_eq!(all.len(), rules().count(), "ids are unique");
}

#[test]
fn attempts_are_told_too_and_count_less() {
    let mut record = kms("ScheduleKeyDeletion");
    record["errorCode"] = json!("AccessDenied");
    record["resources"] = Value::Null;
    let found = detect::detect(&events(&[record]), &options());
    assert_eq!(
        (found.len(), found[0].rule.id, found[0].attempted, found[0].severity),
        (1, "key-deletion-scheduled", true, Severity::High)
    );
}

#[test]
fn everyday_use_is_quiet() {
    let quiet = [
        decrypt("e1", 5),
        of(
            "kms",
            "CreateGrant",
            json!({ "keyId": KEY, "granteePrincipal": "arn:aws:iam::111122223333:role/x", "operations": ["Decrypt"], "constraints": { "encryptionContextEquals": { "a": "b" } } }),
        ),
        of("kms", "CreateKey", json!({})),
        of(
            "cloudtrail",
            "PutEventSelectors",
            json!({ "trailName": "t", "eventSelectors": [{ "readWriteType": "All", "includeManagementEvents": true }] }),
        ),
        of("s3", "CopyObject", json!({ "bucketName": "b" })),
    ];
    for record in quiet {
        assert_eq!(detect::detect(&events(&[record]), &options()), []);
    }
    let conditioned = policy(json!("*"));
    let mut text: Value =
        serde_json::from_str(conditioned["requestParameters"]["policy"].as_str().unwrap()).unwrap();
    text["Statement"][0]["Condition"] = json!({ "StringEquals": { "aws:PrincipalOrgID": "o-1" } });
    let mut conditioned = conditioned;
    conditioned["requestParameters"]["policy"] = json!(text.to_string());
    let found = detect::detect(&events(&[conditioned]), &options());
    assert_eq!(found.iter().map(|found| found.rule.id).collect::<Vec<_>>(), ["key-policy-changed"]);
    let mine = Options { keys: vec!["arn:aws:kms:eu-west-1:111122223333:key/k2".into()], ..options() };
    assert_eq!(detect::detect(&events(&[kms("DisableKey")]), &mine), []);
}

#[test]
fn hostile_names_stay_words_of_the_shell() {
    let record = of("cloudtrail", "StopLogging", json!({ "name": "x; rm -rf / #'`$(id)\n{region}" }));
    let found = detect::detect(&events(&[record]), &options());
    assert!(found[0].stop.ends_with("--name 'x; rm -rf / #'\\''`$(id)??region?'"), "{}", found[0].stop);
}
