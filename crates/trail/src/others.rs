//! Google Cloud Audit Logs of Cloud KMS, and Azure Key Vault logs, in the same model and with lower confidence.
//!
//! Google tells its clients no request id, so its events are joined by key, operation, principal and time
//! ([`Confidence::Low`](crate::event::Confidence)); Azure's correlation id is the client's own choice
//! ([`Confidence::Medium`](crate::event::Confidence)). Uses of keys are "Data Access" logs at Google, which are off unless
//! somebody switched them on, so their absence never proves anything.
//!
//! Sources: cloud.google.com/kms/docs/audit-logging, cloud.google.com/logging/docs/reference/audit/auditlog/rest/Shared.Types/AuditLog,
//! learn.microsoft.com/azure/key-vault/general/logging.

use crate::{
    event::{Event, Operation, Provider, operation_hint},
    problem::{Place, Problem, ProblemKind, quoted},
    records::{self, Item},
};
use serde_json::{Value, json};
use std::{io::Read, sync::Arc};

/// Reads entries of Google Cloud Logging: JSON Lines, or the list that `gcloud logging read --format=json` prints.
pub fn read_gcp(file: &str, source: impl Read, take: impl FnMut(Event)) -> Vec<Problem> {
    read(file, source, gcp, take)
}

/// Reads logs of Azure Key Vault: JSON Lines, as diagnostic settings write them into storage, or `{"records": […]}`.
pub fn read_azure(file: &str, source: impl Read, take: impl FnMut(Event)) -> Vec<Problem> {
    read(file, source, azure, take)
}

type Reading = fn(&Value, Place) -> Result<Option<Event>, String>;

fn read(file: &str, source: impl Read, one: Reading, mut take: impl FnMut(Event)) -> Vec<Problem> {
    let file: Arc<str> = quoted(file).into();
    let mut problems = Vec::new();
    records::split(source, &mut Vec::new(), |item| {
        let (kind, what, offset) = match item {
            Item::Problem(kind, what, at) => (kind, what, at),
            Item::Record(bytes, at) => {
                let place = Place { file: Arc::clone(&file), offset: at };
                let read = serde_json::from_slice::<Value>(bytes)
                    .map_err(|error| format!("a record is malformed: {}", quoted(&error.to_string())))
                    .and_then(|value| one(&value, place));
                match read {
                    Ok(event) => return event.into_iter().for_each(&mut take),
                    Err(what) => (ProblemKind::Record, what, at),
                }
            }
        };
        problems.push(Problem { place: Place { file: Arc::clone(&file), offset }, kind, what });
    });
    problems
}

fn text(value: &Value, path: &[&str]) -> Option<String> {
    let mut value = value;
    for key in path {
        value = value.get(key)?;
    }
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn time(value: &Value, key: &str) -> Result<jiff::Timestamp, String> {
    let time = text(value, &[key]).ok_or_else(|| format!("a record has no `{key}`"))?;
    time.parse().map_err(|_| format!("`{}` is no time", quoted(&time)))
}

fn gcp(value: &Value, place: Place) -> Result<Option<Event>, String> {
    let Some(payload) = value.get("protoPayload") else { return Ok(None) };
    let service = text(payload, &["serviceName"]).unwrap_or_default();
    if service != "cloudkms.googleapis.com" {
        return Ok(None);
    }
    let name = text(payload, &["methodName"]).ok_or("a record names no method")?;
    let resource = text(payload, &["resourceName"]).unwrap_or_default();
    // A version of a key is the key, used at that version.
    let (key, version) = match resource.split_once("/cryptoKeyVersions/") {
        Some((key, version)) => (key.to_owned(), Some(version.to_owned())),
        None => (resource.clone(), None),
    };
    let operation = match name.rsplit('.').next().unwrap_or("") {
        "Decrypt" | "AsymmetricDecrypt" | "RawDecrypt" | "Decapsulate" => Operation::Decrypt,
        "Encrypt" | "RawEncrypt" => Operation::Encrypt,
        "AsymmetricSign" | "MacSign" | "MacVerify" => Operation::OtherUse,
        _ => Operation::Management,
    };
    let mut event = Event::new(Provider::Gcp, place, time(value, "timestamp")?);
    let part = |name: &str| {
        let mut parts = resource.split('/');
        parts.find(|part| *part == name).and_then(|_| parts.next()).map(str::to_owned)
    };
    event.account = part("projects").unwrap_or_default();
    event.region = part("locations").unwrap_or_default();
    event.service = service;
    event.id = text(value, &["insertId"]).ok_or("a record has no `insertId`")?;
    event.name = name;
    event.operation = operation;
    event.asymmetric = event.name.ends_with("AsymmetricDecrypt");
    event.keys = if key.is_empty() { Vec::new() } else { vec![key] };
    event.key_material = version;
    event.principal.name = text(payload, &["authenticationInfo", "principalEmail"]).unwrap_or_default();
    event.principal.kind = "principalEmail".into();
    event.principal.access_key = text(payload, &["authenticationInfo", "serviceAccountKeyName"]);
    event.principal.source_ip = text(payload, &["requestMetadata", "callerIp"]);
    event.principal.user_agent = text(payload, &["requestMetadata", "callerSuppliedUserAgent"]);
    event.operation_hint = event.principal.user_agent.as_deref().and_then(operation_hint);
    event.read_only = Some(operation.is_key_use());
    if payload.get("status").and_then(|status| status.get("code")).and_then(Value::as_i64).unwrap_or(0) != 0 {
        let message = text(payload, &["status", "message"]);
        event.error = Some(message.unwrap_or_else(|| "failed".into()));
    }
    if operation == Operation::Management {
        event.parameters = json!({ "request": payload.get("request") });
    }
    Ok(Some(event))
}

fn azure(value: &Value, place: Place) -> Result<Option<Event>, String> {
    if text(value, &["category"]).as_deref() != Some("AuditEvent") {
        return Ok(None);
    }
    let name = text(value, &["operationName"]).ok_or("a record names no operation")?;
    let operation = match name.as_str() {
        "KeyDecrypt" | "KeyUnwrap" => Operation::Decrypt,
        "KeyEncrypt" | "KeyWrap" => Operation::Encrypt,
        "KeySign" | "KeyVerify" => Operation::OtherUse,
        _ => Operation::Management,
    };
    let mut event = Event::new(Provider::Azure, place, time(value, "time")?);
    let resource = text(value, &["resourceId"]).unwrap_or_default();
    let mut parts = resource.split('/');
    let subscription =
        parts.find(|part| part.eq_ignore_ascii_case("subscriptions")).and_then(|_| parts.next());
    event.account = subscription.unwrap_or_default().to_owned();
    event.service = "vault.azure.net".into();
    event.request_id = text(value, &["correlationId"]);
    // There is no id of events: the correlation id may be anything, and may be repeated.
    event.id = format!(
        "{}/{}/{}",
        event.request_id.as_deref().unwrap_or(""),
        event.time,
        text(value, &["properties", "requestUri"]).unwrap_or_default()
    );
    event.name = name;
    event.operation = operation;
    event.asymmetric = true;
    let key = text(value, &["properties", "id"]).or_else(|| text(value, &["properties", "requestUri"]));
    if let Some(uri) = key {
        // https://NAME.vault.azure.net/keys/KEY/VERSION…
        let uri = uri.split('?').next().unwrap_or_default();
        let parts: Vec<&str> = uri.split('/').collect();
        match parts.iter().position(|part| *part == "keys") {
            Some(at) if parts.len() > at + 1 => {
                event.keys.push(parts[..at + 2].join("/"));
                event.key_material = parts.get(at + 2).map(|version| (*version).to_owned());
            }
            _ => event.keys.push(resource.clone()),
        }
    }
    let claim = |name: &str| text(value, &["identity", "claim", name]);
    event.principal.name = claim("oid")
        .or_else(|| claim("http://schemas.microsoft.com/identity/claims/objectidentifier"))
        .or_else(|| claim("upn"))
        .unwrap_or_default();
    event.principal.kind = "oid".into();
    event.principal.issuer = claim("appid");
    event.principal.source_ip = text(value, &["callerIpAddress"]);
    event.principal.user_agent = text(value, &["properties", "clientInfo"]);
    event.operation_hint = event
        .request_id
        .as_deref()
        .and_then(strongroom_ledger::entry::OperationId::parse)
        .map(|id| id.to_string())
        .or_else(|| event.principal.user_agent.as_deref().and_then(operation_hint));
    let status = text(value, &["properties", "httpStatusCode"]);
    if status.as_deref().is_none_or(|status| !status.starts_with('2')) {
        let signature = text(value, &["resultSignature"]).or_else(|| text(value, &["resultDescription"]));
        event.error = Some(signature.or(status).unwrap_or_else(|| "failed".into()));
    }
    event.read_only =
        Some(operation.is_key_use() || event.name.ends_with("Get") || event.name.ends_with("List"));
    Ok(Some(event))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Confidence;
    use proptest::prelude::*;

    const GCP: &str = r#"{"insertId":"i1","timestamp":"2026-03-01T12:00:00.5Z","protoPayload":{"serviceName":"cloudkms.googleapis.com","methodName":"Decrypt","resourceName":"projects/p1/locations/europe-west3/keyRings/r/cryptoKeys/k/cryptoKeyVersions/2","authenticationInfo":{"principalEmail":"restore@p1.iam.gserviceaccount.com"},"requestMetadata":{"callerIp":"192.0.2.1","callerSuppliedUserAgent":"strongroom/0.1"},"status":{"code":7,"message":"Permission denied"}}}"#;
    const AZURE: &str = r#"{"time":"2026-03-01T12:00:00Z","category":"AuditEvent","resourceId":"/SUBSCRIPTIONS/s1/RESOURCEGROUPS/g/PROVIDERS/MICROSOFT.KEYVAULT/VAULTS/v","operationName":"KeyUnwrap","resultSignature":"OK","correlationId":"c1","callerIpAddress":"192.0.2.1","identity":{"claim":{"oid":"o1","appid":"a1"}},"properties":{"clientInfo":"strongroom","requestUri":"https://v.vault.azure.net/keys/k/7?api-version=7.4","id":"https://v.vault.azure.net/keys/k/7","httpStatusCode":200}}"#;

    #[test]
    fn google_becomes_an_event() {
        let mut events = Vec::new();
        assert!(read_gcp("f", format!("[{GCP},{{}}]").as_bytes(), |event| events.push(event)).is_empty());
        let event = &events[0];
        assert_eq!((event.operation, event.confidence), (Operation::Decrypt, Confidence::Low));
        assert_eq!(event.key(), Some("projects/p1/locations/europe-west3/keyRings/r/cryptoKeys/k"));
        assert_eq!((event.account.as_str(), event.key_material.as_deref()), ("p1", Some("2")));
        assert!(event.was_denied());
    }

    #[test]
    fn azure_becomes_an_event() {
        let mut events = Vec::new();
        assert!(
            read_azure("f", format!("{{\"records\":[{AZURE}]}}").as_bytes(), |event| events.push(event))
                .is_empty()
        );
        let event = &events[0];
        assert_eq!((event.operation, event.confidence), (Operation::Decrypt, Confidence::Medium));
        assert_eq!(
            (event.key(), event.key_material.as_deref()),
            (Some("https://v.vault.azure.net/keys/k"), Some("7"))
        );
        assert_eq!((event.account.as_str(), event.error.as_ref()), ("s1", None));
    }

    proptest! {
        #[test]
        fn no_bytes_make_them_panic(bytes: Vec<u8>, at in 0_usize..400, byte: u8) {
            read_gcp("f", &bytes[..], drop);
            read_azure("f", &bytes[..], drop);
            for text in [GCP, AZURE] {
                let mut bytes = text.as_bytes().to_vec();
                let at = at % bytes.len();
                bytes[at] = byte;
                read_gcp("f", &bytes[..], drop);
                read_azure("f", &bytes[..], drop);
            }
        }
    }
}
